#include "base/file_ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Write and sync as two linked operations of one submission. At most one such pair is on its way, and no call returns while one is: the caller's bytes are its
 * own again afterwards. A write that came out short breaks the link, and its rest goes with a new pair. */

enum { ENTRIES = 4, PIECES_MAX = 256, BUSY_TRIES = 10000, BUSY_US = 100 };
static const uint8_t needed[] = {IORING_OP_WRITEV, IORING_OP_FSYNC};

struct mc_file_ring {
  const mc_fs *fs;
  const mc_ring_kernel *kernel;
  int fd;
  uint8_t *ring; /* head, tail and entries of both queues: one mapping (IORING_FEAT_SINGLE_MMAP) */
  size_t ring_len, sqes_len;
  struct io_uring_sqe *sqe;
  unsigned sq_mask, cq_mask;
  _Atomic unsigned *sq_tail, *cq_head, *cq_tail;
  unsigned *sq_array;
  struct io_uring_cqe *cqe;
  struct iovec piece[PIECES_MAX];
};

/* ---- the real kernel ---- */

static int kernel_setup(const mc_fs *fs, unsigned entries, struct io_uring_params *p)
{
  int fd = (int)syscall(SYS_io_uring_setup, entries, p);
  return fd < 0 ? -errno : fd;
}

static int kernel_probe(const mc_fs *fs, int fd, struct io_uring_probe *probe, unsigned ops)
{
  return syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, probe, ops) < 0 ? -errno : 0;
}

static void *kernel_map(const mc_fs *fs, int fd, size_t len, uint64_t offset)
{
  void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
  return at == MAP_FAILED ? NULL : at;
}

static void kernel_unmap(const mc_fs *fs, int fd, void *at, size_t len) { munmap(at, len); }

static int kernel_enter(const mc_fs *fs, int fd, unsigned submit, unsigned wait)
{
  int n = (int)syscall(SYS_io_uring_enter, fd, submit, wait, wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
  return n < 0 ? -errno : n;
}

static void kernel_close(const mc_fs *fs, int fd) { close(fd); }

const mc_ring_kernel mc_ring_kernel_linux = {kernel_setup, kernel_probe, kernel_map, kernel_unmap, kernel_enter, kernel_close};

/* ---- making one ---- */

static mc_err refused(mc_why *why, const char *what, int code)
{
  if (code == -ENOMEM || code == -EMFILE || code == -ENFILE)
    return errno = -code, mc_err_errno(why, "io_uring: %s", what);
  return mc_err_set(why, MC_ERR_UNSUPPORTED, "io_uring: %s: %s", what,
                    code == -ENOSYS ? "this kernel has none" : code == -EPERM || code == -EACCES ? "not permitted here (kernel.io_uring_disabled, seccomp or a security module)" : strerror(-code));
}

static mc_err probe(mc_file_ring *r, mc_why *why)
{
  enum { OPS = 64 };
  union {
    struct io_uring_probe probe;
    uint8_t bytes[sizeof(struct io_uring_probe) + OPS * sizeof(struct io_uring_probe_op)];
  } u = {0};
  int code = r->kernel->probe(r->fs, r->fd, &u.probe, OPS);
  if (code)
    return refused(why, code == -EINVAL ? "it cannot say what it can do (before Linux 5.6)" : "it does not say what it can do", code == -EINVAL ? -EOPNOTSUPP : code);
  for (size_t i = 0; i < sizeof needed; i++)
    if (needed[i] > u.probe.last_op || !(u.probe.ops[needed[i]].flags & IO_URING_OP_SUPPORTED))
      return refused(why, needed[i] == IORING_OP_FSYNC ? "it cannot sync a file" : "it cannot write a file", -EOPNOTSUPP);
  return MC_OK;
}

static mc_err map_queues(mc_file_ring *r, const struct io_uring_params *p, mc_why *why)
{
  if (!(p->features & IORING_FEAT_SINGLE_MMAP) || !(p->features & IORING_FEAT_NODROP))
    return refused(why, "an early one (before Linux 5.5)", -EOPNOTSUPP);
  size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned), cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
  r->ring_len = sq > cq ? sq : cq;
  r->sqes_len = p->sq_entries * sizeof(struct io_uring_sqe);
  r->ring = r->kernel->map(r->fs, r->fd, r->ring_len, IORING_OFF_SQ_RING);
  r->sqe = r->ring ? r->kernel->map(r->fs, r->fd, r->sqes_len, IORING_OFF_SQES) : NULL;
  if (!r->sqe)
    return mc_err_set(why, MC_ERR_MEMORY, "io_uring: its queues cannot be mapped");
  r->sq_tail = (_Atomic unsigned *)(void *)(r->ring + p->sq_off.tail);
  r->sq_mask = *(unsigned *)(void *)(r->ring + p->sq_off.ring_mask);
  r->sq_array = (unsigned *)(void *)(r->ring + p->sq_off.array);
  r->cq_head = (_Atomic unsigned *)(void *)(r->ring + p->cq_off.head);
  r->cq_tail = (_Atomic unsigned *)(void *)(r->ring + p->cq_off.tail);
  r->cq_mask = *(unsigned *)(void *)(r->ring + p->cq_off.ring_mask);
  r->cqe = (struct io_uring_cqe *)(void *)(r->ring + p->cq_off.cqes);
  return MC_OK;
}

