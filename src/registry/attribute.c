/* Attributes of vehicles: names and values of the owner's choice. They never reach the vehicle; data that leaves is joined with them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/mirror.h"

enum { MAX_NAME = 150, MAX_VALUE = 16384, MAX_FILTERS = 30 };

static bool name_ok(mc_slice name)
{
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
      return false;
  }
  return name.len >= 1 && name.len <= MAX_NAME;
}

static mc_err check(const mc_attribute *a, size_t count, mc_why *why)
{
  char shown[48];
  if (count > MC_VEHICLE_ATTRIBUTES)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%zu attributes: a vehicle has at most %d", count, MC_VEHICLE_ATTRIBUTES);
  for (size_t i = 0; i < count; i++) {
    if (!name_ok(a[i].name))
      return mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot name an attribute: 1 to %d of A-Z, a-z, 0-9, _, . and -", registry_shown(a[i].name, shown), MAX_NAME);
    if (a[i].value.len > MAX_VALUE || !mc_slice_is_utf8(a[i].value))
      return mc_err_set(why, MC_ERR_INVALID, "attribute %.*s: a value is UTF-8 of at most %d bytes", MC_FMT(a[i].name), MAX_VALUE);
  }
  return MC_OK;
}

mc_err mc_registry_vehicle_attributes(mc_registry *r, uint32_t tenant, uint32_t vehicle, mc_arena *arena, mc_attribute **out, size_t *count, mc_why *why)
{
  mc_stmt *s;
  *count = 0;
  mc_attribute *list = *out = mc_arena_array(arena, MC_VEHICLE_ATTRIBUTES, sizeof *list);
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for attributes");
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err =
      mc_db_prepare(r->db, "SELECT a.name, a.value FROM vehicle v JOIN vehicle_attribute a ON a.vehicle = v.id WHERE v.id = $1 AND v.tenant = $2 ORDER BY a.name", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, vehicle);
    mc_stmt_bind_int(s, 2, tenant);
    while (*count < MC_VEHICLE_ATTRIBUTES && (err = mc_stmt_step(s, why)) == MC_OK) {
      mc_attribute *a = &list[(*count)++];
      if ((err = mc_arena_copy(arena, mc_stmt_text(s, 0), &a->name)) || (err = mc_arena_copy(arena, mc_stmt_text(s, 1), &a->value)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* Inside the transaction: not more than there may be, together with those of before. */
static mc_err check_total(mc_registry *r, uint32_t vehicle, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(r->db, "SELECT COUNT(*) FROM vehicle_attribute WHERE vehicle = $1", &s, why));
  mc_stmt_bind_int(s, 1, vehicle);
  mc_err err = mc_stmt_step(s, why);
  int64_t n = err ? 0 : mc_stmt_int(s, 0);
  mc_stmt_release(&s);
  MC_TRY(err);
  return n <= MC_VEHICLE_ATTRIBUTES ? MC_OK : mc_err_set(why, MC_ERR_TOO_LARGE, "%lld attributes: a vehicle has at most %d", (long long)n, MC_VEHICLE_ATTRIBUTES);
}

static mc_err write_rows(mc_registry *r, uint32_t tenant, uint32_t vehicle, const mc_attribute *a, size_t count, bool replace, int64_t now, mc_why *why)
{
  MC_TRY(mc_db_run(r->db, why, "UPDATE vehicle SET updated_us = $1 WHERE id = $2 AND tenant = $3", "iii", now, (int64_t)vehicle, (int64_t)tenant));
  if (!mc_db_changes(r->db))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle with id %u", vehicle);
  if (replace)
    MC_TRY(mc_db_run(r->db, why, "DELETE FROM vehicle_attribute WHERE vehicle = $1", "i", (int64_t)vehicle));
  for (size_t i = 0; i < count; i++)
    MC_TRY(mc_db_run(r->db, why, "INSERT INTO vehicle_attribute (vehicle, name, value) VALUES ($1, $2, $3) ON CONFLICT (vehicle, name) DO UPDATE SET value = excluded.value",
                     "itt", (int64_t)vehicle, a[i].name, a[i].value));
  return check_total(r, vehicle, why);
}

