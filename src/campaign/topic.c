/* Which topics carry what this module reads (contract fleetwise 3 and 11). */
#include "campaign/campaign.h"

static const char *const prefixes[] = {"$aws/iotfleetwise/vehicles/", "cms/fleetwise/vehicles/"};

mc_stream mc_campaign_stream_of_topic(mc_slice topic, mc_slice *vehicle_name)
{
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
    mc_slice prefix = mc_slice_str(prefixes[i]);
    if (!mc_slice_starts(topic, prefix))
      continue;
    size_t end = mc_slice_find(topic, '/', prefix.len);
    mc_slice name = mc_slice_sub(topic, prefix.len, end - prefix.len);
    mc_slice kind = mc_slice_sub(topic, end + 1, topic.len);
    mc_stream stream = mc_slice_eq_str(kind, "signals")    ? MC_STREAM_TELEMETRY
                       : mc_slice_eq_str(kind, "checkins") ? MC_STREAM_CHECKIN
                                                           : MC_STREAM_MESSAGE;
    if (name.len && stream != MC_STREAM_MESSAGE) {
      *vehicle_name = name;
      return stream;
    }
  }
  return MC_STREAM_MESSAGE;
}
