#include "gateway/share_group.h"

/* What of a group survives: its members' sessions carry the subscription (session_record.h); here are the group's records, and the queue, as a section of
 * the checkpoint. Byte tables: README, "Formats". */

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

/* ---- records ---- */
mc_err mc_share_record_begin(mc_buf *out, const mc_share_group *g, mc_share_kind kind, uint32_t count)
{
  mc_buf_clear(out);
  MC_TRY(put_le(out, MC_SHARE_RECORD, 1));
  MC_TRY(put_le(out, kind, 1));
  MC_TRY(put_le(out, count, 4));
  MC_TRY(put_text(out, mc_share_group_name(g)));
  return put_text(out, mc_share_group_filter(g));
}

mc_err mc_share_record_read(mc_slice payload, mc_share_kind *kind, mc_slice *name, mc_slice *filter, mc_session_record *list, mc_why *why)
{
  mc_cursor c = mc_cursor_of(payload);
  uint8_t version = mc_cursor_u8(&c), k = mc_cursor_u8(&c);
  *list = (mc_session_record){.count = mc_cursor_le32(&c)};
  *name = get_text(&c);
  *filter = get_text(&c);
  if (!c.ok)
    return mc_err_set(why, MC_ERR_TRUNCATED, "record of a shared subscription: ends at byte %zu inside a field", payload.len);
  if (version < MC_SHARE_RECORD_OLDEST || version > MC_SHARE_RECORD)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "record of a shared subscription: version %u, this build reads %d to %d; use the newer build", version, MC_SHARE_RECORD_OLDEST,
                      MC_SHARE_RECORD);
  if (k < MC_SHARE_ACKED || k >= MC_SHARE_KINDS || (version == 1 && k != MC_SHARE_ACKED))
    return mc_err_set(why, MC_ERR_MALFORMED, "record of a shared subscription: kind %u at byte 1 is unknown in version %u", k, version);
  *kind = k;
  list->list = mc_slice_sub(payload, c.at, payload.len);
  return MC_OK;
}

void mc_share_stage(mc_share_group *g, mc_share_ticket *ticket)
{
  mc_gateway_loop *l = g->home;
  mc_record record = {.stream = MC_STREAM_SESSION,
                      .partition = mc_journal_partition_of(mc_share_group_name(g)),
                      .tenant = g->tenant,
                      .time_us = mc_clock_wall_us(),
                      .topic = MC_LIT(MC_SHARE_TOPIC),
                      .payload = mc_buf_slice(&l->record)};
  mc_pending pending = {.kind = ticket ? MC_PENDING_SHARE : MC_PENDING_NONE, .ticket = ticket};
  mc_pending_stage(l, &record, &pending); /* waits its turn when the disk is behind */
}

static void stage_offsets(mc_share_group *g, mc_share_kind kind, const uint64_t *offset, size_t count)
{
  mc_buf *out = &g->home->record;
  if (mc_share_record_begin(out, g, kind, (uint32_t)count) == MC_OK && mc_session_record_add_offsets(out, offset, count) == MC_OK)
    mc_share_stage(g, NULL);
}

void mc_share_put_again(mc_share_group *g, const uint64_t *offset, size_t count) { stage_offsets(g, MC_SHARE_AGAIN, offset, count); }

