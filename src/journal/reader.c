#include <stdlib.h>

#include "journal/compacted.h"

/* One reader, two sources. Over a live journal everything below `end` is whole: groups' headers are stepped over
 * and each record is checked by its own sum. Over a folder alone nothing is known to be whole: each group is checked
 * before its first record is handed out, and `limit` is its end. */
struct mc_journal_reader {
  mc_journal *journal; /* NULL: offline */
  const mc_fs *fs;
  char *dir; /* offline: owned */
  uint8_t id[MC_JOURNAL_ID];
  mc_journal_filter filter;
  uint64_t at;
  uint64_t limit;
  bool inside; /* window.file is the segment seg_first */
  uint64_t seg_first, seg_size;
  mc_window window;
  mc_buf opened; /* the payload of an enciphered record */
  uint64_t reads_checked;
  int slot; /* live: in reader_at, so that what it reads next stays in memory; -1 none */
  bool sealed;              /* enciphered records are handed out as they stand */
  uint64_t until;           /* live: reads no further */
  uint32_t want;            /* summary bits; 0: everything */
  mc_compacted *compacted;  /* while it reads there */
  uint64_t compacted_until; /* then it goes on here */
  uint64_t nothing_behind; /* offline: an end behind which nothing was found; not searched again at every poll */
};

static const char *dir_of(const mc_journal_reader *r)
{
  return r->journal ? r->journal->dir : r->dir;
}

static void leave_segment(mc_journal_reader *r)
{
  mc_file_close(&r->window.file);
  r->window.buf.len = 0;
  r->inside = false;
}

/* ---- finding the segment ---- */

static mc_err gone(mc_journal_reader *r, uint64_t oldest, mc_why *why)
{
  return mc_err_set(why, MC_ERR_NOT_FOUND, "journal %s: offset %llu is no longer kept; the oldest offset kept is %llu", dir_of(r),
                    (unsigned long long)r->at, (unsigned long long)oldest);
}

static mc_err open_segment(mc_journal_reader *r, uint64_t first, uint64_t size, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  leave_segment(r);
  mc_segment_path(dir_of(r), first, path, sizeof path);
  MC_TRY(mc_file_open(r->fs, path, MC_FILE_READ, &r->window.file, why));
  r->window.first = r->seg_first = first;
  r->seg_size = size;
  r->inside = true;
  if (r->journal)
    return MC_OK;
  mc_segment_header h;
  mc_why damaged;
  mc_err err = mc_segment_read_header(r->window.file, path, &h, &damaged);
  if (err == MC_ERR_IO || err == MC_ERR_UNSUPPORTED)
    return mc_err_set(why, err, "%s", damaged.text);
  if (err)
    return mc_segment_guess_size(r->window.file, &r->seg_size, why); /* its groups tell their places themselves */
  r->seg_size = h.size;
  return h.first == first ? MC_OK : gone(r, h.first, why); /* recycled under our eyes */
}

/* Offline: the newest segment that begins at or before r->at. MC_ERR_END: at lies behind the last one. */
static mc_err open_offline(mc_journal_reader *r, mc_why *why)
{
  mc_offsets segs = {0};
  mc_err err = mc_segment_list(r->fs, r->dir, &segs, why);
  size_t n = 0;
  while (!err && n < segs.len && segs.at[n] <= r->at)
    n++;
  if (!err && !segs.len)
    err = mc_err_set(why, MC_ERR_NOT_FOUND, "%s: no journal segments here", r->dir);
  else if (!err && n == 0)
    err = gone(r, segs.at[0], why);
  else if (!err)
    err = open_segment(r, segs.at[n - 1], 0, why);
  if (!err && r->at - r->seg_first >= r->seg_size) {
    leave_segment(r);
    if (n < segs.len) /* a gap: files are missing */
      err = gone(r, segs.at[n], why);
    else
      err = MC_ERR_END;
  }
  mc_vec_free(&segs);
  return err;
}

