#include <stdatomic.h>

#include "base/file.h"
#include "journal/inside.h"
#include "journal_rig.h"

typedef struct sink {
  uint64_t records, commits, last_offset, first_ticket_seen;
  mc_err err;
  bool wrong;
} sink;

static void on_commit(void *ctx, const mc_commit *c)
{
  sink *s = ctx;
  size_t at = 0;
  mc_record r;
  s->err = c->err ? c->err : s->err;
  s->wrong |= c->first_ticket != s->records + 1;
  while (mc_commit_next(c, &at, &r)) {
    s->records++;
    s->wrong |= !c->err && r.offset <= s->last_offset && s->last_offset;
    s->last_offset = r.offset;
  }
  s->wrong |= s->records != c->first_ticket + c->count - 1;
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

static mc_err open_bench(bench *b, const mc_journal_config *config)
{
  *b = (bench){0};
  MC_TRY(mc_journal_open(config, &b->j, &b->why));
  MC_TRY(mc_loop_create(&b->loop, &b->why));
  return mc_journal_writer_create(b->j, b->loop, on_commit, &b->sink, &b->w);
}

static bool settle(bench *b, uint64_t records)
{
  int64_t give_up = mc_clock_mono_us() + 60000000; /* a busy machine is no failure */
  while (b->sink.records < records && mc_clock_mono_us() < give_up)
    mc_loop_turn(b->loop, 50);
  return b->sink.records == records;
}

static void close_bench(bench *b)
{
  mc_journal_writer_destroy(&b->w);
  mc_journal_close(&b->j);
  mc_loop_destroy(&b->loop);
}

static mc_err put(bench *b, uint64_t n)
{
  uint8_t payload[256];
  mc_record r = rig_record(payload, 1, n);
  return mc_journal_append(b->w, &r, NULL);
}

static mc_err put_many(bench *b, uint64_t first, uint64_t last)
{
  for (uint64_t n = first; n <= last; n++)
    MC_TRY(put(b, n));
  return MC_OK;
}

/* ---- writing and reading back ---- */

static void test_commits_in_order_and_reads_back_every_field(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(open_bench(&b, &config));
  uint8_t payload[256];
  mc_record full = rig_record(payload, 1, 1);
  full.props = MC_LIT("\x26\x00\x01k\x00\x01v");
  full.key_id = 77;
  full.tenant = 0xFFFFFFFF;
  full.flags = 0xFF;
  full.partition = 15;
  full.time_us = -5;
  uint64_t ticket;
  CHECK_OK(mc_journal_append(b.w, &full, &ticket));
  CHECK_INT(ticket, 1);
  CHECK_OK(put_many(&b, 2, 500));
  CHECK(settle(&b, 500));
  CHECK(!b.sink.wrong);
  CHECK_INT(b.sink.err, MC_OK);
  mc_journal_reader *reader;
  mc_record r;
  CHECK_OK(mc_journal_reader_create(b.j, 0, (mc_journal_filter){0}, &reader, &b.why));
  CHECK_OK(mc_journal_reader_next(reader, &r, &b.why));
  CHECK_INT(r.version, 1);
  CHECK_INT(r.key_id, 77);
  CHECK_INT(r.tenant, 0xFFFFFFFF);
  CHECK_INT(r.flags, 0xFF);
  CHECK_INT(r.partition, 15);
  CHECK_INT(r.time_us, -5);
  CHECK(mc_slice_eq(r.props, full.props) && mc_slice_eq(r.topic, full.topic) && mc_slice_eq(r.payload, full.payload));
  for (uint64_t n = 2; n <= 500; n++) {
    CHECK_OK(mc_journal_reader_next(reader, &r, &b.why));
    CHECK(rig_same(&r, 1, n));
  }
  CHECK_INT(r.offset, b.sink.last_offset);
  CHECK_INT(mc_journal_reader_next(reader, &r, &b.why), MC_ERR_END);
  CHECK_INT(mc_journal_reader_offset(reader), mc_journal_end_offset(b.j));
  mc_journal_reader_destroy(&reader);
  close_bench(&b);
}

static void test_the_start_of_a_segment_is_a_place_to_begin(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(put_many(&b, 1, 2000));
  CHECK(settle(&b, 2000));
  uint64_t end = mc_journal_end_offset(b.j), start, segments = 0, before = UINT64_MAX;
  for (uint64_t offset = 4; offset < end; offset += 1000) { /* never one that was handed out */
    mc_journal_reader *reader;
    mc_record r;
    CHECK_INT(mc_journal_reader_create(b.j, offset, (mc_journal_filter){0}, &reader, &b.why), MC_ERR_INVALID);
    CHECK_OK(mc_journal_segment_start(b.j, offset, &start, &b.why));
    CHECK(start <= offset && offset - start < config.segment_bytes);
    segments += start != before;
    before = start;
    CHECK_OK(mc_journal_reader_create(b.j, start, (mc_journal_filter){0}, &reader, &b.why));
    CHECK_OK(mc_journal_reader_next(reader, &r, &b.why));
    CHECK(r.offset > start && r.offset - start < 1024);
    mc_journal_reader_destroy(&reader);
  }
  CHECK(segments > 3);
  CHECK_INT(mc_journal_segment_start(b.j, end + ((uint64_t)1 << 40), &start, &b.why), MC_ERR_NOT_FOUND);
  close_bench(&b);
}

static void test_goes_on_behind_the_end_after_reopening(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  uint64_t end = 0;
  for (uint64_t round = 0; round < 5; round++) {
    CHECK_OK(open_bench(&b, &config));
    if (round)
      CHECK_INT(mc_journal_end_offset(b.j), end);
    CHECK_OK(put_many(&b, round * 200 + 1, round * 200 + 200));
    CHECK(settle(&b, 200));
    end = mc_journal_end_offset(b.j);
    close_bench(&b);
  }
  mc_journal_report report;
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &b.why));
  CHECK_INT(report.records, 1000);
  CHECK_INT(report.end_offset, end);
  CHECK(report.segments >= 3);
  CHECK(report.damaged_at == UINT64_MAX && !report.torn_tail);
  CHECK_INT(report.records_by_stream[MC_STREAM_MESSAGE] + report.records_by_stream[MC_STREAM_TELEMETRY], 1000);
}

