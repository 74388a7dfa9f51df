#include "net/conn.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/log.h"
#include "base/metric.h"
#include "net/ws_stream.h"

/* Callbacks are only ever called from the loop (readiness, timers, end of turn), never from inside a function that the
 * protocol above calls: so a handler may close or write anywhere without being re-entered. */

enum {
  FLUSH_ROUNDS = 16,           /* drained() may write again; after this the next turn goes on */
  CLOSE_FLUSH_US = 2000000,    /* net.h: at most 2 s */
  LINGER_US = 1000000,         /* time for the peer to read our last bytes before a reset could discard them */
  SPARE_MAX = 64 * 1024,
  SPARE_BYTES = 1024 * 1024, /* of all that are kept */
  TRIM_FROM = 512,
  TRIM_AFTER_US = 1000000,
  HANDSHAKES_A_TURN = 8 /* of connections that we open, which must not hold up those who are connected */
};

/* ---- loop state ---- */
static const char net_key;

static void on_turn_end(void *ctx);
static void bury(mc_net_loop *net);
static void on_trim(mc_timer *timer);
static void tell_memory(mc_net_loop *net);

static void on_wake(mc_post *post)
{
  mc_net_loop *net = (mc_net_loop *)((char *)post - offsetof(mc_net_loop, wake));
  net->wake_posted = false; /* the end of this turn does the work */
}

static void net_loop_destroy(void *value)
{
  mc_net_loop *net = value;
  bury(net);
  mc_loop_timer_clear(net->loop, &net->trim);
  mc_loop_timer_clear(net->loop, &net->admission.tick);
  tell_memory(net);
  for (size_t i = 0; i < net->spare_len; i++)
    mc_buf_free(&net->spare[i]);
  free(net->read);
  free(net);
}

mc_net_loop *mc_net_loop_of(mc_loop *loop)
{
  mc_net_loop *net = mc_loop_attached(loop, &net_key);
  if (net)
    return net;
  net = calloc(1, sizeof *net);
  if (net)
    net->read = malloc(MC_CONN_READ_SIZE);
  if (!net || !net->read || mc_loop_attach(loop, &net_key, net, net_loop_destroy)) {
    if (net)
      free(net->read);
    free(net);
    return NULL;
  }
  net->loop = loop;
  net->work_tail = &net->work;
  net->wake.run = on_wake;
  net->trim.fire = on_trim;
  net->bytes_metric = mc_metric_get(MC_METRIC_GAUGE, "motorcade_net_connection_bytes", "Memory that all connections hold: their own, buffers, certificates, OpenSSL's.", NULL);
  net->conns_metric = mc_metric_get(MC_METRIC_GAUGE, "motorcade_net_connections", "Open sockets, those being admitted too.", NULL);
  mc_admission_init(net);
  mc_loop_on_turn_end(loop, on_turn_end, net);
  return net;
}

void mc_conn_schedule(mc_conn *c)
{
  mc_net_loop *net = c->net;
  if (c->in_work || c->dead)
    return;
  c->in_work = true;
  c->next_work = NULL;
  *net->work_tail = c;
  net->work_tail = &c->next_work;
  if (!net->wake_posted) {
    net->wake_posted = true;
    mc_loop_post(net->loop, &net->wake);
  }
}

static void unschedule(mc_conn *c)
{
  mc_net_loop *net = c->net;
  if (!c->in_work)
    return;
  mc_conn **at = &net->work;
  while (*at != c)
    at = &(*at)->next_work;
  *at = c->next_work;
  if (net->work_tail == &c->next_work)
    net->work_tail = at;
  c->in_work = false;
}

/* ---- life ---- */
static void on_ready(mc_watch *watch, uint32_t events);
static void on_timer(mc_timer *timer);

static mc_conn *conn_of_watch(mc_watch *w) { return (mc_conn *)((char *)w - offsetof(mc_conn, watch)); }
static mc_conn *conn_of_timer(mc_timer *t) { return (mc_conn *)((char *)t - offsetof(mc_conn, timer)); }

mc_conn *mc_conn_new(mc_net_loop *net, int fd, const mc_conn_handler *handler, void *user)
{
  mc_conn *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->net = net;
  c->watch.fd = fd;
  c->watch.ready = on_ready;
  c->timer.fire = on_timer;
  c->handler = handler;
  c->user = user;
  c->last_in_us = mc_loop_now_us(net->loop);
  if (++net->conns > net->conns_peak)
    net->conns_peak = net->conns;
  mc_conn_count(c);
  return c;
}

