/* Loading the tables into memory, and the insertions that loading and changing share. */
#include "registry/mirror.h"

#include <stdlib.h>

#include "base/clock.h"

/* Grows a by-id vector so that index id is there. */
#define AT_ID(v, id)                                                     \
  ({                                                                     \
    mc_err grow_ = MC_OK;                                                \
    if ((id) >= (v)->len) {                                              \
      size_t more_ = (id) + 1 - (v)->len;                                \
      grow_ = mc_vec_reserve(v, more_);                                  \
      if (!grow_) {                                                      \
        memset((v)->at + (v)->len, 0, more_ * sizeof *(v)->at);          \
        (v)->len += more_;                                               \
      }                                                                  \
    }                                                                    \
    grow_;                                                               \
  })

thing_entry *registry_thing_named(const mc_registry *r, uint32_t tenant, mc_slice name)
{
  scoped_key k = registry_key(tenant, name);
  uint64_t id = 0;
  return k.len && mc_strmap_get(&r->thing_by_name, scoped_slice(&k), &id) ? registry_thing(r, (uint32_t)id) : NULL;
}

mc_err mirror_tenant(mc_registry *r, tenant_entry *t)
{
  MC_TRY(AT_ID(&r->tenant, t->id));
  r->tenant.at[t->id] = t;
  return MC_OK;
}

mc_err mirror_vehicle(mc_registry *r, mc_vehicle *v)
{
  scoped_key k = registry_key(v->tenant, mc_slice_str(v->name));
  MC_TRY(AT_ID(&r->vehicle, v->id));
  MC_TRY(mc_strmap_put(&r->vehicle_by_name, scoped_slice(&k), v->id));
  r->vehicle.at[v->id] = v;
  tenant_entry *t = registry_tenant(r, v->tenant);
  if (t)
    t->vehicles++;
  return MC_OK;
}

mc_err mirror_thing(mc_registry *r, thing_entry *t)
{
  scoped_key k = registry_key(t->thing.tenant, mc_slice_str(t->thing.name));
  MC_TRY(AT_ID(&r->thing, t->thing.id));
  MC_TRY(mc_strmap_put(&r->thing_by_name, scoped_slice(&k), t->thing.id));
  r->thing.at[t->thing.id] = t;
  return MC_OK;
}

mc_err mirror_fitting(mc_registry *r, uint32_t thing, uint32_t vehicle, int64_t from_us, int64_t to_us)
{
  thing_entry *t = registry_thing(r, thing);
  if (!t)
    return MC_ERR_NOT_FOUND;
  if (t->span.len && t->span.at[t->span.len - 1].to_us == INT64_MAX)
    t->span.at[t->span.len - 1].to_us = from_us;
  fitting_span span = {vehicle, from_us, to_us};
  MC_TRY(mc_vec_push(&t->span, span));
  t->thing.vehicle = to_us == INT64_MAX ? vehicle : 0;
  return MC_OK;
}

mc_err mirror_certificate(mc_registry *r, cert_entry *c)
{
  return mc_strmap_put(&r->cert_by_fingerprint, mc_slice_of(c->cert.fingerprint, MC_FINGERPRINT), (uint64_t)(uintptr_t)c);
}

mc_err mirror_account(mc_registry *r, account_entry *a)
{
  scoped_key k = registry_key(a->user.tenant, mc_slice_str(a->user.name));
  MC_TRY(AT_ID(&r->account, a->user.id));
  MC_TRY(mc_strmap_put(&r->account_by_name, scoped_slice(&k), a->user.id));
  r->account.at[a->user.id] = a;
  return MC_OK;
}

mc_err mirror_signal(mc_registry *r, uint32_t tenant, uint32_t id, mc_slice fqn)
{
  tenant_entry *t = registry_tenant(r, tenant);
  if (!t)
    return MC_ERR_NOT_FOUND;
  mc_slice kept;
  scoped_key k = registry_key(tenant, fqn);
  MC_TRY(mc_arena_copy(&r->text, fqn, &kept));
  MC_TRY(AT_ID(&t->signals.fqn, id));
  MC_TRY(mc_strmap_put(&r->signal_by_fqn, scoped_slice(&k), id));
  t->signals.fqn.at[id] = kept;
  return MC_OK;
}