static void test_append_sync_returns_the_offset_it_can_be_read_at(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(open_bench(&b, &config));
  uint64_t offset[20];
  uint8_t payload[256];
  for (int n = 0; n < 20; n++) {
    mc_record r = rig_record(payload, 3, (uint64_t)n);
    CHECK_OK(mc_journal_append_sync(b.j, &r, &offset[n], &b.why));
    CHECK(n == 0 || offset[n] > offset[n - 1]);
  }
  mc_buf bytes = {0};
  mc_record r;
  for (int n = 19; n >= 0; n--) {
    CHECK_OK(mc_journal_read_at(b.j, offset[n], &bytes, &r, &b.why));
    CHECK(rig_same(&r, 3, (uint64_t)n));
    CHECK_INT(r.offset, offset[n]);
  }
  CHECK_INT(mc_journal_read_at(b.j, offset[3] + 8, &bytes, &r, &b.why), MC_ERR_INVALID);
  CHECK_WHY(b.why, "no record begins at offset");
  CHECK_INT(mc_journal_read_at(b.j, offset[3] + 1, &bytes, &r, &b.why), MC_ERR_INVALID);
  CHECK_INT(mc_journal_read_at(b.j, mc_journal_end_offset(b.j), &bytes, &r, &b.why), MC_ERR_INVALID);
  CHECK_INT(mc_journal_read_at(b.j, UINT64_MAX, &bytes, &r, &b.why), MC_ERR_INVALID);
  mc_buf_free(&bytes);
  close_bench(&b);
}

