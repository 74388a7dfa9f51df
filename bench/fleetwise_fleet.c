/* motorcade bench fleetwise, checkin-100k and rollout-10k: a fleet that checks in, and a campaign that changes under it. A server of its own; vehicles speak over the
 * plain loopback port, where one connection may speak for many. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/motorcade/http_call.h"
#include "base/clock.h"
#include "bench/bench.h"
#include "format/fleetwise.h"
#include "net/net.h"

enum { CAMPAIGNS = 5, IDS_MAX = 16, ID_SIZE = 160, LONGEST_WAIT_S = 120 };

/* What a vehicle holds: the ids of its check-in. */
typedef struct held {
  char id[IDS_MAX][ID_SIZE];
  uint32_t count;
} held;

static mc_err write_checkin(mc_buf *out, const held *h)
{
  mc_slice id[IDS_MAX];
  for (uint32_t i = 0; i < h->count; i++)
    id[i] = mc_slice_str(h->id[i]);
  mc_buf_clear(out);
  return mc_fw_write_checkin(out, &(mc_fw_checkin){.sync_id = id, .sync_id_count = h->count, .time_ms = (uint64_t)mc_clock_wall_us() / 1000});
}

static mc_err hold(held *h, mc_slice id)
{
  if (h->count == IDS_MAX || id.len >= ID_SIZE)
    return MC_ERR_TOO_LARGE;
  mc_slice_to_str(id, h->id[h->count++], ID_SIZE);
  return MC_OK;
}

/* ---- the platform's side ---- */

static mc_err open_call(const bench_server *s, http_call *call, mc_why *why)
{
  mc_err err = MC_OK;
  for (int i = 0; i < 100; i++) { /* local.json is written a moment after the ports open */
    err = http_call_open(s->dir, call, why);
    if (!err)
      return MC_OK;
    usleep(20000);
  }
  return err;
}

static mc_err import_manifest(const http_call *call, mc_why *why)
{
  mc_buf dbc = {0};
  mc_err err = mc_buf_append_str(&dbc, "VERSION \"\"\nNS_ :\nBS_:\nBU_: A\n");
  for (int m = 0; m < 50 && !err; m++)
    err = mc_buf_printf(&dbc, "BO_ %d M%d: 8 A\n SG_ A : 0|16@1+ (0.25,0) [0|0] \"\" A\n SG_ B : 16|16@1+ (1,0) [0|0] \"\" A\n", 0x100 + m, m);
  json_t *body = err ? NULL : json_pack("{s:s, s:s, s:s%}", "name", "bench", "interface", "can0", "dbc", (const char *)dbc.data, dbc.len);
  err = body ? http_call_json(call, "POST", "/api/v1/manifests", body, NULL, why) : mc_err_set(why, MC_ERR_MEMORY, "no memory for a DBC");
  json_decref(body);
  mc_buf_free(&dbc);
  return err;
}

static json_t *campaign_body(const char *name, int period_ms)
{
  json_t *signals = json_array();
  for (int i = 0; i < 10; i++) {
    char fqn[64];
    snprintf(fqn, sizeof fqn, "Vehicle.M%d.A", i);
    json_array_append_new(signals, json_pack("{s:s}", "fqn", fqn));
  }
  json_t *body = json_pack("{s:s, s:s, s:s, s:i, s:o}", "target_kind", "manifest", "target", "bench", "kind", "time", "period_ms", period_ms, "signals", signals);
  if (name) {
    json_object_set_new(body, "name", json_string(name));
    json_object_set_new(body, "start_now", json_true());
  }
  return body;
}

/* *changing: the first one's number. */
static mc_err make_campaigns(const http_call *call, json_int_t *changing, mc_why *why)
{
  for (int i = 0; i < CAMPAIGNS; i++) {
    char name[32];
    json_t *reply = NULL;
    snprintf(name, sizeof name, "bench-%d", i);
    json_t *body = campaign_body(name, 60000);
    mc_err err = http_call_json(call, "POST", "/api/v1/campaigns", body, &reply, why);
    json_decref(body);
    if (err)
      return err;
    if (i == 0)
      *changing = json_integer_value(json_object_get(reply, "id"));
    json_decref(reply);
  }
  return MC_OK;
}

