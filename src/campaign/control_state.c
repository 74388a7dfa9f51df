/* Operations about state templates (contract fleetwise 9.2). An identifier is a name or our 26-character id. */
#include <stdio.h>
#include <stdlib.h>

#include "campaign/vocabulary.h"

static void write_name(control_call *call, const mc_state_template *t)
{
  mc_json_text_field(call->out, "name", t->name);
  mc_json_text_field(call->out, "arn", control_arn(call, "state-template", t->name));
  mc_json_text_field(call->out, "id", t->id);
}

static mc_err need(control_call *call, mc_state_template *out, mc_why *why)
{
  mc_slice identifier = control_text(call->in, "identifier");
  mc_err err = mc_template_get(call->c, call->tenant, identifier, call->arena, out);
  return err == MC_ERR_NOT_FOUND ? control_not_found(call, "state-template", identifier, why) : err;
}

static mc_err read_list(control_call *call, const char *key, mc_slice *out)
{
  const json_t *list = json_object_get(call->in, key);
  if (!list)
    return MC_OK;
  char *text = json_array_size(list) ? json_dumps(list, JSON_COMPACT) : NULL;
  mc_err err = mc_arena_copy(call->arena, mc_slice_str(text), out);
  free(text);
  return err;
}

/* Collects names that nobody has. */
static bool known(control_call *call, mc_slice fqn)
{
  uint32_t id;
  if (mc_registry_signal_lookup(call->c->config.registry, call->tenant, fqn, &id) == MC_OK)
    return true;
  mc_why near = {0};
  campaign_unknown_signal(call->c, call->tenant, fqn, call->arena, &near);
  control_bad_signal(call, fqn, near.text, NULL);
  return false;
}

static bool stands_in(const mc_state_template *t, mc_slice fqn)
{
  for (uint32_t i = 0; i < t->signal_count; i++)
    if (mc_slice_eq(t->signal[i], fqn))
      return true;
  return false;
}

/* Adds the names of a list of the input; one that is there already, or unknown, is told. */
static mc_err add_signals(control_call *call, const char *key, mc_state_template *t, mc_why *why)
{
  const json_t *list = json_object_get(call->in, key);
  size_t i, bad = 0;
  json_t *item;
  mc_slice *all = mc_arena_array(call->arena, t->signal_count + json_array_size(list), sizeof *all);
  if (!all)
    return MC_ERR_MEMORY;
  for (uint32_t k = 0; k < t->signal_count; k++)
    all[k] = t->signal[k];
  t->signal = all;
  json_array_foreach (list, i, item) {
    mc_slice fqn = mc_slice_of(json_string_value(item), json_string_length(item));
    if (stands_in(t, fqn)) {
      control_bad_signal(call, fqn, "DUPLICATE_SIGNAL", NULL);
      bad++;
    } else if (!known(call, fqn)) {
      bad++;
    } else {
      all[t->signal_count++] = fqn;
    }
  }
  return bad ? control_bad(call, MC_CONTROL_INVALID_SIGNALS, why, "%s: %zu of the signals cannot be in the template", key, bad) : MC_OK;
}

static mc_err remove_signals(control_call *call, mc_state_template *t, mc_why *why)
{
  const json_t *list = json_object_get(call->in, "stateTemplatePropertiesToRemove");
  size_t i, bad = 0;
  json_t *item;
  json_array_foreach (list, i, item) {
    mc_slice fqn = mc_slice_of(json_string_value(item), json_string_length(item));
    uint32_t at = 0;
    while (at < t->signal_count && !mc_slice_eq(t->signal[at], fqn))
      at++;
    if (at == t->signal_count) {
      control_bad_signal(call, fqn, "it is not in the template", NULL);
      bad++;
    } else {
      memmove(&t->signal[at], &t->signal[at + 1], (t->signal_count - at - 1) * sizeof *t->signal);
      t->signal_count--;
    }
  }
  if (bad)
    return control_bad(call, MC_CONTROL_INVALID_SIGNALS, why, "stateTemplatePropertiesToRemove: %zu of the signals are not in the template", bad);
  if (!t->signal_count)
    return control_invalid(call, "stateTemplatePropertiesToRemove", why, "leaves no signal; delete the template instead");
  return MC_OK;
}

static mc_err set_tags(void *ctx, mc_why *why)
{
  control_call *call = ctx;
  return control_tags_set(call, "state-template", control_text(call->in, "name"), json_object_get(call->in, "tags"), why);
}

