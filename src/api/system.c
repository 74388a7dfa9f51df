/* Health, key figures, metrics, and the description of this API. */
#include <stdio.h>

#include "api/inside.h"
#include "base/clock.h"

mc_err api_op_openapi(api_call *c)
{
  c->content_type = "application/json";
  reply_header(c, "Cache-Control", MC_LIT("public, max-age=300"));
  return mc_buf_append(&c->out, api_openapi, api_openapi_len);
}

static int64_t lag_ms(const mc_api *api)
{
  int64_t lag = api->config.decoder_lag_ms ? api->config.decoder_lag_ms(api->config.ctx) : 0;
  return lag > 0 ? lag : 0;
}

static void write_part(mc_json *j, const char *name, bool ok, const char *text)
{
  mc_json_object(j);
  mc_json_str_field(j, "name", name);
  mc_json_bool_field(j, "ok", ok);
  mc_json_str_field(j, "text", text);
  mc_json_object_end(j);
}

/* What it holds, and how it writes where somebody asked for more than plain calls. */
static void journal_text(mc_journal *journal, char *out, size_t size)
{
  mc_journal_state state;
  mc_journal_state_get(journal, &state);
  snprintf(out, size, "holds %.1f MiB%s%s", (double)(state.end_offset - state.first_offset) / (1 << 20), state.uring ? ", written by io_uring" : "",
           state.uring_refused[0] ? ", written by plain calls: io_uring was asked for and is not to be had here" : "");
}