mc_slice encoding_key(const encoding_entry *e, uint8_t out[20])
{
  mc_store_le32(out, (uint32_t)e->type);
  memcpy(out + 4, &e->factor, 8);
  memcpy(out + 12, &e->offset, 8);
  return mc_slice_of(out, 20);
}

mc_err mirror_encoding(mc_registry *r, uint32_t id, const encoding_entry *e)
{
  uint8_t key[20];
  MC_TRY(AT_ID(&r->encoding, id));
  MC_TRY(mc_strmap_put(&r->encoding_by_value, encoding_key(e, key), id));
  r->encoding.at[id] = *e;
  return MC_OK;
}

/* ---- loading ---- */

static mc_err load_tenant(mc_registry *r, mc_stmt *s)
{
  tenant_entry *t = calloc(1, sizeof *t);
  if (!t)
    return MC_ERR_MEMORY;
  t->id = (uint32_t)mc_stmt_int(s, 0);
  mc_slice_to_str(mc_stmt_text(s, 1), t->name, sizeof t->name);
  mc_err err = mirror_tenant(r, t);
  if (err)
    free(t);
  return err;
}

static mc_err load_vehicle(mc_registry *r, mc_stmt *s)
{
  mc_vehicle *v = calloc(1, sizeof *v);
  if (!v)
    return MC_ERR_MEMORY;
  v->id = (uint32_t)mc_stmt_int(s, 0);
  v->tenant = (uint32_t)mc_stmt_int(s, 1);
  mc_slice_to_str(mc_stmt_text(s, 2), v->name, sizeof v->name);
  mc_slice_to_str(mc_stmt_text(s, 3), v->vin, sizeof v->vin);
  mc_slice_to_str(mc_stmt_text(s, 4), v->make, sizeof v->make);
  mc_slice_to_str(mc_stmt_text(s, 5), v->model, sizeof v->model);
  mc_slice_to_str(mc_stmt_text(s, 6), v->kind, sizeof v->kind);
  mc_slice_to_str(mc_stmt_text(s, 7), v->manifest, sizeof v->manifest);
  v->year = (int)mc_stmt_int(s, 8);
  v->created_us = mc_stmt_int(s, 9);
  mc_err err = mirror_vehicle(r, v);
  if (err)
    free(v);
  return err;
}

static mc_err load_thing(mc_registry *r, mc_stmt *s)
{
  thing_entry *t = calloc(1, sizeof *t);
  if (!t)
    return MC_ERR_MEMORY;
  t->thing.id = (uint32_t)mc_stmt_int(s, 0);
  t->thing.tenant = (uint32_t)mc_stmt_int(s, 1);
  mc_slice_to_str(mc_stmt_text(s, 2), t->thing.name, sizeof t->thing.name);
  t->thing.is_service = mc_stmt_int(s, 3) != 0;
  t->disabled = mc_stmt_int(s, 4) != 0;
  t->thing.created_us = mc_stmt_int(s, 6);
  mc_err err = mc_stmt_is_null(s, 5) ? MC_OK : mc_policy_parse(mc_stmt_text(s, 5), &t->policy, NULL);
  if (!err)
    err = mirror_thing(r, t);
  if (err) {
    mc_policy_release(t->policy);
    free(t);
  }
  return err;
}

static mc_err load_fitting(mc_registry *r, mc_stmt *s)
{
  int64_t to_us = mc_stmt_is_null(s, 3) ? INT64_MAX : mc_stmt_int(s, 3);
  return mirror_fitting(r, (uint32_t)mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), mc_stmt_int(s, 2), to_us);
}

