#include <stdlib.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/thread.h"
#include "journal/inside.h"

/* The committer: gather, write, sync, tell. Everything here runs on its thread, except the wake-up. */

enum { GROUP_PIECES = 256 };

void mc_committer_wake(mc_journal *j)
{
  pthread_mutex_lock(&j->commit_lock);
  atomic_store(&j->state, MC_COMMITTER_BUSY);
  pthread_cond_signal(&j->commit_cond);
  pthread_mutex_unlock(&j->commit_lock);
}

/* ---- gather ---- */

static size_t staged(mc_journal *j)
{
  size_t sum = 0;
  pthread_mutex_lock(&j->writers_lock);
  for (mc_journal_writer *w = j->writers; w; w = w->next)
    sum += atomic_load(&w->staged);
  pthread_mutex_unlock(&j->writers_lock);
  return sum;
}

typedef struct group {
  mc_chunk_list chunks;
  size_t bytes, pieces, budget;
  bool full; /* something had to stay behind */
} group;

static bool take(group *g, mc_chunk *c)
{
  if (g->pieces == GROUP_PIECES - 1 || (g->pieces && g->bytes + c->commit.bytes.len > g->budget)) {
    g->full = true;
    return false;
  }
  g->bytes += c->commit.bytes.len;
  g->pieces++;
  return true;
}

static void gather_from(group *g, mc_journal_writer *w)
{
  pthread_mutex_lock(&w->lock);
  while (w->ready.head && take(g, w->ready.head))
    mc_chunk_list_push(&g->chunks, mc_chunk_list_pop(&w->ready));
  pthread_mutex_unlock(&w->lock);
}

/* A large group may end early to fill its segment: sealing far before the end would waste as much as the group is large. */
static size_t budget(const mc_journal *j)
{
  size_t most = mc_pace_budget(&j->pace);
  uint64_t used = j->at - j->seg_first + 2 * MC_GROUP_HEADER;
  uint64_t left = used < j->seg_size ? j->seg_size - used : 0;
  return left < most && left >= MC_GROUP_BYTES ? (size_t)left : most;
}

static void gather(mc_journal *j, group *g)
{
  *g = (group){.budget = budget(j)};
  atomic_store(&j->urgent, false); /* first: what is handed over from here on says so again */
  pthread_mutex_lock(&j->writers_lock);
  for (mc_journal_writer **at = &j->writers; *at;) {
    mc_journal_writer *w = *at;
    gather_from(g, w);
    if (atomic_load(&w->destroyed) && !atomic_load(&w->staged)) {
      *at = w->next;
      mc_writer_unref(w);
    } else {
      at = &w->next;
    }
  }
  /* The first becomes the last, so that one writer that always fills a group starves nobody. */
  mc_journal_writer *head = j->writers;
  if (head && head->next) {
    mc_journal_writer **end = &j->writers;
    while (*end)
      end = &(*end)->next;
    j->writers = head->next;
    head->next = NULL;
    *end = head;
  }
  pthread_mutex_unlock(&j->writers_lock);
  if (g->full)
    atomic_store(&j->urgent, true); /* perhaps that was */
}

/* ---- write ---- */

static mc_err write_seal(mc_journal *j, mc_why *why)
{
  uint8_t header[MC_GROUP_HEADER];
  mc_group_header h = {.seal = true, .offset = j->at, .time_us = mc_clock_wall_us()};
  memcpy(h.id, j->id, sizeof h.id);
  mc_group_header_put(header, &h);
  mc_iov iov[2] = {{header, sizeof header}};
  return mc_journal_put(j, iov, 1, why);
}

/* Retention asks how old the sealed segment is, and whether something in it is to be kept. */
static void tell_table(mc_journal *j)
{
  pthread_rwlock_wrlock(&j->table_lock);
  for (size_t i = j->table.len; i-- > 0;)
    if (j->table.at[i].first == j->seg_first) {
      j->table.at[i].summary = j->seg_summary;
      j->table.at[i].last_us = j->seg_last_us;
      break;
    }
  pthread_rwlock_unlock(&j->table_lock);
  j->seg_summary = MC_SUMMARY_TOLD;
}

/* Makes room for a group of `bytes` payload: seals the active segment and goes to the next one if it must. */
static mc_err ensure_room(mc_journal *j, size_t bytes, mc_why *why)
{
  if (j->at - j->seg_first + bytes + 2 * MC_GROUP_HEADER <= j->seg_size)
    return MC_OK;
  int64_t began_us = mc_clock_mono_us();
  MC_TRY(mc_keeper_wait_next(j, why));
  MC_TRY(write_seal(j, why));
  uint64_t first = j->seg_first + j->seg_size;
  if (mc_segment_table_add(j, first, j->segment_bytes))
    return mc_err_set(why, MC_ERR_MEMORY, "journal %s: out of memory for a segment's entry", j->dir);
  tell_table(j);
  mc_file_close(&j->file);
  j->file = mc_keeper_take_next(j);
  j->seg_first = first;
  j->seg_size = j->segment_bytes;
  j->at = first + MC_SEGMENT_HEADER;
  mc_metric_observe_us(j->m_switch, mc_clock_mono_us() - began_us);
  return MC_OK;
}