/* ---- memory ---- */
size_t mc_conn_memory(const mc_conn *c)
{
  size_t stream = c->stream ? sizeof *c->stream + c->stream->staged.cap + c->stream->in.cap : 0;
  return sizeof *c + c->in.cap + c->out.cap + stream + mc_conn_cert_size(c->cert) + (c->setup ? sizeof *c->setup : 0) + c->tls_bytes;
}

void mc_conn_count(mc_conn *c)
{
  size_t now = mc_conn_memory(c);
  c->net->bytes += (int64_t)now - c->counted;
  c->counted = now > UINT32_MAX ? UINT32_MAX : (uint32_t)now;
}

void mc_conn_count_tls(mc_conn *c, int64_t before)
{
  int64_t now = c->tls_bytes + mc_tls_memory() - before;
  c->tls_bytes = now < 0 ? 0 : now > UINT32_MAX ? UINT32_MAX : (uint32_t)now;
}

static void tell_memory(mc_net_loop *net)
{
  if (net->bytes != net->bytes_shown)
    mc_metric_add(net->bytes_metric, (uint64_t)(net->bytes - net->bytes_shown));
  if ((int64_t)net->conns != net->conns_shown)
    mc_metric_add(net->conns_metric, (uint64_t)((int64_t)net->conns - net->conns_shown));
  net->bytes_shown = net->bytes;
  net->conns_shown = (int64_t)net->conns;
}

void mc_conn_setup_done(mc_conn *c)
{
  mc_conn_setup *s = c->setup;
  if (!s)
    return;
  c->setup = NULL;
  if (s->resolve)
    mc_resolve_cancel(s->resolve);
  mc_admission_leave(s);
  if (s->listener)
    mc_listener_handshake_done(s->listener);
  mc_source_finished(&c->source);
  free(s->address);
  free(s);
}

/* After a flood has gone its memory goes back to the system (contract iotcore, T27): once, when the last of it had time to go. */
static void on_trim(mc_timer *timer)
{
  mc_net_loop *net = (mc_net_loop *)((char *)timer - offsetof(mc_net_loop, trim));
  net->conns_peak = net->conns;
  malloc_trim(0);
}

static void count_down(mc_net_loop *net)
{
  size_t gone = net->conns_peak - --net->conns;
  if (gone >= TRIM_FROM && gone * 2 >= net->conns_peak)
    mc_loop_timer_set(net->loop, &net->trim, mc_loop_now_us(net->loop) + TRIM_AFTER_US);
}

void mc_conn_give_back(mc_net_loop *net, mc_buf *out)
{
  if (out->data && out->cap <= SPARE_MAX && net->spare_bytes + out->cap <= SPARE_BYTES && net->spare_len < MC_CONN_SPARES) {
    out->len = 0;
    net->spare_bytes += out->cap;
    net->spare[net->spare_len++] = *out;
    *out = (mc_buf){0};
  } else {
    mc_buf_free(out);
  }
}

void mc_conn_fail(mc_conn *c, mc_err err, const char *text)
{
  if (c->dead)
    return;
  c->dead = true;
  if (!c->opened && c->server)
    mc_log(MC_LOG_DEBUG, "net", "connection ended before it was open", MC_KZ("why", text));
  unschedule(c);
  mc_loop_timer_clear(c->net->loop, &c->timer);
  bool ours = c->setup && !c->setup->listener;
  if (c->watch.fd >= 0) {
    if (c->watch.events || c->phase != MC_CONN_RESOLVING)
      mc_loop_unwatch(c->net->loop, &c->watch);
    if (c->ssl) {
      /* Else OpenSSL takes the session for broken and a client would not resume it. */
      SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
      SSL_free(c->ssl);
      c->ssl = NULL;
      ERR_clear_error();
    }
    close(c->watch.fd);
    c->watch.fd = -1;
  }
  mc_conn_setup_done(c);
  mc_source_leave(&c->source);
  if ((c->opened || ours) && c->handler)
    c->handler->closed(c, err, text);
  mc_conn_give_back(c->net, &c->out);
  mc_buf_free(&c->in);
  free(c->cert);
  c->cert = NULL;
  c->next_work = c->net->dead; /* freed at the end of the turn: callers up the stack still look at it */
  c->net->dead = c;
}

static void bury(mc_net_loop *net)
{
  while (net->dead) {
    mc_conn *c = net->dead;
    net->dead = c->next_work;
    net->bytes -= c->counted;
    free(c);
    count_down(net);
  }
}

