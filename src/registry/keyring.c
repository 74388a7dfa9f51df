#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/vec.h"
#include "registry/registry.h"

/* Data keys, wrapped in the database and ready in memory. Lock order: the database, then the ring. */

static const mc_migration migration[] = {
    {"keyring", 1,
     "CREATE TABLE data_key (id BIGINT PRIMARY KEY, tenant BIGINT NOT NULL, subject BIGINT NOT NULL, subject_id BIGINT NOT NULL, wrapped BYTEA,"
     " created_us BIGINT NOT NULL, destroyed_us BIGINT);"
     "CREATE UNIQUE INDEX data_key_in_use ON data_key (tenant, subject, subject_id) WHERE wrapped IS NOT NULL"},
};

struct mc_keyring {
  mc_db *db;
  mc_master *master;
  bool subjects;
  pthread_rwlock_t lock; /* of what follows; held while a sealer is used, so that it cannot be destroyed meanwhile */
  mc_map by_id;          /* key id -> mc_sealer */
  mc_strmap by_subject;  /* subject_key -> key id */
};

typedef struct subject_key {
  uint8_t bytes[9];
} subject_key;

static mc_slice subject_slice(subject_key *k, uint32_t tenant, mc_subject subject, uint32_t id)
{
  k->bytes[0] = (uint8_t)subject;
  mc_store_le32(k->bytes + 1, tenant);
  mc_store_le32(k->bytes + 5, id);
  return mc_slice_of(k->bytes, sizeof k->bytes);
}

/* What a wrapped key is bound to: moved to another row, it does not open. */
static mc_slice binding(char text[96], uint32_t id, uint32_t tenant, int subject, uint32_t subject_id)
{
  snprintf(text, 96, "data key %u of tenant %u, subject %d/%u", id, tenant, subject, subject_id);
  return mc_slice_str(text);
}

/* ---- memory ---- */
static mc_err keep(mc_keyring *k, uint32_t id, uint32_t tenant, mc_subject subject, uint32_t subject_id, const uint8_t key[MC_KEY_BYTES])
{
  subject_key sk;
  mc_sealer *s;
  MC_TRY(mc_sealer_create(key, &s));
  pthread_rwlock_wrlock(&k->lock);
  mc_err err = mc_map_put(&k->by_id, id, (uintptr_t)s);
  if (!err)
    err = mc_strmap_put(&k->by_subject, subject_slice(&sk, tenant, subject, subject_id), id);
  if (err)
    mc_map_remove(&k->by_id, id, NULL);
  pthread_rwlock_unlock(&k->lock);
  if (err)
    mc_sealer_destroy(&s);
  return err;
}

static void forget(mc_keyring *k, uint32_t id, uint32_t tenant, mc_subject subject, uint32_t subject_id)
{
  uint64_t value = 0;
  subject_key sk;
  pthread_rwlock_wrlock(&k->lock);
  bool found = mc_map_remove(&k->by_id, id, &value);
  mc_strmap_remove(&k->by_subject, subject_slice(&sk, tenant, subject, subject_id), NULL);
  pthread_rwlock_unlock(&k->lock);
  if (found) {
    mc_sealer *s = (mc_sealer *)(uintptr_t)value;
    mc_sealer_destroy(&s);
  }
}

uint32_t mc_keyring_find(mc_keyring *k, uint32_t tenant, mc_subject subject, uint32_t subject_id)
{
  subject_key sk;
  uint64_t id = 0;
  pthread_rwlock_rdlock(&k->lock);
  mc_strmap_get(&k->by_subject, subject_slice(&sk, tenant, subject, subject_id), &id);
  pthread_rwlock_unlock(&k->lock);
  return (uint32_t)id;
}

bool mc_keyring_has_subjects(const mc_keyring *k) { return k->subjects; }

mc_err mc_keyring_seal(mc_keyring *k, uint32_t key_id, const mc_slice *aad, size_t aad_count, const mc_slice *text, size_t text_count, uint8_t *out)
{
  uint64_t s;
  pthread_rwlock_rdlock(&k->lock);
  mc_err err = mc_map_get(&k->by_id, key_id, &s) ? mc_seal((mc_sealer *)(uintptr_t)s, aad, aad_count, text, text_count, out) : MC_ERR_NOT_FOUND;
  pthread_rwlock_unlock(&k->lock);
  return err;
}

