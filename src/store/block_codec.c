#include "store/block_codec.h"

enum { FRAME = 128 };

static inline uint64_t zigzag(int64_t v)
{
  return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v)
{
  return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
/* Differences wrap on purpose: what was subtracted modulo 2^64 is added modulo 2^64. */
static inline int64_t wrap_sub(int64_t a, int64_t b)
{
  return (int64_t)((uint64_t)a - (uint64_t)b);
}
static inline int64_t wrap_add(int64_t a, int64_t b)
{
  return (int64_t)((uint64_t)a + (uint64_t)b);
}

static mc_err put_varint(mc_buf *out, uint64_t v)
{
  uint8_t bytes[10];
  size_t n = 0;
  while (v >= 0x80) {
    bytes[n++] = (uint8_t)(v | 0x80);
    v >>= 7;
  }
  bytes[n++] = (uint8_t)v;
  return mc_buf_append(out, bytes, n);
}

static uint64_t get_varint(mc_cursor *c)
{
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t b = mc_cursor_u8(c);
    if (shift == 63 && b > 1)
      break;
    v |= (uint64_t)(b & 0x7f) << shift;
    if (!(b & 0x80))
      return v;
  }
  c->ok = false;
  return 0;
}

/* One frame: width, then n values of that many bits, lowest bit first, padded to a byte. */
static mc_err put_frame(mc_buf *out, const uint64_t *v, uint32_t n)
{
  uint64_t all = 0;
  for (uint32_t i = 0; i < n; i++)
    all |= v[i];
  unsigned width = all ? 64 - (unsigned)__builtin_clzll(all) : 0;
  size_t bytes = ((size_t)width * n + 7) / 8;
  MC_TRY(mc_buf_reserve(out, bytes + 17));
  out->data[out->len++] = (uint8_t)width;
  uint8_t *p = out->data + out->len;
  memset(p, 0, bytes + 16);
  size_t bit = 0;
  for (uint32_t i = 0; i < n && width; i++, bit += width) {
    uint8_t *at = p + (bit >> 3);
    unsigned shift = bit & 7;
    mc_store_le64(at, mc_load_le64(at) | v[i] << shift);
    if (shift && width + shift > 64)
      at[8] |= (uint8_t)(v[i] >> (64 - shift));
  }
  out->len += bytes;
  return MC_OK;
}

