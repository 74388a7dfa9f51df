/* OSM tags to our few classes, as tables. Keys and values: OpenStreetMap wiki "Map features". */
#include "geo/osm.h"

typedef struct rule {
  const char *key, *value; /* value NULL: any but "no" */
  uint8_t layer, kind;
} rule;

#define LAND(key, value, kind) {key, value, MC_GEO_LAYER_LAND, kind}
#define WATER(key, value, kind) {key, value, MC_GEO_LAYER_WATER, kind}
static const rule area_rules[] = { /* the first that fits wins */
    {"building", NULL, MC_GEO_LAYER_BUILDING, 0},
    WATER("waterway", "riverbank", MC_GEO_RIVER),
    WATER("water", "river", MC_GEO_RIVER),
    WATER("water", "canal", MC_GEO_CANAL),
    WATER("natural", "water", MC_GEO_LAKE),
    WATER("landuse", "reservoir", MC_GEO_LAKE),
    WATER("landuse", "basin", MC_GEO_LAKE),
    WATER("leisure", "swimming_pool", MC_GEO_LAKE),
    LAND("leisure", "park", MC_GEO_PARK),
    LAND("leisure", "garden", MC_GEO_PARK),
    LAND("leisure", "golf_course", MC_GEO_PARK),
    LAND("leisure", "nature_reserve", MC_GEO_LANDS), /* too large and vague to paint */
    LAND("leisure", "pitch", MC_GEO_SPORTS),
    LAND("leisure", "stadium", MC_GEO_SPORTS),
    LAND("leisure", "sports_centre", MC_GEO_SPORTS),
    LAND("leisure", "track", MC_GEO_SPORTS),
    LAND("leisure", "playground", MC_GEO_PARK),
    LAND("landuse", "forest", MC_GEO_WOOD),
    LAND("natural", "wood", MC_GEO_WOOD),
    LAND("landuse", "residential", MC_GEO_RESIDENTIAL),
    LAND("landuse", "industrial", MC_GEO_INDUSTRIAL),
    LAND("landuse", "railway", MC_GEO_INDUSTRIAL),
    LAND("landuse", "port", MC_GEO_INDUSTRIAL),
    LAND("landuse", "commercial", MC_GEO_COMMERCIAL),
    LAND("landuse", "retail", MC_GEO_COMMERCIAL),
    LAND("landuse", "farmland", MC_GEO_FARM),
    LAND("landuse", "farm", MC_GEO_FARM),
    LAND("landuse", "farmyard", MC_GEO_FARM),
    LAND("landuse", "orchard", MC_GEO_FARM),
    LAND("landuse", "vineyard", MC_GEO_FARM),
    LAND("landuse", "grass", MC_GEO_GRASS),
    LAND("landuse", "meadow", MC_GEO_GRASS),
    LAND("landuse", "village_green", MC_GEO_GRASS),
    LAND("landuse", "recreation_ground", MC_GEO_PARK),
    LAND("natural", "grassland", MC_GEO_GRASS),
    LAND("natural", "heath", MC_GEO_GRASS),
    LAND("natural", "scrub", MC_GEO_GRASS),
    LAND("natural", "fell", MC_GEO_GRASS),
    LAND("natural", "sand", MC_GEO_SAND),
    LAND("natural", "beach", MC_GEO_SAND),
    LAND("landuse", "cemetery", MC_GEO_CEMETERY),
    LAND("amenity", "grave_yard", MC_GEO_CEMETERY),
    LAND("amenity", "school", MC_GEO_SCHOOL),
    LAND("amenity", "kindergarten", MC_GEO_SCHOOL),
    LAND("amenity", "college", MC_GEO_SCHOOL),
    LAND("amenity", "university", MC_GEO_SCHOOL),
    LAND("amenity", "hospital", MC_GEO_SCHOOL),
    LAND("place", "square", MC_GEO_SQUARE),
};

