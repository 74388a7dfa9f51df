/* Caps of campaigns: by what is written of today, a campaign goes slower on a vehicle, or everywhere, until midnight (UTC). Paces are rows of campaign_pace, so that
 * a start changes none of them, and live in memory under `lock`, where documents are compiled. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/cost.h"
#include "campaign/state.h"

#define DAY_US 86400000000LL

typedef struct pace_row {
  uint32_t tenant, campaign, vehicle; /* vehicle 0: everywhere */
  int64_t day;
  cost_pacing p;
} pace_row;
typedef MC_VEC(pace_row) pace_row_vec;

struct pace_book {
  pace_row_vec row;
  mc_map index; /* campaign << 32 | vehicle -> index in row */
};

static uint64_t key_of(uint32_t campaign, uint32_t vehicle) { return (uint64_t)campaign << 32 | vehicle; }

pace_book *pace_book_create(void) { return calloc(1, sizeof(pace_book)); }

void pace_book_destroy(pace_book *b)
{
  if (!b)
    return;
  mc_vec_free(&b->row);
  mc_map_free(&b->index);
  free(b);
}

static pace_row *find(const pace_book *b, uint32_t campaign, uint32_t vehicle)
{
  uint64_t at;
  return mc_map_get(&b->index, key_of(campaign, vehicle), &at) && at < b->row.len ? &b->row.at[at] : NULL;
}

static mc_err put(pace_book *b, const pace_row *r)
{
  pace_row *old = find(b, r->campaign, r->vehicle);
  if (old) {
    *old = *r;
    return MC_OK;
  }
  MC_TRY(mc_vec_push(&b->row, *r));
  mc_err err = mc_map_put(&b->index, key_of(r->campaign, r->vehicle), b->row.len - 1);
  if (err)
    b->row.len--;
  return err;
}

static void drop(pace_book *b, uint32_t campaign, uint32_t vehicle)
{
  uint64_t at;
  if (!mc_map_get(&b->index, key_of(campaign, vehicle), &at) || at >= b->row.len)
    return;
  mc_map_remove(&b->index, key_of(campaign, vehicle), NULL);
  b->row.at[at] = b->row.at[--b->row.len];
  if (at < b->row.len)
    mc_map_put(&b->index, key_of(b->row.at[at].campaign, b->row.at[at].vehicle), at); /* its key is there: no memory is needed */
}

