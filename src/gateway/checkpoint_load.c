#include "gateway/state.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"

/* The checkpoint's file at a start: read and checked, or set aside when it is damaged. */

/* What this build retains fits many times over (retained.h); beyond it the size itself is wrong. */
#define CHECKPOINT_MAX ((size_t)8 << 30)

static mc_slice get_text(mc_cursor *c) { return mc_cursor_bytes(c, mc_cursor_le16(c)); }

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

static mc_err load_entries(mc_session *s, mc_cursor *c, uint32_t version, bool behind_pages)
{
  uint32_t count = mc_cursor_le32(c);
  mc_outbox *o = count ? mc_session_outbox(s) : NULL;
  if (count && !o)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < count && c->ok; i++) {
    uint64_t v = mc_cursor_le64(c);
    if (c->ok && (version == 1 ? v >> 1 : v) > (MC_OUT_OFFSET | 7))
      return MC_ERR_MALFORMED;
    if (c->ok)
      MC_TRY(mc_u64_ring_push(behind_pages ? &o->waiting : &o->head, version == 1 ? (v >> 1 & MC_OUT_OFFSET) | (v & 1 ? MC_OUT_RETAINED : 0) : mc_outbox_entry_of(v)));
  }
  return MC_OK;
}

static mc_err load_came(mc_session *s, mc_cursor *c)
{
  uint32_t count = mc_cursor_le32(c);
  for (uint32_t i = 0; i < count && c->ok; i++) {
    uint16_t id = mc_cursor_le16(c);
    if (c->ok && !id)
      return MC_ERR_MALFORMED;
    if (c->ok)
      MC_TRY(mc_packet_ids_put(&s->came, id, 0));
  }
  return MC_OK;
}

static mc_err load_in_flight(mc_session *s, mc_cursor *c)
{
  uint32_t count = mc_cursor_le32(c);
  mc_outbox *o = count ? mc_session_outbox(s) : NULL;
  if (count && !o)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < count && c->ok; i++) {
    uint16_t id = mc_cursor_le16(c);
    bool received = mc_cursor_u8(c);
    uint64_t v = mc_cursor_le64(c);
    if (c->ok && (!id || v > (MC_OUT_OFFSET | 7)))
      return MC_ERR_MALFORMED;
    uint64_t entry = mc_outbox_entry_of(v);
    if (entry & MC_OUT_SHARED) /* its group was told before the checkpoint was made */
      entry = (entry & ~MC_OUT_SHARED) | MC_OUT_BY_GROUP;
    mc_err err = c->ok ? mc_outbox_restore(o, id, entry | MC_OUT_QOS2 | MC_OUT_ASSIGNED | MC_OUT_SENT | (received ? MC_OUT_RECEIVED : 0)) : MC_OK;
    if (err != MC_OK)
      return err == MC_ERR_FULL ? MC_ERR_MALFORMED : err;
  }
  return MC_OK;
}

static mc_err load_pages(mc_session *s, mc_cursor *c)
{
  uint32_t count = mc_cursor_le32(c);
  uint64_t entries = mc_cursor_le64(c);
  mc_outbox *o = count ? mc_session_outbox(s) : NULL;
  if (count && !o)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < count && c->ok; i++) {
    uint64_t offset = mc_cursor_le64(c), oldest = mc_cursor_le64(c);
    if (c->ok && (offset > MC_OUT_OFFSET || offset % 8))
      return MC_ERR_MALFORMED;
    if (c->ok)
      MC_TRY(mc_outbox_restore_page(o, offset, oldest, 0));
  }
  if (o)
    o->paged = entries;
  return MC_OK;
}

static mc_err load_scan(mc_session *s, uint64_t scan_at)
{
  if (scan_at == UINT64_MAX)
    return MC_OK;
  mc_outbox *o = mc_session_outbox(s);
  if (!o)
    return MC_ERR_MEMORY;
  o->scan_begin = o->scan_at = scan_at;
  return MC_OK;
}

