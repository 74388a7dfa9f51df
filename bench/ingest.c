/* motorcade bench ingest: FleetWise protobufs over mutual TLS until their samples are decoded, durable and queryable. */
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
#include "bench/telemetry_load.h"

enum { VEHICLES = 50 };

/* ---- the platform's side: names, counters, queries ---- */

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

static mc_err make_dbc(mc_buf *out)
{
  mc_err err = mc_buf_append_str(out, "VERSION \"\"\nNS_ :\nBS_:\nBU_: A\n");
  for (int m = 0; m < 3 && !err; m++) {
    err = mc_buf_printf(out, "BO_ %d M%d: 8 A\n", 0x100 + m, m);
    for (int s = 0; s < 4 && m * 4 + s < TELEMETRY_SIGNALS && !err; s++)
      err = mc_buf_printf(out, " SG_ S%d : %d|16@1+ (0.25,0) [0|0] \"km/h\" A\n", s, 16 * s);
  }
  return err;
}

static mc_err import_manifest(const http_call *call, telemetry_names *names, mc_why *why)
{
  mc_buf dbc = {0};
  json_t *reply = NULL, *item;
  size_t i;
  MC_TRY(make_dbc(&dbc));
  json_t *body = json_pack("{s:s, s:s, s:s%}", "name", "bench", "interface", "can0", "dbc", (const char *)dbc.data, dbc.len);
  mc_err err = http_call_json(call, "POST", "/api/v1/manifests", body, &reply, why);
  json_decref(body);
  mc_buf_free(&dbc);
  if (err)
    return err;
  snprintf(names->manifest, sizeof names->manifest, "%s", json_string_value(json_object_get(reply, "sync_id")));
  json_decref(reply);
  MC_TRY(http_call_json(call, "GET", "/api/v1/manifests/bench/signals", NULL, &reply, why));
  json_t *items = json_object_get(reply, "items");
  if (json_array_size(items) != TELEMETRY_SIGNALS)
    err = mc_err_set(why, MC_ERR_INVALID, "the manifest has %zu signals, not %d", json_array_size(items), TELEMETRY_SIGNALS);
  json_array_foreach (items, i, item) {
    if (i < TELEMETRY_SIGNALS)
      names->signal[i] = (uint32_t)json_integer_value(json_object_get(item, "id"));
  }
  json_decref(reply);
  return err;
}

static mc_err set_manifests(const http_call *call, json_int_t *first_vehicle, mc_why *why)
{
  json_t *reply = NULL, *item;
  size_t i;
  mc_err err = MC_OK;
  MC_TRY(http_call_json(call, "GET", "/api/v1/vehicles?limit=1000", NULL, &reply, why));
  json_array_foreach (json_object_get(reply, "items"), i, item) {
    char path[80];
    json_int_t id = json_integer_value(json_object_get(item, "id"));
    const char *name = json_string_value(json_object_get(item, "name"));
    if (name && !strcmp(name, "bench-0"))
      *first_vehicle = id;
    snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT, id);
    json_t *body = json_pack("{s:s}", "manifest", "bench");
    if (!err)
      err = http_call_json(call, "PATCH", path, body, NULL, why);
    json_decref(body);
  }
  json_decref(reply);
  return err;
}

static mc_err make_campaign(const http_call *call, telemetry_names *names, mc_why *why)
{
  json_t *signals = json_array(), *reply = NULL;
  for (int i = 0; i < TELEMETRY_SIGNALS; i++) {
    char fqn[64];
    snprintf(fqn, sizeof fqn, "Vehicle.M%d.S%d", i / 4, i % 4);
    json_array_append_new(signals, json_pack("{s:s}", "fqn", fqn));
  }
  json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:o}", "name", "bench", "target_kind", "manifest", "target", "bench", "kind",
                           "time", "period_ms", 1000, "start_now", 1, "signals", signals);
  mc_err err = http_call_json(call, "POST", "/api/v1/campaigns", body, &reply, why);
  json_decref(body);
  if (err)
    return err;
  const char *sync = json_string_value(json_object_get(reply, "sync_id"));
  if (!sync || !*sync)
    err = mc_err_set(why, MC_ERR_INVALID, "the campaign has no sync id");
  else
    snprintf(names->campaign, sizeof names->campaign, "%s", sync);
  json_decref(reply);
  return err;
}

/* A gauge of /metrics, or -1. */
static double gauge(const mc_buf *text, const char *name)
{
  char line[100];
  snprintf(line, sizeof line, "\n%s ", name);
  const char *at = memmem(text->data, text->len, line, strlen(line));
  return at ? strtod(at + strlen(line), NULL) : -1;
}

