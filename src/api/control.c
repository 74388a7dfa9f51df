/* Catalogs, models, decoder manifests, vehicles and fleets over FleetWise's own documents: the same operations as the AWS facade's, with our paths, cursors and
 * problem documents. */
#include <stdio.h>
#include <stdlib.h>

#include "api/inside.h"

/* What a request becomes. */
typedef struct control_route {
  const char *operation;
  const char *member[2]; /* of the input: path parameters 0 and 1 */
  const char *list;      /* member of the answer that becomes "items" */
} control_route;

/* ---- problems ---- */

static int status_of(mc_control_fault fault)
{
  switch (fault) {
  case MC_CONTROL_NOT_FOUND: return 404;
  case MC_CONTROL_CONFLICT:
  case MC_CONTROL_LIMIT: return 409;
  case MC_CONTROL_INVALID_NODE:
  case MC_CONTROL_INVALID_SIGNALS:
  case MC_CONTROL_DECODER_MANIFEST: return 422;
  case MC_CONTROL_ACCESS: return 403;
  case MC_CONTROL_THROTTLED: return 429;
  case MC_CONTROL_INTERNAL: return 500;
  default: return 400;
  }
}

static mc_err err_of(int status)
{
  return status == 404 ? MC_ERR_NOT_FOUND : status == 409 ? MC_ERR_CONFLICT : status == 422 ? MC_ERR_UNSUPPORTED : status == 500 ? MC_ERR_IO : MC_ERR_INVALID;
}

/* The first field that is wrong, as the path that this API uses: "nodes[0].sensor.min" is /nodes/0/sensor/min. */
static void name_field(api_call *c, const json_t *members)
{
  const char *name = json_string_value(json_object_get(json_array_get(json_object_get(members, "fieldList"), 0), "name"));
  size_t n = 0;
  if (!name)
    return;
  c->field[n++] = '/';
  for (const char *p = name; *p && n + 1 < sizeof c->field; p++)
    if (*p != ']')
      c->field[n++] = *p == '.' || *p == '[' ? '/' : *p;
  c->field[n] = 0;
}

/* People read the text: it names the first few of what is wrong; the members have all of them. */
static void name_bad(api_call *c, const json_t *members, const char *list, const char *key)
{
  json_t *items = json_object_get(members, list), *item;
  size_t i, n = strlen(c->why.text);
  json_array_foreach (items, i, item) {
    const char *name = json_string_value(json_object_get(item, key)), *reason = json_string_value(json_object_get(item, "reason"));
    if (i == 5 || !name || !reason || n + strlen(name) + strlen(reason) + 8 > sizeof c->why.text)
      break;
    n += (size_t)snprintf(c->why.text + n, sizeof c->why.text - n, "%s %s: %s", i ? "," : ";", name, reason);
  }
}

static mc_err refuse(api_call *c, const mc_control_error *fault, mc_err err)
{
  mc_buf object = {0};
  mc_buf_append_u8(&object, '{');
  mc_buf_append_slice(&object, mc_buf_slice(&fault->members));
  mc_buf_append_u8(&object, '}');
  json_t *members = json_loadb((const char *)object.data, object.len, 0, NULL);
  name_field(c, members);
  name_bad(c, members, "invalidSignals", "name");
  name_bad(c, members, "invalidNetworkInterfaces", "interfaceId");
  json_decref(members);
  mc_buf_free(&object);
  mc_buf_append_slice(&c->members, mc_buf_slice(&fault->members));
  if (fault->fault == MC_CONTROL_OK || fault->fault == MC_CONTROL_INTERNAL)
    return err;
  return c->why.err = err_of(status_of(fault->fault));
}

/* ---- asking ---- */

