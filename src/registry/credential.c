/* What stands for a person after signing in: links, browser sessions, API tokens. Only digests are stored. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "format/json.h"
#include "registry/mirror.h"

#define MINUTE INT64_C(60000000)
#define LINK_LIFE (15 * MINUTE)
#define SESSION_IDLE (12 * 60 * MINUTE)
#define SESSION_LIFE (7 * 24 * 60 * MINUTE)
#define SAVE_EVERY MINUTE /* last use is written at most so often */

static mc_slice digest_slice(const uint8_t digest[32])
{
  return mc_slice_of(digest, 32);
}

/* Fills who from an account that may sign in; the caller holds no lock. */
static mc_err principal_of_account(mc_registry *r, uint32_t id, mc_principal *who)
{
  pthread_rwlock_rdlock(&r->lock);
  const account_entry *a = registry_account(r, id);
  bool ok = a && !a->user.disabled;
  if (ok) {
    *who = (mc_principal){.tenant = a->user.tenant, .kind = MC_PRINCIPAL_USER, .id = id, .role = a->user.role};
    snprintf(who->name, sizeof who->name, "%s", a->user.name);
  }
  pthread_rwlock_unlock(&r->lock);
  return ok ? MC_OK : MC_ERR_UNAUTHENTICATED;
}

/* ---- one-time links ---- */

mc_err mc_registry_link_create(mc_registry *r, uint32_t tenant, uint32_t user, char out[64], mc_why *why)
{
  mc_user known;
  uint8_t digest[32];
  out[0] = 0;
  if (mc_registry_user_get(r, tenant, user, &known) || known.disabled)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no enabled user with id %u", user);
  if (mc_access_secret_create("mcl_", out))
    return mc_err_set(why, MC_ERR_IO, "no random numbers to be had");
  mc_access_secret_digest(mc_slice_str(out), digest);
  int64_t now = mc_clock_wall_us();
  mc_err err = mc_db_run(r->db, why, "DELETE FROM signin_link WHERE expires_us <= $1", "i", now);
  if (!err)
    err = mc_db_run(r->db, why, "INSERT INTO signin_link (digest, account, expires_us) VALUES ($1, $2, $3)", "bii", digest_slice(digest), (int64_t)user, now + LINK_LIFE);
  if (err)
    out[0] = 0;
  return err;
}

/* Deletes the link and gives what it held: whoever deletes it is the only one to use it. */
static mc_err take_link(mc_registry *r, const uint8_t digest[32], uint32_t *account, int64_t *expires_us, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(r->db, true, why));
  mc_err err = mc_db_prepare(r->db, "DELETE FROM signin_link WHERE digest = $1 RETURNING account, expires_us", &s, why);
  bool found = false;
  if (!err) {
    mc_stmt_bind_blob(s, 1, digest_slice(digest));
    while ((err = mc_stmt_step(s, why)) == MC_OK) {
      *account = (uint32_t)mc_stmt_int(s, 0);
      *expires_us = mc_stmt_int(s, 1);
      found = true;
    }
    mc_stmt_release(&s);
    err = err == MC_ERR_END ? MC_OK : err;
  }
  mc_err end = mc_db_end(r->db, !err, err ? NULL : why);
  err = err ? err : end;
  return err ? err : found ? MC_OK : MC_ERR_NOT_FOUND;
}

mc_err mc_registry_link_redeem(mc_registry *r, mc_slice secret, mc_principal *who, mc_why *why)
{
  *who = (mc_principal){0};
  uint8_t digest[32];
  uint32_t account = 0;
  int64_t expires_us = 0;
  mc_access_secret_digest(secret, digest);
  mc_err err = take_link(r, digest, &account, &expires_us, why);
  if (err && err != MC_ERR_NOT_FOUND)
    return err;
  if (!err && expires_us > mc_clock_wall_us())
    err = principal_of_account(r, account, who);
  else
    err = MC_ERR_UNAUTHENTICATED;
  if (err)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "this sign-in link is used up or older than 15 minutes; ask for a new one");
  return MC_OK;
}

/* ---- browser sessions ---- */

