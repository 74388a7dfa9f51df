/* The MQTT codec: every packet written and read back, and every rule that the byte-level data does not touch. */
#include "format/mqtt.h"
#include "tap.h"

static mc_slice S(const char *text) { return mc_slice_str(text); }

static mc_buf unhex(const char *text)
{
  mc_buf b = {0};
  for (; *text; text++) {
    unsigned v;
    if (*text == ' ' || sscanf(text, "%2x", &v) != 1)
      continue;
    if (mc_buf_append_u8(&b, (uint8_t)v))
      abort();
    text++;
  }
  return b;
}

/* Parses a copy of exact size (the sanitizer sees the end); the packet borrows from *keep, which the caller frees. */
static mc_err parse(const mc_buf *b, uint8_t version, mc_mqtt_packet *p, uint8_t *reason, mc_why *why, uint8_t **keep)
{
  *keep = malloc(b->len ? b->len : 1);
  if (!*keep)
    abort();
  if (b->len)
    memcpy(*keep, b->data, b->len);
  return mc_mqtt_parse(mc_slice_of(*keep, b->len), version, p, reason, why);
}

/* ---- refusals ---- */
typedef struct refusal {
  uint8_t version, reason;
  const char *bytes, *why;
} refusal;

static void refused(const refusal *cases, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    mc_buf in = unhex(cases[i].bytes);
    mc_mqtt_packet p;
    mc_why why = {0};
    uint8_t reason = 0;
    uint8_t *keep;
    mc_err err = parse(&in, cases[i].version, &p, &reason, &why, &keep);
    free(keep);
    mc_buf_free(&in);
    if (!err || reason != cases[i].reason)
      TAP_FAIL("case %zu (%s): got 0x%02x %s", i, cases[i].bytes, reason, why.text);
    if (!strstr(why.text, cases[i].why))
      TAP_FAIL("case %zu (%s): \"%s\" does not hold \"%s\"", i, cases[i].bytes, why.text, cases[i].why);
  }
}
#define REFUSED(...)                                        \
  static const refusal cases[] = {__VA_ARGS__};             \
  refused(cases, sizeof cases / sizeof cases[0])

static void test_refuses_broken_fixed_headers(void)
{
  REFUSED({4, 0x82, "", "reserved type 0"}, {5, 0x81, "C0", "remaining length is cut"}, {5, 0x81, "C0 80", "remaining length"},
          {5, 0x81, "C0 80 80 80 80 00", "remaining length"}, {5, 0x81, "C0 80 00", "not minimal"}, {5, 0x81, "C0 01", "differs"},
          {5, 0x81, "C0 00 00", "differs"}, {5, 0x81, "D0 01 00", "bytes follow"}, {4, 0x82, "F0 00", "reserved"},
          {5, 0x81, "A0 06 0001 00 0001 61", "reserved flags"}, {5, 0x81, "FF 00", "reserved flags"});
}

static void test_takes_a_padded_remaining_length_from_3_1_1_only(void)
{
  mc_mqtt_packet p;
  uint8_t reason;
  CHECK_OK(mc_mqtt_parse(MC_LIT("\xC0\x80\x00"), MC_MQTT_311, &p, &reason, NULL));
  CHECK_INT(mc_mqtt_parse(MC_LIT("\xC0\x80\x00"), MC_MQTT_5, &p, &reason, NULL), MC_ERR_MALFORMED);
}

