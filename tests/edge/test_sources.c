#include "documents.h"

#include <unistd.h>

static mc_loop *loop;
typedef struct seen {
  uint64_t frames, ends;
  int64_t first_us, last_us;
  uint32_t ids[8];
  bool backwards;
  uint16_t channel;
} seen;
static seen s;

static void on_frame(void *ctx, const mc_can_frame *f)
{
  if (!s.frames)
    s.first_us = f->time_us;
  if (f->time_us < s.last_us)
    s.backwards = true;
  s.last_us = f->time_us;
  s.channel = f->channel;
  if (s.frames < 8)
    s.ids[s.frames] = f->id;
  s.frames++;
}
static void on_ended(void *ctx) { s.ends++; }

#define TURN_UNTIL(condition, seconds)                                  \
  do {                                                                  \
    int64_t until_ = mc_clock_mono_us() + (int64_t)((seconds) * 1e6);   \
    while (!(condition) && mc_clock_mono_us() < until_)                 \
      mc_loop_turn(loop, 5);                                            \
  } while (0)

static const char *write_log(void)
{
  static char path[64];
  snprintf(path, sizeof path, "/tmp/mc-replay-%d.log", (int)getpid());
  mc_buf b = {0};
  mc_buf_append_str(&b, "# a comment\n");
  for (int n = 0; n < 20; n++)
    mc_buf_printf(&b, "(1600000000.%06d) can%d %03X#0102030405060708\n", n * 10000, n % 2, 0x100 + n);
  mc_buf_append_str(&b, "this line is broken\n(1600000000.200000) can0 12345678#01\n");
  mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(&b), 0600, NULL);
  mc_buf_free(&b);
  return path;
}

static void test_replay_keeps_times_and_skips_broken_lines(void)
{
  s = (seen){0};
  mc_replay *r;
  mc_replay_config c = {.path = write_log(), .speed = 0, .frame = on_frame, .ended = on_ended};
  CHECK_OK(mc_replay_open(loop, &c, &r, NULL));
  mc_replay_start(r);
  TURN_UNTIL(s.ends, 60);
  CHECK_INT(s.frames, 21);
  CHECK_INT(s.first_us, 1600000000000000LL);
  CHECK_INT(s.last_us, 1600000000200000LL);
  CHECK_INT(s.ids[1], 0x101);
  mc_replay_close(&r);
}

static void test_replay_keeps_the_recorded_speed_or_a_factor(void)
{
  for (int factor = 1, tries = 0; factor <= 4; tries++) {
    s = (seen){0};
    mc_replay *r;
    mc_replay_config c = {.path = write_log(), .speed = factor, .shift_to_now = true, .frame = on_frame, .ended = on_ended};
    CHECK_OK(mc_replay_open(loop, &c, &r, NULL));
    int64_t start = mc_clock_mono_us(), wall = mc_clock_wall_us();
    mc_replay_start(r);
    TURN_UNTIL(s.ends, 60);
    int64_t took = mc_clock_mono_us() - start;
    CHECK_INT(s.ends, 1);
    mc_replay_close(&r);
    CHECK(took >= 200000 / factor);
    CHECK(s.first_us >= wall);
    CHECK_INT(s.last_us - s.first_us, 200000 / factor);
    bool in_time = took < 200000 / factor + 150000 && s.first_us < wall + 100000;
    CHECK(in_time || tries < 20); /* once more when the machine was too slow to tell */
    factor += in_time ? 3 : 0;
  }
}

static void test_fast_replay_shifted_to_now_ends_now(void)
{
  s = (seen){0};
  mc_replay *r;
  mc_replay_config c = {.path = write_log(), .speed = 0, .shift_to_now = true, .frame = on_frame, .ended = on_ended};
  CHECK_OK(mc_replay_open(loop, &c, &r, NULL));
  mc_replay_start(r);
  TURN_UNTIL(s.ends, 60);
  CHECK(s.last_us <= mc_clock_wall_us() && s.last_us > mc_clock_wall_us() - 60000000);
  CHECK_INT(s.last_us - s.first_us, 200000);
  mc_replay_close(&r);
}

static void test_looped_replay_goes_on_in_time(void)
{
  s = (seen){0};
  mc_replay *r;
  mc_replay_config c = {.path = write_log(), .speed = 50, .loop = true, .frame = on_frame};
  CHECK_OK(mc_replay_open(loop, &c, &r, NULL));
  mc_replay_start(r);
  TURN_UNTIL(s.frames > 100, 60);
  CHECK(s.frames > 100);
  CHECK(!s.backwards);
  mc_replay_pause(r, true);
  uint64_t at = s.frames;
  TURN_UNTIL(false, 0.05);
  CHECK_INT(s.frames, at);
  mc_replay_pause(r, false);
  TURN_UNTIL(s.frames > at, 60);
  CHECK(s.frames > at);
  mc_replay_close(&r);
}

