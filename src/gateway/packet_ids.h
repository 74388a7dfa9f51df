/* Packet identifiers in use: a set of 1..65,535 with a few flags each. For QoS 2 messages that came and were not released yet.
 *
 *   slot: id << 16 | flags; 0: free. Open addressing at half load, so a client with one message in flight costs 32 bytes.
 *
 * One thread at a time. */
#ifndef MC_GATEWAY_PACKET_IDS_H
#define MC_GATEWAY_PACKET_IDS_H

#include "base/slice.h"

typedef struct mc_packet_ids {
  uint32_t *slot;
  uint32_t len, cap; /* cap: power of two, or 0 */
} mc_packet_ids;

mc_err mc_packet_ids_put(mc_packet_ids *set, uint16_t id, uint16_t flags); /* id > 0; one that is there is changed, which cannot fail */
bool mc_packet_ids_get(const mc_packet_ids *set, uint16_t id, uint16_t *flags); /* flags may be NULL */
bool mc_packet_ids_remove(mc_packet_ids *set, uint16_t id);
/* *at starts at 0; no insert or remove while walking, but flags may be put again. */
bool mc_packet_ids_next(const mc_packet_ids *set, uint32_t *at, uint16_t *id, uint16_t *flags);
void mc_packet_ids_free(mc_packet_ids *set);

#endif
