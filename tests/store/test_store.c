#include <math.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "store/store.h"
#include "tap.h"

static char dir[256];
static const mc_fs *fs;

static bool encoding_of(void *ctx, uint32_t id, mc_encoding *out)
{
  *out = (mc_encoding){id, MC_TYPE_FLOAT64, 0.01, -5};
  return id == 3;
}

static void fresh_dir(void)
{
  static int n;
  snprintf(dir, sizeof dir, "/tmp/mc-store-test-%d-%d", (int)getpid(), n++);
}

static void remove_dir(void)
{
  char cmd[400];
  snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
  if (system(cmd))
    printf("# cannot remove %s\n", dir);
}

static mc_store *open_store(void)
{
  mc_store_config config = {.fs = fs, .dir = dir, .encoding_of = encoding_of};
  mc_store *s = NULL;
  mc_why why;
  if (mc_store_open(&config, &s, &why))
    printf("# open: %s\n", why.text);
  return s;
}

#define HOUR 3600000000LL
static const int64_t T0 = 1700000000000000LL / HOUR * HOUR;

/* One block with n samples of a vehicle and signal, one each step, raw integers from `value` on. */
static mc_err append(mc_store *s, uint32_t tenant, uint32_t vehicle, uint32_t signal, int64_t t, int64_t step, int64_t value, int n,
                     uint64_t next_offset)
{
  mc_block_builder b = {0};
  for (int i = 0; i < n; i++)
    if (mc_block_builder_add(&b, vehicle, signal, 3, t + i * step, MC_SAMPLE_RAW, 0, (mc_sample_value){.raw = value + i}))
      return MC_ERR_MEMORY;
  mc_block block = mc_block_builder_view(&b);
  block.tenant = tenant;
  block.next_offset = next_offset;
  mc_err err = mc_store_append(s, &block, NULL);
  mc_block_builder_free(&b);
  return err;
}

typedef struct gathered {
  uint64_t count;
  int64_t last_us;
  int64_t sum;
  double physical;
  bool disordered;
} gathered;

static bool gather(void *ctx, const mc_samples *p)
{
  gathered *g = ctx;
  for (uint32_t i = 0; i < p->count; i++) {
    if (g->count && p->time_us[i] <= g->last_us)
      g->disordered = true;
    g->last_us = p->time_us[i];
    g->count++;
    g->sum += p->value[i].raw;
    g->physical = p->physical[i];
  }
  return true;
}

static gathered scan(mc_store *s, uint32_t vehicle, uint32_t signal, int64_t from, int64_t to)
{
  gathered g = {0};
  mc_why why;
  if (mc_store_scan(s, 1, vehicle, signal, from, to, gather, &g, &why)) {
    printf("# scan: %s\n", why.text);
    g.count = UINT64_MAX;
  }
  return g;
}

static void test_rows_are_readable_at_once_and_after_flush_and_reopen(void)
{
  fresh_dir();
  mc_store *s = open_store();
  CHECK(s);
  CHECK_OK(append(s, 1, 5, 9, T0, 1000000, 100, 5000, 777)); /* crosses an hour */
  for (int stage = 0; stage < 3; stage++) {
    gathered g = scan(s, 5, 9, T0, T0 + 10 * HOUR);
    CHECK_INT(g.count, 5000);
    CHECK_INT(g.sum, 5000LL * 100 + 5000LL * 4999 / 2);
    CHECK(!g.disordered);
    CHECK_DOUBLE(g.physical, 5099 * 0.01 - 5, 0);
    CHECK_INT(scan(s, 5, 9, T0 + 1000000, T0 + 3000000).count, 2); /* half-open */
    CHECK_INT(scan(s, 5, 8, T0, T0 + 10 * HOUR).count, 0);
    CHECK_INT(scan(s, 4, 9, T0, T0 + 10 * HOUR).count, 0);
    if (stage == 0) {
      CHECK_OK(mc_store_flush(s, NULL));
    } else if (stage == 1) {
      mc_store_close(&s);
      s = open_store();
      CHECK(s);
      CHECK_INT(mc_store_offset(s), 777);
    }
  }
  mc_store_stats stats;
  mc_store_stats_get(s, &stats);
  CHECK_INT(stats.segments, 2);
  CHECK_INT(stats.rows_segments, 5000);
  mc_store_close(&s);
  mc_why why;
  CHECK_OK(mc_store_verify(fs, dir, &stats, &why));
  CHECK_INT(stats.rows_segments, 5000);
  remove_dir();
}

