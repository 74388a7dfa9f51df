/* Idempotency-Key on operations that create: the same key within a day gives the first answer again. */
#include <openssl/sha.h>
#include <stdio.h>

#include "api/inside.h"
#include "base/clock.h"
#include "base/log.h"

enum { KEY_MAX = 128 };
#define KEEP_US (INT64_C(24) * 3600 * 1000000)

const mc_migration api_migration[] = {
    {"api", 1,
     "CREATE TABLE api_idempotency (scope TEXT NOT NULL, key TEXT NOT NULL, operation TEXT NOT NULL, request BYTEA NOT NULL, status BIGINT NOT NULL,"
     " reply BYTEA, created_us BIGINT NOT NULL, PRIMARY KEY (scope, key));"
     "CREATE TABLE api_audit_head (id BIGINT PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL, payload BYTEA NOT NULL, saved BIGINT NOT NULL)"},
};
const size_t api_migration_count = sizeof api_migration / sizeof api_migration[0];

mc_err idem_clean(mc_db *db, mc_why *why)
{
  return mc_db_run(db, why, "DELETE FROM api_idempotency WHERE status = 0 OR created_us < $1", "i", mc_clock_wall_us() - KEEP_US);
}

static void scope_of(const api_call *c, char out[64])
{
  snprintf(out, 64, "%u/%d/%u", c->who.tenant, (int)c->who.kind, c->who.id);
}

/* What is asked: path and body. */
static void digest_request(const api_call *c, uint8_t out[32])
{
  mc_buf text = {0};
  mc_buf_append_slice(&text, c->request->path);
  mc_buf_append_u8(&text, '\n');
  mc_buf_append_slice(&text, c->request->body);
  SHA256(text.data ? text.data : (const uint8_t *)"", text.len, out);
  mc_buf_free(&text);
}

static idem_verdict refuse(api_call *c, int status, const char *text)
{
  c->status = status;
  mc_err_set(&c->why, MC_ERR_CONFLICT, "%s", text);
  snprintf(c->field, sizeof c->field, "Idempotency-Key");
  return IDEM_REFUSED;
}

/* There is a row already: tells what it means for this request. */
static idem_verdict judge(api_call *c, mc_stmt *s, const uint8_t digest[32])
{
  bool same = mc_slice_eq(mc_stmt_blob(s, 1), mc_slice_of(digest, 32)) && mc_slice_eq_str(mc_stmt_text(s, 0), c->op->id);
  int64_t status = mc_stmt_int(s, 2);
  if (!same)
    return refuse(c, 422, "this key was used for another request within the last 24 h; use a new one");
  if (status == 0)
    return refuse(c, 409, "the first request with this key is still under way; ask again in a moment");
  if (mc_stmt_is_null(s, 3))
    return refuse(c, 409, "this was done by the first request with this key; its answer held a secret that is shown once and not kept");
  c->status = (int)status;
  if (mc_buf_append_slice(&c->out, mc_stmt_blob(s, 3)))
    return refuse(c, 503, "out of memory; try again");
  reply_header(c, "Idempotency-Replayed", MC_LIT("true"));
  return IDEM_REPLAYED;
}

static mc_err look(api_call *c, const char *scope, mc_slice key, const uint8_t digest[32], idem_verdict *verdict)
{
  mc_db *db = c->api->config.db;
  mc_stmt *s;
  MC_TRY(mc_db_run(db, &c->why, "DELETE FROM api_idempotency WHERE scope = $1 AND key = $2 AND created_us < $3", "tti", mc_slice_str(scope), key, mc_clock_wall_us() - KEEP_US));
  MC_TRY(mc_db_prepare(db, "SELECT operation, request, status, reply FROM api_idempotency WHERE scope = $1 AND key = $2", &s, &c->why));
  mc_stmt_bind_text(s, 1, mc_slice_str(scope));
  mc_stmt_bind_text(s, 2, key);
  mc_err err = mc_stmt_step(s, &c->why);
  if (!err)
    *verdict = judge(c, s, digest);
  mc_stmt_release(&s);
  if (err != MC_ERR_END)
    return err;
  *verdict = IDEM_RUN;
  return mc_db_run(db, &c->why, "INSERT INTO api_idempotency (scope, key, operation, request, status, created_us) VALUES ($1, $2, $3, $4, 0, $5)", "tttbi",
                   mc_slice_str(scope), key, mc_slice_str(c->op->id), mc_slice_of(digest, 32), mc_clock_wall_us());
}

idem_verdict idem_begin(api_call *c, mc_slice key)
{
  char scope[64];
  uint8_t digest[32];
  for (size_t i = 0; i < key.len; i++)
    if (key.data[i] < 0x21 || key.data[i] > 0x7e)
      return refuse(c, 400, "an idempotency key has 1 to 128 visible ASCII characters");
  if (key.len > KEY_MAX)
    return refuse(c, 400, "an idempotency key has 1 to 128 visible ASCII characters");
  scope_of(c, scope);
  digest_request(c, digest);
  idem_verdict verdict = IDEM_RUN;
  mc_err err = mc_db_begin(c->api->config.db, true, &c->why);
  if (!err) {
    err = look(c, scope, key, digest, &verdict);
    mc_err end = mc_db_end(c->api->config.db, !err, err ? NULL : &c->why);
    err = err ? err : end;
  }
  if (err) {
    c->status = reply_status_of(err);
    return IDEM_REFUSED;
  }
  return verdict;
}

void idem_finish(api_call *c, mc_slice key, bool ok)
{
  char scope[64];
  mc_why why;
  mc_err err;
  scope_of(c, scope);
  mc_db *db = c->api->config.db;
  int64_t status = c->status ? c->status : c->op->status;
  if (!ok) /* nothing was made: the key is free for another try */
    err = mc_db_run(db, &why, "DELETE FROM api_idempotency WHERE scope = $1 AND key = $2", "tt", mc_slice_str(scope), key);
  else if (c->op->secret)
    err = mc_db_run(db, &why, "UPDATE api_idempotency SET status = $1 WHERE scope = $2 AND key = $3", "itt", status, mc_slice_str(scope), key);
  else
    err = mc_db_run(db, &why, "UPDATE api_idempotency SET status = $1, reply = $2 WHERE scope = $3 AND key = $4", "ibtt", status, mc_buf_slice(&c->out), mc_slice_str(scope), key);
  if (err)
    mc_log(MC_LOG_WARN, "api", "the answer for an idempotency key was not saved", MC_KZ("reason", why.text));
}
