/* State templates of vehicles. */
#include "campaign/association.h"

#include <stdio.h>

static const struct {
  const char *unit;
  uint64_t ms;
} units[] = {{"MILLISECOND", 1}, {"SECOND", 1000}, {"MINUTE", 60000}, {"HOUR", 3600000}};

static uint64_t period_of(const json_t *association)
{
  const json_t *rate = json_object_get(json_object_get(json_object_get(association, "stateTemplateUpdateStrategy"), "periodic"), "stateTemplateUpdateRate");
  for (size_t i = 0; rate && i < sizeof units / sizeof units[0]; i++)
    if (mc_slice_eq_str(control_text(rate, "unit"), units[i].unit))
      return (uint64_t)control_int(rate, "value", 1) * units[i].ms;
  return 0;
}

mc_err association_list(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_arena *arena, template_association **out, size_t *count, mc_why *why)
{
  MC_VEC(template_association) list = {0};
  mc_stmt *s;
  *count = 0;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, "SELECT template, period_ms FROM vehicle_template WHERE tenant = $1 AND vehicle = $2 ORDER BY template", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_int(s, 2, vehicle);
    while ((err = mc_stmt_step(s, why)) == MC_OK) {
      template_association a = {.period_ms = (uint64_t)mc_stmt_int(s, 1)};
      if ((err = mc_arena_copy(arena, mc_stmt_text(s, 0), &a.template)) || (err = mc_vec_push(&list, a)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  err = err == MC_ERR_END ? MC_OK : err;
  *out = mc_arena_array(arena, list.len, sizeof **out);
  if (!err && !*out)
    err = MC_ERR_MEMORY;
  if (!err && list.len)
    memcpy(*out, list.at, list.len * sizeof **out);
  *count = err ? 0 : list.len;
  mc_vec_free(&list);
  return err;
}

static bool has(const template_association *list, size_t count, mc_slice template)
{
  for (size_t i = 0; i < count; i++)
    if (mc_slice_eq(list[i].template, template))
      return true;
  return false;
}

static const struct association_list {
  const char *member;
  bool adds, removes;
} lists[] = {{"stateTemplates", true, false}, {"stateTemplatesToAdd", true, false}, {"stateTemplatesToUpdate", false, false}, {"stateTemplatesToRemove", false, true}};

static mc_slice identifier_of(const json_t *item) { return json_is_string(item) ? mc_slice_str(json_string_value(item)) : control_text(item, "identifier"); }

mc_err association_check(control_call *call, const char *path, uint32_t vehicle, const json_t *in, mc_why *why)
{
  template_association *had;
  size_t n, i;
  mc_strmap seen = {0};
  mc_err err = association_list(call->c, call->tenant, vehicle, call->arena, &had, &n, why);
  for (size_t k = 0; k < sizeof lists / sizeof lists[0] && !err; k++) {
    json_t *item;
    json_array_foreach (json_object_get(in, lists[k].member), i, item) {
      char field[160];
      mc_slice name, given = identifier_of(item);
      snprintf(field, sizeof field, "%s%s[%zu]", path, lists[k].member, i);
      if ((err = control_name_of(call, "state-template", given, &name, why)))
        break;
      if (mc_strmap_get(&seen, name, NULL))
        err = control_invalid(call, field, why, "\"%.*s\" is named twice", MC_FMT(given));
      else if (lists[k].adds && has(had, n, name))
        err = control_conflict(call, "state-template", name, why, "the vehicle has the state template \"%.*s\" already", MC_FMT(name));
      else if (!lists[k].adds && !has(had, n, name))
        err = control_invalid(call, field, why, "the vehicle does not have the state template \"%.*s\"", MC_FMT(given));
      if (!err)
        err = mc_strmap_put(&seen, name, 1);
      if (err)
        break;
    }
  }
  mc_strmap_free(&seen);
  return err;
}

static mc_err write_one(control_call *call, uint32_t vehicle, const json_t *item, bool removes, mc_why *why)
{
  mc_slice name;
  MC_TRY(control_name_of(call, "state-template", identifier_of(item), &name, why));
  if (removes)
    return mc_db_run(call->c->config.db, why, "DELETE FROM vehicle_template WHERE tenant = $1 AND vehicle = $2 AND template = $3", "iit", (int64_t)call->tenant, (int64_t)vehicle,
                     name);
  return mc_db_run(call->c->config.db, why,
                   "INSERT INTO vehicle_template (tenant, vehicle, template, period_ms) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, vehicle, template) DO UPDATE SET "
                   "period_ms = excluded.period_ms",
                   "iiti", (int64_t)call->tenant, (int64_t)vehicle, name, (int64_t)period_of(item));
}

mc_err association_write(control_call *call, uint32_t vehicle, const json_t *in, mc_why *why)
{
  json_t *item;
  size_t i;
  for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++)
    json_array_foreach (json_object_get(in, lists[k].member), i, item)
      MC_TRY(write_one(call, vehicle, item, lists[k].removes, why));
  return MC_OK;
}

mc_err association_forget(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, mc_why *why)
{
  return mc_db_run(c->config.db, why, "DELETE FROM vehicle_template WHERE tenant = $1 AND vehicle = $2", "ii", (int64_t)tenant, (int64_t)vehicle);
}

/* The largest unit that holds the period as a whole number. */
static void write_strategy(mc_json *out, uint64_t period_ms)
{
  mc_json_key(out, "stateTemplateUpdateStrategy");
  mc_json_object(out);
  mc_json_key(out, period_ms ? "periodic" : "onChange");
  mc_json_object(out);
  if (period_ms) {
    size_t u = sizeof units / sizeof units[0] - 1;
    while (u && period_ms % units[u].ms)
      u--;
    mc_json_key(out, "stateTemplateUpdateRate");
    mc_json_object(out);
    mc_json_str_field(out, "unit", units[u].unit);
    mc_json_uint_field(out, "value", period_ms / units[u].ms);
    mc_json_object_end(out);
  }
  mc_json_object_end(out);
  mc_json_object_end(out);
}

mc_err association_answer(control_call *call, uint32_t vehicle, mc_why *why)
{
  template_association *list;
  size_t n;
  MC_TRY(association_list(call->c, call->tenant, vehicle, call->arena, &list, &n, why));
  mc_json_key(call->out, "stateTemplates");
  mc_json_array(call->out);
  for (size_t i = 0; i < n; i++) {
    mc_json_object(call->out);
    mc_json_text_field(call->out, "identifier", list[i].template);
    write_strategy(call->out, list[i].period_ms);
    mc_json_object_end(call->out);
  }
  mc_json_array_end(call->out);
  return MC_OK;
}
