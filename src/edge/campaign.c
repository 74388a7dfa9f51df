#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "edge/inspect.h"

/* One campaign: its signals, its condition, its triggers. Semantics: contract fleetwise 6.2 with the corrections of 13:
 * a condition that was never evaluated is false, windows are exact and count as a reason to evaluate, a rising edge
 * needs an observed false first (DESIGN 8). */

enum {
  MAX_RING = 1 << 20,
  FIRST_RING = 8,
  AGAIN_US = 50000 /* no interval: how soon a condition that stays true fires again; AWS's agent looks as often (contract fleetwise 8.1) */
};

/* ---- from the wire ---- */
static uint32_t slot_of(const campaign *c, const mc_fw_path *p)
{
  for (uint32_t i = 0; i < c->slot_count; i++)
    if (c->slot[i].signal_id == p->signal_id && c->slot[i].path_count == p->count && (!p->count || memcmp(c->slot[i].path, p->index, p->count * sizeof *p->index) == 0))
      return i;
  return UINT32_MAX;
}

/* Signals become slot numbers, so that evaluation needs no search. One that is not in signal_information is undefined. */
static uint32_t use_signal(campaign *c, const mc_fw_path *p)
{
  uint32_t s = slot_of(c, p);
  if (s != UINT32_MAX)
    c->slot[s].in_condition = true;
  return s;
}

/* A signal, or a part of a structured one, which the node's text names. */
static mc_err use_named(campaign *c, const mc_fw_node *n, uint32_t *out, mc_why *why)
{
  mc_fw_path p = {.signal_id = n->signal_id};
  if (n->text.len)
    MC_TRY(mc_fw_read_path(n->text, &c->arena, &p, why));
  *out = use_signal(c, &p);
  return MC_OK;
}

static mc_err convert(campaign *c, const mc_fw_node *n, mc_expr **out, mc_why *why);

static mc_err convert_function(campaign *c, const mc_fw_node *n, mc_expr *e, mc_why *why)
{
  switch (n->function) {
  case MC_FW_FN_WINDOW:
    if (n->window > MC_PREV_LAST_AVG)
      return mc_err_set(why, MC_ERR_UNSUPPORTED, "condition: window type %u is not known", n->window);
    e->kind = MC_EXPR_WINDOW;
    e->window = (mc_window)n->window;
    return use_named(c, n, &e->signal_id, why);
  case MC_FW_FN_IS_NULL:
    e->kind = MC_EXPR_IS_NULL;
    c->polled = true;
    if (!n->left)
      return mc_err_set(why, MC_ERR_INVALID, "condition: isNull without an argument");
    return convert(c, n->left, &e->left, why);
  case MC_FW_FN_CUSTOM:
    if (!mc_expr_builtin_known(n->text)) /* it would be undefined for ever (6.2): told instead */
      return mc_err_set(why, MC_ERR_UNSUPPORTED, "condition: this agent has no function \"%.*s\"; it has %s", MC_FMT(mc_slice_sub(n->text, 0, 100)),
                        mc_expr_builtin_list);
    e->kind = MC_EXPR_CUSTOM;
    c->polled = true;
    e->param_count = n->param_count;
    e->param = mc_arena_array(&c->arena, n->param_count ? n->param_count : 1, sizeof *e->param);
    if (!e->param || mc_arena_copy(&c->arena, n->text, &e->text))
      return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
    for (uint32_t k = 0; k < n->param_count; k++)
      MC_TRY(convert(c, n->param[k], &e->param[k], why));
    return MC_OK;
  }
  return mc_err_set(why, MC_ERR_UNSUPPORTED, "condition: function kind %d is not known", (int)n->function);
}

