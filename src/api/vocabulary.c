/* The signal catalog and decoder manifests. */
#include <stdlib.h>

#include "api/inside.h"
#include "base/clock.h"

void json_signal(mc_json *j, const mc_signal_info *s)
{
  mc_json_object(j);
  mc_json_uint_field(j, "id", s->id);
  mc_json_text_field(j, "fqn", s->fqn);
  mc_json_text_field(j, "unit", s->unit);
  mc_json_text_field(j, "description", s->description);
  mc_json_text_field(j, "type", s->type);
  if (s->has_min)
    mc_json_double_field(j, "min", s->min);
  if (s->has_max)
    mc_json_double_field(j, "max", s->max);
  if (s->value_count) {
    mc_json_key(j, "values");
    mc_json_array(j);
    for (uint32_t i = 0; i < s->value_count; i++) {
      mc_json_object(j);
      mc_json_int_field(j, "value", s->value_number[i]);
      mc_json_text_field(j, "name", s->value_name[i]);
      mc_json_object_end(j);
    }
    mc_json_array_end(j);
  }
  mc_json_object_end(j);
}

mc_err call_signal(api_call *c, uint32_t signal, mc_signal_info *out)
{
  if (mc_campaign_signal(c->api->config.campaigns, c->who.tenant, signal, &c->arena, out) == MC_OK)
    return MC_OK;
  mc_slice fqn = mc_registry_signal_fqn(c->api->config.registry, c->who.tenant, signal);
  if (!fqn.len)
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no signal with id %u", signal);
  *out = (mc_signal_info){.id = signal, .fqn = fqn, .unit = MC_LIT(""), .description = MC_LIT(""), .type = MC_LIT("")};
  return MC_OK;
}

mc_err api_op_signal_get(api_call *c)
{
  uint32_t id;
  mc_signal_info s;
  MC_TRY(call_id(c, 0, "signal", &id));
  MC_TRY(call_signal(c, id, &s));
  json_signal(&c->json, &s);
  return MC_OK;
}

