#include "signal/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_catalog c;
  mc_why why = {0};
  if (mc_catalog_read_vss_json(mc_slice_of(data, size), &c, &why)) {
    if (!why.text[0])
      __builtin_trap();
    return 0;
  }
  for (size_t i = 0; i < c.node.len; i++)
    if (mc_catalog_find(&c, c.node.at[i].fqn) == NULL)
      __builtin_trap();
  mc_catalog_free(&c);
  return 0;
}
