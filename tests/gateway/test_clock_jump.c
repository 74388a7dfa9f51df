/* The wall clock jumps by a day, forwards or back, under a running gateway: keep-alive, sessions' expiry and will delays count on the
 * monotonic clock and do not notice. Message expiry counts on the wall clock, for it goes on over restarts: what a jump does to it is bounded. */
#include <stdatomic.h>

#include "base/clock.h"
#include "rig.h"

enum { DAY_S = 86400 };
static _Atomic int64_t jump_us;

static int64_t jumping_wall_us(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000 + atomic_load(&jump_us);
}

static bool connect_as(client *c, uint16_t port, const char *id, bool clean, uint16_t keep_alive_s, uint32_t expiry_s, uint32_t will_delay_s)
{
  mc_buf props = {0}, will = {0};
  if (expiry_s)
    mc_mqtt_put_number(&props, 0x11, expiry_s);
  if (will_delay_s)
    mc_mqtt_put_number(&will, 0x18, will_delay_s);
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .clean = clean, .keep_alive_s = keep_alive_s, .props.raw = mc_buf_slice(&props), .has_will = will_delay_s > 0,
                          .will_qos = 1, .will_topic = MC_LIT("wills"), .will_payload = mc_slice_str(id), .will_props.raw = mc_buf_slice(&will)};
  bool ok = client_connect_with(c, port, with) == MC_MQTT_CONNACK && c->packet.connack.code == 0;
  mc_buf_free(&props);
  mc_buf_free(&will);
  return ok;
}

static void put_expiring(client *c, const char *text, uint32_t expiry_s)
{
  mc_buf props = {0};
  mc_mqtt_put_number(&props, 0x02, expiry_s);
  mc_mqtt_publish p = {.topic = MC_LIT("kept"), .payload = mc_slice_str(text), .qos = 1, .packet_id = 5};
  mc_mqtt_write_publish(&c->out, 5, &p, mc_buf_slice(&props));
  client_flush(c);
  CHECK_INT(client_next(c), MC_MQTT_PUBACK);
  mc_buf_free(&props);
}

/* The silent one is asked after by its keep-alive of 2 s, so after 3 s; the lively one pings; the lost one's will is due 2 s after it went;
 * of two kept sessions one may stay away 2 s, the other an hour. */
