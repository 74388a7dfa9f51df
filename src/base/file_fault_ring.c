#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/file_fault.h"

/* The twin as the kernel behind an mc_file_ring: the same queues in memory, its operations done on the twin's files with the faults that are due. Which link is broken
 * by what follows io_uring_enter(2): a write that fails or comes out short cancels what is linked to it; operations that were not taken together are not linked. */

enum { RINGS = 16, ENTRIES = 8, FIRST_FD = 1 << 24 };

typedef struct queues {
  unsigned sq_head, sq_tail, sq_mask, sq_array[ENTRIES];
  unsigned cq_head, cq_tail, cq_mask;
  struct io_uring_cqe cqe[2 * ENTRIES];
} queues;

typedef struct soft_ring {
  bool used;
  queues q;
  struct io_uring_sqe sqe[ENTRIES];
  unsigned turns;
  struct io_uring_sqe late; /* MC_FAULT_RING_SLOW: taken, and not done yet */
  bool has_late;
} soft_ring;

/* ---- on the twin's files: a count or -errno ---- */

static int code_of(mc_fault_kind kind) { return kind == MC_FAULT_ENOSPC ? -ENOSPC : kind == MC_FAULT_EROFS ? -EROFS : -EIO; }

/* Lock held. */
static mc_fault_file *file_of(mc_fault_fs *fs, int fd)
{
  mc_fault_file *f = fs->files;
  while (f && f->base.fd != fd)
    f = f->next;
  return f;
}

/* Takes over fresh. Lock held. */
static int write_of_ring(mc_fault_file *f, uint8_t *fresh, size_t len, uint64_t offset)
{
  mc_fault_fs *fs = f->fs;
  mc_fault_kind kind = mc_fault_fate(fs, true);
  bool part = kind == MC_FAULT_SHORT || kind == MC_FAULT_PART;
  size_t lands = part ? len / 2 : len;
  if (mc_fault_stale(f) || kind == MC_FAULT_EIO || kind == MC_FAULT_ENOSPC || kind == MC_FAULT_EROFS) {
    free(fresh);
    return code_of(mc_fault_stale(f) ? MC_FAULT_EIO : kind);
  }
  if (mc_fault_land(f, fresh, lands, offset, NULL))
    return -ENOMEM;
  if (kind == MC_FAULT_SHORT && fs->held != kind) { /* the disk fails at the rest */
    fs->fault_at = fs->calls + 1;
    fs->kind = MC_FAULT_EIO;
  }
  return kind == MC_FAULT_POWER_CUT ? -EIO : (int)lands;
}

static size_t length(const struct iovec *piece, size_t count)
{
  size_t sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += piece[i].iov_len;
  return sum;
}

static int write_file(const mc_fs *base, int fd, const struct iovec *piece, size_t count, uint64_t offset)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  size_t len = length(piece, count), at = 0;
  uint8_t *fresh = malloc(len ? len : 1);
  if (!fresh)
    return -ENOMEM;
  for (size_t i = 0; i < count; at += piece[i++].iov_len)
    memcpy(fresh + at, piece[i].iov_base, piece[i].iov_len);
  pthread_mutex_lock(&fs->lock);
  mc_fault_file *f = file_of(fs, fd);
  int result = -EBADF;
  if (f)
    result = write_of_ring(f, fresh, len, offset);
  else
    free(fresh);
  pthread_mutex_unlock(&fs->lock);
  return result;
}

static int sync_file(const mc_fs *base, int fd)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  mc_fault_file *f = file_of(fs, fd);
  pthread_mutex_unlock(&fs->lock);
  mc_fault_kind kind = f ? mc_fault_sync(f) : MC_FAULT_NONE;
  return !f ? -EBADF : kind == MC_FAULT_NONE ? 0 : code_of(kind);
}

static mc_fault_ring kind_of(const mc_fs *base)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  mc_fault_ring kind = fs->ring;
  pthread_mutex_unlock(&fs->lock);
  return kind;
}

void mc_fs_fault_ring(mc_fs *base, mc_fault_ring kind)
{
  mc_fault_fs *fs = mc_fault_twin(base);
  pthread_mutex_lock(&fs->lock);
  fs->ring = kind;
  pthread_mutex_unlock(&fs->lock);
}

/* ---- the queues ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of `used` */
static soft_ring ring[RINGS];

static soft_ring *at(int fd) { return &ring[fd - FIRST_FD]; }

