/* The canonical request is built from the bytes that arrived, never from what was made of them. Whatever could be read in two ways is refused: a header that
 * decides something and comes twice, names out of order, a query that says the same thing twice. */
#include "aws/sigv4.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/vec.h"
#include "format/sigv4.h"

enum { MAX_PARAMETERS = 100, MAX_SIGNED = 100 };
static const char algorithm[] = MC_SIGV4_ALGORITHM;

/* ---- reading: headers ---- */

static size_t header_times(const sigv4_request *r, const char *name, mc_slice *first)
{
  size_t n = 0;
  for (size_t i = 0; i < r->header_count; i++)
    if (mc_slice_eq_str(r->header[i].name, name) && n++ == 0 && first)
      *first = r->header[i].value;
  return n;
}

/* Headers that decide who asks and for what: one of each at most. */
static const char *twice(const sigv4_request *r)
{
  static const char *const once[] = {"authorization", "x-amz-date", "x-amz-target", "x-amz-content-sha256", "x-amz-security-token", "content-type", "host", "content-encoding"};
  for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
    if (header_times(r, once[i], NULL) > 1)
      return once[i];
  return NULL;
}

static bool digits(mc_slice s)
{
  for (size_t i = 0; i < s.len; i++)
    if (s.data[i] < '0' || s.data[i] > '9')
      return false;
  return s.len > 0;
}

static bool scope_word(mc_slice s)
{
  for (size_t i = 0; i < s.len; i++)
    if (!((s.data[i] >= 'a' && s.data[i] <= 'z') || (s.data[i] >= '0' && s.data[i] <= '9') || s.data[i] == '-'))
      return false;
  return s.len >= 1 && s.len <= 64;
}

/* <key id>/<yyyymmdd>/<region>/<service>/aws4_request */
static bool read_credential(mc_slice text, sigv4 *out)
{
  mc_slice part[5];
  size_t n = 0, at = 0;
  for (; n < 5 && at <= text.len; n++) {
    size_t end = mc_slice_find(text, '/', at);
    part[n] = mc_slice_sub(text, at, end - at);
    at = end + 1;
  }
  if (n != 5 || at <= text.len || !part[0].len || part[0].len > 128 || part[1].len != 8 || !digits(part[1]) || !scope_word(part[2]) || !scope_word(part[3]) ||
      !mc_slice_eq_str(part[4], "aws4_request"))
    return false;
  out->key_id = part[0];
  out->day = part[1];
  out->region = part[2];
  out->service = part[3];
  return true;
}

static bool read_hex64(mc_slice s)
{
  for (size_t i = 0; i < s.len; i++)
    if (!((s.data[i] >= '0' && s.data[i] <= '9') || (s.data[i] >= 'a' && s.data[i] <= 'f')))
      return false;
  return s.len == 64;
}

/* 20261130T150000Z */
static bool read_time(mc_slice s, int64_t *out)
{
  char iso[32];
  if (s.len != 16 || s.data[8] != 'T' || s.data[15] != 'Z' || !digits(mc_slice_sub(s, 0, 8)) || !digits(mc_slice_sub(s, 9, 6)))
    return false;
  const char *t = (const char *)s.data;
  snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", t, t + 4, t + 6, t + 9, t + 11, t + 13);
  return mc_clock_parse_us(mc_slice_str(iso), out) == MC_OK;
}

/* ---- reading: Authorization ---- */

/* "Credential=..., SignedHeaders=..., Signature=...": each once, in any order, nothing else. */
static sigv4_fault read_authorization(mc_slice text, sigv4 *out, mc_why *why)
{
  mc_slice credential = {0}, rest = mc_slice_sub(text, sizeof algorithm - 1, text.len);
  if (!rest.len || rest.data[0] != ' ') {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "Authorization: expected %s Credential=..., SignedHeaders=..., Signature=...", algorithm);
    return SIGV4_INCOMPLETE;
  }
  unsigned seen = 0;
  while (rest.len) {
    size_t end = mc_slice_find(rest, ',', 0);
    mc_slice item = mc_slice_trim(mc_slice_sub(rest, 0, end)), *into = NULL;
    rest = mc_slice_sub(rest, end + 1, rest.len);
    size_t equals = mc_slice_find(item, '=', 0);
    mc_slice name = mc_slice_sub(item, 0, equals);
    unsigned bit = 0;
    if (mc_slice_eq_str(name, "Credential"))
      into = &credential, bit = 1;
    else if (mc_slice_eq_str(name, "SignedHeaders"))
      into = &out->signed_headers, bit = 2;
    else if (mc_slice_eq_str(name, "Signature"))
      into = &out->signature, bit = 4;
    if (!into || seen & bit) {
      mc_err_set(why, MC_ERR_UNAUTHENTICATED, "Authorization: \"%.*s\" is %s", (int)(name.len < 40 ? name.len : 40), (const char *)name.data,
                 into ? "there twice" : "not a part of it");
      return SIGV4_INCOMPLETE;
    }
    seen |= bit;
    *into = mc_slice_sub(item, equals + 1, item.len);
  }
  if (seen != 7 || !out->signed_headers.len || !read_hex64(out->signature)) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "Authorization: Credential, SignedHeaders and Signature (64 hex digits in lower case) are needed");
    return SIGV4_INCOMPLETE;
  }
  if (!read_credential(credential, out)) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "Credential: expected <access key id>/<yyyymmdd>/<region>/<service>/aws4_request");
    return SIGV4_INCOMPLETE;
  }
  return SIGV4_OK;
}

