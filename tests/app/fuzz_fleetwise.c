/* Answers of somebody's command line: any bytes are read, checked, or refused with a reason. */
#include "app/motorcade/fleetwise_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fleetwise_bundle b;
  mc_why why = {0};
  if (fleetwise_bundle_begin(&b))
    abort();
  mc_err err = fleetwise_bundle_read_text(&b, "fuzz", mc_slice_of(data, size), &why);
  if (err && !why.text[0])
    abort(); /* a refusal says why */
  (void)fleetwise_bundle_check(&b);
  fleetwise_bundle_free(&b);
  return 0;
}
