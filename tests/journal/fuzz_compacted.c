/* Any bytes as the compacted file beside one whole, empty segment: readers give records in the order of their offsets or tell the damage, and after a
 * repair there is none. Input: a mode byte, then the file. Mode bit 0: the sums of its header and entries are made right first. */
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "journal/compacted.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t id[MC_JOURNAL_ID] = {1, 2, 3};
enum { COVER = 0x10000 };

static void mend(uint8_t *p, size_t len)
{
  if (len < MC_COMPACTED_HEADER)
    return;
  mc_compacted_header h = {.cover = COVER, .bytes = (len - MC_COMPACTED_HEADER) & ~(size_t)7, .records = mc_load_le64(p + 40)};
  memcpy(h.id, id, sizeof id);
  mc_compacted_header_put(p, &h);
  for (size_t at = MC_COMPACTED_HEADER; at + MC_ENTRY_HEAD + MC_RECORD_HEADER <= len;) {
    uint8_t *record = p + at + MC_ENTRY_HEAD;
    uint32_t size;
    mc_entry_head_put(p + at, mc_load_le64(p + at + 8) % COVER);
    if (mc_record_peek(mc_slice_of(record, len - at - MC_ENTRY_HEAD), &size) || size > len - at - MC_ENTRY_HEAD)
      break;
    mc_store_le32(record + 8, 0);
    mc_store_le32(record + 8, mc_crc32c(0, record, size));
    at += MC_ENTRY_HEAD + size;
  }
}

static void drain(mc_journal_reader *r, size_t limit)
{
  mc_record rec;
  mc_why why;
  uint64_t last = 0, sum = 0;
  size_t steps = 0;
  bool any = false;
  for (mc_err err = MC_OK; !err || err == MC_ERR_CHECKSUM;) {
    err = mc_journal_reader_next(r, &rec, &why);
    if (!err && any && rec.offset <= last)
      abort(); /* out of order */
    if (!err) {
      any = true;
      last = rec.offset;
      sum += mc_slice_fnv1a(rec.topic) + mc_slice_fnv1a(rec.props) + mc_slice_fnv1a(rec.payload);
    }
    if (++steps > limit)
      abort(); /* it does not come to an end */
  }
  (void)sum;
  mc_journal_reader_destroy(&r);
}

static void look(const char *dir, size_t size)
{
  mc_journal *j;
  mc_journal_reader *r;
  mc_why why;
  mc_journal_filter filter = {.compacted = true};
  if (!mc_journal_open_reader(mc_fs_posix(), dir, 0, filter, &r, &why))
    drain(r, size + 1000);
  mc_journal_config config = {.fs = mc_fs_posix(), .dir = dir, .segment_bytes = MC_SEGMENT_MIN};
  if (mc_journal_open(&config, &j, &why))
    return;
  if (!mc_journal_reader_create(j, 0, filter, &r, &why))
    drain(r, size + 1000);
  mc_journal_close(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  uint8_t segment[MC_SEGMENT_HEADER];
  mc_segment_header h = {.first = COVER, .size = MC_SEGMENT_MIN};
  mc_journal_report report;
  mc_journal_repair_report repaired;
  mc_why why = {0};
  if (size < 1 || size > 30000)
    return 0;
  const char *dir = scratch_folder("compacted");
  scratch_empty();
  uint8_t *copy = malloc(size);
  if (!copy)
    return 0;
  memcpy(copy, data + 1, size - 1);
  if (data[0] & 1)
    mend(copy, size - 1);
  memcpy(h.id, id, sizeof id);
  mc_segment_header_put(segment, &h);
  scratch_write("0000000000010000.mcj", mc_slice_of(segment, sizeof segment));
  scratch_write("0000000000010000.mck", mc_slice_of(copy, size - 1));
  free(copy);
  mc_err err = mc_journal_verify(mc_fs_posix(), dir, &report, &why);
  if (err && !why.text[0])
    abort();
  look(dir, size);
  err = mc_journal_repair(mc_fs_posix(), dir, NULL, NULL, &repaired, &why);
  if (err && !why.text[0])
    abort();
  if (!err && (mc_journal_verify(mc_fs_posix(), dir, &report, &why) || report.compacted_damaged || report.damaged_at != UINT64_MAX)) {
    fprintf(stderr, "damaged behind a repair: %s\n", why.text);
    abort();
  }
  look(dir, size);
  return 0;
}
