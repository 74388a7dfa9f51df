#include "app/motorcade/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/command.h"

/* motorcade template */

static const char usage[] =
    "usage: motorcade template list [--json]\n"
    "       motorcade template create --name NAME --signals FQN,FQN,...\n"
    "       motorcade template show|delete NAME\n"
    "       motorcade template give NAME --vehicle VEHICLE [--period MS]\n"
    "       motorcade template take NAME --vehicle VEHICLE\n"
    "       motorcade template activate NAME --vehicle VEHICLE [--for SECONDS]\n"
    "       motorcade template deactivate|fetch NAME --vehicle VEHICLE\n"
    "       motorcade template of VEHICLE [--json]\n"
    "A state template says what of a vehicle's state is to be known at once. Without --period it is sent on change. A vehicle is silent about it\n"
    "until it is activated; of shows where each stands, and what became of commands.\n";

static int show_vehicle(remote *r, json_int_t id)
{
  static const char *const field[] = {"template", "period_ms", "state", "reason", "text"}, *const command[] = {"issued", "template", "action", "status", "text"};
  char path[100];
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/templates", id);
  json_t *reply = remote_ask(r, "GET", path, NULL);
  if (!reply || r->json)
    return remote_show(r, reply);
  remote_print(r, json_object_get(reply, "items"), field, 5);
  if (json_array_size(json_object_get(reply, "commands")))
    remote_print(r, json_object_get(reply, "commands"), command, 5);
  json_decref(reply);
  return 0;
}

static json_t *names(const char *list)
{
  json_t *out = json_array();
  while (*list) {
    size_t n = strcspn(list, ", ");
    if (n)
      json_array_append_new(out, json_stringn(list, n));
    list += n + (list[n] != 0);
  }
  return out;
}

/* What is done to one vehicle. */
static int command_vehicle_template(remote *r, const char *what, const char *name, json_int_t id, const char *period, const char *seconds)
{
  char path[600], safe[500];
  if (!strcmp(what, "give")) {
    snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/templates", id);
    return remote_show(r, remote_ask(r, "POST", path, json_pack("{s:s, s:I}", "template", name, "period_ms", period ? (json_int_t)strtoll(period, NULL, 10) : (json_int_t)0)));
  }
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/templates/%s", id, remote_escaped(name, safe, sizeof safe));
  if (!strcmp(what, "take"))
    return remote_ask(r, "DELETE", path, NULL) ? 0 : 1;
  strcat(path, "/commands");
  return remote_show(r, remote_ask(r, "POST", path,
                                   json_pack("{s:s, s:I}", "action", what, "deactivate_after_s", seconds ? (json_int_t)strtoll(seconds, NULL, 10) : (json_int_t)0)));
}

int command_template(int argc, char **argv)
{
  static const char *const field[] = {"name", "id", "description", "updated"}, *const of_vehicle[] = {"give", "take", "activate", "deactivate", "fetch"};
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *given = option_take(&argc, argv, "--name", NULL), *signals = option_take(&argc, argv, "--signals", NULL), *vehicle = option_take(&argc, argv, "--vehicle", NULL);
  const char *period = option_take(&argc, argv, "--period", NULL), *seconds = option_take(&argc, argv, "--for", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool on_vehicle = false;
  for (size_t i = 0; what && i < sizeof of_vehicle / sizeof of_vehicle[0]; i++)
    on_vehicle |= !strcmp(what, of_vehicle[i]);
  bool create = what && !strcmp(what, "create"), list = what && !strcmp(what, "list");
  if (!what || (create ? !given || !signals : !list && !name) || (on_vehicle && !vehicle))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (list)
    return remote_list_once(&r, "/api/v1/templates", field, 4);
  if (create)
    return remote_show(&r, remote_ask(&r, "POST", "/api/v1/templates", json_pack("{s:s, s:o}", "name", given, "signals", names(signals))));
  if (on_vehicle || !strcmp(what, "of")) {
    json_int_t id = remote_vehicle(&r, on_vehicle ? vehicle : name);
    if (!id)
      return 1;
    return on_vehicle ? command_vehicle_template(&r, what, name, id, period, seconds) : show_vehicle(&r, id);
  }
  char path[600], safe[500];
  snprintf(path, sizeof path, "/api/v1/templates/%s", remote_escaped(name, safe, sizeof safe));
  if (!strcmp(what, "show"))
    return remote_show(&r, remote_ask(&r, "GET", path, NULL));
  if (!strcmp(what, "delete"))
    return remote_ask(&r, "DELETE", path, NULL) ? 0 : 1;
  return remote_unclear(&r, what, usage);
}
