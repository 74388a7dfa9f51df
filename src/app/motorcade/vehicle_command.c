#include "app/motorcade/remote.h"
#include "app/motorcade/resource_command.h"
#include "app/motorcade/vehicle_import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/motorcade/command.h"
#include "base/file.h"

/* motorcade vehicle */

static int write_secret(remote *r, const char *dir, const char *name, json_t *text, unsigned mode)
{
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  const char *content = json_string_value(text);
  if (!content || mc_fs_replace(mc_fs_posix(), path, mc_slice_str(content), mode, &r->why))
    return remote_fail(r);
  return 0;
}

static int issue_certificate(remote *r, json_int_t id, const char *dir)
{
  char path[128];
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/certificates", id);
  json_t *issued = remote_ask(r, "POST", path, json_object());
  if (!issued)
    return 1;
  int code = 0;
  if (mc_fs_mkdirs(mc_fs_posix(), dir, &r->why))
    code = remote_fail(r);
  if (!code)
    code = write_secret(r, dir, "key.pem", json_object_get(issued, "private_key_pem"), 0600);
  if (!code)
    code = write_secret(r, dir, "cert.pem", json_object_get(issued, "certificate_pem"), 0644);
  if (!code)
    code = write_secret(r, dir, "ca.pem", json_object_get(issued, "ca_pem"), 0644);
  if (!code)
    printf("certificate %s\n  written to %s/{cert.pem,key.pem,ca.pem}\n", remote_text(json_object_get(issued, "certificate"), "id"), dir);
  json_decref(issued);
  return code;
}

static int erase_vehicle(remote *r, json_int_t id, const char *reason, const char *out)
{
  char path[128];
  if (access(out, F_OK) == 0) { /* before, not after */
    mc_err_set(&r->why, MC_ERR_EXISTS, "%s is there already; name another file for the receipt", out);
    return remote_fail(r);
  }
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/erasure", id);
  json_t *done = remote_ask(r, "POST", path, json_pack("{s:s}", "reason", reason));
  if (!done)
    return 1;
  const char *receipt = remote_text(done, "receipt");
  int code = mc_fs_replace(mc_fs_posix(), out, mc_slice_str(receipt), 0644, &r->why) ? remote_fail(r) : 0;
  if (code)
    printf("%s", receipt); /* it must not be lost */
  else
    printf("erased; the receipt is in %s (`motorcade key check %s` verifies it)\n", out, out);
  json_decref(done);
  return code;
}

/* What FleetWise knows of it; with a file, changed as UpdateVehicle does. */
static int define(remote *r, json_int_t id, const char *file)
{
  char path[128];
  json_t *body = file ? resource_document(r, file) : NULL;
  if (file && !body)
    return 1;
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/definition", id);
  return remote_show(r, remote_ask(r, file ? "PATCH" : "GET", path, body));
}

int command_vehicle(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade vehicle list [--filter TEXT] [--json]\n"
      "       motorcade vehicle create NAME [--vin V] [--make M] [--model M] [--kind K] [--manifest NAME] [--out DIR]\n"
      "       motorcade vehicle create --file LIST.csv|LIST.json [--json]\n"
      "       motorcade vehicle certificate NAME --out DIR\n"
      "       motorcade vehicle show NAME\n"
      "       motorcade vehicle latest NAME [--json]\n"
      "       motorcade vehicle set NAME [--vin V] [--make M] [--model M] [--kind K] [--manifest NAME]\n"
      "       motorcade vehicle definition NAME\n"
      "       motorcade vehicle define NAME --file FILE.json\n"
      "       motorcade vehicle delete NAME\n"
      "       motorcade vehicle erase NAME --reason TEXT --out RECEIPT\n"
      "--out writes cert.pem, key.pem and ca.pem for the vehicle's agent. A CSV list begins with a line of column names (name, vin, make,\n"
      "model, kind, year, manifest); a JSON list is an array of such objects. Rows that are there already with the same facts are left as\n"
      "they are, so a corrected list may be sent again. definition shows model, manifest, attributes and state templates; define changes them,\n"
      "FILE has the members of FleetWise's UpdateVehicle. A deleted vehicle leaves its device. erase destroys the vehicle's data key (setting subject_keys)\n"
      "and writes a signed receipt, which says what can no longer be read; nothing brings it back.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *filter = option_take(&argc, argv, "--filter", NULL), *out = option_take(&argc, argv, "--out", NULL),
             *reason = option_take(&argc, argv, "--reason", NULL), *file = option_take(&argc, argv, "--file", NULL);
  json_t *body = json_object();
  static const char *const keys[] = {"vin", "make", "model", "kind", "manifest"};
  for (int i = 0; i < 5; i++) {
    char option[16];
    snprintf(option, sizeof option, "--%s", keys[i]);
    remote_set_text(body, keys[i], option_take(&argc, argv, option, NULL));
  }
  if (!remote_begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list"), imports = what && file && !strcmp(what, "create");
  bool defines = what && file && !strcmp(what, "define");
  if (!what || (lists || imports) == (name != NULL) || (imports && (out || json_object_size(body))) || (file && !imports && !defines))
    return remote_unclear(&r, what, usage);
  int code = remote_reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (imports) {
    json_decref(body);
    return vehicle_import(&r.call, file, r.json, &code, &r.why) ? remote_fail(&r) : code;
  }
  if (lists) {
    static const char *const field[] = {"name", "id", "kind", "make", "model", "motion", "speed=speed km/h", "manifest", "heard"};
    char path[700], safe[600];
    snprintf(path, sizeof path, "/api/v1/vehicles%s%s", filter ? "?filter=" : "", filter ? remote_escaped(filter, safe, sizeof safe) : "");
    json_decref(body);
    return remote_list(&r, path, field, 9);
  }
  if (!strcmp(what, "create")) {
    remote_set_text(body, "name", name);
    json_t *made = remote_ask(&r, "POST", "/api/v1/vehicles", body);
    if (!made)
      return 1;
    json_int_t id = json_integer_value(json_object_get(made, "id"));
    json_decref(made);
    printf("vehicle %s has id %" JSON_INTEGER_FORMAT "\n", name, id);
    return out ? issue_certificate(&r, id, out) : 0;
  }
  json_int_t id = remote_vehicle(&r, name);
  char path[128];
  if (!id)
    return 1;
  if (!strcmp(what, "certificate") && out) {
    json_decref(body);
    return issue_certificate(&r, id, out);
  }
  if (!strcmp(what, "erase") && reason && out) {
    json_decref(body);
    return erase_vehicle(&r, id, reason, out);
  }
  if (!strcmp(what, "latest")) {
    static const char *const field[] = {"fqn", "value", "text", "unit", "time", "age_ms"};
    json_decref(body);
    snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/latest", id);
    return remote_list_once(&r, path, field, 6);
  }
  if (defines || !strcmp(what, "definition")) {
    json_decref(body);
    return define(&r, id, file);
  }
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT, id);
  if (!strcmp(what, "delete")) {
    json_decref(body);
    return remote_ask(&r, "DELETE", path, NULL) ? 0 : 1; /* JSON null, which is nobody's to free */
  }
  if (!strcmp(what, "show")) {
    json_decref(body);
    return remote_show(&r, remote_ask(&r, "GET", path, NULL));
  }
  if (!strcmp(what, "set") && json_object_size(body))
    return remote_show(&r, remote_ask(&r, "PATCH", path, body));
  json_decref(body);
  return remote_unclear(&r, what, usage);
}
