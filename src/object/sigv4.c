#include "object/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DATE = 8 };

void sigv4_time(int64_t time_us, char out[SIGV4_TIME])
{
  time_t seconds = (time_t)(time_us / 1000000);
  struct tm tm;
  gmtime_r(&seconds, &tm);
  if (strftime(out, SIGV4_TIME, "%Y%m%dT%H%M%SZ", &tm) == 0)
    memcpy(out, "19700101T000000Z", SIGV4_TIME);
}

mc_err sigv4_encode(mc_slice in, bool keep_slash, mc_buf *out)
{
  MC_TRY(mc_buf_reserve(out, in.len * 3));
  for (size_t i = 0; i < in.len; i++)
    MC_TRY(keep_slash && in.data[i] == '/' ? mc_buf_append_u8(out, '/') : mc_sigv4_escape(in.data[i], out));
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

static mc_sigv4_scope scope_of(const sigv4_key *key, const char *time) { return (mc_sigv4_scope){mc_slice_of(time, DATE), key->region, key->service}; }

static mc_err signature(const sigv4_key *key, const sigv4_request *r, const char *time, char hex[MC_SIGV4_HEX])
{
  mc_buf canonical = {0};
  mc_sigv4_scope scope = scope_of(key, time);
  mc_err err = sigv4_canonical(r, &canonical);
  if (!err)
    err = mc_sigv4_sign(mc_buf_slice(&canonical), mc_slice_str(time), &scope, key->secret, hex);
  mc_buf_free(&canonical);
  return err;
}

mc_err sigv4_authorization(const sigv4_key *key, const sigv4_request *r, const char *time, mc_buf *out)
{
  sigv4_pair header[SIGV4_PAIRS_MAX];
  char hex[MC_SIGV4_HEX];
  mc_sigv4_scope scope = scope_of(key, time);
  MC_TRY(sorted_headers(r, header));
  MC_TRY(signature(key, r, time, hex));
  MC_TRY(mc_buf_printf(out, MC_SIGV4_ALGORITHM " Credential=%.*s/", MC_FMT(key->access_key)));
  MC_TRY(mc_sigv4_scope_append(&scope, out));
  MC_TRY(mc_buf_append_str(out, ",SignedHeaders="));
  MC_TRY(signed_names(header, r->header_count, out));
  return mc_buf_printf(out, ",Signature=%s", hex);
}

mc_err sigv4_presign(const sigv4_key *key, const sigv4_request *r, const char *time, uint32_t expires_s, mc_buf *out)
{
  sigv4_pair query[SIGV4_PAIRS_MAX];
  mc_buf credential = {0};
  char expires[16], hex[MC_SIGV4_HEX];
  mc_sigv4_scope scope = scope_of(key, time);
  if (r->query_count + 6 > SIGV4_PAIRS_MAX)
    return MC_ERR_TOO_LARGE;
  size_t n = r->query_count;
  if (n)
    memcpy(query, r->query, n * sizeof *query);
  snprintf(expires, sizeof expires, "%u", expires_s);
  mc_err err = mc_buf_printf(&credential, "%.*s/", MC_FMT(key->access_key));
  if (!err)
    err = mc_sigv4_scope_append(&scope, &credential);
  query[n++] = (sigv4_pair){MC_LIT("X-Amz-Algorithm"), MC_LIT(MC_SIGV4_ALGORITHM)};
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
