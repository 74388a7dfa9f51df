/* engine: the struct of functions that a relational engine provides. Private to db.
 *
 * The port (db.c) owns locking, transaction depth, the statement cache, migrations and dense ids; an engine
 * only talks to its library. All calls come with the port's mutex held. */
#ifndef MC_DB_ENGINE_H
#define MC_DB_ENGINE_H

#include "db/db.h"

typedef struct mc_db_engine {
  const char *name;
  void (*close)(void *handle);
  mc_err (*exec)(void *handle, const char *sql, mc_why *why); /* several statements, no parameters */
  const char *begin_write;                                    /* text that opens a writing transaction */
  mc_err (*prepare)(void *handle, const char *sql, void **stmt, mc_why *why);
  void (*finalize)(void *stmt);
  void (*reset)(void *stmt); /* and forgets its parameters */
  mc_err (*bind_int)(void *stmt, int index, int64_t v);
  mc_err (*bind_double)(void *stmt, int index, double v);
  mc_err (*bind_text)(void *stmt, int index, mc_slice v);
  mc_err (*bind_blob)(void *stmt, int index, mc_slice v);
  mc_err (*bind_null)(void *stmt, int index);
  mc_err (*step)(void *handle, void *stmt, mc_why *why);
  int64_t (*column_int)(void *stmt, int column);
  double (*column_double)(void *stmt, int column);
  mc_slice (*column_text)(void *stmt, int column);
  mc_slice (*column_blob)(void *stmt, int column);
  bool (*column_is_null)(void *stmt, int column);
  int64_t (*changes)(void *handle);
  mc_err (*settle)(void *handle, mc_why *why);
  mc_err (*backup)(void *handle, const char *path, mc_why *why);
} mc_db_engine;

/* Takes the handle over on success. */
mc_err mc_db_create(const mc_db_engine *engine, void *handle, mc_db **out, mc_why *why);

#endif
