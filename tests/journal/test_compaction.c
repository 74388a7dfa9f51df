/* Retention by size, age and consumer, and what outlives its segment. */
#include "retention_rig.h"

/* Fills segments with what nobody keeps. */
static void fill(mc_journal *j, int records)
{
  static char text[1200];
  memset(text, 'x', sizeof text - 1);
  for (int i = 0; i < records; i++)
    if (put(j, "noise", text, 0, MC_STREAM_TELEMETRY, NULL))
      abort();
}

static bool first_passed(mc_journal *j, uint64_t offset) { return mc_journal_first_offset(j) > offset; }

static bool is_held(mc_journal *j, uint64_t bytes)
{
  mc_journal_state s;
  mc_journal_state_get(j, &s);
  return s.held_bytes >= bytes;
}

static bool lazy_holds(mc_journal *j, uint64_t arg)
{
  (void)arg;
  mc_journal_state s;
  mc_journal_state_get(j, &s);
  return !strcmp(s.held_by, "lazy");
}

static bool nobody_holds(mc_journal *j, uint64_t arg)
{
  (void)arg;
  mc_journal_state s;
  mc_journal_state_get(j, &s);
  return !s.held_bytes && !s.held_by[0];
}

static bool recycles(mc_journal *j, uint64_t arg)
{
  (void)arg;
  mc_journal_state s;
  mc_journal_state_get(j, &s);
  return s.recycles;
}

/* The retained state as a reader rebuilds it: "topic=text topic=text", sorted by offset of the last word. */
static const char *state_of(mc_journal_reader *reader)
{
  static char out[4096];
  static struct { char topic[32], text[64]; } seen[64];
  size_t n = 0;
  mc_record r;
  mc_err err;
  uint64_t last = 0;
  out[0] = 0;
  while (!(err = mc_journal_reader_next(reader, &r, &why))) {
    if (r.offset <= last)
      return "offsets do not grow";
    last = r.offset;
    if (!(r.flags & MC_RECORD_RETAIN))
      continue;
    size_t i = 0;
    while (i < n && !mc_slice_eq_str(r.topic, seen[i].topic))
      i++;
    if (i == n)
      n++;
    mc_slice_to_str(r.topic, seen[i].topic, sizeof seen[i].topic);
    mc_slice_to_str(r.payload, seen[i].text, sizeof seen[i].text);
  }
  if (err != MC_ERR_END)
    return why.text;
  for (size_t i = 0; i < n; i++)
    if (seen[i].text[0])
      snprintf(out + strlen(out), sizeof out - strlen(out), "%s=%s ", seen[i].topic, seen[i].text);
  return out;
}

static const char *live_state(mc_journal *j)
{
  mc_journal_reader *reader;
  if (mc_journal_reader_create(j, 0, (mc_journal_filter){.compacted = true}, &reader, &why))
    return why.text;
  const char *text = state_of(reader);
  mc_journal_reader_destroy(&reader);
  return text;
}

static const char *offline_state(const mc_fs *fs, const char *dir)
{
  mc_journal_reader *reader;
  if (mc_journal_open_reader(fs, dir, 0, (mc_journal_filter){.compacted = true}, &reader, &why))
    return why.text;
  const char *text = state_of(reader);
  mc_journal_reader_destroy(&reader);
  return text;
}

