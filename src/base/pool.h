/* A few threads and one bounded queue: for work that must not run on a loop. Any thread gives; the pool's threads run. */
#ifndef MC_BASE_POOL_H
#define MC_BASE_POOL_H

#include "base/err.h"

#include <stdbool.h>

/* Embedded in what is to be done; belongs to the pool from mc_pool_give until run. */
typedef struct mc_job {
  struct mc_job *next;
} mc_job;
typedef struct mc_pool mc_pool;
mc_err mc_pool_create(size_t workers, size_t queue_max, void (*run)(mc_job *job), mc_pool **out);
bool mc_pool_give(mc_pool *p, mc_job *job); /* false: full or stopping */
void mc_pool_stop(mc_pool *p);              /* runs what is queued, ends the threads; NULL is fine */
void mc_pool_destroy(mc_pool **p);

#endif
