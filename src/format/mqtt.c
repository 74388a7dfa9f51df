/* Reading MQTT packets. A packet is judged in the order of its bytes; the clause that is broken is named. */
#include "format/mqtt_wire.h"

#define IN(type) (1u << MC_MQTT_##type)
#define ACKED (IN(PUBACK) | IN(PUBREC))
#define SUBBED (IN(SUBACK) | IN(UNSUBACK))

/* MQTT 5.0, 2.4: every reason code, and the packets that may carry it. */
static const struct {
  const char *name;
  uint32_t places;
} reasons[256] = {
    [0x00] = {"success", IN(CONNACK) | ACKED | IN(PUBREL) | IN(PUBCOMP) | SUBBED | IN(AUTH) | IN(DISCONNECT)},
    [0x01] = {"granted QoS 1", IN(SUBACK)},
    [0x02] = {"granted QoS 2", IN(SUBACK)},
    [0x04] = {"disconnect with will message", IN(DISCONNECT)},
    [0x10] = {"no matching subscribers", ACKED},
    [0x11] = {"no subscription existed", IN(UNSUBACK)},
    [0x18] = {"continue authentication", IN(AUTH)},
    [0x19] = {"re-authenticate", IN(AUTH)},
    [0x80] = {"unspecified error", IN(CONNACK) | ACKED | SUBBED | IN(DISCONNECT)},
    [0x81] = {"malformed packet", IN(CONNACK) | IN(DISCONNECT)},
    [0x82] = {"protocol error", IN(CONNACK) | IN(DISCONNECT)},
    [0x83] = {"implementation specific error", IN(CONNACK) | ACKED | SUBBED | IN(DISCONNECT)},
    [0x84] = {"unsupported protocol version", IN(CONNACK)},
    [0x85] = {"client identifier not valid", IN(CONNACK)},
    [0x86] = {"bad user name or password", IN(CONNACK)},
    [0x87] = {"not authorized", IN(CONNACK) | ACKED | SUBBED | IN(DISCONNECT)},
    [0x88] = {"server unavailable", IN(CONNACK)},
    [0x89] = {"server busy", IN(CONNACK) | IN(DISCONNECT)},
    [0x8A] = {"banned", IN(CONNACK)},
    [0x8B] = {"server shutting down", IN(DISCONNECT)},
    [0x8C] = {"bad authentication method", IN(CONNACK) | IN(DISCONNECT)},
    [0x8D] = {"keep alive timeout", IN(DISCONNECT)},
    [0x8E] = {"session taken over", IN(DISCONNECT)},
    [0x8F] = {"topic filter invalid", SUBBED | IN(DISCONNECT)},
    [0x90] = {"topic name invalid", IN(CONNACK) | ACKED | IN(DISCONNECT)},
    [0x91] = {"packet identifier in use", ACKED | SUBBED},
    [0x92] = {"packet identifier not found", IN(PUBREL) | IN(PUBCOMP)},
    [0x93] = {"receive maximum exceeded", IN(DISCONNECT)},
    [0x94] = {"topic alias invalid", IN(DISCONNECT)},
    [0x95] = {"packet too large", IN(CONNACK) | IN(DISCONNECT)},
    [0x96] = {"message rate too high", IN(DISCONNECT)},
    [0x97] = {"quota exceeded", IN(CONNACK) | ACKED | IN(SUBACK) | IN(DISCONNECT)},
    [0x98] = {"administrative action", IN(DISCONNECT)},
    [0x99] = {"payload format invalid", IN(CONNACK) | ACKED | IN(DISCONNECT)},
    [0x9A] = {"retain not supported", IN(CONNACK) | IN(DISCONNECT)},
    [0x9B] = {"QoS not supported", IN(CONNACK) | IN(DISCONNECT)},
    [0x9C] = {"use another server", IN(CONNACK) | IN(DISCONNECT)},
    [0x9D] = {"server moved", IN(CONNACK) | IN(DISCONNECT)},
    [0x9E] = {"shared subscriptions not supported", IN(SUBACK) | IN(DISCONNECT)},
    [0x9F] = {"connection rate exceeded", IN(CONNACK) | IN(DISCONNECT)},
    [0xA0] = {"maximum connect time", IN(DISCONNECT)},
    [0xA1] = {"subscription identifiers not supported", IN(SUBACK) | IN(DISCONNECT)},
    [0xA2] = {"wildcard subscriptions not supported", IN(SUBACK) | IN(DISCONNECT)},
};

