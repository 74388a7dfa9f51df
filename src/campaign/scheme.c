/* A campaign against one manifest: the CollectionScheme that goes on the wire. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/cost.h"
#include "campaign/scheme.h"

enum { DEFAULT_SAMPLES = 1000 };
#define NEVER_MS 253402214400000ULL /* 31 December 9999, as the service's default */

mc_err scheme_leave_out(compile_run *r, const char *reason, const char *text)
{
  r->out->reason = reason;
  r->out->text = strdup(text);
  return r->out->text ? MC_OK : MC_ERR_MEMORY;
}

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

bool campaign_agent_decodes(const manifest_version *m, agent_kind agent, uint32_t signal)
{
  return campaign_manifest_decodes(m, signal) && (agent.ours || !mc_map_get(&m->left_out, signal, NULL));
}

mc_fw_signal_info *scheme_info_of(compile_run *r, uint32_t signal)
{
  uint64_t index;
  return mc_map_get(&r->info_index, signal, &index) ? &r->info.at[index] : NULL;
}

mc_err scheme_info_add(compile_run *r, mc_fw_signal_info info)
{
  if (!info.path_count)
    MC_TRY(mc_map_put(&r->info_index, info.signal_id, r->info.len));
  return mc_vec_push(&r->info, info);
}

/* Stands this part of a structured signal there already? */
static bool has_path(const compile_run *r, const condition_use *use)
{
  for (size_t i = 0; i < r->info.len; i++) {
    const mc_fw_signal_info *info = &r->info.at[i];
    if (info->signal_id == use->id && info->path_count == use->path_count && memcmp(info->path, use->path, use->path_count * sizeof *use->path) == 0)
      return true;
  }
  return false;
}

/* Every signal of an expression must be in signal_information, or it is undefined on the vehicle (contract fleetwise 5.3). False: the manifest does not
 * decode one. */
static mc_err add_condition_signals(compile_run *r, const condition_use *use, size_t count, bool *complete)
{
  *complete = true;
  for (size_t i = 0; i < count && *complete; i++) {
    if (!campaign_manifest_decodes(r->m, use[i].id)) {
      char text[400];
      mc_slice fqn = mc_registry_signal_fqn(r->c->config.registry, r->campaign->tenant, use[i].id);
      snprintf(text, sizeof text, "the condition reads %.*s, which the vehicle's decoder manifest %s does not decode", MC_FMT(fqn), r->m->name);
      *complete = false;
      return scheme_leave_out(r, "condition_outside_manifest", text);
    }
    if (!campaign_agent_decodes(r->m, r->agent, use[i].id)) {
      *complete = false;
      return scheme_leave_out(r, "refused_for_agent", "the condition reads a multiplexed signal, which AWS's agent cannot decode: its manifest is without it");
    }
    if (mc_map_get(&r->ieee, use[i].id, NULL)) {
      *complete = false;
      return scheme_leave_out(r, "refused_for_agent",
                              "the condition reads an IEEE 754 signal, which AWS's agent before 1.2.1 decodes as an integer; update the agent, then the vehicle's attribute agentVersion");
    }
    if (use[i].path_count ? !has_path(r, &use[i]) : !scheme_info_of(r, use[i].id)) /* each part of a structured signal stands for itself */
      MC_TRY(scheme_info_add(r, ((mc_fw_signal_info){.signal_id = use[i].id, .sample_buffer_size = 1, .condition_only = true, .path = use[i].path, .path_count = use[i].path_count})));
  }
  return MC_OK;
}

