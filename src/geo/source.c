#include "geo/source.h"

#include <math.h>

static const char *const road_names[] = {"motorway", "trunk", "primary", "secondary", "tertiary", "minor", "service", "path", "rail"};
static const char *const land_names[MC_GEO_LANDS] = {
    [MC_GEO_RESIDENTIAL] = "residential", [MC_GEO_COMMERCIAL] = "commercial", [MC_GEO_INDUSTRIAL] = "industrial",
    [MC_GEO_FARM] = "farm",               [MC_GEO_GRASS] = "grass",           [MC_GEO_WOOD] = "wood",
    [MC_GEO_SAND] = "sand",               [MC_GEO_SCHOOL] = "school",         [MC_GEO_CEMETERY] = "cemetery",
    [MC_GEO_PARK] = "park",               [MC_GEO_SPORTS] = "sports",         [MC_GEO_SQUARE] = "square"};
static const char *const water_names[MC_GEO_WATERS] = {"sea", "lake", "river", "canal"};
static const char *const line_names[MC_GEO_LINES] = {"river", "stream", "canal"};
static const char *const place_names[MC_GEO_PLACES] = {"city", "town", "village", "suburb", "poi"};

const char *mc_geo_road_name(mc_geo_road road)
{
  return (unsigned)road < sizeof road_names / sizeof road_names[0] ? road_names[road] : "";
}

const char *mc_geo_class_name(mc_geo_layer layer, uint8_t kind)
{
  switch (layer) {
  case MC_GEO_LAYER_LAND: return kind < MC_GEO_LANDS ? land_names[kind] : "";
  case MC_GEO_LAYER_WATER: return kind < MC_GEO_WATERS ? water_names[kind] : "";
  case MC_GEO_LAYER_WATERWAY: return kind < MC_GEO_LINES ? line_names[kind] : "";
  case MC_GEO_LAYER_PLACE: return kind < MC_GEO_PLACES ? place_names[kind] : "";
  case MC_GEO_LAYER_ROAD: return mc_geo_road_name((mc_geo_road)kind);
  default: return "";
  }
}

float mc_geo_default_speed(mc_geo_road road, uint8_t flags)
{
  static const float open[] = {110, 90, 70, 60, 50, 30, 15, 0, 0};
  static const float ramp[] = {60, 50, 45, 40, 35, 30, 15, 0, 0};
  return flags & MC_GEO_RAMP ? ramp[road] : open[road];
}

mc_geo_e7 mc_geo_e7_of(mc_geo_point p)
{
  return (mc_geo_e7){(int32_t)lrint(p.lon * 1e7), (int32_t)lrint(p.lat * 1e7)};
}

#define EARTH_M 6371008.8
#define RAD (M_PI / 180.0)

double mc_geo_distance_m(mc_geo_point a, mc_geo_point b)
{
  double dy = sin((b.lat - a.lat) * RAD / 2), dx = sin((b.lon - a.lon) * RAD / 2);
  double h = dy * dy + cos(a.lat * RAD) * cos(b.lat * RAD) * dx * dx;
  return 2 * EARTH_M * asin(sqrt(h < 1 ? h : 1));
}

double mc_geo_bearing_deg(mc_geo_point from, mc_geo_point to)
{
  double dl = (to.lon - from.lon) * RAD, a = from.lat * RAD, b = to.lat * RAD;
  double deg = atan2(sin(dl) * cos(b), cos(a) * sin(b) - sin(a) * cos(b) * cos(dl)) / RAD;
  return deg < 0 ? deg + 360 : deg;
}

static void note(mc_geo_source *s, mc_err err)
{
  if (!s->err)
    s->err = err;
}

void mc_geo_source_init(mc_geo_source *s)
{
  *s = (mc_geo_source){.attribution = ""};
  note(s, mc_buf_append_u8(&s->text, 0));
}

void mc_geo_source_free(mc_geo_source *s)
{
  mc_vec_free(&s->node);
  mc_vec_free(&s->node_flags);
  mc_vec_free(&s->way);
  mc_vec_free(&s->ref_node);
  mc_vec_free(&s->shape);
  mc_vec_free(&s->part);
  mc_vec_free(&s->point);
  mc_buf_free(&s->text);
  mc_strmap_free(&s->text_index);
}

uint32_t mc_geo_source_text(mc_geo_source *s, mc_slice text)
{
  uint64_t at;
  if (text.len == 0 || memchr(text.data, 0, text.len) || s->text.len > UINT32_MAX - text.len)
    return 0;
  if (mc_strmap_get(&s->text_index, text, &at))
    return (uint32_t)at;
  at = s->text.len;
  note(s, mc_strmap_put(&s->text_index, text, at));
  note(s, mc_buf_append_slice(&s->text, text));
  note(s, mc_buf_append_u8(&s->text, 0));
  return s->err ? 0 : (uint32_t)at;
}

uint32_t mc_geo_source_node(mc_geo_source *s, mc_geo_e7 at, uint8_t flags)
{
  note(s, mc_vec_push(&s->node, at));
  note(s, mc_vec_push(&s->node_flags, flags));
  return (uint32_t)s->node.len - 1;
}

void mc_geo_source_way(mc_geo_source *s, mc_geo_way way, const uint32_t *ref, uint32_t count)
{
  way.first = (uint32_t)s->ref_node.len;
  way.count = count;
  for (uint32_t i = 0; i < count; i++)
    note(s, mc_vec_push(&s->ref_node, ref[i]));
  note(s, mc_vec_push(&s->way, way));
}

void mc_geo_source_shape(mc_geo_source *s, mc_geo_layer layer, uint8_t kind, uint32_t name)
{
  mc_geo_shape shape = {(uint8_t)layer, kind, name, (uint32_t)s->part.len, 0};
  note(s, mc_vec_push(&s->shape, shape));
}

void mc_geo_source_part(mc_geo_source *s, const mc_geo_e7 *point, uint32_t count)
{
  mc_geo_part part = {(uint32_t)s->point.len, count};
  for (uint32_t i = 0; i < count; i++)
    note(s, mc_vec_push(&s->point, point[i]));
  note(s, mc_vec_push(&s->part, part));
  if (!s->err)
    s->shape.at[s->shape.len - 1].part_count++;
}
