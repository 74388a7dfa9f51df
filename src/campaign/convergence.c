/* Where campaigns stand on vehicles, and why they do not get on: what FleetWise's users miss most. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/cost.h"
#include "campaign/state.h"

enum { SILENT_US = 600 * 1000000, SKEW_MS = 60000 };

typedef struct view {
  mc_campaigns *c;
  const mc_vehicle *vehicle;
  const vehicle_state *v; /* NULL: never heard of */
  const manifest_version *m; /* NULL: it has none */
  const char *manifest_id;
  vehicle_plan plan; /* made when something does not converge: most do */
  bool planned;
  int64_t now_us;
  mc_arena *arena;
} view;

static void begin(view *w, mc_campaigns *c, const mc_vehicle *vehicle, mc_arena *arena)
{
  *w = (view){.c = c, .vehicle = vehicle, .now_us = mc_clock_wall_us(), .arena = arena};
  vehicle_state *v = campaign_vehicle_state(c, vehicle->tenant, vehicle->id, false);
  w->v = v && v->prefix[0] && campaign_vehicle_facts(c, v) == MC_OK ? v : NULL;
  w->m = vehicle->manifest[0] ? campaign_manifest_current(c, vehicle->tenant, mc_slice_str(vehicle->manifest)) : NULL;
  if (w->m)
    w->manifest_id = w->v && w->v->ours ? w->m->sync_id : w->m->foreign_sync_id;
}

static mc_err make_plan(view *w)
{
  if (w->planned)
    return MC_OK;
  w->planned = true;
  return campaign_plan(w->c, campaign_vehicle_agent(w->v), w->vehicle, w->now_us, &w->plan);
}

static void end(view *w) { mc_vec_free(&w->plan.scheme); }

