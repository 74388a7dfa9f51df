/* Campaigns as people keep them: checked, stored as JSON documents, mirrored in memory. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/state.h"
#include "format/json.h"

enum { MAX_SIGNALS = 1000, MIN_PERIOD_MS = 10, MAX_DESCRIPTION = 2048 };

/* ---- document ---- */

static mc_err to_document(const mc_campaign *g, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_text_field(&j, "description", g->description);
  mc_json_text_field(&j, "target_kind", g->target_kind);
  mc_json_text_field(&j, "target", g->target);
  mc_json_bool_field(&j, "condition", g->condition_based);
  mc_json_uint_field(&j, "period_ms", g->period_ms);
  mc_json_text_field(&j, "expression", g->expression);
  mc_json_uint_field(&j, "min_interval_ms", g->min_interval_ms);
  mc_json_bool_field(&j, "rising_edge", g->rising_edge);
  mc_json_uint_field(&j, "after_ms", g->after_ms);
  mc_json_bool_field(&j, "compress", g->compress);
  mc_json_bool_field(&j, "persist", g->persist);
  mc_json_uint_field(&j, "priority", g->priority);
  mc_json_int_field(&j, "start_us", g->start_us);
  mc_json_int_field(&j, "expiry_us", g->expiry_us);
  mc_json_key(&j, "signals");
  mc_json_array(&j);
  for (uint32_t i = 0; i < g->signal_count; i++) {
    mc_json_object(&j);
    mc_json_text_field(&j, "fqn", g->signal[i].fqn);
    mc_json_uint_field(&j, "max_samples", g->signal[i].max_samples);
    mc_json_uint_field(&j, "min_period_ms", g->signal[i].min_period_ms);
    mc_json_object_end(&j);
  }
  mc_json_array_end(&j);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

static mc_slice text_of(json_t *o, const char *key, mc_arena *arena)
{
  const char *s = json_string_value(json_object_get(o, key));
  return mc_slice_str(s ? mc_arena_str(arena, mc_slice_str(s)) : "");
}

static uint32_t number_of(json_t *o, const char *key)
{
  return (uint32_t)json_integer_value(json_object_get(o, key));
}

static mc_err from_document(mc_slice text, mc_arena *arena, mc_campaign *g)
{
  json_t *o = json_loadb((const char *)text.data, text.len, 0, NULL), *item;
  if (!o)
    return MC_ERR_MALFORMED;
  g->description = text_of(o, "description", arena);
  g->target_kind = text_of(o, "target_kind", arena);
  g->target = text_of(o, "target", arena);
  g->condition_based = json_is_true(json_object_get(o, "condition"));
  g->period_ms = number_of(o, "period_ms");
  g->expression = text_of(o, "expression", arena);
  g->min_interval_ms = number_of(o, "min_interval_ms");
  g->rising_edge = json_is_true(json_object_get(o, "rising_edge"));
  g->after_ms = number_of(o, "after_ms");
  g->compress = json_is_true(json_object_get(o, "compress"));
  g->persist = json_is_true(json_object_get(o, "persist"));
  g->priority = number_of(o, "priority");
  g->start_us = json_integer_value(json_object_get(o, "start_us"));
  g->expiry_us = json_integer_value(json_object_get(o, "expiry_us"));
  json_t *signals = json_object_get(o, "signals");
  size_t i;
  g->signal = mc_arena_array(arena, json_array_size(signals), sizeof *g->signal);
  json_array_foreach (signals, i, item) {
    if (g->signal)
      g->signal[g->signal_count++] =
          (mc_campaign_collect){text_of(item, "fqn", arena), number_of(item, "max_samples"), number_of(item, "min_period_ms")};
  }
  json_decref(o);
  return g->signal ? MC_OK : MC_ERR_MEMORY;
}

/* ---- checking ---- */

static unsigned distance(mc_slice a, mc_slice b)
{
  unsigned row[160];
  if (a.len > 158 || b.len > 158)
    return 1000;
  for (unsigned j = 0; j <= b.len; j++)
    row[j] = j;
  for (unsigned i = 1; i <= a.len; i++) {
    unsigned diagonal = row[0];
    row[0] = i;
    for (unsigned j = 1; j <= b.len; j++) {
      unsigned above = row[j];
      unsigned best = diagonal + ((a.data[i - 1] | 0x20) != (b.data[j - 1] | 0x20));
      if (above + 1 < best)
        best = above + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      row[j] = best;
      diagonal = above;
    }
  }
  return row[b.len];
}

/* The catalog's nearest name, for "did you mean". */
static mc_slice nearest(mc_campaigns *c, uint32_t tenant, mc_slice fqn, mc_arena *arena)
{
  mc_slice best = {0}, after = {0};
  unsigned least = (unsigned)(fqn.len / 3 + 2);
  mc_signal_info *list;
  size_t count;
  while (mc_campaign_signals(c, tenant, after, (mc_slice){0}, 1000, arena, &list, &count, NULL) == MC_OK && count) {
    for (size_t i = 0; i < count; i++) {
      unsigned d = distance(fqn, list[i].fqn);
      if (d < least) {
        least = d;
        best = list[i].fqn;
      }
    }
    after = list[count - 1].fqn;
  }
  return best;
}

typedef struct lookup_run {
  mc_campaigns *c;
  uint32_t tenant;
  MC_VEC(uint32_t) used;
  mc_slice unknown;
} lookup_run;

static uint32_t lookup(void *ctx, mc_slice fqn)
{
  lookup_run *r = ctx;
  uint32_t id;
  if (mc_registry_signal_lookup(r->c->config.registry, r->tenant, fqn, &id)) {
    r->unknown = fqn;
    return 0;
  }
  for (size_t i = 0; i < r->used.len; i++)
    if (r->used.at[i] == id)
      return id;
  if (mc_vec_push(&r->used, id))
    return 0;
  return id;
}

static mc_err explain_unknown(mc_campaigns *c, uint32_t tenant, mc_slice fqn, const char *where, mc_arena *arena, mc_why *why)
{
  mc_slice near = nearest(c, tenant, fqn, arena);
  if (near.len)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "%s: there is no signal \"%.*s\"; did you mean \"%.*s\"?", where, MC_FMT(fqn), MC_FMT(near));
  return mc_err_set(why, MC_ERR_NOT_FOUND, "%s: there is no signal \"%.*s\"; import a DBC that has it, or choose one from the catalog",
                    where, MC_FMT(fqn));
}

