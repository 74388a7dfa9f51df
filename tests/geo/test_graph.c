#include <math.h>

#include "../format/osm_file.h"
#include "extract.h"

/* The plainest Dijkstra there is: no heap, no stamps, nothing shared with the code under test. */
static double brute(const mc_geo_graph *g, uint32_t from, uint32_t to, mc_geo_metric metric, double *dist, uint8_t *done)
{
  uint32_t n = mc_geo_graph_node_count(g);
  for (uint32_t i = 0; i < n; i++)
    dist[i] = INFINITY, done[i] = 0;
  dist[from] = 0;
  for (;;) {
    uint32_t best = MC_GEO_NONE;
    for (uint32_t i = 0; i < n; i++)
      if (!done[i] && dist[i] < INFINITY && (best == MC_GEO_NONE || dist[i] < dist[best]))
        best = i;
    if (best == MC_GEO_NONE || best == to)
      return dist[to];
    done[best] = 1;
    const uint32_t *out;
    uint32_t count = mc_geo_graph_out(g, best, &out);
    for (uint32_t i = 0; i < count; i++) {
      mc_geo_edge e = mc_geo_graph_edge(g, out[i]);
      double d = dist[best] + (metric == MC_GEO_DISTANCE ? e.length_m : e.length_m * 3.6 / e.speed_kmh);
      if (d < dist[e.to])
        dist[e.to] = d;
    }
  }
}

static void check_routes(const mc_geo_graph *g, int pairs)
{
  uint32_t n = mc_geo_graph_node_count(g);
  double *dist = malloc(n * sizeof *dist);
  uint8_t *done = malloc(n);
  mc_geo_router *r;
  mc_geo_route route = {0};
  CHECK_OK(mc_geo_router_create(g, &r));
  uint64_t state = 42;
  int wrong = 0, unreachable = 0;
  for (int i = 0; i < pairs; i++) {
    uint32_t from = draw(&state, n), to = draw(&state, n);
    mc_geo_metric metric = i & 1 ? MC_GEO_DISTANCE : MC_GEO_TIME;
    double want = brute(g, from, to, metric, dist, done);
    mc_err err = mc_geo_router_find_nodes(r, from, to, metric, &route);
    if (isinf(want)) {
      unreachable++;
      wrong += err != MC_ERR_NOT_FOUND;
      continue;
    }
    double got = metric == MC_GEO_DISTANCE ? route.length_m : route.duration_s;
    uint32_t at = from; /* the edges must form a way */
    for (size_t k = 0; k < route.edge.len && at != MC_GEO_NONE; k++) {
      mc_geo_edge e = mc_geo_graph_edge(g, route.edge.at[k]);
      at = e.from == at && mc_geo_graph_edge_open(g, route.edge.at[k]) ? e.to : MC_GEO_NONE;
    }
    wrong += err != MC_OK || at != to || fabs(got - want) > 1e-6 * (1 + want);
  }
  free(dist);
  free(done);
  mc_geo_router_destroy(&r);
  mc_geo_route_free(&route);
  printf("# %d pairs, %d without a way\n", pairs, unreachable);
  CHECK_INT(wrong, 0);
}

static void test_routes_equal_brute_dijkstra_in_the_town(void)
{
  mc_geo_graph *g;
  CHECK_OK(mc_geo_make_town(7, NULL, &g, NULL));
  check_routes(g, 60);
  mc_geo_graph_destroy(&g);
}

static void test_routes_equal_brute_dijkstra_in_monaco(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  mc_geo_graph *g;
  mc_why why;
  CHECK(load_extract("monaco", NULL, &g, &why));
  check_routes(g, 300);
  mc_geo_graph_destroy(&g);
}

static void test_routes_equal_brute_dijkstra_in_liechtenstein(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  mc_geo_graph *g;
  mc_why why;
  CHECK(load_extract("liechtenstein", NULL, &g, &why));
  check_routes(g, 60);
  mc_geo_graph_destroy(&g);
}

