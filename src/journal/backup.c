#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "journal/compacted.h"

/* Copies of a journal's folder: a backup beside the running process, and the way back to any group's end. In a backup a segment ends
 * behind its last group or seal; what a whole segment would hold behind it is not stored. Readers, verify and restore read both. */

typedef struct copier {
  const mc_fs *fs;
  const char *from, *to, *base;
  uint8_t id[MC_JOURNAL_ID];
  mc_journal_copied told;
  void *ctx;
  mc_journal_copy *out;
  uint64_t cut;  /* restore: nothing at or behind it */
  mc_why *why;
  mc_window in;
  mc_file *file; /* being written; NULL: only looked at */
  uint64_t at;   /* position in it */
  uint32_t crc;
  char name[32];      /* of it, when it is a segment */
  uint64_t segments;  /* copied so far */
} copier;

/* ---- one segment, group by group ---- */

static mc_err put(copier *c, mc_slice bytes)
{
  if (c->file)
    MC_TRY(mc_file_pwrite(c->file, bytes.data, bytes.len, c->at, c->why));
  c->crc = mc_crc32c(c->crc, bytes.data, bytes.len);
  c->at += bytes.len;
  return MC_OK;
}

static mc_err put_range(copier *c, uint64_t offset, uint64_t len)
{
  while (len) {
    mc_slice part;
    MC_TRY(mc_window_need(&c->in, offset, 1, UINT64_MAX, &part, c->why));
    if (part.len > len)
      part.len = (size_t)len;
    if (!part.len)
      return mc_err_set(c->why, MC_ERR_TRUNCATED, "journal %s: offset %llu cannot be read", c->from, (unsigned long long)offset);
    MC_TRY(put(c, part));
    offset += part.len;
    len -= part.len;
  }
  return MC_OK;
}

/* Groups of the segment in c->in up to the cut. *sealed: it ends with a seal. */
static mc_err put_groups(copier *c, const mc_segment_header *h, bool *sealed)
{
  uint64_t at = h->first + MC_SEGMENT_HEADER, limit = h->first + h->size;
  *sealed = false;
  MC_TRY(put_range(c, h->first, MC_SEGMENT_HEADER));
  while (at < c->cut) {
    mc_found found;
    mc_group_header g;
    MC_TRY(mc_scan_at(&c->in, at, limit, c->id, true, &found, &g, c->why));
    if (found == MC_FOUND_SEAL) {
      *sealed = true;
      return put_range(c, at, MC_GROUP_HEADER);
    }
    if (found != MC_FOUND_GROUP) {
      uint64_t next;
      c->in.buf.len = 0;
      MC_TRY(mc_scan_behind(&c->in, at, limit, c->id, &next, c->why));
      if (next == at)
        continue;
      if (next != UINT64_MAX)
        return mc_err_set(c->why, MC_ERR_CHECKSUM, "journal %s: damaged at offset %llu; run `motorcade journal repair` on it first", c->from, (unsigned long long)at);
      return MC_OK; /* the end: nothing, or what is being written now */
    }
    uint64_t end = at + MC_GROUP_HEADER + (uint64_t)g.length;
    if (end > c->cut)
      return MC_OK;
    MC_TRY(put_range(c, at, end - at));
    c->out->end_offset = at = end;
    c->out->end_time_us = g.time_us;
    c->out->groups++;
  }
  return MC_OK;
}

static mc_err open_segment(copier *c, uint64_t first, mc_segment_header *h)
{
  char path[MC_JOURNAL_PATH];
  mc_segment_path(c->from, first, path, sizeof path);
  c->in = (mc_window){.first = first, .buf = c->in.buf};
  c->in.buf.len = 0;
  MC_TRY(mc_file_open(c->fs, path, MC_FILE_READ, &c->in.file, c->why));
  mc_err err = mc_segment_read_header(c->in.file, path, h, c->why);
  if (err == MC_ERR_CHECKSUM || err == MC_ERR_MALFORMED || err == MC_ERR_TRUNCATED)
    return mc_err_set(c->why, MC_ERR_CHECKSUM, "%s: the segment header is damaged; run `motorcade journal repair` on it first", path);
  if (!err && (h->first != first || memcmp(h->id, c->id, sizeof c->id) != 0))
    return mc_err_set(c->why, MC_ERR_INVALID, "%s belongs to another journal or place", path);
  return err;
}

/* ---- files ---- */

static mc_err begin_file(copier *c, const char *path)
{
  c->at = 0;
  c->crc = 0;
  return mc_file_open(c->fs, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &c->file, c->why);
}

static mc_err end_file(copier *c)
{
  mc_err err = c->file ? mc_file_sync(c->file, c->why) : MC_OK;
  mc_file_close(&c->file);
  return err;
}

