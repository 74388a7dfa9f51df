/* Latest values and what was true before. */
#include <math.h>
#include <stdlib.h>

#include "api/inside.h"
#include "base/clock.h"

enum { SERIES_MAX = 16, WAIT_MS = 5000 };
#define RANGE_MAX_US (INT64_C(3660) * 24 * 3600 * 1000000)

/* ---- latest ---- */

/* Waits until a journal offset is visible; only half of the workers may wait at a time, so that others get through. */
static mc_err wait_for_offset(api_call *c)
{
  int64_t offset = query_int(c, "offset", -1);
  if (offset < 0)
    return MC_OK;
  mc_api *api = c->api;
  int seats = (int)(api->config.workers ? api->config.workers : 2) / 2;
  mc_err err = MC_ERR_AGAIN;
  if (atomic_fetch_add(&api->waiting, 1) < (seats ? seats : 1))
    err = mc_twin_wait(api->config.twin, (uint64_t)offset, WAIT_MS);
  atomic_fetch_sub(&api->waiting, 1);
  if (err == MC_ERR_TIMEOUT)
    return mc_err_set(&c->why, err, "offset %lld was not visible within %d ms; is it beyond the end of the journal, or is the decoder behind (see /api/v1/health)?", (long long)offset, WAIT_MS);
  if (err == MC_ERR_AGAIN)
    return mc_err_set(&c->why, err, "too many requests wait for an offset; try again in a moment");
  return err;
}

static void write_latest(api_call *c, const mc_latest *v, const mc_signal_info *s, int64_t now_us)
{
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_uint_field(j, "signal", v->signal);
  mc_json_text_field(j, "fqn", s->fqn);
  mc_json_text_field(j, "unit", s->unit);
  mc_json_text_field(j, "type", s->type);
  if (v->kind == MC_SAMPLE_STRING)
    mc_json_text_field(j, "text", v->text);
  else if (isfinite(v->value))
    mc_json_double_field(j, "value", v->value);
  if (v->kind == MC_SAMPLE_RAW)
    mc_json_int_field(j, "raw", v->raw);
  for (uint32_t i = 0; i < s->value_count && v->kind != MC_SAMPLE_STRING; i++)
    if ((double)s->value_number[i] == v->value) {
      mc_json_text_field(j, "text", s->value_name[i]);
      break;
    }
  json_time(j, "time", v->time_us);
  mc_json_int_field(j, "age_ms", (now_us - v->time_us) / 1000);
  mc_json_object_end(j);
}

mc_err api_op_vehicle_latest(api_call *c)
{
  mc_vehicle v;
  mc_latest *list;
  size_t n;
  MC_TRY(call_vehicle(c, &v));
  MC_TRY(wait_for_offset(c));
  MC_TRY(mc_twin_latest(c->api->config.twin, c->who.tenant, v.id, &c->arena, &list, &n, &c->why));
  int64_t now = mc_clock_wall_us();
  mc_json_object(&c->json);
  mc_json_uint_field(&c->json, "vehicle", v.id);
  json_time(&c->json, "server_time", now);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++) {
    mc_signal_info s;
    if (call_signal(c, list[i].signal, &s) == MC_OK)
      write_latest(c, &list[i], &s, now);
  }
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

/* ---- history ---- */

typedef struct range {
  int64_t from_us, to_us;
  size_t points;
} range;

static mc_err read_range(api_call *c, size_t points, range *out)
{
  if (mc_clock_parse_us(query_slice(c, "from"), &out->from_us))
    return call_refuse(c, "from", "from is not a time like 2026-11-22T10:41:36Z");
  if (mc_clock_parse_us(query_slice(c, "to"), &out->to_us))
    return call_refuse(c, "to", "to is not a time like 2026-11-22T10:41:36Z");
  if (out->from_us >= out->to_us)
    return call_refuse(c, "to", "to must be later than from");
  if (out->to_us - out->from_us > RANGE_MAX_US)
    return call_refuse(c, "from", "the range is longer than ten years; ask for a part of it");
  out->points = (size_t)query_int(c, "points", (int64_t)points);
  return MC_OK;
}

