/* Texts of policy documents: wildcards, variables, escapes (contract iotcore, "Policy variables"). */
#include <stdio.h>
#include <stdlib.h>

#include "access/statement.h"

/* ---- names of variables ---- */

static const char *const certificate_field[] = {"CommonName", "Country", "Organization", "OrganizationalUnit", "State", "SerialNumber", "Title", "Surname", "GivenName", "Initials",
                                                "Pseudonym", "GenerationQualifier", "DistinguishedNameQualifier"};
static const char *const alternative_field[] = {"RFC822Name", "DNSName", "DirectoryName", "URI", "IPAddress"};
static const struct {
  const char *name;
  mc_policy_variable_kind kind;
  uint8_t asked; /* only as the key of a condition */
} plain_variable[] = {
    {"iot:ClientId", MC_VARIABLE_CLIENT_ID, 0},
    {"aws:SourceIp", MC_VARIABLE_SOURCE_IP, 0},
    {"iot:DomainName", MC_VARIABLE_DOMAIN_NAME, 0},
    {"iot:Connection.Thing.ThingName", MC_VARIABLE_THING_NAME, 0},
    {"iot:Connection.Thing.ThingTypeName", MC_VARIABLE_THING_TYPE, 0},
    {"iot:Connection.Thing.IsAttached", MC_VARIABLE_THING_ATTACHED, 0},
    {"iot:CertificateId", MC_VARIABLE_CERTIFICATE, 0},
    {"iot:ConnectAttributes", MC_VARIABLE_ASKED, MC_ASKED_PERSISTENT | MC_ASKED_WILL},
    {"aws:CurrentTime", MC_VARIABLE_ASKED, MC_ASKED_TIME},
    {"aws:EpochTime", MC_VARIABLE_ASKED, MC_ASKED_TIME},
};

static bool one_of(mc_slice text, const char *const *list, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (mc_slice_eq_str(text, list[i]))
      return true;
  return false;
}

/* "Subject.CommonName.1", "Issuer.AlternativeName.DNSName.List", "SerialNumber", "AvailableKeys". */
static bool read_certificate(mc_slice text, mc_policy_variable *v)
{
  *v = (mc_policy_variable){.kind = MC_VARIABLE_CERTIFICATE, .name = text};
  if (mc_slice_eq_str(text, "SerialNumber"))
    return true;
  if (mc_slice_eq_str(text, "AvailableKeys") || mc_slice_eq_str(text, "AvailableKeys.List")) {
    v->name = mc_slice_sub(text, 0, sizeof "AvailableKeys" - 1);
    v->index = MC_POLICY_LIST;
    return true;
  }
  size_t dot = mc_slice_find(text, '.', 0);
  mc_slice whose = mc_slice_sub(text, 0, dot);
  if (dot >= text.len || (!mc_slice_eq_str(whose, "Subject") && !mc_slice_eq_str(whose, "Issuer")))
    return false;
  mc_slice field = mc_slice_sub(text, dot + 1, text.len), alternative = MC_LIT("AlternativeName.");
  size_t begin = dot + 1;
  bool other = mc_slice_starts(field, alternative);
  if (other)
    begin += alternative.len;
  size_t end = mc_slice_find(text, '.', begin);
  field = mc_slice_sub(text, begin, end - begin);
  if (!(other ? one_of(field, alternative_field, sizeof alternative_field / sizeof *alternative_field)
              : one_of(field, certificate_field, sizeof certificate_field / sizeof *certificate_field)))
    return false;
  v->name = mc_slice_sub(text, 0, end);
  if (end == text.len)
    return true;
  mc_slice which = mc_slice_sub(text, end + 1, text.len);
  bool digit = which.len == 1 && which.data[0] >= '0' && which.data[0] <= '4'; /* at most 5 values */
  v->index = digit ? (uint8_t)(which.data[0] - '0') : MC_POLICY_LIST;
  return digit || mc_slice_eq_str(which, "List");
}

