/* Topic matching against the definition, written plainly: input is a filter, a NUL and a topic. */
#include <stdlib.h>

#include "format/mqtt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 4.7.1 level by level. */
static bool matches(mc_slice filter, mc_slice topic)
{
  size_t f = mc_slice_find(filter, '/', 0), t = mc_slice_find(topic, '/', 0);
  mc_slice level = mc_slice_sub(filter, 0, f);
  if (mc_slice_eq_str(level, "#"))
    return true;
  if (!mc_slice_eq_str(level, "+") && !mc_slice_eq(level, mc_slice_sub(topic, 0, t)))
    return false;
  if (f == filter.len || t == topic.len)
    return (f == filter.len && t == topic.len) || (t == topic.len && mc_slice_eq_str(mc_slice_sub(filter, f, filter.len), "/#"));
  return matches(mc_slice_sub(filter, f + 1, filter.len), mc_slice_sub(topic, t + 1, topic.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_slice in = mc_slice_of(data, size);
  size_t cut = mc_slice_find(in, 0, 0);
  mc_slice filter = mc_slice_sub(in, 0, cut), topic = mc_slice_sub(in, cut + 1, in.len);
  bool got = mc_mqtt_topic_matches(filter, topic);
  mc_slice group, rest;
  if (mc_mqtt_shared_split(filter, &group, &rest) && (group.len == 0 || !mc_mqtt_filter_valid(rest)))
    abort();
  if (!mc_mqtt_filter_valid(filter) || !mc_mqtt_topic_valid(topic) || size > 4096)
    return 0;
  bool hidden = topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#');
  if (got != (!hidden && matches(filter, topic)))
    abort();
  return 0;
}
