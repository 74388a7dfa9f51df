/* Any bytes as the journal's file of consumers: read, or set aside; the journal opens and no offset lies behind its end. Input: a mode byte,
 * then the file. Mode bit 0: journal id and checksum are made right. */
#include "base/crc32c.h"
#include "journal/journal.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 20000)
    return 0;
  const char *dir = scratch_folder("consumers");
  scratch_empty();
  uint8_t *copy = malloc(size);
  if (!copy)
    return 0;
  memcpy(copy, data + 1, size - 1);
  mc_journal_config config = {.fs = mc_fs_posix(), .dir = dir, .segment_bytes = 1 << 14, .journal_id = {0x0807060504030201, 0x100f0e0d0c0b0a09}};
  mc_journal *j;
  mc_why why;
  if ((data[0] & 1) && size - 1 >= 28) {
    memcpy(copy, "\1CNS", 4);
    mc_store_le64(copy + 8, config.journal_id[0]);
    mc_store_le64(copy + 16, config.journal_id[1]);
    mc_store_le32(copy + size - 5, mc_crc32c(0, copy, size - 5));
  }
  if (mc_journal_open(&config, &j, &why)) /* makes the first segment, which carries the id */
    abort();
  mc_journal_close(&j);
  scratch_write("consumers", mc_slice_of(copy, size - 1));
  free(copy);
  uint64_t offset;
  if (mc_journal_open(&config, &j, &why))
    abort(); /* a lost offset must never keep the platform from starting */
  mc_journal_consumer_offset(j, "decoder", &offset);
  if (offset > mc_journal_end_offset(j) || mc_journal_consumer_commit(j, "decoder", mc_journal_end_offset(j), &why))
    abort();
  mc_journal_close(&j);
  return 0;
}