static mc_err convert(campaign *c, const mc_fw_node *n, mc_expr **out, mc_why *why)
{
  mc_expr *e = mc_arena_alloc(&c->arena, sizeof *e);
  *out = e;
  if (!e)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  switch (n->kind) {
  case MC_FW_NODE_OPERATOR:
    e->kind = MC_EXPR_OP;
    e->op = (mc_expr_op)n->op;
    if (n->op > MC_OP_DIV)
      return mc_err_set(why, MC_ERR_UNSUPPORTED, "condition: operator %u is not known", n->op);
    if (!n->left || (n->op != MC_OP_NOT && !n->right))
      return mc_err_set(why, MC_ERR_INVALID, "condition: operator %u lacks an operand", n->op);
    MC_TRY(convert(c, n->left, &e->left, why));
    return n->op == MC_OP_NOT ? MC_OK : convert(c, n->right, &e->right, why);
  case MC_FW_NODE_FUNCTION:
    return convert_function(c, n, e, why);
  case MC_FW_NODE_DOUBLE:
    e->kind = MC_EXPR_NUMBER;
    e->number = n->number;
    return MC_OK;
  case MC_FW_NODE_SIGNAL:
  case MC_FW_NODE_PATH:
    e->kind = MC_EXPR_SIGNAL;
    return use_named(c, n, &e->signal_id, why);
  case MC_FW_NODE_BOOL:
    e->kind = MC_EXPR_BOOL;
    e->boolean = n->boolean;
    return MC_OK;
  case MC_FW_NODE_STRING:
    e->kind = MC_EXPR_STRING;
    return mc_arena_copy(&c->arena, n->text, &e->text);
  default:
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "condition: a node of kind %d is empty or not known", (int)n->kind);
  }
}

static mc_err add_slots(campaign *c, const mc_fw_scheme *scheme, mc_why *why)
{
  c->slot = calloc(scheme->signal_count ? scheme->signal_count : 1, sizeof *c->slot);
  if (!c->slot)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %u signals", scheme->signal_count);
  for (uint32_t k = 0; k < scheme->signal_count; k++) {
    const mc_fw_signal_info *info = &scheme->signal[k];
    if (!info->signal_id || info->signal_id >> 31)
      return mc_err_set(why, MC_ERR_INVALID, "signal_information %u: signal id %u: 1 to 2147483647 are allowed", k, info->signal_id);
    if (!info->condition_only && !info->sample_buffer_size)
      return mc_err_set(why, MC_ERR_INVALID, "signal %u: sample_buffer_size is 0: at least 1 is needed", info->signal_id);
    slot *s = &c->slot[c->slot_count++];
    s->signal_id = info->signal_id;
    s->path_count = info->path_count;
    s->path = mc_arena_array(&c->arena, info->path_count + 1, sizeof *s->path);
    if (!s->path)
      return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
    if (info->path_count)
      memcpy((void *)(uintptr_t)s->path, info->path, info->path_count * sizeof *s->path);
    s->cap = info->condition_only ? 0 : info->sample_buffer_size < MAX_RING ? info->sample_buffer_size : MAX_RING;
    s->min_period_us = (int64_t)info->minimum_sample_period_ms * 1000;
    s->has_min_period = info->minimum_sample_period_ms > 0;
    s->last_kept_us = INT64_MIN;
    if (info->fixed_window_period_ms) {
      s->window = calloc(1, sizeof *s->window);
      if (!s->window)
        return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
      s->window->period_us = (int64_t)info->fixed_window_period_ms * 1000;
      c->has_windows = true;
    }
  }
  return MC_OK;
}

/* The most common conditions need no tree walk. */
static void find_simple(campaign *c)
{
  const mc_expr *e = c->condition;
  if (e->kind == MC_EXPR_OP && e->op <= MC_OP_NE && e->left->kind == MC_EXPR_SIGNAL && e->right->kind == MC_EXPR_NUMBER &&
      e->left->signal_id != UINT32_MAX) {
    c->simple = true;
    c->simple_slot = e->left->signal_id;
    c->simple_op = e->op;
    c->simple_number = e->right->number;
  }
}

/* Room for what functions of the condition remember between evaluations. */
static mc_err remember(campaign *c, mc_why *why)
{
  c->memory_size = mc_expr_memory(c->condition);
  c->memory = mc_arena_alloc(&c->arena, c->memory_size ? c->memory_size : 1);
  return c->memory ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "out of memory");
}