static mc_err enter_segment(mc_journal_reader *r, mc_why *why)
{
  if (r->inside && r->at >= r->seg_first && r->at - r->seg_first < r->seg_size)
    return MC_OK;
  leave_segment(r);
  if (!r->journal)
    return open_offline(r, why);
  uint64_t first, size;
  MC_TRY(mc_segment_find(r->journal, r->at, &first, &size, why));
  mc_err err = open_segment(r, first, size, why);
  return err == MC_ERR_NOT_FOUND ? mc_segment_gone(r->journal, r->at, why) : err;
}

/* After bytes were read: were they still those of this segment? Retention moves `first` (live) or the file's name and header
 * (offline) before anything else is written into a recycled file. */
static mc_err check_kept(mc_journal_reader *r, mc_why *why)
{
  if (r->reads_checked == r->window.reads)
    return MC_OK;
  r->reads_checked = r->window.reads;
  if (r->journal)
    mc_journal_follow_on(r->journal, r->slot, r->at);
  uint64_t oldest = 0;
  bool kept;
  if (r->journal) {
    oldest = atomic_load(&r->journal->first);
    kept = oldest <= r->seg_first;
  } else {
    mc_segment_header h;
    mc_why ignored;
    kept = mc_segment_read_header(r->window.file, r->dir, &h, &ignored) != MC_OK || h.first == r->seg_first;
    oldest = kept ? 0 : r->seg_first + r->seg_size;
  }
  if (kept)
    return MC_OK;
  leave_segment(r);
  return gone(r, oldest, why);
}

/* ---- damage ---- */

static mc_err skip_damage(mc_journal_reader *r, uint64_t to, mc_why *why)
{
  uint64_t from = r->at;
  r->at = to;
  return mc_err_set(why, MC_ERR_CHECKSUM, "journal %s: damaged at offset %llu; %llu bytes are skipped and reading goes on at %llu; compare with a backup",
                    dir_of(r), (unsigned long long)from, (unsigned long long)(to - from), (unsigned long long)to);
}

/* Live: r->at should hold a record or group, and does not. */
static mc_err live_damage(mc_journal_reader *r, mc_why *why)
{
  uint64_t seg_end = r->seg_first + r->seg_size;
  uint64_t stop = r->limit < seg_end ? r->limit : seg_end;
  uint64_t next;
  MC_TRY(mc_scan_ahead(&r->window, r->at + 8, stop, r->id, &next, why));
  MC_TRY(check_kept(r, why));
  return skip_damage(r, next == UINT64_MAX ? stop : next, why);
}

/* Offline: does the next segment hold anything? Then this one cannot end here. */
static mc_err next_has_groups(mc_journal_reader *r, bool *out, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  mc_window w = {.first = r->seg_first + r->seg_size};
  mc_found found = MC_FOUND_NOTHING;
  mc_group_header h;
  *out = false;
  mc_segment_path(r->dir, w.first, path, sizeof path);
  mc_err err = mc_file_open(r->fs, path, MC_FILE_READ, &w.file, why);
  if (err == MC_ERR_NOT_FOUND)
    return MC_OK;
  if (!err)
    err = mc_scan_at(&w, w.first + MC_SEGMENT_HEADER, UINT64_MAX, r->id, true, &found, &h, why);
  *out = found == MC_FOUND_GROUP || found == MC_FOUND_SEAL;
  mc_window_free(&w);
  return err;
}

/* ---- stepping ---- */

