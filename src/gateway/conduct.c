#include "gateway/state.h"

/* What a client's profile makes of its packets, where more than a number is compared. The numbers are compared where they matter. */

const mc_profile *mc_conduct_of(mc_gateway *g, mc_door door, const mc_principal *who)
{
  mc_profile_name name = g->door_profile[door];
  char group[32];
  if (g->registry && who->id && mc_registry_thing_profile(g->registry, who->tenant, who->id, group) == MC_OK && !mc_profile_parse(mc_slice_str(group), &name))
    mc_log(MC_LOG_WARN, "gateway", "a thing group names a profile that there is not; the listener's is used", MC_KZ("device", who->name), MC_KZ("profile", group));
  return &g->profile[name];
}

/* Silence is what AWS IoT Core answers in 3.1.1 (contract, trap T3). */
mc_taken mc_conduct_no_qos2(mc_link *link, const char *packet)
{
  mc_session *s = link->session;
  mc_count_add(&s->refused, 1);
  mc_count_add(&link->home->count.refused, 1);
  mc_cause_note(link->home, s, MC_CAUSE_QOS, 1);
  if (link->version == MC_MQTT_5) {
    mc_link_end(link, MC_MQTT_QOS_NOT_SUPPORTED, "%s with QoS 2: this client's profile has QoS 0 and 1 (qos2; CONNACK, Maximum QoS)", packet);
    return MC_TAKE_CLOSED;
  }
  if (!link->qos2_told) {
    mc_log(MC_LOG_WARN, "gateway", "QoS 2 is not answered: this client's profile has none", MC_KS("client", mc_session_id(s)), MC_KZ("packet", packet));
    mc_session_set_error(s, "QoS 2 is not answered: its profile has QoS 0 and 1 (qos2)");
  }
  link->qos2_told = true;
  return MC_TAKEN;
}

bool mc_conduct_qos2_step(mc_link *link, mc_mqtt_type type, uint16_t packet_id)
{
  mc_session *s = link->session;
  uint16_t flags;
  if (link->profile->qos2)
    return true;
  if (type == MC_MQTT_PUBREL)
    return mc_packet_ids_get(&s->came, packet_id, &flags);
  uint64_t *at = s->outbox ? mc_outbox_at(s->outbox, packet_id) : NULL;
  return at && (*at & MC_OUT_QOS2);
}

void mc_conduct_resume(mc_session *s)
{
  bool parent = s->link->profile->parent_match;
  for (uint32_t i = 0; i < s->subs.count; i++) {
    mc_sub *sub = (mc_sub *)mc_sub_of_item(&s->subs.item[i]);
    sub->options = (uint8_t)(parent ? sub->options & ~MC_SUB_NOT_PARENT : sub->options | MC_SUB_NOT_PARENT);
  }
}
