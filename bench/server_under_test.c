/* Starting motorcade for a case: its folder, its vehicles, its ports. */
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

static mc_err write_file(const char *dir, const char *name, mc_slice content, mc_why *why)
{
  char path[1400];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return mc_fs_replace(mc_fs_posix(), path, content, 0644, why);
}

/* Vehicles and certificates straight into the folder, before the server starts. */
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
  snprintf(path, sizeof path, "%s/motorcade.db", dir);
  if (!err)
    err = mc_db_open_sqlite(path, &db, why);
  if (!err)
    err = mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &r, why);
  for (uint32_t i = 0; i < count && !err; i++) {
    mc_vehicle v = {.tenant = MC_TENANT_DEFAULT};
    mc_buf cert = {0}, key = {0};
    snprintf(v.name, sizeof v.name, "bench-%u", i);
    err = mc_registry_vehicle_create(r, &v, why);
    if (!err)
      err = mc_registry_certificate_issue(r, MC_TENANT_DEFAULT, mc_slice_str(v.name), 30, &cert, &key, why);
    snprintf(path, sizeof path, "devices/%u.crt", i);
    if (!err)
      err = write_file(dir, path, mc_buf_slice(&cert), why);
    snprintf(path, sizeof path, "devices/%u.key", i);
    if (!err)
      err = write_file(dir, path, mc_buf_slice(&key), why);
    mc_buf_free(&cert);
    mc_buf_free(&key);
  }
  mc_registry_close(&r);
  mc_db_close(&db);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
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

mc_err bench_start_motorcade(const bench_options *o, uint32_t vehicles, bench_server *s, mc_why *why)
{
  *s = (bench_server){.name = "motorcade", .plain = bench_free_port(), .tls = bench_free_port()};
  MC_TRY(make_dir(o, "motorcade", s, why));
  char log[600], plain[8], tls[8], http[8];
  snprintf(log, sizeof log, "%s/log", s->dir);
  snprintf(plain, sizeof plain, "%u", s->plain);
  snprintf(tls, sizeof tls, "%u", s->tls);
  uint16_t http_port = bench_free_port();
  snprintf(http, sizeof http, "%u", http_port);
  const char *init[] = {o->self, "init", "--data", s->dir, NULL};
  MC_TRY(run_and_wait(init, log, why));
  if (vehicles)
    MC_TRY(make_vehicles(s->dir, vehicles, why));
  const char *serve[] = {o->self,      "serve", "--data",      s->dir, "--dev-port",  plain,  "--insecure-dev", "true", "--mqtt-port", tls,
                         "--tls-port", "0",     "--http-port", http,   "--log-level", "warn", "--metrics-open", "true", NULL};
  MC_TRY(bench_spawn(serve, log, &s->process, why));
  MC_TRY(bench_wait_port(s->plain, 20000, why));
  return bench_wait_port(http_port, 5000, why);
}

void bench_stop(bench_server *s)
{
  bench_kill(&s->process);
  if (getenv("MOTORCADE_BENCH_KEEP"))
    return;
  bench_remove_dir(s->dir);
}