static void learn(mc_journal *j, size_t bytes, int64_t took_us)
{
  mc_pace *p = &j->pace;
  mc_pace_group(p, bytes + MC_GROUP_HEADER, took_us);
  atomic_store_explicit(&j->staged_limit, mc_pace_staged_limit(p), memory_order_relaxed);
  mc_metric_observe_us(j->m_sync, took_us);
  mc_metric_set(j->m_sync_cost, (int64_t)p->sync_us);
  mc_metric_set(j->m_throughput, (int64_t)(p->bytes_per_us * 1e6));
  mc_metric_set(j->m_wait, mc_pace_wait_us(p));
  mc_metric_set(j->m_budget, (int64_t)mc_pace_budget(p));
}

static mc_err write_group(mc_journal *j, const group *g, mc_why *why)
{
  int64_t began_us = mc_clock_mono_us();
  for (const mc_chunk *c = g->chunks.head; c; c = c->next)
    mc_metric_observe_us(j->m_gather, began_us - c->since_us);
  MC_TRY(ensure_room(j, g->bytes, why));
  uint8_t header[MC_GROUP_HEADER];
  mc_iov iov[GROUP_PIECES + 1];
  size_t pieces = 1;
  mc_group_header h = {.offset = j->at, .time_us = mc_clock_wall_us(), .length = (uint32_t)g->bytes};
  memcpy(h.id, j->id, sizeof h.id);
  for (const mc_chunk *c = g->chunks.head; c; c = c->next) {
    h.count += c->commit.count;
    h.summary |= c->summary;
    h.payload_crc = mc_crc32c(h.payload_crc, c->data, c->commit.bytes.len);
    iov[pieces++] = (mc_iov){c->data, c->commit.bytes.len};
  }
  mc_group_header_put(header, &h);
  iov[0] = (mc_iov){header, sizeof header};
  began_us = mc_clock_mono_us();
  MC_TRY(mc_journal_put(j, iov, pieces, why));
  learn(j, g->bytes, mc_clock_mono_us() - began_us);
  if (j->seg_summary)
    j->seg_summary |= h.summary;
  j->seg_last_us = h.time_us;
  mc_metric_add(j->m_groups, 1);
  mc_metric_add(j->m_records, h.count);
  mc_metric_add(j->m_bytes, g->bytes);
  return MC_OK;
}

/* A group that failed may stand whole in the file: its header must not be found there. If the device refuses
 * this as well, the next group that it takes is written over it. */
static void disown_group(mc_journal *j)
{
  static const uint8_t zero[MC_GROUP_HEADER];
  if (!mc_file_pwrite(j->file, zero, sizeof zero, j->at - j->seg_first, NULL))
    mc_file_sync(j->file, NULL);
}

static void note_failure(mc_journal *j, const mc_why *why)
{
  mc_metric_add(j->m_failures, 1);
  pthread_mutex_lock(&j->why_lock);
  j->last_why = *why;
  pthread_mutex_unlock(&j->why_lock);
  if (!j->failing)
    mc_log(MC_LOG_ERROR, "journal", "writes fail; publishes are refused until they work again", MC_KZ("folder", j->dir),
           MC_KZ("error", why->text));
  j->failing = true;
}

/* ---- tell ---- */

static void deliver(mc_post *post)
{
  mc_chunk *c = (mc_chunk *)((char *)post - offsetof(mc_chunk, post));
  mc_journal_writer *w = c->commit.writer;
  mc_metric_observe_us(c->journal->m_tell, mc_clock_mono_us() - c->since_us);
  if (atomic_load(&w->destroyed))
    mc_commit_release(&c->commit);
  else
    w->on_commit(w->ctx, &c->commit);
  mc_writer_unref(w);
}

static void deliver_to_loop(mc_journal_writer *w, mc_chunk *c)
{
  pthread_mutex_lock(&w->lock);
  bool gone = atomic_load(&w->destroyed);
  if (!gone) {
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    c->post.run = deliver;
    mc_loop_post(w->loop, &c->post);
  }
  pthread_mutex_unlock(&w->lock);
  if (gone)
    mc_commit_release(&c->commit);
}

static void deliver_sync(mc_journal *j, mc_chunk *c)
{
  pthread_mutex_lock(&j->sync_lock);
  uint64_t ticket = c->commit.first_ticket;
  mc_record r;
  for (size_t at = 0; mc_commit_next(&c->commit, &at, &r); ticket++)
    for (mc_sync_wait **p = &j->sync_waits; *p;) {
      mc_sync_wait *wait = *p;
      if (wait->ticket != ticket) {
        p = &wait->next;
        continue;
      }
      *p = wait->next;
      wait->offset = r.offset;
      wait->err = c->commit.err;
      wait->done = true;
    }
  pthread_cond_broadcast(&j->sync_cond);
  pthread_mutex_unlock(&j->sync_lock);
  mc_commit_release(&c->commit);
}

