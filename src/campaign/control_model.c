/* Vehicle models: which nodes of a catalog a kind of vehicle has. A branch stands for itself and all below it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/control_catalog.h"
#include "campaign/shape.h"

/* ---- nodes of a model ---- */

mc_err model_node_get(mc_campaigns *c, uint32_t tenant, mc_slice model, mc_slice fqn, mc_arena *arena, catalog_node *out, bool *in_catalog, mc_why *why)
{
  mc_stmt *s;
  resource_head head;
  *out = (catalog_node){.kind = NODE_NONE};
  *in_catalog = false;
  MC_TRY(resource_get(c, tenant, RESOURCE_MODEL, model, arena, &head, why));
  catalog_node there;
  MC_TRY(catalog_node_get(c, tenant, head.parent, fqn, arena, &there, why));
  *in_catalog = there.kind != NODE_NONE;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, "SELECT 1 FROM model_node WHERE tenant = $1 AND model = $2 AND fqn = $3", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, model);
    mc_stmt_bind_text(s, 3, fqn);
    err = mc_stmt_step(s, why);
    if (!err)
      *out = there;
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err add_node(mc_campaigns *c, uint32_t tenant, mc_slice model, mc_slice fqn, mc_why *why)
{
  return mc_db_run(c->config.db, why, "INSERT INTO model_node (tenant, model, fqn) VALUES ($1, $2, $3) ON CONFLICT (tenant, model, fqn) DO NOTHING", "itt", (int64_t)tenant, model,
                   fqn);
}

mc_err model_of_decoders(mc_campaigns *c, uint32_t tenant, const resource_head *model, mc_slice manifest, mc_why *why)
{
  mc_db *db = c->config.db;
  MC_TRY(resource_put(c, tenant, RESOURCE_MODEL, model, why));
  if (mc_slice_eq(model->name, manifest))
    MC_TRY(mc_db_run(db, why, "DELETE FROM model_node WHERE tenant = $1 AND model = $2", "it", (int64_t)tenant, model->name));
  MC_TRY(mc_db_run(db, why,
                   "INSERT INTO model_node (tenant, model, fqn) SELECT $1, $2, fqn FROM decoder_signal WHERE tenant = $1 AND manifest = $3 GROUP BY fqn ON CONFLICT "
                   "(tenant, model, fqn) DO NOTHING",
                   "itt", (int64_t)tenant, model->name, manifest));
  return mc_db_run(db, why,
                   "INSERT INTO model_node (tenant, model, fqn) SELECT $1, $2, d.fqn FROM catalog_document d WHERE d.tenant = $1 AND d.catalog = $3 AND d.kind = 0 AND EXISTS (SELECT 1 FROM "
                   "model_node m WHERE m.tenant = $1 AND m.model = $2 AND m.fqn > d.fqn || '.' AND m.fqn < d.fqn || '/') ON CONFLICT (tenant, model, fqn) DO NOTHING",
                   "itt", (int64_t)tenant, model->name, model->parent);
}

/* ---- changes ---- */

typedef struct model_change {
  control_call *call;
  resource_head head;
  const json_t *add, *remove;
  mc_why *why;
} model_change;

static mc_err check_added(model_change *g)
{
  json_t *item;
  size_t i, bad = 0;
  json_array_foreach ((json_t *)g->add, i, item) {
    catalog_node n;
    mc_slice fqn = mc_slice_str(json_string_value(item));
    MC_TRY(catalog_node_get(g->call->c, g->call->tenant, g->head.parent, fqn, NULL, &n, g->why));
    if (n.kind != NODE_NONE)
      continue;
    control_bad_signal(g->call, fqn, "the signal catalog does not have it", NULL);
    bad++;
  }
  return bad ? control_bad(g->call, MC_CONTROL_INVALID_SIGNALS, g->why, "%zu of the nodes are not in the signal catalog \"%.*s\"", bad, MC_FMT(g->head.parent)) : MC_OK;
}

/* Inside the transaction. */
static mc_err add_rows(model_change *g)
{
  mc_campaigns *c = g->call->c;
  int64_t tenant = g->call->tenant;
  json_t *item;
  size_t i;
  json_array_foreach ((json_t *)g->add, i, item) {
    mc_slice fqn = mc_slice_str(json_string_value(item));
    MC_TRY(add_node(c, g->call->tenant, g->head.name, fqn, g->why));
    MC_TRY(mc_db_run(c->config.db, g->why,
                     "INSERT INTO model_node (tenant, model, fqn) SELECT $1, $2, fqn FROM catalog_document WHERE tenant = $1 AND catalog = $3 AND fqn > $4 || '.' AND "
                     "fqn < $4 || '/' ON CONFLICT (tenant, model, fqn) DO NOTHING",
                     "ittt", tenant, g->head.name, g->head.parent, fqn));
  }
  return MC_OK;
}