static mc_err wait_checkins(const bench_server *s, double count, mc_why *why)
{
  double until = bench_now_s() + LONGEST_WAIT_S, seen = 0;
  while (bench_now_s() < until) {
    seen = bench_metric(s, "motorcade_checkins", NULL);
    if (seen >= count)
      return MC_OK;
    usleep(50000);
  }
  return mc_err_set(why, MC_ERR_TIMEOUT, "%.0f of %.0f check-ins were read", seen, count);
}

/* ---- clients ---- */

typedef struct loader loader;
/* A connection. */
typedef struct client {
  loader *owner;
  mc_mqtt_client *mqtt;
  uint32_t index;
  bool subscribed;
  double got_s; /* when the document came that is waited for; 0: not yet */
} client;

struct loader {
  mc_loop *loop;
  client *one;
  uint32_t count, connected, subscribed, got;
  uint64_t sent, acked, refused, lost;
  char text[200];       /* why the last one was refused or lost */
  held now;             /* what documents that came say; the manifest first */
  char awaited[ID_SIZE]; /* a list without this id is the new one; empty: nothing is waited for */
  bool manifest, schemes;
  mc_err problem;
};

static void on_connected(void *ctx, bool present)
{
  client *c = ctx;
  c->owner->connected++;
}

static void on_disconnected(void *ctx, mc_err err, uint8_t code, const char *text)
{
  loader *l = ((client *)ctx)->owner;
  l->lost++;
  snprintf(l->text, sizeof l->text, "%s", text ? text : mc_err_text(err));
}

static void on_acked(void *ctx, uint64_t token, mc_err err, uint8_t code)
{
  loader *l = ((client *)ctx)->owner;
  l->acked += !err && code < 0x80;
  l->refused += err || code >= 0x80;
}

static void on_subscribed(void *ctx, uint16_t packet_id, const uint8_t *code, size_t count)
{
  client *c = ctx;
  if (count && code[0] < 0x80 && !c->subscribed) {
    c->subscribed = true;
    c->owner->subscribed++;
  }
}

static bool ends(mc_slice a, mc_slice end)
{
  return a.len >= end.len && memcmp(a.data + a.len - end.len, end.data, end.len) == 0;
}

static mc_err learn(loader *l, mc_slice topic, mc_slice payload)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_manifest m;
  mc_fw_schemes s;
  if (ends(topic, MC_LIT("/decoder_manifests"))) {
    MC_TRY(mc_fw_read_manifest(payload, &arena, &m, NULL));
    l->manifest = true;
    return hold(&l->now, m.sync_id);
  }
  if (!ends(topic, MC_LIT("/collection_schemes")))
    return MC_OK;
  MC_TRY(mc_fw_read_schemes(payload, &arena, &s, NULL));
  l->schemes = true;
  l->now.count = l->now.count ? 1 : 0; /* the manifest stays */
  for (uint32_t i = 0; i < s.scheme_count; i++)
    MC_TRY(hold(&l->now, s.scheme[i].campaign_sync_id));
  return MC_OK;
}

/* Without an id that is waited for to go, documents are read; else the list is looked at, and read once. */
static void on_message(void *ctx, const mc_mqtt_publish *m)
{
  client *c = ctx;
  loader *l = c->owner;
  bool new_list = l->awaited[0] && ends(m->topic, MC_LIT("/collection_schemes")) && !memmem(m->payload.data, m->payload.len, l->awaited, strlen(l->awaited));
  if (l->awaited[0] && (!new_list || c->got_s > 0))
    return;
  if (new_list) {
    c->got_s = bench_now_s();
    l->got++;
  }
  if ((!new_list || l->got == 1) && learn(l, m->topic, m->payload))
    l->problem = MC_ERR_MALFORMED;
}

