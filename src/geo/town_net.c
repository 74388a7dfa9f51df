/* Lines become a net: crossings and touching ends are made nodes, loose ends are tied or trimmed, what stands alone is dropped,
 * and what is left is handed to the source as ways. */
#include <stdlib.h>

#include "geo/town.h"

#define TIE_M 34.0   /* a loose end this near to a street belongs to it */
#define TRIM_M 30.0  /* a stub this short beyond a crossing is cut off */
#define MERGE_M 5.0  /* crossings this near are one */

typedef struct cut {
  uint32_t line, piece, node;
  double t;
} cut;

typedef struct netter {
  town *t;
  town_grid grid;
  MC_VEC(cut) cut;
  struct mc_map spot; /* 5 m cell -> 1 + newest node there */
  MC_VEC(uint32_t) spot_next;
  struct { uint32_t start, end; } *tie; /* per line: 1 + node at a tied end, 0 none */
  MC_VEC(uint32_t) from, to;            /* per line: range in seq */
  MC_VEC(uint32_t) seq;                 /* nodes along lines */
  MC_VEC(uint8_t) seq_over;             /* parallel: piece from this node on is a bridge */
  uint32_t *part;                       /* union-find over nodes */
  /* for visiting */
  uint32_t line, piece;
} netter;

/* ---- nodes ---- */
static uint32_t new_node(netter *n, vec2 p)
{
  town_note(n->t, mc_vec_push(&n->t->node, ((town_node){.at = p, .source = UINT32_MAX})));
  town_note(n->t, mc_vec_push(&n->spot_next, 0));
  return (uint32_t)n->t->node.len - 1;
}

static uint64_t spot_key(double x, double y)
{
  return (uint64_t)(uint32_t)(int32_t)floor(x / MERGE_M) << 32 | (uint32_t)(int32_t)floor(y / MERGE_M);
}

static uint32_t node_at(netter *n, vec2 p)
{
  for (int dy = -1; dy <= 1; dy++)
    for (int dx = -1; dx <= 1; dx++) {
      uint64_t at = 0;
      (void)mc_map_get(&n->spot, spot_key(p.x + dx * MERGE_M, p.y + dy * MERGE_M), &at);
      for (; at && at <= n->spot_next.len && n->t->node.at && n->spot_next.at; at = n->spot_next.at[at - 1])
        if (v2_dist(n->t->node.at[at - 1].at, p) < MERGE_M)
          return (uint32_t)at - 1;
    }
  uint64_t head = 0;
  (void)mc_map_get(&n->spot, spot_key(p.x, p.y), &head);
  uint32_t node = new_node(n, p);
  if (!n->t->err)
    n->spot_next.at[node] = (uint32_t)head;
  town_note(n->t, mc_map_put(&n->spot, spot_key(p.x, p.y), (uint64_t)node + 1));
  return node;
}

/* ---- bridges ---- */
static bool over_something(const town *t, vec2 p, bool watch_rail)
{
  if (town_sample(&t->inland, p) < 3 || town_sample(&t->sea, p) < 2)
    return true;
  return watch_rail && town_grid_nearest(&t->rail_grid, t->rail.at, p, 13, UINT32_MAX, NULL, NULL) < 13;
}

/* Walks a line in short steps, inserts points where bridges begin and end, and marks the pieces between. */
static mc_err find_bridges(town *t, town_line *l, bool watch_rail)
{
  vec2_vec p = {0};
  bool over = false;
  mc_err err = mc_vec_push(&p, l->p.at[0]);
  for (size_t i = 0; i + 1 < l->p.len && !err; i++) {
    vec2 a = l->p.at[i], b = l->p.at[i + 1];
    int steps = (int)(v2_dist(a, b) / 5) + 1;
    for (int k = 1; k <= steps && !err; k++) {
      vec2 q = v2_mix(a, b, (double)k / steps);
      bool now = over_something(t, q, watch_rail);
      if (now != over) {
        vec2 edge = now ? v2_mix(a, b, fmax(0, (k - 1.0) / steps)) : q;
        if (v2_dist(p.at[p.len - 1], edge) > 0.5) {
          err = mc_vec_push(&p, edge);
          if (!err)
            err = mc_vec_push(&l->over, over);
        }
        over = now;
      }
    }
    if (!err && v2_dist(p.at[p.len - 1], b) > 0.3) {
      err = mc_vec_push(&p, b);
      if (!err)
        err = mc_vec_push(&l->over, over);
    }
  }
  mc_vec_free(&l->p);
  l->p = p;
  return err;
}

