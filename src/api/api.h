/* api: HTTP operations, live stream and the portal's files - everything people and their programs reach.
 *
 * Operations are described once in operations.json; tools/generate_api.py makes the dispatch table, the OpenAPI text, the
 * portal's types and the list for the authorisation test from it. The router denies by default: what is not described does not exist,
 * and what is described names the permission it needs. Requests arrive on loops; handlers run on a small pool of worker threads. */
#ifndef MC_API_H
#define MC_API_H

#include "access/access.h"
#include "campaign/campaign.h"
#include "fleet/fleet.h"
#include "gateway/gateway.h"
#include "geo/geo.h"
#include "journal/journal.h"
#include "net/net.h"
#include "registry/registry.h"
#include "store/store.h"
#include "twin/twin.h"

typedef struct mc_api mc_api;
typedef struct mc_price { double per_mb /* a million bytes */, per_message; const char *currency; } mc_price;
typedef struct mc_api_config {
  mc_registry *registry;
  mc_twin *twin;
  mc_store *store;
  mc_campaigns *campaigns;
  mc_delivery *delivery; /* NULL: data out is off */
  const mc_dry_run_engine *dry_run; /* NULL: campaigns cannot be tried on what is stored; outlives the API */
  mc_price price; /* of what vehicles send */
  mc_fleet *fleet;
  mc_shadows *shadows;
  mc_gateway *gateway;
  mc_journal *journal; /* audit records */
  mc_db *db;           /* idempotency keys */
  mc_geo_map *map;     /* may be NULL: map operations answer 404 with the reason */
  /* Makes the map: called once, on any thread, when somebody first opens the portal or asks for the map; must not block. mc_api_set_map follows,
   * and until then map operations answer 503. NULL: there is no other map than the one above. */
  void (*want_map)(void *ctx);
  const char *portal_dir; /* built portal; NULL or missing: a page that says how to build it */
  const char *version;
  size_t workers;      /* 0: 2 */
  double rate_per_s;   /* requests a second of one principal, bursts of four times that; strangers a fifth. 0: 100 */
  const char *hosts;   /* names, comma-separated, that requests without TLS may carry in Host beside loopback ones; NULL: none */
  bool metrics_open;   /* /metrics without sign-in for loopback peers */
  const mc_http_mount *mount; /* parts of the address space that other faces answer; outlive the API */
  size_t mount_count;
  void *ctx; /* of want_map and decoder_lag_ms */
  int64_t (*decoder_lag_ms)(void *ctx);
} mc_api_config;
mc_err mc_api_create(const mc_api_config *config, mc_api **out, mc_why *why);
/* For listeners: handler mc_http_server_handler(), ctx = mc_api_http(api). */
mc_http_server *mc_api_http(mc_api *api);
/* Rates and audit, for faces that are mounted beside ours. */
mc_desk mc_api_desk(mc_api *api);
/* Live ticks run on this loop (one of the server's). */
mc_err mc_api_start_live(mc_api *api, mc_loop *loop, mc_why *why);
/* The base map that want_map asked for, or NULL and why there is none. Any thread, once, before mc_api_destroy. */
void mc_api_set_map(mc_api *api, mc_geo_map *map, const char *reason);
void mc_api_stop(mc_api *api); /* answers what is under way, closes live streams */
void mc_api_destroy(mc_api **api);

#endif