/* The base holds the same bytes: then the backup shares its file. */
static bool share_with_base(copier *c, const char *name, uint64_t bytes, uint32_t crc)
{
  char old[MC_JOURNAL_PATH], path[MC_JOURNAL_PATH];
  uint64_t held;
  uint32_t held_crc;
  if (!c->base)
    return false;
  mc_segment_name(c->base, name, old, sizeof old);
  mc_segment_name(c->to, name, path, sizeof path);
  if (mc_fs_sum(c->fs, old, &held, &held_crc, NULL) || held != bytes || held_crc != crc)
    return false;
  return mc_fs_link(c->fs, old, path, NULL) == MC_OK; /* another disk, or none that links: it is copied */
}

static mc_err tell(copier *c, const char *name)
{
  c->out->files++;
  c->out->bytes += c->at;
  return c->told ? c->told(c->ctx, name, c->at, c->crc, c->why) : MC_OK;
}

static mc_err copy_segment(copier *c, uint64_t first, bool *sealed)
{
  mc_segment_header h;
  char path[MC_JOURNAL_PATH];
  snprintf(c->name, sizeof c->name, "%016llx.mcj", (unsigned long long)first);
  mc_journal_copy before = *c->out;
  c->at = 0;
  c->crc = 0;
  MC_TRY(open_segment(c, first, &h));
  if (!c->segments)
    c->out->first_offset = c->out->end_offset = first;
  if (c->base) { /* read once to know its sum, shared when the base has it */
    MC_TRY(put_groups(c, &h, sealed));
    if (*sealed && share_with_base(c, c->name, c->at, c->crc)) {
      c->out->reused += c->at;
      return MC_OK;
    }
    *c->out = before;
    if (!c->segments)
      c->out->first_offset = c->out->end_offset = first;
  }
  mc_segment_name(c->to, c->name, path, sizeof path);
  MC_TRY(begin_file(c, path));
  MC_TRY(put_groups(c, &h, sealed));
  return end_file(c);
}

static mc_err copy_whole(copier *c, const char *name)
{
  char from[MC_JOURNAL_PATH], to[MC_JOURNAL_PATH];
  uint64_t bytes;
  mc_segment_name(c->from, name, from, sizeof from);
  mc_segment_name(c->to, name, to, sizeof to);
  mc_err err = mc_fs_sum(c->fs, from, &bytes, &c->crc, c->why);
  if (err == MC_ERR_NOT_FOUND)
    return MC_OK;
  c->at = bytes;
  if (!err && share_with_base(c, name, bytes, c->crc))
    c->out->reused += bytes;
  else if (!err)
    err = mc_fs_copy(c->fs, from, to, 0600, &c->at, &c->crc, c->why);
  return err ? err : tell(c, name);
}

/* ---- backup ---- */

static mc_err copy_compacted(copier *c)
{
  mc_compacted *k;
  char name[32];
  MC_TRY(mc_compacted_open(c->fs, c->from, &k, c->why));
  if (!k)
    return MC_OK;
  snprintf(name, sizeof name, "%016llx.mck", (unsigned long long)k->h.cover);
  mc_compacted_close(&k);
  return copy_whole(c, name);
}

static mc_err is_begun(copier *c, uint64_t first, bool *out)
{
  mc_segment_header h;
  mc_found found = MC_FOUND_NOTHING;
  mc_group_header g;
  mc_err err = open_segment(c, first, &h);
  if (!err)
    err = mc_scan_at(&c->in, first + MC_SEGMENT_HEADER, first + h.size, c->id, true, &found, &g, c->why);
  mc_file_close(&c->in.file);
  *out = found == MC_FOUND_GROUP || found == MC_FOUND_SEAL;
  return err;
}

static mc_err copy_all(copier *c)
{
  mc_offsets segs = {0};
  mc_err err = mc_segment_list(c->fs, c->from, &segs, c->why);
  bool sealed = true, again = false;
  for (size_t i = 0; i < segs.len && !err && sealed; i++) {
    mc_journal_copy before = *c->out;
    err = copy_segment(c, segs.at[i], &sealed);
    mc_file_close(&c->file);
    mc_file_close(&c->in.file);
    bool begun = false; /* the next one, since this one was read? Then this one has its seal by now */
    if (!err && !sealed && i + 1 < segs.len)
      err = is_begun(c, segs.at[i + 1], &begun);
    if (!err && !begun) {
      again = false;
      c->segments++;
      err = tell(c, c->name);
    }
    if (err || !begun)
      continue;
    if (again)
      err = mc_err_set(c->why, MC_ERR_CHECKSUM, "journal %s: the segment at offset %llu has no seal and others follow; run `motorcade journal repair` on it first", c->from,
                       (unsigned long long)segs.at[i]);
    *c->out = before;
    again = sealed = true;
    i--;
  }
  mc_vec_free(&segs);
  return err;
}