static void test_retained_messages_outlive_their_segments(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  config.keep.bytes = 32768;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  uint64_t offset[4];
  CHECK_OK(put(j, "a", "old", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, &offset[0]));
  CHECK_OK(put(j, "b", "gone", MC_RECORD_RETAIN, MC_STREAM_COMMAND, NULL));
  CHECK_OK(put(j, "a", "new", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, &offset[1]));
  CHECK_OK(put(j, "a", "passing", 0, MC_STREAM_MESSAGE, NULL));
  CHECK_OK(put(j, "b", "", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, &offset[2])); /* taken back by another stream */
  fill(j, 60);
  CHECK(until(first_passed, j, offset[2]));
  CHECK_STR(live_state(j), "a=new ");
  CHECK_OK(put(j, "c", "later", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, &offset[3]));
  CHECK_STR(live_state(j), "a=new c=later ");
  fill(j, 60);
  CHECK(until(first_passed, j, offset[3]));
  CHECK_STR(live_state(j), "a=new c=later ");
  CHECK_STR(offline_state(mc_fs_posix(), rig_dir), "a=new c=later ");
  mc_journal_state s;
  mc_journal_state_get(j, &s);
  CHECK_INT(s.compacted_records, 3); /* a, c, and the tombstone of b */
  mc_journal_reader *reader;
  mc_record r;
  CHECK_INT(mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why), MC_ERR_NOT_FOUND); /* who does not ask gets no gaps */
  CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){.compacted = true}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &r, &why));
  CHECK_INT(r.offset, offset[1]); /* records keep their offsets */
  uint64_t next = mc_journal_reader_offset(reader);
  mc_journal_reader_destroy(&reader);
  CHECK_OK(mc_journal_reader_create(j, next, (mc_journal_filter){.compacted = true}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &r, &why));
  CHECK_INT(r.offset, offset[2]);
  mc_journal_reader_destroy(&reader);
  mc_journal_close(&j);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  CHECK_STR(live_state(j), "a=new c=later ");
  mc_journal_close(&j);
}

/* A reader that goes on behind damage, as they all do, would never come to an end. */
static void test_a_damaged_head_of_the_compacted_file_is_told_once(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  config.keep.bytes = 32768;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  uint64_t offset;
  CHECK_OK(put(j, "a", "kept", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, &offset));
  fill(j, 60);
  CHECK(until(first_passed, j, offset));
  CHECK_STR(live_state(j), "a=kept ");
  mc_compacted *c;
  char path[MC_JOURNAL_PATH];
  CHECK_OK(mc_compacted_open(mc_fs_posix(), rig_dir, &c, &why));
  CHECK(c);
  snprintf(path, sizeof path, "%s", c->path);
  mc_compacted_close(&c);
  mc_file *file;
  CHECK_OK(mc_file_open(mc_fs_posix(), path, MC_FILE_WRITE, &file, &why));
  CHECK_OK(mc_file_pwrite(file, "?", 1, 40, &why));
  mc_file_close(&file);
  for (int live = 0; live < 2; live++) {
    mc_journal_reader *reader;
    mc_record r;
    mc_journal_filter filter = {.compacted = true};
    int damaged = 0, steps = 0;
    CHECK_OK(live ? mc_journal_reader_create(j, 0, filter, &reader, &why) : mc_journal_open_reader(mc_fs_posix(), rig_dir, 0, filter, &reader, &why));
    for (mc_err err = MC_OK; (!err || err == MC_ERR_CHECKSUM) && steps < 1000; steps++) {
      err = mc_journal_reader_next(reader, &r, &why);
      damaged += err == MC_ERR_CHECKSUM;
    }
    mc_journal_reader_destroy(&reader);
    CHECK_INT(damaged, 1);
    CHECK(steps > 2 && steps < 1000); /* what lies in the segments comes behind it */
  }
  mc_journal_close(&j);
  mc_journal_repair_report repaired;
  mc_journal_report report;
  CHECK_OK(mc_journal_repair(mc_fs_posix(), rig_dir, NULL, NULL, &repaired, &why));
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &why));
  CHECK(!report.compacted_damaged);
  CHECK_STR(offline_state(mc_fs_posix(), rig_dir), "a=kept ");
}

static void test_a_reader_that_retention_passes_goes_on_in_the_compacted_file(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  config.keep.bytes = 32768;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  uint64_t offset;
  CHECK_OK(put(j, "a", "1", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, NULL));
  mc_journal_reader *reader;
  mc_record r;
  CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){.compacted = true}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &r, &why));
  CHECK_OK(put(j, "b", "2", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, &offset));
  fill(j, 100);
  CHECK(until(first_passed, j, offset));
  bool found = false;
  mc_err err;
  while (!(err = mc_journal_reader_next(reader, &r, &why)))
    found |= mc_slice_eq_str(r.topic, "b");
  CHECK_INT(err, MC_ERR_END);
  CHECK(found);
  CHECK_INT(mc_journal_reader_offset(reader), mc_journal_end_offset(j));
  mc_journal_reader_destroy(&reader);
  mc_journal_close(&j);
}

