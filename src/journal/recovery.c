#include <sys/random.h>

#include "base/log.h"
#include "journal/inside.h"

/* Finds where the journal ends (README, invariant 5) and leaves the journal ready to append there. */

typedef struct tail {
  mc_file *file;
  uint64_t first, size;
  uint64_t end; /* behind the last group; the seal's place when sealed */
  bool has_groups, sealed;
  mc_found found; /* what stands at end */
} tail;

static mc_err remove_leftovers(void *ctx, const char *name)
{
  const mc_journal *j = ctx;
  size_t n = strlen(name);
  char path[MC_JOURNAL_PATH];
  if (n < 4 || strcmp(name + n - 4, ".tmp") != 0)
    return MC_OK;
  mc_segment_name(j->dir, name, path, sizeof path);
  return mc_fs_unlink(j->fs, path, NULL);
}

/* The id stands in every segment header; if the last one's is damaged, an earlier one's or a group's will do. */
static mc_err find_id(mc_journal *j, const mc_offsets *segs, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  mc_why first_why = {0};
  for (size_t i = segs->len; i-- > 0;) {
    mc_file *file;
    mc_segment_header h;
    uint8_t bytes[MC_GROUP_HEADER];
    mc_group_header g;
    size_t got;
    mc_why here;
    mc_segment_path(j->dir, segs->at[i], path, sizeof path);
    MC_TRY(mc_file_open(j->fs, path, MC_FILE_READ, &file, why));
    mc_err err = mc_segment_read_header(file, path, &h, &here);
    const uint8_t *id = h.id;
    if (err && !mc_file_pread(file, bytes, sizeof bytes, MC_SEGMENT_HEADER, &got, NULL) && got == sizeof bytes &&
        !mc_group_header_get(bytes, &g) && g.offset == segs->at[i] + MC_SEGMENT_HEADER) {
      id = g.id;
      if (err != MC_ERR_UNSUPPORTED)
        err = MC_OK;
    }
    mc_file_close(&file);
    if (!err) {
      memcpy(j->id, id, MC_JOURNAL_ID);
      return MC_OK;
    }
    if (err == MC_ERR_UNSUPPORTED || err == MC_ERR_IO)
      return mc_err_set(why, err, "%s", here.text);
    if (!first_why.err)
      first_why = here;
  }
  return mc_err_set(why, MC_ERR_CHECKSUM, "%s; restore the journal from a backup, or move its folder aside to begin a new one", first_why.text);
}

static mc_err check_owner(mc_journal *j, tail *t, const char *path, mc_why *why)
{
  mc_segment_header h;
  mc_why ignored;
  mc_err err = mc_segment_read_header(t->file, path, &h, &ignored);
  if (err == MC_ERR_IO || err == MC_ERR_UNSUPPORTED)
    return mc_err_set(why, err, "%s", ignored.text);
  if (err) {
    mc_log(MC_LOG_ERROR, "journal", "segment header damaged; the groups tell what it held", MC_KZ("error", ignored.text));
    return mc_segment_guess_size(t->file, &t->size, why);
  }
  if (h.first != t->first || memcmp(h.id, j->id, MC_JOURNAL_ID) != 0)
    return mc_err_set(why, MC_ERR_INVALID, "%s belongs to another journal or place (its header says offset %llu); take it out of the folder", path,
                      (unsigned long long)h.first);
  t->size = h.size;
  return MC_OK;
}

static mc_err find_end(mc_journal *j, mc_window *w, tail *t, mc_why *why)
{
  uint64_t limit = t->first + t->size;
  uint64_t at = t->first + MC_SEGMENT_HEADER;
  mc_group_header h;
  for (;;) {
    MC_TRY(mc_scan_at(w, at, limit, j->id, true, &t->found, &h, why));
    if (t->found == MC_FOUND_GROUP) {
      t->has_groups = true;
      t->end = at += MC_GROUP_HEADER + (uint64_t)h.length;
      continue;
    }
    t->end = at;
    t->sealed = t->found == MC_FOUND_SEAL;
    if (t->sealed)
      return MC_OK;
    uint64_t next;
    MC_TRY(mc_scan_ahead(w, at + 8, limit, j->id, &next, why));
    if (next == UINT64_MAX)
      return MC_OK;
    mc_log(MC_LOG_ERROR, "journal", "damaged bytes between valid groups; readers skip them; compare with a backup", MC_KU("from", at),
           MC_KU("to", next), MC_KZ("folder", j->dir));
    t->has_groups = true;
    at = next;
  }
}