mc_err registry_write_with(mc_registry *r, uint32_t tenant, uint32_t vehicle, const mc_registry_with *with, int64_t now, mc_why *why)
{
  if (with && with->attribute) {
    MC_TRY(check(with->attribute, with->attribute_count, why));
    MC_TRY(write_rows(r, tenant, vehicle, with->attribute, with->attribute_count, with->replace, now, why));
  }
  return with && with->also ? with->also(with->ctx, vehicle, why) : MC_OK;
}

mc_err mc_registry_vehicle_set_attributes(mc_registry *r, uint32_t tenant, uint32_t vehicle, const mc_attribute *attribute, size_t count, bool replace, mc_why *why)
{
  MC_TRY(check(attribute, count, why));
  MC_TRY(change_begin(r, why));
  int64_t now = mc_clock_wall_us();
  mc_err err = write_rows(r, tenant, vehicle, attribute, count, replace, now, why);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"vehicle\":%u}", vehicle);
  err = change_commit(r, err, tenant, (mc_slice){0}, "vehicle.attributes", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    mc_vehicle *v = registry_vehicle(r, vehicle);
    if (v)
      v->updated_us = now;
    pthread_rwlock_unlock(&r->lock);
    policy_attributes_changed(r, vehicle);
  }
  change_end(r);
  return err;
}

/* ---- searching ---- */

static mc_err search_sql(size_t filters, mc_buf *sql)
{
  MC_TRY(mc_buf_append_str(sql, "SELECT v.id FROM vehicle v WHERE v.tenant = $1 AND v.name > $2"));
  for (size_t i = 0; i < filters; i++)
    MC_TRY(mc_buf_printf(sql, " AND EXISTS (SELECT 1 FROM vehicle_attribute a WHERE a.vehicle = v.id AND a.name = $%zu AND a.value = $%zu)", 4 + 2 * i, 5 + 2 * i));
  return mc_buf_append(sql, " ORDER BY v.name LIMIT $3", sizeof " ORDER BY v.name LIMIT $3"); /* with its end */
}

static mc_err search_page(mc_registry *r, uint32_t tenant, const char *sql, const mc_attribute *has, size_t has_count, mc_slice after, size_t limit, uint32_t *id, size_t *count,
                          mc_why *why)
{
  mc_stmt *s;
  *count = 0;
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = mc_db_prepare(r->db, sql, &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, after);
    mc_stmt_bind_int(s, 3, (int64_t)limit);
    for (size_t i = 0; i < has_count; i++) {
      mc_stmt_bind_text(s, (int)(4 + 2 * i), has[i].name);
      mc_stmt_bind_text(s, (int)(5 + 2 * i), has[i].value);
    }
    while (*count < limit && (err = mc_stmt_step(s, why)) == MC_OK)
      id[(*count)++] = (uint32_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_registry_vehicle_search(mc_registry *r, uint32_t tenant, const mc_attribute *has, size_t has_count, bool (*keep)(void *ctx, const mc_vehicle *v), void *ctx, mc_slice after,
                                  size_t limit, mc_arena *arena, mc_vehicle **out, size_t *count, mc_why *why)
{
  enum { PAGE = 500 };
  *count = 0;
  if (has_count > MAX_FILTERS)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%zu attributes to search by: at most %d", has_count, MAX_FILTERS);
  mc_vehicle *list = *out = mc_arena_array(arena, limit, sizeof *list), *page;
  uint32_t *id = mc_arena_array(arena, PAGE, sizeof *id);
  mc_buf sql = {0};
  mc_err err = list && id ? search_sql(has_count, &sql) : mc_err_set(why, MC_ERR_MEMORY, "no memory for a list of %zu vehicles; ask for fewer", limit);
  for (size_t n = PAGE, found; !err && n == PAGE && *count < limit;) {
    size_t most = keep || limit - *count > PAGE ? PAGE : limit - *count;
    mc_arena own = MC_ARENA(0);
    err = search_page(r, tenant, (const char *)sql.data, has, has_count, after, most, id, &n, why);
    if (!err)
      err = registry_list_of(r, id, n, &own, &page, &found, why);
    for (size_t i = 0; !err && i < found && *count < limit; i++)
      if (!keep || keep(ctx, &page[i]))
        list[(*count)++] = page[i];
    if (!err && found) /* a name of our own arena: the page's goes with it */
      err = mc_arena_copy(arena, mc_slice_str(page[found - 1].name), &after);
    if (!err && n && !found)
      n = 0; /* all of them went meanwhile */
    mc_arena_free(&own);
  }
  mc_buf_free(&sql);
  return err;
}