static mc_err check_expression(mc_campaigns *c, uint32_t tenant, mc_slice text, mc_arena *arena, mc_expr **out, lookup_run *run,
                               mc_why *why)
{
  *run = (lookup_run){.c = c, .tenant = tenant};
  mc_err err = mc_expr_parse(text, lookup, run, false, arena, out, why);
  if (err && run->unknown.len && why) {
    mc_why old = *why; /* keeps the byte */
    explain_unknown(c, tenant, run->unknown, "expression", arena, why);
    mc_why better = *why;
    mc_err_set(why, err, "%s (%s)", better.text, old.text);
  }
  return err;
}

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
    return mc_registry_fleet_exists(c->config.registry, g->tenant, g->target) ? MC_OK
                                                                             : mc_err_set(why, MC_ERR_NOT_FOUND, "target: there is no fleet \"%.*s\"", MC_FMT(g->target));
  if (mc_slice_eq_str(g->target_kind, "vehicle"))
    return mc_registry_vehicle_find(c->config.registry, g->tenant, g->target, &v) == MC_OK
               ? MC_OK
               : mc_err_set(why, MC_ERR_NOT_FOUND, "target: there is no vehicle \"%.*s\"", MC_FMT(g->target));
  return mc_err_set(why, MC_ERR_INVALID, "target_kind: expected all, fleet, manifest or vehicle, found \"%.*s\"", MC_FMT(g->target_kind));
}

