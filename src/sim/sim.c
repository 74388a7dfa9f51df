/* The simulator: makes the vehicles, moves them in steps, and gives their frames when these fall due. */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/inside.h"

#define GAP_US 5000000 /* a longer pause between two steps is skipped */

double sim_uniform(sim_rng *r, double low, double high) /* splitmix64 */
{
  uint64_t z = (r->state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  z ^= z >> 31;
  return low + (high - low) * (double)(z >> 11) * 0x1p-53;
}

/* By the golden ratio: any run of consecutive vehicles has about the wished mix, a fleet of four too. */
static mc_sim_kind pick_kind(const mc_sim *sim, uint32_t number)
{
  const unsigned *mix = sim->config.mix;
  double turn = (number + 0.5) * 0.6180339887498949, dice = (turn - floor(turn)) * (mix[0] + mix[1] + mix[2]);
  return dice < mix[0] ? MC_SIM_CAR : dice < mix[0] + mix[1] ? MC_SIM_ELECTRIC : MC_SIM_TRUCK;
}

static void describe(mc_sim *sim, sim_vehicle *v, uint32_t number)
{
  static const char *const prefix[MC_SIM_KINDS] = {"town-car", "electric-car", "heavy-truck"};
  mc_sim_kind kind = pick_kind(sim, number);
  v->model = sim_model_pick(kind, (uint32_t)sim_uniform(&v->rng, 0, 1000));
  v->info.kind = kind;
  v->info.maker = v->model->maker;
  v->info.model = v->model->model;
  v->info.year = (uint16_t)(2016 + (int)sim_uniform(&v->rng, 0, 10.99));
  snprintf(v->info.name, sizeof v->info.name, "%s-%04u", prefix[kind], number + 1);
  sim_make_vin(v->model, v->info.year, number + 1, v->info.vin);
}

static void furnish(mc_sim *sim, sim_vehicle *v)
{
  const sim_model *m = v->model;
  double load = m->kind == MC_SIM_TRUCK ? sim_uniform(&v->rng, 0.1, 1) : sim_uniform(&v->rng, 0.2, 0.7);
  v->mass_kg = m->mass_kg + m->payload_kg * load;
  v->store_j = m->store_j * sim_uniform(&v->rng, 0.28, 0.95);
  v->odometer_m = (2026 - v->info.year + sim_uniform(&v->rng, 0.2, 1)) * sim_uniform(&v->rng, 7e6, 21e6) * (m->kind == MC_SIM_TRUCK ? 5 : 1);
  v->hours = v->odometer_m / 1000 / 42;
  v->health = 1 - (2026 - v->info.year) * 0.011 - sim_uniform(&v->rng, 0, 0.02);
  v->eagerness = sim_chance(&v->rng, 0.08) ? 1.10 : sim_uniform(&v->rng, 0.90, 1.0);
  v->coolant_c = v->oil_c = v->gearbox_c = sim_uniform(&v->rng, 30, 86);
  v->motor_c = v->inverter_c = sim_uniform(&v->rng, 22, 45);
  v->pack_c = sim_uniform(&v->rng, 16, 27);
  v->cabin_c = 20;
  v->tyre_c = sim->ambient_c + 8;
  v->air_kpa = 900;
  v->leak_wheel = (int)sim_uniform(&v->rng, 0, 4);
  v->leak_rate = sim_chance(&v->rng, 0.03) ? sim_uniform(&v->rng, 4, 14) : 0.01;
  for (int i = 0; i < 4; i++)
    v->tyre_leak[i] = sim_uniform(&v->rng, 0, m->tyre_kpa[0] * 0.07);
  v->value[SIM_LowVoltage] = 12.6 * (m->kind == MC_SIM_TRUCK ? 2 : 1);
}

/* Most vehicles are found under way: somewhere along a trip, already warm. */
static void set_out(mc_sim *sim, sim_vehicle *v)
{
  v->activity = MC_SIM_PARKED;
  v->timer_s = sim_uniform(&v->rng, 0, 120);
  if (sim_chance(&v->rng, 0.8) && sim_begin_trip(sim, v) == MC_OK) {
    v->activity = MC_SIM_DRIVING;
    v->timer_s = 0;
    v->s = v->path.at[v->path.len - 1].s * sim_uniform(&v->rng, 0, 0.85);
    while (v->at + 2 < v->path.len && v->path.at[v->at + 1].s <= v->s)
      v->at++;
    v->speed = 0.7 * fmin((double)v->path.at[v->at].allowed, (double)v->path.at[v->at + 1].allowed);
    v->trip_m = v->s;
    v->trip_s = v->s / 9;
    v->trip_energy_j = v->s * (v->model->kind == MC_SIM_TRUCK ? 9e3 : v->model->kind == MC_SIM_ELECTRIC ? 600 : 2200);
    v->value[SIM_Heading] = v->path.at[v->at].heading;
  }
  v->altitude_m = 34;
  v->pending_s = sim_uniform(&v->rng, 0, SIM_STEP_S);
  sim_power(sim, v, 1e-3);
  sim_body(sim, v, 1e-3);
}

static mc_err make_vehicle(mc_sim *sim, uint32_t index, mc_why *why)
{
  sim_vehicle *v = &sim->vehicle[index];
  uint32_t number = sim->config.first + index;
  v->rng.state = sim->config.seed * 0xD1342543DE82EF95ULL + number * 0x2545F4914F6CDD1DULL;
  describe(sim, v, number);
  furnish(sim, v);
  const sim_bus *bus = &sim->bus[v->info.kind];
  v->due_us = calloc(bus->message.len + 1, sizeof *v->due_us);
  if (!v->due_us)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for vehicle %u", number + 1);
  mc_err err = sim_random_place(sim, &v->rng, v->info.kind == MC_SIM_TRUCK, &v->place);
  if (err)
    return mc_err_set(why, err, "no place for vehicle %s on this road graph", v->info.name);
  v->home = v->place;
  set_out(sim, v);
  return MC_OK;
}

static mc_err check(const mc_sim_config *c, mc_why *why)
{
  if (!c->graph)
    return mc_err_set(why, MC_ERR_INVALID, "the simulator needs a road graph");
  if (c->vehicles < 1 || c->vehicles > 100000)
    return mc_err_set(why, MC_ERR_INVALID, "%u vehicles: give 1 to 100000", c->vehicles);
  if (!(c->time_scale >= 0 && c->time_scale <= 3600))
    return mc_err_set(why, MC_ERR_INVALID, "time scale %g: give a number above 0, at most 3600", c->time_scale);
  if (c->frame_rate_scale != 0 && !(c->frame_rate_scale >= 0.01 && c->frame_rate_scale <= 10))
    return mc_err_set(why, MC_ERR_INVALID, "frame rate scale %g: give 0.01 to 10", c->frame_rate_scale);
  for (int i = 0; i < MC_SIM_KINDS; i++)
    if (c->mix[i] > 1000000)
      return mc_err_set(why, MC_ERR_INVALID, "the weight %u of %s in the mix is above 1000000", c->mix[i], mc_sim_kind_name((mc_sim_kind)i));
  return MC_OK;
}

static mc_err build(mc_sim *sim, mc_why *why)
{
  for (int k = 0; k < MC_SIM_KINDS; k++)
    MC_TRY(sim_bus_open((mc_sim_kind)k, &sim->bus[k], why));
  if (mc_geo_router_create(sim->config.graph, &sim->router))
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the router");
  MC_TRY(sim_make_places(sim, why));
  sim->vehicle = calloc(sim->config.vehicles, sizeof *sim->vehicle);
  if (!sim->vehicle)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for %u vehicles", sim->config.vehicles);
  for (uint32_t i = 0; i < sim->config.vehicles; i++)
    MC_TRY(make_vehicle(sim, i, why));
  return MC_OK;
}

mc_err mc_sim_create(const mc_sim_config *config, mc_sim **out, mc_why *why)
{
  *out = NULL;
  MC_TRY(check(config, why));
  mc_sim *sim = calloc(1, sizeof *sim);
  if (!sim)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the simulator");
  sim->config = *config;
  if (sim->config.time_scale == 0)
    sim->config.time_scale = 1;
  if (sim->config.frame_rate_scale == 0)
    sim->config.frame_rate_scale = 1;
  if (config->mix[0] + config->mix[1] + config->mix[2] == 0)
    memcpy(sim->config.mix, (unsigned[]){50, 35, 15}, sizeof sim->config.mix);
  sim->rng.state = config->seed;
  sim->ambient_c = 14.5;
  mc_err err = build(sim, why);
  if (err)
    mc_sim_destroy(&sim);
  *out = sim;
  return err;
}

void mc_sim_destroy(mc_sim **handle)
{
  mc_sim *sim = *handle;
  *handle = NULL;
  if (!sim)
    return;
  for (uint32_t i = 0; sim->vehicle && i < sim->config.vehicles; i++) {
    mc_vec_free(&sim->vehicle[i].path);
    mc_vec_free(&sim->vehicle[i].halt);
    free(sim->vehicle[i].due_us);
  }
  free(sim->vehicle);
  for (int k = 0; k < MC_SIM_KINDS; k++)
    sim_bus_close(&sim->bus[k]);
  mc_geo_router_destroy(&sim->router);
  mc_geo_route_free(&sim->route);
  mc_vec_free(&sim->shape);
  free(sim);
}

/* ---- time ---- */
static void give_frames(mc_sim *sim, uint32_t index, int64_t now_us)
{
  sim_vehicle *v = &sim->vehicle[index];
  const sim_bus *bus = &sim->bus[v->info.kind];
  bool asleep = v->awake_s <= 0;
  mc_can_frame frame;
  for (size_t i = 0; i < bus->message.len; i++) {
    const sim_message *m = &bus->message.at[i];
    int64_t cycle = (int64_t)(m->cycle_us / sim->config.frame_rate_scale);
    if (v->due_us[i] == 0) /* first time: messages start at different moments */
      v->due_us[i] = now_us + (int64_t)((index * 7919u + i * 104729u) % (uint64_t)cycle);
    while (v->due_us[i] <= now_us) {
      if (!asleep && sim->config.on_frame) {
        sim_bus_encode(bus, m, v->value, &frame);
        frame.time_us = v->due_us[i];
        sim->config.on_frame(sim->config.ctx, index, &frame);
        sim->frames++;
      }
      v->due_us[i] += cycle;
    }
  }
}

static void move_vehicle(mc_sim *sim, sim_vehicle *v, double seconds)
{
  v->pending_s += seconds;
  while (v->pending_s >= SIM_STEP_S) {
    v->pending_s -= SIM_STEP_S;
    sim_drive(sim, v, SIM_STEP_S);
    sim_power(sim, v, SIM_STEP_S);
    sim_body(sim, v, SIM_STEP_S);
  }
}

void mc_sim_step(mc_sim *sim, int64_t now_us)
{
  int64_t passed = sim->last_us ? now_us - sim->last_us : 0;
  bool jump = passed < 0 || passed > GAP_US;
  sim->last_us = now_us;
  if (jump) {
    for (uint32_t i = 0; i < sim->config.vehicles; i++)
      memset(sim->vehicle[i].due_us, 0, sim->bus[sim->vehicle[i].info.kind].message.len * sizeof(int64_t));
    passed = 0;
  }
  double seconds = (double)passed * 1e-6 * sim->config.time_scale;
  sim->clock_s += seconds;
  for (uint32_t i = 0; i < sim->config.vehicles; i++) {
    move_vehicle(sim, &sim->vehicle[i], seconds);
    give_frames(sim, i, now_us);
  }
}

/* ---- looking ---- */
uint32_t mc_sim_count(const mc_sim *sim) { return sim->config.vehicles; }
const mc_sim_vehicle_info *mc_sim_vehicle(const mc_sim *sim, uint32_t vehicle) { return &sim->vehicle[vehicle].info; }
uint64_t mc_sim_frames(const mc_sim *sim) { return sim->frames; }

bool mc_sim_value(const mc_sim *sim, uint32_t vehicle, const char *signal, double *out)
{
  sim_value which;
  const sim_vehicle *v = &sim->vehicle[vehicle];
  if (!sim_value_find(mc_slice_str(signal), &which) || !sim->bus[v->info.kind].has[which])
    return false;
  *out = v->value[which];
  return true;
}

void mc_sim_state_get(const mc_sim *sim, uint32_t vehicle, mc_sim_state *out)
{
  const sim_vehicle *v = &sim->vehicle[vehicle];
  bool moving = v->activity == MC_SIM_DRIVING || v->activity == MC_SIM_WAITING;
  *out = (mc_sim_state){.activity = v->activity, .position = {v->value[SIM_Longitude], v->value[SIM_Latitude]}, .speed_mps = v->speed,
                        .limit_mps = moving && v->path.len > v->at + 1 ? fmax((double)v->path.at[v->at].limit, (double)v->path.at[v->at + 1].limit) : 0,
                        .driven_m = v->driven_m, .energy_j = v->energy_j, .refilled_j = v->refilled_j, .store_j = v->store_j, .trips = v->trips};
}