mc_err mc_keyring_unseal(mc_keyring *k, uint32_t key_id, const mc_slice *aad, size_t aad_count, mc_slice sealed, uint8_t *out)
{
  uint64_t s;
  pthread_rwlock_rdlock(&k->lock);
  mc_err err = mc_map_get(&k->by_id, key_id, &s) ? mc_unseal((mc_sealer *)(uintptr_t)s, aad, aad_count, sealed, out) : MC_ERR_NOT_FOUND;
  pthread_rwlock_unlock(&k->lock);
  return err;
}

/* ---- disk ---- */
typedef struct row {
  uint32_t id, tenant, subject_id;
  mc_subject subject;
  uint8_t wrapped[MC_WRAPPED_BYTES];
} row;
typedef MC_VEC(row) rows;

static mc_err read_row(mc_stmt *s, row *out, mc_why *why)
{
  mc_slice wrapped = mc_stmt_blob(s, 4);
  *out = (row){(uint32_t)mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), (uint32_t)mc_stmt_int(s, 3), (mc_subject)mc_stmt_int(s, 2), {0}};
  if (wrapped.len != MC_WRAPPED_BYTES)
    return mc_err_set(why, MC_ERR_CHECKSUM, "data key %u has %zu bytes in the database, expected %d: restore a back-up", out->id, wrapped.len, MC_WRAPPED_BYTES);
  memcpy(out->wrapped, wrapped.data, MC_WRAPPED_BYTES);
  return MC_OK;
}

#define ROWS "SELECT id, tenant, subject, subject_id, wrapped FROM data_key WHERE wrapped IS NOT NULL"

/* Inside begin and end. tenant 0: all. */
static mc_err read_rows(mc_keyring *k, uint32_t tenant, mc_subject subject, uint32_t subject_id, rows *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(k->db, tenant || subject_id ? ROWS " AND tenant = $1 AND subject = $2 AND subject_id = $3 ORDER BY id" : ROWS " ORDER BY id", &s, why));
  if (tenant || subject_id) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_int(s, 2, subject);
    mc_stmt_bind_int(s, 3, subject_id);
  }
  mc_err err;
  row r;
  while ((err = mc_stmt_step(s, why)) == MC_OK) {
    err = read_row(s, &r, why);
    if (!err && mc_vec_push(out, r))
      err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for the keys");
    if (err)
      break;
  }
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err unwrap(mc_master *master, const row *r, uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  char text[96];
  return mc_master_unwrap(master, binding(text, r->id, r->tenant, r->subject, r->subject_id), r->wrapped, key, why);
}

static mc_err load(mc_keyring *k, mc_why *why)
{
  rows all = {0};
  MC_TRY(mc_db_begin(k->db, false, why));
  mc_err err = read_rows(k, 0, 0, 0, &all, why);
  mc_db_end(k->db, !err, NULL);
  for (size_t i = 0; !err && i < all.len; i++) {
    uint8_t key[MC_KEY_BYTES];
    const row *r = &all.at[i];
    err = unwrap(k->master, r, key, why);
    if (!err && keep(k, r->id, r->tenant, r->subject, r->subject_id, key))
      err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for the keys");
    mc_key_wipe(key, sizeof key);
  }
  mc_vec_free(&all);
  return err;
}

mc_err mc_keyring_open(mc_db *db, mc_master *master, bool subjects, mc_keyring **out, mc_why *why)
{
  *out = NULL;
  mc_keyring *k = calloc(1, sizeof *k);
  if (!k)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the keys");
  pthread_rwlock_init(&k->lock, NULL);
  k->db = db;
  k->master = master;
  k->subjects = subjects;
  mc_err err = mc_db_migrate(db, migration, sizeof migration / sizeof migration[0], why);
  if (!err)
    err = load(k, why);
  if (!err)
    err = mc_keyring_ensure(k, 0, MC_SUBJECT_TENANT, (const uint32_t[]){0}, 1, why); /* for what belongs to no tenant */
  if (err) {
    mc_err_prefix(why, "keyring");
    mc_keyring_close(&k);
  }
  *out = k;
  return err;
}