typedef struct road_rule {
  const char *value;
  uint8_t road, ramp, drivable, speed; /* speed 0: default of the class (contract 3.2) */
} road_rule;
static const road_rule roads[] = {
    {"motorway", MC_GEO_MOTORWAY, 0, 1, 0},        {"motorway_link", MC_GEO_MOTORWAY, 1, 1, 0},
    {"trunk", MC_GEO_TRUNK, 0, 1, 0},              {"trunk_link", MC_GEO_TRUNK, 1, 1, 0},
    {"primary", MC_GEO_PRIMARY, 0, 1, 0},          {"primary_link", MC_GEO_PRIMARY, 1, 1, 0},
    {"secondary", MC_GEO_SECONDARY, 0, 1, 0},      {"secondary_link", MC_GEO_SECONDARY, 1, 1, 0},
    {"tertiary", MC_GEO_TERTIARY, 0, 1, 0},        {"tertiary_link", MC_GEO_TERTIARY, 1, 1, 0},
    {"unclassified", MC_GEO_MINOR, 0, 1, 40},      {"residential", MC_GEO_MINOR, 0, 1, 30},
    {"road", MC_GEO_MINOR, 0, 1, 30},              {"living_street", MC_GEO_MINOR, 0, 1, 10},
    {"service", MC_GEO_SERVICE, 0, 1, 15},         {"track", MC_GEO_SERVICE, 0, 1, 10},
    {"pedestrian", MC_GEO_PATH, 0, 0, 0},          {"footway", MC_GEO_PATH, 0, 0, 0},
    {"path", MC_GEO_PATH, 0, 0, 0},                {"cycleway", MC_GEO_PATH, 0, 0, 0},
    {"steps", MC_GEO_PATH, 0, 0, 0},               {"bridleway", MC_GEO_PATH, 0, 0, 0},
};

static bool is(mc_slice value, const char *a)
{
  return mc_slice_eq_str(value, a);
}

bool osm_read_area(const mc_osm_tag *tag, uint32_t count, bool closed_way, uint8_t *layer, uint8_t *kind)
{
  if (is(mc_osm_tag_find(tag, count, "area"), "no"))
    return false;
  for (size_t i = 0; i < sizeof area_rules / sizeof area_rules[0]; i++) {
    const rule *r = &area_rules[i];
    mc_slice value = mc_osm_tag_find(tag, count, r->key);
    if (value.len == 0 || (r->value ? !is(value, r->value) : is(value, "no")))
      continue;
    *layer = r->layer;
    *kind = r->kind;
    return !(r->layer == MC_GEO_LAYER_LAND && r->kind == MC_GEO_LANDS);
  }
  if (is(mc_osm_tag_find(tag, count, "highway"), "pedestrian") && (!closed_way || is(mc_osm_tag_find(tag, count, "area"), "yes"))) {
    *layer = MC_GEO_LAYER_LAND;
    *kind = MC_GEO_SQUARE;
    return true;
  }
  return false;
}

/* "50", "30 mph", "CH:urban" (passed over), "none". */
static float posted_speed(mc_slice value)
{
  double v = 0;
  size_t i = 0;
  while (i < value.len && value.data[i] >= '0' && value.data[i] <= '9' && v < 1000)
    v = v * 10 + (value.data[i++] - '0');
  mc_slice unit = mc_slice_trim(mc_slice_sub(value, i, value.len));
  if (i == 0 || (unit.len && !is(unit, "mph") && !is(unit, "km/h")))
    return 0;
  if (is(unit, "mph"))
    v *= 1.609344;
  return v >= 5 && v <= 200 ? (float)v : 0;
}

static bool yes(mc_slice v)
{
  return v.len && !is(v, "no") && !is(v, "0") && !is(v, "false");
}

static bool closed_to_cars(const mc_osm_tag *tag, uint32_t count)
{
  static const char *const keys[] = {"motorcar", "motor_vehicle", "vehicle", "access"}; /* the most exact key speaks first */
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    mc_slice v = mc_osm_tag_find(tag, count, keys[i]);
    if (v.len)
      return is(v, "no") || is(v, "private") || is(v, "agricultural") || is(v, "forestry");
  }
  return false;
}

static void read_oneway(const mc_osm_tag *tag, uint32_t count, osm_meaning *m)
{
  mc_slice oneway = mc_osm_tag_find(tag, count, "oneway");
  mc_slice junction = mc_osm_tag_find(tag, count, "junction");
  if (is(junction, "roundabout") || is(junction, "circular"))
    m->road.flags |= MC_GEO_ROUNDABOUT | MC_GEO_ONEWAY;
  if (m->road.road == MC_GEO_MOTORWAY && !(m->road.flags & MC_GEO_RAMP && oneway.len == 0))
    m->road.flags |= MC_GEO_ONEWAY;
  if (is(oneway, "no"))
    m->road.flags &= (uint8_t)~MC_GEO_ONEWAY;
  else if (is(oneway, "-1") || is(oneway, "reverse"))
    m->road.flags |= MC_GEO_ONEWAY, m->reversed = true;
  else if (yes(oneway) && !is(oneway, "reversible") && !is(oneway, "alternating"))
    m->road.flags |= MC_GEO_ONEWAY;
}