/* ---- queries ---- */

typedef struct parameter {
  mc_slice name, value; /* encoded as signing wants it */
} parameter;
typedef MC_VEC(parameter) parameter_vec;

static mc_slice query_of(mc_slice target)
{
  size_t mark = mc_slice_find(target, '?', 0);
  return mc_slice_sub(target, mark + 1, target.len);
}

static int hex_of(uint8_t c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A part of the query: escapes are read (a broken one stands for itself), then everything is escaped again in the one canonical way. */
static mc_err encode_part(mc_buf *out, mc_slice part)
{
  for (size_t i = 0; i < part.len; i++) {
    uint8_t c = part.data[i];
    if (c == '%' && part.len - i > 2 && hex_of(part.data[i + 1]) >= 0 && hex_of(part.data[i + 2]) >= 0) {
      c = (uint8_t)(hex_of(part.data[i + 1]) << 4 | hex_of(part.data[i + 2]));
      i += 2;
    }
    MC_TRY(mc_sigv4_escape(c, out));
  }
  return MC_OK;
}

static int by_parameter(const void *a, const void *b)
{
  const parameter *x = a, *y = b;
  int order = mc_slice_compare(x->name, y->name);
  return order ? order : mc_slice_compare(x->value, y->value);
}

/* Parameters of a query, encoded canonically into text (which must not move: it is reserved before) and sorted. */
static mc_err read_query(mc_slice query, mc_buf *text, parameter_vec *out)
{
  MC_TRY(mc_buf_reserve(text, 3 * query.len + 1));
  for (size_t at = 0; query.len && at <= query.len;) {
    size_t end = mc_slice_find(query, '&', at);
    mc_slice item = mc_slice_sub(query, at, end - at);
    at = end + 1;
    if (!item.len)
      continue;
    if (out->len == MAX_PARAMETERS)
      return MC_ERR_TOO_LARGE;
    size_t equals = mc_slice_find(item, '=', 0), begin = text->len;
    MC_TRY(encode_part(text, mc_slice_sub(item, 0, equals)));
    size_t middle = text->len;
    MC_TRY(encode_part(text, mc_slice_sub(item, equals + 1, item.len)));
    parameter p = {mc_slice_of(text->data + begin, middle - begin), mc_slice_of(text->data + middle, text->len - middle)};
    MC_TRY(mc_vec_push(out, p));
  }
  if (out->len)
    qsort(out->at, out->len, sizeof *out->at, by_parameter);
  return MC_OK;
}

/* The value of X-Amz-..., decoded behind what text holds; twice or absent: false. */
static bool presigned_value(const parameter_vec *list, const char *name, mc_buf *text, mc_slice *out)
{
  size_t n = 0;
  mc_slice found = {0};
  for (size_t i = 0; i < list->len; i++)
    if (mc_slice_eq_str(list->at[i].name, name)) {
      found = list->at[i].value;
      n++;
    }
  if (n != 1)
    return false;
  size_t begin = text->len;
  for (size_t i = 0; i < found.len; i++) { /* room: it is not longer than the query */
    uint8_t c = found.data[i];
    if (c == '%') {
      c = (uint8_t)(hex_of(found.data[i + 1]) << 4 | hex_of(found.data[i + 2]));
      i += 2;
    }
    text->data[text->len++] = c;
  }
  *out = mc_slice_of(text->data + begin, text->len - begin);
  return true;
}

static sigv4_fault read_presigned(const sigv4_request *r, sigv4 *out, mc_why *why)
{
  parameter_vec list = {0};
  mc_buf encoded = {0};
  mc_slice query = query_of(r->target), said = {0}, credential = {0}, expires = {0}, token = {0};
  uint64_t seconds = 0;
  sigv4_fault fault = SIGV4_OK;
  out->presigned = true;
  mc_err err = read_query(query, &encoded, &list);
  if (!err)
    err = mc_buf_reserve(&out->text, 3 * query.len + 1);
  if (err) {
    mc_err_set(why, err, err == MC_ERR_TOO_LARGE ? "the query has more than %d parameters" : "out of memory", MAX_PARAMETERS);
    fault = err == MC_ERR_TOO_LARGE ? SIGV4_INCOMPLETE : SIGV4_MEMORY;
  } else if (!presigned_value(&list, "X-Amz-Algorithm", &out->text, &said) || !mc_slice_eq_str(said, algorithm) ||
             !presigned_value(&list, "X-Amz-Credential", &out->text, &credential) || !read_credential(credential, out) ||
             !presigned_value(&list, "X-Amz-Date", &out->text, &out->time) || !presigned_value(&list, "X-Amz-SignedHeaders", &out->text, &out->signed_headers) ||
             !out->signed_headers.len || !presigned_value(&list, "X-Amz-Signature", &out->text, &out->signature) || !read_hex64(out->signature) ||
             !presigned_value(&list, "X-Amz-Expires", &out->text, &expires) || mc_slice_to_u64(expires, &seconds) || !seconds ||
             seconds > SIGV4_EXPIRES_MAX_S) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED,
               "a presigned request carries X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, X-Amz-Expires (1 to %d seconds), X-Amz-SignedHeaders and "
               "X-Amz-Signature, each once",
               SIGV4_EXPIRES_MAX_S);
    fault = SIGV4_INCOMPLETE;
  } else if (presigned_value(&list, "X-Amz-Security-Token", &out->text, &token)) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "session tokens are not issued here: use an access key by itself");
    fault = SIGV4_UNKNOWN;
  }
  out->expires_s = (int64_t)seconds;
  mc_vec_free(&list);
  mc_buf_free(&encoded);
  return fault;
}

