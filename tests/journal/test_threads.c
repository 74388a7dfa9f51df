/* Several writers, readers, waiting threads and retention at once; meant for the thread sanitizer as well. */
#include <pthread.h>
#include <stdatomic.h>

#include "journal_rig.h"

enum { WRITERS = 3, READERS = 2, EACH = 6000, SYNCERS = 2, SYNC_EACH = 60 };

static mc_journal *journal;
static atomic_int failures;
static atomic_uint_fast64_t acknowledged;
static atomic_bool writers_done;

static void fail(const char *what)
{
  printf("# %s\n", what);
  atomic_fetch_add(&failures, 1);
}

typedef struct writer {
  uint32_t id;
  mc_loop *loop;
  mc_journal_writer *w;
  uint64_t told, last_offset;
} writer;

static void on_commit(void *ctx, const mc_commit *c)
{
  writer *w = ctx;
  size_t at = 0;
  mc_record r;
  while (mc_commit_next(c, &at, &r)) {
    if (c->err || rig_number(&r) != ++w->told || r.principal != w->id || r.offset <= w->last_offset)
      fail("a commit is wrong");
    w->last_offset = r.offset;
  }
  atomic_fetch_add(&acknowledged, c->count);
  mc_commit_release(c);
}

static void *write_records(void *arg)
{
  writer *w = arg;
  uint8_t payload[256];
  mc_why why;
  if (mc_loop_create(&w->loop, &why) || mc_journal_writer_create(journal, w->loop, on_commit, w, &w->w)) {
    fail("no writer");
    return NULL;
  }
  for (uint64_t n = 1; n <= EACH;) {
    mc_record r = rig_record(payload, w->id, n);
    mc_err err = mc_journal_append(w->w, &r, NULL);
    if (!err)
      n++;
    else if (err != MC_ERR_FULL)
      fail("append failed");
    if (err || n % 50 == 0)
      mc_loop_turn(w->loop, err ? 1 : 0);
  }
  while (w->told < EACH)
    mc_loop_turn(w->loop, 100);
  mc_journal_writer_destroy(&w->w);
  return NULL;
}

static void *write_sync(void *arg)
{
  uint32_t id = 100 + *(uint32_t *)arg;
  uint8_t payload[256];
  uint64_t offset, last = 0;
  mc_why why;
  for (uint64_t n = 1; n <= SYNC_EACH; n++) {
    mc_record r = rig_record(payload, id, n);
    if (mc_journal_append_sync(journal, &r, &offset, &why) || offset <= last)
      fail("append_sync is wrong");
    last = offset;
    atomic_fetch_add(&acknowledged, 1);
  }
  return NULL;
}

/* Reads everything; a named consumer holds retention back. */
static void *read_records(void *arg)
{
  uint32_t id = *(uint32_t *)arg;
  char name[16];
  uint64_t next[200] = {0}, total = 0;
  mc_journal_reader *reader;
  mc_record r;
  mc_why why;
  snprintf(name, sizeof name, "reader-%u", id);
  if (mc_journal_reader_create(journal, 0, (mc_journal_filter){0}, &reader, &why)) {
    fail(why.text);
    return NULL;
  }
  for (;;) {
    mc_err err = mc_journal_reader_next(reader, &r, &why);
    if (err == MC_ERR_END) {
      if (mc_journal_consumer_commit(journal, name, mc_journal_reader_offset(reader), &why))
        fail(why.text);
      if (atomic_load(&writers_done) && mc_journal_reader_offset(reader) == mc_journal_end_offset(journal))
        break;
      mc_journal_wait(journal, mc_journal_reader_offset(reader), 50);
      continue;
    }
    if (err) {
      fail(why.text);
      break;
    }
    if (r.principal >= 200 || rig_number(&r) != ++next[r.principal] || !rig_same(&r, r.principal, next[r.principal])) {
      fail("a record is out of order or wrong");
      break;
    }
    total++;
  }
  mc_journal_reader_destroy(&reader);
  if (total != (uint64_t)WRITERS * EACH + SYNCERS * SYNC_EACH)
    fail("records are missing");
  return NULL;
}

