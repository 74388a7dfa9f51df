/* Any bytes as the store's manifest, beside one good segment: an error that says why, or a store that takes and gives rows. Input: a mode
 * byte, then the file. Mode bit 0: the right checksum line is put behind it. */
#include "base/crc32c.h"
#include "scratch.h"
#include "store/segment.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void good_segment(const char *dir)
{
  segment_builder b = {0};
  store_row row = {.time_us = 5 * HOUR_US + 1, .kind = MC_SAMPLE_RAW};
  store_segment *s;
  mc_why why;
  if (segment_builder_begin(&b, 5) || segment_builder_add(&b, 1, 2, 3, &row, 1, (mc_slice){0}) ||
      segment_builder_finish(&b, mc_fs_posix(), dir, 1, &s, &why))
    abort();
  segment_release(s);
  segment_builder_free(&b);
}

static bool count_page(void *ctx, const mc_samples *page)
{
  *(uint64_t *)ctx += page->count;
  return true;
}

/* What opened must work: a row goes in and comes out, and stays over a restart. */
static void use(const char *dir)
{
  mc_store_config config = {.fs = mc_fs_posix(), .dir = dir};
  mc_block_builder b = {0};
  mc_store *s;
  mc_why why = {0};
  uint64_t rows = 0;
  if (mc_store_open(&config, &s, &why)) {
    if (!why.text[0])
      abort();
    return;
  }
  if (mc_store_offset(s) < UINT64_MAX - 100 && !mc_block_builder_add(&b, 7, 8, 0, 9 * HOUR_US, MC_SAMPLE_RAW, 0, (mc_sample_value){.raw = 4})) {
    mc_block block = mc_block_builder_view(&b);
    block.tenant = 6;
    block.journal_offset = mc_store_offset(s);
    block.next_offset = block.journal_offset + 10;
    if (mc_store_append(s, &block, &why) || mc_store_scan(s, 6, 7, 8, 0, 10 * HOUR_US, count_page, &rows, &why) || rows != 1)
      abort();
  }
  mc_block_builder_free(&b);
  mc_store_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 20000)
    return 0;
  const char *dir = scratch_folder("manifest");
  scratch_empty();
  good_segment(dir);
  mc_buf text = {0};
  mc_store_stats stats;
  mc_why why = {0};
  if (!mc_buf_append(&text, data + 1, size - 1) && (!(data[0] & 1) || !mc_buf_printf(&text, "crc %08x\n", mc_crc32c(0, data + 1, size - 1))))
    scratch_write("manifest", mc_buf_slice(&text));
  mc_buf_free(&text);
  if (mc_store_verify(mc_fs_posix(), dir, &stats, &why) && !why.text[0])
    abort(); /* a refusal without a reason */
  use(dir);
  return 0;
}
