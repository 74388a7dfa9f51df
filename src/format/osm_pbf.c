#include "format/osm_pbf.h"

#include <zlib.h>

#include "base/vec.h"
#include "format/proto.h"

#define HEADER_LIMIT (64u << 10) /* BlobHeader, wiki "PBF Format", File format */
#define BLOB_LIMIT (32u << 20)

typedef MC_VEC(int64_t) int_vec;

typedef struct reader {
  const mc_osm_visitor *visit;
  mc_why *why;
  size_t blob;    /* number of the blob, from 0 */
  size_t offset;  /* byte of its length word */
  mc_buf plain;   /* inflated blob */
  MC_VEC(mc_slice) string;
  MC_VEC(mc_osm_tag) tag;
  MC_VEC(mc_osm_member) member;
  int_vec a, b, c, d; /* unpacked columns */
  int64_t granularity, lat_offset, lon_offset; /* nanodegrees */
} reader;

static mc_err broken(reader *r, mc_err err, const char *what)
{
  return mc_err_set(r->why, err, "OSM PBF blob %zu at byte %zu: %s; the extract is damaged or cut short, fetch it again", r->blob, r->offset,
                    what);
}

/* mc_proto_next with our own words for failures. */
static mc_err field(reader *r, mc_slice in, size_t *at, mc_proto_field *f, const char *what)
{
  mc_err err = mc_proto_next(in, at, f);
  return err == MC_OK || err == MC_ERR_END ? err : broken(r, err, what);
}

static bool varint(mc_slice in, size_t *at, uint64_t *out)
{
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (*at >= in.len)
      return false;
    uint8_t byte = in.data[(*at)++];
    v |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80)) {
      *out = v;
      return true;
    }
  }
  return false;
}

enum { PLAIN = 0, ZIGZAG = 1, DELTA = 2 };

/* A packed repeated field becomes a column; appended, as a message may hold it in several pieces. */
static mc_err unpack(reader *r, const mc_proto_field *f, int how, int_vec *out)
{
  if (f->wire != MC_WIRE_LEN)
    return broken(r, MC_ERR_MALFORMED, "a repeated number field is not packed");
  int64_t sum = (how & DELTA) && out->len ? out->at[out->len - 1] : 0;
  for (size_t at = 0; at < f->bytes.len;) {
    uint64_t v;
    if (!varint(f->bytes, &at, &v))
      return broken(r, MC_ERR_MALFORMED, "a packed number runs past its field");
    int64_t n = how & ZIGZAG ? mc_proto_zigzag(v) : (int64_t)v;
    if (how & DELTA)
      n = sum = (int64_t)((uint64_t)sum + (uint64_t)n);
    MC_TRY(mc_vec_push(out, n));
  }
  return MC_OK;
}

static mc_err text(reader *r, int64_t index, mc_slice *out)
{
  if (index < 0 || (uint64_t)index >= r->string.len)
    return broken(r, MC_ERR_MALFORMED, "a string index lies outside the string table");
  *out = r->string.at[index];
  return MC_OK;
}

/* Fills r->tag from key and value columns of equal length. */
static mc_err tags(reader *r, const int_vec *key, const int_vec *value)
{
  if (key->len != value->len)
    return broken(r, MC_ERR_MALFORMED, "keys and values differ in number");
  mc_vec_clear(&r->tag);
  for (size_t i = 0; i < key->len; i++) {
    mc_osm_tag t;
    MC_TRY(text(r, key->at[i], &t.key));
    MC_TRY(text(r, value->at[i], &t.value));
    MC_TRY(mc_vec_push(&r->tag, t));
  }
  return MC_OK;
}

/* Stored units to 1e-7 degree; false outside the globe. */
static bool place(const reader *r, int64_t lon, int64_t lat, mc_osm_node *out)
{
  int64_t x, y;
  if (__builtin_mul_overflow(lon, r->granularity, &x) || __builtin_add_overflow(x, r->lon_offset, &x) ||
      __builtin_mul_overflow(lat, r->granularity, &y) || __builtin_add_overflow(y, r->lat_offset, &y))
    return false;
  if (x < -180000000000 || x > 180000000000 || y < -90000000000 || y > 90000000000)
    return false;
  out->lon_e7 = (int32_t)(x / 100);
  out->lat_e7 = (int32_t)(y / 100);
  return true;
}

