/* Repeats: QoS 1 delivers at least once and agents send stored files again. The key is the event (tenant, vehicle, campaign, event time,
 * event id) with the hash of the payload, since parts of one event carry no number. What is remembered is bounded; two generations
 * take turns, so that forgetting is cheap. The table is not stored: the journal is read again from the oldest offset it needs. */
#include <stdlib.h>

#include "campaign/state.h"

enum { GENERATION = 1 << 19 }; /* messages a generation holds: at least this many of the past are known */

struct repeat_table {
  mc_map now, before; /* key hash -> journal offset */
  uint64_t now_first, before_first;
};

repeat_table *repeat_table_create(void)
{
  repeat_table *t = calloc(1, sizeof *t);
  if (t)
    t->now_first = t->before_first = UINT64_MAX;
  return t;
}

void repeat_table_destroy(repeat_table *t)
{
  if (t) {
    mc_map_free(&t->now);
    mc_map_free(&t->before);
    free(t);
  }
}

static uint64_t mix(uint64_t h, uint64_t v)
{
  h ^= v + 0x9E3779B97F4A7C15ULL + (h << 6) + (h >> 2);
  h *= 0xD6E8FEB86659FD93ULL;
  return h ^ h >> 32;
}

/* Eight bytes at a time: payloads are up to 128 KiB. Not seeded, so that replays give the same keys. */
static uint64_t hash_bytes(mc_slice s)
{
  uint64_t h = 0x243F6A8885A308D3ULL ^ s.len;
  size_t i = 0;
  for (; i + 8 <= s.len; i += 8)
    h = mix(h, mc_load_le64(s.data + i));
  uint64_t tail = 0;
  if (i < s.len)
    memcpy(&tail, s.data + i, s.len - i);
  return mix(h, tail);
}

bool repeat_table_seen(repeat_table *t, uint32_t tenant, uint32_t vehicle, mc_slice campaign_sync_id, uint64_t event_time_ms,
                       uint32_t event_id, mc_slice payload, uint64_t offset)
{
  uint64_t key = mix(mix(mix(hash_bytes(campaign_sync_id), (uint64_t)tenant << 32 | vehicle), event_time_ms), event_id);
  key = mix(key, hash_bytes(payload));
  uint64_t first;
  if (mc_map_get(&t->now, key, &first) || mc_map_get(&t->before, key, &first))
    return first != offset; /* the same record read again is not a repeat of itself */
  if (t->now.len >= GENERATION) {
    mc_map_free(&t->before);
    t->before = t->now;
    t->before_first = t->now_first;
    t->now = (mc_map){0};
    t->now_first = UINT64_MAX;
  }
  if (mc_map_put(&t->now, key, offset) == MC_OK && offset < t->now_first)
    t->now_first = offset;
  return false;
}

uint64_t repeat_table_oldest(const repeat_table *t)
{
  return t->before_first < t->now_first ? t->before_first : t->now_first;
}