static void test_the_last_write_of_a_time_wins_across_segments_and_memory(void)
{
  fresh_dir();
  mc_store *s = open_store();
  CHECK_OK(append(s, 1, 1, 1, T0, 1000, 10, 100, 1));
  CHECK_OK(mc_store_flush(s, NULL));
  CHECK_OK(append(s, 1, 1, 1, T0, 1000, 1000, 50, 2)); /* rewrites the first half */
  gathered g = scan(s, 1, 1, T0, T0 + HOUR);
  CHECK_INT(g.count, 100);
  int64_t want = (50LL * 1000 + 50 * 49 / 2) + (50LL * 60 + 50 * 49 / 2);
  CHECK_INT(g.sum, want);
  CHECK_OK(mc_store_flush(s, NULL));
  CHECK_INT(scan(s, 1, 1, T0, T0 + HOUR).sum, want);
  /* late and out of order, within one memtable too */
  CHECK_OK(append(s, 1, 1, 1, T0 + 50, 1000, 7, 100, 3));
  CHECK_OK(append(s, 1, 1, 1, T0 + 50, 1000, 8, 1, 4));
  g = scan(s, 1, 1, T0, T0 + HOUR);
  CHECK_INT(g.count, 200);
  CHECK(!g.disordered);
  mc_store_close(&s);
  remove_dir();
}

static void test_small_segments_of_a_past_hour_are_merged(void)
{
  fresh_dir();
  mc_store *s = open_store();
  for (int i = 0; i < 6; i++) {
    for (uint32_t v = 1; v <= 3; v++)
      CHECK_OK(append(s, 1, v, v + 10, T0 + i * 60000000LL, 1000, i * 100, 100, (uint64_t)i * 3 + v));
    CHECK_OK(mc_store_flush(s, NULL));
  }
  mc_store_stats stats;
  for (int wait = 0; wait < 1200; wait++) {
    mc_store_stats_get(s, &stats);
    if (stats.segments < 4)
      break;
    usleep(50000);
  }
  CHECK(stats.segments < 4);
  CHECK_INT(scan(s, 2, 12, T0, T0 + HOUR).count, 600);
  CHECK_INT(stats.rows_segments, 1800);
  mc_store_close(&s);
  s = open_store();
  CHECK_INT(mc_store_offset(s), 18);
  CHECK_INT(scan(s, 3, 13, T0, T0 + HOUR).count, 600);
  mc_store_close(&s);
  remove_dir();
}

static void test_doubles_and_strings_come_back_bit_for_bit(void)
{
  fresh_dir();
  mc_store *s = open_store();
  mc_block_builder b = {0};
  double odd = 0.1 + 0.2;
  CHECK_OK(mc_block_builder_add(&b, 1, 1, 0, T0, MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = odd}));
  CHECK_OK(mc_block_builder_add(&b, 1, 1, 0, T0 + 1, MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = -0.0}));
  CHECK_OK(mc_block_builder_add_string(&b, 1, 2, T0, 0, MC_LIT("P0143")));
  mc_block block = mc_block_builder_view(&b);
  block.tenant = 1;
  CHECK_OK(mc_store_append(s, &block, NULL));
  mc_block_builder_free(&b);
  for (int stage = 0; stage < 2; stage++) {
    gathered g = scan(s, 1, 1, T0, T0 + 1);
    uint64_t bits;
    memcpy(&bits, &odd, 8);
    CHECK_INT(g.sum, (int64_t)bits);
    CHECK_INT(scan(s, 1, 1, T0 + 1, T0 + 2).sum, INT64_MIN); /* the sign of zero */
    CHECK(isnan(scan(s, 1, 2, T0, T0 + 1).physical));
    CHECK_OK(mc_store_flush(s, NULL));
  }
  mc_store_close(&s);
  remove_dir();
}

