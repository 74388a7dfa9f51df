#include "db/db.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "db/engine.h"

struct mc_stmt {
  mc_db *db;
  void *handle;
  char *sql;
  mc_err bind_err; /* the first bind that failed; reported by step */
  mc_stmt *next;   /* among idle ones of the same text */
};

struct mc_db {
  const mc_db_engine *engine;
  void *handle;
  pthread_mutex_t lock; /* recursive: begin may nest */
  int depth;            /* begin calls open */
  int tx_depth;         /* depth at which the transaction was opened; 0 none */
  bool failed;          /* an inner part ended with ok = false */
  mc_strmap idle;       /* SQL text -> first idle statement */
};

mc_err mc_db_create(const mc_db_engine *engine, void *handle, mc_db **out, mc_why *why)
{
  mc_db *db = calloc(1, sizeof *db);
  if (!db)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory to open the database");
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&db->lock, &attr);
  pthread_mutexattr_destroy(&attr);
  db->engine = engine;
  db->handle = handle;
  *out = db;
  return MC_OK;
}

static void stmt_destroy(mc_stmt *s)
{
  s->db->engine->finalize(s->handle);
  free(s->sql);
  free(s);
}

void mc_db_close(mc_db **db)
{
  if (!db || !*db)
    return;
  mc_db *d = *db;
  size_t at = 0;
  uint64_t value;
  mc_slice key;
  while (mc_strmap_next(&d->idle, &at, &key, &value)) {
    mc_stmt *s = (mc_stmt *)(uintptr_t)value;
    while (s) {
      mc_stmt *next = s->next;
      stmt_destroy(s);
      s = next;
    }
  }
  mc_strmap_free(&d->idle);
  d->engine->close(d->handle);
  pthread_mutex_destroy(&d->lock);
  free(d);
  *db = NULL;
}

/* ---- transactions ---- */

mc_err mc_db_begin(mc_db *db, bool write, mc_why *why)
{
  pthread_mutex_lock(&db->lock);
  db->depth++;
  if (!write || db->tx_depth)
    return MC_OK;
  mc_err err = db->engine->exec(db->handle, db->engine->begin_write, why);
  if (err) {
    db->depth--;
    pthread_mutex_unlock(&db->lock);
    return mc_err_prefix(why, "could not begin a change of the database");
  }
  db->tx_depth = db->depth;
  db->failed = false;
  return MC_OK;
}

/* The engine may have rolled back by itself (full disk); a second ROLLBACK then fails, which is what we want. */
static mc_err finish(mc_db *db, bool ok, mc_why *why)
{
  if (!ok) {
    db->engine->exec(db->handle, "ROLLBACK", NULL);
    return MC_OK;
  }
  if (db->failed) {
    db->engine->exec(db->handle, "ROLLBACK", NULL);
    return mc_err_set(why, MC_ERR_CONFLICT, "the change was undone because a part of it had failed");
  }
  mc_err err = db->engine->exec(db->handle, "COMMIT", why);
  if (err) {
    db->engine->exec(db->handle, "ROLLBACK", NULL);
    return mc_err_prefix(why, "the change was not saved");
  }
  return MC_OK;
}

mc_err mc_db_end(mc_db *db, bool ok, mc_why *why)
{
  mc_err err = MC_OK;
  if (db->tx_depth && db->depth > db->tx_depth) {
    db->failed |= !ok;
  } else if (db->tx_depth == db->depth && db->depth) {
    err = finish(db, ok, why);
    db->tx_depth = 0;
  }
  db->depth--;
  pthread_mutex_unlock(&db->lock);
  return err;
}

bool mc_db_in_transaction(mc_db *db)
{
  pthread_mutex_lock(&db->lock); /* held by another thread: wait; held by us: recursive */
  bool in = db->tx_depth > 0;
  pthread_mutex_unlock(&db->lock);
  return in;
}

/* ---- statements ---- */

mc_err mc_db_prepare(mc_db *db, const char *sql, mc_stmt **out, mc_why *why)
{
  *out = NULL;
  pthread_mutex_lock(&db->lock);
  mc_err err = MC_OK;
  uint64_t value = 0;
  mc_stmt *s = NULL;
  if (mc_strmap_get(&db->idle, mc_slice_str(sql), &value) && value) {
    s = (mc_stmt *)(uintptr_t)value;
    mc_strmap_put(&db->idle, mc_slice_str(sql), (uint64_t)(uintptr_t)s->next); /* key exists: cannot fail */
    s->next = NULL;
  } else {
    s = calloc(1, sizeof *s);
    char *copy = strdup(sql);
    if (!s || !copy) {
      err = mc_err_set(why, MC_ERR_MEMORY, "no memory for a database statement");
    } else {
      s->db = db;
      s->sql = copy;
      err = db->engine->prepare(db->handle, sql, &s->handle, why);
    }
    if (err) {
      free(copy);
      free(s);
      s = NULL;
    }
  }
  pthread_mutex_unlock(&db->lock);
  *out = s;
  return err;
}