static mc_err check(mc_campaigns *c, const mc_campaign *g, mc_arena *arena, mc_why *why)
{
  MC_TRY(check_target(c, g, why));
  if (g->description.len > MAX_DESCRIPTION)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "description: at most %d bytes", MAX_DESCRIPTION);
  if (g->signal_count == 0 || g->signal_count > MAX_SIGNALS)
    return mc_err_set(why, MC_ERR_INVALID, "signals: expected 1 to %d of them, found %u", MAX_SIGNALS, g->signal_count);
  for (uint32_t i = 0; i < g->signal_count; i++) {
    uint32_t id;
    char where[40];
    snprintf(where, sizeof where, "signals[%u]", i);
    if (mc_registry_signal_lookup(c->config.registry, g->tenant, g->signal[i].fqn, &id))
      return explain_unknown(c, g->tenant, g->signal[i].fqn, where, arena, why);
  }
  if (g->expiry_us && g->expiry_us <= g->start_us)
    return mc_err_set(why, MC_ERR_INVALID, "expiry: must lie after start");
  if (!g->condition_based)
    return g->period_ms >= MIN_PERIOD_MS
               ? MC_OK
               : mc_err_set(why, MC_ERR_INVALID, "period_ms: expected at least %d, found %u", MIN_PERIOD_MS, g->period_ms);
  if (!g->expression.len)
    return mc_err_set(why, MC_ERR_INVALID, "expression: a condition-based campaign needs one, for example $variable.`Vehicle.Speed` > 120");
  mc_expr *e;
  lookup_run run;
  mc_err err = check_expression(c, g->tenant, g->expression, arena, &e, &run, why);
  mc_vec_free(&run.used);
  return err;
}

mc_err mc_campaign_check_expression(mc_campaigns *c, uint32_t tenant, mc_slice text, uint32_t *depth, mc_arena *arena, mc_slice **fqns,
                                    size_t *count, mc_why *why)
{
  mc_expr *e;
  lookup_run run;
  *count = 0;
  mc_err err = check_expression(c, tenant, text, arena, &e, &run, why);
  *fqns = err ? NULL : mc_arena_array(arena, run.used.len, sizeof **fqns);
  if (!err && !*fqns)
    err = MC_ERR_MEMORY;
  for (size_t i = 0; i < run.used.len && !err; i++)
    (*fqns)[(*count)++] = mc_registry_signal_fqn(c->config.registry, tenant, run.used.at[i]);
  if (!err)
    *depth = mc_expr_depth(e);
  mc_vec_free(&run.used);
  return err;
}

/* ---- in memory ---- */

static campaign_entry *entry_of(mc_campaigns *c, uint32_t tenant, uint32_t id)
{
  for (size_t i = 0; i < c->campaign.len; i++)
    if (c->campaign.at[i]->c.id == id && c->campaign.at[i]->c.tenant == tenant)
      return c->campaign.at[i];
  return NULL;
}

static void entry_free(campaign_entry *e)
{
  if (e) {
    mc_arena_free(&e->arena);
    free(e);
  }
}

static campaign_entry *entry_make(uint32_t tenant, uint32_t id, mc_slice name, mc_campaign_status status, mc_slice document,
                                  int64_t created_us, int64_t updated_us)
{
  campaign_entry *e = calloc(1, sizeof *e);
  if (!e)
    return NULL;
  e->c = (mc_campaign){.id = id, .tenant = tenant, .status = status, .created_us = created_us, .updated_us = updated_us};
  if (mc_arena_copy(&e->arena, name, &e->c.name) || from_document(document, &e->arena, &e->c)) {
    entry_free(e);
    return NULL;
  }
  return e;
}

/* Puts the entry in the place of the one with its id, or behind all. */
static mc_err entry_put(mc_campaigns *c, campaign_entry *e)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&c->lock);
  size_t i = 0;
  while (i < c->campaign.len && c->campaign.at[i]->c.id != e->c.id)
    i++;
  if (i < c->campaign.len) {
    entry_free(c->campaign.at[i]);
    c->campaign.at[i] = e;
  } else {
    err = mc_vec_push(&c->campaign, e);
  }
  pthread_mutex_unlock(&c->lock);
  return err;
}