static void timers_do_not_notice(int64_t by_s)
{
  rig r = {0};
  client silent, lively, watcher, lost, brief, longer;
  atomic_store(&jump_us, 0);
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  CHECK(client_connect(&watcher, port, 5, "watcher", true, 0));
  CHECK_INT(client_subscribe(&watcher, "wills", 1), 1);
  CHECK(connect_as(&lively, port, "lively", true, 2, 0, 0));
  CHECK(connect_as(&lost, port, "lost", true, 60, 3600, 2));
  CHECK(connect_as(&brief, port, "brief", true, 60, 2, 0));
  CHECK(connect_as(&longer, port, "longer", true, 60, 3600, 0));
  int64_t went = now_ms();
  client_close(&lost);
  client_close(&brief);
  client_close(&longer);
  CHECK(connect_as(&silent, port, "silent", true, 2, 0, 0));
  usleep(200000);
  atomic_store(&jump_us, by_s * 1000000);

  CHECK_INT(client_publish(&lively, "x", "the loops have seen the clock", false), 0);
  CHECK_INT(client_next_within(&watcher, 800), CLIENT_QUIET); /* the will is not early */
  CHECK_INT(client_next_within(&silent, 10), CLIENT_QUIET);
  CHECK(connect_as(&brief, port, "brief", false, 60, 2, 0));
  CHECK(brief.packet.connack.session_present); /* it was away for less than its 2 s */
  client_close(&brief);
  for (int i = 0; i < 4; i++) {
    mc_mqtt_write_ping(&lively.out, MC_MQTT_PINGREQ);
    client_flush(&lively);
    CHECK_INT(client_next(&lively), MC_MQTT_PINGRESP);
    usleep(800000);
  }
  CHECK_RECEIVES(&watcher, "wills", "lost"); /* nor late: it is here */
  CHECK(now_ms() - went < 6000);
  CHECK_INT(client_next_within(&watcher, 10), CLIENT_QUIET);
  CHECK_INT(client_next_within(&silent, 1500), MC_MQTT_DISCONNECT);
  CHECK_INT(silent.packet.disconnect.code, 0x8D);
  CHECK(connect_as(&brief, port, "brief", false, 60, 2, 0));
  CHECK(!brief.packet.connack.session_present); /* away for more than 3 s now */
  CHECK(connect_as(&longer, port, "longer", false, 60, 3600, 0));
  CHECK(longer.packet.connack.session_present);
  CHECK_INT(client_publish(&lively, "x", "still here", false), 0);
  client_close(&silent);
  client_close(&lively);
  client_close(&watcher);
  client_close(&brief);
  client_close(&longer);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_timers_do_not_notice_a_day_forwards(void) { timers_do_not_notice(DAY_S); }
static void test_timers_do_not_notice_a_day_back(void) { timers_do_not_notice(-DAY_S); }

static uint32_t expiry_of(const client *c) { return c->packet.publish.props.present & MC_MQTT_P_EXPIRY ? c->packet.publish.props.expiry_s : UINT32_MAX; }

/* A jump forwards ages what waits by a day; one back stops its ageing, and never gives it more time than its publisher did. */
static void messages_after(int64_t by_s)
{
  rig r = {0};
  client sub, pub;
  atomic_store(&jump_us, 0);
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  CHECK(client_connect(&sub, port, 5, "sub", true, 7 * DAY_S));
  CHECK_INT(client_subscribe(&sub, "kept", 1), 1);
  client_disconnect(&sub);
  CHECK_INT(client_next(&sub), CLIENT_CLOSED);
  client_close(&sub);
  CHECK(client_connect(&pub, port, 5, "pub", true, 0));
  put_expiring(&pub, "an hour", 3600);
  put_expiring(&pub, "two days", 2 * DAY_S);
  CHECK_INT(client_publish(&pub, "kept", "for ever", false), 0);
  atomic_store(&jump_us, by_s * 1000000);
  put_expiring(&pub, "after the jump", 3600);
  CHECK(client_connect(&sub, port, 5, "sub", false, 7 * DAY_S));
  CHECK(sub.packet.connack.session_present);
  if (by_s < 0) {
    CHECK_RECEIVES(&sub, "kept", "an hour");
    CHECK_INT(expiry_of(&sub), 3600);
  }
  CHECK_RECEIVES(&sub, "kept", "two days");
  uint32_t left = by_s < 0 ? 2 * DAY_S : DAY_S;
  CHECK(expiry_of(&sub) <= left && expiry_of(&sub) + 10 >= left);
  CHECK_RECEIVES(&sub, "kept", "for ever");
  CHECK_RECEIVES(&sub, "kept", "after the jump");
  CHECK(expiry_of(&sub) <= 3600 && expiry_of(&sub) + 10 >= 3600);
  client_close(&sub);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_messages_after_a_day_forwards(void) { messages_after(DAY_S); }
static void test_messages_after_a_day_back(void) { messages_after(-DAY_S); }

/* The clock was a day ahead when the last process ran: a session is kept for its whole time from the start on, and not for a day more or less. */
static void test_a_start_with_an_earlier_clock_keeps_sessions(void)
{
  rig r = {0};
  client c;
  atomic_store(&jump_us, INT64_C(1000000) * DAY_S);
  rig_start(&r, 1);
  CHECK(connect_as(&c, mc_gateway_port(r.g, true), "c", true, 60, 2, 0));
  client_close(&c);
  usleep(100000);
  rig_stop(&r);
  atomic_store(&jump_us, 0);
  rig_start(&r, 1);
  CHECK(connect_as(&c, mc_gateway_port(r.g, true), "c", false, 60, 2, 0));
  CHECK(c.packet.connack.session_present);
  client_close(&c);
  usleep(2600000);
  CHECK(connect_as(&c, mc_gateway_port(r.g, true), "c", false, 60, 2, 0));
  CHECK(!c.packet.connack.session_present);
  client_close(&c);
  rig_stop(&r);
  rig_remove(&r);
}

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  mc_clock_set_source(jumping_wall_us, NULL);
  RUN(test_timers_do_not_notice_a_day_forwards);
  RUN(test_timers_do_not_notice_a_day_back);
  RUN(test_messages_after_a_day_forwards);
  RUN(test_messages_after_a_day_back);
  RUN(test_a_start_with_an_earlier_clock_keeps_sessions);
  return tap_done();
}
