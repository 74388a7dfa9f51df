#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>

/* Sessions: born at CONNECT, found by (tenant, client id), ended by their expiry. */

enum { ACK_FLUSH_US = 20000, ACK_KEEP_CAP = 64 };
#define MC_NOTE_COMPLETE MC_OUT_DONE /* in mc_session.acked: not an entry but a packet id */

mc_slice mc_session_key(mc_gateway *g, uint32_t tenant, mc_slice client_id)
{
  mc_store_be32(g->key, tenant);
  size_t len = client_id.len < sizeof g->key - 4 ? client_id.len : sizeof g->key - 4; /* the wire allows no longer one */
  if (len)
    memcpy(g->key + 4, client_id.data, len);
  return mc_slice_of(g->key, 4 + len);
}

mc_session *mc_session_find(mc_gateway *g, uint32_t tenant, mc_slice client_id)
{
  uint64_t value = 0;
  bool found = mc_strmap_get(&g->directory, mc_session_key(g, tenant, client_id), &value);
  return found ? (mc_session *)(uintptr_t)value : NULL;
}

static void forget_thing(mc_session *s)
{
  mc_map *by_thing = &s->home->gateway->by_thing;
  uint64_t key = (uint64_t)s->tenant << 32 | s->thing, value;
  if (s->thing && mc_map_get(by_thing, key, &value) && value == (uintptr_t)s)
    mc_map_remove(by_thing, key, NULL);
}

mc_err mc_session_set_thing(mc_session *s, uint32_t thing)
{
  if (s->thing != thing)
    forget_thing(s);
  s->thing = thing;
  return thing ? mc_map_put(&s->home->gateway->by_thing, (uint64_t)s->tenant << 32 | thing, (uintptr_t)s) : MC_OK;
}

/* ---- the loop's list ---- */
void mc_session_link_list(mc_gateway_loop *l, mc_session *s)
{
  s->home = l;
  s->prev = NULL;
  s->next = l->sessions;
  if (s->next)
    s->next->prev = s;
  l->sessions = s;
  mc_count_add(&l->count.sessions, 1);
}

void mc_session_unlink_list(mc_session *s)
{
  mc_gateway_loop *l = s->home;
  if (s->prev)
    s->prev->next = s->next;
  else
    l->sessions = s->next;
  if (s->next)
    s->next->prev = s->prev;
  s->prev = s->next = NULL;
  mc_count_add(&l->count.sessions, (uint64_t)-1);
  for (mc_session **at = &l->pump; s->in_pump && *at; at = &(*at)->next_pump)
    if (*at == s) {
      *at = s->next_pump;
      s->in_pump = false;
      break;
    }
  for (mc_session **at = &l->acked; s->in_acked && *at; at = &(*at)->next_acked)
    if (*at == s) {
      *at = s->next_acked;
      s->in_acked = false;
      break;
    }
  mc_loop_timer_clear(l->loop, &s->timer);
}

/* ---- the timer of an absent session ---- */
static void on_timer(mc_timer *timer)
{
  mc_session *s = (mc_session *)((char *)timer - offsetof(mc_session, timer));
  int64_t now = mc_loop_now_us(s->home->loop);
  s->home->wall_us = mc_clock_wall_us();
  if (s->link)
    return;
  if (s->will && now >= s->will_due_us)
    mc_will_fire(s);
  if (now >= s->expires_us) {
    mc_event_add(s->home->gateway, s->tenant, mc_session_id(s), s->address, false, 0, "the session expired: its subscriptions and waiting messages are gone");
    mc_session_destroy(s, true);
    return;
  }
  mc_session_arm(s);
}

void mc_session_arm(mc_session *s)
{
  int64_t due = s->expires_us;
  if (s->will && s->will_due_us < due)
    due = s->will_due_us;
  if (due == INT64_MAX || s->link)
    mc_loop_timer_clear(s->home->loop, &s->timer);
  else
    mc_loop_timer_set(s->home->loop, &s->timer, due);
}

