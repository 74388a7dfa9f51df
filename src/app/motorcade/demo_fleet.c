#include "app/motorcade/demo_fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/log.h"

enum { LATENCIES = 1 << 17, CHECKIN_MS = 30000, RESUME_WAIT_MS = 3000 };

/* One published message that is not visible yet. */
typedef struct flight {
  uint32_t samples;
  int64_t mono_us;
} flight;
typedef MC_VEC(flight) flight_vec;

struct demo_fleet {
  server *server;
  uint32_t count;
  mc_loop *loop;
  pthread_t thread;
  bool running;
  mc_sim_fleet *fleet;
  char host[64];
  char (*name)[32];
  mc_map by_vehicle; /* dense vehicle id -> index */
  mc_map by_thing;
  uint64_t start_offset;
  mc_post stop;
  _Atomic bool stopped;
  mc_sim_fleet_stats final;
  /* publish -> visible; both threads */
  pthread_mutex_t lock;
  flight_vec *flying;
  double *latency_ms;
  size_t latencies;
  uint64_t decoded_samples, decoded_messages;
};

/* ---- what the demo's vehicles are asked ---- */

typedef struct ready_campaign {
  const char *name, *description, *target_kind, *target;
  uint32_t period_ms;
  const char *expression;
  uint32_t min_interval_ms;
  bool rising;
  uint32_t after_ms;
  const char *signals; /* separated by spaces */
} ready_campaign;

static const ready_campaign campaigns[] = {
    {"position", "Where every vehicle is, once a second", "all", "", 1000, NULL, 0, false, 0,
     "Vehicle.CurrentLocation.Latitude Vehicle.CurrentLocation.Longitude Vehicle.CurrentLocation.Heading Vehicle.Speed "
     "Vehicle.IsIgnitionOn"},
    {"health", "Energy, temperatures and distance, every ten seconds", "all", "", 10000, NULL, 0, false, 0,
     "Vehicle.TraveledDistance Vehicle.Powertrain.FuelSystem.RelativeLevel Vehicle.Powertrain.TractionBattery.StateOfCharge.Displayed "
     "Vehicle.LowVoltageBattery.CurrentVoltage "
     "Vehicle.Powertrain.CombustionEngine.EngineCoolant.Temperature Vehicle.Powertrain.CombustionEngine.EngineOil.Temperature "
     "Vehicle.Powertrain.TractionBattery.Temperature.Average Vehicle.Exterior.AirTemperature "
     "Vehicle.Chassis.Axle.Row1.Wheel.Left.Tire.Pressure Vehicle.Chassis.Axle.Row1.Wheel.Right.Tire.Pressure "
     "Vehicle.Chassis.Axle.Row2.Wheel.Left.Tire.Pressure Vehicle.Chassis.Axle.Row2.Wheel.Right.Tire.Pressure "
     "Vehicle.Diagnostics.DTCCount"},
    {"drive", "Engine and motor while driving, five times a second in batches of two seconds", "all", "", 2000, NULL, 0, false, 0,
     "Vehicle.Powertrain.CombustionEngine.Speed Vehicle.Powertrain.ElectricMotor.Speed Vehicle.Chassis.Accelerator.PedalPosition "
     "Vehicle.Powertrain.Transmission.CurrentGear Vehicle.Powertrain.TractionBattery.CurrentPower "
     "Vehicle.OBD.FuelRate"},
    {"hard-braking", "Two seconds around a deceleration beyond 3 m/s2", "all", "", 0, "$variable.`Vehicle.Acceleration.Longitudinal` < -3",
     5000, true, 1000,
     "Vehicle.Speed Vehicle.Acceleration.Longitudinal Vehicle.Chassis.Brake.PedalPosition "
     "Vehicle.MotionManagement.Steering.SteeringWheel.Angle"},
};

