/* motorcade demo: the platform with a fleet that drives, in one process. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/motorcade/command.h"
#include "app/motorcade/demo_fleet.h"
#include "app/motorcade/local_token.h"
#include "app/motorcade/serve.h"
#include "base/clock.h"
#include "base/log.h"
#include "format/json.h"

static const char usage[] =
    "usage: motorcade demo [--vehicles N] [--seconds S] [--json] [--data DIR] [--osm FILE.osm.pbf] [--no-truck] [--<setting> VALUE]...\n"
    "Runs the platform with N simulated vehicles (60) in a made town, or on the roads of an OpenStreetMap extract, until Ctrl-C or for S "
    "seconds.\n"
    "--json ends with one object: vehicles, connected, messages, samples, acknowledged, durable, lost, decoded, p50_ms, p99_ms.\n";

typedef struct demo {
  uint32_t vehicles, seconds;
  bool json, truck;
  demo_fleet *fleet;
  demo_truck recorded;
} demo;

static bool read_options(int *argc, char **argv, demo *d)
{
  const char *vehicles = option_take(argc, argv, "--vehicles", "60"), *seconds = option_take(argc, argv, "--seconds", "0");
  uint64_t n, s;
  d->json = option_flag(argc, argv, "--json");
  d->truck = !option_flag(argc, argv, "--no-truck");
  if (mc_slice_to_u64(mc_slice_str(vehicles), &n) || n < 1 || n > 5000) {
    fprintf(stderr, "motorcade demo: --vehicles expects 1 to 5000, found \"%s\"\n", vehicles);
    return false;
  }
  if (mc_slice_to_u64(mc_slice_str(seconds), &s) || s > 86400) {
    fprintf(stderr, "motorcade demo: --seconds expects 0 (until Ctrl-C) to 86400, found \"%s\"\n", seconds);
    return false;
  }
  d->vehicles = (uint32_t)n;
  d->seconds = (uint32_t)s;
  return true;
}

static mc_err sign_in_link(server *s, char secret[64], mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_user *users;
  size_t count;
  MC_TRY(mc_registry_user_list(s->registry, MC_TENANT_DEFAULT, &arena, &users, &count, why));
  for (size_t i = 0; i < count; i++)
    if (users[i].role == MC_ROLE_ADMIN && !users[i].disabled)
      return mc_registry_link_create(s->registry, MC_TENANT_DEFAULT, users[i].id, secret, why);
  return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no admin to sign in as; run `motorcade init` on an empty folder");
}

static mc_err start_all(server *s, demo *d, mc_why *why)
{
  char password[64] = "";
  bool created;
  s->want_graph = true;
  MC_TRY(init_data(&s->set, "admin", password, sizeof password, &created, why));
  MC_TRY(server_open(s, why));
  MC_TRY(demo_fleet_prepare(s, d->vehicles, 1, &d->fleet, why));
  if (d->truck) {
    mc_err err = demo_truck_prepare(s, why);
    d->truck = !err;
    if (err && err != MC_ERR_NOT_FOUND)
      return err;
  }
  MC_TRY(server_start(s, why));
  MC_TRY(local_token_write(s, why));
  MC_TRY(demo_fleet_start(d->fleet, why));
  if (d->truck && demo_truck_start(s, &d->recorded, why))
    mc_log(MC_LOG_WARN, "demo", "the recorded truck does not run", MC_KZ("reason", why->text));
  return MC_OK;
}

static void greet(server *s, const demo *d, double took)
{
  char secret[64];
  mc_why why;
  mc_err err = sign_in_link(s, secret, &why);
  fprintf(d->json ? stderr : stdout, "\nmotorcade runs with %u vehicles%s in %s (started in %.1f s)\n", d->vehicles,
          d->recorded.pid ? " and a recorded truck" : "", mc_geo_map_name(s->map)[0] ? mc_geo_map_name(s->map) : "the map", took);
  if (err)
    fprintf(d->json ? stderr : stdout, "  portal    http://127.0.0.1:%u (%s)\n", s->http_port, why.text);
  else
    fprintf(d->json ? stderr : stdout, "  portal    http://127.0.0.1:%u/#code=%s   (signs you in once, for 15 minutes)\n", s->http_port,
            secret);
  fprintf(d->json ? stderr : stdout, "  vehicles  mqtts://127.0.0.1:%u, and %u with ALPN\n  data      %s\nCtrl-C stops everything.\n\n",
          s->mqtt_port, s->tls_port, s->set.data);
  fflush(stdout);
}

static void print_result(const demo_result *r)
{
  mc_buf text = {0};
  mc_json j = mc_json_to(&text);
  mc_json_object(&j);
  mc_json_uint_field(&j, "vehicles", r->vehicles);
  mc_json_uint_field(&j, "connected", r->connected);
  mc_json_uint_field(&j, "messages", r->messages);
  mc_json_uint_field(&j, "samples", r->samples);
  mc_json_uint_field(&j, "acknowledged", r->acknowledged);
  mc_json_uint_field(&j, "durable", r->durable);
  mc_json_uint_field(&j, "lost", r->lost);
  mc_json_uint_field(&j, "decoded", r->decoded);
  mc_json_double_field(&j, "p50_ms", r->p50_ms);
  mc_json_double_field(&j, "p99_ms", r->p99_ms);
  mc_json_object_end(&j);
  printf("%.*s\n", (int)text.len, (const char *)text.data);
  mc_buf_free(&text);
}

int command_demo(int argc, char **argv)
{
  static server s;
  static demo d;
  if (option_flag(&argc, argv, "--help") || option_flag(&argc, argv, "-h"))
    return fputs(usage, stdout), 0;
  if (!command_settings(&argc, argv, &s.set) || !read_options(&argc, argv, &d))
    return 2;
  if (option_left(argc, argv, usage))
    return 2;
  if (!strcmp(s.set.log_level, "info"))
    snprintf(s.set.log_level, sizeof s.set.log_level, "warn"); /* the screen is for people here */
  if (!serve_configure(&s.set))
    return 1;
  serve_find_portal(&s.set);
  sigset_t signals;
  serve_block_signals(&signals);
  int64_t began = mc_clock_mono_us();
  mc_why why = {0};
  mc_err err = start_all(&s, &d, &why);
  if (!err) {
    greet(&s, &d, (double)(mc_clock_mono_us() - began) / 1e6);
    struct timespec limit = {.tv_sec = d.seconds};
    int which;
    if (d.seconds)
      sigtimedwait(&signals, NULL, &limit);
    else
      sigwait(&signals, &which);
    fprintf(stderr, "stopping\n");
  }
  demo_truck_stop(&d.recorded);
  demo_fleet_halt(d.fleet);
  demo_result result;
  if (!err) {
    demo_fleet_result(d.fleet, &result);
    local_token_remove(&s);
  }
  server_stop(&s);
  demo_fleet_destroy(&d.fleet);
  if (err)
    return command_fail("demo", why.text);
  if (d.json)
    print_result(&result);
  return d.json && result.lost ? 1 : 0;
}
