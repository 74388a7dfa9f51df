/* Vehicles, things, and which thing sits in which vehicle since when. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "format/json.h"
#include "registry/mirror.h"

static bool name_ok(mc_slice name)
{
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ':' || c == '-'))
      return false;
  }
  return name.len >= 1 && name.len <= MC_REGISTRY_NAME;
}

static mc_err check_name(const char *what, mc_slice name, mc_why *why)
{
  char shown[48];
  if (name_ok(name))
    return MC_OK;
  return mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot name a %s: 1 to %d of A-Z, a-z, 0-9, _, : and - (wildcards and slashes would reach others' topics)",
                    registry_shown(name, shown), what, MC_REGISTRY_NAME);
}

/* ISO 3779: 17 characters without I, O and Q. */
static bool vin_ok(const char *vin)
{
  size_t n = strnlen(vin, 18);
  if (n != 0 && n != 17)
    return false;
  for (size_t i = 0; i < n; i++)
    if (!((vin[i] >= 'A' && vin[i] <= 'Z' && !strchr("IOQ", vin[i])) || (vin[i] >= '0' && vin[i] <= '9')))
      return false;
  return true;
}

static bool text_ok(const char *text, size_t size)
{
  size_t n = strnlen(text, size);
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
      return false;
  return n < size && mc_slice_is_utf8(mc_slice_of(text, n));
}

mc_err registry_vehicle_check(const mc_vehicle *v, mc_why *why)
{
  MC_TRY(check_name("vehicle", mc_slice_of(v->name, strnlen(v->name, sizeof v->name)), why));
  if (!vin_ok(v->vin))
    return mc_err_set(why, MC_ERR_INVALID, "vin: 17 capital letters and digits without I, O and Q, or nothing at all");
  if (!text_ok(v->make, sizeof v->make) || !text_ok(v->model, sizeof v->model) || !text_ok(v->kind, sizeof v->kind) || !text_ok(v->manifest, sizeof v->manifest))
    return mc_err_set(why, MC_ERR_INVALID, "make, model, kind and manifest are UTF-8 text without control characters");
  if (v->year != 0 && (v->year < 1900 || v->year > 2100))
    return mc_err_set(why, MC_ERR_INVALID, "year: 1900 to 2100, or 0 when unknown; got %d", v->year);
  return MC_OK;
}

void registry_vehicle_json(mc_json *j, const mc_vehicle *v, uint32_t thing)
{
  mc_json_object(j);
  mc_json_uint_field(j, "vehicle", v->id);
  if (thing)
    mc_json_uint_field(j, "thing", thing);
  mc_json_str_field(j, "name", v->name);
  mc_json_str_field(j, "vin", v->vin);
  mc_json_str_field(j, "make", v->make);
  mc_json_str_field(j, "model", v->model);
  mc_json_str_field(j, "kind", v->kind);
  mc_json_int_field(j, "year", v->year);
  mc_json_str_field(j, "manifest", v->manifest);
  mc_json_object_end(j);
}

static mc_err write_vehicle_json(mc_buf *out, const mc_vehicle *v, uint32_t thing)
{
  mc_json j = mc_json_to(out);
  registry_vehicle_json(&j, v, thing);
  return mc_json_end(&j);
}

/* Says which of the unique facts clashes. */
static mc_err name_clash(mc_registry *r, const mc_vehicle *v, mc_why *why)
{
  mc_vehicle other;
  if (mc_registry_vehicle_find(r, v->tenant, mc_slice_str(v->name), &other) == MC_OK && other.id != v->id)
    return mc_err_set(why, MC_ERR_EXISTS, "there is a vehicle \"%s\" already (id %u); choose another name", v->name, other.id);
  mc_thing thing;
  if (!v->id && mc_registry_thing_find(r, v->tenant, mc_slice_str(v->name), &thing) == MC_OK)
    return mc_err_set(why, MC_ERR_EXISTS, "there is a device \"%s\" already; choose another name", v->name);
  return mc_err_set(why, MC_ERR_EXISTS, "another vehicle has VIN %s already; correct one of the two", v->vin);
}

