/* What readers ask: latest values, where vehicles are, what changed. */
#include <math.h>
#include <stdlib.h>

#include "twin/vehicle_table.h"

static mc_err copy_value(const mc_twin *t, const twin_value *v, mc_arena *arena, mc_latest *out)
{
  *out = (mc_latest){.signal = v->signal,
                     .encoding = v->encoding,
                     .kind = (mc_sample_kind)v->kind,
                     .time_us = v->time_us,
                     .arrival_us = v->arrival_us,
                     .value = NAN};
  if (v->kind == MC_SAMPLE_STRING)
    return mc_arena_copy(arena, mc_slice_of(v->str.bytes, v->str.len), &out->text);
  if (v->kind == MC_SAMPLE_DOUBLE) {
    out->value = v->dbl;
    return MC_OK;
  }
  mc_encoding e;
  out->raw = v->raw;
  bool known = v->encoding && t->config.encoding_of && t->config.encoding_of(t->config.ctx, v->encoding, &e);
  out->value = known ? mc_encoding_physical(&e, v->raw) : (double)v->raw;
  return MC_OK;
}

static int by_signal(const void *a, const void *b)
{
  uint32_t x = ((const mc_latest *)a)->signal, y = ((const mc_latest *)b)->signal;
  return x < y ? -1 : x > y;
}

mc_err mc_twin_latest(mc_twin *t, uint32_t tenant, uint32_t vehicle, mc_arena *arena, mc_latest **out, size_t *count, mc_why *why)
{
  *out = NULL;
  *count = 0;
  twin_shard *shard = twin_shard_of(t, vehicle);
  mc_err err = MC_OK;
  pthread_mutex_lock(&shard->lock);
  twin_vehicle *v = twin_find(t, tenant, vehicle);
  size_t n = v ? v->value.len : 0;
  mc_latest *list = n ? mc_arena_array(arena, n, sizeof *list) : NULL;
  if (n && !list)
    err = mc_err_set(why, MC_ERR_MEMORY, "latest values of vehicle %u: out of memory for %zu values", vehicle, n);
  for (size_t i = 0; i < n && !err; i++)
    err = copy_value(t, &v->value.at[i], arena, &list[i]);
  pthread_mutex_unlock(&shard->lock);
  if (err)
    return err;
  if (n)
    qsort(list, n, sizeof *list, by_signal);
  *out = list;
  *count = n;
  return MC_OK;
}

bool mc_twin_latest_of(mc_twin *t, uint32_t tenant, uint32_t vehicle, uint32_t signal, mc_arena *arena, mc_latest *out)
{
  twin_shard *shard = twin_shard_of(t, vehicle);
  bool found = false;
  uint64_t index;
  pthread_mutex_lock(&shard->lock);
  twin_vehicle *v = twin_find(t, tenant, vehicle);
  if (v && mc_map_get(&v->by_signal, signal, &index))
    found = copy_value(t, &v->value.at[index], arena, out) == MC_OK;
  pthread_mutex_unlock(&shard->lock);
  return found;
}

bool mc_twin_vehicle(mc_twin *t, uint32_t tenant, uint32_t vehicle, mc_vehicle_now *out)
{
  twin_shard *shard = twin_shard_of(t, vehicle);
  pthread_mutex_lock(&shard->lock);
  twin_vehicle *v = twin_find(t, tenant, vehicle);
  if (v)
    *out = v->now;
  pthread_mutex_unlock(&shard->lock);
  return v != NULL;
}

uint64_t mc_twin_changed(mc_twin *t, uint32_t tenant, uint64_t since, mc_vehicle_now_vec *out)
{
  /* Read before the walk: a change during it carries a later stamp and comes again next time. */
  uint64_t until = atomic_load(&t->tick);
  for (int i = 0; i < TWIN_SHARDS; i++) {
    pthread_mutex_lock(&t->shard[i].lock);
    size_t at = 0;
    uint64_t value;
    while (mc_map_next(&t->shard[i].by_key, &at, NULL, &value)) {
      const twin_vehicle *v = (const twin_vehicle *)(uintptr_t)value;
      if (v->tenant == tenant && (since == 0 || v->now.changed >= since) && mc_vec_push(out, v->now))
        break;
    }
    pthread_mutex_unlock(&t->shard[i].lock);
  }
  return until ? until : 1;
}

uint64_t mc_twin_vehicle_changed(mc_twin *t, uint32_t tenant, uint32_t vehicle, uint64_t since, mc_arena *arena, mc_latest_vec *out)
{
  uint64_t until = atomic_load(&t->tick);
  twin_shard *shard = twin_shard_of(t, vehicle);
  pthread_mutex_lock(&shard->lock);
  twin_vehicle *v = twin_find(t, tenant, vehicle);
  for (size_t i = 0; v && i < v->value.len; i++) {
    mc_latest copy;
    if ((since == 0 || v->value.at[i].changed >= since) && (copy_value(t, &v->value.at[i], arena, &copy) || mc_vec_push(out, copy)))
      break;
  }
  pthread_mutex_unlock(&shard->lock);
  return until ? until : 1;
}
