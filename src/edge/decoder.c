#include "edge/decoder.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"

/* A manifest becomes mc_can_signals once; the plan holds only the signals that somebody collects, with the index of their
 * state as encoding id, so that a decoded value finds its users without a search. */

enum { MAX_ARENA = 256 << 20 };

static mc_err one_signal(const mc_fw_can_signal *f, const mc_inspector_config *config, mc_arena *arena, mc_can_signal *out, mc_why *why)
{
  bool flagged = f->message_id >> 31;
  uint32_t id = f->message_id & 0x1FFFFFFF;
  int channel = config->channel_of(config->ctx, f->interface_id);
  if (channel < 0)
    return MC_ERR_NOT_FOUND; /* another vehicle's interface: no fault */
  if (f->length < 1 || f->length > 64 || f->start_bit > 511)
    return mc_err_set(why, MC_ERR_INVALID, "start bit %u, length %u: 1 to 64 bits inside 64 bytes are needed", f->start_bit, f->length);
  *out = (mc_can_signal){.signal_id = f->signal_id,
                         .channel = (uint16_t)channel,
                         .message_id = id,
                         .extended = flagged || id > 0x7FF,
                         .big_endian = f->big_endian,
                         .is_signed = f->is_signed,
                         .is_float = f->value_type == 1,
                         .start_bit = (uint16_t)f->start_bit,
                         .length = (uint16_t)f->length,
                         .factor = f->factor,
                         .offset = f->offset,
                         .type = (mc_type)f->type};
  uint32_t mask = f->id_mask & 0x1FFFFFFF;
  if (mask && mask != 0x1FFFFFFF) {
    if (!out->extended || (mask & 0xFF) || (mask >> 26) == 7)
      return mc_err_set(why, MC_ERR_UNSUPPORTED, "id mask 0x%X: only masks that leave out priority and source address of a 29-bit id are known (J1939)", mask);
    out->match = MC_ID_J1939_PGN;
  }
  if (f->mux_count > 4)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "%u multiplexors in a chain: at most 4 are known", f->mux_count);
  out->mux_count = (uint8_t)f->mux_count;
  for (uint32_t m = 0; m < f->mux_count; m++) {
    const mc_fw_mux *from = &f->mux[m];
    if (from->start_bit > 511 || from->length < 1 || from->length > 64)
      return mc_err_set(why, MC_ERR_INVALID, "multiplexor at bit %u of %u bits does not fit in 64 bytes", from->start_bit, from->length);
    struct mc_mux_range *range = mc_arena_array(arena, from->range_count ? from->range_count : 1, sizeof *range);
    if (!range)
      return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
    for (uint32_t r = 0; r < from->range_count; r++)
      range[r] = (struct mc_mux_range){from->range[2 * r], from->range[2 * r + 1]};
    out->mux[m].start_bit = (uint16_t)from->start_bit;
    out->mux[m].length = (uint16_t)from->length;
    out->mux[m].big_endian = from->big_endian;
    out->mux[m].range_count = from->range_count;
    out->mux[m].ranges = range;
  }
  mc_decode_plan *probe; /* the compiler knows the rest of the rules */
  MC_TRY(mc_decode_plan_create(out, 1, &probe, why));
  mc_decode_plan_destroy(&probe);
  return MC_OK;
}

static mc_err fill(decoder *d, const mc_fw_manifest *m, const mc_inspector_config *config, void (*report)(void *, const char *), void *ctx, mc_why *why)
{
  /* An 11-bit number without the flag may mean a 29-bit id (contract 5.2): then it stands for both. */
  d->signal = mc_arena_array(&d->arena, (size_t)m->can_count * 2 + 1, sizeof *d->signal);
  if (!d->signal)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %u signals", m->can_count);
  size_t told = 0;
  for (uint32_t k = 0; k < m->can_count; k++) {
    mc_can_signal *s = &d->signal[d->signal_count];
    mc_why reason = {0};
    mc_err err = one_signal(&m->can[k], config, &d->arena, s, &reason);
    if (err == MC_ERR_NOT_FOUND)
      continue;
    if (err == MC_ERR_MEMORY)
      return mc_err_set(why, err, "out of memory");
    if (err) {
      char text[700];
      snprintf(text, sizeof text, "%.*s: signal %u left out: %s", (int)(m->sync_id.len < 100 ? m->sync_id.len : 100), (const char *)m->sync_id.data,
               m->can[k].signal_id, reason.text);
      if (told++ < 16)
        report(ctx, text);
      continue;
    }
    d->signal_count++;
    if (!s->extended && s->match == MC_ID_EXACT) {
      mc_can_signal *wide = &d->signal[d->signal_count++];
      *wide = *s;
      wide->extended = 1;
    }
  }
  return MC_OK;
}