typedef struct counters {
  double messages, undecodable, repeats, rows;
} counters;

static mc_err read_counters(const http_call *call, counters *out, mc_why *why)
{
  mc_buf text = {0};
  mc_err err = bench_http_get(call->port, call->token, "/metrics", &text, why);
  if (!err && mc_buf_append_u8(&text, 0) == MC_OK) {
    *out = (counters){gauge(&text, "motorcade_telemetry_messages"), gauge(&text, "motorcade_telemetry_undecodable"),
                      gauge(&text, "motorcade_telemetry_repeats"),
                      gauge(&text, "motorcade_store_rows_segments") + gauge(&text, "motorcade_store_rows_memory")};
    if (out->messages < 0)
      err = mc_err_set(why, MC_ERR_NOT_FOUND, "/metrics does not tell motorcade_telemetry_messages");
  }
  mc_buf_free(&text);
  return err;
}

/* Waits until everything acknowledged is decoded and its rows can be read. */
static mc_err wait_visible(const http_call *call, uint64_t messages, counters *c, mc_why *why)
{
  double until = bench_now_s() + 60;
  for (;;) {
    MC_TRY(read_counters(call, c, why));
    if (c->undecodable || c->repeats)
      return mc_err_set(why, MC_ERR_INVALID, "%.0f messages could not be decoded, %.0f were taken for repeats", c->undecodable, c->repeats);
    if (c->messages >= (double)messages)
      return c->rows == (double)messages * TELEMETRY_SAMPLES
                 ? MC_OK
                 : mc_err_set(why, MC_ERR_INVALID, "%.0f rows are in the store, %.0f samples were sent", c->rows,
                              (double)messages * TELEMETRY_SAMPLES);
    if (bench_now_s() > until)
      return mc_err_set(why, MC_ERR_TIMEOUT, "%.0f of %llu messages were decoded a minute after the last", c->messages,
                        (unsigned long long)messages);
    usleep(20000);
  }
}

/* ---- publish to visible, at half load ---- */

/* motorcade_visible_seconds: the server's own clock, from a message's arrival until its samples can be read, for every message. */
enum { BOUNDS = 64 };
typedef struct visible_times {
  int bounds;
  double bound_s[BOUNDS], below[BOUNDS]; /* messages that took at most bound_s */
} visible_times;

static mc_err read_visible_times(const http_call *call, visible_times *out, mc_why *why)
{
  static const char head[] = "motorcade_visible_seconds_bucket{le=\"";
  mc_buf text = {0};
  out->bounds = 0;
  mc_err err = bench_http_get(call->port, call->token, "/metrics", &text, why);
  if (!err)
    err = mc_buf_append_u8(&text, 0);
  for (const char *at = err ? NULL : (const char *)text.data; at && out->bounds < BOUNDS;) {
    at = strstr(at, head);
    if (!at)
      break;
    char *end;
    out->bound_s[out->bounds] = strtod(at + sizeof head - 1, &end);
    out->below[out->bounds++] = strtod(end + 2, NULL);
    at = end;
  }
  mc_buf_free(&text);
  return !err && !out->bounds ? mc_err_set(why, MC_ERR_NOT_FOUND, "/metrics does not tell motorcade_visible_seconds") : err;
}

/* Milliseconds within which a share of the messages between two readings became visible; between two bounds by interpolation. */
static double visible_within_ms(const visible_times *before, const visible_times *after, double share)
{
  int n = after->bounds;
  double total = after->below[n - 1] - before->below[n - 1], last_s = 0, last = 0;
  for (int i = 0; i < n; i++) {
    double below = after->below[i] - before->below[i];
    if (below >= share * total && below > last)
      return 1000 * (i + 1 == n ? last_s : last_s + (after->bound_s[i] - last_s) * (share * total - last) / (below - last));
    last_s = after->bound_s[i];
    last = below;
  }
  return 0;
}

enum { PROBES = 400, SETTLE_S = 2 };
typedef struct probes {
  const http_call *call;
  telemetry_load *load;
  json_int_t vehicle;
  uint32_t signal;
  double next_s;
  _Atomic int64_t event_ms; /* of the probe under way; 0: none */
  double sent_s;
  double took_ms[PROBES];
  _Atomic int count;
  _Atomic bool stop;
} probes;