/* ---- life ---- */
mc_err mc_session_create(mc_gateway_loop *l, uint32_t tenant, mc_slice client_id, mc_session **out)
{
  mc_gateway *g = l->gateway;
  *out = NULL;
  mc_session *s = mc_keep_alloc(sizeof *s + client_id.len + 1);
  if (!s)
    return MC_ERR_MEMORY;
  s->tenant = tenant;
  s->partition = mc_journal_partition_of(client_id);
  s->timer.fire = on_timer;
  s->will_due_us = s->expires_us = INT64_MAX;
  s->owner = l;
  s->id_len = (uint16_t)client_id.len;
  if (client_id.len)
    memcpy(s->id, client_id.data, client_id.len);
  pthread_mutex_lock(&g->lock);
  mc_slice key = mc_session_key(g, tenant, client_id);
  mc_err err = mc_strmap_get(&g->directory, key, NULL) ? MC_ERR_EXISTS : mc_strmap_put(&g->directory, key, (uintptr_t)s);
  s->home = l;
  if (err == MC_OK)
    mc_cause_resume(s);
  pthread_mutex_unlock(&g->lock);
  if (err != MC_OK) {
    mc_keep_free(s, sizeof *s + s->id_len + 1);
    return err;
  }
  mc_session_link_list(l, s);
  *out = s;
  return MC_OK;
}

void mc_session_clear(mc_session *s)
{
  mc_session_leave_tree(s);
  if (s->outbox && s->outbox->reader)
    mc_journal_reader_destroy(&s->outbox->reader);
  mc_outbox_destroy(&s->outbox);
  mc_vec_free(&s->acked);
  mc_packet_ids_free(&s->came);
  mc_count_set(&s->queued, 0);
  mc_count_set(&s->queue_bytes, 0);
  mc_count_set(&s->inflight, 0);
}

static void session_free(mc_session *s)
{
  free(s->carried);
  free(s->causes);
  free(s->will);
  mc_keep_str_free(s->last_error);
  mc_keep_str_free(s->address);
  mc_keep_str_free(s->thing_name);
  mc_keep_free(s, sizeof *s + s->id_len + 1);
}

static void leave_directory(mc_session *s) /* under lock */
{
  mc_gateway *g = s->home->gateway;
  mc_cause_keep(s);
  mc_strmap_remove(&g->directory, mc_session_key(g, s->tenant, mc_session_id(s)), NULL);
}

/* One that has records on their way to the disk stays in the directory, without anything in it, until they are there: another session of the same name on
 * another loop would have its "open" before our "ended". */
void mc_session_destroy(mc_session *s, bool journal_it)
{
  mc_gateway *g = s->home->gateway;
  mc_will_fire(s); /* the session ends before the delay does (MQTT 5.0, 3.1.3.2.2) */
  if (journal_it && s->recorded)
    mc_session_journal(s, MC_SESSION_ENDED, false);
  s->persistent = s->recorded = false;
  mc_session_clear(s);
  pthread_mutex_lock(&g->lock);
  bool moving = s->moving;
  if (!moving) {
    forget_thing(s);
    s->dying = s->staged > 0;
    if (!s->dying)
      leave_directory(s);
  }
  pthread_mutex_unlock(&g->lock);
  if (moving) { /* another loop has asked for it and takes over an empty one */
    s->ended = true;
    s->expires_us = INT64_MAX;
    mc_loop_timer_clear(s->home->loop, &s->timer);
    return;
  }
  mc_session_unlink_list(s);
  if (!s->dying)
    session_free(s);
}

void mc_session_unpin(mc_session *s)
{
  if (--s->staged || !s->dying)
    return;
  mc_gateway *g = s->home->gateway;
  pthread_mutex_lock(&g->lock);
  leave_directory(s);
  pthread_mutex_unlock(&g->lock);
  session_free(s);
}

void mc_session_set_error(mc_session *s, const char *text)
{
  mc_gateway *g = s->home->gateway;
  char *copy = mc_keep_str(text);
  pthread_mutex_lock(&g->lock);
  mc_keep_str_free(s->last_error);
  s->last_error = copy;
  pthread_mutex_unlock(&g->lock);
}

