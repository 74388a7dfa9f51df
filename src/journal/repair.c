#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "journal/compacted.h"

/* Repair: damaged ranges are copied into quarantine files, then filled with whole groups, so that every offset stays where it is and the
 * journal reads on. Records inside that are whole stay; what is not becomes a filler record (MC_STREAM_GAP).
 *
 * A range between two whole groups was written by this journal at this place: whoever is whole in it counts. Behind the last whole
 * group of a segment only a group whose header is whole says as much; anything else there may be stale bytes of a recycled file.
 *
 * Each range is durable in quarantine before it is touched, and is written in one call with bytes that do not depend on earlier tries:
 * a crash anywhere leaves a range that the next repair mends. */

enum { VERSION = 1, QUARANTINE_HEADER = 64, RANGE_MAX = 256 << 20, FILLER_MAX = 8 << 20, LEAST_RANGE = MC_GROUP_HEADER + MC_RECORD_HEADER };

typedef struct repair {
  const mc_fs *fs;
  const char *dir;
  uint8_t id[MC_JOURNAL_ID];
  mc_journal_repair_told told;
  void *ctx;
  mc_journal_repair_report *out;
  mc_why *why;
  char path[MC_JOURNAL_PATH]; /* of the file in hand */
  int64_t time_us;            /* of the group before */
} repair;

static mc_err memory(const repair *p)
{
  return mc_err_set(p->why, MC_ERR_MEMORY, "journal %s: out of memory for a repair", p->dir);
}

/* ---- setting aside ---- */

static mc_err set_aside(repair *p, uint64_t from, mc_slice bytes, mc_journal_loss *loss)
{
  uint8_t head[QUARANTINE_HEADER] = {VERSION, 'Q', 'U', 'A'};
  int64_t now_us = mc_clock_wall_us();
  mc_buf file = {0};
  mc_store_le32(head + 4, QUARANTINE_HEADER);
  mc_store_le64(head + 8, from);
  memcpy(head + 16, p->id, MC_JOURNAL_ID);
  mc_store_le64(head + 32, bytes.len);
  mc_store_le64(head + 40, (uint64_t)now_us);
  mc_store_le32(head + 56, mc_crc32c(0, bytes.data, bytes.len));
  mc_store_le32(head + 60, mc_crc32c(0, head, 60));
  snprintf(loss->kept_as, sizeof loss->kept_as, "%016llx-%016llx.mcq", (unsigned long long)from, (unsigned long long)now_us);
  char path[MC_JOURNAL_PATH];
  mc_segment_name(p->dir, loss->kept_as, path, sizeof path);
  mc_err err = mc_buf_append(&file, head, sizeof head);
  if (!err)
    err = mc_buf_append_slice(&file, bytes);
  err = err ? memory(p) : mc_fs_replace(p->fs, path, mc_buf_slice(&file), 0600, p->why);
  mc_buf_free(&file);
  return err;
}

static void tell(repair *p, const mc_journal_loss *loss)
{
  p->out->ranges++;
  p->out->bytes += loss->to - loss->from;
  p->out->records_saved += loss->records_saved;
  p->out->records_lost += loss->records_lost;
  if (p->told)
    p->told(p->ctx, loss);
}

/* ---- a range, made whole ---- */

static bool whole_record(const uint8_t *at, size_t left, uint32_t *size)
{
  mc_record r;
  return mc_record_get(mc_slice_of(at, left), &r, size) == MC_OK;
}

/* A header that is readable though the sum is wrong names what was lost. */
static void name_lost(mc_journal_loss *loss, const uint8_t *at, size_t left)
{
  mc_record r;
  uint32_t size;
  loss->records_lost++;
  if (loss->topic[0] || mc_record_view(mc_slice_of(at, left), &r, &size) || size > left)
    return;
  loss->stream = r.stream;
  mc_slice_to_str(mc_slice_sub(r.topic, 0, sizeof loss->topic - 1), loss->topic, sizeof loss->topic);
}

static void put_filler(uint8_t *at, uint32_t size, int64_t time_us)
{
  mc_record r = {.stream = MC_STREAM_GAP, .time_us = time_us};
  memset(at, 0, size);
  r.payload = mc_slice_of(at + MC_RECORD_HEADER, size - MC_RECORD_HEADER);
  mc_record_put(at, size, &r);
}