static mc_err client_open(loader *l, uint32_t index, const char *name, uint16_t port, mc_why *why)
{
  client *c = &l->one[index];
  *c = (client){.owner = l, .index = index};
  mc_mqtt_client_config config = {.host = "127.0.0.1", .port = port, .version = MC_MQTT_5, .client_id = mc_slice_str(name), .clean = true, .keep_alive_s = 1200, .max_inflight = 64,
                                  .ctx = c, .connected = on_connected, .disconnected = on_disconnected, .message = on_message, .acked = on_acked, .subscribed = on_subscribed};
  MC_TRY(mc_mqtt_client_create(l->loop, &config, &c->mqtt, why));
  mc_mqtt_client_start(c->mqtt);
  return MC_OK;
}

static mc_err gone(const loader *l, const char *doing, mc_why *why)
{
  return mc_err_set(why, MC_ERR_CLOSED, "%s: %u of %u connected, %u subscribed, %llu of %llu messages acknowledged, %llu refused, %llu connections lost: %s", doing, l->connected,
                    l->count, l->subscribed, (unsigned long long)l->acked, (unsigned long long)l->sent, (unsigned long long)l->refused, (unsigned long long)l->lost, l->text);
}

/* Named <prefix>0 ..; a hundred on their way at a time. */
static mc_err loader_open(loader *l, uint32_t count, const char *prefix, uint16_t port, mc_why *why)
{
  enum { AT_ONCE = 100 };
  struct rlimit files;
  *l = (loader){.count = count, .one = calloc(count, sizeof *l->one)};
  if (!l->one)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for %u clients", count);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  MC_TRY(mc_loop_create(&l->loop, why));
  double until = bench_now_s() + LONGEST_WAIT_S;
  for (uint32_t begun = 0; l->connected < count && !l->lost && bench_now_s() < until;) {
    for (; begun < count && begun < l->connected + AT_ONCE; begun++) {
      char name[40];
      snprintf(name, sizeof name, "%s%u", prefix, begun);
      MC_TRY(client_open(l, begun, name, port, why));
    }
    mc_loop_turn(l->loop, 10);
  }
  return l->connected == count ? MC_OK : gone(l, "connecting", why);
}

static void loader_close(loader *l)
{
  for (uint32_t i = 0; l->one && i < l->count; i++)
    if (l->one[i].mqtt)
      mc_mqtt_client_stop(l->one[i].mqtt);
  for (int i = 0; l->loop && i < 20; i++)
    mc_loop_turn(l->loop, 5);
  for (uint32_t i = 0; l->one && i < l->count; i++)
    mc_mqtt_client_destroy(&l->one[i].mqtt);
  mc_loop_destroy(&l->loop);
  free(l->one);
}

static mc_err subscribe(loader *l, uint32_t client_index, uint32_t vehicle, const char *documents, mc_why *why)
{
  char filter[120];
  uint16_t id;
  snprintf(filter, sizeof filter, "cms/fleetwise/vehicles/bench-%u/%s", vehicle, documents);
  mc_mqtt_filter f = {.filter = mc_slice_str(filter), .qos = 1};
  mc_err err = mc_mqtt_client_subscribe(l->one[client_index].mqtt, &f, 1, &id);
  return err ? mc_err_set(why, err, "subscribing to %s: %s", filter, mc_err_text(err)) : MC_OK;
}

/* One check-in of a vehicle; false: the client's window is full. */
static bool checkin(loader *l, uint32_t client_index, uint32_t vehicle, const mc_buf *payload)
{
  char topic[120];
  snprintf(topic, sizeof topic, "cms/fleetwise/vehicles/bench-%u/checkins", vehicle);
  if (mc_mqtt_client_publish(l->one[client_index].mqtt, mc_slice_str(topic), mc_buf_slice(payload), 1, false, vehicle))
    return false;
  l->sent++;
  return true;
}

