#include "signal/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_arena arena = MC_ARENA(1 << 20);
  mc_channel_map map;
  mc_why why = {0};
  mc_bus_frame f = {.channel = 9, .id = 101};
  mc_can_frame out;
  if (mc_channel_map_parse(mc_slice_of(data, size), &arena, &map, &why) == MC_OK)
    mc_can_frame_from_bus(&f, &map, &out);
  else if (!why.text[0])
    __builtin_trap();
  mc_arena_free(&arena);
  return 0;
}