static mc_err ask(api_call *c, const char *operation, json_t *in, mc_buf *answer)
{
  char *text = json_dumps(in, JSON_COMPACT);
  mc_control_error fault = {0};
  if (!text)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "no memory for the request");
  mc_control_request request = {.tenant = c->who.tenant, .operation = mc_slice_str(operation), .input = mc_slice_str(text), .actor = mc_slice_str(c->who.name)};
  mc_err err = mc_control_call(c->api->config.campaigns, &request, answer, &fault, &c->why);
  if (err)
    err = refuse(c, &fault, err);
  mc_control_error_free(&fault);
  free(text);
  return err;
}

/* nextToken is our cursor, whatever the list is called. */
static mc_err answer_list(api_call *c, const mc_buf *answer, const char *list)
{
  json_t *o = json_loadb((const char *)answer->data, answer->len, 0, NULL);
  char *items = json_dumps(json_object_get(o, list), JSON_COMPACT);
  const char *next = json_string_value(json_object_get(o, "nextToken"));
  if (items) {
    mc_json_object(&c->json);
    mc_json_key(&c->json, "items");
    mc_json_raw(&c->json, mc_slice_str(items));
    if (next)
      mc_json_str_field(&c->json, "next", next);
    mc_json_object_end(&c->json);
  }
  mc_err err = items ? MC_OK : mc_err_set(&c->why, MC_ERR_MEMORY, "no memory for the list");
  free(items);
  json_decref(o);
  return err;
}

static mc_err put_slice(json_t *in, const char *key, mc_slice value)
{
  return json_object_set_new(in, key, json_stringn((const char *)value.data, value.len)) ? MC_ERR_INVALID : MC_OK;
}

static mc_err put_page(api_call *c, json_t *in)
{
  mc_slice after = query_slice(c, "after");
  if (json_object_set_new(in, "maxResults", json_integer(query_int(c, "limit", 100))))
    return MC_ERR_MEMORY;
  return after.len ? put_slice(in, "nextToken", after) : MC_OK;
}

/* The parent that a list is narrowed to, by name. */
static mc_err put_filter(api_call *c, json_t *in, const char *query, const char *member, const char *kind)
{
  mc_slice name = query_slice(c, query);
  if (!name.len)
    return MC_OK;
  return put_slice(in, member, mc_slice_str(mc_arena_printf(&c->arena, "arn:aws:iotfleetwise:local:000000000000:%s/%.*s", kind, MC_FMT(name))));
}

static mc_err run(api_call *c, const control_route *route, json_t *in)
{
  mc_buf answer = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; i < 2 && route->member[i] && !err; i++)
    if (put_slice(in, route->member[i], c->param[i]))
      err = mc_err_set(&c->why, MC_ERR_NOT_FOUND, "the name in the address is no UTF-8");
  if (!err && route->list)
    err = put_page(c, in);
  if (!err)
    err = ask(c, route->operation, in, &answer);
  if (!err && route->list)
    err = answer_list(c, &answer, route->list);
  else if (!err && c->op->reply)
    mc_json_raw(&c->json, mc_buf_slice(&answer));
  mc_buf_free(&answer);
  return err;
}

static mc_err route(api_call *c, control_route r)
{
  json_t *in = c->body ? json_incref(c->body) : json_object();
  mc_err err = in ? run(c, &r, in) : mc_err_set(&c->why, MC_ERR_MEMORY, "no memory for the request");
  json_decref(in);
  return err;
}

/* FleetWise deletes what is not there without a word; here it is told. */
static mc_err removal(api_call *c, const char *get, control_route r)
{
  mc_buf answer = {0};
  json_t *in = json_object();
  mc_err err = in && !put_slice(in, r.member[0], c->param[0]) ? ask(c, get, in, &answer) : mc_err_set(&c->why, MC_ERR_NOT_FOUND, "the name in the address is no UTF-8");
  json_decref(in);
  mc_buf_free(&answer);
  return err ? err : route(c, r);
}

