/* Any bytes as the database file: opened, migrated, written and backed up, or refused with a reason. Input: a mode byte, then the file. Mode bit
 * 0: it is laid over a good database at the place that the next two bytes name (in steps of 16). */
#include "db/db.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const mc_migration list[] = {{"fuzz", 1, "CREATE TABLE thing (id BIGINT PRIMARY KEY, name TEXT NOT NULL, body BYTEA)"},
                                    {"fuzz", 2, "CREATE INDEX thing_name ON thing (name)"}};
static mc_buf good;

static void told(mc_err err, const mc_why *why)
{
  if (err && !why->text[0])
    abort(); /* a refusal without a reason */
}

static mc_err fill(mc_db *db, mc_why *why)
{
  MC_TRY(mc_db_begin(db, true, why));
  uint32_t id = 0;
  mc_err err = mc_db_next_id(db, "thing", &id, why);
  if (!err)
    err = mc_db_run(db, why, "INSERT INTO thing (id, name, body) VALUES ($1, $2, $3)", "itb", (int64_t)id, MC_LIT("n"), MC_LIT("\0x"));
  mc_err end = mc_db_end(db, !err, err ? NULL : why);
  return err ? err : end;
}

static void use(mc_db *db)
{
  mc_why why = {0};
  mc_err err = mc_db_migrate(db, list, 2, &why);
  told(err, &why);
  why = (mc_why){0};
  if (!err)
    told(fill(db, &why), &why);
  why = (mc_why){0};
  mc_stmt *s;
  if (mc_db_begin(db, false, &why))
    return;
  if (mc_db_prepare(db, "SELECT id, name, body FROM thing ORDER BY name", &s, &why) == MC_OK) {
    while ((err = mc_stmt_step(s, &why)) == MC_OK) {
      mc_slice name = mc_stmt_text(s, 1), body = mc_stmt_blob(s, 2);
      mc_stmt_int(s, 0);
      if ((name.len && !name.data) || (body.len && !body.data))
        abort();
    }
    if (err != MC_ERR_END)
      told(err, &why);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  why = (mc_why){0};
  told(mc_db_backup(db, scratch_path("copy.db"), &why), &why);
}

static void make_good(void)
{
  mc_db *db;
  mc_why why = {0};
  char path[400];
  snprintf(path, sizeof path, "%s", scratch_path("good.db"));
  if (mc_db_open_sqlite(path, &db, &why) || mc_db_migrate(db, list, 2, &why))
    abort();
  for (int i = 0; i < 20; i++)
    if (fill(db, &why))
      abort();
  mc_db_close(&db);
  if (mc_fs_read(mc_fs_posix(), path, 1 << 20, &good, &why))
    abort();
}

static void end(void) { mc_buf_free(&good); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_db *db = NULL;
  mc_why why = {0};
  char path[400];
  if (size < 3)
    return 0;
  scratch_folder("db");
  if (!good.len) {
    make_good();
    atexit(end);
  }
  scratch_empty(); /* write-ahead and shared-memory files of the last run, too */
  mc_buf file = {0};
  mc_slice bytes = mc_slice_of(data + 1, size - 1);
  if (data[0] & 1) {
    mc_buf_append_slice(&file, mc_buf_slice(&good));
    size_t at = (size_t)mc_load_le16(data + 1) * 16 % file.len;
    bytes = mc_slice_sub(bytes, 2, file.len - at);
    memcpy(file.data + at, bytes.data, bytes.len);
  } else {
    mc_buf_append_slice(&file, bytes);
  }
  scratch_write("a.db", mc_buf_slice(&file));
  mc_buf_free(&file);
  snprintf(path, sizeof path, "%s", scratch_path("a.db"));
  told(mc_db_open_sqlite(path, &db, &why), &why);
  if (db)
    use(db);
  mc_db_close(&db);
  return 0;
}
