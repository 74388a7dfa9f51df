/* Commands that speak to the running server: user, vehicle, catalog, campaign. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "app/motorcade/command.h"
#include "app/motorcade/http_call.h"
#include "app/motorcade/text_file.h"
#include "app/motorcade/vss_text.h"
#include "base/file.h"

typedef struct remote {
  http_call call;
  settings set;
  const char *name;
  bool json;
  const char *file; /* what the server knows as "dbc" */
  mc_why why;
} remote;

/* Takes --json and the settings out of argv. */
static bool begin(remote *r, int *argc, char **argv)
{
  memset(r, 0, sizeof *r);
  r->name = argv[0];
  r->json = option_flag(argc, argv, "--json");
  return command_settings(argc, argv, &r->set);
}

/* Nothing may be left of argv; then finds the server. 0, or the exit code. */
static int reach(remote *r, int argc, char **argv, const char *usage)
{
  if (option_left(argc, argv, usage))
    return 2;
  return http_call_open(r->set.data, &r->call, &r->why) ? command_fail(r->name, r->why.text) : 0;
}

/* For people who named no action, or one that is not there. */
static int unclear(const remote *r, const char *what, const char *usage)
{
  if (what)
    fprintf(stderr, "motorcade %s: \"%s\" is not an action here, or misses its name or option\n", r->name, what);
  fputs(usage, stderr);
  return 2;
}

/* text as part of a query (RFC 3986, 2.1). */
static const char *escaped(const char *text, char *out, size_t size)
{
  size_t n = 0;
  for (const char *c = text; *c && n + 4 < size; c++) {
    bool plain = isalnum((unsigned char)*c) || strchr("-._~", *c);
    n += (size_t)snprintf(out + n, size - n, plain ? "%c" : "%%%02X", (unsigned char)*c);
  }
  out[n] = 0;
  return out;
}

static int fail(remote *r)
{
  return command_fail(r->name, r->why.text);
}

/* "...: dbc:20: ..." names the file as people know it. */
static void name_file(remote *r)
{
  mc_why old = r->why;
  char *at = r->file ? strstr(old.text, ": dbc:") : NULL;
  if (!at)
    return;
  *at = 0;
  mc_err_set(&r->why, MC_ERR_INVALID, "%s: %s%s", old.text, r->file, at + strlen(": dbc"));
}

/* One call; prints the problem and returns NULL when it fails. An empty answer gives JSON null. */
static json_t *ask(remote *r, const char *method, const char *path, json_t *body)
{
  json_t *reply = NULL;
  mc_err err = http_call_json(&r->call, method, path, body, &reply, &r->why);
  json_decref(body);
  if (err) {
    name_file(r);
    fail(r);
    return NULL;
  }
  return reply ? reply : json_null();
}

static const char *text_of(json_t *object, const char *key)
{
  json_t *v = json_object_get(object, key);
  static char number[8][32];
  static int turn;
  if (json_is_string(v))
    return json_string_value(v);
  if (json_is_true(v) || json_is_false(v))
    return json_is_true(v) ? "yes" : "no";
  if (!json_is_number(v))
    return "-";
  turn = (turn + 1) % 8;
  if (json_is_integer(v))
    snprintf(number[turn], sizeof number[turn], "%" JSON_INTEGER_FORMAT, json_integer_value(v));
  else
    snprintf(number[turn], sizeof number[turn], "%.6g", json_real_value(v));
  return number[turn];
}

/* What vehicles send gets here: nothing of it may steer the terminal (C0, DEL, and C1, which is C2 80 to C2 9F in UTF-8). */
static void print_cell(const char *text, int width)
{
  int n = 0;
  for (const char *c = text; *c; c++, n++) {
    bool high = (uint8_t)*c == 0xC2 && (uint8_t)c[1] < 0xA0;
    putchar((uint8_t)*c < 0x20 || *c == 0x7F || high ? '?' : *c);
    if (high)
      putchar('?'), c++, n++;
  }
  printf("%*s", width > n ? width - n : 0, "");
}

static void print_json(json_t *v)
{
  char *text = json_dumps(v, JSON_INDENT(2) | JSON_ENCODE_ANY);
  puts(text ? text : "null");
  free(text);
}

