/* Snappy: any block is expanded or refused within the limit; any bytes survive packing and expanding. */
#include <stdlib.h>

#include "format/fleetwise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  enum { LIMIT = 1 << 20 };
  mc_slice in = mc_slice_of(data, size);
  mc_buf out = {0}, packed = {0}, back = {0};
  mc_err err = mc_snappy_expand(in, LIMIT, &out);
  if (out.len > LIMIT || (err && out.len))
    abort();
  if (mc_snappy_compress(in, &packed) || mc_snappy_expand(mc_buf_slice(&packed), size, &back) || !mc_slice_eq(mc_buf_slice(&back), in))
    abort();
  mc_buf_free(&out);
  mc_buf_free(&packed);
  mc_buf_free(&back);
  return 0;
}
