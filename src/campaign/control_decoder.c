/* Decoder manifests by name: their decoders and interfaces are documents, checked against model and catalog; an ACTIVE one is compiled. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/control_catalog.h"
#include "campaign/decoder.h"
#include "campaign/shape.h"

typedef struct decoder_change {
  control_call *call;
  resource_head head, model;
  mc_strmap interface; /* id -> kind + 1: as they will be */
  mc_strmap signal;    /* names in the request -> which list, 1 + */
  size_t bad;
  mc_why *why;
} decoder_change;
enum { LIST_ADD = 1, LIST_UPDATE = 2, LIST_REMOVE = 3 };

static void change_free(decoder_change *g)
{
  mc_strmap_free(&g->interface);
  mc_strmap_free(&g->signal);
}

static const json_t *list_of(const decoder_change *g, const char *key) { return json_object_get(g->call->in, key); }

static void bad_signal(decoder_change *g, mc_slice name, const char *reason)
{
  control_bad_signal(g->call, name, reason, NULL);
  g->bad++;
}

static void bad_interface(decoder_change *g, mc_slice id, const char *reason)
{
  control_bad_interface(g->call, id, reason);
  g->bad++;
}

static mc_err verdict(decoder_change *g)
{
  return g->bad ? control_bad(g->call, MC_CONTROL_DECODER_MANIFEST, g->why, "decoder manifest \"%.*s\": %zu of its signals and interfaces are not right", MC_FMT(g->head.name), g->bad)
                : MC_OK;
}

/* ---- interfaces ---- */

