/* The disk falls behind: publishers feel smaller windows, then delay, then a reason; nothing that was acknowledged is lost, and each refusal is counted.
 * A subscriber falls behind: nobody feels it, until its queue holds back more journal than it may. */
#include <stdatomic.h>

#include "rig.h"

static _Atomic int sync_ms;    /* each sync takes so long */
static _Atomic bool sync_held; /* and does not end */

static void slow(void *ctx)
{
  int ms = atomic_load(&sync_ms);
  if (ms)
    usleep((unsigned)ms * 1000);
  while (atomic_load(&sync_held))
    usleep(2000);
}

static void open_slow(rig *r, mc_fs **fault)
{
  mc_why why;
  if (mc_fs_fault_open(fault, &why))
    rig_fail("fault", &why);
  mc_fs_fault_on_sync(*fault, slow, NULL);
  r->fs = *fault;
  r->limits.pressure_window_ms = 40;
  r->limits.pressure_delay_ms = r->limits.pressure_delay_ms ? r->limits.pressure_delay_ms : 150;
  r->limits.pressure_refuse_ms = r->limits.pressure_refuse_ms ? r->limits.pressure_refuse_ms : 500;
  r->limits.pressure_close_ms = r->limits.pressure_close_ms ? r->limits.pressure_close_ms : 600;
  rig_start(r, 1);
}

static void close_slow(rig *r, mc_fs **fault)
{
  atomic_store(&sync_ms, 0);
  atomic_store(&sync_held, false);
  rig_stop(r);
  mc_fs_fault_close(fault);
  rig_remove(r);
}

static uint64_t limited(rig *r, const char *id, mc_cause cause)
{
  mc_client_info info;
  return mc_gateway_client(r->g, 1, mc_slice_str(id), &info) ? info.limited[cause] : 0;
}

static int events_saying(rig *r, const char *part)
{
  static mc_connection_event e[4096];
  int said = 0;
  size_t n = mc_gateway_events(r->g, 1, e, 4096);
  for (size_t i = 0; i < n; i++)
    said += strstr(e[i].text, part) != NULL;
  return said;
}

static bool event_says(rig *r, const char *part) { return events_saying(r, part) > 0; }

static uint16_t window_of_a_new_client(rig *r, const char *id)
{
  client c;
  uint16_t window = client_connect(&c, mc_gateway_port(r->g, true), 5, id, true, 0) ? c.packet.connack.props.receive_max : 0;
  client_close(&c);
  return window;
}

static void test_a_slow_disk_first_shrinks_windows_and_loses_nothing(void)
{
  rig r = {.limits = {.pressure_delay_ms = 20000, .pressure_refuse_ms = 20000, .pressure_close_ms = 20000}};
  mc_fs *fault;
  open_slow(&r, &fault);
  client pub, four;
  enum { N = 400 };
  CHECK(client_connect(&pub, mc_gateway_port(r.g, true), 5, "pub", true, 0));
  CHECK_INT(pub.packet.connack.props.receive_max, 1024);
  CHECK(client_connect(&four, mc_gateway_port(r.g, true), 4, "four", true, 0));
  atomic_store(&sync_ms, 300);
  atomic_store(&sync_held, true); /* until that was seen */
  for (int i = 0; i < 16; i++)
    client_put_publish(&pub, "t", "begins", 1, false, (uint16_t)(i + 1));
  client_flush(&pub);
  uint16_t smaller = 0;
  CHECK_SOON((smaller = window_of_a_new_client(&r, "new")) <= 64); /* the first group is on its way to the disk, for 300 ms and more */
  for (int i = 16; i < N; i++)
    client_put_publish(&pub, "t", "more", 1, false, (uint16_t)(i + 1));
  client_flush(&pub);
  for (int i = 0; i < N / 4; i++)
    client_put_publish(&four, "t", "4", 1, false, (uint16_t)(i + 1));
  client_flush(&four);
  CHECK_SOON(limited(&r, "pub", MC_CAUSE_BEHIND_WAIT) > 0);
  atomic_store(&sync_held, false);
  for (int i = 0; i < N; i++)
    CHECK_ANSWER(&pub, MC_MQTT_PUBACK, i + 1, 0);
  for (int i = 0; i < N / 4; i++)
    CHECK_INT(client_next(&four), MC_MQTT_PUBACK);
  printf("# Receive Maximum of a new client while a sync does not end: %u\n", smaller);
  CHECK(smaller < 1024 && smaller >= 16);
  CHECK_INT(limited(&r, "pub", MC_CAUSE_BEHIND_REFUSED), 0);
  CHECK(event_says(&r, "smaller windows"));
  atomic_store(&sync_ms, 0);
  CHECK_SOON(window_of_a_new_client(&r, "new") == 1024);
  mc_gateway_stats stats;
  mc_gateway_stats_get(r.g, &stats);
  CHECK_INT(stats.acknowledged, N + N / 4);
  client_close(&pub);
  client_close(&four);
  close_slow(&r, &fault);
}