/* Points that say nothing (within half a metre of the line between their neighbours) go. */
static void thin(vec2_vec *p)
{
  size_t kept = 1, base = 0; /* p->at[kept - 1] is the point that was at base; kept <= base + 1, so nothing unread is overwritten */
  vec2 from = p->at[0];
  for (size_t i = 1; i + 1 < p->len; i++) {
    bool needed = v2_dist(from, p->at[i + 1]) > 120;
    for (size_t k = base + 1; k <= i && !needed; k++)
      needed = town_piece_distance(p->at[k], from, p->at[i + 1], NULL) > 0.5;
    if (!needed)
      continue;
    base = i;
    from = p->at[i];
    p->at[kept++] = from;
  }
  p->at[kept++] = p->at[p->len - 1];
  p->len = kept;
}

/* ---- ties and crossings ---- */
static void add_cut(netter *n, uint32_t line, uint32_t piece, double t, uint32_t node)
{
  town_note(n->t, mc_vec_push(&n->cut, ((cut){line, piece, node, t})));
}

static uint32_t tie_end(netter *n, uint32_t line, vec2 end, double reach)
{
  town_hit hit;
  double t;
  if (town_grid_nearest(&n->grid, n->t->line.at, end, reach, line, &hit, &t) >= reach)
    return 0;
  const town_line *l = &n->t->line.at[hit.line];
  uint32_t node = node_at(n, v2_mix(l->p.at[hit.piece], l->p.at[hit.piece + 1], t));
  add_cut(n, hit.line, hit.piece, t, node);
  return node + 1;
}

static bool visit_crossing(void *ctx, town_hit h)
{
  netter *n = ctx;
  if (h.line < n->line || (h.line == n->line && h.piece <= n->piece + 1))
    return false;
  const town_line *a = &n->t->line.at[n->line], *b = &n->t->line.at[h.line];
  if (h.line == n->line && a->closed && n->piece == 0 && h.piece + 2 == a->p.len)
    return false;
  double t, u;
  if (!town_pieces_cross(a->p.at[n->piece], a->p.at[n->piece + 1], b->p.at[h.piece], b->p.at[h.piece + 1], &t, &u))
    return false;
  uint32_t node = node_at(n, v2_mix(a->p.at[n->piece], a->p.at[n->piece + 1], t));
  add_cut(n, n->line, n->piece, t, node);
  add_cut(n, h.line, h.piece, u, node);
  return false;
}

static void find_crossings(netter *n)
{
  for (n->line = 0; n->line < n->t->line.len; n->line++) {
    const town_line *l = &n->t->line.at[n->line];
    for (n->piece = 0; n->piece + 1 < l->p.len; n->piece++) {
      vec2 a = l->p.at[n->piece], b = l->p.at[n->piece + 1];
      town_grid_visit(&n->grid, v2(fmin(a.x, b.x), fmin(a.y, b.y)), v2(fmax(a.x, b.x), fmax(a.y, b.y)), visit_crossing, n);
    }
  }
}

static int compare_cuts(const void *x, const void *y)
{
  const cut *a = x, *b = y;
  if (a->line != b->line)
    return a->line < b->line ? -1 : 1;
  double p = a->piece + a->t, q = b->piece + b->t;
  return p < q ? -1 : p > q;
}