static mc_err load_interfaces(decoder_change *g)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(g->call->c->config.db, false, g->why));
  mc_err err = mc_db_prepare(g->call->c->config.db, "SELECT id, kind FROM decoder_interface WHERE tenant = $1 AND manifest = $2", &s, g->why);
  if (!err) {
    mc_stmt_bind_int(s, 1, g->call->tenant);
    mc_stmt_bind_text(s, 2, g->head.name);
    while ((err = mc_stmt_step(s, g->why)) == MC_OK)
      if ((err = mc_strmap_put(&g->interface, mc_stmt_text(s, 0), (uint64_t)mc_stmt_int(s, 1) + 1)))
        break;
    mc_stmt_release(&s);
  }
  mc_db_end(g->call->c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* How many decoders lie on an interface and stay there: not removed by this request, nor moved. */
static mc_err decoders_on(decoder_change *g, mc_slice id, size_t *out)
{
  mc_stmt *s;
  *out = 0;
  MC_TRY(mc_db_begin(g->call->c->config.db, false, g->why));
  mc_err err = mc_db_prepare(g->call->c->config.db, "SELECT fqn FROM decoder_signal WHERE tenant = $1 AND manifest = $2 AND interface = $3", &s, g->why);
  if (!err) {
    mc_stmt_bind_int(s, 1, g->call->tenant);
    mc_stmt_bind_text(s, 2, g->head.name);
    mc_stmt_bind_text(s, 3, id);
    while ((err = mc_stmt_step(s, g->why)) == MC_OK)
      *out += !mc_strmap_get(&g->signal, mc_stmt_text(s, 0), NULL);
    mc_stmt_release(&s);
  }
  mc_db_end(g->call->c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err put_interfaces(decoder_change *g, const char *key, bool update, mc_strmap *seen)
{
  json_t *item;
  size_t i;
  json_array_foreach ((json_t *)list_of(g, key), i, item) {
    mc_slice id = control_text(item, "interfaceId");
    decoder_kind kind = interface_kind_of(control_text(item, "type"));
    uint64_t had = 0, list = 0;
    bool there = mc_strmap_get(&g->interface, id, &had);
    size_t used = 0;
    if (mc_strmap_get(seen, id, &list))
      bad_interface(g, id, list == (update ? LIST_UPDATE : LIST_ADD) ? "DUPLICATE_NETWORK_INTERFACE" : "CONFLICTING_NETWORK_INTERFACE");
    else if (!update && there)
      bad_interface(g, id, "NETWORK_INTERFACE_TO_ADD_ALREADY_EXISTS");
    else if (update && !there)
      return control_invalid(g->call, key, g->why, "there is no interface \"%.*s\" in the manifest", MC_FMT(id));
    else if (!interface_check(g->call, item))
      g->bad++;
    MC_TRY(mc_strmap_put(seen, id, update ? LIST_UPDATE : LIST_ADD));
    if (update && there && had != (uint64_t)kind + 1)
      MC_TRY(decoders_on(g, id, &used));
    if (used)
      bad_interface(g, id, "CONFLICTING_NETWORK_INTERFACE"); /* its decoders are of the old type */
    MC_TRY(mc_strmap_put(&g->interface, id, (uint64_t)kind + 1));
  }
  return MC_OK;
}

static mc_err remove_interfaces(decoder_change *g, mc_strmap *seen)
{
  json_t *item;
  size_t i, used;
  json_array_foreach ((json_t *)list_of(g, "networkInterfacesToRemove"), i, item) {
    mc_slice id = mc_slice_str(json_string_value(item));
    uint64_t list = 0;
    if (mc_strmap_get(seen, id, &list)) {
      bad_interface(g, id, list == LIST_REMOVE ? "DUPLICATE_NETWORK_INTERFACE" : "CONFLICTING_NETWORK_INTERFACE");
      continue;
    }
    if (!mc_strmap_get(&g->interface, id, NULL))
      return control_invalid(g->call, "networkInterfacesToRemove", g->why, "there is no interface \"%.*s\" in the manifest", MC_FMT(id));
    MC_TRY(mc_strmap_put(seen, id, LIST_REMOVE));
    MC_TRY(decoders_on(g, id, &used));
    if (used)
      bad_interface(g, id, "NETWORK_INTERFACE_TO_REMOVE_ASSOCIATED_WITH_SIGNALS");
    mc_strmap_remove(&g->interface, id, NULL);
  }
  return MC_OK;
}

/* ---- decoders ---- */

static mc_err decoder_is_there(decoder_change *g, mc_slice fqn, bool *out)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(g->call->c->config.db, false, g->why));
  mc_err err = mc_db_prepare(g->call->c->config.db, "SELECT 1 FROM decoder_signal WHERE tenant = $1 AND manifest = $2 AND key = $3", &s, g->why);
  if (!err) {
    mc_stmt_bind_int(s, 1, g->call->tenant);
    mc_stmt_bind_text(s, 2, g->head.name);
    mc_stmt_bind_text(s, 3, fqn);
    err = mc_stmt_step(s, g->why);
    *out = err == MC_OK;
    mc_stmt_release(&s);
  }
  mc_db_end(g->call->c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* The names of all three lists first: which of them are left on their interfaces depends on it. */
static mc_err take_names(decoder_change *g, const char *key, uint64_t list)
{
  json_t *item;
  size_t i;
  json_array_foreach ((json_t *)list_of(g, key), i, item) {
    mc_slice fqn = list == LIST_REMOVE ? mc_slice_str(json_string_value(item)) : control_text(item, "fullyQualifiedName");
    uint64_t other = 0;
    bool there = false;
    if (mc_strmap_get(&g->signal, fqn, &other)) {
      bad_signal(g, fqn, other == list ? "DUPLICATE_SIGNAL" : "CONFLICTING_SIGNAL");
      continue;
    }
    MC_TRY(mc_strmap_put(&g->signal, fqn, list));
    MC_TRY(decoder_is_there(g, fqn, &there));
    if (list == LIST_ADD && there)
      bad_signal(g, fqn, "SIGNAL_TO_ADD_ALREADY_EXISTS");
    else if (list != LIST_ADD && !there)
      return control_invalid(g->call, key, g->why, "the manifest has no decoder of \"%.*s\"", MC_FMT(fqn));
  }
  return MC_OK;
}

static mc_err check_decoders(decoder_change *g, const char *key)
{
  json_t *item;
  size_t i;
  char path[120];
  json_array_foreach ((json_t *)list_of(g, key), i, item) {
    decoder_place place = {0};
    uint64_t kind = 0;
    bool fine;
    mc_slice fqn = control_text(item, "fullyQualifiedName");
    snprintf(path, sizeof path, "%s[%zu]", key, i);
    MC_TRY(model_node_get(g->call->c, g->call->tenant, g->model.name, fqn, g->call->arena, &place.node, &place.in_catalog, g->why));
    place.in_model = place.node.kind != NODE_NONE;
    place.interface_known = mc_strmap_get(&g->interface, control_text(item, "interfaceId"), &kind);
    place.interface = (decoder_kind)((int)kind - 1);
    MC_TRY(decoder_check(g->call, path, item, g->model.parent, &place, &fine, g->why));
    g->bad += !fine;
  }
  return MC_OK;
}

/* names: the members that hold the lists; NULL where the operation has none. */
static mc_err check(decoder_change *g, const char *add, const char *add_interfaces, bool fresh)
{
  mc_strmap seen = {0};
  mc_err err = MC_OK;
  if (!fresh) {
    err = load_interfaces(g);
    if (!err)
      err = take_names(g, "signalDecodersToRemove", LIST_REMOVE);
    if (!err)
      err = take_names(g, "signalDecodersToUpdate", LIST_UPDATE);
  }
  if (!err)
    err = take_names(g, add, LIST_ADD);
  if (!err)
    err = put_interfaces(g, add_interfaces, false, &seen);
  if (!err && !fresh)
    err = put_interfaces(g, "networkInterfacesToUpdate", true, &seen);
  if (!err && !fresh)
    err = remove_interfaces(g, &seen);
  if (!err && !fresh)
    err = check_decoders(g, "signalDecodersToUpdate");
  if (!err)
    err = check_decoders(g, add);
  mc_strmap_free(&seen);
  return err ? err : verdict(g);
}

/* ---- writing ---- */

static mc_err dump(const json_t *value, mc_arena *arena, mc_slice *out)
{
  char *text = json_dumps(value, JSON_COMPACT);
  mc_err err = text ? mc_arena_copy(arena, mc_slice_str(text), out) : MC_ERR_MEMORY;
  free(text);
  return err;
}

static mc_err write_signals(decoder_change *g, const json_t *list)
{
  json_t *item;
  size_t i;
  json_array_foreach ((json_t *)list, i, item) {
    mc_slice document, fqn = control_text(item, "fullyQualifiedName");
    MC_TRY(dump(item, g->call->arena, &document));
    MC_TRY(mc_db_run(g->call->c->config.db, g->why, "DELETE FROM decoder_signal WHERE tenant = $1 AND manifest = $2 AND key > $3 || '#' AND key < $3 || '$'", "itt",
                     (int64_t)g->call->tenant, g->head.name, fqn)); /* of several that an import made, one is left */
    MC_TRY(decoder_signal_put(g->call->c, g->call->tenant, g->head.name, fqn, 0, control_text(item, "interfaceId"), decoder_kind_of(control_text(item, "type")), document, g->why));
  }
  return MC_OK;
}

static mc_err write_interfaces(decoder_change *g, const json_t *list)
{
  json_t *item;
  size_t i;
  json_array_foreach ((json_t *)list, i, item) {
    mc_slice document;
    MC_TRY(dump(item, g->call->arena, &document));
    MC_TRY(decoder_interface_put(g->call->c, g->call->tenant, g->head.name, control_text(item, "interfaceId"), interface_kind_of(control_text(item, "type")), document, g->why));
  }
  return MC_OK;
}

static mc_err remove_rows(decoder_change *g)
{
  mc_db *db = g->call->c->config.db;
  json_t *item;
  size_t i;
  json_array_foreach ((json_t *)list_of(g, "signalDecodersToRemove"), i, item)
    MC_TRY(mc_db_run(db, g->why, "DELETE FROM decoder_signal WHERE tenant = $1 AND manifest = $2 AND fqn = $3", "itt", (int64_t)g->call->tenant, g->head.name,
                     mc_slice_str(json_string_value(item))));
  json_array_foreach ((json_t *)list_of(g, "networkInterfacesToRemove"), i, item)
    MC_TRY(mc_db_run(db, g->why, "DELETE FROM decoder_interface WHERE tenant = $1 AND manifest = $2 AND id = $3", "itt", (int64_t)g->call->tenant, g->head.name,
                     mc_slice_str(json_string_value(item))));
  return MC_OK;
}

/* What the model promises and no decoder gives. Inside the transaction. */
static mc_err check_complete(decoder_change *g)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(g->call->c->config.db,
                       "SELECT m.fqn FROM model_node m JOIN catalog_document n ON n.tenant = m.tenant AND n.catalog = $3 AND n.fqn = m.fqn AND n.kind IN (1, 2) "
                       "WHERE m.tenant = $1 AND m.model = $4 AND NOT EXISTS (SELECT 1 FROM decoder_signal d WHERE d.tenant = $1 AND d.manifest = $2 AND d.key = m.fqn) ORDER BY m.fqn "
                       "LIMIT 100",
                       &s, g->why));
  mc_stmt_bind_int(s, 1, g->call->tenant);
  mc_stmt_bind_text(s, 2, g->head.name);
  mc_stmt_bind_text(s, 3, g->model.parent);
  mc_stmt_bind_text(s, 4, g->model.name);
  mc_err err;
  while ((err = mc_stmt_step(s, g->why)) == MC_OK) {
    control_bad_signal(g->call, mc_stmt_text(s, 0), "NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL", "add a decoder, or set defaultForUnmappedSignals to CUSTOM_DECODING");
    g->bad++;
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? verdict(g) : err;
}

/* Compiles what the transaction has written so far. */
static mc_err activate(decoder_change *g, manifest_version **made)
{
  decoder_wire wire = {0};
  if (!g->head.unmapped)
    MC_TRY(check_complete(g));
  mc_err err = decoder_compile(g->call->c, g->call->tenant, &g->head, g->call->arena, &wire, g->why);
  mc_fw_manifest doc = decoder_wire_view(&wire);
  if (!err)
    err = campaign_manifest_build(g->call->tenant, g->head.name, &doc, NULL, 0, made, g->why);
  decoder_wire_free(&wire);
  if (err == MC_ERR_INVALID)
    return control_invalid(g->call, "status", g->why, "no signal of it can be decoded: a manifest needs at least one decoder to become ACTIVE");
  return err ? err : campaign_manifest_store(g->call->c, *made, g->why);
}

static mc_err write(decoder_change *g, const char *add, const char *add_interfaces, bool fresh, manifest_version **made)
{
  control_call *call = g->call;
  MC_TRY(resource_put(call->c, call->tenant, RESOURCE_DECODER, &g->head, g->why));
  if (!fresh) {
    MC_TRY(remove_rows(g));
    MC_TRY(write_interfaces(g, list_of(g, "networkInterfacesToUpdate")));
    MC_TRY(write_signals(g, list_of(g, "signalDecodersToUpdate")));
  }
  MC_TRY(write_interfaces(g, list_of(g, add_interfaces)));
  MC_TRY(write_signals(g, list_of(g, add)));
  if (g->head.status == RESOURCE_ACTIVE && made)
    MC_TRY(activate(g, made));
  return fresh ? control_tags_set(call, "decoder-manifest", g->head.name, json_object_get(call->in, "tags"), g->why) : MC_OK;
}

static mc_err commit(decoder_change *g, const char *add, const char *add_interfaces, bool fresh, manifest_version **made)
{
  MC_TRY(mc_db_begin(g->call->c->config.db, true, g->why));
  mc_err err = write(g, add, add_interfaces, fresh, made);
  mc_err end = mc_db_end(g->call->c->config.db, err == MC_OK, err ? NULL : g->why);
  return err ? err : end;
}

/* ---- operations ---- */

static mc_err create_locked(control_call *call, mc_why *why)
{
  decoder_change g = {.call = call, .why = why};
  MC_TRY(resource_fresh(call, RESOURCE_DECODER, &g.head, why));
  MC_TRY(resource_need_arn(call, "modelManifestArn", RESOURCE_MODEL, &g.model, why));
  MC_TRY(resource_room(call, RESOURCE_DECODER, LIMIT_MANIFESTS, g.model.name, g.head.name, why));
  if (g.model.status != RESOURCE_ACTIVE)
    return control_invalid(call, "modelManifestArn", why, "the model \"%.*s\" is %s: make it ACTIVE first", MC_FMT(g.model.name), resource_status_name[g.model.status]);
  g.head.parent = g.model.name;
  g.head.unmapped = json_object_get(call->in, "defaultForUnmappedSignals") != NULL;
  mc_err err = check(&g, "signalDecoders", "networkInterfaces", true);
  if (!err)
    err = commit(&g, "signalDecoders", "networkInterfaces", true, NULL);
  change_free(&g);
  MC_TRY(err);
  resource_answer(call, RESOURCE_DECODER, g.head.name);
  return MC_OK;
}

mc_err control_create_decoder_manifest(control_call *call, mc_why *why) { return vocabulary_locked(call, create_locked, why); }

static bool edits(const control_call *call)
{
  static const char *const members[] = {"signalDecodersToAdd",    "signalDecodersToUpdate",    "signalDecodersToRemove",   "networkInterfacesToAdd",
                                        "networkInterfacesToUpdate", "networkInterfacesToRemove", "defaultForUnmappedSignals"};
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
    if (json_object_get(call->in, members[i]))
      return true;
  return false;
}

static mc_err check_unused(control_call *call, mc_slice name, const char *what, mc_why *why)
{
  uint32_t n = mc_registry_vehicles_with_manifest(call->c->config.registry, call->tenant, name);
  return n ? control_conflict(call, "decoder-manifest", name, why, "%u vehicles use it: it cannot be %s", n, what) : MC_OK;
}

/* status: what the manifest is to be. */
static mc_err judge_status(decoder_change *g, bool *active)
{
  mc_slice status = control_text(g->call->in, "status");
  bool was_active = g->head.status == RESOURCE_ACTIVE;
  *active = status.len ? mc_slice_eq_str(status, "ACTIVE") : was_active;
  if (status.len && !*active && !mc_slice_eq_str(status, "DRAFT"))
    return control_invalid(g->call, "status", g->why, "a decoder manifest can be made ACTIVE or DRAFT, not %.*s", MC_FMT(status));
  if (was_active && *active && edits(g->call))
    return control_conflict(g->call, "decoder-manifest", g->head.name, g->why, "an ACTIVE decoder manifest cannot be edited: make it DRAFT first, or make another one");
  if (was_active && !*active)
    return check_unused(g->call, g->head.name, "edited", g->why);
  return MC_OK;
}

static mc_err update(decoder_change *g)
{
  control_call *call = g->call;
  bool active, was_active = g->head.status == RESOURCE_ACTIVE;
  manifest_version *made = NULL;
  MC_TRY(judge_status(g, &active));
  if (json_object_get(call->in, "description"))
    g->head.description = control_text(call->in, "description");
  g->head.unmapped |= json_object_get(call->in, "defaultForUnmappedSignals") != NULL;
  g->head.status = active ? RESOURCE_ACTIVE : RESOURCE_DRAFT;
  g->head.updated_us = mc_clock_wall_us();
  MC_TRY(check(g, "signalDecodersToAdd", "networkInterfacesToAdd", false));
  mc_err err = commit(g, "signalDecodersToAdd", "networkInterfacesToAdd", false, was_active ? NULL : &made);
  if (err) {
    campaign_manifest_free(made);
    return err;
  }
  if (made)
    MC_TRY(campaign_manifest_show(call->c, made, g->why));
  else if (was_active && !active)
    campaign_manifest_retire(call->c, call->tenant, g->head.name);
  resource_answer(call, RESOURCE_DECODER, g->head.name);
  return MC_OK;
}

static mc_err update_locked(control_call *call, mc_why *why)
{
  decoder_change g = {.call = call, .why = why};
  MC_TRY(resource_need(call, RESOURCE_DECODER, control_text(call->in, "name"), &g.head, why));
  MC_TRY(resource_need(call, RESOURCE_MODEL, g.head.parent, &g.model, why));
  mc_err err = update(&g);
  change_free(&g);
  return err;
}

mc_err control_update_decoder_manifest(control_call *call, mc_why *why)
{
  MC_TRY(vocabulary_locked(call, update_locked, why));
  /* Only vehicles that were given the name before it meant anything: others get it when they are attached. */
  if (mc_registry_vehicles_with_manifest(call->c->config.registry, call->tenant, control_text(call->in, "name")))
    campaign_reconcile_all(call->c, call->tenant);
  return MC_OK;
}

static mc_err delete_locked(control_call *call, mc_why *why)
{
  mc_slice name = control_text(call->in, "name");
  mc_db *db = call->c->config.db;
  MC_TRY(check_unused(call, name, "deleted", why));
  pthread_mutex_lock(&call->c->lock);
  mc_slice campaign;
  mc_err err = mc_arena_copy(call->arena, campaign_of_target(call->c, call->tenant, "manifest", name), &campaign);
  pthread_mutex_unlock(&call->c->lock);
  MC_TRY(err);
  if (campaign.len)
    return control_conflict(call, "decoder-manifest", name, why, "the campaign \"%.*s\" is aimed at the vehicles that have it: delete that first", MC_FMT(campaign));
  MC_TRY(mc_db_begin(db, true, why));
  err = decoder_rows_delete(call->c, call->tenant, name, why);
  if (!err)
    err = resource_delete(call->c, call->tenant, RESOURCE_DECODER, name, why);
  mc_err end = mc_db_end(db, err == MC_OK, err ? NULL : why);
  MC_TRY(err ? err : end);
  campaign_manifest_retire(call->c, call->tenant, name);
  resource_answer(call, RESOURCE_DECODER, name);
  return MC_OK;
}

mc_err control_delete_decoder_manifest(control_call *call, mc_why *why) { return vocabulary_locked(call, delete_locked, why); }

mc_err control_get_decoder_manifest(control_call *call, mc_why *why)
{
  resource_head head;
  MC_TRY(resource_need(call, RESOURCE_DECODER, control_text(call->in, "name"), &head, why));
  resource_answer(call, RESOURCE_DECODER, head.name);
  if (head.description.len)
    mc_json_text_field(call->out, "description", head.description);
  mc_json_text_field(call->out, "modelManifestArn", control_arn(call, "model-manifest", head.parent));
  mc_json_str_field(call->out, "status", resource_status_name[head.status]);
  if (head.message.len)
    mc_json_text_field(call->out, "message", head.message);
  resource_times(call, &head);
  return MC_OK;
}

mc_err control_list_decoder_manifests(control_call *call, mc_why *why) { return resource_list(call, RESOURCE_DECODER, "modelManifestArn", why); }

static void document_row(mc_json *out, mc_stmt *s) { mc_json_raw(out, mc_stmt_text(s, 1)); }

static mc_err list_documents(control_call *call, const char *sql, const char *member, mc_why *why)
{
  resource_head head;
  MC_TRY(resource_need(call, RESOURCE_DECODER, control_text(call->in, "name"), &head, why));
  vocabulary_query q = {.sql = sql, .owner = head.name, .row = document_row};
  return vocabulary_page(call, &q, member, why);
}

mc_err control_list_decoder_manifest_network_interfaces(control_call *call, mc_why *why)
{
  return list_documents(call, "SELECT id, document FROM decoder_interface WHERE tenant = $1 AND manifest = $2 AND id > $3 ORDER BY id LIMIT $4", "networkInterfaces", why);
}

mc_err control_list_decoder_manifest_signals(control_call *call, mc_why *why)
{
  return list_documents(call, "SELECT key, document FROM decoder_signal WHERE tenant = $1 AND manifest = $2 AND key > $3 ORDER BY key LIMIT $4", "signalDecoders", why);
}
