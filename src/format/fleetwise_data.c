/* VehicleData (contract fleetwise, 5.5): the message that telemetry comes in. Hand-written, since every sample of
 * the fleet passes here. */
#include <assert.h>

#include "format/fleetwise.h"
#include "format/proto.h"

enum { EXT_MICROS = 1000 };

typedef struct context {
  mc_slice in;
  mc_arena *arena;
  mc_why *why;
  mc_fw_path *path; /* rare, so made as they come; each from a field 10, in a doubling array */
  uint32_t path_count, path_room;
} context;

static mc_err refuse(const context *c, const char *field, size_t at, mc_err err, const char *rule)
{
  return mc_err_set(c->why, err, "VehicleData.%s, byte %zu: %s", field, at, rule);
}

static mc_err broken_field(const context *c, const char *field, size_t at, mc_err err)
{
  return refuse(c, field, at, err,
                err == MC_ERR_TRUNCATED ? "field is cut off by the end of its message" : "field has a broken tag, wire type or number");
}

static const char wrong_wire[] = "another wire type came than this field has";

/* ---- one CapturedSignal ---- */
static mc_err read_sample_path(context *c, const mc_proto_field *f, mc_fw_sample *s)
{
  size_t start = (size_t)(f->bytes.data - c->in.data);
  if (c->path_count == c->path_room) {
    uint32_t room = c->path_room ? c->path_room * 2 : 8;
    mc_fw_path *more = mc_arena_array(c->arena, room, sizeof *more);
    if (!more)
      return refuse(c, "captured_signals.primitive_type_in_signal", start, MC_ERR_MEMORY, "needs more memory than this message may have");
    if (c->path_count)
      memcpy(more, c->path, c->path_count * sizeof *more);
    c->path = more;
    c->path_room = room;
  }
  mc_why why = {0};
  mc_fw_path *path = &c->path[c->path_count];
  mc_err err = mc_fw_read_path(f->bytes, c->arena, path, &why);
  if (err)
    return refuse(c, "captured_signals.primitive_type_in_signal", start, err, why.text);
  s->signal_id = path->signal_id;
  s->path = ++c->path_count;
  return MC_OK;
}

static mc_err read_sample_field(context *c, const mc_proto_field *f, size_t at, mc_fw_sample *s)
{
  static const mc_wire wires[] = {[1] = MC_WIRE_VARINT, [2] = MC_WIRE_VARINT, [3] = MC_WIRE_I64, [4] = MC_WIRE_LEN};
  mc_wire want = f->tag >= 1 && f->tag <= 4 ? wires[f->tag] : f->tag == 10 ? MC_WIRE_LEN : MC_WIRE_VARINT;
  if ((f->tag <= 4 || f->tag == 10 || f->tag == EXT_MICROS) && f->wire != want)
    return refuse(c, "captured_signals", at, MC_ERR_MALFORMED, wrong_wire);
  switch (f->tag) {
  case 1:
    s->relative_ms = mc_proto_zigzag(f->number);
    break;
  case 2:
    if (f->number > UINT32_MAX)
      return refuse(c, "captured_signals.signal_id", at, MC_ERR_MALFORMED, "number is beyond 32 bits");
    s->signal_id = (uint32_t)f->number;
    s->path = 0;
    break;
  case 3:
    s->number = mc_proto_double(f->number);
    s->is_string = false;
    break;
  case 4:
    if (!mc_slice_is_utf8(f->bytes))
      return refuse(c, "captured_signals.string_value", at, MC_ERR_MALFORMED, "string is not UTF-8");
    s->text = f->bytes;
    s->is_string = true;
    break;
  case 10: /* a part of a complex signal */
    return read_sample_path(c, f, s);
  case EXT_MICROS:
    s->relative_us = mc_proto_zigzag(f->number);
    s->has_micros = true;
    break;
  default:
    break;
  }
  return MC_OK;
}