static mc_err import_one(server *s, mc_sim_kind kind, mc_why *why)
{
  mc_dbc_import_report report;
  mc_dbc_import import = {.tenant = MC_TENANT_DEFAULT,
                          .name = mc_slice_str(mc_sim_kind_name(kind)),
                          .dbc_text = mc_sim_dbc(kind),
                          .dbc_name = mc_sim_kind_name(kind),
                          .interface_id = MC_LIT("can0"),
                          .map_json = mc_sim_signal_map(kind)};
  return mc_campaign_import_dbc(s->campaigns, &import, &report, why);
}

static mc_err import_missing(server *s, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_manifest_info *list;
  size_t count;
  MC_TRY(mc_campaign_manifests(s->campaigns, MC_TENANT_DEFAULT, &arena, &list, &count, why));
  for (int kind = 0; kind < MC_SIM_KINDS; kind++) {
    bool there = false;
    for (size_t i = 0; i < count; i++)
      there = there || mc_slice_eq_str(list[i].name, mc_sim_kind_name((mc_sim_kind)kind));
    if (!there)
      MC_TRY(import_one(s, (mc_sim_kind)kind, why));
  }
  return MC_OK;
}

static mc_err create_campaign(server *s, const ready_campaign *r, mc_arena *arena, mc_why *why)
{
  mc_campaign_collect collect[16];
  mc_campaign c = {.tenant = MC_TENANT_DEFAULT,
                   .name = mc_slice_str(r->name),
                   .description = mc_slice_str(r->description),
                   .target_kind = mc_slice_str(r->target_kind),
                   .target = mc_slice_str(r->target),
                   .condition_based = r->expression != NULL,
                   .period_ms = r->period_ms,
                   .expression = mc_slice_str(r->expression),
                   .min_interval_ms = r->min_interval_ms,
                   .rising_edge = r->rising,
                   .after_ms = r->after_ms,
                   .compress = true,
                   .persist = true,
                   .signal = collect};
  mc_slice rest = mc_slice_str(r->signals);
  while (rest.len && c.signal_count < 16) {
    size_t end = mc_slice_find(rest, ' ', 0);
    uint32_t known;
    mc_slice fqn = mc_slice_sub(rest, 0, end);
    if (mc_registry_signal_lookup(s->registry, MC_TENANT_DEFAULT, fqn, &known) == MC_OK)
      collect[c.signal_count++] = (mc_campaign_collect){.fqn = fqn, .min_period_ms = r->period_ms == 2000 ? 200 : 0};
    rest = mc_slice_sub(rest, end + 1, rest.len);
  }
  if (r->period_ms == 1000)
    for (uint32_t i = 0; i < c.signal_count; i++)
      collect[i].max_samples = 1;
  mc_err err = mc_campaign_create(s->campaigns, &c, true, arena, why);
  return err == MC_ERR_EXISTS ? MC_OK : err;
}

/* The simulated vehicles as the registry knows them. */
static void describe(const mc_sim_vehicle_info *info, mc_vehicle *v)
{
  static const char *const kinds[] = {"car", "car", "truck"};
  *v = (mc_vehicle){.year = info->year};
  snprintf(v->name, sizeof v->name, "%s", info->name);
  snprintf(v->vin, sizeof v->vin, "%s", info->vin);
  snprintf(v->make, sizeof v->make, "%s", info->maker);
  snprintf(v->model, sizeof v->model, "%s", info->model);
  snprintf(v->kind, sizeof v->kind, "%s", kinds[info->kind]);
  snprintf(v->manifest, sizeof v->manifest, "%s", mc_sim_kind_name(info->kind));
}

static mc_err note_ids(demo_fleet *f, mc_why *why)
{
  for (uint32_t i = 0; i < f->count; i++) {
    mc_vehicle v;
    mc_thing thing;
    mc_slice name = mc_slice_str(f->name[i]);
    if (mc_registry_vehicle_find(f->server->registry, MC_TENANT_DEFAULT, name, &v) ||
        mc_registry_thing_find(f->server->registry, MC_TENANT_DEFAULT, name, &thing))
      return mc_err_set(why, MC_ERR_NOT_FOUND, "vehicle %s is not in the registry", f->name[i]);
    if (mc_map_put(&f->by_vehicle, v.id, i) || mc_map_put(&f->by_thing, thing.id, i))
      return mc_err_set(why, MC_ERR_MEMORY, "no memory for %u vehicles", f->count);
  }
  return MC_OK;
}

