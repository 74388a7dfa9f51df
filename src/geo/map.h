/* Insides of the map, for map.c, clip.c and tile.c. Coordinates are world units: web Mercator, 2^30 a side, x east,
 * y south, so that at zoom z a tile unit (extent 4096) is exactly 2^(18 - z) of them. */
#ifndef MC_GEO_MAP_H
#define MC_GEO_MAP_H

#include <pthread.h>

#include "format/mvt.h"
#include "geo/source.h"

#define GEO_WORLD_BITS 30
#define GEO_UNIT_BITS 18 /* world bits - 12 bits of extent */

typedef mc_mvt_point geo_xy;

typedef struct geo_part {
  uint32_t first, count;
} geo_part;

typedef struct geo_feature {
  int32_t x0, y0, x1, y1; /* bounding box */
  uint32_t name, ref;
  uint32_t first_part, part_count;
  uint8_t layer, kind, flags, min_zoom;
} geo_feature;

typedef struct geo_cached {
  uint64_t key; /* z, x, y */
  mc_buf plain, gzip;
} geo_cached;

#define GEO_CELL_ZOOM 13 /* features are listed by the zoom-13 tile they touch */
#define GEO_CACHE_BYTES (64u << 20)

struct mc_geo_map {
  geo_feature *feature; /* in order of painting within a layer */
  size_t features;
  geo_part *part;
  geo_xy *point;
  char *text;
  /* cells of zoom GEO_CELL_ZOOM over the box cell_x0 .. +cells_w; wide features stand in `wide` instead */
  int32_t cell_x0, cell_y0, cells_w, cells_h;
  uint32_t *cell_first, *cell_feature;
  MC_VEC(uint32_t) wide;
  mc_geo_bounds bounds;
  const char *attribution;
  const char *name;
  pthread_mutex_t lock; /* cache only */
  MC_VEC(geo_cached) cache;
  struct mc_map cache_index;
  size_t cache_bytes, cache_hand;
};

geo_xy geo_project(mc_geo_e7 p);

typedef MC_VEC(geo_xy) geo_xy_vec;
typedef struct geo_box {
  int32_t x0, y0, x1, y1;
} geo_box;

/* Parts of a ring inside the box (Sutherland-Hodgman); out is cleared. tmp is scratch. */
mc_err geo_clip_ring(const geo_xy *p, size_t n, geo_box box, geo_xy_vec *out, geo_xy_vec *tmp);
/* Pieces of a line inside the box, each given to emit. */
mc_err geo_clip_line(const geo_xy *p, size_t n, geo_box box, geo_xy_vec *tmp, void (*emit)(void *ctx, const geo_xy *p, size_t n), void *ctx);
/* Drops points nearer than tolerance to the line that stays (Douglas-Peucker), keeping both ends. In place; returns how many stay. */
size_t geo_simplify(geo_xy *p, size_t n, double tolerance, geo_xy_vec *stack);
double geo_ring_area2(const geo_xy *p, size_t n); /* twice the area, positive clockwise on screen */

mc_err geo_tile_make(const mc_geo_map *m, uint32_t z, uint32_t x, uint32_t y, mc_buf *out);

#endif
