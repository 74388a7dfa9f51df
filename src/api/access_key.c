/* Access keys of the AWS face. */
#include <openssl/crypto.h>

#include "api/inside.h"

static void write_key(mc_json *j, const mc_access_key *k)
{
  mc_json_object(j);
  mc_json_uint_field(j, "id", k->id);
  mc_json_str_field(j, "key_id", k->key_id);
  mc_json_str_field(j, "name", k->name);
  mc_json_str_field(j, "role", mc_access_role_name(k->role));
  mc_json_bool_field(j, "usable", k->usable);
  json_time(j, "created", k->created_us);
  json_time_if(j, "last_used", k->last_used_us);
  mc_json_object_end(j);
}

mc_err api_op_access_key_list(api_call *c)
{
  mc_access_key *list;
  size_t n;
  MC_TRY(mc_registry_access_key_list(c->api->config.registry, c->who.tenant, &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_key(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_access_key_create(api_call *c)
{
  mc_access_role role;
  mc_access_key key;
  char secret[MC_ACCESS_KEY_SECRET];
  MC_TRY(mc_access_role_parse(body_text(c, "role"), &role, &c->why));
  if (role > c->who.role) {
    c->status = 403;
    return call_refuse(c, "/role", "an access key has at most your own role, %s", mc_access_role_name(c->who.role));
  }
  MC_TRY(mc_registry_access_key_create(c->api->config.registry, c->who.tenant, body_text(c, "name"), role, secret, &key, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "access_key");
  write_key(&c->json, &key);
  mc_json_str_field(&c->json, "secret", secret);
  mc_json_object_end(&c->json);
  OPENSSL_cleanse(secret, sizeof secret);
  return MC_OK;
}

mc_err api_op_access_key_revoke(api_call *c)
{
  uint32_t id;
  MC_TRY(call_id(c, 0, "access key", &id));
  return mc_registry_access_key_revoke(c->api->config.registry, c->who.tenant, id, &c->why);
}
