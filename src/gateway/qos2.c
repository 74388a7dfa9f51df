#include "gateway/state.h"

/* Exactly once (MQTT 5.0, 4.3.3).
 *
 * From clients: the message and its packet identifier are one journal record; PUBREC follows when it is on disk, and
 * PUBCOMP when it is on disk that the identifier was released. A session that ends with its connection keeps its identifiers in memory only. */

bool mc_qos2_came_before(mc_link *link, uint16_t packet_id)
{
  mc_session *s = link->session;
  uint16_t flags;
  if (!mc_packet_ids_get(&s->came, packet_id, &flags))
    return false;
  if (link->version == MC_MQTT_5 && !(flags & MC_CAME_COUNTED)) {
    mc_packet_ids_put(&s->came, packet_id, flags | MC_CAME_COUNTED);
    link->unacked++;
  }
  if (!(flags & MC_CAME_STORING)) /* else the answer is on its way */
    mc_link_put_ack(link, MC_MQTT_PUBREC, packet_id, MC_MQTT_SUCCESS, NULL);
  return true;
}

mc_err mc_qos2_store(mc_link *link, const mc_mqtt_publish *p, mc_record *record)
{
  mc_gateway_loop *l = link->home;
  mc_session *s = link->session;
  if (l->deferred) /* never before the session's own record */
    return MC_ERR_FULL;
  mc_buf_clear(&l->scratch);
  MC_TRY(mc_origin_put(&l->scratch, s->persistent ? p->packet_id : 0, s->persistent ? mc_session_id(s) : (mc_slice){0}));
  MC_TRY(mc_buf_append_slice(&l->scratch, record->props));
  if (l->scratch.len > UINT16_MAX)
    return MC_ERR_TOO_LARGE;
  record->props = mc_buf_slice(&l->scratch);
  MC_TRY(mc_packet_ids_put(&s->came, p->packet_id, MC_CAME_STORING | (link->version == MC_MQTT_5 ? MC_CAME_COUNTED : 0)));
  mc_pending pending = {.link = link, .session = s, .packet_id = p->packet_id, .kind = MC_PENDING_PUBREC, .retain = p->retain};
  mc_err err = mc_pending_push(l, record, &pending);
  if (err != MC_OK)
    mc_packet_ids_remove(&s->came, p->packet_id);
  return err;
}

/* The client may use the identifier, and a place in its window, again. */
static void put_pubcomp(mc_link *link, uint16_t packet_id, uint16_t flags)
{
  if ((flags & MC_CAME_COUNTED) && link->unacked)
    link->unacked--;
  mc_link_put_ack(link, MC_MQTT_PUBCOMP, packet_id, MC_MQTT_SUCCESS, NULL);
}

mc_taken mc_qos2_release(mc_link *link, const mc_mqtt_ack *p)
{
  mc_session *s = link->session;
  mc_gateway_loop *l = link->home;
  uint16_t flags;
  if (!mc_packet_ids_get(&s->came, p->packet_id, &flags)) {
    /* As a rule its PUBCOMP was lost: the message is here, once. 0x92 would be allowed (3.7.2.1), and clients tell their user of a failure then. */
    mc_link_put_ack(link, MC_MQTT_PUBCOMP, p->packet_id, MC_MQTT_SUCCESS, NULL);
    return MC_TAKEN;
  }
  if (flags & MC_CAME_RELEASING)
    return MC_TAKEN;
  if (!s->persistent) {
    mc_packet_ids_remove(&s->came, p->packet_id);
    put_pubcomp(link, p->packet_id, flags);
    return MC_TAKEN;
  }
  mc_session_record r = {.kind = MC_SESSION_RELEASED, .client_id = mc_session_id(s)};
  mc_buf_clear(&l->record);
  if (mc_session_record_begin(&l->record, &r) != MC_OK || mc_session_record_add_packet_id(&l->record, p->packet_id) != MC_OK) {
    mc_link_end(link, MC_MQTT_BUSY, "the server is out of memory for this now; connect again later");
    return MC_TAKE_CLOSED;
  }
  mc_session_record_set_count(&l->record, 0, 1);
  mc_taken taken = mc_session_stage_answer(link, MC_SESSION_RELEASED, MC_PENDING_PUBCOMP, p->packet_id);
  if (taken == MC_TAKEN)
    mc_packet_ids_put(&s->came, p->packet_id, flags | MC_CAME_RELEASING);
  return taken;
}

