#include "base/log.h"
#include "journal/inside.h"

/* Groups and seals by io_uring, where that was asked for and the kernel permits; by plain calls otherwise. The journal is the same on disk. */

static void do_without(mc_journal *j, const mc_why *why)
{
  mc_file_ring_destroy(&j->ring);
  atomic_store(&j->uring, false);
  mc_metric_set(j->m_uring, 0);
  pthread_mutex_lock(&j->why_lock);
  j->ring_why = *why;
  pthread_mutex_unlock(&j->why_lock);
  mc_log(MC_LOG_WARN, "journal", "io_uring is not to be had here; groups are written by plain calls", MC_KZ("folder", j->dir), MC_KZ("reason", why->text));
}

void mc_journal_ring_open(mc_journal *j, mc_journal_io io)
{
  mc_why why = {0};
  mc_metric_set(j->m_uring, 0);
  if (io != MC_JOURNAL_IO_URING)
    return;
  if (mc_file_ring_create(j->fs, &j->ring, &why))
    return do_without(j, &why);
  atomic_store(&j->uring, true);
  mc_metric_set(j->m_uring, 1);
  mc_log(MC_LOG_INFO, "journal", "groups are written by io_uring", MC_KZ("folder", j->dir));
}

mc_err mc_journal_put(mc_journal *j, mc_iov *iov, size_t count, mc_why *why)
{
  uint64_t at = j->at - j->seg_first, end = at;
  mc_why told = {0};
  mc_err done;
  if (mc_tail_put(j, iov, count, &done, why))
    return done;
  for (size_t i = 0; i < count; i++)
    end += iov[i].len;
  /* Whole pages: half a page of a file that is not in memory would be read first. Nothing lies behind the last group that counts. */
  static const uint8_t zero[MC_FILE_DIRECT_ALIGN];
  uint64_t pad = -end % MC_FILE_DIRECT_ALIGN;
  if (pad && pad <= j->seg_size - end)
    iov[count++] = (mc_iov){zero, pad};
  mc_err err = mc_file_commit(j->file, j->ring, iov, count, at, &told);
  if (err == MC_ERR_UNSUPPORTED && j->ring) { /* a filter that came later, a file system that does not do it: nothing was promised yet */
    do_without(j, &told);
    err = mc_file_commit(j->file, NULL, iov, count, at, &told);
  }
  if (err && why)
    *why = told;
  return err;
}
