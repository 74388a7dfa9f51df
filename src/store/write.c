/* From memtables to segments, and from many small segments of an hour to one. Background thread. */
#include <stdlib.h>

#include "base/clock.h"
#include "store/state.h"

enum { MERGE_AT = 4 }; /* segments of one hour that are worth merging */

typedef MC_VEC(segment_builder) builder_vec;

static mc_err builder_for(builder_vec *v, mc_map *by_hour, int64_t hour, size_t *index)
{
  uint64_t found;
  if (mc_map_get(by_hour, (uint64_t)hour, &found)) {
    *index = (size_t)found;
    return MC_OK;
  }
  MC_TRY(mc_vec_reserve(v, 1));
  v->at[v->len] = (segment_builder){0};
  MC_TRY(segment_builder_begin(&v->at[v->len], hour));
  MC_TRY(mc_map_put(by_hour, (uint64_t)hour, v->len));
  *index = v->len++;
  return MC_OK;
}

static int series_order(const void *a, const void *b)
{
  const store_series *x = *(store_series *const *)a, *y = *(store_series *const *)b;
  if (x->tenant != y->tenant)
    return x->tenant < y->tenant ? -1 : 1;
  if (x->vehicle != y->vehicle)
    return x->vehicle < y->vehicle ? -1 : 1;
  return x->signal < y->signal ? -1 : x->signal > y->signal;
}

/* Cuts the settled rows of one series at hours and gives each piece to its builder. */
static mc_err add_series(builder_vec *builders, mc_map *by_hour, const store_series *s, const store_row *rows, size_t count, mc_slice text)
{
  for (size_t i = 0; i < count;) {
    int64_t hour = store_hour_of(rows[i].time_us);
    size_t n = 1;
    while (i + n < count && store_hour_of(rows[i + n].time_us) == hour)
      n++;
    size_t index;
    MC_TRY(builder_for(builders, by_hour, hour, &index));
    MC_TRY(segment_builder_add(&builders->at[index], s->tenant, s->vehicle, s->signal, rows + i, n, text));
    i += n;
  }
  return MC_OK;
}

/* The frozen memtable may be read meanwhile, so rows are settled in a copy. */
static mc_err build_all(store_memtable *m, builder_vec *builders, mc_map *by_hour, uint64_t *duplicates)
{
  size_t n = m->series.len, most = 0;
  store_series **order = calloc(n ? n : 1, sizeof *order);
  for (size_t i = 0; i < n && order; i++) {
    order[i] = &m->series.at[i];
    if (order[i]->row.len > most)
      most = order[i]->row.len;
  }
  store_row *rows = calloc(most ? most : 1, 2 * sizeof *rows);
  mc_err err = order && rows ? MC_OK : MC_ERR_MEMORY;
  if (!err)
    qsort(order, n, sizeof *order, series_order);
  for (size_t i = 0; i < n && !err; i++) {
    size_t count = order[i]->row.len;
    memcpy(rows, order[i]->row.at, count * sizeof *rows);
    if (order[i]->disordered) {
      size_t kept = store_rows_settle(rows, count, rows + most);
      *duplicates += count - kept;
      count = kept;
    }
    err = add_series(builders, by_hour, order[i], rows, count, mc_buf_slice(&m->text));
  }
  free(order);
  free(rows);
  return err;
}

mc_err store_memtable_write(mc_store *s, store_memtable *m, store_segment_vec *out, uint64_t *sequence, mc_why *why)
{
  builder_vec builders = {0};
  mc_map by_hour = {0};
  uint64_t duplicates = 0;
  mc_err err = build_all(m, &builders, &by_hour, &duplicates);
  if (err)
    mc_err_set(why, err, "writing segments: %s", mc_err_text(err));
  for (size_t i = 0; i < builders.len; i++) {
    store_segment *segment;
    if (!err)
      err = mc_vec_reserve(out, 1);
    if (!err)
      err = segment_builder_finish(&builders.at[i], s->config.fs, s->dir, (*sequence)++, &segment, why);
    if (!err)
      out->at[out->len++] = segment;
    segment_builder_free(&builders.at[i]);
  }
  if (!err && out->len)
    err = mc_fs_sync_dir(s->config.fs, s->dir, why);
  mc_vec_free(&builders);
  mc_map_free(&by_hour);
  pthread_mutex_lock(&s->lock);
  s->stats.duplicates += duplicates;
  pthread_mutex_unlock(&s->lock);
  return err;
}

/* ---- merging ---- */