mc_err mc_decoder_create(mc_slice protobuf, const mc_inspector_config *config, decoder **out, void (*report)(void *, const char *), void *ctx, mc_why *why)
{
  *out = NULL;
  mc_arena scratch = MC_ARENA(MAX_ARENA);
  mc_fw_manifest m;
  mc_err err = mc_fw_read_manifest(protobuf, &scratch, &m, why);
  if (err == MC_OK && !m.sync_id.len)
    err = mc_err_set(why, MC_ERR_INVALID, "decoder manifest: sync_id is empty");
  if (err == MC_OK && !m.can_count && !m.custom_count)
    err = mc_err_set(why, MC_ERR_INVALID, "decoder manifest %.*s: no CAN and no custom signals", MC_FMT(mc_slice_sub(m.sync_id, 0, 100)));
  decoder *d = err ? NULL : calloc(1, sizeof *d);
  if (err == MC_OK && !d)
    err = mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  if (err == MC_OK) {
    d->arena = MC_ARENA(MAX_ARENA);
    err = mc_arena_copy(&d->arena, m.sync_id, &d->sync_id);
  }
  if (err == MC_OK)
    err = fill(d, &m, config, report, ctx, why);
  mc_arena_free(&scratch);
  if (err) {
    mc_decoder_destroy(d);
    return err;
  }
  *out = d;
  return MC_OK;
}

void mc_decoder_destroy(decoder *d)
{
  if (!d)
    return;
  mc_decode_plan_destroy(&d->plan);
  free(d->state);
  free(d->use);
  mc_map_free(&d->index);
  mc_arena_free(&d->arena);
  free(d);
}

/* Numbers the wanted signals: signal id -> index. */
static mc_err number_wanted(decoder *d, campaign *const *campaign_at, size_t count, mc_map *index, size_t *uses)
{
  *uses = 0;
  for (size_t k = 0; k < count; k++) {
    const campaign *c = campaign_at[k];
    if (c->decoder != d || !c->enabled)
      continue;
    for (uint32_t s = 0; s < c->slot_count; s++, (*uses)++)
      if (!mc_map_get(index, c->slot[s].signal_id, NULL))
        MC_TRY(mc_map_put(index, c->slot[s].signal_id, index->len));
  }
  return MC_OK;
}

static void link_uses(decoder *d, campaign *const *campaign_at, size_t count, const mc_map *index, signal_state *state, use *to, size_t states)
{
  uint64_t n;
  for (int pass = 0; pass < 2; pass++) { /* count, then place */
    for (size_t k = 0; k < count; k++) {
      campaign *c = campaign_at[k];
      if (c->decoder != d || !c->enabled)
        continue;
      for (uint32_t s = 0; s < c->slot_count; s++)
        if (mc_map_get(index, c->slot[s].signal_id, &n)) {
          if (pass)
            to[state[n].first_use + state[n].use_count] = (use){c, s};
          state[n].use_count++;
        }
    }
    uint32_t first = 0;
    for (size_t j = 0; pass == 0 && j < states; j++) {
      state[j].first_use = first;
      first += state[j].use_count;
      state[j].use_count = 0;
    }
  }
}

mc_err mc_decoder_compile(decoder *d, campaign *const *campaign_at, size_t count, mc_why *why)
{
  mc_map index = {0};
  size_t uses, wanted = 0;
  mc_err err = number_wanted(d, campaign_at, count, &index, &uses);
  size_t states = index.len;
  mc_can_signal *list = calloc(d->signal_count + 1, sizeof *list);
  signal_state *state = calloc(states + 1, sizeof *state);
  use *to = calloc(uses + 1, sizeof *to);
  if (err || !list || !state || !to) {
    err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for the decode plan");
  } else {
    uint64_t n;
    for (size_t k = 0; k < d->signal_count; k++)
      if (mc_map_get(&index, d->signal[k].signal_id, &n)) {
        list[wanted] = d->signal[k];
        list[wanted++].encoding_id = (uint32_t)n;
      }
    mc_decode_plan *plan = NULL;
    if (wanted)
      err = mc_decode_plan_create(list, wanted, &plan, why);
    if (err == MC_OK) {
      link_uses(d, campaign_at, count, &index, state, to, states);
      mc_decode_plan_destroy(&d->plan);
      free(d->state);
      free(d->use);
      d->plan = plan;
      d->state = state;
      d->use = to;
      mc_map_free(&d->index);
      d->index = index;
      index = (mc_map){0};
      state = NULL;
      to = NULL;
    }
  }
  free(list);
  free(state);
  free(to);
  mc_map_free(&index);
  return err;
}
