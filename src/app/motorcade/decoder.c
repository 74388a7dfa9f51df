/* The decoder: the one reader that turns journaled telemetry into blocks and hands them to twin and store. */
#include <stdio.h>
#include <unistd.h>

#include "app/motorcade/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

enum { CHECKPOINT_S = 15, IDLE_MS = 200 };

static uint64_t least(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

/* Everything below this offset is reflected in files: the journal may forget it. */
static void checkpoint(server *s, uint64_t offset)
{
  mc_why why;
  if (mc_twin_checkpoint(s->twin, &why))
    mc_log(MC_LOG_WARN, "decoder", "twin checkpoint failed; it is tried again", MC_KZ("reason", why.text));
  if (mc_campaign_checkpoint(s->campaigns, offset, &why))
    mc_log(MC_LOG_WARN, "decoder", "campaign checkpoint failed; it is tried again", MC_KZ("reason", why.text));
  uint64_t safe = least(least(mc_store_offset(s->store), mc_campaign_offset(s->campaigns)), mc_twin_offset(s->twin));
  if (mc_journal_consumer_commit(s->journal, "decoder", safe, &why))
    mc_log(MC_LOG_WARN, "decoder", "consumer offset not saved; more will be read again after a restart", MC_KZ("reason", why.text));
}

/* One record, until it is taken: a sink that cannot (disk full) stops the reader here, and nothing behind it is lost. */
static void take(server *s, const mc_record *record, uint64_t next)
{
  mc_why why = {0};
  while (mc_campaign_record(s->campaigns, record, next, &why)) {
    mc_log(MC_LOG_ERROR, "decoder", "cannot take a record; waiting to try again", MC_KU("offset", record->offset),
           MC_KZ("reason", why.text));
    for (int i = 0; i < 10 && !atomic_load(&s->stopping); i++)
      usleep(100000);
    if (atomic_load(&s->stopping))
      return;
  }
}

static void *decode(void *arg)
{
  server *s = arg;
  mc_why why;
  uint64_t from = least(least(mc_store_offset(s->store), mc_twin_offset(s->twin)), mc_campaign_offset(s->campaigns));
  uint64_t first = mc_journal_first_offset(s->journal);
  if (from < first)
    from = first;
  mc_journal_filter filter = {.streams = 1u << MC_STREAM_TELEMETRY | 1u << MC_STREAM_CHECKIN};
  mc_journal_reader *reader;
  if (mc_journal_reader_create(s->journal, from, filter, &reader, &why)) {
    mc_log(MC_LOG_ERROR, "decoder", "cannot read the journal", MC_KU("offset", from), MC_KZ("reason", why.text));
    return NULL;
  }
  mc_metric *lag = mc_metric_get(MC_METRIC_GAUGE, "motorcade_decoder_lag_ms", "Age of the journal record being decoded", NULL);
  int64_t next_checkpoint = mc_clock_mono_us() + CHECKPOINT_S * 1000000LL;
  uint64_t taken = from;
  while (!atomic_load(&s->stopping)) {
    mc_record record;
    mc_err err = mc_journal_reader_next(reader, &record, &why);
    uint64_t next = mc_journal_reader_offset(reader);
    if (!err) {
      take(s, &record, next);
      taken = next;
      int64_t age = (mc_clock_wall_us() - record.time_us) / 1000;
      atomic_store(&s->lag_ms, age > 0 ? age : 0);
      mc_metric_set(lag, age);
    } else if (err == MC_ERR_END) {
      taken = next;
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
    if (mc_clock_mono_us() > next_checkpoint) {
      checkpoint(s, taken);
      next_checkpoint = mc_clock_mono_us() + CHECKPOINT_S * 1000000LL;
    }
  }
  mc_store_flush(s->store, NULL);
  checkpoint(s, taken);
  mc_journal_reader_destroy(&reader);
  return NULL;
}

mc_err server_decoder_start(server *s, mc_why *why)
{
  if (pthread_create(&s->decoder, NULL, decode, s))
    return mc_err_set(why, MC_ERR_MEMORY, "cannot start the decoder thread");
  s->decoder_running = true;
  return MC_OK;
}

void server_decoder_stop(server *s)
{
  atomic_store(&s->stopping, true);
  if (s->decoder_running)
    pthread_join(s->decoder, NULL);
  s->decoder_running = false;
}
