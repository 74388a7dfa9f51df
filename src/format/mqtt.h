/* MQTT 3.1.1 (ISO/IEC 20922) and 5.0 (OASIS): every packet, every property, both directions.
 *
 * Pure codec: no I/O, no allocation while parsing; parsed packets borrow from the input bytes.
 * Reason codes and property identifiers are the specification's numbers. */
#ifndef MC_FORMAT_MQTT_H
#define MC_FORMAT_MQTT_H

#include "base/slice.h"

enum { MC_MQTT_311 = 4, MC_MQTT_5 = 5 }; /* protocol level in CONNECT; 3 (3.1) is refused */

typedef enum mc_mqtt_type {
  MC_MQTT_CONNECT = 1, MC_MQTT_CONNACK, MC_MQTT_PUBLISH, MC_MQTT_PUBACK, MC_MQTT_PUBREC, MC_MQTT_PUBREL, MC_MQTT_PUBCOMP,
  MC_MQTT_SUBSCRIBE, MC_MQTT_SUBACK, MC_MQTT_UNSUBSCRIBE, MC_MQTT_UNSUBACK, MC_MQTT_PINGREQ, MC_MQTT_PINGRESP,
  MC_MQTT_DISCONNECT, MC_MQTT_AUTH
} mc_mqtt_type;
/* False for what only a server sends (CONNACK, SUBACK, UNSUBACK, PINGRESP) and for the reserved type 0: a server
 * that gets one answers 0x82 before it looks any further. */
bool mc_mqtt_type_from_client(mc_mqtt_type type);

/* Reason codes (MQTT 5.0, 2.4) used by name in the house. */
enum {
  MC_MQTT_SUCCESS = 0x00, MC_MQTT_GRANTED_QOS1 = 0x01, MC_MQTT_GRANTED_QOS2 = 0x02, MC_MQTT_DISCONNECT_WITH_WILL = 0x04,
  MC_MQTT_NO_SUBSCRIBERS = 0x10, MC_MQTT_NO_SUBSCRIPTION = 0x11, MC_MQTT_CONTINUE_AUTH = 0x18, MC_MQTT_REAUTH = 0x19,
  MC_MQTT_UNSPECIFIED = 0x80, MC_MQTT_MALFORMED = 0x81, MC_MQTT_PROTOCOL_ERROR = 0x82, MC_MQTT_IMPLEMENTATION = 0x83,
  MC_MQTT_BAD_VERSION = 0x84, MC_MQTT_BAD_CLIENT_ID = 0x85, MC_MQTT_BAD_LOGIN = 0x86, MC_MQTT_NOT_AUTHORIZED = 0x87,
  MC_MQTT_UNAVAILABLE = 0x88, MC_MQTT_BUSY = 0x89, MC_MQTT_BANNED = 0x8A, MC_MQTT_SHUTTING_DOWN = 0x8B,
  MC_MQTT_BAD_AUTH_METHOD = 0x8C, MC_MQTT_KEEP_ALIVE_TIMEOUT = 0x8D, MC_MQTT_TAKEN_OVER = 0x8E,
  MC_MQTT_BAD_FILTER = 0x8F, MC_MQTT_BAD_TOPIC = 0x90, MC_MQTT_ID_IN_USE = 0x91, MC_MQTT_ID_NOT_FOUND = 0x92,
  MC_MQTT_RECEIVE_MAX_EXCEEDED = 0x93, MC_MQTT_BAD_ALIAS = 0x94, MC_MQTT_PACKET_TOO_LARGE = 0x95,
  MC_MQTT_RATE_TOO_HIGH = 0x96, MC_MQTT_QUOTA = 0x97, MC_MQTT_ADMIN_ACTION = 0x98, MC_MQTT_BAD_PAYLOAD_FORMAT = 0x99,
  MC_MQTT_NO_RETAIN = 0x9A, MC_MQTT_QOS_NOT_SUPPORTED = 0x9B, MC_MQTT_USE_ANOTHER = 0x9C, MC_MQTT_SERVER_MOVED = 0x9D,
  MC_MQTT_NO_SHARED = 0x9E, MC_MQTT_CONNECTION_RATE = 0x9F, MC_MQTT_MAX_CONNECT_TIME = 0xA0, MC_MQTT_NO_SUB_IDS = 0xA1,
  MC_MQTT_NO_WILDCARDS = 0xA2
};
const char *mc_mqtt_reason_name(uint8_t code);

/* Properties (MQTT 5.0, 2.2.2). `present` has one bit per field (MC_MQTT_P_...). User properties and
 * subscription identifiers may repeat: they stay in `raw`, walk them with mc_mqtt_property_next. */
