/* motorcade-sim: a fleet of simulated vehicles, each with the real agent, against any motorcade gateway. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/motorcade-sim/options.h"
#include "base/clock.h"
#include "base/log.h"
#include "format/json.h"
#include "sim/sim.h"

#define PEM_LIMIT (1u << 20)
#define OSM_LIMIT (1u << 30)

typedef struct program {
  sim_options o;
  mc_geo_graph *graph;
  MC_VEC(char *) name; /* from the credentials folder */
  mc_loop *loop;
  mc_sim_fleet *fleet;
  FILE *candump;
  mc_watch signals;
  mc_timer report, end;
  const mc_sim *sim;
} program;

static int fail(const char *text)
{
  fprintf(stderr, "motorcade-sim: %s\n", text);
  return 1;
}

/* ---- inputs ---- */
static mc_err load_graph(program *p, mc_why *why)
{
  if (!p->o.osm)
    return mc_geo_make_town(1, NULL, &p->graph, why);
  mc_buf pbf = {0};
  mc_err err = mc_fs_read(mc_fs_posix(), p->o.osm, OSM_LIMIT, &pbf, why);
  if (!err) {
    err = mc_geo_load_osm(mc_buf_slice(&pbf), NULL, &p->graph, why);
    if (err)
      mc_err_prefix(why, "%s", p->o.osm);
  }
  mc_buf_free(&pbf);
  return err;
}

static mc_err visit_folder(void *ctx, const char *name)
{
  program *p = ctx;
  char path[1200];
  snprintf(path, sizeof path, "%s/%s/cert.pem", p->o.credentials, name);
  if (access(path, R_OK))
    return MC_OK;
  char *copy = strdup(name);
  mc_err err = copy ? mc_vec_push(&p->name, copy) : MC_ERR_MEMORY;
  if (err)
    free(copy);
  return err;
}

static mc_err find_credentials(program *p, mc_why *why)
{
  if (!p->o.credentials)
    return MC_OK;
  MC_TRY(mc_fs_list(mc_fs_posix(), p->o.credentials, visit_folder, p, why));
  if (p->name.len == 0)
    return mc_err_set(why, MC_ERR_NOT_FOUND,
                      "%s: no sub folder with a cert.pem; `motorcade vehicle create NAME --out %s/NAME` makes one", p->o.credentials, p->o.credentials);
  if (p->o.vehicles > p->name.len)
    return mc_err_set(why, MC_ERR_INVALID, "--vehicles %u, but %s holds credentials of %zu", p->o.vehicles, p->o.credentials, p->name.len);
  if (!p->o.vehicles)
    p->o.vehicles = (uint32_t)p->name.len;
  return MC_OK;
}

static const char *name_of(void *ctx, uint32_t vehicle)
{
  return ((program *)ctx)->name.at[vehicle];
}

static mc_err read_pem(const program *p, const char *name, const char *file, mc_buf *out, mc_why *why)
{
  char path[1200];
  snprintf(path, sizeof path, "%s/%s/%s", p->o.credentials, name, file);
  return mc_fs_read(mc_fs_posix(), path, PEM_LIMIT, out, why);
}

static mc_err tls_of(void *ctx, uint32_t vehicle, const char *name, mc_tls **out, mc_why *why)
{
  program *p = ctx;
  mc_buf cert = {0}, key = {0}, ca = {0};
  mc_err err = read_pem(p, name, "cert.pem", &cert, why);
  if (!err)
    err = read_pem(p, name, "key.pem", &key, why);
  if (!err)
    err = read_pem(p, name, "ca.pem", &ca, why);
  if (!err)
    err = mc_tls_client_create(&(mc_tls_client_config){.ca_pem = mc_buf_slice(&ca), .cert_pem = mc_buf_slice(&cert), .key_pem = mc_buf_slice(&key),
                                                       .alpn = "x-amzn-mqtt-ca"},
                               out, why);
  mc_buf_free(&cert);
  if (key.data)
    explicit_bzero(key.data, key.len);
  mc_buf_free(&key);
  mc_buf_free(&ca);
  return err;
}

