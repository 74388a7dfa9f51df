/* State templates against one vehicle: which it should hold, and the delta that it lacks (contract fleetwise 4 and 5.6). */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/state.h"
#include "format/fleetwise_state.h"

/* The version's own string. */
static mc_err remember(mc_campaigns *c, const mc_state_template *t, mc_slice manifest, const char *sync_id, const char **own)
{
  template_version *known = campaign_template_by_sync(c, t->tenant, mc_slice_str(sync_id));
  if (known) {
    *own = known->sync_id;
    return MC_OK;
  }
  template_version *v = calloc(1, sizeof *v);
  if (!v || mc_vec_push(&c->template_version, v)) {
    free(v);
    return MC_ERR_MEMORY;
  }
  v->tenant = t->tenant;
  v->sync_id = strdup(sync_id);
  v->name = strndup((const char *)t->name.data, t->name.len);
  v->manifest = strndup((const char *)manifest.data, manifest.len);
  if (!v->sync_id || !v->name || !v->manifest)
    return MC_ERR_MEMORY;
  MC_TRY(campaign_template_index(c, v));
  *own = v->sync_id;
  return mc_db_run(c->config.db, NULL, "INSERT INTO template_version(tenant, sync_id, name, manifest) VALUES ($1,$2,$3,$4) ON CONFLICT(tenant, sync_id) DO NOTHING", "ittt",
                   (int64_t)t->tenant, mc_slice_str(sync_id), t->name, manifest);
}

static bool is_text(mc_campaigns *c, uint32_t tenant, const manifest_version *m, uint32_t signal)
{
  uint64_t index;
  mc_signal_info info;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  if (mc_map_get(&m->encoding, signal, &index))
    return m->list.at[index].type == MC_TYPE_STRING;
  return mc_campaign_signal(c, tenant, signal, &arena, &info) == MC_OK && mc_slice_eq_str(info.type, "STRING");
}

static mc_err fill(mc_campaigns *c, const mc_state_template *t, const manifest_version *m, mc_slice manifest_id, agent_kind agent, uint64_t period_ms, compiled_template *out)
{
  char sync_id[160];
  for (uint32_t i = 0; i < t->signal_count; i++) {
    uint32_t id;
    if (mc_registry_signal_lookup(c->config.registry, t->tenant, t->signal[i], &id) || !campaign_agent_decodes(m, agent, id))
      continue;
    if (agent_needs(agent, AROUND_TEMPLATE_TEXT) && is_text(c, t->tenant, m, id)) {
      out->text_left_out = true;
      continue;
    }
    MC_TRY(mc_vec_push(&out->signal, id));
  }
  out->period_ms = period_ms;
  if (!out->signal.len)
    return MC_OK;
  mc_fw_state_template one = {.periodic = period_ms > 0, .period_ms = period_ms, .signal = out->signal.at, .signal_count = (uint32_t)out->signal.len};
  mc_fw_state_templates doc = {.manifest_sync_id = manifest_id, .add = &one, .add_count = 1};
  mc_buf content = {0};
  mc_err err = mc_fw_write_state_templates(&content, &doc);
  if (!err) {
    campaign_sync_id(t->name, mc_buf_slice(&content), sync_id);
    out->hash = mc_slice_fnv1a(mc_slice_str(sync_id));
    err = remember(c, t, manifest_id, sync_id, &out->sync_id);
  }
  mc_buf_free(&content);
  return err;
}

static mc_err compile(mc_campaigns *c, const mc_state_template *t, const manifest_version *m, agent_kind agent, uint64_t period_ms, const compiled_template **out)
{
  char key[400];
  uint64_t found;
  const char *manifest_id = agent.ours ? m->sync_id : m->foreign_sync_id;
  int n = snprintf(key, sizeof key, "%u/%.*s/%lld/%llu/%d/%s", t->tenant, MC_FMT(t->id), (long long)t->updated_us, (unsigned long long)period_ms, agent.ours, manifest_id);
  if (mc_strmap_get(&c->template_compiled, mc_slice_of(key, (size_t)n), &found)) {
    *out = (const compiled_template *)(uintptr_t)found;
    return MC_OK;
  }
  compiled_template *fresh = calloc(1, sizeof *fresh);
  mc_err err = fresh ? fill(c, t, m, mc_slice_str(manifest_id), agent, period_ms, fresh) : MC_ERR_MEMORY;
  if (!err)
    err = mc_strmap_put(&c->template_compiled, mc_slice_of(key, (size_t)n), (uintptr_t)fresh);
  if (err) {
    if (fresh)
      mc_vec_free(&fresh->signal);
    free(fresh);
    return err;
  }
  *out = fresh;
  return MC_OK;
}

mc_err campaign_template_plan(mc_campaigns *c, vehicle_state *v, const manifest_version *m, template_plan *p)
{
  *p = (template_plan){0};
  MC_TRY(campaign_vehicle_facts(c, v));
  p->hash = 1;
  for (size_t i = 0; i < v->use.len; i++) {
    const template_entry *e = campaign_template_find(c, v->tenant, mc_slice_str(v->use.at[i].name));
    const compiled_template *t = NULL;
    if (e && m)
      MC_TRY(compile(c, &e->t, m, campaign_vehicle_agent(v), v->use.at[i].period_ms, &t));
    if (t && !t->sync_id)
      t = NULL;
    MC_TRY(mc_vec_push(&p->wanted, t));
    p->hash += t ? t->hash << 1 : 0;
  }
  return MC_OK;
}

