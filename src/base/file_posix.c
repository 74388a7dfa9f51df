#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file_ring.h"
#include "base/vec.h"

enum { IOV_BATCH = 64, ZERO_PIECE = 1 << 20 };

static _Alignas(MC_FILE_DIRECT_ALIGN) uint8_t zeros[ZERO_PIECE]; /* never written */

static mc_err posix_open(const mc_fs *fs, const char *path, int flags, unsigned mode, mc_file **out, mc_why *why)
{
  int how = O_CLOEXEC;
  how |= flags & MC_FILE_WRITE ? (flags & MC_FILE_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (flags & MC_FILE_CREATE)
    how |= O_CREAT;
  if (flags & MC_FILE_EXCLUSIVE)
    how |= O_EXCL;
  if (flags & MC_FILE_TRUNCATE)
    how |= O_TRUNC;
  mc_file *file = calloc(1, sizeof *file);
  char *copy = strdup(path);
  if (!file || !copy) {
    free(file);
    free(copy);
    return mc_err_set(why, MC_ERR_MEMORY, "open %s: out of memory", path);
  }
  int fd;
  do
    fd = open(path, how, (mode_t)mode);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    mc_err err = mc_err_errno(why, "open %s", path);
    free(file);
    free(copy);
    return err;
  }
  *file = (mc_file){.ops = fs->ops, .fd = fd, .path = copy};
  *out = file;
  return MC_OK;
}

static void posix_close(mc_file *file)
{
  close(file->fd);
  if (file->direct > 0)
    close(file->direct);
  free(file->path);
  free(file);
}

static mc_err posix_pread(mc_file *file, void *out, size_t len, uint64_t offset, size_t *got, mc_why *why)
{
  while (*got < len) {
    ssize_t n = pread(file->fd, (uint8_t *)out + *got, len - *got, (off_t)(offset + *got));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return mc_err_errno(why, "read %s at %llu", file->path, (unsigned long long)offset);
    if (n == 0)
      break;
    *got += (size_t)n;
  }
  return MC_OK;
}

/* Fills a batch from iov[i..], skipping the first `skip` bytes; returns the number of pieces. */
static int next_batch(struct iovec *batch, const mc_iov *iov, size_t count, size_t i, size_t skip)
{
  int n = 0;
  for (; i < count && n < IOV_BATCH; i++, skip = 0)
    if (iov[i].len > skip)
      batch[n++] = (struct iovec){(uint8_t *)(uintptr_t)iov[i].data + skip, iov[i].len - skip};
  return n;
}

static mc_err posix_pwritev(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  size_t i = 0, skip = 0;
  for (;;) {
    while (i < count && skip >= iov[i].len) {
      skip -= iov[i].len;
      i++;
    }
    if (i == count)
      return MC_OK;
    struct iovec batch[IOV_BATCH];
    int pieces = next_batch(batch, iov, count, i, skip);
    ssize_t n = pwritev(file->fd, batch, pieces, (off_t)offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n == 0)
      errno = ENOSPC;
    if (n <= 0)
      return mc_err_errno(why, "write %s at %llu", file->path, (unsigned long long)offset);
    offset += (uint64_t)n;
    skip += (size_t)n;
  }
}

/* By its descriptor: its name may have changed since it was opened. Not every file system has O_DIRECT, not every place /proc. */
static int direct_of(mc_file *file)
{
  if (!file->direct) {
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    int fd = open(self, O_WRONLY | O_DIRECT | O_CLOEXEC);
    file->direct = fd > 0 ? fd : -1;
  }
  return file->direct;
}

static mc_err posix_pwritev_direct(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  struct iovec batch[IOV_BATCH];
  size_t len = 0;
  for (size_t i = 0; i < count; i++)
    len += iov[i].len;
  if (count <= IOV_BATCH && direct_of(file) > 0) {
    int pieces = next_batch(batch, iov, count, 0, 0);
    ssize_t n;
    do
      n = pwritev(file->direct, batch, pieces, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n >= 0 && (size_t)n == len)
      return MC_OK;
    if (n < 0 && errno == EINVAL) { /* its blocks are larger than ours */
      close(file->direct);
      file->direct = -1;
    }
  }
  return posix_pwritev(file, iov, count, offset, why); /* what is wrong shows again */
}

