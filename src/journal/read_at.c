#include "journal/inside.h"

/* One record by its offset, for queues that hold offsets. */

static mc_err read_handle(mc_journal *j, uint64_t offset, mc_why *why)
{
  mc_err err = MC_OK;
  pthread_rwlock_wrlock(&j->table_lock);
  for (size_t i = j->table.len; i-- > 0;) {
    mc_segment *s = &j->table.at[i];
    if (s->first > offset)
      continue;
    char path[MC_JOURNAL_PATH];
    mc_segment_path(j->dir, s->first, path, sizeof path);
    if (!s->read)
      err = mc_file_open(j->fs, path, MC_FILE_READ, &s->read, why);
    break;
  }
  pthread_rwlock_unlock(&j->table_lock);
  return err;
}

/* Opens a record that lies in `bytes` in place of its sealed form. */
static mc_err open_in(mc_journal *j, mc_buf *bytes, mc_record *r, mc_why *why)
{
  mc_buf opened = {0};
  mc_record plain = *r;
  mc_err err = mc_journal_decipher(j, &plain, &opened);
  size_t at = (size_t)(r->payload.data - bytes->data); /* topic stays where it is, in front */
  if (!err) {
    memcpy(bytes->data + at, opened.data, r->payload.len - MC_CIPHER_EXTRA);
    plain.props.data = bytes->data + at + (plain.props.data - opened.data);
    plain.payload.data = bytes->data + at + (plain.payload.data - opened.data);
    *r = plain;
  }
  mc_buf_free(&opened);
  if (err == MC_ERR_NOT_FOUND)
    return mc_err_set(why, err, "journal %s: the record at offset %llu was erased: its key was destroyed", j->dir, (unsigned long long)r->offset);
  return err ? mc_err_set(why, err, "journal %s: the record at offset %llu does not open under its key %u", j->dir, (unsigned long long)r->offset, r->key_id) : MC_OK;
}

/* table_lock held for reading: the segment cannot be recycled meanwhile. */
static mc_err read_record(mc_journal *j, const mc_segment *s, uint64_t offset, mc_buf *bytes, mc_record *out, mc_why *why)
{
  enum { FIRST_TRY = 1024 };
  uint64_t stop = atomic_load(&j->end);
  uint32_t size = 0;
  size_t got;
  if (stop > s->first + s->size)
    stop = s->first + s->size;
  uint64_t want = stop - offset < FIRST_TRY ? stop - offset : FIRST_TRY;
  mc_buf_clear(bytes);
  if (mc_buf_reserve(bytes, FIRST_TRY))
    return mc_err_set(why, MC_ERR_MEMORY, "journal %s: out of memory", j->dir);
  MC_TRY(mc_tail_pread(j, s->read, s->first, bytes->data, (size_t)want, offset, &bytes->len, why));
  mc_err err = mc_record_peek(mc_buf_slice(bytes), &size);
  if (!err && size > bytes->len && size <= stop - offset) {
    if (mc_buf_reserve(bytes, size - bytes->len))
      return mc_err_set(why, MC_ERR_MEMORY, "journal %s: out of memory for %u bytes", j->dir, size);
    MC_TRY(mc_tail_pread(j, s->read, s->first, bytes->data + bytes->len, size - bytes->len, offset + bytes->len, &got, why));
    bytes->len += got;
  }
  err = err ? err : mc_record_get(mc_buf_slice(bytes), out, &size);
  if (err == MC_ERR_CHECKSUM)
    return mc_err_set(why, err, "journal %s: the record at offset %llu is damaged", j->dir, (unsigned long long)offset);
  if (err)
    return mc_err_set(why, MC_ERR_INVALID, "journal %s: no record begins at offset %llu", j->dir, (unsigned long long)offset);
  out->offset = offset;
  return j->cipher.open && (out->flags & MC_RECORD_ENCIPHERED) ? open_in(j, bytes, out, why) : MC_OK;
}

mc_err mc_journal_read_at(mc_journal *j, uint64_t offset, mc_buf *bytes, mc_record *out, mc_why *why)
{
  if (offset >= atomic_load(&j->end) || offset % 8)
    return mc_err_set(why, MC_ERR_INVALID, "journal %s: no record begins at offset %llu", j->dir, (unsigned long long)offset);
  for (int attempt = 0; attempt < 8; attempt++) {
    mc_err err = MC_ERR_AGAIN;
    bool kept = false;
    pthread_rwlock_rdlock(&j->table_lock);
    for (size_t i = j->table.len; i-- > 0 && !kept;) {
      const mc_segment *s = &j->table.at[i];
      if (s->first > offset)
        continue;
      kept = true;
      if (s->read && offset - s->first < s->size)
        err = read_record(j, s, offset, bytes, out, why);
    }
    pthread_rwlock_unlock(&j->table_lock);
    if (!kept)
      return mc_segment_gone(j, offset, why);
    if (err != MC_ERR_AGAIN)
      return err;
    MC_TRY(read_handle(j, offset, why));
  }
  return mc_err_set(why, MC_ERR_INVALID, "journal %s: no record begins at offset %llu", j->dir, (unsigned long long)offset);
}
