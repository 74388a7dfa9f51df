#include "net/chain_cache.h"

#include <stdlib.h>
#include <string.h>

/* A table of SHA-256 digests: their first bytes are their hash. Looked for in WINDOW slots from there; when these are full and the table
 * is at its largest, one of them makes room. */

enum { WINDOW = 8 };

typedef struct mc_chain_entry {
  uint8_t fingerprint[MC_FINGERPRINT];
  int64_t until_us; /* 0: empty */
} mc_chain_entry;

void mc_chain_cache_init(mc_chain_cache *c)
{
  *c = (mc_chain_cache){0};
  pthread_mutex_init(&c->lock, NULL);
}

void mc_chain_cache_free(mc_chain_cache *c)
{
  free(c->entry);
  c->entry = NULL;
  pthread_mutex_destroy(&c->lock);
}

static size_t slot_of(const mc_chain_cache *c, const uint8_t *fingerprint, size_t i)
{
  return ((size_t)mc_load_le64(fingerprint) + i) & (c->cap - 1);
}

static mc_chain_entry *find(const mc_chain_cache *c, const uint8_t *fingerprint)
{
  for (size_t i = 0; c->cap && i < WINDOW; i++) {
    mc_chain_entry *e = &c->entry[slot_of(c, fingerprint, i)];
    if (e->until_us && memcmp(e->fingerprint, fingerprint, MC_FINGERPRINT) == 0)
      return e;
  }
  return NULL;
}

bool mc_chain_cache_get(mc_chain_cache *c, const uint8_t fingerprint[MC_FINGERPRINT], int64_t now_us, int64_t *until_us)
{
  pthread_mutex_lock(&c->lock);
  const mc_chain_entry *e = find(c, fingerprint);
  bool good = e && e->until_us > now_us;
  if (good)
    *until_us = e->until_us;
  pthread_mutex_unlock(&c->lock);
  return good;
}

static mc_chain_entry *free_slot(const mc_chain_cache *c, const uint8_t *fingerprint)
{
  for (size_t i = 0; c->cap && i < WINDOW; i++) {
    mc_chain_entry *e = &c->entry[slot_of(c, fingerprint, i)];
    if (!e->until_us)
      return e;
  }
  return NULL;
}

/* Twice as large; what finds no slot is verified again when it comes. */
static bool grow(mc_chain_cache *c)
{
  mc_chain_cache wider = {.cap = c->cap ? c->cap * 2 : MC_CHAIN_CACHE_FIRST};
  if (wider.cap > MC_CHAIN_CACHE_MAX)
    return false;
  wider.entry = calloc(wider.cap, sizeof *wider.entry);
  if (!wider.entry)
    return false;
  for (size_t i = 0; i < c->cap; i++) {
    mc_chain_entry *to = c->entry[i].until_us ? free_slot(&wider, c->entry[i].fingerprint) : NULL;
    if (to) {
      *to = c->entry[i];
      wider.len++;
    }
  }
  free(c->entry);
  c->entry = wider.entry;
  c->cap = wider.cap;
  c->len = wider.len;
  return true;
}

void mc_chain_cache_put(mc_chain_cache *c, const uint8_t fingerprint[MC_FINGERPRINT], int64_t until_us)
{
  if (until_us <= 0)
    return;
  pthread_mutex_lock(&c->lock);
  mc_chain_entry *e = find(c, fingerprint);
  if (!e) {
    e = free_slot(c, fingerprint);
    for (int tries = 0; !e && tries < 2 && grow(c); tries++)
      e = free_slot(c, fingerprint);
    if (e)
      c->len++;
    else if (c->cap)
      e = &c->entry[slot_of(c, fingerprint, c->victim++ % WINDOW)];
  }
  if (e) {
    memcpy(e->fingerprint, fingerprint, MC_FINGERPRINT);
    e->until_us = until_us;
  }
  pthread_mutex_unlock(&c->lock);
}
