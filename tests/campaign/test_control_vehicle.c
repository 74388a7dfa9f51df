/* Vehicles and fleets by name, the import of DBC files, and what older databases become. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "control_rig.h"
#include "format/fleetwise.h"

#define MODEL(m) "'modelManifestArn':'" ARN("model-manifest", m) "'"
#define DECODER(d) "'decoderManifestArn':'" ARN("decoder-manifest", d) "'"

static const char dbc_text[] =
    "VERSION \"\"\nBU_: ECU\n"
    "BO_ 256 ENGINE: 8 ECU\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] \"rpm\" ECU\n SG_ Temp : 16|8@1+ (1,-40) [-40|215] \"degC\" ECU\n"
    "BO_ 512 MUX: 8 ECU\n SG_ Page M : 0|8@1+ (1,0) [0|3] \"\" ECU\n SG_ OnPageOne m1 : 8|8@1+ (1,0) [0|255] \"\" ECU\n SG_ Temp : 16|8@0+ (1,0) [0|255] \"\" ECU\n";

static mc_err import_one(const char *name)
{
  mc_dbc_import_report report;
  mc_dbc_import in = {.tenant = 1, .name = mc_slice_str(name), .dbc_text = mc_slice_str(dbc_text), .dbc_name = "a.dbc", .interface_id = MC_LIT("can0")};
  return mc_campaign_import_dbc(c, &in, &report, &why);
}

static mc_err make(const char *vehicle, const char *more)
{
  char input[1500];
  snprintf(input, sizeof input, "{'vehicleName':'%s'," MODEL("one") "," DECODER("one") "%s}", vehicle, more);
  return call("CreateVehicle", input);
}

static mc_err ready(void)
{
  return begin() ? import_one("one") : MC_ERR_IO;
}

/* ---- vehicles ---- */

