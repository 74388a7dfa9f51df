/* Nodes of signal catalogs: FleetWise's Node documents as rows, and beside them the vocabulary that samples are shown with. */
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/vocabulary.h"
#include "format/json.h"

const char *const node_member[NODE_KINDS] = {"branch", "sensor", "actuator", "attribute", "struct", "property"};

/* ---- data types ---- */

static const data_type data_types[] = {
    {"INT8", MC_TYPE_INT8, false, false},      {"UINT8", MC_TYPE_UINT8, false, false},     {"INT16", MC_TYPE_INT16, false, false},
    {"UINT16", MC_TYPE_UINT16, false, false},  {"INT32", MC_TYPE_INT32, false, false},     {"UINT32", MC_TYPE_UINT32, false, false},
    {"INT64", MC_TYPE_INT64, false, false},    {"UINT64", MC_TYPE_UINT64, false, false},   {"BOOLEAN", MC_TYPE_BOOL, false, false},
    {"FLOAT", MC_TYPE_FLOAT32, false, false},  {"DOUBLE", MC_TYPE_FLOAT64, false, false},  {"STRING", MC_TYPE_STRING, false, false},
    {"UNIX_TIMESTAMP", MC_TYPE_INT64, false, false},
    {"INT8_ARRAY", MC_TYPE_INT8, true, false}, {"UINT8_ARRAY", MC_TYPE_UINT8, true, false}, {"INT16_ARRAY", MC_TYPE_INT16, true, false},
    {"UINT16_ARRAY", MC_TYPE_UINT16, true, false}, {"INT32_ARRAY", MC_TYPE_INT32, true, false}, {"UINT32_ARRAY", MC_TYPE_UINT32, true, false},
    {"INT64_ARRAY", MC_TYPE_INT64, true, false}, {"UINT64_ARRAY", MC_TYPE_UINT64, true, false}, {"BOOLEAN_ARRAY", MC_TYPE_BOOL, true, false},
    {"FLOAT_ARRAY", MC_TYPE_FLOAT32, true, false}, {"DOUBLE_ARRAY", MC_TYPE_FLOAT64, true, false}, {"STRING_ARRAY", MC_TYPE_STRING, true, false},
    {"UNIX_TIMESTAMP_ARRAY", MC_TYPE_INT64, true, false},
    {"STRUCT", MC_TYPE_STRING, false, true},   {"STRUCT_ARRAY", MC_TYPE_STRING, true, true}, {"UNKNOWN", MC_TYPE_STRING, false, false},
};

const data_type *data_type_find(mc_slice name)
{
  for (size_t i = 0; i < sizeof data_types / sizeof data_types[0]; i++)
    if (mc_slice_eq_str(name, data_types[i].name))
      return &data_types[i];
  return NULL;
}

const char *data_type_of(mc_type type)
{
  for (size_t i = 0; i < sizeof data_types / sizeof data_types[0]; i++)
    if (data_types[i].type == type && !data_types[i].array && !data_types[i].is_struct)
      return data_types[i].name;
  return "UNKNOWN";
}

/* What samples of it are kept as: lists and structs are their JSON text. */
static mc_type sample_type(mc_slice name)
{
  const data_type *t = data_type_find(name);
  return !t || t->array || t->is_struct ? MC_TYPE_STRING : t->type;
}

/* ---- one node ---- */

static bool read_number(const json_t *body, const char *key, double *out)
{
  const json_t *v = json_object_get(body, key);
  *out = json_number_value(v);
  return json_is_number(v);
}

static mc_err dump(const json_t *value, mc_arena *arena, mc_slice *out)
{
  char *text = json_dumps(value, JSON_COMPACT);
  mc_err err = text ? mc_arena_copy(arena, mc_slice_str(text), out) : MC_ERR_MEMORY;
  free(text);
  return err;
}

static const json_t *body_of(const json_t *node, node_kind *kind)
{
  for (int k = 0; k < NODE_KINDS; k++) {
    const json_t *body = json_object_get(node, node_member[k]);
    *kind = body ? (node_kind)k : NODE_NONE;
    if (body)
      return body;
  }
  return NULL;
}

const json_t *catalog_node_body(const json_t *node)
{
  node_kind kind;
  return body_of(node, &kind);
}

mc_slice catalog_node_name(const json_t *node) { return control_text(catalog_node_body(node), "fullyQualifiedName"); }

