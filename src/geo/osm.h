/* Insides of the OSM reader, for osm.c, osm_tags.c and osm_area.c. */
#ifndef MC_GEO_OSM_H
#define MC_GEO_OSM_H

#include "format/osm_pbf.h"
#include "geo/source.h"

/* What the tags of a way, or of an area relation, mean to us. */
typedef struct osm_meaning {
  bool is_road;
  mc_geo_way road;  /* without name, ref and nodes */
  bool reversed;    /* oneway=-1 */
  bool is_area;
  bool is_line;     /* waterway or boundary */
  bool is_coast;
  uint8_t layer, kind;
} osm_meaning;
osm_meaning osm_read_way(const mc_osm_tag *tag, uint32_t count, bool closed);
/* Area part alone, for multipolygon relations. */
bool osm_read_area(const mc_osm_tag *tag, uint32_t count, bool closed_way, uint8_t *layer, uint8_t *kind);
/* Places and named points worth a label; false: none. */
bool osm_read_place(const mc_osm_tag *tag, uint32_t count, uint8_t *kind);
uint8_t osm_read_node_flags(const mc_osm_tag *tag, uint32_t count);

/* A way kept for ring assembly: its nodes as places with ids. */
typedef struct osm_kept_way {
  int64_t id;
  uint32_t first, count; /* into kept refs */
} osm_kept_way;

typedef struct osm_vertex {
  int64_t id;
  mc_geo_e7 at;
} osm_vertex;

typedef struct osm_relation {
  int64_t id;
  uint32_t name;
  uint8_t layer, kind;
  bool tagged;    /* has area tags of its own */
  bool boundary;  /* administrative boundary: its ways are drawn as lines */
  uint32_t first, count; /* into members */
} osm_relation;

typedef struct osm_member {
  int64_t way;
  bool inner;
} osm_member;

typedef MC_VEC(osm_vertex) osm_vertex_vec;

typedef struct osm_reader {
  mc_geo_source *s;
  /* all nodes, sorted by id after the node pass */
  MC_VEC(int64_t) id;
  MC_VEC(mc_geo_e7) at;
  MC_VEC(uint8_t) flags;
  bool unsorted;
  MC_VEC(uint32_t) road_node; /* node -> source node, MC_GEO_NONE until a road uses it */
  bool nodes_done;
  MC_VEC(osm_relation) relation;
  MC_VEC(osm_member) member;
  struct mc_map wanted; /* way id -> 1 + index in kept (0: not met yet) */
  MC_VEC(osm_kept_way) kept;
  osm_vertex_vec vertex;
  MC_VEC(uint32_t) coast; /* kept ways that are coastline */
  MC_VEC(uint32_t) ref;
  MC_VEC(mc_geo_e7) shape;
  mc_geo_bounds box;
  bool has_box;
  double best_place; /* rank of the place the map is named after */
} osm_reader;

/* Joins ways end to end into rings; each closed ring is given to emit (open form), each chain that stays open to open_end
 * (may be NULL). */
typedef struct osm_chain {
  const osm_vertex *v;
  uint32_t count;
} osm_chain;
mc_err osm_join(const osm_reader *r, const uint32_t *way, size_t count, mc_err (*emit)(void *ctx, const osm_vertex *v, size_t n, bool closed), void *ctx);

mc_err osm_assemble_areas(osm_reader *r);
mc_err osm_assemble_sea(osm_reader *r);

#endif
