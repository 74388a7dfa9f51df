/* The map to draw: features in world units, an index over zoom-13 tiles, and the cache of made tiles. */
#include <math.h>
#include <stdlib.h>
#include <zlib.h>

#include "geo/map.h"

#define WIDE_CELLS 256 /* a feature over more cells than this stands in the wide list */

geo_xy geo_project(mc_geo_e7 p)
{
  const double side = (double)(1 << GEO_WORLD_BITS);
  double lat = p.lat * 1e-7;
  lat = lat > 85.0511 ? 85.0511 : lat < -85.0511 ? -85.0511 : lat;
  double s = sin(lat * M_PI / 180);
  double x = (p.lon * 1e-7 / 360 + 0.5) * side, y = (0.5 - log((1 + s) / (1 - s)) / (4 * M_PI)) * side;
  return (geo_xy){(int32_t)lrint(x), (int32_t)lrint(y)};
}

/* From which zoom on a feature is drawn. */
static uint8_t min_zoom(uint8_t layer, uint8_t kind, uint8_t flags)
{
  static const uint8_t road[] = {8, 8, 9, 10, 11, 12, 14, 14, 10};
  static const uint8_t place[] = {8, 8, 9, 11, 14};
  static const uint8_t line[] = {8, 12, 11};
  switch (layer) {
  case MC_GEO_LAYER_ROAD: return flags & MC_GEO_RAMP && road[kind] < 11 ? 11 : road[kind];
  case MC_GEO_LAYER_PLACE: return place[kind];
  case MC_GEO_LAYER_WATERWAY: return line[kind];
  case MC_GEO_LAYER_BUILDING: return 13;
  default: return 8; /* areas are dropped by size */
  }
}

static void box_of(mc_geo_map *m, geo_feature *f)
{
  f->x0 = f->y0 = INT32_MAX;
  f->x1 = f->y1 = INT32_MIN;
  for (uint32_t k = 0; k < f->part_count; k++) {
    const geo_part *part = &m->part[f->first_part + k];
    for (uint32_t i = 0; i < part->count; i++) {
      geo_xy p = m->point[part->first + i];
      f->x0 = p.x < f->x0 ? p.x : f->x0;
      f->x1 = p.x > f->x1 ? p.x : f->x1;
      f->y0 = p.y < f->y0 ? p.y : f->y0;
      f->y1 = p.y > f->y1 ? p.y : f->y1;
    }
  }
}

/* Painting order: layer, then kind (roads from small to great), then great areas under small ones. */
static int compare_features(const void *left, const void *right)
{
  const geo_feature *a = left, *b = right;
  if (a->layer != b->layer)
    return a->layer < b->layer ? -1 : 1;
  if (a->kind != b->kind) {
    bool up = a->layer != MC_GEO_LAYER_ROAD;
    return (a->kind < b->kind) == up ? -1 : 1;
  }
  return a->first_part < b->first_part ? -1 : a->first_part > b->first_part;
}

static mc_err copy_features(mc_geo_map *m, const mc_geo_source *s)
{
  size_t points = s->point.len + s->ref_node.len, parts = s->part.len + s->way.len;
  m->feature = calloc(s->shape.len + s->way.len + 1, sizeof *m->feature);
  m->part = calloc(parts + 1, sizeof *m->part);
  m->point = calloc(points + 1, sizeof *m->point);
  m->text = malloc(s->text.len);
  if (!m->feature || !m->part || !m->point || !m->text)
    return MC_ERR_MEMORY;
  memcpy(m->text, s->text.data, s->text.len);
  for (size_t i = 0; i < s->point.len; i++)
    m->point[i] = geo_project(s->point.at[i]);
  for (size_t i = 0; i < s->ref_node.len; i++)
    m->point[s->point.len + i] = geo_project(s->node.at[s->ref_node.at[i]]);
  for (size_t i = 0; i < s->part.len; i++)
    m->part[i] = (geo_part){s->part.at[i].first, s->part.at[i].count};
  for (size_t i = 0; i < s->shape.len; i++) {
    const mc_geo_shape *shape = &s->shape.at[i];
    geo_feature f = {.layer = shape->layer, .kind = shape->kind, .name = shape->name, .first_part = shape->first_part, .part_count = shape->part_count};
    if (f.part_count)
      m->feature[m->features++] = f;
  }
  for (size_t i = 0; i < s->way.len; i++) {
    const mc_geo_way *way = &s->way.at[i];
    geo_feature f = {.layer = MC_GEO_LAYER_ROAD, .kind = way->road, .flags = way->flags, .name = way->name, .ref = way->ref,
                     .first_part = (uint32_t)(s->part.len + i), .part_count = 1};
    m->part[f.first_part] = (geo_part){(uint32_t)s->point.len + way->first, way->count};
    if (way->count >= 2)
      m->feature[m->features++] = f;
  }
  for (size_t i = 0; i < m->features; i++) {
    m->feature[i].min_zoom = min_zoom(m->feature[i].layer, m->feature[i].kind, m->feature[i].flags);
    box_of(m, &m->feature[i]);
  }
  qsort(m->feature, m->features, sizeof *m->feature, compare_features);
  return MC_OK;
}