static mc_err insert_thing(mc_registry *r, thing_entry *t, const mc_slice *policy, mc_why *why)
{
  MC_TRY(registry_next_id(r, "thing", &t->thing.id, why));
  const char *sql = policy ? "INSERT INTO thing (id, tenant, name, is_service, disabled, created_us, policy) VALUES ($1, $2, $3, $4, 0, $5, $6)"
                           : "INSERT INTO thing (id, tenant, name, is_service, disabled, created_us) VALUES ($1, $2, $3, $4, 0, $5)";
  return mc_db_run(r->db, why, sql, policy ? "iitiit" : "iitii", (int64_t)t->thing.id, (int64_t)t->thing.tenant, mc_slice_str(t->thing.name),
                   (int64_t)t->thing.is_service, t->thing.created_us, policy ? *policy : (mc_slice){0});
}

mc_err registry_vehicle_insert(mc_registry *r, mc_vehicle *v, thing_entry *t, mc_why *why)
{
  MC_TRY(registry_next_id(r, "vehicle", &v->id, why));
  mc_err err = mc_db_run(r->db, why,
                         "INSERT INTO vehicle (id, tenant, name, vin, make, model, kind, manifest, year, created_us)"
                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                         "iittttttii", (int64_t)v->id, (int64_t)v->tenant, mc_slice_str(v->name), mc_slice_str(v->vin), mc_slice_str(v->make),
                         mc_slice_str(v->model), mc_slice_str(v->kind), mc_slice_str(v->manifest), (int64_t)v->year, v->created_us);
  if (!err)
    err = insert_thing(r, t, NULL, why);
  if (err == MC_ERR_EXISTS) {
    v->id = 0;
    return name_clash(r, v, why);
  }
  if (err == MC_ERR_CONFLICT)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", v->tenant);
  MC_TRY(err);
  return mc_db_run(r->db, why, "INSERT INTO fitting (thing, vehicle, from_us) VALUES ($1, $2, $3)", "iii", (int64_t)t->thing.id, (int64_t)v->id, v->created_us);
}

mc_err mc_registry_vehicle_create(mc_registry *r, mc_vehicle *vehicle, mc_why *why) { return mc_registry_vehicle_create_with(r, vehicle, false, NULL, why); }

static mc_err create_with_thing(mc_registry *r, mc_vehicle *vehicle, const mc_registry_with *with, mc_why *why)
{
  MC_TRY(registry_vehicle_check(vehicle, why));
  mc_vehicle *v = malloc(sizeof *v);
  thing_entry *t = calloc(1, sizeof *t);
  mc_err err = v && t ? change_begin(r, why) : mc_err_set(why, MC_ERR_MEMORY, "no memory for a vehicle");
  if (err) {
    free(v);
    free(t);
    return err;
  }
  *v = *vehicle;
  v->id = 0;
  v->created_us = mc_clock_wall_us();
  t->thing = (mc_thing){.tenant = v->tenant, .created_us = v->created_us};
  memcpy(t->thing.name, v->name, sizeof t->thing.name);
  mc_buf payload = {0};
  err = registry_vehicle_insert(r, v, t, why);
  if (!err)
    err = registry_write_with(r, v->tenant, v->id, with, v->created_us, why);
  if (!err)
    err = write_vehicle_json(&payload, v, t->thing.id);
  err = change_commit(r, err, v->tenant, mc_slice_str(v->name), "vehicle.created", &payload, why);
  mc_buf_free(&payload);
  bool keep_vehicle = false, keep_thing = false; /* by the mirror */
  if (!err) {
    *vehicle = *v;
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_vehicle(r, v);
    keep_vehicle = !err;
    if (!err)
      err = mirror_thing(r, t);
    keep_thing = !err;
    if (!err)
      err = mirror_fitting(r, t->thing.id, v->id, v->created_us, INT64_MAX);
    pthread_rwlock_unlock(&r->lock);
    if (with && with->attribute)
      policy_attributes_changed(r, vehicle->id);
  }
  if (!keep_vehicle)
    free(v);
  if (!keep_thing)
    free(t);
  change_end(r);
  return err ? err : registry_key_for_vehicles(r, vehicle->tenant, &vehicle->id, 1, why);
}

