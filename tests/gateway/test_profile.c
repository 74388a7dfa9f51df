/* Every row of the profiles, in both of them, as a client meets it; vectors of the contract ("Matching and limit vectors"). */
#include "gateway/rate.h"
#include "rig.h"

typedef struct stage {
  rig r;
  uint16_t port;
  bool aws;
} stage;

static void open_stage(stage *s, mc_profile_name profile)
{
  s->r.profile = profile;
  rig_start(&s->r, 1);
  s->port = mc_gateway_port(s->r.g, true);
  s->aws = profile == MC_PROFILE_AWS_COMPAT;
}

static void close_stage(stage *s)
{
  rig_stop(&s->r);
  rig_remove(&s->r);
}

#define BOTH(name)                              \
  static void prove_##name(stage *s);           \
  static void test_##name(void)                 \
  {                                             \
    for (int p = 0; p < MC_PROFILES; p++) {     \
      stage s = {0};                            \
      open_stage(&s, (mc_profile_name)p);       \
      prove_##name(&s);                         \
      close_stage(&s);                          \
    }                                           \
  }                                             \
  static void prove_##name(stage *s)

/* ---- the table ---- */
static void test_no_limit_of_standard_is_lower_than_in_aws_compat(void)
{
  for (size_t i = 0; i < mc_profile_rows(); i++) {
    const mc_profile_row *row = mc_profile_row_at(i);
    uint32_t standard = row->value[MC_PROFILE_STANDARD], aws = row->value[MC_PROFILE_AWS_COMPAT];
    for (int p = 0; p < MC_PROFILES; p++)
      if (row->value[p] < row->min || row->value[p] > row->max)
        TAP_FAIL("%s of %s is outside its own bounds", row->key, mc_profile_text((mc_profile_name)p));
    bool none = standard == 0 && row->min == 0;
    if (row->kind == MC_PROFILE_LIMIT && !none && (standard < aws || (aws == 0 && row->min == 0)))
      TAP_FAIL("%s: %u in standard, %u in aws-compat", row->key, standard, aws);
    if (row->kind == MC_PROFILE_FLOOR && standard > aws)
      TAP_FAIL("%s: %u in standard, %u in aws-compat", row->key, standard, aws);
    CHECK(row->meaning[0] && mc_profile_row_find(mc_slice_str(row->key)) == row);
  }
  mc_profile_name name;
  CHECK(mc_profile_parse(MC_LIT("aws-compat"), &name) && name == MC_PROFILE_AWS_COMPAT);
  CHECK(!mc_profile_parse(MC_LIT("aws"), &name));
  CHECK(!mc_profile_row_find(MC_LIT("qos")));
}

static void put_value(char out[32], const mc_profile_row *row, mc_profile_name p)
{
  if (row->kind == MC_PROFILE_FLAG)
    snprintf(out, 32, "%s", row->value[p] ? "true" : "false");
  else
    snprintf(out, 32, "%u", row->value[p]);
}

static void test_the_readme_shows_the_table(void)
{
  mc_buf text = {0};
  mc_why why;
  CHECK_OK(mc_fs_read(mc_fs_posix(), MC_SOURCE_DIR "/src/gateway/README.md", 1 << 20, &text, &why));
  CHECK_OK(mc_buf_append(&text, "", 1));
  int missing = 0;
  for (size_t i = 0; i < mc_profile_rows(); i++) {
    const mc_profile_row *row = mc_profile_row_at(i);
    char line[400], standard[32], aws[32];
    put_value(standard, row, MC_PROFILE_STANDARD);
    put_value(aws, row, MC_PROFILE_AWS_COMPAT);
    snprintf(line, sizeof line, "| `%s` | %s | %s | %s | %s |\n", row->key, standard, aws, row->unit, row->meaning);
    if (strstr((const char *)text.data, line))
      continue;
    printf("# README lacks: %s", line);
    missing++;
  }
  mc_buf_free(&text);
  CHECK_INT(missing, 0);
}

