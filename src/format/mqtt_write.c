/* Writing MQTT packets: the size first, then one reservation, then the bytes. */
#include "format/mqtt_wire.h"

/* Fixed header and room for the rest; *at is where the rest begins. finish() takes the end. */
static mc_err begin(mc_buf *out, uint8_t first, size_t remaining, uint8_t **at)
{
  if (remaining > MC_MQTT_VARINT_MAX)
    return MC_ERR_TOO_LARGE;
  MC_TRY(mc_buf_reserve(out, remaining + 5));
  uint8_t *p = out->data + out->len;
  *p++ = first;
  *at = mc_mqtt_store_varint(p, (uint32_t)remaining);
  return MC_OK;
}

static mc_err finish(mc_buf *out, const uint8_t *end)
{
  out->len = (size_t)(end - out->data);
  return MC_OK;
}

static uint8_t first_byte(mc_mqtt_type type, uint8_t flags)
{
  return (uint8_t)(type << 4 | flags);
}

static uint8_t *put_u16(uint8_t *p, size_t v)
{
  mc_store_be16(p, (uint16_t)v);
  return p + 2;
}

static uint8_t *put_bytes(uint8_t *p, mc_slice s)
{
  if (s.len)
    memcpy(p, s.data, s.len);
  return p + s.len;
}

static uint8_t *put_string(uint8_t *p, mc_slice s)
{
  return put_bytes(put_u16(p, s.len), s);
}

/* Sizes are summed in size_t; parts are bounded by VARINT_MAX before, so that the sums cannot wrap. */
static size_t props_size(uint8_t version, mc_slice props)
{
  if (version != MC_MQTT_5)
    return 0;
  return props.len > MC_MQTT_VARINT_MAX ? (size_t)MC_MQTT_VARINT_MAX + 1 : mc_mqtt_varint_size((uint32_t)props.len) + props.len;
}

static uint8_t *put_props(uint8_t *p, uint8_t version, mc_slice props)
{
  if (version != MC_MQTT_5)
    return p;
  return put_bytes(mc_mqtt_store_varint(p, (uint32_t)props.len), props);
}

static mc_err check_version(uint8_t version)
{
  return version == MC_MQTT_5 || version == MC_MQTT_311 ? MC_OK : MC_ERR_INVALID;
}

static mc_err check_connect(const mc_mqtt_connect *c)
{
  MC_TRY(check_version(c->version));
  if (c->client_id.len > UINT16_MAX || c->will_topic.len > UINT16_MAX || c->will_payload.len > UINT16_MAX ||
      c->username.len > UINT16_MAX || c->password.len > UINT16_MAX)
    return MC_ERR_TOO_LARGE;
  if (c->has_will && (c->will_qos > 2 || !mc_mqtt_topic_valid(c->will_topic)))
    return MC_ERR_INVALID;
  if (c->version == MC_MQTT_311 && ((c->has_password && !c->has_username) || (c->client_id.len == 0 && !c->clean)))
    return MC_ERR_INVALID;
  return MC_OK;
}

mc_err mc_mqtt_write_connect(mc_buf *out, const mc_mqtt_connect *c)
{
  MC_TRY(check_connect(c));
  size_t remaining = 10 + props_size(c->version, c->props.raw) + 2 + c->client_id.len;
  uint8_t flags = c->clean ? 0x02 : 0;
  if (c->has_will) {
    remaining += props_size(c->version, c->will_props.raw) + 2 + c->will_topic.len + 2 + c->will_payload.len;
    flags |= (uint8_t)(0x04 | c->will_qos << 3 | (c->will_retain ? 0x20 : 0));
  }
  if (c->has_password) {
    remaining += 2 + c->password.len;
    flags |= 0x40;
  }
  if (c->has_username) {
    remaining += 2 + c->username.len;
    flags |= 0x80;
  }
  uint8_t *p;
  MC_TRY(begin(out, first_byte(MC_MQTT_CONNECT, 0), remaining, &p));
  p = put_string(p, MC_LIT("MQTT"));
  *p++ = c->version;
  *p++ = flags;
  p = put_u16(p, c->keep_alive_s);
  p = put_props(p, c->version, c->props.raw);
  p = put_string(p, c->client_id);
  if (c->has_will) {
    p = put_props(p, c->version, c->will_props.raw);
    p = put_string(p, c->will_topic);
    p = put_string(p, c->will_payload);
  }
  if (c->has_username)
    p = put_string(p, c->username);
  if (c->has_password)
    p = put_string(p, c->password);
  return finish(out, p);
}

