/* Operations about campaigns (contract fleetwise 9.2 to 9.4). The same rows as our own faces write: one campaign, whichever made it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "campaign/vocabulary.h"

enum { KIND_COUNT = 3 };
#define NEVER_S 253402214400LL /* 31 December 9999, FleetWise's default expiry */

static const char *const status_name[] = {"WAITING_FOR_APPROVAL", "RUNNING", "SUSPENDED", "SUSPENDED" /* ended */};
/* What can be aimed at: FleetWise knows the first two. "fleet/<star>" is every vehicle. */
static const struct { const char *arn, *target; } kinds[KIND_COUNT] = {{"vehicle", "vehicle"}, {"fleet", "fleet"}, {"decoder-manifest", "manifest"}};

/* ---- reading a request ---- */

static mc_err read_target(control_call *call, mc_campaign *g, mc_why *why)
{
  mc_slice arn = control_text(call->in, "targetArn");
  for (size_t i = 0; i < KIND_COUNT; i++) {
    mc_slice name;
    if (control_arn_name(call, "targetArn", arn, kinds[i].arn, &name, NULL))
      continue;
    bool all = i == 1 && mc_slice_eq_str(name, "*");
    g->target_kind = mc_slice_str(all ? "all" : kinds[i].target);
    g->target = all ? (mc_slice){0} : name;
    mc_vehicle vehicle;
    if (i == 0 && mc_registry_vehicle_find(call->c->config.registry, call->tenant, name, &vehicle))
      return control_not_found(call, "vehicle", name, why);
    if (i == 1 && !all && !mc_registry_fleet_exists(call->c->config.registry, call->tenant, name))
      return control_not_found(call, "fleet", name, why);
    return MC_OK;
  }
  return control_invalid(call, "targetArn", why, "expected the ARN of a vehicle or a fleet, found \"%.*s\"", MC_FMT(mc_slice_sub(arn, 0, 120)));
}

/* A member that is a list, as compact text; empty when it is not there. */
static mc_err read_list(control_call *call, const char *key, mc_slice *out)
{
  const json_t *list = json_object_get(call->in, key);
  *out = (mc_slice){0};
  if (!json_array_size(list))
    return MC_OK;
  char *text = json_dumps(list, JSON_COMPACT);
  mc_err err = text ? mc_arena_copy(call->arena, mc_slice_str(text), out) : MC_ERR_MEMORY;
  free(text);
  return err;
}

static mc_err read_signals(control_call *call, mc_campaign *g)
{
  json_t *list = json_object_get(call->in, "signalsToCollect"), *item;
  size_t i;
  g->signal = mc_arena_array(call->arena, json_array_size(list), sizeof *g->signal);
  if (!g->signal)
    return MC_ERR_MEMORY;
  json_array_foreach (list, i, item)
    g->signal[g->signal_count++] = (mc_campaign_collect){.fqn = control_text(item, "name"),
                                                         .max_samples = (uint32_t)control_int(item, "maxSampleCount", 0),
                                                         .min_period_ms = (uint32_t)control_int(item, "minimumSamplingIntervalMs", 0),
                                                         .partition = control_text(item, "dataPartitionId")};
  return MC_OK;
}

static void read_scheme(control_call *call, mc_campaign *g)
{
  const json_t *scheme = json_object_get(call->in, "collectionScheme"), *condition = json_object_get(scheme, "conditionBasedCollectionScheme");
  g->period_ms = (uint32_t)control_int(json_object_get(scheme, "timeBasedCollectionScheme"), "periodMs", 0);
  if (!condition)
    return;
  g->condition_based = true;
  g->expression = control_text(condition, "expression");
  g->min_interval_ms = (uint32_t)control_int(condition, "minimumTriggerIntervalMs", 0);
  g->rising_edge = mc_slice_eq_str(control_text(condition, "triggerMode"), "RISING_EDGE");
}

static int64_t read_time(control_call *call, const char *key)
{
  double s = control_number(call->in, key, 0);
  return s > 0 && s < (double)NEVER_S ? (int64_t)llround(s * 1e6) : 0;
}

