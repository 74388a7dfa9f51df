/* Token buckets, one for each principal or address. */
#include <math.h>
#include <stdlib.h>

#include "api/inside.h"
#include "base/clock.h"

enum { TABLE_MAX = 16384 };

typedef struct bucket {
  double tokens;
  int64_t at_us;
} bucket;

struct api_limiter {
  pthread_mutex_t lock;
  mc_strmap map; /* key -> bucket * */
};

mc_err limiter_create(api_limiter **out)
{
  *out = calloc(1, sizeof **out);
  if (!*out)
    return MC_ERR_MEMORY;
  pthread_mutex_init(&(*out)->lock, NULL);
  return MC_OK;
}

/* Frees all buckets: a full one and none at all mean the same, so forgetting is harmless but generous. */
static void forget(api_limiter *l)
{
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(&l->map, &at, &key, &value))
    free((void *)(uintptr_t)value);
  mc_strmap_free(&l->map);
}

void limiter_destroy(api_limiter **limiter)
{
  if (!*limiter)
    return;
  forget(*limiter);
  pthread_mutex_destroy(&(*limiter)->lock);
  free(*limiter);
  *limiter = NULL;
}

static bucket *bucket_of(api_limiter *l, mc_slice key, double burst, int64_t now)
{
  uint64_t value = 0;
  if (mc_strmap_get(&l->map, key, &value))
    return (bucket *)(uintptr_t)value;
  if (l->map.len >= TABLE_MAX)
    forget(l);
  bucket *b = malloc(sizeof *b);
  if (!b || mc_strmap_put(&l->map, key, (uint64_t)(uintptr_t)b)) {
    free(b);
    return NULL;
  }
  *b = (bucket){burst, now};
  return b;
}

int limiter_take(api_limiter *l, const char *key, double per_s, double burst)
{
  int64_t now = mc_clock_mono_us();
  int wait = 0;
  pthread_mutex_lock(&l->lock);
  bucket *b = bucket_of(l, mc_slice_str(key), burst, now);
  if (b) {
    b->tokens = fmin(burst, b->tokens + (double)(now - b->at_us) * per_s / 1e6);
    b->at_us = now;
    if (b->tokens >= 1)
      b->tokens -= 1;
    else
      wait = 1 + (int)((1 - b->tokens) / per_s);
  }
  pthread_mutex_unlock(&l->lock);
  return wait;
}
