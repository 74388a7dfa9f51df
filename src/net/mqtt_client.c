#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/net.h"

/* An MQTT client with QoS 0 and 1 that reconnects by itself.
 *
 * What is unacknowledged sits in a ring of `window` entries whose packet identifiers follow each other, so that an
 * acknowledgement finds its entry by subtraction. SUBSCRIBE and UNSUBSCRIBE share the ring (and the identifiers). */

enum { MAX_PACKET = 4 << 20, MAX_BACKLOG = 8 << 20, STABLE_US = 5000000, ANSWER_US = 20000000 };

typedef enum state { IDLE, CONNECTING, GREETING /* CONNECT sent */, CONNECTED, WAITING /* for the next try */, STOPPING } state;

typedef struct entry {
  uint64_t token;
  mc_buf packet; /* for sending again; empty when a session cannot be resumed */
  bool busy, publish;
} entry;

struct mc_mqtt_client {
  mc_loop *loop;
  mc_mqtt_client_config config; /* slices and host point into text */
  mc_buf text;
  mc_conn *conn;
  state state;
  mc_timer timer; /* reconnect, greeting, keep-alive */
  entry *ring;
  size_t window;          /* entries allocated */
  size_t limit;           /* what the server takes now, <= window */
  size_t head, len;       /* ring span, acknowledged ones inside included */
  size_t busy;            /* publishes not acknowledged */
  uint16_t head_id;       /* packet id of ring[head] */
  uint32_t backoff_ms;
  uint32_t max_packet;
  uint16_t keep_alive_s;
  int64_t connected_us, last_out_us, ping_us;
  uint64_t random;
  uint8_t reason_code;
  mc_err fail_err;
  char fail_text[256];
  bool in_callback;
};

static bool resumable(const mc_mqtt_client *c)
{
  return c->config.version == MC_MQTT_5 ? c->config.session_expiry_s > 0 : !c->config.clean;
}

/* ---- the ring ---- */
static entry *ring_at(mc_mqtt_client *c, size_t i) { return &c->ring[(c->head + i) % c->window]; }

/* Packet identifiers run 1..65535 and skip 0. */
static uint16_t id_after(uint16_t id, size_t n) { return (uint16_t)((id - 1 + n) % 65535 + 1); }
static size_t id_distance(uint16_t from, uint16_t to) { return (size_t)((to + 65535 - from) % 65535); }

static void ring_trim(mc_mqtt_client *c)
{
  while (c->len && !c->ring[c->head].busy) {
    c->head = (c->head + 1) % c->window;
    c->head_id = id_after(c->head_id, 1);
    c->len--;
  }
}

static entry *ring_take(mc_mqtt_client *c, bool publish, uint16_t *id)
{
  if (c->len == c->window || (publish && c->busy >= c->limit))
    return NULL;
  entry *e = ring_at(c, c->len);
  *id = id_after(c->head_id, c->len);
  c->len++;
  e->busy = true;
  e->publish = publish;
  if (publish)
    c->busy++;
  return e;
}

static void ring_release(mc_mqtt_client *c, entry *e)
{
  if (e->publish)
    c->busy--;
  e->busy = false;
  mc_buf_free(&e->packet);
  ring_trim(c);
}

static entry *ring_find(mc_mqtt_client *c, uint16_t id)
{
  size_t i = id_distance(c->head_id, id);
  if (!id || i >= c->len || !ring_at(c, i)->busy)
    return NULL;
  return ring_at(c, i);
}

/* Everything unanswered is given back to the caller. */
static void ring_fail(mc_mqtt_client *c)
{
  size_t n = c->len;
  for (size_t i = 0; i < n && c->len; i++) {
    entry e = c->ring[c->head];
    c->ring[c->head].busy = true; /* so that a publish inside the callback does not meet it */
    if (e.busy && e.publish)
      c->busy--;
    mc_buf_free(&c->ring[c->head].packet);
    c->ring[c->head].busy = false;
    c->head = (c->head + 1) % c->window;
    c->head_id = id_after(c->head_id, 1);
    c->len--;
    if (e.busy && e.publish && c->config.acked)
      c->config.acked(c->config.ctx, e.token, MC_ERR_CLOSED, 0);
  }
}

