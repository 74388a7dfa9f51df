#include "gateway/state.h"

#include <stdlib.h>

/* Messages to subscribers. A QoS 1 copy is either in flight (its journal offset kept until acknowledged) or waits as an offset; a slow client
 * therefore costs eight bytes a message, and beyond 512 of them a 64th of that (queue.c). */

enum { PROP_EXPIRY = 0x02, PROP_SUB_ID = 0x0B };

/* ---- properties for version 5 ---- */
static void examine(mc_message *m)
{
  m->examined = true;
  if (!m->v5)
    return;
  mc_mqtt_property p;
  for (size_t at = 0, begin = 0; mc_mqtt_property_next(m->props, &at, &p); begin = at)
    if (p.id == PROP_EXPIRY) {
      m->expires = true;
      m->expiry_s = p.number;
      m->expiry_at = begin;
    }
}

bool mc_message_expired(const mc_gateway_loop *l, mc_message *m)
{
  if (!m->props.len)
    return false;
  if (!m->examined)
    examine(m);
  uint32_t waited = m->expires ? mc_wall_waited_s(l, m) : 0;
  return waited > 0 && waited >= m->expiry_s;
}

/* The properties as this subscriber gets them: remaining expiry, its subscription identifiers. */
static mc_err props_for(mc_gateway_loop *l, const mc_message *m, const mc_sub_match *match, mc_slice *out)
{
  mc_slice raw = m->v5 ? m->props : (mc_slice){0};
  uint32_t waited = m->expires ? mc_wall_waited_s(l, m) : 0;
  if (!waited && match->ids == UINT32_MAX) {
    *out = raw;
    return MC_OK;
  }
  mc_buf_clear(&l->props);
  MC_TRY(mc_buf_append_slice(&l->props, raw));
  if (waited) /* 0 at the end: what was begun is sent again all the same (3.3.2.3.3) */
    mc_store_be32(l->props.data + m->expiry_at + 1, m->expiry_s > waited ? m->expiry_s - waited : 0);
  for (uint32_t i = match->ids; i != UINT32_MAX; i = l->subs.id.at[i].next)
    MC_TRY(mc_mqtt_put_number(&l->props, PROP_SUB_ID, l->subs.id.at[i].id));
  *out = mc_buf_slice(&l->props);
  return MC_OK;
}

/* ---- one packet ---- */
typedef struct packet {
  mc_mqtt_publish publish;
  mc_slice props;
} packet;

/* False: the client cannot take it (larger than its Maximum Packet Size) or its policy does not let it receive it; it counts as delivered (3.1.2.11.4). */
static bool prepare(mc_session *s, const mc_message *m, const mc_sub_match *match, uint8_t qos, bool retain, packet *out)
{
  mc_link *link = s->link;
  if (!mc_permit_receive(link, m->topic))
    return false;
  *out = (packet){.publish = {.retain = retain, .qos = qos, .topic = m->topic, .payload = m->payload, .packet_id = 1}};
  if (link->version == MC_MQTT_5 && props_for(s->home, m, match, &out->props) != MC_OK)
    return false;
  return !link->max_packet || mc_mqtt_publish_size(link->version, &out->publish, out->props) <= link->max_packet;
}

static bool put(mc_session *s, packet *p)
{
  mc_gateway_loop *l = s->home;
  mc_buf *out = mc_conn_out(s->link->conn);
  size_t before = out->len;
  uint16_t alias = s->link->alias_out_max ? mc_alias_choose(s->link, &p->publish, &p->props) : 0;
  if (mc_mqtt_write_publish(out, s->link->version, &p->publish, p->props) != MC_OK)
    return false;
  if (alias)
    mc_alias_announced(s->link, alias);
  mc_conn_dirty(s->link->conn);
  if (s->link->pace)
    mc_pace_sent(s->link);
  mc_count_add(&l->count.bytes_out, out->len - before);
  mc_count_add(&l->count.delivered, 1);
  mc_count_add(&s->delivered, 1);
  if (mc_trace_runs(&l->gateway->traces))
    mc_trace_message(&l->gateway->traces, s->tenant, MC_TRACE_OUT, mc_session_id(s), p->publish.topic, p->publish.payload, p->publish.qos, p->publish.retain, "");
  return true;
}

static bool can_write(const mc_session *s)
{
  return s->link && s->link->conn && !s->link->closing && !s->link->claim;
}

