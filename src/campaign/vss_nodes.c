/* A VSS tree in JSON as FleetWise's Nodes: nothing of it is lost that a Node can say. */
#include <stdio.h>
#include <stdlib.h>

#include "campaign/vocabulary.h"

enum { MAX_FQN = 150 };

typedef struct vss_run {
  json_t *out;
  mc_why *why;
} vss_run;

static const struct {
  const char *vss, *node;
} vss_types[] = {
    {"int8", "INT8"},     {"uint8", "UINT8"},   {"int16", "INT16"},     {"uint16", "UINT16"}, {"int32", "INT32"},   {"uint32", "UINT32"}, {"int64", "INT64"},
    {"uint64", "UINT64"}, {"boolean", "BOOLEAN"}, {"float", "FLOAT"}, {"double", "DOUBLE"}, {"string", "STRING"}, {"unixTimestamp", "UNIX_TIMESTAMP"},
};

static const char *word(const json_t *from, const char *key) { return json_string_value(json_object_get(from, key)); }

static mc_err wrong(vss_run *r, const char *fqn, const char *what)
{
  return mc_err_set(r->why, MC_ERR_INVALID, "%.150s: %s", *fqn ? fqn : "the root", what);
}

/* Values are texts in a Node, whatever they are in VSS. */
static json_t *text_of(const json_t *v)
{
  if (json_is_string(v))
    return json_incref((json_t *)v);
  char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
  json_t *out = text ? json_string(text) : NULL;
  free(text);
  return out;
}

/* "float", "float[]", or the name of a struct, "Types.Position" or "Types.Position[]". */
static mc_err put_type(vss_run *r, const char *fqn, const json_t *from, json_t *body)
{
  char name[MAX_FQN + 8], type[32];
  const char *given = word(from, "datatype");
  if (!given)
    return wrong(r, fqn, "it has no \"datatype\"");
  if (strlen(given) > MAX_FQN)
    return wrong(r, fqn, "its \"datatype\" is too long");
  snprintf(name, sizeof name, "%s", given);
  size_t len = strlen(name);
  bool array = len > 2 && strcmp(name + len - 2, "[]") == 0;
  if (array)
    name[len - 2] = 0;
  const char *known = NULL;
  for (size_t i = 0; i < sizeof vss_types / sizeof vss_types[0] && !known; i++)
    if (strcmp(vss_types[i].vss, name) == 0)
      known = vss_types[i].node;
  if (!known && !strchr(name, '.'))
    return wrong(r, fqn, "its \"datatype\" is neither one of VSS nor the full name of a struct");
  snprintf(type, sizeof type, "%s%s", known ? known : "STRUCT", array ? "_ARRAY" : "");
  if (!known && json_object_set_new(body, "structFullyQualifiedName", json_string(name)))
    return MC_ERR_MEMORY;
  return json_object_set_new(body, "dataType", json_string(type)) ? MC_ERR_MEMORY : MC_OK;
}

static mc_err put_text(const json_t *from, const char *key, json_t *body, const char *as)
{
  const char *text = word(from, key);
  if (!text || !*text)
    return MC_OK;
  mc_slice cut = mc_slice_sub(mc_slice_str(text), 0, 2048);
  while (cut.len && !mc_slice_is_utf8(cut))
    cut.len--;
  return json_object_set_new(body, as, json_stringn((const char *)cut.data, cut.len)) ? MC_ERR_MEMORY : MC_OK;
}

static mc_err put_values(const json_t *from, node_kind kind, json_t *body)
{
  const json_t *min = json_object_get(from, "min"), *max = json_object_get(from, "max"), *initial = json_object_get(from, "default");
  json_t *allowed = json_object_get(from, "allowed"), *item;
  size_t i;
  if (json_is_number(min) && json_object_set(body, "min", (json_t *)min))
    return MC_ERR_MEMORY;
  if (json_is_number(max) && json_object_set(body, "max", (json_t *)max))
    return MC_ERR_MEMORY;
  if (json_array_size(allowed)) {
    json_t *list = json_array();
    json_array_foreach (allowed, i, item)
      if (json_array_append_new(list, text_of(item))) {
        json_decref(list);
        return MC_ERR_MEMORY;
      }
    if (json_object_set_new(body, "allowedValues", list))
      return MC_ERR_MEMORY;
  }
  if (kind == NODE_ATTRIBUTE && initial && !json_is_null(initial) && json_object_set_new(body, "defaultValue", text_of(initial)))
    return MC_ERR_MEMORY;
  return MC_OK;
}