static mc_err read_campaign(control_call *call, mc_campaign *g, mc_why *why)
{
  int64_t priority = control_int(call->in, "priority", 0);
  *g = (mc_campaign){.tenant = call->tenant,
                     .name = control_text(call->in, "name"),
                     .description = control_text(call->in, "description"),
                     .start_us = read_time(call, "startTime"),
                     .expiry_us = read_time(call, "expiryTime"),
                     .after_ms = (uint32_t)control_int(call->in, "postTriggerCollectionDuration", 0),
                     .include_dtcs = mc_slice_eq_str(control_text(call->in, "diagnosticsMode"), "SEND_ACTIVE_DTCS"),
                     .persist = mc_slice_eq_str(control_text(call->in, "spoolingMode"), "TO_DISK"),
                     .compress = !mc_slice_eq_str(control_text(call->in, "compression"), "OFF"),
                     .priority = priority > UINT32_MAX ? UINT32_MAX : (uint32_t)priority};
  MC_TRY(control_arn_name(call, "signalCatalogArn", control_text(call->in, "signalCatalogArn"), "signal-catalog", &g->catalog, why));
  MC_TRY(control_exists(call, "signal-catalog", g->catalog, why));
  MC_TRY(read_target(call, g, why));
  MC_TRY(read_list(call, "dataExtraDimensions", &g->dimensions));
  MC_TRY(read_list(call, "dataDestinationConfigs", &g->destinations));
  MC_TRY(read_list(call, "dataPartitions", &g->partitions));
  MC_TRY(read_list(call, "signalsToFetch", &g->fetch));
  read_scheme(call, g);
  return read_signals(call, g);
}

/* ---- what is wrong, in FleetWise's words ---- */

/* "signals[3]: ..." as our own faces have it, to the member that it came in. */
static void field_of(const char *ours, size_t n, char out[160])
{
  static const struct { const char *ours, *theirs; } names[] = {
      {"target", "targetArn"},
      {"target_kind", "targetArn"},
      {"signals", "signalsToCollect"},
      {"expression", "collectionScheme.conditionBasedCollectionScheme.expression"},
      {"period_ms", "collectionScheme.timeBasedCollectionScheme.periodMs"},
      {"expiry", "expiryTime"},
  };
  snprintf(out, 160, "%.*s", (int)(n < 150 ? n : 150), ours);
  if (strncmp(ours, "signals[", 8) == 0) {
    snprintf(out, 160, "signalsToCollect%.*s.name", (int)(n - 7 < 20 ? n - 7 : 20), ours + 7);
    return;
  }
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strlen(names[i].ours) == n && strncmp(names[i].ours, ours, n) == 0)
      snprintf(out, 160, "%s", names[i].theirs);
}

/* Says of an error of the service which member it is about; other errors stay as they are. */
static mc_err blame(control_call *call, mc_slice name, mc_err err, mc_why *why)
{
  if (err == MC_ERR_EXISTS)
    return control_conflict(call, "campaign", name, why, "there is a campaign \"%.*s\" already", MC_FMT(name));
  if (err != MC_ERR_INVALID && err != MC_ERR_NOT_FOUND && err != MC_ERR_TOO_LARGE && err != MC_ERR_MALFORMED && err != MC_ERR_UNSUPPORTED)
    return err;
  char field[160], text[MC_WHY_TEXT];
  size_t n = strcspn(why->text, ":,");
  field_of(why->text, n, field);
  snprintf(text, sizeof text, "%s", why->text + n + strspn(why->text + n, ":, "));
  return control_invalid(call, field, why, "%s", text);
}

/* ---- finding ---- */

static mc_err find(control_call *call, mc_slice name, mc_campaign *out, mc_why *why)
{
  mc_err err = MC_ERR_NOT_FOUND;
  *out = (mc_campaign){0};
  pthread_mutex_lock(&call->c->lock);
  for (size_t i = 0; i < call->c->campaign.len && err == MC_ERR_NOT_FOUND; i++) {
    const mc_campaign *g = &call->c->campaign.at[i]->c;
    if (g->tenant == call->tenant && mc_slice_eq(g->name, name))
      err = mc_campaign_get(call->c, call->tenant, g->id, call->arena, out);
  }
  pthread_mutex_unlock(&call->c->lock);
  if (err == MC_ERR_NOT_FOUND)
    control_not_found(call, "campaign", name, why);
  return err;
}

