/* What a vehicle should hold against what it says it holds (contract fleetwise 4).
 *
 * Documents go out when something changed and the vehicle has been heard of, or when a check-in shows that they are missing. The vehicle
 * confirms by listing their ids in a later check-in. Nothing is sent again before its second check-in after the sending; after five tries
 * it is left, and shows as pending. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/state.h"
#include "format/json.h"
#include "format/proto.h"

enum { MAX_TRIES = 5, PATIENCE = 2 /* check-ins */ };

vehicle_state *campaign_vehicle_state(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, bool add)
{
  uint64_t key = (uint64_t)tenant << 32 | vehicle, found;
  if (mc_map_get(&c->vehicle, key, &found))
    return (vehicle_state *)(uintptr_t)found;
  vehicle_state *v = add ? calloc(1, sizeof *v) : NULL;
  if (!v)
    return NULL;
  v->tenant = tenant;
  v->vehicle = vehicle;
  if (mc_map_put(&c->vehicle, key, (uintptr_t)v)) {
    free(v);
    return NULL;
  }
  return v;
}

static void clear_texts(vehicle_state *v)
{
  for (size_t i = 0; i < v->reported.len; i++)
    free(v->reported.at[i]);
  for (size_t i = 0; i < v->error.len; i++)
    free(v->error.at[i]);
  mc_vec_clear(&v->reported);
  mc_vec_clear(&v->error);
}

void campaign_vehicles_free(mc_campaigns *c)
{
  size_t at = 0;
  uint64_t value;
  while (mc_map_next(&c->vehicle, &at, NULL, &value)) {
    vehicle_state *v = (vehicle_state *)(uintptr_t)value;
    clear_texts(v);
    mc_vec_free(&v->reported);
    mc_vec_free(&v->error);
    free(v);
  }
  mc_map_free(&c->vehicle);
  mc_vec_free(&c->unsaved);
}

bool campaign_names(mc_campaigns *c, const mc_campaign *g, const mc_vehicle *vehicle)
{
  if (mc_slice_eq_str(g->target_kind, "all"))
    return true;
  if (mc_slice_eq_str(g->target_kind, "fleet"))
    return mc_registry_fleet_has(c->config.registry, vehicle->tenant, g->target, vehicle->id);
  return mc_slice_eq_str(g->target, mc_slice_eq_str(g->target_kind, "manifest") ? vehicle->manifest : vehicle->name);
}

bool campaign_targets(mc_campaigns *c, const mc_campaign *g, const mc_vehicle *vehicle, int64_t now_us)
{
  return g->status == MC_CAMPAIGN_RUNNING && g->tenant == vehicle->tenant && (!g->expiry_us || g->expiry_us > now_us) && campaign_names(c, g, vehicle);
}

static bool reports(const vehicle_state *v, const char *sync_id)
{
  for (size_t i = 0; i < v->reported.len; i++)
    if (strcmp(v->reported.at[i], sync_id) == 0)
      return true;
  return false;
}

/* What should be there: the manifest's id, and the schemes' ids with their bytes. */
typedef struct wanted {
  const manifest_version *m;
  const char *manifest_id;
  MC_VEC(const compiled_scheme *) scheme;
  uint64_t hash; /* of the set of scheme ids */
} wanted;

static mc_err find_wanted(mc_campaigns *c, const vehicle_state *v, const mc_vehicle *vehicle, wanted *w)
{
  int64_t now = mc_clock_wall_us();
  w->m = vehicle->manifest[0] ? campaign_manifest_current(c, vehicle->tenant, mc_slice_str(vehicle->manifest)) : NULL;
  if (!w->m)
    return MC_OK;
  w->manifest_id = v->ours ? w->m->sync_id : w->m->foreign_sync_id;
  w->hash = mc_slice_fnv1a(mc_slice_str(w->manifest_id));
  for (size_t i = 0; i < c->campaign.len; i++) {
    const mc_campaign *g = &c->campaign.at[i]->c;
    const compiled_scheme *s;
    mc_why why;
    if (!campaign_targets(c, g, vehicle, now))
      continue;
    if (campaign_scheme_compile(c, g, w->m, !v->ours, &s, &why)) {
      mc_log(MC_LOG_WARN, "campaign", "campaign cannot be compiled for a vehicle", MC_KS("campaign", g->name),
             MC_KZ("vehicle", vehicle->name), MC_KZ("reason", why.text));
      continue;
    }
    if (!s->bytes.len)
      continue;
    MC_TRY(mc_vec_push(&w->scheme, s));
    w->hash += mc_slice_fnv1a(mc_slice_str(s->sync_id)); /* a set: order does not count */
  }
  return MC_OK;
}

