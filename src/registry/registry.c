#include "registry/registry.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/mirror.h"
#include "registry/schema.h"

static mc_err registry_fill(mc_registry *r, const mc_registry_config *config, mc_why *why)
{
  r->db = config->db;
  r->journal = config->journal;
  r->keyring = config->keyring;
  r->secrets = config->secrets;
  r->policy_limits = config->policies;
  if (mc_buf_append_slice(&r->ca_cert, config->ca_cert_pem) || mc_buf_append_slice(&r->ca_key, config->ca_key_pem) || throttle_create(&r->throttle))
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the registry");
  /* The right form, all zero: no password gives this hash, and checking against it costs as much as against any other. */
  snprintf(r->dummy_hash, sizeof r->dummy_hash, "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
  MC_TRY(mc_db_migrate(r->db, registry_migration, sizeof registry_migration / sizeof registry_migration[0], why));
  MC_TRY(mirror_load(r, why));
  MC_TRY(registry_access_keys_load(r, why));
  MC_TRY(policy_mirror_load(r, why));
  return registry_keys_of_all(r, why);
}

mc_err mc_registry_open(const mc_registry_config *config, mc_registry **out, mc_why *why)
{
  *out = NULL;
  mc_registry *r = calloc(1, sizeof *r);
  if (!r)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the registry");
  pthread_rwlock_init(&r->lock, NULL);
  pthread_mutex_init(&r->revoked_lock, NULL);
  pthread_mutex_init(&r->policy.sets_lock, NULL);
  mc_err err = registry_fill(r, config, why);
  if (err) {
    mc_err_prefix(why, "registry");
    mc_registry_close(&r);
  }
  *out = r;
  return err;
}

void mc_registry_close(mc_registry **registry)
{
  if (!registry || !*registry)
    return;
  mc_registry *r = *registry;
  policy_mirror_free(r);
  mirror_free(r);
  registry_access_keys_free(r);
  throttle_destroy(&r->throttle);
  if (r->ca_key.data)
    OPENSSL_cleanse(r->ca_key.data, r->ca_key.len);
  mc_buf_free(&r->ca_key);
  mc_buf_free(&r->ca_cert);
  pthread_rwlock_destroy(&r->lock);
  pthread_mutex_destroy(&r->revoked_lock);
  free(r);
  *registry = NULL;
}

mc_slice mc_registry_ca_pem(const mc_registry *r)
{
  return mc_buf_slice(&r->ca_cert);
}

scoped_key registry_key(uint32_t tenant, mc_slice name)
{
  scoped_key k;
  k.len = 0;
  if (name.len <= sizeof k.bytes - 4) {
    mc_store_le32(k.bytes, tenant);
    if (name.len)
      memcpy(k.bytes + 4, name.data, name.len);
    k.len = 4 + name.len;
  }
  return k;
}

const char *registry_shown(mc_slice name, char out[48])
{
  mc_slice_to_str(mc_slice_sub(name, 0, 40), out, 48);
  for (char *p = out; *p; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f)
      *p = '?';
  return out;
}

mc_err registry_next_id(mc_registry *r, const char *series, uint32_t *out, mc_why *why)
{
  MC_TRY(mc_db_next_id(r->db, series, out, why));
  return *out <= MC_REGISTRY_ID_MAX ? MC_OK : mc_err_set(why, MC_ERR_FULL, "all %d ids of the series %s are used up", MC_REGISTRY_ID_MAX, series);
}

/* ---- changes ---- */

mc_err change_begin(mc_registry *r, mc_why *why)
{
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = mc_db_in_transaction(r->db)
                   ? mc_err_set(why, MC_ERR_INVALID, "the registry was changed inside another open transaction; end that one first")
                   : mc_db_begin(r->db, true, why);
  if (err)
    mc_db_end(r->db, false, NULL);
  return err;
}

/* The record is durable before the commit: it announces the change. A commit that fails after it leaves an announced change that did not happen,
 * so readers look the object up by its id instead of believing the payload. */
static mc_err journal_change(mc_registry *r, uint32_t tenant, mc_slice subject, const char *kind, const mc_buf *payload, mc_why *why)
{
  if (!r->journal)
    return MC_OK;
  mc_record record = {.stream = MC_STREAM_REGISTRY,
                      .partition = mc_journal_partition_of(subject),
                      .tenant = tenant,
                      .time_us = mc_clock_wall_us(),
                      .topic = mc_slice_str(kind),
                      .payload = mc_buf_slice(payload)};
  uint64_t offset;
  return mc_journal_append_sync(r->journal, &record, &offset, why);
}

mc_err change_commit(mc_registry *r, mc_err err, uint32_t tenant, mc_slice subject, const char *kind, const mc_buf *payload, mc_why *why)
{
  if (!err)
    err = journal_change(r, tenant, subject, kind, payload, why);
  mc_err end = mc_db_end(r->db, !err, err ? NULL : why);
  return err ? err : end;
}

void change_end(mc_registry *r)
{
  mc_db_end(r->db, true, NULL);
}

/* ---- tenants ---- */

static bool tenant_name_ok(mc_slice name)
{
  for (size_t i = 0; i < name.len; i++)
    if (!((name.data[i] >= 'a' && name.data[i] <= 'z') || (name.data[i] >= '0' && name.data[i] <= '9') || name.data[i] == '-'))
      return false;
  return name.len >= 1 && name.len <= 63;
}

mc_err mc_registry_tenant_create(mc_registry *r, mc_slice name, uint32_t *out, mc_why *why)
{
  char shown[48];
  if (!tenant_name_ok(name))
    return mc_err_set(why, MC_ERR_INVALID, "\"%s\" cannot name a tenant: 1 to 63 of a-z, 0-9 and -", registry_shown(name, shown));
  tenant_entry *t = calloc(1, sizeof *t);
  if (!t)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a tenant");
  mc_slice_to_str(name, t->name, sizeof t->name);
  mc_err err = change_begin(r, why);
  if (err) {
    free(t);
    return err;
  }
  err = registry_next_id(r, "tenant", &t->id, why);
  if (!err)
    err = mc_db_run(r->db, why, "INSERT INTO tenant (id, name, created_us) VALUES ($1, $2, $3)", "iti", (int64_t)t->id, name, mc_clock_wall_us());
  if (err == MC_ERR_EXISTS)
    mc_err_set(why, err, "there is a tenant \"%s\" already", t->name);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"tenant\":%u,\"name\":\"%s\"}", t->id, t->name);
  err = change_commit(r, err, t->id, name, "tenant.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    *out = t->id;
    pthread_rwlock_wrlock(&r->lock);
    err = mirror_tenant(r, t);
    pthread_rwlock_unlock(&r->lock);
  }
  if (err)
    free(t);
  change_end(r);
  return err ? err : registry_keys_of_all(r, why); /* what it sends is enciphered from the first message */
}

