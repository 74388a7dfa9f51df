/* Many vehicles in one call: each row is judged by itself. */
#include <stdio.h>

#include "api/inside.h"

/* A row on its way: what the registry gets, and which field was wrong before it got there. */
typedef struct row {
  char field[64];
} row;

static mc_slice member(json_t *object, const char *name)
{
  json_t *v = json_object_get(object, name);
  return json_is_string(v) ? mc_slice_of(json_string_value(v), json_string_length(v)) : (mc_slice){0};
}

static mc_err refuse(mc_vehicle_row *out, row *r, const char *field)
{
  out->state = MC_ROW_REFUSED;
  snprintf(r->field, sizeof r->field, "%s", field);
  return MC_OK;
}

/* Copies a text; one that has more bytes than there is room is refused, not cut. */
static void take_text(json_t *from, const char *name, char *to, size_t size, mc_vehicle_row *out, row *r)
{
  char field[32];
  if (mc_slice_to_str(member(from, name), to, size) || out->state == MC_ROW_REFUSED)
    return;
  snprintf(field, sizeof field, "/%s", name);
  mc_err_set(&out->why, MC_ERR_INVALID, "too long: at most %zu bytes of UTF-8", size - 1);
  refuse(out, r, field);
}

static bool manifest_known(const mc_manifest_info *list, size_t n, const char *name)
{
  for (size_t i = 0; i < n; i++)
    if (mc_slice_eq_str(list[i].name, name))
      return true;
  return !name[0];
}

static void read_row(api_call *c, json_t *from, const mc_manifest_info *manifest, size_t manifests, mc_vehicle_row *out, row *r)
{
  mc_vehicle *v = &out->vehicle;
  if (schema_check(c->api->patterns, api_operation_table[API_OP_VEHICLE_CREATE].body, from, r->field, sizeof r->field, &out->why))
    out->state = MC_ROW_REFUSED;
  else
    r->field[0] = 0;
  take_text(from, "name", v->name, sizeof v->name, out, r);
  take_text(from, "vin", v->vin, sizeof v->vin, out, r);
  take_text(from, "make", v->make, sizeof v->make, out, r);
  take_text(from, "model", v->model, sizeof v->model, out, r);
  take_text(from, "kind", v->kind, sizeof v->kind, out, r);
  take_text(from, "manifest", v->manifest, sizeof v->manifest, out, r);
  v->year = (int)json_integer_value(json_object_get(from, "year"));
  if (out->state != MC_ROW_REFUSED && !manifest_known(manifest, manifests, v->manifest)) {
    mc_err_set(&out->why, MC_ERR_NOT_FOUND, "there is no decoder manifest \"%s\"; GET /api/v1/manifests lists them", v->manifest);
    refuse(out, r, "/manifest");
  }
}

static void write_row(mc_json *j, size_t number, json_t *from, const mc_vehicle_row *v, const row *r)
{
  static const char *const state[] = {"refused", "created", "unchanged", "refused"};
  mc_json_object(j);
  mc_json_uint_field(j, "row", number);
  mc_json_text_field(j, "name", member(from, "name"));
  mc_json_str_field(j, "state", state[v->state]);
  if (v->state != MC_ROW_REFUSED) {
    mc_json_uint_field(j, "id", v->vehicle.id);
  } else {
    char field[64];
    snprintf(field, sizeof field, "%s%s", v->fact ? "/" : "", v->fact ? v->fact : r->field);
    if (field[0])
      mc_json_str_field(j, "field", field);
    mc_json_str_field(j, "text", v->why.text);
  }
  mc_json_object_end(j);
}

static void write_all(api_call *c, json_t *list, const mc_vehicle_row *v, const row *r, size_t n)
{
  uint64_t count[4] = {0};
  mc_json *j = &c->json;
  for (size_t i = 0; i < n; i++)
    count[v[i].state]++;
  mc_json_object(j);
  mc_json_uint_field(j, "created", count[MC_ROW_CREATED]);
  mc_json_uint_field(j, "unchanged", count[MC_ROW_UNCHANGED]);
  mc_json_uint_field(j, "refused", count[MC_ROW_REFUSED]);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++)
    write_row(j, i + 1, json_array_get(list, i), &v[i], &r[i]);
  mc_json_array_end(j);
  mc_json_object_end(j);
}

mc_err api_op_vehicle_create_many(api_call *c)
{
  json_t *list = json_object_get(c->body, "vehicles");
  size_t n = json_array_size(list), manifests;
  mc_manifest_info *manifest;
  mc_vehicle_row *v = mc_arena_array(&c->arena, n, sizeof *v);
  row *r = mc_arena_array(&c->arena, n, sizeof *r);
  if (!v || !r)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for %zu vehicles; send fewer at once", n);
  MC_TRY(mc_campaign_manifests(c->api->config.campaigns, c->who.tenant, &c->arena, &manifest, &manifests, &c->why));
  for (size_t i = 0; i < n; i++) {
    v[i] = (mc_vehicle_row){.state = MC_ROW_NEW};
    r[i] = (row){{0}};
    read_row(c, json_array_get(list, i), manifest, manifests, &v[i], &r[i]);
  }
  MC_TRY(mc_registry_vehicle_create_many(c->api->config.registry, c->who.tenant, v, n, &c->why));
  for (size_t i = 0; i < n; i++)
    if (v[i].state == MC_ROW_CREATED && v[i].vehicle.manifest[0])
      mc_campaign_vehicle_changed(c->api->config.campaigns, c->who.tenant, v[i].vehicle.id);
  write_all(c, list, v, r, n);
  return MC_OK;
}