static mc_err posix_sync(mc_file *file, mc_why *why)
{
  int r;
  do
    r = fdatasync(file->fd);
  while (r && errno == EINTR);
  return r ? mc_err_errno(why, "sync %s", file->path) : MC_OK;
}

static mc_err posix_write_behind(mc_file *file, uint64_t offset, uint64_t len, mc_why *why)
{
  const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  int r;
  do
    r = sync_file_range(file->fd, (off_t)offset, (off_t)len, all);
  while (r && errno == EINTR);
  if (r && errno != ENOSYS && errno != EINVAL && errno != ESPIPE)
    return mc_err_errno(why, "write behind %s at %llu", file->path, (unsigned long long)offset);
  return MC_OK;
}

static void posix_forget(mc_file *file, uint64_t offset, uint64_t len)
{
  posix_fadvise(file->fd, (off_t)offset, (off_t)len, POSIX_FADV_DONTNEED);
}

/* O_DIRECT wants whole blocks; not every file system has it. *at is moved behind what was written. */
static void zero_direct(const mc_file *file, uint64_t *at, uint64_t end)
{
  if (*at % MC_FILE_DIRECT_ALIGN || end % MC_FILE_DIRECT_ALIGN)
    return;
  int fd = open(file->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
  while (fd >= 0 && *at < end) {
    size_t len = end - *at < ZERO_PIECE ? (size_t)(end - *at) : ZERO_PIECE;
    ssize_t n = pwrite(fd, zeros, len, (off_t)*at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0 || n % MC_FILE_DIRECT_ALIGN)
      break; /* what is wrong shows again without it */
    *at += (uint64_t)n;
  }
  if (fd >= 0)
    close(fd);
}

static mc_err posix_zero(mc_file *file, uint64_t offset, uint64_t len, mc_why *why)
{
  uint64_t at = offset, end = offset + len;
  zero_direct(file, &at, end);
  while (at < end) {
    size_t piece = end - at < ZERO_PIECE ? (size_t)(end - at) : ZERO_PIECE;
    MC_TRY(posix_pwritev(file, &(mc_iov){zeros, piece}, 1, at, why));
    MC_TRY(posix_write_behind(file, at, piece, why));
    at += piece;
  }
  return MC_OK;
}

static mc_err posix_reserve(mc_file *file, uint64_t size, mc_why *why)
{
  int r;
  do
    r = fallocate(file->fd, 0, 0, (off_t)size);
  while (r && errno == EINTR);
  if (r && errno == EOPNOTSUPP)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "allocate %llu bytes for %s: the file system cannot", (unsigned long long)size, file->path);
  return r ? mc_err_errno(why, "allocate %llu bytes for %s", (unsigned long long)size, file->path) : MC_OK;
}

static mc_err posix_preallocate(mc_file *file, uint64_t size, mc_why *why)
{
  mc_err reserved = posix_reserve(file, size, why);
  if (reserved && reserved != MC_ERR_UNSUPPORTED) /* then the zeros below allocate */
    return reserved;
  return posix_zero(file, 0, size, why);
}

static mc_err posix_truncate(mc_file *file, uint64_t size, mc_why *why)
{
  int r;
  do
    r = ftruncate(file->fd, (off_t)size);
  while (r && errno == EINTR);
  return r ? mc_err_errno(why, "truncate %s to %llu", file->path, (unsigned long long)size) : MC_OK;
}

static mc_err posix_size(mc_file *file, uint64_t *out, mc_why *why)
{
  struct stat st;
  if (fstat(file->fd, &st))
    return mc_err_errno(why, "size of %s", file->path);
  *out = (uint64_t)st.st_size;
  return MC_OK;
}

static mc_err posix_lock(mc_file *file, mc_why *why)
{
  if (flock(file->fd, LOCK_EX | LOCK_NB) == 0)
    return MC_OK;
  if (errno == EWOULDBLOCK)
    return mc_err_set(why, MC_ERR_CONFLICT, "%s is locked: another process uses this folder; stop it first", file->path);
  return mc_err_errno(why, "lock %s", file->path);
}

static mc_err posix_rename(const mc_fs *fs, const char *from, const char *to, mc_why *why)
{
  return rename(from, to) ? mc_err_errno(why, "rename %s to %s", from, to) : MC_OK;
}

