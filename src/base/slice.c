#include "base/slice.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

int mc_slice_compare(mc_slice a, mc_slice b)
{
  size_t n = a.len < b.len ? a.len : b.len;
  int order = n ? memcmp(a.data, b.data, n) : 0;
  if (order)
    return order;
  return a.len < b.len ? -1 : a.len > b.len;
}

size_t mc_slice_find(mc_slice a, uint8_t c, size_t from)
{
  if (from >= a.len)
    return a.len;
  const uint8_t *hit = memchr(a.data + from, c, a.len - from);
  return hit ? (size_t)(hit - a.data) : a.len;
}

static bool is_space(uint8_t c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

mc_slice mc_slice_trim(mc_slice a)
{
  while (a.len && is_space(a.data[0])) {
    a.data++;
    a.len--;
  }
  while (a.len && is_space(a.data[a.len - 1]))
    a.len--;
  return a;
}

bool mc_slice_is_utf8(mc_slice a)
{
  size_t i = 0;
  while (i < a.len) {
    uint8_t c = a.data[i];
    if (c < 0x80) {
      i++;
      continue;
    }
    size_t n = c >= 0xF0 && c <= 0xF4 ? 3 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xC2 && c < 0xE0 ? 1 : 0;
    if (n == 0 || a.len - i <= n)
      return false;
    uint8_t second = a.data[i + 1];
    if ((c == 0xE0 && second < 0xA0) || (c == 0xED && second > 0x9F) || (c == 0xF0 && second < 0x90) ||
        (c == 0xF4 && second > 0x8F))
      return false;
    for (size_t k = 1; k <= n; k++)
      if ((a.data[i + k] & 0xC0) != 0x80)
        return false;
    i += n + 1;
  }
  return true;
}

bool mc_slice_to_str(mc_slice a, char *out, size_t size)
{
  size_t n = a.len < size ? a.len : size - 1;
  if (n)
    memcpy(out, a.data, n);
  out[n] = 0;
  return n == a.len;
}

mc_err mc_slice_to_u64(mc_slice a, uint64_t *out)
{
  if (a.len == 0)
    return MC_ERR_MALFORMED;
  uint64_t v = 0;
  for (size_t i = 0; i < a.len; i++) {
    if (a.data[i] < '0' || a.data[i] > '9')
      return MC_ERR_MALFORMED;
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(a.data[i] - '0'), &v))
      return MC_ERR_TOO_LARGE;
  }
  *out = v;
  return MC_OK;
}

mc_err mc_slice_to_i64(mc_slice a, int64_t *out)
{
  bool negative = a.len && a.data[0] == '-';
  bool sign = negative || (a.len && a.data[0] == '+');
  uint64_t v;
  MC_TRY(mc_slice_to_u64(mc_slice_sub(a, sign, a.len), &v));
  if (v > (uint64_t)INT64_MAX + negative)
    return MC_ERR_TOO_LARGE;
  *out = negative ? (int64_t)(0 - v) : (int64_t)v;
  return MC_OK;
}

mc_err mc_slice_to_double(mc_slice a, double *out)
{
  static locale_t c_locale;
  if (!c_locale)
    c_locale = newlocale(LC_ALL_MASK, "C", NULL);
  char text[128];
  if (a.len == 0 || is_space(a.data[0]) || !mc_slice_to_str(a, text, sizeof text))
    return MC_ERR_MALFORMED;
  for (size_t i = 0; i < a.len; i++)
    if (!strchr("0123456789+-.eE", text[i]) || !text[i])
      return MC_ERR_MALFORMED; /* no hexadecimal, no "inf", no "nan" */
  char *end;
  errno = 0;
  double v = strtod_l(text, &end, c_locale);
  if (end != text + a.len)
    return MC_ERR_MALFORMED;
  if (!isfinite(v))
    return MC_ERR_TOO_LARGE;
  *out = v;
  return MC_OK;
}

/* Both halves of a 128-bit product: every bit of the input reaches every bit of the result. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t process_seed;

__attribute__((constructor)) static void draw_seed(void)
{
  if (getrandom(&process_seed, sizeof process_seed, GRND_NONBLOCK) != sizeof process_seed)
    process_seed = (uint64_t)(uintptr_t)&process_seed ^ 0x9E3779B97F4A7C15ULL;
}

/* The bytes that are no whole word, without a branch for each: loads that overlap. */
static inline uint64_t tail_of(const uint8_t *p, size_t len)
{
  if (len >= 4)
    return (uint64_t)mc_load_le32(p) << 32 | mc_load_le32(p + len - 4);
  return len ? (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1] : 0;
}

uint64_t mc_slice_hash(mc_slice a)
{
  static const uint64_t odd = 0x9E3779B97F4A7C15ULL, other = 0xD6E8FEB86659FD93ULL;
  uint64_t h = process_seed ^ (a.len * odd);
  if (a.len < 8)
    return mix(mix(h ^ tail_of(a.data, a.len), odd) ^ process_seed, other);
  for (size_t i = 0; i + 8 < a.len; i += 8)
    h = mix(h ^ mc_load_le64(a.data + i), odd) + other;
  return mix(mix(h ^ mc_load_le64(a.data + a.len - 8), odd) ^ process_seed, other);
}

uint64_t mc_slice_fnv1a(mc_slice a)
{
  uint64_t h = 0xcbf29ce484222325ULL;
  for (size_t i = 0; i < a.len; i++)
    h = (h ^ a.data[i]) * 0x100000001b3ULL;
  return h;
}

mc_err mc_buf_grow_(mc_buf *b, size_t more)
{
  size_t need;
  if (mc_add_overflows(b->len, more, &need))
    return MC_ERR_TOO_LARGE;
  size_t cap = b->cap ? b->cap : 64;
  while (cap < need)
    if (mc_add_overflows(cap, cap, &cap))
      return MC_ERR_TOO_LARGE;
  uint8_t *data = realloc(b->data, cap);
  if (!data)
    return MC_ERR_MEMORY;
  b->data = data;
  b->cap = cap;
  return MC_OK;
}

mc_err mc_buf_append(mc_buf *b, const void *data, size_t len)
{
  MC_TRY(mc_buf_reserve(b, len));
  if (len)
    memcpy(b->data + b->len, data, len);
  b->len += len;
  return MC_OK;
}

mc_err mc_buf_append_slice(mc_buf *b, mc_slice s)
{
  return mc_buf_append(b, s.data, s.len);
}

mc_err mc_buf_append_str(mc_buf *b, const char *text)
{
  return mc_buf_append(b, text, strlen(text));
}

mc_err mc_buf_append_u8(mc_buf *b, uint8_t v)
{
  return mc_buf_append(b, &v, 1);
}

mc_err mc_buf_printf(mc_buf *b, const char *format, ...)
{
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  mc_err err = n < 0 ? MC_ERR_INVALID : mc_buf_reserve(b, (size_t)n + 1);
  if (!err) {
    vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, again);
    b->len += (size_t)n;
  }
  va_end(again);
  return err;
}

void mc_buf_consume(mc_buf *b, size_t n)
{
  if (n >= b->len) {
    b->len = 0;
    return;
  }
  memmove(b->data, b->data + n, b->len - n);
  b->len -= n;
}

void mc_buf_free(mc_buf *b)
{
  if (!b)
    return;
  free(b->data);
  *b = (mc_buf){0};
}
