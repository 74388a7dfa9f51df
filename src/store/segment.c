#include "store/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"

static const uint8_t magic[8] = {'M', 'C', 'S', 'E', 'G', 0, 0, 1};

mc_err segment_builder_begin(segment_builder *b, int64_t hour)
{
  b->hour = hour;
  uint64_t words[2] = {(uint64_t)hour, 0}; /* the sequence is set when the file is written */
  MC_TRY(mc_buf_append(&b->bytes, magic, sizeof magic));
  return mc_buf_append(&b->bytes, words, sizeof words);
}

static bool same_block(const store_row *a, const store_row *b)
{
  return a->kind == b->kind && a->encoding == b->encoding && a->flags == b->flags;
}

mc_err segment_builder_add(segment_builder *b, uint32_t tenant, uint32_t vehicle, uint32_t signal, const store_row *rows, size_t count,
                           mc_slice text)
{
  for (size_t i = 0; i < count;) {
    uint32_t n = 1;
    while (n < BLOCK_ROWS && i + n < count && same_block(&rows[i], &rows[i + n]))
      n++;
    size_t start = b->bytes.len;
    MC_TRY(store_block_encode(rows + i, n, text, &b->bytes));
    size_t len = b->bytes.len - start;
    if (len > UINT32_MAX)
      return MC_ERR_TOO_LARGE;
    segment_entry e = {tenant,
                       vehicle,
                       signal,
                       n,
                       rows[i].time_us,
                       rows[i + n - 1].time_us,
                       start,
                       (uint32_t)len,
                       rows[i].encoding,
                       rows[i].kind,
                       rows[i].flags,
                       mc_crc32c(0, b->bytes.data + start, len)};
    MC_TRY(mc_vec_push(&b->entry, e));
    b->rows += n;
    i += n;
  }
  return MC_OK;
}

static void entry_store(uint8_t *p, const segment_entry *e)
{
  mc_store_le32(p, e->tenant);
  mc_store_le32(p + 4, e->vehicle);
  mc_store_le32(p + 8, e->signal);
  mc_store_le32(p + 12, e->rows);
  mc_store_le64(p + 16, (uint64_t)e->first_us);
  mc_store_le64(p + 24, (uint64_t)e->last_us);
  mc_store_le64(p + 32, e->offset);
  mc_store_le32(p + 40, e->bytes);
  mc_store_le32(p + 44, e->encoding);
  p[48] = e->kind;
  p[49] = e->flags;
  p[50] = p[51] = 0;
  mc_store_le32(p + 52, e->crc);
}

static segment_entry entry_load(const uint8_t *p)
{
  return (segment_entry){mc_load_le32(p),
                         mc_load_le32(p + 4),
                         mc_load_le32(p + 8),
                         mc_load_le32(p + 12),
                         (int64_t)mc_load_le64(p + 16),
                         (int64_t)mc_load_le64(p + 24),
                         mc_load_le64(p + 32),
                         mc_load_le32(p + 40),
                         mc_load_le32(p + 44),
                         p[48],
                         p[49],
                         mc_load_le32(p + 52)};
}

static mc_err append_index(segment_builder *b)
{
  uint64_t index_offset = b->bytes.len;
  MC_TRY(mc_buf_reserve(&b->bytes, b->entry.len * SEGMENT_ENTRY + SEGMENT_FOOTER));
  for (size_t i = 0; i < b->entry.len; i++) {
    entry_store(b->bytes.data + b->bytes.len, &b->entry.at[i]);
    b->bytes.len += SEGMENT_ENTRY;
  }
  uint8_t foot[SEGMENT_FOOTER];
  mc_store_le64(foot, index_offset);
  mc_store_le64(foot + 8, b->entry.len);
  mc_store_le64(foot + 16, b->rows);
  mc_store_le32(foot + 24, mc_crc32c(0, b->bytes.data + index_offset, b->bytes.len - index_offset));
  mc_store_le32(foot + 28, mc_crc32c(mc_crc32c(0, b->bytes.data, SEGMENT_HEADER), foot, 28));
  return mc_buf_append(&b->bytes, foot, sizeof foot);
}

