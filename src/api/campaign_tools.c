/* Tried before it is sent: a campaign on what is stored, a decoder manifest against another. And what it came to. */
#include "api/inside.h"

/* ---- dry run ---- */

static mc_err read_vehicles(api_call *c, mc_dry_run_ask *ask)
{
  json_t *list = json_object_get(c->body, "vehicles");
  size_t n = json_array_size(list);
  mc_slice *name = mc_arena_array(&c->arena, n ? n : 1, sizeof *name);
  if (!name)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for %zu vehicles", n);
  for (size_t i = 0; i < n; i++) {
    json_t *item = json_array_get(list, i);
    name[i] = mc_slice_of(json_string_value(item), json_string_length(item));
  }
  ask->vehicle = name;
  ask->vehicle_count = n;
  return MC_OK;
}

static void write_counts(mc_json *j, uint64_t triggers, uint64_t messages, uint64_t rows, uint64_t bytes)
{
  mc_json_uint_field(j, "triggers", triggers);
  mc_json_uint_field(j, "messages", messages);
  mc_json_uint_field(j, "rows", rows);
  mc_json_uint_field(j, "bytes", bytes);
}

static void write_vehicle(mc_json *j, const mc_dry_run_vehicle *v)
{
  mc_json_object(j);
  mc_json_uint_field(j, "vehicle", v->vehicle);
  mc_json_text_field(j, "name", v->name);
  mc_json_text_field(j, "manifest", v->manifest);
  mc_json_text_field(j, "state", v->state);
  if (v->text.len)
    mc_json_text_field(j, "text", v->text);
  mc_json_uint_field(j, "signals", v->signals);
  mc_json_uint_field(j, "with_data", v->with_data);
  mc_json_uint_field(j, "samples_read", v->samples_read);
  mc_json_uint_field(j, "texts", v->texts);
  write_counts(j, v->triggers, v->messages, v->rows, v->bytes);
  json_time(j, "covered", v->covered_us);
  mc_json_object_end(j);
}

static void write_lists(mc_json *j, const mc_dry_run_report *r)
{
  mc_json_key(j, "vehicles");
  mc_json_array(j);
  for (size_t i = 0; i < r->vehicle_count; i++)
    write_vehicle(j, &r->vehicle[i]);
  mc_json_array_end(j);
  mc_json_key(j, "trigger_list");
  mc_json_array(j);
  for (size_t i = 0; i < r->trigger_count; i++) {
    mc_json_object(j);
    mc_json_uint_field(j, "vehicle", r->trigger[i].vehicle);
    json_time(j, "time", r->trigger[i].time_us);
    mc_json_uint_field(j, "messages", r->trigger[i].messages);
    mc_json_uint_field(j, "rows", r->trigger[i].rows);
    mc_json_uint_field(j, "bytes", r->trigger[i].bytes);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
}

static void write_report(mc_json *j, const mc_dry_run_report *r, const char *currency)
{
  mc_json_object(j);
  mc_json_bool_field(j, "complete", r->complete);
  mc_json_uint_field(j, "targeted", r->targeted);
  mc_json_double_field(j, "days", r->days);
  mc_json_uint_field(j, "samples_read", r->samples_read);
  write_counts(j, r->triggers, r->messages, r->rows, r->bytes);
  mc_json_double_field(j, "money", r->money);
  mc_json_str_field(j, "currency", currency);
  mc_json_double_field(j, "messages_a_day", r->messages_a_day);
  mc_json_double_field(j, "rows_a_day", r->rows_a_day);
  mc_json_double_field(j, "bytes_a_day", r->bytes_a_day);
  mc_json_double_field(j, "money_a_day", r->money_a_day);
  write_lists(j, r);
  mc_json_object_end(j);
}

/* As asked, else as set. */
static double price(const api_call *c, const char *key, double set)
{
  json_t *asked = json_object_get(c->body, key);
  return asked ? json_number_value(asked) : set;
}

mc_err api_op_campaign_dry_run(api_call *c)
{
  uint32_t id;
  mc_campaign campaign;
  mc_dry_run_report report;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)64 << 20);
  mc_dry_run_ask ask = {.campaign = &campaign,
                        .store = c->api->config.store,
                        .engine = c->api->config.dry_run,
                        .most = (uint32_t)body_int(c, "most", 0),
                        .budget_us = body_int(c, "seconds", 10) * 1000000,
                        .triggers = (uint32_t)body_int(c, "triggers", 100),
                        .per_mb = price(c, "per_mb", c->api->config.price.per_mb),
                        .per_message = price(c, "per_message", c->api->config.price.per_message)};
  MC_TRY(call_id(c, 0, "campaign", &id));
  if (mc_campaign_get(c->api->config.campaigns, c->who.tenant, id, &c->arena, &campaign))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no campaign with id %u", id);
  if (!ask.engine)
    return mc_err_set(&c->why, MC_ERR_UNSUPPORTED, "dry runs are not possible here");
  MC_TRY(body_time(c, "from", &ask.from_us));
  MC_TRY(body_time(c, "to", &ask.to_us));
  if (ask.to_us <= ask.from_us)
    return call_refuse(c, "/to", "must be later than from");
  MC_TRY(read_vehicles(c, &ask));
  MC_TRY(mc_campaign_dry_run(c->api->config.campaigns, &ask, &arena, &report, &c->why));
  write_report(&c->json, &report, c->api->config.price.currency);
  return MC_OK;
}

/* ---- manifests ---- */

