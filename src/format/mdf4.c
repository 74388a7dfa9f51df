#include "format/mdf4.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/vec.h"
#include "format/mdf4_channel.h"

enum { ID_BLOCK = 64, FILE_MAX = INT32_MAX, GROUPS_MAX = 4096, CHANNELS_MAX = 4096, NESTING_MAX = 8, RECORD_MAX = 1 << 20 };
enum { UNFINISHED_VLSD_OFFSETS = 64 }; /* id_unfin_flags */
enum { CG_VLSD = 1 };                  /* cg_flags */
enum { WAITING_MAX = 8 << 20 };        /* records; beyond it the order by time is given up, not the frames */

typedef enum role { ID, IDE, DLC, DATA_LENGTH, DATA_BYTES, BUS_CHANNEL, DIR, EDL, BRS, ESI, ROLES } role;
static const char *const role_name[ROLES] = {"ID", "IDE", "DLC", "DataLength", "DataBytes", "BusChannel", "Dir", "EDL", "BRS", "ESI"};

typedef struct piece { uint64_t offset, at; uint32_t len; } piece; /* of a VLSD group's stream */

typedef struct group {
  uint64_t record_id, block_at;
  uint64_t cycles;
  uint32_t data_bytes, invalid_bytes;
  bool vlsd;     /* its records are a length and bytes */
  bool is_bus, remote;
  mc_mdf4_channel time, channel[ROLES];
  mc_slice heap;            /* DataBytes of kind VLSD in an SD block */
  struct group *vlsd_group; /* ... or in that group */
  MC_VEC(piece) piece;      /* VLSD: what lies where */
  uint64_t total;           /* records in the data, counted at open */
  struct source *source;
  /* reading: */
  uint64_t pulled;          /* records that left the stream */
  uint64_t seen;            /* records made into frames */
  MC_VEC(uint64_t) waiting; /* bytes in the stream of records pulled, but not yet used */
  size_t head;              /* first of them */
  bool loaded;              /* `frame` holds the next one */
  mc_bus_frame frame;
} group;

/* One data group: a stream of records, and where the reading stands. */
typedef struct source {
  mc_slice data;
  uint64_t data_link;
  uint8_t id_size;
  uint32_t first_group, group_count;
  mc_map by_id; /* record id -> group index */
  size_t at;
  bool counted; /* group.total is known and data ends with the last whole record */
} source;

struct mc_mdf4 {
  mc_mdf4_file file;
  mc_mdf4_info info;
  uint16_t unfinished;
  MC_VEC(group *) group;
  MC_VEC(source) source;
  size_t waiting; /* records in all queues */
};

static mc_err fail(const mc_mdf4 *m, mc_err err, uint64_t at, const char *what)
{
  mc_err_set(m->file.why, err, "%s: byte %llu: %s", m->file.name, (unsigned long long)at, what);
  return err;
}

/* ---- opening ---- */

static mc_err read_identification(mc_mdf4 *m)
{
  mc_slice in = m->file.in;
  if (in.len < ID_BLOCK + 24)
    return fail(m, MC_ERR_TRUNCATED, 0, "too short for an MDF file");
  bool unfinished = memcmp(in.data, "UnFinMF ", 8) == 0;
  if (!unfinished && memcmp(in.data, "MDF     ", 8) != 0)
    return fail(m, MC_ERR_MALFORMED, 0, "this is not an MDF file; expected it to start with 'MDF' or 'UnFinMF'");
  m->info.version = mc_load_le16(in.data + 28);
  if (m->info.version < 400 || m->info.version >= 500)
    return mc_err_set(m->file.why, MC_ERR_UNSUPPORTED, "%s: MDF version %u.%02u; expected 4.x", m->file.name,
                      m->info.version / 100u, m->info.version % 100u);
  memcpy(m->info.program, in.data + 16, 8);
  m->info.finalised = !unfinished;
  m->unfinished = unfinished ? mc_load_le16(in.data + 60) : 0;
  m->file.open_end = unfinished;
  return MC_OK;
}

