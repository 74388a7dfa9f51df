/* State templates: their life, which vehicle has which, and commands about them. */
#include <stdio.h>
#include <string.h>

#include "api/inside.h"

static const struct { const char *name; mc_state_action action; } actions[] = {{"activate", MC_STATE_ACTIVATE}, {"deactivate", MC_STATE_DEACTIVATE}, {"fetch", MC_STATE_FETCH}};

static void write_template(mc_json *j, const mc_state_template *t)
{
  mc_json_object(j);
  mc_json_text_field(j, "id", t->id);
  mc_json_text_field(j, "name", t->name);
  mc_json_text_field(j, "description", t->description);
  mc_json_key(j, "signals");
  mc_json_array(j);
  for (uint32_t i = 0; i < t->signal_count; i++)
    mc_json_text(j, t->signal[i]);
  mc_json_array_end(j);
  json_time(j, "created", t->created_us);
  json_time(j, "updated", t->updated_us);
  mc_json_object_end(j);
}

static mc_err get_template(api_call *c, mc_state_template *out)
{
  if (mc_template_get(c->api->config.campaigns, c->who.tenant, c->param[0], &c->arena, out))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no state template \"%.*s\"", MC_FMT(mc_slice_sub(c->param[0], 0, 100)));
  return MC_OK;
}

mc_err api_op_template_list(api_call *c)
{
  mc_state_template *list;
  size_t n;
  MC_TRY(mc_template_list(c->api->config.campaigns, c->who.tenant, &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_template(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_template_get(api_call *c)
{
  mc_state_template t;
  MC_TRY(get_template(c, &t));
  write_template(&c->json, &t);
  return MC_OK;
}

static mc_err read_signals(api_call *c, mc_state_template *t)
{
  json_t *list = json_object_get(c->body, "signals"), *item;
  size_t i;
  t->signal = mc_arena_array(&c->arena, json_array_size(list), sizeof *t->signal);
  t->signal_count = 0;
  if (!t->signal)
    return mc_err_set(&c->why, MC_ERR_MEMORY, "out of memory for %zu signals", json_array_size(list));
  json_array_foreach (list, i, item)
    t->signal[t->signal_count++] = mc_slice_of(json_string_value(item), json_string_length(item));
  return MC_OK;
}

/* "signals[3]: ..." is the request's fault, at that place. */
static mc_err blame(api_call *c, mc_err err)
{
  unsigned index;
  if ((err == MC_ERR_NOT_FOUND || err == MC_ERR_INVALID) && sscanf(c->why.text, "signals[%u]", &index) == 1) {
    snprintf(c->field, sizeof c->field, "/signals/%u", index);
    c->status = 400;
  }
  return err;
}

mc_err api_op_template_create(api_call *c)
{
  mc_state_template t = {.tenant = c->who.tenant, .name = body_text(c, "name"), .description = body_text(c, "description")}, made;
  MC_TRY(read_signals(c, &t));
  MC_TRY(blame(c, mc_template_create(c->api->config.campaigns, &t, &c->why)));
  MC_TRY(mc_template_get(c->api->config.campaigns, c->who.tenant, t.name, &c->arena, &made));
  write_template(&c->json, &made);
  return MC_OK;
}

mc_err api_op_template_update(api_call *c)
{
  mc_state_template t;
  MC_TRY(get_template(c, &t));
  if (body_has(c, "description"))
    t.description = body_text(c, "description");
  MC_TRY(read_signals(c, &t));
  MC_TRY(blame(c, mc_template_update(c->api->config.campaigns, &t, &c->why)));
  MC_TRY(get_template(c, &t));
  write_template(&c->json, &t);
  return MC_OK;
}

mc_err api_op_template_delete(api_call *c)
{
  return mc_template_delete(c->api->config.campaigns, c->who.tenant, c->param[0], &c->why);
}

static void write_commands(mc_json *j, const mc_state_command *list, size_t n)
{
  mc_json_key(j, "commands");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++) {
    const char *action = "fetch";
    for (size_t k = 0; k < sizeof actions / sizeof actions[0]; k++)
      if (actions[k].action == list[i].action)
        action = actions[k].name;
    mc_json_object(j);
    mc_json_text_field(j, "id", list[i].id);
    mc_json_text_field(j, "template", list[i].template);
    mc_json_str_field(j, "action", action);
    mc_json_text_field(j, "status", list[i].status);
    mc_json_uint_field(j, "reason", list[i].reason);
    if (list[i].text.len)
      mc_json_text_field(j, "text", list[i].text);
    json_time(j, "issued", list[i].issued_us);
    json_time_if(j, "answered", list[i].answered_us);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
}

static mc_err write_of_vehicle(api_call *c, uint32_t vehicle)
{
  mc_vehicle_template *list;
  mc_state_command *command;
  size_t n, commands;
  mc_json *j = &c->json;
  MC_TRY(mc_templates_of_vehicle(c->api->config.campaigns, c->who.tenant, vehicle, &c->arena, &list, &n, &c->why));
  MC_TRY(mc_template_commands(c->api->config.campaigns, c->who.tenant, vehicle, 100, &c->arena, &command, &commands, &c->why));
  mc_json_object(j);
  mc_json_key(j, "items");
  mc_json_array(j);
  for (size_t i = 0; i < n; i++) {
    mc_json_object(j);
    mc_json_text_field(j, "template", list[i].name);
    if (list[i].period_ms)
      mc_json_uint_field(j, "period_ms", list[i].period_ms);
    mc_json_text_field(j, "state", list[i].state);
    mc_json_text_field(j, "reason", list[i].reason);
    if (list[i].text.len)
      mc_json_text_field(j, "text", list[i].text);
    if (list[i].sync_id.len)
      mc_json_text_field(j, "sync_id", list[i].sync_id);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  write_commands(j, command, commands);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_vehicle_templates(api_call *c)
{
  mc_vehicle v;
  MC_TRY(call_vehicle(c, &v));
  return write_of_vehicle(c, v.id);
}

mc_err api_op_vehicle_template_give(api_call *c)
{
  mc_vehicle v;
  MC_TRY(call_vehicle(c, &v));
  mc_err err = mc_template_give(c->api->config.campaigns, c->who.tenant, v.id, body_text(c, "template"), (uint64_t)body_int(c, "period_ms", 0), &c->why);
  if (err == MC_ERR_NOT_FOUND)
    return call_refuse(c, "/template", "there is no state template \"%.*s\"", MC_FMT(body_text(c, "template")));
  MC_TRY(err);
  return write_of_vehicle(c, v.id);
}

mc_err api_op_vehicle_template_take(api_call *c)
{
  mc_vehicle v;
  MC_TRY(call_vehicle(c, &v));
  return mc_template_take(c->api->config.campaigns, c->who.tenant, v.id, c->param[1], &c->why);
}

mc_err api_op_vehicle_template_command(api_call *c)
{
  mc_vehicle v;
  char id[27];
  size_t k = 0;
  MC_TRY(call_vehicle(c, &v));
  while (!mc_slice_eq_str(body_text(c, "action"), actions[k].name))
    k++; /* the schema knows these three */
  MC_TRY(mc_template_command(c->api->config.campaigns, c->who.tenant, v.id, c->param[1], actions[k].action, (uint32_t)body_int(c, "deactivate_after_s", 0),
                             (uint32_t)body_int(c, "timeout_ms", 0), id, &c->why));
  mc_json_object(&c->json);
  mc_json_str_field(&c->json, "id", id);
  mc_json_object_end(&c->json);
  return MC_OK;
}
