#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "tap.h"
#include "twin/twin.h"

static char dir[256];

static bool encoding_of(void *ctx, uint32_t id, mc_encoding *out)
{
  *out = (mc_encoding){id, MC_TYPE_FLOAT64, 1e-7, 0};
  return id == 3;
}

static mc_role role_of(void *ctx, uint32_t tenant, uint32_t signal)
{
  return signal == 1   ? MC_ROLE_LATITUDE
         : signal == 2 ? MC_ROLE_LONGITUDE
         : signal == 4 ? MC_ROLE_SPEED
         : signal == 5 ? MC_ROLE_IGNITION
                       : MC_ROLE_NONE;
}

static mc_twin *open_twin(void)
{
  mc_twin_config config = {mc_fs_posix(), dir, role_of, encoding_of, NULL};
  mc_twin *t = NULL;
  mc_why why;
  if (mc_twin_open(&config, &t, &why))
    printf("# open: %s\n", why.text);
  return t;
}

static void fresh_dir(void)
{
  static int n;
  snprintf(dir, sizeof dir, "/tmp/mc-twin-test-%d-%d", (int)getpid(), n++);
}

static void remove_dir(void)
{
  char cmd[400];
  snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
  if (system(cmd))
    printf("# cannot remove %s\n", dir);
}

static mc_err put(mc_twin *t, uint32_t vehicle, uint32_t signal, int64_t time_us, int64_t raw, uint8_t flags, uint64_t next)
{
  mc_block_builder b = {0};
  mc_err err = mc_block_builder_add(&b, vehicle, signal, 3, time_us, MC_SAMPLE_RAW, flags, (mc_sample_value){.raw = raw});
  mc_block block = mc_block_builder_view(&b);
  block.tenant = 1;
  block.arrival_us = 5000000;
  block.next_offset = next;
  if (!err)
    err = mc_twin_apply(t, &block, NULL);
  mc_block_builder_free(&b);
  return err;
}

static void test_keeps_the_newest_value_and_never_an_older_one(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_latest v;
  CHECK_OK(put(t, 7, 9, 1000, 5, 0, 1));
  CHECK_OK(put(t, 7, 9, 999, 6, 0, 2));
  CHECK(mc_twin_latest_of(t, 1, 7, 9, &arena, &v));
  CHECK_INT(v.raw, 5);
  CHECK_DOUBLE(v.value, 5 * 1e-7, 0);
  CHECK_OK(put(t, 7, 9, 1000, 8, 0, 3));
  CHECK(mc_twin_latest_of(t, 1, 7, 9, &arena, &v));
  CHECK_INT(v.raw, 8);
  CHECK(!mc_twin_latest_of(t, 2, 7, 9, &arena, &v)); /* another tenant */
  CHECK(!mc_twin_latest_of(t, 1, 8, 9, &arena, &v));
  mc_twin_stats stats;
  mc_twin_stats_get(t, &stats);
  CHECK_INT(stats.samples_late, 1);
  mc_twin_close(&t);
  remove_dir();
}

static void test_a_quarantined_sample_is_never_the_latest(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_latest v;
  CHECK_OK(put(t, 7, 9, INT64_MAX / 2, 5, MC_SAMPLE_QUARANTINED, 1));
  CHECK(!mc_twin_latest_of(t, 1, 7, 9, &arena, &v));
  CHECK_OK(put(t, 7, 9, 10, 6, 0, 2));
  CHECK(mc_twin_latest_of(t, 1, 7, 9, &arena, &v));
  CHECK_INT(v.raw, 6);
  mc_twin_close(&t);
  remove_dir();
}

static void test_comes_back_from_its_checkpoint_with_its_offset(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  for (uint32_t v = 1; v <= 200; v++)
    for (uint32_t s = 1; s <= 5; s++)
      CHECK_OK(put(t, v, s, 1000 + v, (int64_t)v * 1000 + s, 0, v * 10 + s));
  mc_block_builder b = {0};
  CHECK_OK(mc_block_builder_add_string(&b, 3, 77, 4000, 0, MC_LIT("P0143")));
  mc_block block = mc_block_builder_view(&b);
  block.tenant = 1;
  block.next_offset = 9000;
  CHECK_OK(mc_twin_apply(t, &block, NULL));
  mc_block_builder_free(&b);
  mc_twin_close(&t);
  t = open_twin();
  CHECK(t);
  CHECK_INT(mc_twin_offset(t), 9000);
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_latest *list;
  size_t n;
  CHECK_OK(mc_twin_latest(t, 1, 3, &arena, &list, &n, NULL));
  CHECK_INT(n, 6);
  CHECK_INT(list[0].raw, 3001);
  CHECK_SLICE(list[5].text, "P0143");
  mc_vehicle_now now;
  CHECK(mc_twin_vehicle(t, 1, 200, &now));
  CHECK_DOUBLE(now.latitude, 200001 * 1e-7, 1e-15);
  CHECK_INT(now.position_us, 1200);
  mc_twin_close(&t);
  remove_dir();
}

