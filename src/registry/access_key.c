/* Access keys: what signs requests to the AWS face. The secret has to be known in clear to check a signature, so it lies enciphered in the database, under the
 * server's master key or, without one, under a key file of its own; moved to another row, tenant or role it does not open. */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "format/base64.h"
#include "format/json.h"
#include "registry/mirror.h"

#define SAVE_EVERY INT64_C(60000000) /* last use is written at most so often */

struct access_key_entry {
  mc_access_key key;
  char secret[MC_ACCESS_KEY_SECRET]; /* empty: it does not open */
  _Atomic int64_t used_us, saved_us;
};

static mc_slice binding(char text[128], const mc_access_key *k)
{
  snprintf(text, 128, "access key %s of tenant %u, role %d", k->key_id, k->tenant, (int)k->role);
  return mc_slice_str(text);
}

static mc_err secret_text(const uint8_t bytes[MC_KEY_BYTES], char out[MC_ACCESS_KEY_SECRET])
{
  mc_buf text = {0};
  mc_err err = mc_base64_append(&text, mc_slice_of(bytes, MC_KEY_BYTES)); /* never begins with a dash, which command lines would take for an option */
  if (!err)
    mc_slice_to_str(mc_slice_sub(mc_buf_slice(&text), 0, 43 /* without its padding */), out, MC_ACCESS_KEY_SECRET);
  if (text.data)
    OPENSSL_cleanse(text.data, text.cap);
  mc_buf_free(&text);
  return err;
}

static void entry_free(access_key_entry *e)
{
  if (e)
    OPENSSL_cleanse(e->secret, sizeof e->secret);
  free(e);
}

/* ---- loading ---- */

/* Opens a secret, and puts it under the master key when there is one now and there was none. What does not open stays listed, and is refused. */
static mc_err open_secret(mc_registry *r, access_key_entry *e, mc_slice wrapped, bool under_master, mc_why *why)
{
  uint8_t bytes[MC_KEY_BYTES], again[MC_WRAPPED_BYTES];
  char text[128];
  mc_why own = {0};
  mc_master *m = under_master ? r->secrets.master : r->secrets.file;
  if (wrapped.len != MC_WRAPPED_BYTES || !m || mc_master_unwrap(m, binding(text, &e->key), wrapped.data, bytes, &own)) {
    mc_log(MC_LOG_WARN, "registry", "an access key does not open; it is refused", MC_KZ("key", e->key.key_id),
           MC_KZ("reason", m ? own.text : under_master ? "it was made under a master_key, and none is set" : "there is no key file"));
    return MC_OK;
  }
  mc_err err = secret_text(bytes, e->secret);
  if (!err && !under_master && r->secrets.master) {
    err = mc_master_wrap(r->secrets.master, binding(text, &e->key), bytes, again, why);
    if (!err)
      err = mc_db_run(r->db, why, "UPDATE access_key SET secret = $1, under_master = 1 WHERE id = $2", "bi", mc_slice_of(again, sizeof again), (int64_t)e->key.id);
  }
  OPENSSL_cleanse(bytes, sizeof bytes);
  return err;
}

static bool read_row(mc_stmt *s, access_key_entry *e)
{
  int64_t role = mc_stmt_int(s, 4), id = mc_stmt_int(s, 0), tenant = mc_stmt_int(s, 1);
  e->key.id = (uint32_t)id;
  e->key.tenant = (uint32_t)tenant;
  e->key.role = (mc_access_role)role;
  e->key.created_us = mc_stmt_int(s, 7);
  atomic_init(&e->used_us, mc_stmt_int(s, 8));
  atomic_init(&e->saved_us, mc_stmt_int(s, 8));
  return id > 0 && id <= MC_REGISTRY_ID_MAX && tenant > 0 && tenant <= MC_REGISTRY_ID_MAX && role >= MC_ROLE_VIEWER && role <= MC_ROLE_ADMIN &&
         mc_slice_to_str(mc_stmt_text(s, 2), e->key.key_id, sizeof e->key.key_id) && mc_slice_to_str(mc_stmt_text(s, 3), e->key.name, sizeof e->key.name) &&
         mc_stmt_text(s, 2).len == MC_ACCESS_KEY_ID - 1 && mc_slice_is_utf8(mc_stmt_text(s, 3));
}

static mc_err load_row(mc_registry *r, mc_stmt *s, mc_why *why)
{
  access_key_entry *e = calloc(1, sizeof *e);
  if (!e)
    return MC_ERR_MEMORY;
  mc_err err = read_row(s, e) ? open_secret(r, e, mc_stmt_blob(s, 5), mc_stmt_int(s, 6) != 0, why) : mc_err_set(why, MC_ERR_CHECKSUM, "table access_key: a row that was never written so");
  if (!err)
    err = mc_strmap_put(&r->access_key_by_id, mc_slice_str(e->key.key_id), (uint64_t)(uintptr_t)e);
  if (err)
    entry_free(e);
  return err;
}

