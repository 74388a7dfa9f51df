/* Channels of an MDF4 channel group: where their bits are and what they mean; private to the MDF4 reader. */
#ifndef MC_FORMAT_MDF4_CHANNEL_H
#define MC_FORMAT_MDF4_CHANNEL_H

#include "format/mdf4_block.h"

typedef enum mc_mdf4_channel_kind { /* cn_type */
  MC_MDF4_FIXED = 0, MC_MDF4_VLSD = 1, MC_MDF4_MASTER = 2, MC_MDF4_VIRTUAL_MASTER = 3, MC_MDF4_SYNC = 4, MC_MDF4_MLSD = 5,
  MC_MDF4_VIRTUAL = 6
} mc_mdf4_channel_kind;

typedef struct mc_mdf4_channel {
  bool present;
  uint8_t kind, data_type, bit_offset;
  uint32_t byte_offset, bit_count;
  int64_t invalid_bit;  /* position in the invalidation bytes, -1: always valid */
  uint64_t data_link;   /* VLSD: SD, DL, ... or the CG; MLSD: the length channel */
  uint8_t conversion;   /* 0 none, 1 linear, 2 rational, 4 and 5 tables */
  double linear_offset, linear_factor;
  const uint8_t *value; /* doubles of the conversion, little endian */
  uint16_t value_count;
} mc_mdf4_channel;

/* Reads one CN block (already checked as "CN"). */
mc_err mc_mdf4_channel_read(const mc_mdf4_file *f, const mc_mdf4_block *b, mc_mdf4_channel *out);
/* Does the channel lie inside records of data_bytes + invalid_bytes? */
bool mc_mdf4_channel_fits(const mc_mdf4_channel *c, uint32_t data_bytes, uint32_t invalid_bytes);
/* Raw integer; 0 for virtual channels. record holds the whole record without its id. */
uint64_t mc_mdf4_channel_raw(const mc_mdf4_channel *c, const uint8_t *record);
/* Physical value; index is the record's number, the raw value of virtual channels. */
double mc_mdf4_channel_value(const mc_mdf4_channel *c, const uint8_t *record, uint64_t index);
bool mc_mdf4_channel_valid(const mc_mdf4_channel *c, const uint8_t *record, uint32_t data_bytes);

#endif
