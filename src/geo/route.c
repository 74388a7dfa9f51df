/* A* over the plain graph. The search keeps one label a node; memory is cleared by stamps, so that a
 * query costs what it touches. */
#include <math.h>
#include <stdlib.h>

#include "geo/graph.h"

typedef struct heap_item {
  double key;
  uint32_t node;
} heap_item;

struct mc_geo_router {
  const mc_geo_graph *g;
  double *cost;      /* per node, valid when stamp matches */
  uint32_t *by;      /* edge that reached the node; MC_GEO_NONE: the start node itself */
  uint8_t *root;     /* reached from the starting place directly */
  uint32_t *stamp, *done;
  uint32_t now;
  MC_VEC(heap_item) heap;
  mc_geo_metric metric;
  mc_geo_point goal;
  double per_metre; /* heuristic: cost of a metre at best */
};

typedef struct goal {
  uint32_t edge[2]; /* edges on which the goal lies, one per open direction */
  double rest[2];   /* cost from the edge's start to the goal */
  int count;
  uint32_t node; /* or a node */
} goal;

mc_err mc_geo_router_create(const mc_geo_graph *g, mc_geo_router **out)
{
  mc_geo_router *r = calloc(1, sizeof *r);
  *out = NULL;
  if (!r)
    return MC_ERR_MEMORY;
  size_t n = (size_t)g->nodes + 1;
  r->g = g;
  r->cost = malloc(n * sizeof *r->cost);
  r->by = malloc(n * sizeof *r->by);
  r->root = malloc(n);
  r->stamp = calloc(n, sizeof *r->stamp);
  r->done = calloc(n, sizeof *r->done);
  if (!r->cost || !r->by || !r->root || !r->stamp || !r->done)
    mc_geo_router_destroy(&r);
  *out = r;
  return r ? MC_OK : MC_ERR_MEMORY;
}

void mc_geo_router_destroy(mc_geo_router **router)
{
  mc_geo_router *r = *router;
  *router = NULL;
  if (!r)
    return;
  free(r->cost);
  free(r->by);
  free(r->root);
  free(r->stamp);
  free(r->done);
  mc_vec_free(&r->heap);
  free(r);
}

void mc_geo_route_free(mc_geo_route *route)
{
  mc_vec_free(&route->edge);
  *route = (mc_geo_route){0};
}

static double edge_cost(const mc_geo_router *r, uint32_t edge)
{
  const geo_link *l = &r->g->link[edge >> 1];
  return r->metric == MC_GEO_DISTANCE ? l->length_m : l->length_m * 3.6 / l->speed_kmh;
}

