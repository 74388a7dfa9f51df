/* Checking an input against its shape: every fault names the path of its field, what was expected and what came. */
#include "campaign/shape.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "format/base64.h"
#include "format/json.h"

enum { MAX_DEPTH = 32, MAX_FAULTS = 20, PATH = 512 };

const shape_limit_row shape_limits[SHAPE_LIMITS] = {
    [LIMIT_FQN] = {"fqn_length", "characters", "longest name of a signal", 150, 255, 255, false},
    [LIMIT_DESCRIPTION] = {"description_length", "characters", "longest description or comment", 2048, 16384, 1u << 20, false},
    [LIMIT_NODES] = {"nodes", "nodes", "nodes or names in one call", 500, 200000, 10000000, false},
    [LIMIT_DECODERS] = {"decoders", "decoders", "signal decoders in one call", 500, 200000, 10000000, false},
    [LIMIT_INTERFACES] = {"interfaces", "interfaces", "network interfaces in one call", 500, 10000, 1000000, false},
    [LIMIT_BATCH] = {"batch", "vehicles", "vehicles in one batch call", 10, 1000, 100000, false},
    [LIMIT_COLLECT] = {"collect", "signals", "signals that one campaign collects", 1000, 10000, 1000000, false},
    [LIMIT_FETCH] = {"fetch", "entries", "entries of signalsToFetch", 2, 100, 10000, false},
    [LIMIT_PARTITIONS] = {"partitions", "partitions", "data partitions of one campaign", 20, 100, 10000, false},
    [LIMIT_DIMENSIONS] = {"dimensions", "attributes", "extra dimensions of one campaign or state template", 5, 50, 10000, false},
    [LIMIT_DESTINATIONS] = {"destinations", "destinations", "destinations of one campaign", 3, 20, 1000, false},
    [LIMIT_ASSOCIATIONS] = {"associations", "templates", "state templates in one call of a vehicle", 20, 1000, 100000, false},
    [LIMIT_PROPERTIES] = {"properties", "signals", "signals of one state template", 500, 10000, 1000000, false},
    [LIMIT_FILTERS] = {"filters", "attributes", "attributes that ListVehicles filters by", 5, 30, 30, false},
    [LIMIT_EXPRESSION] = {"expression_length", "characters", "longest expression of a campaign", 2048, 8192, 8192, false},
    [LIMIT_FETCH_EXPRESSION] = {"fetch_expression_length", "characters", "longest expression of signalsToFetch", 400, 8192, 8192, false},
    [LIMIT_ACTIONS] = {"actions", "actions", "actions of one entry of signalsToFetch", 2, 100, 10000, false},
    [LIMIT_FIELDS] = {"fields", "fields", "fields of one structured message", 500, 10000, 1000000, false},
    [LIMIT_FILES] = {"files", "files", "DBC files of one network interface", 5, 50, 1000, false},
    [LIMIT_FILE_BYTES] = {"file_bytes", "bytes", "size of one DBC file", 200000000, 200000000, 2000000000, false},
    [LIMIT_PAGE] = {"page", "items", "items of one page", 100, 1000, 100000, false},
    [LIMIT_TAGS] = {"tags", "tags", "tags in one call, and of one resource", 50, 200, 100000, false},
    [LIMIT_TAG_KEYS] = {"tag_keys", "keys", "keys that one call takes off", 200, 1000, 100000, false},
    [LIMIT_TAG_VALUE] = {"tag_value_length", "characters", "longest value of a tag", 256, 4096, 1u << 20, false},
    [LIMIT_ATTRIBUTES] = {"attributes", "attributes", "attributes of one vehicle in one call", 1000, 1000, 1000, false},
    [LIMIT_CATALOGS] = {"catalogs", "catalogs", "signal catalogs of a tenant", 1, 1000, 1000000, false},
    [LIMIT_CATALOG_NODES] = {"catalog_nodes", "nodes", "nodes of one signal catalog", 5000, 5000000, 16000000, false},
    [LIMIT_MODELS] = {"models", "models", "model manifests of a tenant", 150, 100000, 10000000, false},
    [LIMIT_MANIFESTS] = {"manifests", "manifests", "decoder manifests of one model", 100, 100000, 10000000, false},
    [LIMIT_CAMPAIGNS] = {"campaigns", "campaigns", "campaigns of a tenant", 20, 10000, 1000000, false},
    [LIMIT_TEMPLATES] = {"templates", "templates", "state templates of a tenant", 0, 10000, 1000000, false},
    [LIMIT_FLEETS] = {"fleets", "fleets", "fleets of a tenant", 0, 100000, 10000000, false},
    [LIMIT_FLEET_VEHICLES] = {"fleet_vehicles", "vehicles", "vehicles of one fleet", 0, 1000000, 16000000, false},
    [LIMIT_VEHICLES] = {"vehicles", "vehicles", "vehicles of a tenant", 0, 1000000, 16000000, false},
    [LIMIT_PERIOD] = {"period_ms", "ms", "shortest period of a time-based campaign", 10000, 10, 1, true},
};

