/* motorcade fleet, model, decoder; and what catalog and vehicle share with them: FleetWise's resources by name, through the API. Documents come from files
 * in FleetWise's own shapes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/remote.h"
#include "app/motorcade/resource_command.h"

enum { PATH = 1600 };

/* "/api/v1/fleets/{}/vehicles/{}" with the words in the places. */
static void fill_path(const char *pattern, const char *const word[2], char out[PATH])
{
  size_t n = 0;
  int at = 0;
  char safe[600];
  for (const char *p = pattern; *p && n + 1 < PATH; p++)
    if (p[0] == '{' && p[1] == '}') {
      n += (size_t)snprintf(out + n, PATH - n, "%s", remote_escaped(word[at++], safe, sizeof safe));
      p++;
    } else
      out[n++] = *p;
  out[n < PATH ? n : PATH - 1] = 0;
}

json_t *resource_document(remote *r, const char *file)
{
  json_t *text = NULL;
  json_error_t bad;
  if (!file)
    return json_object();
  if (!remote_read_text(r, file, &text)) {
    remote_fail(r);
    return NULL;
  }
  json_t *o = json_loadb(json_string_value(text), json_string_length(text), JSON_REJECT_DUPLICATES, &bad);
  json_decref(text);
  if (json_is_object(o))
    return o;
  mc_err_set(&r->why, MC_ERR_MALFORMED, "%s, line %d, column %d: %s", file, bad.line, bad.column, o ? "not a JSON object" : bad.text);
  json_decref(o);
  remote_fail(r);
  return NULL;
}

/* One row for people: a Node's kind beside its members, ARNs as the names in them, a plain name under "name". */
static json_t *row_of(json_t *item)
{
  json_t *row = json_object(), *value;
  const char *key;
  if (json_is_string(item)) {
    json_object_set(row, "name", item);
    return row;
  }
  const char *kind = json_object_iter_key(json_object_iter(item));
  json_t *inner = kind ? json_object_get(item, kind) : NULL;
  if (json_object_size(item) == 1 && json_is_object(inner)) {
    json_object_update(row, inner);
    json_object_set_new(row, "kind", json_string(kind));
    return row;
  }
  json_object_foreach (item, key, value) {
    const char *slash = json_is_string(value) && strlen(key) > 3 && !strcmp(key + strlen(key) - 3, "Arn") ? strrchr(json_string_value(value), '/') : NULL;
    if (slash)
      json_object_set_new(row, key, json_string(slash + 1));
    else
      json_object_set(row, key, value);
  }
  return row;
}

static int list(remote *r, const resource_verb *v, const char *path)
{
  static const char *const names[] = {"name"};
  json_t *all = remote_all(r, path), *rows = json_array(), *item;
  int fields = 0;
  size_t i;
  while (fields < RESOURCE_FIELDS && v->field[fields])
    fields++;
  json_array_foreach (all, i, item)
    json_array_append_new(rows, row_of(item));
  if (all)
    remote_print(r, r->json ? all : rows, fields ? v->field : names, fields ? fields : 1);
  json_decref(rows);
  json_decref(all);
  return all ? 0 : 1;
}

/* "signalCatalogArn" wants an ARN; people give a name. */
static void put_option(json_t *body, const char *member, const char *value)
{
  static const struct {
    const char *member, *kind;
  } arns[] = {{"signalCatalogArn", "signal-catalog"}, {"modelManifestArn", "model-manifest"}};
  char text[400];
  for (size_t i = 0; value && i < sizeof arns / sizeof arns[0]; i++)
    if (!strcmp(arns[i].member, member)) {
      snprintf(text, sizeof text, "arn:aws:iotfleetwise:local:000000000000:%s/%.300s", arns[i].kind, value);
      remote_set_text(body, member, text);
      return;
    }
  remote_set_text(body, member, value);
}

