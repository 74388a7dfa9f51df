/* The made town: Port Merrow, an island port that is nobody's. It lies in the open Atlantic, where no map shows land, so that
 * nobody mistakes it for a real place. */
#include "geo/town.h"

#include <stdlib.h>

#define TOWN_LON (-30.2)
#define TOWN_LAT 46.1
#define M_PER_DEG 111195.08

mc_geo_e7 town_place(vec2 p)
{
  double lat = TOWN_LAT + p.y / M_PER_DEG;
  return mc_geo_e7_of((mc_geo_point){TOWN_LON + p.x / (M_PER_DEG * cos(TOWN_LAT * M_PI / 180)), lat});
}

static void put_label(town *t, mc_geo_place kind, const char *name, vec2 at)
{
  mc_geo_e7 p = town_place(at);
  mc_geo_source_shape(t->s, MC_GEO_LAYER_PLACE, (uint8_t)kind, mc_geo_source_text(t->s, mc_slice_str(name)));
  mc_geo_source_part(t->s, &p, 1);
}

static void put_labels(town *t)
{
  put_label(t, MC_GEO_CITY, town_name, t->centre);
  t->s->name = mc_geo_source_text(t->s, mc_slice_str(town_name));
  for (size_t i = 0; i < t->district.len; i++) {
    const town_district *d = &t->district.at[i];
    if (d->name)
      put_label(t, d->zone == ZONE_VILLAGE ? MC_GEO_VILLAGE : MC_GEO_SUBURB, d->name, d->at);
  }
  put_label(t, MC_GEO_POI, "Merrow Central", v2(-700, -1060));
  put_label(t, MC_GEO_POI, "East Docks Terminal", v2(1950, -3250));
  put_label(t, MC_GEO_POI, "Wend Lake", v2(-1650, 3650));
  put_label(t, MC_GEO_POI, "Bay Bridge", v2(1080, -3640));
}

static void set_bounds(town *t)
{
  mc_geo_point a = mc_geo_e7_point(town_place(v2(-7000, -6000))), b = mc_geo_e7_point(town_place(v2(7000, 5700)));
  t->s->bounds = (mc_geo_bounds){a.lon, a.lat, b.lon, b.lat};
}

static void free_lines(town *t)
{
  for (size_t i = 0; i < t->line.len; i++) {
    mc_vec_free(&t->line.at[i].p);
    mc_vec_free(&t->line.at[i].over);
  }
  for (size_t i = 0; i < t->motorway.len; i++) {
    mc_vec_free(&t->motorway.at[i].p);
    mc_vec_free(&t->motorway.at[i].over);
  }
  for (size_t i = 0; i < t->rail.len; i++) {
    mc_vec_free(&t->rail.at[i].p);
    mc_vec_free(&t->rail.at[i].over);
  }
  mc_vec_free(&t->line);
  mc_vec_free(&t->motorway);
  mc_vec_free(&t->rail);
}

static void release(town *t)
{
  free_lines(t);
  free(t->sea.at);
  free(t->inland.at);
  free(t->urban.at);
  free(t->zone);
  free(t->reserved);
  mc_vec_free(&t->district);
  mc_vec_free(&t->park);
  mc_vec_free(&t->river);
  mc_vec_free(&t->river_half);
  mc_vec_free(&t->node);
  mc_vec_free(&t->edge);
  town_grid_free(&t->rail_grid);
  town_grid_free(&t->motorway_grid);
  mc_strmap_free(&t->used_names);
}

static mc_err make(town *t)
{
  MC_TRY(town_make_terrain(t));
  town_draw_country(t);
  MC_TRY(t->err);
  MC_TRY(town_make_roads(t));
  MC_TRY(town_make_streets(t));
  MC_TRY(town_make_net(t));
  MC_TRY(town_make_blocks(t));
  town_draw_water(t);
  MC_TRY(town_make_buildings(t));
  put_labels(t);
  set_bounds(t);
  return t->err ? t->err : t->s->err;
}

mc_err mc_geo_source_make_town(mc_geo_source *s, uint64_t seed)
{
  town t = {.s = s, .seed = seed * 0x9E3779B97F4A7C15ULL, .rng = {seed}};
  s->attribution = "Made town (Port Merrow, not a real place)";
  mc_err err = make(&t);
  release(&t);
  return err;
}
