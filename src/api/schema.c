/* Bodies and query strings are checked against the description before a handler sees them. */
#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/inside.h"
#include "base/clock.h"

/* Compiled patterns by their text. */
struct api_patterns {
  mc_strmap map; /* text -> regex_t * */
};

static mc_err compile(api_patterns *p, const api_schema *s)
{
  if (s->pattern && !mc_strmap_get(&p->map, mc_slice_str(s->pattern), NULL)) {
    regex_t *re = calloc(1, sizeof *re);
    if (!re || regcomp(re, s->pattern, REG_EXTENDED | REG_NOSUB)) {
      free(re);
      return MC_ERR_INVALID;
    }
    MC_TRY(mc_strmap_put(&p->map, mc_slice_str(s->pattern), (uint64_t)(uintptr_t)re));
  }
  if (s->items)
    MC_TRY(compile(p, s->items));
  for (size_t i = 0; i < s->field_count; i++)
    MC_TRY(compile(p, s->field[i].schema));
  return MC_OK;
}

mc_err patterns_create(api_patterns **out)
{
  *out = calloc(1, sizeof **out);
  if (!*out)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < api_operation_count; i++) {
    const api_operation *op = &api_operation_table[i];
    if (op->body)
      MC_TRY(compile(*out, op->body));
    for (size_t k = 0; k < op->query_count; k++)
      MC_TRY(compile(*out, op->query[k].schema));
  }
  return MC_OK;
}

void patterns_destroy(api_patterns **patterns)
{
  if (!*patterns)
    return;
  size_t at = 0;
  mc_slice key;
  uint64_t value;
  while (mc_strmap_next(&(*patterns)->map, &at, &key, &value)) {
    regfree((regex_t *)(uintptr_t)value);
    free((void *)(uintptr_t)value);
  }
  mc_strmap_free(&(*patterns)->map);
  free(*patterns);
  *patterns = NULL;
}

/* A walk over one value; path is extended and cut back on the way. */
typedef struct walk {
  const api_patterns *patterns;
  char *path;
  size_t size, len;
  mc_why *why;
} walk;

