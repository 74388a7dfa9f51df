#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* CONNECT: who is it, may it, and where is its session? The session may live on another loop; then a claim travels there and
 * the session comes back (README, "A session moves"). */

enum { RETRY_US = 2000, HOLD_US = 50000 };

struct mc_claim {
  mc_post post;
  mc_timer retry;
  mc_link *link; /* NULL: it closed meanwhile */
  mc_gateway_loop *to, *from;
  mc_session *session;
  mc_will *will;
  uint64_t *seen;    /* of the loop it came from */
  mc_buf filters;    /* the session's subscriptions on their way */
  uint32_t tenant, thing, expiry_s, kicks;
  uint16_t asked_keep_alive_s;
  bool clean, assigned, clamped, present, storing /* the session is here, and CONNACK waits for the disk */, wants_response_info;
  char *thing_name; /* NULL: the client id */
  char address[56];
  uint16_t id_len;
  char id[];
};

static mc_slice claim_id(const struct mc_claim *c) { return mc_slice_of(c->id, c->id_len); }

static void claim_free(struct mc_claim *c)
{
  mc_buf_free(&c->filters);
  mc_keep_str_free(c->thing_name);
  free(c->will);
  free(c->seen);
  free(c);
}

/* ---- refusal ---- */
void mc_admission_refuse(mc_link *link, uint8_t version, uint8_t code, const char *text)
{
  mc_gateway_loop *l = link->home;
  if (link->conn && version == MC_MQTT_311 && code == MC_MQTT_NOT_AUTHORIZED) {
    uint8_t packet[4] = {MC_MQTT_CONNACK << 4, 2, 0, (uint8_t)link->profile->refusal_code};
    mc_conn_write(link->conn, mc_slice_of(packet, sizeof packet));
  } else if (link->conn && (version == MC_MQTT_5 || version == MC_MQTT_311)) {
    mc_buf_clear(&l->props);
    mc_mqtt_put_text(&l->props, 0x1F, mc_slice_str(text));
    if (link->max_packet && l->props.len + 10 > link->max_packet) /* never to make it too large (3.2.2.3.9) */
      mc_buf_clear(&l->props);
    if (mc_mqtt_write_connack(mc_conn_out(link->conn), version, false, code, version == MC_MQTT_5 ? mc_buf_slice(&l->props) : (mc_slice){0}) == MC_OK)
      mc_conn_dirty(link->conn);
  } else if (link->conn && code == MC_MQTT_BAD_VERSION) { /* a 3.1 or unknown client understands this much (MQTT 3.1.1, 3.1.2-2) */
    mc_conn_write(link->conn, MC_LIT("\x20\x02\x00\x01"));
  }
  mc_link_end(link, code, "%s", text);
}

static void refuse_named(mc_link *link, const mc_mqtt_connect *c, uint32_t tenant, uint8_t code, mc_cause cause, const char *text)
{
  mc_gateway *g = link->home->gateway;
  if (tenant || c->client_id.len) { /* on the client's own card too, so that its owner sees why it stays away */
    mc_event_add(g, tenant, c->client_id, link->address, false, code, text);
    pthread_mutex_lock(&g->lock);
    mc_session *s = tenant ? mc_session_find(g, tenant, c->client_id) : NULL;
    if (s) {
      mc_keep_str_free(s->last_error);
      s->last_error = mc_keep_str(text);
      mc_count_add(&s->refused, 1);
      mc_cause_note_locked(s, cause);
    } else if (tenant) {
      mc_cause_note_absent(g, tenant, c->client_id, cause);
    }
    pthread_mutex_unlock(&g->lock);
  }
  mc_log(MC_LOG_WARN, "gateway", "client refused", MC_KS("client", c->client_id), MC_KZ("address", link->address), MC_KU("code", code), MC_KZ("why", text));
  link->told = true;
  mc_cause_note(link->home, NULL, cause, 1);
  mc_count_add(&link->home->count.refused, 1);
  mc_admission_refuse(link, c->version, code, text);
}

