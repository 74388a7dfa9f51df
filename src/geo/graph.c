#include "geo/graph.h"

#include <math.h>
#include <stdlib.h>

/* ---- cutting ways at junctions ---- */
typedef struct builder {
  const mc_geo_source *s;
  uint8_t *use;      /* per source node: how many drivable ways pass, 2 = junction */
  uint32_t *dense;   /* source node -> graph node */
  MC_VEC(geo_link) link;
  MC_VEC(mc_geo_e7) point;
  MC_VEC(mc_geo_e7) node;
  MC_VEC(uint8_t) flags;
} builder;

static void count_uses(builder *b)
{
  const mc_geo_source *s = b->s;
  for (size_t w = 0; w < s->way.len; w++) {
    const mc_geo_way *way = &s->way.at[w];
    if (!way->drivable || way->count < 2)
      continue;
    for (uint32_t i = 0; i < way->count; i++) {
      uint8_t *use = &b->use[s->ref_node.at[way->first + i]];
      *use = i == 0 || i == way->count - 1 || *use ? 2 : 1;
    }
  }
  for (size_t n = 0; n < s->node.len; n++)
    if (b->use[n] && s->node_flags.at[n])
      b->use[n] = 2; /* a signal or stop sign is worth a node of its own */
}

static mc_err dense_node(builder *b, uint32_t source_node, uint32_t *out)
{
  if (b->dense[source_node] == MC_GEO_NONE) {
    b->dense[source_node] = (uint32_t)b->node.len;
    MC_TRY(mc_vec_push(&b->node, b->s->node.at[source_node]));
    MC_TRY(mc_vec_push(&b->flags, b->s->node_flags.at[source_node]));
  }
  *out = b->dense[source_node];
  return MC_OK;
}

static mc_err add_link(builder *b, const mc_geo_way *way, uint32_t first, uint32_t last)
{
  const mc_geo_source *s = b->s;
  geo_link link = {.first = (uint32_t)b->point.len, .name = way->name, .ref = way->ref, .road = way->road, .flags = way->flags};
  link.speed_kmh = way->speed_kmh > 0 ? way->speed_kmh : mc_geo_default_speed((mc_geo_road)way->road, way->flags);
  double length = 0;
  for (uint32_t i = first; i <= last; i++) {
    mc_geo_e7 p = s->node.at[s->ref_node.at[way->first + i]];
    if (i > first)
      length += mc_geo_distance_m(mc_geo_e7_point(b->point.at[b->point.len - 1]), mc_geo_e7_point(p));
    MC_TRY(mc_vec_push(&b->point, p));
  }
  link.count = last - first + 1;
  link.length_m = length > 0.05 ? (float)length : 0.05f; /* two nodes on one spot */
  MC_TRY(dense_node(b, s->ref_node.at[way->first + first], &link.from));
  MC_TRY(dense_node(b, s->ref_node.at[way->first + last], &link.to));
  return mc_vec_push(&b->link, link);
}

static mc_err cut_ways(builder *b)
{
  const mc_geo_source *s = b->s;
  for (size_t w = 0; w < s->way.len; w++) {
    const mc_geo_way *way = &s->way.at[w];
    if (!way->drivable || way->count < 2)
      continue;
    uint32_t first = 0;
    for (uint32_t i = 1; i < way->count; i++) {
      if (b->use[s->ref_node.at[way->first + i]] < 2)
        continue;
      MC_TRY(add_link(b, way, first, i));
      first = i;
    }
  }
  return MC_OK;
}

/* ---- adjacency and the core ---- */
static mc_err adjacency(mc_geo_graph *g)
{
  g->out_first = calloc((size_t)g->nodes + 1, sizeof *g->out_first);
  g->out_edge = calloc((size_t)g->links * 2 + 1, sizeof *g->out_edge);
  uint32_t *fill = calloc((size_t)g->nodes + 1, sizeof *fill);
  if (!g->out_first || !g->out_edge || !fill) {
    free(fill);
    return MC_ERR_MEMORY;
  }
  for (uint32_t e = 0; e < g->links * 2; e++)
    if (geo_edge_open(g, e))
      g->out_first[geo_edge_from(g, e) + 1]++;
  for (uint32_t n = 0; n < g->nodes; n++)
    fill[n + 1] = g->out_first[n + 1] += g->out_first[n];
  for (uint32_t e = 0; e < g->links * 2; e++)
    if (geo_edge_open(g, e))
      g->out_edge[fill[geo_edge_from(g, e)]++] = e;
  free(fill);
  return MC_OK;
}

