#include <stdio.h>
#include <stdlib.h>

#include "edge/decoder.h"

/* Documents in, frames in, events out. Two clocks: the wall (starts and ends of campaigns) and the time of inspection
 * (periods, windows, triggers). While frames are live they are one; when a recording is replayed with its own times, frames alone
 * move the second. */

enum {
  LIVE_US = 10000000, /* frames nearer than this to the wall clock are live */
  POLL_US = 100000,   /* conditions with isNull or custom functions */
  REST_US = 1000000   /* the longest time between ticks */
};

mc_err mc_inspector_create(const mc_inspector_config *config, mc_inspector **out, mc_why *why)
{
  *out = NULL;
  if (!config->channel_of || !config->collected)
    return mc_err_set(why, MC_ERR_INVALID, "inspector: channel_of and collected are needed");
  mc_inspector *i = calloc(1, sizeof *i);
  if (!i)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for an inspector");
  i->config = *config;
  if (!i->config.sample_memory)
    i->config.sample_memory = 20 << 20;
  if (!i->config.max_payload)
    i->config.max_payload = 117965;
  i->due_us = i->life_us = i->states.due_us = MC_EDGE_NEVER_US;
  *out = i;
  return MC_OK;
}

static void free_texts(char **at, size_t len)
{
  for (size_t k = 0; k < len; k++)
    free(at[k]);
}

void mc_inspector_destroy(mc_inspector **inspector)
{
  mc_inspector *i = *inspector;
  *inspector = NULL;
  if (!i)
    return;
  for (size_t k = 0; k < i->campaign.len; k++)
    mc_edge_campaign_destroy(i, i->campaign.at[k]);
  for (size_t k = 0; k < i->decoder.len; k++)
    mc_decoder_destroy(i->decoder.at[k]);
  free_texts(i->manifest_error.at, i->manifest_error.len);
  free_texts(i->scheme_error.at, i->scheme_error.len);
  mc_vec_free(&i->campaign);
  mc_vec_free(&i->decoder);
  mc_vec_free(&i->dirty);
  mc_vec_free(&i->manifest_error);
  mc_vec_free(&i->scheme_error);
  mc_vec_free(&i->ids);
  mc_vec_free(&i->errors);
  mc_vec_free(&i->outgoing);
  mc_vec_free(&i->outgoing_path);
  mc_vec_free(&i->outgoing_text);
  mc_buf_free(&i->structure);
  mc_buf_free(&i->structure_text);
  mc_edge_templates_free(&i->states);
  mc_buf_free(&i->payload);
  mc_buf_free(&i->packed);
  free(i->decoded);
  free(i);
}

/* ---- lists for the check-in ---- */
static void list_ids(mc_inspector *i)
{
  mc_vec_clear(&i->ids);
  for (size_t k = 0; k < i->campaign.len; k++)
    (void)mc_vec_push(&i->ids, i->campaign.at[k]->sync_id);
  for (size_t k = 0; k < i->decoder.len; k++)
    (void)mc_vec_push(&i->ids, i->decoder.at[k]->sync_id);
  for (size_t k = 0; k < i->states.at.len; k++)
    (void)mc_vec_push(&i->ids, i->states.at.at[k]->sync_id);
}

size_t mc_inspector_sync_ids(const mc_inspector *i, const mc_slice **ids)
{
  *ids = i->ids.at;
  return i->ids.len;
}

size_t mc_inspector_errors(const mc_inspector *ci, const mc_slice **texts)
{
  mc_inspector *i = (mc_inspector *)(uintptr_t)ci; /* the list of slices is a cache */
  mc_vec_clear(&i->errors);
  for (size_t k = 0; k < i->manifest_error.len; k++)
    (void)mc_vec_push(&i->errors, mc_slice_str(i->manifest_error.at[k]));
  for (size_t k = 0; k < i->scheme_error.len; k++)
    (void)mc_vec_push(&i->errors, mc_slice_str(i->scheme_error.at[k]));
  for (size_t k = 0; k < i->states.error.len; k++)
    (void)mc_vec_push(&i->errors, mc_slice_str(i->states.error.at[k]));
  *texts = i->errors.at;
  return i->errors.len;
}

static void report_manifest(void *ctx, const char *text)
{
  mc_inspector *i = ctx;
  char *copy = strdup(text);
  if (copy && mc_vec_push(&i->manifest_error, copy))
    free(copy);
}

