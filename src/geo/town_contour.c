/* Marching squares: the places where a raster is positive, as polygons with holes. */
#include <stdlib.h>

#include "geo/town.h"

typedef struct contour {
  const float *f;
  struct mc_map next; /* edge id where a piece starts -> edge id where it ends */
  MC_VEC(uint64_t) start;
} contour;

/* An edge of the lattice: cell index * 2, +1 for the vertical one. Samples outside the raster count as negative. */
static float value(const contour *c, int x, int y)
{
  if (x < 0 || y < 0 || x >= TOWN_W || y >= TOWN_H)
    return -1;
  float v = c->f[(size_t)y * TOWN_W + (size_t)x];
  return v == 0 ? 1e-3f : v;
}

static uint64_t edge_id(int x, int y, int vertical)
{
  return ((uint64_t)(y + 1) * (TOWN_W + 2) + (uint64_t)(x + 1)) * 2 + (uint64_t)vertical + 1;
}

static vec2 edge_point(const contour *c, uint64_t id)
{
  id -= 1;
  int vertical = (int)(id & 1), x = (int)(id / 2 % (TOWN_W + 2)) - 1, y = (int)(id / 2 / (TOWN_W + 2)) - 1;
  float a = value(c, x, y), b = vertical ? value(c, x, y + 1) : value(c, x + 1, y);
  double t = a / ((double)a - b);
  vec2 p = town_cell(x, y);
  return vertical ? v2(p.x, p.y + t * TOWN_CELL) : v2(p.x + t * TOWN_CELL, p.y);
}

/* One square: pieces are directed so that the positive side lies on the left. */
static mc_err square(contour *c, int x, int y)
{
  float v[4] = {value(c, x, y), value(c, x + 1, y), value(c, x + 1, y + 1), value(c, x, y + 1)};
  uint64_t e[4] = {edge_id(x, y, 0), edge_id(x + 1, y, 1), edge_id(x, y + 1, 0), edge_id(x, y, 1)};
  int code = (v[0] > 0) | (v[1] > 0) << 1 | (v[2] > 0) << 2 | (v[3] > 0) << 3;
  static const int8_t piece[16][4] = {{-1, -1, -1, -1}, {0, 3, -1, -1}, {1, 0, -1, -1}, {1, 3, -1, -1}, {2, 1, -1, -1}, {0, 3, 2, 1},
                                      {2, 0, -1, -1},   {2, 3, -1, -1}, {3, 2, -1, -1}, {0, 2, -1, -1}, {1, 0, 3, 2},   {1, 2, -1, -1},
                                      {3, 1, -1, -1},   {0, 1, -1, -1}, {3, 0, -1, -1}, {-1, -1, -1, -1}};
  for (int k = 0; k < 4 && piece[code][k] >= 0; k += 2) {
    MC_TRY(mc_map_put(&c->next, e[piece[code][k]], e[piece[code][k + 1]]));
    MC_TRY(mc_vec_push(&c->start, e[piece[code][k]]));
  }
  return MC_OK;
}

typedef struct loop {
  uint32_t first, count;
  double area; /* positive: around something positive */
} loop;

typedef struct loops {
  vec2_vec p;
  MC_VEC(loop) loop;
} loops;

static mc_err follow(contour *c, loops *out)
{
  for (size_t i = 0; i < c->start.len; i++) {
    uint64_t at = c->start.at[i], next;
    if (!mc_map_get(&c->next, at, NULL))
      continue;
    loop l = {.first = (uint32_t)out->p.len};
    vec2_vec ring = {0};
    mc_err err = MC_OK;
    while (!err && mc_map_remove(&c->next, at, &next)) {
      err = mc_vec_push(&ring, edge_point(c, at));
      at = next;
    }
    for (size_t k = 0; k < ring.len && !err; k++) { /* every point goes half way to the middle of its neighbours: the lattice vanishes */
      vec2 a = ring.at[k ? k - 1 : ring.len - 1], b = ring.at[k + 1 < ring.len ? k + 1 : 0];
      vec2 p = v2_mix(ring.at[k], v2_mix(a, b, 0.5), 0.5);
      if (out->p.len > l.first && v2_dist(out->p.at[out->p.len - 1], p) < 4)
        continue;
      err = mc_vec_push(&out->p, p);
    }
    mc_vec_free(&ring);
    MC_TRY(err);
    l.count = (uint32_t)out->p.len - l.first;
    for (uint32_t k = 0; k < l.count; k++)
      l.area += v2_cross(out->p.at[l.first + k], out->p.at[l.first + (k + 1) % l.count]) / 2;
    if (l.count >= 3)
      MC_TRY(mc_vec_push(&out->loop, l));
  }
  return MC_OK;
}

