/* gateway and campaign may not know each other, and both must tell the same streams by topic. */
#include "campaign/campaign.h"
#include "gateway/gateway.h"
#include "tap.h"

static void test_gateway_and_campaign_agree_on_every_topic(void)
{
  static const char *const prefixes[] = {"$aws/iotfleetwise/", "cms/fleetwise/", "$aws/things/", "", "x/", "$aws/commands/", "cms/commands/"};
  static const char *const middles[] = {"vehicles/", "vehicle/", "", "things/"};
  static const char *const names[] = {"v1/", "a b/", "/", "\xc3\xa9/", ""};
  static const char *const ends[] = {"signals", "checkins", "signals/", "signal", "checkins/x", "", "last_known_states/data", "executions/e1/response/protobuf", "executions//response/protobuf",
                                     "executions/e1/response/json", "executions/e1/request/protobuf", "executions/e1/x/response/protobuf"};
  int told = 0;
  for (size_t p = 0; p < 7; p++)
    for (size_t m = 0; m < 4; m++)
      for (size_t n = 0; n < 5; n++)
        for (size_t e = 0; e < 12; e++) {
          char topic[200];
          mc_slice name;
          snprintf(topic, sizeof topic, "%s%s%s%s", prefixes[p], middles[m], names[n], ends[e]);
          mc_stream stream = mc_campaign_stream_of_topic(mc_slice_str(topic), &name);
          if (stream != mc_gateway_stream_of_topic(mc_slice_str(topic)))
            TAP_FAIL("they differ on \"%s\"", topic);
          told += stream != MC_STREAM_MESSAGE;
        }
  CHECK_INT(told, 2 * 3 * 3 + 2 * 3 * 2); /* two prefixes, three names, three kinds; two prefixes of commands, three names, with and without an id */
}

int main(void)
{
  RUN(test_gateway_and_campaign_agree_on_every_topic);
  return tap_done();
}
