/* Messages of vehicles as rows of their campaign: what data out delivers. Any one thread. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "campaign/delivery.h"

enum { MESSAGE_MEMORY = 64 << 20 };
#define DTC_MEASURE MC_LIT("Vehicle.OBD.DTCList") /* VSS's name for the codes that are stored */

mc_err collector_open(collector *k, mc_campaigns *c)
{
  *k = (collector){.c = c, .arena = MC_ARENA(MESSAGE_MEMORY), .repeats = repeat_table_create()};
  return k->repeats ? MC_OK : MC_ERR_MEMORY;
}

void collector_close(collector *k)
{
  mc_arena_free(&k->arena);
  mc_buf_free(&k->plain);
  repeat_table_destroy(k->repeats);
  mc_map_free(&k->type);
  *k = (collector){0};
}

static scheme_version *find_scheme(mc_campaigns *c, uint32_t tenant, mc_slice sync_id)
{
  pthread_mutex_lock(&c->lock);
  scheme_version *s = campaign_scheme_by_sync(c, tenant, sync_id);
  pthread_mutex_unlock(&c->lock);
  return s;
}

mc_err collector_read(collector *k, const mc_record *r, collected *out)
{
  mc_why why;
  scheme_version *scheme;
  *out = (collected){0};
  mc_arena_reset(&k->arena);
  if (mc_campaign_stream_of_topic(r->topic, &out->vehicle_name) != MC_STREAM_TELEMETRY)
    return MC_ERR_END;
  out->vehicle = campaign_vehicle_of(k->c, r, out->vehicle_name);
  if (!out->vehicle || campaign_payload_read(k->c, r->tenant, r->payload, &k->arena, &k->plain, find_scheme, &out->data, &scheme, &why) || !scheme)
    return MC_ERR_END;
  const mc_fw_vehicle_data *d = &out->data;
  if (d->event_time_ms > INT64_MAX / 1000 || repeat_table_seen(k->repeats, r->tenant, out->vehicle, d->campaign_sync_id, d->event_time_ms, d->event_id, r->payload, r->offset))
    return MC_ERR_END;
  out->campaign = scheme->campaign;
  return MC_OK;
}

/* ---- rows ---- */
/* FleetWise's names (9.4) of the types on the wire. */
static const char *const type_names[] = {"UNKNOWN", "BOOLEAN", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "STRING"};

static mc_fw_type type_named(mc_slice name)
{
  static const struct {
    const char *name;
    mc_fw_type type;
  } other[] = {{"BOOL", MC_FW_TYPE_BOOL}, {"FLOAT32", MC_FW_TYPE_FLOAT32}, {"FLOAT64", MC_FW_TYPE_FLOAT64}, {"UNIX_TIMESTAMP", MC_FW_TYPE_INT64}};
  for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++)
    if (mc_slice_eq_str(name, type_names[i]))
      return (mc_fw_type)i;
  for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
    if (mc_slice_eq_str(name, other[i].name))
      return other[i].type;
  return MC_FW_TYPE_FLOAT64;
}

static mc_fw_type type_of(collector *k, uint32_t tenant, uint32_t signal)
{
  uint64_t key = (uint64_t)tenant << 32 | signal, value;
  if (mc_map_get(&k->type, key, &value))
    return (mc_fw_type)value;
  mc_arena scratch MC_ARENA_AUTO = MC_ARENA((size_t)4 << 20);
  mc_signal_info info;
  mc_fw_type type = mc_campaign_signal(k->c, tenant, signal, &scratch, &info) ? MC_FW_TYPE_FLOAT64 : type_named(info.type);
  mc_map_put(&k->type, key, type);
  return type;
}

/* A number on the wire is a double; the catalog says what it stands for. What is no whole number stays a double, whatever the catalog says. */
static void set_value(delivery_row *row, mc_fw_type type, double v)
{
  row->type = type_names[type];
  if (type == MC_FW_TYPE_BOOL) {
    row->kind = ROW_BOOLEAN;
    row->number = v != 0;
  } else if (type >= MC_FW_TYPE_UINT8 && type <= MC_FW_TYPE_INT64 && v == floor(v) && fabs(v) < 9223372036854775808.0) {
    row->kind = ROW_BIGINT;
    row->number = (int64_t)v;
  } else {
    row->kind = ROW_DOUBLE;
    row->real = v;
  }
}

static mc_err time_of(const collected *m, const mc_fw_sample *s, int64_t *out)
{
  int64_t relative = s->relative_us;
  if (!s->has_micros && __builtin_mul_overflow(s->relative_ms, 1000, &relative))
    return MC_ERR_INVALID;
  return __builtin_add_overflow((int64_t)m->data.event_time_ms * 1000, relative, out) ? MC_ERR_INVALID : MC_OK;
}