static bool schemes_match(const vehicle_state *v, const wanted *w)
{
  size_t matched = 0, others = 0;
  for (size_t i = 0; i < w->scheme.len; i++) {
    const compiled_scheme *s = w->scheme.at[i];
    if (!reports(v, s->sync_id))
      return false;
    matched++;
  }
  for (size_t i = 0; i < v->reported.len; i++)
    others += strcmp(v->reported.at[i], w->manifest_id) != 0;
  return others <= matched; /* an id that is not wanted any more has to go */
}

/* One kind of document: whether it is to be sent now. */
static bool due(uint64_t hash, uint64_t *sent, uint32_t *checkins, uint32_t *tries, bool changed)
{
  if (*sent != hash || changed) {
    *tries = 0;
  } else if (*checkins < PATIENCE || *tries >= MAX_TRIES) {
    return false;
  }
  *sent = hash;
  *checkins = 0;
  (*tries)++;
  return true;
}

typedef struct document {
  char topic[300];
  mc_buf payload;
} document;

static void prepare(vehicle_state *v, const char *kind, document *d)
{
  snprintf(d->topic, sizeof d->topic, "%svehicles/%s/%s", v->prefix, v->name, kind);
}

/* With the lock held: fills the documents that are due. */
static mc_err gather(mc_campaigns *c, vehicle_state *v, const mc_vehicle *vehicle, bool changed, document *manifest, document *schemes)
{
  wanted w = {0};
  mc_err err = find_wanted(c, v, vehicle, &w);
  if (!err && w.m && !reports(v, w.manifest_id) && due(w.hash ^ 1, &v->manifest_sent, &v->manifest_checkins, &v->manifest_tries, changed)) {
    prepare(v, "decoder_manifests", manifest);
    err = mc_buf_append_slice(&manifest->payload, mc_buf_slice(v->ours ? &w.m->extended : &w.m->foreign));
  }
  bool something = w.scheme.len || v->reported.len || v->schemes_sent;
  if (!err && w.m && something && !schemes_match(v, &w) &&
      due(w.hash | 1, &v->schemes_sent, &v->schemes_checkins, &v->schemes_tries, changed)) {
    prepare(v, "collection_schemes", schemes);
    for (size_t i = 0; i < w.scheme.len && !err; i++)
      err = mc_buf_append_slice(&schemes->payload, mc_buf_slice(&w.scheme.at[i]->bytes));
    if (!err) /* also what makes an empty list acceptable */
      err = mc_proto_put_varint(&schemes->payload, 2, (uint64_t)(mc_clock_wall_us() / 1000));
  }
  mc_vec_free(&w.scheme);
  return err;
}

static void send(mc_campaigns *c, uint32_t tenant, document *d)
{
  mc_why why;
  if (d->payload.len && c->config.publish) {
    if (c->config.publish(c->config.publish_ctx, tenant, mc_slice_str(d->topic), mc_buf_slice(&d->payload), &why))
      mc_log(MC_LOG_WARN, "campaign", "a document could not be sent; it is tried again after the next check-ins", MC_KZ("topic", d->topic),
             MC_KZ("reason", why.text));
    else
      atomic_fetch_add_explicit(&c->count.documents_sent, 1, memory_order_relaxed);
  }
  mc_buf_free(&d->payload);
}

void campaign_reconcile(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, bool changed)
{
  document manifest = {0}, schemes = {0};
  mc_vehicle facts;
  if (mc_registry_vehicle_get(c->config.registry, tenant, vehicle, &facts))
    return;
  pthread_mutex_lock(&c->lock);
  vehicle_state *v = campaign_vehicle_state(c, tenant, vehicle, false);
  mc_err err = v && v->prefix[0] ? gather(c, v, &facts, changed, &manifest, &schemes) : MC_OK; /* never heard of: its first check-in asks */
  pthread_mutex_unlock(&c->lock);
  if (err)
    mc_log(MC_LOG_WARN, "campaign", "documents could not be made", MC_KZ("vehicle", facts.name), MC_KZ("reason", mc_err_text(err)));
  send(c, tenant, &manifest); /* before the schemes: saves the agent one rebuild */
  send(c, tenant, &schemes);
}

