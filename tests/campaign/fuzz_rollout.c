/* Any bytes are a roll-out that can be judged, or refused with a reason. */
#include <stdlib.h>

#include "campaign/rollout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)16 << 20);
  mc_why why = {0};
  rollout r;
  char text[200];
  mc_err err = rollout_read(mc_slice_of(data, size), &arena, &r, &why);
  if (err && !why.text[0])
    abort(); /* a refusal says why */
  if (err)
    return 0;
  rollout_tally t = {.reached = size, .sent = size, .refused = size / 2, .silent = size / 3};
  (void)rollout_judge(&r, MC_CAMPAIGN_FIRST, &t, 1, text, sizeof text);
  if (!rollout_reaches(&r, MC_CAMPAIGN_REST, MC_LIT("c"), mc_slice_of(data, size < 20 ? size : 20)))
    abort();
  return 0;
}
