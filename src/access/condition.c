/* Conditions of policy statements: the operators of AWS's policy language, read once, asked often. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "access/statement.h"
#include "base/clock.h"

static const struct operator_row {
  const char *name;
  condition_type type;
  condition_order order;
  bool negated;
} operator_row[] = {
    {"StringEquals", TYPE_TEXT, ORDER_EQ, false},
    {"StringNotEquals", TYPE_TEXT, ORDER_EQ, true},
    {"StringEqualsIgnoreCase", TYPE_TEXT_FOLDED, ORDER_EQ, false},
    {"StringNotEqualsIgnoreCase", TYPE_TEXT_FOLDED, ORDER_EQ, true},
    {"StringLike", TYPE_LIKE, ORDER_EQ, false},
    {"StringNotLike", TYPE_LIKE, ORDER_EQ, true},
    {"ArnEquals", TYPE_LIKE, ORDER_EQ, false},
    {"ArnLike", TYPE_LIKE, ORDER_EQ, false},
    {"ArnNotEquals", TYPE_LIKE, ORDER_EQ, true},
    {"ArnNotLike", TYPE_LIKE, ORDER_EQ, true},
    {"NumericEquals", TYPE_NUMBER, ORDER_EQ, false},
    {"NumericNotEquals", TYPE_NUMBER, ORDER_EQ, true},
    {"NumericLessThan", TYPE_NUMBER, ORDER_LT, false},
    {"NumericLessThanEquals", TYPE_NUMBER, ORDER_LE, false},
    {"NumericGreaterThan", TYPE_NUMBER, ORDER_GT, false},
    {"NumericGreaterThanEquals", TYPE_NUMBER, ORDER_GE, false},
    {"DateEquals", TYPE_TIME, ORDER_EQ, false},
    {"DateNotEquals", TYPE_TIME, ORDER_EQ, true},
    {"DateLessThan", TYPE_TIME, ORDER_LT, false},
    {"DateLessThanEquals", TYPE_TIME, ORDER_LE, false},
    {"DateGreaterThan", TYPE_TIME, ORDER_GT, false},
    {"DateGreaterThanEquals", TYPE_TIME, ORDER_GE, false},
    {"Bool", TYPE_BOOL, ORDER_EQ, false},
    {"IpAddress", TYPE_ADDRESS, ORDER_EQ, false},
    {"NotIpAddress", TYPE_ADDRESS, ORDER_EQ, true},
    {"Null", TYPE_NULL, ORDER_EQ, false},
};
enum { VALUES_MOST = 200, TEXT_MOST = 2 * MC_POLICY_VALUE_BYTES };

/* ---- values ---- */

static bool read_number(mc_slice text, double *out) { return mc_slice_to_double(text, out) == MC_OK; }

/* ISO 8601, a day alone, or seconds since 1970. */
static bool read_time(mc_slice text, int64_t *out)
{
  char whole[MC_CLOCK_TEXT];
  int64_t seconds;
  if (mc_slice_to_i64(text, &seconds) == MC_OK && seconds > -(INT64_C(1) << 40) && seconds < INT64_C(1) << 40) {
    *out = seconds * 1000000;
    return true;
  }
  if (text.len == 10) {
    snprintf(whole, sizeof whole, "%.10sT00:00:00Z", (const char *)text.data);
    text = mc_slice_str(whole);
  }
  return mc_clock_parse_us(text, out) == MC_OK;
}

static bool read_bool(mc_slice text, bool *out)
{
  *out = mc_slice_eq_str(text, "true");
  return *out || mc_slice_eq_str(text, "false");
}

typedef struct network {
  uint8_t bytes[16];
  int family;
  unsigned bits;
} network;

/* "192.0.2.0/24", "2001:db8::1". */
static bool read_network(mc_slice text, network *out)
{
  char whole[64];
  size_t slash = mc_slice_find(text, '/', 0);
  uint64_t bits = 0;
  if (!mc_slice_to_str(mc_slice_sub(text, 0, slash), whole, sizeof whole))
    return false;
  *out = (network){.family = strchr(whole, ':') ? AF_INET6 : AF_INET};
  unsigned most = out->family == AF_INET6 ? 128 : 32;
  if (inet_pton(out->family, whole, out->bytes) != 1)
    return false;
  if (slash < text.len && (mc_slice_to_u64(mc_slice_sub(text, slash + 1, text.len), &bits) || bits > most))
    return false;
  out->bits = slash < text.len ? (unsigned)bits : most;
  return true;
}

