/* Vehicles by name: the registry's vehicles with the model and decoder manifest that campaigns need, attributes and state templates. */
#include <stdio.h>
#include <stdlib.h>

#include "campaign/association.h"
#include "campaign/control_fleet.h"
#include "campaign/shape.h"
#include "campaign/vocabulary.h"

/* One vehicle of a request: alone, or an item of a batch. */
typedef struct vehicle_change {
  control_call *call;
  const json_t *in;
  char path[40]; /* "" or "vehicles[3]." */
  mc_vehicle v;
  resource_head decoder;
  mc_why *why;
} vehicle_change;

static const char *field(vehicle_change *g, const char *name)
{
  const char *text = mc_arena_printf(g->call->arena, "%s%s", g->path, name);
  return text ? text : name;
}

/* ---- model and decoder manifest ---- */

/* The decoder manifest that the vehicle is to have: ACTIVE, and made for the model that is named. */
static mc_err find_decoder(vehicle_change *g, mc_slice model_arn, mc_slice decoder_arn)
{
  control_call *call = g->call;
  mc_slice model = {0}, decoder = mc_slice_str(g->v.manifest);
  resource_head head;
  const char *of_decoder = field(g, "decoderManifestArn"), *of_model = field(g, "modelManifestArn");
  if (decoder_arn.len)
    MC_TRY(control_arn_name(call, of_decoder, decoder_arn, "decoder-manifest", &decoder, g->why));
  if (model_arn.len) {
    MC_TRY(control_arn_name(call, of_model, model_arn, "model-manifest", &model, g->why));
    MC_TRY(resource_need(call, RESOURCE_MODEL, model, &head, g->why));
  }
  MC_TRY(resource_need(call, RESOURCE_DECODER, decoder, &g->decoder, g->why));
  if (model.len && !mc_slice_eq(g->decoder.parent, model))
    return control_invalid(call, decoder_arn.len ? of_decoder : of_model, g->why, "the decoder manifest \"%.*s\" is made for the model \"%.*s\", not for \"%.*s\"", MC_FMT(decoder),
                           MC_FMT(g->decoder.parent), MC_FMT(model));
  if (g->decoder.status != RESOURCE_ACTIVE)
    return control_invalid(call, of_decoder, g->why, "the decoder manifest \"%.*s\" is %s: make it ACTIVE first", MC_FMT(decoder), resource_status_name[g->decoder.status]);
  if (!mc_slice_to_str(decoder, g->v.manifest, sizeof g->v.manifest))
    return control_invalid(call, of_decoder, g->why, "the name is too long");
  return MC_OK;
}

/* ---- attributes ---- */

static mc_err read_attributes(vehicle_change *g, mc_attribute **out, size_t *count)
{
  json_t *from = json_object_get(g->in, "attributes"), *value;
  const char *name;
  *count = 0;
  mc_attribute *list = *out = mc_arena_array(g->call->arena, json_object_size(from), sizeof *list);
  if (!list)
    return MC_ERR_MEMORY;
  json_object_foreach (from, name, value)
    list[(*count)++] = (mc_attribute){mc_slice_str(name), mc_slice_of(json_string_value(value), json_string_length(value))};
  return MC_OK;
}

/* ---- one transaction of the registry: the vehicle, its attributes, state templates and tags (of a new one) ---- */

static mc_err write_update(void *ctx, uint32_t vehicle, mc_why *why)
{
  vehicle_change *g = ctx;
  return association_write(g->call, vehicle, g->in, why);
}

static mc_err write_new(void *ctx, uint32_t vehicle, mc_why *why)
{
  vehicle_change *g = ctx;
  MC_TRY(write_update(ctx, vehicle, why));
  return control_tags_set(g->call, "vehicle", mc_slice_str(g->v.name), json_object_get(g->in, "tags"), why);
}

static mc_err with_of(vehicle_change *g, bool fresh, mc_registry_with *out)
{
  *out = (mc_registry_with){.replace = fresh || mc_slice_eq_str(control_text(g->in, "attributeUpdateMode"), "Overwrite"), .also = fresh ? write_new : write_update, .ctx = g};
  if (!json_object_get(g->in, "attributes"))
    return MC_OK;
  mc_attribute *list;
  MC_TRY(read_attributes(g, &list, &out->attribute_count));
  out->attribute = list;
  return MC_OK;
}