static bool visible(const probes *p, int64_t event_ms)
{
  char path[300], from[MC_CLOCK_TEXT], to[MC_CLOCK_TEXT];
  json_t *reply = NULL;
  mc_clock_format_us(event_ms * 1000, from);
  mc_clock_format_us(event_ms * 1000 + 1000, to);
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/history?signals=%u&from=%s&to=%s", p->vehicle, p->signal, from,
           to);
  if (http_call_json(p->call, "GET", path, NULL, &reply, NULL))
    return false;
  bool there = json_array_size(json_object_get(json_array_get(json_object_get(reply, "series"), 0), "time")) > 0;
  json_decref(reply);
  return there;
}

static void *watch(void *arg)
{
  probes *p = arg;
  while (!atomic_load(&p->stop)) {
    int64_t event_ms = atomic_load(&p->event_ms);
    if (!event_ms) {
      usleep(500);
      continue;
    }
    /* The API lets a client ask 100 times a second with a burst; near the expected time it is asked more often. */
    while (!visible(p, event_ms) && !atomic_load(&p->stop))
      usleep(bench_now_s() - p->sent_s < 0.02 ? 2000 : 12000);
    int n = atomic_load(&p->count);
    p->took_ms[n] = (bench_now_s() - p->sent_s) * 1000;
    atomic_store(&p->count, n + 1);
    atomic_store(&p->event_ms, 0);
  }
  return NULL;
}

static void maybe_probe(void *ctx)
{
  probes *p = ctx;
  double now = bench_now_s();
  if (now < p->next_s || atomic_load(&p->event_ms) || atomic_load(&p->count) >= PROBES)
    return;
  int64_t event_ms;
  p->sent_s = now;
  if (telemetry_load_probe(p->load, &event_ms))
    atomic_store(&p->event_ms, event_ms);
  p->next_s = now + 0.05;
}

typedef struct visibility {
  double p50_ms, p99_ms, all_p50_ms, all_p99_ms; /* of the probes, as a client sees them; of all messages, as the server counts */
  int probes;
} visibility;

static mc_err measure_visible(const bench_options *o, const http_call *call, telemetry_load *l, json_int_t vehicle, uint32_t signal,
                              double half, visibility *out, mc_why *why)
{
  probes p = {.call = call, .load = l, .vehicle = vehicle, .signal = signal};
  visible_times before, after;
  pthread_t thread;
  /* What full speed left behind (merges, the disk's own queue) belongs to full speed. */
  MC_TRY(telemetry_load_run(l, SETTLE_S, half, NULL, NULL, why));
  MC_TRY(read_visible_times(call, &before, why));
  if (pthread_create(&thread, NULL, watch, &p))
    return mc_err_set(why, MC_ERR_MEMORY, "cannot start the probing thread");
  mc_err err = telemetry_load_run(l, o->quick ? 4 : 8, half, maybe_probe, &p, why);
  usleep(200000);
  atomic_store(&p.stop, true);
  pthread_join(thread, NULL);
  int count = atomic_load(&p.count);
  if (!err && count < 1)
    return mc_err_set(why, MC_ERR_TIMEOUT, "no message became visible at half load");
  if (!err)
    err = read_visible_times(call, &after, why);
  if (!err)
    *out = (visibility){.p50_ms = bench_median(p.took_ms, count), /* sorts them */
                        .p99_ms = p.took_ms[count * 99 / 100],
                        .all_p50_ms = visible_within_ms(&before, &after, 0.5),
                        .all_p99_ms = visible_within_ms(&before, &after, 0.99),
                        .probes = count};
  return err;
}

/* ---- the case ---- */

typedef struct result {
  double per_s, cpu_us, rss_kib, loader_cores, message_bytes;
  visibility visible;
} result;

