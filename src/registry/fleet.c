/* Fleets: vehicles that are meant together. Members are mirrored, so that a check-in learns without the disk which campaigns it is meant by. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/mirror.h"

enum { FLEET_ID = 100, FEW = 1000 };

static bool id_ok(mc_slice id)
{
  for (size_t i = 0; i < id.len; i++) {
    uint8_t c = id.data[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ':' || c == '-'))
      return false;
  }
  return id.len >= 1 && id.len <= FLEET_ID;
}

static mc_err no_fleet(mc_slice id, mc_why *why)
{
  char shown[48];
  return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no fleet \"%s\"", registry_shown(id, shown));
}

/* ---- the mirror ---- */

fleet_entry *registry_fleet(const mc_registry *r, uint32_t tenant, mc_slice id)
{
  scoped_key k = registry_key(tenant, id);
  uint64_t found = 0;
  return k.len && mc_strmap_get(&r->fleet_by_id, scoped_slice(&k), &found) ? (fleet_entry *)(uintptr_t)found : NULL;
}

mc_err mirror_fleet(mc_registry *r, uint32_t tenant, mc_slice id)
{
  scoped_key k = registry_key(tenant, id);
  if (!id_ok(id) || registry_fleet(r, tenant, id))
    return MC_ERR_CHECKSUM;
  fleet_entry *f = calloc(1, sizeof *f);
  if (!f)
    return MC_ERR_MEMORY;
  f->tenant = tenant;
  mc_err err = mc_strmap_put(&r->fleet_by_id, scoped_slice(&k), (uintptr_t)f);
  if (err)
    free(f);
  return err;
}

void mirror_fleet_gone(mc_registry *r, uint32_t tenant, mc_slice id)
{
  scoped_key k = registry_key(tenant, id);
  uint64_t old = 0;
  if (!mc_strmap_remove(&r->fleet_by_id, scoped_slice(&k), &old))
    return;
  fleet_entry *f = (fleet_entry *)(uintptr_t)old;
  mc_map_free(&f->vehicle);
  free(f);
}

bool mc_registry_fleet_exists(mc_registry *r, uint32_t tenant, mc_slice id)
{
  pthread_rwlock_rdlock(&r->lock);
  bool found = registry_fleet(r, tenant, id) != NULL;
  pthread_rwlock_unlock(&r->lock);
  return found;
}

bool mc_registry_fleet_has(mc_registry *r, uint32_t tenant, mc_slice id, uint32_t vehicle)
{
  pthread_rwlock_rdlock(&r->lock);
  const fleet_entry *f = registry_fleet(r, tenant, id);
  bool found = f && mc_map_get(&f->vehicle, vehicle, NULL);
  pthread_rwlock_unlock(&r->lock);
  return found;
}

static size_t size_of(mc_registry *r, uint32_t tenant, mc_slice id)
{
  pthread_rwlock_rdlock(&r->lock);
  const fleet_entry *f = registry_fleet(r, tenant, id);
  size_t n = f ? f->vehicle.len : 0;
  pthread_rwlock_unlock(&r->lock);
  return n;
}

/* ---- changes ---- */

