/* One gateway with two loops; clients with raw sockets; everything over the wire. */
#include "rig.h"

static rig server;
static uint16_t port;

static mc_slice reason_of(const mc_mqtt_props *p) { return p->reason; }

static bool holds(mc_slice text, const char *part) { return text.len && memmem(text.data, text.len, part, strlen(part)) != NULL; }

static bool event_says(const char *client_id, const char *part)
{
  static mc_connection_event e[512];
  size_t n = mc_gateway_events(server.g, 1, e, 512);
  for (size_t i = 0; i < n; i++)
    if (!strcmp(e[i].client_id, client_id) && strstr(e[i].text, part))
      return true;
  return false;
}

static bool info_of(const char *client_id, mc_client_info *out)
{
  mc_arena arena = MC_ARENA(0);
  mc_client_info *list;
  size_t count;
  bool found = false;
  if (mc_gateway_clients(server.g, 1, MC_LIT(""), 10000, &arena, &list, &count, NULL) == MC_OK)
    for (size_t i = 0; i < count; i++)
      if (!strcmp(list[i].client_id, client_id)) {
        *out = list[i];
        found = true;
      }
  mc_arena_free(&arena);
  return found;
}

static void between(uint8_t from, uint8_t to, uint8_t qos)
{
  client a, b;
  CHECK(client_connect(&a, port, from, "between-a", true, 0));
  CHECK(client_connect(&b, port, to, "between-b", true, 0));
  CHECK_INT(client_subscribe(&b, "t/+/x", qos), qos);
  client_put_publish(&a, "t/1/x", "hello", qos, false, 5);
  client_flush(&a);
  if (qos) {
    CHECK_INT(client_next(&a), MC_MQTT_PUBACK);
    CHECK_INT(a.packet.ack.packet_id, 5);
  }
  CHECK_RECEIVES(&b, "t/1/x", "hello");
  client_close(&a);
  client_close(&b);
}

static void test_delivers_both_qos_between_both_versions(void)
{
  for (uint8_t from = 4; from <= 5; from++)
    for (uint8_t to = 4; to <= 5; to++)
      for (uint8_t qos = 0; qos <= 1; qos++) {
        between(from, to, qos);
        if (tap_this_failed)
          return;
      }
}

static void test_reaches_subscribers_on_every_loop(void)
{
  client sub[8], pub;
  for (int i = 0; i < 8; i++) {
    char id[32];
    snprintf(id, sizeof id, "loops-%d", i);
    CHECK(client_connect(&sub[i], port, 5, id, true, 0));
    CHECK_INT(client_subscribe(&sub[i], "loops/#", 1), 1);
  }
  CHECK(client_connect(&pub, port, 4, "loops-p", true, 0));
  for (int k = 0; k < 20; k++) {
    client_put_publish(&pub, "loops/q1", "one", 1, false, (uint16_t)(k + 1));
    client_put_publish(&pub, "loops/q0", "zero", 0, false, 0);
  }
  client_flush(&pub);
  for (int k = 0; k < 20; k++)
    CHECK_INT(client_next(&pub), MC_MQTT_PUBACK);
  for (int i = 0; i < 8; i++) {
    int one = 0, zero = 0;
    for (int k = 0; k < 40; k++) {
      CHECK_INT(client_next(&sub[i]), MC_MQTT_PUBLISH);
      if (sub[i].packet.publish.qos) {
        one++;
        client_ack(&sub[i]);
      } else {
        zero++;
      }
    }
    CHECK_INT(one, 20);
    CHECK_INT(zero, 20);
    client_close(&sub[i]);
  }
  client_close(&pub);
}

static void test_keeps_order_per_publisher_and_topic(void)
{
  client a, b;
  char text[32];
  CHECK(client_connect(&a, port, 4, "order-a", true, 0));
  CHECK(client_connect(&b, port, 4, "order-b", true, 0));
  CHECK_INT(client_subscribe(&b, "order", 1), 1);
  enum { N = 5000 };
  for (int i = 0; i < N; i++) {
    snprintf(text, sizeof text, "%d", i);
    client_put_publish(&a, "order", text, 1, false, (uint16_t)(i % 1000 + 1));
    if (i % 100 == 99) {
      client_flush(&a);
      for (int k = 0; k < 100; k++)
        CHECK_INT(client_next(&a), MC_MQTT_PUBACK);
    }
  }
  for (int i = 0; i < N; i++) {
    snprintf(text, sizeof text, "%d", i);
    CHECK_RECEIVES(&b, "order", text);
  }
  client_close(&a);
  client_close(&b);
}

