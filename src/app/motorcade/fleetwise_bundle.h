/* What a FleetWise account holds, as the answers of `aws iotfleetwise get-*` and `list-*` tell it: read, checked as a whole, and recreated by the same API's
 * operations. Reading and checking touch no server. One thread. */
#ifndef APP_FLEETWISE_BUNDLE_H
#define APP_FLEETWISE_BUNDLE_H

#include <jansson.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"

/* In the order in which they can be made: each names those before it only. */
typedef enum fleetwise_kind {
  FLEETWISE_CATALOG, FLEETWISE_MODEL, FLEETWISE_DECODER, FLEETWISE_TEMPLATE, FLEETWISE_VEHICLE, FLEETWISE_FLEET, FLEETWISE_CAMPAIGN, FLEETWISE_KINDS
} fleetwise_kind;
extern const char *const fleetwise_kind_name[FLEETWISE_KINDS]; /* "signal catalog", ... */

typedef MC_VEC(char *) fleetwise_texts; /* owned */
typedef struct fleetwise_bundle {
  /* name -> {"get": what get-* answered, "summary": what list-* said of it, "nodes" | "signalDecoders" | "networkInterfaces" | "vehicles": the lists that
   * belong to it}. Vehicles and fleets need no "get": their summaries say enough, but for state templates. */
  json_t *of[FLEETWISE_KINDS];
  json_t *template_name; /* 26-character id -> name */
  json_t *page;          /* "list-fleets" or "list-vehicles-in-fleet north" -> whether a page without a token for more came */
  size_t documents;
  fleetwise_texts problem; /* nothing may be sent while there is one */
  fleetwise_texts note;    /* what will be otherwise than it was */
} fleetwise_bundle;
/* What is known of one: "get", else "summary"; NULL: neither. */
const json_t *fleetwise_known(const json_t *entry);
const char *fleetwise_text(const json_t *object, const char *key); /* "" when it is not there */
const char *fleetwise_arn_name(const char *arn);
const char *fleetwise_node_name(const json_t *node); /* its fully qualified name */

mc_err fleetwise_bundle_begin(fleetwise_bundle *b);
void fleetwise_bundle_free(fleetwise_bundle *b);
/* One answer. operation: "list-model-manifest-nodes"; name: whose, where the answer does not say it itself, else "". source: for messages. An answer that is
 * none of those that count is noted. MC_ERR_MALFORMED: it is no JSON object, or not what the operation answers. */
mc_err fleetwise_bundle_add(fleetwise_bundle *b, const char *source, const char *operation, const char *name, const json_t *answer, mc_why *why);
/* A folder of <operation>[.<name>[.<page>]].json, in the order of their names; others are passed over. */
mc_err fleetwise_bundle_read_dir(fleetwise_bundle *b, const char *dir, mc_why *why);
/* Any number of {"operation": ..., "name": ..., "answer": {...}} behind each other. */
mc_err fleetwise_bundle_read_text(fleetwise_bundle *b, const char *source, mc_slice text, mc_why *why);
/* Fills problem and note. True: no problem. */
bool fleetwise_bundle_check(fleetwise_bundle *b);

/* ---- recreating ---- */
typedef enum fleetwise_outcome { FLEETWISE_MADE, FLEETWISE_THERE, FLEETWISE_DIFFERS, FLEETWISE_REFUSED, FLEETWISE_OUTCOMES } fleetwise_outcome;
extern const char *const fleetwise_outcome_name[FLEETWISE_OUTCOMES];
typedef struct fleetwise_import {
  /* One operation of the API. *answer is the caller's. MC_ERR_NOT_FOUND and MC_ERR_CONFLICT tell FleetWise's exceptions apart. */
  mc_err (*call)(void *ctx, const char *operation, const json_t *input, json_t **answer, mc_why *why);
  void (*told)(void *ctx, fleetwise_kind kind, const char *name, fleetwise_outcome outcome, const char *text); /* each resource as it is done */
  void *ctx;
  bool approve; /* campaigns that ran go on running; else they wait for approval */
  uint32_t count[FLEETWISE_KINDS][FLEETWISE_OUTCOMES];
} fleetwise_import;
/* Makes what is not there. What is there stays: doing it again finishes what was interrupted. A resource that is refused does not stop the others; an error
 * is one of the connection. */
mc_err fleetwise_import_run(fleetwise_import *m, const fleetwise_bundle *b, mc_why *why);

#endif