static int run(remote *r, const resource_verb *v, const char *const word[2], const char *file, const char *const option[RESOURCE_OPTIONS])
{
  char path[PATH];
  fill_path(v->path, word, path);
  if (v->method[0] == 'G' && v->is_list)
    return list(r, v, path);
  json_t *body = NULL;
  if (v->takes_file || v->option[0]) {
    body = resource_document(r, file);
    if (!body)
      return 1;
    if (v->name_member && word[0])
      remote_set_text(body, v->name_member, word[0]);
    for (size_t i = 0; i < RESOURCE_OPTIONS && v->option[i]; i++)
      put_option(body, v->member[i], option[i] ? option[i] : v->fallback[i]);
  }
  json_t *reply = remote_ask(r, v->method, path, body);
  return json_is_null(reply) ? 0 : remote_show(r, reply);
}

static const resource_verb *verb_named(const resource_verb *verb, const char *name, int words)
{
  for (; verb->name; verb++)
    if (name && !strcmp(verb->name, name) && verb->words == words)
      return verb;
  return NULL;
}

int resource_command(int argc, char **argv, const char *usage, const resource_verb *verb)
{
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *file = option_take(&argc, argv, "--file", NULL), *option[RESOURCE_OPTIONS] = {0};
  const char *taken[RESOURCE_OPTIONS * 4] = {0}, *value[RESOURCE_OPTIONS * 4] = {0};
  size_t count = 0;
  for (const resource_verb *v = verb; v->name; v++) /* every option once, whichever verbs know it */
    for (size_t i = 0; i < RESOURCE_OPTIONS && v->option[i]; i++) {
      size_t k = 0;
      while (k < count && strcmp(taken[k], v->option[i]) != 0)
        k++;
      if (k < count || count == sizeof taken / sizeof taken[0])
        continue;
      taken[count] = v->option[i];
      value[count++] = option_take(&argc, argv, v->option[i], NULL);
    }
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *word[2] = {option_word(&argc, argv), option_word(&argc, argv)};
  const resource_verb *v = verb_named(verb, what, (word[0] != NULL) + (word[1] != NULL));
  if (!v || (file && !v->takes_file))
    return remote_unclear(&r, what, usage);
  for (size_t k = 0; k < count; k++) {
    size_t i = 0;
    while (i < RESOURCE_OPTIONS && v->option[i] && strcmp(v->option[i], taken[k]) != 0)
      i++;
    if (i < RESOURCE_OPTIONS && v->option[i])
      option[i] = value[k];
    else if (value[k])
      return remote_unclear(&r, what, usage);
  }
  int code = remote_reach(&r, argc, argv, usage);
  return code ? code : run(&r, v, word, file, option);
}

/* ---- motorcade fleet ---- */

int command_fleet(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade fleet list [FLEET] [--json]\n"
                              "       motorcade fleet show|delete FLEET\n"
                              "       motorcade fleet create FLEET [--catalog NAME] [--description TEXT]\n"
                              "       motorcade fleet add|remove FLEET VEHICLE\n"
                              "A fleet is vehicles that are meant together: a campaign can have it as its target. list FLEET shows its vehicles.\n"
                              "The catalog is \"default\" when none is named.\n";
  static const resource_verb verbs[] = {
      {.name = "list", .method = "GET", .path = "/api/v1/fleets", .is_list = true, .field = {"id", "description", "signalCatalogArn=catalog"}},
      {.name = "list", .words = 1, .method = "GET", .path = "/api/v1/fleets/{}/vehicles", .is_list = true},
      {.name = "show", .words = 1, .method = "GET", .path = "/api/v1/fleets/{}"},
      {.name = "create", .words = 1, .method = "POST", .path = "/api/v1/fleets", .name_member = "fleetId", .option = {"--catalog", "--description"},
       .member = {"signalCatalogArn", "description"}, .fallback = {"default"}},
      {.name = "delete", .words = 1, .method = "DELETE", .path = "/api/v1/fleets/{}"},
      {.name = "add", .words = 2, .method = "PUT", .path = "/api/v1/fleets/{}/vehicles/{}"},
      {.name = "remove", .words = 2, .method = "DELETE", .path = "/api/v1/fleets/{}/vehicles/{}"},
      {0}};
  return resource_command(argc, argv, usage, verbs);
}

/* ---- motorcade model ---- */