static void test_gives_retained_messages_to_new_subscribers(void)
{
  client a, b;
  CHECK(client_connect(&a, port, 5, "retain-a", true, 0));
  CHECK_INT(client_publish(&a, "retain/1", "first", true), 0);
  CHECK_INT(client_publish(&a, "retain/1", "kept", true), 0);
  CHECK_INT(client_publish(&a, "retain/2", "other", true), 0);
  CHECK(client_connect(&b, port, 5, "retain-b", true, 0));
  CHECK_INT(client_subscribe(&b, "retain/+", 1), 1);
  bool kept = false, other = false;
  for (int i = 0; i < 2; i++) {
    CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
    CHECK(b.packet.publish.retain);
    CHECK_INT(b.packet.publish.qos, 1);
    kept |= mc_slice_eq_str(b.packet.publish.payload, "kept");
    other |= mc_slice_eq_str(b.packet.publish.payload, "other");
    client_ack(&b);
  }
  CHECK(kept && other);
  CHECK_INT(client_publish(&a, "retain/1", "live", true), 0);
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH); /* to an established subscription: RETAIN 0 (3.3.1-12) */
  CHECK(!b.packet.publish.retain);
  client_ack(&b);
  CHECK_INT(client_publish(&a, "retain/1", "", true), 0);
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  client_ack(&b);
  CHECK_INT(client_publish(&a, "retain/2", "", true), 0);
  client_close(&b);
  CHECK(client_connect(&b, port, 4, "retain-c", true, 0));
  CHECK_INT(client_subscribe(&b, "retain/+", 1), 1);
  CHECK_INT(client_next_within(&b, 100), CLIENT_QUIET);
  client_close(&a);
  client_close(&b);
}

static void test_subscription_options_and_identifiers_of_version_5(void)
{
  client a, b;
  mc_buf props = {0};
  CHECK(client_connect(&a, port, 5, "options-a", true, 0));
  CHECK(client_connect(&b, port, 5, "options-b", true, 0));
  mc_mqtt_filter f = {.filter = MC_LIT("options/#"), .qos = 1, .no_local = true, .retain_as_published = true, .retain_handling = 2};
  mc_mqtt_put_number(&props, 0x0B, 321);
  mc_mqtt_write_subscribe(&a.out, 5, 3, &f, 1, mc_buf_slice(&props));
  client_flush(&a);
  CHECK_INT(client_next(&a), MC_MQTT_SUBACK);
  CHECK_INT(client_publish(&a, "options/x", "own", false), 0); /* no local: not back to us */
  CHECK_INT(client_publish(&b, "options/x", "theirs", true), 0);
  CHECK_INT(client_next(&a), MC_MQTT_PUBLISH);
  CHECK_SLICE(a.packet.publish.payload, "theirs");
  CHECK(a.packet.publish.retain);
  CHECK_INT(a.packet.publish.props.sub_id, 321);
  client_ack(&a);
  mc_mqtt_write_subscribe(&a.out, 5, 4, &f, 1, mc_buf_slice(&props));
  client_flush(&a);
  CHECK_INT(client_next(&a), MC_MQTT_SUBACK);
  CHECK_INT(client_next_within(&a, 100), CLIENT_QUIET); /* retain handling 2 */
  CHECK_INT(client_publish(&b, "options/x", "", true), 0);
  mc_buf_free(&props);
  client_close(&a);
  client_close(&b);
}

