/* Multipart upload: files of any size in parts, whole or not there. */
#include <stdio.h>

#include "object/s3.h"

enum { PARTS_MAX = 10000 };

typedef struct upload {
  s3 *s;
  mc_slice bucket, key;
  mc_buf id;
  mc_buf list; /* the body of the last request */
} upload;

static mc_err begin(upload *u, const char *content_type, mc_why *why)
{
  s3_request r = {.method = "POST", .bucket = u->bucket, .key = u->key, .content_type = content_type, .limit = 1 << 16};
  r.query[r.query_count++] = (sigv4_pair){MC_LIT("uploads"), {0}};
  s3_answer a;
  mc_slice id;
  size_t at = 0;
  mc_err err = s3_send(u->s, &r, &a, why);
  if (!err) {
    err = s3_xml_next(mc_buf_slice(&a.body), &at, "UploadId", &id);
    if (!err)
      err = s3_xml_text(id, &u->id);
    if (err || !u->id.len)
      err = mc_err_set(why, MC_ERR_MALFORMED, "object store %s gave no upload id for %.*s", u->s->base.place, MC_FMT(u->key));
  }
  s3_answer_free(&a);
  return err;
}

static mc_err send_part(upload *u, unsigned number, mc_slice body, mc_why *why)
{
  char text[16];
  snprintf(text, sizeof text, "%u", number);
  s3_request r = {.method = "PUT", .bucket = u->bucket, .key = u->key, .body = body};
  r.query[r.query_count++] = (sigv4_pair){MC_LIT("partNumber"), mc_slice_str(text)};
  r.query[r.query_count++] = (sigv4_pair){MC_LIT("uploadId"), mc_buf_slice(&u->id)};
  s3_answer a;
  mc_err err = s3_send(u->s, &r, &a, why);
  if (!err && !a.etag[0])
    err = mc_err_set(why, MC_ERR_MALFORMED, "object store %s gave no ETag for part %u of %.*s", u->s->base.place, number, MC_FMT(u->key));
  if (!err)
    err = mc_buf_printf(&u->list, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", number, a.etag);
  s3_answer_free(&a);
  return err;
}

static mc_err send_parts(upload *u, const char *path, uint64_t size, mc_why *why)
{
  uint64_t part = u->s->part_bytes;
  if (size / part >= PARTS_MAX)
    part = size / (PARTS_MAX - 1) + 1;
  mc_buf body = {0};
  mc_file *file = NULL;
  mc_err err = mc_file_open(mc_fs_posix(), path, MC_FILE_READ, &file, why);
  if (!err)
    err = mc_buf_reserve(&body, (size_t)part);
  unsigned number = 1;
  for (uint64_t at = 0; at < size && !err; at += part, number++) {
    err = mc_file_pread(file, body.data, (size_t)(size - at < part ? size - at : part), at, &body.len, why);
    if (!err && body.len < part && at + body.len < size)
      err = mc_err_set(why, MC_ERR_TRUNCATED, "%s became shorter while it was sent", path);
    if (!err)
      err = send_part(u, number, mc_buf_slice(&body), why);
  }
  mc_file_close(&file);
  mc_buf_free(&body);
  return err;
}

static mc_err finish(upload *u, mc_why *why)
{
  MC_TRY(mc_buf_append_str(&u->list, "</CompleteMultipartUpload>"));
  s3_request r = {.method = "POST", .bucket = u->bucket, .key = u->key, .body = mc_buf_slice(&u->list), .content_type = "application/xml", .limit = 1 << 16};
  r.query[r.query_count++] = (sigv4_pair){MC_LIT("uploadId"), mc_buf_slice(&u->id)};
  s3_answer a;
  mc_slice text;
  size_t at = 0;
  mc_err err = s3_send(u->s, &r, &a, why);
  if (!err && !s3_xml_next(mc_buf_slice(&a.body), &at, "Error", &text)) /* 200 was sent before the work was done */
    err = mc_err_set(why, MC_ERR_IO, "object store %s could not put %.*s together: %.*s", u->s->base.place, MC_FMT(u->key), MC_FMT(mc_slice_sub(text, 0, 200)));
  s3_answer_free(&a);
  return err;
}

static void give_up(upload *u)
{
  s3_request r = {.method = "DELETE", .bucket = u->bucket, .key = u->key, .query = {{MC_LIT("uploadId"), mc_buf_slice(&u->id)}}, .query_count = 1};
  s3_answer a;
  s3_send(u->s, &r, &a, NULL);
  s3_answer_free(&a);
}

mc_err s3_put_parts(s3 *s, mc_slice bucket, mc_slice key, const char *path, uint64_t size, const char *content_type, mc_why *why)
{
  upload u = {.s = s, .bucket = bucket, .key = key};
  mc_err err = begin(&u, content_type, why);
  if (!err) {
    err = mc_buf_append_str(&u.list, "<CompleteMultipartUpload>");
    if (!err)
      err = send_parts(&u, path, size, why);
    if (!err)
      err = finish(&u, why);
    if (err)
      give_up(&u);
  }
  mc_buf_free(&u.id);
  mc_buf_free(&u.list);
  return err;
}
