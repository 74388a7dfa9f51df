/* Roll-outs: what vehicles say decides whether a campaign goes on from its first vehicles to the rest, or suspends itself. Where it stands is in the campaign's row. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/state.h"

enum { TALLY_SHARE = 20 /* counting takes at most one part in so many of the time */, TEXT = 300 };

typedef struct staged {
  uint32_t tenant, id;
  int64_t updated_us, held_us;
  mc_campaign_phase phase;
  bool running;
  mc_slice rollout; /* its document */
} staged;

static mc_err copy_of(const campaign_entry *e, mc_arena *arena, staged *out)
{
  *out = (staged){e->c.tenant, e->c.id, e->c.updated_us, e->c.held_us, e->c.phase, e->c.status == MC_CAMPAIGN_RUNNING, {0}};
  return mc_arena_copy(arena, e->c.rollout, &out->rollout);
}

/* ---- decisions ---- */

typedef struct decision {
  mc_campaign_phase phase;
  mc_campaign_status status;
  int64_t held_us;
  const char *stopped; /* NULL: as it is */
} decision;

static mc_err write_decision(mc_campaigns *c, const campaign_entry *e, const decision *d, int64_t updated_us, mc_why *why)
{
  bool rest = d->phase == MC_CAMPAIGN_REST;
  return mc_db_run(c->config.db, why,
                   rest ? "UPDATE campaign SET phase = $1, status = $2, held_us = $3, stopped = $4, updated_us = $5, before_document = '', before_us = 0 WHERE id = $6 AND tenant = $7"
                        : "UPDATE campaign SET phase = $1, status = $2, held_us = $3, stopped = $4, updated_us = $5 WHERE id = $6 AND tenant = $7",
                   "iiitiii", (int64_t)d->phase, (int64_t)d->status, d->held_us, d->stopped ? mc_slice_str(d->stopped) : e->c.stopped, updated_us, (int64_t)e->c.id, (int64_t)e->c.tenant);
}

/* Lock held. */
static mc_err decide(mc_campaigns *c, campaign_entry *e, const decision *d, mc_why *why)
{
  mc_slice stopped = e->c.stopped;
  if (d->stopped && mc_arena_copy(&e->arena, mc_slice_str(d->stopped), &stopped))
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a roll-out");
  int64_t updated_us = d->status == e->c.status ? e->c.updated_us : mc_clock_wall_us();
  MC_TRY(write_decision(c, e, d, updated_us, why));
  e->c.updated_us = updated_us;
  e->c.phase = d->phase;
  e->c.status = d->status;
  e->c.held_us = d->held_us;
  e->c.stopped = stopped;
  if (d->phase == MC_CAMPAIGN_REST)
    e->before = NULL;
  return MC_OK;
}

/* By what was counted; a campaign that was changed meanwhile is looked at another time. */
static mc_err act(mc_campaigns *c, const staged *x, rollout_verdict verdict, int64_t held_us, const char *text, mc_why *why)
{
  bool moves = verdict == ROLLOUT_STOP || verdict == ROLLOUT_NEXT;
  mc_err err = MC_OK;
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = campaign_entry_of(c, x->tenant, x->id);
  if (!e || e->c.updated_us != x->updated_us || e->c.status != MC_CAMPAIGN_RUNNING || e->c.phase != x->phase)
    moves = false;
  else if (moves || held_us != e->c.held_us)
    err = decide(c, e,
                 &(decision){verdict == ROLLOUT_NEXT ? MC_CAMPAIGN_REST : e->c.phase, verdict == ROLLOUT_STOP ? MC_CAMPAIGN_SUSPENDED : MC_CAMPAIGN_RUNNING, held_us,
                             verdict == ROLLOUT_STOP ? text : NULL},
                 why);
  pthread_mutex_unlock(&c->lock);
  if (err || !moves)
    return err;
  mc_log(verdict == ROLLOUT_STOP ? MC_LOG_WARN : MC_LOG_INFO, "campaign", verdict == ROLLOUT_STOP ? "a campaign suspended itself" : "a campaign goes on to the rest of its vehicles",
         MC_KU("campaign", x->id), MC_KZ("reason", text));
  campaign_reconcile_all(c, x->tenant);
  if (c->config.by_itself)
    c->config.by_itself(c->config.by_itself_ctx, x->tenant, x->id, verdict == ROLLOUT_STOP ? "campaign_suspend" : "campaign_rollout", text);
  return MC_OK;
}

/* ---- counting ---- */