/* Single samples, up to a number; more of them make it overflow. */
typedef struct samples {
  MC_VEC(int64_t) time_us;
  MC_VEC(double) value;
  size_t max;
  bool overflow, no_memory;
} samples;

static bool take_page(void *ctx, const mc_samples *page)
{
  samples *s = ctx;
  for (uint32_t i = 0; i < page->count; i++) {
    if (!isfinite(page->physical[i]))
      continue; /* text has no place on a number axis */
    if (s->value.len == s->max) {
      s->overflow = true;
      return false;
    }
    if (mc_vec_push(&s->time_us, page->time_us[i]) || mc_vec_push(&s->value, page->physical[i])) {
      s->no_memory = true;
      return false;
    }
  }
  return true;
}

static void samples_free(samples *s)
{
  mc_vec_free(&s->time_us);
  mc_vec_free(&s->value);
}

static mc_err read_samples(api_call *c, uint32_t vehicle, uint32_t signal, const range *r, samples *out)
{
  out->max = r->points;
  mc_err err = mc_store_scan(c->api->config.store, c->who.tenant, vehicle, signal, r->from_us, r->to_us, take_page, out, &c->why);
  if (!err && out->no_memory)
    err = mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for this range; ask for fewer points");
  return err;
}

/* Whole milliseconds, so that about r->points buckets cover the range. */
static int64_t bucket_of(const range *r)
{
  int64_t per = (r->to_us - r->from_us + (int64_t)r->points - 1) / (int64_t)r->points;
  return (per + 999) / 1000 * 1000;
}

static mc_err read_buckets(api_call *c, uint32_t vehicle, uint32_t signal, const range *r, mc_bucket **out, size_t *count)
{
  return mc_store_buckets(c->api->config.store, c->who.tenant, vehicle, signal, r->from_us, r->to_us, bucket_of(r), &c->arena, out, count, &c->why);
}

static double mean_of(const mc_bucket *b)
{
  return b->count ? b->sum / (double)b->count : NAN;
}

static void write_series_arrays(mc_json *j, const mc_bucket *b, size_t n)
{
  mc_json_key(j, "time");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++)
    mc_json_int(j, b[i].start_us / 1000);
  mc_json_array_end(j);
  mc_json_key(j, "mean");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++)
    mc_json_double(j, mean_of(&b[i]));
  mc_json_array_end(j);
  mc_json_key(j, "min");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++)
    mc_json_double(j, b[i].min);
  mc_json_array_end(j);
  mc_json_key(j, "max");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++)
    mc_json_double(j, b[i].max);
  mc_json_array_end(j);
  mc_json_key(j, "count");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++)
    mc_json_uint(j, b[i].count);
  mc_json_array_end(j);
}

/* Buckets that hold no number (only text) would be null in the answer. */
static size_t drop_empty(mc_bucket *b, size_t n)
{
  size_t kept = 0;
  for (size_t i = 0; i < n; i++)
    if (b[i].count && isfinite(b[i].sum) && isfinite(b[i].min) && isfinite(b[i].max))
      b[kept++] = b[i];
  return kept;
}

