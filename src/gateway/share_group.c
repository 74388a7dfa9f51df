#include "gateway/share_group.h"

#include <stdlib.h>

/* Groups on their home loop: seats, and whose turn it is. */

/* ---- finding ---- */
mc_slice mc_share_key(mc_gateway_loop *l, uint32_t tenant, mc_slice name, mc_slice filter)
{
  uint8_t head[4];
  mc_store_be32(head, tenant);
  mc_buf_clear(&l->scratch);
  mc_buf_append(&l->scratch, head, sizeof head);
  mc_buf_append_slice(&l->scratch, name);
  mc_buf_append_u8(&l->scratch, '/'); /* a name has none */
  mc_buf_append_slice(&l->scratch, filter);
  return mc_buf_slice(&l->scratch);
}

mc_share_group *mc_share_group_find(mc_gateway_loop *l, uint32_t tenant, mc_slice name, mc_slice filter)
{
  uint64_t value;
  return mc_strmap_get(&l->share.groups, mc_share_key(l, tenant, name, filter), &value) ? (mc_share_group *)(uintptr_t)value : NULL;
}

static mc_share_group *group_make(mc_gateway_loop *l, const mc_share_seat *s)
{
  mc_share_group *g = calloc(1, sizeof *g + s->name.len + s->filter.len);
  if (!g)
    return NULL;
  g->subs.group = true;
  g->home = l;
  g->tenant = s->tenant;
  g->since = UINT64_MAX;
  mc_outbox_init(&g->line);
  g->name_len = (uint16_t)s->name.len;
  g->filter_len = (uint16_t)s->filter.len;
  memcpy(g->text, s->name.data, s->name.len);
  memcpy(g->text + s->name.len, s->filter.data, s->filter.len);
  if (mc_strmap_put(&l->share.groups, mc_share_key(l, s->tenant, s->name, s->filter), (uintptr_t)g) == MC_OK)
    return g;
  free(g);
  return NULL;
}

static void group_free(mc_share_group *g)
{
  mc_gateway_loop *l = g->home;
  for (mc_share_group **at = &l->share.pump; g->in_pump && *at; at = &(*at)->next_pump)
    if (*at == g) {
      *at = g->next_pump;
      break;
    }
  for (mc_share_group **at = &l->share.acked; g->in_acked && *at; at = &(*at)->next_acked)
    if (*at == g) {
      *at = g->next_acked;
      break;
    }
  for (size_t i = 0; i < g->seats.len; i++)
    mc_map_remove(&l->share.seats, g->seats.at[i].serial, NULL);
  mc_sub_tree_remove_all(&l->subs, &g->subs);
  mc_share_queue_clear(g);
  mc_vec_free(&g->seats);
  mc_vec_free(&g->acked);
  g->dying = g->staged > 0;
  if (!g->dying)
    free(g);
}

void mc_share_unpin(mc_share_group *g)
{
  if (!--g->staged && g->dying)
    free(g);
}

/* ---- seats ---- */
mc_share_place *mc_share_place_of(mc_share_group *g, uint64_t serial)
{
  for (size_t i = 0; i < g->seats.len; i++)
    if (g->seats.at[i].serial == serial)
      return &g->seats.at[i];
  return NULL;
}

static mc_share_group *group_of(mc_gateway_loop *l, uint64_t serial)
{
  uint64_t value;
  return mc_map_get(&l->share.seats, serial, &value) ? (mc_share_group *)(uintptr_t)value : NULL;
}

/* The filter stands in the tree while somebody is subscribed. counted: mc_gateway.subscriptions was raised for it already. */
static void refresh(mc_share_group *g, bool counted)
{
  mc_gateway_loop *l = g->home;
  size_t subscribed = 0;
  g->persistent = false;
  for (size_t i = 0; i < g->seats.len; i++) {
    subscribed += !g->seats.at[i].leaving;
    g->persistent |= g->seats.at[i].persistent && !g->seats.at[i].leaving;
  }
  bool existed;
  if (subscribed && !g->subs.count) {
    if (mc_sub_tree_add(&l->subs, g->tenant, mc_share_group_filter(g), &g->subs, 2, 0, &existed) != MC_OK)
      mc_log(MC_LOG_ERROR, "gateway", "out of memory: a shared subscription gets nothing", MC_KS("group", mc_share_group_name(g)));
    else if (!l->gateway->recovering)
      g->since = mc_journal_end_offset(l->gateway->journal);
    if (!counted)
      atomic_fetch_add(&l->gateway->subscriptions, g->subs.count);
    else if (!g->subs.count)
      atomic_fetch_sub(&l->gateway->subscriptions, 1);
  } else if (counted) {
    atomic_fetch_sub(&l->gateway->subscriptions, 1);
  }
  if (!subscribed && g->subs.count) {
    atomic_fetch_sub(&l->gateway->subscriptions, g->subs.count);
    mc_sub_tree_remove_all(&l->subs, &g->subs);
    mc_share_queue_clear(g);
  }
  if (g->seats.len) {
    mc_share_want_pump(g);
    return;
  }
  mc_strmap_remove(&l->share.groups, mc_share_key(l, g->tenant, mc_share_group_name(g), mc_share_group_filter(g)), NULL);
  group_free(g);
}

