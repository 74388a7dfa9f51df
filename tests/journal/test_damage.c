/* Torn tails, flipped bits, bytes that no sync covered: what recovery keeps, what verify and readers tell. */
#include <time.h>

#include "base/crc32c.h"
#include "journal/format.h"
#include "journal_rig.h"

enum { SMALL = 16384 };

static int64_t frozen_wall(void) { return 1700000000000000; }
static int64_t real_mono(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static mc_journal_config fixed(const mc_fs *fs, const char *dir)
{
  mc_journal_config c = rig_config(fs, dir);
  c.segment_bytes = SMALL;
  c.journal_id[0] = 0x1122334455667788;
  c.journal_id[1] = 0x99AABBCCDDEEFF00;
  return c;
}

/* A journal of `count` groups with one record each; offset[n] is where record n begins. */
static mc_err make_journal(const mc_fs *fs, const char *dir, uint64_t count, uint64_t *offset, mc_why *why)
{
  mc_journal *j;
  mc_journal_config config = fixed(fs, dir);
  MC_TRY(mc_journal_open(&config, &j, why));
  mc_err err = MC_OK;
  for (uint64_t n = 1; n <= count && !err; n++) {
    uint8_t payload[256];
    mc_record r = rig_record(payload, 5, n);
    err = mc_journal_append_sync(j, &r, &offset[n], why);
  }
  mc_journal_close(&j);
  return err;
}

static void first_segment(char *path, size_t size)
{
  snprintf(path, size, "%s/0000000000000000.mcj", rig_dir);
}

static mc_err load(mc_buf *out)
{
  char path[300];
  first_segment(path, sizeof path);
  mc_buf_clear(out);
  return mc_fs_read(mc_fs_posix(), path, 1 << 20, out, NULL);
}

/* Writes the bytes over the only segment and drops what was prepared behind it. */
static mc_err store(mc_slice bytes)
{
  char path[300];
  first_segment(path, sizeof path);
  mc_file *file;
  MC_TRY(mc_file_open(mc_fs_posix(), path, MC_FILE_WRITE, &file, NULL));
  mc_err err = mc_file_pwrite(file, bytes.data, bytes.len, 0, NULL);
  mc_file_close(&file);
  return err;
}

/* Records read back until the end; counts the damages told on the way. */
static uint64_t read_all(mc_journal *j, uint64_t *damages, bool *right)
{
  mc_journal_reader *reader;
  mc_record r;
  mc_why why;
  uint64_t count = 0, last = 0;
  *damages = 0;
  *right = !mc_journal_reader_create(j, 0, (mc_journal_filter){0}, &reader, &why);
  for (mc_err err = MC_OK; *right && err != MC_ERR_END;) {
    err = mc_journal_reader_next(reader, &r, &why);
    if (err == MC_ERR_CHECKSUM)
      (*damages)++;
    else if (err && err != MC_ERR_END)
      *right = false;
    else if (!err) {
      *right = rig_number(&r) > last && rig_same(&r, 5, rig_number(&r));
      last = rig_number(&r);
      count++;
    }
  }
  mc_journal_reader_destroy(&reader);
  return count;
}

static void test_a_tail_torn_at_any_byte_is_cut_and_written_over(void)
{
  uint64_t offset[32];
  mc_why why = {0};
  mc_buf whole = {0}, torn = {0};
  CHECK_OK(make_journal(mc_fs_posix(), rig_fresh_dir(), 12, offset, &why));
  CHECK_OK(load(&whole));
  CHECK_OK(mc_buf_append_slice(&torn, mc_buf_slice(&whole)));
  uint64_t begin = offset[12] - MC_GROUP_HEADER;
  uint32_t size;
  mc_record r;
  CHECK_OK(mc_record_get(mc_slice_sub(mc_buf_slice(&whole), offset[12], whole.len), &r, &size));
  for (uint64_t cut = begin; cut < offset[12] + size; cut++) {
    for (int stale = 0; stale < 2; stale++) {
      memcpy(torn.data, whole.data, whole.len);
      memset(torn.data + cut, stale ? 0xA5 : 0, offset[12] + size - cut);
      bool changed = memcmp(torn.data, whole.data, whole.len) != 0; /* the padding is zero as it is */
      CHECK_OK(store(mc_buf_slice(&torn)));
      mc_journal_report report;
      CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &why));
      CHECK_INT(report.records, changed ? 11 : 12);
      CHECK(report.damaged_at == UINT64_MAX);
      mc_journal *j;
      mc_journal_config config = fixed(mc_fs_posix(), rig_dir);
      CHECK_OK(mc_journal_open(&config, &j, &why));
      CHECK_INT(mc_journal_end_offset(j), changed ? begin : offset[12] + size);
      uint64_t damages;
      bool right;
      CHECK_INT(read_all(j, &damages, &right), changed ? 11 : 12);
      CHECK(right && !damages);
      uint8_t payload[256];
      mc_record again = rig_record(payload, 5, 13);
      uint64_t at;
      CHECK_OK(mc_journal_append_sync(j, &again, &at, &why));
      CHECK_INT(at, changed ? offset[12] : offset[12] + size + MC_GROUP_HEADER);
      mc_journal_close(&j);
    }
  }
  mc_buf_free(&whole);
  mc_buf_free(&torn);
}

