#include "format/mdf4_channel.h"

#include <math.h>

enum { CN_BODY_MIN = 26, CC_BODY_MIN = 8, FLAG_INVALID_BIT = 2, FLAG_ALL_INVALID = 1 };
enum { UINT_LE = 0, UINT_BE = 1, INT_LE = 2, INT_BE = 3, REAL_LE = 4, REAL_BE = 5 };

static double load_double(const uint8_t *p)
{
  uint64_t bits = mc_load_le64(p);
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}

/* MDF 4.1.1, 6.17. Conversions to text say nothing for bus frames and count as none. */
static mc_err read_conversion(const mc_mdf4_file *f, uint64_t at, mc_mdf4_channel *c)
{
  mc_mdf4_block b;
  if (at == 0)
    return MC_OK;
  MC_TRY(mc_mdf4_block_read(f, at, "CC", &b));
  if (b.body.len < 24)
    return mc_err_set(f->why, MC_ERR_TRUNCATED, "%s: byte %llu: the conversion is cut off", f->name, (unsigned long long)at);
  uint8_t kind = b.body.data[0];
  uint16_t count = mc_load_le16(b.body.data + 6);
  if (count > (b.body.len - 24) / 8)
    return mc_err_set(f->why, MC_ERR_MALFORMED, "%s: byte %llu: the conversion has more parameters than bytes", f->name,
                      (unsigned long long)at);
  bool enough = (kind == 1 && count >= 2) || (kind == 2 && count >= 6) || ((kind == 4 || kind == 5) && count >= 2);
  if (!enough)
    return MC_OK;
  c->conversion = kind;
  c->value = b.body.data + 24;
  c->value_count = count;
  if (kind == 1) {
    c->linear_offset = load_double(c->value);
    c->linear_factor = load_double(c->value + 8);
  }
  return MC_OK;
}

mc_err mc_mdf4_channel_read(const mc_mdf4_file *f, const mc_mdf4_block *b, mc_mdf4_channel *out)
{
  if (b->body.len < CN_BODY_MIN)
    return mc_err_set(f->why, MC_ERR_TRUNCATED, "%s: byte %llu: the channel is cut off", f->name, (unsigned long long)b->at);
  const uint8_t *p = b->body.data;
  uint32_t flags = mc_load_le32(p + 12);
  *out = (mc_mdf4_channel){.present = !(flags & FLAG_ALL_INVALID),
                           .kind = p[0],
                           .data_type = p[2],
                           .bit_offset = p[3] & 7,
                           .byte_offset = mc_load_le32(p + 4),
                           .bit_count = mc_load_le32(p + 8),
                           .invalid_bit = flags & FLAG_INVALID_BIT ? (int64_t)mc_load_le32(p + 16) : -1,
                           .data_link = mc_mdf4_block_link(b, 5)};
  return read_conversion(f, mc_mdf4_block_link(b, 4), out);
}

static bool is_virtual(const mc_mdf4_channel *c) { return c->kind == MC_MDF4_VIRTUAL || c->kind == MC_MDF4_VIRTUAL_MASTER; }

bool mc_mdf4_channel_fits(const mc_mdf4_channel *c, uint32_t data_bytes, uint32_t invalid_bytes)
{
  if (!c->present)
    return true;
  if (c->invalid_bit >= 0 && (uint64_t)c->invalid_bit / 8 >= invalid_bytes)
    return false;
  if (is_virtual(c))
    return true;
  uint64_t end = (uint64_t)c->byte_offset + ((uint64_t)c->bit_offset + c->bit_count + 7) / 8;
  return end <= data_bytes;
}

uint64_t mc_mdf4_channel_raw(const mc_mdf4_channel *c, const uint8_t *record)
{
  uint32_t bytes = (c->bit_offset + c->bit_count + 7) / 8;
  uint64_t v = 0;
  if (is_virtual(c) || c->bit_count == 0 || c->bit_count > 64 || bytes > 8)
    return 0;
  bool big = c->data_type == UINT_BE || c->data_type == INT_BE || c->data_type == REAL_BE;
  for (uint32_t i = 0; i < bytes; i++)
    v |= (uint64_t)record[c->byte_offset + i] << 8 * (big ? bytes - 1 - i : i);
  v >>= c->bit_offset;
  return c->bit_count == 64 ? v : v & (((uint64_t)1 << c->bit_count) - 1);
}

static double unconverted(const mc_mdf4_channel *c, uint64_t raw)
{
  if (c->data_type == REAL_LE || c->data_type == REAL_BE) {
    if (c->bit_count == 32) {
      uint32_t bits = (uint32_t)raw;
      float f;
      memcpy(&f, &bits, sizeof f);
      return (double)f;
    }
    double d;
    memcpy(&d, &raw, sizeof d);
    return d;
  }
  if ((c->data_type == INT_LE || c->data_type == INT_BE) && c->bit_count > 0 && c->bit_count < 64 && raw >> (c->bit_count - 1))
    return (double)(int64_t)(raw | UINT64_MAX << c->bit_count);
  if (c->data_type == INT_LE || c->data_type == INT_BE)
    return (double)(int64_t)raw;
  return (double)raw;
}

/* Pairs of key and value, sorted by key: 4 between two keys on the line, 5 the nearer key's value. */
static double from_table(const mc_mdf4_channel *c, double x)
{
  size_t pairs = c->value_count / 2;
  const uint8_t *last = c->value + 16 * (pairs - 1);
  if (!(x > load_double(c->value)))
    return load_double(c->value + 8);
  if (x >= load_double(last))
    return load_double(last + 8);
  size_t i = 1;
  while (load_double(c->value + 16 * i) < x)
    i++;
  double k0 = load_double(c->value + 16 * (i - 1)), v0 = load_double(c->value + 16 * (i - 1) + 8);
  double k1 = load_double(c->value + 16 * i), v1 = load_double(c->value + 16 * i + 8);
  if (c->conversion == 4)
    return v0 + (x - k0) * (v1 - v0) / (k1 - k0);
  return x - k0 > k1 - x ? v1 : v0;
}

double mc_mdf4_channel_value(const mc_mdf4_channel *c, const uint8_t *record, uint64_t index)
{
  double x = is_virtual(c) ? (double)index : unconverted(c, mc_mdf4_channel_raw(c, record));
  switch (c->conversion) {
  case 1:
    return x * c->linear_factor + c->linear_offset;
  case 2: {
    double p[6];
    for (int i = 0; i < 6; i++)
      p[i] = load_double(c->value + 8 * i);
    return (p[0] * x * x + p[1] * x + p[2]) / (p[3] * x * x + p[4] * x + p[5]);
  }
  case 4:
  case 5:
    return from_table(c, x);
  default:
    return x;
  }
}

bool mc_mdf4_channel_valid(const mc_mdf4_channel *c, const uint8_t *record, uint32_t data_bytes)
{
  return c->invalid_bit < 0 || !(record[data_bytes + c->invalid_bit / 8] >> (c->invalid_bit % 8) & 1);
}
