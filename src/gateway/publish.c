#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "twin/twin.h"

/* What clients publish: alias, policy, then the journal (QoS 1, retained, FleetWise) or straight to subscribers (QoS 0). */

/* ---- streams ---- the same rule as campaign's; a test of api checks that both agree */
static const char *const up_prefix[] = {"$aws/iotfleetwise/vehicles/", "cms/fleetwise/vehicles/"}, *const command_prefix[] = {"$aws/commands/things/", "cms/commands/things/"};
static const struct {
  const char *rest;
  mc_stream stream;
} stream_rest[] = {{"signals", MC_STREAM_TELEMETRY}, {"checkins", MC_STREAM_CHECKIN}, {"last_known_states/data", MC_STREAM_TELEMETRY}};

/* What stands behind one of two prefixes and a name; empty when it is neither. */
static mc_slice behind_name(mc_slice topic, const char *const prefix[2])
{
  for (int i = 0; i < 2; i++) {
    mc_slice p = mc_slice_str(prefix[i]);
    if (!mc_slice_starts(topic, p))
      continue;
    size_t slash = mc_slice_find(topic, '/', p.len);
    return slash == p.len ? (mc_slice){0} : mc_slice_sub(topic, slash + 1, topic.len);
  }
  return (mc_slice){0};
}

mc_stream mc_publish_stream_of(mc_slice topic)
{
  mc_slice rest = behind_name(topic, up_prefix);
  for (size_t k = 0; rest.len && k < sizeof stream_rest / sizeof stream_rest[0]; k++)
    if (mc_slice_eq_str(rest, stream_rest[k].rest))
      return stream_rest[k].stream;
  mc_slice command = rest.len ? (mc_slice){0} : behind_name(topic, command_prefix), head = MC_LIT("executions/");
  if (command.len && mc_slice_starts(command, head) &&
      mc_slice_eq_str(mc_slice_sub(command, mc_slice_find(command, '/', head.len), command.len), "/response/protobuf"))
    return MC_STREAM_CHECKIN;
  return mc_shadow_topic(topic) ? MC_STREAM_SHADOW : MC_STREAM_MESSAGE;
}

/* ---- policy, cached a connection and topic ---- */
static __attribute__((noinline)) mc_verdict judge(mc_link *link, mc_slice topic, bool retain, uint64_t key)
{
  mc_principal who;
  mc_permit_principal(link, &who);
  uint8_t refusal = 0;
  if (mc_profile_topic_fault(link->profile, topic))
    refusal = MC_MQTT_BAD_TOPIC;
  else if (!mc_policy_allows(link->policy, &who, MC_ACTION_PUBLISH, topic) || (retain && !mc_policy_allows(link->policy, &who, MC_ACTION_RETAIN_PUBLISH, topic)))
    refusal = MC_MQTT_NOT_AUTHORIZED;
  return (mc_verdict){key, refusal, (uint8_t)mc_publish_stream_of(topic)};
}

static mc_verdict verdict_of(mc_link *link, mc_slice topic, bool retain)
{
  mc_gateway_loop *l = link->home;
  mc_permit_current(link);
  uint64_t key = mc_permit_key(link, topic, retain ? MC_ACTION_RETAIN_PUBLISH : MC_ACTION_PUBLISH);
  mc_verdict *v = &l->verdict[(key >> 40) % MC_VERDICTS];
  if (v->key != key)
    *v = judge(link, topic, retain, key);
  return *v;
}

