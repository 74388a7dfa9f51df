/* One decoder between its document and the wire (contract fleetwise 5.2 and 9.4). */
#include <stdlib.h>

#include "campaign/decoder.h"

const char *const decoder_type[DECODER_KINDS] = {"CAN_SIGNAL", "OBD_SIGNAL", "MESSAGE_SIGNAL", "CUSTOM_DECODING_SIGNAL"};
const char *const decoder_member[DECODER_KINDS] = {"canSignal", "obdSignal", "messageSignal", "customDecodingSignal"};
const char *const interface_type[DECODER_KINDS] = {"CAN_INTERFACE", "OBD_INTERFACE", "VEHICLE_MIDDLEWARE", "CUSTOM_DECODING_INTERFACE"};
const char *const interface_member[DECODER_KINDS] = {"canInterface", "obdInterface", "vehicleMiddleware", "customDecodingInterface"};

static decoder_kind kind_in(const char *const table[DECODER_KINDS], mc_slice type)
{
  for (int i = 0; i < DECODER_KINDS; i++)
    if (mc_slice_eq_str(type, table[i]))
      return (decoder_kind)i;
  return DECODER_NONE;
}

decoder_kind decoder_kind_of(mc_slice type) { return kind_in(decoder_type, type); }
decoder_kind interface_kind_of(mc_slice type) { return kind_in(interface_type, type); }

void decoder_wire_free(decoder_wire *w)
{
  mc_vec_free(&w->can);
  mc_vec_free(&w->obd);
  mc_vec_free(&w->type);
  mc_vec_free(&w->complex);
  mc_vec_free(&w->custom);
}

mc_fw_manifest decoder_wire_view(const decoder_wire *w)
{
  return (mc_fw_manifest){.can = w->can.at,
                          .can_count = (uint32_t)w->can.len,
                          .obd = w->obd.at,
                          .obd_count = (uint32_t)w->obd.len,
                          .complex_type = w->type.at,
                          .complex_type_count = (uint32_t)w->type.len,
                          .complex = w->complex.at,
                          .complex_count = (uint32_t)w->complex.len,
                          .custom = w->custom.at,
                          .custom_count = (uint32_t)w->custom.len};
}

static bool is_true(const json_t *o, const char *key) { return json_is_true(json_object_get(o, key)); }
static uint32_t u32(const json_t *o, const char *key) { return (uint32_t)control_int(o, key, 0); }
static uint32_t value_type(const json_t *o) { return mc_slice_eq_str(control_text(o, "signalValueType"), "FLOATING_POINT"); }

/* ---- CAN ---- */

static mc_err read_multiplex(const json_t *list, mc_arena *arena, mc_fw_can_signal *out)
{
  size_t n = json_array_size(list);
  mc_fw_mux *mux = mc_arena_array(arena, n, sizeof *mux);
  if (!mux)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < n; i++) {
    const json_t *from = json_array_get(list, i), *ranges = json_object_get(from, "ranges");
    size_t count = json_array_size(ranges);
    uint32_t *range = mc_arena_array(arena, count, 2 * sizeof *range);
    if (!range)
      return MC_ERR_MEMORY;
    for (size_t k = 0; k < count; k++) {
      range[2 * k] = (uint32_t)json_integer_value(json_array_get(json_array_get(ranges, k), 0));
      range[2 * k + 1] = (uint32_t)json_integer_value(json_array_get(json_array_get(ranges, k), 1));
    }
    mux[i] = (mc_fw_mux){u32(from, "startBit"), u32(from, "length"), is_true(from, "isBigEndian"), range, (uint32_t)count};
  }
  out->mux = mux;
  out->mux_count = (uint32_t)n;
  return MC_OK;
}

static mc_err can_to_wire(const json_t *can, mc_fw_can_signal s, mc_type type, decoder_wire *out, mc_arena *arena)
{
  const data_type *own = data_type_find(control_text(can, "primitiveType"));
  uint32_t id = u32(can, "messageId");
  bool extended = is_true(can, "isExtended") || id > 0x7FF;
  s.message_id = id | (extended ? 1u << 31 : 0);
  s.big_endian = is_true(can, "isBigEndian");
  s.is_signed = is_true(can, "isSigned");
  s.start_bit = u32(can, "startBit");
  s.length = u32(can, "length");
  s.offset = control_number(can, "offset", 0);
  s.factor = control_number(can, "factor", 1);
  s.value_type = value_type(can);
  s.id_mask = u32(can, "idMask");
  s.type = own ? own->type : type;
  MC_TRY(read_multiplex(json_object_get(can, "multiplex"), arena, &s));
  return mc_vec_push(&out->can, s);
}