static void report_scheme(mc_inspector *i, mc_slice sync_id, const char *text)
{
  char line[700];
  snprintf(line, sizeof line, "%.*s: %s", (int)(sync_id.len < 120 ? sync_id.len : 120), sync_id.len ? (const char *)sync_id.data : "", text);
  char *copy = i->scheme_error.len < 64 ? strdup(line) : NULL;
  if (copy && mc_vec_push(&i->scheme_error, copy))
    free(copy);
}

/* ---- putting it together ---- */
static decoder *find_decoder(mc_inspector *i, mc_slice id)
{
  for (size_t k = 0; k < i->decoder.len; k++)
    if (mc_slice_eq(i->decoder.at[k]->sync_id, id))
      return i->decoder.at[k];
  return NULL;
}

/* A manifest that no campaign and no state template names goes, except the newest. */
static void drop_manifests(mc_inspector *i)
{
  for (size_t k = 0; k + 1 < i->decoder.len;) {
    bool named = false;
    for (size_t n = 0; n < i->campaign.len && !named; n++)
      named = mc_slice_eq(i->campaign.at[n]->manifest_id, i->decoder.at[k]->sync_id);
    for (size_t n = 0; n < i->states.at.len && !named; n++)
      named = mc_slice_eq(i->states.at.at[n]->manifest_id, i->decoder.at[k]->sync_id);
    if (named) {
      k++;
      continue;
    }
    mc_decoder_destroy(i->decoder.at[k]);
    memmove(&i->decoder.at[k], &i->decoder.at[k + 1], (i->decoder.len - k - 1) * sizeof *i->decoder.at);
    i->decoder.len--;
  }
}

static void schedule(mc_inspector *i)
{
  i->due_us = MC_EDGE_NEVER_US;
  for (size_t k = 0; k < i->campaign.len; k++) {
    const campaign *c = i->campaign.at[k];
    if (!c->enabled)
      continue;
    int64_t due = mc_edge_campaign_due(c);
    if (c->polled && i->now_us + POLL_US < due)
      due = i->now_us + POLL_US;
    if (due < i->due_us)
      i->due_us = due;
  }
  for (size_t k = 0; k < i->states.at.len; k++) {
    int64_t due = mc_edge_template_due(i->states.at.at[k]);
    if (due < i->due_us)
      i->due_us = due;
  }
}

/* Templates know their manifest, and fall silent when their time is over. */
static void settle_templates(mc_inspector *i)
{
  for (size_t k = 0; k < i->states.at.len; k++) {
    state_template *t = i->states.at.at[k];
    t->decoder = find_decoder(i, t->manifest_id);
    if (t->active && i->wall_us >= t->deactivate_us) {
      t->active = false;
      t->deactivate_us = MC_EDGE_NEVER_US;
      i->states.unsaved = true;
    }
    if (t->deactivate_us < i->life_us)
      i->life_us = t->deactivate_us;
  }
}

/* Who runs now, by the wall clock; compiles plans when that changed. */
static mc_err settle(mc_inspector *i, bool force, mc_why *why)
{
  bool changed = force;
  i->life_us = MC_EDGE_NEVER_US;
  for (size_t k = 0; k < i->campaign.len;) {
    campaign *c = i->campaign.at[k];
    if (i->wall_us >= c->expiry_us) { /* over: forgotten, and its id leaves the list */
      for (size_t d = 0; d < i->dirty.len; d++)
        if (i->dirty.at[d] == c)
          mc_vec_swap_remove(&i->dirty, d--);
      mc_edge_campaign_destroy(i, c);
      memmove(&i->campaign.at[k], &i->campaign.at[k + 1], (i->campaign.len - k - 1) * sizeof *i->campaign.at);
      i->campaign.len--;
      changed = true;
      continue;
    }
    c->decoder = find_decoder(i, c->manifest_id);
    bool runs = c->decoder && i->wall_us >= c->start_us;
    if (runs && !c->enabled) {
      mc_edge_campaign_activate(c, i->now_us);
      changed = true;
    } else if (!runs && c->enabled) {
      c->enabled = false;
      changed = true;
    }
    int64_t next = runs ? c->expiry_us : c->decoder ? c->start_us : c->expiry_us;
    if (next < i->life_us)
      i->life_us = next;
    k++;
  }
  settle_templates(i);
  mc_err err = MC_OK;
  if (changed) {
    drop_manifests(i);
    for (size_t k = 0; k < i->decoder.len && !err; k++) {
      err = mc_decoder_compile(i->decoder.at[k], i, why);
      size_t most = i->decoder.at[k]->plan ? mc_decode_plan_max_per_frame(i->decoder.at[k]->plan) : 0;
      mc_decoded *grown = most > i->decoded_cap ? realloc(i->decoded, most * sizeof *grown) : NULL;
      if (grown) {
        i->decoded = grown;
        i->decoded_cap = most;
      } else if (most > i->decoded_cap) {
        err = mc_err_set(why, MC_ERR_MEMORY, "out of memory");
      }
    }
    for (size_t k = 0; k < i->campaign.len; k++) { /* a first look, for conditions that no sample may ever touch (literals) */
      campaign *c = i->campaign.at[k];
      if (c->enabled && c->fresh)
        mc_edge_campaign_evaluate(i, c, i->now_us);
      c->fresh = false;
    }
    list_ids(i);
  }
  schedule(i);
  return err;
}