void mc_qos2_resume(mc_session *s)
{
  uint32_t at = 0;
  uint16_t id, flags;
  while (mc_packet_ids_next(&s->came, &at, &id, &flags))
    mc_packet_ids_put(&s->came, id, flags & (uint16_t)~MC_CAME_COUNTED);
}

/* ---- to clients ----
 * To a session that outlives its connection: "assigned" is on disk before the first PUBLISH, "received" before PUBREL; "complete" follows when it may. */

static mc_taken wrong_answer(mc_link *link, const char *name, uint16_t packet_id)
{
  mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "%s for packet identifier %u, which does not wait for one (MQTT 5.0, 4.3)", name, packet_id);
  return MC_TAKE_CLOSED;
}

static mc_taken note_received(mc_link *link, uint16_t packet_id, uint64_t *at)
{
  mc_gateway_loop *l = link->home;
  mc_session_record r = {.kind = MC_SESSION_RECEIVED, .client_id = mc_session_id(link->session)};
  mc_buf_clear(&l->record);
  if (mc_session_record_begin(&l->record, &r) != MC_OK || mc_session_record_add_packet_id(&l->record, packet_id) != MC_OK) {
    mc_link_end(link, MC_MQTT_BUSY, "the server is out of memory for this now; connect again later");
    return MC_TAKE_CLOSED;
  }
  mc_session_record_set_count(&l->record, 0, 1);
  mc_taken taken = mc_session_stage_answer(link, MC_SESSION_RECEIVED, MC_PENDING_PUBREL, packet_id);
  if (taken == MC_TAKEN)
    *at |= MC_OUT_RECEIVED | MC_OUT_RECEIVING;
  return taken;
}

mc_taken mc_qos2_received(mc_link *link, const mc_mqtt_ack *p)
{
  mc_session *s = link->session;
  uint64_t *at = s->outbox ? mc_outbox_at(s->outbox, p->packet_id) : NULL;
  if (!at || !(*at & MC_OUT_SENT)) {
    if (p->code < 0x80)
      mc_link_put_ack(link, MC_MQTT_PUBREL, p->packet_id, MC_MQTT_ID_NOT_FOUND, NULL); /* it can let go of it (3.6.2.1) */
    return MC_TAKEN;
  }
  if (!(*at & MC_OUT_QOS2))
    return wrong_answer(link, "PUBREC", p->packet_id);
  if (p->code >= 0x80) {
    mc_log(MC_LOG_INFO, "gateway", "client refused a message", MC_KS("client", mc_session_id(s)), MC_KU("code", p->code), MC_KZ("name", mc_mqtt_reason_name(p->code)));
    mc_deliver_finish(s, p->packet_id);
    return MC_TAKEN;
  }
  if (*at & MC_OUT_RECEIVING)
    return MC_TAKEN; /* PUBREL is on its way */
  if (!(*at & MC_OUT_RECEIVED) && (*at & MC_OUT_ASSIGNED))
    return note_received(link, p->packet_id, at);
  *at |= MC_OUT_RECEIVED;
  mc_link_put_ack(link, MC_MQTT_PUBREL, p->packet_id, MC_MQTT_SUCCESS, NULL);
  return MC_TAKEN;
}

mc_taken mc_qos2_completed(mc_link *link, const mc_mqtt_ack *p)
{
  mc_session *s = link->session;
  uint64_t *at = s->outbox ? mc_outbox_at(s->outbox, p->packet_id) : NULL;
  if (!at || !(*at & MC_OUT_SENT))
    return MC_TAKEN; /* finished before */
  if (!(*at & MC_OUT_RECEIVED) || (*at & MC_OUT_RECEIVING))
    return wrong_answer(link, "PUBCOMP", p->packet_id);
  mc_deliver_finish(s, p->packet_id);
  return MC_TAKEN;
}