/* Reads without being a consumer: retention may overtake it, and then it must be told, and never see wrong bytes. */
static void *read_overtaken(void *arg)
{
  mc_why why;
  mc_record r;
  while (!atomic_load(&writers_done)) {
    mc_journal_reader *reader;
    mc_err err = mc_journal_reader_create(journal, mc_journal_first_offset(journal), (mc_journal_filter){0}, &reader, &why);
    uint64_t last[200] = {0};
    while (!err) {
      err = mc_journal_reader_next(reader, &r, &why);
      if (!err && (r.principal >= 200 || rig_number(&r) <= last[r.principal] || !rig_same(&r, r.principal, rig_number(&r))))
        fail("an overtaken reader saw wrong bytes");
      else if (!err)
        last[r.principal] = rig_number(&r);
      if (!err && rig_number(&r) % 64 == 0)
        usleep(200);
    }
    if (err != MC_ERR_END && err != MC_ERR_NOT_FOUND)
      fail(why.text);
    mc_journal_reader_destroy(&reader);
    mc_buf bytes = {0};
    uint64_t first = mc_journal_first_offset(journal) + 64 + 56; /* where a segment's first record begins */
    err = mc_journal_end_offset(journal) > first ? mc_journal_read_at(journal, first, &bytes, &r, &why) : MC_OK;
    if (err && err != MC_ERR_NOT_FOUND)
      fail(why.text);
    mc_buf_free(&bytes);
  }
  return NULL;
}

static void test_many_writers_and_readers_beside_retention(void)
{
  mc_why why;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.keep.bytes = 128 << 10;
  config.max_staged_bytes = 256 << 10;
  CHECK_OK(mc_journal_open(&config, &journal, &why));
  /* Known before anything is written, so that the first segments stay. */
  CHECK_OK(mc_journal_consumer_commit(journal, "reader-0", 0, &why));
  CHECK_OK(mc_journal_consumer_commit(journal, "reader-1", 0, &why));
  pthread_t writing[WRITERS], syncing[SYNCERS], reading[READERS], overtaken;
  writer w[WRITERS] = {0};
  atomic_store(&acknowledged, 0);
  atomic_store(&writers_done, false);
  static uint32_t ids[4] = {0, 1, 2, 3};
  for (int i = 0; i < READERS; i++)
    pthread_create(&reading[i], NULL, read_records, &ids[i]);
  pthread_create(&overtaken, NULL, read_overtaken, NULL);
  for (int i = 0; i < WRITERS; i++) {
    w[i].id = (uint32_t)i + 1;
    pthread_create(&writing[i], NULL, write_records, &w[i]);
  }
  for (int i = 0; i < SYNCERS; i++)
    pthread_create(&syncing[i], NULL, write_sync, &ids[i]);
  for (int i = 0; i < WRITERS; i++)
    pthread_join(writing[i], NULL);
  for (int i = 0; i < SYNCERS; i++)
    pthread_join(syncing[i], NULL);
  atomic_store(&writers_done, true);
  for (int i = 0; i < READERS; i++)
    pthread_join(reading[i], NULL);
  pthread_join(overtaken, NULL);
  for (int i = 0; i < WRITERS; i++)
    mc_loop_destroy(&w[i].loop);
  CHECK_INT(atomic_load(&acknowledged), (uint64_t)WRITERS * EACH + SYNCERS * SYNC_EACH);
  mc_journal_close(&journal);
  CHECK_INT(atomic_load(&failures), 0);
  mc_journal_report report;
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &why));
  CHECK(report.damaged_at == UINT64_MAX && !report.torn_tail);
}

static void *wait_for_close(void *arg)
{
  *(mc_err *)arg = mc_journal_wait(journal, mc_journal_end_offset(journal), 20000);
  return NULL;
}

static void test_close_wakes_who_waits(void)
{
  mc_why why;
  mc_err told = MC_OK;
  pthread_t waiting;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(mc_journal_open(&config, &journal, &why));
  mc_journal_reader *hold; /* keeps the memory while the other thread is still inside */
  CHECK_OK(mc_journal_reader_create(journal, 0, (mc_journal_filter){0}, &hold, &why));
  pthread_create(&waiting, NULL, wait_for_close, &told);
  usleep(50000);
  mc_journal *closing = journal;
  mc_journal_close(&closing);
  pthread_join(waiting, NULL);
  CHECK_INT(told, MC_ERR_CLOSED);
  mc_journal_reader_destroy(&hold);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RIG_EACH_IO {
    RUN(test_many_writers_and_readers_beside_retention);
    RUN(test_close_wakes_who_waits);
  }
  rig_remove_all(rig_dir);
  return tap_done();
}
