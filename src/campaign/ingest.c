/* VehicleData -> block of samples. Decoder thread. */
#include "base/clock.h"
#include "base/log.h"
#include "campaign/cost.h"
#include "campaign/state.h"

enum { MAX_PLAIN = 16 << 20, AHEAD_US = 120 * 1000000 };

/* Nothing in a payload tells whether it is compressed (contract fleetwise 3): what parses and names a campaign that we sent is right; else
 * the other form is tried. */
mc_err campaign_payload_read(mc_campaigns *c, uint32_t tenant, mc_slice payload, mc_arena *arena, mc_buf *expanded, scheme_version *(*find)(mc_campaigns *c, uint32_t tenant, mc_slice sync_id),
                             mc_fw_vehicle_data *out, scheme_version **scheme, mc_why *why)
{
  mc_err plain = mc_fw_read_vehicle_data(payload, arena, out, why);
  *scheme = plain ? NULL : find(c, tenant, out->campaign_sync_id);
  if (!plain && *scheme)
    return MC_OK;
  mc_why other_why;
  mc_fw_vehicle_data other;
  mc_buf_clear(expanded);
  mc_err err = mc_snappy_expand(payload, MAX_PLAIN, expanded);
  if (!err)
    err = mc_fw_read_vehicle_data(mc_buf_slice(expanded), arena, &other, &other_why);
  if (err)
    return plain;
  scheme_version *known = find(c, tenant, other.campaign_sync_id);
  if (plain || known) {
    *out = other;
    *scheme = known;
  }
  return MC_OK;
}

/* What is known of the signal of the sample before: agents send the samples of a signal one after the other. */
typedef struct signal_facts {
  bool looked_up, known;
  uint32_t id;
  const mc_encoding *encoding; /* NULL: none */
} signal_facts;

static void look_up(mc_campaigns *c, const manifest_version *m, uint32_t tenant, uint32_t signal, signal_facts *f)
{
  uint64_t index;
  if (f->looked_up && f->id == signal)
    return;
  *f = (signal_facts){.looked_up = true, .id = signal};
  if (m && mc_map_get(&m->encoding, signal, &index))
    f->encoding = &m->list.at[index];
  f->known = f->encoding || mc_registry_signal_fqn(c->config.registry, tenant, signal).len;
}

static mc_err add_number(mc_campaigns *c, const mc_encoding *e, uint32_t vehicle, uint32_t signal, const mc_fw_sample *s, int64_t time_us, uint8_t flags)
{
  int64_t k;
  if (e && mc_encoding_recover(e, s->number, &k))
    return mc_block_builder_add(&c->block, vehicle, signal, e->id, time_us, MC_SAMPLE_RAW, flags, (mc_sample_value){.raw = k});
  return mc_block_builder_add(&c->block, vehicle, signal, 0, time_us, MC_SAMPLE_DOUBLE, flags, (mc_sample_value){.dbl = s->number});
}

