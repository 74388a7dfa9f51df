#include "app/motorcade/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/vss_text.h"

/* motorcade catalog */

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