/* ---- who ---- */
static mc_err authenticate(mc_link *link, const mc_mqtt_connect *c /* NULL: once more */, mc_principal *who, mc_why *why)
{
  mc_peer peer;
  mc_gateway *g = link->home->gateway;
  mc_conn_peer(link->conn, &peer);
  memcpy(link->address, peer.address, sizeof link->address);
  mc_policy_release(link->policy);
  link->policy = NULL;
  if (link->auth)
    return mc_auth_again(link, who, why);
  if (link->door == MC_DOOR_DEV) {
    *who = (mc_principal){.tenant = MC_TENANT_DEFAULT, .kind = MC_PRINCIPAL_DEV};
    link->policy = mc_policy_all();
    mc_policy_retain(link->policy);
    return MC_OK;
  }
  if (!peer.has_cert && c && c->has_username)
    return mc_auth_password(link, &peer, c, who, why);
  if (!peer.has_cert)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "no client certificate was presented: install the certificate and key that were issued for this device");
  return mc_registry_authenticate(g->registry, &peer, who, &link->policy, why);
}

static mc_err random_id(char out[32])
{
  uint8_t raw[10];
  if (getrandom(raw, sizeof raw, 0) != sizeof raw)
    return MC_ERR_IO;
  snprintf(out, 32, "auto-");
  for (size_t i = 0; i < sizeof raw; i++)
    snprintf(out + 5 + 2 * i, 3, "%02x", raw[i]);
  return MC_OK;
}

/* A device is known by its thing's name; an empty client id gets it (3.1.3.1). False: refused. */
static bool settle_id(mc_link *link, mc_mqtt_connect *c, const mc_principal *who, char made[32], bool *assigned)
{
  char text[800];
  *assigned = c->client_id.len == 0;
  if (*assigned && who->kind != MC_PRINCIPAL_DEV)
    c->client_id = mc_slice_str(who->name);
  else if (*assigned && random_id(made) == MC_OK)
    c->client_id = mc_slice_str(made);
  if (c->client_id.len > link->profile->client_id_bytes || (!link->profile->dollar_client_id && mc_slice_starts(c->client_id, MC_LIT("$")))) {
    snprintf(text, sizeof text, "client id \"%.*s\": this client's profile allows %u bytes%s (client_id_bytes, dollar_client_id)",
             (int)(c->client_id.len > 128 ? 128 : c->client_id.len), (const char *)c->client_id.data, link->profile->client_id_bytes,
             link->profile->dollar_client_id ? "" : ", and none that begins with $");
    refuse_named(link, c, who->tenant, MC_MQTT_BAD_CLIENT_ID, MC_CAUSE_IDENTITY, text);
    return false;
  }
  mc_why why;
  if (mc_permit_begin(link, who, c->client_id, &why)) {
    refuse_named(link, c, who->tenant, MC_MQTT_UNAVAILABLE, MC_CAUSE_POLICY, why.text);
    return false;
  }
  if (who->kind == MC_PRINCIPAL_THING && !mc_policy_is_bound(link->policy) && !mc_slice_eq_str(c->client_id, who->name)) {
    snprintf(text, sizeof text, "client id \"%.*s\" is not the name of the device that this certificate was issued to: set the client id to \"%s\"",
             (int)(c->client_id.len > 128 ? 128 : c->client_id.len), (const char *)c->client_id.data, who->name);
    refuse_named(link, c, who->tenant, MC_MQTT_BAD_CLIENT_ID, MC_CAUSE_IDENTITY, text);
    return false;
  }
  if (mc_policy_is_bound(link->policy) && !mc_permit_connect(link, c, who, text)) {
    refuse_named(link, c, who->tenant, MC_MQTT_NOT_AUTHORIZED, MC_CAUSE_POLICY, text);
    return false;
  }
  if (!mc_policy_is_bound(link->policy) && !mc_policy_allows(link->policy, who, MC_ACTION_CONNECT, c->client_id)) {
    snprintf(text, sizeof text, "client id \"%.*s\" is not one that the policy of \"%s\" names: use \"%s\" or \"%s/<anything>\"",
             (int)(c->client_id.len > 128 ? 128 : c->client_id.len), (const char *)c->client_id.data, who->name, who->name, who->name);
    refuse_named(link, c, who->tenant, MC_MQTT_BAD_CLIENT_ID, MC_CAUSE_IDENTITY, text);
    return false;
  }
  return true;
}

