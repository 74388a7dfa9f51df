#include "twin/vehicle_table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

static void vehicle_free(twin_vehicle *v)
{
  for (size_t i = 0; i < v->value.len; i++)
    if (v->value.at[i].kind == MC_SAMPLE_STRING)
      free(v->value.at[i].str.bytes);
  mc_vec_free(&v->value);
  mc_map_free(&v->by_signal);
  free(v);
}

static void twin_free(mc_twin *t)
{
  for (int i = 0; i < TWIN_SHARDS; i++) {
    size_t at = 0;
    uint64_t value;
    while (mc_map_next(&t->shard[i].by_key, &at, NULL, &value))
      vehicle_free((twin_vehicle *)(uintptr_t)value);
    mc_map_free(&t->shard[i].by_key);
    pthread_mutex_destroy(&t->shard[i].lock);
  }
  mc_map_free(&t->role);
  pthread_mutex_destroy(&t->saving);
  pthread_mutex_destroy(&t->progress);
  pthread_cond_destroy(&t->moved);
  free(t->dir);
  free(t->path);
  free(t);
}

mc_err mc_twin_open(const mc_twin_config *config, mc_twin **out, mc_why *why)
{
  mc_twin *t = calloc(1, sizeof *t);
  if (!t)
    return MC_ERR_MEMORY;
  t->config = *config;
  for (int i = 0; i < TWIN_SHARDS; i++)
    pthread_mutex_init(&t->shard[i].lock, NULL);
  pthread_mutex_init(&t->saving, NULL);
  pthread_mutex_init(&t->progress, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&t->moved, &attr);
  pthread_condattr_destroy(&attr);
  mc_err err = MC_OK;
  t->dir = strdup(config->dir);
  if (!t->dir || asprintf(&t->path, "%s/twin.checkpoint", config->dir) < 0) {
    t->path = NULL;
    err = MC_ERR_MEMORY;
  }
  if (!err)
    err = mc_fs_mkdirs(config->fs, t->dir, why);
  if (!err)
    err = twin_load(t, why);
  if (err) {
    twin_free(t);
    return err;
  }
  *out = t;
  return MC_OK;
}

void mc_twin_close(mc_twin **twin)
{
  if (!*twin)
    return;
  mc_twin_checkpoint(*twin, NULL);
  twin_free(*twin);
  *twin = NULL;
}

uint64_t mc_twin_offset(const mc_twin *t)
{
  return atomic_load(&t->offset);
}

void mc_twin_set_offset(mc_twin *t, uint64_t next_offset)
{
  pthread_mutex_lock(&t->progress);
  if (next_offset > atomic_load(&t->offset))
    atomic_store(&t->offset, next_offset);
  pthread_cond_broadcast(&t->moved);
  pthread_mutex_unlock(&t->progress);
}

mc_err mc_twin_wait(mc_twin *t, uint64_t offset, int timeout_ms)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += timeout_ms / 1000;
  until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  mc_err err = MC_OK;
  pthread_mutex_lock(&t->progress);
  while (!err && atomic_load(&t->offset) < offset)
    if (pthread_cond_timedwait(&t->moved, &t->progress, &until) == ETIMEDOUT)
      err = atomic_load(&t->offset) < offset ? MC_ERR_TIMEOUT : MC_OK;
  pthread_mutex_unlock(&t->progress);
  return err;
}

twin_vehicle *twin_find(mc_twin *t, uint32_t tenant, uint32_t vehicle)
{
  uint64_t found;
  return mc_map_get(&twin_shard_of(t, vehicle)->by_key, twin_key(tenant, vehicle), &found) ? (twin_vehicle *)(uintptr_t)found : NULL;
}

mc_err twin_find_or_add(mc_twin *t, uint32_t tenant, uint32_t vehicle, twin_vehicle **out)
{
  *out = twin_find(t, tenant, vehicle);
  if (*out)
    return MC_OK;
  twin_vehicle *v = calloc(1, sizeof *v);
  if (!v)
    return MC_ERR_MEMORY;
  v->tenant = tenant;
  v->now.vehicle = vehicle;
  mc_err err = mc_map_put(&twin_shard_of(t, vehicle)->by_key, twin_key(tenant, vehicle), (uintptr_t)v);
  if (err) {
    free(v);
    return err;
  }
  atomic_fetch_add(&t->vehicles, 1);
  *out = v;
  return MC_OK;
}

