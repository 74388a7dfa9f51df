#include "gateway/state.h"

#include <stdlib.h>

/* From the journal back: answers first, then delivery here, then to the loops that have subscribers. */

static bool has_origin(const mc_record *r) { return r->flags & (MC_RECORD_QOS2 | MC_RECORD_ORIGIN); }

bool mc_origin_of_record(const mc_record *r, uint16_t *packet_id, mc_slice *client_id)
{
  mc_slice props = r->props;
  return r->stream != MC_STREAM_SESSION && has_origin(r) && mc_origin_take(&props, packet_id, client_id) && client_id->len;
}

bool mc_message_of_record(const mc_record *r, mc_message *out)
{
  if (!(MC_STREAMS_PUBLISHED >> r->stream & 1))
    return false;
  *out = (mc_message){.tenant = r->tenant,
                      .qos = r->flags & MC_RECORD_QOS2 ? 2 : r->flags & MC_RECORD_QOS1 ? 1 : 0,
                      .retain = r->flags & MC_RECORD_RETAIN,
                      .v5 = r->flags & MC_RECORD_V5,
                      .offset = r->offset,
                      .source = r->source,
                      .time_us = r->time_us,
                      .topic = r->topic,
                      .props = r->props,
                      .payload = r->payload};
  uint16_t packet_id;
  mc_slice client_id;
  return !has_origin(r) || mc_origin_take(&out->props, &packet_id, &client_id);
}

bool mc_fan_out_wanted(const mc_gateway_loop *l)
{
  return l->gateway->loop_count > 1 && atomic_load(&l->gateway->subscriptions) > l->subs.count;
}

/* ---- between loops ---- */
typedef struct fan_post {
  mc_post post;
  mc_gateway_loop *to;
  size_t from;
  const mc_commit *commit; /* or */
  mc_batch *batch;
} fan_post;

enum { BATCH_HEAD = 25 };

/* A QoS 0 message on an ordinary topic is journaled only if it is retained, and was delivered when it arrived; or it is a will. */
static bool deliverable(const mc_record *r, mc_message *out)
{
  return mc_message_of_record(r, out) && (out->qos || r->stream != MC_STREAM_MESSAGE || (r->flags & MC_RECORD_ORIGIN));
}

/* Enciphered ones are opened for delivery. False: the key was destroyed between commit and now, or there is no memory. */
static bool opened(mc_gateway_loop *l, mc_record *r)
{
  if (!(r->flags & MC_RECORD_ENCIPHERED))
    return true;
  mc_err err = mc_journal_decipher(l->gateway->journal, r, &l->opened);
  if (err && err != MC_ERR_NOT_FOUND) {
    mc_count_add(&l->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "an enciphered message could not be opened for delivery", MC_KS("topic", r->topic), MC_KZ("error", mc_err_text(err)));
  }
  return err == MC_OK;
}

static void deliver_commit(mc_gateway_loop *l, const mc_commit *c)
{
  mc_record r;
  mc_message m;
  for (size_t at = 0; mc_commit_next(c, &at, &r);)
    if (opened(l, &r) && deliverable(&r, &m))
      mc_deliver(l, &m);
}

static void deliver_batch(mc_gateway_loop *l, const mc_batch *b)
{
  mc_cursor c = mc_cursor_of(mc_slice_of(b->bytes, b->len));
  while (mc_cursor_left(&c)) {
    mc_message m = {.offset = MC_NO_OFFSET, .tenant = mc_cursor_le32(&c)};
    m.time_us = (int64_t)mc_cursor_le64(&c);
    uint8_t flags = mc_cursor_u8(&c);
    m.retain = flags & MC_RECORD_RETAIN;
    m.v5 = flags & MC_RECORD_V5;
    size_t topic = mc_cursor_le32(&c), props = mc_cursor_le32(&c), payload = mc_cursor_le32(&c);
    m.topic = mc_cursor_bytes(&c, topic);
    m.props = mc_cursor_bytes(&c, props);
    m.payload = mc_cursor_bytes(&c, payload);
    mc_deliver(l, &m);
  }
}

static void batch_release(mc_batch *b)
{
  if (atomic_fetch_sub(&b->refs, 1) == 1)
    free(b);
}

static void fan_arrived(mc_post *post)
{
  fan_post *f = (fan_post *)post;
  mc_gateway_loop *l = f->to;
  l->wall_us = mc_clock_wall_us();
  if (f->commit) {
    if (l->subs.count)
      deliver_commit(l, f->commit);
    l->seen[f->from] = f->commit->first_offset + f->commit->bytes.len - 1;
    mc_commit_release(f->commit);
  } else {
    deliver_batch(l, f->batch);
    batch_release(f->batch);
  }
  free(f);
}