static mc_err read_sample_slow(context *c, size_t start, size_t len, mc_fw_sample *s)
{
  mc_slice in = mc_slice_sub(c->in, start, len);
  size_t at = 0;
  *s = (mc_fw_sample){0};
  for (;;) {
    mc_proto_field f;
    size_t before = at;
    mc_err err = mc_proto_next(in, &at, &f);
    if (err == MC_ERR_END)
      break;
    if (err)
      return broken_field(c, "captured_signals", start + before, err);
    MC_TRY(read_sample_field(c, &f, start + before, s));
  }
  if (s->is_string)
    s->number = 0;
  else
    s->text = (mc_slice){0};
  return MC_OK;
}

/* Varint of at most `max` bytes that ends before `end`; NULL otherwise (the slow way then tells what is wrong). */
static inline const uint8_t *fast_varint(const uint8_t *p, const uint8_t *end, unsigned max, uint64_t *out)
{
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 7 * max && p < end; shift += 7) {
    uint8_t byte = *p++;
    v |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *out = v;
      return p;
    }
  }
  return NULL;
}

/* The shape that every encoder writes: time, id, double, in that order, then perhaps our microseconds. */
static inline bool read_sample_fast(const uint8_t *p, const uint8_t *end, mc_fw_sample *s)
{
  uint64_t v = 0;
  if (p < end && *p == (1 << 3 | MC_WIRE_VARINT)) {
    if (!(p = fast_varint(p + 1, end, 9, &v)))
      return false;
    s->relative_ms = mc_proto_zigzag(v);
  }
  if (p >= end || *p != (2 << 3 | MC_WIRE_VARINT) || !(p = fast_varint(p + 1, end, 4, &v)))
    return false;
  s->signal_id = (uint32_t)v;
  if ((size_t)(end - p) < 9 || *p != (3 << 3 | MC_WIRE_I64))
    return false;
  s->number = mc_proto_double(mc_load_le64(p + 1));
  p += 9;
  if (p == end)
    return true;
  if (end - p < 3 || p[0] != 0xC0 || p[1] != 0x3E || !(p = fast_varint(p + 2, end, 9, &v)))
    return false;
  s->relative_us = mc_proto_zigzag(v);
  s->has_micros = true;
  return p == end;
}

/* ---- the message ---- */
typedef struct counts {
  size_t sample, dtc, object;
} counts;
typedef struct places {
  mc_fw_sample *sample;
  mc_slice *dtc;
  mc_fw_s3_object *object;
} places;

static mc_err count_dtcs(const context *c, mc_slice in, size_t start, size_t *count)
{
  mc_proto_field f;
  mc_err err;
  size_t at = 0;
  while (!(err = mc_proto_next(in, &at, &f)))
    *count += f.tag == 2;
  return err == MC_ERR_END ? MC_OK : broken_field(c, "dtc_data", start + at, err);
}

/* Length of a captured signal that begins at p with its tag, both one byte: nearly all. 0 when it is not that. */
static inline size_t short_sample(const uint8_t *p, size_t left)
{
  return left >= 2 && p[0] == (5 << 3 | MC_WIRE_LEN) && p[1] < 0x80 && p[1] <= left - 2 ? p[1] + 2u : 0;
}

static mc_err count(const context *c, counts *out)
{
  size_t at = 0;
  for (;;) {
    size_t step = short_sample(c->in.data + at, c->in.len - at);
    if (step) {
      at += step;
      out->sample++;
      continue;
    }
    mc_proto_field f;
    mc_err err = mc_proto_next(c->in, &at, &f);
    if (err == MC_ERR_END)
      return MC_OK;
    if (err)
      return broken_field(c, "(field)", at, err);
    if ((f.tag == 5 || f.tag == 6 || f.tag == 9) && f.wire != MC_WIRE_LEN)
      return refuse(c, f.tag == 5 ? "captured_signals" : f.tag == 6 ? "dtc_data" : "s3_objects", at, MC_ERR_MALFORMED, wrong_wire);
    out->sample += f.tag == 5;
    out->object += f.tag == 9;
    if (f.tag == 6)
      MC_TRY(count_dtcs(c, f.bytes, (size_t)(f.bytes.data - c->in.data), &out->dtc));
  }
}