/* What the registry refused, in FleetWise's words. */
static mc_err refused(vehicle_change *g, mc_err err, const mc_why *inner)
{
  mc_slice name = control_text(g->in, "vehicleName");
  if (err && g->call->error->fault != MC_CONTROL_OK) /* tags and templates have said it themselves */
    return mc_err_set(g->why, err, "%s", inner->text);
  switch (err) {
  case MC_ERR_CONFLICT:
  case MC_ERR_EXISTS:
    return control_conflict(g->call, "vehicle", name, g->why, "%s", inner->text);
  case MC_ERR_TOO_LARGE:
    return control_limit(g->call, "vehicle", name, g->why, "%s", inner->text);
  case MC_ERR_NOT_FOUND:
    return control_not_found(g->call, "vehicle", name, g->why);
  case MC_ERR_INVALID:
    return control_invalid(g->call, field(g, json_object_get(g->in, "attributes") ? "attributes" : "vehicleName"), g->why, "%s", inner->text);
  default:
    return err ? mc_err_set(g->why, err, "%s", inner->text) : MC_OK;
  }
}

/* ---- creating ---- */

static mc_err check_room(vehicle_change *g)
{
  uint64_t n = mc_registry_vehicle_count(g->call->c->config.registry, g->call->tenant), most = control_limit_of(g->call, LIMIT_VEHICLES);
  return n < most ? MC_OK
                  : control_limit(g->call, "vehicle", mc_slice_str(g->v.name), g->why, "there are %llu vehicles already; at most %llu (setting fleetwise_vehicles)",
                                  (unsigned long long)n, (unsigned long long)most);
}

static mc_err create(vehicle_change *g)
{
  mc_registry *r = g->call->c->config.registry;
  mc_slice name = control_text(g->in, "vehicleName");
  mc_vehicle other;
  mc_thing thing;
  mc_registry_with with;
  mc_why inner = {0};
  g->v = (mc_vehicle){.tenant = g->call->tenant};
  mc_slice_to_str(name, g->v.name, sizeof g->v.name);
  MC_TRY(find_decoder(g, control_text(g->in, "modelManifestArn"), control_text(g->in, "decoderManifestArn")));
  if (mc_registry_vehicle_find(r, g->call->tenant, name, &other) == MC_OK)
    return control_conflict(g->call, "vehicle", name, g->why, "there is a vehicle \"%s\" already", other.name);
  MC_TRY(check_room(g));
  MC_TRY(association_check(g->call, g->path, 0, g->in, g->why));
  MC_TRY(with_of(g, true, &with));
  bool exists = mc_registry_thing_find(r, g->call->tenant, name, &thing) == MC_OK;
  if (!exists && mc_slice_eq_str(control_text(g->in, "associationBehavior"), "ValidateIotThingExists"))
    return control_not_found(g->call, "thing", name, g->why);
  return refused(g, mc_registry_vehicle_create_with(r, &g->v, exists, &with, &inner), &inner);
}

static void created_answer(vehicle_change *g)
{
  control_call *call = g->call;
  mc_slice name = mc_slice_str(g->v.name), region = call->request->region.len ? call->request->region : MC_LIT("local"),
           account = call->request->account.len ? call->request->account : MC_LIT("000000000000");
  mc_json_text_field(call->out, "vehicleName", name);
  mc_json_text_field(call->out, "arn", control_arn(call, "vehicle", name));
  mc_json_text_field(call->out, "thingArn", mc_slice_str(mc_arena_printf(call->arena, "arn:aws:iot:%.*s:%.*s:thing/%s", MC_FMT(region), MC_FMT(account), g->v.name)));
}

static void updated_answer(vehicle_change *g)
{
  mc_json_text_field(g->call->out, "vehicleName", mc_slice_str(g->v.name));
  mc_json_text_field(g->call->out, "arn", control_arn(g->call, "vehicle", mc_slice_str(g->v.name)));
}

static mc_err one(control_call *call, mc_err (*change)(vehicle_change *g), void (*answer)(vehicle_change *g), mc_why *why)
{
  vehicle_change g = {.call = call, .in = call->in, .why = why};
  pthread_mutex_lock(&call->c->vocabulary);
  mc_err err = change(&g);
  pthread_mutex_unlock(&call->c->vocabulary);
  if (err)
    return err;
  answer(&g);
  mc_campaign_vehicle_changed(call->c, call->tenant, g.v.id);
  return MC_OK;
}

static mc_err create_vehicle(control_call *call, mc_why *why) { return one(call, create, created_answer, why); }

/* ---- updating ---- */

