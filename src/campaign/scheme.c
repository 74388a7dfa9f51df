/* A campaign against one manifest: the CollectionScheme that goes on the wire. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/state.h"

enum { DEFAULT_SAMPLES = 1000, MAX_FOREIGN_DEPTH = 10 };
#define NEVER_MS 253402214400000ULL /* 31 December 9999, as the service's default */

typedef struct compile_run {
  mc_campaigns *c;
  const mc_campaign *campaign;
  const manifest_version *m;
  mc_arena arena;
  MC_VEC(mc_fw_signal_info) info;
  bool outside; /* the expression names a signal that the manifest does not decode */
} compile_run;

bool campaign_manifest_decodes(const manifest_version *m, uint32_t signal)
{
  size_t lo = 0, hi = m->signal.len;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (m->signal.at[mid] < signal)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < m->signal.len && m->signal.at[lo] == signal;
}

static mc_fw_signal_info *info_of(compile_run *r, uint32_t signal)
{
  for (size_t i = 0; i < r->info.len; i++)
    if (r->info.at[i].signal_id == signal)
      return &r->info.at[i];
  return NULL;
}

static uint32_t lookup(void *ctx, mc_slice fqn)
{
  compile_run *r = ctx;
  uint32_t id;
  if (mc_registry_signal_lookup(r->c->config.registry, r->campaign->tenant, fqn, &id))
    return 0;
  if (!campaign_manifest_decodes(r->m, id)) {
    r->outside = true;
    return id;
  }
  /* Every signal of an expression must be in signal_information, or it is undefined on the vehicle (contract fleetwise 5.3). */
  if (!info_of(r, id) && mc_vec_push(&r->info, ((mc_fw_signal_info){.signal_id = id, .sample_buffer_size = 1, .condition_only = true})))
    return 0;
  return id;
}

/* Windows over a signal need a period; one that the agent chooses itself would differ between agents. */
static void set_window_periods(compile_run *r, const mc_expr *e)
{
  if (!e)
    return;
  if (e->kind == MC_EXPR_WINDOW) {
    mc_fw_signal_info *info = info_of(r, e->signal_id);
    uint32_t period = r->campaign->min_interval_ms ? r->campaign->min_interval_ms : 1000;
    if (info)
      info->fixed_window_period_ms = period;
  }
  set_window_periods(r, e->left);
  set_window_periods(r, e->right);
  for (uint32_t i = 0; i < e->param_count; i++)
    set_window_periods(r, e->param[i]);
}

static mc_fw_node *to_wire(compile_run *r, const mc_expr *e)
{
  mc_fw_node *n = e ? mc_arena_alloc(&r->arena, sizeof *n) : NULL;
  if (!n)
    return NULL;
  switch (e->kind) {
  case MC_EXPR_OP:
    n->kind = MC_FW_NODE_OPERATOR;
    n->op = e->op;
    n->left = to_wire(r, e->left);
    n->right = to_wire(r, e->right);
    break;
  case MC_EXPR_WINDOW:
    n->kind = MC_FW_NODE_FUNCTION;
    n->function = MC_FW_FN_WINDOW;
    n->window = e->window;
    n->signal_id = e->signal_id;
    break;
  case MC_EXPR_CUSTOM:
    n->kind = MC_FW_NODE_FUNCTION;
    n->function = MC_FW_FN_CUSTOM;
    n->text = e->text;
    n->param_count = e->param_count;
    n->param = mc_arena_array(&r->arena, e->param_count, sizeof *n->param);
    for (uint32_t i = 0; i < e->param_count && n->param; i++)
      n->param[i] = to_wire(r, e->param[i]);
    break;
  case MC_EXPR_IS_NULL:
    n->kind = MC_FW_NODE_FUNCTION;
    n->function = MC_FW_FN_IS_NULL;
    n->left = to_wire(r, e->left);
    break;
  case MC_EXPR_NUMBER:
    n->kind = MC_FW_NODE_DOUBLE;
    n->number = e->number;
    break;
  case MC_EXPR_SIGNAL:
    n->kind = MC_FW_NODE_SIGNAL;
    n->signal_id = e->signal_id;
    break;
  case MC_EXPR_BOOL:
    n->kind = MC_FW_NODE_BOOL;
    n->boolean = e->boolean;
    break;
  case MC_EXPR_STRING:
    n->kind = MC_FW_NODE_STRING;
    n->text = e->text;
    break;
  }
  return n;
}

