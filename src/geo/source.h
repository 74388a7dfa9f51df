/* What a maker of maps (the OSM reader, the made town) hands to graph and map: roads over shared nodes, areas, lines
 * and places, in 1e-7 degree. Private to geo. One thread. */
#ifndef MC_GEO_SOURCE_H
#define MC_GEO_SOURCE_H

#include "base/map.h"
#include "geo/geo.h"

typedef struct mc_geo_e7 {
  int32_t lon, lat; /* 1e-7 degree */
} mc_geo_e7;

static inline mc_geo_point mc_geo_e7_point(mc_geo_e7 p) { return (mc_geo_point){p.lon * 1e-7, p.lat * 1e-7}; }
mc_geo_e7 mc_geo_e7_of(mc_geo_point p);

typedef enum mc_geo_layer {
  MC_GEO_LAYER_LAND, MC_GEO_LAYER_WATER, MC_GEO_LAYER_WATERWAY, MC_GEO_LAYER_BUILDING, MC_GEO_LAYER_ROAD, MC_GEO_LAYER_BOUNDARY,
  MC_GEO_LAYER_PLACE, MC_GEO_LAYERS
} mc_geo_layer;

typedef enum mc_geo_land {
  MC_GEO_RESIDENTIAL, MC_GEO_COMMERCIAL, MC_GEO_INDUSTRIAL, MC_GEO_FARM, MC_GEO_GRASS, MC_GEO_WOOD, MC_GEO_SAND, MC_GEO_SCHOOL,
  MC_GEO_CEMETERY, MC_GEO_PARK, MC_GEO_SPORTS, MC_GEO_SQUARE, MC_GEO_LANDS
} mc_geo_land; /* also the order of painting */
typedef enum mc_geo_water { MC_GEO_SEA, MC_GEO_LAKE, MC_GEO_RIVER, MC_GEO_CANAL, MC_GEO_WATERS } mc_geo_water;
typedef enum mc_geo_waterway { MC_GEO_LINE_RIVER, MC_GEO_LINE_STREAM, MC_GEO_LINE_CANAL, MC_GEO_LINES } mc_geo_waterway;
typedef enum mc_geo_place { MC_GEO_CITY, MC_GEO_TOWN, MC_GEO_VILLAGE, MC_GEO_SUBURB, MC_GEO_POI, MC_GEO_PLACES } mc_geo_place;
const char *mc_geo_class_name(mc_geo_layer layer, uint8_t kind); /* "" for layers without classes */

typedef struct mc_geo_way {
  uint8_t road;  /* mc_geo_road */
  uint8_t flags; /* MC_GEO_ONEWAY ... */
  uint8_t drivable;
  float speed_kmh; /* 0: default of its class */
  uint32_t name, ref; /* offsets into text */
  uint32_t first, count; /* into ref_node */
} mc_geo_way;

typedef struct mc_geo_part {
  uint32_t first, count; /* into point; a ring is open (its first point is not repeated) */
} mc_geo_part;

/* Polygon (first part the outer ring, the others holes), line or point, by its layer. */
typedef struct mc_geo_shape {
  uint8_t layer; /* mc_geo_layer, never ROAD */
  uint8_t kind;  /* class within the layer */
  uint32_t name;
  uint32_t first_part, part_count;
} mc_geo_shape;

typedef struct mc_geo_source {
  MC_VEC(mc_geo_e7) node;
  MC_VEC(uint8_t) node_flags; /* parallel to node */
  MC_VEC(mc_geo_way) way;
  MC_VEC(uint32_t) ref_node;
  MC_VEC(mc_geo_shape) shape;
  MC_VEC(mc_geo_part) part;
  MC_VEC(mc_geo_e7) point;
  mc_buf text; /* NUL-terminated strings; offset 0 is "" */
  mc_strmap text_index;
  const char *attribution; /* static */
  mc_geo_bounds bounds;    /* what a viewer wants to see first */
  uint32_t name;
  mc_err err; /* first failure of any add; the makers check it at the end */
} mc_geo_source;

void mc_geo_source_init(mc_geo_source *s);
void mc_geo_source_free(mc_geo_source *s);
uint32_t mc_geo_source_text(mc_geo_source *s, mc_slice text); /* offset; equal texts share one */
uint32_t mc_geo_source_node(mc_geo_source *s, mc_geo_e7 at, uint8_t flags);
/* Copies refs. */
void mc_geo_source_way(mc_geo_source *s, mc_geo_way way, const uint32_t *ref, uint32_t count);
/* Begins a shape; parts follow. */
void mc_geo_source_shape(mc_geo_source *s, mc_geo_layer layer, uint8_t kind, uint32_t name);
void mc_geo_source_part(mc_geo_source *s, const mc_geo_e7 *point, uint32_t count);

/* Default speed of a class in km/h (contract 3.2, "Profiles"). */
float mc_geo_default_speed(mc_geo_road road, uint8_t flags);

/* Both copy what they need. */
mc_err mc_geo_graph_build(const mc_geo_source *s, mc_geo_graph **out, mc_why *why);
mc_err mc_geo_map_build(const mc_geo_source *s, mc_geo_map **out, mc_why *why);

/* Fills an initialised source. */
mc_err mc_geo_source_read_osm(mc_geo_source *s, mc_slice pbf, mc_why *why);
mc_err mc_geo_source_make_town(mc_geo_source *s, uint64_t seed);

#endif
