#include "gateway/share_group.h"

/* What of a group survives: its members' sessions carry the subscription (session_record.h); here are the acknowledgements, as records, and
 * the queue, as a section of the checkpoint. Byte tables: README, "Formats". */

enum { RECORD_FORMAT = 1, KIND_ACKED = 1 };

static mc_err put_le(mc_buf *out, uint64_t v, size_t width)
{
  uint8_t bytes[8];
  mc_store_le64(bytes, v);
  return mc_buf_append(out, bytes, width);
}

static mc_err put_text(mc_buf *out, mc_slice text)
{
  MC_TRY(put_le(out, text.len, 2));
  return mc_buf_append_slice(out, text);
}

static mc_slice get_text(mc_cursor *c) { return mc_cursor_bytes(c, mc_cursor_le16(c)); }

/* ---- acknowledgements ---- */
static mc_err put_acked(const mc_share_group *g, mc_buf *out)
{
  mc_buf_clear(out);
  MC_TRY(put_le(out, RECORD_FORMAT, 1));
  MC_TRY(put_le(out, KIND_ACKED, 1));
  MC_TRY(put_le(out, g->acked.len, 4));
  MC_TRY(put_text(out, mc_share_group_name(g)));
  MC_TRY(put_text(out, mc_share_group_filter(g)));
  return mc_session_record_add_offsets(out, g->acked.at, g->acked.len);
}

void mc_share_flush_acked(mc_gateway_loop *l)
{
  while (l->share.acked) {
    mc_share_group *g = l->share.acked;
    l->share.acked = g->next_acked;
    g->in_acked = false;
    if (g->acked.len && put_acked(g, &l->record) == MC_OK) {
      mc_record record = {.stream = MC_STREAM_SESSION,
                          .partition = mc_journal_partition_of(mc_share_group_name(g)),
                          .tenant = g->tenant,
                          .time_us = mc_clock_wall_us(),
                          .topic = MC_LIT(MC_SHARE_TOPIC),
                          .payload = mc_buf_slice(&l->record)};
      mc_publish_own(l, &record, 1); /* waits its turn when the disk is behind */
    }
    mc_vec_free(&g->acked);
  }
}

/* ---- recovery ---- */
static mc_share_group *find_anywhere(mc_gateway *g, uint32_t tenant, mc_slice name, mc_slice filter)
{
  mc_share_group *group = NULL;
  for (size_t i = 0; i < g->loop_count && !group; i++)
    group = mc_share_group_find(&g->loop[i], tenant, name, filter);
  return group;
}

void mc_share_recover_message(mc_sub_owner *owner, uint64_t offset)
{
  mc_share_group *g = (mc_share_group *)owner;
  if (offset < g->since || mc_share_scanned(g, offset))
    return;
  if (mc_u64_ring_push(&g->waiting, offset) != MC_OK && !mc_share_scanning(g)) /* no memory: from here on by reading */
    g->scan_begin = g->scan_at = offset;
}

void mc_share_recover_record(mc_gateway *g, const mc_record *record)
{
  mc_cursor c = mc_cursor_of(record->payload);
  uint8_t format = mc_cursor_u8(&c), kind = mc_cursor_u8(&c);
  mc_session_record list = {.count = mc_cursor_le32(&c)};
  mc_slice name = get_text(&c), filter = get_text(&c);
  if (!c.ok || format != RECORD_FORMAT || kind != KIND_ACKED) {
    mc_log(MC_LOG_ERROR, "gateway", "a record of a shared subscription cannot be read and is passed over", MC_KU("offset", record->offset),
           MC_KU("version", format), MC_KU("kind", kind));
    return;
  }
  list.list = mc_slice_sub(record->payload, c.at, record->payload.len);
  mc_share_group *group = find_anywhere(g, record->tenant, name, filter);
  size_t at = 0;
  uint64_t offset = 0;
  while (group && mc_session_record_next_entry(&list, &at, &offset))
    mc_share_forget(group, offset);
}

/* Of several groups that have it, one: its copy of the message is this one. */
void mc_share_recover_taken(mc_session *s, uint64_t offset)
{
  mc_gateway *g = s->home->gateway;
  for (const mc_share_member *m = s->shares; m; m = m->next) {
    mc_share_group *group = find_anywhere(g, s->tenant, mc_share_name(m), mc_share_filter(m));
    if (group && mc_share_forget(group, offset))
      return;
  }
}

void mc_share_recover_subscribed(mc_gateway *g, uint32_t tenant, mc_slice filter, uint64_t offset)
{
  mc_slice name, inner;
  mc_share_group *group = mc_mqtt_shared_split(filter, &name, &inner) ? find_anywhere(g, tenant, name, inner) : NULL;
  if (group && group->since == UINT64_MAX)
    group->since = offset;
}

/* Only now, for what is acknowledged was read after what was queued. The rest is read from the journal when a member is there. */
static void shorten(mc_share_group *g)
{
  uint32_t most = g->home->gateway->limit.max_queued;
  uint64_t first = UINT64_MAX;
  if (g->waiting.len <= most || mc_share_scanning(g))
    return;
  for (; g->waiting.len > most; g->waiting.len--) {
    uint64_t offset = *mc_u64_ring_at(&g->waiting, g->waiting.len - 1);
    first = offset < first ? offset : first;
  }
  g->scan_begin = g->scan_at = first;
}

