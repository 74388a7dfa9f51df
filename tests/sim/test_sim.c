#include "sim/sim.h"

#include <math.h>
#include <time.h>

#include "tap.h"

static mc_geo_graph *town;

static mc_err make(uint32_t vehicles, uint64_t seed, mc_sim_config more, mc_sim **out)
{
  more.graph = town;
  more.vehicles = vehicles;
  more.seed = seed;
  mc_why why = {0};
  mc_err err = mc_sim_create(&more, out, &why);
  if (err)
    printf("# %s\n", why.text);
  return err;
}

#define START 1700000000000000LL

static int64_t run(mc_sim *sim, int64_t from, double seconds)
{
  int64_t end = from + (int64_t)(seconds * 1e6);
  for (int64_t t = from; t <= end; t += 100000)
    mc_sim_step(sim, t);
  return end;
}

/* 49 CFR 565.15, worked on the standard's own example 1M8GDM9AXKP042788. */
static int vin_sum(const char *vin)
{
  static const char map[] = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ";
  static const int weight[17] = {8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2};
  int sum = 0;
  for (int i = 0; i < 17; i++) {
    const char *at = strchr(map, vin[i]);
    if (!at || !vin[i])
      return -1;
    sum += weight[i] * (int)((at - map) % 10);
  }
  return sum % 11;
}

static void test_vehicles_have_valid_distinct_vins(void)
{
  CHECK_INT(vin_sum("1M8GDM9AXKP042788"), 10);
  mc_sim *sim;
  CHECK_OK(make(300, 1, (mc_sim_config){0}, &sim));
  for (uint32_t i = 0; i < 300; i++) {
    const mc_sim_vehicle_info *v = mc_sim_vehicle(sim, i);
    CHECK_INT(strlen(v->vin), 17);
    CHECK(!strpbrk(v->vin, "IOQ"));
    CHECK_INT("0123456789X"[vin_sum(v->vin)], v->vin[8]);
    for (uint32_t k = 0; k < i; k++)
      CHECK(strcmp(v->vin, mc_sim_vehicle(sim, k)->vin) && strcmp(v->name, mc_sim_vehicle(sim, k)->name));
  }
  mc_sim_destroy(&sim);
}

static void test_the_mix_is_kept(void)
{
  mc_sim *sim;
  CHECK_OK(make(100, 1, (mc_sim_config){.mix = {20, 30, 50}}, &sim));
  int count[MC_SIM_KINDS] = {0};
  for (uint32_t i = 0; i < 100; i++)
    count[mc_sim_vehicle(sim, i)->kind]++;
  mc_sim_destroy(&sim);
  CHECK(abs(count[0] - 20) <= 2 && abs(count[1] - 30) <= 2 && abs(count[2] - 50) <= 2);
}

typedef struct digest {
  uint64_t sum, frames;
} digest;

static void add_frame(void *ctx, uint32_t vehicle, const mc_can_frame *f)
{
  digest *d = ctx;
  d->frames++;
  d->sum = d->sum * 31 + mc_slice_fnv1a(mc_slice_of(f->data, f->len)) + f->id + vehicle + (uint64_t)f->time_us;
}

static void test_same_seed_gives_the_same_frames(void)
{
  digest d[3] = {{0}};
  for (int i = 0; i < 3; i++) {
    mc_sim *sim;
    CHECK_OK(make(12, i < 2 ? 5 : 6, (mc_sim_config){.on_frame = add_frame, .ctx = &d[i], .time_scale = 4}, &sim));
    run(sim, START, 120);
    mc_sim_destroy(&sim);
  }
  CHECK(d[0].frames > 10000);
  CHECK(d[0].frames == d[1].frames && d[0].sum == d[1].sum);
  CHECK(d[0].sum != d[2].sum);
}

/* ---- frames and what they mean ---- */
typedef struct checker {
  mc_sim *sim;
  mc_decode_plan *plan[MC_SIM_KINDS];
  mc_arena arena;
  MC_VEC(mc_dbc_signal) signal; /* by signal id - 1 */
  uint64_t decoded, wrong, out_of_range, undecoded;
  char first[200];
} checker;