static mc_slice target_arn(control_call *call, const mc_campaign *g)
{
  for (size_t i = 0; i < KIND_COUNT; i++)
    if (mc_slice_eq_str(g->target_kind, kinds[i].target))
      return control_arn(call, kinds[i].arn, g->target);
  return control_arn(call, "fleet", MC_LIT("*"));
}

static void write_name(control_call *call, mc_slice name)
{
  mc_json_text_field(call->out, "name", name);
  mc_json_text_field(call->out, "arn", control_arn(call, "campaign", name));
}

/* What a summary and the whole have in common. */
static void write_head(control_call *call, const mc_campaign *g)
{
  write_name(call, g->name);
  if (g->description.len)
    mc_json_text_field(call->out, "description", g->description);
  if (g->catalog.len)
    mc_json_text_field(call->out, "signalCatalogArn", control_arn(call, "signal-catalog", g->catalog));
  mc_json_text_field(call->out, "targetArn", target_arn(call, g));
  mc_json_str_field(call->out, "status", status_name[g->status]);
  control_time(call->out, "creationTime", g->created_us);
  control_time(call->out, "lastModificationTime", g->updated_us);
}

static void write_list(mc_json *out, const char *key, mc_slice list)
{
  mc_json_key(out, key);
  mc_json_raw(out, list.len ? list : MC_LIT("[]"));
}

static void write_signals(mc_json *out, const mc_campaign *g)
{
  mc_json_key(out, "signalsToCollect");
  mc_json_array(out);
  for (uint32_t i = 0; i < g->signal_count; i++) {
    const mc_campaign_collect *s = &g->signal[i];
    mc_json_object(out);
    mc_json_text_field(out, "name", s->fqn);
    if (s->max_samples)
      mc_json_uint_field(out, "maxSampleCount", s->max_samples);
    if (s->min_period_ms)
      mc_json_uint_field(out, "minimumSamplingIntervalMs", s->min_period_ms);
    if (s->partition.len)
      mc_json_text_field(out, "dataPartitionId", s->partition);
    mc_json_object_end(out);
  }
  mc_json_array_end(out);
}

static void write_scheme(mc_json *out, const mc_campaign *g)
{
  mc_json_key(out, "collectionScheme");
  mc_json_object(out);
  mc_json_key(out, g->condition_based ? "conditionBasedCollectionScheme" : "timeBasedCollectionScheme");
  mc_json_object(out);
  if (g->condition_based) {
    mc_json_text_field(out, "expression", g->expression);
    mc_json_uint_field(out, "minimumTriggerIntervalMs", g->min_interval_ms);
    mc_json_str_field(out, "triggerMode", g->rising_edge ? "RISING_EDGE" : "ALWAYS");
    mc_json_uint_field(out, "conditionLanguageVersion", 1);
  } else {
    mc_json_uint_field(out, "periodMs", g->period_ms);
  }
  mc_json_object_end(out);
  mc_json_object_end(out);
}

/* ---- the operations ---- */

typedef struct tagging {
  control_call *call;
  mc_slice name;
} tagging;

static mc_err set_tags(void *ctx, mc_why *why)
{
  tagging *t = ctx;
  return control_tags_set(t->call, "campaign", t->name, json_object_get(t->call->in, "tags"), why);
}

/* With `vocabulary` held: what it names stays while it is made. */
static mc_err create_locked(control_call *call, mc_why *why)
{
  mc_campaign g;
  mc_why full;
  MC_TRY(read_campaign(call, &g, why));
  if (!campaign_room(call->c, call->tenant, &full))
    return control_limit(call, "campaign", g.name, why, "%s", full.text);
  tagging t = {call, g.name};
  mc_err err = campaign_create(call->c, &g, false, set_tags, &t, call->arena, why);
  if (err && call->error->fault != MC_CONTROL_OK) /* the tags' own */
    return err;
  MC_TRY(blame(call, g.name, err, why));
  write_name(call, g.name);
  return MC_OK;
}

