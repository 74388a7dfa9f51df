#include <stdlib.h>

#include "gateway/state.h"

/* Publishes of devices that keep no session: one request, one message, one answer when it is on disk. */

void mc_call_finish(mc_call *call, mc_err err, const char *text)
{
  call->done(call->ctx, err, text);
  free(call);
}

static mc_err check(mc_gateway *g, const mc_profile *p, const mc_gateway_message *m, mc_why *why)
{
  uint32_t most = p->payload_bytes ? p->payload_bytes : p->packet_bytes;
  const char *fault = mc_profile_topic_fault(p, m->topic);
  int shown = (int)(m->topic.len > 120 ? 120 : m->topic.len);
  if (m->qos > 1)
    return mc_err_set(why, MC_ERR_INVALID, "qos is %u: 0 or 1 can be asked for", m->qos);
  if (!mc_mqtt_topic_valid(m->topic))
    return mc_err_set(why, MC_ERR_INVALID, "\"%.*s\" is not a topic: 1 to 65,535 bytes of UTF-8 without wildcards and without NUL", shown, (const char *)m->topic.data);
  if (fault)
    return mc_err_set(why, MC_ERR_INVALID, "the topic is refused: %s", fault);
  if (m->payload.len > most || m->props.len > UINT16_MAX)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "the message has %zu bytes, and %zu of properties: %u and 65,535 are the limits", m->payload.len, m->props.len,
                      most);
  if (m->retain && mc_topic_levels(m->topic) > MC_TOPIC_LEVELS_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "a retained message's topic has at most %d levels", MC_TOPIC_LEVELS_MAX);
  return atomic_load(&g->stopping) ? mc_err_set(why, MC_ERR_CLOSED, "the server is shutting down") : MC_OK;
}

static mc_err permit(mc_gateway_loop *l, const mc_peer *peer, const mc_gateway_message *m, mc_principal *who, mc_why *why)
{
  mc_gateway *g = l->gateway;
  const mc_policy *policy = NULL;
  if (!peer->has_cert)
    return mc_err_set(why, MC_ERR_UNAUTHENTICATED, "no client certificate was presented: use the certificate and key that were issued for this device");
  MC_TRY(mc_registry_authenticate(g->registry, peer, who, &policy, why));
  mc_policy_release(policy);
  mc_policy_connection c = mc_policy_connection_of(peer, mc_slice_str(who->name)); /* without a session it is who its certificate says */
  MC_TRY(mc_registry_policy_for(g->registry, who, &c, &policy, why));
  /* what is no topic at all is told so by check(), which comes next */
  bool allowed = !mc_mqtt_topic_valid(m->topic) || (mc_policy_allows(policy, who, MC_ACTION_PUBLISH, m->topic) && (!m->retain || mc_policy_allows(policy, who, MC_ACTION_RETAIN_PUBLISH, m->topic)));
  mc_policy_release(policy);
  if (!allowed)
    return mc_err_set(why, MC_ERR_DENIED, "publish to \"%.*s\" refused: the policy of \"%s\" does not name it", (int)(m->topic.len > 120 ? 120 : m->topic.len),
                      (const char *)m->topic.data, who->name);
  if (m->retain && m->payload.len && !mc_retained_fits(&g->retained, who->tenant, who->id, m->topic, m->props.len + m->payload.len))
    return mc_err_set(why, MC_ERR_DENIED, "too much is retained: a device may keep 1,000 messages of 8 MiB together; remove some by publishing an empty retained message");
  return MC_OK;
}