static void test_takes_records_of_every_size_up_to_the_limit(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.segment_bytes = 0;
  config.max_staged_bytes = 64 << 20;
  CHECK_OK(open_bench(&b, &config));
  const size_t sizes[] = {0, 1, 7, 8, 32000, 33000, 255 << 10, 257 << 10, 5 << 20, MC_RECORD_MAX - MC_RECORD_HEADER};
  uint8_t *big = calloc(1, MC_RECORD_MAX);
  CHECK(big);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    mc_record r = {.stream = MC_STREAM_AUDIT, .payload = mc_slice_of(big, sizes[i])};
    big[0] = (uint8_t)i;
    CHECK_OK(mc_journal_append(b.w, &r, NULL));
  }
  CHECK(settle(&b, sizeof sizes / sizeof sizes[0]));
  CHECK(!b.sink.wrong && !b.sink.err);
  mc_journal_reader *reader;
  mc_record r;
  CHECK_OK(mc_journal_reader_create(b.j, 0, (mc_journal_filter){0}, &reader, &b.why));
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    CHECK_OK(mc_journal_reader_next(reader, &r, &b.why));
    CHECK_INT(r.payload.len, sizes[i]);
    CHECK(!sizes[i] || r.payload.data[0] == i);
  }
  mc_journal_reader_destroy(&reader);
  mc_record over = {.stream = MC_STREAM_AUDIT, .payload = mc_slice_of(big, MC_RECORD_MAX - MC_RECORD_HEADER + 1)};
  CHECK_INT(mc_journal_append(b.w, &over, NULL), MC_ERR_TOO_LARGE);
  CHECK_INT(mc_journal_append_sync(b.j, &over, NULL, &b.why), MC_ERR_TOO_LARGE);
  CHECK_WHY(b.why, "16 MiB");
  over = (mc_record){.stream = MC_STREAM_AUDIT, .topic = mc_slice_of(big, 65536)};
  CHECK_INT(mc_journal_append(b.w, &over, NULL), MC_ERR_TOO_LARGE);
  over = (mc_record){.stream = MC_STREAM_AUDIT, .props = mc_slice_of(big, 65536)};
  CHECK_INT(mc_journal_append(b.w, &over, NULL), MC_ERR_TOO_LARGE);
  close_bench(&b);
  free(big);
}

static void test_refuses_a_record_that_no_segment_can_hold(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.segment_bytes = 16384;
  CHECK_OK(open_bench(&b, &config));
  static uint8_t big[16384];
  size_t room = 16384 - MC_SEGMENT_HEADER - 2 * MC_GROUP_HEADER - MC_RECORD_HEADER;
  mc_record r = {.stream = MC_STREAM_AUDIT, .payload = mc_slice_of(big, room)};
  for (int i = 0; i < 5; i++)
    CHECK_OK(mc_journal_append(b.w, &r, NULL));
  r.payload.len++;
  CHECK_INT(mc_journal_append(b.w, &r, NULL), MC_ERR_TOO_LARGE);
  CHECK(settle(&b, 5));
  CHECK_INT(b.sink.err, MC_OK);
  close_bench(&b);
}

static void test_refuses_impossible_streams_and_partitions(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(open_bench(&b, &config));
  mc_record r = {.stream = 0};
  CHECK_INT(mc_journal_append(b.w, &r, NULL), MC_ERR_INVALID);
  r.stream = (mc_stream)16;
  CHECK_INT(mc_journal_append(b.w, &r, NULL), MC_ERR_INVALID);
  r = (mc_record){.stream = MC_STREAM_MESSAGE, .partition = MC_JOURNAL_PARTITIONS};
  CHECK_INT(mc_journal_append_sync(b.j, &r, NULL, &b.why), MC_ERR_INVALID);
  CHECK_WHY(b.why, "partition 16");
  close_bench(&b);
}

