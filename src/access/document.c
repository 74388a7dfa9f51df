/* Reading policy documents: {"Version":"2012-10-17","Statement":[{Effect,Action,Resource,Condition}]}, strictly. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "access/statement.h"

enum { ACTIONS_MOST = 200, RESOURCES_MOST = 500, ARENA_MOST = 64 << 20 };

mc_err read_wrong(reading *r, const char *format, ...)
{
  char text[MC_WHY_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return mc_err_set(r->why, MC_ERR_INVALID, "%s%s%s", r->path, r->path[0] ? ": " : "", text);
}

mc_err read_no_memory(reading *r)
{
  return mc_err_set(r->why, MC_ERR_MEMORY, "no memory for the policy document");
}

static mc_slice text_of(const json_t *value)
{
  return mc_slice_of(json_string_value(value), json_string_length(value));
}

/* Sets the path to Statement[n] and what is behind it. */
static void at(reading *r, const char *member)
{
  snprintf(r->path, sizeof r->path, "Statement[%zu]%s%s", r->statement, member ? "." : "", member ? member : "");
}

/* A text, or a list of 1 to `most`, each given to one(). */
static mc_err each(reading *r, const char *member, json_t *value, size_t most, const char *what, mc_err (*one)(reading *r, statement *s, mc_slice text), statement *s)
{
  size_t count = json_is_array(value) ? json_array_size(value) : 1;
  at(r, member);
  if (!json_is_array(value) && !json_is_string(value))
    return read_wrong(r, "expected %s, or a list of them", what);
  if (count == 0 || count > most)
    return read_wrong(r, "expected 1 to %zu of them, found %zu", most, count);
  size_t path = strlen(r->path);
  for (size_t i = 0; i < count; i++) {
    json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
    if (json_is_array(value))
      snprintf(r->path + path, sizeof r->path - path, "[%zu]", i);
    if (!json_is_string(item))
      return read_wrong(r, "expected %s", what);
    MC_TRY(one(r, s, text_of(item)));
  }
  return MC_OK;
}

static mc_err read_action(reading *r, statement *s, mc_slice text)
{
  uint64_t bits = action_bits(text);
  if (bits) {
    s->actions |= bits;
    return MC_OK;
  }
  mc_why why;
  mc_action none;
  mc_action_parse(text, &none, &why); /* says what there is */
  return read_wrong(r, "%s", why.text);
}

/* Five colons part an ARN; those inside ${iot:...} do not count. */
static size_t split_arn(mc_slice text, mc_slice part[6])
{
  size_t n = 0, from = 0;
  for (size_t i = 0; n < 5 && i < text.len; i++) {
    if (text.data[i] == '$' && i + 1 < text.len && text.data[i + 1] == '{')
      i = mc_slice_find(text, '}', i);
    else if (text.data[i] == ':') {
      part[n++] = mc_slice_sub(text, from, i - from);
      from = i + 1;
    }
  }
  part[n++] = mc_slice_sub(text, from, text.len);
  return n;
}

/* Region and account are looked at for their form only: an installation is one account in one region, and what was written for AWS names another one. A wildcard
 * at the end of them reaches on into the resource: then all of it is meant. */