static bool read_variable(mc_slice name, mc_policy_variable *v)
{
  for (size_t i = 0; i < sizeof plain_variable / sizeof *plain_variable; i++)
    if (mc_slice_eq_str(name, plain_variable[i].name)) {
      *v = (mc_policy_variable){.kind = plain_variable[i].kind, .name = name, .asked = plain_variable[i].asked};
      return true;
    }
  mc_slice attributes = MC_LIT("iot:Connection.Thing.Attributes["), certificate = MC_LIT("iot:Certificate.");
  if (mc_slice_starts(name, attributes) && name.len > attributes.len + 1 && name.data[name.len - 1] == ']') {
    *v = (mc_policy_variable){.kind = MC_VARIABLE_THING_ATTRIBUTE, .name = mc_slice_sub(name, attributes.len, name.len - attributes.len - 1)};
    for (size_t i = 0; i < v->name.len; i++)
      if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@/#-", v->name.data[i]) || !v->name.data[i])
        return false;
    return v->name.len <= 150;
  }
  return mc_slice_starts(name, certificate) && read_certificate(mc_slice_sub(name, certificate.len, name.len), v);
}

mc_err variable_find(reading *r, mc_slice name, bool key, uint16_t *out)
{
  mc_policy_document *d = r->document;
  mc_policy_variable v;
  int shown = (int)(name.len > 80 ? 80 : name.len);
  if (mc_slice_starts(name, MC_LIT("iot:Thing.")))
    return read_wrong(r, "\"%.*s\" is not known: a device's own thing is iot:Connection.Thing.ThingName, ThingTypeName, IsAttached or Attributes[<name>]", shown, (const char *)name.data);
  if (!read_variable(name, &v))
    return read_wrong(r,
                      "\"%.*s\" is not known: there are iot:ClientId, iot:DomainName, aws:SourceIp, iot:Connection.Thing.<ThingName, ThingTypeName, IsAttached, Attributes[name]>, "
                      "iot:CertificateId, iot:Certificate.<Subject, Issuer>.<field>, iot:Certificate.<SerialNumber, AvailableKeys>%s",
                      shown, (const char *)name.data, key ? ", iot:ConnectAttributes, aws:CurrentTime, aws:EpochTime" : "");
  if (v.asked && !key)
    return read_wrong(r, "\"%.*s\" can be the key of a condition only", shown, (const char *)name.data);
  for (size_t i = 0; i < d->variables; i++)
    if (mc_slice_eq(d->variable[i].text, name)) {
      *out = (uint16_t)i;
      return MC_OK;
    }
  if (d->variables == MC_POLICY_VARIABLES)
    return read_wrong(r, "more than %d different variables in one document", MC_POLICY_VARIABLES);
  size_t name_at = (size_t)(v.name.data - name.data);
  if (mc_arena_copy(&d->arena, name, &v.text))
    return read_no_memory(r);
  v.name = mc_slice_sub(v.text, name_at, v.name.len);
  d->variable[d->variables] = v;
  *out = (uint16_t)d->variables++;
  return MC_OK;
}

/* ---- reading ---- */

static bool is_escape(mc_slice inside)
{
  return inside.len == 1 && strchr("*?$", inside.data[0]) && inside.data[0];
}

/* One part from *at on; letters of an escape are copied into `letters`, which has room for the whole text. */
static mc_err read_part(reading *r, mc_slice text, bool wildcards, size_t *at, char *letters, size_t *used, pattern_part *out)
{
  if (wildcards && (text.data[*at] == '*' || text.data[*at] == '?')) {
    *out = (pattern_part){.kind = text.data[*at] == '*' ? PART_ANY : PART_ONE};
    ++*at;
    return MC_OK;
  }
  size_t begin = *used;
  while (*at < text.len && !(wildcards && (text.data[*at] == '*' || text.data[*at] == '?'))) {
    if (text.data[*at] != '$' || *at + 1 >= text.len || text.data[*at + 1] != '{') {
      letters[(*used)++] = (char)text.data[(*at)++];
      continue;
    }
    size_t close = mc_slice_find(text, '}', *at);
    if (close >= text.len)
      return read_wrong(r, "the variable at byte %zu is not closed by }", *at);
    mc_slice inside = mc_slice_sub(text, *at + 2, close - *at - 2);
    if (is_escape(inside)) {
      letters[(*used)++] = (char)inside.data[0];
      *at = close + 1;
      continue;
    }
    if (*used > begin)
      break; /* the letters before it are a part of their own */
    *out = (pattern_part){.kind = PART_VARIABLE};
    MC_TRY(variable_find(r, inside, false, &out->variable));
    if (r->document->variable[out->variable].index == MC_POLICY_LIST)
      return read_wrong(r, "\"%.*s\" has several values: it can be the key of a condition only; one of them is .0, .1 and so on", MC_FMT(inside));
    *at = close + 1;
    return MC_OK;
  }
  *out = (pattern_part){.kind = PART_TEXT, .text = mc_slice_of(letters + begin, *used - begin)};
  return MC_OK;
}