static bool resolve(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *signal_id, uint32_t *encoding_id)
{
  checker *c = ctx;
  if (mc_vec_push(&c->signal, *s))
    return false;
  *signal_id = (uint32_t)c->signal.len;
  *encoding_id = 1;
  return true;
}

/* Every frame decodes by the DBC to the value that the physics hold, within one step of the signal. */
static void check_frame(void *ctx, uint32_t vehicle, const mc_can_frame *f)
{
  checker *c = ctx;
  mc_decoded out[64];
  size_t n = mc_decode_plan_run(c->plan[mc_sim_vehicle(c->sim, vehicle)->kind], f, out, 64);
  c->undecoded += n == 0;
  for (size_t i = 0; i < n; i++) {
    const mc_dbc_signal *s = &c->signal.at[out[i].signal_id - 1];
    char name[64];
    double want = NAN;
    mc_slice_to_str(s->name, name, sizeof name);
    bool known = mc_sim_value(c->sim, vehicle, name, &want);
    c->decoded++;
    c->out_of_range += !(out[i].value >= s->min - s->factor && out[i].value <= s->max + s->factor);
    bool good = known && fabs(out[i].value - want) <= s->factor * 0.5001 + 1e-9 * fabs(want);
    if (!good && !c->wrong++)
      snprintf(c->first, sizeof c->first, "%s of %s: frame says %g, physics say %g", name, mc_sim_vehicle(c->sim, vehicle)->name, out[i].value, want);
  }
}

static void test_frames_decode_to_what_the_physics_hold(void)
{
  checker c = {0};
  mc_why why = {0};
  for (int k = 0; k < MC_SIM_KINDS; k++) {
    mc_dbc dbc;
    mc_can_signal_vec all = {0};
    CHECK_OK(mc_dbc_parse(mc_sim_dbc((mc_sim_kind)k), "sim", &c.arena, &dbc, &why));
    CHECK_INT(dbc.warning_count, 0);
    CHECK_OK(mc_signals_from_dbc(&dbc, 0, (mc_dbc_resolver){&c, resolve}, &c.arena, &all, &why));
    CHECK_OK(mc_decode_plan_create(all.at, all.len, &c.plan[k], &why));
    mc_vec_free(&all);
  }
  CHECK_OK(make(30, 3, (mc_sim_config){.on_frame = check_frame, .ctx = &c, .time_scale = 10, .frame_rate_scale = 0.2}, &c.sim));
  run(c.sim, START, 240);
  printf("# %llu values decoded\n", (unsigned long long)c.decoded);
  mc_sim_destroy(&c.sim);
  for (int k = 0; k < MC_SIM_KINDS; k++)
    mc_decode_plan_destroy(&c.plan[k]);
  mc_vec_free(&c.signal);
  mc_arena_free(&c.arena);
  CHECK(c.decoded > 200000);
  if (c.wrong)
    TAP_FAIL("%llu values differ, first: %s", (unsigned long long)c.wrong, c.first);
  CHECK_INT(c.undecoded, 0);
  CHECK_INT(c.out_of_range, 0);
}

static void test_every_mapped_name_is_a_signal_of_the_dbc(void)
{
  for (int k = 0; k < MC_SIM_KINDS; k++) {
    mc_arena arena = {0};
    mc_dbc dbc;
    mc_why why;
    CHECK_OK(mc_dbc_parse(mc_sim_dbc((mc_sim_kind)k), "sim", &arena, &dbc, &why));
    uint32_t signals = 0, mapped = 0;
    for (uint32_t i = 0; i < dbc.message_count; i++)
      for (uint32_t s = 0; s < dbc.message[i].signal_count; s++) {
        char want[160];
        snprintf(want, sizeof want, "\": \"%.*s.%.*s\"", MC_FMT(dbc.message[i].name), MC_FMT(dbc.message[i].signal[s].name));
        signals++;
        mapped += strstr((const char *)mc_sim_signal_map((mc_sim_kind)k).data, want) != NULL;
      }
    mc_arena_free(&arena);
    CHECK(signals > 30);
    CHECK_INT(mapped, signals);
  }
}

