/* One command: catalog entries, vehicle model and decoder manifest from a DBC. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/decoder.h"
#include "format/json.h"

enum { MAX_FQN = 150, ARENA_LIMIT = 1 << 30 };

typedef struct import_run {
  mc_campaigns *c;
  const mc_dbc_import *in;
  mc_dbc_import_report *report;
  mc_arena arena;
  mc_dbc dbc;
  mc_strmap by_source; /* "Message.Signal" -> FQN as a terminated string in the arena */
  mc_strmap ids;       /* "Message.Signal" -> its place in node */
  MC_VEC(mc_slice) source; /* beside node: "Message.Signal", terminated */
  catalog_node_vec node;   /* signals first, then branches */
  resource_head manifest, model;
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

bool campaign_fqn_valid(mc_slice fqn)
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
    if (!campaign_fqn_valid(mc_slice_str(fqn)))
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

static mc_err value_names(const mc_dbc_signal *s, mc_json *j)
{
  mc_json_array(j);
  for (uint32_t i = 0; i < s->value_count; i++) {
    mc_json_array(j);
    mc_json_int(j, s->value[i].value);
    mc_json_text(j, s->value[i].text);
    mc_json_array_end(j);
  }
  mc_json_array_end(j);
  return j->err;
}

/* What the catalog said of it before and the DBC does not. */
static mc_err keep_old(import_run *r, const catalog_node *old, catalog_node *n)
{
  json_t *was = old->document.len ? json_loadb((const char *)old->document.data, old->document.len, 0, NULL) : NULL;
  mc_err err = MC_OK;
  n->kind = node_is_signal(old->kind) ? old->kind : NODE_SENSOR;
  if (!n->description.len)
    err = mc_arena_copy(&r->arena, control_text(was, "description"), &n->description);
  json_decref(was);
  return err;
}

static mc_err document_of(import_run *r, const mc_dbc_signal *s, catalog_node *n)
{
  mc_buf names = {0};
  mc_json j = mc_json_to(&names);
  value_names(s, &j);
  mc_err err = mc_json_end(&j);
  if (!err)
    err = mc_arena_copy(&r->arena, mc_buf_slice(&names), &n->value_names);
  mc_buf_free(&names);
  return err ? err : catalog_node_document(n, NULL, &r->arena);
}

