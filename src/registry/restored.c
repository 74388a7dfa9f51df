#include <jansson.h>

#include "base/clock.h"
#include "registry/registry.h"

/* A database that came out of a backup knows nothing of what was taken away since the backup was made: keys that were destroyed, certificates, tokens, passwords. What
 * a newer database or a receipt still tells of that is taken away again. Rows are the same when their id and the time they were made are; nothing is added. */

typedef struct step {
  const char *read;  /* rows of the newer database */
  const char *write; /* takes the columns in their order */
  const char *kinds; /* of the columns: i, t, b */
  size_t counter;
  const char *module; /* of the migration that made the table; NULL: it was always there */
} step;

#define COUNT(member) offsetof(mc_taken_away, member)

static const step steps[] = {
    {"SELECT state, fingerprint, created_us FROM certificate WHERE state <> 0", "UPDATE certificate SET state = $1 WHERE fingerprint = $2 AND created_us = $3 AND state < $1", "ibi",
     COUNT(certificates), NULL},
    {"SELECT id, created_us FROM thing WHERE disabled <> 0", "UPDATE thing SET disabled = 1 WHERE id = $1 AND created_us = $2 AND disabled = 0", "ii", COUNT(devices), NULL},
    {"SELECT id, created_us FROM token WHERE revoked <> 0", "UPDATE token SET revoked = 1 WHERE id = $1 AND created_us = $2 AND revoked = 0", "ii", COUNT(tokens), NULL},
    {"SELECT id, created_us, disabled, password FROM account",
     "UPDATE account SET disabled = $3, password = $4 WHERE id = $1 AND created_us = $2 AND (disabled < $3 OR (password <> $4 AND disabled <= $3))", "iiit", COUNT(accounts), NULL},
    {"SELECT id, created_us, secret FROM access_key WHERE revoked <> 0", "UPDATE access_key SET revoked = 1, secret = $3 WHERE id = $1 AND created_us = $2 AND revoked = 0", "iib",
     COUNT(tokens), "registry.access_key"},
    {"SELECT destroyed_us, id, tenant, subject, subject_id, created_us FROM data_key WHERE wrapped IS NULL",
     "UPDATE data_key SET wrapped = NULL, destroyed_us = $1 WHERE id = $2 AND tenant = $3 AND subject = $4 AND subject_id = $5 AND created_us = $6 AND wrapped IS NOT NULL", "iiiiii",
     COUNT(keys), "keyring"},
};

static mc_err has(mc_db *db, const char *module, bool *out, mc_why *why)
{
  mc_stmt *s;
  *out = !module;
  if (!module)
    return MC_OK;
  MC_TRY(mc_db_prepare(db, "SELECT 1 FROM schema_migration WHERE module = $1", &s, why));
  mc_stmt_bind_text(s, 1, mc_slice_str(module));
  mc_err err = mc_stmt_step(s, why);
  mc_stmt_release(&s);
  *out = err == MC_OK;
  return err == MC_ERR_END ? MC_OK : err;
}

static void bind(mc_stmt *to, mc_stmt *from, const char *kinds)
{
  for (int i = 0; kinds[i]; i++)
    if (kinds[i] == 'i')
      mc_stmt_bind_int(to, i + 1, mc_stmt_int(from, i));
    else if (kinds[i] == 't')
      mc_stmt_bind_text(to, i + 1, mc_stmt_text(from, i));
    else if (mc_stmt_blob(from, i).len)
      mc_stmt_bind_blob(to, i + 1, mc_stmt_blob(from, i));
    else
      mc_stmt_bind_blob(to, i + 1, MC_LIT("")); /* empty is not NULL */
}

