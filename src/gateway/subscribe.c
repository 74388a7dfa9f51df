#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>

/* SUBSCRIBE and UNSUBSCRIBE. For a session that outlives its connection the answer waits until the change is on disk. */

typedef struct answer {
  uint8_t fresh[8192]; /* by filter: the subscription is new */
  uint8_t code[8192]; /* a SUBSCRIBE of 1 MiB has more filters than anybody may hold: see MOST */
  size_t count;
  const char *text; /* of the first refusal */
  uint8_t fatal; /* the profile ends the connection for this reason */
  char buffer[300];
} answer;
enum { MOST = sizeof((answer *)0)->code };

static uint8_t refuse(answer *a, uint8_t code, mc_slice filter, const char *rule)
{
  if (!a->text) {
    snprintf(a->buffer, sizeof a->buffer, "subscription to \"%.*s\" refused: %s", (int)(filter.len > 120 ? 120 : filter.len), (const char *)filter.data, rule);
    a->text = a->buffer;
  }
  return code;
}

static bool allowed(mc_link *link, mc_slice filter)
{
  mc_principal who;
  mc_permit_current(link);
  mc_permit_principal(link, &who);
  return mc_policy_allows(link->policy, &who, MC_ACTION_SUBSCRIBE, filter);
}

static uint8_t options_of(const mc_link *link, const mc_mqtt_filter *f, uint8_t qos)
{
  return (uint8_t)(qos | (f->no_local ? MC_SUB_NO_LOCAL : 0) | (f->retain_as_published ? MC_SUB_RETAIN_AS_PUBLISHED : 0) | f->retain_handling << 4 |
                   (link->profile->parent_match ? 0 : MC_SUB_NOT_PARENT));
}

/* 4.8.2-1, 4.8.2-2 (in version 5 the codec ended the connection already); the length is ours. NULL: well-formed, or not a shared one.
 * *inner: what the policy is asked about. */
static const char *shared_fault(const mc_profile *p, mc_slice filter, mc_slice *inner)
{
  mc_slice group;
  *inner = filter;
  if (!mc_slice_starts(filter, MC_LIT(MC_SHARE_PREFIX)))
    return NULL;
  if (!mc_mqtt_shared_split(filter, &group, inner))
    return "a shared subscription is $share/<group>/<filter>; the group's name has at least one character and none of / + #";
  if (mc_slice_starts(*inner, MC_LIT(MC_SHARE_PREFIX)))
    return "the filter behind the group's name is an ordinary one, not a shared one again";
  size_t characters = 0;
  for (size_t i = 0; i < group.len; i++)
    characters += (group.data[i] & 0xC0) != 0x80;
  return characters > p->share_name_chars ? "the name of the group is longer than allowed (share_name_chars)" : NULL;
}

static uint8_t subscribe_one(mc_link *link, const mc_mqtt_filter *f, uint32_t id, answer *a, bool *existed)
{
  mc_session *s = link->session;
  mc_slice inner;
  const mc_profile *p = link->profile;
  const char *fault = shared_fault(p, f->filter, &inner);
  if (!fault)
    fault = mc_profile_topic_fault(p, inner);
  const char *reserved = fault ? NULL : mc_profile_reserved_fault(inner);
  if (reserved && p->reserved_close)
    a->fatal = MC_MQTT_BAD_FILTER;
  if (fault || reserved)
    return refuse(a, MC_MQTT_BAD_FILTER, f->filter, fault ? fault : reserved);
  if (!allowed(link, inner))
    return refuse(a, MC_MQTT_NOT_AUTHORIZED, f->filter, "the policy of this client does not name it; a vehicle may subscribe only under its own name");
  if (s->subs.count + mc_share_count(s) >= p->subscriptions && p->excess_close)
    a->fatal = MC_MQTT_QUOTA;
  if (s->subs.count + mc_share_count(s) >= p->subscriptions)
    return refuse(a, MC_MQTT_QUOTA, f->filter, "this session has as many subscriptions as it may");
  uint8_t qos = f->qos;
  mc_err err = mc_session_subscribe(s, f->filter, options_of(link, f, qos), id, existed);
  if (err == MC_ERR_TOO_LARGE)
    return refuse(a, MC_MQTT_BAD_FILTER, f->filter, "a filter has at most 128 levels");
  return err == MC_OK ? qos : refuse(a, MC_MQTT_UNSPECIFIED, f->filter, "out of memory");
}

