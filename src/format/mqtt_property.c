/* The property table of MQTT 5.0, 2.2.2.2, and the one reader and writer that follow it. */
#include <stddef.h>

#include "format/mqtt_wire.h"

typedef enum value_kind { ABSENT, BYTE, TWO, FOUR, VARINT, TEXT, BINARY, PAIR } value_kind;
/* Rules on the value, told apart by the reason code that breaking them gets. */
typedef enum value_rule { ANY, ZERO_OR_ONE, NOT_ZERO, ALIAS, SUB_ID, TOPIC } value_rule;

typedef struct property {
  uint8_t kind, rule;
  uint16_t offset; /* in mc_mqtt_props */
  uint32_t present;
  uint32_t places;
} property;

#define IN(type) (1u << MC_MQTT_##type)
#define ACKS (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP) | IN(SUBACK) | IN(UNSUBACK))
#define MESSAGE (IN(PUBLISH) | MC_MQTT_IN_WILL)
#define AT(field) offsetof(mc_mqtt_props, field)

static const property properties[] = {
    [0x01] = {BYTE, ZERO_OR_ONE, AT(payload_format), MC_MQTT_P_PAYLOAD_FORMAT, MESSAGE},
    [0x02] = {FOUR, ANY, AT(expiry_s), MC_MQTT_P_EXPIRY, MESSAGE},
    [0x03] = {TEXT, ANY, AT(content_type), MC_MQTT_P_CONTENT_TYPE, MESSAGE},
    [0x08] = {TEXT, TOPIC, AT(response_topic), MC_MQTT_P_RESPONSE_TOPIC, MESSAGE},
    [0x09] = {BINARY, ANY, AT(correlation), MC_MQTT_P_CORRELATION, MESSAGE},
    [0x0B] = {VARINT, SUB_ID, AT(sub_id), MC_MQTT_P_SUB_ID, IN(PUBLISH) | IN(SUBSCRIBE)},
    [0x11] = {FOUR, ANY, AT(session_expiry_s), MC_MQTT_P_SESSION_EXPIRY, IN(CONNECT) | IN(CONNACK) | IN(DISCONNECT)},
    [0x12] = {TEXT, ANY, AT(assigned_id), MC_MQTT_P_ASSIGNED_ID, IN(CONNACK)},
    [0x13] = {TWO, ANY, AT(server_keep_alive), MC_MQTT_P_SERVER_KEEP_ALIVE, IN(CONNACK)},
    [0x15] = {TEXT, ANY, AT(auth_method), MC_MQTT_P_AUTH_METHOD, IN(CONNECT) | IN(CONNACK) | IN(AUTH)},
    [0x16] = {BINARY, ANY, AT(auth_data), MC_MQTT_P_AUTH_DATA, IN(CONNECT) | IN(CONNACK) | IN(AUTH)},
    [0x17] = {BYTE, ZERO_OR_ONE, AT(request_problem), MC_MQTT_P_REQUEST_PROBLEM, IN(CONNECT)},
    [0x18] = {FOUR, ANY, AT(will_delay_s), MC_MQTT_P_WILL_DELAY, MC_MQTT_IN_WILL},
    [0x19] = {BYTE, ZERO_OR_ONE, AT(request_response), MC_MQTT_P_REQUEST_RESPONSE, IN(CONNECT)},
    [0x1A] = {TEXT, ANY, AT(response_info), MC_MQTT_P_RESPONSE_INFO, IN(CONNACK)},
    [0x1C] = {TEXT, ANY, AT(server_reference), MC_MQTT_P_SERVER_REFERENCE, IN(CONNACK) | IN(DISCONNECT)},
    [0x1F] = {TEXT, ANY, AT(reason), MC_MQTT_P_REASON, IN(CONNACK) | ACKS | IN(DISCONNECT) | IN(AUTH)},
    [0x21] = {TWO, NOT_ZERO, AT(receive_max), MC_MQTT_P_RECEIVE_MAX, IN(CONNECT) | IN(CONNACK)},
    [0x22] = {TWO, ANY, AT(alias_max), MC_MQTT_P_ALIAS_MAX, IN(CONNECT) | IN(CONNACK)},
    [0x23] = {TWO, ALIAS, AT(alias), MC_MQTT_P_ALIAS, IN(PUBLISH)},
    [0x24] = {BYTE, ZERO_OR_ONE, AT(max_qos), MC_MQTT_P_MAX_QOS, IN(CONNACK)},
    [0x25] = {BYTE, ZERO_OR_ONE, AT(retain_available), MC_MQTT_P_RETAIN_AVAILABLE, IN(CONNACK)},
    [0x26] = {PAIR, ANY, 0, MC_MQTT_P_USER,
              IN(CONNECT) | IN(CONNACK) | MESSAGE | ACKS | IN(SUBSCRIBE) | IN(UNSUBSCRIBE) | IN(DISCONNECT) | IN(AUTH)},
    [0x27] = {FOUR, NOT_ZERO, AT(max_packet), MC_MQTT_P_MAX_PACKET, IN(CONNECT) | IN(CONNACK)},
    [0x28] = {BYTE, ZERO_OR_ONE, AT(wildcard_available), MC_MQTT_P_WILDCARD_AVAILABLE, IN(CONNACK)},
    [0x29] = {BYTE, ZERO_OR_ONE, AT(sub_id_available), MC_MQTT_P_SUB_ID_AVAILABLE, IN(CONNACK)},
    [0x2A] = {BYTE, ZERO_OR_ONE, AT(shared_available), MC_MQTT_P_SHARED_AVAILABLE, IN(CONNACK)},
};
enum { PROPERTY_COUNT = sizeof properties / sizeof properties[0] };

