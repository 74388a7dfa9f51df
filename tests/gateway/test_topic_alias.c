/* Topic aliases towards clients (MQTT 5.0, 3.3.2.3.4): only where the client takes them, only inside one connection, never for a larger packet. */
#include "rig.h"

static void quiet(void) { mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2); }

/* Remembers what the server set, as a client must. */
typedef struct reader {
  client c;
  char topic[65][600];
  int bare, announced, most;
} reader;

static bool reader_connect(reader *r, uint16_t port, const char *id, uint16_t alias_max, uint32_t max_packet, bool clean)
{
  mc_buf props = {0};
  memset(r, 0, sizeof *r);
  mc_mqtt_put_number(&props, 0x11, 100);
  if (alias_max)
    mc_mqtt_put_number(&props, 0x22, alias_max);
  if (max_packet)
    mc_mqtt_put_number(&props, 0x27, max_packet);
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .clean = clean, .props.raw = mc_buf_slice(&props)};
  bool ok = client_connect_with(&r->c, port, with) == MC_MQTT_CONNACK && r->c.packet.connack.code == 0;
  mc_buf_free(&props);
  return ok;
}

/* Takes one PUBLISH; false when its topic is not its payload. */
static bool reader_take(reader *r)
{
  if (client_next(&r->c) != MC_MQTT_PUBLISH)
    return false;
  const mc_mqtt_publish *p = &r->c.packet.publish;
  uint16_t alias = p->props.present & MC_MQTT_P_ALIAS ? p->props.alias : 0;
  r->most = alias > r->most ? alias : r->most;
  r->bare += alias && !p->topic.len;
  r->announced += alias && p->topic.len;
  if (alias > 64 || (!alias && !p->topic.len))
    return false;
  if (p->topic.len && alias)
    mc_slice_to_str(p->topic, r->topic[alias], sizeof r->topic[alias]);
  bool same = mc_slice_eq(p->topic.len ? p->topic : mc_slice_str(r->topic[alias]), p->payload);
  if (p->qos)
    client_ack(&r->c);
  return same;
}

static void test_a_topic_that_comes_again_is_sent_as_its_alias(void)
{
  rig r = {0};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  static reader s;
  client a;
  const char *topic = "vehicles/v1/position";
  CHECK(client_connect(&a, port, 5, "publisher", true, 0));
  CHECK(reader_connect(&s, port, "reader", 3, 0, true));
  CHECK_INT(client_subscribe(&s.c, "#", 1), 1);
  for (int i = 0; i < 6; i++) {
    CHECK_INT(client_publish(&a, topic, topic, false), 0);
    CHECK(reader_take(&s));
    CHECK_INT(s.announced, i >= 1);
    CHECK_INT(s.bare, i > 1 ? i - 1 : 0);
  }
  for (int i = 0; i < 4; i++) { /* the property is no shorter */
    CHECK_INT(client_publish(&a, "abcd", "abcd", false), 0);
    CHECK(reader_take(&s));
  }
  CHECK_INT(s.announced, 1);
  client_close(&s.c);
  CHECK(reader_connect(&s, port, "reader", 3, 0, false)); /* another connection: nothing is known */
  CHECK(s.c.packet.connack.session_present);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(client_publish(&a, topic, topic, false), 0);
    CHECK(reader_take(&s));
  }
  CHECK_INT(s.announced, 1);
  client_close(&s.c);
  CHECK(reader_connect(&s, port, "reader", 0, 0, false)); /* takes none */
  for (int i = 0; i < 4; i++) {
    CHECK_INT(client_publish(&a, topic, topic, false), 0);
    CHECK(reader_take(&s));
  }
  CHECK_INT(s.announced + s.bare, 0);
  client_close(&s.c);
  client_close(&a);
  rig_stop(&r);
  rig_remove(&r);
}

static void mixture(uint16_t port, uint16_t alias_max, int bound, bool expect_savings)
{
  static reader s;
  client a;
  char topic[64];
  uint32_t seed = 5 + alias_max;
  CHECK(client_connect(&a, port, 5, "publisher", true, 0));
  CHECK(reader_connect(&s, port, "mixture", alias_max, 0, true));
  CHECK_INT(client_subscribe(&s.c, "#", 1), 1);
  for (int i = 0; i < 3000; i++) {
    seed = seed * 1664525u + 1013904223u;
    uint32_t n = (seed >> 16) % 100 < 80 ? (seed >> 8) % 4 : (seed >> 8) % 50 + (uint32_t)i / 500 * 50; /* some are frequent, the others change */
    snprintf(topic, sizeof topic, "fleet/vehicle-%u/telemetry", n);
    client_put_publish(&a, topic, topic, (uint8_t)(seed >> 30 & 1), false, 77);
    client_flush(&a);
    if (seed >> 30 & 1)
      CHECK_INT(client_next(&a), MC_MQTT_PUBACK);
    if (!reader_take(&s))
      TAP_FAIL("message %d: not its own topic", i);
  }
  printf("# alias maximum %d: %d bare, %d announced\n", alias_max, s.bare, s.announced);
  CHECK(s.most <= bound);
  CHECK((s.bare > 1500) == expect_savings);
  CHECK(s.bare == 0 || s.announced < s.bare / 2);
  client_close(&s.c);
  client_close(&a);
}

static void test_a_mixture_of_topics_keeps_its_meaning(void)
{
  rig r = {0};
  rig_start(&r, 1);
  mixture(mc_gateway_port(r.g, true), 65535, 16, true); /* our own bound */
  if (!tap_this_failed)
    mixture(mc_gateway_port(r.g, true), 5, 5, true);
  rig_stop(&r);
  r.limits.topic_alias_out_max = MC_TOPIC_ALIAS_OFF;
  rig_start(&r, 1);
  if (!tap_this_failed)
    mixture(mc_gateway_port(r.g, true), 65535, 0, false);
  rig_stop(&r);
  rig_remove(&r);
}

/* The one packet that carries topic and alias is three bytes larger: not when the client could not take that. */
static void test_no_packet_outgrows_the_clients_maximum(void)
{
  rig r = {0};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  static reader s;
  client a;
  const char *topic = "vehicles/v1/position";
  uint32_t plain = 2 + 2 + 20 + 2 + 1 + 20;
  CHECK(client_connect(&a, port, 5, "publisher", true, 0));
  for (uint32_t more = 0; more < 5; more++) {
    CHECK(reader_connect(&s, port, "tight", 3, plain + more, true));
    CHECK_INT(client_subscribe(&s.c, "#", 1), 1);
    for (int i = 0; i < 4; i++) {
      CHECK_INT(client_publish(&a, topic, topic, false), 0);
      CHECK(reader_take(&s));
      CHECK(s.c.packet.size <= plain + more);
    }
    CHECK_INT(s.announced, more >= 3);
    client_close(&s.c);
  }
  client_close(&a);
  rig_stop(&r);
  rig_remove(&r);
}

int main(void)
{
  quiet();
  RUN(test_a_topic_that_comes_again_is_sent_as_its_alias);
  RUN(test_a_mixture_of_topics_keeps_its_meaning);
  RUN(test_no_packet_outgrows_the_clients_maximum);
  return tap_done();
}
