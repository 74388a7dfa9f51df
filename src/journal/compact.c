#include "base/clock.h"
#include "base/log.h"
#include "journal/compacted.h"

/* Makes the compacted file anew: the old one and the segments that are to go are read twice, once to learn which record of each key is
 * the last, once to copy. The new file is whole and synced before it gets its name, and the old one is removed only then. */

enum { PIECE = 1 << 20, BREATHE = 1024 /* records between looks at what cannot wait */ };

#define DAY_US (86400 * (int64_t)1000000)

typedef struct compaction {
  mc_journal *j;
  uint64_t to;
  int64_t now_us, tombstone_us;
  mc_strmap last; /* key -> offset of its last record */
  mc_buf key;
  mc_file *file;
  uint64_t at, records; /* position in the file */
  mc_buf piece;
  mc_why *why;
} compaction;

uint32_t mc_journal_kept_summary(const mc_journal *j)
{
  uint32_t bits = MC_SUMMARY_RETAINED | (j->keep.keyed_streams & 0xFFFE);
  for (int s = 1; s < 16; s++)
    if (j->keep.stream_age_us[s])
      bits |= (uint32_t)1 << s;
  return bits;
}

static bool retained(const mc_record *r)
{
  return r->flags & MC_RECORD_RETAIN && MC_STREAMS_PUBLISHED >> r->stream & 1;
}

static bool keyed(const compaction *c, const mc_record *r)
{
  return retained(r) || c->j->keep.keyed_streams >> r->stream & 1;
}

/* Retained messages of one topic are one key, whatever stream they came by: a platform's may be taken back by a vehicle's. */
static mc_err make_key(compaction *c, const mc_record *r)
{
  mc_buf_clear(&c->key);
  MC_TRY(mc_buf_append_u8(&c->key, retained(r) ? 0 : (uint8_t)r->stream));
  MC_TRY(mc_buf_append(&c->key, &r->tenant, sizeof r->tenant));
  return mc_buf_append_slice(&c->key, r->topic);
}

static mc_err memory(const compaction *c)
{
  return mc_err_set(c->why, MC_ERR_MEMORY, "journal %s: out of memory for a compaction", c->j->dir);
}

static mc_err learn_key(compaction *c, const mc_record *r)
{
  if (!keyed(c, r))
    return MC_OK;
  return make_key(c, r) || mc_strmap_put(&c->last, mc_buf_slice(&c->key), r->offset) ? memory(c) : MC_OK;
}

static mc_err stays(compaction *c, const mc_record *r, bool *out)
{
  int64_t age = c->now_us - r->time_us;
  *out = c->j->keep.stream_age_us[r->stream] && age < c->j->keep.stream_age_us[r->stream];
  if (*out || !keyed(c, r))
    return MC_OK;
  uint64_t last = 0;
  if (make_key(c, r))
    return memory(c);
  *out = mc_strmap_get(&c->last, mc_buf_slice(&c->key), &last) && last == r->offset && (r->payload.len || age < c->tombstone_us);
  return MC_OK;
}

static mc_err write_piece(compaction *c)
{
  MC_TRY(mc_file_pwrite(c->file, c->piece.data, c->piece.len, c->at, c->why));
  MC_TRY(mc_file_write_behind(c->file, c->at, c->piece.len, c->why));
  c->at += c->piece.len;
  mc_buf_clear(&c->piece);
  return MC_OK;
}

static mc_err copy(compaction *c, const mc_record *r)
{
  bool stay;
  uint32_t size;
  MC_TRY(stays(c, r, &stay));
  if (!stay)
    return MC_OK;
  if (mc_record_size(r, &size) || mc_buf_reserve(&c->piece, MC_ENTRY_HEAD + size))
    return memory(c);
  uint8_t *out = c->piece.data + c->piece.len;
  mc_entry_head_put(out, r->offset);
  mc_record_put(out + MC_ENTRY_HEAD, size, r);
  c->piece.len += MC_ENTRY_HEAD + size;
  c->records++;
  return c->piece.len >= PIECE ? write_piece(c) : MC_OK;
}

/* Every record below `to` that may be kept, in order. */
static mc_err each(compaction *c, mc_err (*visit)(compaction *c, const mc_record *r))
{
  mc_journal_reader *reader;
  mc_record r;
  mc_err err = mc_journal_reader_create(c->j, 0, (mc_journal_filter){.compacted = true}, &reader, c->why);
  if (err)
    return err;
  mc_journal_reader_want(reader, mc_journal_kept_summary(c->j), c->to);
  for (uint64_t n = 0; !err || err == MC_ERR_CHECKSUM; n++) { /* damage was told when it was found: what is whole goes on */
    if (n % BREATHE == 0 && (err = mc_keeper_breathe(c->j)))
      break;
    err = mc_journal_reader_next(reader, &r, c->why);
    if (err == MC_ERR_END) {
      err = MC_OK;
      break;
    }
    if (!err)
      err = visit(c, &r);
  }
  mc_journal_reader_destroy(&reader);
  return err;
}

