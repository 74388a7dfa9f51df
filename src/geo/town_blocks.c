/* Blocks: the faces of the street net. Some become parks, schools, squares, cemeteries; in the old town and by the railway all
 * get their use. */
#include <stdlib.h>

#include "geo/town.h"

typedef struct half_edge {
  uint32_t from, to, next; /* next: the half edge that follows with the face on its left */
  double angle;
  bool dead, seen;
} half_edge;

typedef struct blocks {
  town *t;
  half_edge *half;
  uint32_t count;
  uint32_t *first; /* per node: range in order */
  uint32_t *order; /* half edges by origin and angle */
  uint32_t *degree;
} blocks;

static const half_edge *sort_half;
static int compare_order(const void *x, const void *y)
{
  const half_edge *a = &sort_half[*(const uint32_t *)x], *b = &sort_half[*(const uint32_t *)y];
  if (a->from != b->from)
    return a->from < b->from ? -1 : 1;
  return a->angle < b->angle ? -1 : a->angle > b->angle;
}

/* Cul-de-sacs bound no block: they are taken off from their tips. */
static void prune(blocks *b)
{
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t h = 0; h < b->count; h += 2) {
      if (b->half[h].dead || (b->degree[b->half[h].from] > 1 && b->degree[b->half[h].to] > 1))
        continue;
      b->half[h].dead = b->half[h + 1].dead = true;
      b->degree[b->half[h].from]--;
      b->degree[b->half[h].to]--;
      changed = true;
    }
  }
}

static mc_err build(blocks *b)
{
  town *t = b->t;
  size_t n = t->node.len;
  b->count = (uint32_t)t->edge.len * 2;
  b->half = calloc((size_t)b->count + 1, sizeof *b->half);
  b->first = calloc(n + 2, sizeof *b->first);
  b->order = calloc((size_t)b->count + 1, sizeof *b->order);
  b->degree = calloc(n + 1, sizeof *b->degree);
  if (!b->half || !b->first || !b->order || !b->degree)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < t->edge.len; i++) {
    uint32_t v = t->edge.at[i].a, w = t->edge.at[i].b;
    vec2 d = v2_sub(t->node.at[w].at, t->node.at[v].at);
    b->half[2 * i] = (half_edge){.from = v, .to = w, .angle = atan2(d.y, d.x)};
    b->half[2 * i + 1] = (half_edge){.from = w, .to = v, .angle = atan2(-d.y, -d.x)};
    b->degree[v]++;
    b->degree[w]++;
  }
  prune(b);
  uint32_t live = 0;
  for (uint32_t h = 0; h < b->count; h++)
    if (!b->half[h].dead)
      b->order[live++] = h;
  sort_half = b->half;
  if (live)
    qsort(b->order, live, sizeof *b->order, compare_order);
  for (uint32_t i = 0; i < live; i++)
    b->first[b->half[b->order[i]].from + 1] = i + 1;
  for (size_t v = 0; v < n; v++)
    if (b->first[v + 1] < b->first[v])
      b->first[v + 1] = b->first[v];
  for (uint32_t i = 0; i < live; i++) { /* arriving by h, leave by the one before its twin in angle: the face stays on the left */
    uint32_t h = b->order[i], low = b->first[b->half[h].from], high = b->first[b->half[h].from + 1];
    uint32_t before = b->order[i == low ? high - 1 : i - 1];
    b->half[h ^ 1].next = before;
  }
  return MC_OK;
}

/* ---- what a block is for ---- */
static bool is_park(const town *t, vec2 at, double area)
{
  for (size_t i = 0; i < t->park.len; i++)
    if (v2_dist(t->park.at[i].at, at) < t->park.at[i].radius * 0.75 && area > 15000)
      return true;
  return false;
}

static int use_of(town *t, vec2 at, double area, bool *square_taken)
{
  town_zone zone = town_zone_at(t, at);
  if (is_park(t, at, area))
    return MC_GEO_PARK;
  if (zone == ZONE_CORE && area > 1800 && area < 9000 && v2_dist(at, t->centre) < 190 && !*square_taken) {
    *square_taken = true;
    return MC_GEO_SQUARE;
  }
  double dice = town_uniform(&t->rng, 0, 1);
  switch (zone) {
  case ZONE_CORE: return dice < 0.05 && area < 9000 ? MC_GEO_PARK : dice < 0.08 && area < 6000 ? MC_GEO_SQUARE : MC_GEO_COMMERCIAL;
  case ZONE_INNER: return dice < 0.035 ? MC_GEO_PARK : dice < 0.06 && area > 6000 ? MC_GEO_SCHOOL : dice < 0.085 ? MC_GEO_COMMERCIAL : -1;
  case ZONE_SUBURB:
    return dice < 0.04 ? MC_GEO_PARK : dice < 0.065 && area > 8000 ? MC_GEO_SCHOOL : dice < 0.085 && area > 9000 ? MC_GEO_CEMETERY
           : dice < 0.12 && area > 7000 ? MC_GEO_SPORTS : -1;
  case ZONE_INDUSTRY: return area < 250000 ? MC_GEO_INDUSTRIAL : -1;
  default: return -1;
  }
}

typedef struct face {
  vec2_vec p;
  double area;
  vec2 middle;
} face;

