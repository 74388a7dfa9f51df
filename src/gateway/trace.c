#include "gateway/trace.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/state.h"

enum { UNREAD_US = 30000000, SECONDS_MAX = 3600 };

void mc_trace_init(mc_trace_set *set)
{
  pthread_mutex_init(&set->lock, NULL);
  set->next_id = 1;
}

static void end(mc_trace_set *set, mc_trace *t)
{
  free(t->filter);
  free(t->client);
  free(t->entry);
  *t = (mc_trace){0};
  atomic_fetch_sub(&set->running, 1);
}

void mc_trace_free(mc_trace_set *set)
{
  for (size_t i = 0; i < MC_TRACES_MAX; i++)
    if (set->trace[i].id)
      end(set, &set->trace[i]);
  pthread_mutex_destroy(&set->lock);
}

static void put(mc_trace *t, mc_trace_kind kind, mc_slice client_id, mc_slice topic, mc_slice payload, uint8_t qos, bool retain, const char *note, int64_t now)
{
  mc_trace_entry *e = &t->entry[t->sequence % MC_TRACE_KEPT];
  *e = (mc_trace_entry){.sequence = ++t->sequence, .time_us = now, .kind = kind, .qos = qos, .retain = retain, .size = payload.len};
  mc_slice_to_str(mc_slice_sub(client_id, 0, sizeof e->client_id - 1), e->client_id, sizeof e->client_id);
  mc_slice_to_str(mc_slice_sub(topic, 0, sizeof e->topic - 1), e->topic, sizeof e->topic);
  e->payload_len = payload.len < sizeof e->payload ? payload.len : sizeof e->payload;
  if (e->payload_len)
    memcpy(e->payload, payload.data, e->payload_len);
  snprintf(e->note, sizeof e->note, "%s", note);
}

/* "#" alone shows all, also what begins with $, which it would not match as a subscription (MQTT 5.0, 4.7.2): vehicles send most there. */
static bool covers(const char *filter, mc_slice topic)
{
  return !strcmp(filter, "#") || mc_mqtt_topic_matches(mc_slice_str(filter), topic);
}

void mc_trace_message(mc_trace_set *set, uint32_t tenant, mc_trace_kind kind, mc_slice client_id, mc_slice topic, mc_slice payload, uint8_t qos, bool retain,
                      const char *note)
{
  int64_t now = mc_clock_wall_us();
  pthread_mutex_lock(&set->lock);
  for (size_t i = 0; i < MC_TRACES_MAX; i++) {
    mc_trace *t = &set->trace[i];
    if (!t->id || t->tenant != tenant)
      continue;
    if (now > t->ends_us || now - t->asked_us > UNREAD_US) { /* nobody looks any more */
      end(set, t);
      continue;
    }
    if ((t->client[0] && !mc_slice_eq_str(client_id, t->client)) || !covers(t->filter, topic))
      continue;
    if (kind == MC_TRACE_REFUSED || t->seen++ % t->sample == 0) /* what is refused is never sampled away */
      put(t, kind, client_id, topic, payload, qos, retain, note, now);
  }
  pthread_mutex_unlock(&set->lock);
}

mc_err mc_gateway_trace_start(mc_gateway *g, uint32_t tenant, mc_slice filter, mc_slice client_id, uint32_t sample, uint32_t seconds, uint32_t *id, mc_why *why)
{
  mc_trace_set *set = &g->traces;
  if (!mc_mqtt_filter_valid(filter))
    return mc_err_set(why, MC_ERR_INVALID, "\"%.*s\" is not a topic filter", (int)(filter.len > 200 ? 200 : filter.len), (const char *)filter.data);
  if (!sample || !seconds || seconds > SECONDS_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "a trace shows one of every `sample` messages, at least 1, for 1 to %d s", SECONDS_MAX);
  mc_trace fresh = {.tenant = tenant, .sample = sample, .asked_us = mc_clock_wall_us(), .filter = strndup((const char *)filter.data, filter.len),
                    .client = strndup(client_id.len ? (const char *)client_id.data : "", client_id.len), .entry = calloc(MC_TRACE_KEPT, sizeof(mc_trace_entry))};
  fresh.ends_us = fresh.asked_us + seconds * 1000000LL;
  mc_err err = fresh.filter && fresh.client && fresh.entry ? MC_ERR_FULL : mc_err_set(why, MC_ERR_MEMORY, "out of memory for a trace");
  pthread_mutex_lock(&set->lock);
  for (size_t i = 0; err == MC_ERR_FULL && i < MC_TRACES_MAX; i++) {
    mc_trace *t = &set->trace[i];
    if (t->id && (fresh.asked_us > t->ends_us || fresh.asked_us - t->asked_us > UNREAD_US))
      end(set, t);
    if (t->id)
      continue;
    fresh.id = *id = set->next_id++;
    *t = fresh;
    atomic_fetch_add(&set->running, 1);
    err = MC_OK;
  }
  pthread_mutex_unlock(&set->lock);
  if (!err)
    return MC_OK;
  free(fresh.filter);
  free(fresh.client);
  free(fresh.entry);
  return err == MC_ERR_FULL ? mc_err_set(why, MC_ERR_AGAIN, "%d traces run already; end one, or wait 30 s: one that nobody reads ends by itself", MC_TRACES_MAX) : err;
}

static mc_trace *find(mc_trace_set *set, uint32_t tenant, uint32_t id)
{
  for (size_t i = 0; id && i < MC_TRACES_MAX; i++)
    if (set->trace[i].id == id && set->trace[i].tenant == tenant)
      return &set->trace[i];
  return NULL;
}

mc_err mc_gateway_trace_read(mc_gateway *g, uint32_t tenant, uint32_t id, uint64_t after, mc_trace_entry *out, size_t cap, size_t *count, uint64_t *missed, mc_why *why)
{
  mc_trace_set *set = &g->traces;
  *count = 0;
  *missed = 0;
  pthread_mutex_lock(&set->lock);
  mc_trace *t = find(set, tenant, id);
  if (t) {
    t->asked_us = mc_clock_wall_us();
    uint64_t oldest = t->sequence > MC_TRACE_KEPT ? t->sequence - MC_TRACE_KEPT : 0;
    if (after < oldest) {
      *missed = oldest - after;
      after = oldest;
    }
    while (after < t->sequence && *count < cap)
      out[(*count)++] = t->entry[after++ % MC_TRACE_KEPT];
  }
  pthread_mutex_unlock(&set->lock);
  return t ? MC_OK : mc_err_set(why, MC_ERR_NOT_FOUND, "trace %u is not running: it ended after its time, or because nobody read it for 30 s", id);
}

mc_err mc_gateway_trace_end(mc_gateway *g, uint32_t tenant, uint32_t id, mc_why *why)
{
  mc_trace_set *set = &g->traces;
  pthread_mutex_lock(&set->lock);
  mc_trace *t = find(set, tenant, id);
  if (t)
    end(set, t);
  pthread_mutex_unlock(&set->lock);
  return t ? MC_OK : mc_err_set(why, MC_ERR_NOT_FOUND, "trace %u is not running", id);
}