void mc_session_detach(mc_session *s, mc_link *link, const char *text)
{
  mc_gateway *g = s->home->gateway;
  int64_t now = mc_loop_now_us(s->home->loop);
  if (s->will && !link->clean_end && !link->claim && !mc_permit_will(link, &s->will->is)) { /* allowed at CONNECT, and no longer */
    mc_log(MC_LOG_WARN, "gateway", "a will is not sent: the client's policy no longer names its topic", MC_KS("client", mc_session_id(s)));
    mc_cause_note(s->home, s, MC_CAUSE_WILL, 1);
    free(s->will);
    s->will = NULL;
  }
  s->link = NULL;
  s->stored = 0;
  link->session = NULL;
  pthread_mutex_lock(&g->lock);
  s->connected = false;
  s->disconnected_us = mc_clock_wall_us();
  pthread_mutex_unlock(&g->lock);
  if (!link->clean_end)
    mc_session_set_error(s, text);
  mc_event_add(g, s->tenant, mc_session_id(s), link->address, false, link->end_code, text);
  mc_log(link->clean_end ? MC_LOG_INFO : MC_LOG_WARN, "gateway", "client disconnected", MC_KS("client", mc_session_id(s)), MC_KZ("address", link->address),
         MC_KZ("why", text));
  if (link->claim) { /* it was never told that it is connected: its will is not in force */
    free(s->will);
    s->will = NULL;
  }
  if (s->will && !link->clean_end && s->will->is.delay_s && s->expiry_s)
    s->will_due_us = now + (int64_t)s->will->is.delay_s * 1000000;
  else if (!link->clean_end)
    mc_will_fire(s);
  if (link->clean_end) {
    free(s->will);
    s->will = NULL;
  }
  if (s->expiry_s == 0) {
    mc_session_destroy(s, true);
    return;
  }
  mc_share_disconnected(s);
  if (s->outbox) {
    if (s->outbox->reader)
      mc_journal_reader_destroy(&s->outbox->reader);
    s->outbox->resend = s->outbox->inflight.len ? 0 : UINT32_MAX;
    mc_session_tidy(s);
  }
  s->expires_us = s->expiry_s == UINT32_MAX ? INT64_MAX : now + (int64_t)s->expiry_s * 1000000;
  mc_session_arm(s);
  if (s->recorded)
    mc_session_journal(s, MC_SESSION_CLOSED, false);
}

/* ---- subscriptions ---- */
mc_err mc_session_subscribe(mc_session *s, mc_slice filter, uint8_t options, uint32_t id, bool *existed)
{
  mc_gateway *g = s->home->gateway;
  mc_slice group, inner;
  if (mc_mqtt_shared_split(filter, &group, &inner)) {
    mc_err err = mc_share_subscribe(s, group, inner, options, id, existed);
    mc_count_set(&s->subscriptions, s->subs.count + mc_share_count(s));
    return err;
  }
  /* Counted before it can match: a publish acknowledged after our SUBACK must find it (commit.c, fan_out). */
  atomic_fetch_add(&g->subscriptions, 1);
  mc_err err = mc_sub_tree_add(&s->home->subs, s->tenant, filter, &s->subs, options, id, existed);
  if (err != MC_OK || *existed)
    atomic_fetch_sub(&g->subscriptions, 1);
  if (err == MC_OK)
    mc_count_set(&s->subscriptions, s->subs.count + mc_share_count(s));
  return err;
}

bool mc_session_unsubscribe(mc_session *s, mc_slice filter)
{
  mc_slice group, inner;
  bool shared = mc_mqtt_shared_split(filter, &group, &inner);
  if (shared ? !mc_share_unsubscribe(s, group, inner) : !mc_sub_tree_remove(&s->home->subs, s->tenant, filter, &s->subs))
    return false;
  if (!shared)
    atomic_fetch_sub(&s->home->gateway->subscriptions, 1);
  mc_count_set(&s->subscriptions, s->subs.count + mc_share_count(s));
  return true;
}

void mc_session_leave_tree(mc_session *s)
{
  mc_share_leave(s);
  atomic_fetch_sub(&s->home->gateway->subscriptions, s->subs.count);
  mc_sub_tree_remove_all(&s->home->subs, &s->subs);
  mc_count_set(&s->subscriptions, 0);
}

/* ---- outbox ---- */
mc_outbox *mc_session_outbox(mc_session *s)
{
  if (!s->outbox)
    mc_outbox_create(&s->outbox);
  return s->outbox;
}

void mc_session_tidy(mc_session *s)
{
  mc_outbox *o = s->outbox;
  if (!o)
    return;
  mc_count_set(&s->inflight, o->inflight.len);
  if (mc_outbox_empty(o))
    mc_outbox_destroy(&s->outbox);
  mc_queue_count(s);
}

/* ---- the journal's view of a session ---- */
static mc_record record_of(const mc_session *s, mc_session_kind kind)
{
  return (mc_record){.stream = MC_STREAM_SESSION, .partition = s->partition, .tenant = s->tenant, .principal = s->thing, .time_us = mc_clock_wall_us(),
                     .topic = mc_session_kind_name(kind), .payload = mc_buf_slice(&s->home->record)};
}

void mc_session_stage(mc_session *s, mc_session_kind kind, mc_pending_kind then, uint16_t packet_id)
{
  mc_record record = record_of(s, kind);
  mc_pending pending = {.session = s, .packet_id = packet_id, .kind = (uint8_t)then};
  mc_pending_stage(s->home, &record, &pending);
}

