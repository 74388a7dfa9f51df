/* twin: what is true now - the last value of every signal of every vehicle, with its time.
 *
 * In memory; a checkpoint file holds all values and the journal offset they reflect, and what came after is read
 * again from the journal. A sample older than the one held never replaces it; quarantined samples (too far in the future) are
 * kept out. One writer thread (the decoder), any number of readers (a lock per shard of vehicles). Also keeps where each vehicle
 * is, by role (position, speed, heading, fuel, charge), and when it was last heard of: what map and live view read. */
#ifndef MC_TWIN_H
#define MC_TWIN_H

#include "base/arena.h"
#include "base/file.h"
#include "signal/signal.h"

typedef struct mc_twin mc_twin;
typedef struct mc_twin_config {
  const mc_fs *fs;
  const char *dir;
  /* role of a signal id (tenant, id); asked once per signal and cached */
  mc_role (*role_of)(void *ctx, uint32_t tenant, uint32_t signal);
  /* encoding of an id, to give physical values; false: unknown */
  bool (*encoding_of)(void *ctx, uint32_t encoding, mc_encoding *out);
  void *ctx;
} mc_twin_config;
mc_err mc_twin_open(const mc_twin_config *config, mc_twin **out, mc_why *why); /* loads the checkpoint; a damaged one is set aside and rebuilt from offset 0 */
void mc_twin_close(mc_twin **twin); /* writes a checkpoint */
uint64_t mc_twin_offset(const mc_twin *t); /* journal offset to read from */

mc_err mc_twin_apply(mc_twin *t, const mc_block *block, mc_why *why);
mc_block_sink mc_twin_sink(mc_twin *t);
mc_err mc_twin_checkpoint(mc_twin *t, mc_why *why); /* atomic replace; any thread */
/* The reader's offset moves on even when records held no samples. */
void mc_twin_set_offset(mc_twin *t, uint64_t next_offset);
/* Waits until everything below offset is visible. MC_ERR_TIMEOUT. */
mc_err mc_twin_wait(mc_twin *t, uint64_t offset, int timeout_ms);

typedef struct mc_latest {
  uint32_t signal, encoding;
  mc_sample_kind kind;
  int64_t time_us, arrival_us;
  int64_t raw;
  double value;    /* physical, for RAW and DOUBLE */
  mc_slice text;   /* STRING, in the arena */
} mc_latest;
mc_err mc_twin_latest(mc_twin *t, uint32_t tenant, uint32_t vehicle, mc_arena *arena, mc_latest **out, size_t *count, mc_why *why); /* all signals, ordered by id */
bool mc_twin_latest_of(mc_twin *t, uint32_t tenant, uint32_t vehicle, uint32_t signal, mc_arena *arena, mc_latest *out);

typedef enum mc_motion { MC_MOTION_UNKNOWN = 0, MC_MOTION_MOVING = 1, MC_MOTION_IDLE = 2, MC_MOTION_PARKED = 3, MC_MOTION_OFFLINE = 4 } mc_motion;
typedef struct mc_vehicle_now {
  uint32_t vehicle;
  uint32_t present;          /* bit per mc_role that has a value */
  double latitude, longitude, heading_deg, speed_kmh, odometer_km, fuel_percent, charge_percent, altitude_m;
  bool ignition;
  int64_t position_us;       /* time of the position sample */
  int64_t heard_us;          /* arrival of the last record */
  uint64_t changed;          /* tick counter of the last change, see mc_twin_changed */
} mc_vehicle_now;
bool mc_twin_vehicle(mc_twin *t, uint32_t tenant, uint32_t vehicle, mc_vehicle_now *out);
/* moving: speed > 3 km/h, idle: ignition on or speed known and 0, both heard within 2 min, else unknown; parked: ignition off;
 * offline: not heard for 5 min. */
mc_motion mc_vehicle_now_motion(const mc_vehicle_now *v, int64_t now_us);
/* All vehicles of a tenant that changed after `since` (0: all), into a vector the caller owns; returns the counter to pass next time. */
typedef MC_VEC(mc_vehicle_now) mc_vehicle_now_vec;
uint64_t mc_twin_changed(mc_twin *t, uint32_t tenant, uint64_t since, mc_vehicle_now_vec *out);
/* Values of one vehicle that changed after `since`: for live vehicle pages. */
typedef MC_VEC(mc_latest) mc_latest_vec;
uint64_t mc_twin_vehicle_changed(mc_twin *t, uint32_t tenant, uint32_t vehicle, uint64_t since, mc_arena *arena, mc_latest_vec *out);
typedef struct mc_twin_stats { uint64_t vehicles, values, samples_applied, samples_late, bytes; } mc_twin_stats;
void mc_twin_stats_get(mc_twin *t, mc_twin_stats *out);

#endif