static void put_qos0(mc_session *s, const mc_message *m, const mc_sub_match *match, bool retain)
{
  mc_gateway_loop *l = s->home;
  if (!can_write(s))
    return;
  packet p;
  if (s->link->pace && !mc_pace_may_send(s->link)) {
    mc_count_add(&l->count.dropped_q0, 1);
    mc_cause_note(l, s, MC_CAUSE_DELIVERY_RATE, 1);
    return;
  }
  if (mc_conn_backlog(s->link->conn) >= MC_Q0_BACKLOG) {
    mc_count_add(&l->count.dropped_q0, 1);
    return;
  }
  if (prepare(s, m, match, 0, retain, &p) && !put(s, &p))
    mc_count_add(&l->count.dropped_q0, 1);
}

/* Acknowledged, or never to be sent. */
static void settle(mc_session *s, uint64_t entry)
{
  if (entry & MC_OUT_SHARED)
    mc_share_acked(s, entry & MC_OUT_OFFSET);
  else
    mc_session_note_acked(s, entry);
}

/* Sends a QoS 1 or 2 copy and keeps its entry in flight. False: no memory, nothing happened. */
static bool put_kept(mc_session *s, const mc_message *m, const mc_sub_match *match, uint64_t entry)
{
  packet p;
  mc_outbox *o = s->outbox;
  if (!prepare(s, m, match, entry & MC_OUT_QOS2 ? 2 : 1, entry & MC_OUT_RETAINED || (m->retain && match->retain_as_published), &p)) {
    settle(s, entry);
    return true;
  }
  if (mc_outbox_send(o, entry | MC_OUT_SENT | MC_OUT_ON_AIR, &p.publish.packet_id) != MC_OK)
    return false;
  if (put(s, &p)) {
    o->on_air++;
    return true;
  }
  o->inflight.len--;
  return false;
}

static bool may_go_now(const mc_session *s, const mc_outbox *o)
{
  return can_write(s) && (!mc_outbox_waits(o) || mc_outbox_queued(o) <= s->stored) && (!s->link->pace || mc_pace_may_send(s->link)) &&
         o->resend == UINT32_MAX && !mc_outbox_scanning(o) && o->inflight.len < s->link->send_window &&
         mc_conn_backlog(s->link->conn) < MC_QOS1_BACKLOG;
}

static void deliver_as(mc_session *s, mc_message *m, const mc_sub_match *match, uint64_t entry)
{
  mc_outbox *o = mc_session_outbox(s);
  if (!o) {
    mc_count_add(&s->home->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "out of memory for a client's queue", MC_KS("client", mc_session_id(s)));
    return;
  }
  if (!(entry & MC_OUT_SHARED) && (mc_outbox_scanned(o, m->offset) || (s->carried && m->source && m->offset <= s->carried[m->source - 1])))
    return;
  bool durable_id = false;
  if (m->qos == 2 && match->qos == 2 && (!s->link || s->link->profile->qos2)) {
    entry |= MC_OUT_QOS2;
    durable_id = s->persistent || (entry & MC_OUT_SHARED); /* the pump sees to it */
  }
  if (!durable_id && may_go_now(s, o) && put_kept(s, m, match, entry))
    mc_count_set(&s->inflight, o->inflight.len);
  else
    mc_queue_wait(s, entry);
}

void mc_deliver_to(mc_session *s, mc_message *m, const mc_sub_match *match)
{
  uint8_t qos = m->qos < match->qos ? m->qos : match->qos;
  if (mc_message_expired(s->home, m))
    return;
  if (qos == 0)
    put_qos0(s, m, match, m->retain && match->retain_as_published);
  else
    deliver_as(s, m, match, m->offset);
}

void mc_deliver_shared(mc_session *s, mc_message *m, const mc_sub_match *match)
{
  if (match->qos == 0)
    mc_deliver_to(s, m, match);
  else if (mc_message_expired(s->home, m))
    mc_share_acked(s, m->offset);
  else
    deliver_as(s, m, match, m->offset | MC_OUT_SHARED);
}

void mc_deliver(mc_gateway_loop *l, mc_message *m)
{
  const mc_sub_owner *publisher = m->publisher ? &m->publisher->subs : NULL;
  if (mc_sub_tree_match(&l->subs, m->tenant, m->topic, publisher) != MC_OK) {
    mc_count_add(&l->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "out of memory while matching a topic", MC_KS("topic", m->topic));
    return;
  }
  for (size_t i = 0; i < l->subs.match.len; i++) {
    mc_sub_owner *owner = l->subs.match.at[i].owner;
    if (owner->group)
      mc_share_take(owner, m);
    else
      mc_deliver_to((mc_session *)owner, m, &l->subs.match.at[i]);
  }
}

/* ---- retained messages for a new subscription ---- */
typedef struct retained_ctx {
  mc_session *s;
  uint8_t qos;
  bool no_local;
  uint32_t id;
} retained_ctx;