static void test_passes_properties_on_and_lowers_the_expiry(void)
{
  client a, b;
  mc_buf props = {0};
  CHECK(client_connect(&a, port, 5, "props-a", true, 0));
  CHECK(client_connect(&b, port, 5, "props-b", true, 3600));
  CHECK_INT(client_subscribe(&b, "props", 1), 1);
  client_close(&b);
  int64_t began = now_ms();
  mc_mqtt_put_number(&props, 0x01, 1);
  mc_mqtt_put_number(&props, 0x02, 100);
  mc_mqtt_put_text(&props, 0x03, MC_LIT("text/plain"));
  mc_mqtt_put_text(&props, 0x08, MC_LIT("answer/here"));
  mc_mqtt_put_number(&props, 0x23, 1); /* alias: of this connection only */
  mc_mqtt_put_user(&props, MC_LIT("k"), MC_LIT("v1"));
  mc_mqtt_put_user(&props, MC_LIT("k"), MC_LIT("v2"));
  mc_mqtt_publish p = {.topic = MC_LIT("props"), .payload = MC_LIT("x"), .qos = 1, .packet_id = 1};
  mc_mqtt_write_publish(&a.out, 5, &p, mc_buf_slice(&props));
  client_flush(&a);
  CHECK_INT(client_next(&a), MC_MQTT_PUBACK);
  mc_buf_clear(&props);
  mc_mqtt_put_number(&props, 0x23, 1);
  mc_mqtt_put_number(&props, 0x02, 1); /* gone after a second */
  p = (mc_mqtt_publish){.payload = MC_LIT("by alias"), .qos = 1, .packet_id = 2};
  mc_mqtt_write_publish(&a.out, 5, &p, mc_buf_slice(&props));
  client_flush(&a);
  CHECK_INT(client_next(&a), MC_MQTT_PUBACK);
  CHECK_INT(client_publish(&a, "props", "last", false), 0);
  usleep(2100000);
  CHECK(client_connect(&b, port, 5, "props-b", false, 3600));
  CHECK(b.packet.connack.session_present);
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  CHECK_SLICE(b.packet.publish.topic, "props");
  CHECK_SLICE(b.packet.publish.props.content_type, "text/plain");
  CHECK_SLICE(b.packet.publish.props.response_topic, "answer/here");
  CHECK_INT(b.packet.publish.props.payload_format, 1);
  CHECK(!(b.packet.publish.props.present & MC_MQTT_P_ALIAS));
  CHECK(b.packet.publish.props.expiry_s + (now_ms() - began) / 1000 >= 98 && b.packet.publish.props.expiry_s <= 98);
  mc_mqtt_property property;
  size_t users = 0;
  for (size_t at = 0; mc_mqtt_property_next(b.packet.publish.props.raw, &at, &property);)
    users += property.id == 0x26;
  CHECK_INT(users, 2);
  client_ack(&b);
  CHECK_RECEIVES(&b, "props", "last");
  mc_buf_free(&props);
  client_close(&a);
  client_close(&b);
}

static void test_keeps_messages_for_an_absent_session(void)
{
  for (uint8_t version = 4; version <= 5; version++) {
    client a, b;
    char text[32];
    CHECK(client_connect(&b, port, version, "absent-b", true, 0)); /* clean: forgets what a former run left */
    client_disconnect(&b);
    client_close(&b);
    CHECK(client_connect(&b, port, version, "absent-b", false, 3600));
    CHECK(!b.packet.connack.session_present);
    CHECK_INT(client_subscribe(&b, "absent", 1), 1);
    client_disconnect(&b);
    client_close(&b);
    CHECK(client_connect(&a, port, 4, "absent-a", true, 0));
    for (int i = 0; i < 300; i++) {
      snprintf(text, sizeof text, "m%d", i);
      CHECK_INT(client_publish(&a, "absent", text, false), 0);
    }
    mc_client_info info;
    CHECK_SOON(info_of("absent-b", &info) && info.queued == 300);
    CHECK(client_connect(&b, port, version, "absent-b", false, 3600));
    CHECK(b.packet.connack.session_present);
    for (int i = 0; i < 300; i++) {
      snprintf(text, sizeof text, "m%d", i);
      CHECK_RECEIVES(&b, "absent", text);
    }
    CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET);
    client_close(&a);
    client_close(&b);
  }
}

