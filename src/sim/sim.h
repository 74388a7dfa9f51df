/* sim: a fleet that drives. Vehicles with plausible physics move on a road graph and speak CAN: each encodes its state
 * by one of our DBC files, at the cycle times that file gives. Two halves: the simulator (mc_sim: no network, no threads, no
 * clock of its own) and the fleet (mc_sim_fleet: every vehicle runs the real agent library on an event loop).
 *
 * Threads: a sim and its fleet belong to one thread (the loop's). The graph is only read and may be shared. Same seed,
 * same configuration and same step times give the same frames, bit for bit. */
#ifndef MC_SIM_H
#define MC_SIM_H

#include "base/loop.h"
#include "edge/edge.h"
#include "geo/geo.h"
#include "signal/signal.h"

/* ---- the simulator ---- */
typedef enum mc_sim_kind { MC_SIM_CAR, MC_SIM_ELECTRIC, MC_SIM_TRUCK, MC_SIM_KINDS } mc_sim_kind;
const char *mc_sim_kind_name(mc_sim_kind kind); /* "town_car", "electric_car", "heavy_truck": also the DBC's name */
mc_slice mc_sim_dbc(mc_sim_kind kind);          /* text of the DBC, static */
/* JSON object {"Vehicle.Speed": "DYNAMICS_1.VehicleSpeed", ...}: VSS name -> message.signal of the DBC. Static. */
mc_slice mc_sim_signal_map(mc_sim_kind kind);

typedef struct mc_sim mc_sim;
typedef struct mc_sim_config {
  const mc_geo_graph *graph;
  uint32_t vehicles;       /* 1..100,000 */
  uint32_t first;          /* number of the first one: several sims with ranges of one fleet do not collide */
  uint64_t seed;
  double time_scale;       /* simulated seconds per second; 0: 1. At most 3,600 */
  double frame_rate_scale; /* frames per DBC cycle; 0: 1. Below 1 the bus is thinner, above denser; 0.01..10 */
  unsigned mix[MC_SIM_KINDS]; /* weights of the kinds; all 0: 50, 35, 15 */
  void (*on_frame)(void *ctx, uint32_t vehicle, const mc_can_frame *frame); /* vehicle counts from 0; may be NULL */
  void *ctx;
} mc_sim_config;
mc_err mc_sim_create(const mc_sim_config *config, mc_sim **out, mc_why *why);
void mc_sim_destroy(mc_sim **sim);
/* Moves everything to now_us (wall time, as frames carry it) and gives the frames that fell due since the last call. The first
 * call only sets the clock. A gap of more than 5 s (a suspended machine) is skipped. */
void mc_sim_step(mc_sim *sim, int64_t now_us);

typedef struct mc_sim_vehicle_info {
  char name[32]; /* "town-car-0001": thing name, client id */
  char vin[18];  /* 17 characters, the check digit of ISO 3779 / 49 CFR 565.15 valid */
  mc_sim_kind kind;
  const char *maker, *model;
  uint16_t year;
} mc_sim_vehicle_info;
uint32_t mc_sim_count(const mc_sim *sim);
const mc_sim_vehicle_info *mc_sim_vehicle(const mc_sim *sim, uint32_t vehicle);
/* Present physical value of a DBC signal ("VehicleSpeed", "StateOfCharge", ...); false when the kind has no such signal. */
bool mc_sim_value(const mc_sim *sim, uint32_t vehicle, const char *signal, double *out);

/* What is known of a vehicle from an earlier run. */
typedef struct mc_sim_left {
  mc_geo_point position;
  double speed_mps;   /* 0: it stands parked */
  double odometer_m;  /* negative: not known */
  double store_part;  /* 0..1 of tank or battery; negative: not known */
} mc_sim_left;
/* Puts a vehicle back to where it was left: before the first step. False when no road is near (another map): then only odometer and
 * store are taken over. */
bool mc_sim_resume(mc_sim *sim, uint32_t vehicle, const mc_sim_left *left);

typedef enum mc_sim_activity { MC_SIM_PARKED, MC_SIM_STARTING, MC_SIM_DRIVING, MC_SIM_WAITING /* light, stop sign */, MC_SIM_REFILLING } mc_sim_activity;
typedef struct mc_sim_state { /* what the physics hold, for tests and the demo's own checks */
  mc_sim_activity activity;
  mc_geo_point position;
  double speed_mps, limit_mps; /* limit of the road under it; 0 when parked */
  double driven_m;      /* since creation */
  double energy_j;      /* taken from tank or battery since creation, recuperation subtracted */
  double refilled_j;    /* put in */
  double store_j;       /* left in tank or battery */
  uint32_t trips;
} mc_sim_state;
void mc_sim_state_get(const mc_sim *sim, uint32_t vehicle, mc_sim_state *out);
uint64_t mc_sim_frames(const mc_sim *sim); /* given out so far */

/* ---- the fleet ---- */
typedef struct mc_sim_fleet mc_sim_fleet;
typedef struct mc_sim_fleet_config {
  mc_sim_config sim;        /* on_frame and ctx are the fleet's own */
  mc_loop *loop;
  const char *host;
  uint16_t port;
  const char *topic_prefix; /* NULL: the agent's default */
  const char *data_dir;     /* a sub folder a vehicle for documents and spool; NULL: memory only */
  uint32_t checkin_ms;      /* 0: the agent's default */
  const char *interface_id; /* NULL: "can0" */
  /* The vehicle's name when it is not the sim's own (names come from where certificates are); may be NULL. Borrowed for the call. */
  const char *(*name)(void *ctx, uint32_t vehicle);
  /* The client context with the vehicle's certificate; the fleet destroys it. NULL function: plain MQTT. */
  mc_err (*tls)(void *ctx, uint32_t vehicle, const char *name, mc_tls **out, mc_why *why);
  /* As in mc_agent_config; may be NULL. */
  void (*published)(void *ctx, uint32_t vehicle, uint32_t event_id, int64_t event_time_us, uint32_t samples, uint64_t token);
  void (*acked)(void *ctx, uint32_t vehicle, uint64_t token);
  void *ctx;
} mc_sim_fleet_config;
typedef struct mc_sim_fleet_stats {
  uint32_t vehicles, connected, driving;
  uint64_t frames; /* from the simulator */
  mc_agent_stats agents; /* sums over all agents; connected: all of them are */
} mc_sim_fleet_stats;
/* Makes the sim and the agents; nothing moves before start. The strings must live as long as the fleet. */
mc_err mc_sim_fleet_create(const mc_sim_fleet_config *config, mc_sim_fleet **out, mc_why *why);
/* Connects the agents a few per tick, so that hundreds do not shake hands at once, and starts driving. */
void mc_sim_fleet_start(mc_sim_fleet *fleet);
void mc_sim_fleet_stop(mc_sim_fleet *fleet); /* DISCONNECT of all; no more frames */
/* Turns the loop a few times, so that connections can close: not from one of its callbacks, and not while another thread runs it. */
void mc_sim_fleet_destroy(mc_sim_fleet **fleet);
void mc_sim_fleet_stats_get(const mc_sim_fleet *fleet, mc_sim_fleet_stats *out);
mc_sim *mc_sim_fleet_sim(mc_sim_fleet *fleet);
mc_agent *mc_sim_fleet_agent(mc_sim_fleet *fleet, uint32_t vehicle);

#endif