static mc_err offline_group(mc_journal_reader *r, mc_why *why)
{
  uint64_t seg_end = r->seg_first + r->seg_size;
  mc_found found;
  mc_group_header h;
  r->window.buf.len = 0; /* bytes beyond the last whole group may have been written since */
  MC_TRY(mc_scan_at(&r->window, r->at, seg_end, r->id, true, &found, &h, why));
  MC_TRY(check_kept(r, why));
  if (found == MC_FOUND_GROUP) {
    r->at += MC_GROUP_HEADER;
    r->limit = r->at + h.length;
    if (!mc_summary_may_hold(h.summary, r->want))
      r->at = r->limit;
    return MC_OK;
  }
  if (found == MC_FOUND_SEAL) {
    r->limit = r->at = seg_end;
    return MC_OK;
  }
  uint64_t next = UINT64_MAX;
  bool more = false;
  if (found == MC_FOUND_BROKEN || r->nothing_behind != r->at)
    MC_TRY(mc_scan_behind(&r->window, r->at, seg_end, r->id, &next, why));
  if (next == r->at)
    return MC_OK; /* it was being written; it is looked at anew */
  if (next == UINT64_MAX)
    MC_TRY(next_has_groups(r, &more, why));
  r->window.buf.len = 0;
  if (more) { /* since it was read the writer may have gone on, sealed it and begun the next one: it is looked at anew */
    MC_TRY(mc_scan_at(&r->window, r->at, seg_end, r->id, true, &found, &h, why));
    if (found == MC_FOUND_GROUP || found == MC_FOUND_SEAL)
      return MC_OK;
  }
  if (next == UINT64_MAX && !more) {
    r->nothing_behind = r->at;
    return MC_ERR_END;
  }
  r->limit = next == UINT64_MAX ? seg_end : next;
  return skip_damage(r, r->limit, why);
}

static bool wanted(const mc_journal_reader *r, const mc_record *rec)
{
  return (r->filter.streams ? r->filter.streams >> rec->stream & 1 : rec->stream != MC_STREAM_GAP) && (!r->filter.partitions || r->filter.partitions >> rec->partition & 1);
}

/* Live: at a group header or seal; steps over it. */
static mc_err live_group(mc_journal_reader *r, uint64_t stop, mc_why *why)
{
  mc_found found;
  mc_group_header h;
  MC_TRY(mc_scan_at(&r->window, r->at, stop, r->id, false, &found, &h, why));
  MC_TRY(check_kept(r, why));
  if (found == MC_FOUND_GROUP)
    r->at += MC_GROUP_HEADER + (mc_summary_may_hold(h.summary, r->want) ? 0 : (uint64_t)h.length);
  else if (found == MC_FOUND_SEAL)
    r->at = r->seg_first + r->seg_size;
  else
    return live_damage(r, why);
  return MC_OK;
}

/* Opens an enciphered record. One whose key was destroyed is passed over: it is as if it had never been. */
static mc_err open_record(mc_journal_reader *r, mc_record *rec, uint32_t size, bool *got, mc_why *why)
{
  mc_err err = mc_journal_decipher(r->journal, rec, &r->opened);
  if (!err)
    return MC_OK;
  *got = false;
  if (err == MC_ERR_NOT_FOUND) {
    mc_metric_add(r->journal->m_erased, 1);
    return MC_OK;
  }
  if (err == MC_ERR_MEMORY) {
    r->at -= size; /* it is read again */
    return mc_err_set(why, err, "journal %s: out of memory for a record of %u bytes", dir_of(r), size);
  }
  return mc_err_set(why, MC_ERR_CHECKSUM, "journal %s: the record at offset %llu does not open under its key %u: it was changed, or the key is another", dir_of(r),
                    (unsigned long long)rec->offset, rec->key_id);
}

static mc_err hand_out(mc_journal_reader *r, mc_record *rec, uint32_t size, mc_record *out, bool *got, mc_why *why)
{
  *got = wanted(r, rec);
  if (*got && r->journal && r->journal->cipher.open && (rec->flags & MC_RECORD_ENCIPHERED) && !r->sealed)
    MC_TRY(open_record(r, rec, size, got, why));
  if (*got)
    *out = *rec;
  return MC_OK;
}

