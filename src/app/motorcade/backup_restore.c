/* The way back: a data folder as it was at a point in time (src/app/README.md says what is restored how). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/backup.h"
#include "base/crc32c.h"
#include "campaign/campaign.h"
#include "db/db.h"
#include "fleet/fleet.h"
#include "journal/journal.h"

enum { CHAIN_MAX = 64, STREAMS = 16 };

typedef struct way_back {
  const mc_fs *fs;
  const char *from, *data;
  const restore_later *later;
  restore_report *out;
  backup_manifest m;
  mc_why *why;
} way_back;

static mc_err visit_any(void *ctx, const char *name)
{
  (void)ctx;
  (void)name;
  return MC_ERR_EXISTS;
}

static mc_err check_empty(const way_back *b)
{
  mc_err err = mc_fs_list(b->fs, b->data, visit_any, NULL, b->why);
  if (err == MC_ERR_EXISTS)
    return mc_err_set(b->why, err, "%s is not empty; restore into a new folder, then start motorcade with --data on it", b->data);
  return err == MC_ERR_NOT_FOUND ? MC_OK : err;
}

static bool starts(const char *path, const char *with)
{
  return !strncmp(path, with, strlen(with));
}

static bool is_state(const char *path)
{
  return starts(path, "store/") || !strcmp(path, backup_state_path(BACKUP_GATEWAY)) || !strcmp(path, backup_state_path(BACKUP_TWIN));
}

static mc_err copy_one(way_back *b, const char *from, const backup_file *f)
{
  char source[BACKUP_PATH], target[BACKUP_PATH];
  uint64_t bytes;
  uint32_t crc;
  snprintf(source, sizeof source, "%s/%s", from, f->path);
  snprintf(target, sizeof target, "%s/%s", b->data, f->path);
  char *slash = strrchr(target, '/');
  *slash = 0;
  MC_TRY(mc_fs_mkdirs(b->fs, target, b->why));
  *slash = '/';
  MC_TRY(mc_fs_copy(b->fs, source, target, 0600, &bytes, &crc, b->why));
  return crc == f->crc ? MC_OK : mc_err_set(b->why, MC_ERR_CHECKSUM, "%s changed while it was copied; use another backup", source);
}

/* Everything but journal and checkpoints. ca.pem comes last of all: a folder without it does not start. */
static mc_err copy_rest(way_back *b, bool last)
{
  for (size_t i = 0; i < b->m.file.len; i++) {
    const backup_file *f = &b->m.file.at[i];
    if (starts(f->path, "journal/") || is_state(f->path) || !strcmp(f->path, "ca.pem") != last)
      continue;
    MC_TRY(copy_one(b, b->from, f));
  }
  return MC_OK;
}

/* ---- checkpoints ---- */

static bool fits(const backup_manifest *m, backup_state s, uint64_t first, uint64_t cut)
{
  return m->state[s] != UINT64_MAX && m->state[s] <= cut && m->state[s] >= first;
}

static mc_err copy_state(way_back *b, const char *from, const backup_manifest *m, backup_state s)
{
  for (size_t i = 0; i < m->file.len; i++) {
    const char *path = m->file.at[i].path;
    bool ours = s == BACKUP_STORE ? starts(path, "store/") : !strcmp(path, backup_state_path(s));
    if (ours)
      MC_TRY(copy_one(b, from, &m->file.at[i]));
  }
  b->out->kept[s] = true;
  return MC_OK;
}

/* History of a later time stays, and goes on at the cut: what arrived behind it has happened. */
static mc_err rewind_store(way_back *b)
{
  char path[BACKUP_PATH];
  mc_buf text = {0}, fresh = {0};
  uint64_t offset;
  int digits = 0;
  snprintf(path, sizeof path, "%s/%s", b->data, backup_state_path(BACKUP_STORE));
  mc_err err = mc_fs_read(b->fs, path, (size_t)256 << 20, &text, b->why);
  if (!err && (mc_buf_append_u8(&text, 0) || sscanf((char *)text.data, "motorcade-store 1\noffset %" SCNu64 "%n", &offset, &digits) != 1 || text.len < 15))
    err = mc_err_set(b->why, MC_ERR_UNSUPPORTED, "%s: not a manifest of version 1", path);
  if (!err && !(err = mc_buf_printf(&fresh, "motorcade-store 1\noffset %" PRIu64, b->out->cut))) {
    err = mc_buf_append(&fresh, text.data + digits, text.len - 1 - 13 - (size_t)digits); /* up to the line with the checksum */
    if (!err)
      err = mc_buf_printf(&fresh, "crc %08x\n", mc_crc32c(0, fresh.data, fresh.len));
    err = err ? mc_err_set(b->why, err, "%s: out of memory", path) : mc_fs_replace(b->fs, path, mc_buf_slice(&fresh), 0600, b->why);
  }
  mc_buf_free(&text);
  mc_buf_free(&fresh);
  b->out->history_newer = true;
  return err;
}