/* ---- a disk whose syncs wait until the test lets them go on ---- */

static atomic_int gate_shut;

static void at_the_gate(void *ctx)
{
  (void)ctx;
  while (atomic_load(&gate_shut))
    usleep(200);
}

static bool nothing_staged(mc_journal_writer *w)
{
  pthread_mutex_lock(&w->lock);
  bool nothing = !w->ready.head;
  pthread_mutex_unlock(&w->lock);
  return nothing;
}

/* A journal with one record on its way to the disk, and the disk held there: the committer has taken the record, and its sync will not come back. */
static mc_err open_gated(bench *b, mc_journal_config *config, mc_fs **fs)
{
  MC_TRY(mc_fs_fault_open(fs, &b->why));
  config->fs = *fs;
  MC_TRY(open_bench(b, config));
  mc_fs_fault_on_sync(*fs, at_the_gate, NULL);
  atomic_store(&gate_shut, 1);
  MC_TRY(put(b, 1));
  while (!nothing_staged(b->w))
    usleep(200);
  return MC_OK;
}

static void open_the_gate(void) { atomic_store(&gate_shut, 0); }

static void test_pushes_back_when_the_disk_is_behind(void)
{
  bench b;
  mc_fs *fs;
  mc_journal_config config = rig_config(NULL, rig_fresh_dir());
  config.max_staged_bytes = 4096;
  CHECK_OK(open_gated(&b, &config, &fs));
  mc_err err = MC_OK;
  uint64_t n = 1;
  while (!err && n < 1000)
    err = put(&b, ++n);
  open_the_gate();
  CHECK_INT(err, MC_ERR_FULL);
  CHECK(settle(&b, n - 1));
  CHECK_OK(put(&b, n));
  CHECK(settle(&b, n));
  CHECK(!b.sink.wrong && !b.sink.err);
  close_bench(&b);
  mc_fs_fault_close(&fs);
}

static void test_gathers_what_comes_during_a_sync_into_one_group(void)
{
  bench b;
  mc_fs *fs;
  mc_journal_config config = rig_config(NULL, rig_fresh_dir());
  CHECK_OK(open_gated(&b, &config, &fs));
  mc_err err = put_many(&b, 2, 50);
  open_the_gate();
  CHECK_OK(err);
  CHECK(settle(&b, 50));
  CHECK_INT(b.sink.commits, 2);
  close_bench(&b);
  mc_fs_fault_close(&fs);
}

static void test_close_commits_what_is_staged(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.group_wait_us = 5000000;
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(put_many(&b, 1, 300));
  mc_journal *j = b.j;
  mc_journal_close(&b.j);
  CHECK(settle(&b, 300)); /* the answers come after the close as well */
  CHECK_INT(b.sink.err, MC_OK);
  CHECK_INT(put(&b, 301), MC_ERR_CLOSED);
  (void)j;
  mc_journal_writer_destroy(&b.w);
  mc_loop_destroy(&b.loop);
  mc_journal_report report;
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &b.why));
  CHECK_INT(report.records, 300);
}

static const mc_commit *kept;
static void keep_commit(void *ctx, const mc_commit *c)
{
  kept = c;
  mc_commit_retain(c);
  on_commit(ctx, c);
}

static void test_a_commit_outlives_writer_and_journal(void)
{
  bench b = {0};
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(mc_journal_open(&config, &b.j, &b.why));
  CHECK_OK(mc_loop_create(&b.loop, &b.why));
  CHECK_OK(mc_journal_writer_create(b.j, b.loop, keep_commit, &b.sink, &b.w));
  CHECK_OK(put(&b, 9));
  CHECK(settle(&b, 1));
  close_bench(&b);
  size_t at = 0;
  mc_record r;
  CHECK(mc_commit_next(kept, &at, &r));
  CHECK(rig_same(&r, 1, 9));
  CHECK(!mc_commit_next(kept, &at, &r));
  mc_commit_release(kept);
}