/* A list that may be narrowed to those of one parent. */
static mc_err filtered(api_call *c, control_route r, const char *query, const char *member, const char *kind)
{
  json_t *in = json_object();
  mc_err err = in ? put_filter(c, in, query, member, kind) : mc_err_set(&c->why, MC_ERR_MEMORY, "no memory for the request");
  if (!err)
    err = run(c, &r, in);
  json_decref(in);
  return err;
}

/* ---- catalogs ---- */

mc_err api_op_catalog_list(api_call *c) { return route(c, (control_route){"ListSignalCatalogs", {NULL}, "summaries"}); }
mc_err api_op_catalog_get(api_call *c) { return route(c, (control_route){"GetSignalCatalog", {"name"}, NULL}); }
mc_err api_op_catalog_update(api_call *c) { return route(c, (control_route){"UpdateSignalCatalog", {"name"}, NULL}); }
mc_err api_op_catalog_delete(api_call *c) { return removal(c, "GetSignalCatalog", (control_route){"DeleteSignalCatalog", {"name"}, NULL}); }
mc_err api_op_catalog_create(api_call *c)
{
  return route(c, (control_route){json_object_get(c->body, "vss") ? "ImportSignalCatalog" : "CreateSignalCatalog", {NULL}, NULL});
}

mc_err api_op_catalog_nodes(api_call *c)
{
  json_t *in = json_object();
  mc_slice type = query_slice(c, "type");
  mc_err err = in && !(type.len && put_slice(in, "signalNodeType", type)) ? run(c, &(control_route){"ListSignalCatalogNodes", {"name"}, "nodes"}, in) : MC_ERR_MEMORY;
  json_decref(in);
  return err;
}

/* ---- models ---- */

mc_err api_op_model_list(api_call *c) { return filtered(c, (control_route){"ListModelManifests", {NULL}, "summaries"}, "catalog", "signalCatalogArn", "signal-catalog"); }
mc_err api_op_model_create(api_call *c) { return route(c, (control_route){"CreateModelManifest", {NULL}, NULL}); }
mc_err api_op_model_get(api_call *c) { return route(c, (control_route){"GetModelManifest", {"name"}, NULL}); }
mc_err api_op_model_update(api_call *c) { return route(c, (control_route){"UpdateModelManifest", {"name"}, NULL}); }
mc_err api_op_model_delete(api_call *c) { return removal(c, "GetModelManifest", (control_route){"DeleteModelManifest", {"name"}, NULL}); }
mc_err api_op_model_nodes(api_call *c) { return route(c, (control_route){"ListModelManifestNodes", {"name"}, "nodes"}); }

/* ---- decoder manifests ---- */

mc_err api_op_decoder_list(api_call *c) { return filtered(c, (control_route){"ListDecoderManifests", {NULL}, "summaries"}, "model", "modelManifestArn", "model-manifest"); }
mc_err api_op_decoder_create(api_call *c) { return route(c, (control_route){"CreateDecoderManifest", {NULL}, NULL}); }
mc_err api_op_decoder_get(api_call *c) { return route(c, (control_route){"GetDecoderManifest", {"name"}, NULL}); }
mc_err api_op_decoder_update(api_call *c) { return route(c, (control_route){"UpdateDecoderManifest", {"name"}, NULL}); }
mc_err api_op_decoder_delete(api_call *c) { return removal(c, "GetDecoderManifest", (control_route){"DeleteDecoderManifest", {"name"}, NULL}); }
mc_err api_op_decoder_import(api_call *c) { return route(c, (control_route){"ImportDecoderManifest", {"name"}, NULL}); }
mc_err api_op_decoder_signals(api_call *c) { return route(c, (control_route){"ListDecoderManifestSignals", {"name"}, "signalDecoders"}); }
mc_err api_op_decoder_interfaces(api_call *c) { return route(c, (control_route){"ListDecoderManifestNetworkInterfaces", {"name"}, "networkInterfaces"}); }

/* ---- vehicles, by their FleetWise name ---- */

