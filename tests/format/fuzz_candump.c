#include "format/candump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_candump_reader r = mc_candump_reader_of(mc_slice_of(data, size));
  mc_bus_frame f, again;
  mc_why why;
  mc_err err;
  while ((err = mc_candump_next(&r, &f, &why)) != MC_ERR_END) {
    char out[400];
    if (err)
      continue;
    size_t n = mc_candump_format(&f, out, sizeof out);
    if (f.channel_name.len > 40)
      continue; /* the name is not kept then */
    if (n == 0 || mc_candump_line(mc_slice_of(out, n), 1, &again, &why) || again.id != f.id || again.len != f.len ||
        again.time_us != f.time_us || memcmp(again.data, f.data, 64) != 0)
      __builtin_trap(); /* what was read can be written and read again */
  }
  return 0;
}