/* Public: says whether it works, not who is on it. Each part is asked now. */
mc_err api_op_health(api_call *c)
{
  const mc_api *api = c->api;
  mc_journal *journal = api->config.journal;
  mc_why why = {0};
  char decoder[96], held[160];
  int64_t lag = lag_ms(api);
  bool current = lag < 5000, database = mc_db_run(api->config.db, &why, "SELECT 1", "") == MC_OK;
  snprintf(decoder, sizeof decoder, current ? "decoded up to %lld ms ago" : "%lld ms behind; the disk or the processor is too slow for what arrives", (long long)lag);
  if (journal)
    journal_text(journal, held, sizeof held);
  bool ok = current && database && journal;
  if (!ok)
    c->status = 503;
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_bool_field(j, "ok", ok);
  mc_json_str_field(j, "version", api->config.version ? api->config.version : "");
  mc_json_int_field(j, "uptime_s", (mc_clock_mono_us() - api->started_us) / 1000000);
  mc_json_key(j, "parts");
  mc_json_array(j);
  write_part(j, "journal", journal != NULL, journal ? held : "not configured");
  write_part(j, "database", database, database ? "answers" : why.text);
  write_part(j, "decoder", current, decoder);
  write_part(j, "map", true, map_text(api));
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

/* ---- key figures ---- */

/* Rates over at least a second; between readings the last ones stay. */
static void read_rates(mc_api *api, double *messages_per_s, double *samples_per_s)
{
  mc_gateway_stats g = {0};
  mc_twin_stats t = {0};
  mc_gateway_stats_get(api->config.gateway, &g);
  mc_twin_stats_get(api->config.twin, &t);
  int64_t now = mc_clock_mono_us();
  pthread_mutex_lock(&api->rate.lock);
  api_rate *r = &api->rate;
  double s = (double)(now - r->at_us) / 1e6;
  if (!r->at_us || s >= 1) {
    if (r->at_us) {
      r->messages_per_s = (double)(g.received - r->messages) / s;
      r->samples_per_s = (double)(t.samples_applied - r->samples) / s;
    }
    r->at_us = now;
    r->messages = g.received;
    r->samples = t.samples_applied;
  }
  *messages_per_s = r->messages_per_s;
  *samples_per_s = r->samples_per_s;
  pthread_mutex_unlock(&api->rate.lock);
}

static void write_counts(api_call *c, int64_t now_us)
{
  uint64_t count[5] = {0};
  mc_vehicle_now_vec all = {0};
  uint64_t total = mc_registry_vehicle_count(c->api->config.registry, c->who.tenant), heard = 0;
  api_vehicles_changed(c->api, c->who.tenant, 0, &all);
  for (size_t i = 0; i < all.len; i++) {
    mc_motion m = mc_vehicle_now_motion(&all.at[i], now_us);
    count[m <= MC_MOTION_OFFLINE ? m : MC_MOTION_UNKNOWN]++;
    heard++;
  }
  mc_vec_free(&all);
  if (total > heard)
    count[MC_MOTION_UNKNOWN] += total - heard;
  mc_json *j = &c->json;
  mc_json_key(j, "counts");
  mc_json_object(j);
  mc_json_uint_field(j, "vehicles", total);
  mc_json_uint_field(j, "moving", count[MC_MOTION_MOVING]);
  mc_json_uint_field(j, "idle", count[MC_MOTION_IDLE]);
  mc_json_uint_field(j, "parked", count[MC_MOTION_PARKED]);
  mc_json_uint_field(j, "offline", count[MC_MOTION_OFFLINE]);
  mc_json_uint_field(j, "unknown", count[MC_MOTION_UNKNOWN]);
  mc_json_object_end(j);
}

mc_err api_op_overview(api_call *c)
{
  mc_api *api = c->api;
  mc_campaign *list;
  size_t n, running = 0;
  mc_gateway_stats g = {0};
  mc_store_stats s = {0};
  double messages_per_s, samples_per_s;
  MC_TRY(mc_campaign_list(api->config.campaigns, c->who.tenant, &c->arena, &list, &n, &c->why));
  for (size_t i = 0; i < n; i++)
    running += list[i].status == MC_CAMPAIGN_RUNNING;
  mc_gateway_stats_get(api->config.gateway, &g);
  mc_store_stats_get(api->config.store, &s);
  read_rates(api, &messages_per_s, &samples_per_s);
  int64_t now = mc_clock_wall_us();
  mc_journal *journal = api->config.journal;
  uint64_t journal_bytes = journal ? mc_journal_end_offset(journal) - mc_journal_first_offset(journal) : 0;
  mc_json *j = &c->json;
  mc_json_object(j);
  json_time(j, "server_time", now);
  write_counts(c, now);
  mc_json_uint_field(j, "connections", g.connections);
  mc_json_double_field(j, "messages_per_s", messages_per_s);
  mc_json_double_field(j, "samples_per_s", samples_per_s);
  mc_json_uint_field(j, "journal_bytes", journal_bytes);
  mc_json_uint_field(j, "store_bytes", s.segment_bytes + s.memory_bytes);
  mc_json_uint_field(j, "campaigns_running", running);
  mc_json_int_field(j, "lag_ms", lag_ms(api));
  mc_json_object_end(j);
  return MC_OK;
}

/* ---- metrics ---- */

static void gauge(const char *name, const char *help, uint64_t value)
{
  mc_metric_set(mc_metric_get(MC_METRIC_GAUGE, name, help, NULL), (int64_t)value);
}

/* What the parts count for themselves, at the moment of the scrape. */
static void gather(const mc_api *api)
{
  mc_gateway_stats g = {0};
  mc_store_stats s = {0};
  mc_twin_stats t = {0};
  mc_campaign_stats k = {0};
  mc_gateway_stats_get(api->config.gateway, &g);
  mc_store_stats_get(api->config.store, &s);
  mc_twin_stats_get(api->config.twin, &t);
  mc_campaign_stats_get(api->config.campaigns, &k);
  gauge("motorcade_connections", "MQTT connections.", g.connections);
  gauge("motorcade_sessions", "MQTT sessions, connected or kept.", g.sessions);
  gauge("motorcade_messages_received", "Messages received since start.", g.received);
  gauge("motorcade_messages_delivered", "Messages delivered since start.", g.delivered);
  gauge("motorcade_messages_acknowledged", "QoS 1 publishes acknowledged since start.", g.acknowledged);
  gauge("motorcade_store_rows_segments", "Rows in segment files.", s.rows_segments);
  gauge("motorcade_store_rows_memory", "Rows not yet in segment files.", s.rows_memory);
  gauge("motorcade_store_segment_bytes", "Bytes of segment files.", s.segment_bytes);
  gauge("motorcade_twin_vehicles", "Vehicles with a known state.", t.vehicles);
  gauge("motorcade_twin_values", "Latest values held.", t.values);
  gauge("motorcade_samples_applied", "Samples applied to the twin since start.", t.samples_applied);
  gauge("motorcade_telemetry_messages", "Telemetry messages decoded since start.", k.messages);
  gauge("motorcade_telemetry_undecodable", "Telemetry messages that could not be decoded.", k.undecodable);
  gauge("motorcade_telemetry_samples_strayed", "Samples left out: their vehicle opened too many hours of history far from the present.", k.strayed);
  gauge("motorcade_telemetry_repeats", "Repeated events dropped.", k.repeats);
  gauge("motorcade_telemetry_unknown_manifests", "Telemetry messages that name a decoder manifest never made here.", k.unknown_manifests);
  gauge("motorcade_telemetry_unknown_campaigns", "Telemetry messages that name a campaign never made here.", k.unknown_campaigns);
  gauge("motorcade_telemetry_unknown_signals", "Samples left out: nobody has their signal id.", k.unknown_signals);
  gauge("motorcade_checkins", "Check-ins read since start.", k.checkins);
  gauge("motorcade_checkins_unreadable", "Check-ins that could not be read.", k.checkins_unreadable);
  gauge("motorcade_checkin_ids_unknown", "Document ids in check-ins never made here.", k.ids_unknown);
  gauge("motorcade_checkin_ids_dropped", "Document ids in check-ins beyond what is read of one.", k.ids_dropped);
  gauge("motorcade_campaign_documents_sent", "Manifests, campaign lists and state templates sent to vehicles.", k.documents_sent);
  gauge("motorcade_decoder_lag_milliseconds", "Age of the oldest journaled message not yet decoded.", (uint64_t)lag_ms(api));
}

mc_err api_op_metrics(api_call *c)
{
  gather(c->api);
  c->content_type = "text/plain; version=0.0.4; charset=utf-8";
  return mc_metric_export(&c->out);
}
