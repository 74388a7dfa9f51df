/* Vehicles with what is true of them now. */
#include <stdio.h>

#include "api/inside.h"
#include "base/clock.h"
#include "base/log.h"

static const char *const motion_name[] = {"unknown", "moving", "idle", "parked", "offline"};

static bool has(const mc_vehicle_now *v, mc_role role)
{
  return v->present >> role & 1;
}

static void write_position(mc_json *j, const mc_vehicle_now *now)
{
  mc_json_key(j, "position");
  mc_json_object(j);
  mc_json_double_field(j, "latitude", now->latitude);
  mc_json_double_field(j, "longitude", now->longitude);
  if (has(now, MC_ROLE_HEADING))
    mc_json_double_field(j, "heading", now->heading_deg);
  json_time(j, "time", now->position_us);
  mc_json_object_end(j);
}

/* now may be NULL: nothing was ever heard. */
static void write_vehicle(mc_json *j, const mc_vehicle *v, const mc_vehicle_now *now, mc_motion motion)
{
  mc_json_object(j);
  mc_json_uint_field(j, "id", v->id);
  mc_json_str_field(j, "name", v->name);
  mc_json_str_field(j, "vin", v->vin);
  mc_json_str_field(j, "make", v->make);
  mc_json_str_field(j, "model", v->model);
  mc_json_str_field(j, "kind", v->kind);
  if (v->year)
    mc_json_int_field(j, "year", v->year);
  mc_json_str_field(j, "manifest", v->manifest);
  mc_json_str_field(j, "motion", motion_name[motion]);
  if (now) {
    if (has(now, MC_ROLE_LATITUDE) && has(now, MC_ROLE_LONGITUDE))
      write_position(j, now);
    if (has(now, MC_ROLE_SPEED))
      mc_json_double_field(j, "speed", now->speed_kmh);
    if (has(now, MC_ROLE_ODOMETER))
      mc_json_double_field(j, "odometer", now->odometer_km);
    if (has(now, MC_ROLE_FUEL_LEVEL))
      mc_json_double_field(j, "fuel", now->fuel_percent);
    if (has(now, MC_ROLE_STATE_OF_CHARGE))
      mc_json_double_field(j, "charge", now->charge_percent);
    if (has(now, MC_ROLE_IGNITION))
      mc_json_bool_field(j, "ignition", now->ignition);
    json_time_if(j, "heard", now->heard_us);
  }
  json_time(j, "created", v->created_us);
  mc_json_object_end(j);
}

static mc_err write_one(api_call *c, const mc_vehicle *v)
{
  mc_vehicle_now now;
  bool heard = mc_twin_vehicle(c->api->config.twin, c->who.tenant, v->id, &now);
  write_vehicle(&c->json, v, heard ? &now : NULL, heard ? mc_vehicle_now_motion(&now, mc_clock_wall_us()) : MC_MOTION_UNKNOWN);
  return MC_OK;
}

mc_err call_vehicle(api_call *c, mc_vehicle *out)
{
  uint32_t id;
  MC_TRY(call_id(c, 0, "vehicle", &id));
  if (mc_registry_vehicle_get(c->api->config.registry, c->who.tenant, id, out))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no vehicle with id %u", id);
  return MC_OK;
}

mc_err api_op_vehicle_get(api_call *c)
{
  mc_vehicle v;
  MC_TRY(call_vehicle(c, &v));
  return write_one(c, &v);
}

/* -1: any. */
static int wanted_motion(api_call *c)
{
  mc_slice text = query_slice(c, "motion");
  for (int m = 0; text.len && m < (int)(sizeof motion_name / sizeof motion_name[0]); m++)
    if (mc_slice_eq_str(text, motion_name[m]))
      return m;
  return -1;
}

mc_err api_op_vehicle_list(api_call *c)
{
  mc_registry *r = c->api->config.registry;
  size_t limit = (size_t)query_int(c, "limit", 100), given = 0, n;
  mc_slice after = query_slice(c, "after"), filter = query_slice(c, "filter");
  int motion = wanted_motion(c);
  int64_t now_us = mc_clock_wall_us();
  bool more = true;
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  while (more && given < limit) { /* a filter by motion may need several pages of the registry for one of ours */
    mc_vehicle *list;
    mc_arena page MC_ARENA_AUTO = MC_ARENA((size_t)16 << 20);
    MC_TRY(mc_registry_vehicle_list(r, c->who.tenant, after, filter, limit + 1, &page, &list, &n, &c->why));
    more = n > limit;
    if (more)
      n = limit;
    size_t i = 0;
    for (; i < n && given < limit; i++) {
      mc_vehicle_now now;
      bool heard = mc_twin_vehicle(c->api->config.twin, c->who.tenant, list[i].id, &now);
      mc_motion is = heard ? mc_vehicle_now_motion(&now, now_us) : MC_MOTION_UNKNOWN;
      if (motion < 0 || is == (mc_motion)motion) {
        write_vehicle(&c->json, &list[i], heard ? &now : NULL, is);
        given++;
      }
    }
    more |= i < n;
    if (i)
      MC_TRY(mc_arena_copy(&c->arena, mc_slice_str(list[i - 1].name), &after));
  }
  mc_json_array_end(&c->json);
  if (more)
    mc_json_text_field(&c->json, "next", after);
  mc_json_object_end(&c->json);
  return MC_OK;
}

static void take_text(const api_call *c, const char *name, char *out, size_t size)
{
  if (body_has(c, name))
    mc_slice_to_str(body_text(c, name), out, size);
}

