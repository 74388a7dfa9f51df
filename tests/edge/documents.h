/* Manifests and schemes for the edge tests, built through the codec. */
#ifndef TESTS_EDGE_DOCUMENTS_H
#define TESTS_EDGE_DOCUMENTS_H

#include "base/clock.h"
#include "edge/edge.h"
#include "format/fleetwise.h"
#include "tap.h"

enum { T0_MS = 1700000000 };
static const int64_t t0_us = 1700000000000000LL;

/* Signal n: frame 0x100 + n on "can0", 16 bits signed at bit 0, factor 1; type INT16. Signals 1..8. */
static inline mc_buf make_manifest_of(const char *id, const mc_fw_can_signal *signal, uint32_t count)
{
  mc_fw_manifest m = {.sync_id = mc_slice_str(id), .can = signal, .can_count = count};
  mc_buf out = {0};
  mc_fw_write_manifest(&out, &m);
  return out;
}

static inline mc_buf make_manifest(const char *id)
{
  mc_fw_can_signal s[8];
  for (uint32_t n = 0; n < 8; n++)
    s[n] = (mc_fw_can_signal){.signal_id = n + 1, .interface_id = MC_LIT("can0"), .message_id = 0x101 + n, .is_signed = true, .length = 16, .factor = 1, .type = 7};
  return make_manifest_of(id, s, 8);
}

static inline mc_fw_scheme make_scheme(const char *id, const char *manifest)
{
  return (mc_fw_scheme){.campaign_sync_id = mc_slice_str(id), .manifest_sync_id = mc_slice_str(manifest), .start_ms = 1000,
                        .expiry_ms = 4000000000000ULL};
}

static inline mc_buf make_schemes(const mc_fw_scheme *s, uint32_t count)
{
  mc_fw_schemes list = {s, count, 1700000000000ULL};
  mc_buf out = {0};
  mc_fw_write_schemes(&out, &list);
  return out;
}

static inline mc_can_frame make_frame(uint32_t signal, int value, int64_t time_us)
{
  mc_can_frame f = {.id = 0x100 + signal, .len = 8, .time_us = time_us};
  mc_store_le16(f.data, (uint16_t)value);
  return f;
}

/* What came out. */
typedef struct caught {
  int events;
  uint32_t samples;
  mc_buf last;
  bool compressed, persist;
  uint32_t event_id[64];
  int64_t event_time_us;
  char campaign[64];
  size_t largest;
  double value[4096];
  int64_t time_us[4096];
  uint32_t signal[4096];
  uint32_t count; /* samples decoded since last clear */
} caught;

static inline void catch_event(void *ctx, const mc_collected *e)
{
  caught *c = ctx;
  if (c->events < 64)
    c->event_id[c->events] = e->event_id;
  c->events++;
  c->samples += e->samples;
  c->compressed = e->compressed;
  c->persist = e->persist;
  c->event_time_us = e->event_time_us;
  if (e->payload.len > c->largest)
    c->largest = e->payload.len;
  mc_slice_to_str(e->campaign_sync_id, c->campaign, sizeof c->campaign);
  mc_buf_clear(&c->last);
  if (e->compressed)
    mc_snappy_expand(e->payload, 1 << 24, &c->last);
  else
    mc_buf_append_slice(&c->last, e->payload);
  mc_arena a = MC_ARENA(64 << 20);
  mc_fw_vehicle_data d;
  if (mc_fw_read_vehicle_data(mc_buf_slice(&c->last), &a, &d, NULL) == MC_OK)
    for (uint32_t k = 0; k < d.sample_count && c->count < 4096; k++, c->count++) {
      c->value[c->count] = d.sample[k].number;
      c->signal[c->count] = d.sample[k].signal_id;
      c->time_us[c->count] = (int64_t)d.event_time_ms * 1000 + (d.sample[k].has_micros ? d.sample[k].relative_us : d.sample[k].relative_ms * 1000);
    }
  mc_arena_free(&a);
}

static inline int channel_can0(void *ctx, mc_slice id) { return mc_slice_eq_str(id, "can0") ? 0 : -1; }

#endif
