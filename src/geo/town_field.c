/* Which way streets run. A field of crossing directions (a tensor field: angles count modulo 90 degrees once both families are
 * taken) is mixed from grids, rings and shores, each weighted by nearness; streets follow it. The idea is from Chen, Esch, Wonka,
 * Mueller and Zhang, "Interactive procedural street modeling", 2008. */
#include "geo/town.h"

typedef struct mix {
  double c, s; /* of the doubled angle, so that opposite directions add up */
} mix;

static void add(mix *m, double angle, double weight)
{
  m->c += weight * cos(2 * angle);
  m->s += weight * sin(2 * angle);
}

double town_direction(const town *t, vec2 p)
{
  mix m = {0};
  double bend = town_noise(t->seed + 61, v2_mul(p, 1 / 620.0));
  for (size_t i = 0; i < t->district.len; i++) {
    const town_district *d = &t->district.at[i];
    vec2 r = v2_sub(p, d->at);
    double near = v2_len(r) / d->radius;
    if (near > 3)
      continue;
    if (d->radial)
      add(&m, atan2(r.y, r.x) + d->bend * bend, 2.6 * exp(-near * near * 1.9));
    else
      add(&m, d->angle + d->bend * bend, exp(-near * near * 1.2));
  }
  double sea = town_sample(&t->sea, p), inland = town_sample(&t->inland, p);
  if (sea < 500) {
    vec2 up = town_slope(&t->sea, p);
    add(&m, atan2(up.y, up.x), 1.6 * exp(-sea / 150));
  }
  if (inland < 450) {
    vec2 up = town_slope(&t->inland, p);
    add(&m, atan2(up.y, up.x), 1.5 * exp(-inland / 120));
  }
  add(&m, 0.2, 0.001);
  return atan2(m.s, m.c) / 2;
}