mc_err mc_registry_vehicle_create_with(mc_registry *r, mc_vehicle *vehicle, bool on_thing, const mc_registry_with *with, mc_why *why)
{
  return on_thing ? registry_vehicle_create_on_thing(r, vehicle, with, why) : create_with_thing(r, vehicle, with, why);
}

mc_err mc_registry_vehicle_update(mc_registry *r, const mc_vehicle *vehicle, mc_why *why) { return mc_registry_vehicle_update_with(r, vehicle, NULL, why); }

mc_err mc_registry_vehicle_update_with(mc_registry *r, const mc_vehicle *vehicle, const mc_registry_with *with, mc_why *why)
{
  MC_TRY(registry_vehicle_check(vehicle, why));
  MC_TRY(change_begin(r, why));
  const mc_vehicle *v = vehicle;
  int64_t now = mc_clock_wall_us();
  mc_err err = mc_db_run(r->db, why,
                         "UPDATE vehicle SET vin = $1, make = $2, model = $3, kind = $4, manifest = $5, year = $6, updated_us = $10 WHERE id = $7 AND tenant = $8 AND name = $9",
                         "tttttiiiti", mc_slice_str(v->vin), mc_slice_str(v->make), mc_slice_str(v->model), mc_slice_str(v->kind),
                         mc_slice_str(v->manifest), (int64_t)v->year, (int64_t)v->id, (int64_t)v->tenant, mc_slice_str(v->name), now);
  if (err == MC_ERR_EXISTS)
    err = name_clash(r, v, why);
  if (!err && mc_db_changes(r->db) == 0)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle \"%s\" with id %u (a vehicle keeps its name)", v->name, v->id);
  if (!err)
    err = registry_write_with(r, v->tenant, v->id, with, now, why);
  mc_buf payload = {0};
  if (!err)
    err = write_vehicle_json(&payload, v, 0);
  err = change_commit(r, err, v->tenant, mc_slice_str(v->name), "vehicle.updated", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    mc_vehicle *own = registry_vehicle(r, v->id);
    if (own) {
      int64_t created_us = own->created_us;
      if (strcmp(own->kind, v->kind) != 0) /* the type of its device, for policies */
        policy_changed(r);
      *own = *v;
      own->created_us = created_us;
      own->updated_us = now;
    }
    pthread_rwlock_unlock(&r->lock);
    if (with && with->attribute)
      policy_attributes_changed(r, v->id);
  }
  change_end(r);
  return err;
}

mc_err mc_registry_vehicle_get(mc_registry *r, uint32_t tenant, uint32_t id, mc_vehicle *out)
{
  pthread_rwlock_rdlock(&r->lock);
  const mc_vehicle *v = registry_vehicle(r, id);
  mc_err err = v && v->tenant == tenant ? MC_OK : MC_ERR_NOT_FOUND;
  if (!err)
    *out = *v;
  pthread_rwlock_unlock(&r->lock);
  return err;
}

bool mc_registry_vehicle_exists(mc_registry *r, uint32_t tenant, uint32_t id)
{
  pthread_rwlock_rdlock(&r->lock);
  const mc_vehicle *v = registry_vehicle(r, id);
  bool found = v && v->tenant == tenant;
  pthread_rwlock_unlock(&r->lock);
  return found;
}

mc_err mc_registry_vehicle_find(mc_registry *r, uint32_t tenant, mc_slice name, mc_vehicle *out)
{
  scoped_key k = registry_key(tenant, name);
  uint64_t id = 0;
  pthread_rwlock_rdlock(&r->lock);
  const mc_vehicle *v = k.len && mc_strmap_get(&r->vehicle_by_name, scoped_slice(&k), &id) ? registry_vehicle(r, (uint32_t)id) : NULL;
  if (v)
    *out = *v;
  pthread_rwlock_unlock(&r->lock);
  return v ? MC_OK : MC_ERR_NOT_FOUND;
}