/* ---- sequences ---- */
static void seq_push(netter *n, size_t first, uint32_t node, bool over)
{
  if (n->seq.len > first && n->seq.at[n->seq.len - 1] == node) {
    n->seq_over.at[n->seq.len - 1] = over;
    return;
  }
  town_note(n->t, mc_vec_push(&n->seq, node));
  town_note(n->t, mc_vec_push(&n->seq_over, over));
}

/* Metres from the line's first point to piece + t. */
static double way_to(const town_line *l, uint32_t piece, double t)
{
  double sum = 0;
  for (uint32_t i = 0; i < piece; i++)
    sum += v2_dist(l->p.at[i], l->p.at[i + 1]);
  return sum + t * v2_dist(l->p.at[piece], l->p.at[piece + 1]);
}

static void sequence(netter *n, uint32_t line, const cut *c, size_t cuts)
{
  town_line *l = &n->t->line.at[line];
  size_t first = n->seq.len;
  double total = way_to(l, (uint32_t)l->p.len - 2, 1);
  bool trim_start = l->start_free && !n->tie[line].start && cuts && way_to(l, c[0].piece, c[0].t) < TRIM_M;
  bool trim_end = l->end_free && !n->tie[line].end && cuts && total - way_to(l, c[cuts - 1].piece, c[cuts - 1].t) < TRIM_M;
  if (n->tie[line].start)
    seq_push(n, first, n->tie[line].start - 1, false);
  uint32_t ring_start = UINT32_MAX;
  size_t k = 0;
  for (uint32_t i = 0; i < l->p.len; i++) {
    bool before = trim_start && (i < c[0].piece || (i == c[0].piece && c[0].t > 0) || i == 0);
    bool after = trim_end && (i > c[cuts - 1].piece);
    bool crowded = (k > 0 && v2_dist(n->t->node.at[c[k - 1].node].at, l->p.at[i]) < MERGE_M) ||
                   (k < cuts && v2_dist(n->t->node.at[c[k].node].at, l->p.at[i]) < MERGE_M);
    bool over = i < l->over.len && l->over.at[i];
    if (l->closed && i + 1 == l->p.len && ring_start != UINT32_MAX)
      seq_push(n, first, ring_start, false);
    else if (!before && !after && !crowded)
      seq_push(n, first, new_node(n, l->p.at[i]), over);
    if (i == 0 && n->seq.len > first)
      ring_start = n->seq.at[first];
    for (; k < cuts && c[k].piece == i; k++)
      seq_push(n, first, c[k].node, over);
    if (ring_start == UINT32_MAX && n->seq.len > first)
      ring_start = n->seq.at[first];
  }
  if (n->tie[line].end)
    seq_push(n, first, n->tie[line].end - 1, false);
  town_note(n->t, mc_vec_push(&n->from, (uint32_t)first));
  town_note(n->t, mc_vec_push(&n->to, (uint32_t)n->seq.len));
}

static uint32_t root(uint32_t *part, uint32_t v)
{
  while (part[v] != v)
    v = part[v] = part[part[v]];
  return v;
}

static void connect(netter *n)
{
  town *t = n->t;
  n->part = malloc((t->node.len + 1) * sizeof *n->part);
  if (!n->part) {
    town_note(t, MC_ERR_MEMORY);
    return;
  }
  for (uint32_t i = 0; i < t->node.len; i++)
    n->part[i] = i;
  for (uint32_t line = 0; line < t->line.len; line++)
    for (uint32_t i = n->from.at[line]; i + 1 < n->to.at[line]; i++) {
      uint32_t a = n->seq.at[i], b = n->seq.at[i + 1];
      if (a == b)
        continue;
      n->part[root(n->part, a)] = root(n->part, b);
      t->node.at[a].degree++;
      t->node.at[b].degree++;
      if (t->line.at[line].road <= MC_GEO_TERTIARY) {
        t->node.at[a].major++;
        t->node.at[b].major++;
      }
    }
}

