/* Schema migrations and dense ids: the two tables that db itself keeps. */
#include <stdio.h>

#include "base/clock.h"
#include "db/db.h"
#include "db/engine.h"

static const char own_tables[] =
    "CREATE TABLE IF NOT EXISTS schema_migration (module TEXT NOT NULL, version INTEGER NOT NULL, applied_us BIGINT NOT NULL,"
    " PRIMARY KEY (module, version))";
static const char series_table[] =
    "CREATE TABLE IF NOT EXISTS id_series (name TEXT PRIMARY KEY, last BIGINT NOT NULL CHECK (last > 0))";

static mc_err applied_version(mc_db *db, const char *module, int *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(db, "SELECT COALESCE(MAX(version), 0) FROM schema_migration WHERE module = $1", &s, why));
  mc_stmt_bind_text(s, 1, mc_slice_str(module));
  mc_err err = mc_stmt_step(s, why);
  if (!err)
    *out = (int)mc_stmt_int(s, 0);
  mc_stmt_release(&s);
  return err;
}

static int newest_version(const mc_migration *list, size_t count, const char *module)
{
  int newest = 0;
  for (size_t i = 0; i < count; i++)
    if (!strcmp(list[i].module, module) && list[i].version > newest)
      newest = list[i].version;
  return newest;
}

/* Runs every statement of a migration's text; statements end at ';' outside of quotes. Triggers (with inner ';') are not
 * used in migrations, so that the same text works on every engine. */
static mc_err run_script(mc_db *db, const char *sql, mc_why *why)
{
  mc_buf one = {0};
  mc_err err = MC_OK;
  const char *p = sql;
  while (!err && *p) {
    char quote = 0;
    const char *end = p;
    for (; *end && (quote || *end != ';'); end++) {
      if (quote ? *end == quote : *end == '\'' || *end == '"')
        quote = quote ? 0 : *end;
    }
    mc_slice text = mc_slice_trim(mc_slice_of(p, (size_t)(end - p)));
    if (text.len) {
      mc_buf_clear(&one);
      err = mc_buf_append_slice(&one, text);
      if (!err)
        err = mc_buf_append_u8(&one, 0);
      if (!err)
        err = mc_db_run(db, why, (const char *)one.data, "");
    }
    p = *end ? end + 1 : end;
  }
  mc_buf_free(&one);
  return err;
}

static mc_err apply(mc_db *db, const mc_migration *m, mc_why *why)
{
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = run_script(db, m->sql, why);
  if (!err)
    err = mc_db_run(db, why, "INSERT INTO schema_migration (module, version, applied_us) VALUES ($1, $2, $3)", "tii",
                    mc_slice_str(m->module), (int64_t)m->version, mc_clock_wall_us());
  if (err)
    mc_err_prefix(why, "migration %d of %s", m->version, m->module);
  mc_err end = mc_db_end(db, !err, err ? NULL : why);
  return err ? err : end;
}

mc_err mc_db_migrate(mc_db *db, const mc_migration *list, size_t count, mc_why *why)
{
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < i; k++)
      if (!strcmp(list[i].module, list[k].module) && list[i].version <= list[k].version)
        return mc_err_set(why, MC_ERR_INVALID, "migrations of %s are out of order: %d comes after %d", list[i].module,
                          list[i].version, list[k].version);
  MC_TRY(mc_db_run(db, why, own_tables, ""));
  MC_TRY(mc_db_run(db, why, series_table, ""));
  for (size_t i = 0; i < count; i++) { /* look before anything is changed */
    int have = 0, newest = newest_version(list, count, list[i].module);
    MC_TRY(applied_version(db, list[i].module, &have, why));
    if (have > newest)
      return mc_err_set(why, MC_ERR_UNSUPPORTED,
                        "the database holds version %d of %s, this program knows up to %d: start the newer program, or restore a "
                        "back-up made before the upgrade", have, list[i].module, newest);
  }
  for (size_t i = 0; i < count; i++) {
    int have = 0;
    MC_TRY(applied_version(db, list[i].module, &have, why));
    if (list[i].version > have)
      MC_TRY(apply(db, &list[i], why));
  }
  return MC_OK;
}

mc_err mc_db_next_id(mc_db *db, const char *series, uint32_t *out, mc_why *why)
{
  *out = 0;
  if (!mc_db_in_transaction(db))
    return mc_err_set(why, MC_ERR_INVALID, "an id of series \"%s\" was asked for outside of a write transaction", series);
  mc_stmt *s;
  const char *sql = "INSERT INTO id_series (name, last) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET last = id_series.last + 1 RETURNING last";
  MC_TRY(mc_db_prepare(db, sql, &s, why));
  mc_stmt_bind_text(s, 1, mc_slice_str(series));
  mc_err err = mc_stmt_step(s, why);
  int64_t last = err ? 0 : mc_stmt_int(s, 0);
  while (!err) /* let the statement finish, so that its change counts */
    err = mc_stmt_step(s, why);
  mc_stmt_release(&s);
  if (err != MC_ERR_END)
    return err;
  if (last <= 0 || last > UINT32_MAX)
    return mc_err_set(why, MC_ERR_FULL, "series \"%s\" has handed out all of its 4,294,967,295 ids", series);
  *out = (uint32_t)last;
  return MC_OK;
}