/* What version 1 did not have. */
static mc_err load_exactly_once(mc_session *s, mc_cursor *c)
{
  mc_session_will will;
  MC_TRY(load_came(s, c));
  MC_TRY(load_in_flight(s, c));
  MC_TRY(load_pages(s, c));
  MC_TRY(load_entries(s, c, MC_CHECKPOINT_VERSION, true));
  if (!mc_cursor_u8(c))
    return MC_OK;
  mc_session_will_get(c, &will);
  return c->ok ? mc_recover_will(s, &will) : MC_ERR_MALFORMED;
}

static mc_err load_session(mc_gateway *g, mc_slice bytes, uint32_t file_version)
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
  mc_session *s = mc_recover_session(g, tenant, id);
  if (!s)
    return MC_ERR_MEMORY;
  mc_session_clear(s); /* one that moved between loops may be there twice; the parts agree */
  mc_recover_will(s, NULL);
  s->expiry_s = expiry_s;
  s->persistent = expiry_s > 0;
  s->recorded = true;
  s->version = version;
  s->since = since;
  s->disconnected_us = connected ? 0 : disconnected_us;
  MC_TRY(mc_recover_thing(s, thing, name));
  MC_TRY(load_filters(s, &c));
  MC_TRY(load_entries(s, &c, file_version, file_version == 1));
  if (file_version > 1)
    MC_TRY(load_exactly_once(s, &c));
  MC_TRY(load_scan(s, scan_at));
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
  mc_record record = {.stream = MC_STREAM_MESSAGE, .flags = value.flags, .tenant = tenant, .time_us = value.time_us, .topic = topic, .props = props, .payload = payload};
  if (value.flags & MC_RECORD_ENCIPHERED)
    value.key_id = record.key_id = mc_cursor_le32(c);
  if (!c->ok)
    return MC_ERR_MALFORMED;
  mc_buf opened = {0};
  mc_err err = mc_journal_decipher(g->journal, &record, &opened);
  value.flags &= (uint8_t)~MC_RECORD_ENCIPHERED;
  if (!err)
    err = mc_retained_put(&g->retained, tenant, topic, &value, record.props, record.payload);
  mc_buf_free(&opened);
  if (err == MC_ERR_NOT_FOUND) /* its key was destroyed: it is no more */
    return MC_OK;
  if (err != MC_ERR_FULL)
    return err;
  mc_log(MC_LOG_ERROR, "gateway", "retained message not kept: there are more than this build keeps", MC_KS("topic", topic));
  return MC_OK;
}

/* The sum first: only of a file that is whole does the version tell anything. */
static mc_err check(mc_slice file, mc_why *why)
{
  if (file.len < 32 || /* version 1 with nothing in it */ !mc_slice_starts(file, mc_slice_str(MC_CHECKPOINT_MAGIC)))
    return mc_err_set(why, MC_ERR_MALFORMED, "%zu bytes that are not a session checkpoint", file.len);
  if (mc_load_le32(file.data + file.len - 4) != mc_crc32c(0, file.data, file.len - 4))
    return mc_err_set(why, MC_ERR_CHECKSUM, "the checksum over its %zu bytes differs", file.len);
  uint32_t version = mc_load_le32(file.data + 4);
  if (version < MC_CHECKPOINT_OLDEST || version > MC_CHECKPOINT_VERSION)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "session checkpoint of version %u; this build reads %d to %d: start the build that wrote it", version,
                      MC_CHECKPOINT_OLDEST, MC_CHECKPOINT_VERSION);
  return MC_OK;
}

