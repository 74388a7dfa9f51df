/* The shapes of FleetWise's requests as data (contract fleetwise 9.4), and the one walker that checks an input against them. Private to this module.
 *
 * What a shape does not name is refused: a member that nobody reads would be a setting that does nothing. Members that are null are taken out of the
 * input, as if they were not there. Our own members beside AWS's (`multiplex`, `idMask`) stand in the tables like the others. */
#ifndef MC_CAMPAIGN_SHAPE_H
#define MC_CAMPAIGN_SHAPE_H

#include <jansson.h>

#include "base/slice.h"

typedef enum shape_kind {
  SHAPE_STRUCT,
  SHAPE_UNION, /* exactly one member */
  SHAPE_LIST,
  SHAPE_MAP,
  SHAPE_TEXT,
  SHAPE_WORD, /* one of words */
  SHAPE_INT,
  SHAPE_NUMBER,
  SHAPE_BOOL,
  SHAPE_TIME, /* epoch seconds, may have a fraction */
  SHAPE_BLOB, /* base64; the length is that of the bytes */
  SHAPE_ANY   /* the handler's own matter */
} shape_kind;

/* AWS's limits that are settings here. */
typedef enum shape_limit {
  LIMIT_NONE,
  LIMIT_FQN,
  LIMIT_DESCRIPTION,
  LIMIT_NODES,
  LIMIT_DECODERS,
  LIMIT_INTERFACES,
  LIMIT_BATCH,
  LIMIT_COLLECT,
  LIMIT_FETCH,
  LIMIT_PARTITIONS,
  LIMIT_DIMENSIONS,
  LIMIT_DESTINATIONS,
  LIMIT_ASSOCIATIONS,
  LIMIT_PROPERTIES,
  LIMIT_FILTERS,
  LIMIT_EXPRESSION,
  LIMIT_FETCH_EXPRESSION,
  LIMIT_ACTIONS,
  LIMIT_FIELDS,
  LIMIT_FILES,
  LIMIT_FILE_BYTES,
  LIMIT_PAGE,
  LIMIT_TAGS,
  LIMIT_TAG_KEYS,
  LIMIT_TAG_VALUE,
  LIMIT_ATTRIBUTES,
  LIMIT_CATALOGS,
  LIMIT_CATALOG_NODES,
  LIMIT_MODELS,
  LIMIT_MANIFESTS,
  LIMIT_CAMPAIGNS,
  LIMIT_TEMPLATES,
  LIMIT_FLEETS,
  LIMIT_FLEET_VEHICLES,
  LIMIT_VEHICLES,
  LIMIT_PERIOD, /* the only floor */
  SHAPE_LIMITS
} shape_limit;
typedef struct shape_limit_row {
  const char *key, *unit, *meaning;
  uint64_t aws, ours, most; /* AWS's (0: the contract has none), the default here, the largest (of the floor: smallest) that may be set */
  bool floor;
} shape_limit_row;
extern const shape_limit_row shape_limits[SHAPE_LIMITS]; /* the first is empty */

typedef struct shape shape;
typedef struct shape_member {
  const char *name;
  const shape *shape;
  bool required;
} shape_member;
struct shape {
  shape_kind kind;
  const shape_member *member; /* STRUCT, UNION; ends with an empty one */
  const shape *item, *key;    /* LIST; MAP: value and key */
  const char *words;          /* WORD: "A|B" */
  const char *set;            /* TEXT: characters that may stand in it, ranges as in "a-z0-9_.-" (a - at the end is itself); NULL: any but controls */
  bool (*rule)(mc_slice text, const char **expected); /* TEXT: what a set cannot say */
  int64_t low, high;          /* characters, items, or the value; high 0 of a TEXT, LIST, MAP or BLOB: any */
  shape_limit limit;          /* replaces high (PERIOD: low) */
};

/* NULL: the operation has no input, or is unknown. */
const shape *shape_of_input(mc_slice operation);

/* Appends to `faults` what is wrong, one {"name":path,"message":text} after another with commas, at most 20; the first one also to why. limits: a value
 * for each shape_limit. MC_ERR_INVALID when there is a fault. */
mc_err shape_check(const shape *s, json_t *value, const uint64_t limits[SHAPE_LIMITS], mc_buf *faults, mc_why *why);

#endif