/* HD body: start time ns u64, zone i16 and summer time i16 in minutes, flags u8 (1 local time, 2 offsets are valid) */
static mc_err read_header(mc_mdf4 *m, uint64_t *first_dg)
{
  mc_mdf4_block b;
  MC_TRY(mc_mdf4_block_read(&m->file, ID_BLOCK, "HD", &b));
  if (b.body.len < 13)
    return fail(m, MC_ERR_TRUNCATED, ID_BLOCK, "the header block is cut off");
  m->info.start_us = (int64_t)(mc_load_le64(b.body.data) / 1000);
  int16_t zone = (int16_t)mc_load_le16(b.body.data + 8), summer = (int16_t)mc_load_le16(b.body.data + 10);
  if ((b.body.data[12] & 3) == 3)
    m->info.start_us -= ((int64_t)zone + summer) * 60000000;
  *first_dg = mc_mdf4_block_link(&b, 0);
  return MC_OK;
}

static mc_slice last_word(mc_slice name)
{
  for (size_t i = name.len; i > 0; i--)
    if (name.data[i - 1] == '.')
      return mc_slice_sub(name, i, name.len);
  return name;
}

static void take_channel(mc_mdf4 *m, group *g, const mc_mdf4_block *b, const mc_mdf4_channel *c)
{
  mc_slice name = mc_mdf4_text(&m->file, mc_mdf4_block_link(b, 2));
  bool time = b->body.data[1] == 1 && (c->kind == MC_MDF4_MASTER || c->kind == MC_MDF4_VIRTUAL_MASTER);
  if (time)
    g->time = *c;
  if (mc_slice_starts(name, MC_LIT("CAN_DataFrame")) || mc_slice_starts(name, MC_LIT("CAN_RemoteFrame"))) {
    g->is_bus = true;
    g->remote = name.data[4] == 'R';
  }
  mc_slice part = last_word(name);
  for (int r = 0; r < ROLES; r++)
    if (mc_slice_eq_str(part, role_name[r]))
      g->channel[r] = *c;
}

static mc_err read_channels(mc_mdf4 *m, group *g, uint64_t at, int nesting, uint32_t *count)
{
  while (at) {
    mc_mdf4_block b;
    mc_mdf4_channel c;
    if (++*count > CHANNELS_MAX)
      return fail(m, MC_ERR_MALFORMED, at, "a channel group has more than 4096 channels, or their list does not end");
    MC_TRY(mc_mdf4_block_read(&m->file, at, "CN", &b));
    MC_TRY(mc_mdf4_channel_read(&m->file, &b, &c));
    take_channel(m, g, &b, &c);
    uint64_t inner = mc_mdf4_block_link(&b, 1);
    mc_mdf4_block composition;
    if (inner && nesting < NESTING_MAX) {
      MC_TRY(mc_mdf4_block_read(&m->file, inner, NULL, &composition));
      if (mc_mdf4_block_is(&composition, "CN")) /* arrays (CA) hold no bus frames */
        MC_TRY(read_channels(m, g, inner, nesting + 1, count));
    }
    at = mc_mdf4_block_link(&b, 0);
  }
  return MC_OK;
}

static mc_err check_bus_group(mc_mdf4 *m, group *g)
{
  if (!g->is_bus)
    return MC_OK;
  if (!g->channel[ID].present || (!g->remote && !g->channel[DATA_BYTES].present) || !g->time.present) {
    g->is_bus = false; /* CAN_DataFrame without its parts: nothing to make frames of */
    return MC_OK;
  }
  if (!mc_mdf4_channel_fits(&g->time, g->data_bytes, g->invalid_bytes))
    return fail(m, MC_ERR_MALFORMED, g->block_at, "the time channel lies outside its record");
  for (int r = 0; r < ROLES; r++)
    if (!mc_mdf4_channel_fits(&g->channel[r], g->data_bytes, g->invalid_bytes))
      return mc_err_set(m->file.why, MC_ERR_MALFORMED, "%s: byte %llu: channel %s lies outside its record of %u bytes", m->file.name,
                        (unsigned long long)g->block_at, role_name[r], g->data_bytes);
  return MC_OK;
}