static void test_topics_by_their_form(void)
{
  mc_profile aws, standard;
  mc_profile_default(MC_PROFILE_AWS_COMPAT, &aws);
  mc_profile_default(MC_PROFILE_STANDARD, &standard);
  static const struct {
    const char *topic;
    bool ok;
  } vector[] = {{"1/2/3/4/5/6/7/8", true},
                {"1/2/3/4/5/6/7/8/9", false},
                {"$aws/rules/r/1/2/3/4/5/6/7/8", true},
                {"$aws/rules/r/1/2/3/4/5/6/7/8/9", false},
                {"$aws/commands/things/v/executions/e/response/accepted/json", true}, /* trap T7 */
                {"a", true}};
  for (size_t i = 0; i < sizeof vector / sizeof vector[0]; i++) {
    CHECK_INT(mc_profile_topic_fault(&aws, mc_slice_str(vector[i].topic)) == NULL, vector[i].ok);
    CHECK(!mc_profile_topic_fault(&standard, mc_slice_str(vector[i].topic)));
  }
  char text[300] = "$aws/rules/r/";
  memset(text + 13, 'x', 256);
  CHECK(!mc_profile_topic_fault(&aws, mc_slice_of(text, 13 + 256)));
  CHECK(mc_profile_topic_fault(&aws, mc_slice_of(text + 1, 257)));
  CHECK(mc_profile_reserved_fault(MC_LIT("$aws/commands/things/v/executions/e/request/+"))); /* trap T8 */
  CHECK(mc_profile_reserved_fault(MC_LIT("$aws/commands/clients/+/executions/+/response/accepted/+")));
  CHECK(!mc_profile_reserved_fault(MC_LIT("$aws/commands/things/v/executions/+/request/json")));
  CHECK(!mc_profile_reserved_fault(MC_LIT("$aws/commands/things/v/executions/+/request")));
  CHECK(!mc_profile_reserved_fault(MC_LIT("$aws/things/v/jobs/job/get/+"))); /* what greengrass-lite asks for */
  CHECK(!mc_profile_reserved_fault(MC_LIT("$aws/commands/#")));
}

static void test_rates_hold_one_second(void)
{
  mc_rate r = 0;
  int64_t now = 5000000;
  for (int i = 0; i < 100; i++)
    CHECK_INT(mc_rate_take(&r, 100, 1, now), 0);
  CHECK_INT(mc_rate_take(&r, 100, 1, now), 10000);
  CHECK_INT(mc_rate_take(&r, 100, 1, now + 10000), 0);
  CHECK(mc_rate_take(&r, 100, 1, now + 10000) > 0);
  mc_rate_refund(&r, 100, 1);
  CHECK_INT(mc_rate_take(&r, 100, 1, now + 10000), 0);
  mc_rate bytes = 0;
  CHECK_INT(mc_rate_charge(&bytes, 1000, 3000, now), 2000000);
  CHECK_INT(mc_rate_charge(&bytes, 1000, 0, now + 2000000), 0);
  mc_rate whole = 0; /* more than a second's worth goes when the bucket is full */
  CHECK_INT(mc_rate_take(&whole, 1000, 5000, now), 0);
  CHECK_INT(mc_rate_take(&whole, 1000, 5000, now), 5000000);
  CHECK_INT(mc_rate_take(&whole, 1000, UINT32_MAX, now + 5000000), 0);
}

/* ---- helpers ---- */
static int connect_props(client *c, stage *s, uint8_t version, const char *id, uint16_t keep_alive_s, mc_slice props)
{
  mc_mqtt_connect with = {.version = version, .client_id = mc_slice_str(id), .clean = true, .keep_alive_s = keep_alive_s, .props.raw = props};
  return client_connect_with(c, s->port, with);
}

static uint8_t connect_id(stage *s, uint8_t version, mc_slice id)
{
  client c;
  mc_mqtt_connect with = {.version = version, .client_id = id, .clean = true, .keep_alive_s = 60};
  uint8_t code = client_connect_with(&c, s->port, with) == MC_MQTT_CONNACK ? c.packet.connack.code : 255;
  client_close(&c);
  return code;
}

static void put_subscribe(client *c, const mc_mqtt_filter *f, size_t n, mc_slice props)
{
  mc_mqtt_write_subscribe(&c->out, c->version, 11, f, n, props);
  client_flush(c);
}

static uint64_t limited(stage *s, const char *id, mc_cause cause)
{
  mc_arena arena = MC_ARENA(0);
  mc_client_info *list;
  size_t n;
  uint64_t value = 0;
  mc_why why;
  if (mc_gateway_clients(s->r.g, 1, (mc_slice){0}, 100, &arena, &list, &n, &why) == MC_OK)
    for (size_t i = 0; i < n; i++)
      if (!strcmp(list[i].client_id, id))
        value = list[i].limited[cause];
  mc_arena_free(&arena);
  return value;
}

