#include "edge/edge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/log.h"

/* The ring on disk: segment files of records, appended and never changed (byte table in README.md). What the cloud acknowledged
 * is said by small DONE records; a segment whose messages are all done is removed; when the ring is full the oldest segment goes
 * with what it holds. After a crash the torn tail of the last segment is cut off. Without a directory the segments live in
 * memory. */

enum { HEAD = 32, KIND_MESSAGE = 1, KIND_DONE = 2, MAX_MESSAGE = 16 << 20, SEGMENTS = 16, MIN_SEGMENT = 32 << 10, MAX_SEGMENT = 4 << 20 };
enum { MAX_GAP = 1 << 22 }; /* ids without a message that a recovery keeps a place for, in all */
#define MAX_ID (UINT64_C(1) << 62)
static const uint8_t magic[4] = {'M', 'C', 'S', '1'};

typedef struct segment {
  uint64_t number;
  mc_file *file;
  mc_buf memory; /* without a directory */
  uint64_t size;
  uint64_t live; /* messages not done */
} segment;

typedef struct item {
  uint32_t segment; /* low half of its number */
  uint32_t offset, size, priority;
  uint8_t state; /* item_state */
} item;
enum { ITEM_GONE, ITEM_WAITING, ITEM_OUT };

struct mc_spool {
  const mc_fs *fs;
  char *dir;
  uint64_t max_bytes, segment_bytes, total;
  MC_VEC(segment *) segment; /* oldest first */
  uint64_t next_number;
  uint64_t first_id, next_id; /* items cover [first_id, next_id) */
  MC_VEC(item) item;
  size_t item_start; /* items before it are dropped from the vector now and then */
  MC_VEC(uint64_t) heap; /* ids waiting: most urgent, then oldest first */
  uint64_t count, dropped;
  mc_buf pending; /* appended, not yet written */
  bool unsynced;
};

/* ---- items and the order of sending ---- */
static item *item_of(mc_spool *s, uint64_t id)
{
  if (id < s->first_id || id >= s->next_id)
    return NULL;
  return &s->item.at[s->item_start + (size_t)(id - s->first_id)];
}

static bool before(mc_spool *s, uint64_t a, uint64_t b)
{
  const item *x = item_of(s, a), *y = item_of(s, b);
  uint32_t p = x ? x->priority : 0, q = y ? y->priority : 0;
  return p != q ? p < q : a < b;
}

static mc_err heap_push(mc_spool *s, uint64_t id)
{
  MC_TRY(mc_vec_push(&s->heap, id));
  size_t i = s->heap.len - 1;
  for (; i && before(s, id, s->heap.at[(i - 1) / 2]); i = (i - 1) / 2)
    s->heap.at[i] = s->heap.at[(i - 1) / 2];
  s->heap.at[i] = id;
  return MC_OK;
}

static void heap_pop(mc_spool *s)
{
  uint64_t last = s->heap.at[--s->heap.len];
  size_t i = 0, n = s->heap.len;
  while (2 * i + 1 < n) {
    size_t child = 2 * i + 1;
    if (child + 1 < n && before(s, s->heap.at[child + 1], s->heap.at[child]))
      child++;
    if (!before(s, s->heap.at[child], last))
      break;
    s->heap.at[i] = s->heap.at[child];
    i = child;
  }
  if (n)
    s->heap.at[i] = last;
}

static void trim_items(mc_spool *s)
{
  while (s->first_id < s->next_id && s->item.at[s->item_start].state == ITEM_GONE) {
    s->item_start++;
    s->first_id++;
  }
  if (s->item_start > 1024 && s->item_start * 2 > s->item.len) {
    memmove(s->item.at, s->item.at + s->item_start, (s->item.len - s->item_start) * sizeof *s->item.at);
    s->item.len -= s->item_start;
    s->item_start = 0;
  }
}

static mc_err add_item(mc_spool *s, uint64_t id, item it)
{
  if (!s->next_id || s->first_id == s->next_id) { /* empty: start here */
    s->first_id = s->next_id = id;
    s->item.len = s->item_start = 0;
  }
  for (; s->next_id < id; s->next_id++) /* a gap: dropped before the restart */
    MC_TRY(mc_vec_push(&s->item, ((item){.state = ITEM_GONE})));
  MC_TRY(mc_vec_push(&s->item, it));
  s->next_id++;
  return MC_OK;
}

