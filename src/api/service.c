/* Services: MQTT clients that are no vehicles. */
#include "api/inside.h"

static void write_service(mc_json *j, const mc_service *s)
{
  mc_json_object(j);
  mc_json_uint_field(j, "id", s->thing.id);
  mc_json_str_field(j, "name", s->thing.name);
  mc_json_bool_field(j, "password", s->has_password);
  mc_json_bool_field(j, "disabled", s->disabled);
  json_time(j, "created", s->thing.created_us);
  mc_json_object_end(j);
}

static mc_err list(api_call *c, mc_service **out, size_t *count)
{
  return mc_registry_service_list(c->api->config.registry, c->who.tenant, &c->arena, out, count, &c->why);
}

static mc_err write_one(api_call *c, uint32_t id)
{
  mc_service *all;
  size_t count;
  MC_TRY(list(c, &all, &count));
  for (size_t i = 0; i < count; i++)
    if (all[i].thing.id == id) {
      write_service(&c->json, &all[i]);
      return MC_OK;
    }
  return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no service %u", id);
}

mc_err api_op_service_list(api_call *c)
{
  mc_service *all;
  size_t count;
  MC_TRY(list(c, &all, &count));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < count; i++)
    write_service(&c->json, &all[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

/* Password and policy are looked at first: a service that could not get in would be left behind, and a refusal names its field. */
mc_err api_op_service_create(api_call *c)
{
  uint32_t id;
  mc_registry *r = c->api->config.registry;
  mc_slice password = body_text(c, "password");
  mc_scram_verifier checked;
  if (password.len && mc_scram_verifier_make(password, &checked, &c->why))
    return call_refuse(c, "/password", "%s", c->why.text);
  mc_policy *policy;
  mc_err err = mc_policy_parse(body_text(c, "policy"), &policy, &c->why);
  if (err == MC_ERR_MALFORMED || err == MC_ERR_INVALID)
    return call_refuse(c, "/policy", "%s", c->why.text);
  MC_TRY(err);
  mc_policy_release(policy);
  MC_TRY(mc_registry_service_create(r, c->who.tenant, body_text(c, "name"), body_text(c, "policy"), &id, &c->why));
  if (password.len)
    MC_TRY(mc_registry_service_set_password(r, c->who.tenant, id, password, &c->why));
  return write_one(c, id);
}

mc_err api_op_service_update(api_call *c)
{
  uint32_t id;
  mc_registry *r = c->api->config.registry;
  mc_service *all;
  size_t count, at = 0;
  MC_TRY(call_id(c, 0, "service", &id));
  MC_TRY(list(c, &all, &count));
  while (at < count && all[at].thing.id != id)
    at++;
  if (at == count)
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no service %u", id);
  if (body_has(c, "password"))
    MC_TRY(mc_registry_service_set_password(r, c->who.tenant, id, body_text(c, "password"), &c->why));
  if (body_has(c, "disabled"))
    MC_TRY(mc_registry_thing_set_disabled(r, c->who.tenant, id, body_bool(c, "disabled", false), &c->why));
  return write_one(c, id);
}