typedef struct tarjan { /* Tarjan 1972, with its own stack: road chains are too deep for recursion */
  uint32_t *index, *low, *next, *stack, *call;
  uint32_t *part;
} tarjan;

static uint32_t strong_parts(const mc_geo_graph *g, tarjan *t)
{
  uint32_t counter = 0, parts = 0, stacked = 0;
  for (uint32_t root = 0; root < g->nodes; root++) {
    if (t->index[root])
      continue;
    uint32_t depth = 0;
    t->call[depth++] = root;
    while (depth) {
      uint32_t v = t->call[depth - 1];
      if (!t->index[v]) {
        t->index[v] = t->low[v] = ++counter;
        t->next[v] = g->out_first[v];
        t->stack[stacked++] = v;
      }
      bool descended = false;
      while (t->next[v] < g->out_first[v + 1]) {
        uint32_t w = geo_edge_to(g, g->out_edge[t->next[v]]);
        if (!t->index[w]) {
          t->call[depth++] = w;
          descended = true;
          break;
        }
        if (t->part[w] == MC_GEO_NONE && t->low[w] < t->low[v])
          t->low[v] = t->low[w];
        t->next[v]++;
      }
      if (descended)
        continue;
      if (t->low[v] == t->index[v]) {
        uint32_t w;
        do {
          w = t->stack[--stacked];
          t->part[w] = parts;
        } while (w != v);
        parts++;
      }
      depth--;
    }
  }
  return parts;
}

static mc_err find_core(mc_geo_graph *g)
{
  uint32_t *memory = calloc((size_t)g->nodes * 6 + 1, sizeof *memory);
  g->core = calloc((size_t)g->nodes + 1, 1);
  if (!memory || !g->core) {
    free(memory);
    return MC_ERR_MEMORY;
  }
  size_t n = g->nodes;
  tarjan t = {memory, memory + n, memory + 2 * n, memory + 3 * n, memory + 4 * n, memory + 5 * n};
  memset(t.part, 0xFF, n * sizeof *t.part);
  uint32_t parts = strong_parts(g, &t);
  uint32_t *size = t.index; /* done with it */
  memset(size, 0, n * sizeof *size);
  uint32_t best = 0;
  for (uint32_t v = 0; v < g->nodes; v++)
    size[t.part[v]]++;
  for (uint32_t p = 1; p < parts; p++)
    if (size[p] > size[best])
      best = p;
  for (uint32_t v = 0; v < g->nodes; v++)
    g->core[v] = t.part[v] == best;
  g->core_count = g->nodes ? size[best] : 0;
  free(memory);
  return MC_OK;
}

/* ---- life ---- */
static void measure(mc_geo_graph *g, size_t points)
{
  g->bounds = (mc_geo_bounds){180, 90, -180, -90};
  for (size_t i = 0; i < points; i++) {
    mc_geo_point p = mc_geo_e7_point(g->point[i]);
    g->bounds.west = fmin(g->bounds.west, p.lon);
    g->bounds.east = fmax(g->bounds.east, p.lon);
    g->bounds.south = fmin(g->bounds.south, p.lat);
    g->bounds.north = fmax(g->bounds.north, p.lat);
  }
  g->speed_max_kmh = 10;
  for (uint32_t i = 0; i < g->links; i++)
    g->speed_max_kmh = fmaxf(g->speed_max_kmh, g->link[i].speed_kmh);
}

static mc_err adopt(mc_geo_graph *g, builder *b)
{
  g->nodes = (uint32_t)b->node.len;
  g->links = (uint32_t)b->link.len;
  g->node = b->node.at;
  g->node_flags = b->flags.at;
  g->link = b->link.at;
  g->point = b->point.at;
  size_t points = b->point.len;
  memset(&b->node, 0, sizeof b->node);
  memset(&b->flags, 0, sizeof b->flags);
  memset(&b->link, 0, sizeof b->link);
  memset(&b->point, 0, sizeof b->point);
  g->text = malloc(b->s->text.len);
  if (!g->text)
    return MC_ERR_MEMORY;
  memcpy(g->text, b->s->text.data, b->s->text.len);
  measure(g, points);
  MC_TRY(adjacency(g));
  MC_TRY(find_core(g));
  return geo_graph_index(g);
}