/* ---- segments ---- */
static void path_of(const mc_spool *s, uint64_t number, char *out, size_t size)
{
  snprintf(out, size, "%s/spool-%016" PRIx64 ".log", s->dir, number);
}

static segment *segment_of(mc_spool *s, uint32_t number_low)
{
  for (size_t k = s->segment.len; k-- > 0;)
    if ((uint32_t)s->segment.at[k]->number == number_low)
      return s->segment.at[k];
  return NULL;
}

static void segment_free(segment *g)
{
  mc_file_close(&g->file);
  mc_buf_free(&g->memory);
  free(g);
}

static void remove_segment(mc_spool *s, size_t index)
{
  segment *g = s->segment.at[index];
  if (s->dir) {
    char path[1200];
    path_of(s, g->number, path, sizeof path);
    mc_file_close(&g->file);
    mc_fs_unlink(s->fs, path, NULL);
  }
  s->total -= g->size;
  memmove(&s->segment.at[index], &s->segment.at[index + 1], (s->segment.len - index - 1) * sizeof *s->segment.at);
  s->segment.len--;
  segment_free(g);
}

static mc_err new_segment(mc_spool *s, mc_why *why)
{
  segment *g = calloc(1, sizeof *g);
  if (!g || mc_vec_reserve(&s->segment, 1)) {
    free(g);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the spool");
  }
  g->number = s->next_number;
  if (s->dir) {
    char path[1200];
    path_of(s, g->number, path, sizeof path);
    mc_err err = mc_file_open(s->fs, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, &g->file, why);
    if (err) {
      free(g);
      return err;
    }
    mc_fs_sync_dir(s->fs, s->dir, NULL);
  }
  s->next_number++;
  s->segment.at[s->segment.len++] = g; /* reserved above */
  return MC_OK;
}

static void forget_segment(mc_spool *s, size_t index)
{
  uint32_t number = (uint32_t)s->segment.at[index]->number;
  for (uint64_t id = s->first_id; id < s->next_id; id++) {
    item *it = item_of(s, id);
    if (it->state != ITEM_GONE && it->segment == number) {
      it->state = ITEM_GONE;
      s->count--;
      s->dropped++;
    }
  }
  remove_segment(s, index);
  trim_items(s);
}

/* ---- records ---- */
static mc_err append_record(mc_buf *out, uint8_t kind, uint64_t id, uint32_t priority, mc_slice topic, mc_slice payload)
{
  uint8_t head[HEAD] = {0};
  memcpy(head, magic, 4);
  head[8] = kind;
  mc_store_le16(head + 10, (uint16_t)topic.len);
  mc_store_le32(head + 12, (uint32_t)payload.len);
  mc_store_le64(head + 16, id);
  mc_store_le32(head + 24, priority);
  uint32_t crc = mc_crc32c(0, head + 8, HEAD - 8);
  crc = mc_crc32c(crc, topic.data, topic.len);
  crc = mc_crc32c(crc, payload.data, payload.len);
  mc_store_le32(head + 4, crc);
  size_t start = out->len;
  mc_err err = mc_buf_append(out, head, HEAD);
  if (err == MC_OK)
    err = mc_buf_append_slice(out, topic);
  if (err == MC_OK)
    err = mc_buf_append_slice(out, payload);
  if (err)
    out->len = start;
  return err;
}

typedef struct record {
  uint8_t kind;
  uint64_t id;
  uint32_t priority;
  mc_slice topic, payload;
  size_t size;
} record;

static bool read_record(mc_slice in, record *r)
{
  if (in.len < HEAD || memcmp(in.data, magic, 4) != 0)
    return false;
  size_t topic = mc_load_le16(in.data + 10), payload = mc_load_le32(in.data + 12);
  if (payload > MAX_MESSAGE || in.len - HEAD < topic + payload)
    return false;
  r->size = HEAD + topic + payload;
  if (mc_crc32c(0, in.data + 8, r->size - 8) != mc_load_le32(in.data + 4))
    return false;
  r->kind = in.data[8];
  r->id = mc_load_le64(in.data + 16);
  r->priority = mc_load_le32(in.data + 24);
  r->topic = mc_slice_of(in.data + HEAD, topic);
  r->payload = mc_slice_of(in.data + HEAD + topic, payload);
  return r->kind == KIND_MESSAGE || r->kind == KIND_DONE;
}

