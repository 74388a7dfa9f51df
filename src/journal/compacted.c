#include "journal/compacted.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"

enum { VERSION = 1 };

void mc_compacted_header_put(uint8_t out[MC_COMPACTED_HEADER], const mc_compacted_header *h)
{
  memset(out, 0, MC_COMPACTED_HEADER);
  out[0] = VERSION;
  out[1] = 'K';
  out[2] = 'E';
  out[3] = 'Y';
  mc_store_le32(out + 4, MC_COMPACTED_HEADER);
  mc_store_le64(out + 8, h->cover);
  memcpy(out + 16, h->id, MC_JOURNAL_ID);
  mc_store_le64(out + 32, h->bytes);
  mc_store_le64(out + 40, h->records);
  mc_store_le64(out + 48, (uint64_t)h->made_us);
  mc_store_le32(out + 60, mc_crc32c(0, out, 60));
}

mc_err mc_compacted_header_get(const uint8_t in[MC_COMPACTED_HEADER], mc_compacted_header *h)
{
  if (memcmp(in + 1, "KEY", 3) != 0)
    return MC_ERR_MALFORMED;
  if (mc_crc32c(0, in, 60) != mc_load_le32(in + 60))
    return MC_ERR_CHECKSUM;
  if (in[0] != VERSION)
    return MC_ERR_UNSUPPORTED;
  h->cover = mc_load_le64(in + 8);
  memcpy(h->id, in + 16, MC_JOURNAL_ID);
  h->bytes = mc_load_le64(in + 32);
  h->records = mc_load_le64(in + 40);
  h->made_us = (int64_t)mc_load_le64(in + 48);
  return h->cover <= MC_OFFSET_MAX && h->bytes <= MC_OFFSET_MAX && h->bytes % 8 == 0 ? MC_OK : MC_ERR_MALFORMED;
}

static uint32_t entry_crc(const uint8_t *head)
{
  return mc_crc32c(mc_crc32c(0, head, 4), head + 8, 8);
}

void mc_entry_head_put(uint8_t out[MC_ENTRY_HEAD], uint64_t offset)
{
  out[0] = VERSION;
  out[1] = 'k';
  out[2] = out[3] = 0;
  mc_store_le64(out + 8, offset);
  mc_store_le32(out + 4, entry_crc(out));
}

mc_err mc_entry_get(mc_slice in, mc_record *r, uint32_t *size)
{
  if (in.len < MC_ENTRY_HEAD + MC_RECORD_HEADER)
    return *size = MC_ENTRY_HEAD + MC_RECORD_HEADER, MC_ERR_TRUNCATED;
  if (in.data[1] != 'k')
    return MC_ERR_MALFORMED;
  if (entry_crc(in.data) != mc_load_le32(in.data + 4))
    return MC_ERR_CHECKSUM;
  if (in.data[0] != VERSION)
    return MC_ERR_UNSUPPORTED;
  mc_slice record = mc_slice_sub(in, MC_ENTRY_HEAD, in.len);
  MC_TRY(mc_record_peek(record, size));
  *size += MC_ENTRY_HEAD;
  if (in.len < *size)
    return MC_ERR_TRUNCATED;
  uint32_t ignored;
  MC_TRY(mc_record_get(record, r, &ignored));
  r->offset = mc_load_le64(in.data + 8);
  return r->offset <= MC_OFFSET_MAX ? MC_OK : MC_ERR_MALFORMED;
}

/* ---- files ---- */

void mc_compacted_path(const char *dir, uint64_t cover, char *out, size_t size)
{
  snprintf(out, size, "%s/%016llx.mck", dir, (unsigned long long)cover);
}

struct newest {
  bool any;
  uint64_t cover;
};

static mc_err visit_newest(void *ctx, const char *name)
{
  struct newest *n = ctx;
  uint64_t cover;
  if (mc_segment_parse_name(name, ".mck", &cover)) { /* names come in the order of offsets */
    n->any = true;
    n->cover = cover;
  }
  return MC_OK;
}

