/* Tenants of the platform: whose things stand beside each other and never meet. Admins of the first tenant make them; what is in one only its own users see. */
#include "api/inside.h"

static mc_err check_first(api_call *c)
{
  return c->who.tenant == MC_TENANT_DEFAULT ? MC_OK : mc_err_set(&c->why, MC_ERR_DENIED, "tenants are the matter of the platform's first one");
}

static void write_tenant(mc_json *j, const mc_tenant *t)
{
  mc_json_object(j);
  mc_json_uint_field(j, "id", t->id);
  mc_json_str_field(j, "name", t->name);
  json_time(j, "created", t->created_us);
  mc_json_object_end(j);
}

mc_err api_op_tenant_list(api_call *c)
{
  mc_tenant *list;
  size_t n;
  MC_TRY(check_first(c));
  MC_TRY(mc_registry_tenant_list(c->api->config.registry, &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_tenant(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

/* A tenant that is there without a single user was left so by a crash: asking again gives it its admin. */
static mc_err tenant_of(api_call *c, mc_slice name, uint32_t *id)
{
  mc_registry *r = c->api->config.registry;
  mc_user *users;
  size_t n;
  mc_err err = mc_registry_tenant_create(r, name, id, &c->why);
  if (err != MC_ERR_EXISTS)
    return err;
  *id = mc_registry_tenant_find(r, name);
  mc_why inner;
  if (mc_registry_user_list(r, *id, &c->arena, &users, &n, &inner) || n)
    return err;
  c->why = (mc_why){0};
  return MC_OK;
}

mc_err api_op_tenant_create(api_call *c)
{
  mc_registry *r = c->api->config.registry;
  mc_user admin;
  mc_tenant *list;
  size_t n;
  uint32_t id;
  MC_TRY(check_first(c));
  MC_TRY(tenant_of(c, body_text(c, "name"), &id));
  MC_TRY(mc_registry_user_create(r, id, body_text(c, "admin"), body_text(c, "password"), MC_ROLE_ADMIN, &admin, &c->why));
  MC_TRY(mc_registry_tenant_list(r, &c->arena, &list, &n, &c->why));
  for (size_t i = 0; i < n; i++)
    if (list[i].id == id)
      write_tenant(&c->json, &list[i]);
  return MC_OK;
}
