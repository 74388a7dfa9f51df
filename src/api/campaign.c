/* Campaigns. */
#include <stdio.h>
#include <stdlib.h>

#include "api/inside.h"

static const char *const status_name[] = {"draft", "running", "suspended", "ended"};

static void write_collect(mc_json *j, const mc_campaign *x)
{
  mc_json_key(j, "signals");
  mc_json_array(j);
  for (uint32_t i = 0; i < x->signal_count; i++) {
    mc_json_object(j);
    mc_json_text_field(j, "fqn", x->signal[i].fqn);
    mc_json_uint_field(j, "max_samples", x->signal[i].max_samples);
    mc_json_uint_field(j, "min_period_ms", x->signal[i].min_period_ms);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
}

static mc_err would_run_on(api_call *c, const mc_campaign *x, mc_campaign_tally *out)
{
  mc_campaign_reach *part;
  size_t n;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)64 << 20);
  *out = (mc_campaign_tally){0};
  MC_TRY(mc_campaign_reach_of(c->api->config.campaigns, x, &arena, &part, &n, &c->why));
  for (size_t i = 0; i < n; i++)
    out->vehicles += part[i].reached ? part[i].vehicles : 0;
  return MC_OK;
}

static const char *const amount_name[] = {"messages", "bytes", "samples"};

static void write_amount(mc_json *j, const char *key, const mc_campaign_amount *a)
{
  const uint64_t value[] = {a->messages, a->bytes, a->samples};
  if (!value[0] && !value[1] && !value[2])
    return;
  mc_json_key(j, key);
  mc_json_object(j);
  for (int i = 0; i < 3; i++)
    if (value[i])
      mc_json_uint_field(j, amount_name[i], value[i]);
  mc_json_object_end(j);
}

static void write_caps(mc_json *j, const mc_campaign *x)
{
  const mc_campaign_amount *v = &x->cap_vehicle, *a = &x->cap_all;
  if (!(v->messages || v->bytes || v->samples || a->messages || a->bytes || a->samples))
    return;
  mc_json_key(j, "caps");
  mc_json_object(j);
  write_amount(j, "vehicle", v);
  write_amount(j, "all", a);
  mc_json_object_end(j);
}

static void write_rollout(mc_json *j, const mc_campaign *x)
{
  if (x->rollout.len) {
    mc_json_key(j, "rollout");
    mc_json_raw(j, x->rollout);
    mc_json_str_field(j, "phase", x->phase == MC_CAMPAIGN_REST ? "rest" : "first");
  }
  if (x->stopped.len)
    mc_json_text_field(j, "stopped", x->stopped);
}

static mc_err write_campaign(api_call *c, const mc_campaign *x)
{
  mc_campaign_tally t;
  bool idle = x->status == MC_CAMPAIGN_DRAFT || x->status == MC_CAMPAIGN_SUSPENDED;
  MC_TRY(idle ? would_run_on(c, x, &t) : mc_campaign_tally_of(c->api->config.campaigns, c->who.tenant, x->id, &t, &c->why));
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_uint_field(j, "id", x->id);
  mc_json_text_field(j, "name", x->name);
  mc_json_str_field(j, "status", status_name[x->status]);
  mc_json_text_field(j, "sync_id", x->sync_id);
  json_time(j, "created", x->created_us);
  json_time(j, "updated", x->updated_us);
  mc_json_uint_field(j, "vehicles", t.vehicles);
  mc_json_uint_field(j, "healthy", t.healthy);
  mc_json_uint_field(j, "pending", t.pending);
  mc_json_uint_field(j, "refused", t.refused);
  mc_json_text_field(j, "description", x->description);
  mc_json_text_field(j, "target_kind", x->target_kind);
  mc_json_text_field(j, "target", x->target);
  mc_json_str_field(j, "kind", x->condition_based ? "condition" : "time");
  if (x->condition_based) {
    mc_json_text_field(j, "expression", x->expression);
    mc_json_uint_field(j, "min_interval_ms", x->min_interval_ms);
    mc_json_bool_field(j, "rising_edge", x->rising_edge);
  } else {
    mc_json_uint_field(j, "period_ms", x->period_ms);
  }
  mc_json_uint_field(j, "after_ms", x->after_ms);
  mc_json_bool_field(j, "compress", x->compress);
  mc_json_bool_field(j, "persist", x->persist);
  mc_json_uint_field(j, "priority", x->priority);
  json_time_if(j, "start", x->start_us);
  json_time_if(j, "expiry", x->expiry_us);
  write_caps(j, x);
  write_rollout(j, x);
  write_collect(j, x);
  destinations_write(j, x->destinations, x->dimensions);
  mc_json_object_end(j);
  return MC_OK;
}

