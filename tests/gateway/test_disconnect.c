/* Why a connection ends: the reason code and words of each DISCONNECT (MQTT 5.0, 3.14), and how far they go. */
#include "rig.h"

static void quiet(void) { mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2); }

/* What a client with an open session sends, and what it is told. */
static const struct {
  const char *name;
  mc_slice bytes;
  uint8_t code;
  const char *words;
} told[] = {
    {"a remaining length of five bytes", MC_LIT("\xC0\xFF\xFF\xFF\xFF\x01"), 0x81, "remaining length"},
    {"flags that are reserved", MC_LIT("\xC1\x00"), 0x81, ""},
    {"text that is not UTF-8", MC_LIT("\x30\x06\x00\x02\xC3\x28\x00x"), 0x81, ""},
    {"a packet that only a server sends", MC_LIT("\xD0\x00"), 0x82, "only a server"},
    {"a second CONNECT", MC_LIT("\x10\x0D\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00"), 0x82, "second CONNECT"},
    {"a subscription identifier in PUBLISH", MC_LIT("\x30\x06\x00\x01x\x02\x0B\x01"), 0x82, "subscription identifier"},
    {"an alias that was not set", MC_LIT("\x30\x07\x00\x00\x03\x23\x00\x01x"), 0x82, "alias"},
    {"AUTH without a method", MC_LIT("\xF0\x02\x18\x00"), 0x82, ""},
    {"a session kept at the last moment", MC_LIT("\xE0\x07\x00\x05\x11\x00\x00\x00\x64"), 0x82, "CONNECT asked to end"},
    {"PUBREL without its flag", MC_LIT("\x60\x02\x00\x01"), 0x81, ""},
    {"a topic alias of 0", MC_LIT("\x30\x08\x00\x01x\x03\x23\x00\x00y"), 0x94, "alias"},
    {"a topic alias beyond the maximum", MC_LIT("\x30\x08\x00\x01x\x03\x23\x00\x11y"), 0x94, "1 to 16"},
    {"a packet beyond the maximum", MC_LIT("\x30\xFF\xFF\xFF\x7F"), 0x95, "larger than"},
};

static void test_each_mistake_has_its_reason(void)
{
  rig r = {0};
  rig_start(&r, 1);
  for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
    client a;
    CHECK(client_connect(&a, mc_gateway_port(r.g, true), 5, "mistaken", true, 0));
    client_send(&a, told[i].bytes);
    CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
    mc_slice words = a.packet.disconnect.props.reason;
    if (a.packet.disconnect.code != told[i].code || !words.len || !memmem(words.data, words.len, told[i].words, strlen(told[i].words)))
      TAP_FAIL("%s: got 0x%02x \"%.*s\"", told[i].name, a.packet.disconnect.code, MC_FMT(words));
    CHECK_INT(client_next(&a), CLIENT_CLOSED);
    client_close(&a);
  }
  client v4; /* 3.1.1 has no such packet: the connection just closes */
  CHECK(client_connect(&v4, mc_gateway_port(r.g, true), 4, "mistaken", true, 0));
  client_send(&v4, MC_LIT("\xC1\x00"));
  CHECK_INT(client_next(&v4), CLIENT_CLOSED);
  client_close(&v4);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_a_stop_is_told_to_all(void)
{
  rig r = {0};
  rig_start(&r, 2);
  client five, four;
  CHECK(client_connect(&five, mc_gateway_port(r.g, true), 5, "five", true, 0));
  CHECK(client_connect(&four, mc_gateway_port(r.g, true), 4, "four", true, 0));
  rig_stop(&r);
  CHECK_INT(client_next(&five), MC_MQTT_DISCONNECT);
  CHECK_INT(five.packet.disconnect.code, MC_MQTT_SHUTTING_DOWN);
  CHECK_INT(client_next(&five), CLIENT_CLOSED);
  CHECK_INT(client_next(&four), CLIENT_CLOSED);
  client_close(&five);
  client_close(&four);
  rig_remove(&r);
}

static int connect_as(client *c, uint16_t port, const char *id, uint32_t max_packet, int problem)
{
  mc_buf props = {0};
  if (max_packet)
    mc_mqtt_put_number(&props, 0x27, max_packet);
  if (problem >= 0)
    mc_mqtt_put_number(&props, 0x17, (uint32_t)problem);
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .clean = true, .props.raw = mc_buf_slice(&props)};
  int type = client_connect_with(c, port, with);
  mc_buf_free(&props);
  return type;
}

/* 3.1.2.11.7: words only for those who want them; 3.14.2.2.3: and only where they fit. */
static void test_words_are_left_out_where_they_are_not_wanted_or_do_not_fit(void)
{
  rig r = {0};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  static const struct { uint32_t max; int problem; bool words; } who[] = {{0, -1, true}, {0, 1, true}, {0, 0, false}, {40, -1, false}, {200, -1, true}};
  for (size_t i = 0; i < sizeof who / sizeof who[0]; i++) {
    client a;
    CHECK_INT(connect_as(&a, port, "words", who[i].max, who[i].problem), MC_MQTT_CONNACK);
    client_send(&a, MC_LIT("\xD0\x00"));
    CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
    CHECK_INT(a.packet.disconnect.code, MC_MQTT_PROTOCOL_ERROR);
    CHECK_INT(a.packet.disconnect.props.reason.len > 0, who[i].words);
    CHECK(!who[i].max || a.packet.size <= who[i].max);
    client_close(&a);
  }
  client a;
  CHECK_INT(connect_as(&a, port, "tiny", 5, -1), CLIENT_CLOSED); /* no CONNACK would fit (3.1.2-24) */
  client_close(&a);
  rig_stop(&r);
  rig_remove(&r);
}

/* 3.1.2-25: what is larger than the client takes is left out, as if it had been sent; the rest comes. */
static void test_a_message_that_does_not_fit_is_left_out(void)
{
  rig r = {0};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  for (uint8_t qos = 0; qos < 3; qos++) {
    client a, s;
    char large[100];
    memset(large, 'l', sizeof large - 1);
    large[sizeof large - 1] = 0;
    CHECK(client_connect(&a, port, 5, "publisher", true, 0));
    CHECK_INT(connect_as(&s, port, "small", 60, -1), MC_MQTT_CONNACK);
    CHECK_INT(client_subscribe(&s, "fits", qos), qos);
    for (int i = 0; i < 3; i++) {
      client_put_publish(&a, "fits", i == 1 ? large : "small", qos, false, (uint16_t)(i + 1));
      client_flush(&a);
      if (qos)
        CHECK_INT(client_next(&a), qos == 2 ? MC_MQTT_PUBREC : MC_MQTT_PUBACK);
    }
    for (int i = 0; i < 2; i++) {
      CHECK_INT(client_next(&s), MC_MQTT_PUBLISH);
      CHECK_SLICE(s.packet.publish.payload, "small");
      CHECK(s.packet.size <= 60);
    }
    CHECK_INT(client_next_within(&s, 50), CLIENT_QUIET);
    client_close(&a);
    client_close(&s);
  }
  rig_stop(&r);
  rig_remove(&r);
}

int main(void)
{
  quiet();
  RUN(test_each_mistake_has_its_reason);
  RUN(test_a_stop_is_told_to_all);
  RUN(test_words_are_left_out_where_they_are_not_wanted_or_do_not_fit);
  RUN(test_a_message_that_does_not_fit_is_left_out);
  return tap_done();
}
