#include "journal/compacted.h"

/* Walks a whole journal without its lock. Beside a live process, what is being written shows as a torn tail. */

typedef struct walk {
  const mc_fs *fs;
  const char *dir;
  uint8_t id[MC_JOURNAL_ID];
  mc_journal_report *report;
  mc_why *why;
  bool open;          /* the segment before had no seal: nothing may follow */
  uint64_t open_end;  /* where it ended */
  uint64_t open_first, open_limit; /* the segment */
  mc_found open_found;
  uint64_t expected;  /* where the next segment must begin */
} walk;

/* The id that a segment's header tells, or its first group. */
static mc_err id_of(const mc_fs *fs, const char *dir, uint64_t first, uint8_t id[MC_JOURNAL_ID], bool *known, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  mc_window w = {.first = first};
  mc_segment_header h;
  mc_group_header g;
  mc_slice in;
  mc_segment_path(dir, first, path, sizeof path);
  mc_err err = mc_file_open(fs, path, MC_FILE_READ, &w.file, why);
  if (err == MC_ERR_NOT_FOUND) /* retired meanwhile */
    return MC_OK;
  if (!err && !mc_segment_read_header(w.file, path, &h, why)) {
    memcpy(id, h.id, MC_JOURNAL_ID);
    *known = true;
  } else if (!err && !mc_window_need(&w, w.first + MC_SEGMENT_HEADER, MC_GROUP_HEADER, UINT64_MAX, &in, why) && in.len >= MC_GROUP_HEADER &&
             !mc_group_header_get(in.data, &g) && g.offset == w.first + MC_SEGMENT_HEADER) {
    memcpy(id, g.id, MC_JOURNAL_ID);
    *known = true;
  }
  mc_window_free(&w);
  return err;
}

mc_err mc_journal_identify(const mc_fs *fs, const char *dir, uint8_t id[MC_JOURNAL_ID], uint64_t *oldest, uint64_t *newest, mc_why *why)
{
  mc_offsets segs = {0};
  bool known = false, moved = true;
  mc_err err = MC_OK;
  *newest = UINT64_MAX;
  while (!err && !known && moved) { /* beside a busy process all of them may have been retired while they were looked at: then there are others by now */
    err = mc_segment_list(fs, dir, &segs, why);
    if (!err && !segs.len)
      err = mc_err_set(why, MC_ERR_NOT_FOUND, "%s: no journal segments here", dir);
    moved = !err && segs.at[segs.len - 1] != *newest;
    if (!err) {
      *oldest = segs.at[0];
      *newest = segs.at[segs.len - 1];
    }
    for (size_t i = segs.len; i-- > 0 && !err && !known && moved;)
      err = id_of(fs, dir, segs.at[i], id, &known, why);
  }
  mc_vec_free(&segs);
  return err || known ? err : mc_err_set(why, MC_ERR_CHECKSUM, "%s: no segment has a readable header", dir);
}

static void damage(walk *v, uint64_t offset, const char *what)
{
  if (v->report->damaged_at != UINT64_MAX)
    return;
  v->report->damaged_at = offset;
  mc_err_set(v->why, MC_ERR_CHECKSUM, "journal %s: damaged at offset %llu: %s; readers skip to the next valid group; `motorcade journal repair` sets it aside, a backup may hold it whole", v->dir,
             (unsigned long long)offset, what);
}

static mc_err check_records(walk *v, mc_window *w, uint64_t group, const mc_group_header *h)
{
  uint64_t bad, by_stream[16] = {0};
  MC_TRY(mc_scan_records(w, group, h, by_stream, &bad, v->why));
  if (bad != UINT64_MAX)
    damage(v, bad, bad == group ? "the group holds another number of records than it says" : "a record's checksum or lengths are wrong");
  for (size_t i = 0; i < 16; i++) {
    v->report->records_by_stream[i] += by_stream[i];
    v->report->records += by_stream[i];
  }
  return MC_OK;
}

