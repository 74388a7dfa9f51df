/* A request: signed, sent by libcurl, tried again when the network or the server was at fault. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "object/s3.h"

enum { CONNECT_MS = 10000, PAUSE_MAX_MS = 20000, MAX_HEADERS = 8 };

typedef struct transfer {
  const s3_request *request;
  s3_answer *answer;
  size_t sent;
  bool too_large;
  const s3 *s;
  uint32_t stall_ms;
  curl_off_t moved; /* bytes both ways, and when they last became more */
  int64_t moved_us;
  bool stalled;
} transfer;

/* libcurl's own low-speed limit averages over seconds; this does not. */
static int watch(void *ctx, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
  transfer *t = ctx;
  int64_t now = mc_clock_mono_us();
  (void)down_all;
  (void)up_all;
  if (down + up != t->moved || !t->moved_us) {
    t->moved = down + up;
    t->moved_us = now;
  }
  t->stalled = now - t->moved_us > (int64_t)t->stall_ms * 1000;
  return t->stalled || atomic_load(&t->s->base.stopping);
}

static size_t take_body(char *data, size_t size, size_t count, void *ctx)
{
  transfer *t = ctx;
  size_t len = size * count;
  bool refused = t->answer->status >= 300;
  size_t limit = refused || t->request->limit == 0 ? 1 << 16 : t->request->limit;
  if (t->answer->body.len + len > limit) {
    t->too_large = !refused;
    return refused ? len : 0; /* of an error the beginning is enough */
  }
  return mc_buf_append(&t->answer->body, data, len) ? 0 : len;
}

static size_t give_body(char *out, size_t size, size_t count, void *ctx)
{
  transfer *t = ctx;
  mc_slice rest = mc_slice_sub(t->request->body, t->sent, size * count);
  if (rest.len)
    memcpy(out, rest.data, rest.len);
  t->sent += rest.len;
  return rest.len;
}

static int rewind_body(void *ctx, curl_off_t offset, int origin)
{
  transfer *t = ctx;
  if (origin != SEEK_SET || offset < 0 || (size_t)offset > t->request->body.len)
    return CURL_SEEKFUNC_FAIL;
  t->sent = (size_t)offset;
  return CURL_SEEKFUNC_OK;
}

static bool header_is(mc_slice line, const char *name, mc_slice *value)
{
  size_t n = strlen(name);
  if (line.len <= n || line.data[n] != ':' || strncasecmp((const char *)line.data, name, n) != 0)
    return false;
  *value = mc_slice_trim(mc_slice_sub(line, n + 1, line.len));
  return true;
}

static size_t take_header(char *data, size_t size, size_t count, void *ctx)
{
  transfer *t = ctx;
  mc_slice line = mc_slice_of(data, size * count), value;
  if (mc_slice_starts(line, MC_LIT("HTTP/"))) {
    size_t space = mc_slice_find(line, ' ', 0);
    uint64_t status = 0;
    mc_slice_to_u64(mc_slice_sub(line, space + 1, 3), &status);
    t->answer->status = (long)status;
  } else if (header_is(line, "etag", &value)) {
    mc_slice_to_str(value, t->answer->etag, sizeof t->answer->etag);
  } else if (header_is(line, "content-length", &value)) {
    if (mc_slice_to_u64(value, &t->answer->length))
      t->answer->length = 0;
  } else if (header_is(line, "last-modified", &value)) {
    char text[64];
    mc_slice_to_str(value, text, sizeof text);
    time_t when = curl_getdate(text, NULL);
    t->answer->changed_us = when < 0 ? 0 : (int64_t)when * 1000000;
  }
  return size * count;
}

static CURL *take_handle(s3 *s)
{
  CURL *handle = NULL;
  pthread_mutex_lock(&s->lock);
  if (s->idle_count)
    handle = s->idle[--s->idle_count];
  pthread_mutex_unlock(&s->lock);
  return handle ? handle : curl_easy_init();
}

static void give_handle(s3 *s, CURL *handle)
{
  curl_easy_reset(handle); /* keeps its connections */
  pthread_mutex_lock(&s->lock);
  bool kept = s->idle_count < S3_IDLE_MAX;
  if (kept)
    s->idle[s->idle_count++] = handle;
  pthread_mutex_unlock(&s->lock);
  if (!kept)
    curl_easy_cleanup(handle);
}

/* Host and path of the request, as they are signed. */
static mc_err address(const s3 *s, const s3_request *r, mc_buf *host, mc_buf *path)
{
  if (s->virtual_host)
    MC_TRY(mc_buf_printf(host, "%.*s.%s", MC_FMT(r->bucket), s->host));
  else
    MC_TRY(mc_buf_append_str(host, s->host));
  MC_TRY(mc_buf_append_str(path, s->root));
  if (!s->virtual_host)
    MC_TRY(mc_buf_printf(path, "/%.*s", MC_FMT(r->bucket)));
  MC_TRY(mc_buf_append_str(path, "/"));
  return mc_buf_append_slice(path, r->key);
}