/* ---- time ---- */
static int64_t now_us(const mc_mqtt_client *c) { return mc_loop_now_us(c->loop); }

static void arm(mc_mqtt_client *c, int64_t delay_us)
{
  mc_loop_timer_set(c->loop, &c->timer, now_us(c) + delay_us);
}

static void arm_keep_alive(mc_mqtt_client *c)
{
  if (!c->keep_alive_s)
    mc_loop_timer_clear(c->loop, &c->timer);
  else
    mc_loop_timer_set(c->loop, &c->timer, c->ping_us ? c->ping_us + ANSWER_US : c->last_out_us + (int64_t)c->keep_alive_s * 1000000);
}

static uint32_t next_random(mc_mqtt_client *c)
{
  c->random ^= c->random << 13;
  c->random ^= c->random >> 7;
  c->random ^= c->random << 17;
  return (uint32_t)(c->random >> 32);
}

static void wait_and_retry(mc_mqtt_client *c)
{
  uint32_t full = c->backoff_ms;
  uint32_t delay = full / 2 + next_random(c) % (full / 2 + 1); /* jitter, so that a fleet does not return at once */
  c->backoff_ms = full > c->config.backoff_max_ms / 2 ? c->config.backoff_max_ms : full * 2;
  c->state = WAITING;
  arm(c, (int64_t)delay * 1000);
}

/* ---- sending ---- */
static void sent(mc_mqtt_client *c)
{
  c->last_out_us = now_us(c);
  mc_conn_dirty(c->conn);
}

static void fail(mc_mqtt_client *c, mc_err err, uint8_t code, const char *text)
{
  if (!c->fail_err) {
    c->fail_err = err;
    c->reason_code = code;
    snprintf(c->fail_text, sizeof c->fail_text, "%s", text);
  }
  if (c->conn)
    mc_conn_close(c->conn);
}

static mc_err connect_props(mc_mqtt_client *c, mc_buf *props)
{
  if (c->config.version != MC_MQTT_5)
    return MC_OK;
  if (c->config.session_expiry_s)
    MC_TRY(mc_mqtt_put_number(props, 0x11, c->config.session_expiry_s));
  return mc_mqtt_put_number(props, 0x27, MAX_PACKET);
}

static void greet(mc_mqtt_client *c)
{
  const mc_mqtt_client_config *k = &c->config;
  mc_buf props = {0};
  mc_err err = connect_props(c, &props);
  mc_mqtt_connect packet = {.version = k->version,
                            .clean = k->clean,
                            .keep_alive_s = k->keep_alive_s,
                            .props.raw = mc_buf_slice(&props),
                            .client_id = k->client_id,
                            .has_will = k->will_topic.len > 0,
                            .will_retain = k->will_retain,
                            .will_qos = k->will_qos,
                            .will_topic = k->will_topic,
                            .will_payload = k->will_payload,
                            .has_username = k->username.len > 0,
                            .username = k->username,
                            .has_password = k->password.len > 0,
                            .password = k->password};
  if (err == MC_OK)
    err = mc_mqtt_write_connect(mc_conn_out(c->conn), &packet);
  mc_buf_free(&props);
  if (err) {
    fail(c, err, 0, "CONNECT cannot be written: check client id, user name and will");
    return;
  }
  c->state = GREETING;
  c->reason_code = 0;
  sent(c);
  arm(c, ANSWER_US);
}

static void send_again(mc_mqtt_client *c)
{
  for (size_t i = 0; i < c->len; i++) {
    entry *e = ring_at(c, i);
    if (!e->busy)
      continue;
    if (!e->publish || !e->packet.len) { /* a subscription request of the old connection: the session has it or the caller asks again */
      e->busy = false;
      continue;
    }
    e->packet.data[0] |= 0x08; /* DUP, MQTT 5.0, 3.3.1.1 */
    mc_buf_append_slice(mc_conn_out(c->conn), mc_buf_slice(&e->packet));
  }
  ring_trim(c);
  sent(c);
}

