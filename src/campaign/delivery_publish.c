/* Messages out of the delivery's reader, each once: what was published stands in the journal, and is found there after a crash. */
#include "base/clock.h"
#include "base/log.h"
#include "campaign/delivery_inside.h"

enum { PUBLISH_AHEAD = 256 };

/* Waits now and then until the journal has moved on: what is published does not pile up in memory. */
static void keep_pace(mc_delivery *d)
{
  if (++d->published_ahead % PUBLISH_AHEAD == 0)
    mc_journal_wait(d->config.journal, mc_journal_end_offset(d->config.journal), 1000);
}

static mc_err publish_piece(mc_delivery *d, const destination *to, const delivery_batch *b, size_t first, size_t count, const char *id, mc_why *why)
{
  if (mc_map_get(&d->published, mc_slice_fnv1a(mc_slice_str(id)), NULL))
    return MC_OK; /* before the last stop */
  mc_buf_clear(&d->message);
  mc_err err = delivery_message(b, first, count, id, &d->message);
  if (err)
    return mc_err_set(why, err, "message for topic %.*s: %s", MC_FMT(to->topic), mc_err_text(err));
  err = d->config.publish(d->config.publish_ctx, b->target->tenant, to->topic, (mc_slice){0}, mc_buf_slice(&d->message), why);
  if (err == MC_ERR_CLOSED || err == MC_ERR_MEMORY)
    return err;
  tally more = {.rows = err ? 0 : count, .messages = err ? 0 : 1, .last_us = err ? 0 : mc_clock_wall_us()};
  delivery_note(d, b->target->campaign, to->index, &more, err ? why->text : "");
  if (!err) {
    keep_pace(d);
    mc_map_put(&d->published, mc_slice_fnv1a(mc_slice_str(id)), 1); /* what follows may fail, and be done again */
  }
  return MC_OK; /* a topic that is none does not get better by waiting */
}

mc_err delivery_publish(mc_delivery *d, const mc_record *record, const delivery_batch *b, mc_why *why)
{
  char id[DELIVERY_ID];
  for (uint32_t i = 0; i < b->target->to_count; i++) {
    const destination *to = &b->target->to[i];
    if (to->kind != DESTINATION_MQTT)
      continue;
    uint32_t piece = 0;
    for (size_t first = 0; first < b->row.len; first += DELIVERY_MQTT_ROWS, piece++) {
      size_t left = b->row.len - first;
      delivery_message_id(record, to, b->target->campaign, piece, id);
      MC_TRY(publish_piece(d, to, b, first, left < DELIVERY_MQTT_ROWS ? left : DELIVERY_MQTT_ROWS, id, why));
    }
  }
  return MC_OK;
}

/* A message without an id of its own: topic and content are it, since they carry the time. */
static uint64_t state_key(mc_slice topic, mc_slice payload)
{
  return mc_slice_fnv1a(topic) * 31 + mc_slice_fnv1a(payload);
}

static mc_err give_state(void *ctx, uint32_t tenant, mc_slice topic, mc_slice props, mc_slice payload, mc_why *why)
{
  mc_delivery *d = ctx;
  uint64_t key = state_key(topic, payload);
  if (mc_map_get(&d->published, key, NULL))
    return MC_OK; /* before the last stop */
  mc_err err = d->config.publish(d->config.publish_ctx, tenant, topic, props, payload, why);
  if (err == MC_ERR_CLOSED || err == MC_ERR_MEMORY)
    return err;
  if (err)
    mc_log(MC_LOG_WARN, "delivery", "last known state cannot be published", MC_KS("topic", topic), MC_KZ("reason", why->text));
  else
    keep_pace(d);
  mc_map_put(&d->published, key, 1);
  return MC_OK;
}

static uint64_t published_key(const mc_record *r)
{
  mc_slice id = delivery_message_id_of(r->payload);
  return id.len ? mc_slice_fnv1a(id) : state_key(r->topic, r->payload);
}

/* What we published since the offset stands in the journal. */
mc_err delivery_note_published(mc_delivery *d, mc_why *why)
{
  mc_journal_reader *reader;
  mc_record r;
  mc_err err;
  d->published_end = mc_journal_end_offset(d->config.journal);
  MC_TRY(mc_journal_reader_create(d->config.journal, d->offset, (mc_journal_filter){.streams = 1u << MC_STREAM_COMMAND}, &reader, why));
  while (!(err = mc_journal_reader_next(reader, &r, why)) || err == MC_ERR_CHECKSUM) {
    if (!err && mc_map_put(&d->published, published_key(&r), 1)) {
      err = MC_ERR_MEMORY;
      break;
    }
  }
  mc_journal_reader_destroy(&reader);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err delivery_publish_state(mc_delivery *d, const mc_record *record, mc_why *why)
{
  return delivery_state_give(&d->collect, record, give_state, d, why);
}
