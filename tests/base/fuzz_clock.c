/* Any text as a time: refused, or a time that prints and reads back as the same millisecond. */
#include <stdlib.h>

#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  int64_t t, again;
  char text[MC_CLOCK_TEXT];
  if (mc_clock_parse_us(mc_slice_of(data, size), &t))
    return 0;
  mc_clock_format_us(t, text);
  int64_t ms = t / 1000 - (t % 1000 < 0);
  if (mc_clock_parse_us(mc_slice_str(text), &again) == MC_OK && again != ms * 1000)
    abort();
  return 0;
}