mc_err registry_access_keys_load(mc_registry *r, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(r->db, true, why));
  mc_err err =
      mc_db_prepare(r->db, "SELECT id, tenant, key_id, name, role, secret, under_master, created_us, last_used_us FROM access_key WHERE revoked = 0 ORDER BY id", &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why)))
      if ((err = load_row(r, s, why)))
        break;
    mc_stmt_release(&s);
  }
  err = err == MC_ERR_END ? MC_OK : err;
  mc_err end = mc_db_end(r->db, !err, err ? NULL : why);
  return err ? err : end;
}

void registry_access_keys_free(mc_registry *r)
{
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(&r->access_key_by_id, &at, &key, &value))
    entry_free((access_key_entry *)(uintptr_t)value);
  mc_strmap_free(&r->access_key_by_id);
}

/* ---- making ---- */

/* As AWS's look: four letters and 16 of A-Z, 2-7. */
static bool make_key_id(char out[MC_ACCESS_KEY_ID])
{
  static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  uint8_t random[16];
  if (RAND_bytes(random, sizeof random) != 1)
    return false;
  memcpy(out, "AKMC", 4);
  for (size_t i = 0; i < 16; i++)
    out[4 + i] = digit[random[i] & 31];
  out[20] = 0;
  return true;
}

static mc_err payload_of(mc_buf *out, const mc_access_key *k)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_uint_field(&j, "access_key", k->id);
  mc_json_str_field(&j, "key_id", k->key_id);
  mc_json_str_field(&j, "name", k->name);
  mc_json_str_field(&j, "role", mc_access_role_name(k->role));
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

static mc_err insert(mc_registry *r, access_key_entry *e, mc_why *why)
{
  uint8_t bytes[MC_KEY_BYTES], wrapped[MC_WRAPPED_BYTES];
  char text[128];
  mc_master *m = r->secrets.master ? r->secrets.master : r->secrets.file;
  if (!make_key_id(e->key.key_id) || mc_key_random(bytes))
    return mc_err_set(why, MC_ERR_IO, "no random numbers to be had");
  mc_err err = registry_next_id(r, "access_key", &e->key.id, why);
  if (!err)
    err = mc_master_wrap(m, binding(text, &e->key), bytes, wrapped, why);
  if (!err)
    err = secret_text(bytes, e->secret);
  OPENSSL_cleanse(bytes, sizeof bytes);
  if (!err)
    err = mc_db_run(r->db, why,
                    "INSERT INTO access_key (id, tenant, key_id, name, role, secret, under_master, created_us, last_used_us, revoked) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)",
                    "iittibii", (int64_t)e->key.id, (int64_t)e->key.tenant, mc_slice_str(e->key.key_id), mc_slice_str(e->key.name), (int64_t)e->key.role,
                    mc_slice_of(wrapped, sizeof wrapped), (int64_t)(r->secrets.master != NULL), e->key.created_us);
  return err == MC_ERR_CONFLICT ? mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", e->key.tenant) : err;
}

mc_err mc_registry_access_key_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_access_role role, char secret[MC_ACCESS_KEY_SECRET], mc_access_key *out,
                                     mc_why *why)
{
  secret[0] = 0;
  if (name.len < 1 || name.len > 64 || !mc_slice_is_utf8(name) || memchr(name.data, 0, name.len))
    return mc_err_set(why, MC_ERR_INVALID, "name: 1 to 64 bytes of UTF-8 text");
  if (role < MC_ROLE_VIEWER || role > MC_ROLE_ADMIN)
    return mc_err_set(why, MC_ERR_INVALID, "role: viewer, operator or admin");
  if (!r->secrets.master && !r->secrets.file)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "there is neither a master key nor a key file that its secret could be enciphered under");
  access_key_entry *e = calloc(1, sizeof *e);
  if (!e)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for an access key");
  e->key = (mc_access_key){.tenant = tenant, .role = role, .usable = true, .created_us = mc_clock_wall_us()};
  mc_slice_to_str(name, e->key.name, sizeof e->key.name);
  mc_err err = change_begin(r, why);
  if (err) {
    entry_free(e);
    return err;
  }
  mc_buf payload = {0};
  err = insert(r, e, why);
  if (!err)
    err = payload_of(&payload, &e->key);
  err = change_commit(r, err, tenant, name, "access_key.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    *out = e->key;
    memcpy(secret, e->secret, sizeof e->secret);
    pthread_rwlock_wrlock(&r->lock);
    err = mc_strmap_put(&r->access_key_by_id, mc_slice_str(e->key.key_id), (uint64_t)(uintptr_t)e);
    pthread_rwlock_unlock(&r->lock);
  }
  if (err) {
    OPENSSL_cleanse(secret, MC_ACCESS_KEY_SECRET);
    entry_free(e);
  }
  change_end(r);
  return err;
}

/* ---- using ---- */

/* The caller holds the lock. */
static access_key_entry *entry_of(const mc_registry *r, mc_slice key_id)
{
  uint64_t value;
  return mc_strmap_get(&r->access_key_by_id, key_id, &value) ? (access_key_entry *)(uintptr_t)value : NULL;
}