/* Another time line: what was counted on the old one starts anew. */
static void start_anew(mc_inspector *i, int64_t time_us)
{
  i->now_us = time_us;
  for (size_t k = 0; k < i->campaign.len; k++) {
    campaign *c = i->campaign.at[k];
    c->last_trigger_us = time_us;
    c->collect_us = MC_EDGE_NEVER_US;
    for (uint32_t s = 0; s < c->slot_count; s++) {
      c->slot[s].last_kept_us = INT64_MIN;
      if (c->slot[s].window)
        *c->slot[s].window = (window){.period_us = c->slot[s].window->period_us};
    }
  }
  for (size_t k = 0; k < i->states.at.len; k++)
    i->states.at.at[k]->last_us = time_us;
  schedule(i);
}

static void set_wall(mc_inspector *i, int64_t wall_us)
{
  i->wall_us = wall_us;
  if (i->recorded)
    return;
  if (wall_us > i->now_us)
    i->now_us = wall_us;
  else if (i->now_us - wall_us > LIVE_US) /* the clock was set back, and no frame has told so: nobody waits until it comes there again */
    start_anew(i, wall_us);
}

/* ---- documents ---- */
mc_err mc_inspector_set_manifest(mc_inspector *i, mc_slice protobuf, mc_why *why)
{
  free_texts(i->manifest_error.at, i->manifest_error.len);
  mc_vec_clear(&i->manifest_error);
  mc_why reason = {0};
  decoder *d;
  mc_err err = mc_decoder_create(protobuf, &i->config, &d, report_manifest, i, &reason);
  if (err) {
    report_manifest(i, reason.text);
    if (why)
      *why = reason;
    return err;
  }
  if (find_decoder(i, d->sync_id)) { /* known: ignored, whatever its content (4) */
    mc_decoder_destroy(d);
    return MC_OK;
  }
  if (mc_vec_push(&i->decoder, d)) {
    mc_decoder_destroy(d);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  }
  return settle(i, true, why);
}

static campaign *find_campaign(mc_inspector *i, mc_slice id)
{
  for (size_t k = 0; k < i->campaign.len; k++)
    if (mc_slice_eq(i->campaign.at[k]->sync_id, id))
      return i->campaign.at[k];
  return NULL;
}

static void take_scheme(mc_inspector *i, const mc_fw_scheme *s)
{
  campaign *known = s->campaign_sync_id.len ? find_campaign(i, s->campaign_sync_id) : NULL;
  if (known) { /* untouched: keeps buffers, windows and edges; a new expiry is honoured (4) */
    known->seen = true;
    if (s->expiry_ms >= s->start_ms && s->expiry_ms < (uint64_t)INT64_MAX / 1000)
      known->expiry_us = (int64_t)s->expiry_ms * 1000;
    return;
  }
  campaign *c;
  mc_why reason = {0};
  mc_err err = mc_edge_campaign_create(s, &c, &reason);
  if (err) { /* alone: the rest of the list is used */
    report_scheme(i, s->campaign_sync_id, reason.text);
    return;
  }
  c->seen = true;
  if (mc_vec_push(&i->campaign, c)) {
    mc_edge_campaign_destroy(i, c);
    report_scheme(i, s->campaign_sync_id, "out of memory");
  }
}

