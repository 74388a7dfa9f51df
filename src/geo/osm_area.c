/* Rings from ways: multipolygon relations, and the sea from the coastline. */
#include <math.h>
#include <stdlib.h>

#include "geo/osm.h"

/* ---- joining ---- */
typedef struct end_of_way {
  int64_t node;
  uint32_t way; /* index into the list given to osm_join */
} end_of_way;

static int compare_ends(const void *a, const void *b)
{
  const end_of_way *x = a, *y = b;
  return x->node < y->node ? -1 : x->node > y->node ? 1 : x->way < y->way ? -1 : x->way > y->way;
}

static mc_err append(const osm_reader *r, const osm_kept_way *w, bool backward, bool skip_first, osm_vertex_vec *out)
{
  for (uint32_t i = skip_first; i < w->count; i++)
    MC_TRY(mc_vec_push(out, r->vertex.at[w->first + (backward ? w->count - 1 - i : i)]));
  return MC_OK;
}

/* An unused way that has an end at node; its index in the list, or SIZE_MAX. */
static size_t next_way(const end_of_way *ends, size_t count, int64_t node, const uint8_t *used)
{
  size_t low = 0, high = count;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (ends[mid].node < node)
      low = mid + 1;
    else
      high = mid;
  }
  for (; low < count && ends[low].node == node; low++)
    if (!used[ends[low].way])
      return ends[low].way;
  return SIZE_MAX;
}

static int64_t first_node(const osm_reader *r, const osm_kept_way *w) { return r->vertex.at[w->first].id; }
static int64_t last_node(const osm_reader *r, const osm_kept_way *w) { return r->vertex.at[w->first + w->count - 1].id; }

static mc_err grow_chain(const osm_reader *r, const uint32_t *way, const end_of_way *ends, size_t end_count, uint8_t *used, osm_vertex_vec *chain)
{
  while (chain->len < 2 || chain->at[0].id != chain->at[chain->len - 1].id) {
    int64_t tail = chain->at[chain->len - 1].id;
    size_t next = next_way(ends, end_count, tail, used);
    if (next == SIZE_MAX)
      return MC_OK;
    const osm_kept_way *w = &r->kept.at[way[next]];
    used[next] = 1;
    MC_TRY(append(r, w, first_node(r, w) != tail, true, chain));
  }
  return MC_OK;
}

/* The same at the other end: ways are put in front, in their own direction where they have one. */
static mc_err grow_head(const osm_reader *r, const uint32_t *way, const end_of_way *ends, size_t end_count, uint8_t *used, osm_vertex_vec *chain)
{
  osm_vertex_vec longer = {0};
  mc_err err = MC_OK;
  while (!err && chain->at[0].id != chain->at[chain->len - 1].id) {
    int64_t head = chain->at[0].id;
    size_t next = next_way(ends, end_count, head, used);
    if (next == SIZE_MAX)
      break;
    const osm_kept_way *w = &r->kept.at[way[next]];
    used[next] = 1;
    mc_vec_clear(&longer);
    err = append(r, w, last_node(r, w) != head, false, &longer);
    for (size_t i = 1; i < chain->len && !err; i++)
      err = mc_vec_push(&longer, chain->at[i]);
    osm_vertex_vec swap = *chain;
    *chain = longer;
    longer = swap;
  }
  mc_vec_free(&longer);
  return err;
}

mc_err osm_join(const osm_reader *r, const uint32_t *way, size_t count, mc_err (*emit)(void *ctx, const osm_vertex *v, size_t n, bool closed), void *ctx)
{
  end_of_way *ends = malloc((count * 2 + 1) * sizeof *ends);
  uint8_t *used = calloc(count + 1, 1);
  osm_vertex_vec chain = {0};
  mc_err err = ends && used ? MC_OK : MC_ERR_MEMORY;
  size_t n = 0;
  for (size_t i = 0; i < count && !err; i++) {
    const osm_kept_way *w = &r->kept.at[way[i]];
    used[i] = w->count < 2;
    if (used[i])
      continue;
    ends[n++] = (end_of_way){first_node(r, w), (uint32_t)i};
    ends[n++] = (end_of_way){last_node(r, w), (uint32_t)i};
  }
  if (!err && n)
    qsort(ends, n, sizeof *ends, compare_ends);
  for (size_t i = 0; i < count && !err; i++) {
    if (used[i])
      continue;
    used[i] = 1;
    mc_vec_clear(&chain);
    err = append(r, &r->kept.at[way[i]], false, false, &chain);
    if (!err)
      err = grow_chain(r, way, ends, n, used, &chain);
    if (!err)
      err = grow_head(r, way, ends, n, used, &chain);
    bool closed = chain.len >= 4 && chain.at[0].id == chain.at[chain.len - 1].id;
    if (!err)
      err = emit(ctx, chain.at, chain.len - closed, closed);
  }
  mc_vec_free(&chain);
  free(ends);
  free(used);
  return err;
}

