#include "base/crc32c.h"
#include "journal/inside.h"

enum { WINDOW = 256 << 10 };

mc_err mc_window_need(mc_window *w, uint64_t offset, size_t need, uint64_t limit, mc_slice *out, mc_why *why)
{
  *out = (mc_slice){0};
  if (offset >= limit)
    return MC_OK;
  if (need > limit - offset)
    need = (size_t)(limit - offset);
  if (offset < w->at || offset - w->at + need > w->buf.len) {
    size_t want = need > WINDOW ? need : WINDOW;
    if (want > limit - offset)
      want = (size_t)(limit - offset);
    w->buf.len = 0;
    w->at = offset;
    w->reads++;
    if (mc_buf_reserve(&w->buf, want))
      return mc_err_set(why, MC_ERR_MEMORY, "journal: out of memory for %zu bytes", want);
    MC_TRY(w->live ? mc_tail_pread(w->live, w->file, w->first, w->buf.data, want, offset, &w->buf.len, why)
                   : mc_file_pread(w->file, w->buf.data, want, offset - w->first, &w->buf.len, why));
  }
  *out = mc_slice_of(w->buf.data + (offset - w->at), w->buf.len - (size_t)(offset - w->at)); /* never below 0: see above */
  if (out->len > limit - offset)
    out->len = (size_t)(limit - offset);
  return MC_OK;
}

void mc_window_free(mc_window *w)
{
  mc_file_close(&w->file);
  mc_buf_free(&w->buf);
}

static mc_err payload_crc(mc_window *w, uint64_t offset, uint64_t length, uint64_t limit, uint32_t *crc, bool *whole, mc_why *why)
{
  *crc = 0;
  *whole = length <= limit && offset <= limit - length;
  for (uint64_t done = 0; *whole && done < length;) {
    mc_slice part;
    MC_TRY(mc_window_need(w, offset + done, 1, limit, &part, why));
    if (part.len > length - done)
      part.len = (size_t)(length - done);
    *whole = part.len > 0;
    *crc = mc_crc32c(*crc, part.data, part.len);
    done += part.len;
  }
  return MC_OK;
}

static bool all_zero(const uint8_t *p, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (p[i])
      return false;
  return true;
}

mc_err mc_scan_at(mc_window *w, uint64_t offset, uint64_t limit, const uint8_t id[MC_JOURNAL_ID], bool payload, mc_found *found,
                  mc_group_header *h, mc_why *why)
{
  mc_slice in;
  *found = MC_FOUND_NOTHING;
  MC_TRY(mc_window_need(w, offset, MC_GROUP_HEADER, limit, &in, why));
  if (!in.data || in.len < MC_GROUP_HEADER || all_zero(in.data, MC_GROUP_HEADER))
    return MC_OK;
  mc_err err = mc_group_header_get(in.data, h);
  if (err == MC_ERR_UNSUPPORTED)
    return mc_err_set(why, err, "journal: the group at offset %llu was written by a later version of motorcade (format %u); use that version",
                      (unsigned long long)offset, in.data[0]);
  if (err) {
    bool begun = !memcmp(in.data + 1, "GRP", 3) || !memcmp(in.data + 1, "END", 3) || mc_load_le64(in.data + 8) == offset ||
                 !memcmp(in.data + 16, id, MC_JOURNAL_ID);
    *found = begun ? MC_FOUND_BROKEN : MC_FOUND_NOTHING;
    return MC_OK;
  }
  if (h->offset != offset || memcmp(h->id, id, MC_JOURNAL_ID) != 0)
    return MC_OK; /* left over from another place or journal */
  if (h->seal) {
    *found = MC_FOUND_SEAL;
    return MC_OK;
  }
  uint32_t crc = h->payload_crc;
  bool whole = h->length <= limit - offset - MC_GROUP_HEADER;
  if (payload)
    MC_TRY(payload_crc(w, offset + MC_GROUP_HEADER, h->length, limit, &crc, &whole, why));
  *found = whole && crc == h->payload_crc ? MC_FOUND_GROUP : MC_FOUND_BROKEN;
  return MC_OK;
}

mc_err mc_scan_records(mc_window *w, uint64_t group, const mc_group_header *h, uint64_t by_stream[16], uint64_t *bad, mc_why *why)
{
  uint64_t at = group + MC_GROUP_HEADER, end = at + h->length;
  uint32_t count = 0;
  *bad = UINT64_MAX;
  for (; at < end; count++) {
    mc_slice in;
    mc_record r;
    uint32_t size;
    MC_TRY(mc_window_need(w, at, MC_RECORD_HEADER, end, &in, why));
    mc_err err = mc_record_peek(in, &size);
    if (!err)
      MC_TRY(mc_window_need(w, at, size, end, &in, why));
    if (err || mc_record_get(in, &r, &size)) {
      *bad = at;
      return MC_OK;
    }
    by_stream[r.stream]++;
    at += size;
  }
  if (count != h->count)
    *bad = group;
  return MC_OK;
}

mc_err mc_scan_ahead(mc_window *w, uint64_t offset, uint64_t limit, const uint8_t id[MC_JOURNAL_ID], uint64_t *out, mc_why *why)
{
  *out = UINT64_MAX;
  offset = (offset + 7) & ~(uint64_t)7;
  while (offset < limit && limit - offset >= MC_GROUP_HEADER) {
    mc_slice in;
    MC_TRY(mc_window_need(w, offset, MC_GROUP_HEADER, limit, &in, why));
    if (in.len < MC_GROUP_HEADER)
      return MC_OK;
    size_t at = 0;
    while (at + MC_GROUP_HEADER <= in.len && mc_load_le64(in.data + at + 8) != offset + at)
      at += 8;
    offset += at;
    if (at + MC_GROUP_HEADER > in.len)
      continue;
    mc_found found;
    mc_group_header h;
    mc_why later;
    mc_err err = mc_scan_at(w, offset, limit, id, true, &found, &h, &later);
    if (err && err != MC_ERR_UNSUPPORTED)
      return mc_err_set(why, err, "%s", later.text);
    if (!err && (found == MC_FOUND_GROUP || found == MC_FOUND_SEAL)) {
      *out = offset;
      return MC_OK;
    }
    offset += 8;
  }
  return MC_OK;
}

mc_err mc_scan_behind(mc_window *w, uint64_t offset, uint64_t limit, const uint8_t id[MC_JOURNAL_ID], uint64_t *out, mc_why *why)
{
  mc_found found;
  mc_group_header h;
  MC_TRY(mc_scan_ahead(w, offset + 8, limit, id, out, why));
  if (*out == UINT64_MAX)
    return MC_OK;
  w->buf.len = 0;
  MC_TRY(mc_scan_at(w, offset, limit, id, true, &found, &h, why));
  if (found == MC_FOUND_GROUP || found == MC_FOUND_SEAL)
    *out = offset;
  return MC_OK;
}
