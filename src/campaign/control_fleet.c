/* Fleets by name: the registry's, with their catalog. */
#include "campaign/control_fleet.h"
#include "campaign/shape.h"
#include "campaign/vocabulary.h"

static mc_slice fleet_id(const control_call *call) { return control_text(call->in, "fleetId"); }
static mc_registry *registry(const control_call *call) { return call->c->config.registry; }

static mc_err no_fleet(control_call *call, mc_err err, mc_why *why)
{
  return err == MC_ERR_NOT_FOUND ? control_not_found(call, "fleet", fleet_id(call), why) : err;
}

static void answer(control_call *call)
{
  mc_json_text_field(call->out, "id", fleet_id(call));
  mc_json_text_field(call->out, "arn", control_arn(call, "fleet", fleet_id(call)));
}

static mc_err set_tags(void *ctx, uint32_t vehicle, mc_why *why)
{
  control_call *call = ctx;
  return control_tags_set(call, "fleet", fleet_id(call), json_object_get(call->in, "tags"), why);
}

static mc_err forget_tags(void *ctx, uint32_t vehicle, mc_why *why)
{
  const control_call *call = ctx;
  return campaign_tags_forget(call->c, call->tenant, "fleet", fleet_id(call), why);
}

/* A fleet's id names nothing twice, so its catalog is looked up under the lock that keeps it there. */
static mc_err create_locked(control_call *call, mc_why *why)
{
  resource_head catalog;
  mc_why inner = {0};
  MC_TRY(resource_need_arn(call, "signalCatalogArn", RESOURCE_CATALOG, &catalog, why));
  uint64_t n = mc_registry_fleet_count(registry(call), call->tenant), most = control_limit_of(call, LIMIT_FLEETS);
  if (n >= most && !mc_registry_fleet_exists(registry(call), call->tenant, fleet_id(call)))
    return control_limit(call, "fleet", fleet_id(call), why, "there are %llu fleets already; at most %llu (setting fleetwise_fleets)", (unsigned long long)n, (unsigned long long)most);
  mc_fleet fleet = {.id = fleet_id(call), .description = control_text(call->in, "description"), .catalog = catalog.name};
  mc_err err = mc_registry_fleet_create_with(registry(call), call->tenant, &fleet, &(mc_registry_with){.also = set_tags, .ctx = call}, &inner);
  if (err && call->error->fault != MC_CONTROL_OK) /* the tags' own */
    return mc_err_set(why, err, "%s", inner.text);
  if (err == MC_ERR_EXISTS)
    return control_conflict(call, "fleet", fleet.id, why, "%s", inner.text);
  if (err == MC_ERR_INVALID)
    return control_invalid(call, "fleetId", why, "%s", inner.text);
  return err ? mc_err_set(why, err, "%s", inner.text) : MC_OK;
}

mc_err control_create_fleet(control_call *call, mc_why *why)
{
  MC_TRY(vocabulary_locked(call, create_locked, why));
  answer(call);
  return MC_OK;
}

mc_err control_update_fleet(control_call *call, mc_why *why)
{
  if (json_object_get(call->in, "description"))
    MC_TRY(no_fleet(call, mc_registry_fleet_update(registry(call), call->tenant, fleet_id(call), control_text(call->in, "description"), why), why));
  else if (!mc_registry_fleet_exists(registry(call), call->tenant, fleet_id(call)))
    return control_not_found(call, "fleet", fleet_id(call), why);
  answer(call);
  return MC_OK;
}

static mc_err delete_locked(control_call *call, mc_why *why)
{
  mc_why inner = {0};
  pthread_mutex_lock(&call->c->lock);
  mc_slice user;
  mc_err err = mc_arena_copy(call->arena, campaign_of_target(call->c, call->tenant, "fleet", fleet_id(call)), &user);
  pthread_mutex_unlock(&call->c->lock);
  MC_TRY(err);
  /* The contract gives the operation no ConflictException. */
  if (user.len && mc_registry_fleet_exists(registry(call), call->tenant, fleet_id(call)))
    return control_invalid(call, "fleetId", why, "the campaign \"%.*s\" is aimed at it: delete that first", MC_FMT(user));
  err = mc_registry_fleet_delete_with(registry(call), call->tenant, fleet_id(call), &(mc_registry_with){.also = forget_tags, .ctx = call}, &inner);
  if (err == MC_ERR_CONFLICT)
    return control_invalid(call, "fleetId", why, "%s", inner.text);
  return err && err != MC_ERR_NOT_FOUND ? mc_err_set(why, err, "%s", inner.text) : MC_OK;
}

mc_err control_delete_fleet(control_call *call, mc_why *why)
{
  MC_TRY(vocabulary_locked(call, delete_locked, why));
  answer(call); /* it was empty: no vehicle is concerned */
  return MC_OK;
}

