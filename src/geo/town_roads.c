/* The roads that shape everything else: the motorway ring with its bay bridge, avenues from the old town to the villages,
 * the coast road, the boulevard around the old town, the railway. */
#include "geo/town.h"

mc_err town_line_add(town *t, town_line *line, vec2_vec *points)
{
  line->p = *points;
  *points = (vec2_vec){0};
  return mc_vec_push(&t->line, *line);
}

void town_smooth(vec2_vec *p, bool closed, int rounds)
{
  for (int round = 0; round < rounds && p->len > 2; round++) {
    vec2_vec out = {0};
    mc_err err = MC_OK;
    size_t n = p->len;
    if (!closed)
      err = mc_vec_push(&out, p->at[0]);
    for (size_t i = 0; i + !closed < n && !err; i++) {
      vec2 a = p->at[i], b = p->at[(i + 1) % n];
      err = mc_vec_push(&out, v2_mix(a, b, 0.25));
      if (!err)
        err = mc_vec_push(&out, v2_mix(a, b, 0.75));
    }
    if (!closed && !err)
      err = mc_vec_push(&out, p->at[n - 1]);
    if (err) {
      mc_vec_free(&out);
      return; /* less smooth, still right */
    }
    mc_vec_free(p);
    *p = out;
  }
}

/* Off the sea by margin, and around lakes. */
static vec2 ashore(const town *t, vec2 p, double margin)
{
  for (int push = 0; push < 60; push++) {
    if (town_sample(&t->sea, p) < margin)
      p = v2_add(p, v2_mul(town_slope(&t->sea, p), 15));
    else if (town_lake(t, p) < 70)
      p = v2_add(p, v2_mul(town_slope(&t->inland, p), 15));
    else
      break;
  }
  return p;
}

/* A way across the country: straight, with some wandering, pushed off the water. */
static mc_err wander(town *t, vec2 from, vec2 to, double wild, uint64_t seed, vec2_vec *out)
{
  double length = v2_dist(from, to);
  int n = (int)(length / 60) + 2;
  vec2 side = v2_left(v2_unit(v2_sub(to, from)));
  for (int i = 0; i <= n; i++) {
    double k = (double)i / n, ease = fmin(1, 6 * fmin(k, 1 - k));
    vec2 p = v2_add(v2_mix(from, to, k), v2_mul(side, ease * wild * length * town_noise(seed, v2(k * length / 900, 0.5))));
    MC_TRY(mc_vec_push(out, i && i < n ? ashore(t, p, 90) : p));
  }
  for (int round = 0; round < 6; round++) /* the pushes leave kinks */
    for (size_t i = 1; i + 1 < out->len; i++)
      out->at[i] = v2_mix(out->at[i], v2_mix(out->at[i - 1], out->at[i + 1], 0.5), 0.5);
  return MC_OK;
}

/* ---- motorway ---- */
static const vec2 ring_middle = {-80, -750};

static vec2 ring_point(const town *t, double angle)
{
  double r = 2780 + 420 * town_noise(t->seed + 71, v2(cos(angle) * 1.25, sin(angle) * 1.25)) + 150 * cos(2 * angle + 0.4);
  return v2_add(ring_middle, v2(r * 1.06 * cos(angle), r * sin(angle)));
}

static mc_err carriageway(town *t, double offset, bool backwards)
{
  town_line line = {.road = MC_GEO_MOTORWAY, .flags = MC_GEO_ONEWAY, .closed = true};
  line.ref = mc_geo_source_text(t->s, MC_LIT("M1"));
  line.name = mc_geo_source_text(t->s, MC_LIT("Ring Motorway"));
  const int n = 720;
  for (int i = 0; i <= n; i++) {
    double a = 2 * M_PI * (backwards ? n - i : i) / n;
    vec2 p = ring_point(t, a), ahead = v2_unit(v2_sub(ring_point(t, a + 0.01), ring_point(t, a - 0.01)));
    MC_TRY(mc_vec_push(&line.p, v2_add(p, v2_mul(v2_left(ahead), offset))));
  }
  return mc_vec_push(&t->motorway, line);
}