/* CG body: record id u64, cycles u64, flags u16, separator u16, 4 reserved, data bytes u32, invalidation bytes u32 */
static mc_err read_group(mc_mdf4 *m, const mc_mdf4_block *b)
{
  if (b->body.len < 32)
    return fail(m, MC_ERR_TRUNCATED, b->at, "the channel group is cut off");
  const uint8_t *p = b->body.data;
  group *g = mc_arena_alloc(&m->file.arena, sizeof *g);
  if (!g || mc_vec_push(&m->group, g))
    return fail(m, MC_ERR_MEMORY, b->at, "out of memory for channel groups");
  g->record_id = mc_load_le64(p);
  g->block_at = b->at;
  g->cycles = mc_load_le64(p + 8);
  g->vlsd = mc_load_le16(p + 16) & CG_VLSD;
  g->data_bytes = mc_load_le32(p + 24);
  g->invalid_bytes = mc_load_le32(p + 28);
  uint32_t count = 0;
  if (g->vlsd)
    return MC_OK;
  if (g->data_bytes > RECORD_MAX || g->invalid_bytes > RECORD_MAX)
    return fail(m, MC_ERR_TOO_LARGE, b->at, "records of more than 1 MiB");
  MC_TRY(read_channels(m, g, mc_mdf4_block_link(b, 1), 0, &count));
  MC_TRY(check_bus_group(m, g));
  m->info.group_count += g->is_bus;
  m->info.passed_over += !g->is_bus;
  return MC_OK;
}

static mc_err read_data_group(mc_mdf4 *m, const mc_mdf4_block *dg)
{
  if (dg->body.len < 1)
    return fail(m, MC_ERR_TRUNCATED, dg->at, "the data group is cut off");
  source s = {.data_link = mc_mdf4_block_link(dg, 2), .id_size = dg->body.data[0], .first_group = (uint32_t)m->group.len};
  if (s.id_size > 8 || (s.id_size & (s.id_size - 1)) != 0)
    return fail(m, MC_ERR_MALFORMED, dg->at, "record ids of an impossible size; expected 0, 1, 2, 4 or 8 bytes");
  bool bus = false;
  uint64_t at = mc_mdf4_block_link(dg, 1);
  while (at) {
    mc_mdf4_block b;
    if (m->group.len >= GROUPS_MAX)
      return fail(m, MC_ERR_MALFORMED, at, "more than 4096 channel groups, or their list does not end");
    MC_TRY(mc_mdf4_block_read(&m->file, at, "CG", &b));
    MC_TRY(read_group(m, &b));
    bus = bus || m->group.at[m->group.len - 1]->is_bus;
    at = mc_mdf4_block_link(&b, 0);
  }
  s.group_count = (uint32_t)m->group.len - s.first_group;
  if (!bus)
    return MC_OK; /* nothing for us: its data is not even looked at */
  if (s.id_size == 0 && s.group_count > 1)
    return fail(m, MC_ERR_MALFORMED, dg->at, "several channel groups without record ids");
  return mc_vec_push(&m->source, s) ? fail(m, MC_ERR_MEMORY, dg->at, "out of memory") : MC_OK;
}

static mc_err read_tree(mc_mdf4 *m)
{
  uint64_t at = 0;
  uint32_t count = 0;
  MC_TRY(read_identification(m));
  MC_TRY(read_header(m, &at));
  while (at) {
    mc_mdf4_block dg;
    if (++count > GROUPS_MAX)
      return fail(m, MC_ERR_MALFORMED, at, "more than 4096 data groups, or their list does not end");
    MC_TRY(mc_mdf4_block_read(&m->file, at, "DG", &dg));
    MC_TRY(read_data_group(m, &dg));
    at = mc_mdf4_block_link(&dg, 0);
  }
  return MC_OK;
}

/* ---- records ---- */

typedef struct record {
  group *g;
  const uint8_t *bytes; /* without id and length */
  uint32_t len;
} record;

static uint64_t load_id(const uint8_t *p, uint8_t size)
{
  return size == 1 ? *p : size == 2 ? mc_load_le16(p) : size == 4 ? mc_load_le32(p) : mc_load_le64(p);
}

/* What is left when a logger lost power: a piece of a record, or preallocated room. */
static mc_err end_of_data(mc_mdf4 *m, source *s, const char *what)
{
  if (m->info.finalised)
    return fail(m, MC_ERR_MALFORMED, s->data_link + 24 + s->at, what);
  m->info.truncated_bytes += s->data.len - s->at;
  s->data.len = s->at;
  return MC_ERR_END;
}

