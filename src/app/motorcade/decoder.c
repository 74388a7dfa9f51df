/* The decoder: the one reader that turns journaled telemetry into blocks and hands them to twin and store. What has to be on disk besides
 * (events, checkpoints) is a second thread's work, so that a transaction of the database never stands between a message and its reader. */
#include <stdio.h>
#include <unistd.h>

#include "app/motorcade/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

enum { CHECKPOINT_S = 15, STEER_S = 5, IDLE_MS = 200, TICK_MS = 100, EVENTS_AT_ONCE = 4096 };

static uint64_t least(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

/* Everything below the offset taken so far is reflected in files afterwards: the journal may forget it. */
static void checkpoint(server *s)
{
  mc_why why;
  uint64_t offset = atomic_load(&s->taken); /* first: what is saved below is at least as new */
  if (!offset)
    return; /* nothing could be read */
  if (mc_twin_checkpoint(s->twin, &why))
    mc_log(MC_LOG_WARN, "decoder", "twin checkpoint failed; it is tried again", MC_KZ("reason", why.text));
  if (mc_campaign_checkpoint(s->campaigns, offset, &why))
    mc_log(MC_LOG_WARN, "decoder", "campaign checkpoint failed; it is tried again", MC_KZ("reason", why.text));
  if (mc_fleet_save(s->fleet, true, offset, &why))
    mc_log(MC_LOG_WARN, "decoder", "trouble codes cannot be written; they are tried again", MC_KZ("reason", why.text));
  uint64_t safe = least(least(least(mc_store_offset(s->store), mc_campaign_offset(s->campaigns)), mc_twin_offset(s->twin)), mc_fleet_offset(s->fleet));
  if (mc_journal_consumer_commit(s->journal, "decoder", safe, &why))
    mc_log(MC_LOG_WARN, "decoder", "consumer offset not saved; more will be read again after a restart", MC_KZ("reason", why.text));
}

/* One record, until it is taken: a sink that cannot (disk full) stops the reader here, and nothing behind it is lost. */
static bool take(server *s, const mc_record *record, uint64_t next)
{
  mc_why why = {0};
  while (mc_campaign_record(s->campaigns, record, next, &why)) {
    mc_log(MC_LOG_ERROR, "decoder", "cannot take a record; waiting to try again", MC_KU("offset", record->offset),
           MC_KZ("reason", why.text));
    for (int i = 0; i < 10 && !atomic_load(&s->stopping); i++)
      usleep(100000);
    if (atomic_load(&s->stopping))
      return false;
  }
  return true;
}

static void *save(void *arg)
{
  server *s = arg;
  int64_t next_checkpoint = mc_clock_mono_us() + CHECKPOINT_S * 1000000LL, next_steering = mc_clock_mono_us() + STEER_S * 1000000LL, next_warning = 0;
  while (!atomic_load(&s->stopping)) {
    mc_why why;
    usleep(TICK_MS * 1000);
    if (mc_clock_mono_us() > next_checkpoint) {
      checkpoint(s);
      next_checkpoint = mc_clock_mono_us() + CHECKPOINT_S * 1000000LL;
    } else if (mc_clock_mono_us() > next_steering) {
      if (mc_campaign_tick(s->campaigns, mc_clock_wall_us(), &why))
        mc_log(MC_LOG_WARN, "decoder", "caps and roll-outs of campaigns could not be looked at; they are tried again", MC_KZ("reason", why.text));
      next_steering = mc_clock_mono_us() + STEER_S * 1000000LL;
    } else if (mc_campaign_events_save(s->campaigns, EVENTS_AT_ONCE, &why) && mc_clock_mono_us() > next_warning) {
      mc_log(MC_LOG_WARN, "decoder", "events cannot be written; they are tried again", MC_KZ("reason", why.text));
      next_warning = mc_clock_mono_us() + CHECKPOINT_S * 1000000LL;
    }
  }
  return NULL;
}

/* An offset at which no record begins - early versions saved such, a journal that was mended may have some: the place before it will do, what is there
 * already is passed over. */
static mc_err open_reader(server *s, mc_why *why)
{
  uint64_t from = least(least(least(mc_store_offset(s->store), mc_twin_offset(s->twin)), mc_campaign_offset(s->campaigns)), mc_fleet_offset(s->fleet));
  uint64_t first = mc_journal_first_offset(s->journal);
  if (from < first)
    from = first;
  mc_journal_filter filter = {.streams = 1u << MC_STREAM_TELEMETRY | 1u << MC_STREAM_CHECKIN};
  if (from >= mc_journal_end_offset(s->journal))
    return mc_journal_reader_create(s->journal, from, filter, &s->decoder_reader, why);
  uint64_t at;
  MC_TRY(mc_journal_reader_create_near(s->journal, from, filter, &s->decoder_reader, &at, why));
  if (at != from)
    mc_log(MC_LOG_WARN, "decoder", "no record begins where reading should go on; it goes on at the place before", MC_KU("offset", from), MC_KU("read_from", at));
  return MC_OK;
}

static void *decode(void *arg)
{
  server *s = arg;
  mc_why why;
  mc_journal_reader *reader = s->decoder_reader;
  mc_metric *lag = mc_metric_get(MC_METRIC_GAUGE, "motorcade_decoder_lag_ms", "Age of the journal record being decoded", NULL);
  mc_metric *visible = mc_metric_get(MC_METRIC_HISTOGRAM, "motorcade_visible_seconds",
                                     "From the arrival of a telemetry message until its samples can be read", NULL);
  while (!atomic_load(&s->stopping)) {
    mc_record record;
    mc_err err = mc_journal_reader_next(reader, &record, &why);
    uint64_t next = mc_journal_reader_offset(reader);
    if (!err) {
      if (!take(s, &record, next))
        break; /* stopping: it is read again at the next start */
      atomic_store(&s->taken, next);
      int64_t age_us = mc_clock_wall_us() - record.time_us;
      atomic_store(&s->lag_ms, age_us > 0 ? age_us / 1000 : 0);
      mc_metric_set(lag, age_us / 1000);
      if (record.stream == MC_STREAM_TELEMETRY)
        mc_metric_observe_us(visible, age_us);
    } else if (err == MC_ERR_END) {
      atomic_store(&s->taken, next);
      mc_twin_set_offset(s->twin, next);
      mc_store_set_offset(s->store, next);
      atomic_store(&s->lag_ms, 0);
      mc_metric_set(lag, 0);
      mc_journal_wait(s->journal, next, IDLE_MS);
    } else {
      mc_log(MC_LOG_ERROR, "decoder", "journal is damaged or was cut; run `motorcade journal verify`", MC_KU("offset", next),
             MC_KZ("reason", why.text));
      sleep(1);
    }
  }
  return NULL;
}

mc_err server_decoder_start(server *s, mc_why *why)
{
  MC_TRY(open_reader(s, why)); /* a platform that takes messages and decodes none must not start */
  atomic_store(&s->taken, mc_journal_reader_offset(s->decoder_reader));
  if (pthread_create(&s->decoder, NULL, decode, s))
    return mc_err_set(why, MC_ERR_MEMORY, "cannot start the decoder thread");
  s->decoder_running = true;
  if (pthread_create(&s->saver, NULL, save, s))
    return mc_err_set(why, MC_ERR_MEMORY, "cannot start the thread that writes checkpoints");
  s->saver_running = true;
  return MC_OK;
}

void server_decoder_stop(server *s)
{
  atomic_store(&s->stopping, true);
  if (s->saver_running)
    pthread_join(s->saver, NULL);
  if (s->decoder_running) {
    pthread_join(s->decoder, NULL);
    mc_store_flush(s->store, NULL);
    checkpoint(s);
  }
  s->saver_running = s->decoder_running = false;
  mc_journal_reader_destroy(&s->decoder_reader);
}