mc_err segment_builder_finish(segment_builder *b, const mc_fs *fs, const char *dir, uint64_t sequence, store_segment **out, mc_why *why)
{
  mc_store_le64(b->bytes.data + 16, sequence);
  if (append_index(b))
    return mc_err_set(why, MC_ERR_MEMORY, "segment of hour %" PRId64 ": out of memory", b->hour);
  char name[SEGMENT_NAME], path[4096];
  snprintf(name, sizeof name, "%08" PRIx64 "-%016" PRIx64 ".seg", (uint64_t)b->hour & 0xffffffff, sequence);
  snprintf(path, sizeof path, "%s/%s", dir, name);
  mc_file *file;
  MC_TRY(mc_file_open(fs, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &file, why));
  mc_err err = mc_file_pwrite(file, b->bytes.data, b->bytes.len, 0, why);
  if (!err)
    err = mc_file_sync(file, why);
  mc_file_close(&file);
  return err ? err : segment_open(fs, dir, name, out, why);
}

void segment_builder_free(segment_builder *b)
{
  mc_buf_free(&b->bytes);
  mc_vec_free(&b->entry);
}

static mc_err load_index(store_segment *s, mc_why *why)
{
  uint8_t head[SEGMENT_HEADER], foot[SEGMENT_FOOTER];
  size_t got;
  MC_TRY(mc_file_size(s->file, &s->bytes, why));
  if (s->bytes < SEGMENT_HEADER + SEGMENT_FOOTER)
    return mc_err_set(why, MC_ERR_TRUNCATED, "%" PRIu64 " bytes is too short for a segment", s->bytes);
  MC_TRY(mc_file_pread(s->file, head, sizeof head, 0, &got, why));
  MC_TRY(mc_file_pread(s->file, foot, sizeof foot, s->bytes - SEGMENT_FOOTER, &got, why));
  if (memcmp(head, magic, sizeof magic) != 0)
    return mc_err_set(why, MC_ERR_MALFORMED, "byte 0: not a segment of version 1");
  if (mc_crc32c(mc_crc32c(0, head, sizeof head), foot, 28) != mc_load_le32(foot + 28))
    return mc_err_set(why, MC_ERR_CHECKSUM, "footer at byte %" PRIu64 ": checksum differs", s->bytes - SEGMENT_FOOTER);
  uint64_t index_offset = mc_load_le64(foot), count = mc_load_le64(foot + 8);
  uint64_t room = s->bytes - SEGMENT_FOOTER;
  if (index_offset < SEGMENT_HEADER || index_offset > room || count != (room - index_offset) / SEGMENT_ENTRY ||
      (room - index_offset) % SEGMENT_ENTRY)
    return mc_err_set(why, MC_ERR_MALFORMED, "footer: %" PRIu64 " index entries at byte %" PRIu64 " do not fit the file", count,
                      index_offset);
  s->hour = (int64_t)mc_load_le64(head + 8);
  s->sequence = mc_load_le64(head + 16);
  s->rows = mc_load_le64(foot + 16);
  size_t bytes = (size_t)(room - index_offset);
  uint8_t *raw = malloc(bytes ? bytes : 1);
  s->entry = calloc(count ? count : 1, sizeof *s->entry);
  mc_err err = raw && s->entry ? mc_file_pread(s->file, raw, bytes, index_offset, &got, why)
                               : mc_err_set(why, MC_ERR_MEMORY, "out of memory for the index");
  if (!err && mc_crc32c(0, raw, bytes) != mc_load_le32(foot + 24))
    err = mc_err_set(why, MC_ERR_CHECKSUM, "index at byte %" PRIu64 ": checksum differs", index_offset);
  for (size_t i = 0; i < count && !err; i++) {
    s->entry[i] = entry_load(raw + i * SEGMENT_ENTRY);
    const segment_entry *e = &s->entry[i];
    if (e->offset < SEGMENT_HEADER || e->offset > index_offset || e->bytes > index_offset - e->offset || e->rows == 0 ||
        e->rows > BLOCK_ROWS)
      err = mc_err_set(why, MC_ERR_MALFORMED, "index entry %zu points outside the file", i);
  }
  s->entries = (size_t)count;
  free(raw);
  return err;
}