static mc_err next_record(mc_mdf4 *m, source *s, record *out)
{
  size_t left = s->data.len - s->at;
  uint64_t index = s->first_group;
  if (left == 0)
    return MC_ERR_END;
  const uint8_t *p = s->data.data + s->at;
  if (left < s->id_size)
    return end_of_data(m, s, "the data ends inside a record id");
  if (s->id_size && !mc_map_get(&s->by_id, load_id(p, s->id_size), &index))
    return end_of_data(m, s, "a record id that no channel group has");
  group *g = m->group.at[index];
  if (!s->counted && !s->id_size && m->info.finalised && g->total >= g->cycles)
    return MC_ERR_END; /* room for more records than were written */
  size_t head = s->id_size + (g->vlsd ? 4u : 0u);
  if (left < head)
    return end_of_data(m, s, "the data ends inside a record");
  uint64_t len = g->vlsd ? mc_load_le32(p + s->id_size) : (uint64_t)g->data_bytes + g->invalid_bytes;
  if (len > left - head || head + len == 0)
    return end_of_data(m, s, "the data ends inside a record");
  *out = (record){g, p + head, (uint32_t)len};
  s->at += head + (size_t)len;
  return MC_OK;
}

/* Counts every group's records, notes where those of the VLSD groups lie so that a frame finds its bytes by offset, and
 * cuts the stream where the valid records end: a second walk meets no fault. */
static mc_err index_records(mc_mdf4 *m, source *s)
{
  record r;
  mc_err err;
  while (!(err = next_record(m, s, &r))) {
    r.g->total++;
    if (!r.g->vlsd)
      continue;
    piece p = {0, (uint64_t)(r.bytes - s->data.data), r.len};
    if (r.g->piece.len) {
      piece *last = &r.g->piece.at[r.g->piece.len - 1];
      p.offset = last->offset + 4 + last->len;
    }
    if (mc_vec_push(&r.g->piece, p))
      return fail(m, MC_ERR_MEMORY, s->at, "out of memory for the index of variable-length data");
  }
  s->data.len = s->at;
  s->counted = true;
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err link_vlsd(mc_mdf4 *m, source *s)
{
  for (uint32_t i = s->first_group; i < s->first_group + s->group_count; i++) {
    group *g = m->group.at[i];
    const mc_mdf4_channel *c = &g->channel[DATA_BYTES];
    if (!g->is_bus || !c->present || c->kind != MC_MDF4_VLSD || c->data_link == 0)
      continue;
    for (uint32_t k = s->first_group; k < s->first_group + s->group_count; k++)
      if (m->group.at[k]->vlsd && m->group.at[k]->block_at == c->data_link)
        g->vlsd_group = m->group.at[k];
    if (!g->vlsd_group)
      MC_TRY(mc_mdf4_stream(&m->file, c->data_link, "SD", &g->heap));
  }
  return MC_OK;
}

static mc_err open_source(mc_mdf4 *m, source *s)
{
  for (uint32_t i = s->first_group; i < s->first_group + s->group_count; i++) {
    m->group.at[i]->source = s;
    if (mc_map_put(&s->by_id, m->group.at[i]->record_id, i))
      return fail(m, MC_ERR_MEMORY, 0, "out of memory");
  }
  MC_TRY(mc_mdf4_stream(&m->file, s->data_link, "DT", &s->data));
  MC_TRY(link_vlsd(m, s));
  return index_records(m, s);
}

mc_err mc_mdf4_open(mc_slice file, const char *name, mc_mdf4 **out, mc_why *why)
{
  *out = NULL;
  if (file.len > FILE_MAX)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%s: %zu bytes; expected at most 2 GiB", name, file.len);
  mc_mdf4 *m = calloc(1, sizeof *m);
  if (!m)
    return mc_err_set(why, MC_ERR_MEMORY, "%s: out of memory", name);
  m->file = (mc_mdf4_file){.in = file, .name = name, .why = why};
  mc_err err = read_tree(m); /* the vectors have their final size after this: pointers into them stay */
  for (size_t i = 0; i < m->source.len && !err; i++)
    err = open_source(m, &m->source.at[i]);
  if (!err) {
    mc_mdf4_rewind(m);
    m->file.why = NULL;
    m->file.name = mc_arena_str(&m->file.arena, mc_slice_str(name));
    if (!m->file.name)
      err = mc_err_set(why, MC_ERR_MEMORY, "%s: out of memory", name);
  }
  if (err)
    mc_mdf4_close(&m);
  *out = m;
  return err;
}

/* ---- frames ---- */

static int by_offset(const void *key, const void *item)
{
  uint64_t a = *(const uint64_t *)key, b = ((const piece *)item)->offset;
  return a < b ? -1 : a > b;
}

/* Variable-length bytes of a record: by offset, or in order when the logger could not fix the offsets. */
static mc_err variable_bytes(mc_mdf4 *m, const source *s, const group *g, const uint8_t *bytes, mc_slice *out)
{
  uint64_t offset = mc_mdf4_channel_raw(&g->channel[DATA_BYTES], bytes);
  *out = (mc_slice){NULL, 0};
  if (g->vlsd_group) {
    const group *v = g->vlsd_group;
    const piece *p = NULL;
    if (m->unfinished & UNFINISHED_VLSD_OFFSETS)
      p = g->seen < v->piece.len ? &v->piece.at[g->seen] : NULL;
    else if (v->piece.len)
      p = bsearch(&offset, v->piece.at, v->piece.len, sizeof *p, by_offset);
    if (p)
      *out = mc_slice_sub(s->data, (size_t)p->at, p->len);
    else if (m->info.finalised)
      return fail(m, MC_ERR_MALFORMED, s->at, "a frame points to variable-length data that is not there");
    return p ? MC_OK : MC_ERR_NOT_FOUND; /* cut off together with the end of the file */
  }
  if (offset > g->heap.len || g->heap.len - offset < 4 || mc_load_le32(g->heap.data + offset) > g->heap.len - offset - 4)
    return m->info.finalised ? fail(m, MC_ERR_MALFORMED, s->at, "a frame points outside its variable-length data") : MC_ERR_NOT_FOUND;
  *out = mc_slice_sub(g->heap, (size_t)offset + 4, mc_load_le32(g->heap.data + offset));
  return MC_OK;
}

static double value_of(const group *g, role r, const uint8_t *bytes, double otherwise)
{
  const mc_mdf4_channel *c = &g->channel[r];
  if (!c->present || !mc_mdf4_channel_valid(c, bytes, g->data_bytes))
    return otherwise;
  double v = mc_mdf4_channel_value(c, bytes, g->seen);
  return isfinite(v) ? v : otherwise;
}

static uint8_t length_of_dlc(unsigned dlc, bool fd)
{
  static const uint8_t sizes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64};
  return dlc <= 8 ? (uint8_t)dlc : fd ? sizes[dlc & 15] : 8;
}

