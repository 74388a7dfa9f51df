/* What a vehicle should hold against what it says it holds (contract fleetwise 4).
 *
 * Documents go out when something changed and the vehicle has been heard of, or when a check-in shows that they are missing. The vehicle
 * confirms by listing their ids in a later check-in. Nothing is sent again before its second check-in after the sending; after five tries
 * it is left, and shows why it does not converge. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/cost.h"
#include "campaign/state.h"
#include "format/proto.h"

enum { SHORTEST_PERIOD_US = 30 * 1000000, LONGEST_PERIOD_US = 300 * 1000000 }; /* 300 s: what AWS's agent makes of 0 */

bool campaign_names(mc_campaigns *c, const mc_campaign *g, const mc_vehicle *vehicle)
{
  if (mc_slice_eq_str(g->target_kind, "all"))
    return true;
  if (mc_slice_eq_str(g->target_kind, "fleet"))
    return mc_registry_fleet_has(c->config.registry, vehicle->tenant, g->target, vehicle->id);
  return mc_slice_eq_str(g->target, mc_slice_eq_str(g->target_kind, "manifest") ? vehicle->manifest : vehicle->name);
}

static bool over(const mc_campaign *g, int64_t now_us) { return g->expiry_us && g->expiry_us <= now_us; }

const mc_campaign *campaign_wanted(mc_campaigns *c, const campaign_entry *e, const mc_vehicle *vehicle, int64_t now_us)
{
  const mc_campaign *g = &e->c;
  if (g->status != MC_CAMPAIGN_RUNNING || g->tenant != vehicle->tenant)
    return NULL;
  bool rest = !e->plan.canary || g->phase == MC_CAMPAIGN_REST;
  if ((rest || rollout_is_first(&e->plan, g->name, mc_slice_str(vehicle->name))) && campaign_names(c, g, vehicle))
    return over(g, now_us) ? NULL : g;
  return !rest && e->before && !over(e->before, now_us) && campaign_names(c, e->before, vehicle) ? e->before : NULL;
}

/* ---- what should be there ---- */

