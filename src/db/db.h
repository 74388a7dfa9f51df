/* db: the relational store behind one struct of functions. SQLite now (WAL, synchronous FULL, foreign keys);
 * PostgreSQL later behind the same interface. SQL text keeps to what both take; parameters are $1, $2, ...
 * Threads: a handle may be used from any thread; one mutex serialises it. A statement is used between
 * mc_db_begin/mc_db_end or inside one call; results borrow until the next step. */
#ifndef MC_DB_H
#define MC_DB_H

#include "base/err.h"
#include "base/slice.h"

typedef struct mc_db mc_db;
typedef struct mc_stmt mc_stmt;

mc_err mc_db_open_sqlite(const char *path, mc_db **out, mc_why *why); /* ":memory:" for tests */
void mc_db_close(mc_db **db);

/* Schema: each module gives its ordered list; applied ones are recorded in table schema_migration(module, version, applied_us).
 * Forward only; a database newer than the list is refused with a clear text. */
typedef struct mc_migration { const char *module; int version; const char *sql; } mc_migration;
mc_err mc_db_migrate(mc_db *db, const mc_migration *list, size_t count, mc_why *why);

/* Holds the handle for this thread (recursive); write=true opens an immediate transaction at the outermost level. */
mc_err mc_db_begin(mc_db *db, bool write, mc_why *why);
/* Commits when ok, else rolls back. After a commit the change is on disk. */
mc_err mc_db_end(mc_db *db, bool ok, mc_why *why);
/* True when this thread is between begin(write) and the end that commits. */
bool mc_db_in_transaction(mc_db *db);

/* Prepared statements are cached by text; release gives it back. Take one only between begin and end. */
mc_err mc_db_prepare(mc_db *db, const char *sql, mc_stmt **out, mc_why *why);
void mc_stmt_release(mc_stmt **stmt);
void mc_stmt_bind_int(mc_stmt *s, int index, int64_t v); /* index from 1 */
void mc_stmt_bind_double(mc_stmt *s, int index, double v);
void mc_stmt_bind_text(mc_stmt *s, int index, mc_slice v);  /* copied */
void mc_stmt_bind_blob(mc_stmt *s, int index, mc_slice v);
void mc_stmt_bind_null(mc_stmt *s, int index);
/* MC_OK: a row is there. MC_ERR_END: done. MC_ERR_EXISTS: unique violated. MC_ERR_CONFLICT: foreign key or check. */
mc_err mc_stmt_step(mc_stmt *s, mc_why *why);
int64_t mc_stmt_int(mc_stmt *s, int column); /* column from 0 */
double mc_stmt_double(mc_stmt *s, int column);
mc_slice mc_stmt_text(mc_stmt *s, int column);
mc_slice mc_stmt_blob(mc_stmt *s, int column);
bool mc_stmt_is_null(mc_stmt *s, int column);
int64_t mc_db_changes(mc_db *db); /* rows of the last statement */

/* One statement without results, in its own transaction when none is open. Arguments by kind string: i int64_t, d double, t mc_slice, b mc_slice blob. */
mc_err mc_db_run(mc_db *db, mc_why *why, const char *sql, const char *kinds, ...);

/* Dense ids: the next number of a named series ("vehicle", "signal/<tenant>"), from 1, never reused, even after a crash. Inside a write transaction. */
mc_err mc_db_next_id(mc_db *db, const char *series, uint32_t *out, mc_why *why);
/* What was changed or deleted so far no longer stands in any file of the database (SQLite: pages are zeroed, the write-ahead file emptied).
 * Not inside a transaction. MC_ERR_CONFLICT: another process reads; try again. */
mc_err mc_db_settle(mc_db *db, mc_why *why);
/* Consistent copy of the whole database into a file (online). */
mc_err mc_db_backup(mc_db *db, const char *path, mc_why *why);

#endif
