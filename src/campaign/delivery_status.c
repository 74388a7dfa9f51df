/* How each destination of a campaign does. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/delivery_inside.h"

const char delivery_json_instead[] = "DuckDB's library is not there: JSON is written instead of Parquet; run `make duckdb` or set duckdb";

static tally *tally_at(mc_delivery *d, uint32_t campaign, uint32_t index)
{
  for (size_t i = 0; i < d->tally.len; i++)
    if (d->tally.at[i].campaign == campaign && d->tally.at[i].index == index)
      return &d->tally.at[i];
  return mc_vec_push(&d->tally, ((tally){.campaign = campaign, .index = index})) ? NULL : &d->tally.at[d->tally.len - 1];
}

void delivery_note(mc_delivery *d, uint32_t campaign, uint32_t index, const tally *more, const char *error)
{
  pthread_mutex_lock(&d->lock);
  tally *t = tally_at(d, campaign, index);
  if (t) {
    t->rows += more->rows;
    t->objects += more->objects;
    t->messages += more->messages;
    t->json_instead |= more->json_instead;
    if (more->last_us)
      t->last_us = more->last_us;
    if (error)
      snprintf(t->error, sizeof t->error, "%s", error);
  }
  pthread_mutex_unlock(&d->lock);
}

void delivery_told(void *ctx, const outbox_item *item, mc_err err, const char *text)
{
  mc_delivery *d = ctx;
  tally more = {.rows = err ? 0 : item->rows, .objects = err ? 0 : 1, .last_us = err ? 0 : mc_clock_wall_us()};
  pthread_mutex_lock(&d->lock);
  tally *t = tally_at(d, item->campaign, item->destination);
  const char *well = t && t->json_instead ? delivery_json_instead : "";
  pthread_mutex_unlock(&d->lock);
  delivery_note(d, item->campaign, item->destination, &more, err ? text : well);
  if (err)
    mc_log(MC_LOG_WARN, "delivery", "an object waits: its store does not take it", MC_KS("bucket", item->bucket), MC_KS("key", item->key), MC_KZ("reason", text));
}

static mc_err waiting_of(mc_delivery *d, uint32_t campaign, mc_delivery_status *list, size_t count, mc_arena *arena, mc_why *why)
{
  mc_db *db = d->config.campaigns->config.db;
  mc_stmt *s;
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT destination, COUNT(*), MAX(error) FROM delivery_outbox WHERE campaign = $1 GROUP BY destination", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, campaign);
    while (!(err = mc_stmt_step(s, why))) {
      uint64_t index = (uint64_t)mc_stmt_int(s, 0);
      if (index >= count)
        continue;
      list[index].waiting = (uint64_t)mc_stmt_int(s, 1);
      if (mc_stmt_text(s, 2).len && (err = mc_arena_copy(arena, mc_stmt_text(s, 2), &list[index].error)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err describe(mc_delivery *d, const delivery_target *t, uint32_t i, mc_arena *arena, mc_delivery_status *out)
{
  static const char *const kinds[] = {[DESTINATION_S3] = "s3", [DESTINATION_MQTT] = "mqtt", [DESTINATION_STORE] = "timeseries"};
  const destination *to = &t->to[i];
  char *place = to->kind == DESTINATION_S3     ? mc_arena_printf(arena, "%.*s/%.*s", MC_FMT(to->bucket), MC_FMT(to->prefix))
                : to->kind == DESTINATION_MQTT ? mc_arena_str(arena, to->topic)
                                               : mc_arena_str(arena, MC_LIT(""));
  *out = (mc_delivery_status){.index = i, .kind = mc_slice_str(kinds[to->kind]), .place = mc_slice_str(place)};
  pthread_mutex_lock(&d->lock);
  tally *n = tally_at(d, t->campaign, i);
  if (n) {
    out->rows = n->rows;
    out->objects = n->objects;
    out->messages = n->messages;
    out->last_us = n->last_us;
    out->error = mc_slice_str(mc_arena_str(arena, mc_slice_str(n->error)));
  }
  pthread_mutex_unlock(&d->lock);
  return place ? MC_OK : MC_ERR_MEMORY;
}

mc_err mc_delivery_status_of(mc_delivery *d, uint32_t tenant, uint32_t campaign, mc_arena *arena, mc_delivery_status **out, size_t *count, mc_why *why)
{
  delivery_target *t;
  *out = NULL;
  *count = 0;
  MC_TRY(delivery_target_read(d->config.campaigns, tenant, campaign, &t, why));
  mc_delivery_status *list = mc_arena_array(arena, t->to_count ? t->to_count : 1, sizeof *list);
  mc_err err = list ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "out of memory for the status of a campaign");
  for (uint32_t i = 0; i < t->to_count && !err; i++)
    err = describe(d, t, i, arena, &list[i]);
  if (!err)
    err = waiting_of(d, campaign, list, t->to_count, arena, why);
  *out = list;
  *count = t->to_count;
  delivery_target_free(t);
  return err;
}