static void test_refuses_bad_connects(void)
{
  REFUSED({0, 0x84, "10 0D 0004 4D515454 03 02 000A 0001 70", "version"}, {0, 0x84, "10 0F 0006 4D5149736470 03 02 000A 0001 70", "version"},
          {0, 0x84, "10 0F 0006 4D5149736470 04 02 000A 0001 70", "version"}, {0, 0x81, "10 0D 0004 4D515458 04 02 000A 0001 70", "name"},
          {0, 0x81, "10 06 0004 4D515454", "protocol version"}, {0, 0x81, "10 07 0004 4D515454 04", "connect flags"},
          {0, 0x81, "10 0D 0004 4D515454 04 03 000A 0001 70", "reserved connect flag"}, {0, 0x85, "10 0C 0004 4D515454 04 00 000A 0000", "client"},
          {0, 0x81, "10 10 0004 4D515454 04 42 000A 0001 70 0001 70", "without user name"}, {0, 0x81, "10 0D 0004 4D515454 04 22 000A 0001 70", "will"},
          {0, 0x81, "10 0D 0004 4D515454 04 0A 000A 0001 70", "will"}, {0, 0x81, "10 12 0004 4D515454 04 06 000A 0001 70 0000 0001 70", "empty"},
          {0, 0x81, "10 13 0004 4D515454 04 06 000A 0001 70 0001 23 0001 70", "wildcard"},
          {0, 0x82, "10 12 0004 4D515454 05 02 000A 04 16 0001 00 0001 70", "without method"},
          {0, 0x82, "10 11 0004 4D515454 05 02 000A 03 21 0000 0001 70", "forbids"},
          {0, 0x82, "10 13 0004 4D515454 05 02 000A 05 27 00000000 0001 70", "forbids"},
          {0, 0x82, "10 10 0004 4D515454 05 02 000A 02 17 02 0001 70", "forbids"},
          {0, 0x82, "10 10 0004 4D515454 05 02 000A 02 19 05 0001 70", "forbids"},
          {0, 0x82, "10 18 0004 4D515454 05 02 000A 0A 11 00000001 11 00000001 0001 70", "more than once"},
          {0, 0x82, "10 13 0004 4D515454 05 02 000A 05 18 00000001 0001 70", "not allowed"},
          {0, 0x82, "10 1A 0004 4D515454 05 06 000A 00 0001 70 05 11 00000001 0001 70 0001 70", "not allowed"});
}

static void test_accepts_connects_that_only_v5_allows(void)
{
  mc_mqtt_packet p;
  uint8_t reason;
  mc_why why = {0};
  mc_buf in = unhex("10 0D 0004 4D515454 05 00 000A 00 0000"); /* empty id, clean start 0 */
  uint8_t *keep;
  CHECK_OK(parse(&in, 0, &p, &reason, &why, &keep));
  CHECK(p.connect.version == 5 && !p.connect.clean && p.connect.client_id.len == 0 && p.connect.keep_alive_s == 10);
  free(keep);
  mc_buf_free(&in);
  in = unhex("10 12 0004 4D515454 05 42 000A 00 0001 70 0002 FF00"); /* password without user name */
  CHECK_OK(parse(&in, 0, &p, &reason, &why, &keep));
  CHECK(p.connect.has_password && !p.connect.has_username && p.connect.password.len == 2);
  free(keep);
  mc_buf_free(&in);
}

static void test_a_refused_version_is_still_told(void)
{
  mc_mqtt_packet p;
  uint8_t reason;
  CHECK_INT(mc_mqtt_parse(MC_LIT("\x10\x0D\x00\x04MQTT\x06\x02\x00\x0A\x00\x01p"), 0, &p, &reason, NULL), MC_ERR_UNSUPPORTED);
  CHECK(p.connect.version == 6 && reason == MC_MQTT_BAD_VERSION);
  CHECK_INT(mc_mqtt_parse(MC_LIT("\x10\x0D\x00\x04HTTP\x04\x02\x00\x0A\x00\x01p"), 0, &p, &reason, NULL), MC_ERR_MALFORMED);
  CHECK_INT(p.connect.version, 0);
}

static void test_refuses_bad_publishes(void)
{
  REFUSED({5, 0x81, "38 07 0001 61 00 62 63 64", "DUP on QoS 0"}, {4, 0x81, "38 04 0001 61 62", "DUP on QoS 0"}, {4, 0x81, "30 01 00", "topic"},
          {4, 0x81, "32 03 0001 61", "packet identifier"}, {5, 0x94, "30 07 0001 61 03 23 0000", "forbids"},
          {5, 0x81, "30 04 0000 00 61", "no topic alias"}, {5, 0x82, "30 07 0001 61 03 08 0000", "forbids"},
          {5, 0x82, "30 0A 0001 61 06 23 0001 23 0001", "more than once"}, {5, 0x81, "30 04 0001 61 80", "property length"},
          {5, 0x81, "30 05 0001 61 80 00", "minimal"}, {5, 0x81, "30 0A 0001 61 06 26 0001 FF 0000", "malformed"},
          {5, 0x81, "30 0A 0001 61 06 26 0001 00 0000", "malformed"}, {5, 0x81, "30 08 0001 61 04 03 0001 00", "malformed"});
}