static void arm(mc_conn *c, int64_t delay_us)
{
  mc_loop_timer_set(c->net->loop, &c->timer, mc_loop_now_us(c->net->loop) + delay_us);
}

/* The events this state needs; the kernel is told only of changes. */
static void set_events(mc_conn *c)
{
  uint32_t events = 0;
  if (c->phase == MC_CONN_CONNECTING)
    events = EPOLLOUT;
  else if (c->phase == MC_CONN_HANDSHAKE) /* those that are admitted are watched for edges: admission.c */
    events = (c->want_write ? EPOLLOUT : EPOLLIN) | (c->server ? (uint32_t)EPOLLET | EPOLLRDHUP : 0u);
  else if (c->phase == MC_CONN_LINGERING)
    events = EPOLLIN;
  else
    events = ((c->closing ? !c->fail_err : !c->paused) ? (uint32_t)EPOLLIN : 0u) | (c->blocked ? (uint32_t)EPOLLOUT : 0u);
  mc_loop_modify(c->net->loop, &c->watch, events);
}

static void opened(mc_conn *c)
{
  c->phase = MC_CONN_OPEN;
  mc_loop_timer_clear(c->net->loop, &c->timer);
  mc_conn_setup_done(c);
  c->opened = true;
  c->last_in_us = mc_loop_now_us(c->net->loop);
  if (c->idle_ms)
    arm(c, (int64_t)c->idle_ms * 1000);
  set_events(c);
  c->handler->open(c);
}

/* ---- TLS handshake ---- */
static void tls_text(mc_conn *c, char *text, size_t size)
{
  long verdict = SSL_get_verify_result(c->ssl);
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  if (!c->server && verdict != X509_V_OK)
    snprintf(text, size, "the server's certificate was not accepted: %s; check the address and the certificate authority that is trusted here",
             X509_verify_cert_error_string(verdict));
  else
    snprintf(text, size, "TLS handshake failed: %s", reason ? reason : "the peer closed the connection");
}

static void handshake_over(mc_conn *c)
{
  c->alpn = (uint8_t)mc_tls_alpn(c->ssl, c->server);
  if (c->server)
    c->handler = mc_listener_choose(c->setup->listener, (mc_alpn)c->alpn, c);
  if (!c->handler) {
    mc_conn_fail(c, MC_ERR_UNSUPPORTED, "no protocol for this ALPN name");
    return;
  }
  c->again = true; /* early application bytes may lie in OpenSSL's buffer already */
  mc_conn_schedule(c);
  opened(c);
}

void mc_conn_handshake_step(mc_conn *c)
{
  ERR_clear_error();
  int64_t before = mc_tls_memory();
  int r = mc_tls_handshake(c->ssl, &c->cert);
  int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, r);
  if (r == 1)
    mc_tls_slim(c->ssl, &c->cert);
  mc_conn_count_tls(c, before);
  mc_conn_count(c);
  if (r == 1) {
    handshake_over(c);
  } else if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
    c->want_write = e == SSL_ERROR_WANT_WRITE;
    set_events(c);
  } else {
    char text[256];
    tls_text(c, text, sizeof text);
    mc_conn_fail(c, MC_ERR_TLS, text);
  }
}

