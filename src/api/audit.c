/* Who changed what: one record for each changing call on the journal's AUDIT stream, chained by hash.
 *
 * payload n holds "prev" = SHA-256 of payload n-1. The newest payload is in the db before it goes to the journal, so that the chain goes on
 * where it was after a crash; one that may not have reached the journal is written there again at start (same seq, same bytes). */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/inside.h"
#include "base/clock.h"

struct api_audit {
  pthread_mutex_t lock;
  mc_db *db;
  mc_journal *journal; /* NULL in tests without one: the chain is kept in the db alone */
  uint64_t seq;
  uint8_t head[32];
};

static void hex32(const uint8_t in[32], char out[65])
{
  for (size_t i = 0; i < 32; i++)
    snprintf(out + 2 * i, 3, "%02x", in[i]);
}

static mc_err to_journal(api_audit *a, uint32_t tenant, mc_slice operation, mc_slice payload, mc_why *why)
{
  if (!a->journal)
    return MC_OK;
  mc_record record = {.stream = MC_STREAM_AUDIT, .tenant = tenant, .time_us = mc_clock_wall_us(), .topic = operation, .payload = payload};
  uint64_t offset;
  return mc_journal_append_sync(a->journal, &record, &offset, why);
}

static mc_err load_head(api_audit *a, mc_buf *payload, bool *saved, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(a->db, "SELECT seq, payload, saved FROM api_audit_head", &s, why));
  mc_err err = mc_stmt_step(s, why);
  if (!err) {
    a->seq = (uint64_t)mc_stmt_int(s, 0);
    err = mc_buf_append_slice(payload, mc_stmt_blob(s, 1));
    *saved = mc_stmt_int(s, 2) != 0;
  }
  mc_stmt_release(&s);
  return err;
}

mc_err audit_open(mc_api *api, api_audit **out, mc_why *why)
{
  api_audit *a = calloc(1, sizeof *a);
  *out = a;
  if (!a)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the audit chain");
  pthread_mutex_init(&a->lock, NULL);
  a->db = api->config.db;
  a->journal = api->config.journal;
  mc_buf payload = {0};
  bool saved = true;
  MC_TRY(mc_db_begin(a->db, false, why));
  mc_err err = load_head(a, &payload, &saved, why);
  mc_db_end(a->db, true, NULL);
  if (!err) {
    SHA256(payload.data ? payload.data : (const uint8_t *)"", payload.len, a->head);
    if (!saved) {
      err = to_journal(a, 0, MC_LIT("repeated"), mc_buf_slice(&payload), why);
      if (!err)
        err = mc_db_run(a->db, why, "UPDATE api_audit_head SET saved = 1", "");
    }
  }
  mc_buf_free(&payload);
  return err == MC_ERR_END ? MC_OK : err;
}

void audit_close(api_audit **audit)
{
  api_audit *a = *audit;
  if (!a)
    return;
  if (a->seq)
    mc_db_run(a->db, NULL, "UPDATE api_audit_head SET saved = 1", ""); /* every append had returned */
  pthread_mutex_destroy(&a->lock);
  free(a);
  *audit = NULL;
}

static const char *kind_name(const mc_principal *who)
{
  static const char *const name[] = {[MC_PRINCIPAL_USER] = "user", [MC_PRINCIPAL_TOKEN] = "token", [MC_PRINCIPAL_KEY] = "key", [MC_PRINCIPAL_SELF] = "platform"};
  size_t kind = (size_t)who->kind;
  return kind < sizeof name / sizeof name[0] && name[kind] ? name[kind] : "stranger";
}

/* Names of the body's members, never their values: passwords and keys are among them. */
static mc_err write_payload(api_audit *a, const mc_desk_record *r, mc_buf *out)
{
  char prev[65], id[24];
  hex32(a->head, prev);
  snprintf(id, sizeof id, "%016llx", (unsigned long long)r->request_id);
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_uint_field(&j, "seq", a->seq + 1);
  mc_json_str_field(&j, "prev", prev);
  json_time(&j, "time", mc_clock_wall_us());
  mc_json_uint_field(&j, "tenant", r->who->tenant);
  mc_json_str_field(&j, "kind", kind_name(r->who));
  mc_json_uint_field(&j, "id", r->who->id);
  mc_json_str_field(&j, "name", r->who->name);
  mc_json_str_field(&j, "address", r->address);
  mc_json_str_field(&j, "operation", r->operation);
  mc_json_text_field(&j, "path", r->path);
  mc_json_int_field(&j, "status", r->status);
  mc_json_str_field(&j, "request_id", id);
  mc_json_key(&j, "fields");
  mc_json_array(&j);
  for (size_t i = 0; i < r->field_count; i++)
    mc_json_text(&j, mc_slice_sub(r->field[i], 0, 64));
  mc_json_array_end(&j);
  if (r->reason.len)
    mc_json_text_field(&j, "reason", r->reason);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

mc_err audit_record(api_audit *a, const mc_desk_record *r, mc_why *why)
{
  mc_buf payload = {0};
  pthread_mutex_lock(&a->lock);
  mc_err err = write_payload(a, r, &payload);
  if (!err)
    err = mc_db_run(a->db, why, "INSERT INTO api_audit_head (id, seq, payload, saved) VALUES (1, $1, $2, 0) ON CONFLICT (id) DO UPDATE SET seq = $1, payload = $2, saved = 0", "ib",
                    (int64_t)(a->seq + 1), mc_buf_slice(&payload));
  if (!err) {
    SHA256(payload.data, payload.len, a->head);
    a->seq++;
    err = to_journal(a, r->who->tenant, mc_slice_str(r->operation), mc_buf_slice(&payload), why);
  }
  pthread_mutex_unlock(&a->lock);
  mc_buf_free(&payload);
  return err;
}
