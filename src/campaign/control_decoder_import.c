/* ImportDecoderManifest: DBC files into a draft. Each file's network interface gets the decoders that the files give for the model's signals, in the place
 * of those it had. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/control_catalog.h"
#include "campaign/decoder.h"

#define ARENA_LIMIT ((size_t)8 << 30) /* how much may come is a setting (file_bytes, files); this only ends what would never end */

/* A signal of the files by one of its names; a name that several have is told only when it is asked for. */
typedef struct dbc_source {
  const mc_dbc_message *m;
  const mc_dbc_signal *s;
  mc_slice fqn; /* what it is to be; empty: nothing */
  uint32_t file;
} dbc_source;

typedef struct import_change {
  control_call *call;
  resource_head head, model;
  mc_arena arena;         /* of the files */
  catalog_node_vec node;  /* signals of the model */
  mc_strmap by_fqn;       /* name -> place in node */
  mc_strmap has;          /* decoders that are there -> interface (terminated) */
  size_t bad, found;
  mc_why *why;
} import_change;

/* One canDbc of the request. */
typedef struct interface_files {
  mc_slice interface;
  mc_dbc *dbc;
  mc_buf *text; /* beside dbc */
  size_t count;
  MC_VEC(dbc_source) source;
  mc_strmap by_name;  /* "Message.Signal" and "Signal" -> place in source; SEVERAL: more than one message has it */
  mc_strmap by_place; /* "<file>/Message.Signal" -> place in source */
} interface_files;
#define SEVERAL UINT64_MAX

static void files_free(interface_files *f)
{
  for (size_t i = 0; i < f->count && f->text; i++)
    mc_buf_free(&f->text[i]);
  mc_vec_free(&f->source);
  mc_strmap_free(&f->by_name);
  mc_strmap_free(&f->by_place);
}

static void bad_signal(import_change *g, mc_slice name, const char *reason, const char *hint)
{
  control_bad_signal(g->call, name, reason, hint);
  g->bad++;
}

/* ---- what is there ---- */

