/* Makes small OSM PBF files byte by byte, for tests. */
#ifndef TESTS_FORMAT_OSM_FILE_H
#define TESTS_FORMAT_OSM_FILE_H

#include <stdlib.h>
#include <zlib.h>

#include "format/proto.h"

/* One fileblock: blob header of the given type, and a blob, raw or zlib. */
static inline void osm_put_blob(mc_buf *file, const char *type, mc_slice content, bool zlib)
{
  mc_buf blob = {0}, header = {0};
  if (zlib) {
    uLongf size = compressBound(content.len);
    uint8_t *packed = malloc(size);
    compress(packed, &size, content.data, content.len);
    mc_proto_put_varint(&blob, 2, content.len);
    mc_proto_put_bytes(&blob, 3, mc_slice_of(packed, size));
    free(packed);
  } else {
    mc_proto_put_bytes(&blob, 1, content);
  }
  mc_proto_put_bytes(&header, 1, mc_slice_str(type));
  mc_proto_put_varint(&header, 3, blob.len);
  uint8_t len[4];
  mc_store_be32(len, (uint32_t)header.len);
  mc_buf_append(file, len, 4);
  mc_buf_append_slice(file, mc_buf_slice(&header));
  mc_buf_append_slice(file, mc_buf_slice(&blob));
  mc_buf_free(&blob);
  mc_buf_free(&header);
}

static inline void osm_put_header(mc_buf *file, const char *feature)
{
  mc_buf h = {0};
  mc_proto_put_bytes(&h, 4, MC_LIT("OsmSchema-V0.6"));
  mc_proto_put_bytes(&h, 4, mc_slice_str(feature));
  osm_put_blob(file, "OSMHeader", mc_buf_slice(&h), false);
  mc_buf_free(&h);
}

static inline void osm_put_packed(mc_buf *out, uint32_t tag, const int64_t *v, size_t n, bool zigzag, bool delta)
{
  mc_buf p = {0};
  int64_t last = 0;
  for (size_t i = 0; i < n; i++) {
    int64_t d = delta ? v[i] - last : v[i];
    last = v[i];
    uint64_t u = zigzag ? (uint64_t)d << 1 ^ (uint64_t)(d >> 63) : (uint64_t)d;
    while (u >= 0x80) {
      mc_buf_append_u8(&p, (uint8_t)(u | 0x80));
      u >>= 7;
    }
    mc_buf_append_u8(&p, (uint8_t)u);
  }
  mc_proto_put_bytes(out, tag, mc_buf_slice(&p));
  mc_buf_free(&p);
}

/* A block with the string table given (its first entry must be ""), and one group. */
static inline void osm_block(mc_buf *out, const char *const *string, size_t strings, mc_slice group)
{
  mc_buf table = {0};
  for (size_t i = 0; i < strings; i++)
    mc_proto_put_bytes(&table, 1, mc_slice_str(string[i]));
  mc_proto_put_bytes(out, 1, mc_buf_slice(&table));
  mc_proto_put_bytes(out, 2, group);
  mc_buf_free(&table);
}

/* A village: a square of streets round a pond, as a whole file. */
static inline void osm_village(mc_buf *file, bool zlib)
{
  static const char *const string[] = {"", "highway", "residential", "name", "Pond Lane", "natural", "water", "type", "multipolygon", "outer",
                                       "inner", "place", "village", "Smallham", "oneway", "yes", "traffic_signals"};
  osm_put_header(file, "DenseNodes");
  mc_buf group = {0}, dense = {0}, block = {0};
  const int64_t id[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const int64_t lat[] = {471000000, 471000000, 471020000, 471020000, 471005000, 471005000, 471015000, 471015000, 471010000};
  const int64_t lon[] = {95000000, 95030000, 95030000, 95000000, 95010000, 95020000, 95020000, 95010000, 95015000};
  const int64_t kv[] = {0, 1, 16, 0, 0, 0, 0, 0, 0, 0, 11, 12, 3, 13, 0};
  osm_put_packed(&dense, 1, id, 9, true, true);
  osm_put_packed(&dense, 8, lat, 9, true, true);
  osm_put_packed(&dense, 9, lon, 9, true, true);
  osm_put_packed(&dense, 10, kv, sizeof kv / sizeof *kv, false, false);
  mc_proto_put_bytes(&group, 2, mc_buf_slice(&dense));
  osm_block(&block, string, 17, mc_buf_slice(&group));
  osm_put_blob(file, "OSMData", mc_buf_slice(&block), zlib);
  mc_buf_clear(&group);
  mc_buf_clear(&block);
  const struct { int64_t id, key[3], value[3]; size_t tags; int64_t ref[6]; size_t refs; } way[] = {
      {100, {1, 3}, {2, 4}, 2, {1, 2, 3, 4, 1}, 5}, {101, {1, 14}, {2, 15}, 2, {1, 3}, 2}, {102, {0}, {0}, 0, {5, 6, 7, 8, 5}, 5}};
  for (int i = 0; i < 3; i++) {
    mc_buf w = {0};
    mc_proto_put_varint(&w, 1, (uint64_t)way[i].id);
    osm_put_packed(&w, 2, way[i].key, way[i].tags, false, false);
    osm_put_packed(&w, 3, way[i].value, way[i].tags, false, false);
    osm_put_packed(&w, 8, way[i].ref, way[i].refs, true, true);
    mc_proto_put_bytes(&group, 3, mc_buf_slice(&w));
    mc_buf_free(&w);
  }
  mc_buf rel = {0};
  mc_proto_put_varint(&rel, 1, 200);
  osm_put_packed(&rel, 2, (int64_t[]){7, 5}, 2, false, false);
  osm_put_packed(&rel, 3, (int64_t[]){8, 6}, 2, false, false);
  osm_put_packed(&rel, 8, (int64_t[]){9}, 1, false, false);
  osm_put_packed(&rel, 9, (int64_t[]){102}, 1, true, true);
  osm_put_packed(&rel, 10, (int64_t[]){1}, 1, false, false);
  mc_proto_put_bytes(&group, 4, mc_buf_slice(&rel));
  osm_block(&block, string, 17, mc_buf_slice(&group));
  osm_put_blob(file, "OSMData", mc_buf_slice(&block), zlib);
  mc_buf_free(&rel);
  mc_buf_free(&group);
  mc_buf_free(&dense);
  mc_buf_free(&block);
}

#endif
