/* motorcade bench mqtt, idle-*: what a connection costs that says nothing. */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/idle.h"

static int run_idle(const bench_options *o, bool tls)
{
  bench_server s, peer;
  mc_why why = {0};
  int count = tls ? (o->quick ? 500 : 18000) : (o->quick ? 2000 : 18000);
  bench_line line = {
      .bench = "mqtt", .name = tls ? "idle-mtls" : "idle-plain", .unit = "KiB/conn", .lower_is_better = true, .cpu_us_per_unit = -1};
  idle_result r;
  mc_err err = bench_start_motorcade(o, tls ? (uint32_t)count : 0, &s, &why);
  if (!err)
    err = idle_run(&s, s.dir, count, tls, &r, &why);
  if (!err) {
    line.ours = r.kib_each;
    line.rss_kib = r.rss_kib;
    line.cpu_us_per_unit = r.cpu_us_each;
    int n = snprintf(line.conditions, sizeof line.conditions,
                     "%d idle connections%s, resident size of the server process per connection; cpu is per CONNECT; %.0f connects/s",
                     r.connected, tls ? ", mutual TLS, P-256" : "", r.per_s);
    for (int kind = 0; kind < BENCH_PEERS; kind++) {
      if (bench_start_peer(o, (bench_peer_kind)kind, tls ? s.dir : NULL, &peer, &why) != MC_OK)
        continue;
      if (idle_run(&peer, s.dir, count, tls, &r, &why) == MC_OK) {
        line.peer[line.peers++] = (bench_peer){peer.name, r.kib_each};
        n += snprintf(line.conditions + n, sizeof line.conditions - (size_t)n, "; %s %.0f us", peer.name, r.cpu_us_each);
      }
      bench_stop(&peer);
    }
    bench_print(o, &line);
  } else {
    fprintf(stderr, "bench mqtt %s: %s\n", line.name, why.text);
  }
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