static bool will_allowed(mc_link *link, const mc_mqtt_connect *c, const mc_principal *who)
{
  if (!c->has_will)
    return true;
  const mc_profile *p = link->profile;
  const char *fault = mc_profile_topic_fault(p, c->will_topic);
  uint8_t code = MC_MQTT_BAD_TOPIC;
  if (c->will_qos == 2 && !p->qos2) {
    fault = "this client's profile has no QoS 2 (qos2)";
    code = MC_MQTT_QOS_NOT_SUPPORTED;
  } else if (p->payload_bytes && c->will_payload.len > p->payload_bytes) {
    fault = "it is larger than this client's profile allows (payload_bytes)";
    code = MC_MQTT_QUOTA;
  }
  if (fault) {
    char why[200];
    snprintf(why, sizeof why, "the will is refused: %s", fault);
    refuse_named(link, c, who->tenant, code, MC_CAUSE_WILL, why);
    return false;
  }
  if (mc_policy_allows(link->policy, who, MC_ACTION_PUBLISH, c->will_topic) && (!c->will_retain || mc_policy_allows(link->policy, who, MC_ACTION_RETAIN_PUBLISH, c->will_topic)))
    return true;
  char text[300];
  snprintf(text, sizeof text, "the will's topic \"%.*s\" is not one that this client may publish to",
           (int)(c->will_topic.len > 150 ? 150 : c->will_topic.len), (const char *)c->will_topic.data);
  refuse_named(link, c, who->tenant, MC_MQTT_NOT_AUTHORIZED, MC_CAUSE_POLICY, text);
  return false;
}

/* ---- the answer ---- */
static void put_number(mc_buf *props, uint8_t id, uint32_t value) { mc_mqtt_put_number(props, id, value); }

static void connack(mc_link *link, const struct mc_claim *c)
{
  mc_gateway_loop *l = link->home;
  const mc_profile *p = link->profile;
  mc_buf *props = &l->props;
  mc_buf_clear(props);
  if (link->version == MC_MQTT_5) {
    if (c->clamped)
      put_number(props, 0x11, c->expiry_s); /* session expiry */
    put_number(props, 0x21, link->receive_max);
    if (!p->qos2)
      put_number(props, 0x24, 1); /* maximum QoS */
    for (uint8_t id = 0x25; p->connack_tells_all && id <= 0x2A; id++) /* retain, wildcards, shared subscriptions are available */
      if (id == 0x25 || id == 0x28 || id == 0x2A)
        put_number(props, id, 1);
    if (!p->subscription_ids)
      put_number(props, 0x29, 0);
    put_number(props, 0x27, p->packet_bytes);
    if (link->keep_alive_s != c->asked_keep_alive_s)
      put_number(props, 0x13, link->keep_alive_s); /* Server Keep Alive */
    if (c->assigned)
      mc_mqtt_put_text(props, 0x12, claim_id(c));
    put_number(props, 0x22, p->topic_aliases);
    if (c->wants_response_info)
      mc_response_info_put(link, props);
  }
  if (link->version == MC_MQTT_5)
    mc_auth_put_connack(link, props);
  mc_buf *out = mc_conn_out(link->conn);
  size_t before = out->len;
  if (mc_mqtt_write_connack(out, link->version, c->present, MC_MQTT_SUCCESS, mc_buf_slice(props)) != MC_OK)
    return;
  if (link->max_packet && out->len - before > link->max_packet) { /* 3.1.2-24: what is too large is not sent, and this cannot be left out */
    out->len = before;
    mc_link_end(link, 0, "the client's Maximum Packet Size of %u bytes is too small for a CONNACK", link->max_packet);
    return;
  }
  mc_conn_dirty(link->conn);
}

