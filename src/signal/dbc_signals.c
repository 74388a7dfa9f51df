/* From a parsed DBC to the manifest's signals. */
#include "base/map.h"
#include "signal/signal.h"

typedef struct builder {
  const mc_dbc_message *m;
  mc_strmap by_name; /* signal name -> index in m, only for messages with multiplexing */
  mc_arena *arena;
  mc_why *why;
} builder;

static mc_err copy_ranges(builder *b, const mc_dbc_signal *s, const struct mc_mux_range **out)
{
  struct mc_mux_range *r = mc_arena_array(b->arena, s->mux_range_count, sizeof *r);
  if (!r)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < s->mux_range_count; i++)
    r[i] = (struct mc_mux_range){s->mux_range[i].low, s->mux_range[i].high};
  *out = r;
  return MC_OK;
}

/* From the signal up to the root switch. */
static mc_err add_chain(builder *b, const mc_dbc_signal *s, mc_can_signal *c)
{
  const mc_dbc_signal *below = s;
  while (below->mux_switch.len) {
    uint64_t at;
    if (c->mux_count == 4)
      return mc_err_set(b->why, MC_ERR_UNSUPPORTED, "line %u: signal %.*s of message %.*s hangs on more than 4 switches", s->line,
                        MC_FMT(s->name), MC_FMT(b->m->name));
    if (!mc_strmap_get(&b->by_name, below->mux_switch, &at))
      return mc_err_set(b->why, MC_ERR_INVALID, "line %u: signal %.*s of message %.*s hangs on %.*s, which is not in the message",
                        s->line, MC_FMT(s->name), MC_FMT(b->m->name), MC_FMT(below->mux_switch));
    const mc_dbc_signal *on = &b->m->signal[at];
    MC_TRY(copy_ranges(b, below, &c->mux[c->mux_count].ranges));
    c->mux[c->mux_count].range_count = below->mux_range_count;
    c->mux[c->mux_count].start_bit = on->lsb;
    c->mux[c->mux_count].length = on->length;
    c->mux[c->mux_count].big_endian = on->big_endian;
    c->mux_count++;
    below = on;
  }
  return MC_OK;
}

static mc_can_signal from_dbc(const mc_dbc_message *m, const mc_dbc_signal *s, uint16_t channel)
{
  return (mc_can_signal){
      .channel = channel,
      .message_id = m->id,
      .extended = m->extended,
      .match = m->j1939 ? MC_ID_J1939_PGN : MC_ID_EXACT,
      .big_endian = s->big_endian,
      .is_signed = s->is_signed && !s->float_bits,
      .is_float = s->float_bits != 0,
      .start_bit = s->lsb,
      .length = s->length,
      .factor = s->factor,
      .offset = s->offset,
      .type = mc_signal_type_of_dbc(s),
  };
}

/* Signals of J1939 transport messages lie beyond 64 bytes: no single frame holds them. */
static bool fits_a_frame(const mc_dbc_signal *s)
{
  uint32_t last = s->big_endian ? s->lsb / 8u : (s->lsb + s->length - 1u) / 8u;
  uint32_t reading_order = s->lsb / 8u * 8 + (7 - s->lsb % 8u);
  return last < 64 && (!s->big_endian || reading_order + 1 >= s->length);
}

static mc_err add_message(builder *b, uint16_t channel, mc_dbc_resolver resolver, mc_can_signal_vec *out)
{
  for (uint32_t i = 0; i < b->m->signal_count; i++)
    if (b->m->signal[i].mux != MC_DBC_PLAIN)
      MC_TRY(mc_strmap_put(&b->by_name, b->m->signal[i].name, i));
  for (uint32_t i = 0; i < b->m->signal_count; i++) {
    const mc_dbc_signal *s = &b->m->signal[i];
    mc_can_signal c = from_dbc(b->m, s, channel);
    if (!fits_a_frame(s) || !resolver.resolve(resolver.ctx, b->m, s, &c.signal_id, &c.encoding_id))
      continue;
    MC_TRY(add_chain(b, s, &c));
    MC_TRY(mc_vec_push(out, c));
  }
  return MC_OK;
}

mc_err mc_signals_from_dbc(const mc_dbc *dbc, uint16_t channel, mc_dbc_resolver resolver, mc_arena *arena, mc_can_signal_vec *out, mc_why *why)
{
  for (uint32_t i = 0; i < dbc->message_count; i++) {
    builder b = {.m = &dbc->message[i], .arena = arena, .why = why};
    if (why)
      why->err = MC_OK;
    mc_err err = add_message(&b, channel, resolver, out);
    mc_strmap_free(&b.by_name);
    if (err == MC_ERR_MEMORY)
      return mc_err_set(why, err, "out of memory for %u messages", dbc->message_count);
    MC_TRY(err);
  }
  return MC_OK;
}
