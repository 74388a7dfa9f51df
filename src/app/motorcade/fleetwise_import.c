/* A checked bundle becomes resources, kind by kind. Every step may have been done before: what is there is compared, completed where the API can add to it
 * (nodes of a catalog, decoders of a draft), and otherwise left as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/motorcade/fleetwise_bundle.h"
#include "base/clock.h"
#include "base/map.h"

enum { PIECE = 500 /* nodes or decoders of one call: AWS's own limit */, BATCH = 10 /* vehicles, likewise */ };

const char *const fleetwise_outcome_name[FLEETWISE_OUTCOMES] = {"made", "there already", "there, but different", "refused"};

typedef struct run {
  fleetwise_import *m;
  const fleetwise_bundle *b;
  mc_why reason; /* of the last refusal */
  mc_why *why;   /* of the connection */
} run;

static void done(run *r, fleetwise_kind kind, const char *name, fleetwise_outcome outcome, const char *text)
{
  r->m->count[kind][outcome]++;
  if (r->m->told)
    r->m->told(r->m->ctx, kind, name, outcome, text);
}

/* Takes input. Refusals of the platform are the step's; what the connection could not do ends the run. */
static mc_err ask(run *r, const char *operation, json_t *input, json_t **answer)
{
  json_t *own = NULL;
  mc_err err = input ? r->m->call(r->m->ctx, operation, input, &own, &r->reason) : MC_ERR_MEMORY;
  json_decref(input);
  if (answer)
    *answer = err ? NULL : own;
  else
    json_decref(own);
  return err;
}

static bool ends_run(mc_err err)
{
  return err == MC_ERR_MEMORY || err == MC_ERR_IO || err == MC_ERR_CLOSED || err == MC_ERR_TIMEOUT || err == MC_ERR_UNAUTHENTICATED || err == MC_ERR_DENIED;
}

static mc_err ended(run *r, mc_err err)
{
  if (!ends_run(err))
    return MC_OK;
  return mc_err_set(r->why, err, "%s", r->reason.text[0] ? r->reason.text : mc_err_text(err));
}

static void put(json_t *to, const char *key, const json_t *value)
{
  if (value && !json_is_null(value))
    json_object_set(to, key, (json_t *)value);
}

static void put_arn(json_t *to, const char *key, const char *kind, const char *name)
{
  char arn[400];
  snprintf(arn, sizeof arn, "arn:aws:iotfleetwise:local:000000000000:%s/%.200s", kind, name);
  json_object_set_new(to, key, json_string(arn));
}

static json_t *named(const char *key, const char *name) { return json_pack("{s:s}", key, name); }

/* All of a list, page by page. */
static mc_err read_list(run *r, const char *operation, const char *name, const char *list, json_t **out)
{
  char token[600] = "";
  *out = json_array();
  do {
    json_t *in = json_pack("{s:s, s:i}", "name", name, "maxResults", 100), *page = NULL;
    if (token[0])
      json_object_set_new(in, "nextToken", json_string(token));
    mc_err err = ask(r, operation, in, &page);
    if (err) {
      json_decref(*out);
      *out = NULL;
      return err;
    }
    json_array_extend(*out, json_object_get(page, list));
    snprintf(token, sizeof token, "%s", fleetwise_text(page, "nextToken"));
    json_decref(page);
  } while (token[0]);
  return MC_OK;
}

/* ---- is it the same? ---- */

static bool says_nothing(const json_t *v)
{
  return json_is_null(v) || json_is_false(v) || (json_is_string(v) && !json_string_length(v)) || (json_is_number(v) && json_number_value(v) == 0) || (json_is_array(v) && !json_array_size(v)) ||
         (json_is_object(v) && !json_object_size(v));
}

/* Does the platform's own document say what was wanted? It may say more: what was left to a default is written out there. */
static bool agrees(const json_t *wanted, const json_t *own)
{
  const char *key;
  json_t *value;
  size_t i;
  if (json_is_number(wanted) && json_is_number(own))
    return json_number_value(wanted) == json_number_value(own); /* 1 and 1.0 */
  if (json_is_object(wanted) && json_is_object(own)) {
    json_object_foreach ((json_t *)wanted, key, value) {
      const json_t *there = json_object_get(own, key);
      if (there ? !agrees(value, there) : !says_nothing(value))
        return false;
    }
    return true;
  }
  if (json_is_array(wanted) && json_is_array(own)) {
    json_array_foreach ((json_t *)wanted, i, value)
      if (i >= json_array_size(own) || !agrees(value, json_array_get(own, i)))
        return false;
    return json_array_size(wanted) == json_array_size(own);
  }
  return json_equal((json_t *)wanted, (json_t *)own);
}