/* Beside a running process: retention may have taken the file since it was listed, and its bytes may be those of a later segment by now. */
static bool retired(const walk *v, uint64_t first)
{
  mc_offsets segs = {0};
  bool gone = !mc_segment_list(v->fs, v->dir, &segs, NULL) && segs.len && segs.at[0] > first;
  mc_vec_free(&segs);
  return gone;
}

/* What was found wrong with it counts only when it is still there afterwards. */
static bool forgiven(walk *v, uint64_t first, const walk *before, const mc_journal_report *report, mc_err err)
{
  bool wrong = err == MC_ERR_NOT_FOUND || (v->open && v->open_first == first) || v->report->damaged_at != report->damaged_at;
  if (!wrong || !retired(v, first))
    return false;
  *v = *before;
  *v->report = *report;
  v->open = false; /* what came before it is retired, too */
  return true;
}

static mc_err walk_groups(walk *v, mc_window *w, uint64_t at, uint64_t limit);

/* A segment that seemed to end, and something stands behind it: a writer may have gone on, sealed it and begun the next one since it was read. It is read once
 * more from there. */
static mc_err look_again(walk *v)
{
  char path[MC_JOURNAL_PATH];
  walk before = *v;
  mc_journal_report report = *v->report;
  mc_window w = {.first = v->open_first};
  mc_segment_path(v->dir, v->open_first, path, sizeof path);
  mc_err err = mc_file_open(v->fs, path, MC_FILE_READ, &w.file, v->why);
  v->open = false; /* set again when it still ends there */
  if (!err)
    err = walk_groups(v, &w, v->open_end, v->open_limit);
  mc_window_free(&w);
  return forgiven(v, before.open_first, &before, &report, err) ? MC_OK : err;
}

/* A group or seal stands in the segment at `first`: whatever ended before it without a seal was no tail. */
static mc_err something_follows(walk *v, uint64_t first)
{
  if (v->open && v->open_first != first)
    MC_TRY(look_again(v));
  if (v->open)
    damage(v, v->open_end, v->open_found == MC_FOUND_BROKEN ? "a group is broken and others follow" : "groups or the seal are missing and others follow");
  v->open = false;
  return MC_OK;
}

static mc_err walk_groups(walk *v, mc_window *w, uint64_t at, uint64_t limit)
{
  for (;;) {
    mc_found found;
    mc_group_header h;
    MC_TRY(mc_scan_at(w, at, limit, v->id, true, &found, &h, v->why));
    if (found == MC_FOUND_GROUP || found == MC_FOUND_SEAL)
      MC_TRY(something_follows(v, w->first));
    if (found == MC_FOUND_SEAL) {
      v->report->end_offset = at;
      return MC_OK;
    }
    if (found == MC_FOUND_GROUP) {
      v->report->groups++;
      v->report->bytes += MC_GROUP_HEADER + (uint64_t)h.length;
      MC_TRY(check_records(v, w, at, &h));
      v->report->end_offset = at += MC_GROUP_HEADER + (uint64_t)h.length;
      continue;
    }
    uint64_t next;
    MC_TRY(mc_scan_behind(w, at, limit, v->id, &next, v->why));
    if (next == at)
      continue;
    if (!v->open) {
      v->open = true;
      v->open_end = at;
      v->open_first = w->first;
      v->open_limit = limit;
      v->open_found = found;
    }
    if (next == UINT64_MAX)
      return MC_OK;
    at = next;
  }
}