static mc_err heap_push(mc_geo_router *r, double key, uint32_t node)
{
  heap_item item = {key, node};
  MC_TRY(mc_vec_push(&r->heap, item));
  size_t i = r->heap.len - 1;
  while (i && r->heap.at[(i - 1) / 2].key > key) {
    r->heap.at[i] = r->heap.at[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  r->heap.at[i] = item;
  return MC_OK;
}

static heap_item heap_pop(mc_geo_router *r)
{
  heap_item top = r->heap.at[0], last = r->heap.at[--r->heap.len];
  size_t n = r->heap.len, i = 0;
  for (size_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && r->heap.at[child + 1].key < r->heap.at[child].key)
      child++;
    if (r->heap.at[child].key >= last.key)
      break;
    r->heap.at[i] = r->heap.at[child];
  }
  if (n)
    r->heap.at[i] = last;
  return top;
}

static mc_err label(mc_geo_router *r, uint32_t node, double cost, uint32_t by, bool root)
{
  if (r->stamp[node] == r->now && cost >= r->cost[node])
    return MC_OK;
  r->stamp[node] = r->now;
  r->cost[node] = cost;
  r->by[node] = by;
  r->root[node] = root;
  double ahead = mc_geo_distance_m(mc_geo_graph_node(r->g, node), r->goal) * r->per_metre;
  return heap_push(r, cost + ahead, node);
}

static void begin(mc_geo_router *r, mc_geo_metric metric, mc_geo_point goal_point)
{
  if (++r->now == 0) { /* stamps wrapped: start over */
    memset(r->stamp, 0, r->g->nodes * sizeof *r->stamp);
    memset(r->done, 0, r->g->nodes * sizeof *r->done);
    r->now = 1;
  }
  mc_vec_clear(&r->heap);
  r->metric = metric;
  r->goal = goal_point;
  /* A hair below 1: lengths are stored as floats, the straight line is not. */
  r->per_metre = 0.999 * (metric == MC_GEO_DISTANCE ? 1.0 : 3.6 / r->g->speed_max_kmh);
}

/* Runs until nothing open can beat the best; best_side: index in goal, or -1. */
static mc_err search(mc_geo_router *r, const goal *to, double *best, int *best_side)
{
  while (r->heap.len && r->heap.at[0].key < *best) {
    uint32_t v = heap_pop(r).node;
    if (r->done[v] == r->now)
      continue;
    r->done[v] = r->now;
    if (to->count == 0 && v == to->node) {
      *best = r->cost[v];
      *best_side = 0;
      return MC_OK;
    }
    for (int k = 0; k < to->count; k++)
      if (geo_edge_from(r->g, to->edge[k]) == v && r->cost[v] + to->rest[k] < *best) {
        *best = r->cost[v] + to->rest[k];
        *best_side = k;
      }
    for (uint32_t i = r->g->out_first[v]; i < r->g->out_first[v + 1]; i++) {
      uint32_t e = r->g->out_edge[i];
      MC_TRY(label(r, geo_edge_to(r->g, e), r->cost[v] + edge_cost(r, e), e, false));
    }
  }
  return MC_OK;
}

static void finish(const mc_geo_router *r, mc_geo_route *route)
{
  double length = 0, duration = 0;
  for (size_t i = 0; i < route->edge.len; i++) {
    const geo_link *l = &r->g->link[route->edge.at[i] >> 1];
    double a = i == 0 ? route->start_fraction : 0, b = i == route->edge.len - 1 ? route->end_fraction : 1;
    length += (b - a) * l->length_m;
    duration += (b - a) * l->length_m * 3.6 / l->speed_kmh;
  }
  route->length_m = length;
  route->duration_s = duration;
}

/* Edges from the start to `node`, in order. */
static mc_err trace(const mc_geo_router *r, uint32_t node, mc_geo_route *route)
{
  while (r->by[node] != MC_GEO_NONE) {
    MC_TRY(mc_vec_push(&route->edge, r->by[node]));
    if (r->root[node])
      break;
    node = geo_edge_from(r->g, r->by[node]);
  }
  for (size_t i = 0, k = route->edge.len; i + 1 < k; i++) {
    uint32_t e = route->edge.at[i];
    route->edge.at[i] = route->edge.at[--k];
    route->edge.at[k] = e;
  }
  return MC_OK;
}

static bool valid(const mc_geo_graph *g, const mc_geo_snap *s)
{
  return s->edge < g->links * 2 && geo_edge_open(g, s->edge) && s->fraction >= 0 && s->fraction <= 1;
}

/* Where along `edge` the snap lies (the same place, seen in that edge's direction). */
static double seen_from(const mc_geo_snap *s, uint32_t edge)
{
  return edge == s->edge ? s->fraction : 1 - s->fraction;
}

mc_err mc_geo_router_find(mc_geo_router *r, const mc_geo_snap *from, const mc_geo_snap *to, mc_geo_metric metric, mc_geo_route *route)
{
  mc_vec_clear(&route->edge);
  if (!valid(r->g, from) || !valid(r->g, to))
    return MC_ERR_INVALID;
  begin(r, metric, to->point);
  goal g = {.node = MC_GEO_NONE};
  for (uint32_t side = 0; side < 2; side++) {
    uint32_t e = to->edge ^ side;
    if (!geo_edge_open(r->g, e))
      continue;
    g.edge[g.count] = e;
    g.rest[g.count++] = seen_from(to, e) * edge_cost(r, e);
  }
  double best = INFINITY;
  int best_side = -1;
  uint32_t direct = MC_GEO_NONE;
  for (uint32_t side = 0; side < 2; side++) {
    uint32_t e = from->edge ^ side;
    if (!geo_edge_open(r->g, e))
      continue;
    double at = seen_from(from, e);
    MC_TRY(label(r, geo_edge_to(r->g, e), (1 - at) * edge_cost(r, e), e, true));
    if (e >> 1 == to->edge >> 1 && seen_from(to, e) >= at && (seen_from(to, e) - at) * edge_cost(r, e) < best) {
      best = (seen_from(to, e) - at) * edge_cost(r, e);
      direct = e;
    }
  }
  MC_TRY(search(r, &g, &best, &best_side));
  if (best_side < 0 && direct == MC_GEO_NONE)
    return MC_ERR_NOT_FOUND;
  uint32_t last = best_side < 0 ? direct : g.edge[best_side];
  if (best_side >= 0)
    MC_TRY(trace(r, geo_edge_from(r->g, last), route));
  MC_TRY(mc_vec_push(&route->edge, last));
  route->start_fraction = seen_from(from, route->edge.at[0]);
  route->end_fraction = seen_from(to, last);
  finish(r, route);
  return MC_OK;
}

mc_err mc_geo_router_find_nodes(mc_geo_router *r, uint32_t from, uint32_t to, mc_geo_metric metric, mc_geo_route *route)
{
  mc_vec_clear(&route->edge);
  if (from >= r->g->nodes || to >= r->g->nodes)
    return MC_ERR_INVALID;
  begin(r, metric, mc_geo_graph_node(r->g, to));
  goal g = {.node = to};
  double best = INFINITY;
  int side = -1;
  MC_TRY(label(r, from, 0, MC_GEO_NONE, false));
  MC_TRY(search(r, &g, &best, &side));
  if (side < 0)
    return MC_ERR_NOT_FOUND;
  MC_TRY(trace(r, to, route));
  route->start_fraction = 0;
  route->end_fraction = 1;
  finish(r, route);
  return MC_OK;
}