static mc_err fill(campaign *c, const mc_fw_scheme *scheme, mc_why *why)
{
  size_t id_len = scheme->campaign_sync_id.len;
  if (mc_buf_append_slice(&c->bytes, scheme->campaign_sync_id) || mc_buf_append_slice(&c->bytes, scheme->manifest_sync_id))
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  c->sync_id = mc_slice_of(c->bytes.data, id_len);
  c->manifest_id = mc_slice_of(c->bytes.data + id_len, scheme->manifest_sync_id.len);
  if (scheme->expiry_ms < scheme->start_ms)
    return mc_err_set(why, MC_ERR_INVALID, "expiry_time (%llu) lies before start_time (%llu)", (unsigned long long)scheme->expiry_ms,
                      (unsigned long long)scheme->start_ms);
  uint64_t far = (uint64_t)INT64_MAX / 1000;
  c->start_us = (int64_t)(scheme->start_ms < far ? scheme->start_ms : far) * 1000;
  c->expiry_us = (int64_t)(scheme->expiry_ms < far ? scheme->expiry_ms : far) * 1000;
  c->condition_based = scheme->condition_based;
  c->rising_edge = scheme->condition_based && scheme->trigger_mode == 1;
  c->interval_us = (int64_t)(scheme->condition_based ? scheme->minimum_interval_ms : scheme->period_ms) * 1000;
  c->after_us = (int64_t)scheme->after_duration_ms * 1000;
  c->compress = scheme->compress;
  c->persist = scheme->persist;
  c->priority = scheme->priority;
  c->collect_us = MC_EDGE_NEVER_US;
  if (!scheme->condition_based && !scheme->period_ms)
    return mc_err_set(why, MC_ERR_INVALID, "neither a condition nor a period above 0");
  if (scheme->trigger_mode > 1)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "trigger mode %u is not known", scheme->trigger_mode);
  MC_TRY(add_slots(c, scheme, why));
  if (!scheme->condition_based)
    return MC_OK;
  if (!scheme->condition)
    return mc_err_set(why, MC_ERR_INVALID, "a condition-based scheme without a condition");
  MC_TRY(convert(c, scheme->condition, &c->condition, why));
  find_simple(c);
  return remember(c, why);
}

mc_err mc_edge_campaign_create(const mc_fw_scheme *scheme, campaign **out, mc_why *why)
{
  *out = NULL;
  if (!scheme->campaign_sync_id.len || !scheme->manifest_sync_id.len)
    return mc_err_set(why, MC_ERR_INVALID, "campaign_sync_id and decoder_manifest_sync_id must not be empty");
  campaign *c = calloc(1, sizeof *c);
  if (!c)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  c->arena = MC_ARENA(1 << 20);
  mc_err err = fill(c, scheme, why);
  if (err) {
    mc_edge_campaign_destroy(NULL, c);
    return err;
  }
  *out = c;
  return MC_OK;
}

static void drop_text(mc_inspector *i, sample *s)
{
  if (i)
    i->sample_bytes -= sizeof *s->text + s->text->len;
  free(s->text);
}

void mc_edge_campaign_destroy(mc_inspector *i, campaign *c)
{
  for (uint32_t k = 0; c->slot && k < c->slot_count; k++) {
    if (i)
      i->sample_bytes -= (size_t)c->slot[k].ring_size * sizeof(sample);
    for (uint32_t n = 0; c->slot[k].is_text && n < c->slot[k].len; n++)
      drop_text(i, &c->slot[k].ring[(c->slot[k].start + n) % c->slot[k].ring_size]);
    mc_buf_free(&c->slot[k].text);
    free(c->slot[k].ring);
    free(c->slot[k].window);
  }
  free(c->slot);
  mc_arena_free(&c->arena);
  mc_buf_free(&c->bytes);
  free(c);
}

void mc_edge_campaign_activate(campaign *c, int64_t now_us)
{
  c->enabled = c->fresh = true;
  c->last_trigger_us = now_us; /* the interval counts from here: nothing fires earlier (6.2, "first trigger") */
  c->truth = c->armed = false;
  if (c->memory)
    memset(c->memory, 0, c->memory_size);
  c->collect_us = MC_EDGE_NEVER_US;
}

/* ---- samples ---- */