/* ---- behaviour ---- */
BOTH(qos2)
{
  client five, four;
  CHECK(client_connect(&five, s->port, 5, "five", true, 0));
  CHECK_INT(five.packet.connack.props.present & MC_MQTT_P_MAX_QOS ? five.packet.connack.props.max_qos : 2, s->aws ? 1 : 2);
  client_put_publish(&five, "t", "x", 2, false, 7);
  client_flush(&five);
  if (s->aws) {
    CHECK_INT(client_next(&five), MC_MQTT_DISCONNECT);
    CHECK_INT(five.packet.disconnect.code, 0x9B);
  } else {
    CHECK_ANSWER(&five, MC_MQTT_PUBREC, 7, 0);
  }
  client_close(&five);
  CHECK(client_connect(&five, s->port, 5, "six", true, 0));
  mc_mqtt_filter f = {.filter = MC_LIT("t"), .qos = 2};
  put_subscribe(&five, &f, 1, (mc_slice){0});
  CHECK_INT(client_next(&five), s->aws ? MC_MQTT_DISCONNECT : MC_MQTT_SUBACK);
  client_close(&five);
  CHECK(client_connect(&four, s->port, 4, "four", true, 0));
  client_put_publish(&four, "t", "x", 2, false, 8);
  put_subscribe(&four, &f, 1, (mc_slice){0});
  mc_mqtt_write_ping(&four.out, MC_MQTT_PINGREQ);
  client_flush(&four);
  if (!s->aws) { /* trap T3: silence is the answer to both */
    int first = client_next(&four), second = client_next(&four);
    CHECK((first == MC_MQTT_SUBACK && second == MC_MQTT_PINGRESP) || first == MC_MQTT_PUBREC || second == MC_MQTT_PUBREC);
  } else {
    CHECK_INT(client_next(&four), MC_MQTT_PINGRESP);
    CHECK_INT(limited(s, "four", MC_CAUSE_QOS), 2);
    CHECK_INT(client_publish(&four, "t", "qos 1 goes on", false), 0);
  }
  client_close(&four);
}

BOTH(parent_match)
{
  client sub, pub;
  CHECK(client_connect(&sub, s->port, 5, "sub", true, 0));
  CHECK(client_connect(&pub, s->port, 4, "pub", true, 0));
  CHECK_INT(client_subscribe(&sub, "sensor/#", 1), 1);
  for (int again = 0; again < 2; again++) { /* the second time from what is known of the topic */
    CHECK_INT(client_publish(&pub, "sensor", "parent", false), 0);
    CHECK_INT(client_publish(&pub, "sensor/", "empty level", false), 0);
    CHECK_INT(client_publish(&pub, "sensor/a/b", "below", false), 0);
    if (!s->aws)
      CHECK_RECEIVES(&sub, "sensor", "parent");
    CHECK_RECEIVES(&sub, "sensor/", "empty level");
    CHECK_RECEIVES(&sub, "sensor/a/b", "below");
  }
  client_close(&sub);
  client_close(&pub);
}

BOTH(wildcard_retained)
{
  client c;
  CHECK(client_connect(&c, s->port, 5, "c", true, 0));
  CHECK_INT(client_publish(&c, "a/b", "kept", true), 0);
  CHECK_INT(client_subscribe(&c, "a/+", 1), 1);
  if (!s->aws)
    CHECK_RECEIVES(&c, "a/b", "kept");
  CHECK_INT(client_next_within(&c, 100), CLIENT_QUIET);
  CHECK_INT(client_subscribe(&c, "a/b", 1), 1);
  CHECK_RECEIVES(&c, "a/b", "kept");
  client_close(&c);
}

BOTH(subscription_ids)
{
  client c;
  mc_buf props = {0};
  CHECK(client_connect(&c, s->port, 5, "c", true, 0));
  CHECK_INT(!(c.packet.connack.props.present & MC_MQTT_P_SUB_ID_AVAILABLE), !s->aws);
  mc_mqtt_put_number(&props, 0x0B, 5);
  mc_mqtt_filter f = {.filter = MC_LIT("t"), .qos = 1};
  put_subscribe(&c, &f, 1, mc_buf_slice(&props));
  mc_buf_free(&props);
  CHECK_INT(client_next(&c), s->aws ? MC_MQTT_DISCONNECT : MC_MQTT_SUBACK);
  if (s->aws)
    CHECK_INT(c.packet.disconnect.code, 0xA1);
  client_close(&c);
}

