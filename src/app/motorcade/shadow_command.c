/* Device shadows from the command line. */
#include <stdio.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/remote.h"
#include "app/motorcade/resource_command.h"

static const char usage[] = "usage: motorcade shadow list THING [--json]\n"
                            "       motorcade shadow get|history|delete THING [--name SHADOW] [--json]\n"
                            "       motorcade shadow set THING [--name SHADOW] KEY=VALUE... [--version N]\n"
                            "       motorcade shadow update THING FILE|- [--name SHADOW]\n"
                            "set changes what is desired: KEY may be a path (climate.target_c=21), VALUE is JSON or else text, and null takes KEY away. update takes a\n"
                            "document as AWS IoT has it, {\"state\": {\"desired\": ..., \"reported\": ...}, \"version\": N}. With a version it is done only if the\n"
                            "shadow has that one. Without --name it is the classic shadow.\n";

static void path_of(const char *thing, const char *name, const char *tail, char *out, size_t size)
{
  char safe[600], safe_name[300];
  size_t n = (size_t)snprintf(out, size, "/api/v1/things/%s/%s", remote_escaped(thing, safe, sizeof safe), tail);
  if (name && n < size)
    snprintf(out + n, size - n, "?name=%s", remote_escaped(name, safe_name, sizeof safe_name));
}

/* a.b=value into {"a": {"b": value}}. */
static bool put_path(json_t *object, char *path, const char *text)
{
  json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
  char *save = NULL, *key = strtok_r(path, ".", &save);
  if (!value)
    value = json_string(text);
  for (char *next; key && (next = strtok_r(NULL, ".", &save)); key = next) {
    json_t *inner = json_object_get(object, key);
    if (!json_is_object(inner))
      json_object_set_new(object, key, inner = json_object());
    object = inner;
  }
  return key && value ? !json_object_set_new(object, key, value) : (json_decref(value), false);
}

static json_t *document_of(remote *r, int *argc, char **argv, const char *version)
{
  json_t *desired = json_object();
  for (char *word; (word = (char *)(uintptr_t)option_word(argc, argv));) {
    char *equals = strchr(word, '=');
    if (equals)
      *equals = 0;
    if (!equals || equals == word || !put_path(desired, word, equals + 1)) {
      mc_err_set(&r->why, MC_ERR_INVALID, "expected KEY=VALUE, not \"%s\"", word);
      json_decref(desired);
      return NULL;
    }
  }
  json_t *document = json_pack("{s:{s:o}}", "state", "desired", desired);
  int64_t n;
  if (!version)
    return document;
  if (mc_slice_to_i64(mc_slice_str(version), &n) == MC_OK && n >= 0) {
    json_object_set_new(document, "version", json_integer(n));
    return document;
  }
  mc_err_set(&r->why, MC_ERR_INVALID, "--version: expected a whole number from 0, not \"%s\"", version);
  json_decref(document);
  return NULL;
}

/* A row for people: the change as one line of JSON. */
static int show_history(remote *r, const char *path)
{
  static const char *const field[] = {"version", "time", "by", "change"};
  json_t *items = remote_all(r, path), *item;
  size_t i;
  if (!items)
    return 1;
  json_array_foreach(items, i, item)
  {
    char *text = json_dumps(json_object_get(item, "state"), JSON_COMPACT);
    if (!r->json)
      json_object_set_new(item, "change", json_string(json_is_true(json_object_get(item, "deleted")) ? "deleted" : text ? text : ""));
    free(text);
  }
  remote_print(r, items, field, 4);
  json_decref(items);
  return 0;
}

static int act(remote *r, const char *what, const char *thing, const char *name, json_t *document)
{
  static const char *const field[] = {"name", "version", "updated"};
  char path[1200];
  if (!strcmp(what, "list")) {
    path_of(thing, NULL, "shadows", path, sizeof path);
    return remote_list(r, path, field, 3);
  }
  if (!strcmp(what, "history")) {
    path_of(thing, name, "shadow/history", path, sizeof path);
    return show_history(r, path);
  }
  path_of(thing, name, "shadow", path, sizeof path);
  return remote_show(r, remote_ask(r, !strcmp(what, "get") ? "GET" : !strcmp(what, "delete") ? "DELETE" : "PATCH", path, document));
}

int command_shadow(int argc, char **argv)
{
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *name = option_take(&argc, argv, "--name", NULL), *version = option_take(&argc, argv, "--version", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *thing = option_word(&argc, argv);
  bool sets = what && !strcmp(what, "set"), updates = what && !strcmp(what, "update");
  bool plain = what && (!strcmp(what, "list") || !strcmp(what, "get") || !strcmp(what, "history") || !strcmp(what, "delete"));
  if (!(sets || updates || plain) || !thing || (version && !sets) || (name && !strcmp(what, "list")))
    return remote_unclear(&r, what, usage);
  json_t *document = NULL;
  if (sets && !(document = document_of(&r, &argc, argv, version)))
    return remote_fail(&r);
  const char *file = updates ? option_word(&argc, argv) : NULL;
  if (updates && !file)
    return remote_unclear(&r, what, usage);
  if (updates && !(document = resource_document(&r, file)))
    return 1;
  int code = remote_reach(&r, argc, argv, usage);
  if (!code)
    return act(&r, what, thing, name, document);
  json_decref(document);
  return code;
}
