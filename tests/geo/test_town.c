#include <math.h>

#include "extract.h"

typedef struct measure {
  uint32_t links, signals, named, bridges, ramps;
  double km[9];
  uint64_t print;
} measure;

static void take(const mc_geo_graph *g, measure *m)
{
  *m = (measure){.links = mc_geo_graph_link_count(g)};
  for (uint32_t i = 0; i < mc_geo_graph_node_count(g); i++) {
    mc_geo_point p = mc_geo_graph_node(g, i);
    m->signals += mc_geo_graph_node_flags(g, i) == MC_GEO_SIGNALS;
    m->print = m->print * 31 + mc_slice_fnv1a(mc_slice_of(&p, sizeof p));
  }
  for (uint32_t i = 0; i < m->links; i++) {
    mc_geo_edge e = mc_geo_graph_edge(g, 2 * i);
    m->km[e.road] += e.length_m / 1000;
    m->named += e.name[0] != 0;
    m->bridges += (e.flags & MC_GEO_BRIDGE) != 0;
    m->ramps += (e.flags & MC_GEO_RAMP) != 0;
    m->print = m->print * 31 + mc_slice_fnv1a(mc_slice_str(e.name)) + (uint64_t)(e.length_m * 1000);
  }
}

static void test_same_seed_gives_the_same_town(void)
{
  measure m[2];
  for (int i = 0; i < 2; i++) {
    mc_geo_graph *g;
    CHECK_OK(mc_geo_make_town(11, NULL, &g, NULL));
    take(g, &m[i]);
    mc_geo_graph_destroy(&g);
  }
  CHECK(m[0].print == m[1].print);
  CHECK(!memcmp(&m[0], &m[1], sizeof m[0]));
}

static void test_another_seed_gives_another_town(void)
{
  measure m[2];
  for (int i = 0; i < 2; i++) {
    mc_geo_graph *g;
    CHECK_OK(mc_geo_make_town(20 + (uint64_t)i, NULL, &g, NULL));
    take(g, &m[i]);
    mc_geo_graph_destroy(&g);
  }
  CHECK(m[0].print != m[1].print);
}

static void test_every_seed_makes_a_whole_town(void)
{
  for (uint64_t seed = 1; seed <= 6; seed++) {
    mc_geo_graph *g;
    measure m;
    CHECK_OK(mc_geo_make_town(seed, NULL, &g, NULL));
    take(g, &m);
    uint32_t nodes = mc_geo_graph_node_count(g), core = mc_geo_graph_core_count(g);
    mc_geo_bounds b = mc_geo_graph_bounds(g);
    mc_geo_graph_destroy(&g);
    printf("# seed %llu: %u links, motorway %.0f km, minor %.0f km, %u bridges, %u signals\n", (unsigned long long)seed, m.links, m.km[MC_GEO_MOTORWAY],
           m.km[MC_GEO_MINOR], m.bridges, m.signals);
    CHECK(m.links > 4000 && core > nodes * 0.97);
    CHECK(m.km[MC_GEO_MOTORWAY] > 30 && m.km[MC_GEO_TRUNK] > 15 && m.km[MC_GEO_PRIMARY] > 8 && m.km[MC_GEO_SECONDARY] > 20 && m.km[MC_GEO_MINOR] > 250);
    CHECK(m.bridges > 8 && m.ramps >= 20 && m.signals > 60);
    CHECK(m.named > m.links * 0.8);
    CHECK(b.west > -30.32 && b.east < -30.08 && b.south > 46.03 && b.north < 46.17); /* about 14 by 12 km */
  }
}

static void test_names_and_attribution_are_our_own(void)
{
  mc_geo_map *m;
  CHECK_OK(mc_geo_make_town(1, &m, NULL, NULL));
  CHECK_STR(mc_geo_map_name(m), "Port Merrow");
  CHECK(strstr(mc_geo_map_attribution(m), "Made town"));
  CHECK(mc_geo_map_feature_count(m) > 20000);
  mc_geo_map_destroy(&m);
}

/* Drivers rely on it: no link leads into the sea without being a bridge is not something a graph can tell, but speeds are. */
static void test_speeds_fit_the_roads(void)
{
  mc_geo_graph *g;
  CHECK_OK(mc_geo_make_town(1, NULL, &g, NULL));
  for (uint32_t i = 0; i < mc_geo_graph_link_count(g); i++) {
    mc_geo_edge e = mc_geo_graph_edge(g, 2 * i);
    CHECK(e.speed_kmh >= 30 && e.speed_kmh <= 100);
    CHECK(e.road <= MC_GEO_MINOR);
    CHECK(e.road != MC_GEO_MOTORWAY || (e.flags & MC_GEO_ONEWAY));
    CHECK(e.length_m > 0 && e.length_m < 8000);
  }
  mc_geo_graph_destroy(&g);
}

int main(void)
{
  RUN(test_same_seed_gives_the_same_town);
  RUN(test_another_seed_gives_another_town);
  RUN(test_every_seed_makes_a_whole_town);
  RUN(test_names_and_attribution_are_our_own);
  RUN(test_speeds_fit_the_roads);
  return tap_done();
}
