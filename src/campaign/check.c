/* Whether a campaign can be: names, target, times, sizes, its condition. What only one vehicle lacks is told where it converges (convergence.c). */
#include "campaign/shape.h"
#include "campaign/state.h"

enum { MAX_SIGNALS = 1000000, MIN_PERIOD_MS = 10 };

static mc_err check_target(mc_campaigns *c, const mc_campaign *g, mc_why *why)
{
  mc_vehicle v;
  if (mc_slice_eq_str(g->target_kind, "all"))
    return MC_OK;
  if (mc_slice_eq_str(g->target_kind, "manifest"))
    return campaign_manifest_current(c, g->tenant, g->target)
               ? MC_OK
               : mc_err_set(why, MC_ERR_NOT_FOUND, "target: there is no manifest \"%.*s\"", MC_FMT(g->target));
  if (mc_slice_eq_str(g->target_kind, "fleet"))
    return mc_registry_fleet_exists(c->config.registry, g->tenant, g->target)
               ? MC_OK
               : mc_err_set(why, MC_ERR_NOT_FOUND, "target: there is no fleet \"%.*s\"", MC_FMT(g->target));
  if (mc_slice_eq_str(g->target_kind, "vehicle"))
    return mc_registry_vehicle_find(c->config.registry, g->tenant, g->target, &v) == MC_OK
               ? MC_OK
               : mc_err_set(why, MC_ERR_NOT_FOUND, "target: there is no vehicle \"%.*s\"", MC_FMT(g->target));
  return mc_err_set(why, MC_ERR_INVALID, "target_kind: expected all, fleet, manifest or vehicle, found \"%.*s\"", MC_FMT(g->target_kind));
}

/* "signals[3]: ..." before what is said of the name. */
static mc_err check_name(mc_campaigns *c, const mc_campaign *g, uint32_t i, mc_arena *arena, mc_why *why)
{
  mc_slice name = g->signal[i].fqn;
  uint32_t id;
  if (!campaign_is_pattern(name)) {
    mc_expr_name part;
    mc_why text = {0};
    if (mc_registry_signal_lookup(c->config.registry, g->tenant, name, &id) == MC_OK)
      return MC_OK;
    mc_err err = campaign_path_find(c, g->tenant, (mc_slice){0}, name, arena, &part, &text);
    if (err == MC_OK)
      return MC_OK;
    if (text.text[0])
      mc_err_set(why, err, "%s", text.text);
    else
      err = campaign_unknown_signal(c, g->tenant, name, arena, why);
    if (why)
      mc_err_prefix(why, "signals[%u]", i);
    return err;
  }
  mc_slice after = {0};
  mc_signal_info *list;
  size_t count;
  while (mc_campaign_signals(c, g->tenant, after, (mc_slice){0}, 1000, arena, &list, &count, NULL) == MC_OK && count) {
    for (size_t k = 0; k < count; k++)
      if (campaign_pattern_takes(name, list[k].fqn))
        return MC_OK;
    after = list[count - 1].fqn;
  }
  return mc_err_set(why, MC_ERR_NOT_FOUND,
             "signals[%u]: no signal of the catalog is like \"%.*s\"; * stands for any letters of one part, and at the end for all that lies "
             "below", i, MC_FMT(mc_slice_sub(name, 0, 160)));
}

static mc_err check_memory(const mc_campaign *g, mc_why *why)
{
  uint64_t samples = 0;
  for (uint32_t i = 0; i < g->signal_count; i++)
    samples += g->signal[i].max_samples ? g->signal[i].max_samples : 1;
  if (samples * AGENT_BYTES_A_SAMPLE <= AGENT_SAMPLE_BYTES)
    return MC_OK;
  return mc_err_set(why, MC_ERR_TOO_LARGE, "signals: they ask for buffers of %llu samples together, %d bytes each; an agent has %d MB: lower max_samples", (unsigned long long)samples,
                    AGENT_BYTES_A_SAMPLE, AGENT_SAMPLE_BYTES >> 20);
}

static mc_err check_condition(mc_campaigns *c, const mc_campaign *g, mc_arena *arena, mc_why *why)
{
  if (!g->expression.len)
    return mc_err_set(why, MC_ERR_INVALID, "expression: a condition-based campaign needs one, for example $variable.`Vehicle.Speed` > 120");
  condition_names names = {.c = c, .tenant = g->tenant, .arena = arena};
  mc_expr *e;
  mc_err err = campaign_condition_parse(&names, g->expression, &e, why);
  mc_vec_free(&names.used);
  return err;
}

mc_err campaign_check(mc_campaigns *c, const mc_campaign *g, mc_arena *arena, mc_why *why)
{
  MC_TRY(check_target(c, g, why));
  if (g->description.len > 4 * c->limit[LIMIT_DESCRIPTION]) /* characters of UTF-8 */
    return mc_err_set(why, MC_ERR_TOO_LARGE, "description: at most %llu characters", (unsigned long long)c->limit[LIMIT_DESCRIPTION]);
  bool something = g->signal_count || g->include_dtcs || g->fetch.len;
  if (!something || g->signal_count > MAX_SIGNALS)
    return mc_err_set(why, MC_ERR_INVALID, "signals: expected 1 to %d of them, found %u", MAX_SIGNALS, g->signal_count);
  for (uint32_t i = 0; i < g->signal_count; i++)
    MC_TRY(check_name(c, g, i, arena, why));
  MC_TRY(check_memory(g, why));
  MC_TRY(campaign_check_parts(c, g, arena, why));
  rollout plan;
  MC_TRY(rollout_read(g->rollout, arena, &plan, why));
  if (g->expiry_us && g->expiry_us <= g->start_us)
    return mc_err_set(why, MC_ERR_INVALID, "expiry: must lie after start");
  if (g->condition_based)
    return check_condition(c, g, arena, why);
  return g->period_ms >= MIN_PERIOD_MS ? MC_OK : mc_err_set(why, MC_ERR_INVALID, "period_ms: expected at least %d, found %u", MIN_PERIOD_MS, g->period_ms);
}

mc_err mc_campaign_check_expression(mc_campaigns *c, uint32_t tenant, mc_slice text, uint32_t *depth, mc_arena *arena, mc_slice **fqns,
                                    size_t *count, mc_why *why)
{
  mc_expr *e;
  condition_names names = {.c = c, .tenant = tenant, .arena = arena};
  *count = 0;
  mc_err err = campaign_condition_parse(&names, text, &e, why);
  *fqns = err ? NULL : mc_arena_array(arena, names.used.len, sizeof **fqns);
  if (!err && !*fqns)
    err = MC_ERR_MEMORY;
  for (size_t i = 0; i < names.used.len && !err; i++)
    (*fqns)[(*count)++] = mc_registry_signal_fqn(c->config.registry, tenant, names.used.at[i].id);
  if (!err)
    *depth = mc_expr_depth(e);
  mc_vec_free(&names.used);
  return err;
}
