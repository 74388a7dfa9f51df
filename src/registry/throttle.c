/* Slows down guessing of passwords: failures are counted by account name and by address, each with a wait that doubles.
 *
 * Five failures are free; then 1 s, 2 s, 4 s ... up to 60 s for a name (so that a stranger cannot lock its owner out for long)
 * and 15 minutes for an address. Counts are forgotten after 15 quiet minutes. Unknown names count like known ones. */
#include <stdlib.h>

#include "registry/mirror.h"

enum { FREE_FAILURES = 5, TABLE_MAX = 8192 };
#define SECOND INT64_C(1000000)
#define NAME_WAIT_MAX (60 * SECOND)
#define ADDRESS_WAIT_MAX (900 * SECOND)
#define FORGET_AFTER (900 * SECOND)

typedef struct counter {
  uint32_t failures;
  int64_t last_us;
} counter;

typedef struct counters {
  mc_strmap map; /* key -> counter * */
  int64_t wait_max_us;
} counters;

struct throttle {
  pthread_mutex_t lock;
  counters name, address;
};

mc_err throttle_create(throttle **out)
{
  *out = calloc(1, sizeof **out);
  if (!*out)
    return MC_ERR_MEMORY;
  pthread_mutex_init(&(*out)->lock, NULL);
  (*out)->name.wait_max_us = NAME_WAIT_MAX;
  (*out)->address.wait_max_us = ADDRESS_WAIT_MAX;
  return MC_OK;
}

static void counters_free(counters *c)
{
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(&c->map, &at, &key, &value))
    free((void *)(uintptr_t)value);
  mc_strmap_free(&c->map);
}

void throttle_destroy(throttle **t)
{
  if (!*t)
    return;
  counters_free(&(*t)->name);
  counters_free(&(*t)->address);
  pthread_mutex_destroy(&(*t)->lock);
  free(*t);
  *t = NULL;
}

static counter *find(counters *c, mc_slice key)
{
  uint64_t value = 0;
  return mc_strmap_get(&c->map, key, &value) ? (counter *)(uintptr_t)value : NULL;
}

static int64_t wait_of(counters *c, mc_slice key, int64_t now_us)
{
  counter *k = find(c, key);
  if (!k || now_us - k->last_us > FORGET_AFTER || k->failures < FREE_FAILURES)
    return 0;
  uint32_t doubled = k->failures - FREE_FAILURES;
  int64_t wait = doubled > 20 ? c->wait_max_us : SECOND << doubled;
  if (wait > c->wait_max_us)
    wait = c->wait_max_us;
  int64_t left = k->last_us + wait - now_us;
  return left > 0 ? left : 0;
}

/* Makes room: what is quiet goes; when nothing is, the one that has been quiet longest. */
static void make_room(counters *c, int64_t now_us)
{
  for (int pass = 0; pass < 2 && c->map.len >= TABLE_MAX; pass++) {
    mc_strmap kept = {0};
    int64_t oldest = INT64_MAX;
    size_t at = 0;
    mc_slice key;
    uint64_t value;
    while (pass && mc_strmap_next(&c->map, &at, &key, &value))
      if (((counter *)(uintptr_t)value)->last_us < oldest)
        oldest = ((counter *)(uintptr_t)value)->last_us;
    at = 0;
    while (mc_strmap_next(&c->map, &at, &key, &value)) {
      counter *k = (counter *)(uintptr_t)value;
      bool go = pass ? k->last_us == oldest : now_us - k->last_us > FORGET_AFTER;
      if (go || mc_strmap_put(&kept, key, value))
        free(k);
    }
    mc_strmap_free(&c->map);
    c->map = kept;
  }
}

static void count_failure(counters *c, mc_slice key, int64_t now_us)
{
  counter *k = find(c, key);
  if (!k) {
    if (c->map.len >= TABLE_MAX)
      make_room(c, now_us);
    k = calloc(1, sizeof *k);
    if (!k || mc_strmap_put(&c->map, key, (uint64_t)(uintptr_t)k)) {
      free(k);
      return;
    }
  }
  if (now_us - k->last_us > FORGET_AFTER)
    k->failures = 0;
  k->failures++;
  k->last_us = now_us;
}

static int64_t wait_locked(throttle *t, mc_slice name_key, mc_slice address, int64_t now_us)
{
  int64_t by_name = wait_of(&t->name, name_key, now_us);
  int64_t by_address = address.len ? wait_of(&t->address, address, now_us) : 0;
  return by_name > by_address ? by_name : by_address;
}

int64_t throttle_wait_us(throttle *t, mc_slice name_key, mc_slice address, int64_t now_us)
{
  pthread_mutex_lock(&t->lock);
  int64_t wait = wait_locked(t, name_key, address, now_us);
  pthread_mutex_unlock(&t->lock);
  return wait;
}

mc_err throttle_attempt(throttle *t, mc_slice name_key, mc_slice address, int64_t now_us, mc_why *why)
{
  pthread_mutex_lock(&t->lock);
  int64_t wait = wait_locked(t, name_key, address, now_us);
  if (!wait) {
    count_failure(&t->name, name_key, now_us);
    if (address.len)
      count_failure(&t->address, address, now_us);
  }
  pthread_mutex_unlock(&t->lock);
  if (wait)
    return mc_err_set(why, MC_ERR_FULL, "too many failed sign-ins: wait %lld s, then try again", (long long)((wait + SECOND - 1) / SECOND));
  return MC_OK;
}

void throttle_success(throttle *t, mc_slice name_key, mc_slice address)
{
  pthread_mutex_lock(&t->lock);
  counter *k = find(&t->name, name_key);
  if (k)
    k->failures = 0;
  /* Only this attempt is taken back: one's own account must not wipe out guesses at others from the same address. */
  k = address.len ? find(&t->address, address) : NULL;
  if (k && k->failures)
    k->failures--;
  pthread_mutex_unlock(&t->lock);
}