static void test_takes_an_empty_topic_with_an_alias(void)
{
  mc_mqtt_packet p;
  uint8_t reason;
  CHECK_OK(mc_mqtt_parse(MC_LIT("\x30\x07\x00\x00\x03\x23\x00\x07x"), MC_MQTT_5, &p, &reason, NULL));
  CHECK(p.publish.topic.len == 0 && p.publish.props.alias == 7);
  CHECK_SLICE(p.publish.payload, "x");
}

static void test_refuses_bad_acknowledgements_and_lists(void)
{
  REFUSED({5, 0x82, "40 02 0000", "identifier is 0"}, {5, 0x82, "62 03 0001 10", "reason code"}, {5, 0x82, "40 03 0001 92", "reason code"},
          {5, 0x82, "82 07 0000 00 0001 61 00", "identifier is 0"}, {4, 0x82, "A2 05 0000 0001 61", "identifier is 0"},
          {5, 0x81, "82 07 0001 00 0001 61 80", "reserved"}, {5, 0x81, "82 08 0001 00 0002 6123 00", "wildcard"},
          {5, 0x81, "82 08 0001 00 0002 2361 00", "wildcard"}, {5, 0x81, "82 09 0001 00 0003 612B2F 00", "wildcard"},
          {5, 0x82, "90 04 0001 00 03", "reason code"}, {4, 0x81, "90 03 0001 03", "return code"}, {5, 0x81, "90 03 0001 00", "no return code"},
          {5, 0x82, "B0 04 0001 00 01", "reason code"}, {4, 0x81, "B0 03 0001 00", "bytes follow"}, {4, 0x82, "20 02 00 06", "CONNACK"},
          {4, 0x82, "20 02 01 05", "session present"}, {5, 0x82, "20 03 01 80 00", "session present"}, {5, 0x82, "20 03 00 04 00", "CONNACK"},
          {5, 0x81, "20 02 00 00", "property length"}, {5, 0x82, "E0 01 10", "reason code"},
          {5, 0x82, "F0 01 18", "no authentication method"});
}

static void test_shared_subscriptions_are_checked_in_v5(void)
{
  REFUSED({5, 0x82, "82 0E 0001 00 0008 247368617265 2F67 00", "shared"}, {5, 0x82, "82 0F 0001 00 0009 247368617265 2F2F61 00", "shared"},
          {5, 0x82, "82 10 0001 00 000A 247368617265 2F2B2F61 00", "shared"}, {5, 0x82, "82 10 0001 00 000A 247368617265 2F672F61 04", "no local"});
}

static void test_peek_tells_size_or_why_not(void)
{
  size_t size = 0;
  CHECK_INT(mc_mqtt_peek(MC_LIT(""), 100, &size), MC_ERR_AGAIN);
  CHECK_INT(mc_mqtt_peek(MC_LIT("\x30"), 100, &size), MC_ERR_AGAIN);
  CHECK_INT(mc_mqtt_peek(MC_LIT("\x30\x80\x80\x80"), 1 << 30, &size), MC_ERR_AGAIN);
  CHECK_INT(mc_mqtt_peek(MC_LIT("\x30\x80\x80\x80\x80\x01"), 1 << 30, &size), MC_ERR_MALFORMED);
  CHECK_OK(mc_mqtt_peek(MC_LIT("\x30\xFF\xFF\xFF\x7F"), 1 << 30, &size));
  CHECK_INT(size, 268435455 + 5);
  CHECK_INT(mc_mqtt_peek(MC_LIT("\x30\x7F"), 128, &size), MC_ERR_TOO_LARGE);
  CHECK_OK(mc_mqtt_peek(MC_LIT("\x30\x7F"), 129, &size));
  CHECK_INT(size, 129);
}