static size_t headers_of(const s3 *s, const s3_request *r, mc_slice host, const char *time, const char *hash, sigv4_pair out[MAX_HEADERS])
{
  size_t n = 0;
  out[n++] = (sigv4_pair){MC_LIT("host"), host};
  out[n++] = (sigv4_pair){MC_LIT("x-amz-date"), mc_slice_str(time)};
  out[n++] = (sigv4_pair){MC_LIT("x-amz-content-sha256"), mc_slice_str(hash)};
  if (s->token)
    out[n++] = (sigv4_pair){MC_LIT("x-amz-security-token"), mc_slice_str(s->token)};
  if (r->content_type)
    out[n++] = (sigv4_pair){MC_LIT("content-type"), mc_slice_str(r->content_type)};
  if (r->range)
    out[n++] = (sigv4_pair){MC_LIT("range"), mc_slice_str(r->range)};
  if (r->if_absent)
    out[n++] = (sigv4_pair){MC_LIT("if-none-match"), MC_LIT("*")};
  return n;
}

/* An empty value takes libcurl's own line of this name away. */
static mc_err add_line(struct curl_slist **list, mc_slice name, mc_slice value)
{
  char *line;
  if (asprintf(&line, "%.*s:%s%.*s", MC_FMT(name), value.len ? " " : "", MC_FMT(value)) < 0)
    return MC_ERR_MEMORY;
  struct curl_slist *longer = curl_slist_append(*list, line);
  free(line);
  if (!longer)
    return MC_ERR_MEMORY;
  *list = longer;
  return MC_OK;
}

/* URL and header lines of one attempt: each is signed anew, since the time is. */
static mc_err prepare(const s3 *s, const s3_request *r, mc_buf *url, struct curl_slist **lines)
{
  mc_buf host = {0}, path = {0}, authorization = {0};
  sigv4_pair header[MAX_HEADERS];
  char time[SIGV4_TIME], hash[MC_SIGV4_HEX];
  sigv4_time(mc_clock_wall_us(), time);
  mc_sigv4_sha256(r->body, hash);
  mc_err err = address(s, r, &host, &path);
  size_t count = headers_of(s, r, mc_buf_slice(&host), time, hash, header);
  sigv4_request signing = {r->method, mc_buf_slice(&path), r->query, r->query_count, header, count, mc_slice_str(hash)};
  sigv4_key key = {mc_slice_str(s->access_key), mc_slice_str(s->secret), mc_slice_str(s->token), mc_slice_str(s->region), MC_LIT("s3")};
  if (!err)
    err = sigv4_authorization(&key, &signing, time, &authorization);
  for (size_t i = 1; i < count && !err; i++) /* libcurl makes the host line from the URL */
    err = add_line(lines, header[i].name, header[i].value);
  if (!err)
    err = add_line(lines, MC_LIT("authorization"), mc_buf_slice(&authorization));
  if (!err)
    err = add_line(lines, MC_LIT("expect"), (mc_slice){0}); /* no waiting for 100 */
  if (!err)
    err = mc_buf_printf(url, "%s://%.*s", s->scheme, MC_FMT(mc_buf_slice(&host)));
  if (!err)
    err = sigv4_encode(mc_buf_slice(&path), true, url);
  if (!err && r->query_count)
    err = mc_buf_append_str(url, "?");
  if (!err)
    err = sigv4_query(r->query, r->query_count, url);
  if (!err)
    err = mc_buf_append_u8(url, 0);
  mc_buf_free(&host);
  mc_buf_free(&path);
  mc_buf_free(&authorization);
  return err;
}

static void set_method(CURL *c, const s3_request *r)
{
  if (!strcmp(r->method, "HEAD")) {
    curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
  } else if (!strcmp(r->method, "PUT")) {
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body.len);
  } else if (!strcmp(r->method, "POST")) {
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body.len ? (const char *)r->body.data : "");
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
  } else if (!strcmp(r->method, "DELETE")) {
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "DELETE");
  }
}

static void set_options(CURL *c, const s3 *s, const char *url, struct curl_slist *lines, transfer *t)
{
  curl_easy_setopt(c, CURLOPT_URL, url);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines);
  curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(c, CURLOPT_PROXY, s->proxy ? s->proxy : "");
  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
  curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch);
  curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
  if (s->ca_file)
    curl_easy_setopt(c, CURLOPT_CAINFO, s->ca_file);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
  curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
  curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body);
  curl_easy_setopt(c, CURLOPT_READDATA, t);
  curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, rewind_body);
  curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
  set_method(c, t->request);
}