/* ---- reading: the whole ---- */

sigv4_fault sigv4_read(const sigv4_request *r, sigv4 *out, mc_why *why)
{
  mc_slice authorization = {0}, token = {0}, query = query_of(r->target);
  sigv4_fault fault;
  *out = (sigv4){0};
  const char *repeated = twice(r);
  if (repeated) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "the header %s is there twice", repeated);
    return SIGV4_INCOMPLETE;
  }
  bool header = header_times(r, "authorization", &authorization) > 0;
  bool presigned = query.len && memmem(query.data, query.len, "X-Amz-Signature", 15);
  if (!header && !presigned) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "the request is not signed: use an access key (`motorcade access-key create`)");
    return SIGV4_MISSING;
  }
  if (header && presigned) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "the request is signed twice: by the header Authorization or by its query, not both");
    return SIGV4_INCOMPLETE;
  }
  if (header && !mc_slice_starts(authorization, mc_slice_str(algorithm))) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "Authorization: only %s is understood here", algorithm);
    return SIGV4_INCOMPLETE;
  }
  fault = header ? read_authorization(authorization, out, why) : read_presigned(r, out, why);
  if (!fault && header && !header_times(r, "x-amz-date", &out->time)) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "the header X-Amz-Date is missing");
    fault = SIGV4_INCOMPLETE;
  }
  if (!fault && !read_time(out->time, &out->time_us)) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "X-Amz-Date: expected a time like 20261130T150000Z");
    fault = SIGV4_INCOMPLETE;
  }
  if (!fault && header_times(r, "x-amz-security-token", &token) && token.len) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "session tokens are not issued here: use an access key by itself");
    fault = SIGV4_UNKNOWN;
  }
  if (fault)
    sigv4_free(out);
  return fault;
}

void sigv4_free(sigv4 *s)
{
  mc_buf_free(&s->text);
}

/* ---- the canonical request ---- */

/* Segments that are empty or "." are left out, ".." takes the one before away; then everything but unreserved characters and slashes is escaped, escapes
 * included: all services but S3 sign a path that was escaped twice. */