/* A table of the named fields, as wide as its widest cell. "key=heading" where the heading says more than the key. */
static void print_table(json_t *items, const char *const *field, int fields)
{
  int width[12] = {0};
  char key[12][32];
  size_t i;
  json_t *item;
  for (int f = 0; f < fields; f++) {
    const char *equals = strchr(field[f], '='), *heading = equals ? equals + 1 : field[f];
    snprintf(key[f], sizeof key[f], "%.*s", (int)(equals ? equals - field[f] : (ptrdiff_t)strlen(field[f])), field[f]);
    width[f] = (int)strlen(heading);
    json_array_foreach (items, i, item) {
      int n = (int)strlen(text_of(item, key[f]));
      if (n > width[f])
        width[f] = n;
    }
    printf("%-*s%s", width[f], heading, f + 1 < fields ? "  " : "\n");
  }
  json_array_foreach (items, i, item) {
    for (int f = 0; f < fields; f++) {
      print_cell(text_of(item, key[f]), f + 1 < fields ? width[f] : 0);
      fputs(f + 1 < fields ? "  " : "\n", stdout);
    }
  }
}

/* All pages of a list. */
static int list(remote *r, const char *path, const char *const *field, int fields)
{
  json_t *all = json_array();
  char cursor[400] = "";
  for (;;) {
    char url[2100], safe[1300];
    snprintf(url, sizeof url, "%s%slimit=1000%s%s", path, strchr(path, '?') ? "&" : "?", cursor[0] ? "&after=" : "", escaped(cursor, safe, sizeof safe));
    json_t *page = ask(r, "GET", url, NULL);
    if (!page) {
      json_decref(all);
      return 1;
    }
    json_array_extend(all, json_object_get(page, "items"));
    const char *next = json_string_value(json_object_get(page, "next"));
    snprintf(cursor, sizeof cursor, "%s", next ? next : "");
    json_decref(page);
    if (!cursor[0])
      break;
  }
  if (r->json)
    print_json(all);
  else
    print_table(all, field, fields);
  json_decref(all);
  return 0;
}

/* Lists without pages. */
static int list_once(remote *r, const char *path, const char *const *field, int fields)
{
  json_t *page = ask(r, "GET", path, NULL);
  if (!page)
    return 1;
  if (r->json)
    print_json(json_object_get(page, "items"));
  else
    print_table(json_object_get(page, "items"), field, fields);
  json_decref(page);
  return 0;
}

static int show(remote *r, json_t *reply)
{
  if (!reply)
    return 1;
  print_json(reply);
  json_decref(reply);
  return 0;
}

static void set_text(json_t *body, const char *key, const char *value)
{
  if (value)
    json_object_set_new(body, key, json_string(value));
}

static bool read_text(remote *r, const char *path, json_t **out)
{
  if (text_file_read(path, out, &r->why) == MC_OK)
    return true;
  fail(r);
  return false;
}

static int write_secret(remote *r, const char *dir, const char *name, json_t *text, unsigned mode)
{
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  const char *content = json_string_value(text);
  if (!content || mc_fs_replace(mc_fs_posix(), path, mc_slice_str(content), mode, &r->why))
    return fail(r);
  return 0;
}

/* ---- vehicle ---- */

/* Looks a vehicle up by its exact name; 0 when it is not there (and says so). */
static json_int_t vehicle_id(remote *r, const char *name)
{
  char path[700], safe[600];
  snprintf(path, sizeof path, "/api/v1/vehicles?limit=1000&filter=%s", escaped(name, safe, sizeof safe));
  json_t *page = ask(r, "GET", path, NULL);
  json_int_t id = 0;
  size_t i;
  json_t *item;
  json_array_foreach (json_object_get(page, "items"), i, item) {
    if (!strcmp(text_of(item, "name"), name))
      id = json_integer_value(json_object_get(item, "id"));
  }
  if (page && !id)
    fprintf(stderr, "motorcade %s: there is no vehicle \"%s\"; `motorcade vehicle list` shows all\n", r->name, name);
  json_decref(page);
  return id;
}

static int issue_certificate(remote *r, json_int_t id, const char *dir)
{
  char path[128];
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/certificates", id);
  json_t *issued = ask(r, "POST", path, json_object());
  if (!issued)
    return 1;
  int code = 0;
  if (mc_fs_mkdirs(mc_fs_posix(), dir, &r->why))
    code = fail(r);
  if (!code)
    code = write_secret(r, dir, "key.pem", json_object_get(issued, "private_key_pem"), 0600);
  if (!code)
    code = write_secret(r, dir, "cert.pem", json_object_get(issued, "certificate_pem"), 0644);
  if (!code)
    code = write_secret(r, dir, "ca.pem", json_object_get(issued, "ca_pem"), 0644);
  if (!code)
    printf("certificate %s\n  written to %s/{cert.pem,key.pem,ca.pem}\n", text_of(json_object_get(issued, "certificate"), "id"), dir);
  json_decref(issued);
  return code;
}

