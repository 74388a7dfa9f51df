/* LastKnownStateData -> block of samples: what is true now, in its own types (contract fleetwise 5.6). Decoder thread. */
#include "base/clock.h"
#include "base/log.h"
#include "campaign/state.h"
#include "format/fleetwise_state.h"

enum { MAX_PLAIN = 16 << 20, AHEAD_US = 120 * 1000000 };

/* A whole number of the wire as it is where the encoding has no step; else through its physical value. */
static bool as_raw(const mc_encoding *e, const mc_fw_value *v, double physical, int64_t *k)
{
  bool plain = e->factor == 1 && e->offset == 0;
  if (plain && v->type >= MC_FW_TYPE_INT8 && v->type <= MC_FW_TYPE_INT64) {
    *k = v->i;
    return true;
  }
  if (plain && v->type >= MC_FW_TYPE_BOOL && v->type <= MC_FW_TYPE_UINT64 && v->u <= INT64_MAX) {
    *k = (int64_t)v->u;
    return true;
  }
  return mc_encoding_recover(e, physical, k);
}

static double physical_of(const mc_fw_value *v)
{
  switch (v->type) {
  case MC_FW_TYPE_FLOAT32:
    return (double)v->f;
  case MC_FW_TYPE_FLOAT64:
    return v->d;
  case MC_FW_TYPE_INT8:
  case MC_FW_TYPE_INT16:
  case MC_FW_TYPE_INT32:
  case MC_FW_TYPE_INT64:
    return (double)v->i;
  default:
    return (double)v->u;
  }
}

static mc_err add_value(mc_campaigns *c, const manifest_version *m, uint32_t vehicle, const mc_fw_state_sample *s, int64_t time_us, uint8_t flags)
{
  uint64_t index;
  int64_t k;
  if (s->value.type == MC_FW_TYPE_STRING)
    return mc_block_builder_add_string(&c->block, vehicle, s->signal_id, time_us, flags, s->value.text);
  double physical = physical_of(&s->value);
  if (m && mc_map_get(&m->encoding, s->signal_id, &index)) {
    const mc_encoding *e = &m->list.at[index];
    if (as_raw(e, &s->value, physical, &k))
      return mc_block_builder_add(&c->block, vehicle, s->signal_id, e->id, time_us, MC_SAMPLE_RAW, flags, (mc_sample_value){.raw = k});
  }
  return mc_block_builder_add(&c->block, vehicle, s->signal_id, 0, time_us, MC_SAMPLE_DOUBLE, flags, (mc_sample_value){.dbl = physical});
}

typedef struct state_tally {
  uint64_t unknown_template, unknown_signal, strayed, ahead;
} state_tally;

static mc_err add_template(mc_campaigns *c, const mc_record *r, uint32_t vehicle, const mc_fw_state_of_template *t, int64_t time_us, state_tally *n)
{
  const template_version *v = campaign_template_seen(c, r->tenant, t->sync_id);
  if (!v) {
    n->unknown_template++;
    return MC_OK;
  }
  const manifest_version *m = campaign_manifest_seen(c, r->tenant, mc_slice_str(v->manifest));
  uint8_t flags = time_us > r->time_us + AHEAD_US ? MC_SAMPLE_QUARANTINED : 0;
  for (uint32_t i = 0; i < t->sample_count; i++) {
    const mc_fw_state_sample *s = &t->sample[i];
    bool known = (m && campaign_manifest_decodes(m, s->signal_id)) || mc_registry_signal_fqn(c->config.registry, r->tenant, s->signal_id).len;
    if (!known || s->value.type == MC_FW_TYPE_NULL) {
      n->unknown_signal++;
      continue;
    }
    if (!hour_budget_take(c->hours, r->tenant, vehicle, time_us, r->time_us)) {
      n->strayed++;
      continue;
    }
    n->ahead += flags != 0;
    MC_TRY(add_value(c, m, vehicle, s, time_us, flags));
  }
  return MC_OK;
}

static mc_err unreadable(mc_campaigns *c, const mc_record *r, uint32_t vehicle, mc_slice vehicle_name, const char *text)
{
  atomic_fetch_add_explicit(&c->count.undecodable, 1, memory_order_relaxed);
  campaign_trouble(c, r->tenant, vehicle, TROUBLE_DATA_UNREADABLE, 1);
  mc_log(MC_LOG_WARN, "campaign", "last known state cannot be decoded; it stays in the journal", MC_KS("vehicle", vehicle_name), MC_KU("offset", r->offset),
         MC_KZ("reason", text));
  return MC_OK;
}

static void tell(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, const state_tally *n)
{
  atomic_fetch_add_explicit(&c->count.unknown_signals, n->unknown_signal, memory_order_relaxed);
  atomic_fetch_add_explicit(&c->count.quarantined, n->ahead, memory_order_relaxed);
  atomic_fetch_add_explicit(&c->count.strayed, n->strayed, memory_order_relaxed);
  campaign_trouble(c, tenant, vehicle, TROUBLE_TEMPLATE_UNKNOWN, n->unknown_template);
  campaign_trouble(c, tenant, vehicle, TROUBLE_SIGNAL_UNKNOWN, n->unknown_signal);
  campaign_trouble(c, tenant, vehicle, TROUBLE_CLOCK_AHEAD, n->ahead);
  campaign_trouble(c, tenant, vehicle, TROUBLE_CLOCK_STRAYED, n->strayed);
}

/* Always a raw snappy block (5.6). */
mc_err campaign_state_ingest(mc_campaigns *c, const mc_record *r, uint32_t vehicle, mc_slice vehicle_name, uint64_t next_offset, mc_why *why)
{
  mc_why text = {0};
  mc_fw_state_data d;
  state_tally n = {0};
  mc_arena_reset(&c->arena);
  mc_buf_clear(&c->plain);
  if (mc_snappy_expand(r->payload, MAX_PLAIN, &c->plain))
    return unreadable(c, r, vehicle, vehicle_name, "it is no snappy block");
  if (mc_fw_read_state_data(mc_buf_slice(&c->plain), &c->arena, &d, &text))
    return unreadable(c, r, vehicle, vehicle_name, text.text);
  if (d.time_ms > INT64_MAX / 1000)
    return unreadable(c, r, vehicle, vehicle_name, "its time is out of range");
  if (repeat_table_seen(c->repeats, r->tenant, vehicle, MC_LIT("last known state"), d.time_ms, 0, r->payload, r->offset)) {
    atomic_fetch_add_explicit(&c->count.repeats, 1, memory_order_relaxed);
    campaign_trouble(c, r->tenant, vehicle, TROUBLE_REPEATED, 1);
    return MC_OK;
  }
  mc_block_builder_clear(&c->block);
  for (uint32_t i = 0; i < d.state_count; i++)
    if (add_template(c, r, vehicle, &d.state[i], (int64_t)d.time_ms * 1000, &n))
      return mc_err_set(why, MC_ERR_MEMORY, "decoding last known state of %.*s: out of memory", MC_FMT(vehicle_name));
  mc_block block = mc_block_builder_view(&c->block);
  block.tenant = r->tenant;
  block.journal_offset = r->offset;
  block.next_offset = next_offset;
  block.arrival_us = r->time_us;
  for (size_t i = 0; i < c->config.sink_count; i++)
    MC_TRY(c->sink[i].take(c->sink[i].ctx, &block, why));
  atomic_fetch_add_explicit(&c->count.messages, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&c->count.samples, c->block.vehicle.len, memory_order_relaxed);
  tell(c, r->tenant, vehicle, &n);
  return MC_OK;
}