static mc_err look_at(mc_journal *j, uint64_t first, tail *t, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  mc_segment_path(j->dir, first, path, sizeof path);
  *t = (tail){.first = first};
  MC_TRY(mc_file_open(j->fs, path, MC_FILE_READ | MC_FILE_WRITE, &t->file, why));
  mc_err err = check_owner(j, t, path, why);
  mc_window w = {.file = t->file, .first = first};
  if (!err)
    err = find_end(j, &w, t, why);
  mc_buf_free(&w.buf);
  if (err)
    mc_file_close(&t->file);
  return err;
}

static mc_err draw_id(mc_journal *j, const uint64_t fixed[2], mc_why *why)
{
  memcpy(j->id, fixed, MC_JOURNAL_ID);
  if (fixed[0] || fixed[1] || getrandom(j->id, sizeof j->id, 0) == sizeof j->id)
    return MC_OK;
  return mc_err_errno(why, "journal %s: no random bytes for its id", j->dir);
}

static mc_err begin(mc_journal *j, uint64_t first, mc_why *why)
{
  MC_TRY(mc_segment_create(j, first, NULL, &j->file, why));
  j->seg_first = first;
  j->seg_size = j->segment_bytes;
  j->at = first + MC_SEGMENT_HEADER;
  return mc_segment_table_add(j, first, j->segment_bytes);
}

static mc_err fill_table(mc_journal *j, const mc_offsets *segs, size_t count, uint64_t last_size)
{
  for (size_t i = 0; i < count; i++)
    MC_TRY(mc_segment_table_add(j, segs->at[i], i + 1 < count ? segs->at[i + 1] - segs->at[i] : last_size));
  return MC_OK;
}

static mc_err settle_on(mc_journal *j, tail *t, mc_why *why)
{
  j->file = t->file;
  t->file = NULL;
  j->seg_first = t->first;
  j->seg_size = t->size;
  j->at = t->end;
  if (t->found == MC_FOUND_BROKEN)
    mc_log(MC_LOG_INFO, "journal", "a group that was never acknowledged ends the journal; it is cut", MC_KU("offset", t->end),
           MC_KZ("folder", j->dir));
  /* A group may be whole in memory only, its writer killed before the sync: readers must not see it before it is on disk. */
  return mc_file_sync(j->file, why);
}

/* An empty segment behind the active one was prepared, and not yet needed. */
static mc_err keep_prepared(mc_journal *j, tail *t, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  if (t->size == j->segment_bytes) {
    j->next_file = t->file;
    return MC_OK;
  }
  mc_file_close(&t->file); /* the size was configured anew */
  mc_segment_path(j->dir, t->first, path, sizeof path);
  return mc_fs_unlink(j->fs, path, why);
}

static mc_err recover_from(mc_journal *j, const mc_offsets *segs, mc_why *why)
{
  tail last, before = {0};
  size_t kept = segs->len;
  MC_TRY(look_at(j, segs->at[kept - 1], &last, why));
  mc_err err = MC_OK;
  if (!last.has_groups && !last.sealed && kept > 1) {
    err = look_at(j, segs->at[kept - 2], &before, why);
    if (!err && !before.sealed && before.first + before.size == last.first) {
      err = keep_prepared(j, &last, why);
      last = before;
      kept--;
    } else {
      mc_file_close(&before.file);
    }
  }
  bool sealed = last.sealed;
  uint64_t next = last.first + last.size;
  if (!err && fill_table(j, segs, kept, last.size))
    err = mc_err_set(why, MC_ERR_MEMORY, "journal %s: out of memory", j->dir);
  if (!err)
    err = settle_on(j, &last, why);
  mc_file_close(&last.file);
  if (!err && sealed) {
    mc_file_close(&j->file);
    err = begin(j, next, why);
  }
  return err;
}

mc_err mc_journal_recover(mc_journal *j, const uint64_t fixed_id[2], mc_why *why)
{
  mc_offsets segs = {0};
  MC_TRY(mc_fs_list(j->fs, j->dir, remove_leftovers, j, why));
  mc_err err = mc_segment_list(j->fs, j->dir, &segs, why);
  if (!err && !segs.len) {
    err = draw_id(j, fixed_id, why);
    if (!err)
      err = begin(j, 0, why);
  } else if (!err) {
    err = find_id(j, &segs, why);
    if (!err)
      err = recover_from(j, &segs, why);
  }
  mc_vec_free(&segs);
  if (err)
    return err;
  atomic_store(&j->first, j->table.at[0].first);
  atomic_store(&j->end, j->at);
  j->active_end = j->seg_first + j->seg_size;
  j->used = j->used_told = j->at - j->seg_first;
  return MC_OK;
}
