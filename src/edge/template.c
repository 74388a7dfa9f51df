/* State templates: the delta that a document is, what a value means in its own type, when it is told. Semantics: contract fleetwise 5.6, with what
 * README, "State templates" says differently. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "edge/decoder.h"

enum {
  TEMPLATES_MAX = 4096,
  SLOTS_MAX = 262144,     /* of all templates together */
  ERRORS_MAX = 16,
  CHANGE_APART_US = 1000000, /* changes are told at once, and then at most so often */
  SIGNALS_A_MESSAGE = 1000
};
static const double nearly = 0.001; /* floats that differ by less are the same (5.6) */

/* ---- the list ---- */
void mc_edge_template_free(state_template *t)
{
  if (!t)
    return;
  mc_buf_free(&t->bytes);
  free(t->slot);
  free(t);
}

void mc_edge_templates_free(state_templates *s)
{
  for (size_t k = 0; k < s->at.len; k++)
    mc_edge_template_free(s->at.at[k]);
  for (size_t k = 0; k < s->error.len; k++)
    free(s->error.at[k]);
  mc_vec_free(&s->at);
  mc_vec_free(&s->error);
  mc_buf_free(&s->plain);
  mc_buf_free(&s->packed);
}

static state_template *find(const state_templates *s, mc_slice sync_id)
{
  for (size_t k = 0; k < s->at.len; k++)
    if (mc_slice_eq(s->at.at[k]->sync_id, sync_id))
      return s->at.at[k];
  return NULL;
}

static mc_err check(const state_templates *s, mc_slice manifest_id, const mc_fw_state_template *from, mc_why *why)
{
  if (!from->sync_id.len || from->sync_id.len > UINT16_MAX || !manifest_id.len || manifest_id.len > UINT16_MAX)
    return mc_err_set(why, MC_ERR_INVALID, "a state template needs a sync id and a decoder manifest's");
  if (!from->signal_count)
    return mc_err_set(why, MC_ERR_INVALID, "no signals");
  if (s->at.len >= TEMPLATES_MAX || from->signal_count > SLOTS_MAX - s->slots)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "%u signals beside %u: at most %d templates and %d signals in them are taken", from->signal_count, s->slots, TEMPLATES_MAX, SLOTS_MAX);
  if (from->periodic && (!from->period_ms || from->period_ms > (uint64_t)INT64_MAX / 1000000))
    return mc_err_set(why, MC_ERR_INVALID, "a period of %llu ms", (unsigned long long)from->period_ms);
  for (uint32_t k = 0; k < from->signal_count; k++)
    if (!from->signal[k] || from->signal[k] >> 31)
      return mc_err_set(why, MC_ERR_INVALID, "signal id %u: 1 to 2147483647 are allowed", from->signal[k]);
  return MC_OK;
}

mc_err mc_edge_template_add(state_templates *s, mc_slice manifest_id, const mc_fw_state_template *from, state_template **out, mc_why *why)
{
  MC_TRY(check(s, manifest_id, from, why));
  state_template *t = calloc(1, sizeof *t);
  state_slot *slots = calloc(from->signal_count, sizeof *slots);
  if (t)
    *t = (state_template){.periodic = from->periodic, .period_us = (int64_t)from->period_ms * 1000, .deactivate_us = INT64_MAX, .slot = slots, .slot_count = from->signal_count};
  if (!t || !slots || mc_buf_append_slice(&t->bytes, from->sync_id) || mc_buf_append_slice(&t->bytes, manifest_id) || mc_vec_push(&s->at, t)) {
    if (!t)
      free(slots);
    mc_edge_template_free(t);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a state template");
  }
  t->sync_id = mc_slice_of(t->bytes.data, from->sync_id.len);
  t->manifest_id = mc_slice_of(t->bytes.data + from->sync_id.len, manifest_id.len);
  for (uint32_t k = 0; k < from->signal_count; k++)
    slots[k].signal_id = from->signal[k];
  s->slots += from->signal_count;
  *out = t;
  return MC_OK;
}

static void drop(state_templates *s, mc_slice sync_id)
{
  for (size_t k = 0; k < s->at.len; k++) {
    state_template *t = s->at.at[k];
    if (!mc_slice_eq(t->sync_id, sync_id))
      continue;
    s->slots -= t->slot_count;
    mc_edge_template_free(t);
    memmove(&s->at.at[k], &s->at.at[k + 1], (s->at.len - k - 1) * sizeof *s->at.at);
    s->at.len--;
    return;
  }
}

