/* Attributes that policy documents name: their values lie in memory, so that the door and live connections ask no disk. */
#include <stdlib.h>

#include "registry/mirror.h"

/* Vehicle, then name. */
static scoped_key key_of(uint32_t vehicle, mc_slice name) { return registry_key(vehicle, name); }

static void drop(mc_registry *r, scoped_key k)
{
  uint64_t old = 0;
  if (mc_strmap_remove(&r->policy.attribute, scoped_slice(&k), &old))
    free((void *)(uintptr_t)old);
}

/* copy is taken on success. */
static mc_err put(mc_registry *r, uint32_t vehicle, mc_slice name, char *copy)
{
  scoped_key k = key_of(vehicle, name);
  if (!copy || !k.len)
    return MC_ERR_MEMORY;
  drop(r, k);
  return mc_strmap_put(&r->policy.attribute, scoped_slice(&k), (uintptr_t)copy);
}

static char *copy_of(mc_slice value)
{
  char *copy = value.len <= MC_POLICY_VALUE_BYTES ? malloc(value.len + 1) : NULL; /* no variable holds more */
  if (copy)
    mc_slice_to_str(value, copy, value.len + 1);
  return copy;
}

typedef struct found { uint32_t vehicle; char *value; } found;
typedef MC_VEC(found) found_list;

static mc_err read_all(mc_registry *r, mc_slice name, found_list *list, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(r->db, "SELECT vehicle, value FROM vehicle_attribute WHERE name = $1", &s, why));
  mc_stmt_bind_text(s, 1, name);
  mc_err err;
  while ((err = mc_stmt_step(s, why)) == MC_OK) {
    found f = {(uint32_t)mc_stmt_int(s, 0), copy_of(mc_stmt_text(s, 1))};
    if (f.value && mc_vec_push(list, f)) {
      free(f.value);
      err = mc_err_set(why, MC_ERR_MEMORY, "no memory for the attributes that policies name");
      break;
    }
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

/* Read while nobody can change them, and put in at once: the door waits for that only. */
static mc_err watch(mc_registry *r, mc_slice name, mc_why *why)
{
  found_list list = {0};
  mc_err err = read_all(r, name, &list, why);
  pthread_rwlock_wrlock(&r->lock);
  if (!err && mc_strmap_put(&r->policy.watched, name, 1))
    err = mc_err_set(why, MC_ERR_MEMORY, "no memory for the attributes that policies name");
  for (size_t i = 0; i < list.len; i++)
    if (err || put(r, list.at[i].vehicle, name, list.at[i].value))
      free(list.at[i].value);
  pthread_rwlock_unlock(&r->lock);
  mc_vec_free(&list);
  return err;
}

mc_err policy_watch(mc_registry *r, const mc_policy_document *document, mc_why *why)
{
  mc_slice name;
  for (size_t n = 0; (name = mc_policy_document_attribute(document, n)).len; n++)
    if (!mc_strmap_get(&r->policy.watched, name, NULL))
      MC_TRY(watch(r, name, why));
  return MC_OK;
}

/* What of this vehicle's attributes is watched is read anew; what cannot be read has no value from now on. */
void policy_attributes_changed(mc_registry *r, uint32_t vehicle)
{
  if (!r->policy.watched.len) /* changed under the database's mutex only, which is held */
    return;
  pthread_rwlock_wrlock(&r->lock);
  size_t at = 0;
  mc_slice name;
  uint64_t value;
  while (mc_strmap_next(&r->policy.watched, &at, &name, &value)) {
    mc_stmt *s = NULL;
    drop(r, key_of(vehicle, name));
    if (mc_db_prepare(r->db, "SELECT value FROM vehicle_attribute WHERE vehicle = $1 AND name = $2", &s, NULL))
      continue;
    mc_stmt_bind_int(s, 1, vehicle);
    mc_stmt_bind_text(s, 2, name);
    char *copy = mc_stmt_step(s, NULL) == MC_OK ? copy_of(mc_stmt_text(s, 0)) : NULL;
    if (put(r, vehicle, name, copy))
      free(copy);
    mc_stmt_release(&s);
  }
  policy_changed(r);
  pthread_rwlock_unlock(&r->lock);
}

void policy_vehicle_gone(mc_registry *r, uint32_t vehicle)
{
  size_t at = 0;
  mc_slice name;
  uint64_t value;
  while (mc_strmap_next(&r->policy.watched, &at, &name, &value))
    drop(r, key_of(vehicle, name));
  policy_changed(r);
}

mc_slice policy_attribute(const mc_registry *r, uint32_t vehicle, mc_slice name)
{
  scoped_key k = key_of(vehicle, name);
  uint64_t value = 0;
  return k.len && mc_strmap_get(&r->policy.attribute, scoped_slice(&k), &value) ? mc_slice_str((const char *)(uintptr_t)value) : (mc_slice){0};
}