static mc_err say(const view *w, mc_campaign_vehicle *out, const char *state, const char *status, const char *reason, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
static mc_err say(const view *w, mc_campaign_vehicle *out, const char *state, const char *status, const char *reason, const char *format, ...)
{
  char text[700];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  *out = (mc_campaign_vehicle){.vehicle = w->vehicle->id, .state = mc_slice_str(state), .status = mc_slice_str(status), .reason = mc_slice_str(reason),
                               .changed_us = w->v ? w->v->checkin_us : 0, .slower = 1};
  return mc_arena_copy(w->arena, mc_slice_str(text), &out->text);
}

static const char *ago(int64_t us, char out[32])
{
  long long s = us / 1000000;
  if (s < 0)
    s = 0;
  if (s < 120)
    snprintf(out, 32, "%lld s ago", s);
  else if (s < 7200)
    snprintf(out, 32, "%lld min ago", s / 60);
  else
    snprintf(out, 32, "%lld h ago", s / 3600);
  return out;
}

/* The version of this campaign that the vehicle lists, whichever; NULL: none. */
static const char *lists(const view *w, uint32_t campaign)
{
  for (size_t i = 0; w->v && i < w->v->reported.len; i++) {
    if (w->v->reported.at[i].kind != ID_SCHEME)
      continue;
    const scheme_version *s = campaign_scheme_by_sync(w->c, w->vehicle->tenant, mc_slice_str(w->v->reported.at[i].id));
    if (s && s->campaign == campaign)
      return s->sync_id;
  }
  return NULL;
}

static const char *other_manifest(const view *w)
{
  for (size_t i = 0; w->v && i < w->v->reported.len; i++)
    if (w->v->reported.at[i].kind == ID_MANIFEST && w->v->reported.at[i].id != w->manifest_id)
      return w->v->reported.at[i].id;
  return NULL;
}

/* Sent, and not in its check-ins: what may be behind it, the likeliest first. */
static mc_err not_confirmed(const view *w, const mc_campaign *g, mc_campaign_vehicle *out)
{
  const shipment *d = &w->v->schemes;
  char when[32], last[32];
  int64_t there_us = w->now_us + w->v->skew_ms * 1000;
  ago(w->now_us - d->sent_us, when);
  ago(w->now_us - w->v->checkin_us, last);
  if (d->failed)
    return say(w, out, "pending", "READY", "not_sent", "the last attempt to send it failed %s; it is tried again after the vehicle's next check-ins", when);
  if (g->expiry_us && there_us >= g->expiry_us)
    return say(w, out, "pending", "READY_FOR_CHECKIN", "expired_by_vehicle_clock",
               "the vehicle's clock is %lld s %s ours: by it the campaign is over, and it will not be listed; set the vehicle's clock",
               (long long)llabs(w->v->skew_ms) / 1000, w->v->skew_ms < 0 ? "behind" : "ahead of");
  if (g->start_us && g->start_us > there_us)
    return say(w, out, "pending", "READY_FOR_CHECKIN", "not_started", "it was sent %s and starts later; an agent may list it only then%s", when,
               g->start_us <= w->now_us ? " (by our clock it has started: the vehicle's clock is behind)" : "");
  const char *other = other_manifest(w);
  if (!campaign_vehicle_reports(w->v, w->manifest_id) && other)
    return say(w, out, "pending", "READY_FOR_CHECKIN", "wrong_manifest", "the vehicle holds the decoder manifest %s instead of %s, sent %u times; AWS's agent runs no campaign until both agree", other,
               w->manifest_id, w->v->manifest.tries);
  if (w->v->checkin_us < d->sent_us && w->now_us - w->v->checkin_us > SILENT_US)
    return say(w, out, "pending", "READY_FOR_CHECKIN", "silent", "sent %s, but the vehicle last checked in %s: it is off, out of reach, or talks to another endpoint", when, last);
  if (d->checkins < RECONCILE_PATIENCE || (!campaign_vehicle_reports(w->v, w->manifest_id) && w->v->manifest.checkins < RECONCILE_PATIENCE))
    return say(w, out, "pending", "READY_FOR_CHECKIN", "sent", "sent %s; the vehicle confirms it in its next check-in", when);
  if (!campaign_vehicle_reports(w->v, w->manifest_id))
    return say(w, out, "pending", "READY_FOR_CHECKIN", "manifest_not_confirmed",
               "the decoder manifest %s was sent %u times and is not in the vehicle's last %u check-ins: the agent dropped it without a "
               "word; look at its log, and whether it subscribes to %svehicles/%s/decoder_manifests",
               w->manifest_id, w->v->manifest.tries, w->v->manifest.checkins, w->v->prefix, w->v->name);
  return say(w, out, "pending", "READY_FOR_CHECKIN", "not_confirmed",
             "sent %u times and not in the vehicle's last %u check-ins: the agent dropped it without a word; look at its log and its "
             "CampaignFailures metric%s", d->tries,
             d->checkins, d->tries >= RECONCILE_TRIES ? "; it is not sent again until something changes" : "");
}

static mc_err refused(const view *w, const char *sync_id, mc_campaign_vehicle *out, bool *said)
{
  size_t n = strlen(sync_id);
  *said = false;
  for (size_t i = 0; w->v && i < w->v->error.len && !*said; i++)
    if (strncmp(w->v->error.at[i], sync_id, n) == 0) {
      *said = true;
      return say(w, out, "refused", "READY_FOR_CHECKIN", "refused", "%s", w->v->error.at[i]);
    }
  return MC_OK;
}

static mc_err held_back(const view *w, const planned *x, mc_campaign_vehicle *out)
{
  if (x->held == AROUND_CONDITIONS)
    return say(w, out, "pending", "READY", "too_many_conditions",
               "the campaigns of this vehicle have more than %d conditions together, which is all an agent takes; suspend one, or make this "
               "one more urgent (a lower priority number)",
               AGENT_CONDITIONS);
  return say(w, out, "pending", "READY", "too_much_memory",
             "the campaigns of this vehicle ask for %.1f MB of sample buffers together, this one for %.1f; %d MB are all an agent has: "
             "collect fewer samples (maxSampleCount) or signals, or make this one more urgent (a lower priority number)",
             (double)w->plan.sample_bytes / 1048576, (double)x->s->sample_bytes / 1048576, AGENT_SAMPLE_BYTES >> 20);
}

static const planned *find_planned(const view *w, const mc_campaign *g)
{
  for (size_t i = 0; i < w->plan.scheme.len; i++)
    if (w->plan.scheme.at[i].g->id == g->id)
      return &w->plan.scheme.at[i];
  return NULL;
}

static const char *cap_text(const mc_campaign_amount *cap, char out[120])
{
  size_t n = 0;
  out[0] = 0;
  if (cap->messages)
    n += (size_t)snprintf(out + n, 120 - n, "%" PRIu64 " messages", cap->messages);
  if (cap->bytes)
    n += (size_t)snprintf(out + n, 120 - n, "%s%" PRIu64 " bytes", n ? ", " : "", cap->bytes);
  if (cap->samples)
    snprintf(out + n, 120 - n, "%s%" PRIu64 " samples", n ? ", " : "", cap->samples);
  return out;
}

static mc_err slowed(const view *w, const mc_campaign *g, mc_campaign_vehicle *out)
{
  char cap[120];
  bool all = campaign_pace(w->c, g->id, 0) == campaign_pace(w->c, g->id, w->vehicle->id);
  return say(w, out, "healthy", "HEALTHY", "slowed", "confirmed; it collects %u times slower until midnight (UTC), since %s would go beyond its cap of a day (%s)",
             1U << campaign_pace(w->c, g->id, w->vehicle->id), all ? "the campaign as a whole" : "this vehicle", cap_text(all ? &g->cap_all : &g->cap_vehicle, cap));
}

static mc_err confirmed(const view *w, const mc_campaign *g, const compiled_scheme *s, mc_campaign_vehicle *out)
{
  const char *other = other_manifest(w);
  if (other && !campaign_vehicle_reports(w->v, w->manifest_id))
    return say(w, out, "pending", "READY_FOR_CHECKIN", "wrong_manifest",
               "the vehicle holds the campaign, but the decoder manifest %s instead of %s: AWS's agent runs no campaign until both agree", other, w->manifest_id);
  if (llabs(w->v->skew_ms) > SKEW_MS)
    return say(w, out, "healthy", "HEALTHY", "clock_off", "confirmed, but the vehicle's clock is %lld s %s ours: starts, ends and time stamps follow it", (long long)llabs(w->v->skew_ms) / 1000,
               w->v->skew_ms < 0 ? "behind" : "ahead of");
  if (campaign_pace(w->c, g->id, w->vehicle->id))
    return slowed(w, g, out);
  return say(w, out, "healthy", "HEALTHY", "confirmed", "%s", s->text ? s->text : "");
}

/* It is wanted there, as far as targets and times say. */
static mc_err describe_running(view *w, const mc_campaign *g, mc_campaign_vehicle *out)
{
  const compiled_scheme *s;
  bool said;
  if (!w->m)
    return say(w, out, "none", "READY", "no_manifest", "the vehicle has no decoder manifest%s%s%s: give it one with `motorcade vehicle set`", w->vehicle->manifest[0] ? " (there is none named " : "",
               w->vehicle->manifest, w->vehicle->manifest[0] ? ")" : "");
  MC_TRY(campaign_scheme_compile(w->c, g, w->m, campaign_vehicle_agent(w->v), campaign_pace(w->c, g->id, w->vehicle->id), &s, NULL));
  if (!s->bytes.len)
    return say(w, out, "none", "READY", s->reason ? s->reason : "nothing_to_collect", "%s", s->text ? s->text : "");
  if (!w->v)
    return say(w, out, "pending", "READY", "never_checked_in",
               "no check-in ever came under this name; is the agent's client id \"%s\", and does it reach this platform? An agent with "
               "another name talks on other topics and sees no error",
               w->vehicle->name);
  MC_TRY(refused(w, s->sync_id, out, &said));
  if (said)
    return MC_OK;
  if (campaign_vehicle_reports(w->v, s->sync_id))
    return confirmed(w, g, s, out);
  MC_TRY(refused(w, w->manifest_id, out, &said));
  if (said)
    return MC_OK;
  MC_TRY(make_plan(w));
  const planned *x = find_planned(w, g);
  if (x && x->held != AROUND_COUNT)
    return held_back(w, x, out);
  if (w->v->schemes.hash != (w->plan.hash | 1))
    return say(w, out, "pending", "READY", "to_be_sent", "it is sent after the vehicle's next check-in");
  return not_confirmed(w, g, out);
}

/* It is not wanted there any more. *listed stays false when there is nothing to tell. */
static mc_err describe_leaving(const view *w, const mc_campaign *g, mc_campaign_vehicle *out, bool *listed)
{
  const char *still = lists(w, g->id);
  bool suspended = g->status == MC_CAMPAIGN_SUSPENDED;
  char when[32];
  *listed = still || suspended;
  if (!*listed)
    return MC_OK;
  if (!still || !w->v)
    return say(w, out, "none", "SUSPENDED", "suspended", "it is suspended, and the vehicle does not list it");
  const shipment *d = &w->v->schemes;
  return say(w, out, "pending", suspended ? "SUSPENDED" : "DELETING", "still_listed",
             "the vehicle still lists %s; the list without it was sent %u times, last %s", still, d->tries, ago(w->now_us - d->sent_us, when));
}

static mc_err describe_wanted(view *w, const campaign_entry *e, const mc_campaign *wanted, mc_campaign_vehicle *out)
{
  MC_TRY(describe_running(w, wanted, out));
  out->slower = 1U << campaign_pace(w->c, wanted->id, w->vehicle->id);
  out->former = wanted != &e->c;
  return MC_OK;
}

static mc_err describe(view *w, const campaign_entry *e, mc_campaign_vehicle *out, bool *listed)
{
  const mc_campaign *g = &e->c, *wanted = campaign_wanted(w->c, e, w->vehicle, w->now_us);
  bool named = campaign_names(w->c, g, w->vehicle);
  *listed = true;
  if (named && g->status == MC_CAMPAIGN_DRAFT)
    return say(w, out, "none", "CREATED", "not_approved", "the campaign waits for approval");
  if (wanted)
    return describe_wanted(w, e, wanted, out);
  if (named && g->status == MC_CAMPAIGN_SUSPENDED)
    return describe_leaving(w, g, out, listed);
  mc_campaign gone = *g; /* ended, over, aimed elsewhere, or not at this one yet */
  gone.status = MC_CAMPAIGN_ENDED;
  MC_TRY(describe_leaving(w, &gone, out, listed));
  if (*listed || !named || g->status != MC_CAMPAIGN_RUNNING || !e->plan.canary || g->phase == MC_CAMPAIGN_REST)
    return MC_OK;
  *listed = true;
  return say(w, out, "none", "READY", "waits_for_first", "the campaign goes to its first vehicles first, and this is none of them");
}

/* Every vehicle of the tenant that the campaign concerns, a page at a time; give gets each. */
typedef struct walk {
  mc_arena *arena; /* of the texts */
  bool (*give)(void *ctx, const view *w, const mc_campaign_vehicle *at, mc_err *err); /* false: enough */
  void *ctx;
} walk;

static mc_err walk_page(mc_campaigns *c, uint32_t tenant, uint32_t id, const mc_vehicle *vehicle, size_t count, const walk *k, bool *more)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&c->lock);
  const campaign_entry *e = campaign_entry_of(c, tenant, id);
  for (size_t i = 0; e && i < count && *more && !err; i++) {
    bool listed = false;
    mc_campaign_vehicle at;
    view w;
    begin(&w, c, &vehicle[i], k->arena);
    err = describe(&w, e, &at, &listed);
    if (!err && listed)
      *more = k->give(k->ctx, &w, &at, &err);
    end(&w);
  }
  pthread_mutex_unlock(&c->lock);
  return err;
}

