/* Structured signals: messages of the vehicle's middleware, taken apart for whoever asks for a part of them, or for all. */
#include <math.h>
#include <stdio.h>

#include "edge/inspect.h"

enum { TEXT_MAX = 100000 /* all of a message, or a text of it, must fit into one event message of 128 KiB */ };

mc_err mc_edge_structures_read(decoder *d, const mc_fw_manifest *m, void (*report)(void *ctx, const char *text), void *ctx, mc_why *why)
{
  enum { TOLD = 16 };
  size_t told = 0;
  d->structure = mc_arena_array(&d->arena, m->complex_count ? m->complex_count : 1, sizeof *d->structure);
  if (!d->structure)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %u structured signals", m->complex_count);
  MC_TRY(mc_cdr_types_of(m->complex_type, m->complex_type_count, &d->arena, &d->types, why));
  for (uint32_t k = 0; k < m->complex_count; k++) {
    const mc_fw_complex_signal *from = &m->complex[k];
    structure *s = &d->structure[d->structure_count];
    mc_why reason = {0};
    mc_err err = mc_cdr_check(&d->types, from->root_type, &reason);
    if (err == MC_OK && (!from->signal_id || from->signal_id >> 31))
      err = mc_err_set(&reason, MC_ERR_INVALID, "signal id %u: 1 to 2147483647 are allowed", from->signal_id);
    if (err && err != MC_ERR_MEMORY) {
      char text[700];
      snprintf(text, sizeof text, "%.*s: structured signal %u left out: %s", (int)(d->sync_id.len < 100 ? d->sync_id.len : 100), (const char *)d->sync_id.data, from->signal_id, reason.text);
      if (told++ < TOLD)
        report(ctx, text);
      continue;
    }
    *s = (structure){.signal_id = from->signal_id, .root = from->root_type};
    if (err || mc_arena_copy(&d->arena, from->interface_id, &s->interface_id) || mc_arena_copy(&d->arena, from->message_id, &s->message_id))
      return mc_err_set(why, MC_ERR_MEMORY, "out of memory for structured signals");
    d->structure_count++;
  }
  return MC_OK;
}

static double number_of(const mc_fw_value *v)
{
  if (v->type == MC_FW_TYPE_FLOAT64)
    return v->d;
  if (v->type == MC_FW_TYPE_FLOAT32)
    return (double)v->f;
  return v->type >= MC_FW_TYPE_INT8 && v->type <= MC_FW_TYPE_INT64 ? (double)v->i : (double)v->u;
}

/* One use of a message: a part of it, or all. The whole is made once for all that ask. */
static mc_err take(mc_inspector *i, const decoder *d, const structure *s, const mc_structured_message *m, campaign *c, slot *to, size_t *values, mc_why *why)
{
  bool look;
  if (to->path_count) {
    mc_fw_value v;
    mc_err err = mc_cdr_find(&d->types, s->root, m->cdr, to->path, to->path_count, &v, &i->structure_text, why);
    if (err == MC_ERR_NOT_FOUND) /* a list that is shorter this time */
      return MC_OK;
    if (err)
      return err;
    if (v.type == MC_FW_TYPE_STRING && v.text.len > TEXT_MAX)
      return mc_err_set(why, MC_ERR_TOO_LARGE, "a text of %zu bytes: at most %d are taken", v.text.len, TEXT_MAX);
    if (v.type != MC_FW_TYPE_STRING && !isfinite(number_of(&v))) /* how middleware says that nothing was measured; frames give no such value either */
      return MC_OK;
    look = v.type == MC_FW_TYPE_STRING ? mc_edge_campaign_text(i, c, to, m->time_us, v.text) : mc_edge_campaign_sample(i, c, to, m->time_us, number_of(&v));
  } else {
    if (!i->structure.len)
      MC_TRY(mc_cdr_json(&d->types, s->root, m->cdr, TEXT_MAX, &i->structure, why));
    look = mc_edge_campaign_text(i, c, to, m->time_us, mc_buf_slice(&i->structure));
  }
  ++*values;
  if (look)
    mc_edge_inspector_mark(i, c);
  return MC_OK;
}

/* Each use is tried: a path that a manifest cannot have does not keep others from theirs. The first thing that is wrong is told. */
static mc_err give(mc_inspector *i, const decoder *d, const structure *s, const mc_structured_message *m, size_t *values, mc_why *why)
{
  uint64_t state;
  mc_err err = MC_OK;
  mc_buf_clear(&i->structure);
  if (!mc_map_get(&d->index, s->signal_id, &state))
    return MC_ERR_NOT_FOUND;
  const signal_state *st = &d->state[state];
  for (uint32_t k = 0; k < st->use_count; k++) {
    const use *u = &d->use[st->first_use + k];
    mc_why text = {0};
    mc_err one = u->campaign ? take(i, d, s, m, u->campaign, &u->campaign->slot[u->slot], values, &text) : MC_OK; /* state templates have no value for a structure */
    if (one && !err && why)
      *why = text;
    err = err ? err : one;
  }
  return err;
}

mc_err mc_inspector_message(mc_inspector *i, const mc_structured_message *m, size_t *values, mc_why *why)
{
  mc_err err = MC_ERR_NOT_FOUND;
  *values = 0;
  mc_edge_inspector_begin(i, m->time_us);
  for (size_t k = 0; k < i->decoder.len; k++) {
    const decoder *d = i->decoder.at[k];
    for (size_t n = 0; n < d->structure_count; n++) {
      const structure *s = &d->structure[n];
      if (!mc_slice_eq(s->message_id, m->message_id) || !mc_slice_eq(s->interface_id, m->interface_id))
        continue;
      mc_err one = give(i, d, s, m, values, err == MC_OK || err == MC_ERR_NOT_FOUND ? why : NULL);
      if (one != MC_ERR_NOT_FOUND && (err == MC_OK || err == MC_ERR_NOT_FOUND))
        err = one;
    }
  }
  mc_edge_inspector_end(i);
  i->damaged += err != MC_OK && err != MC_ERR_NOT_FOUND;
  return err;
}
