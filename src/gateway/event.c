#include "gateway/state.h"

#include <stdlib.h>

/* What people see: the ring of connection events, the cards of clients, the sums. */

static void copy_text(char *out, size_t size, const char *text)
{
  mc_why cut; /* cuts at a character boundary */
  mc_err_set(&cut, MC_OK, "%s", text ? text : "");
  size_t n = strlen(cut.text);
  if (n >= size) {
    n = size - 1;
    while (n && ((uint8_t)cut.text[n] & 0xC0) == 0x80)
      n--;
  }
  memcpy(out, cut.text, n);
  out[n] = 0;
}

void mc_event_add(mc_gateway *g, uint32_t tenant, mc_slice client_id, const char *address, bool connected, uint8_t code, const char *text)
{
  pthread_mutex_lock(&g->lock);
  mc_connection_event *e = &g->event[g->event_at];
  *e = (mc_connection_event){.time_us = mc_clock_wall_us(), .tenant = tenant, .connected = connected, .code = code};
  mc_slice_to_str(client_id, e->client_id, sizeof e->client_id);
  copy_text(e->address, sizeof e->address, address);
  copy_text(e->text, sizeof e->text, text);
  g->event_at = (g->event_at + 1) % MC_EVENTS_KEPT;
  if (g->event_len < MC_EVENTS_KEPT)
    g->event_len++;
  pthread_mutex_unlock(&g->lock);
}

static size_t read_events(mc_gateway *g, uint32_t tenant, const mc_slice *client_id, mc_connection_event *out, size_t cap)
{
  size_t n = 0;
  pthread_mutex_lock(&g->lock);
  for (size_t i = 0; i < g->event_len && n < cap; i++) {
    const mc_connection_event *e = &g->event[(g->event_at + MC_EVENTS_KEPT - 1 - i) % MC_EVENTS_KEPT];
    if ((e->tenant == tenant || e->tenant == 0) && (!client_id || mc_slice_eq_str(*client_id, e->client_id))) /* 0: refused before a tenant was known */
      out[n++] = *e;
  }
  pthread_mutex_unlock(&g->lock);
  return n;
}

size_t mc_gateway_events(mc_gateway *g, uint32_t tenant, mc_connection_event *out, size_t cap) { return read_events(g, tenant, NULL, out, cap); }

size_t mc_gateway_client_events(mc_gateway *g, uint32_t tenant, mc_slice client_id, mc_connection_event *out, size_t cap)
{
  return read_events(g, tenant, &client_id, out, cap);
}

static void fill(const mc_session *s, mc_client_info *out) /* under lock */
{
  *out = (mc_client_info){.tenant = s->tenant,
                          .thing_id = s->thing,
                          .connected = s->connected,
                          .clean = s->clean,
                          .version = s->version,
                          .keep_alive_s = s->keep_alive_s,
                          .subscriptions = (uint32_t)mc_count_get(&s->subscriptions),
                          .queued = (uint32_t)mc_count_get(&s->queued),
                          .queue_bytes = (uint32_t)mc_count_get(&s->queue_bytes),
                          .inflight = (uint32_t)mc_count_get(&s->inflight),
                          .received = mc_count_get(&s->received),
                          .delivered = mc_count_get(&s->delivered),
                          .refused = mc_count_get(&s->refused),
                          .connected_us = s->connected_us,
                          .disconnected_us = s->disconnected_us,
                          .last_packet_us = (int64_t)mc_count_get(&s->last_packet_us)};
  mc_cause_read(s, out->limited);
  out->profile = s->profile;
  mc_slice_to_str(mc_session_id(s), out->client_id, sizeof out->client_id);
  copy_text(out->thing, sizeof out->thing, s->thing_name ? s->thing_name : s->thing ? s->id : "");
  copy_text(out->address, sizeof out->address, s->address);
  copy_text(out->last_error, sizeof out->last_error, s->last_error);
}

