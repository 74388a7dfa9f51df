/* The agents out there: their defects and limits, and what the platform does about each (contract fleetwise 12.2 and 13). Rows without "fixed in" hold for
 * every version known, up to 1.3.4; a vehicle's attribute agentVersion tells an older one. The README shows this table; a test compares the two. */
#include "campaign/state.h"

const agent_defect agent_defects[AROUND_COUNT] = {
    [AROUND_WINDOW_ONLY] = {"window-only", 0, "a condition of window functions alone is evaluated once and never fires", "an always-true comparison of a plain signal is added"},
    [AROUND_WINDOW_MAXIMUM] = {"window-maximum", 0, "the maximum of a float window starts at the smallest positive value", "refused over a signal that can be negative"},
    [AROUND_DEPTH] = {"depth", 0, "what lies deeper than 10 levels is dropped", "chains of && and || are balanced; what is still deeper is refused"},
    [AROUND_PARTITION_SIZE] = {"partition-size", 0, "a partition of 4 GiB or more wraps", "sent as 4 GiB less one byte"},
    [AROUND_PARTITION_TTL] = {"partition-ttl", 0, "a time to live of 49.7 days or more wraps", "sent as 49 days"},
    [AROUND_TEMPLATE_TEXT] = {"template-text", 0, "text signals in state templates are skipped", "left out, and told"},
    [AROUND_MEMORY] = {"memory", 0, "sample buffers beyond 20 MB are dropped", "campaigns that ask for more than 16 MB together are held back, the least urgent first"},
    [AROUND_CONDITIONS] = {"conditions", 0, "conditions beyond 256 are dropped", "campaigns beyond them are held back, the least urgent first"},
    [AROUND_INT16] = {"int16", 0, "conditions on INT16 signals never fire", "sent as INT32"},
    [AROUND_WIDE_FACTOR] = {"wide-factor", 0, "fractions of factor and offset of 64-bit integers are cut off", "sent as FLOAT64"},
    [AROUND_MULTIPLEX] = {"multiplex", 0, "multiplexed signals decode garbage", "left out of the manifest, and told at import"},
    [AROUND_ID_MASK] = {"id-mask", 0, "only exact CAN ids are matched", "masked ids become the exact ones seen"},
    [AROUND_CLEAR_LIST] = {"clear-list", 0, "an empty document is refused", "an empty list carries a time stamp"},
    [AROUND_IEEE] = {"ieee", AGENT_VERSION(1, 2, 1), "IEEE 754 signals come out as raw integers", "not collected; refused in conditions"},
};

uint32_t agent_version_of(mc_slice text)
{
  uint32_t part[3] = {0}, n = 0;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t d = text.data[i];
    if (d == '.' && n < 2)
      n++;
    else if (d >= '0' && d <= '9' && part[n] < 100)
      part[n] = part[n] * 10 + (d - '0');
    else
      return 0;
  }
  return part[0] > 255 || part[1] > 255 || part[2] > 255 ? 0 : AGENT_VERSION(part[0], part[1], part[2]);
}

/* Limits of memory and of conditions are kept for ours as well: its buffers come from the same 20 MB by default. */
bool agent_needs(agent_kind agent, work_around which)
{
  if (which == AROUND_CLEAR_LIST || which == AROUND_MEMORY || which == AROUND_CONDITIONS)
    return true;
  uint32_t fixed = agent_defects[which].fixed_in;
  return !agent.ours && (!fixed || (agent.version && agent.version < fixed)); /* one that nobody named is taken as the newest known */
}
