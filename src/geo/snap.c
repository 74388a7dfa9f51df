/* Nearest road by a uniform grid over the pieces of all links. */
#include <math.h>
#include <stdlib.h>

#include "geo/graph.h"

#define M_PER_DEG 111195.08 /* of latitude, on the sphere of mc_geo_distance_m */
#define CELL_M 300.0
#define CELLS_MAX (1u << 22)

typedef struct span {
  uint32_t x0, y0, x1, y1; /* inclusive cells */
} span;

static uint32_t clamp_cell(double v, uint32_t n)
{
  return v < 0 ? 0 : v >= n ? n - 1 : (uint32_t)v;
}

static span cells_of(const mc_geo_graph *g, mc_geo_e7 a, mc_geo_e7 b)
{
  mc_geo_point p = mc_geo_e7_point(a), q = mc_geo_e7_point(b);
  return (span){clamp_cell((fmin(p.lon, q.lon) - g->bounds.west) / g->cell_lon, g->grid_w),
                clamp_cell((fmin(p.lat, q.lat) - g->bounds.south) / g->cell_lat, g->grid_h),
                clamp_cell((fmax(p.lon, q.lon) - g->bounds.west) / g->cell_lon, g->grid_w),
                clamp_cell((fmax(p.lat, q.lat) - g->bounds.south) / g->cell_lat, g->grid_h)};
}

static void size_grid(mc_geo_graph *g)
{
  double lat = (g->bounds.south + g->bounds.north) / 2;
  double width = g->bounds.east - g->bounds.west, height = g->bounds.north - g->bounds.south;
  double cell = CELL_M;
  for (;; cell *= 2) {
    g->cell_lat = cell / M_PER_DEG;
    g->cell_lon = g->cell_lat / fmax(0.01, cos(lat * M_PI / 180));
    double w = floor(width / g->cell_lon) + 1, h = floor(height / g->cell_lat) + 1;
    if (w * h <= CELLS_MAX) {
      g->grid_w = (uint32_t)w;
      g->grid_h = (uint32_t)h;
      return;
    }
  }
}

/* Walks every (cell, segment); with segments NULL it only counts. */
static void spread(mc_geo_graph *g, uint32_t *fill, geo_segment *segments)
{
  for (uint32_t l = 0; l < g->links; l++) {
    const geo_link *link = &g->link[l];
    for (uint32_t i = 0; i + 1 < link->count; i++) {
      span s = cells_of(g, g->point[link->first + i], g->point[link->first + i + 1]);
      for (uint32_t y = s.y0; y <= s.y1; y++)
        for (uint32_t x = s.x0; x <= s.x1; x++) {
          uint32_t at = fill[(size_t)y * g->grid_w + x]++;
          if (segments)
            segments[at] = (geo_segment){l, i};
        }
    }
  }
}

mc_err geo_graph_index(mc_geo_graph *g)
{
  size_grid(g);
  size_t cells = (size_t)g->grid_w * g->grid_h;
  g->cell_first = calloc(cells + 1, sizeof *g->cell_first);
  uint32_t *fill = calloc(cells + 1, sizeof *fill);
  if (!g->cell_first || !fill) {
    free(fill);
    return MC_ERR_MEMORY;
  }
  spread(g, fill, NULL);
  for (size_t i = 0; i < cells; i++)
    g->cell_first[i + 1] = g->cell_first[i] + fill[i];
  memcpy(fill, g->cell_first, cells * sizeof *fill);
  g->cell_segment = malloc(((size_t)g->cell_first[cells] + 1) * sizeof *g->cell_segment);
  if (g->cell_segment)
    spread(g, fill, g->cell_segment);
  free(fill);
  return g->cell_segment ? MC_OK : MC_ERR_MEMORY;
}

typedef struct seeker {
  const mc_geo_graph *g;
  mc_geo_point at;
  double x_scale; /* metres per degree of longitude here */
  bool core_only;
  double best_m;
  geo_segment best;
  double best_t;
} seeker;

