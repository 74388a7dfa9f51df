/* The journal's last bytes in memory: groups go to the device from there, past the page cache, and live readers read there what was just written. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/metric.h"
#include "journal_rig.h"

static mc_why why;
enum { SEGMENT = 1 << 20, RECORD = 300000, TAIL = 16 << 20 /* as MC_TAIL_BYTES */ };

static uint64_t counted(const char *name) { return (uint64_t)mc_metric_value(mc_metric_get(MC_METRIC_COUNTER, name, "", NULL)); }
static uint64_t direct_groups(void) { return counted("motorcade_journal_direct_groups_total"); }

static mc_journal *opened(const char *dir, uint64_t segment)
{
  mc_journal *j;
  mc_journal_config config = rig_config(mc_fs_posix(), dir);
  config.segment_bytes = segment;
  if (mc_journal_open(&config, &j, &why))
    abort();
  return j;
}

/* Record n: its length and content follow from n. */
static size_t length_of(uint64_t n) { return 8 + (size_t)(n * 7919 % (RECORD - 8)); }

static mc_record record_of(uint8_t payload[RECORD], uint64_t n)
{
  memset(payload, (int)(n % 251), length_of(n));
  mc_store_le64(payload, n);
  return (mc_record){.stream = MC_STREAM_MESSAGE, .tenant = 1, .topic = MC_LIT("t"), .payload = mc_slice_of(payload, length_of(n))};
}

static bool is_record(const mc_record *r, uint64_t n)
{
  bool same = r->payload.len == length_of(n) && mc_load_le64(r->payload.data) == n;
  for (size_t i = 8; same && i < r->payload.len; i++)
    same = r->payload.data[i] == n % 251;
  return same;
}

static mc_err put(mc_journal *j, uint64_t first, uint64_t last)
{
  static uint8_t payload[RECORD];
  for (uint64_t n = first; n <= last; n++) {
    mc_record r = record_of(payload, n);
    MC_TRY(mc_journal_append_sync(j, &r, NULL, &why));
  }
  return MC_OK;
}

/* How many records stand there in order, from the first on. */
static uint64_t good(mc_journal_reader *reader)
{
  mc_record r;
  uint64_t n = 0;
  while (mc_journal_reader_next(reader, &r, &why) == MC_OK && is_record(&r, n + 1))
    n++;
  mc_journal_reader_destroy(&reader);
  return n;
}

static uint64_t good_live(mc_journal *j)
{
  mc_journal_reader *reader;
  return mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why) ? 0 : good(reader);
}

static uint64_t good_on_disk(const char *dir)
{
  mc_journal_reader *reader;
  return mc_journal_open_reader(mc_fs_posix(), dir, 0, (mc_journal_filter){0}, &reader, &why) ? 0 : good(reader);
}

static void test_the_file_holds_what_memory_holds(void)
{
  const char *dir = rig_fresh_dir();
  uint64_t direct = direct_groups();
  mc_journal *j = opened(dir, SEGMENT);
  CHECK_OK(put(j, 1, 200)); /* some 30 MiB: round the memory once and again, over thirty segments */
  CHECK(direct_groups() - direct >= 200);
  CHECK_INT(good_live(j), 200);
  CHECK_INT(good_on_disk(dir), 200);
  mc_journal_close(&j);
  j = opened(dir, SEGMENT); /* the page that the last group ends in is found in the file */
  CHECK_OK(put(j, 201, 202));
  CHECK_INT(good_live(j), 202);
  CHECK_INT(good_on_disk(dir), 202);
  mc_journal_close(&j);
  CHECK_INT(good_on_disk(dir), 202);
}

static void spoil_first_segment(const char *dir)
{
  char path[600];
  static const uint8_t dirt[4096] = {1, 2, 3};
  snprintf(path, sizeof path, "%s/%016x.mcj", dir, 0);
  int fd = open(path, O_WRONLY);
  CHECK(fd >= 0 && pwrite(fd, dirt, sizeof dirt, 4096) == sizeof dirt);
  close(fd);
}

static void test_live_readers_read_from_memory_until_it_comes_round(void)
{
  const char *dir = rig_fresh_dir();
  mc_journal *j = opened(dir, 4 * SEGMENT);
  CHECK_OK(put(j, 1, 20));
  spoil_first_segment(dir);
  CHECK(good_on_disk(dir) < 20);
  CHECK_INT(good_live(j), 20);
  for (uint64_t n = 21; mc_journal_end_offset(j) < TAIL + (4 << 20); n++)
    CHECK_OK(put(j, n, n));
  CHECK(good_live(j) < 20);
  mc_journal_close(&j);
}

