#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 64 };

mc_json mc_json_to(mc_buf *out)
{
  return (mc_json){.out = out};
}

static void put(mc_json *j, const char *text, size_t len)
{
  if (!j->err)
    j->err = mc_buf_append(j->out, text, len);
}

static void before_value(mc_json *j)
{
  if (j->after_key) {
    j->after_key = false;
    return;
  }
  if (j->depth) {
    uint64_t bit = 1ULL << (j->depth - 1);
    if (j->has_item & bit)
      put(j, ",", 1);
    j->has_item |= bit;
  }
}

static void open_level(mc_json *j, const char *bracket)
{
  before_value(j);
  if (j->depth >= MAX_DEPTH) {
    j->err = j->err ? j->err : MC_ERR_TOO_LARGE;
    return;
  }
  put(j, bracket, 1);
  j->has_item &= ~(1ULL << j->depth);
  j->depth++;
}

static void close_level(mc_json *j, const char *bracket)
{
  if (j->depth == 0 || j->after_key) {
    j->err = j->err ? j->err : MC_ERR_INVALID;
    return;
  }
  put(j, bracket, 1);
  j->depth--;
}

void mc_json_object(mc_json *j) { open_level(j, "{"); }
void mc_json_object_end(mc_json *j) { close_level(j, "}"); }
void mc_json_array(mc_json *j) { open_level(j, "["); }
void mc_json_array_end(mc_json *j) { close_level(j, "]"); }

/* Length of the well-formed UTF-8 sequence at s, or 0. */
static size_t sequence_length(mc_slice s)
{
  size_t n = s.data[0] < 0x80 ? 1 : s.data[0] >= 0xF0 ? 4 : s.data[0] >= 0xE0 ? 3 : 2;
  return n <= s.len && mc_slice_is_utf8(mc_slice_sub(s, 0, n)) ? n : 0;
}

static void put_quoted(mc_json *j, mc_slice text)
{
  static const char hex[] = "0123456789abcdef";
  put(j, "\"", 1);
  size_t start = 0;
  size_t i = 0;
  while (i < text.len) {
    uint8_t c = text.data[i];
    size_t n = c < 0x80 ? 1 : sequence_length(mc_slice_sub(text, i, 4));
    if (n == 0) /* a short rest may still be a valid shorter sequence */
      for (size_t k = 2; k <= 3 && !n; k++)
        if (i + k <= text.len && mc_slice_is_utf8(mc_slice_sub(text, i, k)) && sequence_length(mc_slice_sub(text, i, k)) == k)
          n = k;
    if (n && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
      i += n;
      continue;
    }
    put(j, (const char *)text.data + start, i - start);
    char escape[6] = {'\\', 'u', '0', '0', hex[(c >> 4) & 15], hex[c & 15]};
    if (n == 0) {
      put(j, "\xEF\xBF\xBD", 3);
      n = 1;
    } else if (c == '"' || c == '\\') {
      char two[2] = {'\\', (char)c};
      put(j, two, 2);
    } else if (c == '\n') {
      put(j, "\\n", 2);
    } else if (c == '\t') {
      put(j, "\\t", 2);
    } else if (c == '\r') {
      put(j, "\\r", 2);
    } else {
      put(j, escape, 6);
    }
    i += n;
    start = i;
  }
  if (start < text.len) /* an empty text may have no address at all */
    put(j, (const char *)text.data + start, text.len - start);
  put(j, "\"", 1);
}

void mc_json_key_slice(mc_json *j, mc_slice key)
{
  before_value(j);
  put_quoted(j, key);
  put(j, ":", 1);
  j->after_key = true;
}

void mc_json_key(mc_json *j, const char *key)
{
  mc_json_key_slice(j, mc_slice_str(key));
}

void mc_json_text(mc_json *j, mc_slice text)
{
  before_value(j);
  put_quoted(j, text);
}

void mc_json_str(mc_json *j, const char *text)
{
  if (text)
    mc_json_text(j, mc_slice_str(text));
  else
    mc_json_null(j);
}

static void put_number(mc_json *j, const char *text, int n)
{
  before_value(j);
  put(j, text, (size_t)n);
}

void mc_json_int(mc_json *j, int64_t v)
{
  char text[24];
  put_number(j, text, snprintf(text, sizeof text, "%lld", (long long)v));
}

void mc_json_uint(mc_json *j, uint64_t v)
{
  char text[24];
  put_number(j, text, snprintf(text, sizeof text, "%llu", (unsigned long long)v));
}

void mc_json_double(mc_json *j, double v)
{
  if (!isfinite(v)) {
    mc_json_null(j);
    return;
  }
  if (v == floor(v) && fabs(v) < 1e15) {
    mc_json_int(j, (int64_t)v);
    return;
  }
  char text[40];
  int n = 0;
  for (int digits = 15; digits <= 17; digits++) {
    n = snprintf(text, sizeof text, "%.*g", digits, v);
    double back;
    if (mc_slice_to_double(mc_slice_of(text, (size_t)n), &back) == MC_OK && back == v)
      break;
  }
  put_number(j, text, n);
}

void mc_json_bool(mc_json *j, bool v)
{
  before_value(j);
  put(j, v ? "true" : "false", v ? 4 : 5);
}

void mc_json_null(mc_json *j)
{
  before_value(j);
  put(j, "null", 4);
}

void mc_json_raw(mc_json *j, mc_slice json)
{
  before_value(j);
  put(j, (const char *)json.data, json.len);
}

mc_err mc_json_end(mc_json *j)
{
  if (!j->err && (j->depth || j->after_key))
    j->err = MC_ERR_INVALID;
  return j->err;
}