static void test_a_vehicle_has_model_manifest_and_attributes(void)
{
  mc_thing thing;
  CHECK_OK(ready());
  CHECK_OK(make("car-1", ",'attributes':{'colour':'red','year':'2024'},'tags':[{'Key':'k','Value':'v'}]"));
  CHECK(answers("{'vehicleName':'car-1','arn':'" ARN("vehicle", "car-1") "','thingArn':'arn:aws:iot:eu-central-1:000000000000:thing/car-1'}"));
  CHECK_OK(mc_registry_thing_find(registry, 1, MC_LIT("car-1"), &thing));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers(MODEL("one") "," DECODER("one") ",'attributes':{'colour':'red','year':'2024'},'stateTemplates':[]"));
  CHECK(answers("'creationTime':"));
  CHECK_OK(call("ListTagsForResource", "{'ResourceARN':'" ARN("vehicle", "car-1") "'}"));
  CHECK(answers("{'Key':'k','Value':'v'}"));
  CHECK(make("car-1", "") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'car-1','resourceType':'vehicle'"));
  CHECK(make("car-2", ",'associationBehavior':'ValidateIotThingExists'") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'car-2','resourceType':'thing'"));
  CHECK(make("car-2", ",'stateTemplates':[{'identifier':'none','stateTemplateUpdateStrategy':{'onChange':{}}}]") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'none','resourceType':'state-template'"));
  CHECK(call("CreateVehicle", "{'vehicleName':'car-2'," MODEL("none") "," DECODER("one") "}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'none','resourceType':'model-manifest'"));
  CHECK(call("CreateVehicle", "{'vehicleName':'car-2'," MODEL("one") "," DECODER("none") "}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'none','resourceType':'decoder-manifest'"));
  CHECK(call("GetVehicle", "{'vehicleName':'car-2'}") != MC_OK); /* none of them was kept */
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'car-2','resourceType':'vehicle'"));
  CHECK(call_as(2, "GetVehicle", "{'vehicleName':'car-1'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'car-1'"));
  CHECK(call_as(2, "UpdateVehicle", "{'vehicleName':'car-1'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'car-1'"));
  CHECK_OK(call_as(2, "DeleteVehicle", "{'vehicleName':'car-1'}")); /* of its own there is none */
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  end();
}

static void test_a_vehicle_is_updated_by_merge_or_overwrite(void)
{
  CHECK_OK(ready());
  CHECK_OK(import_one("two"));
  CHECK_OK(make("car-1", ",'attributes':{'colour':'red','year':'2024'}"));
  CHECK_OK(call("UpdateVehicle", "{'vehicleName':'car-1','attributes':{'colour':'blue'},'attributeUpdateMode':'Merge'}"));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'attributes':{'colour':'blue','year':'2024'}"));
  CHECK_OK(call("UpdateVehicle", "{'vehicleName':'car-1','attributes':{'size':'xl'},'attributeUpdateMode':'Overwrite'}"));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'attributes':{'size':'xl'}"));
  CHECK(call("UpdateVehicle", "{'vehicleName':'car-1','attributes':{'size':'s'}}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'attributeUpdateMode'"));
  CHECK(call("UpdateVehicle", "{'vehicleName':'car-1'," MODEL("two") "}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'modelManifestArn'"));
  CHECK(call("UpdateVehicle", "{'vehicleName':'car-1'," MODEL("one") "," DECODER("two") "}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'decoderManifestArn'"));
  CHECK_OK(call("UpdateVehicle", "{'vehicleName':'car-1'," MODEL("two") "," DECODER("two") "}"));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers(MODEL("two") "," DECODER("two")));
  CHECK(call("UpdateVehicle", "{'vehicleName':'none'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'none','resourceType':'vehicle'"));
  end();
}

static void test_a_batch_tells_each_vehicle_by_itself(void)
{
  CHECK_OK(ready());
  CHECK_OK(make("car-1", ""));
  CHECK_OK(call("BatchCreateVehicle", "{'vehicles':[{'vehicleName':'car-1'," MODEL("one") "," DECODER("one") "},{'vehicleName':'car-2'," MODEL("one") "," DECODER("one")
                                      ",'attributes':{'a':'b'}},{'vehicleName':'car-3'," MODEL("one") "," DECODER("none") "}]}"));
  CHECK(answers("'vehicles':[{'vehicleName':'car-2','arn':'"));
  CHECK(answers("'errors':[{'vehicleName':'car-1','code':'ConflictException','message':'"));
  CHECK(answers("{'vehicleName':'car-3','code':'ResourceNotFoundException'"));
  CHECK_OK(call("BatchUpdateVehicle", "{'vehicles':[{'vehicleName':'car-2','attributes':{'c':'d'},'attributeUpdateMode':'Merge'},{'vehicleName':'car-3'},{'vehicleName':'car-2','attributes':{}}]}"));
  CHECK(answers("'vehicles':[{'vehicleName':'car-2','arn':'" ARN("vehicle", "car-2") "'}]"));
  CHECK(answers("'errors':[{'vehicleName':'car-3','code':404,'message':'"));
  CHECK(answers("{'vehicleName':'car-2','code':400,'message':'vehicles[2].attributeUpdateMode"));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-2'}"));
  CHECK(answers("'attributes':{'a':'b','c':'d'}"));
  end();
}

static void test_vehicles_are_listed_by_model_and_attributes(void)
{
  char name[40], more[100];
  CHECK_OK(ready());
  CHECK_OK(import_one("two"));
  for (int i = 0; i < 9; i++) {
    snprintf(name, sizeof name, "car-%d", i);
    snprintf(more, sizeof more, ",'attributes':{'colour':'%s','n':'%d'}", i % 3 ? "red" : "blue", i);
    CHECK_OK(make(name, more));
  }
  CHECK_OK(call("UpdateVehicle", "{'vehicleName':'car-8'," MODEL("two") "," DECODER("two") "}"));
  CHECK_INT(pages("ListVehicles", "", "vehicleSummaries", 4), 9);
  CHECK_INT(pages("ListVehicles", MODEL("one"), "vehicleSummaries", 8), 8);
  CHECK_INT(pages("ListVehicles", "'attributeNames':['colour'],'attributeValues':['red']", "vehicleSummaries", 2), 6);
  CHECK_INT(pages("ListVehicles", MODEL("one") ",'attributeNames':['colour'],'attributeValues':['red']", "vehicleSummaries", 2), 5);
  CHECK_INT(pages("ListVehicles", "'attributeNames':['colour','n'],'attributeValues':['red','4']", "vehicleSummaries", 2), 1);
  CHECK_OK(call("ListVehicles", "{'maxResults':1,'attributeNames':['n'],'attributeValues':['8']}"));
  CHECK(answers("{'vehicleName':'car-8','arn':'" ARN("vehicle", "car-8") "'," MODEL("two") "," DECODER("two") ",'attributes':{'colour':'red','n':'8'}"));
  CHECK_OK(call("ListVehicles", "{'maxResults':1,'listResponseScope':'METADATA_ONLY'}"));
  CHECK(!memmem(answer.data, answer.len, "colour", 6));
  CHECK(call("ListVehicles", "{'attributeNames':['a','b'],'attributeValues':['x']}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'attributeValues'"));
  CHECK(call("ListVehicles", "{'attributeNames':['a','a'],'attributeValues':['x','y']}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'attributeNames'"));
  CHECK_OK(call_as(2, "ListVehicles", "{}"));
  CHECK(answers("'vehicleSummaries':[]"));
  end();
}

static void test_a_deleted_vehicle_can_come_back_to_its_device(void)
{
  mc_vehicle first, second;
  CHECK_OK(ready());
  CHECK_OK(make("car-1", ",'attributes':{'a':'b'},'tags':[{'Key':'k','Value':'v'}]"));
  CHECK_OK(mc_registry_vehicle_find(registry, 1, MC_LIT("car-1"), &first));
  CHECK_OK(call("DeleteVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'vehicleName':'car-1','arn':'" ARN("vehicle", "car-1") "'"));
  CHECK_OK(call("DeleteVehicle", "{'vehicleName':'car-1'}"));
  CHECK_OK(make("car-1", ",'associationBehavior':'ValidateIotThingExists'"));
  CHECK_OK(mc_registry_vehicle_find(registry, 1, MC_LIT("car-1"), &second));
  CHECK(second.id > first.id);
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'attributes':{}"));
  CHECK_OK(call("ListTagsForResource", "{'ResourceARN':'" ARN("vehicle", "car-1") "'}"));
  CHECK(answers("'Tags':[]"));
  end();
}

static void test_a_vehicle_has_state_templates(void)
{
  CHECK_OK(ready());
  CHECK_OK(call("CreateStateTemplate", "{'name':'t','signalCatalogArn':'" ARN("signal-catalog", "default") "','stateTemplateProperties':['Vehicle.ENGINE.Rpm']}"));
  CHECK_OK(make("car-1", ",'stateTemplates':[{'identifier':'t','stateTemplateUpdateStrategy':{'periodic':{'stateTemplateUpdateRate':{'unit':'SECOND','value':90}}}}]"));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'stateTemplates':[{'identifier':'t','stateTemplateUpdateStrategy':{'periodic':{'stateTemplateUpdateRate':{'unit':'SECOND','value':90}}}}]"));
  CHECK(call("UpdateVehicle", "{'vehicleName':'car-1','stateTemplatesToAdd':[{'identifier':'t','stateTemplateUpdateStrategy':{'onChange':{}}}]}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'t','resourceType':'state-template'"));
  CHECK_OK(call("UpdateVehicle", "{'vehicleName':'car-1','stateTemplatesToUpdate':[{'identifier':'t','stateTemplateUpdateStrategy':{'onChange':{}}}]}"));
  CHECK_OK(call("GetVehicle", "{'vehicleName':'car-1'}"));
  CHECK(answers("'stateTemplates':[{'identifier':'t','stateTemplateUpdateStrategy':{'onChange':{}}}]"));
  CHECK_OK(call("UpdateVehicle", "{'vehicleName':'car-1','stateTemplatesToRemove':['t']}"));
  CHECK(call("UpdateVehicle", "{'vehicleName':'car-1','stateTemplatesToRemove':['t']}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'stateTemplatesToRemove[0]'"));
  CHECK_OK(call("BatchUpdateVehicle", "{'vehicles':[{'vehicleName':'car-1','stateTemplatesToRemove':['none']}]}"));
  CHECK(answers("'errors':[{'vehicleName':'car-1','code':404"));
  end();
}

/* ---- fleets ---- */

#define CATALOG "'signalCatalogArn':'" ARN("signal-catalog", "default") "'"

static void test_fleets_have_vehicles(void)
{
  char name[40], input[200];
  CHECK_OK(ready());
  CHECK_OK(call("CreateFleet", "{'fleetId':'north','description':'up there'," CATALOG "}"));
  CHECK(answers("{'id':'north','arn':'" ARN("fleet", "north") "'}"));
  CHECK_OK(call("CreateFleet", "{'fleetId':'all'," CATALOG "}"));
  CHECK(call("CreateFleet", "{'fleetId':'north'," CATALOG "}") != MC_OK);
  CHECK(fault.fault == MC_CONTROL_CONFLICT);
  CHECK(call("CreateFleet", "{'fleetId':'x','signalCatalogArn':'" ARN("signal-catalog", "none") "'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'none','resourceType':'signal-catalog'"));
  for (int i = 0; i < 5; i++) {
    snprintf(name, sizeof name, "car-%d", i);
    CHECK_OK(make(name, ""));
    snprintf(input, sizeof input, "{'fleetId':'all','vehicleName':'car-%d'}", i);
    CHECK_OK(call("AssociateVehicleFleet", input));
    CHECK(answers("{}"));
  }
  CHECK_OK(call("AssociateVehicleFleet", "{'fleetId':'north','vehicleName':'car-1'}"));
  CHECK_INT(pages("ListVehiclesInFleet", "'fleetId':'all'", "vehicles", 2), 5);
  CHECK_INT(pages("ListFleetsForVehicle", "'vehicleName':'car-1'", "fleets", 1), 2);
  CHECK_INT(pages("ListFleets", "", "fleetSummaries", 1), 2);
  CHECK_OK(call("ListFleets", "{}"));
  CHECK(answers("{'id':'north','arn':'" ARN("fleet", "north") "','description':'up there'," CATALOG ",'creationTime':"));
  CHECK_OK(call("UpdateFleet", "{'fleetId':'north','description':'down'}"));
  CHECK_OK(call("GetFleet", "{'fleetId':'north'}"));
  CHECK(answers("'description':'down'"));
  CHECK(call("DeleteFleet", "{'fleetId':'north'}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'fleetId'"));
  CHECK_OK(call("DisassociateVehicleFleet", "{'fleetId':'north','vehicleName':'car-1'}"));
  CHECK_OK(call("DeleteFleet", "{'fleetId':'north'}"));
  CHECK(answers("{'id':'north','arn':'"));
  CHECK_OK(call("DeleteFleet", "{'fleetId':'north'}"));
  static const char *const missing[] = {"GetFleet", "UpdateFleet", "ListVehiclesInFleet"};
  for (size_t i = 0; i < 3; i++) {
    CHECK(call(missing[i], "{'fleetId':'north'}") != MC_OK);
    CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'north','resourceType':'fleet'"));
    CHECK(call_as(2, missing[i], "{'fleetId':'all'}") != MC_OK);
    CHECK(failed(MC_CONTROL_NOT_FOUND, "'all'"));
  }
  CHECK(call("AssociateVehicleFleet", "{'fleetId':'north','vehicleName':'car-1'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceType':'fleet'"));
  CHECK(call("AssociateVehicleFleet", "{'fleetId':'all','vehicleName':'none'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'none','resourceType':'vehicle'"));
  CHECK(call("DisassociateVehicleFleet", "{'fleetId':'all','vehicleName':'none'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceType':'vehicle'"));
  CHECK(call("ListFleetsForVehicle", "{'vehicleName':'none'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceType':'vehicle'"));
  CHECK(call("DeleteSignalCatalog", "{'name':'default'}") != MC_OK);
  CHECK(fault.fault == MC_CONTROL_CONFLICT);
  end();
}

/* ---- import ---- */

static mc_err draft(void)
{
  MC_TRY(call("CreateSignalCatalog", "{'name':'car','nodes':[{'sensor':{'fullyQualifiedName':'V.Speed','dataType':'FLOAT'}},{'sensor':{'fullyQualifiedName':'V.Page','dataType':'UINT8'}},"
                                     "{'sensor':{'fullyQualifiedName':'V.Muxed','dataType':'UINT8'}},{'sensor':{'fullyQualifiedName':'V.Text','dataType':'STRING'}},"
                                     "{'sensor':{'fullyQualifiedName':'Vehicle.ENGINE.Temp','dataType':'INT16'}},{'sensor':{'fullyQualifiedName':'W.X','dataType':'INT8'}}]}"));
  MC_TRY(call("CreateModelManifest", "{'name':'m','signalCatalogArn':'" ARN("signal-catalog", "car") "','nodes':['V','Vehicle']}"));
  MC_TRY(call("UpdateModelManifest", "{'name':'m','status':'ACTIVE'}"));
  return call("CreateDecoderManifest", "{'name':'d'," MODEL("m") "}");
}

static mc_err import_as(const char *interface, const char *text, const char *map)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char base64[3000], input[4000];
  size_t n = 0, len = strlen(text);
  for (size_t i = 0; i < len; i += 3) {
    uint32_t v = (uint32_t)(uint8_t)text[i] << 16 | (i + 1 < len ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0) | (i + 2 < len ? (uint8_t)text[i + 2] : 0);
    for (int k = 0; k < 4; k++)
      base64[n++] = (size_t)k <= len - i ? digits[v >> (18 - 6 * k) & 63] : '=';
  }
  base64[n] = 0;
  snprintf(input, sizeof input, "{'name':'d','networkFileDefinitions':[{'canDbc':{'networkInterface':'%s','canDbcFiles':['%s']%s%s}}]}", interface, base64, *map ? ",'signalsMap':" : "", map);
  return call("ImportDecoderManifest", input);
}