mc_err mc_file_ring_create(const mc_fs *fs, mc_file_ring **out, mc_why *why)
{
  *out = NULL;
  mc_file_ring *r = calloc(1, sizeof *r);
  if (!r)
    return mc_err_set(why, MC_ERR_MEMORY, "io_uring: out of memory");
  struct io_uring_params p = {0};
  r->fs = fs;
  r->kernel = fs->ops->ring;
  r->fd = r->kernel->setup(fs, ENTRIES, &p);
  mc_err err = r->fd < 0 ? refused(why, "the kernel refuses it", r->fd) : map_queues(r, &p, why);
  if (!err)
    err = probe(r, why);
  if (err)
    mc_file_ring_destroy(&r);
  *out = r;
  return err;
}

void mc_file_ring_destroy(mc_file_ring **ring)
{
  mc_file_ring *r = *ring;
  if (!r)
    return;
  *ring = NULL;
  if (r->sqe)
    r->kernel->unmap(r->fs, r->fd, r->sqe, r->sqes_len);
  if (r->ring)
    r->kernel->unmap(r->fs, r->fd, r->ring, r->ring_len);
  if (r->fd >= 0)
    r->kernel->close(r->fs, r->fd);
  free(r);
}

/* ---- one submission ---- */

static void put(mc_file_ring *r, struct io_uring_sqe op)
{
  unsigned tail = atomic_load_explicit(r->sq_tail, memory_order_relaxed), at = tail & r->sq_mask;
  r->sqe[at] = op;
  r->sq_array[at] = at;
  atomic_store_explicit(r->sq_tail, tail + 1, memory_order_release);
}

/* Takes the answers that are there: result[user_data]. */
static unsigned take_answers(mc_file_ring *r, int *result)
{
  unsigned taken = 0, head = atomic_load_explicit(r->cq_head, memory_order_relaxed);
  for (; head != atomic_load_explicit(r->cq_tail, memory_order_acquire); head++, taken++)
    result[r->cqe[head & r->cq_mask].user_data & 1] = r->cqe[head & r->cq_mask].res;
  atomic_store_explicit(r->cq_head, head, memory_order_release);
  return taken;
}

/* Sends the `count` operations that were put and waits for every answer. 0, or -errno: then some were not taken, and will not be. *linked: all were taken at once;
 * otherwise they ran in any order. */
static int run(mc_file_ring *r, unsigned count, int *result, bool *linked)
{
  unsigned taken = 0, answered = 0;
  *linked = true;
  for (int busy = 0; answered < count;) {
    int n = r->kernel->enter(r->fs, r->fd, count - taken, count - answered); /* waits only when it took all of them */
    if (n > 0) {
      *linked &= !taken && (unsigned)n == count;
      taken += (unsigned)n;
    }
    answered += take_answers(r, result);
    if (n >= 0 || n == -EINTR)
      continue;
    bool soon = n == -EAGAIN || n == -EBUSY || n == -ENOMEM;
    if (answered < taken || (soon && ++busy < BUSY_TRIES)) {
      usleep(BUSY_US); /* what is on its way still reads the caller's bytes */
      continue;
    }
    if (taken == count)
      continue;
    atomic_fetch_sub_explicit(r->sq_tail, count - taken, memory_order_release);
    return n;
  }
  return 0;
}