/* Fills [at, at + len), len >= 40, with filler records. */
static uint32_t fill(uint8_t *at, size_t len, int64_t time_us)
{
  uint32_t count = 0;
  for (; len; count++) {
    size_t size = len <= FILLER_MAX ? len : len - FILLER_MAX < MC_RECORD_HEADER ? FILLER_MAX - MC_RECORD_HEADER : FILLER_MAX;
    put_filler(at, (uint32_t)size, time_us);
    at += size;
    len -= size;
  }
  return count;
}

/* Where the run of bytes that are no whole record ends, from `at` on. A run shorter than a filler takes the record behind it along. */
static size_t bad_run(const uint8_t *body, size_t at, size_t trusted, size_t end)
{
  uint32_t size;
  size_t to = at;
  while (to < end && !(to < trusted && whole_record(body + to, trusted - to, &size)))
    to += 8;
  while (to - at < MC_RECORD_HEADER && to < end)
    to += whole_record(body + to, end - to, &size) ? size : 8;
  return end - to < MC_RECORD_HEADER ? end : to; /* nothing is left over that no filler fits into */
}

/* bytes: of [from, to). Whole records below `trusted` stay. */
static void make_whole(repair *p, uint64_t from, uint8_t *bytes, size_t len, size_t trusted, mc_journal_loss *loss)
{
  uint8_t *body = bytes + MC_GROUP_HEADER;
  size_t end = len - MC_GROUP_HEADER, at = 0;
  mc_group_header h = {.offset = from, .time_us = p->time_us, .length = (uint32_t)end, .summary = MC_SUMMARY_TOLD};
  mc_group_header old;
  trusted = trusted > MC_GROUP_HEADER ? trusted - MC_GROUP_HEADER : 0;
  if (!mc_group_header_get(bytes, &old) && old.offset == from)
    h.time_us = old.time_us;
  memcpy(h.id, p->id, sizeof h.id);
  while (at < end) {
    uint32_t size;
    mc_record r;
    if (at < trusted && !mc_record_get(mc_slice_of(body + at, trusted - at), &r, &size) && (end - at == size || end - at - size >= MC_RECORD_HEADER)) {
      h.summary |= mc_record_summary(&r);
      loss->records_saved++;
      h.count++;
      at += size;
      continue;
    }
    size_t to = bad_run(body, at, trusted, end);
    name_lost(loss, body + at, end - at);
    h.count += fill(body + at, to - at, h.time_us);
    h.summary |= (uint32_t)1 << MC_STREAM_GAP;
    at = to;
  }
  h.payload_crc = mc_crc32c(0, body, end);
  mc_group_header_put(bytes, &h);
}

static mc_err mend_range(repair *p, mc_file *file, uint64_t first, uint64_t from, uint64_t to, uint64_t trusted)
{
  mc_journal_loss loss = {.from = from, .to = to};
  size_t len = (size_t)(to - from), got;
  uint8_t *bytes = calloc(1, len);
  if (!bytes)
    return memory(p);
  mc_err err = mc_file_pread(file, bytes, len, from - first, &got, p->why);
  if (!err)
    err = set_aside(p, from, mc_slice_of(bytes, len), &loss);
  if (!err) {
    make_whole(p, from, bytes, len, trusted > from ? (size_t)(trusted - from) : 0, &loss);
    err = mc_file_pwrite(file, bytes, len, from - first, p->why);
  }
  if (!err)
    err = mc_file_sync(file, p->why);
  free(bytes);
  if (!err)
    tell(p, &loss);
  return err;
}

static mc_err mend(repair *p, mc_file *file, uint64_t first, uint64_t from, uint64_t to, uint64_t trusted)
{
  while (from < to) {
    uint64_t end = to - from <= RANGE_MAX ? to : from + RANGE_MAX - LEAST_RANGE;
    if (end - from < LEAST_RANGE)
      return mc_err_set(p->why, MC_ERR_UNSUPPORTED, "%s: %llu damaged bytes at offset %llu are too few to be mended; restore this journal from a backup", p->path,
                        (unsigned long long)(end - from), (unsigned long long)from);
    MC_TRY(mend_range(p, file, first, from, end, trusted < end ? trusted : end));
    from = end;
  }
  return MC_OK;
}

/* ---- a segment ---- */

static mc_err put_seal(repair *p, mc_file *file, uint64_t first, uint64_t at)
{
  uint8_t bytes[MC_GROUP_HEADER];
  mc_group_header h = {.seal = true, .offset = at, .time_us = p->time_us};
  memcpy(h.id, p->id, sizeof h.id);
  mc_group_header_put(bytes, &h);
  MC_TRY(mc_file_pwrite(file, bytes, sizeof bytes, at - first, p->why));
  return mc_file_sync(file, p->why);
}