static mc_err update(vehicle_change *g)
{
  control_call *call = g->call;
  mc_slice name = control_text(g->in, "vehicleName"), mode = control_text(g->in, "attributeUpdateMode"), model = control_text(g->in, "modelManifestArn"),
           decoder = control_text(g->in, "decoderManifestArn");
  mc_registry_with with;
  mc_why inner = {0};
  if (mc_registry_vehicle_find(call->c->config.registry, call->tenant, name, &g->v))
    return control_not_found(call, "vehicle", name, g->why);
  if (json_object_get(g->in, "attributes") && !mode.len)
    return control_invalid(call, field(g, "attributeUpdateMode"), g->why, "say Overwrite or Merge, since attributes are given");
  if (model.len || decoder.len) {
    if (!decoder.len && !g->v.manifest[0])
      return control_invalid(call, field(g, "decoderManifestArn"), g->why, "the vehicle has no decoder manifest yet: name one");
    MC_TRY(find_decoder(g, model, decoder));
  }
  MC_TRY(association_check(call, g->path, g->v.id, g->in, g->why));
  MC_TRY(with_of(g, false, &with));
  return refused(g, mc_registry_vehicle_update_with(call->c->config.registry, &g->v, &with, &inner), &inner);
}

static mc_err update_vehicle(control_call *call, mc_why *why) { return one(call, update, updated_answer, why); }

/* ---- batches: each vehicle by itself, and what is wrong with it told beside ---- */

static const struct {
  const char *code;
  int number;
} codes[] = {[MC_CONTROL_OK] = {"InternalServerException", 500},
             [MC_CONTROL_VALIDATION] = {"ValidationException", 400},
             [MC_CONTROL_NOT_FOUND] = {"ResourceNotFoundException", 404},
             [MC_CONTROL_CONFLICT] = {"ConflictException", 409},
             [MC_CONTROL_LIMIT] = {"LimitExceededException", 402},
             [MC_CONTROL_INVALID_NODE] = {"InvalidNodeException", 400},
             [MC_CONTROL_INVALID_SIGNALS] = {"InvalidSignalsException", 400},
             [MC_CONTROL_DECODER_MANIFEST] = {"DecoderManifestValidationException", 400},
             [MC_CONTROL_ACCESS] = {"AccessDeniedException", 403},
             [MC_CONTROL_THROTTLED] = {"ThrottlingException", 429},
             [MC_CONTROL_INTERNAL] = {"InternalServerException", 500}};

static void error_row(mc_json *out, mc_slice name, mc_control_fault fault, bool as_text, const char *message)
{
  mc_json_object(out);
  mc_json_text_field(out, "vehicleName", name);
  if (as_text)
    mc_json_str_field(out, "code", codes[fault].code);
  else
    mc_json_int_field(out, "code", codes[fault].number);
  mc_json_str_field(out, "message", message);
  mc_json_object_end(out);
}

static mc_err batch(control_call *call, mc_err (*change)(vehicle_change *g), void (*answer)(vehicle_change *g), bool code_as_text, mc_why *why)
{
  json_t *list = json_object_get(call->in, "vehicles"), *item;
  size_t i, done = 0;
  uint32_t *changed = mc_arena_array(call->arena, json_array_size(list), sizeof *changed);
  mc_buf errors = {0};
  mc_json bad = mc_json_to(&errors);
  if (!changed)
    return MC_ERR_MEMORY;
  mc_json_array(&bad);
  mc_json_key(call->out, "vehicles");
  mc_json_array(call->out);
  json_array_foreach (list, i, item) {
    vehicle_change g = {.call = call, .in = item, .why = why};
    snprintf(g.path, sizeof g.path, "vehicles[%zu].", i);
    pthread_mutex_lock(&call->c->vocabulary);
    mc_err err = change(&g);
    pthread_mutex_unlock(&call->c->vocabulary);
    if (err) {
      error_row(&bad, control_text(item, "vehicleName"), call->error->fault, code_as_text, why->text);
      mc_control_error_free(call->error);
      *call->error = (mc_control_error){0};
      *why = (mc_why){0};
      continue;
    }
    changed[done++] = g.v.id;
    mc_json_object(call->out);
    answer(&g);
    mc_json_object_end(call->out);
  }
  mc_json_array_end(call->out);
  mc_json_array_end(&bad);
  mc_err err = mc_json_end(&bad);
  mc_json_key(call->out, "errors");
  if (!err)
    mc_json_raw(call->out, mc_buf_slice(&errors));
  mc_buf_free(&errors);
  for (i = 0; i < done; i++)
    mc_campaign_vehicle_changed(call->c, call->tenant, changed[i]);
  return err;
}

static mc_err batch_create(control_call *call, mc_why *why) { return batch(call, create, created_answer, true, why); }
static mc_err batch_update(control_call *call, mc_why *why) { return batch(call, update, updated_answer, false, why); }