static mc_message message_of_retained(uint32_t tenant, mc_slice topic, const mc_retained *value)
{
  return (mc_message){.tenant = tenant, .qos = value->qos, .retain = true, .v5 = value->flags & MC_RECORD_V5, .offset = value->offset,
                      .time_us = value->time_us, .timed = true, .topic = topic, .props = mc_slice_of(value->bytes, value->props_len),
                      .payload = mc_slice_of(value->bytes + value->props_len, value->payload_len)};
}

static mc_err give_retained(void *ctx, uint32_t tenant, mc_slice topic, const mc_retained *value)
{
  retained_ctx *r = ctx;
  mc_session *s = r->s;
  mc_gateway_loop *l = s->home;
  mc_message m = message_of_retained(tenant, topic, value);
  if (mc_message_expired(l, &m) || (r->no_local && value->publisher == mc_session_mark(s))) /* 3.8.3-3 */
    return MC_OK;
  mc_vec_clear(&l->subs.id);
  mc_sub_match match = {&s->subs, r->qos, true, UINT32_MAX};
  struct mc_sub_id id = {r->id, UINT32_MAX};
  if (r->id && mc_vec_push(&l->subs.id, id) == MC_OK)
    match.ids = 0;
  bool at_qos0 = m.qos == 0 || r->qos == 0;
  if (at_qos0 && (!can_write(s) || value->offset == MC_RETAINED_NO_OFFSET || mc_conn_backlog(s->link->conn) < MC_QOS1_BACKLOG)) {
    put_qos0(s, &m, &match, true);
    return MC_OK;
  }
  mc_outbox *o = mc_session_outbox(s);
  if (!o)
    return MC_ERR_MEMORY;
  if (at_qos0) { /* all at once is more than a socket holds: the rest waits its turn */
    mc_queue_wait(s, value->offset | MC_OUT_RETAINED);
    return MC_OK;
  }
  bool twice = m.qos == 2 && r->qos == 2 && s->link && s->link->profile->qos2;
  uint64_t entry = value->offset | MC_OUT_RETAINED | (twice ? MC_OUT_QOS2 : 0);
  if (!(twice && s->persistent) && may_go_now(s, o) && put_kept(s, &m, &match, entry))
    mc_count_set(&s->inflight, o->inflight.len);
  else
    mc_queue_wait(s, entry);
  return MC_OK;
}

