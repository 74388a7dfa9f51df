/* Policy documents: whatever parses must decide without crashing, and never for a hostile name. */
#include <stdlib.h>

#include "access/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_policy *p = NULL;
  mc_why why;
  if (mc_policy_parse(mc_slice_of(data, size), &p, &why) != MC_OK)
    return 0;
  mc_principal who = {.kind = MC_PRINCIPAL_SERVICE, .name = "svc"};
  for (int action = MC_ACTION_CONNECT; action <= MC_ACTION_RECEIVE; action++) {
    mc_policy_allows(p, &who, (mc_action)action, mc_slice_of(data, size));
    mc_policy_allows(p, &who, (mc_action)action, MC_LIT("a/b"));
    if (size > 12)
      mc_policy_allows(p, &who, (mc_action)action, mc_slice_of(data + 12, size - 12));
  }
  mc_policy_release(p);
  return 0;
}