static mc_err load_model(import_change *g)
{
  mc_stmt *s;
  mc_db *db = g->call->c->config.db;
  MC_TRY(mc_db_begin(db, false, g->why));
  mc_err err = mc_db_prepare(db,
                             "SELECT m.fqn, n.kind, n.data_type FROM model_node m JOIN catalog_document n ON n.tenant = m.tenant AND n.catalog = $3 AND n.fqn = m.fqn AND "
                             "n.kind IN (1, 2, 3) WHERE m.tenant = $1 AND m.model = $2",
                             &s, g->why);
  if (!err) {
    mc_stmt_bind_int(s, 1, g->call->tenant);
    mc_stmt_bind_text(s, 2, g->model.name);
    mc_stmt_bind_text(s, 3, g->model.parent);
    while ((err = mc_stmt_step(s, g->why)) == MC_OK) {
      catalog_node n = {.kind = (node_kind)mc_stmt_int(s, 1)};
      if ((err = mc_arena_copy(&g->arena, mc_stmt_text(s, 0), &n.fqn)) || (err = mc_arena_copy(&g->arena, mc_stmt_text(s, 2), &n.data_type)) ||
          (err = mc_strmap_put(&g->by_fqn, n.fqn, g->node.len)) || (err = mc_vec_push(&g->node, n)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err load_decoders(import_change *g)
{
  mc_stmt *s;
  mc_db *db = g->call->c->config.db;
  MC_TRY(mc_db_begin(db, false, g->why));
  mc_err err = mc_db_prepare(db, "SELECT fqn, interface FROM decoder_signal WHERE tenant = $1 AND manifest = $2", &s, g->why);
  if (!err) {
    mc_stmt_bind_int(s, 1, g->call->tenant);
    mc_stmt_bind_text(s, 2, g->head.name);
    while ((err = mc_stmt_step(s, g->why)) == MC_OK) {
      const char *interface = mc_arena_str(&g->arena, mc_stmt_text(s, 1));
      err = interface ? mc_strmap_put(&g->has, mc_stmt_text(s, 0), (uintptr_t)interface) : MC_ERR_MEMORY;
      if (err)
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err interface_is(import_change *g, mc_slice id, int64_t *kind)
{
  mc_stmt *s;
  mc_db *db = g->call->c->config.db;
  *kind = DECODER_NONE;
  MC_TRY(mc_db_begin(db, false, g->why));
  mc_err err = mc_db_prepare(db, "SELECT kind FROM decoder_interface WHERE tenant = $1 AND manifest = $2 AND id = $3", &s, g->why);
  if (!err) {
    mc_stmt_bind_int(s, 1, g->call->tenant);
    mc_stmt_bind_text(s, 2, g->head.name);
    mc_stmt_bind_text(s, 3, id);
    err = mc_stmt_step(s, g->why);
    if (!err)
      *kind = mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- reading the files ---- */

static mc_err put_name(interface_files *f, mc_slice name, uint64_t at)
{
  uint64_t other;
  return mc_strmap_put(&f->by_name, name, mc_strmap_get(&f->by_name, name, &other) ? SEVERAL : at);
}

static mc_err index_file(import_change *g, interface_files *f, uint32_t file)
{
  const mc_dbc *dbc = &f->dbc[file];
  for (uint32_t i = 0; i < dbc->message_count; i++)
    for (uint32_t k = 0; k < dbc->message[i].signal_count; k++) {
      dbc_source at = {.m = &dbc->message[i], .s = &dbc->message[i].signal[k], .file = file};
      mc_slice full = mc_slice_str(mc_arena_printf(&g->arena, "%u/%.*s.%.*s", file, MC_FMT(at.m->name), MC_FMT(at.s->name)));
      size_t slash = mc_slice_find(full, '/', 0) + 1;
      if (!full.len)
        return MC_ERR_MEMORY;
      MC_TRY(mc_strmap_put(&f->by_place, full, f->source.len));
      MC_TRY(put_name(f, mc_slice_sub(full, slash, full.len), f->source.len));
      MC_TRY(put_name(f, at.s->name, f->source.len));
      MC_TRY(mc_vec_push(&f->source, at));
    }
  return MC_OK;
}

static mc_err read_files(import_change *g, interface_files *f, const json_t *list, const char *path)
{
  json_t *item;
  size_t i;
  f->count = json_array_size(list);
  f->dbc = mc_arena_array(&g->arena, f->count, sizeof *f->dbc);
  f->text = mc_arena_array(&g->arena, f->count, sizeof *f->text);
  if (!f->dbc || !f->text)
    return MC_ERR_MEMORY;
  json_array_foreach ((json_t *)list, i, item) {
    char name[160];
    mc_why inner = {0};
    snprintf(name, sizeof name, "%s.canDbcFiles[%zu]", path, i);
    mc_err err = control_blob(item, &f->text[i]);
    if (!err)
      err = mc_dbc_parse(mc_buf_slice(&f->text[i]), name, &g->arena, &f->dbc[i], &inner);
    if (err == MC_ERR_MEMORY)
      return err;
    if (err || !f->dbc[i].message_count)
      return control_invalid(g->call, name, g->why, "%s", err ? inner.text : "no message (BO_ line) in it; is it a DBC file?");
    MC_TRY(index_file(g, f, (uint32_t)i));
  }
  return MC_OK;
}

/* ---- which signal of the model is which of the files ---- */

static mc_err pair(import_change *g, interface_files *f, mc_slice fqn, uint64_t at)
{
  uint64_t node, holder;
  mc_strmap_get(&g->by_fqn, fqn, &node);
  if (mc_slice_eq_str(g->node.at[node].data_type, "STRING") || data_type_find(g->node.at[node].data_type)->array || data_type_find(g->node.at[node].data_type)->is_struct)
    bad_signal(g, fqn, "SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG", "a CAN signal is a number");
  else if (mc_strmap_get(&g->has, fqn, &holder) && !mc_slice_eq_str(f->interface, (const char *)(uintptr_t)holder))
    bad_signal(g, fqn, "SIGNAL_TO_ADD_ALREADY_EXISTS", "another network interface decodes it");
  else if (f->source.at[at].fqn.len && !mc_slice_eq(f->source.at[at].fqn, fqn))
    bad_signal(g, fqn, "DUPLICATE_SIGNAL", "another name of the map stands for the same DBC signal");
  else {
    f->source.at[at].fqn = g->node.at[node].fqn;
    g->found++;
    const char *own = mc_arena_str(&g->arena, f->interface);
    return own ? mc_strmap_put(&g->has, fqn, (uintptr_t)own) : MC_ERR_MEMORY;
  }
  return MC_OK;
}

static mc_err pair_by_map(import_change *g, interface_files *f, json_t *map)
{
  const char *fqn;
  json_t *value;
  json_object_foreach (map, fqn, value) {
    mc_slice name = mc_slice_str(fqn);
    uint64_t at;
    catalog_node n;
    bool in_catalog = false;
    if (!mc_strmap_get(&g->by_fqn, name, NULL)) {
      MC_TRY(model_node_get(g->call->c, g->call->tenant, g->model.name, name, g->call->arena, &n, &in_catalog, g->why));
      bad_signal(g, name, in_catalog ? "SIGNAL_NOT_IN_MODEL" : "NO_SIGNAL_IN_CATALOG_FOR_DECODER_SIGNAL", NULL);
    } else if (!mc_strmap_get(&f->by_name, mc_slice_str(json_string_value(value)), &at))
      bad_signal(g, name, "NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL", "no file of the interface has the DBC signal that signalsMap names");
    else if (at == SEVERAL)
      bad_signal(g, name, "CONFLICTING_SIGNAL", "several messages have a signal of this name: write Message.Signal in signalsMap");
    else
      MC_TRY(pair(g, f, name, at));
  }
  return MC_OK;
}

/* Without a map: the model's name is the DBC's, or the one that motorcade's own import gives. */
static mc_err pair_by_name(import_change *g, interface_files *f)
{
  for (size_t i = 0; i < f->source.len; i++) {
    const dbc_source *s = &f->source.at[i];
    uint64_t several = 0;
    mc_slice full = mc_slice_str(mc_arena_printf(g->call->arena, "Vehicle.%.*s.%.*s", MC_FMT(s->m->name), MC_FMT(s->s->name)));
    mc_slice tries[] = {full, mc_slice_sub(full, sizeof "Vehicle." - 1, full.len), s->s->name};
    mc_strmap_get(&f->by_name, s->s->name, &several);
    for (size_t k = 0; k < (several == SEVERAL ? 2 : 3); k++)
      if (mc_strmap_get(&g->by_fqn, tries[k], NULL)) {
        MC_TRY(pair(g, f, tries[k], i));
        break;
      }
  }
  return MC_OK;
}

/* ---- writing ---- */

typedef struct resolve_run {
  interface_files *f;
  uint32_t file;
  mc_arena *arena;
} resolve_run;

/* The signal id is the place of the source here, one up: ids of the wire are found when the manifest is compiled. */
static bool resolve(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *signal_id, uint32_t *encoding_id)
{
  resolve_run *r = ctx;
  uint64_t at;
  mc_slice key = mc_slice_str(mc_arena_printf(r->arena, "%u/%.*s.%.*s", r->file, MC_FMT(m->name), MC_FMT(s->name)));
  if (!mc_strmap_get(&r->f->by_place, key, &at) || !r->f->source.at[at].fqn.len)
    return false;
  *signal_id = (uint32_t)at + 1;
  *encoding_id = 0;
  return true;
}

static mc_err write_file(import_change *g, interface_files *f, uint32_t file)
{
  mc_can_signal_vec signals = {0};
  mc_buf document = {0};
  mc_map parts = {0};
  resolve_run r = {f, file, &g->arena};
  mc_err err = mc_signals_from_dbc(&f->dbc[file], 0, (mc_dbc_resolver){&r, resolve}, &g->arena, &signals, g->why);
  if (err == MC_ERR_INVALID || err == MC_ERR_UNSUPPORTED) {
    mc_why inner = *g->why;
    err = control_invalid(g->call, "networkFileDefinitions", g->why, "%s", inner.text);
  }
  for (size_t i = 0; i < signals.len && !err; i++) {
    const dbc_source *from = &f->source.at[signals.at[i].signal_id - 1];
    mc_fw_can_signal wire;
    uint64_t part = 0;
    mc_map_get(&parts, signals.at[i].signal_id, &part);
    err = mc_map_put(&parts, signals.at[i].signal_id, part + 1);
    mc_buf_clear(&document);
    if (!err)
      err = decoder_from_dbc(&signals.at[i], f->interface, &g->arena, &wire);
    if (!err)
      err = decoder_can_document(from->fqn, &wire, from->s->name, NULL, &document);
    if (!err)
      err = decoder_signal_put(g->call->c, g->call->tenant, g->head.name, from->fqn, (uint32_t)part, f->interface, DECODER_CAN, mc_buf_slice(&document), g->why);
  }
  mc_vec_free(&signals);
  mc_map_free(&parts);
  mc_buf_free(&document);
  return err;
}

static mc_err write_interface(import_change *g, interface_files *f)
{
  mc_campaigns *c = g->call->c;
  int64_t kind;
  MC_TRY(interface_is(g, f->interface, &kind));
  if (kind == DECODER_NONE)
    MC_TRY(decoder_can_interface_put(c, g->call->tenant, g->head.name, f->interface, g->why));
  MC_TRY(mc_db_run(c->config.db, g->why, "DELETE FROM decoder_signal WHERE tenant = $1 AND manifest = $2 AND interface = $3", "itt", (int64_t)g->call->tenant, g->head.name,
                   f->interface));
  for (size_t i = 0; i < f->count; i++)
    MC_TRY(write_file(g, f, (uint32_t)i));
  return MC_OK;
}

/* ---- the operation ---- */

static mc_err read_definition(import_change *g, interface_files *f, const json_t *definition, size_t index)
{
  const json_t *dbc = json_object_get(definition, "canDbc");
  json_t *map = json_object_get(dbc, "signalsMap");
  char path[80];
  int64_t kind;
  snprintf(path, sizeof path, "networkFileDefinitions[%zu].canDbc", index);
  f->interface = control_text(dbc, "networkInterface");
  MC_TRY(interface_is(g, f->interface, &kind));
  if (kind != DECODER_NONE && kind != DECODER_CAN) {
    control_bad_interface(g->call, f->interface, "CONFLICTING_NETWORK_INTERFACE");
    g->bad++;
  }
  MC_TRY(read_files(g, f, json_object_get(dbc, "canDbcFiles"), path));
  return json_object_size(map) ? pair_by_map(g, f, map) : pair_by_name(g, f);
}

static mc_err read_definitions(import_change *g, interface_files *list, const json_t *definitions, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    MC_TRY(read_definition(g, &list[i], json_array_get(definitions, i), i));
    for (size_t k = 0; k < i; k++)
      if (mc_slice_eq(list[i].interface, list[k].interface)) {
        control_bad_interface(g->call, list[i].interface, "DUPLICATE_NETWORK_INTERFACE");
        g->bad++;
      }
  }
  if (!g->bad && !g->found)
    bad_signal(g, g->head.name, "NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL", "no signal of the files is one of the model's: give signalsMap");
  return g->bad ? control_bad(g->call, MC_CONTROL_DECODER_MANIFEST, g->why, "decoder manifest \"%.*s\": %zu of the signals and interfaces are not right", MC_FMT(g->head.name), g->bad)
                : MC_OK;
}

static mc_err write_all(import_change *g, interface_files *list, size_t count)
{
  mc_db *db = g->call->c->config.db;
  g->head.updated_us = mc_clock_wall_us();
  MC_TRY(mc_db_begin(db, true, g->why));
  mc_err err = resource_put(g->call->c, g->call->tenant, RESOURCE_DECODER, &g->head, g->why);
  for (size_t i = 0; i < count && !err; i++)
    err = write_interface(g, &list[i]);
  mc_err end = mc_db_end(db, err == MC_OK, err ? NULL : g->why);
  return err ? err : end;
}

static mc_err import(import_change *g)
{
  const json_t *definitions = json_object_get(g->call->in, "networkFileDefinitions");
  size_t count = json_array_size(definitions);
  interface_files *list = mc_arena_array(&g->arena, count, sizeof *list);
  if (!list)
    return MC_ERR_MEMORY;
  mc_err err = load_model(g);
  if (!err)
    err = load_decoders(g);
  if (!err)
    err = read_definitions(g, list, definitions, count);
  if (!err)
    err = write_all(g, list, count);
  for (size_t i = 0; i < count; i++)
    files_free(&list[i]);
  return err;
}

static mc_err import_locked(control_call *call, mc_why *why)
{
  import_change g = {.call = call, .arena = MC_ARENA(ARENA_LIMIT), .why = why};
  MC_TRY(resource_need(call, RESOURCE_DECODER, control_text(call->in, "name"), &g.head, why));
  if (g.head.status == RESOURCE_ACTIVE)
    return control_conflict(call, "decoder-manifest", g.head.name, why, "an ACTIVE decoder manifest cannot be edited: make it DRAFT first, or make another one");
  MC_TRY(resource_need(call, RESOURCE_MODEL, g.head.parent, &g.model, why));
  mc_err err = import(&g);
  mc_vec_free(&g.node);
  mc_strmap_free(&g.by_fqn);
  mc_strmap_free(&g.has);
  mc_arena_free(&g.arena);
  MC_TRY(err);
  resource_answer(call, RESOURCE_DECODER, g.head.name);
  return MC_OK;
}

mc_err control_import_decoder_manifest(control_call *call, mc_why *why) { return vocabulary_locked(call, import_locked, why); }
