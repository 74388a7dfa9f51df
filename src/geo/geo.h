/* geo: roads, places and tiles. One source (an OSM PBF extract, or the town we make ourselves) gives
 * two immutable objects: a road graph to drive and route on, and a map to draw.
 *
 * Coordinates: WGS 84 degrees, longitude before latitude. Lengths in metres, speeds in km/h.
 * Threads: graph and map are immutable once made; any thread may read them. A router holds the scratch
 * memory of one search and belongs to one thread at a time. Source: contract location-portal 2.1, 3.2, 3.7. */
#ifndef MC_GEO_H
#define MC_GEO_H

#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"

typedef struct mc_geo_point {
  double lon, lat;
} mc_geo_point;

typedef struct mc_geo_bounds {
  double west, south, east, north;
} mc_geo_bounds;

typedef struct mc_geo_graph mc_geo_graph;
typedef struct mc_geo_map mc_geo_map;

/* ---- making them ---- */
/* From an OSM PBF extract in memory (borrowed for the call). Either result pointer may be NULL when that half is not
 * wanted. Errors say which blob or block is broken. MC_ERR_INVALID: no drivable road in it. */
mc_err mc_geo_load_osm(mc_slice pbf, mc_geo_map **map, mc_geo_graph **graph, mc_why *why);
/* The made town: an island with a port, its streets, buildings and villages; the same seed gives the same town, byte for
 * byte. Takes about a second. Fails only without memory. */
mc_err mc_geo_make_town(uint64_t seed, mc_geo_map **map, mc_geo_graph **graph, mc_why *why);

/* ---- geometry ---- */
double mc_geo_distance_m(mc_geo_point a, mc_geo_point b); /* along the sphere, mean radius 6,371,008.8 m */
double mc_geo_bearing_deg(mc_geo_point from, mc_geo_point to); /* 0 north, clockwise, [0, 360) */

/* ---- road graph ----
 * A link is a piece of road between two junctions. Edge 2*link runs as the link was drawn, edge 2*link + 1 against
 * it; on a one-way link the second is not open. */
typedef enum mc_geo_road {
  MC_GEO_MOTORWAY, MC_GEO_TRUNK, MC_GEO_PRIMARY, MC_GEO_SECONDARY, MC_GEO_TERTIARY, MC_GEO_MINOR, MC_GEO_SERVICE,
  MC_GEO_PATH, MC_GEO_RAIL /* the last two are drawn, never driven on */
} mc_geo_road;
const char *mc_geo_road_name(mc_geo_road road); /* "motorway", ... as in the tiles */

enum { /* flags of a link */
  MC_GEO_ONEWAY = 1, MC_GEO_BRIDGE = 2, MC_GEO_TUNNEL = 4, MC_GEO_RAMP = 8 /* slip road */, MC_GEO_ROUNDABOUT = 16
};
enum { /* flags of a node */
  MC_GEO_SIGNALS = 1, MC_GEO_STOP = 2
};
#define MC_GEO_NONE UINT32_MAX

typedef struct mc_geo_edge {
  uint32_t from, to; /* nodes */
  mc_geo_road road;
  uint8_t flags;
  float length_m;
  float speed_kmh;   /* posted, else the default of its class */
  const char *name;  /* "" when it has none */
  const char *ref;   /* road number, or "" */
} mc_geo_edge;