/* ---- receiving ---- */
static void refused(mc_mqtt_client *c, const char *what, uint8_t code, mc_slice reason)
{
  char text[256];
  snprintf(text, sizeof text, "%s: %s%s%.*s", what, mc_mqtt_reason_name(code), reason.len ? ": " : "", (int)(reason.len < 160 ? reason.len : 160),
           reason.len ? (const char *)reason.data : "");
  mc_err err = code == MC_MQTT_NOT_AUTHORIZED || code == MC_MQTT_BANNED ? MC_ERR_DENIED
               : code == MC_MQTT_BAD_LOGIN                            ? MC_ERR_UNAUTHENTICATED
                                                                      : MC_ERR_CLOSED;
  fail(c, err, code, text);
}

static bool on_connack(mc_mqtt_client *c, const mc_mqtt_connack *a)
{
  if (c->state != GREETING)
    return false;
  if (a->code) {
    refused(c, "the server refused the connection", a->code, a->props.reason);
    return true;
  }
  c->limit = c->window;
  if ((a->props.present & MC_MQTT_P_RECEIVE_MAX) && a->props.receive_max < c->limit)
    c->limit = a->props.receive_max;
  c->max_packet = a->props.present & MC_MQTT_P_MAX_PACKET ? a->props.max_packet : 0;
  c->keep_alive_s = a->props.present & MC_MQTT_P_SERVER_KEEP_ALIVE ? a->props.server_keep_alive : c->config.keep_alive_s;
  c->state = CONNECTED;
  c->connected_us = now_us(c);
  c->ping_us = 0;
  if (a->session_present)
    send_again(c);
  else
    ring_fail(c);
  arm_keep_alive(c);
  if (c->config.connected)
    c->config.connected(c->config.ctx, a->session_present);
  return true;
}

static bool on_publish(mc_mqtt_client *c, const mc_mqtt_publish *p)
{
  if (p->qos == 2 || !p->topic.len) {
    mc_mqtt_write_disconnect(mc_conn_out(c->conn), c->config.version, p->qos == 2 ? MC_MQTT_QOS_NOT_SUPPORTED : MC_MQTT_BAD_ALIAS, (mc_slice){0});
    fail(c, MC_ERR_UNSUPPORTED, 0, p->qos == 2 ? "the server sent QoS 2, which was never subscribed" : "the server used a topic alias that was not offered");
    return true;
  }
  if (c->config.message)
    c->config.message(c->config.ctx, p);
  if (p->qos == 1 && c->conn && c->state == CONNECTED) {
    mc_mqtt_write_ack(mc_conn_out(c->conn), MC_MQTT_PUBACK, c->config.version, p->packet_id, 0, (mc_slice){0});
    sent(c);
  }
  return true;
}

static void on_puback(mc_mqtt_client *c, const mc_mqtt_ack *a)
{
  entry *e = ring_find(c, a->packet_id);
  if (!e || !e->publish)
    return; /* an answer to a message of an older session */
  uint64_t token = e->token;
  ring_release(c, e);
  if (c->config.acked)
    c->config.acked(c->config.ctx, token, a->code < 0x80 ? MC_OK : MC_ERR_DENIED, a->code);
}

static void on_suback(mc_mqtt_client *c, const mc_mqtt_subscribe *s)
{
  entry *e = ring_find(c, s->packet_id);
  if (!e || e->publish)
    return;
  ring_release(c, e);
  if (c->config.subscribed)
    c->config.subscribed(c->config.ctx, s->packet_id, s->list.data, s->list.len);
}

/* False: the packet has no business here. */
static bool on_packet(mc_mqtt_client *c, const mc_mqtt_packet *p)
{
  if (p->type == MC_MQTT_CONNACK)
    return on_connack(c, &p->connack);
  if (c->state != CONNECTED)
    return c->fail_err != MC_OK;
  switch (p->type) {
  case MC_MQTT_PUBLISH:
    return on_publish(c, &p->publish);
  case MC_MQTT_PUBACK:
    on_puback(c, &p->ack);
    return true;
  case MC_MQTT_SUBACK:
    on_suback(c, &p->subscribe);
    return true;
  case MC_MQTT_UNSUBACK:
    on_suback(c, &p->subscribe);
    return true;
  case MC_MQTT_PINGRESP:
    c->ping_us = 0;
    arm_keep_alive(c);
    return true;
  case MC_MQTT_DISCONNECT:
    refused(c, "the server ended the connection", p->disconnect.code, p->disconnect.props.reason);
    return true;
  default:
    return false;
  }
}

