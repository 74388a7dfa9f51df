/* One vector tile from the map: pick, clip, thin, encode. */
#include <math.h>
#include <stdlib.h>

#include "geo/map.h"

#define BUFFER 128          /* tile units drawn beyond the edge, so that wide lines and labels meet their neighbours */
#define TOLERANCE 3.0       /* tile units; 8 of them are a pixel of a 512 px tile */
#define AREA_MIN 96.0       /* tile units squared: about one and a half pixels */
#define AREA_MIN_BUILDING 500.0

static const char *const layer_names[MC_GEO_LAYERS] = {"land", "water", "waterway", "building", "road", "boundary", "place"};

typedef struct painter {
  const mc_geo_map *m;
  uint32_t z;
  int shift;   /* world units to tile units */
  geo_xy zero; /* world corner of the tile */
  geo_box box; /* tile plus buffer, in tile units */
  mc_mvt mvt;
  geo_xy_vec local, clipped, tmp, stack;
  double tolerance;
  mc_err err;
} painter;

static void note(painter *p, mc_err err)
{
  if (!p->err)
    p->err = err;
}

/* World to tile units, rounded; wide shapes reach far outside, which i32 holds (2^30 >> 2 at most at zoom 16). */
static void localise(painter *p, const geo_part *part)
{
  mc_vec_clear(&p->local);
  note(p, mc_vec_reserve(&p->local, part->count));
  if (p->err)
    return;
  int64_t half = p->shift ? 1 << (p->shift - 1) : 0;
  for (uint32_t i = 0; i < part->count; i++) {
    geo_xy w = p->m->point[part->first + i];
    p->local.at[i] = (geo_xy){(int32_t)(((int64_t)w.x - p->zero.x + half) >> p->shift), (int32_t)(((int64_t)w.y - p->zero.y + half) >> p->shift)};
  }
  p->local.len = part->count;
}

static size_t drop_repeats(geo_xy *p, size_t n, bool ring)
{
  size_t kept = 0;
  for (size_t i = 0; i < n; i++)
    if (kept == 0 || p[i].x != p[kept - 1].x || p[i].y != p[kept - 1].y)
      p[kept++] = p[i];
  while (ring && kept > 1 && p[0].x == p[kept - 1].x && p[0].y == p[kept - 1].y)
    kept--;
  return kept;
}

static void reverse(geo_xy *p, size_t n)
{
  for (size_t i = 0, k = n; i + 1 < k; i++) {
    geo_xy t = p[i];
    p[i] = p[--k];
    p[k] = t;
  }
}

/* A ring thinned in two halves, split at the point farthest from its first: both stay, and it cannot collapse onto a line. */
static size_t thin_ring(painter *p, geo_xy *ring, size_t n)
{
  size_t far = 0;
  double worst = -1;
  for (size_t i = 1; i < n; i++) {
    double d = hypot((double)ring[i].x - ring[0].x, (double)ring[i].y - ring[0].y);
    if (d > worst) {
      worst = d;
      far = i;
    }
  }
  if (n < 5 || worst <= 0)
    return n;
  geo_xy start = ring[0];
  if (mc_vec_push(&p->clipped, start)) /* closes it for the second half */
    return n;
  ring = p->clipped.at;
  size_t first = geo_simplify(ring, far + 1, p->tolerance, &p->stack);
  size_t second = geo_simplify(ring + far, n - far + 1, p->tolerance, &p->stack);
  memmove(ring + first, ring + far + 1, (second - 1) * sizeof *ring);
  return first + second - 2;
}

