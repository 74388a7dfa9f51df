/* Motion along the path: what the driver wants, what the road and the lights allow, what the machine can. */
#include "sim/inside.h"

static double turn_between(double from, double to)
{
  double d = to - from;
  return d > 180 ? d - 360 : d < -180 ? d + 360 : d;
}

/* Two groups take turns, 24 s green each, 2 s red for all between; every junction has its own phase. */
static bool is_green(const mc_sim *sim, const sim_halt *h)
{
  double t = fmod(sim->clock_s + (h->node * 2654435761u % 52), 52);
  return h->across ? t < 24 : t >= 26 && t < 50;
}

static size_t waypoint_behind(const sim_vehicle *v, double s, size_t from)
{
  while (from + 2 < v->path.len && v->path.at[from + 1].s <= s)
    from++;
  return from;
}

/* Speed allowed s metres along, between waypoints as under even braking. */
static double allowed_at(const sim_vehicle *v, double s)
{
  size_t i = waypoint_behind(v, s, v->at);
  const sim_waypoint *a = &v->path.at[i], *b = a + 1;
  double k = b->s > a->s ? (s - a->s) / (b->s - a->s) : 1;
  k = k < 0 ? 0 : k > 1 ? 1 : k;
  double square = (double)a->allowed * a->allowed * (1 - k) + (double)b->allowed * b->allowed * k;
  return sqrt(square > 0 ? square : 0);
}

/* Speed that still lets us stop at the next light or sign, when we have to. */
static double allowed_by_halt(mc_sim *sim, sim_vehicle *v, double dt)
{
  while (v->next_halt < v->halt.len && v->halt.at[v->next_halt].s < v->s + 0.5)
    v->next_halt++;
  bool was_stopping = v->stopping_for_halt;
  v->stopping_for_halt = false;
  if (v->next_halt == v->halt.len)
    return INFINITY;
  const sim_halt *h = &v->halt.at[v->next_halt];
  double room = h->s - 4 - v->s, brake = v->model->brake_mps2;
  if (room > v->speed * v->speed / (2 * brake) + 15)
    return INFINITY;
  if (!h->sign && (is_green(sim, h) || (!was_stopping && room < v->speed * v->speed / (2 * brake * 1.6))))
    return INFINITY; /* green, or it changed too late to stop */
  v->stopping_for_halt = true;
  if (h->sign && v->speed < 0.4 && room < 2.5) {
    v->timer_s += dt;
    if (v->timer_s > 1.4) { /* looked both ways */
      v->timer_s = 0;
      v->next_halt++;
      v->stopping_for_halt = false;
      return INFINITY;
    }
  }
  room -= v->speed * 0.35; /* the foot lags */
  return room > 0 ? sqrt(2 * brake * 0.8 * room) : 0;
}

static void move(mc_sim *sim, sim_vehicle *v, double dt)
{
  double wish = fmin(allowed_at(v, v->s + v->speed * 0.4), allowed_at(v, v->s));
  wish = fmin(wish, allowed_by_halt(sim, v, dt));
  const sim_model *m = v->model;
  double can = fmin(m->accel_mps2 * (1.08 - 0.6 * v->speed / m->top_mps), m->power_w * 0.75 / (v->mass_kg * fmax(v->speed, 2)));
  double want = (wish - v->speed) / 0.5;
  double accel = want > can ? can : want < -m->brake_mps2 * 1.9 ? -m->brake_mps2 * 1.9 : want;
  double jerk = (accel < v->accel ? 8 : 2.5) * dt; /* the foot is not infinitely fast */
  accel = accel > v->accel + jerk ? v->accel + jerk : accel < v->accel - jerk ? v->accel - jerk : accel;
  if (v->speed + accel * dt < 0 || (wish < 0.05 && v->speed < 0.3))
    accel = -v->speed / dt;
  double limit = allowed_at(v, v->s);
  double speed = fmax(0, v->speed + accel * dt);
  if (speed > limit && speed > v->speed) { /* jerk must not carry us over the limit */
    speed = fmax(limit, v->speed);
    accel = (speed - v->speed) / dt;
  }
  double step = (v->speed + speed) / 2 * dt;
  v->accel = accel;
  v->speed = speed;
  v->s += step;
  v->driven_m += step;
  v->odometer_m += step;
  v->trip_m += step;
  size_t before = v->at;
  v->at = waypoint_behind(v, v->s, v->at);
  double turned = turn_between(v->path.at[before].heading, v->path.at[v->at].heading);
  double ease = fmin(1, dt / 0.6);
  v->turn += (turned / dt - v->turn) * ease;
  if (v->speed < 0.3)
    v->turn *= 1 - ease;
}

static void arrive(mc_sim *sim, sim_vehicle *v)
{
  v->speed = v->accel = v->turn = 0;
  v->trips++;
  if (v->to_station) {
    v->activity = MC_SIM_REFILLING;
    v->timer_s = 15; /* until cable or nozzle is in */
    return;
  }
  v->activity = MC_SIM_PARKED;
  v->timer_s = sim_uniform(&v->rng, 20, 60) + (sim_chance(&v->rng, 0.25) ? sim_uniform(&v->rng, 60, 400) : 0);
}

static bool at_end(const sim_vehicle *v)
{
  return v->path.at[v->path.len - 1].s - v->s < 0.8 || (v->speed < 0.1 && v->path.at[v->path.len - 1].s - v->s < 3);
}

void sim_drive(mc_sim *sim, sim_vehicle *v, double dt)
{
  switch (v->activity) {
  case MC_SIM_PARKED:
    v->timer_s -= dt;
    if (v->timer_s > 0)
      return;
    if (sim_begin_trip(sim, v)) {
      v->timer_s = 30; /* nothing reachable just now: look again later */
      return;
    }
    v->activity = MC_SIM_STARTING;
    v->timer_s = sim_uniform(&v->rng, 3, 8);
    v->trip_m = v->trip_s = v->trip_energy_j = 0;
    return;
  case MC_SIM_STARTING:
    v->timer_s -= dt;
    if (v->timer_s <= 0) {
      v->activity = MC_SIM_DRIVING;
      v->timer_s = 0;
    }
    return;
  case MC_SIM_DRIVING:
  case MC_SIM_WAITING:
    move(sim, v, dt);
    v->activity = v->stopping_for_halt && v->speed < 0.2 ? MC_SIM_WAITING : MC_SIM_DRIVING;
    if (at_end(v))
      arrive(sim, v);
    return;
  case MC_SIM_REFILLING:
    v->timer_s -= dt;
    if (v->store_j >= v->model->store_j * (v->model->kind == MC_SIM_ELECTRIC ? 0.8 : 0.97)) {
      v->activity = MC_SIM_PARKED;
      v->timer_s = sim_uniform(&v->rng, 15, 40);
      v->to_station = false;
    }
    return;
  }
}
