#include "net/conn.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "net/ws_stream.h"

/* Bytes in and out of a connection. Fresh bytes come into the loop's buffer; only what a handler leaves is kept. */

enum { KEPT_IN_PLACE = 16 * 1024 /* up to here kept bytes are copied in front of fresh ones; beyond, reading appends to them */ };

/* ---- reading ---- */

static mc_err read_plain(mc_conn *c, uint8_t *to, size_t room, size_t *got, char *text, size_t text_size)
{
  ssize_t n;
  do
    n = recv(c->watch.fd, to, room, 0);
  while (n < 0 && errno == EINTR);
  if (n > 0) {
    *got = (size_t)n;
    return MC_OK;
  }
  if (n == 0) {
    snprintf(text, text_size, "the peer closed the connection");
    return MC_ERR_END;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return MC_ERR_AGAIN;
  snprintf(text, text_size, "reading failed: %s", strerror(errno));
  return MC_ERR_CLOSED;
}

static mc_err read_tls(mc_conn *c, uint8_t *to, size_t room, size_t *got, char *text, size_t text_size)
{
  while (*got < room) {
    size_t n = 0;
    ERR_clear_error();
    if (SSL_read_ex(c->ssl, to + *got, room - *got, &n) == 1) {
      *got += n;
      continue;
    }
    int e = SSL_get_error(c->ssl, 0);
    if (e == SSL_ERROR_WANT_READ)
      return *got ? MC_OK : MC_ERR_AGAIN;
    if (*got) { /* an end or error shows again at the next read */
      c->again = true;
      return MC_OK;
    }
    if (e == SSL_ERROR_WANT_WRITE)
      return MC_ERR_AGAIN;
    if (e == SSL_ERROR_ZERO_RETURN || (e == SSL_ERROR_SYSCALL && errno == 0)) {
      snprintf(text, text_size, "the peer closed the connection");
      return MC_ERR_END;
    }
    if (e == SSL_ERROR_SYSCALL) {
      snprintf(text, text_size, "reading failed: %s", strerror(errno));
      return MC_ERR_CLOSED;
    }
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    snprintf(text, text_size, "TLS: %s", reason ? reason : "broken record");
    return MC_ERR_TLS;
  }
  c->again = SSL_has_pending(c->ssl) == 1; /* the buffer was too small for all */
  return MC_OK;
}

/* MC_OK with *got > 0; MC_ERR_AGAIN nothing now; MC_ERR_END closed; else broken. */
static mc_err read_some(mc_conn *c, uint8_t *to, size_t room, size_t *got, char *text, size_t text_size)
{
  *got = 0;
  if (!c->ssl)
    return read_plain(c, to, room, got, text, text_size);
  int64_t before = mc_tls_memory();
  mc_err err = read_tls(c, to, room, got, text, text_size);
  mc_conn_count_tls(c, before);
  return err;
}

/* Gives bytes to the handler; returns how many it took, SIZE_MAX when the connection is gone. An upgrade inside data()
 * gets the rest at once. */
static size_t feed(mc_conn *c, mc_slice in)
{
  size_t taken = 0;
  while (taken < in.len && !c->closing && !c->paused) {
    const mc_conn_handler *handler = c->handler;
    c->in_data = true;
    size_t n = handler->data(c, mc_slice_sub(in, taken, in.len));
    c->in_data = false;
    if (n == SIZE_MAX) {
      c->closing = true;
      mc_conn_schedule(c);
      return in.len;
    }
    taken += n;
    if (handler == c->handler)
      break;
  }
  return c->closing ? in.len : taken;
}

static mc_err keep(mc_conn *c, mc_slice rest)
{
  mc_buf fresh = {0};
  if (rest.len && mc_buf_append_slice(&fresh, rest))
    return MC_ERR_MEMORY;
  mc_buf_free(&c->in);
  c->in = fresh;
  return MC_OK;
}

/* Kept bytes are few: they go in front of fresh ones in the loop's buffer. */
static mc_err read_shared(mc_conn *c, char *text, size_t text_size)
{
  uint8_t *buffer = c->net->read;
  size_t kept = c->in.len, got = 0;
  mc_err err = read_some(c, buffer + kept, MC_CONN_READ_SIZE - kept, &got, text, text_size);
  if (err)
    return err;
  if (kept)
    memcpy(buffer, c->in.data, kept);
  c->last_in_us = mc_loop_now_us(c->net->loop);
  mc_slice all = {buffer, kept + got};
  size_t taken = feed(c, all);
  if (taken == 0 && kept && !c->closing) /* still incomplete: only the fresh part is new */
    return mc_buf_append(&c->in, buffer + kept, got);
  return keep(c, mc_slice_sub(all, taken, all.len));
}

/* A long message is under way: read behind what is kept. */
static mc_err read_long(mc_conn *c, char *text, size_t text_size)
{
  if (mc_buf_reserve(&c->in, MC_CONN_READ_SIZE))
    return MC_ERR_MEMORY;
  size_t got = 0;
  mc_err err = read_some(c, c->in.data + c->in.len, MC_CONN_READ_SIZE, &got, text, text_size);
  if (err)
    return err;
  c->in.len += got;
  c->last_in_us = mc_loop_now_us(c->net->loop);
  size_t taken = feed(c, mc_buf_slice(&c->in));
  mc_buf_consume(&c->in, taken);
  if (c->in.len < KEPT_IN_PLACE)
    return keep(c, mc_buf_slice(&c->in));
  return MC_OK;
}

void mc_conn_read_ready(mc_conn *c)
{
  char text[200] = "out of memory for input";
  mc_err err = c->in.len > KEPT_IN_PLACE ? read_long(c, text, sizeof text) : read_shared(c, text, sizeof text);
  if (err == MC_ERR_AGAIN || err == MC_OK) {
    if (c->again)
      mc_conn_schedule(c);
    if (!c->dead)
      mc_conn_count(c);
    return;
  }
  if (c->out.len > c->out_at && !c->blocked) { /* answers to what was read before still go out */
    c->fail_err = (uint8_t)err;
    c->closing = true;
    mc_conn_schedule(c);
    return;
  }
  mc_conn_fail(c, err, text);
}

/* Unpaused, or bytes left in OpenSSL: give them although the socket is quiet. */
void mc_conn_read_again(mc_conn *c)
{
  c->again = false;
  if (c->stream && !mc_ws_stream_resume(c))
    return;
  if (c->in.len && c->fed) {
    c->fed = false;
    size_t had = c->in.len;
    mc_buf in = c->in; /* data() may pause or close, never read */
    size_t taken = feed(c, mc_buf_slice(&in));
    if (taken) {
      if (keep(c, mc_slice_sub(mc_buf_slice(&in), taken, had))) {
        mc_conn_fail(c, MC_ERR_MEMORY, "out of memory for input");
        return;
      }
    }
    if (c->paused || c->closing)
      return;
  }
  if (c->ssl && SSL_has_pending(c->ssl))
    mc_conn_read_ready(c);
}

/* ---- writing ---- */
static mc_err write_some(mc_conn *c, const uint8_t *from, size_t len, size_t *put)
{
  *put = 0;
  if (!c->ssl) {
    ssize_t n;
    do
      n = send(c->watch.fd, from, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
      *put = (size_t)n;
      return MC_OK;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? MC_ERR_AGAIN : MC_ERR_CLOSED;
  }
  ERR_clear_error();
  int64_t before = mc_tls_memory();
  int done = SSL_write_ex(c->ssl, from, len, put);
  mc_conn_count_tls(c, before);
  if (done == 1)
    return MC_OK;
  int e = SSL_get_error(c->ssl, 0);
  return e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ ? MC_ERR_AGAIN : MC_ERR_CLOSED;
}

mc_err mc_conn_flush(mc_conn *c)
{
  while (c->out_at < c->out.len) {
    size_t put;
    mc_err err = write_some(c, c->out.data + c->out_at, c->out.len - c->out_at, &put);
    if (err) {
      if (c->out_at > 64 * 1024 && c->out_at * 2 > c->out.len) {
        mc_buf_consume(&c->out, c->out_at);
        c->out_at = 0;
      }
      return err;
    }
    c->out_at += put;
  }
  c->out_at = 0;
  mc_conn_give_back(c->net, &c->out);
  return MC_OK;
}
