/* Any bytes as what came first on a TLS port: a verdict that more bytes never turn back. */
#include "net/hello.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_err verdict = MC_ERR_AGAIN;
  for (size_t n = 0; n <= size && n <= MC_HELLO_MAX; n++) {
    mc_err now = mc_hello_check(mc_slice_of(data, n));
    if (now != MC_OK && now != MC_ERR_AGAIN && now != MC_ERR_MALFORMED && now != MC_ERR_TOO_LARGE)
      abort();
    if (verdict == MC_OK && now != MC_OK)
      abort();
    if (verdict == MC_ERR_MALFORMED && now != MC_ERR_MALFORMED)
      abort();
    verdict = now;
  }
  return 0;
}