static mc_err build_block(mc_campaigns *c, const mc_record *r, uint32_t vehicle, const mc_fw_vehicle_data *d, uint64_t *quarantined,
                          uint64_t *unknown, uint64_t *strayed)
{
  manifest_version *m = campaign_manifest_seen(c, r->tenant, d->manifest_sync_id);
  signal_facts facts = {0};
  if (d->event_time_ms > INT64_MAX / 1000)
    return MC_ERR_INVALID;
  int64_t event_us = (int64_t)d->event_time_ms * 1000;
  mc_block_builder_clear(&c->block);
  for (uint32_t i = 0; i < d->sample_count; i++) {
    const mc_fw_sample *s = &d->sample[i];
    int64_t relative, time_us;
    if (s->has_micros)
      relative = s->relative_us;
    else if (__builtin_mul_overflow(s->relative_ms, 1000, &relative))
      return MC_ERR_INVALID;
    if (__builtin_add_overflow(event_us, relative, &time_us))
      return MC_ERR_INVALID;
    uint32_t signal = s->path ? campaign_part_signal(c, m, &d->path[s->path - 1]) : s->signal_id;
    look_up(c, m, r->tenant, signal, &facts);
    if (!facts.known) {
      (*unknown)++;
      continue;
    }
    if (!hour_budget_take(c->hours, r->tenant, vehicle, time_us, r->time_us)) {
      (*strayed)++;
      continue;
    }
    uint8_t flags = time_us > r->time_us + AHEAD_US ? MC_SAMPLE_QUARANTINED : 0;
    *quarantined += flags != 0;
    MC_TRY(s->is_string ? mc_block_builder_add_string(&c->block, vehicle, signal, time_us, flags, s->text)
                        : add_number(c, facts.encoding, vehicle, signal, s, time_us, flags));
  }
  return MC_OK;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
  atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static mc_err undecodable(mc_campaigns *c, const mc_record *r, uint32_t vehicle, mc_slice vehicle_name, const char *text)
{
  count(&c->count.undecodable, 1);
  campaign_trouble(c, r->tenant, vehicle, TROUBLE_DATA_UNREADABLE, 1);
  mc_log(MC_LOG_WARN, "campaign", "telemetry cannot be decoded; it stays in the journal", MC_KS("vehicle", vehicle_name),
         MC_KU("offset", r->offset), MC_KZ("reason", text));
  return MC_OK;
}

static mc_err give_to_sinks(mc_campaigns *c, const mc_record *r, uint64_t next_offset, mc_why *why)
{
  mc_block block = mc_block_builder_view(&c->block);
  block.tenant = r->tenant;
  block.journal_offset = r->offset;
  block.next_offset = next_offset;
  block.arrival_us = r->time_us;
  for (size_t i = 0; i < c->config.sink_count; i++)
    MC_TRY(c->sink[i].take(c->sink[i].ctx, &block, why));
  return MC_OK;
}

static mc_err give_trouble_codes(mc_campaigns *c, const mc_record *r, uint32_t vehicle, const mc_fw_vehicle_data *d, mc_why *why)
{
  int64_t relative_us, time_us;
  const mc_trouble_sink *sink = &c->config.trouble_sink;
  if (!sink->take || !d->dtc_count || __builtin_mul_overflow(d->dtc_relative_ms, 1000, &relative_us) ||
      __builtin_add_overflow((int64_t)d->event_time_ms * 1000, relative_us, &time_us) || time_us > r->time_us + AHEAD_US)
    return MC_OK;
  mc_trouble_codes codes = {r->tenant, vehicle, d->dtc_count, r->offset, time_us, d->dtc};
  return sink->take(sink->ctx, &codes, why);
}

static void tell_troubles(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, uint64_t quarantined, uint64_t unknown, uint64_t strayed)
{
  campaign_trouble(c, tenant, vehicle, TROUBLE_CLOCK_AHEAD, quarantined);
  campaign_trouble(c, tenant, vehicle, TROUBLE_SIGNAL_UNKNOWN, unknown);
  campaign_trouble(c, tenant, vehicle, TROUBLE_CLOCK_STRAYED, strayed);
}

mc_err campaign_ingest(mc_campaigns *c, const mc_record *r, uint32_t vehicle, mc_slice vehicle_name, uint64_t next_offset, mc_why *why)
{
  mc_why text = {0};
  mc_fw_vehicle_data d;
  scheme_version *scheme;
  mc_arena_reset(&c->arena);
  if (campaign_payload_read(c, r->tenant, r->payload, &c->arena, &c->plain, campaign_scheme_seen, &d, &scheme, &text))
    return undecodable(c, r, vehicle, vehicle_name, text.text);
  if (scheme) /* a repeat is paid for, too */
    MC_TRY(cost_book_note(c->costs, r->tenant, scheme->campaign, vehicle, r->time_us, r->offset, next_offset,
                          (cost_amount){1, cost_packet_bytes(r->topic.len, r->payload.len), d.sample_count}));
  if (repeat_table_seen(c->repeats, r->tenant, vehicle, d.campaign_sync_id, d.event_time_ms, d.event_id, r->payload, r->offset)) {
    count(&c->count.repeats, 1);
    campaign_trouble(c, r->tenant, vehicle, TROUBLE_REPEATED, 1);
    return MC_OK;
  }
  uint64_t quarantined = 0, unknown = 0, strayed = 0;
  mc_err err = build_block(c, r, vehicle, &d, &quarantined, &unknown, &strayed);
  if (err == MC_ERR_INVALID)
    return undecodable(c, r, vehicle, vehicle_name, "a sample's time is out of range");
  if (err)
    return mc_err_set(why, err, "decoding telemetry of %.*s: %s", MC_FMT(vehicle_name), mc_err_text(err));
  MC_TRY(give_trouble_codes(c, r, vehicle, &d, why));
  MC_TRY(give_to_sinks(c, r, next_offset, why));
  count(&c->count.messages, 1);
  count(&c->count.samples, c->block.vehicle.len);
  count(&c->count.quarantined, quarantined);
  count(&c->count.unknown_signals, unknown);
  count(&c->count.strayed, strayed);
  tell_troubles(c, r->tenant, vehicle, quarantined, unknown, strayed);
  if (!scheme) {
    count(&c->count.unknown_campaigns, 1);
    campaign_trouble(c, r->tenant, vehicle, TROUBLE_CAMPAIGN_UNKNOWN, 1);
  }
  if (!campaign_manifest_seen(c, r->tenant, d.manifest_sync_id)) {
    count(&c->count.unknown_manifests, 1);
    campaign_trouble(c, r->tenant, vehicle, TROUBLE_MANIFEST_UNKNOWN, 1);
  }
  if (strayed)
    mc_log(MC_LOG_WARN, "campaign", "samples left out: their times lie in too many different hours far from now; look at the vehicle's clock",
           MC_KS("vehicle", vehicle_name), MC_KU("samples", strayed), MC_KU("offset", r->offset));
  event_row row = {r->tenant, vehicle, scheme ? scheme->campaign : 0, d.event_id, (int64_t)d.event_time_ms * 1000, r->time_us,
                   r->offset, 1,       (uint32_t)c->block.vehicle.len};
  return campaign_event_note(c, &row);
}