/* ---- multipolygons ---- */
typedef struct ring {
  uint32_t first, count; /* into rings.vertex */
  bool inner;
} ring;

typedef struct rings {
  osm_vertex_vec vertex;
  MC_VEC(ring) ring;
  bool inner; /* role of what is being joined */
} rings;

static mc_err take_ring(void *ctx, const osm_vertex *v, size_t n, bool closed)
{
  rings *out = ctx;
  if (!closed)
    return MC_OK; /* cut by the extract's edge: half an area is worse than none */
  ring one = {(uint32_t)out->vertex.len, (uint32_t)n, out->inner};
  for (size_t i = 0; i < n; i++)
    MC_TRY(mc_vec_push(&out->vertex, v[i]));
  return mc_vec_push(&out->ring, one);
}

static bool holds_point(const mc_geo_e7 *v, size_t n, mc_geo_e7 p)
{
  bool in = false;
  for (size_t i = 0, k = n - 1; i < n; k = i++)
    if ((v[i].lat > p.lat) != (v[k].lat > p.lat) &&
        p.lon < ((double)v[k].lon - v[i].lon) * ((double)p.lat - v[i].lat) / ((double)v[k].lat - v[i].lat) + v[i].lon)
      in = !in;
  return in;
}

static mc_err put_ring(osm_reader *r, const rings *all, const ring *one)
{
  mc_vec_clear(&r->shape);
  for (uint32_t i = 0; i < one->count; i++)
    MC_TRY(mc_vec_push(&r->shape, all->vertex.at[one->first + i].at));
  mc_geo_source_part(r->s, r->shape.at, (uint32_t)r->shape.len);
  return r->s->err;
}

/* Holes go to the outer ring (still in source points) that holds their first point. */
static mc_err put_holes(osm_reader *r, const rings *all, mc_geo_part outer)
{
  for (size_t k = 0; k < all->ring.len; k++) {
    const ring *inner = &all->ring.at[k];
    if (inner->inner && holds_point(r->s->point.at + outer.first, outer.count, all->vertex.at[inner->first].at))
      MC_TRY(put_ring(r, all, inner));
  }
  return MC_OK;
}

static mc_err put_polygons(osm_reader *r, const rings *all, const osm_relation *rel)
{
  for (size_t i = 0; i < all->ring.len; i++) {
    if (all->ring.at[i].inner)
      continue;
    mc_geo_source_shape(r->s, (mc_geo_layer)rel->layer, rel->kind, rel->layer == MC_GEO_LAYER_BUILDING ? 0 : rel->name);
    MC_TRY(put_ring(r, all, &all->ring.at[i]));
    MC_TRY(put_holes(r, all, r->s->part.at[r->s->part.len - 1]));
  }
  return MC_OK;
}

static mc_err put_boundary(void *ctx, const osm_vertex *v, size_t n, bool closed)
{
  osm_reader *r = ctx;
  if (n < 2)
    return MC_OK;
  mc_vec_clear(&r->shape);
  for (size_t i = 0; i < n + closed; i++)
    MC_TRY(mc_vec_push(&r->shape, v[i < n ? i : 0].at));
  mc_geo_source_shape(r->s, MC_GEO_LAYER_BOUNDARY, 0, 0);
  mc_geo_source_part(r->s, r->shape.at, (uint32_t)r->shape.len);
  return r->s->err;
}

static mc_err assemble(osm_reader *r, const osm_relation *rel, rings *all)
{
  MC_VEC(uint32_t) way = {0};
  mc_err err = MC_OK;
  mc_vec_clear(&all->vertex);
  mc_vec_clear(&all->ring);
  for (int role = 0; role < 2 && !err; role++) {
    mc_vec_clear(&way);
    for (uint32_t i = 0; i < rel->count && !err; i++) {
      const osm_member *m = &r->member.at[rel->first + i];
      uint64_t index = 0;
      if (m->inner == role && mc_map_get(&r->wanted, (uint64_t)m->way, &index) && index)
        err = mc_vec_push(&way, (uint32_t)index - 1);
    }
    all->inner = role;
    if (!err && rel->boundary && role == 0)
      err = osm_join(r, way.at, way.len, put_boundary, r);
    else if (!err && !rel->boundary)
      err = osm_join(r, way.at, way.len, take_ring, all);
  }
  mc_vec_free(&way);
  return err;
}