static mc_err put_segment_header(repair *p, mc_file *file, uint64_t first, uint64_t size)
{
  uint8_t bytes[MC_SEGMENT_HEADER];
  mc_segment_header h = {.first = first, .size = size, .created_us = mc_clock_wall_us()};
  memcpy(h.id, p->id, sizeof h.id);
  mc_segment_header_put(bytes, &h);
  MC_TRY(mc_file_pwrite(file, bytes, sizeof bytes, 0, p->why));
  return mc_file_sync(file, p->why);
}

/* The header, made anew when it is damaged. next: where the next segment begins, 0 when this is the last one. */
static mc_err mend_header(repair *p, mc_file *file, uint64_t first, uint64_t next, uint64_t *size)
{
  mc_segment_header h;
  mc_why damaged;
  mc_err err = mc_segment_read_header(file, p->path, &h, &damaged);
  if (err == MC_ERR_IO || err == MC_ERR_UNSUPPORTED)
    return mc_err_set(p->why, err, "%s", damaged.text);
  *size = h.size;
  if (!err && (h.first != first || memcmp(h.id, p->id, sizeof h.id) != 0))
    return mc_err_set(p->why, MC_ERR_INVALID, "%s belongs to another journal or place; take it out of the folder", p->path);
  if (!err)
    return MC_OK;
  uint8_t bytes[MC_SEGMENT_HEADER];
  size_t got;
  mc_journal_loss loss = {.from = first, .to = first + MC_SEGMENT_HEADER};
  MC_TRY(mc_segment_guess_size(file, size, p->why));
  if (next && next - first < *size)
    *size = next - first;
  MC_TRY(mc_file_pread(file, bytes, sizeof bytes, 0, &got, p->why));
  MC_TRY(set_aside(p, first, mc_slice_of(bytes, got), &loss));
  MC_TRY(put_segment_header(p, file, first, *size));
  tell(p, &loss);
  return MC_OK;
}

/* Behind the last whole group of a segment that others follow. */
static mc_err mend_end(repair *p, mc_window *w, uint64_t at, uint64_t limit, mc_found found, const mc_group_header *h)
{
  uint64_t seal = limit - MC_GROUP_HEADER;
  if (at > seal)
    return mc_err_set(p->why, MC_ERR_UNSUPPORTED, "%s: no room for a seal at offset %llu; restore this journal from a backup", p->path, (unsigned long long)at);
  if (found == MC_FOUND_NOTHING || seal - at < LEAST_RANGE) { /* only the seal is missing, as far as anyone can tell */
    mc_journal_loss loss = {.from = at, .to = at + MC_GROUP_HEADER};
    mc_slice in;
    MC_TRY(mc_window_need(w, at, MC_GROUP_HEADER, limit, &in, p->why));
    MC_TRY(set_aside(p, at, mc_slice_sub(in, 0, MC_GROUP_HEADER), &loss));
    MC_TRY(put_seal(p, w->file, w->first, at));
    return tell(p, &loss), MC_OK;
  }
  mc_slice in;
  mc_group_header ours;
  uint64_t trusted = at;
  MC_TRY(mc_window_need(w, at, MC_GROUP_HEADER, limit, &in, p->why));
  if (in.len >= MC_GROUP_HEADER && !mc_group_header_get(in.data, &ours) && !ours.seal && h->length < seal - at - MC_GROUP_HEADER)
    trusted = at + MC_GROUP_HEADER + h->length;
  uint64_t to = trusted > at && seal - trusted >= LEAST_RANGE ? trusted : seal;
  MC_TRY(mend(p, w->file, w->first, at, to, trusted));
  return put_seal(p, w->file, w->first, to);
}

