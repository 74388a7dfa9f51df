/* What stands behind an mc_file_ring: the kernel's few calls, so that the fault-injecting twin can stand in for it. Private to base. Numbers and structures are those
 * of linux/io_uring.h; every call gives what it is asked for, or -errno. */
#ifndef MC_BASE_FILE_RING_H
#define MC_BASE_FILE_RING_H

#include <linux/io_uring.h>

#include "base/file_seam.h"

typedef struct mc_ring_kernel {
  int (*setup)(const mc_fs *fs, unsigned entries, struct io_uring_params *p); /* descriptor */
  int (*probe)(const mc_fs *fs, int fd, struct io_uring_probe *probe, unsigned ops);
  void *(*map)(const mc_fs *fs, int fd, size_t len, uint64_t offset); /* NULL: failed */
  void (*unmap)(const mc_fs *fs, int fd, void *at, size_t len);
  int (*enter)(const mc_fs *fs, int fd, unsigned submit, unsigned wait); /* submissions taken */
  void (*close)(const mc_fs *fs, int fd);
} mc_ring_kernel;

mc_err mc_file_ring_commit(mc_file_ring *ring, mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why);

extern const mc_ring_kernel mc_ring_kernel_linux, mc_ring_kernel_fault;

#endif
