#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "journal/inside.h"

/* The keeper: prepares the next segment, gives up old ones (retention.c), writes the consumers' offsets. */

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

/* ---- chores ---- */

static void chores(mc_journal *j)
{
  mc_why why;
  if (mc_consumers_flush(j, &why) && !j->flush_failing)
    mc_log(MC_LOG_WARN, "journal", "consumers' offsets could not be written; they are tried again", MC_KZ("error", why.text));
  mc_journal_retain(j);
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
      mc_journal_cache_trim(j); /* the next groups take the pages that this gives back */
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

/* keeper_lock held. */
static bool preparation_due(const mc_journal *j)
{
  int64_t wait_us = j->next_wanted ? RETRY_WANTED_US : RETRY_US;
  return !j->next_file && (!j->next_why.err || mc_clock_mono_us() - j->next_failed_us >= wait_us);
}

mc_err mc_keeper_breathe(mc_journal *j)
{
  pthread_mutex_lock(&j->keeper_lock);
  bool stop = j->keeper_stop, due = preparation_due(j) && j->next_wanted;
  uint64_t first = j->active_end;
  pthread_mutex_unlock(&j->keeper_lock);
  if (stop)
    return MC_ERR_CLOSED;
  mc_consumers_flush(j, NULL);
  if (due)
    prepare(j, first);
  return MC_OK;
}

void *mc_keeper_run(void *journal)
{
  mc_journal *j = journal;
  mc_thread_name("journal-keeper");
  for (;;) {
    chores(j);
    pthread_mutex_lock(&j->keeper_lock);
    bool due = preparation_due(j);
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
