#include "edge/inspect.h"

#include <stdlib.h>

/* From the sample buffers of a campaign to VehicleData messages: newest first, each sample once, in parts that fit. */

enum { HARD_MAX = 131072 /* contract fleetwise 2: payload at most 128 KiB */ };

static size_t varint_size(uint64_t v)
{
  size_t n = 1;
  for (; v >= 0x80; v >>= 7)
    n++;
  return n;
}

static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }

/* Bytes of one CapturedSignal on the wire, its own head included. */
static size_t wire_size(const mc_fw_sample *s)
{
  size_t n = 9 + 1 + varint_size(s->signal_id) + 1 + varint_size(zigzag(s->relative_ms));
  if (s->has_micros)
    n += 2 + varint_size(zigzag(s->relative_us));
  if (s->is_string)
    n += s->text.len;
  if (s->path)
    n += 160; /* 32 steps of 5 bytes at most */
  return n + 2;
}

static int64_t floor_ms(int64_t us) { return us >= 0 ? us / 1000 : -((-us + 999) / 1000); }

static void release(mc_inspector *i)
{
  for (size_t k = 0; k < i->outgoing_text.len; k++) {
    i->sample_bytes -= sizeof(text_value) + i->outgoing_text.at[k]->len;
    free(i->outgoing_text.at[k]);
  }
  mc_vec_clear(&i->outgoing_text);
  mc_vec_clear(&i->outgoing_path);
}

/* Empties the rings into outgoing. */
static mc_err gather(mc_inspector *i, campaign *c, int64_t event_ms)
{
  mc_vec_clear(&i->outgoing);
  for (uint32_t k = 0; k < c->slot_count; k++) {
    slot *s = &c->slot[k];
    MC_TRY(mc_vec_reserve(&i->outgoing, s->len));
    if (s->is_text)
      MC_TRY(mc_vec_reserve(&i->outgoing_text, s->len));
    if (s->path_count && s->len)
      MC_TRY(mc_vec_push(&i->outgoing_path, ((mc_fw_path){s->signal_id, s->path, s->path_count})));
    for (uint32_t n = s->len; n-- > 0;) {
      const sample *from = &s->ring[(s->start + n) % s->ring_size];
      mc_fw_sample *to = &i->outgoing.at[i->outgoing.len++];
      *to = (mc_fw_sample){.signal_id = s->signal_id, .is_string = s->is_text, .relative_ms = floor_ms(from->time_us) - event_ms};
      if (s->path_count)
        to->path = (uint32_t)i->outgoing_path.len;
      if (s->is_text) {
        to->text = mc_slice_of(from->text->at, from->text->len);
        i->outgoing_text.at[i->outgoing_text.len++] = from->text;
      } else {
        to->number = from->value;
      }
      to->relative_us = from->time_us - event_ms * 1000;
      to->has_micros = to->relative_us != to->relative_ms * 1000; /* whole milliseconds need no extension */
    }
    s->len = s->start = 0;
  }
  return MC_OK;
}

static void give(mc_inspector *i, const campaign *c, uint32_t event_id, int64_t event_us, mc_slice payload, uint32_t samples)
{
  mc_collected event = {.campaign_sync_id = c->sync_id,
                        .manifest_sync_id = c->manifest_id,
                        .payload = payload,
                        .compressed = c->compress,
                        .persist = c->persist,
                        .priority = c->priority,
                        .samples = samples,
                        .event_id = event_id,
                        .event_time_us = event_us};
  i->config.collected(i->config.ctx, &event);
}

/* One message of samples [from, to); halves itself when it came out too large. */
static void send_part(mc_inspector *i, const campaign *c, uint32_t event_id, int64_t event_us, size_t from, size_t to)
{
  mc_fw_vehicle_data m = {.campaign_sync_id = c->sync_id,
                          .manifest_sync_id = c->manifest_id,
                          .event_id = event_id,
                          .event_time_ms = (uint64_t)floor_ms(event_us),
                          .sample = i->outgoing.at + from,
                          .sample_count = (uint32_t)(to - from),
                          .path = i->outgoing_path.at,
                          .path_count = (uint32_t)i->outgoing_path.len};
  mc_buf_clear(&i->payload);
  mc_buf_clear(&i->packed);
  mc_err err = mc_fw_write_vehicle_data(&i->payload, &m);
  mc_buf *out = &i->payload;
  if (err == MC_OK && c->compress) {
    err = mc_snappy_compress(mc_buf_slice(&i->payload), &i->packed);
    out = &i->packed;
  }
  if (err)
    return;
  if (out->len > HARD_MAX && to - from > 1) {
    size_t middle = from + (to - from) / 2;
    send_part(i, c, event_id, event_us, from, middle);
    send_part(i, c, event_id, event_us, middle, to);
    return;
  }
  give(i, c, event_id, event_us, mc_buf_slice(out), (uint32_t)(to - from));
}

void mc_edge_campaign_collect(mc_inspector *i, campaign *c, int64_t event_us)
{
  int64_t event_ms = floor_ms(event_us);
  if (gather(i, c, event_ms) || !i->outgoing.len) { /* nothing is sent when a trigger finds no signals (5.5) */
    release(i);
    return;
  }
  uint32_t event_id = (uint32_t)((uint64_t)event_ms << 8 | i->event_counter++) & 0x7FFFFFFF;
  size_t head = 64 + c->sync_id.len + c->manifest_id.len;
  size_t target = i->config.max_payload;
  if (c->compress)
    target *= 2; /* snappy halves it at least, as FWE reckons too; send_part checks */
  size_t from = 0, size = head;
  for (size_t k = 0; k < i->outgoing.len; k++) {
    size_t one = wire_size(&i->outgoing.at[k]);
    if (size + one > target && k > from) {
      send_part(i, c, event_id, event_us, from, k);
      from = k;
      size = head;
    }
    size += one;
  }
  send_part(i, c, event_id, event_us, from, i->outgoing.len);
  release(i);
  if (i->outgoing.cap > 4096) /* a rare large event does not keep its memory */
    mc_vec_free(&i->outgoing);
  if (i->payload.cap > 256 * 1024)
    mc_buf_free(&i->payload);
  if (i->packed.cap > 256 * 1024)
    mc_buf_free(&i->packed);
}
