/* Store and forward, and fetching, as they come in FleetWise's documents (contract 5.3, 7.3, 9.3). Their shapes were checked (shape.h) or are ours. */
#include <jansson.h>
#include <stdio.h>

#include "campaign/state.h"

typedef struct check_run {
  mc_campaigns *c;
  const mc_campaign *g;
  mc_arena *arena;
  mc_why *why;
} check_run;

static mc_slice text_of(const json_t *object, const char *key) { return mc_slice_str(json_string_value(json_object_get(object, key))); }

/* A condition, or an action; what is wrong with it gets the place before it. signals: which ones it reads; free with mc_vec_free. */
static mc_err expression(const check_run *r, const char *where, mc_slice text, bool action, condition_names *names)
{
  mc_expr *e;
  *names = (condition_names){.c = r->c, .tenant = r->g->tenant, .arena = r->arena};
  mc_err err = action ? campaign_action_parse(names, text, &e, r->why) : campaign_condition_parse(names, text, &e, r->why);
  if (err && r->why)
    mc_err_prefix(r->why, "%s", where);
  return err;
}

/* The last component names the folder; empty, . and .. make the agent reject the campaign (12.2). */
static bool location_valid(mc_slice location)
{
  size_t from = 0;
  for (size_t at = 0; (at = mc_slice_find(location, '/', at)) < location.len; at++)
    from = at + 1;
  mc_slice last = mc_slice_sub(location, from, location.len);
  return last.len && !mc_slice_eq_str(last, ".") && !mc_slice_eq_str(last, "..");
}

static bool collects(const check_run *r, uint32_t signal)
{
  mc_slice fqn = mc_registry_signal_fqn(r->c->config.registry, r->g->tenant, signal);
  for (uint32_t i = 0; i < r->g->signal_count; i++) {
    mc_slice name = r->g->signal[i].fqn;
    if (campaign_is_pattern(name) ? campaign_pattern_takes(name, fqn) : mc_slice_eq(name, fqn))
      return true;
  }
  return false;
}

static mc_err upload(const check_run *r, size_t index, const json_t *options)
{
  char where[100];
  condition_names names;
  if (!options)
    return MC_OK;
  snprintf(where, sizeof where, "dataPartitions[%zu].uploadOptions.expression", index);
  mc_err err = expression(r, where, text_of(options, "expression"), false, &names);
  for (size_t i = 0; i < names.used.len && !err; i++)
    if (!collects(r, names.used.at[i].id))
      err = mc_err_set(r->why, MC_ERR_INVALID, "%s: %.*s is not among the signals to collect, and an upload condition reads only those", where,
                       MC_FMT(mc_registry_signal_fqn(r->c->config.registry, r->g->tenant, names.used.at[i].id)));
  mc_vec_free(&names.used);
  return err;
}

static mc_err partitions(const check_run *r, const json_t *list)
{
  json_t *item;
  size_t i;
  json_array_foreach (list, i, item) {
    mc_slice id = text_of(item, "id"), location = text_of(json_object_get(item, "storageOptions"), "storageLocation");
    for (size_t k = 0; k < i; k++)
      if (mc_slice_eq(id, text_of(json_array_get(list, k), "id")))
        return mc_err_set(r->why, MC_ERR_INVALID, "dataPartitions[%zu].id: %.*s stands there twice", i, MC_FMT(mc_slice_sub(id, 0, 128)));
    if (!location_valid(location))
      return mc_err_set(r->why, MC_ERR_INVALID, "dataPartitions[%zu].storageOptions.storageLocation: its last part names the folder in the vehicle; expected one, found \"%.*s\"", i,
                        MC_FMT(mc_slice_sub(location, 0, 100)));
    MC_TRY(upload(r, i, json_object_get(item, "uploadOptions")));
  }
  return MC_OK;
}

static mc_err partition_names(const check_run *r, const json_t *list)
{
  for (uint32_t i = 0; i < r->g->signal_count; i++) {
    mc_slice wanted = r->g->signal[i].partition;
    bool found = !wanted.len;
    for (size_t k = 0; k < json_array_size(list) && !found; k++)
      found = mc_slice_eq(wanted, text_of(json_array_get(list, k), "id"));
    if (!found)
      return mc_err_set(r->why, MC_ERR_INVALID, "signals[%u]: there is no data partition \"%.*s\" in this campaign", i, MC_FMT(mc_slice_sub(wanted, 0, 128)));
  }
  return MC_OK;
}

static mc_err fetches(const check_run *r, const json_t *list)
{
  json_t *item, *action;
  size_t i, k;
  char where[120];
  condition_names names;
  json_array_foreach (list, i, item) {
    uint32_t id;
    mc_slice fqn = text_of(item, "fullyQualifiedName");
    if (mc_registry_signal_lookup(r->c->config.registry, r->g->tenant, fqn, &id)) {
      mc_err err = campaign_unknown_signal(r->c, r->g->tenant, fqn, r->arena, r->why);
      if (r->why)
        mc_err_prefix(r->why, "signalsToFetch[%zu].fullyQualifiedName", i);
      return err;
    }
    const json_t *conditional = json_object_get(json_object_get(item, "signalFetchConfig"), "conditionBased");
    if (conditional) {
      snprintf(where, sizeof where, "signalsToFetch[%zu].signalFetchConfig.conditionBased.conditionExpression", i);
      mc_err err = expression(r, where, text_of(conditional, "conditionExpression"), false, &names);
      mc_vec_free(&names.used);
      if (err)
        return err;
    }
    json_array_foreach (json_object_get(item, "actions"), k, action) {
      snprintf(where, sizeof where, "signalsToFetch[%zu].actions[%zu]", i, k);
      mc_err err = expression(r, where, mc_slice_str(json_string_value(action)), true, &names);
      mc_vec_free(&names.used);
      if (err)
        return err;
    }
  }
  return MC_OK;
}

mc_err campaign_check_parts(mc_campaigns *c, const mc_campaign *g, mc_arena *arena, mc_why *why)
{
  check_run r = {c, g, arena, why};
  json_t *partition = g->partitions.len ? json_loadb((const char *)g->partitions.data, g->partitions.len, 0, NULL) : NULL;
  json_t *fetch = g->fetch.len ? json_loadb((const char *)g->fetch.data, g->fetch.len, 0, NULL) : NULL;
  mc_err err = partitions(&r, partition);
  if (!err)
    err = partition_names(&r, partition);
  if (!err)
    err = fetches(&r, fetch);
  json_decref(partition);
  json_decref(fetch);
  return err;
}