static mc_err write_series(api_call *c, uint32_t vehicle, uint32_t signal, const range *r)
{
  mc_signal_info info;
  samples s = {0};
  mc_bucket *bucket = NULL;
  size_t n = 0;
  MC_TRY(call_signal(c, signal, &info));
  mc_err err = read_samples(c, vehicle, signal, r, &s);
  if (!err && s.overflow) {
    err = read_buckets(c, vehicle, signal, r, &bucket, &n);
    n = err ? 0 : drop_empty(bucket, n);
  } else if (!err) {
    n = s.value.len;
    bucket = mc_arena_array(&c->arena, n, sizeof *bucket);
    err = bucket ? MC_OK : mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for this range; ask for fewer points");
    for (size_t i = 0; !err && i < n; i++)
      bucket[i] = (mc_bucket){s.time_us.at[i], 1, s.value.at[i], s.value.at[i], s.value.at[i], s.value.at[i], s.value.at[i]};
  }
  bool downsampled = s.overflow;
  samples_free(&s);
  MC_TRY(err);
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_uint_field(j, "signal", signal);
  mc_json_text_field(j, "fqn", info.fqn);
  mc_json_text_field(j, "unit", info.unit);
  mc_json_bool_field(j, "downsampled", downsampled);
  if (downsampled)
    mc_json_int_field(j, "bucket_ms", bucket_of(r) / 1000);
  write_series_arrays(j, bucket, n);
  mc_json_object_end(j);
  return MC_OK;
}

/* "3,17,4" */
static mc_err read_signals(api_call *c, uint32_t id[SERIES_MAX], size_t *count)
{
  mc_slice text = query_slice(c, "signals");
  *count = 0;
  for (size_t at = 0; at <= text.len;) {
    size_t end = mc_slice_find(text, ',', at);
    uint64_t v = 0;
    if (mc_slice_to_u64(mc_slice_trim(mc_slice_sub(text, at, end - at)), &v) || !v || v > UINT32_MAX)
      return call_refuse(c, "signals", "signals is a list of signal ids like 3,17,4");
    if (*count == SERIES_MAX)
      return call_refuse(c, "signals", "at most %d signals at a time", SERIES_MAX);
    id[(*count)++] = (uint32_t)v;
    at = end + 1;
  }
  return MC_OK;
}