/* ---- the session is here ---- */
static void drop_forbidden(mc_link *link, mc_session *s)
{
  mc_principal who = {.tenant = s->tenant, .kind = link->kind, .id = s->thing};
  mc_slice_to_str(s->thing_name ? mc_slice_str(s->thing_name) : mc_session_id(s), who.name, sizeof who.name);
  mc_buf filter = {0};
  for (const mc_share_member *m = mc_share_next(s, NULL), *next; m; m = next) {
    next = mc_share_next(s, m);
    mc_buf_clear(&filter);
    if (mc_policy_allows(link->policy, &who, MC_ACTION_SUBSCRIBE, mc_share_filter(m)) || mc_share_text(m, &filter) != MC_OK)
      continue;
    mc_log(MC_LOG_WARN, "gateway", "a kept subscription is no longer allowed", MC_KS("client", mc_session_id(s)), MC_KS("filter", mc_buf_slice(&filter)));
    mc_session_unsubscribe(s, mc_buf_slice(&filter));
  }
  for (uint32_t i = s->subs.count; i-- > 0;) {
    mc_buf_clear(&filter);
    if (mc_topic_node_text(s->subs.item[i].node, &filter) != MC_OK || mc_policy_allows(link->policy, &who, MC_ACTION_SUBSCRIBE, mc_buf_slice(&filter)))
      continue;
    mc_log(MC_LOG_WARN, "gateway", "a kept subscription is no longer allowed", MC_KS("client", mc_session_id(s)), MC_KS("filter", mc_buf_slice(&filter)));
    mc_session_unsubscribe(s, mc_buf_slice(&filter));
  }
  mc_buf_free(&filter);
}

static void fill_card(mc_session *s, mc_link *link, struct mc_claim *c)
{
  mc_gateway *g = s->home->gateway;
  char *address = mc_keep_str(link->address);
  pthread_mutex_lock(&g->lock);
  s->connected = true;
  s->clean = c->clean;
  s->version = link->version;
  s->keep_alive_s = link->keep_alive_s;
  s->profile = (uint8_t)(link->profile - g->profile);
  s->connected_us = s->home->wall_us;
  mc_session_set_thing(s, c->thing); /* without memory people do not find it by its thing; nothing else needs that */
  mc_keep_str_free(s->address);
  s->address = address;
  mc_keep_str_free(s->thing_name);
  s->thing_name = c->thing_name;
  c->thing_name = NULL;
  pthread_mutex_unlock(&g->lock);
}

static void admitted(mc_session *s, struct mc_claim *c)
{
  mc_link *link = c->link;
  mc_gateway *g = s->home->gateway;
  char text[200];
  snprintf(text, sizeof text, "connected: MQTT %s, %s%s", link->version == MC_MQTT_5 ? "5" : "3.1.1", c->present ? "session resumed" : "new session",
           link->door == MC_DOOR_DEV ? ", plain (development port)" : "");
  mc_event_add(g, s->tenant, mc_session_id(s), link->address, true, 0, text);
  mc_log(MC_LOG_INFO, "gateway", "client connected", MC_KS("client", mc_session_id(s)), MC_KZ("address", link->address),
         MC_KU("version", link->version), MC_KI("resumed", c->present));
}

/* Takes c. What CONNACK tells is so, whatever happens now. */
static void enter(struct mc_claim *c, mc_session *s)
{
  mc_link *link = c->link;
  link->claim = NULL;
  s->stored = link->profile->replay_per_s && s->outbox ? (uint32_t)mc_outbox_queued(s->outbox) : 0;
  mc_qos2_resume(s);
  connack(link, c);
  admitted(s, c);
  mc_link_set_keep_alive(link);
  mc_deliver_resume(s);
  mc_share_connected(s);
  mc_conn_pause(link->conn, false);
  claim_free(c);
}

void mc_admission_stored(const mc_pending *p, mc_err err)
{
  mc_link *link = p->link;
  struct mc_claim *c = link->claim;
  if (!c) /* it closed meanwhile */
    return;
  if (err == MC_OK && mc_link_open(link) && link->session == p->session) {
    enter(c, p->session);
    return;
  }
  const char *text = err == MC_ERR_FULL ? "the server's disk is full, and the session or its will could not be stored; connect again later"
                                        : "the server could not store the session or its will; connect again later";
  if (link->session)
    mc_session_detach(link->session, link, link->end_text ? link->end_text : text);
  link->claim = NULL;
  claim_free(c);
  if (err == MC_OK || !mc_link_open(link))
    return;
  link->told = true;
  mc_admission_refuse(link, link->version, err == MC_ERR_FULL ? MC_MQTT_QUOTA : MC_MQTT_UNAVAILABLE, text);
}