int command_model(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade model list [MODEL] [--json]\n"
                              "       motorcade model show|delete MODEL\n"
                              "       motorcade model create MODEL --file FILE.json [--catalog NAME] [--description TEXT]\n"
                              "       motorcade model update MODEL [--file FILE.json] [--status ACTIVE|DRAFT] [--description TEXT]\n"
                              "       motorcade model compare MODEL MODEL [--json]\n"
                              "A model says which nodes of a signal catalog a kind of vehicle has. FILE is {\"nodes\": [\"Vehicle.Speed\", ...]} to create,\n"
                              "{\"nodesToAdd\": [...], \"nodesToRemove\": [...]} to update; a branch stands for all below it. list MODEL shows its nodes;\n"
                              "compare tells what the second one has otherwise than the first.\n";
  static const resource_verb verbs[] = {
      {.name = "list", .method = "GET", .path = "/api/v1/models", .is_list = true, .field = {"name", "status", "signalCatalogArn=catalog", "description"}},
      {.name = "list", .words = 1, .method = "GET", .path = "/api/v1/models/{}/nodes", .is_list = true, .field = {"fullyQualifiedName=node", "kind", "dataType=type", "unit", "description"}},
      {.name = "show", .words = 1, .method = "GET", .path = "/api/v1/models/{}"},
      {.name = "create", .words = 1, .method = "POST", .path = "/api/v1/models", .name_member = "name", .takes_file = true, .option = {"--catalog", "--description"},
       .member = {"signalCatalogArn", "description"}, .fallback = {"default"}},
      {.name = "update", .words = 1, .method = "PATCH", .path = "/api/v1/models/{}", .takes_file = true, .option = {"--status", "--description"}, .member = {"status", "description"}},
      {.name = "delete", .words = 1, .method = "DELETE", .path = "/api/v1/models/{}"},
      {0}};
  if (argc > 1 && !strcmp(argv[1], "compare"))
    return manifest_compare(argc, argv, usage, "models");
  return resource_command(argc, argv, usage, verbs);
}

/* ---- motorcade decoder ---- */

int command_decoder(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade decoder list [MANIFEST] [--json]\n"
                              "       motorcade decoder show|interfaces|delete MANIFEST\n"
                              "       motorcade decoder compare MANIFEST MANIFEST|SYNC-ID [--json]\n"
                              "       motorcade decoder create MANIFEST --model MODEL [--file FILE.json] [--description TEXT]\n"
                              "       motorcade decoder update MANIFEST [--file FILE.json] [--status ACTIVE|DRAFT] [--description TEXT]\n"
                              "A decoder manifest says how a model's signals are read from a vehicle's buses. FILE has the members of FleetWise's\n"
                              "CreateDecoderManifest (signalDecoders, networkInterfaces) or UpdateDecoderManifest. list MANIFEST shows its decoders.\n"
                              "compare tells what the second one (or any version, by its sync id) has otherwise than the first.\n"
                              "One that is ACTIVE goes to its vehicles. `motorcade catalog import --dbc` makes all of it in one step.\n";
  static const resource_verb verbs[] = {
      {.name = "list", .method = "GET", .path = "/api/v1/decoders", .is_list = true, .field = {"name", "status", "modelManifestArn=model", "description"}},
      {.name = "list", .words = 1, .method = "GET", .path = "/api/v1/decoders/{}/signals", .is_list = true, .field = {"fullyQualifiedName=signal", "type", "interfaceId=interface"}},
      {.name = "interfaces", .words = 1, .method = "GET", .path = "/api/v1/decoders/{}/interfaces", .is_list = true, .field = {"interfaceId=interface", "type"}},
      {.name = "show", .words = 1, .method = "GET", .path = "/api/v1/decoders/{}"},
      {.name = "create", .words = 1, .method = "POST", .path = "/api/v1/decoders", .name_member = "name", .takes_file = true, .option = {"--model", "--description"},
       .member = {"modelManifestArn", "description"}},
      {.name = "update", .words = 1, .method = "PATCH", .path = "/api/v1/decoders/{}", .takes_file = true, .option = {"--status", "--description"}, .member = {"status", "description"}},
      {.name = "delete", .words = 1, .method = "DELETE", .path = "/api/v1/decoders/{}"},
      {0}};
  if (argc > 1 && !strcmp(argv[1], "compare"))
    return manifest_compare(argc, argv, usage, "decoders");
  return resource_command(argc, argv, usage, verbs);
}