static bool paint_polygon(painter *p, const geo_feature *f)
{
  double smallest = f->layer == MC_GEO_LAYER_BUILDING ? (p->z < 14 ? AREA_MIN_BUILDING : AREA_MIN / 2) : AREA_MIN;
  bool any = false;
  for (uint32_t k = 0; k < f->part_count && !p->err; k++) {
    localise(p, &p->m->part[f->first_part + k]);
    if (p->z < 16 && fabs(geo_ring_area2(p->local.at, p->local.len)) / 2 < smallest) {
      if (k == 0)
        return false;
      continue;
    }
    note(p, geo_clip_ring(p->local.at, p->local.len, p->box, &p->clipped, &p->tmp));
    size_t n = p->clipped.len;
    if (n >= 3 && p->z < 16)
      n = thin_ring(p, p->clipped.at, n);
    n = drop_repeats(p->clipped.at, n, true);
    double area = n >= 3 ? geo_ring_area2(p->clipped.at, n) : 0;
    if (area == 0) {
      if (k == 0)
        return false;
      continue;
    }
    if ((area > 0) != (k == 0))
      reverse(p->clipped.at, n);
    mc_mvt_ring(&p->mvt, p->clipped.at, n);
    any = true;
  }
  return any;
}

static void emit_line(void *ctx, const geo_xy *line, size_t n)
{
  painter *p = ctx;
  mc_vec_clear(&p->clipped);
  note(p, mc_vec_reserve(&p->clipped, n));
  if (p->err)
    return;
  memcpy(p->clipped.at, line, n * sizeof *line);
  size_t kept = drop_repeats(p->clipped.at, n, false);
  if (p->z < 16) { /* a small loop may shrink to nothing */
    kept = geo_simplify(p->clipped.at, kept, p->tolerance, &p->stack);
    kept = drop_repeats(p->clipped.at, kept, false);
  }
  mc_mvt_line(&p->mvt, p->clipped.at, kept);
}

static void paint_line(painter *p, const geo_feature *f)
{
  for (uint32_t k = 0; k < f->part_count && !p->err; k++) {
    localise(p, &p->m->part[f->first_part + k]);
    note(p, geo_clip_line(p->local.at, p->local.len, p->box, &p->tmp, emit_line, p));
  }
}

static void paint_points(painter *p, const geo_feature *f)
{
  for (uint32_t k = 0; k < f->part_count && !p->err; k++) {
    localise(p, &p->m->part[f->first_part + k]);
    for (size_t i = 0; i < p->local.len; i++) {
      geo_xy q = p->local.at[i];
      if (q.x >= 0 && q.y >= 0 && q.x < MC_GEO_TILE_EXTENT && q.y < MC_GEO_TILE_EXTENT) /* one tile owns a label */
        mc_mvt_point_add(&p->mvt, q);
    }
  }
}

static void tag_text(painter *p, const char *key, uint32_t offset)
{
  if (offset)
    mc_mvt_tag_str(&p->mvt, key, mc_slice_str(p->m->text + offset));
}

static void tag_feature(painter *p, const geo_feature *f)
{
  const char *kind = mc_geo_class_name((mc_geo_layer)f->layer, f->kind);
  if (f->layer == MC_GEO_LAYER_PLACE)
    mc_mvt_tag_str(&p->mvt, "kind", mc_slice_str(kind));
  else if (*kind)
    mc_mvt_tag_str(&p->mvt, "class", mc_slice_str(kind));
  tag_text(p, "name", f->name);
  if (f->layer != MC_GEO_LAYER_ROAD)
    return;
  tag_text(p, "ref", f->ref);
  mc_mvt_tag_int(&p->mvt, "oneway", !!(f->flags & MC_GEO_ONEWAY));
  mc_mvt_tag_int(&p->mvt, "bridge", !!(f->flags & MC_GEO_BRIDGE));
  mc_mvt_tag_int(&p->mvt, "tunnel", !!(f->flags & MC_GEO_TUNNEL));
  mc_mvt_tag_int(&p->mvt, "ramp", !!(f->flags & MC_GEO_RAMP));
}

static void paint(painter *p, const geo_feature *f)
{
  switch (f->layer) {
  case MC_GEO_LAYER_PLACE:
    mc_mvt_feature_begin(&p->mvt, MC_MVT_POINT);
    paint_points(p, f);
    break;
  case MC_GEO_LAYER_ROAD:
  case MC_GEO_LAYER_WATERWAY:
  case MC_GEO_LAYER_BOUNDARY:
    mc_mvt_feature_begin(&p->mvt, MC_MVT_LINE);
    paint_line(p, f);
    break;
  default:
    mc_mvt_feature_begin(&p->mvt, MC_MVT_POLYGON);
    if (!paint_polygon(p, f))
      return;
    break;
  }
  tag_feature(p, f);
  mc_mvt_feature_end(&p->mvt);
}

