#include "base/map.h"

#include <stdlib.h>

#include "base/keep.h"

/* Slots: key/value pairs with a `used` flag for number keys; a pointer to an owned key for strings
 * (NULL = free). Deletion shifts the following run back, so that no tombstones pile up. */

struct mc_map_slot {
  uint64_t key;
  uint64_t value;
  bool used;
};

static size_t home_of(uint64_t key, size_t cap)
{
  uint64_t h = key * 0x9E3779B97F4A7C15ULL;
  h ^= h >> 29;
  h *= 0xBF58476D1CE4E5B9ULL;
  h ^= h >> 32;
  return (size_t)h & (cap - 1);
}

static size_t map_find(const mc_map *m, uint64_t key)
{
  size_t i = home_of(key, m->cap);
  while (m->slot[i].used && m->slot[i].key != key)
    i = (i + 1) & (m->cap - 1);
  return i;
}

static mc_err map_resize(mc_map *m, size_t cap)
{
  mc_map fresh = {calloc(cap, sizeof *fresh.slot), m->len, cap};
  if (!fresh.slot)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < m->cap; i++)
    if (m->slot[i].used)
      fresh.slot[map_find(&fresh, m->slot[i].key)] = m->slot[i];
  free(m->slot);
  *m = fresh;
  return MC_OK;
}

mc_err mc_map_put(mc_map *m, uint64_t key, uint64_t value)
{
  if ((m->len + 1) * 4 > m->cap * 3)
    MC_TRY(map_resize(m, m->cap ? m->cap * 2 : 16));
  struct mc_map_slot *s = &m->slot[map_find(m, key)];
  if (!s->used)
    m->len++;
  *s = (struct mc_map_slot){key, value, true};
  return MC_OK;
}

bool mc_map_get(const mc_map *m, uint64_t key, uint64_t *value)
{
  if (!m->len)
    return false;
  const struct mc_map_slot *s = &m->slot[map_find(m, key)];
  if (s->used && value)
    *value = s->value;
  return s->used;
}

bool mc_map_remove(mc_map *m, uint64_t key, uint64_t *old)
{
  if (!m->len)
    return false;
  size_t hole = map_find(m, key);
  if (!m->slot[hole].used)
    return false;
  if (old)
    *old = m->slot[hole].value;
  size_t mask = m->cap - 1;
  for (size_t i = (hole + 1) & mask; m->slot[i].used; i = (i + 1) & mask) {
    size_t home = home_of(m->slot[i].key, m->cap);
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      m->slot[hole] = m->slot[i];
      hole = i;
    }
  }
  m->slot[hole].used = false;
  m->len--;
  return true;
}

bool mc_map_next(const mc_map *m, size_t *at, uint64_t *key, uint64_t *value)
{
  for (; *at < m->cap; (*at)++) {
    const struct mc_map_slot *s = &m->slot[*at];
    if (s->used) {
      if (key)
        *key = s->key;
      if (value)
        *value = s->value;
      (*at)++;
      return true;
    }
  }
  return false;
}

void mc_map_free(mc_map *m)
{
  if (m) {
    free(m->slot);
    *m = (mc_map){0};
  }
}

struct mc_strmap_slot {
  uint8_t *key; /* owned; NULL = free slot */
  size_t key_len;
  uint64_t hash;
  uint64_t value;
};

static size_t strmap_find(const mc_strmap *m, mc_slice key, uint64_t hash)
{
  size_t i = (size_t)hash & (m->cap - 1);
  while (m->slot[i].key &&
         (m->slot[i].hash != hash || !mc_slice_eq(mc_slice_of(m->slot[i].key, m->slot[i].key_len), key)))
    i = (i + 1) & (m->cap - 1);
  return i;
}

static mc_err strmap_resize(mc_strmap *m, size_t cap)
{
  mc_strmap fresh = {calloc(cap, sizeof *fresh.slot), m->len, cap};
  if (!fresh.slot)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < m->cap; i++)
    if (m->slot[i].key) {
      size_t j = (size_t)m->slot[i].hash & (cap - 1);
      while (fresh.slot[j].key)
        j = (j + 1) & (cap - 1);
      fresh.slot[j] = m->slot[i];
    }
  free(m->slot);
  *m = fresh;
  return MC_OK;
}

mc_err mc_strmap_put(mc_strmap *m, mc_slice key, uint64_t value)
{
  if ((m->len + 1) * 4 > m->cap * 3)
    MC_TRY(strmap_resize(m, m->cap ? m->cap * 2 : 16));
  uint64_t hash = mc_slice_hash(key);
  struct mc_strmap_slot *s = &m->slot[strmap_find(m, key, hash)];
  if (!s->key) {
    uint8_t *copy = mc_keep_alloc(key.len);
    if (!copy)
      return MC_ERR_MEMORY;
    if (key.len)
      memcpy(copy, key.data, key.len);
    *s = (struct mc_strmap_slot){copy, key.len, hash, value};
    m->len++;
  }
  s->value = value;
  return MC_OK;
}

bool mc_strmap_get(const mc_strmap *m, mc_slice key, uint64_t *value)
{
  if (!m->len)
    return false;
  const struct mc_strmap_slot *s = &m->slot[strmap_find(m, key, mc_slice_hash(key))];
  if (s->key && value)
    *value = s->value;
  return s->key != NULL;
}

bool mc_strmap_remove(mc_strmap *m, mc_slice key, uint64_t *old)
{
  if (!m->len)
    return false;
  size_t hole = strmap_find(m, key, mc_slice_hash(key));
  if (!m->slot[hole].key)
    return false;
  if (old)
    *old = m->slot[hole].value;
  mc_keep_free(m->slot[hole].key, m->slot[hole].key_len);
  size_t mask = m->cap - 1;
  for (size_t i = (hole + 1) & mask; m->slot[i].key; i = (i + 1) & mask) {
    size_t home = (size_t)m->slot[i].hash & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      m->slot[hole] = m->slot[i];
      hole = i;
    }
  }
  m->slot[hole].key = NULL;
  m->len--;
  return true;
}

bool mc_strmap_next(const mc_strmap *m, size_t *at, mc_slice *key, uint64_t *value)
{
  for (; *at < m->cap; (*at)++) {
    const struct mc_strmap_slot *s = &m->slot[*at];
    if (s->key) {
      if (key)
        *key = mc_slice_of(s->key, s->key_len);
      if (value)
        *value = s->value;
      (*at)++;
      return true;
    }
  }
  return false;
}

void mc_strmap_free(mc_strmap *m)
{
  if (!m)
    return;
  for (size_t i = 0; i < m->cap; i++)
    mc_keep_free(m->slot[i].key, m->slot[i].key_len);
  free(m->slot);
  *m = (mc_strmap){0};
}
