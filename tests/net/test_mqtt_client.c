#include "pair.h"

/* A broker of few words, on the same loop: it answers as each test says. */
typedef struct broker {
  mc_listener *listener;
  mc_conn *conn;
  int connects, publishes, pings, subscribes, disconnects;
  bool session_present, hold_acks;
  uint8_t refuse_with;
  uint16_t held[64];
  int held_count;
  int dups;
  char last_topic[64], client_id[64], will_topic[64];
  uint32_t session_expiry;
  uint16_t receive_max;
} broker;

static mc_loop *loop;

static void b_open(mc_conn *c) { ((broker *)mc_conn_user(c))->conn = c; }

static void b_packet(broker *b, mc_conn *c, const mc_mqtt_packet *p)
{
  mc_buf *out = mc_conn_out(c), props = {0};
  switch (p->type) {
  case MC_MQTT_CONNECT:
    b->connects++;
    mc_slice_to_str(p->connect.client_id, b->client_id, sizeof b->client_id);
    mc_slice_to_str(p->connect.will_topic, b->will_topic, sizeof b->will_topic);
    b->session_expiry = p->connect.props.session_expiry_s;
    if (b->receive_max)
      mc_mqtt_put_number(&props, 0x21, b->receive_max);
    if (b->refuse_with)
      mc_mqtt_put_text(&props, 0x1F, MC_LIT("certificate 1a2b is revoked"));
    mc_mqtt_write_connack(out, MC_MQTT_5, b->session_present && !b->refuse_with, b->refuse_with, mc_buf_slice(&props));
    mc_buf_free(&props);
    if (b->refuse_with)
      mc_conn_close(c);
    break;
  case MC_MQTT_PUBLISH:
    b->publishes++;
    b->dups += p->publish.dup;
    mc_slice_to_str(p->publish.topic, b->last_topic, sizeof b->last_topic);
    if (p->publish.qos && b->hold_acks)
      b->held[b->held_count++ % 64] = p->publish.packet_id;
    else if (p->publish.qos)
      mc_mqtt_write_ack(out, MC_MQTT_PUBACK, MC_MQTT_5, p->publish.packet_id, mc_slice_eq_str(p->publish.topic, "denied") ? MC_MQTT_NOT_AUTHORIZED : 0, (mc_slice){0});
    break;
  case MC_MQTT_SUBSCRIBE: {
    uint8_t codes[2] = {1, MC_MQTT_NOT_AUTHORIZED};
    b->subscribes++;
    mc_mqtt_write_suback(out, MC_MQTT_SUBACK, MC_MQTT_5, p->subscribe.packet_id, codes, p->subscribe.count < 2 ? p->subscribe.count : 2, (mc_slice){0});
    mc_mqtt_publish m = {.qos = 1, .packet_id = 7, .topic = MC_LIT("to/you"), .payload = MC_LIT("hi")};
    mc_mqtt_write_publish(out, MC_MQTT_5, &m, (mc_slice){0});
    break;
  }
  case MC_MQTT_PINGREQ:
    b->pings++;
    mc_mqtt_write_ping(out, MC_MQTT_PINGRESP);
    break;
  case MC_MQTT_PUBACK:
    b->held[0] = p->ack.packet_id;
    break;
  case MC_MQTT_DISCONNECT:
    b->disconnects++;
    break;
  default:
    break;
  }
  mc_conn_dirty(c);
}

static size_t b_data(mc_conn *c, mc_slice in)
{
  size_t used = 0, size;
  while (mc_mqtt_peek(mc_slice_sub(in, used, in.len), 1 << 20, &size) == MC_OK && size <= in.len - used) {
    mc_mqtt_packet p;
    uint8_t reason;
    if (mc_mqtt_parse(mc_slice_sub(in, used, size), MC_MQTT_5, &p, &reason, NULL))
      return SIZE_MAX;
    b_packet(mc_conn_user(c), c, &p);
    used += size;
  }
  return used;
}
static void b_closed(mc_conn *c, mc_err err, const char *text)
{
  broker *b = mc_conn_user(c);
  if (b->conn == c)
    b->conn = NULL;
}
static const mc_conn_handler b_handler = {b_open, b_data, NULL, b_closed};