mc_err mc_geo_graph_build(const mc_geo_source *s, mc_geo_graph **out, mc_why *why)
{
  builder b = {.s = s};
  *out = NULL;
  mc_geo_graph *g = calloc(1, sizeof *g);
  b.use = calloc(s->node.len + 1, 1);
  b.dense = malloc((s->node.len + 1) * sizeof *b.dense);
  mc_err err = g && b.use && b.dense ? MC_OK : MC_ERR_MEMORY;
  if (!err) {
    memset(b.dense, 0xFF, (s->node.len + 1) * sizeof *b.dense);
    count_uses(&b);
    err = cut_ways(&b);
  }
  if (!err && b.link.len == 0)
    err = mc_err_set(why, MC_ERR_INVALID, "the map holds no road that a car may use; give an extract with highways in it");
  if (!err)
    err = adopt(g, &b);
  if (err == MC_ERR_MEMORY)
    mc_err_set(why, err, "no memory for the road graph");
  mc_vec_free(&b.link);
  mc_vec_free(&b.point);
  mc_vec_free(&b.node);
  mc_vec_free(&b.flags);
  free(b.use);
  free(b.dense);
  if (err)
    mc_geo_graph_destroy(&g);
  *out = g;
  return err;
}

void mc_geo_graph_destroy(mc_geo_graph **graph)
{
  mc_geo_graph *g = *graph;
  *graph = NULL;
  if (!g)
    return;
  free(g->node);
  free(g->node_flags);
  free(g->core);
  free(g->link);
  free(g->point);
  free(g->out_first);
  free(g->out_edge);
  free(g->text);
  free(g->cell_first);
  free(g->cell_segment);
  free(g);
}

/* ---- reading ---- */
uint32_t mc_geo_graph_node_count(const mc_geo_graph *g) { return g->nodes; }
uint32_t mc_geo_graph_link_count(const mc_geo_graph *g) { return g->links; }
mc_geo_point mc_geo_graph_node(const mc_geo_graph *g, uint32_t node) { return mc_geo_e7_point(g->node[node]); }
uint8_t mc_geo_graph_node_flags(const mc_geo_graph *g, uint32_t node) { return g->node_flags[node]; }
bool mc_geo_graph_edge_open(const mc_geo_graph *g, uint32_t edge) { return edge < g->links * 2 && geo_edge_open(g, edge); }
bool mc_geo_graph_in_core(const mc_geo_graph *g, uint32_t node) { return g->core[node]; }
uint32_t mc_geo_graph_core_count(const mc_geo_graph *g) { return g->core_count; }
mc_geo_bounds mc_geo_graph_bounds(const mc_geo_graph *g) { return g->bounds; }

mc_geo_edge mc_geo_graph_edge(const mc_geo_graph *g, uint32_t edge)
{
  const geo_link *l = &g->link[edge >> 1];
  return (mc_geo_edge){.from = geo_edge_from(g, edge), .to = geo_edge_to(g, edge), .road = (mc_geo_road)l->road, .flags = l->flags,
                       .length_m = l->length_m, .speed_kmh = l->speed_kmh, .name = g->text + l->name, .ref = g->text + l->ref};
}

uint32_t mc_geo_graph_out(const mc_geo_graph *g, uint32_t node, const uint32_t **edge)
{
  *edge = g->out_edge + g->out_first[node];
  return g->out_first[node + 1] - g->out_first[node];
}

uint32_t mc_geo_graph_shape(const mc_geo_graph *g, uint32_t edge, mc_geo_point *out, uint32_t cap)
{
  const geo_link *l = &g->link[edge >> 1];
  for (uint32_t i = 0; i < l->count && i < cap; i++)
    out[i] = mc_geo_e7_point(g->point[l->first + (edge & 1 ? l->count - 1 - i : i)]);
  return l->count;
}
