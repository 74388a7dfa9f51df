/* Catalogs, models, decoder manifests, vehicles and fleets through our HTTP API: FleetWise's documents, our paths, cursors and problems. */
#include "api/inside.h"
#include "api_fixture.h"

static world w;
static api_patterns *patterns;

/* Single quotes stand for double ones. Checks an answer of success against the operation's description. */
static answer errand(const char *operation, const char *method, const char *target, const char *body)
{
  char text[3000];
  snprintf(text, sizeof text, "%s", body ? body : "");
  for (char *p = text; *p; p++)
    if (*p == '\'')
      *p = '"';
  answer a = ask(&w, w.token[MC_ROLE_ADMIN], method, target, body ? text : NULL);
  const api_operation *op = api_operation_table;
  while (strcmp(op->id, operation))
    op++;
  char field[160];
  mc_why why = {0};
  if (a.status < 300 && op->reply && (!a.json || schema_check(patterns, op->reply, a.json, field, sizeof field, &why))) {
    printf("# %s: answer breaks its description at %s: %s\n", operation, field, why.text);
    a.status = -1;
  }
  return a;
}

#define EXPECT(a, want)                                                                                     \
  do {                                                                                                      \
    if ((a).status != (want))                                                                               \
      TAP_FAIL("status %d, want %d: %s", (a).status, (want), text_of(&(a), "detail"));                       \
  } while (0)
/* One errand that must end so, with nothing more to look at. */
#define DONE(operation, method, target, body, want)                 \
  do {                                                              \
    answer done_ = errand(operation, method, target, body);         \
    EXPECT(done_, want);                                            \
    answer_free(&done_);                                            \
  } while (0)

#define ARN(kind, name) "arn:aws:iotfleetwise:local:000000000000:" kind "/" name

static size_t items(const answer *a) { return json_array_size(json_object_get(a->json, "items")); }

static void test_a_model_grows_from_a_catalog_to_an_active_manifest(void)
{
  DONE("catalog_create", "POST", "/api/v1/catalogs",
       "{'name':'cars','nodes':[{'sensor':{'fullyQualifiedName':'V.Speed','dataType':'FLOAT'}},{'sensor':{'fullyQualifiedName':'V.Gear','dataType':'INT8'}}]}", 201);
  DONE("catalog_create", "POST", "/api/v1/catalogs", "{'name':'tree','vss':{'vssJson':'{\\'A\\':{\\'type\\':\\'sensor\\',\\'datatype\\':\\'float\\'}}'}}", 201);
  DONE("catalog_update", "PATCH", "/api/v1/catalogs/cars", "{'nodesToAdd':[{'sensor':{'fullyQualifiedName':'V.Door.Open','dataType':'BOOLEAN'}}]}", 200);
  answer a = errand("catalog_get", "GET", "/api/v1/catalogs/cars", NULL);
  EXPECT(a, 200);
  CHECK_INT(json_integer_value(json_object_get(json_object_get(a.json, "nodeCounts"), "totalSensors")), 3);
  answer_free(&a);
  a = errand("catalog_nodes", "GET", "/api/v1/catalogs/cars/nodes?limit=2&type=SENSOR", NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 2);
  char target[700];
  snprintf(target, sizeof target, "/api/v1/catalogs/cars/nodes?limit=2&type=SENSOR&after=%s", text_of(&a, "next"));
  answer_free(&a);
  a = errand("catalog_nodes", "GET", target, NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 1);
  CHECK_STR(text_of(&a, "next"), "");
  answer_free(&a);
  a = errand("catalog_list", "GET", "/api/v1/catalogs", NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 2);
  answer_free(&a);
  DONE("model_create", "POST", "/api/v1/models", "{'name':'m','signalCatalogArn':'" ARN("signal-catalog", "cars") "','nodes':['V.Speed']}", 201);
  DONE("model_update", "PATCH", "/api/v1/models/m", "{'nodesToAdd':['V.Gear'],'status':'ACTIVE'}", 200);
  DONE("model_get", "GET", "/api/v1/models/m", NULL, 200);
  a = errand("model_nodes", "GET", "/api/v1/models/m/nodes", NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 2);
  answer_free(&a);
  a = errand("model_list", "GET", "/api/v1/models?catalog=tree", NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 0);
  answer_free(&a);
  DONE("decoder_create", "POST", "/api/v1/decoders", "{'name':'d','modelManifestArn':'" ARN("model-manifest", "m") "'}", 201);
  DONE("decoder_import", "POST", "/api/v1/decoders/d/import",
       "{'networkFileDefinitions':[{'canDbc':{'networkInterface':'can0','canDbcFiles':['Qk9fIDEgQTogOCBFCiBTR18gUyA6IDB8OEAxKyAoMSwwKSBbMHwxXSAiIiBFCg=='],'signalsMap':{'V.Speed':'S'}}}]}", 200);
  DONE("decoder_update", "PATCH", "/api/v1/decoders/d", "{'status':'ACTIVE','defaultForUnmappedSignals':'CUSTOM_DECODING'}", 200);
  a = errand("decoder_get", "GET", "/api/v1/decoders/d", NULL);
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "status"), "ACTIVE");
  answer_free(&a);
  a = errand("decoder_signals", "GET", "/api/v1/decoders/d/signals", NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 1);
  answer_free(&a);
  a = errand("decoder_interfaces", "GET", "/api/v1/decoders/d/interfaces", NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 1);
  answer_free(&a);
  a = errand("decoder_list", "GET", "/api/v1/decoders?model=m", NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 1);
  answer_free(&a);
}

