/* Bodies against every described schema: whatever JSON comes, a verdict and a path come back. */
#include <jansson.h>

#include "api/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static api_patterns *patterns;
  if (!patterns && patterns_create(&patterns))
    return 0;
  json_t *value = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
  if (!value)
    return 0;
  for (size_t i = 0; i < api_operation_count; i++) {
    char field[160];
    mc_why why = {0};
    if (api_operation_table[i].body && schema_check(patterns, api_operation_table[i].body, value, field, sizeof field, &why) && !why.text[0])
      __builtin_trap(); /* a refusal without a reason */
  }
  json_decref(value);
  return 0;
}
