#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file_ring.h"

/* The public face: checks arguments and passes the seam. The system itself is in file_posix.c. */

mc_err mc_file_open(const mc_fs *fs, const char *path, int flags, mc_file **out, mc_why *why)
{
  *out = NULL;
  if (!(flags & (MC_FILE_READ | MC_FILE_WRITE)))
    return mc_err_set(why, MC_ERR_INVALID, "open %s: neither read nor write was asked for", path);
  if ((flags & (MC_FILE_CREATE | MC_FILE_TRUNCATE)) && !(flags & MC_FILE_WRITE))
    return mc_err_set(why, MC_ERR_INVALID, "open %s: create or truncate without write", path);
  return fs->ops->open(fs, path, flags, 0600, out, why);
}

void mc_file_close(mc_file **file)
{
  if (*file)
    (*file)->ops->close(*file);
  *file = NULL;
}

mc_err mc_file_pread(mc_file *file, void *out, size_t len, uint64_t offset, size_t *got, mc_why *why)
{
  *got = 0;
  if (offset > INT64_MAX || len > INT64_MAX - offset)
    return mc_err_set(why, MC_ERR_INVALID, "read %s: offset %llu is out of range", file->path, (unsigned long long)offset);
  return file->ops->pread(file, out, len, offset, got, why);
}

mc_err mc_file_pwrite(mc_file *file, const void *data, size_t len, uint64_t offset, mc_why *why)
{
  return mc_file_pwritev(file, &(mc_iov){data, len}, 1, offset, why);
}

static mc_err check_range(const mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    if (mc_add_overflows(total, iov[i].len, &total))
      total = SIZE_MAX;
  if (offset > INT64_MAX || total > INT64_MAX - offset)
    return mc_err_set(why, MC_ERR_INVALID, "write %s: %zu bytes at %llu are out of range", file->path, total, (unsigned long long)offset);
  return MC_OK;
}

mc_err mc_file_pwritev(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  MC_TRY(check_range(file, iov, count, offset, why));
  return file->ops->pwritev(file, iov, count, offset, why);
}

mc_err mc_file_pwritev_direct(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  bool aligned = offset % MC_FILE_DIRECT_ALIGN == 0;
  for (size_t i = 0; i < count; i++)
    aligned &= iov[i].len % MC_FILE_DIRECT_ALIGN == 0 && (uintptr_t)iov[i].data % MC_FILE_DIRECT_ALIGN == 0;
  if (!aligned)
    return mc_err_set(why, MC_ERR_INVALID, "write %s past the page cache: not in whole blocks of %d bytes", file->path, MC_FILE_DIRECT_ALIGN);
  MC_TRY(check_range(file, iov, count, offset, why));
  return file->ops->pwritev_direct ? file->ops->pwritev_direct(file, iov, count, offset, why) : file->ops->pwritev(file, iov, count, offset, why);
}

mc_err mc_file_commit(mc_file *file, mc_file_ring *ring, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  MC_TRY(check_range(file, iov, count, offset, why));
  if (ring)
    return mc_file_ring_commit(ring, file, iov, count, offset, why);
  MC_TRY(file->ops->pwritev(file, iov, count, offset, why));
  return file->ops->sync(file, why);
}

mc_err mc_file_sync(mc_file *file, mc_why *why)
{
  return file->ops->sync(file, why);
}

mc_err mc_file_write_behind(mc_file *file, uint64_t offset, uint64_t len, mc_why *why)
{
  if (offset > INT64_MAX || len > INT64_MAX - offset)
    return mc_err_set(why, MC_ERR_INVALID, "write behind %s: offset %llu is out of range", file->path, (unsigned long long)offset);
  return file->ops->write_behind(file, offset, len, why);
}

void mc_file_forget(mc_file *file, uint64_t offset, uint64_t len)
{
  if (file->ops->forget && offset <= INT64_MAX && len <= INT64_MAX - offset)
    file->ops->forget(file, offset, len);
}

mc_err mc_file_zero(mc_file *file, uint64_t offset, uint64_t len, mc_why *why)
{
  if (offset > INT64_MAX || len > INT64_MAX - offset)
    return mc_err_set(why, MC_ERR_INVALID, "zero %s: [%llu, +%llu) is out of range", file->path, (unsigned long long)offset, (unsigned long long)len);
  return file->ops->zero(file, offset, len, why);
}

mc_err mc_file_reserve(mc_file *file, uint64_t size, mc_why *why)
{
  if (size > INT64_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "reserve %s: size %llu is out of range", file->path, (unsigned long long)size);
  return file->ops->reserve(file, size, why);
}

mc_err mc_file_preallocate(mc_file *file, uint64_t size, mc_why *why)
{
  if (size > INT64_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "preallocate %s: size is out of range", file->path);
  return file->ops->preallocate(file, size, why);
}