static void test_a_damaged_checkpoint_is_set_aside(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  CHECK_OK(put(t, 1, 1, 1, 1, 0, 50));
  mc_twin_close(&t);
  char cmd[600];
  snprintf(cmd, sizeof cmd, "printf '\\377' | dd of=%s/twin.checkpoint bs=1 seek=30 conv=notrunc 2>/dev/null", dir);
  CHECK_INT(system(cmd), 0);
  t = open_twin();
  CHECK(t);
  CHECK_INT(mc_twin_offset(t), 0);
  snprintf(cmd, sizeof cmd, "%s/twin.checkpoint.damaged", dir);
  CHECK_INT(access(cmd, F_OK), 0);
  mc_twin_close(&t);
  remove_dir();
}

static void test_every_cut_of_a_checkpoint_is_noticed(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  CHECK_OK(put(t, 1, 1, 1, 1, 0, 50));
  mc_twin_close(&t);
  char path[300];
  snprintf(path, sizeof path, "%s/twin.checkpoint", dir);
  mc_buf whole = {0};
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 1 << 20, &whole, NULL));
  for (size_t cut = 0; cut < whole.len; cut++) {
    CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_slice_of(whole.data, cut), 0600, NULL));
    t = open_twin();
    CHECK(t);
    CHECK_INT(mc_twin_offset(t), 0);
    mc_twin_close(&t);
  }
  mc_buf_free(&whole);
  remove_dir();
}

static void test_changes_are_told_once(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  CHECK_OK(put(t, 1, 1, 1, 1, 0, 1));
  CHECK_OK(put(t, 2, 1, 1, 1, 0, 2));
  mc_vehicle_now_vec list = {0};
  uint64_t since = mc_twin_changed(t, 1, 0, &list);
  CHECK_INT(list.len, 2);
  mc_vec_clear(&list);
  CHECK_OK(put(t, 2, 4, 1, 1, 0, 3));
  since = mc_twin_changed(t, 1, since + 1, &list);
  CHECK_INT(list.len, 1);
  CHECK_INT(list.at[0].vehicle, 2);
  mc_vec_clear(&list);
  mc_twin_changed(t, 2, 0, &list);
  CHECK_INT(list.len, 0);
  mc_vec_free(&list);
  mc_twin_close(&t);
  remove_dir();
}

static void test_motion_follows_speed_ignition_and_silence(void)
{
  mc_vehicle_now v = {.heard_us = 1000000000, .present = 1u << MC_ROLE_SPEED | 1u << MC_ROLE_IGNITION, .speed_kmh = 50, .ignition = true};
  CHECK_INT(mc_vehicle_now_motion(&v, 1000000000), MC_MOTION_MOVING);
  CHECK_INT(mc_vehicle_now_motion(&v, 1000000000 + 121 * 1000000LL), MC_MOTION_UNKNOWN); /* silent since: nobody knows */
  v.speed_kmh = 0;
  CHECK_INT(mc_vehicle_now_motion(&v, 1000000000), MC_MOTION_IDLE);
  v.ignition = false;
  CHECK_INT(mc_vehicle_now_motion(&v, 1000000000), MC_MOTION_PARKED);
  CHECK_INT(mc_vehicle_now_motion(&v, 1000000000 + 301 * 1000000LL), MC_MOTION_OFFLINE);
  v = (mc_vehicle_now){0};
  CHECK_INT(mc_vehicle_now_motion(&v, 0), MC_MOTION_UNKNOWN);
}

static void *waiter(void *arg)
{
  return (void *)(intptr_t)mc_twin_wait(arg, 100, 60000);
}

static void test_a_reader_may_wait_for_an_offset(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  CHECK_INT(mc_twin_wait(t, 100, 10), MC_ERR_TIMEOUT);
  pthread_t thread;
  pthread_create(&thread, NULL, waiter, t);
  CHECK_OK(put(t, 1, 1, 1, 1, 0, 100));
  void *result;
  pthread_join(thread, &result);
  CHECK_INT((intptr_t)result, MC_OK);
  mc_twin_close(&t);
  remove_dir();
}

static void *writer(void *arg)
{
  for (int i = 0; i < 3000; i++)
    if (put(arg, (uint32_t)(i % 10) + 1, (uint32_t)(i % 7) + 1, i, i, 0, (uint64_t)i))
      return (void *)1;
  return NULL;
}

