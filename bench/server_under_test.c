/* Starting motorcade for a case: its folder, its vehicles, its ports. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "bench/bench.h"
#include "registry/registry.h"

static mc_err make_dir(const bench_options *o, const char *name, bench_server *s, mc_why *why)
{
  snprintf(s->dir, sizeof s->dir, "%s/%s-%d", o->dir, name, (int)getpid());
  return mc_fs_mkdirs(mc_fs_posix(), s->dir, why);
}

/* Not synced: thousands are written, and none needs to live through a power cut. */
static mc_err write_file(const char *path, mc_slice content, mc_why *why)
{
  FILE *f = fopen(path, "w");
  bool ok = f && fwrite(content.data, 1, content.len, f) == content.len;
  ok = f && fclose(f) == 0 && ok;
  return ok ? MC_OK : mc_err_errno(why, "writing %s", path);
}

static mc_err copy_file(const char *from, const char *to, mc_why *why)
{
  mc_buf all = {0};
  mc_err err = mc_fs_read(mc_fs_posix(), from, (size_t)1 << 30, &all, why);
  if (!err)
    err = write_file(to, mc_buf_slice(&all), why);
  mc_buf_free(&all);
  return err;
}

/* Vehicles and certificates straight into the folder, before the server starts. The database is filled in memory: it syncs after each of them. */
static mc_err make_vehicles(const char *dir, uint32_t count, mc_why *why)
{
  char path[700];
  mc_buf ca = {0}, ca_key = {0};
  mc_db *db = NULL;
  mc_registry *r = NULL;
  snprintf(path, sizeof path, "%s/devices", dir);
  mc_err err = mc_fs_mkdirs(mc_fs_posix(), path, why);
  snprintf(path, sizeof path, "%s/ca.pem", dir);
  if (!err)
    err = mc_fs_read(mc_fs_posix(), path, 1 << 20, &ca, why);
  snprintf(path, sizeof path, "%s/ca.key", dir);
  if (!err)
    err = mc_fs_read(mc_fs_posix(), path, 1 << 20, &ca_key, why);
  char real[700], fast[200];
  snprintf(real, sizeof real, "%s/motorcade.db", dir);
  snprintf(fast, sizeof fast, "%s/motorcade-bench-%d.db", access("/dev/shm", W_OK) ? "." : "/dev/shm", (int)getpid());
  if (!err)
    err = copy_file(real, fast, why);
  if (!err)
    err = mc_db_open_sqlite(fast, &db, why);
  if (!err)
    err = mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &r, why);
  for (uint32_t i = 0; i < count && !err; i++) {
    mc_vehicle v = {.tenant = MC_TENANT_DEFAULT};
    mc_buf cert = {0}, key = {0};
    snprintf(v.name, sizeof v.name, "bench-%u", i);
    err = mc_registry_vehicle_create(r, &v, why);
    if (!err)
      err = mc_registry_certificate_issue(r, MC_TENANT_DEFAULT, mc_slice_str(v.name), 30, &cert, &key, why);
    snprintf(path, sizeof path, "%s/devices/%u.crt", dir, i);
    if (!err)
      err = write_file(path, mc_buf_slice(&cert), why);
    snprintf(path, sizeof path, "%s/devices/%u.key", dir, i);
    if (!err)
      err = write_file(path, mc_buf_slice(&key), why);
    mc_buf_free(&cert);
    mc_buf_free(&key);
  }
  mc_registry_close(&r);
  mc_db_close(&db);
  if (!err)
    err = copy_file(fast, real, why);
  unlink(fast);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return err;
}

/* Vehicles that never connect by themselves: no certificates, a thousand in a transaction. */
static mc_err make_plain_vehicles(const char *dir, uint32_t count, const char *manifest, mc_why *why)
{
  char path[700];
  mc_db *db = NULL;
  mc_registry *r = NULL;
  mc_vehicle_row *row = calloc(MC_VEHICLE_ROWS, sizeof *row);
  snprintf(path, sizeof path, "%s/motorcade.db", dir);
  mc_err err = row ? mc_db_open_sqlite(path, &db, why) : mc_err_set(why, MC_ERR_MEMORY, "no memory for vehicles");
  if (!err)
    err = mc_registry_open(&(mc_registry_config){.db = db}, &r, why);
  for (uint32_t i = 0; i < count && !err;) {
    size_t n = 0;
    memset(row, 0, MC_VEHICLE_ROWS * sizeof *row);
    for (; n < MC_VEHICLE_ROWS && i < count; n++, i++) {
      snprintf(row[n].vehicle.name, sizeof row[n].vehicle.name, "bench-%u", i);
      snprintf(row[n].vehicle.manifest, sizeof row[n].vehicle.manifest, "%s", manifest);
    }
    err = mc_registry_vehicle_create_many(r, MC_TENANT_DEFAULT, row, n, why);
    for (size_t k = 0; k < n && !err; k++)
      if (row[k].state == MC_ROW_REFUSED)
        err = mc_err_set(why, MC_ERR_INVALID, "%s: %s", row[k].vehicle.name, row[k].why.text);
  }
  mc_registry_close(&r);
  mc_db_close(&db);
  free(row);
  return err;
}

