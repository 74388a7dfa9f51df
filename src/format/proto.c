#include "format/proto.h"

enum { VARINT_MAX = 10 };

static mc_err read_varint(mc_slice in, size_t *at, uint64_t *out)
{
  size_t left = in.len - *at;
  const uint8_t *p = in.data + *at;
  uint64_t v = 0;
  size_t limit = left < VARINT_MAX ? left : VARINT_MAX;
  for (size_t i = 0; i < limit; i++) {
    if (i == VARINT_MAX - 1 && p[i] > 1)
      return MC_ERR_MALFORMED; /* beyond 64 bits */
    v |= (uint64_t)(p[i] & 0x7F) << (7 * i);
    if (p[i] < 0x80) {
      *at += i + 1;
      *out = v;
      return MC_OK;
    }
  }
  return left < VARINT_MAX ? MC_ERR_TRUNCATED : MC_ERR_MALFORMED;
}

mc_err mc_proto_next(mc_slice in, size_t *at, mc_proto_field *out)
{
  if (*at >= in.len)
    return MC_ERR_END;
  uint64_t key;
  size_t i = *at;
  MC_TRY(read_varint(in, &i, &key));
  uint64_t tag = key >> 3;
  if (tag == 0 || tag > 0x1FFFFFFF)
    return MC_ERR_MALFORMED;
  *out = (mc_proto_field){.tag = (uint32_t)tag, .wire = (mc_wire)(key & 7)};
  switch (key & 7) {
  case MC_WIRE_VARINT:
    MC_TRY(read_varint(in, &i, &out->number));
    break;
  case MC_WIRE_I64:
    if (in.len - i < 8)
      return MC_ERR_TRUNCATED;
    out->number = mc_load_le64(in.data + i);
    i += 8;
    break;
  case MC_WIRE_I32:
    if (in.len - i < 4)
      return MC_ERR_TRUNCATED;
    out->number = mc_load_le32(in.data + i);
    i += 4;
    break;
  case MC_WIRE_LEN: {
    uint64_t len;
    MC_TRY(read_varint(in, &i, &len));
    if (len > in.len - i)
      return MC_ERR_TRUNCATED;
    out->bytes = mc_slice_of(in.data + i, (size_t)len);
    i += (size_t)len;
    break;
  }
  default: /* groups (3, 4) are long obsolete; 6 and 7 never existed */
    return MC_ERR_MALFORMED;
  }
  *at = i;
  return MC_OK;
}

static size_t varint_size(uint64_t v)
{
  size_t n = 1;
  while (v >= 0x80) {
    v >>= 7;
    n++;
  }
  return n;
}

static uint8_t *store_varint(uint8_t *p, uint64_t v)
{
  while (v >= 0x80) {
    *p++ = (uint8_t)(v | 0x80);
    v >>= 7;
  }
  *p++ = (uint8_t)v;
  return p;
}

/* Room for the key and `more` bytes, key written. */
static mc_err put_key(mc_buf *out, uint32_t tag, mc_wire wire, size_t more)
{
  size_t need;
  if (tag == 0 || tag > 0x1FFFFFFF)
    return MC_ERR_INVALID;
  if (mc_add_overflows(more, 5, &need))
    return MC_ERR_TOO_LARGE;
  MC_TRY(mc_buf_reserve(out, need));
  out->len = (size_t)(store_varint(out->data + out->len, (uint64_t)tag << 3 | wire) - out->data);
  return MC_OK;
}

mc_err mc_proto_put_varint(mc_buf *out, uint32_t tag, uint64_t v)
{
  MC_TRY(put_key(out, tag, MC_WIRE_VARINT, VARINT_MAX));
  out->len = (size_t)(store_varint(out->data + out->len, v) - out->data);
  return MC_OK;
}

mc_err mc_proto_put_zigzag(mc_buf *out, uint32_t tag, int64_t v)
{
  return mc_proto_put_varint(out, tag, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

mc_err mc_proto_put_double(mc_buf *out, uint32_t tag, double v)
{
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  MC_TRY(put_key(out, tag, MC_WIRE_I64, 8));
  mc_store_le64(out->data + out->len, bits);
  out->len += 8;
  return MC_OK;
}

mc_err mc_proto_put_float(mc_buf *out, uint32_t tag, float v)
{
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  MC_TRY(put_key(out, tag, MC_WIRE_I32, 4));
  mc_store_le32(out->data + out->len, bits);
  out->len += 4;
  return MC_OK;
}

mc_err mc_proto_put_bytes(mc_buf *out, uint32_t tag, mc_slice v)
{
  size_t need;
  if (mc_add_overflows(v.len, VARINT_MAX, &need))
    return MC_ERR_TOO_LARGE;
  MC_TRY(put_key(out, tag, MC_WIRE_LEN, need));
  out->len = (size_t)(store_varint(out->data + out->len, v.len) - out->data);
  if (v.len)
    memcpy(out->data + out->len, v.data, v.len);
  out->len += v.len;
  return MC_OK;
}

/* One byte is kept for the length, which is right for nearly every nested message; close moves the
 * content only when the length needs more. */
mc_err mc_proto_open(mc_buf *out, uint32_t tag, size_t *mark)
{
  MC_TRY(put_key(out, tag, MC_WIRE_LEN, 1));
  *mark = ++out->len;
  return MC_OK;
}

mc_err mc_proto_close(mc_buf *out, size_t mark)
{
  if (mark == 0 || mark > out->len)
    return MC_ERR_INVALID;
  size_t len = out->len - mark;
  size_t extra = varint_size(len) - 1;
  if (extra) {
    MC_TRY(mc_buf_reserve(out, extra));
    memmove(out->data + mark + extra, out->data + mark, len);
    out->len += extra;
  }
  store_varint(out->data + mark - 1, len);
  return MC_OK;
}
