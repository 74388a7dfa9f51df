/* For fuzz targets: values of a database in memory replaced as the input says, inside a transaction that is rolled back later. What a damaged
 * file or another program may have left there is read like this; constraints of the schema still hold (but for foreign keys). */
#ifndef TESTS_DB_ROW_DAMAGE_H
#define TESTS_DB_ROW_DAMAGE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/vec.h"
#include "db/db.h"

typedef struct damage_column {
  char table[64], column[64];
} damage_column;
typedef MC_VEC(damage_column) damage_columns;

/* Every column of every table. */
static inline void damage_columns_read(mc_db *db, damage_columns *out)
{
  mc_stmt *s;
  if (mc_db_begin(db, false, NULL) ||
      mc_db_prepare(db, "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' "
                        "AND m.name <> 'schema_migration' ORDER BY m.name, c.cid", &s, NULL))
    abort();
  while (mc_stmt_step(s, NULL) == MC_OK) {
    damage_column c;
    mc_slice_to_str(mc_stmt_text(s, 0), c.table, sizeof c.table);
    mc_slice_to_str(mc_stmt_text(s, 1), c.column, sizeof c.column);
    if (mc_vec_push(out, c))
      abort();
  }
  mc_stmt_release(&s);
  mc_db_end(db, true, NULL);
}

/* Opens the transaction. Input, again and again: column, row, kind, length, that many bytes of the value. Kinds: 0 whole number, 1 text, 2 blob,
 * 3 null, 4 double. A value that a constraint refuses stays out. */
static inline void damage_rows(mc_db *db, const damage_columns *columns, mc_slice in)
{
  if (mc_db_begin(db, true, NULL) || mc_db_run(db, NULL, "PRAGMA defer_foreign_keys = ON", ""))
    abort();
  for (int n = 0; in.len >= 4 && n < 32; n++) {
    const damage_column *c = &columns->at[in.data[0] % columns->len];
    int64_t row = in.data[1];
    uint8_t kind = in.data[2] % 5;
    mc_slice value = mc_slice_sub(in, 4, in.data[3]);
    in = mc_slice_sub(in, 4 + value.len, in.len);
    uint8_t raw[8] = {0};
    double number;
    if (value.len)
      memcpy(raw, value.data, value.len < 8 ? value.len : 8);
    memcpy(&number, raw, 8);
    char sql[400];
    snprintf(sql, sizeof sql, "UPDATE %s SET %s = %s WHERE rowid = (SELECT rowid FROM %s ORDER BY rowid LIMIT 1 OFFSET $%d)", c->table, c->column,
             kind == 3 ? "NULL" : "$1", c->table, kind == 3 ? 1 : 2);
    mc_err err;
    switch (kind) {
    case 0:
      err = mc_db_run(db, NULL, sql, "ii", (int64_t)mc_load_le64(raw), row);
      break;
    case 1:
      err = mc_db_run(db, NULL, sql, "ti", value, row);
      break;
    case 2:
      err = mc_db_run(db, NULL, sql, "bi", value, row);
      break;
    case 3:
      err = mc_db_run(db, NULL, sql, "i", row);
      break;
    default:
      err = mc_db_run(db, NULL, sql, "di", number, row);
    }
    if (err == MC_ERR_INVALID || err == MC_ERR_MEMORY)
      abort(); /* a mistake of this helper */
  }
}

static inline void damage_undo(mc_db *db)
{
  if (mc_db_end(db, false, NULL))
    abort();
}

#endif