static size_t on_data(mc_conn *conn, mc_slice in)
{
  mc_mqtt_client *c = mc_conn_user(conn);
  size_t used = 0;
  while (c && used < in.len && !c->fail_err) {
    mc_slice rest = mc_slice_sub(in, used, in.len);
    size_t size;
    mc_err err = mc_mqtt_peek(rest, MAX_PACKET, &size);
    if (err == MC_ERR_AGAIN || (err == MC_OK && size > rest.len))
      break;
    mc_mqtt_packet packet;
    mc_why why = {0};
    uint8_t reason;
    if (err == MC_OK)
      err = mc_mqtt_parse(mc_slice_sub(rest, 0, size), c->config.version, &packet, &reason, &why);
    if (err == MC_OK && !on_packet(c, &packet))
      err = mc_err_set(&why, MC_ERR_MALFORMED, "packet type %d was not expected", packet.type);
    c = mc_conn_user(conn); /* a callback may have destroyed the client */
    if (err && c) {
      char text[200];
      snprintf(text, sizeof text, "the server broke the protocol: %.150s", why.text[0] ? why.text : mc_err_text(err));
      fail(c, err, MC_MQTT_PROTOCOL_ERROR, text);
      return SIZE_MAX;
    }
    used += size;
  }
  return c ? used : in.len;
}

/* ---- connection ---- */
static void on_open(mc_conn *conn)
{
  mc_mqtt_client *c = mc_conn_user(conn);
  if (c)
    greet(c);
}

static void on_closed(mc_conn *conn, mc_err err, const char *text)
{
  mc_mqtt_client *c = mc_conn_user(conn);
  if (!c)
    return;
  c->conn = NULL;
  bool stopping = c->state == STOPPING;
  if (c->state == CONNECTED && now_us(c) - c->connected_us >= STABLE_US)
    c->backoff_ms = c->config.backoff_min_ms;
  mc_err told = c->fail_err ? c->fail_err : stopping || err == MC_ERR_END ? MC_ERR_CLOSED : err;
  char why[256];
  snprintf(why, sizeof why, "%s", c->fail_err ? c->fail_text : stopping ? "stopped" : text);
  c->fail_err = MC_OK;
  if (stopping)
    c->state = IDLE;
  else
    wait_and_retry(c);
  if (stopping)
    mc_loop_timer_clear(c->loop, &c->timer);
  if (stopping || !resumable(c)) {
    ring_fail(c);
    c = mc_conn_user(conn);
  }
  if (c && c->config.disconnected)
    c->config.disconnected(c->config.ctx, told, c->reason_code, why);
}

static const mc_conn_handler handler = {on_open, on_data, NULL, on_closed};

static void try_connect(mc_mqtt_client *c)
{
  mc_why why;
  c->state = CONNECTING;
  c->fail_err = MC_OK;
  mc_loop_timer_clear(c->loop, &c->timer);
  mc_err err = mc_conn_open(c->loop, c->config.host, c->config.port, c->config.tls, &handler, c, &c->conn, &why);
  if (err) {
    wait_and_retry(c);
    if (c->config.disconnected)
      c->config.disconnected(c->config.ctx, err, 0, why.text);
  }
}

static void on_timer(mc_timer *timer)
{
  mc_mqtt_client *c = (mc_mqtt_client *)((char *)timer - offsetof(mc_mqtt_client, timer));
  if (c->state == WAITING) {
    try_connect(c);
  } else if (c->state == GREETING) {
    fail(c, MC_ERR_TIMEOUT, 0, "the server did not answer CONNECT within 20 s: is it an MQTT port?");
  } else if (c->state == CONNECTED && c->ping_us && now_us(c) >= c->ping_us + ANSWER_US) {
    fail(c, MC_ERR_TIMEOUT, MC_MQTT_KEEP_ALIVE_TIMEOUT, "the server did not answer a ping within 20 s");
  } else if (c->state == CONNECTED) {
    if (!c->ping_us && now_us(c) >= c->last_out_us + (int64_t)c->keep_alive_s * 1000000) {
      mc_mqtt_write_ping(mc_conn_out(c->conn), MC_MQTT_PINGREQ);
      sent(c);
      c->ping_us = now_us(c);
    }
    arm_keep_alive(c);
  }
}