static void test_readers_and_checkpoints_beside_the_writer(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  pthread_t thread;
  pthread_create(&thread, NULL, writer, t);
  for (int i = 0; i < 50; i++) {
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    mc_latest *list;
    size_t n;
    CHECK_OK(mc_twin_latest(t, 1, 3, &arena, &list, &n, NULL));
    mc_vehicle_now_vec all = {0};
    mc_twin_changed(t, 1, 0, &all);
    mc_vec_free(&all);
    if (i % 10 == 0)
      CHECK_OK(mc_twin_checkpoint(t, NULL));
  }
  void *result;
  pthread_join(thread, &result);
  CHECK(result == NULL);
  mc_twin_close(&t);
  remove_dir();
}

enum { WRITES = 20000, CARS = 200 };

/* The n-th write: times run in steps, so that most values are met by another one of the same time. */
static mc_err write_nth(mc_twin *t, uint64_t n)
{
  return put(t, (uint32_t)(n % CARS) + 1, (uint32_t)(n % 3) + 1, (int64_t)(n / 1000), (int64_t)n, 0, n + 1);
}

static void *write_all(void *arg)
{
  for (uint64_t n = 0; n < WRITES; n++)
    if (write_nth(arg, n))
      return (void *)1;
  return NULL;
}

/* As after a crash: the checkpoint that was taken in the middle, and the journal behind its offset once more. */
static void test_a_checkpoint_beside_the_writer_and_what_came_after_it_end_at_the_same_values(void)
{
  fresh_dir();
  mc_twin *t = open_twin();
  pthread_t thread;
  void *failed = (void *)1;
  char path[300];
  mc_buf middle = {0};
  pthread_create(&thread, NULL, write_all, t);
  while (mc_twin_offset(t) < WRITES / 3)
    usleep(100);
  CHECK_OK(mc_twin_checkpoint(t, NULL));
  snprintf(path, sizeof path, "%s/twin.checkpoint", dir);
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 1 << 24, &middle, NULL));
  pthread_join(thread, &failed);
  CHECK(!failed);
  char first_dir[256];
  snprintf(first_dir, sizeof first_dir, "%s", dir);
  fresh_dir();
  CHECK_OK(mc_fs_mkdirs(mc_fs_posix(), dir, NULL));
  snprintf(path, sizeof path, "%s/twin.checkpoint", dir);
  CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(&middle), 0600, NULL));
  mc_twin *again = open_twin();
  uint64_t from = mc_twin_offset(again);
  CHECK(from >= WRITES / 3 && from <= WRITES);
  for (uint64_t n = from; n < WRITES; n++)
    if (write_nth(again, n))
      break;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  int different = 0;
  for (uint32_t car = 1; car <= CARS; car++)
    for (uint32_t signal = 1; signal <= 3; signal++) {
      mc_latest a = {0}, b = {0};
      bool there = mc_twin_latest_of(t, 1, car, signal, &arena, &a), there_again = mc_twin_latest_of(again, 1, car, signal, &arena, &b);
      different += there != there_again || a.raw != b.raw || a.time_us != b.time_us;
    }
  CHECK_INT(different, 0);
  mc_buf_free(&middle);
  mc_twin_close(&again);
  remove_dir();
  mc_twin_close(&t);
  snprintf(dir, sizeof dir, "%s", first_dir);
  remove_dir();
}

/* A checkpoint may hold any time; the distance to now must not overflow. */
static void test_motion_of_a_vehicle_heard_before_all_time_is_offline(void)
{
  mc_vehicle_now v = {.heard_us = INT64_MIN};
  CHECK_INT(mc_vehicle_now_motion(&v, 1700000000000000LL), MC_MOTION_OFFLINE);
  v.heard_us = INT64_MAX;
  CHECK_INT(mc_vehicle_now_motion(&v, 1700000000000000LL), MC_MOTION_UNKNOWN);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_keeps_the_newest_value_and_never_an_older_one);
  RUN(test_a_quarantined_sample_is_never_the_latest);
  RUN(test_comes_back_from_its_checkpoint_with_its_offset);
  RUN(test_a_damaged_checkpoint_is_set_aside);
  RUN(test_every_cut_of_a_checkpoint_is_noticed);
  RUN(test_changes_are_told_once);
  RUN(test_motion_follows_speed_ignition_and_silence);
  RUN(test_motion_of_a_vehicle_heard_before_all_time_is_offline);
  RUN(test_a_reader_may_wait_for_an_offset);
  RUN(test_readers_and_checkpoints_beside_the_writer);
  RUN(test_a_checkpoint_beside_the_writer_and_what_came_after_it_end_at_the_same_values);
  return tap_done();
}