static void test_sends_unacknowledged_messages_again_with_dup(void)
{
  client a, b;
  CHECK(client_connect(&a, port, 5, "again-a", true, 0));
  CHECK(client_connect(&b, port, 5, "again-b", true, 3600));
  CHECK_INT(client_subscribe(&b, "again", 1), 1);
  CHECK_INT(client_publish(&a, "again", "one", false), 0);
  CHECK_INT(client_publish(&a, "again", "two", false), 0);
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  uint16_t first = b.packet.publish.packet_id;
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  client_ack(&b); /* the second only */
  CHECK_PING(&b);
  client_close(&b);
  CHECK(client_connect(&b, port, 5, "again-b", false, 3600));
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  CHECK_SLICE(b.packet.publish.payload, "one");
  CHECK(b.packet.publish.dup);
  CHECK_INT(b.packet.publish.packet_id, first);
  client_ack(&b);
  CHECK_INT(client_next_within(&b, 100), CLIENT_QUIET);
  client_close(&a);
  client_close(&b);
}

static void test_honours_the_clients_receive_maximum(void)
{
  client a, b;
  mc_buf props = {0};
  CHECK(client_connect(&a, port, 5, "window-a", true, 0));
  mc_mqtt_put_number(&props, 0x21, 3);
  mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("window-b"), .clean = true, .props.raw = mc_buf_slice(&props)};
  CHECK_INT(client_connect_with(&b, port, with), MC_MQTT_CONNACK);
  CHECK_INT(client_subscribe(&b, "window", 1), 1);
  for (int i = 0; i < 10; i++)
    CHECK_INT(client_publish(&a, "window", "x", false), 0);
  for (int i = 0; i < 3; i++)
    CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  CHECK_INT(client_next_within(&b, 100), CLIENT_QUIET);
  client_ack(&b);
  mc_mqtt_write_ack(&b.out, MC_MQTT_PUBACK, 5, 1, 0, (mc_slice){0});
  mc_mqtt_write_ack(&b.out, MC_MQTT_PUBACK, 5, 2, 0, (mc_slice){0});
  client_flush(&b);
  for (int i = 0; i < 7; i++) {
    CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
    client_ack(&b);
  }
  mc_buf_free(&props);
  client_close(&a);
  client_close(&b);
}

static void test_take_over_tells_both_addresses(void)
{
  for (int i = 0; i < 6; i++) { /* the kernel spreads them over both loops */
    client a, b;
    CHECK(client_connect(&a, port, 5, "twice", i % 2, 3600));
    CHECK_INT(client_subscribe(&a, "twice", 1), 1);
    CHECK(client_connect(&b, port, 5, "twice", false, 3600));
    CHECK(b.packet.connack.session_present);
    CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
    CHECK_INT(a.packet.disconnect.code, MC_MQTT_TAKEN_OVER);
    CHECK(holds(reason_of(&a.packet.disconnect.props), "connected from 127.0.0.1:"));
    CHECK_INT(client_next(&a), CLIENT_CLOSED);
    CHECK_INT(client_publish(&b, "twice", "mine", false), 0);
    CHECK_RECEIVES(&b, "twice", "mine");
    client_disconnect(&b);
    CHECK_INT(client_next(&b), CLIENT_CLOSED);
    client_close(&a);
    client_close(&b);
  }
  CHECK(event_says("twice", "taken over"));
}

static void test_take_over_of_a_session_that_ends_starts_a_new_one(void)
{
  for (int i = 0; i < 6; i++) {
    client a, b;
    CHECK(client_connect(&a, port, 4, "ends", true, 0));
    CHECK_INT(client_subscribe(&a, "ends", 1), 1);
    CHECK(client_connect(&b, port, 4, "ends", false, 0));
    CHECK(!b.packet.connack.session_present);
    CHECK_INT(client_next(&a), CLIENT_CLOSED);
    CHECK_INT(client_publish(&b, "ends", "x", false), 0);
    CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET); /* the old subscription is gone */
    client_close(&a);
    client_close(&b);
    CHECK(client_connect(&b, port, 4, "ends", true, 0));
    client_disconnect(&b);
    client_close(&b);
  }
}

static mc_mqtt_connect with_will(const char *id, uint8_t qos, mc_slice will_props)
{
  return (mc_mqtt_connect){.version = 5, .client_id = mc_slice_str(id), .clean = true, .keep_alive_s = 1, .has_will = true, .will_qos = qos,
                           .will_topic = MC_LIT("will/of"), .will_payload = mc_slice_str(id), .will_props.raw = will_props};
}