/* ---- what stands in lists that are too long for one call ---- */

typedef struct listing {
  const char *read, *list; /* the operation that tells what is there, and its member */
  const char *update, *member; /* the operation that adds, and its member */
  const char *(*key)(const json_t *item);
} listing;

static const char *decoder_key(const json_t *item) { return fleetwise_text(item, "fullyQualifiedName"); }
static const listing catalog_nodes = {"ListSignalCatalogNodes", "nodes", "UpdateSignalCatalog", "nodesToAdd", fleetwise_node_name};
static const listing decoders = {"ListDecoderManifestSignals", "signalDecoders", "UpdateDecoderManifest", "signalDecodersToAdd", decoder_key};

/* Those of wanted that are not there; *different: one that is there says something else. */
static mc_err missing_of(run *r, const listing *l, const char *name, const json_t *wanted, json_t **missing, bool *different)
{
  json_t *there, *item, *known = json_object();
  size_t i;
  *missing = json_array();
  mc_err err = read_list(r, l->read, name, l->list, &there);
  json_array_foreach (there, i, item)
    json_object_set(known, l->key(item), item);
  json_array_foreach ((json_t *)wanted, i, item) {
    json_t *own = json_object_get(known, l->key(item));
    if (!own)
      json_array_append(*missing, item);
    else if (!agrees(item, own))
      *different = true;
  }
  json_decref(there);
  json_decref(known);
  return err;
}

static mc_err add_missing(run *r, const listing *l, const char *name, const json_t *missing)
{
  size_t n = json_array_size(missing);
  for (size_t at = 0; at < n; at += PIECE) {
    json_t *in = named("name", name), *piece = json_array();
    for (size_t i = at; i < at + PIECE && i < n; i++)
      json_array_append(piece, json_array_get(missing, i));
    json_object_set_new(in, l->member, piece);
    MC_TRY(ask(r, l->update, in, NULL));
  }
  return MC_OK;
}

/* The list of a resource that was just made, or made before. */
static mc_err complete(run *r, const listing *l, const char *name, const json_t *wanted, bool fresh, bool *different)
{
  json_t *missing = NULL;
  if (fresh)
    return add_missing(r, l, name, wanted);
  mc_err err = missing_of(r, l, name, wanted, &missing, different);
  if (!err)
    err = add_missing(r, l, name, missing);
  json_decref(missing);
  return err;
}

/* Is it there as it should be? Of what both say, everything is the same. */
static bool same_members(const json_t *wanted, const json_t *own, const char *const *member)
{
  for (; *member; member++) {
    const json_t *a = json_object_get(wanted, *member), *b = json_object_get(own, *member);
    bool arn = strlen(*member) > 3 && !strcmp(*member + strlen(*member) - 3, "Arn");
    if (arn ? strcmp(fleetwise_arn_name(fleetwise_text(wanted, *member)), fleetwise_arn_name(fleetwise_text(own, *member))) != 0 : a && (b ? !agrees(a, b) : !says_nothing(a)))
      return false;
  }
  return true;
}

/* Creates; when there is one of the name, *fresh is false and *differs tells whether it is another one. */
static mc_err create(run *r, const char *operation, json_t *input, const char *get, const char *key, const char *name, const char *const *member, bool *fresh, bool *differs)
{
  json_t *own = NULL;
  json_incref(input);
  mc_err err = ask(r, operation, input, NULL);
  *fresh = err == MC_OK;
  *differs = false;
  if (err == MC_ERR_CONFLICT) {
    mc_why before = r->reason;
    err = ask(r, get, named(key, name), &own);
    if (err == MC_ERR_NOT_FOUND) /* it was another conflict */
      r->reason = before;
    *differs = !err && !same_members(input, own, member);
    json_decref(own);
  }
  json_decref(input);
  return err;
}

static mc_err settle(run *r, fleetwise_kind kind, const char *name, mc_err err, bool fresh, bool differs)
{
  MC_TRY(ended(r, err));
  fleetwise_outcome outcome = err ? FLEETWISE_REFUSED : fresh ? FLEETWISE_MADE : differs ? FLEETWISE_DIFFERS : FLEETWISE_THERE;
  done(r, kind, name, outcome, err ? r->reason.text : differs ? "it stays as it is" : "");
  return MC_OK;
}

/* ---- catalogs: branches and structs before what names them ---- */