static mc_err get_campaign(api_call *c, mc_campaign *out)
{
  uint32_t id;
  MC_TRY(call_id(c, 0, "campaign", &id));
  if (mc_campaign_get(c->api->config.campaigns, c->who.tenant, id, &c->arena, out))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no campaign with id %u", id);
  return MC_OK;
}

mc_err api_op_campaign_list(api_call *c)
{
  mc_campaign *list;
  size_t n;
  MC_TRY(mc_campaign_list(c->api->config.campaigns, c->who.tenant, &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    MC_TRY(write_campaign(c, &list[i]));
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_campaign_get(api_call *c)
{
  mc_campaign x;
  MC_TRY(get_campaign(c, &x));
  return write_campaign(c, &x);
}

static mc_err read_collect(api_call *c, mc_campaign *x)
{
  json_t *list = json_object_get(c->body, "signals");
  x->signal_count = (uint32_t)json_array_size(list);
  x->signal = mc_arena_array(&c->arena, x->signal_count, sizeof *x->signal);
  if (!x->signal)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for %u signals", x->signal_count);
  for (uint32_t i = 0; i < x->signal_count; i++) {
    json_t *item = json_array_get(list, i), *fqn = json_object_get(item, "fqn");
    x->signal[i].fqn = mc_slice_of(json_string_value(fqn), json_string_length(fqn));
    x->signal[i].max_samples = (uint32_t)json_integer_value(json_object_get(item, "max_samples"));
    x->signal[i].min_period_ms = (uint32_t)json_integer_value(json_object_get(item, "min_period_ms"));
  }
  return MC_OK;
}

static mc_campaign_amount read_amount(json_t *o)
{
  uint64_t value[3];
  for (int i = 0; i < 3; i++)
    value[i] = (uint64_t)json_integer_value(json_object_get(o, amount_name[i]));
  return (mc_campaign_amount){value[0], value[1], value[2]};
}

/* What is not said stays as it is, so that who knows nothing of it does not take it away; {} takes it away. */
static mc_err read_steering(api_call *c, mc_campaign *x)
{
  json_t *caps = json_object_get(c->body, "caps"), *plan = json_object_get(c->body, "rollout");
  if (caps) {
    x->cap_vehicle = read_amount(json_object_get(caps, "vehicle"));
    x->cap_all = read_amount(json_object_get(caps, "all"));
  }
  if (!plan)
    return MC_OK;
  char *text = json_object_size(plan) ? json_dumps(plan, JSON_COMPACT) : NULL;
  x->rollout = mc_slice_str(text ? mc_arena_str(&c->arena, mc_slice_str(text)) : NULL);
  bool lost = json_object_size(plan) && !x->rollout.len;
  free(text);
  return lost ? mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for a rollout") : MC_OK;
}

/* What belongs together is asked for together; the rest is checked where the campaign is compiled. */
static mc_err read_campaign(api_call *c, mc_campaign *x)
{
  x->tenant = c->who.tenant;
  x->description = body_text(c, "description");
  x->target_kind = body_text(c, "target_kind");
  x->target = body_text(c, "target");
  x->condition_based = mc_slice_eq_str(body_text(c, "kind"), "condition");
  x->period_ms = (uint32_t)body_int(c, "period_ms", x->condition_based ? 0 : 10000);
  x->expression = body_text(c, "expression");
  x->min_interval_ms = (uint32_t)body_int(c, "min_interval_ms", 0);
  x->rising_edge = body_bool(c, "rising_edge", false);
  x->after_ms = (uint32_t)body_int(c, "after_ms", 0);
  x->compress = body_bool(c, "compress", true);
  x->persist = body_bool(c, "persist", false);
  x->priority = (uint32_t)body_int(c, "priority", 0);
  MC_TRY(body_time(c, "start", &x->start_us));
  MC_TRY(body_time(c, "expiry", &x->expiry_us));
  if (!mc_slice_eq_str(x->target_kind, "all") && !x->target.len)
    return call_refuse(c, "/target", "name the %.*s that the campaign is for", MC_FMT(x->target_kind));
  if (x->condition_based && !x->expression.len)
    return call_refuse(c, "/expression", "a campaign with a condition needs its expression");
  if (x->expiry_us && x->expiry_us <= x->start_us)
    return call_refuse(c, "/expiry", "expiry must be later than start");
  if (body_has(c, "destinations") || body_has(c, "dimensions"))
    MC_TRY(destinations_read(c, &x->destinations, &x->dimensions));
  MC_TRY(read_steering(c, x));
  return read_collect(c, x);
}

/* The module says "signals[1]: ..." or "expression, byte 7: ...": the same place as a path, and the request's fault, not a missing page. */
static mc_err blame_field(api_call *c, mc_err err)
{
  char name[40];
  const char *text = c->why.text;
  size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
  if (!err || !n || n >= sizeof name || !strchr(":,[.", text[n]))
    return err;
  mc_slice_to_str(mc_slice_of(text, n), name, sizeof name);
  for (size_t i = 0; i < c->op->body->field_count; i++)
    if (!strcmp(c->op->body->field[i].name, name)) {
      if (text[n] == '[')
        snprintf(c->field, sizeof c->field, "/%s/%lu/fqn", name, strtoul(text + n + 1, NULL, 10));
      else if (text[n] == '.')
        snprintf(c->field, sizeof c->field, "/%s/%.*s", name, (int)strspn(text + n + 1, "abcdefghijklmnopqrstuvwxyz_"), text + n + 1);
      else
        snprintf(c->field, sizeof c->field, "/%s", name);
      if (err == MC_ERR_NOT_FOUND || err == MC_ERR_UNSUPPORTED)
        c->status = 400;
    }
  return err;
}

mc_err api_op_campaign_create(api_call *c)
{
  mc_campaign x = {0}, made;
  x.name = body_text(c, "name");
  MC_TRY(read_campaign(c, &x));
  MC_TRY(blame_field(c, mc_campaign_create(c->api->config.campaigns, &x, body_bool(c, "start_now", false), &c->arena, &c->why)));
  MC_TRY(mc_campaign_get(c->api->config.campaigns, c->who.tenant, x.id, &c->arena, &made));
  return write_campaign(c, &made);
}

mc_err api_op_campaign_update(api_call *c)
{
  mc_campaign x, made;
  MC_TRY(get_campaign(c, &x));
  MC_TRY(read_campaign(c, &x));
  MC_TRY(blame_field(c, mc_campaign_update(c->api->config.campaigns, &x, &c->arena, &c->why)));
  MC_TRY(mc_campaign_get(c->api->config.campaigns, c->who.tenant, x.id, &c->arena, &made));
  return write_campaign(c, &made);
}

mc_err api_op_campaign_caps_set(api_call *c)
{
  mc_campaign x;
  MC_TRY(get_campaign(c, &x));
  x.cap_vehicle = read_amount(json_object_get(c->body, "vehicle"));
  x.cap_all = read_amount(json_object_get(c->body, "all"));
  MC_TRY(mc_campaign_update(c->api->config.campaigns, &x, &c->arena, &c->why));
  MC_TRY(get_campaign(c, &x));
  return write_campaign(c, &x);
}

mc_err api_op_campaign_status(api_call *c)
{
  mc_campaign x;
  mc_slice wanted = body_text(c, "status");
  MC_TRY(get_campaign(c, &x));
  int status = MC_CAMPAIGN_RUNNING;
  while (status < MC_CAMPAIGN_ENDED && !mc_slice_eq_str(wanted, status_name[status]))
    status++;
  MC_TRY(mc_campaign_set_status(c->api->config.campaigns, c->who.tenant, x.id, (mc_campaign_status)status, &c->why));
  MC_TRY(get_campaign(c, &x));
  return write_campaign(c, &x);
}

mc_err api_op_campaign_delete(api_call *c)
{
  mc_campaign x;
  MC_TRY(get_campaign(c, &x));
  return mc_campaign_delete(c->api->config.campaigns, c->who.tenant, x.id, &c->why);
}

static void write_standing(mc_json *j, const mc_campaign_vehicle *x)
{
  if (x->slower > 1)
    mc_json_uint_field(j, "slower", x->slower);
  if (x->former)
    mc_json_bool_field(j, "former", true);
  mc_json_text_field(j, "state", x->state);
  mc_json_text_field(j, "status", x->status);
  mc_json_text_field(j, "reason", x->reason);
  if (x->text.len)
    mc_json_text_field(j, "text", x->text);
}

mc_err api_op_campaign_vehicles(api_call *c)
{
  mc_campaign x;
  mc_campaign_vehicle *list;
  size_t n, shown = 0, limit = (size_t)query_int(c, "limit", 200);
  mc_slice status = query_slice(c, "status");
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)256 << 20);
  MC_TRY(get_campaign(c, &x));
  MC_TRY(mc_campaign_vehicles(c->api->config.campaigns, c->who.tenant, x.id, status.len ? 1000000 : limit, &arena, &list, &n, &c->why));
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < n && shown < limit; i++) {
    mc_vehicle v;
    if ((status.len && !mc_slice_eq(list[i].status, status)) || mc_registry_vehicle_get(c->api->config.registry, c->who.tenant, list[i].vehicle, &v))
      continue;
    shown++;
    mc_json_object(j);
    mc_json_uint_field(j, "vehicle", list[i].vehicle);
    mc_json_str_field(j, "name", v.name);
    write_standing(j, &list[i]);
    json_time_if(j, "changed", list[i].changed_us);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

static void write_agent(mc_json *j, const mc_vehicle_agent *a)
{
  mc_json_key(j, "agent");
  mc_json_object(j);
  mc_json_str_field(j, "kind", a->ours ? "motorcade" : "other");
  json_time(j, "checkin", a->checkin_us);
  mc_json_int_field(j, "clock_skew_ms", a->skew_ms);
  if (a->manifest.len)
    mc_json_text_field(j, "manifest", a->manifest);
  if (a->wanted_manifest.len)
    mc_json_text_field(j, "wanted_manifest", a->wanted_manifest);
  mc_json_uint_field(j, "documents", a->reported);
  mc_json_uint_field(j, "unknown", a->unknown);
  mc_json_uint_field(j, "dropped", a->dropped);
  if (a->first_unknown.len)
    mc_json_text_field(j, "first_unknown", a->first_unknown);
  mc_json_object_end(j);
}

mc_err api_op_vehicle_campaigns(api_call *c)
{
  mc_vehicle v;
  mc_vehicle_campaign *list;
  mc_vehicle_agent agent;
  size_t n;
  mc_json *j = &c->json;
  MC_TRY(call_vehicle(c, &v));
  MC_TRY(mc_campaign_of_vehicle(c->api->config.campaigns, c->who.tenant, v.id, &c->arena, &list, &n, &agent, &c->why));
  mc_json_object(j);
  if (agent.heard)
    write_agent(j, &agent);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++) {
    mc_json_object(j);
    mc_json_uint_field(j, "id", list[i].id);
    mc_json_text_field(j, "name", list[i].name);
    write_standing(j, &list[i].at);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_key(j, "troubles");
  mc_json_array(j);
  for (size_t i = 0; i < agent.trouble_count; i++) {
    mc_json_object(j);
    mc_json_text_field(j, "kind", agent.trouble[i].kind);
    mc_json_uint_field(j, "count", agent.trouble[i].count);
    json_time(j, "last", agent.trouble[i].last_us);
    mc_json_text_field(j, "text", agent.trouble[i].text);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_campaign_reach(api_call *c)
{
  mc_campaign x = {.tenant = c->who.tenant, .target_kind = body_text(c, "target_kind"), .target = body_text(c, "target"), .expression = body_text(c, "expression")};
  json_t *list = json_object_get(c->body, "signals");
  mc_campaign_reach *part;
  size_t n;
  uint64_t targeted = 0, reached = 0;
  x.signal = mc_arena_array(&c->arena, json_array_size(list), sizeof *x.signal);
  if (!x.signal)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for %zu signals", json_array_size(list));
  for (; x.signal_count < json_array_size(list); x.signal_count++) {
    json_t *fqn = json_array_get(list, x.signal_count);
    x.signal[x.signal_count].fqn = mc_slice_of(json_string_value(fqn), json_string_length(fqn));
  }
  MC_TRY(mc_campaign_reach_of(c->api->config.campaigns, &x, &c->arena, &part, &n, &c->why));
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_key(j, "parts");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++) {
    targeted += part[i].vehicles;
    reached += part[i].reached ? part[i].vehicles : 0;
    mc_json_object(j);
    mc_json_text_field(j, "manifest", part[i].manifest);
    mc_json_uint_field(j, "vehicles", part[i].vehicles);
    mc_json_bool_field(j, "reached", part[i].reached);
    mc_json_uint_field(j, "missing", part[i].missing);
    mc_json_key(j, "names");
    mc_json_array(j);
    for (size_t k = 0; k < part[i].missing && k < MC_CAMPAIGN_REACH_NAMES; k++)
      mc_json_text(j, part[i].name[k]);
    mc_json_array_end(j);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_uint_field(j, "targeted", targeted);
  mc_json_uint_field(j, "vehicles", reached);
  mc_json_object_end(j);
  return MC_OK;
}

/* "... byte 17 ..." of an error text; -1 when it names none. */
static int64_t byte_in(const char *text)
{
  const char *at = strstr(text, "byte ");
  return at && at[5] >= '0' && at[5] <= '9' ? strtoll(at + 5, NULL, 10) : -1;
}

mc_err api_op_expression_check(api_call *c)
{
  uint32_t depth = 0;
  mc_slice *fqn = NULL;
  size_t n = 0;
  mc_why why = {0};
  mc_err err = mc_campaign_check_expression(c->api->config.campaigns, c->who.tenant, body_text(c, "expression"), &depth, &c->arena, &fqn, &n, &why);
  if (err == MC_ERR_MEMORY)
    return mc_err_set(&c->why, err, "out of memory");
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_bool_field(j, "valid", err == MC_OK);
  if (err) {
    mc_json_str_field(j, "error", why.text);
    if (byte_in(why.text) >= 0)
      mc_json_int_field(j, "at", byte_in(why.text));
  } else {
    mc_json_uint_field(j, "depth", depth);
    mc_json_key(j, "signals");
    mc_json_array(j);
    for (size_t i = 0; i < n; i++)
      mc_json_text(j, fqn[i]);
    mc_json_array_end(j);
  }
  mc_json_object_end(j);
  return MC_OK;
}
