/* Streets: lines that follow the field, kept apart from each other, from large to small. */
#include "geo/town.h"

#include <stdlib.h>

enum { SEP_CELL = 40, SEP_W = TOWN_W * TOWN_CELL / SEP_CELL, SEP_H = TOWN_H * TOWN_CELL / SEP_CELL };

typedef struct sample {
  vec2 p;
  uint32_t next; /* 1 + index */
} sample;

typedef struct tracer {
  town *t;
  uint32_t *head[2]; /* per family and cell */
  MC_VEC(sample) sample;
  town_grid grid; /* pieces of t->line, for joining ends */
  bool major;
} tracer;

static double spacing(const tracer *r, vec2 p, int family)
{
  if (r->major)
    return 430;
  static const double across[] = {64, 92, 84, 150, 78, 90}, along[] = {76, 150, 190, 260, 120, 120};
  town_zone zone = town_zone_at(r->t, p);
  return family ? along[zone] : across[zone];
}

static uint32_t *cell_of(const tracer *r, int family, vec2 p, int dx, int dy)
{
  int x = (int)floor(p.x / SEP_CELL) + SEP_W / 2 + dx, y = (int)floor(p.y / SEP_CELL) + SEP_H / 2 + dy;
  return x < 0 || y < 0 || x >= SEP_W || y >= SEP_H ? NULL : &r->head[family][(size_t)y * SEP_W + (size_t)x];
}

static void remember(tracer *r, int family, vec2 p)
{
  uint32_t *head = cell_of(r, family, p, 0, 0);
  if (!head)
    return;
  if (mc_vec_push(&r->sample, ((sample){p, *head}))) {
    town_note(r->t, MC_ERR_MEMORY);
    return;
  }
  *head = (uint32_t)r->sample.len;
}

static bool too_near(const tracer *r, int family, vec2 p, double distance)
{
  int reach = (int)(distance / SEP_CELL) + 1;
  for (int dy = -reach; dy <= reach; dy++)
    for (int dx = -reach; dx <= reach; dx++) {
      const uint32_t *head = cell_of(r, family, p, dx, dy);
      for (uint32_t at = head && r->sample.at ? *head : 0; at; at = r->sample.at[at - 1].next)
        if (v2_dist(r->sample.at[at - 1].p, p) < distance)
          return true;
    }
  return false;
}

/* A line's samples count against the family whose direction they share. */
static void remember_line(tracer *r, const town_line *l)
{
  for (size_t i = 0; i + 1 < l->p.len; i++) {
    vec2 a = l->p.at[i], b = l->p.at[i + 1], d = v2_unit(v2_sub(b, a));
    double angle = town_direction(r->t, a);
    int family = fabs(v2_dot(d, v2(cos(angle), sin(angle)))) < M_SQRT1_2;
    int n = (int)(v2_dist(a, b) / 12) + 1;
    for (int k = 0; k < n; k++)
      remember(r, family, v2_mix(a, b, (double)k / n));
  }
}

static bool in_park(const town *t, vec2 p)
{
  for (size_t i = 0; i < t->park.len; i++) {
    double rough = 1 + 0.3 * town_noise(t->seed + 65 + i, v2_mul(p, 1 / 260.0));
    if (v2_dist(p, t->park.at[i].at) < t->park.at[i].radius * rough)
      return true;
  }
  return false;
}

static bool allowed(const tracer *r, vec2 p)
{
  const town *t = r->t;
  if (town_sample(&t->urban, p) < 0 || in_park(t, p))
    return false;
  if (r->major)
    return town_is_land(t, p, 14);
  return town_is_land(t, p, 18) && town_grid_nearest(&t->rail_grid, t->rail.at, p, 19, UINT32_MAX, NULL, NULL) >= 19 &&
         town_grid_nearest(&t->motorway_grid, t->motorway.at, p, 34, UINT32_MAX, NULL, NULL) >= 34;
}

/* The far bank of the river straight ahead, for a bridge. */
static bool far_bank(const tracer *r, vec2 p, vec2 heading, vec2 *bank)
{
  for (double d = 20; d < 190; d += 6) {
    vec2 q = v2_add(p, v2_mul(heading, d));
    if (town_sample(&r->t->sea, q) < 10)
      return false;
    if (town_sample(&r->t->inland, q) > 22) {
      *bank = q;
      return town_sample(&r->t->urban, v2_add(q, v2_mul(heading, 60))) > 0;
    }
  }
  return false;
}

static vec2 heading_at(const tracer *r, vec2 p, int family, vec2 before)
{
  double a = town_direction(r->t, p) + (family ? M_PI / 2 : 0);
  vec2 d = v2(cos(a), sin(a));
  return v2_dot(d, before) < 0 ? v2_mul(d, -1) : d;
}

typedef struct crossing {
  const town *t;
  vec2 a, b;
  double best;
} crossing;

static bool first_crossing(void *ctx, town_hit h)
{
  crossing *c = ctx;
  double t, u;
  if (town_pieces_cross(c->a, c->b, c->t->line.at[h.line].p.at[h.piece], c->t->line.at[h.line].p.at[h.piece + 1], &t, &u) && t < c->best)
    c->best = t;
  return false;
}

/* Runs a line's end straight on into the next street, when there is one near and nothing in between. */
static bool join_ahead(tracer *r, vec2_vec *p, vec2 heading, double reach)
{
  if (!p->len)
    return false;
  vec2 from = p->at[p->len - 1], to = v2_add(from, v2_mul(heading, reach));
  crossing c = {r->t, from, to, 2};
  town_grid_visit(&r->grid, v2(fmin(from.x, to.x), fmin(from.y, to.y)), v2(fmax(from.x, to.x), fmax(from.y, to.y)), first_crossing, &c);
  if (c.best > 1)
    return false;
  for (double d = 0; d < c.best * reach; d += 8)
    if (!allowed(r, v2_add(from, v2_mul(heading, d))))
      return false;
  town_note(r->t, mc_vec_push(p, v2_add(from, v2_mul(heading, c.best * reach + 0.5))));
  return true;
}