void mc_session_stage_begun(mc_session *s, mc_session_kind kind, mc_pending_kind then, mc_link *link, mc_err begun)
{
  mc_record record = record_of(s, kind);
  mc_pending pending = {.link = link, .session = s, .kind = (uint8_t)then};
  if (begun == MC_OK) {
    mc_pending_stage(s->home, &record, &pending);
  } else if (link) { /* somebody waits for it */
    s->staged++;
    mc_session_answer(s->home, &pending, begun);
  }
}

mc_taken mc_session_stage_answer(mc_link *link, mc_session_kind kind, mc_pending_kind then, uint16_t packet_id)
{
  mc_gateway_loop *l = link->home;
  mc_record record = record_of(link->session, kind);
  mc_pending pending = {.link = link, .session = link->session, .packet_id = packet_id, .kind = (uint8_t)then};
  mc_err err = l->deferred ? MC_ERR_FULL : mc_pending_push(l, &record, &pending); /* never before what the session staged earlier */
  if (err == MC_OK)
    return MC_TAKEN;
  if (err == MC_ERR_FULL) {
    mc_link_block(link);
    return MC_TAKE_LATER;
  }
  mc_link_end(link, MC_MQTT_UNSPECIFIED, "the answer could not be stored: %s; connect again later", mc_err_text(err));
  return MC_TAKE_CLOSED;
}

void mc_session_journal_for(mc_session *s, mc_session_kind kind, bool clean, mc_pending_kind then, mc_link *link)
{
  mc_gateway_loop *l = s->home;
  mc_session_record r = {.kind = kind, .client_id = mc_session_id(s), .expiry_s = s->expiry_s, .clean = clean, .mqtt_version = s->version, .thing = s->thing,
                         .thing_name = mc_slice_str(s->thing_name), .will_gone = !s->will};
  mc_buf_clear(&l->record);
  mc_session_stage_begun(s, kind, then, link, mc_session_record_begin(&l->record, &r));
}

void mc_session_journal(mc_session *s, mc_session_kind kind, bool clean) { mc_session_journal_for(s, kind, clean, MC_PENDING_RECORD, NULL); }

void mc_session_note_acked(mc_session *s, uint64_t entry)
{
  mc_gateway_loop *l = s->home;
  if (!s->persistent || mc_vec_push(&s->acked, entry) != MC_OK) /* lost: delivered once more after a crash, as QoS 1 may be */
    return;
  if (s->in_acked)
    return;
  s->in_acked = true;
  s->next_acked = l->acked;
  l->acked = s;
  if (!l->ack_timer.armed)
    mc_loop_timer_set(l->loop, &l->ack_timer, mc_loop_now_us(l->loop) + ACK_FLUSH_US);
}

void mc_session_note_complete(mc_session *s, uint16_t packet_id) { mc_session_note_acked(s, MC_NOTE_COMPLETE | packet_id); }

/* One record of the notes of this kind. */
static void flush_kind(mc_session *s, mc_session_kind kind)
{
  mc_gateway_loop *l = s->home;
  mc_session_record r = {.kind = kind, .client_id = mc_session_id(s)};
  uint64_t previous = 0;
  uint32_t count = 0;
  mc_buf_clear(&l->record);
  mc_err err = mc_session_record_begin(&l->record, &r);
  for (size_t i = 0; i < s->acked.len && err == MC_OK; i++) {
    uint64_t note = s->acked.at[i];
    if (((note & MC_NOTE_COMPLETE) != 0) != (kind == MC_SESSION_COMPLETE))
      continue;
    err = kind == MC_SESSION_COMPLETE ? mc_session_record_add_packet_id(&l->record, (uint16_t)note)
                                      : mc_session_record_add_entry(&l->record, mc_outbox_record_entry(note), &previous);
    count++;
  }
  if (err != MC_OK || !count)
    return;
  mc_session_record_set_count(&l->record, 0, count);
  mc_session_stage(s, kind, MC_PENDING_RECORD, 0);
}

void mc_session_flush_own(mc_session *s)
{
  if (!s->acked.len)
    return;
  flush_kind(s, MC_SESSION_ACKED);
  flush_kind(s, MC_SESSION_COMPLETE);
  mc_vec_clear(&s->acked);
}

void mc_session_flush_acked(mc_gateway_loop *l)
{
  mc_share_flush_acked(l);
  while (l->acked) {
    mc_session *s = l->acked;
    l->acked = s->next_acked;
    s->in_acked = false;
    mc_session_flush_own(s);
    if (s->acked.cap > ACK_KEEP_CAP || !s->link)
      mc_vec_free(&s->acked);
  }
}