/* A record larger than half of the memory goes the other way. What came before it and what comes after it is read all the same. */
static void test_large_groups_go_through_the_page_cache(void)
{
  enum { LARGE = 11 << 20 };
  const char *dir = rig_fresh_dir();
  static uint8_t payload[LARGE];
  mc_journal *j = opened(dir, 64 << 20);
  CHECK_OK(put(j, 1, 3));
  memset(payload, 9, sizeof payload);
  mc_record large = {.stream = MC_STREAM_MESSAGE, .tenant = 1, .topic = MC_LIT("t"), .payload = mc_slice_of(payload, sizeof payload)};
  uint64_t direct = direct_groups();
  CHECK_OK(mc_journal_append_sync(j, &large, NULL, &why));
  CHECK_INT(direct_groups(), direct);
  CHECK_OK(put(j, 4, 6));
  CHECK_INT(direct_groups(), direct + 3);
  for (int live = 0; live < 2; live++) {
    mc_journal_reader *reader;
    mc_record r;
    CHECK_OK(live ? mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why)
                  : mc_journal_open_reader(mc_fs_posix(), dir, 0, (mc_journal_filter){0}, &reader, &why));
    for (uint64_t n = 1; n <= 6; n++) {
      CHECK_OK(mc_journal_reader_next(reader, &r, &why));
      CHECK(is_record(&r, n));
      if (n != 3)
        continue;
      CHECK_OK(mc_journal_reader_next(reader, &r, &why));
      CHECK(mc_slice_eq(r.payload, large.payload));
    }
    mc_journal_reader_destroy(&reader);
  }
  mc_journal_close(&j);
}

static void test_segments_that_are_no_whole_pages_go_through_the_page_cache(void)
{
  const char *dir = rig_fresh_dir();
  uint64_t direct = direct_groups();
  mc_journal *j = opened(dir, SEGMENT + 8);
  CHECK_OK(put(j, 1, 30));
  CHECK_INT(direct_groups(), direct);
  CHECK_INT(good_live(j), 30);
  CHECK_INT(good_on_disk(dir), 30);
  mc_journal_close(&j);
}

/* ---- beside readers ---- */
enum { READERS = 3, RECORDS = 300 };
static mc_journal *shared;
static atomic_int bad;

static void *read_along(void *arg)
{
  bool slow = arg != NULL;
  mc_journal_reader *reader;
  mc_record r;
  mc_why told;
  if (mc_journal_reader_create(shared, 0, (mc_journal_filter){0}, &reader, &told)) {
    atomic_fetch_add(&bad, 1);
    return NULL;
  }
  for (uint64_t n = 1; n <= RECORDS;) {
    mc_err err = mc_journal_reader_next(reader, &r, &told);
    if (err == MC_ERR_END) {
      usleep(slow ? 20000 : 500);
    } else if (err || !is_record(&r, n++)) {
      printf("# record %llu: %s\n", (unsigned long long)n, err ? told.text : "another one");
      atomic_fetch_add(&bad, 1);
      break;
    }
    if (slow && n % 60 == 0)
      usleep(100000);
  }
  mc_journal_reader_destroy(&reader);
  return NULL;
}

static void test_readers_beside_the_writer_see_every_record(void)
{
  const char *dir = rig_fresh_dir();
  pthread_t thread[READERS];
  static int slow;
  shared = opened(dir, 4 * SEGMENT);
  for (int i = 0; i < READERS; i++)
    CHECK_INT(pthread_create(&thread[i], NULL, read_along, i == 0 ? &slow : NULL), 0);
  CHECK_OK(put(shared, 1, RECORDS)); /* 45 MiB */
  for (int i = 0; i < READERS; i++)
    pthread_join(thread[i], NULL);
  CHECK_INT(atomic_load(&bad), 0);
  mc_journal_close(&shared);
  CHECK_INT(good_on_disk(dir), RECORDS);
}

int main(void)
{
  RUN(test_the_file_holds_what_memory_holds);
  RUN(test_live_readers_read_from_memory_until_it_comes_round);
  RUN(test_large_groups_go_through_the_page_cache);
  RUN(test_segments_that_are_no_whole_pages_go_through_the_page_cache);
  RUN(test_readers_beside_the_writer_see_every_record);
  return tap_done();
}