static int node_rank(const json_t *node)
{
  static const char *const first[] = {"branch", "struct", "property"};
  const char *kind = json_object_iter_key(json_object_iter((json_t *)node));
  for (int i = 0; kind && i < 3; i++)
    if (!strcmp(kind, first[i]))
      return i;
  return 3;
}

static int node_order(const void *a, const void *b)
{
  const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
  int rank = node_rank(x) - node_rank(y);
  return rank ? rank : strcmp(fleetwise_node_name(x), fleetwise_node_name(y));
}

static json_t *ordered_nodes(const json_t *nodes)
{
  size_t n = json_array_size(nodes), i;
  json_t **list = calloc(n ? n : 1, sizeof(json_t *)), *out = json_array();
  for (i = 0; list && i < n; i++)
    list[i] = json_array_get(nodes, i);
  if (list && n)
    qsort(list, n, sizeof *list, node_order);
  for (i = 0; list && i < n; i++)
    json_array_append(out, list[i]);
  free(list);
  return out;
}

static mc_err make_catalog(run *r, const char *name, json_t *e)
{
  static const char *const member[] = {"description", NULL};
  bool fresh, differs;
  json_t *in = named("name", name), *nodes = ordered_nodes(json_object_get(e, "nodes"));
  put(in, "description", json_object_get(fleetwise_known(e), "description"));
  mc_err err = create(r, "CreateSignalCatalog", in, "GetSignalCatalog", "name", name, member, &fresh, &differs);
  if (!err)
    err = complete(r, &catalog_nodes, name, nodes, fresh, &differs);
  json_decref(nodes);
  return settle(r, FLEETWISE_CATALOG, name, err, fresh, differs);
}

/* ---- models and decoder manifests: drafts, then ACTIVE ---- */

static mc_err activate(run *r, const char *operation, const char *name, const json_t *get, const json_t *more)
{
  if (strcmp(fleetwise_text(get, "status"), "ACTIVE") != 0)
    return MC_OK;
  json_t *in = json_pack("{s:s, s:s}", "name", name, "status", "ACTIVE");
  if (more)
    json_object_update(in, (json_t *)more);
  mc_err err = ask(r, operation, in, NULL);
  return err == MC_ERR_CONFLICT ? MC_OK : err; /* it is ACTIVE already */
}

static mc_err make_model(run *r, const char *name, json_t *e)
{
  static const char *const member[] = {"description", "signalCatalogArn", NULL};
  bool fresh, differs;
  const json_t *get = fleetwise_known(e);
  json_t *in = named("name", name), *names = json_array(), *node;
  size_t i;
  json_array_foreach (json_object_get(e, "nodes"), i, node)
    if (node_rank(node) != 0) /* a branch would stand for all below it, also for what the model has not */
      json_array_append_new(names, json_string(fleetwise_node_name(node)));
  put(in, "description", json_object_get(get, "description"));
  put_arn(in, "signalCatalogArn", "signal-catalog", fleetwise_arn_name(fleetwise_text(get, "signalCatalogArn")));
  json_object_set_new(in, "nodes", names);
  mc_err err = create(r, "CreateModelManifest", in, "GetModelManifest", "name", name, member, &fresh, &differs);
  if (!err)
    err = activate(r, "UpdateModelManifest", name, get, NULL);
  return settle(r, FLEETWISE_MODEL, name, err, fresh, differs);
}

static mc_err make_decoder(run *r, const char *name, json_t *e)
{
  static const char *const member[] = {"description", "modelManifestArn", NULL};
  bool fresh, differs;
  const json_t *get = fleetwise_known(e);
  json_t *in = named("name", name), *own = NULL;
  put(in, "description", json_object_get(get, "description"));
  put_arn(in, "modelManifestArn", "model-manifest", fleetwise_arn_name(fleetwise_text(get, "modelManifestArn")));
  put(in, "networkInterfaces", json_object_get(e, "networkInterfaces"));
  mc_err err = create(r, "CreateDecoderManifest", in, "GetDecoderManifest", "name", name, member, &fresh, &differs);
  if (!err && !fresh)
    err = ask(r, "GetDecoderManifest", named("name", name), &own);
  bool draft = fresh || strcmp(fleetwise_text(own, "status"), "ACTIVE") != 0;
  json_decref(own);
  if (!err && draft)
    err = complete(r, &decoders, name, json_object_get(e, "signalDecoders"), fresh, &differs);
  else if (!err) { /* nothing can be added to it: only told */
    json_t *missing = NULL;
    err = missing_of(r, &decoders, name, json_object_get(e, "signalDecoders"), &missing, &differs);
    differs |= json_array_size(missing) > 0;
    json_decref(missing);
  }
  if (!err && draft)
    err = activate(r, "UpdateDecoderManifest", name, get, NULL);
  return settle(r, FLEETWISE_DECODER, name, err, fresh, differs);
}