typedef struct seen {
  int connected, disconnected, acked, failed, messages, subscribed;
  uint64_t last_token;
  uint8_t reason, codes[4];
  size_t code_count;
  char text[256], topic[64];
  mc_err err;
} seen;
static void s_connected(void *ctx, bool present) { ((seen *)ctx)->connected++; }
static void s_disconnected(void *ctx, mc_err err, uint8_t code, const char *text)
{
  seen *s = ctx;
  s->disconnected++;
  s->reason = code;
  s->err = err;
  snprintf(s->text, sizeof s->text, "%s", text);
}
static void s_message(void *ctx, const mc_mqtt_publish *m)
{
  seen *s = ctx;
  s->messages++;
  mc_slice_to_str(m->topic, s->topic, sizeof s->topic);
}
static void s_acked(void *ctx, uint64_t token, mc_err err, uint8_t code)
{
  seen *s = ctx;
  if (err)
    s->failed++;
  else
    s->acked++;
  s->reason = code;
  s->last_token = token;
}
static void s_subscribed(void *ctx, uint16_t id, const uint8_t *code, size_t count)
{
  seen *s = ctx;
  s->subscribed++;
  s->code_count = count;
  memcpy(s->codes, code, count < 4 ? count : 4);
}

static bool start(broker *b, seen *s, mc_mqtt_client **c, uint32_t expiry, uint16_t window)
{
  *s = (seen){0};
  mc_why why;
  mc_listener_config lc = {.host = "127.0.0.1", .handler = &b_handler, .ctx = b};
  if (mc_listener_create(loop, &lc, &b->listener, &why))
    return false;
  mc_mqtt_client_config k = {.host = "127.0.0.1", .port = mc_listener_port(b->listener), .client_id = MC_LIT("car-1"), .keep_alive_s = 1,
                             .clean = !expiry, .session_expiry_s = expiry, .backoff_min_ms = 20, .backoff_max_ms = 40, .max_inflight = window,
                             .will_topic = MC_LIT("will/car-1"), .will_payload = MC_LIT("gone"), .ctx = s, .connected = s_connected,
                             .disconnected = s_disconnected, .message = s_message, .acked = s_acked, .subscribed = s_subscribed};
  if (mc_mqtt_client_create(loop, &k, c, &why))
    return false;
  mc_mqtt_client_start(*c);
  return true;
}

static void finish(broker *b, mc_mqtt_client **c)
{
  mc_mqtt_client_destroy(c);
  TURN_WHILE(loop, b->conn);
  mc_listener_destroy(&b->listener);
  mc_loop_turn(loop, 0);
}