static double thread_cpu_s(void)
{
  struct rusage r;
  getrusage(RUSAGE_THREAD, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static mc_err measure_ours(const bench_options *o, const bench_server *s, telemetry_names *names, result *out, mc_why *why)
{
  enum { ROUNDS = 3 };
  http_call call;
  json_int_t vehicle = 0;
  telemetry_load *l = NULL;
  counters c;
  double rate[ROUNDS], cpu[ROUNDS], loader[ROUNDS];
  int rounds = o->quick ? 1 : ROUNDS;
  MC_TRY(open_call(s, &call, why));
  MC_TRY(import_manifest(&call, names, why));
  MC_TRY(set_manifests(&call, &vehicle, why));
  MC_TRY(make_campaign(&call, names, why));
  /* Two days ago: the vehicles hand in what they stored, one second of driving a message, many times faster than it happened. */
  mc_err err = telemetry_load_open(s->dir, s->tls, VEHICLES, names, mc_clock_wall_us() - 2 * 86400000000LL, &l, why);
  if (!err)
    err = telemetry_load_run(l, 1, 0, NULL, NULL, why);
  if (!err)
    err = wait_visible(&call, telemetry_load_acked(l), &c, why);
  for (int i = 0; i < rounds && !err; i++) {
    uint64_t before = telemetry_load_acked(l);
    double began = bench_now_s(), server = bench_cpu_s(&s->process), mine = thread_cpu_s();
    err = telemetry_load_run(l, o->quick ? 4 : 8, 0, NULL, NULL, why);
    loader[i] = (thread_cpu_s() - mine) / (bench_now_s() - began);
    if (!err)
      err = wait_visible(&call, telemetry_load_acked(l), &c, why);
    double samples = (double)(telemetry_load_acked(l) - before) * TELEMETRY_SAMPLES;
    rate[i] = samples / (bench_now_s() - began);
    cpu[i] = (bench_cpu_s(&s->process) - server) * 1e6 / samples;
  }
  if (!err) {
    *out = (result){.per_s = bench_median(rate, rounds),
                    .cpu_us = bench_median(cpu, rounds),
                    .rss_kib = bench_rss_kib(&s->process),
                    .loader_cores = bench_median(loader, rounds),
                    .message_bytes = (double)telemetry_load_bytes(l)};
    err = measure_visible(o, &call, l, vehicle, names->signal[0], out->per_s / TELEMETRY_SAMPLES / 2, &out->visible, why);
  }
  telemetry_load_close(&l);
  return err;
}

/* The same messages to a broker that only takes them: no decoding, nothing on disk. */
static bool measure_peer(const bench_options *o, const bench_server *s, const char *devices_of, const telemetry_names *names, double *per_s)
{
  telemetry_load *l = NULL;
  mc_why why = {0};
  mc_err err = telemetry_load_open(devices_of, s->tls, VEHICLES, names, mc_clock_wall_us() - 86400000000LL, &l, &why);
  if (!err)
    err = telemetry_load_run(l, 0.5, 0, NULL, NULL, &why);
  uint64_t before = err ? 0 : telemetry_load_acked(l);
  double began = bench_now_s();
  if (!err)
    err = telemetry_load_run(l, o->quick ? 3 : 6, 0, NULL, NULL, &why);
  if (!err)
    *per_s = (double)(telemetry_load_acked(l) - before) * TELEMETRY_SAMPLES / (bench_now_s() - began);
  else
    fprintf(stderr, "bench ingest: %s: %s\n", s->name, why.text);
  telemetry_load_close(&l);
  return err == MC_OK;
}

static mc_err run_fleetwise(const bench_options *o, mc_why *why)
{
  bench_server s, peer;
  telemetry_names names = {0};
  result r = {0};
  bench_line line = {.bench = "ingest", .name = "fleetwise-mtls", .unit = "samples/s"};
  mc_err err = bench_start_motorcade(o, VEHICLES, &s, why);
  if (!err)
    err = measure_ours(o, &s, &names, &r, why);
  bench_kill(&s.process); /* its folder's certificates serve the peer too */
  mc_why none;
  if (!err && bench_start_peer(o, BENCH_MOSQUITTO, s.dir, &peer, &none) == MC_OK) {
    double rate;
    if (measure_peer(o, &peer, s.dir, &names, &rate))
      line.peer[line.peers++] = (bench_peer){"mosquitto (receives only)", rate};
    bench_stop(&peer);
  }
  if (!err) {
    line.ours = r.per_s;
    line.cpu_us_per_unit = r.cpu_us;
    line.rss_kib = r.rss_kib;
    snprintf(line.conditions, sizeof line.conditions,
             "%d vehicles, mutual TLS, QoS 1, %d samples and %.0f B a message, not compressed; until decoded, on disk and readable; loader "
             "%.2f cores of the same machine; publish to visible at half load (after %d s of it) p50 %.1f ms, p99 %.1f ms of %d, asked by HTTP each 2 ms; "
             "arrival to readable, all messages: p50 %.1f ms, p99 %.1f ms; fdatasync of 16 KiB %.2f ms",
             VEHICLES, TELEMETRY_SAMPLES, r.message_bytes, r.loader_cores, SETTLE_S, r.visible.p50_ms, r.visible.p99_ms, r.visible.probes,
             r.visible.all_p50_ms, r.visible.all_p99_ms, bench_fsync_ms(o->dir));
    bench_print(o, &line);
  }
  bench_stop(&s);
  return err;
}

int bench_ingest(const bench_options *o)
{
  mc_why why = {0};
  if (!bench_wanted(o, "fleetwise-mtls") || run_fleetwise(o, &why) == MC_OK)
    return 0;
  fprintf(stderr, "bench ingest fleetwise-mtls: %s\n", why.text);
  return 1;
}
