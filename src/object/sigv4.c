#include "object/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
enum { DATE = 8 };

void sigv4_time(int64_t time_us, char out[SIGV4_TIME])
{
  time_t seconds = (time_t)(time_us / 1000000);
  struct tm tm;
  gmtime_r(&seconds, &tm);
  if (strftime(out, SIGV4_TIME, "%Y%m%dT%H%M%SZ", &tm) == 0)
    memcpy(out, "19700101T000000Z", SIGV4_TIME);
}

static void hex_of(const uint8_t bytes[32], char hex[SIGV4_HEX])
{
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 32; i++) {
    hex[2 * i] = digits[bytes[i] >> 4];
    hex[2 * i + 1] = digits[bytes[i] & 15];
  }
  hex[64] = 0;
}

void sigv4_sha256(mc_slice bytes, char hex[SIGV4_HEX])
{
  uint8_t hash[32] = {0};
  EVP_Digest(bytes.data ? (const void *)bytes.data : "", bytes.len, hash, NULL, EVP_sha256(), NULL);
  hex_of(hash, hex);
}

mc_err sigv4_encode(mc_slice in, bool keep_slash, mc_buf *out)
{
  static const char digits[] = "0123456789ABCDEF";
  MC_TRY(mc_buf_reserve(out, in.len * 3));
  for (size_t i = 0; i < in.len; i++) {
    uint8_t c = in.data[i];
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain || (keep_slash && c == '/')) {
      out->data[out->len++] = c;
    } else {
      out->data[out->len++] = '%';
      out->data[out->len++] = (uint8_t)digits[c >> 4];
      out->data[out->len++] = (uint8_t)digits[c & 15];
    }
  }
  return MC_OK;
}

/* An encoded pair, as it is sorted: by name, then by value. */
typedef struct encoded { mc_buf name, value; } encoded;

static int by_name(const void *a, const void *b)
{
  const encoded *x = a, *y = b;
  int order = mc_slice_compare(mc_buf_slice(&x->name), mc_buf_slice(&y->name));
  return order ? order : mc_slice_compare(mc_buf_slice(&x->value), mc_buf_slice(&y->value));
}

mc_err sigv4_query(const sigv4_pair *query, size_t count, mc_buf *out)
{
  encoded e[SIGV4_PAIRS_MAX] = {0};
  mc_err err = count <= SIGV4_PAIRS_MAX ? MC_OK : MC_ERR_TOO_LARGE;
  for (size_t i = 0; i < count && !err; i++) {
    err = sigv4_encode(query[i].name, false, &e[i].name);
    if (!err)
      err = sigv4_encode(query[i].value, false, &e[i].value);
  }
  if (!err)
    qsort(e, count, sizeof *e, by_name);
  for (size_t i = 0; i < count && !err; i++)
    err = mc_buf_printf(out, "%s%.*s=%.*s", i ? "&" : "", MC_FMT(mc_buf_slice(&e[i].name)), MC_FMT(mc_buf_slice(&e[i].value)));
  for (size_t i = 0; i < SIGV4_PAIRS_MAX; i++) {
    mc_buf_free(&e[i].name);
    mc_buf_free(&e[i].value);
  }
  return err;
}

static int by_header(const void *a, const void *b)
{
  return mc_slice_compare(((const sigv4_pair *)a)->name, ((const sigv4_pair *)b)->name);
}

static mc_err sorted_headers(const sigv4_request *r, sigv4_pair out[SIGV4_PAIRS_MAX])
{
  if (r->header_count > SIGV4_PAIRS_MAX)
    return MC_ERR_TOO_LARGE;
  if (r->header_count)
    memcpy(out, r->header, r->header_count * sizeof *out);
  qsort(out, r->header_count, sizeof *out, by_header);
  return MC_OK;
}

static mc_err signed_names(const sigv4_pair *header, size_t count, mc_buf *out)
{
  for (size_t i = 0; i < count; i++)
    MC_TRY(mc_buf_printf(out, "%s%.*s", i ? ";" : "", MC_FMT(header[i].name)));
  return MC_OK;
}

mc_err sigv4_canonical(const sigv4_request *r, mc_buf *out)
{
  sigv4_pair header[SIGV4_PAIRS_MAX];
  MC_TRY(sorted_headers(r, header));
  MC_TRY(mc_buf_printf(out, "%s\n", r->method));
  MC_TRY(sigv4_encode(r->path, true, out));
  MC_TRY(mc_buf_append_str(out, "\n"));
  MC_TRY(sigv4_query(r->query, r->query_count, out));
  MC_TRY(mc_buf_append_str(out, "\n"));
  for (size_t i = 0; i < r->header_count; i++)
    MC_TRY(mc_buf_printf(out, "%.*s:%.*s\n", MC_FMT(header[i].name), MC_FMT(mc_slice_trim(header[i].value))));
  MC_TRY(mc_buf_append_str(out, "\n"));
  MC_TRY(signed_names(header, r->header_count, out));
  return mc_buf_printf(out, "\n%.*s", MC_FMT(r->payload_hash));
}

