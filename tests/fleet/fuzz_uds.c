/* UDS reports as a vehicle sends them, and codes: what is taken has the form of a code, and can be described. */
#include <stdlib.h>

#include "fleet/fleet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *code)
{
  char again[MC_DTC_TEXT];
  mc_buf text = {0};
  if (mc_dtc_normal(mc_slice_str(code), again) || strcmp(code, again) != 0 || mc_dtc_describe(code, &text) || !text.len || !mc_dtc_system(code)[0])
    abort();
  mc_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(4 << 20);
  mc_uds_ecu *ecu;
  size_t count;
  uint32_t bad;
  mc_why why = {0};
  char code[MC_DTC_TEXT];
  mc_slice in = mc_slice_of(data, size);
  if (mc_dtc_normal(in, code) == MC_OK)
    check(code);
  if (mc_dtc_of_uds(in, code) == MC_OK)
    check(code);
  mc_uds_is_report(in);
  if (mc_uds_read(in, &arena, &ecu, &count, &bad, &why)) {
    if (!why.text[0])
      abort();
    return 0;
  }
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < ecu[i].count; k++)
      check(ecu[i].code[k].code);
  return 0;
}
