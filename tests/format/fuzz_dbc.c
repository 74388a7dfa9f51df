#include "format/dbc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_arena arena = MC_ARENA(64 << 20);
  mc_dbc dbc;
  mc_why why = {0};
  mc_err err = mc_dbc_parse(mc_slice_of(data, size), "fuzz.dbc", &arena, &dbc, &why);
  if (err && (!why.text[0] || dbc.message_count))
    __builtin_trap(); /* a refusal says why and leaves nothing */
  for (uint32_t i = 0; i < dbc.message_count; i++) {
    const mc_dbc_message *m = &dbc.message[i];
    for (uint32_t k = 0; k < m->signal_count; k++) {
      const mc_dbc_signal *s = &m->signal[k];
      if (s->length < 1 || s->length > 64 || s->factor == 0 || (s->mux_switch.len && !mc_dbc_message_find(m, s->mux_switch)))
        __builtin_trap();
      if (!mc_slice_is_utf8(s->unit) || !mc_slice_is_utf8(s->comment) || !mc_slice_is_utf8(s->name))
        __builtin_trap();
    }
  }
  mc_arena_free(&arena);
  return 0;
}
