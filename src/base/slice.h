/* Byte slices, growable buffers, and checked little/big-endian access.
 *
 * A slice borrows: it never owns its bytes, and it is not NUL-terminated. A buf owns its bytes
 * (malloc) and is released with mc_buf_free. Threads: no sharing without the caller's own lock. */
#ifndef MC_BASE_SLICE_H
#define MC_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

typedef struct mc_slice {
  const uint8_t *data;
  size_t len; /* bytes */
} mc_slice;

/* A slice over a string literal, without its NUL. */
#define MC_LIT(text) ((mc_slice){(const uint8_t *)(text), sizeof(text) - 1})

static inline mc_slice mc_slice_of(const void *data, size_t len)
{
  return (mc_slice){(const uint8_t *)data, len};
}
static inline mc_slice mc_slice_str(const char *text) /* text may be NULL: empty */
{
  return (mc_slice){(const uint8_t *)text, text ? strlen(text) : 0};
}
static inline bool mc_slice_eq(mc_slice a, mc_slice b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool mc_slice_eq_str(mc_slice a, const char *text)
{
  return mc_slice_eq(a, mc_slice_str(text));
}
static inline bool mc_slice_starts(mc_slice a, mc_slice prefix)
{
  return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.data, prefix.data, prefix.len) == 0);
}
/* The part from offset on, at most len bytes; clamped, never out of range. */
static inline mc_slice mc_slice_sub(mc_slice a, size_t offset, size_t len)
{
  if (!a.data)
    return (mc_slice){NULL, 0};
  if (offset > a.len)
    offset = a.len;
  if (len > a.len - offset)
    len = a.len - offset;
  return (mc_slice){a.data + offset, len};
}
/* Order by bytes, then by length: <0, 0, >0. */
int mc_slice_compare(mc_slice a, mc_slice b);
/* Index of the first byte c at or after `from`, or a.len. */
size_t mc_slice_find(mc_slice a, uint8_t c, size_t from);
/* White space (space, tab, CR, LF) cut on both ends. */
mc_slice mc_slice_trim(mc_slice a);
/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool mc_slice_is_utf8(mc_slice a);
/* Copies into a terminated C string, cut to fit; size >= 1. Returns false when it was cut. */
bool mc_slice_to_str(mc_slice a, char *out, size_t size);
/* Whole slice as a decimal number; MC_ERR_MALFORMED when it is not one, MC_ERR_TOO_LARGE on overflow. */
mc_err mc_slice_to_u64(mc_slice a, uint64_t *out);
mc_err mc_slice_to_i64(mc_slice a, int64_t *out);
mc_err mc_slice_to_double(mc_slice a, double *out); /* C locale; infinities and NaN are refused */
/* 64-bit hash (seeded once per process, not for disk or wire). */
uint64_t mc_slice_hash(mc_slice a);
/* FNV-1a 64, stable for ever: partitions and formats may use it. */
uint64_t mc_slice_fnv1a(mc_slice a);

/* for printf("%.*s") */
#define MC_FMT(s) (int)(s).len, (const char *)(s).data

/* ---- growable buffer ---- */
typedef struct mc_buf {
  uint8_t *data;
  size_t len;
  size_t cap;
} mc_buf;

static inline mc_slice mc_buf_slice(const mc_buf *b) { return (mc_slice){b->data, b->len}; }
mc_err mc_buf_grow_(mc_buf *b, size_t more);
static inline mc_err mc_buf_reserve(mc_buf *b, size_t more) /* room for `more` bytes beyond len */
{
  return more <= b->cap - b->len ? MC_OK : mc_buf_grow_(b, more);
}
mc_err mc_buf_append(mc_buf *b, const void *data, size_t len);
mc_err mc_buf_append_slice(mc_buf *b, mc_slice s);
mc_err mc_buf_append_str(mc_buf *b, const char *text);
mc_err mc_buf_append_u8(mc_buf *b, uint8_t v);
mc_err mc_buf_printf(mc_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mc_buf_consume(mc_buf *b, size_t n); /* drops the first n bytes, n <= len */
static inline void mc_buf_clear(mc_buf *b) { b->len = 0; }
void mc_buf_free(mc_buf *b); /* releases and zeroes; NULL is fine */

/* ---- checked sizes ---- */
static inline bool mc_add_overflows(size_t a, size_t b, size_t *sum) { return __builtin_add_overflow(a, b, sum); }
static inline bool mc_mul_overflows(size_t a, size_t b, size_t *product) { return __builtin_mul_overflow(a, b, product); }

/* ---- unaligned loads and stores; the caller has checked the length ---- */
#define MC_LOAD_STORE(bits)                                                               \
  static inline uint##bits##_t mc_load_le##bits(const void *p)                            \
  {                                                                                       \
    uint##bits##_t v;                                                                     \
    memcpy(&v, p, sizeof v);                                                              \
    return v;                                                                             \
  }                                                                                       \
  static inline uint##bits##_t mc_load_be##bits(const void *p)                            \
  {                                                                                       \
    return __builtin_bswap##bits(mc_load_le##bits(p));                                    \
  }                                                                                       \
  static inline void mc_store_le##bits(void *p, uint##bits##_t v) { memcpy(p, &v, sizeof v); } \
  static inline void mc_store_be##bits(void *p, uint##bits##_t v) { mc_store_le##bits(p, __builtin_bswap##bits(v)); }
MC_LOAD_STORE(16)
MC_LOAD_STORE(32)
MC_LOAD_STORE(64)
#undef MC_LOAD_STORE
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads assume a little-endian machine");

/* ---- cursor over untrusted bytes; after a failed read `ok` stays false and reads give 0 ---- */
typedef struct mc_cursor {
  mc_slice in;
  size_t at;
  bool ok;
} mc_cursor;

static inline mc_cursor mc_cursor_of(mc_slice in) { return (mc_cursor){in, 0, true}; }
static inline size_t mc_cursor_left(const mc_cursor *c) { return c->in.len - c->at; }
static inline bool mc_cursor_need(mc_cursor *c, size_t n)
{
  if (!c->ok || c->in.len - c->at < n)
    c->ok = false;
  return c->ok;
}
static inline uint8_t mc_cursor_u8(mc_cursor *c) { return mc_cursor_need(c, 1) ? c->in.data[c->at++] : 0; }
static inline mc_slice mc_cursor_bytes(mc_cursor *c, size_t n)
{
  if (!mc_cursor_need(c, n))
    return (mc_slice){NULL, 0};
  mc_slice s = {c->in.data + c->at, n};
  c->at += n;
  return s;
}
#define MC_CURSOR_READ(name, bits, load)                                \
  static inline uint##bits##_t mc_cursor_##name(mc_cursor *c)           \
  {                                                                     \
    if (!mc_cursor_need(c, bits / 8))                                   \
      return 0;                                                         \
    uint##bits##_t v = load(c->in.data + c->at);                        \
    c->at += bits / 8;                                                  \
    return v;                                                           \
  }
MC_CURSOR_READ(le16, 16, mc_load_le16)
MC_CURSOR_READ(le32, 32, mc_load_le32)
MC_CURSOR_READ(le64, 64, mc_load_le64)
MC_CURSOR_READ(be16, 16, mc_load_be16)
MC_CURSOR_READ(be32, 32, mc_load_be32)
MC_CURSOR_READ(be64, 64, mc_load_be64)
#undef MC_CURSOR_READ

#endif
