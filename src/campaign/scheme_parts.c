/* The parts of a scheme that few campaigns have: store and forward, and fetching. They are kept as FleetWise's documents (contract 9.4). */
#include <jansson.h>
#include <stdio.h>

#include "campaign/scheme.h"

enum { FOREIGN_TTL_S = 49 * 86400 };
#define FOREIGN_PARTITION_BYTES 0xFFFFFFFFULL

static json_t *list_of(mc_slice text)
{
  return text.len ? json_loadb((const char *)text.data, text.len, 0, NULL) : NULL;
}

static mc_slice text_of(const json_t *object, const char *key)
{
  return mc_slice_str(json_string_value(json_object_get(object, key)));
}

uint32_t scheme_partition_index(const mc_campaign *g, mc_slice id)
{
  json_t *list = list_of(g->partitions), *item;
  size_t i;
  uint32_t found = 0;
  if (!id.len)
    id = MC_LIT("default");
  json_array_foreach (list, i, item)
    if (mc_slice_eq(text_of(item, "id"), id))
      found = (uint32_t)i;
  json_decref(list);
  return found;
}

/* {unit, value} in its smallest unit; what would not fit becomes the most there is. */
static uint64_t amount(const json_t *o, const char *const *unit, const uint64_t *size)
{
  mc_slice u = text_of(o, "unit");
  int64_t value = json_integer_value(json_object_get(o, "value"));
  uint64_t out = 0;
  for (int i = 0; i < 3; i++)
    if (mc_slice_eq_str(u, unit[i]) && (value <= 0 || __builtin_mul_overflow((uint64_t)value, size[i], &out)))
      out = value <= 0 ? 0 : UINT64_MAX >> 1;
  return out;
}

static mc_err partition(compile_run *r, const json_t *item, size_t index, mc_fw_partition *out, bool *complete)
{
  static const char *const bytes[] = {"MB", "GB", "TB"}, *const times[] = {"HOURS", "DAYS", "WEEKS"};
  static const uint64_t byte_size[] = {1ULL << 20, 1ULL << 30, 1ULL << 40}, seconds[] = {3600, 86400, 604800};
  const json_t *storage = json_object_get(item, "storageOptions");
  char where[100];
  out->maximum_bytes = amount(json_object_get(storage, "maximumSize"), bytes, byte_size);
  if (agent_needs(r->agent, AROUND_PARTITION_SIZE) && out->maximum_bytes > FOREIGN_PARTITION_BYTES)
    out->maximum_bytes = FOREIGN_PARTITION_BYTES;
  uint64_t ttl = amount(json_object_get(storage, "minimumTimeToLive"), times, seconds);
  uint64_t most = agent_needs(r->agent, AROUND_PARTITION_TTL) ? FOREIGN_TTL_S : UINT32_MAX;
  out->minimum_ttl_s = (uint32_t)(ttl < most ? ttl : most);
  MC_TRY(mc_arena_copy(&r->arena, text_of(storage, "storageLocation"), &out->location));
  mc_slice expression;
  MC_TRY(mc_arena_copy(&r->arena, text_of(json_object_get(item, "uploadOptions"), "expression"), &expression));
  snprintf(where, sizeof where, "dataPartitions[%zu].uploadOptions.expression", index);
  return expression.len ? scheme_condition(r, where, expression, &out->upload, complete) : MC_OK;
}

mc_err scheme_partitions(compile_run *r, mc_fw_scheme *scheme, bool *complete)
{
  json_t *list = list_of(r->campaign->partitions), *item;
  size_t i;
  mc_fw_partition *out = mc_arena_array(&r->arena, json_array_size(list), sizeof *out);
  mc_err err = out ? MC_OK : MC_ERR_MEMORY;
  json_array_foreach (list, i, item)
    if (!err && *complete)
      err = partition(r, item, i, &out[scheme->partition_count++], complete);
  json_decref(list);
  scheme->partition = out;
  if (scheme->partition_count) { /* by which a job finds the campaign, and names its folder (7.3) */
    const char *arn = mc_arena_printf(&r->arena, "arn:aws:iotfleetwise:local:000000000000:campaign/%.*s", MC_FMT(r->campaign->name));
    if (!arn)
      return MC_ERR_MEMORY;
    scheme->campaign_arn = mc_slice_str(arn);
  }
  return err;
}

