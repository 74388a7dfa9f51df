/* Any text as a stored password: read or not, never beyond its end. The source is compiled in, because the check behind the public
 * function takes 50 ms of scrypt whatever the text is. */
#include <stdlib.h>

#include "access/secret.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  uint8_t salt[SALT], hash[HASH];
  char text[160], salt64[24], hash64[44];
  mc_slice in = mc_slice_of(data, size);
  if (!read_stored(in, salt, hash))
    return 0;
  encode64(salt, SALT, salt64);
  encode64(hash, HASH, hash64);
  snprintf(text, sizeof text, "scrypt$%d$%d$%d$%s$%s", COST_N, COST_R, COST_P, salt64, hash64);
  if (!mc_slice_eq_str(in, text))
    abort(); /* one hash, one text */
  return 0;
}
