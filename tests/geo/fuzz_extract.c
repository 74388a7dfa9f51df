/* The whole way of an extract: reader, rings, sea, graph, snapping, routing, tiles. */
#include <stdlib.h>

#include "geo/geo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_graph(const mc_geo_graph *g)
{
  mc_geo_router *r;
  mc_geo_route route = {0};
  mc_geo_snap a, b;
  mc_geo_bounds box = mc_geo_graph_bounds(g);
  if (mc_geo_router_create(g, &r))
    return;
  if (mc_geo_graph_snap(g, (mc_geo_point){box.west, box.south}, 5000, true, &a) == MC_OK &&
      mc_geo_graph_snap(g, (mc_geo_point){box.east, box.north}, 5000, true, &b) == MC_OK)
    if (mc_geo_router_find(r, &a, &b, MC_GEO_TIME, &route) != MC_OK)
      abort(); /* within the core there is always a way */
  mc_geo_route_free(&route);
  mc_geo_router_destroy(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_geo_map *m;
  mc_geo_graph *g;
  mc_why why;
  if (mc_geo_load_osm(mc_slice_of(data, size), &m, &g, &why))
    return 0;
  use_graph(g);
  const uint32_t tiles[][3] = {{8, 134, 89}, {13, 4312, 2874}, {16, 34497, 22998}, {14, 8624, 5749}, {16, 0, 0}};
  for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
    mc_buf out = {0};
    if (mc_geo_map_tile(m, tiles[i][0], tiles[i][1], tiles[i][2], i & 1, &out, &why))
      abort();
    mc_buf_free(&out);
  }
  mc_geo_map_destroy(&m);
  mc_geo_graph_destroy(&g);
  return 0;
}