static mc_role role_of(mc_twin *t, uint32_t tenant, uint32_t signal)
{
  uint64_t known;
  if (mc_map_get(&t->role, twin_key(tenant, signal), &known))
    return (mc_role)known;
  mc_role role = t->config.role_of ? t->config.role_of(t->config.ctx, tenant, signal) : MC_ROLE_NONE;
  mc_map_put(&t->role, twin_key(tenant, signal), role); /* without the cache it is only slower */
  return role;
}

static double physical(const mc_twin *t, uint8_t kind, uint32_t encoding, int64_t raw, double dbl)
{
  if (kind == MC_SAMPLE_DOUBLE)
    return dbl;
  if (kind != MC_SAMPLE_RAW)
    return NAN;
  mc_encoding e;
  if (encoding && t->config.encoding_of && t->config.encoding_of(t->config.ctx, encoding, &e))
    return mc_encoding_physical(&e, raw);
  return (double)raw;
}

/* Keeps what map and lists read beside the values. */
static void note_role(mc_vehicle_now *now, mc_role role, double v, int64_t time_us)
{
  if (!isfinite(v))
    return;
  switch (role) {
  case MC_ROLE_LATITUDE:
    if (v < -90 || v > 90)
      return;
    now->latitude = v;
    now->position_us = time_us;
    break;
  case MC_ROLE_LONGITUDE:
    if (v < -180 || v > 180)
      return;
    now->longitude = v;
    now->position_us = time_us;
    break;
  case MC_ROLE_HEADING: now->heading_deg = fmod(fmod(v, 360) + 360, 360); break;
  case MC_ROLE_ALTITUDE: now->altitude_m = v; break;
  case MC_ROLE_SPEED: now->speed_kmh = v; break;
  case MC_ROLE_ODOMETER: now->odometer_km = v; break;
  case MC_ROLE_IGNITION: now->ignition = v != 0; break;
  case MC_ROLE_FUEL_LEVEL: now->fuel_percent = v; break;
  case MC_ROLE_STATE_OF_CHARGE: now->charge_percent = v; break;
  case MC_ROLE_NONE:
  case MC_ROLE_ENGINE_SPEED: return;
  }
  now->present |= 1u << role;
}

mc_err twin_put(mc_twin *t, twin_vehicle *v, uint32_t signal, uint32_t encoding, uint8_t kind, int64_t time_us, int64_t arrival_us,
                mc_sample_value value, mc_slice text)
{
  uint64_t index;
  twin_value *slot;
  if (mc_map_get(&v->by_signal, signal, &index)) {
    slot = &v->value.at[index];
    if (time_us < slot->time_us) {
      atomic_fetch_add_explicit(&t->late, 1, memory_order_relaxed);
      return MC_OK;
    }
  } else {
    MC_TRY(mc_vec_reserve(&v->value, 1));
    MC_TRY(mc_map_put(&v->by_signal, signal, v->value.len));
    slot = &v->value.at[v->value.len++];
    *slot = (twin_value){.signal = signal};
    atomic_fetch_add_explicit(&t->values, 1, memory_order_relaxed);
  }
  char *copy = NULL;
  if (kind == MC_SAMPLE_STRING) {
    copy = malloc(value.str.len ? value.str.len : 1);
    if (!copy)
      return MC_ERR_MEMORY;
    if (value.str.len)
      memcpy(copy, text.data + value.str.offset, value.str.len);
  }
  if (slot->kind == MC_SAMPLE_STRING)
    free(slot->str.bytes);
  slot->kind = kind;
  slot->encoding = encoding;
  slot->time_us = time_us;
  slot->arrival_us = arrival_us;
  slot->changed = atomic_load_explicit(&t->tick, memory_order_relaxed);
  if (kind == MC_SAMPLE_STRING) {
    slot->str.bytes = copy;
    slot->str.len = value.str.len;
  } else {
    slot->raw = value.raw; /* the same eight bytes for both kinds */
    mc_role role = role_of(t, v->tenant, signal);
    if (role != MC_ROLE_NONE)
      note_role(&v->now, role, physical(t, kind, encoding, value.raw, value.dbl), time_us);
  }
  return MC_OK;
}