static mc_err posix_unlink(const mc_fs *fs, const char *path, mc_why *why)
{
  return unlink(path) ? mc_err_errno(why, "remove %s", path) : MC_OK;
}

static mc_err posix_link(const mc_fs *fs, const char *from, const char *to, mc_why *why)
{
  if (link(from, to) == 0)
    return MC_OK;
  if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "link %s to %s: not on this disk", from, to);
  return mc_err_errno(why, "link %s to %s", from, to);
}

static mc_err make_one(const char *path, mc_why *why)
{
  struct stat st;
  if (mkdir(path, 0700) == 0)
    return MC_OK;
  if (errno == EEXIST && stat(path, &st) == 0) {
    if (S_ISDIR(st.st_mode))
      return MC_OK;
    return mc_err_set(why, MC_ERR_EXISTS, "create folder %s: a file of that name is in the way", path);
  }
  return mc_err_errno(why, "create folder %s", path);
}

static mc_err posix_mkdirs(const mc_fs *fs, const char *path, mc_why *why)
{
  char *copy = strdup(path);
  if (!copy)
    return mc_err_set(why, MC_ERR_MEMORY, "create folder %s: out of memory", path);
  mc_err err = MC_OK;
  for (char *slash = strchr(copy + 1, '/'); slash && !err; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    err = make_one(copy, why);
    *slash = '/';
  }
  if (!err)
    err = make_one(copy, why);
  free(copy);
  return err;
}

static mc_err posix_sync_dir(const mc_fs *fs, const char *path, mc_why *why)
{
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return mc_err_errno(why, "open folder %s", path);
  mc_err err = fsync(fd) ? mc_err_errno(why, "sync folder %s", path) : MC_OK;
  close(fd);
  return err;
}

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static mc_err posix_list(const mc_fs *fs, const char *path, mc_err (*visit)(void *ctx, const char *name), void *ctx, mc_why *why)
{
  DIR *dir = opendir(path);
  if (!dir)
    return mc_err_errno(why, "list folder %s", path);
  MC_VEC(char *) name = {0};
  mc_err err = MC_OK;
  for (;;) {
    errno = 0;
    struct dirent *e = readdir(dir);
    if (!e) {
      err = errno ? mc_err_errno(why, "list folder %s", path) : MC_OK;
      break;
    }
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
      continue;
    char *copy = strdup(e->d_name);
    if (!copy || mc_vec_push(&name, copy)) {
      free(copy);
      err = mc_err_set(why, MC_ERR_MEMORY, "list folder %s: out of memory", path);
      break;
    }
  }
  closedir(dir);
  if (name.len)
    qsort(name.at, name.len, sizeof *name.at, by_bytes);
  for (size_t i = 0; i < name.len && !err; i++)
    err = visit(ctx, name.at[i]);
  for (size_t i = 0; i < name.len; i++)
    free(name.at[i]);
  mc_vec_free(&name);
  return err;
}

static mc_err posix_free_bytes(const mc_fs *fs, const char *path, uint64_t *out, mc_why *why)
{
  struct statvfs st;
  if (statvfs(path, &st))
    return mc_err_errno(why, "free space at %s", path);
  if (__builtin_mul_overflow((uint64_t)st.f_bavail, (uint64_t)st.f_frsize, out))
    *out = UINT64_MAX;
  return MC_OK;
}

const mc_fs_ops mc_fs_posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwritev = posix_pwritev,
    .pwritev_direct = posix_pwritev_direct,
    .sync = posix_sync,
    .write_behind = posix_write_behind,
    .forget = posix_forget,
    .zero = posix_zero,
    .reserve = posix_reserve,
    .preallocate = posix_preallocate,
    .truncate = posix_truncate,
    .size = posix_size,
    .lock = posix_lock,
    .rename = posix_rename,
    .link = posix_link,
    .unlink = posix_unlink,
    .mkdirs = posix_mkdirs,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .free_bytes = posix_free_bytes,
    .ring = &mc_ring_kernel_linux,
};

const mc_fs *mc_fs_posix(void)
{
  static const mc_fs posix = {&mc_fs_posix_ops};
  return &posix;
}