mc_err decoder_can_document(mc_slice fqn, const mc_fw_can_signal *s, mc_slice name, const char *primitive, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_text_field(&j, "fullyQualifiedName", fqn);
  mc_json_str_field(&j, "type", "CAN_SIGNAL");
  mc_json_text_field(&j, "interfaceId", s->interface_id);
  mc_json_key(&j, "canSignal");
  mc_json_object(&j);
  mc_json_uint_field(&j, "messageId", s->message_id & 0x1FFFFFFF);
  mc_json_bool_field(&j, "isBigEndian", s->big_endian);
  mc_json_bool_field(&j, "isSigned", s->is_signed);
  mc_json_uint_field(&j, "startBit", s->start_bit);
  mc_json_double_field(&j, "offset", s->offset);
  mc_json_double_field(&j, "factor", s->factor);
  mc_json_uint_field(&j, "length", s->length);
  if (name.len)
    mc_json_text_field(&j, "name", name);
  mc_json_str_field(&j, "signalValueType", s->value_type ? "FLOATING_POINT" : "INTEGER");
  if (s->message_id >> 31 && (s->message_id & 0x1FFFFFFF) <= 0x7FF)
    mc_json_bool_field(&j, "isExtended", true);
  if (primitive)
    mc_json_str_field(&j, "primitiveType", primitive);
  if (s->id_mask)
    mc_json_uint_field(&j, "idMask", s->id_mask);
  if (s->mux_count) {
    mc_json_key(&j, "multiplex");
    mc_json_array(&j);
    for (uint32_t i = 0; i < s->mux_count; i++) {
      mc_json_object(&j);
      mc_json_uint_field(&j, "startBit", s->mux[i].start_bit);
      mc_json_uint_field(&j, "length", s->mux[i].length);
      mc_json_bool_field(&j, "isBigEndian", s->mux[i].big_endian);
      mc_json_key(&j, "ranges");
      mc_json_array(&j);
      for (uint32_t k = 0; k < s->mux[i].range_count; k++) {
        mc_json_array(&j);
        mc_json_uint(&j, s->mux[i].range[2 * k]);
        mc_json_uint(&j, s->mux[i].range[2 * k + 1]);
        mc_json_array_end(&j);
      }
      mc_json_array_end(&j);
      mc_json_object_end(&j);
    }
    mc_json_array_end(&j);
  }
  mc_json_object_end(&j);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

/* ---- OBD ---- */

static mc_err obd_to_wire(const json_t *o, uint32_t id, mc_slice interface, mc_type type, decoder_wire *out)
{
  mc_fw_obd_signal s = {.signal_id = id,
                        .interface_id = interface,
                        .response_length = u32(o, "pidResponseLength"),
                        .service_mode = u32(o, "serviceMode"),
                        .pid = u32(o, "pid"),
                        .scaling = control_number(o, "scaling", 1),
                        .offset = control_number(o, "offset", 0),
                        .start_byte = u32(o, "startByte"),
                        .byte_length = u32(o, "byteLength"),
                        .bit_right_shift = u32(o, "bitRightShift"),
                        .bit_mask_length = (uint32_t)control_int(o, "bitMaskLength", 8),
                        .type = type,
                        .value_type = value_type(o),
                        .is_signed = is_true(o, "isSigned")};
  return mc_vec_push(&out->obd, s);
}

/* ---- structured messages ---- */

static const struct {
  const char *name;
  mc_type type;
} ros2_types[] = {{"BOOL", MC_TYPE_BOOL},     {"BYTE", MC_TYPE_UINT8},      {"CHAR", MC_TYPE_UINT8},   {"FLOAT32", MC_TYPE_FLOAT32}, {"FLOAT64", MC_TYPE_FLOAT64},
                  {"INT8", MC_TYPE_INT8},     {"UINT8", MC_TYPE_UINT8},     {"INT16", MC_TYPE_INT16},  {"UINT16", MC_TYPE_UINT16},   {"INT32", MC_TYPE_INT32},
                  {"UINT32", MC_TYPE_UINT32}, {"INT64", MC_TYPE_INT64},     {"UINT64", MC_TYPE_UINT64}};

static mc_err add_type(decoder_wire *out, mc_fw_complex_type t, uint32_t *id)
{
  *id = t.type_id = (uint32_t)out->type.len + 1; /* 0 is no type */
  return mc_vec_push(&out->type, t);
}

static mc_err primitive_type(const json_t *ros2, decoder_wire *out, uint32_t *id)
{
  mc_slice name = control_text(ros2, "primitiveType");
  if (mc_slice_eq_str(name, "STRING") || mc_slice_eq_str(name, "WSTRING"))
    return add_type(out, (mc_fw_complex_type){.kind = MC_FW_COMPLEX_STRING, .encoding = name.data[0] == 'W', .size = control_int(ros2, "upperBound", 0)}, id);
  mc_type type = MC_TYPE_FLOAT64;
  for (size_t i = 0; i < sizeof ros2_types / sizeof ros2_types[0]; i++)
    if (mc_slice_eq_str(name, ros2_types[i].name))
      type = ros2_types[i].type;
  return add_type(
      out, (mc_fw_complex_type){.kind = MC_FW_COMPLEX_PRIMITIVE, .type = type, .scaling = control_number(ros2, "scaling", 1), .offset = control_number(ros2, "offset", 0)}, id);
}

/* Depth is that of the document, which the reader of JSON limits. */
static mc_err message_type(const json_t *message, mc_arena *arena, decoder_wire *out, uint32_t *id) // NOLINT(misc-no-recursion)
{
  const json_t *primitive = json_object_get(message, "primitiveMessageDefinition"), *list = json_object_get(message, "structuredMessageListDefinition"),
               *fields = json_object_get(message, "structuredMessageDefinition");
  if (primitive)
    return primitive_type(json_object_get(primitive, "ros2PrimitiveMessageDefinition"), out, id);
  if (list) {
    mc_fw_complex_type t = {.kind = MC_FW_COMPLEX_ARRAY};
    mc_slice kind = control_text(list, "listType");
    int64_t capacity = control_int(list, "capacity", 0);
    t.size = mc_slice_eq_str(kind, "FIXED_CAPACITY") ? capacity : mc_slice_eq_str(kind, "DYNAMIC_BOUNDED_CAPACITY") ? -capacity : 0;
    MC_TRY(message_type(json_object_get(list, "memberType"), arena, out, &t.element_type));
    return add_type(out, t, id);
  }
  size_t n = json_array_size(fields);
  mc_fw_complex_member *member = mc_arena_array(arena, n, sizeof *member);
  if (!member)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < n; i++) {
    const json_t *field = json_array_get(fields, i);
    MC_TRY(message_type(json_object_get(field, "dataType"), arena, out, &member[i].type_id));
    MC_TRY(mc_arena_copy(arena, control_text(field, "fieldName"), &member[i].name));
  }
  return add_type(out, (mc_fw_complex_type){.kind = MC_FW_COMPLEX_STRUCT, .member = member, .member_count = (uint32_t)n}, id);
}