static void try_segment(seeker *s, geo_segment seg)
{
  const geo_link *l = &s->g->link[seg.link];
  if (s->core_only && !(s->g->core[l->from] && s->g->core[l->to]))
    return;
  mc_geo_point a = mc_geo_e7_point(s->g->point[l->first + seg.piece]), b = mc_geo_e7_point(s->g->point[l->first + seg.piece + 1]);
  double ax = (a.lon - s->at.lon) * s->x_scale, ay = (a.lat - s->at.lat) * M_PER_DEG;
  double bx = (b.lon - s->at.lon) * s->x_scale, by = (b.lat - s->at.lat) * M_PER_DEG;
  double dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy;
  double t = square > 0 ? -(ax * dx + ay * dy) / square : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  double m = hypot(ax + t * dx, ay + t * dy);
  if (m < s->best_m) {
    s->best_m = m;
    s->best = seg;
    s->best_t = t;
  }
}

static void try_cell(seeker *s, int64_t x, int64_t y)
{
  const mc_geo_graph *g = s->g;
  if (x < 0 || y < 0 || x >= g->grid_w || y >= g->grid_h)
    return;
  size_t cell = (size_t)y * g->grid_w + (size_t)x;
  for (uint32_t i = g->cell_first[cell]; i < g->cell_first[cell + 1]; i++)
    try_segment(s, g->cell_segment[i]);
}

static void try_ring(seeker *s, int64_t cx, int64_t cy, int64_t r)
{
  for (int64_t x = cx - r; x <= cx + r; x++) {
    try_cell(s, x, cy - r);
    if (r)
      try_cell(s, x, cy + r);
  }
  for (int64_t y = cy - r + 1; y < cy + r; y++) {
    try_cell(s, cx - r, y);
    try_cell(s, cx + r, y);
  }
}

/* Metres of the link before piece + t. */
static double along(const mc_geo_graph *g, geo_segment seg, double t)
{
  const geo_link *l = &g->link[seg.link];
  double sum = 0;
  for (uint32_t i = 0; i <= seg.piece; i++) {
    double m = mc_geo_distance_m(mc_geo_e7_point(g->point[l->first + i]), mc_geo_e7_point(g->point[l->first + i + 1]));
    sum += i == seg.piece ? m * t : m;
  }
  return sum;
}

mc_err mc_geo_graph_snap(const mc_geo_graph *g, mc_geo_point at, double max_m, bool core_only, mc_geo_snap *out)
{
  if (!(at.lon >= -180 && at.lon <= 180 && at.lat >= -90 && at.lat <= 90) || !(max_m >= 0))
    return MC_ERR_INVALID;
  seeker s = {.g = g, .at = at, .x_scale = M_PER_DEG * fmax(0.01, cos(at.lat * M_PI / 180)), .core_only = core_only, .best_m = INFINITY};
  double fx = floor((at.lon - g->bounds.west) / g->cell_lon), fy = floor((at.lat - g->bounds.south) / g->cell_lat);
  int64_t cx = (int64_t)fx, cy = (int64_t)fy;
  int64_t first = 0; /* rings that miss the grid altogether are not walked */
  if (cx < 0 || cy < 0 || cx >= g->grid_w || cy >= g->grid_h) {
    int64_t ox = cx < 0 ? -cx : cx >= g->grid_w ? cx - g->grid_w + 1 : 0, oy = cy < 0 ? -cy : cy >= g->grid_h ? cy - g->grid_h + 1 : 0;
    first = ox > oy ? ox : oy;
  }
  double cell_m = fmin(g->cell_lat * M_PER_DEG, g->cell_lon * s.x_scale);
  int64_t last = first + (g->grid_w > g->grid_h ? g->grid_w : g->grid_h);
  for (int64_t r = first; r <= last; r++) {
    double nearest = (double)(r - 1) * cell_m; /* nothing in ring r is nearer */
    if (nearest > max_m || nearest > s.best_m)
      break;
    try_ring(&s, cx, cy, r);
  }
  if (!(s.best_m <= max_m))
    return MC_ERR_NOT_FOUND;
  const geo_link *l = &g->link[s.best.link];
  mc_geo_point a = mc_geo_e7_point(g->point[l->first + s.best.piece]), b = mc_geo_e7_point(g->point[l->first + s.best.piece + 1]);
  out->edge = s.best.link * 2;
  out->fraction = fmin(1, along(g, s.best, s.best_t) / l->length_m);
  out->distance_m = s.best_m;
  out->point = (mc_geo_point){a.lon + (b.lon - a.lon) * s.best_t, a.lat + (b.lat - a.lat) * s.best_t};
  return MC_OK;
}