static mc_err canonical_path(mc_buf *out, mc_slice target)
{
  mc_slice path = mc_slice_sub(target, 0, mc_slice_find(target, '?', 0));
  MC_VEC(mc_slice) part = {0};
  mc_err err = MC_OK;
  for (size_t at = 0; !err && at < path.len;) {
    size_t end = mc_slice_find(path, '/', at);
    mc_slice s = mc_slice_sub(path, at, end - at);
    at = end + 1;
    if (mc_slice_eq_str(s, "..") && part.len)
      part.len--;
    else if (s.len && !mc_slice_eq_str(s, ".") && !mc_slice_eq_str(s, ".."))
      err = mc_vec_push(&part, s);
  }
  if (!err)
    err = mc_buf_append_u8(out, '/');
  for (size_t i = 0; !err && i < part.len; i++) {
    if (i)
      err = mc_buf_append_u8(out, '/');
    for (size_t k = 0; !err && k < part.at[i].len; k++)
      err = mc_sigv4_escape(part.at[i].data[k], out);
  }
  if (!err && part.len && path.data[path.len - 1] == '/')
    err = mc_buf_append_u8(out, '/');
  mc_vec_free(&part);
  return err;
}

static mc_err canonical_query(mc_buf *out, mc_slice target, bool presigned)
{
  parameter_vec list = {0};
  mc_buf text = {0};
  bool first = true;
  mc_err err = read_query(query_of(target), &text, &list);
  for (size_t i = 0; !err && i < list.len; i++) {
    if (presigned && mc_slice_eq_str(list.at[i].name, "X-Amz-Signature"))
      continue;
    if (!first)
      err = mc_buf_append_u8(out, '&');
    first = false;
    if (!err)
      err = mc_buf_append_slice(out, list.at[i].name);
    if (!err)
      err = mc_buf_append_u8(out, '=');
    if (!err)
      err = mc_buf_append_slice(out, list.at[i].value);
  }
  mc_vec_free(&list);
  mc_buf_free(&text);
  return err;
}

/* Spaces at the ends are gone, several in a row are one. */
static mc_err append_value(mc_buf *out, mc_slice value)
{
  value = mc_slice_trim(value);
  for (size_t i = 0; i < value.len; i++)
    if (value.data[i] != ' ' || value.data[i - 1] != ' ')
      MC_TRY(mc_buf_append_u8(out, value.data[i]));
  return MC_OK;
}

static bool in_list(mc_slice list, mc_slice name)
{
  for (size_t at = 0; at <= list.len;) {
    size_t end = mc_slice_find(list, ';', at);
    if (mc_slice_eq(mc_slice_sub(list, at, end - at), name))
      return true;
    at = end + 1;
  }
  return false;
}

/* What must be under the signature: the host, and everything x-amz-, of which X-Amz-Target names the operation. */
static const char *left_out(const sigv4_request *r, const sigv4 *s, char name[64])
{
  if (!in_list(s->signed_headers, MC_LIT("host")))
    return "host";
  for (size_t i = 0; i < r->header_count; i++)
    if (mc_slice_starts(r->header[i].name, MC_LIT("x-amz-")) && !in_list(s->signed_headers, r->header[i].name)) {
      mc_slice_to_str(r->header[i].name, name, 64);
      return name;
    }
  return NULL;
}

/* Headers in the order that SignedHeaders says, which must be ascending: each name once. */
static sigv4_fault canonical_headers(mc_buf *out, const sigv4_request *r, const sigv4 *s, mc_why *why)
{
  mc_slice before = {0};
  size_t count = 0;
  for (size_t at = 0; at <= s->signed_headers.len;) {
    size_t end = mc_slice_find(s->signed_headers, ';', at), times = 0;
    mc_slice name = mc_slice_sub(s->signed_headers, at, end - at);
    at = end + 1;
    if (!name.len || (before.len && mc_slice_compare(before, name) >= 0) || ++count > MAX_SIGNED) {
      mc_err_set(why, MC_ERR_UNAUTHENTICATED, "SignedHeaders: expected names in lower case and ascending order, each once");
      return SIGV4_INCOMPLETE;
    }
    before = name;
    mc_err err = mc_buf_append_slice(out, name);
    for (size_t i = 0; !err && i < r->header_count; i++)
      if (mc_slice_eq(r->header[i].name, name)) {
        err = mc_buf_append_u8(out, times++ ? ',' : ':');
        if (!err)
          err = append_value(out, r->header[i].value);
      }
    if (err || mc_buf_append_u8(out, '\n'))
      return SIGV4_MEMORY;
    if (!times) {
      char shown[64];
      mc_slice_to_str(name, shown, sizeof shown);
      mc_err_set(why, MC_ERR_UNAUTHENTICATED, "SignedHeaders names %s, which the request does not have", shown);
      return SIGV4_INVALID;
    }
  }
  return SIGV4_OK;
}