void mc_deliver_retained(mc_session *s, mc_slice filter, uint8_t options, uint32_t id)
{
  retained_ctx r = {s, options & MC_SUB_QOS, options & MC_SUB_NO_LOCAL, id};
  if (mc_retained_match(&s->home->gateway->retained, s->tenant, filter, give_retained, &r) != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: retained messages not delivered", MC_KS("client", mc_session_id(s)), MC_KS("filter", filter));
}

/* ---- reading back ---- */
typedef struct back_ctx {
  mc_session *s;
  uint64_t entry;
  uint64_t *at; /* in the ring of those in flight: to be sent from there; NULL: it waited */
  uint16_t packet_id;
  bool retry; /* no memory now: keep the entry */
  bool gone;  /* it was queued as the retained message of its topic, and is no longer */
  bool sent;
} back_ctx;

/* From the ring, under the id that it has there. */
static bool put_again(back_ctx *b, const mc_message *m, const mc_sub_match *match)
{
  mc_session *s = b->s;
  packet p;
  if (!prepare(s, m, match, b->entry & MC_OUT_QOS2 ? 2 : 1, b->entry & MC_OUT_RETAINED || (m->retain && match->retain_as_published), &p))
    return false;
  p.publish.packet_id = b->packet_id;
  p.publish.dup = (b->entry & MC_OUT_SENT) && s->link->profile->dup;
  if (!put(s, &p)) {
    b->retry = true;
    return false;
  }
  *b->at |= MC_OUT_SENT | MC_OUT_ON_AIR;
  s->outbox->on_air++;
  if ((b->entry & MC_OUT_SHARED) && (b->entry & MC_OUT_QOS2)) /* begun: it stays with this client (MQTT 5.0, 4.8.2-4) */
    mc_share_sent(s, b->entry & MC_OUT_OFFSET);
  return true;
}

/* What a queued message may still be: matched again against the subscriptions of now. What was begun is completed (3.10.4). */
static bool send_back(back_ctx *b, mc_message *m)
{
  mc_session *s = b->s;
  mc_gateway_loop *l = s->home;
  mc_sub_match match;
  bool sent = b->entry & MC_OUT_SENT, begun = sent || (b->entry & MC_OUT_ASSIGNED);
  bool wanted = b->entry & MC_OUT_SHARED     ? mc_share_match(s, b->entry & MC_OUT_OFFSET, &match)
                : b->entry & MC_OUT_BY_GROUP ? mc_share_match_topic(s, m->topic, &match)
                                             : mc_sub_tree_match_one(&l->subs, m->tenant, m->topic, &s->subs, &match);
  bool too_old = mc_message_expired(l, m);
  if (wanted && !begun && (b->entry & MC_OUT_RETAINED) && (m->qos == 0 || match.qos == 0)) {
    if (!too_old && !b->gone) /* what took its place was delivered when it came */
      put_qos0(s, m, &match, true);
    return false;
  }
  wanted = wanted && match.qos > 0;
  if ((too_old && !sent) || (!wanted && !begun)) /* 3.3.2-5: unless its delivery has started */
    return false;
  if (!wanted)
    match = (mc_sub_match){&s->subs, 2, false, UINT32_MAX};
  if (b->at)
    return put_again(b, m, &match);
  b->retry = !put_kept(s, m, &match, match.qos == 2 ? b->entry : b->entry & ~MC_OUT_QOS2);
  return !b->retry;
}

static mc_err send_back_retained(void *ctx, uint32_t tenant, mc_slice topic, const mc_retained *value)
{
  mc_message m = message_of_retained(tenant, topic, value);
  back_ctx *b = ctx;
  b->sent = send_back(b, &m);
  return MC_OK;
}

/* False: there is nothing to send for this entry (any more). */
static bool read_and_send(back_ctx *b)
{
  mc_session *s = b->s;
  mc_gateway_loop *l = s->home;
  mc_record record;
  mc_message m;
  mc_why why;
  uint64_t offset = b->entry & MC_OUT_OFFSET;
  bool retained = b->entry & MC_OUT_RETAINED;
  if (retained && mc_retained_by_offset(&l->gateway->retained, offset, send_back_retained, b)) /* its segment may be gone */
    return b->sent;
  b->gone = retained;
  mc_buf_clear(&l->read);
  mc_err err = mc_journal_read_at(l->gateway->journal, offset, &l->read, &record, &why);
  if (err == MC_OK)
    return mc_message_of_record(&record, &m) && send_back(b, &m);
  if (!retained && mc_retained_by_offset(&l->gateway->retained, offset, send_back_retained, b))
    return b->sent;
  mc_count_add(&l->count.lost, 1);
  mc_log(MC_LOG_ERROR, "gateway", "a queued message can no longer be read from the journal", MC_KS("client", mc_session_id(s)), MC_KU("offset", offset),
         MC_KZ("error", why.text));
  return false;
}

/* ---- the pump ---- */
void mc_deliver_want_pump(mc_session *s)
{
  mc_gateway_loop *l = s->home;
  if (s->in_pump)
    return;
  s->in_pump = true;
  s->next_pump = l->pump;
  l->pump = s;
  mc_loop_wake(l);
}

/* What is due for the entry at the place `resend`. False: nothing can be done for it now. */
static bool pump_ring(mc_session *s)
{
  mc_outbox *o = s->outbox;
  if (o->resend >= o->inflight.len) {
    o->resend = UINT32_MAX;
    return false;
  }
  uint64_t *at = mc_u64_ring_at(&o->inflight, o->resend);
  back_ctx b = {.s = s, .entry = *at, .at = at, .packet_id = mc_outbox_id(o, o->resend)};
  if (*at & MC_OUT_UNASSIGNED)
    return false;
  if (!(*at & MC_OUT_DONE) && (*at & MC_OUT_RECEIVED)) {
    mc_link_put_ack(s->link, MC_MQTT_PUBREL, b.packet_id, MC_MQTT_SUCCESS, NULL);
  } else if (!(*at & MC_OUT_DONE)) {
    if (o->on_air >= s->link->send_window)
      return false;
    if (!read_and_send(&b) && b.retry)
      return false;
    if (!(*mc_u64_ring_at(&o->inflight, o->resend) & MC_OUT_ON_AIR)) { /* nobody wants it any more, or it does not fit */
      o->resend++;
      mc_deliver_finish(s, b.packet_id);
      return true;
    }
  }
  o->resend++;
  return true;
}

/* It takes its place in the ring and is sent from there: behind others, or when its id is on disk. False: no memory. */
static bool line_up(mc_session *s, uint64_t entry)
{
  mc_outbox *o = s->outbox;
  uint16_t id;
  bool durable_id = (entry & MC_OUT_QOS2) && s->persistent;
  if (mc_outbox_send(o, entry | (durable_id ? MC_OUT_UNASSIGNED : 0), &id) != MC_OK)
    return false;
  if (o->resend == UINT32_MAX)
    o->resend = o->inflight.len - 1;
  if (durable_id && !o->assigning++)
    o->assign_id = id;
  return true;
}

/* One step; false when nothing can be done now. */
static bool pump_step(mc_session *s)
{
  mc_outbox *o = s->outbox;
  if (o->resend != UINT32_MAX && pump_ring(s))
    return true;
  if (o->inflight.len >= s->link->send_window)
    return false;
  s->stored = mc_outbox_queued(o) < s->stored ? (uint32_t)mc_outbox_queued(o) : s->stored;
  if (s->link->pace && (!mc_pace_may_send(s->link) || (s->stored && mc_outbox_waits(o) && !mc_pace_may_replay(s->link))))
    return false;
  back_ctx b = {.s = s};
  if (!mc_queue_next(s, &b.entry))
    return mc_outbox_scanning(o) && !mc_outbox_waits(o) && (mc_queue_scan(s) || mc_outbox_waits(o));
  s->stored -= s->stored > 0;
  if (!s->link->profile->qos2) /* it waited since its profile had it */
    b.entry &= ~MC_OUT_QOS2;
  if (o->resend != UINT32_MAX || ((b.entry & MC_OUT_QOS2) && (s->persistent || (b.entry & MC_OUT_SHARED))))
    b.retry = !line_up(s, b.entry);
  else if (!read_and_send(&b) && !b.retry)
    settle(s, b.entry); /* unsubscribed since, too old, gone: nothing is owed any more (3.10.4) */
  if (b.retry)
    mc_queue_put_back(s, b.entry);
  return !b.retry;
}

void mc_deliver_pump(mc_session *s)
{
  mc_outbox *o = s->outbox;
  if (!o || !can_write(s))
    return;
  bool more = true;
  size_t n = 0;
  for (; more && n < MC_PUMP_BATCH && mc_conn_backlog(s->link->conn) < MC_QOS1_BACKLOG; n++)
    more = pump_step(s);
  if (o->assigning && !o->assign_staged)
    mc_qos2_assign(s);
  mc_queue_count(s);
  mc_count_set(&s->inflight, o->inflight.len);
  bool full = mc_conn_backlog(s->link->conn) >= MC_QOS1_BACKLOG;
  /* Full, and a whole turn with its flush changed nothing: the socket is blocked and drained() will come. */
  if (more && (!full || n || !s->flushed))
    mc_deliver_want_pump(s);
  s->flushed = full && !n;
}

void mc_deliver_resume(mc_session *s)
{
  mc_outbox *o = s->outbox;
  if (!o)
    return;
  o->resend = o->inflight.len ? 0 : UINT32_MAX;
  mc_outbox_off_air(o);
  if (!mc_outbox_empty(o))
    mc_deliver_want_pump(s);
}

void mc_deliver_finish(mc_session *s, uint16_t packet_id)
{
  mc_outbox *o = s->outbox;
  uint64_t entry;
  if (!mc_outbox_ack(o, packet_id, &entry))
    return;
  if (entry & MC_OUT_ASSIGNED)
    mc_session_note_complete(s, packet_id);
  if (!(entry & MC_OUT_ASSIGNED) || (entry & MC_OUT_SHARED))
    settle(s, entry);
  mc_count_set(&s->inflight, o->inflight.len);
  if (mc_outbox_waits(o) || mc_outbox_scanning(o) || o->resend != UINT32_MAX)
    mc_deliver_want_pump(s);
}

mc_taken mc_deliver_acked(mc_link *link, const mc_mqtt_ack *p)
{
  mc_session *s = link->session;
  uint64_t *at = s->outbox ? mc_outbox_at(s->outbox, p->packet_id) : NULL;
  if (!at || !(*at & MC_OUT_SENT))
    return MC_TAKEN; /* late or unknown: harmless (4.8 of neither version asks for more) */
  if (*at & MC_OUT_QOS2) {
    mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "PUBACK for packet identifier %u, which was sent with QoS 2 (MQTT 5.0, 4.3)", p->packet_id);
    return MC_TAKE_CLOSED;
  }
  if (p->code >= 0x80)
    mc_log(MC_LOG_INFO, "gateway", "client refused a message", MC_KS("client", mc_session_id(s)), MC_KU("code", p->code), MC_KZ("name", mc_mqtt_reason_name(p->code)));
  mc_deliver_finish(s, p->packet_id);
  return MC_TAKEN;
}