void campaign_reconcile_all(mc_campaigns *c, uint32_t tenant)
{
  MC_VEC(uint32_t) list = {0};
  size_t at = 0;
  uint64_t value;
  pthread_mutex_lock(&c->lock);
  while (mc_map_next(&c->vehicle, &at, NULL, &value)) {
    const vehicle_state *v = (const vehicle_state *)(uintptr_t)value;
    if (v->tenant == tenant && mc_vec_push(&list, v->vehicle))
      break;
  }
  pthread_mutex_unlock(&c->lock);
  for (size_t i = 0; i < list.len; i++)
    campaign_reconcile(c, tenant, list.at[i], true);
  mc_vec_free(&list);
}

void mc_campaign_vehicle_changed(mc_campaigns *c, uint32_t tenant, uint32_t vehicle)
{
  campaign_reconcile(c, tenant, vehicle, true);
}

/* ---- check-ins ---- */

static mc_err copy_texts(const mc_slice *from, uint32_t count, char ***at, size_t *len, size_t *cap)
{
  for (uint32_t i = 0; i < count; i++) {
    MC_TRY(mc_vec_grow_((void **)at, cap, *len, 1, sizeof **at));
    char *copy = strndup((const char *)from[i].data, from[i].len < 500 ? from[i].len : 500);
    if (!copy)
      return MC_ERR_MEMORY;
    (*at)[(*len)++] = copy;
  }
  return MC_OK;
}

mc_err campaign_checkin(mc_campaigns *c, const mc_record *record, mc_slice vehicle_name, mc_slice prefix, mc_why *why)
{
  mc_fw_checkin in;
  mc_why text = {0};
  mc_vehicle facts;
  mc_arena_reset(&c->arena);
  if (mc_fw_read_checkin(record->payload, &c->arena, &in, &text)) {
    atomic_fetch_add_explicit(&c->count.undecodable, 1, memory_order_relaxed);
    mc_log(MC_LOG_WARN, "campaign", "check-in cannot be read; it stays in the journal", MC_KS("vehicle", vehicle_name),
           MC_KU("offset", record->offset), MC_KZ("reason", text.text));
    return MC_OK;
  }
  if (mc_registry_vehicle_find(c->config.registry, record->tenant, vehicle_name, &facts))
    return MC_OK; /* no such vehicle (any more) */
  atomic_fetch_add_explicit(&c->count.checkins, 1, memory_order_relaxed);
  pthread_mutex_lock(&c->lock);
  vehicle_state *v = campaign_vehicle_state(c, record->tenant, facts.id, true);
  mc_err err = v ? MC_OK : MC_ERR_MEMORY;
  if (v) {
    clear_texts(v);
    snprintf(v->name, sizeof v->name, "%s", facts.name);
    mc_slice_to_str(prefix, v->prefix, sizeof v->prefix);
    v->ours = in.agent.len && (in.capabilities & (MC_FW_CAN_MULTIPLEX | MC_FW_CAN_ID_MASK)) == (MC_FW_CAN_MULTIPLEX | MC_FW_CAN_ID_MASK);
    if (!v->dirty)
      err = mc_vec_push(&c->unsaved, v);
    v->dirty = !err;
    v->checkin_us = record->time_us;
    v->manifest_checkins++;
    v->schemes_checkins++;
    if (!err)
      err = copy_texts(in.sync_id, in.sync_id_count, &v->reported.at, &v->reported.len, &v->reported.cap);
    if (!err)
      err = copy_texts(in.error, in.error_count, &v->error.at, &v->error.len, &v->error.cap);
  }
  pthread_mutex_unlock(&c->lock);
  if (err)
    return mc_err_set(why, err, "check-in of %.*s: %s", MC_FMT(vehicle_name), mc_err_text(err));
  /* Old ones, read again after a restart, are only remembered: answering them would send what a newer one already has. */
  if (mc_clock_wall_us() - record->time_us < 60 * 1000000LL)
    campaign_reconcile(c, record->tenant, facts.id, false);
  return MC_OK;
}

