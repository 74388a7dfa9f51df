/* People: accounts and signing in. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/mirror.h"

static bool name_ok(mc_slice name)
{
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("._@-", c))))
      return false;
  }
  return name.len >= 1 && name.len <= 64;
}

static mc_err account_payload(mc_buf *out, const mc_user *u)
{
  return mc_buf_printf(out, "{\"user\":%u,\"name\":\"%s\",\"role\":\"%s\",\"disabled\":%s}", u->id, u->name, mc_access_role_name(u->role),
                       u->disabled ? "true" : "false");
}

mc_err mc_registry_user_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice password, mc_access_role role, mc_user *out, mc_why *why)
{
  char shown[48];
  if (!name_ok(name))
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot name a user: 1 to 64 of letters, digits and . _ @ -", registry_shown(name, shown));
  if (role < MC_ROLE_VIEWER || role > MC_ROLE_ADMIN)
    return mc_err_set(why, MC_ERR_INVALID, "role: viewer, operator or admin");
  account_entry *a = calloc(1, sizeof *a);
  if (!a)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a user");
  mc_err err = mc_access_password_hash(password, a->password, why);
  if (!err)
    err = change_begin(r, why);
  if (err) {
    free(a);
    return err;
  }
  a->user = (mc_user){.tenant = tenant, .role = role, .created_us = mc_clock_wall_us()};
  mc_slice_to_str(name, a->user.name, sizeof a->user.name);
  err = registry_next_id(r, "account", &a->user.id, why);
  if (!err)
    err = mc_db_run(r->db, why,
                    "INSERT INTO account (id, tenant, name, password, role, disabled, created_us, last_sign_in_us) VALUES ($1, $2, $3, $4, $5, 0, $6, 0)",
                    "iittii", (int64_t)a->user.id, (int64_t)tenant, name, mc_slice_str(a->password), (int64_t)role, a->user.created_us);
  if (err == MC_ERR_EXISTS)
    mc_err_set(why, err, "there is a user \"%s\" already; choose another name", a->user.name);
  if (err == MC_ERR_CONFLICT)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", tenant);
  mc_buf payload = {0};
  if (!err)
    err = account_payload(&payload, &a->user);
  err = change_commit(r, err, tenant, name, "user.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    *out = a->user;
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_account(r, a);
    pthread_rwlock_unlock(&r->lock);
  }
  if (err)
    free(a);
  change_end(r);
  return err;
}

/* Nobody is left who could undo it: the last enabled admin keeps the role. Caller holds the db's mutex. */
static bool is_last_admin(mc_registry *r, const mc_user *after)
{
  pthread_rwlock_rdlock(&r->lock);
  const account_entry *now = registry_account(r, after->id);
  bool was = now && now->user.role == MC_ROLE_ADMIN && !now->user.disabled;
  bool other = false;
  for (size_t i = 0; i < r->account.len; i++) {
    const account_entry *a = r->account.at[i];
    other |= a && a->user.id != after->id && a->user.tenant == after->tenant && a->user.role == MC_ROLE_ADMIN && !a->user.disabled;
  }
  pthread_rwlock_unlock(&r->lock);
  return was && !other && (after->role != MC_ROLE_ADMIN || after->disabled);
}

/* Ends the browser sessions of an account in memory; the rows are gone already. */
static void drop_sessions(mc_registry *r, uint32_t account)
{
  bool again = true;
  while (again) {
    again = false;
    size_t at = 0;
    mc_slice key;
    uint64_t value;
    while (mc_strmap_next(&r->session_by_digest, &at, &key, &value)) {
      session_entry *e = (session_entry *)(uintptr_t)value;
      if (e->account == account) {
        mc_strmap_remove(&r->session_by_digest, mc_slice_of(e->digest, 32), NULL);
        free(e);
        again = true; /* no deletion while iterating: start over */
        break;
      }
    }
  }
}