/* id NULL: a damaged header is an error. */
static mc_err open_one(const mc_fs *fs, const char *path, uint64_t cover, const uint8_t *id, mc_compacted *c, mc_why *why)
{
  uint8_t bytes[MC_COMPACTED_HEADER];
  size_t got;
  MC_TRY(mc_file_open(fs, path, MC_FILE_READ, &c->window.file, why));
  MC_TRY(mc_file_pread(c->window.file, bytes, sizeof bytes, 0, &got, why));
  mc_err err = got < sizeof bytes ? MC_ERR_TRUNCATED : mc_compacted_header_get(bytes, &c->h);
  if (err == MC_ERR_UNSUPPORTED)
    return mc_err_set(why, err, "%s: written by a later version of motorcade (format %u); use that version", path, bytes[0]);
  if (err && id) {
    uint64_t size;
    MC_TRY(mc_file_size(c->window.file, &size, why));
    c->h = (mc_compacted_header){.cover = cover, .bytes = size > MC_COMPACTED_HEADER ? (size - MC_COMPACTED_HEADER) & ~(uint64_t)7 : 0};
    memcpy(c->h.id, id, MC_JOURNAL_ID);
    c->header_damaged = true;
  } else if (err)
    return mc_err_set(why, MC_ERR_CHECKSUM, "%s: the header (bytes 0 to 63) is damaged; run `motorcade journal repair`, or restore it from a backup", path);
  c->at = MC_COMPACTED_HEADER;
  return MC_OK;
}

static mc_err open_newest(const mc_fs *fs, const char *dir, const uint8_t *id, mc_compacted **out, mc_why *why)
{
  enum { TRIES = 8 };
  *out = NULL;
  for (int left = TRIES;; left--) {
    struct newest n = {0};
    MC_TRY(mc_fs_list(fs, dir, visit_newest, &n, why));
    if (!n.any)
      return MC_OK;
    mc_compacted *c = calloc(1, sizeof *c);
    if (!c)
      return mc_err_set(why, MC_ERR_MEMORY, "journal %s: out of memory", dir);
    mc_compacted_path(dir, n.cover, c->path, sizeof c->path);
    mc_err err = open_one(fs, c->path, n.cover, id, c, why);
    if (!err)
      return *out = c, MC_OK;
    mc_compacted_close(&c);
    if (err != MC_ERR_NOT_FOUND || left == 1) /* else a newer one took its place since it was listed */
      return err;
  }
}

mc_err mc_compacted_open(const mc_fs *fs, const char *dir, mc_compacted **out, mc_why *why)
{
  return open_newest(fs, dir, NULL, out, why);
}

mc_err mc_compacted_open_damaged(const mc_fs *fs, const char *dir, const uint8_t id[MC_JOURNAL_ID], mc_compacted **out, mc_why *why)
{
  return open_newest(fs, dir, id, out, why);
}

void mc_compacted_close(mc_compacted **c)
{
  if (!*c)
    return;
  mc_window_free(&(*c)->window);
  free(*c);
  *c = NULL;
}

/* The next whole entry behind damaged bytes, or the end. */
static mc_err skip_damage(mc_compacted *c, uint64_t end, mc_why *why)
{
  uint64_t from = c->at;
  mc_slice in;
  mc_record r;
  uint32_t size;
  for (c->at += 8; c->at < end; c->at += 8) {
    MC_TRY(mc_window_need(&c->window, c->at, MC_ENTRY_HEAD + MC_RECORD_HEADER, end, &in, why));
    mc_err err = mc_entry_get(in, &r, &size);
    if (err == MC_ERR_TRUNCATED && size <= end - c->at) {
      MC_TRY(mc_window_need(&c->window, c->at, size, end, &in, why));
      err = mc_entry_get(in, &r, &size);
    }
    if (!err && r.offset > c->last)
      break;
  }
  if (c->at > end)
    c->at = end;
  return mc_err_set(why, MC_ERR_CHECKSUM, "%s: damaged at byte %llu; %llu bytes are skipped; compare with a backup", c->path,
                    (unsigned long long)from, (unsigned long long)(c->at - from));
}

mc_err mc_compacted_next(mc_compacted *c, mc_record *out, mc_why *why)
{
  uint64_t end = MC_COMPACTED_HEADER + c->h.bytes;
  mc_slice in;
  uint32_t size;
  if (c->at >= end)
    return MC_ERR_END;
  MC_TRY(mc_window_need(&c->window, c->at, MC_ENTRY_HEAD + MC_RECORD_HEADER, end, &in, why));
  mc_err err = mc_entry_get(in, out, &size);
  if (err == MC_ERR_TRUNCATED && size <= end - c->at) {
    MC_TRY(mc_window_need(&c->window, c->at, size, end, &in, why));
    err = mc_entry_get(in, out, &size);
  }
  if (err == MC_ERR_UNSUPPORTED)
    return mc_err_set(why, err, "%s: the entry at byte %llu was written by a later version of motorcade; use that version", c->path,
                      (unsigned long long)c->at);
  if (err || (c->last && out->offset <= c->last))
    return skip_damage(c, end, why);
  c->at += size;
  c->last = out->offset;
  return MC_OK;
}

void mc_compacted_again(mc_compacted *c, const mc_record *last, uint32_t size)
{
  c->at -= MC_ENTRY_HEAD + size;
  c->last = last->offset - 1;
}