/* ---- topics ---- */
static void test_matches_filters_as_the_standard_says(void)
{
  static const struct {
    const char *filter, *topic;
    int matches;
  } cases[] = {
      {"sport/tennis/player1/#", "sport/tennis/player1", 1}, {"sport/tennis/player1/#", "sport/tennis/player1/ranking", 1},
      {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", 1}, {"sport/#", "sport", 1}, {"sport/#", "sport/", 1},
      {"#", "a/b", 1}, {"#", "/", 1}, {"sport/tennis/+", "sport/tennis/player1", 1}, {"sport/tennis/+", "sport/tennis/player1/ranking", 0},
      {"sport/+", "sport", 0}, {"sport/+", "sport/", 1}, {"+/+", "/finance", 1}, {"/+", "/finance", 1}, {"+", "/finance", 0},
      {"#", "$SYS/x", 0}, {"+/monitor", "$SYS/monitor", 0}, {"$SYS/#", "$SYS/x", 1}, {"$SYS/monitor/+", "$SYS/monitor/Clients", 1},
      {"a/b", "a/b", 1}, {"a/b", "a/bc", 0}, {"a/bc", "a/b", 0}, {"a/b", "a/b/c", 0}, {"a/b/c", "a/b", 0}, {"a/", "a", 0}, {"a", "a/", 0},
      {"a/+/c", "a//c", 1}, {"a/+/c", "a/b/d", 0}, {"+/+/#", "a/b", 1}, {"+/+/#", "a", 0}, {"a/#", "ab", 0}, {"a/#", "b/c", 0}, {"", "a", 0},
      {"a", "", 0}, {"+", "a", 1}, {"+/a", "b/a", 1}, {"+a", "ba", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (mc_mqtt_topic_matches(S(cases[i].filter), S(cases[i].topic)) != cases[i].matches)
      TAP_FAIL("filter %s, topic %s: want %d", cases[i].filter, cases[i].topic, cases[i].matches);
}

static void test_judges_names_and_filters(void)
{
  CHECK(mc_mqtt_topic_valid(S("a")) && mc_mqtt_topic_valid(S("/")) && mc_mqtt_topic_valid(S("$aws/things/v 1/x")));
  CHECK(mc_mqtt_topic_valid(S("stra\xC3\x9F" "e/\xF0\x9F\x9A\x97")));
  CHECK(!mc_mqtt_topic_valid(S("")) && !mc_mqtt_topic_valid(S("a/+")) && !mc_mqtt_topic_valid(S("0123456789#")) && !mc_mqtt_topic_valid(S("01234567+9")));
  CHECK(!mc_mqtt_topic_valid(MC_LIT("a\0b")) && !mc_mqtt_topic_valid(S("0123456789\n")) && !mc_mqtt_topic_valid(S("0123456789\x7F")));
  CHECK(!mc_mqtt_topic_valid(S("\xED\xA0\x80")) && !mc_mqtt_topic_valid(S("\xC2\x85")) && !mc_mqtt_topic_valid(S("\xEF\xBF\xBF")));
  CHECK(!mc_mqtt_topic_valid(S("\xEF\xB7\x90")) && !mc_mqtt_topic_valid(S("\xF0\x9F\xBF\xBE")) && !mc_mqtt_topic_valid(S("\xC0\x80")));
  static char big[65537];
  memset(big, 'a', 65536);
  CHECK(!mc_mqtt_topic_valid(mc_slice_of(big, 65536)) && mc_mqtt_topic_valid(mc_slice_of(big, 65535)));
  static const char *const good[] = {"#", "+", "/", "a/#", "a/+/b", "+/#", "/+", "$share/g/a/#", "$share", "a//b"};
  static const char *const bad[] = {"", "a#", "#/a", "a/#/b", "a+", "+a", "a/+b/c", "##", "++", "a/b#"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    if (!mc_mqtt_filter_valid(S(good[i])))
      TAP_FAIL("%s is a filter", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (mc_mqtt_filter_valid(S(bad[i])))
      TAP_FAIL("%s is no filter", bad[i]);
}

static void test_splits_shared_filters(void)
{
  mc_slice group, rest;
  CHECK(mc_mqtt_shared_split(S("$share/g/a/+"), &group, &rest));
  CHECK_SLICE(group, "g");
  CHECK_SLICE(rest, "a/+");
  CHECK(mc_mqtt_shared_split(S("$share/g//"), &group, &rest));
  CHECK_SLICE(rest, "/");
  static const char *const bad[] = {"a/b", "$share", "$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a", "$share/g/a#", "$Share/g/a"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (mc_mqtt_shared_split(S(bad[i]), &group, &rest))
      TAP_FAIL("%s is not a shared filter", bad[i]);
}

/* ---- writing ---- */
static void test_writers_refuse_what_no_packet_may_say(void)
{
  mc_buf out = {0};
  mc_slice none = {0};
  static uint8_t big[65536];
  mc_slice too_long = mc_slice_of(big, sizeof big);
  mc_mqtt_filter f = {.filter = S("a")};
  uint8_t code = 0;
  CHECK_INT(mc_mqtt_write_publish(&out, 5, &(mc_mqtt_publish){.topic = S("a"), .qos = 3, .packet_id = 1}, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_publish(&out, 5, &(mc_mqtt_publish){.topic = S("a"), .qos = 1}, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_publish(&out, 5, &(mc_mqtt_publish){.topic = S("a"), .dup = true}, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_publish(&out, 4, &(mc_mqtt_publish){.topic = none}, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_publish(&out, 3, &(mc_mqtt_publish){.topic = S("a")}, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_publish(&out, 5, &(mc_mqtt_publish){.topic = too_long}, none), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_mqtt_write_publish(&out, 5, &(mc_mqtt_publish){.topic = S("a"), .payload = {big, 268435456}}, none), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_mqtt_write_publish(&out, 5, &(mc_mqtt_publish){.topic = S("a")}, (mc_slice){big, SIZE_MAX}), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_mqtt_write_ack(&out, MC_MQTT_PUBACK, 5, 0, 0, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_ack(&out, MC_MQTT_CONNECT, 5, 1, 0, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_subscribe(&out, 5, 0, &f, 1, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_subscribe(&out, 5, 1, &f, 0, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_subscribe(&out, 5, 1, &(mc_mqtt_filter){.filter = S("a#")}, 1, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_subscribe(&out, 5, 1, &(mc_mqtt_filter){.filter = S("a"), .qos = 3}, 1, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_unsubscribe(&out, 5, 1, &none, 1, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_suback(&out, MC_MQTT_PUBACK, 5, 1, &code, 1, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_suback(&out, MC_MQTT_SUBACK, 5, 1, &code, 0, none), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_ping(&out, MC_MQTT_PUBLISH), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_connect(&out, &(mc_mqtt_connect){.version = 3}), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_write_connect(&out, &(mc_mqtt_connect){.version = 4}), MC_ERR_INVALID); /* empty id, not clean */
  CHECK_INT(mc_mqtt_write_connect(&out, &(mc_mqtt_connect){.version = 5, .client_id = too_long}), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_mqtt_write_connect(&out, &(mc_mqtt_connect){.version = 5, .has_will = true, .will_topic = S("#")}), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_put_number(&out, 0x05, 1), MC_ERR_INVALID); /* no such property */
  CHECK_INT(mc_mqtt_put_number(&out, 0x03, 1), MC_ERR_INVALID); /* a text */
  CHECK_INT(mc_mqtt_put_number(&out, 0x01, 2), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_put_number(&out, 0x21, 65536), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_put_number(&out, 0x0B, 268435456), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_put_text(&out, 0x02, S("a")), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_put_text(&out, 0x03, S("\xFF")), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_put_text(&out, 0x08, S("a/#")), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_put_text(&out, 0x09, too_long), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_mqtt_put_user(&out, S("\xFF"), S("")), MC_ERR_INVALID);
  CHECK_INT(mc_mqtt_put_user(&out, S(""), too_long), MC_ERR_TOO_LARGE);
  CHECK_INT(out.len, 0);
  mc_buf_free(&out);
}

static void test_maps_refusals_to_3_1_1_return_codes_and_back(void)
{
  static const uint8_t codes[][3] = {{0x00, 0, 0x00}, {0x84, 1, 0x84}, {0x85, 2, 0x85}, {0x88, 3, 0x88}, {0x97, 3, 0x88}, {0x86, 4, 0x86}, {0x87, 5, 0x87}, {0x8A, 5, 0x87}};
  mc_buf out = {0};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    mc_mqtt_packet p;
    mc_buf_clear(&out);
    CHECK_OK(mc_mqtt_write_connack(&out, 4, true, codes[i][0], (mc_slice){0}));
    CHECK(out.len == 4 && out.data[2] == (codes[i][0] == 0) && out.data[3] == codes[i][1]);
    CHECK_OK(mc_mqtt_parse(mc_buf_slice(&out), 4, &p, NULL, NULL));
    CHECK_INT(p.connack.code, codes[i][2]);
  }
  mc_buf_free(&out);
}

static void test_every_property_is_written_and_read_back(void)
{
  static const struct {
    uint8_t id;
    uint32_t number;
    const char *text;
  } connack[] = {{0x11, UINT32_MAX, 0}, {0x12, 0, "assigned"}, {0x13, 65535, 0}, {0x15, 0, "m"}, {0x16, 0, "data"}, {0x1A, 0, "info"}, {0x1C, 0, "ref"},
                 {0x1F, 0, "why"}, {0x21, 1, 0}, {0x22, 0, 0}, {0x24, 1, 0}, {0x25, 0, 0}, {0x27, 1, 0}, {0x28, 1, 0}, {0x29, 0, 0}, {0x2A, 1, 0}};
  mc_buf props = {0}, out = {0};
  for (size_t i = 0; i < sizeof connack / sizeof connack[0]; i++)
    CHECK_OK(connack[i].text ? mc_mqtt_put_text(&props, connack[i].id, S(connack[i].text)) : mc_mqtt_put_number(&props, connack[i].id, connack[i].number));
  CHECK_OK(mc_mqtt_put_user(&props, S("k"), S("v1")));
  CHECK_OK(mc_mqtt_put_user(&props, S("k"), S("v2")));
  CHECK_OK(mc_mqtt_write_connack(&out, 5, true, 0, mc_buf_slice(&props)));
  mc_mqtt_packet p;
  mc_why why = {0};
  uint8_t *keep;
  CHECK_OK(parse(&out, 5, &p, NULL, &why, &keep));
  const mc_mqtt_props *q = &p.connack.props;
  CHECK(q->session_expiry_s == UINT32_MAX && q->server_keep_alive == 65535 && q->receive_max == 1 && q->max_packet == 1);
  CHECK(q->max_qos == 1 && q->retain_available == 0 && q->wildcard_available == 1 && q->sub_id_available == 0 && q->shared_available == 1);
  CHECK_SLICE(q->assigned_id, "assigned");
  CHECK_SLICE(q->auth_method, "m");
  CHECK_SLICE(q->auth_data, "data");
  CHECK_SLICE(q->response_info, "info");
  CHECK_SLICE(q->server_reference, "ref");
  CHECK_SLICE(q->reason, "why");
  CHECK_INT(__builtin_popcount(q->present), 17);
  mc_mqtt_property one;
  size_t at = 0, n = 0;
  while (mc_mqtt_property_next(q->raw, &at, &one))
    n++;
  CHECK(n == 18 && at == q->raw.len && one.id == 0x26);
  CHECK_SLICE(one.text, "v2");
  free(keep);
  mc_buf_free(&props);
  mc_buf_free(&out);
}

static void test_property_walk_ends_at_broken_bytes(void)
{
  static const char *const broken[] = {"01", "05 00", "02 000000", "0B 80808080 01", "26 0001 61 0005", "03 0001", "FF"};
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    mc_buf b = unhex(broken[i]);
    mc_mqtt_property one;
    size_t at = 0;
    bool more = mc_mqtt_property_next(mc_buf_slice(&b), &at, &one);
    mc_buf_free(&b);
    if (more || at)
      TAP_FAIL("%s was read", broken[i]);
  }
}

/* ---- round trips of random packets ---- */
static uint64_t seed = 88172645463325252ULL;
static uint32_t rnd(uint32_t below)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed % below);
}
static char letters[70000];
static mc_slice word(uint32_t max) { return mc_slice_of(letters + rnd(100), rnd(4) ? rnd(max) : rnd(12)); }
static mc_slice name(uint32_t max)
{
  mc_slice s = word(max);
  return s.len ? s : S("n");
}

static mc_buf random_message_props(void)
{
  mc_buf b = {0};
  mc_err err = MC_OK;
  err |= rnd(2) ? mc_mqtt_put_number(&b, 0x01, rnd(2)) : MC_OK;
  err |= rnd(2) ? mc_mqtt_put_number(&b, 0x02, rnd(UINT32_MAX)) : MC_OK;
  err |= rnd(2) ? mc_mqtt_put_text(&b, 0x03, word(40)) : MC_OK;
  err |= rnd(2) ? mc_mqtt_put_text(&b, 0x08, name(40)) : MC_OK;
  err |= rnd(2) ? mc_mqtt_put_text(&b, 0x09, word(300)) : MC_OK;
  for (uint32_t i = rnd(4); i; i--)
    err |= mc_mqtt_put_user(&b, word(20), word(20));
  if (err)
    abort();
  return b;
}

static void test_random_publishes_come_back_the_same(void)
{
  memset(letters, 'q', sizeof letters);
  for (int i = 0; i < 3000; i++) {
    uint8_t version = rnd(2) ? 5 : 4;
    mc_mqtt_publish m = {.qos = (uint8_t)rnd(3), .retain = rnd(2), .topic = name(200), .payload = word(i % 50 ? 300 : 60000)};
    m.packet_id = m.qos ? (uint16_t)(1 + rnd(65535)) : 0;
    m.dup = m.qos && rnd(2);
    mc_buf props = random_message_props(), out = {0};
    CHECK_OK(mc_mqtt_write_publish(&out, version, &m, mc_buf_slice(&props)));
    CHECK_INT(out.len, mc_mqtt_publish_size(version, &m, mc_buf_slice(&props)));
    size_t size = 0;
    CHECK_OK(mc_mqtt_peek(mc_buf_slice(&out), 1 << 20, &size));
    CHECK_INT(size, out.len);
    mc_mqtt_packet p;
    mc_why why = {0};
    uint8_t *keep;
    mc_err err = parse(&out, version, &p, NULL, &why, &keep);
    if (err)
      TAP_FAIL("%s", why.text);
    CHECK(p.publish.qos == m.qos && p.publish.dup == m.dup && p.publish.retain == m.retain && p.publish.packet_id == m.packet_id);
    CHECK(mc_slice_eq(p.publish.topic, m.topic) && mc_slice_eq(p.publish.payload, m.payload));
    CHECK(version == 4 ? p.publish.props.present == 0 : mc_slice_eq(p.publish.props.raw, mc_buf_slice(&props)));
    free(keep);
    mc_buf_free(&props);
    mc_buf_free(&out);
  }
}

static void test_random_connects_come_back_the_same(void)
{
  memset(letters, 'q', sizeof letters);
  for (int i = 0; i < 2000; i++) {
    mc_buf will_props = random_message_props(), props = {0}, out = {0}, again = {0};
    CHECK_OK(mc_mqtt_put_number(&props, 0x11, rnd(1000)));
    CHECK_OK(mc_mqtt_put_number(&props, 0x27, 1 + rnd(100000)));
    mc_mqtt_connect c = {.version = rnd(2) ? 5 : 4, .clean = rnd(2), .keep_alive_s = (uint16_t)rnd(65536), .client_id = name(70), .has_will = rnd(2),
                         .has_username = rnd(2), .username = word(50), .password = word(50), .will_topic = name(50), .will_payload = word(200)};
    c.will_qos = c.has_will ? (uint8_t)rnd(3) : 0;
    c.will_retain = c.has_will && rnd(2);
    c.has_password = c.has_username && rnd(2);
    c.props.raw = mc_buf_slice(&props);
    c.will_props.raw = mc_buf_slice(&will_props);
    CHECK_OK(mc_mqtt_write_connect(&out, &c));
    mc_mqtt_packet p;
    mc_why why = {0};
    uint8_t *keep;
    mc_err err = parse(&out, 0, &p, NULL, &why, &keep);
    if (err)
      TAP_FAIL("%s", why.text);
    CHECK(p.connect.version == c.version && p.connect.clean == c.clean && p.connect.keep_alive_s == c.keep_alive_s);
    CHECK(mc_slice_eq(p.connect.client_id, c.client_id) && p.connect.has_will == c.has_will && p.connect.will_qos == c.will_qos);
    CHECK(!c.has_will || (mc_slice_eq(p.connect.will_topic, c.will_topic) && mc_slice_eq(p.connect.will_payload, c.will_payload)));
    CHECK_OK(mc_mqtt_write_connect(&again, &p.connect));
    CHECK(mc_slice_eq(mc_buf_slice(&again), mc_buf_slice(&out)));
    free(keep);
    mc_buf_free(&will_props);
    mc_buf_free(&props);
    mc_buf_free(&out);
    mc_buf_free(&again);
  }
}

static void test_subscribe_options_come_back_the_same(void)
{
  mc_mqtt_filter f[3] = {{S("a/+/#"), 2, true, true, 2}, {S("$share/g/x"), 1, false, true, 1}, {S("#"), 0, false, false, 0}};
  mc_slice names[3] = {f[0].filter, f[1].filter, f[2].filter};
  for (uint8_t version = 4; version <= 5; version++) {
    mc_buf out = {0};
    mc_mqtt_packet p;
    mc_mqtt_filter got;
    uint8_t *keep;
    CHECK_OK(mc_mqtt_write_subscribe(&out, version, 77, f, 3, (mc_slice){0}));
    CHECK_OK(parse(&out, version, &p, NULL, NULL, &keep));
    CHECK(p.type == MC_MQTT_SUBSCRIBE && p.subscribe.packet_id == 77 && p.subscribe.count == 3);
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
      CHECK(mc_mqtt_filter_next(&p.subscribe, false, &at, &got));
      CHECK(mc_slice_eq(got.filter, f[i].filter) && got.qos == f[i].qos);
      CHECK(version == 4 || (got.no_local == f[i].no_local && got.retain_as_published == f[i].retain_as_published && got.retain_handling == f[i].retain_handling));
    }
    CHECK(!mc_mqtt_filter_next(&p.subscribe, false, &at, &got));
    free(keep);
    mc_buf_clear(&out);
    CHECK_OK(mc_mqtt_write_unsubscribe(&out, version, 78, names, 3, (mc_slice){0}));
    CHECK_OK(parse(&out, version, &p, NULL, NULL, &keep));
    at = 0;
    for (int i = 0; i < 3; i++)
      CHECK(mc_mqtt_filter_next(&p.subscribe, true, &at, &got) && mc_slice_eq(got.filter, f[i].filter));
    CHECK(!mc_mqtt_filter_next(&p.subscribe, true, &at, &got));
    free(keep);
    mc_buf_free(&out);
  }
}

static void test_auth_comes_back_the_same(void)
{
  mc_buf props = {0}, out = {0};
  CHECK_OK(mc_mqtt_put_text(&props, 0x15, S("SCRAM")));
  CHECK_OK(mc_mqtt_put_text(&props, 0x16, MC_LIT("\0\xFF")));
  CHECK_OK(mc_mqtt_write_auth(&out, MC_MQTT_CONTINUE_AUTH, mc_buf_slice(&props)));
  mc_mqtt_packet p;
  CHECK_OK(mc_mqtt_parse(mc_buf_slice(&out), 5, &p, NULL, NULL));
  CHECK(p.type == MC_MQTT_AUTH && p.disconnect.code == 0x18 && p.disconnect.props.auth_data.len == 2);
  mc_buf_free(&props);
  mc_buf_free(&out);
}

int main(int argc, char **argv)
{
  RUN(test_refuses_broken_fixed_headers);
  RUN(test_takes_a_padded_remaining_length_from_3_1_1_only);
  RUN(test_refuses_bad_connects);
  RUN(test_accepts_connects_that_only_v5_allows);
  RUN(test_a_refused_version_is_still_told);
  RUN(test_refuses_bad_publishes);
  RUN(test_takes_an_empty_topic_with_an_alias);
  RUN(test_refuses_bad_acknowledgements_and_lists);
  RUN(test_shared_subscriptions_are_checked_in_v5);
  RUN(test_peek_tells_size_or_why_not);
  RUN(test_matches_filters_as_the_standard_says);
  RUN(test_judges_names_and_filters);
  RUN(test_splits_shared_filters);
  RUN(test_writers_refuse_what_no_packet_may_say);
  RUN(test_maps_refusals_to_3_1_1_return_codes_and_back);
  RUN(test_every_property_is_written_and_read_back);
  RUN(test_property_walk_ends_at_broken_bytes);
  RUN(test_random_publishes_come_back_the_same);
  RUN(test_random_connects_come_back_the_same);
  RUN(test_subscribe_options_come_back_the_same);
  RUN(test_auth_comes_back_the_same);
  return tap_done();
}
