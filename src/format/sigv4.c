#include "format/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

mc_err mc_sigv4_scope_append(const mc_sigv4_scope *scope, mc_buf *out)
{
  return mc_buf_printf(out, "%.*s/%.*s/%.*s/aws4_request", MC_FMT(scope->day), MC_FMT(scope->region), MC_FMT(scope->service));
}

mc_err mc_sigv4_escape(uint8_t c, mc_buf *out)
{
  static const char digits[] = "0123456789ABCDEF";
  if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~')
    return mc_buf_append_u8(out, c);
  const char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
  return mc_buf_append(out, escaped, sizeof escaped);
}

static void hex_of(const uint8_t bytes[32], char hex[MC_SIGV4_HEX])
{
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 32; i++) {
    hex[2 * i] = digits[bytes[i] >> 4];
    hex[2 * i + 1] = digits[bytes[i] & 15];
  }
  hex[64] = 0;
}

void mc_sigv4_sha256(mc_slice bytes, char hex[MC_SIGV4_HEX])
{
  uint8_t hash[32] = {0};
  EVP_Digest(bytes.data ? (const void *)bytes.data : "", bytes.len, hash, NULL, EVP_sha256(), NULL);
  hex_of(hash, hex);
}

static mc_err hmac(const uint8_t *key, size_t key_len, mc_slice text, uint8_t out[32])
{
  unsigned n = 32;
  return HMAC(EVP_sha256(), key, (int)key_len, text.len ? text.data : (const uint8_t *)"", text.len, out, &n) ? MC_OK : MC_ERR_MEMORY;
}

mc_err mc_sigv4_key(mc_slice secret, const mc_sigv4_scope *scope, uint8_t out[32])
{
  mc_buf first = {0};
  mc_err err = mc_buf_reserve(&first, 4 + secret.len); /* at once: a buffer that grows leaves copies of the secret */
  if (!err)
    err = mc_buf_append_str(&first, "AWS4");
  if (!err)
    err = mc_buf_append_slice(&first, secret);
  if (!err)
    err = hmac(first.data, first.len, scope->day, out);
  if (first.len)
    OPENSSL_cleanse(first.data, first.len);
  mc_buf_free(&first);
  if (!err)
    err = hmac(out, 32, scope->region, out);
  if (!err)
    err = hmac(out, 32, scope->service, out);
  return err ? err : hmac(out, 32, MC_LIT("aws4_request"), out);
}

mc_err mc_sigv4_sign(mc_slice canonical, mc_slice time, const mc_sigv4_scope *scope, mc_slice secret, char hex[MC_SIGV4_HEX])
{
  mc_buf text = {0};
  uint8_t key[32], mac[32];
  mc_err err = mc_buf_printf(&text, MC_SIGV4_ALGORITHM "\n%.*s\n", MC_FMT(time));
  if (!err)
    err = mc_sigv4_scope_append(scope, &text);
  if (!err) {
    mc_sigv4_sha256(canonical, hex);
    err = mc_buf_printf(&text, "\n%s", hex);
  }
  if (!err)
    err = mc_sigv4_key(secret, scope, key);
  if (!err)
    err = hmac(key, sizeof key, mc_buf_slice(&text), mac);
  if (!err)
    hex_of(mac, hex);
  OPENSSL_cleanse(key, sizeof key);
  mc_buf_free(&text);
  return err;
}
