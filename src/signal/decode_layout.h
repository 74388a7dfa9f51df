/* Where a signal's bits sit, in the form in which they are fetched; private to signal.
 *
 * One unaligned 64-bit load at `byte` (0..56), byte-swapped for Motorola order, shifted right by `shift`; a field
 * that crosses into a ninth byte takes `spill` more bits from it. */
#ifndef MC_SIGNAL_DECODE_LAYOUT_H
#define MC_SIGNAL_DECODE_LAYOUT_H

#include "signal/signal.h"

typedef struct mc_layout {
  uint8_t byte;
  uint8_t shift;
  uint8_t spill; /* bits in the ninth byte, 0..7 */
  uint8_t big_endian;
  uint8_t need;  /* frame length in bytes that holds the field */
  uint8_t length;
  uint64_t mask;
} mc_layout;

/* False: the field reaches outside 64 bytes or has no valid length. */
bool mc_layout_of(uint16_t start_bit, uint16_t length, bool big_endian, mc_layout *out);

static inline uint64_t mc_layout_get(const mc_layout *l, const uint8_t *data)
{
  uint64_t v = mc_load_le64(data + l->byte);
  v = l->big_endian ? __builtin_bswap64(v) : v;
  v >>= l->shift;
  if (__builtin_expect(l->spill, 0)) {
    uint64_t ninth = data[l->byte + 8];
    v = l->big_endian ? v << l->spill | ninth >> (8 - l->spill) : v | ninth << (l->length - l->spill);
  }
  return v & l->mask;
}
void mc_layout_put(const mc_layout *l, uint8_t *data, uint64_t raw);

#endif
