/* access: SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side. What is stored cannot be used to sign in, and the password never travels.
 *
 * User names and passwords are printable ASCII here (RFC 4013 leaves those unchanged), so no preparation is needed. Channel binding is not offered.
 * Pure: no storage, no clock. An exchange belongs to one thread. */
#ifndef MC_ACCESS_SCRAM_H
#define MC_ACCESS_SCRAM_H

#include "base/err.h"
#include "base/slice.h"

enum { MC_SCRAM_HASH = 32, MC_SCRAM_SALT = 16, MC_SCRAM_ITERATIONS = 10000 /* RFC 7677: at least 4,096 */, MC_SCRAM_NAME = 128 };
#define MC_SCRAM_METHOD "SCRAM-SHA-256"

typedef struct mc_scram_verifier {
  uint32_t iterations;
  uint8_t salt[MC_SCRAM_SALT], stored_key[MC_SCRAM_HASH], server_key[MC_SCRAM_HASH];
} mc_scram_verifier;
/* 12 to 256 printable ASCII characters, else MC_ERR_INVALID with the rule. About 5 ms. */
mc_err mc_scram_verifier_make(mc_slice password, mc_scram_verifier *out, mc_why *why);
/* The same from a password that was sent in the clear; constant time. About 5 ms. */
bool mc_scram_verifier_check(const mc_scram_verifier *v, mc_slice password);

typedef struct mc_scram {
  mc_scram_verifier verifier;
  bool known;
  char name[MC_SCRAM_NAME + 1];
  char client_first_bare[512], server_first[256], nonce[160];
  char gs2[160];
} mc_scram;
/* client-first-message. Fills name; the caller looks the verifier up and calls mc_scram_challenge. MC_ERR_MALFORMED, MC_ERR_UNSUPPORTED (channel binding asked
 * for), MC_ERR_TOO_LARGE. */
mc_err mc_scram_begin(mc_scram *s, mc_slice client_first, mc_why *why);
/* server-first-message. verifier NULL: nobody has this name; the exchange goes on with a salt made from secret and name, so that names cannot be found
 * out, and fails at the end. */
mc_err mc_scram_challenge(mc_scram *s, const mc_scram_verifier *verifier, const uint8_t secret[32], mc_buf *server_first);
/* client-final-message. MC_OK appends the server-final-message: the client proved that it knows the password. MC_ERR_UNAUTHENTICATED else. */
mc_err mc_scram_finish(mc_scram *s, mc_slice client_final, mc_buf *server_final, mc_why *why);

#endif