/* closed: a later segment holds groups, so that this one must end with a seal. */
static mc_err mend_groups(repair *p, mc_window *w, uint64_t limit, bool closed)
{
  uint64_t at = w->first + MC_SEGMENT_HEADER;
  for (;;) {
    mc_found found;
    mc_group_header h = {0};
    MC_TRY(mc_scan_at(w, at, limit, p->id, true, &found, &h, p->why));
    if (found == MC_FOUND_SEAL)
      return MC_OK;
    if (found == MC_FOUND_GROUP) {
      uint64_t end = at + MC_GROUP_HEADER + (uint64_t)h.length, bad, by_stream[16] = {0};
      MC_TRY(mc_scan_records(w, at, &h, by_stream, &bad, p->why));
      if (bad != UINT64_MAX) { /* its sum is right, and a record is none: damaged before it was written */
        MC_TRY(mend(p, w->file, w->first, at, end, end));
        w->buf.len = 0;
      }
      p->time_us = h.time_us;
      at = end;
      continue;
    }
    uint64_t next;
    MC_TRY(mc_scan_ahead(w, at + 8, limit, p->id, &next, p->why));
    if (next == UINT64_MAX)
      return closed ? mend_end(p, w, at, limit, found, &h) : MC_OK;
    MC_TRY(mend(p, w->file, w->first, at, next, next));
    w->buf.len = 0;
  }
}

static mc_err has_groups(repair *p, uint64_t first, bool *out)
{
  mc_window w = {.first = first};
  mc_found found = MC_FOUND_NOTHING;
  mc_group_header h;
  char path[MC_JOURNAL_PATH];
  mc_segment_path(p->dir, first, path, sizeof path);
  mc_err err = mc_file_open(p->fs, path, MC_FILE_READ, &w.file, p->why);
  uint64_t next = UINT64_MAX;
  if (!err)
    err = mc_scan_at(&w, first + MC_SEGMENT_HEADER, UINT64_MAX, p->id, true, &found, &h, p->why);
  uint64_t size = 0;
  if (!err && found == MC_FOUND_BROKEN)
    err = mc_file_size(w.file, &size, p->why);
  if (!err && size)
    err = mc_scan_ahead(&w, first + MC_SEGMENT_HEADER, first + size, p->id, &next, p->why);
  *out = found == MC_FOUND_GROUP || found == MC_FOUND_SEAL || next != UINT64_MAX;
  mc_window_free(&w);
  return err;
}

static mc_err mend_segment(repair *p, uint64_t first, uint64_t next, bool closed)
{
  mc_window w = {.first = first};
  uint64_t size;
  mc_segment_path(p->dir, first, p->path, sizeof p->path);
  MC_TRY(mc_file_open(p->fs, p->path, MC_FILE_READ | MC_FILE_WRITE, &w.file, p->why));
  mc_err err = mend_header(p, w.file, first, next, &size);
  if (!err)
    err = mend_groups(p, &w, first + size, closed);
  mc_window_free(&w);
  p->out->segments++;
  return err;
}

/* A file that is not there becomes an empty, sealed segment, so that offsets run on. */
static mc_err mend_missing(repair *p, uint64_t first, uint64_t next)
{
  char tmp[MC_JOURNAL_PATH];
  mc_file *file = NULL;
  uint64_t size = next - first;
  mc_journal_loss loss = {.from = first, .to = next, .missing = true};
  if (size < MC_SEGMENT_MIN || size > MC_SEGMENT_MAX || size % 8)
    return mc_err_set(p->why, MC_ERR_UNSUPPORTED, "journal %s: offsets %llu to %llu are in no file, and no segment has that size; restore it from a backup", p->dir,
                      (unsigned long long)first, (unsigned long long)next);
  mc_segment_name(p->dir, "repair.tmp", tmp, sizeof tmp);
  mc_segment_path(p->dir, first, p->path, sizeof p->path);
  mc_err err = mc_file_open(p->fs, tmp, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &file, p->why);
  if (!err)
    err = mc_file_truncate(file, size, p->why);
  if (!err)
    err = put_segment_header(p, file, first, size);
  if (!err)
    err = put_seal(p, file, first, first + MC_SEGMENT_HEADER);
  mc_file_close(&file);
  if (!err)
    err = mc_fs_rename(p->fs, tmp, p->path, p->why);
  if (!err)
    err = mc_fs_sync_dir(p->fs, p->dir, p->why);
  if (!err)
    tell(p, &loss);
  return err;
}

static mc_err mend_all(repair *p, const mc_offsets *segs, bool live)
{
  size_t last = 0; /* the last that holds groups: behind it nothing was lost yet */
  for (size_t i = 0; i < segs->len; i++) {
    bool some;
    MC_TRY(has_groups(p, segs->at[i], &some));
    if (some)
      last = i;
  }
  p->out->left_alone = live ? segs->at[last] : UINT64_MAX;
  for (size_t i = 0; i < segs->len; i++) {
    uint64_t next = i + 1 < segs->len ? segs->at[i + 1] : 0;
    if (i > last || (live && i == last))
      break;
    MC_TRY(mend_segment(p, segs->at[i], next, i < last));
    mc_segment_header h;
    mc_file *file;
    MC_TRY(mc_file_open(p->fs, p->path, MC_FILE_READ, &file, p->why));
    mc_err err = mc_segment_read_header(file, p->path, &h, p->why);
    mc_file_close(&file);
    MC_TRY(err);
    if (next && h.first + h.size < next)
      MC_TRY(mend_missing(p, h.first + h.size, next));
  }
  return MC_OK;
}

