#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "edge/document_store.h"
#include "edge/inspect.h"

/* The agent: an inspector, a spool, an MQTT client. A collected event is published at once when the way is free and the
 * campaign does not ask for persistence; else it goes through the spool, is synced, and is published from there. */

enum {
  CHECKIN_RETRY_US = 5000000,
  SOON_US = 1000,           /* events of one moment share a sync */
  RETRY_REFUSED_US = 2000000,
  REFUSED_PAUSE_US = 1000000,
  MAX_DIRECT = 64,          /* kept in memory until acknowledged */
  MAX_TOLD = 4096
};
static const uint64_t TOKEN_CHECKIN = 1ULL << 63;
static const uint64_t TOKEN_DIRECT = 1ULL << 62;

/* A publish under way: what the callbacks tell, and, for those that are not in the spool, the message itself. */
typedef struct flying {
  uint32_t event_id, samples, priority;
  int64_t event_time_us;
  mc_buf payload;
} flying;

struct mc_agent {
  mc_loop *loop;
  mc_agent_config config;
  char *text; /* owner of all strings below */
  const char *name, *host;
  mc_slice topic_checkins, topic_manifests, topic_schemes, topic_signals;
  mc_slice *interface_id;
  size_t interface_count;
  mc_document_store store;
  mc_inspector *inspector;
  mc_spool *spool;
  mc_mqtt_client *client;
  mc_map flying; /* token -> flying */
  uint64_t next_direct;
  size_t direct;
  mc_timer tick, checkin, soon;
  int64_t tick_due_us; /* inspection time the tick timer waits for */
  mc_buf topic, payload;
  int64_t hold_until_us; /* the server asked for patience */
  int64_t refused_us;    /* when a refused document was last told at once */
  uint64_t told_offline; /* hash of the reason last told */
  bool running, subscribed, sync_wanted, told_full;
  mc_agent_stats stats;
};

/* ---- small matters ---- */
static int channel_of(void *ctx, mc_slice interface_id)
{
  mc_agent *a = ctx;
  for (size_t k = 0; k < a->interface_count; k++)
    if (mc_slice_eq(a->interface_id[k], interface_id))
      return (int)k;
  return -1;
}

static void flying_free(mc_agent *a, uint64_t token)
{
  uint64_t v;
  if (!mc_map_remove(&a->flying, token, &v))
    return;
  flying *f = (flying *)(uintptr_t)v;
  if (token & TOKEN_DIRECT)
    a->direct--;
  mc_buf_free(&f->payload);
  free(f);
}

static flying *flying_add(mc_agent *a, uint64_t token, const mc_collected *e)
{
  flying *f = calloc(1, sizeof *f);
  if (!f || mc_map_put(&a->flying, token, (uint64_t)(uintptr_t)f)) {
    free(f);
    return NULL;
  }
  *f = (flying){e->event_id, e->samples, e->priority, e->event_time_us, {0}};
  if (token & TOKEN_DIRECT)
    a->direct++;
  return f;
}

static void soon(mc_agent *a, int64_t delay_us)
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
    a->config.published(a->config.ctx, a, f->event_id, f->event_time_us, f->samples, token);
}

static void into_spool(mc_agent *a, uint32_t priority, mc_slice payload, const mc_collected *e)
{
  mc_why why = {0};
  uint64_t id;
  uint64_t dropped = mc_spool_dropped(a->spool);
  mc_err err = mc_spool_push(a->spool, priority, a->topic_signals, payload, &id, &why);
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
  if (e && a->flying.len < MAX_TOLD)
    flying_add(a, id, e);
  a->sync_wanted = true;
  soon(a, SOON_US);
}

static bool online(const mc_agent *a) { return a->client && mc_mqtt_client_is_connected(a->client) && a->subscribed; }

static void on_collected(void *ctx, const mc_collected *e)
{
  mc_agent *a = ctx;
  a->stats.events++;
  a->stats.samples += e->samples;
  if (!e->persist && online(a) && !mc_spool_count(a->spool) && a->direct < MAX_DIRECT) {
    uint64_t token = TOKEN_DIRECT | ++a->next_direct;
    flying *f = flying_add(a, token, e);
    if (f && mc_buf_append_slice(&f->payload, e->payload) == MC_OK &&
        mc_mqtt_client_publish(a->client, a->topic_signals, e->payload, 1, false, token) == MC_OK) {
      told_published(a, token, f);
      return;
    }
    flying_free(a, token);
  }
  into_spool(a, e->priority, e->payload, e);
}