static void test_keyed_streams_keep_the_last_record_of_a_topic(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  config.keep.bytes = 16384;
  config.keep.keyed_streams = 1u << MC_STREAM_REGISTRY;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  uint64_t last = 0;
  for (int i = 0; i < 50; i++)
    CHECK_OK(put(j, i % 2 ? "odd" : "even", i == 48 ? "e" : i == 49 ? "o" : "x", 0, MC_STREAM_REGISTRY, &last));
  fill(j, 60);
  CHECK(until(first_passed, j, last));
  mc_journal_reader *reader;
  mc_record r;
  CHECK_OK(mc_journal_reader_create(j, 0, (mc_journal_filter){.streams = 1u << MC_STREAM_REGISTRY, .compacted = true}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &r, &why));
  CHECK(mc_slice_eq_str(r.topic, "even") && mc_slice_eq_str(r.payload, "e"));
  CHECK_OK(mc_journal_reader_next(reader, &r, &why));
  CHECK(mc_slice_eq_str(r.topic, "odd") && mc_slice_eq_str(r.payload, "o"));
  CHECK_INT(mc_journal_reader_next(reader, &r, &why), MC_ERR_END);
  mc_journal_reader_destroy(&reader);
  mc_journal_close(&j);
}

static size_t count_of(mc_journal *j, mc_stream stream)
{
  mc_journal_reader *reader;
  mc_record r;
  size_t n = 0;
  if (mc_journal_reader_create(j, 0, (mc_journal_filter){.streams = 1u << stream, .compacted = true}, &reader, &why))
    return SIZE_MAX;
  while (!mc_journal_reader_next(reader, &r, &why))
    n++;
  mc_journal_reader_destroy(&reader);
  return n;
}

static void test_a_stream_may_live_longer_than_the_rest(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  config.keep.bytes = 16384;
  config.keep.stream_age_us[MC_STREAM_AUDIT] = 3600 * (int64_t)1000000;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  uint64_t last = 0;
  for (int i = 0; i < 40; i++)
    CHECK_OK(put(j, "who", "what", 0, MC_STREAM_AUDIT, &last));
  fill(j, 60);
  CHECK(until(first_passed, j, last));
  CHECK_INT(count_of(j, MC_STREAM_AUDIT), 40);
  atomic_fetch_add(&wall_ahead_us, 2 * 3600 * (int64_t)1000000);
  CHECK_OK(put(j, "who", "later", 0, MC_STREAM_AUDIT, &last)); /* the next compaction drops those that are too old */
  fill(j, 60);
  CHECK(until(first_passed, j, last));
  CHECK_INT(count_of(j, MC_STREAM_AUDIT), 1);
  mc_journal_close(&j);
  atomic_store(&wall_ahead_us, 0);
}

static void test_tombstones_go_after_their_age(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  config.keep.bytes = 16384;
  config.keep.tombstone_us = 3600 * (int64_t)1000000;
  uint64_t last;
  mc_journal_state s;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  CHECK_OK(put(j, "a", "1", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, NULL));
  CHECK_OK(put(j, "a", "", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, &last));
  fill(j, 60);
  CHECK(until(first_passed, j, last));
  mc_journal_state_get(j, &s);
  CHECK_INT(s.compacted_records, 1);
  atomic_fetch_add(&wall_ahead_us, 2 * 3600 * (int64_t)1000000);
  CHECK_OK(put(j, "b", "2", MC_RECORD_RETAIN, MC_STREAM_MESSAGE, &last));
  fill(j, 60);
  CHECK(until(first_passed, j, last));
  mc_journal_state_get(j, &s);
  CHECK_INT(s.compacted_records, 1);
  CHECK_STR(live_state(j), "b=2 ");
  mc_journal_close(&j);
  atomic_store(&wall_ahead_us, 0);
}

