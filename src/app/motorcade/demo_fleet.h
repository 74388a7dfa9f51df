/* The demo's own vehicles: catalog, campaigns, devices, the simulated fleet, and what is measured on it. */
#ifndef APP_DEMO_FLEET_H
#define APP_DEMO_FLEET_H

#include "app/motorcade/server.h"
#include "sim/sim.h"

typedef struct demo_fleet demo_fleet;
typedef struct demo_result {
  uint32_t vehicles, connected;
  uint64_t messages, samples; /* published by the agents */
  uint64_t acknowledged;      /* messages */
  uint64_t durable;           /* messages found in the journal afterwards */
  uint64_t lost;              /* acknowledged, not in the journal */
  uint64_t decoded;           /* samples that reached twin and store */
  double p50_ms, p99_ms;      /* publish to visible */
} demo_result;

/* Between server_open and server_start: manifests, vehicles, certificates, campaigns; what is there already stays. Sets the server's
 * observer. */
mc_err demo_fleet_prepare(server *s, uint32_t vehicles, uint64_t seed, demo_fleet **out, mc_why *why);
mc_err demo_fleet_start(demo_fleet *f, mc_why *why); /* after server_start */
void demo_fleet_halt(demo_fleet *f);                 /* agents disconnect; their thread ends */
/* While the server still runs: waits (at most 10 s) until all that was acknowledged is decoded, and counts. */
void demo_fleet_result(demo_fleet *f, demo_result *out);
void demo_fleet_destroy(demo_fleet **f);

/* The recorded truck: a motorcade-edge of its own that replays the log, when the data folder and the program are there. */
typedef struct demo_truck {
  int pid;
} demo_truck;
mc_err demo_truck_prepare(server *s, mc_why *why); /* MC_ERR_NOT_FOUND: no data here */
mc_err demo_truck_start(server *s, demo_truck *t, mc_why *why);
void demo_truck_stop(demo_truck *t);

/* demo_device.c: creates those that are missing, in transactions of a thousand. */
mc_err demo_vehicles(server *s, const mc_vehicle *vehicle, size_t count, mc_why *why);
/* Issues a certificate for each device that has none yet, into <data>/demo/<name>/{cert,key,ca}.pem. */
mc_err demo_credentials(server *s, const char *const *name, size_t count, mc_why *why);

#endif