/* Vehicles first .. first + count - 1 in turn, at a rate (0: as fast as acknowledged), until all are acknowledged. */
static mc_err checkins(loader *l, uint32_t first, uint32_t count, double per_s, mc_why *why)
{
  mc_buf payload = {0};
  double began = bench_now_s(), until = began + LONGEST_WAIT_S + (per_s > 0 ? count / per_s : 0);
  uint64_t goal = l->acked + count;
  mc_err err = MC_OK;
  for (uint32_t n = 0; l->acked < goal && !l->lost && !l->refused && !err && bench_now_s() < until;) {
    double due = per_s > 0 ? (bench_now_s() - began) * per_s : count;
    err = write_checkin(&payload, &l->now);
    while (n < count && n < due && !err && checkin(l, (first + n) % l->count, first + n, &payload))
      n++;
    mc_loop_turn(l->loop, per_s > 0 ? 1 : 5);
  }
  mc_buf_free(&payload);
  if (err || l->acked < goal)
    return gone(l, "checking in", why);
  return MC_OK;
}

/* What a vehicle is sent that holds nothing: from then on every other one says that it holds it. */
static mc_err learn_documents(loader *l, mc_why *why)
{
  MC_TRY(subscribe(l, 0, 0, "#", why));
  double until = bench_now_s() + 20;
  while (!l->subscribed && bench_now_s() < until)
    mc_loop_turn(l->loop, 10);
  MC_TRY(checkins(l, 0, 1, 0, why));
  while ((!l->manifest || !l->schemes) && !l->problem && bench_now_s() < until)
    mc_loop_turn(l->loop, 10);
  if (l->problem || l->now.count != 1 + CAMPAIGNS)
    return mc_err_set(why, MC_ERR_INVALID, "a vehicle that holds nothing was sent %u documents, not %d", l->now.count, 1 + CAMPAIGNS);
  return MC_OK;
}

/* ---- checkin-100k ---- */

enum { FLEET = 100000, PERIOD_S = 120, CLIENTS = 64 };

typedef struct checkin_result {
  double cores, idle_cores, cpu_us, seconds, rss_kib;
  uint32_t checkins;
  size_t bytes;
} checkin_result;

static double cores_of(const bench_server *s, double seconds)
{
  double cpu = bench_cpu_s(&s->process), began = bench_now_s();
  usleep((useconds_t)(seconds * 1e6));
  return (bench_cpu_s(&s->process) - cpu) / (bench_now_s() - began);
}

static mc_err measure_checkins(const bench_options *o, const bench_server *s, loader *l, checkin_result *out, mc_why *why)
{
  mc_buf payload = {0};
  double read = bench_metric(s, "motorcade_checkins", NULL);
  MC_TRY(checkins(l, 0, FLEET, 0, why)); /* all are known, and hold what they should */
  MC_TRY(wait_checkins(s, read + FLEET, why));
  usleep(20000000); /* a checkpoint later they are written */
  double sent = bench_metric(s, "motorcade_campaign_documents_sent", NULL);
  *out = (checkin_result){.idle_cores = cores_of(s, o->quick ? 5 : 30), .checkins = o->quick ? FLEET / 8 : FLEET};
  double cpu = bench_cpu_s(&s->process), began = bench_now_s();
  MC_TRY(checkins(l, 0, out->checkins, (double)FLEET / PERIOD_S, why));
  out->seconds = bench_now_s() - began;
  out->cores = (bench_cpu_s(&s->process) - cpu) / out->seconds;
  out->cpu_us = (bench_cpu_s(&s->process) - cpu) * 1e6 / out->checkins;
  out->rss_kib = bench_rss_kib(&s->process);
  MC_TRY(wait_checkins(s, read + FLEET + out->checkins, why));
  MC_TRY(write_checkin(&payload, &l->now));
  out->bytes = payload.len;
  mc_buf_free(&payload);
  double after = bench_metric(s, "motorcade_campaign_documents_sent", NULL);
  if (after != sent)
    return mc_err_set(why, MC_ERR_INVALID, "%.0f documents were sent to vehicles that hold what they should (%.0f before); %.0f ids unknown", after - sent, sent,
                      bench_metric(s, "motorcade_checkin_ids_unknown", NULL));
  return MC_OK;
}