/* ---- handing over ---- */
static uint32_t source_node(town *t, uint32_t node)
{
  town_node *n = &t->node.at[node];
  if (n->source == UINT32_MAX) {
    town_zone zone = town_zone_at(t, n->at);
    bool town_street = zone == ZONE_CORE || zone == ZONE_INNER || zone == ZONE_INDUSTRY || zone == ZONE_SUBURB;
    uint8_t flags = n->degree >= 3 && n->major >= 3 && town_street ? MC_GEO_SIGNALS : 0;
    if (!flags && n->degree >= 3 && n->major >= 2 && town_street && town_chance(&t->rng, 0.18))
      flags = MC_GEO_SIGNALS;
    n->source = mc_geo_source_node(t->s, town_place(n->at), flags);
  }
  return n->source;
}

static float posted(const town *t, const town_line *l, vec2 at)
{
  bool built_up = town_sample(&t->urban, at) > 0;
  switch (l->road) {
  case MC_GEO_MOTORWAY: return l->flags & MC_GEO_RAMP ? 60 : 100;
  case MC_GEO_TRUNK: return built_up ? 50 : 90;
  case MC_GEO_PRIMARY: return built_up ? 50 : 80;
  case MC_GEO_SECONDARY: return built_up ? 50 : 80;
  case MC_GEO_TERTIARY: return built_up ? 50 : 70;
  default: return 30;
  }
}

static void emit_run(town *t, const town_line *l, const uint32_t *node, size_t count, bool over)
{
  if (count < 2)
    return;
  MC_VEC(uint32_t) ref = {0};
  for (size_t i = 0; i < count; i++)
    town_note(t, mc_vec_push(&ref, source_node(t, node[i])));
  mc_geo_way way = {.road = l->road, .flags = (uint8_t)(l->flags | (over ? MC_GEO_BRIDGE : 0)), .drivable = l->road < MC_GEO_PATH,
                    .speed_kmh = posted(t, l, t->node.at[node[count / 2]].at), .name = l->name, .ref = l->ref};
  if (!t->err)
    mc_geo_source_way(t->s, way, ref.at, (uint32_t)ref.len);
  mc_vec_free(&ref);
}

static double length_of_line(const town_line *l)
{
  return way_to(l, (uint32_t)l->p.len - 2, 1);
}

/* A way per stretch of equal kind (on a bridge, in town or outside). */
static void emit_line(netter *n, uint32_t line, uint32_t main_part)
{
  town *t = n->t;
  town_line *l = &t->line.at[line];
  const uint32_t first = n->from.at[line], last = n->to.at[line];
  if (last - first < 2 || root(n->part, n->seq.at[first]) != main_part)
    return;
  if (!l->no_name && !l->name)
    l->name = town_street_name(t, (mc_geo_road)l->road, length_of_line(l));
  uint32_t start = first;
  for (uint32_t i = first; i + 1 < last; i++) {
    vec2 a = t->node.at[n->seq.at[i]].at, b = t->node.at[n->seq.at[i + 1]].at;
    if (n->seq.at[i] != n->seq.at[i + 1])
      town_note(t, mc_vec_push(&t->edge, ((town_edge){n->seq.at[i], n->seq.at[i + 1], line})));
    bool end = i + 2 == last;
    bool change = !end && (n->seq_over.at[i] != n->seq_over.at[i + 1] ||
                           (town_sample(&t->urban, v2_mix(a, b, 0.5)) > 0) !=
                               (town_sample(&t->urban, v2_mix(b, t->node.at[n->seq.at[i + 2]].at, 0.5)) > 0));
    if (!end && !change)
      continue;
    emit_run(t, l, n->seq.at + start, i + 2 - start, n->seq_over.at[i]);
    start = i + 1;
  }
}