static void test_problems_tell_the_field_and_all_that_is_wrong(void)
{
  answer a = errand("catalog_create", "POST", "/api/v1/catalogs", "{'name':'bad','nodes':[{'sensor':{'fullyQualifiedName':'V.Speed','dataType':'FLOATS'}}]}");
  EXPECT(a, 400);
  CHECK_STR(text_of(&a, "field"), "/nodes/0/sensor/dataType");
  answer_free(&a);
  a = errand("catalog_create", "POST", "/api/v1/catalogs", "{'name':'cars'}");
  EXPECT(a, 409);
  CHECK_STR(text_of(&a, "resource"), "cars");
  answer_free(&a);
  a = errand("catalog_update", "PATCH", "/api/v1/catalogs/cars", "{'nodesToAdd':[{'sensor':{'fullyQualifiedName':'V.Speed','dataType':'FLOAT'}}]}");
  EXPECT(a, 422);
  CHECK_INT(json_array_size(json_object_get(a.json, "invalidNodes")), 1);
  answer_free(&a);
  a = errand("decoder_create", "POST", "/api/v1/decoders",
             "{'name':'e','modelManifestArn':'" ARN("model-manifest", "m") "','signalDecoders':[{'fullyQualifiedName':'V.None','type':'CAN_SIGNAL','interfaceId':'x'}]}");
  EXPECT(a, 422);
  CHECK(strstr(text_of(&a, "detail"), "V.None: NO_SIGNAL_IN_CATALOG_FOR_DECODER_SIGNAL"));
  CHECK_INT(json_array_size(json_object_get(a.json, "invalidSignals")), 1);
  answer_free(&a);
  DONE("model_get", "GET", "/api/v1/models/none", NULL, 404);
  DONE("model_delete", "DELETE", "/api/v1/models/m", NULL, 409);
  DONE("model_delete", "DELETE", "/api/v1/models/none", NULL, 404);
  DONE("fleet_delete", "DELETE", "/api/v1/fleets/none", NULL, 404);
  DONE("catalog_nodes", "GET", "/api/v1/catalogs/cars/nodes?after=!", NULL, 400);
  a = ask(&w, w.other, "GET", "/api/v1/catalogs/cars", NULL); /* another tenant's */
  EXPECT(a, 404);
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_VIEWER], "DELETE", "/api/v1/catalogs/cars", NULL);
  EXPECT(a, 403);
  answer_free(&a);
}

static void test_vehicles_and_fleets(void)
{
  char target[200], body[400];
  mc_vehicle v;
  CHECK_OK(mc_registry_vehicle_get(w.registry, 1, w.vehicle, &v));
  snprintf(target, sizeof target, "/api/v1/vehicles/%u/definition", w.vehicle);
  DONE("vehicle_define", "PATCH", target,
       "{'modelManifestArn':'" ARN("model-manifest", "m") "','decoderManifestArn':'" ARN("decoder-manifest", "d") "','attributes':{'colour':'red'},'attributeUpdateMode':'Merge'}", 200);
  answer a = errand("vehicle_definition", "GET", target, NULL);
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "decoderManifestArn"), ARN("decoder-manifest", "d"));
  CHECK_STR(json_string_value(json_object_get(json_object_get(a.json, "attributes"), "colour")), "red");
  answer_free(&a);
  DONE("fleet_create", "POST", "/api/v1/fleets", "{'fleetId':'north','signalCatalogArn':'" ARN("signal-catalog", "cars") "'}", 201);
  DONE("fleet_update", "PATCH", "/api/v1/fleets/north", "{'description':'up'}", 200);
  DONE("fleet_get", "GET", "/api/v1/fleets/north", NULL, 200);
  snprintf(body, sizeof body, "/api/v1/fleets/north/vehicles/%s", v.name);
  DONE("fleet_join", "PUT", body, NULL, 204);
  a = errand("fleet_vehicles", "GET", "/api/v1/fleets/north/vehicles", NULL);
  EXPECT(a, 200);
  CHECK_STR(json_string_value(json_array_get(json_object_get(a.json, "items"), 0)), v.name);
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/vehicles/%u/fleets", w.vehicle);
  a = errand("vehicle_fleets", "GET", target, NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 1);
  answer_free(&a);
  a = errand("campaign_reach", "POST", "/api/v1/campaigns/reach", "{'target_kind':'fleet','target':'north','signals':['V.Speed']}");
  EXPECT(a, 200);
  CHECK_INT(json_integer_value(json_object_get(a.json, "vehicles")), 1);
  answer_free(&a);
  DONE("fleet_delete", "DELETE", "/api/v1/fleets/north", NULL, 400); /* it has a vehicle */
  DONE("decoder_delete", "DELETE", "/api/v1/decoders/d", NULL, 409);
  DONE("fleet_leave", "DELETE", body, NULL, 204);
  DONE("fleet_delete", "DELETE", "/api/v1/fleets/north", NULL, 204);
  a = errand("fleet_list", "GET", "/api/v1/fleets", NULL);
  EXPECT(a, 200);
  CHECK_INT(items(&a), 0);
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/vehicles/%u", w.vehicle);
  DONE("vehicle_delete", "DELETE", target, NULL, 204);
  DONE("vehicle_get", "GET", target, NULL, 404);
  DONE("decoder_delete", "DELETE", "/api/v1/decoders/d", NULL, 204);
  DONE("model_delete", "DELETE", "/api/v1/models/m", NULL, 204);
  DONE("catalog_delete", "DELETE", "/api/v1/catalogs/cars", NULL, 204);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  if (patterns_create(&patterns) || !world_open(&w, &(world_config){.rate_per_s = 100000}))
    return 1;
  RUN(test_a_model_grows_from_a_catalog_to_an_active_manifest);
  RUN(test_problems_tell_the_field_and_all_that_is_wrong);
  RUN(test_vehicles_and_fleets);
  world_close(&w);
  patterns_destroy(&patterns);
  return tap_done();
}