static mc_taken deny(mc_link *link, const mc_mqtt_publish *p, mc_slice topic, uint8_t code, mc_cause cause, const char *rule)
{
  mc_gateway_loop *l = link->home;
  mc_session *s = link->session;
  char text[360];
  snprintf(text, sizeof text, "publish to \"%.*s\" refused: %s", (int)(topic.len > 120 ? 120 : topic.len), (const char *)topic.data, rule);
  mc_count_add(&s->refused, 1);
  mc_count_add(&l->count.refused, 1);
  mc_cause_note(l, s, cause, 1);
  link->denied++;
  if (mc_trace_runs(&l->gateway->traces))
    mc_trace_message(&l->gateway->traces, s->tenant, MC_TRACE_REFUSED, mc_session_id(s), topic, p->payload, p->qos, p->retain, rule);
  if ((link->denied & (link->denied - 1)) == 0) { /* the 1st, 2nd, 4th, 8th: a stubborn client does not flood the log */
    mc_log(MC_LOG_WARN, "gateway", "publish refused", MC_KS("client", mc_session_id(s)), MC_KZ("address", link->address),
           MC_KZ("why", text), MC_KU("times", link->denied));
    mc_event_add(l->gateway, s->tenant, mc_session_id(s), link->address, true, code, text);
    mc_session_set_error(s, text);
  }
  if (p->qos == 0)
    return MC_TAKEN;
  if (link->version == MC_MQTT_5) {
    mc_link_put_ack(link, p->qos == 2 ? MC_MQTT_PUBREC : MC_MQTT_PUBACK, p->packet_id, code, text);
    return MC_TAKEN;
  }
  /* 3.1.1 has no negative PUBACK or PUBREC, and a positive one would be a lie (MQTT 3.1.1, 3.3.5). */
  mc_link_end(link, code, "%s; MQTT 3.1.1 cannot say so, therefore the connection is closed", text);
  return MC_TAKE_CLOSED;
}

/* Faster than its profile allows, which discards: no answer in 3.1.1, for a PUBACK would say that it is stored. */
static mc_taken discard(mc_link *link, const mc_mqtt_publish *p)
{
  mc_session *s = link->session;
  mc_count_add(&s->refused, 1);
  mc_count_add(&link->home->count.refused, 1);
  link->denied++;
  if ((link->denied & (link->denied - 1)) == 0)
    mc_session_set_error(s, "publishes faster than its profile allows; what is beyond is discarded (publishes_per_s, excess_discard)");
  if (p->qos && link->version == MC_MQTT_5)
    mc_link_put_ack(link, p->qos == 2 ? MC_MQTT_PUBREC : MC_MQTT_PUBACK, p->packet_id, MC_MQTT_QUOTA, "discarded: faster than this client's profile allows (publishes_per_s)");
  return MC_TAKEN;
}

/* ---- into the journal ---- */
static mc_err ring_reserve(mc_pending_ring *r)
{
  if (r->len < r->cap)
    return MC_OK;
  uint32_t cap = r->cap ? r->cap * 2 : 1024;
  mc_pending *at = malloc(cap * sizeof *at);
  if (!at)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < r->len; i++)
    at[i] = r->at[(r->head + i) & (r->cap - 1)];
  free(r->at);
  *r = (mc_pending_ring){at, 0, r->len, cap};
  return MC_OK;
}

mc_err mc_pending_push(mc_gateway_loop *l, const mc_record *record, const mc_pending *p)
{
  mc_pending_ring *r = &l->pending;
  MC_TRY(ring_reserve(r));
  if (r->len == 0) {
    l->low = mc_journal_end_offset(l->gateway->journal);
    if (!l->pressure.timer.armed)
      mc_pressure_watch(l);
  }
  MC_TRY(mc_journal_append(l->writer, record, NULL));
  if (!l->wake_posted)
    mc_loop_wake(l); /* the end of the turn hands it over; what is staged behind it is in for another turn */
  mc_pending *at = &r->at[(r->head + r->len++) & (r->cap - 1)];
  *at = *p;
  at->staged_at = l->pressure.tick;
  if (p->link)
    p->link->pending++;
  if (p->kind >= MC_PENDING_OF_SESSION)
    p->session->staged++;
  return MC_OK;
}

/* The properties to pass on: all but the alias, which is of this connection only. */
static mc_slice props_to_keep(mc_link *link, const mc_mqtt_publish *p)
{
  mc_gateway_loop *l = link->home;
  if (!(p->props.present & (MC_MQTT_P_EXPIRY | MC_MQTT_P_ALIAS)))
    return p->props.raw;
  mc_slice raw = p->props.present & MC_MQTT_P_EXPIRY ? mc_profile_expiry(link->profile, p->props.raw, &l->bounded) : p->props.raw;
  if (!(p->props.present & MC_MQTT_P_ALIAS))
    return raw;
  mc_buf_clear(&l->props);
  mc_mqtt_property property;
  for (size_t at = 0, begin = 0; mc_mqtt_property_next(raw, &at, &property); begin = at)
    if (property.id != 0x23)
      mc_buf_append(&l->props, raw.data + begin, at - begin);
  return mc_buf_slice(&l->props);
}

