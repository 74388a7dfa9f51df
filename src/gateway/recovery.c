#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>

/* Start: the checkpoint, then the journal from its floor. Runs before the loops do; what it finds is spread over them by client id. */

typedef struct recovery {
  mc_gateway *g;
  bool from_checkpoint;
  uint64_t first; /* oldest offset that the journal keeps */
  uint64_t records, damaged;
  int64_t oldest_us;    /* arrival of the first record read; 0 none */
  int64_t last_us;      /* the latest time known, and what lies below has an earlier one */
  uint64_t last_offset;
  mc_strmap incomplete; /* keys of sessions whose beginning is not there */
} recovery;

static mc_gateway_loop *loop_of(mc_gateway *g, mc_slice client_id) { return &g->loop[mc_slice_fnv1a(client_id) % g->loop_count]; }

mc_session *mc_recover_session(mc_gateway *g, uint32_t tenant, mc_slice client_id)
{
  pthread_mutex_lock(&g->lock);
  mc_session *s = mc_session_find(g, tenant, client_id);
  pthread_mutex_unlock(&g->lock);
  if (!s && mc_session_create(loop_of(g, client_id), tenant, client_id, &s) != MC_OK)
    return NULL;
  return s;
}

mc_err mc_recover_thing(mc_session *s, uint32_t thing, mc_slice name)
{
  mc_keep_str_free(s->thing_name);
  s->thing_name = NULL;
  if (name.len) {
    size_t len = strnlen((const char *)name.data, name.len); /* it is freed as a string */
    s->thing_name = mc_keep_alloc(len + 1);
    if (!s->thing_name)
      return MC_ERR_MEMORY;
    memcpy(s->thing_name, name.data, len);
  }
  s->partition = mc_journal_partition_of(name.len ? name : mc_session_id(s));
  return mc_session_set_thing(s, thing);
}

mc_err mc_recover_will(mc_session *s, const mc_session_will *w)
{
  free(s->will);
  s->will = w ? mc_will_copy(w) : NULL;
  return s->will || !w ? MC_OK : MC_ERR_MEMORY;
}

/* ---- the journal ---- */
/* A session that goes on, and whose beginning is neither in the checkpoint nor in the journal, has subscriptions that nobody
 * knows any more. It is left out: its client hears "no session" at its next CONNECT and subscribes again, where one that seems whole
 * would miss messages in silence. */
static void note_incomplete(recovery *r, uint32_t tenant, mc_slice client_id, bool incomplete)
{
  mc_slice key = mc_session_key(r->g, tenant, client_id);
  if (incomplete)
    mc_strmap_put(&r->incomplete, key, 1);
  else
    mc_strmap_remove(&r->incomplete, key, NULL);
}

static void apply_open(recovery *rec, const mc_record *record, const mc_session_record *r, mc_session *s)
{
  mc_gateway *g = rec->g;
  if (!s && !r->clean) {
    note_incomplete(rec, record->tenant, r->client_id, true);
    return;
  }
  if (!s)
    s = mc_recover_session(g, record->tenant, r->client_id);
  if (!s)
    return;
  if (r->clean) {
    mc_session_clear(s);
    note_incomplete(rec, record->tenant, r->client_id, false);
  }
  mc_recover_will(s, NULL); /* this connection's follows, if it has one */
  s->expiry_s = r->expiry_s;
  s->persistent = r->expiry_s > 0;
  s->recorded = true;
  s->version = r->mqtt_version;
  s->disconnected_us = 0;
  if (s->subs.count == 0)
    s->since = record->offset;
  mc_recover_thing(s, r->thing, r->thing_name);
}

/* It was delivered, or is in flight: wherever it waits, it does no longer. */
static void not_waiting(mc_outbox *o, uint64_t entry, bool exact)
{
  if (!mc_outbox_forget(o, entry, exact) && (o->page.len || mc_outbox_scanned(o, entry & MC_OUT_OFFSET)))
    mc_outbox_skip(o, mc_outbox_record_entry(entry & (MC_OUT_OFFSET | MC_OUT_RETAINED)));
}