typedef struct check {
  const uint64_t *limits;
  mc_buf *faults;
  mc_why *why;
  unsigned count, depth;
  char path[PATH];
  size_t len; /* of path */
  mc_err err; /* memory */
} check;

static void fault(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(check *c, const char *format, ...)
{
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const char *path = c->len ? c->path : "input";
  if (!c->count)
    mc_err_set(c->why, MC_ERR_INVALID, "%s: %s", path, text);
  if (c->count++ >= MAX_FAULTS)
    return;
  if (c->count > 1)
    c->err = c->err ? c->err : mc_buf_append_u8(c->faults, ',');
  mc_json j = mc_json_to(c->faults);
  mc_json_object(&j);
  mc_json_str_field(&j, "name", path);
  mc_json_str_field(&j, "message", text);
  mc_json_object_end(&j);
  c->err = c->err ? c->err : mc_json_end(&j);
}

/* ---- paths: "nodes[3].sensor.dataType" ---- */
static size_t enter(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static size_t enter(check *c, const char *format, ...)
{
  size_t before = c->len;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(c->path + c->len, PATH - c->len, format, args);
  va_end(args);
  c->len += n < 0 ? 0 : (size_t)n < PATH - c->len ? (size_t)n : PATH - c->len - 1;
  return before;
}

static void leave(check *c, size_t before)
{
  c->len = before;
  c->path[before] = 0;
}

static const char *kind_of(const json_t *v)
{
  static const char *const name[] = {"an object", "a list", "text", "a whole number", "a number", "true", "false", "null"};
  return name[json_typeof(v)];
}

static size_t characters(mc_slice text)
{
  size_t n = 0;
  for (size_t i = 0; i < text.len; i++)
    n += (text.data[i] & 0xC0) != 0x80;
  return n;
}

static bool in_set(const char *set, uint8_t byte)
{
  for (const char *s = set; *s; s++) {
    if (s[1] == '-' && s[2]) {
      if (byte >= (uint8_t)s[0] && byte <= (uint8_t)s[2])
        return true;
      s += 2;
    } else if (byte == (uint8_t)*s)
      return true;
  }
  return false;
}

static uint64_t high_of(const check *c, const shape *s)
{
  if (s->limit && !shape_limits[s->limit].floor)
    return c->limits[s->limit];
  return (uint64_t)s->high;
}

static void check_size(check *c, const shape *s, uint64_t size, const char *unit)
{
  uint64_t high = high_of(c, s);
  if (size >= (uint64_t)s->low && (!high || size <= high))
    return;
  if (!high)
    fault(c, "expected at least %" PRId64 " %s, found %" PRIu64, s->low, unit, size);
  else
    fault(c, "expected %" PRId64 " to %" PRIu64 " %s, found %" PRIu64 "%s%s%s", s->low, high, unit, size, s->limit ? " (setting fleetwise_" : "",
          s->limit ? shape_limits[s->limit].key : "", s->limit ? ")" : "");
}

static void check_text(check *c, const shape *s, mc_slice text)
{
  check_size(c, s, characters(text), "characters");
  for (size_t i = 0; i < text.len; i++) {
    uint8_t b = text.data[i];
    if (s->set ? !in_set(s->set, b) : b < 0x20 || b == 0x7F) {
      if (s->set)
        fault(c, "expected characters of %s, found %s%.*s at character %zu", s->set, b < 0x20 || b > 0x7E ? "another" : "", b < 0x20 || b > 0x7E ? 0 : 1,
              (const char *)text.data + i, characters(mc_slice_sub(text, 0, i)) + 1);
      else
        fault(c, "expected text without control characters, found byte 0x%02x at character %zu", b, characters(mc_slice_sub(text, 0, i)) + 1);
      return;
    }
  }
  const char *expected = NULL;
  if (s->rule && !s->rule(text, &expected))
    fault(c, "expected %s, found \"%.*s\"", expected, (int)(text.len < 100 ? text.len : 100), (const char *)text.data);
}

static void check_word(check *c, const shape *s, mc_slice text)
{
  mc_slice rest = mc_slice_str(s->words);
  while (rest.len) {
    size_t end = mc_slice_find(rest, '|', 0);
    if (mc_slice_eq(mc_slice_sub(rest, 0, end), text))
      return;
    rest = mc_slice_sub(rest, end + 1, rest.len);
  }
  fault(c, "expected one of %s, found \"%.*s\"", s->words, (int)(text.len < 60 ? text.len : 60), (const char *)text.data);
}

static void check_int(check *c, const shape *s, int64_t v)
{
  int64_t low = s->limit && shape_limits[s->limit].floor ? (int64_t)c->limits[s->limit] : s->low;
  if (v < low || v > s->high)
    fault(c, "expected %" PRId64 " to %" PRId64 ", found %" PRId64 "%s%s%s", low, s->high, v, s->limit ? " (setting fleetwise_" : "",
          s->limit ? shape_limits[s->limit].key : "", s->limit ? ")" : "");
}

static void check_value(check *c, const shape *s, json_t *v);

static void check_members(check *c, const shape *s, json_t *v)
{
  const char *key;
  json_t *item;
  void *next;
  unsigned given = 0;
  const char *first = "";
  json_object_foreach_safe (v, next, key, item) {
    if (json_is_null(item)) {
      json_object_del(v, key);
      continue;
    }
    const shape_member *m = s->member;
    while (m->name && strcmp(m->name, key) != 0)
      m++;
    first = given++ ? first : key;
    size_t before = enter(c, "%s%.100s", c->len ? "." : "", key);
    if (m->name)
      check_value(c, m->shape, item);
    else
      fault(c, "there is no such member");
    leave(c, before);
  }
  for (const shape_member *m = s->member; m->name; m++)
    if (m->required && !json_object_get(v, m->name)) {
      size_t before = enter(c, "%s%s", c->len ? "." : "", m->name);
      fault(c, "is missing; it is required");
      leave(c, before);
    }
  if (s->kind == SHAPE_UNION && given != 1)
    fault(c, "expected exactly one member, found %u%s%.60s", given, given > 1 ? ", the first is " : "", first);
}

static void check_entries(check *c, const shape *s, json_t *v)
{
  const char *key;
  json_t *item;
  size_t i;
  if (s->kind == SHAPE_LIST) {
    check_size(c, s, json_array_size(v), "items");
    json_array_foreach (v, i, item) {
      if (c->count >= MAX_FAULTS) /* a list of a million wrong ones is told by its first */
        return;
      size_t before = enter(c, "[%zu]", i);
      check_value(c, s->item, item);
      leave(c, before);
    }
    return;
  }
  check_size(c, s, json_object_size(v), "entries");
  json_object_foreach (v, key, item) {
    size_t before = enter(c, "%s%.100s", c->len ? "." : "", key);
    if (s->key)
      check_text(c, s->key, mc_slice_str(key));
    check_value(c, s->item, item);
    leave(c, before);
  }
}

static void check_blob(check *c, const shape *s, mc_slice text)
{
  size_t size;
  if (!mc_base64_size(text, &size))
    fault(c, "expected base64 (RFC 4648, 4)");
  else
    check_size(c, s, size, "bytes");
}

static bool right_type(shape_kind kind, const json_t *v)
{
  switch (kind) {
  case SHAPE_STRUCT:
  case SHAPE_UNION:
  case SHAPE_MAP:
    return json_is_object(v);
  case SHAPE_LIST:
    return json_is_array(v);
  case SHAPE_TEXT:
  case SHAPE_WORD:
  case SHAPE_BLOB:
    return json_is_string(v);
  case SHAPE_INT:
    return json_is_integer(v);
  case SHAPE_NUMBER:
  case SHAPE_TIME:
    return json_is_number(v);
  case SHAPE_BOOL:
    return json_is_boolean(v);
  default:
    return true;
  }
}

static void check_value(check *c, const shape *s, json_t *v)
{
  static const char *const name[] = {"an object", "an object with one member", "a list",       "an object", "text", "text", "a whole number", "a number",
                                     "true or false", "seconds since 1970",    "base64 text", "anything"};
  if (!right_type(s->kind, v)) {
    fault(c, "expected %s, found %s", name[s->kind], kind_of(v));
    return;
  }
  if (c->depth == MAX_DEPTH) {
    fault(c, "is nested deeper than %d", MAX_DEPTH);
    return;
  }
  mc_slice text = mc_slice_of(json_string_value(v), json_string_length(v));
  c->depth++;
  switch (s->kind) {
  case SHAPE_STRUCT:
  case SHAPE_UNION:
    check_members(c, s, v);
    break;
  case SHAPE_LIST:
  case SHAPE_MAP:
    check_entries(c, s, v);
    break;
  case SHAPE_TEXT:
    check_text(c, s, text);
    break;
  case SHAPE_WORD:
    check_word(c, s, text);
    break;
  case SHAPE_BLOB:
    check_blob(c, s, text);
    break;
  case SHAPE_INT:
    check_int(c, s, json_integer_value(v));
    break;
  case SHAPE_TIME: /* until the year 9999: what 64 bits of microseconds hold, and FleetWise's own default end */
    if (!(json_number_value(v) >= 0 && json_number_value(v) <= 253402300799.0))
      fault(c, "expected seconds since 1970 until the year 9999");
    break;
  default:
    break;
  }
  c->depth--;
}

mc_err shape_check(const shape *s, json_t *value, const uint64_t limits[SHAPE_LIMITS], mc_buf *faults, mc_why *why)
{
  check c = {.limits = limits, .faults = faults, .why = why};
  check_value(&c, s, value);
  if (c.err)
    return mc_err_set(why, c.err, "out of memory for the list of faults");
  return c.count ? MC_ERR_INVALID : MC_OK;
}
