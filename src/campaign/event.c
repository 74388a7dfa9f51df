/* Events (tenant, vehicle, campaign, event time, event id): noted in memory by the decoder, written now and then by others. With a periodic
 * campaign every message is an event, so writing them costs about as much as a fifth of decoding: it is never the decoder's work. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "campaign/state.h"

#define KEEP_US (7 * 86400LL * 1000000LL)
enum { PIECE = 2048 /* rows of a transaction: the database is free again after some milliseconds */, BREATH_US = 500 };

static uint64_t key_of(const event_row *e)
{
  uint64_t h = (uint64_t)e->tenant << 32 | e->vehicle;
  h = h * 0x9E3779B97F4A7C15ULL + e->campaign;
  h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9ULL + (uint64_t)e->time_us;
  h = (h ^ h >> 32) * 0x94D049BB133111EBULL + e->event_id;
  return h ^ h >> 31;
}

mc_err campaign_event_note(mc_campaigns *c, const event_row *row)
{
  uint64_t index, key = key_of(row);
  mc_err err = MC_OK;
  pthread_mutex_lock(&c->event_lock);
  if (mc_map_get(&c->event_index, key, &index)) {
    c->event.at[index].messages++;
    c->event.at[index].samples += row->samples;
  } else {
    err = mc_vec_push(&c->event, *row);
    if (!err)
      err = mc_map_put(&c->event_index, key, c->event.len - 1);
    atomic_fetch_add_explicit(&c->count.events, 1, memory_order_relaxed);
  }
  pthread_mutex_unlock(&c->event_lock);
  return err;
}

static mc_err write_rows(mc_campaigns *c, const event_row *row, size_t count, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(c->config.db,
                       "INSERT INTO campaign_event(tenant, vehicle, campaign, time_us, event_id, arrival_us, first_offset, messages, "
                       "samples) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) "
                       "ON CONFLICT(tenant, vehicle, campaign, time_us, event_id) DO UPDATE SET messages = CASE WHEN first_offset = "
                       "excluded.first_offset THEN excluded.messages ELSE messages + excluded.messages END, "
                       "samples = CASE WHEN first_offset = excluded.first_offset THEN excluded.samples ELSE samples + excluded.samples END",
                       &s, why));
  mc_err err = MC_OK;
  for (size_t i = 0; i < count && !err; i++) {
    mc_stmt_bind_int(s, 1, row[i].tenant);
    mc_stmt_bind_int(s, 2, row[i].vehicle);
    mc_stmt_bind_int(s, 3, row[i].campaign);
    mc_stmt_bind_int(s, 4, row[i].time_us);
    mc_stmt_bind_int(s, 5, row[i].event_id);
    mc_stmt_bind_int(s, 6, row[i].arrival_us);
    mc_stmt_bind_int(s, 7, (int64_t)row[i].first_offset);
    mc_stmt_bind_int(s, 8, row[i].messages);
    mc_stmt_bind_int(s, 9, row[i].samples);
    err = mc_stmt_step(s, why);
    if (err == MC_ERR_END)
      err = MC_OK;
  }
  mc_stmt_release(&s);
  return err;
}

static int key_order(const void *a, const void *b)
{
  const event_row *x = a, *y = b;
  if (x->tenant != y->tenant)
    return x->tenant < y->tenant ? -1 : 1;
  if (x->vehicle != y->vehicle)
    return x->vehicle < y->vehicle ? -1 : 1;
  if (x->campaign != y->campaign)
    return x->campaign < y->campaign ? -1 : 1;
  if (x->time_us != y->time_us)
    return x->time_us < y->time_us ? -1 : 1;
  return x->event_id < y->event_id ? -1 : x->event_id > y->event_id;
}

static mc_err write_piece(mc_campaigns *c, const event_row *row, size_t count, bool last, mc_why *why)
{
  MC_TRY(mc_db_begin(c->config.db, true, why));
  mc_err err = write_rows(c, row, count, why);
  if (!err && last)
    err = mc_db_run(c->config.db, why, "DELETE FROM campaign_event WHERE arrival_us < $1", "i", mc_clock_wall_us() - KEEP_US);
  mc_err end = mc_db_end(c->config.db, err == MC_OK, err ? NULL : why);
  return err ? err : end;
}

/* With event_write held: what was taken, piece by piece. */
static mc_err write_taken(mc_campaigns *c, mc_why *why)
{
  event_row_vec *w = &c->writing;
  while (c->written < w->len) {
    size_t n = w->len - c->written < PIECE ? w->len - c->written : PIECE;
    bool last = c->written + n == w->len;
    MC_TRY(write_piece(c, w->at + c->written, n, last, why));
    c->written += n;
    if (!last)
      usleep(BREATH_US); /* who waits for the database gets it between pieces */
  }
  return MC_OK;
}

/* With event_write held, and nothing left of what was taken before. */
static void take_noted(mc_campaigns *c)
{
  mc_map index;
  mc_vec_free(&c->writing);
  c->written = 0;
  pthread_mutex_lock(&c->event_lock);
  c->writing = c->event;
  index = c->event_index;
  c->event = (event_row_vec){0};
  c->event_index = (mc_map){0};
  pthread_mutex_unlock(&c->event_lock);
  mc_map_free(&index);
  if (c->writing.len) /* neighbours in the table are written together */
    qsort(c->writing.at, c->writing.len, sizeof *c->writing.at, key_order);
}

mc_err campaign_events_write(mc_campaigns *c, mc_why *why)
{
  pthread_mutex_lock(&c->event_write);
  mc_err err = write_taken(c, why); /* what failed the last time */
  if (!err) {
    take_noted(c);
    err = write_taken(c, why);
  }
  pthread_mutex_unlock(&c->event_write);
  return err;
}

mc_err mc_campaign_events_save(mc_campaigns *c, size_t at_least, mc_why *why)
{
  pthread_mutex_lock(&c->event_lock);
  size_t waiting = c->event.len;
  pthread_mutex_unlock(&c->event_lock);
  return waiting && waiting >= at_least ? campaign_events_write(c, why) : MC_OK;
}

void campaign_events_free(mc_campaigns *c)
{
  mc_vec_free(&c->event);
  mc_vec_free(&c->writing);
  mc_map_free(&c->event_index);
}

mc_err mc_campaign_events(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, size_t limit, mc_arena *arena, mc_event_info **out,
                          size_t *count, mc_why *why)
{
  *out = NULL;
  *count = 0;
  MC_TRY(campaign_events_write(c, why)); /* what is in memory, too */
  mc_event_info *list = mc_arena_array(arena, limit ? limit : 1, sizeof *list);
  if (!list)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %zu events", limit);
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_stmt *s;
  mc_err err = mc_db_prepare(c->config.db,
                             "SELECT campaign, event_id, time_us, arrival_us, first_offset, messages, samples FROM campaign_event WHERE "
                             "tenant = $1 AND vehicle = $2 ORDER BY time_us DESC LIMIT $3",
                             &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_int(s, 2, vehicle);
    mc_stmt_bind_int(s, 3, (int64_t)limit);
    while (*count < limit && !(err = mc_stmt_step(s, why)))
      list[(*count)++] =
          (mc_event_info){(uint32_t)mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), mc_stmt_int(s, 2),          mc_stmt_int(s, 3),
                          (uint64_t)mc_stmt_int(s, 4), (uint32_t)mc_stmt_int(s, 5), (uint32_t)mc_stmt_int(s, 6)};
    if (err == MC_ERR_END)
      err = MC_OK;
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  *out = list;
  return err;
}
