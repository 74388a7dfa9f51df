/* Any text as a number or as UTF-8: what is taken as a whole number is the same as a double. */
#include <math.h>
#include <stdlib.h>

#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_slice s = mc_slice_of(data, size);
  uint64_t u;
  int64_t i;
  double d;
  char text[16];
  mc_slice_is_utf8(s);
  mc_slice_trim(s);
  mc_slice_to_str(s, text, sizeof text);
  bool whole = mc_slice_to_u64(s, &u) == MC_OK, number = mc_slice_to_double(s, &d) == MC_OK;
  if (number && !isfinite(d))
    abort();
  if (whole && number && d != (double)u)
    abort();
  if (mc_slice_to_i64(s, &i) == MC_OK && i >= 0 && whole && (uint64_t)i != u)
    abort();
  return 0;
}
