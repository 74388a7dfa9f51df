/* What is wrong with a decoder: against its interface, its model, its catalog, and in itself. Reasons are the contract's (9.4). */
#include <math.h>
#include <stdio.h>

#include "campaign/decoder.h"

static const char *const decoder_is_null[DECODER_KINDS] = {"CAN_SIGNAL_INFO_IS_NULL", "OBD_SIGNAL_INFO_IS_NULL", "MESSAGE_SIGNAL_INFO_IS_NULL",
                                                           "CUSTOM_DECODING_SIGNAL_INFO_IS_NULL"};
static const char *const interface_is_null[DECODER_KINDS] = {"CAN_NETWORK_INTERFACE_INFO_IS_NULL", "OBD_NETWORK_INTERFACE_INFO_IS_NULL",
                                                             "VEHICLE_MIDDLEWARE_NETWORK_INTERFACE_INFO_IS_NULL", "CUSTOM_DECODING_SIGNAL_NETWORK_INTERFACE_INFO_IS_NULL"};

bool interface_check(control_call *call, const json_t *interface)
{
  decoder_kind kind = interface_kind_of(control_text(interface, "type"));
  if (kind != DECODER_NONE && json_object_get(interface, interface_member[kind]))
    return true;
  control_bad_interface(call, control_text(interface, "interfaceId"), kind == DECODER_NONE ? "CONFLICTING_NETWORK_INTERFACE" : interface_is_null[kind]);
  return false;
}

/* ---- numbers that no field can have ---- */

typedef struct field_check {
  control_call *call;
  const char *path, *member;
  const json_t *body;
  mc_why *why;
} field_check;

static mc_err wrong(const field_check *f, const char *key, const char *expected)
{
  char field[300];
  snprintf(field, sizeof field, "%s.%s.%s", f->path, f->member, key);
  return control_invalid(f->call, field, f->why, "expected %s", expected);
}

static bool in(const json_t *o, const char *key, int64_t low, int64_t high)
{
  int64_t v = control_int(o, key, low);
  return v >= low && v <= high;
}

static bool multiplex_ok(const json_t *list)
{
  json_t *item, *range;
  size_t i, k;
  if (!list)
    return true;
  if (!json_is_array(list) || json_array_size(list) > 4)
    return false;
  json_array_foreach ((json_t *)list, i, item) {
    json_t *ranges = json_object_get(item, "ranges"), *order = json_object_get(item, "isBigEndian");
    if (!json_is_integer(json_object_get(item, "startBit")) || !json_is_integer(json_object_get(item, "length")) || !in(item, "startBit", 0, 511) || !in(item, "length", 1, 32) ||
        (order && !json_is_boolean(order)) || !json_array_size(ranges) || json_array_size(ranges) > 65536)
      return false;
    json_array_foreach (ranges, k, range) {
      const json_t *low = json_array_get(range, 0), *high = json_array_get(range, 1);
      if (json_array_size(range) != 2 || !json_is_integer(low) || !json_is_integer(high) || json_integer_value(low) < 0 || json_integer_value(high) > UINT32_MAX ||
          json_integer_value(low) > json_integer_value(high))
        return false;
    }
  }
  return true;
}

static mc_err check_float(const field_check *f, int64_t bits)
{
  if (mc_slice_eq_str(control_text(f->body, "signalValueType"), "FLOATING_POINT") && bits != 32 && bits != 64)
    return wrong(f, "signalValueType", "INTEGER: a floating point value has 32 or 64 bits");
  return MC_OK;
}

/* startBit is that of the lowest bit; Motorola signals go on towards the first byte (contract 5.2). */
static bool lies_in_frame(int64_t start, int64_t length, bool big_endian) { return big_endian ? start / 8 * 8 + 8 - start % 8 >= length : start + length <= 512; }

static mc_err check_can(const field_check *f)
{
  double factor = control_number(f->body, "factor", 1);
  mc_slice own = control_text(f->body, "primitiveType");
  const data_type *t = data_type_find(own);
  if (!in(f->body, "messageId", 0, 0x1FFFFFFF))
    return wrong(f, "messageId", "0 to 536870911: a 29-bit id without flags");
  if (!in(f->body, "length", 1, 64))
    return wrong(f, "length", "1 to 64 bits");
  if (!in(f->body, "startBit", 0, 511))
    return wrong(f, "startBit", "0 to 511: a frame has at most 64 bytes");
  bool motorola = json_is_true(json_object_get(f->body, "isBigEndian"));
  if (!lies_in_frame(control_int(f->body, "startBit", 0), control_int(f->body, "length", 1), motorola))
    return wrong(f, "startBit",
                 motorola ? "the lowest bit of a signal that begins inside the frame; a DBC gives the highest bit of big-endian signals" : "a signal that ends inside the frame's 64 bytes");
  if (factor == 0 || !isfinite(factor))
    return wrong(f, "factor", "a number other than 0");
  if (!multiplex_ok(json_object_get(f->body, "multiplex")))
    return wrong(f, "multiplex", "up to 4 of {startBit, length 1 to 32, isBigEndian, ranges: [[low, high], ...]}");
  if (own.len && (!t || t->array || t->is_struct || t->type == MC_TYPE_STRING))
    return wrong(f, "primitiveType", "a data type of numbers");
  return check_float(f, control_int(f->body, "length", 0));
}