/* ---- state templates, vehicles, fleets ---- */

static mc_err make_template(run *r, const char *name, json_t *e)
{
  static const char *const member[] = {"description", "signalCatalogArn", "stateTemplateProperties", "dataExtraDimensions", "metadataExtraDimensions", NULL};
  bool fresh, differs;
  const json_t *get = fleetwise_known(e);
  json_t *in = named("name", name);
  for (size_t i = 0; member[i]; i++)
    put(in, member[i], json_object_get(get, member[i]));
  put_arn(in, "signalCatalogArn", "signal-catalog", fleetwise_arn_name(fleetwise_text(get, "signalCatalogArn")));
  mc_err err = create(r, "CreateStateTemplate", in, "GetStateTemplate", "identifier", name, member, &fresh, &differs);
  return settle(r, FLEETWISE_TEMPLATE, name, err, fresh, differs);
}

static json_t *vehicle_input(const run *r, const char *name, const json_t *get)
{
  json_t *in = named("vehicleName", name), *templates = json_array(), *item;
  size_t i;
  put_arn(in, "modelManifestArn", "model-manifest", fleetwise_arn_name(fleetwise_text(get, "modelManifestArn")));
  put_arn(in, "decoderManifestArn", "decoder-manifest", fleetwise_arn_name(fleetwise_text(get, "decoderManifestArn")));
  put(in, "attributes", json_object_get(get, "attributes"));
  json_array_foreach (json_object_get(get, "stateTemplates"), i, item) {
    json_t *copy = json_copy(item);
    const char *known = json_string_value(json_object_get(r->b->template_name, fleetwise_text(item, "identifier")));
    if (known) /* the id is AWS's, ours is another */
      json_object_set_new(copy, "identifier", json_string(known));
    json_array_append_new(templates, copy);
  }
  if (json_array_size(templates))
    json_object_set(in, "stateTemplates", templates);
  json_decref(templates);
  return in;
}

/* One that a batch refused: is it there? */
static mc_err judge_vehicle(run *r, const char *name, const json_t *in, const char *text)
{
  static const char *const member[] = {"modelManifestArn", "decoderManifestArn", "attributes", NULL};
  json_t *own = NULL;
  mc_why before = {0};
  snprintf(before.text, sizeof before.text, "%s", text);
  mc_err err = ask(r, "GetVehicle", named("vehicleName", name), &own);
  MC_TRY(ended(r, err));
  bool same = !err && same_members(in, own, member);
  json_decref(own);
  done(r, FLEETWISE_VEHICLE, name, err ? FLEETWISE_REFUSED : same ? FLEETWISE_THERE : FLEETWISE_DIFFERS, err ? before.text : same ? "" : "it stays as it is");
  return MC_OK;
}

/* Takes list. */
static mc_err make_vehicles(run *r, json_t *list)
{
  json_t *answer = NULL, *in, *bad;
  size_t i, k;
  mc_err err = json_array_size(list) ? ask(r, "BatchCreateVehicle", json_pack("{s:O}", "vehicles", list), &answer) : MC_OK;
  mc_err stop = ended(r, err);
  json_array_foreach (list, i, in) {
    const char *name = fleetwise_text(in, "vehicleName"), *reason = err ? r->reason.text : NULL;
    if (stop)
      break;
    json_array_foreach (json_object_get(answer, "errors"), k, bad)
      if (!strcmp(fleetwise_text(bad, "vehicleName"), name))
        reason = fleetwise_text(bad, "message");
    if (reason)
      stop = judge_vehicle(r, name, in, reason);
    else
      done(r, FLEETWISE_VEHICLE, name, FLEETWISE_MADE, "");
  }
  json_decref(answer);
  json_decref(list);
  return stop;
}

static mc_err make_all_vehicles(run *r)
{
  const char *name;
  json_t *e, *list = json_array();
  mc_err err = MC_OK;
  json_object_foreach (r->b->of[FLEETWISE_VEHICLE], name, e) {
    json_array_append_new(list, vehicle_input(r, name, fleetwise_known(e)));
    if (json_array_size(list) < BATCH)
      continue;
    err = make_vehicles(r, list);
    list = json_array();
    if (err)
      break;
  }
  if (err) {
    json_decref(list);
    return err;
  }
  return make_vehicles(r, list);
}

