/* Device shadows: who publishes their answers, and which limits hold for whom. */
#include "app/motorcade/server.h"

static mc_err publish_answer(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why)
{
  const server *s = ctx;
  return mc_gateway_publish(s->gateway, tenant, topic, payload, 1, false, why);
}

/* As for MQTT: the profile that its groups give a thing, or that of the listener for devices. */
static mc_shadow_limits limits_of(void *ctx, uint32_t tenant, mc_slice name)
{
  const server *s = ctx;
  mc_thing thing;
  char text[32];
  mc_profile_name profile = (mc_profile_name)s->set.mqtt_profile;
  if (mc_registry_thing_find(s->registry, tenant, name, &thing) == MC_OK && mc_registry_thing_profile(s->registry, tenant, thing.id, text) == MC_OK)
    mc_profile_parse(mc_slice_str(text), &profile);
  const mc_profile *p = &s->set.profile[profile];
  return (mc_shadow_limits){.bytes = p->shadow_bytes, .depth = p->shadow_depth, .per_second = p->shadow_requests_per_s};
}

mc_err server_shadows_open(server *s, mc_why *why)
{
  mc_shadows_config config = {.db = s->db, .journal = s->journal, .publish = publish_answer, .limits_of = limits_of, .ctx = s, .history = s->set.shadow_history};
  return mc_shadows_open(&config, &s->shadows, why);
}