/* All other loops get it: one without subscriptions may be about to receive a session that has some. */
static void fan_out(mc_gateway_loop *l, const mc_commit *commit, mc_batch *batch)
{
  mc_gateway *g = l->gateway;
  for (size_t i = 0; i < g->loop_count; i++) {
    if (i == l->index)
      continue;
    fan_post *f = malloc(sizeof *f);
    if (!f) {
      mc_log(MC_LOG_ERROR, "gateway", "out of memory: messages did not reach the subscribers of another loop", MC_KU("loop", i),
             MC_KU("messages", commit ? commit->count : 0));
      mc_count_add(&l->count.lost, commit ? commit->count : 1);
      continue;
    }
    *f = (fan_post){.post = {.run = fan_arrived}, .to = &g->loop[i], .from = l->index, .commit = commit, .batch = batch};
    if (commit)
      mc_commit_retain(commit);
    else
      atomic_fetch_add(&batch->refs, 1);
    mc_loop_post(g->loop[i].loop, &f->post);
  }
}

void mc_batch_add(mc_gateway_loop *l, const mc_message *m)
{
  size_t need = BATCH_HEAD + m->topic.len + m->props.len + m->payload.len;
  if (!l->batch || l->batch->cap - l->batch->len < need) {
    mc_fan_out_batch(l);
    size_t cap = need > (64 << 10) ? need : 64 << 10;
    l->batch = malloc(sizeof *l->batch + cap);
    if (!l->batch) {
      mc_count_add(&l->count.dropped_q0, 1);
      return;
    }
    atomic_init(&l->batch->refs, 1);
    l->batch->len = 0;
    l->batch->cap = cap;
  }
  uint8_t *p = l->batch->bytes + l->batch->len;
  mc_store_le32(p, m->tenant);
  mc_store_le64(p + 4, (uint64_t)m->time_us);
  p[12] = (uint8_t)((m->retain ? MC_RECORD_RETAIN : 0) | (m->v5 ? MC_RECORD_V5 : 0));
  mc_store_le32(p + 13, (uint32_t)m->topic.len);
  mc_store_le32(p + 17, (uint32_t)m->props.len);
  mc_store_le32(p + 21, (uint32_t)m->payload.len);
  p += BATCH_HEAD;
  memcpy(p, m->topic.data, m->topic.len);
  if (m->props.len)
    memcpy(p + m->topic.len, m->props.data, m->props.len);
  if (m->payload.len)
    memcpy(p + m->topic.len + m->props.len, m->payload.data, m->payload.len);
  l->batch->len += need;
  mc_loop_wake(l);
}

void mc_fan_out_batch(mc_gateway_loop *l)
{
  mc_batch *b = l->batch;
  if (!b)
    return;
  l->batch = NULL;
  fan_out(l, NULL, b);
  batch_release(b);
}

/* ---- own commits ---- */
static mc_pending *pending_at(mc_gateway_loop *l, uint32_t i)
{
  return &l->pending.at[(l->pending.head + i) & (l->pending.cap - 1)];
}

static void answer_rest(mc_gateway_loop *l, const mc_pending *p)
{
  mc_link *link = p->link;
  if (p->kind == MC_PENDING_REPLY) {
    if (link->conn && !link->closing)
      mc_conn_write(link->conn, mc_slice_of(p->reply->bytes, p->reply->len));
    if (link->session)
      mc_subscribe_retained(link->session, mc_slice_of(p->reply->bytes + p->reply->len, p->reply->retained_len));
    free(p->reply);
  } else if (p->kind == MC_PENDING_CALL) {
    mc_call_finish(p->call, MC_OK, "");
  } else if (p->kind >= MC_PENDING_OF_SESSION && p->kind != MC_PENDING_PAGE) { /* a page, and a group's record, want their offset: deliver_own */
    mc_session_answer(l, p, MC_OK);
  }
}

static void answer(mc_gateway_loop *l, const mc_pending *p)
{
  mc_link *link = p->link;
  if (p->kind == MC_PENDING_PUBACK) {
    link->unacked--;
    mc_buf *out = link->conn && !link->closing ? mc_conn_out(link->conn) : NULL;
    if (out && mc_buf_reserve(out, 4) == MC_OK) { /* success needs no reason code in version 5 either (3.4.2.1) */
      uint8_t *at = out->data + out->len;
      at[0] = MC_MQTT_PUBACK << 4;
      at[1] = 2;
      mc_store_be16(at + 2, p->packet_id);
      out->len += 4;
      mc_conn_dirty(link->conn);
    }
  } else {
    mc_pending own = *p; /* what follows may stage records: the ring may be another one then */
    answer_rest(l, &own);
  }
}