static void test_buckets_hold_min_max_and_mean(void)
{
  fresh_dir();
  mc_store *s = open_store();
  CHECK_OK(append(s, 1, 1, 1, T0, 1000000, 0, 120, 1));
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_bucket *list;
  size_t n;
  CHECK_OK(mc_store_buckets(s, 1, 1, 1, T0, T0 + HOUR, 60000000, &arena, &list, &n, NULL));
  CHECK_INT(n, 2);
  CHECK_INT(list[1].count, 60);
  CHECK_DOUBLE(list[1].min, 60 * 0.01 - 5, 1e-12);
  CHECK_DOUBLE(list[1].max, 119 * 0.01 - 5, 1e-12);
  CHECK_DOUBLE(list[1].first, list[1].min, 0);
  CHECK_INT(list[1].start_us, T0 + 60000000);
  mc_why why;
  CHECK(mc_store_buckets(s, 1, 1, 1, T0, T0 + 1, 0, &arena, &list, &n, &why) == MC_ERR_INVALID);
  CHECK(mc_store_buckets(s, 1, 1, 1, T0, T0, 1, &arena, &list, &n, &why) == MC_ERR_INVALID);
  uint32_t *ids;
  CHECK_OK(mc_store_signals(s, 1, 1, T0, T0 + HOUR, &arena, &ids, &n, NULL));
  CHECK_INT(n, 1);
  mc_store_close(&s);
  remove_dir();
}

static void test_a_block_that_is_held_already_is_passed_over(void)
{
  fresh_dir();
  mc_store *s = open_store();
  CHECK_OK(append(s, 1, 1, 1, T0, 1000, 0, 10, 100));
  CHECK_OK(mc_store_flush(s, NULL));
  CHECK_OK(append(s, 1, 1, 1, T0 + HOUR, 1000, 0, 10, 90)); /* a reader that began earlier, for another sink */
  CHECK_OK(append(s, 1, 1, 1, T0, 1000, 0, 10, 100));
  mc_store_stats stats;
  mc_store_stats_get(s, &stats);
  CHECK_INT(stats.rows_memory, 0);
  CHECK_INT(stats.appended, 10);
  CHECK_OK(append(s, 1, 1, 1, T0 + HOUR, 1000, 0, 10, 101));
  CHECK_INT(scan(s, 1, 1, T0, T0 + 2 * HOUR).count, 20);
  mc_store_close(&s);
  remove_dir();
}

static void test_tenants_do_not_see_each_other(void)
{
  fresh_dir();
  mc_store *s = open_store();
  CHECK_OK(append(s, 2, 1, 1, T0, 1000, 0, 10, 1));
  CHECK_INT(scan(s, 1, 1, T0, T0 + HOUR).count, 0);
  CHECK_OK(mc_store_flush(s, NULL));
  CHECK_INT(scan(s, 1, 1, T0, T0 + HOUR).count, 0);
  mc_store_close(&s);
  remove_dir();
}

static void test_a_history_of_more_hours_than_open_files_is_written_and_read(void)
{
  enum { HOURS = 400 };
  struct rlimit before, few;
  fresh_dir();
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
  few = before;
  few.rlim_cur = 64;
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
  mc_store *s = open_store();
  CHECK(s != NULL);
  CHECK_OK(append(s, 1, 1, 1, T0, HOUR, 0, HOURS, 10));
  CHECK_OK(mc_store_flush(s, NULL));
  mc_store_stats stats;
  mc_store_stats_get(s, &stats);
  CHECK_INT(stats.segments, HOURS);
  mc_store_close(&s);
  s = open_store();
  CHECK(s != NULL);
  gathered g = {0};
  CHECK_OK(mc_store_scan(s, 1, 1, 1, T0, T0 + HOURS * HOUR, gather, &g, NULL));
  CHECK_INT(g.count, HOURS);
  mc_store_close(&s);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
  remove_dir();
}

static void test_damage_is_named(void)
{
  fresh_dir();
  mc_store *s = open_store();
  CHECK_OK(append(s, 1, 1, 1, T0, 1000, 0, 1000, 1));
  mc_store_close(&s);
  char cmd[600];
  snprintf(cmd, sizeof cmd, "f=$(ls %s/*.seg | head -1); printf '\\377' | dd of=$f bs=1 seek=40 conv=notrunc 2>/dev/null", dir);
  CHECK_INT(system(cmd), 0);
  mc_store_stats stats;
  mc_why why;
  CHECK(mc_store_verify(fs, dir, &stats, &why) == MC_ERR_CHECKSUM);
  CHECK_WHY(why, "block at byte");
  snprintf(cmd, sizeof cmd, "echo garbage >> %s/manifest", dir);
  CHECK_INT(system(cmd), 0);
  mc_store_config config = {.fs = fs, .dir = dir};
  CHECK(mc_store_open(&config, &s, &why) != MC_OK);
  CHECK_WHY(why, "manifest");
  remove_dir();
}