static void write_difference(mc_json *j, const mc_manifest_difference *d)
{
  static const char *const kind[] = {"added", "removed", "changed"};
  mc_json_object(j);
  mc_json_str_field(j, "kind", kind[d->kind]);
  mc_json_uint_field(j, "signal", d->signal);
  mc_json_text_field(j, "fqn", d->fqn);
  mc_json_text_field(j, "place", d->place);
  mc_json_key(j, "fields");
  mc_json_array(j);
  for (size_t i = 0; i < d->field_count; i++) {
    mc_json_object(j);
    mc_json_str_field(j, "name", d->field[i].name);
    mc_json_text_field(j, "before", d->field[i].before);
    mc_json_text_field(j, "after", d->field[i].after);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_object_end(j);
}

mc_err api_op_decoder_compare(api_call *c)
{
  mc_manifest_comparison m;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)512 << 20);
  MC_TRY(mc_campaign_manifest_compare(c->api->config.campaigns, c->who.tenant, c->param[0], query_slice(c, "with"), &arena, &m, &c->why));
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_text_field(j, "before", m.before);
  mc_json_text_field(j, "after", m.after);
  mc_json_uint_field(j, "same", m.same);
  mc_json_uint_field(j, "added", m.added);
  mc_json_uint_field(j, "removed", m.removed);
  mc_json_uint_field(j, "changed", m.changed);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < m.count; i++)
    write_difference(j, &m.difference[i]);
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

/* ---- cost ---- */

static void write_cost(api_call *c, uint64_t messages, uint64_t bytes, uint64_t samples)
{
  const mc_price *price = &c->api->config.price;
  mc_json *j = &c->json;
  mc_json_uint_field(j, "messages", messages);
  mc_json_uint_field(j, "bytes", bytes);
  mc_json_uint_field(j, "samples", samples);
  mc_json_double_field(j, "money", (double)bytes / 1e6 * price->per_mb + (double)messages * price->per_message);
}

static void write_cost_of_vehicle(api_call *c, const mc_campaign_cost *x)
{
  mc_vehicle v;
  bool there = mc_registry_vehicle_get(c->api->config.registry, c->who.tenant, x->vehicle, &v) == MC_OK;
  mc_json_object(&c->json);
  mc_json_uint_field(&c->json, "vehicle", x->vehicle);
  mc_json_str_field(&c->json, "name", there ? v.name : "");
  write_cost(c, x->messages, x->bytes, x->samples);
  if (x->slower > 1)
    mc_json_uint_field(&c->json, "slower", x->slower);
  mc_json_object_end(&c->json);
}

mc_err api_op_campaign_cost(api_call *c)
{
  static const int64_t day_us = 86400000000LL;
  uint32_t id;
  mc_campaign campaign;
  mc_campaign_costs_report r;
  uint64_t messages = 0, bytes = 0, samples = 0;
  mc_json *j = &c->json;
  MC_TRY(call_id(c, 0, "campaign", &id));
  if (mc_campaign_get(c->api->config.campaigns, c->who.tenant, id, &c->arena, &campaign))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no campaign with id %u", id);
  MC_TRY(mc_campaign_costs(c->api->config.campaigns, c->who.tenant, id, (uint32_t)query_int(c, "days", 7), (size_t)query_int(c, "limit", 100), &c->arena, &r, &c->why));
  mc_json_object(j);
  json_time(j, "from", r.from_day * day_us);
  mc_json_key(j, "days");
  mc_json_array(j);
  for (size_t i = 0; i < r.days; i++) {
    messages += r.day[i].messages;
    bytes += r.day[i].bytes;
    samples += r.day[i].samples;
    mc_json_object(j);
    json_time(j, "day", r.day[i].day * day_us);
    write_cost(c, r.day[i].messages, r.day[i].bytes, r.day[i].samples);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  write_cost(c, messages, bytes, samples);
  mc_json_str_field(j, "currency", c->api->config.price.currency);
  if (r.slower > 1)
    mc_json_uint_field(j, "slower", r.slower);
  mc_json_key(j, "vehicles");
  mc_json_array(j);
  for (size_t i = 0; i < r.vehicles; i++)
    write_cost_of_vehicle(c, &r.vehicle[i]);
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

/* ---- roll-out ---- */

static mc_err show_rollout(api_call *c, uint32_t id)
{
  mc_campaign_rollout r;
  mc_json *j = &c->json;
  MC_TRY(mc_campaign_rollout_of(c->api->config.campaigns, c->who.tenant, id, &c->arena, &r, &c->why));
  mc_json_object(j);
  mc_json_bool_field(j, "staged", r.staged);
  mc_json_str_field(j, "phase", r.phase == MC_CAMPAIGN_REST ? "rest" : "first");
  mc_json_bool_field(j, "ready", r.ready);
  mc_json_text_field(j, "text", r.text);
  mc_json_uint_field(j, "reached", r.reached);
  mc_json_uint_field(j, "sent", r.sent);
  mc_json_uint_field(j, "confirmed", r.confirmed);
  mc_json_uint_field(j, "refused", r.refused);
  mc_json_uint_field(j, "errors", r.errors);
  mc_json_uint_field(j, "silent", r.silent);
  json_time_if(j, "held_since", r.held_us);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_campaign_rollout(api_call *c)
{
  uint32_t id;
  MC_TRY(call_id(c, 0, "campaign", &id));
  return show_rollout(c, id);
}

mc_err api_op_campaign_rollout_set(api_call *c)
{
  uint32_t id;
  MC_TRY(call_id(c, 0, "campaign", &id));
  MC_TRY(mc_campaign_rollout_set(c->api->config.campaigns, c->who.tenant, id, mc_slice_eq_str(body_text(c, "phase"), "rest") ? MC_CAMPAIGN_REST : MC_CAMPAIGN_FIRST, &c->why));
  return show_rollout(c, id);
}
