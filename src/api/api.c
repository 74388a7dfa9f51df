#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/inside.h"
#include "base/clock.h"

enum { BODY_MAX = 24 << 20 /* a DBC file travels in JSON */, QUEUE_MAX = 512 };

static mc_err metrics_create(mc_api *api)
{
  api->requests = calloc(api_operation_count, sizeof *api->requests);
  if (!api->requests)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < api_operation_count; i++) {
    char label[96];
    snprintf(label, sizeof label, "operation=\"%s\"", api_operation_table[i].id);
    api->requests[i] = mc_metric_get(MC_METRIC_COUNTER, "motorcade_http_requests_total", "Requests by operation.", label);
  }
  api->refused = mc_metric_get(MC_METRIC_COUNTER, "motorcade_http_problems_total", "Requests answered with a problem document.", NULL);
  api->duration = mc_metric_get(MC_METRIC_HISTOGRAM, "motorcade_http_duration_seconds", "Time from a worker's start to the answer.", NULL);
  return MC_OK;
}

/* Every permission that an operation names must be one that access knows: else nobody could ever call it. */
static mc_err check_permissions(mc_why *why)
{
  for (size_t i = 0; i < api_operation_count; i++) {
    const char *permission = api_operation_table[i].permission;
    if (strcmp(permission, "public") != 0 && !mc_access_role_allows(MC_ROLE_ADMIN, mc_slice_str(permission)))
      return mc_err_set(why, MC_ERR_INVALID, "operation %s names the permission %s, which access does not know", api_operation_table[i].id, permission);
  }
  return MC_OK;
}

static void run_job(mc_job *job)
{
  router_run((api_call *)job);
}

static mc_err fill(mc_api *api, mc_why *why)
{
  MC_TRY(check_permissions(why));
  MC_TRY(mc_db_migrate(api->config.db, api_migration, api_migration_count, why));
  MC_TRY(idem_clean(api->config.db, why));
  MC_TRY(audit_open(api, &api->audit, why));
  MC_TRY(assets_load(api->config.portal_dir, &api->assets, why));
  mc_http_server_config http = {
      .max_body = BODY_MAX, .request = router_request, .ctx = api, .mount = api->config.mount, .mount_count = api->config.mount_count};
  mc_err err = patterns_create(&api->patterns);
  if (!err)
    err = limiter_create(&api->limiter);
  if (!err)
    err = metrics_create(api);
  if (!err)
    err = live_create(api, &api->live);
  if (!err)
    err = mc_http_server_create(&http, &api->http);
  if (!err)
    err = mc_pool_create(api->config.workers ? api->config.workers : 2, QUEUE_MAX, run_job, &api->pool);
  return err ? mc_err_set(why, err, "the API could not start: %s", mc_err_text(err)) : MC_OK;
}

mc_err mc_api_create(const mc_api_config *config, mc_api **out, mc_why *why)
{
  *out = NULL;
  mc_api *api = calloc(1, sizeof *api);
  if (!api)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the API");
  api->config = *config;
  if (!api->config.price.currency)
    api->config.price.currency = "";
  atomic_store(&api->map, config->map);
  atomic_store(&api->map_state, config->map || !config->want_map ? API_MAP_SETTLED : API_MAP_UNASKED);
  api->started_us = mc_clock_mono_us();
  pthread_mutex_init(&api->rate.lock, NULL);
  mc_err err = fill(api, why);
  if (err)
    mc_api_destroy(&api);
  *out = api;
  return err;
}

mc_http_server *mc_api_http(mc_api *api)
{
  return api->http;
}

/* ---- the desk: what other faces share ---- */

static int desk_wait_s(void *ctx, const mc_principal *who, const char *address)
{
  return router_wait_s(ctx, who, address);
}

static mc_err desk_audit(void *ctx, const mc_desk_record *record, mc_why *why)
{
  return audit_record(((mc_api *)ctx)->audit, record, why);
}

mc_desk mc_api_desk(mc_api *api)
{
  return (mc_desk){api, desk_wait_s, desk_audit};
}

void mc_api_set_map(mc_api *api, mc_geo_map *map, const char *reason)
{
  snprintf(api->map_reason, sizeof api->map_reason, "%s", reason ? reason : "");
  atomic_store(&api->map, map);
  atomic_store(&api->map_state, API_MAP_SETTLED);
}

void mc_api_stop(mc_api *api)
{
  if (!api || atomic_exchange(&api->stopping, true))
    return;
  mc_pool_stop(api->pool);
  live_stop(api->live);
}

void mc_api_destroy(mc_api **out)
{
  mc_api *api = *out;
  if (!api)
    return;
  mc_api_stop(api);
  mc_pool_destroy(&api->pool);
  live_destroy(&api->live);
  mc_http_server_destroy(&api->http);
  limiter_destroy(&api->limiter);
  patterns_destroy(&api->patterns);
  assets_free(&api->assets);
  audit_close(&api->audit);
  free(api->requests);
  pthread_mutex_destroy(&api->rate.lock);
  free(api);
  *out = NULL;
}
