/* Hash maps: from 64-bit numbers (mc_map) and from byte strings (mc_strmap) to 64-bit values.
 *
 * A value is a uint64_t; store pointers through (uintptr_t). Open addressing, linear probing,
 * backward-shift deletion, load at most 3/4. mc_strmap copies its keys. Not for sharing between
 * threads without a lock. Iterate with the *_next functions; no insert or delete while iterating. */
#ifndef MC_BASE_MAP_H
#define MC_BASE_MAP_H

#include "base/slice.h"

typedef struct mc_map {
  struct mc_map_slot *slot;
  size_t len;
  size_t cap; /* power of two, or 0 */
} mc_map;

mc_err mc_map_put(mc_map *m, uint64_t key, uint64_t value); /* replaces */
bool mc_map_get(const mc_map *m, uint64_t key, uint64_t *value); /* value may be NULL */
bool mc_map_remove(mc_map *m, uint64_t key, uint64_t *old); /* old may be NULL */
/* *at starts at 0. False at the end. */
bool mc_map_next(const mc_map *m, size_t *at, uint64_t *key, uint64_t *value);
void mc_map_free(mc_map *m);

typedef struct mc_strmap {
  struct mc_strmap_slot *slot;
  size_t len;
  size_t cap;
} mc_strmap;

mc_err mc_strmap_put(mc_strmap *m, mc_slice key, uint64_t value);
bool mc_strmap_get(const mc_strmap *m, mc_slice key, uint64_t *value);
bool mc_strmap_remove(mc_strmap *m, mc_slice key, uint64_t *old);
bool mc_strmap_next(const mc_strmap *m, size_t *at, mc_slice *key, uint64_t *value); /* key borrowed */
void mc_strmap_free(mc_strmap *m);

#endif