static geo_box cells_of(const geo_feature *f)
{
  const int shift = GEO_WORLD_BITS - GEO_CELL_ZOOM;
  return (geo_box){f->x0 >> shift, f->y0 >> shift, f->x1 >> shift, f->y1 >> shift};
}

static bool is_wide(geo_box c)
{
  return (int64_t)(c.x1 - c.x0 + 1) * (c.y1 - c.y0 + 1) > WIDE_CELLS;
}

/* The box of all cells of features that are not wide; gives up (everything wide) beyond 16 M cells. */
static mc_err size_index(mc_geo_map *m)
{
  geo_box all = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};
  for (size_t i = 0; i < m->features; i++) {
    geo_box c = cells_of(&m->feature[i]);
    if (is_wide(c)) {
      MC_TRY(mc_vec_push(&m->wide, (uint32_t)i));
      continue;
    }
    all.x0 = c.x0 < all.x0 ? c.x0 : all.x0;
    all.y0 = c.y0 < all.y0 ? c.y0 : all.y0;
    all.x1 = c.x1 > all.x1 ? c.x1 : all.x1;
    all.y1 = c.y1 > all.y1 ? c.y1 : all.y1;
  }
  if (all.x1 < all.x0)
    return MC_OK;
  m->cell_x0 = all.x0;
  m->cell_y0 = all.y0;
  m->cells_w = all.x1 - all.x0 + 1;
  m->cells_h = all.y1 - all.y0 + 1; /* at most 8192 x 8192: 2^26 cells */
  return MC_OK;
}

static void spread(mc_geo_map *m, uint32_t *fill, uint32_t *list)
{
  for (size_t i = 0; i < m->features; i++) {
    geo_box c = cells_of(&m->feature[i]);
    if (is_wide(c))
      continue;
    for (int32_t y = c.y0; y <= c.y1; y++)
      for (int32_t x = c.x0; x <= c.x1; x++) {
        uint32_t at = fill[(size_t)(y - m->cell_y0) * (size_t)m->cells_w + (size_t)(x - m->cell_x0)]++;
        if (list)
          list[at] = (uint32_t)i;
      }
  }
}

static mc_err index_features(mc_geo_map *m)
{
  MC_TRY(size_index(m));
  size_t cells = (size_t)m->cells_w * (size_t)m->cells_h;
  m->cell_first = calloc(cells + 1, sizeof *m->cell_first);
  uint32_t *fill = calloc(cells + 1, sizeof *fill);
  if (m->cell_first && fill) {
    spread(m, fill, NULL);
    for (size_t i = 0; i < cells; i++)
      m->cell_first[i + 1] = m->cell_first[i] + fill[i];
    memcpy(fill, m->cell_first, cells * sizeof *fill);
    m->cell_feature = malloc(((size_t)m->cell_first[cells] + 1) * sizeof *m->cell_feature);
    if (m->cell_feature)
      spread(m, fill, m->cell_feature);
  }
  free(fill);
  return m->cell_feature ? MC_OK : MC_ERR_MEMORY;
}

mc_err mc_geo_map_build(const mc_geo_source *s, mc_geo_map **out, mc_why *why)
{
  *out = NULL;
  mc_geo_map *m = calloc(1, sizeof *m);
  if (!m)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the map");
  pthread_mutex_init(&m->lock, NULL);
  mc_err err = copy_features(m, s);
  if (!err)
    err = index_features(m);
  if (err) {
    mc_geo_map_destroy(&m);
    return mc_err_set(why, err, "no memory for the map");
  }
  m->bounds = s->bounds;
  m->attribution = s->attribution;
  m->name = m->text + s->name;
  *out = m;
  return MC_OK;
}

void mc_geo_map_destroy(mc_geo_map **map)
{
  mc_geo_map *m = *map;
  *map = NULL;
  if (!m)
    return;
  for (size_t i = 0; i < m->cache.len; i++) {
    mc_buf_free(&m->cache.at[i].plain);
    mc_buf_free(&m->cache.at[i].gzip);
  }
  mc_vec_free(&m->cache);
  mc_map_free(&m->cache_index);
  pthread_mutex_destroy(&m->lock);
  free(m->feature);
  free(m->part);
  free(m->point);
  free(m->text);
  free(m->cell_first);
  free(m->cell_feature);
  mc_vec_free(&m->wide);
  free(m);
}