static mc_err add_vehicle(collector *k, delivery_batch *b, const collected *m, uint32_t *index, mc_why *why)
{
  uint64_t found;
  const delivery_target *t = b->target;
  if (mc_map_get(&b->vehicle_index, m->vehicle, &found)) {
    *index = (uint32_t)found;
    return MC_OK;
  }
  mc_arena scratch MC_ARENA_AUTO = MC_ARENA((size_t)4 << 20);
  mc_vehicle facts;
  mc_attribute *has = NULL;
  size_t count = 0;
  bool known = mc_registry_vehicle_get(k->c->config.registry, t->tenant, m->vehicle, &facts) == MC_OK;
  delivery_vehicle v = {.id = m->vehicle, .dimension = mc_arena_array(&b->arena, t->dimension_count ? t->dimension_count : 1, sizeof *v.dimension)};
  mc_err err = v.dimension ? mc_arena_copy(&b->arena, known ? mc_slice_str(facts.name) : m->vehicle_name, &v.name) : MC_ERR_MEMORY;
  if (!err && t->dimension_count && known)
    err = mc_registry_vehicle_attributes(k->c->config.registry, t->tenant, m->vehicle, &scratch, &has, &count, why);
  for (uint32_t i = 0; i < t->dimension_count && !err; i++)
    for (size_t a = 0; a < count && !err; a++)
      if (mc_slice_eq(has[a].name, t->dimension[i]))
        err = mc_arena_copy(&b->arena, has[a].value, &v.dimension[i]);
  *index = (uint32_t)b->vehicle.len;
  if (!err)
    err = mc_vec_push(&b->vehicle, v);
  return err ? err : mc_map_put(&b->vehicle_index, m->vehicle, *index);
}

bool collector_text_is_structure(mc_slice text)
{
  if (mc_slice_find(text, '\n', 0) < text.len || mc_slice_find(text, '\r', 0) < text.len)
    return false;
  json_t *parsed = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL); /* integers of 64 bits, too */
  bool is = json_is_object(parsed) || json_is_array(parsed);
  json_decref(parsed);
  return is;
}

/* A structured signal as a whole: JSON, as our agent sends it. What is none stays a text. */
static bool is_structure(const manifest_version *manifest, const mc_fw_sample *s)
{
  return !s->path && campaign_structure_find(manifest, s->signal_id) && collector_text_is_structure(s->text);
}

static mc_err add_sample(collector *k, delivery_batch *b, const collected *m, const manifest_version *manifest, uint32_t vehicle, const mc_fw_sample *s)
{
  uint32_t signal = s->path ? campaign_part_signal(k->c, manifest, &m->data.path[s->path - 1]) : s->signal_id;
  delivery_row row = {.event_id = m->data.event_id, .vehicle = vehicle, .event_us = (int64_t)m->data.event_time_ms * 1000,
                      .measure = mc_registry_signal_fqn(k->c->config.registry, b->target->tenant, signal)};
  if (!row.measure.len || time_of(m, s, &row.time_us))
    return MC_OK; /* counted by the decoder */
  if (s->is_string) {
    bool structure = is_structure(manifest, s);
    row.kind = structure ? ROW_STRUCT : ROW_TEXT;
    row.type = structure ? "STRUCT" : "STRING";
    MC_TRY(mc_arena_copy(&b->arena, s->text, &row.text));
  } else {
    set_value(&row, type_of(k, b->target->tenant, signal), s->number);
  }
  return mc_vec_push(&b->row, row);
}

static mc_err add_code(delivery_batch *b, const collected *m, uint32_t vehicle, mc_slice code)
{
  const mc_fw_vehicle_data *d = &m->data;
  int64_t event_us = (int64_t)d->event_time_ms * 1000, relative;
  delivery_row row = {.event_id = d->event_id, .vehicle = vehicle, .event_us = event_us, .measure = DTC_MEASURE, .type = "STRING", .kind = ROW_TEXT};
  if (__builtin_mul_overflow(d->dtc_relative_ms, 1000, &relative) || __builtin_add_overflow(event_us, relative, &row.time_us))
    return MC_OK;
  MC_TRY(mc_arena_copy(&b->arena, code, &row.text));
  return mc_vec_push(&b->row, row);
}

mc_err collector_add(collector *k, delivery_batch *b, const mc_record *record, const collected *m, mc_why *why)
{
  uint32_t vehicle;
  if (!b->row.len) {
    b->first_offset = record->offset;
    b->arrival_us = record->time_us;
  }
  const manifest_version *manifest = campaign_manifest_by_sync(k->c, record->tenant, m->data.manifest_sync_id);
  mc_err err = add_vehicle(k, b, m, &vehicle, why);
  for (uint32_t i = 0; i < m->data.sample_count && !err; i++)
    err = add_sample(k, b, m, manifest, vehicle, &m->data.sample[i]);
  for (uint32_t i = 0; i < m->data.dtc_count && !err; i++)
    err = add_code(b, m, vehicle, m->data.dtc[i]);
  return err ? mc_err_set(why, err, "collecting rows for campaign %.*s: %s", MC_FMT(b->target->name), mc_err_text(err)) : MC_OK;
}

void delivery_batch_free(delivery_batch *b)
{
  if (!b)
    return;
  mc_vec_free(&b->row);
  mc_vec_free(&b->vehicle);
  mc_map_free(&b->vehicle_index);
  mc_arena_free(&b->arena);
  free(b);
}
