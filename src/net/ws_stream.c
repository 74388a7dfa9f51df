#include "net/ws_stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/http_conn.h"

enum { PONG_BACKLOG = 64 << 10 };

static size_t end_with(mc_conn *c, uint16_t code, const char *text)
{
  mc_ws_stream *s = c->stream;
  snprintf(s->ended, sizeof s->ended, "%.*s", (int)sizeof s->ended - 1, text);
  mc_ws_stream_wrap(c);
  s->told = true;
  mc_ws_write_close(&c->out, code, mc_slice_str(text), NULL);
  return SIZE_MAX; /* what was written still goes out */
}

/* What data() leaves is kept in order. SIZE_MAX: it ended the connection. */
static size_t give(mc_conn *c, mc_slice payload)
{
  mc_ws_stream *s = c->stream;
  bool kept = s->in.len > 0;
  if (kept && mc_buf_append_slice(&s->in, payload))
    return end_with(c, MC_WS_INTERNAL_ERROR, "out of memory for input");
  mc_slice all = kept ? mc_buf_slice(&s->in) : payload;
  size_t taken = c->paused ? 0 : s->inner->data(c, all);
  if (taken == SIZE_MAX)
    return SIZE_MAX;
  if (kept)
    mc_buf_consume(&s->in, taken);
  else if (taken < all.len && mc_buf_append_slice(&s->in, mc_slice_sub(all, taken, all.len)))
    return end_with(c, MC_WS_INTERNAL_ERROR, "out of memory for input");
  if (!s->in.len)
    mc_buf_free(&s->in);
  return taken;
}

static size_t on_message(mc_conn *c, const mc_ws_message *m)
{
  switch (m->type) {
  case MC_WS_BINARY:
    return give(c, m->payload);
  case MC_WS_TEXT:
    return end_with(c, MC_WS_UNSUPPORTED_DATA, "MQTT travels in binary frames (MQTT 5.0, 6.0.0-1)");
  case MC_WS_PING:
    if (mc_conn_backlog(c) < PONG_BACKLOG) { /* RFC 6455, 5.5.3: answering the last one is enough */
      mc_ws_stream_wrap(c);
      mc_ws_write(&c->out, MC_WS_PONG, true, m->payload, NULL);
      mc_conn_dirty(c);
    }
    return 0;
  case MC_WS_CLOSE: {
    char text[96];
    snprintf(text, sizeof text, "the client closed the WebSocket (code %u)", m->close_code);
    return end_with(c, m->close_code == MC_WS_NO_CODE ? 0 : m->close_code, text);
  }
  default:
    return 0;
  }
}

static size_t on_data(mc_conn *c, mc_slice in)
{
  mc_ws_stream *s = c->stream;
  size_t at = 0;
  while (at < in.len && !c->paused && !c->closing) {
    mc_ws_message m;
    mc_why why = {0};
    size_t used = 0;
    /* Unmasking in place: the bytes are net's own buffer and are not looked at again. */
    mc_err err = mc_ws_read(&s->reader, (uint8_t *)(uintptr_t)(in.data + at), in.len - at, &used, &m, &why);
    at += used;
    if (err == MC_ERR_AGAIN)
      return at;
    if (err)
      return end_with(c, m.close_code, why.text);
    if (on_message(c, &m) == SIZE_MAX)
      return SIZE_MAX;
  }
  return c->closing ? in.len : at;
}

bool mc_ws_stream_resume(mc_conn *c)
{
  mc_ws_stream *s = c->stream;
  if (s->in.len && give(c, (mc_slice){0}) == SIZE_MAX) {
    c->closing = true;
    mc_conn_schedule(c);
  }
  return !c->paused && !c->closing;
}

void mc_ws_stream_wrap(mc_conn *c)
{
  mc_ws_stream *s = c->stream;
  if (s->staged.len && !s->told) {
    mc_err err = mc_ws_write(&c->out, MC_WS_BINARY, true, mc_buf_slice(&s->staged), NULL);
    if (err && !c->fail_err)
      c->fail_err = (uint8_t)err;
  }
  mc_conn_give_back(c->net, &s->staged);
  if (c->closing && !s->told) {
    s->told = true;
    mc_ws_write_close(&c->out, MC_WS_NORMAL, (mc_slice){0}, NULL);
  }
}

static void on_drained(mc_conn *c)
{
  if (c->stream->inner->drained)
    c->stream->inner->drained(c);
}

static void on_closed(mc_conn *c, mc_err err, const char *text)
{
  mc_ws_stream *s = c->stream;
  s->inner->closed(c, err, s->ended[0] ? s->ended : text);
  c->stream = NULL;
  mc_ws_reader_free(&s->reader);
  mc_buf_free(&s->staged);
  mc_buf_free(&s->in);
  free(s);
}

static void on_open(mc_conn *c) {}

static const mc_conn_handler stream_handler = {on_open, on_data, on_drained, on_closed};

mc_err mc_ws_accept_stream(mc_http_request *r, const char *protocol, const mc_conn_handler *inner, void *user, size_t max_message)
{
  mc_ws_stream *s = calloc(1, sizeof *s);
  mc_conn *c;
  mc_err err = mc_ws_switch(r, protocol, s != NULL, &c);
  if (err || !s) {
    free(s);
    return err ? err : MC_ERR_MEMORY;
  }
  s->inner = inner;
  s->reader = mc_ws_reader_of(true, max_message);
  c->stream = s;
  mc_conn_set_user(c, user);
  mc_conn_set_handler(c, &stream_handler);
  mc_conn_set_idle_ms(c, 0); /* the protocol above has its own keep-alive */
  mc_conn_pause(c, false);
  inner->open(c);
  return MC_OK;
}