mc_geo_bounds mc_geo_map_bounds(const mc_geo_map *m) { return m->bounds; }
const char *mc_geo_map_attribution(const mc_geo_map *m) { return m->attribution; }
const char *mc_geo_map_name(const mc_geo_map *m) { return m->name; }
size_t mc_geo_map_feature_count(const mc_geo_map *m) { return m->features; }

/* ---- tiles, made once ---- */
static mc_err gzip_into(mc_slice in, mc_buf *out)
{
  z_stream z = {0};
  if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return MC_ERR_MEMORY;
  mc_err err = in.len > UINT32_MAX ? MC_ERR_TOO_LARGE : mc_buf_reserve(out, deflateBound(&z, in.len));
  if (!err) {
    z.next_in = (Bytef *)(uintptr_t)in.data;
    z.avail_in = (uInt)in.len;
    z.next_out = out->data;
    z.avail_out = (uInt)out->cap;
    err = deflate(&z, Z_FINISH) == Z_STREAM_END ? MC_OK : MC_ERR_MEMORY;
    out->len = z.total_out;
  }
  deflateEnd(&z);
  return err;
}

static void evict_one(mc_geo_map *m)
{
  size_t at = m->cache_hand % m->cache.len;
  geo_cached *old = &m->cache.at[at];
  m->cache_bytes -= old->plain.len + old->gzip.len + 128;
  mc_buf_free(&old->plain);
  mc_buf_free(&old->gzip);
  mc_map_remove(&m->cache_index, old->key, NULL);
  mc_vec_swap_remove(&m->cache, at);
  if (at < m->cache.len)
    (void)mc_map_put(&m->cache_index, m->cache.at[at].key, at); /* replaces: no memory needed */
  m->cache_hand++;
}

/* Takes over both buffers. A tile another thread put in meanwhile stays. */
static void remember(mc_geo_map *m, geo_cached *tile)
{
  pthread_mutex_lock(&m->lock);
  bool kept = false;
  if (!mc_map_get(&m->cache_index, tile->key, NULL) && mc_vec_push(&m->cache, *tile) == MC_OK) {
    kept = mc_map_put(&m->cache_index, tile->key, m->cache.len - 1) == MC_OK;
    if (!kept)
      m->cache.len--;
    else
      m->cache_bytes += tile->plain.len + tile->gzip.len + 128;
  }
  while (m->cache_bytes > GEO_CACHE_BYTES && m->cache.len > 1)
    evict_one(m);
  pthread_mutex_unlock(&m->lock);
  if (!kept) {
    mc_buf_free(&tile->plain);
    mc_buf_free(&tile->gzip);
  }
}

static bool recall(mc_geo_map *m, uint64_t key, bool gzip, mc_buf *out, mc_err *err)
{
  uint64_t at;
  pthread_mutex_lock(&m->lock);
  bool hit = mc_map_get(&m->cache_index, key, &at);
  if (hit)
    *err = mc_buf_append_slice(out, mc_buf_slice(gzip ? &m->cache.at[at].gzip : &m->cache.at[at].plain));
  pthread_mutex_unlock(&m->lock);
  return hit;
}

mc_err mc_geo_map_tile(mc_geo_map *m, uint32_t z, uint32_t x, uint32_t y, bool gzip, mc_buf *out, mc_why *why)
{
  if (z < MC_GEO_TILE_MIN_ZOOM || z > MC_GEO_TILE_MAX_ZOOM)
    return mc_err_set(why, MC_ERR_INVALID, "tile zoom %u: there are tiles of zoom %d to %d", z, MC_GEO_TILE_MIN_ZOOM, MC_GEO_TILE_MAX_ZOOM);
  if (x >> z || y >> z)
    return mc_err_set(why, MC_ERR_INVALID, "tile %u/%u/%u: x and y must be below %u at this zoom", z, x, y, 1u << z);
  uint64_t key = (uint64_t)z << 48 | (uint64_t)x << 24 | y;
  mc_err err = MC_OK;
  if (recall(m, key, gzip, out, &err))
    return err;
  geo_cached tile = {.key = key};
  err = geo_tile_make(m, z, x, y, &tile.plain);
  if (!err && tile.plain.len)
    err = gzip_into(mc_buf_slice(&tile.plain), &tile.gzip);
  if (!err)
    err = mc_buf_append_slice(out, mc_buf_slice(gzip ? &tile.gzip : &tile.plain));
  if (err) {
    mc_buf_free(&tile.plain);
    mc_buf_free(&tile.gzip);
    return mc_err_set(why, err, "tile %u/%u/%u: %s", z, x, y, mc_err_text(err));
  }
  remember(m, &tile);
  return MC_OK;
}
