/* Arena: memory of one request or one document, freed at once.
 *
 * Allocations are zeroed and aligned to 16. An arena belongs to one thread at a time. */
#ifndef MC_BASE_ARENA_H
#define MC_BASE_ARENA_H

#include "base/slice.h"

typedef struct mc_arena {
  struct mc_arena_chunk *chunk; /* newest first */
  size_t used;                  /* bytes handed out, for limits and tests */
  size_t limit;                 /* 0 = none; beyond it allocation fails */
} mc_arena;

#define MC_ARENA(limit_bytes) ((mc_arena){NULL, 0, (limit_bytes)})
#define MC_ARENA_AUTO __attribute__((cleanup(mc_arena_free)))

/* NULL when memory or the limit is exhausted. size 0 gives a valid pointer. */
void *mc_arena_alloc(mc_arena *a, size_t size);
/* NULL also when count * size overflows. */
void *mc_arena_array(mc_arena *a, size_t count, size_t size);
mc_err mc_arena_copy(mc_arena *a, mc_slice from, mc_slice *out);
char *mc_arena_str(mc_arena *a, mc_slice from); /* terminated copy, or NULL */
char *mc_arena_printf(mc_arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Keeps the newest chunk for reuse, frees the rest. */
void mc_arena_reset(mc_arena *a);
void mc_arena_free(mc_arena *a);

#endif