/* Room for one more, as far as the limit of all rings allows; else the oldest gives way. */
static void grow(mc_inspector *i, slot *s)
{
  uint32_t size = s->ring_size ? s->ring_size * 2 : FIRST_RING;
  if (size > s->cap)
    size = s->cap;
  size_t more = (size_t)(size - s->ring_size) * sizeof(sample);
  if (i->sample_bytes + more > i->config.sample_memory) {
    i->ring_refusals++;
    return;
  }
  sample *ring = malloc(size * sizeof *ring);
  if (!ring)
    return;
  for (uint32_t k = 0; k < s->len; k++)
    ring[k] = s->ring[(s->start + k) % s->ring_size];
  free(s->ring);
  s->ring = ring;
  s->ring_size = size;
  s->start = 0;
  i->sample_bytes += more;
}

/* False: it is not kept. */
static bool keep(mc_inspector *i, slot *s, sample one)
{
  int64_t time_us = one.time_us;
  if (s->has_min_period) {
    if (s->last_kept_us != INT64_MIN && time_us - s->last_kept_us < s->min_period_us && time_us >= s->last_kept_us)
      return false;
    s->last_kept_us = time_us;
  }
  if (s->len == s->ring_size && s->ring_size < s->cap)
    grow(i, s);
  if (!s->ring_size)
    return false;
  if (s->len == s->ring_size) { /* full: the oldest goes */
    if (s->is_text)
      drop_text(i, &s->ring[s->start]);
    s->ring[s->start] = one;
    if (++s->start == s->ring_size)
      s->start = 0;
    return true;
  }
  uint32_t at = s->start + s->len++;
  s->ring[at >= s->ring_size ? at - s->ring_size : at] = one;
  return true;
}

static void window_add(window *w, int64_t time_us, double value)
{
  if (!w->end_us)
    w->end_us = time_us + w->period_us; /* the first sample sets the phase */
  window_part *p = &w->now;
  if (!p->count || value < p->min)
    p->min = value;
  if (!p->count || value > p->max)
    p->max = value;
  p->sum += value;
  p->count++;
}

/* Closes what has ended; whole multiples of the period. */
static bool window_close(window *w, int64_t now_us)
{
  if (!w->end_us || now_us < w->end_us)
    return false;
  int64_t periods = (now_us - w->end_us) / w->period_us + 1;
  w->previous = periods >= 2 ? (window_part){0} : w->last;
  w->last = periods >= 2 ? (window_part){0} : w->now;
  if (periods == 2)
    w->previous = w->now; /* one empty window followed */
  w->now = (window_part){0};
  w->end_us += periods * w->period_us;
  return true;
}

/* True still, and without an interval: what comes now is sent as well. */
static bool fires_again(const campaign *c) { return c->truth && c->condition_based && !c->interval_us && !c->rising_edge && !c->polled; }

static bool holds_samples(const campaign *c)
{
  for (uint32_t k = 0; k < c->slot_count; k++)
    if (c->slot[k].len)
      return true;
  return false;
}

/* A new value was noted: must the condition be looked at? */
static bool noted(campaign *c, const slot *s, bool changed)
{
  c->changed |= s->in_condition && changed;
  return s->in_condition ? changed || c->polled || fires_again(c) : fires_again(c);
}

bool mc_edge_campaign_text(mc_inspector *i, campaign *c, slot *s, int64_t time_us, mc_slice text)
{
  bool changed = s->in_condition && (!s->has_text || !mc_slice_eq(mc_buf_slice(&s->text), text));
  if (s->has_value || (!s->is_text && s->len)) /* it was a number: of another manifest's making, which cannot be */
    return false;
  c->touched_us = time_us;
  s->is_text = s->has_text = true;
  s->consumed = false;
  mc_buf_clear(&s->text);
  if (s->in_condition && mc_buf_append_slice(&s->text, text))
    s->has_text = false;
  size_t size = sizeof(text_value) + text.len;
  text_value *copy = s->cap && i->sample_bytes + size <= i->config.sample_memory ? malloc(size) : NULL;
  if (copy) {
    copy->len = text.len;
    if (text.len)
      memcpy(copy->at, text.data, text.len);
    i->sample_bytes += size;
    sample one = {.time_us = time_us, .text = copy};
    if (!keep(i, s, one)) {
      i->sample_bytes -= size;
      free(copy);
    }
  } else if (s->cap) {
    i->ring_refusals++;
  }
  return noted(c, s, changed);
}

