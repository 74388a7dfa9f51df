#include "app/motorcade/server.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/motorcade/access_key_file.h"
#include "app/motorcade/data_out.h"
#include "app/motorcade/dry_run.h"
#include "app/motorcade/port.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/thread.h"
#include "signal/signal.h"

#ifndef MC_VERSION
#define MC_VERSION "0.1.0"
#endif

/* ---- the few functions by which modules of one floor meet ---- */

static bool encoding_of(void *ctx, uint32_t id, mc_encoding *out)
{
  int type;
  if (mc_registry_encoding_get(((server *)ctx)->registry, id, &type, &out->factor, &out->offset))
    return false;
  out->id = id;
  out->type = (mc_type)type;
  return true;
}

static mc_role role_of(void *ctx, uint32_t tenant, uint32_t signal)
{
  return mc_role_of_fqn(mc_registry_signal_fqn(((server *)ctx)->registry, tenant, signal));
}

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why)
{
  return mc_gateway_publish(((server *)ctx)->gateway, tenant, topic, payload, 1, false, why);
}

static void revoked(void *ctx, uint32_t tenant, uint32_t thing, const uint8_t fingerprint[MC_FINGERPRINT])
{
  server *s = ctx;
  if (s->gateway)
    mc_gateway_kick(s->gateway, tenant, thing, MC_MQTT_NOT_AUTHORIZED, "the certificate was revoked or switched off; issue a new one");
}

static mc_err observe(void *ctx, const mc_block *block, mc_why *why)
{
  server *s = ctx;
  return s->observer.take ? s->observer.take(s->observer.ctx, block, why) : MC_OK;
}

/* The AWS face is mounted beside the API, which exists before it. */
static size_t aws_max_body(void *ctx, mc_slice target, mc_slice authorization)
{
  return mc_aws_max_body(((server *)ctx)->aws, target, authorization);
}

static void aws_request(void *ctx, mc_http_request *r)
{
  mc_aws_request(((server *)ctx)->aws, r);
}

static int64_t decoder_lag_ms(void *ctx)
{
  return atomic_load(&((server *)ctx)->lag_ms);
}

/* ---- opening ---- */

static mc_err read_key_file(const server *s, const char *name, mc_buf *out, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/%s", s->set.data, name);
  mc_err err = mc_fs_read(mc_fs_posix(), path, 1 << 20, out, why);
  if (err == MC_ERR_NOT_FOUND)
    return mc_err_set(why, err, "%s is missing: run `motorcade init --data %s` first", path, s->set.data);
  return err;
}

static void revocation_list_changed(void *ctx)
{
  mc_gateway *g = atomic_load(&((server *)ctx)->recheck);
  if (g)
    mc_gateway_recheck(g);
}

/* Our own authority and those of client_ca, in one PEM text. */
static mc_err read_client_authorities(const server *s, mc_slice own, mc_buf *out, mc_why *why)
{
  MC_TRY(mc_buf_append_slice(out, own));
  if (!s->set.client_ca[0])
    return MC_OK;
  mc_buf more = {0};
  mc_cert_info first;
  mc_err err = mc_fs_read(mc_fs_posix(), s->set.client_ca, 4 << 20, &more, why);
  if (!err) /* one that cannot be read must not be passed over */
    err = mc_cert_read_pem(mc_buf_slice(&more), &first, why);
  if (err)
    mc_err_prefix(why, "client_ca %s", s->set.client_ca);
  if (!err)
    err = mc_buf_append_str(out, "\n");
  if (!err)
    err = mc_buf_append_slice(out, mc_buf_slice(&more));
  mc_buf_free(&more);
  return err;
}

