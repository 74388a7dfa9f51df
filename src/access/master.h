/* access-internal: what a kind of master key does. */
#ifndef MC_ACCESS_MASTER_H
#define MC_ACCESS_MASTER_H

#include "access/seal.h"

typedef struct mc_master_kind {
  mc_err (*wrap)(mc_master *m, mc_slice what, const uint8_t key[MC_KEY_BYTES], uint8_t out[MC_WRAPPED_BYTES], mc_why *why);
  mc_err (*unwrap)(mc_master *m, mc_slice what, const uint8_t wrapped[MC_WRAPPED_BYTES], uint8_t key[MC_KEY_BYTES], mc_why *why);
  void (*close)(mc_master *m);
} mc_master_kind;

struct mc_master {
  const mc_master_kind *kind;
};

/* master_pkcs11.c; uri: "pkcs11:..." */
mc_err mc_master_open_pkcs11(const char *uri, mc_master **out, mc_why *why);

#endif
