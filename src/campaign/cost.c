#include "campaign/cost.h"
#include "campaign/state.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/vec.h"

#define DAY_US 86400000000LL
enum { PIECE = 2048 /* rows of a transaction */, KEEP_DAYS = 400 };

typedef struct cost_row {
  uint32_t tenant, campaign, vehicle;
  int64_t day;
  cost_amount fresh; /* not in the database yet */
  uint64_t upto;     /* journal offset behind the last message that counts */
} cost_row;
typedef MC_VEC(cost_row) cost_row_vec;

struct cost_book {
  pthread_mutex_t lock;
  cost_row_vec row;
  mc_map index; /* hash of the key -> first index; rows of one hash follow each other seldom, so a clash is searched */
  uint64_t reader; /* offset behind the newest note */
  pthread_mutex_t write; /* before lock: one writer at a time */
  int64_t swept; /* under write: the day on which old rows were last deleted: it reads the whole table */
};

uint64_t cost_packet_bytes(size_t topic, size_t payload)
{
  uint64_t rest = 2 + (uint64_t)topic + 2 + 1 + payload, n = 2 + rest;
  for (uint64_t left = rest; left >= 0x80; left >>= 7)
    n++;
  return n;
}

/* ---- the book ---- */

cost_book *cost_book_create(void)
{
  cost_book *b = calloc(1, sizeof *b);
  if (b)
    pthread_mutex_init(&b->lock, NULL), pthread_mutex_init(&b->write, NULL);
  return b;
}

void cost_book_destroy(cost_book *b)
{
  if (!b)
    return;
  mc_vec_free(&b->row);
  mc_map_free(&b->index);
  pthread_mutex_destroy(&b->lock);
  pthread_mutex_destroy(&b->write);
  free(b);
}

static uint64_t key_of(uint32_t tenant, uint32_t campaign, uint32_t vehicle, int64_t day)
{
  uint64_t h = ((uint64_t)tenant << 32 | campaign) * 0x9E3779B97F4A7C15ULL + vehicle;
  h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9ULL + (uint64_t)day;
  return h ^ h >> 32;
}

/* With the lock held. NULL: out of memory. Rows whose hash another row has already are found by the next free hash. */
static cost_row *row_of(cost_book *b, uint32_t tenant, uint32_t campaign, uint32_t vehicle, int64_t day)
{
  uint64_t at, key = key_of(tenant, campaign, vehicle, day);
  for (; mc_map_get(&b->index, key, &at); key++) {
    cost_row *r = at < b->row.len ? &b->row.at[at] : NULL;
    if (r && r->tenant == tenant && r->campaign == campaign && r->vehicle == vehicle && r->day == day)
      return r;
  }
  cost_row fresh = {.tenant = tenant, .campaign = campaign, .vehicle = vehicle, .day = day};
  if (mc_vec_push(&b->row, fresh))
    return NULL;
  if (mc_map_put(&b->index, key, b->row.len - 1)) {
    b->row.len--;
    return NULL;
  }
  return &b->row.at[b->row.len - 1];
}

mc_err cost_book_note(cost_book *b, uint32_t tenant, uint32_t campaign, uint32_t vehicle, int64_t arrival_us, uint64_t offset, uint64_t next, cost_amount amount)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&b->lock);
  cost_row *r = row_of(b, tenant, campaign, vehicle, cost_day(arrival_us));
  if (!r) {
    err = MC_ERR_MEMORY;
  } else if (offset >= r->upto) { /* else it was counted before a crash */
    r->fresh.messages += amount.messages;
    r->fresh.bytes += amount.bytes;
    r->fresh.samples += amount.samples;
    r->upto = next;
  }
  if (!err && next > b->reader)
    b->reader = next;
  pthread_mutex_unlock(&b->lock);
  return err;
}

mc_err cost_book_load(cost_book *b, mc_db *db, uint64_t offset, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT tenant, campaign, vehicle, day, upto FROM campaign_cost WHERE upto > $1", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, (int64_t)offset);
    while (!(err = mc_stmt_step(s, why))) {
      cost_row *r = row_of(b, (uint32_t)mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), (uint32_t)mc_stmt_int(s, 2), mc_stmt_int(s, 3));
      if (!r) {
        err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for the costs of campaigns");
        break;
      }
      r->upto = (uint64_t)mc_stmt_int(s, 4);
    }
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* ---- writing ---- */

static bool is_fresh(const cost_row *r) { return r->fresh.messages || r->fresh.bytes || r->fresh.samples; }