static void print_checkins(const bench_options *o, const checkin_result *r)
{
  bench_line line = {.bench = "fleetwise", .name = "checkin-100k", .unit = "cores", .lower_is_better = true, .ours = r->cores, .cpu_us_per_unit = r->cpu_us, .rss_kib = r->rss_kib};
  snprintf(line.conditions, sizeof line.conditions,
           "processor time of the server a second while %d vehicles check in every %d s, %u of them in %.0f s, spread evenly; each names its manifest and %d campaigns (%zu B, QoS 1), is "
           "compared with what it should hold, and nothing is to be sent; checkpoints and the saving of check-ins included; %d connections without TLS speak for all; with nobody "
           "checking in it takes %.4f; cpu is of one check-in",
           FLEET, PERIOD_S, r->checkins, r->seconds, CAMPAIGNS, r->bytes, CLIENTS, r->idle_cores);
  bench_print(o, &line);
}

/* ---- rollout-10k ---- */

enum { CONNECTED = 10000, ROUNDS = 3 };

typedef struct change {
  const http_call *call;
  char path[80];
  int period_ms;
  _Atomic bool done;
  mc_err err;
  mc_why why;
  double took_s;
} change;

static void *make_change(void *arg)
{
  change *c = arg;
  double began = bench_now_s();
  json_t *body = campaign_body(NULL, c->period_ms);
  c->err = http_call_json(c->call, "PUT", c->path, body, NULL, &c->why);
  json_decref(body);
  c->took_s = bench_now_s() - began;
  atomic_store(&c->done, true);
  return NULL;
}

typedef struct rollout_result {
  double last_s[ROUNDS], p50_s[ROUNDS], answer_s[ROUNDS], cpu_us[ROUNDS];
  double rss_kib;
} rollout_result;

static mc_err one_rollout(const bench_server *s, loader *l, const http_call *call, json_int_t id, int round, rollout_result *out, mc_why *why)
{
  pthread_t thread;
  change c = {.call = call, .period_ms = 61000 + round * 1000};
  double *wait = calloc(l->count, sizeof *wait);
  if (!wait)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for times");
  snprintf(c.path, sizeof c.path, "/api/v1/campaigns/%" JSON_INTEGER_FORMAT, id);
  for (uint32_t i = 1; i < l->now.count; i++)
    if (strncmp(l->now.id[i], "bench-0-", 8) == 0)
      snprintf(l->awaited, sizeof l->awaited, "%s", l->now.id[i]);
  for (uint32_t i = 0; i < l->count; i++)
    l->one[i].got_s = 0;
  l->got = 0;
  double cpu = bench_cpu_s(&s->process), began = bench_now_s();
  if (pthread_create(&thread, NULL, make_change, &c)) {
    free(wait);
    return mc_err_set(why, MC_ERR_MEMORY, "cannot start a thread");
  }
  while ((l->got < l->count || !atomic_load(&c.done)) && !l->lost && !l->problem && bench_now_s() < began + LONGEST_WAIT_S)
    mc_loop_turn(l->loop, 10);
  pthread_join(thread, NULL);
  l->awaited[0] = 0;
  for (uint32_t i = 0; i < l->count; i++)
    wait[i] = l->one[i].got_s - began;
  uint32_t got = l->got;
  if (got == l->count) {
    out->p50_s[round] = bench_median(wait, (int)got); /* sorts them */
    out->last_s[round] = wait[got - 1];
    out->answer_s[round] = c.took_s;
    out->cpu_us[round] = (bench_cpu_s(&s->process) - cpu) * 1e6 / got;
  }
  free(wait);
  if (c.err)
    return mc_err_set(why, c.err, "changing the campaign: %s", c.why.text);
  return got == l->count && !l->problem ? MC_OK : mc_err_set(why, MC_ERR_TIMEOUT, "%u of %u vehicles had the changed campaign after %.0f s; %s", got, l->count, bench_now_s() - began, l->text);
}

static mc_err subscribe_all(loader *l, mc_why *why)
{
  double until = bench_now_s() + LONGEST_WAIT_S;
  for (uint32_t i = 0; i < l->count; i++) {
    if (!l->one[i].subscribed)
      MC_TRY(subscribe(l, i, i, "collection_schemes", why));
    if (i % 100 == 0)
      mc_loop_turn(l->loop, 0);
  }
  while (l->subscribed < l->count && !l->lost && bench_now_s() < until)
    mc_loop_turn(l->loop, 10);
  return l->subscribed == l->count ? MC_OK : gone(l, "subscribing", why);
}