/* ---- motorway: its own chains, joined to the net by ramps alone ---- */
typedef struct street_probe {
  const town *t;
  vec2 a, b;
  bool hit;
} street_probe;

static bool probe_street(void *ctx, town_hit h)
{
  street_probe *p = ctx;
  double t, u;
  const town_line *l = &p->t->line.at[h.line];
  p->hit = p->hit || town_pieces_cross(p->a, p->b, l->p.at[h.piece], l->p.at[h.piece + 1], &t, &u);
  return p->hit;
}

static bool above_street(const netter *n, vec2 a, vec2 b)
{
  vec2 d = v2_mul(v2_unit(v2_sub(b, a)), 9);
  street_probe p = {n->t, v2_sub(a, d), v2_add(b, d), false};
  town_grid_visit(&n->grid, v2(fmin(p.a.x, p.b.x), fmin(p.a.y, p.b.y)), v2(fmax(p.a.x, p.b.x), fmax(p.a.y, p.b.y)), probe_street, &p);
  return p.hit;
}

static void emit_carriageway(netter *n, const town_line *l, uint32_t *first_node)
{
  town *t = n->t;
  if (l->p.len < 2)
    return;
  size_t count = l->p.len - 1;
  *first_node = (uint32_t)t->node.len;
  for (size_t i = 0; i < count; i++)
    new_node(n, l->p.at[i]);
  MC_VEC(uint32_t) run = {0};
  bool over = false;
  for (size_t i = 0; i <= count && !t->err; i++) {
    vec2 a = l->p.at[i % count], b = l->p.at[(i + 1) % count];
    bool now = i < count && (over_something(t, v2_mix(a, b, 0.5), true) || above_street(n, a, b));
    town_note(t, mc_vec_push(&run, *first_node + (uint32_t)(i % count)));
    if (i == count || (now != over && run.len > 1)) {
      emit_run(t, l, run.at, run.len, over);
      mc_vec_clear(&run);
      town_note(t, mc_vec_push(&run, *first_node + (uint32_t)(i % count)));
    }
    over = now;
  }
  mc_vec_free(&run);
}

static uint32_t carriageway_node(const netter *n, const uint32_t first[2], vec2 p, double *distance)
{
  uint32_t best = 0;
  *distance = INFINITY;
  for (int k = 0; k < 2; k++)
    for (uint32_t i = 0; i + 1 < n->t->motorway.at[k].p.len; i++) {
      double d = v2_dist(n->t->node.at[first[k] + i].at, p);
      if (d < *distance) {
        *distance = d;
        best = first[k] + i;
      }
    }
  return best;
}

static void emit_ramp(netter *n, const town_line *l, const uint32_t first[2], uint32_t street_tie)
{
  double at_start, at_end;
  uint32_t start = carriageway_node(n, first, l->p.at[0], &at_start), end = carriageway_node(n, first, l->p.at[l->p.len - 1], &at_end);
  if (!street_tie)
    return;
  bool leaves = at_start < at_end;
  MC_VEC(uint32_t) run = {0};
  town_note(n->t, mc_vec_push(&run, leaves ? start : street_tie - 1));
  for (size_t i = 1; i + 1 < l->p.len; i++)
    town_note(n->t, mc_vec_push(&run, new_node(n, l->p.at[i])));
  town_note(n->t, mc_vec_push(&run, leaves ? street_tie - 1 : end));
  if (!n->t->err)
    emit_run(n->t, l, run.at, run.len, false);
  mc_vec_free(&run);
}

static void emit_rail(netter *n)
{
  town *t = n->t;
  for (size_t k = 0; k < t->rail.len && !t->err; k++) {
    town_line *l = &t->rail.at[k];
    town_note(t, find_bridges(t, l, false));
    size_t start = 0;
    for (size_t i = 0; i + 1 < l->p.len && !t->err; i++) {
      if (i + 2 < l->p.len && l->over.at[i] == l->over.at[i + 1])
        continue;
      MC_VEC(uint32_t) run = {0};
      for (size_t q = start; q <= i + 1; q++)
        town_note(t, mc_vec_push(&run, new_node(n, l->p.at[q])));
      if (!t->err)
        emit_run(t, l, run.at, run.len, l->over.at[i]);
      mc_vec_free(&run);
      start = i + 1;
    }
  }
}