static bool network_has(const network *n, const network *address)
{
  if (n->family != address->family)
    return false;
  unsigned whole = n->bits / 8, rest = n->bits % 8;
  if (memcmp(n->bytes, address->bytes, whole) != 0)
    return false;
  return rest == 0 || ((n->bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

/* ---- reading ---- */

static bool value_fits(condition_type type, mc_slice text)
{
  double number;
  int64_t time;
  bool yes;
  network n;
  switch (type) {
  case TYPE_NUMBER:
    return read_number(text, &number);
  case TYPE_TIME:
    return read_time(text, &time);
  case TYPE_BOOL:
  case TYPE_NULL:
    return read_bool(text, &yes);
  case TYPE_ADDRESS:
    return read_network(text, &n);
  default:
    return true;
  }
}

static const char *const expected[] = {[TYPE_NUMBER] = "a number",        [TYPE_TIME] = "a time as 2026-11-30T12:00:00Z or seconds since 1970",
                                       [TYPE_BOOL] = "\"true\" or \"false\"", [TYPE_NULL] = "\"true\" or \"false\"",
                                       [TYPE_ADDRESS] = "an address or network as 192.0.2.0/24"};

static mc_err read_value(reading *r, const condition *c, json_t *item, pattern *out)
{
  char made[40];
  mc_slice text;
  if (json_is_boolean(item))
    text = mc_slice_str(json_is_true(item) ? "true" : "false");
  else if (json_is_integer(item))
    text = mc_slice_of(made, (size_t)snprintf(made, sizeof made, "%" JSON_INTEGER_FORMAT, json_integer_value(item)));
  else if (json_is_real(item))
    text = mc_slice_of(made, (size_t)snprintf(made, sizeof made, "%.17g", json_real_value(item)));
  else if (json_is_string(item))
    text = mc_slice_of(json_string_value(item), json_string_length(item));
  else
    return read_wrong(r, "expected a text, or a list of them");
  MC_TRY(pattern_read(r, text, c->type == TYPE_LIKE, out));
  bool fixed = true;
  for (size_t i = 0; i < out->count; i++)
    fixed &= out->part[i].kind != PART_VARIABLE;
  int shown = (int)(text.len > 60 ? 60 : text.len);
  if (fixed && !value_fits(c->type, text))
    return read_wrong(r, "expected %s, found \"%.*s\"", expected[c->type], shown, (const char *)text.data);
  return MC_OK;
}

static mc_err read_operator(reading *r, mc_slice text, condition *c)
{
  mc_slice all = MC_LIT("ForAllValues:"), any = MC_LIT("ForAnyValue:"), optional = MC_LIT("IfExists"), name = text;
  c->of = mc_slice_starts(name, all) ? OF_ALL : mc_slice_starts(name, any) ? OF_ANY : OF_ONE;
  name = mc_slice_sub(name, c->of == OF_ALL ? all.len : c->of == OF_ANY ? any.len : 0, name.len);
  c->if_exists = name.len > optional.len && mc_slice_eq(mc_slice_sub(name, name.len - optional.len, optional.len), optional);
  if (c->if_exists)
    name.len -= optional.len;
  for (size_t i = 0; i < sizeof operator_row / sizeof *operator_row; i++)
    if (mc_slice_eq_str(name, operator_row[i].name)) {
      c->type = operator_row[i].type;
      c->order = operator_row[i].order;
      c->negated = operator_row[i].negated;
      if (c->type == TYPE_NULL && (c->if_exists || c->of != OF_ONE))
        return read_wrong(r, "Null stands alone, without ForAllValues:, ForAnyValue: or IfExists");
      return MC_OK;
    }
  int shown = (int)(text.len > 60 ? 60 : text.len);
  return read_wrong(r, "\"%.*s\" is no operator: String, Arn, Numeric, Date, Bool, IpAddress and Null operators are there, with ForAllValues: or ForAnyValue: in front, IfExists behind",
                    shown, (const char *)text.data);
}

static mc_err read_condition(reading *r, mc_slice name, mc_slice key, json_t *value, condition *c)
{
  mc_policy_document *d = r->document;
  MC_TRY(read_operator(r, name, c));
  MC_TRY(variable_find(r, key, true, &c->variable));
  const mc_policy_variable *v = &d->variable[c->variable];
  if ((v->asked & MC_ASKED_TIME) && c->type != TYPE_TIME && c->type != TYPE_NULL && c->type != TYPE_NUMBER)
    return read_wrong(r, "a time is compared by Date operators (seconds since 1970 by Numeric ones, too)");
  c->source = mc_slice_str(mc_arena_printf(&d->arena, "%.*s %.*s", MC_FMT(name), MC_FMT(key)));
  c->count = json_is_array(value) ? json_array_size(value) : 1;
  if (c->count > VALUES_MOST)
    return read_wrong(r, "more than %d values", VALUES_MOST);
  c->value = mc_arena_array(&d->arena, c->count ? c->count : 1, sizeof *c->value);
  if (!c->source.data || !c->value)
    return read_no_memory(r);
  size_t path = strlen(r->path);
  for (size_t i = 0; i < c->count; i++) {
    if (json_is_array(value))
      snprintf(r->path + path, sizeof r->path - path, "[%zu]", i);
    MC_TRY(read_value(r, c, json_is_array(value) ? json_array_get(value, i) : value, &c->value[i]));
  }
  r->path[path] = 0;
  return MC_OK;
}

mc_err conditions_read(reading *r, json_t *block, condition **out, size_t *count)
{
  const char *name, *key;
  json_t *keys, *value;
  size_t n = 0, path = strlen(r->path), before = path;
  if (!json_is_object(block))
    return read_wrong(r, "expected an object as {\"Bool\": {\"iot:Connection.Thing.IsAttached\": \"true\"}}");
  json_object_foreach (block, name, keys)
    n += json_is_object(keys) ? json_object_size(keys) : 1;
  *out = mc_arena_array(&r->document->arena, n ? n : 1, sizeof **out);
  if (!*out)
    return read_no_memory(r);
  json_object_foreach (block, name, keys) {
    snprintf(r->path + before, sizeof r->path - before, ".%.60s", name);
    if (!json_is_object(keys))
      return read_wrong(r, "expected an object of keys and their values");
    path = strlen(r->path);
    json_object_foreach (keys, key, value) {
      snprintf(r->path + path, sizeof r->path - path, ".%.80s", key);
      MC_TRY(read_condition(r, mc_slice_str(name), mc_slice_str(key), value, &(*out)[(*count)++]));
      r->path[path] = 0;
    }
  }
  r->path[before] = 0;
  return MC_OK;
}

/* ---- asking ---- */

static bool ordered(condition_order order, int way /* <0, 0, >0 */)
{
  switch (order) {
  case ORDER_LT:
    return way < 0;
  case ORDER_LE:
    return way <= 0;
  case ORDER_GT:
    return way > 0;
  case ORDER_GE:
    return way >= 0;
  default:
    return way == 0;
  }
}

typedef enum compared { IS_NOT, IS, CANNOT_TELL } compared;

static compared compare_typed(const condition *c, mc_slice value, mc_slice want)
{
  double a, b;
  int64_t at, bt;
  bool ab, bb;
  network an, bn;
  switch (c->type) {
  case TYPE_NUMBER:
    if (!read_number(value, &a) || !read_number(want, &b))
      return CANNOT_TELL;
    return ordered(c->order, a < b ? -1 : a > b) ? IS : IS_NOT;
  case TYPE_TIME:
    if (!read_time(value, &at) || !read_time(want, &bt))
      return CANNOT_TELL;
    return ordered(c->order, at < bt ? -1 : at > bt) ? IS : IS_NOT;
  case TYPE_BOOL:
    if (!read_bool(value, &ab) || !read_bool(want, &bb))
      return CANNOT_TELL;
    return ab == bb ? IS : IS_NOT;
  default:
    if (!read_network(value, &an) || !read_network(want, &bn))
      return CANNOT_TELL;
    return network_has(&bn, &an) ? IS : IS_NOT;
  }
}

/* A value of the connection against all of the condition's. */
static compared compare(const condition *c, mc_slice value, const variable_values *have)
{
  char text[TEXT_MOST];
  mc_slice want;
  compared all = IS_NOT;
  for (size_t i = 0; i < c->count; i++) {
    if (c->type <= TYPE_LIKE) {
      if (pattern_matches(&c->value[i], value, have, c->type == TYPE_TEXT_FOLDED))
        return IS;
      continue;
    }
    if (!pattern_text(&c->value[i], have, text, sizeof text, &want))
      continue; /* what has no value is equal to nothing */
    compared one = compare_typed(c, value, want);
    if (one == IS)
      return IS;
    if (one == CANNOT_TELL)
      all = CANNOT_TELL;
  }
  return all;
}

bool condition_holds(const condition *c, const variable_values *have, const mc_policy_values *asked)
{
  const mc_policy_values *values = asked ? asked : &have->at[have->map[c->variable]];
  if (c->type == TYPE_NULL) {
    bool missing = values->count == 0, hit = false;
    for (size_t i = 0; i < c->count; i++) {
      char text[16];
      mc_slice want;
      hit |= pattern_text(&c->value[i], have, text, sizeof text, &want) && mc_slice_eq_str(want, missing ? "true" : "false");
    }
    return hit;
  }
  if (!values->count)
    return c->if_exists || c->of == OF_ALL || (c->negated && c->of == OF_ONE);
  size_t good = 0;
  for (size_t i = 0; i < values->count; i++) {
    compared is = compare(c, values->at[i], have);
    good += is != CANNOT_TELL && (is == IS) != c->negated; /* what cannot be compared satisfies nothing */
  }
  bool every = c->of == OF_ALL || (c->of == OF_ONE && c->negated);
  return every ? good == values->count : good > 0;
}