mc_err segment_use(store_segment *s, mc_why *why)
{
  mc_err err = MC_OK;
  char path[4096];
  pthread_mutex_lock(&s->file_lock);
  if (!s->file) {
    snprintf(path, sizeof path, "%s/%s", s->dir, s->name);
    err = mc_file_open(s->fs, path, MC_FILE_READ, &s->file, why);
  }
  s->users += !err;
  pthread_mutex_unlock(&s->file_lock);
  return err;
}

void segment_rest(store_segment *s)
{
  pthread_mutex_lock(&s->file_lock);
  if (--s->users == 0)
    mc_file_close(&s->file);
  pthread_mutex_unlock(&s->file_lock);
}

mc_err segment_open(const mc_fs *fs, const char *dir, const char *name, store_segment **out, mc_why *why)
{
  store_segment *s = calloc(1, sizeof *s);
  if (!s)
    return MC_ERR_MEMORY;
  atomic_store(&s->refs, 1);
  s->fs = fs;
  s->dir = strdup(dir);
  snprintf(s->name, sizeof s->name, "%s", name);
  pthread_mutex_init(&s->file_lock, NULL);
  mc_err err = s->dir ? segment_use(s, why) : MC_ERR_MEMORY;
  if (!err) {
    err = load_index(s, why);
    segment_rest(s);
    if (err)
      mc_err_prefix(why, "segment %s/%s", dir, name);
  }
  if (err) {
    segment_release(s);
    return err;
  }
  *out = s;
  return MC_OK;
}

void segment_retain(store_segment *s)
{
  atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void segment_release(store_segment *s)
{
  if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
    return;
  pthread_mutex_destroy(&s->file_lock);
  if (atomic_load(&s->doomed)) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", s->dir, s->name);
    mc_fs_unlink(s->fs, path, NULL); /* a leftover is removed at the next open */
  }
  free(s->entry);
  free(s->dir);
  free(s);
}

static int entry_order(const segment_entry *e, uint32_t tenant, uint32_t vehicle, uint32_t signal)
{
  if (e->tenant != tenant)
    return e->tenant < tenant ? -1 : 1;
  if (e->vehicle != vehicle)
    return e->vehicle < vehicle ? -1 : 1;
  return e->signal < signal ? -1 : e->signal > signal;
}

size_t segment_seek(const store_segment *s, uint32_t tenant, uint32_t vehicle, uint32_t signal)
{
  size_t lo = 0, hi = s->entries;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (entry_order(&s->entry[mid], tenant, vehicle, signal) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

mc_err segment_read(store_segment *s, const segment_entry *e, store_row *rows, mc_buf *text, mc_buf *scratch, mc_why *why)
{
  mc_buf_clear(scratch);
  if (mc_buf_reserve(scratch, (size_t)e->bytes + 16))
    return mc_err_set(why, MC_ERR_MEMORY, "segment %s: out of memory for a block of %u bytes", s->name, e->bytes);
  size_t got = 0;
  MC_TRY(segment_use(s, why));
  mc_err err = mc_file_pread(s->file, scratch->data, e->bytes, e->offset, &got, why);
  segment_rest(s);
  if (err)
    return err;
  if (got != e->bytes || mc_crc32c(0, scratch->data, e->bytes) != e->crc)
    return mc_err_set(why, MC_ERR_CHECKSUM,
                      "segment %s: block at byte %" PRIu64 " (vehicle %u, signal %u): checksum differs; run `motorcade store verify`",
                      s->name, e->offset, e->vehicle, e->signal);
  err = store_block_decode(mc_slice_of(scratch->data, e->bytes), e->rows, e->first_us, e->encoding, e->kind, e->flags, rows, text);
  if (err)
    return mc_err_set(why, err, "segment %s: block at byte %" PRIu64 ": %s", s->name, e->offset, mc_err_text(err));
  return MC_OK;
}
