/* Wills that survive the server: sent after a kill, once, after their delay, and not when they were withdrawn. */
#include <stdatomic.h>

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

/* True: it was admitted in time. The connection stays. */
static bool connect_with_will_within(client *c, uint16_t port, const char *id, const char *payload, int timeout_ms)
{
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .clean = true, .keep_alive_s = 60, .has_will = true, .will_qos = 1, .will_topic = MC_LIT("wills"),
                          .will_payload = mc_slice_str(payload)};
  client_dial(c, port, 5);
  mc_mqtt_write_connect(&c->out, &with);
  client_flush(c);
  return client_next_within(c, timeout_ms) == MC_MQTT_CONNACK && c->packet.connack.code == 0;
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
  CHECK_INT(client_settle(&c[5]), 0);
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
    CHECK_INT(client_settle(&w), 0);
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
  CHECK(connect_with_will(&back, port, "back", "back", 1, 5, 3600, true));
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
  CHECK(now_ms() - began > 1000);
  CHECK_INT(client_next_within(&w, (int)(began + 6500 - now_ms())), CLIENT_QUIET); /* and the one that came back is not lost */
  CHECK_INT(client_settle(&w), 0);
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
  CHECK_PING(&w);
  client_close(&w);
  rig_stop(&r);
  rig_start(&r, 1);
  watch(&w, mc_gateway_port(r.g, true), 0);
  CHECK_INT(client_next_within(&w, 1500), CLIENT_QUIET);
  client_close(&w);
  rig_stop(&r);
  rig_remove(&r);
}

static int wills_in_journal(rig *r)
{
  mc_journal_reader *reader;
  mc_record record;
  mc_why why;
  int n = 0;
  if (mc_journal_reader_create(r->journal, 0, (mc_journal_filter){.streams = 1u << MC_STREAM_MESSAGE}, &reader, &why))
    return -1;
  while (mc_journal_reader_next(reader, &record, &why) == MC_OK)
    n += mc_slice_eq_str(record.topic, "wills");
  mc_journal_reader_destroy(&reader);
  return n;
}

/* Returns false when the cut never came: all calls are walked. */
static bool cut_at(uint64_t call, uint8_t qos, uint32_t expiry_s)
{
  mc_fs *fault;
  mc_why why;
  client c;
  mc_fs_fault_open(&fault, &why);
  rig r = {.fs = fault, .journal_config = {.segment_bytes = 1 << 16}};
  rig_start(&r, 1);
  uint64_t calls = mc_fs_fault_calls(fault);
  mc_fs_fault_arm(fault, call, MC_FAULT_POWER_CUT);
  bool admitted = connect_with_will(&c, mc_gateway_port(r.g, true), "cut", "bye", qos, 0, expiry_s, true);
  client_close(&c);
  rig_loops_turn(&r);
  usleep(20000);
  bool cut = mc_fs_fault_calls(fault) - calls >= call;
  rig_stop(&r);
  if (mc_fs_fault_recover(fault, call * 7, &why) != MC_OK)
    tap_this_failed = 1;
  mc_fs_fault_arm(fault, 0, MC_FAULT_NONE);
  for (int life = 0; life < 2; life++) {
    rig_start(&r, 1);
    for (int64_t until = now_ms() + PATIENCE_MS; admitted && wills_in_journal(&r) < 1 && now_ms() < until;)
      usleep(1000);
    usleep(20000);
    int n = wills_in_journal(&r);
    if (n < admitted || n > 1) {
      printf("# QoS %d, call %d, life %d: %s, and its will is there %d times\n", qos, (int)call, life, admitted ? "was told that it is connected" : "was not admitted", n);
      tap_this_failed = 1;
    }
    rig_stop(&r);
  }
  rig_remove(&r);
  mc_fs_fault_close(&fault);
  return cut;
}