/* ---- readers ---- */

static void test_filters_by_stream_and_partition(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(put_many(&b, 1, 480));
  CHECK(settle(&b, 480));
  const mc_journal_filter filter = {.streams = 1u << MC_STREAM_TELEMETRY, .partitions = 1u << 3 | 1u << 6};
  for (int offline = 0; offline < 2; offline++) {
    mc_journal_reader *reader;
    mc_record r;
    if (offline)
      CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, filter, &reader, &b.why));
    else
      CHECK_OK(mc_journal_reader_create(b.j, 0, filter, &reader, &b.why));
    int count = 0;
    while (!mc_journal_reader_next(reader, &r, &b.why)) {
      uint64_t n = rig_number(&r);
      CHECK(rig_same(&r, 1, n) && n % 3 == 0 && (n % 16 == 3 || n % 16 == 6));
      count++;
    }
    CHECK_INT(count, 20);
    mc_journal_reader_destroy(&reader);
  }
  close_bench(&b);
}

static void test_a_reader_starts_at_any_offset_that_was_handed_out(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.segment_bytes = 16384;
  config.group_wait_us = 2000;
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(put_many(&b, 1, 300));
  CHECK(settle(&b, 300));
  uint64_t begins[301], behind[301];
  mc_journal_reader *reader, *other;
  mc_record r;
  CHECK_OK(mc_journal_reader_create(b.j, 0, (mc_journal_filter){0}, &reader, &b.why));
  for (int n = 1; n <= 300; n++) {
    CHECK_OK(mc_journal_reader_next(reader, &r, &b.why));
    begins[n] = r.offset;
    behind[n] = mc_journal_reader_offset(reader);
  }
  mc_journal_reader_destroy(&reader);
  for (uint64_t n = 1; n <= 300; n++)
    for (int offline = 0; offline < 2; offline++) {
      for (int after = 0; after < 2; after++) {
        uint64_t at = after ? behind[n] : begins[n];
        if (offline)
          CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, at, (mc_journal_filter){0}, &other, &b.why));
        else
          CHECK_OK(mc_journal_reader_create(b.j, at, (mc_journal_filter){0}, &other, &b.why));
        mc_err err = mc_journal_reader_next(other, &r, &b.why);
        if (n + (uint64_t)after == 301)
          CHECK_INT(err, MC_ERR_END);
        else
          CHECK(!err && rig_same(&r, 1, n + (uint64_t)after));
        mc_journal_reader_destroy(&other);
      }
      uint64_t middle = begins[n] + 8;
      mc_err err = offline ? mc_journal_open_reader(mc_fs_posix(), rig_dir, middle, (mc_journal_filter){0}, &other, &b.why)
                           : mc_journal_reader_create(b.j, middle, (mc_journal_filter){0}, &other, &b.why);
      CHECK_INT(err, MC_ERR_INVALID);
      CHECK_WHY(b.why, "no record begins at offset");
    }
  CHECK_INT(mc_journal_reader_create(b.j, mc_journal_end_offset(b.j) + 8, (mc_journal_filter){0}, &other, &b.why), MC_ERR_INVALID);
  CHECK_WHY(b.why, "beyond the end");
  close_bench(&b);
}

static void test_an_offline_reader_follows_a_live_writer(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.segment_bytes = 16384;
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(put_many(&b, 1, 10));
  CHECK(settle(&b, 10));
  mc_journal_reader *all, *tail;
  mc_record r;
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, (mc_journal_filter){0}, &all, &b.why));
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, UINT64_MAX, (mc_journal_filter){0}, &tail, &b.why));
  CHECK_INT(mc_journal_reader_next(tail, &r, &b.why), MC_ERR_END);
  uint64_t next = 1, next_tail = 11;
  for (uint64_t n = 11; n <= 400; n += 13) {
    CHECK_OK(put_many(&b, n, n + 12));
    CHECK(settle(&b, n + 12));
    while (!mc_journal_reader_next(all, &r, &b.why))
      CHECK(rig_same(&r, 1, next++));
    while (!mc_journal_reader_next(tail, &r, &b.why))
      CHECK(rig_same(&r, 1, next_tail++));
    CHECK_INT(next, n + 13);
    CHECK_INT(next_tail, n + 13);
  }
  mc_journal_reader_destroy(&all);
  mc_journal_reader_destroy(&tail);
  close_bench(&b);
}