/* Bytes gathered by push go to the current segment. */
static mc_err write_pending(mc_spool *s, mc_why *why)
{
  if (!s->pending.len)
    return MC_OK;
  segment *g = s->segment.at[s->segment.len - 1];
  mc_err err = s->dir ? mc_file_pwrite(g->file, s->pending.data, s->pending.len, g->size, why) : mc_buf_append_slice(&g->memory, mc_buf_slice(&s->pending));
  if (err)
    return err;
  g->size += s->pending.len;
  s->total += s->pending.len;
  mc_buf_clear(&s->pending);
  if (s->pending.cap > 64 * 1024)
    mc_buf_free(&s->pending);
  s->unsynced = true;
  return MC_OK;
}

/* ---- recovery ---- */
typedef struct found {
  MC_VEC(uint64_t) number;
} found;

static mc_err note_file(void *ctx, const char *name)
{
  found *f = ctx;
  uint64_t number;
  char ours[40];
  if (sscanf(name, "spool-%16" SCNx64, &number) != 1)
    return MC_OK;
  snprintf(ours, sizeof ours, "spool-%016" PRIx64 ".log", number);
  return strcmp(name, ours) == 0 ? mc_vec_push(&f->number, number) : MC_OK; /* other spellings are not files of ours */
}

/* Ids from next_id up to id get a place, or there are too many: a made-up id must not make us reserve memory for ever. */
static bool take_gap(const mc_spool *s, uint64_t id, uint64_t *gap)
{
  uint64_t need = s->first_id == s->next_id || id < s->next_id ? 0 : id - s->next_id;
  if (need > *gap)
    return false;
  *gap -= need;
  return true;
}

static mc_err recover_record(mc_spool *s, segment *g, const record *r, size_t at)
{
  if (r->kind == KIND_MESSAGE && r->id >= s->next_id) {
    MC_TRY(add_item(s, r->id, (item){(uint32_t)g->number, (uint32_t)at, (uint32_t)r->size, r->priority, ITEM_WAITING}));
    g->live++;
    s->count++;
  } else if (r->kind == KIND_DONE) {
    item *it = item_of(s, r->id);
    segment *of = it && it->state == ITEM_WAITING ? segment_of(s, it->segment) : NULL;
    if (of) {
      it->state = ITEM_GONE;
      of->live--;
      s->count--;
    }
  }
  return MC_OK;
}

static mc_err recover_segment(mc_spool *s, uint64_t number, uint64_t *highest, uint64_t *gap, mc_why *why)
{
  char path[1200];
  path_of(s, number, path, sizeof path);
  mc_buf bytes = {0};
  MC_TRY(mc_vec_reserve(&s->segment, 1));
  mc_err err = mc_fs_read(s->fs, path, (size_t)(s->max_bytes + MAX_MESSAGE + MAX_SEGMENT), &bytes, why);
  segment *g = err ? NULL : calloc(1, sizeof *g);
  if (!err && !g)
    err = MC_ERR_MEMORY;
  if (!err) {
    g->number = number;
    s->segment.at[s->segment.len++] = g; /* reserved above */
    err = mc_file_open(s->fs, path, MC_FILE_READ | MC_FILE_WRITE, &g->file, why);
  }
  size_t at = 0;
  record r;
  for (; !err && read_record(mc_slice_sub(mc_buf_slice(&bytes), at, bytes.len), &r); at += r.size) {
    if (r.id > MAX_ID || (r.kind == KIND_MESSAGE && !take_gap(s, r.id, gap)))
      break; /* no id of ours */
    err = recover_record(s, g, &r, at);
    if (r.id > *highest)
      *highest = r.id;
  }
  if (!err && at < bytes.len)
    err = mc_file_truncate(g->file, at, why);
  if (!err && at < bytes.len)
    mc_log(MC_LOG_WARN, "edge", "the spool ended in a torn record, which is cut off", MC_KZ("file", path), MC_KU("bytes", bytes.len - at));
  if (!err) {
    g->size = at;
    s->total += at;
  }
  mc_buf_free(&bytes);
  return err;
}