static void test_a_disk_that_stands_still_is_told_and_what_was_acknowledged_is_there(void)
{
  rig r = {.limits = {.pressure_refuse_ms = 2000, .pressure_close_ms = 2400}};
  mc_fs *fault;
  open_slow(&r, &fault);
  client five, four, sub;
  uint16_t port = mc_gateway_port(r.g, true);
  CHECK(client_connect(&sub, port, 5, "sub", true, 0));
  CHECK_INT(client_subscribe(&sub, "t", 1), 1);
  CHECK(client_connect(&five, port, 5, "five", true, 0));
  CHECK(client_connect(&four, port, 4, "four", true, 0));
  CHECK_INT(client_publish(&five, "t", "before", false), 0);
  CHECK_RECEIVES(&sub, "t", "before");
  atomic_store(&sync_held, true);
  client_put_publish(&five, "t", "staged", 1, false, 1);
  client_flush(&five);
  CHECK_SOON(window_of_a_new_client(&r, "new") == 16); /* "delay": the second one waits, unread */
  client_put_publish(&five, "t", "waits", 1, false, 2);
  client_flush(&five);
  client_put_publish(&four, "t", "of four", 1, false, 1); /* staged: nothing of it was under way */
  client_put_publish(&four, "t", "waits, too", 1, false, 2);
  client_flush(&four);
  CHECK_INT(client_next_within(&five, 100), CLIENT_QUIET);
  int64_t began = now_ms();
  CHECK_ANSWER(&five, MC_MQTT_PUBACK, 2, 0x97); /* "refuse" */
  mc_slice reason = five.packet.ack.props.reason;
  CHECK(reason.len && memmem(reason.data, reason.len, "far behind", 10));
  printf("# refused after %lld ms more\n", (long long)(now_ms() - began));
  CHECK_INT(client_next(&four), CLIENT_CLOSED); /* "close" */
  mc_gateway_stats stats;
  mc_gateway_stats_get(r.g, &stats);
  CHECK_INT(stats.acknowledged, 1);
  CHECK_SOON(event_says(&r, "far behind), and MQTT 3.1.1 cannot say so"));
  CHECK(limited(&r, "five", MC_CAUSE_BEHIND_WAIT) > 0);
  CHECK_INT(limited(&r, "five", MC_CAUSE_BEHIND_REFUSED), 1);
  CHECK_SOON((mc_metric_value(mc_metric_get(MC_METRIC_COUNTER, "motorcade_mqtt_limited_total", "", "cause=\"behind_closed\"")) > 0));
  atomic_store(&sync_held, false);
  CHECK_ANSWER(&five, MC_MQTT_PUBACK, 1, 0);
  CHECK_RECEIVES(&sub, "t", "staged");
  CHECK_RECEIVES(&sub, "t", "of four"); /* stored, though its client did not hear: it sends it again, as QoS 1 may */
  CHECK_INT(client_next_within(&sub, 100), CLIENT_QUIET);
  CHECK_INT(client_publish(&five, "t", "goes on", false), 0);
  CHECK_RECEIVES(&sub, "t", "goes on");
  CHECK_SOON(event_says(&r, "the disk keeps up"));
  client_close(&five);
  client_close(&four);
  client_close(&sub);
  close_slow(&r, &fault);
}

