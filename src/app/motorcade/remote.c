#include "app/motorcade/remote.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/command.h"
#include "app/motorcade/text_file.h"

/* Calls of the running server, and what they say on the terminal. */

/* Takes --json and the settings out of argv. */
bool remote_begin(remote *r, int *argc, char **argv)
{
  memset(r, 0, sizeof *r);
  r->name = argv[0];
  r->json = option_flag(argc, argv, "--json");
  return command_settings(argc, argv, &r->set);
}

/* Nothing may be left of argv; then finds the server. 0, or the exit code. */
int remote_reach(remote *r, int argc, char **argv, const char *usage)
{
  if (option_left(argc, argv, usage))
    return 2;
  return http_call_open(r->set.data, &r->call, &r->why) ? command_fail(r->name, r->why.text) : 0;
}

/* For people who named no action, or one that is not there. */
int remote_unclear(const remote *r, const char *what, const char *usage)
{
  if (what)
    fprintf(stderr, "motorcade %s: \"%s\" is not an action here, or misses its name or option\n", r->name, what);
  fputs(usage, stderr);
  return 2;
}

/* text as part of a query (RFC 3986, 2.1). */
const char *remote_escaped(const char *text, char *out, size_t size)
{
  size_t n = 0;
  for (const char *c = text; *c && n + 4 < size; c++) {
    bool plain = isalnum((unsigned char)*c) || strchr("-._~", *c);
    n += (size_t)snprintf(out + n, size - n, plain ? "%c" : "%%%02X", (unsigned char)*c);
  }
  out[n] = 0;
  return out;
}

/* What files and servers say may be in it: nothing of it may steer the terminal. */
int remote_fail(remote *r)
{
  for (char *c = r->why.text; *c; c++)
    if ((uint8_t)*c < 0x20 || *c == 0x7F)
      *c = '?';
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
json_t *remote_ask(remote *r, const char *method, const char *path, json_t *body)
{
  json_t *reply = NULL;
  mc_err err = http_call_json(&r->call, method, path, body, &reply, &r->why);
  json_decref(body);
  if (err) {
    name_file(r);
    remote_fail(r);
    return NULL;
  }
  return reply ? reply : json_null();
}

const char *remote_text(json_t *object, const char *key)
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
void remote_print_cell(const char *text, int width)
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
      int n = (int)strlen(remote_text(item, key[f]));
      if (n > width[f])
        width[f] = n;
    }
    printf("%-*s%s", width[f], heading, f + 1 < fields ? "  " : "\n");
  }
  json_array_foreach (items, i, item) {
    for (int f = 0; f < fields; f++) {
      remote_print_cell(remote_text(item, key[f]), f + 1 < fields ? width[f] : 0);
      fputs(f + 1 < fields ? "  " : "\n", stdout);
    }
  }
}

json_t *remote_all(remote *r, const char *path)
{
  json_t *all = json_array();
  char cursor[400] = "";
  for (;;) {
    char url[2900], safe[1300];
    snprintf(url, sizeof url, "%s%slimit=1000%s%s", path, strchr(path, '?') ? "&" : "?", cursor[0] ? "&after=" : "", remote_escaped(cursor, safe, sizeof safe));
    json_t *page = remote_ask(r, "GET", url, NULL);
    if (!page) {
      json_decref(all);
      return NULL;
    }
    json_array_extend(all, json_object_get(page, "items"));
    const char *next = json_string_value(json_object_get(page, "next"));
    snprintf(cursor, sizeof cursor, "%s", next ? next : "");
    json_decref(page);
    if (!cursor[0])
      return all;
  }
}

int remote_list(remote *r, const char *path, const char *const *field, int fields)
{
  json_t *all = remote_all(r, path);
  if (!all)
    return 1;
  remote_print(r, all, field, fields);
  json_decref(all);
  return 0;
}

/* Lists without pages. */
int remote_list_once(remote *r, const char *path, const char *const *field, int fields)
{
  json_t *page = remote_ask(r, "GET", path, NULL);
  if (!page)
    return 1;
  remote_print(r, json_object_get(page, "items"), field, fields);
  json_decref(page);
  return 0;
}

void remote_print(remote *r, json_t *items, const char *const *field, int fields)
{
  if (r->json)
    print_json(items);
  else
    print_table(items, field, fields);
}

int remote_show(remote *r, json_t *reply)
{
  if (!reply)
    return 1;
  print_json(reply);
  json_decref(reply);
  return 0;
}

void remote_set_text(json_t *body, const char *key, const char *value)
{
  if (value)
    json_object_set_new(body, key, json_string(value));
}

bool remote_read_text(remote *r, const char *path, json_t **out)
{
  if (text_file_read(path, out, &r->why) == MC_OK)
    return true;
  remote_fail(r);
  return false;
}

json_int_t remote_id(remote *r, const char *path, const char *what, const char *name)
{
  json_t *page = remote_ask(r, "GET", path, NULL), *item;
  json_int_t id = 0;
  size_t i;
  json_array_foreach (json_object_get(page, "items"), i, item) {
    if (!strcmp(remote_text(item, "name"), name))
      id = json_integer_value(json_object_get(item, "id"));
  }
  if (page && !id)
    fprintf(stderr, "motorcade %s: there is no %s \"%s\"; `motorcade %s list` shows all\n", r->name, what, name, what);
  json_decref(page);
  return id;
}

json_int_t remote_vehicle(remote *r, const char *name)
{
  char path[700], safe[600];
  snprintf(path, sizeof path, "/api/v1/vehicles?limit=1000&filter=%s", remote_escaped(name, safe, sizeof safe));
  return remote_id(r, path, "vehicle", name);
}
