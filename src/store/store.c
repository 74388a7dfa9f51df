#include "store/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

enum { DEFAULT_MEMORY = 64 << 20, HARD_FACTOR = 4 /* appends wait when this many times the budget is held */ };
#define DEFAULT_FLUSH_US (300 * 1000000LL)

static void *background(void *arg);

static void store_free(mc_store *s)
{
  store_segments_free(&s->segment);
  store_memtable *tables[2] = {s->open, s->frozen};
  for (int i = 0; i < 2; i++)
    if (tables[i]) {
      store_memtable_free(tables[i]);
      free(tables[i]);
    }
  pthread_mutex_destroy(&s->lock);
  pthread_cond_destroy(&s->wake);
  free(s->dir);
  free(s);
}

mc_err mc_store_open(const mc_store_config *config, mc_store **out, mc_why *why)
{
  mc_store *s = calloc(1, sizeof *s);
  if (!s)
    return MC_ERR_MEMORY;
  s->config = *config;
  if (!s->config.memory_bytes)
    s->config.memory_bytes = DEFAULT_MEMORY;
  if (!s->config.flush_after_us)
    s->config.flush_after_us = DEFAULT_FLUSH_US;
  pthread_mutex_init(&s->lock, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->wake, &attr);
  pthread_condattr_destroy(&attr);
  s->dir = strdup(config->dir);
  s->open = calloc(1, sizeof *s->open);
  mc_err err = s->dir && s->open ? mc_fs_mkdirs(config->fs, s->dir, why) : MC_ERR_MEMORY;
  if (!err)
    err = store_manifest_load(s, why);
  s->offset = s->saved_offset;
  if (!err && pthread_create(&s->thread, NULL, background, s))
    err = mc_err_set(why, MC_ERR_MEMORY, "store: cannot start its background thread");
  if (err) {
    store_free(s);
    return err;
  }
  s->running = true;
  *out = s;
  return MC_OK;
}

void mc_store_close(mc_store **store)
{
  mc_store *s = *store;
  if (!s)
    return;
  mc_why why;
  if (mc_store_flush(s, &why))
    mc_log(MC_LOG_WARN, "store", "not everything could be written; it will be read again from the journal", MC_KZ("reason", why.text));
  pthread_mutex_lock(&s->lock);
  s->stopping = true;
  pthread_cond_broadcast(&s->wake);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  store_free(s);
  *store = NULL;
}

uint64_t mc_store_offset(const mc_store *s)
{
  pthread_mutex_t *lock = (pthread_mutex_t *)&s->lock;
  pthread_mutex_lock(lock);
  uint64_t offset = s->saved_offset;
  pthread_mutex_unlock(lock);
  return offset;
}

mc_err mc_store_append(mc_store *s, const mc_block *block, mc_why *why)
{
  pthread_mutex_lock(&s->lock);
  while (s->frozen && s->open->bytes > s->config.memory_bytes * HARD_FACTOR && !s->flush_err)
    pthread_cond_wait(&s->wake, &s->lock);
  if (block->next_offset && block->next_offset <= s->offset) {
    /* The reader started behind us, for the sake of another sink: these rows are here already. */
    pthread_mutex_unlock(&s->lock);
    return MC_OK;
  }
  mc_err err = MC_OK;
  if (s->flush_err && s->open->bytes > s->config.memory_bytes * HARD_FACTOR)
    err = mc_err_set(why, s->flush_err, "store cannot take more until segments can be written: %s", s->flush_text);
  if (!err) {
    err = store_memtable_append(s->open, block);
    if (err)
      mc_err_set(why, err, "store: cannot hold %u more samples: %s", block->count, mc_err_text(err));
  }
  if (!err) {
    s->stats.appended += block->count;
    for (uint32_t i = 0; i < block->count; i++)
      s->stats.quarantined += (block->flags[i] & MC_SAMPLE_QUARANTINED) != 0;
    if (block->next_offset > s->offset)
      s->offset = block->next_offset;
    s->open->offset = s->offset;
    if (s->open->bytes > s->config.memory_bytes && !s->frozen)
      pthread_cond_broadcast(&s->wake);
  }
  pthread_mutex_unlock(&s->lock);
  return err;
}

static mc_err sink_take(void *ctx, const mc_block *block, mc_why *why)
{
  return mc_store_append(ctx, block, why);
}

mc_block_sink mc_store_sink(mc_store *s)
{
  return (mc_block_sink){s, sink_take};
}

void mc_store_set_offset(mc_store *s, uint64_t next_offset)
{
  pthread_mutex_lock(&s->lock);
  if (next_offset > s->offset)
    s->offset = next_offset;
  s->open->offset = s->offset;
  pthread_mutex_unlock(&s->lock);
}

mc_err mc_store_flush(mc_store *s, mc_why *why)
{
  pthread_mutex_lock(&s->lock);
  /* A flush that is under way may have frozen before our rows came: wait for one that begins now. */
  uint64_t wanted = s->flush_done + (s->frozen ? 2 : 1);
  s->flush_err = MC_OK;
  while (s->flush_done < wanted && !s->flush_err) {
    s->flush_asked = true;
    pthread_cond_broadcast(&s->wake);
    pthread_cond_wait(&s->wake, &s->lock);
  }
  mc_err err = s->flush_err;
  if (err)
    mc_err_set(why, err, "%s", s->flush_text);
  pthread_mutex_unlock(&s->lock);
  return err;
}

/* ---- background thread ---- */