static int setup(const mc_fs *fs, unsigned entries, struct io_uring_params *p)
{
  mc_fault_ring kind = kind_of(fs);
  if (kind == MC_FAULT_RING_ABSENT || kind == MC_FAULT_RING_REFUSED || kind == MC_FAULT_RING_NO_MEMORY)
    return kind == MC_FAULT_RING_ABSENT ? -ENOSYS : kind == MC_FAULT_RING_REFUSED ? -EPERM : -ENOMEM;
  pthread_mutex_lock(&lock);
  int i = 0;
  while (i < RINGS && ring[i].used)
    i++;
  if (i < RINGS)
    ring[i] = (soft_ring){.used = true, .q = {.sq_mask = ENTRIES - 1, .cq_mask = 2 * ENTRIES - 1}};
  pthread_mutex_unlock(&lock);
  if (i == RINGS || entries > ENTRIES)
    return -EMFILE;
  p->sq_entries = ENTRIES;
  p->cq_entries = 2 * ENTRIES;
  p->features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP;
  p->sq_off.head = offsetof(queues, sq_head);
  p->sq_off.tail = offsetof(queues, sq_tail);
  p->sq_off.ring_mask = offsetof(queues, sq_mask);
  p->sq_off.array = offsetof(queues, sq_array);
  p->cq_off.head = offsetof(queues, cq_head);
  p->cq_off.tail = offsetof(queues, cq_tail);
  p->cq_off.ring_mask = offsetof(queues, cq_mask);
  p->cq_off.cqes = offsetof(queues, cqe);
  return FIRST_FD + i;
}

static int probe(const mc_fs *fs, int fd, struct io_uring_probe *out, unsigned ops)
{
  mc_fault_ring kind = kind_of(fs);
  if (kind == MC_FAULT_RING_OLD)
    return -EINVAL;
  out->last_op = IORING_OP_FSYNC;
  for (unsigned i = 0; i <= IORING_OP_FSYNC && i < ops; i++)
    out->ops[i] = (struct io_uring_probe_op){.op = (uint8_t)i, .flags = kind == MC_FAULT_RING_NO_SYNC && i == IORING_OP_FSYNC ? 0 : IO_URING_OP_SUPPORTED};
  return 0;
}

static void *map(const mc_fs *fs, int fd, size_t len, uint64_t offset)
{
  return offset == IORING_OFF_SQES ? (void *)at(fd)->sqe : (void *)&at(fd)->q;
}

static void unmap(const mc_fs *fs, int fd, void *from, size_t len) { memset(from, 0, len); }

static void forget(const mc_fs *fs, int fd)
{
  pthread_mutex_lock(&lock);
  at(fd)->used = false;
  pthread_mutex_unlock(&lock);
}

/* ---- operations ---- */

/* Answers op; false: what is linked to it is cancelled. */
static bool answer(const mc_fs *fs, soft_ring *r, const struct io_uring_sqe *op, bool cancelled)
{
  const struct iovec *piece = (const struct iovec *)(uintptr_t)op->addr;
  int result = -ECANCELED;
  bool whole = !cancelled;
  if (!cancelled && kind_of(fs) == MC_FAULT_RING_BREAKS) {
    result = -EINVAL;
    whole = false;
  } else if (!cancelled && op->opcode == IORING_OP_WRITEV) {
    result = write_file(fs, op->fd, piece, op->len, op->off);
    whole = result >= 0 && (size_t)result == length(piece, op->len);
  } else if (!cancelled) {
    result = sync_file(fs, op->fd);
    whole = result == 0;
  }
  r->q.cqe[r->q.cq_tail++ & r->q.cq_mask] = (struct io_uring_cqe){.user_data = op->user_data, .res = result};
  return whole;
}

static const struct io_uring_sqe *next(soft_ring *r) { return &r->sqe[r->q.sq_array[r->q.sq_head++ & r->q.sq_mask]]; }

/* One operation a turn, the first one done last; busy and interrupted in between. */
static int enter_slowly(const mc_fs *fs, soft_ring *r, unsigned submit)
{
  unsigned turn = r->turns++ % 4;
  if (turn == 0 || turn == 2)
    return turn ? -EINTR : -EAGAIN;
  if (submit && !r->has_late) {
    r->late = *next(r);
    r->has_late = true;
    return 1;
  }
  if (submit)
    answer(fs, r, next(r), false);
  if (r->has_late)
    answer(fs, r, &r->late, false);
  r->has_late = false;
  return submit ? 1 : 0;
}

static int enter(const mc_fs *fs, int fd, unsigned submit, unsigned wait)
{
  soft_ring *r = at(fd);
  mc_fault_ring kind = kind_of(fs);
  if (kind == MC_FAULT_RING_CLOSED)
    return -EPERM;
  if (kind == MC_FAULT_RING_SLOW)
    return enter_slowly(fs, r, submit);
  bool cancelled = false;
  for (unsigned i = 0; i < submit; i++) {
    const struct io_uring_sqe *op = next(r);
    bool whole = answer(fs, r, op, cancelled);
    cancelled = (op->flags & IOSQE_IO_LINK) && !whole;
  }
  return (int)submit;
}

const mc_ring_kernel mc_ring_kernel_fault = {setup, probe, map, unmap, enter, forget};