BOTH(dup)
{
  client sub, pub;
  CHECK(client_connect(&sub, s->port, 5, "sub", false, 300));
  CHECK_INT(client_subscribe(&sub, "t", 1), 1);
  CHECK(client_connect(&pub, s->port, 5, "pub", true, 0));
  CHECK_INT(client_publish(&pub, "t", "x", false), 0);
  CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
  client_close(&sub);
  usleep(1100 * 1000); /* connects_per_s */
  CHECK(client_connect(&sub, s->port, 5, "sub", false, 300));
  CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
  CHECK_INT(sub.packet.publish.dup, !s->aws);
  client_ack(&sub);
  client_close(&sub);
  client_close(&pub);
}

BOTH(early_packets)
{
  client c;
  client_dial(&c, s->port, 4);
  mc_mqtt_connect with = {.version = 4, .client_id = MC_LIT("c"), .clean = true, .keep_alive_s = 60};
  mc_mqtt_write_connect(&c.out, &with);
  mc_mqtt_write_ping(&c.out, MC_MQTT_PINGREQ);
  client_flush(&c);
  int type = client_next(&c);
  if (type == MC_MQTT_CONNACK)
    type = client_next(&c);
  CHECK_INT(type, s->aws ? CLIENT_CLOSED : MC_MQTT_PINGRESP);
  client_close(&c);
}

BOTH(connack_tells_all)
{
  client c;
  CHECK(client_connect(&c, s->port, 5, "c", true, 0));
  const mc_mqtt_props *p = &c.packet.connack.props;
  uint32_t told = MC_MQTT_P_RETAIN_AVAILABLE | MC_MQTT_P_WILDCARD_AVAILABLE | MC_MQTT_P_SHARED_AVAILABLE;
  CHECK_INT(p->present & told, s->aws ? told : 0);
  client_close(&c);
}

BOTH(excess_and_reserved_close)
{
  client c;
  mc_mqtt_filter f[9];
  char name[9][24];
  for (int i = 0; i < 9; i++) {
    snprintf(name[i], sizeof name[i], "f/%d", i);
    f[i] = (mc_mqtt_filter){.filter = mc_slice_str(name[i]), .qos = 1};
  }
  CHECK(client_connect(&c, s->port, 5, "nine", true, 0));
  put_subscribe(&c, f, 8, (mc_slice){0});
  CHECK_INT(client_next(&c), MC_MQTT_SUBACK);
  CHECK_INT(c.packet.subscribe.list.data[7], 1);
  put_subscribe(&c, f, 9, (mc_slice){0});
  CHECK_INT(client_next(&c), MC_MQTT_SUBACK);
  CHECK_INT(c.packet.subscribe.count, 9);
  CHECK_INT(c.packet.subscribe.list.data[0], s->aws ? 0x97 : 1);
  CHECK_INT(client_next_within(&c, 200), s->aws ? MC_MQTT_DISCONNECT : CLIENT_QUIET);
  client_close(&c);
  static const char reserved[] = "$aws/commands/things/v/executions/e/request/+";
  CHECK(client_connect(&c, s->port, 5, "reserved", true, 0));
  CHECK_INT(client_subscribe(&c, reserved, 1), 0x8F);
  CHECK_INT(client_next_within(&c, 200), s->aws ? MC_MQTT_DISCONNECT : CLIENT_QUIET);
  client_close(&c);
  CHECK(client_connect(&c, s->port, 4, "many", true, 0));
  int got = 0;
  for (int i = 0; i < 1001; i++) {
    char filter[16];
    snprintf(filter, sizeof filter, "m/%d", i);
    uint8_t code = client_subscribe(&c, filter, 1);
    if (code != 1)
      break;
    got++;
  }
  CHECK_INT(got, s->aws ? 50 : 1000);
  CHECK_INT(client_next_within(&c, 200), s->aws ? CLIENT_CLOSED : CLIENT_QUIET);
  client_close(&c);
}

/* ---- limits ---- */
BOTH(client_ids)
{
  char id[200];
  memset(id, 'i', sizeof id);
  CHECK_INT(connect_id(s, 5, mc_slice_of(id, 128)), 0);
  CHECK_INT(connect_id(s, 5, mc_slice_of(id, 129)), s->aws ? 0x85 : 0);
  CHECK_INT(connect_id(s, 4, mc_slice_of(id, 130)), s->aws ? 0x85 : 0); /* return code 2, as the client reads it */
  CHECK_INT(connect_id(s, 5, MC_LIT("$x")), s->aws ? 0x85 : 0);
}