const char *mc_mqtt_reason_name(uint8_t code)
{
  return reasons[code].name ? reasons[code].name : "unknown reason code";
}

const char *mc_mqtt_type_name(unsigned type)
{
  static const char *const names[16] = {"packet of reserved type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC",
                                        "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ",
                                        "PINGRESP", "DISCONNECT", "AUTH"};
  return names[type & 15];
}

bool mc_mqtt_type_from_client(mc_mqtt_type type)
{
  return !((1u << type) & (1u | IN(CONNACK) | SUBBED | IN(PINGRESP)));
}

mc_err mc_mqtt_refuse(mc_mqtt_reader *r, uint8_t reason, const char *rule)
{
  if (r->reason)
    *r->reason = reason;
  mc_err err = reason == MC_MQTT_MALFORMED ? MC_ERR_MALFORMED : reason == MC_MQTT_BAD_VERSION ? MC_ERR_UNSUPPORTED : MC_ERR_INVALID;
  return mc_err_set(r->why, err, "MQTT %s, byte %zu: %s; reason code 0x%02X, %s", mc_mqtt_type_name(r->type), r->at, rule, reason,
                    mc_mqtt_reason_name(reason));
}

mc_err mc_mqtt_read_binary(mc_mqtt_reader *r, const char *rule, mc_slice *out)
{
  size_t left = mc_mqtt_left(r);
  size_t len = left >= 2 ? mc_load_be16(r->data + r->at) : 0;
  if (left < 2 || left - 2 < len)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, rule);
  *out = mc_slice_of(r->data + r->at + 2, len);
  r->at += 2 + len;
  return MC_OK;
}

static mc_err read_u16(mc_mqtt_reader *r, const char *rule, uint16_t *out)
{
  if (mc_mqtt_left(r) < 2)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, rule);
  *out = mc_load_be16(r->data + r->at);
  r->at += 2;
  return MC_OK;
}

static mc_err read_packet_id(mc_mqtt_reader *r, uint16_t *out)
{
  MC_TRY(read_u16(r, "packet ends before the packet identifier (2.2.1)", out));
  if (*out == 0) {
    r->at -= 2;
    return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "packet identifier is 0 (2.2.1-3)");
  }
  return MC_OK;
}

static mc_err at_end(mc_mqtt_reader *r)
{
  return mc_mqtt_left(r) == 0 ? MC_OK : mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "bytes follow the end of the packet's content (2.1.4)");
}

/* Client ids and user names; wildcards are no fault there. */
static mc_err read_name(mc_mqtt_reader *r, const char *cut, mc_slice *out)
{
  size_t start = r->at;
  MC_TRY(mc_mqtt_read_binary(r, cut, out));
  mc_mqtt_name_fault fault = mc_mqtt_name_check(*out);
  if (fault == MC_MQTT_NAME_OK || fault == MC_MQTT_NAME_WILDCARD)
    return MC_OK;
  r->at = start;
  return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, fault == MC_MQTT_NAME_UTF8 ? "string is not UTF-8 (1.5.4-1)"
                                                                         : "string has a control or non-character (1.5.4)");
}

static mc_err check_topic(mc_mqtt_reader *r, size_t start, mc_slice topic)
{
  mc_mqtt_name_fault fault = mc_mqtt_name_check(topic);
  if (fault == MC_MQTT_NAME_OK)
    return MC_OK;
  r->at = start;
  return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, fault == MC_MQTT_NAME_UTF8      ? "topic name is not UTF-8 (1.5.4-1)"
                                              : fault == MC_MQTT_NAME_CONTROL ? "topic name has a control or non-character (1.5.4)"
                                                                              : "topic name has a wildcard (3.3.2-2)");
}

