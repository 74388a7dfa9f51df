/* Wills that survive the server: sent after a kill, once, after their delay, and not when they were withdrawn. */
#include "rig.h"

static void quiet(void) { mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2); }

static bool connect_with_will(client *c, uint16_t port, const char *id, const char *payload, uint8_t qos, uint32_t delay_s, uint32_t expiry_s, bool clean)
{
  mc_buf props = {0}, will = {0};
  if (expiry_s)
    mc_mqtt_put_number(&props, 0x11, expiry_s);
  if (delay_s)
    mc_mqtt_put_number(&will, 0x18, delay_s);
  mc_mqtt_put_user(&will, MC_LIT("of"), mc_slice_str(id));
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .clean = clean, .keep_alive_s = 60, .props.raw = mc_buf_slice(&props),
                          .has_will = payload != NULL, .will_qos = qos, .will_topic = MC_LIT("wills"), .will_payload = mc_slice_str(payload), .will_props.raw = mc_buf_slice(&will)};
  bool ok = client_connect_with(c, port, with) == MC_MQTT_CONNACK && c->packet.connack.code == 0;
  mc_buf_free(&props);
  mc_buf_free(&will);
  return ok;
}

static void watch(client *w, uint16_t port, uint8_t qos_at_first)
{
  CHECK(client_connect(w, port, 5, "watcher", qos_at_first, 3600));
  if (qos_at_first)
    CHECK_INT(client_subscribe(w, "wills", qos_at_first), qos_at_first);
}

/* The next PUBLISH; its payload in text. */
static bool take(client *w, char text[32])
{
  if (client_next(w) != MC_MQTT_PUBLISH)
    return false;
  mc_slice_to_str(w->packet.publish.payload, text, 32);
  client_ack(w);
  return true;
}

static void test_wills_are_sent_after_a_kill_and_once(void)
{
  rig r = {0};
  pid_t pid;
  client w, c[6];
  char text[32];
  uint16_t port = rig_fork(&r, 2, &pid);
  watch(&w, port, 1);
  client_close(&w);
  CHECK(connect_with_will(&c[0], port, "ends-1", "ends-1", 1, 0, 0, true));
  CHECK(connect_with_will(&c[1], port, "ends-2", "ends-2", 2, 5, 0, true)); /* its session ends: the delay does not count */
  CHECK(connect_with_will(&c[2], port, "stays", "stays", 2, 0, 3600, true));
  CHECK(connect_with_will(&c[3], port, "left", "left", 1, 0, 3600, true));
  client_disconnect(&c[3]);
  CHECK_INT(client_next(&c[3]), CLIENT_CLOSED);
  CHECK(connect_with_will(&c[4], port, "changed", "before", 1, 0, 3600, true));
  client_disconnect(&c[4]);
  CHECK_INT(client_next(&c[4]), CLIENT_CLOSED);
  client_close(&c[4]);
  CHECK(connect_with_will(&c[4], port, "changed", "after", 1, 0, 3600, false));
  CHECK(connect_with_will(&c[5], port, "without", "none", 1, 0, 3600, true));
  client_disconnect(&c[5]);
  CHECK_INT(client_next(&c[5]), CLIENT_CLOSED);
  client_close(&c[5]);
  CHECK(connect_with_will(&c[5], port, "without", NULL, 0, 0, 3600, false));
  usleep(100000);
  bool seen[4] = {false};
  static const char *const want[] = {"ends-1", "ends-2", "stays", "after"};
  for (int round = 0; round < 3; round++) {
    rig_kill(pid);
    for (int i = 0; i < 6 && round == 0; i++)
      client_close(&c[i]);
    port = rig_fork(&r, 2, &pid);
    watch(&w, port, 0);
    CHECK(w.packet.connack.session_present);
    for (int i = 0; i < 4 && round == 0; i++) {
      CHECK(take(&w, text));
      int n = 0;
      while (n < 4 && strcmp(want[n], text))
        n++;
      if (n == 4 || seen[n])
        TAP_FAIL("will %d: %s", i, text);
      seen[n] = true;
    }
    CHECK_INT(client_next_within(&w, 200), CLIENT_QUIET);
    usleep(100000);
    client_close(&w);
  }
  client one; /* those whose sessions ended are gone */
  CHECK(client_connect(&one, port, 5, "ends-1", false, 10));
  CHECK(!one.packet.connack.session_present);
  client_close(&one);
  CHECK(client_connect(&one, port, 5, "stays", false, 10));
  CHECK(one.packet.connack.session_present);
  client_close(&one);
  rig_kill(pid);
  rig_remove(&r);
}