mc_err pace_book_load(pace_book *b, mc_db *db, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT campaign, vehicle, tenant, day, pace, since_us, messages, bytes, samples FROM campaign_pace", &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why))) {
      int64_t pace = mc_stmt_int(s, 4);
      pace_row r = {(uint32_t)mc_stmt_int(s, 2), (uint32_t)mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), mc_stmt_int(s, 3),
                    {pace < 0 || pace >= COST_PACES ? COST_PACES - 1 : (uint32_t)pace, mc_stmt_int(s, 5), {(uint64_t)mc_stmt_int(s, 6), (uint64_t)mc_stmt_int(s, 7), (uint64_t)mc_stmt_int(s, 8)}}};
      if ((err = put(b, &r)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

uint32_t campaign_pace(mc_campaigns *c, uint32_t campaign, uint32_t vehicle)
{
  if (!c->paces->row.len)
    return 0;
  const pace_row *all = find(c->paces, campaign, 0), *own = vehicle ? find(c->paces, campaign, vehicle) : NULL;
  uint32_t a = all ? all->p.pace : 0, b = own ? own->p.pace : 0;
  return a > b ? a : b;
}

mc_err campaign_pace_forget(mc_campaigns *c, uint32_t campaign, mc_why *why)
{
  MC_TRY(mc_db_run(c->config.db, why, "DELETE FROM campaign_pace WHERE campaign = $1", "i", (int64_t)campaign));
  pthread_mutex_lock(&c->lock);
  for (size_t i = c->paces->row.len; i-- > 0;)
    if (c->paces->row.at[i].campaign == campaign)
      drop(c->paces, campaign, c->paces->row.at[i].vehicle);
  pthread_mutex_unlock(&c->lock);
  return MC_OK;
}

/* ---- the tick ---- */

typedef struct capped {
  uint32_t tenant, campaign;
  cost_amount vehicle, all;
} capped;

typedef struct judging {
  mc_campaigns *c;
  int64_t day, us_of_day;
  MC_VEC(capped) caps;
  pace_row_vec changed, gone;
  mc_why *why;
} judging;

static bool is_capped(const cost_amount *a) { return a->messages || a->bytes || a->samples; }

/* Under the lock: who has caps, and which paces are over. */
static mc_err look(judging *j)
{
  mc_campaigns *c = j->c;
  for (size_t i = 0; i < c->campaign.len; i++) {
    const mc_campaign *g = &c->campaign.at[i]->c;
    if (g->status != MC_CAMPAIGN_ENDED && (is_capped(&g->cap_vehicle) || is_capped(&g->cap_all)))
      MC_TRY(mc_vec_push(&j->caps, ((capped){g->tenant, g->id, g->cap_vehicle, g->cap_all})));
  }
  for (size_t i = 0; i < c->paces->row.len; i++) {
    const pace_row *r = &c->paces->row.at[i];
    bool kept = false;
    for (size_t k = 0; k < j->caps.len && !kept; k++)
      kept = j->caps.at[k].campaign == r->campaign;
    if (r->day != j->day || !kept)
      MC_TRY(mc_vec_push(&j->gone, *r));
  }
  return MC_OK;
}

static mc_err judge(judging *j, const capped *x, const cost_amount *cap, uint32_t vehicle, const cost_amount *spent)
{
  pthread_mutex_lock(&j->c->lock);
  const pace_row *old = find(j->c->paces, x->campaign, vehicle);
  cost_pacing now = old && old->day == j->day ? old->p : (cost_pacing){0};
  pthread_mutex_unlock(&j->c->lock);
  uint32_t pace = cost_pace(cap, &now, spent, j->us_of_day);
  if (pace == now.pace)
    return MC_OK;
  return mc_vec_push(&j->changed, ((pace_row){x->tenant, x->campaign, vehicle, j->day, {pace, j->us_of_day, *spent}}));
}

/* Of the vehicles those that have used half of a cap: below it nothing is slowed. */
static const char near_cap[] = "SELECT vehicle, messages, bytes, samples FROM campaign_cost WHERE tenant = $1 AND campaign = $2 AND day = $3 AND vehicle > 0 AND "
                               "(($4 > 0 AND messages * 2 >= $4) OR ($5 > 0 AND bytes * 2 >= $5) OR ($6 > 0 AND samples * 2 >= $6))";
static const char of_all[] = "SELECT 0, COALESCE(SUM(messages), 0), COALESCE(SUM(bytes), 0), COALESCE(SUM(samples), 0) FROM campaign_cost WHERE tenant = $1 AND campaign = $2 AND day = $3 "
                             "AND $4 >= 0 AND $5 >= 0 AND $6 >= 0";

static mc_err judge_rows(judging *j, const capped *x, const cost_amount *cap, const char *sql)
{
  mc_stmt *s;
  MC_VEC(mc_campaign_cost) spent = {0};
  if (!is_capped(cap))
    return MC_OK;
  const int64_t value[] = {x->tenant, x->campaign, j->day, (int64_t)cap->messages, (int64_t)cap->bytes, (int64_t)cap->samples};
  MC_TRY(mc_db_begin(j->c->config.db, false, j->why));
  mc_err err = mc_db_prepare(j->c->config.db, sql, &s, j->why);
  if (!err) {
    for (int v = 0; v < 6; v++)
      mc_stmt_bind_int(s, v + 1, value[v]);
    while (!(err = mc_stmt_step(s, j->why))) {
      mc_campaign_cost one = {.vehicle = (uint32_t)mc_stmt_int(s, 0), .messages = (uint64_t)mc_stmt_int(s, 1), .bytes = (uint64_t)mc_stmt_int(s, 2), .samples = (uint64_t)mc_stmt_int(s, 3)};
      if ((err = mc_vec_push(&spent, one)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(j->c->config.db, true, NULL);
  if (err == MC_ERR_END)
    err = MC_OK;
  for (size_t i = 0; i < spent.len && !err; i++) /* `lock` comes before the database */
    err = judge(j, x, cap, spent.at[i].vehicle, &(cost_amount){spent.at[i].messages, spent.at[i].bytes, spent.at[i].samples});
  mc_vec_free(&spent);
  return err;
}

static mc_err write_changes(judging *j)
{
  mc_db *db = j->c->config.db;
  MC_TRY(mc_db_begin(db, true, j->why));
  mc_err err = MC_OK;
  for (size_t i = 0; i < j->gone.len && !err; i++)
    err = mc_db_run(db, j->why, "DELETE FROM campaign_pace WHERE campaign = $1 AND vehicle = $2", "ii", (int64_t)j->gone.at[i].campaign, (int64_t)j->gone.at[i].vehicle);
  for (size_t i = 0; i < j->changed.len && !err; i++) {
    const pace_row *r = &j->changed.at[i];
    err = mc_db_run(db, j->why,
                    "INSERT INTO campaign_pace(campaign, vehicle, tenant, day, pace, since_us, messages, bytes, samples) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT(campaign, vehicle) "
                    "DO UPDATE SET tenant = $3, day = $4, pace = $5, since_us = $6, messages = $7, bytes = $8, samples = $9",
                    "iiiiiiiii", (int64_t)r->campaign, (int64_t)r->vehicle, (int64_t)r->tenant, r->day, (int64_t)r->p.pace, r->p.since_us, (int64_t)r->p.at.messages,
                    (int64_t)r->p.at.bytes, (int64_t)r->p.at.samples);
  }
  mc_err ended = mc_db_end(db, !err, err ? NULL : j->why);
  return err ? err : ended;
}

static bool same_cap(const cost_amount *a, const cost_amount *b) { return a->messages == b->messages && a->bytes == b->bytes && a->samples == b->samples; }

static bool has_caps(const judging *j, const capped *x)
{
  const campaign_entry *e = campaign_entry_of(j->c, x->tenant, x->campaign);
  return e && same_cap(&e->c.cap_vehicle, &x->vehicle) && same_cap(&e->c.cap_all, &x->all);
}

/* With the lock held: what was judged by caps that are others now is judged anew the next time. */
static void leave_out_outdated(judging *j)
{
  for (size_t k = 0; k < j->caps.len && j->changed.len; k++) {
    size_t kept = 0;
    bool holds = has_caps(j, &j->caps.at[k]);
    for (size_t i = 0; i < j->changed.len; i++)
      if (holds || j->changed.at[i].campaign != j->caps.at[k].campaign)
        j->changed.at[kept++] = j->changed.at[i];
    j->changed.len = kept;
  }
}

/* Under the lock as a whole, so that nobody changes caps between the look at them and the rows. */
static mc_err take_changes(judging *j)
{
  pthread_mutex_lock(&j->c->lock);
  leave_out_outdated(j);
  mc_err err = write_changes(j);
  for (size_t i = 0; i < j->gone.len && !err; i++)
    drop(j->c->paces, j->gone.at[i].campaign, j->gone.at[i].vehicle);
  for (size_t i = 0; i < j->changed.len && !err; i++)
    err = put(j->c->paces, &j->changed.at[i]);
  pthread_mutex_unlock(&j->c->lock);
  return err;
}

static void send_changes(judging *j)
{
  const pace_row_vec *list[] = {&j->gone, &j->changed};
  for (size_t l = 0; l < 2; l++)
    for (size_t i = 0; i < list[l]->len; i++) {
      const pace_row *r = &list[l]->at[i];
      if (r->vehicle)
        campaign_reconcile(j->c, r->tenant, r->vehicle, true);
      else
        campaign_reconcile_all(j->c, r->tenant);
    }
}

mc_err campaign_caps_tick(mc_campaigns *c, int64_t now_us, mc_why *why)
{
  judging j = {.c = c, .day = cost_day(now_us), .us_of_day = now_us % DAY_US, .why = why};
  pthread_mutex_lock(&c->lock);
  mc_err err = look(&j);
  pthread_mutex_unlock(&c->lock);
  if (!err && j.caps.len)
    err = cost_book_write(c->costs, c->config.db, why);
  for (size_t i = 0; i < j.caps.len && !err; i++) {
    err = judge_rows(&j, &j.caps.at[i], &j.caps.at[i].all, of_all);
    if (!err)
      err = judge_rows(&j, &j.caps.at[i], &j.caps.at[i].vehicle, near_cap);
  }
  if (!err && (j.gone.len || j.changed.len)) {
    err = take_changes(&j);
    if (!err)
      send_changes(&j);
  }
  mc_vec_free(&j.caps);
  mc_vec_free(&j.gone);
  mc_vec_free(&j.changed);
  return err == MC_ERR_MEMORY ? mc_err_set(why, err, "out of memory for the caps of campaigns") : err;
}
