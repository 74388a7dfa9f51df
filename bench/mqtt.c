/* motorcade bench mqtt: throughput and latency, beside the peers that this machine has, each server alone with the loader. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

typedef struct load_case {
  const char *name;
  int publishers, subscribers, qos, window;
  bool half_load; /* p99 at half of the rate that the same server just took */
  double rate;    /* p99 at this many messages a second; 0: as many as it takes */
  const char *what;
} load_case;

static const load_case cases[] = {
    {"qos1-50to0-durable", 50, 0, 1, 100, false, 0, "50 publishers, no subscriber, window 100 each"},
    {"qos1-50to50", 50, 50, 1, 20, false, 0, "50 pairs, window 20 each until acknowledged and delivered"},
    {"qos0-1to1", 1, 1, 0, 4000, false, 0, "one publisher, one subscriber, window 4,000"},
    {"qos2-50to0", 50, 0, 2, 100, false, 0, "50 publishers, no subscriber, window 100 each until PUBCOMP"},
    {"qos1-latency-half-load", 50, 0, 1, 100, true, 0, "PUBLISH to PUBACK, 50 publishers at half of what the server took before, a burst a millisecond each"},
    {"qos1-latency-500k", 50, 0, 1, 1000, false, 500000, "PUBLISH to PUBACK, 50 publishers with 500,000 msg/s together, whatever the server can take, a burst a millisecond each"},
};

static bool is_latency(const load_case *t) { return t->half_load || t->rate > 0; }

typedef struct measured {
  mqtt_load_result r; /* medians; lost and repeated are sums */
  double rss_kib, rate;
  char stages[400]; /* motorcade only */
} measured;

static double median_of(const mqtt_load_result *r, int rounds, size_t field)
{
  double v[8];
  for (int i = 0; i < rounds; i++)
    memcpy(&v[i], (const char *)&r[i] + field, sizeof v[i]);
  return bench_median(v, rounds);
}

static mc_err rounds_of(const bench_options *o, const mqtt_load *load, mqtt_load_result *out, mc_why *why)
{
  mqtt_load_result r[3];
  int rounds = o->quick ? 1 : 3;
  *out = (mqtt_load_result){0};
  for (int i = 0; i < rounds; i++) {
    MC_TRY(mqtt_load_run(load, &r[i], why));
    out->lost += r[i].lost;
    out->repeated += r[i].repeated;
  }
  static const size_t field[] = {offsetof(mqtt_load_result, per_s),       offsetof(mqtt_load_result, p50_ms),       offsetof(mqtt_load_result, p99_ms),
                                 offsetof(mqtt_load_result, cpu_us),      offsetof(mqtt_load_result, loader_share), offsetof(mqtt_load_result, late_p50_ms),
                                 offsetof(mqtt_load_result, late_p99_ms), offsetof(mqtt_load_result, loader_wait),  offsetof(mqtt_load_result, server_wait),
                                 offsetof(mqtt_load_result, idle),        offsetof(mqtt_load_result, steal)};
  for (size_t i = 0; i < sizeof field / sizeof field[0]; i++) {
    double median = median_of(r, rounds, field[i]);
    memcpy((char *)out + field[i], &median, sizeof median);
  }
  return MC_OK;
}

/* As rounds_of; what the server's own clocks saw meanwhile goes into out->stages. */
static mc_err rounds_by_stage(const bench_options *o, const mqtt_load *load, measured *out, mc_why *why)
{
  bench_stages *stages;
  mc_buf text = {0};
  MC_TRY(bench_stages_begin(load->server, &stages, why));
  mc_err err = rounds_of(o, load, &out->r, why), seen = bench_stages_end(load->server, &stages, &text, why);
  mc_slice_to_str(mc_buf_slice(&text), out->stages, sizeof out->stages);
  mc_buf_free(&text);
  return err ? err : seen;
}

static mc_err rounds_without_stages(const bench_options *o, const mqtt_load *load, measured *out, mc_why *why) { return rounds_of(o, load, &out->r, why); }

