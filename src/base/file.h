/* The one seam between motorcade and the file system.
 *
 * Everything durable goes through an mc_fs: the real one (mc_fs_posix) or its fault-injecting twin
 * (mc_fs_fault_open), which can refuse, shorten or tear any call and simulate a power cut in which
 * only synced bytes survive. Paths are terminated strings relative to the process or absolute.
 * Threads: an mc_fs is immutable and shared; an mc_file belongs to one writer, any number of preads. */
#ifndef MC_BASE_FILE_H
#define MC_BASE_FILE_H

#include "base/slice.h"

typedef struct mc_fs mc_fs;
typedef struct mc_file mc_file;

enum {
  MC_FILE_READ = 1,
  MC_FILE_WRITE = 2,
  MC_FILE_CREATE = 4,    /* create when missing */
  MC_FILE_EXCLUSIVE = 8, /* fail with MC_ERR_EXISTS when present */
  MC_FILE_TRUNCATE = 16
};

enum { MC_FILE_DIRECT_ALIGN = 4096 };

typedef struct mc_iov {
  const void *data;
  size_t len;
} mc_iov;

const mc_fs *mc_fs_posix(void);

mc_err mc_file_open(const mc_fs *fs, const char *path, int flags, mc_file **out, mc_why *why);
/* Closes and nulls; NULL content is fine. Does not sync. */
void mc_file_close(mc_file **file);
/* Reads up to len bytes; *got < len only at the end of the file. */
mc_err mc_file_pread(mc_file *file, void *out, size_t len, uint64_t offset, size_t *got, mc_why *why);
/* Writes all bytes or fails; a failed write may have left a prefix. */
mc_err mc_file_pwrite(mc_file *file, const void *data, size_t len, uint64_t offset, mc_why *why);
mc_err mc_file_pwritev(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why);
/* As mc_file_pwritev, past the page cache where the system can: what will not be read from there need not be copied there. Places in memory, lengths and offset
 * are multiples of MC_FILE_DIRECT_ALIGN. Bytes that go out of it are on the device, but not durable before mc_file_sync. */
mc_err mc_file_pwritev_direct(mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why);
/* Data and the size needed to read it are on the device when this returns MC_OK (fdatasync). */
mc_err mc_file_sync(mc_file *file, mc_why *why);
/* mc_file_pwritev, then mc_file_sync. ring NULL: as two calls; else as linked operations of one submission to io_uring, and MC_ERR_UNSUPPORTED tells that it does
 * not do that here: nothing is durable then, and it is to be done without the ring. */
typedef struct mc_file_ring mc_file_ring;
mc_err mc_file_commit(mc_file *file, mc_file_ring *ring, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why);
/* For one thread at a time, and files of this fs. MC_ERR_UNSUPPORTED: the kernel, or what guards it, does not permit; why says what. */
mc_err mc_file_ring_create(const mc_fs *fs, mc_file_ring **out, mc_why *why);
void mc_file_ring_destroy(mc_file_ring **ring); /* NULL content is fine */
/* Waits until [offset, offset + len) was handed to the device, without making it durable: spreads the work of a later sync.
 * A hint: does nothing where the system cannot. */
mc_err mc_file_write_behind(mc_file *file, uint64_t offset, uint64_t len, mc_why *why);
/* [offset, offset + len) will not be read or written soon: what is on the device may leave memory. A hint. */
void mc_file_forget(mc_file *file, uint64_t offset, uint64_t len);
/* Writes zeros, past the page cache where the system can: what nobody will read needs no memory and no copy. Not synced. */
mc_err mc_file_zero(mc_file *file, uint64_t offset, uint64_t len, mc_why *why);
/* Allocates [0, size) without writing it: it reads as zeros, and writes inside it do not run out of space, but the first sync of each place costs more than
 * after mc_file_preallocate. MC_ERR_UNSUPPORTED where the system cannot. */
mc_err mc_file_reserve(mc_file *file, uint64_t size, mc_why *why);
/* Allocates and zero-fills [0, size), so that later writes inside it allocate nothing. */
mc_err mc_file_preallocate(mc_file *file, uint64_t size, mc_why *why);
mc_err mc_file_truncate(mc_file *file, uint64_t size, mc_why *why);
mc_err mc_file_size(mc_file *file, uint64_t *out, mc_why *why);
/* Advisory exclusive lock for the life of the file; MC_ERR_CONFLICT when another process has it. */
mc_err mc_file_lock(mc_file *file, mc_why *why);