mc_err mc_inspector_set_schemes(mc_inspector *i, mc_slice protobuf, int64_t wall_us, mc_why *why)
{
  mc_arena arena = MC_ARENA(256 << 20);
  mc_fw_schemes list;
  mc_why reason = {0};
  mc_err err = protobuf.len ? mc_fw_read_schemes(protobuf, &arena, &list, &reason)
                            : mc_err_set(&reason, MC_ERR_INVALID, "collection schemes: an empty document; to clear the list send one with a time stamp");
  free_texts(i->scheme_error.at, i->scheme_error.len);
  mc_vec_clear(&i->scheme_error);
  if (err) {
    mc_arena_free(&arena);
    report_scheme(i, MC_LIT("collection schemes"), reason.text);
    if (why)
      *why = reason;
    return err;
  }
  set_wall(i, wall_us);
  for (size_t k = 0; k < i->campaign.len; k++)
    i->campaign.at[k]->seen = false;
  for (uint32_t k = 0; k < list.scheme_count; k++)
    take_scheme(i, &list.scheme[k]);
  mc_arena_free(&arena);
  mc_vec_clear(&i->dirty);
  for (size_t k = 0; k < i->campaign.len;) { /* a full replacement: what is not in it goes */
    if (i->campaign.at[k]->seen) {
      i->campaign.at[k]->dirty = false;
      k++;
      continue;
    }
    mc_edge_campaign_destroy(i, i->campaign.at[k]);
    memmove(&i->campaign.at[k], &i->campaign.at[k + 1], (i->campaign.len - k - 1) * sizeof *i->campaign.at);
    i->campaign.len--;
  }
  return settle(i, true, why);
}

mc_err mc_inspector_set_states(mc_inspector *i, mc_slice protobuf, int64_t wall_us, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)256 << 20);
  mc_fw_state_templates delta;
  if (!i->config.state)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "state templates are not taken here");
  MC_TRY(mc_fw_read_state_templates(protobuf, &arena, &delta, why));
  set_wall(i, wall_us);
  MC_TRY(mc_edge_templates_apply(&i->states, &delta, why));
  return settle(i, true, why);
}

mc_err mc_edge_templates_load(mc_inspector *i, mc_slice bytes, int64_t wall_us, mc_why *why)
{
  set_wall(i, wall_us);
  MC_TRY(mc_edge_templates_read(&i->states, bytes, why));
  return settle(i, true, why);
}

state_verdict mc_edge_inspector_order(mc_inspector *i, const mc_fw_state_order *order, int64_t wall_us)
{
  set_wall(i, wall_us);
  state_verdict v = mc_edge_template_order(i, order, wall_us);
  settle(i, false, NULL);
  return v;
}

/* ---- frames and time ---- */
static void run_due(mc_inspector *i, int64_t now_us)
{
  for (size_t k = 0; k < i->campaign.len; k++)
    if (i->campaign.at[k]->enabled)
      mc_edge_campaign_advance(i, i->campaign.at[k], now_us);
  mc_edge_templates_advance(i, now_us);
  schedule(i);
}

static void follow_clock(mc_inspector *i, int64_t time_us)
{
  int64_t from_wall = time_us - i->wall_us;
  bool recorded = i->wall_us && (from_wall > LIVE_US || from_wall < -LIVE_US);
  bool back = time_us < i->now_us - REST_US;
  if (recorded != i->recorded || (recorded && back)) {
    i->recorded = recorded;
    start_anew(i, time_us);
  } else if (time_us > i->now_us) {
    i->now_us = time_us;
  }
}

void mc_edge_inspector_mark(mc_inspector *i, campaign *c)
{
  if (!c->dirty && mc_vec_push(&i->dirty, c) == MC_OK)
    c->dirty = true;
}

static void distribute(mc_inspector *i, decoder *d, const mc_decoded *v, int64_t time_us)
{
  const signal_state *st = &d->state[v->encoding_id];
  const use *u = d->use + st->first_use;
  for (uint32_t k = 0; k < st->use_count; k++) {
    campaign *c = u[k].campaign;
    if (!c) {
      state_template *t = u[k].template;
      mc_edge_template_sample(t, &t->slot[u[k].slot], v, st->type);
      int64_t due = mc_edge_template_due(t);
      if (due < i->states.due_us)
        i->states.due_us = due;
    } else if (mc_edge_campaign_sample(i, c, &c->slot[u[k].slot], time_us, v->value)) {
      mc_edge_inspector_mark(i, c);
    }
  }
}