void mc_conn_begin(mc_conn *c, mc_tls *tls)
{
  int one = 1;
  setsockopt(c->watch.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->watch.fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  if (!tls) {
    opened(c);
    return;
  }
  mc_why why;
  int64_t before = mc_tls_memory();
  mc_err err = mc_tls_start(tls, c->watch.fd, c->setup ? c->setup->host : NULL, c->setup ? c->setup->port : 0, &c->ssl, &why);
  mc_conn_count_tls(c, before);
  mc_conn_count(c);
  if (err) {
    mc_conn_fail(c, err, why.text);
    return;
  }
  c->phase = MC_CONN_HANDSHAKE;
  mc_conn_handshake_step(c);
}

/* ---- closing ---- */
static void linger(mc_conn *c)
{
  if (c->ssl && !c->fail_err) {
    ERR_clear_error();
    SSL_shutdown(c->ssl);
  }
  if (c->fail_err) {
    mc_conn_fail(c, (mc_err)c->fail_err, "the peer closed the connection");
    return;
  }
  shutdown(c->watch.fd, SHUT_WR);
  c->phase = MC_CONN_LINGERING;
  arm(c, LINGER_US);
  set_events(c);
}

/* Throws away what still comes, so that our last bytes are not lost to a reset. */
static void linger_ready(mc_conn *c)
{
  for (int i = 0; i < 4; i++) {
    ssize_t n = recv(c->watch.fd, c->net->read, MC_CONN_READ_SIZE, 0);
    if (n > 0)
      continue;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    mc_conn_fail(c, MC_ERR_CLOSED, "closed by this side");
    return;
  }
}

static void work_on(mc_conn *c)
{
  if (c->phase != MC_CONN_OPEN) {
    if (c->phase == MC_CONN_RESOLVING || c->phase == MC_CONN_CONNECTING || c->phase == MC_CONN_HANDSHAKE) {
      if (c->closing)
        mc_conn_fail(c, MC_ERR_CLOSED, "closed by this side");
      else if (c->fail_err)
        mc_conn_fail(c, (mc_err)c->fail_err, c->setup ? c->setup->last_error : "failed");
      else if (c->phase == MC_CONN_CONNECTING && c->watch.fd < 0)
        mc_conn_connect_next(c);
    }
    return;
  }
  if ((c->again || c->fed) && !c->paused && !c->closing) {
    mc_conn_read_again(c);
    if (c->dead)
      return;
  }
  if (c->stream)
    mc_ws_stream_wrap(c);
  bool had = c->out.len > 0, was_blocked = c->blocked;
  mc_err err = had ? mc_conn_flush(c) : MC_OK;
  if (err != MC_OK && err != MC_ERR_AGAIN) {
    mc_conn_fail(c, MC_ERR_CLOSED, "writing failed: the peer is gone");
    return;
  }
  c->blocked = err == MC_ERR_AGAIN;
  mc_conn_count(c);
  if (c->closing && !c->blocked) {
    linger(c);
    return;
  }
  if (c->closing && !(c->timer.armed && c->timer.due_us <= mc_loop_now_us(c->net->loop) + CLOSE_FLUSH_US))
    arm(c, CLOSE_FLUSH_US);
  set_events(c);
  bool tell = c->tell_empty;
  if (!c->blocked && (was_blocked || (tell && had))) {
    c->tell_empty = false;
    if (!c->closing && c->handler->drained)
      c->handler->drained(c);
  }
}

static void on_turn_end(void *ctx)
{
  mc_net_loop *net = ctx;
  net->handshakes = 0;
  mc_admission_turn(net);
  for (int round = 0; round < FLUSH_ROUNDS && net->work; round++) {
    /* Only what is there now; what comes meanwhile is the next round's. */
    mc_conn *last = (mc_conn *)((char *)net->work_tail - offsetof(mc_conn, next_work));
    for (bool more = true; more && net->work;) {
      mc_conn *c = net->work;
      more = c != last;
      net->work = c->next_work;
      if (!net->work)
        net->work_tail = &net->work;
      c->in_work = false;
      work_on(c);
    }
  }
  bury(net);
  tell_memory(net);
  if ((net->work || mc_admission_busy(net)) && !net->wake_posted) {
    net->wake_posted = true;
    mc_loop_post(net->loop, &net->wake);
  }
}

/* ---- events ---- */
static void on_ready(mc_watch *watch, uint32_t events)
{
  mc_conn *c = conn_of_watch(watch);
  if (c->closing && (c->phase == MC_CONN_CONNECTING || c->phase == MC_CONN_HANDSHAKE))
    return; /* it fails at the end of the turn; its owner may have freed the TLS context since mc_conn_close */
  switch ((mc_conn_phase)c->phase) {
  case MC_CONN_RESOLVING:
    return;
  case MC_CONN_CONNECTING:
    mc_conn_connect_ready(c);
    return;
  case MC_CONN_GREETING:
  case MC_CONN_QUEUED:
    mc_admission_event(c, events);
    return;
  case MC_CONN_HANDSHAKE:
    if (c->server)
      mc_admission_event(c, events);
    else if (c->net->handshakes++ < HANDSHAKES_A_TURN) /* beyond the limit the event stays and comes again in the next turn */
      mc_conn_handshake_step(c);
    return;
  case MC_CONN_LINGERING:
    linger_ready(c);
    return;
  case MC_CONN_OPEN:
    break;
  }
  if (events & EPOLLOUT)
    mc_conn_schedule(c);
  if (c->closing) {
    if (events & (EPOLLERR | EPOLLHUP))
      mc_conn_fail(c, MC_ERR_CLOSED, "the peer is gone");
    else if (events & EPOLLIN)
      linger_ready(c);
    return;
  }
  if (c->paused) {
    if (events & (EPOLLERR | EPOLLHUP))
      mc_conn_fail(c, MC_ERR_CLOSED, "the peer is gone");
    return;
  }
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
    mc_conn_read_ready(c);
}

static void on_timer(mc_timer *timer)
{
  mc_conn *c = conn_of_timer(timer);
  int64_t now = mc_loop_now_us(c->net->loop);
  if (c->phase == MC_CONN_CONNECTING || c->phase == MC_CONN_RESOLVING) {
    mc_conn_fail(c, MC_ERR_TIMEOUT, "no answer within the time limit: is the address right and the port open?");
  } else if (c->phase == MC_CONN_GREETING || c->phase == MC_CONN_HANDSHAKE) {
    mc_conn_fail(c, MC_ERR_TIMEOUT, c->phase == MC_CONN_GREETING ? "no TLS greeting came in time" : "TLS handshake took too long");
  } else if (c->phase == MC_CONN_LINGERING || c->closing) {
    mc_conn_fail(c, MC_ERR_CLOSED, "closed by this side");
  } else if (c->idle_ms) {
    int64_t due = c->last_in_us + (int64_t)c->idle_ms * 1000;
    if (due <= now)
      mc_conn_fail(c, MC_ERR_TIMEOUT, "nothing was received within the idle limit");
    else
      mc_loop_timer_set(c->net->loop, &c->timer, due);
  }
}

/* ---- what the protocol above calls ---- */
void mc_conn_set_user(mc_conn *conn, void *user) { conn->user = user; }
void *mc_conn_user(const mc_conn *conn) { return conn->user; }
mc_loop *mc_conn_loop(const mc_conn *conn) { return conn->net->loop; }

void mc_conn_set_handler(mc_conn *conn, const mc_conn_handler *handler)
{
  conn->handler = handler;
}

mc_buf *mc_conn_out(mc_conn *conn)
{
  mc_net_loop *net = conn->net;
  mc_buf *out = conn->stream ? &conn->stream->staged : &conn->out;
  if (!out->data && net->spare_len) {
    *out = net->spare[--net->spare_len];
    net->spare_bytes -= out->cap;
  }
  return out;
}

void mc_conn_dirty(mc_conn *conn)
{
  if (!conn->blocked) /* blocked: EPOLLOUT will tell */
    mc_conn_schedule(conn);
}

mc_err mc_conn_write(mc_conn *conn, mc_slice bytes)
{
  if (conn->closing || conn->dead)
    return MC_ERR_CLOSED;
  if (!bytes.len)
    return MC_OK;
  MC_TRY(mc_buf_append_slice(mc_conn_out(conn), bytes));
  mc_conn_dirty(conn);
  return MC_OK;
}

size_t mc_conn_backlog(const mc_conn *conn)
{
  return conn->out.len - conn->out_at + (conn->stream ? conn->stream->staged.len : 0);
}

void mc_conn_tell_empty(mc_conn *conn)
{
  conn->tell_empty = true;
  mc_conn_dirty(conn);
}

void mc_conn_pause(mc_conn *conn, bool paused)
{
  if (conn->dead || conn->paused == paused)
    return;
  conn->paused = paused;
  if (conn->phase != MC_CONN_OPEN)
    return;
  if (!paused) {
    conn->last_in_us = mc_loop_now_us(conn->net->loop);
    conn->fed = conn->in.len > 0 || conn->in_data;
    conn->again = true;
  }
  mc_conn_schedule(conn); /* the kernel is told at the end of the turn */
}

void mc_conn_set_idle_ms(mc_conn *conn, int64_t idle_ms)
{
  conn->idle_ms = idle_ms <= 0 ? 0 : idle_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)idle_ms;
  conn->last_in_us = mc_loop_now_us(conn->net->loop);
  if (conn->phase != MC_CONN_OPEN || conn->closing)
    return;
  if (conn->idle_ms)
    arm(conn, (int64_t)conn->idle_ms * 1000);
  else
    mc_loop_timer_clear(conn->net->loop, &conn->timer);
}

void mc_conn_close(mc_conn *conn)
{
  if (conn->dead || conn->closing)
    return;
  conn->closing = true;
  if (conn->phase == MC_CONN_OPEN && conn->blocked)
    arm(conn, CLOSE_FLUSH_US);
  mc_conn_schedule(conn);
}
