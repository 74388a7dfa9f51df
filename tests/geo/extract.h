/* Loads what the geo tests drive on. */
#ifndef TESTS_GEO_EXTRACT_H
#define TESTS_GEO_EXTRACT_H

#include "geo/geo.h"
#include "tap.h"

/* False when the file cannot be read. */
static inline bool load_extract(const char *name, mc_geo_map **map, mc_geo_graph **graph, mc_why *why)
{
  char path[1200];
  snprintf(path, sizeof path, "%s/osm/%s.osm.pbf", tap_data_dir(), name);
  FILE *f = fopen(path, "rb");
  if (!f)
    return false;
  uint8_t *bytes = malloc(4 << 20);
  size_t n = fread(bytes, 1, 4 << 20, f);
  fclose(f);
  mc_err err = mc_geo_load_osm(mc_slice_of(bytes, n), map, graph, why);
  free(bytes);
  return err == MC_OK;
}

/* Reproducible numbers below n. */
static inline uint32_t draw(uint64_t *state, uint32_t n)
{
  *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (uint32_t)((*state >> 33) % n);
}

#endif