static _Atomic bool keep_talking;

/* Something is always on its way to the disk. */
static void *talk(void *port)
{
  client c;
  if (!client_connect(&c, *(uint16_t *)port, 4, "talker", true, 0))
    return NULL;
  for (int i = 0; atomic_load(&keep_talking); i++) {
    client_put_publish(&c, "talk", "x", 1, false, (uint16_t)(i % 1000 + 1));
    client_flush(&c);
    while (client_next_within(&c, 10) == MC_MQTT_PUBACK)
      ;
  }
  client_close(&c);
  return NULL;
}

/* PUBREL lies behind the PUBLISH that is not read: what waits for it must not count against the smaller window, or nothing would ever move. */
static void test_qos_2_goes_on_while_the_disk_stays_slow(void)
{
  rig r = {.limits = {.pressure_delay_ms = 20000, .pressure_refuse_ms = 20000, .pressure_close_ms = 20000}};
  mc_fs *fault;
  open_slow(&r, &fault);
  client pub;
  pthread_t talker;
  enum { N = 900 };
  int done = 0;
  uint16_t port = mc_gateway_port(r.g, true);
  CHECK(client_connect(&pub, port, 5, "pub", true, 0));
  atomic_store(&keep_talking, true);
  pthread_create(&talker, NULL, talk, &port);
  atomic_store(&sync_ms, 200);
  CHECK_SOON(event_says(&r, "smaller windows"));
  for (int i = 0; i < N; i++)
    client_put_publish(&pub, "t", "x", 2, false, (uint16_t)(i + 1));
  client_flush(&pub);
  while (done < N) {
    int type = client_next(&pub);
    CHECK(type == MC_MQTT_PUBREC || type == MC_MQTT_PUBCOMP);
    if (type != MC_MQTT_PUBREC && type != MC_MQTT_PUBCOMP)
      break;
    CHECK_INT(pub.packet.ack.code, 0);
    if (type == MC_MQTT_PUBREC)
      client_answer(&pub, MC_MQTT_PUBREL, pub.packet.ack.packet_id, 0);
    else
      done++;
  }
  CHECK(limited(&r, "pub", MC_CAUSE_BEHIND_WAIT) > 0);
  atomic_store(&sync_ms, 0);
  atomic_store(&keep_talking, false);
  pthread_join(talker, NULL);
  client_close(&pub);
  close_slow(&r, &fault);
}

/* Hovering about a bound is one episode: it does not push everything else out of what people see. */
static void test_a_disk_that_hovers_is_told_once(void)
{
  rig r = {.limits = {.pressure_delay_ms = 20000, .pressure_refuse_ms = 20000, .pressure_close_ms = 20000}};
  mc_fs *fault;
  open_slow(&r, &fault);
  client pub;
  CHECK(client_connect(&pub, mc_gateway_port(r.g, true), 5, "pub", true, 0));
  for (int i = 0; i < 8; i++) {
    atomic_store(&sync_ms, i % 2 ? 0 : 120);
    CHECK_INT(client_publish(&pub, "t", "x", false), 0);
    usleep(60 * 1000);
  }
  CHECK_INT(events_saying(&r, "smaller windows"), 1);
  CHECK_INT(events_saying(&r, "the disk keeps up"), 0);
  client_close(&pub);
  close_slow(&r, &fault);
}