static void evaluate_dirty(mc_inspector *i)
{
  for (size_t k = 0; k < i->dirty.len; k++) {
    campaign *c = i->dirty.at[k];
    mc_edge_campaign_evaluate(i, c, i->now_us);
    int64_t due = mc_edge_campaign_due(c);
    if (due < i->due_us)
      i->due_us = due;
  }
  mc_vec_clear(&i->dirty);
  if (i->states.due_us <= i->now_us) { /* a change that may be told at once */
    mc_edge_templates_advance(i, i->now_us);
    schedule(i);
  } else if (i->states.due_us < i->due_us) {
    i->due_us = i->states.due_us;
  }
  i->states.due_us = MC_EDGE_NEVER_US;
}

void mc_edge_inspector_begin(mc_inspector *i, int64_t time_us)
{
  follow_clock(i, time_us);
  if (i->due_us <= i->now_us)
    run_due(i, i->now_us);
}

/* Behind values of a source that comes seldom: windows and polls begin with a sample, which need not be a reason to evaluate. */
void mc_edge_inspector_end(mc_inspector *i)
{
  evaluate_dirty(i);
  for (size_t k = 0; k < i->campaign.len; k++) {
    int64_t due = i->campaign.at[k]->enabled ? mc_edge_campaign_due(i->campaign.at[k]) : MC_EDGE_NEVER_US;
    if (due < i->due_us)
      i->due_us = due;
  }
}

size_t mc_inspector_frame(mc_inspector *i, const mc_can_frame *frame)
{
  size_t total = 0;
  mc_edge_inspector_begin(i, frame->time_us);
  for (size_t k = 0; k < i->decoder.len; k++) {
    decoder *d = i->decoder.at[k];
    if (!d->plan)
      continue;
    size_t n = mc_decode_plan_run(d->plan, frame, i->decoded, i->decoded_cap);
    for (size_t v = 0; v < n; v++)
      distribute(i, d, &i->decoded[v], frame->time_us);
    total += n;
  }
  evaluate_dirty(i);
  return total;
}

size_t mc_inspector_values(mc_inspector *i, int64_t time_us, const mc_inspector_value *value, size_t count)
{
  size_t total = 0;
  uint64_t state;
  mc_edge_inspector_begin(i, time_us);
  for (size_t k = 0; k < i->decoder.len; k++)
    for (size_t v = 0; v < count; v++)
      if (mc_map_get(&i->decoder.at[k]->index, value[v].signal_id, &state)) {
        mc_decoded one = {.signal_id = value[v].signal_id, .encoding_id = (uint32_t)state, .value = value[v].value};
        distribute(i, i->decoder.at[k], &one, time_us);
        total++;
      }
  mc_edge_inspector_end(i);
  return total;
}

int64_t mc_inspector_due(const mc_inspector *i) { return i->recorded ? MC_EDGE_NEVER_US : i->due_us; }

int64_t mc_inspector_tick(mc_inspector *i, int64_t wall_us)
{
  set_wall(i, wall_us);
  if (wall_us >= i->life_us)
    settle(i, false, NULL);
  if (!i->recorded && i->due_us <= i->now_us)
    run_due(i, i->now_us);
  int64_t next = wall_us + REST_US;
  if (i->life_us < next)
    next = i->life_us;
  if (mc_inspector_due(i) < next)
    next = mc_inspector_due(i);
  return next > wall_us ? next : wall_us + 1000;
}

static bool all_rest(const mc_inspector *i)
{
  if (i->states.at.len)
    return false;
  for (size_t k = 0; k < i->campaign.len; k++)
    if (i->campaign.at[k]->enabled && !mc_edge_campaign_rests(i->campaign.at[k], i->now_us))
      return false;
  return true;
}

void mc_inspector_advance(mc_inspector *i, int64_t until_us)
{
  while (i->wall_us < until_us) {
    int64_t next = i->due_us < i->life_us ? i->due_us : i->life_us;
    if (next >= until_us)
      break;
    if (all_rest(i)) { /* straight to where a campaign starts or ends, or to the end */
      next = i->life_us < until_us ? i->life_us : until_us;
      for (size_t k = 0; k < i->campaign.len; k++)
        if (i->campaign.at[k]->enabled)
          mc_edge_campaign_rest(i->campaign.at[k], next);
    }
    mc_inspector_tick(i, next > i->wall_us ? next : i->wall_us + 1000);
  }
  if (until_us > i->wall_us)
    mc_inspector_tick(i, until_us);
}