static mc_err walk_vehicles(mc_campaigns *c, uint32_t tenant, uint32_t id, const walk *k, mc_why *why)
{
  enum { PAGE = 1000 };
  char after[129] = "";
  size_t page = PAGE;
  pthread_mutex_lock(&c->lock);
  bool there = campaign_entry_of(c, tenant, id) != NULL;
  pthread_mutex_unlock(&c->lock);
  if (!there)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no campaign %u", id);
  for (bool more = true; more && page == PAGE;) {
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    mc_vehicle *vehicles;
    MC_TRY(mc_registry_vehicle_list(c->config.registry, tenant, mc_slice_str(after), (mc_slice){0}, PAGE, &arena, &vehicles, &page, why));
    mc_err err = walk_page(c, tenant, id, vehicles, page, k, &more);
    if (err)
      return mc_err_set(why, err, "vehicles of campaign %u: %s", id, mc_err_text(err));
    if (page)
      snprintf(after, sizeof after, "%s", vehicles[page - 1].name);
  }
  return MC_OK;
}

typedef struct gathered {
  MC_VEC(mc_campaign_vehicle) at;
  size_t limit;
} gathered;

static bool gather_one(void *ctx, const view *w, const mc_campaign_vehicle *at, mc_err *err)
{
  gathered *g = ctx;
  *err = mc_vec_push(&g->at, *at);
  return g->at.len < g->limit;
}

