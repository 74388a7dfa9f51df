#include "app/motorcade/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "base/file.h"

/* motorcade user, motorcade service: who signs in */

bool remote_read_password(remote *r, const char *file, json_t *body)
{
  mc_buf text = {0};
  if (mc_fs_read(mc_fs_posix(), file, 256, &text, &r->why)) {
    remote_fail(r);
    return false;
  }
  mc_slice password = mc_slice_trim(mc_buf_slice(&text));
  json_t *value = json_stringn((const char *)password.data, password.len);
  mc_buf_free(&text);
  if (!value) {
    fprintf(stderr, "motorcade %s: %s: the password is not UTF-8 text\n", r->name, file);
    return false;
  }
  json_object_set_new(body, "password", value);
  return true;
}

int command_user(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade user list [--json]\n"
                              "       motorcade user create NAME [--role viewer|operator|admin] --password-file FILE\n"
                              "       motorcade user reset NAME --password-file FILE\n"
                              "FILE holds the password, at least 10 characters. Roles: viewer (the default) looks, operator changes campaigns and\n"
                              "vehicles, admin also users and tokens. reset gives a new password to who has lost theirs.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *role = option_take(&argc, argv, "--role", NULL), *file = option_take(&argc, argv, "--password-file", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list"), creates = what && !strcmp(what, "create"), resets = what && !strcmp(what, "reset");
  if (!(lists && !name) && !(creates && name && file) && !(resets && name && file && !role))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (lists) {
    static const char *const field[] = {"id", "name", "role", "disabled", "last_sign_in"};
    return remote_list_once(&r, "/api/v1/users", field, 5);
  }
  json_t *body = json_object();
  json_int_t id = resets ? remote_id(&r, "/api/v1/users", "user", name) : 0;
  if ((resets && !id) || !remote_read_password(&r, file, body)) {
    json_decref(body);
    return 1;
  }
  char path[64];
  snprintf(path, sizeof path, "/api/v1/users/%" JSON_INTEGER_FORMAT, id);
  if (resets)
    return remote_show(&r, remote_ask(&r, "PATCH", path, body));
  remote_set_text(body, "name", name);
  remote_set_text(body, "role", role ? role : "viewer");
  return remote_show(&r, remote_ask(&r, "POST", "/api/v1/users", body));
}

static int create_service(remote *r, const char *name, const char *policy, const char *file)
{
  json_t *text, *body = json_object();
  if ((file && !remote_read_password(r, file, body)) || !remote_read_text(r, policy, &text)) {
    json_decref(body);
    return 1;
  }
  remote_set_text(body, "name", name);
  json_object_set_new(body, "policy", text);
  return remote_show(r, remote_ask(r, "POST", "/api/v1/services", body));
}

int command_service(int argc, char **argv)
{
  static const char usage[] = "usage: motorcade service list [--json]\n"
                              "       motorcade service create NAME --policy FILE [--password-file FILE]\n"
                              "       motorcade service password NAME --password-file FILE\n"
                              "       motorcade service disable|enable NAME\n"
                              "A service is an MQTT client that is no vehicle. The policy is JSON: {\"publish\": [\"cmd/#\"], \"subscribe\": [\"dt/#\"]}. With a password\n"
                              "(12 characters or more) it signs in over TLS on the shared port, by SCRAM-SHA-256 or as user name and password.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *policy = option_take(&argc, argv, "--policy", NULL), *file = option_take(&argc, argv, "--password-file", NULL);
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list"), creates = what && !strcmp(what, "create"), changes = what && !strcmp(what, "password");
  bool switches = what && (!strcmp(what, "disable") || !strcmp(what, "enable"));
  if (!(lists && !name) && !(creates && name && policy) && !(changes && name && file) && !(switches && name))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (lists) {
    static const char *const field[] = {"id", "name", "password", "disabled", "created"};
    return remote_list_once(&r, "/api/v1/services", field, 5);
  }
  if (creates)
    return create_service(&r, name, policy, file);
  json_int_t id = remote_id(&r, "/api/v1/services", "service", name);
  json_t *body = json_object();
  if (!id || (changes && !remote_read_password(&r, file, body))) {
    json_decref(body);
    return 1;
  }
  if (switches)
    json_object_set_new(body, "disabled", json_boolean(!strcmp(what, "disable")));
  char path[64];
  snprintf(path, sizeof path, "/api/v1/services/%" JSON_INTEGER_FORMAT, id);
  return remote_show(&r, remote_ask(&r, "PATCH", path, body));
}