enum {
  MC_MQTT_P_PAYLOAD_FORMAT = 1 << 0, MC_MQTT_P_EXPIRY = 1 << 1, MC_MQTT_P_CONTENT_TYPE = 1 << 2, MC_MQTT_P_RESPONSE_TOPIC = 1 << 3,
  MC_MQTT_P_CORRELATION = 1 << 4, MC_MQTT_P_SUB_ID = 1 << 5, MC_MQTT_P_SESSION_EXPIRY = 1 << 6, MC_MQTT_P_ASSIGNED_ID = 1 << 7,
  MC_MQTT_P_SERVER_KEEP_ALIVE = 1 << 8, MC_MQTT_P_AUTH_METHOD = 1 << 9, MC_MQTT_P_AUTH_DATA = 1 << 10, MC_MQTT_P_REQUEST_PROBLEM = 1 << 11,
  MC_MQTT_P_WILL_DELAY = 1 << 12, MC_MQTT_P_REQUEST_RESPONSE = 1 << 13, MC_MQTT_P_RESPONSE_INFO = 1 << 14, MC_MQTT_P_SERVER_REFERENCE = 1 << 15,
  MC_MQTT_P_REASON = 1 << 16, MC_MQTT_P_RECEIVE_MAX = 1 << 17, MC_MQTT_P_ALIAS_MAX = 1 << 18, MC_MQTT_P_ALIAS = 1 << 19,
  MC_MQTT_P_MAX_QOS = 1 << 20, MC_MQTT_P_RETAIN_AVAILABLE = 1 << 21, MC_MQTT_P_USER = 1 << 22, MC_MQTT_P_MAX_PACKET = 1 << 23,
  MC_MQTT_P_WILDCARD_AVAILABLE = 1 << 24, MC_MQTT_P_SUB_ID_AVAILABLE = 1 << 25, MC_MQTT_P_SHARED_AVAILABLE = 1 << 26
};
typedef struct mc_mqtt_props {
  uint32_t present;
  mc_slice raw; /* the property bytes without their length */
  uint8_t payload_format, request_problem, request_response, max_qos, retain_available, wildcard_available, sub_id_available, shared_available;
  uint16_t server_keep_alive, receive_max, alias_max, alias;
  uint32_t expiry_s, sub_id /* the first one */, session_expiry_s, will_delay_s, max_packet;
  mc_slice content_type, response_topic, correlation, assigned_id, auth_method, auth_data, response_info, server_reference, reason;
} mc_mqtt_props;
/* One raw property; *at starts at 0. Strings in `text`, pairs in name + text, numbers in `number`. False at the end. */
typedef struct mc_mqtt_property { uint8_t id; uint32_t number; mc_slice name, text; } mc_mqtt_property;
bool mc_mqtt_property_next(mc_slice raw, size_t *at, mc_mqtt_property *out);

typedef struct mc_mqtt_connect {
  uint8_t version;
  bool clean; /* clean session / clean start */
  uint16_t keep_alive_s;
  mc_mqtt_props props;
  mc_slice client_id;
  bool has_will, will_retain, has_username, has_password;
  uint8_t will_qos;
  mc_mqtt_props will_props;
  mc_slice will_topic, will_payload, username, password;
} mc_mqtt_connect;
/* code is a v5 reason code in both versions: return codes 1..5 of 3.1.1 read as 0x84, 0x85, 0x88, 0x86, 0x87. */
typedef struct mc_mqtt_connack { bool session_present; uint8_t code; mc_mqtt_props props; } mc_mqtt_connack;
typedef struct mc_mqtt_publish {
  bool dup, retain;
  uint8_t qos;
  uint16_t packet_id; /* qos > 0 */
  mc_slice topic;     /* may be empty with a topic alias (v5) */
  mc_mqtt_props props;
  mc_slice payload;
} mc_mqtt_publish;
typedef struct mc_mqtt_ack { uint16_t packet_id; uint8_t code; mc_mqtt_props props; } mc_mqtt_ack; /* PUBACK, PUBREC, PUBREL, PUBCOMP */
/* SUBSCRIBE, UNSUBSCRIBE: walk `list` with mc_mqtt_filter_next. SUBACK, UNSUBACK: `list` holds the codes (empty for 3.1.1 UNSUBACK). */
typedef struct mc_mqtt_subscribe { uint16_t packet_id; mc_mqtt_props props; mc_slice list; uint32_t count; } mc_mqtt_subscribe;
typedef struct mc_mqtt_filter { mc_slice filter; uint8_t qos; bool no_local, retain_as_published; uint8_t retain_handling; } mc_mqtt_filter;
bool mc_mqtt_filter_next(const mc_mqtt_subscribe *s, bool unsubscribe, size_t *at, mc_mqtt_filter *out);
typedef struct mc_mqtt_disconnect { uint8_t code; mc_mqtt_props props; } mc_mqtt_disconnect; /* AUTH too */