/* From each snap, both open directions, against the best over both ends by node-to-node search. */
static void test_snapped_routes_are_optimal(void)
{
  mc_geo_graph *g;
  mc_geo_router *r;
  CHECK_OK(mc_geo_make_town(3, NULL, &g, NULL));
  CHECK_OK(mc_geo_router_create(g, &r));
  mc_geo_bounds b = mc_geo_graph_bounds(g);
  uint64_t state = 9;
  mc_geo_route route = {0}, part = {0};
  int tried = 0, wrong = 0;
  while (tried < 120) {
    mc_geo_snap s[2];
    bool ok = true;
    for (int i = 0; i < 2; i++) {
      mc_geo_point p = {b.west + (b.east - b.west) * draw(&state, 10000) / 10000.0, b.south + (b.north - b.south) * draw(&state, 10000) / 10000.0};
      ok = ok && mc_geo_graph_snap(g, p, 400, true, &s[i]) == MC_OK;
    }
    if (!ok || s[0].edge == s[1].edge)
      continue;
    tried++;
    double want = INFINITY;
    for (uint32_t x = 0; x < 2; x++)
      for (uint32_t y = 0; y < 2; y++) {
        uint32_t first = s[0].edge ^ x, last = s[1].edge ^ y;
        if (!mc_geo_graph_edge_open(g, first) || !mc_geo_graph_edge_open(g, last))
          continue;
        mc_geo_edge e = mc_geo_graph_edge(g, first), f = mc_geo_graph_edge(g, last);
        if (mc_geo_router_find_nodes(r, e.to, f.from, MC_GEO_DISTANCE, &part))
          continue;
        double head = e.length_m * (x ? s[0].fraction : 1 - s[0].fraction), tail = f.length_m * (y ? 1 - s[1].fraction : s[1].fraction);
        want = fmin(want, head + part.length_m + tail);
      }
    wrong += mc_geo_router_find(r, &s[0], &s[1], MC_GEO_DISTANCE, &route) != MC_OK || fabs(route.length_m - want) > 1e-6 * want;
  }
  mc_geo_route_free(&route);
  mc_geo_route_free(&part);
  mc_geo_router_destroy(&r);
  mc_geo_graph_destroy(&g);
  CHECK_INT(wrong, 0);
}

static void test_core_reaches_itself_and_is_most_of_the_network(void)
{
  mc_geo_graph *g;
  mc_geo_router *r;
  mc_geo_route route = {0};
  CHECK_OK(mc_geo_make_town(1, NULL, &g, NULL));
  CHECK_OK(mc_geo_router_create(g, &r));
  uint32_t n = mc_geo_graph_node_count(g);
  uint64_t state = 5;
  int failed = 0;
  for (int i = 0; i < 500;) {
    uint32_t a = draw(&state, n), b = draw(&state, n);
    if (!mc_geo_graph_in_core(g, a) || !mc_geo_graph_in_core(g, b))
      continue;
    i++;
    failed += mc_geo_router_find_nodes(r, a, b, MC_GEO_TIME, &route) != MC_OK;
  }
  uint32_t core = mc_geo_graph_core_count(g);
  mc_geo_route_free(&route);
  mc_geo_router_destroy(&r);
  mc_geo_graph_destroy(&g);
  CHECK_INT(failed, 0);
  CHECK(core > n * 0.97);
}

/* Against every piece of every road. */
static void test_snap_finds_the_nearest_road(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  mc_geo_graph *g;
  mc_why why;
  CHECK(load_extract("monaco", NULL, &g, &why));
  mc_geo_bounds b = mc_geo_graph_bounds(g);
  uint64_t state = 77;
  int wrong = 0;
  for (int i = 0; i < 200; i++) {
    mc_geo_point p = {b.west + (b.east - b.west) * (draw(&state, 14000) / 10000.0 - 0.2), b.south + (b.north - b.south) * (draw(&state, 14000) / 10000.0 - 0.2)};
    double best = INFINITY, scale = cos(p.lat * M_PI / 180);
    for (uint32_t l = 0; l < mc_geo_graph_link_count(g); l++) {
      mc_geo_point s[512];
      uint32_t n = mc_geo_graph_shape(g, 2 * l, s, 512);
      for (uint32_t k = 0; k + 1 < n && k + 1 < 512; k++) {
        double ax = (s[k].lon - p.lon) * scale, ay = s[k].lat - p.lat, dx = (s[k + 1].lon - s[k].lon) * scale, dy = s[k + 1].lat - s[k].lat;
        double q = dx * dx + dy * dy, t = q > 0 ? fmin(1, fmax(0, -(ax * dx + ay * dy) / q)) : 0;
        best = fmin(best, hypot(ax + t * dx, ay + t * dy) * 111195.08);
      }
    }
    mc_geo_snap snap;
    mc_err err = mc_geo_graph_snap(g, p, 800, false, &snap);
    wrong += best > 800 ? err != MC_ERR_NOT_FOUND : err != MC_OK || fabs(snap.distance_m - best) > 0.01;
  }
  mc_geo_graph_destroy(&g);
  CHECK_INT(wrong, 0);
}

static void test_snap_prefers_the_core_when_asked(void)
{
  if (!tap_data_dir())
    SKIP("no shared data");
  mc_geo_graph *g;
  mc_why why;
  CHECK(load_extract("monaco", NULL, &g, &why));
  int outside = 0, wrong = 0;
  for (uint32_t i = 0; i < mc_geo_graph_node_count(g); i++) {
    mc_geo_snap s;
    if (mc_geo_graph_in_core(g, i))
      continue;
    outside++;
    if (mc_geo_graph_snap(g, mc_geo_graph_node(g, i), 2000, true, &s))
      continue;
    mc_geo_edge e = mc_geo_graph_edge(g, s.edge);
    wrong += !mc_geo_graph_in_core(g, e.from) || !mc_geo_graph_in_core(g, e.to);
  }
  mc_geo_graph_destroy(&g);
  CHECK(outside > 20);
  CHECK_INT(wrong, 0);
}

