/* Where to, and by which way: places, trips, and the path with the speed that each metre allows. */
#include "sim/inside.h"

#define PIECE_M 15.0     /* most between two waypoints */
#define LATERAL_MPS2 2.2 /* what people bear in a bend */

/* ---- places ---- */
static bool is_wide(mc_geo_road road)
{
  return road >= MC_GEO_PRIMARY && road <= MC_GEO_TERTIARY;
}

/* The snap's point, which the router aims at. */
static void locate(mc_sim *sim, mc_geo_snap *at)
{
  mc_geo_edge e = mc_geo_graph_edge(sim->config.graph, at->edge);
  mc_geo_point a = mc_geo_graph_node(sim->config.graph, e.from), b = a;
  mc_vec_clear(&sim->shape);
  uint32_t n = mc_geo_graph_shape(sim->config.graph, at->edge, NULL, 0);
  if (mc_vec_reserve(&sim->shape, n) == MC_OK) {
    sim->shape.len = mc_geo_graph_shape(sim->config.graph, at->edge, sim->shape.at, n);
    double left = at->fraction * e.length_m;
    for (uint32_t i = 0; i + 1 < n; i++) {
      a = sim->shape.at[i];
      b = sim->shape.at[i + 1];
      double m = mc_geo_distance_m(a, b);
      if (left <= m) {
        double k = m > 0 ? left / m : 0;
        at->point = (mc_geo_point){a.lon + (b.lon - a.lon) * k, a.lat + (b.lat - a.lat) * k};
        return;
      }
      left -= m;
    }
  }
  at->point = b;
}

mc_err sim_random_place(mc_sim *sim, sim_rng *r, bool wide_road, mc_geo_snap *out)
{
  const mc_geo_graph *g = sim->config.graph;
  uint32_t links = mc_geo_graph_link_count(g);
  bool found = false;
  for (int i = 0; i < 400; i++) {
    uint32_t edge = 2 * (uint32_t)sim_uniform(r, 0, links);
    mc_geo_edge e = mc_geo_graph_edge(g, edge);
    if (!mc_geo_graph_in_core(g, e.from) || !mc_geo_graph_in_core(g, e.to) || e.length_m < 25)
      continue;
    if (e.road <= MC_GEO_TRUNK || (e.flags & (MC_GEO_RAMP | MC_GEO_BRIDGE | MC_GEO_TUNNEL | MC_GEO_ROUNDABOUT)))
      continue;
    double fraction = sim_uniform(r, 0.25, 0.75);
    *out = (mc_geo_snap){.edge = edge, .fraction = fraction};
    found = true;
    if (wide_road == is_wide(e.road))
      break;
  }
  if (found)
    locate(sim, out);
  return found ? MC_OK : MC_ERR_NOT_FOUND; /* a network without the wished kind of road */
}

mc_err sim_make_places(mc_sim *sim, mc_why *why)
{
  for (int i = 0; i < SIM_DEPOTS + SIM_STATIONS; i++) {
    mc_geo_snap *at = i < SIM_DEPOTS ? &sim->depot[i] : &sim->station[i - SIM_DEPOTS];
    if (sim_random_place(sim, &sim->rng, true, at))
      return mc_err_set(why, MC_ERR_INVALID, "the road graph has no place to park: its connected part holds no ordinary road longer than 25 m");
  }
  return MC_OK;
}

/* ---- path ---- */
static mc_err add_point(sim_vehicle *v, mc_geo_point p, double s, double limit, double offset)
{
  sim_waypoint w = {.lon = p.lon, .lat = p.lat, .s = (float)s, .limit = (float)limit, .allowed = (float)limit, .offset = (float)offset};
  return mc_vec_push(&v->path, w);
}

/* One edge, from fraction a to b of its length, cut to short pieces. */
static mc_err lay_edge(mc_sim *sim, sim_vehicle *v, uint32_t edge, double a, double b)
{
  const mc_geo_graph *g = sim->config.graph;
  mc_geo_edge e = mc_geo_graph_edge(g, edge);
  double limit = fmin(e.speed_kmh / 3.6, v->model->top_mps);
  double offset = e.flags & MC_GEO_ONEWAY ? 0 : 1.9;
  uint32_t n = mc_geo_graph_shape(g, edge, NULL, 0);
  mc_vec_clear(&sim->shape);
  MC_TRY(mc_vec_reserve(&sim->shape, n));
  sim->shape.len = mc_geo_graph_shape(g, edge, sim->shape.at, n);
  double from = a * e.length_m, to = b * e.length_m, along = 0;
  for (uint32_t i = 0; i + 1 < n; i++) {
    mc_geo_point p = sim->shape.at[i], q = sim->shape.at[i + 1];
    double m = mc_geo_distance_m(p, q);
    double first = fmax(0, from - along), last = fmin(m, to - along);
    int pieces = last > first ? (int)ceil((last - first) / PIECE_M) : 0;
    for (int k = v->path.len ? 1 : 0; k <= pieces && pieces; k++) {
      double t = (first + (last - first) * k / pieces) / m;
      mc_geo_point r = {p.lon + (q.lon - p.lon) * t, p.lat + (q.lat - p.lat) * t};
      double s = v->path.len ? v->path.at[v->path.len - 1].s + mc_geo_distance_m((mc_geo_point){v->path.at[v->path.len - 1].lon, v->path.at[v->path.len - 1].lat}, r) : 0;
      MC_TRY(add_point(v, r, s, limit, offset));
    }
    along += m;
  }
  return MC_OK;
}