/* Derived, so that it need not be stored: HMAC-SHA256 under the session's secret. */
static void csrf_of(mc_slice secret, char csrf[64])
{
  uint8_t mac[32];
  unsigned len = sizeof mac;
  static const char label[] = "motorcade csrf v1";
  HMAC(EVP_sha256(), secret.data, (int)secret.len, (const uint8_t *)label, sizeof label - 1, mac, &len);
  for (size_t i = 0; i < 30; i++)
    snprintf(csrf + 2 * i, 3, "%02x", mac[i]);
}

static bool session_alive(const session_entry *e, int64_t now)
{
  return now - e->created_us < SESSION_LIFE && now - atomic_load(&e->seen_us) < SESSION_IDLE;
}

/* Drops what has run out, in memory; called now and then by session_create. Caller holds the write lock. */
static void sweep_sessions(mc_registry *r, int64_t now)
{
  MC_VEC(session_entry *) gone = {0};
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(&r->session_by_digest, &at, &key, &value)) {
    session_entry *e = (session_entry *)(uintptr_t)value;
    if (!session_alive(e, now) && mc_vec_push(&gone, e))
      break; /* no memory: the next sweep gets them */
  }
  for (size_t i = 0; i < gone.len; i++) {
    mc_strmap_remove(&r->session_by_digest, digest_slice(gone.at[i]->digest), NULL);
    free(gone.at[i]);
  }
  mc_vec_free(&gone);
}

mc_err mc_registry_session_create(mc_registry *r, const mc_principal *who, char secret[64], char csrf[64], mc_why *why)
{
  secret[0] = csrf[0] = 0;
  if (who->kind != MC_PRINCIPAL_USER)
    return mc_err_set(why, MC_ERR_INVALID, "only people have browser sessions; programs use API tokens");
  session_entry *e = calloc(1, sizeof *e);
  if (!e || mc_access_secret_create("mcs_", secret)) {
    free(e);
    return mc_err_set(why, MC_ERR_MEMORY, "no memory or no random numbers for a session");
  }
  int64_t now = mc_clock_wall_us();
  mc_access_secret_digest(mc_slice_str(secret), e->digest);
  e->account = who->id;
  e->created_us = now;
  atomic_init(&e->seen_us, now);
  atomic_init(&e->saved_us, now);
  mc_err err = mc_db_begin(r->db, false, why); /* keeps the table and the mirror in the same order */
  if (!err) {
    err = mc_db_run(r->db, why, "DELETE FROM session WHERE created_us <= $1 OR seen_us <= $2", "ii", now - SESSION_LIFE, now - SESSION_IDLE);
    if (!err)
      err = mc_db_run(r->db, why, "INSERT INTO session (digest, account, created_us, seen_us) VALUES ($1, $2, $3, $3)", "bii", digest_slice(e->digest), (int64_t)e->account, now);
    if (!err) {
      pthread_rwlock_wrlock(&r->lock);
      sweep_sessions(r, now);
      err = mc_strmap_put(&r->session_by_digest, digest_slice(e->digest), (uint64_t)(uintptr_t)e);
      pthread_rwlock_unlock(&r->lock);
    }
    mc_db_end(r->db, true, NULL);
  }
  if (err) {
    free(e);
    secret[0] = 0;
    return err;
  }
  csrf_of(mc_slice_str(secret), csrf);
  return MC_OK;
}

/* True for the one caller that shall write the time of last use. */
static bool due_to_save(_Atomic int64_t *saved_us, int64_t now)
{
  int64_t saved = atomic_load(saved_us);
  return now - saved >= SAVE_EVERY && atomic_compare_exchange_strong(saved_us, &saved, now);
}

mc_err mc_registry_session_check(mc_registry *r, mc_slice secret, mc_principal *who, char csrf[64])
{
  *who = (mc_principal){0};
  csrf[0] = 0;
  uint8_t digest[32];
  uint64_t value = 0;
  uint32_t account = 0;
  bool alive = false, save = false;
  int64_t now = mc_clock_wall_us();
  mc_access_secret_digest(secret, digest);
  pthread_rwlock_rdlock(&r->lock);
  if (mc_strmap_get(&r->session_by_digest, digest_slice(digest), &value)) {
    session_entry *e = (session_entry *)(uintptr_t)value;
    alive = session_alive(e, now);
    account = e->account;
    if (alive) {
      atomic_store(&e->seen_us, now);
      save = due_to_save(&e->saved_us, now);
    }
  }
  pthread_rwlock_unlock(&r->lock);
  if (!alive)
    return MC_ERR_UNAUTHENTICATED;
  MC_TRY(principal_of_account(r, account, who));
  mc_why why;
  if (save && mc_db_run(r->db, &why, "UPDATE session SET seen_us = $1 WHERE digest = $2", "ib", now, digest_slice(digest)))
    mc_log(MC_LOG_WARN, "registry", "the time of a session's last use was not saved", MC_KZ("reason", why.text));
  csrf_of(secret, csrf);
  return MC_OK;
}

