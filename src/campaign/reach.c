/* On which vehicles a campaign would run, and what the manifests of the others lack. The same rule as scheme.c's: one signal to collect, and every
 * signal of the expression. */
#include "campaign/state.h"

typedef struct reach_run {
  mc_campaigns *c;
  const mc_campaign *g;
  mc_slice *condition; /* names in the expression */
  size_t condition_count;
} reach_run;

static bool decodes(const reach_run *r, const manifest_version *m, mc_slice fqn)
{
  uint32_t id;
  return m && mc_registry_signal_lookup(r->c->config.registry, r->g->tenant, fqn, &id) == MC_OK && campaign_manifest_decodes(m, id);
}

static bool takes_some(const reach_run *r, const manifest_version *m, mc_slice pattern)
{
  for (size_t i = 0; m && i < m->signal.len; i++)
    if (campaign_pattern_takes(pattern, mc_registry_signal_fqn(r->c->config.registry, r->g->tenant, m->signal.at[i])))
      return true;
  return false;
}

static void note_missing(mc_campaign_reach *part, mc_slice fqn)
{
  size_t named = part->missing < MC_CAMPAIGN_REACH_NAMES ? part->missing : MC_CAMPAIGN_REACH_NAMES;
  for (size_t i = 0; i < named; i++)
    if (mc_slice_eq(part->name[i], fqn))
      return; /* collected and in the condition */
  if (named < MC_CAMPAIGN_REACH_NAMES)
    part->name[named] = fqn;
  part->missing++;
}

static void judge(const reach_run *r, mc_campaign_reach *part)
{
  pthread_mutex_lock(&r->c->lock);
  const manifest_version *m = part->manifest.len ? campaign_manifest_current(r->c, r->g->tenant, part->manifest) : NULL;
  pthread_mutex_unlock(&r->c->lock); /* versions are never freed before close */
  bool all = m != NULL, any = false;
  for (size_t i = 0; i < r->condition_count; i++)
    if (!decodes(r, m, r->condition[i])) {
      note_missing(part, r->condition[i]);
      all = false;
    }
  for (uint32_t i = 0; i < r->g->signal_count; i++) {
    bool found = campaign_is_pattern(r->g->signal[i].fqn) ? takes_some(r, m, r->g->signal[i].fqn) : decodes(r, m, r->g->signal[i].fqn);
    any |= found;
    if (!found)
      note_missing(part, r->g->signal[i].fqn);
  }
  part->reached = any && all;
}

/* Adds a vehicle to the part of its manifest. */
static mc_err count_in(mc_slice manifest, mc_arena *arena, mc_campaign_reach *parts, size_t most, size_t *count)
{
  for (size_t i = 0; i < *count; i++)
    if (mc_slice_eq(parts[i].manifest, manifest)) {
      parts[i].vehicles++;
      return MC_OK;
    }
  if (*count == most)
    return MC_ERR_FULL;
  mc_campaign_reach *part = &parts[*count];
  *part = (mc_campaign_reach){.vehicles = 1};
  MC_TRY(mc_arena_copy(arena, manifest, &part->manifest));
  (*count)++;
  return MC_OK;
}

mc_err mc_campaign_reach_of(mc_campaigns *c, const mc_campaign *draft, mc_arena *arena, mc_campaign_reach **out, size_t *count, mc_why *why)
{
  reach_run run = {.c = c, .g = draft};
  mc_manifest_info *manifests;
  uint32_t depth;
  size_t most;
  *count = 0;
  MC_TRY(mc_campaign_manifests(c, draft->tenant, arena, &manifests, &most, why));
  most += 64; /* none, and what is made meanwhile */
  *out = mc_arena_array(arena, most, sizeof **out);
  if (!*out)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %zu manifests", most);
  if (draft->expression.len && mc_campaign_check_expression(c, draft->tenant, draft->expression, &depth, arena, &run.condition, &run.condition_count, NULL))
    run.condition_count = 0;
  mc_slice after = {0};
  mc_vehicle *vehicles;
  size_t page;
  do {
    MC_TRY(mc_registry_vehicle_list(c->config.registry, draft->tenant, after, (mc_slice){0}, 1000, arena, &vehicles, &page, why));
    for (size_t i = 0; i < page; i++)
      if (campaign_names(c, draft, &vehicles[i])) {
        mc_err err = count_in(mc_slice_str(vehicles[i].manifest), arena, *out, most, count);
        if (err)
          return mc_err_set(why, err, "the vehicles have more manifests than there are: ask again");
      }
    if (page)
      after = mc_slice_str(vehicles[page - 1].name);
  } while (page == 1000);
  for (size_t i = 0; i < *count; i++)
    judge(&run, &(*out)[i]);
  return MC_OK;
}
