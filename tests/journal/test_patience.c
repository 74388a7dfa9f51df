/* Records of patient streams gather for a while, and hold nobody else up (README, Pace). */
#include "base/file.h"
#include "journal/inside.h"
#include "journal_rig.h"

typedef struct sink {
  uint64_t records, commits;
} sink;

static void on_commit(void *ctx, const mc_commit *c)
{
  sink *s = ctx;
  s->records += c->count;
  s->commits++;
  mc_commit_release(c);
}

typedef struct bench {
  mc_journal *j;
  mc_loop *loop;
  mc_journal_writer *w;
  sink sink;
  mc_why why;
} bench;

enum { HOURS = UINT32_MAX }; /* of microseconds: longer than any test waits */

static mc_err open_bench(bench *b, uint32_t patient_wait_us)
{
  *b = (bench){0};
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.patient_streams = 1u << MC_STREAM_CHECKIN;
  config.patient_wait_us = patient_wait_us;
  MC_TRY(mc_journal_open(&config, &b->j, &b->why));
  MC_TRY(mc_loop_create(&b->loop, &b->why));
  return mc_journal_writer_create(b->j, b->loop, on_commit, &b->sink, &b->w);
}

static void close_bench(bench *b)
{
  mc_journal_writer_destroy(&b->w);
  mc_journal_close(&b->j);
  mc_loop_destroy(&b->loop);
}

static mc_err put(bench *b, mc_stream stream, uint64_t n)
{
  uint8_t payload[256];
  mc_record r = rig_record(payload, 1, n);
  r.stream = stream;
  return mc_journal_append(b->w, &r, NULL);
}

static bool settle(bench *b, uint64_t records)
{
  int64_t give_up = mc_clock_mono_us() + 60000000; /* a busy machine is no failure */
  while (b->sink.records < records && mc_clock_mono_us() < give_up)
    mc_loop_turn(b->loop, 50);
  return b->sink.records == records;
}

static bool waits_patiently(const bench *b)
{
  int64_t give_up = mc_clock_mono_us() + 60000000;
  while (atomic_load(&b->j->state) != MC_COMMITTER_PATIENT && mc_clock_mono_us() < give_up)
    usleep(1000);
  return atomic_load(&b->j->state) == MC_COMMITTER_PATIENT;
}

static void test_patient_records_gather_until_their_time_is_over(void)
{
  bench b;
  CHECK_OK(open_bench(&b, 300000));
  for (uint64_t n = 1; n <= 20; n++)
    CHECK_OK(put(&b, MC_STREAM_CHECKIN, n));
  CHECK(settle(&b, 20));
  CHECK(b.sink.commits < 20); /* one, unless the machine stood still meanwhile */
  close_bench(&b);
}

static void test_another_record_takes_them_along_at_once(void)
{
  bench b;
  CHECK_OK(open_bench(&b, HOURS));
  for (uint64_t n = 1; n <= 20; n++)
    CHECK_OK(put(&b, MC_STREAM_CHECKIN, n));
  CHECK(waits_patiently(&b));
  CHECK_OK(put(&b, MC_STREAM_CHECKIN, 21));
  CHECK(waits_patiently(&b)); /* one more of them changes nothing */
  CHECK_INT(b.sink.records, 0);
  CHECK_OK(put(&b, MC_STREAM_TELEMETRY, 22));
  CHECK(settle(&b, 22));
  CHECK_OK(put(&b, MC_STREAM_MESSAGE, 23)); /* and alone it waits for nothing */
  CHECK(settle(&b, 23));
  close_bench(&b);
}

static void test_a_full_group_does_not_wait(void)
{
  bench b;
  CHECK_OK(open_bench(&b, HOURS));
  uint64_t n = 0;
  for (size_t bytes = 0; bytes < b.j->group_bytes + (64 << 10); bytes += 64)
    CHECK_OK(put(&b, MC_STREAM_CHECKIN, ++n));
  int64_t give_up = mc_clock_mono_us() + 60000000;
  while (!b.sink.records && mc_clock_mono_us() < give_up)
    mc_loop_turn(b.loop, 50);
  CHECK(b.sink.records > 0);
  CHECK_OK(put(&b, MC_STREAM_MESSAGE, ++n));
  CHECK(settle(&b, n));
  close_bench(&b);
}

static void test_close_commits_what_waits(void)
{
  bench b;
  CHECK_OK(open_bench(&b, HOURS));
  CHECK_OK(put(&b, MC_STREAM_CHECKIN, 1));
  CHECK(waits_patiently(&b));
  mc_journal_close(&b.j);
  CHECK(settle(&b, 1));
  mc_journal_writer_destroy(&b.w);
  mc_loop_destroy(&b.loop);
}

static void test_without_a_wait_they_are_as_all_others(void)
{
  bench b;
  CHECK_OK(open_bench(&b, 0));
  CHECK_OK(put(&b, MC_STREAM_CHECKIN, 1));
  CHECK(settle(&b, 1));
  close_bench(&b);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_patient_records_gather_until_their_time_is_over);
  RUN(test_another_record_takes_them_along_at_once);
  RUN(test_a_full_group_does_not_wait);
  RUN(test_close_commits_what_waits);
  RUN(test_without_a_wait_they_are_as_all_others);
  rig_remove_all(rig_dir);
  return tap_done();
}