static void test_publishes_the_will_when_a_client_is_lost_and_not_when_it_leaves(void)
{
  client watch, a;
  CHECK(client_connect(&watch, port, 5, "will-watch", true, 0));
  CHECK_INT(client_subscribe(&watch, "will/#", 1), 1);
  for (uint8_t qos = 0; qos <= 1; qos++) {
    CHECK_INT(client_connect_with(&a, port, with_will("will-lost", qos, (mc_slice){0})), MC_MQTT_CONNACK);
    client_close(&a);
    CHECK_RECEIVES(&watch, "will/of", "will-lost");
  }
  CHECK_INT(client_connect_with(&a, port, with_will("will-left", 1, (mc_slice){0})), MC_MQTT_CONNACK);
  client_disconnect(&a);
  CHECK_INT(client_next(&a), CLIENT_CLOSED);
  client_close(&a);
  CHECK_INT(client_connect_with(&a, port, with_will("will-asked", 1, (mc_slice){0})), MC_MQTT_CONNACK);
  mc_mqtt_write_disconnect(&a.out, 5, MC_MQTT_DISCONNECT_WITH_WILL, (mc_slice){0});
  client_flush(&a);
  CHECK_RECEIVES(&watch, "will/of", "will-asked");
  client_close(&a);
  client_close(&watch);
}

static void test_a_delayed_will_waits_and_is_withdrawn_when_the_client_returns(void)
{
  client watch, a;
  mc_buf props = {0}, will = {0};
  mc_mqtt_put_number(&props, 0x11, 100);
  mc_mqtt_put_number(&will, 0x18, 2);
  CHECK(client_connect(&watch, port, 5, "delay-watch", true, 0));
  CHECK_INT(client_subscribe(&watch, "will/#", 1), 1);
  mc_mqtt_connect with = with_will("delay-a", 1, mc_buf_slice(&will));
  with.props.raw = mc_buf_slice(&props);
  with.keep_alive_s = 60;
  CHECK_INT(client_connect_with(&a, port, with), MC_MQTT_CONNACK);
  client_close(&a);
  CHECK_INT(client_next_within(&watch, 300), CLIENT_QUIET);
  with.clean = false;
  CHECK_INT(client_connect_with(&a, port, with), MC_MQTT_CONNACK); /* back in time */
  CHECK(a.packet.connack.session_present);
  CHECK_INT(client_next_within(&watch, 1900), CLIENT_QUIET);
  int64_t lost = now_ms();
  client_close(&a);
  CHECK_RECEIVES(&watch, "will/of", "delay-a");
  CHECK(now_ms() - lost >= 1900);
  mc_buf_free(&props);
  mc_buf_free(&will);
  client_close(&watch);
}

static void test_ends_a_silent_client_at_one_and_a_half_keep_alives(void)
{
  int64_t waited = INT64_MAX;
  for (int i = 0; i < 5 && waited >= 3900; i++) { /* once more when the machine was too slow to tell */
    client a;
    mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("silent"), .clean = true, .keep_alive_s = 2};
    CHECK_INT(client_connect_with(&a, port, with), MC_MQTT_CONNACK);
    usleep(900000);
    int64_t since = now_ms();
    CHECK_PING(&a);
    CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
    CHECK_INT(a.packet.disconnect.code, MC_MQTT_KEEP_ALIVE_TIMEOUT);
    waited = now_ms() - since;
    CHECK(waited >= 2900);
    CHECK_INT(client_next(&a), CLIENT_CLOSED);
    client_close(&a);
  }
  CHECK(waited < 3900);
}

static void test_ends_a_session_when_it_expires(void)
{
  client a;
  CHECK(client_connect(&a, port, 5, "expires", true, 3));
  CHECK_INT(client_subscribe(&a, "expires", 1), 1);
  client_disconnect(&a);
  client_close(&a);
  mc_client_info info;
  CHECK(info_of("expires", &info));
  CHECK_SOON(!info_of("expires", &info));
  CHECK(client_connect(&a, port, 5, "expires", false, 1));
  CHECK(!a.packet.connack.session_present);
  client_close(&a);
}