mc_err mc_campaign_vehicles(mc_campaigns *c, uint32_t tenant, uint32_t id, size_t limit, mc_arena *arena, mc_campaign_vehicle **out,
                            size_t *count, mc_why *why)
{
  gathered g = {.limit = limit};
  walk k = {arena, gather_one, &g};
  *count = 0;
  mc_err err = limit ? walk_vehicles(c, tenant, id, &k, why) : MC_OK;
  *out = err ? NULL : mc_arena_array(arena, g.at.len, sizeof **out);
  if (!err && !*out)
    err = mc_err_set(why, MC_ERR_MEMORY, "out of memory for %zu vehicles", g.at.len);
  for (size_t i = 0; i < g.at.len && !err; i++)
    (*out)[(*count)++] = g.at.at[i];
  mc_vec_free(&g.at);
  return err;
}

typedef struct tallied {
  mc_campaign_tally *out;
  mc_arena arena;
} tallied;

static bool tally_one(void *ctx, const view *w, const mc_campaign_vehicle *at, mc_err *err)
{
  tallied *t = ctx;
  t->out->targeted++;
  t->out->vehicles += !mc_slice_eq_str(at->state, "none");
  t->out->healthy += mc_slice_eq_str(at->state, "healthy");
  t->out->pending += mc_slice_eq_str(at->state, "pending");
  t->out->refused += mc_slice_eq_str(at->state, "refused");
  mc_arena_reset(&t->arena);
  return true;
}