static void bezier(vec2_vec *out, vec2 a, vec2 b, vec2 c, vec2 d, town *t)
{
  for (int i = 0; i <= 14; i++) {
    double k = i / 14.0, m = 1 - k;
    vec2 p = v2_add(v2_add(v2_mul(a, m * m * m), v2_mul(b, 3 * m * m * k)), v2_add(v2_mul(c, 3 * m * k * k), v2_mul(d, k * k * k)));
    town_note(t, mc_vec_push(out, p));
  }
}

static size_t nearest_point(const town_line *l, vec2 p)
{
  size_t best = 0;
  for (size_t i = 1; i < l->p.len; i++)
    if (v2_dist(l->p.at[i], p) < v2_dist(l->p.at[best], p))
      best = i;
  return best;
}

/* A diamond where avenue and motorway meet. Ramps hang on the avenue where the piece avenue x ramp crosses 95 m from the middle;
 * town_net ties ends to what they touch. Traffic keeps right. */
static mc_err interchange(town *t, vec2 at, vec2 avenue)
{
  for (uint32_t k = 0; k < 2; k++) {
    const size_t ring = t->motorway.at[k].p.len - 1; /* closed: first point again at the end */
    size_t i = nearest_point(&t->motorway.at[k], at);
    vec2 away = v2_unit(v2_sub(t->motorway.at[k].p.at[i], t->motorway.at[1 - k].p.at[nearest_point(&t->motorway.at[1 - k], at)]));
    if (v2_dot(away, avenue) < 0)
      avenue = v2_mul(avenue, -1);
    vec2 meet = v2_add(at, v2_mul(avenue, 95 / fmax(0.5, v2_dot(avenue, away))));
    const size_t reach = 12; /* motorway points, about 25 m each */
    for (int off = 0; off < 2; off++) {
      size_t leave = (i + (off ? ring - reach : reach)) % ring, beside = (i + (off ? ring - reach / 3 : reach / 3)) % ring;
      vec2 on = t->motorway.at[k].p.at[leave], mid = v2_add(t->motorway.at[k].p.at[beside], v2_mul(away, 60));
      vec2 along = v2_unit(v2_sub(t->motorway.at[k].p.at[(leave + 1) % ring], on));
      town_line ramp = {.road = MC_GEO_MOTORWAY, .flags = MC_GEO_ONEWAY | MC_GEO_RAMP, .no_name = true};
      vec2 lead = v2_add(on, v2_mul(along, off ? 130 : -130));
      if (off)
        bezier(&ramp.p, on, lead, mid, meet, t);
      else
        bezier(&ramp.p, meet, mid, lead, on, t);
      MC_TRY(mc_vec_push(&t->motorway, ramp));
    }
  }
  return t->err;
}

/* ---- avenues ---- */
static mc_err avenue(town *t, size_t index, vec2 village)
{
  static const char *const refs[] = {"A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9"};
  double angle = atan2(village.y - ring_middle.y, village.x - ring_middle.x);
  vec2 gate = ring_point(t, angle);
  for (int i = 0; i < 300 && town_sample(&t->sea, gate) < 160; i++) /* no interchange on the bay bridge */
    gate = ring_point(t, angle += (angle > -M_PI / 2 && angle < M_PI / 2 ? 0.01 : -0.01));
  vec2 start = v2_add(t->centre, v2_mul(v2_unit(v2_sub(gate, t->centre)), 560));
  vec2_vec p = {0};
  MC_TRY(wander(t, start, gate, 0.05, t->seed + 80 + index, &p));
  size_t inner = p.len;
  vec2 across = v2_unit(v2_sub(gate, p.at[inner - 3]));
  town_line in = {.road = MC_GEO_PRIMARY, .start_free = true};
  in.ref = mc_geo_source_text(t->s, mc_slice_str(refs[index % 9]));
  MC_TRY(mc_vec_push(&p, v2_add(gate, v2_mul(across, 110)))); /* straight through the interchange */
  vec2 outside = p.at[p.len - 1];
  MC_TRY(town_line_add(t, &in, &p));
  vec2_vec q = {0};
  MC_TRY(wander(t, outside, village, 0.10, t->seed + 90 + index, &q));
  town_line out = {.road = MC_GEO_TRUNK, .end_free = false};
  out.ref = in.ref;
  MC_TRY(town_line_add(t, &out, &q));
  return interchange(t, gate, across);
}