static int erase_vehicle(remote *r, json_int_t id, const char *reason, const char *out)
{
  char path[128];
  if (access(out, F_OK) == 0) { /* before, not after */
    mc_err_set(&r->why, MC_ERR_EXISTS, "%s is there already; name another file for the receipt", out);
    return fail(r);
  }
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT "/erasure", id);
  json_t *done = ask(r, "POST", path, json_pack("{s:s}", "reason", reason));
  if (!done)
    return 1;
  const char *receipt = text_of(done, "receipt");
  int code = mc_fs_replace(mc_fs_posix(), out, mc_slice_str(receipt), 0644, &r->why) ? fail(r) : 0;
  if (code)
    printf("%s", receipt); /* it must not be lost */
  else
    printf("erased; the receipt is in %s (`motorcade key check %s` verifies it)\n", out, out);
  json_decref(done);
  return code;
}

int command_vehicle(int argc, char **argv)
{
  static const char usage[] =
      "usage: motorcade vehicle list [--filter TEXT] [--json]\n"
      "       motorcade vehicle create NAME [--vin V] [--make M] [--model M] [--kind K] [--manifest NAME] [--out DIR]\n"
      "       motorcade vehicle certificate NAME --out DIR\n"
      "       motorcade vehicle show NAME\n"
      "       motorcade vehicle latest NAME [--json]\n"
      "       motorcade vehicle set NAME [--vin V] [--make M] [--model M] [--kind K] [--manifest NAME]\n"
      "       motorcade vehicle erase NAME --reason TEXT --out RECEIPT\n"
      "--out writes cert.pem, key.pem and ca.pem for the vehicle's agent. erase destroys the vehicle's data key (setting subject_keys)\n"
      "and writes a signed receipt, which says what can no longer be read; nothing brings it back.\n";
  int ended;
  if (command_help(&argc, argv, usage, &ended))
    return ended;
  remote r;
  const char *filter = option_take(&argc, argv, "--filter", NULL), *out = option_take(&argc, argv, "--out", NULL),
             *reason = option_take(&argc, argv, "--reason", NULL);
  json_t *body = json_object();
  static const char *const keys[] = {"vin", "make", "model", "kind", "manifest"};
  for (int i = 0; i < 5; i++) {
    char option[16];
    snprintf(option, sizeof option, "--%s", keys[i]);
    set_text(body, keys[i], option_take(&argc, argv, option, NULL));
  }
  if (!begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list");
  if (!what || lists == (name != NULL))
    return unclear(&r, what, usage);
  int code = reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (lists) {
    static const char *const field[] = {"name", "id", "kind", "make", "model", "motion", "speed=speed km/h", "manifest", "heard"};
    char path[700], safe[600];
    snprintf(path, sizeof path, "/api/v1/vehicles%s%s", filter ? "?filter=" : "", filter ? escaped(filter, safe, sizeof safe) : "");
    json_decref(body);
    return list(&r, path, field, 9);
  }
  if (!strcmp(what, "create")) {
    set_text(body, "name", name);
    json_t *made = ask(&r, "POST", "/api/v1/vehicles", body);
    if (!made)
      return 1;
    json_int_t id = json_integer_value(json_object_get(made, "id"));
    json_decref(made);
    printf("vehicle %s has id %" JSON_INTEGER_FORMAT "\n", name, id);
    return out ? issue_certificate(&r, id, out) : 0;
  }
  json_int_t id = vehicle_id(&r, name);
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
    return list_once(&r, path, field, 6);
  }
  snprintf(path, sizeof path, "/api/v1/vehicles/%" JSON_INTEGER_FORMAT, id);
  if (!strcmp(what, "show")) {
    json_decref(body);
    return show(&r, ask(&r, "GET", path, NULL));
  }
  if (!strcmp(what, "set") && json_object_size(body))
    return show(&r, ask(&r, "PATCH", path, body));
  json_decref(body);
  return unclear(&r, what, usage);
}