/* The size is hidden from the compiler, which else makes a string instruction of it that takes longer than all the rest of a PUBLISH. */
static inline void clear(void *object, size_t size)
{
  __asm__("" : "+r"(size));
  memset(object, 0, size);
}

/* ---- CONNECT ---- */
static mc_err read_protocol(mc_mqtt_reader *r, mc_mqtt_connect *out)
{
  mc_slice name = {0};
  MC_TRY(mc_mqtt_read_binary(r, "packet ends in the protocol name (3.1.2.1)", &name));
  bool old = mc_slice_eq(name, MC_LIT("MQIsdp"));
  if (!old && !mc_slice_eq(name, MC_LIT("MQTT"))) {
    r->at = 2;
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "protocol name is not MQTT (3.1.2-1)");
  }
  if (mc_mqtt_left(r) < 1)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "packet ends before the protocol version (3.1.2.2)");
  out->version = r->data[r->at];
  if (old || (out->version != MC_MQTT_311 && out->version != MC_MQTT_5))
    return mc_mqtt_refuse(r, MC_MQTT_BAD_VERSION, "protocol version is neither 4 (3.1.1) nor 5 (3.1.2-2)");
  r->at++;
  r->version = out->version;
  return MC_OK;
}

static mc_err read_connect_flags(mc_mqtt_reader *r, mc_mqtt_connect *out)
{
  if (mc_mqtt_left(r) < 1)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "packet ends before the connect flags (3.1.2.3)");
  uint8_t flags = r->data[r->at];
  out->clean = flags & 0x02;
  out->has_will = flags & 0x04;
  out->will_qos = (flags >> 3) & 3;
  out->will_retain = flags & 0x20;
  out->has_password = flags & 0x40;
  out->has_username = flags & 0x80;
  if (flags & 0x01)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "reserved connect flag is set (3.1.2-3)");
  if (!out->has_will && (out->will_qos || out->will_retain))
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "will QoS or will retain without will flag (3.1.2-11, 3.1.2-13)");
  if (out->will_qos == 3)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "will QoS is 3 (3.1.2-12)");
  if (r->version == MC_MQTT_311 && out->has_password && !out->has_username)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "password without user name (MQTT 3.1.1, 3.1.2-22)");
  r->at++;
  return MC_OK;
}

static mc_err read_will(mc_mqtt_reader *r, mc_mqtt_connect *out)
{
  if (r->version == MC_MQTT_5)
    MC_TRY(mc_mqtt_read_props(r, MC_MQTT_IN_WILL, &out->will_props));
  size_t start = r->at;
  MC_TRY(mc_mqtt_read_binary(r, "packet ends in the will topic (3.1.3.3)", &out->will_topic));
  if (out->will_topic.len == 0) {
    r->at = start;
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "will topic is empty (4.7.3-1)");
  }
  MC_TRY(check_topic(r, start, out->will_topic));
  return mc_mqtt_read_binary(r, "packet ends in the will payload (3.1.3.4)", &out->will_payload);
}

static mc_err parse_connect(mc_mqtt_reader *r, mc_mqtt_connect *out)
{
  clear(out, sizeof *out);
  MC_TRY(read_protocol(r, out));
  MC_TRY(read_connect_flags(r, out));
  MC_TRY(read_u16(r, "packet ends before the keep alive (3.1.2.10)", &out->keep_alive_s));
  if (r->version == MC_MQTT_5) {
    MC_TRY(mc_mqtt_read_props(r, IN(CONNECT), &out->props));
    if ((out->props.present & MC_MQTT_P_AUTH_DATA) && !(out->props.present & MC_MQTT_P_AUTH_METHOD))
      return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "authentication data without method (3.1.2.11.10)");
  }
  size_t start = r->at;
  MC_TRY(read_name(r, "packet ends in the client identifier (3.1.3.1)", &out->client_id));
  if (out->client_id.len == 0 && r->version == MC_MQTT_311 && !out->clean) {
    r->at = start;
    return mc_mqtt_refuse(r, MC_MQTT_BAD_CLIENT_ID, "empty client identifier without clean session (MQTT 3.1.1, 3.1.3-8)");
  }
  if (out->has_will)
    MC_TRY(read_will(r, out));
  if (out->has_username)
    MC_TRY(read_name(r, "packet ends in the user name (3.1.3.5)", &out->username));
  if (out->has_password)
    MC_TRY(mc_mqtt_read_binary(r, "packet ends in the password (3.1.3.6)", &out->password));
  return at_end(r);
}