static mc_share_place *place_make(mc_share_group *g, uint64_t serial)
{
  mc_share_place fresh = {.serial = serial};
  if (mc_vec_push(&g->seats, fresh) != MC_OK)
    return NULL;
  if (mc_map_put(&g->home->share.seats, serial, (uintptr_t)g) == MC_OK)
    return &g->seats.at[g->seats.len - 1];
  g->seats.len--;
  return NULL;
}

void mc_share_seat_set(mc_gateway_loop *l, const mc_share_seat *s)
{
  mc_share_group *g = mc_share_group_find(l, s->tenant, s->name, s->filter);
  if (!g)
    g = group_make(l, s);
  mc_share_place *p = g ? mc_share_place_of(g, s->serial) : NULL;
  if (g && !p)
    p = place_make(g, s->serial);
  if (!p) {
    if (s->counted)
      atomic_fetch_sub(&l->gateway->subscriptions, 1);
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a shared subscription gets nothing", MC_KS("group", s->name), MC_KS("filter", s->filter));
    if (g && !g->seats.len)
      refresh(g, false);
    return;
  }
  if (!s->connected || p->epoch != s->epoch)
    mc_share_take_back(g, p, false);
  p->epoch = s->epoch;
  p->load = s->load;
  p->loop = s->loop;
  p->window = s->window;
  p->qos = s->qos;
  p->connected = s->connected;
  p->leaving = s->leaving;
  p->persistent = s->persistent;
  refresh(g, s->counted);
}

void mc_share_seat_drop(mc_gateway_loop *l, uint64_t serial)
{
  mc_share_group *g = group_of(l, serial);
  mc_share_place *p = g ? mc_share_place_of(g, serial) : NULL;
  if (!p)
    return;
  mc_share_take_back(g, p, true);
  mc_map_remove(&l->share.seats, serial, NULL);
  size_t i = (size_t)(p - g->seats.at);
  g->seats.len--; /* the order is the turn's */
  memmove(p, p + 1, (g->seats.len - i) * sizeof *p);
  if (g->turn > i)
    g->turn--;
  refresh(g, false);
}

void mc_share_seat_done(mc_gateway_loop *l, uint64_t serial, uint64_t offset, uint32_t load)
{
  mc_share_group *g = group_of(l, serial);
  mc_share_place *p = g ? mc_share_place_of(g, serial) : NULL;
  uint64_t holder;
  if (!p || !mc_map_get(&g->held, offset, &holder) || (holder & MC_SHARE_SERIAL) != serial)
    return;
  mc_map_remove(&g->held, offset, NULL);
  p->outstanding--;
  p->load = load;
  if (!(holder & MC_SHARE_BEGUN)) /* that is on disk already */
    mc_share_done(g, offset);
  if (mc_outbox_waits(&g->line) || mc_outbox_scanning(&g->line))
    mc_share_want_pump(g);
}

void mc_share_seat_keep(mc_gateway_loop *l, uint64_t serial, uint64_t offset)
{
  mc_share_group *g = group_of(l, serial);
  mc_share_place *p = g ? mc_share_place_of(g, serial) : NULL;
  uint64_t holder;
  if (!p || !mc_map_get(&g->held, offset, &holder) || (holder & MC_SHARE_SERIAL) != serial)
    return;
  holder |= MC_SHARE_KEPT;
  if (!p->persistent && !(holder & MC_SHARE_BEGUN)) { /* the group had no kept member when it was given */
    mc_share_done(g, offset);
    holder |= MC_SHARE_BEGUN;
  }
  mc_map_put(&g->held, offset, holder); /* it is there: cannot fail */
}

/* ---- whose turn it is ---- */
static bool can_take(const mc_share_place *p, uint8_t qos)
{
  return p->connected && !p->leaving && (qos == 0 || p->qos == 0 || p->outstanding < p->window);
}