typedef MC_VEC(uint32_t) pick_vec;

static mc_err pick_one(const painter *p, geo_box world, uint32_t i, pick_vec *out)
{
  const geo_feature *f = &p->m->feature[i];
  if (f->min_zoom > p->z || f->x0 > world.x1 || f->x1 < world.x0 || f->y0 > world.y1 || f->y1 < world.y0)
    return MC_OK;
  return mc_vec_push(out, i);
}

static int compare_u32(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

/* Features whose box meets the tile, in painting order. Low zooms walk the whole list, high ones the cells. */
static mc_err pick(const painter *p, geo_box world, pick_vec *out)
{
  const mc_geo_map *m = p->m;
  if (p->z < GEO_CELL_ZOOM - 1) {
    for (size_t i = 0; i < m->features; i++)
      MC_TRY(pick_one(p, world, (uint32_t)i, out));
    return MC_OK;
  }
  for (size_t i = 0; i < m->wide.len; i++)
    MC_TRY(pick_one(p, world, m->wide.at[i], out));
  const int shift = GEO_WORLD_BITS - GEO_CELL_ZOOM;
  for (int32_t cy = world.y0 >> shift; cy <= world.y1 >> shift; cy++)
    for (int32_t cx = world.x0 >> shift; cx <= world.x1 >> shift; cx++) {
      if (cx < m->cell_x0 || cy < m->cell_y0 || cx >= m->cell_x0 + m->cells_w || cy >= m->cell_y0 + m->cells_h)
        continue;
      size_t cell = (size_t)(cy - m->cell_y0) * (size_t)m->cells_w + (size_t)(cx - m->cell_x0);
      for (uint32_t k = m->cell_first[cell]; k < m->cell_first[cell + 1]; k++)
        MC_TRY(pick_one(p, world, m->cell_feature[k], out));
    }
  if (out->len)
    qsort(out->at, out->len, sizeof *out->at, compare_u32);
  size_t kept = 0; /* a feature in several cells came several times */
  for (size_t i = 0; i < out->len; i++)
    if (i == 0 || out->at[i] != out->at[kept - 1])
      out->at[kept++] = out->at[i];
  out->len = kept;
  return MC_OK;
}

static void paint_layers(painter *p, const pick_vec *picked)
{
  size_t i = 0;
  for (int layer = 0; layer < MC_GEO_LAYERS && !p->err; layer++) {
    mc_mvt_layer_open(&p->mvt, layer_names[layer], MC_GEO_TILE_EXTENT);
    for (; i < picked->len && p->m->feature[picked->at[i]].layer == layer && !p->err; i++)
      paint(p, &p->m->feature[picked->at[i]]);
    note(p, mc_mvt_layer_close(&p->mvt));
  }
}

mc_err geo_tile_make(const mc_geo_map *m, uint32_t z, uint32_t x, uint32_t y, mc_buf *out)
{
  painter p = {.m = m, .z = z, .shift = GEO_UNIT_BITS - (int)z, .tolerance = TOLERANCE};
  p.zero = (geo_xy){(int32_t)(x << (GEO_WORLD_BITS - z)), (int32_t)(y << (GEO_WORLD_BITS - z))};
  p.box = (geo_box){-BUFFER, -BUFFER, MC_GEO_TILE_EXTENT + BUFFER, MC_GEO_TILE_EXTENT + BUFFER};
  int32_t edge = BUFFER << p.shift, side = (int32_t)(1u << (GEO_WORLD_BITS - z));
  geo_box world = {p.zero.x - edge, p.zero.y - edge, p.zero.x + side + edge, p.zero.y + side + edge};
  pick_vec picked = {0};
  mc_mvt_init(&p.mvt, out);
  note(&p, pick(&p, world, &picked));
  if (!p.err)
    paint_layers(&p, &picked);
  mc_vec_free(&picked);
  mc_mvt_free(&p.mvt);
  mc_vec_free(&p.local);
  mc_vec_free(&p.clipped);
  mc_vec_free(&p.tmp);
  mc_vec_free(&p.stack);
  return p.err;
}
