/* Clipping and thinning of shapes for one tile. */
#include <math.h>

#include "geo/map.h"

/* Which of the four half planes: 0 left, 1 right, 2 top, 3 bottom. */
static bool inside(geo_xy p, geo_box b, int side)
{
  switch (side) {
  case 0: return p.x >= b.x0;
  case 1: return p.x <= b.x1;
  case 2: return p.y >= b.y0;
  default: return p.y <= b.y1;
  }
}

static geo_xy cross_side(geo_xy a, geo_xy b, geo_box box, int side)
{
  if (side < 2) {
    int32_t x = side == 0 ? box.x0 : box.x1;
    double t = ((double)x - a.x) / ((double)b.x - a.x);
    return (geo_xy){x, (int32_t)lrint(a.y + t * ((double)b.y - a.y))};
  }
  int32_t y = side == 2 ? box.y0 : box.y1;
  double t = ((double)y - a.y) / ((double)b.y - a.y);
  return (geo_xy){(int32_t)lrint(a.x + t * ((double)b.x - a.x)), y};
}

mc_err geo_clip_ring(const geo_xy *p, size_t n, geo_box box, geo_xy_vec *out, geo_xy_vec *tmp)
{
  mc_vec_clear(out);
  for (size_t i = 0; i < n; i++)
    MC_TRY(mc_vec_push(out, p[i]));
  for (int side = 0; side < 4 && out->len; side++) {
    mc_vec_clear(tmp);
    for (size_t i = 0; i < out->len; i++) {
      geo_xy a = out->at[i ? i - 1 : out->len - 1], b = out->at[i];
      bool a_in = inside(a, box, side), b_in = inside(b, box, side);
      if (a_in != b_in)
        MC_TRY(mc_vec_push(tmp, cross_side(a, b, box, side)));
      if (b_in)
        MC_TRY(mc_vec_push(tmp, b));
    }
    geo_xy_vec swap = *out;
    *out = *tmp;
    *tmp = swap;
  }
  return MC_OK;
}

/* Liang-Barsky: the part of a..b inside, as parameters. */
static bool clip_segment(geo_xy a, geo_xy b, geo_box box, double *t0, double *t1)
{
  double dx = (double)b.x - a.x, dy = (double)b.y - a.y;
  double p[4] = {-dx, dx, -dy, dy};
  double q[4] = {(double)a.x - box.x0, (double)box.x1 - a.x, (double)a.y - box.y0, (double)box.y1 - a.y};
  *t0 = 0;
  *t1 = 1;
  for (int i = 0; i < 4; i++) {
    if (p[i] == 0) {
      if (q[i] < 0)
        return false;
      continue;
    }
    double t = q[i] / p[i];
    if (p[i] < 0 && t > *t0)
      *t0 = t;
    if (p[i] > 0 && t < *t1)
      *t1 = t;
  }
  return *t0 <= *t1;
}

static geo_xy at(geo_xy a, geo_xy b, double t)
{
  return (geo_xy){(int32_t)lrint(a.x + t * ((double)b.x - a.x)), (int32_t)lrint(a.y + t * ((double)b.y - a.y))};
}

mc_err geo_clip_line(const geo_xy *p, size_t n, geo_box box, geo_xy_vec *tmp, void (*emit)(void *ctx, const geo_xy *p, size_t n), void *ctx)
{
  mc_vec_clear(tmp);
  for (size_t i = 0; i + 1 < n; i++) {
    double t0, t1;
    if (!clip_segment(p[i], p[i + 1], box, &t0, &t1)) {
      if (tmp->len > 1)
        emit(ctx, tmp->at, tmp->len);
      mc_vec_clear(tmp);
      continue;
    }
    if (t0 > 0 || tmp->len == 0) {
      mc_vec_clear(tmp);
      MC_TRY(mc_vec_push(tmp, t0 > 0 ? at(p[i], p[i + 1], t0) : p[i]));
    }
    MC_TRY(mc_vec_push(tmp, t1 < 1 ? at(p[i], p[i + 1], t1) : p[i + 1]));
    if (t1 < 1) {
      emit(ctx, tmp->at, tmp->len);
      mc_vec_clear(tmp);
    }
  }
  if (tmp->len > 1)
    emit(ctx, tmp->at, tmp->len);
  mc_vec_clear(tmp);
  return MC_OK;
}

static double distance2(geo_xy p, geo_xy a, geo_xy b)
{
  double dx = (double)b.x - a.x, dy = (double)b.y - a.y, px = (double)p.x - a.x, py = (double)p.y - a.y;
  double square = dx * dx + dy * dy, t = square > 0 ? (px * dx + py * dy) / square : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  px -= t * dx;
  py -= t * dy;
  return px * px + py * py;
}

/* Kept points are marked by order: the stack holds (first, last) pairs; dropped ones get x = INT32_MIN. */
size_t geo_simplify(geo_xy *p, size_t n, double tolerance, geo_xy_vec *stack)
{
  if (n < 3 || tolerance <= 0)
    return n;
  double limit = tolerance * tolerance;
  mc_vec_clear(stack);
  if (mc_vec_push(stack, ((geo_xy){0, (int32_t)n - 1})))
    return n;
  while (stack->len) {
    geo_xy range = stack->at[--stack->len];
    double worst = -1;
    int32_t split = -1;
    for (int32_t i = range.x + 1; i < range.y; i++) {
      double d = distance2(p[i], p[range.x], p[range.y]);
      if (d > worst) {
        worst = d;
        split = i;
      }
    }
    if (split < 0)
      continue;
    if (worst <= limit) {
      for (int32_t i = range.x + 1; i < range.y; i++)
        p[i].x = INT32_MIN;
      continue;
    }
    if (mc_vec_push(stack, ((geo_xy){range.x, split})) || mc_vec_push(stack, ((geo_xy){split, range.y})))
      break;
  }
  size_t kept = 0;
  for (size_t i = 0; i < n; i++)
    if (p[i].x != INT32_MIN)
      p[kept++] = p[i];
  return kept;
}

double geo_ring_area2(const geo_xy *p, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    geo_xy a = p[i], b = p[i + 1 < n ? i + 1 : 0];
    sum += (double)a.x * b.y - (double)b.x * a.y;
  }
  return sum;
}
