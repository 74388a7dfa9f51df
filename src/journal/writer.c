#include <stdlib.h>

#include "base/clock.h"
#include "journal/inside.h"

void mc_writer_unref(mc_journal_writer *w)
{
  if (atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1)
    return;
  for (mc_chunk *c; (c = mc_chunk_list_pop(&w->ready));)
    mc_chunk_free(c);
  if (w->open)
    mc_chunk_free(w->open);
  pthread_mutex_destroy(&w->lock);
  mc_buf_free(&w->sealed);
  mc_journal *j = w->journal;
  free(w);
  mc_journal_unref(j);
}

mc_err mc_journal_writer_create(mc_journal *j, mc_loop *loop, void (*on_commit)(void *ctx, const mc_commit *c), void *ctx,
                                mc_journal_writer **out)
{
  *out = NULL;
  if (atomic_load(&j->closed))
    return MC_ERR_CLOSED;
  mc_journal_writer *w = calloc(1, sizeof *w);
  if (!w)
    return MC_ERR_MEMORY;
  w->journal = j;
  w->loop = loop;
  w->on_commit = on_commit;
  w->ctx = ctx;
  w->next_ticket = 1;
  atomic_init(&w->refs, 2); /* the owner's and the list's */
  pthread_mutex_init(&w->lock, NULL);
  mc_journal_ref(j);
  pthread_mutex_lock(&j->writers_lock);
  w->next = j->writers;
  j->writers = w;
  pthread_mutex_unlock(&j->writers_lock);
  *out = w;
  return MC_OK;
}

void mc_journal_writer_destroy(mc_journal_writer **writer)
{
  mc_journal_writer *w = *writer;
  if (!w)
    return;
  *writer = NULL;
  mc_journal_writer_hand_over(w);
  pthread_mutex_lock(&w->lock); /* from here on the loop is told nothing: it may be gone before what is staged is committed */
  atomic_store(&w->destroyed, true); /* the committer takes it off the list once nothing is staged */
  pthread_mutex_unlock(&w->lock);
  mc_committer_wake(w->journal);
  mc_writer_unref(w);
}

/* ---- staging ---- */

/* Under lock. Few bytes go behind those that wait: a writer that hands over little at a time beside a slow disk would otherwise fill memory with empty room. */
static bool copy_behind(mc_chunk *last, const mc_chunk *open, uint64_t room)
{
  size_t len = open->commit.bytes.len;
  if (!last || len > MC_CHUNK_COPY || last->cap - last->commit.bytes.len < len || last->commit.bytes.len + len > room)
    return false;
  memcpy(last->data + last->commit.bytes.len, open->data, len);
  last->commit.bytes.len += len;
  last->commit.count += open->commit.count;
  last->summary |= open->summary;
  return true;
}

void mc_journal_writer_hand_over(mc_journal_writer *w)
{
  mc_chunk *c = w->open;
  if (!c || !c->commit.count)
    return;
  mc_journal *j = w->journal;
  size_t len = c->commit.bytes.len;
  bool urgent = c->urgent; /* the committer may have it in a moment */
  pthread_mutex_lock(&w->lock);
  bool copied = copy_behind(w->ready.tail, c, mc_segment_room(j->segment_bytes));
  if (!copied) {
    mc_chunk_list_push(&w->ready, c);
    w->open = NULL;
  }
  size_t staged = atomic_fetch_add(&w->staged, len) + len;
  pthread_mutex_unlock(&w->lock);
  if (copied) {
    c->commit.bytes.len = c->commit.count = 0;
    c->summary = MC_SUMMARY_TOLD;
    c->urgent = false;
  }
  if (urgent && !atomic_load(&j->urgent))
    atomic_store(&j->urgent, true); /* after the bytes are in the queue, before the state is looked at: see be_patient */
  int state = atomic_load(&j->state);
  bool full = staged >= j->group_bytes;
  if (state == MC_COMMITTER_SLEEPING || (state == MC_COMMITTER_GATHERING && full) || (state == MC_COMMITTER_PATIENT && (urgent || full)))
    mc_committer_wake(j);
}

void mc_journal_writer_batch(mc_journal_writer *w) { w->batched = true; }

/* w->open with room for a record of this size. */
static mc_err make_room(mc_journal_writer *w, uint32_t size, uint64_t room)
{
  mc_chunk *c = w->open;
  if (c && (c->cap - c->commit.bytes.len < size || c->commit.bytes.len + size > room))
    mc_journal_writer_hand_over(w);
  if (w->open && w->open->cap < size) { /* empty: it was copied */
    mc_chunk_free(w->open);
    w->open = NULL;
  }
  if (!w->open && !(w->open = mc_chunk_new(w->journal, size)))
    return MC_ERR_MEMORY;
  return MC_OK;
}