static mc_err boulevard(town *t)
{
  town_line line = {.road = MC_GEO_SECONDARY, .closed = true};
  line.name = mc_geo_source_text(t->s, MC_LIT("Walls Boulevard"));
  vec2_vec p = {0};
  for (int i = 0; i < 72; i++) {
    double a = 2 * M_PI * i / 72, r = 560 + 45 * town_noise(t->seed + 73, v2(2 * cos(a), 2 * sin(a)));
    vec2 q = v2_add(t->centre, v2(r * cos(a), r * sin(a)));
    for (int push = 0; push < 30 && town_sample(&t->sea, q) < 40; push++)
      q = v2_add(q, v2_mul(town_slope(&t->sea, q), 10));
    for (int push = 0; push < 30 && town_sample(&t->inland, q) < 40; push++)
      q = v2_add(q, v2_mul(town_slope(&t->inland, q), 10));
    MC_TRY(mc_vec_push(&p, q));
  }
  town_smooth(&p, true, 1);
  MC_TRY(mc_vec_push(&p, p.at[0]));
  return town_line_add(t, &line, &p);
}

/* Follows the shore around the island, some hundred metres inland; broken where the shore turns in too far (the bay). */
static mc_err coast_road(town *t)
{
  enum { N = 360 };
  double r[N], smooth[N];
  for (int i = 0; i < N; i++) {
    double a = 2 * M_PI * i / N;
    r[i] = 7900;
    while (r[i] > 1500 && !(town_is_land(t, v2(r[i] * cos(a), r[i] * sin(a)), 60) && town_sample(&t->sea, v2(r[i] * cos(a), r[i] * sin(a))) > 420))
      r[i] -= 20;
  }
  for (int i = 0; i < N; i++) {
    double sum = 0, weight = 0;
    for (int k = -5; k <= 5; k++) {
      double w = 6 - abs(k);
      sum += w * r[(i + k + N) % N];
      weight += w;
    }
    smooth[i] = sum / weight;
  }
  vec2_vec p = {0};
  int first = 360 * 3 / 4 + 26; /* start east of the bay, run anticlockwise to its western side */
  for (int i = 0; i < N - 55; i++) {
    int k = (first + i) % N;
    double a = 2 * M_PI * k / N;
    vec2 q = v2(smooth[k] * cos(a), smooth[k] * sin(a));
    MC_TRY(mc_vec_push(&p, ashore(t, q, 120)));
  }
  const vec2 home[] = {{-1900, -4550}, {-1250, -4150}, {-950, -3800}}; /* back into town at its southern end */
  for (size_t i = 0; i < 3; i++)
    MC_TRY(mc_vec_push(&p, home[i]));
  for (int round = 0; round < 4; round++)
    for (size_t i = 1; i + 1 < p.len; i++)
      p.at[i] = v2_mix(p.at[i], v2_mix(p.at[i - 1], p.at[i + 1], 0.5), 0.5);
  town_smooth(&p, false, 1);
  town_line line = {.road = MC_GEO_SECONDARY, .start_free = true, .end_free = true};
  line.name = mc_geo_source_text(t->s, MC_LIT("Coast Road"));
  line.ref = mc_geo_source_text(t->s, MC_LIT("B10"));
  return town_line_add(t, &line, &p);
}

/* Country lanes from village to village, inside the coast road. */
static mc_err lanes(town *t)
{
  const town_district *last = NULL;
  for (size_t i = 0; i < t->district.len; i++) {
    const town_district *d = &t->district.at[i];
    if (d->zone != ZONE_VILLAGE)
      continue;
    if (last && v2_dist(last->at, d->at) < 5200) {
      vec2_vec p = {0};
      vec2 from = v2_mul(last->at, 0.98), to = v2_mul(d->at, 0.98);
      MC_TRY(wander(t, from, to, 0.13, t->seed + 110 + i, &p));
      for (size_t k = 0; k < p.len; k++) { /* bowed towards the middle of the island */
        double q = (double)k / (double)(p.len - 1);
        p.at[k] = v2_mul(p.at[k], 1 - 0.24 * sin(M_PI * q));
      }
      town_line line = {.road = MC_GEO_TERTIARY, .start_free = true, .end_free = true};
      MC_TRY(town_line_add(t, &line, &p));
    }
    last = d;
  }
  return MC_OK;
}

