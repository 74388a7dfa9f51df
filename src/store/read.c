/* Reading: hour by hour, from segments and memtables together, the last write of a time wins. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "store/state.h"

/* What a read holds on to: segments that may have rows, and copies of rows still in memory. */
typedef struct snapshot {
  uint32_t tenant, vehicle, signal;
  int64_t from_us, to_us;
  store_segment_vec segment; /* by sequence, referenced */
  MC_VEC(store_row) memory;  /* settled */
  mc_buf memory_text;
} snapshot;

static mc_err copy_rows(snapshot *v, store_memtable *m)
{
  const store_series *s = m ? store_memtable_find(m, v->tenant, v->vehicle, v->signal) : NULL;
  for (size_t i = 0; s && i < s->row.len; i++) {
    store_row row = s->row.at[i];
    if (row.time_us < v->from_us || row.time_us >= v->to_us)
      continue;
    if (row.kind == MC_SAMPLE_STRING) {
      mc_slice text = mc_slice_sub(mc_buf_slice(&m->text), (uint32_t)row.word, row.word >> 32);
      row.word = (uint64_t)v->memory_text.len | (uint64_t)text.len << 32;
      MC_TRY(mc_buf_append_slice(&v->memory_text, text));
    }
    MC_TRY(mc_vec_push(&v->memory, row));
  }
  return MC_OK;
}

static void snapshot_free(snapshot *v)
{
  store_segments_free(&v->segment);
  mc_vec_free(&v->memory);
  mc_buf_free(&v->memory_text);
}

static mc_err snapshot_take(mc_store *s, snapshot *v)
{
  int64_t first = store_hour_of(v->from_us), last = store_hour_of(v->to_us - 1);
  mc_err err = MC_OK;
  pthread_mutex_lock(&s->lock);
  for (size_t i = 0; i < s->segment.len && !err; i++) {
    store_segment *segment = s->segment.at[i];
    if (segment->hour < first || segment->hour > last)
      continue;
    err = mc_vec_push(&v->segment, segment);
    if (!err)
      segment_retain(segment);
  }
  if (!err)
    err = copy_rows(v, s->frozen);
  if (!err)
    err = copy_rows(v, s->open);
  pthread_mutex_unlock(&s->lock);
  if (err || !v->memory.len)
    return err;
  store_row *scratch = malloc(v->memory.len * sizeof *scratch);
  if (!scratch)
    return MC_ERR_MEMORY;
  v->memory.len = store_rows_settle(v->memory.at, v->memory.len, scratch);
  free(scratch);
  return MC_OK;
}

/* Working arrays of one scan, reused for each hour. */
typedef struct hour_rows {
  MC_VEC(store_row) row;
  mc_buf text, scratch;
  store_row *sort;
  size_t sort_cap;
  int64_t *time_us;
  uint8_t *kind;
  uint32_t *encoding;
  mc_sample_value *value;
  double *physical;
  size_t cap;
} hour_rows;

static void hour_rows_free(hour_rows *h)
{
  mc_vec_free(&h->row);
  mc_buf_free(&h->text);
  mc_buf_free(&h->scratch);
  free(h->sort);
  free(h->time_us);
  free(h->kind);
  free(h->encoding);
  free(h->value);
  free(h->physical);
}

static mc_err read_blocks(const snapshot *v, store_segment *s, size_t first, hour_rows *h, mc_why *why)
{
  for (size_t i = first; i < s->entries; i++) {
    const segment_entry *e = &s->entry[i];
    if (e->tenant != v->tenant || e->vehicle != v->vehicle || e->signal != v->signal)
      break;
    if (e->last_us < v->from_us || e->first_us >= v->to_us)
      continue;
    MC_TRY(mc_vec_reserve(&h->row, e->rows));
    MC_TRY(segment_read(s, e, h->row.at + h->row.len, &h->text, &h->scratch, why));
    size_t kept = h->row.len;
    for (size_t k = h->row.len; k < h->row.len + e->rows; k++)
      if (h->row.at[k].time_us >= v->from_us && h->row.at[k].time_us < v->to_us)
        h->row.at[kept++] = h->row.at[k];
    h->row.len = kept;
  }
  return MC_OK;
}

static mc_err read_segment(const snapshot *v, store_segment *s, hour_rows *h, mc_why *why)
{
  size_t first = segment_seek(s, v->tenant, v->vehicle, v->signal);
  if (first == s->entries || s->entry[first].tenant != v->tenant || s->entry[first].vehicle != v->vehicle || s->entry[first].signal != v->signal)
    return MC_OK;
  MC_TRY(segment_use(s, why)); /* one opening for all its blocks */
  mc_err err = read_blocks(v, s, first, h, why);
  segment_rest(s);
  return err;
}

static mc_err add_memory(const snapshot *v, size_t from, size_t to, hour_rows *h)
{
  MC_TRY(mc_vec_reserve(&h->row, to - from));
  for (size_t i = from; i < to; i++) {
    store_row row = v->memory.at[i];
    if (row.kind == MC_SAMPLE_STRING) {
      mc_slice text = mc_slice_sub(mc_buf_slice(&v->memory_text), (uint32_t)row.word, row.word >> 32);
      row.word = (uint64_t)h->text.len | (uint64_t)text.len << 32;
      MC_TRY(mc_buf_append_slice(&h->text, text));
    }
    h->row.at[h->row.len++] = row;
  }
  return MC_OK;
}