/* A will is the server's to keep from CONNACK on (MQTT 5.0, 3.1.2-7), and so is it that what was there before is gone (3.1.2-4): both are on disk then. */
static void journal_open(struct mc_claim *c, mc_session *s, bool clears)
{
  mc_link *link = c->link;
  bool has_will = s->will;
  c->storing = has_will || clears;
  if (!c->storing) {
    mc_session_journal(s, MC_SESSION_OPEN, !c->present);
    return;
  }
  mc_session_journal_for(s, MC_SESSION_OPEN, !c->present, has_will ? MC_PENDING_CONNACK_MORE : MC_PENDING_CONNACK, link);
  if (has_will && link->claim == c)
    mc_will_journal(s, MC_PENDING_CONNACK, link);
}

/* Takes c. The session is on this loop and has no link. */
static void finish(struct mc_claim *c, mc_session *s)
{
  mc_link *link = c->link;
  bool other = s->thing && c->thing && s->thing != c->thing; /* what waits for one device is not another one's, whatever client id its policy allows */
  bool clears = (c->clean || other) && s->persistent && !s->ended;
  if (c->clean || other || s->ended) {
    mc_will_fire(s); /* its session ends here */
    mc_session_clear(s);
    c->present = false;
    s->ended = false;
  }
  free(s->will); /* a delayed one: the client is back in time (3.1.3.2.2) */
  s->will = c->will;
  c->will = NULL;
  s->will_due_us = s->expires_us = INT64_MAX;
  mc_loop_timer_clear(s->home->loop, &s->timer);
  bool was_recorded = s->recorded;
  s->expiry_s = c->expiry_s;
  s->persistent = c->expiry_s > 0;
  s->recorded = s->persistent || s->will;
  s->hold_until_us = 0;
  s->link = link;
  link->session = s;
  fill_card(s, link, c);
  if (s->subs.count || s->shares)
    drop_forbidden(link, s);
  mc_conduct_resume(s);
  bool waits = s->will || clears; /* asked before: c and s may be gone behind it */
  if (s->recorded || was_recorded)
    journal_open(c, s, clears);
  if (!waits)
    enter(c, s);
}

/* The one that was there makes room: both addresses are named, for two devices with one id is what this often is. */
static void displace(mc_session *s, const char *new_address)
{
  mc_link *old = s->link;
  if (!old)
    return;
  mc_link_end(old, MC_MQTT_TAKEN_OVER, "session taken over: client id \"%.*s\" connected from %s while this connection from %s was open; if these are two devices, give each its own id",
              (int)(s->id_len > 128 ? 128 : s->id_len), s->id, new_address, old->address);
  mc_session_detach(s, old, old->end_text ? old->end_text : "taken over");
}

/* ---- claims ---- */
static void claim_try(struct mc_claim *c);

static void on_retry(mc_timer *timer)
{
  struct mc_claim *c = (struct mc_claim *)((char *)timer - offsetof(struct mc_claim, retry));
  c->to->wall_us = mc_clock_wall_us();
  if (c->link)
    claim_try(c);
  else
    claim_free(c);
}

static void claim_fail(struct mc_claim *c, const char *text)
{
  mc_link *link = c->link;
  if (link) {
    link->claim = NULL;
    mc_admission_refuse(link, link->version, MC_MQTT_UNAVAILABLE, text);
  }
  claim_free(c);
}

static void put_back(struct mc_claim *c)
{
  mc_session *s = c->session;
  mc_session_filter f;
  mc_session_record r = {.kind = MC_SESSION_SUBSCRIBE, .list = mc_buf_slice(&c->filters)};
  size_t at = 0, moved = 0, kept = 0;
  while (mc_session_record_next_filter(&r, &at, &f)) {
    bool existed;
    moved++;
    kept += mc_session_subscribe(s, f.filter, f.options, f.id, &existed) == MC_OK;
  }
  atomic_fetch_sub(&s->home->gateway->subscriptions, moved); /* were counted while on the way */
  if (kept != moved)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: subscriptions lost while a session moved", MC_KS("client", mc_session_id(s)));
}