mc_err pattern_read(reading *r, mc_slice text, bool wildcards, pattern *out)
{
  mc_arena *arena = &r->document->arena;
  if (text.len > MC_POLICY_RESOURCE_BYTES)
    return read_wrong(r, "at most %d bytes; this one has %zu", MC_POLICY_RESOURCE_BYTES, text.len);
  pattern_part part[2 * MC_POLICY_RESOURCE_MARKS + 1];
  char *letters = mc_arena_alloc(arena, text.len + 1);
  size_t count = 0, marks = 0, used = 0;
  if (!letters || mc_arena_copy(arena, text, &out->source))
    return read_no_memory(r);
  for (size_t at = 0; at < text.len;) {
    pattern_part p = {.kind = PART_TEXT};
    MC_TRY(read_part(r, text, wildcards, &at, letters, &used, &p));
    if (p.kind == PART_ANY && count && part[count - 1].kind == PART_ANY)
      continue;
    marks += p.kind != PART_TEXT;
    if (marks > MC_POLICY_RESOURCE_MARKS)
      return read_wrong(r, "more than %d wildcards and variables in one text", MC_POLICY_RESOURCE_MARKS);
    part[count++] = p;
  }
  out->count = count;
  out->part = mc_arena_array(arena, count, sizeof *out->part);
  if (!out->part)
    return read_no_memory(r);
  if (count)
    memcpy(out->part, part, count * sizeof *part);
  return MC_OK;
}

/* ---- matching one by one: conditions ---- */

bool value_is_plain(mc_slice value)
{
  for (size_t i = 0; i < value.len; i++)
    if (value.data[i] == 0 || strchr("*$+?#", value.data[i]))
      return false;
  return value.len > 0;
}

static int folded(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

static bool same(const uint8_t *a, const uint8_t *b, size_t len, bool fold)
{
  if (!fold)
    return memcmp(a, b, len) == 0;
  for (size_t i = 0; i < len; i++)
    if (folded(a[i]) != folded(b[i]))
      return false;
  return true;
}

/* What a part stands for; false: it stands for nothing, and the pattern matches nothing. */
static bool part_text(const pattern_part *p, const variable_values *have, mc_slice *out)
{
  if (p->kind == PART_TEXT) {
    *out = p->text;
    return true;
  }
  const mc_policy_values *v = &have->at[have->map[p->variable]];
  if (v->count != 1 || !value_is_plain(v->at[0]))
    return false;
  *out = v->at[0];
  return true;
}

bool pattern_matches(const pattern *p, mc_slice text, const variable_values *have, bool fold)
{
  size_t i = 0, at = 0, star = SIZE_MAX, from = 0;
  while (i < p->count || at < text.len) {
    mc_slice want = {0};
    bool fits = false;
    if (i < p->count && p->part[i].kind == PART_ANY) {
      star = i++;
      from = at;
      continue;
    }
    if (i < p->count && p->part[i].kind == PART_ONE) {
      fits = at < text.len;
      want.len = fits ? letter_bytes(text, at) : 0;
    } else if (i < p->count) {
      if (!part_text(&p->part[i], have, &want))
        return false;
      fits = text.len - at >= want.len && (want.len == 0 || same(want.data, text.data + at, want.len, fold));
    }
    if (fits) {
      i++;
      at += want.len;
    } else if (star != SIZE_MAX && from < text.len) {
      i = star + 1;
      at = ++from;
    } else {
      return false;
    }
  }
  return true;
}

bool pattern_text(const pattern *p, const variable_values *have, char *out, size_t size, mc_slice *text)
{
  size_t n = 0;
  for (size_t i = 0; i < p->count; i++) {
    mc_slice t;
    if (!part_text(&p->part[i], have, &t) || t.len >= size - n)
      return false;
    if (t.len)
      memcpy(out + n, t.data, t.len);
    n += t.len;
  }
  out[n] = 0;
  *text = mc_slice_of(out, n);
  return true;
}