/* held_us: since when all of them have it, by now. */
static mc_err count(mc_campaigns *c, const staged *x, int64_t now_us, rollout_tally *tally, rollout_verdict *verdict, char text[TEXT], mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  rollout plan;
  MC_TRY(rollout_read(x->rollout, &arena, &plan, why));
  *tally = (rollout_tally){0};
  MC_TRY(campaign_rollout_tally(c, x->tenant, x->id, &plan, tally, why));
  bool all = tally->reached && tally->confirmed == tally->reached;
  tally->confirmed_us = !all ? 0 : x->held_us ? x->held_us : now_us;
  *verdict = rollout_judge(&plan, x->phase, tally, now_us, text, TEXT);
  return MC_OK;
}

static mc_err look(mc_campaigns *c, int64_t now_us, mc_arena *arena, staged **out, size_t *n)
{
  mc_err err = MC_OK;
  *n = 0;
  pthread_mutex_lock(&c->lock);
  *out = mc_arena_array(arena, c->campaign.len ? c->campaign.len : 1, sizeof **out);
  for (size_t i = 0; i < c->campaign.len && *out && !err; i++) {
    const campaign_entry *e = c->campaign.at[i];
    if (e->plan.canary && e->c.status == MC_CAMPAIGN_RUNNING && e->tally_us <= now_us)
      err = copy_of(e, arena, &(*out)[(*n)++]);
  }
  pthread_mutex_unlock(&c->lock);
  return *out ? err : MC_ERR_MEMORY;
}

static void note_effort(mc_campaigns *c, const staged *x, int64_t next_us)
{
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = campaign_entry_of(c, x->tenant, x->id);
  if (e)
    e->tally_us = next_us;
  pthread_mutex_unlock(&c->lock);
}

mc_err campaign_rollouts_tick(mc_campaigns *c, int64_t now_us, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  staged *list;
  size_t n;
  if (look(c, now_us, &arena, &list, &n))
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for roll-outs");
  for (size_t i = 0; i < n; i++) {
    rollout_tally tally;
    rollout_verdict verdict;
    char text[TEXT];
    int64_t begin = mc_clock_mono_us();
    mc_err err = count(c, &list[i], now_us, &tally, &verdict, text, why);
    if (err == MC_ERR_NOT_FOUND) /* deleted meanwhile */
      continue;
    MC_TRY(err);
    note_effort(c, &list[i], now_us + (mc_clock_mono_us() - begin) * TALLY_SHARE);
    MC_TRY(act(c, &list[i], verdict, tally.confirmed_us, text, why));
  }
  return MC_OK;
}

/* ---- for people ---- */

static mc_err find(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_arena *arena, staged *out, mc_slice *stopped, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  const campaign_entry *e = campaign_entry_of(c, tenant, id);
  mc_err err = e ? copy_of(e, arena, out) : MC_ERR_NOT_FOUND;
  if (!err)
    err = mc_arena_copy(arena, e->c.stopped, stopped);
  pthread_mutex_unlock(&c->lock);
  return err == MC_ERR_NOT_FOUND ? mc_err_set(why, err, "there is no campaign %u", id) : err ? mc_err_set(why, err, "out of memory") : MC_OK;
}

mc_err mc_campaign_rollout_of(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_arena *arena, mc_campaign_rollout *out, mc_why *why)
{
  staged x;
  mc_slice stopped;
  rollout_tally t;
  rollout_verdict verdict;
  char text[TEXT];
  MC_TRY(find(c, tenant, id, arena, &x, &stopped, why));
  *out = (mc_campaign_rollout){.staged = x.rollout.len != 0, .phase = x.rollout.len ? x.phase : MC_CAMPAIGN_REST};
  if (!out->staged)
    return MC_OK;
  MC_TRY(count(c, &x, mc_clock_wall_us(), &t, &verdict, text, why));
  out->reached = t.reached;
  out->sent = t.sent;
  out->confirmed = t.confirmed;
  out->refused = t.refused;
  out->errors = t.errors;
  out->silent = t.silent;
  out->held_us = t.confirmed_us;
  out->ready = x.running && (verdict == ROLLOUT_ASK || verdict == ROLLOUT_NEXT);
  if (stopped.len || !x.running) {
    out->text = stopped;
    return MC_OK;
  }
  return mc_arena_copy(arena, mc_slice_str(text), &out->text);
}

mc_err mc_campaign_rollout_set(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_campaign_phase phase, mc_why *why)
{
  pthread_mutex_lock(&c->lock);
  campaign_entry *e = campaign_entry_of(c, tenant, id);
  mc_err err = e ? MC_OK : mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", id);
  if (!err && !e->plan.canary)
    err = mc_err_set(why, MC_ERR_CONFLICT, "the campaign goes to all its vehicles at once: it has no rollout");
  bool moves = !err && e->c.phase != phase;
  if (moves)
    err = decide(c, e, &(decision){phase, e->c.status, 0, NULL}, why);
  pthread_mutex_unlock(&c->lock);
  if (!err && moves)
    campaign_reconcile_all(c, tenant);
  return err;
}