/* The vehicle's name in place of the id in the path. */
static mc_err vehicle_route(api_call *c, control_route r)
{
  mc_vehicle v;
  MC_TRY(call_vehicle(c, &v));
  mc_slice name;
  if (mc_arena_copy(&c->arena, mc_slice_str(v.name), &name))
    return mc_err_set(&c->why, MC_ERR_MEMORY, "no memory for the request");
  c->param[0] = name;
  return route(c, r);
}

mc_err api_op_vehicle_definition(api_call *c) { return vehicle_route(c, (control_route){"GetVehicle", {"vehicleName"}, NULL}); }
mc_err api_op_vehicle_define(api_call *c) { return vehicle_route(c, (control_route){"UpdateVehicle", {"vehicleName"}, NULL}); }
mc_err api_op_vehicle_delete(api_call *c) { return vehicle_route(c, (control_route){"DeleteVehicle", {"vehicleName"}, NULL}); }
mc_err api_op_vehicle_fleets(api_call *c) { return vehicle_route(c, (control_route){"ListFleetsForVehicle", {"vehicleName"}, "fleets"}); }

/* ---- fleets ---- */

mc_err api_op_fleet_list(api_call *c) { return route(c, (control_route){"ListFleets", {NULL}, "fleetSummaries"}); }
mc_err api_op_fleet_create(api_call *c) { return route(c, (control_route){"CreateFleet", {NULL}, NULL}); }
mc_err api_op_fleet_get(api_call *c) { return route(c, (control_route){"GetFleet", {"fleetId"}, NULL}); }
mc_err api_op_fleet_update(api_call *c) { return route(c, (control_route){"UpdateFleet", {"fleetId"}, NULL}); }
mc_err api_op_fleet_delete(api_call *c) { return removal(c, "GetFleet", (control_route){"DeleteFleet", {"fleetId"}, NULL}); }
mc_err api_op_fleet_vehicles(api_call *c) { return route(c, (control_route){"ListVehiclesInFleet", {"fleetId"}, "vehicles"}); }
mc_err api_op_fleet_join(api_call *c) { return route(c, (control_route){"AssociateVehicleFleet", {"fleetId", "vehicleName"}, NULL}); }
mc_err api_op_fleet_leave(api_call *c) { return route(c, (control_route){"DisassociateVehicleFleet", {"fleetId", "vehicleName"}, NULL}); }

/* ---- any of them ---- */

mc_err api_op_fleetwise_call(api_call *c)
{
  const mc_control_info *info = mc_control_find(c->param[0]);
  if (!info)
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "FleetWise has no operation \"%.*s\"", MC_FMT(mc_slice_sub(c->param[0], 0, 80)));
  if (!mc_access_role_allows(c->who.role, mc_slice_str(info->permission))) /* the way in is the least of them */
    return mc_err_set(&c->why, MC_ERR_DENIED, "%s needs the permission %s, which the role %s does not have; ask an admin", info->operation, info->permission,
                      mc_access_role_name(c->who.role));
  return route(c, (control_route){info->operation, {NULL}, NULL});
}

/* ---- two models ---- */

/* All nodes of a model: name -> its node, {"sensor": {...}}. The caller's. */
static mc_err nodes_of(api_call *c, mc_slice model, json_t **out)
{
  json_t *in = json_object(), *item;
  size_t i;
  mc_err err = put_slice(in, "name", model);
  *out = json_object();
  json_object_set_new(in, "maxResults", json_integer(100));
  for (bool more = true; more && !err;) {
    mc_buf answer = {0};
    err = ask(c, "ListModelManifestNodes", in, &answer);
    json_t *page = err ? NULL : json_loadb((const char *)answer.data, answer.len, 0, NULL), *next = json_object_get(page, "nextToken");
    json_array_foreach (json_object_get(page, "nodes"), i, item) {
      const char *name = json_string_value(json_object_get(json_object_iter_value(json_object_iter(item)), "fullyQualifiedName"));
      if (name)
        json_object_set(*out, name, item);
    }
    more = next != NULL;
    if (next)
      json_object_set(in, "nextToken", next);
    json_decref(page);
    mc_buf_free(&answer);
  }
  json_decref(in);
  return err;
}

