#include "access/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/random.h>

#include "format/base64.h"

enum { NONCE_BYTES = 18, PASSWORD_MIN = 12, PASSWORD_MAX = 256 };

/* ---- keys ---- */
static void hmac(const uint8_t *key, size_t key_len, mc_slice text, uint8_t out[MC_SCRAM_HASH])
{
  unsigned len;
  HMAC(EVP_sha256(), key, (int)key_len, text.data, text.len, out, &len);
}

static bool salted(mc_slice password, const uint8_t salt[MC_SCRAM_SALT], uint32_t iterations, uint8_t out[MC_SCRAM_HASH])
{
  return PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.len, salt, MC_SCRAM_SALT, (int)iterations, EVP_sha256(), MC_SCRAM_HASH, out) == 1;
}

static bool derive(mc_slice password, mc_scram_verifier *v)
{
  uint8_t base[MC_SCRAM_HASH], client[MC_SCRAM_HASH];
  if (!salted(password, v->salt, v->iterations, base))
    return false;
  hmac(base, sizeof base, MC_LIT("Client Key"), client);
  SHA256(client, sizeof client, v->stored_key);
  hmac(base, sizeof base, MC_LIT("Server Key"), v->server_key);
  OPENSSL_cleanse(base, sizeof base);
  OPENSSL_cleanse(client, sizeof client);
  return true;
}

static bool printable(mc_slice text)
{
  for (size_t i = 0; i < text.len; i++)
    if (text.data[i] < 0x21 || text.data[i] > 0x7e)
      return false;
  return true;
}

mc_err mc_scram_verifier_make(mc_slice password, mc_scram_verifier *out, mc_why *why)
{
  if (password.len < PASSWORD_MIN || password.len > PASSWORD_MAX || !printable(password))
    return mc_err_set(why, MC_ERR_INVALID, "the password of a device or service has %d to %d printable ASCII characters without spaces", PASSWORD_MIN, PASSWORD_MAX);
  *out = (mc_scram_verifier){.iterations = MC_SCRAM_ITERATIONS};
  if (getrandom(out->salt, sizeof out->salt, 0) != sizeof out->salt || !derive(password, out))
    return mc_err_set(why, MC_ERR_IO, "no random bytes for a password's salt");
  return MC_OK;
}

bool mc_scram_verifier_check(const mc_scram_verifier *v, mc_slice password)
{
  mc_scram_verifier tried = *v;
  bool derived = password.len <= PASSWORD_MAX && derive(password, &tried);
  return CRYPTO_memcmp(tried.stored_key, v->stored_key, MC_SCRAM_HASH) == 0 && derived;
}

/* ---- messages (RFC 5802, 5.1, 7) ---- */
static bool base64_put(mc_buf *out, const uint8_t *bytes, size_t len) { return mc_base64_append(out, mc_slice_of(bytes, len)) == MC_OK; }

/* Value of "x=" at *at, up to the next comma; false when another letter stands there. */
static bool attribute(mc_slice text, size_t *at, char letter, mc_slice *value)
{
  if (*at + 2 > text.len || text.data[*at] != (uint8_t)letter || text.data[*at + 1] != '=')
    return false;
  size_t end = mc_slice_find(text, ',', *at + 2);
  *value = mc_slice_sub(text, *at + 2, end - *at - 2);
  *at = end < text.len ? end + 1 : end;
  return true;
}

static bool fits(char *to, size_t size, mc_slice text) { return mc_slice_to_str(text, to, size); }

/* "=2C" is a comma, "=3D" an equals sign. */
static bool read_name(mc_slice text, char out[MC_SCRAM_NAME + 1])
{
  size_t n = 0;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (c == '=') {
      mc_slice code = mc_slice_sub(text, i, 3);
      if (!mc_slice_eq_str(code, "=2C") && !mc_slice_eq_str(code, "=3D"))
        return false;
      c = code.data[1] == '2' ? ',' : '=';
      i += 2;
    }
    if (c < 0x21 || c > 0x7e || n == MC_SCRAM_NAME)
      return false;
    out[n++] = (char)c;
  }
  out[n] = 0;
  return n > 0;
}

mc_err mc_scram_begin(mc_scram *s, mc_slice first, mc_why *why)
{
  *s = (mc_scram){0};
  for (size_t i = 0; i < first.len; i++)
    if (first.data[i] == 0 || first.data[i] > 0x7e)
      return mc_err_set(why, MC_ERR_MALFORMED, "SCRAM: byte %zu of the first message is not printable ASCII", i);
  mc_slice value;
  size_t comma = mc_slice_find(first, ',', 0);
  if (first.len && first.data[0] == 'p')
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "SCRAM: channel binding is not offered; use SCRAM-SHA-256 without it");
  if (comma != 1 || (first.data[0] != 'n' && first.data[0] != 'y'))
    return mc_err_set(why, MC_ERR_MALFORMED, "SCRAM: the first message begins with \"n,,\" or \"y,,\" (RFC 5802, 7)");
  size_t at = 2;
  mc_slice authzid = {0};
  if (!attribute(first, &at, 'a', &authzid)) {
    if (at >= first.len || first.data[at] != ',')
      return mc_err_set(why, MC_ERR_MALFORMED, "SCRAM: a comma is missing behind the first one (RFC 5802, 7)");
    at++;
  }
  if (authzid.len)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "SCRAM: acting for another name (a=) is not offered");
  if (!fits(s->gs2, sizeof s->gs2, mc_slice_sub(first, 0, at)) || !fits(s->client_first_bare, sizeof s->client_first_bare, mc_slice_sub(first, at, SIZE_MAX)))
    return mc_err_set(why, MC_ERR_TOO_LARGE, "SCRAM: the first message is longer than 500 bytes");
  if (!attribute(first, &at, 'n', &value) || !read_name(value, s->name))
    return mc_err_set(why, MC_ERR_MALFORMED, "SCRAM: n= must name the user, in at most %d printable characters", MC_SCRAM_NAME);
  if (!attribute(first, &at, 'r', &value) || value.len < 8 || value.len > 100)
    return mc_err_set(why, MC_ERR_MALFORMED, "SCRAM: r= must be a nonce of 8 to 100 characters");
  mc_slice_to_str(value, s->nonce, sizeof s->nonce);
  return MC_OK;
}