/* Sends the answer now, or when the record in l->record is on disk. */
static mc_taken answer_when_durable(mc_link *link, mc_session_kind kind, const mc_buf *packet, bool changed)
{
  mc_session *s = link->session;
  mc_gateway_loop *l = link->home;
  mc_slice wanted = mc_buf_slice(&l->wanted);
  if (!s->persistent || !changed) {
    mc_conn_write(link->conn, mc_buf_slice(packet));
    mc_subscribe_retained(s, wanted);
    return MC_TAKEN;
  }
  mc_reply *reply = malloc(sizeof *reply + packet->len + wanted.len);
  if (!reply) {
    mc_link_end(link, MC_MQTT_BUSY, "the server is out of memory for this now; connect again later");
    return MC_TAKE_CLOSED;
  }
  reply->len = packet->len;
  reply->retained_len = wanted.len;
  memcpy(reply->bytes, packet->data, packet->len);
  if (wanted.len)
    memcpy(reply->bytes + packet->len, wanted.data, wanted.len);
  mc_record record = {.stream = MC_STREAM_SESSION, .partition = s->partition, .tenant = s->tenant, .principal = s->thing, .time_us = l->wall_us,
                      .topic = mc_session_kind_name(kind), .payload = mc_buf_slice(&l->record)};
  mc_pending pending = {.link = link, .kind = MC_PENDING_REPLY};
  pending.reply = reply;
  mc_err err = l->deferred ? MC_ERR_FULL : mc_pending_push(l, &record, &pending); /* never before the session's own record */
  if (err == MC_OK)
    return MC_TAKEN;
  free(reply);
  if (err != MC_ERR_FULL) {
    mc_link_end(link, MC_MQTT_UNSPECIFIED, "the subscription could not be stored: %s", mc_err_text(err));
    return MC_TAKE_CLOSED;
  }
  if (!link->blocked) {
    link->blocked = true;
    link->next_blocked = l->blocked;
    l->blocked = link;
    mc_conn_pause(link->conn, true);
  }
  return MC_TAKE_LATER; /* taken again as a whole */
}

static void note_refusal(mc_link *link, const answer *a, uint8_t code)
{
  mc_session *s = link->session;
  if (!a->text)
    return;
  mc_count_add(&s->refused, 1);
  mc_count_add(&link->home->count.refused, 1);
  mc_cause_note(link->home, s, code == MC_MQTT_NOT_AUTHORIZED ? MC_CAUSE_POLICY : code == MC_MQTT_QUOTA ? MC_CAUSE_QUOTA : code == MC_MQTT_BAD_FILTER ? MC_CAUSE_TOPIC : MC_CAUSE_MEMORY, 1);
  mc_log(MC_LOG_WARN, "gateway", "subscription refused", MC_KS("client", mc_session_id(s)), MC_KZ("address", link->address), MC_KZ("why", a->text));
  mc_event_add(link->home->gateway, s->tenant, mc_session_id(s), link->address, true, code, a->text);
  mc_session_set_error(s, a->text);
}

/* Retained messages follow the SUBACK, so what is wanted waits with it: per subscription options (1 byte), identifier (4), length (2), filter.
 * 3.3.1.3: retain handling 0 always, 1 only when the subscription is new, 2 never. */