static mc_err check_obd(const field_check *f)
{
  if (!in(f->body, "pid", 0, 255))
    return wrong(f, "pid", "0 to 255");
  if (!in(f->body, "serviceMode", 0, 255))
    return wrong(f, "serviceMode", "0 to 255");
  if (control_number(f->body, "scaling", 1) == 0)
    return wrong(f, "scaling", "a number other than 0");
  if (control_int(f->body, "startByte", 0) + control_int(f->body, "byteLength", 1) > control_int(f->body, "pidResponseLength", 1))
    return wrong(f, "byteLength", "bytes that lie inside the response of pidResponseLength");
  return check_float(f, control_int(f->body, "byteLength", 0) * 8);
}

/* ---- structured messages against the catalog ---- */

typedef enum shape_of_value { VALUE_SCALAR, VALUE_LIST, VALUE_STRUCT, VALUE_NOTHING } shape_of_value;

static shape_of_value shape_of_message(const json_t *m)
{
  if (json_object_get(m, "primitiveMessageDefinition"))
    return VALUE_SCALAR;
  if (json_object_get(m, "structuredMessageListDefinition"))
    return VALUE_LIST;
  return json_array_size(json_object_get(m, "structuredMessageDefinition")) ? VALUE_STRUCT : VALUE_NOTHING;
}

/* A message of nothing anywhere in it. Depth is that of the document. */
static bool is_empty(const json_t *m) // NOLINT(misc-no-recursion)
{
  const json_t *list = json_object_get(m, "structuredMessageListDefinition");
  json_t *fields = json_object_get(m, "structuredMessageDefinition"), *field;
  size_t i;
  if (shape_of_message(m) == VALUE_NOTHING || (list && is_empty(json_object_get(list, "memberType"))))
    return true;
  json_array_foreach (fields, i, field)
    if (is_empty(json_object_get(field, "dataType")))
      return true;
  return false;
}

static mc_err count_properties(control_call *call, mc_slice catalog, mc_slice structure, size_t *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(call->c->config.db, false, why));
  mc_err err = mc_db_prepare(call->c->config.db,
                             "SELECT COUNT(*) FROM catalog_document WHERE tenant = $1 AND catalog = $2 AND kind = 5 AND fqn > $3 || '.' AND fqn < $3 || '/'",
                             &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, call->tenant);
    mc_stmt_bind_text(s, 2, catalog);
    mc_stmt_bind_text(s, 3, structure);
    err = mc_stmt_step(s, why);
    *out = err ? 0 : (size_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(call->c->config.db, true, NULL);
  return err;
}

/* NULL: it fits. A primitive type may differ from the catalog's as long as both are numbers or both are texts. */
static const char *fits(const json_t *message, const data_type *t)
{
  shape_of_value value = shape_of_message(message);
  const json_t *inner = value == VALUE_LIST ? json_object_get(json_object_get(message, "structuredMessageListDefinition"), "memberType") : message;
  shape_of_value of = value == VALUE_LIST ? shape_of_message(inner) : value;
  if ((value == VALUE_LIST) != t->array || (of == VALUE_STRUCT) != t->is_struct || of == VALUE_LIST)
    return "SIGNAL_DECODER_TYPE_INCOMPATIBLE_WITH_MESSAGE_SIGNAL_TYPE";
  if (of != VALUE_SCALAR)
    return NULL;
  const json_t *ros2 = json_object_get(json_object_get(inner, "primitiveMessageDefinition"), "ros2PrimitiveMessageDefinition");
  mc_slice type = control_text(ros2, "primitiveType");
  bool text = mc_slice_eq_str(type, "STRING") || mc_slice_eq_str(type, "WSTRING");
  return text != (t->type == MC_TYPE_STRING) ? "SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG" : NULL;
}

