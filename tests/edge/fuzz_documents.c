/* Any manifest and any scheme list, then frames: first two bytes split the input in three. */
#include <stdlib.h>

#include "edge/edge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int channel_of(void *ctx, mc_slice id) { return id.len ? id.data[0] % 4 : 0; }
static void collected(void *ctx, const mc_collected *e)
{
  if (e->payload.len > 131072 && e->samples > 1)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 4)
    return 0;
  size_t a = mc_load_le16(data) % (size - 3), b = mc_load_le16(data + 2) % (size - 3 - a);
  mc_slice rest = mc_slice_of(data + 4, size - 4);
  mc_slice manifest = mc_slice_sub(rest, 0, a), schemes = mc_slice_sub(rest, a, b), frames = mc_slice_sub(rest, a + b, rest.len);
  mc_inspector_config config = {.channel_of = channel_of, .collected = collected, .sample_memory = 1 << 20};
  mc_inspector *i;
  if (mc_inspector_create(&config, &i, NULL))
    return 0;
  int64_t now = 1700000000000000LL;
  mc_inspector_tick(i, now);
  mc_inspector_set_manifest(i, manifest, NULL);
  mc_inspector_set_schemes(i, schemes, now, NULL);
  for (size_t at = 0; at + 14 <= frames.len; at += 14) {
    const uint8_t *p = frames.data + at;
    mc_can_frame f = {.id = mc_load_le16(p), .extended = p[2] & 1, .len = p[2] >> 4 & 15, .channel = p[3] % 4, .time_us = now += mc_load_le16(p + 4) * 100};
    memcpy(f.data, p + 6, 8);
    mc_inspector_frame(i, &f);
  }
  mc_inspector_set_schemes(i, schemes, now, NULL);
  mc_inspector_tick(i, now + 3000000);
  const mc_slice *list;
  for (size_t n = mc_inspector_errors(i, &list), k = 0; k < n; k++)
    if (!list[k].data)
      abort();
  mc_inspector_destroy(&i);
  return 0;
}
