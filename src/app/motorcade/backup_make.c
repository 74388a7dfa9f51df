/* Makes a backup beside a running platform. Order matters: checkpoints first, then the journal, which so holds everything that they
 * reflect; the database last, so that no id that the journal names is handed out again after a restore. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/motorcade/backup.h"
#include "base/clock.h"
#include "db/db.h"
#include "journal/journal.h"

enum { STORE_TRIES = 8 };

typedef struct maker {
  const mc_fs *fs;
  const char *data, *out, *since;
  backup_manifest *m;
  uint64_t reused;
  mc_why *why;
} maker;

/* One file, by its path below the data folder. Shared with the earlier backup when that holds the same bytes. */
static mc_err copy_file(maker *b, const char *name, bool constant)
{
  char from[BACKUP_PATH], to[BACKUP_PATH], old[BACKUP_PATH];
  uint64_t bytes = 0, held;
  uint32_t crc = 0, held_crc;
  snprintf(from, sizeof from, "%s/%s", b->data, name);
  snprintf(to, sizeof to, "%s/%s", b->out, name);
  snprintf(old, sizeof old, "%s/%s", b->since ? b->since : "", name);
  bool shared = b->since && constant && !mc_fs_sum(b->fs, from, &bytes, &crc, NULL) && !mc_fs_sum(b->fs, old, &held, &held_crc, NULL) && held == bytes &&
                held_crc == crc && !mc_fs_link(b->fs, old, to, NULL);
  if (shared)
    b->reused += bytes;
  else
    MC_TRY(mc_fs_copy(b->fs, from, to, 0600, &bytes, &crc, b->why));
  return backup_manifest_add(b->m, name, bytes, crc) ? mc_err_set(b->why, MC_ERR_TOO_LARGE, "%s: a name that a backup cannot hold", from) : MC_OK;
}

static bool ends(const char *name, const char *with)
{
  size_t n = strlen(name), w = strlen(with);
  return n >= w && !strcmp(name + n - w, with);
}

/* What has its own way, means nothing without its process, or is as large as a fleet makes it (objects: copied as object stores are). */
static bool left_out(const char *path)
{
  static const char *const own[] = {"journal", "store", "motorcade.db", "motorcade.db-wal", "motorcade.db-shm", "local.json", "outbox", "objects"};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    if (!strcmp(path, own[i]))
      return true;
  return ends(path, ".tmp") || ends(path, "/lock") || !strcmp(path, "lock");
}

static mc_err copy_tree(maker *b, const char *below);

static mc_err copy_entry(maker *b, const char *path)
{
  char full[BACKUP_PATH];
  struct stat st;
  snprintf(full, sizeof full, "%s/%s", b->data, path);
  if (left_out(path) || lstat(full, &st))
    return MC_OK;
  if (S_ISDIR(st.st_mode)) {
    snprintf(full, sizeof full, "%s/%s", b->out, path);
    MC_TRY(mc_fs_mkdirs(b->fs, full, b->why));
    MC_TRY(copy_tree(b, path));
    return mc_fs_sync_dir(b->fs, full, b->why);
  }
  mc_err err = S_ISREG(st.st_mode) ? copy_file(b, path, false) : MC_OK;
  return err == MC_ERR_NOT_FOUND ? MC_OK : err; /* replaced or removed since it was listed */
}

typedef struct tree_visit {
  maker *b;
  const char *below;
} tree_visit;

static mc_err visit_entry(void *ctx, const char *name)
{
  const tree_visit *v = ctx;
  char path[256];
  int n = snprintf(path, sizeof path, "%s%s%s", v->below, *v->below ? "/" : "", name);
  if (n < 0 || (size_t)n >= sizeof path)
    return mc_err_set(v->b->why, MC_ERR_TOO_LARGE, "%s/%s: a name that a backup cannot hold", v->b->data, path);
  return copy_entry(v->b, path);
}

static mc_err copy_tree(maker *b, const char *below)
{
  char dir[BACKUP_PATH];
  snprintf(dir, sizeof dir, "%s%s%s", b->data, *below ? "/" : "", below);
  return mc_fs_list(b->fs, dir, visit_entry, &(tree_visit){b, below}, b->why);
}

/* ---- history: the manifest, then the segments that it names ---- */

static mc_err copy_store_once(maker *b)
{
  mc_buf text = {0};
  char path[BACKUP_PATH];
  snprintf(path, sizeof path, "%s/store/manifest", b->out);
  MC_TRY(copy_file(b, "store/manifest", false));
  mc_err err = mc_fs_read(b->fs, path, (size_t)256 << 20, &text, b->why);
  mc_slice rest = mc_buf_slice(&text);
  while (!err && rest.len) {
    size_t end = mc_slice_find(rest, '\n', 0);
    mc_slice line = mc_slice_sub(rest, 0, end);
    rest = mc_slice_sub(rest, end + 1, rest.len);
    if (!mc_slice_starts(line, MC_LIT("segment ")))
      continue;
    line = mc_slice_sub(line, 8, line.len);
    snprintf(path, sizeof path, "store/%.*s", MC_FMT(mc_slice_sub(line, 0, mc_slice_find(line, ' ', 0))));
    err = copy_file(b, path, true);
  }
  mc_buf_free(&text);
  return err;
}

