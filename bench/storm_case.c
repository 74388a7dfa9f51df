/* motorcade bench mqtt, storm-*: every vehicle comes back at once after a kill -9, beside what its handshakes alone cost a bare OpenSSL server. */
#include <stdio.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/fleet_load.h"
#include "bench/handshake_server.h"

enum { FILL_AT_ONCE = 256 };

typedef struct wave_cost {
  fleet_result r;
  double cpu_us;  /* of the server, a client */
  double rss_kib; /* with all connected */
} wave_cost;

static mc_err wave(const bench_server *s, fleet *f, bool bare, bool tickets, int at_once, wave_cost *out, mc_why *why)
{
  fleet_wave w = {.port = s->tls, .to = fleet_count(f), .at_once = at_once, .handshake_only = bare, .session_s = 3600, .tickets = tickets, .limit_s = 300};
  double cpu = bench_cpu_s(&s->process);
  mc_err err = fleet_connect(f, &w, &out->r, why);
  usleep(300000);
  out->cpu_us = (bench_cpu_s(&s->process) - cpu) * 1e6 / fleet_count(f);
  out->rss_kib = bench_rss_kib(&s->process);
  return err;
}

/* In full, all at once, then with the tickets of that. */
static mc_err measure_bare(const bench_server *s, fleet *f, wave_cost out[2], mc_why *why)
{
  MC_TRY(wave(s, f, true, false, fleet_count(f), &out[0], why));
  fleet_drop(f);
  usleep(1000000);
  MC_TRY(wave(s, f, true, true, fleet_count(f), &out[1], why));
  fleet_drop(f);
  return MC_OK;
}

static mc_err measure_ours(const bench_options *o, bench_server *s, fleet *f, const bool wanted[2], wave_cost out[2], double *left_kib, mc_why *why)
{
  wave_cost fill;
  double empty = bench_rss_kib(&s->process);
  MC_TRY(wave(s, f, false, false, FILL_AT_ONCE, &fill, why));
  for (int k = 0; k < 2; k++) {
    if (!wanted[k])
      continue;
    MC_TRY(bench_restart_motorcade(o, s, why));
    fleet_drop(f);
    MC_TRY(wave(s, f, false, k == 1, fleet_count(f), &out[k], why));
  }
  fleet_drop(f);
  usleep(3000000);
  *left_kib = bench_rss_kib(&s->process) - empty;
  return MC_OK;
}

static void print(const bench_options *o, const char *name, int count, const wave_cost *ours, const wave_cost *bare, double left_kib)
{
  bench_line line = {.bench = "mqtt", .name = name, .unit = "us/conn", .lower_is_better = true, .ours = ours->cpu_us, .peer = {{"handshakes-alone", bare->cpu_us}},
                     .peers = 1, .cpu_us_per_unit = ours->cpu_us, .rss_kib = ours->rss_kib};
  snprintf(line.conditions, sizeof line.conditions,
           "server CPU for each of %d vehicles that reconnect at once after a kill -9, mutual TLS 1.3, P-256, session of an hour: %d admitted, %d of them resumed by ticket, "
           "%.1f s in all, wait p50 %.1f s, p99 %.1f s, longest %.1f s, %d connections broke; handshakes-alone: OpenSSL's accept and handshake only, same threads, "
           "%d of %d, %d resumed, %.1f s; ours / alone %.2f; 3 s after all went ours held %.0f KiB more than before they came, their sessions among it",
           count, ours->r.admitted, ours->r.resumed, ours->r.wall_s, ours->r.p50_wait_s, ours->r.p99_wait_s, ours->r.max_wait_s, ours->r.retries, bare->r.admitted, count,
           bare->r.resumed, bare->r.wall_s, ours->cpu_us / bare->cpu_us, left_kib);
  bench_print(o, &line);
}

int bench_mqtt_storm(const bench_options *o)
{
  static const char *const name[2] = {"storm-mtls", "storm-tickets"};
  bool wanted[2] = {bench_wanted(o, name[0]), bench_wanted(o, name[1])};
  if (!wanted[0] && !wanted[1])
    return 0;
  bench_server s, alone = {0};
  mc_why why = {0};
  wave_cost ours[2], bare[2];
  double left_kib = 0;
  int count = o->quick ? 1500 : 18000;
  fleet *f = NULL;
  mc_err err = bench_start_motorcade(o, (uint32_t)count, &s, &why);
  if (!err) /* before the clients: a fork copies what is there when it is written */
    err = handshake_server_start(s.dir, &alone, &why);
  if (!err)
    err = fleet_create(s.dir, count, &f, &why);
  if (!err)
    err = measure_bare(&alone, f, bare, &why);
  bench_kill(&alone.process);
  if (!err)
    err = measure_ours(o, &s, f, wanted, ours, &left_kib, &why);
  for (int k = 0; k < 2 && !err; k++)
    if (wanted[k])
      print(o, name[k], fleet_count(f), &ours[k], &bare[k], left_kib);
  if (err)
    fprintf(stderr, "bench mqtt storm: %s\n", why.text);
  fleet_destroy(&f);
  bench_stop(&s);
  return err ? 1 : 0;
}