/* ---- the compacted file ---- */

static mc_err copy_whole(repair *p, mc_compacted *c, mc_buf *out, uint64_t *records)
{
  mc_record r;
  mc_err err;
  for (uint64_t from = c->at; (err = mc_compacted_next(c, &r, p->why)) != MC_ERR_END; from = c->at) {
    if (err == MC_ERR_CHECKSUM) {
      mc_journal_loss loss = {.from = from, .to = c->at, .compacted = true, .records_lost = 1};
      mc_slice in;
      MC_TRY(mc_window_need(&c->window, from, (size_t)(c->at - from), c->at, &in, p->why));
      MC_TRY(set_aside(p, from, mc_slice_sub(in, 0, (size_t)(c->at - from)), &loss));
      tell(p, &loss);
      continue;
    }
    uint32_t size;
    if (err)
      return err;
    if (mc_record_size(&r, &size) || mc_buf_reserve(out, MC_ENTRY_HEAD + size))
      return memory(p);
    mc_entry_head_put(out->data + out->len, r.offset);
    mc_record_put(out->data + out->len + MC_ENTRY_HEAD, size, &r);
    out->len += MC_ENTRY_HEAD + size;
    ++*records;
  }
  return MC_OK;
}

static mc_err mend_compacted(repair *p)
{
  mc_compacted *c;
  MC_TRY(mc_compacted_open_damaged(p->fs, p->dir, p->id, &c, p->why));
  if (!c)
    return MC_OK;
  mc_buf out = {0};
  uint64_t records = 0, before = p->out->ranges;
  mc_err err = mc_buf_reserve(&out, MC_COMPACTED_HEADER) ? memory(p) : MC_OK;
  out.len = err ? 0 : MC_COMPACTED_HEADER;
  if (!err)
    err = copy_whole(p, c, &out, &records);
  bool header = c->header_damaged || records != c->h.records;
  if (!err && (header || p->out->ranges != before)) {
    mc_compacted_header h = c->h;
    h.bytes = out.len - MC_COMPACTED_HEADER;
    h.records = records;
    mc_compacted_header_put(out.data, &h);
    err = mc_fs_replace(p->fs, c->path, mc_buf_slice(&out), 0600, p->why);
    if (!err && p->out->ranges == before)
      tell(p, &(mc_journal_loss){.from = 0, .to = MC_COMPACTED_HEADER, .compacted = true});
  }
  mc_compacted_close(&c);
  mc_buf_free(&out);
  return err;
}

/* ---- all of it ---- */

/* MC_ERR_CONFLICT: somebody has it. */
static mc_err lock_file(repair *p, const char *name, mc_file **out)
{
  char path[MC_JOURNAL_PATH];
  mc_segment_name(p->dir, name, path, sizeof path);
  MC_TRY(mc_file_open(p->fs, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, out, p->why));
  return mc_file_lock(*out, p->why);
}

mc_err mc_journal_repair(const mc_fs *fs, const char *dir, mc_journal_repair_told told, void *ctx, mc_journal_repair_report *out, mc_why *why)
{
  repair p = {.fs = fs, .dir = dir, .told = told, .ctx = ctx, .out = out, .why = why};
  mc_file *hold = NULL, *lock = NULL;
  mc_offsets segs = {0};
  uint64_t oldest, newest;
  *out = (mc_journal_repair_report){0};
  MC_TRY(mc_journal_identify(fs, dir, p.id, &oldest, &newest, why));
  mc_err err = mc_journal_hold(fs, dir, &hold, why);
  if (!err) {
    err = lock_file(&p, "lock", &lock);
    bool live = err == MC_ERR_CONFLICT;
    if (!err || live)
      err = mc_segment_list(fs, dir, &segs, why);
    if (!err)
      err = mend_all(&p, &segs, live);
    if (!err)
      err = mend_compacted(&p);
  }
  mc_vec_free(&segs);
  mc_file_close(&lock);
  mc_file_close(&hold);
  return err;
}