uint32_t mc_geo_graph_node_count(const mc_geo_graph *g);
uint32_t mc_geo_graph_link_count(const mc_geo_graph *g);
mc_geo_point mc_geo_graph_node(const mc_geo_graph *g, uint32_t node);
uint8_t mc_geo_graph_node_flags(const mc_geo_graph *g, uint32_t node);
/* False for an edge that is not open (against a one-way). */
bool mc_geo_graph_edge_open(const mc_geo_graph *g, uint32_t edge);
mc_geo_edge mc_geo_graph_edge(const mc_geo_graph *g, uint32_t edge);
/* Edges that leave a node. */
uint32_t mc_geo_graph_out(const mc_geo_graph *g, uint32_t node, const uint32_t **edge);
/* Points of an edge in driving order, both ends included. Copies up to cap, returns how many there are. */
uint32_t mc_geo_graph_shape(const mc_geo_graph *g, uint32_t edge, mc_geo_point *out, uint32_t cap);
/* True when the node is in the largest strongly connected part: any such node can be reached from any other. */
bool mc_geo_graph_in_core(const mc_geo_graph *g, uint32_t node);
uint32_t mc_geo_graph_core_count(const mc_geo_graph *g); /* nodes in it */
mc_geo_bounds mc_geo_graph_bounds(const mc_geo_graph *g);
void mc_geo_graph_destroy(mc_geo_graph **g);

typedef struct mc_geo_snap {
  uint32_t edge;     /* an open edge; of a two-way road the forward one */
  double fraction;   /* 0..1 of its length, from its start */
  double distance_m; /* from the asked point */
  mc_geo_point point;
} mc_geo_snap;
/* Nearest place on a road within max_m. With core_only, links outside the strongly connected core are passed over, so that
 * every two snaps can reach each other. MC_ERR_NOT_FOUND: no such road within max_m. */
mc_err mc_geo_graph_snap(const mc_geo_graph *g, mc_geo_point at, double max_m, bool core_only, mc_geo_snap *out);

typedef enum mc_geo_metric { MC_GEO_TIME, MC_GEO_DISTANCE } mc_geo_metric;
typedef struct mc_geo_route {
  MC_VEC(uint32_t) edge; /* in driving order; the first is entered at start.fraction, the last left at end.fraction */
  double start_fraction, end_fraction;
  double length_m, duration_s;
} mc_geo_route;
void mc_geo_route_free(mc_geo_route *route);

typedef struct mc_geo_router mc_geo_router; /* today A* over the plain graph; a contraction hierarchy fits behind it */
mc_err mc_geo_router_create(const mc_geo_graph *g, mc_geo_router **out); /* the graph must outlive it */
void mc_geo_router_destroy(mc_geo_router **r);
/* Best route from one place on a road to another. route is cleared and reused. MC_ERR_NOT_FOUND: no way through;
 * MC_ERR_INVALID: a snap that is not of this graph. */
mc_err mc_geo_router_find(mc_geo_router *r, const mc_geo_snap *from, const mc_geo_snap *to, mc_geo_metric metric, mc_geo_route *route);
/* Node to node, the first edge chosen by the search. An empty route when both are the same. */
mc_err mc_geo_router_find_nodes(mc_geo_router *r, uint32_t from, uint32_t to, mc_geo_metric metric, mc_geo_route *route);

/* ---- map ---- */
#define MC_GEO_TILE_MIN_ZOOM 8
#define MC_GEO_TILE_MAX_ZOOM 16
#define MC_GEO_TILE_EXTENT 4096
/* Mapbox vector tile 2.1 of z/x/y (XYZ rows, y = 0 in the north), appended to out; gzip as asked. Layers and attributes:
 * src/geo/README.md. A tile with nothing in it is 0 bytes (answer 204). Made on first request, then cached (both forms).
 * Any thread. MC_ERR_INVALID: z outside 8..16 or x, y outside the zoom. */
mc_err mc_geo_map_tile(mc_geo_map *m, uint32_t z, uint32_t x, uint32_t y, bool gzip, mc_buf *out, mc_why *why);
mc_geo_bounds mc_geo_map_bounds(const mc_geo_map *m);        /* of what a viewer wants to see first */
const char *mc_geo_map_attribution(const mc_geo_map *m);     /* "© OpenStreetMap contributors" or our own; show it */
const char *mc_geo_map_name(const mc_geo_map *m);            /* of the largest place, or "" */
size_t mc_geo_map_feature_count(const mc_geo_map *m);
void mc_geo_map_destroy(mc_geo_map **m);

#endif
