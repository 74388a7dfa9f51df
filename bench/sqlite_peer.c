#include "bench/sqlite_peer.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct sqlite_peer {
  sqlite3 *db;
  sqlite3_stmt *insert, *minutes;
};

static mc_err failed(sqlite_peer *p, mc_why *why)
{
  return mc_err_set(why, MC_ERR_IO, "SQLite: %s", sqlite3_errmsg(p->db));
}

mc_err sqlite_peer_open(const char *dir, sqlite_peer **out, mc_why *why)
{
  static const char schema[] =
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
      "CREATE TABLE sample(vehicle INTEGER, signal INTEGER, ts INTEGER, value INTEGER, PRIMARY KEY(vehicle, signal, ts)) WITHOUT ROWID;";
  char path[600];
  sqlite_peer *p = calloc(1, sizeof *p);
  if (!p)
    return MC_ERR_MEMORY;
  snprintf(path, sizeof path, "%s/peer.sqlite", dir);
  bool ok = sqlite3_open(path, &p->db) == SQLITE_OK && sqlite3_exec(p->db, schema, NULL, NULL, NULL) == SQLITE_OK;
  ok = ok && sqlite3_prepare_v2(p->db, "INSERT OR REPLACE INTO sample VALUES(?,?,?,?)", -1, &p->insert, NULL) == SQLITE_OK;
  ok = ok && sqlite3_prepare_v2(p->db,
                                "SELECT ts/60000000, count(*), min(value), max(value), avg(value) FROM sample WHERE vehicle=? AND signal=? "
                                "AND ts>=? AND ts<? GROUP BY 1",
                                -1, &p->minutes, NULL) == SQLITE_OK;
  mc_err err = ok ? MC_OK : failed(p, why);
  if (err)
    sqlite_peer_close(&p);
  *out = p;
  return err;
}

void sqlite_peer_close(sqlite_peer **peer)
{
  sqlite_peer *p = *peer;
  *peer = NULL;
  if (!p)
    return;
  sqlite3_finalize(p->insert);
  sqlite3_finalize(p->minutes);
  sqlite3_close(p->db);
  free(p);
}

mc_err sqlite_peer_insert(sqlite_peer *p, const mc_block *b, mc_why *why)
{
  if (sqlite3_exec(p->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
    return failed(p, why);
  for (uint32_t i = 0; i < b->count; i++) {
    sqlite3_bind_int64(p->insert, 1, b->vehicle[i]);
    sqlite3_bind_int64(p->insert, 2, b->signal[i]);
    sqlite3_bind_int64(p->insert, 3, b->time_us[i]);
    sqlite3_bind_int64(p->insert, 4, b->value[i].raw);
    if (sqlite3_step(p->insert) != SQLITE_DONE)
      return failed(p, why);
    sqlite3_reset(p->insert);
  }
  return sqlite3_exec(p->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ? MC_OK : failed(p, why);
}

mc_err sqlite_peer_bytes(sqlite_peer *p, double *bytes, mc_why *why)
{
  sqlite3_stmt *size = NULL;
  if (sqlite3_wal_checkpoint_v2(p->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(p->db, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", -1, &size, NULL) !=
          SQLITE_OK ||
      sqlite3_step(size) != SQLITE_ROW) {
    sqlite3_finalize(size);
    return failed(p, why);
  }
  *bytes = sqlite3_column_double(size, 0);
  sqlite3_finalize(size);
  return MC_OK;
}

mc_err sqlite_peer_minutes(sqlite_peer *p, uint32_t vehicle, uint32_t signal, int64_t from_us, int64_t to_us, size_t *minutes, mc_why *why)
{
  sqlite3_bind_int64(p->minutes, 1, vehicle);
  sqlite3_bind_int64(p->minutes, 2, signal);
  sqlite3_bind_int64(p->minutes, 3, from_us);
  sqlite3_bind_int64(p->minutes, 4, to_us);
  int step;
  for (*minutes = 0; (step = sqlite3_step(p->minutes)) == SQLITE_ROW; (*minutes)++)
    ;
  sqlite3_reset(p->minutes);
  return step == SQLITE_DONE ? MC_OK : failed(p, why);
}