/* A merge may remove a segment between the manifest and its copy: then the manifest is another one, and it is tried again. */
static mc_err copy_store(maker *b)
{
  char path[BACKUP_PATH];
  struct stat st;
  snprintf(path, sizeof path, "%s/store/manifest", b->data);
  if (stat(path, &st))
    return MC_OK; /* a store that never wrote a segment */
  snprintf(path, sizeof path, "%s/store", b->out);
  MC_TRY(mc_fs_mkdirs(b->fs, path, b->why));
  for (int left = STORE_TRIES;; left--) {
    size_t before = b->m->file.len;
    mc_err err = copy_store_once(b);
    if (!err)
      return mc_fs_sync_dir(b->fs, path, b->why);
    while (b->m->file.len > before) {
      char gone[BACKUP_PATH];
      snprintf(gone, sizeof gone, "%s/%s", b->out, b->m->file.at[--b->m->file.len].path);
      mc_fs_unlink(b->fs, gone, NULL);
    }
    if (err != MC_ERR_NOT_FOUND || left == 1)
      return err;
  }
}

/* ---- journal and database ---- */

static mc_err note_journal(void *ctx, const char *name, uint64_t bytes, uint32_t crc, mc_why *why)
{
  maker *b = ctx;
  char path[256];
  snprintf(path, sizeof path, "journal/%s", name);
  return backup_manifest_add(b->m, path, bytes, crc) ? mc_err_set(why, MC_ERR_MEMORY, "backup: out of memory") : MC_OK;
}

static mc_err copy_journal(maker *b)
{
  char from[BACKUP_PATH], to[BACKUP_PATH], base[BACKUP_PATH];
  mc_journal_copy copy;
  snprintf(from, sizeof from, "%s/journal", b->data);
  snprintf(to, sizeof to, "%s/journal", b->out);
  snprintf(base, sizeof base, "%s/journal", b->since ? b->since : "");
  MC_TRY(mc_journal_backup(b->fs, from, to, b->since ? base : NULL, note_journal, b, &copy, b->why));
  b->m->first = copy.first_offset;
  b->m->end = copy.end_offset;
  b->m->end_time_us = copy.end_time_us;
  b->reused += copy.reused;
  return MC_OK;
}

static mc_err copy_database(maker *b)
{
  char from[BACKUP_PATH], to[BACKUP_PATH];
  struct stat st;
  mc_db *db;
  uint64_t bytes;
  uint32_t crc;
  snprintf(from, sizeof from, "%s/motorcade.db", b->data);
  snprintf(to, sizeof to, "%s/motorcade.db", b->out);
  if (stat(from, &st))
    return mc_err_errno(b->why, "database %s", from);
  MC_TRY(mc_db_open_sqlite(from, &db, b->why));
  mc_err err = mc_db_backup(db, to, b->why);
  mc_db_close(&db);
  mc_file *file;
  if (!err && !(err = mc_file_open(b->fs, to, MC_FILE_READ | MC_FILE_WRITE, &file, b->why))) {
    err = mc_file_sync(file, b->why);
    mc_file_close(&file);
  }
  if (!err)
    err = mc_fs_sum(b->fs, to, &bytes, &crc, b->why);
  if (!err && backup_manifest_add(b->m, "motorcade.db", bytes, crc))
    err = mc_err_set(b->why, MC_ERR_MEMORY, "backup: out of memory");
  return err;
}

/* After the database: a row of it whose file is not here any more was sent in the meantime. */
static mc_err copy_outbox(maker *b)
{
  char path[BACKUP_PATH];
  struct stat st;
  snprintf(path, sizeof path, "%s/outbox", b->data);
  if (stat(path, &st))
    return MC_OK; /* a platform of before */
  snprintf(path, sizeof path, "%s/outbox", b->out);
  MC_TRY(mc_fs_mkdirs(b->fs, path, b->why));
  MC_TRY(copy_tree(b, "outbox"));
  return mc_fs_sync_dir(b->fs, path, b->why);
}

static mc_err visit_any(void *ctx, const char *name)
{
  (void)ctx;
  (void)name;
  return MC_ERR_EXISTS;
}

static mc_err check_out(const mc_fs *fs, const char *out, mc_why *why)
{
  mc_err err = mc_fs_list(fs, out, visit_any, NULL, why);
  if (err == MC_ERR_EXISTS)
    return mc_err_set(why, err, "%s is not empty; a backup goes into a new folder", out);
  return err == MC_ERR_NOT_FOUND ? MC_OK : err;
}

mc_err backup_make(const mc_fs *fs, const char *data, const char *out, const char *since, backup_manifest *m, uint64_t *reused, mc_why *why)
{
  maker b = {.fs = fs, .data = data, .out = out, .since = since, .m = m, .why = why};
  *m = (backup_manifest){.state = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
  if (strlen(data) > 400 || strlen(out) > 400 || (since && strlen(since) > 400))
    return mc_err_set(why, MC_ERR_TOO_LARGE, "backup: a folder's name has at most 400 characters");
  MC_TRY(check_out(fs, out, why));
  if (since) {
    backup_manifest before;
    char full[BACKUP_PATH * 4];
    MC_TRY(backup_manifest_read(fs, since, &before, why));
    backup_manifest_free(&before);
    if (!realpath(since, full) || !mc_slice_to_str(mc_slice_str(full), m->since, sizeof m->since))
      return mc_err_errno(why, "backup %s", since);
  }
  MC_TRY(mc_fs_mkdirs(fs, out, why));
  MC_TRY(copy_tree(&b, ""));
  MC_TRY(copy_store(&b));
  for (int s = 0; s < BACKUP_STATES; s++)
    m->state[s] = backup_state_offset(fs, out, (backup_state)s);
  MC_TRY(copy_journal(&b));
  MC_TRY(copy_database(&b));
  MC_TRY(copy_outbox(&b));
  m->time_us = mc_clock_wall_us();
  *reused = b.reused;
  MC_TRY(mc_fs_sync_dir(fs, out, why));
  return backup_manifest_write(fs, out, m, why);
}