static void test_verify_names_the_offset_of_every_flipped_bit(void)
{
  uint64_t offset[32];
  mc_why why = {0};
  mc_buf bytes = {0};
  CHECK_OK(make_journal(mc_fs_posix(), rig_fresh_dir(), 12, offset, &why));
  CHECK_OK(load(&bytes));
  offset[13] = bytes.len; /* not begun */
  uint32_t last_size;
  mc_record r;
  CHECK_OK(mc_record_get(mc_slice_sub(mc_buf_slice(&bytes), offset[12], bytes.len), &r, &last_size));
  uint64_t end = offset[12] + last_size;
  for (uint64_t at = 0; at < end; at++) {
    uint8_t bit = (uint8_t)(1u << at % 8);
    bytes.data[at] ^= bit;
    CHECK_OK(store(mc_buf_slice(&bytes)));
    mc_journal_report report;
    mc_err err = mc_journal_verify(mc_fs_posix(), rig_dir, &report, &why);
    uint64_t n = 12;
    while (n > 1 && offset[n] - MC_GROUP_HEADER > at)
      n--;
    if (at == 0 && err == MC_ERR_UNSUPPORTED)
      continue;
    if (err)
      TAP_FAIL("flip at %llu: verify: %s", (unsigned long long)at, why.text);
    bool told = at < MC_SEGMENT_HEADER ? report.damaged_at == 0
                : n == 12             ? report.torn_tail && report.end_offset == offset[12] - MC_GROUP_HEADER
                                      : report.damaged_at == offset[n] - MC_GROUP_HEADER;
    if (!told)
      TAP_FAIL("flip at %llu in group %llu: damaged_at %lld, torn %d, end %llu", (unsigned long long)at, (unsigned long long)n,
               (long long)report.damaged_at, report.torn_tail, (unsigned long long)report.end_offset);
    if (at >= MC_SEGMENT_HEADER && n < 12) {
      char text[64];
      snprintf(text, sizeof text, "offset %llu", (unsigned long long)report.damaged_at);
      CHECK_WHY(why, text);
      CHECK_INT(report.records, 11);
    }
    bytes.data[at] ^= bit;
  }
  mc_buf_free(&bytes);
}