static mc_err read_dtcs(const context *c, mc_slice in, mc_fw_vehicle_data *out, mc_slice *dtc)
{
  mc_proto_field f;
  for (size_t at = 0; mc_proto_next(in, &at, &f) == MC_OK;) {
    size_t where = (size_t)(in.data - c->in.data) + at;
    if (f.tag == 1) {
      if (f.wire != MC_WIRE_VARINT)
        return refuse(c, "dtc_data.relative_time_ms", where, MC_ERR_MALFORMED, wrong_wire);
      out->dtc_relative_ms = mc_proto_zigzag(f.number);
    } else if (f.tag == 2) {
      if (f.wire != MC_WIRE_LEN || !mc_slice_is_utf8(f.bytes))
        return refuse(c, "dtc_data.active_dtc_codes", where, MC_ERR_MALFORMED, "expected a UTF-8 string");
      assert(dtc);
      dtc[out->dtc_count++] = f.bytes;
    }
  }
  return MC_OK;
}

static mc_err read_object(const context *c, mc_slice in, mc_fw_s3_object *out)
{
  mc_proto_field f;
  mc_err err;
  size_t at = 0;
  *out = (mc_fw_s3_object){0};
  while (!(err = mc_proto_next(in, &at, &f))) {
    size_t where = (size_t)(in.data - c->in.data) + at;
    if (f.tag == 1 && (f.wire != MC_WIRE_LEN || !mc_slice_is_utf8(f.bytes)))
      return refuse(c, "s3_objects.key", where, MC_ERR_MALFORMED, "expected a UTF-8 string");
    if (f.tag == 2 && (f.wire != MC_WIRE_VARINT || f.number > UINT32_MAX))
      return refuse(c, "s3_objects.data_format", where, MC_ERR_MALFORMED, "expected a number of 32 bits");
    if (f.tag == 1)
      out->key = f.bytes;
    else if (f.tag == 2)
      out->data_format = (uint32_t)f.number;
  }
  return err == MC_ERR_END ? MC_OK : broken_field(c, "s3_objects", (size_t)(in.data - c->in.data) + at, err);
}

static mc_err read_field(const context *c, const mc_proto_field *f, size_t at, mc_fw_vehicle_data *out, const places *to)
{
  static const char *const names[] = {NULL, "campaign_sync_id", "decoder_sync_id", "collection_event_id", "collection_event_time_ms_epoch"};
  if (f->tag == 6)
    return read_dtcs(c, f->bytes, out, to->dtc);
  assert(f->tag != 9 || to->object);
  if (f->tag == 9)
    return read_object(c, f->bytes, &to->object[out->object_count++]);
  if (f->tag > 4)
    return MC_OK;
  bool text = f->tag <= 2;
  if (f->wire != (text ? MC_WIRE_LEN : MC_WIRE_VARINT))
    return refuse(c, names[f->tag], at, MC_ERR_MALFORMED, wrong_wire);
  if (text && !mc_slice_is_utf8(f->bytes))
    return refuse(c, names[f->tag], at, MC_ERR_MALFORMED, "string is not UTF-8");
  if (f->tag == 3 && f->number > UINT32_MAX)
    return refuse(c, names[f->tag], at, MC_ERR_MALFORMED, "number is beyond 32 bits");
  if (f->tag == 1)
    out->campaign_sync_id = f->bytes;
  else if (f->tag == 2)
    out->manifest_sync_id = f->bytes;
  else if (f->tag == 3)
    out->event_id = (uint32_t)f->number;
  else
    out->event_time_ms = f->number;
  return MC_OK;
}

