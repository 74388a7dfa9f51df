/* Names, and the way to the kind. */
#include <stdlib.h>

#include "object/kind.h"

enum { BUCKET_MIN = 3, BUCKET_MAX = 63, KEY_MAX = 1024, SEGMENT_MAX = 255, PRESIGN_MAX_S = 604800 };

bool mc_object_bucket_valid(mc_slice bucket)
{
  if (bucket.len < BUCKET_MIN || bucket.len > BUCKET_MAX)
    return false;
  for (size_t i = 0; i < bucket.len; i++) {
    uint8_t c = bucket.data[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!plain && (i == 0 || i + 1 == bucket.len || (c != '.' && c != '-')))
      return false;
    if (c == '.' && bucket.data[i - 1] == '.')
      return false;
  }
  return true;
}

static bool segment_valid(mc_slice s)
{
  return s.len > 0 && s.len <= SEGMENT_MAX && !mc_slice_eq_str(s, ".") && !mc_slice_eq_str(s, "..");
}

bool mc_object_key_valid(mc_slice key)
{
  if (key.len == 0 || key.len > KEY_MAX || !mc_slice_is_utf8(key))
    return false;
  for (size_t i = 0; i < key.len; i++)
    if (key.data[i] < 0x20 || key.data[i] == 0x7F)
      return false;
  for (size_t at = 0; at <= key.len;) {
    size_t end = mc_slice_find(key, '/', at);
    if (!segment_valid(mc_slice_sub(key, at, end - at)))
      return false;
    at = end + 1;
  }
  return true;
}

static mc_err check_bucket(mc_slice bucket, mc_why *why)
{
  return mc_object_bucket_valid(bucket) ? MC_OK
                                        : mc_err_set(why, MC_ERR_INVALID, "bucket \"%.*s\": 3 to 63 of a-z, 0-9, dot and hyphen, from letter or digit to letter or digit",
                                                     MC_FMT(mc_slice_sub(bucket, 0, 80)));
}

static mc_err check(mc_slice bucket, mc_slice key, mc_why *why)
{
  MC_TRY(check_bucket(bucket, why));
  return mc_object_key_valid(key) ? MC_OK
                                  : mc_err_set(why, MC_ERR_INVALID,
                                               "object key \"%.*s\": 1 to 1,024 bytes of UTF-8 without control characters; segments not empty, not . or .., at most 255 bytes",
                                               MC_FMT(mc_slice_sub(key, 0, 120)));
}

mc_err mc_object_put(mc_object_store *s, mc_slice bucket, mc_slice key, mc_slice content, const char *content_type, unsigned flags, mc_why *why)
{
  MC_TRY(check(bucket, key, why));
  return s->kind->put(s, bucket, key, content, content_type, flags, why);
}

mc_err mc_object_put_file(mc_object_store *s, mc_slice bucket, mc_slice key, const char *path, const char *content_type, mc_why *why)
{
  MC_TRY(check(bucket, key, why));
  return s->kind->put_file(s, bucket, key, path, content_type, why);
}

mc_err mc_object_get(mc_object_store *s, mc_slice bucket, mc_slice key, uint64_t offset, uint64_t len, size_t limit, mc_buf *out, mc_why *why)
{
  MC_TRY(check(bucket, key, why));
  return s->kind->get(s, bucket, key, offset, len, limit, out, why);
}

mc_err mc_object_head(mc_object_store *s, mc_slice bucket, mc_slice key, mc_object_info *out, mc_why *why)
{
  *out = (mc_object_info){.key = key};
  MC_TRY(check(bucket, key, why));
  return s->kind->head(s, bucket, key, out, why);
}

mc_err mc_object_list(mc_object_store *s, mc_slice bucket, mc_slice prefix, mc_slice after, size_t limit, mc_object_visit visit, void *ctx, mc_why *why)
{
  MC_TRY(check_bucket(bucket, why));
  return limit ? s->kind->list(s, bucket, prefix, after, limit, visit, ctx, why) : MC_OK;
}

mc_err mc_object_remove(mc_object_store *s, mc_slice bucket, mc_slice key, mc_why *why)
{
  MC_TRY(check(bucket, key, why));
  return s->kind->remove(s, bucket, key, why);
}

mc_err mc_object_presign(mc_object_store *s, mc_slice bucket, mc_slice key, uint32_t expires_s, mc_buf *url, mc_why *why)
{
  MC_TRY(check(bucket, key, why));
  if (expires_s < 1 || expires_s > PRESIGN_MAX_S)
    return mc_err_set(why, MC_ERR_INVALID, "a signed URL lasts 1 to %d seconds, not %u", PRESIGN_MAX_S, expires_s);
  return s->kind->presign(s, bucket, key, expires_s, url, why);
}

const char *mc_object_place(const mc_object_store *store)
{
  return store->place;
}

void mc_object_stop(mc_object_store *store)
{
  atomic_store(&store->stopping, true);
}

void mc_object_close(mc_object_store **store)
{
  if (!*store)
    return;
  free((*store)->place);
  (*store)->kind->close(*store);
  *store = NULL;
}