static void test_damage_in_the_middle_cuts_nothing_that_was_acknowledged(void)
{
  uint64_t offset[32];
  mc_why why = {0};
  mc_buf bytes = {0};
  CHECK_OK(make_journal(mc_fs_posix(), rig_fresh_dir(), 12, offset, &why));
  CHECK_OK(load(&bytes));
  memset(bytes.data + offset[5] - MC_GROUP_HEADER, 0, 80); /* a lost sector: not even a header is left */
  bytes.data[offset[9] + 50] ^= 4;
  CHECK_OK(store(mc_buf_slice(&bytes)));
  mc_buf_free(&bytes);
  mc_journal *j;
  mc_journal_config config = fixed(mc_fs_posix(), rig_dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  CHECK(mc_journal_end_offset(j) > offset[12]);
  uint64_t damages;
  bool right;
  CHECK_INT(read_all(j, &damages, &right), 10);
  CHECK(right);
  CHECK_INT(damages, 2);
  mc_journal_reader *reader;
  mc_record r;
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), rig_dir, offset[8], (mc_journal_filter){0}, &reader, &why));
  CHECK_OK(mc_journal_reader_next(reader, &r, &why));
  CHECK_INT(mc_journal_reader_next(reader, &r, &why), MC_ERR_CHECKSUM);
  char text[64];
  snprintf(text, sizeof text, "damaged at offset %llu", (unsigned long long)(offset[9] - MC_GROUP_HEADER));
  CHECK_WHY(why, text);
  CHECK_OK(mc_journal_reader_next(reader, &r, &why));
  CHECK_INT(rig_number(&r), 10);
  mc_journal_reader_destroy(&reader);
  mc_buf one = {0};
  CHECK_INT(mc_journal_read_at(j, offset[9], &one, &r, &why), MC_ERR_CHECKSUM);
  CHECK_OK(mc_journal_read_at(j, offset[10], &one, &r, &why));
  mc_buf_free(&one);
  mc_journal_close(&j);
}

static void test_stale_groups_in_a_recycled_file_do_not_count(void)
{
  /* Groups written for another place stand behind the end, whole and with right sums: only their offset is wrong. */
  uint64_t offset[32];
  mc_why why = {0};
  mc_buf bytes = {0};
  CHECK_OK(make_journal(mc_fs_posix(), rig_fresh_dir(), 12, offset, &why));
  CHECK_OK(load(&bytes));
  uint64_t end = mc_load_le32(bytes.data + offset[12] - 16) + offset[12];
  uint64_t from = offset[3] - MC_GROUP_HEADER;
  memcpy(bytes.data + end, bytes.data + from, offset[6] - MC_GROUP_HEADER - from);
  CHECK_OK(store(mc_buf_slice(&bytes)));
  mc_journal_report report;
  CHECK_OK(mc_journal_verify(mc_fs_posix(), rig_dir, &report, &why));
  CHECK_INT(report.records, 12);
  CHECK_INT(report.end_offset, end);
  CHECK(!report.torn_tail && report.damaged_at == UINT64_MAX);
  mc_journal *j;
  mc_journal_config config = fixed(mc_fs_posix(), rig_dir);
  CHECK_OK(mc_journal_open(&config, &j, &why));
  CHECK_INT(mc_journal_end_offset(j), end);
  mc_journal_close(&j);
  mc_buf_free(&bytes);
}

