/* An OSM PBF extract becomes a source: one walk for relations (they name the ways we must keep), one for nodes and
 * ways, then rings are put together. */
#include "geo/osm.h"

#include <math.h>
#include <stdlib.h>

static const mc_geo_e7 *find_node(const osm_reader *r, int64_t id, size_t *index)
{
  size_t low = 0, high = r->id.len;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (r->id.at[mid] < id)
      low = mid + 1;
    else
      high = mid;
  }
  if (low == r->id.len || r->id.at[low] != id)
    return NULL; /* extracts cut ways: nodes may be missing */
  *index = low;
  return &r->at.at[low];
}

/* ---- first walk: relations ---- */
static mc_err on_relation(void *ctx, const mc_osm_relation *rel)
{
  osm_reader *r = ctx;
  mc_slice type = mc_osm_tag_find(rel->tag, rel->tag_count, "type");
  osm_relation out = {.id = rel->id, .first = (uint32_t)r->member.len};
  out.boundary = mc_slice_eq_str(mc_osm_tag_find(rel->tag, rel->tag_count, "boundary"), "administrative");
  if (!out.boundary && !mc_slice_eq_str(type, "multipolygon"))
    return MC_OK;
  out.tagged = !out.boundary && osm_read_area(rel->tag, rel->tag_count, false, &out.layer, &out.kind);
  out.name = mc_geo_source_text(r->s, mc_osm_tag_find(rel->tag, rel->tag_count, "name"));
  for (uint32_t i = 0; i < rel->member_count; i++) {
    const mc_osm_member *m = &rel->member[i];
    if (m->kind != MC_OSM_WAY)
      continue;
    osm_member member = {m->id, mc_slice_eq_str(m->role, "inner")};
    MC_TRY(mc_vec_push(&r->member, member));
    MC_TRY(mc_map_put(&r->wanted, (uint64_t)m->id, 0));
  }
  out.count = (uint32_t)r->member.len - out.first;
  return mc_vec_push(&r->relation, out);
}

static mc_err on_box(void *ctx, double west, double south, double east, double north)
{
  osm_reader *r = ctx;
  r->box = (mc_geo_bounds){west, south, east, north};
  r->has_box = west < east && south < north;
  return MC_OK;
}

/* ---- second walk: nodes ---- */
static void name_the_map(osm_reader *r, const mc_osm_node *n, uint8_t kind)
{
  if (kind > MC_GEO_VILLAGE)
    return;
  double people = 0;
  (void)mc_slice_to_double(mc_osm_tag_find(n->tag, n->tag_count, "population"), &people);
  double rank = (3 - kind) * 1e9 + people;
  if (mc_slice_eq_str(mc_osm_tag_find(n->tag, n->tag_count, "capital"), "yes"))
    rank += 1e12;
  if (rank <= r->best_place)
    return;
  r->best_place = rank;
  r->s->name = mc_geo_source_text(r->s, mc_osm_tag_find(n->tag, n->tag_count, "name"));
}

static mc_err on_node(void *ctx, const mc_osm_node *n)
{
  osm_reader *r = ctx;
  mc_geo_e7 at = {n->lon_e7, n->lat_e7};
  if (r->id.len && n->id <= r->id.at[r->id.len - 1])
    r->unsorted = true;
  MC_TRY(mc_vec_push(&r->id, n->id));
  MC_TRY(mc_vec_push(&r->at, at));
  MC_TRY(mc_vec_push(&r->flags, n->tag_count ? osm_read_node_flags(n->tag, n->tag_count) : (uint8_t)0));
  uint8_t kind;
  if (n->tag_count == 0 || !osm_read_place(n->tag, n->tag_count, &kind))
    return MC_OK;
  name_the_map(r, n, kind);
  mc_geo_source_shape(r->s, MC_GEO_LAYER_PLACE, kind, mc_geo_source_text(r->s, mc_osm_tag_find(n->tag, n->tag_count, "name")));
  mc_geo_source_part(r->s, &at, 1);
  return r->s->err;
}

typedef struct loose_node {
  int64_t id;
  mc_geo_e7 at;
  uint8_t flags;
} loose_node;

static int compare_loose(const void *a, const void *b)
{
  int64_t x = ((const loose_node *)a)->id, y = ((const loose_node *)b)->id;
  return x < y ? -1 : x > y;
}