/* "%text%" with LIKE's own signs escaped. */
static mc_err like_pattern(mc_slice filter, mc_buf *out)
{
  MC_TRY(mc_buf_append_u8(out, '%'));
  for (size_t i = 0; i < filter.len; i++) {
    if (strchr("%_\\", filter.data[i]) && filter.data[i])
      MC_TRY(mc_buf_append_u8(out, '\\'));
    MC_TRY(mc_buf_append_u8(out, filter.data[i]));
  }
  return mc_buf_append_u8(out, '%');
}

static mc_err list_ids(mc_registry *r, uint32_t tenant, mc_slice after, mc_slice filter, size_t limit, uint32_t *id, size_t *count, mc_why *why)
{
  static const char all[] = "SELECT id FROM vehicle WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3";
  static const char some[] = "SELECT id FROM vehicle WHERE tenant = $1 AND name > $2 AND (name LIKE $4 ESCAPE '\\' OR vin LIKE $4 ESCAPE '\\'"
                             " OR make LIKE $4 ESCAPE '\\' OR model LIKE $4 ESCAPE '\\') ORDER BY name LIMIT $3";
  mc_buf like = {0};
  mc_err err = filter.len ? like_pattern(filter, &like) : MC_OK;
  mc_stmt *s = NULL;
  if (!err)
    err = mc_db_prepare(r->db, filter.len ? some : all, &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, after);
    mc_stmt_bind_int(s, 3, (int64_t)limit);
    if (filter.len)
      mc_stmt_bind_text(s, 4, mc_buf_slice(&like));
    while (*count < limit && (err = mc_stmt_step(s, why)) == MC_OK)
      id[(*count)++] = (uint32_t)mc_stmt_int(s, 0);
  }
  mc_stmt_release(&s);
  mc_buf_free(&like);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_registry_vehicle_list(mc_registry *r, uint32_t tenant, mc_slice after, mc_slice filter, size_t limit, mc_arena *arena, mc_vehicle **out, size_t *count, mc_why *why)
{
  *out = NULL;
  *count = 0;
  uint32_t total = mc_registry_vehicle_count(r, tenant);
  if (limit > total)
    limit = total;
  if (filter.len > MC_REGISTRY_NAME)
    return mc_err_set(why, MC_ERR_INVALID, "filter: at most %d bytes", MC_REGISTRY_NAME);
  uint32_t *id = mc_arena_array(arena, limit, sizeof *id);
  if (!id)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a list of %zu vehicles; ask for fewer", limit);
  size_t n = 0;
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = list_ids(r, tenant, after, filter, limit, id, &n, why);
  mc_db_end(r->db, true, NULL);
  MC_TRY(err);
  return registry_list_of(r, id, n, arena, out, count, why);
}

mc_err registry_list_of(mc_registry *r, const uint32_t *id, size_t n, mc_arena *arena, mc_vehicle **out, size_t *count, mc_why *why)
{
  mc_vehicle *list = *out = mc_arena_array(arena, n, sizeof *list);
  *count = 0;
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a list of %zu vehicles; ask for fewer", n);
  pthread_rwlock_rdlock(&r->lock);
  for (size_t i = 0; i < n; i++) {
    const mc_vehicle *v = registry_vehicle(r, id[i]);
    if (v)
      list[(*count)++] = *v;
  }
  pthread_rwlock_unlock(&r->lock);
  return MC_OK;
}

uint32_t mc_registry_vehicles_with_manifest(mc_registry *r, uint32_t tenant, mc_slice manifest)
{
  uint32_t n = 0;
  pthread_rwlock_rdlock(&r->lock);
  for (size_t i = 0; i < r->vehicle.len; i++) {
    const mc_vehicle *v = r->vehicle.at[i];
    n += v && v->tenant == tenant && mc_slice_eq_str(manifest, v->manifest);
  }
  pthread_rwlock_unlock(&r->lock);
  return n;
}

uint32_t mc_registry_vehicle_count(mc_registry *r, uint32_t tenant)
{
  pthread_rwlock_rdlock(&r->lock);
  tenant_entry *t = registry_tenant(r, tenant);
  uint32_t n = t ? t->vehicles : 0;
  pthread_rwlock_unlock(&r->lock);
  return n;
}