static void test_dbc_files_give_decoders_to_a_draft(void)
{
  CHECK(begin());
  CHECK_OK(draft());
  CHECK_OK(import_as("can0", dbc_text, "{'V.Speed':'Rpm','V.Page':'MUX.Page','V.Muxed':'OnPageOne','Vehicle.ENGINE.Temp':'MUX.Temp'}"));
  CHECK(answers("{'name':'d','arn':'" ARN("decoder-manifest", "d") "'}"));
  CHECK_OK(call("ListDecoderManifestSignals", "{'name':'d'}"));
  CHECK(answers("{'fullyQualifiedName':'V.Speed','type':'CAN_SIGNAL','interfaceId':'can0','canSignal':{'messageId':256,'isBigEndian':false,'isSigned':false,'startBit':0,'offset':0"));
  CHECK(answers("'name':'Rpm','signalValueType':'INTEGER'"));
  CHECK(answers("'multiplex':[{'startBit':0,'length':8,'isBigEndian':false,'ranges':[[1,1]]}]"));
  CHECK_INT(count_of("fullyQualifiedName"), 4);
  CHECK_OK(call("ListDecoderManifestNetworkInterfaces", "{'name':'d'}"));
  CHECK(answers("{'interfaceId':'can0','type':'CAN_INTERFACE','canInterface':{'name':'can0'}}"));
  CHECK_OK(import_as("can0", dbc_text, "")); /* by name: the DBC's own, below Vehicle; what the interface had goes */
  CHECK_OK(call("ListDecoderManifestSignals", "{'name':'d'}"));
  CHECK_INT(count_of("fullyQualifiedName"), 1);
  CHECK(answers("'Vehicle.ENGINE.Temp'"));
  CHECK(answers("'messageId':256"));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'d','status':'ACTIVE','defaultForUnmappedSignals':'CUSTOM_DECODING'}"));
  end();
}