static mc_err sort_nodes(osm_reader *r)
{
  size_t n = r->id.len;
  loose_node *all = malloc((n + 1) * sizeof *all);
  if (!all)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < n; i++)
    all[i] = (loose_node){r->id.at[i], r->at.at[i], r->flags.at[i]};
  qsort(all, n, sizeof *all, compare_loose);
  for (size_t i = 0; i < n; i++) {
    r->id.at[i] = all[i].id;
    r->at.at[i] = all[i].at;
    r->flags.at[i] = all[i].flags;
  }
  free(all);
  return MC_OK;
}

static mc_err finish_nodes(osm_reader *r)
{
  if (r->nodes_done)
    return MC_OK;
  r->nodes_done = true;
  if (r->unsorted)
    MC_TRY(sort_nodes(r));
  MC_TRY(mc_vec_reserve(&r->road_node, r->id.len + 1));
  for (size_t i = 0; i < r->id.len; i++)
    r->road_node.at[i] = MC_GEO_NONE;
  r->road_node.len = r->id.len;
  return MC_OK;
}

/* ---- second walk: ways ---- */
static mc_err keep_way(osm_reader *r, const mc_osm_way *w, uint32_t *index)
{
  osm_kept_way kept = {w->id, (uint32_t)r->vertex.len, 0};
  for (uint32_t i = 0; i < w->ref_count; i++) {
    size_t at;
    const mc_geo_e7 *p = find_node(r, w->ref[i], &at);
    if (!p)
      continue;
    osm_vertex v = {w->ref[i], *p};
    MC_TRY(mc_vec_push(&r->vertex, v));
  }
  kept.count = (uint32_t)r->vertex.len - kept.first;
  *index = (uint32_t)r->kept.len;
  return mc_vec_push(&r->kept, kept);
}

static void add_road(osm_reader *r, const mc_osm_way *w, const osm_meaning *m)
{
  mc_geo_way way = m->road;
  way.name = mc_geo_source_text(r->s, mc_osm_tag_find(w->tag, w->tag_count, "name"));
  way.ref = mc_geo_source_text(r->s, mc_osm_tag_find(w->tag, w->tag_count, "ref"));
  mc_vec_clear(&r->ref);
  for (uint32_t i = 0; i < w->ref_count; i++) {
    size_t at;
    const mc_geo_e7 *p = find_node(r, w->ref[m->reversed ? w->ref_count - 1 - i : i], &at);
    if (!p)
      continue;
    if (r->road_node.at[at] == MC_GEO_NONE)
      r->road_node.at[at] = mc_geo_source_node(r->s, *p, r->flags.at[at]);
    if (mc_vec_push(&r->ref, r->road_node.at[at]))
      r->s->err = MC_ERR_MEMORY;
  }
  if (r->ref.len >= 2)
    mc_geo_source_way(r->s, way, r->ref.at, (uint32_t)r->ref.len);
}

static mc_err add_shape(osm_reader *r, const mc_osm_way *w, const osm_meaning *m)
{
  mc_vec_clear(&r->shape);
  for (uint32_t i = 0; i < w->ref_count; i++) {
    size_t at;
    const mc_geo_e7 *p = find_node(r, w->ref[i], &at);
    if (p)
      MC_TRY(mc_vec_push(&r->shape, *p));
  }
  size_t n = r->shape.len;
  if (m->is_area && n && r->shape.at[0].lon == r->shape.at[n - 1].lon && r->shape.at[0].lat == r->shape.at[n - 1].lat)
    n--;
  if (n < (m->is_area ? 3u : 2u))
    return MC_OK;
  bool named = m->layer != MC_GEO_LAYER_BUILDING;
  mc_geo_source_shape(r->s, (mc_geo_layer)m->layer, m->kind,
                      named ? mc_geo_source_text(r->s, mc_osm_tag_find(w->tag, w->tag_count, "name")) : 0);
  mc_geo_source_part(r->s, r->shape.at, (uint32_t)n);
  return r->s->err;
}