static mc_err hmac(const uint8_t *key, size_t key_len, mc_slice text, uint8_t out[32])
{
  unsigned n = 32;
  return HMAC(EVP_sha256(), key, (int)key_len, text.data, text.len, out, &n) ? MC_OK : MC_ERR_MEMORY;
}

mc_err sigv4_signing_key(const sigv4_key *key, mc_slice date, uint8_t out[32])
{
  mc_buf secret = {0};
  mc_err err = mc_buf_printf(&secret, "AWS4%.*s", MC_FMT(key->secret));
  if (!err)
    err = hmac(secret.data, secret.len, date, out);
  if (secret.len)
    OPENSSL_cleanse(secret.data, secret.len);
  mc_buf_free(&secret);
  if (!err)
    err = hmac(out, 32, key->region, out);
  if (!err)
    err = hmac(out, 32, key->service, out);
  return err ? err : hmac(out, 32, MC_LIT("aws4_request"), out);
}

static mc_err scope(const sigv4_key *key, const char *time, mc_buf *out)
{
  return mc_buf_printf(out, "%.*s/%.*s/%.*s/aws4_request", DATE, time, MC_FMT(key->region), MC_FMT(key->service));
}

static mc_err signature(const sigv4_key *key, const sigv4_request *r, const char *time, char hex[SIGV4_HEX])
{
  mc_buf text = {0}, canonical = {0};
  uint8_t signing[32], mac[32];
  mc_err err = sigv4_canonical(r, &canonical);
  if (!err)
    err = mc_buf_printf(&text, ALGORITHM "\n%s\n", time);
  if (!err)
    err = scope(key, time, &text);
  if (!err) {
    sigv4_sha256(mc_buf_slice(&canonical), hex);
    err = mc_buf_printf(&text, "\n%s", hex);
  }
  if (!err)
    err = sigv4_signing_key(key, mc_slice_of(time, DATE), signing);
  if (!err)
    err = hmac(signing, 32, mc_buf_slice(&text), mac);
  if (!err)
    hex_of(mac, hex);
  mc_buf_free(&text);
  mc_buf_free(&canonical);
  return err;
}

mc_err sigv4_authorization(const sigv4_key *key, const sigv4_request *r, const char *time, mc_buf *out)
{
  sigv4_pair header[SIGV4_PAIRS_MAX];
  char hex[SIGV4_HEX];
  MC_TRY(sorted_headers(r, header));
  MC_TRY(signature(key, r, time, hex));
  MC_TRY(mc_buf_printf(out, ALGORITHM " Credential=%.*s/", MC_FMT(key->access_key)));
  MC_TRY(scope(key, time, out));
  MC_TRY(mc_buf_append_str(out, ",SignedHeaders="));
  MC_TRY(signed_names(header, r->header_count, out));
  return mc_buf_printf(out, ",Signature=%s", hex);
}

mc_err sigv4_presign(const sigv4_key *key, const sigv4_request *r, const char *time, uint32_t expires_s, mc_buf *out)
{
  sigv4_pair query[SIGV4_PAIRS_MAX];
  mc_buf credential = {0};
  char expires[16], hex[SIGV4_HEX];
  if (r->query_count + 6 > SIGV4_PAIRS_MAX)
    return MC_ERR_TOO_LARGE;
  size_t n = r->query_count;
  if (n)
    memcpy(query, r->query, n * sizeof *query);
  snprintf(expires, sizeof expires, "%u", expires_s);
  mc_err err = mc_buf_printf(&credential, "%.*s/", MC_FMT(key->access_key));
  if (!err)
    err = scope(key, time, &credential);
  query[n++] = (sigv4_pair){MC_LIT("X-Amz-Algorithm"), MC_LIT(ALGORITHM)};
  query[n++] = (sigv4_pair){MC_LIT("X-Amz-Credential"), mc_buf_slice(&credential)};
  query[n++] = (sigv4_pair){MC_LIT("X-Amz-Date"), mc_slice_str(time)};
  query[n++] = (sigv4_pair){MC_LIT("X-Amz-Expires"), mc_slice_str(expires)};
  query[n++] = (sigv4_pair){MC_LIT("X-Amz-SignedHeaders"), MC_LIT("host")};
  if (key->token.len)
    query[n++] = (sigv4_pair){MC_LIT("X-Amz-Security-Token"), key->token};
  sigv4_request full = *r;
  full.query = query;
  full.query_count = n;
  full.payload_hash = MC_LIT("UNSIGNED-PAYLOAD");
  if (!err)
    err = signature(key, &full, time, hex);
  if (!err)
    err = sigv4_query(query, n, out);
  if (!err)
    err = mc_buf_printf(out, "&X-Amz-Signature=%s", hex);
  mc_buf_free(&credential);
  return err;
}
