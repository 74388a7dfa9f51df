/* Insides of the made town. Local plane: metres, x east, y north, origin in the middle of the island. */
#ifndef MC_GEO_TOWN_H
#define MC_GEO_TOWN_H

#include <math.h>

#include "geo/source.h"

typedef struct vec2 {
  double x, y;
} vec2;
static inline vec2 v2(double x, double y) { return (vec2){x, y}; }
static inline vec2 v2_add(vec2 a, vec2 b) { return (vec2){a.x + b.x, a.y + b.y}; }
static inline vec2 v2_sub(vec2 a, vec2 b) { return (vec2){a.x - b.x, a.y - b.y}; }
static inline vec2 v2_mul(vec2 a, double k) { return (vec2){a.x * k, a.y * k}; }
static inline double v2_dot(vec2 a, vec2 b) { return a.x * b.x + a.y * b.y; }
static inline double v2_cross(vec2 a, vec2 b) { return a.x * b.y - a.y * b.x; }
static inline double v2_len(vec2 a) { return sqrt(a.x * a.x + a.y * a.y); }
static inline double v2_dist(vec2 a, vec2 b) { return v2_len(v2_sub(a, b)); }
static inline vec2 v2_unit(vec2 a) { double l = v2_len(a); return l > 0 ? v2_mul(a, 1 / l) : (vec2){1, 0}; }
static inline vec2 v2_left(vec2 a) { return (vec2){-a.y, a.x}; }
static inline vec2 v2_mix(vec2 a, vec2 b, double t) { return (vec2){a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t}; }
typedef MC_VEC(vec2) vec2_vec;

/* ---- random numbers and noise, the same on every machine ---- */
typedef struct town_rng {
  uint64_t state;
} town_rng;
uint64_t town_random(town_rng *r);
double town_uniform(town_rng *r, double low, double high);
static inline bool town_chance(town_rng *r, double p) { return town_uniform(r, 0, 1) < p; }
double town_noise(uint64_t seed, vec2 p); /* smooth, about -1..1, features one unit wide, four octaves */

/* ---- rasters over the island ---- */
enum { TOWN_CELL = 20, TOWN_W = 800, TOWN_H = 720, TOWN_MID_X = TOWN_W / 2, TOWN_MID_Y = TOWN_H / 2 };
typedef struct town_raster {
  float *at; /* TOWN_W * TOWN_H, row by row from the south-west */
} town_raster;
static inline vec2 town_cell(int x, int y) { return (vec2){(double)((x - TOWN_MID_X) * TOWN_CELL), (double)((y - TOWN_MID_Y) * TOWN_CELL)}; }
double town_sample(const town_raster *r, vec2 p); /* bilinear; the edge value outside */
vec2 town_slope(const town_raster *r, vec2 p);    /* unit vector uphill */

/* ---- districts ---- */
typedef enum town_zone { ZONE_CORE, ZONE_INNER, ZONE_SUBURB, ZONE_INDUSTRY, ZONE_VILLAGE, ZONE_NONE } town_zone;
typedef struct town_district {
  vec2 at;
  double radius, angle; /* of its grid, radians */
  town_zone zone;
  bool radial;          /* rings and spokes instead of a grid */
  double bend;          /* how far noise turns its streets, radians */
  const char *name;
} town_district;

typedef struct town_park {
  vec2 at;
  double radius;
} town_park;

/* ---- streets ---- */
typedef struct town_line {
  vec2_vec p;
  uint8_t road;      /* mc_geo_road */
  uint8_t flags;     /* MC_GEO_* */
  uint8_t speed_kmh; /* 0: default */
  bool closed;       /* last point joins the first */
  bool no_name;
  bool start_free, end_free; /* an end that may be trimmed or tied to what is near */
  uint32_t name, ref; /* offsets in the source's text */
  MC_VEC(uint8_t) over; /* per piece: 1 on a bridge; filled by town_net */
} town_line;

typedef struct town_hit { /* a piece of a line in the grid */
  uint32_t line, piece;
} town_hit;