/* ---- storing what vehicles said ---- */

static mc_err texts_json(char *const *at, size_t len, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_array(&j);
  for (size_t i = 0; i < len; i++)
    mc_json_str(&j, at[i]);
  mc_json_array_end(&j);
  return mc_json_end(&j);
}

/* What a row of campaign_checkin says. */
typedef struct checkin_row {
  vehicle_state *state;
  char name[129], prefix[64];
  bool ours;
  int64_t checkin_us;
  mc_buf ids, errors;
} checkin_row;

static mc_err copy_row(vehicle_state *v, checkin_row *out)
{
  *out = (checkin_row){.state = v, .ours = v->ours, .checkin_us = v->checkin_us};
  memcpy(out->name, v->name, sizeof out->name);
  memcpy(out->prefix, v->prefix, sizeof out->prefix);
  MC_TRY(texts_json(v->reported.at, v->reported.len, &out->ids));
  return texts_json(v->error.at, v->error.len, &out->errors);
}

static mc_err write_row(mc_campaigns *c, const checkin_row *r, mc_why *why)
{
  return mc_db_run(c->config.db, why,
                   "INSERT INTO campaign_checkin(tenant, vehicle, name, prefix, ours, time_us, sync_ids, errors) VALUES "
                   "($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT(tenant, vehicle) DO UPDATE SET name = excluded.name, "
                   "prefix = excluded.prefix, ours = excluded.ours, time_us = excluded.time_us, sync_ids = excluded.sync_ids, errors = "
                   "excluded.errors",
                   "iittiitt", (int64_t)r->state->tenant, (int64_t)r->state->vehicle, mc_slice_str(r->name), mc_slice_str(r->prefix),
                   (int64_t)r->ours, r->checkin_us, mc_buf_slice(&r->ids), mc_buf_slice(&r->errors));
}

static mc_err write_rows(mc_campaigns *c, const checkin_row *row, size_t count, mc_why *why)
{
  MC_TRY(mc_db_begin(c->config.db, true, why));
  mc_err err = MC_OK;
  for (size_t i = 0; i < count && !err; i++)
    err = write_row(c, &row[i], why);
  mc_err end = mc_db_end(c->config.db, err == MC_OK, err ? NULL : why);
  return err ? err : end;
}

/* With the lock held: what of the unsaved fits. They count as saved from here on, so that a check-in meanwhile is noticed. */
static mc_err take_rows(mc_campaigns *c, checkin_row *row, size_t most, size_t *count)
{
  mc_err err = MC_OK;
  for (*count = 0; *count < most && c->unsaved.len && !err; (*count)++) {
    vehicle_state *v = c->unsaved.at[--c->unsaved.len];
    v->dirty = false;
    err = copy_row(v, &row[*count]);
  }
  return err;
}

static void give_back(mc_campaigns *c, const checkin_row *row, size_t count)
{
  pthread_mutex_lock(&c->lock);
  for (size_t i = 0; i < count; i++)
    if (!row[i].state->dirty)
      row[i].state->dirty = mc_vec_push(&c->unsaved, row[i].state) == MC_OK;
  pthread_mutex_unlock(&c->lock);
}

/* The decoder waits for the lock, so it is held only while a few are copied, and never while the database writes. */
mc_err campaign_checkins_save(mc_campaigns *c, mc_why *why)
{
  enum { PIECE = 64 };
  mc_err err = MC_OK;
  checkin_row *row = calloc(PIECE, sizeof *row);
  if (!row)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory to save check-ins");
  for (size_t count = PIECE; count && !err;) {
    pthread_mutex_lock(&c->lock);
    err = take_rows(c, row, PIECE, &count);
    pthread_mutex_unlock(&c->lock);
    if (err)
      mc_err_set(why, err, "no memory to save check-ins");
    if (!err && count)
      err = write_rows(c, row, count, why);
    if (err)
      give_back(c, row, count);
    for (size_t i = 0; i < count; i++) {
      mc_buf_free(&row[i].ids);
      mc_buf_free(&row[i].errors);
    }
  }
  free(row);
  return err;
}