static mc_err create_campaign(control_call *call, mc_why *why) { return vocabulary_locked(call, create_locked, why); }

static mc_err get_campaign(control_call *call, mc_why *why)
{
  mc_campaign g;
  mc_json *out = call->out;
  MC_TRY(find(call, control_text(call->in, "name"), &g, why));
  write_head(call, &g);
  mc_json_double_field(out, "startTime", (double)g.start_us / 1e6);
  mc_json_double_field(out, "expiryTime", g.expiry_us ? (double)g.expiry_us / 1e6 : (double)NEVER_S);
  mc_json_uint_field(out, "postTriggerCollectionDuration", g.after_ms);
  mc_json_str_field(out, "diagnosticsMode", g.include_dtcs ? "SEND_ACTIVE_DTCS" : "OFF");
  mc_json_str_field(out, "spoolingMode", g.persist ? "TO_DISK" : "OFF");
  mc_json_str_field(out, "compression", g.compress ? "SNAPPY" : "OFF");
  mc_json_uint_field(out, "priority", g.priority);
  write_signals(out, &g);
  write_scheme(out, &g);
  write_list(out, "dataExtraDimensions", g.dimensions);
  write_list(out, "dataDestinationConfigs", g.destinations);
  write_list(out, "dataPartitions", g.partitions);
  write_list(out, "signalsToFetch", g.fetch);
  return MC_OK;
}

static mc_err delete_campaign(control_call *call, mc_why *why)
{
  mc_campaign g;
  MC_TRY(find(call, control_text(call->in, "name"), &g, why));
  mc_err err = mc_campaign_delete(call->c, call->tenant, g.id, why);
  if (err == MC_ERR_NOT_FOUND)
    return control_not_found(call, "campaign", g.name, why);
  if (!err)
    write_name(call, g.name);
  return err;
}

/* Which way each action leads. UPDATE leads nowhere. */
static const struct { const char *action; mc_campaign_status from, to; } steps[] = {
    {"APPROVE", MC_CAMPAIGN_DRAFT, MC_CAMPAIGN_RUNNING},
    {"SUSPEND", MC_CAMPAIGN_RUNNING, MC_CAMPAIGN_SUSPENDED},
    {"RESUME", MC_CAMPAIGN_SUSPENDED, MC_CAMPAIGN_RUNNING},
};
enum { STEPS = sizeof steps / sizeof steps[0] };

static mc_err update_campaign(control_call *call, mc_why *why)
{
  mc_campaign g;
  mc_slice action = control_text(call->in, "action"), description = control_text(call->in, "description"), dimensions;
  size_t step = 0;
  MC_TRY(find(call, control_text(call->in, "name"), &g, why));
  while (step < STEPS && !mc_slice_eq_str(action, steps[step].action))
    step++;
  campaign_edit edit = {.from = step < STEPS ? (int)steps[step].from : -1, .to = step < STEPS ? (int)steps[step].to : -1};
  if (json_object_get(call->in, "description"))
    edit.description = &description;
  if (json_object_get(call->in, "dataExtraDimensions"))
    edit.dimensions = &dimensions;
  MC_TRY(read_list(call, "dataExtraDimensions", &dimensions));
  mc_err err = campaign_change(call->c, call->tenant, g.id, &edit, call->arena, why);
  if (err == MC_ERR_CONFLICT)
    return control_conflict(call, "campaign", g.name, why, "%s needs a campaign that is %s, and %.*s is %s", steps[step].action, status_name[steps[step].from], MC_FMT(g.name),
                            edit.status == MC_CAMPAIGN_ENDED ? "over" : status_name[edit.status]);
  if (err == MC_ERR_NOT_FOUND && !why->err) /* it went meanwhile */
    return control_not_found(call, "campaign", g.name, why);
  MC_TRY(blame(call, g.name, err, why));
  write_name(call, g.name);
  mc_json_str_field(call->out, "status", status_name[edit.status]);
  return MC_OK;
}

/* ---- lists ---- */

static int by_name(const void *a, const void *b) { return mc_slice_compare(((const mc_campaign *)a)->name, ((const mc_campaign *)b)->name); }