static void test_wait_tells_new_records_timeout_and_close(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(open_bench(&b, &config));
  uint64_t end = mc_journal_end_offset(b.j);
  CHECK_INT(mc_journal_wait(b.j, end, 20), MC_ERR_TIMEOUT);
  CHECK_OK(put(&b, 1));
  CHECK_INT(mc_journal_wait(b.j, end, 60000), MC_OK);
  CHECK(mc_journal_end_offset(b.j) > end);
  CHECK(settle(&b, 1));
  close_bench(&b);
}

/* ---- opening ---- */

static void test_only_one_process_may_open(void)
{
  mc_journal *a, *b;
  mc_why why = {0};
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(mc_journal_open(&config, &a, &why));
  CHECK_INT(mc_journal_open(&config, &b, &why), MC_ERR_CONFLICT);
  CHECK_WHY(why, "another process");
  CHECK(!b);
  mc_journal_close(&a);
  CHECK_OK(mc_journal_open(&config, &b, &why));
  mc_journal_close(&b);
}

static void test_refuses_configurations_that_cannot_work(void)
{
  mc_journal *j;
  mc_why why = {0};
  mc_journal_config config = rig_config(mc_fs_posix(), "");
  CHECK_INT(mc_journal_open(&config, &j, &why), MC_ERR_INVALID);
  config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.segment_bytes = 100;
  CHECK_INT(mc_journal_open(&config, &j, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "segment size 100");
  config.segment_bytes = 16385;
  CHECK_INT(mc_journal_open(&config, &j, &why), MC_ERR_INVALID);
  config = rig_config(mc_fs_posix(), "/proc/no/such/place");
  CHECK(mc_journal_open(&config, &j, &why) != MC_OK);
  CHECK_WHY(why, "/proc/no");
  mc_journal_report report;
  CHECK_INT(mc_journal_verify(mc_fs_posix(), "/nonexistent-folder", &report, &why), MC_ERR_NOT_FOUND);
  mc_journal_reader *reader;
  CHECK_INT(mc_journal_open_reader(mc_fs_posix(), "/nonexistent-folder", 0, (mc_journal_filter){0}, &reader, &why), MC_ERR_NOT_FOUND);
}

static void test_takes_another_segment_size_after_reopening(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  const uint64_t sizes[] = {16384, 65536, 32768, 1 << 20};
  for (uint64_t i = 0; i < 4; i++) {
    config.segment_bytes = sizes[i];
    CHECK_OK(open_bench(&b, &config));
    for (uint64_t n = 1; n <= 300; n += 20) {
      CHECK_OK(put_many(&b, i * 300 + n, i * 300 + n + 19));
      CHECK(settle(&b, n + 19));
    }
    close_bench(&b);
  }
  mc_journal_report report;
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &b.why));
  CHECK_INT(report.records, 1200);
  CHECK(report.damaged_at == UINT64_MAX && !report.torn_tail);
}

/* ---- consumers and retention ---- */