static void apply_assigned(mc_session *s, uint16_t id, uint64_t entry)
{
  mc_outbox *o = mc_session_outbox(s);
  uint64_t *at = o ? mc_outbox_at(o, id) : NULL;
  if (entry & MC_OUT_SHARED) {
    entry = (entry & ~MC_OUT_SHARED) | MC_OUT_BY_GROUP;
    mc_share_recover_taken(s, entry & MC_OUT_OFFSET);
  } else if (o) {
    not_waiting(o, entry, true);
  }
  if (at && ((*at ^ entry) & (MC_OUT_OFFSET | MC_OUT_RETAINED)) == 0)
    return; /* the checkpoint knew */
  if (!o || mc_outbox_restore(o, id, entry | MC_OUT_QOS2 | MC_OUT_ASSIGNED | MC_OUT_SENT) != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "a message in flight could not be taken in again", MC_KS("client", mc_session_id(s)), MC_KU("packet_id", id));
}

/* These are in a page from now on. The same page may be known from the checkpoint. */
static void apply_page(mc_session *s, const mc_record *record, const mc_session_record *r)
{
  mc_outbox *o = mc_session_outbox(s);
  uint64_t entry = 0, oldest = record->offset;
  size_t at = 0;
  while (o && mc_session_record_next_entry(r, &at, &entry)) {
    uint64_t offset = entry & MC_OUT_OFFSET;
    oldest = offset < oldest ? offset : oldest;
    mc_outbox_forget(o, mc_outbox_entry_of(entry), true);
  }
  if (!o || mc_outbox_restore_page(o, record->offset, oldest, r->count) != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a page of a client's queue is lost to it", MC_KS("client", mc_session_id(s)));
}

static void apply_lists(mc_session *s, const mc_record *record, const mc_session_record *r)
{
  mc_session_filter f;
  size_t at = 0;
  uint64_t entry = 0, *in_flight;
  uint16_t id;
  bool existed;
  switch (r->kind) {
  case MC_SESSION_SUBSCRIBE:
    if (s->subs.count == 0)
      s->since = record->offset;
    while (mc_session_record_next_filter(r, &at, &f)) {
      mc_session_subscribe(s, f.filter, f.options, f.id, &existed);
      mc_share_recover_subscribed(s->home->gateway, s->tenant, f.filter, record->offset);
    }
    break;
  case MC_SESSION_UNSUBSCRIBE:
    while (mc_session_record_next_filter(r, &at, &f))
      mc_session_unsubscribe(s, f.filter);
    break;
  case MC_SESSION_ACKED:
    while (s->outbox && mc_session_record_next_entry(r, &at, &entry))
      not_waiting(s->outbox, mc_outbox_entry_of(entry), r->version > 1);
    break;
  case MC_SESSION_PAGE:
    apply_page(s, record, r);
    break;
  case MC_SESSION_ASSIGNED:
    while (mc_session_record_next_packet_id(r, &at, &id) && mc_session_record_next_entry(r, &at, &entry))
      apply_assigned(s, id, mc_outbox_entry_of(entry));
    break;
  case MC_SESSION_RECEIVED:
    while (s->outbox && mc_session_record_next_packet_id(r, &at, &id))
      if ((in_flight = mc_outbox_at(s->outbox, id)))
        *in_flight |= MC_OUT_RECEIVED;
    break;
  case MC_SESSION_COMPLETE:
    while (s->outbox && mc_session_record_next_packet_id(r, &at, &id))
      mc_outbox_ack(s->outbox, id, &entry);
    break;
  case MC_SESSION_RELEASED:
    while (mc_session_record_next_packet_id(r, &at, &id))
      mc_packet_ids_remove(&s->came, id);
    break;
  default:
    break;
  }
}

static void apply_to(mc_session *s, const mc_record *record, const mc_session_record *r)
{
  mc_wall *wall = &s->home->gateway->wall;
  switch (r->kind) {
  case MC_SESSION_CLOSED:
    s->expiry_s = r->expiry_s;
    s->disconnected_us = mc_wall_corrected(wall, record->offset, record->time_us);
    if (r->will_gone)
      mc_recover_will(s, NULL);
    break;
  case MC_SESSION_WILL:
    if (mc_recover_will(s, &r->will) != MC_OK)
      mc_log(MC_LOG_ERROR, "gateway", "out of memory: a will was lost", MC_KS("client", r->client_id));
    break;
  case MC_SESSION_WILL_SENT:
    mc_recover_will(s, NULL);
    break;
  case MC_SESSION_ENDED:
    mc_recover_will(s, NULL);
    mc_session_destroy(s, false);
    break;
  default:
    apply_lists(s, record, r);
  }
}

static void apply_session(recovery *rec, const mc_record *record)
{
  mc_session_record r;
  mc_why why;
  mc_gateway *g = rec->g;
  if (mc_session_record_read(record->payload, &r, &why) != MC_OK) {
    mc_log(MC_LOG_ERROR, "gateway", "a session record in the journal cannot be read and is passed over", MC_KU("offset", record->offset), MC_KZ("error", why.text));
    return;
  }
  pthread_mutex_lock(&g->lock);
  mc_session *s = mc_session_find(g, record->tenant, r.client_id);
  pthread_mutex_unlock(&g->lock);
  if (r.kind == MC_SESSION_OPEN)
    apply_open(rec, record, &r, s);
  else if (!s && r.kind == MC_SESSION_ENDED)
    note_incomplete(rec, record->tenant, r.client_id, false);
  if (!s)
    return;
  apply_to(s, record, &r);
}

static const mc_sub_owner *publisher_of(mc_gateway *g, const mc_record *record)
{
  uint64_t value;
  return record->principal && mc_map_get(&g->by_thing, (uint64_t)record->tenant << 32 | record->principal, &value)
             ? &((mc_session *)(uintptr_t)value)->subs
             : NULL;
}

static void queue(mc_session *s, uint64_t offset, bool twice)
{
  mc_outbox *o = mc_session_outbox(s);
  if (!o || offset < s->since || mc_outbox_scanned(o, offset))
    return;
  if (mc_u64_ring_push(&o->waiting, offset | (twice ? MC_OUT_QOS2 : 0)) != MC_OK && !mc_outbox_scanning(o)) /* no memory: from here on by reading */
    o->scan_begin = o->scan_at = offset;
}

/* Message and "received" are one record; so are a will with QoS 2 and that it was sent. */
static void apply_origin(mc_gateway *g, const mc_record *record)
{
  uint16_t packet_id;
  mc_slice client_id;
  if (!mc_origin_of_record(record, &packet_id, &client_id))
    return;
  pthread_mutex_lock(&g->lock);
  mc_session *s = mc_session_find(g, record->tenant, client_id);
  pthread_mutex_unlock(&g->lock);
  if (s && !packet_id)
    mc_recover_will(s, NULL);
  else if (s && mc_packet_ids_put(&s->came, packet_id, 0) != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a message may be taken twice", MC_KS("client", client_id));
}

static void apply_retained(mc_gateway *g, const mc_record *record, const mc_message *m)
{
  if (!m->retain)
    return;
  mc_retained value = {.offset = m->offset, .time_us = mc_wall_corrected(&g->wall, m->offset, m->time_us),
                       .principal = record->principal, .key_id = record->key_id, .qos = m->qos, .flags = record->flags & MC_RECORD_V5};
  mc_retained_put(&g->retained, m->tenant, m->topic, &value, m->props, m->payload);
}

static void apply_message(recovery *r, const mc_record *record)
{
  mc_message m;
  mc_gateway *g = r->g;
  if (!mc_message_of_record(record, &m))
    return;
  apply_retained(g, record, &m);
  if (record->offset < r->first) /* it outlived its segment as the last retained message of its topic: nobody waits for it */
    return;
  apply_origin(g, record);
  if (m.qos == 0)
    return;
  for (size_t i = 0; i < g->loop_count; i++) {
    mc_gateway_loop *l = &g->loop[i];
    if (!l->subs.count || mc_sub_tree_match(&l->subs, m.tenant, m.topic, publisher_of(g, record)) != MC_OK)
      continue;
    for (size_t k = 0; k < l->subs.match.len; k++)
      if (l->subs.match.at[k].owner->group)
        mc_share_recover_message(l->subs.match.at[k].owner, m.offset);
      else if (l->subs.match.at[k].qos)
        queue((mc_session *)l->subs.match.at[k].owner, m.offset, m.qos == 2 && l->subs.match.at[k].qos == 2);
  }
}

/* Without a checkpoint everything that is kept will be read: retention must not take it meanwhile. The next checkpoint lets it go. */
static mc_err hold_journal(recovery *r, mc_why *why)
{
  MC_TRY(mc_journal_consumer_commit(r->g->journal, "gateway", mc_journal_first_offset(r->g->journal), why));
  r->first = mc_journal_first_offset(r->g->journal); /* it may have moved before the hold */
  return MC_OK;
}

static uint64_t begin_of(recovery *r, uint64_t floor)
{
  uint64_t end = mc_journal_end_offset(r->g->journal);
  if (!r->from_checkpoint)
    return 0;
  if (floor > end)
    mc_log(MC_LOG_ERROR, "gateway", "the session checkpoint is ahead of the journal: was the journal replaced?", MC_KU("checkpoint", floor), MC_KU("journal", end));
  else if (floor < r->first)
    mc_log(MC_LOG_ERROR, "gateway", "what came after the session checkpoint is partly gone from the journal: messages and subscriptions of that time are lost, retained messages are not",
           MC_KU("checkpoint", floor), MC_KU("oldest_kept", r->first));
  return floor > end ? 0 : floor;
}

/* A floor at which no record begins - the journal was mended or replaced, or something else wrote the checkpoint - does not refuse the start: what begins just
 * before it is handled again, which loses nothing. */
static mc_err open_reader(recovery *r, uint64_t from, mc_journal_filter filter, mc_journal_reader **out, mc_why *why)
{
  uint64_t at;
  MC_TRY(mc_journal_reader_create_near(r->g->journal, from, filter, out, &at, why));
  if (at != from)
    mc_log(MC_LOG_WARN, "gateway", "no record of the journal begins where the session checkpoint ends: it is read from the place before, and a message there may be delivered twice",
           MC_KU("checkpoint", from), MC_KU("read_from", at));
  return MC_OK;
}

static mc_err replay(recovery *r, uint64_t floor, mc_why *why)
{
  mc_journal_filter filter = {.streams = 1u << MC_STREAM_SESSION | MC_STREAMS_PUBLISHED, .compacted = true};
  mc_journal_reader *reader;
  MC_TRY(open_reader(r, begin_of(r, floor), filter, &reader, why));
  mc_record record;
  mc_err err;
  mc_why told = {0};
  while ((err = mc_journal_reader_next(reader, &record, &told)) == MC_OK || err == MC_ERR_CHECKSUM) {
    if (err == MC_ERR_CHECKSUM) { /* a start is not refused for it: the rest of the fleet would pay */
      r->damaged++;
      mc_log(MC_LOG_ERROR, "gateway", "a damaged part of the journal is passed over: messages and subscriptions in it are lost", MC_KZ("damage", told.text));
      continue;
    }
    r->records++;
    r->oldest_us = r->oldest_us ? r->oldest_us : record.time_us;
    int64_t time_us = mc_wall_corrected(&r->g->wall, record.offset, record.time_us);
    if (time_us > r->last_us) {
      r->last_us = time_us;
      r->last_offset = record.offset + 1;
    }
    if (record.stream == MC_STREAM_SESSION && mc_slice_eq_str(record.topic, MC_SHARE_TOPIC))
      mc_share_recover_record(r->g, &record);
    else if (record.stream == MC_STREAM_SESSION)
      apply_session(r, &record);
    else
      apply_message(r, &record);
  }
  mc_journal_reader_destroy(&reader);
  return err == MC_ERR_END ? MC_OK : mc_err_set(why, err, "%s", told.text);
}

/* Whose connection ended with the last process starts to expire now, and so does the delay of its will; the others go on. */
static void settle_one(mc_session *s)
{
  mc_gateway_loop *l = s->home;
  int64_t wall = l->wall_us, now = mc_loop_now_us(l->loop);
  if (s->expiry_s == 0) {
    mc_session_destroy(s, s->will != NULL); /* sends the will, and notes that it was */
    return;
  }
  if (s->disconnected_us == 0 || s->disconnected_us > wall)
    s->disconnected_us = wall;
  int64_t passed = wall - s->disconnected_us, left = (int64_t)s->expiry_s * 1000000 - passed;
  s->expires_us = s->expiry_s == UINT32_MAX ? INT64_MAX : now + (left > 0 ? left : 0);
  if (s->will)
    s->will_due_us = now + ((int64_t)s->will->is.delay_s * 1000000 > passed ? (int64_t)s->will->is.delay_s * 1000000 - passed : 0);
  if (s->outbox)
    mc_queue_page_out(s);
  mc_session_tidy(s);
  mc_session_arm(s);
}

static void settle(mc_gateway *g)
{
  for (size_t i = 0; i < g->loop_count; i++) {
    g->loop[i].wall_us = mc_clock_wall_us();
    for (mc_session *s = g->loop[i].sessions, *next; s; s = next) {
      next = s->next;
      settle_one(s);
    }
  }
}

/* Tells what is lost, and who has to do what about it. */
static void tell_losses(const recovery *r)
{
  char oldest[MC_CLOCK_TEXT];
  bool trimmed = !r->from_checkpoint && r->first > 0;
  if (!trimmed && !r->incomplete.len)
    return;
  mc_clock_format_us(r->oldest_us, oldest);
  if (trimmed)
    mc_log(MC_LOG_ERROR, "gateway",
           "there was no checkpoint to use, and the journal does not reach back to its beginning: sessions that began before its oldest record are lost. "
           "Their clients are told so when they connect again; retained messages outlive the journal's oldest records",
           MC_KZ("oldest_record", r->oldest_us ? oldest : "none"), MC_KU("oldest_offset", r->first));
  mc_buf names = {0};
  mc_slice key;
  uint64_t value;
  for (size_t at = 0; names.len < 400 && mc_strmap_next(&r->incomplete, &at, &key, &value);) {
    mc_buf_append_str(&names, names.len ? ", " : "");
    mc_buf_append_slice(&names, mc_slice_sub(key, 4, key.len - 4)); /* behind the tenant */
  }
  if (r->incomplete.len)
    mc_log(MC_LOG_ERROR, "gateway", "sessions whose beginning is lost were dropped", MC_KU("sessions", r->incomplete.len), MC_KS("among_them", mc_buf_slice(&names)));
  mc_buf_free(&names);
}

mc_err mc_recover(mc_gateway *g, mc_why *why)
{
  int64_t began = mc_clock_mono_us();
  recovery r = {.g = g, .first = mc_journal_first_offset(g->journal)};
  uint64_t floor = 0;
  mc_err err = mc_checkpoint_load(g, &floor, &r.last_us, why);
  r.from_checkpoint = err == MC_OK;
  r.last_offset = floor;
  if (err == MC_ERR_NOT_FOUND) /* the first start, or none that can be used */
    err = hold_journal(&r, why);
  if (err == MC_OK)
    err = replay(&r, floor, why);
  if (err == MC_OK) {
    mc_wall_begin(g, r.last_us, r.last_offset);
    settle(g);
    mc_share_recovered(g);
    tell_losses(&r);
    mc_log(MC_LOG_INFO, "gateway", "sessions and retained messages rebuilt", MC_KU("sessions", g->directory.len), MC_KU("retained", g->retained.count),
           MC_KU("records_read", r.records), MC_KU("damaged_parts", r.damaged), MC_KI("ms", (mc_clock_mono_us() - began) / 1000));
  }
  mc_strmap_free(&r.incomplete);
  return err;
}