mc_err mc_scram_challenge(mc_scram *s, const mc_scram_verifier *verifier, const uint8_t secret[32], mc_buf *out)
{
  uint8_t random[NONCE_BYTES], made[MC_SCRAM_HASH];
  mc_buf nonce = {0};
  s->known = verifier != NULL;
  if (verifier) {
    s->verifier = *verifier;
  } else {
    s->verifier = (mc_scram_verifier){.iterations = MC_SCRAM_ITERATIONS};
    hmac(secret, 32, mc_slice_str(s->name), made);
    memcpy(s->verifier.salt, made, MC_SCRAM_SALT);
  }
  if (getrandom(random, sizeof random, 0) != sizeof random)
    return MC_ERR_IO;
  bool ok = mc_buf_append_str(&nonce, s->nonce) == MC_OK && base64_put(&nonce, random, sizeof random) && fits(s->nonce, sizeof s->nonce, mc_buf_slice(&nonce));
  mc_buf_free(&nonce);
  size_t begin = out->len;
  ok = ok && mc_buf_printf(out, "r=%s,s=", s->nonce) == MC_OK && base64_put(out, s->verifier.salt, MC_SCRAM_SALT) &&
       mc_buf_printf(out, ",i=%u", s->verifier.iterations) == MC_OK && fits(s->server_first, sizeof s->server_first, mc_slice_sub(mc_buf_slice(out), begin, SIZE_MAX));
  return ok ? MC_OK : MC_ERR_MEMORY;
}

static bool decode(mc_slice text, uint8_t *out, size_t want)
{
  uint8_t raw[256];
  size_t pad = 0;
  if (text.len == 0 || text.len % 4 || text.len > sizeof raw)
    return false;
  while (pad < 2 && text.data[text.len - 1 - pad] == '=')
    pad++;
  int n = EVP_DecodeBlock(raw, text.data, (int)text.len);
  if (n < 0 || (size_t)n - pad != want)
    return false;
  memcpy(out, raw, want);
  return true;
}

/* The proof against what is stored: ClientKey = proof XOR HMAC(StoredKey, AuthMessage); its hash must be StoredKey (RFC 5802, 3). */
static bool proves(const mc_scram *s, mc_slice auth, const uint8_t proof[MC_SCRAM_HASH])
{
  uint8_t key[MC_SCRAM_HASH], hash[MC_SCRAM_HASH];
  hmac(s->verifier.stored_key, MC_SCRAM_HASH, auth, key);
  for (size_t i = 0; i < MC_SCRAM_HASH; i++)
    key[i] ^= proof[i];
  SHA256(key, sizeof key, hash);
  OPENSSL_cleanse(key, sizeof key);
  return CRYPTO_memcmp(hash, s->verifier.stored_key, MC_SCRAM_HASH) == 0;
}

mc_err mc_scram_finish(mc_scram *s, mc_slice final, mc_buf *out, mc_why *why)
{
  uint8_t proof[MC_SCRAM_HASH], signature[MC_SCRAM_HASH], gs2[sizeof s->gs2];
  mc_slice binding, nonce, given;
  size_t at = 0, end = 0;
  for (size_t i = 0; i + 2 < final.len; i++)
    if (final.data[i] == ',' && final.data[i + 1] == 'p' && final.data[i + 2] == '=')
      end = i;
  if (!attribute(final, &at, 'c', &binding) || !attribute(final, &at, 'r', &nonce) || !end || !attribute(final, &(size_t){end + 1}, 'p', &given))
    return mc_err_set(why, MC_ERR_MALFORMED, "SCRAM: the last message is c=, r=, p= (RFC 5802, 7)");
  if (!decode(binding, gs2, strlen(s->gs2)) || memcmp(gs2, s->gs2, strlen(s->gs2)) != 0 || !mc_slice_eq_str(nonce, s->nonce) || !decode(given, proof, sizeof proof))
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "SCRAM: the last message does not belong to this exchange");
  mc_buf auth = {0};
  if (mc_buf_printf(&auth, "%s,%s,%.*s", s->client_first_bare, s->server_first, MC_FMT(mc_slice_sub(final, 0, end)))) {
    mc_buf_free(&auth);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory while signing in");
  }
  bool genuine = proves(s, mc_buf_slice(&auth), proof) && s->known;
  hmac(s->verifier.server_key, MC_SCRAM_HASH, mc_buf_slice(&auth), signature);
  mc_buf_free(&auth);
  if (!genuine)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "user name or password is wrong");
  return mc_buf_append_str(out, "v=") == MC_OK && base64_put(out, signature, sizeof signature) ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "out of memory while signing in");
}