static mc_err arn_tail(reading *r, mc_slice text, mc_slice *tail, uint64_t *actions)
{
  int shown = (int)(text.len > 80 ? 80 : text.len);
  mc_slice part[6];
  size_t parts = split_arn(text, part);
  if (!mc_slice_eq_str(part[0], "arn"))
    return read_wrong(r, "expected \"*\" or an ARN as \"arn:aws:iot:<region>:<account>:topic/<topic>\", found \"%.*s\"", shown, (const char *)text.data);
  mc_slice last = part[parts - 1];
  bool open = parts < 6 && parts > 1 && last.len && last.data[last.len - 1] == '*';
  if (parts < 6 && !open)
    return read_wrong(r, "an ARN has six parts, arn:aws:iot:<region>:<account>:<resource>; found %zu in \"%.*s\"", parts, shown, (const char *)text.data);
  mc_slice service = parts > 2 ? part[2] : MC_LIT("*");
  char named[48];
  int n = snprintf(named, sizeof named, "%.*s:*", MC_FMT(service));
  *actions = n > 0 && (size_t)n < sizeof named ? action_bits(mc_slice_str(named)) : 0;
  if (!*actions)
    return read_wrong(r, "the service of the ARN is \"%.*s\": expected iot or greengrass", (int)(service.len > 40 ? 40 : service.len), (const char *)service.data);
  *tail = open ? MC_LIT("*") : part[5];
  return tail->len ? MC_OK : read_wrong(r, "the ARN ends with its account: expected what it means, as topic/<topic>");
}

/* "*", or "arn:<partition>:<service>:<region>:<account>:<resource>". */
static mc_err read_resource(reading *r, statement *s, mc_slice text)
{
  mc_slice tail = text;
  pattern *p = &s->resource[s->resources++];
  uint64_t actions = UINT64_MAX;
  if (!mc_slice_eq_str(text, "*"))
    MC_TRY(arn_tail(r, text, &tail, &actions));
  MC_TRY(pattern_read(r, tail, true, p));
  p->actions = actions;
  return mc_arena_copy(&r->document->arena, text, &p->source) ? read_no_memory(r) : MC_OK;
}

static mc_err read_member(reading *r, statement *s, const char *key, json_t *value)
{
  at(r, NULL);
  if (!strcmp(key, "Effect")) {
    at(r, key);
    if (!json_is_string(value) || (strcmp(json_string_value(value), "Allow") != 0 && strcmp(json_string_value(value), "Deny") != 0))
      return read_wrong(r, "expected \"Allow\" or \"Deny\"");
    s->deny = !strcmp(json_string_value(value), "Deny");
    return MC_OK;
  }
  if (!strcmp(key, "Sid")) {
    at(r, key);
    if (!json_is_string(value) || json_string_length(value) == 0 || json_string_length(value) > 128)
      return read_wrong(r, "expected a text of 1 to 128 bytes");
    return mc_arena_copy(&r->document->arena, text_of(value), &s->sid) ? read_no_memory(r) : MC_OK;
  }
  if (!strcmp(key, "Action"))
    return each(r, key, value, ACTIONS_MOST, "the name of an action", read_action, s);
  if (!strcmp(key, "Resource")) {
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    s->resource = mc_arena_array(&r->document->arena, count < RESOURCES_MOST ? count + 1 : RESOURCES_MOST, sizeof *s->resource);
    return s->resource ? each(r, key, value, RESOURCES_MOST, "an ARN", read_resource, s) : read_no_memory(r);
  }
  if (!strcmp(key, "Condition")) {
    at(r, key);
    return conditions_read(r, value, &s->condition, &s->conditions);
  }
  if (!strcmp(key, "NotAction") || !strcmp(key, "NotResource") || !strcmp(key, "Principal") || !strcmp(key, "NotPrincipal"))
    return read_wrong(r, "%s is not part of a device's policy: say Action and Resource; whom it is for is whom it is attached to", key);
  return read_wrong(r, "\"%.60s\" is not known: a statement has Effect, Action, Resource, and may have Sid and Condition", key);
}

static mc_err read_statement(reading *r, json_t *value, statement *s)
{
  const char *key;
  json_t *member;
  at(r, NULL);
  if (!json_is_object(value))
    return read_wrong(r, "expected an object with Effect, Action and Resource");
  static const char *const needed[] = {"Effect", "Action", "Resource"};
  for (size_t i = 0; i < 3; i++)
    if (!json_object_get(value, needed[i]))
      return read_wrong(r, "%s is missing", needed[i]);
  json_object_foreach (value, key, member)
    MC_TRY(read_member(r, s, key, member));
  for (size_t i = 0; i < s->conditions; i++)
    s->names_attributes |= (r->document->variable[s->condition[i].variable].asked & MC_ASKED_PERSISTENT) != 0;
  return MC_OK;
}