mc_err osm_assemble_areas(osm_reader *r)
{
  rings all = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; i < r->relation.len && !err; i++) {
    const osm_relation *rel = &r->relation.at[i];
    if (!rel->tagged && !rel->boundary)
      continue; /* old style: the tags are on the outer way, which is drawn as an area of its own */
    err = assemble(r, rel, &all);
    if (!err && rel->tagged)
      err = put_polygons(r, &all, rel);
  }
  mc_vec_free(&all.vertex);
  mc_vec_free(&all.ring);
  return err;
}

/* ---- the sea ----
 * A coastline runs with land on its left. Seen backwards the sea is on the left, as the inside of a counter-clockwise ring is; so
 * the chains are taken backwards, cut to the box, and joined along the box's edge counter-clockwise. An extract knows its coast
 * only so far: the box is grown by SEA_MARGIN, and a chain that just ends is prolonged along its own chord, so that the sea does
 * not stop at a ruler line beside the town. */
#define SEA_MARGIN 0.5 /* degrees */
typedef struct shore {
  uint32_t first, count; /* into sea.point */
  double enter, leave;   /* places on the box's edge, 0..4 counter-clockwise from the south-west corner */
  bool used;
} shore;

typedef struct sea {
  osm_reader *r;
  mc_geo_bounds box;
  MC_VEC(mc_geo_point) chain; /* the chain at hand, backwards */
  MC_VEC(mc_geo_point) point;
  MC_VEC(shore) shore;
  MC_VEC(mc_geo_e7) island; /* closed rings, laid end to end */
  MC_VEC(uint32_t) island_len;
} sea;

static bool in_box(const sea *s, mc_geo_point p)
{
  return p.lon >= s->box.west && p.lon <= s->box.east && p.lat >= s->box.south && p.lat <= s->box.north;
}

/* Place on the edge nearest to p. */
static double edge_place(const sea *s, mc_geo_point p)
{
  double w = s->box.east - s->box.west, h = s->box.north - s->box.south;
  double x = fmin(1, fmax(0, (p.lon - s->box.west) / w)), y = fmin(1, fmax(0, (p.lat - s->box.south) / h));
  double best = y * h, place = x;
  if ((1 - x) * w < best)
    best = (1 - x) * w, place = 1 + y;
  if ((1 - y) * h < best)
    best = (1 - y) * h, place = 2 + (1 - x);
  if (x * w < best)
    place = 3 + (1 - y);
  return place;
}

static mc_geo_point edge_point(const sea *s, double place)
{
  double w = s->box.east - s->box.west, h = s->box.north - s->box.south, t = place - floor(place);
  switch ((int)floor(place) & 3) {
  case 0: return (mc_geo_point){s->box.west + t * w, s->box.south};
  case 1: return (mc_geo_point){s->box.east, s->box.south + t * h};
  case 2: return (mc_geo_point){s->box.east - t * w, s->box.north};
  default: return (mc_geo_point){s->box.west, s->box.north - t * h};
  }
}

/* Where a..b crosses the edge; one of them is inside. */
static mc_geo_point crossing(const sea *s, mc_geo_point a, mc_geo_point b)
{
  mc_geo_point in = in_box(s, a) ? a : b, out = in_box(s, a) ? b : a;
  for (int i = 0; i < 40; i++) { /* halving: exact enough, and no special cases at corners */
    mc_geo_point mid = {(in.lon + out.lon) / 2, (in.lat + out.lat) / 2};
    if (in_box(s, mid))
      in = mid;
    else
      out = mid;
  }
  return in;
}

static mc_err close_shore(sea *s, shore *open)
{
  open->count = (uint32_t)s->point.len - open->first;
  if (open->count < 2) {
    s->point.len = open->first;
    return MC_OK;
  }
  open->enter = edge_place(s, s->point.at[open->first]);
  open->leave = edge_place(s, s->point.at[s->point.len - 1]);
  return mc_vec_push(&s->shore, *open);
}

/* The chain's parts inside the box become shores. */
static mc_err cut_chain(sea *s)
{
  shore open = {.first = (uint32_t)s->point.len};
  for (size_t i = 0; i < s->chain.len; i++) {
    mc_geo_point p = s->chain.at[i], last = i ? s->chain.at[i - 1] : p;
    if (i && in_box(s, p) != in_box(s, last))
      MC_TRY(mc_vec_push(&s->point, crossing(s, last, p)));
    if (in_box(s, p)) {
      MC_TRY(mc_vec_push(&s->point, p));
    } else if (s->point.len > open.first) {
      MC_TRY(close_shore(s, &open));
      open.first = (uint32_t)s->point.len;
    }
  }
  return close_shore(s, &open);
}