static mc_err measure(const bench_options *o, const bench_server *s, const load_case *t, measured *out, mc_why *why)
{
  *out = (measured){0};
  mqtt_load load = {.server = s, .publishers = t->publishers, .subscribers = t->subscribers, .qos = t->qos, .payload = 200, .window = t->window,
                    .seconds = o->quick ? 1.5 : 4, .warm_up = 0.5};
  load.rate = t->rate;
  mc_err (*rounds)(const bench_options *o, const mqtt_load *load, measured *out, mc_why *why) = s->http ? rounds_by_stage : rounds_without_stages;
  MC_TRY(rounds(o, &load, out, why));
  out->rate = out->r.per_s;
  if (t->half_load) {
    load.rate = out->rate / 2;
    load.window = 1000; /* what is due goes out: a late answer must not slow the loader down */
    MC_TRY(rounds(o, &load, out, why));
  }
  out->rss_kib = bench_rss_kib(&s->process);
  return MC_OK;
}

static void say(bench_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(bench_line *line, const char *format, ...)
{
  size_t used = strlen(line->conditions);
  va_list args;
  va_start(args, format);
  vsnprintf(line->conditions + used, sizeof line->conditions - used, format, args);
  va_end(args);
}

static void say_measured(bench_line *line, const load_case *t, const char *name, const char *keeps, const measured *m)
{
  say(line, "; %s (%s)", name, keeps);
  if (is_latency(t))
    say(line, " %.0f of %.0f msg/s,", m->r.per_s, t->half_load ? m->rate : t->rate);
  say(line, " p50 %.2f ms, p99 %.2f ms, %.2f us CPU, lost %llu", m->r.p50_ms, m->r.p99_ms, m->r.cpu_us, (unsigned long long)m->r.lost);
  if (m->r.repeated)
    say(line, ", repeated %llu", (unsigned long long)m->r.repeated);
  say(line, ", loader %.0f %% of a core, idle %.0f %%, taken by the host %.0f %%", m->r.loader_share * 100, m->r.idle * 100, m->r.steal * 100);
  if (is_latency(t))
    say(line, ", of it sent late p50 %.2f ms, p99 %.2f ms; ready without a processor: loader %.2f s a second, server %.2f", m->r.late_p50_ms, m->r.late_p99_ms,
        m->r.loader_wait, m->r.server_wait);
  if (m->stages[0])
    say(line, "; stages p50/p99/p99.9 ms (times): %s", m->stages);
}

static double value_of(const load_case *t, const measured *m) { return is_latency(t) ? m->r.p99_ms : m->r.per_s; }

static int run_case(const bench_options *o, const load_case *t, double fsync_ms, double disk)
{
  bench_server s;
  measured m;
  mc_why why = {0};
  bench_line line = {.bench = "mqtt", .name = t->name, .unit = is_latency(t) ? "ms p99" : "msg/s", .lower_is_better = is_latency(t)};
  mc_err err = bench_start_motorcade(o, 0, &s, &why);
  if (!err)
    err = measure(o, &s, t, &m, &why);
  bench_stop(&s);
  if (err) {
    fprintf(stderr, "bench mqtt %s: %s\n", t->name, why.text);
    return 1;
  }
  line.ours = value_of(t, &m);
  line.cpu_us_per_unit = m.r.cpu_us;
  line.rss_kib = m.rss_kib;
  say(&line, "200 B, %s; loader one thread on the same 2 cores, plain TCP; fdatasync of 16 KiB %.2f ms, disk %.0f MB/s", t->what, fsync_ms, disk);
  say_measured(&line, t, "motorcade", t->qos ? "on disk, synced" : "QoS 0", &m);
  for (int kind = 0; kind < BENCH_PEERS; kind++) {
    if (bench_start_peer(o, (bench_peer_kind)kind, NULL, &s, &why))
      continue;
    if (measure(o, &s, t, &m, &why) == MC_OK) {
      line.peer[line.peers++] = (bench_peer){s.name, value_of(t, &m)};
      say_measured(&line, t, s.name, t->qos ? bench_peer_keeps((bench_peer_kind)kind) : "QoS 0", &m);
    } else {
      say(&line, "; %s: %s", s.name, why.text);
    }
    bench_stop(&s);
  }
  bench_print(o, &line);
  return 0;
}

int bench_mqtt(const bench_options *o)
{
  int failed = 0;
  double fsync_ms = bench_fsync_ms(o->dir), disk = bench_disk_mb_s(o->dir);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (bench_wanted(o, cases[i].name))
      failed += run_case(o, &cases[i], fsync_ms, disk);
  failed += bench_mqtt_idle(o);
  failed += bench_mqtt_storm(o);
  return failed ? 1 : 0;
}