static mc_err open_tls(server *s, mc_slice ca, mc_slice cert, mc_slice key, mc_why *why)
{
  mc_buf authorities = {0};
  char tickets[700];
  snprintf(tickets, sizeof tickets, "%s/tickets.key", s->set.data);
  mc_tls_server_config config = {.cert_pem = cert,
                                 .key_pem = key,
                                 .ticket_path = tickets,
                                 .crl_path = s->set.crl_file,
                                 .crl_required = s->set.crl_required,
                                 .staple_path = s->set.ocsp_staple,
                                 .staple_fetch = s->set.ocsp_fetch,
                                 .revoked = revocation_list_changed,
                                 .ctx = s};
  mc_err err = read_client_authorities(s, ca, &authorities, why);
  config.client_ca_pem = mc_buf_slice(&authorities);
  if (!err)
    err = mc_tls_server_create(&config, &s->tls, why);
  mc_buf_free(&authorities);
  return err;
}

static mc_err open_tls_and_registry(server *s, mc_why *why)
{
  mc_buf ca = {0}, ca_key = {0}, cert = {0}, key = {0};
  mc_err err = read_key_file(s, "ca.pem", &ca, why);
  if (!err)
    err = read_key_file(s, "ca.key", &ca_key, why);
  if (!err)
    err = read_key_file(s, "server.pem", &cert, why);
  if (!err)
    err = read_key_file(s, "server.key", &key, why);
  if (!err)
    err = open_tls(s, mc_buf_slice(&ca), mc_buf_slice(&cert), mc_buf_slice(&key), why);
  if (!err) {
    mc_registry_config config = {s->db, s->journal, mc_buf_slice(&ca), mc_buf_slice(&ca_key), s->keyring, {s->master, s->access_key_file},
                                 {s->set.policy_versions, s->set.policy_document_characters, s->set.policies_attached}};
    err = mc_registry_open(&config, &s->registry, why);
  }
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  return err;
}

/* ---- enciphering: the journal asks, the keyring answers ---- */
static uint32_t key_of(void *ctx, const mc_record *r)
{
  return mc_keyring_find(ctx, r->tenant, MC_SUBJECT_TENANT, 0);
}

static mc_err seal(void *ctx, uint32_t key_id, const mc_slice *aad, size_t aad_count, const mc_slice *text, size_t text_count, uint8_t *out)
{
  return mc_keyring_seal(ctx, key_id, aad, aad_count, text, text_count, out);
}

static mc_err unseal(void *ctx, uint32_t key_id, const mc_slice *aad, size_t aad_count, mc_slice sealed, uint8_t *out)
{
  return mc_keyring_unseal(ctx, key_id, aad, aad_count, sealed, out);
}

/* Before the journal: what it holds may be enciphered. */
static mc_err open_keys(server *s, mc_why *why)
{
  bool exists = false;
  MC_TRY(access_key_file_open(s->set.data, &s->access_key_file, why));
  if (s->set.master_key[0]) {
    MC_TRY(mc_master_open(s->set.master_key, &s->master, why));
    return mc_keyring_open(s->db, s->master, s->set.subject_keys, &s->keyring, why);
  }
  if (s->set.subject_keys)
    return mc_err_set(why, MC_ERR_INVALID, "subject_keys needs master_key: name the key that wraps them");
  MC_TRY(mc_keyring_exists(s->db, &exists, why));
  return exists ? mc_err_set(why, MC_ERR_INVALID, "this data was enciphered and no master_key is set: without it messages would seem to be missing; set it in %s/motorcade.conf",
                             s->set.data)
                : MC_OK;
}

static mc_err open_journal(server *s, mc_why *why)
{
  mc_journal_cipher cipher = {s->keyring, key_of, seal, unseal};
  char path[700];
  snprintf(path, sizeof path, "%s/journal", s->set.data);
  mc_journal_config config = {.fs = mc_fs_posix(),
                              .dir = path,
                              .group_wait_us = s->set.journal_group_wait_us,
                              .patient_streams = 1u << MC_STREAM_CHECKIN,
                              .patient_wait_us = s->set.journal_checkin_wait_us,
                              .io = (mc_journal_io)s->set.journal_io,
                              .keep = {.bytes = s->set.journal_retain_mb << 20,
                                       .age_us = s->set.journal_retain_days * 86400000000LL,
                                       .stream_age_us[MC_STREAM_AUDIT] = s->set.journal_audit_days * 86400000000LL},
                              .cipher = s->keyring ? &cipher : NULL};
  return mc_journal_open(&config, &s->journal, why);
}

