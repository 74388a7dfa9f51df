/* Both messages of a SCRAM client: the first line is the first message, the second the last. Nothing gets in without the password. */
#include "access/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const uint8_t secret[32] = {7};
  static mc_scram_verifier v = {.iterations = 4096, .stored_key = {1, 2, 3}, .server_key = {4, 5, 6}};
  mc_slice in = mc_slice_of(data, size);
  size_t end = mc_slice_find(in, '\n', 0);
  mc_scram s;
  mc_why why;
  mc_buf out = {0};
  if (mc_scram_begin(&s, mc_slice_sub(in, 0, end), &why) == MC_OK && mc_scram_challenge(&s, size % 2 ? &v : NULL, secret, &out) == MC_OK) {
    if (s.nonce[0] && size % 3 == 0)
      strcpy(s.nonce, "abcdefgh"); /* so that the rest is reached */
    if (mc_scram_finish(&s, end < size ? mc_slice_sub(in, end + 1, SIZE_MAX) : (mc_slice){0}, &out, &why) == MC_OK)
      __builtin_trap();
  }
  mc_buf_free(&out);
  return 0;
}