/* Reads what stands at r->at, inside the segment and below the limit. *got: a record was handed out. */
static mc_err step(mc_journal_reader *r, mc_record *out, bool *got, mc_why *why)
{
  uint64_t seg_end = r->seg_first + r->seg_size;
  uint64_t stop = r->limit < seg_end ? r->limit : seg_end;
  mc_slice in;
  uint32_t size;
  MC_TRY(mc_window_need(&r->window, r->at, MC_RECORD_HEADER, stop, &in, why));
  mc_err err = mc_record_peek(in, &size);
  if (err && r->journal)
    return live_group(r, stop, why);
  if (!err)
    MC_TRY(mc_window_need(&r->window, r->at, size, stop, &in, why));
  MC_TRY(check_kept(r, why));
  mc_record rec = {0};
  err = err ? err : mc_record_get(in, &rec, &size);
  if (err == MC_ERR_UNSUPPORTED)
    return mc_err_set(why, err, "journal %s: the record at offset %llu was written by a later version of motorcade; use that version", dir_of(r),
                      (unsigned long long)r->at);
  if (err && r->journal)
    return live_damage(r, why);
  if (err) /* a valid group with a broken record: nobody wrote that */
    return skip_damage(r, r->limit, why);
  rec.offset = r->at;
  r->at += size;
  return hand_out(r, &rec, size, out, got, why);
}

/* ---- below the oldest segment ---- */

static mc_err oldest_offset(mc_journal_reader *r, uint64_t *out, mc_why *why)
{
  *out = 0;
  if (r->journal) {
    *out = atomic_load(&r->journal->first);
    return MC_OK;
  }
  mc_offsets segs = {0};
  mc_err err = mc_segment_list(r->fs, r->dir, &segs, why);
  if (!err && segs.len)
    *out = segs.at[0];
  mc_vec_free(&segs);
  return err;
}

/* Reads what outlived its segment, when the next offset lies below the oldest one. A compacted file is opened after the oldest offset was
 * looked at, so that it covers everything below that. */
static mc_err step_compacted(mc_journal_reader *r, mc_record *out, bool *got, mc_why *why)
{
  if (!r->compacted) {
    if (r->inside)
      return MC_OK;
    MC_TRY(oldest_offset(r, &r->compacted_until, why));
    if (r->at >= r->compacted_until)
      return MC_OK;
    mc_err err = mc_compacted_open(r->fs, dir_of(r), &r->compacted, why);
    if (err == MC_ERR_CHECKSUM) /* told once, as all damage: the next call goes on behind it */
      r->at = r->limit = r->compacted_until;
    MC_TRY(err);
  }
  mc_record rec;
  mc_err err = r->compacted ? MC_OK : MC_ERR_END;
  while (!err) {
    err = mc_compacted_next(r->compacted, &rec, why);
    if (!err && rec.offset >= r->compacted_until)
      err = MC_ERR_END; /* its segment is still there */
    if (err || rec.offset < r->at)
      continue;
    uint32_t size = 0;
    mc_record_size(&rec, &size);
    r->at = rec.offset + size;
    err = hand_out(r, &rec, size, out, got, why);
    if (err == MC_ERR_MEMORY)
      mc_compacted_again(r->compacted, &rec, size);
    if (err || *got)
      return err;
  }
  if (err != MC_ERR_END)
    return err;
  mc_compacted_close(&r->compacted);
  r->at = r->limit = r->compacted_until;
  return MC_OK;
}

static mc_err advance(mc_journal_reader *r, mc_record *out, bool *got, mc_why *why)
{
  if (r->journal) {
    if (r->at >= r->limit) {
      uint64_t end = atomic_load(&r->journal->end);
      r->limit = end < r->until ? end : r->until;
    }
    if (r->at >= r->limit)
      return MC_ERR_END;
    if (atomic_load_explicit(&r->journal->closed, memory_order_relaxed))
      return mc_err_set(why, MC_ERR_CLOSED, "journal %s is closed", dir_of(r));
  }
  if (r->filter.compacted && !r->inside) {
    uint64_t before = r->at;
    MC_TRY(step_compacted(r, out, got, why));
    if (*got || r->at != before)
      return MC_OK;
  }
  MC_TRY(enter_segment(r, why));
  if (r->at - r->seg_first < MC_SEGMENT_HEADER) {
    r->limit = r->journal ? r->limit : r->seg_first + MC_SEGMENT_HEADER;
    r->at = r->seg_first + MC_SEGMENT_HEADER;
    return MC_OK;
  }
  if (!r->journal && r->at >= r->limit)
    return offline_group(r, why);
  return step(r, out, got, why);
}

