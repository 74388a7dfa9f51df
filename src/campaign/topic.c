/* Which topics carry what this module reads (contract fleetwise 3 and 11). */
#include "campaign/state.h"

static const char *const vehicles[] = {"$aws/iotfleetwise/vehicles/", "cms/fleetwise/vehicles/"}, *const things[] = {"$aws/commands/things/", "cms/commands/things/"};
static const struct { const char *rest; topic_kind kind; } up[] = {{"signals", TOPIC_SIGNALS}, {"checkins", TOPIC_CHECKIN}, {"last_known_states/data", TOPIC_STATE}};

/* What stands behind one of the prefixes: a name, and the rest behind its slash. */
static bool split(mc_slice topic, const char *const prefix[2], mc_slice *name, mc_slice *rest)
{
  for (int i = 0; i < 2; i++) {
    mc_slice p = mc_slice_str(prefix[i]);
    if (!mc_slice_starts(topic, p))
      continue;
    size_t end = mc_slice_find(topic, '/', p.len);
    *name = mc_slice_sub(topic, p.len, end - p.len);
    *rest = mc_slice_sub(topic, end + 1, topic.len);
    return name->len > 0;
  }
  return false;
}

topic_kind campaign_topic(mc_slice topic, mc_slice *vehicle_name, mc_slice *execution)
{
  mc_slice name, rest;
  *execution = (mc_slice){0};
  if (split(topic, vehicles, &name, &rest)) {
    for (size_t i = 0; i < sizeof up / sizeof up[0]; i++)
      if (mc_slice_eq_str(rest, up[i].rest)) {
        *vehicle_name = name;
        return up[i].kind;
      }
  } else if (split(topic, things, &name, &rest) && mc_slice_starts(rest, MC_LIT("executions/"))) {
    mc_slice id = mc_slice_sub(rest, sizeof "executions/" - 1, rest.len);
    size_t end = mc_slice_find(id, '/', 0);
    if (mc_slice_eq_str(mc_slice_sub(id, end, id.len), "/response/protobuf")) {
      *vehicle_name = name;
      *execution = mc_slice_sub(id, 0, end); /* empty: the agent could not read the request */
      return TOPIC_RESPONSE;
    }
  }
  return TOPIC_OTHER;
}

mc_stream mc_campaign_stream_of_topic(mc_slice topic, mc_slice *vehicle_name)
{
  static const mc_stream stream[] = {[TOPIC_OTHER] = MC_STREAM_MESSAGE, [TOPIC_SIGNALS] = MC_STREAM_TELEMETRY, [TOPIC_CHECKIN] = MC_STREAM_CHECKIN,
                                     [TOPIC_STATE] = MC_STREAM_TELEMETRY, [TOPIC_RESPONSE] = MC_STREAM_CHECKIN};
  mc_slice execution;
  return stream[campaign_topic(topic, vehicle_name, &execution)];
}
