/* An ACTIVE model is promised to vehicles: what it holds neither goes nor changes its type, and the structs of its signals keep their properties. So a decoder
 * manifest, which is made for an ACTIVE model only, stays right as long as it is there. */
#include "campaign/control_catalog.h"

/* ---- what stands in the way ---- */

typedef struct promise {
  control_call *call;
  mc_slice catalog;
  mc_strmap seen; /* structs looked at */
  mc_why *why;
} promise;

static const char active_sql[] = "SELECT r.name FROM vocabulary_resource r JOIN model_node m ON m.tenant = r.tenant AND m.model = r.name AND m.fqn = $3 "
                                 "WHERE r.tenant = $1 AND r.kind = 2 AND r.parent = $2 AND r.status = 1 ORDER BY r.name LIMIT 1";
static const char of_struct_sql[] = "SELECT m.fqn FROM vocabulary_resource r JOIN model_node m ON m.tenant = r.tenant AND m.model = r.name JOIN catalog_document d ON d.tenant = r.tenant "
                                    "AND d.catalog = $2 AND d.fqn = m.fqn AND d.structure = $3 WHERE r.tenant = $1 AND r.kind = 2 AND r.parent = $2 AND r.status = 1 ORDER BY m.fqn LIMIT 1";
static const char properties_sql[] = "SELECT fqn FROM catalog_document WHERE tenant = $1 AND catalog = $2 AND kind = 5 AND structure = $3";

static mc_err check_node(promise *p, mc_slice fqn, const char *what)
{
  mc_slice *model;
  size_t n;
  MC_TRY(vocabulary_texts(p->call, active_sql, p->catalog, fqn, &model, &n, p->why));
  return n ? control_conflict(p->call, "signal-catalog", p->catalog, p->why, "the active model \"%.*s\" has \"%.*s\": it cannot %s", MC_FMT(model[0]), MC_FMT(fqn), what) : MC_OK;
}

static mc_slice above(mc_slice fqn)
{
  size_t dot = fqn.len;
  while (dot > 0 && fqn.data[dot - 1] != '.')
    dot--;
  return dot ? mc_slice_sub(fqn, 0, dot - 1) : (mc_slice){0};
}

typedef MC_VEC(mc_slice) struct_vec;

/* Signals of this struct; structs that hold it are left to do. */
static mc_err check_struct(promise *p, mc_slice structure, struct_vec *todo, mc_slice property, const char *what)
{
  mc_slice *names;
  size_t n;
  if (!structure.len || mc_strmap_get(&p->seen, structure, NULL))
    return MC_OK;
  MC_TRY(mc_strmap_put(&p->seen, structure, 1));
  MC_TRY(vocabulary_texts(p->call, of_struct_sql, p->catalog, structure, &names, &n, p->why));
  if (n)
    return control_conflict(p->call, "signal-catalog", p->catalog, p->why, "\"%.*s\" of an active model is made of \"%.*s\": \"%.*s\" cannot %s", MC_FMT(names[0]), MC_FMT(structure),
                            MC_FMT(property), what);
  MC_TRY(vocabulary_texts(p->call, properties_sql, p->catalog, structure, &names, &n, p->why));
  for (size_t i = 0; i < n; i++)
    MC_TRY(mc_vec_push(todo, above(names[i])));
  return MC_OK;
}

/* At any depth, which is the catalog's: a list and no recursion. */
static mc_err check_property(promise *p, mc_slice property, const char *what)
{
  struct_vec todo = {0};
  mc_strmap_free(&p->seen);
  mc_err err = mc_vec_push(&todo, above(property));
  while (todo.len && !err)
    err = check_struct(p, todo.at[--todo.len], &todo, property, what);
  mc_vec_free(&todo);
  return err;
}

/* ---- the lists of a request ---- */

static mc_err check_added(promise *p, const json_t *add)
{
  json_t *node;
  size_t i;
  json_array_foreach ((json_t *)add, i, node)
    if (json_object_get(node, node_member[NODE_PROPERTY]))
      MC_TRY(check_property(p, catalog_node_name(node), "be added to it"));
  return MC_OK;
}

static mc_err check_updated(promise *p, const json_t *update)
{
  control_call *call = p->call;
  json_t *node;
  size_t i;
  json_array_foreach ((json_t *)update, i, node) {
    catalog_node old;
    const json_t *body = catalog_node_body(node);
    mc_slice fqn = catalog_node_name(node);
    MC_TRY(catalog_node_get(call->c, call->tenant, p->catalog, fqn, call->arena, &old, p->why));
    if (mc_slice_eq(old.data_type, control_text(body, "dataType")) && mc_slice_eq(old.structure, control_text(body, "structFullyQualifiedName")))
      continue;
    MC_TRY(check_node(p, fqn, "get another data type"));
    if (old.kind == NODE_PROPERTY)
      MC_TRY(check_property(p, fqn, "get another data type"));
  }
  return MC_OK;
}

static mc_err check_removed(promise *p, const json_t *remove)
{
  control_call *call = p->call;
  json_t *item;
  size_t i;
  json_array_foreach ((json_t *)remove, i, item) {
    catalog_node old;
    mc_slice fqn = mc_slice_str(json_string_value(item));
    MC_TRY(check_node(p, fqn, "be removed"));
    MC_TRY(catalog_node_get(call->c, call->tenant, p->catalog, fqn, NULL, &old, p->why));
    if (old.kind == NODE_PROPERTY)
      MC_TRY(check_property(p, fqn, "be removed"));
  }
  return MC_OK;
}

mc_err catalog_keeps_promises(control_call *call, mc_slice catalog, const json_t *add, const json_t *update, const json_t *remove, mc_why *why)
{
  promise p = {.call = call, .catalog = catalog, .why = why};
  mc_err err = check_removed(&p, remove);
  if (!err)
    err = check_updated(&p, update);
  if (!err)
    err = check_added(&p, add);
  mc_strmap_free(&p.seen);
  return err;
}