static mc_err apply_one(mc_twin *t, const mc_block *b, uint32_t i, twin_vehicle **last)
{
  if (!*last || (*last)->now.vehicle != b->vehicle[i])
    MC_TRY(twin_find_or_add(t, b->tenant, b->vehicle[i], last));
  twin_vehicle *v = *last;
  if (b->arrival_us > v->now.heard_us)
    v->now.heard_us = b->arrival_us;
  v->now.changed = atomic_load_explicit(&t->tick, memory_order_relaxed);
  if (b->flags[i] & MC_SAMPLE_QUARANTINED)
    return MC_OK;
  return twin_put(t, v, b->signal[i], b->encoding[i], b->kind[i], b->time_us[i], b->arrival_us, b->value[i], b->text);
}

mc_err mc_twin_apply(mc_twin *t, const mc_block *block, mc_why *why)
{
  mc_err err = MC_OK;
  twin_vehicle *last = NULL;
  twin_shard *held = NULL;
  atomic_fetch_add(&t->tick, 1);
  for (uint32_t i = 0; i < block->count && !err; i++) {
    twin_shard *shard = twin_shard_of(t, block->vehicle[i]);
    if (shard != held) {
      if (held)
        pthread_mutex_unlock(&held->lock);
      pthread_mutex_lock(&shard->lock);
      held = shard;
      last = NULL;
    }
    err = apply_one(t, block, i, &last);
  }
  if (held)
    pthread_mutex_unlock(&held->lock);
  atomic_fetch_add_explicit(&t->applied, block->count, memory_order_relaxed);
  if (err)
    return mc_err_set(why, err, "twin: cannot hold %u more samples: %s; give the process more memory", block->count, mc_err_text(err));
  mc_twin_set_offset(t, block->next_offset);
  return MC_OK;
}

static mc_err sink_take(void *ctx, const mc_block *block, mc_why *why)
{
  return mc_twin_apply(ctx, block, why);
}

mc_block_sink mc_twin_sink(mc_twin *t)
{
  return (mc_block_sink){t, sink_take};
}

mc_err mc_twin_checkpoint(mc_twin *t, mc_why *why)
{
  mc_buf bytes = {0};
  pthread_mutex_lock(&t->saving);
  mc_err err = twin_serialise(t, &bytes);
  if (!err)
    err = mc_fs_replace(t->config.fs, t->path, mc_buf_slice(&bytes), 0600, why);
  pthread_mutex_unlock(&t->saving);
  atomic_store(&t->bytes, bytes.len);
  mc_buf_free(&bytes);
  return err;
}

void mc_twin_stats_get(mc_twin *t, mc_twin_stats *out)
{
  *out = (mc_twin_stats){atomic_load(&t->vehicles), atomic_load(&t->values), atomic_load(&t->applied), atomic_load(&t->late),
                         atomic_load(&t->bytes)};
}

mc_motion mc_vehicle_now_motion(const mc_vehicle_now *v, int64_t now_us)
{
  if (!v->heard_us)
    return MC_MOTION_UNKNOWN;
  if (v->heard_us < now_us - 300 * 1000000LL)
    return MC_MOTION_OFFLINE;
  bool knows_speed = v->present & (1u << MC_ROLE_SPEED);
  bool knows_ignition = v->present & (1u << MC_ROLE_IGNITION);
  bool fresh = v->heard_us >= now_us - 120 * 1000000LL; /* what moved two minutes ago may have stopped since */
  if (knows_speed && v->speed_kmh > 3)
    return fresh ? MC_MOTION_MOVING : MC_MOTION_UNKNOWN;
  if (knows_ignition && !v->ignition)
    return MC_MOTION_PARKED;
  return fresh && (knows_speed || knows_ignition) ? MC_MOTION_IDLE : MC_MOTION_UNKNOWN;
}