static mc_err make_fleet(run *r, const char *name, json_t *e)
{
  static const char *const member[] = {"description", "signalCatalogArn", NULL};
  bool fresh, differs;
  const json_t *get = fleetwise_known(e);
  json_t *in = named("fleetId", name), *item;
  size_t i;
  put(in, "description", json_object_get(get, "description"));
  put_arn(in, "signalCatalogArn", "signal-catalog", fleetwise_arn_name(fleetwise_text(get, "signalCatalogArn")));
  mc_err err = create(r, "CreateFleet", in, "GetFleet", "fleetId", name, member, &fresh, &differs);
  json_array_foreach (json_object_get(e, "vehicles"), i, item) {
    if (err)
      break;
    err = ask(r, "AssociateVehicleFleet", json_pack("{s:s, s:O}", "fleetId", name, "vehicleName", item), NULL);
    if (err == MC_ERR_CONFLICT) /* it is in it */
      err = MC_OK;
  }
  return settle(r, FLEETWISE_FLEET, name, err, fresh, differs);
}

/* ---- campaigns ---- */

/* The command line writes times as text, the API takes seconds. */
static void put_time(json_t *to, const char *key, const json_t *value)
{
  const char *text = json_string_value(value);
  int64_t us;
  if (!text)
    put(to, key, value);
  else if (mc_clock_parse_us(mc_slice_str(text), &us) == MC_OK)
    json_object_set_new(to, key, json_real((double)us / 1e6));
}

static mc_err set_action(run *r, const char *name, const char *action)
{
  return ask(r, "UpdateCampaign", json_pack("{s:s, s:s}", "name", name, "action", action), NULL);
}

static mc_err make_campaign(run *r, const char *name, json_t *e)
{
  static const char *const member[] = {"description", "postTriggerCollectionDuration", "diagnosticsMode", "spoolingMode", "compression", "priority", "signalsToCollect", "collectionScheme",
                                       "dataExtraDimensions", "dataDestinationConfigs", "dataPartitions", "signalsToFetch", "targetArn", NULL};
  bool fresh, differs;
  const json_t *get = fleetwise_known(e);
  const char *target = fleetwise_text(get, "targetArn"), *status = fleetwise_text(get, "status");
  json_t *in = named("name", name);
  for (size_t i = 0; member[i]; i++) {
    const json_t *value = json_object_get(get, member[i]);
    if (!json_is_array(value) || json_array_size(value)) /* empty lists are answered, and not taken */
      put(in, member[i], value);
  }
  put_time(in, "startTime", json_object_get(get, "startTime"));
  put_time(in, "expiryTime", json_object_get(get, "expiryTime"));
  put_arn(in, "signalCatalogArn", "signal-catalog", fleetwise_arn_name(fleetwise_text(get, "signalCatalogArn")));
  put_arn(in, "targetArn", strstr(target, ":vehicle/") ? "vehicle" : "fleet", fleetwise_arn_name(target));
  mc_err err = create(r, "CreateCampaign", in, "GetCampaign", "name", name, member, &fresh, &differs);
  bool ran = !strcmp(status, "RUNNING");
  if (!err && !differs && r->m->approve && (ran || !strcmp(status, "SUSPENDED"))) {
    err = set_action(r, name, "APPROVE");
    if (!err && !ran)
      err = set_action(r, name, "SUSPEND");
    if (err == MC_ERR_CONFLICT) /* it waits no more: what people made of it here goes before what it was there */
      err = MC_OK;
  }
  return settle(r, FLEETWISE_CAMPAIGN, name, err, fresh, differs);
}

mc_err fleetwise_import_run(fleetwise_import *m, const fleetwise_bundle *b, mc_why *why)
{
  static mc_err (*const make[FLEETWISE_KINDS])(run *, const char *, json_t *) = {
      [FLEETWISE_CATALOG] = make_catalog, [FLEETWISE_MODEL] = make_model, [FLEETWISE_DECODER] = make_decoder, [FLEETWISE_TEMPLATE] = make_template,
      [FLEETWISE_FLEET] = make_fleet,     [FLEETWISE_CAMPAIGN] = make_campaign};
  run r = {.m = m, .b = b, .why = why};
  const char *name;
  json_t *e;
  memset(m->count, 0, sizeof m->count);
  for (int k = 0; k < FLEETWISE_KINDS; k++) {
    if (k == FLEETWISE_VEHICLE) {
      MC_TRY(make_all_vehicles(&r));
      continue;
    }
    json_object_foreach (b->of[k], name, e)
      MC_TRY(make[k](&r, name, e));
  }
  return MC_OK;
}
