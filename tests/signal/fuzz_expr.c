#include <stdlib.h>

#include "signal/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t lookup(void *ctx, mc_slice fqn) { return fqn.len == 1 ? fqn.data[0] : 0; }
static mc_slice name(void *ctx, uint32_t id)
{
  static uint8_t letter;
  letter = (uint8_t)id;
  return mc_slice_of(&letter, 1);
}
static mc_value value(void *ctx, uint32_t id)
{
  return (mc_value){id % 4, id & 8, id * 0.5, MC_LIT("text")};
}
static bool is_new(void *ctx, uint32_t id) { return id & 1; }
static mc_value window(void *ctx, uint32_t id, mc_window w) { return value(ctx, id + w); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_arena arena = MC_ARENA(16 << 20);
  mc_expr *e, *again;
  mc_why why = {0};
  mc_expr_env env = {.signal = value, .is_new = is_new, .window = window};
  if (mc_expr_parse(mc_slice_of(data, size), lookup, NULL, false, &arena, &e, &why) == MC_OK) {
    env.memory = calloc(mc_expr_memory(e) + 1, 1); /* of its own size: what writes beyond it is seen */
    for (int i = 0; i < 2 && env.memory; i++)
      mc_value_is_true(mc_expr_eval(e, &env));
    free(env.memory);
    mc_buf text = {0}, text2 = {0};
    if (mc_expr_print(e, name, NULL, &text))
      __builtin_trap();
    if (text.len <= 1000) { /* brackets and spaces may lengthen it beyond the limit */
      if (mc_expr_parse(mc_buf_slice(&text), lookup, NULL, false, &arena, &again, &why) || mc_expr_depth(e) != mc_expr_depth(again) ||
          mc_expr_print(again, name, NULL, &text2) || !mc_slice_eq(mc_buf_slice(&text), mc_buf_slice(&text2)))
        __builtin_trap();
    }
    mc_buf_free(&text);
    mc_buf_free(&text2);
  } else if (!why.text[0] || e) {
    __builtin_trap();
  }
  mc_arena_free(&arena);
  return 0;
}
