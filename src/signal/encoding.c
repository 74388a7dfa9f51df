/* Types and encodings: what a raw integer stands for. */
#include "signal/signal.h"

#include <math.h>

const char *mc_type_name(mc_type type)
{
  static const char *const names[] = {"NULL", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8",
                                      "INT16", "INT32", "INT64", "FLOAT32", "FLOAT64", "STRING"};
  return (unsigned)type < sizeof names / sizeof names[0] ? names[type] : "UNKNOWN";
}

static bool same_bits(double a, double b)
{
  uint64_t x, y;
  memcpy(&x, &a, sizeof x);
  memcpy(&y, &b, sizeof y);
  return x == y;
}

/* nearbyint without a call, for what fits into 51 bits: adding 1.5 * 2^52 leaves no bit below one, and rounds as the mode says. */
static inline double nearest(double x)
{
  const double whole = 6755399441055744.0;
  return fabs(x) < 2251799813685248.0 ? (x + whole) - whole : nearbyint(x);
}

bool mc_encoding_recover(const mc_encoding *e, double value, int64_t *k)
{
  double guess = nearest((value - e->offset) / e->factor);
  if (!(guess >= -9.2e18 && guess <= 9.2e18)) /* also NaN */
    return false;
  /* The subtraction and the division round, so the integer may be a neighbour of the guess. */
  for (int i = 0; i < 3; i++) {
    int64_t candidate = (int64_t)guess + (i == 0 ? 0 : i == 1 ? 1 : -1);
    if (same_bits(mc_encoding_physical(e, candidate), value)) {
      *k = candidate;
      return true;
    }
  }
  return false;
}

static bool is_whole(double d)
{
  return d == nearbyint(d) && fabs(d) <= 9007199254740992.0;
}

mc_type mc_signal_type_of_dbc(const mc_dbc_signal *s)
{
  static const struct { mc_type type; double min, max; } fits[] = {
      {MC_TYPE_UINT8, 0, 255},
      {MC_TYPE_INT8, -128, 127},
      {MC_TYPE_UINT16, 0, 65535},
      {MC_TYPE_INT16, -32768, 32767},
      {MC_TYPE_UINT32, 0, 4294967295.0},
      {MC_TYPE_INT32, -2147483648.0, 2147483647.0},
  };
  if (s->float_bits == 32 && s->factor == 1 && s->offset == 0)
    return MC_TYPE_FLOAT32;
  if (s->float_bits || !is_whole(s->factor) || !is_whole(s->offset))
    return MC_TYPE_FLOAT64;
  bool plain = s->factor == 1 && s->offset == 0;
  if (s->length == 1 && !s->is_signed && plain)
    return MC_TYPE_BOOL;
  double low = s->is_signed ? -ldexp(1, s->length - 1) : 0;
  double high = (s->is_signed ? ldexp(1, s->length - 1) : ldexp(1, s->length)) - 1;
  double a = low * s->factor + s->offset, b = high * s->factor + s->offset;
  double min = a < b ? a : b, max = a < b ? b : a;
  for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++)
    if (min >= fits[i].min && max <= fits[i].max)
      return fits[i].type;
  if (min >= 0 && (plain || max < 18446744073709551615.0))
    return MC_TYPE_UINT64;
  return plain || (min >= -9223372036854775808.0 && max < 9223372036854775808.0) ? MC_TYPE_INT64 : MC_TYPE_FLOAT64;
}