/* Walks every failing call: after it, and after a power cut, a reopened store and the journal replayed from its offset hold
 * every row exactly once. */
static void crash_at(mc_fs *fault, uint64_t call, mc_fault_kind kind, bool *reached)
{
  fresh_dir();
  fs = fault;
  uint64_t before = mc_fs_fault_calls(fault);
  mc_fs_fault_arm(fault, call, kind);
  mc_store *s = open_store();
  for (int i = 0; i < 3 && s; i++) {
    append(s, 1, 1, 1, T0 + i * 1000000LL, 1000, i * 100, 100, (uint64_t)i + 1);
    mc_store_flush(s, NULL);
  }
  if (s)
    mc_store_close(&s);
  *reached = mc_fs_fault_calls(fault) - before >= call;
  mc_fs_fault_arm(fault, 0, MC_FAULT_NONE);
  CHECK_OK(mc_fs_fault_recover(fault, call, NULL));
  s = open_store();
  CHECK(s);
  uint64_t offset = mc_store_offset(s);
  for (uint64_t i = offset; i < 3; i++)
    CHECK_OK(append(s, 1, 1, 1, T0 + (int64_t)i * 1000000LL, 1000, (int64_t)i * 100, 100, i + 1));
  gathered g = scan(s, 1, 1, T0, T0 + HOUR);
  CHECK_INT(g.count, 300);
  CHECK_INT(g.sum, 3 * 4950 + 100 * 100 + 100 * 200);
  mc_store_stats stats;
  mc_store_stats_get(s, &stats);
  CHECK_INT(stats.rows_segments + stats.rows_memory, 300);
  mc_store_close(&s);
  remove_dir();
}

static void test_survives_a_fault_at_every_call(void)
{
  const mc_fs *real = fs;
  static const mc_fault_kind kinds[] = {MC_FAULT_EIO, MC_FAULT_ENOSPC, MC_FAULT_SHORT, MC_FAULT_POWER_CUT};
  for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
    bool reached = true;
    for (uint64_t call = 1; reached && call < 200 && !tap_this_failed; call++) {
      mc_fs *fault;
      CHECK_OK(mc_fs_fault_open(&fault, NULL));
      crash_at(fault, call, kinds[k], &reached);
      if (tap_this_failed)
        printf("# kind %d at call %d\n", (int)kinds[k], (int)call);
      mc_fs_fault_close(&fault);
    }
  }
  fs = real;
}

static void *reader(void *arg)
{
  mc_store *s = arg;
  uint64_t last = 0;
  for (int i = 0; i < 200; i++) {
    gathered g = {0};
    if (mc_store_scan(s, 1, 1, 1, T0, T0 + 100 * HOUR, gather, &g, NULL) || g.count < last || g.disordered)
      return (void *)1;
    last = g.count;
  }
  return NULL;
}

static void test_readers_beside_the_writer_see_a_growing_ordered_history(void)
{
  fresh_dir();
  mc_store *s = open_store();
  pthread_t t;
  pthread_create(&t, NULL, reader, s);
  for (int i = 0; i < 100; i++) {
    CHECK_OK(append(s, 1, 1, 1, T0 + i * 60000000LL, 1000, i, 500, (uint64_t)i + 1));
    if (i % 7 == 0)
      CHECK_OK(mc_store_flush(s, NULL));
  }
  void *result;
  pthread_join(t, &result);
  CHECK(result == NULL);
  CHECK_INT(scan(s, 1, 1, T0, T0 + 100 * HOUR).count, 50000);
  mc_store_close(&s);
  remove_dir();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2); /* injected faults would fill the screen */
  fs = mc_fs_posix();
  RUN(test_rows_are_readable_at_once_and_after_flush_and_reopen);
  RUN(test_the_last_write_of_a_time_wins_across_segments_and_memory);
  RUN(test_small_segments_of_a_past_hour_are_merged);
  RUN(test_doubles_and_strings_come_back_bit_for_bit);
  RUN(test_buckets_hold_min_max_and_mean);
  RUN(test_a_block_that_is_held_already_is_passed_over);
  RUN(test_tenants_do_not_see_each_other);
  RUN(test_a_history_of_more_hours_than_open_files_is_written_and_read);
  RUN(test_damage_is_named);
  RUN(test_survives_a_fault_at_every_call);
  RUN(test_readers_beside_the_writer_see_a_growing_ordered_history);
  return tap_done();
}
