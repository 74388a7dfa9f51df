#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "registry/mirror.h"

/* Services: clients that are no vehicles. They get in by certificate, or by a password of which only a SCRAM verifier is kept. */

enum { NAME_MAX = 128, ITERATIONS_MAX = 10000000 /* some seconds: more would only be damage */ };

/* "name" is in the default tenant, "tenant/name" in another (no name holds a slash). Under the lock. NULL: there is none with a password. */
static thing_entry *named(const mc_registry *r, mc_slice username)
{
  uint32_t tenant = MC_TENANT_DEFAULT;
  size_t slash = mc_slice_find(username, '/', 0);
  mc_slice name = username;
  if (slash < username.len) {
    tenant = 0;
    name = mc_slice_sub(username, slash + 1, SIZE_MAX);
    for (size_t i = 1; i < r->tenant.len; i++)
      if (r->tenant.at[i] && mc_slice_eq_str(mc_slice_sub(username, 0, slash), r->tenant.at[i]->name))
        tenant = (uint32_t)i;
  }
  thing_entry *t = tenant && name.len <= NAME_MAX ? registry_thing_named(r, tenant, name) : NULL;
  return t && t->thing.is_service && t->password && !t->disabled ? t : NULL;
}

mc_err mc_registry_service_find(mc_registry *r, mc_slice username, mc_scram_verifier *verifier, mc_principal *who, const mc_policy **policy)
{
  *who = (mc_principal){0};
  *policy = NULL;
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *t = named(r, username);
  if (t) {
    *verifier = *t->password;
    *who = (mc_principal){.tenant = t->thing.tenant, .kind = MC_PRINCIPAL_SERVICE, .id = t->thing.id};
    memcpy(who->name, t->thing.name, sizeof who->name);
    *policy = t->policy;
    mc_policy_retain(*policy);
  }
  pthread_rwlock_unlock(&r->lock);
  return t ? MC_OK : MC_ERR_NOT_FOUND;
}

/* Names and addresses are slowed down as for people; the same scope, another kind of name. */
static mc_slice throttle_name(char text[160], mc_slice username)
{
  snprintf(text, 160, "mqtt %.*s", (int)(username.len > 140 ? 140 : username.len), (const char *)username.data);
  return mc_slice_str(text);
}

mc_err mc_registry_service_attempt(mc_registry *r, mc_slice username, mc_slice address, mc_why *why)
{
  char text[160];
  return throttle_attempt(r->throttle, throttle_name(text, username), mc_slice_sub(address, 0, 64), mc_clock_mono_us(), why);
}

void mc_registry_service_succeeded(mc_registry *r, mc_slice username, mc_slice address)
{
  char text[160];
  throttle_success(r->throttle, throttle_name(text, username), mc_slice_sub(address, 0, 64));
}

mc_err mc_registry_service_sign_in(mc_registry *r, mc_slice username, mc_slice password, mc_slice address, mc_principal *who, const mc_policy **policy, mc_why *why)
{
  mc_scram_verifier v = {.iterations = MC_SCRAM_ITERATIONS}; /* of nobody: costs as much as any */
  MC_TRY(mc_registry_service_attempt(r, username, address, why));
  mc_err found = mc_registry_service_find(r, username, &v, who, policy);
  bool same = mc_scram_verifier_check(&v, password);
  if (found || !same) {
    mc_policy_release(*policy);
    *policy = NULL;
    *who = (mc_principal){0};
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "user name or password is wrong");
  }
  mc_registry_service_succeeded(r, username, address);
  return MC_OK;
}

mc_err mc_registry_service_set_password(mc_registry *r, uint32_t tenant, uint32_t thing, mc_slice password, mc_why *why)
{
  mc_scram_verifier v, *kept = NULL;
  if (password.len) {
    MC_TRY(mc_scram_verifier_make(password, &v, why));
    kept = malloc(sizeof *kept);
    if (!kept)
      return mc_err_set(why, MC_ERR_MEMORY, "no memory for a password");
    *kept = v;
  }
  mc_err err = change_begin(r, why);
  if (err) {
    free(kept);
    return err;
  }
  pthread_rwlock_rdlock(&r->lock);
  const thing_entry *known = registry_thing(r, thing);
  mc_thing copy = known && known->thing.tenant == tenant && known->thing.is_service ? known->thing : (mc_thing){0};
  pthread_rwlock_unlock(&r->lock);
  if (!copy.id)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no service with id %u", thing);
  if (!err && kept)
    err = mc_db_run(r->db, why,
                    "INSERT INTO thing_password (thing, iterations, salt, stored_key, server_key, changed_us) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (thing) DO UPDATE SET"
                    " iterations = $2, salt = $3, stored_key = $4, server_key = $5, changed_us = $6",
                    "iibbbi", (int64_t)thing, (int64_t)v.iterations, mc_slice_of(v.salt, sizeof v.salt), mc_slice_of(v.stored_key, sizeof v.stored_key),
                    mc_slice_of(v.server_key, sizeof v.server_key), mc_clock_wall_us());
  else if (!err)
    err = mc_db_run(r->db, why, "DELETE FROM thing_password WHERE thing = $1", "i", (int64_t)thing);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"thing\":%u,\"password\":%s}", thing, kept ? "true" : "false");
  err = change_commit(r, err, tenant, mc_slice_str(copy.name), "service.password", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    pthread_rwlock_wrlock(&r->lock);
    thing_entry *t = registry_thing(r, thing);
    if (t) {
      mc_scram_verifier *old = t->password;
      t->password = kept;
      kept = old;
    }
    pthread_rwlock_unlock(&r->lock);
  }
  free(kept);
  change_end(r);
  if (!err) /* who is in by the old one comes again with the new one */
    registry_tell_revoked(r, tenant, thing);
  return err;
}

mc_err service_load_password(mc_registry *r, mc_stmt *s)
{
  int64_t thing = mc_stmt_int(s, 0), iterations = mc_stmt_int(s, 1);
  thing_entry *t = thing > 0 && thing <= MC_REGISTRY_ID_MAX ? registry_thing(r, (uint32_t)thing) : NULL;
  mc_slice salt = mc_stmt_blob(s, 2), stored = mc_stmt_blob(s, 3), server = mc_stmt_blob(s, 4);
  if (!t || t->password || iterations < 1 || iterations > ITERATIONS_MAX || salt.len != MC_SCRAM_SALT || stored.len != MC_SCRAM_HASH || server.len != MC_SCRAM_HASH)
    return MC_ERR_CHECKSUM;
  mc_scram_verifier *v = malloc(sizeof *v);
  if (!v)
    return MC_ERR_MEMORY;
  v->iterations = (uint32_t)iterations;
  memcpy(v->salt, salt.data, salt.len);
  memcpy(v->stored_key, stored.data, stored.len);
  memcpy(v->server_key, server.data, server.len);
  t->password = v;
  return MC_OK;
}

mc_err mc_registry_service_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_service **out, size_t *count, mc_why *why)
{
  *count = 0;
  pthread_rwlock_rdlock(&r->lock);
  *out = mc_arena_array(arena, r->thing.len ? r->thing.len : 1, sizeof **out);
  for (size_t i = 0; *out && i < r->thing.len; i++) {
    const thing_entry *t = r->thing.at[i];
    if (t && t->thing.is_service && t->thing.tenant == tenant)
      (*out)[(*count)++] = (mc_service){t->thing, t->password != NULL, t->disabled};
  }
  pthread_rwlock_unlock(&r->lock);
  return *out ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "no memory for the list of services");
}