mc_err mc_fs_rename(const mc_fs *fs, const char *from, const char *to, mc_why *why); /* atomic */
/* A second name for a file (hard link). MC_ERR_EXISTS; MC_ERR_UNSUPPORTED: not here (another disk, no links). */
mc_err mc_fs_link(const mc_fs *fs, const char *from, const char *to, mc_why *why);
mc_err mc_fs_unlink(const mc_fs *fs, const char *path, mc_why *why);
mc_err mc_fs_mkdirs(const mc_fs *fs, const char *path, mc_why *why); /* parents too; mode 0700 */
mc_err mc_fs_sync_dir(const mc_fs *fs, const char *path, mc_why *why);
/* Calls visit for each name (without . and ..), in byte order. visit returns an error to stop. */
mc_err mc_fs_list(const mc_fs *fs, const char *path, mc_err (*visit)(void *ctx, const char *name), void *ctx, mc_why *why);
mc_err mc_fs_free_bytes(const mc_fs *fs, const char *path, uint64_t *out, mc_why *why);

/* Whole-file conveniences built on the above. */
mc_err mc_fs_read(const mc_fs *fs, const char *path, size_t limit, mc_buf *out, mc_why *why);
/* Size and CRC-32C of a file of any size. */
mc_err mc_fs_sum(const mc_fs *fs, const char *path, uint64_t *bytes, uint32_t *crc, mc_why *why);
/* Copies a file and syncs it; the folder is the caller's to sync. A failed copy is removed. */
mc_err mc_fs_copy(const mc_fs *fs, const char *from, const char *to, unsigned mode, uint64_t *bytes, uint32_t *crc, mc_why *why);
/* Writes path + ".tmp", syncs, renames over path, syncs the directory: all or nothing. mode e.g. 0600. */
mc_err mc_fs_replace(const mc_fs *fs, const char *path, mc_slice content, unsigned mode, mc_why *why);

/* ---- the fault-injecting twin (tests) ---- */
typedef enum mc_fault_kind {
  MC_FAULT_NONE,
  MC_FAULT_EIO,        /* the call fails with an I/O error */
  MC_FAULT_ENOSPC,     /* the call fails with a full disk */
  MC_FAULT_EROFS,      /* the call fails: the disk became read-only */
  MC_FAULT_SHORT,      /* half of a write lands, then the call fails */
  MC_FAULT_PART,       /* half of a write lands, and the kernel says so: it goes on. Only a ring sees that */
  MC_FAULT_POWER_CUT   /* from this call on everything fails; see mc_fs_fault_recover */
} mc_fault_kind;

/* A twin over a real directory. The k-th file-system call from now on (1 = the next) suffers kind. */
mc_err mc_fs_fault_open(mc_fs **out, mc_why *why);
void mc_fs_fault_arm(mc_fs *fs, uint64_t call, mc_fault_kind kind);
/* From now on every call that writes, creates, renames, removes or syncs suffers kind (EIO, ENOSPC, EROFS or SHORT), until
 * MC_FAULT_NONE: a disk that is full for a while. */
void mc_fs_fault_hold(mc_fs *fs, mc_fault_kind kind);
/* Calls back at the begin of every sync of a file, without a lock held: a test turns its clock there, or stages what a slow disk lets
 * pile up. NULL: no more. */
void mc_fs_fault_on_sync(mc_fs *fs, void (*slow)(void *ctx), void *ctx);
/* What mc_fs_free_bytes says from now on; UINT64_MAX: the truth. */
void mc_fs_fault_free_bytes(mc_fs *fs, uint64_t bytes);
/* What io_uring is like from now on, for rings that are made and those that are there. */
typedef enum mc_fault_ring {
  MC_FAULT_RING_NONE,     /* it works */
  MC_FAULT_RING_ABSENT,   /* the kernel has none */
  MC_FAULT_RING_REFUSED,  /* not permitted */
  MC_FAULT_RING_OLD,      /* cannot be asked what it can do */
  MC_FAULT_RING_NO_SYNC,  /* says that it cannot sync */
  MC_FAULT_RING_NO_MEMORY,
  MC_FAULT_RING_BREAKS,   /* says that it can, and then refuses each operation */
  MC_FAULT_RING_CLOSED,   /* the same, and takes none at all: a filter that came later */
  MC_FAULT_RING_SLOW      /* takes one operation at a time, is busy and interrupted in between */
} mc_fault_ring;
void mc_fs_fault_ring(mc_fs *fs, mc_fault_ring kind);
uint64_t mc_fs_fault_calls(const mc_fs *fs); /* calls seen so far: walk every failure point 1..N */
/* After a power cut: reverts all files to what was synced, plus a random (seeded) subset and a torn
 * prefix of unsynced writes; unsynced renames and creations may vanish. Then works normally again. */
mc_err mc_fs_fault_recover(mc_fs *fs, uint64_t seed, mc_why *why);
void mc_fs_fault_close(mc_fs **fs);

#endif