static int by_id(const void *a, const void *b)
{
  return mc_slice_compare(mc_session_id(*(mc_session *const *)a), mc_session_id(*(mc_session *const *)b));
}

mc_err mc_gateway_clients(mc_gateway *g, uint32_t tenant, mc_slice after, size_t limit, mc_arena *arena, mc_client_info **out, size_t *count, mc_why *why)
{
  MC_VEC(mc_session *) found = {0};
  mc_err err = MC_OK;
  *out = NULL;
  *count = 0;
  pthread_mutex_lock(&g->lock);
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (err == MC_OK && mc_strmap_next(&g->directory, &at, &key, &value)) {
    mc_session *s = (mc_session *)(uintptr_t)value;
    if (s->tenant == tenant && mc_slice_compare(mc_session_id(s), after) > 0)
      err = mc_vec_push(&found, s);
  }
  if (err == MC_OK && found.len) {
    qsort(found.at, found.len, sizeof found.at[0], by_id);
    *count = found.len < limit ? found.len : limit;
    *out = mc_arena_array(arena, *count, sizeof **out);
    if (!*out)
      err = MC_ERR_MEMORY;
    for (size_t i = 0; err == MC_OK && i < *count; i++)
      fill(found.at[i], &(*out)[i]);
  }
  pthread_mutex_unlock(&g->lock);
  mc_vec_free(&found);
  if (err != MC_OK) {
    *count = 0;
    return mc_err_set(why, err, "client list: out of memory for %zu clients; ask for fewer at a time", limit);
  }
  return MC_OK;
}

bool mc_gateway_client(mc_gateway *g, uint32_t tenant, mc_slice client_id, mc_client_info *out)
{
  pthread_mutex_lock(&g->lock);
  const mc_session *s = mc_session_find(g, tenant, client_id);
  uint64_t limited[MC_CAUSES];
  bool absent = !s && mc_cause_read_absent(g, tenant, client_id, limited);
  if (s)
    fill(s, out);
  pthread_mutex_unlock(&g->lock);
  if (absent) {
    *out = (mc_client_info){.tenant = tenant, .version = MC_MQTT_5};
    memcpy(out->limited, limited, sizeof limited);
    mc_slice_to_str(client_id, out->client_id, sizeof out->client_id);
    copy_text(out->last_error, sizeof out->last_error, "has no session; what was refused it is counted");
  }
  return s || absent;
}

bool mc_gateway_client_of_thing(mc_gateway *g, uint32_t tenant, uint32_t thing, mc_client_info *out)
{
  uint64_t value;
  pthread_mutex_lock(&g->lock);
  bool found = thing && mc_map_get(&g->by_thing, (uint64_t)tenant << 32 | thing, &value);
  if (found)
    fill((const mc_session *)(uintptr_t)value, out);
  pthread_mutex_unlock(&g->lock);
  return found;
}

void mc_gateway_stats_get(mc_gateway *g, mc_gateway_stats *out)
{
  *out = (mc_gateway_stats){.subscriptions = atomic_load(&g->subscriptions), .retained = mc_retained_count(&g->retained)};
  pthread_mutex_lock(&g->lock);
  out->sessions = g->directory.len;
  pthread_mutex_unlock(&g->lock);
  for (size_t i = 0; i < g->loop_count; i++) {
    const mc_gateway_loop *l = &g->loop[i];
    out->connections += mc_count_get(&l->count.connections);
    out->received += mc_count_get(&l->count.received);
    out->delivered += mc_count_get(&l->count.delivered);
    out->acknowledged += mc_count_get(&l->count.acknowledged);
    out->refused += mc_count_get(&l->count.refused);
    out->bytes_in += mc_count_get(&l->count.bytes_in);
    out->bytes_out += mc_count_get(&l->count.bytes_out);
    out->shared_waiting += mc_count_get(&l->count.share_waiting);
    out->shared_bytes += mc_count_get(&l->count.share_bytes);
  }
}
