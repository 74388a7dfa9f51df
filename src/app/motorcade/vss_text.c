#include "app/motorcade/vss_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "signal/signal.h"

/* The object of a node, made with all branches above it. */
static json_t *place_of(json_t *root, mc_slice fqn)
{
  json_t *children = root, *node = NULL;
  while (fqn.len) {
    char name[160];
    size_t dot = mc_slice_find(fqn, '.', 0);
    mc_slice_to_str(mc_slice_sub(fqn, 0, dot), name, sizeof name);
    fqn = mc_slice_sub(fqn, dot + 1, fqn.len);
    node = json_object_get(children, name);
    if (!node) {
      node = json_object();
      json_object_set_new(node, "type", json_string("branch"));
      json_object_set_new(node, "description", json_string(""));
      json_object_set_new(children, name, node);
    }
    if (!fqn.len)
      break;
    children = json_object_get(node, "children");
    if (!children) {
      children = json_object();
      json_object_set_new(node, "children", children);
    }
  }
  return node;
}

static void set_text(json_t *o, const char *key, mc_slice text)
{
  if (text.len)
    json_object_set_new(o, key, json_stringn((const char *)text.data, text.len));
}

/* VSS spells types in its own way; those that we hold are a subset. */
static const char *vss_type(mc_type type)
{
  static const char *const names[] = {
      [MC_TYPE_BOOL] = "boolean",  [MC_TYPE_UINT8] = "uint8",   [MC_TYPE_UINT16] = "uint16",  [MC_TYPE_UINT32] = "uint32",
      [MC_TYPE_UINT64] = "uint64", [MC_TYPE_INT8] = "int8",     [MC_TYPE_INT16] = "int16",    [MC_TYPE_INT32] = "int32",
      [MC_TYPE_INT64] = "int64",   [MC_TYPE_FLOAT32] = "float", [MC_TYPE_FLOAT64] = "double", [MC_TYPE_STRING] = "string"};
  return (size_t)type < sizeof names / sizeof names[0] && names[type] ? names[type] : "string";
}

static void put_node(json_t *root, const mc_catalog_node *n)
{
  static const char *const kinds[] = {"branch", "sensor", "actuator", "attribute"};
  json_t *o = place_of(root, n->fqn);
  json_object_set_new(o, "type", json_string(kinds[n->kind]));
  set_text(o, "description", n->description);
  if (n->kind == MC_NODE_BRANCH)
    return;
  json_object_set_new(o, "datatype", json_string(vss_type(n->type)));
  set_text(o, "unit", n->unit);
  if (n->has_min)
    json_object_set_new(o, "min", json_real(n->min));
  if (n->has_max)
    json_object_set_new(o, "max", json_real(n->max));
  if (n->allowed_count) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < n->allowed_count; i++)
      json_array_append_new(list, json_stringn((const char *)n->allowed[i].data, n->allowed[i].len));
    json_object_set_new(o, "allowed", list);
  }
}

mc_err vss_text_read(const char *path, json_t **out, mc_why *why)
{
  size_t len = strlen(path);
  if (len > 5 && strcasecmp(path + len - 5, ".json") == 0) {
    mc_buf text = {0};
    MC_TRY(mc_fs_read(mc_fs_posix(), path, 64 << 20, &text, why));
    *out = json_stringn(text.len ? (const char *)text.data : "", text.len);
    mc_buf_free(&text);
    return *out ? MC_OK : mc_err_set(why, MC_ERR_MALFORMED, "%s: not UTF-8 text", path);
  }
  mc_catalog catalog = {0};
  MC_TRY(mc_catalog_read_vspec(path, NULL, 0, &catalog, why));
  json_t *root = json_object();
  for (size_t i = 0; i < catalog.node.len; i++)
    put_node(root, &catalog.node.at[i]);
  mc_catalog_free(&catalog);
  char *text = json_dumps(root, JSON_COMPACT);
  json_decref(root);
  *out = text ? json_string(text) : NULL;
  free(text);
  return *out ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "%s: out of memory", path);
}
