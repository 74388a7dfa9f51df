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
  if (registry_tenant(r, t->id))
    return MC_ERR_EXISTS;
  MC_TRY(AT_ID(&r->tenant, t->id));
  r->tenant.at[t->id] = t;
  return MC_OK;
}

mc_err mirror_vehicle(mc_registry *r, mc_vehicle *v)
{
  scoped_key k = registry_key(v->tenant, mc_slice_str(v->name));
  if (registry_vehicle(r, v->id) || mc_strmap_get(&r->vehicle_by_name, scoped_slice(&k), NULL))
    return MC_ERR_EXISTS;
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
  if (registry_thing(r, t->thing.id) || mc_strmap_get(&r->thing_by_name, scoped_slice(&k), NULL))
    return MC_ERR_EXISTS;
  MC_TRY(AT_ID(&r->thing, t->thing.id));
  MC_TRY(mc_strmap_put(&r->thing_by_name, scoped_slice(&k), t->thing.id));
  r->thing.at[t->thing.id] = t;
  return MC_OK;
}

mc_err mirror_group(mc_registry *r, mc_thing_group *g)
{
  MC_TRY(AT_ID(&r->group, g->id));
  r->group.at[g->id] = g;
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
  if (mc_strmap_get(&r->cert_by_fingerprint, mc_slice_of(c->cert.fingerprint, MC_FINGERPRINT), NULL))
    return MC_ERR_EXISTS;
  return mc_strmap_put(&r->cert_by_fingerprint, mc_slice_of(c->cert.fingerprint, MC_FINGERPRINT), (uint64_t)(uintptr_t)c);
}