BOTH(topics)
{
  client c;
  char wide[258] = {0};
  memset(wide, 'w', 257);
  CHECK(client_connect(&c, s->port, 5, "c", true, 0));
  CHECK_INT(client_publish(&c, wide + 1, "256 bytes", false), 0);
  CHECK_INT(client_publish(&c, wide, "257 bytes", false), s->aws ? 0x90 : 0);
  CHECK_INT(client_publish(&c, "1/2/3/4/5/6/7/8", "7 slashes", false), 0);
  CHECK_INT(client_publish(&c, "1/2/3/4/5/6/7/8/9", "8 slashes", false), s->aws ? 0x90 : 0);
  CHECK_INT(client_publish(&c, "1/2/3/4/5/6/7/8/9", "again, as known", false), s->aws ? 0x90 : 0);
  CHECK_INT(client_subscribe(&c, "1/2/3/4/5/6/7/8/+", 1), s->aws ? 0x8F : 1);
  CHECK_INT(client_subscribe(&c, "$share/g/1/2/3/4/5/6/7/+", 1), 1);
  CHECK_INT(limited(s, "c", MC_CAUSE_TOPIC), s->aws ? 4 : 0);
  client_close(&c);
}

BOTH(sizes)
{
  client c;
  static char payload[1100000];
  CHECK(client_connect(&c, s->port, 5, "c", true, 0));
  CHECK_INT(c.packet.connack.props.max_packet, s->aws ? 149504 : 1 << 20);
  memset(payload, 'p', sizeof payload - 1);
  payload[131072] = 0;
  CHECK_INT(client_publish(&c, "t", payload, false), 0);
  payload[131072] = 'p';
  payload[131073] = 0;
  CHECK_INT(client_publish(&c, "t", payload, false), s->aws ? 0x97 : 0);
  payload[131073] = 'p';
  payload[s->aws ? 149504 : 1 << 20] = 0;
  client_put_publish(&c, "t", payload, 1, false, 9);
  client_flush(&c);
  CHECK_INT(client_next(&c), MC_MQTT_DISCONNECT);
  CHECK_INT(c.packet.disconnect.code, MC_MQTT_PACKET_TOO_LARGE);
  client_close(&c);
}

BOTH(windows_and_aliases)
{
  client c;
  CHECK(client_connect(&c, s->port, 5, "c", true, 0));
  CHECK_INT(c.packet.connack.props.receive_max, s->aws ? 100 : 1024);
  CHECK_INT(c.packet.connack.props.alias_max, s->aws ? 8 : 16);
  mc_buf props = {0};
  mc_mqtt_put_number(&props, 0x23, s->aws ? 9 : 17);
  mc_mqtt_publish p = {.topic = MC_LIT("t"), .qos = 0};
  mc_mqtt_write_publish(&c.out, 5, &p, mc_buf_slice(&props));
  mc_buf_free(&props);
  client_flush(&c);
  CHECK_INT(client_next(&c), MC_MQTT_DISCONNECT);
  CHECK_INT(c.packet.disconnect.code, MC_MQTT_BAD_ALIAS);
  client_close(&c);
  client sub, pub; /* to the client: as many unanswered ones, then no more */
  uint32_t most = s->aws ? 100 : 1024;
  CHECK(client_connect(&sub, s->port, 4, "sub", true, 0));
  CHECK_INT(client_subscribe(&sub, "out", 1), 1);
  CHECK(client_connect(&pub, s->port, 4, "pub", true, 0));
  for (uint32_t i = 0; i < most + 5; i++) {
    if (s->aws && i == 60)
      usleep(700 * 1000); /* within publishes_per_s and deliveries_per_s */
    CHECK_INT(client_publish(&pub, "out", "x", false), 0);
  }
  uint16_t first = 0;
  for (uint32_t i = 0; i < most; i++) {
    CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
    first = i ? first : sub.packet.publish.packet_id;
  }
  CHECK_INT(client_next_within(&sub, 200), CLIENT_QUIET);
  client_answer(&sub, MC_MQTT_PUBACK, first, 0);
  CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
  client_close(&sub);
  client_close(&pub);
}