static void read_road(const mc_osm_tag *tag, uint32_t count, osm_meaning *m)
{
  mc_slice highway = mc_osm_tag_find(tag, count, "highway");
  mc_slice railway = mc_osm_tag_find(tag, count, "railway");
  bool bridge = yes(mc_osm_tag_find(tag, count, "bridge")), tunnel = yes(mc_osm_tag_find(tag, count, "tunnel"));
  m->road.flags = (uint8_t)((bridge ? MC_GEO_BRIDGE : 0) | (tunnel ? MC_GEO_TUNNEL : 0));
  if (is(railway, "rail") || is(railway, "light_rail") || is(railway, "narrow_gauge") || is(railway, "funicular")) {
    m->is_road = true;
    m->road.road = MC_GEO_RAIL;
    return;
  }
  for (size_t i = 0; i < sizeof roads / sizeof roads[0]; i++) {
    if (!is(highway, roads[i].value))
      continue;
    m->is_road = true;
    m->road.road = roads[i].road;
    m->road.flags |= roads[i].ramp ? MC_GEO_RAMP : 0;
    m->road.drivable = roads[i].drivable && !closed_to_cars(tag, count);
    m->road.speed_kmh = posted_speed(mc_osm_tag_find(tag, count, "maxspeed"));
    if (m->road.speed_kmh <= 0)
      m->road.speed_kmh = roads[i].speed;
    read_oneway(tag, count, m);
    return;
  }
}

static void read_line(const mc_osm_tag *tag, uint32_t count, osm_meaning *m)
{
  mc_slice w = mc_osm_tag_find(tag, count, "waterway");
  m->is_line = true;
  m->layer = MC_GEO_LAYER_WATERWAY;
  if (is(w, "river"))
    m->kind = MC_GEO_LINE_RIVER;
  else if (is(w, "stream") || is(w, "ditch") || is(w, "drain"))
    m->kind = MC_GEO_LINE_STREAM;
  else if (is(w, "canal"))
    m->kind = MC_GEO_LINE_CANAL;
  else if (is(mc_osm_tag_find(tag, count, "boundary"), "administrative"))
    m->layer = MC_GEO_LAYER_BOUNDARY;
  else
    m->is_line = false;
}

osm_meaning osm_read_way(const mc_osm_tag *tag, uint32_t count, bool closed)
{
  osm_meaning m = {0};
  m.is_coast = is(mc_osm_tag_find(tag, count, "natural"), "coastline");
  if (closed && osm_read_area(tag, count, true, &m.layer, &m.kind))
    m.is_area = true;
  read_road(tag, count, &m);
  if (m.is_road && m.is_area && m.layer != MC_GEO_LAYER_BUILDING && is(mc_osm_tag_find(tag, count, "area"), "yes"))
    m.is_road = false; /* a square, not a street around it */
  if (!m.is_area)
    read_line(tag, count, &m);
  return m;
}

bool osm_read_place(const mc_osm_tag *tag, uint32_t count, uint8_t *kind)
{
  static const struct { const char *key, *value; uint8_t kind; } places[] = {
      {"place", "city", MC_GEO_CITY},         {"place", "town", MC_GEO_TOWN},          {"place", "village", MC_GEO_VILLAGE},
      {"place", "hamlet", MC_GEO_VILLAGE},    {"place", "suburb", MC_GEO_SUBURB},      {"place", "quarter", MC_GEO_SUBURB},
      {"place", "neighbourhood", MC_GEO_SUBURB}, {"railway", "station", MC_GEO_POI},   {"tourism", "museum", MC_GEO_POI},
      {"tourism", "attraction", MC_GEO_POI},  {"amenity", "hospital", MC_GEO_POI},     {"amenity", "university", MC_GEO_POI},
      {"amenity", "townhall", MC_GEO_POI},    {"amenity", "theatre", MC_GEO_POI},      {"amenity", "fuel", MC_GEO_POI},
      {"natural", "peak", MC_GEO_POI},
  };
  if (mc_osm_tag_find(tag, count, "name").len == 0)
    return false;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    if (is(mc_osm_tag_find(tag, count, places[i].key), places[i].value)) {
      *kind = places[i].kind;
      return true;
    }
  return false;
}

uint8_t osm_read_node_flags(const mc_osm_tag *tag, uint32_t count)
{
  mc_slice highway = mc_osm_tag_find(tag, count, "highway");
  if (is(highway, "traffic_signals"))
    return MC_GEO_SIGNALS;
  return is(highway, "stop") || is(highway, "give_way") ? MC_GEO_STOP : 0;
}