static bool get_frame(mc_cursor *c, uint64_t *v, uint32_t n)
{
  unsigned width = mc_cursor_u8(c);
  if (!c->ok || width > 64)
    return c->ok = false;
  size_t bytes = ((size_t)width * n + 7) / 8;
  mc_slice in = mc_cursor_bytes(c, bytes);
  if (!c->ok)
    return false;
  uint8_t padded[FRAME * 8 + 16]; /* loads of 8 bytes may touch what lies behind the frame */
  const uint8_t *p = in.data;
  if (mc_cursor_left(c) < 16) {
    if (bytes)
      memcpy(padded, in.data, bytes);
    memset(padded + bytes, 0, 16);
    p = padded;
  }
  uint64_t mask = width == 64 ? UINT64_MAX : (1ULL << width) - 1;
  size_t bit = 0;
  for (uint32_t i = 0; i < n; i++, bit += width) {
    if (!width) {
      v[i] = 0;
      continue;
    }
    const uint8_t *at = p + (bit >> 3);
    unsigned shift = bit & 7;
    uint64_t word = mc_load_le64(at) >> shift;
    if (shift && width + shift > 64)
      word |= (uint64_t)at[8] << (64 - shift);
    v[i] = word & mask;
  }
  return true;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
  while (b) {
    uint64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

static mc_err encode_times(const store_row *rows, uint32_t count, mc_buf *out)
{
  uint64_t tick = 0;
  for (uint32_t i = 1; i < count && tick != 1; i++)
    tick = gcd((uint64_t)rows[i].time_us - (uint64_t)rows[i - 1].time_us, tick);
  if (tick == 0)
    tick = 1;
  MC_TRY(put_varint(out, tick));
  uint64_t frame[FRAME];
  int64_t before = 0;
  for (uint32_t i = 1; i < count;) {
    uint32_t n = 0;
    for (; n < FRAME && i < count; i++, n++) {
      int64_t delta = (int64_t)(((uint64_t)rows[i].time_us - (uint64_t)rows[i - 1].time_us) / tick);
      frame[n] = zigzag(wrap_sub(delta, before));
      before = delta;
    }
    MC_TRY(put_frame(out, frame, n));
  }
  return MC_OK;
}

static mc_err encode_integers(const store_row *rows, uint32_t count, mc_buf *out)
{
  MC_TRY(put_varint(out, zigzag((int64_t)rows[0].word)));
  uint64_t frame[FRAME];
  for (uint32_t i = 1; i < count;) {
    uint32_t n = 0;
    for (; n < FRAME && i < count; i++, n++)
      frame[n] = zigzag(wrap_sub((int64_t)rows[i].word, (int64_t)rows[i - 1].word));
    MC_TRY(put_frame(out, frame, n));
  }
  return MC_OK;
}

mc_err store_block_encode(const store_row *rows, uint32_t count, mc_slice text, mc_buf *out)
{
  MC_TRY(encode_times(rows, count, out));
  if (rows[0].kind == MC_SAMPLE_RAW)
    return encode_integers(rows, count, out);
  for (uint32_t i = 0; i < count; i++) {
    if (rows[i].kind == MC_SAMPLE_DOUBLE) {
      MC_TRY(mc_buf_append(out, &rows[i].word, 8));
      continue;
    }
    mc_slice s = mc_slice_sub(text, (uint32_t)rows[i].word, rows[i].word >> 32);
    MC_TRY(put_varint(out, s.len));
    MC_TRY(mc_buf_append_slice(out, s));
  }
  return MC_OK;
}

static mc_err decode_times(mc_cursor *c, uint32_t count, int64_t first, store_row *rows)
{
  uint64_t tick = get_varint(c);
  if (!c->ok || tick == 0)
    return MC_ERR_MALFORMED;
  rows[0].time_us = first;
  uint64_t frame[FRAME];
  int64_t delta = 0;
  for (uint32_t i = 1; i < count;) {
    uint32_t n = count - i < FRAME ? count - i : FRAME;
    if (!get_frame(c, frame, n))
      return MC_ERR_TRUNCATED;
    for (uint32_t k = 0; k < n; k++, i++) {
      delta = wrap_add(delta, unzigzag(frame[k]));
      rows[i].time_us = wrap_add(rows[i - 1].time_us, (int64_t)((uint64_t)delta * tick));
    }
  }
  return MC_OK;
}

static mc_err decode_integers(mc_cursor *c, uint32_t count, store_row *rows)
{
  int64_t value = unzigzag(get_varint(c));
  rows[0].word = (uint64_t)value;
  uint64_t frame[FRAME];
  for (uint32_t i = 1; i < count && c->ok;) {
    uint32_t n = count - i < FRAME ? count - i : FRAME;
    if (!get_frame(c, frame, n))
      return MC_ERR_TRUNCATED;
    for (uint32_t k = 0; k < n; k++, i++) {
      value = wrap_add(value, unzigzag(frame[k]));
      rows[i].word = (uint64_t)value;
    }
  }
  return c->ok ? MC_OK : MC_ERR_TRUNCATED;
}

static mc_err decode_string(mc_cursor *c, store_row *row, mc_buf *text)
{
  uint64_t len = get_varint(c);
  if (!c->ok || len > mc_cursor_left(c) || text->len > UINT32_MAX - len)
    return MC_ERR_TRUNCATED;
  row->word = (uint64_t)text->len | len << 32;
  return mc_buf_append_slice(text, mc_cursor_bytes(c, len));
}

mc_err store_block_decode(mc_slice in, uint32_t count, int64_t first_time_us, uint32_t encoding, uint8_t kind, uint8_t flags,
                          store_row *rows, mc_buf *text)
{
  if (count == 0 || count > BLOCK_ROWS)
    return MC_ERR_MALFORMED;
  mc_cursor c = mc_cursor_of(in);
  for (uint32_t i = 0; i < count; i++)
    rows[i] = (store_row){.encoding = encoding, .kind = kind, .flags = flags};
  MC_TRY(decode_times(&c, count, first_time_us, rows));
  if (kind == MC_SAMPLE_RAW) {
    MC_TRY(decode_integers(&c, count, rows));
  } else {
    for (uint32_t i = 0; i < count; i++) {
      if (kind == MC_SAMPLE_DOUBLE)
        rows[i].word = mc_cursor_le64(&c);
      else
        MC_TRY(decode_string(&c, &rows[i], text));
    }
  }
  return c.ok && mc_cursor_left(&c) == 0 ? MC_OK : MC_ERR_MALFORMED;
}
