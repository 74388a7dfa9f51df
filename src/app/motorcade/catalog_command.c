#include "app/motorcade/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/vss_text.h"

/* motorcade catalog, motorcade campaign */

int command_catalog(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade catalog import --dbc FILE --name NAME [--interface can0] [--map FILE]\n"
      "       motorcade catalog import --vss FILE.vspec|FILE.json\n"
      "       motorcade catalog list [--filter TEXT] [--json]\n"
      "       motorcade catalog manifests [--json]\n"
      "import makes catalog entries, a vehicle model and a decoder manifest from a DBC file. --map names signals: a JSON object\n"
      "from fully qualified name to \"Message.Signal\"; the others become Vehicle.<Message>.<Signal>.\n"
      "With --vss it adds the signals of a VSS tree (a vspec file with its includes, or a JSON export) to the catalog.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *dbc = option_take(&argc, argv, "--dbc", NULL), *name = option_take(&argc, argv, "--name", NULL);
  const char *interface = option_take(&argc, argv, "--interface", "can0"), *map = option_take(&argc, argv, "--map", NULL),
             *filter = option_take(&argc, argv, "--filter", NULL), *vss = option_take(&argc, argv, "--vss", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv);
  bool lists = what && (!strcmp(what, "list") || !strcmp(what, "manifests"));
  if (!what || (!lists && (strcmp(what, "import") != 0 || (!vss && (!dbc || !name)))))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (!strcmp(what, "import") && vss) {
    json_t *tree;
    if (vss_text_read(vss, &tree, &r.why))
      return remote_fail(&r);
    return remote_show(&r, remote_ask(&r, "POST", "/api/v1/signals", json_pack("{s:o}", "vss", tree)));
  }
  if (!strcmp(what, "list")) {
    static const char *const field[] = {"id", "fqn", "type", "unit", "description"};
    char path[700], safe[600];
    snprintf(path, sizeof path, "/api/v1/signals%s%s", filter ? "?filter=" : "", filter ? remote_escaped(filter, safe, sizeof safe) : "");
    return remote_list(&r, path, field, 5);
  }
  if (!strcmp(what, "manifests")) {
    static const char *const field[] = {"name", "signals", "vehicles", "sync_id", "created"};
    return remote_list_once(&r, "/api/v1/manifests", field, 5);
  }
  json_t *body = json_object(), *text;
  remote_set_text(body, "name", name);
  remote_set_text(body, "interface", interface);
  if (!remote_read_text(&r, dbc, &text))
    return 1;
  json_object_set_new(body, "dbc", text);
  r.file = dbc;
  if (map) {
    if (!remote_read_text(&r, map, &text))
      return 1;
    json_object_set_new(body, "map", text);
  }
  return remote_show(&r, remote_ask(&r, "POST", "/api/v1/manifests", body));
}

/* ---- campaign ---- */
static json_int_t campaign_id(remote *r, const char *name)
{
  json_t *page = remote_ask(r, "GET", "/api/v1/campaigns", NULL), *item;
  json_int_t id = 0;
  size_t i;
  json_array_foreach (json_object_get(page, "items"), i, item) {
    if (!strcmp(remote_text(item, "name"), name) || !strcmp(remote_text(item, "id"), name))
      id = json_integer_value(json_object_get(item, "id"));
  }
  if (page && !id)
    fprintf(stderr, "motorcade %s: there is no campaign \"%s\"; `motorcade campaign list` shows all\n", r->name, name);
  json_decref(page);
  return id;
}

int command_campaign(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade campaign list [--json]\n"
      "       motorcade campaign create --file FILE.json\n"
      "       motorcade campaign show|run|suspend|end|delete NAME\n"
      "FILE holds {name, target_kind, target, kind: time|condition, period_ms | expression, signals: [{fqn}], start_now, ...};\n"
      "the whole form is the schema CampaignCreate in /api/v1/openapi.json.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *file = option_take(&argc, argv, "--file", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool whole = what && (!strcmp(what, "list") ? !name : !strcmp(what, "create") ? file && !name : name != NULL);
  if (!whole)
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (!strcmp(what, "list")) {
    static const char *const field[] = {"id", "name", "status", "kind", "vehicles", "healthy", "pending", "refused"};
    return remote_list_once(&r, "/api/v1/campaigns", field, 8);
  }
  if (!strcmp(what, "create") && file) {
    json_error_t error;
    json_t *body = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    if (!body) {
      if (error.line > 0)
        fprintf(stderr, "motorcade campaign: %s:%d:%d: %s\n", file, error.line, error.column, error.text);
      else
        fprintf(stderr, "motorcade campaign: %s\n", error.text);
      return 1;
    }
    return remote_show(&r, remote_ask(&r, "POST", "/api/v1/campaigns", body));
  }
  json_int_t id = campaign_id(&r, name);
  if (!id)
    return 1;
  char path[128];
  snprintf(path, sizeof path, "/api/v1/campaigns/%" JSON_INTEGER_FORMAT, id);
  if (!strcmp(what, "show"))
    return remote_show(&r, remote_ask(&r, "GET", path, NULL));
  if (!strcmp(what, "delete"))
    return remote_ask(&r, "DELETE", path, NULL) ? 0 : 1;
  const char *status = !strcmp(what, "run") ? "running" : !strcmp(what, "suspend") ? "suspended" : !strcmp(what, "end") ? "ended" : NULL;
  if (!status)
    return remote_unclear(&r, what, usage);
  strcat(path, "/status");
  return remote_show(&r, remote_ask(&r, "POST", path, json_pack("{s:s}", "status", status)));
}
