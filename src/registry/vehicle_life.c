/* A vehicle that takes over a device that is there already, and one that goes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/mirror.h"

/* The device of the vehicle's name, free to be fitted. */
static mc_err free_thing(mc_registry *r, const mc_vehicle *v, uint32_t *thing, mc_why *why)
{
  mc_thing t;
  mc_vehicle other;
  if (mc_registry_thing_find(r, v->tenant, mc_slice_str(v->name), &t))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no device \"%s\" to fit the vehicle with", v->name);
  if (t.is_service)
    return mc_err_set(why, MC_ERR_CONFLICT, "\"%s\" is a service, not a device that can sit in a vehicle", v->name);
  if (t.vehicle)
    return mc_err_set(why, MC_ERR_CONFLICT, "the device \"%s\" sits in the vehicle \"%s\"; refit it first", v->name,
                      mc_registry_vehicle_get(r, v->tenant, t.vehicle, &other) ? "" : other.name);
  *thing = t.id;
  return MC_OK;
}

static mc_err insert(mc_registry *r, mc_vehicle *v, uint32_t thing, mc_why *why)
{
  MC_TRY(registry_next_id(r, "vehicle", &v->id, why));
  mc_err err = mc_db_run(r->db, why,
                         "INSERT INTO vehicle (id, tenant, name, vin, make, model, kind, manifest, year, created_us)"
                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                         "iittttttii", (int64_t)v->id, (int64_t)v->tenant, mc_slice_str(v->name), mc_slice_str(v->vin), mc_slice_str(v->make), mc_slice_str(v->model),
                         mc_slice_str(v->kind), mc_slice_str(v->manifest), (int64_t)v->year, v->created_us);
  if (err == MC_ERR_EXISTS)
    return mc_err_set(why, err, "there is a vehicle \"%s\" already, or one with VIN \"%s\"", v->name, v->vin);
  MC_TRY(err);
  return mc_db_run(r->db, why, "INSERT INTO fitting (thing, vehicle, from_us) VALUES ($1, $2, $3)", "iii", (int64_t)thing, (int64_t)v->id, v->created_us);
}

/* Fittings of one device do not overlap, even when the clock stepped back. */
static int64_t after_last_fitting(mc_registry *r, uint32_t thing, int64_t now)
{
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *t = registry_thing(r, thing);
  if (t && t->span.len && now <= t->span.at[t->span.len - 1].from_us)
    now = t->span.at[t->span.len - 1].from_us + 1;
  pthread_rwlock_unlock(&r->lock);
  return now;
}

mc_err mc_registry_vehicle_create_on_thing(mc_registry *r, mc_vehicle *vehicle, mc_why *why) { return registry_vehicle_create_on_thing(r, vehicle, NULL, why); }

mc_err registry_vehicle_create_on_thing(mc_registry *r, mc_vehicle *vehicle, const mc_registry_with *with, mc_why *why)
{
  uint32_t thing = 0;
  MC_TRY(registry_vehicle_check(vehicle, why));
  mc_vehicle *v = malloc(sizeof *v);
  mc_err err = v ? change_begin(r, why) : mc_err_set(why, MC_ERR_MEMORY, "no memory for a vehicle");
  if (err) {
    free(v);
    return err;
  }
  *v = *vehicle;
  v->id = 0;
  v->updated_us = 0;
  err = free_thing(r, v, &thing, why);
  v->created_us = after_last_fitting(r, thing, mc_clock_wall_us());
  if (!err)
    err = insert(r, v, thing, why);
  if (!err)
    err = registry_write_with(r, v->tenant, v->id, with, v->created_us, why);
  mc_buf payload = {0};
  if (!err) {
    mc_json j = mc_json_to(&payload);
    registry_vehicle_json(&j, v, thing);
    err = mc_json_end(&j);
  }
  err = change_commit(r, err, v->tenant, mc_slice_str(v->name), "vehicle.created", &payload, why);
  mc_buf_free(&payload);
  bool kept = false; /* by the mirror */
  if (!err) {
    *vehicle = *v;
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_vehicle(r, v);
    kept = !err;
    if (!err)
      err = mirror_fitting(r, thing, v->id, v->created_us, INT64_MAX);
    policy_changed(r); /* the device has this vehicle's attributes now */
    pthread_rwlock_unlock(&r->lock);
    if (with && with->attribute)
      policy_attributes_changed(r, vehicle->id);
  }
  if (!kept)
    free(v);
  change_end(r);
  return err ? err : registry_key_for_vehicles(r, vehicle->tenant, &vehicle->id, 1, why);
}

/* ---- going ---- */

void mirror_vehicle_gone(mc_registry *r, uint32_t vehicle)
{
  mc_vehicle *v = registry_vehicle(r, vehicle);
  if (!v)
    return;
  scoped_key k = registry_key(v->tenant, mc_slice_str(v->name));
  mc_strmap_remove(&r->vehicle_by_name, scoped_slice(&k), NULL);
  tenant_entry *t = registry_tenant(r, v->tenant);
  if (t)
    t->vehicles--;
  for (size_t i = 0; i < r->thing.len; i++) {
    thing_entry *thing = r->thing.at[i];
    if (!thing)
      continue;
    size_t kept = 0;
    for (size_t n = 0; n < thing->span.len; n++)
      if (thing->span.at[n].vehicle != vehicle)
        thing->span.at[kept++] = thing->span.at[n];
    thing->span.len = kept;
    if (thing->thing.vehicle == vehicle)
      thing->thing.vehicle = 0;
  }
  size_t at = 0;
  uint64_t fleet;
  while (mc_strmap_next(&r->fleet_by_id, &at, NULL, &fleet))
    mc_map_remove(&((fleet_entry *)(uintptr_t)fleet)->vehicle, vehicle, NULL);
  r->vehicle.at[vehicle] = NULL;
  policy_vehicle_gone(r, vehicle);
  free(v);
}

mc_err mc_registry_vehicle_delete(mc_registry *r, uint32_t tenant, uint32_t vehicle, mc_why *why) { return mc_registry_vehicle_delete_with(r, tenant, vehicle, NULL, why); }

mc_err mc_registry_vehicle_delete_with(mc_registry *r, uint32_t tenant, uint32_t vehicle, const mc_registry_with *with, mc_why *why)
{
  static const char *const sql[] = {"DELETE FROM fleet_member WHERE vehicle = $1", "DELETE FROM vehicle_attribute WHERE vehicle = $1", "DELETE FROM fitting WHERE vehicle = $1",
                                    "DELETE FROM vehicle WHERE id = $1"};
  mc_vehicle v;
  MC_TRY(change_begin(r, why));
  mc_err err = mc_registry_vehicle_get(r, tenant, vehicle, &v) ? mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle with id %u", vehicle) : MC_OK;
  for (size_t i = 0; !err && i < sizeof sql / sizeof sql[0]; i++)
    err = mc_db_run(r->db, why, sql[i], "i", (int64_t)vehicle);
  if (!err)
    err = registry_write_with(r, tenant, vehicle, with, 0, why);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"vehicle\":%u,\"name\":\"%s\"}", vehicle, v.name);
  err = change_commit(r, err, tenant, mc_slice_str(err ? "" : v.name), "vehicle.deleted", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    mirror_vehicle_gone(r, vehicle);
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}