static void answer_failure(mc_gateway_loop *l, const mc_pending *p, mc_err err)
{
  mc_link *link = p->link;
  const char *text = err == MC_ERR_FULL ? "the server's disk is full: nothing was stored; send it again later"
                                        : "the server could not write to its disk: nothing was stored; send it again later";
  mc_cause cause = err == MC_ERR_FULL ? MC_CAUSE_DISK_FULL : MC_CAUSE_DISK_ERROR;
  if (p->kind == MC_PENDING_CALL)
    mc_cause_note_thing(l, &p->call->who, cause);
  else if (link)
    mc_cause_note(l, link->session, cause, 1);
  if (p->kind >= MC_PENDING_OF_SESSION) {
    if (link && link->session)
      mc_count_add(&link->session->refused, 1);
    mc_session_answer(l, p, err);
    return;
  }
  if (p->kind == MC_PENDING_SHARE) {
    mc_share_staged(p->ticket, 0, err);
    return;
  }
  if (p->kind == MC_PENDING_WILL) {
    mc_count_add(&l->count.lost, 1);
    mc_log(MC_LOG_ERROR, "gateway", "a will could not be stored and was not sent", MC_KZ("error", mc_err_text(err)));
  }
  if (p->kind == MC_PENDING_REPLY)
    free(p->reply);
  if (p->kind == MC_PENDING_CALL) {
    mc_count_add(&l->count.refused, 1);
    mc_call_finish(p->call, err, text);
  }
  if (!link)
    return;
  if (p->kind == MC_PENDING_PUBACK)
    link->unacked--;
  if (!link->conn || link->closing || p->kind == MC_PENDING_NONE)
    return;
  uint8_t code = err == MC_ERR_FULL ? MC_MQTT_QUOTA : MC_MQTT_UNSPECIFIED;
  mc_count_add(&l->count.refused, 1);
  if (link->session)
    mc_count_add(&link->session->refused, 1);
  if (p->kind == MC_PENDING_PUBACK && link->version == MC_MQTT_5) {
    mc_link_put_ack(link, MC_MQTT_PUBACK, p->packet_id, code, text);
    return;
  }
  mc_link_end(link, code, "%s", text);
}

static void apply_retained(mc_gateway *g, const mc_record *r, const mc_session *publisher)
{
  mc_message m;
  if (!(r->flags & MC_RECORD_RETAIN) || !mc_message_of_record(r, &m))
    return;
  mc_retained value = {.offset = r->offset, .time_us = mc_wall_corrected(&g->wall, r->offset, r->time_us),
                       .publisher = mc_session_mark(publisher), .principal = r->principal, .key_id = r->key_id, .qos = m.qos,
                       .flags = r->flags & MC_RECORD_V5};
  mc_err err = mc_retained_put(&g->retained, r->tenant, r->topic, &value, m.props, r->payload);
  if (err != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "retained message not kept in memory", MC_KS("topic", r->topic), MC_KZ("error", mc_err_text(err)));
}

static void deliver_own(mc_gateway_loop *l, const mc_commit *c)
{
  mc_record r;
  mc_message m;
  uint32_t i = 0;
  for (size_t at = 0; mc_commit_next(c, &at, &r); i++) {
    const mc_pending *p = pending_at(l, i);
    if (p->kind == MC_PENDING_PAGE) {
      mc_queue_paged(p->session, r.offset); /* may stage the next, and the ring be another one */
      continue;
    }
    if (p->kind == MC_PENDING_SHARE) {
      mc_share_staged(p->ticket, r.offset, MC_OK);
      continue;
    }
    const mc_session *publisher = p->link ? p->link->session : NULL;
    if (!opened(l, &r))
      continue;
    if (p->retain)
      apply_retained(l->gateway, &r, publisher);
    if (!l->subs.count || !deliverable(&r, &m))
      continue;
    m.publisher = publisher;
    mc_deliver(l, &m);
  }
}

void mc_commit_arrived(void *ctx, const mc_commit *c)
{
  mc_gateway_loop *l = ctx;
  l->wall_us = mc_clock_wall_us();
  bool retain = false;
  uint64_t acked = 0;
  for (uint32_t i = 0; i < c->count; i++) {
    mc_pending *p = pending_at(l, i);
    if (c->err == MC_OK) {
      retain |= p->retain;
      acked += p->kind == MC_PENDING_PUBACK;
      answer(l, p);
    } else {
      mc_pending own = *p; /* what follows may stage records: the ring may be another one then */
      answer_failure(l, &own, c->err);
    }
  }
  mc_count_add(&l->count.acknowledged, acked);
  if (c->err == MC_OK) {
    if (l->subs.count || retain || l->pages_staged)
      deliver_own(l, c);
    l->seen[l->index] = c->first_offset + c->bytes.len - 1; /* also when nobody else wants it: a session that leaves takes this with it */
    if (mc_fan_out_wanted(l))
      fan_out(l, c, NULL);
    l->low = c->first_offset + c->bytes.len;
  }
  for (uint32_t i = 0; i < c->count; i++) {
    mc_link *link = pending_at(l, i)->link;
    if (link)
      mc_link_release(link);
  }
  l->pending.head = (l->pending.head + c->count) & (l->pending.cap - 1);
  l->pending.len -= c->count;
  mc_commit_release(c);
  if (l->pressure.step)
    mc_pressure_look(l);
  mc_publish_retry_deferred(l);
  mc_link_unblock(l);
  if (l->stopping)
    mc_loop_wake(l);
}
