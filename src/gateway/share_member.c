#include "gateway/share.h"

#include <stdlib.h>

#include "gateway/state.h"

enum { HELD = 1, KEPT = 2 /* while it is away */ };

/* A session's places in groups: told to the groups' homes, and what the homes give, to the client. */

static mc_share_member *find(const mc_session *s, mc_slice name, mc_slice filter)
{
  mc_share_member *m = s->shares;
  while (m && !(mc_slice_eq(mc_share_name(m), name) && mc_slice_eq(mc_share_filter(m), filter)))
    m = m->next;
  return m;
}

static uint16_t home_of(const mc_session *s, mc_slice name, mc_slice filter)
{
  uint64_t h = mc_slice_fnv1a(name) * 31 + mc_slice_fnv1a(filter) + s->tenant;
  return (uint16_t)((h ^ h >> 32) % s->home->gateway->loop_count);
}

/* What else the session owes its client: the least loaded member is asked first where that is the choice. */
static uint32_t load_of(const mc_share_member *m)
{
  uint64_t owed = mc_count_get(&m->session->inflight) + mc_count_get(&m->session->queued);
  return owed > m->held.len ? (uint32_t)(owed - m->held.len) : 0;
}

static mc_err tell(mc_share_member *m, bool counted)
{
  mc_session *s = m->session;
  mc_share_seat seat = {.serial = m->serial,
                        .tenant = s->tenant,
                        .epoch = m->epoch,
                        .load = load_of(m),
                        .loop = (uint16_t)s->home->index,
                        .window = s->link ? s->link->send_window : 0,
                        .qos = m->options & MC_SUB_QOS,
                        .connected = m->connected,
                        .leaving = m->leaving,
                        .persistent = s->persistent,
                        .counted = counted,
                        .name = mc_share_name(m),
                        .filter = mc_share_filter(m)};
  mc_err err = mc_share_post_seat(s->home, m->home, &seat);
  if (err != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a shared subscription's group was not told", MC_KS("client", mc_session_id(s)), MC_KS("filter", seat.filter));
  return err;
}

/* ---- subscribing ---- */
static mc_share_member *make(mc_session *s, mc_slice name, mc_slice filter)
{
  mc_share_member *m = calloc(1, sizeof *m + name.len + filter.len);
  if (!m)
    return NULL;
  m->session = s;
  m->serial = atomic_fetch_add(&s->home->gateway->share_serial, 1) + 1;
  m->home = home_of(s, name, filter);
  m->name_len = (uint16_t)name.len;
  m->filter_len = (uint16_t)filter.len;
  memcpy(m->text, name.data, name.len);
  memcpy(m->text + name.len, filter.data, filter.len);
  if (mc_map_put(&s->home->share.members, m->serial, (uintptr_t)m) != MC_OK) {
    free(m);
    return NULL;
  }
  m->next = s->shares;
  s->shares = m;
  return m;
}

static void take_out(mc_share_member *m)
{
  mc_session *s = m->session;
  mc_share_member **at = &s->shares;
  while (*at != m)
    at = &(*at)->next;
  *at = m->next;
  if (s->home)
    mc_map_remove(&s->home->share.members, m->serial, NULL);
  mc_map_free(&m->held);
  free(m);
}

mc_err mc_share_subscribe(mc_session *s, mc_slice name, mc_slice filter, uint8_t options, uint32_t id, bool *existed)
{
  mc_gateway *g = s->home->gateway;
  size_t levels = 1;
  for (size_t i = 0; i < filter.len; i++)
    levels += filter.data[i] == '/';
  if (levels > MC_TOPIC_LEVELS_MAX)
    return MC_ERR_TOO_LARGE;
  mc_share_member *m = find(s, name, filter);
  *existed = m && !m->leaving;
  bool fresh = !m;
  if (!m)
    m = make(s, name, filter);
  if (!m)
    return MC_ERR_MEMORY;
  m->options = options;
  m->id = id;
  m->leaving = false;
  m->connected = s->link != NULL;
  /* Counted before it can match, as ordinary ones are. The home keeps the count of the group's filter and gives the others back. */
  atomic_fetch_add(&g->subscriptions, 1);
  mc_err err = tell(m, true);
  if (err != MC_OK) {
    atomic_fetch_sub(&g->subscriptions, 1);
    if (fresh)
      take_out(m);
  }
  return err;
}

/* MQTT 5.0, 3.10.4: what was given to the client is completed with it; nothing new comes. */
bool mc_share_unsubscribe(mc_session *s, mc_slice name, mc_slice filter)
{
  mc_share_member *m = find(s, name, filter);
  if (!m || m->leaving)
    return false;
  m->leaving = true;
  if (m->held.len) {
    tell(m, false);
    return true;
  }
  mc_share_post_drop(s->home, m->home, m->serial);
  take_out(m);
  return true;
}

/* ---- the session's life ---- */
void mc_share_connected(mc_session *s)
{
  for (mc_share_member *m = s->shares; m; m = m->next) {
    m->epoch++;
    m->connected = true;
    tell(m, false);
  }
}

void mc_share_sent(mc_session *s, uint64_t offset)
{
  mc_share_member *m = s->shares;
  uint64_t how;
  while (m && !(mc_map_get(&m->held, offset, &how) && how == HELD))
    m = m->next;
  if (!m)
    return;
  mc_map_put(&m->held, offset, KEPT); /* it is there: cannot fail */
  if (mc_share_post_keep(s->home, m->home, m->serial, offset) != MC_OK)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a message of a shared subscription may come twice", MC_KS("client", mc_session_id(s)));
}

/* Of what it holds only what is staged stays with it; the home hears so before it hears that the connection has gone. */
static void keep_staged(mc_session *s)
{
  const mc_outbox *o = s->outbox;
  for (uint32_t i = 0; o && o->assign_staged && i < o->inflight.len; i++)
    if ((*mc_u64_ring_at(&o->inflight, i) & MC_OUT_SHARED) && mc_outbox_is_staged(o, i))
      mc_share_sent(s, *mc_u64_ring_at(&o->inflight, i) & MC_OUT_OFFSET);
  for (mc_share_member *m = s->shares; m; m = m->next) {
    mc_map kept = {0};
    size_t at = 0;
    uint64_t offset, how;
    while (mc_map_next(&m->held, &at, &offset, &how))
      if (how == KEPT && mc_map_put(&kept, offset, KEPT) != MC_OK)
        mc_log(MC_LOG_ERROR, "gateway", "out of memory: a message of a shared subscription waits for a restart", MC_KS("client", mc_session_id(s)));
    mc_map_free(&m->held);
    m->held = kept;
  }
}

void mc_share_disconnected(mc_session *s)
{
  if (!s->shares)
    return;
  keep_staged(s);
  if (s->outbox)
    mc_outbox_drop_shared(s->outbox);
  for (mc_share_member *m = s->shares, *next; m; m = next) {
    next = m->next;
    m->connected = false;
    if (!m->leaving || m->held.len) {
      tell(m, false);
      continue;
    }
    mc_share_post_drop(s->home, m->home, m->serial);
    take_out(m);
  }
}

void mc_share_leave(mc_session *s)
{
  while (s->shares) {
    if (!s->home->gateway->destroying)
      mc_share_post_drop(s->home, s->shares->home, s->shares->serial);
    take_out(s->shares);
  }
}

void mc_share_move(mc_session *s, mc_gateway_loop *from, mc_gateway_loop *to)
{
  for (mc_share_member *m = s->shares; m; m = m->next) {
    if (from)
      mc_map_remove(&from->share.members, m->serial, NULL);
    if (to && mc_map_put(&to->share.members, m->serial, (uintptr_t)m) != MC_OK)
      mc_log(MC_LOG_ERROR, "gateway", "out of memory: a shared subscription gets nothing until its client connects again", MC_KS("client", mc_session_id(s)),
             MC_KS("filter", mc_share_filter(m)));
  }
}

/* ---- looking ---- */
const mc_share_member *mc_share_next(const mc_session *s, const mc_share_member *m)
{
  m = m ? m->next : s->shares;
  while (m && m->leaving)
    m = m->next;
  return m;
}

uint32_t mc_share_count(const mc_session *s)
{
  uint32_t n = 0;
  for (const mc_share_member *m = mc_share_next(s, NULL); m; m = mc_share_next(s, m))
    n++;
  return n;
}

mc_err mc_share_text(const mc_share_member *m, mc_buf *out)
{
  MC_TRY(mc_buf_append_str(out, MC_SHARE_PREFIX));
  MC_TRY(mc_buf_append_slice(out, mc_share_name(m)));
  MC_TRY(mc_buf_append_u8(out, '/'));
  return mc_buf_append_slice(out, mc_share_filter(m));
}

/* ---- messages ---- */
/* As a match in the tree would say it. */
static void match_of(mc_share_member *m, mc_sub_match *out)
{
  mc_sub_tree *tree = &m->session->home->subs;
  *out = (mc_sub_match){&m->session->subs, m->options & MC_SUB_QOS, m->options & MC_SUB_RETAIN_AS_PUBLISHED, UINT32_MAX};
  struct mc_sub_id id = {m->id, UINT32_MAX};
  if (m->id && mc_vec_push(&tree->id, id) == MC_OK)
    out->ids = (uint32_t)tree->id.len - 1;
}

static mc_share_member *holder_of(mc_session *s, uint64_t offset)
{
  mc_share_member *m = s->shares;
  while (m && !mc_map_get(&m->held, offset, NULL))
    m = m->next;
  return m;
}

bool mc_share_match(mc_session *s, uint64_t offset, mc_sub_match *out)
{
  mc_share_member *m = holder_of(s, offset);
  if (m) {
    mc_vec_clear(&s->home->subs.id);
    match_of(m, out);
  }
  return m != NULL;
}

bool mc_share_match_topic(mc_session *s, mc_slice topic, mc_sub_match *out)
{
  mc_share_member *m = s->shares;
  while (m && !mc_mqtt_topic_matches(mc_share_filter(m), topic))
    m = m->next;
  if (m) {
    mc_vec_clear(&s->home->subs.id);
    match_of(m, out);
  }
  return m != NULL;
}

void mc_share_own(mc_session *s, uint64_t *entry)
{
  *entry = (*entry & ~MC_OUT_SHARED) | MC_OUT_BY_GROUP;
  mc_share_acked(s, *entry & MC_OUT_OFFSET);
}

void mc_share_acked(mc_session *s, uint64_t offset)
{
  mc_share_member *m = holder_of(s, offset);
  if (!m)
    return;
  mc_map_remove(&m->held, offset, NULL);
  if (mc_share_post_done(s->home, m->home, m->serial, offset, load_of(m)) != MC_OK) /* it goes to another member when this one goes */
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a message of a shared subscription will come twice", MC_KS("client", mc_session_id(s)));
  if (m->leaving && !m->held.len) {
    mc_share_post_drop(s->home, m->home, m->serial);
    take_out(m);
  }
}

void mc_share_arrive(mc_gateway_loop *l, uint64_t serial, uint32_t epoch, uint8_t qos, mc_message *message)
{
  uint64_t value;
  if (!mc_map_get(&l->share.members, serial, &value))
    return; /* it left: the home knows, or will in a moment */
  mc_share_member *m = (mc_share_member *)(uintptr_t)value;
  if (m->epoch != epoch || !m->connected) {
    tell(m, false);
    return;
  }
  mc_sub_match match;
  match_of(m, &match);
  match.qos = qos;
  if (qos == 0 || mc_map_put(&m->held, message->offset, HELD) == MC_OK)
    mc_deliver_shared(m->session, message, &match);
}
