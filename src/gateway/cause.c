#include "gateway/state.h"

#include <stdio.h>
#include <stdlib.h>

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
    [MC_CAUSE_BEHIND_WAIT] = {"behind_wait", "client not read for a while: the disk is behind"},
    [MC_CAUSE_BEHIND_REFUSED] = {"behind_refused", "publish refused: the disk is far behind"},
    [MC_CAUSE_BEHIND_CLOSED] = {"behind_closed", "3.1.1 connection closed: the disk is far behind"},
    [MC_CAUSE_GIVEN_UP] = {"given_up", "message given up for a client whose queue held back more journal than session_hold_mb"},
};

const char *mc_cause_name(mc_cause cause) { return cause_table[cause].name; }
const char *mc_cause_meaning(mc_cause cause) { return cause_table[cause].meaning; }

static void add(mc_causes *c, mc_cause cause, uint64_t n)
{
  if (c)
    atomic_fetch_add_explicit(&c->n[cause], n, memory_order_relaxed);
}

void mc_cause_note(mc_gateway_loop *l, mc_session *s, mc_cause cause, uint64_t n)
{
  mc_count_add(&l->cause[cause], n);
  if (!s)
    return;
  if (!s->causes) {
    mc_causes *made = calloc(1, sizeof *made); /* without memory the sum still counts it */
    pthread_mutex_lock(&l->gateway->lock);
    if (!s->causes)
      s->causes = made;
    else
      free(made);
    pthread_mutex_unlock(&l->gateway->lock);
  }
  add(s->causes, cause, n);
}

void mc_cause_note_locked(mc_session *s, mc_cause cause)
{
  if (!s->causes)
    s->causes = calloc(1, sizeof *s->causes);
  add(s->causes, cause, 1);
}

void mc_cause_read(const mc_session *s, uint64_t out[MC_CAUSES])
{
  for (size_t i = 0; s->causes && i < MC_CAUSES; i++)
    out[i] = atomic_load_explicit(&s->causes->n[i], memory_order_relaxed);
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
