#include "app/motorcade/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/resource_command.h"
#include "app/motorcade/vss_text.h"

/* motorcade catalog */

static const resource_verb verbs[] = {
    {.name = "catalogs", .method = "GET", .path = "/api/v1/catalogs", .is_list = true, .field = {"name", "creationTime=created"}},
    {.name = "show", .words = 1, .method = "GET", .path = "/api/v1/catalogs/{}"},
    {.name = "nodes", .words = 1, .method = "GET", .path = "/api/v1/catalogs/{}/nodes", .is_list = true, .field = {"fullyQualifiedName=node", "kind", "dataType=type", "unit", "description"}},
    {.name = "create", .words = 1, .method = "POST", .path = "/api/v1/catalogs", .name_member = "name", .takes_file = true, .option = {"--description"}, .member = {"description"}},
    {.name = "update", .words = 1, .method = "PATCH", .path = "/api/v1/catalogs/{}", .takes_file = true, .option = {"--description"}, .member = {"description"}},
    {.name = "delete", .words = 1, .method = "DELETE", .path = "/api/v1/catalogs/{}"},
    {0}};

static bool is_resource_verb(const char *word)
{
  for (const resource_verb *v = verbs; v->name; v++)
    if (!strcmp(v->name, word))
      return true;
  return false;
}

/* Into a catalog of its own, with structs and everything else that a tree can say. */
static int import_tree(remote *r, const char *catalog, json_t *tree)
{
  return remote_show(r, remote_ask(r, "POST", "/api/v1/catalogs", json_pack("{s:s,s:{s:o}}", "name", catalog, "vss", "vssJson", tree)));
}

int command_catalog(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade catalog import --dbc FILE --name NAME [--interface can0] [--map FILE]\n"
      "       motorcade catalog import --vss FILE.vspec|FILE.json [--catalog NAME]\n"
      "       motorcade catalog list [--filter TEXT] [--json]\n"
      "       motorcade catalog manifests [--json]\n"
      "       motorcade catalog catalogs [--json]\n"
      "       motorcade catalog show|nodes|delete CATALOG [--json]\n"
      "       motorcade catalog create|update CATALOG [--file FILE.json] [--description TEXT]\n"
      "import makes catalog entries, a vehicle model and a decoder manifest from a DBC file. --map names signals: a JSON object\n"
      "from fully qualified name to \"Message.Signal\"; the others become Vehicle.<Message>.<Signal>.\n"
      "With --vss it adds the signals of a VSS tree (a vspec file with its includes, or a JSON export) to the catalog,\n"
      "or makes a new one of them. FILE has the members of FleetWise's CreateSignalCatalog ({\"nodes\": [{\"sensor\": {...}}]}) or\n"
      "UpdateSignalCatalog (nodesToAdd, nodesToUpdate, nodesToRemove).\n";
  if (argc > 1 && is_resource_verb(argv[1]))
    return resource_command(argc, argv, usage, verbs);
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *dbc = option_take(&argc, argv, "--dbc", NULL), *name = option_take(&argc, argv, "--name", NULL);
  const char *interface = option_take(&argc, argv, "--interface", "can0"), *map = option_take(&argc, argv, "--map", NULL),
             *filter = option_take(&argc, argv, "--filter", NULL), *vss = option_take(&argc, argv, "--vss", NULL), *catalog = option_take(&argc, argv, "--catalog", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv);
  bool lists = what && (!strcmp(what, "list") || !strcmp(what, "manifests"));
  if (!what || (!lists && (strcmp(what, "import") != 0 || (!vss && (!dbc || !name)))) || (catalog && !vss))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (!strcmp(what, "import") && vss) {
    json_t *tree;
    if (vss_text_read(vss, &tree, &r.why))
      return remote_fail(&r);
    if (catalog)
      return import_tree(&r, catalog, tree);
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