mc_err mc_keyring_exists(mc_db *db, bool *out, mc_why *why)
{
  mc_stmt *s = NULL;
  *out = false;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT 1 FROM schema_migration WHERE module = 'keyring'", &s, why);
  if (!err) {
    err = mc_stmt_step(s, why);
    *out = err == MC_OK;
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

void mc_keyring_close(mc_keyring **ring)
{
  mc_keyring *k = *ring;
  if (!k)
    return;
  uint64_t id, value;
  for (size_t at = 0; mc_map_next(&k->by_id, &at, &id, &value);) {
    mc_sealer *s = (mc_sealer *)(uintptr_t)value;
    mc_sealer_destroy(&s);
  }
  mc_map_free(&k->by_id);
  mc_strmap_free(&k->by_subject);
  pthread_rwlock_destroy(&k->lock);
  free(k);
  *ring = NULL;
}

static mc_err insert(mc_keyring *k, row *r, const uint8_t key[MC_KEY_BYTES], mc_why *why)
{
  char text[96];
  MC_TRY(mc_db_next_id(k->db, "data_key", &r->id, why));
  MC_TRY(mc_master_wrap(k->master, binding(text, r->id, r->tenant, r->subject, r->subject_id), key, r->wrapped, why));
  return mc_db_run(k->db, why, "INSERT INTO data_key (id, tenant, subject, subject_id, wrapped, created_us) VALUES ($1, $2, $3, $4, $5, $6)", "iiiibi", (int64_t)r->id,
                   (int64_t)r->tenant, (int64_t)r->subject, (int64_t)r->subject_id, mc_slice_of(r->wrapped, MC_WRAPPED_BYTES), mc_clock_wall_us());
}

/* Makes what is missing of a piece of the list, in one transaction; rows gets what was made, key the plain keys beside it. */
static mc_err insert_missing(mc_keyring *k, uint32_t tenant, mc_subject subject, const uint32_t *id, size_t count, row *made, uint8_t (*key)[MC_KEY_BYTES], size_t *made_count,
                             mc_why *why)
{
  MC_TRY(mc_db_begin(k->db, true, why));
  mc_err err = MC_OK;
  for (size_t i = 0; !err && i < count; i++) {
    if (mc_keyring_find(k, tenant, subject, id[i]))
      continue;
    row *r = &made[*made_count];
    *r = (row){.tenant = tenant, .subject = subject, .subject_id = id[i]};
    err = mc_key_random(key[*made_count]) ? mc_err_set(why, MC_ERR_IO, "no random bytes for a key") : insert(k, r, key[*made_count], why);
    ++*made_count;
  }
  mc_err ended = mc_db_end(k->db, !err, err ? NULL : why);
  return err ? err : ended;
}

mc_err mc_keyring_ensure(mc_keyring *k, uint32_t tenant, mc_subject subject, const uint32_t *id, size_t count, mc_why *why)
{
  enum { PIECE = 1000 };
  if (mc_db_in_transaction(k->db)) /* it could be rolled back, and the key in memory would be none */
    return mc_err_set(why, MC_ERR_INVALID, "keys are made outside of other transactions; end that one first");
  row *made = malloc(PIECE * sizeof *made);
  uint8_t(*key)[MC_KEY_BYTES] = malloc(PIECE * sizeof *key);
  mc_err err = made && key ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "out of memory for keys");
  for (size_t at = 0; !err && at < count; at += PIECE) {
    size_t n = 0;
    err = insert_missing(k, tenant, subject, id + at, count - at < PIECE ? count - at : PIECE, made, key, &n, why);
    for (size_t i = 0; !err && i < n; i++)
      if (keep(k, made[i].id, tenant, subject, made[i].subject_id, key[i]))
        err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for keys");
    mc_key_wipe(key, PIECE * sizeof *key);
  }
  free(made);
  free(key);
  return err;
}

mc_err mc_keyring_destroy(mc_keyring *k, uint32_t tenant, mc_subject subject, uint32_t subject_id, size_t *count, uint8_t digest[32], mc_why *why)
{
  rows found = {0};
  uint8_t chain[32 + MC_KEY_BYTES] = {0}; /* the digest so far, then the next key */
  *count = 0;
  MC_TRY(mc_db_begin(k->db, true, why));
  mc_err err = read_rows(k, tenant, subject, subject_id, &found, why);
  for (size_t i = 0; !err && i < found.len; i++) {
    err = unwrap(k->master, &found.at[i], chain + 32, why);
    SHA256(chain, sizeof chain, chain);
  }
  if (!err && !found.len)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no key for it: nothing was sealed under one, or it was destroyed before");
  if (!err)
    err = mc_db_run(k->db, why, "UPDATE data_key SET wrapped = NULL, destroyed_us = $1 WHERE tenant = $2 AND subject = $3 AND subject_id = $4 AND wrapped IS NOT NULL", "iiii",
                    mc_clock_wall_us(), (int64_t)tenant, (int64_t)subject, (int64_t)subject_id);
  mc_err ended = mc_db_end(k->db, !err, err ? NULL : why);
  err = err ? err : ended;
  if (!err) /* the old page may still stand in the write-ahead file */
    err = mc_db_settle(k->db, why);
  for (size_t i = 0; !err && i < found.len; i++)
    forget(k, found.at[i].id, tenant, subject, subject_id);
  *count = err ? 0 : found.len;
  if (digest)
    memcpy(digest, chain, 32);
  mc_key_wipe(chain, sizeof chain);
  mc_vec_free(&found);
  return err;
}

mc_err mc_keyring_rewrap(mc_keyring *k, mc_master *fresh, mc_why *why)
{
  rows all = {0};
  MC_TRY(mc_db_begin(k->db, true, why));
  mc_err err = read_rows(k, 0, 0, 0, &all, why);
  for (size_t i = 0; !err && i < all.len; i++) {
    row *r = &all.at[i];
    uint8_t key[MC_KEY_BYTES];
    char text[96];
    err = unwrap(k->master, r, key, why);
    if (!err)
      err = mc_master_wrap(fresh, binding(text, r->id, r->tenant, r->subject, r->subject_id), key, r->wrapped, why);
    if (!err)
      err = mc_db_run(k->db, why, "UPDATE data_key SET wrapped = $1 WHERE id = $2", "bi", mc_slice_of(r->wrapped, MC_WRAPPED_BYTES), (int64_t)r->id);
    mc_key_wipe(key, sizeof key);
  }
  mc_err ended = mc_db_end(k->db, !err, err ? NULL : why);
  err = err ? err : ended;
  if (!err)
    err = mc_db_settle(k->db, why);
  if (!err)
    k->master = fresh;
  mc_vec_free(&all);
  return err;
}

mc_err mc_keyring_list(mc_keyring *k, uint32_t tenant, mc_arena *arena, mc_key_info **out, size_t *count, mc_why *why)
{
  MC_VEC(mc_key_info) list = {0};
  mc_stmt *s = NULL;
  MC_TRY(mc_db_begin(k->db, false, why));
  mc_err err = mc_db_prepare(k->db, "SELECT id, tenant, subject, subject_id, created_us, destroyed_us FROM data_key WHERE tenant = $1 ORDER BY id", &s, why);
  if (!err)
    mc_stmt_bind_int(s, 1, tenant);
  while (!err && (err = mc_stmt_step(s, why)) == MC_OK) {
    mc_key_info i = {.key_id = (uint32_t)mc_stmt_int(s, 0), .tenant = (uint32_t)mc_stmt_int(s, 1), .subject = (mc_subject)mc_stmt_int(s, 2),
                     .subject_id = (uint32_t)mc_stmt_int(s, 3), .created_us = mc_stmt_int(s, 4), .destroyed_us = mc_stmt_is_null(s, 5) ? 0 : mc_stmt_int(s, 5)};
    err = mc_vec_push(&list, i);
  }
  if (s)
    mc_stmt_release(&s);
  mc_db_end(k->db, true, NULL);
  *count = list.len;
  *out = err == MC_ERR_END ? mc_arena_array(arena, list.len ? list.len : 1, sizeof **out) : NULL;
  if (err == MC_ERR_END)
    err = *out ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "out of memory for the list of keys");
  if (!err && list.len)
    memcpy(*out, list.at, list.len * sizeof **out);
  mc_vec_free(&list);
  return err;
}
