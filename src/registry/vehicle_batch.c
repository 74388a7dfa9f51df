/* Many vehicles in one transaction: a row that clashes is refused by itself, the others are created. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/mirror.h"

/* What is at hand while a batch is judged and written. */
typedef struct batch {
  mc_registry *r;
  uint32_t tenant;
  mc_vehicle_row *row;
  size_t count, fresh; /* fresh: rows that are to be created */
  mc_strmap name, vin; /* of rows that came before -> index */
  mc_vehicle **vehicle; /* copies for the mirror, beside their things; [0, fresh) */
  thing_entry **thing;
} batch;

static void refuse(mc_vehicle_row *row, const char *fact, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void refuse(mc_vehicle_row *row, const char *fact, const char *format, ...)
{
  va_list args;
  char text[MC_WHY_TEXT];
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  row->state = MC_ROW_REFUSED;
  row->fact = fact;
  mc_err_set(&row->why, MC_ERR_EXISTS, "%s", text);
}

/* ---- judging ---- */

static bool same_facts(const mc_vehicle *a, const mc_vehicle *b)
{
  return !strcmp(a->vin, b->vin) && !strcmp(a->make, b->make) && !strcmp(a->model, b->model) && !strcmp(a->kind, b->kind) &&
         !strcmp(a->manifest, b->manifest) && a->year == b->year;
}

/* Against the rows before it. */
static mc_err judge_in_list(batch *b, size_t index)
{
  mc_vehicle_row *row = &b->row[index];
  mc_slice name = mc_slice_str(row->vehicle.name), vin = mc_slice_str(row->vehicle.vin);
  uint64_t other;
  if (mc_strmap_get(&b->name, name, &other)) {
    refuse(row, "name", "the list has a vehicle \"%s\" before this one; keep one of the two", row->vehicle.name);
    return MC_OK;
  }
  if (vin.len && mc_strmap_get(&b->vin, vin, &other)) {
    refuse(row, "vin", "vehicle \"%s\" of the same list has VIN %s; correct one of the two", b->row[other].vehicle.name, row->vehicle.vin);
    return MC_OK;
  }
  MC_TRY(mc_strmap_put(&b->name, name, index));
  return vin.len ? mc_strmap_put(&b->vin, vin, index) : MC_OK;
}

/* The vehicle that has the VIN; id 0: none. */
static mc_err vin_owner(batch *b, const char *vin, uint32_t *id, mc_why *why)
{
  mc_stmt *s;
  *id = 0;
  MC_TRY(mc_db_prepare(b->r->db, "SELECT id FROM vehicle WHERE tenant = $1 AND vin = $2 AND vin <> ''", &s, why));
  mc_stmt_bind_int(s, 1, b->tenant);
  mc_stmt_bind_text(s, 2, mc_slice_str(vin));
  mc_err err = mc_stmt_step(s, why);
  if (!err)
    *id = (uint32_t)mc_stmt_int(s, 0);
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

/* Against what is there already. Inside the transaction, so nobody else creates meanwhile. */
static mc_err judge_against_all(batch *b, mc_vehicle_row *row, mc_why *why)
{
  mc_vehicle other;
  mc_thing thing;
  uint32_t owner = 0;
  const char *name = row->vehicle.name;
  if (mc_registry_vehicle_find(b->r, b->tenant, mc_slice_str(name), &other) == MC_OK) {
    row->vehicle.id = other.id;
    row->vehicle.created_us = other.created_us;
    if (same_facts(&row->vehicle, &other))
      row->state = MC_ROW_UNCHANGED;
    else
      refuse(row, "name", "there is a vehicle \"%s\" already (id %u) with other facts; change that one, or choose another name", name, other.id);
    return MC_OK;
  }
  if (mc_registry_thing_find(b->r, b->tenant, mc_slice_str(name), &thing) == MC_OK) {
    refuse(row, "name", "there is a device \"%s\" already; choose another name", name);
    return MC_OK;
  }
  if (row->vehicle.vin[0])
    MC_TRY(vin_owner(b, row->vehicle.vin, &owner, why));
  if (owner)
    refuse(row, "vin", "vehicle %u has VIN %s already; correct one of the two", owner, row->vehicle.vin);
  return MC_OK;
}

static mc_err judge(batch *b, mc_why *why)
{
  for (size_t i = 0; i < b->count; i++) {
    mc_vehicle_row *row = &b->row[i];
    row->vehicle.id = 0;
    row->vehicle.tenant = b->tenant;
    if (row->state != MC_ROW_REFUSED) {
      row->fact = NULL;
      row->state = registry_vehicle_check(&row->vehicle, &row->why) ? MC_ROW_REFUSED : MC_ROW_NEW;
    }
    if (row->state == MC_ROW_NEW && judge_in_list(b, i))
      return mc_err_set(why, MC_ERR_MEMORY, "no memory for %zu vehicles", b->count);
    if (row->state == MC_ROW_NEW)
      MC_TRY(judge_against_all(b, row, why));
    b->fresh += row->state == MC_ROW_NEW;
  }
  return MC_OK;
}

/* ---- writing ---- */

static mc_err insert_one(batch *b, size_t at, mc_vehicle_row *row, int64_t now, mc_why *why)
{
  mc_vehicle *v = b->vehicle[at] = malloc(sizeof *v);
  thing_entry *t = b->thing[at] = calloc(1, sizeof *t);
  if (!v || !t)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for %zu vehicles", b->fresh);
  *v = row->vehicle;
  v->created_us = now;
  t->thing = (mc_thing){.tenant = b->tenant, .created_us = now};
  memcpy(t->thing.name, v->name, sizeof t->thing.name);
  return registry_vehicle_insert(b->r, v, t, why);
}

/* All rows that are new; payload becomes the journal record. */
static mc_err insert_all(batch *b, mc_buf *payload, mc_why *why)
{
  b->vehicle = calloc(b->fresh, sizeof(mc_vehicle *));
  b->thing = calloc(b->fresh, sizeof(thing_entry *));
  if (!b->vehicle || !b->thing)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for %zu vehicles", b->fresh);
  int64_t now = mc_clock_wall_us();
  mc_json j = mc_json_to(payload);
  size_t at = 0;
  mc_json_array(&j);
  for (size_t i = 0; i < b->count; i++) {
    if (b->row[i].state != MC_ROW_NEW)
      continue;
    MC_TRY(insert_one(b, at, &b->row[i], now, why));
    registry_vehicle_json(&j, b->vehicle[at], b->thing[at]->thing.id);
    at++;
  }
  mc_json_array_end(&j);
  return mc_json_end(&j) ? mc_err_set(why, MC_ERR_MEMORY, "no memory for the record of %zu vehicles", b->fresh) : MC_OK;
}

/* What the mirror took is not ours any more. */
static mc_err show_all(batch *b, mc_why *why)
{
  mc_err err = MC_OK;
  size_t at = 0;
  pthread_rwlock_wrlock(&b->r->lock);
  for (size_t i = 0; i < b->count && !err; i++) {
    if (b->row[i].state != MC_ROW_NEW)
      continue;
    mc_vehicle *v = b->vehicle[at];
    thing_entry *t = b->thing[at];
    b->row[i].vehicle = *v;
    b->row[i].state = MC_ROW_CREATED;
    err = mirror_vehicle(b->r, v);
    if (!err) {
      b->vehicle[at] = NULL;
      err = mirror_thing(b->r, t);
    }
    if (!err) {
      b->thing[at] = NULL;
      err = mirror_fitting(b->r, t->thing.id, v->id, v->created_us, INT64_MAX);
    }
    at++;
  }
  pthread_rwlock_unlock(&b->r->lock);
  return err ? mc_err_set(why, err, "the vehicles are saved, but there is no memory to show them; start the server again") : MC_OK;
}

static mc_err run(batch *b, mc_why *why)
{
  mc_buf payload = {0};
  MC_TRY(change_begin(b->r, why));
  mc_err err = judge(b, why);
  if (!err && b->fresh)
    err = insert_all(b, &payload, why);
  if (err || b->fresh)
    err = change_commit(b->r, err, b->tenant, (mc_slice){0}, "vehicles.created", &payload, why);
  else
    mc_db_end(b->r->db, false, NULL); /* nothing to change after all */
  if (!err && b->fresh)
    err = show_all(b, why);
  change_end(b->r);
  mc_buf_free(&payload);
  return err;
}

static mc_err make_keys(const batch *b, mc_why *why)
{
  uint32_t *id = malloc(b->fresh * sizeof *id);
  size_t n = 0;
  if (!id)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the keys of %zu vehicles", b->fresh);
  for (size_t i = 0; i < b->count; i++)
    if (b->row[i].state == MC_ROW_CREATED)
      id[n++] = b->row[i].vehicle.id;
  mc_err err = registry_key_for_vehicles(b->r, b->tenant, id, n, why);
  free(id);
  return err;
}

mc_err mc_registry_vehicle_create_many(mc_registry *r, uint32_t tenant, mc_vehicle_row *row, size_t count, mc_why *why)
{
  if (count > MC_VEHICLE_ROWS)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%zu vehicles: at most %d at once; send the rest in further calls", count, MC_VEHICLE_ROWS);
  batch b = {.r = r, .tenant = tenant, .row = row, .count = count};
  mc_err err = run(&b, why);
  for (size_t i = 0; i < b.fresh; i++) {
    if (b.vehicle)
      free(b.vehicle[i]);
    if (b.thing)
      free(b.thing[i]);
  }
  if (!err && b.fresh)
    err = make_keys(&b, why);
  free(b.vehicle);
  free(b.thing);
  mc_strmap_free(&b.name);
  mc_strmap_free(&b.vin);
  return err;
}
