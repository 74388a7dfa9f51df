#include "base/crc32c.h"
#include "base/log.h"
#include "journal/inside.h"

/* The offsets of the named consumers: in memory at once, on disk in one small file that the keeper replaces
 * whole a few times a second (README, `consumers`). Retention looks at what is on disk only. */

enum { VERSION = 1, HEAD = 24, NAME_MAX_BYTES = 63, FILE_LIMIT = 1 << 20 };

static bool name_ok(const char *name)
{
  size_t n = strlen(name);
  return n > 0 && n <= NAME_MAX_BYTES && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static mc_err check_name(const char *name, mc_why *why)
{
  return name_ok(name) ? MC_OK : mc_err_set(why, MC_ERR_INVALID, "consumer name \"%.80s\": must be 1 to %d of a-z, 0-9 and -", name, NAME_MAX_BYTES);
}

static uint64_t lowest(const mc_strmap *m)
{
  uint64_t low = UINT64_MAX, offset;
  mc_slice name;
  for (size_t at = 0; mc_strmap_next(m, &at, &name, &offset);)
    if (offset < low)
      low = offset;
  return low;
}

mc_err mc_journal_consumer_commit(mc_journal *j, const char *name, uint64_t offset, mc_why *why)
{
  MC_TRY(check_name(name, why));
  uint64_t end = atomic_load(&j->end);
  if (offset > end)
    return mc_err_set(why, MC_ERR_INVALID, "consumer %s: offset %llu lies beyond the journal's end %llu", name, (unsigned long long)offset,
                      (unsigned long long)end);
  pthread_mutex_lock(&j->consumer_lock);
  uint64_t old = UINT64_MAX;
  mc_err err = MC_OK;
  if (!mc_strmap_get(&j->consumers, mc_slice_str(name), &old) || old != offset) {
    err = mc_strmap_put(&j->consumers, mc_slice_str(name), offset);
    j->consumers_dirty |= !err;
    /* A new consumer, or one that goes back, holds its segments from now on, not only once it is on disk. */
    if (!err && offset < j->durable_low)
      j->durable_low = offset;
  }
  pthread_mutex_unlock(&j->consumer_lock);
  return err ? mc_err_set(why, err, "consumer %s: out of memory", name) : MC_OK;
}

mc_err mc_journal_consumer_offset(mc_journal *j, const char *name, uint64_t *offset)
{
  *offset = 0;
  pthread_mutex_lock(&j->consumer_lock);
  bool known = mc_strmap_get(&j->consumers, mc_slice_str(name), offset);
  pthread_mutex_unlock(&j->consumer_lock);
  return known ? MC_OK : MC_ERR_NOT_FOUND;
}

mc_err mc_journal_consumer_remove(mc_journal *j, const char *name, mc_why *why)
{
  MC_TRY(check_name(name, why));
  pthread_mutex_lock(&j->consumer_lock);
  bool known = mc_strmap_remove(&j->consumers, mc_slice_str(name), NULL);
  j->consumers_dirty |= known;
  pthread_mutex_unlock(&j->consumer_lock);
  return known ? MC_OK : mc_err_set(why, MC_ERR_NOT_FOUND, "consumer %s: there is none of that name", name);
}

/* ---- the file ---- */

static mc_err encode(const mc_journal *j, mc_buf *out)
{
  uint8_t head[HEAD] = {VERSION, 'C', 'N', 'S'};
  mc_store_le32(head + 4, (uint32_t)j->consumers.len);
  memcpy(head + 8, j->id, MC_JOURNAL_ID);
  MC_TRY(mc_buf_append(out, head, sizeof head));
  mc_slice name;
  uint64_t offset;
  for (size_t at = 0; mc_strmap_next(&j->consumers, &at, &name, &offset);) {
    MC_TRY(mc_buf_append(out, &offset, sizeof offset));
    MC_TRY(mc_buf_append_u8(out, (uint8_t)name.len));
    MC_TRY(mc_buf_append_slice(out, name));
  }
  uint32_t crc = mc_crc32c(0, out->data, out->len);
  return mc_buf_append(out, &crc, sizeof crc);
}

static void path_of(const mc_journal *j, char *out, size_t size)
{
  mc_segment_name(j->dir, "consumers", out, size);
}

mc_err mc_consumers_flush(mc_journal *j, mc_why *why)
{
  mc_buf bytes = {0};
  pthread_mutex_lock(&j->consumer_lock);
  bool dirty = j->consumers_dirty;
  uint64_t low = lowest(&j->consumers);
  mc_err err = dirty ? encode(j, &bytes) : MC_OK;
  if (!err)
    j->consumers_dirty = false;
  pthread_mutex_unlock(&j->consumer_lock);
  if (!dirty)
    return MC_OK;
  char path[MC_JOURNAL_PATH];
  path_of(j, path, sizeof path);
  if (!err)
    err = mc_fs_replace(j->fs, path, mc_buf_slice(&bytes), 0600, why);
  else
    mc_err_set(why, err, "consumers of %s: out of memory", j->dir);
  mc_buf_free(&bytes);
  pthread_mutex_lock(&j->consumer_lock);
  if (err) {
    j->consumers_dirty = true;
  } else {
    uint64_t now = lowest(&j->consumers); /* one may have come, or gone back, meanwhile */
    j->durable_low = now < low ? now : low;
  }
  pthread_mutex_unlock(&j->consumer_lock);
  return err;
}

/* id NULL: of any journal. */
static mc_err decode(mc_slice in, const uint8_t *id, mc_journal_consumer_visit visit, void *ctx)
{
  if (in.len < HEAD + 4 || in.data[0] != VERSION || memcmp(in.data + 1, "CNS", 3) != 0)
    return MC_ERR_MALFORMED;
  if (mc_crc32c(0, in.data, in.len - 4) != mc_load_le32(in.data + in.len - 4))
    return MC_ERR_CHECKSUM;
  if (id && memcmp(in.data + 8, id, MC_JOURNAL_ID) != 0)
    return MC_ERR_CONFLICT;
  mc_cursor c = mc_cursor_of(mc_slice_sub(in, HEAD, in.len - HEAD - 4));
  for (uint32_t left = mc_load_le32(in.data + 4); left; left--) {
    uint64_t offset = mc_cursor_le64(&c);
    mc_slice name = mc_cursor_bytes(&c, mc_cursor_u8(&c));
    if (!c.ok || !name.len)
      return MC_ERR_MALFORMED;
    MC_TRY(visit(ctx, name, offset));
  }
  return mc_cursor_left(&c) ? MC_ERR_MALFORMED : MC_OK;
}

static mc_err take_offset(void *ctx, mc_slice name, uint64_t offset)
{
  mc_journal *j = ctx;
  uint64_t end = atomic_load(&j->end);
  return mc_strmap_put(&j->consumers, name, offset < end ? offset : end);
}

mc_err mc_journal_consumers_read(const mc_fs *fs, const char *dir, mc_journal_consumer_visit visit, void *ctx, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  mc_buf bytes = {0};
  mc_segment_name(dir, "consumers", path, sizeof path);
  mc_err err = mc_fs_read(fs, path, FILE_LIMIT, &bytes, why);
  if (err == MC_ERR_NOT_FOUND)
    return MC_OK;
  if (err)
    return err;
  err = decode(mc_buf_slice(&bytes), NULL, visit, ctx);
  mc_buf_free(&bytes);
  return err ? mc_err_set(why, err, "%s: %s", path, mc_err_text(err)) : MC_OK;
}

mc_err mc_consumers_load(mc_journal *j, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  mc_buf bytes = {0};
  path_of(j, path, sizeof path);
  mc_err err = mc_fs_read(j->fs, path, FILE_LIMIT, &bytes, why);
  if (err == MC_ERR_NOT_FOUND) {
    j->durable_low = UINT64_MAX;
    return MC_OK;
  }
  if (err)
    return err;
  err = decode(mc_buf_slice(&bytes), j->id, take_offset, j);
  mc_buf_free(&bytes);
  if (err == MC_ERR_MEMORY)
    return mc_err_set(why, err, "%s: out of memory", path);
  if (err) {
    /* Not worth refusing to start: whoever lost its offset reads again. The file is kept for a look. */
    char aside[MC_JOURNAL_PATH];
    mc_segment_name(j->dir, "consumers.damaged", aside, sizeof aside);
    mc_strmap_free(&j->consumers);
    mc_log(MC_LOG_ERROR, "journal", "consumers' offsets cannot be used; every consumer reads again from the oldest record",
           MC_KZ("file", path), MC_KZ("kept_as", aside), MC_KZ("error", mc_err_text(err)));
    MC_TRY(mc_fs_rename(j->fs, path, aside, why));
  }
  j->durable_low = lowest(&j->consumers);
  return MC_OK;
}
