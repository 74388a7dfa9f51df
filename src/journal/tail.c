#include <stdlib.h>
#include <sys/mman.h>

#include "journal/inside.h"

/* The journal's last bytes in memory (README, "Page cache"). The committer lays a group there, behind what stands in the page that it begins in, and writes whole
 * pages from there to the device; live readers, which mostly want what was just written, take it from there. Byte `offset` lies at offset % MC_TAIL_BYTES.
 *
 * Readers copy under the lock and only what lies in [tail_low, tail_high) and below `end`. The committer writes at and above `end` without it, and moves tail_low up
 * before that comes round to what could be read. */

enum {
  PAGE = MC_FILE_DIRECT_ALIGN,
  HUGE_PAGE = 2 << 20,
  SLACK = 1 << 20, /* tail_low goes up by at least this much, so that the lock is not taken for every group */
  READ_MAX = 1 << 20
};
/* Live readers: beyond the first groups go through the page cache, within the second they do no more. */
static const uint64_t FAR_BEHIND = 64 << 20, NEAR = MC_TAIL_BYTES / 2;

void mc_tail_init(mc_journal *j)
{
  pthread_rwlockattr_t attr;
  pthread_rwlockattr_init(&attr);
  pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&j->tail_lock, &attr);
  pthread_rwlockattr_destroy(&attr);
  j->tail_low = j->tail_high = 0;
  j->tail_at = UINT64_MAX;
  if (j->segment_bytes % PAGE)
    return;
  j->tail = aligned_alloc(HUGE_PAGE, MC_TAIL_BYTES);
  if (j->tail)
    madvise(j->tail, MC_TAIL_BYTES, MADV_HUGEPAGE); /* one piece for the device, not one a page. A hint */
}

void mc_tail_free(mc_journal *j)
{
  free(j->tail);
  pthread_rwlock_destroy(&j->tail_lock);
}

static void set_range(mc_journal *j, uint64_t low, uint64_t high)
{
  pthread_rwlock_wrlock(&j->tail_lock);
  j->tail_low = low;
  j->tail_high = high;
  pthread_rwlock_unlock(&j->tail_lock);
}

/* The next group goes another way: what is there may be read on, but nothing is put behind it. */
static bool leave(mc_journal *j)
{
  if (j->tail_high == UINT64_MAX)
    set_range(j, j->tail_low, j->at);
  j->tail_at = UINT64_MAX;
  return false;
}

/* Before anything is laid below `end`. */
static void make_room(mc_journal *j, uint64_t end)
{
  uint64_t low = end > MC_TAIL_BYTES ? end - MC_TAIL_BYTES : 0;
  if (j->tail_high != UINT64_MAX)
    set_range(j, j->at, UINT64_MAX);
  else if (j->tail_low < low)
    set_range(j, low + SLACK < j->at ? low + SLACK : j->at, UINT64_MAX);
}

/* Reading back what is written meanwhile costs a slow disk more than copying it: what a reader far behind has before it stays in the page cache. */
static bool reader_behind(mc_journal *j)
{
  return j->tail_behind = mc_journal_followed(j, j->at) > (j->tail_behind ? NEAR : FAR_BEHIND);
}

/* What is laid at `offset`; [offset, offset + len) as one or two pieces. */
static size_t pieces(const mc_journal *j, uint64_t offset, size_t len, mc_iov out[2])
{
  size_t at = offset % MC_TAIL_BYTES, first = MC_TAIL_BYTES - at < len ? MC_TAIL_BYTES - at : len;
  out[0] = (mc_iov){j->tail + at, first};
  out[1] = (mc_iov){j->tail, len - first};
  return len > first ? 2 : 1;
}

static uint64_t lay(mc_journal *j, uint64_t offset, const uint8_t *data, size_t len)
{
  size_t at = offset % MC_TAIL_BYTES, first = MC_TAIL_BYTES - at < len ? MC_TAIL_BYTES - at : len;
  memcpy(j->tail + at, data, first);
  if (len > first)
    memcpy(j->tail, data + first, len - first);
  return offset + len;
}

/* What stands in the file before j->at in its page: the segment was just entered, or the group before went another way. */
static bool load(mc_journal *j, uint64_t begin)
{
  size_t len = (size_t)(j->at - begin), got;
  if (j->tail_at == j->at || !len)
    return true;
  return mc_file_pread(j->file, j->tail + begin % MC_TAIL_BYTES, len, begin - j->seg_first, &got, NULL) == MC_OK && got == len;
}

bool mc_tail_put(mc_journal *j, const mc_iov *iov, size_t count, mc_err *err, mc_why *why)
{
  static const uint8_t zero[PAGE];
  uint64_t begin = j->at - j->at % PAGE, stop = j->at;
  for (size_t i = 0; i < count; i++)
    stop += iov[i].len;
  uint64_t end = stop + -stop % PAGE;
  if (!j->tail || j->ring || j->seg_first % PAGE || end > j->seg_first + j->seg_size || end - begin > MC_TAIL_BYTES / 2 || reader_behind(j))
    return leave(j);
  make_room(j, end);
  if (!load(j, begin))
    return leave(j);
  j->tail_at = j->at;
  uint64_t at = j->at;
  for (size_t i = 0; i < count; i++)
    at = lay(j, at, iov[i].data, iov[i].len);
  lay(j, at, zero, (size_t)(end - at)); /* nothing lies behind the last group that counts */
  mc_iov out[2];
  size_t n = pieces(j, begin, (size_t)(end - begin), out);
  *err = mc_file_pwritev_direct(j->file, out, n, begin - j->seg_first, why);
  if (!*err)
    *err = mc_file_sync(j->file, why);
  if (!*err) {
    j->tail_at = stop;
    mc_metric_add(j->m_direct, 1);
  }
  return true;
}

mc_err mc_tail_pread(mc_journal *j, mc_file *file, uint64_t first, void *out, size_t len, uint64_t offset, size_t *got, mc_why *why)
{
  uint64_t end = atomic_load(&j->end);
  bool here = j->tail && len <= READ_MAX && offset < end && len <= end - offset;
  if (here) {
    mc_iov in[2];
    pthread_rwlock_rdlock(&j->tail_lock);
    here = j->tail_low <= offset && offset + len <= j->tail_high;
    if (here) {
      pieces(j, offset, len, in);
      memcpy(out, in[0].data, in[0].len);
      if (in[1].len)
        memcpy((uint8_t *)out + in[0].len, in[1].data, in[1].len);
    }
    pthread_rwlock_unlock(&j->tail_lock);
  }
  if (!here)
    return mc_file_pread(file, out, len, offset - first, got, why);
  *got = len;
  return MC_OK;
}