void mc_share_recovered(mc_gateway *gateway)
{
  for (size_t i = 0; i < gateway->loop_count; i++) {
    size_t at = 0;
    uint64_t value;
    mc_slice key;
    while (mc_strmap_next(&gateway->loop[i].share.groups, &at, &key, &value)) {
      mc_share_group *g = (mc_share_group *)(uintptr_t)value;
      if (g->since == UINT64_MAX)
        g->since = mc_journal_end_offset(gateway->journal);
      shorten(g);
    }
  }
}

/* ---- the checkpoint ---- */
static mc_err put_offset(mc_buf *out, uint64_t offset, uint64_t floor, uint64_t *pin, uint32_t *count)
{
  if (offset >= floor) /* recovery routes it again */
    return MC_OK;
  *pin = offset < *pin ? offset : *pin;
  ++*count;
  return put_le(out, offset, 8);
}

static mc_err put_group(mc_share_group *g, uint64_t floor, uint64_t *pin, mc_buf *out)
{
  size_t begin = out->len;
  uint64_t scan = mc_share_scanning(g) ? g->scan_at : UINT64_MAX, offset, serial;
  *pin = scan < *pin ? scan : *pin;
  MC_TRY(put_le(out, 0, 4));
  MC_TRY(put_le(out, g->tenant, 4));
  MC_TRY(put_le(out, g->since, 8));
  MC_TRY(put_le(out, scan, 8));
  MC_TRY(put_text(out, mc_share_group_name(g)));
  MC_TRY(put_text(out, mc_share_group_filter(g)));
  size_t count_at = out->len, at = 0;
  uint32_t count = 0;
  MC_TRY(put_le(out, 0, 4));
  while (mc_map_next(&g->held, &at, &offset, &serial)) /* not acknowledged: given again */
    MC_TRY(put_offset(out, offset, floor, pin, &count));
  for (uint32_t i = 0; i < g->waiting.len; i++)
    MC_TRY(put_offset(out, *mc_u64_ring_at(&g->waiting, i), floor, pin, &count));
  mc_store_le32(out->data + count_at, count);
  mc_store_le32(out->data + begin, (uint32_t)(out->len - begin - 4));
  return MC_OK;
}

mc_err mc_share_checkpoint_put(mc_gateway_loop *l, uint64_t floor, uint64_t *pin, mc_buf *out)
{
  size_t at = 0;
  uint64_t value;
  mc_slice key;
  while (mc_strmap_next(&l->share.groups, &at, &key, &value)) {
    mc_share_group *g = (mc_share_group *)(uintptr_t)value;
    if (g->persistent)
      MC_TRY(put_group(g, floor, pin, out));
  }
  return MC_OK;
}

static int earliest_first(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y ? 1 : 0;
}

static mc_err load_group(mc_gateway *gateway, mc_cursor c)
{
  uint32_t tenant = mc_cursor_le32(&c);
  uint64_t since = mc_cursor_le64(&c), scan = mc_cursor_le64(&c);
  mc_slice name = get_text(&c), filter = get_text(&c);
  uint32_t count = mc_cursor_le32(&c);
  if (!c.ok || mc_cursor_left(&c) != (size_t)count * 8)
    return MC_ERR_MALFORMED;
  mc_share_group *g = find_anywhere(gateway, tenant, name, filter);
  if (!g) /* its last member left while the checkpoint was made; the journal says so */
    return MC_OK;
  mc_u64_ring_free(&g->waiting);
  g->since = since;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t offset = mc_cursor_le64(&c);
    if (offset > MC_OUT_OFFSET)
      return MC_ERR_MALFORMED;
    MC_TRY(mc_u64_ring_push(&g->waiting, offset));
  }
  if (count)
    qsort(g->waiting.at, count, sizeof *g->waiting.at, earliest_first); /* filled from its beginning: contiguous */
  if (scan != UINT64_MAX)
    g->scan_begin = g->scan_at = scan;
  return MC_OK;
}

mc_err mc_share_checkpoint_load(mc_gateway *g, mc_slice section, mc_why *why)
{
  mc_cursor c = mc_cursor_of(section);
  uint8_t format = mc_cursor_u8(&c);
  if (!c.ok || format != MC_SHARE_SECTION)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "its shared subscriptions are of version %u; this build reads %d: start the build that wrote it", format, MC_SHARE_SECTION);
  while (mc_cursor_left(&c)) {
    mc_slice bytes = mc_cursor_bytes(&c, mc_cursor_le32(&c));
    mc_err err = c.ok ? load_group(g, mc_cursor_of(bytes)) : MC_ERR_TRUNCATED;
    if (err != MC_OK)
      return mc_err_set(why, err, "shared subscription before byte %zu of their section: %s", c.at, mc_err_text(err));
  }
  return MC_OK;
}
