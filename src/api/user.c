/* Users and API tokens. */
#include "api/inside.h"

static void write_user(mc_json *j, const mc_user *u)
{
  mc_json_object(j);
  mc_json_uint_field(j, "id", u->id);
  mc_json_str_field(j, "name", u->name);
  mc_json_str_field(j, "role", mc_access_role_name(u->role));
  mc_json_bool_field(j, "disabled", u->disabled);
  json_time(j, "created", u->created_us);
  json_time_if(j, "last_sign_in", u->last_sign_in_us);
  mc_json_object_end(j);
}

mc_err api_op_user_list(api_call *c)
{
  mc_user *list;
  size_t n;
  MC_TRY(mc_registry_user_list(c->api->config.registry, c->who.tenant, &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_user(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_user_create(api_call *c)
{
  mc_access_role role;
  mc_user user;
  MC_TRY(mc_access_role_parse(body_text(c, "role"), &role, &c->why));
  MC_TRY(mc_registry_user_create(c->api->config.registry, c->who.tenant, body_text(c, "name"), body_text(c, "password"), role, &user, &c->why));
  write_user(&c->json, &user);
  return MC_OK;
}

mc_err api_op_user_update(api_call *c)
{
  mc_registry *r = c->api->config.registry;
  uint32_t id;
  mc_user user;
  MC_TRY(call_id(c, 0, "user", &id));
  if (mc_registry_user_get(r, c->who.tenant, id, &user))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no user with id %u", id);
  if (body_has(c, "role"))
    MC_TRY(mc_access_role_parse(body_text(c, "role"), &user.role, &c->why));
  user.disabled = body_bool(c, "disabled", user.disabled);
  MC_TRY(mc_registry_user_update(r, &user, body_text(c, "password"), &c->why));
  write_user(&c->json, &user);
  return MC_OK;
}

/* ---- tokens ---- */

static void write_token(mc_json *j, const mc_token *t)
{
  mc_json_object(j);
  mc_json_uint_field(j, "id", t->id);
  mc_json_str_field(j, "name", t->name);
  mc_json_str_field(j, "role", mc_access_role_name(t->role));
  json_time(j, "created", t->created_us);
  json_time_if(j, "expires", t->expires_us);
  json_time_if(j, "last_used", t->last_used_us);
  mc_json_object_end(j);
}

mc_err api_op_token_list(api_call *c)
{
  mc_token *list;
  size_t n;
  MC_TRY(mc_registry_token_list(c->api->config.registry, c->who.tenant, &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_token(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_token_create(api_call *c)
{
  mc_access_role role;
  mc_token token;
  char secret[64];
  int64_t expires_us;
  MC_TRY(mc_access_role_parse(body_text(c, "role"), &role, &c->why));
  MC_TRY(body_time(c, "expires", &expires_us));
  if (role > c->who.role) {
    c->status = 403;
    return call_refuse(c, "/role", "a token has at most your own role, %s", mc_access_role_name(c->who.role));
  }
  MC_TRY(mc_registry_token_create(c->api->config.registry, c->who.tenant, body_text(c, "name"), role, expires_us, secret, &token, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "token");
  write_token(&c->json, &token);
  mc_json_str_field(&c->json, "secret", secret);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_token_revoke(api_call *c)
{
  uint32_t id;
  MC_TRY(call_id(c, 0, "token", &id));
  return mc_registry_token_revoke(c->api->config.registry, c->who.tenant, id, &c->why);
}