/* ---- physics ---- */
static void test_drivers_keep_the_limit_and_energy_flows(void)
{
  mc_sim *sim;
  CHECK_OK(make(60, 8, (mc_sim_config){.time_scale = 10, .frame_rate_scale = 0.01}, &sim));
  int64_t now = START;
  double fastest = 0, hardest = 0;
  uint32_t speeders = 0, checks = 0;
  for (int i = 0; i < 3000; i++, now += 100000) { /* 50 minutes of driving, looked at every second */
    mc_sim_step(sim, now);
    for (uint32_t v = 0; v < 60; v++) {
      mc_sim_state s;
      double soc = 50, accel = 0;
      mc_sim_state_get(sim, v, &s);
      if (mc_sim_value(sim, v, "StateOfCharge", &soc))
        CHECK(soc >= 0 && soc <= 100);
      CHECK(s.store_j >= 0 && s.speed_mps >= 0 && s.speed_mps < 45);
      CHECK(s.position.lon > -30.35 && s.position.lon < -30.05 && s.position.lat > 46 && s.position.lat < 46.2);
      if (mc_sim_value(sim, v, "LongitudinalAcceleration", &accel))
        hardest = fmax(hardest, fabs(accel));
      checks++;
      speeders += s.limit_mps > 0 && s.speed_mps > s.limit_mps * 1.001;
      if (s.limit_mps > 0)
        fastest = fmax(fastest, s.speed_mps / s.limit_mps);
    }
  }
  double driven = 0, longest = 0;
  for (uint32_t v = 0; v < 60; v++) {
    mc_sim_state s;
    mc_sim_state_get(sim, v, &s);
    driven += s.driven_m;
    longest = fmax(longest, s.driven_m);
    if (s.driven_m > 3000) {
      mc_sim_kind kind = mc_sim_vehicle(sim, v)->kind;
      double per_km = s.energy_j / s.driven_m * 1000;
      double low = kind == MC_SIM_ELECTRIC ? 0.25e6 : kind == MC_SIM_CAR ? 1.2e6 : 4e6;
      double high = kind == MC_SIM_ELECTRIC ? 1.5e6 : kind == MC_SIM_CAR ? 6e6 : 30e6;
      if (!(per_km > low && per_km < high))
        TAP_FAIL("%s %s uses %.2f MJ a km", mc_sim_vehicle(sim, v)->name, mc_sim_vehicle(sim, v)->model, per_km / 1e6);
    }
  }
  mc_sim_destroy(&sim);
  printf("# %.0f km driven, fastest %.2f of its limit, %.1f %% of moments above it, hardest %.1f m/s2\n", driven / 1000, fastest, 100.0 * speeders / checks, hardest);
  CHECK(driven > 60 * 5000);
  CHECK(fastest <= 1.125);               /* the few hurried drivers */
  CHECK(speeders < checks * 0.06);
  CHECK(hardest < 8);
}

static void test_the_empty_go_to_refill(void)
{
  mc_sim *sim;
  CHECK_OK(make(24, 2, (mc_sim_config){.time_scale = 600, .frame_rate_scale = 0.01, .mix = {1, 2, 0}}, &sim));
  int64_t now = START;
  uint32_t refilled = 0, stranded = 0;
  for (int i = 0; i < 1200; i++, now += 60000) /* 12 hours in steps of 36 s */
    mc_sim_step(sim, now);
  for (uint32_t v = 0; v < 24; v++) {
    mc_sim_state s;
    mc_sim_state_get(sim, v, &s);
    refilled += s.refilled_j > 0;
    stranded += s.store_j <= 0;
    CHECK(s.trips > 3);
  }
  mc_sim_destroy(&sim);
  printf("# %u of 24 refilled\n", refilled);
  CHECK(refilled > 5);
  CHECK_INT(stranded, 0);
}

static void test_vehicles_stop_at_lights_and_park(void)
{
  mc_sim *sim;
  CHECK_OK(make(40, 4, (mc_sim_config){.time_scale = 10, .frame_rate_scale = 0.01}, &sim));
  int64_t now = START;
  uint32_t met[5] = {0};
  for (int i = 0; i < 1500; i++, now += 100000) {
    mc_sim_step(sim, now);
    for (uint32_t v = 0; v < 40; v++) {
      mc_sim_state s;
      mc_sim_state_get(sim, v, &s);
      met[s.activity]++;
      CHECK(s.activity != MC_SIM_PARKED || s.speed_mps == 0);
    }
  }
  mc_sim_destroy(&sim);
  printf("# parked %u, starting %u, driving %u, waiting %u, refilling %u\n", met[0], met[1], met[2], met[3], met[4]);
  CHECK(met[MC_SIM_PARKED] > 500 && met[MC_SIM_STARTING] > 50 && met[MC_SIM_WAITING] > 500);
  CHECK(met[MC_SIM_DRIVING] > 20000);
}