static mc_err load_certificate(mc_registry *r, mc_stmt *s)
{
  mc_slice fingerprint = mc_stmt_blob(s, 0);
  if (fingerprint.len != MC_FINGERPRINT)
    return MC_ERR_CHECKSUM;
  cert_entry *c = calloc(1, sizeof *c);
  if (!c)
    return MC_ERR_MEMORY;
  memcpy(c->cert.fingerprint, fingerprint.data, MC_FINGERPRINT);
  c->cert.tenant = (uint32_t)mc_stmt_int(s, 1);
  c->cert.thing = (uint32_t)mc_stmt_int(s, 2);
  c->cert.state = (mc_cert_state)mc_stmt_int(s, 3);
  c->pinned = mc_stmt_int(s, 4) != 0;
  c->cert.not_after_us = mc_stmt_int(s, 5);
  c->cert.created_us = mc_stmt_int(s, 6);
  mc_err err = mirror_certificate(r, c);
  if (err)
    free(c);
  return err;
}

static mc_err load_account(mc_registry *r, mc_stmt *s)
{
  account_entry *a = calloc(1, sizeof *a);
  if (!a)
    return MC_ERR_MEMORY;
  a->user.id = (uint32_t)mc_stmt_int(s, 0);
  a->user.tenant = (uint32_t)mc_stmt_int(s, 1);
  mc_slice_to_str(mc_stmt_text(s, 2), a->user.name, sizeof a->user.name);
  mc_slice_to_str(mc_stmt_text(s, 3), a->password, sizeof a->password);
  a->user.role = (mc_access_role)mc_stmt_int(s, 4);
  a->user.disabled = mc_stmt_int(s, 5) != 0;
  a->user.created_us = mc_stmt_int(s, 6);
  a->user.last_sign_in_us = mc_stmt_int(s, 7);
  mc_err err = mirror_account(r, a);
  if (err)
    free(a);
  return err;
}

static mc_err load_session(mc_registry *r, mc_stmt *s)
{
  mc_slice digest = mc_stmt_blob(s, 0);
  session_entry *e = digest.len == 32 ? calloc(1, sizeof *e) : NULL;
  if (!e)
    return digest.len == 32 ? MC_ERR_MEMORY : MC_ERR_CHECKSUM;
  memcpy(e->digest, digest.data, 32);
  e->account = (uint32_t)mc_stmt_int(s, 1);
  e->created_us = mc_stmt_int(s, 2);
  atomic_init(&e->seen_us, mc_stmt_int(s, 3));
  atomic_init(&e->saved_us, mc_stmt_int(s, 3));
  mc_err err = mc_strmap_put(&r->session_by_digest, digest, (uint64_t)(uintptr_t)e);
  if (err)
    free(e);
  return err;
}

static mc_err load_token(mc_registry *r, mc_stmt *s)
{
  mc_slice digest = mc_stmt_blob(s, 3);
  token_entry *e = digest.len == 32 ? calloc(1, sizeof *e) : NULL;
  if (!e)
    return digest.len == 32 ? MC_ERR_MEMORY : MC_ERR_CHECKSUM;
  memcpy(e->digest, digest.data, 32);
  e->token.id = (uint32_t)mc_stmt_int(s, 0);
  e->token.tenant = (uint32_t)mc_stmt_int(s, 1);
  mc_slice_to_str(mc_stmt_text(s, 2), e->token.name, sizeof e->token.name);
  e->token.role = (mc_access_role)mc_stmt_int(s, 4);
  e->token.created_us = mc_stmt_int(s, 5);
  e->token.expires_us = mc_stmt_int(s, 6);
  atomic_init(&e->used_us, mc_stmt_int(s, 7));
  atomic_init(&e->saved_us, mc_stmt_int(s, 7));
  mc_err err = mc_strmap_put(&r->token_by_digest, digest, (uint64_t)(uintptr_t)e);
  if (err)
    free(e);
  return err;
}

static mc_err load_signal(mc_registry *r, mc_stmt *s)
{
  return mirror_signal(r, (uint32_t)mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), mc_stmt_text(s, 2));
}