void mc_share_flush_acked(mc_gateway_loop *l)
{
  while (l->share.acked) {
    mc_share_group *g = l->share.acked;
    l->share.acked = g->next_acked;
    g->in_acked = false;
    if (g->acked.len)
      stage_offsets(g, MC_SHARE_ACKED, g->acked.at, g->acked.len);
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
  mc_outbox *o = &g->line;
  if (offset < g->since || mc_outbox_scanned(o, offset))
    return;
  if (mc_u64_ring_push(&o->waiting, offset) != MC_OK && !mc_outbox_scanning(o)) /* no memory: from here on by reading */
    o->scan_begin = o->scan_at = offset;
}

/* Begun, and given back before it was sent. Where a page has it, the page shows it. */
static void apply_again(mc_share_group *g, uint64_t offset)
{
  mc_outbox *o = &g->line;
  if (offset >= g->since && !mc_outbox_skipped(o, offset) && !mc_outbox_holds(o, offset) && mc_u64_ring_push_front(&o->head, offset) != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a message of a shared subscription is lost to it", MC_KS("group", mc_share_group_name(g)));
}

/* These are in a page from now on. The same page may be known from the checkpoint. */
static void apply_page(mc_share_group *g, const mc_record *record, const mc_session_record *list)
{
  uint64_t entry = 0, oldest = record->offset;
  size_t at = 0;
  while (mc_session_record_next_entry(list, &at, &entry)) {
    oldest = entry < oldest ? entry : oldest;
    mc_share_forget(g, entry);
  }
  if (mc_outbox_restore_page(&g->line, record->offset, oldest, list->count) != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a page of the queue of a shared subscription is lost to it", MC_KS("group", mc_share_group_name(g)));
}

void mc_share_recover_record(mc_gateway *g, const mc_record *record)
{
  mc_share_kind kind;
  mc_slice name, filter;
  mc_session_record list;
  mc_why why;
  if (mc_share_record_read(record->payload, &kind, &name, &filter, &list, &why) != MC_OK) {
    mc_log(MC_LOG_ERROR, "gateway", "a record of a shared subscription cannot be read and is passed over", MC_KU("offset", record->offset), MC_KZ("error", why.text));
    return;
  }
  mc_share_group *group = find_anywhere(g, record->tenant, name, filter);
  size_t at = 0;
  uint64_t offset = 0;
  if (group && kind == MC_SHARE_PAGE) {
    apply_page(group, record, &list);
    return;
  }
  while (group && mc_session_record_next_entry(&list, &at, &offset)) {
    if (kind == MC_SHARE_AGAIN)
      apply_again(group, offset);
    else if (!mc_share_forget(group, offset))
      mc_share_skip(group, offset);
  }
}

/* Of several groups that have it, one: its copy of the message is this one. Those that have it in memory are asked before those that may have it in pages. */
void mc_share_recover_taken(mc_session *s, uint64_t offset)
{
  mc_gateway *g = s->home->gateway;
  for (int skip = 0; skip < 2; skip++)
    for (const mc_share_member *m = s->shares; m; m = m->next) {
      mc_share_group *group = find_anywhere(g, s->tenant, mc_share_name(m), mc_share_filter(m));
      if (group && (skip ? mc_share_skip(group, offset) : mc_share_forget(group, offset)))
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
      mc_share_page_out(g); /* only now, for what is acknowledged was read after what was queued */
      mc_share_count_queue(g);
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
  const mc_outbox *o = &g->line;
  uint64_t scan = mc_outbox_scanning(o) ? o->scan_at : UINT64_MAX, offset, serial;
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
    if (!(serial & MC_SHARE_BEGUN))
      MC_TRY(put_offset(out, offset, floor, pin, &count));
  for (uint32_t i = 0; i < o->head.len; i++)
    MC_TRY(put_offset(out, *mc_u64_ring_at(&o->head, i), floor, pin, &count));
  mc_store_le32(out->data + count_at, count);
  MC_TRY(put_le(out, o->page.len, 4));
  MC_TRY(put_le(out, o->paged, 8));
  for (uint32_t i = 0; i < o->page.len; i++) { /* also those at and above the floor: recovery knows them then */
    uint64_t page = *mc_u64_ring_at(&o->page, i), oldest = mc_outbox_page_oldest(page);
    *pin = oldest < *pin ? oldest : *pin;
    MC_TRY(put_le(out, mc_outbox_page_offset(page), 8));
    MC_TRY(put_le(out, oldest, 8));
  }
  count_at = out->len;
  count = 0;
  MC_TRY(put_le(out, 0, 4));
  for (uint32_t i = 0; i < o->waiting.len; i++)
    MC_TRY(put_offset(out, *mc_u64_ring_at(&o->waiting, i), floor, pin, &count));
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
    size_t begin = out->len;
    MC_TRY(put_group(g, floor, pin, out));
    if (!g->persistent) /* nothing of it survives, but retention must leave what it needs while it lives */
      out->len = begin;
  }
  return MC_OK;
}

static int earliest_first(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y ? 1 : 0;
}

static mc_err load_offsets(mc_cursor *c, mc_u64_ring *to)
{
  uint32_t count = mc_cursor_le32(c);
  if (!c->ok || mc_cursor_left(c) / 8 < count)
    return MC_ERR_MALFORMED;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t offset = mc_cursor_le64(c);
    if (offset > MC_OUT_OFFSET || offset % 8)
      return MC_ERR_MALFORMED;
    MC_TRY(mc_u64_ring_push(to, offset));
  }
  return MC_OK;
}

static mc_err load_pages(mc_cursor *c, mc_outbox *o)
{
  uint32_t count = mc_cursor_le32(c);
  uint64_t entries = mc_cursor_le64(c);
  for (uint32_t i = 0; i < count && c->ok; i++) {
    uint64_t offset = mc_cursor_le64(c), oldest = mc_cursor_le64(c);
    if (!c->ok || offset > MC_OUT_OFFSET || offset % 8)
      return MC_ERR_MALFORMED;
    MC_TRY(mc_outbox_restore_page(o, offset, oldest, 0));
  }
  o->paged = entries;
  return c->ok ? MC_OK : MC_ERR_MALFORMED;
}

static mc_err load_group(mc_gateway *gateway, mc_cursor c, uint8_t version)
{
  uint32_t tenant = mc_cursor_le32(&c);
  uint64_t since = mc_cursor_le64(&c), scan = mc_cursor_le64(&c);
  mc_slice name = get_text(&c), filter = get_text(&c);
  mc_share_group *g = c.ok ? find_anywhere(gateway, tenant, name, filter) : NULL;
  if (!c.ok)
    return MC_ERR_MALFORMED;
  if (!g) /* its last member left while the checkpoint was made; the journal says so */
    return MC_OK;
  mc_share_queue_clear(g);
  g->since = since;
  MC_TRY(load_offsets(&c, &g->line.head));
  if (g->line.head.len)
    qsort(g->line.head.at, g->line.head.len, sizeof *g->line.head.at, earliest_first); /* filled from its beginning: contiguous */
  if (version > 1) {
    MC_TRY(load_pages(&c, &g->line));
    MC_TRY(load_offsets(&c, &g->line.waiting));
  }
  if (mc_cursor_left(&c))
    return MC_ERR_MALFORMED;
  if (scan != UINT64_MAX)
    g->line.scan_begin = g->line.scan_at = scan;
  return MC_OK;
}

mc_err mc_share_checkpoint_load(mc_gateway *g, mc_slice section, mc_why *why)
{
  mc_cursor c = mc_cursor_of(section);
  uint8_t format = mc_cursor_u8(&c);
  if (!c.ok || format < MC_SHARE_SECTION_OLDEST || format > MC_SHARE_SECTION)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "its shared subscriptions are of version %u; this build reads %d to %d: start the build that wrote it", format,
                      MC_SHARE_SECTION_OLDEST, MC_SHARE_SECTION);
  while (mc_cursor_left(&c)) {
    mc_slice bytes = mc_cursor_bytes(&c, mc_cursor_le32(&c));
    mc_err err = c.ok ? load_group(g, mc_cursor_of(bytes), format) : MC_ERR_TRUNCATED;
    if (err != MC_OK)
      return mc_err_set(why, err, "shared subscription before byte %zu of their section: %s", c.at, mc_err_text(err));
  }
  return MC_OK;
}
