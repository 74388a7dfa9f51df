/* The island: noise, the coast, river and lake, districts, and what grows outside the town. */
#include <stdlib.h>

#include "geo/town.h"

/* ---- random numbers ---- */
uint64_t town_random(town_rng *r) /* splitmix64 */
{
  uint64_t z = (r->state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

double town_uniform(town_rng *r, double low, double high)
{
  return low + (high - low) * (double)(town_random(r) >> 11) * 0x1p-53;
}

static double lattice(uint64_t seed, int64_t x, int64_t y)
{
  town_rng r = {seed ^ (uint64_t)x * 0x8DA6B343ULL ^ (uint64_t)y * 0xD8163841ULL << 20};
  return town_uniform(&r, -1, 1);
}

static double value_noise(uint64_t seed, vec2 p)
{
  double fx = floor(p.x), fy = floor(p.y), x = p.x - fx, y = p.y - fy;
  int64_t ix = (int64_t)fx, iy = (int64_t)fy;
  x = x * x * x * (x * (x * 6 - 15) + 10);
  y = y * y * y * (y * (y * 6 - 15) + 10);
  double a = lattice(seed, ix, iy), b = lattice(seed, ix + 1, iy), c = lattice(seed, ix, iy + 1), d = lattice(seed, ix + 1, iy + 1);
  return a + (b - a) * x + (c - a) * y + (a - b - c + d) * x * y;
}

double town_noise(uint64_t seed, vec2 p)
{
  double sum = 0, size = 0.56;
  for (uint64_t octave = 0; octave < 4; octave++, size *= 0.48) {
    sum += size * value_noise(seed + octave * 977, p);
    p = v2(p.x * 1.93 - p.y * 0.31 + 17.3, p.x * 0.31 + p.y * 1.93 - 5.9);
  }
  return sum;
}

/* ---- rasters ---- */
double town_sample(const town_raster *r, vec2 p)
{
  double x = p.x / TOWN_CELL + TOWN_MID_X, y = p.y / TOWN_CELL + TOWN_MID_Y;
  x = x < 0 ? 0 : x > TOWN_W - 1.001 ? TOWN_W - 1.001 : x;
  y = y < 0 ? 0 : y > TOWN_H - 1.001 ? TOWN_H - 1.001 : y;
  int ix = (int)x, iy = (int)y;
  double u = x - ix, v = y - iy;
  const float *f = r->at + (size_t)iy * TOWN_W + ix;
  return (f[0] * (1 - u) + f[1] * u) * (1 - v) + (f[TOWN_W] * (1 - u) + f[TOWN_W + 1] * u) * v;
}

vec2 town_slope(const town_raster *r, vec2 p)
{
  const double e = TOWN_CELL;
  vec2 s = {town_sample(r, v2(p.x + e, p.y)) - town_sample(r, v2(p.x - e, p.y)), town_sample(r, v2(p.x, p.y + e)) - town_sample(r, v2(p.x, p.y - e))};
  return v2_unit(s);
}

town_zone town_zone_at(const town *t, vec2 p)
{
  int x = (int)lrint(p.x / TOWN_CELL) + TOWN_MID_X, y = (int)lrint(p.y / TOWN_CELL) + TOWN_MID_Y;
  if (x < 0 || y < 0 || x >= TOWN_W || y >= TOWN_H)
    return ZONE_NONE;
  return (town_zone)t->zone[(size_t)y * TOWN_W + (size_t)x];
}

bool town_is_land(const town *t, vec2 p, double margin_m)
{
  return town_sample(&t->sea, p) > margin_m && town_sample(&t->inland, p) > margin_m;
}

/* ---- shapes ---- */
double town_piece_distance(vec2 p, vec2 a, vec2 b, double *t)
{
  vec2 d = v2_sub(b, a);
  double square = v2_dot(d, d), k = square > 0 ? v2_dot(v2_sub(p, a), d) / square : 0;
  k = k < 0 ? 0 : k > 1 ? 1 : k;
  if (t)
    *t = k;
  return v2_dist(p, v2_mix(a, b, k));
}

/* Inside positive. A capsule whose radius goes from ra to rb. */
static double capsule(vec2 p, vec2 a, vec2 b, double ra, double rb)
{
  double t, d = town_piece_distance(p, a, b, &t);
  return ra + (rb - ra) * t - d;
}

static double box(vec2 p, vec2 at, double angle, double half_w, double half_h)
{
  vec2 d = v2_sub(p, at);
  double c = cos(angle), s = sin(angle);
  double x = fabs(d.x * c + d.y * s) - half_w, y = fabs(-d.x * s + d.y * c) - half_h;
  return -fmax(x, y);
}

#define BAY_HEAD v2(420, -2450)

static double islet_at(const town *t, vec2 p)
{
  double d = 330 - v2_dist(p, v2(-2900, -6250));
  return d < -170 ? d : d + 130 * town_noise(t->seed + 14, v2_mul(p, 1 / 260.0));
}

/* What is carved out of the land: the bay, wide at its mouth, narrow at the port, and a cove in the west; shores a little rough. */
static double carve_bays(const town *t, vec2 p, double d)
{
  double outer = capsule(p, v2(1850, -7600), v2(1150, -3900), 1500, 780), inner = capsule(p, v2(1150, -3900), BAY_HEAD, 780, 300);
  double cove = capsule(p, v2(-6900, 1900), v2(-5300, 1750), 700, 260);
  if (fmax(fmax(outer, inner), cove) < -480 && d < 480)
    return d; /* too far off to matter, however rough */
  double rough = 110 * town_noise(t->seed + 13, v2_mul(p, 1 / 500.0)) + 330 * town_noise(t->seed + 15, v2_mul(p, 1 / 1500.0));
  return fmin(fmin(d, rough - outer), fmin(rough * 0.5 - inner, rough - cove));
}

static double sea_at(const town *t, vec2 p)
{
  double r = pow(pow(fabs(p.x) / 7050, 2.3) + pow(fabs(p.y + 150) / 5750, 2.3), 1 / 2.3);
  double d = (1 - r) * 5600, islet = islet_at(t, p);
  if (d < -1700) /* the open sea: no noise lifts the ground that far */
    return fmax(d, islet);
  d += 1150 * town_noise(t->seed + 11, v2_mul(p, 1 / 2600.0)) + 130 * town_noise(t->seed + 12, v2_mul(p, 1 / 420.0));
  d = carve_bays(t, p, d);
  for (int k = 0; k < 5; k++) /* piers of the port, on the eastern shore */
    d = fmax(d, box(p, v2(1660 + 62.0 * k, -3100 - 200.0 * k), -0.29, 210 - 12 * k, 32));
  d = fmax(d, capsule(p, v2(-420, -4950), v2(450, -5180), 30, 26)); /* breakwater in the mouth */
  d = fmax(d, capsule(p, v2(450, -5180), v2(820, -5080), 26, 30));
  return fmax(d, islet);
}

/* ---- river and lake ---- */
static const vec2 lake_at = {-1650, 3650};

static mc_err make_river(town *t)
{
  vec2 from = lake_at, to = v2(BAY_HEAD.x + 30, BAY_HEAD.y - 120);
  const int n = 420;
  for (int i = 0; i <= n; i++) {
    double k = (double)i / n, calm = k > 0.9 ? (1 - k) * 10 : k < 0.1 ? k * 10 : 1;
    vec2 p = v2_mix(from, to, k);
    double bend = 330 * sin(k * 13.2 + 0.6) + 210 * sin(k * 23.0 + 2.1) + 260 * town_noise(t->seed + 21, v2(k * 7, 3.3));
    p = v2_add(p, v2_mul(v2_unit(v2_left(v2_sub(to, from))), bend * calm * 0.62));
    MC_TRY(mc_vec_push(&t->river, p));
    MC_TRY(mc_vec_push(&t->river_half, 17 + 27 * k + 50 * (k > 0.95 ? (k - 0.95) * 20 : 0)));
  }
  town_smooth(&t->river, false, 1);
  while (t->river_half.len < t->river.len) /* as many widths as points after smoothing */
    MC_TRY(mc_vec_push(&t->river_half, 0));
  for (size_t i = 0; i < t->river.len; i++) {
    double k = (double)i / (double)(t->river.len - 1);
    t->river_half.at[i] = 16 + 26 * k + (k > 0.95 ? (k - 0.95) * 700 : 0);
  }
  return MC_OK;
}

static void burn_river(town *t)
{
  const int reach = 500 / TOWN_CELL;
  for (size_t i = 0; i + 1 < t->river.len; i++) {
    vec2 a = t->river.at[i], b = t->river.at[i + 1];
    int cx = (int)(a.x / TOWN_CELL) + TOWN_MID_X, cy = (int)(a.y / TOWN_CELL) + TOWN_MID_Y;
    for (int y = cy - reach; y <= cy + reach; y++)
      for (int x = cx - reach; x <= cx + reach; x++) {
        if (x < 0 || y < 0 || x >= TOWN_W || y >= TOWN_H)
          continue;
        float *f = &t->inland.at[(size_t)y * TOWN_W + (size_t)x];
        double d = town_piece_distance(town_cell(x, y), a, b, NULL) - t->river_half.at[i];
        if (d < *f)
          *f = (float)d;
      }
  }
}

double town_lake(const town *t, vec2 p)
{
  double d = v2_dist(v2((p.x - lake_at.x) / 1.35, p.y - lake_at.y), v2(0, 0)) - 620;
  if (d < 1000) /* farther off nobody asks how far exactly */
    d += 330 * town_noise(t->seed + 31, v2_mul(p, 1 / 800.0));
  double pond = v2_dist(p, v2(4300, 2900)) - 240;
  if (pond < 1000)
    pond += 160 * town_noise(t->seed + 32, v2_mul(p, 1 / 350.0));
  return fmin(d, pond);
}

/* ---- districts ---- */
static mc_err place_districts(town *t)
{
  t->centre = v2(-560, -1900);
  const town_district fixed[] = {
      {t->centre, 800, 0, ZONE_CORE, true, 0.15, NULL},
      {v2(-2000, -1900), 1250, 0.27, ZONE_INNER, false, 0.10, "Westgate"},
      {v2(-900, -500), 1350, -0.16, ZONE_INNER, false, 0.10, "Northgate"},
      {v2(1500, -1450), 1250, 0.62, ZONE_INNER, false, 0.10, "Eastbank"},
      {v2(900, 300), 1150, -0.42, ZONE_INNER, false, 0.14, "Millfields"},
      {v2(-900, -3300), 1000, 0.05, ZONE_INNER, false, 0.18, "Southshore"},
      {v2(-3500, -300), 1150, 0.9, ZONE_SUBURB, false, 0.85, "Larkhill"},
      {v2(-2300, 1100), 1000, 0.4, ZONE_SUBURB, false, 0.9, "Alder Rise"},
      {v2(300, 2050), 1050, 0.1, ZONE_SUBURB, false, 0.95, "Highmead"},
      {v2(3500, -700), 1050, 0.3, ZONE_SUBURB, false, 0.8, "Eastmoor"},
      {v2(2950, -2500), 850, 1.1, ZONE_SUBURB, false, 0.8, "Gull Point"},
      {v2(-3400, -2600), 900, 0.2, ZONE_SUBURB, false, 0.8, "Pinewood"},
      {v2(2750, 1150), 1000, 0.52, ZONE_INDUSTRY, false, 0.0, "Anvil Park"},
      {v2(2050, -3350), 620, -0.29, ZONE_INDUSTRY, false, 0.0, "East Docks"},
  };
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
    town_district d = fixed[i];
    if (i > 0) {
      d.at = v2_add(d.at, v2(town_uniform(&t->rng, -90, 90), town_uniform(&t->rng, -90, 90)));
      d.angle += town_uniform(&t->rng, -0.12, 0.12);
    }
    MC_TRY(mc_vec_push(&t->district, d));
  }
  /* Villages: spread around the coast, each moved inland until it stands 500 m from the sea. */
  const double bearing[] = {8, 38, 72, 98, 143, 176, 206, 318, 344, 238};
  for (size_t i = 0; i < sizeof bearing / sizeof bearing[0]; i++) {
    double a = (bearing[i] + town_uniform(&t->rng, -5, 5)) * M_PI / 180;
    vec2 p = v2_mul(v2(cos(a), sin(a)), 7600);
    while (v2_len(p) > 2000 && !(town_sample(&t->sea, p) > 520 && town_sample(&t->inland, p) > 200))
      p = v2_mul(p, 0.99);
    town_district d = {p, town_uniform(&t->rng, 330, 480), town_uniform(&t->rng, 0, 3), ZONE_VILLAGE, i % 3 == 0, 0.6, town_village_names[i]};
    MC_TRY(mc_vec_push(&t->district, d));
  }
  const town_park parks[] = {{v2(-1850, -950), 330}, {v2(250, -560), 300}, {v2(1750, -520), 230}, {v2(-1500, -2900), 240}, {v2(-3150, 350), 260},
                             {v2(2300, -1750), 200}, {v2(900, 1450), 240}, {v2(-250, -3500), 170}};
  for (size_t i = 0; i < sizeof parks / sizeof parks[0]; i++)
    MC_TRY(mc_vec_push(&t->park, parks[i]));
  return MC_OK;
}

static void paint_zones(town *t)
{
  for (int y = 0; y < TOWN_H; y++)
    for (int x = 0; x < TOWN_W; x++) {
      vec2 p = town_cell(x, y);
      size_t cell = (size_t)y * TOWN_W + (size_t)x;
      double best = -1e9;
      uint8_t zone = ZONE_NONE;
      for (size_t i = 0; i < t->district.len; i++) {
        const town_district *d = &t->district.at[i];
        double v = 1 - v2_dist(p, d->at) / d->radius + (d->zone == ZONE_CORE ? 0.15 : 0);
        if (v > best) {
          best = v;
          zone = (uint8_t)d->zone;
        }
      }
      double shore = fmin((double)t->sea.at[cell] - 25, (double)t->inland.at[cell] - 22) / 100;
      if (shore < -2 || best < -1) { /* in the water or far from any street */
        t->urban.at[cell] = (float)fmin(best, shore);
        t->zone[cell] = ZONE_NONE;
        continue;
      }
      best += 0.34 * town_noise(t->seed + 42, v2_mul(p, 1 / 1100.0)) + 0.2 * town_noise(t->seed + 41, v2_mul(p, 1 / 380.0));
      t->urban.at[cell] = (float)fmin(best, shore);
      t->zone[cell] = best > -0.02 ? zone : ZONE_NONE;
    }
}

mc_err town_make_terrain(town *t)
{
  const size_t cells = (size_t)TOWN_W * TOWN_H;
  t->sea.at = malloc(cells * sizeof(float));
  t->inland.at = malloc(cells * sizeof(float));
  t->urban.at = malloc(cells * sizeof(float));
  t->zone = malloc(cells);
  t->reserved = calloc(cells, 1);
  if (!t->sea.at || !t->inland.at || !t->urban.at || !t->zone || !t->reserved)
    return MC_ERR_MEMORY;
  for (int y = 0; y < TOWN_H; y++)
    for (int x = 0; x < TOWN_W; x++) {
      vec2 p = town_cell(x, y);
      t->sea.at[(size_t)y * TOWN_W + (size_t)x] = (float)sea_at(t, p);
      t->inland.at[(size_t)y * TOWN_W + (size_t)x] = (float)town_lake(t, p);
    }
  MC_TRY(make_river(t));
  burn_river(t);
  MC_TRY(place_districts(t));
  paint_zones(t);
  return MC_OK;
}

/* ---- drawing ---- */
static void draw_river(town *t)
{
  size_t n = t->river.len;
  MC_VEC(mc_geo_e7) ring = {0};
  for (size_t i = 0; i < 2 * n; i++) {
    size_t k = i < n ? i : 2 * n - 1 - i;
    vec2 d = v2_unit(v2_sub(t->river.at[k + 1 < n ? k + 1 : k], t->river.at[k ? k - 1 : 0]));
    double side = i < n ? t->river_half.at[k] : -t->river_half.at[k];
    town_note(t, mc_vec_push(&ring, town_place(v2_add(t->river.at[k], v2_mul(v2_left(d), side)))));
  }
  uint32_t name = mc_geo_source_text(t->s, MC_LIT("River Wend"));
  mc_geo_source_shape(t->s, MC_GEO_LAYER_WATER, MC_GEO_RIVER, name);
  mc_geo_source_part(t->s, ring.at, (uint32_t)ring.len);
  mc_vec_clear(&ring);
  for (size_t i = 0; i < n; i++)
    town_note(t, mc_vec_push(&ring, town_place(t->river.at[i])));
  mc_geo_source_shape(t->s, MC_GEO_LAYER_WATERWAY, MC_GEO_LINE_RIVER, name);
  mc_geo_source_part(t->s, ring.at, (uint32_t)ring.len);
  mc_vec_free(&ring);
}

/* A brook runs downhill: away from where it rises towards the nearest water, with some wandering. */
static void draw_brook(town *t, vec2 p, uint64_t seed)
{
  MC_VEC(mc_geo_e7) line = {0};
  vec2 heading = v2_unit(v2_sub(lake_at, p));
  for (int i = 0; i < 400 && town_is_land(t, p, -20); i++) {
    town_note(t, mc_vec_push(&line, town_place(p)));
    const town_raster *near = town_sample(&t->sea, p) < town_sample(&t->inland, p) ? &t->sea : &t->inland;
    double turn = 1.1 * town_noise(seed, v2(i * 0.11, 0.5));
    vec2 down = v2_mul(town_slope(near, p), -1);
    heading = v2_unit(v2_add(v2_mul(heading, 4), down));
    vec2 step = v2(heading.x * cos(turn) - heading.y * sin(turn), heading.x * sin(turn) + heading.y * cos(turn));
    p = v2_add(p, v2_mul(step, 24));
  }
  if (line.len > 10) {
    mc_geo_source_shape(t->s, MC_GEO_LAYER_WATERWAY, MC_GEO_LINE_STREAM, 0);
    mc_geo_source_part(t->s, line.at, (uint32_t)line.len);
  }
  mc_vec_free(&line);
}

static void draw_fields(town *t, float *field)
{
  const size_t cells = (size_t)TOWN_W * TOWN_H;
  struct { uint8_t kind; double scale, level, sea_margin, town_margin; uint64_t seed; } green[] = {
      {MC_GEO_FARM, 1500, -0.12, 220, 0.06, 51},
      {MC_GEO_GRASS, 650, 0.16, 40, 0.0, 52},
      {MC_GEO_WOOD, 1250, 0.10, 90, 0.10, 53},
  };
  for (size_t k = 0; k < sizeof green / sizeof green[0]; k++) {
    for (size_t i = 0; i < cells; i++) {
      vec2 p = town_cell((int)(i % TOWN_W), (int)(i / TOWN_W));
      if (t->sea.at[i] < -60) {
        field[i] = -100;
        continue;
      }
      double v = fmin((t->sea.at[i] - green[k].sea_margin) / 300, (t->inland.at[i] - 15) / 100.0);
      v = fmin(v, -t->urban.at[i] - green[k].town_margin);
      if (v > -0.5)
        v = fmin(v, town_noise(t->seed + green[k].seed, v2_mul(p, 1 / green[k].scale)) - green[k].level);
      field[i] = (float)(v * 100);
    }
    town_note(t, town_contour(t, field, MC_GEO_LAYER_LAND, green[k].kind, 12000, false));
  }
  for (size_t i = 0; i < cells; i++) { /* beaches: a band along the shore, where the noise likes it, not in the port */
    vec2 p = town_cell((int)(i % TOWN_W), (int)(i / TOWN_W));
    bool shore = t->sea.at[i] > -60 && t->sea.at[i] < 120;
    double likes = shore ? 140 * (town_noise(t->seed + 54, v2_mul(p, 1 / 1300.0)) + 0.05) : -100;
    bool port = p.y < -2000 && p.y > -4700 && p.x > -300 && p.x < 2600;
    field[i] = (float)(port || t->sea.at[i] < -60 ? -100 : fmin(fmin((double)t->sea.at[i] + 14, 46 - (double)t->sea.at[i]), likes));
  }
  town_note(t, town_contour(t, field, MC_GEO_LAYER_LAND, MC_GEO_SAND, 3000, false));
}

void town_draw_country(town *t)
{
  float *field = malloc((size_t)TOWN_W * TOWN_H * sizeof *field);
  if (!field) {
    town_note(t, MC_ERR_MEMORY);
    return;
  }
  for (size_t i = 0; i < (size_t)TOWN_W * TOWN_H; i++)
    field[i] = t->urban.at[i] * 100;
  town_note(t, town_contour(t, field, MC_GEO_LAYER_LAND, MC_GEO_RESIDENTIAL, 20000, false));
  draw_fields(t, field);
  free(field);
}

void town_draw_water(town *t)
{
  town_note(t, town_contour(t, t->sea.at, MC_GEO_LAYER_WATER, MC_GEO_SEA, 2000, true));
  float *lake = malloc((size_t)TOWN_W * TOWN_H * sizeof *lake);
  if (!lake) {
    town_note(t, MC_ERR_MEMORY);
    return;
  }
  for (int y = 0; y < TOWN_H; y++)
    for (int x = 0; x < TOWN_W; x++)
      lake[(size_t)y * TOWN_W + (size_t)x] = (float)-town_lake(t, town_cell(x, y));
  town_note(t, town_contour(t, lake, MC_GEO_LAYER_WATER, MC_GEO_LAKE, 8000, false));
  free(lake);
  draw_river(t);
  const vec2 spring[] = {{-3900, 3500}, {900, 4100}, {3100, 3700}, {5200, 1200}, {-4700, 400}, {4300, 2500}, {-5200, -2600}, {-2600, 4500}};
  for (size_t i = 0; i < sizeof spring / sizeof spring[0]; i++)
    draw_brook(t, v2_add(spring[i], v2(town_uniform(&t->rng, -300, 300), town_uniform(&t->rng, -300, 300))), t->seed + 60 + i);
}