static mc_err measure_rollout(const bench_server *s, loader *l, const http_call *call, json_int_t id, rollout_result *out, mc_why *why)
{
  MC_TRY(subscribe_all(l, why));
  for (int round = 0; round < ROUNDS; round++) {
    double read = bench_metric(s, "motorcade_checkins", NULL);
    MC_TRY(checkins(l, 0, l->count, 0, why)); /* each holds what came last */
    MC_TRY(wait_checkins(s, read + l->count, why));
    MC_TRY(one_rollout(s, l, call, id, round, out, why));
  }
  out->rss_kib = bench_rss_kib(&s->process);
  return MC_OK;
}

static void print_rollout(const bench_options *o, rollout_result *r)
{
  bench_line line = {.bench = "fleetwise", .name = "rollout-10k", .unit = "s", .lower_is_better = true, .ours = bench_median(r->last_s, ROUNDS), .rss_kib = r->rss_kib};
  line.cpu_us_per_unit = bench_median(r->cpu_us, ROUNDS);
  snprintf(line.conditions, sizeof line.conditions,
           "from the request that changes a campaign to its arrival at the last of %d connected vehicles, each with %d campaigns, that had confirmed what they held; QoS 1, without TLS, the "
           "loader on the same machine; arrival p50 %.2f s; the request was answered after %.2f s; cpu is of the server for one vehicle; fdatasync of 16 KiB %.2f ms; median of %d",
           CONNECTED, CAMPAIGNS, bench_median(r->p50_s, ROUNDS), bench_median(r->answer_s, ROUNDS), bench_fsync_ms(o->dir), ROUNDS);
  bench_print(o, &line);
}

/* ---- both ---- */

static mc_err set_up(const bench_options *o, uint32_t vehicles, bench_server *s, http_call *call, json_int_t *changing, mc_why *why)
{
  MC_TRY(bench_start_motorcade_fleet(o, vehicles, "bench", s, why));
  MC_TRY(open_call(s, call, why));
  MC_TRY(import_manifest(call, why));
  return make_campaigns(call, changing, why);
}

static mc_err run_checkins(const bench_options *o, mc_why *why)
{
  bench_server s;
  http_call call;
  json_int_t changing;
  loader l = {0};
  checkin_result r;
  mc_err err = set_up(o, FLEET, &s, &call, &changing, why);
  if (!err)
    err = loader_open(&l, CLIENTS, "loader-", s.plain, why);
  if (!err)
    err = learn_documents(&l, why);
  if (!err)
    err = measure_checkins(o, &s, &l, &r, why);
  if (!err)
    print_checkins(o, &r);
  loader_close(&l);
  bench_stop(&s);
  return err;
}

static mc_err run_rollout(const bench_options *o, mc_why *why)
{
  bench_server s;
  http_call call;
  json_int_t changing = 0;
  loader l = {0};
  rollout_result r;
  mc_err err = set_up(o, CONNECTED, &s, &call, &changing, why);
  if (!err)
    err = loader_open(&l, CONNECTED, "bench-", s.plain, why);
  if (!err)
    err = learn_documents(&l, why);
  if (!err)
    err = measure_rollout(&s, &l, &call, changing, &r, why);
  if (!err)
    print_rollout(o, &r);
  loader_close(&l);
  bench_stop(&s);
  return err;
}

int bench_fleetwise_fleet(const bench_options *o)
{
  static const struct {
    const char *name;
    mc_err (*run)(const bench_options *o, mc_why *why);
  } cases[] = {{"checkin-100k", run_checkins}, {"rollout-10k", run_rollout}};
  int failed = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mc_why why = {0};
    if (!bench_wanted(o, cases[i].name) || cases[i].run(o, &why) == MC_OK)
      continue;
    fprintf(stderr, "bench fleetwise %s: %s\n", cases[i].name, why.text);
    failed = 1;
  }
  return failed;
}