mc_err mc_journal_reader_next(mc_journal_reader *r, mc_record *out, mc_why *why)
{
  for (;;) {
    bool got = false;
    mc_err err = advance(r, out, &got, why);
    uint64_t oldest;
    if (err == MC_ERR_NOT_FOUND && r->filter.compacted && !oldest_offset(r, &oldest, NULL) && r->at < oldest)
      continue; /* retention passed it: what is left of that stands in the compacted file now */
    if (err || got)
      return err;
  }
}

void mc_journal_reader_want(mc_journal_reader *r, uint32_t summary, uint64_t until)
{
  r->sealed = true;
  r->want = summary;
  r->until = until;
}

uint64_t mc_journal_reader_offset(const mc_journal_reader *r)
{
  return r->at;
}

/* ---- creating ---- */

void mc_journal_reader_destroy(mc_journal_reader **reader)
{
  mc_journal_reader *r = *reader;
  if (!r)
    return;
  mc_window_free(&r->window);
  mc_buf_free(&r->opened);
  mc_compacted_close(&r->compacted);
  if (r->journal) {
    mc_journal_follow_on(r->journal, r->slot, UINT64_MAX);
    mc_journal_unref(r->journal);
  }
  free(r->dir);
  free(r);
  *reader = NULL;
}

static mc_err not_a_boundary(const mc_journal_reader *r, uint64_t offset, mc_why *why)
{
  return mc_err_set(why, MC_ERR_INVALID, "journal %s: no record begins at offset %llu; use an offset that the journal handed out", dir_of(r),
                    (unsigned long long)offset);
}

static mc_err check_start(mc_journal_reader *r, mc_why *why)
{
  uint64_t end = atomic_load(&r->journal->end);
  if (r->at > end)
    return mc_err_set(why, MC_ERR_INVALID, "journal %s: offset %llu lies beyond the end %llu", dir_of(r), (unsigned long long)r->at,
                      (unsigned long long)end);
  if (r->at < atomic_load(&r->journal->first))
    return r->filter.compacted ? MC_OK : mc_segment_gone(r->journal, r->at, why);
  if (r->at == end)
    return MC_OK;
  mc_err err = enter_segment(r, why);
  if (err == MC_ERR_NOT_FOUND && r->filter.compacted && r->at < atomic_load(&r->journal->first))
    return MC_OK; /* retired this moment */
  if (err)
    return err;
  if (r->at - r->seg_first < MC_SEGMENT_HEADER)
    return r->at == r->seg_first ? MC_OK : not_a_boundary(r, r->at, why);
  if (r->at % 8)
    return not_a_boundary(r, r->at, why);
  mc_slice in;
  mc_group_header h;
  mc_record rec;
  uint32_t size;
  uint64_t seg_end = r->seg_first + r->seg_size;
  uint64_t stop = end < seg_end ? end : seg_end;
  MC_TRY(mc_window_need(&r->window, r->at, MC_GROUP_HEADER, stop, &in, why));
  if (in.len >= MC_GROUP_HEADER && !mc_group_header_get(in.data, &h) && h.offset == r->at)
    return check_kept(r, why);
  if (!mc_record_peek(in, &size))
    MC_TRY(mc_window_need(&r->window, r->at, size, stop, &in, why));
  MC_TRY(check_kept(r, why));
  return mc_record_get(in, &rec, &size) ? not_a_boundary(r, r->at, why) : MC_OK;
}