/* From here on the session goes by what it had on the loop that it left; what it had there through an earlier move counts too. */
static void take_carried(struct mc_claim *c)
{
  mc_session *s = c->session;
  size_t n = c->to->gateway->loop_count;
  for (size_t i = 0; i < n && s->carried; i++)
    if (s->carried[i] > c->seen[i])
      c->seen[i] = s->carried[i];
  free(s->carried);
  s->carried = c->seen;
  c->seen = NULL;
}

/* On the claiming loop again, with the session. */
static void claim_arrived(mc_post *post)
{
  struct mc_claim *c = (struct mc_claim *)post;
  mc_gateway_loop *l = c->to;
  mc_session *s = c->session;
  l->wall_us = mc_clock_wall_us();
  mc_session_link_list(l, s);
  mc_share_move(s, NULL, l);
  pthread_mutex_lock(&l->gateway->lock);
  s->owner = l;
  s->moving = false;
  pthread_mutex_unlock(&l->gateway->lock);
  put_back(c);
  take_carried(c);
  mc_deliver_gap(s);
  for (size_t i = 0; i < l->gateway->loop_count; i++) /* read just now */
    if (l->seen[i] > s->carried[i])
      s->carried[i] = l->seen[i];
  mc_why why;
  mc_principal who;
  mc_link *link = c->link;
  if (link && c->kicks != atomic_load(&l->gateway->kicks) && (authenticate(link, NULL, &who, &why) != MC_OK || mc_permit_begin(link, &who, claim_id(c), &why) != MC_OK)) {
    link->claim = NULL;
    mc_admission_refuse(link, link->version, MC_MQTT_NOT_AUTHORIZED, why.text);
    link = NULL;
  }
  if (link) {
    c->present = !s->ended && !c->clean;
    finish(c, s);
    return;
  }
  claim_free(c);
  if (s->ended || s->expiry_s == 0) {
    mc_session_destroy(s, true);
    return;
  }
  s->expires_us = s->expiry_s == UINT32_MAX ? INT64_MAX : mc_loop_now_us(l->loop) + (int64_t)s->expiry_s * 1000000;
  mc_session_arm(s);
}

/* Records that can wait are not staged for so long: a CONNECT waits until none is on its way. */
static void hold(mc_session *s) { s->hold_until_us = mc_loop_now_us(s->home->loop) + HOLD_US; }

static void claim_release(mc_post *post);

static void on_release_retry(mc_timer *timer)
{
  struct mc_claim *c = (struct mc_claim *)((char *)timer - offsetof(struct mc_claim, retry));
  claim_release(&c->post);
}

/* On the loop that has the session: lets it go. */
static void claim_release(mc_post *post)
{
  struct mc_claim *c = (struct mc_claim *)post;
  mc_gateway_loop *l = c->from;
  mc_session *s = c->session;
  l->wall_us = mc_clock_wall_us();
  if (mc_checkpoint_holds_moves(l)) { /* its checkpoint part is about to be written: not now */
    mc_loop_post(l->loop, &c->post);
    return;
  }
  displace(s, c->address);
  mc_session_flush_acked(l);
  if (s->staged) { /* what it wrote here must lie before what it will write there */
    hold(s);
    c->retry.fire = on_release_retry;
    mc_loop_timer_set(l->loop, &c->retry, mc_loop_now_us(l->loop) + RETRY_US);
    return;
  }
  for (uint32_t i = 0; i < s->subs.count; i++) {
    const mc_sub *sub = mc_sub_of_item(&s->subs.item[i]);
    mc_session_filter f = {.options = sub->options, .id = sub->id};
    mc_buf_clear(&l->scratch);
    if (mc_topic_node_text(s->subs.item[i].node, &l->scratch) != MC_OK)
      continue;
    f.filter = mc_buf_slice(&l->scratch);
    mc_session_record_add_filter(&c->filters, &f, false);
  }
  mc_sub_tree_remove_all(&l->subs, &s->subs); /* the sum keeps counting them */
  mc_share_move(s, l, NULL);
  mc_session_unlink_list(s);
  memcpy(c->seen, l->seen, l->gateway->loop_count * sizeof *c->seen);
  c->post.run = claim_arrived;
  mc_loop_post(c->to->loop, &c->post);
}