static mc_err on_way(void *ctx, const mc_osm_way *w)
{
  osm_reader *r = ctx;
  MC_TRY(finish_nodes(r));
  bool closed = w->ref_count >= 4 && w->ref[0] == w->ref[w->ref_count - 1];
  osm_meaning m = osm_read_way(w->tag, w->tag_count, closed);
  uint64_t unused;
  bool wanted = mc_map_get(&r->wanted, (uint64_t)w->id, &unused);
  if (wanted || m.is_coast) {
    uint32_t index = 0;
    MC_TRY(keep_way(r, w, &index));
    if (wanted)
      MC_TRY(mc_map_put(&r->wanted, (uint64_t)w->id, index + 1));
    if (m.is_coast)
      MC_TRY(mc_vec_push(&r->coast, index));
  }
  if (m.is_road)
    add_road(r, w, &m);
  if (m.is_area || (m.is_line && !(wanted && m.layer == MC_GEO_LAYER_BOUNDARY)))
    MC_TRY(add_shape(r, w, &m));
  return r->s->err;
}

/* The view: the box of the drivable roads, within the extract's own box. */
static void choose_bounds(osm_reader *r)
{
  mc_geo_source *s = r->s;
  mc_geo_bounds b = {180, 90, -180, -90};
  for (size_t i = 0; i < s->node.len; i++) {
    mc_geo_point p = mc_geo_e7_point(s->node.at[i]);
    if (r->has_box && (p.lon < r->box.west || p.lon > r->box.east || p.lat < r->box.south || p.lat > r->box.north))
      continue;
    b.west = fmin(b.west, p.lon);
    b.east = fmax(b.east, p.lon);
    b.south = fmin(b.south, p.lat);
    b.north = fmax(b.north, p.lat);
  }
  s->bounds = b.west <= b.east ? b : r->box;
  if (!r->has_box)
    r->box = s->bounds;
}

static mc_err read_all(osm_reader *r, mc_slice pbf, mc_why *why)
{
  mc_osm_visitor relations = {.ctx = r, .relation = on_relation, .box = on_box};
  mc_osm_visitor rest = {.ctx = r, .node = on_node, .way = on_way};
  MC_TRY(mc_osm_pbf_read(pbf, &relations, why));
  MC_TRY(mc_osm_pbf_read(pbf, &rest, why));
  choose_bounds(r);
  MC_TRY(osm_assemble_areas(r));
  MC_TRY(osm_assemble_sea(r));
  return r->s->err;
}

mc_err mc_geo_source_read_osm(mc_geo_source *s, mc_slice pbf, mc_why *why)
{
  osm_reader r = {.s = s};
  s->attribution = "© OpenStreetMap contributors";
  mc_err err = read_all(&r, pbf, why);
  if (err == MC_ERR_MEMORY)
    mc_err_set(why, err, "no memory to read the map extract of %zu bytes", pbf.len);
  mc_vec_free(&r.id);
  mc_vec_free(&r.at);
  mc_vec_free(&r.flags);
  mc_vec_free(&r.road_node);
  mc_vec_free(&r.relation);
  mc_vec_free(&r.member);
  mc_map_free(&r.wanted);
  mc_vec_free(&r.kept);
  mc_vec_free(&r.vertex);
  mc_vec_free(&r.coast);
  mc_vec_free(&r.ref);
  mc_vec_free(&r.shape);
  return err;
}

static mc_err build(const mc_geo_source *s, mc_geo_map **map, mc_geo_graph **graph, mc_why *why)
{
  if (graph)
    MC_TRY(mc_geo_graph_build(s, graph, why));
  mc_err err = map ? mc_geo_map_build(s, map, why) : MC_OK;
  if (err && graph)
    mc_geo_graph_destroy(graph);
  return err;
}

mc_err mc_geo_load_osm(mc_slice pbf, mc_geo_map **map, mc_geo_graph **graph, mc_why *why)
{
  mc_geo_source s;
  mc_geo_source_init(&s);
  if (map)
    *map = NULL;
  if (graph)
    *graph = NULL;
  mc_err err = mc_geo_source_read_osm(&s, pbf, why);
  if (!err)
    err = build(&s, map, graph, why);
  mc_geo_source_free(&s);
  return err;
}

mc_err mc_geo_make_town(uint64_t seed, mc_geo_map **map, mc_geo_graph **graph, mc_why *why)
{
  mc_geo_source s;
  mc_geo_source_init(&s);
  if (map)
    *map = NULL;
  if (graph)
    *graph = NULL;
  mc_err err = mc_geo_source_make_town(&s, seed);
  err = err ? mc_err_set(why, err, "the town could not be made: %s", mc_err_text(err)) : build(&s, map, graph, why);
  mc_geo_source_free(&s);
  return err;
}
