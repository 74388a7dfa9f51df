/* Bounded queue of pointers between threads: any number of producers, one consumer (MPSC), lock-free.
 * capacity is rounded up to a power of two. push fails with MC_ERR_FULL, so that back-pressure is the
 * caller's decision. */
#ifndef MC_BASE_RING_H
#define MC_BASE_RING_H

#include <stddef.h>

#include "base/err.h"

typedef struct mc_ring mc_ring;

mc_err mc_ring_create(size_t capacity, mc_ring **out);
void mc_ring_destroy(mc_ring **ring);
mc_err mc_ring_push(mc_ring *ring, void *item); /* any thread */
void *mc_ring_pop(mc_ring *ring);               /* consumer only; NULL when empty */
size_t mc_ring_len(const mc_ring *ring);        /* approximate */

#endif