mc_err mc_registry_user_update(mc_registry *r, const mc_user *user, mc_slice new_password, mc_why *why)
{
  char hash[160] = "";
  if (user->role < MC_ROLE_VIEWER || user->role > MC_ROLE_ADMIN)
    return mc_err_set(why, MC_ERR_INVALID, "role: viewer, operator or admin");
  if (new_password.len)
    MC_TRY(mc_access_password_hash(new_password, hash, why));
  MC_TRY(change_begin(r, why));
  mc_err err = MC_OK;
  mc_user known;
  if (mc_registry_user_get(r, user->tenant, user->id, &known))
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no user with id %u", user->id);
  else if (is_last_admin(r, user))
    err = mc_err_set(why, MC_ERR_CONFLICT, "\"%s\" is the last admin: make somebody else admin first", known.name);
  if (!err)
    err = mc_db_run(r->db, why, "UPDATE account SET role = $1, disabled = $2 WHERE id = $3 AND tenant = $4", "iiii", (int64_t)user->role,
                    (int64_t)user->disabled, (int64_t)user->id, (int64_t)user->tenant);
  if (!err && hash[0])
    err = mc_db_run(r->db, why, "UPDATE account SET password = $1 WHERE id = $2", "ti", mc_slice_str(hash), (int64_t)user->id);
  bool end_sessions = hash[0] || user->disabled;
  if (!err && end_sessions)
    err = mc_db_run(r->db, why, "DELETE FROM session WHERE account = $1", "i", (int64_t)user->id);
  if (!err && end_sessions)
    err = mc_db_run(r->db, why, "DELETE FROM signin_link WHERE account = $1", "i", (int64_t)user->id);
  mc_buf payload = {0};
  if (!err) {
    known.role = user->role;
    known.disabled = user->disabled;
    err = account_payload(&payload, &known);
  }
  err = change_commit(r, err, user->tenant, mc_slice_str(err ? "" : known.name), "user.updated", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    account_entry *a = registry_account(r, user->id);
    if (a) {
      a->user.role = user->role;
      a->user.disabled = user->disabled;
      if (hash[0])
        memcpy(a->password, hash, sizeof a->password);
      if (end_sessions)
        drop_sessions(r, user->id);
    }
    pthread_rwlock_unlock(&r->lock);
  }
  change_end(r);
  return err;
}

mc_err mc_registry_user_get(mc_registry *r, uint32_t tenant, uint32_t id, mc_user *out)
{
  pthread_rwlock_rdlock(&r->lock);
  const account_entry *a = registry_account(r, id);
  bool found = a && a->user.tenant == tenant;
  if (found)
    *out = a->user;
  pthread_rwlock_unlock(&r->lock);
  return found ? MC_OK : MC_ERR_NOT_FOUND;
}

static int by_name(const void *a, const void *b)
{
  return strcmp(((const mc_user *)a)->name, ((const mc_user *)b)->name);
}

mc_err mc_registry_user_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_user **out, size_t *count, mc_why *why)
{
  pthread_rwlock_rdlock(&r->lock);
  mc_user *list = mc_arena_array(arena, r->account.len, sizeof *list);
  size_t n = 0;
  for (size_t i = 0; list && i < r->account.len; i++)
    if (r->account.at[i] && r->account.at[i]->user.tenant == tenant)
      list[n++] = r->account.at[i]->user;
  pthread_rwlock_unlock(&r->lock);
  *out = list;
  *count = n;
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the list of users");
  qsort(list, n, sizeof *list, by_name);
  return MC_OK;
}

/* ---- signing in ---- */

int64_t mc_registry_sign_in_wait_us(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice address)
{
  scoped_key k = registry_key(tenant, mc_slice_sub(name, 0, 64));
  return throttle_wait_us(r->throttle, scoped_slice(&k), mc_slice_sub(address, 0, 64), mc_clock_mono_us());
}

mc_err mc_registry_sign_in(mc_registry *r, uint32_t tenant, mc_slice name, mc_slice password, mc_slice address, mc_principal *who, mc_why *why)
{
  *who = (mc_principal){0};
  scoped_key k = registry_key(tenant, mc_slice_sub(name, 0, 64));
  address = mc_slice_sub(address, 0, 64);
  MC_TRY(throttle_attempt(r->throttle, scoped_slice(&k), address, mc_clock_mono_us(), why));
  char hash[160];
  mc_principal found = {0};
  uint64_t id = 0;
  memcpy(hash, r->dummy_hash, sizeof hash);
  pthread_rwlock_rdlock(&r->lock);
  const account_entry *a = name.len <= 64 && mc_strmap_get(&r->account_by_name, scoped_slice(&k), &id) ? registry_account(r, (uint32_t)id) : NULL;
  if (a && !a->user.disabled) {
    memcpy(hash, a->password, sizeof hash);
    found = (mc_principal){.tenant = tenant, .kind = MC_PRINCIPAL_USER, .id = a->user.id, .role = a->user.role};
    snprintf(found.name, sizeof found.name, "%s", a->user.name);
  }
  pthread_rwlock_unlock(&r->lock);
  bool same = mc_access_password_check(password, mc_slice_str(hash));
  OPENSSL_cleanse(hash, sizeof hash);
  if (!same || found.kind == MC_PRINCIPAL_NONE)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "name or password is wrong");
  throttle_success(r->throttle, scoped_slice(&k), address);
  int64_t now = mc_clock_wall_us();
  MC_TRY(mc_db_run(r->db, why, "UPDATE account SET last_sign_in_us = $1 WHERE id = $2", "ii", now, (int64_t)found.id));
  pthread_rwlock_wrlock(&r->lock);
  account_entry *own = registry_account(r, found.id);
  if (own)
    own->user.last_sign_in_us = now;
  pthread_rwlock_unlock(&r->lock);
  *who = found;
  return MC_OK;
}