static mc_err stage(mc_journal_writer *w, const mc_record *r, uint32_t size)
{
  MC_TRY(make_room(w, size, mc_segment_room(w->journal->segment_bytes)));
  mc_chunk *c = w->open;
  if (!c->commit.count) {
    c->commit.writer = w;
    c->commit.first_ticket = w->next_ticket;
    c->since_us = mc_clock_mono_us();
  }
  mc_record_put(c->data + c->commit.bytes.len, size, r);
  c->commit.bytes.len += size;
  c->commit.count++;
  c->summary |= mc_record_summary(r);
  c->urgent |= !(w->journal->patient_streams >> r->stream & 1);
  w->next_ticket++;
  return MC_OK;
}

mc_err mc_journal_append(mc_journal_writer *w, const mc_record *record, uint64_t *ticket)
{
  mc_journal *j = w->journal;
  uint32_t size;
  mc_record sealed;
  if (j->cipher.seal) {
    if (record->props.len > UINT16_MAX)
      return MC_ERR_TOO_LARGE;
    MC_TRY(mc_journal_encipher(j, record, &w->sealed, &sealed));
    record = &sealed;
  }
  MC_TRY(mc_record_size(record, &size));
  if (size > mc_segment_room(j->segment_bytes))
    return MC_ERR_TOO_LARGE;
  if (atomic_load_explicit(&j->closed, memory_order_relaxed))
    return MC_ERR_CLOSED;
  size_t staged = atomic_load_explicit(&w->staged, memory_order_relaxed) + (w->open ? w->open->commit.bytes.len : 0);
  if (staged && staged + size > atomic_load_explicit(&j->staged_limit, memory_order_relaxed)) {
    mc_journal_writer_hand_over(w); /* or it would stay full */
    return MC_ERR_FULL;
  }
  MC_TRY(stage(w, record, size));
  if (ticket)
    *ticket = w->next_ticket - 1;
  if (!w->batched || w->open->commit.bytes.len >= j->group_bytes)
    mc_journal_writer_hand_over(w);
  return MC_OK;
}

/* ---- threads without a loop ---- */

static void fill_why(mc_journal *j, mc_err err, mc_why *why)
{
  if (!why)
    return;
  pthread_mutex_lock(&j->why_lock);
  if (j->last_why.err == err)
    *why = j->last_why;
  else
    mc_err_set(why, err, "journal %s: %s", j->dir, mc_err_text(err));
  pthread_mutex_unlock(&j->why_lock);
}

static mc_err explain_refusal(mc_journal *j, mc_err err, const mc_record *r, mc_why *why)
{
  switch (err) {
  case MC_ERR_TOO_LARGE:
    return mc_err_set(why, err,
                      "journal record of %zu + %zu + %zu bytes (topic, properties, payload): a topic and properties have at most 65535 bytes "
                      "each, a record %d MiB or one segment",
                      r->topic.len, r->props.len, r->payload.len, MC_RECORD_MAX >> 20);
  case MC_ERR_INVALID:
    return mc_err_set(why, err, "journal record: stream %d must be 1 to 15 and partition %u below %d", (int)r->stream, r->partition,
                      MC_JOURNAL_PARTITIONS);
  case MC_ERR_FULL:
    return mc_err_set(why, err, "journal %s: the disk is behind and the staging memory is full; try again", j->dir);
  case MC_ERR_CLOSED:
    return mc_err_set(why, err, "journal %s is closed", j->dir);
  default:
    return mc_err_set(why, err, "journal %s: %s", j->dir, mc_err_text(err));
  }
}

mc_err mc_journal_append_sync(mc_journal *j, const mc_record *record, uint64_t *offset, mc_why *why)
{
  mc_sync_wait wait = {0};
  pthread_mutex_lock(&j->sync_lock);
  /* Entered before the append, so that the committer cannot come first: it takes sync_lock to deliver. */
  mc_err err = mc_journal_append(j->sync_writer, record, &wait.ticket);
  if (err) {
    pthread_mutex_unlock(&j->sync_lock);
    return explain_refusal(j, err, record, why);
  }
  wait.next = j->sync_waits;
  j->sync_waits = &wait;
  while (!wait.done)
    pthread_cond_wait(&j->sync_cond, &j->sync_lock);
  pthread_mutex_unlock(&j->sync_lock);
  if (wait.err)
    fill_why(j, wait.err, why);
  else if (offset)
    *offset = wait.offset;
  return wait.err;
}