uint32_t mc_registry_tenant_find(mc_registry *r, mc_slice name)
{
  uint32_t found = 0;
  pthread_rwlock_rdlock(&r->lock);
  for (uint32_t id = 1; id < r->tenant.len && !found; id++)
    if (r->tenant.at[id] && mc_slice_eq_str(name, r->tenant.at[id]->name))
      found = id;
  pthread_rwlock_unlock(&r->lock);
  return found;
}

mc_err mc_registry_tenant_list(mc_registry *r, mc_arena *arena, mc_tenant **out, size_t *count, mc_why *why)
{
  mc_stmt *s;
  *count = 0;
  pthread_rwlock_rdlock(&r->lock);
  size_t room = r->tenant.len;
  pthread_rwlock_unlock(&r->lock);
  *out = mc_arena_array(arena, room ? room : 1, sizeof **out);
  if (!*out)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the list of tenants");
  MC_TRY(mc_db_begin(r->db, false, why));
  mc_err err = mc_db_prepare(r->db, "SELECT id, name, created_us FROM tenant ORDER BY id", &s, why);
  if (!err) {
    while (*count < room && (err = mc_stmt_step(s, why)) == MC_OK) {
      mc_tenant *t = &(*out)[(*count)++];
      *t = (mc_tenant){.id = (uint32_t)mc_stmt_int(s, 0), .created_us = mc_stmt_int(s, 2)};
      mc_slice_to_str(mc_stmt_text(s, 1), t->name, sizeof t->name);
    }
    mc_stmt_release(&s);
  }
  mc_db_end(r->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_registry_tenant_name(mc_registry *r, uint32_t tenant, char out[64])
{
  pthread_rwlock_rdlock(&r->lock);
  tenant_entry *t = registry_tenant(r, tenant);
  snprintf(out, 64, "%s", t ? t->name : "");
  pthread_rwlock_unlock(&r->lock);
  return t ? MC_OK : MC_ERR_NOT_FOUND;
}