static mc_err put_header(compaction *c)
{
  uint8_t bytes[MC_COMPACTED_HEADER];
  mc_compacted_header h = {.cover = c->to, .bytes = c->at - MC_COMPACTED_HEADER, .records = c->records, .made_us = mc_clock_wall_us()};
  memcpy(h.id, c->j->id, sizeof h.id);
  mc_compacted_header_put(bytes, &h);
  MC_TRY(mc_file_pwrite(c->file, bytes, sizeof bytes, 0, c->why));
  return mc_file_sync(c->file, c->why);
}

typedef struct older {
  mc_journal *j;
  uint64_t than;
} older;

static mc_err remove_older(void *ctx, const char *name)
{
  const older *o = ctx;
  uint64_t cover;
  char path[MC_JOURNAL_PATH];
  if (!mc_segment_parse_name(name, ".mck", &cover) || cover >= o->than)
    return MC_OK;
  mc_segment_name(o->j->dir, name, path, sizeof path);
  return mc_fs_unlink(o->j->fs, path, NULL);
}

static mc_err write_all(compaction *c, const char *tmp)
{
  char path[MC_JOURNAL_PATH];
  mc_journal *j = c->j;
  MC_TRY(mc_file_open(j->fs, tmp, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &c->file, c->why));
  c->at = MC_COMPACTED_HEADER;
  MC_TRY(each(c, copy));
  if (c->piece.len)
    MC_TRY(write_piece(c));
  MC_TRY(put_header(c));
  mc_compacted_path(j->dir, c->to, path, sizeof path);
  MC_TRY(mc_fs_rename(j->fs, tmp, path, c->why));
  return mc_fs_sync_dir(j->fs, j->dir, c->why);
}

static void tell(mc_journal *j, uint64_t records, uint64_t bytes)
{
  j->compacted_bytes = bytes;
  atomic_store(&j->compacted_records, records);
  atomic_store(&j->compacted_size, bytes);
  mc_metric_set(j->m_compacted, (int64_t)bytes);
}

mc_err mc_journal_compact(mc_journal *j, uint64_t to, mc_why *why)
{
  char tmp[MC_JOURNAL_PATH];
  compaction c = {.j = j, .to = to, .now_us = mc_clock_wall_us(), .tombstone_us = j->keep.tombstone_us ? j->keep.tombstone_us : DAY_US, .why = why};
  for (int s = 1; s < 16; s++) /* what a tombstone hides must be gone before it */
    if (j->keep.stream_age_us[s] > c.tombstone_us)
      c.tombstone_us = j->keep.stream_age_us[s];
  mc_segment_name(j->dir, "compact.tmp", tmp, sizeof tmp);
  mc_err err = each(&c, learn_key);
  if (!err)
    err = write_all(&c, tmp);
  bool made = c.file != NULL;
  mc_file_close(&c.file);
  mc_strmap_free(&c.last);
  mc_buf_free(&c.key);
  mc_buf_free(&c.piece);
  if (err) {
    if (made)
      mc_fs_unlink(j->fs, tmp, NULL);
    return err;
  }
  tell(j, c.records, c.at);
  mc_metric_add(j->m_compactions, 1);
  mc_log(MC_LOG_DEBUG, "journal", "compacted", MC_KU("below", to), MC_KU("records", c.records), MC_KU("bytes", c.at));
  mc_fs_list(j->fs, j->dir, remove_older, &(older){j, to}, NULL); /* one left over is removed at the next start */
  return MC_OK;
}

mc_err mc_journal_compacted_recover(mc_journal *j, mc_why *why)
{
  mc_compacted *c;
  mc_err err = mc_compacted_open(j->fs, j->dir, &c, why);
  if (err == MC_ERR_CHECKSUM) { /* readers say so, and a repair sets it aside; the journal itself is whole */
    mc_log(MC_LOG_ERROR, "journal", "retained messages of removed segments cannot be read", MC_KZ("error", why->text));
    return MC_OK;
  }
  if (err || !c)
    return err;
  if (memcmp(c->h.id, j->id, sizeof j->id) != 0)
    err = mc_err_set(why, MC_ERR_INVALID, "%s belongs to another journal; take it out of the folder", c->path);
  tell(j, c->h.records, MC_COMPACTED_HEADER + c->h.bytes);
  uint64_t cover = c->h.cover;
  mc_compacted_close(&c);
  return err ? err : mc_fs_list(j->fs, j->dir, remove_older, &(older){j, cover}, why);
}
