/* Protocol buffers wire format (encoding guide): reading field by field, writing into a buffer.
 * Unknown fields are passed over by the caller's switch default. Pure; no allocation when reading. */
#ifndef MC_FORMAT_PROTO_H
#define MC_FORMAT_PROTO_H

#include "base/slice.h"

typedef enum mc_wire { MC_WIRE_VARINT = 0, MC_WIRE_I64 = 1, MC_WIRE_LEN = 2, MC_WIRE_I32 = 5 } mc_wire;

typedef struct mc_proto_field {
  uint32_t tag; /* field number, >= 1 */
  mc_wire wire;
  uint64_t number; /* VARINT, I64, I32 */
  mc_slice bytes;  /* LEN */
} mc_proto_field;

/* Next field; *at starts at 0. MC_ERR_END at the end, MC_ERR_MALFORMED or MC_ERR_TRUNCATED otherwise (groups are malformed). */
mc_err mc_proto_next(mc_slice in, size_t *at, mc_proto_field *out);
static inline int64_t mc_proto_zigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }
static inline double mc_proto_double(uint64_t bits) { double d; memcpy(&d, &bits, sizeof d); return d; }
static inline float mc_proto_float(uint64_t bits) { uint32_t b = (uint32_t)bits; float f; memcpy(&f, &b, sizeof f); return f; }

mc_err mc_proto_put_varint(mc_buf *out, uint32_t tag, uint64_t v);  /* written even when 0 */
mc_err mc_proto_put_zigzag(mc_buf *out, uint32_t tag, int64_t v);
mc_err mc_proto_put_double(mc_buf *out, uint32_t tag, double v);
mc_err mc_proto_put_float(mc_buf *out, uint32_t tag, float v);
mc_err mc_proto_put_bytes(mc_buf *out, uint32_t tag, mc_slice v);
/* Nested message: *mark = mc_proto_open(out, tag); ...fields...; mc_proto_close(out, mark) sets the length. */
mc_err mc_proto_open(mc_buf *out, uint32_t tag, size_t *mark);
mc_err mc_proto_close(mc_buf *out, size_t mark);

#endif