static mc_err payload_of(mc_slice id, uint32_t vehicle, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_text_field(&j, "fleet", id);
  if (vehicle)
    mc_json_uint_field(&j, "vehicle", vehicle);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

/* Ends a change: journal, commit. The db's mutex stays. */
static mc_err finish(mc_registry *r, mc_err err, uint32_t tenant, mc_slice id, uint32_t vehicle, const char *kind, mc_why *why)
{
  mc_buf payload = {0};
  if (!err)
    err = payload_of(id, vehicle, &payload);
  err = change_commit(r, err, tenant, id, kind, &payload, why);
  mc_buf_free(&payload);
  return err;
}

mc_err mc_registry_fleet_create(mc_registry *r, uint32_t tenant, const mc_fleet *fleet, mc_why *why) { return mc_registry_fleet_create_with(r, tenant, fleet, NULL, why); }

mc_err mc_registry_fleet_create_with(mc_registry *r, uint32_t tenant, const mc_fleet *fleet, const mc_registry_with *with, mc_why *why)
{
  char shown[48];
  if (!id_ok(fleet->id))
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot name a fleet: 1 to %d of A-Z, a-z, 0-9, :, _ and -", registry_shown(fleet->id, shown), FLEET_ID);
  MC_TRY(change_begin(r, why));
  int64_t now = mc_clock_wall_us();
  mc_err err = mc_db_run(r->db, why, "INSERT INTO fleet (tenant, id, description, catalog, created_us, updated_us) VALUES ($1, $2, $3, $4, $5, $5)", "ittti", (int64_t)tenant,
                         fleet->id, fleet->description, fleet->catalog, now);
  if (err == MC_ERR_EXISTS)
    mc_err_set(why, err, "there is a fleet \"%s\" already", registry_shown(fleet->id, shown));
  if (err == MC_ERR_CONFLICT)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", tenant);
  if (!err)
    err = registry_write_with(r, tenant, 0, with, now, why);
  err = finish(r, err, tenant, fleet->id, 0, "fleet.created", why);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_fleet(r, tenant, fleet->id);
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}

mc_err mc_registry_fleet_update(mc_registry *r, uint32_t tenant, mc_slice id, mc_slice description, mc_why *why)
{
  MC_TRY(change_begin(r, why));
  mc_err err = mc_db_run(r->db, why, "UPDATE fleet SET description = $1, updated_us = $2 WHERE tenant = $3 AND id = $4", "tiit", description, mc_clock_wall_us(),
                         (int64_t)tenant, id);
  if (!err && !mc_db_changes(r->db))
    err = no_fleet(id, why);
  err = finish(r, err, tenant, id, 0, "fleet.updated", why);
  change_end(r);
  return err;
}

mc_err mc_registry_fleet_delete(mc_registry *r, uint32_t tenant, mc_slice id, mc_why *why) { return mc_registry_fleet_delete_with(r, tenant, id, NULL, why); }

mc_err mc_registry_fleet_delete_with(mc_registry *r, uint32_t tenant, mc_slice id, const mc_registry_with *with, mc_why *why)
{
  char shown[48];
  MC_TRY(change_begin(r, why));
  mc_err err = mc_db_run(r->db, why, "DELETE FROM fleet WHERE tenant = $1 AND id = $2", "it", (int64_t)tenant, id);
  if (err == MC_ERR_CONFLICT)
    mc_err_set(why, err, "%zu vehicles are in the fleet \"%s\": take them out first", size_of(r, tenant, id), registry_shown(id, shown));
  if (!err && !mc_db_changes(r->db))
    err = no_fleet(id, why);
  if (!err)
    err = registry_write_with(r, tenant, 0, with, 0, why);
  err = finish(r, err, tenant, id, 0, "fleet.deleted", why);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    mirror_fleet_gone(r, tenant, id);
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}

uint32_t mc_registry_fleet_size(mc_registry *r, uint32_t tenant, mc_slice id) { return (uint32_t)size_of(r, tenant, id); }

uint32_t mc_registry_fleet_count(mc_registry *r, uint32_t tenant)
{
  mc_stmt *s;
  uint32_t n = 0;
  if (mc_db_begin(r->db, false, NULL))
    return 0;
  if (!mc_db_prepare(r->db, "SELECT COUNT(*) FROM fleet WHERE tenant = $1", &s, NULL)) {
    mc_stmt_bind_int(s, 1, tenant);
    if (!mc_stmt_step(s, NULL))
      n = (uint32_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  return n;
}

static mc_err change_member(mc_registry *r, uint32_t tenant, mc_slice id, uint32_t vehicle, bool in, mc_why *why)
{
  mc_vehicle v;
  if (mc_registry_vehicle_get(r, tenant, vehicle, &v))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle with id %u", vehicle);
  MC_TRY(change_begin(r, why));
  mc_err err = mc_registry_fleet_exists(r, tenant, id) ? MC_OK : no_fleet(id, why);
  if (!err)
    err = mc_db_run(r->db, why, in ? "INSERT INTO fleet_member (tenant, fleet, vehicle) VALUES ($1, $2, $3) ON CONFLICT (tenant, fleet, vehicle) DO NOTHING"
                                   : "DELETE FROM fleet_member WHERE tenant = $1 AND fleet = $2 AND vehicle = $3",
                    "iti", (int64_t)tenant, id, (int64_t)vehicle);
  if (err == MC_ERR_CONFLICT) /* it went meanwhile */
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle with id %u", vehicle);
  err = finish(r, err, tenant, id, vehicle, in ? "fleet.joined" : "fleet.left", why);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    fleet_entry *f = registry_fleet(r, tenant, id);
    if (f && in)
      err = mc_map_put(&f->vehicle, vehicle, 1);
    else if (f)
      mc_map_remove(&f->vehicle, vehicle, NULL);
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}

mc_err mc_registry_fleet_add(mc_registry *r, uint32_t tenant, mc_slice id, uint32_t vehicle, mc_why *why)
{
  return change_member(r, tenant, id, vehicle, true, why);
}

mc_err mc_registry_fleet_remove(mc_registry *r, uint32_t tenant, mc_slice id, uint32_t vehicle, mc_why *why)
{
  return change_member(r, tenant, id, vehicle, false, why);
}

/* ---- reading ---- */

static mc_err read_rows(mc_registry *r, uint32_t tenant, const char *sql, mc_slice key, size_t limit, mc_arena *arena, mc_fleet *list, size_t *count, mc_why *why)
{
  mc_stmt *s;
  *count = 0;
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = mc_db_prepare(r->db, sql, &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, key);
    mc_stmt_bind_int(s, 3, (int64_t)limit);
    while (*count < limit && (err = mc_stmt_step(s, why)) == MC_OK) {
      mc_fleet *f = &list[(*count)++];
      *f = (mc_fleet){.created_us = mc_stmt_int(s, 3), .updated_us = mc_stmt_int(s, 4)};
      if (mc_arena_copy(arena, mc_stmt_text(s, 0), &f->id) || mc_arena_copy(arena, mc_stmt_text(s, 1), &f->description) ||
          mc_arena_copy(arena, mc_stmt_text(s, 2), &f->catalog)) {
        err = mc_err_set(why, MC_ERR_MEMORY, "no memory for the list of fleets; ask for fewer");
        break;
      }
      f->vehicles = (uint32_t)size_of(r, tenant, f->id);
    }
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

#define FLEET "SELECT id, description, catalog, created_us, updated_us FROM fleet "

mc_err mc_registry_fleet_get(mc_registry *r, uint32_t tenant, mc_slice id, mc_arena *arena, mc_fleet *out, mc_why *why)
{
  size_t n;
  MC_TRY(read_rows(r, tenant, FLEET "WHERE tenant = $1 AND id = $2 LIMIT $3", id, 1, arena, out, &n, why));
  return n ? MC_OK : no_fleet(id, why);
}

mc_err mc_registry_fleet_list(mc_registry *r, uint32_t tenant, mc_slice after, size_t limit, mc_arena *arena, mc_fleet **out, size_t *count, mc_why *why)
{
  *out = mc_arena_array(arena, limit, sizeof **out);
  if (!*out)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a list of %zu fleets; ask for fewer", limit);
  return read_rows(r, tenant, FLEET "WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3", after, limit, arena, *out, count, why);
}

/* Of a big fleet a page is found by going along the names, of a small one by sorting its few. */
static const char big_sql[] = "SELECT v.id FROM vehicle v WHERE v.tenant = $1 AND v.name > $3 AND EXISTS (SELECT 1 FROM fleet_member m WHERE m.tenant = $1 AND m.fleet = $2 AND"
                              " m.vehicle = v.id) ORDER BY v.name LIMIT $4";
static const char small_sql[] = "SELECT v.id FROM fleet_member m CROSS JOIN vehicle v WHERE m.tenant = $1 AND m.fleet = $2 AND v.id = m.vehicle AND v.name > $3 ORDER BY v.name LIMIT $4";

mc_err mc_registry_fleet_vehicles(mc_registry *r, uint32_t tenant, mc_slice id, mc_slice after, size_t limit, mc_arena *arena, mc_vehicle **out, size_t *count, mc_why *why)
{
  *count = 0;
  if (!mc_registry_fleet_exists(r, tenant, id))
    return no_fleet(id, why);
  size_t size = size_of(r, tenant, id), n = 0;
  if (limit > size)
    limit = size;
  uint32_t *vehicle = mc_arena_array(arena, limit, sizeof *vehicle);
  if (!vehicle)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a list of %zu vehicles; ask for fewer", limit);
  mc_stmt *s;
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = mc_db_prepare(r->db, size > FEW ? big_sql : small_sql, &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, id);
    mc_stmt_bind_text(s, 3, after);
    mc_stmt_bind_int(s, 4, (int64_t)limit);
    while (n < limit && (err = mc_stmt_step(s, why)) == MC_OK)
      vehicle[n++] = (uint32_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  if (err && err != MC_ERR_END)
    return err;
  return registry_list_of(r, vehicle, n, arena, out, count, why);
}

mc_err mc_registry_fleets_of_vehicle(mc_registry *r, uint32_t tenant, uint32_t vehicle, mc_slice after, size_t limit, mc_arena *arena, mc_slice **out, size_t *count, mc_why *why)
{
  mc_stmt *s;
  *count = 0;
  mc_slice *list = *out = mc_arena_array(arena, limit, sizeof *list);
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a list of %zu fleets; ask for fewer", limit);
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = mc_db_prepare(r->db, "SELECT fleet FROM fleet_member WHERE vehicle = $1 AND tenant = $2 AND fleet > $3 ORDER BY fleet LIMIT $4", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, vehicle);
    mc_stmt_bind_int(s, 2, tenant);
    mc_stmt_bind_text(s, 3, after);
    mc_stmt_bind_int(s, 4, (int64_t)limit);
    while (*count < limit && (err = mc_stmt_step(s, why)) == MC_OK)
      if ((err = mc_arena_copy(arena, mc_stmt_text(s, 0), &list[(*count)++])))
        break;
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}
