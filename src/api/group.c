/* Thing groups. */
#include "api/inside.h"

static void write_group(mc_json *j, const mc_thing_group *g)
{
  mc_json_object(j);
  mc_json_uint_field(j, "id", g->id);
  mc_json_str_field(j, "name", g->name);
  if (g->profile[0])
    mc_json_str_field(j, "profile", g->profile);
  mc_json_uint_field(j, "things", g->things);
  json_time(j, "created", g->created_us);
  mc_json_object_end(j);
}

mc_err api_op_group_list(api_call *c)
{
  mc_thing_group *list;
  size_t n;
  MC_TRY(mc_registry_group_list(c->api->config.registry, c->who.tenant, &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_group(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_group_create(api_call *c)
{
  mc_thing_group g;
  MC_TRY(mc_registry_group_create(c->api->config.registry, c->who.tenant, body_text(c, "name"), body_text(c, "profile"), &g, &c->why));
  write_group(&c->json, &g);
  return MC_OK;
}

mc_err api_op_group_things(api_call *c)
{
  uint32_t id;
  mc_thing *list;
  size_t limit = (size_t)query_int(c, "limit", 100), n;
  MC_TRY(call_id(c, 0, "group", &id));
  MC_TRY(mc_registry_group_things(c->api->config.registry, c->who.tenant, id, query_slice(c, "after"), limit + 1, &c->arena, &list, &n, &c->why));
  bool more = n > limit;
  if (more)
    n = limit;
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++) {
    mc_json_object(&c->json);
    mc_json_str_field(&c->json, "thing", list[i].name);
    mc_json_object_end(&c->json);
  }
  mc_json_array_end(&c->json);
  if (more)
    mc_json_str_field(&c->json, "next", list[n - 1].name);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_group_add(api_call *c)
{
  uint32_t id;
  mc_thing_group g;
  MC_TRY(call_id(c, 0, "group", &id));
  MC_TRY(mc_registry_group_add(c->api->config.registry, c->who.tenant, id, body_text(c, "thing"), &c->why));
  MC_TRY(mc_registry_group_get(c->api->config.registry, c->who.tenant, id, &g));
  write_group(&c->json, &g);
  return MC_OK;
}

mc_err api_op_group_remove(api_call *c)
{
  uint32_t id;
  MC_TRY(call_id(c, 0, "group", &id));
  return mc_registry_group_remove(c->api->config.registry, c->who.tenant, id, c->param[1], &c->why);
}
