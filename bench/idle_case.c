/* motorcade bench mqtt, idle-*: what a connection costs that says nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/fleet_load.h"

enum { FIRST = 64 /* connected before the first reading: what the first ones load is not counted on all */, AT_ONCE = 64 };

typedef struct idle_result { int connected; double kib_each, rss_kib, after_kib, cpu_us_each, per_s; } idle_result;

static mc_err measure(const bench_server *s, fleet *f, bool tls, idle_result *out, mc_why *why)
{
  fleet_result r;
  fleet_wave wave = {.port = tls ? s->tls : s->plain, .from = 0, .to = FIRST, .at_once = AT_ONCE, .limit_s = 60};
  double empty = bench_rss_kib(&s->process);
  MC_TRY(fleet_connect(f, &wave, &r, why));
  usleep(500000);
  double before = bench_rss_kib(&s->process), cpu = bench_cpu_s(&s->process);
  wave.from = FIRST;
  wave.to = fleet_count(f);
  wave.limit_s = 600;
  MC_TRY(fleet_connect(f, &wave, &r, why));
  usleep(1000000);
  int n = wave.to - wave.from;
  *out = (idle_result){.connected = wave.to, .rss_kib = bench_rss_kib(&s->process), .cpu_us_each = (bench_cpu_s(&s->process) - cpu) * 1e6 / n, .per_s = n / r.wall_s};
  out->kib_each = (out->rss_kib - before) / n;
  double own = bench_metric(s, "motorcade_net_connection_bytes", NULL);
  fleet_drop(f);
  usleep(3000000);
  out->after_kib = bench_rss_kib(&s->process) - empty;
  if (getenv("MOTORCADE_BENCH_VERBOSE"))
    fprintf(stderr, "%s: %.2f KiB each, counted by itself %.2f KiB each\n", s->name, out->kib_each, own / 1024 / wave.to);
  return MC_OK;
}

static int run_idle(const bench_options *o, bool tls)
{
  bench_server s, peer;
  mc_why why = {0};
  int count = o->quick ? (tls ? 1500 : 4000) : 18000;
  bench_line line = {
      .bench = "mqtt", .name = tls ? "idle-mtls" : "idle-plain", .unit = "KiB/conn", .lower_is_better = true, .cpu_us_per_unit = -1};
  idle_result r;
  fleet *f = NULL;
  mc_err err = bench_start_motorcade(o, tls ? (uint32_t)count : 0, &s, &why);
  if (!err)
    err = fleet_create(tls ? s.dir : NULL, count, &f, &why);
  if (!err)
    err = measure(&s, f, tls, &r, &why);
  if (!err) {
    line.ours = r.kib_each;
    line.rss_kib = r.rss_kib;
    line.cpu_us_per_unit = r.cpu_us_each;
    int n = snprintf(line.conditions, sizeof line.conditions,
                     "%d idle connections%s, resident size of the server process per connection; cpu is per CONNECT; %.0f connects/s; "
                     "3 s after they went it held %.0f KiB more than before they came",
                     r.connected, tls ? ", mutual TLS, P-256" : "", r.per_s, r.after_kib);
    for (int kind = 0; kind < BENCH_PEERS; kind++) {
      if (bench_start_peer(o, (bench_peer_kind)kind, tls ? s.dir : NULL, &peer, &why) != MC_OK)
        continue;
      if ((tls ? peer.tls : peer.plain) && measure(&peer, f, tls, &r, &why) == MC_OK) {
        line.peer[line.peers++] = (bench_peer){peer.name, r.kib_each};
        n += snprintf(line.conditions + n, sizeof line.conditions - (size_t)n, "; %s %.0f us, after %.0f KiB", peer.name, r.cpu_us_each, r.after_kib);
      }
      fleet_drop(f);
      bench_stop(&peer);
    }
    bench_print(o, &line);
  } else {
    fprintf(stderr, "bench mqtt %s: %s\n", line.name, why.text);
  }
  fleet_destroy(&f);
  bench_stop(&s);
  return err ? 1 : 0;
}

int bench_mqtt_idle(const bench_options *o)
{
  int failed = 0;
  if (bench_wanted(o, "idle-plain"))
    failed += run_idle(o, false);
  if (bench_wanted(o, "idle-mtls"))
    failed += run_idle(o, true);
  return failed;
}