enum { RETRY_US = 100000 };

void mc_qos2_assign(mc_session *s)
{
  mc_outbox *o = s->outbox;
  mc_gateway_loop *l = s->home;
  mc_session_flush_own(s); /* an id may be used again only behind its "complete" */
  mc_session_record r = {.kind = MC_SESSION_ASSIGNED, .client_id = mc_session_id(s)};
  uint64_t previous = 0;
  uint32_t count = 0, i = mc_outbox_index(o, o->assign_id);
  uint16_t last = 0;
  mc_buf_clear(&l->record);
  mc_err err = mc_session_record_begin(&l->record, &r);
  for (; err == MC_OK && i < o->inflight.len; i++) {
    uint64_t entry = *mc_u64_ring_at(&o->inflight, i);
    if (!(entry & MC_OUT_UNASSIGNED))
      continue;
    last = mc_outbox_id(o, i);
    err = mc_session_record_add_packet_id(&l->record, last);
    err = err == MC_OK ? mc_session_record_add_entry(&l->record, mc_outbox_record_entry(entry), &previous) : err;
    count++;
  }
  if (err != MC_OK) {
    mc_loop_timer_set(l->loop, &l->retry_timer, mc_loop_now_us(l->loop) + RETRY_US);
    return;
  }
  mc_session_record_set_count(&l->record, 0, count);
  o->assigning = 0;
  o->assign_staged = true;
  mc_session_stage(s, MC_SESSION_ASSIGNED, MC_PENDING_ASSIGNED, last);
}

void mc_qos2_retry(mc_gateway_loop *l)
{
  for (mc_session *s = l->sessions; s; s = s->next)
    if (s->outbox && s->outbox->assigning && !s->outbox->assign_staged)
      mc_qos2_assign(s);
}

/* Its message is given up: as if PUBREC had come, PUBREL is what the next connection begins with. Without memory for the record the next checkpoint says it. */
void mc_qos2_take_as_received(mc_session *s, uint16_t packet_id)
{
  mc_gateway_loop *l = s->home;
  uint64_t *at = mc_outbox_at(s->outbox, packet_id);
  mc_session_record r = {.kind = MC_SESSION_RECEIVED, .client_id = mc_session_id(s)};
  mc_buf_clear(&l->record);
  if (mc_session_record_begin(&l->record, &r) == MC_OK && mc_session_record_add_packet_id(&l->record, packet_id) == MC_OK) {
    mc_session_record_set_count(&l->record, 0, 1);
    mc_session_stage(s, MC_SESSION_RECEIVED, MC_PENDING_RECORD, 0);
  }
  *at |= MC_OUT_RECEIVED;
}

/* ---- from the journal ---- */
static void assigned(const mc_pending *p, mc_err err)
{
  mc_session *s = p->session;
  mc_outbox *o = s->outbox;
  if (!o) /* the session was cleared meanwhile */
    return;
  o->assign_staged = false;
  if (err != MC_OK) { /* the same again, with the same ids */
    o->assigning = 0;
    for (uint32_t i = o->inflight.len; i-- > 0;)
      if (*mc_u64_ring_at(&o->inflight, i) & MC_OUT_UNASSIGNED) {
        o->assign_id = mc_outbox_id(o, i);
        o->assigning++;
      }
    mc_loop_timer_set(s->home->loop, &s->home->retry_timer, mc_loop_now_us(s->home->loop) + RETRY_US);
    return;
  }
  for (uint32_t i = 0, last = mc_outbox_index(o, p->packet_id); i <= last && i < o->inflight.len; i++) {
    uint64_t *at = mc_u64_ring_at(&o->inflight, i);
    if (!(*at & MC_OUT_UNASSIGNED))
      continue;
    *at = (*at & ~MC_OUT_UNASSIGNED) | MC_OUT_ASSIGNED;
    if (*at & MC_OUT_SHARED)
      mc_share_own(s, at);
  }
  mc_deliver_want_pump(s);
}