static void test_consumers_keep_their_offsets(void)
{
  bench b;
  uint64_t offset;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(open_bench(&b, &config));
  CHECK_INT(mc_journal_consumer_offset(b.j, "twin", &offset), MC_ERR_NOT_FOUND);
  CHECK_INT(offset, 0);
  CHECK_OK(put_many(&b, 1, 20));
  CHECK(settle(&b, 20));
  uint64_t end = mc_journal_end_offset(b.j);
  CHECK_OK(mc_journal_consumer_commit(b.j, "twin", end, &b.why));
  CHECK_OK(mc_journal_consumer_commit(b.j, "store-1", 64, &b.why));
  CHECK_OK(mc_journal_consumer_commit(b.j, "gone", 64, &b.why));
  CHECK_OK(mc_journal_consumer_remove(b.j, "gone", &b.why));
  CHECK_INT(mc_journal_consumer_remove(b.j, "gone", &b.why), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_journal_consumer_commit(b.j, "Twin", 64, &b.why), MC_ERR_INVALID);
  CHECK_INT(mc_journal_consumer_commit(b.j, "", 64, &b.why), MC_ERR_INVALID);
  CHECK_INT(mc_journal_consumer_commit(b.j, "a/b", 64, &b.why), MC_ERR_INVALID);
  char name[65] = {0};
  memset(name, 'a', 64);
  CHECK_INT(mc_journal_consumer_commit(b.j, name, 64, &b.why), MC_ERR_INVALID);
  CHECK_INT(mc_journal_consumer_commit(b.j, name + 1, 64, &b.why), MC_OK);
  CHECK_INT(mc_journal_consumer_commit(b.j, "twin", end + 8, &b.why), MC_ERR_INVALID);
  CHECK_WHY(b.why, "beyond the journal's end");
  close_bench(&b);
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(mc_journal_consumer_offset(b.j, "twin", &offset));
  CHECK_INT(offset, end);
  CHECK_OK(mc_journal_consumer_offset(b.j, "store-1", &offset));
  CHECK_INT(offset, 64);
  CHECK_INT(mc_journal_consumer_offset(b.j, "gone", &offset), MC_ERR_NOT_FOUND);
  close_bench(&b);
}

static void test_a_damaged_consumer_file_means_reading_again(void)
{
  bench b;
  uint64_t offset;
  char path[300];
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(mc_journal_consumer_commit(b.j, "twin", 64, &b.why));
  close_bench(&b);
  snprintf(path, sizeof path, "%s/consumers", rig_dir);
  mc_buf bytes = {0};
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 4096, &bytes, &b.why));
  bytes.data[bytes.len - 8] ^= 1;
  CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(&bytes), 0600, &b.why));
  mc_buf_free(&bytes);
  CHECK_OK(open_bench(&b, &config));
  CHECK_INT(mc_journal_consumer_offset(b.j, "twin", &offset), MC_ERR_NOT_FOUND);
  close_bench(&b);
}

static bool wait_first_above(mc_journal *j, uint64_t offset)
{
  for (int i = 0; i < 6000 && mc_journal_first_offset(j) <= offset; i++)
    usleep(10000);
  return mc_journal_first_offset(j) > offset;
}

