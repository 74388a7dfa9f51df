/* The byte-level MQTT cases of data/mqtt (contract iotcore, "Byte-level data format"), as far as a codec without a session
 * can judge them: what a server must refuse is refused with the reason code that the case expects, what it must take is
 * taken, and what the server would answer is read and written back to the same bytes.
 * tests/gateway/mqtt_sequences.py plays the same files against a running gateway. */
#include <dirent.h>
#include <jansson.h>

#include "format/mqtt.h"
#include "tap.h"

/* Cases whose outcome a codec alone does not know, or where we differ on purpose. Every line must be used. */
typedef struct exclusion {
  const char *group, *name, *reason;
  int used;
} exclusion;
static exclusion exclusions[] = {
    {"v3.1   CONNECT", "10 ok ", "MQTT 3.1 is refused: the header says so", 0},
    {"v3.1   CONNECT", "14 ok ", "MQTT 3.1 is refused: the header says so", 0},
    {"v5.0   CONNECT", "tiny max packet", "session: the answer would not fit the client's limit of 2 bytes", 0},
    {"v5.0   CONNECT EXTENDED AUTH", "unsupported authentication method", "session: which methods exist is the gateway's knowledge", 0},
    {"v5.0   DISCONNECT", "E0 non-zero session expiry", "session: depends on the expiry that CONNECT gave (3.14.2.2.2)", 0},
    {"v5.0   AUTH", "F1", "session: AUTH without a method in CONNECT is 0x82 before its flags are looked at", 0},
    {"v5.0   AUTH", "F8", "session: AUTH without a method in CONNECT is 0x82 before its flags are looked at", 0},
    {"v3.1.1 FLOW", "QoS 1 PUBLISH-PUBREC", "session: acknowledgement of the wrong kind", 0},
    {"v3.1.1 FLOW", "QoS 1 PUBLISH-PUBCOMP", "session: acknowledgement of the wrong kind", 0},
    {"v3.1.1 FLOW", "QoS 2 PUBLISH-PUBCOMP", "session: acknowledgement of the wrong kind", 0},
    {"v3.1.1 FLOW", "QoS 2 PUBLISH-PUBREC-PUBREL-PUBACK", "session: acknowledgement of the wrong kind", 0},
    {"v5.0   FLOW", "QoS 1 PUBLISH-PUBREC", "session: acknowledgement of the wrong kind", 0},
    {"v5.0   FLOW", "QoS 1 PUBLISH-PUBCOMP", "session: acknowledgement of the wrong kind", 0},
    {"v5.0   FLOW", "QoS 2 PUBLISH-PUBACK", "session: acknowledgement of the wrong kind", 0},
    {"v5.0   FLOW", "QoS 2 PUBLISH-PUBREC-PUBREL-PUBACK", "session: acknowledgement of the wrong kind", 0},
    {"v5.0   PUBLISH ALLOWED PROPERTIES", "2*subscription-identifier=1 (variable byte integer)",
     "direction: a server may send several (3.3.2.3.8), so the codec reads them; the gateway refuses any from a client", 0},
    {"v5.0   SUBACK", "92", "direction before flags: 0x82, where the case wants 0x81; CONNACK's and PINGRESP's cases want 0x82", 0},
    {"v5.0   SUBACK", "98", "direction before flags: 0x82, where the case wants 0x81; CONNACK's and PINGRESP's cases want 0x82", 0},
    {"v5.0   UNSUBACK", "B2", "direction before flags: 0x82, where the case wants 0x81; CONNACK's and PINGRESP's cases want 0x82", 0},
};

static bool is_excluded(const char *group, const char *name)
{
  for (size_t i = 0; i < sizeof exclusions / sizeof exclusions[0]; i++)
    if (!strcmp(exclusions[i].group, group) && !strcmp(exclusions[i].name, name)) {
      exclusions[i].used++;
      return true;
    }
  return false;
}

static int judged, excluded, session_ruled, failures, answers;

static void fail(const char *group, const char *name, const char *what)
{
  failures++;
  printf("# %s / %s: %s\n", group, name, what);
}