static void tell_failure(mc_link *link, mc_err err)
{
  mc_link_end(link, err == MC_ERR_FULL ? MC_MQTT_QUOTA : MC_MQTT_UNSPECIFIED, "%s",
              err == MC_ERR_FULL ? "the server's disk is full: nothing was stored; connect again later" : "the server could not write to its disk; connect again later");
}

static void stored(const mc_pending *p, mc_err err)
{
  mc_session *s = p->session;
  mc_link *link = p->link;
  uint16_t flags = 0;
  bool known = mc_packet_ids_get(&s->came, p->packet_id, &flags);
  if (link->version != MC_MQTT_5 || err != MC_OK)
    link->unacked--;
  if (known && err == MC_OK)
    mc_packet_ids_put(&s->came, p->packet_id, flags & (uint16_t)~MC_CAME_STORING);
  else if (known)
    mc_packet_ids_remove(&s->came, p->packet_id);
  if (!mc_link_open(link))
    return;
  if (err == MC_OK)
    mc_link_put_ack(link, MC_MQTT_PUBREC, p->packet_id, MC_MQTT_SUCCESS, NULL);
  else if (link->version == MC_MQTT_5)
    mc_link_put_ack(link, MC_MQTT_PUBREC, p->packet_id, err == MC_ERR_FULL ? MC_MQTT_QUOTA : MC_MQTT_UNSPECIFIED,
                    err == MC_ERR_FULL ? "the server's disk is full: nothing was stored; send it again later"
                                       : "the server could not write to its disk: nothing was stored; send it again later");
  else
    tell_failure(link, err);
}

static void released(const mc_pending *p, mc_err err)
{
  mc_session *s = p->session;
  uint16_t flags = 0;
  if (!mc_packet_ids_get(&s->came, p->packet_id, &flags))
    return;
  if (err == MC_OK)
    mc_packet_ids_remove(&s->came, p->packet_id);
  else
    mc_packet_ids_put(&s->came, p->packet_id, flags & (uint16_t)~MC_CAME_RELEASING);
  if (!mc_link_open(p->link))
    return;
  if (err == MC_OK)
    put_pubcomp(p->link, p->packet_id, flags);
  else
    tell_failure(p->link, err);
}

static void received(const mc_pending *p, mc_err err)
{
  mc_outbox *o = p->session->outbox;
  uint64_t *at = o ? mc_outbox_at(o, p->packet_id) : NULL;
  if (!at)
    return;
  *at &= err == MC_OK ? ~MC_OUT_RECEIVING : ~(MC_OUT_RECEIVING | MC_OUT_RECEIVED);
  if (!mc_link_open(p->link)) /* the next connection gets what is due */
    return;
  if (err == MC_OK)
    mc_link_put_ack(p->link, MC_MQTT_PUBREL, p->packet_id, MC_MQTT_SUCCESS, NULL);
  else
    tell_failure(p->link, err);
}

void mc_session_answer(mc_gateway_loop *l, const mc_pending *given, mc_err err)
{
  mc_pending own = *given, *p = &own; /* the ring may be another one when more is staged */
  if (err != MC_OK)
    mc_count_add(&l->count.refused, 1);
  switch (p->kind) {
  case MC_PENDING_PUBREC:
    stored(p, err);
    break;
  case MC_PENDING_PUBCOMP:
    released(p, err);
    break;
  case MC_PENDING_PUBREL:
    received(p, err);
    break;
  case MC_PENDING_ASSIGNED:
    assigned(p, err);
    break;
  case MC_PENDING_PAGE:
    mc_queue_page_failed(p->session);
    break;
  case MC_PENDING_CONNACK_MORE:
  case MC_PENDING_CONNACK:
    if (err != MC_OK || p->kind == MC_PENDING_CONNACK)
      mc_admission_stored(p, err);
    break;
  default:
    break;
  }
  mc_session_unpin(p->session);
}