static mc_err plain_node(reader *r, mc_slice in)
{
  mc_osm_node n = {0};
  int64_t lon = 0, lat = 0;
  mc_vec_clear(&r->a);
  mc_vec_clear(&r->b);
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "a node is broken")) == MC_OK;) {
    switch (f.tag) {
    case 1: n.id = mc_proto_zigzag(f.number); break;
    case 2: MC_TRY(unpack(r, &f, PLAIN, &r->a)); break;
    case 3: MC_TRY(unpack(r, &f, PLAIN, &r->b)); break;
    case 8: lat = mc_proto_zigzag(f.number); break;
    case 9: lon = mc_proto_zigzag(f.number); break;
    default: break;
    }
  }
  if (err != MC_ERR_END)
    return err;
  MC_TRY(tags(r, &r->a, &r->b));
  if (!place(r, lon, lat, &n))
    return broken(r, MC_ERR_MALFORMED, "a node lies outside the globe");
  n.tag = r->tag.at;
  n.tag_count = (uint32_t)r->tag.len;
  return r->visit->node(r->visit->ctx, &n);
}

static mc_err dense_nodes(reader *r, mc_slice in)
{
  mc_vec_clear(&r->a);
  mc_vec_clear(&r->b);
  mc_vec_clear(&r->c);
  mc_vec_clear(&r->d);
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "dense nodes are broken")) == MC_OK;) {
    switch (f.tag) {
    case 1: MC_TRY(unpack(r, &f, ZIGZAG | DELTA, &r->a)); break;
    case 8: MC_TRY(unpack(r, &f, ZIGZAG | DELTA, &r->b)); break;
    case 9: MC_TRY(unpack(r, &f, ZIGZAG | DELTA, &r->c)); break;
    case 10: MC_TRY(unpack(r, &f, PLAIN, &r->d)); break;
    default: break;
    }
  }
  if (err != MC_ERR_END)
    return err;
  if (r->b.len != r->a.len || r->c.len != r->a.len)
    return broken(r, MC_ERR_MALFORMED, "dense nodes have columns of different lengths");
  size_t kv = 0; /* keys and values of all nodes in one column, a 0 after each node; empty when none has tags */
  for (size_t i = 0; i < r->a.len; i++) {
    mc_osm_node n = {.id = r->a.at[i]};
    if (!place(r, r->c.at[i], r->b.at[i], &n))
      return broken(r, MC_ERR_MALFORMED, "a node lies outside the globe");
    mc_vec_clear(&r->tag);
    while (kv < r->d.len && r->d.at[kv] != 0) {
      if (kv + 1 >= r->d.len)
        return broken(r, MC_ERR_MALFORMED, "the tags of dense nodes end after a key");
      mc_osm_tag t;
      MC_TRY(text(r, r->d.at[kv], &t.key));
      MC_TRY(text(r, r->d.at[kv + 1], &t.value));
      MC_TRY(mc_vec_push(&r->tag, t));
      kv += 2;
    }
    kv++;
    n.tag = r->tag.at;
    n.tag_count = (uint32_t)r->tag.len;
    MC_TRY(r->visit->node(r->visit->ctx, &n));
  }
  return MC_OK;
}

static mc_err one_way(reader *r, mc_slice in)
{
  mc_osm_way w = {0};
  mc_vec_clear(&r->a);
  mc_vec_clear(&r->b);
  mc_vec_clear(&r->c);
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "a way is broken")) == MC_OK;) {
    switch (f.tag) {
    case 1: w.id = (int64_t)f.number; break;
    case 2: MC_TRY(unpack(r, &f, PLAIN, &r->a)); break;
    case 3: MC_TRY(unpack(r, &f, PLAIN, &r->b)); break;
    case 8: MC_TRY(unpack(r, &f, ZIGZAG | DELTA, &r->c)); break;
    default: break;
    }
  }
  if (err != MC_ERR_END)
    return err;
  MC_TRY(tags(r, &r->a, &r->b));
  w.ref = r->c.at;
  w.ref_count = (uint32_t)r->c.len;
  w.tag = r->tag.at;
  w.tag_count = (uint32_t)r->tag.len;
  return r->visit->way(r->visit->ctx, &w);
}

static mc_err members(reader *r, const int_vec *role, const int_vec *id, const int_vec *kind)
{
  if (role->len != id->len || kind->len != id->len)
    return broken(r, MC_ERR_MALFORMED, "relation members have columns of different lengths");
  mc_vec_clear(&r->member);
  for (size_t i = 0; i < id->len; i++) {
    if (kind->at[i] < 0 || kind->at[i] > 2)
      return broken(r, MC_ERR_MALFORMED, "a relation member is neither node, way nor relation");
    mc_osm_member m = {(mc_osm_kind)kind->at[i], id->at[i], {0}};
    MC_TRY(text(r, role->at[i], &m.role));
    MC_TRY(mc_vec_push(&r->member, m));
  }
  return MC_OK;
}