typedef struct town_grid { /* pieces of lines by 50 m cells */
  struct mc_map head; /* cell -> 1 + index of its newest entry */
  MC_VEC(town_hit) hit;
  MC_VEC(uint32_t) next;
} town_grid;

typedef struct town_node {
  vec2 at;
  uint32_t source; /* node in the source */
  uint8_t degree, major;
} town_node;

typedef struct town_edge { /* a straight piece of the planar street net */
  uint32_t a, b; /* net nodes */
  uint32_t line;
} town_edge;

typedef struct town {
  mc_geo_source *s;
  uint64_t seed;
  town_rng rng;
  town_raster sea;    /* metres to the sea, positive on land */
  town_raster inland; /* metres to river and lake, positive outside */
  town_raster urban;  /* positive inside the built-up area */
  uint8_t *zone;      /* town_zone per cell */
  uint8_t *reserved;  /* 1: no buildings (parks, schools, ...) */
  MC_VEC(town_district) district;
  MC_VEC(town_park) park;
  vec2 centre;        /* of the old town */
  vec2_vec river;
  MC_VEC(double) river_half;
  MC_VEC(town_line) line;     /* streets and roads, drivable, at grade */
  MC_VEC(town_line) motorway; /* carriageways and ramps */
  MC_VEC(town_line) rail;
  town_grid rail_grid, motorway_grid;
  MC_VEC(town_node) node;
  MC_VEC(town_edge) edge;
  MC_VEC(uint32_t) named;
  mc_strmap used_names;
  mc_err err;
} town;

static inline void town_note(town *t, mc_err err)
{
  if (!t->err)
    t->err = err;
}
mc_geo_e7 town_place(vec2 p); /* local metres to degrees */

/* town_terrain.c */
mc_err town_make_terrain(town *t);
void town_draw_water(town *t);
void town_draw_country(town *t);
typedef double (*town_field)(const town *t, vec2 p, void *ctx);
/* Contours of a raster at 0 as polygons with holes in a layer; smaller ones than min_area are left out. */
mc_err town_contour(town *t, const float *field, mc_geo_layer layer, uint8_t kind, double min_area, bool flip);
town_zone town_zone_at(const town *t, vec2 p);
double town_lake(const town *t, vec2 p); /* metres to the lakes, positive outside */
bool town_is_land(const town *t, vec2 p, double margin_m);

/* town_grid.c */
mc_err town_grid_add(town_grid *g, vec2 a, vec2 b, uint32_t line, uint32_t piece);
void town_grid_free(town_grid *g);
/* Calls visit for every piece in the cells within reach of the box; repeats are possible. visit returns true to stop. */
bool town_grid_visit(const town_grid *g, vec2 low, vec2 high, bool (*visit)(void *ctx, town_hit hit), void *ctx);
double town_piece_distance(vec2 p, vec2 a, vec2 b, double *t);
bool town_pieces_cross(vec2 a, vec2 b, vec2 c, vec2 d, double *t, double *u);
/* Nearest piece of `lines` to p within reach; returns the distance, or reach when none. */
double town_grid_nearest(const town_grid *g, const town_line *lines, vec2 p, double reach, uint32_t skip_line, town_hit *hit, double *t);

/* town_roads.c */
mc_err town_make_roads(town *t);       /* motorway, radials, coast road, railway */
mc_err town_line_add(town *t, town_line *line, vec2_vec *points); /* takes the points over */
void town_smooth(vec2_vec *p, bool closed, int rounds); /* Chaikin */
/* town_field.c: direction of the streets at p (radians), one of two crossing families */
double town_direction(const town *t, vec2 p);
/* town_streets.c */
mc_err town_make_streets(town *t);
/* town_net.c */
mc_err town_make_net(town *t);
/* town_blocks.c */
mc_err town_make_blocks(town *t);
/* town_buildings.c */
mc_err town_make_buildings(town *t);
/* town_names.c */
uint32_t town_street_name(town *t, mc_geo_road road, double length_m);
extern const char *const town_name, *const town_village_names[], *const town_suburb_names[];

#endif
