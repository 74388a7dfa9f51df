/* Any bytes as a segment file: an error that says why, or blocks that can be read. Input: a mode byte, then the file. Mode bit 0: the
 * sums of blocks, index and footer are made right first, so that the fuzzer gets behind them. */
#include "base/crc32c.h"
#include "scratch.h"
#include "store/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(uint8_t *p, size_t len)
{
  if (len < SEGMENT_HEADER + SEGMENT_FOOTER)
    return;
  uint8_t *foot = p + len - SEGMENT_FOOTER;
  uint64_t index = mc_load_le64(foot), room = len - SEGMENT_FOOTER;
  if (index <= room) {
    mc_store_le64(foot + 8, (room - index) / SEGMENT_ENTRY);
    for (uint64_t at = index; at + SEGMENT_ENTRY <= room; at += SEGMENT_ENTRY) {
      uint64_t offset = mc_load_le64(p + at + 32), bytes = mc_load_le32(p + at + 40);
      if (offset <= len && bytes <= len - offset)
        mc_store_le32(p + at + 52, mc_crc32c(0, p + offset, bytes));
    }
    mc_store_le32(foot + 24, mc_crc32c(0, p + index, room - index));
  }
  mc_store_le32(foot + 28, mc_crc32c(mc_crc32c(0, p, SEGMENT_HEADER), foot, 28));
}

static void read_all(store_segment *s)
{
  static store_row rows[BLOCK_ROWS];
  mc_buf text = {0}, scratch = {0};
  for (size_t i = 0; i < s->entries; i++) {
    const segment_entry *e = &s->entry[i];
    mc_why why = {0};
    mc_buf_clear(&text);
    mc_err err = segment_read(s, e, rows, &text, &scratch, &why);
    if (err && !why.text[0])
      abort();
    for (uint32_t k = 0; !err && k < e->rows && e->kind == MC_SAMPLE_STRING; k++)
      if ((rows[k].word & UINT32_MAX) + (rows[k].word >> 32) > text.len)
        abort(); /* a string outside the text that was read */
    if (segment_seek(s, e->tenant, e->vehicle, e->signal) > s->entries)
      abort();
  }
  mc_buf_free(&text);
  mc_buf_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char name[] = "00075bcd-0000000000000001.seg";
  if (size < 1 || size > 40000)
    return 0;
  const char *dir = scratch_folder("segment");
  uint8_t *copy = malloc(size);
  if (!copy)
    return 0;
  memcpy(copy, data + 1, size - 1);
  if (data[0] & 1)
    mend(copy, size - 1);
  scratch_write(name, mc_slice_of(copy, size - 1));
  free(copy);
  store_segment *s = NULL;
  mc_why why = {0};
  if (segment_open(mc_fs_posix(), dir, name, &s, &why)) {
    if (!why.text[0])
      abort(); /* a refusal without a reason */
    return 0;
  }
  read_all(s);
  segment_release(s);
  return 0;
}
