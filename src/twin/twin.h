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
#include "db/db.h"
#include "journal/journal.h"
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

/* ---- device shadows ---- AWS IoT Device Shadow, classic (name empty) and named. Requests are records of MC_STREAM_SHADOW, whoever makes them: what is on disk is
 * done, in the journal's order, by one thread, so that of two writers of one version exactly one wins. The database is a checkpoint with the offset it reflects;
 * after a kill the records behind it are done again with the same outcome, and answered again. */
typedef struct mc_shadows mc_shadows;
typedef struct mc_shadow_limits {
  uint32_t bytes;      /* of a state, metadata not counted */
  uint32_t depth;      /* levels below desired and reported */
  uint32_t per_second; /* requests of a thing; 0: no bound */
} mc_shadow_limits;
typedef struct mc_shadows_config {
  mc_db *db;
  mc_journal *journal;
  /* An answer to whom it may concern: accepted, rejected, delta, documents. The shadows' thread. */
  mc_err (*publish)(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why);
  /* Of a thing; NULL: 1 MiB, 16 levels, no bound of requests. The shadows' thread, from memory. */
  mc_shadow_limits (*limits_of)(void *ctx, uint32_t tenant, mc_slice thing);
  void *ctx;
  uint32_t history; /* changes that are kept of each shadow; 0: 100 */
  uint32_t cached;  /* documents in memory; 0: 20,000 */
  size_t cached_bytes; /* of them, written with their metadata (in memory that is some twenty times as much); 0: 64 MiB */
} mc_shadows_config;
mc_err mc_shadows_open(const mc_shadows_config *config, mc_shadows **out, mc_why *why); /* migrates its tables */
mc_err mc_shadows_start(mc_shadows *s, mc_why *why); /* its threads: who publishes must be there */
/* Nothing is done or published any more; requests that come wait in the journal for the next start, callers get MC_ERR_TIMEOUT. */
void mc_shadows_stop(mc_shadows *s);
void mc_shadows_close(mc_shadows **shadows); /* stops, saves */
/* $aws/things/<thing>/shadow[/name/<shadow>]/get, update, delete: is it a request? */
bool mc_shadow_topic(mc_slice topic);
/* Names: things as elsewhere, shadows 1 to 64 of [A-Za-z0-9:_-]; an empty shadow is the classic one. */
bool mc_shadow_name_is_good(mc_slice shadow);
typedef struct mc_shadow_answer {
  int code;    /* 200, or as AWS's errors have it: 400, 404, 409, 413, 415, 429 */
  char message[160]; /* of a refusal */
  mc_buf text; /* as on .../accepted or .../rejected. Free with mc_buf_free */
} mc_shadow_answer;
/* From memory and database; what was acknowledged before the call is in it. */
mc_err mc_shadow_get(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, mc_shadow_answer *out, mc_why *why);
/* Through the journal, as a device's: on disk and done when it returns. MC_ERR_TIMEOUT: it is on disk and will be done. principal: who asks, as in records. */
mc_err mc_shadow_update(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, uint32_t principal, mc_slice payload, mc_shadow_answer *out, mc_why *why);
mc_err mc_shadow_delete(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, uint32_t principal, mc_shadow_answer *out, mc_why *why);
typedef struct mc_shadow_name { mc_slice name; uint64_t version; int64_t updated_us; } mc_shadow_name;
/* Those that are there, by name; the classic one (empty) first. */
mc_err mc_shadow_list(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice after, size_t limit, mc_arena *arena, mc_shadow_name **out, size_t *count, mc_why *why);
typedef struct mc_shadow_change {
  uint64_t version;   /* that it made; of a deletion, the one it ended */
  int64_t time_us;
  uint32_t principal; /* thing or service; 0: a person or the platform */
  bool deleted;
  mc_slice state;     /* {"desired":...,"reported":...} as asked for; empty for a deletion */
} mc_shadow_change;
/* Newest first, from below this version on (0: from the newest). */
mc_err mc_shadow_history(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, uint64_t before, size_t limit, mc_arena *arena, mc_shadow_change **out, size_t *count,
                         mc_why *why);
/* Every shadow of a thing with its history, as if there had never been one: the thing is gone, or its owner's data is erased. */
mc_err mc_shadow_forget(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_why *why);
/* Everything below this offset is done. */
mc_err mc_shadows_wait(mc_shadows *s, uint64_t offset, int timeout_ms);
typedef struct mc_shadows_stats { uint64_t done, accepted, refused, cached, offset; } mc_shadows_stats;
void mc_shadows_stats_get(mc_shadows *s, mc_shadows_stats *out);

#endif
