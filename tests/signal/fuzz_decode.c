/* A DBC, 0xFF, then frames: whatever the layouts and lengths, decoding stays inside the frame and inside its output. */
#include "signal/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool number(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *id, uint32_t *encoding)
{
  *id = ++*(uint32_t *)ctx;
  *encoding = *id;
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_slice all = mc_slice_of(data, size);
  size_t split = mc_slice_find(all, 0xFF, 0);
  mc_slice frames = mc_slice_sub(all, split + 1, size);
  mc_arena arena = MC_ARENA(32 << 20);
  mc_dbc dbc;
  mc_why why;
  mc_can_signal_vec v = {0};
  mc_decode_plan *plan = NULL;
  uint32_t ids = 0;
  if (mc_dbc_parse(mc_slice_sub(all, 0, split), "fuzz.dbc", &arena, &dbc, &why) == MC_OK &&
      mc_signals_from_dbc(&dbc, 0, (mc_dbc_resolver){&ids, number}, &arena, &v, &why) == MC_OK &&
      mc_decode_plan_create(v.at, v.len, &plan, &why) == MC_OK) {
    size_t cap = mc_decode_plan_max_per_frame(plan);
    mc_decoded *out = malloc((cap + 1) * sizeof *out);
    for (uint32_t m = 0; m < dbc.message_count && out; m++) {
      mc_can_frame f = {.id = dbc.message[m].id, .extended = dbc.message[m].extended};
      f.len = frames.len ? frames.data[0] % 65 : 8;
      memcpy(f.data, frames.data ? frames.data : f.data, frames.len < 64 ? frames.len : 64);
      size_t n = mc_decode_plan_run(plan, &f, out, cap);
      if (n > cap)
        __builtin_trap();
      frames = mc_slice_sub(frames, 8, frames.len);
    }
    for (size_t i = 0; i < v.len; i++) {
      uint8_t bytes[64] = {0};
      mc_can_signal_encode(&v.at[i], (double)i * 3.7 - 5, bytes);
    }
    free(out);
  }
  mc_decode_plan_destroy(&plan);
  mc_vec_free(&v);
  mc_arena_free(&arena);
  return 0;
}