static mc_err settle(hour_rows *h)
{
  if (h->row.len > h->sort_cap) {
    store_row *fresh = realloc(h->sort, h->row.len * sizeof *fresh);
    if (!fresh)
      return MC_ERR_MEMORY;
    h->sort = fresh;
    h->sort_cap = h->row.len;
  }
  h->row.len = store_rows_settle(h->row.at, h->row.len, h->sort);
  return MC_OK;
}

static mc_err make_room(hour_rows *h)
{
  size_t n = h->row.len;
  if (n <= h->cap)
    return MC_OK;
  free(h->time_us);
  free(h->kind);
  free(h->encoding);
  free(h->value);
  free(h->physical);
  h->cap = n;
  h->time_us = malloc(n * sizeof *h->time_us);
  h->kind = malloc(n);
  h->encoding = malloc(n * sizeof *h->encoding);
  h->value = malloc(n * sizeof *h->value);
  h->physical = malloc(n * sizeof *h->physical);
  if (h->time_us && h->kind && h->encoding && h->value && h->physical)
    return MC_OK;
  h->cap = 0;
  return MC_ERR_MEMORY;
}

static mc_err give_page(const mc_store *s, hour_rows *h, bool (*visit)(void *, const mc_samples *), void *ctx, bool *go_on)
{
  if (!h->row.len)
    return MC_OK;
  MC_TRY(make_room(h));
  mc_encoding e = {0};
  uint32_t known = UINT32_MAX;
  for (size_t i = 0; i < h->row.len; i++) {
    const store_row *r = &h->row.at[i];
    h->time_us[i] = r->time_us;
    h->kind[i] = r->kind;
    h->encoding[i] = r->encoding;
    if (r->kind == MC_SAMPLE_STRING) {
      h->value[i].str.offset = (uint32_t)r->word;
      h->value[i].str.len = (uint32_t)(r->word >> 32);
      h->physical[i] = NAN;
      continue;
    }
    h->value[i].raw = (int64_t)r->word;
    if (r->kind == MC_SAMPLE_DOUBLE) {
      h->physical[i] = h->value[i].dbl;
      continue;
    }
    if (r->encoding != known) {
      known = r->encoding;
      if (!known || !s->config.encoding_of || !s->config.encoding_of(s->config.ctx, known, &e))
        e = (mc_encoding){.factor = 1};
    }
    h->physical[i] = mc_encoding_physical(&e, h->value[i].raw);
  }
  mc_samples page = {(uint32_t)h->row.len, h->time_us, h->kind, h->encoding, h->value, h->physical, mc_buf_slice(&h->text)};
  *go_on = visit(ctx, &page);
  return MC_OK;
}

/* The next hour after `after` that has a segment or memory rows; INT64_MAX: none. */
static int64_t next_hour(const snapshot *v, int64_t after, size_t memory_at)
{
  int64_t next = memory_at < v->memory.len ? store_hour_of(v->memory.at[memory_at].time_us) : INT64_MAX;
  for (size_t i = 0; i < v->segment.len; i++)
    if (v->segment.at[i]->hour > after && v->segment.at[i]->hour < next)
      next = v->segment.at[i]->hour;
  return next;
}

static mc_err scan_hours(mc_store *s, const snapshot *v, bool (*visit)(void *, const mc_samples *), void *ctx, mc_why *why)
{
  hour_rows h = {0};
  mc_err err = MC_OK;
  bool go_on = true;
  size_t memory_at = 0;
  for (int64_t hour = next_hour(v, INT64_MIN, 0); hour != INT64_MAX && !err && go_on; hour = next_hour(v, hour, memory_at)) {
    h.row.len = 0;
    mc_buf_clear(&h.text);
    for (size_t i = 0; i < v->segment.len && !err; i++)
      if (v->segment.at[i]->hour == hour)
        err = read_segment(v, v->segment.at[i], &h, why);
    size_t end = memory_at;
    while (end < v->memory.len && store_hour_of(v->memory.at[end].time_us) == hour)
      end++;
    if (!err)
      err = add_memory(v, memory_at, end, &h);
    memory_at = end;
    if (!err)
      err = settle(&h);
    if (!err)
      err = give_page(s, &h, visit, ctx, &go_on);
  }
  hour_rows_free(&h);
  return err;
}

mc_err mc_store_scan(mc_store *s, uint32_t tenant, uint32_t vehicle, uint32_t signal, int64_t from_us, int64_t to_us,
                     bool (*visit)(void *ctx, const mc_samples *page), void *ctx, mc_why *why)
{
  if (from_us >= to_us)
    return mc_err_set(why, MC_ERR_INVALID, "history: `from` must lie before `to`");
  snapshot v = {.tenant = tenant, .vehicle = vehicle, .signal = signal, .from_us = from_us, .to_us = to_us};
  mc_err err = snapshot_take(s, &v);
  if (err)
    mc_err_set(why, err, "history of vehicle %u, signal %u: %s", vehicle, signal, mc_err_text(err));
  else
    err = scan_hours(s, &v, visit, ctx, why);
  snapshot_free(&v);
  return err;
}