/* What campaigns decide without anybody's call stands in the audit chain, too. */
static void audit_campaign(void *ctx, uint32_t tenant, uint32_t campaign, const char *operation, const char *text)
{
  server *s = ctx;
  mc_why why = {0};
  char path[64];
  mc_principal who = {.tenant = tenant, .kind = MC_PRINCIPAL_SELF, .name = "motorcade"};
  snprintf(path, sizeof path, "/api/v1/campaigns/%u", campaign);
  mc_desk_record record = {.who = &who, .address = "", .operation = operation, .path = mc_slice_str(path), .status = 200, .reason = mc_slice_str(text)};
  mc_desk desk = s->api ? mc_api_desk(s->api) : (mc_desk){0};
  if (desk.audit && desk.audit(desk.ctx, &record, &why))
    mc_log(MC_LOG_ERROR, "audit", "what a campaign did by itself is not in the audit chain", MC_KU("campaign", campaign), MC_KZ("reason", why.text));
}

static mc_err open_readers(server *s, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/twin", s->set.data);
  mc_twin_config twin = {mc_fs_posix(), path, role_of, encoding_of, s};
  MC_TRY(mc_twin_open(&twin, &s->twin, why));
  snprintf(path, sizeof path, "%s/store", s->set.data);
  mc_store_config store = {.fs = mc_fs_posix(),
                           .dir = path,
                           .memory_bytes = (size_t)s->set.store_memory_mb << 20,
                           .flush_after_us = s->set.store_flush_s * 1000000LL,
                           .retain_us = s->set.store_retain_days * 86400000000LL,
                           .encoding_of = encoding_of,
                           .ctx = s};
  MC_TRY(mc_store_open(&store, &s->store, why));
  MC_TRY(mc_fleet_open(s->db, &s->fleet, why));
  mc_block_sink sinks[] = {mc_twin_sink(s->twin), mc_store_sink(s->store), mc_fleet_block_sink(s->fleet), {s, observe}};
  mc_campaigns_config campaigns = {.db = s->db, .registry = s->registry, .publish = publish, .publish_ctx = s, .sink = sinks, .sink_count = sizeof sinks / sizeof sinks[0],
                                  .trouble_sink = mc_fleet_trouble_sink(s->fleet), .limit = s->set.fleetwise, .by_itself = audit_campaign, .by_itself_ctx = s};
  return mc_campaigns_open(&campaigns, &s->campaigns, why);
}

static mc_err load_map(server *s, mc_why *why)
{
  mc_geo_graph **graph = s->want_graph ? &s->graph : NULL;
  if (!s->set.osm[0])
    return mc_geo_make_town(1, &s->map, graph, why);
  mc_buf pbf = {0};
  mc_err err = mc_fs_read(mc_fs_posix(), s->set.osm, (size_t)1 << 31, &pbf, why);
  if (!err)
    err = mc_geo_load_osm(mc_buf_slice(&pbf), &s->map, graph, why);
  if (err)
    mc_err_prefix(why, "map extract %s", s->set.osm);
  mc_buf_free(&pbf);
  return err;
}

/* What making it took and does not need any more goes back to the system. */
static mc_err open_map(server *s, mc_why *why)
{
  mc_err err = load_map(s, why);
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return err;
}

static void *make_map(void *arg)
{
  server *s = arg;
  mc_why why = {0};
  if (open_map(s, &why))
    mc_log(MC_LOG_ERROR, "serve", "there is no base map", MC_KZ("reason", why.text));
  mc_api_set_map(s->api, s->map, why.text);
  return NULL;
}

/* Making or reading the map takes seconds and tens of MiB: it is made when somebody wants to see it, and vehicles do not wait for it. */
static void want_map(void *ctx)
{
  server *s = ctx;
  s->map_making = pthread_create(&s->map_maker, NULL, make_map, s) == 0;
  if (!s->map_making)
    mc_api_set_map(s->api, NULL, "there was no memory for the thread that makes it; start the server again");
}