static mc_err one_relation(reader *r, mc_slice in)
{
  mc_osm_relation rel = {0};
  int_vec kind = {0};
  mc_vec_clear(&r->a);
  mc_vec_clear(&r->b);
  mc_vec_clear(&r->c);
  mc_vec_clear(&r->d);
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "a relation is broken")) == MC_OK;) {
    switch (f.tag) {
    case 1: rel.id = (int64_t)f.number; break;
    case 2: err = unpack(r, &f, PLAIN, &r->a); break;
    case 3: err = unpack(r, &f, PLAIN, &r->b); break;
    case 8: err = unpack(r, &f, PLAIN, &r->c); break;
    case 9: err = unpack(r, &f, ZIGZAG | DELTA, &r->d); break;
    case 10: err = unpack(r, &f, PLAIN, &kind); break;
    default: break;
    }
    if (err)
      break;
  }
  if (err == MC_ERR_END)
    err = tags(r, &r->a, &r->b);
  if (!err)
    err = members(r, &r->c, &r->d, &kind);
  mc_vec_free(&kind);
  MC_TRY(err);
  rel.tag = r->tag.at;
  rel.tag_count = (uint32_t)r->tag.len;
  rel.member = r->member.at;
  rel.member_count = (uint32_t)r->member.len;
  return r->visit->relation(r->visit->ctx, &rel);
}

static mc_err group(reader *r, mc_slice in)
{
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "a primitive group is broken")) == MC_OK;) {
    if (f.wire != MC_WIRE_LEN)
      continue;
    if (f.tag == 1 && r->visit->node)
      err = plain_node(r, f.bytes);
    else if (f.tag == 2 && r->visit->node)
      err = dense_nodes(r, f.bytes);
    else if (f.tag == 3 && r->visit->way)
      err = one_way(r, f.bytes);
    else if (f.tag == 4 && r->visit->relation)
      err = one_relation(r, f.bytes);
    MC_TRY(err);
  }
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err string_table(reader *r, mc_slice in)
{
  mc_vec_clear(&r->string);
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "the string table is broken")) == MC_OK;)
    if (f.tag == 1 && f.wire == MC_WIRE_LEN)
      MC_TRY(mc_vec_push(&r->string, f.bytes));
  return err == MC_ERR_END ? MC_OK : err;
}

/* Two walks: granularity and offsets may stand behind the groups that need them. */
static mc_err data_block(reader *r, mc_slice in)
{
  r->granularity = 100;
  r->lat_offset = r->lon_offset = 0;
  mc_vec_clear(&r->string);
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "the data block is broken")) == MC_OK;) {
    switch (f.tag) {
    case 1: MC_TRY(string_table(r, f.bytes)); break;
    case 17: r->granularity = (int32_t)f.number; break;
    case 19: r->lat_offset = (int64_t)f.number; break;
    case 20: r->lon_offset = (int64_t)f.number; break;
    default: break;
    }
  }
  if (err != MC_ERR_END)
    return err;
  if (r->granularity <= 0)
    return broken(r, MC_ERR_MALFORMED, "the granularity is not positive");
  for (size_t at = 0; (err = field(r, in, &at, &f, "the data block is broken")) == MC_OK;)
    if (f.tag == 2 && f.wire == MC_WIRE_LEN)
      MC_TRY(group(r, f.bytes));
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err box(reader *r, mc_slice in)
{
  double side[5] = {0}; /* left, right, top, bottom in nanodegrees (HeaderBBox) */
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "the bounding box is broken")) == MC_OK;)
    if (f.tag >= 1 && f.tag <= 4)
      side[f.tag] = (double)mc_proto_zigzag(f.number) * 1e-9;
  if (err != MC_ERR_END)
    return err;
  return r->visit->box ? r->visit->box(r->visit->ctx, side[1], side[4], side[2], side[3]) : MC_OK;
}

static mc_err header_block(reader *r, mc_slice in)
{
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, in, &at, &f, "the header block is broken")) == MC_OK;) {
    if (f.tag == 1)
      MC_TRY(box(r, f.bytes));
    if (f.tag == 4 && !mc_slice_eq_str(f.bytes, "OsmSchema-V0.6") && !mc_slice_eq_str(f.bytes, "DenseNodes"))
      return mc_err_set(r->why, MC_ERR_UNSUPPORTED,
                        "OSM PBF: the file requires the feature \"%.*s\", which is not read here; export it without (no history)",
                        (int)(f.bytes.len < 60 ? f.bytes.len : 60), (const char *)f.bytes.data);
  }
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err inflate_into(reader *r, mc_slice packed, uint64_t raw_size)
{
  if (raw_size > BLOB_LIMIT)
    return broken(r, MC_ERR_TOO_LARGE, "the blob says it unpacks to more than 32 MiB");
  mc_buf_clear(&r->plain);
  MC_TRY(mc_buf_reserve(&r->plain, raw_size ? raw_size : 1));
  uLongf got = raw_size;
  if (uncompress(r->plain.data, &got, packed.data, packed.len) != Z_OK || got != raw_size)
    return broken(r, MC_ERR_MALFORMED, "the compressed bytes do not unpack to the stated size");
  r->plain.len = got;
  return MC_OK;
}