static mc_err load_encoding(mc_registry *r, mc_stmt *s)
{
  mc_slice factor = mc_stmt_blob(s, 2);
  encoding_entry e = {.type = (int)mc_stmt_int(s, 1)};
  if (factor.len != 8)
    return MC_ERR_CHECKSUM;
  memcpy(&e.factor, factor.data, 8);
  mc_slice offset = mc_stmt_blob(s, 3);
  if (offset.len != 8)
    return MC_ERR_CHECKSUM;
  memcpy(&e.offset, offset.data, 8);
  return mirror_encoding(r, (uint32_t)mc_stmt_int(s, 0), &e);
}

static const struct loader {
  const char *table, *sql;
  mc_err (*row)(mc_registry *r, mc_stmt *s);
} loader[] = {
    {"tenant", "SELECT id, name FROM tenant ORDER BY id", load_tenant},
    {"vehicle", "SELECT id, tenant, name, vin, make, model, kind, manifest, year, created_us FROM vehicle ORDER BY id", load_vehicle},
    {"thing", "SELECT id, tenant, name, is_service, disabled, policy, created_us FROM thing ORDER BY id", load_thing},
    {"thing_password", "SELECT thing, iterations, salt, stored_key, server_key FROM thing_password", service_load_password},
    {"fitting", "SELECT thing, vehicle, from_us, to_us FROM fitting ORDER BY thing, from_us", load_fitting},
    {"certificate", "SELECT fingerprint, tenant, thing, state, pinned, not_after_us, created_us FROM certificate", load_certificate},
    {"account", "SELECT id, tenant, name, password, role, disabled, created_us, last_sign_in_us FROM account ORDER BY id", load_account},
    {"session", "SELECT digest, account, created_us, seen_us FROM session", load_session},
    {"token", "SELECT id, tenant, name, digest, role, created_us, expires_us, last_used_us FROM token WHERE revoked = 0", load_token},
    {"signal", "SELECT tenant, id, fqn FROM signal ORDER BY tenant, id", load_signal},
    {"encoding", "SELECT id, type, factor, shift FROM encoding ORDER BY id", load_encoding},
};

static mc_err load_table(mc_registry *r, const struct loader *l, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(r->db, l->sql, &s, why));
  mc_err err;
  while ((err = mc_stmt_step(s, why)) == MC_OK) {
    err = l->row(r, s);
    if (err) {
      mc_err_set(why, err, "table %s holds a row that cannot be read (%s); restore a back-up", l->table, mc_err_text(err));
      break;
    }
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mirror_load(mc_registry *r, mc_why *why)
{
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = MC_OK;
  for (size_t i = 0; !err && i < sizeof loader / sizeof loader[0]; i++)
    err = load_table(r, &loader[i], why);
  mc_db_end(r->db, true, NULL);
  return err;
}

static void free_values(mc_strmap *m)
{
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(m, &at, &key, &value))
    free((void *)(uintptr_t)value);
  mc_strmap_free(m);
}

void mirror_free(mc_registry *r)
{
  for (size_t i = 0; i < r->vehicle.len; i++)
    free(r->vehicle.at[i]);
  for (size_t i = 0; i < r->thing.len; i++)
    if (r->thing.at[i]) {
      mc_policy_release(r->thing.at[i]->policy);
      mc_vec_free(&r->thing.at[i]->span);
      free(r->thing.at[i]->password);
      free(r->thing.at[i]);
    }
  for (size_t i = 0; i < r->account.len; i++)
    free(r->account.at[i]);
  for (size_t i = 0; i < r->tenant.len; i++)
    if (r->tenant.at[i]) {
      mc_vec_free(&r->tenant.at[i]->signals.fqn);
      free(r->tenant.at[i]);
    }
  mc_vec_free(&r->tenant);
  mc_vec_free(&r->vehicle);
  mc_vec_free(&r->thing);
  mc_vec_free(&r->account);
  mc_vec_free(&r->encoding);
  mc_strmap_free(&r->vehicle_by_name);
  mc_strmap_free(&r->thing_by_name);
  mc_strmap_free(&r->account_by_name);
  mc_strmap_free(&r->signal_by_fqn);
  mc_strmap_free(&r->encoding_by_value);
  free_values(&r->cert_by_fingerprint);
  free_values(&r->session_by_digest);
  free_values(&r->token_by_digest);
  mc_arena_free(&r->text);
}
