/* Mapbox vector tile 2.1 encoder: layers of features with tags, geometry in tile units.
 *
 * One layer at a time: mc_mvt_layer_open, then per feature mc_mvt_feature_begin, mc_mvt_tag_*, one geometry call per
 * part, mc_mvt_feature_end; then mc_mvt_layer_close. A layer without features leaves no bytes. Coordinates are i32 in
 * tile units, y down; a ring is given open (without its first point again), an exterior ring clockwise as seen on screen
 * (positive area with y down), a hole the other way (specification 4.3.4.4). Pure; all memory is in the encoder. */
#ifndef MC_FORMAT_MVT_H
#define MC_FORMAT_MVT_H

#include "base/err.h"
#include "base/map.h"
#include "base/slice.h"
#include "base/vec.h"

typedef struct mc_mvt_point {
  int32_t x, y;
} mc_mvt_point;

typedef enum mc_mvt_kind { MC_MVT_POINT = 1, MC_MVT_LINE = 2, MC_MVT_POLYGON = 3 } mc_mvt_kind;

typedef struct mc_mvt {
  mc_buf *out; /* the tile; borrowed */
  size_t layer_mark;
  size_t layer_start;
  uint32_t extent;
  uint32_t features;
  mc_strmap key, value;
  mc_buf keys, values; /* encoded, in order of first use */
  MC_VEC(uint32_t) tag, geometry;
  mc_mvt_kind kind;
  mc_mvt_point pen;
  mc_err err; /* first failure; the closing call returns it */
} mc_mvt;

void mc_mvt_init(mc_mvt *m, mc_buf *out);
void mc_mvt_free(mc_mvt *m);
void mc_mvt_layer_open(mc_mvt *m, const char *name, uint32_t extent);
mc_err mc_mvt_layer_close(mc_mvt *m);
void mc_mvt_feature_begin(mc_mvt *m, mc_mvt_kind kind);
void mc_mvt_tag_str(mc_mvt *m, const char *key, mc_slice value);
void mc_mvt_tag_int(mc_mvt *m, const char *key, int64_t value);
void mc_mvt_point_add(mc_mvt *m, mc_mvt_point p);
/* >= 2 points, otherwise nothing is written. */
void mc_mvt_line(mc_mvt *m, const mc_mvt_point *p, size_t count);
/* >= 3 points, otherwise nothing is written. */
void mc_mvt_ring(mc_mvt *m, const mc_mvt_point *p, size_t count);
/* Drops the feature when it got no geometry. */
void mc_mvt_feature_end(mc_mvt *m);

#endif
