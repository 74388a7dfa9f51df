/* A campaign as the JSON document that is stored. */
#include <jansson.h>
#include <stdlib.h>

#include "campaign/state.h"
#include "format/json.h"

static void list_field(mc_json *j, const char *key, mc_slice list)
{
  if (!list.len)
    return;
  mc_json_key(j, key);
  mc_json_raw(j, list);
}

static const char *const amount_name[] = {"messages", "bytes", "samples"};

static void cap_field(mc_json *j, const char *key, const mc_campaign_amount *cap)
{
  const uint64_t value[] = {cap->messages, cap->bytes, cap->samples};
  if (!value[0] && !value[1] && !value[2])
    return;
  mc_json_key(j, key);
  mc_json_object(j);
  for (int i = 0; i < 3; i++)
    if (value[i])
      mc_json_uint_field(j, amount_name[i], value[i]);
  mc_json_object_end(j);
}

mc_err campaign_to_document(const mc_campaign *g, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_text_field(&j, "description", g->description);
  mc_json_text_field(&j, "target_kind", g->target_kind);
  mc_json_text_field(&j, "target", g->target);
  mc_json_bool_field(&j, "condition", g->condition_based);
  mc_json_uint_field(&j, "period_ms", g->period_ms);
  mc_json_text_field(&j, "expression", g->expression);
  mc_json_uint_field(&j, "min_interval_ms", g->min_interval_ms);
  mc_json_bool_field(&j, "rising_edge", g->rising_edge);
  mc_json_uint_field(&j, "after_ms", g->after_ms);
  mc_json_bool_field(&j, "compress", g->compress);
  mc_json_bool_field(&j, "persist", g->persist);
  mc_json_uint_field(&j, "priority", g->priority);
  mc_json_int_field(&j, "start_us", g->start_us);
  mc_json_int_field(&j, "expiry_us", g->expiry_us);
  mc_json_bool_field(&j, "include_dtcs", g->include_dtcs);
  mc_json_text_field(&j, "catalog", g->catalog);
  list_field(&j, "dimensions", g->dimensions);
  list_field(&j, "destinations", g->destinations);
  list_field(&j, "partitions", g->partitions);
  list_field(&j, "fetch", g->fetch);
  cap_field(&j, "cap_vehicle", &g->cap_vehicle);
  cap_field(&j, "cap_all", &g->cap_all);
  list_field(&j, "rollout", g->rollout);
  mc_json_key(&j, "signals");
  mc_json_array(&j);
  for (uint32_t i = 0; i < g->signal_count; i++) {
    mc_json_object(&j);
    mc_json_text_field(&j, "fqn", g->signal[i].fqn);
    mc_json_uint_field(&j, "max_samples", g->signal[i].max_samples);
    mc_json_uint_field(&j, "min_period_ms", g->signal[i].min_period_ms);
    if (g->signal[i].partition.len)
      mc_json_text_field(&j, "partition", g->signal[i].partition);
    mc_json_object_end(&j);
  }
  mc_json_array_end(&j);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

static mc_slice text_of(json_t *o, const char *key, mc_arena *arena)
{
  const char *s = json_string_value(json_object_get(o, key));
  return mc_slice_str(s ? mc_arena_str(arena, mc_slice_str(s)) : "");
}

static mc_campaign_amount cap_of(json_t *o, const char *key)
{
  uint64_t value[3];
  for (int i = 0; i < 3; i++)
    value[i] = (uint64_t)json_integer_value(json_object_get(json_object_get(o, key), amount_name[i]));
  return (mc_campaign_amount){value[0], value[1], value[2]};
}

/* A list or object that is kept as the document it came as; empty when there is none. */
static mc_slice list_of(json_t *o, const char *key, mc_arena *arena)
{
  json_t *list = json_object_get(o, key);
  char *text = json_array_size(list) || json_object_size(list) ? json_dumps(list, JSON_COMPACT) : NULL;
  mc_slice out = mc_slice_str(text ? mc_arena_str(arena, mc_slice_str(text)) : NULL);
  free(text);
  return out;
}

static uint32_t number_of(json_t *o, const char *key)
{
  return (uint32_t)json_integer_value(json_object_get(o, key));
}

mc_err campaign_from_document(mc_slice text, mc_arena *arena, mc_campaign *g)
{
  json_t *o = json_loadb((const char *)text.data, text.len, 0, NULL), *item;
  if (!o)
    return MC_ERR_MALFORMED;
  g->description = text_of(o, "description", arena);
  g->target_kind = text_of(o, "target_kind", arena);
  g->target = text_of(o, "target", arena);
  g->condition_based = json_is_true(json_object_get(o, "condition"));
  g->period_ms = number_of(o, "period_ms");
  g->expression = text_of(o, "expression", arena);
  g->min_interval_ms = number_of(o, "min_interval_ms");
  g->rising_edge = json_is_true(json_object_get(o, "rising_edge"));
  g->after_ms = number_of(o, "after_ms");
  g->compress = json_is_true(json_object_get(o, "compress"));
  g->persist = json_is_true(json_object_get(o, "persist"));
  g->priority = number_of(o, "priority");
  g->start_us = json_integer_value(json_object_get(o, "start_us"));
  g->expiry_us = json_integer_value(json_object_get(o, "expiry_us"));
  g->include_dtcs = json_is_true(json_object_get(o, "include_dtcs"));
  g->catalog = text_of(o, "catalog", arena);
  g->dimensions = list_of(o, "dimensions", arena);
  g->destinations = list_of(o, "destinations", arena);
  g->partitions = list_of(o, "partitions", arena);
  g->fetch = list_of(o, "fetch", arena);
  g->cap_vehicle = cap_of(o, "cap_vehicle");
  g->cap_all = cap_of(o, "cap_all");
  g->rollout = list_of(o, "rollout", arena);
  json_t *signals = json_object_get(o, "signals");
  size_t i;
  g->signal = mc_arena_array(arena, json_array_size(signals), sizeof *g->signal);
  json_array_foreach (signals, i, item) {
    if (g->signal)
      g->signal[g->signal_count++] = (mc_campaign_collect){text_of(item, "fqn", arena), number_of(item, "max_samples"), number_of(item, "min_period_ms"),
                                                           text_of(item, "partition", arena)};
  }
  json_decref(o);
  return g->signal ? MC_OK : MC_ERR_MEMORY;
}
