/* Campaigns as people keep them: checked, stored as JSON documents, mirrored in memory. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/control.h"
#include "campaign/cost.h"
#include "campaign/shape.h"

/* ---- in memory ---- */

campaign_entry *campaign_entry_of(mc_campaigns *c, uint32_t tenant, uint32_t id)
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

/* A row as it stands in the database. */
typedef struct campaign_row {
  uint32_t tenant, id;
  mc_campaign_status status;
  mc_campaign_phase phase;
  mc_slice name, document, stopped, before;
  int64_t created_us, updated_us, held_us, before_us;
} campaign_row;

static mc_err entry_fill(campaign_entry *e, const campaign_row *r)
{
  e->c = (mc_campaign){.id = r->id, .tenant = r->tenant, .status = r->status, .phase = r->phase, .held_us = r->held_us, .created_us = r->created_us, .updated_us = r->updated_us};
  MC_TRY(mc_arena_copy(&e->arena, r->name, &e->c.name));
  MC_TRY(mc_arena_copy(&e->arena, r->stopped, &e->c.stopped));
  MC_TRY(campaign_from_document(r->document, &e->arena, &e->c));
  MC_TRY(rollout_read(e->c.rollout, &e->arena, &e->plan, NULL));
  if (!r->before.len)
    return MC_OK;
  e->before = mc_arena_alloc(&e->arena, sizeof *e->before);
  if (!e->before)
    return MC_ERR_MEMORY;
  *e->before = (mc_campaign){.id = r->id, .tenant = r->tenant, .name = e->c.name, .status = MC_CAMPAIGN_RUNNING, .created_us = r->created_us, .updated_us = r->before_us};
  return campaign_from_document(r->before, &e->arena, e->before);
}

