/* Typed growable array.
 *
 *   MC_VEC(int) v = {0};
 *   if (mc_vec_push(&v, 3)) return MC_ERR_MEMORY;   // evaluates to mc_err
 *   for (size_t i = 0; i < v.len; i++) use(v.at[i]);
 *   mc_vec_free(&v);
 *
 * Elements move when it grows: keep indexes, not pointers. One thread at a time. */
#ifndef MC_BASE_VEC_H
#define MC_BASE_VEC_H

#include <stdlib.h>

#include "base/slice.h"

#define MC_VEC(type)  \
  struct {            \
    type *at;         \
    size_t len;       \
    size_t cap;       \
  }

mc_err mc_vec_grow_(void **at, size_t *cap, size_t len, size_t more, size_t size);

#define mc_vec_reserve(v, more) mc_vec_grow_((void **)&(v)->at, &(v)->cap, (v)->len, (more), sizeof *(v)->at)
#define mc_vec_push(v, item) (mc_vec_reserve(v, 1) ? MC_ERR_MEMORY : ((v)->at[(v)->len++] = (item), MC_OK))
#define mc_vec_clear(v) ((void)((v)->len = 0))
/* Removes element i by moving the last one into its place. */
#define mc_vec_swap_remove(v, i) ((void)((v)->at[(i)] = (v)->at[(v)->len - 1], (v)->len--))
#define mc_vec_free(v) (free((v)->at), (void)((v)->at = NULL, (v)->len = 0, (v)->cap = 0))

#endif