static mc_taken to_journal(mc_link *link, const mc_mqtt_publish *p, mc_record *record)
{
  mc_gateway_loop *l = link->home;
  mc_err err;
  if (p->qos == 2) {
    err = mc_qos2_store(link, p, record);
  } else {
    mc_pending pending = {.link = link, .packet_id = p->packet_id, .kind = p->qos ? MC_PENDING_PUBACK : MC_PENDING_NONE, .retain = p->retain};
    err = mc_pending_push(l, record, &pending);
  }
  if (err == MC_OK) {
    link->unacked += p->qos > 0;
    return MC_TAKEN;
  }
  if (err == MC_ERR_FULL) { /* the disk is behind: this client waits, unread */
    mc_cause_note(l, link->session, MC_CAUSE_BEHIND_WAIT, 1);
    mc_link_block(link);
    return MC_TAKE_LATER;
  }
  if (err == MC_ERR_TOO_LARGE)
    return deny(link, p, record->topic, MC_MQTT_QUOTA, MC_CAUSE_SIZE, "the message is larger than a journal record may be");
  mc_link_end(link, MC_MQTT_UNSPECIFIED, "the message could not be stored: %s; send it again", mc_err_text(err));
  return MC_TAKE_CLOSED;
}

size_t mc_topic_levels(mc_slice topic)
{
  size_t n = 1;
  for (size_t i = 0; i < topic.len; i++)
    n += topic.data[i] == '/';
  return n;
}

static void deliver_now(mc_gateway_loop *l, const mc_record *r, const mc_session *publisher)
{
  mc_message m = {.tenant = r->tenant, .retain = r->flags & MC_RECORD_RETAIN, .v5 = r->flags & MC_RECORD_V5, .offset = MC_NO_OFFSET, .time_us = r->time_us,
                  .topic = r->topic, .props = r->props, .payload = r->payload, .publisher = publisher};
  if (mc_fan_out_wanted(l))
    mc_batch_add(l, &m);
  mc_deliver(l, &m);
}

/* A retained QoS 0 message: nobody waits for an answer, so it counts at once. The journal only keeps it for a restart. */
static void retain_now(mc_gateway_loop *l, const mc_record *r, const mc_session *publisher)
{
  mc_retained value = {.offset = MC_NO_OFFSET, .time_us = r->time_us, .publisher = mc_session_mark(publisher), .principal = r->principal, .key_id = r->key_id, .flags = r->flags & MC_RECORD_V5};
  mc_retained_put(&l->gateway->retained, r->tenant, r->topic, &value, r->props, r->payload);
  if (r->stream == MC_STREAM_MESSAGE)
    deliver_now(l, r, publisher);
}

/* The disk is behind, or nearly full. False: it waits, or is refused. */
static __attribute__((noinline)) bool may_stage(mc_link *link, const mc_mqtt_publish *p, mc_slice topic, mc_taken *out)
{
  mc_pressure_verdict verdict = mc_pressure_publish(link);
  *out = verdict == MC_PRESSURE_NO ? deny(link, p, topic, MC_MQTT_QUOTA, MC_CAUSE_BEHIND_REFUSED, mc_pressure_text(link->home)) : MC_TAKE_LATER;
  if (verdict == MC_PRESSURE_WAIT && link->pace)
    mc_pace_publish_back(link);
  return verdict == MC_PRESSURE_GO;
}