/* ---- railway ---- */
static mc_err track(town *t, const vec2 *via, size_t count, double offset)
{
  town_line line = {.road = MC_GEO_RAIL, .no_name = true};
  for (size_t i = 0; i < count; i++)
    MC_TRY(mc_vec_push(&line.p, via[i]));
  town_smooth(&line.p, false, 5);
  if (offset != 0) {
    vec2_vec moved = {0};
    for (size_t i = 0; i < line.p.len; i++) {
      vec2 d = v2_unit(v2_sub(line.p.at[i + 1 < line.p.len ? i + 1 : i], line.p.at[i ? i - 1 : 0]));
      MC_TRY(mc_vec_push(&moved, v2_add(line.p.at[i], v2_mul(v2_left(d), offset))));
    }
    mc_vec_free(&line.p);
    line.p = moved;
  }
  for (uint32_t i = 0; i + 1 < line.p.len; i++)
    MC_TRY(town_grid_add(&t->rail_grid, line.p.at[i], line.p.at[i + 1], (uint32_t)t->rail.len, i));
  return mc_vec_push(&t->rail, line);
}

static mc_err railway(town *t)
{
  const vec2 *east = NULL, *west = NULL;
  for (size_t i = 0; i < t->district.len; i++) {
    const town_district *d = &t->district.at[i];
    east = d->name == town_village_names[0] ? &d->at : east;
    west = d->name == town_village_names[6] ? &d->at : west;
  }
  if (!east || !west)
    return MC_ERR_INVALID; /* the table of villages lost its ends of the line */
  const vec2 main_line[] = {v2_add(*east, v2(-120, 420)), v2_add(*east, v2(-700, 520)), {4300, 1750}, {3300, 1500}, {2300, 900}, {1200, -250}, {200, -900}, {-700, -1060},
                            {-1600, -1150}, {-2600, -1250}, {-3800, -1600}, v2_add(*west, v2(800, 330)), v2_add(*west, v2(120, 400))};
  const vec2 port_line[] = {{3300, 1500}, {2600, 1050}, {2250, 300}, {2350, -700}, {2330, -1900}, {2250, -2700}, {2080, -3300}, {1980, -3750}};
  const vec2 yard_north[] = {{100, -905}, {-300, -985}, {-700, -1030}, {-1100, -1085}, {-1500, -1130}};
  for (int side = -1; side <= 1; side += 2) {
    MC_TRY(track(t, main_line, sizeof main_line / sizeof *main_line, side * 2.6));
    MC_TRY(track(t, yard_north, sizeof yard_north / sizeof *yard_north, side * 3.5 + 14));
  }
  return track(t, port_line, sizeof port_line / sizeof *port_line, 0);
}

mc_err town_make_roads(town *t)
{
  MC_TRY(carriageway(t, -10, false));
  MC_TRY(carriageway(t, 10, true));
  MC_TRY(railway(t));
  MC_TRY(boulevard(t));
  size_t index = 0;
  for (size_t i = 0; i < t->district.len; i++)
    if (t->district.at[i].zone == ZONE_VILLAGE)
      MC_TRY(avenue(t, index++, t->district.at[i].at));
  MC_TRY(coast_road(t));
  MC_TRY(lanes(t));
  for (uint32_t k = 0; k < t->motorway.len; k++)
    for (uint32_t i = 0; i + 1 < t->motorway.at[k].p.len; i++)
      MC_TRY(town_grid_add(&t->motorway_grid, t->motorway.at[k].p.at[i], t->motorway.at[k].p.at[i + 1], k, i));
  return t->err;
}