/* ---- CONNACK ---- */
static mc_err parse_connack(mc_mqtt_reader *r, mc_mqtt_connack *out)
{
  static const uint8_t from_311[6] = {MC_MQTT_SUCCESS,     MC_MQTT_BAD_VERSION, MC_MQTT_BAD_CLIENT_ID,
                                      MC_MQTT_UNAVAILABLE, MC_MQTT_BAD_LOGIN,   MC_MQTT_NOT_AUTHORIZED};
  clear(out, sizeof *out);
  if (mc_mqtt_left(r) < 2)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "packet ends before flags and code (3.2.2)");
  uint8_t flags = r->data[r->at];
  if (flags & 0xFE)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "reserved acknowledge flag is set (3.2.2-1)");
  out->session_present = flags;
  uint8_t code = r->data[++r->at];
  bool known = r->version == MC_MQTT_5 ? reasons[code].places & IN(CONNACK) : code < sizeof from_311;
  if (!known)
    return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "code is not one of a CONNACK (3.2.2.2)");
  if (code && out->session_present)
    return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "session present on a refusal (3.2.2-6)");
  r->at++;
  out->code = r->version == MC_MQTT_5 ? code : from_311[code];
  if (r->version == MC_MQTT_5)
    MC_TRY(mc_mqtt_read_props(r, IN(CONNACK), &out->props));
  return at_end(r);
}

/* ---- PUBLISH ---- */
static mc_err parse_publish(mc_mqtt_reader *r, uint8_t flags, mc_mqtt_publish *out)
{
  clear(out, sizeof *out);
  out->dup = flags & 8;
  out->qos = (flags >> 1) & 3;
  out->retain = flags & 1;
  size_t start = r->at;
  if (out->qos == 3 || (out->dup && out->qos == 0)) {
    r->at = 0;
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, out->qos == 3 ? "QoS is 3 (3.3.1-4)" : "DUP on QoS 0 (3.3.1-2)");
  }
  MC_TRY(mc_mqtt_read_binary(r, "packet ends in the topic name (3.3.2.1)", &out->topic));
  MC_TRY(check_topic(r, start, out->topic));
  if (out->qos)
    MC_TRY(read_packet_id(r, &out->packet_id));
  if (r->version == MC_MQTT_5)
    MC_TRY(mc_mqtt_read_props(r, IN(PUBLISH), &out->props));
  if (out->topic.len == 0 && !(out->props.present & MC_MQTT_P_ALIAS)) {
    r->at = start; /* README, "Reason codes": 0x81 where 3.3.2.1 says 0x82 */
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "topic name is empty and no topic alias stands for it (3.3.2.1, 4.7.3-1)");
  }
  out->payload = mc_slice_of(r->data + r->at, mc_mqtt_left(r));
  r->at = r->end;
  return MC_OK;
}

/* ---- PUBACK, PUBREC, PUBREL, PUBCOMP ---- */
static mc_err check_code(mc_mqtt_reader *r, size_t at, uint8_t code)
{
  if (reasons[code].places & (1u << r->type))
    return MC_OK;
  r->at = at;
  return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "reason code is not one of this packet (2.4)");
}