static bool has_plain_signal(const mc_expr *e)
{
  if (!e)
    return false;
  if (e->kind == MC_EXPR_SIGNAL)
    return true;
  bool found = has_plain_signal(e->left) || has_plain_signal(e->right);
  for (uint32_t i = 0; i < e->param_count && !found; i++)
    found = has_plain_signal(e->param[i]);
  return found;
}

static uint32_t first_window_signal(const mc_expr *e)
{
  if (!e)
    return 0;
  if (e->kind == MC_EXPR_WINDOW)
    return e->signal_id;
  uint32_t id = first_window_signal(e->left);
  return id ? id : first_window_signal(e->right);
}

/* AWS's agent evaluates a condition of window functions only once, when it is built: it gets an always-true comparison of a plain signal
 * beside it (contract fleetwise 10 and 12.2): s == s || true would still be undefined without a sample, as windows are then too. */
static mc_fw_node *keep_alive_for_foreign(compile_run *r, const mc_expr *e, mc_fw_node *tree)
{
  uint32_t signal = has_plain_signal(e) ? 0 : first_window_signal(e);
  if (!signal)
    return tree;
  mc_fw_node *and = mc_arena_alloc(&r->arena, sizeof *and), *same = mc_arena_alloc(&r->arena, sizeof *same);
  mc_fw_node *a = mc_arena_alloc(&r->arena, sizeof *a), *b = mc_arena_alloc(&r->arena, sizeof *b);
  if (!and || !same || !a || !b)
    return NULL;
  *a = *b = (mc_fw_node){.kind = MC_FW_NODE_SIGNAL, .signal_id = signal};
  *same = (mc_fw_node){.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_EQ, .left = a, .right = b};
  *and = (mc_fw_node){.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_AND, .left = tree, .right = same};
  return and;
}

static mc_err compile_condition(compile_run *r, bool foreign, mc_fw_scheme *scheme, mc_why *why)
{
  mc_expr *e;
  MC_TRY(mc_expr_parse(r->campaign->expression, lookup, r, foreign, &r->arena, &e, why));
  if (r->outside)
    return MC_OK;
  set_window_periods(r, e);
  scheme->condition = to_wire(r, e);
  if (foreign)
    scheme->condition = keep_alive_for_foreign(r, e, scheme->condition);
  return scheme->condition ? MC_OK : MC_ERR_MEMORY;
}

static mc_err collect_signals(compile_run *r)
{
  for (uint32_t i = 0; i < r->campaign->signal_count; i++) {
    const mc_campaign_collect *s = &r->campaign->signal[i];
    uint32_t id;
    if (mc_registry_signal_lookup(r->c->config.registry, r->campaign->tenant, s->fqn, &id) || !campaign_manifest_decodes(r->m, id) || info_of(r, id))
      continue;
    MC_TRY(mc_vec_push(&r->info, ((mc_fw_signal_info){.signal_id = id,
                                                      .sample_buffer_size = s->max_samples ? s->max_samples : DEFAULT_SAMPLES,
                                                      .minimum_sample_period_ms = s->min_period_ms})));
  }
  return MC_OK;
}

static mc_err build(compile_run *r, bool foreign, compiled_scheme *out, mc_why *why)
{
  const mc_campaign *g = r->campaign;
  mc_fw_scheme s = {.manifest_sync_id = mc_slice_str(foreign ? r->m->foreign_sync_id : r->m->sync_id),
                    .start_ms = (uint64_t)(g->start_us / 1000),
                    .expiry_ms = g->expiry_us ? (uint64_t)(g->expiry_us / 1000) : NEVER_MS,
                    .condition_based = g->condition_based,
                    .period_ms = g->period_ms,
                    .minimum_interval_ms = g->min_interval_ms,
                    .language_version = 1,
                    .trigger_mode = g->rising_edge,
                    .after_duration_ms = g->after_ms,
                    .persist = g->persist,
                    .compress = g->compress,
                    .priority = g->priority};
  MC_TRY(collect_signals(r));
  if (!r->info.len)
    return MC_OK; /* nothing of it is on this manifest */
  if (g->condition_based)
    MC_TRY(compile_condition(r, foreign, &s, why));
  if (r->outside)
    return MC_OK;
  s.signal = r->info.at;
  s.signal_count = (uint32_t)r->info.len;
  mc_buf content = {0};
  mc_fw_schemes one = {&s, 1, 0};
  mc_err err = mc_fw_write_schemes(&content, &one);
  if (!err) {
    campaign_sync_id(g->name, mc_buf_slice(&content), out->sync_id);
    s.campaign_sync_id = mc_slice_str(out->sync_id);
    mc_buf_clear(&content);
    err = mc_fw_write_schemes(&content, &one);
  }
  if (!err)
    err = mc_buf_append_slice(&out->bytes, mc_buf_slice(&content)); /* field 1 of CollectionSchemes, ready to be joined with others */
  mc_buf_free(&content);
  return err;
}