/* Both between begin and end. */
static mc_err take(mc_db *restored, mc_db *newer, const step *t, mc_taken_away *out, mc_why *why)
{
  mc_stmt *from, *to;
  bool there;
  mc_err err = has(restored, t->module, &there, why);
  if (!err && there)
    err = has(newer, t->module, &there, why);
  if (err || !there) /* made by a version that did not know of such */
    return err;
  MC_TRY(mc_db_prepare(newer, t->read, &from, why));
  while ((err = mc_stmt_step(from, why)) == MC_OK) {
    err = mc_db_prepare(restored, t->write, &to, why);
    if (err)
      break;
    bind(to, from, t->kinds);
    err = mc_stmt_step(to, why);
    mc_stmt_release(&to);
    if (err != MC_ERR_END)
      break;
    *(uint64_t *)(void *)((char *)out + t->counter) += (uint64_t)mc_db_changes(restored);
  }
  mc_stmt_release(&from);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err take_all(mc_db *restored, mc_db *newer, mc_taken_away *out, mc_why *why)
{
  MC_TRY(mc_db_begin(restored, true, why));
  mc_err err = mc_db_begin(newer, false, why);
  bool reading = !err;
  for (size_t i = 0; !err && i < sizeof steps / sizeof steps[0]; i++)
    err = take(restored, newer, &steps[i], out, why);
  if (reading)
    mc_db_end(newer, true, NULL);
  mc_err ended = mc_db_end(restored, !err, err ? NULL : why);
  return err ? err : ended;
}

mc_err mc_registry_take_away_as(mc_db *restored, mc_db *newer, mc_taken_away *out, mc_why *why)
{
  MC_TRY(take_all(restored, newer, out, why));
  return mc_db_settle(restored, why); /* destroyed is what stands in no file any more */
}

mc_err mc_registry_end_sessions(mc_db *restored, mc_why *why)
{
  MC_TRY(mc_db_run(restored, why, "DELETE FROM session", ""));
  return mc_db_run(restored, why, "DELETE FROM signin_link", "");
}

mc_err mc_registry_keys_left(mc_db *db, uint64_t *subjects, mc_why *why)
{
  bool keys = false;
  mc_stmt *s;
  *subjects = 0;
  MC_TRY(mc_keyring_exists(db, &keys, why));
  if (!keys)
    return MC_OK;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT COUNT(*) FROM data_key WHERE subject <> 1 AND wrapped IS NOT NULL", &s, why);
  if (!err) {
    err = mc_stmt_step(s, why);
    if (!err)
      *subjects = (uint64_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err;
}

/* ---- receipts ---- */

typedef struct erasure {
  int64_t tenant, vehicle, at_us;
} erasure;

static mc_err read_receipt(mc_slice ca_cert_pem, mc_slice receipt, erasure *out, mc_why *why)
{
  MC_TRY(mc_registry_receipt_check(ca_cert_pem, receipt, why));
  json_t *facts = json_loadb((const char *)receipt.data, mc_slice_find(receipt, '\n', 0), JSON_REJECT_DUPLICATES, NULL);
  json_t *tenant = json_object_get(facts, "tenant"), *vehicle = json_object_get(facts, "vehicle_id"), *at = json_object_get(facts, "erased_at");
  *out = (erasure){json_integer_value(tenant), json_integer_value(vehicle), 0};
  bool good = json_is_integer(tenant) && json_is_integer(vehicle) && json_is_string(at) &&
              mc_clock_parse_us(mc_slice_str(json_string_value(at)), &out->at_us) == MC_OK;
  json_decref(facts);
  return good ? MC_OK : mc_err_set(why, MC_ERR_MALFORMED, "this receipt does not say which vehicle was erased, and when");
}

mc_err mc_registry_take_away_by_receipt(mc_db *restored, mc_slice ca_cert_pem, mc_slice receipt, mc_taken_away *out, mc_why *why)
{
  erasure e;
  bool keys = false;
  MC_TRY(read_receipt(ca_cert_pem, receipt, &e, why));
  if (!restored) /* only a look at the receipt */
    return MC_OK;
  MC_TRY(mc_keyring_exists(restored, &keys, why));
  if (!keys)
    return MC_OK;
  MC_TRY(mc_db_begin(restored, true, why));
  mc_err err = mc_db_run(restored, why,
                         "UPDATE data_key SET wrapped = NULL, destroyed_us = $1 WHERE tenant = $2 AND subject = $3 AND subject_id = $4 AND created_us <= $1 AND wrapped IS NOT NULL",
                         "iiii", e.at_us, e.tenant, (int64_t)MC_SUBJECT_VEHICLE, e.vehicle);
  uint64_t changed = err ? 0 : (uint64_t)mc_db_changes(restored);
  mc_err ended = mc_db_end(restored, !err, err ? NULL : why);
  err = err ? err : ended;
  if (!err)
    out->keys += changed;
  return err ? err : mc_db_settle(restored, why);
}