static void claim_try(struct mc_claim *c)
{
  mc_gateway_loop *l = c->to;
  mc_gateway *g = l->gateway;
  pthread_mutex_lock(&g->lock);
  mc_session *s = mc_session_find(g, c->tenant, claim_id(c));
  bool moving = s && (s->moving || s->dying), elsewhere = s && !moving && s->owner != l;
  if (elsewhere) {
    s->moving = true;
    c->from = s->owner;
  }
  pthread_mutex_unlock(&g->lock);
  if (moving) {
    mc_loop_timer_set(l->loop, &c->retry, mc_loop_now_us(l->loop) + RETRY_US);
    return;
  }
  if (elsewhere) {
    c->session = s;
    c->post.run = claim_release;
    mc_loop_post(c->from->loop, &c->post);
    return;
  }
  if (s) {
    bool kept = s->expiry_s > 0 && !s->ended;
    if (s->link && !kept)
      s->expiry_s = 1; /* the object lives through the take-over; its content ends with its connection */
    displace(s, c->address);
    s->ended = !kept;
    if (s->staged) {
      hold(s);
      mc_loop_timer_set(l->loop, &c->retry, mc_loop_now_us(l->loop) + RETRY_US);
      return;
    }
    c->present = kept && !c->clean;
    finish(c, s);
    return;
  }
  mc_err err = mc_session_create(l, c->tenant, claim_id(c), &s);
  if (err == MC_ERR_EXISTS) {
    mc_loop_timer_set(l->loop, &c->retry, mc_loop_now_us(l->loop) + RETRY_US);
    return;
  }
  if (err != MC_OK) {
    claim_fail(c, "the server is out of memory; connect again later");
    return;
  }
  finish(c, s);
}

void mc_admission_abandon(mc_link *link)
{
  struct mc_claim *c = link->claim;
  if (c->storing) /* link->claim stays until the session left: it was never told that it is connected */
    return;
  c->link = NULL; /* the claim finds out when the session comes, or at its retry */
  link->claim = NULL;
}

/* ---- CONNECT ---- */
static struct mc_claim *claim_of(mc_link *link, const mc_mqtt_connect *c, const mc_principal *who, uint32_t kicks)
{
  mc_gateway *g = link->home->gateway;
  struct mc_claim *claim = calloc(1, sizeof *claim + c->client_id.len + 1);
  if (!claim)
    return NULL;
  claim->seen = calloc(g->loop_count, sizeof *claim->seen);
  claim->will = c->has_will ? mc_will_of_connect(c, who->id, link->partition) : NULL;
  bool named = who->kind != MC_PRINCIPAL_DEV && !mc_slice_eq_str(c->client_id, who->name);
  claim->thing_name = named ? mc_keep_str(who->name) : NULL;
  if (!claim->seen || (c->has_will && !claim->will) || (named && !claim->thing_name)) {
    claim_free(claim);
    return NULL;
  }
  claim->retry.fire = on_retry;
  claim->link = link;
  claim->to = link->home;
  claim->tenant = who->tenant;
  claim->thing = who->id;
  claim->clean = c->clean;
  claim->wants_response_info = (c->props.present & MC_MQTT_P_REQUEST_RESPONSE) && c->props.request_response;
  claim->kicks = kicks;
  uint32_t most = link->profile->session_expiry_s;
  claim->asked_keep_alive_s = c->keep_alive_s;
  /* 3.1.1 has no expiry: a kept session stays for as long as this server keeps any. */
  uint32_t asked = c->version == MC_MQTT_311 ? (c->clean ? 0 : most) : c->props.present & MC_MQTT_P_SESSION_EXPIRY ? c->props.session_expiry_s : 0;
  claim->expiry_s = asked > most ? most : asked;
  claim->clamped = asked > most;
  memcpy(claim->address, link->address, sizeof claim->address);
  claim->id_len = (uint16_t)c->client_id.len;
  memcpy(claim->id, c->client_id.data, c->client_id.len);
  return claim;
}