/* One series of several segments, oldest segment first, read whole and settled. */
static mc_err merge_series(const store_segment_vec *from, size_t *at, const segment_entry *key, segment_builder *b, mc_why *why)
{
  MC_VEC(store_row) rows = {0};
  mc_buf text = {0}, scratch = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; i < from->len && !err; i++) {
    store_segment *s = from->at[i];
    for (; at[i] < s->entries && !err; at[i]++) {
      const segment_entry *e = &s->entry[at[i]];
      if (e->tenant != key->tenant || e->vehicle != key->vehicle || e->signal != key->signal)
        break;
      err = mc_vec_reserve(&rows, e->rows);
      if (!err)
        err = segment_read(s, e, rows.at + rows.len, &text, &scratch, why);
      if (!err)
        rows.len += e->rows;
    }
  }
  store_row *sort = err ? NULL : malloc((rows.len ? rows.len : 1) * sizeof *sort);
  if (!err && !sort)
    err = MC_ERR_MEMORY;
  if (!err)
    err = segment_builder_add(b, key->tenant, key->vehicle, key->signal, rows.at, store_rows_settle(rows.at, rows.len, sort),
                              mc_buf_slice(&text));
  free(sort);
  mc_vec_free(&rows);
  mc_buf_free(&text);
  mc_buf_free(&scratch);
  return err;
}

static const segment_entry *smallest(const store_segment_vec *from, const size_t *at)
{
  const segment_entry *least = NULL;
  for (size_t i = 0; i < from->len; i++) {
    if (at[i] == from->at[i]->entries)
      continue;
    const segment_entry *e = &from->at[i]->entry[at[i]];
    if (!least || e->tenant < least->tenant ||
        (e->tenant == least->tenant && (e->vehicle < least->vehicle || (e->vehicle == least->vehicle && e->signal < least->signal))))
      least = e;
  }
  return least;
}

static mc_err merge_segments(mc_store *s, const store_segment_vec *from, uint64_t sequence, store_segment **out, mc_why *why)
{
  segment_builder b = {0};
  size_t *at = calloc(from->len, sizeof *at);
  mc_err err = at ? segment_builder_begin(&b, from->at[0]->hour) : MC_ERR_MEMORY;
  const segment_entry *key;
  size_t used = 0;
  for (; used < from->len && !err; used += !err)
    err = segment_use(from->at[used], why);
  while (!err && (key = smallest(from, at)))
    err = merge_series(from, at, key, &b, why);
  if (!err)
    err = segment_builder_finish(&b, s->config.fs, s->dir, sequence, out, why);
  if (!err)
    err = mc_fs_sync_dir(s->config.fs, s->dir, why);
  while (used)
    segment_rest(from->at[--used]);
  segment_builder_free(&b);
  free(at);
  return err;
}

/* With the lock held: the segments of the first finished hour that has enough of them. */
static void choose(mc_store *s, store_segment_vec *from)
{
  int64_t present = store_hour_of(mc_clock_wall_us());
  mc_map by_hour = {0}; /* -> segments seen of it; one pass, since years of history are tens of thousands of segments */
  for (size_t i = 0; i < s->segment.len && from->len == 0; i++) {
    int64_t hour = s->segment.at[i]->hour;
    uint64_t count = 0;
    mc_map_get(&by_hour, (uint64_t)hour, &count);
    if (mc_map_put(&by_hour, (uint64_t)hour, ++count))
      break; /* no memory: it is tried again in a second */
    /* The present hour goes on growing: merge it only when it has very many. */
    if (count < (hour >= present ? MERGE_AT * 8 : MERGE_AT))
      continue;
    for (size_t k = 0; k < s->segment.len; k++)
      if (s->segment.at[k]->hour == hour && mc_vec_push(from, s->segment.at[k]) == MC_OK)
        segment_retain(s->segment.at[k]);
  }
  mc_map_free(&by_hour);
}

static bool contains(const store_segment_vec *v, const store_segment *s)
{
  for (size_t i = 0; i < v->len; i++)
    if (v->at[i] == s)
      return true;
  return false;
}

mc_err store_merge_one(mc_store *s, bool *merged, mc_why *why)
{
  store_segment_vec from = {0}, next = {0};
  store_segment *fresh = NULL;
  *merged = false;
  pthread_mutex_lock(&s->lock);
  choose(s, &from);
  uint64_t sequence = s->sequence;
  uint64_t offset = s->saved_offset;
  if (from.len)
    s->sequence++;
  pthread_mutex_unlock(&s->lock);
  if (!from.len)
    return MC_OK;
  /* Segments of one hour are merged all together, so the merged one may carry a new, highest sequence. Only this thread changes the list.
   */
  mc_err err = merge_segments(s, &from, sequence, &fresh, why);
  for (size_t i = 0; i < s->segment.len && !err; i++)
    if (!contains(&from, s->segment.at[i]))
      err = mc_vec_push(&next, s->segment.at[i]);
  if (!err)
    err = mc_vec_push(&next, fresh);
  if (!err)
    err = store_manifest_save(s, &next, offset, sequence + 1, why);
  if (err) {
    if (fresh)
      segment_release(fresh); /* the file stays, see write_frozen */
    mc_vec_free(&next);
  } else {
    pthread_mutex_lock(&s->lock);
    store_segment_vec old = s->segment;
    s->segment = next;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < from.len; i++) {
      atomic_store(&from.at[i]->doomed, true);
      segment_release(from.at[i]); /* the list's reference */
    }
    mc_vec_free(&old);
    *merged = true;
  }
  store_segments_free(&from);
  return err;
}

void store_segments_free(store_segment_vec *v)
{
  for (size_t i = 0; i < v->len; i++)
    segment_release(v->at[i]);
  mc_vec_free(v);
}