/* Windows over a signal need a period; one that the agent chooses itself would differ between agents. */
static void set_window_periods(compile_run *r, const mc_expr *e)
{
  if (!e)
    return;
  if (e->kind == MC_EXPR_WINDOW) {
    mc_fw_signal_info *info = scheme_info_of(r, e->signal_id);
    uint32_t period = r->campaign->min_interval_ms ? r->campaign->min_interval_ms : 1000;
    if (info)
      info->fixed_window_period_ms = period;
  }
  set_window_periods(r, e->left);
  set_window_periods(r, e->right);
  for (uint32_t i = 0; i < e->param_count; i++)
    set_window_periods(r, e->param[i]);
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
static mc_err keep_alive(compile_run *r, mc_expr **e)
{
  uint32_t signal = has_plain_signal(*e) ? 0 : first_window_signal(*e);
  if (!signal || !*e)
    return MC_OK;
  mc_expr *node = mc_arena_array(&r->arena, 4, sizeof *node);
  if (!node)
    return MC_ERR_MEMORY;
  node[0] = node[1] = (mc_expr){.kind = MC_EXPR_SIGNAL, .signal_id = signal, .at = (*e)->at};
  node[2] = (mc_expr){.kind = MC_EXPR_OP, .op = MC_OP_EQ, .left = &node[0], .right = &node[1], .at = (*e)->at};
  node[3] = (mc_expr){.kind = MC_EXPR_OP, .op = MC_OP_AND, .left = *e, .right = &node[2], .at = (*e)->at};
  *e = &node[3];
  return MC_OK;
}

/* Its maximum starts at the smallest positive value: right only where no value is negative. */
static const mc_expr *wrong_maximum(compile_run *r, const mc_expr *e)
{
  if (!e)
    return NULL;
  if (e->kind == MC_EXPR_WINDOW && (e->window == MC_LAST_MAX || e->window == MC_PREV_LAST_MAX)) {
    mc_signal_info info;
    uint64_t index;
    bool integer = mc_map_get(&r->m->encoding, e->signal_id, &index) && r->m->list.at[index].type < MC_TYPE_FLOAT32;
    bool positive = mc_campaign_signal(r->c, r->campaign->tenant, e->signal_id, &r->arena, &info) == MC_OK && info.has_min && info.min >= 0;
    return integer || positive ? NULL : e;
  }
  const mc_expr *found = wrong_maximum(r, e->left);
  if (!found)
    found = wrong_maximum(r, e->right);
  for (uint32_t i = 0; i < e->param_count && !found; i++)
    found = wrong_maximum(r, e->param[i]);
  return found;
}

static mc_err fit_agent(compile_run *r, const char *where, mc_expr **e, bool *fits)
{
  mc_why why = {0};
  char text[MC_WHY_TEXT + 100];
  *fits = false;
  const mc_expr *window = agent_needs(r->agent, AROUND_WINDOW_MAXIMUM) ? wrong_maximum(r, *e) : NULL;
  if (window) {
    snprintf(text, sizeof text,
               "%s, byte %u: AWS's agent computes the maximum of a window wrongly over values that can be negative; give the signal a "
               "minimum of 0 or more in the catalog and save the campaign again, or compare its minimum", where, window->at);
    return scheme_leave_out(r, "refused_for_agent", text);
  }
  if (agent_needs(r->agent, AROUND_WINDOW_ONLY))
    MC_TRY(keep_alive(r, e));
  if (agent_needs(r->agent, AROUND_DEPTH) && mc_expr_fits_foreign(*e, NULL)) {
    MC_TRY(mc_expr_balance(*e, &r->arena, e));
    if (mc_expr_fits_foreign(*e, &why)) {
      snprintf(text, sizeof text, "%s%s", strcmp(where, "expression") ? where : "", strcmp(where, "expression") ? why.text + strlen("expression") : why.text);
      return scheme_leave_out(r, "refused_for_agent", text);
    }
  }
  *fits = true;
  return MC_OK;
}

mc_err scheme_condition(compile_run *r, const char *where, mc_slice text, mc_fw_node **out, bool *complete)
{
  condition_names names = {.c = r->c, .tenant = r->campaign->tenant, .manifest = mc_slice_str(r->m->name), .arena = &r->arena};
  mc_expr *e;
  mc_why why = {0};
  mc_err err = campaign_condition_parse(&names, text, &e, &why);
  *complete = false;
  if (err && err != MC_ERR_MEMORY)
    err = scheme_leave_out(r, "cannot_compile", why.text);
  else if (!err && names.used.len > AGENT_SIGNALS_A_CONDITION)
    err = scheme_leave_out(r, "refused_for_agent", "the condition reads more signals than an agent takes");
  else if (!err)
    err = add_condition_signals(r, names.used.at, names.used.len, complete);
  mc_vec_free(&names.used);
  if (!err && *complete)
    err = fit_agent(r, where, &e, complete);
  if (err || !*complete)
    return err;
  set_window_periods(r, e);
  *out = campaign_condition_to_wire(e, &r->arena);
  return *out ? MC_OK : MC_ERR_MEMORY;
}

/* Those of the manifest whose values such an agent gets wrong. */
static mc_err find_ieee(compile_run *r)
{
  mc_fw_manifest doc;
  if (!agent_needs(r->agent, AROUND_IEEE))
    return MC_OK;
  MC_TRY(mc_fw_read_manifest(mc_buf_slice(&r->m->foreign), &r->arena, &doc, NULL));
  for (uint32_t i = 0; i < doc.can_count; i++)
    if (doc.can[i].value_type)
      MC_TRY(mc_map_put(&r->ieee, doc.can[i].signal_id, 1));
  for (uint32_t i = 0; i < doc.obd_count; i++)
    if (doc.obd[i].value_type)
      MC_TRY(mc_map_put(&r->ieee, doc.obd[i].signal_id, 1));
  return MC_OK;
}

static mc_err collect_one(compile_run *r, const mc_campaign_collect *s, uint32_t id)
{
  if (scheme_info_of(r, id) || mc_map_get(&r->ieee, id, NULL))
    return MC_OK;
  return scheme_info_add(r, ((mc_fw_signal_info){.signal_id = id,
                                                    .sample_buffer_size = s->max_samples ? s->max_samples : DEFAULT_SAMPLES,
                                                    .minimum_sample_period_ms = s->min_period_ms,
                                                    .data_partition_id = scheme_partition_index(r->campaign, s->partition)}));
}

/* A part of a structured signal, by its name. MC_ERR_NOT_FOUND: it is none of this manifest. */
static mc_err collect_part(compile_run *r, const mc_campaign_collect *s)
{
  mc_expr_name part;
  mc_why why = {0};
  mc_err err = campaign_path_find(r->c, r->campaign->tenant, mc_slice_str(r->m->name), s->fqn, &r->arena, &part, &why);
  if (err == MC_ERR_MEMORY)
    return err;
  if (err || !part.path_count || !campaign_manifest_decodes(r->m, part.signal_id))
    return MC_ERR_NOT_FOUND;
  mc_fw_path path = {part.signal_id, part.path, part.path_count};
  condition_use use = {part.signal_id, part.path, part.path_count};
  if (has_path(r, &use))
    return MC_OK;
  MC_TRY(campaign_part_register(r->c, r->m, &path, NULL));
  return scheme_info_add(r, ((mc_fw_signal_info){.signal_id = part.signal_id,
                                                 .sample_buffer_size = s->max_samples ? s->max_samples : DEFAULT_SAMPLES,
                                                 .minimum_sample_period_ms = s->min_period_ms,
                                                 .data_partition_id = scheme_partition_index(r->campaign, s->partition),
                                                 .path = part.path,
                                                 .path_count = part.path_count}));
}

static mc_err collect_signals(compile_run *r)
{
  mc_registry *registry = r->c->config.registry;
  for (uint32_t i = 0; i < r->campaign->signal_count; i++) { /* those that are named go before those that a pattern takes */
    const mc_campaign_collect *s = &r->campaign->signal[i];
    uint32_t id;
    if (campaign_is_pattern(s->fqn))
      continue;
    if (mc_registry_signal_lookup(registry, r->campaign->tenant, s->fqn, &id) == MC_OK && campaign_agent_decodes(r->m, r->agent, id))
      MC_TRY(collect_one(r, s, id));
    else {
      mc_err err = collect_part(r, s);
      if (err && err != MC_ERR_NOT_FOUND)
        return err;
      if (err && !r->first_missing.len)
        r->first_missing = s->fqn;
    }
  }
  for (uint32_t i = 0; i < r->campaign->signal_count; i++) {
    const mc_campaign_collect *s = &r->campaign->signal[i];
    for (size_t k = 0; k < r->m->signal.len && campaign_is_pattern(s->fqn); k++)
      if (campaign_agent_decodes(r->m, r->agent, r->m->signal.at[k]) && campaign_pattern_takes(s->fqn, mc_registry_signal_fqn(registry, r->campaign->tenant, r->m->signal.at[k])))
        MC_TRY(collect_one(r, s, r->m->signal.at[k]));
  }
  return MC_OK;
}

static mc_err nothing_to_collect(compile_run *r)
{
  char text[400];
  mc_slice name = r->first_missing.len ? r->first_missing : r->campaign->signal_count ? r->campaign->signal[0].fqn : (mc_slice){0};
  snprintf(text, sizeof text, "the vehicle's decoder manifest %s decodes none of the signals to collect, %.*s%s", r->m->name, MC_FMT(mc_slice_sub(name, 0, 160)),
           r->campaign->signal_count > 1 ? " for one" : "");
  return scheme_leave_out(r, "nothing_to_collect", text);
}

/* Bytes, and the id that their content gives. */
static mc_err write_scheme(compile_run *r, mc_fw_scheme *s, char sync_id[160])
{
  mc_fw_schemes one = {s, 1, 0};
  mc_buf content = {0};
  mc_err err = mc_fw_write_schemes(&content, &one);
  if (!err) {
    campaign_sync_id(r->campaign->name, mc_buf_slice(&content), sync_id);
    s->campaign_sync_id = mc_slice_str(sync_id);
    mc_buf_clear(&content);
    err = mc_fw_write_schemes(&content, &one);
  }
  if (!err)
    err = mc_buf_append_slice(&r->out->bytes, mc_buf_slice(&content)); /* field 1 of CollectionSchemes, ready to be joined with others */
  mc_buf_free(&content);
  return err;
}

static mc_err build(compile_run *r, char sync_id[160])
{
  const mc_campaign *g = r->campaign;
  mc_fw_scheme s = {.manifest_sync_id = mc_slice_str(r->agent.ours ? r->m->sync_id : r->m->foreign_sync_id),
                    .start_ms = (uint64_t)(g->start_us / 1000),
                    .expiry_ms = g->expiry_us ? (uint64_t)(g->expiry_us / 1000) : NEVER_MS,
                    .condition_based = g->condition_based,
                    .period_ms = g->period_ms,
                    .minimum_interval_ms = g->min_interval_ms,
                    .language_version = 1,
                    .trigger_mode = g->rising_edge,
                    .after_duration_ms = g->after_ms,
                    .include_dtcs = g->include_dtcs,
                    .persist = g->persist,
                    .compress = g->compress,
                    .priority = g->priority};
  MC_TRY(find_ieee(r));
  MC_TRY(collect_signals(r));
  if (!r->info.len && !g->include_dtcs)
    return nothing_to_collect(r);
  bool complete = true;
  if (g->condition_based)
    MC_TRY(scheme_condition(r, "expression", g->expression, &s.condition, &complete));
  if (complete)
    MC_TRY(scheme_partitions(r, &s, &complete));
  if (complete)
    MC_TRY(scheme_fetches(r, &s, &complete));
  if (!complete)
    return MC_OK;
  s.signal = r->info.at;
  s.signal_count = (uint32_t)r->info.len;
  for (size_t i = 0; i < r->info.len; i++)
    r->out->sample_bytes += (uint64_t)r->info.at[i].sample_buffer_size * AGENT_BYTES_A_SAMPLE;
  return write_scheme(r, &s, sync_id);
}

static mc_err remember(mc_campaigns *c, const mc_campaign *g, const char *sync_id, const char **own, mc_why *why)
{
  scheme_version *known = campaign_scheme_by_sync(c, g->tenant, mc_slice_str(sync_id));
  if (known) {
    *own = known->sync_id;
    return MC_OK;
  }
  scheme_version *v = calloc(1, sizeof *v);
  if (!v || !(v->sync_id = strdup(sync_id))) {
    free(v);
    return MC_ERR_MEMORY;
  }
  v->tenant = g->tenant;
  v->campaign = g->id;
  v->compress = g->compress;
  MC_TRY(campaign_scheme_add(c, v));
  *own = v->sync_id;
  return mc_db_run(c->config.db, why,
                   "INSERT INTO scheme_version(tenant, sync_id, campaign, compress, created_us) VALUES ($1,$2,$3,$4,$5) ON "
                   "CONFLICT(tenant, sync_id) DO NOTHING",
                   "itiii", (int64_t)g->tenant, mc_slice_str(sync_id), (int64_t)g->id, (int64_t)g->compress, mc_clock_wall_us());
}

void campaign_scheme_tried_free(compiled_scheme *s)
{
  mc_buf_free(&s->bytes);
  free(s->text);
  *s = (compiled_scheme){0};
}

static void compiled_free(compiled_scheme *s)
{
  campaign_scheme_tried_free(s);
  free(s);
}

static mc_err compile_into(mc_campaigns *c, const mc_campaign *campaign, const manifest_version *m, agent_kind agent, compiled_scheme *out, char sync_id[160])
{
  compile_run r = {.c = c, .campaign = campaign, .m = m, .agent = agent, .out = out};
  mc_err err = build(&r, sync_id);
  mc_vec_free(&r.info);
  mc_map_free(&r.info_index);
  mc_map_free(&r.ieee);
  mc_arena_free(&r.arena);
  return err;
}

mc_err campaign_scheme_try(mc_campaigns *c, const mc_campaign *campaign, const manifest_version *m, agent_kind agent, compiled_scheme *out, mc_why *why)
{
  char sync_id[160];
  *out = (compiled_scheme){0};
  mc_err err = compile_into(c, campaign, m, agent, out, sync_id);
  if (err)
    campaign_scheme_tried_free(out);
  return err ? mc_err_set(why, err, "campaign %.*s: %s", MC_FMT(campaign->name), mc_err_text(err)) : MC_OK;
}

/* Looked up for every campaign of a vehicle at each of its check-ins, so it is made without formatting. A manifest's id has less than 200 bytes. */
static mc_slice compiled_key(const mc_campaign *campaign, agent_kind agent, uint32_t pace, const char *manifest_id, uint8_t out[400])
{
  size_t len = strnlen(manifest_id, 300);
  mc_store_le32(out, campaign->tenant);
  mc_store_le32(out + 4, campaign->id);
  mc_store_le64(out + 8, (uint64_t)campaign->updated_us);
  mc_store_le32(out + 16, agent.ours ? 0 : agent.version + 1);
  mc_store_le32(out + 20, pace);
  memcpy(out + 24, manifest_id, len);
  return mc_slice_of(out, 24 + len);
}

/* Slower than it is written, as caps ask. */
static mc_err compile_paced(mc_campaigns *c, const mc_campaign *campaign, uint32_t pace, const manifest_version *m, agent_kind agent, compiled_scheme *out, char sync_id[160])
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign paced;
  MC_TRY(cost_paced(campaign, pace, &arena, &paced));
  return compile_into(c, &paced, m, agent, out, sync_id);
}