static mc_err parse_ack(mc_mqtt_reader *r, mc_mqtt_ack *out)
{
  clear(out, sizeof *out);
  MC_TRY(read_packet_id(r, &out->packet_id));
  if (r->version != MC_MQTT_5 || mc_mqtt_left(r) == 0) /* 3.4.2.1: without code it is success */
    return at_end(r);
  size_t code_at = r->at;
  out->code = r->data[r->at++];
  if (mc_mqtt_left(r))
    MC_TRY(mc_mqtt_read_props(r, 1u << r->type, &out->props));
  MC_TRY(at_end(r));
  return check_code(r, code_at, out->code);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */
static mc_err read_options(mc_mqtt_reader *r, mc_slice filter)
{
  if (mc_mqtt_left(r) < 1)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "packet ends before the subscription options (3.8.3)");
  uint8_t options = r->data[r->at];
  uint8_t reserved = r->version == MC_MQTT_5 ? 0xC0 : 0xFC;
  if (options & reserved)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "reserved subscription option is set (3.8.3-5)");
  if ((options & 3) == 3 || (options & 0x30) == 0x30) /* README, "Reason codes": 3.8.3.1 says 0x82 */
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "QoS or retain handling is 3 (3.8.3.1)");
  if (r->version == MC_MQTT_5 && mc_slice_starts(filter, MC_LIT("$share/"))) {
    mc_slice group, rest;
    if (!mc_mqtt_shared_split(filter, &group, &rest))
      return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "shared subscription lacks its name or its filter (4.8.2-1, 4.8.2-2)");
    if (options & 4)
      return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "no local on a shared subscription (3.8.3-4)");
  }
  r->at++;
  return MC_OK;
}

static mc_err read_filter(mc_mqtt_reader *r, bool unsubscribe)
{
  mc_slice filter = {0};
  size_t start = r->at;
  MC_TRY(mc_mqtt_read_binary(r, "packet ends in a topic filter (3.8.3, 3.10.3)", &filter));
  if (!mc_mqtt_filter_valid(filter)) {
    r->at = start;
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED,
                          "topic filter is empty, not UTF-8, has a control character or a misplaced wildcard (1.5.4, 4.7)");
  }
  return unsubscribe ? MC_OK : read_options(r, filter);
}

static mc_err parse_subscribe(mc_mqtt_reader *r, mc_mqtt_subscribe *out)
{
  clear(out, sizeof *out);
  MC_TRY(read_packet_id(r, &out->packet_id));
  if (r->version == MC_MQTT_5)
    MC_TRY(mc_mqtt_read_props(r, 1u << r->type, &out->props));
  out->list = mc_slice_of(r->data + r->at, mc_mqtt_left(r));
  if (out->list.len == 0) /* README, "Reason codes": 3.8.3 says 0x82 */
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "no topic filter (3.8.3-2, 3.10.3-2)");
  while (mc_mqtt_left(r)) {
    MC_TRY(read_filter(r, r->type == MC_MQTT_UNSUBSCRIBE));
    out->count++;
  }
  return MC_OK;
}

bool mc_mqtt_filter_next(const mc_mqtt_subscribe *s, bool unsubscribe, size_t *at, mc_mqtt_filter *out)
{
  size_t left = *at < s->list.len ? s->list.len - *at : 0;
  if (left < 2)
    return false;
  const uint8_t *p = s->list.data + *at;
  size_t len = mc_load_be16(p);
  size_t need = 2 + len + (unsubscribe ? 0 : 1);
  if (left < need)
    return false;
  *out = (mc_mqtt_filter){.filter = mc_slice_of(p + 2, len)};
  if (!unsubscribe) {
    uint8_t options = p[2 + len];
    out->qos = options & 3;
    out->no_local = options & 4;
    out->retain_as_published = options & 8;
    out->retain_handling = (options >> 4) & 3;
  }
  *at += need;
  return true;
}