mc_err mc_campaign_tally_of(mc_campaigns *c, uint32_t tenant, uint32_t id, mc_campaign_tally *out, mc_why *why)
{
  tallied t = {out, MC_ARENA(0)};
  walk k = {&t.arena, tally_one, &t};
  *out = (mc_campaign_tally){0};
  mc_err err = walk_vehicles(c, tenant, id, &k, why);
  mc_arena_free(&t.arena);
  return err;
}

/* ---- a roll-out ---- */

typedef struct staging {
  const rollout *r;
  rollout_tally *out;
  mc_arena arena;
} staging;

/* What its agent reports beside our documents: text that begins with none of their ids. */
static bool reports_other_errors(const view *w)
{
  for (size_t i = 0; i < w->v->error.len; i++) {
    const char *text = w->v->error.at[i], *colon = strstr(text, ": ");
    reported_id id = colon ? campaign_id_find(w->c, w->v->tenant, mc_slice_of(text, (size_t)(colon - text))) : (reported_id){0};
    if (!id.id)
      return true;
  }
  return w->v->trouble && w->v->trouble[TROUBLE_DATA_UNREADABLE].last_us > w->v->schemes.sent_us;
}

/* It was there when it was sent, and was not heard since. One that was away says nothing: vehicles park. */
static bool fell_silent(const view *w, uint32_t silent_s)
{
  int64_t sent_us = w->v->schemes.sent_us, heard_us = w->v->checkin_us;
  return heard_us < sent_us && sent_us - heard_us <= SILENT_US && w->now_us - sent_us > silent_s * 1000000LL;
}

