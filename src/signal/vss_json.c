/* VSS JSON exports: {"Vehicle": {"type": "branch", "children": {...}}}; instances are expanded already. */
#include <jansson.h>

#include "signal/vss_tree.h"

static mc_err keep(mc_vss_tree *t, const json_t *value, mc_slice *out)
{
  if (!json_is_string(value))
    return MC_OK;
  mc_slice text = mc_slice_trim(mc_slice_of(json_string_value(value), json_string_length(value)));
  return mc_arena_copy(t->arena, text, out) ? mc_err_set(t->why, MC_ERR_MEMORY, "out of memory for the signal tree") : MC_OK;
}

/* A number or text of any JSON value that is not a list or object. */
static char *scalar_text(mc_vss_tree *t, const json_t *v)
{
  if (json_is_string(v))
    return mc_arena_str(t->arena, mc_slice_of(json_string_value(v), json_string_length(v)));
  char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
  char *kept = text ? mc_arena_str(t->arena, mc_slice_str(text)) : NULL;
  free(text);
  return kept;
}

static mc_err read_allowed(mc_vss_tree *t, const json_t *list, mc_vss_node *n)
{
  size_t count = json_array_size(list), i;
  const json_t *item;
  if (count == 0 || count > MC_VSS_NODES_MAX)
    return MC_OK;
  n->allowed.at = mc_arena_array(t->arena, count, sizeof *n->allowed.at);
  json_array_foreach((json_t *)list, i, item)
  {
    char *text = n->allowed.at ? scalar_text(t, item) : NULL;
    if (!text)
      return mc_err_set(t->why, MC_ERR_MEMORY, "out of memory for the signal tree");
    n->allowed.at[i] = mc_slice_str(text);
  }
  n->allowed.count = (uint32_t)count;
  return MC_OK;
}

static mc_err read_enum(mc_vss_tree *t, json_t *object, mc_vss_node *n)
{
  size_t count = json_object_size(object), i = 0;
  const char *name;
  json_t *value;
  if (count == 0)
    return MC_OK;
  n->allowed.at = mc_arena_array(t->arena, count, sizeof *n->allowed.at);
  n->allowed_value = mc_arena_array(t->arena, count, sizeof *n->allowed_value);
  if (!n->allowed.at || !n->allowed_value)
    return mc_err_set(t->why, MC_ERR_MEMORY, "out of memory for the signal tree");
  json_object_foreach(object, name, value) {
    char *text = mc_arena_str(t->arena, mc_slice_str(name));
    if (!text)
      return mc_err_set(t->why, MC_ERR_MEMORY, "out of memory for the signal tree");
    n->allowed.at[i] = mc_slice_str(text);
    n->allowed_value[i++] = json_is_integer(value) ? json_integer_value(value) : (int64_t)json_number_value(value);
  }
  n->allowed.count = (uint32_t)count;
  return MC_OK;
}

static mc_err read_node(mc_vss_tree *t, mc_vss_node *parent, const char *name, const json_t *v, int depth);

static mc_err read_fields(mc_vss_tree *t, mc_vss_node *n, const json_t *v, int depth)
{
  const char *kind = json_string_value(json_object_get(v, "type")), *name;
  json_t *item;
  if (!kind || !mc_vss_kind_of(mc_slice_str(kind), &n->kind))
    return mc_err_set(t->why, MC_ERR_MALFORMED, "VSS JSON: %.*s: type '%.60s'; expected branch, sensor, actuator or attribute",
                      MC_FMT(mc_slice_sub(n->name, 0, 150)), kind ? kind : "(none)");
  MC_TRY(keep(t, json_object_get(v, "datatype"), &n->datatype));
  MC_TRY(keep(t, json_object_get(v, "unit"), &n->unit));
  MC_TRY(keep(t, json_object_get(v, "description"), &n->description));
  MC_TRY(keep(t, json_object_get(v, "comment"), &n->comment));
  n->has_min = json_is_number(json_object_get(v, "min"));
  n->has_max = json_is_number(json_object_get(v, "max"));
  n->min = json_number_value(json_object_get(v, "min"));
  n->max = json_number_value(json_object_get(v, "max"));
  if ((item = json_object_get(v, "default"))) {
    char *text = scalar_text(t, item);
    if (!text)
      return mc_err_set(t->why, MC_ERR_MEMORY, "out of memory for the signal tree");
    n->initial = mc_slice_str(text);
  }
  MC_TRY(read_allowed(t, json_object_get(v, "allowed"), n));
  MC_TRY(read_enum(t, json_object_get(v, "enum"), n));
  json_object_foreach(json_object_get(v, "children"), name, item) MC_TRY(read_node(t, n, name, item, depth + 1));
  return MC_OK;
}

static mc_err read_node(mc_vss_tree *t, mc_vss_node *parent, const char *name, const json_t *v, int depth)
{
  if (!json_is_object(v))
    return mc_err_set(t->why, MC_ERR_MALFORMED, "VSS JSON: %.150s: expected an object with type, datatype, ...", name);
  if (depth > MC_VSS_DEPTH_MAX)
    return mc_err_set(t->why, MC_ERR_TOO_LARGE, "VSS JSON: %.150s lies deeper than %d levels", name, MC_VSS_DEPTH_MAX);
  char *kept = mc_arena_str(t->arena, mc_slice_str(name));
  if (!kept)
    return mc_err_set(t->why, MC_ERR_MEMORY, "out of memory for the signal tree");
  mc_vss_node *n = mc_vss_child_make(t, parent, mc_slice_str(kept));
  return n ? read_fields(t, n, v, depth) : t->why ? t->why->err : MC_ERR_MEMORY;
}

mc_err mc_catalog_read_vss_json(mc_slice json, mc_catalog *out, mc_why *why)
{
  mc_why own;
  json_error_t error;
  const char *name;
  json_t *item;
  *out = (mc_catalog){.arena = MC_ARENA(0)};
  mc_vss_tree t = {.arena = &out->arena, .why = why ? why : &own};
  json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    return mc_err_set(why, MC_ERR_MALFORMED, "VSS JSON, line %d, column %d: %s", error.line, error.column, error.text);
  mc_err err = json_is_object(root) ? MC_OK : mc_err_set(t.why, MC_ERR_MALFORMED, "VSS JSON: expected an object with the root branch");
  json_object_foreach(root, name, item)
  {
    if (err)
      break;
    if (strcmp(name, "ComplexDataTypes") != 0)
      err = read_node(&t, &t.root, name, item, 1);
  }
  json_decref(root);
  if (!err)
    err = mc_vss_tree_finish(&t, out);
  if (err)
    mc_catalog_free(out);
  return err;
}