/* Second pass, over the same bytes as count(): it meets as many samples and codes, and no broken field. */
static mc_err fill(context *c, const counts *have, mc_fw_vehicle_data *out, const places *to)
{
  mc_fw_sample *sample = to->sample;
  size_t at = 0;
  size_t n = 0;
  for (;;) {
    const uint8_t *p = c->in.data + at;
    size_t step = short_sample(p, c->in.len - at);
    if (step) {
      assert(sample && n < have->sample);
      if (!read_sample_fast(p + 2, p + step, &sample[n]))
        MC_TRY(read_sample_slow(c, at + 2, step - 2, &sample[n]));
      n++;
      at += step;
      continue;
    }
    mc_proto_field f;
    size_t before = at;
    if (mc_proto_next(c->in, &at, &f) != MC_OK) /* the end */
      break;
    assert(f.tag != 5 || (sample && n < have->sample));
    if (f.tag == 5)
      MC_TRY(read_sample_slow(c, (size_t)(f.bytes.data - c->in.data), f.bytes.len, &sample[n++]));
    else
      MC_TRY(read_field(c, &f, before, out, to));
  }
  out->sample_count = (uint32_t)n;
  out->path = c->path;
  out->path_count = c->path_count;
  return MC_OK;
}

mc_err mc_fw_read_vehicle_data(mc_slice in, mc_arena *arena, mc_fw_vehicle_data *out, mc_why *why)
{
  if (in.len == 0)
    in = MC_LIT(""); /* a pointer to count from */
  context c = {.in = in, .arena = arena, .why = why};
  counts n = {0};
  *out = (mc_fw_vehicle_data){0};
  if (in.len > UINT32_MAX)
    return refuse(&c, "(message)", 0, MC_ERR_TOO_LARGE, "message is larger than 4 GiB");
  MC_TRY(count(&c, &n));
  places to = {n.sample ? mc_arena_array(arena, n.sample, sizeof *to.sample) : NULL, n.dtc ? mc_arena_array(arena, n.dtc, sizeof *to.dtc) : NULL,
               n.object ? mc_arena_array(arena, n.object, sizeof *to.object) : NULL};
  if ((n.sample && !to.sample) || (n.dtc && !to.dtc) || (n.object && !to.object))
    return refuse(&c, n.sample && !to.sample ? "captured_signals" : n.dtc && !to.dtc ? "dtc_data" : "s3_objects", 0, MC_ERR_MEMORY,
                  "needs more memory than this message may have; send fewer samples in one message");
  out->sample = to.sample;
  out->dtc = to.dtc;
  out->object = to.object;
  return fill(&c, &n, out, &to);
}

/* ---- writing ---- */
static uint8_t *store_varint(uint8_t *p, uint64_t v)
{
  while (v >= 0x80) {
    *p++ = (uint8_t)(v | 0x80);
    v >>= 7;
  }
  *p++ = (uint8_t)v;
  return p;
}

