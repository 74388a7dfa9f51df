/* A writer that hands over by the turn: what it appended reaches the disk when it says so, in order, and nothing is lost at its end. */
#include "base/file.h"
#include "journal_rig.h"

typedef struct sink {
  uint64_t records, commits;
  bool wrong;
} sink;

static mc_why why;
static mc_journal *journal;
static mc_loop *loop;
static mc_journal_writer *writer;
static sink got;

static void on_commit(void *ctx, const mc_commit *c)
{
  size_t at = 0;
  mc_record r;
  got.wrong |= c->err || c->first_ticket != got.records + 1;
  while (mc_commit_next(c, &at, &r))
    got.wrong |= !rig_same(&r, 1, ++got.records);
  got.commits++;
  mc_commit_release(c);
}

static void begin(uint32_t max_staged_bytes)
{
  got = (sink){0};
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.max_staged_bytes = max_staged_bytes;
  if (mc_journal_open(&config, &journal, &why) || mc_loop_create(&loop, &why) || mc_journal_writer_create(journal, loop, on_commit, NULL, &writer))
    abort();
  mc_journal_writer_batch(writer);
}

static void end(void)
{
  mc_journal_writer_destroy(&writer);
  mc_journal_close(&journal);
  mc_loop_destroy(&loop);
}

static mc_err put_many(uint64_t first, uint64_t last)
{
  uint8_t payload[256];
  for (uint64_t n = first; n <= last; n++) {
    mc_record r = rig_record(payload, 1, n);
    uint64_t ticket;
    MC_TRY(mc_journal_append(writer, &r, &ticket));
    if (ticket != n)
      return MC_ERR_INVALID;
  }
  return MC_OK;
}

static void turn_for(int64_t us, uint64_t records)
{
  for (int64_t until = mc_clock_mono_us() + us; got.records < records && mc_clock_mono_us() < until;)
    mc_loop_turn(loop, 5);
}

static void test_nothing_is_written_before_it_is_handed_over(void)
{
  begin(0);
  uint64_t was = mc_journal_end_offset(journal);
  CHECK_OK(put_many(1, 50));
  turn_for(50000, 1);
  CHECK_INT(got.records, 0);
  CHECK_INT(mc_journal_end_offset(journal), was);
  mc_journal_writer_hand_over(writer);
  turn_for(60000000, 50);
  CHECK_INT(got.records, 50);
  CHECK_INT(got.commits, 1);
  CHECK(!got.wrong);
  mc_journal_writer_hand_over(writer); /* nothing is there: nothing happens */
  end();
}

/* Faster than the disk: what waits is joined, whatever the sizes, and keeps its order and tickets. */
static void test_what_is_handed_over_bit_by_bit_stays_in_order(void)
{
  begin(0);
  uint64_t n = 0;
  for (int turn = 0; turn < 400; turn++) {
    CHECK_OK(put_many(n + 1, n + 1 + (uint64_t)turn % 7));
    n += 1 + (uint64_t)turn % 7;
    mc_journal_writer_hand_over(writer);
  }
  turn_for(60000000, n);
  CHECK_INT(got.records, n);
  CHECK(!got.wrong);
  end();
}

static void test_a_full_buffer_goes_without_being_asked(void)
{
  begin(0);
  CHECK_OK(put_many(1, 20000));
  turn_for(60000000, 1);
  CHECK(got.records > 0 && got.records < 20000);
  mc_journal_writer_hand_over(writer);
  turn_for(60000000, 20000);
  CHECK_INT(got.records, 20000);
  CHECK(!got.wrong);
  end();
}

static void test_what_a_writer_leaves_behind_is_committed(void)
{
  begin(0);
  CHECK_OK(put_many(1, 30));
  mc_journal_writer_destroy(&writer);
  mc_journal_reader *reader;
  mc_record r;
  CHECK_OK(mc_journal_wait(journal, mc_journal_end_offset(journal) + 1000, 60000));
  CHECK_OK(mc_journal_reader_create(journal, 0, (mc_journal_filter){0}, &reader, &why));
  for (uint64_t n = 1; n <= 30; n++) {
    CHECK_OK(mc_journal_reader_next(reader, &r, &why));
    CHECK(rig_same(&r, 1, n));
  }
  mc_journal_reader_destroy(&reader);
  mc_loop_turn(loop, 50); /* the commit comes to a writer that is gone */
  CHECK_INT(got.records, 0);
  end();
}

/* Back-pressure counts what was not handed over yet, and hands it over: or nothing would ever make room. */
static void test_a_full_writer_says_so_and_goes_on(void)
{
  begin(64 << 10);
  uint8_t payload[256];
  uint64_t n = 0;
  mc_err err = MC_OK;
  while (!err && n < 10000) {
    mc_record r = rig_record(payload, 1, n + 1);
    err = mc_journal_append(writer, &r, NULL);
    n += !err;
  }
  CHECK_INT(err, MC_ERR_FULL);
  turn_for(60000000, n);
  CHECK_INT(got.records, n);
  CHECK_OK(put_many(n + 1, n + 100));
  mc_journal_writer_hand_over(writer);
  turn_for(60000000, n + 100);
  CHECK_INT(got.records, n + 100);
  CHECK(!got.wrong);
  end();
}

int main(void)
{
  RUN(test_nothing_is_written_before_it_is_handed_over);
  RUN(test_what_is_handed_over_bit_by_bit_stays_in_order);
  RUN(test_a_full_buffer_goes_without_being_asked);
  RUN(test_what_a_writer_leaves_behind_is_committed);
  RUN(test_a_full_writer_says_so_and_goes_on);
  rig_remove_all(rig_dir);
  return tap_done();
}