static mc_err blob_content(reader *r, mc_slice blob, mc_slice *out)
{
  mc_slice raw = {0}, packed = {0};
  bool has_raw = false, has_zlib = false, other = false;
  uint64_t raw_size = 0;
  mc_proto_field f;
  mc_err err;
  for (size_t at = 0; (err = field(r, blob, &at, &f, "the blob is broken")) == MC_OK;) {
    switch (f.tag) {
    case 1: raw = f.bytes, has_raw = f.wire == MC_WIRE_LEN; break;
    case 2: raw_size = f.number; break;
    case 3: packed = f.bytes, has_zlib = f.wire == MC_WIRE_LEN; break;
    default: other = other || (f.tag >= 4 && f.tag <= 7); break;
    }
  }
  if (err != MC_ERR_END)
    return err;
  if (has_raw) {
    *out = raw;
    return MC_OK;
  }
  if (!has_zlib)
    return broken(r, other ? MC_ERR_UNSUPPORTED : MC_ERR_MALFORMED,
                  other ? "compressed with LZMA, bzip2, LZ4 or Zstandard, of which none is read here (use zlib or none)" : "the blob holds no data");
  MC_TRY(inflate_into(r, packed, raw_size));
  *out = mc_buf_slice(&r->plain);
  return MC_OK;
}

static mc_err next_blob(reader *r, mc_slice file, size_t *at)
{
  r->offset = *at;
  if (file.len - *at < 4)
    return broken(r, MC_ERR_TRUNCATED, "the length of the blob header is cut off");
  uint32_t header_len = mc_load_be32(file.data + *at);
  *at += 4;
  if (header_len == 0 || header_len > HEADER_LIMIT)
    return r->blob == 0 ? mc_err_set(r->why, MC_ERR_INVALID, "not an OSM PBF file: it does not start with a blob header of 1 to 65536 bytes")
                        : broken(r, MC_ERR_TOO_LARGE, "the blob header is 0 or more than 64 KiB long");
  if (file.len - *at < header_len)
    return broken(r, MC_ERR_TRUNCATED, "the blob header is cut off");
  mc_slice type = {0};
  uint64_t size = 0;
  mc_proto_field f;
  mc_err err;
  mc_slice header = mc_slice_sub(file, *at, header_len);
  for (size_t k = 0; (err = field(r, header, &k, &f, "the blob header is broken")) == MC_OK;) {
    if (f.tag == 1)
      type = f.bytes;
    else if (f.tag == 3)
      size = f.number;
  }
  if (err != MC_ERR_END)
    return err;
  *at += header_len;
  if (size > BLOB_LIMIT)
    return broken(r, MC_ERR_TOO_LARGE, "the blob is larger than 32 MiB");
  if (file.len - *at < size)
    return broken(r, MC_ERR_TRUNCATED, "the blob is cut off");
  mc_slice blob = mc_slice_sub(file, *at, size);
  *at += size;
  bool head = mc_slice_eq_str(type, "OSMHeader");
  if (r->blob == 0 && !head)
    return mc_err_set(r->why, MC_ERR_INVALID, "not an OSM PBF file: its first blob is not an OSMHeader");
  if (!head && !mc_slice_eq_str(type, "OSMData"))
    return MC_OK; /* other kinds are to be passed over (wiki) */
  mc_slice content = {0};
  MC_TRY(blob_content(r, blob, &content));
  return head ? header_block(r, content) : data_block(r, content);
}

mc_err mc_osm_pbf_read(mc_slice file, const mc_osm_visitor *visitor, mc_why *why)
{
  reader r = {.visit = visitor, .why = why};
  if (file.len == 0)
    return mc_err_set(why, MC_ERR_INVALID, "not an OSM PBF file: it is empty");
  mc_err err = MC_OK;
  for (size_t at = 0; at < file.len && !err; r.blob++)
    err = next_blob(&r, file, &at);
  mc_buf_free(&r.plain);
  mc_vec_free(&r.string);
  mc_vec_free(&r.tag);
  mc_vec_free(&r.member);
  mc_vec_free(&r.a);
  mc_vec_free(&r.b);
  mc_vec_free(&r.c);
  mc_vec_free(&r.d);
  return err;
}

mc_slice mc_osm_tag_find(const mc_osm_tag *tag, uint32_t count, const char *key)
{
  mc_slice k = mc_slice_str(key);
  for (uint32_t i = 0; i < count; i++)
    if (mc_slice_eq(tag[i].key, k))
      return tag[i].value;
  return (mc_slice){0};
}