/* ---- SUBACK, UNSUBACK ---- */
static mc_err parse_suback(mc_mqtt_reader *r, mc_mqtt_subscribe *out)
{
  clear(out, sizeof *out);
  MC_TRY(read_packet_id(r, &out->packet_id));
  if (r->version == MC_MQTT_5)
    MC_TRY(mc_mqtt_read_props(r, 1u << r->type, &out->props));
  else if (r->type == MC_MQTT_UNSUBACK)
    return at_end(r);
  out->list = mc_slice_of(r->data + r->at, mc_mqtt_left(r));
  out->count = (uint32_t)out->list.len;
  if (out->count == 0)
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "no return code (3.9.3, 3.11.3)");
  for (size_t i = 0; i < out->count; i++) {
    uint8_t code = out->list.data[i];
    if (r->version == MC_MQTT_5)
      MC_TRY(check_code(r, r->at + i, code));
    else if (code > 2 && code != 0x80) {
      r->at += i;
      return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "return code is not 0, 1, 2 or 128 (MQTT 3.1.1, 3.9.3-2)");
    }
  }
  r->at = r->end;
  return MC_OK;
}

/* ---- DISCONNECT, AUTH ---- */
static mc_err parse_disconnect(mc_mqtt_reader *r, mc_mqtt_disconnect *out)
{
  clear(out, sizeof *out);
  if (r->version != MC_MQTT_5 || mc_mqtt_left(r) == 0) /* 3.14.2.1, 3.15.2.1 */
    return at_end(r);
  size_t code_at = r->at;
  out->code = r->data[r->at++];
  if (mc_mqtt_left(r))
    MC_TRY(mc_mqtt_read_props(r, 1u << r->type, &out->props));
  MC_TRY(at_end(r));
  MC_TRY(check_code(r, code_at, out->code));
  if (r->type == MC_MQTT_AUTH && !(out->props.present & MC_MQTT_P_AUTH_METHOD) && out->code)
    return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "no authentication method (3.15.2.2.2)");
  return MC_OK;
}

/* ---- fixed header ---- */
mc_err mc_mqtt_peek(mc_slice in, size_t max_packet, size_t *size)
{
  uint32_t len;
  bool minimal;
  int used = in.len < 2 ? 0 : mc_mqtt_read_varint(in.data + 1, in.len - 1, &len, &minimal);
  if (used == 0)
    return MC_ERR_AGAIN;
  if (used < 0)
    return MC_ERR_MALFORMED;
  size_t total = 1 + (size_t)used + len;
  if (total > max_packet)
    return MC_ERR_TOO_LARGE;
  *size = total;
  return MC_OK;
}

static mc_err read_header(mc_mqtt_reader *r)
{
  uint32_t len;
  bool minimal;
  if (r->type == 0 || (r->type == MC_MQTT_AUTH && r->version != MC_MQTT_5))
    return mc_mqtt_refuse(r, MC_MQTT_PROTOCOL_ERROR, "packet type is reserved (2.1.2)");
  int used = r->end < 2 ? 0 : mc_mqtt_read_varint(r->data + 1, r->end - 1, &len, &minimal);
  r->at = 1;
  if (used <= 0 || (!minimal && r->version == MC_MQTT_5))
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "remaining length is cut off, too long or not minimal (1.5.5, 2.1.4)");
  r->at += (size_t)used;
  if (len != mc_mqtt_left(r))
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "remaining length differs from the bytes given (2.1.4)");
  uint32_t flags = r->data[0] & 15;
  uint32_t want = (1u << r->type) & (IN(PUBREL) | IN(SUBSCRIBE) | IN(UNSUBSCRIBE)) ? 2 : 0;
  if (r->type != MC_MQTT_PUBLISH && flags != want) {
    r->at = 0;
    return mc_mqtt_refuse(r, MC_MQTT_MALFORMED, "reserved flags of the fixed header are wrong (2.1.3-1)");
  }
  return MC_OK;
}

/* ---- what nearly every packet is ----
 * A PUBLISH below 16 KiB without properties on a plain topic, and a PUBACK of four bytes. Whatever is not exactly that is read step by step,
 * which also finds the words for what is wrong. */