/* Vehicles and certificates, in as few transactions as there may be. */
static mc_err make_vehicles(demo_fleet *f, const mc_sim *sim, mc_why *why)
{
  mc_vehicle *vehicle = calloc(f->count, sizeof *vehicle);
  const char **name = calloc(f->count, sizeof *name);
  mc_err err = vehicle && name ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "no memory for %u vehicles", f->count);
  for (uint32_t i = 0; i < f->count && !err; i++) {
    describe(mc_sim_vehicle(sim, i), &vehicle[i]);
    snprintf(f->name[i], sizeof f->name[i], "%s", mc_sim_vehicle(sim, i)->name);
    name[i] = f->name[i];
  }
  if (!err)
    err = demo_vehicles(f->server, vehicle, f->count, why);
  if (!err)
    err = demo_credentials(f->server, name, f->count, why);
  if (!err)
    err = note_ids(f, why);
  free(vehicle);
  free(name);
  return err;
}

/* ---- measuring ---- */

static void on_published(void *ctx, uint32_t vehicle, uint32_t event_id, int64_t event_time_us, uint32_t samples, uint64_t token)
{
  demo_fleet *f = ctx;
  pthread_mutex_lock(&f->lock);
  if (mc_vec_push(&f->flying[vehicle], ((flight){samples, mc_clock_mono_us()})))
    mc_log(MC_LOG_WARN, "demo", "out of memory: a latency is not measured");
  pthread_mutex_unlock(&f->lock);
}

/* Blocks of one vehicle become visible in the order of publishing; a block of another size means that one was sent again or lost on the
 * way. */
static void match(demo_fleet *f, flight_vec *v, uint32_t samples)
{
  for (size_t i = 0; i < v->len && i < 64; i++) {
    if (v->at[i].samples != samples)
      continue;
    if (f->latencies < LATENCIES)
      f->latency_ms[f->latencies++] = (double)(mc_clock_mono_us() - v->at[i].mono_us) / 1000;
    memmove(v->at, v->at + i + 1, (v->len - i - 1) * sizeof *v->at);
    v->len -= i + 1;
    return;
  }
}

static mc_err on_block(void *ctx, const mc_block *block, mc_why *why)
{
  demo_fleet *f = ctx;
  uint64_t index;
  if (!block->count || !mc_map_get(&f->by_vehicle, block->vehicle[0], &index) || block->journal_offset < f->start_offset)
    return MC_OK; /* not ours, or of an earlier run */
  pthread_mutex_lock(&f->lock);
  f->decoded_messages++;
  f->decoded_samples += block->count;
  match(f, &f->flying[index], block->count);
  pthread_mutex_unlock(&f->lock);
  return MC_OK;
}

/* ---- the agents ---- */

static mc_err client_tls(void *ctx, uint32_t vehicle, const char *name, mc_tls **out, mc_why *why)
{
  demo_fleet *f = ctx;
  char dir[700], path[800];
  mc_buf cert = {0}, key = {0};
  snprintf(dir, sizeof dir, "%s/demo/%s", f->server->set.data, name);
  snprintf(path, sizeof path, "%s/cert.pem", dir);
  mc_err err = mc_fs_read(mc_fs_posix(), path, 1 << 16, &cert, why);
  snprintf(path, sizeof path, "%s/key.pem", dir);
  if (!err)
    err = mc_fs_read(mc_fs_posix(), path, 1 << 16, &key, why);
  mc_tls_client_config config = {
      .ca_pem = mc_registry_ca_pem(f->server->registry), .cert_pem = mc_buf_slice(&cert), .key_pem = mc_buf_slice(&key)};
  if (!err)
    err = mc_tls_client_create(&config, out, why);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  return err;
}