static const property *property_of(uint32_t id)
{
  return id < PROPERTY_COUNT && properties[id].kind != ABSENT ? &properties[id] : NULL;
}

static bool take_string(mc_slice in, size_t *at, mc_slice *out)
{
  if (in.len - *at < 2)
    return false;
  size_t len = mc_load_be16(in.data + *at);
  if (in.len - *at - 2 < len)
    return false;
  *out = mc_slice_of(in.data + *at + 2, len);
  *at += 2 + len;
  return true;
}

/* Value of one property behind its identifier; false when it is cut or malformed. *at moves only on success. */
static bool take_value(mc_slice raw, size_t *at, const property *p, mc_mqtt_property *out)
{
  size_t i = *at;
  const uint8_t *data = raw.data + i;
  size_t left = raw.len - i;
  bool minimal = true;
  switch ((value_kind)p->kind) {
  case BYTE:
    if (left < 1)
      return false;
    out->number = data[0];
    i += 1;
    break;
  case TWO:
    if (left < 2)
      return false;
    out->number = mc_load_be16(data);
    i += 2;
    break;
  case FOUR:
    if (left < 4)
      return false;
    out->number = mc_load_be32(data);
    i += 4;
    break;
  case VARINT: {
    int used = mc_mqtt_read_varint(data, left, &out->number, &minimal);
    if (used <= 0 || !minimal)
      return false;
    i += (size_t)used;
    break;
  }
  case TEXT:
    if (!take_string(raw, &i, &out->text) || !mc_mqtt_text_valid(out->text))
      return false;
    break;
  case BINARY:
    if (!take_string(raw, &i, &out->text))
      return false;
    break;
  case PAIR:
    if (!take_string(raw, &i, &out->name) || !take_string(raw, &i, &out->text) || !mc_mqtt_text_valid(out->name) ||
        !mc_mqtt_text_valid(out->text))
      return false;
    break;
  case ABSENT:
    return false;
  }
  *at = i;
  return true;
}