static void test_a_group_that_readers_saw_after_a_kill_survives_a_power_cut(void)
{
  /* The process before was killed between write and sync: the group is in memory only. Opening must make it durable. */
  for (uint64_t seed = 1; seed <= 12; seed++) {
    uint64_t offset[32];
    mc_why why = {0};
    mc_fs *fs;
    mc_journal *j;
    CHECK_OK(mc_fs_fault_open(&fs, &why));
    CHECK_OK(make_journal(fs, rig_fresh_dir(), 3, offset, &why));
    uint8_t payload[256], group[400] = {0};
    mc_record r = rig_record(payload, 5, 4);
    uint32_t size;
    CHECK_OK(mc_record_size(&r, &size));
    char path[300];
    first_segment(path, sizeof path);
    mc_buf bytes = {0};
    CHECK_OK(load(&bytes));
    uint64_t end = mc_load_le32(bytes.data + offset[3] - 16) + offset[3];
    mc_group_header h;
    CHECK_OK(mc_group_header_get(bytes.data + offset[3] - MC_GROUP_HEADER, &h));
    mc_buf_free(&bytes);
    mc_record_put(group + MC_GROUP_HEADER, size, &r);
    h.offset = end;
    h.length = size;
    h.payload_crc = mc_crc32c(0, group + MC_GROUP_HEADER, size);
    mc_group_header_put(group, &h);
    mc_file *file;
    CHECK_OK(mc_file_open(fs, path, MC_FILE_WRITE, &file, &why));
    CHECK_OK(mc_file_pwrite(file, group, MC_GROUP_HEADER + size, end, &why));
    mc_file_close(&file);
    mc_journal_config config = fixed(fs, rig_dir);
    CHECK_OK(mc_journal_open(&config, &j, &why));
    uint64_t damages;
    bool right;
    CHECK_INT(read_all(j, &damages, &right), 4);
    mc_fs_fault_arm(fs, 1, MC_FAULT_POWER_CUT);
    mc_journal_close(&j);
    CHECK_OK(mc_fs_fault_recover(fs, seed, &why));
    CHECK_OK(mc_journal_open(&config, &j, &why));
    CHECK_INT(read_all(j, &damages, &right), 4);
    mc_journal_close(&j);
    mc_fs_fault_close(&fs);
  }
}

static void test_refuses_a_segment_of_another_journal(void)
{
  uint64_t offset[8];
  mc_why why = {0};
  CHECK_OK(make_journal(mc_fs_posix(), rig_fresh_dir(), 3, offset, &why));
  char path[300];
  snprintf(path, sizeof path, "%s/0000000000004000.mcj", rig_dir);
  uint8_t header[MC_SEGMENT_HEADER];
  mc_segment_header h = {.first = SMALL, .id = {9, 9, 9}, .size = SMALL};
  mc_segment_header_put(header, &h);
  CHECK_OK(mc_fs_replace(mc_fs_posix(), path, mc_slice_of(header, sizeof header), 0600, &why));
  mc_journal *j;
  mc_journal_config config = fixed(mc_fs_posix(), rig_dir);
  CHECK_INT(mc_journal_open(&config, &j, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "belongs to another journal");
  CHECK(!j);
}

static void test_refuses_a_journal_of_a_later_version(void)
{
  uint64_t offset[8];
  mc_why why = {0};
  mc_buf bytes = {0};
  CHECK_OK(make_journal(mc_fs_posix(), rig_fresh_dir(), 3, offset, &why));
  CHECK_OK(load(&bytes));
  bytes.data[offset[3] - MC_GROUP_HEADER] = 2;
  mc_store_le32(bytes.data + offset[3] - 4, mc_crc32c(0, bytes.data + offset[3] - MC_GROUP_HEADER, 52));
  CHECK_OK(store(mc_buf_slice(&bytes)));
  mc_journal *j;
  mc_journal_config config = fixed(mc_fs_posix(), rig_dir);
  CHECK_INT(mc_journal_open(&config, &j, &why), MC_ERR_UNSUPPORTED);
  CHECK_WHY(why, "later version");
  bytes.data[0] = 2;
  mc_store_le32(bytes.data + 60, mc_crc32c(0, bytes.data, 60));
  CHECK_OK(store(mc_buf_slice(&bytes)));
  CHECK_INT(mc_journal_open(&config, &j, &why), MC_ERR_UNSUPPORTED);
  mc_buf_free(&bytes);
}

/* ---- golden ---- */

/* `golden` was written before groups told what they hold, `golden_summary` after; both are read for ever. */
#define GOLDEN_OLD MC_SOURCE_DIR "/tests/journal/golden"
#define GOLDEN_NOW MC_SOURCE_DIR "/tests/journal/golden_summary"

static mc_err write_golden(const char *dir, mc_why *why)
{
  mc_journal *j;
  mc_journal_config config = fixed(mc_fs_posix(), dir);
  mc_clock_set_source(frozen_wall, real_mono);
  mc_err err = mc_journal_open(&config, &j, why);
  for (uint64_t n = 1; n <= 12 && !err; n++) {
    uint8_t payload[256];
    mc_record r = rig_record(payload, 5, n);
    if (n % 4 == 0)
      r.props = MC_LIT("\x26\x00\x03key\x00\x05value");
    if (n == 7)
      r.key_id = 42;
    err = mc_journal_append_sync(j, &r, NULL, why);
  }
  mc_journal_close(&j);
  mc_clock_set_source(NULL, NULL);
  return err;
}

static void read_golden(const char *dir)
{
  mc_why why = {0};
  mc_buf golden = {0};
  mc_journal_reader *reader;
  mc_record r;
  char path[600];
  snprintf(path, sizeof path, "%s/0000000000000000.mcj", dir);
  CHECK_OK(mc_fs_read(mc_fs_posix(), path, 1 << 20, &golden, &why));
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), dir, 0, (mc_journal_filter){0}, &reader, &why));
  for (uint64_t n = 1; n <= 12; n++) {
    CHECK_OK(mc_journal_reader_next(reader, &r, &why));
    CHECK_INT(rig_number(&r), n);
    CHECK_INT(r.key_id, n == 7 ? 42 : 0);
    CHECK_INT(r.props.len, n % 4 ? 0 : 13);
    CHECK_INT(r.time_us, (int64_t)(1700000000000000 + n));
    uint32_t size;
    CHECK_OK(mc_record_size(&r, &size));
    uint8_t again[512];
    mc_record_put(again, size, &r);
    CHECK(!memcmp(again, golden.data + r.offset, size));
  }
  CHECK_INT(mc_journal_reader_next(reader, &r, &why), MC_ERR_END);
  mc_journal_reader_destroy(&reader);
  CHECK_OK(mc_journal_open_reader(mc_fs_posix(), dir, 0, (mc_journal_filter){.streams = 1u << MC_STREAM_TELEMETRY}, &reader, &why));
  for (uint64_t n = 3; n <= 12; n += 3) { /* a filter finds the same, whether it can step over groups or not */
    CHECK_OK(mc_journal_reader_next(reader, &r, &why));
    CHECK_INT(rig_number(&r), n);
  }
  CHECK_INT(mc_journal_reader_next(reader, &r, &why), MC_ERR_END);
  mc_journal_reader_destroy(&reader);
  mc_buf_free(&golden);
}

