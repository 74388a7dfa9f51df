/* Signing in and out, and who one is. */
#include <stdio.h>

#include "api/inside.h"

static mc_err write_me(api_call *c, const mc_principal *who, const char *csrf)
{
  char tenant[64];
  mc_registry_tenant_name(c->api->config.registry, who->tenant, tenant);
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_str_field(j, "name", who->name);
  mc_json_str_field(j, "kind", who->kind == MC_PRINCIPAL_TOKEN ? "token" : "user");
  mc_json_str_field(j, "role", mc_access_role_name(who->role));
  mc_json_str_field(j, "tenant", tenant);
  mc_json_key(j, "permissions");
  mc_json_array(j);
  for (size_t i = 0; i < mc_access_permission_count(); i++)
    if (mc_access_role_allows(who->role, mc_slice_str(mc_access_permission_name(i))))
      mc_json_str(j, mc_access_permission_name(i));
  mc_json_array_end(j);
  if (csrf[0])
    mc_json_str_field(j, "csrf", csrf);
  mc_json_object_end(j);
  return MC_OK;
}

/* Opens a session for who and tells the browser. The audit record then names them. */
static mc_err begin_session(api_call *c, const mc_principal *who)
{
  char secret[64], csrf[64];
  MC_TRY(mc_registry_session_create(c->api->config.registry, who, secret, csrf, &c->why));
  identity_set_cookie(c, secret);
  c->who = *who;
  return write_me(c, who, csrf);
}

/* "tenant/name", or a name of the first tenant: no user's name has a stroke. 0: there is no such tenant, and nobody in it. */
static uint32_t tenant_of_name(api_call *c, mc_slice *name)
{
  size_t stroke = mc_slice_find(*name, '/', 0);
  if (stroke == name->len)
    return MC_TENANT_DEFAULT;
  mc_slice tenant = mc_slice_sub(*name, 0, stroke);
  *name = mc_slice_sub(*name, stroke + 1, name->len);
  return mc_registry_tenant_find(c->api->config.registry, tenant);
}

/* Says how long to wait, for programs, too. */
static void tell_wait(api_call *c, uint32_t tenant, mc_slice name)
{
  char seconds[24];
  long long wait_us = mc_registry_sign_in_wait_us(c->api->config.registry, tenant, name, mc_slice_str(c->address));
  snprintf(seconds, sizeof seconds, "%lld", wait_us / 1000000 + 1);
  reply_header(c, "Retry-After", mc_slice_str(seconds));
  c->status = 429;
}

mc_err api_op_sign_in(api_call *c)
{
  mc_principal who;
  mc_slice name = body_text(c, "name");
  uint32_t tenant = tenant_of_name(c, &name);
  mc_err err = mc_registry_sign_in(c->api->config.registry, tenant, name, body_text(c, "password"), mc_slice_str(c->address), &who, &c->why);
  if (err == MC_ERR_FULL)
    tell_wait(c, tenant, name);
  return err ? err : begin_session(c, &who);
}

mc_err api_op_sign_in_link(api_call *c)
{
  mc_principal who;
  MC_TRY(mc_registry_link_redeem(c->api->config.registry, body_text(c, "code"), &who, &c->why));
  return begin_session(c, &who);
}

mc_err api_op_sign_out(api_call *c)
{
  if (!c->by_cookie)
    return mc_err_set(&c->why, MC_ERR_CONFLICT, "an API token has no session to end; revoke the token instead");
  identity_set_cookie(c, "");
  mc_err err = mc_registry_session_end(c->api->config.registry, c->session);
  return err == MC_ERR_NOT_FOUND ? MC_OK : err;
}

mc_err api_op_me(api_call *c)
{
  return write_me(c, &c->who, c->csrf);
}

mc_err api_op_password_change(api_call *c)
{
  mc_registry *r = c->api->config.registry;
  mc_principal who;
  mc_user user;
  if (c->who.kind != MC_PRINCIPAL_USER)
    return mc_err_set(&c->why, MC_ERR_DENIED, "an API token has no password; sign in as a user to change yours");
  mc_slice name = mc_slice_str(c->who.name);
  mc_err err = mc_registry_sign_in(r, c->who.tenant, name, body_text(c, "current"), mc_slice_str(c->address), &who, &c->why);
  if (err == MC_ERR_FULL)
    tell_wait(c, c->who.tenant, name);
  if (err == MC_ERR_UNAUTHENTICATED) {
    c->status = 400;
    return call_refuse(c, "/current", "this is not your present password");
  }
  MC_TRY(err);
  MC_TRY(mc_registry_user_get(r, c->who.tenant, c->who.id, &user));
  MC_TRY(mc_registry_user_update(r, &user, body_text(c, "password"), &c->why)); /* ends all sessions, this one too */
  char secret[64], csrf[64];
  MC_TRY(mc_registry_session_create(r, &who, secret, csrf, &c->why));
  identity_set_cookie(c, secret);
  reply_header(c, "X-CSRF-Token", mc_slice_str(csrf)); /* the new session's; GET /api/v1/me gives it, too */
  return MC_OK;
}
