#include "store/memtable.h"

#include <stdlib.h>

#include "base/clock.h"

static inline uint64_t series_key(uint32_t vehicle, uint32_t signal)
{
  return (uint64_t)vehicle << 32 | signal;
}

static mc_map *tenant_map(store_memtable *m, uint32_t tenant, bool add)
{
  for (size_t i = 0; i < m->tenant.len; i++)
    if (m->tenant.at[i].tenant == tenant)
      return &m->tenant.at[i].by_key;
  if (!add || mc_vec_push(&m->tenant, ((store_tenant_index){.tenant = tenant})))
    return NULL;
  return &m->tenant.at[m->tenant.len - 1].by_key;
}

store_series *store_memtable_find(store_memtable *m, uint32_t tenant, uint32_t vehicle, uint32_t signal)
{
  mc_map *map = tenant_map(m, tenant, false);
  uint64_t index;
  return map && mc_map_get(map, series_key(vehicle, signal), &index) ? &m->series.at[index] : NULL;
}

static mc_err find_or_add(store_memtable *m, uint32_t tenant, uint32_t vehicle, uint32_t signal, store_series **out)
{
  *out = store_memtable_find(m, tenant, vehicle, signal);
  if (*out)
    return MC_OK;
  mc_map *map = tenant_map(m, tenant, true);
  if (!map)
    return MC_ERR_MEMORY;
  MC_TRY(mc_vec_reserve(&m->series, 1));
  MC_TRY(mc_map_put(map, series_key(vehicle, signal), m->series.len));
  store_series *s = &m->series.at[m->series.len++];
  *s = (store_series){.tenant = tenant, .vehicle = vehicle, .signal = signal};
  m->bytes += sizeof *s + 32;
  *out = s;
  return MC_OK;
}

static mc_err append_row(store_memtable *m, store_series *s, const mc_block *b, uint32_t i)
{
  store_row row = {
      .time_us = b->time_us[i], .word = (uint64_t)b->value[i].raw, .encoding = b->encoding[i], .kind = b->kind[i], .flags = b->flags[i]};
  if (row.kind == MC_SAMPLE_STRING) {
    mc_slice text = mc_slice_sub(b->text, b->value[i].str.offset, b->value[i].str.len);
    if (m->text.len > UINT32_MAX - text.len)
      return MC_ERR_FULL;
    row.word = (uint64_t)m->text.len | (uint64_t)text.len << 32;
    MC_TRY(mc_buf_append_slice(&m->text, text));
    m->bytes += text.len;
  }
  if (s->row.len && row.time_us <= s->row.at[s->row.len - 1].time_us)
    s->disordered = true;
  size_t cap = s->row.cap;
  MC_TRY(mc_vec_push(&s->row, row));
  m->bytes += (s->row.cap - cap) * sizeof row;
  return MC_OK;
}

mc_err store_memtable_append(store_memtable *m, const mc_block *block)
{
  store_series *s = NULL;
  for (uint32_t i = 0; i < block->count; i++) {
    if (!s || s->vehicle != block->vehicle[i] || s->signal != block->signal[i])
      MC_TRY(find_or_add(m, block->tenant, block->vehicle[i], block->signal[i], &s));
    MC_TRY(append_row(m, s, block, i));
  }
  if (!m->first_mono_us && block->count)
    m->first_mono_us = mc_clock_mono_us();
  m->rows += block->count;
  return MC_OK;
}

void store_memtable_free(store_memtable *m)
{
  for (size_t i = 0; i < m->series.len; i++)
    mc_vec_free(&m->series.at[i].row);
  for (size_t i = 0; i < m->tenant.len; i++)
    mc_map_free(&m->tenant.at[i].by_key);
  mc_vec_free(&m->series);
  mc_vec_free(&m->tenant);
  mc_buf_free(&m->text);
  *m = (store_memtable){0};
}

/* Bottom-up merge sort: stable, so that of equal times the later row stays behind. */
static void sort_by_time(store_row *rows, size_t count, store_row *scratch)
{
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t lo = 0; lo < count; lo += 2 * width) {
      size_t mid = lo + width < count ? lo + width : count;
      size_t hi = lo + 2 * width < count ? lo + 2 * width : count;
      size_t a = lo, b = mid, out = lo;
      while (a < mid && b < hi)
        scratch[out++] = rows[b].time_us < rows[a].time_us ? rows[b++] : rows[a++];
      while (a < mid)
        scratch[out++] = rows[a++];
      while (b < hi)
        scratch[out++] = rows[b++];
    }
    memcpy(rows, scratch, count * sizeof *rows);
  }
}

size_t store_rows_settle(store_row *rows, size_t count, store_row *scratch)
{
  bool sorted = true;
  for (size_t i = 1; i < count && sorted; i++)
    sorted = rows[i].time_us > rows[i - 1].time_us;
  if (sorted)
    return count;
  sort_by_time(rows, count, scratch);
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    if (i + 1 == count || rows[i + 1].time_us != rows[i].time_us)
      rows[kept++] = rows[i];
  return kept;
}