/* What must not be done, and what the client is told. */
static void test_tells_why_it_refuses(void)
{
  client a;
  CHECK(client_connect(&a, port, 5, "refused", true, 0));
  CHECK(!(a.packet.connack.props.present & MC_MQTT_P_MAX_QOS)); /* all three (MQTT 5.0, 3.2.2.3.4) */
  CHECK_INT(a.packet.connack.props.receive_max, 1024);
  CHECK(!(a.packet.connack.props.present & MC_MQTT_P_SHARED_AVAILABLE)); /* absent: available (3.2.2.3.13) */
  CHECK_INT(client_publish(&a, "$aws/things/other/shadow/update", "y", false) >= 0x80, 1);
  CHECK_INT(client_subscribe(&a, "x", 2), 2);
  client_send(&a, MC_LIT("\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00"));
  CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
  CHECK_INT(a.packet.disconnect.code, MC_MQTT_PROTOCOL_ERROR);
  client_close(&a);
}

/* What the first CONNECT of an unknown version is refused with (0x84) is no reason that a DISCONNECT may give (MQTT 5.0, 3.14.2.1). */
static void test_a_second_connect_is_a_protocol_error_whatever_is_in_it(void)
{
  static const char *const second[] = {"\x10\x0d\x00\x04MQTT\x2d\x02\x00\x00\x00\x00\x00", "\x10\x0d\x00\x04MQTX\x05\x02\x00\x00\x00\x00\x00"};
  for (size_t i = 0; i < 2; i++) {
    client a;
    CHECK(client_connect(&a, port, 5, "twice", true, 0));
    client_send(&a, mc_slice_of(second[i], 15));
    CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
    CHECK_INT(a.packet.disconnect.code, MC_MQTT_PROTOCOL_ERROR);
    client_close(&a);
  }
}

static void test_a_third_version_gets_the_refusal_it_understands(void)
{
  client a;
  uint8_t bytes[8];
  client_dial(&a, port, 4);
  client_send(&a, MC_LIT("\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00"));
  struct pollfd p = {.fd = a.fd, .events = POLLIN};
  CHECK_INT(poll(&p, 1, PATIENCE_MS), 1);
  CHECK_INT(recv(a.fd, bytes, sizeof bytes, 0), 4);
  CHECK(memcmp(bytes, "\x20\x02\x00\x01", 4) == 0);
  client_close(&a);
}

static void test_takes_packets_cut_at_every_byte(void)
{
  mc_buf all = {0};
  mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("cut"), .clean = true, .keep_alive_s = 10};
  mc_mqtt_filter f = {.filter = MC_LIT("cut/+"), .qos = 1};
  mc_mqtt_publish m = {.topic = MC_LIT("cut/1"), .payload = MC_LIT("payload"), .qos = 1, .packet_id = 9};
  mc_mqtt_write_connect(&all, &with);
  mc_mqtt_write_subscribe(&all, 5, 2, &f, 1, (mc_slice){0});
  mc_mqtt_write_publish(&all, 5, &m, (mc_slice){0});
  mc_mqtt_write_ping(&all, MC_MQTT_PINGREQ);
  for (size_t cut = 1; cut < all.len; cut++) {
    client a;
    client_dial(&a, port, 5);
    client_send(&a, mc_slice_of(all.data, cut));
    usleep(300);
    client_send(&a, mc_slice_of(all.data + cut, all.len - cut));
    unsigned seen = 0;
    for (int i = 0; i < 5; i++) {
      int type = client_next(&a);
      if (type <= 0)
        TAP_FAIL("cut at %zu: packet %d is %d", cut, i, type);
      seen |= 1u << type;
    }
    CHECK_INT(seen, 1 << MC_MQTT_CONNACK | 1 << MC_MQTT_SUBACK | 1 << MC_MQTT_PUBACK | 1 << MC_MQTT_PINGRESP | 1 << MC_MQTT_PUBLISH);
    client_close(&a);
  }
  mc_buf_free(&all);
}