static uint8_t frame_length(const group *g, const uint8_t *bytes, bool fd)
{
  double length = value_of(g, DATA_LENGTH, bytes, -1);
  if (length >= 0)
    return length < 64 ? (uint8_t)length : 64;
  return length_of_dlc((unsigned)value_of(g, DLC, bytes, 8) & 15, fd);
}

static mc_err take_bytes(mc_mdf4 *m, const source *s, const group *g, const uint8_t *bytes, mc_bus_frame *f)
{
  const mc_mdf4_channel *c = &g->channel[DATA_BYTES];
  mc_slice data;
  if (g->remote)
    return MC_OK;
  if (c->kind == MC_MDF4_VLSD) {
    MC_TRY(variable_bytes(m, s, g, bytes, &data));
    if (!g->channel[DATA_LENGTH].present && !g->channel[DLC].present)
      f->len = data.len < 64 ? (uint8_t)data.len : 64;
  } else {
    data = mc_slice_of(bytes + c->byte_offset, c->bit_count / 8);
  }
  if (f->len > data.len)
    f->len = (uint8_t)data.len; /* never more than was recorded */
  memcpy(f->data, data.data ? data.data : f->data, f->len);
  return MC_OK;
}

static bool time_of(const mc_mdf4 *m, const group *g, const uint8_t *bytes, int64_t *time_us)
{
  double us = floor(mc_mdf4_channel_value(&g->time, bytes, g->seen) * 1e6 + 0.5);
  if (!(us > -4e18 && us < 4e18))
    return false;
  *time_us = m->info.start_us + (int64_t)us;
  return true;
}