static mc_err change_member(control_call *call, mc_err (*change)(mc_registry *r, uint32_t tenant, mc_slice id, uint32_t vehicle, mc_why *why), mc_why *why)
{
  mc_slice name = control_text(call->in, "vehicleName");
  mc_vehicle v;
  if (mc_registry_vehicle_find(registry(call), call->tenant, name, &v))
    return control_not_found(call, "vehicle", name, why);
  if (!mc_registry_fleet_exists(registry(call), call->tenant, fleet_id(call)))
    return control_not_found(call, "fleet", fleet_id(call), why);
  mc_err err = change(registry(call), call->tenant, fleet_id(call), v.id, why);
  if (err == MC_ERR_NOT_FOUND) /* one of the two went meanwhile */
    return mc_registry_fleet_exists(registry(call), call->tenant, fleet_id(call)) ? control_not_found(call, "vehicle", name, why) : control_not_found(call, "fleet", fleet_id(call), why);
  MC_TRY(err);
  mc_campaign_vehicle_changed(call->c, call->tenant, v.id);
  return MC_OK;
}

mc_err control_associate_vehicle_fleet(control_call *call, mc_why *why)
{
  uint64_t n = mc_registry_fleet_size(registry(call), call->tenant, fleet_id(call)), most = control_limit_of(call, LIMIT_FLEET_VEHICLES);
  mc_vehicle v;
  bool is_in = mc_registry_vehicle_find(registry(call), call->tenant, control_text(call->in, "vehicleName"), &v) == MC_OK &&
               mc_registry_fleet_has(registry(call), call->tenant, fleet_id(call), v.id);
  if (n >= most && !is_in)
    return control_limit(call, "fleet", fleet_id(call), why, "%llu vehicles are in it already; at most %llu (setting fleetwise_fleet_vehicles)", (unsigned long long)n,
                         (unsigned long long)most);
  return change_member(call, mc_registry_fleet_add, why);
}

mc_err control_disassociate_vehicle_fleet(control_call *call, mc_why *why) { return change_member(call, mc_registry_fleet_remove, why); }

/* ---- reading ---- */

static void describe(control_call *call, const mc_fleet *f, bool metadata_only)
{
  mc_json_text_field(call->out, "id", f->id);
  mc_json_text_field(call->out, "arn", control_arn(call, "fleet", f->id));
  if (f->description.len && !metadata_only)
    mc_json_text_field(call->out, "description", f->description);
  mc_json_text_field(call->out, "signalCatalogArn", control_arn(call, "signal-catalog", f->catalog));
  control_time(call->out, "creationTime", f->created_us);
  control_time(call->out, "lastModificationTime", f->updated_us);
}

mc_err control_get_fleet(control_call *call, mc_why *why)
{
  mc_fleet f;
  MC_TRY(no_fleet(call, mc_registry_fleet_get(registry(call), call->tenant, fleet_id(call), call->arena, &f, why), why));
  describe(call, &f, false);
  return MC_OK;
}

mc_err control_list_fleets(control_call *call, mc_why *why)
{
  control_page page;
  mc_fleet *list;
  size_t n;
  bool metadata_only = control_text(call->in, "listResponseScope").len != 0;
  MC_TRY(control_page_of(call, &page, why));
  MC_TRY(mc_registry_fleet_list(registry(call), call->tenant, page.after, page.limit + 1, call->arena, &list, &n, why));
  mc_json_key(call->out, "fleetSummaries");
  mc_json_array(call->out);
  for (size_t i = 0; i < n && i < page.limit; i++) {
    mc_json_object(call->out);
    describe(call, &list[i], metadata_only);
    mc_json_object_end(call->out);
  }
  mc_json_array_end(call->out);
  if (n > page.limit)
    control_page_next(call, list[page.limit - 1].id);
  return MC_OK;
}

mc_err control_list_fleets_for_vehicle(control_call *call, mc_why *why)
{
  mc_slice name = control_text(call->in, "vehicleName"), *list;
  control_page page;
  mc_vehicle v;
  size_t n;
  MC_TRY(control_page_of(call, &page, why));
  if (mc_registry_vehicle_find(registry(call), call->tenant, name, &v))
    return control_not_found(call, "vehicle", name, why);
  MC_TRY(mc_registry_fleets_of_vehicle(registry(call), call->tenant, v.id, page.after, page.limit + 1, call->arena, &list, &n, why));
  mc_json_key(call->out, "fleets");
  mc_json_array(call->out);
  for (size_t i = 0; i < n && i < page.limit; i++)
    mc_json_text(call->out, list[i]);
  mc_json_array_end(call->out);
  if (n > page.limit)
    control_page_next(call, list[page.limit - 1]);
  return MC_OK;
}

mc_err control_list_vehicles_in_fleet(control_call *call, mc_why *why)
{
  control_page page;
  mc_vehicle *list;
  size_t n;
  MC_TRY(control_page_of(call, &page, why));
  MC_TRY(no_fleet(call, mc_registry_fleet_vehicles(registry(call), call->tenant, fleet_id(call), page.after, page.limit + 1, call->arena, &list, &n, why), why));
  mc_json_key(call->out, "vehicles");
  mc_json_array(call->out);
  for (size_t i = 0; i < n && i < page.limit; i++)
    mc_json_str(call->out, list[i].name);
  mc_json_array_end(call->out);
  if (n > page.limit)
    control_page_next(call, mc_slice_str(list[page.limit - 1].name));
  return MC_OK;
}