/* Those behind the page's beginning, by name; only what a summary shows is copied. */
static mc_err summaries(control_call *call, mc_slice after, mc_campaign **out, size_t *count)
{
  mc_slice status = control_text(call->in, "status");
  mc_err err = MC_OK;
  *count = 0;
  pthread_mutex_lock(&call->c->lock);
  *out = mc_arena_array(call->arena, call->c->campaign.len, sizeof **out);
  for (size_t i = 0; i < call->c->campaign.len && *out && !err; i++) {
    const mc_campaign *g = &call->c->campaign.at[i]->c;
    if (g->tenant != call->tenant || mc_slice_compare(g->name, after) <= 0 || (status.len && !mc_slice_eq_str(status, status_name[g->status])))
      continue;
    mc_campaign *x = &(*out)[(*count)++];
    *x = *g;
    mc_slice *text[] = {&x->name, &x->description, &x->catalog, &x->target_kind, &x->target};
    for (size_t k = 0; k < sizeof text / sizeof text[0] && !err; k++)
      err = mc_arena_copy(call->arena, *text[k], text[k]);
  }
  pthread_mutex_unlock(&call->c->lock);
  if (!*out)
    return MC_ERR_MEMORY;
  if (*count > 1)
    qsort(*out, *count, sizeof **out, by_name);
  return err;
}

static mc_err list_campaigns(control_call *call, mc_why *why)
{
  control_page page;
  mc_campaign *list;
  size_t count;
  MC_TRY(control_page_of(call, &page, why));
  MC_TRY(summaries(call, page.after, &list, &count));
  mc_json_key(call->out, "campaignSummaries");
  mc_json_array(call->out);
  for (size_t i = 0; i < count && i < page.limit; i++) {
    mc_json_object(call->out);
    write_head(call, &list[i]);
    mc_json_object_end(call->out);
  }
  mc_json_array_end(call->out);
  if (count > page.limit)
    control_page_next(call, list[page.limit - 1].name);
  return MC_OK;
}

static mc_err get_vehicle_status(control_call *call, mc_why *why)
{
  control_page page;
  mc_vehicle vehicle;
  mc_vehicle_campaign *list;
  mc_vehicle_agent agent;
  size_t count, shown = 0;
  mc_slice name = control_text(call->in, "vehicleName"), last = {0};
  MC_TRY(control_page_of(call, &page, why));
  if (mc_registry_vehicle_find(call->c->config.registry, call->tenant, name, &vehicle))
    return control_not_found(call, "vehicle", name, why);
  MC_TRY(mc_campaign_of_vehicle(call->c, call->tenant, vehicle.id, call->arena, &list, &count, &agent, why));
  mc_json_key(call->out, "campaigns");
  mc_json_array(call->out);
  bool more = false;
  for (size_t i = 0; i < count && !more; i++) {
    if (mc_slice_compare(list[i].name, page.after) <= 0 || mc_slice_eq(list[i].name, last))
      continue; /* one that is made anew stands before the one that is going */
    more = shown == page.limit;
    if (more)
      break;
    shown++;
    last = list[i].name;
    mc_json_object(call->out);
    mc_json_text_field(call->out, "campaignName", list[i].name);
    mc_json_text_field(call->out, "vehicleName", name);
    mc_json_text_field(call->out, "status", list[i].at.status);
    mc_json_object_end(call->out);
  }
  mc_json_array_end(call->out);
  if (more)
    control_page_next(call, last);
  return MC_OK;
}

const control_operation control_campaign[] = {
    {{"CreateCampaign", "campaign:write", true}, create_campaign}, {{"DeleteCampaign", "campaign:write", true}, delete_campaign},
    {{"GetCampaign", "campaign:read", false}, get_campaign},       {{"GetVehicleStatus", "campaign:read", false}, get_vehicle_status},
    {{"ListCampaigns", "campaign:read", false}, list_campaigns},   {{"UpdateCampaign", "campaign:write", true}, update_campaign},
};
const size_t control_campaign_count = sizeof control_campaign / sizeof control_campaign[0];