static mc_sim_config sim_config(const server *s, uint32_t vehicles, uint64_t seed)
{
  return (mc_sim_config){.graph = s->graph, .vehicles = vehicles, .seed = seed};
}

mc_err demo_fleet_prepare(server *s, uint32_t vehicles, uint64_t seed, demo_fleet **out, mc_why *why)
{
  demo_fleet *f = calloc(1, sizeof *f);
  if (!f)
    return MC_ERR_MEMORY;
  f->server = s;
  f->count = vehicles;
  pthread_mutex_init(&f->lock, NULL);
  f->name = calloc(vehicles, sizeof *f->name);
  f->flying = calloc(vehicles, sizeof *f->flying);
  f->latency_ms = malloc(LATENCIES * sizeof *f->latency_ms);
  mc_sim *names = NULL;
  mc_sim_config config = sim_config(s, vehicles, seed);
  mc_err err = f->name && f->flying && f->latency_ms ? import_missing(s, why) : MC_ERR_MEMORY;
  if (!err)
    err = mc_sim_create(&config, &names, why);
  if (!err)
    err = make_vehicles(f, names, why);
  mc_sim_destroy(&names);
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  for (size_t i = 0; i < sizeof campaigns / sizeof campaigns[0] && !err; i++)
    err = create_campaign(s, &campaigns[i], &arena, why);
  f->start_offset = mc_journal_end_offset(s->journal);
  s->observer = (mc_block_sink){f, on_block};
  if (err) {
    demo_fleet_destroy(&f);
    return err;
  }
  *out = f;
  return MC_OK;
}

/* Started again, the fleet goes on where the platform saw it last. */
static void resume(demo_fleet *f)
{
  server *s = f->server;
  mc_sim *sim = mc_sim_fleet_sim(f->fleet);
  const uint32_t place = 1u << MC_ROLE_LATITUDE | 1u << MC_ROLE_LONGITUDE;
  mc_twin_wait(s->twin, f->start_offset, RESUME_WAIT_MS); /* after a crash the last seconds are still being read; less is no harm */
  for (uint32_t i = 0; i < f->count; i++) {
    mc_vehicle v;
    mc_vehicle_now now;
    if (mc_registry_vehicle_find(s->registry, MC_TENANT_DEFAULT, mc_slice_str(f->name[i]), &v) ||
        !mc_twin_vehicle(s->twin, MC_TENANT_DEFAULT, v.id, &now) || (now.present & place) != place)
      continue;
    mc_sim_left left = {.position = {now.longitude, now.latitude}, .odometer_m = -1, .store_part = -1};
    if (now.present & 1u << MC_ROLE_SPEED)
      left.speed_mps = now.speed_kmh / 3.6;
    if (now.present & 1u << MC_ROLE_ODOMETER)
      left.odometer_m = now.odometer_km * 1000;
    if (now.present & 1u << MC_ROLE_STATE_OF_CHARGE)
      left.store_part = now.charge_percent / 100;
    else if (now.present & 1u << MC_ROLE_FUEL_LEVEL)
      left.store_part = now.fuel_percent / 100;
    mc_sim_resume(sim, i, &left);
  }
}

static void *run(void *arg)
{
  mc_loop_run(((demo_fleet *)arg)->loop);
  return NULL;
}

mc_err demo_fleet_start(demo_fleet *f, mc_why *why)
{
  MC_TRY(mc_loop_create(&f->loop, why));
  mc_sim_fleet_config config = {.sim = sim_config(f->server, f->count, 1),
                                .loop = f->loop,
                                .host = "127.0.0.1",
                                .port = f->server->mqtt_port,
                                .checkin_ms = CHECKIN_MS,
                                .tls = client_tls,
                                .published = on_published,
                                .ctx = f};
  MC_TRY(mc_sim_fleet_create(&config, &f->fleet, why));
  resume(f);
  mc_sim_fleet_start(f->fleet);
  if (pthread_create(&f->thread, NULL, run, f))
    return mc_err_set(why, MC_ERR_MEMORY, "cannot start the fleet's thread");
  f->running = true;
  return MC_OK;
}