mc_err api_op_signal_list(api_call *c)
{
  size_t limit = (size_t)query_int(c, "limit", 100), n;
  mc_signal_info *list;
  MC_TRY(mc_campaign_signals(c->api->config.campaigns, c->who.tenant, query_slice(c, "after"), query_slice(c, "filter"), limit + 1, &c->arena, &list, &n, &c->why));
  bool more = n > limit;
  if (more)
    n = limit;
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    json_signal(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  if (more)
    mc_json_text_field(&c->json, "next", list[n - 1].fqn);
  mc_json_object_end(&c->json);
  return MC_OK;
}

static int by_fqn(const void *a, const void *b)
{
  return mc_slice_compare(((const mc_signal_info *)a)->fqn, ((const mc_signal_info *)b)->fqn);
}

static int by_number(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

/* Writes the facts of all these signals as the member "items", ordered by name, each once. */
static mc_err write_signals(api_call *c, uint32_t *id, size_t n)
{
  qsort(id, n, sizeof *id, by_number);
  mc_signal_info *list = mc_arena_array(&c->arena, n, sizeof *list);
  if (!list)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for %zu signals", n);
  size_t kept = 0;
  for (size_t i = 0; i < n; i++)
    if ((i == 0 || id[i] != id[i - 1]) && call_signal(c, id[i], &list[kept]) == MC_OK)
      kept++;
  qsort(list, kept, sizeof *list, by_fqn);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < kept; i++)
    json_signal(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  return MC_OK;
}

mc_err api_op_vehicle_signals(api_call *c)
{
  const int64_t month_us = INT64_C(30) * 24 * 3600 * 1000000;
  mc_vehicle v;
  uint32_t *sent = NULL, *can = NULL;
  size_t sent_count = 0, can_count = 0;
  MC_TRY(call_vehicle(c, &v));
  int64_t now = mc_clock_wall_us();
  MC_TRY(mc_store_signals(c->api->config.store, c->who.tenant, v.id, now - month_us, now + month_us, &c->arena, &sent, &sent_count, &c->why));
  if (v.manifest[0]) {
    mc_err err = mc_campaign_manifest_signals(c->api->config.campaigns, c->who.tenant, mc_slice_str(v.manifest), &c->arena, &can, &can_count, &c->why);
    if (err && err != MC_ERR_NOT_FOUND) /* a manifest that is gone decodes nothing; what was sent stays */
      return err;
  }
  uint32_t *all = mc_arena_array(&c->arena, sent_count + can_count, sizeof *all);
  if (!all)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for the list of signals");
  if (sent_count)
    memcpy(all, sent, sent_count * sizeof *all);
  if (can_count)
    memcpy(all + sent_count, can, can_count * sizeof *all);
  mc_json_object(&c->json);
  MC_TRY(write_signals(c, all, sent_count + can_count));
  mc_json_object_end(&c->json);
  return MC_OK;
}

/* ---- manifests ---- */

mc_err api_op_manifest_list(api_call *c)
{
  mc_manifest_info *list;
  size_t n;
  MC_TRY(mc_campaign_manifests(c->api->config.campaigns, c->who.tenant, &c->arena, &list, &n, &c->why));
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++) {
    mc_json_object(j);
    mc_json_text_field(j, "name", list[i].name);
    mc_json_text_field(j, "sync_id", list[i].sync_id);
    mc_json_uint_field(j, "signals", list[i].signals);
    mc_json_uint_field(j, "vehicles", list[i].vehicles);
    json_time(j, "created", list[i].created_us);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_manifest_signals(api_call *c)
{
  uint32_t *id;
  size_t n;
  MC_TRY(mc_campaign_manifest_signals(c->api->config.campaigns, c->who.tenant, c->param[0], &c->arena, &id, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_text_field(&c->json, "name", c->param[0]);
  MC_TRY(write_signals(c, id, n));
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_manifest_import(api_call *c)
{
  mc_dbc_import_report *report = mc_arena_alloc(&c->arena, sizeof *report);
  if (!report)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory");
  mc_slice name = body_text(c, "name");
  mc_dbc_import import = {.tenant = c->who.tenant, .name = name, .dbc_text = body_text(c, "dbc"), .dbc_name = "dbc", .interface_id = body_text(c, "interface"), .map_json = body_text(c, "map")};
  MC_TRY(mc_campaign_import_dbc(c->api->config.campaigns, &import, report, &c->why));
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_text_field(j, "name", name);
  mc_json_str_field(j, "sync_id", report->manifest_sync_id);
  mc_json_uint_field(j, "signals", report->signals);
  mc_json_uint_field(j, "messages", report->messages);
  mc_json_uint_field(j, "multiplexed", report->multiplexed);
  mc_json_uint_field(j, "ieee", report->ieee);
  mc_json_key(j, "warnings");
  mc_json_array(j);
  mc_slice text = mc_slice_str(report->first_warnings);
  for (size_t at = 0; at < text.len;) {
    size_t end = mc_slice_find(text, '\n', at);
    if (end > at)
      mc_json_text(j, mc_slice_sub(text, at, end - at));
    at = end + 1;
  }
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_catalog_import(api_call *c)
{
  mc_catalog catalog = {0};
  uint32_t added, kept;
  MC_TRY(mc_catalog_read_vss_json(body_text(c, "vss"), &catalog, &c->why));
  mc_err err = mc_campaign_import_catalog(c->api->config.campaigns, c->who.tenant, &catalog, &added, &kept, &c->why);
  mc_catalog_free(&catalog);
  if (err)
    return err;
  mc_json *j = &c->json;
  mc_json_object(j);
  mc_json_uint_field(j, "added", added);
  mc_json_uint_field(j, "kept", kept);
  mc_json_object_end(j);
  return MC_OK;
}