/* ---- public ---- */
static mc_err copy_text(mc_buf *text, mc_slice from, size_t *at)
{
  *at = text->len;
  MC_TRY(mc_buf_append_slice(text, from));
  return mc_buf_append_u8(text, 0);
}

static mc_err copy_config(mc_mqtt_client *c, const mc_mqtt_client_config *k)
{
  size_t at[6];
  mc_slice from[6] = {mc_slice_str(k->host), k->client_id, k->username, k->password, k->will_topic, k->will_payload};
  for (int i = 0; i < 6; i++)
    MC_TRY(copy_text(&c->text, from[i], &at[i]));
  c->config = *k;
  c->config.host = (const char *)c->text.data + at[0];
  mc_slice *to[5] = {&c->config.client_id, &c->config.username, &c->config.password, &c->config.will_topic, &c->config.will_payload};
  for (int i = 0; i < 5; i++)
    *to[i] = mc_slice_of(c->text.data + at[i + 1], from[i + 1].len);
  return MC_OK;
}

mc_err mc_mqtt_client_create(mc_loop *loop, const mc_mqtt_client_config *config, mc_mqtt_client **out, mc_why *why)
{
  *out = NULL;
  uint8_t version = config->version ? config->version : MC_MQTT_5;
  if (!config->host || !*config->host || !config->port)
    return mc_err_set(why, MC_ERR_INVALID, "MQTT client: host and port are needed");
  if (version != MC_MQTT_5 && version != MC_MQTT_311)
    return mc_err_set(why, MC_ERR_INVALID, "MQTT client: protocol level %u; 4 (3.1.1) and 5 are spoken", version);
  if (config->client_id.len > 65535 || config->username.len > 65535 || config->password.len > 65535 || config->will_topic.len > 65535 ||
      config->will_payload.len > 65535 || !mc_slice_is_utf8(config->client_id))
    return mc_err_set(why, MC_ERR_INVALID, "MQTT client: client id, user name, password and will have at most 65535 bytes, the id is UTF-8");
  if (config->will_topic.len && !mc_mqtt_topic_valid(config->will_topic))
    return mc_err_set(why, MC_ERR_INVALID, "MQTT client: the will's topic is no topic name (no + or #)");
  if (version == MC_MQTT_311 && !config->clean && !config->client_id.len)
    return mc_err_set(why, MC_ERR_INVALID, "MQTT client: a kept session needs a client id");
  mc_mqtt_client *c = calloc(1, sizeof *c);
  if (!c)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for an MQTT client");
  c->loop = loop;
  c->timer.fire = on_timer;
  c->window = config->max_inflight ? config->max_inflight : 64;
  if (c->window > 65000)
    c->window = 65000;
  c->limit = c->window;
  c->head_id = 1;
  c->ring = calloc(c->window, sizeof *c->ring);
  if (!c->ring || copy_config(c, config)) {
    mc_mqtt_client_destroy(&c);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for an MQTT client");
  }
  c->config.version = version;
  if (!c->config.keep_alive_s)
    c->config.keep_alive_s = 60;
  if (!c->config.backoff_min_ms)
    c->config.backoff_min_ms = 500;
  if (c->config.backoff_max_ms < c->config.backoff_min_ms)
    c->config.backoff_max_ms = c->config.backoff_max_ms || c->config.backoff_min_ms > 60000 ? c->config.backoff_min_ms : 60000;
  c->backoff_ms = c->config.backoff_min_ms;
  c->random = ((uint64_t)mc_clock_wall_us() ^ (uint64_t)(uintptr_t)c * 0x9E3779B97F4A7C15ULL) | 1;
  *out = c;
  return MC_OK;
}