static mc_err remember(mc_campaigns *c, const mc_campaign *g, const char *sync_id, mc_why *why)
{
  if (campaign_scheme_by_sync(c, g->tenant, mc_slice_str(sync_id)))
    return MC_OK;
  scheme_version *v = calloc(1, sizeof *v);
  if (!v || !(v->sync_id = strdup(sync_id))) {
    free(v);
    return MC_ERR_MEMORY;
  }
  v->tenant = g->tenant;
  v->campaign = g->id;
  v->compress = g->compress;
  MC_TRY(campaign_scheme_add(c, v));
  return mc_db_run(c->config.db, why,
                   "INSERT INTO scheme_version(tenant, sync_id, campaign, compress, created_us) VALUES ($1,$2,$3,$4,$5) ON "
                   "CONFLICT(tenant, sync_id) DO NOTHING",
                   "itiii", (int64_t)g->tenant, mc_slice_str(sync_id), (int64_t)g->id, (int64_t)g->compress, mc_clock_wall_us());
}

mc_err campaign_scheme_compile(mc_campaigns *c, const mc_campaign *campaign, const manifest_version *m, bool foreign,
                               const compiled_scheme **out, mc_why *why)
{
  char key[400];
  int n = snprintf(key, sizeof key, "%u/%u/%lld/%s", campaign->tenant, campaign->id, (long long)campaign->updated_us,
                   foreign ? m->foreign_sync_id : m->sync_id);
  uint64_t found;
  if (mc_strmap_get(&c->compiled, mc_slice_of(key, (size_t)n), &found)) {
    *out = (const compiled_scheme *)(uintptr_t)found;
    return MC_OK;
  }
  compiled_scheme *fresh = calloc(1, sizeof *fresh);
  if (!fresh)
    return MC_ERR_MEMORY;
  compile_run r = {.c = c, .campaign = campaign, .m = m};
  mc_err err = build(&r, foreign, fresh, why);
  mc_vec_free(&r.info);
  mc_arena_free(&r.arena);
  if (!err && fresh->bytes.len)
    err = remember(c, campaign, fresh->sync_id, why);
  if (!err)
    err = mc_strmap_put(&c->compiled, mc_slice_of(key, (size_t)n), (uintptr_t)fresh);
  if (err) {
    mc_buf_free(&fresh->bytes);
    free(fresh);
    return err;
  }
  *out = fresh;
  return MC_OK;
}

void campaign_schemes_free(mc_campaigns *c)
{
  size_t at = 0;
  uint64_t value;
  while (mc_strmap_next(&c->compiled, &at, NULL, &value)) {
    compiled_scheme *s = (compiled_scheme *)(uintptr_t)value;
    mc_buf_free(&s->bytes);
    free(s);
  }
  mc_strmap_free(&c->compiled);
}

mc_err campaign_schemes_load(mc_campaigns *c, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, "SELECT tenant, sync_id, campaign, compress FROM scheme_version", &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why))) {
      scheme_version *v = calloc(1, sizeof *v);
      mc_slice id = mc_stmt_text(s, 1);
      if (!v || !(v->sync_id = strndup((const char *)id.data, id.len))) {
        free(v);
        err = MC_ERR_MEMORY;
        break;
      }
      v->tenant = (uint32_t)mc_stmt_int(s, 0);
      v->campaign = (uint32_t)mc_stmt_int(s, 2);
      v->compress = mc_stmt_int(s, 3) != 0;
      if ((err = campaign_scheme_add(c, v)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}
