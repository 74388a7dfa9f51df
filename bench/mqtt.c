/* motorcade bench mqtt: throughput and idle connections, beside mosquitto and FlashMQ when this machine has them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/idle.h"

typedef struct throughput_case {
  const char *name;
  int publishers, subscribers, qos, window;
  const char *what;
} throughput_case;

static const throughput_case throughput[] = {
    {"qos1-50to0-durable", 50, 0, 1, 100, "50 publishers, no subscriber; ours answers what is on disk, the peers what is in memory"},
    {"qos1-50to50", 50, 50, 1, 20, "50 pairs; ours durable, the peers in memory"},
    {"qos0-1to1", 1, 1, 0, 5000, "one publisher, one subscriber, at most 5,000 outstanding"},
};

typedef struct measured {
  double per_s, cpu_us, rss_kib, p50_ms, p99_ms;
} measured;

static mc_err measure(const bench_options *o, const bench_server *s, const throughput_case *t, measured *out, mc_why *why)
{
  double rate[5], cpu[5], p50[5], p99[5];
  int rounds = o->quick ? 1 : 3;
  for (int i = 0; i < rounds; i++) {
    mqtt_load load = {s->plain, t->publishers, t->subscribers, t->qos, 200, t->window, o->quick ? 1.5 : 4, 0.5};
    mqtt_load_result r;
    double before = bench_cpu_s(&s->process), began = bench_now_s();
    MC_TRY(mqtt_load_run(&load, &r, why));
    double all = bench_now_s() - began;
    rate[i] = r.per_s;
    /* CPU of the whole run over the messages of the whole run, warm-up included, at the measured rate. */
    cpu[i] = (bench_cpu_s(&s->process) - before) * 1e6 / (r.per_s * all);
    p50[i] = r.p50_ms;
    p99[i] = r.p99_ms;
  }
  *out = (measured){bench_median(rate, rounds), bench_median(cpu, rounds), bench_rss_kib(&s->process), bench_median(p50, rounds),
                    bench_median(p99, rounds)};
  return MC_OK;
}

static int run_throughput(const bench_options *o, const throughput_case *t, double fsync_ms, double disk)
{
  bench_server s;
  measured m;
  mc_why why = {0};
  bench_line line = {.bench = "mqtt", .name = t->name, .unit = "msg/s"};
  mc_err err = bench_start_motorcade(o, 0, &s, &why);
  if (!err)
    err = measure(o, &s, t, &m, &why);
  bench_stop(&s);
  if (err) {
    fprintf(stderr, "bench mqtt %s: %s\n", t->name, why.text);
    return 1;
  }
  line.ours = m.per_s;
  line.cpu_us_per_unit = m.cpu_us;
  line.rss_kib = m.rss_kib;
  int n = snprintf(
      line.conditions, sizeof line.conditions,
      "200 B, %s; loader one thread on the same 2 cores, plain TCP; p50 %.2f ms, p99 %.2f ms; fdatasync of 16 KiB %.2f ms, disk %.0f MB/s",
      t->what, m.p50_ms, m.p99_ms, fsync_ms, disk);
  mc_err (*const starts[])(const bench_options *, const char *, bench_server *, mc_why *) = {bench_start_mosquitto, bench_start_flashmq};
  for (int i = 0; i < 2; i++) {
    if (starts[i](o, NULL, &s, &why))
      continue;
    if (measure(o, &s, t, &m, &why) == MC_OK) {
      line.peer[line.peers++] = (bench_peer){s.name, m.per_s};
      if (n < (int)sizeof line.conditions)
        n += snprintf(line.conditions + n, sizeof line.conditions - (size_t)n, "; %s %.2f us CPU, p99 %.2f ms", s.name, m.cpu_us, m.p99_ms);
    }
    bench_stop(&s);
  }
  bench_print(o, &line);
  return 0;
}

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
    if (bench_start_mosquitto(o, tls ? s.dir : NULL, &peer, &why) == MC_OK) {
      if (idle_run(&peer, s.dir, count, tls, &r, &why) == MC_OK) {
        line.peer[line.peers++] = (bench_peer){peer.name, r.kib_each};
        snprintf(line.conditions + n, sizeof line.conditions - (size_t)n, "; mosquitto %.0f us", r.cpu_us_each);
      }
      bench_stop(&peer);
    }
    if (bench_start_flashmq(o, tls ? s.dir : NULL, &peer, &why) == MC_OK) {
      if (idle_run(&peer, s.dir, count, tls, &r, &why) == MC_OK)
        line.peer[line.peers++] = (bench_peer){peer.name, r.kib_each};
      bench_stop(&peer);
    }
    bench_print(o, &line);
  } else {
    fprintf(stderr, "bench mqtt %s: %s\n", line.name, why.text);
  }
  bench_stop(&s);
  return err ? 1 : 0;
}

int bench_mqtt(const bench_options *o)
{
  int failed = 0;
  double fsync_ms = bench_fsync_ms(o->dir), disk = bench_disk_mb_s(o->dir);
  for (size_t i = 0; i < sizeof throughput / sizeof throughput[0]; i++)
    if (bench_wanted(o, throughput[i].name))
      failed += run_throughput(o, &throughput[i], fsync_ms, disk);
  if (bench_wanted(o, "idle-plain"))
    failed += run_idle(o, false);
  if (bench_wanted(o, "idle-mtls"))
    failed += run_idle(o, true);
  return failed ? 1 : 0;
}