static void test_age_removes_old_segments_and_clock_jumps_do_not(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  config.keep.age_us = 3600 * (int64_t)1000000;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  fill(j, 40);
  atomic_fetch_add(&wall_ahead_us, 86400 * (int64_t)1000000); /* a day ahead, and nothing is lost by it */
  CHECK(!within(100000, first_passed, j, 0)); /* the keeper looks at it a hundred times meanwhile */
  atomic_store(&wall_ahead_us, 0);
  atomic_fetch_add(&mono_ahead_us, 2 * 3600 * (int64_t)1000000); /* two hours pass */
  CHECK(until(first_passed, j, 0));
  mc_journal_close(&j);
  atomic_store(&mono_ahead_us, 0);
}

static void test_age_is_known_of_segments_of_an_earlier_run(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  CHECK_OK(mc_journal_open(&config, &j, &why));
  fill(j, 40);
  mc_journal_close(&j);
  config.keep.age_us = 3600 * (int64_t)1000000;
  atomic_fetch_add(&wall_ahead_us, 2 * 3600 * (int64_t)1000000);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  CHECK(until(first_passed, j, 0));
  mc_journal_close(&j);
  atomic_store(&wall_ahead_us, 0);
}

static void test_a_consumer_that_holds_retention_back_is_named(void)
{
  mc_journal *j;
  mc_journal_config config = small(mc_fs_posix(), rig_fresh_dir());
  config.keep.bytes = 16384;
  CHECK_OK(mc_journal_open(&config, &j, &why));
  CHECK_OK(mc_journal_consumer_commit(j, "quick", 0, &why));
  CHECK_OK(mc_journal_consumer_commit(j, "lazy", 0, &why));
  fill(j, 60);
  CHECK_OK(mc_journal_consumer_commit(j, "quick", mc_journal_end_offset(j), &why));
  CHECK(until(is_held, j, 32768));
  CHECK(until(lazy_holds, j, 0));
  mc_journal_state s;
  mc_journal_state_get(j, &s);
  CHECK_INT(s.first_offset, 0);
  CHECK(!s.recycles); /* it grows */
  CHECK_OK(mc_journal_consumer_commit(j, "lazy", mc_journal_end_offset(j), &why));
  CHECK(until(first_passed, j, 0));
  CHECK(until(nobody_holds, j, 0));
  CHECK(until(recycles, j, 0));
  uint64_t room = 0;
  CHECK_OK(mc_journal_room(j, &room));
  CHECK(room > 0);
  mc_journal_close(&j);
}

/* ---- the file ---- */

static const char *golden_path(void)
{
  return MC_SOURCE_DIR "/tests/journal/golden_compacted/0000000000010000.mck";
}

static mc_buf golden_bytes(void)
{
  mc_buf out = {0};
  uint8_t bytes[MC_COMPACTED_HEADER + 2 * 256] = {0};
  size_t at = MC_COMPACTED_HEADER;
  mc_record r[2] = {{.stream = MC_STREAM_MESSAGE, .flags = MC_RECORD_RETAIN | MC_RECORD_QOS1, .tenant = 1, .principal = 7,
                     .time_us = 1700000000000000, .topic = MC_LIT("a/b"), .payload = MC_LIT("kept")},
                    {.stream = MC_STREAM_COMMAND, .flags = MC_RECORD_RETAIN, .tenant = 2, .time_us = 1700000000000001, .topic = MC_LIT("c")}};
  for (int i = 0; i < 2; i++) {
    uint32_t size = 0;
    mc_record_size(&r[i], &size);
    mc_entry_head_put(bytes + at, i ? 0xFF00 : 120);
    mc_record_put(bytes + at + MC_ENTRY_HEAD, size, &r[i]);
    at += MC_ENTRY_HEAD + size;
  }
  mc_compacted_header h = {.cover = 0x10000, .bytes = at - MC_COMPACTED_HEADER, .records = 2, .made_us = 1700000000000002};
  memset(h.id, 0x5A, sizeof h.id);
  mc_compacted_header_put(bytes, &h);
  mc_buf_append(&out, bytes, at);
  return out;
}