static void refuse(state_templates *s, mc_slice sync_id, const char *text)
{
  char line[700];
  snprintf(line, sizeof line, "%.*s: %s", (int)(sync_id.len < 120 ? sync_id.len : 120), sync_id.len ? (const char *)sync_id.data : "", text);
  char *copy = s->error.len < ERRORS_MAX ? strdup(line) : NULL;
  if (copy && mc_vec_push(&s->error, copy))
    free(copy);
}

mc_err mc_edge_templates_apply(state_templates *s, const mc_fw_state_templates *delta, mc_why *why)
{
  for (size_t k = 0; k < s->error.len; k++)
    free(s->error.at[k]);
  mc_vec_clear(&s->error);
  if (delta->version < s->version) /* overtaken on its way (4) */
    return mc_err_set(why, MC_ERR_CONFLICT, "version %llu of the state templates came after version %llu", (unsigned long long)delta->version, (unsigned long long)s->version);
  for (uint32_t k = 0; k < delta->remove_count; k++)
    drop(s, delta->remove[k]);
  for (uint32_t k = 0; k < delta->add_count; k++) {
    state_template *made;
    mc_why reason = {0};
    if (!find(s, delta->add[k].sync_id) && mc_edge_template_add(s, delta->manifest_sync_id, &delta->add[k], &made, &reason))
      refuse(s, delta->add[k].sync_id, reason.text);
  }
  s->version = delta->version;
  s->unsaved = true;
  return MC_OK;
}

/* ---- values ---- */

/* In the type of the manifest; where that cannot hold what was decoded, as it was decoded. */
static mc_fw_value typed(const mc_decoded *v, mc_type type)
{
  mc_fw_value out = {.type = (mc_fw_type)type};
  bool whole = v->value == floor(v->value) && fabs(v->value) < 18446744073709551616.0;
  bool exact = v->is_raw && v->value == (double)v->raw; /* no step: all bits of the raw number count */
  if (type == MC_TYPE_BOOL) {
    out.u = v->value != 0;
    return out;
  }
  if (type == MC_TYPE_UINT64 && !v->is_raw && v->raw < 0 && v->value == (double)(uint64_t)v->raw) { /* the upper half of 64 bits: raw holds them, too */
    out.u = (uint64_t)v->raw;
    return out;
  }
  if (type >= MC_TYPE_UINT8 && type <= MC_TYPE_UINT64 && whole && v->value >= 0) {
    out.u = exact ? (uint64_t)v->raw : (uint64_t)v->value;
    if (mc_fw_value_fits(&out))
      return out;
  } else if (type >= MC_TYPE_INT8 && type <= MC_TYPE_INT64 && (exact || (whole && fabs(v->value) < 9223372036854775808.0))) {
    out.i = exact ? v->raw : (int64_t)v->value;
    if (mc_fw_value_fits(&out))
      return out;
  } else if (type == MC_TYPE_FLOAT32 && (double)(float)v->value == v->value) {
    out.f = (float)v->value;
    return out;
  }
  return (mc_fw_value){.type = MC_FW_TYPE_FLOAT64, .d = v->value};
}

static double float_of(const mc_fw_value *v) { return v->type == MC_FW_TYPE_FLOAT32 ? (double)v->f : v->d; }

static bool is_float(const mc_fw_value *v) { return v->type == MC_FW_TYPE_FLOAT32 || v->type == MC_FW_TYPE_FLOAT64; }

static bool same(const mc_fw_value *a, const mc_fw_value *b)
{
  if (is_float(a) && is_float(b))
    return fabs(float_of(a) - float_of(b)) < nearly;
  return a->type == b->type && a->u == b->u;
}

void mc_edge_template_sample(state_template *t, state_slot *s, const mc_decoded *v, mc_type type)
{
  s->value = typed(v, type);
  s->has = true;
  s->fresh = t->periodic || !s->told || !same(&s->value, &s->last); /* against what was told: what drifts slowly is told, too */
  t->fresh = t->fresh || s->fresh;
}

/* ---- telling ---- */

int64_t mc_edge_template_due(const state_template *t)
{
  if (!t->active || !t->decoder)
    return INT64_MAX;
  if (t->periodic)
    return t->last_us + t->period_us;
  return t->fresh ? t->last_us + CHANGE_APART_US : INT64_MAX;
}

