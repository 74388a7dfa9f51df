/* QoS 2: exactly once, from clients and to them, through lost connections, take-overs and kill -9. */
#include "rig.h"

static void quiet(void) { mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2); }

static void put(client *c, const char *topic, const char *payload, uint16_t id, bool dup)
{
  mc_mqtt_publish p = {.topic = mc_slice_str(topic), .payload = mc_slice_str(payload), .qos = 2, .dup = dup, .packet_id = id};
  mc_mqtt_write_publish(&c->out, c->version, &p, (mc_slice){0});
  client_flush(c);
}

/* Waits until what was sent before has been handled. */
#define CHECK_PING(c)                                  \
  do {                                                 \
    mc_mqtt_write_ping(&(c)->out, MC_MQTT_PINGREQ);    \
    client_flush(c);                                   \
    CHECK_INT(client_next(c), MC_MQTT_PINGRESP);       \
  } while (0)

/* ---- from clients ---- */
static void takes_once(uint16_t port, uint8_t version, bool kept)
{
  client a, s;
  char id[32];
  snprintf(id, sizeof id, "once-%d-%d", version, kept);
  uint8_t unknown = version == 5 ? MC_MQTT_ID_NOT_FOUND : 0;
  CHECK(client_connect(&s, port, 5, "watcher", true, 0));
  CHECK_INT(client_subscribe(&s, "q2/in", 1), 1);
  CHECK(client_connect(&a, port, version, id, !kept, kept && version == 5 ? 100 : 0));
  put(&a, "q2/in", "first", 7, false);
  CHECK_ANSWER(&a, MC_MQTT_PUBREC, 7, 0);
  CHECK_RECEIVES(&s, "q2/in", "first");
  put(&a, "q2/in", "first", 7, true); /* the answer was lost, it thinks */
  CHECK_ANSWER(&a, MC_MQTT_PUBREC, 7, 0);
  put(&a, "q2/in", "second", 8, false);
  CHECK_ANSWER(&a, MC_MQTT_PUBREC, 8, 0);
  CHECK_RECEIVES(&s, "q2/in", "second"); /* and the repeat before it is not there */
  client_answer(&a, MC_MQTT_PUBREL, 7, 0);
  CHECK_ANSWER(&a, MC_MQTT_PUBCOMP, 7, 0);
  client_answer(&a, MC_MQTT_PUBREL, 7, 0);
  CHECK_ANSWER(&a, MC_MQTT_PUBCOMP, 7, unknown);
  client_answer(&a, MC_MQTT_PUBREL, 9, 0);
  CHECK_ANSWER(&a, MC_MQTT_PUBCOMP, 9, unknown);
  put(&a, "q2/in", "third", 7, false); /* the identifier is free again */
  CHECK_ANSWER(&a, MC_MQTT_PUBREC, 7, 0);
  CHECK_RECEIVES(&s, "q2/in", "third");
  client_close(&a);
  client_close(&s);
}

static void test_a_message_of_a_client_is_taken_once(void)
{
  rig r = {0};
  rig_start(&r, 2);
  for (uint8_t version = 4; version <= 5; version++)
    for (int kept = 0; kept < 2 && !tap_this_failed; kept++)
      takes_once(mc_gateway_port(r.g, true), version, kept);
  rig_stop(&r);
  rig_remove(&r);
}