static bool wants(const template_plan *p, const char *sync_id)
{
  for (size_t i = 0; i < p->wanted.len; i++)
    if (p->wanted.at[i] && p->wanted.at[i]->sync_id == sync_id)
      return true;
  return false;
}

bool campaign_templates_match(const vehicle_state *v, const template_plan *p)
{
  for (size_t i = 0; i < p->wanted.len; i++)
    if (p->wanted.at[i] && !campaign_vehicle_reports(v, p->wanted.at[i]->sync_id))
      return false;
  for (size_t i = 0; i < v->reported.len; i++)
    if (v->reported.at[i].kind == ID_TEMPLATE && !wants(p, v->reported.at[i].id))
      return false;
  return !v->unknown.len; /* perhaps templates of another cloud, where the vehicle comes from */
}

mc_err campaign_template_delta(mc_campaigns *c, vehicle_state *v, const manifest_version *m, const template_plan *p, uint64_t version, mc_buf *out)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_state_template *add = mc_arena_array(&arena, p->wanted.len, sizeof *add);
  mc_slice *gone = mc_arena_array(&arena, v->reported.len + v->unknown.len, sizeof *gone);
  mc_fw_state_templates doc = {.manifest_sync_id = mc_slice_str(v->ours ? m->sync_id : m->foreign_sync_id), .add = add, .remove = gone, .version = version};
  if (!add || !gone)
    return MC_ERR_MEMORY;
  for (size_t i = 0; i < p->wanted.len; i++) {
    const compiled_template *t = p->wanted.at[i];
    if (t && !campaign_vehicle_reports(v, t->sync_id))
      add[doc.add_count++] = (mc_fw_state_template){.sync_id = mc_slice_str(t->sync_id), .periodic = t->period_ms > 0, .period_ms = t->period_ms, .signal = t->signal.at,
                                                    .signal_count = (uint32_t)t->signal.len};
  }
  for (size_t i = 0; i < v->reported.len; i++)
    if (v->reported.at[i].kind == ID_TEMPLATE && !wants(p, v->reported.at[i].id))
      gone[doc.remove_count++] = mc_slice_str(v->reported.at[i].id);
  for (size_t i = 0; i < v->unknown.len; i++) /* taking away what is no template does nothing */
    gone[doc.remove_count++] = mc_slice_str(v->unknown.at[i]);
  return doc.add_count || doc.remove_count ? mc_fw_write_state_templates(out, &doc) : MC_OK;
}

/* ---- where they stand ---- */

static mc_err describe(mc_campaigns *c, const vehicle_state *v, const mc_vehicle *vehicle, const manifest_version *m, const compiled_template *t, mc_arena *arena,
                       mc_vehicle_template *out)
{
  const char *state = "pending", *reason = "to_be_sent", *text = "it is sent after the vehicle's next check-in";
  if (!m) {
    state = "none";
    reason = "no_manifest";
    text = "the vehicle has no decoder manifest";
  } else if (!t) {
    state = "none";
    reason = "nothing_to_collect";
    text = "the vehicle's decoder manifest decodes none of its signals";
  } else if (!v->prefix[0]) {
    reason = "never_checked_in";
    text = "no check-in ever came under the vehicle's name";
  } else if (campaign_vehicle_reports(v, t->sync_id)) {
    state = "healthy";
    reason = "confirmed";
    text = t->text_left_out ? "text signals were left out: AWS's agent skips them" : "";
  } else if (v->templates.failed) {
    reason = "not_sent";
    text = "the last attempt to send it failed; it is tried again";
  } else if (v->templates.hash && v->templates.checkins < RECONCILE_PATIENCE) {
    reason = "sent";
    text = "the vehicle confirms it in its next check-in";
  } else if (v->templates.hash) {
    reason = "not_confirmed";
    text = "sent, and not in the vehicle's check-ins since: the agent was built without last known state, or does not subscribe to last_known_states/config";
  }
  out->state = mc_slice_str(state);
  out->reason = mc_slice_str(reason);
  out->text = mc_slice_str(text);
  return t ? mc_arena_copy(arena, mc_slice_str(t->sync_id), &out->sync_id) : MC_OK;
}

mc_err mc_templates_of_vehicle(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_arena *arena, mc_vehicle_template **out, size_t *count, mc_why *why)
{
  mc_vehicle facts;
  template_plan p = {0};
  *count = 0;
  if (mc_registry_vehicle_get(c->config.registry, tenant, vehicle, &facts))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle %u", vehicle);
  pthread_mutex_lock(&c->lock);
  vehicle_state *v = campaign_vehicle_state(c, tenant, vehicle, true);
  const manifest_version *m = facts.manifest[0] ? campaign_manifest_current(c, tenant, mc_slice_str(facts.manifest)) : NULL;
  mc_err err = v ? campaign_template_plan(c, v, m, &p) : MC_ERR_MEMORY;
  *out = err ? NULL : mc_arena_array(arena, v->use.len, sizeof **out);
  if (!err && !*out)
    err = MC_ERR_MEMORY;
  for (size_t i = 0; !err && i < v->use.len; i++) {
    mc_vehicle_template *x = &(*out)[(*count)++];
    *x = (mc_vehicle_template){.period_ms = v->use.at[i].period_ms};
    err = mc_arena_copy(arena, mc_slice_str(v->use.at[i].name), &x->name);
    if (!err)
      err = describe(c, v, &facts, m, p.wanted.at[i], arena, x);
  }
  mc_vec_free(&p.wanted);
  pthread_mutex_unlock(&c->lock);
  return err ? mc_err_set(why, err, "state templates of vehicle %s: %s", facts.name, mc_err_text(err)) : MC_OK;
}
