/* The operations by name: found, their input checked, run, and what went wrong told as FleetWise's exceptions. */
#include "campaign/control.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "campaign/shape.h"
#include "format/base64.h"

_Static_assert(SHAPE_LIMITS == MC_CONTROL_LIMITS + 1, "campaign.h tells how many limits there are");

/* ---- the list of operations ---- */

static const struct {
  const control_operation *list;
  const size_t *count;
} part[] = {
    {control_account, &control_account_count},
    {control_campaign, &control_campaign_count},
    {control_vocabulary, &control_vocabulary_count},
    {control_vehicle, &control_vehicle_count},
    {control_state, &control_state_count},
};
enum { PARTS = sizeof part / sizeof part[0] };

static const control_operation **sorted;
static size_t sorted_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int by_name(const void *a, const void *b)
{
  return strcmp((*(const control_operation *const *)a)->info.operation, (*(const control_operation *const *)b)->info.operation);
}

static void join(void)
{
  size_t total = 0;
  for (size_t i = 0; i < PARTS; i++)
    total += *part[i].count;
  sorted = malloc(total * sizeof(const control_operation *));
  if (!sorted)
    abort(); /* at the first call of a process: nothing works without it */
  for (size_t i = 0; i < PARTS; i++)
    for (size_t k = 0; k < *part[i].count; k++)
      sorted[sorted_count++] = &part[i].list[k];
  qsort(sorted, sorted_count, sizeof *sorted, by_name);
}

size_t mc_control_count(void)
{
  pthread_once(&once, join);
  return sorted_count;
}

mc_control_info mc_control_at(size_t index)
{
  return index < mc_control_count() ? sorted[index]->info : (mc_control_info){0};
}

static const control_operation *operation_of(mc_slice name)
{
  for (size_t i = 0; i < mc_control_count(); i++)
    if (mc_slice_eq_str(name, sorted[i]->info.operation))
      return sorted[i];
  return NULL;
}

const mc_control_info *mc_control_find(mc_slice operation)
{
  const control_operation *o = operation_of(operation);
  return o ? &o->info : NULL;
}

size_t mc_control_limit_count(void) { return MC_CONTROL_LIMITS; }

mc_control_limit mc_control_limit_at(size_t index)
{
  if (index >= MC_CONTROL_LIMITS)
    return (mc_control_limit){0};
  const shape_limit_row *r = &shape_limits[index + 1];
  return (mc_control_limit){r->key, r->unit, r->meaning, r->aws, r->ours, r->floor ? r->most : 1, r->floor ? r->aws : r->most};
}

uint64_t control_limit_of(const control_call *call, int limit) { return call->c->limit[limit]; }

/* ---- failing ---- */

void mc_control_error_free(mc_control_error *e)
{
  if (e)
    mc_buf_free(&e->members);
}

/* The error's members become `text`, which owns nothing. */
static void say(control_call *call, mc_control_fault fault, const mc_buf *object)
{
  call->error->fault = fault;
  mc_buf_clear(&call->error->members);
  if (object->len > 2) /* the braces */
    mc_buf_append(&call->error->members, object->data + 1, object->len - 2);
}

/* A question that was answered well takes back what an earlier one said: a fault belongs to the error that is returned. */
static void unsay(control_call *call)
{
  call->error->fault = MC_CONTROL_OK;
  mc_buf_clear(&call->error->members);
}

static mc_err told(control_call *call, mc_control_fault fault, const char *const key[2], mc_slice id, mc_slice kind, mc_err err)
{
  mc_buf object = {0};
  mc_json j = mc_json_to(&object);
  mc_json_object(&j);
  mc_json_text_field(&j, key[0], id);
  mc_json_text_field(&j, key[1], kind);
  mc_json_object_end(&j);
  say(call, fault, &object);
  mc_buf_free(&object);
  return err;
}

