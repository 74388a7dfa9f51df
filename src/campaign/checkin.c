/* Check-ins: what a vehicle holds, and then what it lacks. Decoder thread. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/state.h"

enum { FRESH_US = 60 * 1000000 };
#define LAST_MS 253402300799999LL /* the last of year 9999 */

static mc_err unreadable(mc_campaigns *c, const mc_record *record, uint32_t vehicle, mc_slice vehicle_name, const char *text)
{
  atomic_fetch_add_explicit(&c->count.undecodable, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&c->count.checkins_unreadable, 1, memory_order_relaxed);
  if (vehicle)
    campaign_trouble(c, record->tenant, vehicle, TROUBLE_CHECKIN_UNREADABLE, 1);
  mc_log(MC_LOG_WARN, "campaign", "check-in cannot be read; it stays in the journal", MC_KS("vehicle", vehicle_name), MC_KU("offset", record->offset),
         MC_KZ("reason", text));
  return MC_OK;
}

/* With the lock held. */
static mc_err take(mc_campaigns *c, const mc_record *record, const mc_vehicle *facts, mc_slice prefix, const mc_fw_checkin *in, vehicle_state **out)
{
  vehicle_state *v = *out = campaign_vehicle_state(c, record->tenant, facts->id, true);
  if (!v)
    return MC_ERR_MEMORY;
  bool read_again = mc_clock_wall_us() - record->time_us >= FRESH_US; /* after a restart */
  if (read_again && record->time_us <= v->checkin_us)
    return MC_OK; /* a newer one is known already */
  if (v->reported.len && !in->sync_id_count) /* it begins anew: what was sent before is lost */
    v->manifest = v->schemes = v->templates = (shipment){0};
  campaign_vehicle_forget(v);
  snprintf(v->name, sizeof v->name, "%s", facts->name);
  mc_slice_to_str(prefix, v->prefix, sizeof v->prefix);
  v->ours = in->agent.len && (in->capabilities & (MC_FW_CAN_MULTIPLEX | MC_FW_CAN_ID_MASK)) == (MC_FW_CAN_MULTIPLEX | MC_FW_CAN_ID_MASK);
  v->interval_us = v->checkin_us && record->time_us > v->checkin_us ? record->time_us - v->checkin_us : 0;
  v->checkin_us = record->time_us;
  int64_t there = in->time_ms < LAST_MS ? (int64_t)in->time_ms : LAST_MS;
  v->skew_ms = there ? there - record->time_us / 1000 : 0;
  v->manifest.checkins++;
  v->schemes.checkins++;
  v->templates.checkins++;
  MC_TRY(campaign_vehicle_dirty(c, v));
  MC_TRY(campaign_vehicle_reported(c, v, in->sync_id, in->sync_id_count));
  return campaign_vehicle_errors(v, in->error, in->error_count);
}

static void count_strange(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, uint32_t unknown, uint32_t dropped)
{
  if (!unknown && !dropped)
    return;
  atomic_fetch_add_explicit(&c->count.ids_unknown, unknown, memory_order_relaxed);
  atomic_fetch_add_explicit(&c->count.ids_dropped, dropped, memory_order_relaxed);
  campaign_trouble(c, tenant, vehicle, TROUBLE_IDS_UNKNOWN, unknown);
  campaign_trouble(c, tenant, vehicle, TROUBLE_IDS_DROPPED, dropped);
}

mc_err campaign_checkin(mc_campaigns *c, const mc_record *record, mc_slice vehicle_name, mc_slice prefix, mc_why *why)
{
  mc_fw_checkin in;
  mc_why text = {0};
  mc_vehicle facts;
  mc_arena_reset(&c->arena);
  bool known = mc_registry_vehicle_find(c->config.registry, record->tenant, vehicle_name, &facts) == MC_OK;
  if (mc_fw_read_checkin(record->payload, &c->arena, &in, &text))
    return unreadable(c, record, known ? facts.id : 0, vehicle_name, text.text);
  if (!known)
    return MC_OK; /* no such vehicle (any more) */
  atomic_fetch_add_explicit(&c->count.checkins, 1, memory_order_relaxed);
  vehicle_state *v;
  pthread_mutex_lock(&c->lock);
  mc_err err = take(c, record, &facts, prefix, &in, &v);
  uint32_t unknown = v ? v->unknown_count : 0, dropped = v ? v->dropped : 0;
  pthread_mutex_unlock(&c->lock);
  if (err)
    return mc_err_set(why, err, "check-in of %.*s: %s", MC_FMT(vehicle_name), mc_err_text(err));
  count_strange(c, record->tenant, facts.id, unknown, dropped);
  /* Old ones, read again after a restart, are only remembered: answering them would send what a newer one already has. */
  if (mc_clock_wall_us() - record->time_us < FRESH_US)
    campaign_reconcile(c, record->tenant, facts.id, false);
  return MC_OK;
}