static size_t enter(walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static size_t enter(walk *w, const char *format, ...)
{
  size_t before = w->len;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(w->path + w->len, w->size - w->len, format, args);
  va_end(args);
  if (n > 0)
    w->len = w->len + (size_t)n < w->size ? w->len + (size_t)n : w->size - 1;
  return before;
}

static void leave(walk *w, size_t before)
{
  w->len = before;
  w->path[before] = 0;
}

static size_t characters(mc_slice utf8)
{
  size_t n = 0;
  for (size_t i = 0; i < utf8.len; i++)
    n += (utf8.data[i] & 0xC0) != 0x80;
  return n;
}

static mc_err check_text(walk *w, const api_schema *s, const char *text, size_t len)
{
  size_t n = characters(mc_slice_of(text, len));
  if (n < s->min_length)
    return mc_err_set(w->why, MC_ERR_INVALID, "too short: at least %zu characters, this has %zu", s->min_length, n);
  if (s->max_length && n > s->max_length)
    return mc_err_set(w->why, MC_ERR_INVALID, "too long: at most %zu characters, this has %zu", s->max_length, n);
  if (s->values) {
    mc_buf known = {0};
    for (size_t i = 0; s->values[i]; i++) {
      if (!strcmp(s->values[i], text)) {
        mc_buf_free(&known);
        return MC_OK;
      }
      mc_buf_printf(&known, "%s%s", i ? ", " : "", s->values[i]);
    }
    mc_err err = mc_err_set(w->why, MC_ERR_INVALID, "\"%.40s\" is not one of: %.*s", text, MC_FMT(mc_buf_slice(&known)));
    mc_buf_free(&known);
    return err;
  }
  uint64_t re = 0;
  if (s->pattern && (!mc_strmap_get(&w->patterns->map, mc_slice_str(s->pattern), &re) || regexec((const regex_t *)(uintptr_t)re, text, 0, NULL, 0)))
    return mc_err_set(w->why, MC_ERR_INVALID, "\"%.40s\" does not fit the form %s", text, s->pattern);
  int64_t time_us;
  if (s->date_time && mc_clock_parse_us(mc_slice_of(text, len), &time_us))
    return mc_err_set(w->why, MC_ERR_INVALID, "\"%.40s\" is not a time like 2026-11-22T10:41:36.123Z (RFC 3339)", text);
  return MC_OK;
}

static mc_err check_number(walk *w, const api_schema *s, double v)
{
  if (s->has_minimum && v < s->minimum)
    return mc_err_set(w->why, MC_ERR_INVALID, "%.15g is too small: at least %.15g", v, s->minimum);
  if (s->has_maximum && v > s->maximum)
    return mc_err_set(w->why, MC_ERR_INVALID, "%.15g is too large: at most %.15g", v, s->maximum);
  return MC_OK;
}

static const api_field *field_named(const api_schema *s, const char *name)
{
  for (size_t i = 0; i < s->field_count; i++)
    if (!strcmp(s->field[i].name, name))
      return &s->field[i];
  return NULL;
}

static mc_err check_value(walk *w, const api_schema *s, json_t *value);

static mc_err check_object(walk *w, const api_schema *s, json_t *value)
{
  for (size_t i = 0; i < s->field_count; i++)
    if (s->field[i].required && !json_object_get(value, s->field[i].name)) {
      enter(w, "/%s", s->field[i].name);
      return mc_err_set(w->why, MC_ERR_INVALID, "%s is missing", s->field[i].name);
    }
  const char *name;
  json_t *member;
  json_object_foreach (value, name, member) {
    size_t before = enter(w, "/%.60s", name);
    const api_field *f = field_named(s, name);
    if (!f && s->open) {
      leave(w, before);
      continue;
    }
    if (!f)
      return mc_err_set(w->why, MC_ERR_INVALID, "\"%.60s\" is not known here; check its spelling", name);
    MC_TRY(check_value(w, f->schema, member));
    leave(w, before);
  }
  return MC_OK;
}

static mc_err check_array(walk *w, const api_schema *s, json_t *value)
{
  size_t n = json_array_size(value);
  if (n < s->min_items)
    return mc_err_set(w->why, MC_ERR_INVALID, "too few: at least %zu, this has %zu", s->min_items, n);
  if (s->max_items && n > s->max_items)
    return mc_err_set(w->why, MC_ERR_INVALID, "too many: at most %zu, this has %zu", s->max_items, n);
  for (size_t i = 0; i < n; i++) {
    size_t before = enter(w, "/%zu", i);
    MC_TRY(check_value(w, s->items, json_array_get(value, i)));
    leave(w, before);
  }
  return MC_OK;
}

static mc_err check_value(walk *w, const api_schema *s, json_t *value)
{
  static const char *const wanted[] = {"text", "a whole number", "a number", "true or false", "an array", "an object"};
  switch (s->type) {
  case API_STRING:
    if (json_is_string(value))
      return check_text(w, s, json_string_value(value), json_string_length(value));
    break;
  case API_INTEGER:
    if (json_is_integer(value))
      return check_number(w, s, (double)json_integer_value(value));
    break;
  case API_NUMBER:
    if (json_is_number(value))
      return check_number(w, s, json_number_value(value));
    break;
  case API_BOOLEAN:
    if (json_is_boolean(value))
      return MC_OK;
    break;
  case API_ARRAY:
    if (json_is_array(value))
      return check_array(w, s, value);
    break;
  case API_OBJECT:
    if (json_is_object(value))
      return check_object(w, s, value);
    break;
  }
  return mc_err_set(w->why, MC_ERR_INVALID, "expected %s", wanted[s->type]);
}

mc_err schema_check(const api_patterns *p, const api_schema *s, json_t *value, char *field, size_t field_size, mc_why *why)
{
  walk w = {p, field, field_size, 0, why};
  field[0] = 0;
  return check_value(&w, s, value);
}

/* ---- query strings ---- */

bool query_text(const api_call *c, const char *name, mc_buf *out)
{
  mc_buf_clear(out);
  return mc_http_query(c->request, name, out) && mc_buf_append_u8(out, 0) == MC_OK && (out->len--, true);
}

static mc_err check_parameter(api_call *c, const api_field *q, mc_buf *text)
{
  walk w = {c->api->patterns, c->field, sizeof c->field, 0, &c->why};
  if (!query_text(c, q->name, text)) {
    if (q->required)
      return call_refuse(c, q->name, "the query parameter %s is missing", q->name);
    return MC_OK;
  }
  snprintf(c->field, sizeof c->field, "%s", q->name);
  mc_slice s = mc_buf_slice(text);
  mc_err err = MC_OK;
  if (memchr(s.data, 0, s.len) || !mc_slice_is_utf8(s) || s.len > 4096)
    err = mc_err_set(&c->why, MC_ERR_INVALID, "the query parameter %s is not clean text of at most 4096 bytes", q->name);
  else if (q->schema->type == API_STRING)
    err = check_text(&w, q->schema, (const char *)text->data, text->len);
  else {
    int64_t v;
    err = mc_slice_to_i64(s, &v) ? mc_err_set(&c->why, MC_ERR_INVALID, "the query parameter %s is not a whole number", q->name)
                                 : check_number(&w, q->schema, (double)v);
  }
  snprintf(c->field, sizeof c->field, "%s", err ? q->name : "");
  return err;
}

mc_err schema_check_query(api_call *c)
{
  mc_buf text = {0};
  mc_err err = MC_OK;
  for (size_t i = 0; !err && i < c->op->query_count; i++)
    err = check_parameter(c, &c->op->query[i], &text);
  mc_buf_free(&text);
  return err;
}

int64_t query_int(const api_call *c, const char *name, int64_t fallback)
{
  mc_buf text = {0};
  int64_t v = fallback;
  if (query_text(c, name, &text) && mc_slice_to_i64(mc_buf_slice(&text), &v))
    v = fallback;
  mc_buf_free(&text);
  return v;
}

mc_slice query_slice(api_call *c, const char *name)
{
  mc_buf text = {0};
  mc_slice out = {0};
  if (query_text(c, name, &text) && mc_arena_copy(&c->arena, mc_buf_slice(&text), &out))
    out = (mc_slice){0};
  mc_buf_free(&text);
  return out;
}

/* ---- members of a checked body ---- */

bool body_has(const api_call *c, const char *name)
{
  return json_object_get(c->body, name) != NULL;
}

mc_slice body_text(const api_call *c, const char *name)
{
  json_t *v = json_object_get(c->body, name);
  return json_is_string(v) ? mc_slice_of(json_string_value(v), json_string_length(v)) : (mc_slice){0};
}

int64_t body_int(const api_call *c, const char *name, int64_t fallback)
{
  json_t *v = json_object_get(c->body, name);
  return json_is_integer(v) ? json_integer_value(v) : fallback;
}

bool body_bool(const api_call *c, const char *name, bool fallback)
{
  json_t *v = json_object_get(c->body, name);
  return json_is_boolean(v) ? json_is_true(v) : fallback;
}

mc_err body_time(api_call *c, const char *name, int64_t *out)
{
  mc_slice text = body_text(c, name);
  char path[64];
  *out = 0;
  if (!text.len || mc_clock_parse_us(text, out) == MC_OK)
    return MC_OK;
  snprintf(path, sizeof path, "/%s", name);
  return call_refuse(c, path, "not a time like 2026-11-22T10:41:36.123Z");
}