static void give(mc_inspector *i, const state_template *t, const mc_fw_state_sample *told, uint32_t count, int64_t now_us)
{
  state_templates *s = &i->states;
  int64_t ms = now_us / 1000;
  mc_fw_state_of_template one = {.sync_id = t->sync_id, .sample = told, .sample_count = count};
  mc_fw_state_data data = {.time_ms = ms > 0 ? (uint64_t)ms : 0, .state = &one, .state_count = 1};
  mc_buf_clear(&s->plain);
  mc_buf_clear(&s->packed);
  if (mc_fw_write_state_data(&s->plain, &data) == MC_OK && mc_snappy_compress(mc_buf_slice(&s->plain), &s->packed) == MC_OK)
    i->config.state(i->config.ctx, mc_buf_slice(&s->packed), count, now_us);
}

/* all: a snapshot of everything that is known. Else what is fresh. Returns how many signals were told. */
static uint32_t tell(mc_inspector *i, state_template *t, bool all, int64_t now_us)
{
  uint32_t n = 0, total = 0;
  mc_fw_state_sample *out = calloc(SIGNALS_A_MESSAGE, sizeof *out);
  for (uint32_t k = 0; out && k < t->slot_count; k++) {
    state_slot *s = &t->slot[k];
    if (!s->has || (!all && !s->fresh))
      continue;
    out[n++] = (mc_fw_state_sample){s->signal_id, s->value};
    s->last = s->value;
    s->told = true;
    s->fresh = false;
    total++;
    if (n == SIGNALS_A_MESSAGE) {
      give(i, t, out, n, now_us);
      n = 0;
    }
  }
  if (n)
    give(i, t, out, n, now_us);
  if (out)
    t->fresh = false;
  free(out);
  return total;
}

void mc_edge_templates_advance(mc_inspector *i, int64_t now_us)
{
  for (size_t k = 0; k < i->states.at.len; k++) {
    state_template *t = i->states.at.at[k];
    if (now_us < t->last_us - CHANGE_APART_US) /* the clock was set back: start anew instead of waiting it out */
      t->last_us = now_us;
    int64_t due = mc_edge_template_due(t);
    if (due > now_us)
      continue;
    tell(i, t, false, now_us);
    t->last_us = t->periodic ? t->last_us + (now_us - t->last_us) / t->period_us * t->period_us : now_us; /* a period keeps its phase, skips what was missed */
  }
}

/* ---- commands ---- */

static state_verdict verdict(uint32_t status, uint32_t reason) { return (state_verdict){status, reason}; }

static void activate(mc_inspector *i, state_template *t, uint32_t seconds, int64_t wall_us)
{
  t->active = true;
  t->deactivate_us = seconds ? wall_us + (int64_t)seconds * 1000000 : INT64_MAX;
  t->last_us = i->now_us;
  i->states.unsaved = true;
}

state_verdict mc_edge_template_order(mc_inspector *i, const mc_fw_state_order *order, int64_t wall_us)
{
  state_template *t = find(&i->states, order->sync_id);
  if (!t)
    return verdict(MC_FW_COMMAND_FAILED, MC_FW_REASON_TEMPLATE_OUT_OF_SYNC);
  if (!t->decoder && order->action != MC_FW_STATE_DEACTIVATE)
    return verdict(MC_FW_COMMAND_FAILED, MC_FW_REASON_MANIFEST_OUT_OF_SYNC);
  bool was = t->active;
  switch (order->action) {
  case MC_FW_STATE_ACTIVATE:
    activate(i, t, order->deactivate_after_seconds, wall_us);
    if (!was)
      tell(i, t, true, i->now_us); /* an activation sends one snapshot (5.6) */
    return verdict(MC_FW_COMMAND_SUCCEEDED, was ? MC_FW_REASON_ALREADY_ACTIVE : 0);
  case MC_FW_STATE_DEACTIVATE:
    t->active = false;
    t->deactivate_us = INT64_MAX;
    i->states.unsaved = i->states.unsaved || was;
    return verdict(MC_FW_COMMAND_SUCCEEDED, was ? 0 : MC_FW_REASON_ALREADY_INACTIVE);
  case MC_FW_STATE_FETCH:
    tell(i, t, true, i->now_us);
    return verdict(MC_FW_COMMAND_SUCCEEDED, 0);
  default:
    return verdict(MC_FW_COMMAND_FAILED, MC_FW_REASON_NOT_PARSED);
  }
}
