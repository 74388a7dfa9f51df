/* Buildings: walk both sides of every street and set a footprint wherever one fits. */
#include "geo/town.h"

#include <stdlib.h>

typedef struct plot { /* metres */
  double front_min, front_max, depth_min, depth_max, setback, gap_min, gap_max;
  double fill; /* chance that a plot is built on */
} plot;

static const plot plots[] = {
    [ZONE_CORE] = {9, 19, 11, 15, 0.8, 0, 0.4, 0.97},
    [ZONE_INNER] = {11, 24, 11, 15, 3, 0.5, 7, 0.92},
    [ZONE_SUBURB] = {10, 14, 9, 12, 6, 6, 13, 0.88},
    [ZONE_INDUSTRY] = {32, 85, 26, 60, 11, 12, 34, 0.85},
    [ZONE_VILLAGE] = {9, 14, 8, 11, 4.5, 5, 22, 0.8},
    [ZONE_NONE] = {10, 22, 9, 14, 11, 120, 900, 0.45},
};

typedef struct footprint {
  vec2 at, along; /* middle and unit vector of the front */
  double half_w, half_d;
} footprint;

typedef struct builder {
  town *t;
  town_grid streets, ramps;
  MC_VEC(footprint) built;
  struct mc_map cell; /* 40 m cell -> 1 + newest */
  MC_VEC(uint32_t) next;
  footprint now;
  bool blocked;
} builder;

static double half_width(uint8_t road)
{
  static const double half[] = {13, 7, 6.5, 6, 5.5, 4, 3, 1.5, 3};
  return half[road];
}

static void corners(const footprint *f, vec2 out[4])
{
  vec2 w = v2_mul(f->along, f->half_w), d = v2_mul(v2_left(f->along), f->half_d);
  out[0] = v2_sub(v2_sub(f->at, w), d);
  out[1] = v2_sub(v2_add(f->at, w), d);
  out[2] = v2_add(v2_add(f->at, w), d);
  out[3] = v2_add(v2_sub(f->at, w), d);
}

/* Separating axes: do two rectangles overlap? */
static bool overlap(const footprint *a, const footprint *b)
{
  vec2 p[4], q[4];
  corners(a, p);
  corners(b, q);
  const vec2 axis[4] = {a->along, v2_left(a->along), b->along, v2_left(b->along)};
  for (int k = 0; k < 4; k++) {
    double a0 = 1e18, a1 = -1e18, b0 = 1e18, b1 = -1e18;
    for (int i = 0; i < 4; i++) {
      double u = v2_dot(axis[k], p[i]), v = v2_dot(axis[k], q[i]);
      a0 = fmin(a0, u), a1 = fmax(a1, u), b0 = fmin(b0, v), b1 = fmax(b1, v);
    }
    if (a1 <= b0 + 0.15 || b1 <= a0 + 0.15)
      return false;
  }
  return true;
}

static uint64_t cell_key(int x, int y)
{
  return (uint64_t)(uint32_t)x << 32 | (uint32_t)y;
}

static bool hits_building(const builder *b)
{
  double reach = hypot(b->now.half_w, b->now.half_d) + 62;
  for (int y = (int)floor((b->now.at.y - reach) / 40); y <= (int)floor((b->now.at.y + reach) / 40); y++)
    for (int x = (int)floor((b->now.at.x - reach) / 40); x <= (int)floor((b->now.at.x + reach) / 40); x++) {
      uint64_t at = 0;
      (void)mc_map_get(&b->cell, cell_key(x, y), &at);
      for (; at; at = b->next.at[at - 1]) {
        const footprint *f = &b->built.at[at - 1];
        if (v2_dist(f->at, b->now.at) < hypot(f->half_w, f->half_d) + hypot(b->now.half_w, b->now.half_d) && overlap(f, &b->now))
          return true;
      }
    }
  return false;
}

/* Does a street (its half width and a little verge) run through the footprint? */
static bool street_blocks(builder *b, vec2 a, vec2 c, double clear)
{
  vec2 p[4];
  corners(&b->now, p);
  for (int i = 0; i < 4; i++) {
    double t, u;
    if (town_piece_distance(p[i], a, c, NULL) < clear || town_piece_distance(v2_mix(p[i], p[(i + 1) & 3], 0.5), a, c, NULL) < clear ||
        town_pieces_cross(p[i], p[(i + 1) & 3], a, c, &t, &u))
      return true;
  }
  return false;
}

static bool visit_street(void *ctx, town_hit h)
{
  builder *b = ctx;
  const town_edge *e = &b->t->edge.at[h.line];
  b->blocked = street_blocks(b, b->t->node.at[e->a].at, b->t->node.at[e->b].at, half_width(b->t->line.at[e->line].road) + 0.3);
  return b->blocked;
}

static bool visit_motorway(void *ctx, town_hit h)
{
  builder *b = ctx;
  const town_line *l = &b->t->motorway.at[h.line];
  b->blocked = street_blocks(b, l->p.at[h.piece], l->p.at[h.piece + 1], l->flags & MC_GEO_RAMP ? 12 : 24);
  return b->blocked;
}

static bool visit_rail(void *ctx, town_hit h)
{
  builder *b = ctx;
  const town_line *l = &b->t->rail.at[h.line];
  b->blocked = street_blocks(b, l->p.at[h.piece], l->p.at[h.piece + 1], 8);
  return b->blocked;
}