static campaign_entry *entry_make(const campaign_row *r)
{
  campaign_entry *e = calloc(1, sizeof *e);
  if (e && entry_fill(e, r)) {
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
  campaign_row r = {.tenant = (uint32_t)tenant,
                    .id = (uint32_t)id,
                    .status = (mc_campaign_status)status,
                    .phase = mc_stmt_int(s, 7) ? MC_CAMPAIGN_REST : MC_CAMPAIGN_FIRST,
                    .name = mc_stmt_text(s, 2),
                    .document = mc_stmt_text(s, 4),
                    .created_us = mc_stmt_int(s, 5),
                    .updated_us = mc_stmt_int(s, 6),
                    .held_us = mc_stmt_int(s, 8),
                    .stopped = mc_stmt_text(s, 9),
                    .before = mc_stmt_text(s, 10),
                    .before_us = mc_stmt_int(s, 11)};
  return entry_make(&r);
}

mc_err campaign_resources_load(mc_campaigns *c, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err =
      mc_db_prepare(c->config.db,
                    "SELECT id, tenant, name, status, document, created_us, updated_us, phase, held_us, stopped, before_document, before_us FROM campaign ORDER BY id", &s, why);
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

static mc_err insert_row(mc_campaigns *c, mc_campaign *g, mc_slice document, mc_why *why)
{
  MC_TRY(mc_db_next_id(c->config.db, "campaign", &g->id, why));
  mc_err err = mc_db_run(c->config.db, why, "INSERT INTO campaign(id, tenant, name, status, document, created_us, updated_us) VALUES ($1,$2,$3,$4,$5,$6,$7)",
                         "iititii", (int64_t)g->id, (int64_t)g->tenant, g->name, (int64_t)g->status, document, g->created_us, g->updated_us);
  return err == MC_ERR_EXISTS ? mc_err_set(why, err, "name: there is a campaign \"%.*s\" already", MC_FMT(g->name)) : err;
}

bool campaign_room(mc_campaigns *c, uint32_t tenant, mc_why *why)
{
  uint64_t n = 0, most = c->limit[LIMIT_CAMPAIGNS];
  pthread_mutex_lock(&c->lock);
  for (size_t i = 0; i < c->campaign.len; i++)
    n += c->campaign.at[i]->c.tenant == tenant;
  pthread_mutex_unlock(&c->lock);
  if (n >= most)
    mc_err_set(why, MC_ERR_FULL, "there are %llu campaigns already; at most %llu (setting fleetwise_campaigns)", (unsigned long long)n, (unsigned long long)most);
  return n < most;
}

mc_err campaign_create(mc_campaigns *c, mc_campaign *campaign, bool start_now, mc_err (*also)(void *ctx, mc_why *why), void *ctx, mc_arena *arena, mc_why *why)
{
  if (!campaign_name_valid(campaign->name))
    return mc_err_set(why, MC_ERR_INVALID, "name: expected 1 to 100 of letters, digits, -, _ and :");
  MC_TRY(campaign_check(c, campaign, arena, why));
  if (!campaign_room(c, campaign->tenant, why))
    return MC_ERR_FULL;
  mc_buf document = {0};
  mc_err err = campaign_to_document(campaign, &document);
  if (!err)
    err = mc_db_begin(c->config.db, true, why);
  if (!err) {
    campaign->status = start_now ? MC_CAMPAIGN_RUNNING : MC_CAMPAIGN_DRAFT;
    campaign->created_us = campaign->updated_us = mc_clock_wall_us();
    err = insert_row(c, campaign, mc_buf_slice(&document), why);
    if (!err && also)
      err = also(ctx, why);
    mc_err ended = mc_db_end(c->config.db, err == MC_OK, err ? NULL : why);
    err = err ? err : ended;
  }
  campaign_row row = {.tenant = campaign->tenant, .id = campaign->id, .status = campaign->status, .name = campaign->name, .document = mc_buf_slice(&document),
                      .created_us = campaign->created_us, .updated_us = campaign->updated_us};
  campaign_entry *e = err ? NULL : entry_make(&row);
  if (!err)
    err = e ? entry_put(c, e) : MC_ERR_MEMORY;
  mc_buf_free(&document);
  if (!err && start_now)
    campaign_reconcile_all(c, campaign->tenant);
  return err;
}

mc_err mc_campaign_create(mc_campaigns *c, mc_campaign *campaign, bool start_now, mc_arena *arena, mc_why *why)
{
  return campaign_create(c, campaign, start_now, NULL, NULL, arena, why);
}

/* What goes to vehicles, without what only we look at. */
static mc_err collected(const mc_campaign *g, mc_buf *out)
{
  mc_campaign bare = *g;
  bare.description = bare.rollout = bare.dimensions = bare.destinations = (mc_slice){0};
  bare.cap_vehicle = bare.cap_all = (mc_campaign_amount){0};
  return campaign_to_document(&bare, out);
}

/* What a change makes of a roll-out: what vehicles collect is other now, so the first vehicles come first again, and the others keep what they had. */
static mc_err restage(const campaign_entry *e, const mc_campaign *fresh, campaign_row *row, mc_buf *before)
{
  mc_buf was = {0}, is = {0};
  mc_err err = collected(&e->c, &was);
  if (!err)
    err = collected(fresh, &is);
  bool other = !mc_slice_eq(mc_buf_slice(&was), mc_buf_slice(&is)), at_all = !e->plan.canary || e->c.phase == MC_CAMPAIGN_REST;
  mc_buf_free(&was);
  mc_buf_free(&is);
  const mc_campaign *keep = e->before;
  row->phase = e->plan.canary ? e->c.phase : MC_CAMPAIGN_REST;
  row->held_us = e->c.held_us;
  row->stopped = e->c.stopped;
  if (other && fresh->rollout.len && e->c.status != MC_CAMPAIGN_DRAFT) {
    keep = at_all ? &e->c : e->before;
    row->phase = MC_CAMPAIGN_FIRST;
    row->held_us = 0;
  } else if (e->c.status == MC_CAMPAIGN_DRAFT) {
    row->phase = MC_CAMPAIGN_FIRST;
  }
  if (!fresh->rollout.len || row->phase == MC_CAMPAIGN_REST)
    keep = NULL;
  row->before_us = keep ? keep->updated_us : 0;
  return err || !keep ? err : campaign_to_document(keep, before);
}

static bool same_amount(const mc_campaign_amount *a, const mc_campaign_amount *b) { return a->messages == b->messages && a->bytes == b->bytes && a->samples == b->samples; }

static mc_err write_update(mc_campaigns *c, const campaign_row *r, mc_why *why)
{
  return mc_db_run(c->config.db, why,
                   "UPDATE campaign SET document = $1, status = $2, updated_us = $3, phase = $4, held_us = $5, stopped = $6, before_document = $7, before_us = $8 WHERE id = $9 AND tenant = $10",
                   "tiiiittiii", r->document, (int64_t)r->status, r->updated_us, (int64_t)r->phase, r->held_us, r->stopped, r->before, r->before_us, (int64_t)r->id, (int64_t)r->tenant);
}

/* With the lock held, so that what is replaced is what was looked at, and is not deleted meanwhile. */
static mc_err replace(mc_campaigns *c, const campaign_entry *old, const mc_campaign *g, mc_campaign_status status, mc_why *why)
{
  mc_buf document = {0}, before = {0};
  campaign_row row = {.tenant = old->c.tenant, .id = old->c.id, .status = status, .name = old->c.name, .created_us = old->c.created_us, .updated_us = mc_clock_wall_us()};
  mc_err err = campaign_to_document(g, &document);
  if (!err)
    err = restage(old, g, &row, &before);
  row.document = mc_buf_slice(&document);
  row.before = mc_buf_slice(&before);
  if (status != old->c.status) {
    row.stopped = (mc_slice){0}; /* a person knows better */
    row.held_us = 0;             /* while it is suspended nobody holds it */
  }
  if (!err && !(same_amount(&old->c.cap_vehicle, &g->cap_vehicle) && same_amount(&old->c.cap_all, &g->cap_all)))
    err = campaign_pace_forget(c, old->c.id, why);
  if (!err)
    err = write_update(c, &row, why);
  campaign_entry *e = err ? NULL : entry_make(&row);
  if (!err)
    err = e ? entry_put(c, e) : MC_ERR_MEMORY;
  mc_buf_free(&document);
  mc_buf_free(&before);
  return err;
}

mc_err mc_campaign_update(mc_campaigns *c, const mc_campaign *campaign, mc_arena *arena, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  const campaign_entry *old = campaign_entry_of(c, campaign->tenant, campaign->id);
  mc_err err = old ? campaign_check(c, campaign, arena, why) : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", campaign->id);
  if (!err)
    err = replace(c, old, campaign, old->c.status, why);
  pthread_mutex_unlock(&c->lock);
  if (!err)
    campaign_reconcile_all(c, campaign->tenant);
  return err;
}

mc_err campaign_change(mc_campaigns *c, uint32_t tenant, uint32_t id, campaign_edit *edit, mc_arena *arena, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  const campaign_entry *old = campaign_entry_of(c, tenant, id);
  mc_err err = old ? MC_OK : MC_ERR_NOT_FOUND;
  if (!err) {
    mc_campaign fresh = old->c;
    edit->status = old->c.status;
    fresh.description = edit->description ? *edit->description : fresh.description;
    fresh.dimensions = edit->dimensions ? *edit->dimensions : fresh.dimensions;
    if (edit->from >= 0 && (int)old->c.status != edit->from)
      err = MC_ERR_CONFLICT;
    if (!err && edit->dimensions)
      err = campaign_check(c, &fresh, arena, why);
    if (!err)
      err = replace(c, old, &fresh, edit->from < 0 ? old->c.status : (mc_campaign_status)edit->to, why);
    if (!err && edit->from >= 0)
      edit->status = (mc_campaign_status)edit->to;
  }
  pthread_mutex_unlock(&c->lock);
  if (!err)
    campaign_reconcile_all(c, tenant);
  return err;
}

mc_slice campaign_of_catalog(mc_campaigns *c, uint32_t tenant, mc_slice catalog)
{
  for (size_t i = 0; i < c->campaign.len; i++)
    if (c->campaign.at[i]->c.tenant == tenant && mc_slice_eq(c->campaign.at[i]->c.catalog, catalog))
      return c->campaign.at[i]->c.name;
  return (mc_slice){0};
}

mc_slice campaign_of_target(mc_campaigns *c, uint32_t tenant, const char *kind, mc_slice target)
{
  for (size_t i = 0; i < c->campaign.len; i++) {
    const mc_campaign *g = &c->campaign.at[i]->c;
    if (g->tenant == tenant && mc_slice_eq_str(g->target_kind, kind) && mc_slice_eq(g->target, target))
      return g->name;
  }
  return (mc_slice){0};
}

mc_err mc_campaign_set_status(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_campaign_status status, mc_why *why)
{
  static const char *const names[] = {"draft", "running", "suspended", "ended"};
  int64_t now = mc_clock_wall_us();
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = campaign_entry_of(c, tenant, id);
  mc_err err = e ? MC_OK : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", id);
  mc_campaign_status old = e ? e->c.status : status;
  bool possible = old != MC_CAMPAIGN_ENDED && status != MC_CAMPAIGN_DRAFT && !(old == MC_CAMPAIGN_DRAFT && status == MC_CAMPAIGN_SUSPENDED);
  if (!err && old != status && !possible)
    err = mc_err_set(why, MC_ERR_CONFLICT, "a campaign that is %s cannot become %s", names[old], names[status]);
  if (!err && old != status)
    err = mc_db_run(c->config.db, why, "UPDATE campaign SET status = $1, updated_us = $4, stopped = '', held_us = 0 WHERE id = $2 AND tenant = $3", "iiii", (int64_t)status, (int64_t)id,
                    (int64_t)tenant, now);
  if (!err && old != status) {
    e->c.status = status;
    e->c.updated_us = now;
    e->c.stopped = (mc_slice){0}; /* a person knows better */
    e->c.held_us = 0;             /* while it is suspended nobody holds it */
  }
  pthread_mutex_unlock(&c->lock);
  if (!err && old != status)
    campaign_reconcile_all(c, tenant);
  return err;
}

static mc_err delete_rows(mc_campaigns *c, const mc_campaign *g, mc_why *why)
{
  MC_TRY(mc_db_begin(c->config.db, true, why));
  mc_err err = mc_db_run(c->config.db, why, "DELETE FROM campaign WHERE id = $1 AND tenant = $2", "ii", (int64_t)g->id, (int64_t)g->tenant);
  if (!err)
    err = campaign_tags_forget(c, g->tenant, "campaign", g->name, why);
  mc_err ended = mc_db_end(c->config.db, !err, err ? NULL : why);
  return err ? err : ended;
}

mc_err mc_campaign_delete(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = campaign_entry_of(c, tenant, id);
  mc_err err = e ? delete_rows(c, &e->c, why) : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", id);
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
  mc_slice *texts[] = {&out->name,    &out->description, &out->target_kind,  &out->target,     &out->expression,
                       &out->catalog, &out->dimensions,  &out->destinations, &out->partitions, &out->fetch,
                       &out->rollout, &out->stopped};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    MC_TRY(mc_arena_copy(arena, *texts[i], texts[i]));
  out->signal = mc_arena_array(arena, from->signal_count, sizeof *out->signal);
  if (!out->signal)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < from->signal_count; i++) {
    out->signal[i] = from->signal[i];
    MC_TRY(mc_arena_copy(arena, from->signal[i].fqn, &out->signal[i].fqn));
    MC_TRY(mc_arena_copy(arena, from->signal[i].partition, &out->signal[i].partition));
  }
  out->sync_id = (mc_slice){0};
  for (size_t i = 0; i < c->manifest.len; i++) { /* its version against the first manifest that it fits */
    const compiled_scheme *s;
    const manifest_version *m = c->manifest.at[i];
    if (m->current && m->tenant == from->tenant && campaign_scheme_compile(c, from, m, (agent_kind){.ours = true}, 0, &s, NULL) == MC_OK && s->bytes.len)
      return mc_arena_copy(arena, mc_slice_str(s->sync_id), &out->sync_id);
  }
  return MC_OK;
}

mc_err mc_campaign_get(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_arena *arena, mc_campaign *out)
{
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = campaign_entry_of(c, tenant, id);
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
