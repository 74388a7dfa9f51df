/* Signal catalogs by name: made, imported, changed, listed, deleted. What is wrong with a node is told with the node. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/control_catalog.h"
#include "campaign/shape.h"

/* ---- what a change of a catalog would make of it ---- */

typedef struct catalog_change {
  control_call *call;
  mc_slice catalog;
  catalog_node_vec put; /* added and updated */
  mc_strmap index;      /* name -> place in put */
  mc_strmap removed;    /* name -> 1 */
  mc_strmap made;       /* branches looked for */
  size_t bad;
  mc_why *why;
} catalog_change;

static void change_free(catalog_change *g)
{
  mc_vec_free(&g->put);
  mc_strmap_free(&g->index);
  mc_strmap_free(&g->removed);
  mc_strmap_free(&g->made);
}

static mc_err bad_node(catalog_change *g, const json_t *node, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Collects; the first one's text is the reason. */
static mc_err bad_node(catalog_change *g, const json_t *node, const char *format, ...)
{
  if (!g->bad++) {
    va_list args;
    char text[MC_WHY_TEXT];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mc_err_set(g->why, MC_ERR_INVALID, "%s", text);
  }
  control_bad_node(g->call, node);
  return MC_OK;
}

/* The node of this name as it will be: of the request, else of the catalog unless it goes. */
static mc_err will_be(catalog_change *g, mc_slice fqn, catalog_node *out)
{
  uint64_t at;
  if (mc_strmap_get(&g->index, fqn, &at) && at < g->put.len) {
    *out = g->put.at[at];
    return MC_OK;
  }
  *out = (catalog_node){.kind = NODE_NONE};
  if (mc_strmap_get(&g->removed, fqn, NULL))
    return MC_OK;
  return catalog_node_get(g->call->c, g->call->tenant, g->catalog, fqn, g->call->arena, out, g->why);
}

/* ---- rules of one node ---- */

static bool is_of_type(mc_slice text, const data_type *t)
{
  double v;
  if (t->array || t->is_struct || t->type == MC_TYPE_STRING || strcmp(t->name, "UNKNOWN") == 0)
    return true;
  if (t->type == MC_TYPE_BOOL)
    return mc_slice_eq_str(text, "true") || mc_slice_eq_str(text, "false") || mc_slice_eq_str(text, "0") || mc_slice_eq_str(text, "1");
  return mc_slice_to_double(text, &v) == MC_OK;
}

/* Ours: [[0, "off"], [1, "on"]] */
static bool value_names_ok(const json_t *list)
{
  json_t *pair;
  size_t i;
  json_array_foreach ((json_t *)list, i, pair)
    if (!json_is_integer(json_array_get(pair, 0)) || !json_string_length(json_array_get(pair, 1)))
      return false;
  return true;
}

/* NULL: fine. */
static const char *values_wrong(const json_t *body, const data_type *t, const catalog_node *n)
{
  json_t *allowed = json_object_get(body, "allowedValues"), *item;
  mc_slice given[] = {control_text(body, "defaultValue"), control_text(body, "assignedValue")};
  size_t i;
  if (n->has_min && n->has_max && n->min > n->max)
    return "min lies above max";
  if (!value_names_ok(json_object_get(body, "valueNames")))
    return "valueNames are pairs of a whole number and its name";
  if ((n->has_min || n->has_max) && (t->is_struct || t->type == MC_TYPE_STRING || t->type == MC_TYPE_BOOL))
    return "min and max are for numbers";
  json_array_foreach (allowed, i, item)
    if (!is_of_type(mc_slice_str(json_string_value(item)), t))
      return "an allowed value is not one of its data type";
  for (i = 0; i < 2; i++) {
    bool found = !json_array_size(allowed) || !given[i].len;
    for (size_t k = 0; k < json_array_size(allowed) && !found; k++)
      found = mc_slice_eq_str(given[i], json_string_value(json_array_get(allowed, k)));
    if (!found)
      return "its default or assigned value is not among the allowed ones";
    if (given[i].len && !is_of_type(given[i], t))
      return "its default or assigned value is not one of its data type";
  }
  return NULL;
}

static mc_err check_type(catalog_change *g, const json_t *node, const catalog_node *n)
{
  const json_t *body = json_object_get(node, node_member[n->kind]);
  const data_type *t = data_type_find(n->data_type);
  if (n->kind == NODE_BRANCH || n->kind == NODE_STRUCT)
    return MC_OK;
  if (!t)
    return bad_node(g, node, "%.*s: \"%.*s\" is no data type", MC_FMT(n->fqn), MC_FMT(n->data_type));
  const char *wrong = values_wrong(body, t, n);
  if (wrong)
    return bad_node(g, node, "%.*s: %s", MC_FMT(n->fqn), wrong);
  if (!t->is_struct)
    return n->structure.len ? bad_node(g, node, "%.*s: structFullyQualifiedName is for STRUCT and STRUCT_ARRAY", MC_FMT(n->fqn)) : MC_OK;
  if (!n->structure.len)
    return n->kind == NODE_ATTRIBUTE ? bad_node(g, node, "%.*s: an attribute cannot be a struct", MC_FMT(n->fqn))
                                     : bad_node(g, node, "%.*s: %s needs structFullyQualifiedName", MC_FMT(n->fqn), t->name);
  catalog_node named;
  MC_TRY(will_be(g, n->structure, &named));
  return named.kind == NODE_STRUCT ? MC_OK : bad_node(g, node, "%.*s: there is no struct \"%.*s\"", MC_FMT(n->fqn), MC_FMT(n->structure));
}

/* Below branches stand branches, signals and structs; below structs their properties. Branches that are missing are made. */
static mc_err check_place(catalog_change *g, const json_t *node, const catalog_node *n)
{
  size_t dot = n->fqn.len;
  while (dot > 0 && n->fqn.data[dot - 1] != '.')
    dot--;
  if (n->fqn.data[0] == '.' || n->fqn.data[n->fqn.len - 1] == '.' || memmem(n->fqn.data, n->fqn.len, "..", 2))
    return bad_node(g, node, "%.*s: a part of the name is empty", MC_FMT(n->fqn));
  if (dot == 0)
    return n->kind == NODE_PROPERTY ? bad_node(g, node, "%.*s: a property stands below its struct", MC_FMT(n->fqn)) : MC_OK;
  mc_slice above = mc_slice_sub(n->fqn, 0, dot - 1);
  catalog_node parent;
  MC_TRY(will_be(g, above, &parent));
  node_kind needed = n->kind == NODE_PROPERTY ? NODE_STRUCT : NODE_BRANCH;
  if (parent.kind == needed)
    return MC_OK;
  if (parent.kind != NODE_NONE)
    return bad_node(g, node, "%.*s: a %s cannot stand below the %s \"%.*s\"", MC_FMT(n->fqn), node_member[n->kind], node_member[parent.kind], MC_FMT(above));
  if (mc_strmap_get(&g->removed, above, NULL))
    return bad_node(g, node, "%.*s: \"%.*s\" above it is removed in the same request", MC_FMT(n->fqn), MC_FMT(above));
  if (n->kind == NODE_PROPERTY)
    return bad_node(g, node, "%.*s: there is no struct \"%.*s\"", MC_FMT(n->fqn), MC_FMT(above));
  return MC_OK;
}

/* ---- taking in the lists of a request ---- */

static mc_err take_node(catalog_change *g, const json_t *node, bool update)
{
  catalog_node n, old;
  if (catalog_node_read(node, g->call->arena, &n))
    return MC_ERR_MEMORY;
  if (mc_strmap_get(&g->index, n.fqn, NULL) || (update && mc_strmap_get(&g->removed, n.fqn, NULL)))
    return bad_node(g, node, "%.*s: it is named twice in the request", MC_FMT(n.fqn));
  MC_TRY(catalog_node_get(g->call->c, g->call->tenant, g->catalog, n.fqn, g->call->arena, &old, g->why));
  if (!update && old.kind != NODE_NONE && !mc_strmap_get(&g->removed, n.fqn, NULL))
    return bad_node(g, node, "%.*s: the catalog has it already", MC_FMT(n.fqn));
  if (update && old.kind == NODE_NONE)
    return bad_node(g, node, "%.*s: the catalog does not have it", MC_FMT(n.fqn));
  if (update && old.kind != n.kind)
    return bad_node(g, node, "%.*s: it is a %s and cannot become a %s; remove it and add it anew", MC_FMT(n.fqn), node_member[old.kind], node_member[n.kind]);
  MC_TRY(mc_strmap_put(&g->index, n.fqn, g->put.len));
  return mc_vec_push(&g->put, n);
}

static mc_err check_nodes(catalog_change *g, const json_t *list)
{
  json_t *node;
  size_t i;
  json_array_foreach ((json_t *)list, i, node) {
    uint64_t at;
    if (!mc_strmap_get(&g->index, catalog_node_name(node), &at) || at >= g->put.len)
      continue; /* refused before */
    const catalog_node *n = &g->put.at[at];
    MC_TRY(check_place(g, node, n));
    MC_TRY(check_type(g, node, n));
  }
  return MC_OK;
}

/* Both lists, then the rules that need all of them, then the branches in between. */
static mc_err take_lists(catalog_change *g, const json_t *add, const json_t *update)
{
  json_t *node;
  size_t i;
  json_array_foreach ((json_t *)add, i, node)
    MC_TRY(take_node(g, node, false));
  json_array_foreach ((json_t *)update, i, node)
    MC_TRY(take_node(g, node, true));
  MC_TRY(check_nodes(g, add));
  MC_TRY(check_nodes(g, update));
  if (g->bad) {
    char reason[MC_WHY_TEXT];
    snprintf(reason, sizeof reason, "%s", g->why->text);
    return control_bad(g->call, MC_CONTROL_INVALID_NODE, g->why, "%s%s", reason, g->bad > 1 ? " (and others)" : "");
  }
  size_t given = g->put.len;
  for (i = 0; i < given; i++)
    MC_TRY(mc_strmap_put(&g->made, g->put.at[i].fqn, 1));
  for (i = 0; i < given; i++)
    MC_TRY(catalog_branches_above(g->call->c, g->call->tenant, g->catalog, g->put.at[i].fqn, &g->made, g->call->arena, &g->put, g->why));
  return MC_OK;
}

/* ---- removing ---- */

/* The first of them that does not go as well; empty: all go. */
static mc_slice staying(const catalog_change *g, const mc_slice *fqn, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (!mc_strmap_get(&g->removed, fqn[i], NULL))
      return fqn[i];
  return (mc_slice){0};
}

static const char below_sql[] = "SELECT fqn FROM catalog_document WHERE tenant = $1 AND catalog = $2 AND fqn > $3 || '.' AND fqn < $3 || '/'";
static const char using_sql[] = "SELECT fqn FROM catalog_document WHERE tenant = $1 AND catalog = $2 AND structure = $3";

static mc_err check_removal(catalog_change *g, mc_slice fqn)
{
  control_call *call = g->call;
  char hint[MC_WHY_TEXT] = "";
  catalog_node old;
  mc_slice *names;
  size_t n;
  MC_TRY(catalog_node_get(call->c, call->tenant, g->catalog, fqn, NULL, &old, g->why));
  if (old.kind == NODE_NONE) {
    snprintf(hint, sizeof hint, "the catalog does not have it");
  } else if (old.kind == NODE_BRANCH || old.kind == NODE_STRUCT) {
    MC_TRY(vocabulary_texts(call, below_sql, g->catalog, fqn, &names, &n, g->why));
    mc_slice left = staying(g, names, n);
    if (!left.len && old.kind == NODE_STRUCT) {
      MC_TRY(vocabulary_texts(call, using_sql, g->catalog, fqn, &names, &n, g->why));
      left = staying(g, names, n);
    }
    if (left.len)
      snprintf(hint, sizeof hint, "\"%.*s\" needs it and stays: remove that as well", MC_FMT(left));
  }
  if (hint[0]) {
    control_bad_signal(call, fqn, hint, NULL);
    g->bad++;
  }
  return MC_OK;
}

static mc_err take_removals(catalog_change *g, const json_t *list)
{
  json_t *item;
  size_t i;
  json_array_foreach ((json_t *)list, i, item) {
    mc_slice fqn = mc_slice_str(json_string_value(item));
    if (mc_strmap_get(&g->removed, fqn, NULL)) {
      control_bad_signal(g->call, fqn, "it is named twice in the request", NULL);
      g->bad++;
    }
    MC_TRY(mc_strmap_put(&g->removed, fqn, 1));
  }
  json_array_foreach ((json_t *)list, i, item)
    MC_TRY(check_removal(g, mc_slice_str(json_string_value(item))));
  return g->bad ? control_bad(g->call, MC_CONTROL_INVALID_SIGNALS, g->why, "%zu of the nodes cannot be removed", g->bad) : MC_OK;
}

/* ---- writing ---- */

/* Drafts that name what went are told so. */
static mc_err invalidate_drafts(catalog_change *g, mc_slice fqn)
{
  char text[300];
  int n = snprintf(text, sizeof text, "%.*s is not in the catalog any more", MC_FMT(fqn));
  return mc_db_run(g->call->c->config.db, g->why,
                   "UPDATE vocabulary_resource SET status = 2, message = $4 WHERE tenant = $1 AND kind = 2 AND parent = $2 AND status = 0 AND EXISTS "
                   "(SELECT 1 FROM model_node m WHERE m.tenant = $1 AND m.model = vocabulary_resource.name AND m.fqn = $3)",
                   "ittt", (int64_t)g->call->tenant, g->catalog, fqn, mc_slice_of(text, (size_t)n));
}

static mc_err check_total(catalog_change *g)
{
  mc_stmt *s;
  uint64_t most = control_limit_of(g->call, LIMIT_CATALOG_NODES);
  MC_TRY(mc_db_prepare(g->call->c->config.db, "SELECT COUNT(*) FROM catalog_document WHERE tenant = $1 AND catalog = $2", &s, g->why));
  mc_stmt_bind_int(s, 1, g->call->tenant);
  mc_stmt_bind_text(s, 2, g->catalog);
  mc_err err = mc_stmt_step(s, g->why);
  uint64_t n = err ? 0 : (uint64_t)mc_stmt_int(s, 0);
  mc_stmt_release(&s);
  MC_TRY(err);
  return n <= most ? MC_OK
                   : control_limit(g->call, "signal-catalog", g->catalog, g->why, "the catalog would have %llu nodes; at most %llu (setting fleetwise_catalog_nodes)",
                                   (unsigned long long)n, (unsigned long long)most);
}

static mc_err write_rows(catalog_change *g, const resource_head *head, const json_t *remove, bool fresh)
{
  control_call *call = g->call;
  json_t *item;
  size_t i;
  MC_TRY(resource_put(call->c, call->tenant, RESOURCE_CATALOG, head, g->why));
  json_array_foreach ((json_t *)remove, i, item) {
    mc_slice fqn = mc_slice_str(json_string_value(item));
    MC_TRY(catalog_node_delete(call->c, call->tenant, g->catalog, fqn, g->why));
    if (!mc_strmap_get(&g->index, fqn, NULL)) /* not put in again */
      MC_TRY(invalidate_drafts(g, fqn));
  }
  MC_TRY(catalog_nodes_write(call->c, call->tenant, g->catalog, &g->put, g->why));
  MC_TRY(check_total(g));
  return fresh ? control_tags_set(call, "signal-catalog", g->catalog, json_object_get(call->in, "tags"), g->why) : MC_OK;
}

static mc_err apply(catalog_change *g, const resource_head *head, const json_t *remove, bool fresh)
{
  mc_campaigns *c = g->call->c;
  MC_TRY(catalog_nodes_number(c, g->call->tenant, &g->put, g->why));
  MC_TRY(mc_db_begin(c->config.db, true, g->why));
  mc_err err = write_rows(g, head, remove, fresh);
  mc_err end = mc_db_end(c->config.db, err == MC_OK, err ? NULL : g->why);
  return err ? err : end;
}

/* ---- operations ---- */

static mc_err make(control_call *call, const json_t *nodes, mc_why *why)
{
  resource_head head;
  MC_TRY(resource_fresh(call, RESOURCE_CATALOG, &head, why));
  MC_TRY(resource_room(call, RESOURCE_CATALOG, LIMIT_CATALOGS, (mc_slice){0}, head.name, why));
  head.status = RESOURCE_ACTIVE;
  catalog_change g = {.call = call, .catalog = head.name, .why = why};
  mc_err err = take_lists(&g, nodes, NULL);
  if (!err)
    err = apply(&g, &head, NULL, true);
  change_free(&g);
  if (!err)
    resource_answer(call, RESOURCE_CATALOG, head.name);
  return err;
}

static mc_err create_locked(control_call *call, mc_why *why) { return make(call, json_object_get(call->in, "nodes"), why); }

mc_err control_create_signal_catalog(control_call *call, mc_why *why) { return vocabulary_locked(call, create_locked, why); }

static mc_err import_locked(control_call *call, mc_why *why)
{
  json_t *nodes = NULL;
  mc_why inner = {0};
  if (!json_object_get(call->in, "vss"))
    return control_invalid(call, "vss", why, "a tree is needed: {\"vssJson\": \"...\"}");
  mc_err err = vss_nodes(control_text(json_object_get(call->in, "vss"), "vssJson"), &nodes, &inner);
  if (err == MC_ERR_INVALID || err == MC_ERR_MALFORMED)
    return control_invalid(call, "vss.vssJson", why, "%s", inner.text);
  if (!err)
    err = make(call, nodes, why);
  json_decref(nodes);
  return err;
}

mc_err control_import_signal_catalog(control_call *call, mc_why *why) { return vocabulary_locked(call, import_locked, why); }

static mc_err update_locked(control_call *call, mc_why *why)
{
  resource_head head;
  const json_t *add = json_object_get(call->in, "nodesToAdd"), *update = json_object_get(call->in, "nodesToUpdate"), *remove = json_object_get(call->in, "nodesToRemove");
  MC_TRY(resource_need(call, RESOURCE_CATALOG, control_text(call->in, "name"), &head, why));
  catalog_change g = {.call = call, .catalog = head.name, .why = why};
  if (json_object_get(call->in, "description"))
    head.description = control_text(call->in, "description");
  head.updated_us = mc_clock_wall_us();
  mc_err err = take_removals(&g, remove);
  if (!err)
    err = take_lists(&g, add, update);
  if (!err)
    err = catalog_keeps_promises(call, head.name, add, update, remove, why);
  if (!err)
    err = apply(&g, &head, remove, false);
  change_free(&g);
  if (!err)
    resource_answer(call, RESOURCE_CATALOG, head.name);
  return err;
}

mc_err control_update_signal_catalog(control_call *call, mc_why *why) { return vocabulary_locked(call, update_locked, why); }

static mc_err delete_rows(control_call *call, mc_slice name, mc_why *why)
{
  mc_db *db = call->c->config.db;
  int64_t tenant = call->tenant;
  MC_TRY(resource_delete(call->c, call->tenant, RESOURCE_CATALOG, name, why));
  /* First the vocabulary, of what no other catalog has. */
  MC_TRY(mc_db_run(db, why,
                   "DELETE FROM catalog_node WHERE tenant = $1 AND EXISTS (SELECT 1 FROM catalog_document d WHERE d.tenant = $1 AND d.catalog = $2 AND d.fqn = catalog_node.fqn) AND "
                   "NOT EXISTS (SELECT 1 FROM vocabulary_resource r JOIN catalog_document o ON o.tenant = r.tenant AND o.catalog = r.name AND o.fqn = catalog_node.fqn "
                   "WHERE r.tenant = $1 AND r.kind = 1)",
                   "it", tenant, name));
  return mc_db_run(db, why, "DELETE FROM catalog_document WHERE tenant = $1 AND catalog = $2", "it", tenant, name);
}

/* Fleets name their catalog. */
static mc_err fleet_of_catalog(control_call *call, mc_slice catalog, mc_slice *id, mc_why *why)
{
  mc_fleet *list;
  mc_slice after = {0};
  size_t n;
  *id = (mc_slice){0};
  do {
    MC_TRY(mc_registry_fleet_list(call->c->config.registry, call->tenant, after, 500, call->arena, &list, &n, why));
    for (size_t i = 0; i < n && !id->len; i++)
      if (mc_slice_eq(list[i].catalog, catalog))
        *id = list[i].id;
    after = n ? list[n - 1].id : after;
  } while (n == 500 && !id->len);
  return MC_OK;
}

/* Campaigns and state templates do, too. */
static mc_err written_for_catalog(control_call *call, mc_slice catalog, const char **kind, mc_slice *name)
{
  *kind = "campaign";
  pthread_mutex_lock(&call->c->lock);
  mc_slice found = campaign_of_catalog(call->c, call->tenant, catalog);
  if (!found.len) {
    *kind = "state template";
    found = campaign_template_of_catalog(call->c, call->tenant, catalog);
  }
  mc_err err = mc_arena_copy(call->arena, found, name);
  pthread_mutex_unlock(&call->c->lock);
  return err;
}

static mc_err delete_locked(control_call *call, mc_why *why)
{
  mc_slice name = control_text(call->in, "name"), user;
  const char *kind;
  MC_TRY(resource_child(call->c, call->tenant, RESOURCE_MODEL, name, call->arena, &user, why));
  if (user.len)
    return control_conflict(call, "signal-catalog", name, why, "the model \"%.*s\" is made of it: delete that first", MC_FMT(user));
  MC_TRY(fleet_of_catalog(call, name, &user, why));
  if (user.len)
    return control_conflict(call, "signal-catalog", name, why, "the fleet \"%.*s\" names it: delete that first", MC_FMT(user));
  MC_TRY(written_for_catalog(call, name, &kind, &user));
  if (user.len)
    return control_conflict(call, "signal-catalog", name, why, "the %s \"%.*s\" was written for it: delete that first", kind, MC_FMT(user));
  MC_TRY(mc_db_begin(call->c->config.db, true, why));
  mc_err err = delete_rows(call, name, why);
  mc_err end = mc_db_end(call->c->config.db, err == MC_OK, err ? NULL : why);
  MC_TRY(err ? err : end);
  resource_answer(call, RESOURCE_CATALOG, name);
  return MC_OK;
}

mc_err control_delete_signal_catalog(control_call *call, mc_why *why) { return vocabulary_locked(call, delete_locked, why); }

static mc_err count_kinds(control_call *call, mc_slice catalog, int64_t count[NODE_KINDS], mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(call->c->config.db, false, why));
  mc_err err = mc_db_prepare(call->c->config.db, "SELECT kind, COUNT(*) FROM catalog_document WHERE tenant = $1 AND catalog = $2 GROUP BY kind", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, call->tenant);
    mc_stmt_bind_text(s, 2, catalog);
    while ((err = mc_stmt_step(s, why)) == MC_OK) {
      int64_t kind = mc_stmt_int(s, 0);
      if (kind >= 0 && kind < NODE_KINDS)
        count[kind] = mc_stmt_int(s, 1);
    }
    mc_stmt_release(&s);
  }
  mc_db_end(call->c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err control_get_signal_catalog(control_call *call, mc_why *why)
{
  static const char *const names[NODE_KINDS] = {"totalBranches", "totalSensors", "totalActuators", "totalAttributes", "totalStructs", "totalProperties"};
  resource_head head;
  int64_t count[NODE_KINDS] = {0}, total = 0;
  MC_TRY(resource_need(call, RESOURCE_CATALOG, control_text(call->in, "name"), &head, why));
  MC_TRY(count_kinds(call, head.name, count, why));
  resource_answer(call, RESOURCE_CATALOG, head.name);
  if (head.description.len)
    mc_json_text_field(call->out, "description", head.description);
  mc_json_key(call->out, "nodeCounts");
  mc_json_object(call->out);
  for (int i = 0; i < NODE_KINDS; i++) {
    total += count[i];
    mc_json_int_field(call->out, names[i], count[i]);
  }
  mc_json_int_field(call->out, "totalNodes", total);
  mc_json_object_end(call->out);
  resource_times(call, &head);
  return MC_OK;
}

mc_err control_list_signal_catalogs(control_call *call, mc_why *why) { return resource_list(call, RESOURCE_CATALOG, NULL, why); }

void catalog_node_row(mc_json *out, mc_stmt *s)
{
  int64_t kind = mc_stmt_int(s, 1);
  mc_json_object(out);
  mc_json_key(out, kind >= 0 && kind < NODE_KINDS ? node_member[kind] : "branch");
  mc_json_raw(out, mc_stmt_text(s, 2));
  mc_json_object_end(out);
}

mc_err control_list_signal_catalog_nodes(control_call *call, mc_why *why)
{
  static const char *const types[NODE_KINDS] = {"BRANCH", "SENSOR", "ACTUATOR", "ATTRIBUTE", "CUSTOM_STRUCT", "CUSTOM_PROPERTY"};
  mc_slice wanted = control_text(call->in, "signalNodeType");
  resource_head head;
  MC_TRY(resource_need(call, RESOURCE_CATALOG, control_text(call->in, "name"), &head, why));
  vocabulary_query q = {.owner = head.name, .filter = NODE_NONE, .row = catalog_node_row};
  for (int i = 0; i < NODE_KINDS; i++)
    if (mc_slice_eq_str(wanted, types[i]))
      q.filter = i;
  q.sql = "SELECT fqn, kind, document FROM catalog_document WHERE tenant = $1 AND catalog = $2 AND fqn > $3 AND ($5 < 0 OR kind = $5) ORDER BY fqn LIMIT $4";
  return vocabulary_page(call, &q, "nodes", why);
}