static void test_connects_subscribes_and_publishes(void)
{
  broker b = {0};
  seen s;
  mc_mqtt_client *c;
  CHECK(start(&b, &s, &c, 0, 0));
  CHECK_INT(mc_mqtt_client_publish(c, MC_LIT("a"), MC_LIT("x"), 1, false, 1), MC_ERR_AGAIN);
  TURN_UNTIL(loop, s.connected == 1);
  CHECK_STR(b.client_id, "car-1");
  CHECK_STR(b.will_topic, "will/car-1");
  CHECK(mc_mqtt_client_is_connected(c));
  mc_mqtt_filter f[2] = {{MC_LIT("to/#"), 1, false, false, 0}, {MC_LIT("secret/#"), 0, false, false, 0}};
  CHECK_OK(mc_mqtt_client_subscribe(c, f, 2, NULL));
  TURN_UNTIL(loop, s.subscribed == 1 && s.messages == 1);
  CHECK_INT(s.code_count, 2);
  CHECK_INT(s.codes[1], MC_MQTT_NOT_AUTHORIZED);
  CHECK_STR(s.topic, "to/you");
  TURN_UNTIL(loop, b.held[0] == 7); /* PUBACK of the broker's message */
  CHECK_OK(mc_mqtt_client_publish(c, MC_LIT("t/1"), MC_LIT("x"), 0, false, 0));
  CHECK_OK(mc_mqtt_client_publish(c, MC_LIT("t/2"), MC_LIT("x"), 1, false, 99));
  CHECK_INT(mc_mqtt_client_inflight(c), 1);
  TURN_UNTIL(loop, s.acked == 1 && b.publishes == 2);
  CHECK_INT(s.last_token, 99);
  CHECK_INT(mc_mqtt_client_inflight(c), 0);
  CHECK_OK(mc_mqtt_client_publish(c, MC_LIT("denied"), MC_LIT("x"), 1, false, 5));
  TURN_UNTIL(loop, s.failed == 1);
  CHECK_INT(s.reason, MC_MQTT_NOT_AUTHORIZED);
  CHECK_INT(mc_mqtt_client_publish(c, MC_LIT("bad/#"), MC_LIT("x"), 1, false, 5), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_client_publish(c, MC_LIT("t"), MC_LIT("x"), 2, false, 5), MC_ERR_UNSUPPORTED);
  mc_mqtt_client_stop(c);
  TURN_UNTIL(loop, s.disconnected == 1 && b.disconnects == 1);
  for (int i = 0; i < 10; i++)
    mc_loop_turn(loop, 10);
  CHECK_INT(s.connected, 1); /* no reconnect after stop */
  finish(&b, &c);
}

static void test_window_bounds_what_is_in_flight(void)
{
  broker b = {.hold_acks = true, .receive_max = 3};
  seen s;
  mc_mqtt_client *c;
  CHECK(start(&b, &s, &c, 0, 8));
  TURN_UNTIL(loop, s.connected == 1);
  for (uint64_t i = 0; i < 3; i++)
    CHECK_OK(mc_mqtt_client_publish(c, MC_LIT("t"), MC_LIT("x"), 1, false, i));
  CHECK_INT(mc_mqtt_client_publish(c, MC_LIT("t"), MC_LIT("x"), 1, false, 3), MC_ERR_AGAIN);
  TURN_UNTIL(loop, b.held_count == 3);
  mc_mqtt_write_ack(mc_conn_out(b.conn), MC_MQTT_PUBACK, MC_MQTT_5, b.held[1], 0, (mc_slice){0}); /* out of order */
  mc_conn_dirty(b.conn);
  TURN_UNTIL(loop, s.acked == 1);
  CHECK_INT(s.last_token, 1);
  CHECK_OK(mc_mqtt_client_publish(c, MC_LIT("t"), MC_LIT("x"), 1, false, 3));
  finish(&b, &c);
}

static void test_thousands_of_publishes_reuse_identifiers(void)
{
  broker b = {0};
  seen s;
  mc_mqtt_client *c;
  CHECK(start(&b, &s, &c, 60, 200));
  TURN_UNTIL(loop, s.connected == 1);
  int sent = 0;
  for (int64_t until = mc_clock_mono_us() + 120000000; s.acked < 140000 && mc_clock_mono_us() < until;) {
    while (sent < 140000 && mc_mqtt_client_publish(c, MC_LIT("t"), MC_LIT("x"), 1, false, (uint64_t)sent) == MC_OK)
      sent++;
    mc_loop_turn(loop, 1);
  }
  CHECK_INT(s.acked, 140000);
  CHECK_INT(s.failed, 0);
  CHECK_INT(s.last_token, 139999);
  finish(&b, &c);
}