/* MQTT 3.1.1, table 3.1 has five refusals. What can pass with time is "unavailable", what cannot "not authorized". */
static uint8_t connack_code_311(uint8_t code)
{
  switch (code) {
  case MC_MQTT_SUCCESS:
    return 0;
  case MC_MQTT_BAD_VERSION:
    return 1;
  case MC_MQTT_BAD_CLIENT_ID:
    return 2;
  case MC_MQTT_BAD_LOGIN:
    return 4;
  case MC_MQTT_NOT_AUTHORIZED:
  case MC_MQTT_BANNED:
  case MC_MQTT_BAD_AUTH_METHOD:
  case MC_MQTT_BAD_TOPIC:
  case MC_MQTT_NO_RETAIN:
  case MC_MQTT_QOS_NOT_SUPPORTED:
    return 5;
  default:
    return 3;
  }
}

mc_err mc_mqtt_write_connack(mc_buf *out, uint8_t version, bool session_present, uint8_t code, mc_slice props)
{
  uint8_t *p;
  MC_TRY(check_version(version));
  MC_TRY(begin(out, first_byte(MC_MQTT_CONNACK, 0), 2 + props_size(version, props), &p));
  *p++ = session_present && code == MC_MQTT_SUCCESS; /* 3.2.2-6 */
  *p++ = version == MC_MQTT_5 ? code : connack_code_311(code);
  return finish(out, put_props(p, version, props));
}

static size_t publish_remaining(uint8_t version, const mc_mqtt_publish *p, mc_slice props)
{
  return 2 + p->topic.len + (p->qos ? 2 : 0) + props_size(version, props) + p->payload.len;
}

size_t mc_mqtt_publish_size(uint8_t version, const mc_mqtt_publish *p, mc_slice props)
{
  size_t remaining = publish_remaining(version, p, props);
  return 1 + (remaining > MC_MQTT_VARINT_MAX ? 4 : mc_mqtt_varint_size((uint32_t)remaining)) + remaining;
}

mc_err mc_mqtt_write_publish(mc_buf *out, uint8_t version, const mc_mqtt_publish *m, mc_slice props)
{
  if (m->topic.len > UINT16_MAX || m->payload.len > MC_MQTT_VARINT_MAX)
    return MC_ERR_TOO_LARGE;
  if (m->qos > 2 || (m->qos && m->packet_id == 0) || (m->dup && m->qos == 0) || (m->topic.len == 0 && version != MC_MQTT_5))
    return MC_ERR_INVALID;
  MC_TRY(check_version(version));
  uint8_t flags = (uint8_t)((m->dup ? 8 : 0) | m->qos << 1 | (m->retain ? 1 : 0));
  uint8_t *p;
  MC_TRY(begin(out, first_byte(MC_MQTT_PUBLISH, flags), publish_remaining(version, m, props), &p));
  p = put_string(p, m->topic);
  if (m->qos)
    p = put_u16(p, m->packet_id);
  p = put_props(p, version, props);
  return finish(out, put_bytes(p, m->payload));
}

mc_err mc_mqtt_write_ack(mc_buf *out, mc_mqtt_type type, uint8_t version, uint16_t packet_id, uint8_t code, mc_slice props)
{
  if (type < MC_MQTT_PUBACK || type > MC_MQTT_PUBCOMP || packet_id == 0)
    return MC_ERR_INVALID;
  MC_TRY(check_version(version));
  bool with_props = version == MC_MQTT_5 && props.len;
  bool with_code = with_props || (version == MC_MQTT_5 && code); /* 3.4.2.1: success may be left out */
  uint8_t *p;
  MC_TRY(begin(out, first_byte(type, type == MC_MQTT_PUBREL ? 2 : 0), 2u + with_code + (with_props ? props_size(version, props) : 0), &p));
  p = put_u16(p, packet_id);
  if (with_code)
    *p++ = code;
  if (with_props)
    p = put_props(p, version, props);
  return finish(out, p);
}

