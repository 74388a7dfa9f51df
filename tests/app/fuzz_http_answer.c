/* Any bytes as the server's answer to a command: JSON, nothing, or an error that says why. */
#include <stdlib.h>

#include "app/motorcade/http_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  json_t *reply = NULL;
  mc_why why = {0};
  /* behind an exact copy nothing may be read: the answer is not terminated */
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy)
    return 0;
  memcpy(copy, data, size);
  mc_err err = http_call_read_answer(mc_slice_of(copy, size), &reply, &why);
  if (err && (reply || !why.text[0] || !mc_slice_is_utf8(mc_slice_str(why.text))))
    abort();
  json_decref(reply);
  free(copy);
  return 0;
}