static mc_err take_fresh(cost_book *b, cost_row_vec *out)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&b->lock);
  for (size_t i = 0; i < b->row.len && !err; i++)
    if (is_fresh(&b->row.at[i]))
      err = mc_vec_push(out, b->row.at[i]);
  pthread_mutex_unlock(&b->lock);
  return err;
}

static mc_err write_rows(mc_db *db, const cost_row *row, size_t count, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(db,
                       "INSERT INTO campaign_cost(tenant, day, campaign, vehicle, messages, bytes, samples, upto) VALUES ($1,$2,$3,$4,$5,$6,$7,$8) "
                       "ON CONFLICT(tenant, day, campaign, vehicle) DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes, "
                       "samples = samples + excluded.samples, upto = excluded.upto",
                       &s, why));
  mc_err err = MC_OK;
  for (size_t i = 0; i < count && !err; i++) {
    const int64_t value[] = {row[i].tenant, row[i].day, row[i].campaign, row[i].vehicle, (int64_t)row[i].fresh.messages, (int64_t)row[i].fresh.bytes, (int64_t)row[i].fresh.samples,
                             (int64_t)row[i].upto};
    for (int v = 0; v < 8; v++)
      mc_stmt_bind_int(s, v + 1, value[v]);
    err = mc_stmt_step(s, why);
    if (err == MC_ERR_END)
      err = MC_OK;
  }
  mc_stmt_release(&s);
  return err;
}

static mc_err write_piece(mc_db *db, const cost_row *row, size_t count, int64_t sweep, mc_why *why)
{
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = write_rows(db, row, count, why);
  if (!err && sweep)
    err = mc_db_run(db, why, "DELETE FROM campaign_cost WHERE day < $1", "i", sweep - KEEP_DAYS);
  mc_err ended = mc_db_end(db, !err, err ? NULL : why);
  return err ? err : ended;
}

/* They are in the database now. */
static void settle(cost_book *b, const cost_row *row, size_t count)
{
  pthread_mutex_lock(&b->lock);
  for (size_t i = 0; i < count; i++) {
    cost_row *r = row_of(b, row[i].tenant, row[i].campaign, row[i].vehicle, row[i].day); /* there: nothing is removed meanwhile */
    if (!r)
      continue;
    r->fresh.messages -= row[i].fresh.messages;
    r->fresh.bytes -= row[i].fresh.bytes;
    r->fresh.samples -= row[i].fresh.samples;
  }
  pthread_mutex_unlock(&b->lock);
}

/* What is written and behind the reader is needed no more: memory holds what the reader is about to meet again (the newest record, too: what failed behind its
 * counting is taken again), and what waits. */
static void forget(cost_book *b)
{
  cost_row_vec kept = {0};
  pthread_mutex_lock(&b->lock);
  size_t n = 0;
  for (size_t i = 0; i < b->row.len; i++)
    n += is_fresh(&b->row.at[i]) || b->row.at[i].upto >= b->reader;
  if (n < b->row.len && mc_vec_reserve(&kept, n + 1) == MC_OK) {
    cost_row_vec old = b->row;
    b->row = kept;
    mc_map_free(&b->index);
    for (size_t i = 0; i < old.len; i++) {
      cost_row *r = is_fresh(&old.at[i]) || old.at[i].upto >= b->reader ? row_of(b, old.at[i].tenant, old.at[i].campaign, old.at[i].vehicle, old.at[i].day) : NULL;
      if (r)
        *r = old.at[i];
    }
    mc_vec_free(&old);
  }
  pthread_mutex_unlock(&b->lock);
}

mc_err cost_book_write(cost_book *b, mc_db *db, mc_why *why)
{
  cost_row_vec fresh = {0};
  pthread_mutex_lock(&b->write);
  mc_err err = take_fresh(b, &fresh);
  for (size_t at = 0; at < fresh.len && !err; at += PIECE) {
    size_t n = fresh.len - at < PIECE ? fresh.len - at : PIECE;
    int64_t today = cost_day(mc_clock_wall_us()), sweep = at + n == fresh.len && today != b->swept ? today : 0;
    err = write_piece(db, fresh.at + at, n, sweep, why);
    if (!err)
      settle(b, fresh.at + at, n);
    if (!err && sweep)
      b->swept = sweep;
  }
  mc_vec_free(&fresh);
  if (!err)
    forget(b);
  pthread_mutex_unlock(&b->write);
  return err;
}

