#include "gateway/state.h"

#include <stdlib.h>

enum { SLOTS = 8192 };

/* Whose bucket it is stands in the key; 0: nobody's. */
typedef struct slot {
  uint64_t key;
  mc_rate first, second;
} slot;

/* ---- tables ---- under mc_gateway.lock */
static slot *slot_of(slot **table, uint64_t key)
{
  if (!*table)
    *table = calloc(SLOTS, sizeof **table);
  if (!*table)
    return NULL;
  slot *s = &(*table)[(key >> 8) % SLOTS];
  if (s->key != key)
    *s = (slot){.key = key};
  return s;
}

static uint64_t key_of(uint32_t tenant, mc_slice name) { return (mc_slice_hash(name) ^ (uint64_t)tenant * 0x9E3779B97F4A7C15ULL) | 1; }

static mc_tenant_rate *tenant_rate(mc_gateway *g, uint32_t tenant)
{
  const mc_gateway_limits *limit = &g->limit;
  uint64_t value = 0;
  if (!limit->tenant_publishes_per_s && !limit->tenant_bytes_per_s && !limit->tenant_connects_per_s)
    return NULL;
  pthread_mutex_lock(&g->lock);
  if (!mc_map_get(&g->tenant_rates, tenant, &value)) {
    mc_tenant_rate *made = calloc(1, sizeof *made);
    if (made && mc_map_put(&g->tenant_rates, tenant, (uintptr_t)made) == MC_OK)
      value = (uintptr_t)made;
    else
      free(made);
  }
  pthread_mutex_unlock(&g->lock);
  return (mc_tenant_rate *)(uintptr_t)value;
}

void mc_pace_free(mc_gateway *g)
{
  size_t at = 0;
  uint64_t key, value;
  while (mc_map_next(&g->tenant_rates, &at, &key, &value))
    free((void *)(uintptr_t)value);
  mc_map_free(&g->tenant_rates);
  free(g->connect_rates);
  free(g->call_rates);
}

/* ---- CONNECT ---- */
int64_t mc_pace_connect(mc_link *link, uint32_t tenant, mc_slice client_id)
{
  mc_gateway *g = link->home->gateway;
  int64_t now = mc_loop_now_us(link->home->loop), wait = 0;
  if (link->profile->connects_per_s && client_id.len) {
    pthread_mutex_lock(&g->lock);
    slot *s = slot_of(&g->connect_rates, key_of(tenant, client_id));
    wait = s ? mc_rate_take(&s->first, link->profile->connects_per_s, 1, now) : 0;
    pthread_mutex_unlock(&g->lock);
  }
  if (!wait && g->limit.tenant_connects_per_s) {
    mc_tenant_rate *t = tenant_rate(g, tenant);
    wait = t ? mc_rate_take_shared(&t->connects, g->limit.tenant_connects_per_s, 1, now) : 0;
  }
  return wait;
}

/* ---- one connection ---- */
static void on_hold_over(mc_timer *timer)
{
  mc_link *link = ((mc_pace *)((char *)timer - offsetof(mc_pace, hold)))->link;
  link->home->wall_us = mc_clock_wall_us();
  link->held = false;
  link->last_in_us = mc_loop_now_us(link->home->loop); /* its silence was ours */
  if (mc_link_open(link) && !link->blocked && !link->deaf && !link->claim)
    mc_conn_pause(link->conn, false);
}

static void on_pump(mc_timer *timer)
{
  mc_link *link = ((mc_pace *)((char *)timer - offsetof(mc_pace, pump)))->link;
  link->home->wall_us = mc_clock_wall_us();
  if (link->session)
    mc_deliver_want_pump(link->session);
}

bool mc_pace_begin(mc_link *link, uint32_t tenant)
{
  const mc_profile *p = link->profile;
  mc_tenant_rate *t = tenant_rate(link->home->gateway, tenant);
  if (!t && !p->publishes_per_s && !p->bytes_per_s && !p->deliveries_per_s && !p->replay_per_s)
    return true;
  link->pace = calloc(1, sizeof *link->pace);
  if (!link->pace)
    return false;
  link->pace->hold.fire = on_hold_over;
  link->pace->pump.fire = on_pump;
  link->pace->link = link;
  link->pace->tenant = t;
  return true;
}

void mc_pace_end(mc_link *link)
{
  if (!link->pace)
    return;
  mc_loop_timer_clear(link->home->loop, &link->pace->hold);
  mc_loop_timer_clear(link->home->loop, &link->pace->pump);
  link->held = false;
  free(link->pace);
  link->pace = NULL;
}

void mc_pace_hold(mc_link *link, int64_t us)
{
  if (!mc_link_open(link))
    return;
  link->held = true;
  mc_conn_pause(link->conn, true);
  mc_loop_timer_set(link->home->loop, &link->pace->hold, mc_loop_now_us(link->home->loop) + us);
}

static int64_t later_of(int64_t a, int64_t b) { return a > b ? a : b; }

