#include "gateway/packet_ids.h"

#include <stdlib.h>

enum { FIRST_CAP = 8 };

/* Ids run on one by one as a rule: the multiplication spreads those that a client picks to collide. */
static uint32_t place(const mc_packet_ids *set, uint16_t id) { return (id * 0x9E3779B1u >> 8) & (set->cap - 1); }

/* The id's slot, or the free one where it belongs. */
static uint32_t find(const mc_packet_ids *set, uint16_t id)
{
  uint32_t i = place(set, id);
  while (set->slot[i] && set->slot[i] >> 16 != id)
    i = (i + 1) & (set->cap - 1);
  return i;
}

static mc_err grow(mc_packet_ids *set)
{
  mc_packet_ids more = {.cap = set->cap ? set->cap * 2 : FIRST_CAP, .len = set->len};
  more.slot = calloc(more.cap, sizeof *more.slot);
  if (!more.slot)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < set->cap; i++)
    if (set->slot[i])
      more.slot[find(&more, (uint16_t)(set->slot[i] >> 16))] = set->slot[i];
  free(set->slot);
  *set = more;
  return MC_OK;
}

mc_err mc_packet_ids_put(mc_packet_ids *set, uint16_t id, uint16_t flags)
{
  if (!mc_packet_ids_get(set, id, NULL) && set->len * 2 >= set->cap)
    MC_TRY(grow(set));
  uint32_t i = find(set, id);
  set->len += !set->slot[i];
  set->slot[i] = (uint32_t)id << 16 | flags;
  return MC_OK;
}

bool mc_packet_ids_get(const mc_packet_ids *set, uint16_t id, uint16_t *flags)
{
  uint32_t value = set->len ? set->slot[find(set, id)] : 0;
  if (flags)
    *flags = (uint16_t)value;
  return value != 0;
}

bool mc_packet_ids_remove(mc_packet_ids *set, uint16_t id)
{
  uint32_t hole = set->len ? find(set, id) : 0;
  if (!set->len || !set->slot[hole])
    return false;
  set->len--;
  /* What follows in the run moves up when the hole lies between its place and where it is. */
  for (uint32_t i = (hole + 1) & (set->cap - 1); set->slot[i]; i = (i + 1) & (set->cap - 1)) {
    uint32_t home = place(set, (uint16_t)(set->slot[i] >> 16));
    if (((i - home) & (set->cap - 1)) < ((i - hole) & (set->cap - 1)))
      continue;
    set->slot[hole] = set->slot[i];
    hole = i;
  }
  set->slot[hole] = 0;
  if (!set->len)
    mc_packet_ids_free(set);
  return true;
}

bool mc_packet_ids_next(const mc_packet_ids *set, uint32_t *at, uint16_t *id, uint16_t *flags)
{
  while (*at < set->cap) {
    uint32_t value = set->slot[(*at)++];
    if (!value)
      continue;
    *id = (uint16_t)(value >> 16);
    *flags = (uint16_t)value;
    return true;
  }
  return false;
}

void mc_packet_ids_free(mc_packet_ids *set)
{
  free(set->slot);
  *set = (mc_packet_ids){0};
}
