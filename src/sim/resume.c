/* A vehicle goes on where an earlier run left it: place, odometer, tank or battery. A new trip begins there. */
#include "sim/inside.h"

#define NEAR_M 150.0

bool mc_sim_resume(mc_sim *sim, uint32_t vehicle, const mc_sim_left *left)
{
  sim_vehicle *v = &sim->vehicle[vehicle];
  if (left->odometer_m >= 0) {
    v->hours += (left->odometer_m - v->odometer_m) / 1000 / 42;
    v->odometer_m = left->odometer_m;
  }
  if (left->store_part >= 0)
    v->store_j = v->model->store_j * fmin(left->store_part, 1);
  mc_geo_snap place;
  bool found = mc_geo_graph_snap(sim->config.graph, left->position, NEAR_M, true, &place) == MC_OK;
  if (found) {
    v->place = place;
    v->path.len = 0;
    v->at = v->next_halt = 0;
    v->s = v->speed = v->accel = v->turn = 0;
    v->trip_m = v->trip_s = v->trip_energy_j = 0;
    v->activity = MC_SIM_PARKED;
    v->timer_s = sim_uniform(&v->rng, 5, 120);
    if (left->speed_mps > 0 && sim_begin_trip(sim, v) == MC_OK) {
      v->activity = MC_SIM_DRIVING;
      v->timer_s = 0;
      v->speed = fmin(left->speed_mps, 0.7 * fmin((double)v->path.at[0].allowed, (double)v->path.at[1].allowed));
      v->value[SIM_Heading] = v->path.at[0].heading;
    }
  }
  sim_power(sim, v, 1e-3); /* what the bus says first is what was put here */
  sim_body(sim, v, 1e-3);
  return found;
}