static void test_retention_keeps_what_a_consumer_still_needs(void)
{
  bench b;
  mc_journal_config config = rig_config(mc_fs_posix(), rig_fresh_dir());
  config.segment_bytes = 16384;
  config.keep.bytes = 16384;
  config.group_wait_us = 1;
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(mc_journal_consumer_commit(b.j, "slow", 0, &b.why));
  mc_journal_reader *old;
  mc_record r;
  CHECK_OK(mc_journal_reader_create(b.j, 0, (mc_journal_filter){0}, &old, &b.why));
  uint64_t sent = 0;
  for (int i = 0; i < 100; i++) {
    CHECK_OK(put_many(&b, sent + 1, sent + 10));
    CHECK(settle(&b, sent += 10));
  }
  usleep(600000); /* the keeper had time for its chores */
  CHECK_INT(mc_journal_first_offset(b.j), 0);
  CHECK_OK(mc_journal_reader_next(old, &r, &b.why));
  CHECK(rig_same(&r, 1, 1));
  CHECK_OK(mc_journal_consumer_commit(b.j, "slow", mc_journal_end_offset(b.j), &b.why));
  CHECK(wait_first_above(b.j, 65536));
  CHECK(wait_first_above(b.j, mc_journal_end_offset(b.j) - 3 * 16384 - 1));
  CHECK(mc_journal_end_offset(b.j) - mc_journal_first_offset(b.j) <= 3 * 16384);
  for (int i = 0; i < 60; i++) { /* recycled files are written over */
    CHECK_OK(put_many(&b, sent + 1, sent + 10));
    CHECK(settle(&b, sent += 10));
  }
  mc_err err;
  uint64_t n = 1;
  while (!(err = mc_journal_reader_next(old, &r, &b.why)))
    CHECK(rig_same(&r, 1, ++n)); /* what its window still held is right */
  CHECK_INT(err, MC_ERR_NOT_FOUND);
  CHECK_WHY(b.why, "the oldest offset kept is");
  mc_journal_reader_destroy(&old);
  mc_journal_reader *reader;
  CHECK_INT(mc_journal_reader_create(b.j, 0, (mc_journal_filter){0}, &reader, &b.why), MC_ERR_NOT_FOUND);
  mc_buf bytes = {0};
  CHECK_INT(mc_journal_read_at(b.j, 120, &bytes, &r, &b.why), MC_ERR_NOT_FOUND);
  mc_buf_free(&bytes);
  CHECK_INT(mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, (mc_journal_filter){0}, &reader, &b.why), MC_ERR_NOT_FOUND);
  close_bench(&b);
  mc_journal_report report;
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &b.why));
  CHECK(report.first_offset > 0 && report.damaged_at == UINT64_MAX && !report.torn_tail);
  CHECK_OK(open_bench(&b, &config));
  CHECK_OK(put(&b, sent + 1));
  CHECK(settle(&b, 1));
  close_bench(&b);
}

static void test_partition_of_a_thing_never_changes(void)
{
  /* FNV-1a 64 modulo 16: these values are on disk for ever. */
  CHECK_INT(mc_journal_partition_of(MC_LIT("")), 0xcbf29ce484222325ULL % 16);
  CHECK_INT(mc_journal_partition_of(MC_LIT("a")), 0xaf63dc4c8601ec8cULL % 16);
  CHECK_INT(mc_journal_partition_of(MC_LIT("foobar")), 0x85944171f73967e8ULL % 16);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RIG_EACH_IO {
    RUN(test_commits_in_order_and_reads_back_every_field);
    RUN(test_the_start_of_a_segment_is_a_place_to_begin);
    RUN(test_goes_on_behind_the_end_after_reopening);
    RUN(test_append_sync_returns_the_offset_it_can_be_read_at);
    RUN(test_takes_records_of_every_size_up_to_the_limit);
    RUN(test_refuses_a_record_that_no_segment_can_hold);
    RUN(test_refuses_impossible_streams_and_partitions);
    RUN(test_pushes_back_when_the_disk_is_behind);
    RUN(test_gathers_what_comes_during_a_sync_into_one_group);
    RUN(test_close_commits_what_is_staged);
    RUN(test_a_commit_outlives_writer_and_journal);
    RUN(test_filters_by_stream_and_partition);
    RUN(test_a_reader_starts_at_any_offset_that_was_handed_out);
    RUN(test_an_offline_reader_follows_a_live_writer);
    RUN(test_wait_tells_new_records_timeout_and_close);
    RUN(test_only_one_process_may_open);
    RUN(test_refuses_configurations_that_cannot_work);
    RUN(test_takes_another_segment_size_after_reopening);
    RUN(test_consumers_keep_their_offsets);
    RUN(test_a_damaged_consumer_file_means_reading_again);
    RUN(test_retention_keeps_what_a_consumer_still_needs);
    RUN(test_partition_of_a_thing_never_changes);
  }
  rig_remove_all(rig_dir);
  return tap_done();
}