/* Each checkpoint from the newest backup of the chain whose own one lies at or before the cut, and from where the journal still tells the rest. */
static mc_err restore_states(way_back *b)
{
  char dir[BACKUP_PATH];
  snprintf(dir, sizeof dir, "%s", b->from);
  for (int depth = 0; depth < CHAIN_MAX; depth++) {
    backup_manifest earlier = {0};
    const backup_manifest *m = &b->m;
    if (depth) {
      if (backup_manifest_read(b->fs, dir, &earlier, NULL) || backup_check(b->fs, dir, &earlier, NULL)) {
        backup_manifest_free(&earlier);
        break; /* an earlier backup that is gone or damaged is not needed: what it holds is rebuilt */
      }
      m = &earlier;
    }
    mc_err err = MC_OK;
    for (int s = 0; s < BACKUP_STATES && !err; s++)
      if (!b->out->kept[s] && fits(m, (backup_state)s, b->m.first, b->out->cut)) {
        err = copy_state(b, dir, m, (backup_state)s);
        b->out->from_earlier |= depth > 0;
      }
    snprintf(dir, sizeof dir, "%s", m->since);
    backup_manifest_free(&earlier);
    MC_TRY(err);
    if (!dir[0])
      break;
  }
  if (b->out->kept[BACKUP_STORE] || b->m.state[BACKUP_STORE] == UINT64_MAX)
    return MC_OK;
  MC_TRY(copy_state(b, b->from, &b->m, BACKUP_STORE));
  return b->m.state[BACKUP_STORE] > b->out->cut ? rewind_store(b) : MC_OK;
}

/* ---- journal and database ---- */