static void add_noted(cost_book *b, uint32_t tenant, uint32_t campaign, uint32_t vehicle, int64_t from_day, int64_t to_day, cost_amount *out)
{
  pthread_mutex_lock(&b->lock);
  for (size_t i = 0; i < b->row.len; i++) {
    const cost_row *r = &b->row.at[i];
    if (r->tenant != tenant || r->campaign != campaign || (vehicle && r->vehicle != vehicle) || r->day < from_day || r->day > to_day)
      continue;
    out->messages += r->fresh.messages;
    out->bytes += r->fresh.bytes;
    out->samples += r->fresh.samples;
  }
  pthread_mutex_unlock(&b->lock);
}

mc_err cost_book_sum(cost_book *b, mc_db *db, uint32_t tenant, uint32_t campaign, uint32_t vehicle, int64_t from_day, int64_t to_day, cost_amount *out, mc_why *why)
{
  mc_stmt *s;
  *out = (cost_amount){0};
  pthread_mutex_lock(&b->write); /* what is being written would count twice */
  mc_err err = mc_db_begin(db, false, why);
  if (err) {
    pthread_mutex_unlock(&b->write);
    return err;
  }
  err = mc_db_prepare(db,
                             "SELECT COALESCE(SUM(messages), 0), COALESCE(SUM(bytes), 0), COALESCE(SUM(samples), 0) FROM campaign_cost WHERE tenant = $1 AND campaign = $2 AND "
                             "day >= $3 AND day <= $4 AND ($5 = 0 OR vehicle = $5)",
                             &s, why);
  if (!err) {
    const int64_t value[] = {tenant, campaign, from_day, to_day, vehicle};
    for (int v = 0; v < 5; v++)
      mc_stmt_bind_int(s, v + 1, value[v]);
    err = mc_stmt_step(s, why);
    if (!err)
      *out = (cost_amount){(uint64_t)mc_stmt_int(s, 0), (uint64_t)mc_stmt_int(s, 1), (uint64_t)mc_stmt_int(s, 2)};
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  if (!err)
    add_noted(b, tenant, campaign, vehicle, from_day, to_day, out);
  pthread_mutex_unlock(&b->write);
  return err;
}

static mc_err erase_rows(mc_db *db, uint32_t tenant, uint32_t vehicle, mc_why *why)
{
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = mc_db_run(db, why,
                         "INSERT INTO campaign_cost(tenant, day, campaign, vehicle, messages, bytes, samples, upto) SELECT tenant, day, campaign, 0, messages, bytes, samples, 0 "
                         "FROM campaign_cost WHERE tenant = $1 AND vehicle = $2 ON CONFLICT(tenant, day, campaign, vehicle) DO UPDATE SET messages = campaign_cost.messages + "
                         "excluded.messages, bytes = campaign_cost.bytes + excluded.bytes, samples = campaign_cost.samples + excluded.samples",
                         "ii", (int64_t)tenant, (int64_t)vehicle);
  if (!err)
    err = mc_db_run(db, why, "DELETE FROM campaign_cost WHERE tenant = $1 AND vehicle = $2", "ii", (int64_t)tenant, (int64_t)vehicle);
  mc_err ended = mc_db_end(db, !err, err ? NULL : why);
  return err ? err : ended;
}

mc_err cost_book_erase(cost_book *b, mc_db *db, uint32_t tenant, uint32_t vehicle, mc_why *why)
{
  MC_TRY(cost_book_write(b, db, why));
  pthread_mutex_lock(&b->write);
  mc_err err = erase_rows(db, tenant, vehicle, why);
  pthread_mutex_unlock(&b->write);
  return err;
}

/* ---- caps ---- */

static double part(uint64_t spent, uint64_t cap) { return cap ? (double)spent / (double)cap : 0; }

/* Of the cap that is nearest. */
static double used_of(const cost_amount *cap, uint64_t messages, uint64_t bytes, uint64_t samples)
{
  double most = part(messages, cap->messages);
  if (part(bytes, cap->bytes) > most)
    most = part(bytes, cap->bytes);
  if (part(samples, cap->samples) > most)
    most = part(samples, cap->samples);
  return most;
}

uint32_t cost_pace(const cost_amount *cap, const cost_pacing *now, const cost_amount *spent, int64_t us_of_day)
{
  enum { LOOK_US = 600 * 1000000 };
  uint32_t pace = now->pace;
  int64_t passed = us_of_day - now->since_us;
  double used = used_of(cap, spent->messages, spent->bytes, spent->samples);
  if (used >= 1)
    return COST_PACES - 1;
  if (used < 0.5 || passed < LOOK_US)
    return pace;
  double lately = used_of(cap, spent->messages - now->at.messages, spent->bytes - now->at.bytes, spent->samples - now->at.samples);
  double to_come = lately / (double)passed * (double)(DAY_US - us_of_day);
  for (; pace + 1 < COST_PACES && used + to_come > 1; pace++)
    to_come /= 2;
  return pace;
}

static uint32_t slowed(uint32_t ms, uint32_t pace)
{
  uint64_t most = (uint64_t)(DAY_US / 1000), value = (uint64_t)ms << pace;
  if (ms > most)
    return ms;
  return (uint32_t)(value > most ? most : value);
}

static mc_err slow_sampling(const mc_campaign *g, uint32_t pace, mc_arena *arena, mc_campaign *out)
{
  uint32_t share_ms = out->period_ms / (64U >> pace);
  out->signal = mc_arena_array(arena, g->signal_count ? g->signal_count : 1, sizeof *out->signal);
  if (!out->signal)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < g->signal_count; i++) {
    out->signal[i] = g->signal[i];
    uint32_t asked_ms = slowed(g->signal[i].min_period_ms, pace);
    out->signal[i].min_period_ms = asked_ms > share_ms ? asked_ms : share_ms;
  }
  return MC_OK;
}