/* ---- deleting ---- */

static mc_err forget(void *ctx, uint32_t vehicle, mc_why *why)
{
  control_call *call = ctx;
  MC_TRY(campaign_tags_forget(call->c, call->tenant, "vehicle", control_text(call->in, "vehicleName"), why));
  return association_forget(call->c, call->tenant, vehicle, why);
}

static mc_err delete_vehicle(control_call *call, mc_why *why)
{
  mc_slice name = control_text(call->in, "vehicleName");
  mc_registry_with with = {.also = forget, .ctx = call};
  mc_vehicle v;
  pthread_mutex_lock(&call->c->vocabulary);
  mc_err err = MC_OK;
  if (mc_registry_vehicle_find(call->c->config.registry, call->tenant, name, &v) == MC_OK) /* one that is gone is no fault: the contract names none */
    err = mc_registry_vehicle_delete_with(call->c->config.registry, call->tenant, v.id, &with, why);
  pthread_mutex_unlock(&call->c->vocabulary);
  MC_TRY(err == MC_ERR_NOT_FOUND ? MC_OK : err);
  mc_json_text_field(call->out, "vehicleName", name);
  mc_json_text_field(call->out, "arn", control_arn(call, "vehicle", name));
  return MC_OK;
}

/* ---- reading ---- */

static mc_err write_attribute_map(control_call *call, uint32_t vehicle, mc_why *why)
{
  mc_attribute *list;
  size_t n;
  MC_TRY(mc_registry_vehicle_attributes(call->c->config.registry, call->tenant, vehicle, call->arena, &list, &n, why));
  mc_json_key(call->out, "attributes");
  mc_json_object(call->out);
  for (size_t i = 0; i < n; i++) {
    mc_json_key_slice(call->out, list[i].name);
    mc_json_text(call->out, list[i].value);
  }
  mc_json_object_end(call->out);
  return MC_OK;
}

/* always: also of a vehicle that has none, as an empty text. */
static mc_err write_manifests(control_call *call, const mc_vehicle *v, bool always, mc_why *why)
{
  resource_head head = {0};
  mc_err err = v->manifest[0] ? resource_get(call->c, call->tenant, RESOURCE_DECODER, mc_slice_str(v->manifest), call->arena, &head, why) : MC_ERR_NOT_FOUND;
  if (err && err != MC_ERR_NOT_FOUND)
    return err;
  if (!err || always) {
    mc_json_text_field(call->out, "modelManifestArn", err ? (mc_slice){0} : control_arn(call, "model-manifest", head.parent));
    mc_json_text_field(call->out, "decoderManifestArn", err ? (mc_slice){0} : control_arn(call, "decoder-manifest", head.name));
  }
  return MC_OK;
}

static void write_times(control_call *call, const mc_vehicle *v)
{
  control_time(call->out, "creationTime", v->created_us);
  control_time(call->out, "lastModificationTime", v->updated_us ? v->updated_us : v->created_us);
}

static mc_err get_vehicle(control_call *call, mc_why *why)
{
  mc_slice name = control_text(call->in, "vehicleName");
  mc_vehicle v;
  if (mc_registry_vehicle_find(call->c->config.registry, call->tenant, name, &v))
    return control_not_found(call, "vehicle", name, why);
  mc_json_text_field(call->out, "vehicleName", name);
  mc_json_text_field(call->out, "arn", control_arn(call, "vehicle", name));
  MC_TRY(write_manifests(call, &v, false, why));
  MC_TRY(write_attribute_map(call, v.id, why));
  MC_TRY(association_answer(call, v.id, why));
  write_times(call, &v);
  return MC_OK;
}

/* Decoder manifests of the model that the list is about. */
typedef struct model_filter {
  mc_strmap decoder;
} model_filter;

static bool is_of_model(void *ctx, const mc_vehicle *v) { return mc_strmap_get(&((model_filter *)ctx)->decoder, mc_slice_str(v->manifest), NULL); }