typedef struct mc_mqtt_packet {
  mc_mqtt_type type;
  size_t size; /* whole packet in bytes */
  union {
    mc_mqtt_connect connect;
    mc_mqtt_connack connack;
    mc_mqtt_publish publish;
    mc_mqtt_ack ack;
    mc_mqtt_subscribe subscribe; /* also unsubscribe, suback, unsuback */
    mc_mqtt_disconnect disconnect; /* also auth */
  };
} mc_mqtt_packet;

/* Size of the next packet from its fixed header: MC_OK and *size (header included), MC_ERR_AGAIN when more bytes are
 * needed, MC_ERR_MALFORMED for a broken length, MC_ERR_TOO_LARGE beyond max_packet. */
mc_err mc_mqtt_peek(mc_slice in, size_t max_packet, size_t *size);
/* Parses one whole packet (in.len == size). version: that of the connection (ignored for CONNECT). *reason gets the reason code that fits
 * (0x81 malformed, 0x82 protocol error, 0x84 version, 0x85 client id, ...); why says byte and rule. A refused CONNECT still fills
 * out->connect.version when it could be read (else 0: not MQTT, close without an answer). MC_ERR_MALFORMED comes with 0x81,
 * MC_ERR_UNSUPPORTED with 0x84, MC_ERR_INVALID with the rest; reason and why may be NULL. Enforces all of 1.5, 2.x and the per-packet MUSTs that need no session state. */
mc_err mc_mqtt_parse(mc_slice in, uint8_t version, mc_mqtt_packet *out, uint8_t *reason, mc_why *why);

/* Topic rules (4.7): names have no wildcards and no NUL; filters have them in legal places. */
bool mc_mqtt_topic_valid(mc_slice topic);
bool mc_mqtt_filter_valid(mc_slice filter);
bool mc_mqtt_topic_matches(mc_slice filter, mc_slice topic); /* honours the $ rule; strict `a/#` matches `a` */
/* "$share/<group>/<filter>": false when it is not a shared one or malformed. */
bool mc_mqtt_shared_split(mc_slice filter, mc_slice *group, mc_slice *rest);

/* Writers append one packet to out. Property bytes are given ready-made: build them with mc_mqtt_put_*. In 3.1.1 props are left out.
 * CONNACK codes are v5 reason codes; for 3.1.1 they are mapped to return codes 0..5. */
mc_err mc_mqtt_write_connect(mc_buf *out, const mc_mqtt_connect *c); /* props and will_props: raw used */
mc_err mc_mqtt_write_connack(mc_buf *out, uint8_t version, bool session_present, uint8_t code, mc_slice props);
/* dup, retain, qos, packet_id, topic, payload used; props as given. */
mc_err mc_mqtt_write_publish(mc_buf *out, uint8_t version, const mc_mqtt_publish *p, mc_slice props);
/* Bytes that mc_mqtt_write_publish would write. (The writer does not look into the topic: it was valid when it came in.) */
size_t mc_mqtt_publish_size(uint8_t version, const mc_mqtt_publish *p, mc_slice props);
mc_err mc_mqtt_write_ack(mc_buf *out, mc_mqtt_type type, uint8_t version, uint16_t packet_id, uint8_t code, mc_slice props);
mc_err mc_mqtt_write_subscribe(mc_buf *out, uint8_t version, uint16_t packet_id, const mc_mqtt_filter *filter, size_t count, mc_slice props);
mc_err mc_mqtt_write_unsubscribe(mc_buf *out, uint8_t version, uint16_t packet_id, const mc_slice *filter, size_t count, mc_slice props);
mc_err mc_mqtt_write_suback(mc_buf *out, mc_mqtt_type suback_or_unsuback, uint8_t version, uint16_t packet_id, const uint8_t *code, size_t count, mc_slice props);
mc_err mc_mqtt_write_ping(mc_buf *out, mc_mqtt_type pingreq_or_pingresp);
mc_err mc_mqtt_write_disconnect(mc_buf *out, uint8_t version, uint8_t code, mc_slice props);
mc_err mc_mqtt_write_auth(mc_buf *out, uint8_t code, mc_slice props);

mc_err mc_mqtt_put_number(mc_buf *props, uint8_t id, uint32_t value); /* width by id */
mc_err mc_mqtt_put_text(mc_buf *props, uint8_t id, mc_slice value);
mc_err mc_mqtt_put_user(mc_buf *props, mc_slice name, mc_slice value);

#endif