static mc_err read_document(reading *r, json_t *root)
{
  const char *key;
  json_t *value;
  mc_policy_document *d = r->document;
  if (!json_is_object(root))
    return read_wrong(r, "a policy document is an object with Version and Statement");
  json_object_foreach (root, key, value)
    if (strcmp(key, "Version") != 0 && strcmp(key, "Statement") != 0 && strcmp(key, "Id") != 0)
      return read_wrong(r, "\"%.60s\" is not known: a policy document has Version, Statement, and may have Id", key);
  json_t *version = json_object_get(root, "Version"), *id = json_object_get(root, "Id"), *list = json_object_get(root, "Statement");
  if (!json_is_string(version) || strcmp(json_string_value(version), "2012-10-17") != 0)
    return read_wrong(r, "Version: expected \"2012-10-17\"");
  if (id && !json_is_string(id))
    return read_wrong(r, "Id: expected a text");
  if (!json_is_array(list) && !json_is_object(list))
    return read_wrong(r, "Statement: expected a list of statements");
  d->count = json_is_array(list) ? json_array_size(list) : 1;
  if (d->count == 0 || d->count > MC_POLICY_STATEMENTS)
    return read_wrong(r, "Statement: expected 1 to %d statements, found %zu", MC_POLICY_STATEMENTS, d->count);
  d->statement = mc_arena_array(&d->arena, d->count, sizeof *d->statement);
  if (!d->statement)
    return read_no_memory(r);
  for (r->statement = 0; r->statement < d->count; r->statement++)
    MC_TRY(read_statement(r, json_is_array(list) ? json_array_get(list, r->statement) : list, &d->statement[r->statement]));
  return MC_OK;
}

mc_err mc_policy_document_parse(mc_slice json, mc_policy_document **out, mc_why *why)
{
  *out = NULL;
  if (json.len > MC_POLICY_DOCUMENT_BYTES)
    return mc_err_set(why, MC_ERR_INVALID, "the policy document has %zu bytes: at most %d", json.len, MC_POLICY_DOCUMENT_BYTES);
  json_error_t problem;
  json_t *root = json_loadb(json.len ? (const char *)json.data : "", json.len, JSON_REJECT_DUPLICATES, &problem);
  if (!root)
    return mc_err_set(why, MC_ERR_MALFORMED, "the policy document is not valid JSON: line %d, column %d: %s", problem.line, problem.column, problem.text);
  mc_policy_document *d = calloc(1, sizeof *d);
  reading r = {.document = d, .why = why};
  mc_err err = MC_ERR_MEMORY;
  if (d) {
    atomic_init(&d->references, 1);
    d->arena = MC_ARENA(ARENA_MOST);
    err = read_document(&r, root);
  } else {
    read_no_memory(&r);
  }
  json_decref(root);
  if (err) {
    mc_policy_document_release(d);
    return err;
  }
  *out = d;
  return MC_OK;
}

void mc_policy_document_retain(const mc_policy_document *d)
{
  if (d)
    atomic_fetch_add_explicit(&((mc_policy_document *)(uintptr_t)d)->references, 1, memory_order_relaxed);
}

void mc_policy_document_release(const mc_policy_document *d)
{
  mc_policy_document *own = (mc_policy_document *)(uintptr_t)d;
  if (!d || atomic_fetch_sub_explicit(&own->references, 1, memory_order_acq_rel) != 1)
    return;
  mc_arena_free(&own->arena);
  free(own);
}

size_t mc_policy_document_length(mc_slice json)
{
  size_t n = 0;
  for (size_t i = 0; i < json.len; i++)
    n += !isspace(json.data[i]) && (json.data[i] & 0xC0) != 0x80;
  return n;
}