static mc_err load_filter(control_call *call, mc_slice model, model_filter *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(call->c->config.db, false, why));
  mc_err err = mc_db_prepare(call->c->config.db, "SELECT name FROM vocabulary_resource WHERE tenant = $1 AND kind = 3 AND parent = $2", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, call->tenant);
    mc_stmt_bind_text(s, 2, model);
    while ((err = mc_stmt_step(s, why)) == MC_OK)
      if ((err = mc_strmap_put(&out->decoder, mc_stmt_text(s, 0), 1)))
        break;
    mc_stmt_release(&s);
  }
  mc_db_end(call->c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* Pairs of a name and a value, all of which must hold. */
static mc_err read_wanted(control_call *call, mc_attribute **out, size_t *count, mc_why *why)
{
  const json_t *names = json_object_get(call->in, "attributeNames"), *values = json_object_get(call->in, "attributeValues");
  *count = json_array_size(names);
  *out = mc_arena_array(call->arena, *count, sizeof **out);
  if (!*out)
    return MC_ERR_MEMORY;
  if (*count != json_array_size(values))
    return control_invalid(call, "attributeValues", why, "%zu values for %zu names: each name needs its value", json_array_size(values), *count);
  for (size_t i = 0; i < *count; i++) {
    (*out)[i] = (mc_attribute){mc_slice_str(json_string_value(json_array_get(names, i))), mc_slice_str(json_string_value(json_array_get(values, i)))};
    for (size_t k = 0; k < i; k++)
      if (mc_slice_eq((*out)[k].name, (*out)[i].name))
        return control_invalid(call, "attributeNames", why, "\"%.*s\" is named twice", MC_FMT((*out)[i].name));
  }
  return MC_OK;
}

static mc_err summaries(control_call *call, const mc_vehicle *v, size_t count, mc_why *why)
{
  bool metadata_only = control_text(call->in, "listResponseScope").len != 0;
  mc_json_key(call->out, "vehicleSummaries");
  mc_json_array(call->out);
  for (size_t i = 0; i < count; i++) {
    mc_json_object(call->out);
    mc_json_str_field(call->out, "vehicleName", v[i].name);
    mc_json_text_field(call->out, "arn", control_arn(call, "vehicle", mc_slice_str(v[i].name)));
    MC_TRY(write_manifests(call, &v[i], true, why));
    if (!metadata_only)
      MC_TRY(write_attribute_map(call, v[i].id, why));
    write_times(call, &v[i]);
    mc_json_object_end(call->out);
  }
  mc_json_array_end(call->out);
  return MC_OK;
}

static mc_err list_vehicles(control_call *call, mc_why *why)
{
  control_page page;
  mc_attribute *wanted;
  model_filter filter = {0};
  mc_vehicle *list;
  size_t wanted_count, n;
  mc_slice model = {0}, arn = control_text(call->in, "modelManifestArn");
  MC_TRY(control_page_of(call, &page, why));
  MC_TRY(read_wanted(call, &wanted, &wanted_count, why));
  if (arn.len) {
    MC_TRY(control_arn_name(call, "modelManifestArn", arn, "model-manifest", &model, why));
    MC_TRY(load_filter(call, model, &filter, why));
  }
  mc_err err = mc_registry_vehicle_search(call->c->config.registry, call->tenant, wanted, wanted_count, arn.len ? is_of_model : NULL, &filter, page.after, page.limit + 1,
                                          call->arena, &list, &n, why);
  mc_strmap_free(&filter.decoder);
  MC_TRY(err);
  bool more = n > page.limit;
  MC_TRY(summaries(call, list, more ? page.limit : n, why));
  if (more)
    control_page_next(call, mc_slice_str(list[page.limit - 1].name));
  return MC_OK;
}

const control_operation control_vehicle[] = {
    {{"BatchCreateVehicle", "vehicle:write", true}, batch_create},
    {{"BatchUpdateVehicle", "vehicle:write", true}, batch_update},
    {{"CreateVehicle", "vehicle:write", true}, create_vehicle},
    {{"DeleteVehicle", "vehicle:write", true}, delete_vehicle},
    {{"GetVehicle", "vehicle:read", false}, get_vehicle},
    {{"ListVehicles", "vehicle:read", false}, list_vehicles},
    {{"UpdateVehicle", "vehicle:write", true}, update_vehicle},
    {{"AssociateVehicleFleet", "vehicle:write", true}, control_associate_vehicle_fleet},
    {{"CreateFleet", "vehicle:write", true}, control_create_fleet},
    {{"DeleteFleet", "vehicle:write", true}, control_delete_fleet},
    {{"DisassociateVehicleFleet", "vehicle:write", true}, control_disassociate_vehicle_fleet},
    {{"GetFleet", "vehicle:read", false}, control_get_fleet},
    {{"ListFleets", "vehicle:read", false}, control_list_fleets},
    {{"ListFleetsForVehicle", "vehicle:read", false}, control_list_fleets_for_vehicle},
    {{"ListVehiclesInFleet", "vehicle:read", false}, control_list_vehicles_in_fleet},
    {{"UpdateFleet", "vehicle:write", true}, control_update_fleet},
};
const size_t control_vehicle_count = sizeof control_vehicle / sizeof control_vehicle[0];