BOTH(keep_alive)
{
  static const uint16_t asked[] = {0, 10, 60, 5000}, aws[] = {1200, 30, 60, 1200};
  for (int i = 0; i < 4; i++) {
    client c;
    char id[24];
    snprintf(id, sizeof id, "k%d", i);
    CHECK_INT(connect_props(&c, s, 5, id, asked[i], (mc_slice){0}), MC_MQTT_CONNACK);
    bool told = c.packet.connack.props.present & MC_MQTT_P_SERVER_KEEP_ALIVE;
    CHECK_INT(told, s->aws && aws[i] != asked[i]);
    if (told)
      CHECK_INT(c.packet.connack.props.server_keep_alive, aws[i]);
    client_close(&c);
  }
}

BOTH(session_expiry)
{
  client c;
  CHECK(client_connect(&c, s->port, 5, "c", false, 3600));
  CHECK(!(c.packet.connack.props.present & MC_MQTT_P_SESSION_EXPIRY));
  client_close(&c);
  CHECK(client_connect(&c, s->port, 5, "d", false, UINT32_MAX));
  CHECK_INT(c.packet.connack.props.session_expiry_s, s->aws ? 3600 : 30 * 86400);
  client_close(&c);
}

BOTH(message_expiry)
{
  client sub, pub;
  CHECK(client_connect(&sub, s->port, 5, "sub", true, 0));
  CHECK_INT(client_subscribe(&sub, "t", 1), 1);
  CHECK(client_connect(&pub, s->port, 5, "pub", true, 0));
  static const uint32_t sent[] = {0, 600, 700000}, aws[] = {1, 600, 604800};
  for (int i = 0; i < 3; i++) {
    mc_buf props = {0};
    mc_mqtt_put_text(&props, 0x03, MC_LIT("text/plain"));
    mc_mqtt_put_number(&props, 0x02, sent[i]);
    mc_mqtt_put_number(&props, 0x23, 1); /* the alias leaves, the rest is kept */
    mc_mqtt_publish p = {.topic = MC_LIT("t"), .qos = 1, .packet_id = 3};
    mc_mqtt_write_publish(&pub.out, 5, &p, mc_buf_slice(&props));
    mc_buf_free(&props);
    client_flush(&pub);
    CHECK_INT(client_next(&pub), MC_MQTT_PUBACK);
    CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
    CHECK_INT(sub.packet.publish.props.expiry_s, s->aws ? aws[i] : sent[i]);
    CHECK(sub.packet.publish.props.present & MC_MQTT_P_CONTENT_TYPE);
    client_ack(&sub);
  }
  client_close(&sub);
  client_close(&pub);
}

BOTH(share_names)
{
  client c;
  char filter[200] = "$share/";
  memset(filter + 7, 'g', 128);
  memcpy(filter + 7 + 128, "/t", 3);
  CHECK(client_connect(&c, s->port, 4, "c", true, 0));
  CHECK_INT(client_subscribe(&c, filter, 1), 1);
  memset(filter + 7, 'g', 129);
  memcpy(filter + 7 + 129, "/t", 3);
  CHECK_INT(client_subscribe(&c, filter, 1), 0x80);
  client_close(&c);
}

/* ---- rates ---- */
BOTH(publishes_per_s)
{
  client five, four;
  enum { N = 300 };
  CHECK(client_connect(&five, s->port, 5, "five", true, 0));
  CHECK(client_connect(&four, s->port, 4, "four", true, 0));
  int taken = 0, refused = 0;
  int64_t began = now_ms();
  for (int i = 0; i < N; i++) {
    uint8_t code = client_publish(&five, "t", "x", false);
    taken += code == 0;
    refused += code == 0x97;
  }
  int refill = (int)(now_ms() - began) / 10 + 1;
  CHECK_INT(taken + refused, N);
  if (s->aws)
    CHECK(taken >= 100 && taken <= 100 + refill);
  else
    CHECK_INT(taken, N);
  began = now_ms();
  for (int i = 0; i < N; i++)
    client_put_publish(&four, "t", "x", 1, false, (uint16_t)(i + 1));
  client_flush(&four);
  taken = 0;
  for (int64_t until = now_ms() + PATIENCE_MS; taken + (int)limited(s, "four", MC_CAUSE_PUBLISH_RATE) < N && now_ms() < until;)
    taken += client_next_within(&four, 10) == MC_MQTT_PUBACK;
  CHECK_INT(client_next_within(&four, 300), CLIENT_QUIET);
  CHECK(s->aws ? taken >= 100 && taken < N : taken == N); /* no PUBACK for what was discarded */
  mc_gateway_stats stats;
  CHECK_SOON((mc_gateway_stats_get(s->r.g, &stats), stats.acknowledged == stats.received));
  CHECK_INT(limited(s, "four", MC_CAUSE_PUBLISH_RATE), N - taken);
  client_close(&five);
  client_close(&four);
}