mc_err mc_journal_reader_create(mc_journal *j, uint64_t offset, mc_journal_filter filter, mc_journal_reader **out, mc_why *why)
{
  *out = NULL;
  mc_journal_reader *r = calloc(1, sizeof *r);
  if (!r)
    return mc_err_set(why, MC_ERR_MEMORY, "journal reader: out of memory");
  r->journal = r->window.live = j;
  r->fs = j->fs;
  memcpy(r->id, j->id, sizeof r->id);
  r->filter = filter;
  r->want = filter.streams & 0xFFFE;
  r->at = offset;
  r->slot = mc_journal_follow(j, offset);
  r->until = UINT64_MAX;
  mc_journal_ref(j);
  mc_err err = check_start(r, why);
  if (err)
    mc_journal_reader_destroy(&r);
  *out = r;
  return err;
}

/* Offline: from the segment's start over whole groups to the one that holds offset, then over its records. */
static mc_err seek(mc_journal_reader *r, uint64_t offset, mc_why *why)
{
  mc_record rec;
  mc_journal_filter filter = r->filter;
  r->filter = (mc_journal_filter){0};
  r->want = 0;
  r->at = r->limit = r->seg_first + MC_SEGMENT_HEADER;
  mc_err err = MC_OK;
  while (r->at < offset && !err) {
    uint64_t before = r->at;
    if (r->at >= r->limit) {
      err = offline_group(r, why);
      if (!err && r->limit <= offset)
        r->at = r->limit;
    } else {
      bool got;
      err = step(r, &rec, &got, why);
    }
    if (err == MC_ERR_CHECKSUM && r->at > before)
      err = MC_OK;
  }
  r->filter = filter;
  r->want = filter.streams & 0xFFFE;
  if (err == MC_ERR_END || (!err && r->at != offset))
    return not_a_boundary(r, offset, why);
  return err;
}

static mc_err seek_end(mc_journal_reader *r, mc_why *why)
{
  mc_err err = MC_OK;
  while (!err || err == MC_ERR_CHECKSUM) {
    err = enter_segment(r, why);
    if (!err && r->at - r->seg_first < MC_SEGMENT_HEADER)
      r->at = r->seg_first + MC_SEGMENT_HEADER;
    if (!err)
      err = offline_group(r, why);
    if (!err && r->limit > r->at) /* else it is looked at anew */
      r->at = r->limit;
  }
  r->limit = r->at;
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err begin_offline(mc_journal_reader *r, uint64_t offset, mc_why *why)
{
  uint64_t oldest, newest;
  MC_TRY(mc_journal_identify(r->fs, r->dir, r->id, &oldest, &newest, why));
  if (offset == UINT64_MAX) {
    r->at = newest;
    MC_TRY(enter_segment(r, why));
    MC_TRY(seek_end(r, why));
    if (r->at - r->seg_first > MC_SEGMENT_HEADER || r->seg_first == oldest)
      return MC_OK;
    r->at = r->seg_first - 1; /* prepared, not begun: the end is in the one before */
    MC_TRY(enter_segment(r, why));
    r->at = r->seg_first;
    return seek_end(r, why);
  }
  r->at = r->limit = offset;
  if (offset < oldest && r->filter.compacted)
    return MC_OK;
  MC_TRY(enter_segment(r, why));
  if (offset == r->seg_first || offset == r->seg_first + MC_SEGMENT_HEADER)
    return MC_OK;
  return seek(r, offset, why);
}

mc_err mc_journal_open_reader(const mc_fs *fs, const char *dir, uint64_t offset, mc_journal_filter filter, mc_journal_reader **out, mc_why *why)
{
  *out = NULL;
  mc_journal_reader *r = calloc(1, sizeof *r);
  char *copy = strdup(dir);
  if (!r || !copy) {
    free(r);
    free(copy);
    return mc_err_set(why, MC_ERR_MEMORY, "journal reader: out of memory");
  }
  r->fs = fs;
  r->dir = copy;
  r->filter = filter;
  r->want = filter.streams & 0xFFFE;
  mc_err err = begin_offline(r, offset, why);
  if (err == MC_ERR_END)
    err = not_a_boundary(r, offset, why);
  if (err)
    mc_journal_reader_destroy(&r);
  *out = r;
  return err;
}