static mc_sim_config sim_config(const program *p)
{
  return (mc_sim_config){.graph = p->graph, .vehicles = p->o.vehicles ? p->o.vehicles : 10, .seed = p->o.seed, .time_scale = p->o.time_scale,
                         .frame_rate_scale = p->o.frame_rate};
}

/* ---- without network ---- */
static int export_files(const char *dir)
{
  mc_why why = {0};
  mc_err err = mc_fs_mkdirs(mc_fs_posix(), dir, &why);
  for (int k = 0; k < MC_SIM_KINDS && !err; k++) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s.dbc", dir, mc_sim_kind_name((mc_sim_kind)k));
    err = mc_fs_replace(mc_fs_posix(), path, mc_sim_dbc((mc_sim_kind)k), 0644, &why);
    snprintf(path, sizeof path, "%s/%s.json", dir, mc_sim_kind_name((mc_sim_kind)k));
    if (!err)
      err = mc_fs_replace(mc_fs_posix(), path, mc_sim_signal_map((mc_sim_kind)k), 0644, &why);
  }
  return err ? fail(why.text) : 0;
}

static int list_vehicles(const mc_sim *sim)
{
  puts("[");
  for (uint32_t i = 0; i < mc_sim_count(sim); i++) { /* names, makers and models are ours: nothing to escape */
    const mc_sim_vehicle_info *v = mc_sim_vehicle(sim, i);
    printf("  {\"name\": \"%s\", \"vin\": \"%s\", \"kind\": \"%s\", \"make\": \"%s\", \"model\": \"%s\", \"year\": %u}%s\n", v->name, v->vin,
           mc_sim_kind_name(v->kind), v->maker, v->model, v->year, i + 1 < mc_sim_count(sim) ? "," : "");
  }
  puts("]");
  return 0;
}

static void write_frame(void *ctx, uint32_t vehicle, const mc_can_frame *f)
{
  program *p = ctx;
  char hex[129];
  for (int i = 0; i < f->len; i++)
    snprintf(hex + 2 * i, 3, "%02X", f->data[i]);
  hex[2 * f->len] = 0;
  fprintf(p->candump, "(%lld.%06lld) %s %0*X#%s\n", (long long)(f->time_us / 1000000), (long long)(f->time_us % 1000000),
          mc_sim_vehicle(p->sim, vehicle)->name, f->extended ? 8 : 3, f->id, hex);
}

/* As fast as the machine can, with times that run from now. */
static int write_candump(program *p)
{
  p->candump = strcmp(p->o.candump, "-") ? fopen(p->o.candump, "w") : stdout;
  if (!p->candump) {
    fprintf(stderr, "motorcade-sim: %s: %s\n", p->o.candump, strerror(errno));
    return 1;
  }
  mc_sim_config c = sim_config(p);
  c.on_frame = write_frame;
  c.ctx = p;
  mc_why why = {0};
  mc_sim *sim;
  if (mc_sim_create(&c, &sim, &why))
    return fail(why.text);
  p->sim = sim;
  int64_t start = mc_clock_wall_us(), end = start + (int64_t)(p->o.seconds ? p->o.seconds : 60) * 1000000;
  for (int64_t now = start; now <= end && !ferror(p->candump); now += 20000)
    mc_sim_step(sim, now);
  mc_sim_destroy(&sim);
  bool broken = ferror(p->candump) || fflush(p->candump);
  if (p->candump != stdout)
    broken = fclose(p->candump) || broken;
  return broken ? fail("the candump log could not be written: is the disk full?") : 0;
}

static int without_network(program *p)
{
  if (p->o.candump)
    return write_candump(p);
  mc_sim_config c = sim_config(p);
  mc_why why = {0};
  mc_sim *sim;
  if (mc_sim_create(&c, &sim, &why))
    return fail(why.text);
  int code = list_vehicles(sim);
  mc_sim_destroy(&sim);
  return code;
}