static void tell(mc_journal *j, group *g, mc_err err, uint64_t first_offset)
{
  int64_t now_us = mc_clock_mono_us();
  for (mc_chunk *c; (c = mc_chunk_list_pop(&g->chunks));) {
    mc_journal_writer *w = c->commit.writer;
    c->commit.err = err;
    c->commit.first_offset = err ? 0 : first_offset;
    first_offset += c->commit.bytes.len;
    c->since_us = now_us;
    atomic_fetch_sub(&w->staged, c->commit.bytes.len);
    if (w->loop)
      deliver_to_loop(w, c);
    else
      deliver_sync(j, c);
  }
}

static void wake_readers(mc_journal *j)
{
  if (!atomic_load(&j->waiters))
    return;
  pthread_mutex_lock(&j->wait_lock);
  pthread_cond_broadcast(&j->wait_cond);
  pthread_mutex_unlock(&j->wait_lock);
}

static void commit_group(mc_journal *j, group *g)
{
  mc_why why = {0};
  mc_err err = write_group(j, g, &why);
  uint64_t first_offset = j->at + MC_GROUP_HEADER;
  if (err) {
    disown_group(j);
    note_failure(j, &why);
  } else {
    j->at = first_offset + g->bytes;
    atomic_store(&j->end, j->at);
    mc_keeper_note_used(j, j->at - j->seg_first);
    if (j->failing)
      mc_log(MC_LOG_INFO, "journal", "writes work again", MC_KZ("folder", j->dir));
    j->failing = false;
  }
  tell(j, g, err, first_offset);
  wake_readers(j);
}

/* ---- pace ---- */

/* Sleeps until something is staged. False when the journal closes and nothing is left. */
static bool sleep_until_staged(mc_journal *j)
{
  for (;;) {
    atomic_store(&j->state, MC_COMMITTER_SLEEPING);
    if (staged(j)) {
      atomic_store(&j->state, MC_COMMITTER_BUSY);
      return true;
    }
    pthread_mutex_lock(&j->commit_lock);
    while (atomic_load(&j->state) == MC_COMMITTER_SLEEPING && !j->stopping)
      pthread_cond_wait(&j->commit_cond, &j->commit_lock);
    atomic_store(&j->state, MC_COMMITTER_BUSY);
    bool stopping = j->stopping;
    pthread_mutex_unlock(&j->commit_lock);
    if (staged(j))
      return true;
    if (stopping)
      return false;
    group none;
    gather(j, &none); /* woken by a writer that left: takes it off the list */
    if (none.chunks.head)
      commit_group(j, &none);
  }
}

/* Lets a group grow while the last one is younger than the pace says. */
static void linger(mc_journal *j)
{
  int64_t until_us = j->last_group_us + mc_pace_wait_us(&j->pace);
  if (mc_clock_mono_us() >= until_us || staged(j) >= j->group_bytes)
    return;
  pthread_mutex_lock(&j->commit_lock);
  atomic_store(&j->state, MC_COMMITTER_GATHERING);
  while (atomic_load(&j->state) == MC_COMMITTER_GATHERING && !j->stopping)
    if (!mc_cond_wait_until(&j->commit_cond, &j->commit_lock, until_us))
      break;
  atomic_store(&j->state, MC_COMMITTER_BUSY);
  pthread_mutex_unlock(&j->commit_lock);
}

/* What nobody waits for gathers longer, so that a vehicle's check-in now and then does not cost a sync and the waking of three threads each. */
static void be_patient(mc_journal *j)
{
  if (!j->patient_wait_us || atomic_load(&j->urgent) || staged(j) >= j->group_bytes)
    return;
  int64_t until_us = mc_clock_mono_us() + j->patient_wait_us;
  pthread_mutex_lock(&j->commit_lock);
  atomic_store(&j->state, MC_COMMITTER_PATIENT);
  /* Who hands over sets `urgent` and then looks at the state; here it is the other way round, so one of the two notices. */
  while (!atomic_load(&j->urgent) && atomic_load(&j->state) == MC_COMMITTER_PATIENT && !j->stopping)
    if (!mc_cond_wait_until(&j->commit_cond, &j->commit_lock, until_us))
      break;
  atomic_store(&j->state, MC_COMMITTER_BUSY);
  pthread_mutex_unlock(&j->commit_lock);
}

void *mc_committer_run(void *journal)
{
  mc_journal *j = journal;
  mc_thread_name("journal");
  mc_thread_prompt();
  while (sleep_until_staged(j)) {
    be_patient(j);
    linger(j);
    int64_t now_us = mc_clock_mono_us();
    group g;
    gather(j, &g);
    mc_pace_arrived(&j->pace, g.bytes, now_us - j->last_group_us);
    j->last_group_us = now_us;
    if (g.chunks.head)
      commit_group(j, &g);
  }
  return NULL;
}