mc_err mc_registry_session_end(mc_registry *r, mc_slice secret)
{
  uint8_t digest[32];
  uint64_t old = 0;
  mc_access_secret_digest(secret, digest);
  MC_TRY(mc_db_begin(r->db, false, NULL));
  mc_err err = mc_db_run(r->db, NULL, "DELETE FROM session WHERE digest = $1", "b", digest_slice(digest));
  pthread_rwlock_wrlock(&r->lock); /* signed out now, even when the disk refused */
  bool found = mc_strmap_remove(&r->session_by_digest, digest_slice(digest), &old);
  pthread_rwlock_unlock(&r->lock);
  mc_db_end(r->db, true, NULL);
  if (found)
    free((void *)(uintptr_t)old);
  return err ? err : found ? MC_OK : MC_ERR_NOT_FOUND;
}

/* ---- API tokens ---- */

static mc_err token_payload(mc_buf *out, const mc_token *t)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_uint_field(&j, "token", t->id);
  mc_json_str_field(&j, "name", t->name);
  mc_json_str_field(&j, "role", mc_access_role_name(t->role));
  mc_json_int_field(&j, "expires_us", t->expires_us);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

mc_err mc_registry_token_create(mc_registry *r, uint32_t tenant, mc_slice name, mc_access_role role, int64_t expires_us, char secret[64], mc_token *out, mc_why *why)
{
  secret[0] = 0;
  int64_t now = mc_clock_wall_us();
  if (name.len < 1 || name.len > 64 || !mc_slice_is_utf8(name) || memchr(name.data, 0, name.len))
    return mc_err_set(why, MC_ERR_INVALID, "name: 1 to 64 bytes of UTF-8 text");
  if (role < MC_ROLE_VIEWER || role > MC_ROLE_ADMIN)
    return mc_err_set(why, MC_ERR_INVALID, "role: viewer, operator or admin");
  if (expires_us != 0 && expires_us <= now)
    return mc_err_set(why, MC_ERR_INVALID, "expires: a time in the future, or none");
  token_entry *e = calloc(1, sizeof *e);
  char made[64];
  if (!e || mc_access_secret_create("mct_", made)) {
    free(e);
    return mc_err_set(why, MC_ERR_MEMORY, "no memory or no random numbers for a token");
  }
  mc_access_secret_digest(mc_slice_str(made), e->digest);
  e->token = (mc_token){.tenant = tenant, .role = role, .created_us = now, .expires_us = expires_us};
  mc_slice_to_str(name, e->token.name, sizeof e->token.name);
  mc_err err = change_begin(r, why);
  if (err) {
    free(e);
    return err;
  }
  err = registry_next_id(r, "token", &e->token.id, why);
  if (!err)
    err = mc_db_run(r->db, why,
                    "INSERT INTO token (id, tenant, name, digest, role, created_us, expires_us, last_used_us, revoked) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0)",
                    "iitbiii", (int64_t)e->token.id, (int64_t)tenant, name, digest_slice(e->digest), (int64_t)role, now, expires_us);
  if (err == MC_ERR_CONFLICT)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no tenant %u", tenant);
  mc_buf payload = {0};
  if (!err)
    err = token_payload(&payload, &e->token);
  err = change_commit(r, err, tenant, name, "token.created", &payload, why);
  mc_buf_free(&payload);
  if (!err) {
    *out = e->token;
    pthread_rwlock_wrlock(&r->lock);
    err = mc_strmap_put(&r->token_by_digest, digest_slice(e->digest), (uint64_t)(uintptr_t)e);
    pthread_rwlock_unlock(&r->lock);
  }
  if (err)
    free(e);
  else
    memcpy(secret, made, sizeof made);
  change_end(r);
  return err;
}