static mc_err check_extract(const server *s, mc_why *why)
{
  if (s->set.osm[0] && access(s->set.osm, R_OK))
    return mc_err_errno(why, "map extract %s", s->set.osm);
  return MC_OK;
}

static mc_err open_gateway_and_api(server *s, mc_why *why)
{
  mc_loop *loops[SERVER_MAX_LOOPS];
  mc_metric *turns = mc_metric_get(MC_METRIC_HISTOGRAM, "motorcade_loop_turn_seconds", "A turn of a loop, from the end of its wait until everything is answered.", NULL);
  for (size_t i = 0; i < s->loops; i++) {
    MC_TRY(mc_loop_create(&s->loop[i].loop, why));
    mc_loop_measure_turns(s->loop[i].loop, turns);
    s->loop[i].server = s;
    loops[i] = s->loop[i].loop;
  }
  char path[700];
  snprintf(path, sizeof path, "%s/gateway", s->set.data);
  mc_gate_config limits = {s->set.source_connections, s->set.source_unfinished, s->set.source_per_s};
  MC_TRY(mc_gate_create(&limits, &s->gate, why));
  mc_gateway_config gateway = {.journal = s->journal,
                               .registry = s->registry,
                               .loop = loops,
                               .loop_count = s->loops,
                               .fs = mc_fs_posix(),
                               .dir = path,
                               .limits = {.connect_timeout_ms = s->set.connect_ms,
                                          .share_choice = (mc_share_choice)s->set.share_choice,
                                          .topic_alias_out_max = s->set.topic_aliases_out ? s->set.topic_aliases_out : MC_TOPIC_ALIAS_OFF,
                                          .pressure_window_ms = s->set.pressure_window_ms,
                                          .pressure_delay_ms = s->set.pressure_delay_ms,
                                          .pressure_refuse_ms = s->set.pressure_refuse_ms,
                                          .pressure_close_ms = s->set.pressure_close_ms,
                                          .pressure_window_min = s->set.pressure_window_min,
                                          .pressure_free_bytes = (uint64_t)s->set.pressure_free_mb << 20,
                                          .session_hold_bytes = (uint64_t)s->set.session_hold_mb << 20,
                                          .tenant_publishes_per_s = s->set.tenant_publishes_per_s,
                                          .tenant_bytes_per_s = s->set.tenant_bytes_per_s,
                                          .tenant_connects_per_s = s->set.tenant_connects_per_s},
                               .profiles = s->set.profile,
                               .door_profile = {[MC_DOOR_MQTT] = (mc_profile_name)s->set.mqtt_profile,
                                                [MC_DOOR_DEV] = (mc_profile_name)s->set.dev_profile,
                                                [MC_DOOR_SHARED] = (mc_profile_name)s->set.tls_profile},
                               .door = {(int)s->set.tls_handshake_ms, (int)s->set.tls_handshakes, (int)s->set.tls_waiting, s->gate}};
  MC_TRY(mc_gateway_create(&gateway, &s->gateway, why));
  atomic_store(&s->recheck, s->gateway);
  mc_registry_on_revoked(s->registry, revoked, s);
  s->mount[0] = (mc_http_mount){"/aws", aws_max_body, aws_request, s};
  mc_api_config api = {.registry = s->registry,
                       .twin = s->twin,
                       .store = s->store,
                       .campaigns = s->campaigns,
                       .delivery = s->delivery,
                       .dry_run = &dry_run_by_agent,
                       .price = {s->set.price_gb / 1e5, s->set.price_million_messages / 1e8, s->set.price_currency},
                       .fleet = s->fleet,
                       .shadows = s->shadows,
                       .gateway = s->gateway,
                       .journal = s->journal,
                       .db = s->db,
                       .map = s->map,
                       .want_map = want_map,
                       .portal_dir = s->set.portal,
                       .version = MC_VERSION,
                       .hosts = s->set.names,
                       .metrics_open = s->set.metrics_open,
                       .mount = s->mount,
                       .mount_count = sizeof s->mount / sizeof s->mount[0],
                       .ctx = s,
                       .decoder_lag_ms = decoder_lag_ms};
  MC_TRY(mc_api_create(&api, &s->api, why));
  mc_aws_config aws = {.registry = s->registry, .campaigns = s->campaigns, .shadows = s->shadows, .desk = mc_api_desk(s->api), .max_body = (size_t)s->set.aws_body_mb << 20};
  return mc_aws_create(&aws, &s->aws, why);
}

