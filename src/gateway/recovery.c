#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"

/* Start: the checkpoint, then the journal from its floor. Runs before the loops do; what it finds is spread over them by client id. */

enum { CHECKPOINT_MAX = 1 << 30 };

typedef struct recovery {
  mc_gateway *g;
  uint64_t records, messages;
} recovery;

static mc_gateway_loop *loop_of(mc_gateway *g, mc_slice client_id) { return &g->loop[mc_slice_fnv1a(client_id) % g->loop_count]; }

static mc_slice get_text(mc_cursor *c) { return mc_cursor_bytes(c, mc_cursor_le16(c)); }

static mc_session *find_or_make(mc_gateway *g, uint32_t tenant, mc_slice client_id)
{
  pthread_mutex_lock(&g->lock);
  mc_session *s = mc_session_find(g, tenant, client_id);
  pthread_mutex_unlock(&g->lock);
  if (!s && mc_session_create(loop_of(g, client_id), tenant, client_id, &s) != MC_OK)
    return NULL;
  return s;
}

static mc_err set_thing(mc_session *s, uint32_t thing, mc_slice name)
{
  mc_gateway *g = s->home->gateway;
  s->thing = thing;
  free(s->thing_name);
  s->thing_name = NULL;
  if (name.len) {
    s->thing_name = calloc(1, name.len + 1);
    if (!s->thing_name)
      return MC_ERR_MEMORY;
    memcpy(s->thing_name, name.data, name.len);
  }
  s->partition = mc_journal_partition_of(name.len ? name : mc_session_id(s));
  return thing ? mc_map_put(&g->by_thing, (uint64_t)s->tenant << 32 | thing, (uintptr_t)s) : MC_OK;
}

/* ---- the checkpoint ---- */
static mc_err load_filters(mc_session *s, mc_cursor *c)
{
  uint32_t count = mc_cursor_le32(c);
  for (uint32_t i = 0; i < count && c->ok; i++) {
    mc_slice filter = get_text(c);
    uint8_t options = mc_cursor_u8(c);
    uint32_t id = mc_cursor_le32(c);
    bool existed;
    if (c->ok)
      MC_TRY(mc_session_subscribe(s, filter, options, id, &existed));
  }
  return MC_OK;
}

static mc_err load_queue(mc_session *s, mc_cursor *c, uint64_t scan_at)
{
  uint32_t count = mc_cursor_le32(c);
  if (!count && scan_at == UINT64_MAX)
    return MC_OK;
  mc_outbox *o = mc_session_outbox(s);
  if (!o)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < count && c->ok; i++) {
    uint64_t v = mc_cursor_le64(c);
    if (c->ok)
      MC_TRY(mc_u64_ring_push(&o->waiting, v >> 1 | (v & 1 ? MC_OUT_RETAINED : 0)));
  }
  if (scan_at != UINT64_MAX)
    o->scan_begin = o->scan_at = scan_at;
  mc_count_set(&s->queued, o->waiting.len);
  return MC_OK;
}

static mc_err load_session(mc_gateway *g, mc_slice bytes)
{
  mc_cursor c = mc_cursor_of(bytes);
  uint32_t tenant = mc_cursor_le32(&c), thing = mc_cursor_le32(&c), expiry_s = mc_cursor_le32(&c);
  uint8_t version = mc_cursor_u8(&c);
  bool connected = mc_cursor_u8(&c) & 1;
  int64_t disconnected_us = (int64_t)mc_cursor_le64(&c);
  uint64_t since = mc_cursor_le64(&c), scan_at = mc_cursor_le64(&c);
  mc_slice id = get_text(&c), name = get_text(&c);
  if (!c.ok)
    return MC_ERR_MALFORMED;
  mc_session *s = find_or_make(g, tenant, id);
  if (!s)
    return MC_ERR_MEMORY;
  mc_session_clear(s); /* one that moved between loops may be there twice; the parts agree */
  s->expiry_s = expiry_s;
  s->persistent = true;
  s->version = version;
  s->since = since;
  s->disconnected_us = connected ? 0 : disconnected_us;
  MC_TRY(set_thing(s, thing, name));
  MC_TRY(load_filters(s, &c));
  MC_TRY(load_queue(s, &c, scan_at));
  return c.ok ? MC_OK : MC_ERR_MALFORMED;
}

static mc_err load_retained(mc_gateway *g, mc_cursor *c)
{
  uint32_t tenant = mc_cursor_le32(c);
  mc_retained value = {.offset = mc_cursor_le64(c)};
  value.time_us = (int64_t)mc_cursor_le64(c);
  value.qos = mc_cursor_u8(c);
  value.flags = mc_cursor_u8(c);
  mc_slice topic = get_text(c);
  uint32_t props_len = mc_cursor_le32(c), payload_len = mc_cursor_le32(c);
  mc_slice props = mc_cursor_bytes(c, props_len), payload = mc_cursor_bytes(c, payload_len);
  return c->ok ? mc_retained_put(&g->retained, tenant, topic, &value, props, payload) : MC_ERR_MALFORMED;
}

