/* MQTT clients and what happened to them lately. */
#include "api/inside.h"

static void write_limited(mc_json *j, const mc_client_info *info)
{
  mc_json_key(j, "limited");
  mc_json_array(j);
  for (size_t i = 0; i < MC_CAUSES; i++) {
    if (!info->limited[i])
      continue;
    mc_json_object(j);
    mc_json_str_field(j, "cause", mc_cause_name((mc_cause)i));
    mc_json_str_field(j, "meaning", mc_cause_meaning((mc_cause)i));
    mc_json_uint_field(j, "count", info->limited[i]);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
}

void json_client(mc_json *j, const mc_client_info *info)
{
  mc_json_object(j);
  mc_json_str_field(j, "client_id", info->client_id);
  mc_json_str_field(j, "thing", info->thing);
  mc_json_str_field(j, "address", info->address);
  mc_json_bool_field(j, "connected", info->connected);
  mc_json_str_field(j, "version", info->version == MC_MQTT_5 ? "5" : "3.1.1");
  mc_json_bool_field(j, "clean", info->clean);
  mc_json_uint_field(j, "keep_alive", info->keep_alive_s);
  mc_json_uint_field(j, "subscriptions", info->subscriptions);
  mc_json_uint_field(j, "queued", info->queued);
  mc_json_uint_field(j, "inflight", info->inflight);
  mc_json_uint_field(j, "received", info->received);
  mc_json_uint_field(j, "delivered", info->delivered);
  mc_json_uint_field(j, "refused", info->refused);
  mc_json_str_field(j, "profile", mc_profile_text((mc_profile_name)info->profile));
  json_time_if(j, "connected_at", info->connected_us);
  json_time_if(j, "disconnected_at", info->disconnected_us);
  json_time_if(j, "last_packet", info->last_packet_us);
  if (info->last_error[0])
    mc_json_str_field(j, "last_error", info->last_error);
  write_limited(j, info);
  mc_json_object_end(j);
}

mc_err api_op_client_list(api_call *c)
{
  size_t limit = (size_t)query_int(c, "limit", 100), n;
  mc_client_info *list;
  MC_TRY(mc_gateway_clients(c->api->config.gateway, c->who.tenant, query_slice(c, "after"), limit + 1, &c->arena, &list, &n, &c->why));
  bool more = n > limit;
  if (more)
    n = limit;
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    json_client(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  if (more)
    mc_json_str_field(&c->json, "next", list[n - 1].client_id);
  mc_json_object_end(&c->json);
  return MC_OK;
}

static void write_event(mc_json *j, const mc_connection_event *e)
{
  mc_json_object(j);
  json_time(j, "time", e->time_us);
  mc_json_str_field(j, "client_id", e->client_id);
  mc_json_str_field(j, "address", e->address);
  mc_json_str_field(j, "kind", e->connected ? "connected" : "ended");
  mc_json_uint_field(j, "code", e->code);
  mc_json_str_field(j, "text", e->text);
  mc_json_object_end(j);
}

mc_err api_op_connection_events(api_call *c)
{
  size_t limit = (size_t)query_int(c, "limit", 100);
  mc_connection_event *list = mc_arena_array(&c->arena, limit, sizeof *list);
  if (!list)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for %zu events; ask for fewer", limit);
  size_t n = mc_gateway_events(c->api->config.gateway, c->who.tenant, list, limit);
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < n && i < limit; i++) {
    write_event(j, &list[i]);
  }
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_client_detail(api_call *c)
{
  enum { EVENTS = 100 };
  mc_client_info info;
  mc_gateway *g = c->api->config.gateway;
  mc_slice id = query_slice(c, "client_id");
  mc_connection_event *event = mc_arena_array(&c->arena, EVENTS, sizeof *event);
  if (!event)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for the client's events");
  if (!mc_gateway_client(g, c->who.tenant, id, &info))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "no client \"%.*s\" is connected or has a session", (int)(id.len > 128 ? 128 : id.len), (const char *)id.data);
  size_t n = mc_gateway_client_events(g, c->who.tenant, id, event, EVENTS);
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_key(j, "client");
  json_client(j, &info);
  mc_json_key(j, "events");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++)
    write_event(j, &event[i]);
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}
