#include "gateway/state.h"

#include <stdlib.h>

/* Wills (MQTT 5.0, 3.1.2.5): taken with CONNECT, journaled beside the session, published when the connection ends otherwise than by DISCONNECT. */

enum { PROP_WILL_DELAY = 0x18 };

static mc_slice put(uint8_t **at, mc_slice s)
{
  mc_slice copy = mc_slice_of(*at, s.len);
  if (s.len)
    memcpy(*at, s.data, s.len);
  *at += s.len;
  return copy;
}

mc_will *mc_will_copy(const mc_session_will *given)
{
  mc_will *w = malloc(sizeof *w + given->topic.len + given->props.len + given->payload.len);
  if (!w)
    return NULL;
  w->is = *given;
  uint8_t *at = w->bytes;
  w->is.topic = put(&at, given->topic);
  w->is.props = put(&at, given->props);
  w->is.payload = put(&at, given->payload);
  return w;
}

/* All properties but the will delay are passed on with the will (3.1.3.2). */
mc_will *mc_will_of_connect(const mc_mqtt_connect *c, uint32_t principal, uint8_t partition)
{
  mc_slice raw = c->will_props.raw;
  mc_session_will given = {.qos = c->will_qos, .partition = partition, .retain = c->will_retain, .v5 = c->version == MC_MQTT_5, .principal = principal,
                           .topic = c->will_topic, .props = raw, .payload = c->will_payload};
  if (c->will_props.present & MC_MQTT_P_WILL_DELAY)
    given.delay_s = c->will_props.will_delay_s;
  mc_will *w = mc_will_copy(&given);
  if (!w)
    return NULL;
  uint8_t *to = w->bytes + w->is.topic.len;
  mc_mqtt_property property;
  w->is.props.len = 0;
  for (size_t at = 0, begin = 0; mc_mqtt_property_next(raw, &at, &property); begin = at) {
    if (property.id == PROP_WILL_DELAY)
      continue;
    memcpy(to + w->is.props.len, raw.data + begin, at - begin);
    w->is.props.len += at - begin;
  }
  return w;
}

void mc_will_fire(mc_session *s)
{
  mc_will *w = s->will;
  if (!w)
    return;
  s->will = NULL;
  s->will_due_us = INT64_MAX;
  mc_buf props = {0}; /* the message itself says that this will was sent, and goes when it is on disk: no kill makes it go twice, or not at all */
  if (mc_origin_put(&props, 0, mc_session_id(s)) != MC_OK || mc_buf_append_slice(&props, w->is.props) != MC_OK) {
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: a will was not sent", MC_KS("client", mc_session_id(s)));
    mc_count_add(&s->home->count.lost, 1);
  } else {
    mc_record record = {.stream = mc_publish_stream_of(w->is.topic),
                        .partition = w->is.partition,
                        .source = mc_loop_source(s->home),
                        .flags = (uint8_t)((w->is.qos == 2 ? MC_RECORD_QOS2 : MC_RECORD_ORIGIN | (w->is.qos ? MC_RECORD_QOS1 : 0)) |
                                           (w->is.retain ? MC_RECORD_RETAIN : 0) | (w->is.v5 ? MC_RECORD_V5 : 0)),
                        .tenant = s->tenant,
                        .key_id = mc_registry_key_of_thing(s->home->gateway->registry, s->tenant, w->is.principal),
                        .principal = w->is.principal,
                        .time_us = mc_clock_wall_us(),
                        .topic = w->is.topic,
                        .props = mc_buf_slice(&props),
                        .payload = w->is.payload};
    mc_pending pending = {.kind = MC_PENDING_WILL, .retain = w->is.retain};
    mc_pending_stage(s->home, &record, &pending);
  }
  mc_buf_free(&props);
  free(w);
}

void mc_will_journal(mc_session *s, mc_pending_kind then, mc_link *link)
{
  mc_gateway_loop *l = s->home;
  mc_session_record r = {.kind = MC_SESSION_WILL, .client_id = mc_session_id(s), .will = s->will->is};
  mc_buf_clear(&l->record);
  mc_session_stage_begun(s, MC_SESSION_WILL, then, link, mc_session_record_begin(&l->record, &r));
}