mc_err mc_registry_token_check(mc_registry *r, mc_slice secret, mc_principal *who)
{
  *who = (mc_principal){0};
  uint8_t digest[32];
  uint64_t value = 0;
  bool alive = false, save = false;
  int64_t now = mc_clock_wall_us();
  mc_access_secret_digest(secret, digest);
  pthread_rwlock_rdlock(&r->lock);
  if (mc_strmap_get(&r->token_by_digest, digest_slice(digest), &value)) {
    token_entry *e = (token_entry *)(uintptr_t)value;
    alive = e->token.expires_us == 0 || now < e->token.expires_us;
    if (alive) {
      *who = (mc_principal){.tenant = e->token.tenant, .kind = MC_PRINCIPAL_TOKEN, .id = e->token.id, .role = e->token.role};
      snprintf(who->name, sizeof who->name, "%s", e->token.name);
      atomic_store(&e->used_us, now);
      save = due_to_save(&e->saved_us, now);
    }
  }
  pthread_rwlock_unlock(&r->lock);
  mc_why why;
  if (save && mc_db_run(r->db, &why, "UPDATE token SET last_used_us = $1 WHERE id = $2", "ii", now, (int64_t)who->id))
    mc_log(MC_LOG_WARN, "registry", "the time of a token's last use was not saved", MC_KZ("reason", why.text));
  return alive ? MC_OK : MC_ERR_UNAUTHENTICATED;
}

static int by_id(const void *a, const void *b)
{
  uint32_t x = ((const mc_token *)a)->id, y = ((const mc_token *)b)->id;
  return x < y ? -1 : x > y;
}

mc_err mc_registry_token_list(mc_registry *r, uint32_t tenant, mc_arena *arena, mc_token **out, size_t *count, mc_why *why)
{
  pthread_rwlock_rdlock(&r->lock);
  mc_token *list = mc_arena_array(arena, r->token_by_digest.len, sizeof *list);
  size_t n = 0, at = 0;
  mc_slice key;
  uint64_t value;
  while (list && mc_strmap_next(&r->token_by_digest, &at, &key, &value)) {
    const token_entry *e = (const token_entry *)(uintptr_t)value;
    if (e->token.tenant == tenant) {
      list[n] = e->token;
      list[n++].last_used_us = atomic_load(&e->used_us);
    }
  }
  pthread_rwlock_unlock(&r->lock);
  *out = list;
  *count = n;
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the list of tokens");
  qsort(list, n, sizeof *list, by_id);
  return MC_OK;
}

/* Takes the token out of the mirror. True when it was there. */
static bool forget_token(mc_registry *r, uint32_t tenant, uint32_t id)
{
  token_entry *hit = NULL;
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  pthread_rwlock_wrlock(&r->lock);
  while (!hit && mc_strmap_next(&r->token_by_digest, &at, &key, &value)) {
    token_entry *e = (token_entry *)(uintptr_t)value;
    if (e->token.id == id && e->token.tenant == tenant)
      hit = e;
  }
  if (hit)
    mc_strmap_remove(&r->token_by_digest, digest_slice(hit->digest), NULL);
  pthread_rwlock_unlock(&r->lock);
  free(hit);
  return hit != NULL;
}

mc_err mc_registry_token_revoke(mc_registry *r, uint32_t tenant, uint32_t id, mc_why *why)
{
  MC_TRY(change_begin(r, why));
  mc_err err = mc_db_run(r->db, why, "UPDATE token SET revoked = 1 WHERE id = $1 AND tenant = $2 AND revoked = 0", "ii", (int64_t)id, (int64_t)tenant);
  if (!err && mc_db_changes(r->db) == 0)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "there is no token with id %u", id);
  mc_buf payload = {0};
  if (!err)
    err = mc_buf_printf(&payload, "{\"token\":%u}", id);
  err = change_commit(r, err, tenant, (mc_slice){0}, "token.revoked", &payload, why);
  mc_buf_free(&payload);
  if (err != MC_ERR_NOT_FOUND && forget_token(r, tenant, id) && err)
    mc_err_prefix(why, "token %u is refused from now on, but only until a restart because this was not saved; try again", id);
  change_end(r);
  return err;
}
