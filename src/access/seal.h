/* access: enciphering what lies on disk. A master key, held outside of the data folder, wraps data keys; data keys seal payloads.
 *
 * Everything is AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce, by OpenSSL; with a PKCS#11 token the master key never leaves it.
 * Thread-safe unless said. Keys in memory are wiped before they are freed. */
#ifndef MC_ACCESS_SEAL_H
#define MC_ACCESS_SEAL_H

#include "base/err.h"
#include "base/slice.h"

enum {
  MC_KEY_BYTES = 32,
  MC_WRAPPED_BYTES = 12 + MC_KEY_BYTES + 16, /* nonce, enciphered key, tag */
  MC_SEAL_HEAD = 16, /* version 1, algorithm 1, two zeros, nonce: journal/README, "Payload of an enciphered record" */
  MC_SEAL_EXTRA = MC_SEAL_HEAD + 16
};

/* ---- the master key ----
 * Source, one of:
 *   file:/etc/motorcade/master.key       32 raw bytes or 64 hex digits; readable by its owner only
 *   env:MOTORCADE_MASTER_KEY             64 hex digits
 *   credential:motorcade.master          a systemd credential (LoadCredential=, SetCredentialEncrypted=): a file in $CREDENTIALS_DIRECTORY
 *   pkcs11:token=fleet;object=master;type=secret-key?module-path=/usr/lib/.../x.so&pin-source=file:/etc/motorcade/pin    (RFC 7512)
 */
typedef struct mc_master mc_master;
mc_err mc_master_open(const char *source, mc_master **out, mc_why *why);
void mc_master_close(mc_master **master);
/* what: binds the wrapped key to its place, e.g. "key 17 of tenant 1"; unwrapping under another one fails with MC_ERR_CHECKSUM, as does another master key. */
mc_err mc_master_wrap(mc_master *m, mc_slice what, const uint8_t key[MC_KEY_BYTES], uint8_t out[MC_WRAPPED_BYTES], mc_why *why);
mc_err mc_master_unwrap(mc_master *m, mc_slice what, const uint8_t wrapped[MC_WRAPPED_BYTES], uint8_t key[MC_KEY_BYTES], mc_why *why);
/* A new key file, mode 0600. MC_ERR_EXISTS: there is one; it is not touched. */
mc_err mc_master_create_file(const char *path, mc_why *why);

/* ---- sealing ---- */
typedef struct mc_sealer mc_sealer; /* one data key, ready for use; any thread. About 64 bytes, and a kilobyte in each of the last 64 that a thread used */
mc_err mc_sealer_create(const uint8_t key[MC_KEY_BYTES], mc_sealer **out);
void mc_sealer_destroy(mc_sealer **s);
mc_err mc_key_random(uint8_t key[MC_KEY_BYTES]);
void mc_key_wipe(void *key, size_t size);
/* out: text.len + MC_SEAL_EXTRA bytes (head, enciphered text, tag). aad is authenticated with it and stays where it is. out may not overlap text. */
mc_err mc_seal(mc_sealer *s, const mc_slice *aad, size_t aad_count, const mc_slice *text, size_t text_count, uint8_t *out);
/* out: sealed.len - MC_SEAL_EXTRA bytes. MC_ERR_CHECKSUM: another key, other aad, or changed bytes; MC_ERR_MALFORMED, MC_ERR_UNSUPPORTED: not a sealed text of ours. */
mc_err mc_unseal(mc_sealer *s, const mc_slice *aad, size_t aad_count, mc_slice sealed, uint8_t *out);

#endif