/* ---- any ---- */

mc_err decoder_to_wire(const json_t *decoder, uint32_t signal_id, const data_type *type, mc_arena *arena, decoder_wire *out)
{
  decoder_kind kind = decoder_kind_of(control_text(decoder, "type"));
  const json_t *body = kind == DECODER_NONE ? NULL : json_object_get(decoder, decoder_member[kind]);
  mc_slice interface;
  if (!body)
    return MC_ERR_MALFORMED;
  if (kind != DECODER_MESSAGE && (!type || type->array || type->is_struct))
    return MC_OK;
  MC_TRY(mc_arena_copy(arena, control_text(decoder, "interfaceId"), &interface));
  if (kind == DECODER_CAN)
    return can_to_wire(body, (mc_fw_can_signal){.signal_id = signal_id, .interface_id = interface}, type->type, out, arena);
  if (kind == DECODER_OBD)
    return obd_to_wire(body, signal_id, interface, type->type, out);
  if (kind == DECODER_CUSTOM) {
    mc_fw_custom_signal s = {.signal_id = signal_id, .interface_id = interface, .type = type->type};
    MC_TRY(mc_arena_copy(arena, control_text(body, "id"), &s.decoding_id));
    return mc_vec_push(&out->custom, s);
  }
  mc_fw_complex_signal s = {.signal_id = signal_id, .interface_id = interface};
  MC_TRY(mc_arena_copy(arena, control_text(body, "topicName"), &s.message_id));
  MC_TRY(message_type(json_object_get(body, "structuredMessage"), arena, out, &s.root_type));
  return mc_vec_push(&out->complex, s);
}