bool mc_share_has_room(const mc_share_group *g)
{
  for (size_t i = 0; i < g->seats.len; i++)
    if (can_take(&g->seats.at[i], 2))
      return true;
  return false;
}

/* fair: the next one that can take it. least loaded: the one with the least given and owed; of equals, the next one. NULL: nobody can. */
mc_share_place *mc_share_choose(mc_share_group *g, uint8_t qos)
{
  bool fair = g->home->gateway->limit.share_choice == MC_SHARE_FAIR;
  size_t n = g->seats.len, best = n;
  uint64_t least = UINT64_MAX;
  for (size_t k = 0; k < n; k++) {
    size_t i = (g->turn + k) % n;
    const mc_share_place *p = &g->seats.at[i];
    uint64_t load = fair ? 0 : (uint64_t)p->outstanding + p->load;
    if (!can_take(p, qos) || load >= least)
      continue;
    best = i;
    least = load;
    if (load == 0)
      break;
  }
  if (best == n)
    return NULL;
  g->turn = (uint32_t)((best + 1) % n);
  return &g->seats.at[best];
}

bool mc_share_give(mc_share_group *g, mc_share_place *p, mc_message *m)
{
  uint8_t qos = m->qos < p->qos ? m->qos : p->qos;
  if (qos == 0) {
    if (mc_share_post_give(g->home, p->loop, p->serial, p->epoch, 0, m) != MC_OK)
      return false;
    if (m->qos)
      mc_share_done(g, m->offset);
    return true;
  }
  if (qos == 2 && g->persistent && !p->persistent)
    return mc_share_begin(g, p, m->offset);
  if (mc_map_put(&g->held, m->offset, p->serial) != MC_OK)
    return false;
  p->outstanding++;
  if (mc_share_post_give(g->home, p->loop, p->serial, p->epoch, qos, m) == MC_OK)
    return true;
  p->outstanding--;
  mc_map_remove(&g->held, m->offset, NULL);
  return false;
}

void mc_share_take(mc_sub_owner *owner, mc_message *m)
{
  mc_share_group *g = (mc_share_group *)owner;
  mc_share_place *p;
  if (m->qos == 0) { /* 4.8.2: to one of those that are there, or to nobody */
    p = mc_share_choose(g, 0);
    if (!p || !mc_share_give(g, p, m))
      mc_count_add(&g->home->count.dropped_q0, 1);
    return;
  }
  if (mc_outbox_scanned(&g->line, m->offset))
    return;
  if (m->offset < g->since) /* in the journal before this loop heard of the group, handed over after: the group's all the same */
    g->since = m->offset;
  bool waits = mc_outbox_waits(&g->line) || mc_outbox_scanning(&g->line) || !(p = mc_share_choose(g, m->qos)) || !mc_share_give(g, p, m);
  if (waits)
    mc_share_wait(g, m->offset);
}

/* ---- what waits ---- at the end of a turn, never inside a match */
void mc_share_want_pump(mc_share_group *g)
{
  mc_gateway_loop *l = g->home;
  if (g->in_pump || l->gateway->recovering)
    return;
  g->in_pump = true;
  g->next_pump = l->share.pump;
  l->share.pump = g;
  mc_loop_wake(l);
}

void mc_share_retry(mc_gateway_loop *l)
{
  size_t at = 0;
  uint64_t value;
  mc_slice key;
  while (mc_strmap_next(&l->share.groups, &at, &key, &value))
    if (((mc_share_group *)(uintptr_t)value)->begin_at_us)
      mc_share_want_pump((mc_share_group *)(uintptr_t)value);
}

void mc_share_pump(mc_gateway_loop *l)
{
  mc_share_group *g = l->share.pump;
  l->share.pump = NULL;
  while (g) {
    mc_share_group *next = g->next_pump;
    g->in_pump = false;
    bool more = true;
    for (size_t n = 0; more && n < MC_PUMP_BATCH; n++)
      more = mc_share_queue_step(g);
    if (more)
      mc_share_want_pump(g);
    g = next;
  }
}

void mc_share_groups_free(mc_gateway_loop *l)
{
  size_t at = 0;
  uint64_t value;
  mc_slice key;
  l->share.pump = l->share.acked = NULL;
  while (mc_strmap_next(&l->share.groups, &at, &key, &value)) {
    mc_share_group *g = (mc_share_group *)(uintptr_t)value;
    g->in_pump = g->in_acked = false;
    group_free(g);
  }
  mc_strmap_free(&l->share.groups);
  mc_map_free(&l->share.seats);
}
