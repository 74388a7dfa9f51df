/* Access keys: what AWS's SDKs and command line sign with. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/remote.h"

static int create(remote *r, const char *name, const char *role)
{
  json_t *answer = remote_ask(r, "POST", "/api/v1/access-keys", json_pack("{s:s,s:s}", "name", name, "role", role));
  if (!answer)
    return 1;
  if (r->json)
    return remote_show(r, answer);
  json_t *key = json_object_get(answer, "access_key");
  printf("aws_access_key_id     = %s\naws_secret_access_key = %s\n", remote_text(key, "key_id"), remote_text(answer, "secret"));
  fprintf(stderr, "The secret is shown once. Role %s. Endpoint: http://127.0.0.1:%u/aws, any region.\n", remote_text(key, "role"), r->call.port);
  json_decref(answer);
  return 0;
}

/* By its id in the list, or by its key id. */
static int revoke(remote *r, const char *which)
{
  json_t *list = remote_ask(r, "GET", "/api/v1/access-keys", NULL), *item;
  json_int_t id = 0;
  size_t i;
  if (!list)
    return 1;
  json_array_foreach (json_object_get(list, "items"), i, item) {
    char number[24];
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(item, "id")));
    if (!strcmp(which, number) || !strcmp(which, json_string_value(json_object_get(item, "key_id"))))
      id = json_integer_value(json_object_get(item, "id"));
  }
  json_decref(list);
  if (!id) {
    mc_err_set(&r->why, MC_ERR_NOT_FOUND, "there is no access key %s; `motorcade access-key list` shows them", which);
    return remote_fail(r);
  }
  char path[80];
  snprintf(path, sizeof path, "/api/v1/access-keys/%" JSON_INTEGER_FORMAT, id);
  json_t *gone = remote_ask(r, "DELETE", path, NULL);
  json_decref(gone);
  return gone ? 0 : 1;
}

int command_access_key(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade access-key list [--json]\n"
                              "       motorcade access-key create NAME [--role viewer|operator|admin] [--json]\n"
                              "       motorcade access-key revoke ID\n"
                              "An access key signs requests of AWS's SDKs and command line to http://127.0.0.1:<http_port>/aws (or https://<name>:<tls_port>/aws).\n"
                              "Its role says what it may do; operator, when none is given. The secret is shown once. ID is its number or its access key id.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *role = option_take(&argc, argv, "--role", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list"), creates = what && !strcmp(what, "create"), revokes = what && !strcmp(what, "revoke");
  if (!(lists && !name && !role) && !(creates && name) && !(revokes && name && !role))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  static const char *const field[] = {"id", "key_id", "name", "role", "created", "last_used", "usable"};
  if (lists)
    return remote_list_once(&r, "/api/v1/access-keys", field, 7);
  return creates ? create(&r, name, role ? role : "operator") : revoke(&r, name);
}