static void test_reads_the_golden_segments(void)
{
  read_golden(GOLDEN_OLD);
  read_golden(GOLDEN_NOW);
}

static void test_writes_the_golden_segment_again_byte_for_byte(void)
{
  mc_why why = {0};
  mc_buf golden = {0}, ours = {0};
  CHECK_OK(write_golden(rig_fresh_dir(), &why));
  CHECK_OK(load(&ours));
  if (getenv("MC_WRITE_GOLDEN")) /* once, when the format gets a new version */
    CHECK_OK(mc_fs_replace(mc_fs_posix(), GOLDEN_NOW "/0000000000000000.mcj", mc_buf_slice(&ours), 0644, &why));
  CHECK_OK(mc_fs_read(mc_fs_posix(), GOLDEN_NOW "/0000000000000000.mcj", 1 << 20, &golden, &why));
  CHECK(mc_slice_eq(mc_buf_slice(&golden), mc_buf_slice(&ours)));
  mc_buf_free(&ours);
  mc_buf_free(&golden);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_tail_torn_at_any_byte_is_cut_and_written_over);
  RUN(test_verify_names_the_offset_of_every_flipped_bit);
  RUN(test_damage_in_the_middle_cuts_nothing_that_was_acknowledged);
  RUN(test_stale_groups_in_a_recycled_file_do_not_count);
  RUN(test_a_group_that_readers_saw_after_a_kill_survives_a_power_cut);
  RUN(test_refuses_a_segment_of_another_journal);
  RUN(test_refuses_a_journal_of_a_later_version);
  RUN(test_reads_the_golden_segments);
  RUN(test_writes_the_golden_segment_again_byte_for_byte);
  rig_remove_all(rig_dir);
  return tap_done();
}