static bool stage_one(void *ctx, const view *w, const mc_campaign_vehicle *at, mc_err *err)
{
  staging *s = ctx;
  bool sent = mc_slice_eq_str(at->status, "HEALTHY") || mc_slice_eq_str(at->status, "READY_FOR_CHECKIN");
  bool counts = !at->former && !mc_slice_eq_str(at->state, "none") && (sent || mc_slice_eq_str(at->status, "READY"));
  if (counts) {
    bool healthy = mc_slice_eq_str(at->state, "healthy");
    s->out->reached++;
    s->out->sent += sent;
    s->out->confirmed += healthy;
    s->out->refused += mc_slice_eq_str(at->state, "refused");
    s->out->errors += sent && w->v && healthy && reports_other_errors(w);
    s->out->silent += sent && w->v && !healthy && fell_silent(w, s->r->silent_s);
  }
  mc_arena_reset(&s->arena);
  return true;
}

mc_err campaign_rollout_tally(mc_campaigns *c, uint32_t tenant, uint32_t id, const rollout *r, rollout_tally *out, mc_why *why)
{
  staging s = {r, out, MC_ARENA(0)};
  walk k = {&s.arena, stage_one, &s};
  mc_err err = walk_vehicles(c, tenant, id, &k, why);
  mc_arena_free(&s.arena);
  return err;
}

/* ---- one vehicle ---- */

static const struct { const char *kind, *text; } troubles[TROUBLE_COUNT] = {
    [TROUBLE_CHECKIN_UNREADABLE] = {"checkin_unreadable", "check-ins that are no check-in"},
    [TROUBLE_IDS_UNKNOWN] = {"ids_unknown", "document ids in check-ins that this platform never made"},
    [TROUBLE_IDS_DROPPED] = {"ids_dropped", "document ids in check-ins beyond the 4,096 that are read of one"},
    [TROUBLE_DATA_UNREADABLE] = {"data_unreadable", "messages with data that cannot be decoded; they stay in the journal"},
    [TROUBLE_CAMPAIGN_UNKNOWN] = {"campaign_unknown", "messages with data for a campaign that this platform never made"},
    [TROUBLE_MANIFEST_UNKNOWN] = {"manifest_unknown", "messages with data that name a decoder manifest that this platform never made: their values were kept as they came"},
    [TROUBLE_SIGNAL_UNKNOWN] = {"signal_unknown", "values of signal ids that nobody has; they were left out"},
    [TROUBLE_CLOCK_AHEAD] = {"clock_ahead", "values more than 2 minutes ahead of their arrival; kept, never the latest"},
    [TROUBLE_CLOCK_STRAYED] = {"clock_strayed", "values left out: their times lie in too many different hours far from now"},
    [TROUBLE_REPEATED] = {"repeated", "messages that had come before; they count once"},
    [TROUBLE_TEMPLATE_UNKNOWN] = {"template_unknown", "states of a template that this platform never made; they were left out"},
    [TROUBLE_COMMAND_UNKNOWN] = {"command_unknown", "answers to commands that nobody waits for"},
};

static mc_err list_troubles(const vehicle_state *v, mc_arena *arena, mc_vehicle_agent *out)
{
  out->trouble = mc_arena_array(arena, TROUBLE_COUNT, sizeof *out->trouble);
  if (!out->trouble)
    return MC_ERR_MEMORY;
  for (int i = 0; v->trouble && i < TROUBLE_COUNT; i++)
    if (v->trouble[i].count)
      out->trouble[out->trouble_count++] =
          (mc_vehicle_trouble){mc_slice_str(troubles[i].kind), v->trouble[i].count, v->trouble[i].last_us, mc_slice_str(troubles[i].text)};
  return MC_OK;
}

static mc_err describe_agent(const view *w, mc_vehicle_agent *out)
{
  const vehicle_state *v = campaign_vehicle_state(w->c, w->vehicle->tenant, w->vehicle->id, false);
  *out = (mc_vehicle_agent){.wanted_manifest = mc_slice_str(w->manifest_id)};
  if (v)
    MC_TRY(list_troubles(v, w->arena, out));
  if (!w->v || !v)
    return MC_OK;
  out->heard = true;
  out->ours = v->ours;
  out->checkin_us = v->checkin_us;
  out->skew_ms = v->skew_ms;
  out->reported = (uint32_t)v->reported.len;
  out->unknown = v->unknown_count;
  out->dropped = v->dropped;
  for (size_t i = 0; i < v->reported.len; i++)
    if (v->reported.at[i].kind == ID_MANIFEST)
      out->manifest = mc_slice_str(v->reported.at[i].id);
  if (v->unknown.len)
    return mc_arena_copy(w->arena, mc_slice_str(v->unknown.at[0]), &out->first_unknown);
  return MC_OK;
}