static mc_err recover(mc_spool *s, mc_why *why)
{
  found f = {{0}};
  uint64_t highest = 0, gap = MAX_GAP;
  MC_TRY(mc_fs_mkdirs(s->fs, s->dir, why));
  mc_err err = mc_fs_list(s->fs, s->dir, note_file, &f, why); /* byte order is number order */
  for (size_t k = 0; k < f.number.len && !err; k++) {
    err = recover_segment(s, f.number.at[k], &highest, &gap, why);
    if (f.number.at[k] >= s->next_number)
      s->next_number = f.number.at[k] + 1;
  }
  mc_vec_free(&f.number);
  if (err)
    return err;
  for (size_t k = s->segment.len; k-- > 0;)
    if (!s->segment.at[k]->live)
      remove_segment(s, k);
  if (highest >= s->next_id) { /* ids are never used twice */
    if (s->first_id == s->next_id)
      s->first_id = s->next_id = highest + 1;
    else if (take_gap(s, highest + 1, &gap))
      while (s->next_id <= highest && !err) {
        err = mc_vec_push(&s->item, ((item){.state = ITEM_GONE}));
        s->next_id++;
      }
  }
  trim_items(s);
  for (uint64_t id = s->first_id; id < s->next_id && !err; id++)
    if (item_of(s, id)->state == ITEM_WAITING)
      err = heap_push(s, id);
  return err;
}

/* ---- public ---- */
mc_err mc_spool_open(const mc_fs *fs, const char *dir, uint64_t max_bytes, mc_spool **out, mc_why *why)
{
  *out = NULL;
  if (dir && strlen(dir) > 1000)
    return mc_err_set(why, MC_ERR_INVALID, "spool: the directory's name is too long");
  mc_spool *s = calloc(1, sizeof *s);
  if (!s)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the spool");
  s->fs = fs;
  s->dir = dir ? strdup(dir) : NULL;
  s->max_bytes = max_bytes ? max_bytes : dir ? 64 << 20 : 4 << 20;
  s->segment_bytes = s->max_bytes / SEGMENTS;
  if (s->segment_bytes < MIN_SEGMENT)
    s->segment_bytes = MIN_SEGMENT;
  if (s->segment_bytes > MAX_SEGMENT)
    s->segment_bytes = MAX_SEGMENT;
  s->first_id = s->next_id = 1;
  s->next_number = 1;
  mc_err err = dir && !s->dir ? MC_ERR_MEMORY : s->dir ? recover(s, why) : MC_OK;
  if (err) {
    mc_err_prefix(why, "spool in %s", dir ? dir : "memory");
    mc_spool_close(&s);
    return err;
  }
  *out = s;
  return MC_OK;
}

void mc_spool_close(mc_spool **spool)
{
  mc_spool *s = *spool;
  *spool = NULL;
  if (!s)
    return;
  if (s->segment.len)
    mc_spool_sync(s, NULL);
  for (size_t k = 0; k < s->segment.len; k++)
    segment_free(s->segment.at[k]);
  mc_vec_free(&s->segment);
  mc_vec_free(&s->item);
  mc_vec_free(&s->heap);
  mc_buf_free(&s->pending);
  free(s->dir);
  free(s);
}

/* Room in the current segment, or a new one; the oldest goes when all is full. */
static mc_err make_room(mc_spool *s, size_t size, mc_why *why)
{
  segment *g = s->segment.len ? s->segment.at[s->segment.len - 1] : NULL;
  bool own = g && g->number + 1 == s->next_number && (s->dir ? g->file != NULL : true);
  if (!own || (g->size + s->pending.len && g->size + s->pending.len + size > s->segment_bytes)) {
    if (g && s->pending.len)
      MC_TRY(write_pending(s, why));
    MC_TRY(new_segment(s, why));
  }
  while (s->total + s->pending.len + size > s->max_bytes && s->segment.len > 1)
    forget_segment(s, 0);
  return MC_OK;
}

mc_err mc_spool_push(mc_spool *s, uint32_t priority, mc_slice topic, mc_slice payload, uint64_t *id, mc_why *why)
{
  if (topic.len > 65535 || payload.len > MAX_MESSAGE || HEAD + topic.len + payload.len > s->max_bytes / 2)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "spool: a message of %zu bytes; at most %" PRIu64 " fit", topic.len + payload.len,
                      s->max_bytes / 2 < MAX_MESSAGE ? s->max_bytes / 2 : MAX_MESSAGE);
  size_t size = HEAD + topic.len + payload.len;
  MC_TRY(make_room(s, size, why));
  segment *g = s->segment.at[s->segment.len - 1];
  uint64_t offset = g->size + s->pending.len, new_id = s->next_id;
  if (append_record(&s->pending, KIND_MESSAGE, new_id, priority, topic, payload))
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the spool");
  mc_err err = add_item(s, new_id, (item){(uint32_t)g->number, (uint32_t)offset, (uint32_t)size, priority, ITEM_WAITING});
  if (err == MC_OK)
    err = heap_push(s, new_id);
  if (err) {
    s->pending.len -= size;
    return mc_err_set(why, err, "out of memory for the spool");
  }
  g->live++;
  s->count++;
  *id = new_id;
  return s->pending.len > 256 * 1024 ? write_pending(s, why) : MC_OK;
}

