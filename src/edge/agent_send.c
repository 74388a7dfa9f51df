/* What goes up: published at once when the way is free and nothing asks for persistence; else through the spool, synced, and published from there. */
#include <stdlib.h>

#include "base/log.h"
#include "edge/agent_inside.h"

enum { RETRY_REFUSED_US = 2000000, MAX_TOLD = 4096 };

static void drop_flying(mc_agent *a, uint64_t token)
{
  uint64_t v;
  if (!mc_map_remove(&a->flying, token, &v))
    return;
  flying *f = (flying *)(uintptr_t)v;
  if (token & MC_EDGE_TOKEN_DIRECT)
    a->direct--;
  mc_buf_free(&f->payload);
  free(f);
}

static flying *flying_add(mc_agent *a, uint64_t token, const message *m)
{
  flying *f = calloc(1, sizeof *f);
  if (!f || mc_map_put(&a->flying, token, (uint64_t)(uintptr_t)f)) {
    free(f);
    return NULL;
  }
  f->m = *m;
  f->m.payload = (mc_slice){0};
  if (token & MC_EDGE_TOKEN_DIRECT)
    a->direct++;
  return f;
}

void mc_edge_agent_soon(mc_agent *a, int64_t delay_us)
{
  int64_t due = mc_loop_now_us(a->loop) + delay_us;
  if (!a->soon.armed || a->soon.due_us > due)
    mc_loop_timer_set(a->loop, &a->soon, due);
}

/* ---- sending ---- */
static void told_published(mc_agent *a, uint64_t token, const flying *f)
{
  a->stats.published++;
  if (f && a->config.published)
    a->config.published(a->config.ctx, a, f->m.event_id, f->m.event_time_us, f->m.samples, token);
}

static void into_spool(mc_agent *a, const message *m)
{
  mc_why why = {0};
  uint64_t id;
  uint64_t dropped = mc_spool_dropped(a->spool);
  mc_err err = mc_spool_push(a->spool, m->priority, m->topic, m->payload, &id, &why);
  if (err) {
    a->stats.dropped++;
    if (!a->told_full)
      mc_log(MC_LOG_ERROR, "edge", "an event cannot be stored and is lost", MC_KZ("agent", a->name), MC_KZ("why", why.text));
    a->told_full = true;
    return;
  }
  a->told_full = false;
  a->stats.spooled++;
  if (mc_spool_dropped(a->spool) != dropped)
    mc_log(MC_LOG_WARN, "edge", "the store is full: the oldest events were dropped", MC_KZ("agent", a->name),
           MC_KU("dropped", mc_spool_dropped(a->spool) - dropped));
  if (a->flying.len < MAX_TOLD)
    flying_add(a, id, m);
  a->sync_wanted = true;
  mc_edge_agent_soon(a, MC_EDGE_SOON_US);
}

bool mc_edge_agent_online(const mc_agent *a) { return a->client && mc_mqtt_client_is_connected(a->client) && a->subscribed; }

void mc_edge_agent_send(mc_agent *a, const message *m)
{
  a->stats.events++;
  a->stats.samples += m->samples;
  if (!m->persist && mc_edge_agent_online(a) && !mc_spool_count(a->spool) && a->direct < MC_EDGE_MAX_DIRECT) {
    uint64_t token = MC_EDGE_TOKEN_DIRECT | ++a->next_direct;
    flying *f = flying_add(a, token, m);
    if (f && mc_buf_append_slice(&f->payload, m->payload) == MC_OK && mc_mqtt_client_publish(a->client, m->topic, m->payload, 1, false, token) == MC_OK) {
      told_published(a, token, f);
      return;
    }
    drop_flying(a, token);
  }
  into_spool(a, m);
}

void mc_edge_agent_collected(void *ctx, const mc_collected *e)
{
  mc_agent *a = ctx;
  message m = {.topic = a->topic_signals, .payload = e->payload, .persist = e->persist, .priority = e->priority, .event_id = e->event_id, .samples = e->samples,
               .event_time_us = e->event_time_us};
  mc_edge_agent_send(a, &m);
}