typedef MC_VEC(mc_vehicle_campaign) campaign_vec;

static bool is_campaign(mc_campaigns *c, uint32_t tenant, uint32_t id)
{
  for (size_t i = 0; i < c->campaign.len; i++)
    if (c->campaign.at[i]->c.id == id && c->campaign.at[i]->c.tenant == tenant)
      return true;
  return false;
}

/* Campaigns that are deleted and that the vehicle still lists: the name is in the sync id (name, -, 16 hex digits). */
static mc_err describe_deleted(const view *w, campaign_vec *list)
{
  for (size_t i = 0; w->v && i < w->v->reported.len; i++) {
    const char *id = w->v->reported.at[i].id;
    const scheme_version *s = w->v->reported.at[i].kind == ID_SCHEME ? campaign_scheme_by_sync(w->c, w->vehicle->tenant, mc_slice_str(id)) : NULL;
    if (!s || is_campaign(w->c, s->tenant, s->campaign))
      continue;
    mc_vehicle_campaign x = {.id = 0};
    size_t n = strlen(id);
    mc_campaign gone = {.id = s->campaign, .status = MC_CAMPAIGN_ENDED};
    bool listed;
    MC_TRY(mc_arena_copy(w->arena, mc_slice_of(id, n > 17 ? n - 17 : n), &x.name));
    MC_TRY(describe_leaving(w, &gone, &x.at, &listed));
    if (listed)
      MC_TRY(mc_vec_push(list, x));
  }
  return MC_OK;
}

static mc_err describe_all(view *w, campaign_vec *list)
{
  for (size_t i = 0; i < w->c->campaign.len; i++) {
    const campaign_entry *e = w->c->campaign.at[i];
    const mc_campaign *g = &e->c;
    mc_vehicle_campaign x = {.id = g->id};
    bool listed = false;
    if (g->tenant != w->vehicle->tenant)
      continue;
    MC_TRY(describe(w, e, &x.at, &listed));
    if (!listed)
      continue;
    MC_TRY(mc_arena_copy(w->arena, g->name, &x.name));
    MC_TRY(mc_vec_push(list, x));
  }
  return describe_deleted(w, list);
}

/* One that is made anew before the one of its name that is going. */
static int by_name(const void *a, const void *b)
{
  const mc_vehicle_campaign *x = a, *y = b;
  int order = mc_slice_compare(x->name, y->name);
  return order ? order : x->id > y->id ? -1 : x->id < y->id;
}

mc_err mc_campaign_of_vehicle(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_arena *arena, mc_vehicle_campaign **out, size_t *count, mc_vehicle_agent *agent, mc_why *why)
{
  mc_vehicle facts;
  campaign_vec list = {0};
  view w;
  *out = NULL;
  *count = 0;
  if (mc_registry_vehicle_get(c->config.registry, tenant, vehicle, &facts))
    return mc_err_set(why, MC_ERR_NOT_FOUND, "there is no vehicle %u", vehicle);
  pthread_mutex_lock(&c->lock);
  begin(&w, c, &facts, arena);
  mc_err err = describe_agent(&w, agent);
  if (!err)
    err = describe_all(&w, &list);
  end(&w);
  pthread_mutex_unlock(&c->lock);
  if (!err && list.len > 1)
    qsort(list.at, list.len, sizeof *list.at, by_name);
  if (!err)
    *out = mc_arena_array(arena, list.len, sizeof **out);
  if (!err && !*out)
    err = MC_ERR_MEMORY;
  for (size_t i = 0; i < list.len && !err; i++)
    (*out)[(*count)++] = list.at[i];
  mc_vec_free(&list);
  return err ? mc_err_set(why, err, "campaigns of vehicle %s: %s", facts.name, mc_err_text(err)) : MC_OK;
}