static void write_more(mc_json *j, const catalog_node *n, const catalog_node_more *more)
{
  if (more && more->comment.len)
    mc_json_text_field(j, "comment", more->comment);
  if (n->kind == NODE_BRANCH || !more)
    return;
  if (more->allowed_count) {
    mc_json_key(j, "allowedValues");
    mc_json_array(j);
    for (uint32_t i = 0; i < more->allowed_count; i++)
      mc_json_text(j, more->allowed[i]);
    mc_json_array_end(j);
  }
  if (more->initial.len && n->kind == NODE_ATTRIBUTE)
    mc_json_text_field(j, "defaultValue", more->initial);
}

mc_err catalog_node_document(catalog_node *n, const catalog_node_more *more, mc_arena *arena)
{
  mc_buf text = {0};
  mc_json j = mc_json_to(&text);
  mc_json_object(&j);
  mc_json_text_field(&j, "fullyQualifiedName", n->fqn);
  if (n->data_type.len)
    mc_json_text_field(&j, "dataType", n->data_type);
  if (n->description.len)
    mc_json_text_field(&j, "description", n->description);
  bool typed = n->data_type.len > 0; /* branches have none, whatever a file says of them */
  if (typed && n->unit.len)
    mc_json_text_field(&j, "unit", n->unit);
  if (typed && n->has_min)
    mc_json_double_field(&j, "min", n->min);
  if (typed && n->has_max)
    mc_json_double_field(&j, "max", n->max);
  write_more(&j, n, more);
  if (typed && n->value_names.len > 2) { /* [] is none */
    mc_json_key(&j, "valueNames");
    mc_json_raw(&j, n->value_names);
  }
  mc_json_object_end(&j);
  mc_err err = mc_json_end(&j);
  if (!err)
    err = mc_arena_copy(arena, mc_buf_slice(&text), &n->document);
  mc_buf_free(&text);
  return err;
}

mc_err catalog_node_read(const json_t *node, mc_arena *arena, catalog_node *out)
{
  *out = (catalog_node){.kind = NODE_NONE};
  const json_t *body = body_of(node, &out->kind);
  if (!body)
    return MC_ERR_INVALID;
  out->fqn = control_text(body, "fullyQualifiedName");
  out->data_type = control_text(body, "dataType");
  out->structure = control_text(body, "structFullyQualifiedName");
  out->unit = control_text(body, "unit");
  out->description = control_text(body, "description");
  out->has_min = read_number(body, "min", &out->min);
  out->has_max = read_number(body, "max", &out->max);
  out->value_names = MC_LIT("[]");
  if (json_is_array(json_object_get(body, "valueNames")))
    MC_TRY(dump(json_object_get(body, "valueNames"), arena, &out->value_names));
  return dump(body, arena, &out->document);
}

#define NODE "SELECT fqn, kind, data_type, structure, document FROM catalog_document "

static mc_err read_row(mc_stmt *s, mc_arena *arena, catalog_node *out)
{
  int64_t kind = mc_stmt_int(s, 1);
  *out = (catalog_node){.kind = (node_kind)kind};
  if (kind < 0 || kind >= NODE_KINDS)
    return MC_ERR_MALFORMED;
  if (!arena)
    return MC_OK;
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 0), &out->fqn));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 2), &out->data_type));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 3), &out->structure));
  return mc_arena_copy(arena, mc_stmt_text(s, 4), &out->document);
}

mc_err catalog_node_get(mc_campaigns *c, uint32_t tenant, mc_slice catalog, mc_slice fqn, mc_arena *arena, catalog_node *out, mc_why *why)
{
  mc_stmt *s;
  *out = (catalog_node){.kind = NODE_NONE};
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, NODE "WHERE tenant = $1 AND catalog = $2 AND fqn = $3", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, catalog);
    mc_stmt_bind_text(s, 3, fqn);
    err = mc_stmt_step(s, why);
    err = err == MC_ERR_END ? MC_OK : err ? err : read_row(s, arena, out);
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err;
}

/* ---- many ---- */