static mc_err walk_segment(walk *v, uint64_t first)
{
  char path[MC_JOURNAL_PATH];
  mc_window w = {.first = first};
  mc_segment_header h;
  mc_why header_why;
  mc_segment_path(v->dir, first, path, sizeof path);
  mc_err err = mc_file_open(v->fs, path, MC_FILE_READ, &w.file, v->why);
  if (err)
    return err;
  uint64_t size = 0;
  err = mc_segment_read_header(w.file, path, &h, &header_why);
  if (err == MC_ERR_IO || err == MC_ERR_UNSUPPORTED) {
    mc_window_free(&w);
    return mc_err_set(v->why, err, "%s", header_why.text);
  }
  if (!err && (h.first != first || memcmp(h.id, v->id, MC_JOURNAL_ID) != 0)) {
    damage(v, first, "the segment belongs to another place or journal");
    v->expected = first + h.size;
    mc_window_free(&w);
    return MC_OK;
  }
  if (err)
    damage(v, first, "the segment header is damaged");
  err = err ? mc_segment_guess_size(w.file, &size, v->why) : (size = h.size, MC_OK);
  v->expected = first + size;
  if (!v->report->segments++)
    v->report->first_offset = v->report->end_offset = first;
  if (!err)
    err = walk_groups(v, &w, first + MC_SEGMENT_HEADER, first + size);
  mc_window_free(&w);
  return err;
}

/* *gone: it was retired meanwhile. */
static mc_err verify_one(walk *v, uint64_t first, bool *gone)
{
  walk before = *v;
  mc_journal_report report = *v->report;
  mc_err err = walk_segment(v, first);
  *gone = forgiven(v, first, &before, &report, err);
  if (!*gone)
    return err;
  v->expected = 0; /* what comes next need not join it */
  return MC_OK;
}

/* *again: retention took the newest of the listed segments before it was read, others have come, and nothing can be said. */
static mc_err verify_segments(walk *v, bool *again)
{
  mc_offsets segs = {0};
  mc_err err = mc_segment_list(v->fs, v->dir, &segs, v->why);
  *again = false;
  for (size_t i = 0; i < segs.len && !err; i++) {
    if (v->expected && segs.at[i] != v->expected && !retired(v, v->expected))
      damage(v, v->expected, "a segment file is missing");
    err = verify_one(v, segs.at[i], again);
  }
  mc_vec_free(&segs);
  return err;
}

static mc_err verify_compacted(walk *v)
{
  mc_compacted *c;
  mc_record r;
  mc_why here;
  mc_err err = mc_compacted_open(v->fs, v->dir, &c, &here);
  if (!err && !c)
    return MC_OK;
  if (!err) {
    while (!(err = mc_compacted_next(c, &r, &here)))
      v->report->compacted_records++;
    if (err == MC_ERR_END && v->report->compacted_records != c->h.records)
      err = mc_err_set(&here, MC_ERR_CHECKSUM, "%s: holds another number of records than it says", c->path);
  }
  mc_compacted_close(&c);
  if (err == MC_ERR_END)
    return MC_OK;
  if (err != MC_ERR_CHECKSUM)
    return mc_err_set(v->why, err, "%s", here.text);
  v->report->compacted_damaged = true;
  if (v->report->damaged_at == UINT64_MAX)
    mc_err_set(v->why, MC_ERR_CHECKSUM, "%s", here.text);
  return MC_OK;
}

mc_err mc_journal_verify(const mc_fs *fs, const char *dir, mc_journal_report *out, mc_why *why)
{
  enum { TRIES = 32 };
  walk v;
  uint8_t id[MC_JOURNAL_ID];
  uint64_t oldest, newest;
  bool again = true;
  mc_err err = mc_journal_identify(fs, dir, id, &oldest, &newest, why);
  *out = (mc_journal_report){.damaged_at = UINT64_MAX};
  for (int i = 0; !err && again && i < TRIES; i++) {
    *out = (mc_journal_report){.damaged_at = UINT64_MAX};
    v = (walk){.fs = fs, .dir = dir, .report = out, .why = why};
    memcpy(v.id, id, sizeof id);
    err = verify_segments(&v, &again);
  }
  if (!err && again)
    err = mc_err_set(why, MC_ERR_AGAIN, "journal %s: retention removes segments faster than they are read", dir);
  if (err)
    return err;
  err = verify_compacted(&v);
  out->torn_tail = v.open && v.open_found == MC_FOUND_BROKEN;
  if (v.open)
    out->end_offset = v.open_end;
  return err;
}
