/* SQLite 3 behind the engine's functions: WAL, synchronous FULL, foreign keys on. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "db/engine.h"

enum { BUSY_MS = 5000, MAX_PARAMETERS = 64 };

typedef struct lite_stmt {
  sqlite3_stmt *s;
  /* "$3" is a name to SQLite, numbered by first appearance: slot[3] is its index there. */
  uint8_t slot[MAX_PARAMETERS + 1];
} lite_stmt;

/* What a result code means to callers. */
static mc_err translate(int code)
{
  switch (code & 0xff) {
  case SQLITE_OK: return MC_OK;
  case SQLITE_NOMEM: return MC_ERR_MEMORY;
  case SQLITE_FULL: return MC_ERR_FULL;
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return MC_ERR_CONFLICT;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return MC_ERR_CHECKSUM;
  case SQLITE_TOOBIG: return MC_ERR_TOO_LARGE;
  case SQLITE_RANGE: return MC_ERR_INVALID;
  case SQLITE_MISUSE:
  case SQLITE_ERROR: return MC_ERR_INVALID;
  case SQLITE_CONSTRAINT:
    return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID
               ? MC_ERR_EXISTS
               : MC_ERR_CONFLICT;
  default: return MC_ERR_IO;
  }
}

static const char *cure(mc_err err)
{
  switch (err) {
  case MC_ERR_FULL: return "; free space on the disk that holds it, then try again";
  case MC_ERR_CHECKSUM: return "; the file is damaged or is no database of ours: restore a back-up";
  default: return "";
  }
}

static mc_err fail(sqlite3 *db, int code, const char *what, mc_why *why)
{
  mc_err err = translate(code);
  if (db && sqlite3_errcode(db) == (code & 0xff))
    return mc_err_set(why, err, "database: %s: %s%s", what, sqlite3_errmsg(db), cure(err));
  return mc_err_set(why, err, "database: %s: %s%s", what, sqlite3_errstr(code), cure(err));
}

static void lite_close(void *handle)
{
  sqlite3_close_v2(handle);
}

static mc_err lite_exec(void *handle, const char *sql, mc_why *why)
{
  int code = sqlite3_exec(handle, sql, NULL, NULL, NULL);
  return code == SQLITE_OK ? MC_OK : fail(handle, sqlite3_extended_errcode(handle), sql, why);
}

/* Parameters must be $1..$64; fills slot. */
static mc_err map_parameters(lite_stmt *ls, const char *sql, mc_why *why)
{
  int n = sqlite3_bind_parameter_count(ls->s);
  for (int i = 1; i <= n; i++) {
    const char *name = sqlite3_bind_parameter_name(ls->s, i);
    uint64_t k = 0;
    if (!name || name[0] != '$' || mc_slice_to_u64(mc_slice_str(name + 1), &k) || k < 1 || k > MAX_PARAMETERS || i > MAX_PARAMETERS)
      return mc_err_set(why, MC_ERR_INVALID, "database: parameters are written $1 to $%d, not \"%s\": %.200s", MAX_PARAMETERS,
                        name ? name : "?", sql);
    ls->slot[k] = (uint8_t)i;
  }
  return MC_OK;
}

static mc_err lite_prepare(void *handle, const char *sql, void **stmt, mc_why *why)
{
  lite_stmt *ls = calloc(1, sizeof *ls);
  if (!ls)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for a database statement");
  const char *tail = NULL;
  int code = sqlite3_prepare_v3(handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &ls->s, &tail);
  mc_err err = MC_OK;
  if (code != SQLITE_OK)
    err = fail(handle, code, sql, why);
  else if (!ls->s)
    err = mc_err_set(why, MC_ERR_INVALID, "database: the statement is empty");
  else if (mc_slice_trim(mc_slice_str(tail)).len)
    err = mc_err_set(why, MC_ERR_INVALID, "database: one statement at a time, but more follows: %.200s", tail);
  else
    err = map_parameters(ls, sql, why);
  if (err) {
    sqlite3_finalize(ls->s);
    free(ls);
    return err;
  }
  *stmt = ls;
  return MC_OK;
}

static void lite_finalize(void *stmt)
{
  lite_stmt *ls = stmt;
  sqlite3_finalize(ls->s);
  free(ls);
}

static void lite_reset(void *stmt)
{
  lite_stmt *ls = stmt;
  sqlite3_reset(ls->s);
  sqlite3_clear_bindings(ls->s);
}

static int slot_of(const lite_stmt *ls, int index)
{
  return index >= 1 && index <= MAX_PARAMETERS ? ls->slot[index] : 0; /* 0 is refused by SQLite with SQLITE_RANGE */
}

static mc_err lite_bind_int(void *stmt, int index, int64_t v)
{
  lite_stmt *ls = stmt;
  return translate(sqlite3_bind_int64(ls->s, slot_of(ls, index), v));
}

static mc_err lite_bind_double(void *stmt, int index, double v)
{
  lite_stmt *ls = stmt;
  return translate(sqlite3_bind_double(ls->s, slot_of(ls, index), v));
}

static mc_err lite_bind_text(void *stmt, int index, mc_slice v)
{
  lite_stmt *ls = stmt;
  const char *text = v.len ? (const char *)v.data : ""; /* NULL would bind NULL */
  return translate(sqlite3_bind_text64(ls->s, slot_of(ls, index), text, v.len, SQLITE_TRANSIENT, SQLITE_UTF8));
}

static mc_err lite_bind_blob(void *stmt, int index, mc_slice v)
{
  lite_stmt *ls = stmt;
  const void *data = v.len ? (const void *)v.data : "";
  return translate(sqlite3_bind_blob64(ls->s, slot_of(ls, index), data, v.len, SQLITE_TRANSIENT));
}