mc_err cost_paced(const mc_campaign *g, uint32_t pace, mc_arena *arena, mc_campaign *out)
{
  *out = *g;
  if (!pace)
    return MC_OK;
  if (g->condition_based) {
    out->min_interval_ms = slowed(g->min_interval_ms > 1000 ? g->min_interval_ms : 1000, pace);
    return MC_OK;
  }
  out->period_ms = slowed(g->period_ms, pace);
  return slow_sampling(g, pace, arena, out);
}

/* ---- for people ---- */

static mc_err read_costs(mc_campaigns *c, const char *sql, const int64_t value[4], mc_arena *arena, mc_campaign_cost **out, size_t *count, mc_why *why)
{
  mc_stmt *s;
  MC_VEC(mc_campaign_cost) list = {0};
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, sql, &s, why);
  if (!err) {
    for (int v = 0; v < 4; v++)
      mc_stmt_bind_int(s, v + 1, value[v]);
    while (!(err = mc_stmt_step(s, why))) {
      mc_campaign_cost one = {mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), (uint64_t)mc_stmt_int(s, 2), (uint64_t)mc_stmt_int(s, 3), (uint64_t)mc_stmt_int(s, 4), 1};
      if ((err = mc_vec_push(&list, one)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  if (err == MC_ERR_END)
    err = MC_OK;
  *out = err ? NULL : mc_arena_array(arena, list.len ? list.len : 1, sizeof **out);
  if (!err && !*out)
    err = MC_ERR_MEMORY;
  if (!err && list.len)
    memcpy(*out, list.at, list.len * sizeof **out);
  *count = err ? 0 : list.len;
  mc_vec_free(&list);
  return err == MC_ERR_MEMORY ? mc_err_set(why, err, "out of memory for the costs of a campaign") : err;
}

mc_err mc_campaign_costs_erase(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_why *why)
{
  return cost_book_erase(c->costs, c->config.db, tenant, vehicle, why);
}

mc_err mc_campaign_costs(mc_campaigns *c, uint32_t tenant, uint32_t id, uint32_t days, size_t limit, mc_arena *arena, mc_campaign_costs_report *out, mc_why *why)
{
  *out = (mc_campaign_costs_report){.from_day = cost_day(mc_clock_wall_us()) - (days ? days - 1 : 0)};
  MC_TRY(cost_book_write(c->costs, c->config.db, why)); /* what is in memory, too */
  MC_TRY(read_costs(c, "SELECT day, 0, SUM(messages), SUM(bytes), SUM(samples) FROM campaign_cost WHERE tenant = $1 AND campaign = $2 AND day >= $3 GROUP BY day ORDER BY day LIMIT $4",
                    (const int64_t[4]){tenant, id, out->from_day, KEEP_DAYS + 1}, arena, &out->day, &out->days, why));
  MC_TRY(read_costs(c, "SELECT 0, vehicle, SUM(messages), SUM(bytes), SUM(samples) FROM campaign_cost WHERE tenant = $1 AND campaign = $2 AND day >= $3 GROUP BY vehicle "
                       "ORDER BY 4 DESC, vehicle LIMIT $4",
                    (const int64_t[4]){tenant, id, out->from_day, (int64_t)limit}, arena, &out->vehicle, &out->vehicles, why));
  pthread_mutex_lock(&c->lock);
  out->slower = 1U << campaign_pace(c, id, 0);
  for (size_t i = 0; i < out->vehicles; i++)
    out->vehicle[i].slower = 1U << campaign_pace(c, id, out->vehicle[i].vehicle);
  pthread_mutex_unlock(&c->lock);
  return MC_OK;
}