mc_err api_op_vehicle_history(api_call *c)
{
  mc_vehicle v;
  range r;
  uint32_t id[SERIES_MAX];
  size_t n;
  MC_TRY(call_vehicle(c, &v));
  MC_TRY(read_range(c, 800, &r));
  MC_TRY(read_signals(c, id, &n));
  mc_json_object(&c->json);
  mc_json_uint_field(&c->json, "vehicle", v.id);
  json_time(&c->json, "server_time", mc_clock_wall_us());
  mc_json_key(&c->json, "series");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    MC_TRY(write_series(c, v.id, id[i], &r));
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

/* ---- track ---- */

/* The signals that play these roles for this vehicle; 0: none. */
static mc_err find_roles(api_call *c, uint32_t vehicle, const range *r, uint32_t *latitude, uint32_t *longitude, uint32_t *speed)
{
  uint32_t *id;
  size_t n;
  *latitude = *longitude = *speed = 0;
  MC_TRY(mc_store_signals(c->api->config.store, c->who.tenant, vehicle, r->from_us, r->to_us, &c->arena, &id, &n, &c->why));
  for (size_t i = 0; i < n; i++) {
    mc_role role = mc_role_of_fqn(mc_registry_signal_fqn(c->api->config.registry, c->who.tenant, id[i]));
    uint32_t *slot = role == MC_ROLE_LATITUDE ? latitude : role == MC_ROLE_LONGITUDE ? longitude : role == MC_ROLE_SPEED ? speed : NULL;
    if (slot && !*slot)
      *slot = id[i];
  }
  return MC_OK;
}

/* Reads one signal as single points in time: samples, or the first of each bucket when asked to thin. */
static mc_err read_points(api_call *c, uint32_t vehicle, uint32_t signal, const range *r, bool thin, samples *out)
{
  if (!thin)
    return read_samples(c, vehicle, signal, r, out);
  mc_bucket *b;
  size_t n;
  MC_TRY(read_buckets(c, vehicle, signal, r, &b, &n));
  for (size_t i = 0; i < n; i++)
    if (b[i].count && isfinite(b[i].first) && (mc_vec_push(&out->time_us, b[i].start_us) || mc_vec_push(&out->value, b[i].first)))
      return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for this track; ask for fewer points");
  return MC_OK;
}

/* Index of the sample nearest in time within tolerance, moving *at forward; SIZE_MAX: none. */
static size_t nearest(const samples *s, size_t *at, int64_t time_us, int64_t tolerance_us)
{
  while (*at + 1 < s->time_us.len && llabs(s->time_us.at[*at + 1] - time_us) <= llabs(s->time_us.at[*at] - time_us))
    (*at)++;
  return *at < s->time_us.len && llabs(s->time_us.at[*at] - time_us) <= tolerance_us ? *at : SIZE_MAX;
}

static void write_points(mc_json *j, const samples *lat, const samples *lon, const samples *speed)
{
  const int64_t together_us = 2000000; /* one fix arrives as two signals */
  size_t lon_at = 0, speed_at = 0;
  for (size_t i = 0; i < lat->value.len; i++) {
    int64_t t = lat->time_us.at[i];
    size_t k = nearest(lon, &lon_at, t, together_us), s = nearest(speed, &speed_at, t, together_us);
    if (k == SIZE_MAX)
      continue;
    mc_json_object(j);
    mc_json_int_field(j, "time", t / 1000);
    mc_json_double_field(j, "latitude", lat->value.at[i]);
    mc_json_double_field(j, "longitude", lon->value.at[k]);
    if (s != SIZE_MAX)
      mc_json_double_field(j, "speed", speed->value.at[s]);
    mc_json_object_end(j);
  }
}

mc_err api_op_vehicle_track(api_call *c)
{
  mc_vehicle v;
  range r;
  uint32_t id[3];
  samples s[3] = {0};
  MC_TRY(call_vehicle(c, &v));
  MC_TRY(read_range(c, 1000, &r));
  MC_TRY(find_roles(c, v.id, &r, &id[0], &id[1], &id[2]));
  mc_json_object(&c->json);
  mc_json_uint_field(&c->json, "vehicle", v.id);
  mc_json_key(&c->json, "points");
  mc_json_array(&c->json);
  mc_err err = MC_OK;
  if (id[0] && id[1]) {
    for (int thin = 0; thin < 2; thin++) {
      for (int i = 0; !err && i < 3; i++)
        if (id[i])
          err = read_points(c, v.id, id[i], &r, thin, &s[i]);
      if (err || thin || !(s[0].overflow || s[1].overflow || s[2].overflow))
        break;
      for (int i = 0; i < 3; i++) {
        samples_free(&s[i]);
        s[i] = (samples){0};
      }
    }
    if (!err)
      write_points(&c->json, &s[0], &s[1], &s[2]);
  }
  for (int i = 0; i < 3; i++)
    samples_free(&s[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return err;
}

/* ---- events ---- */

mc_err api_op_vehicle_events(api_call *c)
{
  mc_vehicle v;
  mc_event_info *list;
  size_t n;
  MC_TRY(call_vehicle(c, &v));
  MC_TRY(mc_campaign_events(c->api->config.campaigns, c->who.tenant, v.id, (size_t)query_int(c, "limit", 50), &c->arena, &list, &n, &c->why));
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++) {
    mc_campaign campaign;
    bool known = mc_campaign_get(c->api->config.campaigns, c->who.tenant, list[i].campaign, &c->arena, &campaign) == MC_OK;
    mc_json_object(j);
    mc_json_uint_field(j, "campaign", list[i].campaign);
    mc_json_text_field(j, "campaign_name", known ? campaign.name : MC_LIT("")); /* deleted ones keep their events */
    mc_json_uint_field(j, "event_id", list[i].event_id);
    json_time(j, "time", list[i].time_us);
    json_time(j, "arrival", list[i].arrival_us);
    mc_json_uint_field(j, "messages", list[i].messages);
    mc_json_uint_field(j, "samples", list[i].samples);
    mc_json_uint_field(j, "offset", list[i].first_offset);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}
