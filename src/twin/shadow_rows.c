/* Device shadows in the database. */
#include <inttypes.h>
#include <stdio.h>

#include "twin/shadow_inside.h"

static const mc_migration steps[] = {
    {"shadow", 1,
     "CREATE TABLE shadow (tenant INTEGER NOT NULL, thing TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, updated_us INTEGER NOT NULL,"
     " present INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (tenant, thing, name));"
     "CREATE TABLE shadow_change (tenant INTEGER NOT NULL, thing TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL,"
     " time_us INTEGER NOT NULL, principal INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (tenant, thing, name, version, deleted));"
     "CREATE TABLE shadow_rate (tenant INTEGER NOT NULL, thing TEXT NOT NULL, second INTEGER NOT NULL, requests INTEGER NOT NULL, PRIMARY KEY (tenant, thing));"
     "CREATE TABLE shadow_progress (id INTEGER PRIMARY KEY, journal_offset INTEGER NOT NULL);"
     "INSERT INTO shadow_progress (id, journal_offset) VALUES (1, 0);"},
};

mc_err shadow_migrate(mc_db *db, mc_why *why)
{
  return mc_db_migrate(db, steps, sizeof steps / sizeof steps[0], why);
}

mc_err shadow_offset_read(mc_db *db, uint64_t *offset, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT journal_offset FROM shadow_progress WHERE id = 1", &s, why);
  if (!err) {
    err = mc_stmt_step(s, why);
    *offset = err ? 0 : (uint64_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err;
}

mc_err shadow_offset_write(mc_db *db, uint64_t offset, mc_why *why)
{
  return mc_db_run(db, why, "UPDATE shadow_progress SET journal_offset = $1 WHERE id = 1", "i", (int64_t)offset);
}

mc_err shadow_rate_key(uint32_t tenant, mc_slice thing, char out[SHADOW_KEY], mc_slice *key)
{
  int n = snprintf(out, SHADOW_KEY, "%" PRIu32 "/%.*s", tenant, MC_FMT(thing));
  *key = mc_slice_of(out, (size_t)n);
  return n > 0 && n < SHADOW_KEY ? MC_OK : MC_ERR_TOO_LARGE;
}

mc_err shadow_rates_read(mc_shadows *s, mc_why *why)
{
  mc_db *db = s->config.db;
  mc_stmt *stmt;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT tenant, thing, second, requests FROM shadow_rate", &stmt, why);
  if (!err) {
    while (!(err = mc_stmt_step(stmt, why))) {
      char text[SHADOW_KEY];
      mc_slice key;
      if ((err = shadow_rate_key((uint32_t)mc_stmt_int(stmt, 0), mc_stmt_text(stmt, 1), text, &key)) ||
          (err = mc_strmap_put(&s->rate, key, (uint64_t)mc_stmt_int(stmt, 2) << 20 | (uint64_t)mc_stmt_int(stmt, 3))))
        break;
    }
    mc_stmt_release(&stmt);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err shadow_row_read(mc_db *db, uint32_t tenant, mc_slice thing, mc_slice name, shadow_document *out, size_t *bytes, int64_t *updated_us, mc_why *why)
{
  mc_stmt *s;
  *out = (shadow_document){0};
  *bytes = 0;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT document, updated_us FROM shadow WHERE tenant = $1 AND thing = $2 AND name = $3", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, thing);
    mc_stmt_bind_text(s, 3, name);
    err = mc_stmt_step(s, why);
    if (!err && shadow_document_read(mc_stmt_text(s, 0), out))
      err = mc_err_set(why, MC_ERR_CHECKSUM, "the shadow \"%.*s\" of %.*s cannot be read from the database", MC_FMT(name), MC_FMT(thing));
    *bytes = err ? 0 : mc_stmt_text(s, 0).len;
    *updated_us = err ? 0 : mc_stmt_int(s, 1);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_ERR_NOT_FOUND : err;
}

static mc_err write_entries(mc_db *db, const shadow_saved *b, mc_why *why)
{
  mc_err err = MC_OK;
  for (size_t i = 0; i < b->entry.len && !err; i++)
    err = mc_db_run(db, why,
                    "INSERT INTO shadow (tenant, thing, name, version, updated_us, present, document) VALUES ($1, $2, $3, $4, $5, $6, $7)"
                    " ON CONFLICT (tenant, thing, name) DO UPDATE SET version = excluded.version, updated_us = excluded.updated_us,"
                    " present = excluded.present, document = excluded.document",
                    "ittiiit", (int64_t)b->entry.at[i]->tenant, mc_slice_str(b->entry.at[i]->thing), mc_slice_str(b->entry.at[i]->name), (int64_t)b->version.at[i],
                    b->updated_us.at[i], (int64_t)b->exists.at[i], mc_buf_slice(&b->text.at[i]));
  return err;
}

/* Changes beyond those that are kept go with the next one. */
static mc_err write_changes(mc_db *db, const shadow_saved *b, uint32_t keep, mc_why *why)
{
  mc_err err = MC_OK;
  for (size_t i = 0; i < b->change.len && !err; i++) {
    const shadow_row *c = &b->change.at[i];
    err = mc_db_run(db, why,
                    "INSERT INTO shadow_change (tenant, thing, name, version, deleted, time_us, principal, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
                    " ON CONFLICT (tenant, thing, name, version, deleted) DO NOTHING",
                    "ittiiiit", (int64_t)c->tenant, mc_slice_str(c->thing), mc_slice_str(c->name), (int64_t)c->version, (int64_t)c->deleted, c->time_us,
                    (int64_t)c->principal, mc_buf_slice(&c->state));
    if (!err && c->version > keep)
      err = mc_db_run(db, why, "DELETE FROM shadow_change WHERE tenant = $1 AND thing = $2 AND name = $3 AND version <= $4", "itti", (int64_t)c->tenant,
                      mc_slice_str(c->thing), mc_slice_str(c->name), (int64_t)(c->version - keep));
  }
  return err;
}

static mc_err write_rates(mc_db *db, const shadow_saved *b, mc_why *why)
{
  mc_err err = mc_db_run(db, why, "DELETE FROM shadow_rate", "");
  for (size_t i = 0; i < b->rate.len && !err; i++)
    err = mc_db_run(db, why, "INSERT INTO shadow_rate (tenant, thing, second, requests) VALUES ($1, $2, $3, $4)", "itii", (int64_t)b->rate.at[i].tenant,
                    mc_slice_str(b->rate.at[i].thing), b->rate.at[i].second, (int64_t)b->rate.at[i].count);
  return err;
}

mc_err shadow_batch_write(mc_shadows *s, mc_why *why)
{
  mc_db *db = s->config.db;
  const shadow_saved *b = &s->batch;
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = write_entries(db, b, why);
  if (!err)
    err = write_changes(db, b, s->config.history, why);
  if (!err)
    err = write_rates(db, b, why);
  if (!err)
    err = shadow_offset_write(db, b->offset, why);
  mc_err end = mc_db_end(db, !err, err ? NULL : why);
  return err ? err : end;
}