static mc_err load_texts(mc_slice json, char ***at, size_t *len, size_t *cap)
{
  json_t *root = json_loadb((const char *)json.data, json.len, 0, NULL), *item;
  size_t i;
  mc_err err = MC_OK;
  json_array_foreach (root, i, item) {
    mc_slice text = mc_slice_str(json_string_value(item));
    if (!err)
      err = copy_texts(&text, 1, at, len, cap);
  }
  json_decref(root);
  return err;
}

mc_err campaign_checkins_load(mc_campaigns *c, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err =
      mc_db_prepare(c->config.db, "SELECT tenant, vehicle, name, prefix, ours, time_us, sync_ids, errors FROM campaign_checkin", &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why))) {
      vehicle_state *v = campaign_vehicle_state(c, (uint32_t)mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), true);
      if (!v) {
        err = MC_ERR_MEMORY;
        break;
      }
      mc_slice_to_str(mc_stmt_text(s, 2), v->name, sizeof v->name);
      mc_slice_to_str(mc_stmt_text(s, 3), v->prefix, sizeof v->prefix);
      v->ours = mc_stmt_int(s, 4) != 0;
      v->checkin_us = mc_stmt_int(s, 5);
      err = load_texts(mc_stmt_text(s, 6), &v->reported.at, &v->reported.len, &v->reported.cap);
      if (!err)
        err = load_texts(mc_stmt_text(s, 7), &v->error.at, &v->error.len, &v->error.cap);
      if (err)
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- per vehicle state of one campaign ---- */

static mc_err describe(mc_campaigns *c, const mc_campaign *g, const mc_vehicle *vehicle, mc_arena *arena, mc_campaign_vehicle *out,
                       bool *listed)
{
  *listed = false;
  if (!campaign_targets(c, g, vehicle, mc_clock_wall_us()))
    return MC_OK;
  const manifest_version *m = vehicle->manifest[0] ? campaign_manifest_current(c, vehicle->tenant, mc_slice_str(vehicle->manifest)) : NULL;
  const vehicle_state *v = campaign_vehicle_state(c, vehicle->tenant, vehicle->id, false);
  const compiled_scheme *s;
  if (!m || campaign_scheme_compile(c, g, m, v && !v->ours, &s, NULL) || !s->bytes.len)
    return MC_OK; /* no signal of it on this vehicle */
  *listed = true;
  *out = (mc_campaign_vehicle){.vehicle = vehicle->id, .state = MC_LIT("pending"), .changed_us = v ? v->checkin_us : 0};
  if (v && reports(v, s->sync_id))
    out->state = MC_LIT("healthy");
  for (size_t i = 0; v && i < v->error.len; i++)
    if (strncmp(v->error.at[i], s->sync_id, strlen(s->sync_id)) == 0) {
      out->state = MC_LIT("refused");
      return mc_arena_copy(arena, mc_slice_str(v->error.at[i]), &out->text);
    }
  return MC_OK;
}

mc_err mc_campaign_vehicles(mc_campaigns *c, uint32_t tenant, uint32_t id, size_t limit, mc_arena *arena, mc_campaign_vehicle **out,
                            size_t *count, mc_why *why)
{
  mc_campaign g;
  *count = 0;
  *out = mc_arena_array(arena, limit, sizeof **out);
  if (!*out)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %zu vehicles", limit);
  if (mc_campaign_get(c, tenant, id, arena, &g))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", id);
  mc_slice after = {0};
  mc_vehicle *vehicles;
  size_t page;
  do {
    MC_TRY(mc_registry_vehicle_list(c->config.registry, tenant, after, (mc_slice){0}, 1000, arena, &vehicles, &page, why));
    pthread_mutex_lock(&c->lock);
    mc_err err = MC_OK;
    for (size_t i = 0; i < page && *count < limit && !err; i++) {
      bool listed;
      err = describe(c, &g, &vehicles[i], arena, &(*out)[*count], &listed);
      *count += listed;
    }
    pthread_mutex_unlock(&c->lock);
    if (err)
      return mc_err_set(why, err, "vehicles of campaign %u: %s", id, mc_err_text(err));
    if (page)
      after = mc_slice_str(vehicles[page - 1].name);
  } while (page == 1000 && *count < limit);
  return MC_OK;
}