static void test_resumed_session_sends_again_with_dup(void)
{
  broker b = {.hold_acks = true};
  seen s;
  mc_mqtt_client *c;
  CHECK(start(&b, &s, &c, 300, 8));
  TURN_UNTIL(loop, s.connected == 1);
  CHECK_INT(b.session_expiry, 300);
  CHECK_OK(mc_mqtt_client_publish(c, MC_LIT("t"), MC_LIT("x"), 1, false, 41));
  CHECK_OK(mc_mqtt_client_publish(c, MC_LIT("t"), MC_LIT("y"), 1, false, 42));
  TURN_UNTIL(loop, b.held_count == 2);
  b.session_present = true;
  b.hold_acks = false;
  mc_conn_close(b.conn);
  TURN_UNTIL(loop, s.acked == 2);
  CHECK_INT(s.connected, 2);
  CHECK_INT(s.failed, 0);
  CHECK_INT(b.dups, 2);
  CHECK_INT(s.last_token, 42);
  finish(&b, &c);
}

static void test_lost_session_reports_what_was_in_flight(void)
{
  broker b = {.hold_acks = true};
  seen s;
  mc_mqtt_client *c;
  CHECK(start(&b, &s, &c, 300, 8));
  TURN_UNTIL(loop, s.connected == 1);
  CHECK_OK(mc_mqtt_client_publish(c, MC_LIT("t"), MC_LIT("x"), 1, false, 41));
  TURN_UNTIL(loop, b.held_count == 1);
  mc_conn_close(b.conn);
  TURN_UNTIL(loop, s.connected == 2);
  CHECK_INT(s.failed, 1);
  CHECK_INT(s.last_token, 41);
  CHECK_INT(mc_mqtt_client_inflight(c), 0);
  finish(&b, &c);
}

static void test_refusal_is_told_in_words_and_tried_again(void)
{
  broker b = {.refuse_with = MC_MQTT_NOT_AUTHORIZED};
  seen s;
  mc_mqtt_client *c;
  CHECK(start(&b, &s, &c, 0, 8));
  TURN_UNTIL(loop, s.disconnected >= 1);
  CHECK_INT(s.err, MC_ERR_DENIED);
  CHECK_INT(s.reason, MC_MQTT_NOT_AUTHORIZED);
  CHECK(strstr(s.text, "certificate 1a2b is revoked"));
  b.refuse_with = 0;
  TURN_UNTIL(loop, s.connected == 1);
  finish(&b, &c);
}

static void test_keep_alive_pings(void)
{
  broker b = {0};
  seen s;
  mc_mqtt_client *c;
  CHECK(start(&b, &s, &c, 0, 8));
  TURN_UNTIL(loop, b.pings >= 2);
  CHECK_INT(s.disconnected, 0);
  finish(&b, &c);
}

static void test_bad_configurations_are_refused(void)
{
  mc_mqtt_client *c;
  mc_why why;
  mc_mqtt_client_config k = {.host = "", .port = 1};
  CHECK_INT(mc_mqtt_client_create(loop, &k, &c, &why), MC_ERR_INVALID);
  k = (mc_mqtt_client_config){.host = "h", .port = 1, .version = 3};
  CHECK_INT(mc_mqtt_client_create(loop, &k, &c, &why), MC_ERR_INVALID);
  k = (mc_mqtt_client_config){.host = "h", .port = 1, .will_topic = MC_LIT("a/#")};
  CHECK_INT(mc_mqtt_client_create(loop, &k, &c, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "will");
  CHECK(!c);
}

int main(void)
{
  if (mc_loop_create(&loop, NULL))
    return 1;
  RUN(test_connects_subscribes_and_publishes);
  RUN(test_window_bounds_what_is_in_flight);
  RUN(test_thousands_of_publishes_reuse_identifiers);
  RUN(test_resumed_session_sends_again_with_dup);
  RUN(test_lost_session_reports_what_was_in_flight);
  RUN(test_refusal_is_told_in_words_and_tried_again);
  RUN(test_keep_alive_pings);
  RUN(test_bad_configurations_are_refused);
  mc_loop_destroy(&loop);
  return tap_done();
}
