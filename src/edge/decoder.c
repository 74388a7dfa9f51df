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
  d->custom = mc_arena_array(&d->arena, m->custom_count ? m->custom_count : 1, sizeof *d->custom);
  if (!d->custom)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %u signals", m->custom_count);
  for (uint32_t k = 0; k < m->custom_count; k++)
    d->custom[d->custom_count++] = m->custom[k].signal_id;
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
  if (err == MC_OK && !m.can_count && !m.custom_count && !m.complex_count)
    err = mc_err_set(why, MC_ERR_INVALID, "decoder manifest %.*s: no CAN, no structured and no custom signals", MC_FMT(mc_slice_sub(m.sync_id, 0, 100)));
  decoder *d = err ? NULL : calloc(1, sizeof *d);
  if (err == MC_OK && !d)
    err = mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  if (err == MC_OK) {
    d->arena = MC_ARENA(MAX_ARENA);
    err = mc_arena_copy(&d->arena, m.sync_id, &d->sync_id);
  }
  if (err == MC_OK)
    err = fill(d, &m, config, report, ctx, why);
  if (err == MC_OK)
    err = mc_edge_structures_read(d, &m, report, ctx, why);
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

/* ---- who wants what ---- */

/* Everything that asks for signals of a manifest, one after the other. */
typedef mc_err each_use(void *ctx, uint32_t signal_id, use u);

static mc_err for_each_use(const decoder *d, const mc_inspector *i, each_use *take, void *ctx)
{
  for (size_t k = 0; k < i->campaign.len; k++) {
    campaign *c = i->campaign.at[k];
    for (uint32_t s = 0; c->decoder == d && c->enabled && s < c->slot_count; s++)
      MC_TRY(take(ctx, c->slot[s].signal_id, (use){.campaign = c, .slot = s}));
  }
  for (size_t k = 0; k < i->states.at.len; k++) { /* those that are not active, too: an activation tells what is known already */
    state_template *t = i->states.at.at[k];
    for (uint32_t s = 0; t->decoder == d && s < t->slot_count; s++)
      MC_TRY(take(ctx, t->slot[s].signal_id, (use){.template = t, .slot = s}));
  }
  return MC_OK;
}

typedef struct link_run {
  mc_map index; /* signal id -> index of its state */
  size_t uses;
  signal_state *state;
  use *to; /* NULL: count only */
} link_run;

static mc_err number_one(void *ctx, uint32_t signal_id, use u)
{
  link_run *r = ctx;
  r->uses++;
  return mc_map_get(&r->index, signal_id, NULL) ? MC_OK : mc_map_put(&r->index, signal_id, r->index.len);
}

static mc_err link_one(void *ctx, uint32_t signal_id, use u)
{
  link_run *r = ctx;
  uint64_t n;
  if (!mc_map_get(&r->index, signal_id, &n))
    return MC_OK;
  if (r->to)
    r->to[r->state[n].first_use + r->state[n].use_count] = u;
  r->state[n].use_count++;
  return MC_OK;
}

static mc_err link_uses(const decoder *d, const mc_inspector *i, link_run *r, use *to)
{
  MC_TRY(for_each_use(d, i, link_one, r)); /* counts */
  uint32_t first = 0;
  for (size_t j = 0; j < r->index.len; j++) {
    r->state[j].first_use = first;
    first += r->state[j].use_count;
    r->state[j].use_count = 0;
  }
  r->to = to;
  return for_each_use(d, i, link_one, r);
}

mc_err mc_decoder_compile(decoder *d, const mc_inspector *i, mc_why *why)
{
  link_run r = {0};
  size_t wanted = 0;
  mc_err err = for_each_use(d, i, number_one, &r);
  mc_can_signal *list = calloc(d->signal_count + 1, sizeof *list);
  signal_state *state = calloc(r.index.len + 1, sizeof *state);
  use *to = calloc(r.uses + 1, sizeof *to);
  if (err || !list || !state || !to) {
    err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for the decode plan");
  } else {
    uint64_t n;
    for (size_t k = 0; k < d->signal_count; k++)
      if (mc_map_get(&r.index, d->signal[k].signal_id, &n)) {
        list[wanted] = d->signal[k];
        list[wanted++].encoding_id = (uint32_t)n;
        state[n].type = d->signal[k].type;
      }
    mc_decode_plan *plan = NULL;
    if (wanted)
      err = mc_decode_plan_create(list, wanted, &plan, why);
    if (err == MC_OK) {
      r.state = state;
      (void)link_uses(d, i, &r, to); /* allocates nothing */
      mc_decode_plan_destroy(&d->plan);
      free(d->state);
      free(d->use);
      d->plan = plan;
      d->state = state;
      d->use = to;
      mc_map_free(&d->index);
      d->index = r.index;
      r.index = (mc_map){0};
      state = NULL;
      to = NULL;
    }
  }
  free(list);
  free(state);
  free(to);
  mc_map_free(&r.index);
  return err;
}
