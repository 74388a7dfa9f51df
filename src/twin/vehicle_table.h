/* The twin's tables: shards of vehicles, each with its values. Private to the module. */
#ifndef MC_TWIN_VEHICLE_TABLE_H
#define MC_TWIN_VEHICLE_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "twin/twin.h"

enum { TWIN_SHARDS = 64 };

typedef struct twin_value {
  uint32_t signal, encoding;
  uint8_t kind;
  int64_t time_us, arrival_us;
  uint64_t changed;
  union {
    int64_t raw;
    double dbl;
    struct {
      char *bytes; /* owned */
      uint32_t len;
    } str;
  };
} twin_value;

typedef struct twin_vehicle {
  uint32_t tenant;
  mc_vehicle_now now;
  mc_map by_signal; /* signal -> index in value */
  MC_VEC(twin_value) value;
} twin_vehicle;

typedef struct twin_shard {
  pthread_mutex_t lock;
  mc_map by_key; /* tenant << 32 | vehicle -> twin_vehicle * */
} twin_shard;

struct mc_twin {
  mc_twin_config config;
  char *dir, *path;
  twin_shard shard[TWIN_SHARDS];
  pthread_mutex_t saving;   /* one checkpoint at a time */
  pthread_mutex_t progress; /* guards the condition below */
  pthread_cond_t moved;
  _Atomic uint64_t offset;
  _Atomic uint64_t tick; /* counts changes; stamps them */
  _Atomic uint64_t vehicles, values, applied, late, bytes;
  mc_map role; /* tenant << 32 | signal -> role; writer only */
};

static inline uint64_t twin_key(uint32_t tenant, uint32_t vehicle) { return (uint64_t)tenant << 32 | vehicle; }
static inline twin_shard *twin_shard_of(mc_twin *t, uint32_t vehicle) { return &t->shard[vehicle & (TWIN_SHARDS - 1)]; }
/* With the shard's lock held. NULL: not there. */
twin_vehicle *twin_find(mc_twin *t, uint32_t tenant, uint32_t vehicle);
mc_err twin_find_or_add(mc_twin *t, uint32_t tenant, uint32_t vehicle, twin_vehicle **out);
/* Puts one value in when it is not older than the one held. text: backing bytes of strings. */
mc_err twin_put(mc_twin *t, twin_vehicle *v, uint32_t signal, uint32_t encoding, uint8_t kind, int64_t time_us, int64_t arrival_us,
                mc_sample_value value, mc_slice text);

mc_err twin_load(mc_twin *t, mc_why *why);
mc_err twin_serialise(mc_twin *t, mc_buf *out);

#endif
