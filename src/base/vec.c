#include "base/vec.h"

mc_err mc_vec_grow_(void **at, size_t *cap, size_t len, size_t more, size_t size)
{
  size_t need;
  if (mc_add_overflows(len, more, &need))
    return MC_ERR_MEMORY;
  if (need <= *cap)
    return MC_OK;
  size_t next = *cap ? *cap : 8;
  while (next < need)
    if (mc_mul_overflows(next, 2, &next))
      return MC_ERR_MEMORY;
  size_t bytes;
  if (mc_mul_overflows(next, size, &bytes))
    return MC_ERR_MEMORY;
  void *p = realloc(*at, bytes);
  if (!p)
    return MC_ERR_MEMORY;
  *at = p;
  *cap = next;
  return MC_OK;
}
