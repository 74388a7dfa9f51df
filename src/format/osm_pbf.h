/* OpenStreetMap PBF reader (fileformat 1.0 as the OpenStreetMap wiki "PBF Format" describes it).
 *
 * Walks an extract that lies in memory and calls back for every node, way and relation, in file order.
 * Plain and dense nodes, raw and zlib blobs. Everything given to a callback is borrowed and dies when
 * it returns. Limits checked before use: blob header 64 KiB, blob 32 MiB compressed or not. Pure: no I/O. */
#ifndef MC_FORMAT_OSM_PBF_H
#define MC_FORMAT_OSM_PBF_H

#include "base/err.h"
#include "base/slice.h"

typedef struct mc_osm_tag {
  mc_slice key, value;
} mc_osm_tag;

typedef struct mc_osm_node {
  int64_t id;
  int32_t lon_e7, lat_e7; /* 1e-7 degree */
  const mc_osm_tag *tag;
  uint32_t tag_count;
} mc_osm_node;

typedef struct mc_osm_way {
  int64_t id;
  const int64_t *ref; /* node ids */
  uint32_t ref_count;
  const mc_osm_tag *tag;
  uint32_t tag_count;
} mc_osm_way;

typedef enum mc_osm_kind { MC_OSM_NODE = 0, MC_OSM_WAY = 1, MC_OSM_RELATION = 2 } mc_osm_kind;

typedef struct mc_osm_member {
  mc_osm_kind kind;
  int64_t id;
  mc_slice role;
} mc_osm_member;

typedef struct mc_osm_relation {
  int64_t id;
  const mc_osm_member *member;
  uint32_t member_count;
  const mc_osm_tag *tag;
  uint32_t tag_count;
} mc_osm_relation;

typedef struct mc_osm_visitor {
  void *ctx;
  /* NULL: not wanted, not decoded. An error stops the walk and comes back from mc_osm_pbf_read. */
  mc_err (*box)(void *ctx, double west, double south, double east, double north);
  mc_err (*node)(void *ctx, const mc_osm_node *node);
  mc_err (*way)(void *ctx, const mc_osm_way *way);
  mc_err (*relation)(void *ctx, const mc_osm_relation *relation);
} mc_osm_visitor;

/* MC_ERR_TRUNCATED, MC_ERR_MALFORMED, MC_ERR_TOO_LARGE: why says the blob and its byte offset. MC_ERR_UNSUPPORTED: a
 * compression or required feature we do not read. MC_ERR_INVALID: not a PBF file at all. */
mc_err mc_osm_pbf_read(mc_slice file, const mc_osm_visitor *visitor, mc_why *why);

/* Value of a tag, or an empty slice. */
mc_slice mc_osm_tag_find(const mc_osm_tag *tag, uint32_t count, const char *key);

#endif
