/* Any S3: the store's calls as requests. */
#include "object/s3.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

enum { PART_MIN = 5 << 20, PART_DEFAULT = 16 << 20, TRIES = 5, PAUSE_MS = 200, STALL_MS = 30000, PAGE = 1000 };

static mc_err put(mc_object_store *store, mc_slice bucket, mc_slice key, mc_slice content, const char *content_type, unsigned flags, mc_why *why)
{
  s3_request r = {.method = "PUT", .bucket = bucket, .key = key, .body = content, .content_type = content_type, .if_absent = flags & MC_OBJECT_IF_ABSENT};
  s3_answer a;
  mc_err err = s3_send((s3 *)store, &r, &a, why);
  s3_answer_free(&a);
  return err;
}

static mc_err put_file(mc_object_store *store, mc_slice bucket, mc_slice key, const char *path, const char *content_type, mc_why *why)
{
  s3 *s = (s3 *)store;
  mc_file *file;
  uint64_t size;
  MC_TRY(mc_file_open(mc_fs_posix(), path, MC_FILE_READ, &file, why));
  mc_err err = mc_file_size(file, &size, why);
  mc_file_close(&file);
  MC_TRY(err);
  if (size > s->part_bytes)
    return s3_put_parts(s, bucket, key, path, size, content_type, why);
  mc_buf content = {0};
  err = mc_fs_read(mc_fs_posix(), path, (size_t)s->part_bytes, &content, why);
  if (!err)
    err = put(store, bucket, key, mc_buf_slice(&content), content_type, 0, why);
  mc_buf_free(&content);
  return err;
}

static mc_err get(mc_object_store *store, mc_slice bucket, mc_slice key, uint64_t offset, uint64_t len, size_t limit, mc_buf *out, mc_why *why)
{
  char range[64];
  if (len == 0)
    return MC_OK;
  bool open = len == UINT64_MAX || offset + len < offset;
  if (open)
    snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)offset);
  else
    snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)offset, (unsigned long long)(offset + len - 1));
  bool whole = offset == 0 && len == UINT64_MAX;
  s3_request r = {.method = "GET", .bucket = bucket, .key = key, .range = whole ? NULL : range, .limit = limit};
  s3_answer a;
  mc_err err = s3_send((s3 *)store, &r, &a, why);
  if (err == MC_ERR_INVALID && a.status == 416) /* behind the end: nothing is there */
    err = MC_OK;
  else if (!err)
    err = mc_buf_append_slice(out, mc_buf_slice(&a.body));
  s3_answer_free(&a);
  return err;
}

static mc_err head(mc_object_store *store, mc_slice bucket, mc_slice key, mc_object_info *out, mc_why *why)
{
  s3_request r = {.method = "HEAD", .bucket = bucket, .key = key};
  s3_answer a;
  mc_err err = s3_send((s3 *)store, &r, &a, why);
  out->size = a.length;
  out->changed_us = a.changed_us;
  s3_answer_free(&a);
  return err;
}

static mc_err list_one(s3 *s, mc_slice bucket, mc_slice prefix, mc_slice after, mc_slice token, size_t limit, s3_answer *a, mc_why *why)
{
  char page[16];
  snprintf(page, sizeof page, "%zu", limit < PAGE ? limit : (size_t)PAGE);
  s3_request r = {.method = "GET", .bucket = bucket, .limit = S3_ANSWER_MAX};
  r.query[r.query_count++] = (sigv4_pair){MC_LIT("list-type"), MC_LIT("2")};
  r.query[r.query_count++] = (sigv4_pair){MC_LIT("max-keys"), mc_slice_str(page)};
  r.query[r.query_count++] = (sigv4_pair){MC_LIT("prefix"), prefix};
  if (token.len)
    r.query[r.query_count++] = (sigv4_pair){MC_LIT("continuation-token"), token};
  else if (after.len)
    r.query[r.query_count++] = (sigv4_pair){MC_LIT("start-after"), after};
  return s3_send(s, &r, a, why);
}

static mc_err list(mc_object_store *store, mc_slice bucket, mc_slice prefix, mc_slice after, size_t limit, mc_object_visit visit, void *ctx, mc_why *why)
{
  mc_buf token = {0};
  bool more = true;
  mc_err err = MC_OK;
  while (more && limit && !err) {
    s3_answer a;
    err = list_one((s3 *)store, bucket, prefix, after, mc_buf_slice(&token), limit, &a, why);
    if (!err)
      err = s3_list_page(mc_buf_slice(&a.body), visit, ctx, &limit, &more, &token, why);
    s3_answer_free(&a);
  }
  mc_buf_free(&token);
  return err;
}

static mc_err remove_object(mc_object_store *store, mc_slice bucket, mc_slice key, mc_why *why)
{
  s3_request r = {.method = "DELETE", .bucket = bucket, .key = key};
  s3_answer a;
  mc_err err = s3_send((s3 *)store, &r, &a, why);
  s3_answer_free(&a);
  return err == MC_ERR_NOT_FOUND ? MC_OK : err;
}