bool mc_mqtt_property_next(mc_slice raw, size_t *at, mc_mqtt_property *out)
{
  if (*at >= raw.len)
    return false;
  const property *p = property_of(raw.data[*at]); /* every known identifier is one byte */
  if (!p)
    return false;
  *out = (mc_mqtt_property){.id = raw.data[*at]};
  size_t i = *at + 1;
  if (!take_value(raw, &i, p, out))
    return false;
  *at = i;
  return true;
}

/* Reason code of a value that its section forbids, or 0. */
static uint8_t value_fault(const property *p, const mc_mqtt_property *v)
{
  switch ((value_rule)p->rule) {
  case ANY:
    return 0;
  case ZERO_OR_ONE:
    return v->number > 1 ? MC_MQTT_PROTOCOL_ERROR : 0;
  case NOT_ZERO:
    return v->number == 0 ? MC_MQTT_PROTOCOL_ERROR : 0;
  case ALIAS: /* 3.3.2.3.4 */
    return v->number == 0 ? MC_MQTT_BAD_ALIAS : 0;
  case SUB_ID: /* README, "Reason codes": 0x81 where 3.8.2.1.2 says 0x82 */
    return v->number == 0 ? MC_MQTT_MALFORMED : 0;
  case TOPIC: /* 3.3.2.3.5 */
    return mc_mqtt_topic_valid(v->text) ? 0 : MC_MQTT_PROTOCOL_ERROR;
  }
  return 0;
}

static bool may_repeat(uint8_t id, uint32_t place)
{
  return id == 0x26 || (id == 0x0B && place == IN(PUBLISH));
}

/* 2.2.2.2 calls a property in the wrong packet malformed; the deployed servers answer 0x82, except on
 * SUBSCRIBE and UNSUBSCRIBE. We answer as they do: README, "Reason codes". */
static uint8_t misplaced_reason(uint32_t place)
{
  return place & (IN(SUBSCRIBE) | IN(UNSUBSCRIBE)) ? MC_MQTT_MALFORMED : MC_MQTT_PROTOCOL_ERROR;
}

static void store(mc_mqtt_props *out, const property *p, const mc_mqtt_property *v)
{
  uint8_t *field = (uint8_t *)out + p->offset;
  uint8_t byte = (uint8_t)v->number;
  uint16_t two = (uint16_t)v->number;
  switch ((value_kind)p->kind) {
  case BYTE:
    memcpy(field, &byte, sizeof byte);
    break;
  case TWO:
    memcpy(field, &two, sizeof two);
    break;
  case FOUR:
  case VARINT:
    memcpy(field, &v->number, sizeof v->number);
    break;
  case TEXT:
  case BINARY:
    memcpy(field, &v->text, sizeof v->text);
    break;
  case PAIR:
  case ABSENT:
    break;
  }
}

typedef struct fault {
  uint8_t reason;
  size_t at;
  const char *rule;
} fault;

static void note(fault *f, uint8_t reason, size_t at, const char *rule)
{
  if (!f->reason)
    *f = (fault){reason, at, rule};
}

/* Broken bytes are refused at once; a broken rule waits for the end, since bytes after it may be broken too. */
static mc_err read_list(mc_mqtt_reader *r, uint32_t place, mc_mqtt_props *out)
{
  fault first = {0};
  size_t start = r->at;
  size_t at = 0;
  while (at < out->raw.len) {
    r->at = start + at;
    uint8_t id = out->raw.data[at]; /* identifiers are varints, but all that exist take one byte */
    const property *p = property_of(id);
    if (!p)
      return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "unknown property identifier (2.2.2.2)");
    mc_mqtt_property v = {.id = id};
    size_t next = at + 1;
    if (!take_value(out->raw, &next, p, &v))
      return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "property value is cut off or malformed (1.5, 2.2.2.2)");
    if (!(p->places & place))
      note(&first, misplaced_reason(place), r->at, "property is not allowed in this packet (2.2.2.2)");
    if ((out->present & p->present) && !may_repeat(id, place))
      note(&first, MC_MQTT_PROTOCOL_ERROR, r->at, "property is given more than once");
    uint8_t bad = value_fault(p, &v);
    if (bad)
      note(&first, bad, r->at, "property has a value that its section forbids");
    if (!(out->present & p->present))
      store(out, p, &v);
    out->present |= p->present;
    at = next;
  }
  r->at = start + at;
  if (!first.reason)
    return MC_OK;
  r->at = first.at;
  return mc_mqtt_refuse(r, first.reason, first.rule);
}

