/* The wall clock jumps by a day, forwards or back, under a running gateway: keep-alive, sessions' expiry and will delays count on the
 * monotonic clock and do not notice. Messages arrive by the wall clock, for that goes on over restarts: each jump is noted, and they expire neither early nor late for it. */
#include <stdatomic.h>

#include "base/clock.h"
#include "gateway/wall.h"
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

/* The silent one is asked after by its keep-alive of 2 s, so after 3 s; the lively one pings; the lost one's will is due 4 s after it went;
 * of two kept sessions one may stay away 4 s, the other an hour. */
static void timers_do_not_notice(int64_t by_s)
{
  rig r = {0};
  client silent, lively, watcher, lost, brief, longer;
  atomic_store(&jump_us, 0);
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  CHECK(client_connect(&watcher, port, 5, "watcher", true, 0));
  CHECK_INT(client_subscribe(&watcher, "wills", 1), 1);
  CHECK(connect_as(&lively, port, "lively", true, 4, 0, 0));
  CHECK(connect_as(&lost, port, "lost", true, 60, 3600, 4));
  CHECK(connect_as(&brief, port, "brief", true, 60, 4, 0));
  CHECK(connect_as(&longer, port, "longer", true, 60, 3600, 0));
  int64_t went = now_ms();
  client_close(&lost);
  client_close(&brief);
  client_close(&longer);
  CHECK(connect_as(&silent, port, "silent", true, 2, 0, 0));
  rig_loops_turn(&r);
  atomic_store(&jump_us, by_s * 1000000);

  CHECK_INT(client_publish(&lively, "x", "the loops have seen the clock", false), 0);
  CHECK_INT(client_next_within(&watcher, 800), CLIENT_QUIET); /* the will is not early */
  CHECK_INT(client_next_within(&silent, 10), CLIENT_QUIET);
  CHECK(connect_as(&brief, port, "brief", false, 60, 4, 0));
  CHECK(brief.packet.connack.session_present); /* it was away for less than its 4 s */
  client_close(&brief);
  for (int i = 0; i < 4; i++) {
    mc_mqtt_write_ping(&lively.out, MC_MQTT_PINGREQ);
    client_flush(&lively);
    CHECK_INT(client_next(&lively), MC_MQTT_PINGRESP);
    usleep(800000);
  }
  CHECK_RECEIVES(&watcher, "wills", "lost"); /* nor late: it is here */
  CHECK(now_ms() - went >= 3900 && now_ms() - went < PATIENCE_MS);
  CHECK_INT(client_next_within(&watcher, 10), CLIENT_QUIET);
  CHECK_INT(client_next(&silent), MC_MQTT_DISCONNECT);
  CHECK_INT(silent.packet.disconnect.code, 0x8D);
  mc_client_info info;
  CHECK_SOON(!mc_gateway_client(r.g, 1, MC_LIT("brief"), &info)); /* it was away for more than that now */
  CHECK(connect_as(&brief, port, "brief", false, 60, 4, 0));
  CHECK(!brief.packet.connack.session_present);
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

static void put_retained(client *c, const char *topic, const char *text, uint8_t qos, uint32_t expiry_s)
{
  mc_buf props = {0};
  mc_mqtt_put_number(&props, 0x02, expiry_s);
  mc_mqtt_publish p = {.topic = mc_slice_str(topic), .payload = mc_slice_str(text), .qos = qos, .retain = true, .packet_id = 6};
  mc_mqtt_write_publish(&c->out, 5, &p, mc_buf_slice(&props));
  client_flush(c);
  if (qos)
    CHECK_INT(client_next(c), MC_MQTT_PUBACK);
  mc_buf_free(&props);
}

/* It has at most so many seconds left, and not much less. */
#define CHECK_LEFT(c, most) CHECK(expiry_of(c) <= (most) && expiry_of(c) + 10 >= (most))

static void begin_expiring(client *sub, client *pub, uint16_t port, uint32_t brief_s)
{
  CHECK(client_connect(sub, port, 5, "sub", true, 7 * DAY_S));
  CHECK_INT(client_subscribe(sub, "kept", 1), 1);
  client_disconnect(sub);
  CHECK_INT(client_next(sub), CLIENT_CLOSED);
  client_close(sub);
  CHECK(client_connect(pub, port, 5, "pub", true, 0));
  put_expiring(pub, "an hour", 3600);
  put_expiring(pub, "two days", 2 * DAY_S);
  put_expiring(pub, "brief", brief_s);
  CHECK_INT(client_publish(pub, "kept", "for ever", false), 0);
  put_retained(pub, "retained/hour", "an hour", 1, 3600);
  put_retained(pub, "retained/hour0", "an hour", 0, 3600);
  put_retained(pub, "retained/brief", "brief", 1, brief_s);
  put_retained(pub, "retained/brief0", "brief", 0, brief_s);
}

static void end_expiring(client *sub, client *pub, uint16_t port, bool brief_is_there)
{
  CHECK(client_connect(sub, port, 5, "sub", false, 7 * DAY_S));
  CHECK(sub->packet.connack.session_present);
  CHECK_RECEIVES(sub, "kept", "an hour");
  CHECK_LEFT(sub, 3600u);
  CHECK_RECEIVES(sub, "kept", "two days");
  CHECK_LEFT(sub, 2u * DAY_S);
  if (brief_is_there)
    CHECK_RECEIVES(sub, "kept", "brief");
  CHECK_RECEIVES(sub, "kept", "for ever");
  CHECK_RECEIVES(sub, "kept", "after the jump");
  CHECK_LEFT(sub, 3600u);
  CHECK_INT(client_next_within(sub, 100), CLIENT_QUIET);
  CHECK_INT(client_subscribe(sub, "retained/+", 1), 1);
  for (int i = 0; i < (brief_is_there ? 4 : 2); i++) {
    CHECK_INT(client_next(sub), MC_MQTT_PUBLISH);
    bool hour = !mc_slice_find(sub->packet.publish.payload, 'a', 0);
    if (hour)
      CHECK_LEFT(sub, 3600u);
    CHECK(hour || brief_is_there);
    if (sub->packet.publish.qos)
      client_ack(sub);
  }
  CHECK_INT(client_next_within(sub, 100), CLIENT_QUIET);
  client_close(sub);
  client_close(pub);
}

/* What expires has the time that its publisher gave it, whether the jump has been noticed yet or not. */
static void messages_after(int64_t by_s, bool noticed)
{
  rig r = {0};
  client sub, pub;
  atomic_store(&jump_us, 0);
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  begin_expiring(&sub, &pub, port, noticed ? 3 : 60);
  atomic_store(&jump_us, by_s * 1000000);
  if (noticed)
    usleep(3200000);
  put_expiring(&pub, "after the jump", 3600);
  end_expiring(&sub, &pub, port, !noticed);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_messages_just_after_a_day_forwards(void) { messages_after(DAY_S, false); }
static void test_messages_just_after_a_day_back(void) { messages_after(-DAY_S, false); }
static void test_messages_after_a_day_forwards(void) { messages_after(DAY_S, true); }
static void test_messages_after_a_day_back(void) { messages_after(-DAY_S, true); }

/* The checkpoint tells the next process of the jump; what came after the jump and before that start is told apart from what came before it. */
static void messages_over_a_restart(int64_t by_s)
{
  rig r = {0};
  client sub, pub;
  atomic_store(&jump_us, 0);
  rig_start(&r, 1);
  begin_expiring(&sub, &pub, mc_gateway_port(r.g, true), 3);
  atomic_store(&jump_us, by_s * 1000000);
  put_expiring(&pub, "after the jump", 3600);
  usleep(700000);
  rig_stop(&r);
  client_close(&pub);
  usleep(2500000);
  rig_start(&r, 2);
  end_expiring(&sub, &pub, mc_gateway_port(r.g, true), false);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_messages_over_a_restart_after_a_day_forwards(void) { messages_over_a_restart(DAY_S); }
static void test_messages_over_a_restart_after_a_day_back(void) { messages_over_a_restart(-DAY_S); }

/* Who starts with a clock that is behind the last process's cannot know how long it was down: from the start on it counts again. */
static void test_messages_when_the_clock_was_set_back_while_it_was_down(void)
{
  rig r = {0};
  client sub, pub;
  atomic_store(&jump_us, 0);
  rig_start(&r, 1);
  begin_expiring(&sub, &pub, mc_gateway_port(r.g, true), 3);
  rig_stop(&r);
  client_close(&pub);
  atomic_store(&jump_us, -INT64_C(1000000) * DAY_S);
  rig_start(&r, 1);
  usleep(3200000);
  CHECK(client_connect(&pub, mc_gateway_port(r.g, true), 5, "pub", true, 0));
  put_expiring(&pub, "after the jump", 3600);
  end_expiring(&sub, &pub, mc_gateway_port(r.g, true), false);
  rig_stop(&r);
  rig_remove(&r);
}

/* Many jumps: the list is bounded, and the sum of all stays right. */
static void test_a_clock_that_jumps_all_the_time(void)
{
  mc_wall w;
  mc_wall_init(&w);
  mc_buf section = {0};
  mc_why why;
  for (uint32_t i = 0; i < MC_JUMPS; i++)
    w.jump[i] = (mc_jump){100 * (i + 1), 100 * (i + 1) + 10, i % 2 ? 5000000 : 0, i % 2 ? 0 : 5000000};
  w.len = MC_JUMPS;
  atomic_store(&w.top, 100 * MC_JUMPS + 10);
  CHECK_INT(mc_wall_corrected(&w, 1, 7), 7); /* there and back again */
  CHECK_INT(mc_wall_corrected(&w, 150, 5000007), 7);
  CHECK_INT(mc_wall_corrected(&w, 100 * MC_JUMPS + 10, 7), 7);
  CHECK_OK(mc_wall_put(&w, 200, &section));
  mc_wall_free(&w);
  mc_wall_init(&w);
  CHECK_OK(mc_wall_load(&w, mc_slice_sub(mc_buf_slice(&section), 4, section.len), &why));
  CHECK_INT(w.len, MC_JUMPS - 1); /* without the one that nobody asks about */
  CHECK_INT(w.jump[0].from, 200);
  CHECK_INT(mc_wall_load(&w, mc_slice_of(section.data + 4, section.len - 5), &why), MC_ERR_MALFORMED);
  CHECK_INT(mc_wall_load(&w, MC_LIT("\x02"), &why), MC_ERR_MALFORMED);
  CHECK_INT(mc_wall_load(&w, (mc_slice){0}, &why), MC_ERR_MALFORMED);
  mc_wall_free(&w);
  mc_buf_free(&section);
}

/* The clock was a day ahead when the last process ran: a session is kept for its whole time from the start on, and not for a day more or less. */
static void test_a_start_with_an_earlier_clock_keeps_sessions(void)
{
  rig r = {0};
  client c;
  atomic_store(&jump_us, INT64_C(1000000) * DAY_S);
  rig_start(&r, 1);
  CHECK(connect_as(&c, mc_gateway_port(r.g, true), "c", true, 60, 30, 0));
  client_close(&c);
  rig_loops_turn(&r);
  rig_stop(&r);
  atomic_store(&jump_us, 0);
  rig_start(&r, 1);
  CHECK(connect_as(&c, mc_gateway_port(r.g, true), "c", false, 60, 2, 0));
  CHECK(c.packet.connack.session_present);
  client_close(&c);
  usleep(2600000);
  mc_client_info info;
  CHECK_SOON(!mc_gateway_client(r.g, 1, MC_LIT("c"), &info));
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
  RUN(test_messages_just_after_a_day_forwards);
  RUN(test_messages_just_after_a_day_back);
  RUN(test_messages_after_a_day_forwards);
  RUN(test_messages_after_a_day_back);
  RUN(test_messages_over_a_restart_after_a_day_forwards);
  RUN(test_messages_over_a_restart_after_a_day_back);
  RUN(test_messages_when_the_clock_was_set_back_while_it_was_down);
  RUN(test_a_clock_that_jumps_all_the_time);
  RUN(test_a_start_with_an_earlier_clock_keeps_sessions);
  return tap_done();
}