static void test_reads_the_golden_compacted_file_and_writes_it_again_byte_for_byte(void)
{
  mc_buf ours = golden_bytes(), golden = {0};
  if (getenv("MC_WRITE_GOLDEN"))
    CHECK_OK(mc_fs_replace(mc_fs_posix(), golden_path(), mc_buf_slice(&ours), 0644, &why));
  CHECK_OK(mc_fs_read(mc_fs_posix(), golden_path(), 1 << 20, &golden, &why));
  CHECK(mc_slice_eq(mc_buf_slice(&golden), mc_buf_slice(&ours)));
  mc_compacted *c;
  mc_record r;
  CHECK_OK(mc_compacted_open(mc_fs_posix(), MC_SOURCE_DIR "/tests/journal/golden_compacted", &c, &why));
  CHECK_INT(c->h.cover, 0x10000);
  CHECK_INT(c->h.records, 2);
  CHECK_OK(mc_compacted_next(c, &r, &why));
  CHECK_INT(r.offset, 120);
  CHECK(mc_slice_eq_str(r.payload, "kept") && r.principal == 7);
  CHECK_OK(mc_compacted_next(c, &r, &why));
  CHECK_INT(r.offset, 0xFF00);
  CHECK_INT(mc_compacted_next(c, &r, &why), MC_ERR_END);
  mc_compacted_close(&c);
  mc_buf_free(&ours);
  mc_buf_free(&golden);
}

/* Every byte turned once: what is handed out is what was written, the rest is told as damage. */
static void test_no_damage_to_a_compacted_file_invents_a_record(void)
{
  const char *dir = rig_fresh_dir();
  char path[600];
  mc_buf whole = golden_bytes();
  CHECK_OK(mc_fs_mkdirs(mc_fs_posix(), dir, &why));
  mc_compacted_path(dir, 0x10000, path, sizeof path);
  for (size_t at = 0; at < whole.len; at++) {
    whole.data[at] ^= 0x10;
    CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(&whole), 0600, &why));
    whole.data[at] ^= 0x10;
    mc_compacted *c;
    mc_record r;
    mc_err err = mc_compacted_open(mc_fs_posix(), dir, &c, &why);
    if (at < MC_COMPACTED_HEADER) {
      CHECK_INT(err, MC_ERR_CHECKSUM);
      continue;
    }
    CHECK_OK(err);
    int damaged = 0, whole_records = 0;
    while ((err = mc_compacted_next(c, &r, &why)) != MC_ERR_END) {
      damaged += err == MC_ERR_CHECKSUM || err == MC_ERR_UNSUPPORTED;
      whole_records += !err && (r.offset == 120 ? mc_slice_eq_str(r.payload, "kept") : r.offset == 0xFF00 && !r.payload.len);
      if (err == MC_ERR_UNSUPPORTED)
        break;
    }
    CHECK(damaged == 1 && whole_records <= 1);
    mc_compacted_close(&c);
  }
  mc_buf_free(&whole);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  mc_clock_set_source(turned_wall, turned_mono);
  RUN(test_retained_messages_outlive_their_segments);
  RUN(test_a_damaged_head_of_the_compacted_file_is_told_once);
  RUN(test_a_reader_that_retention_passes_goes_on_in_the_compacted_file);
  RUN(test_keyed_streams_keep_the_last_record_of_a_topic);
  RUN(test_a_stream_may_live_longer_than_the_rest);
  RUN(test_tombstones_go_after_their_age);
  RUN(test_age_removes_old_segments_and_clock_jumps_do_not);
  RUN(test_age_is_known_of_segments_of_an_earlier_run);
  RUN(test_a_consumer_that_holds_retention_back_is_named);
  RUN(test_reads_the_golden_compacted_file_and_writes_it_again_byte_for_byte);
  RUN(test_no_damage_to_a_compacted_file_invents_a_record);
  rig_remove_all(rig_dir);
  return tap_done();
}