bool mc_registry_access_key_known(mc_registry *r, mc_slice key_id)
{
  pthread_rwlock_rdlock(&r->lock);
  bool known = entry_of(r, key_id) != NULL;
  pthread_rwlock_unlock(&r->lock);
  return known;
}

mc_err mc_registry_access_key_find(mc_registry *r, mc_slice key_id, mc_principal *who, char secret[MC_ACCESS_KEY_SECRET], mc_why *why)
{
  *who = (mc_principal){0};
  secret[0] = 0;
  pthread_rwlock_rdlock(&r->lock);
  const access_key_entry *e = entry_of(r, key_id);
  bool known = e != NULL;
  if (known && e->secret[0]) {
    *who = (mc_principal){.tenant = e->key.tenant, .kind = MC_PRINCIPAL_KEY, .id = e->key.id, .role = e->key.role};
    snprintf(who->name, sizeof who->name, "%s", e->key.name);
    memcpy(secret, e->secret, sizeof e->secret);
  }
  pthread_rwlock_unlock(&r->lock);
  if (secret[0])
    return MC_OK;
  return mc_err_set(why, MC_ERR_UNAUTHENTICATED, known ? "the secret of this access key does not open on this server (see its log): create another one"
                                                       : "the access key is unknown or revoked: the security token included in the request is invalid");
}

void mc_registry_access_key_used(mc_registry *r, mc_slice key_id)
{
  int64_t now = mc_clock_wall_us();
  uint32_t id = 0;
  pthread_rwlock_rdlock(&r->lock);
  access_key_entry *e = entry_of(r, key_id);
  if (e) {
    int64_t saved = atomic_load(&e->saved_us);
    atomic_store(&e->used_us, now);
    if (now - saved >= SAVE_EVERY && atomic_compare_exchange_strong(&e->saved_us, &saved, now))
      id = e->key.id;
  }
  pthread_rwlock_unlock(&r->lock);
  mc_why why;
  if (id && mc_db_run(r->db, &why, "UPDATE access_key SET last_used_us = $1 WHERE id = $2", "ii", now, (int64_t)id))
    mc_log(MC_LOG_WARN, "registry", "the time of an access key's last use was not saved", MC_KZ("reason", why.text));
}

/* ---- listing and revoking ---- */

static int by_id(const void *a, const void *b)
{
  uint32_t x = ((const mc_access_key *)a)->id, y = ((const mc_access_key *)b)->id;
  return x < y ? -1 : x > y;
}

mc_err mc_registry_access_key_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_access_key **out, size_t *count, mc_why *why)
{
  pthread_rwlock_rdlock(&r->lock);
  mc_access_key *list = mc_arena_array(arena, r->access_key_by_id.len, sizeof *list);
  size_t n = 0, at = 0;
  mc_slice key;
  uint64_t value;
  while (list && mc_strmap_next(&r->access_key_by_id, &at, &key, &value)) {
    const access_key_entry *e = (const access_key_entry *)(uintptr_t)value;
    if (e->key.tenant != tenant)
      continue;
    list[n] = e->key;
    list[n].usable = e->secret[0] != 0;
    list[n++].last_used_us = atomic_load(&e->used_us);
  }
  pthread_rwlock_unlock(&r->lock);
  *out = list;
  *count = n;
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the list of access keys");
  qsort(list, n, sizeof *list, by_id);
  return MC_OK;
}

/* Takes it out of the mirror. True when it was there. */
static bool forget(mc_registry *r, uint32_t tenant, uint32_t id)
{
  access_key_entry *hit = NULL;
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  pthread_rwlock_wrlock(&r->lock);
  while (!hit && mc_strmap_next(&r->access_key_by_id, &at, &key, &value)) {
    access_key_entry *e = (access_key_entry *)(uintptr_t)value;
    if (e->key.id == id && e->key.tenant == tenant)
      hit = e;
  }
  if (hit)
    mc_strmap_remove(&r->access_key_by_id, mc_slice_str(hit->key.key_id), NULL);
  pthread_rwlock_unlock(&r->lock);
  entry_free(hit);
  return hit != NULL;
}

mc_err mc_registry_access_key_revoke(mc_registry *r, uint32_t tenant, uint32_t id, mc_why *why)
{
  MC_TRY(change_begin(r, why));
  mc_err err = mc_db_run(r->db, why, "UPDATE access_key SET revoked = 1, secret = $3 WHERE id = $1 AND tenant = $2 AND revoked = 0", "iib", (int64_t)id, (int64_t)tenant, MC_LIT(""));
  if (!err && mc_db_changes(r->db) == 0)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no access key with id %u", id);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"access_key\":%u}", id);
  err = change_commit(r, err, tenant, (mc_slice){0}, "access_key.revoked", &payload, why);
  mc_buf_free(&payload);
  if (err != MC_ERR_NOT_FOUND && forget(r, tenant, id) && err)
    mc_err_prefix(why, "access key %u is refused from now on, but only until a restart because this was not saved; try again", id);
  change_end(r);
  return err;
}