void mc_stmt_release(mc_stmt **stmt)
{
  if (!stmt || !*stmt)
    return;
  mc_stmt *s = *stmt;
  *stmt = NULL;
  mc_db *db = s->db;
  pthread_mutex_lock(&db->lock);
  db->engine->reset(s->handle);
  s->bind_err = MC_OK;
  uint64_t value = 0;
  mc_strmap_get(&db->idle, mc_slice_str(s->sql), &value);
  s->next = (mc_stmt *)(uintptr_t)value;
  if (mc_strmap_put(&db->idle, mc_slice_str(s->sql), (uint64_t)(uintptr_t)s))
    stmt_destroy(s); /* no memory to keep it: prepare again next time */
  pthread_mutex_unlock(&db->lock);
}

static void note(mc_stmt *s, mc_err err)
{
  if (err && !s->bind_err)
    s->bind_err = err;
}

void mc_stmt_bind_int(mc_stmt *s, int index, int64_t v) { note(s, s->db->engine->bind_int(s->handle, index, v)); }
void mc_stmt_bind_double(mc_stmt *s, int index, double v) { note(s, s->db->engine->bind_double(s->handle, index, v)); }
void mc_stmt_bind_text(mc_stmt *s, int index, mc_slice v) { note(s, s->db->engine->bind_text(s->handle, index, v)); }
void mc_stmt_bind_blob(mc_stmt *s, int index, mc_slice v) { note(s, s->db->engine->bind_blob(s->handle, index, v)); }
void mc_stmt_bind_null(mc_stmt *s, int index) { note(s, s->db->engine->bind_null(s->handle, index)); }

mc_err mc_stmt_step(mc_stmt *s, mc_why *why)
{
  if (s->bind_err) {
    mc_err err = s->bind_err;
    return mc_err_set(why, err, "a parameter of the statement could not be set (%s): %.200s", mc_err_text(err), s->sql);
  }
  return s->db->engine->step(s->db->handle, s->handle, why);
}

int64_t mc_stmt_int(mc_stmt *s, int column) { return s->db->engine->column_int(s->handle, column); }
double mc_stmt_double(mc_stmt *s, int column) { return s->db->engine->column_double(s->handle, column); }
mc_slice mc_stmt_text(mc_stmt *s, int column) { return s->db->engine->column_text(s->handle, column); }
mc_slice mc_stmt_blob(mc_stmt *s, int column) { return s->db->engine->column_blob(s->handle, column); }
bool mc_stmt_is_null(mc_stmt *s, int column) { return s->db->engine->column_is_null(s->handle, column); }

int64_t mc_db_changes(mc_db *db)
{
  pthread_mutex_lock(&db->lock);
  int64_t n = db->engine->changes(db->handle);
  pthread_mutex_unlock(&db->lock);
  return n;
}

mc_err mc_db_run(mc_db *db, mc_why *why, const char *sql, const char *kinds, ...)
{
  pthread_mutex_lock(&db->lock);
  mc_stmt *s;
  mc_err err = mc_db_prepare(db, sql, &s, why);
  if (!err) {
    va_list args;
    va_start(args, kinds);
    for (int i = 1; kinds && kinds[i - 1]; i++) {
      switch (kinds[i - 1]) {
      case 'i': mc_stmt_bind_int(s, i, va_arg(args, int64_t)); break;
      case 'd': mc_stmt_bind_double(s, i, va_arg(args, double)); break;
      case 't': mc_stmt_bind_text(s, i, va_arg(args, mc_slice)); break;
      case 'b': mc_stmt_bind_blob(s, i, va_arg(args, mc_slice)); break;
      default: note(s, MC_ERR_INVALID); break;
      }
    }
    va_end(args);
    do
      err = mc_stmt_step(s, why);
    while (!err);
    if (err == MC_ERR_END)
      err = MC_OK;
    mc_stmt_release(&s);
  }
  pthread_mutex_unlock(&db->lock);
  return err;
}

mc_err mc_db_settle(mc_db *db, mc_why *why)
{
  pthread_mutex_lock(&db->lock);
  mc_err err = db->tx_depth ? mc_err_set(why, MC_ERR_INVALID, "a database does not settle inside a change; end it first") : db->engine->settle(db->handle, why);
  pthread_mutex_unlock(&db->lock);
  return err;
}

mc_err mc_db_backup(mc_db *db, const char *path, mc_why *why)
{
  pthread_mutex_lock(&db->lock);
  mc_err err = db->tx_depth ? mc_err_set(why, MC_ERR_INVALID, "a back-up cannot begin inside a change; end it first")
                            : db->engine->backup(db->handle, path, why);
  pthread_mutex_unlock(&db->lock);
  return err;
}