static mc_err walk(blocks *b, uint32_t start, face *f)
{
  uint32_t h = start;
  mc_vec_clear(&f->p);
  do {
    b->half[h].seen = true;
    MC_TRY(mc_vec_push(&f->p, b->t->node.at[b->half[h].from].at));
    h = b->half[h].next;
  } while (h != start && f->p.len <= b->count);
  f->area = 0;
  f->middle = v2(0, 0);
  vec2 zero = f->p.at[0];
  for (size_t i = 0; i < f->p.len; i++) {
    vec2 a = v2_sub(f->p.at[i], zero), c = v2_sub(f->p.at[(i + 1) % f->p.len], zero);
    double cross = v2_cross(a, c) / 2;
    f->area += cross;
    f->middle = v2_add(f->middle, v2_mul(v2_add(a, c), cross / 3));
  }
  if (fabs(f->area) > 1)
    f->middle = v2_add(zero, v2_mul(f->middle, 1 / f->area));
  return MC_OK;
}

static bool face_holds(const face *f, vec2 p)
{
  bool in = false;
  for (size_t i = 0, k = f->p.len - 1; i < f->p.len; k = i++) {
    vec2 a = f->p.at[i], b = f->p.at[k];
    if ((a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x)
      in = !in;
  }
  return in;
}

static void reserve(town *t, const face *f)
{
  vec2 low = f->p.at[0], high = low;
  for (size_t i = 0; i < f->p.len; i++) {
    low = v2(fmin(low.x, f->p.at[i].x), fmin(low.y, f->p.at[i].y));
    high = v2(fmax(high.x, f->p.at[i].x), fmax(high.y, f->p.at[i].y));
  }
  for (int y = (int)floor(low.y / TOWN_CELL) + TOWN_MID_Y; y <= (int)ceil(high.y / TOWN_CELL) + TOWN_MID_Y; y++)
    for (int x = (int)floor(low.x / TOWN_CELL) + TOWN_MID_X; x <= (int)ceil(high.x / TOWN_CELL) + TOWN_MID_X; x++)
      if (x >= 0 && y >= 0 && x < TOWN_W && y < TOWN_H && face_holds(f, town_cell(x, y)))
        t->reserved[(size_t)y * TOWN_W + (size_t)x] = 1;
}

static void put_face(town *t, const face *f, uint8_t kind, double inset)
{
  MC_VEC(mc_geo_e7) ring = {0};
  for (size_t i = 0; i < f->p.len; i++) {
    vec2 p = f->p.at[i];
    if (inset > 0)
      p = v2_add(p, v2_mul(v2_unit(v2_sub(f->middle, p)), inset));
    town_note(t, mc_vec_push(&ring, town_place(p)));
  }
  if (!t->err) {
    mc_geo_source_shape(t->s, MC_GEO_LAYER_LAND, kind, 0);
    mc_geo_source_part(t->s, ring.at, (uint32_t)ring.len);
  }
  mc_vec_free(&ring);
}

/* Footpaths across a park, from its rim over a bent middle to the other side. */
static void put_paths(town *t, const face *f)
{
  size_t n = f->p.len;
  size_t ways = f->area > 60000 ? 3 : f->area > 12000 ? 2 : 1;
  for (size_t k = 0; k < ways && n > 5; k++) {
    size_t i = (size_t)town_uniform(&t->rng, 0, (double)n), j = (i + n / 2) % n;
    vec2 via = v2_add(f->middle, v2(town_uniform(&t->rng, -25, 25), town_uniform(&t->rng, -25, 25)));
    vec2_vec line = {0};
    town_note(t, mc_vec_push(&line, f->p.at[i]));
    town_note(t, mc_vec_push(&line, via));
    town_note(t, mc_vec_push(&line, f->p.at[j]));
    town_smooth(&line, false, 3);
    MC_VEC(uint32_t) ref = {0};
    bool inside = true;
    for (size_t q = 1; q + 1 < line.len; q++)
      inside = inside && face_holds(f, line.at[q]) && town_is_land(t, line.at[q], 4);
    for (size_t q = 0; q < line.len && inside; q++)
      town_note(t, mc_vec_push(&ref, mc_geo_source_node(t->s, town_place(line.at[q]), 0)));
    if (!t->err && ref.len)
      mc_geo_source_way(t->s, (mc_geo_way){.road = MC_GEO_PATH}, ref.at, (uint32_t)ref.len);
    mc_vec_free(&ref);
    mc_vec_free(&line);
  }
}

static void settle(town *t, const face *f, bool *square_taken)
{
  int use = use_of(t, f->middle, f->area, square_taken);
  if (use < 0)
    return;
  put_face(t, f, (uint8_t)use, 0);
  if (use == MC_GEO_COMMERCIAL || use == MC_GEO_INDUSTRIAL)
    return;
  reserve(t, f);
  if (use == MC_GEO_PARK)
    put_paths(t, f);
}

mc_err town_make_blocks(town *t)
{
  blocks b = {.t = t};
  face f = {0};
  bool square_taken = false;
  mc_err err = build(&b);
  for (uint32_t h = 0; h < b.count && !err; h++) {
    if (b.half[h].dead || b.half[h].seen)
      continue;
    err = walk(&b, h, &f);
    if (!err && f.area > 500 && f.area < 600000)
      settle(t, &f, &square_taken);
  }
  mc_vec_free(&f.p);
  free(b.half);
  free(b.first);
  free(b.order);
  free(b.degree);
  town_note(t, err);
  return t->err;
}