static mc_err fill(vss_run *r, const char *fqn, node_kind kind, const json_t *from, json_t *body)
{
  static const struct {
    const char *vss, *node;
  } texts[] = {{"description", "description"}, {"comment", "comment"}, {"deprecation", "deprecationMessage"}};
  if (json_object_set_new(body, "fullyQualifiedName", json_string(fqn)))
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    MC_TRY(put_text(from, texts[i].vss, body, texts[i].node));
  if (kind == NODE_BRANCH || kind == NODE_STRUCT)
    return MC_OK;
  MC_TRY(put_type(r, fqn, from, body));
  if (kind == NODE_PROPERTY)
    return MC_OK;
  MC_TRY(put_text(from, "unit", body, "unit"));
  return put_values(from, kind, body);
}

static mc_err put_node(vss_run *r, const char *fqn, node_kind kind, const json_t *from)
{
  json_t *body = json_object(), *node = json_object();
  mc_err err = body && node ? fill(r, fqn, kind, from, body) : MC_ERR_MEMORY;
  if (!err && (json_object_set(node, node_member[kind], body) || json_array_append(r->out, node)))
    err = MC_ERR_MEMORY;
  json_decref(body);
  json_decref(node);
  return err;
}

static bool name_ok(const char *name)
{
  for (const char *p = name; *p; p++)
    if (!((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') && !(*p >= '0' && *p <= '9') && *p != '_')
      return false;
  return *name != 0;
}

static mc_err walk(vss_run *r, const char *above, json_t *children) // NOLINT(misc-no-recursion): as deep as a name is long
{
  const char *name;
  json_t *value;
  char fqn[MAX_FQN + 2];
  json_object_foreach (children, name, value) {
    const char *type = word(value, "type");
    node_kind kind = NODE_NONE;
    int n = snprintf(fqn, sizeof fqn, "%s%s%s", above, *above ? "." : "", name);
    if (!name_ok(name) || n > MAX_FQN)
      return wrong(r, above, "a name below it is not one of letters, digits and _, or becomes longer than 150 characters");
    for (int k = 0; k < NODE_KINDS && type; k++)
      if (strcmp(type, node_member[k]) == 0)
        kind = (node_kind)k;
    if (kind == NODE_NONE)
      return wrong(r, fqn, "\"type\" is none of branch, sensor, actuator, attribute, struct and property");
    mc_err err = put_node(r, fqn, kind, value);
    json_t *below = json_object_get(value, "children");
    if (!err && below && (kind == NODE_BRANCH || kind == NODE_STRUCT))
      err = walk(r, fqn, below);
    else if (!err && below)
      err = wrong(r, fqn, "only branches and structs have \"children\"");
    if (err)
      return err;
  }
  return MC_OK;
}

mc_err vss_nodes(mc_slice json, json_t **out, mc_why *why)
{
  json_error_t bad;
  json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &bad);
  if (!json_is_object(root)) {
    json_decref(root);
    return mc_err_set(why, MC_ERR_MALFORMED, "line %d, column %d: %s", bad.line, bad.column, root ? "not an object" : bad.text);
  }
  vss_run r = {json_array(), why};
  json_t *types = json_object_get(root, "ComplexDataTypes"); /* how vss-tools put structs beside the tree */
  mc_err err = r.out ? MC_OK : MC_ERR_MEMORY;
  if (types) {
    err = err ? err : walk(&r, "", types);
    json_incref(types);
    json_object_del(root, "ComplexDataTypes");
    json_decref(types);
  }
  if (!err)
    err = walk(&r, "", root);
  if (!err && !json_array_size(r.out))
    err = mc_err_set(why, MC_ERR_INVALID, "there is no node in it");
  json_decref(root);
  if (err) {
    json_decref(r.out);
    return err == MC_ERR_MEMORY ? mc_err_set(why, err, "out of memory for the signal tree") : err;
  }
  *out = r.out;
  return MC_OK;
}