static uint64_t zigzag(int64_t v)
{
  return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

/* All numbers of a sample without its text: at most 1+10 + 1+5 + 9 + 2+10 bytes. */
enum { SAMPLE_NUMBERS_MAX = 38, SAMPLE_HEADER_MAX = 1 + 10 };

static uint8_t *store_sample_numbers(uint8_t *p, const mc_fw_sample *s)
{
  if (s->relative_ms) {
    *p++ = 1 << 3 | MC_WIRE_VARINT;
    p = store_varint(p, zigzag(s->relative_ms));
  }
  if (!s->path) {
    *p++ = 2 << 3 | MC_WIRE_VARINT; /* a oneof: written even when 0 */
    p = store_varint(p, s->signal_id);
  }
  if (!s->is_string) {
    uint64_t bits;
    memcpy(&bits, &s->number, sizeof bits);
    *p++ = 3 << 3 | MC_WIRE_I64;
    mc_store_le64(p, bits);
    p += 8;
  }
  return p;
}

static uint8_t *store_micros(uint8_t *p, const mc_fw_sample *s)
{
  if (!s->has_micros)
    return p;
  *p++ = 0xC0;
  *p++ = 0x3E;
  return store_varint(p, zigzag(s->relative_us));
}

/* With a text or a path: of any length. */
static mc_err write_long_sample(mc_buf *out, const mc_fw_sample *s, const mc_fw_vehicle_data *m)
{
  size_t mark;
  if ((s->is_string && !mc_slice_is_utf8(s->text)) || s->path > m->path_count)
    return MC_ERR_INVALID;
  MC_TRY(mc_proto_open(out, 5, &mark));
  MC_TRY(mc_buf_reserve(out, SAMPLE_NUMBERS_MAX));
  out->len = (size_t)(store_sample_numbers(out->data + out->len, s) - out->data);
  if (s->is_string)
    MC_TRY(mc_proto_put_bytes(out, 4, s->text));
  if (s->path) {
    size_t inner;
    MC_TRY(mc_proto_open(out, 10, &inner));
    MC_TRY(mc_fw_write_path(out, &m->path[s->path - 1]));
    MC_TRY(mc_proto_close(out, inner));
  }
  MC_TRY(mc_buf_reserve(out, SAMPLE_NUMBERS_MAX));
  out->len = (size_t)(store_micros(out->data + out->len, s) - out->data);
  return mc_proto_close(out, mark);
}

static mc_err write_sample(mc_buf *out, const mc_fw_sample *s, const mc_fw_vehicle_data *m)
{
  if (s->is_string || s->path)
    return write_long_sample(out, s, m);
  MC_TRY(mc_buf_reserve(out, SAMPLE_HEADER_MAX + SAMPLE_NUMBERS_MAX));
  uint8_t *start = out->data + out->len;
  uint8_t *end = store_micros(store_sample_numbers(start + 2, s), s);
  start[0] = 5 << 3 | MC_WIRE_LEN;
  start[1] = (uint8_t)(end - start - 2); /* below 128: see SAMPLE_NUMBERS_MAX */
  out->len = (size_t)(end - out->data);
  return MC_OK;
}

static mc_err write_dtcs(mc_buf *out, const mc_fw_vehicle_data *m)
{
  size_t mark;
  if (m->dtc_count == 0 && m->dtc_relative_ms == 0)
    return MC_OK;
  MC_TRY(mc_proto_open(out, 6, &mark));
  if (m->dtc_relative_ms)
    MC_TRY(mc_proto_put_zigzag(out, 1, m->dtc_relative_ms));
  for (uint32_t i = 0; i < m->dtc_count; i++) {
    if (!mc_slice_is_utf8(m->dtc[i]))
      return MC_ERR_INVALID;
    MC_TRY(mc_proto_put_bytes(out, 2, m->dtc[i]));
  }
  return mc_proto_close(out, mark);
}

static mc_err write_objects(mc_buf *out, const mc_fw_vehicle_data *m)
{
  for (uint32_t i = 0; i < m->object_count; i++) {
    size_t mark;
    const mc_fw_s3_object *o = &m->object[i];
    if (!mc_slice_is_utf8(o->key))
      return MC_ERR_INVALID;
    MC_TRY(mc_proto_open(out, 9, &mark));
    if (o->key.len)
      MC_TRY(mc_proto_put_bytes(out, 1, o->key));
    if (o->data_format)
      MC_TRY(mc_proto_put_varint(out, 2, o->data_format));
    MC_TRY(mc_proto_close(out, mark));
  }
  return MC_OK;
}

mc_err mc_fw_write_vehicle_data(mc_buf *out, const mc_fw_vehicle_data *m)
{
  if (!mc_slice_is_utf8(m->campaign_sync_id) || !mc_slice_is_utf8(m->manifest_sync_id))
    return MC_ERR_INVALID;
  if (m->campaign_sync_id.len)
    MC_TRY(mc_proto_put_bytes(out, 1, m->campaign_sync_id));
  if (m->manifest_sync_id.len)
    MC_TRY(mc_proto_put_bytes(out, 2, m->manifest_sync_id));
  if (m->event_id)
    MC_TRY(mc_proto_put_varint(out, 3, m->event_id));
  if (m->event_time_ms)
    MC_TRY(mc_proto_put_varint(out, 4, m->event_time_ms));
  for (uint32_t i = 0; i < m->sample_count; i++)
    MC_TRY(write_sample(out, &m->sample[i], m));
  MC_TRY(write_dtcs(out, m));
  return write_objects(out, m);
}
