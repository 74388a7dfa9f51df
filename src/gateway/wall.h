/* How long a message has waited, by a wall clock that may jump. Its arrival is known by the wall clock, for that counts on over restarts; a jump of that clock must neither let
 * it expire early nor live for ever. So each jump is noted: which messages came before it, and by how much it went. Private to gateway. */
#ifndef MC_GATEWAY_WALL_H
#define MC_GATEWAY_WALL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/slice.h"

struct mc_gateway;
struct mc_gateway_loop;
struct mc_message;

enum { MC_JUMPS = 64, MC_WALL_SECTION = 1 };
/* Smaller ones are let be: message expiry is in whole seconds. They add up, and count when they have. */
#define MC_JUMP_LEAST_US 2000000

typedef struct mc_jump {
  uint64_t from, to;     /* what lies below `from` in the journal was timed before it, what lies at and above `to` after it; what lies between is told by its time */
  int64_t before, after; /* us UTC: what the clock would have said when it was noticed, and said */
} mc_jump;

typedef struct mc_wall {
  pthread_mutex_t lock; /* a leaf: of the list */
  mc_jump jump[MC_JUMPS]; /* oldest first; beyond so many the two oldest are taken for one */
  uint32_t len;
  _Atomic uint64_t top; /* no jump matters to what lies at or above it */
  _Atomic int64_t skew; /* wall less monotonic clock, us, as of the last jump */
  uint64_t seen_end;    /* the journal's end at the last look; the checkpoint's thread, as is the next */
  int64_t close_us;     /* monotonic: the last jump's `to` is then set */
} mc_wall;

void mc_wall_init(mc_wall *w);
void mc_wall_free(mc_wall *w);
/* Before the loops run. last_us: the latest time that an earlier process is known to have lived at, in terms of the clock as it was then; 0: none did.
 * last_offset: nothing below it came later than that. */
void mc_wall_begin(struct mc_gateway *g, int64_t last_us, uint64_t last_offset);
/* From the checkpoint's thread, twice a second. True: the clock jumped, and the next checkpoint should say so soon. */
bool mc_wall_look(struct mc_gateway *g);
/* A time at which something at this offset came, in terms of the clock of now. */
int64_t mc_wall_corrected(mc_wall *w, uint64_t offset, int64_t time_us);
/* Whole seconds that it waited here (MQTT 5.0, 3.3.2.3.3). */
uint32_t mc_wall_waited_s(const struct mc_gateway_loop *l, const struct mc_message *m);

/* The section of the checkpoint: README, "sessions.checkpoint". needed: nothing below this offset will be asked for. */
mc_err mc_wall_put(mc_wall *w, uint64_t needed, mc_buf *out);
mc_err mc_wall_load(mc_wall *w, mc_slice section, mc_why *why);

#endif