/* MC_ERR_NOT_FOUND: a record that makes no frame. */
static mc_err make_frame(mc_mdf4 *m, const source *s, const group *g, const uint8_t *bytes, mc_bus_frame *f)
{
  *f = (mc_bus_frame){.rtr = g->remote};
  if (!time_of(m, g, bytes, &f->time_us))
    return fail(m, MC_ERR_MALFORMED, s->at, "a time stamp that is no number");
  uint64_t id = mc_mdf4_channel_raw(&g->channel[ID], bytes);
  f->extended = g->channel[IDE].present ? value_of(g, IDE, bytes, 0) != 0 : id >> 31 & 1;
  f->id = (uint32_t)(id & (f->extended ? 0x1FFFFFFF : 0x7FF));
  double channel = value_of(g, BUS_CHANNEL, bytes, 0);
  f->channel = channel >= 0 && channel < MC_BUS_CHANNEL_NONE ? (uint16_t)channel : 0;
  f->fd = value_of(g, EDL, bytes, 0) != 0;
  f->brs = value_of(g, BRS, bytes, 0) != 0;
  f->esi = value_of(g, ESI, bytes, 0) != 0;
  f->sent = value_of(g, DIR, bytes, 0) != 0;
  f->len = frame_length(g, bytes, f->fd);
  return take_bytes(m, s, g, bytes, f);
}

/* Moves one record of the stream into its group's queue. */
static mc_err pull(mc_mdf4 *m, source *s)
{
  record r;
  MC_TRY(next_record(m, s, &r));
  if (!r.g->is_bus)
    return MC_OK;
  if (r.g->head == r.g->waiting.len) {
    mc_vec_clear(&r.g->waiting);
    r.g->head = 0;
  }
  if (mc_vec_push(&r.g->waiting, (uint64_t)(r.bytes - s->data.data)))
    return fail(m, MC_ERR_MEMORY, s->at, "out of memory for putting frames in order");
  r.g->pulled++;
  m->waiting++;
  return MC_OK;
}

/* Sees to it that g->frame holds the group's next frame, if there is one. */
static mc_err load(mc_mdf4 *m, group *g)
{
  while (!g->loaded) {
    while (g->head == g->waiting.len) {
      if (g->pulled == g->total || m->waiting >= WAITING_MAX)
        return MC_OK;
      MC_TRY(pull(m, g->source));
    }
    const uint8_t *bytes = g->source->data.data + g->waiting.at[g->head++];
    m->waiting--;
    mc_err err = make_frame(m, g->source, g, bytes, &g->frame);
    g->seen++;
    if (err && err != MC_ERR_NOT_FOUND)
      return err;
    g->loaded = !err;
  }
  return MC_OK;
}

mc_err mc_mdf4_next(mc_mdf4 *m, mc_bus_frame *frame, mc_why *why)
{
  group *first = NULL;
  m->file.why = why;
  for (size_t i = 0; i < m->group.len; i++) {
    group *g = m->group.at[i];
    if (!g->is_bus)
      continue;
    MC_TRY(load(m, g));
    if (g->loaded && (!first || g->frame.time_us < first->frame.time_us))
      first = g;
  }
  if (!first)
    return MC_ERR_END;
  *frame = first->frame;
  first->loaded = false;
  return MC_OK;
}

void mc_mdf4_rewind(mc_mdf4 *m)
{
  for (size_t i = 0; i < m->source.len; i++)
    m->source.at[i].at = 0;
  for (size_t i = 0; i < m->group.len; i++) {
    group *g = m->group.at[i];
    g->seen = g->pulled = 0;
    g->loaded = false;
    mc_vec_clear(&g->waiting);
    g->head = 0;
  }
  m->waiting = 0;
}

const mc_mdf4_info *mc_mdf4_about(const mc_mdf4 *m) { return &m->info; }

void mc_mdf4_close(mc_mdf4 **pm)
{
  mc_mdf4 *m = pm ? *pm : NULL;
  if (!m)
    return;
  for (size_t i = 0; i < m->group.len; i++) {
    mc_vec_free(&m->group.at[i]->piece);
    mc_vec_free(&m->group.at[i]->waiting);
  }
  for (size_t i = 0; i < m->source.len; i++)
    mc_map_free(&m->source.at[i].by_id);
  mc_vec_free(&m->group);
  mc_vec_free(&m->source);
  mc_arena_free(&m->file.arena);
  free(m);
  *pm = NULL;
}
