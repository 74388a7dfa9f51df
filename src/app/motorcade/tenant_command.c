/* Tenants: list, create. */
#include <stdio.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/remote.h"

int command_tenant(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade tenant list [--json]\n"
                              "       motorcade tenant create NAME [--admin NAME] --password-file FILE\n"
                              "A tenant has users, vehicles, catalogs and campaigns of its own; no other tenant sees them. create also makes its first admin (admin, when none is\n"
                              "named), who signs in as NAME/admin with the password in FILE, at least 10 characters, and makes users, API tokens and access keys from there.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *admin = option_take(&argc, argv, "--admin", NULL), *file = option_take(&argc, argv, "--password-file", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list"), creates = what && !strcmp(what, "create");
  if (!(lists && !name && !admin && !file) && !(creates && name && file))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (lists) {
    static const char *const field[] = {"id", "name", "created"};
    return remote_list_once(&r, "/api/v1/tenants", field, 3);
  }
  json_t *body = json_object();
  if (!remote_read_password(&r, file, body)) {
    json_decref(body);
    return 1;
  }
  remote_set_text(body, "name", name);
  remote_set_text(body, "admin", admin ? admin : "admin");
  return remote_show(&r, remote_ask(&r, "POST", "/api/v1/tenants", body));
}