static mc_err load(mc_gateway *g, mc_slice file, uint64_t *floor, mc_why *why)
{
  if (file.len < 32 || !mc_slice_starts(file, mc_slice_str(MC_CHECKPOINT_MAGIC)))
    return mc_err_set(why, MC_ERR_MALFORMED, "%zu bytes that are not a session checkpoint", file.len);
  mc_cursor c = mc_cursor_of(mc_slice_sub(file, 4, file.len - 8));
  uint32_t version = mc_cursor_le32(&c);
  if (version != MC_CHECKPOINT_VERSION)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "session checkpoint of version %u; this build reads %d: start the build that wrote it", version, MC_CHECKPOINT_VERSION);
  if (mc_load_le32(file.data + file.len - 4) != mc_crc32c(0, file.data, file.len - 4))
    return mc_err_set(why, MC_ERR_CHECKSUM, "session checkpoint of %zu bytes is damaged", file.len);
  *floor = mc_cursor_le64(&c);
  mc_cursor_le64(&c); /* when it was written: for people */
  uint32_t sessions = mc_cursor_le32(&c);
  for (uint32_t i = 0; i < sessions && c.ok; i++) {
    mc_err err = load_session(g, mc_cursor_bytes(&c, mc_cursor_le32(&c)));
    if (err != MC_OK)
      return mc_err_set(why, err, "session checkpoint: session %u before byte %zu: %s", i, c.at + 4, mc_err_text(err));
  }
  while (c.ok && mc_cursor_left(&c)) {
    mc_err err = load_retained(g, &c);
    if (err != MC_OK)
      return mc_err_set(why, err, "session checkpoint: retained message before byte %zu: %s", c.at + 4, mc_err_text(err));
  }
  return c.ok ? MC_OK : mc_err_set(why, MC_ERR_TRUNCATED, "session checkpoint ends inside an entry");
}

static mc_err load_checkpoint(mc_gateway *g, uint64_t *floor, mc_why *why)
{
  mc_buf file = {0};
  char path[512];
  snprintf(path, sizeof path, "%s/sessions.checkpoint", g->dir);
  mc_err err = mc_fs_read(g->fs, path, CHECKPOINT_MAX, &file, why);
  if (err == MC_ERR_NOT_FOUND) { /* the first start */
    *floor = 0;
    err = MC_OK;
  } else if (err == MC_OK) {
    err = load(g, mc_buf_slice(&file), floor, why);
    if (err != MC_OK)
      mc_err_prefix(why, "%s: move it away to rebuild sessions and retained messages from what the journal still holds", path);
  }
  mc_buf_free(&file);
  return err;
}

/* ---- the journal ---- */
static void apply_open(mc_gateway *g, const mc_record *record, const mc_session_record *r)
{
  mc_session *s = find_or_make(g, record->tenant, r->client_id);
  if (!s)
    return;
  if (r->clean)
    mc_session_clear(s);
  s->expiry_s = r->expiry_s;
  s->persistent = r->expiry_s > 0;
  s->version = r->mqtt_version;
  s->disconnected_us = 0;
  if (s->subs.count == 0)
    s->since = record->offset;
  set_thing(s, r->thing, r->thing_name);
}

static void apply_session(mc_gateway *g, const mc_record *record)
{
  mc_session_record r;
  mc_session_filter f;
  mc_why why;
  if (mc_session_record_read(record->payload, &r, &why) != MC_OK) {
    mc_log(MC_LOG_ERROR, "gateway", "a session record in the journal cannot be read and is passed over", MC_KU("offset", record->offset), MC_KZ("error", why.text));
    return;
  }
  if (r.kind == MC_SESSION_OPEN) {
    apply_open(g, record, &r);
    return;
  }
  pthread_mutex_lock(&g->lock);
  mc_session *s = mc_session_find(g, record->tenant, r.client_id);
  pthread_mutex_unlock(&g->lock);
  if (!s)
    return;
  size_t at = 0;
  uint64_t offset = 0;
  bool existed;
  switch (r.kind) {
  case MC_SESSION_SUBSCRIBE:
    if (s->subs.count == 0)
      s->since = record->offset;
    while (mc_session_record_next_filter(&r, &at, &f))
      mc_session_subscribe(s, f.filter, f.options, f.id, &existed);
    break;
  case MC_SESSION_UNSUBSCRIBE:
    while (mc_session_record_next_filter(&r, &at, &f))
      mc_session_unsubscribe(s, f.filter);
    break;
  case MC_SESSION_ACKED:
    while (s->outbox && mc_session_record_next_offset(&r, &at, &offset))
      if (!mc_outbox_forget(s->outbox, offset) && mc_outbox_scanned(s->outbox, offset))
        mc_map_put(&s->outbox->skip, offset, 1);
    break;
  case MC_SESSION_CLOSED:
    s->expiry_s = r.expiry_s;
    s->disconnected_us = record->time_us;
    break;
  default: /* ended */
    s->persistent = false;
    mc_session_destroy(s, false);
  }
}

static const mc_sub_owner *publisher_of(mc_gateway *g, const mc_record *record)
{
  uint64_t value;
  return record->principal && mc_map_get(&g->by_thing, (uint64_t)record->tenant << 32 | record->principal, &value)
             ? &((mc_session *)(uintptr_t)value)->subs
             : NULL;
}