static void test_what_a_dbc_import_refuses(void)
{
  static const struct {
    const char *map, *name, *reason;
  } bad[] = {{"{'V.Speed':'None'}", "V.Speed", "NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL"}, {"{'V.Speed':'Temp'}", "V.Speed", "CONFLICTING_SIGNAL"},
             {"{'W.X':'Rpm'}", "W.X", "SIGNAL_NOT_IN_MODEL"},                          {"{'A.B':'Rpm'}", "A.B", "NO_SIGNAL_IN_CATALOG_FOR_DECODER_SIGNAL"},
             {"{'V.Text':'Rpm'}", "V.Text", "SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG"}, {"{'V.Speed':'Rpm','V.Page':'ENGINE.Rpm'}", "V.Page", "DUPLICATE_SIGNAL"}};
  char part[200];
  CHECK(begin());
  CHECK_OK(draft());
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CHECK(import_as("can0", dbc_text, bad[i].map) != MC_OK);
    snprintf(part, sizeof part, "{'name':'%s','reason':'%s'", bad[i].name, bad[i].reason);
    CHECK(failed(MC_CONTROL_DECODER_MANIFEST, part));
  }
  CHECK(import_as("can0", "BO_ 1 A: 8 E\n SG_ B : 0|8@1+ (x,0) [0|1] \"\" E\n", "") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'networkFileDefinitions[0].canDbc.canDbcFiles[0]'"));
  CHECK_WHY(why, ":2");
  CHECK(import_as("can0", "VERSION \"\"\n", "") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "no message"));
  CHECK(import_as("can0", "BO_ 1 A: 8 E\n SG_ B : 0|8@1+ (1,0) [0|1] \"\" E\n", "") != MC_OK); /* nothing of it is in the model */
  CHECK(failed(MC_CONTROL_DECODER_MANIFEST, "NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL"));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'d','networkInterfacesToAdd':[{'interfaceId':'own','type':'CUSTOM_DECODING_INTERFACE','customDecodingInterface':{'name':'own'}}]}"));
  CHECK(import_as("own", dbc_text, "{'V.Speed':'Rpm'}") != MC_OK);
  CHECK(failed(MC_CONTROL_DECODER_MANIFEST, "{'interfaceId':'own','reason':'CONFLICTING_NETWORK_INTERFACE'}"));
  CHECK_OK(import_as("can0", dbc_text, "{'V.Speed':'Rpm'}"));
  CHECK(import_as("can1", dbc_text, "{'V.Speed':'Rpm'}") != MC_OK); /* another interface has it */
  CHECK(failed(MC_CONTROL_DECODER_MANIFEST, "{'name':'V.Speed','reason':'SIGNAL_TO_ADD_ALREADY_EXISTS'"));
  CHECK_OK(call("ListDecoderManifestNetworkInterfaces", "{'name':'d'}"));
  CHECK_INT(count_of("\"interfaceId\""), 2);
  CHECK(call("ImportDecoderManifest", "{'name':'none','networkFileDefinitions':[{'canDbc':{'networkInterface':'can0','canDbcFiles':['QQ==']}}]}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'none','resourceType':'decoder-manifest'"));
  CHECK(call("ImportDecoderManifest", "{'name':'d','networkFileDefinitions':[{'canDbc':{'networkInterface':'can0','canDbcFiles':['Q!']}}]}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "canDbcFiles[0]"));
  end();
}

static void test_one_command_and_the_operations_write_the_same_rows(void)
{
  CHECK_OK(ready());
  CHECK_OK(call("GetDecoderManifest", "{'name':'one'}"));
  CHECK(answers("'status':'ACTIVE'"));
  CHECK(answers(MODEL("one")));
  CHECK_INT(pages("ListDecoderManifestSignals", "'name':'one'", "signalDecoders", 2), 5);
  CHECK_INT(pages("ListModelManifestNodes", "'name':'one'", "nodes", 3), 8); /* five signals, Vehicle, Vehicle.ENGINE, Vehicle.MUX */
  CHECK_OK(call("ListSignalCatalogNodes", "{'name':'default','signalNodeType':'SENSOR'}"));
  CHECK(answers("{'sensor':{'fullyQualifiedName':'Vehicle.ENGINE.Temp','dataType':'INT16','unit':'degC','min':-40"));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'one','status':'DRAFT'}"));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'one','status':'ACTIVE','signalDecodersToRemove':['Vehicle.MUX.Page'],'defaultForUnmappedSignals':'CUSTOM_DECODING'}"));
  CHECK_OK(import_one("one")); /* and back */
  CHECK_INT(pages("ListDecoderManifestSignals", "'name':'one'", "signalDecoders", 2), 5);
  end();
}