void mc_mqtt_client_start(mc_mqtt_client *c)
{
  if (c->state == IDLE)
    try_connect(c);
}

void mc_mqtt_client_stop(mc_mqtt_client *c)
{
  if (c->state == IDLE || c->state == STOPPING)
    return;
  bool greeted = c->state == CONNECTED;
  mc_loop_timer_clear(c->loop, &c->timer);
  if (!c->conn) { /* waiting for the next try */
    c->state = IDLE;
    ring_fail(c);
    return;
  }
  if (greeted) {
    mc_mqtt_write_disconnect(mc_conn_out(c->conn), c->config.version, 0, (mc_slice){0});
    mc_conn_dirty(c->conn);
  }
  c->state = STOPPING;
  mc_conn_close(c->conn);
}

void mc_mqtt_client_destroy(mc_mqtt_client **client)
{
  mc_mqtt_client *c = *client;
  *client = NULL;
  if (!c)
    return;
  mc_loop_timer_clear(c->loop, &c->timer);
  if (c->conn) {
    mc_conn_set_user(c->conn, NULL); /* its last callbacks find nobody */
    mc_conn_close(c->conn);
  }
  for (size_t i = 0; c->ring && i < c->window; i++)
    mc_buf_free(&c->ring[i].packet);
  free(c->ring);
  mc_buf_free(&c->text);
  free(c);
}

bool mc_mqtt_client_is_connected(const mc_mqtt_client *c) { return c->state == CONNECTED && !c->fail_err; }
size_t mc_mqtt_client_inflight(const mc_mqtt_client *c) { return c->busy; }

mc_err mc_mqtt_client_publish(mc_mqtt_client *c, mc_slice topic, mc_slice payload, uint8_t qos, bool retain, uint64_t token)
{
  if (!mc_mqtt_topic_valid(topic))
    return MC_ERR_INVALID;
  if (qos > 1)
    return MC_ERR_UNSUPPORTED;
  if (!mc_mqtt_client_is_connected(c) || mc_conn_backlog(c->conn) > MAX_BACKLOG)
    return MC_ERR_AGAIN;
  mc_mqtt_publish p = {.qos = qos, .retain = retain, .topic = topic, .payload = payload, .packet_id = 1};
  if (c->max_packet && mc_mqtt_publish_size(c->config.version, &p, (mc_slice){0}) > c->max_packet)
    return MC_ERR_TOO_LARGE;
  entry *e = NULL;
  if (qos && !(e = ring_take(c, true, &p.packet_id)))
    return MC_ERR_AGAIN;
  mc_buf *out = mc_conn_out(c->conn);
  size_t start = out->len;
  mc_err err = mc_mqtt_write_publish(out, c->config.version, &p, (mc_slice){0});
  if (err == MC_OK && e && resumable(c))
    err = mc_buf_append(&e->packet, out->data + start, out->len - start);
  if (err) {
    out->len = start;
    if (e) { /* it was the last of the ring */
      c->len--;
      c->busy--;
      e->busy = false;
      mc_buf_free(&e->packet);
    }
    return err;
  }
  if (e)
    e->token = token;
  sent(c);
  return MC_OK;
}

mc_err mc_mqtt_client_subscribe(mc_mqtt_client *c, const mc_mqtt_filter *filter, size_t count, uint16_t *packet_id)
{
  if (!mc_mqtt_client_is_connected(c))
    return MC_ERR_AGAIN;
  for (size_t i = 0; i < count; i++)
    if (!mc_mqtt_filter_valid(filter[i].filter) || filter[i].qos > 1)
      return MC_ERR_INVALID;
  uint16_t id;
  entry *e = ring_take(c, false, &id);
  if (!e)
    return MC_ERR_AGAIN;
  mc_buf *out = mc_conn_out(c->conn);
  size_t start = out->len;
  mc_err err = mc_mqtt_write_subscribe(out, c->config.version, id, filter, count, (mc_slice){0});
  if (err) {
    out->len = start;
    c->len--;
    e->busy = false;
    return err;
  }
  if (packet_id)
    *packet_id = id;
  sent(c);
  return MC_OK;
}