/* ---- with network ---- */
static void print_stats(const program *p, bool last)
{
  mc_sim_fleet_stats s;
  mc_sim_fleet_stats_get(p->fleet, &s);
  if (last && p->o.json)
    printf("{\"vehicles\": %u, \"connected\": %u, \"frames\": %llu, \"signals\": %llu, \"samples\": %llu, \"published\": %llu, \"acknowledged\": %llu, "
           "\"spooled\": %llu, \"dropped\": %llu, \"reconnects\": %llu}\n",
           s.vehicles, s.connected, (unsigned long long)s.frames, (unsigned long long)s.agents.signals, (unsigned long long)s.agents.samples,
           (unsigned long long)s.agents.published, (unsigned long long)s.agents.acked, (unsigned long long)s.agents.spooled,
           (unsigned long long)s.agents.dropped, (unsigned long long)s.agents.reconnects);
  else if (!p->o.json)
    printf("%u of %u connected, %u driving, %llu frames, %llu samples, %llu messages sent, %llu acknowledged\n", s.connected, s.vehicles, s.driving,
           (unsigned long long)s.frames, (unsigned long long)s.agents.samples, (unsigned long long)s.agents.published, (unsigned long long)s.agents.acked);
  fflush(stdout);
}

#define OF(member, pointer) ((program *)((char *)(pointer) - offsetof(program, member)))

static void on_signal(mc_watch *w, uint32_t events)
{
  struct signalfd_siginfo info;
  (void)!read(w->fd, &info, sizeof info);
  mc_loop_stop(OF(signals, w)->loop);
}

static void on_report(mc_timer *t)
{
  program *p = OF(report, t);
  print_stats(p, false);
  mc_loop_timer_set(p->loop, t, mc_loop_now_us(p->loop) + 5000000);
}

static void on_end(mc_timer *t)
{
  mc_loop_stop(OF(end, t)->loop);
}

static mc_err run_fleet(program *p, mc_why *why)
{
  MC_TRY(mc_loop_create(&p->loop, why));
  mc_sim_fleet_config c = {.sim = sim_config(p), .loop = p->loop, .host = p->o.host, .port = p->o.port, .data_dir = p->o.data,
                           .name = p->o.credentials ? name_of : NULL, .tls = p->o.plain ? NULL : tls_of, .ctx = p};
  MC_TRY(mc_sim_fleet_create(&c, &p->fleet, why));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  p->signals = (mc_watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = on_signal};
  if (p->signals.fd < 0)
    return mc_err_errno(why, "signalfd");
  MC_TRY(mc_loop_watch(p->loop, &p->signals, EPOLLIN));
  p->report.fire = on_report;
  p->end.fire = on_end;
  if (!p->o.json)
    mc_loop_timer_set(p->loop, &p->report, mc_clock_mono_us() + 2000000);
  if (p->o.seconds)
    mc_loop_timer_set(p->loop, &p->end, mc_clock_mono_us() + (int64_t)p->o.seconds * 1000000);
  mc_sim_fleet_start(p->fleet);
  mc_loop_run(p->loop);
  print_stats(p, true);
  mc_sim_fleet_stop(p->fleet);
  for (int i = 0; i < 20; i++) /* let DISCONNECTs leave */
    mc_loop_turn(p->loop, 5);
  return MC_OK;
}

static void release(program *p)
{
  if (p->loop && p->signals.fd > 0) {
    mc_loop_unwatch(p->loop, &p->signals);
    close(p->signals.fd);
  }
  mc_sim_fleet_destroy(&p->fleet);
  if (p->loop)
    mc_loop_destroy(&p->loop);
  mc_geo_graph_destroy(&p->graph);
  for (size_t i = 0; i < p->name.len; i++)
    free(p->name.at[i]);
  mc_vec_free(&p->name);
}

int main(int argc, char **argv)
{
  program p = {0};
  mc_why why = {0};
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "--help")) {
      fputs(sim_options_usage, stdout);
      return 0;
    } else if (!strcmp(argv[i], "--version")) {
      puts("motorcade-sim " MC_VERSION);
      return 0;
    }
  if (sim_options_read(&p.o, argc, argv, &why)) {
    fprintf(stderr, "motorcade-sim: %s\n", why.text);
    return 2;
  }
  if (p.o.export_dir)
    return export_files(p.o.export_dir);
  mc_err err = load_graph(&p, &why);
  int code = 0;
  if (!err && (p.o.list || p.o.candump)) {
    code = without_network(&p);
  } else if (!err) {
    err = find_credentials(&p, &why);
    if (!err)
      err = run_fleet(&p, &why);
  }
  release(&p);
  return err ? fail(why.text) : code;
}