mc_err server_open(server *s, mc_why *why)
{
  s->loops = s->set.loops ? s->set.loops : (size_t)sysconf(_SC_NPROCESSORS_ONLN);
  if (s->loops > SERVER_MAX_LOOPS)
    s->loops = SERVER_MAX_LOOPS;
  char path[700];
  snprintf(path, sizeof path, "%s/ca.pem", s->set.data);
  if (access(path, F_OK)) /* a mistyped folder is not made */
    return mc_err_set(why, MC_ERR_NOT_FOUND, "%s is missing: run `motorcade init --data %s` first", path, s->set.data);
  snprintf(path, sizeof path, "%s/motorcade.db", s->set.data);
  MC_TRY(mc_db_open_sqlite(path, &s->db, why));
  MC_TRY(open_keys(s, why));
  MC_TRY(open_journal(s, why)); /* takes the folder's lock */
  MC_TRY(open_tls_and_registry(s, why));
  MC_TRY(open_readers(s, why));
  MC_TRY(data_out_open(s, why));
  MC_TRY(server_shadows_open(s, why));
  MC_TRY(check_extract(s, why));
  if (s->want_graph) /* who drives on it needs it first */
    MC_TRY(open_map(s, why));
  return open_gateway_and_api(s, why);
}

/* ---- listening ---- */

static const mc_conn_handler *choose(void *ctx, mc_alpn alpn, const mc_conn *conn)
{
  server_loop *l = ctx;
  mc_conn *c = (mc_conn *)conn; /* only its user pointer is set */
  if (alpn == MC_ALPN_MQTT_CERT || alpn == MC_ALPN_MQTT) {
    mc_conn_set_user(c, l->gateway_ctx);
    return mc_gateway_handler();
  }
  if (alpn == MC_ALPN_OTHER)
    return NULL;
  mc_conn_set_user(c, mc_api_http(l->server->api));
  return mc_http_server_handler();
}

static mc_err listen_on(server *s, size_t i, mc_why *why)
{
  server_loop *l = &s->loop[i];
  l->gateway_ctx = mc_gateway_loop_ctx(s->gateway, i);
  if (s->set.http_port || s->http_port) {
    mc_listener_config http = {.host = "127.0.0.1",
                               .port = i ? s->http_port : s->set.http_port,
                               .reuse_port = true,
                               .handler = mc_http_server_handler(),
                               .ctx = mc_api_http(s->api)};
    MC_TRY(mc_listener_create(l->loop, &http, &l->http, why));
    s->http_port = mc_listener_port(l->http);
  }
  if (s->set.tls_port || s->tls_port) {
    mc_listener_config shared = {.host = s->set.listen,
                                 .port = i ? s->tls_port : s->set.tls_port,
                                 .reuse_port = true,
                                 .tls = s->tls,
                                 .handshake_timeout_ms = (int)s->set.tls_handshake_ms,
                                 .max_handshakes = (int)s->set.tls_handshakes,
                                 .max_waiting = (int)s->set.tls_waiting,
                                 .gate = s->gate,
                                 .choose = choose,
                                 .ctx = l};
    MC_TRY(mc_listener_create(l->loop, &shared, &l->shared, why));
    s->tls_port = mc_listener_port(l->shared);
  }
  return MC_OK;
}

static void *run_loop(void *arg)
{
  mc_thread_name("loop");
  mc_loop_run(((server_loop *)arg)->loop);
  return NULL;
}