/* ---- catalog ---- */
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
  if (!begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv);
  bool lists = what && (!strcmp(what, "list") || !strcmp(what, "manifests"));
  if (!what || (!lists && (strcmp(what, "import") != 0 || (!vss && (!dbc || !name)))))
    return unclear(&r, what, usage);
  int code = reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (!strcmp(what, "import") && vss) {
    json_t *tree;
    if (vss_text_read(vss, &tree, &r.why))
      return fail(&r);
    return show(&r, ask(&r, "POST", "/api/v1/signals", json_pack("{s:o}", "vss", tree)));
  }
  if (!strcmp(what, "list")) {
    static const char *const field[] = {"id", "fqn", "type", "unit", "description"};
    char path[700], safe[600];
    snprintf(path, sizeof path, "/api/v1/signals%s%s", filter ? "?filter=" : "", filter ? escaped(filter, safe, sizeof safe) : "");
    return list(&r, path, field, 5);
  }
  if (!strcmp(what, "manifests")) {
    static const char *const field[] = {"name", "signals", "vehicles", "sync_id", "created"};
    return list_once(&r, "/api/v1/manifests", field, 5);
  }
  json_t *body = json_object(), *text;
  set_text(body, "name", name);
  set_text(body, "interface", interface);
  if (!read_text(&r, dbc, &text))
    return 1;
  json_object_set_new(body, "dbc", text);
  r.file = dbc;
  if (map) {
    if (!read_text(&r, map, &text))
      return 1;
    json_object_set_new(body, "map", text);
  }
  return show(&r, ask(&r, "POST", "/api/v1/manifests", body));
}

/* ---- campaign ---- */
static json_int_t campaign_id(remote *r, const char *name)
{
  json_t *page = ask(r, "GET", "/api/v1/campaigns", NULL), *item;
  json_int_t id = 0;
  size_t i;
  json_array_foreach (json_object_get(page, "items"), i, item) {
    if (!strcmp(text_of(item, "name"), name) || !strcmp(text_of(item, "id"), name))
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
  if (!begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool whole = what && (!strcmp(what, "list") ? !name : !strcmp(what, "create") ? file && !name : name != NULL);
  if (!whole)
    return unclear(&r, what, usage);
  int code = reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (!strcmp(what, "list")) {
    static const char *const field[] = {"id", "name", "status", "kind", "vehicles", "healthy", "pending", "refused"};
    return list_once(&r, "/api/v1/campaigns", field, 8);
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
    return show(&r, ask(&r, "POST", "/api/v1/campaigns", body));
  }
  json_int_t id = campaign_id(&r, name);
  if (!id)
    return 1;
  char path[128];
  snprintf(path, sizeof path, "/api/v1/campaigns/%" JSON_INTEGER_FORMAT, id);
  if (!strcmp(what, "show"))
    return show(&r, ask(&r, "GET", path, NULL));
  if (!strcmp(what, "delete"))
    return ask(&r, "DELETE", path, NULL) ? 0 : 1;
  const char *status = !strcmp(what, "run") ? "running" : !strcmp(what, "suspend") ? "suspended" : !strcmp(what, "end") ? "ended" : NULL;
  if (!status)
    return unclear(&r, what, usage);
  strcat(path, "/status");
  return show(&r, ask(&r, "POST", path, json_pack("{s:s}", "status", status)));
}

/* ---- user ---- */

static json_int_t user_id(remote *r, const char *name)
{
  json_t *page = ask(r, "GET", "/api/v1/users", NULL), *item;
  json_int_t id = 0;
  size_t i;
  json_array_foreach (json_object_get(page, "items"), i, item) {
    if (!strcmp(text_of(item, "name"), name))
      id = json_integer_value(json_object_get(item, "id"));
  }
  if (page && !id)
    fprintf(stderr, "motorcade %s: there is no user \"%s\"; `motorcade user list` shows all\n", r->name, name);
  json_decref(page);
  return id;
}

static bool read_password(remote *r, const char *file, json_t *body)
{
  mc_buf text = {0};
  if (mc_fs_read(mc_fs_posix(), file, 256, &text, &r->why)) {
    fail(r);
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
  if (!begin(&r, &argc, argv))
    return 1;
  const char *what = option_word(&argc, argv), *name = option_word(&argc, argv);
  bool lists = what && !strcmp(what, "list"), creates = what && !strcmp(what, "create"), resets = what && !strcmp(what, "reset");
  if (!(lists && !name) && !(creates && name && file) && !(resets && name && file && !role))
    return unclear(&r, what, usage);
  int code = reach(&r, argc, argv, usage);
  if (code)
    return code;
  if (lists) {
    static const char *const field[] = {"id", "name", "role", "disabled", "last_sign_in"};
    return list_once(&r, "/api/v1/users", field, 5);
  }
  json_t *body = json_object();
  json_int_t id = resets ? user_id(&r, name) : 0;
  if ((resets && !id) || !read_password(&r, file, body)) {
    json_decref(body);
    return 1;
  }
  char path[64];
  snprintf(path, sizeof path, "/api/v1/users/%" JSON_INTEGER_FORMAT, id);
  if (resets)
    return show(&r, ask(&r, "PATCH", path, body));
  set_text(body, "name", name);
  set_text(body, "role", role ? role : "viewer");
  return show(&r, ask(&r, "POST", "/api/v1/users", body));
}
