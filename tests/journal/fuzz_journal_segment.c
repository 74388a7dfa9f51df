/* Arbitrary bytes as a segment: open, verify, readers and read_at refuse or read them, and never more than that; after a repair nothing is damaged.
 * Input: one mode byte, then the file's bytes. Mode bit 0: the sums of headers are made right first, so that the fuzzer
 * gets behind them; bit 1: a whole second segment follows. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "journal/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t id[MC_JOURNAL_ID] = {1, 2, 3};

/* Gives every header and record in the bytes its right sum, place and journal. */
static void mend(uint8_t *p, size_t len)
{
  if (len >= MC_SEGMENT_HEADER && p[1] == 'S') {
    memcpy(p + 16, id, sizeof id);
    mc_store_le32(p + 60, mc_crc32c(0, p, 60));
  }
  for (size_t at = MC_SEGMENT_HEADER; at + MC_GROUP_HEADER <= len;) {
    uint8_t *g = p + at;
    if (memcmp(g + 1, "GRP", 3) && memcmp(g + 1, "END", 3))
      break;
    uint32_t length = mc_load_le32(g + 40);
    size_t left = len - at - MC_GROUP_HEADER;
    for (size_t r = 0; r + MC_RECORD_HEADER <= length && r + MC_RECORD_HEADER <= left;) {
      uint8_t *rec = g + MC_GROUP_HEADER + r;
      uint32_t rec_size;
      if (mc_record_peek(mc_slice_of(rec, left - r), &rec_size) || rec_size > left - r)
        break;
      mc_store_le32(rec + 8, 0);
      mc_store_le32(rec + 8, mc_crc32c(0, rec, rec_size));
      r += rec_size;
    }
    mc_store_le64(g + 8, at);
    memcpy(g + 16, id, sizeof id);
    if (length <= left)
      mc_store_le32(g + 44, mc_crc32c(0, g + MC_GROUP_HEADER, length));
    mc_store_le32(g + 52, mc_crc32c(0, g, 52));
    if (length > left)
      break;
    at += MC_GROUP_HEADER + length;
  }
}

static void write_file(const char *dir, const char *name, const uint8_t *data, size_t len)
{
  char path[300];
  mc_file *file;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  if (mc_file_open(mc_fs_posix(), path, MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &file, NULL))
    abort();
  if (mc_file_pwrite(file, data, len, 0, NULL))
    abort();
  mc_file_close(&file);
}

static mc_err remove_one(void *ctx, const char *name)
{
  char path[600];
  snprintf(path, sizeof path, "%s/%s", (const char *)ctx, name);
  return mc_fs_unlink(mc_fs_posix(), path, NULL);
}

/* Every record that is handed out is touched to its last byte. */
static uint64_t drain(mc_journal_reader *r, uint64_t limit)
{
  mc_record rec;
  mc_why why;
  uint64_t sum = 0, steps = 0;
  for (mc_err err = MC_OK; !err || err == MC_ERR_CHECKSUM;) {
    err = mc_journal_reader_next(r, &rec, &why);
    if (!err)
      sum += mc_slice_fnv1a(rec.topic) + mc_slice_fnv1a(rec.props) + mc_slice_fnv1a(rec.payload) + rec.offset;
    if (++steps > limit)
      abort(); /* it does not come to an end */
  }
  return sum;
}

static void repair(const char *dir)
{
  mc_journal_repair_report repaired;
  mc_journal_report report;
  mc_why why = {0};
  if (mc_journal_repair(mc_fs_posix(), dir, NULL, NULL, &repaired, &why))
    return;
  if (mc_journal_verify(mc_fs_posix(), dir, &report, &why) || report.damaged_at != UINT64_MAX) {
    fprintf(stderr, "damaged behind a repair: %s\n", why.text);
    abort();
  }
}

static void use(const char *dir, size_t size)
{
  mc_journal_report report;
  mc_journal_reader *r;
  mc_journal *j;
  mc_record rec;
  mc_why why;
  mc_buf bytes = {0};
  mc_journal_verify(mc_fs_posix(), dir, &report, &why);
  for (uint64_t at = 0; at < 400; at += 40)
    if (!mc_journal_open_reader(mc_fs_posix(), dir, at, (mc_journal_filter){0}, &r, &why)) {
      drain(r, size + 1000);
      mc_journal_reader_destroy(&r);
    }
  mc_journal_config config = {.fs = mc_fs_posix(), .dir = dir, .segment_bytes = MC_SEGMENT_MIN};
  if (mc_journal_open(&config, &j, &why))
    return;
  if (!mc_journal_reader_create(j, mc_journal_first_offset(j), (mc_journal_filter){0}, &r, &why)) {
    drain(r, size + 1000);
    mc_journal_reader_destroy(&r);
  }
  for (uint64_t at = 0; at < 400; at += 8)
    mc_journal_read_at(j, at, &bytes, &rec, &why);
  rec = (mc_record){.stream = MC_STREAM_AUDIT, .payload = MC_LIT("after")};
  uint64_t offset;
  if (!mc_journal_append_sync(j, &rec, &offset, &why) && mc_journal_read_at(j, offset, &bytes, &rec, &why))
    abort(); /* what was taken must be readable */
  mc_buf_free(&bytes);
  mc_journal_close(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static char dir[200];
  if (!size || size > 40000)
    return 0;
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  const char *base = getenv("TMPDIR");
  snprintf(dir, sizeof dir, "%s/mc-fuzz-journal-%d", base && *base ? base : "/tmp", (int)getpid());
  mc_fs_mkdirs(mc_fs_posix(), dir, NULL);
  mc_fs_list(mc_fs_posix(), dir, remove_one, dir, NULL);
  uint8_t *copy = malloc(size);
  if (!copy)
    return 0;
  memcpy(copy, data + 1, size - 1);
  if (data[0] & 1)
    mend(copy, size - 1);
  write_file(dir, "0000000000000000.mcj", copy, size - 1);
  if (data[0] & 2) {
    uint8_t next[MC_SEGMENT_HEADER + MC_GROUP_HEADER] = {0};
    mc_segment_header h = {.first = MC_SEGMENT_MIN, .size = MC_SEGMENT_MIN};
    memcpy(h.id, id, sizeof id);
    mc_segment_header_put(next, &h);
    write_file(dir, "0000000000004000.mcj", next, sizeof next);
  }
  use(dir, size);
  mc_fs_list(mc_fs_posix(), dir, remove_one, dir, NULL); /* the same again, as it came */
  write_file(dir, "0000000000000000.mcj", copy, size - 1);
  free(copy);
  repair(dir);
  use(dir, size);
  mc_fs_list(mc_fs_posix(), dir, remove_one, dir, NULL);
  rmdir(dir);
  return 0;
}
