#include <stdlib.h>

#include "journal/inside.h"

/* Staging buffers: filled by a writer, written by the committer, delivered from by loops, then kept for
 * the next writer. Those of the standard size are pooled, so that a busy journal does not fault pages in anew. */

mc_chunk *mc_chunk_new(mc_journal *j, size_t cap)
{
  mc_chunk *c = NULL;
  if (cap <= MC_CHUNK_BYTES) {
    cap = MC_CHUNK_BYTES;
    pthread_mutex_lock(&j->pool_lock);
    c = j->pool;
    if (c) {
      j->pool = c->next;
      j->pool_len--;
    }
    pthread_mutex_unlock(&j->pool_lock);
  }
  if (!c && !(c = malloc(sizeof *c + cap)))
    return NULL;
  c->commit = (mc_commit){.bytes = {c->data, 0}};
  c->next = NULL;
  c->journal = j;
  c->cap = cap;
  c->summary = MC_SUMMARY_TOLD;
  c->urgent = false;
  atomic_init(&c->refs, 1);
  mc_journal_ref(j);
  return c;
}

void mc_chunk_free(mc_chunk *c)
{
  mc_journal *j = c->journal;
  bool pooled = false;
  if (c->cap == MC_CHUNK_BYTES) {
    pthread_mutex_lock(&j->pool_lock);
    if ((pooled = j->pool_len < MC_CHUNKS_KEPT)) {
      c->next = j->pool;
      j->pool = c;
      j->pool_len++;
    }
    pthread_mutex_unlock(&j->pool_lock);
  }
  if (!pooled)
    free(c);
  mc_journal_unref(j);
}

bool mc_commit_next(const mc_commit *c, size_t *at, mc_record *out)
{
  uint32_t size;
  mc_slice rest = mc_slice_sub(c->bytes, *at, c->bytes.len);
  if (!rest.len || mc_record_view(rest, out, &size))
    return false;
  out->offset = c->err ? 0 : c->first_offset + *at;
  *at += size;
  return true;
}

void mc_commit_retain(const mc_commit *commit)
{
  mc_chunk *c = (mc_chunk *)(uintptr_t)commit;
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void mc_commit_release(const mc_commit *commit)
{
  mc_chunk *c = (mc_chunk *)(uintptr_t)commit;
  if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
    mc_chunk_free(c);
}