static void set_link(mc_link *link, const mc_mqtt_connect *c, const mc_principal *who)
{
  link->kind = (uint8_t)who->kind;
  link->keep_alive_s = mc_profile_keep_alive(link->profile, c->keep_alive_s);
  link->payload_most = link->profile->payload_bytes ? link->profile->payload_bytes : UINT32_MAX;
  link->send_window = (uint16_t)link->profile->send_max;
  link->receive_max = (uint16_t)link->profile->receive_max;
  if (c->version == MC_MQTT_5) /* it is told, and that holds for as long as it is connected (3.2.2.3.3) */
    link->receive_max = mc_pressure_window(link->home, link->receive_max);
  link->reason_wanted = c->version == MC_MQTT_5;
  link->key_id = mc_registry_key_of_thing(link->home->gateway->registry, who->tenant, who->id);
  link->partition = mc_journal_partition_of(who->name[0] ? mc_slice_str(who->name) : c->client_id);
  if (c->props.present & MC_MQTT_P_RECEIVE_MAX && c->props.receive_max < link->send_window)
    link->send_window = c->props.receive_max;
  uint16_t most = link->home->gateway->limit.topic_alias_out_max, aliases = most == MC_TOPIC_ALIAS_OFF ? 0 : most;
  if (c->props.present & MC_MQTT_P_ALIAS_MAX)
    link->alias_out_max = c->props.alias_max < aliases ? c->props.alias_max : aliases;
  if (c->props.present & MC_MQTT_P_MAX_PACKET)
    link->max_packet = c->props.max_packet;
  if (c->props.present & MC_MQTT_P_REQUEST_PROBLEM && c->props.request_problem == 0)
    link->reason_wanted = false;
}

void mc_admission_enter(mc_link *link, const mc_mqtt_connect *given)
{
  mc_gateway *g = link->home->gateway;
  mc_mqtt_connect c = *given;
  mc_principal who = {0};
  mc_why why;
  char made[32];
  bool assigned;
  uint32_t kicks = atomic_load(&g->kicks);
  if (authenticate(link, &c, &who, &why) != MC_OK) {
    refuse_named(link, &c, who.tenant, why.err == MC_ERR_TIMEOUT ? MC_MQTT_UNAVAILABLE : MC_MQTT_NOT_AUTHORIZED, MC_CAUSE_IDENTITY, why.text);
    return;
  }
  link->profile = mc_conduct_of(g, (mc_door)link->door, &who);
  if (!settle_id(link, &c, &who, made, &assigned) || !will_allowed(link, &c, &who))
    return;
  int64_t early = mc_pace_connect(link, who.tenant, c.client_id);
  if (early) {
    char text[200];
    snprintf(text, sizeof text, "this client, or its tenant, connects too often: wait %lld ms; if nothing on the device does, two devices may share one client id", (long long)(early + 999) / 1000);
    refuse_named(link, &c, who.tenant, MC_MQTT_QUOTA, MC_CAUSE_CONNECT_RATE, text);
    return;
  }
  set_link(link, &c, &who);
  struct mc_claim *claim = mc_pace_begin(link, who.tenant) ? claim_of(link, &c, &who, kicks) : NULL;
  if (!claim) {
    refuse_named(link, &c, who.tenant, MC_MQTT_UNAVAILABLE, MC_CAUSE_MEMORY, "the server is out of memory; connect again later");
    return;
  }
  claim->assigned = assigned && c.version == MC_MQTT_5;
  link->claim = claim;
  mc_conn_pause(link->conn, true);
  claim_try(claim);
}

void mc_admission_connect(mc_link *link, const mc_mqtt_connect *c, mc_slice bytes)
{
  link->version = c->version;
  if (c->props.present & MC_MQTT_P_MAX_PACKET)
    link->max_packet = c->props.max_packet;
  if (c->props.present & MC_MQTT_P_AUTH_METHOD)
    mc_auth_connect(link, c, bytes);
  else
    mc_admission_enter(link, c);
}
