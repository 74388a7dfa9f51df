/* Passwords (scrypt, RFC 7914) and random secrets. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "access/access.h"

enum { SALT = 16, HASH = 32, COST_N = 16384, COST_R = 8, COST_P = 1, PASSWORD_MIN = 10, PASSWORD_MAX = 1024 };
#define SCRYPT_MEMORY (64u << 20)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* base64url without padding (RFC 4648, 5). out holds (4 * len + 2) / 3 + 1 bytes. */
static void encode64(const uint8_t *in, size_t len, char *out)
{
  size_t o = 0;
  for (size_t i = 0; i < len; i += 3) {
    size_t left = len - i;
    uint32_t v = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
    size_t digits = left > 2 ? 4 : left + 1;
    for (size_t k = 0; k < digits; k++)
      out[o++] = alphabet[v >> (18 - 6 * k) & 63];
  }
  out[o] = 0;
}

/* Exactly len bytes from exactly the digits that encode them. */
static bool decode64(mc_slice text, uint8_t *out, size_t len)
{
  if (text.len != (len * 4 + 2) / 3)
    return false;
  uint32_t bits = 0;
  int have = 0;
  size_t o = 0;
  for (size_t i = 0; i < text.len; i++) {
    const char *digit = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;
    if (!digit)
      return false;
    bits = bits << 6 | (uint32_t)(digit - alphabet);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out[o++] = (uint8_t)(bits >> have);
    }
  }
  return o == len && (bits & ((1u << have) - 1)) == 0;
}

static bool derive(mc_slice password, const uint8_t salt[SALT], uint8_t hash[HASH])
{
  const char *text = password.len ? (const char *)password.data : "";
  return EVP_PBE_scrypt(text, password.len, salt, SALT, COST_N, COST_R, COST_P, SCRYPT_MEMORY, hash, HASH) == 1;
}

static size_t characters(mc_slice utf8)
{
  size_t n = 0;
  for (size_t i = 0; i < utf8.len; i++)
    n += (utf8.data[i] & 0xC0) != 0x80;
  return n;
}

mc_err mc_access_password_hash(mc_slice password, char out[160], mc_why *why)
{
  out[0] = 0;
  if (!mc_slice_is_utf8(password))
    return mc_err_set(why, MC_ERR_INVALID, "the password is not valid UTF-8");
  if (characters(password) < PASSWORD_MIN)
    return mc_err_set(why, MC_ERR_INVALID, "the password is too short: at least %d characters, for example four words", PASSWORD_MIN);
  if (password.len > PASSWORD_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "the password is too long: at most %d bytes", PASSWORD_MAX);
  uint8_t salt[SALT], hash[HASH];
  if (RAND_bytes(salt, SALT) != 1 || !derive(password, salt, hash))
    return mc_err_set(why, MC_ERR_MEMORY, "the password could not be hashed: no memory or no random numbers; try again");
  char salt64[24], hash64[44];
  encode64(salt, SALT, salt64);
  encode64(hash, HASH, hash64);
  snprintf(out, 160, "scrypt$%d$%d$%d$%s$%s", COST_N, COST_R, COST_P, salt64, hash64);
  OPENSSL_cleanse(hash, sizeof hash);
  return MC_OK;
}

/* Cuts "scrypt$16384$8$1$<salt>$<hash>". Other costs are refused: a stored text cannot make us spend more. */
static bool read_stored(mc_slice stored, uint8_t salt[SALT], uint8_t hash[HASH])
{
  char head[40];
  int n = snprintf(head, sizeof head, "scrypt$%d$%d$%d$", COST_N, COST_R, COST_P);
  if (!mc_slice_starts(stored, mc_slice_of(head, (size_t)n)))
    return false;
  mc_slice rest = mc_slice_sub(stored, (size_t)n, stored.len);
  size_t cut = mc_slice_find(rest, '$', 0);
  return cut < rest.len && decode64(mc_slice_sub(rest, 0, cut), salt, SALT) &&
         decode64(mc_slice_sub(rest, cut + 1, rest.len), hash, HASH);
}

bool mc_access_password_check(mc_slice password, mc_slice stored)
{
  uint8_t salt[SALT] = {0}, want[HASH] = {0}, got[HASH];
  bool known = read_stored(stored, salt, want);
  /* The work is done also for an unreadable text or an overlong password, so that time tells nothing. */
  bool derived = derive(mc_slice_sub(password, 0, PASSWORD_MAX), salt, got);
  bool same = CRYPTO_memcmp(got, want, HASH) == 0;
  OPENSSL_cleanse(got, sizeof got);
  return known && derived && same && password.len <= PASSWORD_MAX;
}

mc_err mc_access_secret_create(const char *prefix, char out[64])
{
  uint8_t random[32];
  out[0] = 0;
  if (strlen(prefix) > 64 - 44)
    return MC_ERR_INVALID;
  if (RAND_bytes(random, sizeof random) != 1)
    return MC_ERR_IO;
  int n = snprintf(out, 64, "%s", prefix);
  encode64(random, sizeof random, out + n);
  OPENSSL_cleanse(random, sizeof random);
  return MC_OK;
}

void mc_access_secret_digest(mc_slice secret, uint8_t out[32])
{
  SHA256(secret.len ? secret.data : (const uint8_t *)"", secret.len, out);
}