static mc_err invalid_fields(control_call *call, const char *reason, mc_slice faults)
{
  mc_buf object = {0};
  mc_json j = mc_json_to(&object);
  mc_json_object(&j);
  mc_json_str_field(&j, "reason", reason);
  if (faults.len) {
    mc_json_key(&j, "fieldList");
    mc_json_array(&j);
    mc_json_raw(&j, faults);
    mc_json_array_end(&j);
  }
  mc_json_object_end(&j);
  say(call, MC_CONTROL_VALIDATION, &object);
  mc_buf_free(&object);
  return MC_ERR_INVALID;
}

static void format_why(mc_why *why, mc_err err, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
static void format_why(mc_why *why, mc_err err, const char *format, va_list args)
{
  char text[MC_WHY_TEXT];
  vsnprintf(text, sizeof text, format, args);
  mc_err_set(why, err, "%s", text);
}

mc_err control_invalid(control_call *call, const char *field, mc_why *why, const char *format, ...)
{
  char text[MC_WHY_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  mc_buf item = {0};
  mc_json j = mc_json_to(&item);
  mc_json_object(&j);
  mc_json_str_field(&j, "name", field);
  mc_json_str_field(&j, "message", text);
  mc_json_object_end(&j);
  invalid_fields(call, "fieldValidationFailed", mc_buf_slice(&item));
  mc_buf_free(&item);
  return mc_err_set(why, MC_ERR_INVALID, "%s: %s", field, text);
}

mc_err control_not_found(control_call *call, const char *kind, mc_slice id, mc_why *why)
{
  mc_err_set(why, MC_ERR_NOT_FOUND, "there is no %s \"%.*s\"", kind, MC_FMT(mc_slice_sub(id, 0, 200)));
  return told(call, MC_CONTROL_NOT_FOUND, (const char *[]){"resourceId", "resourceType"}, id, mc_slice_str(kind), MC_ERR_NOT_FOUND);
}

mc_err control_conflict(control_call *call, const char *kind, mc_slice id, mc_why *why, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  format_why(why, MC_ERR_CONFLICT, format, args);
  va_end(args);
  return told(call, MC_CONTROL_CONFLICT, (const char *[]){"resource", "resourceType"}, id, mc_slice_str(kind), MC_ERR_CONFLICT);
}

mc_err control_limit(control_call *call, const char *kind, mc_slice id, mc_why *why, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  format_why(why, MC_ERR_TOO_LARGE, format, args);
  va_end(args);
  return told(call, MC_CONTROL_LIMIT, (const char *[]){"resourceId", "resourceType"}, id, mc_slice_str(kind), MC_ERR_TOO_LARGE);
}

/* ---- lists of what is bad ---- */

static mc_json item_of(mc_buf *list)
{
  if (list->len)
    mc_buf_append_u8(list, ',');
  mc_json j = mc_json_to(list);
  mc_json_object(&j);
  return j;
}

void control_bad_signal(control_call *call, mc_slice name, const char *reason, const char *hint)
{
  mc_json j = item_of(&call->bad_signals);
  mc_json_text_field(&j, "name", name);
  mc_json_str_field(&j, "reason", reason);
  if (hint)
    mc_json_str_field(&j, "hint", hint);
  mc_json_object_end(&j);
}

void control_bad_interface(control_call *call, mc_slice id, const char *reason)
{
  mc_json j = item_of(&call->bad_interfaces);
  mc_json_text_field(&j, "interfaceId", id);
  mc_json_str_field(&j, "reason", reason);
  mc_json_object_end(&j);
}

void control_bad_node(control_call *call, const json_t *node)
{
  char *text = json_dumps(node, JSON_COMPACT);
  if (!text)
    return;
  if (call->bad_nodes.len)
    mc_buf_append_u8(&call->bad_nodes, ',');
  mc_buf_append_str(&call->bad_nodes, text);
  free(text);
}

static void list_field(mc_json *j, const char *key, const mc_buf *items)
{
  mc_json_key(j, key);
  mc_json_array(j);
  if (items->len)
    mc_json_raw(j, mc_buf_slice(items));
  mc_json_array_end(j);
}

mc_err control_bad(control_call *call, mc_control_fault fault, mc_why *why, const char *format, ...)
{
  char text[MC_WHY_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  mc_buf object = {0};
  mc_json j = mc_json_to(&object);
  mc_json_object(&j);
  if (fault == MC_CONTROL_INVALID_NODE) {
    list_field(&j, "invalidNodes", &call->bad_nodes);
    mc_json_str_field(&j, "reason", text);
  } else
    list_field(&j, "invalidSignals", &call->bad_signals);
  if (fault == MC_CONTROL_DECODER_MANIFEST)
    list_field(&j, "invalidNetworkInterfaces", &call->bad_interfaces);
  mc_json_object_end(&j);
  say(call, fault, &object);
  mc_buf_free(&object);
  return mc_err_set(why, MC_ERR_INVALID, "%s", text);
}

/* ---- reading ---- */

mc_slice control_text(const json_t *object, const char *key)
{
  const json_t *v = json_object_get(object, key);
  return mc_slice_of(json_string_value(v), json_string_length(v));
}

int64_t control_int(const json_t *object, const char *key, int64_t absent)
{
  const json_t *v = json_object_get(object, key);
  return json_is_integer(v) ? json_integer_value(v) : absent;
}

double control_number(const json_t *object, const char *key, double absent)
{
  const json_t *v = json_object_get(object, key);
  return json_is_number(v) ? json_number_value(v) : absent;
}

mc_err control_blob(const json_t *text, mc_buf *out)
{
  return mc_base64_decode(mc_slice_of(json_string_value(text), json_string_length(text)), out);
}

static mc_slice region_of(const control_call *call) { return call->request->region.len ? call->request->region : MC_LIT("local"); }
static mc_slice account_of(const control_call *call) { return call->request->account.len ? call->request->account : MC_LIT("000000000000"); }

mc_slice control_arn(control_call *call, const char *kind, mc_slice name)
{
  mc_slice region = region_of(call), account = account_of(call);
  return mc_slice_str(mc_arena_printf(call->arena, "arn:aws:iotfleetwise:%.*s:%.*s:%s/%.*s", MC_FMT(region), MC_FMT(account), kind, MC_FMT(name)));
}

/* arn:<partition>:iotfleetwise:<region>:<account>:<kind>/<name> */
mc_err control_arn_name(control_call *call, const char *field, mc_slice arn, const char *kind, mc_slice *name, mc_why *why)
{
  mc_slice part_of[6], rest = arn;
  size_t n = 0;
  for (; n < 5; n++) {
    size_t end = mc_slice_find(rest, ':', 0);
    if (end == rest.len)
      break;
    part_of[n] = mc_slice_sub(rest, 0, end);
    rest = mc_slice_sub(rest, end + 1, rest.len);
  }
  size_t slash = mc_slice_find(rest, '/', 0);
  if (n == 5 && mc_slice_eq_str(part_of[0], "arn") && mc_slice_eq_str(part_of[2], "iotfleetwise") && mc_slice_eq_str(mc_slice_sub(rest, 0, slash), kind) &&
      slash + 1 < rest.len) {
    *name = mc_slice_sub(rest, slash + 1, rest.len - slash - 1);
    unsay(call);
    return MC_OK;
  }
  return control_invalid(call, field, why, "expected arn:aws:iotfleetwise:<region>:<account>:%s/<name>, found \"%.*s\"", kind, MC_FMT(mc_slice_sub(arn, 0, 120)));
}

/* ---- pages ---- */

mc_err control_page_of(control_call *call, control_page *out, mc_why *why)
{
  mc_slice token = control_text(call->in, "nextToken");
  uint64_t most = call->c->limit[LIMIT_PAGE];
  int64_t asked = control_int(call->in, "maxResults", 100);
  *out = (control_page){.limit = (uint64_t)asked < most ? (size_t)asked : (size_t)most};
  if (!token.len)
    return MC_OK;
  mc_buf name = {0};
  mc_err err = mc_base64url_decode(token, &name);
  if (!err && mc_slice_is_utf8(mc_buf_slice(&name)) && !memchr(name.data, 0, name.len))
    err = mc_arena_copy(call->arena, mc_buf_slice(&name), &out->after);
  else if (!err)
    err = MC_ERR_MALFORMED;
  mc_buf_free(&name);
  return err == MC_ERR_MALFORMED ? control_invalid(call, "nextToken", why, "is not one that an answer carried") : err;
}

void control_page_next(control_call *call, mc_slice last)
{
  mc_buf token = {0};
  if (mc_base64url_append(&token, last) == MC_OK)
    mc_json_text_field(call->out, "nextToken", mc_buf_slice(&token));
  mc_buf_free(&token);
}

void control_time(mc_json *out, const char *key, int64_t us)
{
  if (us)
    mc_json_double_field(out, key, (double)us / 1e6);
}

/* ---- does it exist ---- */

static const struct {
  const char *kind, *operation, *member;
} getter[] = {
    {"signal-catalog", "GetSignalCatalog", "name"},       {"model-manifest", "GetModelManifest", "name"}, {"decoder-manifest", "GetDecoderManifest", "name"},
    {"vehicle", "GetVehicle", "vehicleName"},             {"fleet", "GetFleet", "fleetId"},               {"campaign", "GetCampaign", "name"},
    {"state-template", "GetStateTemplate", "identifier"},
};

/* Asks the kind's own Get operation; its answer is appended. */
static mc_err ask(control_call *call, const char *kind, mc_slice name, mc_buf *answer, mc_why *why)
{
  const control_operation *o = NULL;
  const char *member = NULL;
  for (size_t i = 0; i < sizeof getter / sizeof getter[0]; i++)
    if (strcmp(getter[i].kind, kind) == 0) {
      o = operation_of(mc_slice_str(getter[i].operation));
      member = getter[i].member;
    }
  json_t *in = o ? json_pack("{s:s%}", member, (const char *)name.data, name.len) : NULL;
  mc_buf faults = {0};
  mc_err err = MC_ERR_NOT_FOUND;
  if (in && shape_check(shape_of_input(mc_slice_str(o->info.operation)), in, call->c->limit, &faults, NULL) == MC_OK) {
    mc_json j = mc_json_to(answer);
    control_call inner = *call;
    inner.in = in;
    inner.out = &j;
    mc_json_object(&j);
    err = o->run(&inner, why);
    mc_json_object_end(&j);
  }
  json_decref(in);
  mc_buf_free(&faults);
  if (!err)
    unsay(call);
  return err == MC_ERR_NOT_FOUND ? control_not_found(call, kind, name, why) : err;
}

mc_err control_exists(control_call *call, const char *kind, mc_slice name, mc_why *why)
{
  mc_buf answer = {0};
  mc_err err = ask(call, kind, name, &answer, why);
  mc_buf_free(&answer);
  return err;
}

mc_err control_name_of(control_call *call, const char *kind, mc_slice identifier, mc_slice *name, mc_why *why)
{
  mc_buf answer = {0};
  mc_err err = ask(call, kind, identifier, &answer, why);
  json_t *o = err ? NULL : json_loadb((const char *)answer.data, answer.len, 0, NULL);
  if (!err)
    err = mc_arena_copy(call->arena, control_text(o, "name"), name);
  json_decref(o);
  mc_buf_free(&answer);
  return err;
}

/* ---- the call ---- */

static mc_err parse(control_call *call, mc_slice input, mc_why *why)
{
  json_error_t bad;
  if (!input.len)
    input = MC_LIT("{}");
  call->in = json_loadb((const char *)input.data, input.len, JSON_REJECT_DUPLICATES, &bad);
  if (json_is_object(call->in))
    return MC_OK;
  if (call->in)
    mc_err_set(why, MC_ERR_INVALID, "the input is no JSON object");
  else
    mc_err_set(why, MC_ERR_INVALID, "the input is no JSON: line %d, column %d: %s", bad.line, bad.column, bad.text);
  return invalid_fields(call, "cannotParse", (mc_slice){0});
}

static mc_err run(control_call *call, const control_operation *o, mc_buf *answer, mc_why *why)
{
  MC_TRY(parse(call, call->request->input, why));
  const shape *input = shape_of_input(call->request->operation);
  mc_buf faults = {0};
  mc_err err = input ? shape_check(input, call->in, call->c->limit, &faults, why) : MC_OK;
  if (err == MC_ERR_INVALID)
    invalid_fields(call, "fieldValidationFailed", mc_buf_slice(&faults));
  mc_buf_free(&faults);
  if (err)
    return err;
  mc_json out = mc_json_to(answer);
  call->out = &out;
  mc_json_object(&out);
  MC_TRY(o->run(call, why));
  mc_json_object_end(&out);
  return mc_json_end(&out);
}

/* What no handler named is our own failure: its text is for the log. */
static mc_err internal(control_call *call, mc_err err, mc_why *why)
{
  mc_log(MC_LOG_ERROR, "campaign", "an operation failed", MC_KS("operation", call->request->operation), MC_KU("tenant", call->tenant),
         MC_KZ("error", mc_err_text(err)), MC_KZ("text", why && why->err ? why->text : ""));
  mc_buf object = {0};
  if (err == MC_ERR_FULL || err == MC_ERR_AGAIN || err == MC_ERR_TIMEOUT)
    mc_buf_append_str(&object, "{\"retryAfterSeconds\":5}");
  say(call, MC_CONTROL_INTERNAL, &object);
  mc_buf_free(&object);
  return mc_err_set(why, err, err == MC_ERR_FULL ? "the disk is full; nothing was changed" : "the operation failed inside (%s); the server's log says more", mc_err_text(err));
}

static void log_fault(const control_call *call, const mc_why *why)
{
  char group[513];
  if (control_logs_errors(call->c, call->tenant, group))
    mc_log(MC_LOG_WARN, "campaign", "an operation was refused", MC_KZ("log_group", group), MC_KS("operation", call->request->operation),
           MC_KU("tenant", call->tenant), MC_KS("actor", call->request->actor), MC_KZ("text", why->text));
}

mc_err mc_control_call(mc_campaigns *c, const mc_control_request *request, mc_buf *answer, mc_control_error *error, mc_why *why)
{
  mc_arena arena = MC_ARENA(0);
  mc_why own = {0};
  why = why ? why : &own;
  *why = (mc_why){0};
  *error = (mc_control_error){0};
  control_call call = {.c = c, .request = request, .tenant = request->tenant, .arena = &arena, .error = error};
  const control_operation *o = operation_of(request->operation);
  size_t before = answer->len;
  mc_err err;
  if (o)
    err = run(&call, o, answer, why);
  else {
    invalid_fields(&call, "unknownOperation", (mc_slice){0});
    err = mc_err_set(why, MC_ERR_UNSUPPORTED, "there is no operation \"%.*s\"", MC_FMT(mc_slice_sub(request->operation, 0, 100)));
  }
  if (err) {
    answer->len = before;
    if (error->fault == MC_CONTROL_OK)
      internal(&call, err, why);
    else
      log_fault(&call, why);
  } else
    mc_control_error_free(error); /* a handler may have asked whether something exists */
  if (!err)
    *error = (mc_control_error){0};
  json_decref(call.in);
  mc_buf_free(&call.bad_signals);
  mc_buf_free(&call.bad_interfaces);
  mc_buf_free(&call.bad_nodes);
  mc_arena_free(&arena);
  return err;
}