static void test_frame_rate_scales_and_sleeping_buses_are_quiet(void)
{
  digest d[2] = {{0}};
  for (int i = 0; i < 2; i++) {
    mc_sim *sim;
    CHECK_OK(make(20, 9, (mc_sim_config){.on_frame = add_frame, .ctx = &d[i], .frame_rate_scale = i ? 0.1 : 1}, &sim));
    run(sim, START, 30);
    mc_sim_destroy(&sim);
  }
  CHECK(d[0].frames < 20 * 30 * 83ull);
  CHECK(d[0].frames > 20 * 30 * 40ull);
  CHECK_DOUBLE((double)d[1].frames / (double)d[0].frames, 0.1, 0.01);
}

static void test_a_jump_of_the_clock_does_not_flood(void)
{
  digest d = {0};
  mc_sim *sim;
  CHECK_OK(make(5, 1, (mc_sim_config){.on_frame = add_frame, .ctx = &d}, &sim));
  int64_t now = run(sim, START, 2);
  uint64_t before = d.frames;
  mc_sim_step(sim, now + 3600LL * 1000000);
  CHECK(d.frames - before < 100);
  mc_sim_step(sim, now);
  CHECK(d.frames - before < 200);
  mc_sim_destroy(&sim);
}

static void test_refuses_impossible_configurations(void)
{
  const struct { mc_sim_config c; const char *part; } bad[] = {
      {{.graph = NULL, .vehicles = 1}, "road graph"},
      {{.graph = town, .vehicles = 0}, "1 to 100000"},
      {{.graph = town, .vehicles = 200000}, "1 to 100000"},
      {{.graph = town, .vehicles = 1, .time_scale = -1}, "time scale"},
      {{.graph = town, .vehicles = 1, .time_scale = NAN}, "time scale"},
      {{.graph = town, .vehicles = 1, .frame_rate_scale = 50}, "frame rate"},
      {{.graph = town, .vehicles = 1, .mix = {1, 2, 2000000}}, "heavy_truck"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    mc_sim *sim;
    mc_why why = {0};
    CHECK_INT(mc_sim_create(&bad[i].c, &sim, &why), MC_ERR_INVALID);
    CHECK(sim == NULL);
    CHECK_WHY(why, bad[i].part);
  }
  mc_sim_fleet *fleet;
  mc_why why = {0};
  CHECK_INT(mc_sim_fleet_create(&(mc_sim_fleet_config){.sim = {.graph = town, .vehicles = 1}}, &fleet, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "event loop");
}

static void test_drives_in_liechtenstein(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  char path[1200];
  snprintf(path, sizeof path, "%s/osm/liechtenstein.osm.pbf", tap_data_dir());
  FILE *f = fopen(path, "rb");
  CHECK(f);
  static uint8_t bytes[2 << 20];
  size_t n = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  mc_geo_graph *g;
  CHECK_OK(mc_geo_load_osm(mc_slice_of(bytes, n), NULL, &g, NULL));
  mc_sim *sim;
  CHECK_OK(mc_sim_create(&(mc_sim_config){.graph = g, .vehicles = 20, .seed = 1, .time_scale = 10}, &sim, NULL));
  run(sim, START, 60);
  double driven = 0;
  for (uint32_t v = 0; v < 20; v++) {
    mc_sim_state s;
    mc_sim_state_get(sim, v, &s);
    driven += s.driven_m;
    CHECK(s.position.lon > 9.3 && s.position.lon < 9.8 && s.position.lat > 46.7 && s.position.lat < 47.6);
  }
  mc_sim_destroy(&sim);
  mc_geo_graph_destroy(&g);
  CHECK(driven > 20 * 1500);
}

static void test_a_hundred_vehicles_cost_little(void)
{
  digest d = {0};
  mc_sim *sim;
  CHECK_OK(make(100, 1, (mc_sim_config){.on_frame = add_frame, .ctx = &d}, &sim));
  clock_t start = clock();
  for (int64_t t = 0; t <= 60 * 1000000LL; t += 20000)
    mc_sim_step(sim, START + t);
  double share = (double)(clock() - start) / CLOCKS_PER_SEC / 60;
  mc_sim_destroy(&sim);
  printf("# %.2f %% of one core for 100 vehicles, %.0f frames/s\n", share * 100, (double)d.frames / 60);
#ifdef __SANITIZE_ADDRESS__
  CHECK(share < 0.6);
#else
  CHECK(share < 0.15);
#endif
}

static void test_a_resumed_vehicle_goes_on_where_it_was_left(void)
{
  mc_sim *first, *second;
  mc_sim_state was, is;
  double odometer, again;
  CHECK_OK(make(10, 4, (mc_sim_config){0}, &first));
  run(first, START, 200);
  CHECK_OK(make(10, 4, (mc_sim_config){0}, &second));
  for (uint32_t i = 0; i < 10; i++) {
    mc_sim_state_get(first, i, &was);
    CHECK(mc_sim_value(first, i, "Odometer", &odometer));
    mc_sim_left left = {.position = was.position, .speed_mps = was.speed_mps, .odometer_m = odometer * 1000, .store_part = 0.5};
    CHECK(mc_sim_resume(second, i, &left));
    mc_sim_state_get(second, i, &is);
    CHECK(mc_geo_distance_m(was.position, is.position) < 40); /* receiver error and lane offset on both sides */
    CHECK(mc_sim_value(second, i, "Odometer", &again));
    CHECK(fabs(again - odometer) < 0.001);
    CHECK(is.speed_mps <= was.speed_mps + 1e-9);
  }
  run(second, START, 600);
  double driven = 0;
  for (uint32_t i = 0; i < 10; i++) {
    mc_sim_state_get(second, i, &is);
    driven += is.driven_m;
  }
  CHECK(driven > 5000); /* all of them set out again */
  mc_sim_destroy(&first);
  mc_sim_destroy(&second);
}

static void test_a_vehicle_left_on_another_map_keeps_its_odometer(void)
{
  mc_sim *sim;
  mc_sim_state before, after;
  double odometer;
  CHECK_OK(make(3, 4, (mc_sim_config){0}, &sim));
  mc_sim_state_get(sim, 1, &before);
  CHECK(!mc_sim_resume(sim, 1, &(mc_sim_left){.position = {7.42, 43.73}, .odometer_m = 123456000, .store_part = -1}));
  mc_sim_state_get(sim, 1, &after);
  CHECK(mc_geo_distance_m(before.position, after.position) < 40);
  CHECK(fabs(after.store_j - before.store_j) < before.store_j * 1e-5);
  CHECK(mc_sim_value(sim, 1, "Odometer", &odometer));
  CHECK(fabs(odometer - 123456) < 0.001);
  mc_sim_destroy(&sim);
}

int main(void)
{
  mc_why why;
  if (mc_geo_make_town(1, NULL, &town, &why)) {
    printf("not ok 1 - town: %s\n1..1\n", why.text);
    return 1;
  }
  RUN(test_vehicles_have_valid_distinct_vins);
  RUN(test_the_mix_is_kept);
  RUN(test_same_seed_gives_the_same_frames);
  RUN(test_frames_decode_to_what_the_physics_hold);
  RUN(test_every_mapped_name_is_a_signal_of_the_dbc);
  RUN(test_drivers_keep_the_limit_and_energy_flows);
  RUN(test_the_empty_go_to_refill);
  RUN(test_vehicles_stop_at_lights_and_park);
  RUN(test_frame_rate_scales_and_sleeping_buses_are_quiet);
  RUN(test_a_jump_of_the_clock_does_not_flood);
  RUN(test_a_resumed_vehicle_goes_on_where_it_was_left);
  RUN(test_a_vehicle_left_on_another_map_keeps_its_odometer);
  RUN(test_refuses_impossible_configurations);
  RUN(test_drives_in_liechtenstein);
  RUN(test_a_hundred_vehicles_cost_little);
  mc_geo_graph_destroy(&town);
  return tap_done();
}
