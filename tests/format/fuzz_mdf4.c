#include "format/mdf4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_mdf4 *m;
  mc_bus_frame f;
  mc_why why = {0};
  if (mc_mdf4_open(mc_slice_of(data, size), "fuzz.mf4", &m, &why)) {
    if (m || !why.text[0])
      __builtin_trap();
    return 0;
  }
  for (int i = 0; i < 100000 && !mc_mdf4_next(m, &f, &why); i++)
    if (f.len > 64 || f.id > 0x1FFFFFFF)
      __builtin_trap();
  mc_mdf4_close(&m);
  return 0;
}