static mc_err want_retained(mc_buf *wanted, const mc_mqtt_filter *f, uint8_t qos, uint32_t id, bool existed)
{
  if (f->retain_handling == 2 || (f->retain_handling == 1 && existed) || mc_slice_starts(f->filter, MC_LIT(MC_SHARE_PREFIX))) /* 4.8.2: never to these */
    return MC_OK;
  uint8_t head[7] = {(uint8_t)(qos | (f->no_local ? MC_SUB_NO_LOCAL : 0))};
  mc_store_le32(head + 1, id);
  mc_store_le16(head + 5, (uint16_t)f->filter.len);
  MC_TRY(mc_buf_append(wanted, head, sizeof head));
  return mc_buf_append_slice(wanted, f->filter);
}

void mc_subscribe_retained(mc_session *s, mc_slice wanted)
{
  mc_cursor c = mc_cursor_of(wanted);
  while (mc_cursor_left(&c)) {
    uint8_t options = mc_cursor_u8(&c);
    uint32_t id = mc_cursor_le32(&c);
    mc_slice filter = mc_cursor_bytes(&c, mc_cursor_le16(&c));
    mc_deliver_retained(s, filter, options, id);
  }
}

/* The packet will be taken again as a whole; what is new must be new then, too (retain handling 1). */
static void take_back(mc_session *s, const mc_mqtt_subscribe *p, const answer *a)
{
  mc_mqtt_filter f;
  for (size_t at = 0, i = 0; mc_mqtt_filter_next(p, false, &at, &f); i++)
    if (a->fresh[i])
      mc_session_unsubscribe(s, f.filter);
}

static bool has_wildcard(mc_slice filter) { return mc_slice_find(filter, '+', 0) < filter.len || mc_slice_find(filter, '#', 0) < filter.len; }

/* The profile ends the connection; SUBACK says that nothing was subscribed, and DISCONNECT why. */
static mc_taken end_refused(mc_link *link, const mc_mqtt_subscribe *p, answer *a, uint8_t code)
{
  mc_gateway_loop *l = link->home;
  memset(a->code, code, p->count);
  mc_buf_clear(&l->scratch);
  if (mc_mqtt_write_suback(&l->scratch, MC_MQTT_SUBACK, link->version, p->packet_id, a->code, p->count, (mc_slice){0}) == MC_OK)
    mc_conn_write(link->conn, mc_buf_slice(&l->scratch));
  note_refusal(link, a, code);
  mc_link_end(link, code, "%s", a->text);
  return MC_TAKE_CLOSED;
}

static bool asks_qos2(const mc_mqtt_subscribe *p)
{
  mc_mqtt_filter f;
  for (size_t at = 0; mc_mqtt_filter_next(p, false, &at, &f);)
    if (f.qos == 2)
      return true;
  return false;
}