static bool ground_is_fit(const builder *b)
{
  const town *t = b->t;
  vec2 p[4];
  corners(&b->now, p);
  for (int i = 0; i < 5; i++) {
    vec2 q = i < 4 ? p[i] : b->now.at;
    int x = (int)lrint(q.x / TOWN_CELL) + TOWN_MID_X, y = (int)lrint(q.y / TOWN_CELL) + TOWN_MID_Y;
    if (x < 0 || y < 0 || x >= TOWN_W || y >= TOWN_H || t->reserved[(size_t)y * TOWN_W + (size_t)x] || !town_is_land(t, q, 7))
      return false;
  }
  return true;
}

static bool fits(builder *b)
{
  if (!ground_is_fit(b) || hits_building(b))
    return false;
  double reach = hypot(b->now.half_w, b->now.half_d) + 14;
  vec2 low = v2(b->now.at.x - reach, b->now.at.y - reach), high = v2(b->now.at.x + reach, b->now.at.y + reach);
  return !town_grid_visit(&b->streets, low, high, visit_street, b) && !town_grid_visit(&b->t->rail_grid, low, high, visit_rail, b) &&
         !town_grid_visit(&b->t->motorway_grid, v2(low.x - 20, low.y - 20), v2(high.x + 20, high.y + 20), visit_motorway, b);
}

/* Rectangle, or with a wing behind, or with a notch: enough to look like a town. */
static void put_shape(builder *b, town_zone zone)
{
  town *t = b->t;
  vec2 w = v2_mul(b->now.along, b->now.half_w), d = v2_mul(v2_left(b->now.along), b->now.half_d);
  vec2 p[8];
  int n = 4;
  corners(&b->now, p);
  bool notch = zone != ZONE_CORE ? town_chance(&t->rng, 0.35) : town_chance(&t->rng, 0.2);
  if (notch) { /* an L: the rear corner is cut out */
    double u = town_uniform(&t->rng, 0.2, 0.9), v = town_uniform(&t->rng, -0.1, 0.5);
    double flip = town_chance(&t->rng, 0.5) ? 1 : -1;
    const double x[6] = {-1, 1, 1, u - 0.4, u - 0.4, -1}, y[6] = {-1, -1, v, v, 1, 1};
    n = 6;
    for (int i = 0; i < 6; i++)
      p[i] = v2_add(b->now.at, v2_add(v2_mul(w, x[i] * flip), v2_mul(d, y[i])));
  }
  mc_geo_e7 ring[8];
  for (int i = 0; i < n; i++)
    ring[i] = town_place(p[i]);
  mc_geo_source_shape(t->s, MC_GEO_LAYER_BUILDING, 0, 0);
  mc_geo_source_part(t->s, ring, (uint32_t)n);
}

static void build_here(builder *b, town_zone zone)
{
  town *t = b->t;
  uint64_t key = cell_key((int)floor(b->now.at.x / 40), (int)floor(b->now.at.y / 40)), head = 0;
  (void)mc_map_get(&b->cell, key, &head);
  town_note(t, mc_vec_push(&b->built, b->now));
  town_note(t, mc_vec_push(&b->next, (uint32_t)head));
  town_note(t, mc_map_put(&b->cell, key, b->built.len));
  put_shape(b, zone);
}

/* One side of one straight piece of street. */
static void line_side(builder *b, const town_edge *e, bool left)
{
  town *t = b->t;
  vec2 a = t->node.at[e->a].at, c = t->node.at[e->b].at;
  double length = v2_dist(a, c);
  vec2 along = v2_unit(v2_sub(c, a)), out = left ? v2_left(along) : v2_mul(v2_left(along), -1);
  uint8_t road = t->line.at[e->line].road;
  for (double at = 0; at < length && !t->err;) {
    town_zone zone = town_zone_at(t, v2_add(a, v2_mul(along, at)));
    const plot *p = &plots[zone];
    double front = town_uniform(&t->rng, p->front_min, p->front_max), depth = town_uniform(&t->rng, p->depth_min, p->depth_max);
    if (zone != ZONE_NONE && at + front > length) { /* what does not fit may still fit smaller */
      front = length - at;
      if (front < p->front_min * 0.75)
        break;
    }
    double back = half_width(road) + p->setback * town_uniform(&t->rng, 0.8, 1.25) + depth / 2;
    b->now = (footprint){v2_add(v2_add(a, v2_mul(along, at + front / 2)), v2_mul(out, back)), left ? along : v2_mul(along, -1), front / 2, depth / 2};
    if (town_chance(&t->rng, p->fill) && fits(b))
      build_here(b, zone);
    at += front + town_uniform(&t->rng, p->gap_min, p->gap_max);
  }
}

mc_err town_make_buildings(town *t)
{
  builder b = {.t = t};
  for (uint32_t i = 0; i < t->edge.len; i++)
    town_note(t, town_grid_add(&b.streets, t->node.at[t->edge.at[i].a].at, t->node.at[t->edge.at[i].b].at, i, 0));
  for (uint32_t i = 0; i < t->edge.len && !t->err; i++) {
    line_side(&b, &t->edge.at[i], true);
    line_side(&b, &t->edge.at[i], false);
  }
  town_grid_free(&b.streets);
  mc_vec_free(&b.built);
  mc_map_free(&b.cell);
  mc_vec_free(&b.next);
  return t->err;
}
