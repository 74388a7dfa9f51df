/* One command: catalog entries, vehicle model and decoder manifest from a DBC (or catalog entries from a VSS tree). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/state.h"
#include "format/json.h"

enum { MAX_FQN = 150, ARENA_LIMIT = 1 << 30 };

typedef struct import_run {
  mc_campaigns *c;
  const mc_dbc_import *in;
  mc_dbc_import_report *report;
  mc_arena arena;
  mc_dbc dbc;
  mc_strmap by_source; /* "Message.Signal" -> FQN as a terminated string in the arena */
  mc_strmap ids;       /* "Message.Signal" -> signal id */
  mc_why *why;
} import_run;

bool campaign_name_valid(mc_slice name)
{
  for (size_t i = 0; i < name.len; i++) {
    uint8_t ch = name.data[i];
    if (!((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') && !(ch >= '0' && ch <= '9') && ch != '-' && ch != '_' && ch != ':')
      return false;
  }
  return name.len >= 1 && name.len <= 100;
}

static bool fqn_valid(mc_slice fqn)
{
  for (size_t i = 0; i < fqn.len; i++) {
    uint8_t ch = fqn.data[i];
    if (!((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') && !(ch >= '0' && ch <= '9') && ch != '.' && ch != '_')
      return false;
  }
  return fqn.len >= 1 && fqn.len <= MAX_FQN;
}

static mc_slice source_of(import_run *r, const mc_dbc_message *m, const mc_dbc_signal *s)
{
  return mc_slice_str(mc_arena_printf(&r->arena, "%.*s.%.*s", MC_FMT(m->name), MC_FMT(s->name)));
}

static bool source_exists(const mc_dbc *dbc, const char *source)
{
  const char *dot = strchr(source, '.');
  const mc_dbc_message *m = dot ? mc_dbc_find(dbc, mc_slice_of(source, (size_t)(dot - source))) : NULL;
  return m && mc_dbc_message_find(m, mc_slice_str(dot + 1));
}

static mc_err read_map(import_run *r)
{
  if (!r->in->map_json.len)
    return MC_OK;
  json_error_t error;
  json_t *root = json_loadb((const char *)r->in->map_json.data, r->in->map_json.len, JSON_REJECT_DUPLICATES, &error);
  if (!json_is_object(root)) {
    json_decref(root);
    return mc_err_set(r->why, MC_ERR_MALFORMED, "map, line %d, column %d: %s; expected an object from name to \"Message.Signal\"",
                      error.line, error.column, root ? "not an object" : error.text);
  }
  mc_err err = MC_OK;
  const char *fqn;
  json_t *value;
  json_object_foreach (root, fqn, value) {
    const char *source = json_string_value(value);
    uint64_t other = 0;
    if (!fqn_valid(mc_slice_str(fqn)))
      err = mc_err_set(r->why, MC_ERR_INVALID, "map: \"%s\" is not a signal name: 1 to %d of letters, digits, _ and .", fqn, MAX_FQN);
    else if (!source || !source_exists(&r->dbc, source))
      err = mc_err_set(r->why, MC_ERR_NOT_FOUND, "map: %s names \"%s\", which is not a Message.Signal of %s", fqn,
                       source ? source : "(no text)", r->in->dbc_name);
    else if (mc_strmap_get(&r->by_source, mc_slice_str(source), &other))
      err = mc_err_set(r->why, MC_ERR_INVALID, "map: %s and %s both name \"%s\": leave one out", (const char *)(uintptr_t)other, fqn, source);
    else
      err = mc_strmap_put(&r->by_source, mc_slice_str(source), (uintptr_t)mc_arena_str(&r->arena, mc_slice_str(fqn)));
    if (err)
      break;
  }
  json_decref(root);
  return err;
}

/* Vehicle.<Message>.<Signal>, with other characters than letters, digits and _ replaced. */
static char *default_fqn(import_run *r, const mc_dbc_message *m, const mc_dbc_signal *s)
{
  char *fqn = mc_arena_printf(&r->arena, "Vehicle.%.*s.%.*s", MC_FMT(m->name), MC_FMT(s->name));
  for (char *p = fqn + 8, *dot = fqn ? fqn + 8 + m->name.len : NULL; fqn && *p; p++) {
    char ch = *p;
    if (p != dot && !((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') && !(ch >= '0' && ch <= '9') && ch != '_')
      *p = '_';
  }
  if (fqn && strlen(fqn) > MAX_FQN)
    fqn[MAX_FQN] = 0;
  return fqn;
}

static mc_err value_names(const mc_dbc_signal *s, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_array(&j);
  for (uint32_t i = 0; i < s->value_count; i++) {
    mc_json_array(&j);
    mc_json_int(&j, s->value[i].value);
    mc_json_text(&j, s->value[i].text);
    mc_json_array_end(&j);
  }
  mc_json_array_end(&j);
  return mc_json_end(&j);
}

static mc_err put_signal(import_run *r, uint32_t id, const char *fqn, const mc_dbc_signal *s)
{
  mc_buf names = {0};
  const mc_unit *unit = mc_unit_find(s->unit);
  mc_err err = value_names(s, &names);
  bool range = s->min < s->max;
  if (!err)
    err = campaign_catalog_put(r->c, r->in->tenant, id, mc_slice_str(fqn), "sensor", mc_signal_type_of_dbc(s),
                               unit ? mc_slice_str(unit->id) : s->unit, s->comment, range, s->min, s->max, mc_buf_slice(&names), r->why);
  mc_buf_free(&names);
  return err;
}

/* Two signals under one name would share an id: the samples of both in one history. (Messages of one name give one signal: it comes under two
 * CAN ids.) */
static mc_err check_own_name(import_run *r, mc_strmap *taken, mc_slice fqn, mc_slice source)
{
  uint64_t holder = 0;
  if (!mc_strmap_get(taken, fqn, &holder))
    return mc_strmap_put(taken, fqn, (uintptr_t)source.data);
  const char *other = (const char *)(uintptr_t)holder;
  if (mc_slice_eq_str(source, other))
    return MC_OK;
  return mc_err_set(r->why, MC_ERR_INVALID, "%s and %.*s of %s would both be named %.*s: give one of them another name in the map", other, MC_FMT(source),
                    r->in->dbc_name, MC_FMT(fqn));
}

/* All names at once: one transaction in the registry, one here. */
static mc_err name_signals(import_run *r)
{
  MC_VEC(mc_slice) fqn = {0};
  MC_VEC(const mc_dbc_signal *) of = {0};
  MC_VEC(mc_slice) source = {0};
  mc_strmap taken = {0}; /* FQN -> "Message.Signal", terminated */
  mc_err err = MC_OK;
  for (uint32_t i = 0; i < r->dbc.message_count && !err; i++) {
    const mc_dbc_message *m = &r->dbc.message[i];
    for (uint32_t k = 0; k < m->signal_count && !err; k++) {
      uint64_t mapped = 0;
      mc_slice from = source_of(r, m, &m->signal[k]);
      char *name = mc_strmap_get(&r->by_source, from, &mapped) ? (char *)(uintptr_t)mapped : default_fqn(r, m, &m->signal[k]);
      err = name && from.len ? check_own_name(r, &taken, mc_slice_str(name), from) : MC_ERR_MEMORY;
      if (!err)
        err = mc_vec_push(&fqn, mc_slice_str(name));
      if (!err)
        err = mc_vec_push(&of, &m->signal[k]);
      if (!err)
        err = mc_vec_push(&source, from);
      r->report->multiplexed += m->signal[k].mux == MC_DBC_MUXED || m->signal[k].mux == MC_DBC_MUXED_SWITCH;
      r->report->ieee += m->signal[k].float_bits != 0;
    }
  }
  uint32_t *ids = calloc(fqn.len ? fqn.len : 1, sizeof *ids);
  if (!err)
    err = ids ? mc_registry_signal_ids(r->c->config.registry, r->in->tenant, fqn.at, fqn.len, ids, r->why) : MC_ERR_MEMORY;
  if (!err)
    err = mc_db_begin(r->c->config.db, true, r->why);
  if (!err) {
    for (size_t i = 0; i < fqn.len && !err; i++) {
      err = put_signal(r, ids[i], (const char *)fqn.at[i].data, of.at[i]);
      if (!err)
        err = mc_strmap_put(&r->ids, source.at[i], ids[i]);
    }
    mc_err end = mc_db_end(r->c->config.db, err == MC_OK, err ? NULL : r->why);
    err = err ? err : end;
  }
  r->report->signals = (uint32_t)fqn.len;
  mc_vec_free(&fqn);
  mc_vec_free(&of);
  mc_vec_free(&source);
  mc_strmap_free(&taken);
  free(ids);
  return err;
}

static bool resolve(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *signal_id, uint32_t *encoding_id)
{
  import_run *r = ctx;
  uint64_t id;
  if (!mc_strmap_get(&r->ids, source_of(r, m, s), &id))
    return false;
  *signal_id = (uint32_t)id;
  *encoding_id = 0;
  return true;
}

static mc_err to_wire(import_run *r, const mc_can_signal *s, mc_fw_can_signal *out)
{
  uint8_t pf = (uint8_t)(s->message_id >> 16);
  *out = (mc_fw_can_signal){.signal_id = s->signal_id,
                            .interface_id = r->in->interface_id,
                            .message_id = s->message_id | (s->extended ? 1u << 31 : 0),
                            .big_endian = s->big_endian,
                            .is_signed = s->is_signed,
                            .start_bit = s->start_bit,
                            .offset = s->offset,
                            .factor = s->factor,
                            .length = s->length,
                            .type = s->type,
                            .value_type = s->is_float,
                            .mux_count = s->mux_count};
  if (s->match == MC_ID_J1939_PGN) /* priority and source address do not count; in PDU1 the destination neither */
    out->id_mask = pf >= 240 ? 0x03FFFF00 : 0x03FF0000;
  mc_fw_mux *mux = s->mux_count ? mc_arena_array(&r->arena, s->mux_count, sizeof *mux) : NULL;
  for (uint8_t i = 0; i < s->mux_count && mux; i++) {
    uint32_t *range = mc_arena_array(&r->arena, s->mux[i].range_count, 2 * sizeof *range);
    if (!range)
      return MC_ERR_MEMORY;
    for (uint32_t k = 0; k < s->mux[i].range_count; k++) {
      range[2 * k] = s->mux[i].ranges[k].low;
      range[2 * k + 1] = s->mux[i].ranges[k].high;
    }
    mux[i] = (mc_fw_mux){s->mux[i].start_bit, s->mux[i].length, s->mux[i].big_endian, range, s->mux[i].range_count};
  }
  out->mux = mux;
  return s->mux_count && !mux ? MC_ERR_MEMORY : MC_OK;
}

/* Signals of the current version that lie on other interfaces stay. */
static mc_err keep_other_interfaces(import_run *r, mc_fw_can_signal **list, size_t *len, size_t *cap)
{
  manifest_version *old = campaign_manifest_current(r->c, r->in->tenant, r->in->name);
  mc_fw_manifest doc;
  if (!old)
    return MC_OK;
  MC_TRY(mc_fw_read_manifest(mc_buf_slice(&old->extended), &r->arena, &doc, r->why));
  for (uint32_t i = 0; i < doc.can_count; i++) {
    if (mc_slice_eq(doc.can[i].interface_id, r->in->interface_id))
      continue;
    MC_TRY(mc_vec_grow_((void **)list, cap, *len, 1, sizeof **list));
    (*list)[(*len)++] = doc.can[i];
  }
  return MC_OK;
}

static mc_err make_manifest(import_run *r, manifest_version **made)
{
  mc_can_signal_vec signals = {0};
  mc_fw_can_signal *wire = NULL;
  size_t len = 0, cap = 0;
  mc_err err = mc_signals_from_dbc(&r->dbc, 0, (mc_dbc_resolver){r, resolve}, &r->arena, &signals, r->why);
  if (!err)
    err = keep_other_interfaces(r, &wire, &len, &cap);
  if (!err)
    err = mc_vec_grow_((void **)&wire, &cap, len, signals.len, sizeof *wire);
  for (size_t i = 0; i < signals.len && !err; i++)
    err = to_wire(r, &signals.at[i], &wire[len++]);
  if (!err)
    err = campaign_manifest_make(r->c, r->in->tenant, r->in->name, wire, len, r->in->observed_id, r->in->observed_count, made, r->why);
  mc_vec_free(&signals);
  free(wire);
  return err;
}

static mc_err put_model(import_run *r, const manifest_version *m)
{
  mc_buf text = {0};
  mc_json j = mc_json_to(&text);
  mc_json_array(&j);
  for (size_t i = 0; i < m->signal.len; i++)
    mc_json_uint(&j, m->signal.at[i]);
  mc_json_array_end(&j);
  mc_err err = mc_json_end(&j);
  if (!err)
    err = mc_db_run(r->c->config.db, r->why,
                    "INSERT INTO vehicle_model(tenant, name, signals, created_us) VALUES ($1,$2,$3,$4) ON CONFLICT(tenant, name) DO UPDATE "
                    "SET signals = excluded.signals",
                    "itti", (int64_t)r->in->tenant, r->in->name, mc_buf_slice(&text), mc_clock_wall_us());
  mc_buf_free(&text);
  return err;
}

static void report_warnings(import_run *r)
{
  size_t at = 0;
  r->report->warnings = r->dbc.warning_count;
  for (uint32_t i = 0; i < r->dbc.warning_count && at + 1 < sizeof r->report->first_warnings; i++) {
    int n = snprintf(r->report->first_warnings + at, sizeof r->report->first_warnings - at, "%s:%u: %.*s\n", r->in->dbc_name,
                     r->dbc.warning[i].line, MC_FMT(r->dbc.warning[i].text));
    at += n > 0 ? (size_t)n : 0;
  }
}

mc_err mc_campaign_import_dbc(mc_campaigns *c, const mc_dbc_import *import, mc_dbc_import_report *report, mc_why *why)
{
  *report = (mc_dbc_import_report){0};
  if (!campaign_name_valid(import->name))
    return mc_err_set(why, MC_ERR_INVALID, "manifest name \"%.*s\": expected 1 to 100 of letters, digits, -, _ and :",
                      MC_FMT(mc_slice_sub(import->name, 0, 100)));
  if (!import->interface_id.len || import->interface_id.len > 50)
    return mc_err_set(why, MC_ERR_INVALID, "interface: expected 1 to 50 characters, for example can0");
  import_run r = {.c = c, .in = import, .report = report, .arena = MC_ARENA(ARENA_LIMIT), .why = why};
  manifest_version *made = NULL;
  mc_err err = mc_dbc_parse(import->dbc_text, import->dbc_name, &r.arena, &r.dbc, why);
  if (!err && r.dbc.message_count == 0)
    err = mc_err_set(why, MC_ERR_INVALID, "%s: no message (BO_ line) in it; is it a DBC file?", import->dbc_name);
  if (!err)
    err = read_map(&r);
  if (!err)
    err = name_signals(&r);
  if (!err)
    err = make_manifest(&r, &made);
  if (!err)
    err = put_model(&r, made);
  if (!err) {
    report->messages = r.dbc.message_count;
    report_warnings(&r);
    snprintf(report->manifest_sync_id, sizeof report->manifest_sync_id, "%s", made->sync_id);
  }
  mc_strmap_free(&r.by_source);
  mc_strmap_free(&r.ids);
  mc_arena_free(&r.arena);
  if (!err)
    campaign_reconcile_all(c, import->tenant); /* vehicles on the old version get the new one */
  else if (err == MC_ERR_MEMORY)
    mc_err_set(why, err, "importing %s: out of memory", import->dbc_name);
  return err;
}

/* ---- VSS ---- */

static mc_err allowed_names(const mc_catalog_node *n, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_array(&j);
  for (uint32_t i = 0; i < n->allowed_count && n->allowed_value; i++) {
    mc_json_array(&j);
    mc_json_int(&j, n->allowed_value[i]);
    mc_json_text(&j, n->allowed[i]);
    mc_json_array_end(&j);
  }
  mc_json_array_end(&j);
  return mc_json_end(&j);
}

static mc_err put_node(mc_campaigns *c, uint32_t tenant, uint32_t id, const mc_catalog_node *n, mc_why *why)
{
  static const char *const kinds[] = {"branch", "sensor", "actuator", "attribute"};
  mc_buf names = {0};
  mc_err err = allowed_names(n, &names);
  if (!err)
    err = campaign_catalog_put(c, tenant, id, n->fqn, kinds[n->kind], n->type, n->unit, n->description, n->has_min && n->has_max, n->min,
                               n->max, mc_buf_slice(&names), why);
  mc_buf_free(&names);
  return err;
}

/* All new nodes in one transaction: a tree comes in whole or not at all. */
static mc_err put_nodes(mc_campaigns *c, uint32_t tenant, const mc_catalog *catalog, const uint32_t *id, const bool *known, mc_why *why)
{
  MC_TRY(mc_db_begin(c->config.db, true, why));
  mc_err err = MC_OK;
  size_t at = 0;
  for (size_t i = 0; i < catalog->node.len && !err; i++)
    if (catalog->node.at[i].kind != MC_NODE_BRANCH) {
      if (!known[at])
        err = put_node(c, tenant, id[at], &catalog->node.at[i], why);
      at++;
    }
  mc_err end = mc_db_end(c->config.db, err == MC_OK, err ? NULL : why);
  return err ? err : end;
}

mc_err mc_campaign_import_catalog(mc_campaigns *c, uint32_t tenant, const mc_catalog *catalog, uint32_t *added, uint32_t *kept, mc_why *why)
{
  MC_VEC(mc_slice) fqn = {0};
  MC_VEC(bool) known = {0};
  mc_err err = MC_OK;
  *added = *kept = 0;
  for (size_t i = 0; i < catalog->node.len && !err; i++) {
    const mc_catalog_node *n = &catalog->node.at[i];
    uint32_t id;
    if (n->kind == MC_NODE_BRANCH)
      continue;
    bool there = mc_registry_signal_lookup(c->config.registry, tenant, n->fqn, &id) == MC_OK;
    if (!fqn_valid(n->fqn))
      err = mc_err_set(why, MC_ERR_INVALID, "\"%.*s\" is not a signal name: 1 to %d of letters, digits, _ and .",
                       MC_FMT(mc_slice_sub(n->fqn, 0, 200)), MAX_FQN);
    else
      err = mc_vec_push(&fqn, n->fqn);
    if (!err)
      err = mc_vec_push(&known, there);
    ++*(there ? kept : added);
  }
  if (!err && !fqn.len)
    err = mc_err_set(why, MC_ERR_INVALID, "there is no sensor, actuator or attribute in the tree");
  uint32_t *id = err ? NULL : calloc(fqn.len, sizeof *id);
  if (!err)
    err = id ? mc_registry_signal_ids(c->config.registry, tenant, fqn.at, fqn.len, id, why) : MC_ERR_MEMORY;
  if (!err)
    err = put_nodes(c, tenant, catalog, id, known.at, why);
  free(id);
  mc_vec_free(&fqn);
  mc_vec_free(&known);
  return err;
}