mc_err campaign_scheme_compile(mc_campaigns *c, const mc_campaign *campaign, const manifest_version *m, agent_kind agent, uint32_t pace,
                               const compiled_scheme **out, mc_why *why)
{
  uint8_t bytes[400];
  char sync_id[160];
  mc_slice key = compiled_key(campaign, agent, pace, agent.ours ? m->sync_id : m->foreign_sync_id, bytes);
  uint64_t found;
  if (mc_strmap_get(&c->compiled, key, &found)) {
    *out = (const compiled_scheme *)(uintptr_t)found;
    return MC_OK;
  }
  compiled_scheme *fresh = calloc(1, sizeof *fresh);
  if (!fresh)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a campaign");
  mc_err err = compile_paced(c, campaign, pace, m, agent, fresh, sync_id);
  if (!err && fresh->bytes.len) {
    err = remember(c, campaign, sync_id, &fresh->sync_id, why);
    fresh->hash = mc_slice_fnv1a(mc_slice_str(sync_id));
  }
  if (!err)
    err = mc_strmap_put(&c->compiled, key, (uintptr_t)fresh);
  if (err) {
    compiled_free(fresh);
    return mc_err_set(why, err, "campaign %.*s: %s", MC_FMT(campaign->name), mc_err_text(err));
  }
  *out = fresh;
  return MC_OK;
}

void campaign_schemes_free(mc_campaigns *c)
{
  size_t at = 0;
  uint64_t value;
  while (mc_strmap_next(&c->compiled, &at, NULL, &value)) {
    compiled_free((compiled_scheme *)(uintptr_t)value);
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