/* ---- things ---- */

mc_err mc_registry_thing_find(mc_registry *r, uint32_t tenant, mc_slice name, mc_thing *out)
{
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *t = registry_thing_named(r, tenant, name);
  if (t)
    *out = t->thing;
  pthread_rwlock_unlock(&r->lock);
  return t ? MC_OK : MC_ERR_NOT_FOUND;
}

uint32_t mc_registry_vehicle_of_thing(mc_registry *r, uint32_t tenant, uint32_t thing, int64_t at_us)
{
  uint32_t vehicle = 0;
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *t = registry_thing(r, thing);
  if (t && t->thing.tenant == tenant)
    for (size_t i = t->span.len; i-- > 0 && !vehicle;)
      if (at_us >= t->span.at[i].from_us && at_us < t->span.at[i].to_us)
        vehicle = t->span.at[i].vehicle;
  pthread_rwlock_unlock(&r->lock);
  return vehicle;
}

mc_err mc_registry_refit(mc_registry *r, uint32_t tenant, uint32_t thing, uint32_t vehicle, mc_why *why)
{
  MC_TRY(change_begin(r, why));
  mc_err err = MC_OK;
  int64_t now = mc_clock_wall_us();
  char name[129] = "";
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *t = registry_thing(r, thing);
  const mc_vehicle *v = registry_vehicle(r, vehicle);
  if (!t || t->thing.tenant != tenant || t->thing.is_service)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no device with id %u", thing);
  else if (!v || v->tenant != tenant)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle with id %u", vehicle);
  else {
    memcpy(name, t->thing.name, sizeof name);
    if (t->span.len && now <= t->span.at[t->span.len - 1].from_us)
      now = t->span.at[t->span.len - 1].from_us + 1; /* the clock stepped back: spans stay in order */
  }
  pthread_rwlock_unlock(&r->lock);
  if (!err)
    err = mc_db_run(r->db, why, "UPDATE fitting SET to_us = $1 WHERE thing = $2 AND to_us IS NULL", "ii", now, (int64_t)thing);
  if (!err)
    err = mc_db_run(r->db, why, "INSERT INTO fitting (thing, vehicle, from_us) VALUES ($1, $2, $3)", "iii", (int64_t)thing, (int64_t)vehicle, now);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"thing\":%u,\"name\":\"%s\",\"vehicle\":%u,\"from_us\":%lld}", thing, name, vehicle, (long long)now);
  err = change_commit(r, err, tenant, mc_slice_str(name), "thing.refitted", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_fitting(r, thing, vehicle, now, INT64_MAX);
    policy_changed(r); /* it has another vehicle's attributes now */
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}

mc_err mc_registry_service_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice policy_json, uint32_t *thing, mc_why *why)
{
  MC_TRY(check_name("service", name, why));
  thing_entry *t = calloc(1, sizeof *t);
  if (!t)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a service");
  t->thing = (mc_thing){.tenant = tenant, .is_service = true, .created_us = mc_clock_wall_us()};
  mc_slice_to_str(name, t->thing.name, sizeof t->thing.name);
  mc_err err = mc_policy_parse(policy_json, &t->policy, why);
  if (!err)
    err = change_begin(r, why);
  if (err) {
    mc_policy_release(t->policy);
    free(t);
    return err;
  }
  err = insert_thing(r, t, &policy_json, why);
  if (err == MC_ERR_EXISTS)
    mc_err_set(why, err, "there is a device or service \"%s\" already; choose another name", t->thing.name);
  if (err == MC_ERR_CONFLICT)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", tenant);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"thing\":%u,\"name\":\"%s\",\"policy\":%.*s}", t->thing.id, t->thing.name, MC_FMT(policy_json));
  err = change_commit(r, err, tenant, name, "service.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    *thing = t->thing.id;
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_thing(r, t);
    pthread_rwlock_unlock(&r->lock);
  }
  if (err) {
    mc_policy_release(t->policy);
    free(t);
  }
  change_end(r);
  return err;
}
