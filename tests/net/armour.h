/* For fuzz targets: DER in its PEM armour, so that the fuzzer need not learn base64. */
#ifndef TESTS_NET_ARMOUR_H
#define TESTS_NET_ARMOUR_H

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/slice.h"

static inline void armour(const char *kind, mc_slice der, mc_buf *out)
{
  unsigned char *text = malloc(der.len / 3 * 4 + 8);
  if (!text)
    return;
  EVP_EncodeBlock(text, der.data, (int)der.len);
  if (mc_buf_printf(out, "-----BEGIN %s-----\n", kind))
    abort();
  for (char *at = (char *)text; *at;) { /* lines of 64, or OpenSSL refuses */
    size_t n = strlen(at) < 64 ? strlen(at) : 64;
    if (mc_buf_printf(out, "%.*s\n", (int)n, at))
      abort();
    at += n;
  }
  if (mc_buf_printf(out, "-----END %s-----\n", kind))
    abort();
  free(text);
}

#endif