static mc_err store(mc_gateway_loop *l, const mc_principal *who, const mc_record *record, void (*done)(void *ctx, mc_err err, const char *text), void *ctx, mc_why *why)
{
  mc_call *call = malloc(sizeof *call);
  if (!call)
    return mc_err_set(why, MC_ERR_MEMORY, "the server is out of memory; send it again later");
  *call = (mc_call){done, ctx, *who};
  mc_pending pending = {.call = call, .kind = MC_PENDING_CALL, .retain = record->flags & MC_RECORD_RETAIN};
  bool behind = l->deferred || !mc_pressure_takes_calls(l);
  mc_err err = behind ? MC_ERR_FULL : mc_pending_push(l, record, &pending);
  if (err == MC_OK)
    return MC_OK; /* NOLINT(clang-analyzer-unix.Malloc): the ring of pending answers has it now */
  free(call);
  mc_count_add(&l->count.refused, 1);
  if (err == MC_ERR_FULL)
    mc_cause_note_thing(l, who, MC_CAUSE_BEHIND_REFUSED);
  return err == MC_ERR_FULL ? mc_err_set(why, err, "the server's disk is behind: send it again in a second")
                            : mc_err_set(why, err, "the message could not be stored: %s; send it again", mc_err_text(err));
}

mc_err mc_gateway_publish_as(mc_gateway *g, const mc_loop *loop, const mc_peer *peer, mc_gateway_message *m,
                             void (*done)(void *ctx, mc_err err, const char *text), void *ctx, mc_why *why)
{
  mc_gateway_loop *l = mc_gateway_ctx_of_loop(g, loop);
  mc_principal who = {0};
  if (!l)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "this listener is not one of the gateway's");
  l->wall_us = mc_clock_wall_us();
  const mc_profile *profile = &g->profile[g->door_profile[MC_DOOR_SHARED]];
  mc_err err = permit(l, peer, m, &who, why);
  if (!err)
    profile = mc_conduct_of(g, MC_DOOR_SHARED, &who);
  if (!err)
    err = check(g, profile, m, why);
  int64_t wait = err ? 0 : mc_pace_call(l, &who, profile, m->topic.len + m->props.len + m->payload.len);
  if (wait) {
    m->retry_after_s = (uint32_t)((wait + 999999) / 1000000);
    err = mc_err_set(why, MC_ERR_AGAIN, "\"%s\" publishes faster than it or its tenant may: send it again in %u s", who.name, m->retry_after_s);
  }
  if (err) {
    mc_count_add(&l->count.refused, 1);
    if (err != MC_ERR_AGAIN && err != MC_ERR_CLOSED) /* counted, or nobody's fault */
      mc_cause_note_thing(l, &who, err == MC_ERR_UNAUTHENTICATED ? MC_CAUSE_IDENTITY : err == MC_ERR_DENIED ? MC_CAUSE_POLICY : err == MC_ERR_TOO_LARGE ? MC_CAUSE_SIZE : MC_CAUSE_TOPIC);
    mc_event_add(g, who.tenant, mc_slice_str(who.name), peer->address, false, err == MC_ERR_UNAUTHENTICATED ? MC_MQTT_NOT_AUTHORIZED : MC_MQTT_UNSPECIFIED, why->text);
    return err;
  }
  mc_record record = {.stream = mc_publish_stream_of(m->topic),
                      .partition = mc_journal_partition_of(mc_slice_str(who.name)),
                      .flags = (uint8_t)((m->qos ? MC_RECORD_QOS1 : 0) | (m->retain ? MC_RECORD_RETAIN : 0) | MC_RECORD_V5),
                      .source = mc_loop_source(l),
                      .tenant = who.tenant,
                      .key_id = mc_registry_key_of_thing(g->registry, who.tenant, who.id),
                      .principal = who.id,
                      .time_us = l->wall_us,
                      .topic = m->topic,
                      .props = m->props,
                      .payload = m->payload};
  mc_count_add(&l->count.received, 1);
  if (m->qos)
    return store(l, &who, &record, done, ctx, why);
  err = mc_publish_own(l, &record, 0);
  if (err)
    return mc_err_set(why, err, "the message could not be stored: %s; send it again", mc_err_text(err));
  done(ctx, MC_OK, "");
  return MC_OK;
}