static void test_damaged_packets_end_only_their_own_connection(void)
{
  client good, bad;
  CHECK(client_connect(&good, port, 5, "good", true, 0));
  mc_buf all = {0};
  mc_mqtt_publish m = {.topic = MC_LIT("bad/1"), .payload = MC_LIT("payload"), .qos = 1, .packet_id = 9};
  mc_mqtt_filter f = {.filter = MC_LIT("bad/+"), .qos = 1};
  mc_mqtt_write_publish(&all, 5, &m, (mc_slice){0});
  mc_mqtt_write_subscribe(&all, 5, 2, &f, 1, (mc_slice){0});
  for (size_t i = 0; i < all.len; i++) {
    uint8_t was = all.data[i];
    for (int k = 0; k < 3; k++) {
      CHECK(client_connect(&bad, port, 5, "bad", true, 0));
      all.data[i] = (uint8_t)(k == 0 ? 0xFF : k == 1 ? was ^ 0x80 : 0);
      client_send(&bad, mc_buf_slice(&all));
      client_close(&bad);
    }
    all.data[i] = was;
  }
  CHECK_INT(client_publish(&good, "good", "still here", false), 0);
  mc_buf_free(&all);
  client_close(&good);
}

static void test_the_platform_publishes_to_vehicles(void)
{
  client a;
  mc_why why;
  CHECK(client_connect(&a, port, 5, "platform", true, 0));
  CHECK_INT(client_subscribe(&a, "cms/fleetwise/vehicles/platform/#", 1), 1);
  for (uint8_t qos = 0; qos <= 1; qos++) {
    CHECK_OK(mc_gateway_publish(server.g, 1, MC_LIT("cms/fleetwise/vehicles/platform/schemes"), MC_LIT("doc"), qos, false, &why));
    CHECK_RECEIVES(&a, "cms/fleetwise/vehicles/platform/schemes", "doc");
    CHECK_INT(a.packet.publish.qos, qos);
  }
  CHECK_OK(mc_gateway_publish(server.g, 2, MC_LIT("cms/fleetwise/vehicles/platform/schemes"), MC_LIT("other tenant"), 1, false, &why));
  CHECK_INT(client_next_within(&a, 100), CLIENT_QUIET);
  CHECK_INT(mc_gateway_publish(server.g, 1, MC_LIT("a/+"), MC_LIT("x"), 1, false, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "wildcards");
  CHECK_INT(mc_gateway_publish(server.g, 1, MC_LIT("a"), MC_LIT("x"), 2, false, &why), MC_ERR_INVALID);
  CHECK_INT(mc_gateway_publish(server.g, 1, MC_LIT(""), MC_LIT("x"), 1, false, &why), MC_ERR_INVALID);
  client_close(&a);
}

static void test_fleetwise_topics_go_to_their_own_streams(void)
{
  CHECK_INT(mc_gateway_stream_of_topic(MC_LIT("$aws/iotfleetwise/vehicles/v1/signals")), MC_STREAM_TELEMETRY);
  CHECK_INT(mc_gateway_stream_of_topic(MC_LIT("cms/fleetwise/vehicles/v1/signals")), MC_STREAM_TELEMETRY);
  CHECK_INT(mc_gateway_stream_of_topic(MC_LIT("cms/fleetwise/vehicles/v1/checkins")), MC_STREAM_CHECKIN);
  static const char *const plain[] = {"cms/fleetwise/vehicles//signals", "cms/fleetwise/vehicles/v1/signals/x", "cms/fleetwise/vehicles/v1", "x/cms/fleetwise/vehicles/v1/signals",
                                      "cms/fleetwise/vehicles/v1/x/signals", "", "cms/fleetwise/vehicles/"};
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    CHECK_INT(mc_gateway_stream_of_topic(mc_slice_str(plain[i])), MC_STREAM_MESSAGE);
  uint64_t from = mc_journal_end_offset(server.journal);
  client a;
  CHECK(client_connect(&a, port, 4, "v1", true, 0));
  client_put_publish(&a, "cms/fleetwise/vehicles/v1/signals", "data", 0, false, 0); /* QoS 0: durable all the same */
  client_flush(&a);
  mc_journal_reader *reader;
  mc_record record;
  mc_why why;
  CHECK_OK(mc_journal_wait(server.journal, from, PATIENCE_MS));
  CHECK_OK(mc_journal_reader_create(server.journal, from, (mc_journal_filter){.streams = 1u << MC_STREAM_TELEMETRY}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &record, &why));
  CHECK_SLICE(record.topic, "cms/fleetwise/vehicles/v1/signals");
  CHECK_SLICE(record.payload, "data");
  CHECK_INT(record.tenant, 1);
  CHECK_INT(record.partition, mc_journal_partition_of(MC_LIT("v1")));
  mc_journal_reader_destroy(&reader);
  client_close(&a);
}

static void test_shows_clients_and_sums(void)
{
  client a;
  CHECK(client_connect(&a, port, 5, "shown", true, 60));
  CHECK_INT(client_subscribe(&a, "shown/#", 1), 1);
  CHECK_INT(client_publish(&a, "elsewhere", "x", false), 0);
  mc_client_info info;
  CHECK(info_of("shown", &info));
  CHECK(info.connected);
  CHECK_INT(info.version, 5);
  CHECK_INT(info.subscriptions, 1);
  CHECK_INT(info.received, 1);
  CHECK_INT(info.keep_alive_s, 60);
  CHECK(strstr(info.address, "127.0.0.1:"));
  client_close(&a);
  CHECK_SOON(info_of("shown", &info) && !info.connected && strstr(info.last_error, "without a DISCONNECT"));
  mc_arena arena = MC_ARENA(0);
  mc_client_info *list;
  size_t count;
  CHECK_OK(mc_gateway_clients(server.g, 1, MC_LIT("showm"), 1, &arena, &list, &count, NULL));
  CHECK_INT(count, 1);
  CHECK_STR(list[0].client_id, "shown");
  CHECK_OK(mc_gateway_clients(server.g, 99, MC_LIT(""), 10, &arena, &list, &count, NULL));
  CHECK_INT(count, 0);
  mc_arena_free(&arena);
  mc_gateway_stats stats;
  mc_gateway_stats_get(server.g, &stats);
  CHECK(stats.received > 0 && stats.acknowledged > 0 && stats.delivered > 0 && stats.bytes_in > 0 && stats.bytes_out > 0);
  CHECK(event_says("shown", "connected: MQTT 5"));
}

static void test_a_client_that_never_speaks_is_let_go(void)
{
  client a;
  client_dial(&a, port, 5);
  int64_t since = now_ms();
  CHECK_INT(client_next(&a), CLIENT_CLOSED);
  CHECK(now_ms() - since < 9000); /* without the setting it would be 10 s */
  client_close(&a);
  client_dial(&a, port, 5);
  client_send(&a, MC_LIT("GET / HTTP/1.1\r\n\r\n"));
  CHECK_INT(client_next(&a), CLIENT_CLOSED);
  client_close(&a);
}

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  server.limits.connect_timeout_ms = 1000;
  rig_start(&server, 2);
  port = mc_gateway_port(server.g, true);
  RUN(test_delivers_both_qos_between_both_versions);
  RUN(test_reaches_subscribers_on_every_loop);
  RUN(test_keeps_order_per_publisher_and_topic);
  RUN(test_gives_retained_messages_to_new_subscribers);
  RUN(test_subscription_options_and_identifiers_of_version_5);
  RUN(test_passes_properties_on_and_lowers_the_expiry);
  RUN(test_keeps_messages_for_an_absent_session);
  RUN(test_sends_unacknowledged_messages_again_with_dup);
  RUN(test_honours_the_clients_receive_maximum);
  RUN(test_take_over_tells_both_addresses);
  RUN(test_take_over_of_a_session_that_ends_starts_a_new_one);
  RUN(test_publishes_the_will_when_a_client_is_lost_and_not_when_it_leaves);
  RUN(test_a_delayed_will_waits_and_is_withdrawn_when_the_client_returns);
  RUN(test_ends_a_silent_client_at_one_and_a_half_keep_alives);
  RUN(test_ends_a_session_when_it_expires);
  RUN(test_tells_why_it_refuses);
  RUN(test_a_second_connect_is_a_protocol_error_whatever_is_in_it);
  RUN(test_a_third_version_gets_the_refusal_it_understands);
  RUN(test_takes_packets_cut_at_every_byte);
  RUN(test_damaged_packets_end_only_their_own_connection);
  RUN(test_the_platform_publishes_to_vehicles);
  RUN(test_fleetwise_topics_go_to_their_own_streams);
  RUN(test_shows_clients_and_sums);
  RUN(test_a_client_that_never_speaks_is_let_go);
  rig_stop(&server);
  rig_remove(&server);
  return tap_done();
}