mc_slice mc_policy_document_attribute(const mc_policy_document *d, size_t index)
{
  for (size_t i = 0; i < d->variables; i++)
    if (d->variable[i].kind == MC_VARIABLE_THING_ATTRIBUTE && index-- == 0)
      return d->variable[i].name;
  return (mc_slice){0};
}

/* ---- ready made ---- */

#define OWN "${iot:Connection.Thing.ThingName}"
#define ARN "arn:aws:iot:*:*:"
#define TOPIC(kind, rest) "\"" ARN kind "/" rest "\""
#define FLEETWISE "$aws/iotfleetwise/vehicles/" OWN "/"
#define COMMAND "$aws/commands/things/" OWN "/executions/"

/* Contracts fleetwise 3 (topics of the agent) and iotcore ("Commands"): no topic that the agent does not use. */
mc_slice mc_policy_document_vehicle(void)
{
  static const char text[] =
      "{\n"
      "  \"Version\": \"2012-10-17\",\n"
      "  \"Statement\": [\n"
      "    {\n"
      "      \"Sid\": \"ConnectAsItself\",\n"
      "      \"Effect\": \"Allow\",\n"
      "      \"Action\": \"iot:Connect\",\n"
      "      \"Resource\": " TOPIC("client", OWN) ",\n"
      "      \"Condition\": {\n"
      "        \"Bool\": {\"iot:Connection.Thing.IsAttached\": \"true\"},\n"
      "        \"ForAllValues:StringEquals\": {\"iot:ConnectAttributes\": [\"PersistentConnect\"]}\n"
      "      }\n"
      "    },\n"
      "    {\n"
      "      \"Sid\": \"SendData\",\n"
      "      \"Effect\": \"Allow\",\n"
      "      \"Action\": \"iot:Publish\",\n"
      "      \"Resource\": [\n"
      "        " TOPIC("topic", FLEETWISE "checkins") ",\n"
      "        " TOPIC("topic", FLEETWISE "signals") ",\n"
      "        " TOPIC("topic", FLEETWISE "last_known_states/data") ",\n"
      "        " TOPIC("topic", COMMAND "*/response/protobuf") "\n"
      "      ]\n"
      "    },\n"
      "    {\n"
      "      \"Sid\": \"AskForInstructions\",\n"
      "      \"Effect\": \"Allow\",\n"
      "      \"Action\": \"iot:Subscribe\",\n"
      "      \"Resource\": [\n"
      "        " TOPIC("topicfilter", FLEETWISE "collection_schemes") ",\n"
      "        " TOPIC("topicfilter", FLEETWISE "decoder_manifests") ",\n"
      "        " TOPIC("topicfilter", FLEETWISE "last_known_states/config") ",\n"
      "        " TOPIC("topicfilter", COMMAND "+/request/protobuf") ",\n"
      "        " TOPIC("topicfilter", COMMAND "+/response/accepted/protobuf") ",\n"
      "        " TOPIC("topicfilter", COMMAND "+/response/rejected/protobuf") "\n"
      "      ]\n"
      "    },\n"
      "    {\n"
      "      \"Sid\": \"TakeInstructions\",\n"
      "      \"Effect\": \"Allow\",\n"
      "      \"Action\": \"iot:Receive\",\n"
      "      \"Resource\": [\n"
      "        " TOPIC("topic", FLEETWISE "collection_schemes") ",\n"
      "        " TOPIC("topic", FLEETWISE "decoder_manifests") ",\n"
      "        " TOPIC("topic", FLEETWISE "last_known_states/config") ",\n"
      "        " TOPIC("topic", COMMAND "*/request/protobuf") ",\n"
      "        " TOPIC("topic", COMMAND "*/response/accepted/protobuf") ",\n"
      "        " TOPIC("topic", COMMAND "*/response/rejected/protobuf") "\n"
      "      ]\n"
      "    }\n"
      "  ]\n"
      "}\n";
  return MC_LIT(text);
}