static void take_facts(const api_call *c, mc_vehicle *v)
{
  take_text(c, "vin", v->vin, sizeof v->vin);
  take_text(c, "make", v->make, sizeof v->make);
  take_text(c, "model", v->model, sizeof v->model);
  take_text(c, "kind", v->kind, sizeof v->kind);
  take_text(c, "manifest", v->manifest, sizeof v->manifest);
  v->year = (int)body_int(c, "year", v->year);
}

/* A manifest that does not exist would leave the vehicle silent without a word. */
static mc_err check_manifest(api_call *c, const mc_vehicle *v)
{
  mc_manifest_info *list;
  size_t n;
  if (!v->manifest[0] || !body_has(c, "manifest"))
    return MC_OK;
  MC_TRY(mc_campaign_manifests(c->api->config.campaigns, c->who.tenant, &c->arena, &list, &n, &c->why));
  for (size_t i = 0; i < n; i++)
    if (mc_slice_eq_str(list[i].name, v->manifest))
      return MC_OK;
  return call_refuse(c, "/manifest", "there is no decoder manifest \"%s\"; GET /api/v1/manifests lists them", v->manifest);
}

/* A longer text than fits would be cut in silence: the byte limits behind the described character limits. */
static mc_err check_fits(api_call *c)
{
  static const struct {
    const char *name;
    size_t size;
  } limit[] = {{"make", 63}, {"model", 63}, {"kind", 23}, {"manifest", 127}};
  for (size_t i = 0; i < sizeof limit / sizeof limit[0]; i++) {
    char path[32];
    snprintf(path, sizeof path, "/%s", limit[i].name);
    if (body_text(c, limit[i].name).len > limit[i].size)
      return call_refuse(c, path, "too long: at most %zu bytes of UTF-8", limit[i].size);
  }
  return MC_OK;
}

mc_err api_op_vehicle_create(api_call *c)
{
  mc_vehicle v = {.tenant = c->who.tenant};
  MC_TRY(check_fits(c));
  take_text(c, "name", v.name, sizeof v.name);
  take_facts(c, &v);
  MC_TRY(check_manifest(c, &v));
  MC_TRY(mc_registry_vehicle_create(c->api->config.registry, &v, &c->why));
  if (v.manifest[0])
    mc_campaign_vehicle_changed(c->api->config.campaigns, v.tenant, v.id);
  return write_one(c, &v);
}

mc_err api_op_vehicle_erase(api_call *c)
{
  mc_vehicle v;
  mc_thing thing = {0};
  mc_buf receipt = {0};
  MC_TRY(call_vehicle(c, &v));
  mc_registry *r = c->api->config.registry;
  mc_registry_thing_find(r, v.tenant, mc_slice_str(v.name), &thing); /* none: there is no session to forget */
  uint32_t key = mc_registry_key_of_thing(r, v.tenant, thing.id);
  if (c->api->config.shadows)
    MC_TRY(mc_shadow_forget(c->api->config.shadows, v.tenant, mc_slice_str(v.name), &c->why));
  mc_err err = mc_registry_vehicle_erase(r, v.tenant, v.id, mc_slice_str(c->who.name), body_text(c, "reason"), &receipt, &c->why);
  if (!err && c->api->config.gateway && thing.id)
    mc_gateway_forget(c->api->config.gateway, v.tenant, thing.id, key, "the vehicle's messages were erased; connect again");
  mc_why why = {0};
  if (!err && mc_campaign_costs_erase(c->api->config.campaigns, v.tenant, v.id, &why)) /* the keys are gone: it is erased, whatever else fails */
    mc_log(MC_LOG_ERROR, "api", "what an erased vehicle sent still stands under its number in the costs of campaigns; erase it again", MC_KU("vehicle", v.id),
           MC_KZ("reason", why.text));
  if (!err) {
    mc_json_object(&c->json);
    mc_json_text_field(&c->json, "receipt", mc_buf_slice(&receipt));
    mc_json_object_end(&c->json);
  }
  mc_buf_free(&receipt);
  return err;
}

mc_err api_op_vehicle_update(api_call *c)
{
  mc_vehicle v;
  MC_TRY(call_vehicle(c, &v));
  MC_TRY(check_fits(c));
  take_facts(c, &v);
  MC_TRY(check_manifest(c, &v));
  MC_TRY(mc_registry_vehicle_update(c->api->config.registry, &v, &c->why));
  mc_campaign_vehicle_changed(c->api->config.campaigns, v.tenant, v.id);
  return write_one(c, &v);
}

mc_err api_op_vehicle_connection(api_call *c)
{
  mc_vehicle v;
  mc_thing thing;
  mc_client_info *info = mc_arena_alloc(&c->arena, sizeof *info);
  MC_TRY(call_vehicle(c, &v));
  if (!info)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory");
  bool has_thing = mc_registry_thing_find(c->api->config.registry, c->who.tenant, mc_slice_str(v.name), &thing) == MC_OK;
  if (!has_thing || !mc_gateway_client_of_thing(c->api->config.gateway, c->who.tenant, thing.id, info)) {
    /* Never seen is a state, too, and a page shows it. */
    *info = (mc_client_info){.tenant = v.tenant, .version = MC_MQTT_5};
    snprintf(info->client_id, sizeof info->client_id, "%s", v.name);
    snprintf(info->thing, sizeof info->thing, "%s", v.name);
    snprintf(info->last_error, sizeof info->last_error, "has never connected");
  }
  json_client(&c->json, info);
  return MC_OK;
}