static mc_err take_coast(void *ctx, const osm_vertex *v, size_t n, bool closed)
{
  sea *s = ctx;
  bool all_in = true;
  for (size_t i = 0; i < n; i++)
    all_in = all_in && in_box(s, mc_geo_e7_point(v[i].at));
  if (closed && all_in) { /* an island */
    for (size_t i = 0; i < n; i++)
      MC_TRY(mc_vec_push(&s->island, v[i].at));
    return mc_vec_push(&s->island_len, (uint32_t)n);
  }
  mc_vec_clear(&s->chain);
  mc_geo_point from = mc_geo_e7_point(v[n - 1].at), to = mc_geo_e7_point(v[0].at);
  double chord = hypot(to.lon - from.lon, to.lat - from.lat), far = chord > 0 ? 4 * SEA_MARGIN / chord : 0;
  mc_geo_point step = {(to.lon - from.lon) * far, (to.lat - from.lat) * far};
  if (!closed)
    MC_TRY(mc_vec_push(&s->chain, ((mc_geo_point){from.lon - step.lon, from.lat - step.lat})));
  for (size_t i = 0; i < n + closed; i++)
    MC_TRY(mc_vec_push(&s->chain, mc_geo_e7_point(v[(2 * n - 1 - i) % n].at)));
  if (!closed)
    MC_TRY(mc_vec_push(&s->chain, ((mc_geo_point){to.lon + step.lon, to.lat + step.lat})));
  return cut_chain(s);
}

/* The shore whose entry comes first counter-clockwise from place. */
static shore *next_shore(sea *s, double place)
{
  shore *best = NULL;
  double best_way = 5;
  for (size_t i = 0; i < s->shore.len; i++) {
    double way = s->shore.at[i].enter - place;
    way = way < 0 ? way + 4 : way;
    if (way < best_way) {
      best_way = way;
      best = &s->shore.at[i];
    }
  }
  return best;
}

static mc_err walk_edge(const sea *s, double from, double to, osm_reader *r)
{
  if (to < from)
    to += 4;
  for (double corner = floor(from) + 1; corner < to; corner += 1)
    MC_TRY(mc_vec_push(&r->shape, mc_geo_e7_of(edge_point(s, fmod(corner, 4)))));
  return MC_OK;
}

/* The ring in r->shape becomes sea, with the islands in it as holes. */
static mc_err put_sea(sea *s)
{
  osm_reader *r = s->r;
  mc_geo_source_shape(r->s, MC_GEO_LAYER_WATER, MC_GEO_SEA, 0);
  mc_geo_source_part(r->s, r->shape.at, (uint32_t)r->shape.len);
  uint32_t at = 0;
  for (size_t i = 0; i < s->island_len.len; i++) {
    if (holds_point(r->shape.at, r->shape.len, s->island.at[at]))
      mc_geo_source_part(r->s, s->island.at + at, s->island_len.at[i]);
    at += s->island_len.at[i];
  }
  return r->s->err;
}

static mc_err trace_sea(sea *s, shore *start)
{
  osm_reader *r = s->r;
  mc_vec_clear(&r->shape);
  for (shore *at = start;;) {
    at->used = true;
    for (uint32_t i = 0; i < at->count; i++)
      MC_TRY(mc_vec_push(&r->shape, mc_geo_e7_of(s->point.at[at->first + i])));
    shore *next = next_shore(s, at->leave);
    MC_TRY(walk_edge(s, at->leave, next->enter, r));
    if (next == start || next->used)
      break;
    at = next;
  }
  return put_sea(s);
}

/* Islands alone in the box: the sea is the whole box around them. */
static mc_err fill_box(sea *s)
{
  mc_vec_clear(&s->r->shape);
  for (int corner = 0; corner < 4; corner++)
    MC_TRY(mc_vec_push(&s->r->shape, mc_geo_e7_of(edge_point(s, corner))));
  return put_sea(s);
}

mc_err osm_assemble_sea(osm_reader *r)
{
  if (r->coast.len == 0)
    return MC_OK;
  sea s = {.r = r, .box = {r->box.west - SEA_MARGIN, r->box.south - SEA_MARGIN, r->box.east + SEA_MARGIN, r->box.north + SEA_MARGIN}};
  mc_err err = osm_join(r, r->coast.at, r->coast.len, take_coast, &s);
  if (!err && s.shore.len == 0 && s.island_len.len)
    err = fill_box(&s);
  for (size_t i = 0; i < s.shore.len && !err; i++)
    if (!s.shore.at[i].used)
      err = trace_sea(&s, &s.shore.at[i]);
  mc_vec_free(&s.chain);
  mc_vec_free(&s.point);
  mc_vec_free(&s.shore);
  mc_vec_free(&s.island);
  mc_vec_free(&s.island_len);
  return err;
}