static bool meets_itself(const vec2_vec *p, vec2 q, double distance)
{
  for (size_t i = 0; i + 25 < p->len; i++)
    if (v2_dist(p->at[i], q) < distance)
      return true;
  return false;
}

/* One direction from the seed; the points beyond it go to out. Returns true when the end is tied to another street. */
static bool trace(tracer *r, vec2 p, int family, vec2 heading, vec2_vec *out)
{
  const double step = r->major ? 16 : 10;
  const int most = r->major ? 420 : 260;
  for (int i = 0; i < most; i++) {
    vec2 half = v2_add(p, v2_mul(heading_at(r, p, family, heading), step / 2));
    vec2 next_heading = heading_at(r, half, family, heading);
    if (v2_dot(next_heading, heading) < 0.72) /* the field turns too sharply here */
      return join_ahead(r, out, heading, 60);
    heading = next_heading;
    vec2 q = v2_add(p, v2_mul(heading, step)), bank;
    if (r->major && town_sample(&r->t->inland, q) < 20 && far_bank(r, p, heading, &bank)) {
      town_note(r->t, mc_vec_push(out, bank));
      p = bank;
      continue;
    }
    if (!allowed(r, q))
      return false;
    double gap = spacing(r, q, family);
    if (too_near(r, family, q, gap * 0.55) || meets_itself(out, q, gap * 0.5))
      return join_ahead(r, out, heading, r->major ? 260 : gap * 0.9);
    town_note(r->t, mc_vec_push(out, q));
    p = q;
  }
  return false;
}

static double length_of(const vec2_vec *p)
{
  double sum = 0;
  for (size_t i = 0; i + 1 < p->len; i++)
    sum += v2_dist(p->at[i], p->at[i + 1]);
  return sum;
}

static void keep(tracer *r, vec2_vec *p, int family, bool start_tied, bool end_tied)
{
  town *t = r->t;
  town_line line = {.road = MC_GEO_MINOR, .start_free = !start_tied, .end_free = !end_tied};
  double length = length_of(p);
  town_zone zone = town_zone_at(t, p->at[p->len / 2]);
  if (r->major)
    line.road = length > 1500 && zone <= ZONE_INNER ? MC_GEO_SECONDARY : MC_GEO_TERTIARY;
  else if (zone == ZONE_CORE && town_chance(&t->rng, 0.22))
    line.flags = MC_GEO_ONEWAY;
  for (size_t i = 0; i < p->len; i++)
    remember(r, family, p->at[i]);
  uint32_t index = (uint32_t)t->line.len;
  for (uint32_t i = 0; i + 1 < p->len; i++)
    town_note(t, town_grid_add(&r->grid, p->at[i], p->at[i + 1], index, i));
  town_note(t, town_line_add(t, &line, p));
}

static void grow(tracer *r, vec2 seed, int family)
{
  if (!allowed(r, seed) || too_near(r, family, seed, spacing(r, seed, family)))
    return;
  vec2 heading = heading_at(r, seed, family, v2(0.3, 1));
  vec2_vec back = {0}, line = {0};
  town_note(r->t, mc_vec_push(&back, seed));
  bool start_tied = trace(r, seed, family, v2_mul(heading, -1), &back);
  for (size_t i = back.len; i-- > 0;)
    town_note(r->t, mc_vec_push(&line, back.at[i]));
  bool end_tied = trace(r, seed, family, heading, &line);
  double least = r->major ? 450 : town_zone_at(r->t, seed) == ZONE_CORE ? 45 : 70;
  if (!r->t->err && line.len > 2 && length_of(&line) > least)
    keep(r, &line, family, start_tied, end_tied);
  mc_vec_free(&back);
  mc_vec_free(&line);
}

static void sow(tracer *r, int tries)
{
  town *t = r->t;
  for (int i = 0; i < tries && !t->err; i++) {
    const town_district *d = &t->district.at[town_random(&t->rng) % t->district.len];
    double a = town_uniform(&t->rng, 0, 2 * M_PI), q = d->radius * 1.25 * sqrt(town_uniform(&t->rng, 0, 1));
    if (r->major && d->zone == ZONE_VILLAGE)
      continue;
    grow(r, v2_add(d->at, v2(q * cos(a), q * sin(a))), i & 1);
  }
}

mc_err town_make_streets(town *t)
{
  tracer r = {.t = t};
  for (int family = 0; family < 2; family++) {
    r.head[family] = calloc((size_t)SEP_W * SEP_H, sizeof(uint32_t));
    if (!r.head[family])
      t->err = MC_ERR_MEMORY;
  }
  for (size_t i = 0; i < t->line.len && !t->err; i++) {
    const town_line *l = &t->line.at[i];
    remember_line(&r, l);
    for (uint32_t k = 0; k + 1 < l->p.len; k++)
      town_note(t, town_grid_add(&r.grid, l->p.at[k], l->p.at[k + 1], (uint32_t)i, k));
  }
  if (!t->err) {
    r.major = true;
    sow(&r, 4000);
    r.major = false;
    sow(&r, 90000);
  }
  free(r.head[0]);
  free(r.head[1]);
  mc_vec_free(&r.sample);
  town_grid_free(&r.grid);
  return t->err;
}