/* Sends from the spool while the window is open. */
static void pump(mc_agent *a)
{
  if (a->hold_until_us > mc_loop_now_us(a->loop)) {
    soon(a, a->hold_until_us - mc_loop_now_us(a->loop));
    return;
  }
  while (online(a) && mc_mqtt_client_inflight(a->client) < MAX_DIRECT) {
    uint64_t id;
    mc_why why;
    mc_err err = mc_spool_peek(a->spool, &id, &a->topic, &a->payload, &why);
    if (err)
      break;
    err = mc_mqtt_client_publish(a->client, mc_buf_slice(&a->topic), mc_buf_slice(&a->payload), 1, false, id);
    if (err == MC_ERR_TOO_LARGE || err == MC_ERR_INVALID) { /* it will never go */
      a->stats.refused++;
      mc_spool_done(a->spool, id);
      flying_free(a, id);
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

static void on_soon(mc_timer *timer)
{
  mc_agent *a = (mc_agent *)((char *)timer - offsetof(mc_agent, soon));
  mc_why why;
  if (a->sync_wanted) {
    a->sync_wanted = false;
    if (mc_spool_sync(a->spool, &why))
      mc_log(MC_LOG_ERROR, "edge", "events could not be made durable", MC_KZ("agent", a->name), MC_KZ("why", why.text));
  }
  pump(a);
}

/* ---- check-in ---- */
static void subscribe(mc_agent *a);

static void check_in(mc_agent *a)
{
  if (a->client && mc_mqtt_client_is_connected(a->client) && !a->subscribed)
    subscribe(a);
  const mc_slice *ids, *errors;
  mc_fw_checkin m = {.time_ms = (uint64_t)(mc_clock_wall_us() / 1000), .agent = MC_LIT("motorcade-edge/" MC_VERSION),
                     .capabilities = MC_FW_CAN_MULTIPLEX | MC_FW_CAN_ID_MASK};
  m.sync_id_count = (uint32_t)mc_inspector_sync_ids(a->inspector, &ids);
  m.sync_id = ids;
  m.error_count = (uint32_t)mc_inspector_errors(a->inspector, &errors);
  m.error = errors;
  mc_buf out = {0};
  mc_err err = mc_fw_write_checkin(&out, &m);
  if (err && m.error_count) { /* a text that is not UTF-8 must not silence the check-in */
    mc_buf_clear(&out);
    m.error_count = 0;
    err = mc_fw_write_checkin(&out, &m);
  }
  if (err == MC_OK)
    err = online(a) ? mc_mqtt_client_publish(a->client, a->topic_checkins, mc_buf_slice(&out), 1, false, TOKEN_CHECKIN) : MC_ERR_AGAIN;
  mc_buf_free(&out);
  int64_t period = (int64_t)a->config.checkin_ms * 1000;
  if (err == MC_OK)
    a->stats.checkins++;
  else if (period > CHECKIN_RETRY_US)
    period = CHECKIN_RETRY_US;
  mc_loop_timer_set(a->loop, &a->checkin, mc_loop_now_us(a->loop) + period);
}

static void on_checkin(mc_timer *timer) { check_in((mc_agent *)((char *)timer - offsetof(mc_agent, checkin))); }

/* ---- time ---- */
static void arm_tick(mc_agent *a, int64_t due_wall_us)
{
  int64_t delay = due_wall_us - mc_clock_wall_us();
  a->tick_due_us = due_wall_us;
  mc_loop_timer_set(a->loop, &a->tick, mc_loop_now_us(a->loop) + (delay > 0 ? delay : 0));
}

static void on_tick(mc_timer *timer)
{
  mc_agent *a = (mc_agent *)((char *)timer - offsetof(mc_agent, tick));
  const mc_slice *ids;
  size_t before = mc_inspector_sync_ids(a->inspector, &ids);
  arm_tick(a, mc_inspector_tick(a->inspector, mc_clock_wall_us()));
  if (mc_inspector_sync_ids(a->inspector, &ids) != before && a->running)
    check_in(a); /* a campaign ended here: the list of ids always equals what is held */
}

void mc_agent_push_frame(mc_agent *a, const mc_can_frame *frame)
{
  a->stats.frames++;
  a->stats.signals += mc_inspector_frame(a->inspector, frame);
  int64_t due = mc_inspector_due(a->inspector);
  if (due < a->tick_due_us)
    arm_tick(a, due);
}

/* ---- documents ---- */
static void after_document(mc_agent *a, mc_err err, const char *what, const mc_why *why)
{
  const mc_slice *texts;
  if (err)
    mc_log(MC_LOG_WARN, "edge", "a document was refused", MC_KZ("agent", a->name), MC_KZ("document", what), MC_KZ("why", why->text));
  else if (mc_inspector_errors(a->inspector, &texts))
    mc_log(MC_LOG_WARN, "edge", "a part of a document was refused", MC_KZ("agent", a->name), MC_KS("why", texts[0]));
  a->stats.documents += err == MC_OK;
  arm_tick(a, mc_inspector_tick(a->inspector, mc_clock_wall_us()));
  int64_t now = mc_loop_now_us(a->loop);
  if (err && now - a->refused_us < REFUSED_PAUSE_US) { /* a platform that sends the same again at once must not make us spin */
    mc_loop_timer_set(a->loop, &a->checkin, a->refused_us + REFUSED_PAUSE_US);
    return;
  }
  a->refused_us = err ? now : a->refused_us;
  check_in(a);
}

static void take_document(mc_agent *a, bool manifest, mc_slice payload)
{
  mc_why why = {0}, store_why = {0};
  mc_err err = manifest ? mc_inspector_set_manifest(a->inspector, payload, &why)
                        : mc_inspector_set_schemes(a->inspector, payload, mc_clock_wall_us(), &why);
  mc_err stored = err ? MC_OK : manifest ? mc_document_store_manifest(&a->store, payload, &store_why) : mc_document_store_schemes(&a->store, payload, &store_why);
  if (stored)
    mc_log(MC_LOG_ERROR, "edge", "a document could not be stored: it is lost at a restart", MC_KZ("agent", a->name), MC_KZ("why", store_why.text));
  const mc_slice *ids;
  size_t count = mc_inspector_sync_ids(a->inspector, &ids);
  if (err == MC_OK)
    mc_document_store_tidy(&a->store, ids, count);
  after_document(a, err, manifest ? "decoder manifest" : "collection schemes", &why);
}

/* ---- MQTT ---- */
static void subscribe(mc_agent *a)
{
  mc_mqtt_filter f[2] = {{a->topic_manifests, 1, false, false, 0}, {a->topic_schemes, 1, false, false, 0}};
  mc_mqtt_client_subscribe(a->client, f, 2, NULL);
  mc_loop_timer_set(a->loop, &a->checkin, mc_loop_now_us(a->loop) + CHECKIN_RETRY_US); /* asks again if no answer comes */
}

static void on_connected(void *ctx, bool session_present)
{
  mc_agent *a = ctx;
  a->subscribed = false;
  a->told_offline = 0;
  a->stats.connected = true;
  a->stats.reconnects++;
  mc_log(MC_LOG_INFO, "edge", "connected", MC_KZ("agent", a->name), MC_KZ("host", a->host), MC_KU("port", a->config.port));
  subscribe(a);
}

static void on_subscribed(void *ctx, uint16_t packet_id, const uint8_t *code, size_t count)
{
  mc_agent *a = ctx;
  for (size_t k = 0; k < count; k++)
    if (code[k] >= 0x80)
      mc_log(MC_LOG_ERROR, "edge", "the server refused a subscription: no documents will come; check that the certificate belongs to this name",
             MC_KZ("agent", a->name), MC_KZ("reason", mc_mqtt_reason_name(code[k])));
  a->subscribed = true;
  check_in(a); /* within 5 s of connecting (4): at once */
  mc_spool_rewind(a->spool);
  pump(a);
}

static void on_disconnected(void *ctx, mc_err err, uint8_t reason, const char *text)
{
  mc_agent *a = ctx;
  uint64_t told = mc_slice_fnv1a(mc_slice_str(text));
  if (told != a->told_offline) /* the same reason is told once until the next connection */
    mc_log(a->running ? MC_LOG_WARN : MC_LOG_INFO, "edge", a->running ? "not connected; trying again" : "not connected", MC_KZ("agent", a->name),
           MC_KZ("host", a->host), MC_KU("port", a->config.port), MC_KZ("why", text));
  a->told_offline = told;
  a->stats.connected = a->subscribed = false;
  mc_spool_rewind(a->spool);
}

static void on_message(void *ctx, const mc_mqtt_publish *m)
{
  mc_agent *a = ctx;
  if (mc_slice_eq(m->topic, a->topic_manifests))
    take_document(a, true, m->payload);
  else if (mc_slice_eq(m->topic, a->topic_schemes))
    take_document(a, false, m->payload);
}

/* The server cannot take it now, but may later. */
static bool temporary(uint8_t code)
{
  return code == MC_MQTT_QUOTA || code == MC_MQTT_UNSPECIFIED || code == MC_MQTT_UNAVAILABLE || code == MC_MQTT_BUSY || code == MC_MQTT_RATE_TOO_HIGH;
}

static void on_acked(void *ctx, uint64_t token, mc_err err, uint8_t code)
{
  mc_agent *a = ctx;
  if (token == TOKEN_CHECKIN)
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
  if (again && (token & TOKEN_DIRECT) && f) { /* not stored yet: now it is */
    mc_collected e = {.event_id = f->event_id, .samples = f->samples, .priority = f->priority, .event_time_us = f->event_time_us};
    into_spool(a, f->priority, mc_buf_slice(&f->payload), &e);
  }
  if (again && err != MC_ERR_CLOSED) {
    a->hold_until_us = mc_loop_now_us(a->loop) + RETRY_REFUSED_US;
    mc_spool_putback(a->spool, token);
  }
  if (!again && !(token & TOKEN_DIRECT)) {
    mc_spool_done(a->spool, token);
    soon(a, SOON_US); /* so that done marks reach the disk with the next sync */
  }
  if (!again || (token & TOKEN_DIRECT))
    flying_free(a, token);
  if (mc_spool_count(a->spool))
    pump(a);
}

/* ---- life ---- */
static mc_slice put_text(char *text, size_t *at, const char *a, const char *b, const char *c, const char *d)
{
  char *start = text + *at;
  int n = sprintf(start, "%s%s%s%s", a, b, c, d);
  *at += (size_t)n + 1;
  return mc_slice_of(start, (size_t)n);
}

static mc_err copy_strings(mc_agent *a, const mc_agent_config *k)
{
  const char *prefix = k->topic_prefix ? k->topic_prefix : "$aws/iotfleetwise/";
  size_t size = 5 * (strlen(prefix) + strlen(k->name) + 64) + strlen(k->host) + 1;
  for (size_t i = 0; i < k->interface_count; i++)
    size += strlen(k->interface_id[i]) + 1;
  a->text = malloc(size);
  a->interface_id = calloc(k->interface_count ? k->interface_count : 1, sizeof *a->interface_id);
  if (!a->text || !a->interface_id)
    return MC_ERR_MEMORY;
  size_t at = 0;
  a->name = (const char *)put_text(a->text, &at, k->name, "", "", "").data;
  a->host = (const char *)put_text(a->text, &at, k->host, "", "", "").data;
  a->topic_checkins = put_text(a->text, &at, prefix, "vehicles/", k->name, "/checkins");
  a->topic_manifests = put_text(a->text, &at, prefix, "vehicles/", k->name, "/decoder_manifests");
  a->topic_schemes = put_text(a->text, &at, prefix, "vehicles/", k->name, "/collection_schemes");
  a->topic_signals = put_text(a->text, &at, prefix, "vehicles/", k->name, "/signals");
  for (size_t i = 0; i < k->interface_count; i++)
    a->interface_id[i] = put_text(a->text, &at, k->interface_id[i], "", "", "");
  a->interface_count = k->interface_count;
  return MC_OK;
}

static mc_err check_config(const mc_agent_config *k, mc_why *why)
{
  if (!k->name || !*k->name || strlen(k->name) > 128 || !mc_mqtt_topic_valid(mc_slice_str(k->name)) || strchr(k->name, '/'))
    return mc_err_set(why, MC_ERR_INVALID, "agent name \"%.140s\": 1 to 128 characters without / + # are needed", k->name ? k->name : "");
  if (!k->host || !*k->host || !k->port)
    return mc_err_set(why, MC_ERR_INVALID, "agent %s: host and port of the platform are needed", k->name);
  size_t prefix = k->topic_prefix ? strlen(k->topic_prefix) : 18;
  if (prefix && (prefix > 200 || (k->topic_prefix && k->topic_prefix[prefix - 1] != '/')))
    return mc_err_set(why, MC_ERR_INVALID, "topic prefix \"%.200s\" must end with / and have at most 200 bytes", k->topic_prefix);
  if (k->interface_count > 1024)
    return mc_err_set(why, MC_ERR_INVALID, "agent %s: %zu interfaces; at most 1024", k->name, k->interface_count);
  return MC_OK;
}

static mc_err open_parts(mc_agent *a, const mc_agent_config *k, mc_why *why)
{
  const mc_fs *fs = mc_fs_posix();
  if (k->data_dir) {
    if (strlen(k->data_dir) >= sizeof a->store.dir)
      return mc_err_set(why, MC_ERR_INVALID, "the data directory's name is too long");
    MC_TRY(mc_fs_mkdirs(fs, k->data_dir, why));
    a->store.fs = fs;
    snprintf(a->store.dir, sizeof a->store.dir, "%s", k->data_dir);
  }
  MC_TRY(mc_spool_open(fs, k->data_dir, k->spool_bytes, &a->spool, why));
  mc_inspector_config ic = {.channel_of = channel_of, .collected = on_collected, .ctx = a};
  MC_TRY(mc_inspector_create(&ic, &a->inspector, why));
  mc_mqtt_client_config mc = {.host = a->host,
                              .port = k->port,
                              .tls = k->tls,
                              .version = MC_MQTT_5,
                              .client_id = mc_slice_str(a->name),
                              .keep_alive_s = k->keep_alive_s,
                              .clean = true, /* the spool is the session: what was not acknowledged is sent anew */
                              .max_inflight = MAX_DIRECT + 4,
                              .ctx = a,
                              .connected = on_connected,
                              .disconnected = on_disconnected,
                              .message = on_message,
                              .acked = on_acked,
                              .subscribed = on_subscribed};
  return mc_mqtt_client_create(a->loop, &mc, &a->client, why);
}

mc_err mc_agent_create(mc_loop *loop, const mc_agent_config *config, mc_agent **out, mc_why *why)
{
  *out = NULL;
  MC_TRY(check_config(config, why));
  mc_agent *a = calloc(1, sizeof *a);
  if (!a)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for an agent");
  a->loop = loop;
  a->config = *config;
  if (!a->config.checkin_ms)
    a->config.checkin_ms = 120000;
  a->refused_us = INT64_MIN / 2;
  a->tick.fire = on_tick;
  a->checkin.fire = on_checkin;
  a->soon.fire = on_soon;
  mc_err err = copy_strings(a, config);
  if (err)
    mc_err_set(why, err, "out of memory for an agent");
  if (err == MC_OK)
    err = open_parts(a, config, why);
  if (err) {
    mc_agent_destroy(&a);
    return err;
  }
  size_t loaded = mc_document_store_load(&a->store, a->inspector, mc_clock_wall_us());
  if (loaded || mc_spool_count(a->spool))
    mc_log(MC_LOG_INFO, "edge", "goes on where it was", MC_KZ("agent", a->name), MC_KU("documents", loaded), MC_KU("stored_events", mc_spool_count(a->spool)));
  *out = a;
  return MC_OK;
}

void mc_agent_start(mc_agent *a)
{
  if (a->running)
    return;
  a->running = true;
  arm_tick(a, mc_inspector_tick(a->inspector, mc_clock_wall_us()));
  mc_mqtt_client_start(a->client);
}

void mc_agent_stop(mc_agent *a)
{
  a->running = false;
  mc_loop_timer_clear(a->loop, &a->tick);
  mc_loop_timer_clear(a->loop, &a->checkin);
  mc_mqtt_client_stop(a->client);
  mc_spool_sync(a->spool, NULL);
}

void mc_agent_destroy(mc_agent **agent)
{
  mc_agent *a = *agent;
  *agent = NULL;
  if (!a)
    return;
  mc_loop_timer_clear(a->loop, &a->tick);
  mc_loop_timer_clear(a->loop, &a->checkin);
  mc_loop_timer_clear(a->loop, &a->soon);
  if (a->client)
    mc_mqtt_client_destroy(&a->client);
  size_t at = 0;
  uint64_t token, v;
  while (mc_map_next(&a->flying, &at, &token, &v)) {
    flying *f = (flying *)(uintptr_t)v;
    if (f->payload.len && a->spool && a->store.dir[0]) { /* sent, not acknowledged: the next start sends it again */
      uint64_t id;
      mc_spool_push(a->spool, f->priority, a->topic_signals, mc_buf_slice(&f->payload), &id, NULL);
    }
    mc_buf_free(&f->payload);
    free(f);
  }
  mc_map_free(&a->flying);
  mc_inspector_destroy(&a->inspector);
  mc_spool_close(&a->spool);
  mc_buf_free(&a->topic);
  mc_buf_free(&a->payload);
  free(a->interface_id);
  free(a->text);
  free(a);
}

void mc_agent_stats_get(const mc_agent *a, mc_agent_stats *out)
{
  *out = a->stats;
  out->dropped += mc_spool_dropped(a->spool);
}

mc_inspector *mc_agent_inspector(mc_agent *a) { return a->inspector; }
