#include "access/access.h"

static const char *const role_name[] = {[MC_ROLE_VIEWER] = "viewer", [MC_ROLE_OPERATOR] = "operator", [MC_ROLE_ADMIN] = "admin"};

/* The one list of permissions, each with the least role that has it. The API's operations name them; README prints them. */
static const struct permission {
  const char *name;
  mc_access_role least;
} permission[] = {
    {"self:read", MC_ROLE_VIEWER},       {"self:write", MC_ROLE_VIEWER},         {"vehicle:read", MC_ROLE_VIEWER},
    {"signal:read", MC_ROLE_VIEWER},     {"campaign:read", MC_ROLE_VIEWER},      {"vehicle:write", MC_ROLE_OPERATOR},
    {"signal:write", MC_ROLE_OPERATOR},  {"campaign:write", MC_ROLE_OPERATOR},   {"certificate:read", MC_ROLE_OPERATOR},
    {"system:read", MC_ROLE_OPERATOR},   {"certificate:write", MC_ROLE_ADMIN},   {"erasure:write", MC_ROLE_ADMIN},   {"trace:write", MC_ROLE_OPERATOR},   {"user:read", MC_ROLE_ADMIN},
    {"user:write", MC_ROLE_ADMIN},       {"token:read", MC_ROLE_ADMIN},          {"token:write", MC_ROLE_ADMIN},
    {"tag:read", MC_ROLE_VIEWER},        {"tag:write", MC_ROLE_OPERATOR},        {"account:read", MC_ROLE_OPERATOR},  {"account:write", MC_ROLE_ADMIN},
    {"tenant:read", MC_ROLE_ADMIN},      {"tenant:write", MC_ROLE_ADMIN},
    {"shadow:read", MC_ROLE_VIEWER},     {"shadow:write", MC_ROLE_OPERATOR},
    {"policy:read", MC_ROLE_OPERATOR},   {"policy:write", MC_ROLE_ADMIN},
};
enum { PERMISSIONS = sizeof permission / sizeof permission[0] };

const char *mc_access_role_name(mc_access_role role)
{
  return role >= MC_ROLE_VIEWER && role <= MC_ROLE_ADMIN ? role_name[role] : "none";
}

mc_err mc_access_role_parse(mc_slice text, mc_access_role *out, mc_why *why)
{
  for (int role = MC_ROLE_VIEWER; role <= MC_ROLE_ADMIN; role++)
    if (mc_slice_eq_str(text, role_name[role])) {
      *out = (mc_access_role)role;
      return MC_OK;
    }
  char shown[41];
  mc_slice_to_str(text, shown, sizeof shown);
  return mc_err_set(why, MC_ERR_INVALID, "\"%s\" is not a role; say viewer, operator or admin", shown);
}

bool mc_access_role_allows(mc_access_role role, mc_slice name)
{
  if (role < MC_ROLE_VIEWER || role > MC_ROLE_ADMIN)
    return false;
  for (size_t i = 0; i < PERMISSIONS; i++)
    if (mc_slice_eq_str(name, permission[i].name))
      return role >= permission[i].least;
  return false;
}

size_t mc_access_permission_count(void)
{
  return PERMISSIONS;
}

const char *mc_access_permission_name(size_t index)
{
  return index < PERMISSIONS ? permission[index].name : NULL;
}