static int by_urgency(const void *a, const void *b)
{
  const mc_campaign *x = ((const planned *)a)->g, *y = ((const planned *)b)->g;
  if (x->priority != y->priority)
    return x->priority < y->priority ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

/* More than an agent has room for: it would drop buffers or campaigns without a word, so the least urgent wait here (12.2). */
static void hold_back(vehicle_plan *p)
{
  uint64_t bytes = 0;
  size_t conditions = 0;
  qsort(p->scheme.at, p->scheme.len, sizeof *p->scheme.at, by_urgency);
  for (size_t i = 0; i < p->scheme.len; i++) {
    planned *x = &p->scheme.at[i];
    x->held = AROUND_COUNT;
    if (conditions + 1 + x->s->fetch_conditions > AGENT_CONDITIONS)
      x->held = AROUND_CONDITIONS;
    else if (bytes + x->s->sample_bytes > AGENT_SAMPLE_BYTES)
      x->held = AROUND_MEMORY;
    if (x->held == AROUND_COUNT) {
      conditions += 1 + x->s->fetch_conditions;
      bytes += x->s->sample_bytes;
    }
  }
}

mc_err campaign_plan(mc_campaigns *c, agent_kind agent, const mc_vehicle *vehicle, int64_t now_us, vehicle_plan *p)
{
  *p = (vehicle_plan){0};
  p->m = vehicle->manifest[0] ? campaign_manifest_current(c, vehicle->tenant, mc_slice_str(vehicle->manifest)) : NULL;
  if (!p->m)
    return MC_OK;
  p->manifest_id = agent.ours ? p->m->sync_id : p->m->foreign_sync_id;
  size_t conditions = 0;
  for (size_t i = 0; i < c->campaign.len; i++) {
    const mc_campaign *g = campaign_wanted(c, c->campaign.at[i], vehicle, now_us);
    const compiled_scheme *s;
    if (!g)
      continue;
    MC_TRY(campaign_scheme_compile(c, g, p->m, agent, campaign_pace(c, g->id, vehicle->id), &s, NULL));
    if (!s->bytes.len)
      continue;
    MC_TRY(mc_vec_push(&p->scheme, ((planned){g, s, AROUND_COUNT})));
    p->sample_bytes += s->sample_bytes;
    conditions += 1 + s->fetch_conditions;
  }
  if (p->sample_bytes > AGENT_SAMPLE_BYTES || conditions > AGENT_CONDITIONS)
    hold_back(p);
  p->hash = mc_slice_fnv1a(mc_slice_str(p->manifest_id));
  for (size_t i = 0; i < p->scheme.len; i++)
    if (p->scheme.at[i].held == AROUND_COUNT)
      p->hash += p->scheme.at[i].s->hash; /* a set: order does not count */
  return MC_OK;
}

/* ---- what is missing ---- */

/* Not begun by the vehicle's clock: AWS's agent may leave it out of its check-ins (contract 4), which says nothing. */
static bool idle(const vehicle_state *v, const mc_campaign *g, int64_t now_us)
{
  return g->start_us && g->start_us > now_us + v->skew_ms * 1000;
}

static bool schemes_match(const vehicle_state *v, const vehicle_plan *p, int64_t now_us)
{
  size_t matched = 0, reported = 0;
  for (size_t i = 0; i < p->scheme.len; i++) {
    const planned *x = &p->scheme.at[i];
    if (x->held != AROUND_COUNT)
      continue;
    if (campaign_vehicle_reports(v, x->s->sync_id))
      matched++;
    else if (v->schemes.hash != (p->hash | 1) || !idle(v, x->g, now_us))
      return false;
  }
  for (size_t i = 0; i < v->reported.len; i++)
    reported += v->reported.at[i].kind == ID_SCHEME;
  return reported <= matched && !v->unknown_count; /* an id that is not wanted any more, or was never ours, has to go */
}

/* Nothing is sent again inside one check-in period (contract 1.3): the second check-in after the sending is proof of loss, and so is the first when it comes a
 * whole period later, as that of a vehicle that was parked meanwhile. */
static bool had_its_chance(const vehicle_state *v, const shipment *d, int64_t now_us)
{
  int64_t period = v->interval_us < SHORTEST_PERIOD_US ? SHORTEST_PERIOD_US : v->interval_us > LONGEST_PERIOD_US ? LONGEST_PERIOD_US : v->interval_us;
  return d->checkins >= RECONCILE_PATIENCE || (d->checkins && now_us - d->sent_us >= period);
}

/* One kind of document: whether it is to be sent now. */
static bool due(uint64_t hash, const vehicle_state *v, shipment *d, bool changed, int64_t now_us)
{
  if (d->hash != hash || changed)
    d->tries = 0;
  if (d->hash == hash && (!had_its_chance(v, d, now_us) || d->tries >= RECONCILE_TRIES))
    return false;
  d->hash = hash;
  d->checkins = 0;
  d->sent_us = now_us;
  d->failed = false;
  d->tries++;
  return true;
}

typedef struct document {
  char topic[300];
  mc_buf payload;
  bool failed;
} document;

static void prepare(vehicle_state *v, const char *kind, document *d)
{
  snprintf(d->topic, sizeof d->topic, "%svehicles/%s/%s", v->prefix, v->name, kind);
}

/* The delta of state templates. Its version rises with the clock, so that a restored back-up does not go back to one that agents ignore. */
static mc_err gather_templates(mc_campaigns *c, vehicle_state *v, const manifest_version *m, bool changed, int64_t now, document *out)
{
  template_plan p;
  mc_err err = campaign_template_plan(c, v, m, &p);
  int64_t before = v->templates.sent_us;
  if (!err && m && !campaign_templates_match(v, &p) && due(p.hash, v, &v->templates, changed, now)) {
    if (v->templates.sent_us < before + 1000)
      v->templates.sent_us = before + 1000;
    prepare(v, "last_known_states/config", out);
    err = campaign_template_delta(c, v, m, &p, (uint64_t)(v->templates.sent_us / 1000), &out->payload);
  }
  mc_vec_free(&p.wanted);
  return err;
}

/* With the lock held: fills the documents that are due. */
static mc_err gather(mc_campaigns *c, vehicle_state *v, const mc_vehicle *vehicle, bool changed, document *manifest, document *schemes, document *templates)
{
  vehicle_plan p;
  int64_t now = mc_clock_wall_us();
  MC_TRY(campaign_vehicle_facts(c, v));
  mc_err err = campaign_plan(c, campaign_vehicle_agent(v), vehicle, now, &p);
  bool decodes = p.m && (v->ours || p.m->left_out.len < p.m->signal.len); /* AWS's agent refuses a manifest of nothing (contract 12.2) */
  if (!err && decodes && !campaign_vehicle_reports(v, p.manifest_id) && due(p.hash ^ 1, v, &v->manifest, changed, now)) {
    prepare(v, "decoder_manifests", manifest);
    err = mc_buf_append_slice(&manifest->payload, mc_buf_slice(v->ours ? &p.m->extended : &p.m->foreign));
  }
  bool something = p.scheme.len || v->reported.len || v->unknown_count || v->schemes.hash;
  if (!err && p.m && something && !schemes_match(v, &p, now) && due(p.hash | 1, v, &v->schemes, changed, now)) {
    prepare(v, "collection_schemes", schemes);
    for (size_t i = 0; i < p.scheme.len && !err; i++)
      if (p.scheme.at[i].held == AROUND_COUNT)
        err = mc_buf_append_slice(&schemes->payload, mc_buf_slice(&p.scheme.at[i].s->bytes));
    if (!err) /* also what makes an empty list acceptable */
      err = mc_proto_put_varint(&schemes->payload, 2, (uint64_t)(now / 1000));
  }
  if (!err)
    err = gather_templates(c, v, p.m, changed, now, templates);
  if (!err && (manifest->payload.len || schemes->payload.len || templates->payload.len))
    err = campaign_vehicle_dirty(c, v);
  mc_vec_free(&p.scheme);
  return err;
}

static void send(mc_campaigns *c, uint32_t tenant, document *d)
{
  mc_why why;
  if (d->payload.len && c->config.publish) {
    d->failed = c->config.publish(c->config.publish_ctx, tenant, mc_slice_str(d->topic), mc_buf_slice(&d->payload), &why) != MC_OK;
    if (d->failed)
      mc_log(MC_LOG_WARN, "campaign", "a document could not be sent; it is tried again after the next check-ins", MC_KZ("topic", d->topic),
             MC_KZ("reason", why.text));
    else
      atomic_fetch_add_explicit(&c->count.documents_sent, 1, memory_order_relaxed);
  }
  mc_buf_free(&d->payload);
}

void campaign_reconcile(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, bool changed)
{
  document manifest = {0}, schemes = {0}, templates = {0};
  mc_vehicle facts;
  if (mc_registry_vehicle_get(c->config.registry, tenant, vehicle, &facts))
    return;
  pthread_mutex_lock(&c->lock);
  vehicle_state *v = campaign_vehicle_state(c, tenant, vehicle, false);
  mc_err err = v && v->prefix[0] ? gather(c, v, &facts, changed, &manifest, &schemes, &templates) : MC_OK; /* never heard of: its first check-in asks */
  pthread_mutex_unlock(&c->lock);
  if (err)
    mc_log(MC_LOG_WARN, "campaign", "documents could not be made", MC_KZ("vehicle", facts.name), MC_KZ("reason", mc_err_text(err)));
  send(c, tenant, &manifest); /* before the schemes: saves the agent one rebuild */
  send(c, tenant, &schemes);
  send(c, tenant, &templates);
  if (v && (manifest.failed || schemes.failed || templates.failed)) {
    pthread_mutex_lock(&c->lock);
    v->manifest.failed |= manifest.failed;
    v->schemes.failed |= schemes.failed;
    v->templates.failed |= templates.failed;
    pthread_mutex_unlock(&c->lock);
  }
}

void campaign_reconcile_all(mc_campaigns *c, uint32_t tenant)
{
  MC_VEC(uint32_t) list = {0};
  size_t at = 0;
  uint64_t value;
  pthread_mutex_lock(&c->lock);
  while (mc_map_next(&c->vehicle, &at, NULL, &value)) {
    const vehicle_state *v = (const vehicle_state *)(uintptr_t)value;
    if (v->tenant == tenant && mc_vec_push(&list, v->vehicle))
      break;
  }
  pthread_mutex_unlock(&c->lock);
  for (size_t i = 0; i < list.len; i++)
    campaign_reconcile(c, tenant, list.at[i], true);
  mc_vec_free(&list);
}

void mc_campaign_vehicle_changed(mc_campaigns *c, uint32_t tenant, uint32_t vehicle)
{
  pthread_mutex_lock(&c->lock);
  vehicle_state *v = campaign_vehicle_state(c, tenant, vehicle, false);
  if (v)
    v->use_known = false;
  pthread_mutex_unlock(&c->lock);
  campaign_reconcile(c, tenant, vehicle, true);
}