static void queue(mc_session *s, uint64_t offset)
{
  mc_outbox *o = mc_session_outbox(s);
  if (!o || offset < s->since || mc_outbox_scanned(o, offset))
    return;
  if (mc_u64_ring_push(&o->waiting, offset) != MC_OK && !mc_outbox_scanning(o)) /* no memory: from here on by reading */
    o->scan_begin = o->scan_at = offset;
}

/* Only now, for what is acknowledged was read after what was queued. The rest is read from the journal when the client is there. */
static void shorten(mc_session *s)
{
  mc_outbox *o = s->outbox;
  uint32_t most = s->home->gateway->limit.max_queued;
  if (!o || o->waiting.len <= most || mc_outbox_scanning(o))
    return;
  uint64_t first = UINT64_MAX;
  uint32_t keep = most;
  while (o->waiting.len > keep) {
    uint64_t offset = *mc_u64_ring_at(&o->waiting, o->waiting.len - 1) & MC_OUT_OFFSET;
    first = offset < first ? offset : first;
    o->waiting.len--;
  }
  o->scan_begin = o->scan_at = first;
}

static void apply_message(recovery *r, const mc_record *record)
{
  mc_message m;
  mc_gateway *g = r->g;
  if (!mc_message_of_record(record, &m))
    return;
  r->messages++;
  if (m.retain) {
    mc_retained value = {.offset = m.offset, .time_us = m.time_us, .principal = record->principal, .qos = m.qos, .flags = record->flags & MC_RECORD_V5};
    mc_retained_put(&g->retained, m.tenant, m.topic, &value, m.props, m.payload);
  }
  if (m.qos == 0)
    return;
  for (size_t i = 0; i < g->loop_count; i++) {
    mc_gateway_loop *l = &g->loop[i];
    if (!l->subs.count || mc_sub_tree_match(&l->subs, m.tenant, m.topic, publisher_of(g, record)) != MC_OK)
      continue;
    for (size_t k = 0; k < l->subs.match.len; k++)
      if (l->subs.match.at[k].qos)
        queue((mc_session *)l->subs.match.at[k].owner, m.offset);
  }
}

static mc_err replay(recovery *r, uint64_t floor, mc_why *why)
{
  mc_gateway *g = r->g;
  uint64_t first = mc_journal_first_offset(g->journal);
  if (floor > mc_journal_end_offset(g->journal)) {
    mc_log(MC_LOG_ERROR, "gateway", "the session checkpoint is ahead of the journal: was the journal replaced?", MC_KU("checkpoint", floor),
           MC_KU("journal", mc_journal_end_offset(g->journal)));
    floor = first;
  }
  if (floor < first)
    floor = first;
  mc_journal_filter filter = {1u << MC_STREAM_SESSION | 1u << MC_STREAM_MESSAGE | 1u << MC_STREAM_TELEMETRY | 1u << MC_STREAM_CHECKIN | 1u << MC_STREAM_COMMAND, 0};
  mc_journal_reader *reader;
  MC_TRY(mc_journal_reader_create(g->journal, floor, filter, &reader, why));
  mc_record record;
  mc_err err;
  while ((err = mc_journal_reader_next(reader, &record, why)) == MC_OK) {
    r->records++;
    if (record.stream == MC_STREAM_SESSION)
      apply_session(g, &record);
    else
      apply_message(r, &record);
  }
  mc_journal_reader_destroy(&reader);
  return err == MC_ERR_END ? MC_OK : err;
}

/* Whose connection ended with the last process starts to expire now; the others go on expiring. */
static void settle(mc_gateway *g)
{
  int64_t wall = mc_clock_wall_us();
  for (size_t i = 0; i < g->loop_count; i++)
    for (mc_session *s = g->loop[i].sessions, *next; s; s = next) {
      next = s->next;
      if (s->expiry_s == 0) {
        s->persistent = false;
        mc_session_destroy(s, false);
        continue;
      }
      if (s->disconnected_us == 0 || s->disconnected_us > wall)
        s->disconnected_us = wall;
      int64_t left = (int64_t)s->expiry_s * 1000000 - (wall - s->disconnected_us);
      s->expires_us = s->expiry_s == UINT32_MAX ? INT64_MAX : mc_loop_now_us(g->loop[i].loop) + (left > 0 ? left : 0);
      shorten(s);
      mc_session_tidy(s);
      mc_session_arm(s);
    }
}

mc_err mc_recover(mc_gateway *g, mc_why *why)
{
  int64_t began = mc_clock_mono_us();
  recovery r = {.g = g};
  uint64_t floor = 0;
  MC_TRY(load_checkpoint(g, &floor, why));
  MC_TRY(replay(&r, floor, why));
  settle(g);
  mc_log(MC_LOG_INFO, "gateway", "sessions and retained messages rebuilt", MC_KU("sessions", g->directory.len), MC_KU("retained", g->retained.count),
         MC_KU("records_read", r.records), MC_KI("ms", (mc_clock_mono_us() - began) / 1000));
  return MC_OK;
}
