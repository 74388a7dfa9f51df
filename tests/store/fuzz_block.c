/* Any bytes as a block: an error or rows, never a bad access. The first three bytes choose kind and count. */
#include "store/block_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static store_row rows[BLOCK_ROWS];
  if (size < 3)
    return 0;
  mc_buf text = {0};
  uint32_t count = mc_load_le16(data + 1) % (BLOCK_ROWS + 2);
  store_block_decode(mc_slice_of(data + 3, size - 3), count, 0, 1, data[0] % 3, 0, rows, &text);
  mc_buf_free(&text);
  return 0;
}