static mc_err require_ports(const server *s, mc_why *why)
{
  MC_TRY(port_require_free("127.0.0.1", s->set.http_port, "http-port", why));
  MC_TRY(port_require_free(s->set.listen, s->set.mqtt_port, "mqtt-port", why));
  MC_TRY(port_require_free(s->set.listen, s->set.tls_port, "tls-port", why));
  return s->set.insecure_dev ? port_require_free("127.0.0.1", s->set.dev_port, "dev-port", why) : MC_OK;
}

mc_err server_start(server *s, mc_why *why)
{
  MC_TRY(require_ports(s, why));
  MC_TRY(mc_gateway_listen(s->gateway, s->set.listen, s->set.mqtt_port, s->tls, s->set.insecure_dev ? s->set.dev_port : 0, why));
  for (size_t i = 0; i < s->loops; i++)
    MC_TRY(listen_on(s, i, why));
  MC_TRY(mc_api_start_live(s->api, s->loop[s->loops - 1].loop, why));
  s->mqtt_port = s->set.mqtt_port ? mc_gateway_port(s->gateway, false) : 0;
  s->dev_port = s->set.insecure_dev ? mc_gateway_port(s->gateway, true) : 0;
  for (size_t i = 0; i < s->loops; i++) {
    if (pthread_create(&s->loop[i].thread, NULL, run_loop, &s->loop[i]))
      return mc_err_set(why, MC_ERR_MEMORY, "cannot start loop thread %zu", i);
    s->loop[i].running = true;
  }
  MC_TRY(server_decoder_start(s, why));
  MC_TRY(mc_shadows_start(s->shadows, why));
  return mc_delivery_start(s->delivery, why);
}

/* Listeners belong to their loop's thread. */
typedef struct close_listeners {
  mc_post post;
  server_loop *loop;
} close_listeners;

static void run_close(mc_post *post)
{
  server_loop *l = ((close_listeners *)post)->loop;
  mc_listener_destroy(&l->http);
  mc_listener_destroy(&l->shared);
}

void server_stop(server *s)
{
  static close_listeners closing[SERVER_MAX_LOOPS];
  for (size_t i = 0; i < s->loops; i++) {
    closing[i] = (close_listeners){{.run = run_close}, &s->loop[i]};
    if (s->loop[i].running)
      mc_loop_post(s->loop[i].loop, &closing[i].post);
  }
  mc_aws_stop(s->aws);
  if (s->api)
    mc_api_stop(s->api);
  if (s->delivery)
    mc_delivery_stop(s->delivery);
  if (s->shadows) /* before those who would hear its answers are gone */
    mc_shadows_stop(s->shadows);
  if (s->gateway)
    mc_gateway_stop(s->gateway);
  server_decoder_stop(s);
  for (size_t i = 0; i < s->loops; i++)
    if (s->loop[i].running) {
      mc_loop_stop(s->loop[i].loop);
      pthread_join(s->loop[i].thread, NULL);
      s->loop[i].running = false;
    }
  if (s->map_making)
    pthread_join(s->map_maker, NULL);
  atomic_store(&s->recheck, NULL);
  mc_tls_quiet(s->tls);
  mc_aws_destroy(&s->aws);
  mc_api_destroy(&s->api);
  mc_gateway_destroy(&s->gateway);
  for (size_t i = 0; i < s->loops; i++)
    if (s->loop[i].loop) {
      mc_listener_destroy(&s->loop[i].http);
      mc_listener_destroy(&s->loop[i].shared);
      mc_loop_destroy(&s->loop[i].loop);
    }
  data_out_close(s);
  mc_shadows_close(&s->shadows);
  mc_campaigns_close(&s->campaigns);
  mc_fleet_close(&s->fleet);
  mc_store_close(&s->store);
  mc_twin_close(&s->twin);
  mc_registry_close(&s->registry);
  mc_journal_close(&s->journal);
  mc_keyring_close(&s->keyring);
  mc_db_close(&s->db);
  mc_master_close(&s->master);
  mc_master_close(&s->access_key_file);
  mc_geo_map_destroy(&s->map);
  mc_geo_graph_destroy(&s->graph);
  mc_tls_destroy(&s->tls);
  mc_gate_destroy(&s->gate);
}
