#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAST_MOST = 8192, PAST_KEY = 4 + 256 };

static const struct {
  const char *name, *meaning;
} cause_table[MC_CAUSES] = {
    [MC_CAUSE_IDENTITY] = {"identity", "CONNECT refused: certificate or client id"},
    [MC_CAUSE_POLICY] = {"policy", "publish, subscription or will outside the client's topics"},
    [MC_CAUSE_WILL] = {"will", "CONNECT refused: the will breaks the profile"},
    [MC_CAUSE_TOPIC] = {"topic", "topic or filter that the profile does not allow"},
    [MC_CAUSE_SIZE] = {"size", "message larger than allowed"},
    [MC_CAUSE_QOS] = {"qos", "QoS 2 where the profile has none"},
    [MC_CAUSE_QUOTA] = {"quota", "as many subscriptions or retained messages as allowed"},
    [MC_CAUSE_MEMORY] = {"memory", "out of memory"},
    [MC_CAUSE_CONNECT_RATE] = {"connect_rate", "CONNECT refused: too many a second"},
    [MC_CAUSE_PUBLISH_RATE] = {"publish_rate", "publish discarded, refused or delayed: too many a second"},
    [MC_CAUSE_BYTE_RATE] = {"byte_rate", "client not read for a while, or refused: too many bytes a second"},
    [MC_CAUSE_DELIVERY_RATE] = {"delivery_rate", "QoS 0 copy not sent: too many a second"},
    [MC_CAUSE_DISK_FULL] = {"disk_full", "not stored: the disk is full"},
    [MC_CAUSE_DISK_ERROR] = {"disk_error", "not stored: the disk refused"},
    [MC_CAUSE_BEHIND_WAIT] = {"behind_wait", "client not read for a while: the disk is behind, or next to full"},
    [MC_CAUSE_BEHIND_REFUSED] = {"behind_refused", "publish refused: the disk is far behind, or next to full"},
    [MC_CAUSE_BEHIND_CLOSED] = {"behind_closed", "3.1.1 connection closed: the disk is far behind, or next to full"},
    [MC_CAUSE_GIVEN_UP] = {"given_up", "message given up for a client whose queue held back more journal than session_hold_mb"},
};

const char *mc_cause_name(mc_cause cause) { return cause_table[cause].name; }
const char *mc_cause_meaning(mc_cause cause) { return cause_table[cause].meaning; }

/* Its loop and, for what befalls a client elsewhere, others: whoever is first puts it there. */
static mc_causes *made(mc_session *s)
{
  mc_causes *c = atomic_load_explicit(&s->causes, memory_order_acquire), *mine;
  if (c || !(mine = calloc(1, sizeof *mine))) /* without memory the sum still counts it */
    return c;
  if (atomic_compare_exchange_strong(&s->causes, &c, mine))
    return mine;
  free(mine);
  return c;
}

static void add(mc_session *s, mc_cause cause, uint64_t n)
{
  mc_causes *c = made(s);
  if (c)
    atomic_fetch_add_explicit(&c->n[cause], n, memory_order_relaxed);
}

void mc_cause_note(mc_gateway_loop *l, mc_session *s, mc_cause cause, uint64_t n)
{
  mc_count_add(&l->cause[cause], n);
  if (s)
    add(s, cause, n);
}

void mc_cause_note_locked(mc_session *s, mc_cause cause) { add(s, cause, 1); }

/* ---- of clients without a session ----
 * Two generations: when the younger one is full, the older one is forgotten. */
static mc_causes *kept(mc_gateway *g, mc_slice key, bool take)
{
  uint64_t value;
  for (size_t i = 0; i < 2; i++)
    if (mc_strmap_get(&g->past_causes[i], key, &value)) {
      if (take)
        mc_strmap_remove(&g->past_causes[i], key, NULL);
      return (mc_causes *)(uintptr_t)value;
    }
  return NULL;
}

static void forget(mc_strmap *generation)
{
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(generation, &at, &key, &value))
    free((void *)(uintptr_t)value);
  mc_strmap_free(generation);
}

