/* Repeats: QoS 1 delivers at least once and agents send stored files again. The key is the event (tenant, vehicle, campaign, event time,
 * event id) with the hash of the payload, since parts of one event carry no number. What is remembered is bounded; generations take turns,
 * so that forgetting is cheap, and are small, so that none holds the reader up while its table grows. The table is not stored: the journal
 * is read again from the oldest offset it needs. */
#include <stdatomic.h>
#include <stdlib.h>

#include "campaign/state.h"

enum { MARKS = 128, MARK = 1 << 20 /* bytes of journal between two: together more than is read again at a start */ };
enum { GENERATIONS = 8, GENERATION = 1 << 16 /* messages: at least seven of eight generations of the past are known */ };

struct repeat_table {
  mc_map seen[GENERATIONS]; /* key hash -> journal offset; [now] takes new ones */
  size_t now;
  uint64_t first[GENERATIONS]; /* lowest offset of each; UINT64_MAX: empty */
  _Atomic uint64_t oldest;     /* the lowest of them; read by whoever writes a checkpoint, as the marks are */
  _Atomic uint64_t mark[MARKS]; /* offsets of messages taken, a ring; UINT64_MAX: empty */
  uint64_t marked;             /* the newest of them */
  size_t next_mark;
};

repeat_table *repeat_table_create(void)
{
  repeat_table *t = calloc(1, sizeof *t);
  if (!t)
    return NULL;
  for (size_t i = 0; i < GENERATIONS; i++)
    t->first[i] = UINT64_MAX;
  for (size_t i = 0; i < MARKS; i++)
    atomic_init(&t->mark[i], UINT64_MAX);
  atomic_init(&t->oldest, UINT64_MAX);
  return t;
}

void repeat_table_destroy(repeat_table *t)
{
  if (!t)
    return;
  for (size_t i = 0; i < GENERATIONS; i++)
    mc_map_free(&t->seen[i]);
  free(t);
}

static void note_oldest(repeat_table *t)
{
  uint64_t oldest = UINT64_MAX;
  for (size_t i = 0; i < GENERATIONS; i++)
    if (t->first[i] < oldest)
      oldest = t->first[i];
  atomic_store(&t->oldest, oldest);
}

/* The next place takes new messages; what it held, the oldest, is forgotten. */
static void turn(repeat_table *t)
{
  t->now = (t->now + 1) % GENERATIONS;
  mc_map_free(&t->seen[t->now]);
  t->first[t->now] = UINT64_MAX;
  note_oldest(t);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
  h ^= v + 0x9E3779B97F4A7C15ULL + (h << 6) + (h >> 2);
  h *= 0xD6E8FEB86659FD93ULL;
  return h ^ h >> 32;
}

/* Eight bytes at a time, in four lanes that need not wait for each other: payloads are up to 128 KiB. Not seeded, so that replays give the same keys. */
static uint64_t hash_bytes(mc_slice s)
{
  uint64_t lane[4] = {0x243F6A8885A308D3ULL ^ s.len, 0x13198A2E03707344ULL, 0xA4093822299F31D0ULL, 0x082EFA98EC4E6C89ULL};
  size_t i = 0;
  for (; i + 32 <= s.len; i += 32)
    for (size_t n = 0; n < 4; n++)
      lane[n] = mix(lane[n], mc_load_le64(s.data + i + 8 * n));
  uint64_t h = mix(mix(mix(lane[0], lane[1]), lane[2]), lane[3]);
  for (; i + 8 <= s.len; i += 8)
    h = mix(h, mc_load_le64(s.data + i));
  uint64_t tail = 0;
  if (i < s.len)
    memcpy(&tail, s.data + i, s.len - i);
  return mix(h, tail);
}

static void note_mark(repeat_table *t, uint64_t offset)
{
  if (t->next_mark && offset < t->marked + MARK)
    return;
  atomic_store(&t->mark[t->next_mark++ % MARKS], offset);
  t->marked = offset;
}

bool repeat_table_seen(repeat_table *t, uint32_t tenant, uint32_t vehicle, mc_slice campaign_sync_id, uint64_t event_time_ms,
                       uint32_t event_id, mc_slice payload, uint64_t offset)
{
  uint64_t key = mix(mix(mix(hash_bytes(campaign_sync_id), (uint64_t)tenant << 32 | vehicle), event_time_ms), event_id);
  key = mix(key, hash_bytes(payload));
  uint64_t first;
  note_mark(t, offset);
  for (size_t i = 0; i < GENERATIONS; i++)
    if (mc_map_get(&t->seen[i], key, &first))
      return first != offset; /* the same record read again is not a repeat of itself */
  if (t->seen[t->now].len >= GENERATION)
    turn(t);
  if (mc_map_put(&t->seen[t->now], key, offset) == MC_OK && offset < t->first[t->now]) {
    t->first[t->now] = offset;
    note_oldest(t);
  }
  return false;
}

uint64_t repeat_table_oldest(const repeat_table *t, uint64_t least)
{
  uint64_t found = atomic_load(&t->oldest);
  if (found >= least)
    return found;
  found = UINT64_MAX;
  for (size_t i = 0; i < MARKS; i++) {
    uint64_t mark = atomic_load(&t->mark[i]);
    if (mark >= least && mark < found)
      found = mark;
  }
  return found;
}