/* MQTT 5.0, 4.9: a place is free again at PUBACK, PUBCOMP, or PUBREC of 0x80 and more, and not at PUBREC. */
static void test_both_qos_share_the_receive_maximum(void)
{
  rig r = {.limits = {.max_inflight = 3}};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  client a;
  CHECK(client_connect(&a, port, 5, "window", true, 0));
  CHECK_INT(a.packet.connack.props.receive_max, 3);
  for (uint16_t id = 1; id <= 3; id++) {
    put(&a, "x", "y", id, false);
    CHECK_ANSWER(&a, MC_MQTT_PUBREC, id, 0);
  }
  client_answer(&a, MC_MQTT_PUBREL, 2, 0);
  CHECK_ANSWER(&a, MC_MQTT_PUBCOMP, 2, 0);
  for (int i = 0; i < 5; i++) /* the third place: QoS 1 gives it back each time */
    CHECK_INT(client_publish(&a, "x", "y", false), 0);
  put(&a, "x", "y", 2, false);
  CHECK_ANSWER(&a, MC_MQTT_PUBREC, 2, 0);
  put(&a, "x", "y", 1, true); /* a repeat takes no place */
  CHECK_ANSWER(&a, MC_MQTT_PUBREC, 1, 0);
  put(&a, "x", "y", 4, false);
  CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
  CHECK_INT(a.packet.disconnect.code, MC_MQTT_RECEIVE_MAX_EXCEEDED);
  client_close(&a);
  CHECK(client_connect(&a, port, 4, "no window", true, 0)); /* 3.1.1 knows none: it must not hang with PUBREL behind PUBLISH */
  for (uint16_t id = 1; id <= 50; id++)
    put(&a, "x", "y", id, false);
  for (uint16_t id = 1; id <= 50; id++)
    CHECK_ANSWER(&a, MC_MQTT_PUBREC, id, 0);
  client_close(&a);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_retains_a_message_with_qos_2_and_its_properties(void)
{
  rig r = {0};
  rig_start(&r, 1);
  client a;
  mc_buf props = {0};
  mc_mqtt_put_user(&props, MC_LIT("k"), MC_LIT("v"));
  for (int round = 0; round < 2; round++) {
    CHECK(client_connect(&a, mc_gateway_port(r.g, true), 5, "keeper", false, 100));
    if (round == 0) {
      mc_mqtt_publish p = {.topic = MC_LIT("kept"), .payload = MC_LIT("still"), .qos = 2, .retain = true, .packet_id = 3};
      mc_mqtt_write_publish(&a.out, 5, &p, mc_buf_slice(&props));
      client_flush(&a);
      CHECK_ANSWER(&a, MC_MQTT_PUBREC, 3, 0);
      client_answer(&a, MC_MQTT_PUBREL, 3, 0);
      CHECK_ANSWER(&a, MC_MQTT_PUBCOMP, 3, 0);
    }
    CHECK_INT(client_subscribe(&a, "kept", 1), 1);
    CHECK_INT(client_next(&a), MC_MQTT_PUBLISH);
    CHECK_SLICE(a.packet.publish.payload, "still");
    CHECK(a.packet.publish.retain);
    CHECK(mc_slice_eq(a.packet.publish.props.raw, mc_buf_slice(&props)));
    client_ack(&a);
    client_disconnect(&a);
    CHECK_INT(client_next(&a), CLIENT_CLOSED);
    client_close(&a);
    rig_stop(&r);
    rig_start(&r, 1);
  }
  mc_buf_free(&props);
  rig_stop(&r);
  rig_remove(&r);
}

/* Identifiers go where the session goes: between loops, and across kill -9 with and without a checkpoint. */
static void test_what_came_is_remembered_across_loops_and_kills(void)
{
  rig r = {0};
  pid_t pid;
  client a, s;
  char text[32];
  uint16_t port = rig_fork(&r, 4, &pid);
  CHECK(client_connect(&s, port, 5, "watcher", true, UINT32_MAX));
  CHECK_INT(client_subscribe(&s, "q2/in", 1), 1);
  client_close(&s);
  CHECK(client_connect(&a, port, 4, "mover", false, 0));
  for (int round = 0; round < 12; round++) {
    snprintf(text, sizeof text, "m%d", round);
    put(&a, "q2/in", text, 100, false);
    CHECK_ANSWER(&a, MC_MQTT_PUBREC, 100, 0);
    if (round % 3 == 2) {
      rig_kill(pid);
      client_close(&a);
      port = rig_fork(&r, 4, &pid);
    } else if (round % 3 == 1) {
      client_close(&a);
    }
    client before = a; /* round % 3 == 0: a take-over */
    CHECK(client_connect(&a, port, 4, "mover", false, 0));
    CHECK(a.packet.connack.session_present);
    if (round % 3 == 0)
      client_close(&before);
    put(&a, "q2/in", text, 100, true);
    CHECK_ANSWER(&a, MC_MQTT_PUBREC, 100, 0);
    client_answer(&a, MC_MQTT_PUBREL, 100, 0);
    CHECK_ANSWER(&a, MC_MQTT_PUBCOMP, 100, 0);
    if (round % 4 == 3) { /* released is durable, too */
      rig_kill(pid);
      client_close(&a);
      port = rig_fork(&r, 4, &pid);
      CHECK(client_connect(&a, port, 4, "mover", false, 0));
    }
  }
  CHECK(client_connect(&s, port, 5, "watcher", false, UINT32_MAX));
  for (int round = 0; round < 12; round++) {
    snprintf(text, sizeof text, "m%d", round);
    CHECK_RECEIVES(&s, "q2/in", text);
  }
  CHECK_INT(client_next_within(&s, 200), CLIENT_QUIET);
  client_close(&s);
  client_close(&a);
  rig_kill(pid);
  rig_remove(&r);
}

int main(void)
{
  quiet();
  RUN(test_what_came_is_remembered_across_loops_and_kills); /* before this process has threads */
  RUN(test_a_message_of_a_client_is_taken_once);
  RUN(test_both_qos_share_the_receive_maximum);
  RUN(test_retains_a_message_with_qos_2_and_its_properties);
  return tap_done();
}