static void test_channel_map_chooses_and_shifts(void)
{
  s = (seen){0};
  mc_replay *r;
  mc_replay_config c = {.path = write_log(), .channel_map = "can9=x,can1=body:b.dbc-1", .speed = 0, .frame = on_frame, .ended = on_ended};
  CHECK_OK(mc_replay_open(loop, &c, &r, NULL));
  mc_replay_start(r);
  TURN_UNTIL(s.ends, 60);
  CHECK_INT(s.frames, 10);
  CHECK_INT(s.ids[0], 0x100); /* 0x101 on can1, id offset -1 */
  CHECK_INT(s.channel, 1);
  mc_replay_close(&r);
}

static void test_bad_replays_are_refused_with_words(void)
{
  mc_replay *r;
  mc_why why;
  mc_replay_config c = {.path = "/nonexistent/x.log", .frame = on_frame};
  CHECK(mc_replay_open(loop, &c, &r, &why) != MC_OK);
  CHECK_WHY(why, "/nonexistent/x.log");
  c.path = write_log();
  c.channel_map = "can7=x";
  CHECK_INT(mc_replay_open(loop, &c, &r, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "channel map");
  c.channel_map = "no map at all";
  CHECK(mc_replay_open(loop, &c, &r, &why) != MC_OK);
  c.channel_map = NULL;
  c.speed = -1;
  CHECK_INT(mc_replay_open(loop, &c, &r, &why), MC_ERR_INVALID);
  CHECK(!r);
}

static void test_truck_log_replays(void)
{
  const char *dir = tap_data_dir();
  if (!dir)
    SKIP("shared data absent");
  char path[1200];
  snprintf(path, sizeof path, "%s/canlog/j1939_truck.mf4", dir);
  s = (seen){0};
  mc_replay *r;
  mc_why why;
  mc_replay_config c = {.path = path, .channel_map = "9=can9:canmod_gps.dbc-100,*=can0", .speed = 0, .frame = on_frame, .ended = on_ended};
  CHECK_OK(mc_replay_open(loop, &c, &r, &why));
  mc_replay_start(r);
  TURN_UNTIL(s.ends, 60);
  CHECK_INT(s.ends, 1);
  CHECK(s.frames > 1000);
  CHECK(!s.backwards);
  mc_replay_close(&r);
}

static void test_bus_carries_frames_between_two_ends(void)
{
  mc_bus *a, *b, *other;
  mc_why why;
  char url[80];
  int port = 20000 + (int)(getpid() % 20000);
  snprintf(url, sizeof url, "udp://239.255.77.1:%d/?ttl=0&channel=2", port);
  s = (seen){0};
  mc_err err = mc_bus_open(loop, url, on_frame, NULL, &b, &why);
  if (err == MC_ERR_IO)
    SKIP("no multicast here");
  CHECK_OK(err);
  CHECK_OK(mc_bus_open(loop, url, NULL, NULL, &a, &why));
  mc_can_frame f = {.id = 0x18FEF100, .extended = 1, .len = 8, .channel = 3, .time_us = t0_us, .data = {1, 2, 3}};
  CHECK_OK(mc_bus_send(a, &f, &why));
  f = make_frame(1, 5, t0_us + 5);
  f.channel = 2;
  CHECK_OK(mc_bus_send(a, &f, &why));
  TURN_UNTIL(s.frames == 2, 60);
  CHECK_INT(s.frames, 2);
  CHECK_INT(s.ids[0], 0x18FEF100);
  CHECK_INT(s.last_us, t0_us + 5);
  CHECK_INT(s.channel, 2);
  f.channel = 1; /* below the bus's first channel */
  CHECK_INT(mc_bus_send(a, &f, &why), MC_ERR_INVALID);
  f.channel = 2;
  f.len = 65;
  CHECK_INT(mc_bus_send(a, &f, &why), MC_ERR_INVALID);
  f.len = 8;
  CHECK_OK(mc_bus_send(b, &f, &why)); /* own frames do not come back */
  TURN_UNTIL(s.frames > 2, 0.1);
  CHECK_INT(s.frames, 2);
  CHECK_INT(mc_bus_open(loop, "tcp://1.2.3.4:5", on_frame, NULL, &other, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "udp://");
  CHECK_INT(mc_bus_open(loop, "udp://239.1.1.1:99999/", on_frame, NULL, &other, &why), MC_ERR_INVALID);
  CHECK_INT(mc_bus_open(loop, "udp://239.1.1.1:999/?speed=9", on_frame, NULL, &other, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "speed=9");
  mc_bus_close(&a);
  mc_bus_close(&b);
}

int main(void)
{
  if (mc_loop_create(&loop, NULL))
    return 1;
  RUN(test_replay_keeps_times_and_skips_broken_lines);
  RUN(test_replay_keeps_the_recorded_speed_or_a_factor);
  RUN(test_fast_replay_shifted_to_now_ends_now);
  RUN(test_looped_replay_goes_on_in_time);
  RUN(test_channel_map_chooses_and_shifts);
  RUN(test_bad_replays_are_refused_with_words);
  RUN(test_truck_log_replays);
  RUN(test_bus_carries_frames_between_two_ends);
  unlink(write_log());
  mc_loop_destroy(&loop);
  return tap_done();
}