static size_t unhex(const char *text, uint8_t *out, size_t room)
{
  size_t n = 0;
  int high = -1;
  for (; *text; text++) {
    const char *digits = "0123456789abcdef";
    char c = *text >= 'A' && *text <= 'F' ? (char)(*text + 32) : *text;
    const char *hit = strchr(digits, c);
    if (!hit)
      continue;
    int v = (int)(hit - digits);
    if (high < 0) {
      high = v;
    } else if (n < room) {
      out[n++] = (uint8_t)(high << 4 | v);
      high = -1;
    }
  }
  return n;
}

/* Reads as the gateway will: size, direction, packet. 0 or the reason code; *packet is the last one read. */
static int server_reads(mc_slice in, uint8_t *version, mc_mqtt_packet *packet)
{
  for (size_t at = 0; at < in.len;) {
    mc_slice rest = mc_slice_sub(in, at, in.len);
    size_t size = 0;
    mc_err err = mc_mqtt_peek(rest, 1 << 20, &size);
    if (err || size > rest.len)
      return err == MC_ERR_AGAIN || !err ? -1 : MC_MQTT_MALFORMED;
    if (!mc_mqtt_type_from_client((mc_mqtt_type)(rest.data[0] >> 4)))
      return MC_MQTT_PROTOCOL_ERROR;
    uint8_t reason = 0;
    mc_why why = {0};
    uint8_t *exact = malloc(size); /* so that the sanitizer sees the end */
    if (!exact)
      return -2;
    memcpy(exact, rest.data, size);
    err = mc_mqtt_parse(mc_slice_of(exact, size), *version, packet, &reason, &why);
    free(exact); /* only type and numbers of the packet are looked at below */
    if (err)
      return reason ? reason : -3;
    if (packet->type == MC_MQTT_CONNECT)
      *version = packet->connect.version;
    at += size;
  }
  return 0;
}

/* What a server sends is what our client side must read, and our writers would write. */
static bool same_when_written_again(mc_slice in, uint8_t version)
{
  mc_mqtt_packet p;
  mc_buf out = {0};
  if (mc_mqtt_parse(in, version, &p, NULL, NULL))
    return false;
  mc_err err = MC_ERR_INVALID;
  if (p.type == MC_MQTT_CONNACK)
    err = mc_mqtt_write_connack(&out, version, p.connack.session_present, p.connack.code, p.connack.props.raw);
  else if (p.type == MC_MQTT_PUBLISH)
    err = mc_mqtt_write_publish(&out, version, &p.publish, p.publish.props.raw);
  else if (p.type >= MC_MQTT_PUBACK && p.type <= MC_MQTT_PUBCOMP)
    err = mc_mqtt_write_ack(&out, p.type, version, p.ack.packet_id, p.ack.code, p.ack.props.raw);
  else if (p.type == MC_MQTT_SUBACK || p.type == MC_MQTT_UNSUBACK) {
    size_t count = p.subscribe.count ? p.subscribe.count : 1;
    err = mc_mqtt_write_suback(&out, p.type, version, p.subscribe.packet_id, p.subscribe.list.data, count, p.subscribe.props.raw);
  } else if (p.type == MC_MQTT_PINGRESP)
    err = mc_mqtt_write_ping(&out, p.type);
  else if (p.type == MC_MQTT_DISCONNECT)
    err = mc_mqtt_write_disconnect(&out, version, p.disconnect.code, p.disconnect.props.raw);
  bool same = !err && mc_slice_eq(mc_buf_slice(&out), in);
  mc_buf_free(&out);
  return same;
}