mc_pace_verdict mc_pace_publish(mc_link *link)
{
  mc_pace *pace = link->pace;
  mc_gateway_loop *l = link->home;
  const mc_profile *p = link->profile;
  const mc_gateway_limits *limit = &l->gateway->limit;
  int64_t now = mc_loop_now_us(l->loop);
  int64_t wait = p->publishes_per_s ? mc_rate_take(&pace->publishes, p->publishes_per_s, 1, now) : 0;
  if (!wait && pace->tenant && limit->tenant_publishes_per_s) {
    wait = mc_rate_take_shared(&pace->tenant->publishes, limit->tenant_publishes_per_s, 1, now);
    if (wait && p->publishes_per_s)
      mc_rate_refund(&pace->publishes, p->publishes_per_s, 1);
    if (wait) {
      mc_cause_note(l, link->session, MC_CAUSE_PUBLISH_RATE, 1);
      mc_pace_hold(link, wait); /* the tenant's: never discarded */
      return MC_PACE_LATER;
    }
  }
  if (!wait)
    return MC_PACE_GO;
  mc_cause_note(l, link->session, MC_CAUSE_PUBLISH_RATE, 1);
  if (p->excess_discard)
    return MC_PACE_DISCARD;
  mc_pace_hold(link, wait);
  return MC_PACE_LATER;
}

void mc_pace_publish_back(mc_link *link)
{
  if (link->profile->publishes_per_s)
    mc_rate_refund(&link->pace->publishes, link->profile->publishes_per_s, 1);
}

void mc_pace_bytes(mc_link *link, size_t bytes)
{
  mc_pace *pace = link->pace;
  mc_gateway_loop *l = link->home;
  uint32_t own = link->profile->bytes_per_s, tenant = pace->tenant ? l->gateway->limit.tenant_bytes_per_s : 0;
  int64_t now = mc_loop_now_us(l->loop);
  int64_t wait = own ? mc_rate_charge(&pace->bytes, own, bytes, now) : 0;
  if (tenant) { /* in debt together: whoever sends next waits */
    int64_t more = mc_rate_take_shared(&pace->tenant->bytes, tenant, bytes, now);
    if (more)
      atomic_fetch_add_explicit(&pace->tenant->bytes, (int64_t)(bytes * UINT64_C(1000000000) / tenant), memory_order_relaxed);
    wait = later_of(wait, more);
  }
  if (!wait || link->held)
    return;
  mc_cause_note(l, link->session, MC_CAUSE_BYTE_RATE, 1);
  mc_pace_hold(link, wait);
}

/* ---- to the client ---- */
static bool wake_pump(mc_link *link, int64_t wait)
{
  mc_loop *loop = link->home->loop;
  if (wait)
    mc_loop_timer_set(loop, &link->pace->pump, mc_loop_now_us(loop) + wait);
  return !wait;
}

bool mc_pace_may_send(mc_link *link)
{
  mc_rate peek = link->pace->deliveries;
  uint32_t per_s = link->profile->deliveries_per_s;
  return !per_s || wake_pump(link, mc_rate_take(&peek, per_s, 1, mc_loop_now_us(link->home->loop)));
}

void mc_pace_sent(mc_link *link)
{
  if (link->profile->deliveries_per_s)
    mc_rate_charge(&link->pace->deliveries, link->profile->deliveries_per_s, 1, mc_loop_now_us(link->home->loop));
}

bool mc_pace_may_replay(mc_link *link)
{
  uint32_t per_s = link->profile->replay_per_s;
  return !per_s || wake_pump(link, mc_rate_take(&link->pace->replay, per_s, 1, mc_loop_now_us(link->home->loop)));
}

/* ---- without a session ---- */
int64_t mc_pace_call(mc_gateway_loop *l, const mc_principal *who, const mc_profile *p, size_t bytes)
{
  mc_gateway *g = l->gateway;
  int64_t now = mc_loop_now_us(l->loop), wait = 0;
  mc_cause cause = MC_CAUSE_PUBLISH_RATE;
  if (p->publishes_per_s || p->bytes_per_s) {
    pthread_mutex_lock(&g->lock);
    slot *s = slot_of(&g->call_rates, (uint64_t)who->tenant << 40 | (uint64_t)who->id << 8 | 1);
    if (s && p->publishes_per_s)
      wait = mc_rate_take(&s->first, p->publishes_per_s, 1, now);
    if (s && !wait && p->bytes_per_s) {
      wait = mc_rate_take(&s->second, p->bytes_per_s, bytes, now);
      if (wait && p->publishes_per_s)
        mc_rate_refund(&s->first, p->publishes_per_s, 1);
      cause = wait ? MC_CAUSE_BYTE_RATE : cause;
    }
    pthread_mutex_unlock(&g->lock);
  }
  mc_tenant_rate *t = wait ? NULL : tenant_rate(g, who->tenant);
  if (t && g->limit.tenant_publishes_per_s)
    wait = mc_rate_take_shared(&t->publishes, g->limit.tenant_publishes_per_s, 1, now);
  if (t && !wait && g->limit.tenant_bytes_per_s) {
    wait = mc_rate_take_shared(&t->bytes, g->limit.tenant_bytes_per_s, bytes, now);
    cause = wait ? MC_CAUSE_BYTE_RATE : cause;
  }
  if (wait)
    mc_cause_note_thing(l, who, cause);
  return wait;
}
