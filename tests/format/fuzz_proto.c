/* Protobuf fields: read all, write them, read them again: the same fields. */
#include <stdlib.h>

#include "format/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_err copy_field(mc_buf *out, const mc_proto_field *f)
{
  switch (f->wire) {
  case MC_WIRE_VARINT:
    return mc_proto_put_varint(out, f->tag, f->number);
  case MC_WIRE_I64:
    return mc_proto_put_double(out, f->tag, mc_proto_double(f->number));
  case MC_WIRE_I32:
    return mc_proto_put_float(out, f->tag, mc_proto_float(f->number));
  case MC_WIRE_LEN:
    break;
  }
  size_t mark;
  mc_err err = mc_proto_open(out, f->tag, &mark);
  err = err ? err : mc_buf_append_slice(out, f->bytes);
  return err ? err : mc_proto_close(out, mark);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_slice in = mc_slice_of(data, size);
  mc_buf out = {0};
  mc_proto_field f, g;
  size_t at = 0;
  while (mc_proto_next(in, &at, &f) == MC_OK) {
    size_t start = out.len;
    if (at > size || copy_field(&out, &f) || mc_proto_next(mc_buf_slice(&out), &start, &g) || start != out.len)
      abort();
    if (g.tag != f.tag || g.wire != f.wire || g.number != f.number || !mc_slice_eq(g.bytes, f.bytes))
      abort();
  }
  mc_buf_free(&out);
  return 0;
}