static void judge(const char *group, const char *name, bool connected, uint8_t version, json_t *msgs, bool closes)
{
  static uint8_t bytes[1 << 16];
  int got = 0;
  bool session_closes = false;
  int want = 0;
  size_t i;
  json_t *m;
  json_array_foreach(msgs, i, m)
  {
    const char *type = json_string_value(json_object_get(m, "type"));
    const char *payload = json_string_value(json_object_get(m, "payload"));
    if (!strcmp(type, "publish"))
      continue;
    mc_slice in = mc_slice_of(bytes, unhex(payload, bytes, sizeof bytes));
    if (!strcmp(type, "recv")) {
      bool refusal_311 = got == MC_MQTT_BAD_VERSION; /* answered in the only form that any version reads */
      answers++;
      if (!same_when_written_again(in, refusal_311 ? MC_MQTT_311 : version))
        fail(group, name, "the server's answer is not read, or not written to the same bytes");
      if (version == MC_MQTT_5 && in.len == 3 && in.data[0] == 0xE0)
        want = in.data[2];
      continue;
    }
    if (!connected && in.len && in.data[0] >> 4 != MC_MQTT_CONNECT)
      session_closes = true; /* 3.1.0-1: the first packet must be CONNECT */
    mc_mqtt_packet packet = {0};
    got = server_reads(in, &version, &packet);
    if (got == 0 && packet.type == MC_MQTT_CONNECT) {
      session_closes = connected; /* 3.1.0-2: a second CONNECT */
      connected = true;
    }
    if (got == 0 && packet.type == MC_MQTT_DISCONNECT)
      session_closes = true;
  }
  char text[160];
  if (session_closes && !want) {
    session_ruled++;
    return;
  }
  judged++;
  if (!closes && got)
    snprintf(text, sizeof text, "must be taken, was refused with 0x%02x", (unsigned)got);
  else if (closes && got <= 0)
    snprintf(text, sizeof text, "must be refused%s, was %s", want ? " with its reason" : "", got ? "left waiting" : "taken");
  else if (want && got != want)
    snprintf(text, sizeof text, "must be refused with 0x%02x, was with 0x%02x", (unsigned)want, (unsigned)got);
  else
    return;
  fail(group, name, text);
}

static json_t *option(json_t *group, json_t *test, const char *name)
{
  json_t *own = json_object_get(test, name);
  return own ? own : json_object_get(group, name);
}

static void judge_group(json_t *group)
{
  const char *group_name = json_string_value(json_object_get(group, "group"));
  size_t i;
  json_t *test;
  json_array_foreach(json_object_get(group, "tests"), i, test)
  {
    const char *name = json_string_value(json_object_get(test, "name"));
    json_t *ver = option(group, test, "ver");
    json_t *closes = option(group, test, "expect_disconnect");
    bool connected = !json_is_false(option(group, test, "connect"));
    if (is_excluded(group_name, name)) {
      excluded++;
      continue;
    }
    uint8_t version = ver && json_integer_value(ver) == 5 ? MC_MQTT_5 : MC_MQTT_311;
    judge(group_name, name, connected, version, json_object_get(test, "msgs"), !json_is_false(closes));
  }
}

static void test_byte_level_cases_get_the_expected_verdict(void)
{
  if (!tap_data_dir())
    SKIP("no data folder: 870 byte-level MQTT cases were not read");
  char folder[1100], path[1400];
  snprintf(folder, sizeof folder, "%s/mqtt", tap_data_dir());
  DIR *d = opendir(folder);
  if (!d)
    SKIP("no mqtt folder in the data: 870 byte-level MQTT cases were not read");
  for (struct dirent *e; (e = readdir(d));) {
    if (!strstr(e->d_name, ".json"))
      continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    json_error_t error;
    json_t *groups = json_load_file(path, 0, &error);
    if (!groups) {
      failures++;
      printf("# %s: %s\n", e->d_name, error.text);
      continue;
    }
    size_t i;
    json_t *group;
    json_array_foreach(groups, i, group) judge_group(group);
    json_decref(groups);
  }
  closedir(d);
  printf("# %d cases judged, %d decided by session rules, %d excluded by name, %d answers written again, %d failures\n", judged, session_ruled,
         excluded, answers, failures);
  for (size_t i = 0; i < sizeof exclusions / sizeof exclusions[0]; i++)
    if (!exclusions[i].used) {
      failures++;
      printf("# exclusion without a case: %s / %s\n", exclusions[i].group, exclusions[i].name);
    }
  CHECK_INT(failures, 0);
  CHECK(judged + session_ruled + excluded == 870);
}

int main(int argc, char **argv)
{
  RUN(test_byte_level_cases_get_the_expected_verdict);
  return tap_done();
}