static mc_err lite_bind_null(void *stmt, int index)
{
  lite_stmt *ls = stmt;
  return translate(sqlite3_bind_null(ls->s, slot_of(ls, index)));
}

static mc_err lite_step(void *handle, void *stmt, mc_why *why)
{
  lite_stmt *ls = stmt;
  int code = sqlite3_step(ls->s);
  if (code == SQLITE_ROW)
    return MC_OK;
  mc_err err = MC_ERR_END;
  if (code != SQLITE_DONE)
    err = fail(handle, sqlite3_extended_errcode(handle), "statement refused", why);
  sqlite3_reset(ls->s); /* so that it can be bound and run again */
  return err;
}

static int64_t lite_column_int(void *stmt, int column) { return sqlite3_column_int64(((lite_stmt *)stmt)->s, column); }
static double lite_column_double(void *stmt, int column) { return sqlite3_column_double(((lite_stmt *)stmt)->s, column); }

static mc_slice lite_column_text(void *stmt, int column)
{
  sqlite3_stmt *s = ((lite_stmt *)stmt)->s;
  const unsigned char *text = sqlite3_column_text(s, column);
  return mc_slice_of(text, text ? (size_t)sqlite3_column_bytes(s, column) : 0);
}

static mc_slice lite_column_blob(void *stmt, int column)
{
  sqlite3_stmt *s = ((lite_stmt *)stmt)->s;
  const void *data = sqlite3_column_blob(s, column);
  return mc_slice_of(data, data ? (size_t)sqlite3_column_bytes(s, column) : 0);
}

static bool lite_column_is_null(void *stmt, int column)
{
  return sqlite3_column_type(((lite_stmt *)stmt)->s, column) == SQLITE_NULL;
}

static int64_t lite_changes(void *handle)
{
  return sqlite3_changes64(handle);
}

static mc_err lite_backup(void *handle, const char *path, mc_why *why)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* never over something that is there */
  if (fd < 0)
    return errno == EEXIST ? mc_err_set(why, MC_ERR_EXISTS, "%s exists already: name a new file for the back-up", path)
                           : mc_err_errno(why, "create %s", path);
  close(fd);
  sqlite3 *to = NULL;
  int code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  mc_err err = MC_OK;
  if (code != SQLITE_OK) {
    err = fail(to, code, path, why);
  } else {
    sqlite3_backup *b = sqlite3_backup_init(to, "main", handle, "main");
    if (b) {
      sqlite3_backup_step(b, -1);
      sqlite3_backup_finish(b);
    }
    if (sqlite3_errcode(to) != SQLITE_OK)
      err = fail(to, sqlite3_errcode(to), path, why);
  }
  sqlite3_close_v2(to);
  if (err)
    unlink(path);
  return err;
}

static mc_err lite_settle(void *handle, mc_why *why)
{
  int in_log, moved;
  int code = sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, &in_log, &moved);
  return code == SQLITE_OK ? MC_OK : fail(handle, code, "emptying the write-ahead file", why);
}

static const mc_db_engine sqlite_engine = {
    .name = "sqlite",
    .close = lite_close,
    .exec = lite_exec,
    .begin_write = "BEGIN IMMEDIATE",
    .prepare = lite_prepare,
    .finalize = lite_finalize,
    .reset = lite_reset,
    .bind_int = lite_bind_int,
    .bind_double = lite_bind_double,
    .bind_text = lite_bind_text,
    .bind_blob = lite_bind_blob,
    .bind_null = lite_bind_null,
    .step = lite_step,
    .column_int = lite_column_int,
    .column_double = lite_column_double,
    .column_text = lite_column_text,
    .column_blob = lite_column_blob,
    .column_is_null = lite_column_is_null,
    .changes = lite_changes,
    .settle = lite_settle,
    .backup = lite_backup,
};

/* A journal_mode that did not become WAL (a file system without shared memory) is an error, not a surprise later. */
static mc_err check_wal(sqlite3 *db, const char *path, mc_why *why)
{
  sqlite3_stmt *s = NULL;
  int code = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &s, NULL);
  if (code == SQLITE_OK)
    code = sqlite3_step(s);
  mc_err err = MC_OK;
  if (code != SQLITE_ROW)
    err = fail(db, code, path, why);
  else if (strcmp((const char *)sqlite3_column_text(s, 0), "wal") != 0 && strcmp(path, ":memory:") != 0)
    err = mc_err_set(why, MC_ERR_UNSUPPORTED, "%s: the file system cannot hold a write-ahead log (got \"%s\"); put it on a local disk",
                     path, sqlite3_column_text(s, 0));
  sqlite3_finalize(s);
  return err;
}

mc_err mc_db_open_sqlite(const char *path, mc_db **out, mc_why *why)
{
  *out = NULL;
  if (strcmp(path, ":memory:") != 0) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* holds secrets' digests: nobody else reads it */
    if (fd < 0)
      return mc_err_errno(why, "open database %s", path);
    close(fd);
  }
  sqlite3 *db = NULL;
  int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
  mc_err err = code == SQLITE_OK ? MC_OK : fail(db, code, path, why);
  if (!err) {
    sqlite3_busy_timeout(db, BUSY_MS);
    err = check_wal(db, path, why);
  }
  if (!err)
    err = lite_exec(db, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON", why);
  if (!err)
    err = mc_db_create(&sqlite_engine, db, out, why);
  if (err) {
    mc_err_prefix(why, "%s", path);
    sqlite3_close_v2(db);
  }
  return err;
}