BOTH(deliveries_per_s)
{
  client sub, pub[3];
  CHECK(client_connect(&sub, s->port, 5, "sub", true, 0));
  CHECK_INT(client_subscribe(&sub, "flood", 1), 1);
  for (int k = 0; k < 3; k++) { /* three publishers, each within its own rate */
    char id[24];
    snprintf(id, sizeof id, "pub%d", k);
    CHECK(client_connect(&pub[k], s->port, 5, id, true, 0));
    for (int i = 0; i < 50; i++)
      client_put_publish(&pub[k], "flood", "q0", 0, false, 0);
    for (int i = 0; i < 20; i++)
      client_put_publish(&pub[k], "flood", "q1", 1, false, (uint16_t)(i + 1));
  }
  int64_t began = now_ms();
  for (int k = 0; k < 3; k++) /* all within far less than a second */
    client_flush(&pub[k]);
  for (int k = 0; k < 3; k++) {
    for (int i = 0; i < 20; i++)
      CHECK_ANSWER(&pub[k], MC_MQTT_PUBACK, i + 1, 0);
    client_close(&pub[k]);
  }
  int q0 = 0, q1 = 0;
  while (q1 < 60 && client_next(&sub) == MC_MQTT_PUBLISH) {
    if (sub.packet.publish.qos) {
      q1++;
      client_ack(&sub);
    } else {
      q0++;
    }
  }
  CHECK_INT(q1, 60); /* what was acknowledged is delayed, never dropped */
  CHECK_INT(q0 + limited(s, "sub", MC_CAUSE_DELIVERY_RATE), 150);
  CHECK(s->aws ? q0 < 150 : q0 == 150);
  printf("# %s: %d of 150 at QoS 0, all at QoS 1 after %lld ms\n", s->aws ? "aws-compat" : "standard", q0, (long long)(now_ms() - began));
  client_close(&sub);
}

BOTH(bytes_per_s)
{
  client c;
  static char payload[65537];
  memset(payload, 'b', sizeof payload - 1);
  CHECK(client_connect(&c, s->port, 5, "c", true, 0));
  int64_t began = now_ms();
  for (int i = 0; i < 24; i++) /* 1.5 MiB: 512 KiB at once, the rest in two seconds */
    client_put_publish(&c, "t", payload, 1, false, (uint16_t)(i + 1));
  client_flush(&c);
  for (int i = 0; i < 24; i++)
    CHECK_ANSWER(&c, MC_MQTT_PUBACK, i + 1, 0);
  int64_t took = now_ms() - began;
  CHECK(!s->aws || took > 1500);
  CHECK_INT(limited(s, "c", MC_CAUSE_BYTE_RATE) > 0, s->aws);
  client_close(&c);
}

BOTH(connects_per_s)
{
  bool in_time = false;
  for (int i = 0; i < 20 && !in_time; i++) { /* once more when the machine took a second for them */
    int64_t began = now_ms();
    CHECK_INT(connect_id(s, 5, MC_LIT("c")), 0);
    uint8_t second = connect_id(s, 5, MC_LIT("c"));
    CHECK_INT(connect_id(s, 5, MC_LIT("another")), 0);
    uint8_t third = connect_id(s, 4, MC_LIT("c"));
    in_time = now_ms() - began < 900;
    usleep(1100 * 1000);
    if (!in_time)
      continue;
    CHECK_INT(second, s->aws ? 0x97 : 0);
    CHECK_INT(third, s->aws ? MC_MQTT_UNAVAILABLE : 0); /* return code 3 */
  }
  CHECK(in_time);
  CHECK_INT(connect_id(s, 5, MC_LIT("c")), 0);
}