/* Sends from the spool while the window is open. */
void mc_edge_agent_pump(mc_agent *a)
{
  if (a->hold_until_us > mc_loop_now_us(a->loop)) {
    mc_edge_agent_soon(a, a->hold_until_us - mc_loop_now_us(a->loop));
    return;
  }
  while (mc_edge_agent_online(a) && mc_mqtt_client_inflight(a->client) < MC_EDGE_MAX_DIRECT) {
    uint64_t id;
    mc_why why;
    mc_err err = mc_spool_peek(a->spool, &id, &a->topic, &a->payload, &why);
    if (err)
      break;
    err = mc_mqtt_client_publish(a->client, mc_buf_slice(&a->topic), mc_buf_slice(&a->payload), 1, false, id);
    if (err == MC_ERR_TOO_LARGE || err == MC_ERR_INVALID) { /* it will never go */
      a->stats.refused++;
      mc_spool_done(a->spool, id);
      drop_flying(a, id);
      continue;
    }
    if (err) {
      mc_spool_putback(a->spool, id); /* the next acknowledgement, or connection, goes on */
      break;
    }
    uint64_t v = 0;
    told_published(a, id, mc_map_get(&a->flying, id, &v) ? (flying *)(uintptr_t)v : NULL);
  }
  if (a->payload.cap > 64 * 1024)
    mc_buf_free(&a->payload);
}

/* The server cannot take it now, but may later. */
static bool temporary(uint8_t code)
{
  return code == MC_MQTT_QUOTA || code == MC_MQTT_UNSPECIFIED || code == MC_MQTT_UNAVAILABLE || code == MC_MQTT_BUSY || code == MC_MQTT_RATE_TOO_HIGH;
}

void mc_edge_agent_acked(void *ctx, uint64_t token, mc_err err, uint8_t code)
{
  mc_agent *a = ctx;
  if (token == MC_EDGE_TOKEN_CHECKIN)
    return;
  uint64_t v = 0;
  flying *f = mc_map_get(&a->flying, token, &v) ? (flying *)(uintptr_t)v : NULL;
  bool again = err == MC_ERR_CLOSED || (err && temporary(code));
  if (err == MC_OK) {
    a->stats.acked++;
    if (a->config.acked)
      a->config.acked(a->config.ctx, a, token);
  } else if (!again) {
    a->stats.refused++;
    mc_log(MC_LOG_WARN, "edge", "the server refused an event", MC_KZ("agent", a->name), MC_KZ("reason", mc_mqtt_reason_name(code)));
  }
  if (again && (token & MC_EDGE_TOKEN_DIRECT) && f) { /* not stored yet: now it is */
    message m = f->m;
    m.payload = mc_buf_slice(&f->payload);
    into_spool(a, &m);
  }
  if (again && err != MC_ERR_CLOSED) {
    a->hold_until_us = mc_loop_now_us(a->loop) + RETRY_REFUSED_US;
    mc_spool_putback(a->spool, token);
  }
  if (!again && !(token & MC_EDGE_TOKEN_DIRECT)) {
    mc_spool_done(a->spool, token);
    mc_edge_agent_soon(a, MC_EDGE_SOON_US); /* so that done marks reach the disk with the next sync */
  }
  if (!again || (token & MC_EDGE_TOKEN_DIRECT))
    drop_flying(a, token);
  if (mc_spool_count(a->spool))
    mc_edge_agent_pump(a);
}


void mc_edge_agent_flying_free(mc_agent *a)
{
  size_t at = 0;
  uint64_t token, v;
  while (mc_map_next(&a->flying, &at, &token, &v)) {
    flying *f = (flying *)(uintptr_t)v;
    if (f->payload.len && a->spool && a->store.dir[0]) { /* sent, not acknowledged: the next start sends it again */
      uint64_t id;
      mc_spool_push(a->spool, f->m.priority, f->m.topic, mc_buf_slice(&f->payload), &id, NULL);
    }
    mc_buf_free(&f->payload);
    free(f);
  }
  mc_map_free(&a->flying);
}