/* A database as version 1 left it: the vocabulary, and a compiled manifest. */
static void test_what_older_versions_kept_becomes_documents(void)
{
  char path[] = "/tmp/mc-older-XXXXXX";
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_manifest_info *before, *after;
  size_t n;
  CHECK(mkstemp(path) >= 0);
  CHECK(begin_at(path));
  CHECK_OK(import_one("one"));
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &before, &n, &why));
  CHECK_INT(n, 1);
  static const char *const forget[] = {"vocabulary_resource", "catalog_document", "model_node", "decoder_interface", "decoder_signal", "campaign_state"};
  for (size_t i = 0; i < sizeof forget / sizeof forget[0]; i++) {
    char sql[80];
    snprintf(sql, sizeof sql, "DELETE FROM %s", forget[i]);
    CHECK_OK(mc_db_run(db, &why, sql, ""));
  }
  end();
  CHECK(begin_at(path));
  CHECK_OK(call("GetDecoderManifest", "{'name':'one'}"));
  CHECK(answers("'status':'ACTIVE'"));
  CHECK_INT(pages("ListDecoderManifestSignals", "'name':'one'", "signalDecoders", 2), 5);
  CHECK_INT(pages("ListModelManifestNodes", "'name':'one'", "nodes", 3), 8);
  CHECK_INT(pages("ListSignalCatalogNodes", "'name':'default','signalNodeType':'SENSOR'", "nodes", 3), 5);
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &after, &n, &why));
  CHECK_INT(n, 1);
  CHECK(mc_slice_eq(before[0].sync_id, after[0].sync_id)); /* vehicles keep what they have */
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'one','status':'DRAFT'}"));
  end();
  CHECK(begin_at(path)); /* and only once */
  CHECK_OK(call("GetDecoderManifest", "{'name':'one'}"));
  CHECK(answers("'status':'DRAFT'"));
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &after, &n, &why));
  CHECK_INT(n, 0);
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'one','status':'ACTIVE'}"));
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &after, &n, &why));
  CHECK_INT(n, 1);
  CHECK(mc_slice_eq(before[0].sync_id, after[0].sync_id)); /* same content, same id */
  end();
  remove(path);
}