/* The last line: the hash of the body that came, whatever the header says. */
static sigv4_fault payload_line(const sigv4_request *r, char out[65], mc_why *why)
{
  mc_slice said = {0};
  bool is_said = header_times(r, "x-amz-content-sha256", &said) > 0;
  if (is_said && !read_hex64(said)) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "X-Amz-Content-Sha256: this service takes the SHA-256 of the whole body only, found \"%.*s\"", (int)(said.len < 60 ? said.len : 60),
               (const char *)said.data);
    return SIGV4_INVALID;
  }
  mc_sigv4_sha256(r->body, out);
  if (is_said && !mc_slice_eq_str(said, out)) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "X-Amz-Content-Sha256 is not the SHA-256 of the body that came");
    return SIGV4_INVALID;
  }
  return SIGV4_OK;
}

static sigv4_fault canonical_request(const sigv4_request *r, const sigv4 *s, mc_buf *out, mc_why *why)
{
  char payload[65];
  if (mc_buf_append_slice(out, r->method) || mc_buf_append_u8(out, '\n') || canonical_path(out, r->target) || mc_buf_append_u8(out, '\n') ||
      canonical_query(out, r->target, s->presigned) || mc_buf_append_u8(out, '\n'))
    return SIGV4_MEMORY;
  sigv4_fault fault = canonical_headers(out, r, s, why);
  if (!fault)
    fault = payload_line(r, payload, why);
  if (!fault && (mc_buf_append_u8(out, '\n') || mc_buf_append_slice(out, s->signed_headers) || mc_buf_append_u8(out, '\n') || mc_buf_append_str(out, payload)))
    fault = SIGV4_MEMORY;
  return fault;
}

/* ---- the signature ---- */

static sigv4_fault check_time(const sigv4 *s, int64_t now_us, mc_why *why)
{
  const int64_t skew_us = SIGV4_SKEW_S * INT64_C(1000000);
  char now[MC_CLOCK_TEXT];
  mc_clock_format_us(now_us, now);
  if (!mc_slice_eq(s->day, mc_slice_sub(s->time, 0, 8))) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "the date in Credential, %.*s, is not that of X-Amz-Date, %.*s", MC_FMT(s->day), MC_FMT(s->time));
    return SIGV4_INVALID;
  }
  int64_t until_us = s->time_us + (s->presigned ? s->expires_s * INT64_C(1000000) : skew_us);
  if (now_us > until_us) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "Signature expired: signed at %.*s%s, and it is %s now; set the clock of this client", MC_FMT(s->time),
               s->presigned ? "" : ", good for 5 min", now);
    return SIGV4_INVALID;
  }
  if (s->time_us > now_us + skew_us) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "Signature not yet current: signed at %.*s, and it is %s now; set the clock of this client", MC_FMT(s->time), now);
    return SIGV4_INVALID;
  }
  return SIGV4_OK;
}

sigv4_fault sigv4_verify(const sigv4_request *r, const sigv4 *s, mc_slice secret, int64_t now_us, mc_why *why)
{
  char name[64], want[65] = "";
  mc_buf canonical = {0};
  const char *missing = left_out(r, s, name);
  if (missing) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED, "the header %s is not under the signature: SignedHeaders has to name it", missing);
    return SIGV4_INVALID;
  }
  sigv4_fault fault = check_time(s, now_us, why);
  if (!fault)
    fault = canonical_request(r, s, &canonical, why);
  if (!fault && mc_sigv4_sign(mc_buf_slice(&canonical), s->time, &(mc_sigv4_scope){s->day, s->region, s->service}, secret, want))
    fault = SIGV4_MEMORY;
  if (!fault && CRYPTO_memcmp(want, s->signature.data, 64) != 0) {
    mc_err_set(why, MC_ERR_UNAUTHENTICATED,
               "the request signature that was calculated does not match the one provided: check the secret access key and the way of signing");
    fault = SIGV4_INVALID;
  }
  if (fault == SIGV4_MEMORY)
    mc_err_set(why, MC_ERR_MEMORY, "the signature could not be computed: out of memory");
  OPENSSL_cleanse(want, sizeof want);
  mc_buf_free(&canonical);
  return fault;
}