/* Who stays behind keeps the journal from being shortened; publishers come to feel it, in the same steps, before the disk is full. */
static void test_a_disk_that_fills_behind_a_subscriber_is_felt_in_steps(void)
{
  rig r = {.limits = {.pressure_free_bytes = 64 << 20}};
  mc_fs *fault;
  open_slow(&r, &fault);
  uint16_t port = mc_gateway_port(r.g, true);
  client sub, five, four;
  CHECK(client_connect(&sub, port, 5, "sub", true, 3600));
  CHECK_INT(client_subscribe(&sub, "t", 1), 1);
  client_close(&sub);
  CHECK(client_connect(&five, port, 5, "five", true, 0));
  CHECK(client_connect(&four, port, 4, "four", true, 0));
  CHECK_INT(client_publish(&five, "t", "before", false), 0);
  mc_fs_fault_free_bytes(fault, 48 << 20);
  CHECK_SOON(window_of_a_new_client(&r, "new") == 512); /* half way to the next step */
  CHECK_INT(client_publish(&five, "t", "window", false), 0);
  mc_fs_fault_free_bytes(fault, 20 << 20);
  CHECK_SOON(window_of_a_new_client(&r, "new") == 16);
  atomic_store(&sync_ms, 30);
  for (int i = 0; i < 8; i++)
    client_put_publish(&five, "t", "one by one", 1, false, (uint16_t)(i + 1));
  int64_t began = now_ms();
  client_flush(&five);
  for (int i = 0; i < 8; i++)
    CHECK_ANSWER(&five, MC_MQTT_PUBACK, i + 1, 0);
  CHECK(now_ms() - began >= 8 * 30); /* a sync each */
  atomic_store(&sync_ms, 0);
  uint64_t waits = limited(&r, "five", MC_CAUSE_BEHIND_WAIT);
  CHECK(waits >= 7);
  mc_fs_fault_free_bytes(fault, 10 << 20);
  CHECK_SOON(event_says(&r, "next to no room"));
  CHECK(event_says(&r, "little room for the journal: publishers get smaller windows; client \"sub\""));
  CHECK_INT(client_publish(&five, "t", "no", false), 0x97);
  mc_slice reason = five.packet.ack.props.reason;
  CHECK(reason.len && memmem(reason.data, reason.len, "nearly full", 11));
  CHECK_INT(limited(&r, "five", MC_CAUSE_BEHIND_REFUSED), 1);
  client_put_publish(&four, "t", "no", 1, false, 1);
  client_flush(&four);
  CHECK_INT(client_next(&four), CLIENT_CLOSED);
  client_close(&four);
  CHECK(client_connect(&four, port, 4, "four", true, 0));
  CHECK_INT(limited(&r, "four", MC_CAUSE_BEHIND_CLOSED), 1);
  client_put_publish(&four, "t", "waits", 1, false, 1); /* and is read when there is room, though nothing else happens on its loop */
  client_flush(&four);
  usleep(200 * 1000);
  mc_fs_fault_free_bytes(fault, 100 << 20);
  CHECK_INT(client_next(&four), MC_MQTT_PUBACK);
  CHECK_INT(client_publish(&five, "t", "after", false), 0);
  CHECK_SOON(window_of_a_new_client(&r, "new") == 1024);
  CHECK_SOON(event_says(&r, "the journal has room again"));
  CHECK(client_connect(&sub, port, 5, "sub", false, 3600));
  CHECK_RECEIVES(&sub, "t", "before");
  CHECK_RECEIVES(&sub, "t", "window");
  for (int i = 0; i < 8; i++)
    CHECK_RECEIVES(&sub, "t", "one by one");
  CHECK_RECEIVES(&sub, "t", "waits");
  CHECK_RECEIVES(&sub, "t", "after");
  CHECK_INT(client_next_within(&sub, 100), CLIENT_QUIET);
  client_close(&sub);
  client_close(&five);
  client_close(&four);
  close_slow(&r, &fault);
}