/* ---- write and sync ---- */

typedef struct commit {
  mc_file *file;
  const mc_iov *iov;
  size_t count, i, skip; /* what is left begins `skip` bytes into iov[i] */
  uint64_t offset;
  mc_why *why;
} commit;

/* Fills the ring's pieces from what is left. *all: nothing is left behind them. */
static unsigned next_pieces(mc_file_ring *r, const commit *c, size_t *bytes, bool *all)
{
  unsigned n = 0;
  size_t i = c->i, skip = c->skip;
  *bytes = 0;
  for (; i < c->count && n < PIECES_MAX; i++, skip = 0) {
    if (c->iov[i].len == skip)
      continue;
    r->piece[n++] = (struct iovec){(uint8_t *)(uintptr_t)c->iov[i].data + skip, c->iov[i].len - skip};
    *bytes += c->iov[i].len - skip;
  }
  *all = i == c->count;
  return n;
}

static void step_over(commit *c, size_t bytes)
{
  c->offset += bytes;
  c->skip += bytes;
  while (c->i < c->count && c->skip >= c->iov[c->i].len)
    c->skip -= c->iov[c->i++].len;
}

/* -errno of an operation. What a kernel or file system does not know comes back as an invalid argument. */
static mc_err failed(const commit *c, const char *verb, int code)
{
  if (code == -EINVAL || code == -EOPNOTSUPP || code == -ENOSYS || code == -EPERM)
    return mc_err_set(c->why, MC_ERR_UNSUPPORTED, "io_uring: it does not %s %s here: %s", verb, c->file->path, strerror(-code));
  errno = -code;
  return mc_err_errno(c->why, "%s %s at %llu", verb, c->file->path, (unsigned long long)c->offset);
}

static bool again(int code) { return code == -EINTR || code == -EAGAIN || code == -ECANCELED; }

/* One submission: a piece of the write, and the sync behind the last one. *done: all is written and synced. */
static mc_err submit(mc_file_ring *r, commit *c, bool *done)
{
  enum { WRITE, SYNC };
  int result[2] = {-ECANCELED, -ECANCELED};
  size_t bytes;
  bool all, linked;
  unsigned pieces = next_pieces(r, c, &bytes, &all), count = 0;
  if (pieces) {
    put(r, (struct io_uring_sqe){.opcode = IORING_OP_WRITEV, .fd = c->file->fd, .off = c->offset, .addr = (uintptr_t)r->piece, .len = pieces,
                                 .flags = all ? IOSQE_IO_LINK : 0, .user_data = WRITE});
    count++;
  }
  if (all) {
    put(r, (struct io_uring_sqe){.opcode = IORING_OP_FSYNC, .fd = c->file->fd, .fsync_flags = IORING_FSYNC_DATASYNC, .user_data = SYNC});
    count++;
  }
  int code = run(r, count, result, &linked);
  if (code)
    return failed(c, "write", code);
  if (!linked) /* the sync may have come before the write */
    result[SYNC] = -ECANCELED;
  if (pieces && result[WRITE] < 0)
    return again(result[WRITE]) ? MC_OK : failed(c, "write", result[WRITE]);
  if (pieces && result[WRITE] == 0)
    return failed(c, "write", -ENOSPC);
  if (pieces)
    step_over(c, (size_t)result[WRITE]);
  if (!all || (pieces && (size_t)result[WRITE] < bytes))
    return MC_OK;
  *done = result[SYNC] == 0;
  return *done || again(result[SYNC]) ? MC_OK : failed(c, "sync", result[SYNC]);
}

mc_err mc_file_ring_commit(mc_file_ring *ring, mc_file *file, const mc_iov *iov, size_t count, uint64_t offset, mc_why *why)
{
  commit c = {.file = file, .iov = iov, .count = count, .offset = offset, .why = why};
  bool done = false;
  while (!done)
    MC_TRY(submit(ring, &c, &done));
  return MC_OK;
}
