/* What stands behind mc_fs and mc_file: one struct of functions, so that the fault-injecting twin can stand
 * in for the system. Private to base. Contracts are those of the public functions of the same name. */
#ifndef MC_BASE_FILE_SEAM_H
#define MC_BASE_FILE_SEAM_H

#include "base/file.h"

typedef struct mc_fs_ops {
  mc_err (*open)(const mc_fs *fs, const char *path, int flags, unsigned mode, mc_file **out, mc_why *why);
  void (*close)(mc_file *file);
  mc_err (*pread)(mc_file *file, void *out, size_t len, uint64_t offset, size_t *got, mc_why *why);
  mc_err (*pwritev)(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why);
  mc_err (*pwritev_direct)(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why); /* NULL: there is no page cache to pass; pwritev does it */
  mc_err (*sync)(mc_file *file, mc_why *why);
  mc_err (*write_behind)(mc_file *file, uint64_t offset, uint64_t len, mc_why *why);
  void (*forget)(mc_file *file, uint64_t offset, uint64_t len); /* NULL: nothing to hint at */
  mc_err (*zero)(mc_file *file, uint64_t offset, uint64_t len, mc_why *why);
  mc_err (*reserve)(mc_file *file, uint64_t size, mc_why *why);
  mc_err (*preallocate)(mc_file *file, uint64_t size, mc_why *why);
  mc_err (*truncate)(mc_file *file, uint64_t size, mc_why *why);
  mc_err (*size)(mc_file *file, uint64_t *out, mc_why *why);
  mc_err (*lock)(mc_file *file, mc_why *why);
  mc_err (*rename)(const mc_fs *fs, const char *from, const char *to, mc_why *why);
  mc_err (*link)(const mc_fs *fs, const char *from, const char *to, mc_why *why);
  mc_err (*unlink)(const mc_fs *fs, const char *path, mc_why *why);
  mc_err (*mkdirs)(const mc_fs *fs, const char *path, mc_why *why);
  mc_err (*sync_dir)(const mc_fs *fs, const char *path, mc_why *why);
  mc_err (*list)(const mc_fs *fs, const char *path, mc_err (*visit)(void *ctx, const char *name), void *ctx, mc_why *why);
  mc_err (*free_bytes)(const mc_fs *fs, const char *path, uint64_t *out, mc_why *why);
  const struct mc_ring_kernel *ring; /* file_ring.h */
} mc_fs_ops;

struct mc_fs {
  const mc_fs_ops *ops;
};

/* First member of every kind of file. */
struct mc_file {
  const mc_fs_ops *ops;
  int fd;
  char *path; /* owned; for messages */
  int direct; /* posix: the same file opened with O_DIRECT, once it was asked for; 0: it was not, -1: it is not to be had */
};

extern const mc_fs_ops mc_fs_posix_ops;

#endif
