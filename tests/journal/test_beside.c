/* Tools on the folder of a journal that is being written: segments are sealed, begun and retired under their eyes, and nothing of that is damage. */
#include <pthread.h>
#include <stdatomic.h>

#include "journal_rig.h"

enum { RUN_US = 1500000, SEGMENTS_MIN = 100 };

static mc_fs *quick; /* the twin writes to the same folder and syncs nothing: thousands of segments a second */

typedef struct writer {
  mc_journal *j;
  atomic_bool stop;
  uint64_t written;
  bool failed;
} writer;

static void *write_on(void *arg)
{
  writer *w = arg;
  static uint8_t payload[15000]; /* one or two to a segment */
  mc_why why;
  while (!atomic_load(&w->stop) && !w->failed) {
    mc_store_le64(payload, w->written + 1);
    mc_record r = {.stream = MC_STREAM_MESSAGE, .tenant = 1, .topic = MC_LIT("t"), .payload = mc_slice_of(payload, 7000 + (size_t)(w->written * 1777 % 8000))};
    w->failed = mc_journal_append_sync(w->j, &r, NULL, &why) != MC_OK;
    w->written += !w->failed;
  }
  return NULL;
}

static mc_err begin(writer *w, pthread_t *thread, const mc_fs *fs, uint64_t keep_bytes, mc_why *why)
{
  mc_journal_config config = rig_config(fs, rig_fresh_dir());
  config.segment_bytes = 16384;
  config.group_wait_us = 1;
  config.keep.bytes = keep_bytes;
  *w = (writer){0};
  MC_TRY(mc_journal_open(&config, &w->j, why));
  return pthread_create(thread, NULL, write_on, w) ? MC_ERR_MEMORY : MC_OK;
}

static void end(writer *w, pthread_t thread)
{
  atomic_store(&w->stop, true);
  pthread_join(thread, NULL);
  mc_journal_close(&w->j);
}

/* For a while, and longer on a slow machine until enough has happened. */
static bool at_work(int64_t until_us, bool too_little)
{
  int64_t now_us = mc_clock_mono_us();
  return now_us < until_us || (too_little && now_us < until_us + INT64_C(60000000));
}

static void verify_in_a_loop(uint64_t keep_bytes)
{
  writer w;
  pthread_t thread;
  mc_why why = {0};
  mc_journal_report report = {.damaged_at = UINT64_MAX};
  int rounds = 0;
  uint64_t last_end = 0;
  CHECK_OK(mc_fs_fault_open(&quick, &why));
  CHECK_OK(begin(&w, &thread, quick, keep_bytes, &why));
  mc_err err = MC_OK;
  bool back = false;
  for (int64_t until_us = mc_clock_mono_us() + RUN_US; at_work(until_us, rounds <= 20 || last_end <= (uint64_t)SEGMENTS_MIN * 16384) && !err && report.damaged_at == UINT64_MAX; rounds++) {
    err = mc_journal_verify(mc_fs_posix(), rig_dir, &report, &why);
    back |= report.end_offset < last_end;
    last_end = report.end_offset;
  }
  end(&w, thread);
  mc_fs_fault_close(&quick);
  printf("# %d rounds, %llu records, end %llu\n", rounds, (unsigned long long)w.written, (unsigned long long)last_end);
  if (err || report.damaged_at != UINT64_MAX)
    TAP_FAIL("round %d: %s", rounds, why.text);
  CHECK(!w.failed && !back);
  CHECK(rounds > 20 && last_end > (uint64_t)SEGMENTS_MIN * 16384);
}

static void test_verify_finds_no_damage_where_a_writer_rolls_segments(void) { verify_in_a_loop(1 << 20); }
static void test_verify_finds_no_damage_where_segments_are_retired(void) { verify_in_a_loop(32768); }

static void test_an_offline_reader_loses_nothing_where_a_writer_rolls_segments(void)
{
  writer w;
  pthread_t thread;
  mc_why why = {0};
  mc_record r;
  mc_journal_reader *reader = NULL;
  uint64_t seen = 0;
  CHECK_OK(begin(&w, &thread, mc_fs_posix(), 0, &why));
  mc_err err = mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, (mc_journal_filter){0}, &reader, &why);
  bool wrong = false;
  for (int64_t until_us = mc_clock_mono_us() + RUN_US; at_work(until_us, seen <= 2 * SEGMENTS_MIN) && (!err || err == MC_ERR_END) && !wrong;)
    if (!(err = mc_journal_reader_next(reader, &r, &why)))
      wrong = rig_number(&r) != ++seen;
  end(&w, thread);
  while (!wrong && (!err || err == MC_ERR_END) && seen < w.written && !(err = mc_journal_reader_next(reader, &r, &why)))
    wrong = rig_number(&r) != ++seen;
  mc_journal_reader_destroy(&reader);
  printf("# %llu records\n", (unsigned long long)seen);
  if (err && err != MC_ERR_END)
    TAP_FAIL("behind record %llu: %s", (unsigned long long)seen, why.text);
  CHECK(!wrong && !w.failed);
  CHECK_INT(seen, w.written);
  CHECK(seen > 2 * SEGMENTS_MIN);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_verify_finds_no_damage_where_a_writer_rolls_segments);
  RUN(test_verify_finds_no_damage_where_segments_are_retired);
  RUN(test_an_offline_reader_loses_nothing_where_a_writer_rolls_segments);
  rig_remove_all(rig_dir);
  return tap_done();
}