mc_err mirror_account(mc_registry *r, account_entry *a)
{
  scoped_key k = registry_key(a->user.tenant, mc_slice_str(a->user.name));
  if (registry_account(r, a->user.id) || mc_strmap_get(&r->account_by_name, scoped_slice(&k), NULL))
    return MC_ERR_EXISTS;
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
  if (!k.len || mc_strmap_get(&r->signal_by_fqn, scoped_slice(&k), NULL))
    return MC_ERR_EXISTS;
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

/* ---- loading ----
 * The database checks types and uniqueness only as far as its schema says, and a damaged file can hold anything: a value that this module
 * would never have written is refused here, before it becomes an index or a state. */

static uint32_t row_id(mc_stmt *s, int column, bool *ok)
{
  int64_t v = mc_stmt_int(s, column);
  *ok &= v > 0 && v <= MC_REGISTRY_ID_MAX;
  return *ok ? (uint32_t)v : 0;
}

static int row_in(mc_stmt *s, int column, int low, int high, bool *ok)
{
  int64_t v = mc_stmt_int(s, column);
  *ok &= v >= low && v <= high;
  return *ok ? (int)v : low;
}

/* Differences of two of them must not overflow. */
static int64_t row_time(mc_stmt *s, int column, bool *ok)
{
  int64_t v = mc_stmt_int(s, column);
  *ok &= v >= INT64_MIN / 4 && v <= INT64_MAX / 4;
  return v;
}

static void row_text(mc_stmt *s, int column, char *out, size_t size, bool *ok)
{
  mc_slice text = mc_stmt_text(s, column);
  *ok &= mc_slice_to_str(text, out, size) && strlen(out) == text.len;
}

static void row_bytes(mc_stmt *s, int column, void *out, size_t size, bool *ok)
{
  mc_slice bytes = mc_stmt_blob(s, column);
  *ok &= bytes.len == size;
  if (*ok)
    memcpy(out, bytes.data, size);
}

static mc_err load_tenant(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  tenant_entry *t = calloc(1, sizeof *t);
  if (!t)
    return MC_ERR_MEMORY;
  t->id = row_id(s, 0, &ok);
  row_text(s, 1, t->name, sizeof t->name, &ok);
  mc_err err = ok ? mirror_tenant(r, t) : MC_ERR_CHECKSUM;
  if (err)
    free(t);
  return err;
}

static mc_err load_vehicle(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  mc_vehicle *v = calloc(1, sizeof *v);
  if (!v)
    return MC_ERR_MEMORY;
  v->id = row_id(s, 0, &ok);
  v->tenant = row_id(s, 1, &ok);
  row_text(s, 2, v->name, sizeof v->name, &ok);
  row_text(s, 3, v->vin, sizeof v->vin, &ok);
  row_text(s, 4, v->make, sizeof v->make, &ok);
  row_text(s, 5, v->model, sizeof v->model, &ok);
  row_text(s, 6, v->kind, sizeof v->kind, &ok);
  row_text(s, 7, v->manifest, sizeof v->manifest, &ok);
  v->year = row_in(s, 8, 0, 9999, &ok);
  v->created_us = row_time(s, 9, &ok);
  v->updated_us = row_time(s, 10, &ok);
  mc_err err = ok && v->name[0] ? mirror_vehicle(r, v) : MC_ERR_CHECKSUM;
  if (err)
    free(v);
  return err;
}

static mc_err load_thing(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  thing_entry *t = calloc(1, sizeof *t);
  if (!t)
    return MC_ERR_MEMORY;
  t->thing.id = row_id(s, 0, &ok);
  t->thing.tenant = row_id(s, 1, &ok);
  row_text(s, 2, t->thing.name, sizeof t->thing.name, &ok);
  t->thing.is_service = mc_stmt_int(s, 3) != 0;
  t->disabled = mc_stmt_int(s, 4) != 0;
  t->thing.created_us = row_time(s, 6, &ok);
  mc_err err = ok && t->thing.name[0] ? MC_OK : MC_ERR_CHECKSUM;
  if (!err && !mc_stmt_is_null(s, 5))
    err = mc_policy_parse(mc_stmt_text(s, 5), &t->policy, NULL);
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
  bool ok = true;
  int64_t from_us = row_time(s, 2, &ok), to_us = mc_stmt_is_null(s, 3) ? INT64_MAX : row_time(s, 3, &ok);
  uint32_t thing = row_id(s, 0, &ok), vehicle = row_id(s, 1, &ok);
  return ok && registry_vehicle(r, vehicle) ? mirror_fitting(r, thing, vehicle, from_us, to_us) : MC_ERR_CHECKSUM;
}

static mc_err load_group(mc_registry *r, mc_stmt *s)
{
  mc_thing_group *g = calloc(1, sizeof *g);
  if (!g)
    return MC_ERR_MEMORY;
  g->id = (uint32_t)mc_stmt_int(s, 0);
  g->tenant = (uint32_t)mc_stmt_int(s, 1);
  mc_slice_to_str(mc_stmt_text(s, 2), g->name, sizeof g->name);
  mc_slice_to_str(mc_stmt_text(s, 3), g->profile, sizeof g->profile);
  g->created_us = mc_stmt_int(s, 4);
  mc_err err = mirror_group(r, g);
  if (err)
    free(g);
  return err;
}

static mc_err load_member(mc_registry *r, mc_stmt *s)
{
  mc_thing_group *g = registry_group(r, (uint32_t)mc_stmt_int(s, 0));
  thing_entry *t = registry_thing(r, (uint32_t)mc_stmt_int(s, 1));
  if (!g || !t)
    return MC_ERR_NOT_FOUND;
  g->things++;
  if (g->profile[0] && !t->profile_group)
    t->profile_group = g->id;
  return MC_OK;
}

static mc_err load_certificate(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  cert_entry *c = calloc(1, sizeof *c);
  if (!c)
    return MC_ERR_MEMORY;
  row_bytes(s, 0, c->cert.fingerprint, MC_FINGERPRINT, &ok);
  c->cert.tenant = row_id(s, 1, &ok);
  c->cert.thing = row_id(s, 2, &ok);
  c->cert.state = (mc_cert_state)row_in(s, 3, MC_CERT_ACTIVE, MC_CERT_REVOKED, &ok);
  c->pinned = mc_stmt_int(s, 4) != 0;
  c->cert.not_after_us = row_time(s, 5, &ok);
  c->cert.created_us = row_time(s, 6, &ok);
  mc_err err = ok && registry_thing(r, c->cert.thing) ? mirror_certificate(r, c) : MC_ERR_CHECKSUM;
  if (err)
    free(c);
  return err;
}

static mc_err load_account(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  account_entry *a = calloc(1, sizeof *a);
  if (!a)
    return MC_ERR_MEMORY;
  a->user.id = row_id(s, 0, &ok);
  a->user.tenant = row_id(s, 1, &ok);
  row_text(s, 2, a->user.name, sizeof a->user.name, &ok);
  row_text(s, 3, a->password, sizeof a->password, &ok);
  a->user.role = (mc_access_role)row_in(s, 4, MC_ROLE_VIEWER, MC_ROLE_ADMIN, &ok);
  a->user.disabled = mc_stmt_int(s, 5) != 0;
  a->user.created_us = row_time(s, 6, &ok);
  a->user.last_sign_in_us = row_time(s, 7, &ok);
  mc_err err = ok && a->user.name[0] ? mirror_account(r, a) : MC_ERR_CHECKSUM;
  if (err)
    free(a);
  return err;
}

/* A secret's entry, found by its digest. */
static mc_err put_secret(mc_strmap *by_digest, const uint8_t digest[32], void *entry)
{
  mc_slice key = mc_slice_of(digest, 32);
  return mc_strmap_get(by_digest, key, NULL) ? MC_ERR_EXISTS : mc_strmap_put(by_digest, key, (uint64_t)(uintptr_t)entry);
}

static mc_err load_session(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  session_entry *e = calloc(1, sizeof *e);
  if (!e)
    return MC_ERR_MEMORY;
  row_bytes(s, 0, e->digest, 32, &ok);
  e->account = row_id(s, 1, &ok);
  e->created_us = row_time(s, 2, &ok);
  atomic_init(&e->seen_us, row_time(s, 3, &ok));
  atomic_init(&e->saved_us, row_time(s, 3, &ok));
  mc_err err = ok && registry_account(r, e->account) ? put_secret(&r->session_by_digest, e->digest, e) : MC_ERR_CHECKSUM;
  if (err)
    free(e);
  return err;
}

static mc_err load_token(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  token_entry *e = calloc(1, sizeof *e);
  if (!e)
    return MC_ERR_MEMORY;
  row_bytes(s, 3, e->digest, 32, &ok);
  e->token.id = row_id(s, 0, &ok);
  e->token.tenant = row_id(s, 1, &ok);
  row_text(s, 2, e->token.name, sizeof e->token.name, &ok);
  e->token.role = (mc_access_role)row_in(s, 4, MC_ROLE_VIEWER, MC_ROLE_ADMIN, &ok);
  e->token.created_us = row_time(s, 5, &ok);
  e->token.expires_us = row_time(s, 6, &ok);
  atomic_init(&e->used_us, row_time(s, 7, &ok));
  atomic_init(&e->saved_us, row_time(s, 7, &ok));
  mc_err err = ok ? put_secret(&r->token_by_digest, e->digest, e) : MC_ERR_CHECKSUM;
  if (err)
    free(e);
  return err;
}

static mc_err load_signal(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  uint32_t tenant = row_id(s, 0, &ok), id = row_id(s, 1, &ok);
  return ok ? mirror_signal(r, tenant, id, mc_stmt_text(s, 2)) : MC_ERR_CHECKSUM;
}

static mc_err load_encoding(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  uint32_t id = row_id(s, 0, &ok);
  encoding_entry e = {.type = row_in(s, 1, 0, UINT8_MAX, &ok)};
  row_bytes(s, 2, &e.factor, sizeof e.factor, &ok);
  row_bytes(s, 3, &e.offset, sizeof e.offset, &ok);
  return ok ? mirror_encoding(r, id, &e) : MC_ERR_CHECKSUM;
}

static mc_err load_fleet(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  uint32_t tenant = row_id(s, 0, &ok);
  return ok ? mirror_fleet(r, tenant, mc_stmt_text(s, 1)) : MC_ERR_CHECKSUM;
}

static mc_err load_fleet_member(mc_registry *r, mc_stmt *s)
{
  bool ok = true;
  uint32_t tenant = row_id(s, 0, &ok), vehicle = row_id(s, 2, &ok);
  fleet_entry *f = ok ? registry_fleet(r, tenant, mc_stmt_text(s, 1)) : NULL;
  return f && registry_vehicle(r, vehicle) ? mc_map_put(&f->vehicle, vehicle, 1) : MC_ERR_CHECKSUM;
}

static const struct loader {
  const char *table, *sql;
  mc_err (*row)(mc_registry *r, mc_stmt *s);
} loader[] = {
    {"tenant", "SELECT id, name FROM tenant ORDER BY id", load_tenant},
    {"vehicle", "SELECT id, tenant, name, vin, make, model, kind, manifest, year, created_us, updated_us FROM vehicle ORDER BY id", load_vehicle},
    {"thing", "SELECT id, tenant, name, is_service, disabled, policy, created_us FROM thing ORDER BY id", load_thing},
    {"thing_password", "SELECT thing, iterations, salt, stored_key, server_key FROM thing_password", service_load_password},
    {"fitting", "SELECT thing, vehicle, from_us, to_us FROM fitting ORDER BY thing, from_us", load_fitting},
    {"thing_group", "SELECT id, tenant, name, profile, created_us FROM thing_group ORDER BY id", load_group},
    {"thing_group_member", "SELECT thing_group, thing FROM thing_group_member ORDER BY thing_group", load_member},
    {"fleet", "SELECT tenant, id FROM fleet ORDER BY tenant, id", load_fleet},
    {"fleet_member", "SELECT tenant, fleet, vehicle FROM fleet_member ORDER BY tenant, fleet", load_fleet_member},
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
  for (size_t i = 0; i < r->group.len; i++)
    free(r->group.at[i]);
  mc_vec_free(&r->group);
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
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(&r->fleet_by_id, &at, &key, &value))
    mc_map_free(&((fleet_entry *)(uintptr_t)value)->vehicle);
  free_values(&r->fleet_by_id);
  free_values(&r->cert_by_fingerprint);
  free_values(&r->session_by_digest);
  free_values(&r->token_by_digest);
  mc_arena_free(&r->text);
}