mc_err mc_spool_sync(mc_spool *s, mc_why *why)
{
  if (!s->segment.len)
    return MC_OK;
  MC_TRY(write_pending(s, why));
  if (!s->unsynced || !s->dir)
    return MC_OK;
  MC_TRY(mc_file_sync(s->segment.at[s->segment.len - 1]->file, why));
  s->unsynced = false;
  return MC_OK;
}

static mc_err read_item(mc_spool *s, const item *it, mc_buf *topic, mc_buf *payload, mc_why *why)
{
  segment *g = segment_of(s, it->segment);
  mc_buf bytes = {0};
  mc_err err = g ? mc_buf_reserve(&bytes, it->size) : MC_ERR_NOT_FOUND;
  size_t got = 0;
  if (!err && it->offset >= g->size && it->offset - g->size + it->size <= s->pending.len)
    err = mc_buf_append(&bytes, s->pending.data + (it->offset - g->size), it->size);
  else if (!err && s->dir) {
    err = mc_file_pread(g->file, bytes.data, it->size, it->offset, &got, why);
    bytes.len = got;
  } else if (!err && (size_t)it->offset + it->size <= g->memory.len)
    err = mc_buf_append(&bytes, g->memory.data + it->offset, it->size);
  record r;
  if (!err && !read_record(mc_buf_slice(&bytes), &r))
    err = mc_err_set(why, MC_ERR_CHECKSUM, "spool: a message was damaged on disk and is left out");
  mc_buf_clear(topic);
  mc_buf_clear(payload);
  if (!err)
    err = mc_buf_append_slice(topic, r.topic);
  if (!err)
    err = mc_buf_append_slice(payload, r.payload);
  mc_buf_free(&bytes);
  return err;
}

static void gone(mc_spool *s, item *it)
{
  segment *g = segment_of(s, it->segment);
  it->state = ITEM_GONE;
  s->count--;
  if (g && --g->live == 0 && g != s->segment.at[s->segment.len - 1])
    for (size_t k = 0; k < s->segment.len; k++)
      if (s->segment.at[k] == g) {
        remove_segment(s, k);
        break;
      }
}

mc_err mc_spool_peek(mc_spool *s, uint64_t *id, mc_buf *topic, mc_buf *payload, mc_why *why)
{
  while (s->heap.len) {
    uint64_t first = s->heap.at[0];
    item *it = item_of(s, first);
    heap_pop(s);
    if (!it || it->state != ITEM_WAITING)
      continue;
    mc_err err = read_item(s, it, topic, payload, why);
    if (err == MC_OK) {
      it->state = ITEM_OUT;
      *id = first;
      return MC_OK;
    }
    if (err != MC_ERR_CHECKSUM) {
      heap_push(s, first);
      return err;
    }
    gone(s, it);
    s->dropped++;
  }
  return MC_ERR_END;
}

void mc_spool_done(mc_spool *s, uint64_t id)
{
  item *it = item_of(s, id);
  if (!it || it->state == ITEM_GONE)
    return;
  gone(s, it);
  if (s->segment.len && s->count) /* when nothing is left the files say so */
    append_record(&s->pending, KIND_DONE, id, 0, (mc_slice){0}, (mc_slice){0});
  trim_items(s);
  if (!s->count) { /* all acknowledged: the ring is empty */
    mc_buf_clear(&s->pending);
    while (s->segment.len)
      remove_segment(s, 0);
    mc_vec_clear(&s->heap);
    s->unsynced = false;
  }
}

void mc_spool_putback(mc_spool *s, uint64_t id)
{
  item *it = item_of(s, id);
  if (it && it->state == ITEM_OUT && heap_push(s, id) == MC_OK)
    it->state = ITEM_WAITING;
}

void mc_spool_rewind(mc_spool *s)
{
  for (uint64_t id = s->first_id; id < s->next_id; id++) {
    item *it = item_of(s, id);
    if (it->state == ITEM_OUT) {
      it->state = ITEM_WAITING;
      heap_push(s, id);
    }
  }
}

uint64_t mc_spool_count(const mc_spool *s) { return s->count; }
uint64_t mc_spool_dropped(const mc_spool *s) { return s->dropped; }