bool mc_edge_campaign_sample(mc_inspector *i, campaign *c, slot *s, int64_t time_us, double value)
{
  if (s->is_text)
    return false;
  bool changed = !s->has_value || s->value != value;
  c->touched_us = time_us;
  s->value = value;
  s->has_value = true;
  s->consumed = false;
  if (s->cap)
    keep(i, s, (sample){.time_us = time_us, .value = value});
  if (s->window) {
    if (window_close(s->window, time_us))
      changed = true;
    window_add(s->window, time_us, value);
  }
  return noted(c, s, changed);
}

/* ---- the condition ---- */
static mc_value undefined(void) { return (mc_value){.kind = MC_VALUE_UNDEFINED}; }

static mc_value env_signal(void *ctx, uint32_t s)
{
  campaign *c = ctx;
  if (s < c->slot_count && c->slot[s].has_text)
    return (mc_value){.kind = MC_VALUE_STRING, .text = mc_buf_slice(&c->slot[s].text)};
  if (s >= c->slot_count || !c->slot[s].has_value)
    return undefined();
  return (mc_value){.kind = MC_VALUE_NUMBER, .number = c->slot[s].value};
}

static bool env_is_new(void *ctx, uint32_t s)
{
  campaign *c = ctx;
  return s < c->slot_count && (c->slot[s].has_value || c->slot[s].has_text) && !c->slot[s].consumed;
}

static mc_value env_window(void *ctx, uint32_t s, mc_window which)
{
  campaign *c = ctx;
  const window *w = s < c->slot_count ? c->slot[s].window : NULL;
  const window_part *p = w ? which >= MC_PREV_LAST_MIN ? &w->previous : &w->last : NULL;
  if (!p || !p->count)
    return undefined();
  mc_value v = {.kind = MC_VALUE_NUMBER};
  switch (which) {
  case MC_LAST_MIN:
  case MC_PREV_LAST_MIN:
    v.number = p->min;
    break;
  case MC_LAST_MAX:
  case MC_PREV_LAST_MAX:
    v.number = p->max;
    break;
  default:
    v.number = p->sum / (double)p->count;
  }
  return v;
}

static mc_value simple_value(const campaign *c)
{
  const slot *s = &c->slot[c->simple_slot];
  mc_value v = {.kind = s->has_value ? MC_VALUE_BOOL : MC_VALUE_UNDEFINED};
  double a = s->value, b = c->simple_number;
  switch (c->simple_op) {
  case MC_OP_LT:
    v.boolean = a < b;
    break;
  case MC_OP_GT:
    v.boolean = a > b;
    break;
  case MC_OP_LE:
    v.boolean = a <= b;
    break;
  case MC_OP_GE:
    v.boolean = a >= b;
    break;
  case MC_OP_EQ: /* within 0.001: 6.2 */
    v.boolean = fabs(a - b) < 0.001;
    break;
  default:
    v.boolean = !(fabs(a - b) < 0.001);
  }
  return v;
}

static void trigger(mc_inspector *i, campaign *c, int64_t now_us)
{
  c->last_trigger_us = now_us;
  c->armed = false;
  if (c->after_us) {
    c->event_us = now_us;
    c->collect_us = now_us + c->after_us;
  } else {
    mc_edge_campaign_collect(i, c, now_us);
  }
}

static int64_t least_interval(const campaign *c) { return fires_again(c) && !c->changed ? AGAIN_US : c->interval_us; }

/* Fires when everything allows it. */
static void consider(mc_inspector *i, campaign *c, int64_t now_us)
{
  if (c->truth && c->collect_us == MC_EDGE_NEVER_US && now_us - c->last_trigger_us >= least_interval(c) && (!c->rising_edge || c->armed))
    trigger(i, c, now_us);
}

void mc_edge_campaign_evaluate(mc_inspector *i, campaign *c, int64_t now_us)
{
  c->dirty = false;
  if (!c->condition_based || !c->enabled)
    return;
  mc_value v;
  if (c->simple) {
    v = simple_value(c);
    c->truth = v.kind == MC_VALUE_BOOL && v.boolean;
  } else {
    mc_expr_env env = {c, env_signal, env_is_new, env_window, NULL, c->memory};
    v = mc_expr_eval(c->condition, &env);
    c->truth = mc_value_is_true(v);
    for (uint32_t k = 0; c->polled && k < c->slot_count; k++)
      c->slot[k].consumed = c->slot[k].consumed || c->slot[k].in_condition;
  }
  if (!c->truth && v.kind != MC_VALUE_UNDEFINED)
    c->armed = true; /* an observed false */
  consider(i, c, now_us);
  c->changed = false;
}