static void on_stop(mc_post *post)
{
  demo_fleet *f = (demo_fleet *)((char *)post - offsetof(demo_fleet, stop));
  if (atomic_load(&f->stopped)) {
    mc_loop_stop(f->loop);
    return;
  }
  mc_sim_fleet_stats_get(f->fleet, &f->final); /* before agents say good-bye: connected is then still true */
  mc_sim_fleet_stop(f->fleet);
  atomic_store(&f->stopped, true);
}

void demo_fleet_halt(demo_fleet *f)
{
  if (!f || !f->running)
    return;
  f->stop.run = on_stop;
  mc_loop_post(f->loop, &f->stop);
  for (int i = 0; i < 200 && !atomic_load(&f->stopped); i++)
    usleep(10000);
  usleep(300000); /* last acknowledgements and DISCONNECTs */
  mc_loop_post(f->loop, &f->stop);
  pthread_join(f->thread, NULL);
  f->running = false;
  mc_sim_fleet_stats last;
  mc_sim_fleet_stats_get(f->fleet, &last);
  uint32_t connected = f->final.connected;
  f->final = last;
  f->final.connected = connected;
}

/* Messages of our vehicles in the journal since the demo began. */
static uint64_t count_durable(demo_fleet *f)
{
  mc_journal_reader *reader;
  mc_why why;
  uint64_t n = 0;
  if (mc_journal_reader_create(f->server->journal, f->start_offset, (mc_journal_filter){.streams = 1u << MC_STREAM_TELEMETRY}, &reader,
                               &why)) {
    mc_log(MC_LOG_ERROR, "demo", "cannot read the journal", MC_KZ("reason", why.text));
    return 0;
  }
  mc_record r;
  mc_err err;
  while (!(err = mc_journal_reader_next(reader, &r, &why)))
    n += mc_map_get(&f->by_thing, r.principal, NULL);
  if (err != MC_ERR_END)
    mc_log(MC_LOG_ERROR, "demo", "cannot read the journal", MC_KZ("reason", why.text));
  mc_journal_reader_destroy(&reader);
  return n;
}

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

void demo_fleet_result(demo_fleet *f, demo_result *out)
{
  uint64_t end = mc_journal_end_offset(f->server->journal);
  mc_twin_wait(f->server->twin, end, 10000);
  *out = (demo_result){.vehicles = f->count,
                       .connected = f->final.connected,
                       .messages = f->final.agents.published,
                       .samples = f->final.agents.samples,
                       .acknowledged = f->final.agents.acked};
  out->durable = count_durable(f);
  out->lost = out->acknowledged > out->durable ? out->acknowledged - out->durable : 0;
  pthread_mutex_lock(&f->lock);
  out->decoded = f->decoded_samples;
  if (f->latencies) {
    qsort(f->latency_ms, f->latencies, sizeof *f->latency_ms, by_value);
    out->p50_ms = f->latency_ms[f->latencies / 2];
    out->p99_ms = f->latency_ms[f->latencies * 99 / 100];
  }
  pthread_mutex_unlock(&f->lock);
}

void demo_fleet_destroy(demo_fleet **fleet)
{
  demo_fleet *f = *fleet;
  if (!f)
    return;
  f->server->observer = (mc_block_sink){0};
  mc_sim_fleet_destroy(&f->fleet);
  if (f->loop)
    mc_loop_destroy(&f->loop);
  for (uint32_t i = 0; i < f->count && f->flying; i++)
    mc_vec_free(&f->flying[i]);
  free(f->flying);
  free(f->name);
  free(f->latency_ms);
  mc_map_free(&f->by_vehicle);
  mc_map_free(&f->by_thing);
  pthread_mutex_destroy(&f->lock);
  free(f);
  *fleet = NULL;
}