static mc_err remove_rows(model_change *g)
{
  json_t *item;
  size_t i, bad = 0;
  json_array_foreach ((json_t *)g->remove, i, item) {
    mc_slice fqn = mc_slice_str(json_string_value(item));
    MC_TRY(mc_db_run(g->call->c->config.db, g->why, "DELETE FROM model_node WHERE tenant = $1 AND model = $2 AND (fqn = $3 OR fqn > $3 || '.' AND fqn < $3 || '/')", "itt",
                     (int64_t)g->call->tenant, g->head.name, fqn));
    if (mc_db_changes(g->call->c->config.db))
      continue;
    control_bad_signal(g->call, fqn, "the model does not have it", NULL);
    bad++;
  }
  return bad ? control_bad(g->call, MC_CONTROL_INVALID_SIGNALS, g->why, "%zu of the nodes are not in the model \"%.*s\"", bad, MC_FMT(g->head.name)) : MC_OK;
}

/* Names of the model that the catalog does not have (any more), and how many signals it has. */
static mc_err look(model_change *g, mc_slice *missing, int64_t *signals)
{
  mc_stmt *s;
  *missing = (mc_slice){0};
  MC_TRY(mc_db_prepare(g->call->c->config.db,
                       "SELECT m.fqn, COALESCE(d.kind, -1) FROM model_node m LEFT JOIN catalog_document d ON d.tenant = m.tenant AND d.catalog = $3 AND d.fqn = m.fqn "
                       "WHERE m.tenant = $1 AND m.model = $2",
                       &s, g->why));
  mc_stmt_bind_int(s, 1, g->call->tenant);
  mc_stmt_bind_text(s, 2, g->head.name);
  mc_stmt_bind_text(s, 3, g->head.parent);
  mc_err err;
  *signals = 0;
  while ((err = mc_stmt_step(s, g->why)) == MC_OK) {
    int64_t kind = mc_stmt_int(s, 1);
    *signals += kind >= 0 && node_is_signal((node_kind)kind);
    if (kind < 0 && !missing->len && (err = mc_arena_copy(g->call->arena, mc_stmt_text(s, 0), missing)))
      break;
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

/* A draft whose names are all in the catalog is a draft again; one that lost some cannot become ACTIVE. */
static mc_err judge(model_change *g, bool activate)
{
  mc_slice missing;
  int64_t signals;
  MC_TRY(look(g, &missing, &signals));
  if (missing.len && activate) {
    control_bad_signal(g->call, missing, "the signal catalog does not have it any more: remove it from the model", NULL);
    return control_bad(g->call, MC_CONTROL_INVALID_SIGNALS, g->why, "the model \"%.*s\" names what its catalog does not have", MC_FMT(g->head.name));
  }
  if (activate && !signals)
    return control_invalid(g->call, "status", g->why, "a model becomes ACTIVE when it has at least one sensor, actuator or attribute; this one has none");
  g->head.status = activate ? RESOURCE_ACTIVE : missing.len ? RESOURCE_INVALID : RESOURCE_DRAFT;
  g->head.message = (mc_slice){0};
  if (missing.len)
    g->head.message = mc_slice_str(mc_arena_printf(g->call->arena, "%.*s is not in the catalog any more", MC_FMT(missing)));
  return MC_OK;
}

static mc_err write(model_change *g, bool fresh, bool activate)
{
  control_call *call = g->call;
  MC_TRY(remove_rows(g));
  MC_TRY(add_rows(g));
  MC_TRY(judge(g, activate));
  MC_TRY(resource_put(call->c, call->tenant, RESOURCE_MODEL, &g->head, g->why));
  return fresh ? control_tags_set(call, "model-manifest", g->head.name, json_object_get(call->in, "tags"), g->why) : MC_OK;
}

static mc_err commit(model_change *g, bool fresh, bool activate)
{
  MC_TRY(mc_db_begin(g->call->c->config.db, true, g->why));
  mc_err err = write(g, fresh, activate);
  mc_err end = mc_db_end(g->call->c->config.db, err == MC_OK, err ? NULL : g->why);
  MC_TRY(err ? err : end);
  resource_answer(g->call, RESOURCE_MODEL, g->head.name);
  return MC_OK;
}

static mc_err create_locked(control_call *call, mc_why *why)
{
  resource_head catalog;
  model_change g = {.call = call, .add = json_object_get(call->in, "nodes"), .why = why};
  MC_TRY(resource_fresh(call, RESOURCE_MODEL, &g.head, why));
  MC_TRY(resource_need_arn(call, "signalCatalogArn", RESOURCE_CATALOG, &catalog, why));
  MC_TRY(resource_room(call, RESOURCE_MODEL, LIMIT_MODELS, (mc_slice){0}, g.head.name, why));
  g.head.parent = catalog.name;
  MC_TRY(check_added(&g));
  return commit(&g, true, false);
}

mc_err control_create_model_manifest(control_call *call, mc_why *why) { return vocabulary_locked(call, create_locked, why); }

/* A model whose decoder manifests or vehicles rely on it stays as it is. */
static mc_err check_unused(control_call *call, mc_slice name, const char *what, mc_why *why)
{
  mc_slice decoder;
  MC_TRY(resource_child(call->c, call->tenant, RESOURCE_DECODER, name, call->arena, &decoder, why));
  return decoder.len ? control_conflict(call, "model-manifest", name, why, "the decoder manifest \"%.*s\" is made for it: it cannot be %s", MC_FMT(decoder), what) : MC_OK;
}

static mc_err update_locked(control_call *call, mc_why *why)
{
  model_change g = {.call = call, .add = json_object_get(call->in, "nodesToAdd"), .remove = json_object_get(call->in, "nodesToRemove"), .why = why};
  mc_slice status = control_text(call->in, "status");
  MC_TRY(resource_need(call, RESOURCE_MODEL, control_text(call->in, "name"), &g.head, why));
  bool was_active = g.head.status == RESOURCE_ACTIVE, activate = status.len ? mc_slice_eq_str(status, "ACTIVE") : was_active;
  if (status.len && !activate && !mc_slice_eq_str(status, "DRAFT"))
    return control_invalid(call, "status", why, "a model can be made ACTIVE or DRAFT, not %.*s", MC_FMT(status));
  if (was_active && activate && (g.add || g.remove))
    return control_conflict(call, "model-manifest", g.head.name, why, "an ACTIVE model cannot be edited: make it DRAFT first");
  if (was_active && !activate)
    MC_TRY(check_unused(call, g.head.name, "edited", why));
  if (json_object_get(call->in, "description"))
    g.head.description = control_text(call->in, "description");
  g.head.updated_us = mc_clock_wall_us();
  MC_TRY(check_added(&g));
  return commit(&g, false, activate);
}

mc_err control_update_model_manifest(control_call *call, mc_why *why) { return vocabulary_locked(call, update_locked, why); }

static mc_err delete_locked(control_call *call, mc_why *why)
{
  mc_slice name = control_text(call->in, "name");
  mc_db *db = call->c->config.db;
  MC_TRY(check_unused(call, name, "deleted", why));
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = mc_db_run(db, why, "DELETE FROM model_node WHERE tenant = $1 AND model = $2", "it", (int64_t)call->tenant, name);
  if (!err)
    err = resource_delete(call->c, call->tenant, RESOURCE_MODEL, name, why);
  mc_err end = mc_db_end(db, err == MC_OK, err ? NULL : why);
  MC_TRY(err ? err : end);
  resource_answer(call, RESOURCE_MODEL, name);
  return MC_OK;
}

mc_err control_delete_model_manifest(control_call *call, mc_why *why) { return vocabulary_locked(call, delete_locked, why); }

/* ---- reading ---- */

mc_err control_get_model_manifest(control_call *call, mc_why *why)
{
  resource_head head;
  MC_TRY(resource_need(call, RESOURCE_MODEL, control_text(call->in, "name"), &head, why));
  resource_answer(call, RESOURCE_MODEL, head.name);
  if (head.description.len)
    mc_json_text_field(call->out, "description", head.description);
  mc_json_text_field(call->out, "signalCatalogArn", control_arn(call, "signal-catalog", head.parent));
  mc_json_str_field(call->out, "status", resource_status_name[head.status]);
  if (head.message.len) /* ours: why it is INVALID */
    mc_json_text_field(call->out, "message", head.message);
  resource_times(call, &head);
  return MC_OK;
}

mc_err control_list_model_manifests(control_call *call, mc_why *why) { return resource_list(call, RESOURCE_MODEL, "signalCatalogArn", why); }

mc_err control_list_model_manifest_nodes(control_call *call, mc_why *why)
{
  resource_head head;
  MC_TRY(resource_need(call, RESOURCE_MODEL, control_text(call->in, "name"), &head, why));
  vocabulary_query q = {.owner = head.name, .row = catalog_node_row};
  q.sql = "SELECT m.fqn, d.kind, d.document FROM model_node m JOIN vocabulary_resource r ON r.tenant = m.tenant AND r.kind = 2 AND r.name = m.model JOIN catalog_document d ON "
          "d.tenant = m.tenant AND d.catalog = r.parent AND d.fqn = m.fqn WHERE m.tenant = $1 AND m.model = $2 AND m.fqn > $3 ORDER BY m.fqn LIMIT $4";
  return vocabulary_page(call, &q, "nodes", why);
}