/* NULL: a row that this module would not have written. */
static campaign_entry *read_row(mc_stmt *s)
{
  int64_t id = mc_stmt_int(s, 0), tenant = mc_stmt_int(s, 1), status = mc_stmt_int(s, 3);
  if (id < 1 || id > UINT32_MAX || tenant < 1 || tenant > UINT32_MAX || status < MC_CAMPAIGN_DRAFT || status > MC_CAMPAIGN_ENDED ||
      !campaign_name_valid(mc_stmt_text(s, 2)))
    return NULL;
  return entry_make((uint32_t)tenant, (uint32_t)id, mc_stmt_text(s, 2), (mc_campaign_status)status, mc_stmt_text(s, 4), mc_stmt_int(s, 5), mc_stmt_int(s, 6));
}

mc_err campaign_resources_load(mc_campaigns *c, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err =
      mc_db_prepare(c->config.db, "SELECT id, tenant, name, status, document, created_us, updated_us FROM campaign ORDER BY id", &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why))) {
      campaign_entry *e = read_row(s);
      err = e ? entry_put(c, e)
              : mc_err_set(why, MC_ERR_MALFORMED, "campaign %lld in the database cannot be read: restore a back-up", (long long)mc_stmt_int(s, 0));
      if (err)
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- changes ---- */

mc_err mc_campaign_create(mc_campaigns *c, mc_campaign *campaign, bool start_now, mc_arena *arena, mc_why *why)
{
  if (!campaign_name_valid(campaign->name))
    return mc_err_set(why, MC_ERR_INVALID, "name: expected 1 to 100 of letters, digits, -, _ and :");
  MC_TRY(check(c, campaign, arena, why));
  mc_buf document = {0};
  mc_err err = to_document(campaign, &document);
  if (!err)
    err = mc_db_begin(c->config.db, true, why);
  if (!err) {
    campaign->status = start_now ? MC_CAMPAIGN_RUNNING : MC_CAMPAIGN_DRAFT;
    campaign->created_us = campaign->updated_us = mc_clock_wall_us();
    err = mc_db_next_id(c->config.db, "campaign", &campaign->id, why);
    if (!err)
      err = mc_db_run(c->config.db, why,
                      "INSERT INTO campaign(id, tenant, name, status, document, created_us, updated_us) VALUES ($1,$2,$3,$4,$5,$6,$7)",
                      "iititii", (int64_t)campaign->id, (int64_t)campaign->tenant, campaign->name, (int64_t)campaign->status,
                      mc_buf_slice(&document), campaign->created_us, campaign->updated_us);
    if (err == MC_ERR_EXISTS)
      mc_err_set(why, err, "name: there is a campaign \"%.*s\" already", MC_FMT(campaign->name));
    mc_err end = mc_db_end(c->config.db, err == MC_OK, err ? NULL : why);
    err = err ? err : end;
  }
  campaign_entry *e = err ? NULL
                          : entry_make(campaign->tenant, campaign->id, campaign->name, campaign->status, mc_buf_slice(&document),
                                       campaign->created_us, campaign->updated_us);
  if (!err)
    err = e ? entry_put(c, e) : MC_ERR_MEMORY;
  mc_buf_free(&document);
  if (!err && start_now)
    campaign_reconcile_all(c, campaign->tenant);
  return err;
}

mc_err mc_campaign_update(mc_campaigns *c, const mc_campaign *campaign, mc_arena *arena, mc_why *why)
{
  mc_campaign old;
  if (mc_campaign_get(c, campaign->tenant, campaign->id, arena, &old))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", campaign->id);
  MC_TRY(check(c, campaign, arena, why));
  mc_buf document = {0};
  int64_t now = mc_clock_wall_us();
  mc_err err = to_document(campaign, &document);
  if (!err)
    err = mc_db_run(c->config.db, why, "UPDATE campaign SET document = $1, updated_us = $2 WHERE id = $3 AND tenant = $4", "tiii",
                    mc_buf_slice(&document), now, (int64_t)campaign->id, (int64_t)campaign->tenant);
  campaign_entry *e =
      err ? NULL : entry_make(campaign->tenant, campaign->id, old.name, old.status, mc_buf_slice(&document), old.created_us, now);
  if (!err)
    err = e ? entry_put(c, e) : MC_ERR_MEMORY;
  mc_buf_free(&document);
  if (!err)
    campaign_reconcile_all(c, campaign->tenant);
  return err;
}

mc_err mc_campaign_set_status(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_campaign_status status, mc_why *why)
{
  static const char *const names[] = {"draft", "running", "suspended", "ended"};
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = entry_of(c, tenant, id);
  mc_err err = e ? MC_OK : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", id);
  mc_campaign_status old = e ? e->c.status : status;
  bool possible = old != MC_CAMPAIGN_ENDED && status != MC_CAMPAIGN_DRAFT && !(old == MC_CAMPAIGN_DRAFT && status == MC_CAMPAIGN_SUSPENDED);
  if (!err && old != status && !possible)
    err = mc_err_set(why, MC_ERR_CONFLICT, "a campaign that is %s cannot become %s", names[old], names[status]);
  if (!err && old != status)
    err = mc_db_run(c->config.db, why, "UPDATE campaign SET status = $1 WHERE id = $2 AND tenant = $3", "iii", (int64_t)status, (int64_t)id,
                    (int64_t)tenant);
  if (!err)
    e->c.status = status;
  pthread_mutex_unlock(&c->lock);
  if (!err && old != status)
    campaign_reconcile_all(c, tenant);
  return err;
}

mc_err mc_campaign_delete(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = entry_of(c, tenant, id);
  mc_err err = e ? mc_db_run(c->config.db, why, "DELETE FROM campaign WHERE id = $1 AND tenant = $2", "ii", (int64_t)id, (int64_t)tenant)
                 : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", id);
  for (size_t i = 0; i < c->campaign.len && !err; i++)
    if (c->campaign.at[i] == e) {
      memmove(&c->campaign.at[i], &c->campaign.at[i + 1], (c->campaign.len - i - 1) * sizeof *c->campaign.at);
      c->campaign.len--;
      break;
    }
  if (!err)
    entry_free(e);
  pthread_mutex_unlock(&c->lock);
  if (!err)
    campaign_reconcile_all(c, tenant);
  return err;
}

/* ---- reading ---- */

/* With the lock held: a copy whose strings live in the arena. */
static mc_err copy_out(mc_campaigns *c, const mc_campaign *from, mc_arena *arena, mc_campaign *out)
{
  *out = *from;
  mc_slice *texts[] = {&out->name, &out->description, &out->target_kind, &out->target, &out->expression};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    MC_TRY(mc_arena_copy(arena, *texts[i], texts[i]));
  out->signal = mc_arena_array(arena, from->signal_count, sizeof *out->signal);
  if (!out->signal)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < from->signal_count; i++) {
    out->signal[i] = from->signal[i];
    MC_TRY(mc_arena_copy(arena, from->signal[i].fqn, &out->signal[i].fqn));
  }
  out->sync_id = (mc_slice){0};
  for (size_t i = 0; i < c->manifest.len; i++) { /* its version against the first manifest that it fits */
    const compiled_scheme *s;
    const manifest_version *m = c->manifest.at[i];
    if (m->current && m->tenant == from->tenant && campaign_scheme_compile(c, from, m, false, &s, NULL) == MC_OK && s->bytes.len)
      return mc_arena_copy(arena, mc_slice_str(s->sync_id), &out->sync_id);
  }
  return MC_OK;
}

mc_err mc_campaign_get(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_arena *arena, mc_campaign *out)
{
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = entry_of(c, tenant, id);
  mc_err err = e ? copy_out(c, &e->c, arena, out) : MC_ERR_NOT_FOUND;
  pthread_mutex_unlock(&c->lock);
  return err;
}

mc_err mc_campaign_list(mc_campaigns *c, uint32_t tenant, mc_arena *arena, mc_campaign **out, size_t *count, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  mc_campaign *list = mc_arena_array(arena, c->campaign.len, sizeof *list);
  mc_err err = list ? MC_OK : MC_ERR_MEMORY;
  *count = 0;
  for (size_t i = 0; i < c->campaign.len && !err; i++)
    if (c->campaign.at[i]->c.tenant == tenant)
      err = copy_out(c, &c->campaign.at[i]->c, arena, &list[(*count)++]);
  pthread_mutex_unlock(&c->lock);
  *out = list;
  return err ? mc_err_set(why, err, "list of campaigns: %s", mc_err_text(err)) : MC_OK;
}