mc_err catalog_branches_above(mc_campaigns *c, uint32_t tenant, mc_slice catalog, mc_slice fqn, mc_strmap *made, mc_arena *arena, catalog_node_vec *out, mc_why *why)
{
  catalog_node there;
  for (size_t end = fqn.len; end-- > 0;) {
    if (fqn.data[end] != '.')
      continue;
    mc_slice above = mc_slice_sub(fqn, 0, end);
    if (!above.len || mc_strmap_get(made, above, NULL))
      break;
    MC_TRY(catalog_node_get(c, tenant, catalog, above, NULL, &there, why));
    MC_TRY(mc_strmap_put(made, above, 1)); /* looked at once */
    if (there.kind != NODE_NONE)
      break;
    catalog_node n = {.kind = NODE_BRANCH, .value_names = MC_LIT("[]")};
    MC_TRY(mc_arena_copy(arena, above, &n.fqn));
    MC_TRY(catalog_node_document(&n, NULL, arena));
    MC_TRY(mc_vec_push(out, n));
  }
  return MC_OK;
}

mc_err catalog_nodes_number(mc_campaigns *c, uint32_t tenant, catalog_node_vec *nodes, mc_why *why)
{
  MC_VEC(mc_slice) fqn = {0};
  mc_err err = mc_vec_reserve(&fqn, nodes->len);
  for (size_t i = 0; i < nodes->len && !err; i++)
    if (node_is_signal(nodes->at[i].kind))
      err = mc_vec_push(&fqn, nodes->at[i].fqn);
  uint32_t *id = calloc(fqn.len ? fqn.len : 1, sizeof *id);
  if (!err)
    err = id ? mc_registry_signal_ids(c->config.registry, tenant, fqn.at, fqn.len, id, why) : MC_ERR_MEMORY;
  size_t at = 0;
  for (size_t i = 0; i < nodes->len && !err; i++)
    if (node_is_signal(nodes->at[i].kind))
      nodes->at[i].signal = id[at++];
  free(id);
  mc_vec_free(&fqn);
  return err;
}

static mc_err write_node(mc_campaigns *c, uint32_t tenant, mc_slice catalog, const catalog_node *n, mc_why *why)
{
  MC_TRY(mc_db_run(c->config.db, why,
                   "INSERT INTO catalog_document (tenant, catalog, fqn, kind, data_type, structure, document) VALUES ($1, $2, $3, $4, $5, $6, $7) "
                   "ON CONFLICT (tenant, catalog, fqn) DO UPDATE SET kind = excluded.kind, data_type = excluded.data_type, structure = excluded.structure, "
                   "document = excluded.document",
                   "ittittt", (int64_t)tenant, catalog, n->fqn, (int64_t)n->kind, n->data_type, n->structure, n->document));
  if (!node_is_signal(n->kind))
    return MC_OK;
  return campaign_catalog_put(c, tenant, n->signal, n->fqn, node_member[n->kind], sample_type(n->data_type), n->unit, n->description, n->has_min && n->has_max, n->min, n->max,
                              n->value_names, why);
}

mc_err catalog_nodes_write(mc_campaigns *c, uint32_t tenant, mc_slice catalog, const catalog_node_vec *nodes, mc_why *why)
{
  for (size_t i = 0; i < nodes->len; i++)
    MC_TRY(write_node(c, tenant, catalog, &nodes->at[i], why));
  return MC_OK;
}

/* The vocabulary forgets a name that no catalog has any more; its id stays its own. */
mc_err catalog_node_delete(mc_campaigns *c, uint32_t tenant, mc_slice catalog, mc_slice fqn, mc_why *why)
{
  MC_TRY(mc_db_run(c->config.db, why, "DELETE FROM catalog_document WHERE tenant = $1 AND catalog = $2 AND fqn = $3", "itt", (int64_t)tenant, catalog, fqn));
  return mc_db_run(c->config.db, why,
                   "DELETE FROM catalog_node WHERE tenant = $1 AND fqn = $2 AND NOT EXISTS (SELECT 1 FROM vocabulary_resource r JOIN catalog_document d ON d.tenant = r.tenant AND "
                   "d.catalog = r.name AND d.fqn = $2 WHERE r.tenant = $1 AND r.kind = 1)",
                   "it", (int64_t)tenant, fqn);
}

mc_err catalog_ensure(mc_campaigns *c, uint32_t tenant, mc_slice name, mc_why *why)
{
  int64_t now = mc_clock_wall_us();
  return mc_db_run(c->config.db, why,
                   "INSERT INTO vocabulary_resource (tenant, kind, name, description, parent, message, status, unmapped, created_us, updated_us) VALUES "
                   "($1, 1, $2, '', '', '', 1, 0, $3, $3) ON CONFLICT (tenant, kind, name) DO UPDATE SET updated_us = excluded.updated_us",
                   "iti", (int64_t)tenant, name, now);
}