/* ---- what was answered is on disk ---- */

static void create_for_ever(int to)
{
  for (int i = 0;; i++) {
    char name[40];
    snprintf(name, sizeof name, "car-%d", i);
    if (make(name, ",'attributes':{'a':'b'}") || write(to, &i, sizeof i) != sizeof i)
      _exit(1);
  }
}

static void test_vehicles_that_were_answered_are_there_after_a_kill(void)
{
  char path[] = "/tmp/mc-vehicle-XXXXXX", input[80];
  int pipe_of[2], last = -1, value;
  CHECK(mkstemp(path) >= 0 && pipe(pipe_of) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (!child) {
    if (!begin_at(path) || import_one("one"))
      _exit(1);
    create_for_ever(pipe_of[1]);
  }
  close(pipe_of[1]);
  while (last < 10 && read(pipe_of[0], &value, sizeof value) == sizeof value)
    last = value;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  while (read(pipe_of[0], &value, sizeof value) == sizeof value)
    last = value;
  close(pipe_of[0]);
  CHECK(last >= 10);
  CHECK(begin_at(path));
  for (int i = 0; i <= last; i++) {
    snprintf(input, sizeof input, "{'vehicleName':'car-%d'}", i);
    CHECK_OK(call("GetVehicle", input));
    CHECK(answers("'attributes':{'a':'b'}"));
  }
  CHECK_OK(call("GetDecoderManifest", "{'name':'one'}"));
  CHECK(answers("'status':'ACTIVE'"));
  end();
  remove(path);
}

static void *create_cars(void *ctx)
{
  int *taken = ctx;
  for (int i = 0; i < 30; i++) {
    char input[400];
    mc_buf out = {0};
    mc_control_error error = {0};
    snprintf(input, sizeof input, "{\"vehicleName\":\"car-%d\",\"modelManifestArn\":\"%s\",\"decoderManifestArn\":\"%s\"}", i, ARN("model-manifest", "one"), ARN("decoder-manifest", "one"));
    mc_control_request r = {.tenant = 1, .operation = MC_LIT("CreateVehicle"), .input = mc_slice_str(input)};
    *taken += mc_control_call(c, &r, &out, &error, NULL) == MC_OK;
    mc_control_error_free(&error);
    mc_buf_free(&out);
  }
  return NULL;
}

static void test_two_writers_make_each_vehicle_once(void)
{
  pthread_t other;
  int a = 0, b = 0;
  CHECK_OK(ready());
  CHECK(pthread_create(&other, NULL, create_cars, &b) == 0);
  create_cars(&a);
  pthread_join(other, NULL);
  CHECK_INT(a + b, 30);
  CHECK_INT(pages("ListVehicles", "", "vehicleSummaries", 7), 30);
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_vehicle_has_model_manifest_and_attributes);
  RUN(test_a_vehicle_is_updated_by_merge_or_overwrite);
  RUN(test_a_batch_tells_each_vehicle_by_itself);
  RUN(test_vehicles_are_listed_by_model_and_attributes);
  RUN(test_a_deleted_vehicle_can_come_back_to_its_device);
  RUN(test_a_vehicle_has_state_templates);
  RUN(test_fleets_have_vehicles);
  RUN(test_dbc_files_give_decoders_to_a_draft);
  RUN(test_what_a_dbc_import_refuses);
  RUN(test_one_command_and_the_operations_write_the_same_rows);
  RUN(test_what_older_versions_kept_becomes_documents);
  RUN(test_vehicles_that_were_answered_are_there_after_a_kill);
  RUN(test_two_writers_make_each_vehicle_once);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