/* With `vocabulary` held: the catalog that it names stays. */
static mc_err create_locked(control_call *call, mc_why *why)
{
  mc_state_template t = {.tenant = call->tenant, .name = control_text(call->in, "name"), .description = control_text(call->in, "description")};
  MC_TRY(control_arn_name(call, "signalCatalogArn", control_text(call->in, "signalCatalogArn"), "signal-catalog", &t.catalog, why));
  MC_TRY(control_exists(call, "signal-catalog", t.catalog, why));
  MC_TRY(add_signals(call, "stateTemplateProperties", &t, why));
  MC_TRY(read_list(call, "dataExtraDimensions", &t.dimensions));
  MC_TRY(read_list(call, "metadataExtraDimensions", &t.metadata));
  mc_why full;
  if (!campaign_template_room(call->c, call->tenant, &full))
    return control_limit(call, "state-template", t.name, why, "%s", full.text);
  mc_err err = campaign_template_create(call->c, &t, set_tags, call, why);
  if (err == MC_ERR_EXISTS)
    return control_conflict(call, "state-template", t.name, why, "there is a state template \"%.*s\" already", MC_FMT(t.name));
  if (err)
    return err;
  MC_TRY(mc_template_get(call->c, call->tenant, t.name, call->arena, &t));
  write_name(call, &t);
  return MC_OK;
}

static mc_err create_template(control_call *call, mc_why *why) { return vocabulary_locked(call, create_locked, why); }

static void write_head(control_call *call, const mc_state_template *t)
{
  write_name(call, t);
  mc_json_text_field(call->out, "signalCatalogArn", control_arn(call, "signal-catalog", t->catalog));
  if (t->description.len)
    mc_json_text_field(call->out, "description", t->description);
  control_time(call->out, "creationTime", t->created_us);
  control_time(call->out, "lastModificationTime", t->updated_us);
}

static void write_list(mc_json *out, const char *key, mc_slice list)
{
  mc_json_key(out, key);
  mc_json_raw(out, list.len ? list : MC_LIT("[]"));
}

static mc_err get_template(control_call *call, mc_why *why)
{
  mc_state_template t;
  MC_TRY(need(call, &t, why));
  write_head(call, &t);
  mc_json_key(call->out, "stateTemplateProperties");
  mc_json_array(call->out);
  for (uint32_t i = 0; i < t.signal_count; i++)
    mc_json_text(call->out, t.signal[i]);
  mc_json_array_end(call->out);
  write_list(call->out, "dataExtraDimensions", t.dimensions);
  write_list(call->out, "metadataExtraDimensions", t.metadata);
  return MC_OK;
}

/* With `vocabulary` held: between the look and the change nobody else's change gets lost. */
static mc_err update_locked(control_call *call, mc_why *why)
{
  mc_state_template t;
  MC_TRY(need(call, &t, why));
  if (json_object_get(call->in, "description"))
    t.description = control_text(call->in, "description");
  MC_TRY(add_signals(call, "stateTemplatePropertiesToAdd", &t, why));
  MC_TRY(remove_signals(call, &t, why));
  MC_TRY(read_list(call, "dataExtraDimensions", &t.dimensions));
  MC_TRY(read_list(call, "metadataExtraDimensions", &t.metadata));
  mc_err err = campaign_template_change(call->c, &t, why);
  if (err == MC_ERR_NOT_FOUND)
    return control_not_found(call, "state-template", t.name, why);
  if (!err)
    write_name(call, &t);
  return err;
}

static mc_err update_template(control_call *call, mc_why *why)
{
  MC_TRY(vocabulary_locked(call, update_locked, why));
  campaign_reconcile_all(call->c, call->tenant);
  return MC_OK;
}

/* Declares no ResourceNotFound: one that is not there is gone. Vehicles lose it. */
static mc_err delete_template(control_call *call, mc_why *why)
{
  mc_state_template t;
  mc_slice identifier = control_text(call->in, "identifier");
  mc_err err = mc_template_get(call->c, call->tenant, identifier, call->arena, &t);
  if (!err)
    err = mc_template_delete(call->c, call->tenant, t.id, why);
  if (err && err != MC_ERR_NOT_FOUND)
    return err;
  if (!err)
    write_name(call, &t);
  return MC_OK;
}

static mc_err list_templates(control_call *call, mc_why *why)
{
  control_page page;
  mc_state_template *list;
  size_t count, shown = 0, i = 0;
  MC_TRY(control_page_of(call, &page, why));
  MC_TRY(mc_template_list(call->c, call->tenant, call->arena, &list, &count, why));
  mc_json_key(call->out, "summaries");
  mc_json_array(call->out);
  for (; i < count && shown < page.limit; i++) {
    if (mc_slice_compare(list[i].name, page.after) <= 0)
      continue;
    shown++;
    mc_json_object(call->out);
    write_head(call, &list[i]);
    mc_json_object_end(call->out);
  }
  mc_json_array_end(call->out);
  if (i < count)
    control_page_next(call, list[i - 1].name);
  return MC_OK;
}

const control_operation control_state[] = {
    {{"CreateStateTemplate", "campaign:write", true}, create_template}, {{"DeleteStateTemplate", "campaign:write", true}, delete_template},
    {{"GetStateTemplate", "campaign:read", false}, get_template},       {{"ListStateTemplates", "campaign:read", false}, list_templates},
    {{"UpdateStateTemplate", "campaign:write", true}, update_template},
};
const size_t control_state_count = sizeof control_state / sizeof control_state[0];