mc_err mc_mqtt_write_subscribe(mc_buf *out, uint8_t version, uint16_t packet_id, const mc_mqtt_filter *filter, size_t count, mc_slice props)
{
  if (packet_id == 0 || count == 0)
    return MC_ERR_INVALID;
  MC_TRY(check_version(version));
  size_t remaining = 2 + props_size(version, props);
  for (size_t i = 0; i < count && remaining <= MC_MQTT_VARINT_MAX; i++) {
    if (!mc_mqtt_filter_valid(filter[i].filter) || filter[i].qos > 2 || filter[i].retain_handling > 2)
      return MC_ERR_INVALID;
    remaining += 3 + filter[i].filter.len;
  }
  uint8_t *p;
  MC_TRY(begin(out, first_byte(MC_MQTT_SUBSCRIBE, 2), remaining, &p));
  p = put_props(put_u16(p, packet_id), version, props);
  for (size_t i = 0; i < count; i++) {
    const mc_mqtt_filter *f = &filter[i];
    p = put_string(p, f->filter);
    *p++ = version == MC_MQTT_5 ? (uint8_t)(f->qos | f->no_local << 2 | f->retain_as_published << 3 | f->retain_handling << 4) : f->qos;
  }
  return finish(out, p);
}

mc_err mc_mqtt_write_unsubscribe(mc_buf *out, uint8_t version, uint16_t packet_id, const mc_slice *filter, size_t count, mc_slice props)
{
  if (packet_id == 0 || count == 0)
    return MC_ERR_INVALID;
  MC_TRY(check_version(version));
  size_t remaining = 2 + props_size(version, props);
  for (size_t i = 0; i < count && remaining <= MC_MQTT_VARINT_MAX; i++) {
    if (!mc_mqtt_filter_valid(filter[i]))
      return MC_ERR_INVALID;
    remaining += 2 + filter[i].len;
  }
  uint8_t *p;
  MC_TRY(begin(out, first_byte(MC_MQTT_UNSUBSCRIBE, 2), remaining, &p));
  p = put_props(put_u16(p, packet_id), version, props);
  for (size_t i = 0; i < count; i++)
    p = put_string(p, filter[i]);
  return finish(out, p);
}

mc_err mc_mqtt_write_suback(mc_buf *out, mc_mqtt_type type, uint8_t version, uint16_t packet_id, const uint8_t *code, size_t count, mc_slice props)
{
  if ((type != MC_MQTT_SUBACK && type != MC_MQTT_UNSUBACK) || packet_id == 0 || count == 0)
    return MC_ERR_INVALID;
  if (count > MC_MQTT_VARINT_MAX)
    return MC_ERR_TOO_LARGE;
  MC_TRY(check_version(version));
  bool with_codes = version == MC_MQTT_5 || type == MC_MQTT_SUBACK; /* MQTT 3.1.1, 3.11.3: UNSUBACK has no payload */
  uint8_t *p;
  MC_TRY(begin(out, first_byte(type, 0), 2 + props_size(version, props) + (with_codes ? count : 0), &p));
  p = put_props(put_u16(p, packet_id), version, props);
  for (size_t i = 0; with_codes && i < count; i++) /* MQTT 3.1.1, 3.9.3 knows one failure only */
    *p++ = version != MC_MQTT_5 && code[i] > 2 ? 0x80 : code[i];
  return finish(out, p);
}

mc_err mc_mqtt_write_ping(mc_buf *out, mc_mqtt_type type)
{
  uint8_t *p;
  if (type != MC_MQTT_PINGREQ && type != MC_MQTT_PINGRESP)
    return MC_ERR_INVALID;
  MC_TRY(begin(out, first_byte(type, 0), 0, &p));
  return finish(out, p);
}

/* DISCONNECT and AUTH of MQTT 5: code and properties fall away from the end when they say nothing. */
static mc_err write_code(mc_buf *out, mc_mqtt_type type, uint8_t code, mc_slice props)
{
  bool with_code = code || props.len;
  uint8_t *p;
  MC_TRY(begin(out, first_byte(type, 0), with_code + (props.len ? props_size(MC_MQTT_5, props) : 0), &p));
  if (with_code)
    *p++ = code;
  if (props.len)
    p = put_props(p, MC_MQTT_5, props);
  return finish(out, p);
}

mc_err mc_mqtt_write_disconnect(mc_buf *out, uint8_t version, uint8_t code, mc_slice props)
{
  MC_TRY(check_version(version));
  if (version != MC_MQTT_5)
    return write_code(out, MC_MQTT_DISCONNECT, 0, (mc_slice){0});
  return write_code(out, MC_MQTT_DISCONNECT, code, props);
}

mc_err mc_mqtt_write_auth(mc_buf *out, uint8_t code, mc_slice props)
{
  return write_code(out, MC_MQTT_AUTH, code, props);
}