/* The DBC decides on type and unit: samples will come so. */
static mc_err node_of(import_run *r, mc_slice fqn, const mc_dbc_signal *s, catalog_node *n)
{
  const mc_unit *unit = mc_unit_find(s->unit);
  catalog_node old;
  bool range = s->min < s->max;
  MC_TRY(catalog_node_get(r->c, r->in->tenant, r->model.parent, fqn, &r->arena, &old, r->why));
  if (old.kind != NODE_NONE && !node_is_signal(old.kind))
    return mc_err_set(r->why, MC_ERR_INVALID, "%.*s is a %s of the signal catalog \"%.*s\": give the signal another name in the map", MC_FMT(fqn), node_member[old.kind],
                      MC_FMT(r->model.parent));
  *n = (catalog_node){.fqn = fqn,
                      .data_type = mc_slice_str(data_type_of(mc_signal_type_of_dbc(s))),
                      .unit = unit ? mc_slice_str(unit->id) : s->unit,
                      .description = s->comment,
                      .has_min = range,
                      .has_max = range,
                      .min = s->min,
                      .max = s->max};
  MC_TRY(keep_old(r, &old, n));
  return document_of(r, s, n);
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

/* Every signal's name, its node, and the branches above it. */
static mc_err name_signals(import_run *r)
{
  mc_strmap taken = {0}, made = {0}; /* FQN -> "Message.Signal", terminated; FQN -> 1 */
  mc_err err = MC_OK;
  for (uint32_t i = 0; i < r->dbc.message_count && !err; i++) {
    const mc_dbc_message *m = &r->dbc.message[i];
    for (uint32_t k = 0; k < m->signal_count && !err; k++) {
      uint64_t mapped = 0;
      mc_slice from = source_of(r, m, &m->signal[k]);
      char *name = mc_strmap_get(&r->by_source, from, &mapped) ? (char *)(uintptr_t)mapped : default_fqn(r, m, &m->signal[k]);
      catalog_node n;
      err = name && from.len ? check_own_name(r, &taken, mc_slice_str(name), from) : MC_ERR_MEMORY;
      if (!err)
        err = node_of(r, mc_slice_str(name), &m->signal[k], &n);
      if (!err)
        err = mc_vec_push(&r->source, from);
      if (!err)
        err = mc_vec_push(&r->node, n);
      r->report->multiplexed += m->signal[k].mux == MC_DBC_MUXED || m->signal[k].mux == MC_DBC_MUXED_SWITCH;
      r->report->ieee += m->signal[k].float_bits != 0;
    }
  }
  r->report->signals = (uint32_t)r->node.len;
  size_t given = r->node.len;
  for (size_t i = 0; i < given && !err; i++)
    err = catalog_branches_above(r->c, r->in->tenant, r->model.parent, r->node.at[i].fqn, &made, &r->arena, &r->node, r->why);
  if (!err)
    err = catalog_nodes_number(r->c, r->in->tenant, &r->node, r->why);
  for (size_t i = 0; i < given && !err; i++)
    err = mc_strmap_put(&r->ids, r->source.at[i], i);
  mc_strmap_free(&taken);
  mc_strmap_free(&made);
  return err;
}

static bool resolve(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *signal_id, uint32_t *encoding_id)
{
  import_run *r = ctx;
  uint64_t id;
  if (!mc_strmap_get(&r->ids, source_of(r, m, s), &id))
    return false;
  *signal_id = r->node.at[id].signal;
  *encoding_id = (uint32_t)id; /* its node, for the document */
  return true;
}

mc_err decoder_from_dbc(const mc_can_signal *s, mc_slice interface, mc_arena *arena, mc_fw_can_signal *out)
{
  uint8_t pf = (uint8_t)(s->message_id >> 16);
  *out = (mc_fw_can_signal){.signal_id = s->signal_id,
                            .interface_id = interface,
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
  mc_fw_mux *mux = s->mux_count ? mc_arena_array(arena, s->mux_count, sizeof *mux) : NULL;
  for (uint8_t i = 0; i < s->mux_count && mux; i++) {
    uint32_t *range = mc_arena_array(arena, s->mux[i].range_count, 2 * sizeof *range);
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

/* ---- writing, all in one transaction ---- */

static mc_err write_decoder(import_run *r, const mc_can_signal *s, mc_map *parts, mc_buf *document)
{
  mc_fw_can_signal wire;
  uint64_t part = 0;
  mc_slice source = r->source.at[s->encoding_id], fqn = r->node.at[s->encoding_id].fqn;
  size_t dot = mc_slice_find(source, '.', 0) + 1;
  mc_map_get(parts, s->signal_id, &part);
  MC_TRY(mc_map_put(parts, s->signal_id, part + 1));
  MC_TRY(decoder_from_dbc(s, r->in->interface_id, &r->arena, &wire));
  mc_buf_clear(document);
  MC_TRY(decoder_can_document(fqn, &wire, mc_slice_sub(source, dot, source.len), data_type_of(s->type), document));
  return decoder_signal_put(r->c, r->in->tenant, r->in->name, fqn, (uint32_t)part, r->in->interface_id, DECODER_CAN, mc_buf_slice(document), r->why);
}

static mc_err write_decoders(import_run *r)
{
  mc_can_signal_vec signals = {0};
  mc_map parts = {0};
  mc_buf document = {0};
  mc_err err = mc_signals_from_dbc(&r->dbc, 0, (mc_dbc_resolver){r, resolve}, &r->arena, &signals, r->why);
  if (!err)
    err = decoder_can_interface_put(r->c, r->in->tenant, r->in->name, r->in->interface_id, r->why);
  if (!err) /* signals that lie on other interfaces stay */
    err = mc_db_run(r->c->config.db, r->why, "DELETE FROM decoder_signal WHERE tenant = $1 AND manifest = $2 AND interface = $3", "itt", (int64_t)r->in->tenant, r->in->name,
                    r->in->interface_id);
  for (size_t i = 0; i < signals.len && !err; i++)
    err = write_decoder(r, &signals.at[i], &parts, &document);
  mc_vec_free(&signals);
  mc_map_free(&parts);
  mc_buf_free(&document);
  return err;
}

static mc_err compile(import_run *r, manifest_version **made)
{
  decoder_wire wire = {0};
  mc_err err = decoder_compile(r->c, r->in->tenant, &r->manifest, &r->arena, &wire, r->why);
  mc_fw_manifest doc = decoder_wire_view(&wire);
  if (!err)
    err = campaign_manifest_build(r->in->tenant, r->in->name, &doc, r->in->observed_id, r->in->observed_count, made, r->why);
  decoder_wire_free(&wire);
  return err ? err : campaign_manifest_store(r->c, *made, r->why);
}

static mc_err write_rows(import_run *r, manifest_version **made)
{
  MC_TRY(catalog_ensure(r->c, r->in->tenant, r->model.parent, r->why));
  MC_TRY(catalog_nodes_write(r->c, r->in->tenant, r->model.parent, &r->node, r->why));
  MC_TRY(resource_put(r->c, r->in->tenant, RESOURCE_DECODER, &r->manifest, r->why));
  MC_TRY(write_decoders(r));
  MC_TRY(model_of_decoders(r->c, r->in->tenant, &r->model, r->in->name, r->why));
  return compile(r, made);
}

static mc_err write_all(import_run *r, manifest_version **made)
{
  MC_TRY(mc_db_begin(r->c->config.db, true, r->why));
  mc_err err = write_rows(r, made);
  mc_err end = mc_db_end(r->c->config.db, err == MC_OK, err ? NULL : r->why);
  if (err || end) {
    campaign_manifest_free(*made);
    *made = NULL;
  }
  return err ? err : end;
}

/* The manifest with its model, as they are or as they will be. */
static mc_err find_heads(import_run *r)
{
  int64_t now = mc_clock_wall_us();
  mc_slice name = r->in->name;
  mc_err err = resource_get(r->c, r->in->tenant, RESOURCE_DECODER, name, &r->arena, &r->manifest, r->why);
  if (err == MC_ERR_NOT_FOUND) {
    r->manifest = (resource_head){.name = name, .parent = name, .created_us = now};
    err = MC_OK;
  }
  if (!err)
    err = resource_get(r->c, r->in->tenant, RESOURCE_MODEL, r->manifest.parent, &r->arena, &r->model, r->why);
  if (err == MC_ERR_NOT_FOUND) {
    r->model = (resource_head){.name = name, .parent = MC_LIT(CATALOG_DEFAULT), .created_us = now};
    err = MC_OK;
  }
  r->manifest.parent = r->model.name;
  r->manifest.status = r->model.status = RESOURCE_ACTIVE;
  r->manifest.updated_us = r->model.updated_us = now;
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
  pthread_mutex_lock(&c->vocabulary);
  if (!err)
    err = find_heads(&r);
  if (!err)
    err = name_signals(&r);
  if (!err)
    err = write_all(&r, &made);
  if (!err) {
    snprintf(report->manifest_sync_id, sizeof report->manifest_sync_id, "%s", made->sync_id);
    err = campaign_manifest_show(c, made, why);
  }
  pthread_mutex_unlock(&c->vocabulary);
  if (!err) {
    report->messages = r.dbc.message_count;
    report_warnings(&r);
  }
  mc_strmap_free(&r.by_source);
  mc_strmap_free(&r.ids);
  mc_vec_free(&r.source);
  mc_vec_free(&r.node);
  mc_arena_free(&r.arena);
  if (!err)
    campaign_reconcile_all(c, import->tenant); /* vehicles on the old version get the new one */
  else if (err == MC_ERR_MEMORY)
    mc_err_set(why, err, "importing %s: out of memory", import->dbc_name);
  return err;
}