mc_taken mc_publish_take(mc_link *link, const mc_mqtt_publish *p)
{
  mc_gateway_loop *l = link->home;
  mc_session *s = link->session;
  mc_slice topic = p->topic;
  if (p->props.present & (MC_MQTT_P_ALIAS | MC_MQTT_P_SUB_ID)) {
    if ((p->props.present & MC_MQTT_P_ALIAS) && !mc_alias_resolve(link, p, &topic))
      return MC_TAKE_CLOSED;
    if (p->props.present & MC_MQTT_P_SUB_ID) { /* 3.3.4-6: from the server only */
      mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "a client's PUBLISH must not carry a subscription identifier (MQTT 5.0, 3.3.4-6)");
      return MC_TAKE_CLOSED;
    }
  }
  if (p->qos == 2) {
    if (mc_qos2_came_before(link, p->packet_id))
      return MC_TAKEN;
    if (!link->profile->qos2)
      return mc_conduct_no_qos2(link, "PUBLISH");
  }
  mc_pace_verdict pace = link->pace ? mc_pace_publish(link) : MC_PACE_GO;
  if (pace != MC_PACE_GO)
    return pace == MC_PACE_LATER ? MC_TAKE_LATER : discard(link, p);
  if (p->qos && link->unacked >= link->receive_max) {
    if (link->version == MC_MQTT_5) {
      mc_link_end(link, MC_MQTT_RECEIVE_MAX_EXCEEDED, "more than %u QoS 1 and 2 publishes unacknowledged (CONNACK, Receive Maximum)", link->receive_max);
      return MC_TAKE_CLOSED;
    }
    if (link->pace)
      mc_pace_publish_back(link);
    mc_link_block(link); /* 3.1.1 knows no window: it is read again when answers went out */
    return MC_TAKE_LATER;
  }
  mc_verdict verdict = verdict_of(link, topic, p->retain);
  if (verdict.refusal)
    return deny(link, p, topic, verdict.refusal, verdict.refusal == MC_MQTT_BAD_TOPIC ? MC_CAUSE_TOPIC : MC_CAUSE_POLICY,
                verdict.refusal == MC_MQTT_BAD_TOPIC ? mc_profile_topic_fault(link->profile, topic)
                                                     : "the policy of this client does not name it; a vehicle may publish only under its own name");
  if (p->payload.len > link->payload_most)
    return deny(link, p, topic, MC_MQTT_QUOTA, MC_CAUSE_SIZE, "its payload is larger than this client's profile allows (payload_bytes)");
  if (p->retain && mc_topic_levels(topic) > MC_TOPIC_LEVELS_MAX)
    return deny(link, p, topic, MC_MQTT_BAD_TOPIC, MC_CAUSE_TOPIC, "a retained message's topic has at most 128 levels");
  mc_slice props = props_to_keep(link, p);
  if (props.len > UINT16_MAX)
    return deny(link, p, topic, MC_MQTT_QUOTA, MC_CAUSE_SIZE, "its properties exceed 65,535 bytes");
  mc_taken behind;
  if (l->pressure.step && (p->qos || p->retain || verdict.stream != MC_STREAM_MESSAGE) && !may_stage(link, p, topic, &behind))
    return behind;
  if (p->retain && p->payload.len && !mc_retained_fits(&l->gateway->retained, s->tenant, s->thing, topic, props.len + p->payload.len))
    return deny(link, p, topic, MC_MQTT_QUOTA, MC_CAUSE_QUOTA,
                "too much is retained: a device may keep 1,000 messages of 8 MiB together; remove some by publishing an empty retained message");
  mc_taken taken = MC_TAKEN;
  mc_record record = {.stream = verdict.stream,
                      .partition = link->partition,
                      .flags = (uint8_t)((p->qos == 2 ? MC_RECORD_QOS2 : p->qos ? MC_RECORD_QOS1 : 0) | (p->retain ? MC_RECORD_RETAIN : 0) | (link->version == MC_MQTT_5 ? MC_RECORD_V5 : 0)),
                      .source = mc_loop_source(l),
                      .tenant = s->tenant,
                      .key_id = link->key_id,
                      .principal = s->thing,
                      .time_us = l->wall_us,
                      .topic = topic,
                      .props = props,
                      .payload = p->payload};
  if (p->qos || p->retain || verdict.stream != MC_STREAM_MESSAGE) {
    taken = to_journal(link, p, &record);
    if (taken == MC_TAKEN && p->retain && p->qos == 0)
      retain_now(l, &record, s);
  } else {
    deliver_now(l, &record, s);
  }
  if (taken == MC_TAKE_LATER && link->pace)
    mc_pace_publish_back(link);
  if (taken == MC_TAKEN) {
    if (mc_trace_runs(&l->gateway->traces))
      mc_trace_message(&l->gateway->traces, s->tenant, MC_TRACE_IN, mc_session_id(s), topic, p->payload, p->qos, p->retain, "");
    mc_count_add(&s->received, 1);
    mc_count_add(&l->count.received, 1);
  }
  return taken;
}

