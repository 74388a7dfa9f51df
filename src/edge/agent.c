#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "edge/agent_inside.h"

/* The agent: an inspector, a spool, an MQTT client. */

enum { CHECKIN_RETRY_US = 5000000, REFUSED_PAUSE_US = 1000000 };

/* ---- small matters ---- */
static int channel_of(void *ctx, mc_slice interface_id)
{
  mc_agent *a = ctx;
  for (size_t k = 0; k < a->interface_count; k++)
    if (mc_slice_eq(a->interface_id[k], interface_id))
      return (int)k;
  return -1;
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
  mc_edge_agent_pump(a);
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
    err = mc_edge_agent_online(a) ? mc_mqtt_client_publish(a->client, a->topic_checkins, mc_buf_slice(&out), 1, false, MC_EDGE_TOKEN_CHECKIN) : MC_ERR_AGAIN;
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
  mc_edge_agent_save(a); /* a template may have fallen silent */
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

void mc_agent_push_message(mc_agent *a, const mc_structured_message *m)
{
  mc_why why = {0};
  size_t values;
  a->stats.messages++;
  mc_err err = mc_inspector_message(a->inspector, m, &values, &why);
  a->stats.signals += values;
  bool bad = err && err != MC_ERR_NOT_FOUND;
  a->stats.damaged += bad;
  if (bad && (a->stats.damaged & (a->stats.damaged - 1)) == 0) /* the 1st, 2nd, 4th, 8th, ... is told */
    mc_log(MC_LOG_WARN, "edge", "a structured message cannot be read as the manifest says", MC_KZ("agent", a->name), MC_KS("message", mc_slice_sub(m->message_id, 0, 150)),
           MC_KU("so_far", a->stats.damaged), MC_KZ("why", why.text));
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

static void take_templates(mc_agent *a, mc_slice payload)
{
  mc_why why = {0};
  mc_err err = mc_inspector_set_states(a->inspector, payload, mc_clock_wall_us(), &why);
  mc_edge_agent_save(a);
  after_document(a, err, "state templates", &why);
}

/* ---- MQTT ---- */
static void subscribe(mc_agent *a)
{
  mc_mqtt_filter f[] = {{a->topic_manifests, 1, false, false, 0}, {a->topic_schemes, 1, false, false, 0}, {a->topic_templates, 1, false, false, 0}, {a->topic_requests, 1, false, false, 0}};
  mc_mqtt_client_subscribe(a->client, f, sizeof f / sizeof f[0], NULL);
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
  static const char *const what[] = {"decoder manifests", "collection schemes", "state templates", "commands"};
  mc_agent *a = ctx;
  for (size_t k = 0; k < count; k++)
    if (code[k] >= 0x80)
      mc_log(MC_LOG_ERROR, "edge", "the server refused a subscription: none will come; check that the certificate belongs to this name", MC_KZ("agent", a->name),
             MC_KZ("of", k < sizeof what / sizeof what[0] ? what[k] : ""), MC_KZ("reason", mc_mqtt_reason_name(code[k])));
  a->subscribed = true;
  check_in(a); /* within 5 s of connecting (4): at once */
  mc_spool_rewind(a->spool);
  mc_edge_agent_pump(a);
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
  else if (mc_slice_eq(m->topic, a->topic_templates))
    take_templates(a, m->payload);
  else if (mc_edge_agent_command(a, m))
    arm_tick(a, mc_inspector_tick(a->inspector, mc_clock_wall_us()));
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
  const char *commands = k->commands_prefix ? k->commands_prefix : strncmp(prefix, "cms/", 4) == 0 ? "cms/commands/" : "$aws/commands/";
  size_t size = 7 * (strlen(prefix) + strlen(k->name) + 64) + 2 * (strlen(commands) + strlen(k->name) + 64) + strlen(k->host) + 1;
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
  a->topic_templates = put_text(a->text, &at, prefix, "vehicles/", k->name, "/last_known_states/config");
  a->topic_states = put_text(a->text, &at, prefix, "vehicles/", k->name, "/last_known_states/data");
  a->executions = put_text(a->text, &at, commands, "things/", k->name, "/executions/");
  a->topic_requests = put_text(a->text, &at, (const char *)a->executions.data, "+/request/protobuf", "", "");
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
  size_t commands = k->commands_prefix ? strlen(k->commands_prefix) : 0;
  if (commands && (commands > 200 || k->commands_prefix[commands - 1] != '/'))
    return mc_err_set(why, MC_ERR_INVALID, "commands prefix \"%.200s\" must end with / and have at most 200 bytes", k->commands_prefix);
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
  mc_inspector_config ic = {.channel_of = channel_of, .collected = mc_edge_agent_collected, .state = mc_edge_agent_told, .ctx = a};
  MC_TRY(mc_inspector_create(&ic, &a->inspector, why));
  mc_mqtt_client_config mc = {.host = a->host,
                              .port = k->port,
                              .tls = k->tls,
                              .version = MC_MQTT_5,
                              .client_id = mc_slice_str(a->name),
                              .keep_alive_s = k->keep_alive_s,
                              .clean = true, /* the spool is the session: what was not acknowledged is sent anew */
                              .max_inflight = MC_EDGE_MAX_DIRECT + 4,
                              .ctx = a,
                              .connected = on_connected,
                              .disconnected = on_disconnected,
                              .message = on_message,
                              .acked = mc_edge_agent_acked,
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
  mc_edge_agent_flying_free(a);
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
