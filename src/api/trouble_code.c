/* Trouble codes of one vehicle and of the fleet. */
#include <inttypes.h>
#include <stdio.h>

#include "api/inside.h"

/* "<last seen us>-<row>": where a page ended. */
static mc_err read_cursor(api_call *c, mc_trouble_query *q)
{
  mc_slice after = query_slice(c, "after");
  size_t dash = mc_slice_find(after, '-', 0);
  if (after.len && (mc_slice_to_i64(mc_slice_sub(after, 0, dash), &q->before_us) || mc_slice_to_i64(mc_slice_sub(after, dash + 1, after.len), &q->before_id)))
    return call_refuse(c, "after", "not a cursor of this list");
  return MC_OK;
}

static void write_code(api_call *c, const mc_trouble_code *t)
{
  mc_json *j = &c->json;
  mc_vehicle v;
  bool known = mc_registry_vehicle_get(c->api->config.registry, c->who.tenant, t->vehicle, &v) == MC_OK;
  mc_json_object(j);
  mc_json_uint_field(j, "vehicle", t->vehicle);
  mc_json_str_field(j, "vehicle_name", known ? v.name : "");
  mc_json_text_field(j, "code", t->code);
  mc_json_text_field(j, "ecu", t->ecu);
  mc_json_text_field(j, "text", t->text);
  mc_json_text_field(j, "system", t->system);
  mc_json_bool_field(j, "generic", t->generic);
  mc_json_bool_field(j, "active", t->active);
  json_time(j, "first", t->first_us);
  json_time(j, "last", t->last_us);
  json_time_if(j, "cleared", t->cleared_us);
  mc_json_uint_field(j, "reports", t->reports);
  mc_json_uint_field(j, "episodes", t->episodes);
  mc_json_text_field(j, "snapshot", t->snapshot);
  mc_json_text_field(j, "extended", t->extended);
  mc_json_object_end(j);
}

static mc_err answer(api_call *c, mc_trouble_query *q)
{
  mc_trouble_code *list;
  size_t n;
  int64_t last_id;
  char next[48];
  mc_slice state = query_slice(c, "state");
  q->tenant = c->who.tenant;
  q->code = query_slice(c, "code");
  q->active_only = mc_slice_eq_str(state, "active");
  q->limit = (size_t)query_int(c, "limit", 100);
  MC_TRY(read_cursor(c, q));
  if (!c->api->config.fleet)
    return mc_err_set(&c->why, MC_ERR_UNSUPPORTED, "the fleet's history does not run here");
  MC_TRY(mc_fleet_trouble_codes(c->api->config.fleet, q, &c->arena, &list, &n, &last_id, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_code(c, &list[i]);
  mc_json_array_end(&c->json);
  if (n && n == q->limit) {
    snprintf(next, sizeof next, "%" PRId64 "-%" PRId64, list[n - 1].last_us, last_id);
    mc_json_str_field(&c->json, "next", next);
  }
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_trouble_code_list(api_call *c)
{
  mc_trouble_query q = {0};
  return answer(c, &q);
}

mc_err api_op_vehicle_trouble_codes(api_call *c)
{
  mc_vehicle v;
  MC_TRY(call_vehicle(c, &v));
  mc_trouble_query q = {.vehicle = v.id};
  return answer(c, &q);
}
