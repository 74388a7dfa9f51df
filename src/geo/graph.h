/* Insides of the road graph, for graph.c, snap.c and route.c. */
#ifndef MC_GEO_GRAPH_H
#define MC_GEO_GRAPH_H

#include "geo/source.h"

typedef struct geo_link {
  uint32_t from, to;
  uint32_t first, count; /* into point, both ends included */
  uint32_t name, ref;    /* offsets into text */
  float length_m, speed_kmh;
  uint8_t road, flags;
} geo_link;

typedef struct geo_segment { /* one piece of one link, for snapping */
  uint32_t link, piece;
} geo_segment;

struct mc_geo_graph {
  uint32_t nodes, links;
  mc_geo_e7 *node;
  uint8_t *node_flags;
  uint8_t *core; /* 1: in the largest strongly connected part */
  uint32_t core_count;
  geo_link *link;
  mc_geo_e7 *point;
  uint32_t *out_first; /* nodes + 1 */
  uint32_t *out_edge;
  char *text;
  float speed_max_kmh;
  mc_geo_bounds bounds;
  /* snapping grid: cell (cx, cy) holds cell_segment[cell_first[i] .. cell_first[i + 1]) */
  double cell_lon, cell_lat; /* degrees */
  uint32_t grid_w, grid_h;
  uint32_t *cell_first;
  geo_segment *cell_segment;
};

static inline bool geo_edge_open(const mc_geo_graph *g, uint32_t edge) { return !(edge & 1) || !(g->link[edge >> 1].flags & MC_GEO_ONEWAY); }
static inline uint32_t geo_edge_from(const mc_geo_graph *g, uint32_t edge) { return edge & 1 ? g->link[edge >> 1].to : g->link[edge >> 1].from; }
static inline uint32_t geo_edge_to(const mc_geo_graph *g, uint32_t edge) { return edge & 1 ? g->link[edge >> 1].from : g->link[edge >> 1].to; }

mc_err geo_graph_index(mc_geo_graph *g); /* builds the snapping grid */

#endif