mc_taken mc_subscribe_take(mc_link *link, const mc_mqtt_subscribe *p)
{
  mc_session *s = link->session;
  mc_gateway_loop *l = link->home;
  if (p->count > MOST) {
    mc_link_end(link, MC_MQTT_QUOTA, "SUBSCRIBE with %u filters; at most %d in one packet", p->count, (int)MOST);
    return MC_TAKE_CLOSED;
  }
  const mc_profile *profile = link->profile;
  answer a = {.count = 0};
  if ((p->props.present & MC_MQTT_P_SUB_ID) && !profile->subscription_ids) {
    mc_link_end(link, MC_MQTT_NO_SUB_IDS, "this client's profile has no subscription identifiers (subscription_ids; CONNACK, Subscription Identifier Available)");
    return MC_TAKE_CLOSED;
  }
  if (!profile->qos2 && asks_qos2(p))
    return mc_conduct_no_qos2(link, "SUBSCRIBE");
  if (p->count > profile->filters_per_subscribe) {
    snprintf(a.buffer, sizeof a.buffer, "SUBSCRIBE with %u filters; this client's profile allows %u (filters_per_subscribe)", p->count, profile->filters_per_subscribe);
    a.text = a.buffer;
    if (profile->excess_close)
      return end_refused(link, p, &a, MC_MQTT_QUOTA);
  }
  bool too_many = a.text;
  uint32_t id = p->props.present & MC_MQTT_P_SUB_ID ? p->props.sub_id : 0, stored = 0;
  uint8_t refused = 0;
  mc_session_record record = {.kind = MC_SESSION_SUBSCRIBE, .client_id = mc_session_id(s)};
  mc_buf_clear(&l->record);
  mc_buf_clear(&l->wanted);
  mc_session_record_begin(&l->record, &record);
  uint64_t since = mc_journal_end_offset(l->gateway->journal);
  if (s->subs.count == 0)
    s->since = since;
  mc_mqtt_filter f;
  for (size_t at = 0; mc_mqtt_filter_next(p, false, &at, &f); a.count++) {
    bool had = false;
    uint8_t code = a.code[a.count] = too_many ? MC_MQTT_QUOTA : subscribe_one(link, &f, id, &a, &had);
    a.fresh[a.count] = code <= 2 && !had;
    if (code > 2) {
      refused = code;
      continue;
    }
    mc_session_filter stored_filter = {f.filter, options_of(link, &f, code), id};
    mc_session_record_add_filter(&l->record, &stored_filter, false);
    if (link->profile->wildcard_retained || !has_wildcard(f.filter))
      want_retained(&l->wanted, &f, code, id, had);
    stored++;
  }
  if (a.fatal) {
    take_back(s, p, &a);
    return end_refused(link, p, &a, a.fatal);
  }
  mc_session_record_set_count(&l->record, 0, stored);
  mc_link_reason(link, a.text, a.count + 11 /* type, lengths, identifier */);
  mc_buf_clear(&l->scratch);
  if (mc_mqtt_write_suback(&l->scratch, MC_MQTT_SUBACK, link->version, p->packet_id, a.code, a.count, mc_buf_slice(&l->props)) != MC_OK) {
    mc_link_end(link, MC_MQTT_BUSY, "the server is out of memory for this now; connect again later");
    return MC_TAKE_CLOSED;
  }
  mc_taken taken = answer_when_durable(link, MC_SESSION_SUBSCRIBE, &l->scratch, stored > 0);
  if (taken == MC_TAKE_LATER)
    take_back(s, p, &a);
  if (taken != MC_TAKEN)
    return taken;
  note_refusal(link, &a, refused);
  return MC_TAKEN;
}

mc_taken mc_unsubscribe_take(mc_link *link, const mc_mqtt_subscribe *p)
{
  mc_session *s = link->session;
  mc_gateway_loop *l = link->home;
  if (p->count > MOST) {
    mc_link_end(link, MC_MQTT_QUOTA, "UNSUBSCRIBE with %u filters; at most %d in one packet", p->count, (int)MOST);
    return MC_TAKE_CLOSED;
  }
  uint8_t code[MOST];
  size_t count = 0;
  mc_session_record record = {.kind = MC_SESSION_UNSUBSCRIBE, .client_id = mc_session_id(s)};
  mc_buf_clear(&l->record);
  mc_buf_clear(&l->wanted);
  mc_session_record_begin(&l->record, &record);
  mc_mqtt_filter f;
  for (size_t at = 0; mc_mqtt_filter_next(p, true, &at, &f); count++) {
    code[count] = mc_session_unsubscribe(s, f.filter) ? MC_MQTT_SUCCESS : MC_MQTT_NO_SUBSCRIPTION;
    mc_session_filter stored = {.filter = f.filter};
    mc_session_record_add_filter(&l->record, &stored, true);
  }
  mc_session_record_set_count(&l->record, 0, (uint32_t)count);
  mc_buf_clear(&l->scratch);
  if (mc_mqtt_write_suback(&l->scratch, MC_MQTT_UNSUBACK, link->version, p->packet_id, code, count, (mc_slice){0}) != MC_OK) {
    mc_link_end(link, MC_MQTT_BUSY, "the server is out of memory for this now; connect again later");
    return MC_TAKE_CLOSED;
  }
  return answer_when_durable(link, MC_SESSION_UNSUBSCRIBE, &l->scratch, true);
}