static double turn_between(double from, double to)
{
  double d = to - from;
  return d > 180 ? d - 360 : d < -180 ? d + 360 : d;
}

static mc_err add_halt(mc_sim *sim, sim_vehicle *v, uint32_t edge)
{
  uint32_t node = mc_geo_graph_edge(sim->config.graph, edge).to;
  uint8_t flags = mc_geo_graph_node_flags(sim->config.graph, node);
  if (!(flags & (MC_GEO_SIGNALS | MC_GEO_STOP)) || v->path.len < 2)
    return MC_OK;
  const sim_waypoint *b = &v->path.at[v->path.len - 1], *a = b - 1;
  double heading = mc_geo_bearing_deg((mc_geo_point){a->lon, a->lat}, (mc_geo_point){b->lon, b->lat});
  sim_halt h = {.s = b->s, .node = node, .sign = !(flags & MC_GEO_SIGNALS), .across = fabs(sin(heading * M_PI / 180)) > M_SQRT1_2};
  return mc_vec_push(&v->halt, h);
}

/* Headings, bends, and then backwards: nowhere faster than the brakes can undo in time. */
static void set_speeds(sim_vehicle *v)
{
  size_t n = v->path.len;
  for (size_t i = 0; i + 1 < n; i++) {
    sim_waypoint *a = &v->path.at[i], *b = a + 1;
    a->heading = (float)mc_geo_bearing_deg((mc_geo_point){a->lon, a->lat}, (mc_geo_point){b->lon, b->lat});
  }
  v->path.at[n - 1].heading = v->path.at[n - 2].heading;
  double lateral = v->model->kind == MC_SIM_TRUCK ? LATERAL_MPS2 * 0.55 : LATERAL_MPS2;
  for (size_t i = 0; i < n; i++) {
    sim_waypoint *w = &v->path.at[i];
    w->allowed = (float)(w->limit * v->eagerness);
    if (i == 0 || i + 1 == n)
      continue;
    double turn = fabs(turn_between(v->path.at[i - 1].heading, w->heading)) * M_PI / 180;
    double room = fmin((double)w->s - v->path.at[i - 1].s, (double)v->path.at[i + 1].s - w->s) + 7; /* corners are cut by some metres */
    if (turn > 0.01)
      w->allowed = (float)fmin(w->allowed, fmax(2.2, sqrt(lateral * room / turn)));
  }
  v->path.at[n - 1].allowed = 0;
  for (size_t i = n - 1; i-- > 0;) {
    sim_waypoint *w = &v->path.at[i];
    double reach = sqrt((double)w[1].allowed * w[1].allowed + 2 * v->model->brake_mps2 * 0.85 * (w[1].s - w->s));
    w->allowed = (float)fmin(w->allowed, reach);
  }
}

static mc_err lay_path(mc_sim *sim, sim_vehicle *v)
{
  mc_vec_clear(&v->path);
  mc_vec_clear(&v->halt);
  const mc_geo_route *r = &sim->route;
  for (size_t i = 0; i < r->edge.len; i++) {
    bool last = i + 1 == r->edge.len;
    MC_TRY(lay_edge(sim, v, r->edge.at[i], i == 0 ? r->start_fraction : 0, last ? r->end_fraction : 1));
    if (!last)
      MC_TRY(add_halt(sim, v, r->edge.at[i]));
  }
  if (v->path.len < 3)
    return MC_ERR_NOT_FOUND; /* already there */
  set_speeds(v);
  v->at = v->next_halt = 0;
  v->s = v->speed = v->accel = 0;
  v->stopping_for_halt = false;
  return MC_OK;
}

static mc_err choose_goal(mc_sim *sim, sim_vehicle *v, mc_geo_snap *goal)
{
  double left = v->store_j / v->model->store_j;
  v->to_station = left < (v->model->kind == MC_SIM_ELECTRIC ? 0.22 : 0.14);
  if (v->to_station) { /* the nearest as the crow flies */
    double best = INFINITY;
    for (int i = 0; i < SIM_STATIONS; i++) {
      double m = mc_geo_distance_m(v->place.point, sim->station[i].point);
      if (m < best && m > 30) {
        best = m;
        *goal = sim->station[i];
      }
    }
    return MC_OK;
  }
  double dice = sim_uniform(&v->rng, 0, 1);
  bool truck = v->model->kind == MC_SIM_TRUCK;
  if (dice < (truck ? 0.55 : 0.22))
    *goal = sim->depot[(int)sim_uniform(&v->rng, 0, SIM_DEPOTS)];
  else if (dice < (truck ? 0.6 : 0.42))
    *goal = v->home;
  else
    MC_TRY(sim_random_place(sim, &v->rng, truck || dice < 0.6, goal));
  return MC_OK;
}

mc_err sim_begin_trip(mc_sim *sim, sim_vehicle *v)
{
  mc_err err = MC_ERR_NOT_FOUND;
  for (int attempt = 0; attempt < 8 && err; attempt++) {
    mc_geo_snap goal = {0};
    MC_TRY(choose_goal(sim, v, &goal));
    err = mc_geo_router_find(sim->router, &v->place, &goal, MC_GEO_TIME, &sim->route);
    if (!err && sim->route.length_m < 250 && !v->to_station)
      err = MC_ERR_NOT_FOUND;
    if (!err)
      err = lay_path(sim, v);
    if (!err)
      v->place = goal;
  }
  return err;
}
