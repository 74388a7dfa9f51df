/* Thing groups: what is the same for several devices. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/remote.h"

static int change(remote *r, const char *what, const char *name, const char *thing)
{
  static const char *const member[] = {"thing"};
  json_int_t id = remote_id(r, "/api/v1/groups", "group", name);
  char path[700], safe[600];
  if (!id)
    return 1;
  snprintf(path, sizeof path, "/api/v1/groups/%" JSON_INTEGER_FORMAT "/things", id);
  if (!strcmp(what, "list"))
    return remote_list(r, path, member, 1);
  if (!strcmp(what, "add"))
    return remote_show(r, remote_ask(r, "POST", path, json_pack("{s:s}", "thing", thing)));
  size_t n = strlen(path);
  snprintf(path + n, sizeof path - n, "/%s", remote_escaped(thing, safe, sizeof safe));
  json_t *gone = remote_ask(r, "DELETE", path, NULL);
  json_decref(gone);
  return gone ? 0 : 1;
}

int command_group(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade group list [GROUP] [--json]\n"
                              "       motorcade group create GROUP [--profile standard|aws-compat]\n"
                              "       motorcade group add|remove GROUP THING\n"
                              "A thing is a vehicle's device or a service. A group's profile says how MQTT behaves towards its members, from their next\n"
                              "connection on, whichever port they come through. list GROUP shows its members.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *profile = option_take(&argc, argv, "--profile", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv), *thing = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list"), creates = what && !strcmp(what, "create");
  bool changes = what && (!strcmp(what, "add") || !strcmp(what, "remove"));
  if (!(lists && !thing && !profile) && !(creates && name && !thing) && !(changes && thing && !profile))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  static const char *const field[] = {"name", "id", "profile", "things"};
  if (lists && !name)
    return remote_list_once(&r, "/api/v1/groups", field, 4);
  if (!creates)
    return change(&r, what, name, thing);
  json_t *body = json_object();
  remote_set_text(body, "name", name);
  remote_set_text(body, "profile", profile);
  return remote_show(&r, remote_ask(&r, "POST", "/api/v1/groups", body));
}