mc_err mc_journal_backup(const mc_fs *fs, const char *dir, const char *to, const char *base, mc_journal_copied told, void *ctx, mc_journal_copy *out, mc_why *why)
{
  copier c = {.fs = fs, .from = dir, .to = to, .base = base, .told = told, .ctx = ctx, .out = out, .cut = UINT64_MAX, .why = why};
  mc_file *hold = NULL;
  uint64_t oldest, newest;
  *out = (mc_journal_copy){0};
  MC_TRY(mc_journal_identify(fs, dir, c.id, &oldest, &newest, why));
  MC_TRY(mc_fs_mkdirs(fs, to, why));
  mc_err err = mc_journal_hold(fs, dir, &hold, why);
  if (!err)
    err = copy_compacted(&c);
  if (!err)
    err = copy_whole(&c, "consumers");
  if (!err)
    err = copy_all(&c);
  mc_buf_free(&c.in.buf);
  mc_file_close(&hold);
  return err ? err : mc_fs_sync_dir(fs, to, why);
}

/* ---- the way back ---- */

/* The end of the last group that lies at or before a point; no byte is written. */
static mc_err find_cut(copier *c, const mc_offsets *segs, int64_t at_us, uint64_t *cut)
{
  *cut = UINT64_MAX;
  for (size_t i = 0; i < segs->len; i++) {
    mc_segment_header h = {0};
    mc_err err = open_segment(c, segs->at[i], &h);
    for (uint64_t at = h.first + MC_SEGMENT_HEADER; !err;) {
      mc_found found;
      mc_group_header g;
      err = mc_scan_at(&c->in, at, h.first + h.size, c->id, false, &found, &g, c->why);
      if (err || found != MC_FOUND_GROUP)
        break;
      at += MC_GROUP_HEADER + (uint64_t)g.length;
      if (g.time_us <= at_us)
        *cut = at;
    }
    mc_file_close(&c->in.file);
    MC_TRY(err);
  }
  return MC_OK;
}

/* A segment that is written on must be whole: writes there allocate nothing. */
static mc_err restore_segment(copier *c, uint64_t first, bool *sealed)
{
  mc_segment_header h;
  char path[MC_JOURNAL_PATH];
  MC_TRY(open_segment(c, first, &h));
  mc_segment_path(c->to, first, path, sizeof path);
  MC_TRY(begin_file(c, path));
  MC_TRY(mc_file_preallocate(c->file, h.size, c->why));
  if (!c->segments++)
    c->out->first_offset = c->out->end_offset = first;
  MC_TRY(put_groups(c, &h, sealed));
  MC_TRY(end_file(c));
  c->out->files++;
  c->out->bytes += c->at;
  return MC_OK;
}

static mc_err restore_all(copier *c, const mc_offsets *segs)
{
  for (size_t i = 0; i < segs->len && segs->at[i] < c->cut; i++) {
    bool sealed;
    mc_err err = restore_segment(c, segs->at[i], &sealed);
    mc_file_close(&c->file);
    mc_file_close(&c->in.file);
    MC_TRY(err);
    if (!sealed && i + 1 < segs->len && segs->at[i + 1] < c->cut && c->cut != UINT64_MAX)
      return mc_err_set(c->why, MC_ERR_CHECKSUM, "journal %s: the segment at offset %llu does not end with a seal; this backup is not whole, use another one", c->from,
                        (unsigned long long)segs->at[i]);
    if (!sealed)
      return MC_OK;
  }
  return MC_OK;
}

mc_err mc_journal_restore(const mc_fs *fs, const char *from, const char *to, uint64_t at_offset, int64_t at_us, mc_journal_copy *out, mc_why *why)
{
  copier c = {.fs = fs, .from = from, .to = to, .out = out, .cut = at_offset, .why = why};
  mc_offsets segs = {0};
  uint64_t oldest, newest;
  *out = (mc_journal_copy){0};
  MC_TRY(mc_journal_identify(fs, from, c.id, &oldest, &newest, why));
  mc_err err = mc_segment_list(fs, from, &segs, why);
  if (!err && at_us != INT64_MAX) {
    err = find_cut(&c, &segs, at_us, &c.cut);
    if (!err && c.cut == UINT64_MAX)
      err = mc_err_set(why, MC_ERR_NOT_FOUND, "journal %s: its oldest group is younger than the time asked for; use an older backup", from);
  }
  if (!err && c.cut < oldest)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "journal %s: offset %llu is older than its oldest one, %llu; use an older backup", from, (unsigned long long)c.cut,
                     (unsigned long long)oldest);
  if (!err)
    err = mc_fs_mkdirs(fs, to, why);
  if (!err)
    err = copy_compacted(&c);
  if (!err)
    err = copy_whole(&c, "consumers");
  if (!err)
    err = restore_all(&c, &segs);
  mc_vec_free(&segs);
  mc_buf_free(&c.in.buf);
  return err ? err : mc_fs_sync_dir(fs, to, why);
}