static bool flush_due(const mc_store *s)
{
  const store_memtable *m = s->open;
  if (s->flush_asked)
    return true;
  if (s->frozen) /* an earlier write failed: try again, not at once (see background) */
    return true;
  return m->rows && (m->bytes > s->config.memory_bytes || mc_clock_mono_us() - m->first_mono_us > s->config.flush_after_us);
}

/* With the lock held: what is to be written. A memtable whose write failed is still frozen and goes first. */
static mc_err freeze(mc_store *s)
{
  s->flush_asked = false;
  if (s->frozen)
    return MC_OK;
  store_memtable *fresh = calloc(1, sizeof *fresh);
  if (!fresh)
    return MC_ERR_MEMORY;
  s->open->offset = s->offset;
  s->frozen = s->open;
  s->open = fresh;
  fresh->offset = s->offset;
  return MC_OK;
}

static mc_err drop_old(mc_store *s, store_segment_vec *next)
{
  if (!s->config.retain_us)
    return MC_OK;
  int64_t oldest = store_hour_of(mc_clock_wall_us() - s->config.retain_us);
  for (size_t i = 0; i < next->len;) {
    if (next->at[i]->hour >= oldest) {
      i++;
      continue;
    }
    memmove(&next->at[i], &next->at[i + 1], (next->len - i - 1) * sizeof *next->at);
    next->len--;
  }
  return MC_OK;
}

/* Segments that were in the old list and are not in the new one lose their file with their last reader. */
static void swap_list(mc_store *s, store_segment_vec *next)
{
  for (size_t i = 0; i < next->len; i++)
    next->at[i]->listed = true;
  for (size_t i = 0; i < s->segment.len; i++) {
    if (!s->segment.at[i]->listed) {
      atomic_store(&s->segment.at[i]->doomed, true);
      segment_release(s->segment.at[i]);
    }
  }
  for (size_t i = 0; i < next->len; i++)
    next->at[i]->listed = false;
  mc_vec_free(&s->segment);
  s->segment = *next;
  *next = (store_segment_vec){0};
}

static mc_err write_frozen(mc_store *s, mc_why *why)
{
  store_memtable *m = s->frozen;
  store_segment_vec fresh = {0}, next = {0};
  uint64_t sequence = s->sequence; /* only this thread moves it */
  mc_err err = store_memtable_write(s, m, &fresh, &sequence, why);
  for (size_t i = 0; i < s->segment.len && !err; i++)
    err = mc_vec_push(&next, s->segment.at[i]);
  for (size_t i = 0; i < fresh.len && !err; i++)
    err = mc_vec_push(&next, fresh.at[i]);
  if (!err)
    err = drop_old(s, &next);
  if (!err && (fresh.len || m->offset != s->saved_offset || next.len != s->segment.len))
    err = store_manifest_save(s, &next, m->offset, sequence, why);
  if (err) {
    /* The files stay: a manifest that names them may have reached the disk although its replacement reported a failure. What no
     * manifest names is removed at the next open. */
    store_segments_free(&fresh);
    mc_vec_free(&next);
    return err;
  }
  pthread_mutex_lock(&s->lock);
  swap_list(s, &next);
  s->saved_offset = m->offset;
  s->sequence = sequence;
  s->frozen = NULL;
  pthread_mutex_unlock(&s->lock);
  mc_vec_free(&fresh);
  store_memtable_free(m);
  free(m);
  return MC_OK;
}

static void wait_a_second(mc_store *s)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec++;
  pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

/* One flush, with the lock held on entry and exit. */
static void run_flush(mc_store *s)
{
  mc_why why = {0};
  mc_err err = freeze(s);
  pthread_mutex_unlock(&s->lock);
  if (!err)
    err = write_frozen(s, &why);
  pthread_mutex_lock(&s->lock);
  s->flush_err = err;
  if (err) {
    snprintf(s->flush_text, sizeof s->flush_text, "%s", why.text[0] ? why.text : mc_err_text(err));
    mc_log(MC_LOG_ERROR, "store", "cannot write segments; samples stay in memory and in the journal", MC_KZ("reason", s->flush_text));
  } else {
    s->flush_done++;
  }
  pthread_cond_broadcast(&s->wake);
}

static void *background(void *arg)
{
  mc_store *s = arg;
  pthread_mutex_lock(&s->lock);
  while (!s->stopping) {
    if (flush_due(s)) {
      run_flush(s);
      if (s->flush_err)
        wait_a_second(s);
      continue;
    }
    bool merged = false;
    mc_why why = {0};
    pthread_mutex_unlock(&s->lock);
    if (store_merge_one(s, &merged, &why))
      mc_log(MC_LOG_WARN, "store", "cannot merge segments", MC_KZ("reason", why.text));
    pthread_mutex_lock(&s->lock);
    if (!merged && !flush_due(s) && !s->stopping)
      wait_a_second(s);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

void mc_store_stats_get(mc_store *s, mc_store_stats *out)
{
  pthread_mutex_lock(&s->lock);
  *out = s->stats;
  out->rows_memory = s->open->rows + (s->frozen ? s->frozen->rows : 0);
  out->memory_bytes = s->open->bytes + (s->frozen ? s->frozen->bytes : 0);
  out->segments = s->segment.len;
  for (size_t i = 0; i < s->segment.len; i++) {
    out->rows_segments += s->segment.at[i]->rows;
    out->segment_bytes += s->segment.at[i]->bytes;
  }
  pthread_mutex_unlock(&s->lock);
}