static bool holds(const loops *all, const loop *l, vec2 p)
{
  bool in = false;
  for (uint32_t i = 0, k = l->count - 1; i < l->count; k = i++) {
    vec2 a = all->p.at[l->first + i], b = all->p.at[l->first + k];
    if ((a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x)
      in = !in;
  }
  return in;
}

static void put(town *t, const loops *all, const loop *l)
{
  MC_VEC(mc_geo_e7) ring = {0};
  for (uint32_t i = 0; i < l->count; i++)
    town_note(t, mc_vec_push(&ring, town_place(all->p.at[l->first + i])));
  if (!t->err)
    mc_geo_source_part(t->s, ring.at, (uint32_t)ring.len);
  mc_vec_free(&ring);
}

/* Positive loops become polygons, negative ones their holes. */
static void put_positive(town *t, const loops *all, mc_geo_layer layer, uint8_t kind, double min_area)
{
  for (size_t i = 0; i < all->loop.len; i++) {
    const loop *outer = &all->loop.at[i];
    if (outer->area < min_area)
      continue;
    mc_geo_source_shape(t->s, layer, kind, 0);
    put(t, all, outer);
    for (size_t k = 0; k < all->loop.len; k++) {
      const loop *hole = &all->loop.at[k];
      if (hole->area < -min_area && -hole->area < outer->area && holds(all, outer, all->p.at[hole->first]))
        put(t, all, hole);
    }
  }
}

/* The other way round: an ocean of three degrees with what is positive as holes. */
static void put_around(town *t, const loops *all, mc_geo_layer layer, uint8_t kind, double min_area)
{
  mc_geo_e7 middle = town_place(v2(0, 0));
  const int32_t far = 30000000;
  mc_geo_e7 corner[4] = {{middle.lon - far, middle.lat - far}, {middle.lon + far, middle.lat - far},
                         {middle.lon + far, middle.lat + far}, {middle.lon - far, middle.lat + far}};
  mc_geo_source_shape(t->s, layer, kind, 0);
  mc_geo_source_part(t->s, corner, 4);
  for (size_t i = 0; i < all->loop.len; i++)
    if (all->loop.at[i].area >= min_area)
      put(t, all, &all->loop.at[i]);
  for (size_t i = 0; i < all->loop.len; i++) /* enclosed waters */
    if (all->loop.at[i].area <= -min_area) {
      mc_geo_source_shape(t->s, layer, kind, 0);
      put(t, all, &all->loop.at[i]);
    }
}

mc_err town_contour(town *t, const float *field, mc_geo_layer layer, uint8_t kind, double min_area, bool around)
{
  contour c = {.f = field};
  loops all = {0};
  mc_err err = MC_OK;
  for (int y = -1; y < TOWN_H && !err; y++)
    for (int x = -1; x < TOWN_W && !err; x++)
      err = square(&c, x, y);
  if (!err)
    err = follow(&c, &all);
  if (!err && around)
    put_around(t, &all, layer, kind, min_area);
  else if (!err)
    put_positive(t, &all, layer, kind, min_area);
  mc_map_free(&c.next);
  mc_vec_free(&c.start);
  mc_vec_free(&all.p);
  mc_vec_free(&all.loop);
  return err;
}