static mc_err check_message(control_call *call, mc_slice catalog, const catalog_node *node, const data_type *t, const json_t *body, const char **reason, mc_why *why)
{
  const json_t *message = json_object_get(body, "structuredMessage");
  *reason = is_empty(message) ? "EMPTY_MESSAGE_SIGNAL" : fits(message, t);
  if (*reason || !t->is_struct)
    return MC_OK;
  if (t->array)
    message = json_object_get(json_object_get(message, "structuredMessageListDefinition"), "memberType");
  size_t properties = 0;
  MC_TRY(count_properties(call, catalog, node->structure, &properties, why));
  if (properties != json_array_size(json_object_get(message, "structuredMessageDefinition")))
    *reason = "STRUCT_SIZE_MISMATCH";
  return MC_OK;
}

/* ---- all of it ---- */

static const char *place_wrong(const decoder_place *p, decoder_kind kind)
{
  if (!p->in_catalog)
    return "NO_SIGNAL_IN_CATALOG_FOR_DECODER_SIGNAL";
  if (!p->in_model || !node_is_signal(p->node.kind))
    return "SIGNAL_NOT_IN_MODEL";
  if (!p->interface_known)
    return "SIGNAL_NOT_ASSOCIATED_WITH_NETWORK_INTERFACE";
  return p->interface != kind ? "NETWORK_INTERFACE_TYPE_INCOMPATIBLE_WITH_SIGNAL_DECODER_TYPE" : NULL;
}

static const char *hint_of(const char *reason)
{
  static const struct {
    const char *reason, *hint;
  } hints[] = {
      {"NO_SIGNAL_IN_CATALOG_FOR_DECODER_SIGNAL", "add it to the signal catalog and to the model, or leave the decoder out"},
      {"SIGNAL_NOT_IN_MODEL", "the vehicle model does not have it as a sensor, actuator or attribute"},
      {"SIGNAL_NOT_ASSOCIATED_WITH_NETWORK_INTERFACE", "declare its interfaceId under networkInterfaces"},
      {"NETWORK_INTERFACE_TYPE_INCOMPATIBLE_WITH_SIGNAL_DECODER_TYPE", "CAN_SIGNAL goes with CAN_INTERFACE, OBD_SIGNAL with OBD_INTERFACE, MESSAGE_SIGNAL with VEHICLE_MIDDLEWARE, "
                                                                       "CUSTOM_DECODING_SIGNAL with CUSTOM_DECODING_INTERFACE"},
      {"SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG", "its data type in the catalog is not one that this decoder gives"},
      {"SIGNAL_DECODER_TYPE_INCOMPATIBLE_WITH_MESSAGE_SIGNAL_TYPE", "structs and lists come from messages whose definition has the same form"},
      {"STRUCT_SIZE_MISMATCH", "the message has another number of fields than the struct has properties"},
      {"EMPTY_MESSAGE_SIGNAL", "a message needs at least one field, in every part of it"},
  };
  for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
    if (strcmp(hints[i].reason, reason) == 0)
      return hints[i].hint;
  return NULL;
}

static mc_err reason_of(control_call *call, const char *path, const json_t *decoder, mc_slice catalog, const decoder_place *p, const char **reason, mc_why *why)
{
  decoder_kind kind = decoder_kind_of(control_text(decoder, "type"));
  *reason = kind == DECODER_NONE ? "NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL" : place_wrong(p, kind);
  if (*reason)
    return MC_OK;
  const data_type *t = data_type_find(p->node.data_type);
  field_check f = {call, path, decoder_member[kind], json_object_get(decoder, decoder_member[kind]), why};
  if (!f.body || !t) {
    *reason = decoder_is_null[kind];
    return MC_OK;
  }
  if (kind == DECODER_MESSAGE)
    return check_message(call, catalog, &p->node, t, f.body, reason, why);
  if (t->is_struct || t->array) {
    *reason = kind == DECODER_CUSTOM ? NULL : "SIGNAL_DECODER_TYPE_INCOMPATIBLE_WITH_MESSAGE_SIGNAL_TYPE";
    return MC_OK;
  }
  if (kind == DECODER_CUSTOM)
    return MC_OK;
  MC_TRY(kind == DECODER_CAN ? check_can(&f) : check_obd(&f));
  if (t->type == MC_TYPE_STRING)
    *reason = "SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG";
  return MC_OK;
}

mc_err decoder_check(control_call *call, const char *path, const json_t *decoder, mc_slice catalog, const decoder_place *place, bool *fine, mc_why *why)
{
  const char *reason;
  MC_TRY(reason_of(call, path, decoder, catalog, place, &reason, why));
  *fine = reason == NULL;
  if (reason)
    control_bad_signal(call, control_text(decoder, "fullyQualifiedName"), reason, hint_of(reason));
  return MC_OK;
}
