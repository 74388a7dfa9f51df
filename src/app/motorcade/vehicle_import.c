#include "app/motorcade/vehicle_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/motorcade/vehicle_list.h"

enum { AT_ONCE = 1000 };

typedef struct import {
  const http_call *call;
  const char *path;
  vehicle_list list;
  json_t *items; /* results, in the file's order */
  json_int_t created, unchanged, refused;
  bool json;
} import;

static const char *text_of(json_t *object, const char *key)
{
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static void tell_refused(const import *m, size_t row, const char *field, const char *text)
{
  if (m->json)
    return;
  fprintf(stderr, m->list.lines ? "%s:%u: " : "%s, row %u: ", m->path, m->list.row.at[row].line);
  fprintf(stderr, "%s%s%s\n", field[0] == '/' ? field + 1 : field, field[0] ? ": " : "", text);
}

/* One row's outcome. result: the server's word, or NULL for a row that was not sent. */
static void take_result(import *m, size_t row, json_t *result)
{
  const vehicle_list_row *r = &m->list.row.at[row];
  json_t *item = result ? json_copy(result) : json_pack("{s:s, s:s, s:s}", "name", "", "state", "refused", "text", r->problem);
  json_object_set_new(item, "row", json_integer((json_int_t)row + 1));
  if (m->list.lines)
    json_object_set_new(item, "line", json_integer(r->line));
  const char *state = text_of(item, "state");
  m->created += !strcmp(state, "created");
  m->unchanged += !strcmp(state, "unchanged");
  if (!strcmp(state, "refused")) {
    m->refused++;
    tell_refused(m, row, text_of(item, "field"), text_of(item, "text"));
  }
  json_array_append_new(m->items, item);
}

/* Rows [from, to): those without a problem are sent together. */
static mc_err send_piece(import *m, size_t from, size_t to, mc_why *why)
{
  json_t *rows = json_array(), *reply = NULL;
  for (size_t i = from; i < to; i++)
    if (!m->list.row.at[i].problem[0])
      json_array_append(rows, json_array_get(m->list.vehicles, i));
  mc_err err = MC_OK;
  json_t *body = json_pack("{s:o}", "vehicles", rows);
  if (json_array_size(rows))
    err = http_call_json(m->call, "POST", "/api/v1/vehicles/batch", body, &reply, why);
  if (err)
    mc_err_prefix(why, "%s, rows %zu to %zu", m->path, from + 1, to);
  json_t *items = json_object_get(reply, "items");
  if (!err && json_array_size(items) != json_array_size(rows))
    err = mc_err_set(why, MC_ERR_MALFORMED, "the server's answer does not tell of %zu rows", json_array_size(rows));
  size_t at = 0;
  for (size_t i = from; i < to && !err; i++)
    take_result(m, i, m->list.row.at[i].problem[0] ? NULL : json_array_get(items, at++));
  json_decref(body);
  json_decref(reply);
  return err;
}

static void print(const import *m)
{
  if (!m->json) {
    printf("%lld created, %lld there already, %lld refused\n", (long long)m->created, (long long)m->unchanged, (long long)m->refused);
    return;
  }
  json_t *all = json_pack("{s:I, s:I, s:I, s:O}", "created", m->created, "unchanged", m->unchanged, "refused", m->refused, "items", m->items);
  char *text = json_dumps(all, JSON_INDENT(2));
  puts(text ? text : "null");
  free(text);
  json_decref(all);
}

mc_err vehicle_import(const http_call *call, const char *path, bool json, int *code, mc_why *why)
{
  import m = {.call = call, .path = path, .items = json_array(), .json = json};
  bool progress = !json && isatty(2);
  mc_err err = vehicle_list_read(path, &m.list, why);
  size_t rows = m.list.row.len;
  for (size_t at = 0; at < rows && !err; at += AT_ONCE) {
    err = send_piece(&m, at, at + AT_ONCE < rows ? at + AT_ONCE : rows, why);
    if (progress && rows > AT_ONCE)
      fprintf(stderr, "%zu of %zu rows\n", at + AT_ONCE < rows ? at + AT_ONCE : rows, rows);
  }
  if (!err || json_array_size(m.items)) /* what was done before an error stays done, and is told */
    print(&m);
  *code = err || m.refused ? 1 : 0;
  vehicle_list_free(&m.list);
  json_decref(m.items);
  return err;
}
