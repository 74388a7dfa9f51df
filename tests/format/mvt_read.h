/* Reads vector tiles back, for tests: layer by layer, feature by feature, every command checked against specification 2.1. */
#ifndef TESTS_FORMAT_MVT_READ_H
#define TESTS_FORMAT_MVT_READ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/vec.h"
#include "format/proto.h"

typedef struct mvt_feature {
  const char *layer;
  int type;
  uint32_t parts, points;
  int32_t x0, y0, x1, y1;
  double outer_area, hole_area; /* twice, positive clockwise on screen; holes negative */
  char text[8][96];             /* "key=value" */
  int tags;
} mvt_feature;

typedef void (*mvt_visit)(void *ctx, const mvt_feature *f);

static inline uint64_t mvt_varint(mc_slice in, size_t *at)
{
  uint64_t v = 0;
  for (unsigned shift = 0; *at < in.len; shift += 7) {
    uint8_t b = in.data[(*at)++];
    v |= (uint64_t)(b & 0x7F) << shift;
    if (!(b & 0x80))
      break;
  }
  return v;
}

/* False when the geometry breaks a rule. */
static inline bool mvt_geometry(mc_slice g, mvt_feature *f)
{
  int32_t x = 0, y = 0, sx = 0, sy = 0;
  double area = 0;
  bool open = false, ok = true;
  f->x0 = f->y0 = INT32_MAX;
  f->x1 = f->y1 = INT32_MIN;
  for (size_t at = 0; at < g.len && ok;) {
    uint32_t word = (uint32_t)mvt_varint(g, &at), id = word & 7, count = word >> 3;
    if (id == 7) {
      area += (double)x * sy - (double)sx * y;
      ok = open && f->type == 3 && count == 1 && area != 0;
      if (area > 0)
        f->outer_area += area;
      else {
        ok = ok && f->outer_area > 0; /* a hole needs its polygon first */
        f->hole_area += area;
      }
      open = false;
      continue;
    }
    ok = (id == 1 || id == 2) && count > 0 && (id == 1 || open);
    for (uint32_t i = 0; i < count && ok; i++) {
      int32_t px = x, py = y;
      x += (int32_t)mc_proto_zigzag(mvt_varint(g, &at));
      y += (int32_t)mc_proto_zigzag(mvt_varint(g, &at));
      f->x0 = x < f->x0 ? x : f->x0;
      f->x1 = x > f->x1 ? x : f->x1;
      f->y0 = y < f->y0 ? y : f->y0;
      f->y1 = y > f->y1 ? y : f->y1;
      f->points++;
      if (id == 1) {
        sx = x, sy = y, area = 0, open = true;
        f->parts++;
      } else {
        area += (double)px * y - (double)x * py;
        ok = px != x || py != y; /* no step of length 0 */
      }
    }
  }
  return ok && f->points > 0 && (f->type != 3 || !open);
}

static inline void mvt_value(mc_slice v, char *out, size_t size)
{
  mc_proto_field f;
  size_t at = 0;
  if (mc_proto_next(v, &at, &f) != MC_OK)
    return;
  if (f.tag == 1)
    snprintf(out, size, "%.*s", MC_FMT(f.bytes));
  else
    snprintf(out, size, "%lld", (long long)mc_proto_zigzag(f.number));
}

/* Number of features; -1 when the tile breaks the format. */
static inline int mvt_read(mc_slice tile, mvt_visit visit, void *ctx)
{
  int features = 0;
  mc_proto_field layer, f;
  for (size_t at = 0; at < tile.len;) {
    if (mc_proto_next(tile, &at, &layer) != MC_OK || layer.tag != 3)
      return -1;
    MC_VEC(mc_slice) key = {0}, value = {0}, feature = {0};
    char name[64] = "";
    uint64_t version = 0, extent = 0;
    for (size_t k = 0; mc_proto_next(layer.bytes, &k, &f) == MC_OK;) {
      if (f.tag == 1)
        mc_slice_to_str(f.bytes, name, sizeof name);
      else if (f.tag == 2)
        (void)mc_vec_push(&feature, f.bytes);
      else if (f.tag == 3)
        (void)mc_vec_push(&key, f.bytes);
      else if (f.tag == 4)
        (void)mc_vec_push(&value, f.bytes);
      else if (f.tag == 5)
        extent = f.number;
      else if (f.tag == 15)
        version = f.number;
    }
    bool ok = version == 2 && extent == 4096 && name[0] && feature.len;
    for (size_t i = 0; i < feature.len && ok; i++) {
      mvt_feature out = {.layer = name};
      mc_slice tags = {0}, geometry = {0};
      for (size_t k = 0; mc_proto_next(feature.at[i], &k, &f) == MC_OK;) {
        if (f.tag == 2)
          tags = f.bytes;
        else if (f.tag == 3)
          out.type = (int)f.number;
        else if (f.tag == 4)
          geometry = f.bytes;
      }
      ok = mvt_geometry(geometry, &out);
      for (size_t k = 0; k < tags.len && ok && out.tags < 8; out.tags++) {
        uint64_t a = mvt_varint(tags, &k), b = mvt_varint(tags, &k);
        ok = a < key.len && b < value.len;
        if (ok) {
          char text[64] = "";
          mvt_value(value.at[b], text, sizeof text);
          snprintf(out.text[out.tags], sizeof out.text[0], "%.30s=%.60s", (const char *)memcpy((char[32]){0}, key.at[a].data, key.at[a].len < 31 ? key.at[a].len : 31), text);
        }
      }
      features++;
      if (ok && visit)
        visit(ctx, &out);
    }
    mc_vec_free(&key);
    mc_vec_free(&value);
    mc_vec_free(&feature);
    if (!ok)
      return -1;
  }
  return features;
}

#endif