static mc_err presign(mc_object_store *store, mc_slice bucket, mc_slice key, uint32_t expires_s, mc_buf *url, mc_why *why)
{
  s3 *s = (s3 *)store;
  char time[SIGV4_TIME];
  mc_buf host = {0}, path = {0};
  sigv4_time(mc_clock_wall_us(), time);
  mc_err err = s->virtual_host ? mc_buf_printf(&host, "%.*s.%s", MC_FMT(bucket), s->host) : mc_buf_append_str(&host, s->host);
  if (!err)
    err = s->virtual_host ? mc_buf_printf(&path, "%s/", s->root) : mc_buf_printf(&path, "%s/%.*s/", s->root, MC_FMT(bucket));
  if (!err)
    err = mc_buf_append_slice(&path, key);
  sigv4_pair header = {MC_LIT("host"), mc_buf_slice(&host)};
  sigv4_request r = {.method = "GET", .path = mc_buf_slice(&path), .header = &header, .header_count = 1};
  sigv4_key signer = {mc_slice_str(s->access_key), mc_slice_str(s->secret), mc_slice_str(s->token), mc_slice_str(s->region), MC_LIT("s3")};
  if (!err)
    err = mc_buf_printf(url, "%s://%.*s", s->scheme, MC_FMT(mc_buf_slice(&host)));
  if (!err)
    err = sigv4_encode(mc_buf_slice(&path), true, url);
  if (!err)
    err = mc_buf_append_str(url, "?");
  if (!err)
    err = sigv4_presign(&signer, &r, time, expires_s, url);
  mc_buf_free(&host);
  mc_buf_free(&path);
  return err ? mc_err_set(why, err, "signing a URL: %s", mc_err_text(err)) : MC_OK;
}

static void close_s3(mc_object_store *store)
{
  s3 *s = (s3 *)store;
  for (size_t i = 0; i < s->idle_count; i++)
    curl_easy_cleanup(s->idle[i]);
  char *owned[] = {s->scheme, s->host, s->root, s->region, s->access_key, s->secret, s->token, s->ca_file, s->proxy};
  for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
    free(owned[i]);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

static const object_kind kind = {put, put_file, get, head, list, remove_object, presign, close_s3};

static mc_err split_endpoint(s3 *s, const char *endpoint, mc_why *why)
{
  mc_slice e = mc_slice_str(endpoint);
  bool tls = mc_slice_starts(e, MC_LIT("https://"));
  size_t from = tls ? 8 : 7;
  if (!tls && !mc_slice_starts(e, MC_LIT("http://")))
    return mc_err_set(why, MC_ERR_INVALID, "object store endpoint \"%s\": expected http://HOST[:PORT] or https://HOST[:PORT]", endpoint);
  size_t slash = mc_slice_find(e, '/', from);
  mc_slice host = mc_slice_sub(e, from, slash - from), root = mc_slice_sub(e, slash, e.len);
  while (root.len && root.data[root.len - 1] == '/')
    root.len--;
  for (size_t i = 0; i < e.len; i++)
    if (e.data[i] <= ' ' || e.data[i] == '?' || e.data[i] == '#' || e.data[i] == '@')
      host.len = 0;
  if (!host.len)
    return mc_err_set(why, MC_ERR_INVALID, "object store endpoint \"%s\": expected http://HOST[:PORT] or https://HOST[:PORT]", endpoint);
  s->scheme = strdup(tls ? "https" : "http");
  s->host = strndup((const char *)host.data, host.len);
  s->root = strndup(root.len ? (const char *)root.data : "", root.len);
  return s->scheme && s->host && s->root ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "out of memory for the object store");
}

static bool copy(char **to, const char *from, const char *otherwise)
{
  if (!from)
    from = otherwise;
  *to = from ? strdup(from) : NULL;
  return !from || *to;
}

static void start_curl(void)
{
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

mc_err mc_object_open_s3(const mc_object_s3 *config, mc_object_store **out, mc_why *why)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  *out = NULL;
  if (!config->endpoint || !config->access_key || !config->access_key[0] || !config->secret || !config->secret[0])
    return mc_err_set(why, MC_ERR_INVALID, "an S3 needs an endpoint, an access key and its secret");
  pthread_once(&once, start_curl);
  s3 *s = calloc(1, sizeof *s);
  if (!s)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the object store");
  s->base.kind = &kind;
  pthread_mutex_init(&s->lock, NULL);
  s->virtual_host = config->virtual_host;
  s->part_bytes = config->part_bytes ? config->part_bytes : PART_DEFAULT;
  if (s->part_bytes < PART_MIN)
    s->part_bytes = PART_MIN;
  s->tries = config->tries ? config->tries : TRIES;
  s->pause_ms = config->pause_ms ? config->pause_ms : PAUSE_MS;
  s->stall_ms = config->stall_ms ? config->stall_ms : STALL_MS;
  mc_err err = split_endpoint(s, config->endpoint, why);
  if (!err && !(copy(&s->region, config->region, "us-east-1") && copy(&s->access_key, config->access_key, NULL) &&
                copy(&s->secret, config->secret, NULL) && copy(&s->token, config->token, NULL) && copy(&s->ca_file, config->ca_file, NULL) &&
                copy(&s->proxy, config->proxy, NULL) && copy(&s->base.place, config->endpoint, NULL)))
    err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for the object store");
  *out = &s->base;
  if (err)
    mc_object_close(out);
  return err;
}