static void test_a_full_disk_is_counted_by_client(void)
{
  rig r = {0};
  mc_fs *fault;
  open_slow(&r, &fault);
  client five;
  CHECK(client_connect(&five, mc_gateway_port(r.g, true), 5, "five", true, 0));
  CHECK_INT(client_publish(&five, "t", "x", false), 0);
  mc_fs_fault_hold(fault, MC_FAULT_ENOSPC);
  CHECK_INT(client_publish(&five, "t", "x", false), 0x97);
  CHECK_INT(client_publish(&five, "t", "x", false), 0x97);
  mc_fs_fault_hold(fault, MC_FAULT_NONE);
  CHECK_SOON(client_publish(&five, "t", "x", false) == 0);
  CHECK(limited(&r, "five", MC_CAUSE_DISK_FULL) >= 2);
  client_close(&five);
  close_slow(&r, &fault);
}

enum { FLOOD = 3000, PAYLOAD = 4000 };

static void flood(client *pub, int from, int to)
{
  static char text[PAYLOAD + 1];
  memset(text, 'f', PAYLOAD);
  for (int i = from; i < to; i++) {
    snprintf(text, 16, "%08d", i);
    memset(text + 8, 32, 8);
    client_put_publish(pub, "t", text, 1, false, (uint16_t)(i % 250 + 1));
    if (i % 250 != 249)
      continue;
    client_flush(pub);
    for (int k = 0; k < 250; k++)
      CHECK_INT(client_next(pub), MC_MQTT_PUBACK);
  }
}