/* ---- our own messages: wills, the platform's; records of sessions ---- */
static mc_err defer(mc_gateway_loop *l, const mc_record *r, const mc_pending *p)
{
  mc_deferred *d = malloc(sizeof *d + r->topic.len + r->props.len + r->payload.len);
  if (!d)
    return MC_ERR_MEMORY;
  d->next = NULL;
  d->record = *r;
  d->pending = *p;
  uint8_t *at = d->bytes;
  mc_slice *part[] = {&d->record.topic, &d->record.props, &d->record.payload};
  for (size_t i = 0; i < 3; i++) {
    if (part[i]->len)
      memcpy(at, part[i]->data, part[i]->len);
    part[i]->data = at;
    at += part[i]->len;
  }
  if (p->kind >= MC_PENDING_OF_SESSION)
    p->session->staged++;
  if (p->link)
    p->link->pending++;
  *l->deferred_tail = d;
  l->deferred_tail = &d->next;
  return MC_OK;
}

static void not_stored(mc_slice topic, mc_err err)
{
  mc_log(MC_LOG_ERROR, "gateway", "a record of the platform could not be stored", MC_KS("topic", topic), MC_KZ("error", mc_err_text(err)));
}

mc_err mc_pending_stage(mc_gateway_loop *l, const mc_record *record, const mc_pending *p)
{
  mc_err err = l->deferred ? MC_ERR_FULL : mc_pending_push(l, record, p);
  if (err == MC_ERR_FULL)
    err = defer(l, record, p);
  if (err == MC_OK)
    return MC_OK;
  not_stored(record->topic, err);
  if (p->kind >= MC_PENDING_OF_SESSION) {
    p->session->staged++;
    mc_session_answer(l, p, err);
  }
  if (p->kind == MC_PENDING_SHARE)
    mc_share_staged(p->ticket, 0, err);
  return err;
}

mc_err mc_publish_own(mc_gateway_loop *l, const mc_record *record, uint8_t qos)
{
  if (qos == 0 && !(record->flags & MC_RECORD_RETAIN) && (record->stream == MC_STREAM_MESSAGE || record->stream == MC_STREAM_COMMAND)) {
    deliver_now(l, record, NULL);
    return MC_OK;
  }
  if (qos == 0 && (record->flags & MC_RECORD_RETAIN))
    retain_now(l, record, NULL);
  mc_pending pending = {.kind = MC_PENDING_NONE, .retain = record->flags & MC_RECORD_RETAIN};
  return mc_pending_stage(l, record, &pending);
}

void mc_publish_retry_deferred(mc_gateway_loop *l)
{
  while (l->deferred) {
    mc_deferred *d = l->deferred;
    mc_err err = mc_pending_push(l, &d->record, &d->pending);
    if (err == MC_ERR_FULL)
      return;
    l->deferred = d->next;
    if (!l->deferred)
      l->deferred_tail = &l->deferred;
    if (err != MC_OK)
      not_stored(d->record.topic, err);
    if (d->pending.kind >= MC_PENDING_OF_SESSION && err == MC_OK)
      mc_session_unpin(d->pending.session); /* counted when it was deferred, and again now */
    else if (d->pending.kind >= MC_PENDING_OF_SESSION)
      mc_session_answer(l, &d->pending, err);
    else if (d->pending.kind == MC_PENDING_SHARE && err != MC_OK)
      mc_share_staged(d->pending.ticket, 0, err);
    if (d->pending.link)
      mc_link_release(d->pending.link); /* likewise */
    free(d);
  }
}
