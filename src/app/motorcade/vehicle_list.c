#include "app/motorcade/vehicle_list.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "app/motorcade/text_file.h"
#include "format/csv.h"

enum { COLUMNS = 7, FIELDS = 64 };
static const char *const column_name[COLUMNS] = {"name", "vin", "make", "model", "kind", "year", "manifest"};

void vehicle_list_free(vehicle_list *list)
{
  json_decref(list->vehicles);
  mc_vec_free(&list->row);
  *list = (vehicle_list){0};
}

/* The beginning of a text for a message: at most 40 bytes, no character cut in two, nothing that steers a terminal. */
static const char *shown(mc_slice text, char out[48])
{
  size_t n = text.len < 40 ? text.len : 40;
  while (n < text.len && n && (text.data[n] & 0xC0) == 0x80)
    n--;
  mc_slice_to_str(mc_slice_sub(text, 0, n), out, 48);
  for (char *c = out; *c; c++)
    if ((uint8_t)*c < 0x20 || *c == 0x7f)
      *c = '?';
  return out;
}

/* Takes the vehicle over; NULL: problem says why there is none. */
static mc_err add(vehicle_list *list, uint32_t line, json_t *vehicle, const char *problem)
{
  vehicle_list_row row = {.line = line};
  snprintf(row.problem, sizeof row.problem, "%s", problem);
  return json_array_append_new(list->vehicles, vehicle ? vehicle : json_null()) || mc_vec_push(&list->row, row) ? MC_ERR_MEMORY : MC_OK;
}

/* ---- CSV ---- */

static int column_of(mc_slice name)
{
  for (int i = 0; i < COLUMNS; i++)
    if (name.len == strlen(column_name[i]) && !strncasecmp((const char *)name.data, column_name[i], name.len))
      return i;
  return -1;
}

static mc_err read_header(mc_csv_reader *r, int column[FIELDS], size_t *columns, mc_why *why)
{
  mc_slice field[FIELDS];
  bool seen[COLUMNS] = {false};
  mc_err err = mc_csv_next(r, field, FIELDS, columns, why);
  if (err == MC_ERR_END)
    return mc_err_set(why, MC_ERR_INVALID, "it is empty; expected a line of column names: name,vin,make,model,kind,year,manifest");
  MC_TRY(err);
  for (size_t i = 0; i < *columns; i++) {
    char text[48];
    mc_slice name = mc_slice_trim(field[i]);
    column[i] = column_of(name);
    if (column[i] < 0)
      return mc_err_set(why, MC_ERR_INVALID, "line %u: column %zu is called \"%s\"; columns are name, vin, make, model, kind, year and manifest; take the others out",
                        r->line, i + 1, shown(name, text));
    if (seen[column[i]])
      return mc_err_set(why, MC_ERR_INVALID, "line %u: there are two columns \"%s\"; keep one of them", r->line, column_name[column[i]]);
    seen[column[i]] = true;
  }
  return seen[0] ? MC_OK : mc_err_set(why, MC_ERR_INVALID, "line %u: there is no column \"name\"; the first line names the columns: name,vin,make,model,kind,year,manifest", r->line);
}

/* The vehicle of one record, or NULL and the problem. */
static json_t *vehicle_of(const mc_slice *field, size_t count, const int *column, size_t columns, char *problem, size_t size)
{
  json_t *v = json_object();
  problem[0] = 0;
  if (count > columns)
    snprintf(problem, size, "there are %zu fields, but only %zu columns; put quotes around a field that holds a separator", count, columns);
  for (size_t i = 0; i < count && !problem[0]; i++) {
    mc_slice text = mc_slice_trim(field[i]);
    const char *name = column_name[column[i]];
    char word[48];
    int64_t year;
    if (!text.len)
      continue;
    if (strcmp(name, "year") != 0)
      json_object_set_new(v, name, json_stringn((const char *)text.data, text.len));
    else if (mc_slice_to_i64(text, &year))
      snprintf(problem, size, "year: \"%s\" is not a whole number", shown(text, word));
    else
      json_object_set_new(v, name, json_integer(year));
  }
  if (!problem[0])
    return v;
  json_decref(v);
  return NULL;
}

static mc_err read_csv(mc_slice text, vehicle_list *out, mc_why *why)
{
  mc_csv_reader r = mc_csv_reader_of(text);
  mc_slice field[FIELDS];
  int column[FIELDS];
  size_t columns, count;
  out->lines = true;
  mc_err err = read_header(&r, column, &columns, why);
  while (!err && (err = mc_csv_next(&r, field, FIELDS, &count, why)) == MC_OK) {
    char problem[200];
    json_t *v = vehicle_of(field, count, column, columns, problem, sizeof problem);
    err = add(out, r.line, v, problem);
  }
  mc_csv_reader_free(&r);
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- JSON ---- */

/* A member that the server does not know would have it refuse the whole request. */
static bool fits(json_t *item, char *problem, size_t size)
{
  const char *name;
  json_t *v;
  problem[0] = 0;
  if (!json_is_object(item))
    snprintf(problem, size, "expected an object like {\"name\": \"car-1\"}");
  json_object_foreach (item, name, v) {
    bool is_year = !strcmp(name, "year");
    char word[48];
    int column = column_of(mc_slice_str(name));
    if (column < 0 || strcmp(name, column_name[column]) != 0)
      snprintf(problem, size, "\"%s\" is not known here; a vehicle has name, vin, make, model, kind, year and manifest", shown(mc_slice_str(name), word));
    else if (is_year ? !json_is_integer(v) : !json_is_string(v))
      snprintf(problem, size, "%s: expected %s", name, is_year ? "a whole number" : "text");
  }
  return !problem[0];
}

static mc_err read_json(mc_slice text, vehicle_list *out, mc_why *why)
{
  json_error_t wrong;
  json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &wrong), *item;
  json_t *list = json_is_object(root) ? json_object_get(root, "vehicles") : root;
  mc_err err = MC_OK;
  size_t i;
  if (!root)
    return mc_err_set(why, MC_ERR_MALFORMED, "line %d, column %d: %s", wrong.line, wrong.column, wrong.text);
  if (!json_is_array(list))
    err = mc_err_set(why, MC_ERR_INVALID, "expected an array of vehicles, or {\"vehicles\": [...]}");
  json_array_foreach (list, i, item) {
    char problem[200];
    bool ok = fits(item, problem, sizeof problem);
    if (!err)
      err = add(out, (uint32_t)i + 1, ok ? json_incref(item) : NULL, problem);
  }
  json_decref(root);
  return err;
}

mc_err vehicle_list_parse(mc_slice text, vehicle_list *out, mc_why *why)
{
  *out = (vehicle_list){.vehicles = json_array()};
  mc_slice trimmed = mc_slice_trim(text);
  bool is_json = trimmed.len && (trimmed.data[0] == '[' || trimmed.data[0] == '{');
  mc_err err = out->vehicles ? (is_json ? read_json(text, out, why) : read_csv(text, out, why)) : MC_ERR_MEMORY;
  if (err == MC_ERR_MEMORY)
    mc_err_set(why, err, "out of memory for the list");
  if (err)
    vehicle_list_free(out);
  return err;
}

mc_err vehicle_list_read(const char *path, vehicle_list *out, mc_why *why)
{
  json_t *text;
  *out = (vehicle_list){0};
  MC_TRY(text_file_read(path, &text, why));
  mc_err err = vehicle_list_parse(mc_slice_of(json_string_value(text), json_string_length(text)), out, why);
  json_decref(text);
  return err ? mc_err_prefix(why, "%s", path) : MC_OK;
}
