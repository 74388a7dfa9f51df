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
  mc_found open_found;
  uint64_t expected;  /* where the next segment must begin */
} walk;

mc_err mc_journal_identify(const mc_fs *fs, const char *dir, uint8_t id[MC_JOURNAL_ID], uint64_t *oldest, uint64_t *newest, mc_why *why)
{
  mc_offsets segs = {0};
  char path[MC_JOURNAL_PATH];
  mc_err err = mc_segment_list(fs, dir, &segs, why);
  if (!err && !segs.len)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "%s: no journal segments here", dir);
  bool known = false;
  for (size_t i = segs.len; i-- > 0 && !err && !known;) {
    mc_window w = {.first = segs.at[i]};
    mc_segment_header h;
    mc_group_header g;
    mc_slice in;
    mc_segment_path(dir, segs.at[i], path, sizeof path);
    err = mc_file_open(fs, path, MC_FILE_READ, &w.file, why);
    if (err == MC_ERR_NOT_FOUND) { /* retired meanwhile */
      err = MC_OK;
      continue;
    }
    if (!err && !mc_segment_read_header(w.file, path, &h, why)) {
      memcpy(id, h.id, MC_JOURNAL_ID);
      known = true;
    } else if (!err && !mc_window_need(&w, w.first + MC_SEGMENT_HEADER, MC_GROUP_HEADER, UINT64_MAX, &in, why) &&
               in.len >= MC_GROUP_HEADER && !mc_group_header_get(in.data, &g) && g.offset == w.first + MC_SEGMENT_HEADER) {
      memcpy(id, g.id, MC_JOURNAL_ID);
      known = true;
    }
    mc_window_free(&w);
  }
  if (!err && !known)
    err = mc_err_set(why, MC_ERR_CHECKSUM, "%s: no segment has a readable header", dir);
  if (!err) {
    *oldest = segs.at[0];
    *newest = segs.at[segs.len - 1];
  }
  mc_vec_free(&segs);
  return err;
}

static void damage(walk *v, uint64_t offset, const char *what)
{
  if (v->report->damaged_at != UINT64_MAX)
    return;
  v->report->damaged_at = offset;
  mc_err_set(v->why, MC_ERR_CHECKSUM, "journal %s: damaged at offset %llu: %s; readers skip to the next valid group; `motorcade journal repair` sets it aside, a backup may hold it whole", v->dir,
             (unsigned long long)offset, what);
}

static mc_err check_records(walk *v, mc_window *w, uint64_t at, const mc_group_header *h)
{
  uint64_t end = at + h->length;
  uint32_t count = 0;
  while (at < end) {
    mc_slice in;
    mc_record r;
    uint32_t size;
    MC_TRY(mc_window_need(w, at, MC_RECORD_HEADER, end, &in, v->why));
    mc_err err = mc_record_peek(in, &size);
    if (!err)
      MC_TRY(mc_window_need(w, at, size, end, &in, v->why));
    if (err || mc_record_get(in, &r, &size)) {
      damage(v, at, "a record's checksum or lengths are wrong");
      return MC_OK;
    }
    v->report->records_by_stream[r.stream]++;
    count++;
    at += size;
  }
  if (count != h->count)
    damage(v, end - h->length - MC_GROUP_HEADER, "the group holds another number of records than it says");
  v->report->records += count;
  return MC_OK;
}

/* Something valid stands at offset `at`: whatever ended before it without a seal was no tail. */
static void something_follows(walk *v)
{
  if (v->open)
    damage(v, v->open_end, v->open_found == MC_FOUND_BROKEN ? "a group is broken and others follow" : "groups or the seal are missing and others follow");
  v->open = false;
}

static mc_err walk_segment(walk *v, mc_window *w, uint64_t limit)
{
  uint64_t at = w->first + MC_SEGMENT_HEADER;
  for (;;) {
    mc_found found;
    mc_group_header h;
    MC_TRY(mc_scan_at(w, at, limit, v->id, true, &found, &h, v->why));
    if (found == MC_FOUND_GROUP || found == MC_FOUND_SEAL)
      something_follows(v);
    if (found == MC_FOUND_SEAL) {
      v->report->end_offset = at;
      return MC_OK;
    }
    if (found == MC_FOUND_GROUP) {
      v->report->groups++;
      v->report->bytes += MC_GROUP_HEADER + (uint64_t)h.length;
      MC_TRY(check_records(v, w, at + MC_GROUP_HEADER, &h));
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
      v->open_found = found;
    }
    if (next == UINT64_MAX)
      return MC_OK;
    at = next;
  }
}

static mc_err verify_one(walk *v, uint64_t first)
{
  char path[MC_JOURNAL_PATH];
  mc_window w = {.first = first};
  mc_segment_header h;
  mc_why header_why;
  mc_segment_path(v->dir, first, path, sizeof path);
  mc_err err = mc_file_open(v->fs, path, MC_FILE_READ, &w.file, v->why);
  if (err == MC_ERR_NOT_FOUND && !v->report->segments)
    return MC_OK; /* retired since we listed it */
  if (err)
    return err;
  uint64_t size = 0;
  err = mc_segment_read_header(w.file, path, &h, &header_why);
  if (err == MC_ERR_IO || err == MC_ERR_UNSUPPORTED) {
    mc_window_free(&w);
    return mc_err_set(v->why, err, "%s", header_why.text);
  }
  if (!err && (h.first != first || memcmp(h.id, v->id, MC_JOURNAL_ID) != 0)) {
    if (v->report->segments || h.first < first) /* else recycled since we listed it */
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
    err = walk_segment(v, &w, first + size);
  mc_window_free(&w);
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
  *out = (mc_journal_report){.damaged_at = UINT64_MAX};
  walk v = {.fs = fs, .dir = dir, .report = out, .why = why};
  uint64_t oldest, newest;
  MC_TRY(mc_journal_identify(fs, dir, v.id, &oldest, &newest, why));
  mc_offsets segs = {0};
  mc_err err = mc_segment_list(fs, dir, &segs, why);
  for (size_t i = 0; i < segs.len && !err; i++) {
    if (out->segments && segs.at[i] != v.expected)
      damage(&v, v.expected, "a segment file is missing");
    err = verify_one(&v, segs.at[i]);
  }
  mc_vec_free(&segs);
  if (!err)
    err = verify_compacted(&v);
  out->torn_tail = v.open && v.open_found == MC_FOUND_BROKEN;
  if (v.open)
    out->end_offset = v.open_end;
  return err;
}