static void field_text(mc_json *j, const char *key, const json_t *value)
{
  char *text = value && !json_is_string(value) ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : NULL;
  const char *own = json_string_value(value);
  mc_json_str_field(j, key, own ? own : text ? text : "");
  free(text);
}

static void node_field(mc_json *j, const char *name, const json_t *before, const json_t *after)
{
  mc_json_object(j);
  mc_json_str_field(j, "name", name);
  field_text(j, "before", before);
  field_text(j, "after", after);
  mc_json_object_end(j);
}

/* before or after is NULL: it came, or went. */
static void write_node_difference(mc_json *j, const char *fqn, json_t *before, json_t *after)
{
  void *was = json_object_iter(before), *is = json_object_iter(after);
  json_t *a = json_object_iter_value(was), *b = json_object_iter_value(is), *value;
  const char *key;
  mc_json_object(j);
  mc_json_str_field(j, "kind", !before ? "added" : !after ? "removed" : "changed");
  mc_json_str_field(j, "fqn", fqn);
  mc_json_str_field(j, "place", json_object_iter_key(after ? is : was));
  mc_json_key(j, "fields");
  mc_json_array(j);
  if (a && b && strcmp(json_object_iter_key(was), json_object_iter_key(is)) != 0) {
    json_t *kinds[] = {json_string(json_object_iter_key(was)), json_string(json_object_iter_key(is))};
    node_field(j, "kind", kinds[0], kinds[1]);
    json_decref(kinds[0]);
    json_decref(kinds[1]);
  }
  json_object_foreach (a, key, value)
    if (strcmp(key, "fullyQualifiedName") != 0 && !(b && json_equal(value, json_object_get(b, key))))
      node_field(j, key, value, json_object_get(b, key));
  json_object_foreach (b, key, value)
    if (strcmp(key, "fullyQualifiedName") != 0 && !json_object_get(a, key))
      node_field(j, key, NULL, value);
  mc_json_array_end(j);
  mc_json_object_end(j);
}

static void write_comparison(api_call *c, json_t *before, json_t *after)
{
  mc_json *j = &c->json;
  uint64_t same = 0, added = 0, removed = 0, changed = 0;
  const char *fqn;
  json_t *node;
  mc_json_object(j);
  mc_json_text_field(j, "before", c->param[0]);
  mc_json_text_field(j, "after", query_slice(c, "with"));
  mc_json_key(j, "items");
  mc_json_array(j);
  json_object_foreach (before, fqn, node) {
    json_t *other = json_object_get(after, fqn);
    bool alike = other && json_equal(node, other);
    same += alike;
    changed += other && !alike;
    removed += !other;
    if (!alike)
      write_node_difference(j, fqn, node, other);
  }
  json_object_foreach (after, fqn, node)
    if (!json_object_get(before, fqn)) {
      added++;
      write_node_difference(j, fqn, NULL, node);
    }
  mc_json_array_end(j);
  mc_json_uint_field(j, "same", same);
  mc_json_uint_field(j, "added", added);
  mc_json_uint_field(j, "removed", removed);
  mc_json_uint_field(j, "changed", changed);
  mc_json_object_end(j);
}

mc_err api_op_model_compare(api_call *c)
{
  json_t *before = NULL, *after = NULL;
  mc_err err = nodes_of(c, c->param[0], &before);
  if (!err)
    err = nodes_of(c, query_slice(c, "with"), &after);
  if (!err)
    write_comparison(c, before, after);
  json_decref(before);
  json_decref(after);
  return err;
}