mc_err mc_file_truncate(mc_file *file, uint64_t size, mc_why *why)
{
  if (size > INT64_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "truncate %s: size is out of range", file->path);
  return file->ops->truncate(file, size, why);
}

mc_err mc_file_size(mc_file *file, uint64_t *out, mc_why *why)
{
  *out = 0;
  return file->ops->size(file, out, why);
}

mc_err mc_file_lock(mc_file *file, mc_why *why)
{
  return file->ops->lock(file, why);
}

mc_err mc_fs_rename(const mc_fs *fs, const char *from, const char *to, mc_why *why)
{
  return fs->ops->rename(fs, from, to, why);
}

mc_err mc_fs_link(const mc_fs *fs, const char *from, const char *to, mc_why *why)
{
  return fs->ops->link(fs, from, to, why);
}

mc_err mc_fs_unlink(const mc_fs *fs, const char *path, mc_why *why)
{
  return fs->ops->unlink(fs, path, why);
}

mc_err mc_fs_mkdirs(const mc_fs *fs, const char *path, mc_why *why)
{
  if (!*path)
    return mc_err_set(why, MC_ERR_INVALID, "create folder: the path is empty");
  return fs->ops->mkdirs(fs, path, why);
}

mc_err mc_fs_sync_dir(const mc_fs *fs, const char *path, mc_why *why)
{
  return fs->ops->sync_dir(fs, path, why);
}

mc_err mc_fs_list(const mc_fs *fs, const char *path, mc_err (*visit)(void *ctx, const char *name), void *ctx, mc_why *why)
{
  return fs->ops->list(fs, path, visit, ctx, why);
}

mc_err mc_fs_free_bytes(const mc_fs *fs, const char *path, uint64_t *out, mc_why *why)
{
  *out = 0;
  return fs->ops->free_bytes(fs, path, out, why);
}

/* ---- whole files ---- */

static mc_err read_all(mc_file *file, const char *path, size_t limit, mc_buf *out, mc_why *why)
{
  uint64_t size;
  MC_TRY(mc_file_size(file, &size, why));
  if (size > limit)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%s has %llu bytes; at most %zu are read", path, (unsigned long long)size, limit);
  size_t piece = size ? (size_t)size + 1 : 4096; /* files under /proc say 0; one more to see the end at once */
  uint64_t at = 0;
  for (;;) {
    if (mc_buf_reserve(out, piece))
      return mc_err_set(why, MC_ERR_MEMORY, "%s: out of memory for %zu bytes", path, piece);
    size_t got;
    MC_TRY(mc_file_pread(file, out->data + out->len, piece, at, &got, why));
    out->len += got;
    at += got;
    if (at > limit)
      return mc_err_set(why, MC_ERR_TOO_LARGE, "%s has more than the %zu bytes that are read", path, limit);
    if (got < piece)
      return MC_OK;
  }
}

mc_err mc_fs_read(const mc_fs *fs, const char *path, size_t limit, mc_buf *out, mc_why *why)
{
  mc_file *file;
  size_t before = out->len;
  MC_TRY(mc_file_open(fs, path, MC_FILE_READ, &file, why));
  mc_err err = read_all(file, path, limit, out, why);
  mc_file_close(&file);
  if (err)
    out->len = before;
  return err;
}

static mc_err sync_parent(const mc_fs *fs, const char *path, mc_why *why)
{
  const char *slash = strrchr(path, '/');
  if (!slash)
    return mc_fs_sync_dir(fs, ".", why);
  if (slash == path)
    return mc_fs_sync_dir(fs, "/", why);
  char *dir = strndup(path, (size_t)(slash - path));
  if (!dir)
    return mc_err_set(why, MC_ERR_MEMORY, "%s: out of memory", path);
  mc_err err = mc_fs_sync_dir(fs, dir, why);
  free(dir);
  return err;
}

mc_err mc_fs_replace(const mc_fs *fs, const char *path, mc_slice content, unsigned mode, mc_why *why)
{
  size_t size = strlen(path) + 5;
  char *tmp = malloc(size);
  if (!tmp)
    return mc_err_set(why, MC_ERR_MEMORY, "%s: out of memory", path);
  snprintf(tmp, size, "%s.tmp", path);
  mc_file *file = NULL;
  mc_err err = mc_fs_unlink(fs, tmp, why); /* a leftover may carry another mode */
  if (err == MC_ERR_NOT_FOUND)
    err = MC_OK;
  if (!err)
    err = fs->ops->open(fs, tmp, MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_EXCLUSIVE, mode, &file, why);
  if (!err)
    err = mc_file_pwrite(file, content.data, content.len, 0, why);
  if (!err)
    err = mc_file_sync(file, why);
  bool made = file != NULL;
  mc_file_close(&file);
  if (!err)
    err = mc_fs_rename(fs, tmp, path, why);
  if (err && made)
    mc_fs_unlink(fs, tmp, NULL); /* best effort: the first error is the one to tell */
  free(tmp);
  return err ? err : sync_parent(fs, path, why);
}