mc_err mc_mqtt_read_props(mc_mqtt_reader *r, uint32_t place, mc_mqtt_props *out)
{
  uint32_t len;
  bool minimal;
  int used = mc_mqtt_read_varint(r->data + r->at, mc_mqtt_left(r), &len, &minimal);
  if (used <= 0 || !minimal)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "property length is cut off or not a minimal integer (2.2.2.1)");
  if (len > mc_mqtt_left(r) - (size_t)used)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "property length passes the end of the packet (2.2.2.1)");
  r->at += (size_t)used;
  out->raw = mc_slice_of(r->data + r->at, len);
  return len == 0 ? MC_OK : read_list(r, place, out);
}

mc_err mc_mqtt_put_number(mc_buf *props, uint8_t id, uint32_t value)
{
  const property *p = property_of(id);
  if (!p || p->kind > VARINT)
    return MC_ERR_INVALID;
  mc_mqtt_property v = {.id = id, .number = value};
  uint32_t max = p->kind == BYTE ? UINT8_MAX : p->kind == TWO ? UINT16_MAX : p->kind == FOUR ? UINT32_MAX : MC_MQTT_VARINT_MAX;
  if (value > max || value_fault(p, &v))
    return MC_ERR_INVALID;
  MC_TRY(mc_buf_reserve(props, 5));
  uint8_t *at = props->data + props->len;
  *at++ = id;
  switch ((value_kind)p->kind) {
  case BYTE:
    *at++ = (uint8_t)value;
    break;
  case TWO:
    mc_store_be16(at, (uint16_t)value);
    at += 2;
    break;
  case FOUR:
    mc_store_be32(at, value);
    at += 4;
    break;
  default:
    at = mc_mqtt_store_varint(at, value);
  }
  props->len = (size_t)(at - props->data);
  return MC_OK;
}

static void append_string(mc_buf *out, mc_slice s)
{
  mc_store_be16(out->data + out->len, (uint16_t)s.len);
  if (s.len)
    memcpy(out->data + out->len + 2, s.data, s.len);
  out->len += 2 + s.len;
}

mc_err mc_mqtt_put_text(mc_buf *props, uint8_t id, mc_slice value)
{
  const property *p = property_of(id);
  if (!p || (p->kind != TEXT && p->kind != BINARY))
    return MC_ERR_INVALID;
  if (value.len > UINT16_MAX)
    return MC_ERR_TOO_LARGE;
  mc_mqtt_property v = {.id = id, .text = value};
  if ((p->kind == TEXT && !mc_mqtt_text_valid(value)) || value_fault(p, &v))
    return MC_ERR_INVALID;
  MC_TRY(mc_buf_reserve(props, 3 + value.len));
  props->data[props->len++] = id;
  append_string(props, value);
  return MC_OK;
}

mc_err mc_mqtt_put_user(mc_buf *props, mc_slice name, mc_slice value)
{
  if (name.len > UINT16_MAX || value.len > UINT16_MAX)
    return MC_ERR_TOO_LARGE;
  if (!mc_mqtt_text_valid(name) || !mc_mqtt_text_valid(value))
    return MC_ERR_INVALID;
  MC_TRY(mc_buf_reserve(props, 5 + name.len + value.len));
  props->data[props->len++] = 0x26;
  append_string(props, name);
  append_string(props, value);
  return MC_OK;
}