static mc_err actions(compile_run *r, const json_t *list, mc_fw_fetch *out)
{
  condition_names names = {.c = r->c, .tenant = r->campaign->tenant, .arena = &r->arena};
  json_t *item;
  size_t i;
  out->action = mc_arena_array(&r->arena, json_array_size(list), sizeof *out->action);
  mc_err err = out->action ? MC_OK : MC_ERR_MEMORY;
  json_array_foreach (list, i, item) {
    mc_slice text;
    mc_expr *e;
    if (!err)
      err = mc_arena_copy(&r->arena, mc_slice_str(json_string_value(item)), &text);
    if (!err)
      err = campaign_action_parse(&names, text, &e, NULL);
    if (!err && !(out->action[out->action_count++] = campaign_condition_to_wire(e, &r->arena)))
      err = MC_ERR_MEMORY;
  }
  mc_vec_free(&names.used);
  return err;
}

static mc_err fetch(compile_run *r, const json_t *item, size_t index, mc_fw_fetch *out, bool *complete)
{
  const json_t *config = json_object_get(item, "signalFetchConfig"), *timed = json_object_get(config, "timeBased"), *conditional = json_object_get(config, "conditionBased");
  mc_slice fqn = text_of(item, "fullyQualifiedName"), expression;
  uint32_t id;
  char text[400];
  if (mc_registry_signal_lookup(r->c->config.registry, r->campaign->tenant, fqn, &id) || !campaign_agent_decodes(r->m, r->agent, id)) {
    snprintf(text, sizeof text, "signalsToFetch[%zu]: the vehicle's decoder manifest %s does not decode %.*s", index, r->m->name, MC_FMT(mc_slice_sub(fqn, 0, 160)));
    *complete = false;
    return scheme_leave_out(r, "condition_outside_manifest", text);
  }
  *out = (mc_fw_fetch){.signal_id = id, .language_version = 1, .frequency_ms = (uint64_t)json_integer_value(json_object_get(timed, "executionFrequencyMs"))};
  if (!scheme_info_of(r, id))
    MC_TRY(scheme_info_add(r, ((mc_fw_signal_info){.signal_id = id, .sample_buffer_size = 1, .condition_only = true})));
  if (conditional) {
    out->condition_based = true;
    out->trigger_mode = mc_slice_eq_str(text_of(conditional, "triggerMode"), "RISING_EDGE");
    r->out->fetch_conditions++;
    MC_TRY(mc_arena_copy(&r->arena, text_of(conditional, "conditionExpression"), &expression));
    snprintf(text, sizeof text, "signalsToFetch[%zu].signalFetchConfig.conditionBased.conditionExpression", index);
    MC_TRY(scheme_condition(r, text, expression, &out->condition, complete));
  }
  return *complete ? actions(r, json_object_get(item, "actions"), out) : MC_OK;
}

mc_err scheme_fetches(compile_run *r, mc_fw_scheme *scheme, bool *complete)
{
  json_t *list = list_of(r->campaign->fetch), *item;
  size_t i;
  mc_fw_fetch *out = mc_arena_array(&r->arena, json_array_size(list), sizeof *out);
  mc_err err = out ? MC_OK : MC_ERR_MEMORY;
  json_array_foreach (list, i, item)
    if (!err && *complete)
      err = fetch(r, item, i, &out[scheme->fetch_count++], complete);
  json_decref(list);
  scheme->fetch = out;
  return err;
}