/* Wherever power is cut: who heard CONNACK has its will sent, and nobody's is sent twice. */
static void test_a_will_is_sent_once_wherever_power_is_cut(void)
{
  for (uint8_t qos = 0; qos <= 2; qos++) {
    uint64_t call = 1;
    while (call < 100 && !tap_this_failed && cut_at(call, qos, qos == 1 ? 3600 : 0))
      call++;
    printf("# QoS %d: power cut at each of %d calls\n", qos, (int)call - 1);
    CHECK(call > 2 && call < 100);
  }
}

static _Atomic bool sync_held;

static void hold_sync(void *ctx)
{
  (void)ctx;
  while (atomic_load(&sync_held))
    usleep(1000);
}

/* CONNACK with a will, or one that says that what was kept is gone, waits for the disk; others do not. Who is displaced meanwhile leaves no will behind. */
static void test_connack_waits_for_what_it_promises(void)
{
  mc_fs *fault;
  mc_why why;
  client w, plain, wills, clears, gone, second;
  char text[32];
  CHECK_OK(mc_fs_fault_open(&fault, &why));
  rig r = {.fs = fault};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  watch(&w, port, 1);
  CHECK(client_connect(&clears, port, 5, "clears", true, 3600));
  CHECK_INT(client_subscribe(&clears, "t", 1), 1);
  client_close(&clears);
  rig_loops_turn(&r);
  CHECK_INT(client_settle(&w), 0); /* nothing is on its way to the disk */
  mc_fs_fault_on_sync(fault, hold_sync, NULL);
  atomic_store(&sync_held, true);
  CHECK(client_connect(&plain, port, 5, "plain", true, 3600));
  CHECK(!connect_with_will_within(&wills, port, "wills", "of wills", 200));
  CHECK(!connect_with_will_within(&second, port, "wills", "of the second", 200)); /* takes over: the first one was never told anything, and its will is not in force */
  CHECK_INT(client_next(&wills), CLIENT_CLOSED);
  mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("clears"), .clean = true, .keep_alive_s = 60};
  client_dial(&clears, port, 5);
  mc_mqtt_write_connect(&clears.out, &with);
  client_flush(&clears);
  CHECK_INT(client_next_within(&clears, 200), CLIENT_QUIET);
  atomic_store(&sync_held, false);
  CHECK_INT(client_next(&clears), MC_MQTT_CONNACK);
  CHECK(!clears.packet.connack.session_present);
  CHECK_INT(client_next(&second), MC_MQTT_CONNACK);
  CHECK_INT(second.packet.connack.code, 0);
  client_close(&second);
  CHECK(take(&w, text));
  CHECK_STR(text, "of the second");
  CHECK_INT(client_next_within(&w, 200), CLIENT_QUIET);
  client_close(&wills);
  mc_fs_fault_hold(fault, MC_FAULT_ENOSPC);
  CHECK(!connect_with_will(&wills, port, "full", "of full", 1, 0, 0, true));
  CHECK_INT(wills.packet.type, MC_MQTT_CONNACK);
  CHECK_INT(wills.packet.connack.code, 0x97);
  mc_fs_fault_hold(fault, MC_FAULT_NONE);
  CHECK(connect_with_will(&gone, port, "full", "of full", 1, 0, 0, true));
  client_close(&gone);
  CHECK(take(&w, text));
  CHECK_STR(text, "of full");
  CHECK_INT(client_next_within(&w, 200), CLIENT_QUIET);
  client_close(&wills);
  client_close(&plain);
  client_close(&clears);
  client_close(&w);
  rig_stop(&r);
  mc_fs_fault_close(&fault);
  rig_remove(&r);
}

int main(void)
{
  quiet();
  RUN(test_wills_are_sent_after_a_kill_and_once); /* before this process has threads */
  RUN(test_the_delay_goes_on_across_a_kill);
  RUN(test_a_will_with_qos_2_and_its_properties_comes_once_after_a_stop);
  RUN(test_a_will_is_sent_once_wherever_power_is_cut);
  RUN(test_connack_waits_for_what_it_promises);
  return tap_done();
}
