/* MQTT packets: byte 0 chooses the version, the rest is one packet. What is taken must be written back to a packet that
 * reads the same. */
#include <stdlib.h>

#include "format/mqtt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
  if (!held)
    abort();
}

static mc_err write_again(const mc_mqtt_packet *p, uint8_t version, mc_buf *out)
{
  switch (p->type) {
  case MC_MQTT_CONNECT:
    return mc_mqtt_write_connect(out, &p->connect);
  case MC_MQTT_CONNACK:
    return mc_mqtt_write_connack(out, version, p->connack.session_present, p->connack.code, p->connack.props.raw);
  case MC_MQTT_PUBLISH:
    return mc_mqtt_write_publish(out, version, &p->publish, p->publish.props.raw);
  case MC_MQTT_PUBACK:
  case MC_MQTT_PUBREC:
  case MC_MQTT_PUBREL:
  case MC_MQTT_PUBCOMP:
    return mc_mqtt_write_ack(out, p->type, version, p->ack.packet_id, p->ack.code, p->ack.props.raw);
  case MC_MQTT_SUBACK:
  case MC_MQTT_UNSUBACK:
    return mc_mqtt_write_suback(out, p->type, version, p->subscribe.packet_id, p->subscribe.list.data,
                                p->subscribe.count ? p->subscribe.count : 1, p->subscribe.props.raw);
  case MC_MQTT_PINGREQ:
  case MC_MQTT_PINGRESP:
    return mc_mqtt_write_ping(out, p->type);
  case MC_MQTT_DISCONNECT:
    return mc_mqtt_write_disconnect(out, version, p->disconnect.code, p->disconnect.props.raw);
  case MC_MQTT_AUTH:
    return mc_mqtt_write_auth(out, p->disconnect.code, p->disconnect.props.raw);
  case MC_MQTT_SUBSCRIBE:
  case MC_MQTT_UNSUBSCRIBE:
    break;
  }
  mc_mqtt_filter filters[64];
  mc_slice names[64];
  size_t n = 0;
  bool unsubscribe = p->type == MC_MQTT_UNSUBSCRIBE;
  for (size_t at = 0; n < 64 && mc_mqtt_filter_next(&p->subscribe, unsubscribe, &at, &filters[n]); n++)
    names[n] = filters[n].filter;
  require(n == p->subscribe.count || n == 64);
  return unsubscribe ? mc_mqtt_write_unsubscribe(out, version, p->subscribe.packet_id, names, n, p->subscribe.props.raw)
                     : mc_mqtt_write_subscribe(out, version, p->subscribe.packet_id, filters, n, p->subscribe.props.raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1)
    return 0;
  uint8_t version = data[0] & 1 ? MC_MQTT_5 : MC_MQTT_311;
  mc_slice in = mc_slice_of(data + 1, size - 1);
  mc_mqtt_packet p, q;
  mc_why why;
  uint8_t reason = 0xEE;
  size_t whole = 0;
  mc_err peeked = mc_mqtt_peek(in, 1 << 20, &whole);
  mc_err err = mc_mqtt_parse(in, version, &p, &reason, &why);
  require(err ? reason >= 0x80 && reason != 0xEE && why.err == err && why.text[0] : reason == 0);
  if (err)
    return 0;
  require(peeked == MC_OK && whole == in.len);
  if (p.type == MC_MQTT_CONNECT)
    version = p.connect.version;
  const mc_mqtt_props *props = p.type == MC_MQTT_CONNECT ? &p.connect.props : p.type == MC_MQTT_PUBLISH ? &p.publish.props : NULL;
  mc_mqtt_property one;
  size_t at = 0;
  while (props && mc_mqtt_property_next(props->raw, &at, &one))
    ;
  require(!props || at == props->raw.len);
  mc_buf out = {0};
  require(write_again(&p, version, &out) == MC_OK);
  require(mc_mqtt_parse(mc_buf_slice(&out), version, &q, &reason, &why) == MC_OK);
  require(q.type == p.type);
  if (p.type == MC_MQTT_PUBLISH)
    require(mc_slice_eq(p.publish.payload, q.publish.payload) && mc_slice_eq(p.publish.topic, q.publish.topic) && mc_mqtt_topic_valid(p.publish.topic) == (p.publish.topic.len > 0));
  mc_buf_free(&out);
  return 0;
}