static mc_err restore_journal(way_back *b, uint64_t at, int64_t at_us)
{
  char from[BACKUP_PATH], to[BACKUP_PATH];
  mc_journal_copy copy;
  mc_journal_report report;
  snprintf(from, sizeof from, "%s/journal", b->from);
  snprintf(to, sizeof to, "%s/journal", b->data);
  MC_TRY(mc_journal_verify(b->fs, from, &report, b->why));
  if (report.damaged_at != UINT64_MAX || report.compacted_damaged)
    return MC_ERR_CHECKSUM;
  MC_TRY(mc_journal_restore(b->fs, from, to, at, at_us, &copy, b->why));
  b->out->cut = copy.end_offset;
  b->out->cut_time_us = copy.end_time_us;
  if (copy.end_offset == report.end_offset)
    return MC_OK;
  mc_journal_reader *reader;
  mc_record r;
  mc_err err = mc_journal_open_reader(b->fs, from, copy.end_offset, (mc_journal_filter){0}, &reader, b->why);
  if (err)
    return err;
  while (!(err = mc_journal_reader_next(reader, &r, b->why)))
    b->out->records_behind[r.stream]++;
  mc_journal_reader_destroy(&reader);
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- what was erased and revoked since ---- */

static mc_err read_ca(const way_back *b, const char *dir, mc_buf *out)
{
  char path[BACKUP_PATH];
  snprintf(path, sizeof path, "%s/ca.pem", dir);
  return mc_fs_read(b->fs, path, 1 << 20, out, b->why);
}

static mc_err apply_receipts(way_back *b, mc_db *db)
{
  mc_buf ca = {0};
  mc_err err = b->later->receipts ? read_ca(b, b->from, &ca) : MC_OK;
  for (size_t i = 0; !err && i < b->later->receipts; i++) {
    mc_buf receipt = {0};
    err = mc_fs_read(b->fs, b->later->receipt[i], 1 << 20, &receipt, b->why);
    if (!err && (err = mc_registry_take_away_by_receipt(db, mc_buf_slice(&ca), mc_buf_slice(&receipt), &b->out->taken, b->why)))
      mc_err_prefix(b->why, "%s", b->later->receipt[i]);
    mc_buf_free(&receipt);
  }
  mc_buf_free(&ca);
  return err;
}

/* Another installation has other vehicles under the same numbers. */
static mc_err check_newer(const way_back *b)
{
  mc_buf ours = {0}, theirs = {0};
  if (!b->later->newer)
    return MC_OK;
  mc_err err = read_ca(b, b->from, &ours);
  if (!err)
    err = read_ca(b, b->later->newer, &theirs);
  if (!err && !mc_slice_eq(mc_buf_slice(&ours), mc_buf_slice(&theirs)))
    err = mc_err_set(b->why, MC_ERR_INVALID, "%s has another certificate authority than %s: it is another installation", b->later->newer, b->from);
  mc_buf_free(&ours);
  mc_buf_free(&theirs);
  return err;
}

/* A backup's database is copied before it is opened, so that the backup stays as it is; a data folder's is in use, and is opened where it stands. */
static mc_err apply_newer(way_back *b, mc_db *db)
{
  char path[BACKUP_PATH], copy[BACKUP_PATH], manifest[BACKUP_PATH];
  mc_file *file = NULL;
  mc_db *newer = NULL;
  uint64_t bytes;
  uint32_t crc;
  if (!b->later->newer)
    return MC_OK;
  snprintf(path, sizeof path, "%s/motorcade.db", b->later->newer);
  snprintf(copy, sizeof copy, "%s/newer.tmp", b->data);
  snprintf(manifest, sizeof manifest, "%s/backup", b->later->newer);
  bool is_backup = mc_file_open(b->fs, manifest, MC_FILE_READ, &file, NULL) == MC_OK;
  mc_file_close(&file);
  mc_err err = is_backup ? mc_fs_copy(b->fs, path, copy, 0600, &bytes, &crc, b->why) : MC_OK;
  if (!err)
    err = mc_db_open_sqlite(is_backup ? copy : path, &newer, b->why);
  if (!err)
    err = mc_registry_take_away_as(db, newer, &b->out->taken, b->why);
  mc_db_close(&newer);
  if (is_backup)
    mc_fs_unlink(b->fs, copy, NULL);
  return err;
}

static mc_err rewind_database(way_back *b)
{
  char path[BACKUP_PATH];
  mc_db *db;
  snprintf(path, sizeof path, "%s/motorcade.db", b->data);
  MC_TRY(mc_db_open_sqlite(path, &db, b->why));
  mc_err err = mc_campaign_rewind(db, b->out->cut, b->why);
  if (!err)
    err = mc_fleet_rewind(db, b->out->cut, b->why);
  if (!err)
    err = mc_delivery_rewind(db, b->out->cut, b->why);
  if (!err)
    err = apply_newer(b, db);
  if (!err)
    err = apply_receipts(b, db);
  if (!err)
    err = mc_registry_end_sessions(db, b->why);
  if (!err)
    err = mc_registry_keys_left(db, &b->out->subject_keys, b->why);
  mc_db_close(&db);
  return err;
}

static mc_err restore(way_back *b, uint64_t at, int64_t at_us)
{
  MC_TRY(backup_check(b->fs, b->from, &b->m, b->why));
  MC_TRY(check_newer(b));
  MC_TRY(apply_receipts(b, NULL)); /* a look at them, before anything is written */
  MC_TRY(mc_fs_mkdirs(b->fs, b->data, b->why));
  MC_TRY(restore_journal(b, at, at_us));
  MC_TRY(restore_states(b));
  MC_TRY(copy_rest(b, false));
  MC_TRY(rewind_database(b));
  MC_TRY(copy_rest(b, true));
  return mc_fs_sync_dir(b->fs, b->data, b->why);
}

mc_err backup_restore(const mc_fs *fs, const char *from, const char *data, uint64_t at, int64_t at_us, const restore_later *later, restore_report *out, mc_why *why)
{
  way_back b = {.fs = fs, .from = from, .data = data, .later = later, .out = out, .why = why};
  *out = (restore_report){0};
  if (strlen(from) > 400 || strlen(data) > 400 || (later->newer && strlen(later->newer) > 400))
    return mc_err_set(why, MC_ERR_TOO_LARGE, "restore: a folder's name has at most 400 characters");
  MC_TRY(backup_manifest_read(fs, from, &b.m, why));
  mc_err err = check_empty(&b);
  if (!err)
    err = restore(&b, at, at_us);
  backup_manifest_free(&b.m);
  return err;
}