BOTH(replay_per_s)
{
  client sub, pub;
  CHECK(client_connect(&sub, s->port, 5, "sub", false, 300));
  CHECK_INT(client_subscribe(&sub, "t", 1), 1);
  client_disconnect(&sub);
  client_close(&sub);
  CHECK(client_connect(&pub, s->port, 5, "pub", true, 0));
  for (int i = 0; i < 25; i++)
    CHECK_INT(client_publish(&pub, "t", "stored", false), 0);
  usleep(1100 * 1000);
  int64_t began = now_ms();
  CHECK(client_connect(&sub, s->port, 5, "sub", false, 300));
  for (int i = 0; i < 10; i++)
    CHECK_RECEIVES(&sub, "t", "stored");
  if (!s->aws)
    for (int i = 0; i < 15; i++)
      CHECK_RECEIVES(&sub, "t", "stored");
  int64_t to_publish = now_ms();
  CHECK_INT(client_publish(&pub, "t", "live", false), 0);
  to_publish = now_ms() - to_publish;
  int before = 0, after = 0;
  bool live = false;
  while ((before + after < (s->aws ? 15 : 0) || !live) && client_next(&sub) == MC_MQTT_PUBLISH) {
    bool is_live = mc_slice_eq_str(sub.packet.publish.payload, "live");
    live |= is_live;
    before += !is_live && !live;
    after += !is_live && live;
    client_ack(&sub);
  }
  CHECK(live);
  CHECK_INT(before + after, s->aws ? 15 : 0);
  if (s->aws) { /* beside live traffic, ten a second */
    CHECK(before <= 3 + to_publish / 100);
    CHECK(now_ms() - began > 1300);
  }
  client_close(&sub);
  client_close(&pub);
}

static void test_in_standard_excess_waits_and_tenants_share_a_rate(void)
{
  stage s = {.r = {.row = {{"publishes_per_s", 200}}}};
  open_stage(&s, MC_PROFILE_STANDARD);
  client c;
  CHECK(client_connect(&c, s.port, 4, "c", true, 0));
  int64_t began = now_ms();
  for (int i = 0; i < 400; i++)
    client_put_publish(&c, "t", "x", 1, false, (uint16_t)(i + 1));
  client_flush(&c);
  for (int i = 0; i < 400; i++)
    CHECK_INT(client_next(&c), MC_MQTT_PUBACK);
  CHECK(now_ms() - began > 800);
  CHECK(limited(&s, "c", MC_CAUSE_PUBLISH_RATE) > 0);
  client_close(&c);
  close_stage(&s);
  stage t = {.r = {.limits = {.tenant_publishes_per_s = 100, .tenant_connects_per_s = 3}}};
  open_stage(&t, MC_PROFILE_STANDARD);
  client a, b;
  began = now_ms();
  CHECK(client_connect(&a, t.port, 5, "a", true, 0));
  CHECK(client_connect(&b, t.port, 5, "b", true, 0));
  uint8_t code = 0;
  int more = 0;
  for (; more < 200 && code == 0; more++) /* as many as three and those of the time that the machine takes */
    code = connect_id(&t, 5, MC_LIT("x"));
  CHECK_INT(code, 0x97);
  CHECK(more - 1 <= 1 + (now_ms() - began) * 3 / 1000);
  began = now_ms();
  for (int i = 0; i < 100; i++) {
    CHECK_INT(client_publish(&a, "t", "x", false), 0);
    CHECK_INT(client_publish(&b, "t", "x", false), 0);
  }
  CHECK(now_ms() - began > 800);
  client_close(&a);
  client_close(&b);
  close_stage(&t);
}

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_no_limit_of_standard_is_lower_than_in_aws_compat);
  RUN(test_the_readme_shows_the_table);
  RUN(test_topics_by_their_form);
  RUN(test_rates_hold_one_second);
  RUN(test_qos2);
  RUN(test_parent_match);
  RUN(test_wildcard_retained);
  RUN(test_subscription_ids);
  RUN(test_dup);
  RUN(test_early_packets);
  RUN(test_connack_tells_all);
  RUN(test_excess_and_reserved_close);
  RUN(test_client_ids);
  RUN(test_topics);
  RUN(test_sizes);
  RUN(test_windows_and_aliases);
  RUN(test_keep_alive);
  RUN(test_session_expiry);
  RUN(test_message_expiry);
  RUN(test_share_names);
  RUN(test_publishes_per_s);
  RUN(test_deliveries_per_s);
  RUN(test_bytes_per_s);
  RUN(test_connects_per_s);
  RUN(test_replay_per_s);
  RUN(test_in_standard_excess_waits_and_tenants_share_a_rate);
  return tap_done();
}
