/* Pieces of lines by cell, so that "what is near" costs what is near. */
#include "geo/town.h"

#define CELL 50.0

static uint64_t cell_key(int32_t x, int32_t y)
{
  return (uint64_t)(uint32_t)x << 32 | (uint32_t)y;
}

mc_err town_grid_add(town_grid *g, vec2 a, vec2 b, uint32_t line, uint32_t piece)
{
  int32_t x0 = (int32_t)floor(fmin(a.x, b.x) / CELL), x1 = (int32_t)floor(fmax(a.x, b.x) / CELL);
  int32_t y0 = (int32_t)floor(fmin(a.y, b.y) / CELL), y1 = (int32_t)floor(fmax(a.y, b.y) / CELL);
  for (int32_t y = y0; y <= y1; y++)
    for (int32_t x = x0; x <= x1; x++) {
      uint64_t head = 0;
      (void)mc_map_get(&g->head, cell_key(x, y), &head);
      MC_TRY(mc_vec_push(&g->hit, ((town_hit){line, piece})));
      MC_TRY(mc_vec_push(&g->next, (uint32_t)head));
      MC_TRY(mc_map_put(&g->head, cell_key(x, y), g->hit.len));
    }
  return MC_OK;
}

void town_grid_free(town_grid *g)
{
  mc_map_free(&g->head);
  mc_vec_free(&g->hit);
  mc_vec_free(&g->next);
  *g = (town_grid){0};
}

bool town_grid_visit(const town_grid *g, vec2 low, vec2 high, bool (*visit)(void *ctx, town_hit hit), void *ctx)
{
  for (int32_t y = (int32_t)floor(low.y / CELL); y <= (int32_t)floor(high.y / CELL); y++)
    for (int32_t x = (int32_t)floor(low.x / CELL); x <= (int32_t)floor(high.x / CELL); x++) {
      uint64_t at = 0;
      (void)mc_map_get(&g->head, cell_key(x, y), &at);
      for (; at; at = g->next.at[at - 1])
        if (visit(ctx, g->hit.at[at - 1]))
          return true;
    }
  return false;
}

bool town_pieces_cross(vec2 a, vec2 b, vec2 c, vec2 d, double *t, double *u)
{
  vec2 r = v2_sub(b, a), s = v2_sub(d, c);
  double det = v2_cross(r, s);
  if (fabs(det) < 1e-9)
    return false;
  *t = v2_cross(v2_sub(c, a), s) / det;
  *u = v2_cross(v2_sub(c, a), r) / det;
  return *t >= 0 && *t <= 1 && *u >= 0 && *u <= 1;
}

typedef struct near {
  const town_line *lines;
  vec2 p;
  uint32_t skip;
  double best, t;
  town_hit hit;
} near;

static bool nearer(void *ctx, town_hit h)
{
  near *n = ctx;
  if (h.line == n->skip)
    return false;
  const town_line *l = &n->lines[h.line];
  double t, d = town_piece_distance(n->p, l->p.at[h.piece], l->p.at[h.piece + 1], &t);
  if (d < n->best) {
    n->best = d;
    n->t = t;
    n->hit = h;
  }
  return false;
}

double town_grid_nearest(const town_grid *g, const town_line *lines, vec2 p, double reach, uint32_t skip_line, town_hit *hit, double *t)
{
  near n = {.lines = lines, .p = p, .skip = skip_line, .best = reach};
  town_grid_visit(g, v2(p.x - reach, p.y - reach), v2(p.x + reach, p.y + reach), nearer, &n);
  if (n.best < reach && hit) {
    *hit = n.hit;
    *t = n.t;
  }
  return n.best;
}