/* A connected client that reads and does not acknowledge, and one that is away; publishers feel neither. */
static void hold_back(uint64_t most, bool connected)
{
  rig r = {.limits = {.session_hold_bytes = most, .pressure_window_ms = 20000, .pressure_delay_ms = 20000, .pressure_refuse_ms = 20000, .pressure_close_ms = 20000}}; /* a slow disk is not meant */
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  client sub, pub;
  CHECK(client_connect(&sub, port, 5, "sub", false, 3600));
  CHECK_INT(client_subscribe(&sub, "t", 1), 1);
  if (!connected)
    client_close(&sub);
  CHECK(client_connect(&pub, port, 5, "pub", true, 0));
  flood(&pub, 0, FLOOD);
  if (most)
    CHECK_SOON(limited(&r, "sub", MC_CAUSE_GIVEN_UP) > 0);
  usleep(700 * 1000); /* most likely the last checkpoint is over then */
  if (connected && most) {
    int type;
    while ((type = client_next(&sub)) == MC_MQTT_PUBLISH)
      ;
    CHECK_INT(type, MC_MQTT_DISCONNECT);
    CHECK_INT(sub.packet.disconnect.code, MC_MQTT_QUOTA);
  }
  if (connected)
    client_close(&sub);
  CHECK_INT(event_says(&r, "given up"), most > 0);
  CHECK_INT(limited(&r, "pub", MC_CAUSE_BEHIND_WAIT), 0);
  CHECK(client_connect(&sub, port, 5, "sub", false, 3600));
  uint64_t got = 0;
  int last = -1, closed = 0;
  while (last < FLOOD - 1) {
    int type = client_next(&sub);
    if (most && type == MC_MQTT_DISCONNECT && sub.packet.disconnect.code == MC_MQTT_QUOTA) { /* one more checkpoint came, and they were beyond it still */
      client_close(&sub);
      CHECK(closed++ < 10 && client_connect(&sub, port, 5, "sub", false, 3600));
      continue;
    }
    if (type != MC_MQTT_PUBLISH)
      break;
    int is = atoi((const char *)sub.packet.publish.payload.data);
    client_ack(&sub);
    if (is <= last && closed)
      continue; /* again, for its acknowledgement was not taken any more */
    if (is <= last)
      TAP_FAIL("message %d after %d", is, last);
    last = is;
    got++;
  }
  uint64_t given_up = limited(&r, "sub", MC_CAUSE_GIVEN_UP);
  printf("# %llu given up and told, %llu delivered\n", (unsigned long long)given_up, (unsigned long long)got);
  if (closed) /* what was taken and not acknowledged in time may count twice */
    CHECK(got + given_up >= FLOOD);
  else
    CHECK_INT(got + given_up, FLOOD);
  CHECK(most ? given_up > 0 : given_up == 0);
  CHECK_INT(client_next_within(&sub, 100), CLIENT_QUIET);
  client_close(&sub);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

/* The client took PUBLISH and did not say so: it holds the identifier until PUBREL, which is what it gets; the next message under it is no repeat. */
static void test_qos_2_that_was_begun_is_given_up_by_pubrel(void)
{
  rig r = {.limits.session_hold_bytes = 3 << 20};
  rig_start(&r, 1);
  client sub, pub;
  for (int life = 0; life < 2; life++) {
    uint16_t port = mc_gateway_port(r.g, true), id;
    if (life == 0) {
      CHECK(client_connect(&sub, port, 5, "sub", false, 3600));
      CHECK_INT(client_subscribe(&sub, "twice", 2), 2);
      CHECK(client_connect(&pub, port, 5, "pub", true, 0));
      client_put_publish(&pub, "twice", "begun", 2, false, 300);
      client_flush(&pub);
      CHECK_ANSWER(&pub, MC_MQTT_PUBREC, 300, 0);
      client_answer(&pub, MC_MQTT_PUBREL, 300, 0);
      CHECK_ANSWER(&pub, MC_MQTT_PUBCOMP, 300, 0);
      CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
      flood(&pub, 0, FLOOD);
      CHECK_SOON(limited(&r, "sub", MC_CAUSE_GIVEN_UP) == 1);
      CHECK_INT(client_next(&sub), MC_MQTT_DISCONNECT);
      CHECK_INT(sub.packet.disconnect.code, MC_MQTT_QUOTA);
      client_close(&sub);
      client_close(&pub);
      rig_stop(&r);
      rig_start(&r, 2);
      continue;
    }
    CHECK(client_connect(&sub, port, 5, "sub", false, 3600));
    CHECK(sub.packet.connack.session_present);
    CHECK_INT(client_next(&sub), MC_MQTT_PUBREL);
    id = sub.packet.ack.packet_id;
    CHECK_INT(client_next_within(&sub, 100), CLIENT_QUIET);
    client_answer(&sub, MC_MQTT_PUBCOMP, id, 0);
    CHECK(client_connect(&pub, port, 5, "pub", true, 0));
    client_put_publish(&pub, "twice", "next", 2, false, 301);
    client_flush(&pub);
    CHECK_ANSWER(&pub, MC_MQTT_PUBREC, 301, 0);
    CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
    CHECK_SLICE(sub.packet.publish.payload, "next");
  }
  client_close(&sub);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_a_queue_may_hold_back_all_of_the_journal(void) { hold_back(0, false); }
static void test_what_is_beyond_the_bound_is_given_up_counted_and_told(void) { hold_back(3 << 20, false); }
static void test_a_client_that_never_acknowledges_is_closed_at_the_bound(void) { hold_back(3 << 20, true); }

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_slow_disk_first_shrinks_windows_and_loses_nothing);
  RUN(test_a_disk_that_stands_still_is_told_and_what_was_acknowledged_is_there);
  RUN(test_qos_2_goes_on_while_the_disk_stays_slow);
  RUN(test_a_disk_that_hovers_is_told_once);
  RUN(test_a_disk_that_fills_behind_a_subscriber_is_felt_in_steps);
  RUN(test_a_full_disk_is_counted_by_client);
  RUN(test_a_queue_may_hold_back_all_of_the_journal);
  RUN(test_what_is_beyond_the_bound_is_given_up_counted_and_told);
  RUN(test_a_client_that_never_acknowledges_is_closed_at_the_bound);
  RUN(test_qos_2_that_was_begun_is_given_up_by_pubrel);
  return tap_done();
}