static void test_reads_a_small_village(void)
{
  mc_buf file = {0};
  mc_geo_graph *g;
  mc_geo_map *m;
  mc_why why;
  osm_village(&file, true);
  mc_err err = mc_geo_load_osm(mc_buf_slice(&file), &m, &g, &why);
  mc_buf_free(&file);
  CHECK_OK(err);
  /* way 100 runs 1 2 3 4 1, node 2 is a signal; way 101 is one-way from 1 to 3: node 4 stays a bend */
  CHECK_INT(mc_geo_graph_node_count(g), 3);
  CHECK_INT(mc_geo_graph_link_count(g), 4);
  CHECK(mc_geo_graph_edge_open(g, 6) && !mc_geo_graph_edge_open(g, 7));
  CHECK_STR(mc_geo_graph_edge(g, 0).name, "Pond Lane");
  CHECK_INT(mc_geo_graph_edge(g, 0).road, MC_GEO_MINOR);
  CHECK_DOUBLE(mc_geo_graph_edge(g, 0).speed_kmh, 30, 0);
  CHECK_INT(mc_geo_graph_node_flags(g, 1), MC_GEO_SIGNALS);
  CHECK_STR(mc_geo_map_name(m), "Smallham");
  CHECK_STR(mc_geo_map_attribution(m), "© OpenStreetMap contributors");
  CHECK_INT(mc_geo_map_feature_count(m), 4); /* two roads, pond, label */
  mc_geo_graph_destroy(&g);
  mc_geo_map_destroy(&m);
}

static void test_refuses_an_extract_without_roads(void)
{
  mc_buf file = {0};
  mc_geo_graph *g;
  mc_why why;
  osm_put_header(&file, "DenseNodes");
  mc_err err = mc_geo_load_osm(mc_buf_slice(&file), NULL, &g, &why);
  mc_buf_free(&file);
  CHECK_INT(err, MC_ERR_INVALID);
  CHECK_WHY(why, "no road");
  CHECK(g == NULL);
}

static void test_refuses_bad_questions(void)
{
  mc_geo_graph *g;
  mc_geo_router *r;
  mc_geo_route route = {0};
  mc_geo_snap s, far = {.edge = 1u << 30};
  CHECK_OK(mc_geo_make_town(2, NULL, &g, NULL));
  CHECK_OK(mc_geo_router_create(g, &r));
  CHECK_INT(mc_geo_graph_snap(g, (mc_geo_point){500, 0}, 100, false, &s), MC_ERR_INVALID);
  CHECK_INT(mc_geo_graph_snap(g, (mc_geo_point){NAN, 0}, 100, false, &s), MC_ERR_INVALID);
  CHECK_INT(mc_geo_graph_snap(g, (mc_geo_point){10, 10}, 1000, false, &s), MC_ERR_NOT_FOUND);
  CHECK_INT(mc_geo_graph_snap(g, (mc_geo_point){-30.2, 46.1}, -1, false, &s), MC_ERR_INVALID);
  CHECK_OK(mc_geo_graph_snap(g, (mc_geo_point){-30.2, 46.1}, 3000, false, &s));
  CHECK_INT(mc_geo_router_find(r, &s, &far, MC_GEO_TIME, &route), MC_ERR_INVALID);
  CHECK_INT(mc_geo_router_find_nodes(r, 0, MC_GEO_NONE, MC_GEO_TIME, &route), MC_ERR_INVALID);
  s.fraction = 1.5;
  CHECK_INT(mc_geo_router_find(r, &s, &s, MC_GEO_TIME, &route), MC_ERR_INVALID);
  mc_geo_route_free(&route);
  mc_geo_router_destroy(&r);
  mc_geo_graph_destroy(&g);
}

static void test_distance_and_bearing(void)
{
  mc_geo_point a = {7.0, 43.0}, b = {7.0, 44.0}, c = {8.0, 43.0};
  CHECK_DOUBLE(mc_geo_distance_m(a, b), 111195.08, 0.1);
  CHECK_DOUBLE(mc_geo_bearing_deg(a, b), 0, 1e-9);
  CHECK_DOUBLE(mc_geo_bearing_deg(b, a), 180, 1e-9);
  CHECK_DOUBLE(mc_geo_bearing_deg(a, c), 89.659, 0.01);
  CHECK_DOUBLE(mc_geo_distance_m(a, a), 0, 0);
}

int main(void)
{
  RUN(test_routes_equal_brute_dijkstra_in_the_town);
  RUN(test_routes_equal_brute_dijkstra_in_monaco);
  RUN(test_routes_equal_brute_dijkstra_in_liechtenstein);
  RUN(test_snapped_routes_are_optimal);
  RUN(test_core_reaches_itself_and_is_most_of_the_network);
  RUN(test_snap_finds_the_nearest_road);
  RUN(test_snap_prefers_the_core_when_asked);
  RUN(test_reads_a_small_village);
  RUN(test_refuses_an_extract_without_roads);
  RUN(test_refuses_bad_questions);
  RUN(test_distance_and_bearing);
  return tap_done();
}