static mc_err run_and_wait(const char *const *argv, const char *log, mc_why *why)
{
  bench_process p;
  MC_TRY(bench_spawn(argv, log, &p, why));
  for (int i = 0; i < 600; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)p.pid);
    FILE *f = fopen(path, "r");
    char state = 'Z';
    if (f) {
      if (fscanf(f, "%*d %*s %c", &state) != 1)
        state = 'Z';
      fclose(f);
    }
    if (state == 'Z')
      break;
    usleep(20000);
  }
  bench_kill(&p);
  return MC_OK;
}

enum { MORE_OPTIONS = 16 };

static mc_err serve(const bench_options *o, bench_server *s, mc_why *why)
{
  char log[600], plain[8], tls[8], http[8];
  snprintf(log, sizeof log, "%s/log", s->dir);
  snprintf(plain, sizeof plain, "%u", s->plain);
  snprintf(tls, sizeof tls, "%u", s->tls);
  snprintf(http, sizeof http, "%u", s->http);
  const char *argv[18 + MORE_OPTIONS + 1] = {o->self,      "serve", "--data",      s->dir, "--dev-port",  plain,  "--insecure-dev", "true", "--mqtt-port", tls,
                                             "--tls-port", "0",     "--http-port", http,   "--log-level", "warn", "--metrics-open", "true"};
  char more[400] = "", *rest = more;
  const char *env = getenv("MOTORCADE_BENCH_SERVE"); /* more options for the server, to compare settings: "--key value ..." */
  snprintf(more, sizeof more, "%s", env ? env : "");
  for (int i = 18; i < 18 + MORE_OPTIONS && (argv[i] = strtok_r(i == 18 ? more : NULL, " ", &rest)); i++)
    ;
  MC_TRY(bench_spawn(argv, log, &s->process, why));
  MC_TRY(bench_wait_port(s->plain, 20000, why));
  return bench_wait_port(s->http, 5000, why);
}

static mc_err init(const bench_options *o, bench_server *s, mc_why *why)
{
  *s = (bench_server){.name = "motorcade", .plain = bench_free_port(), .tls = bench_free_port(), .http = bench_free_port()};
  MC_TRY(make_dir(o, "motorcade", s, why));
  char log[600];
  snprintf(log, sizeof log, "%s/log", s->dir);
  const char *argv[] = {o->self, "init", "--data", s->dir, NULL};
  return run_and_wait(argv, log, why);
}

mc_err bench_start_motorcade(const bench_options *o, uint32_t vehicles, bench_server *s, mc_why *why)
{
  MC_TRY(init(o, s, why));
  if (vehicles)
    MC_TRY(make_vehicles(s->dir, vehicles, why));
  return serve(o, s, why);
}

mc_err bench_start_motorcade_fleet(const bench_options *o, uint32_t vehicles, const char *manifest, bench_server *s, mc_why *why)
{
  MC_TRY(init(o, s, why));
  MC_TRY(make_plain_vehicles(s->dir, vehicles, manifest, why));
  return serve(o, s, why);
}

mc_err bench_restart_motorcade(const bench_options *o, bench_server *s, mc_why *why)
{
  kill(s->process.pid, SIGKILL);
  bench_kill(&s->process);
  return serve(o, s, why);
}

double bench_metric(const bench_server *s, const char *name, const char *labels)
{
  mc_buf text = {0};
  mc_why why;
  char want[200];
  double value = -1;
  snprintf(want, sizeof want, labels ? "\n%s{%s} " : "\n%s ", name, labels);
  if (bench_http_get(s->http, NULL, "/metrics", &text, &why) == MC_OK && mc_buf_append_u8(&text, 0) == MC_OK) {
    const char *at = strstr((const char *)text.data, want);
    if (at)
      value = strtod(at + strlen(want), NULL);
  }
  mc_buf_free(&text);
  return value;
}

void bench_stop(bench_server *s)
{
  bench_kill(&s->process);
  if (getenv("MOTORCADE_BENCH_KEEP"))
    return;
  bench_remove_dir(s->dir);
}