static void test_the_delay_goes_on_across_a_kill(void)
{
  rig r = {0};
  pid_t pid;
  client w, lost, back;
  char text[32];
  uint16_t port = rig_fork(&r, 2, &pid);
  watch(&w, port, 1);
  CHECK(connect_with_will(&lost, port, "lost", "lost", 1, 2, 3600, true));
  CHECK(connect_with_will(&back, port, "back", "back", 1, 2, 3600, true));
  client_close(&lost);
  usleep(300000);
  client_close(&w);
  rig_kill(pid);
  int64_t began = now_ms();
  client_close(&back);
  port = rig_fork(&r, 2, &pid);
  watch(&w, port, 0);
  CHECK(connect_with_will(&back, port, "back", NULL, 0, 0, 3600, false)); /* in time: nothing is sent */
  CHECK(back.packet.connack.session_present);
  CHECK(take(&w, text));
  CHECK_STR(text, "lost");
  CHECK(now_ms() - began > 1000 && now_ms() - began < 4000);
  CHECK_INT(client_next_within(&w, 1500), CLIENT_QUIET);
  usleep(50000);
  client_close(&w);
  rig_kill(pid);
  port = rig_fork(&r, 2, &pid);
  watch(&w, port, 0);
  CHECK_INT(client_next_within(&w, 2500), CLIENT_QUIET); /* "will-sent" is remembered */
  client_close(&w);
  client_close(&back);
  rig_kill(pid);
  rig_remove(&r);
}

static void test_a_will_with_qos_2_and_its_properties_comes_once_after_a_stop(void)
{
  rig r = {0};
  client w, c;
  rig_start(&r, 2);
  watch(&w, mc_gateway_port(r.g, true), 2);
  client_close(&w);
  CHECK(connect_with_will(&c, mc_gateway_port(r.g, true), "device", "bye", 2, 1, 3600, true));
  rig_stop(&r); /* the server ends the connection: the delay begins */
  client_close(&c);
  rig_start(&r, 1);
  watch(&w, mc_gateway_port(r.g, true), 0);
  CHECK_INT(client_next(&w), MC_MQTT_PUBLISH);
  CHECK_SLICE(w.packet.publish.payload, "bye");
  CHECK_INT(w.packet.publish.qos, 2);
  mc_mqtt_property p;
  size_t at = 0;
  CHECK(mc_mqtt_property_next(w.packet.publish.props.raw, &at, &p));
  CHECK_INT(p.id, 0x26);
  CHECK_SLICE(p.text, "device");
  CHECK_INT(at, w.packet.publish.props.raw.len); /* the delay is not passed on (3.1.3.2.2) */
  uint16_t id = w.packet.publish.packet_id;
  client_answer(&w, MC_MQTT_PUBREC, id, 0);
  CHECK_ANSWER(&w, MC_MQTT_PUBREL, id, 0);
  client_answer(&w, MC_MQTT_PUBCOMP, id, 0);
  CHECK_INT(client_next_within(&w, 200), CLIENT_QUIET);
  client_close(&w);
  rig_stop(&r);
  rig_start(&r, 1);
  watch(&w, mc_gateway_port(r.g, true), 0);
  CHECK_INT(client_next_within(&w, 1500), CLIENT_QUIET);
  client_close(&w);
  rig_stop(&r);
  rig_remove(&r);
}

int main(void)
{
  quiet();
  RUN(test_wills_are_sent_after_a_kill_and_once); /* before this process has threads */
  RUN(test_the_delay_goes_on_across_a_kill);
  RUN(test_a_will_with_qos_2_and_its_properties_comes_once_after_a_stop);
  return tap_done();
}
