#include "signal/decode_layout.h"

enum { FRAME_BITS = 512, LAST_LOAD = 56 /* highest byte at which 8 more are inside 64 */ };

bool mc_layout_of(uint16_t start_bit, uint16_t length, bool big_endian, mc_layout *out)
{
  if (length < 1 || length > 64 || start_bit >= FRAME_BITS)
    return false;
  uint64_t mask = length == 64 ? UINT64_MAX : ((uint64_t)1 << length) - 1;
  *out = (mc_layout){.big_endian = big_endian, .length = (uint8_t)length, .mask = mask};
  if (!big_endian) {
    uint32_t end = (uint32_t)start_bit + length;
    if (end > FRAME_BITS)
      return false;
    uint32_t byte = start_bit / 8u < LAST_LOAD ? start_bit / 8u : LAST_LOAD;
    uint32_t shift = start_bit - byte * 8;
    out->byte = (uint8_t)byte;
    out->shift = (uint8_t)shift;
    out->spill = shift + length > 64 ? (uint8_t)(shift + length - 64) : 0;
    out->need = (uint8_t)((end + 7) / 8);
    return true;
  }
  /* Motorola: count bits in reading order, MSB of byte 0 first (contract fleetwise 15.2). */
  uint32_t last = start_bit / 8u * 8 + (7 - start_bit % 8u);
  if (last + 1 < length)
    return false;
  uint32_t first = last + 1 - length;
  uint32_t byte = first / 8 < LAST_LOAD ? first / 8 : LAST_LOAD;
  uint32_t end_of_load = byte * 8 + 63;
  out->byte = (uint8_t)byte;
  out->shift = last <= end_of_load ? (uint8_t)(end_of_load - last) : 0;
  out->spill = last > end_of_load ? (uint8_t)(last - end_of_load) : 0;
  out->need = (uint8_t)(last / 8 + 1);
  return true;
}

void mc_layout_put(const mc_layout *l, uint8_t *data, uint64_t raw)
{
  raw &= l->mask;
  uint64_t word = mc_load_le64(data + l->byte);
  word = l->big_endian ? __builtin_bswap64(word) : word;
  uint64_t in_word = raw, mask = l->mask;
  if (l->spill) {
    uint8_t *ninth = data + l->byte + 8;
    if (l->big_endian) { /* the low bits go to the top of the ninth byte */
      uint8_t keep = (uint8_t)(0xFF >> l->spill);
      *ninth = (uint8_t)((*ninth & keep) | (raw << (8 - l->spill) & (uint8_t)~keep));
      in_word >>= l->spill;
      mask >>= l->spill;
    } else { /* the high bits go to its bottom */
      uint8_t keep = (uint8_t)(0xFF << l->spill);
      *ninth = (uint8_t)((*ninth & keep) | (raw >> (l->length - l->spill) & (uint8_t)~keep));
    }
  }
  word = (word & ~(mask << l->shift)) | in_word << l->shift;
  mc_store_le64(data + l->byte, l->big_endian ? __builtin_bswap64(word) : word);
}