static mc_err transport_error(const s3 *s, CURLcode code, const char *detail, mc_why *why)
{
  mc_err err = MC_ERR_IO;
  if (code == CURLE_OPERATION_TIMEDOUT)
    err = MC_ERR_TIMEOUT;
  else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SSL_CACERT_BADFILE)
    err = MC_ERR_TLS;
  else if (code == CURLE_OUT_OF_MEMORY)
    err = MC_ERR_MEMORY;
  return mc_err_set(why, err, "object store %s: %s", s->base.place, detail[0] ? detail : curl_easy_strerror(code));
}

/* What a status that is no success means, in the server's words. */
static mc_err status_error(const s3 *s, const s3_request *r, const s3_answer *a, mc_why *why)
{
  mc_slice code = {0}, message = {0};
  size_t at = 0;
  s3_xml_next(mc_buf_slice(&a->body), &at, "Code", &code);
  at = 0;
  s3_xml_next(mc_buf_slice(&a->body), &at, "Message", &message);
  mc_err err = a->status == 404                       ? MC_ERR_NOT_FOUND
               : a->status == 401 || a->status == 403 ? MC_ERR_DENIED
               : a->status == 412                     ? MC_ERR_EXISTS
               : a->status == 409                     ? MC_ERR_CONFLICT
               : a->status == 507                     ? MC_ERR_FULL
               : a->status >= 400 && a->status < 500  ? MC_ERR_INVALID
                                                      : MC_ERR_IO;
  if (a->status >= 300 && a->status < 400)
    return mc_err_set(why, MC_ERR_INVALID, "object store %s: bucket %.*s is elsewhere (%ld %.*s): set the endpoint and region it names", s->base.place,
                      MC_FMT(r->bucket), a->status, MC_FMT(mc_slice_sub(code, 0, 60)));
  return mc_err_set(why, err, "object store %s: %s %.*s/%.*s: %ld %.*s%s%.*s", s->base.place, r->method, MC_FMT(r->bucket),
                    MC_FMT(mc_slice_sub(r->key, 0, 120)), a->status, MC_FMT(mc_slice_sub(code, 0, 60)), message.len ? ": " : "",
                    MC_FMT(mc_slice_sub(message, 0, 200)));
}

static mc_err send_once(s3 *s, const s3_request *r, s3_answer *out, bool *again, mc_why *why)
{
  mc_buf url = {0};
  struct curl_slist *lines = NULL;
  char detail[CURL_ERROR_SIZE] = "";
  transfer t = {.request = r, .answer = out, .s = s, .stall_ms = s->stall_ms};
  *again = false;
  mc_buf_clear(&out->body);
  *out = (s3_answer){.body = out->body};
  CURL *c = take_handle(s);
  mc_err err = c ? prepare(s, r, &url, &lines) : MC_ERR_MEMORY;
  if (err) {
    mc_err_set(why, err, "object store %s: %s", s->base.place, mc_err_text(err));
  } else {
    set_options(c, s, (const char *)url.data, lines, &t);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(c);
    if (t.too_large) {
      err = mc_err_set(why, MC_ERR_TOO_LARGE, "object %.*s is larger than %zu bytes", MC_FMT(r->key), r->limit);
    } else if (code != CURLE_OK && atomic_load(&s->base.stopping)) {
      err = mc_err_set(why, MC_ERR_CLOSED, "object store %s: we are shutting down", s->base.place);
    } else if (t.stalled) {
      err = mc_err_set(why, MC_ERR_TIMEOUT, "object store %s: nothing moved for %u ms", s->base.place, s->stall_ms);
      *again = true;
    } else if (code != CURLE_OK) {
      err = transport_error(s, code, detail, why);
      *again = err != MC_ERR_TLS && err != MC_ERR_MEMORY;
    } else if (out->status < 200 || out->status >= 300) {
      err = status_error(s, r, out, why);
      *again = out->status >= 500 || out->status == 429 || out->status == 408 || (out->status == 409 && r->if_absent);
    }
  }
  if (c)
    give_handle(s, c);
  curl_slist_free_all(lines);
  mc_buf_free(&url);
  return err;
}

/* Doubling, with up to half of it at random: clients that failed together do not come back together. */
static void pause_before(const s3 *s, uint32_t attempt)
{
  uint64_t ms = (uint64_t)s->pause_ms << (attempt < 16 ? attempt : 16);
  uint32_t random = 0;
  if (ms > PAUSE_MAX_MS)
    ms = PAUSE_MAX_MS;
  RAND_bytes((unsigned char *)&random, sizeof random);
  usleep((useconds_t)((ms / 2 + random % (ms / 2 + 1)) * 1000));
}

mc_err s3_send(s3 *s, const s3_request *r, s3_answer *out, mc_why *why)
{
  bool again;
  *out = (s3_answer){0};
  mc_err err = send_once(s, r, out, &again, why);
  for (uint32_t attempt = 1; err && again && attempt < s->tries && !atomic_load(&s->base.stopping); attempt++) {
    pause_before(s, attempt - 1);
    err = send_once(s, r, out, &again, why);
  }
  return err;
}

void s3_answer_free(s3_answer *a)
{
  mc_buf_free(&a->body);
}