static void prepare_lines(netter *n)
{
  town *t = n->t;
  for (uint32_t i = 0; i < t->line.len && !t->err; i++) {
    thin(&t->line.at[i].p);
    town_note(t, find_bridges(t, &t->line.at[i], t->line.at[i].road <= MC_GEO_TERTIARY));
    const town_line *l = &t->line.at[i];
    for (uint32_t k = 0; k + 1 < l->p.len; k++)
      town_note(t, town_grid_add(&n->grid, l->p.at[k], l->p.at[k + 1], i, k));
  }
}

static void build(netter *n, uint32_t *ramp_tie)
{
  town *t = n->t;
  prepare_lines(n);
  for (uint32_t i = 0; i < t->line.len && !t->err; i++) {
    const town_line *l = &t->line.at[i];
    double reach = l->road < MC_GEO_MINOR ? 90 : TIE_M;
    if (l->start_free)
      n->tie[i].start = tie_end(n, i, l->p.at[0], reach);
    if (l->end_free)
      n->tie[i].end = tie_end(n, i, l->p.at[l->p.len - 1], reach);
  }
  for (size_t k = 2; k < t->motorway.len; k++) { /* ramps end on a street: the end farther from the carriageways */
    const town_line *l = &t->motorway.at[k];
    vec2 a = l->p.at[0], b = l->p.at[l->p.len - 1];
    bool leaves = k % 2; /* interchange() makes on-ramp, off-ramp, on-ramp, off-ramp */
    ramp_tie[k] = tie_end(n, UINT32_MAX, leaves ? b : a, 60);
  }
  find_crossings(n);
  if (n->cut.len)
    qsort(n->cut.at, n->cut.len, sizeof *n->cut.at, compare_cuts);
  size_t c = 0;
  for (uint32_t i = 0; i < t->line.len && !t->err; i++) {
    size_t first = c;
    while (c < n->cut.len && n->cut.at[c].line == i)
      c++;
    sequence(n, i, n->cut.at + first, c - first);
  }
}

mc_err town_make_net(town *t)
{
  netter n = {.t = t};
  n.tie = calloc(t->line.len + 1, sizeof *n.tie);
  uint32_t *ramp_tie = calloc(t->motorway.len + 1, sizeof *ramp_tie);
  if (n.tie && ramp_tie)
    build(&n, ramp_tie);
  else
    t->err = MC_ERR_MEMORY;
  if (!t->err)
    connect(&n);
  uint32_t first[2] = {0};
  uint32_t main_part = t->err || !n.seq.len ? 0 : root(n.part, n.seq.at[n.from.at[0]]); /* line 0 is the boulevard */
  for (uint32_t i = 0; i < t->line.len && !t->err; i++)
    emit_line(&n, i, main_part);
  for (int k = 0; k < 2 && !t->err; k++)
    emit_carriageway(&n, &t->motorway.at[k], &first[k]);
  for (size_t k = 2; k < t->motorway.len && !t->err; k++)
    emit_ramp(&n, &t->motorway.at[k], first, ramp_tie[k]);
  if (!t->err)
    emit_rail(&n);
  town_grid_free(&n.grid);
  mc_vec_free(&n.cut);
  mc_map_free(&n.spot);
  mc_vec_free(&n.spot_next);
  mc_vec_free(&n.from);
  mc_vec_free(&n.to);
  mc_vec_free(&n.seq);
  mc_vec_free(&n.seq_over);
  free(n.tie);
  free(n.part);
  free(ramp_tie);
  return t->err;
}
