#include "format/mvt.h"

#include "format/proto.h"

/* Field numbers of vector_tile.proto 2.1. */
enum { TILE_LAYER = 3, LAYER_NAME = 1, LAYER_FEATURE = 2, LAYER_KEY = 3, LAYER_VALUE = 4, LAYER_EXTENT = 5, LAYER_VERSION = 15 };
enum { FEATURE_TAGS = 2, FEATURE_TYPE = 3, FEATURE_GEOMETRY = 4, VALUE_STRING = 1, VALUE_SINT = 6 };
enum { MOVE_TO = 1, LINE_TO = 2, CLOSE_PATH = 7 };

static void note(mc_mvt *m, mc_err err)
{
  if (!m->err)
    m->err = err;
}

void mc_mvt_init(mc_mvt *m, mc_buf *out)
{
  *m = (mc_mvt){.out = out};
}

static void forget_layer(mc_mvt *m)
{
  mc_strmap_free(&m->key);
  mc_strmap_free(&m->value);
  m->key = (mc_strmap){0};
  m->value = (mc_strmap){0};
  mc_buf_clear(&m->keys);
  mc_buf_clear(&m->values);
}

void mc_mvt_free(mc_mvt *m)
{
  forget_layer(m);
  mc_buf_free(&m->keys);
  mc_buf_free(&m->values);
  mc_vec_free(&m->tag);
  mc_vec_free(&m->geometry);
}

void mc_mvt_layer_open(mc_mvt *m, const char *name, uint32_t extent)
{
  forget_layer(m);
  m->features = 0;
  m->extent = extent;
  m->layer_start = m->out->len;
  note(m, mc_proto_open(m->out, TILE_LAYER, &m->layer_mark));
  note(m, mc_proto_put_varint(m->out, LAYER_VERSION, 2));
  note(m, mc_proto_put_bytes(m->out, LAYER_NAME, mc_slice_str(name)));
}

mc_err mc_mvt_layer_close(mc_mvt *m)
{
  if (m->err)
    return m->err;
  if (m->features == 0) {
    m->out->len = m->layer_start;
    return MC_OK;
  }
  note(m, mc_buf_append_slice(m->out, mc_buf_slice(&m->keys)));
  note(m, mc_buf_append_slice(m->out, mc_buf_slice(&m->values)));
  note(m, mc_proto_put_varint(m->out, LAYER_EXTENT, m->extent));
  if (!m->err)
    note(m, mc_proto_close(m->out, m->layer_mark));
  return m->err;
}

void mc_mvt_feature_begin(mc_mvt *m, mc_mvt_kind kind)
{
  m->kind = kind;
  m->pen = (mc_mvt_point){0, 0};
  mc_vec_clear(&m->tag);
  mc_vec_clear(&m->geometry);
}

static void key_index(mc_mvt *m, const char *key)
{
  mc_slice k = mc_slice_str(key);
  uint64_t index;
  if (!mc_strmap_get(&m->key, k, &index)) {
    index = m->key.len;
    note(m, mc_strmap_put(&m->key, k, index));
    note(m, mc_proto_put_bytes(&m->keys, LAYER_KEY, k));
  }
  note(m, mc_vec_push(&m->tag, (uint32_t)index));
}

/* The encoded value is its own dictionary key: equal bytes, equal value. */
static void value_index(mc_mvt *m, mc_slice encoded)
{
  uint64_t index;
  if (!mc_strmap_get(&m->value, encoded, &index)) {
    index = m->value.len;
    note(m, mc_strmap_put(&m->value, encoded, index));
    note(m, mc_proto_put_bytes(&m->values, LAYER_VALUE, encoded));
  }
  note(m, mc_vec_push(&m->tag, (uint32_t)index));
}

void mc_mvt_tag_str(mc_mvt *m, const char *key, mc_slice value)
{
  key_index(m, key);
  mc_buf v = {0};
  note(m, mc_proto_put_bytes(&v, VALUE_STRING, value));
  value_index(m, mc_buf_slice(&v));
  mc_buf_free(&v);
}

void mc_mvt_tag_int(mc_mvt *m, const char *key, int64_t value)
{
  key_index(m, key);
  mc_buf v = {0};
  note(m, mc_proto_put_zigzag(&v, VALUE_SINT, value));
  value_index(m, mc_buf_slice(&v));
  mc_buf_free(&v);
}

static void command(mc_mvt *m, uint32_t id, uint32_t count)
{
  note(m, mc_vec_push(&m->geometry, (id & 7) | (count << 3)));
}

static uint32_t zigzag32(int32_t v)
{
  return ((uint32_t)v << 1) ^ (uint32_t)(v >> 31);
}

static void move_pen(mc_mvt *m, mc_mvt_point p)
{
  note(m, mc_vec_push(&m->geometry, zigzag32((int32_t)((uint32_t)p.x - (uint32_t)m->pen.x))));
  note(m, mc_vec_push(&m->geometry, zigzag32((int32_t)((uint32_t)p.y - (uint32_t)m->pen.y))));
  m->pen = p;
}

void mc_mvt_point_add(mc_mvt *m, mc_mvt_point p)
{
  command(m, MOVE_TO, 1);
  move_pen(m, p);
}

void mc_mvt_line(mc_mvt *m, const mc_mvt_point *p, size_t count)
{
  if (count < 2)
    return;
  command(m, MOVE_TO, 1);
  move_pen(m, p[0]);
  command(m, LINE_TO, (uint32_t)count - 1);
  for (size_t i = 1; i < count; i++)
    move_pen(m, p[i]);
}

void mc_mvt_ring(mc_mvt *m, const mc_mvt_point *p, size_t count)
{
  if (count < 3)
    return;
  mc_mvt_line(m, p, count);
  command(m, CLOSE_PATH, 1);
}

static mc_err put_varint_raw(mc_buf *out, uint32_t v)
{
  while (v >= 0x80) {
    MC_TRY(mc_buf_append_u8(out, (uint8_t)(v | 0x80)));
    v >>= 7;
  }
  return mc_buf_append_u8(out, (uint8_t)v);
}

static void put_packed(mc_mvt *m, uint32_t tag, const uint32_t *v, size_t count)
{
  size_t mark;
  mc_err err = mc_proto_open(m->out, tag, &mark);
  for (size_t i = 0; i < count && !err; i++)
    err = put_varint_raw(m->out, v[i]);
  note(m, err ? err : mc_proto_close(m->out, mark));
}

void mc_mvt_feature_end(mc_mvt *m)
{
  if (m->geometry.len == 0 || m->err)
    return;
  size_t mark;
  note(m, mc_proto_open(m->out, LAYER_FEATURE, &mark));
  put_packed(m, FEATURE_TAGS, m->tag.at, m->tag.len);
  note(m, mc_proto_put_varint(m->out, FEATURE_TYPE, (uint64_t)m->kind));
  put_packed(m, FEATURE_GEOMETRY, m->geometry.at, m->geometry.len);
  if (!m->err)
    note(m, mc_proto_close(m->out, mark));
  m->features++;
}