static bool keep(mc_gateway *g, mc_slice key, mc_causes *c)
{
  if (key.len > PAST_KEY) /* a client that makes up ids makes up long ones */
    return false;
  if (g->past_causes[0].len >= PAST_MOST / 2) {
    forget(&g->past_causes[1]);
    g->past_causes[1] = g->past_causes[0];
    g->past_causes[0] = (mc_strmap){0};
  }
  return mc_strmap_put(&g->past_causes[0], key, (uintptr_t)c) == MC_OK;
}

void mc_cause_keep(mc_session *s)
{
  mc_gateway *g = s->home->gateway;
  mc_causes *c = atomic_exchange(&s->causes, NULL);
  if (c && (g->destroying || !keep(g, mc_session_key(g, s->tenant, mc_session_id(s)), c)))
    free(c);
}

void mc_cause_resume(mc_session *s)
{
  mc_gateway *g = s->home->gateway;
  atomic_store(&s->causes, kept(g, mc_session_key(g, s->tenant, mc_session_id(s)), true));
}

void mc_cause_note_absent(mc_gateway *g, uint32_t tenant, mc_slice client_id, mc_cause cause)
{
  mc_slice key = mc_session_key(g, tenant, client_id);
  mc_causes *c = kept(g, key, false);
  if (!c && (c = calloc(1, sizeof *c)) && !keep(g, key, c)) {
    free(c);
    c = NULL;
  }
  if (c)
    atomic_fetch_add_explicit(&c->n[cause], 1, memory_order_relaxed);
}

bool mc_cause_read_absent(mc_gateway *g, uint32_t tenant, mc_slice client_id, uint64_t out[MC_CAUSES])
{
  const mc_causes *c = kept(g, mc_session_key(g, tenant, client_id), false);
  for (size_t i = 0; c && i < MC_CAUSES; i++)
    out[i] = atomic_load_explicit(&c->n[i], memory_order_relaxed);
  return c != NULL;
}

void mc_cause_note_thing(mc_gateway_loop *l, const mc_principal *who, mc_cause cause)
{
  mc_gateway *g = l->gateway;
  uint64_t value;
  mc_count_add(&l->cause[cause], 1);
  if (!who->tenant || !who->id)
    return;
  pthread_mutex_lock(&g->lock);
  if (mc_map_get(&g->by_thing, (uint64_t)who->tenant << 32 | who->id, &value))
    add((mc_session *)(uintptr_t)value, cause, 1);
  else
    mc_cause_note_absent(g, who->tenant, mc_slice_str(who->name), cause);
  pthread_mutex_unlock(&g->lock);
}

void mc_cause_free(mc_gateway *g)
{
  forget(&g->past_causes[0]);
  forget(&g->past_causes[1]);
}

uint64_t mc_cause_of(const mc_session *s, mc_cause cause)
{
  const mc_causes *c = atomic_load_explicit((_Atomic(mc_causes *) *)&s->causes, memory_order_acquire);
  return c ? atomic_load_explicit(&c->n[cause], memory_order_relaxed) : 0;
}

void mc_cause_read(const mc_session *s, uint64_t out[MC_CAUSES])
{
  for (size_t i = 0; i < MC_CAUSES; i++)
    out[i] = mc_cause_of(s, (mc_cause)i);
}

void mc_cause_show(mc_gateway *g, uint64_t shown[MC_CAUSES])
{
  for (size_t k = 0; k < MC_CAUSES; k++) {
    char label[64];
    uint64_t sum = 0;
    for (size_t i = 0; i < g->loop_count; i++)
      sum += mc_count_get(&g->loop[i].cause[k]);
    snprintf(label, sizeof label, "cause=\"%s\"", cause_table[k].name);
    mc_metric_add(mc_metric_get(MC_METRIC_COUNTER, "motorcade_mqtt_limited_total", "Refused, dropped or made to wait, by cause.", label), sum - shown[k]);
    shown[k] = sum;
  }
}