/* ---- time ---- */
static void advance_period(mc_inspector *i, campaign *c, int64_t now_us)
{
  int64_t late = now_us - c->last_trigger_us;
  if (late < c->interval_us || c->collect_us != MC_EDGE_NEVER_US)
    return;
  int64_t at = c->last_trigger_us + late / c->interval_us * c->interval_us; /* keeps its phase, skips what was missed */
  trigger(i, c, now_us);
  c->last_trigger_us = at;
}

void mc_edge_campaign_advance(mc_inspector *i, campaign *c, int64_t now_us)
{
  if (now_us < c->last_trigger_us - 1000000) /* the clock was set back: start anew instead of waiting it out */
    c->last_trigger_us = now_us;
  bool evaluate = c->polled;
  for (uint32_t k = 0; c->has_windows && k < c->slot_count; k++)
    if (c->slot[k].window && window_close(c->slot[k].window, now_us))
      evaluate = c->changed = true;
  if (c->collect_us <= now_us) {
    int64_t event = c->event_us;
    c->collect_us = MC_EDGE_NEVER_US;
    mc_edge_campaign_collect(i, c, event);
  }
  if (!c->condition_based)
    advance_period(i, c, now_us);
  else if (evaluate)
    mc_edge_campaign_evaluate(i, c, now_us);
  else if (c->interval_us > 0 || c->armed || (fires_again(c) && holds_samples(c)))
    consider(i, c, now_us);
}

int64_t mc_edge_campaign_due(const campaign *c)
{
  int64_t due = c->collect_us;
  if (!c->condition_based && c->collect_us == MC_EDGE_NEVER_US)
    due = c->last_trigger_us + c->interval_us;
  else if (c->condition_based && c->truth && c->collect_us == MC_EDGE_NEVER_US && c->interval_us > 0 && (!c->rising_edge || c->armed))
    due = c->last_trigger_us + c->interval_us;
  else if (c->collect_us == MC_EDGE_NEVER_US && fires_again(c) && holds_samples(c))
    due = c->last_trigger_us + AGAIN_US;
  for (uint32_t k = 0; c->has_windows && k < c->slot_count; k++)
    if (c->slot[k].window && c->slot[k].window->end_us && c->slot[k].window->end_us < due)
      due = c->slot[k].window->end_us;
  return due;
}

/* ---- long stretches without samples ---- */
static bool may_trigger(const campaign *c) { return !c->condition_based || (c->truth && (!c->rising_edge || c->armed)); }

bool mc_edge_campaign_rests(const campaign *c, int64_t now_us)
{
  enum { POLLS_SETTLE_US = 1000000 }; /* ten polls: isNull has seen its samples consumed */
  bool held = false;
  for (uint32_t k = 0; k < c->slot_count; k++) {
    const window *w = c->slot[k].window;
    if (w && (w->now.count || w->last.count || w->previous.count))
      return false;
    held |= c->slot[k].len > 0;
  }
  if (c->collect_us != MC_EDGE_NEVER_US || (c->polled && now_us - c->touched_us < POLLS_SETTLE_US))
    return false;
  if (c->after_us && c->after_us >= c->interval_us && may_trigger(c)) /* its events follow each other's ends, not the interval */
    return false;
  return !may_trigger(c) || (!held && !c->rising_edge); /* an edge that waits for its interval is taken first */
}

void mc_edge_campaign_rest(campaign *c, int64_t until_us)
{
  int64_t passed = until_us - c->last_trigger_us;
  if (!may_trigger(c) || c->interval_us <= 0 || passed < c->interval_us)
    return;
  c->last_trigger_us += passed / c->interval_us * c->interval_us;
  if (c->after_us && until_us - c->last_trigger_us < c->after_us) { /* the last of them is still collecting */
    c->event_us = c->last_trigger_us;
    c->collect_us = c->event_us + c->after_us;
  }
}
