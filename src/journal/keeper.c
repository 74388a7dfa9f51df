#include "base/clock.h"
#include "base/log.h"
#include "journal/inside.h"

/* The keeper: prepares the next segment, gives up old ones, writes the consumers' offsets. */

enum {
  CHORES_US = 200000,      /* consumers' offsets are at most this old on disk, plus a sync */
  RETRY_US = 1000000,      /* between attempts to prepare a segment that failed */
  RETRY_WANTED_US = 100000 /* the same, while the committer waits for it */
};

/* ---- what the committer calls ---- */

mc_err mc_keeper_wait_next(mc_journal *j, mc_why *why)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&j->keeper_lock);
  uint64_t tries = j->next_tries;
  bool recent = j->next_why.err && mc_clock_mono_us() - j->next_failed_us < RETRY_WANTED_US;
  while (!j->next_file && !recent && j->next_tries == tries) {
    j->next_wanted = true;
    pthread_cond_signal(&j->keeper_cond);
    pthread_cond_wait(&j->next_cond, &j->keeper_lock);
  }
  if (!j->next_file) {
    err = j->next_why.err;
    if (why)
      *why = j->next_why;
  }
  j->next_wanted = !j->next_file; /* refused this time: the keeper tries again soon, not in a second */
  pthread_mutex_unlock(&j->keeper_lock);
  return err;
}

mc_file *mc_keeper_take_next(mc_journal *j)
{
  pthread_mutex_lock(&j->keeper_lock);
  mc_file *file = j->next_file;
  j->next_file = NULL;
  j->active_end += j->segment_bytes;
  j->used = MC_SEGMENT_HEADER;
  pthread_cond_signal(&j->keeper_cond);
  pthread_mutex_unlock(&j->keeper_lock);
  return file;
}

void mc_keeper_note_used(mc_journal *j, uint64_t used)
{
  if (used - j->used_told < MC_SEGMENT_PIECE && used >= j->used_told)
    return;
  j->used_told = used;
  pthread_mutex_lock(&j->keeper_lock);
  j->used = used;
  pthread_cond_signal(&j->keeper_cond);
  pthread_mutex_unlock(&j->keeper_lock);
}

/* ---- retention ---- */

static bool give_up_oldest(mc_journal *j, uint64_t *first, uint64_t *size)
{
  pthread_mutex_lock(&j->consumer_lock);
  uint64_t low = j->durable_low;
  pthread_mutex_unlock(&j->consumer_lock);
  mc_file *read = NULL;
  bool found = false;
  pthread_rwlock_wrlock(&j->table_lock);
  if (j->table.len > 1) {
    mc_segment *oldest = &j->table.at[0];
    uint64_t next = j->table.at[1].first;
    found = next <= low && atomic_load(&j->end) >= next && atomic_load(&j->end) - next >= j->retain_bytes;
    if (found) {
      *first = oldest->first;
      *size = oldest->size;
      read = oldest->read;
      atomic_store(&j->first, next); /* before the file is touched: readers look after they read */
      memmove(oldest, oldest + 1, (--j->table.len) * sizeof *oldest);
    }
  }
  pthread_rwlock_unlock(&j->table_lock);
  mc_file_close(&read);
  return found;
}

static void retain(mc_journal *j)
{
  uint64_t first, size;
  char path[MC_JOURNAL_PATH], spare[MC_JOURNAL_PATH];
  while (j->retain_bytes && give_up_oldest(j, &first, &size)) {
    mc_segment_path(j->dir, first, path, sizeof path);
    mc_segment_name(j->dir, "spare.tmp", spare, sizeof spare);
    bool keep = !j->has_spare && size == j->segment_bytes;
    mc_why why;
    mc_err err = keep ? mc_fs_rename(j->fs, path, spare, &why) : mc_fs_unlink(j->fs, path, &why);
    if (!err)
      err = mc_fs_sync_dir(j->fs, j->dir, &why);
    if (err)
      mc_log(MC_LOG_WARN, "journal", "an old segment could not be removed; it is tried again at the next start", MC_KZ("error", why.text));
    else
      mc_log(MC_LOG_DEBUG, "journal", "segment retired", MC_KU("first", first));
    j->has_spare |= keep && !err;
  }
}

static void chores(mc_journal *j)
{
  mc_why why;
  if (mc_consumers_flush(j, &why) && !j->flush_failing)
    mc_log(MC_LOG_WARN, "journal", "consumers' offsets could not be written; they are tried again", MC_KZ("error", why.text));
  retain(j);
  mc_journal_cache_trim(j);
}

/* ---- preparation ---- */

/* Holds preparation back to twice the pace at which the active segment fills, so that it never crowds
 * out commits and is done when the active one is half full. keeper_lock not held. */
static mc_err pace(mc_journal *j, uint64_t done)
{
  for (;;) {
    pthread_mutex_lock(&j->keeper_lock);
    bool stop = j->keeper_stop;
    bool go = j->next_wanted || j->used * 2 >= done;
    if (!stop && !go)
      mc_cond_wait_until(&j->keeper_cond, &j->keeper_lock, mc_clock_mono_us() + CHORES_US);
    pthread_mutex_unlock(&j->keeper_lock);
    if (stop)
      return MC_ERR_CLOSED;
    if (go) {
      mc_journal_cache_trim(j); /* the next piece takes the pages that this gives back */
      return MC_OK;
    }
    chores(j);
  }
}

static void prepare(mc_journal *j, uint64_t first)
{
  mc_file *file = NULL;
  mc_why why = {0};
  mc_err err = mc_segment_create(j, first, pace, &file, &why);
  pthread_mutex_lock(&j->keeper_lock);
  j->next_file = file;
  j->next_tries++;
  if (err && err != MC_ERR_CLOSED && !j->next_why.err)
    mc_log(MC_LOG_WARN, "journal", "the next segment cannot be prepared yet", MC_KZ("error", why.text));
  j->next_why = err ? why : (mc_why){0};
  j->next_why.err = err;
  j->next_failed_us = mc_clock_mono_us();
  pthread_cond_broadcast(&j->next_cond);
  pthread_mutex_unlock(&j->keeper_lock);
}

void *mc_keeper_run(void *journal)
{
  mc_journal *j = journal;
  for (;;) {
    chores(j);
    pthread_mutex_lock(&j->keeper_lock);
    int64_t wait_us = j->next_wanted ? RETRY_WANTED_US : RETRY_US;
    bool due = !j->next_file && (!j->next_why.err || mc_clock_mono_us() - j->next_failed_us >= wait_us);
    uint64_t first = j->active_end;
    if (!due && !j->keeper_stop)
      mc_cond_wait_until(&j->keeper_cond, &j->keeper_lock, mc_clock_mono_us() + (j->next_wanted ? RETRY_WANTED_US : CHORES_US));
    bool stop = j->keeper_stop;
    pthread_mutex_unlock(&j->keeper_lock);
    if (stop)
      break;
    if (due)
      prepare(j, first);
  }
  pthread_mutex_lock(&j->keeper_lock);
  j->next_tries++; /* nobody waits for a keeper that has gone */
  pthread_cond_broadcast(&j->next_cond);
  pthread_mutex_unlock(&j->keeper_lock);
  return NULL;
}