/* ---- buckets ---- */
typedef struct bucket_visit {
  int64_t width;
  MC_VEC(mc_bucket) list;
  mc_err err;
} bucket_visit;

static int64_t floor_to(int64_t t, int64_t width)
{
  int64_t r = t % width;
  return t - (r < 0 ? r + width : r);
}

static bool add_page(void *ctx, const mc_samples *page)
{
  bucket_visit *v = ctx;
  for (uint32_t i = 0; i < page->count; i++) {
    double x = page->physical[i];
    if (isnan(x))
      continue;
    int64_t start = floor_to(page->time_us[i], v->width);
    mc_bucket *b = v->list.len ? &v->list.at[v->list.len - 1] : NULL;
    if (!b || b->start_us != start) {
      v->err = mc_vec_push(&v->list, ((mc_bucket){start, 0, x, x, 0, x, x}));
      if (v->err)
        return false;
      b = &v->list.at[v->list.len - 1];
    }
    b->count++;
    b->sum += x;
    b->last = x;
    if (x < b->min)
      b->min = x;
    if (x > b->max)
      b->max = x;
  }
  return true;
}

mc_err mc_store_buckets(mc_store *s, uint32_t tenant, uint32_t vehicle, uint32_t signal, int64_t from_us, int64_t to_us, int64_t bucket_us,
                        mc_arena *arena, mc_bucket **out, size_t *count, mc_why *why)
{
  *out = NULL;
  *count = 0;
  if (bucket_us <= 0)
    return mc_err_set(why, MC_ERR_INVALID, "history: the bucket must be longer than 0");
  bucket_visit v = {.width = bucket_us};
  mc_err err = mc_store_scan(s, tenant, vehicle, signal, from_us, to_us, add_page, &v, why);
  if (!err)
    err = v.err;
  if (!err && v.list.len) {
    *out = mc_arena_array(arena, v.list.len, sizeof **out);
    if (*out) {
      memcpy(*out, v.list.at, v.list.len * sizeof **out);
      *count = v.list.len;
    } else {
      err = mc_err_set(why, MC_ERR_MEMORY, "history: out of memory for %zu buckets; ask for a shorter span or wider buckets", v.list.len);
    }
  }
  mc_vec_free(&v.list);
  return err;
}

/* ---- which signals ---- */
static mc_err note_signals(store_memtable *m, uint32_t tenant, uint32_t vehicle, int64_t from_us, int64_t to_us, mc_map *seen)
{
  for (size_t i = 0; m && i < m->series.len; i++) {
    const store_series *s = &m->series.at[i];
    if (s->tenant != tenant || s->vehicle != vehicle)
      continue;
    for (size_t k = 0; k < s->row.len; k++)
      if (s->row.at[k].time_us >= from_us && s->row.at[k].time_us < to_us) {
        MC_TRY(mc_map_put(seen, s->signal, 1));
        break;
      }
  }
  return MC_OK;
}

static int id_order(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

mc_err mc_store_signals(mc_store *s, uint32_t tenant, uint32_t vehicle, int64_t from_us, int64_t to_us, mc_arena *arena, uint32_t **out,
                        size_t *count, mc_why *why)
{
  mc_map seen = {0};
  int64_t first = store_hour_of(from_us), last = store_hour_of(to_us - 1);
  pthread_mutex_lock(&s->lock);
  mc_err err = note_signals(s->frozen, tenant, vehicle, from_us, to_us, &seen);
  if (!err)
    err = note_signals(s->open, tenant, vehicle, from_us, to_us, &seen);
  for (size_t i = 0; i < s->segment.len && !err; i++) {
    const store_segment *g = s->segment.at[i];
    if (g->hour < first || g->hour > last)
      continue;
    for (size_t k = segment_seek(g, tenant, vehicle, 0);
         k < g->entries && g->entry[k].tenant == tenant && g->entry[k].vehicle == vehicle && !err; k++)
      if (g->entry[k].last_us >= from_us && g->entry[k].first_us < to_us)
        err = mc_map_put(&seen, g->entry[k].signal, 1);
  }
  pthread_mutex_unlock(&s->lock);
  uint32_t *list = err ? NULL : mc_arena_array(arena, seen.len, sizeof *list);
  if (!err && !list)
    err = MC_ERR_MEMORY;
  size_t at = 0, n = 0;
  uint64_t id;
  while (!err && mc_map_next(&seen, &at, &id, NULL))
    list[n++] = (uint32_t)id;
  mc_map_free(&seen);
  if (err)
    return mc_err_set(why, err, "signals of vehicle %u: %s", vehicle, mc_err_text(err));
  if (n)
    qsort(list, n, sizeof *list, id_order);
  *out = list;
  *count = n;
  return MC_OK;
}