static bool plain_publish(mc_slice in, uint8_t version, mc_mqtt_publish *out)
{
  const uint8_t *p = in.data;
  if (in.len < 5)
    return false;
  size_t at = 2, len = p[1];
  if (len & 0x80) {
    if (p[2] == 0 || p[2] & 0x80)
      return false;
    len = (len & 0x7F) | (size_t)p[2] << 7;
    at = 3;
  }
  uint8_t qos = p[0] >> 1 & 3;
  if (len != in.len - at || qos == 3 || (p[0] & 0x0E) == 0x08)
    return false;
  mc_slice topic = mc_slice_of(p + at + 2, mc_load_be16(p + at));
  bool properties = version == MC_MQTT_5;
  size_t head = 2 + topic.len + (qos ? 2 : 0) + properties;
  if (topic.len == 0 || head > len || mc_mqtt_name_check(topic) != MC_MQTT_NAME_OK)
    return false;
  uint16_t id = qos ? mc_load_be16(topic.data + topic.len) : 1;
  if (id == 0 || (properties && p[at + head - 1] != 0))
    return false;
  clear(out, sizeof *out);
  out->dup = p[0] & 8;
  out->retain = p[0] & 1;
  out->qos = qos;
  out->packet_id = qos ? id : 0;
  out->topic = topic;
  if (properties)
    out->props.raw = mc_slice_of(p + at + head, 0);
  out->payload = mc_slice_of(p + at + head, len - head);
  return true;
}

static bool plain_puback(mc_slice in, mc_mqtt_ack *out)
{
  if (in.len != 4 || in.data[0] != MC_MQTT_PUBACK << 4 || in.data[1] != 2)
    return false;
  uint16_t id = mc_load_be16(in.data + 2);
  if (id == 0)
    return false;
  clear(out, sizeof *out);
  out->packet_id = id;
  return true;
}

mc_err mc_mqtt_parse(mc_slice in, uint8_t version, mc_mqtt_packet *out, uint8_t *reason, mc_why *why)
{
  uint8_t first = in.len ? in.data[0] : 0;
  mc_mqtt_reader r = {.data = in.data, .end = in.len, .type = first >> 4, .version = version, .reason = reason, .why = why};
  out->type = (mc_mqtt_type)r.type;
  out->size = in.len;
  if (reason)
    *reason = MC_MQTT_SUCCESS;
  if (r.type == MC_MQTT_PUBLISH && plain_publish(in, version, &out->publish))
    return MC_OK;
  if (r.type == MC_MQTT_PUBACK && plain_puback(in, &out->ack))
    return MC_OK;
  if (r.type == MC_MQTT_CONNECT)
    out->connect.version = 0;
  MC_TRY(read_header(&r));
  switch (out->type) {
  case MC_MQTT_CONNECT:
    return parse_connect(&r, &out->connect);
  case MC_MQTT_CONNACK:
    return parse_connack(&r, &out->connack);
  case MC_MQTT_PUBLISH:
    return parse_publish(&r, first, &out->publish);
  case MC_MQTT_PUBACK:
  case MC_MQTT_PUBREC:
  case MC_MQTT_PUBREL:
  case MC_MQTT_PUBCOMP:
    return parse_ack(&r, &out->ack);
  case MC_MQTT_SUBSCRIBE:
  case MC_MQTT_UNSUBSCRIBE:
    return parse_subscribe(&r, &out->subscribe);
  case MC_MQTT_SUBACK:
  case MC_MQTT_UNSUBACK:
    return parse_suback(&r, &out->subscribe);
  case MC_MQTT_PINGREQ:
  case MC_MQTT_PINGRESP:
    return at_end(&r);
  case MC_MQTT_DISCONNECT:
  case MC_MQTT_AUTH:
    return parse_disconnect(&r, &out->disconnect);
  }
  return mc_mqtt_refuse(&r, MC_MQTT_PROTOCOL_ERROR, "packet type is reserved (2.1.2)");
}
