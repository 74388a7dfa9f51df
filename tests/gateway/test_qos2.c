/* QoS 2: exactly once, from clients and to them, through lost connections, take-overs and kill -9. */
#include "rig.h"

static void quiet(void) { mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2); }

static void put(client *c, const char *topic, const char *payload, uint16_t id, bool dup)
{
  mc_mqtt_publish p = {.topic = mc_slice_str(topic), .payload = mc_slice_str(payload), .qos = 2, .dup = dup, .packet_id = id};
  mc_mqtt_write_publish(&c->out, c->version, &p, (mc_slice){0});
  client_flush(c);
}

/* ---- from clients ---- */
static void takes_once(uint16_t port, uint8_t version, bool kept)
{
  client a, s;
  char id[32];
  snprintf(id, sizeof id, "once-%d-%d", version, kept);
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
  CHECK_ANSWER(&a, MC_MQTT_PUBCOMP, 7, 0); /* the one before was lost, it thinks: no failure to tell of */
  client_answer(&a, MC_MQTT_PUBREL, 9, 0);
  CHECK_ANSWER(&a, MC_MQTT_PUBCOMP, 9, 0);
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
  rig r = {.row = {{"receive_max", 3}, {"send_max", 3}}};
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

/* ---- to clients ---- */
/* The next packet is a PUBLISH of QoS 2 with this payload; nothing is answered. */
#define CHECK_COMES(c, payload_text, want_id, want_dup)           \
  do {                                                            \
    CHECK_INT(client_next(c), MC_MQTT_PUBLISH);                   \
    CHECK_SLICE((c)->packet.publish.payload, (payload_text));     \
    CHECK_INT((c)->packet.publish.qos, 2);                        \
    CHECK_INT((c)->packet.publish.packet_id, (want_id));          \
    CHECK_INT((c)->packet.publish.dup, (want_dup));               \
  } while (0)

static bool publish_q2(client *c, const char *topic, const char *payload)
{
  put(c, topic, payload, 500, false);
  if (client_next(c) != MC_MQTT_PUBREC || c->packet.ack.code)
    return false;
  client_answer(c, MC_MQTT_PUBREL, 500, 0);
  return client_next(c) == MC_MQTT_PUBCOMP;
}

static void gives_by_granted_qos(uint16_t port, uint8_t version, bool kept)
{
  client a, s[3];
  CHECK(client_connect(&a, port, 5, "publisher", true, 0));
  for (uint8_t qos = 0; qos < 3; qos++) {
    char id[32];
    snprintf(id, sizeof id, "granted-%d-%d-%d", version, kept, qos);
    CHECK(client_connect(&s[qos], port, version, id, !kept, kept && version == 5 ? 100 : 0));
    CHECK_INT(client_subscribe(&s[qos], "q2/out", qos), qos);
  }
  CHECK(publish_q2(&a, "q2/out", "twice"));
  CHECK_INT(client_publish(&a, "q2/out", "once", false), 0);
  for (uint8_t qos = 0; qos < 3; qos++) {
    CHECK_INT(client_next(&s[qos]), MC_MQTT_PUBLISH);
    CHECK_SLICE(s[qos].packet.publish.payload, "twice");
    CHECK_INT(s[qos].packet.publish.qos, qos);
    uint16_t id = s[qos].packet.publish.packet_id;
    if (qos == 2) {
      CHECK_RECEIVES(&s[qos], "q2/out", "once"); /* does not wait for the other's PUBREC */
      client_answer(&s[qos], MC_MQTT_PUBREC, id, 0);
      CHECK_ANSWER(&s[qos], MC_MQTT_PUBREL, id, 0);
      client_answer(&s[qos], MC_MQTT_PUBREC, id, 0); /* our PUBREL was lost, it thinks */
      CHECK_ANSWER(&s[qos], MC_MQTT_PUBREL, id, 0);
      client_answer(&s[qos], MC_MQTT_PUBCOMP, id, 0);
      client_answer(&s[qos], MC_MQTT_PUBREC, id, 0);
      CHECK_ANSWER(&s[qos], MC_MQTT_PUBREL, id, version == 5 ? MC_MQTT_ID_NOT_FOUND : 0);
      client_answer(&s[qos], MC_MQTT_PUBCOMP, id, 0); /* no harm */
      CHECK_PING(&s[qos]);
    } else if (qos == 1) {
      client_ack(&s[qos]);
      CHECK_RECEIVES(&s[qos], "q2/out", "once");
    }
    client_close(&s[qos]);
  }
  client_close(&a);
}

static void test_a_subscriber_gets_the_qos_that_was_granted(void)
{
  rig r = {0};
  rig_start(&r, 2);
  for (uint8_t version = 4; version <= 5; version++)
    for (int kept = 0; kept < 2 && !tap_this_failed; kept++)
      gives_by_granted_qos(mc_gateway_port(r.g, true), version, kept);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_wrong_answers_are_protocol_errors(void)
{
  rig r = {0};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  client a, s;
  static const struct { uint8_t granted; mc_mqtt_type answer; } wrong[] = {{2, MC_MQTT_PUBACK}, {2, MC_MQTT_PUBCOMP}, {1, MC_MQTT_PUBREC}, {1, MC_MQTT_PUBCOMP}};
  CHECK(client_connect(&a, port, 5, "publisher", true, 0));
  for (size_t i = 0; i < 4; i++) {
    CHECK(client_connect(&s, port, 5, "wrong", true, 0));
    CHECK_INT(client_subscribe(&s, "q2/wrong", wrong[i].granted), wrong[i].granted);
    CHECK(publish_q2(&a, "q2/wrong", "x"));
    CHECK_INT(client_next(&s), MC_MQTT_PUBLISH);
    client_answer(&s, wrong[i].answer, s.packet.publish.packet_id, 0);
    CHECK_INT(client_next(&s), MC_MQTT_DISCONNECT);
    CHECK_INT(s.packet.disconnect.code, MC_MQTT_PROTOCOL_ERROR);
    client_close(&s);
  }
  client_close(&a);
  rig_stop(&r);
  rig_remove(&r);
}

/* 4.9 and 4.3.3: a place is free at PUBCOMP or at a PUBREC that refuses; a new connection's window counts what it sends again. */
static void test_the_clients_receive_maximum_counts_both_qos(void)
{
  rig r = {0};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  client a, s;
  mc_buf props = {0};
  mc_mqtt_put_number(&props, 0x21, 3);
  mc_mqtt_put_number(&props, 0x11, 100);
  mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("narrow"), .clean = true, .props.raw = mc_buf_slice(&props)};
  CHECK_INT(client_connect_with(&s, port, with), MC_MQTT_CONNACK);
  CHECK_INT(client_subscribe(&s, "q2/+", 2), 2);
  CHECK(client_connect(&a, port, 5, "publisher", true, 0));
  char text[8];
  for (int i = 1; i <= 6; i++) {
    snprintf(text, sizeof text, "m%d", i % 10);
    if (i == 2)
      CHECK_INT(client_publish(&a, "q2/a", text, false), 0);
    else
      CHECK(publish_q2(&a, "q2/a", text));
  }
  CHECK_COMES(&s, "m1", 1, false);
  CHECK_INT(client_next(&s), MC_MQTT_PUBLISH);
  CHECK_SLICE(s.packet.publish.payload, "m2");
  CHECK_INT(s.packet.publish.qos, 1);
  CHECK_COMES(&s, "m3", 3, false);
  CHECK_INT(client_next_within(&s, 100), CLIENT_QUIET);
  client_answer(&s, MC_MQTT_PUBREC, 1, 0);
  CHECK_ANSWER(&s, MC_MQTT_PUBREL, 1, 0);
  CHECK_INT(client_next_within(&s, 100), CLIENT_QUIET); /* PUBREC frees nothing */
  client_answer(&s, MC_MQTT_PUBCOMP, 1, 0);
  CHECK_COMES(&s, "m4", 4, false);
  client_answer(&s, MC_MQTT_PUBREC, 3, MC_MQTT_QUOTA); /* but a refusal does, when its turn in the ring has come */
  client_answer(&s, MC_MQTT_PUBACK, 2, 0);
  CHECK_COMES(&s, "m5", 5, false);
  CHECK_COMES(&s, "m6", 6, false);
  client_close(&s);
  mc_buf_clear(&props); /* it comes back with less room */
  mc_mqtt_put_number(&props, 0x21, 1);
  mc_mqtt_put_number(&props, 0x11, 100);
  with = (mc_mqtt_connect){.version = 5, .client_id = MC_LIT("narrow"), .props.raw = mc_buf_slice(&props)};
  CHECK_INT(client_connect_with(&s, port, with), MC_MQTT_CONNACK);
  CHECK(s.packet.connack.session_present);
  for (uint16_t id = 4; id <= 6; id++) {
    snprintf(text, sizeof text, "m%d", id % 10);
    CHECK_COMES(&s, text, id, true);
    CHECK_INT(client_next_within(&s, 50), CLIENT_QUIET);
    client_answer(&s, MC_MQTT_PUBREC, id, 0);
    CHECK_ANSWER(&s, MC_MQTT_PUBREL, id, 0);
    client_answer(&s, MC_MQTT_PUBCOMP, id, 0);
  }
  CHECK_INT(client_next_within(&s, 50), CLIENT_QUIET);
  mc_buf_free(&props);
  client_close(&s);
  client_close(&a);
  rig_stop(&r);
  rig_remove(&r);
}

/* One message to a kept session, the server killed (or asked to stop) at each stage: it goes on where it was, under the same identifier. */
static void test_goes_on_at_each_stage_after_a_kill(void)
{
  rig r = {0};
  pid_t pid;
  client a, s;
  char text[32];
  uint16_t id = 0;
  uint16_t port = rig_fork(&r, 2, &pid);
  CHECK(client_connect(&s, port, 5, "keeper", true, UINT32_MAX));
  CHECK_INT(client_subscribe(&s, "q2/out", 2), 2);
  for (int stage = 0; stage < 5; stage++) {
    snprintf(text, sizeof text, "s%d", stage);
    if (stage == 0)
      client_close(&s);
    CHECK(client_connect(&a, port, 5, "publisher", true, 0));
    CHECK(publish_q2(&a, "q2/out", text));
    client_close(&a);
    if (stage > 0) { /* 1: PUBLISH was sent; 2: PUBREC was sent; 3: PUBREL came; 4: PUBCOMP was sent */
      CHECK_INT(client_next(&s), MC_MQTT_PUBLISH);
      id = s.packet.publish.packet_id;
    }
    if (stage > 1)
      client_answer(&s, MC_MQTT_PUBREC, id, 0);
    if (stage > 2)
      CHECK_ANSWER(&s, MC_MQTT_PUBREL, id, 0);
    if (stage > 3) {
      client_answer(&s, MC_MQTT_PUBCOMP, id, 0);
      CHECK_INT(client_settle(&s), 0);
    }
    rig_kill(pid);
    client_close(&s);
    port = rig_fork(&r, 2, &pid);
    CHECK(client_connect(&s, port, 5, "keeper", false, UINT32_MAX));
    CHECK(s.packet.connack.session_present);
    int got = stage < 4 ? client_next(&s) : client_next_within(&s, 200);
    if (stage == 4) {
      CHECK_INT(got, CLIENT_QUIET);
      continue;
    }
    if (stage == 3 || (stage == 2 && got == MC_MQTT_PUBREL)) { /* at stage 2 the kill may have come before it was read */
      CHECK_INT(got, MC_MQTT_PUBREL);
      CHECK_INT(s.packet.ack.packet_id, id);
    } else {
      CHECK_INT(got, MC_MQTT_PUBLISH);
      CHECK_SLICE(s.packet.publish.payload, text);
      if (stage == 0)
        id = s.packet.publish.packet_id;
      CHECK_INT(s.packet.publish.packet_id, id);
      CHECK_INT(s.packet.publish.dup, stage > 0);
      client_answer(&s, MC_MQTT_PUBREC, id, 0);
      CHECK_ANSWER(&s, MC_MQTT_PUBREL, id, 0);
    }
    client_answer(&s, MC_MQTT_PUBCOMP, id, 0);
    CHECK_INT(client_next_within(&s, 100), CLIENT_QUIET);
  }
  client_close(&s);
  rig_kill(pid);
  rig_remove(&r);
}

int main(void)
{
  quiet();
  RUN(test_what_came_is_remembered_across_loops_and_kills); /* before this process has threads */
  RUN(test_goes_on_at_each_stage_after_a_kill);
  RUN(test_a_message_of_a_client_is_taken_once);
  RUN(test_both_qos_share_the_receive_maximum);
  RUN(test_a_subscriber_gets_the_qos_that_was_granted);
  RUN(test_wrong_answers_are_protocol_errors);
  RUN(test_the_clients_receive_maximum_counts_both_qos);
  RUN(test_retains_a_message_with_qos_2_and_its_properties);
  return tap_done();
}
