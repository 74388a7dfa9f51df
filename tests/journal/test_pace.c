/* Groups fit the disk: the rule alone on made-up disks, and the journal on a twin whose syncs take virtual time. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/metric.h"
#include "journal/pace.h"
#include "journal_rig.h"

static const mc_pace_bounds bounds = {
    .wait_us = 1000, .group_bytes = 256 << 10, .budget_min = 4 << 20, .budget_max = 32 << 20, .staged_min = 16 << 20, .staged_max = 32 << 20};

/* Groups of different sizes on a disk of that kind. */
static void feed(mc_pace *p, double sync_us, double bytes_per_us, int groups)
{
  for (int i = 0; i < groups; i++) {
    size_t bytes = (size_t)(i * 7919 % 40 + 1) * 16384;
    mc_pace_group(p, bytes, (int64_t)(sync_us + (double)bytes / bytes_per_us));
  }
}

static bool near(double got, double want)
{
  return got > want * 0.95 && got < want * 1.05;
}

static void test_learns_sync_time_and_throughput(void)
{
  mc_pace p;
  mc_pace_init(&p, &bounds);
  feed(&p, 100, 1200, 64);
  CHECK(near(p.sync_us, 100) && near(p.bytes_per_us, 1200));
  CHECK_INT(mc_pace_budget(&p), 4 << 20);
  CHECK_INT(mc_pace_staged_limit(&p), 16 << 20);
  feed(&p, 100000, 100, 64); /* the disk under it became a slow one */
  CHECK(near(p.sync_us, 100000) && near(p.bytes_per_us, 100));
  CHECK(near((double)mc_pace_budget(&p), 2 * 100000.0 * 100));
  CHECK_INT(mc_pace_staged_limit(&p), 32 << 20);
  feed(&p, 100, 1200, 200); /* and came back */
  CHECK_INT(mc_pace_budget(&p), 4 << 20);
  CHECK_INT(mc_pace_staged_limit(&p), 16 << 20);
}

static void test_one_hiccup_does_not_set_the_pace(void)
{
  mc_pace p;
  mc_pace_init(&p, &bounds);
  feed(&p, 100, 1000, 64);
  mc_pace_group(&p, 16384, 3000000);
  CHECK(p.sync_us < 2000);
  feed(&p, 100, 1000, 64);
  CHECK(near(p.sync_us, 100));
}

static void test_survives_senseless_times(void)
{
  mc_pace p;
  mc_pace_init(&p, &bounds);
  const int64_t odd[] = {0, -5, INT64_MIN, INT64_MAX, 1};
  for (int i = 0; i < 200; i++) {
    mc_pace_group(&p, i % 3 ? 0 : SIZE_MAX, odd[i % 5]);
    mc_pace_arrived(&p, i % 2 ? SIZE_MAX : 0, odd[i % 5]);
    CHECK(mc_pace_wait_us(&p) <= bounds.wait_us);
    CHECK(mc_pace_budget(&p) >= bounds.budget_min && mc_pace_budget(&p) <= bounds.budget_max);
    CHECK(mc_pace_staged_limit(&p) >= bounds.staged_min && mc_pace_staged_limit(&p) <= bounds.staged_max);
  }
}

static void test_waits_only_under_load(void)
{
  mc_pace p;
  mc_pace_init(&p, &bounds);
  CHECK_INT(mc_pace_wait_us(&p), 0);
  for (int i = 0; i < 100; i++)
    mc_pace_arrived(&p, 250, 1000); /* a thousand messages a second */
  CHECK(mc_pace_wait_us(&p) < 10);
  for (int i = 0; i < 100; i++)
    mc_pace_arrived(&p, 26000, 1000);
  CHECK(mc_pace_wait_us(&p) > 50 && mc_pace_wait_us(&p) < 150);
  for (int i = 0; i < 100; i++)
    mc_pace_arrived(&p, 300000, 1000); /* a million */
  CHECK_INT(mc_pace_wait_us(&p), 1000);
}

/* ---- the journal on a disk whose syncs take virtual time ---- */

static _Atomic int64_t turned_us;