static mc_err load(mc_gateway *g, mc_slice file, uint64_t *floor, int64_t *time_us, mc_why *why)
{
  MC_TRY(check(file, why));
  mc_cursor c = mc_cursor_of(mc_slice_sub(file, 8, file.len - 12));
  *floor = mc_cursor_le64(&c);
  *time_us = (int64_t)mc_cursor_le64(&c);
  uint32_t sessions = mc_cursor_le32(&c);
  for (uint32_t i = 0; i < sessions && c.ok; i++) {
    mc_err err = load_session(g, mc_cursor_bytes(&c, mc_cursor_le32(&c)), mc_load_le32(file.data + 4));
    if (err != MC_OK)
      return mc_err_set(why, err, "session %u before byte %zu: %s", i, c.at + 8, mc_err_text(err));
  }
  if (mc_load_le32(file.data + 4) >= 2 && c.ok) {
    mc_slice section = mc_cursor_bytes(&c, mc_cursor_le32(&c));
    if (c.ok)
      MC_TRY(mc_share_checkpoint_load(g, section, why));
  }
  if (mc_load_le32(file.data + 4) >= 3 && c.ok) {
    mc_slice section = mc_cursor_bytes(&c, mc_cursor_le32(&c));
    if (c.ok)
      MC_TRY(mc_wall_load(&g->wall, section, why));
  }
  while (c.ok && mc_cursor_left(&c)) {
    mc_err err = load_retained(g, &c);
    if (err != MC_OK)
      return mc_err_set(why, err, "retained message before byte %zu: %s", c.at + 8, mc_err_text(err));
  }
  return c.ok ? MC_OK : mc_err_set(why, MC_ERR_TRUNCATED, "it ends inside an entry");
}

/* ---- damage ---- */
/* What was taken in before the damage showed: nothing of it stays. */
static mc_err forget_all(mc_gateway *g)
{
  for (size_t i = 0; i < g->loop_count; i++)
    while (g->loop[i].sessions) {
      mc_recover_will(g->loop[i].sessions, NULL);
      mc_session_destroy(g->loop[i].sessions, false);
    }
  g->wall.len = 0;
  atomic_store(&g->wall.top, 0);
  mc_retained_free(&g->retained);
  return mc_retained_init(&g->retained);
}

/* Under a name of its own, so that a second one does not take the place of the first. */
static mc_err set_aside(mc_gateway *g, const char *path, const mc_why *damage, mc_why *why)
{
  char now[MC_CLOCK_TEXT], when[MC_CLOCK_TEXT], aside[600];
  size_t n = 0;
  mc_clock_format_us(mc_clock_wall_us(), now);
  for (const char *p = now; *p; p++)
    if (isalnum((unsigned char)*p))
      when[n++] = *p;
  when[n] = 0;
  snprintf(aside, sizeof aside, "%s.damaged-%s", path, when);
  mc_err err = mc_fs_rename(g->fs, path, aside, why);
  if (err == MC_OK)
    err = mc_fs_sync_dir(g->fs, g->dir, why);
  if (err != MC_OK) {
    mc_err_prefix(why, "%s is damaged (%s) and cannot be set aside: move it away", path, damage->text);
    return err;
  }
  mc_log(MC_LOG_ERROR, "gateway", "the checkpoint of sessions and retained messages is damaged; it is set aside, and they are rebuilt from what the journal holds",
         MC_KZ("kept_as", aside), MC_KZ("damage", damage->text));
  return MC_OK;
}

/* The disk could not be read, memory ran out, a later build wrote it: then the file may well be good. */
static bool is_damage(mc_err err) { return err != MC_ERR_IO && err != MC_ERR_MEMORY && err != MC_ERR_UNSUPPORTED; }

mc_err mc_checkpoint_load(mc_gateway *g, uint64_t *floor, int64_t *time_us, mc_why *why)
{
  mc_buf file = {0};
  char path[512];
  mc_why damage = {0};
  snprintf(path, sizeof path, "%s/sessions.checkpoint", g->dir);
  mc_err err = mc_fs_read(g->fs, path, CHECKPOINT_MAX, &file, why);
  if (err != MC_OK) {
    mc_buf_free(&file);
    return err;
  }
  err = load(g, mc_buf_slice(&file), floor, time_us, &damage);
  mc_buf_free(&file);
  if (err == MC_OK)
    return MC_OK;
  if (!is_damage(err))
    return mc_err_set(why, err, "%s: %s", path, damage.text);
  *floor = 0;
  *time_us = 0;
  MC_TRY(forget_all(g));
  MC_TRY(set_aside(g, path, &damage, why));
  return MC_ERR_NOT_FOUND;
}