static int64_t real_mono(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t turned_mono(void) { return real_mono() + atomic_load(&turned_us); }

static int64_t wall(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

typedef struct slow_disk {
  int64_t sync_us;
  mc_journal_writer *writer; /* publishers: what they send during a sync is staged there */
  uint32_t records_per_ms;
  _Atomic uint64_t left, refused;
  uint64_t n;
  _Atomic int on;
  pthread_mutex_t lock; /* the keeper syncs too */
} slow_disk;

/* On the thread that syncs: it takes its time, and publishers go on meanwhile. */
static void one_sync(void *ctx)
{
  slow_disk *d = ctx;
  if (!atomic_load(&d->on))
    return;
  atomic_fetch_add(&turned_us, d->sync_us);
  pthread_mutex_lock(&d->lock);
  uint64_t arrive = (uint64_t)d->sync_us * d->records_per_ms / 1000;
  for (arrive = arrive ? arrive : 1; arrive && atomic_load(&d->left); arrive--) {
    uint8_t payload[256];
    mc_record r = rig_record(payload, 1, ++d->n);
    if (mc_journal_append(d->writer, &r, NULL))
      atomic_fetch_add(&d->refused, 1);
    atomic_fetch_sub(&d->left, 1);
  }
  pthread_mutex_unlock(&d->lock);
}

typedef struct told {
  uint64_t records, failed;
} told;

static void on_commit(void *ctx, const mc_commit *c)
{
  told *t = ctx;
  t->records += c->count;
  t->failed += c->err ? c->count : 0;
  mc_commit_release(c);
}

static int64_t metric(mc_metric_kind kind, const char *name)
{
  return mc_metric_value(mc_metric_get(kind, name, "", NULL));
}

/* Sends `count` records at 200 a ms onto a disk; gives the mean records of a group. */
static double mean_group(int64_t sync_us, uint64_t count, int64_t *learned_us, uint64_t *refused)
{
  mc_fs *fs;
  mc_loop *loop;
  mc_journal *j;
  mc_why why;
  told t = {0};
  slow_disk d = {.sync_us = sync_us, .records_per_ms = 200, .lock = PTHREAD_MUTEX_INITIALIZER};
  atomic_store(&d.left, count);
  if (mc_fs_fault_open(&fs, &why) || mc_loop_create(&loop, &why))
    abort();
  mc_journal_config config = rig_config(fs, rig_fresh_dir());
  config.segment_bytes = 32 << 20;
  if (mc_journal_open(&config, &j, &why) || mc_journal_writer_create(j, loop, on_commit, &t, &d.writer))
    abort();
  int64_t groups = metric(MC_METRIC_COUNTER, "motorcade_journal_groups_total"), records = metric(MC_METRIC_COUNTER, "motorcade_journal_records_total");
  mc_fs_fault_on_sync(fs, one_sync, &d);
  atomic_store(&d.on, 1);
  uint8_t payload[256];
  mc_record first = rig_record(payload, 2, 0);
  mc_journal_append_sync(j, &first, NULL, &why);
  while (t.records + atomic_load(&d.refused) < count)
    mc_loop_turn(loop, 50);
  atomic_store(&d.on, 0);
  groups = metric(MC_METRIC_COUNTER, "motorcade_journal_groups_total") - groups;
  records = metric(MC_METRIC_COUNTER, "motorcade_journal_records_total") - records;
  *learned_us = metric(MC_METRIC_GAUGE, "motorcade_journal_sync_cost_us");
  *refused = atomic_load(&d.refused) + t.failed;
  mc_journal_writer_destroy(&d.writer);
  mc_journal_close(&j);
  mc_loop_destroy(&loop);
  mc_fs_fault_close(&fs);
  return (double)records / (double)groups;
}

static void test_a_slow_disk_gets_large_groups_and_admission_goes_on(void)
{
  int64_t fast_us, slow_us;
  uint64_t refused;
  mc_clock_set_source(wall, turned_mono);
  double fast = mean_group(50, 4000, &fast_us, &refused);
  CHECK_INT(refused, 0);
  double slow = mean_group(100000, 160000, &slow_us, &refused); /* 100 ms a sync */
  CHECK_INT(refused, 0);
  printf("# mean group: %.0f records at 50 us a sync, %.0f at 100 ms; learned %lld and %lld us\n", fast, slow, (long long)fast_us, (long long)slow_us);
  CHECK(fast < 1000);
  CHECK(slow > 5000);
  CHECK(slow_us > 90000);
  mc_clock_set_source(NULL, NULL);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_learns_sync_time_and_throughput);
  RUN(test_one_hiccup_does_not_set_the_pace);
  RUN(test_survives_senseless_times);
  RUN(test_waits_only_under_load);
  RUN(test_a_slow_disk_gets_large_groups_and_admission_goes_on);
  rig_remove_all(rig_dir);
  return tap_done();
}
