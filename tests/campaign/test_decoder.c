/* Decoder manifests by name: their documents, every reason for refusing one, imports of DBC files, and what becomes of them on the wire. */
#include <unistd.h>

#include "control_rig.h"
#include "format/fleetwise.h"

#define MODEL "'modelManifestArn':'" ARN("model-manifest", "m") "'"
#define CAN_IF "{'interfaceId':'can0','type':'CAN_INTERFACE','canInterface':{'name':'can0'}}"
#define OBD_IF "{'interfaceId':'obd','type':'OBD_INTERFACE','obdInterface':{'name':'obd','requestMessageId':2015}}"
#define ROS_IF "{'interfaceId':'ros','type':'VEHICLE_MIDDLEWARE','vehicleMiddleware':{'name':'ros','protocolName':'ROS_2'}}"
#define OWN_IF "{'interfaceId':'own','type':'CUSTOM_DECODING_INTERFACE','customDecodingInterface':{'name':'own'}}"
#define RAW(id, start, factor, length) \
  "{'fullyQualifiedName':'V.Speed','type':'CAN_SIGNAL','interfaceId':'can0','canSignal':{'messageId':" id ",'isBigEndian':false,'isSigned':false,'startBit':" start \
  ",'offset':0,'factor':" factor ",'length':" length "}}"
#define PID(pid, start) \
  "{'fullyQualifiedName':'V.Speed','type':'OBD_SIGNAL','interfaceId':'obd','obdSignal':{'pidResponseLength':2,'serviceMode':1,'pid':" pid ",'scaling':1,'offset':0,'startByte':" start \
  ",'byteLength':1}}"
#define CAN(fqn, more) \
  "{'fullyQualifiedName':'" fqn "','type':'CAN_SIGNAL','interfaceId':'can0','canSignal':{'messageId':256,'isBigEndian':false,'isSigned':false,'startBit':8,'offset':-40,'factor':0.5," \
  "'length':16" more "}}"
#define OWN(fqn) "{'fullyQualifiedName':'" fqn "','type':'CUSTOM_DECODING_SIGNAL','interfaceId':'own','customDecodingSignal':{'id':'x.y'}}"
#define PRIMITIVE(t) "{'primitiveMessageDefinition':{'ros2PrimitiveMessageDefinition':{'primitiveType':'" t "'}}}"
#define ROS(fqn, message) "{'fullyQualifiedName':'" fqn "','type':'MESSAGE_SIGNAL','interfaceId':'ros','messageSignal':{'topicName':'/gps:nav/Fix','structuredMessage':" message "}}"
#define POS "{'structuredMessageDefinition':[{'fieldName':'Lat','dataType':" PRIMITIVE("FLOAT64") "},{'fieldName':'Lon','dataType':" PRIMITIVE("FLOAT64") "}]}"
#define LIST_OF(t, kind) "{'structuredMessageListDefinition':{'name':'l','memberType':" PRIMITIVE(t) ",'listType':'" kind "','capacity':4}}"

static mc_err ready(void)
{
  if (!begin())
    return MC_ERR_IO;
  MC_TRY(call("CreateSignalCatalog",
              "{'name':'car','nodes':[{'sensor':{'fullyQualifiedName':'V.Speed','dataType':'FLOAT'}},{'sensor':{'fullyQualifiedName':'V.Steer','dataType':'INT16'}},"
              "{'actuator':{'fullyQualifiedName':'V.Horn','dataType':'BOOLEAN'}},{'attribute':{'fullyQualifiedName':'V.Kind','dataType':'STRING'}},"
              "{'sensor':{'fullyQualifiedName':'V.Text','dataType':'STRING'}},{'struct':{'fullyQualifiedName':'T.Pos'}},{'property':{'fullyQualifiedName':'T.Pos.Lat','dataType':'DOUBLE'}},"
              "{'property':{'fullyQualifiedName':'T.Pos.Lon','dataType':'DOUBLE'}},{'sensor':{'fullyQualifiedName':'V.Pos','dataType':'STRUCT','structFullyQualifiedName':'T.Pos'}},"
              "{'sensor':{'fullyQualifiedName':'V.List','dataType':'INT32_ARRAY'}},{'sensor':{'fullyQualifiedName':'W.Other','dataType':'INT8'}}]}"));
  MC_TRY(call("CreateModelManifest", "{'name':'m','signalCatalogArn':'" ARN("signal-catalog", "car") "','nodes':['V']}"));
  return call("UpdateModelManifest", "{'name':'m','status':'ACTIVE'}");
}

#define INTERFACES "'networkInterfaces':[" CAN_IF "," OBD_IF "," ROS_IF "," OWN_IF "]"

static mc_err create(const char *decoders)
{
  char input[6000];
  snprintf(input, sizeof input, "{'name':'d'," MODEL "," INTERFACES "%s%s%s}", *decoders ? ",'signalDecoders':[" : "", decoders, *decoders ? "]" : "");
  return call("CreateDecoderManifest", input);
}

static void test_documents_come_back_as_they_came(void)
{
  CHECK_OK(ready());
  CHECK_OK(create(CAN("V.Speed", ",'name':'Spd','signalValueType':'INTEGER'") "," OWN("V.Horn") "," ROS("V.Pos", POS)));
  CHECK(answers("'arn':'" ARN("decoder-manifest", "d") "'"));
  CHECK_OK(call("GetDecoderManifest", "{'name':'d'}"));
  CHECK(answers("'status':'DRAFT'"));
  CHECK(answers(MODEL));
  CHECK_OK(call("ListDecoderManifestSignals", "{'name':'d'}"));
  CHECK(answers(CAN("V.Speed", ",'name':'Spd','signalValueType':'INTEGER'")));
  CHECK(answers(ROS("V.Pos", POS)));
  CHECK_OK(call("ListDecoderManifestNetworkInterfaces", "{'name':'d'}"));
  CHECK(answers(OBD_IF));
  CHECK_INT(pages("ListDecoderManifestSignals", "'name':'d'", "signalDecoders", 1), 3);
  CHECK_INT(pages("ListDecoderManifestNetworkInterfaces", "'name':'d'", "networkInterfaces", 3), 4);
  CHECK_INT(pages("ListDecoderManifests", MODEL, "summaries", 1), 1);
  CHECK_INT(pages("ListDecoderManifests", "'modelManifestArn':'" ARN("model-manifest", "other") "'", "summaries", 1), 0);
  CHECK(create("") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'d','resourceType':'decoder-manifest'"));
  CHECK(call_as(2, "GetDecoderManifest", "{'name':'d'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'d'"));
  CHECK(call_as(2, "UpdateDecoderManifest", "{'name':'d','description':'x'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'d'"));
  CHECK_OK(call("CreateModelManifest", "{'name':'draft','signalCatalogArn':'" ARN("signal-catalog", "car") "','nodes':['V']}"));
  CHECK(call("CreateDecoderManifest", "{'name':'e','modelManifestArn':'" ARN("model-manifest", "draft") "'}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'modelManifestArn'"));
  CHECK(call("CreateDecoderManifest", "{'name':'e','modelManifestArn':'" ARN("model-manifest", "none") "'}") != MC_OK);
  CHECK(failed(MC_CONTROL_NOT_FOUND, "'resourceId':'none','resourceType':'model-manifest'"));
  end();
}

static void test_every_reason_for_a_bad_signal_is_told(void)
{
  static const struct {
    const char *decoders, *name, *reason;
  } bad[] = {
      {CAN("V.Speed", "") "," CAN("V.Speed", ""), "V.Speed", "DUPLICATE_SIGNAL"},
      {CAN("W.Other", ""), "W.Other", "SIGNAL_NOT_IN_MODEL"},
      {CAN("W.Nothing", ""), "W.Nothing", "NO_SIGNAL_IN_CATALOG_FOR_DECODER_SIGNAL"},
      {CAN("V.Text", ""), "V.Text", "SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG"},
      {CAN("V.Pos", ""), "V.Pos", "SIGNAL_DECODER_TYPE_INCOMPATIBLE_WITH_MESSAGE_SIGNAL_TYPE"},
      {ROS("V.Speed", POS), "V.Speed", "SIGNAL_DECODER_TYPE_INCOMPATIBLE_WITH_MESSAGE_SIGNAL_TYPE"},
      {ROS("V.Speed", PRIMITIVE("STRING")), "V.Speed", "SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG"},
      {ROS("V.Pos", "{'structuredMessageDefinition':[{'fieldName':'Lat','dataType':" PRIMITIVE("FLOAT64") "}]}"), "V.Pos", "STRUCT_SIZE_MISMATCH"},
      {ROS("V.Pos", "{'structuredMessageDefinition':[]}"), "V.Pos", "EMPTY_MESSAGE_SIGNAL"},
      {"{'fullyQualifiedName':'V.Speed','type':'CAN_SIGNAL','interfaceId':'nope','canSignal':{'messageId':1,'isBigEndian':false,'isSigned':false,'startBit':0,'offset':0,'factor':1,'length':8}}",
       "V.Speed", "SIGNAL_NOT_ASSOCIATED_WITH_NETWORK_INTERFACE"},
      {"{'fullyQualifiedName':'V.Speed','type':'CUSTOM_DECODING_SIGNAL','interfaceId':'can0','customDecodingSignal':{'id':'x'}}", "V.Speed",
       "NETWORK_INTERFACE_TYPE_INCOMPATIBLE_WITH_SIGNAL_DECODER_TYPE"},
      {"{'fullyQualifiedName':'V.Speed','type':'CAN_SIGNAL','interfaceId':'can0'}", "V.Speed", "CAN_SIGNAL_INFO_IS_NULL"},
      {"{'fullyQualifiedName':'V.Speed','type':'OBD_SIGNAL','interfaceId':'obd'}", "V.Speed", "OBD_SIGNAL_INFO_IS_NULL"},
      {"{'fullyQualifiedName':'V.Speed','type':'MESSAGE_SIGNAL','interfaceId':'ros'}", "V.Speed", "MESSAGE_SIGNAL_INFO_IS_NULL"},
      {"{'fullyQualifiedName':'V.Speed','type':'CUSTOM_DECODING_SIGNAL','interfaceId':'own'}", "V.Speed", "CUSTOM_DECODING_SIGNAL_INFO_IS_NULL"},
  };
  char part[200];
  CHECK_OK(ready());
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CHECK(create(bad[i].decoders) != MC_OK);
    snprintf(part, sizeof part, "'invalidSignals':[{'name':'%s','reason':'%s'", bad[i].name, bad[i].reason);
    CHECK(failed(MC_CONTROL_DECODER_MANIFEST, part));
    CHECK(holds(&fault.members, "'invalidNetworkInterfaces':[]"));
  }
  CHECK(call("GetDecoderManifest", "{'name':'d'}") != MC_OK); /* none of them was kept */
  CHECK_OK(create(CAN("V.Speed", "")));
  CHECK(call("UpdateDecoderManifest", "{'name':'d','signalDecodersToAdd':[" CAN("V.Speed", "") "]}") != MC_OK);
  CHECK(failed(MC_CONTROL_DECODER_MANIFEST, "{'name':'V.Speed','reason':'SIGNAL_TO_ADD_ALREADY_EXISTS'}"));
  CHECK(call("UpdateDecoderManifest", "{'name':'d','signalDecodersToUpdate':[" CAN("V.Speed", "") "],'signalDecodersToRemove':['V.Speed']}") != MC_OK);
  CHECK(failed(MC_CONTROL_DECODER_MANIFEST, "{'name':'V.Speed','reason':'CONFLICTING_SIGNAL'}"));
  CHECK(call("UpdateDecoderManifest", "{'name':'d','signalDecodersToUpdate':[" CAN("V.Steer", "") "]}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'signalDecodersToUpdate'"));
  CHECK(call("UpdateDecoderManifest", "{'name':'d','signalDecodersToRemove':['V.Steer']}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'signalDecodersToRemove'"));
  CHECK(call("UpdateDecoderManifest", "{'name':'d','status':'ACTIVE'}") != MC_OK);
  CHECK(failed(MC_CONTROL_DECODER_MANIFEST, "{'name':'V.Steer','reason':'NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL'"));
  CHECK_OK(call("GetDecoderManifest", "{'name':'d'}"));
  CHECK(answers("'status':'DRAFT'"));
  end();
}

static void test_numbers_that_no_frame_has_are_told_with_their_place(void)
{
  static const struct {
    const char *decoder, *field;
  } bad[] = {
      {RAW("536870912", "0", "1", "8"), "canSignal.messageId"},
      {RAW("1", "512", "1", "8"), "canSignal.startBit"},
      {RAW("1", "0", "0", "8"), "canSignal.factor"},
      {RAW("1", "0", "1", "65"), "canSignal.length"},
      {RAW("1", "505", "1", "8"), "canSignal.startBit"}, /* bits 505 to 512 */
      {"{'fullyQualifiedName':'V.Speed','type':'CAN_SIGNAL','interfaceId':'can0','canSignal':{'messageId':1,'isBigEndian':true,'isSigned':false,'startBit':7,'offset':0,'factor':1,'length':16}}",
       "canSignal.startBit"}, /* as a DBC has it: the lowest bit is 8 */
      {CAN("V.Speed", ",'signalValueType':'FLOATING_POINT'"), "canSignal.signalValueType"},
      {CAN("V.Speed", ",'multiplex':[{'startBit':0,'length':8,'ranges':[[2,1]]}]"), "canSignal.multiplex"},
      {CAN("V.Speed", ",'multiplex':7"), "canSignal.multiplex"},
      {CAN("V.Speed", ",'multiplex':[{'startBit':0,'length':8,'isBigEndian':'no','ranges':[[1,2]]}]"), "canSignal.multiplex"},
      {CAN("V.Speed", ",'primitiveType':'STRUCT'"), "canSignal.primitiveType"},
      {PID("256", "0"), "obdSignal.pid"},
      {PID("5", "2"), "obdSignal.byteLength"},
  };
  char part[100];
  CHECK_OK(ready());
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CHECK(create(bad[i].decoder) != MC_OK);
    snprintf(part, sizeof part, "'name':'signalDecoders[0].%s'", bad[i].field);
    CHECK(failed(MC_CONTROL_VALIDATION, part));
  }
  end();
}

static void test_every_reason_for_a_bad_interface_is_told(void)
{
  static const struct {
    const char *update, *id, *reason;
  } bad[] = {
      {"'networkInterfacesToAdd':[" OWN_IF "," OWN_IF "]", "own", "DUPLICATE_NETWORK_INTERFACE"},
      {"'networkInterfacesToAdd':[" CAN_IF "]", "can0", "NETWORK_INTERFACE_TO_ADD_ALREADY_EXISTS"},
      {"'networkInterfacesToUpdate':[" CAN_IF "],'networkInterfacesToRemove':['can0']", "can0", "CONFLICTING_NETWORK_INTERFACE"},
      {"'networkInterfacesToUpdate':[{'interfaceId':'can0','type':'OBD_INTERFACE','obdInterface':{'name':'o','requestMessageId':1}}]", "can0", "CONFLICTING_NETWORK_INTERFACE"},
      {"'networkInterfacesToRemove':['can0']", "can0", "NETWORK_INTERFACE_TO_REMOVE_ASSOCIATED_WITH_SIGNALS"},
      {"'networkInterfacesToAdd':[{'interfaceId':'c','type':'CAN_INTERFACE'}]", "c", "CAN_NETWORK_INTERFACE_INFO_IS_NULL"},
      {"'networkInterfacesToAdd':[{'interfaceId':'c','type':'OBD_INTERFACE'}]", "c", "OBD_NETWORK_INTERFACE_INFO_IS_NULL"},
      {"'networkInterfacesToAdd':[{'interfaceId':'c','type':'VEHICLE_MIDDLEWARE'}]", "c", "VEHICLE_MIDDLEWARE_NETWORK_INTERFACE_INFO_IS_NULL"},
      {"'networkInterfacesToAdd':[{'interfaceId':'c','type':'CUSTOM_DECODING_INTERFACE'}]", "c", "CUSTOM_DECODING_SIGNAL_NETWORK_INTERFACE_INFO_IS_NULL"},
  };
  char input[600], part[200];
  CHECK_OK(ready());
  CHECK_OK(call("CreateDecoderManifest", "{'name':'d'," MODEL ",'networkInterfaces':[" CAN_IF "],'signalDecoders':[" CAN("V.Speed", "") "]}"));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    snprintf(input, sizeof input, "{'name':'d',%s}", bad[i].update);
    CHECK(call("UpdateDecoderManifest", input) != MC_OK);
    snprintf(part, sizeof part, "'invalidNetworkInterfaces':[{'interfaceId':'%s','reason':'%s'}", bad[i].id, bad[i].reason);
    CHECK(failed(MC_CONTROL_DECODER_MANIFEST, part));
  }
  CHECK(call("UpdateDecoderManifest", "{'name':'d','networkInterfacesToRemove':['none']}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'networkInterfacesToRemove'"));
  CHECK(call("UpdateDecoderManifest", "{'name':'d','networkInterfacesToUpdate':[" OWN_IF "]}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'networkInterfacesToUpdate'"));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'d','signalDecodersToRemove':['V.Speed'],'networkInterfacesToRemove':['can0'],'networkInterfacesToAdd':[" OWN_IF "]}"));
  CHECK_INT(pages("ListDecoderManifestSignals", "'name':'d'", "signalDecoders", 10), 0);
  CHECK_INT(pages("ListDecoderManifestNetworkInterfaces", "'name':'d'", "networkInterfaces", 10), 1);
  end();
}

/* ---- on the wire ---- */

static mc_err document(const char *manifest, bool foreign, mc_arena *arena, mc_fw_manifest *out)
{
  mc_stmt *s;
  mc_slice bytes = {0};
  MC_TRY(mc_db_begin(db, false, &why));
  mc_err err = mc_db_prepare(db, "SELECT document, foreign_document FROM decoder_manifest WHERE name = $1 ORDER BY created_us DESC LIMIT 1", &s, &why);
  if (!err) {
    mc_stmt_bind_text(s, 1, mc_slice_str(manifest));
    err = mc_stmt_step(s, &why);
    if (!err)
      err = mc_arena_copy(arena, mc_stmt_blob(s, foreign), &bytes);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return err ? err : mc_fw_read_manifest(bytes, arena, out, &why);
}

static uint32_t id_of(const char *fqn)
{
  uint32_t id = 0;
  mc_registry_signal_lookup(registry, 1, mc_slice_str(fqn), &id);
  return id;
}

static void test_an_active_manifest_is_compiled_for_both_kinds_of_agent(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_manifest ours, aws;
  CHECK_OK(ready());
  CHECK_OK(create(CAN("V.Speed", ",'multiplex':[{'startBit':0,'length':8,'isBigEndian':false,'ranges':[[1,3],[7,7]]}]") ","
                  "{'fullyQualifiedName':'V.Steer','type':'OBD_SIGNAL','interfaceId':'obd','obdSignal':{'pidResponseLength':4,'serviceMode':1,'pid':12,'scaling':0.25,'offset':1,'startByte':1,"
                  "'byteLength':2,'isSigned':true}}," OWN("V.Horn") "," ROS("V.Pos", POS) "," ROS("V.List", LIST_OF("INT32", "DYNAMIC_BOUNDED_CAPACITY")) "," ROS("V.Text", PRIMITIVE("WSTRING"))));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'d','status':'ACTIVE'}"));
  CHECK_OK(document("d", false, &arena, &ours));
  CHECK_OK(document("d", true, &arena, &aws));
  CHECK_INT(ours.can_count, 1);
  CHECK_INT(aws.can_count, 0); /* it cannot tell multiplexed frames apart */
  CHECK_INT(ours.can[0].signal_id, id_of("V.Speed"));
  CHECK_INT(ours.can[0].message_id, 256);
  CHECK_INT(ours.can[0].start_bit, 8);
  CHECK_INT(ours.can[0].type, MC_TYPE_FLOAT32);
  CHECK_DOUBLE(ours.can[0].factor, 0.5, 0);
  CHECK_DOUBLE(ours.can[0].offset, -40, 0);
  CHECK_INT(ours.can[0].mux_count, 1);
  CHECK_INT(ours.can[0].mux[0].range_count, 2);
  CHECK_INT(ours.can[0].mux[0].range[3], 7);
  CHECK_INT(ours.obd_count, 1);
  CHECK_INT(ours.obd[0].pid, 12);
  CHECK_INT(ours.obd[0].bit_mask_length, 8);
  CHECK(ours.obd[0].is_signed);
  CHECK_INT(ours.obd[0].type, MC_TYPE_INT16);
  CHECK_INT(aws.obd[0].type, MC_TYPE_INT32); /* INT16 in a condition never fires there */
  CHECK_INT(ours.custom_count, 1);
  CHECK_SLICE(ours.custom[0].decoding_id, "x.y");
  CHECK_INT(ours.custom[0].type, MC_TYPE_BOOL);
  CHECK_INT(ours.complex_count, 3);
  CHECK_INT(aws.complex_count, 3);
  for (uint32_t i = 0; i < ours.complex_count; i++) {
    const mc_fw_complex_signal *s = &ours.complex[i];
    CHECK_SLICE(s->message_id, "/gps:nav/Fix");
    CHECK(s->root_type >= 1 && s->root_type <= ours.complex_type_count);
    const mc_fw_complex_type *t = &ours.complex_type[s->root_type - 1];
    CHECK_INT(t->type_id, s->root_type);
    CHECK_INT(t->kind, s->signal_id == id_of("V.Pos") ? MC_FW_COMPLEX_STRUCT : s->signal_id == id_of("V.List") ? MC_FW_COMPLEX_ARRAY : MC_FW_COMPLEX_STRING);
    if (t->kind == MC_FW_COMPLEX_STRUCT)
      CHECK_INT(t->member_count, 2);
    if (t->kind == MC_FW_COMPLEX_ARRAY)
      CHECK_INT(t->size, -4);
    if (t->kind == MC_FW_COMPLEX_STRING)
      CHECK_INT(t->encoding, 1);
  }
  mc_manifest_info *list;
  size_t n;
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &list, &n, &why)); /* the portal's list of the same */
  CHECK_INT(n, 1);
  CHECK_INT(list[0].signals, 6);
  CHECK(mc_slice_eq(list[0].sync_id, ours.sync_id));
  end();
}

static void test_sixty_four_bits_with_a_fraction_become_floating_point_for_aws(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_manifest ours, aws;
  CHECK_OK(ready());
  CHECK_OK(call("UpdateSignalCatalog", "{'name':'car','nodesToAdd':[{'sensor':{'fullyQualifiedName':'U.Big','dataType':'UINT64'}},{'sensor':{'fullyQualifiedName':'U.Id','dataType':'UINT8'}}]}"));
  CHECK_OK(call("CreateModelManifest", "{'name':'u','signalCatalogArn':'" ARN("signal-catalog", "car") "','nodes':['U']}"));
  CHECK_OK(call("UpdateModelManifest", "{'name':'u','status':'ACTIVE'}"));
  CHECK_OK(call("CreateDecoderManifest", "{'name':'u','modelManifestArn':'" ARN("model-manifest", "u") "','networkInterfaces':[" CAN_IF "],'signalDecoders':[" CAN("U.Big", "") "]}"));
  CHECK(call("UpdateDecoderManifest", "{'name':'u','status':'ACTIVE'}") != MC_OK);
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'u','status':'ACTIVE','defaultForUnmappedSignals':'CUSTOM_DECODING'}"));
  CHECK_OK(document("u", false, &arena, &ours));
  CHECK_OK(document("u", true, &arena, &aws));
  CHECK_INT(ours.can[0].type, MC_TYPE_UINT64);
  CHECK_INT(aws.can[0].type, MC_TYPE_FLOAT64);
  CHECK_INT(ours.custom_count, 1); /* the signal that no decoder names, by its own name */
  CHECK_SLICE(ours.custom[0].decoding_id, "U.Id");
  CHECK_INT(ours.custom[0].type, MC_TYPE_UINT8);
  end();
}

static void test_an_active_manifest_stays_as_it_is_while_vehicles_use_it(void)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_manifest_info *list;
  size_t n;
  CHECK_OK(ready());
  CHECK_OK(create(CAN("V.Speed", "")));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'d','status':'ACTIVE','defaultForUnmappedSignals':'CUSTOM_DECODING'}"));
  CHECK(call("UpdateDecoderManifest", "{'name':'d','signalDecodersToRemove':['V.Speed']}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'d','resourceType':'decoder-manifest'"));
  CHECK(call("ImportDecoderManifest", "{'name':'d','networkFileDefinitions':[{'canDbc':{'networkInterface':'can0','canDbcFiles':['QQ==']}}]}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'d'"));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'d','description':'words may change'}"));
  CHECK_OK(call("CreateVehicle", "{'vehicleName':'car-1','modelManifestArn':'" ARN("model-manifest", "m") "','decoderManifestArn':'" ARN("decoder-manifest", "d") "'}"));
  CHECK(call("UpdateDecoderManifest", "{'name':'d','status':'DRAFT'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'d'"));
  CHECK(call("DeleteDecoderManifest", "{'name':'d'}") != MC_OK);
  CHECK(failed(MC_CONTROL_CONFLICT, "'resource':'d'"));
  CHECK_OK(call("DeleteVehicle", "{'vehicleName':'car-1'}"));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'d','status':'DRAFT'}"));
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &list, &n, &why));
  CHECK_INT(n, 0);
  CHECK(call("CreateVehicle", "{'vehicleName':'car-1','modelManifestArn':'" ARN("model-manifest", "m") "','decoderManifestArn':'" ARN("decoder-manifest", "d") "'}") != MC_OK);
  CHECK(failed(MC_CONTROL_VALIDATION, "'name':'decoderManifestArn'"));
  CHECK_OK(call("UpdateDecoderManifest", "{'name':'d','status':'ACTIVE','signalDecodersToUpdate':[" CAN("V.Speed", ",'name':'other'") "]}"));
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &list, &n, &why));
  CHECK_INT(n, 1);
  CHECK_OK(call("DeleteDecoderManifest", "{'name':'d'}"));
  CHECK_OK(call("DeleteDecoderManifest", "{'name':'d'}")); /* the contract gives it no ResourceNotFound */
  CHECK_OK(mc_campaign_manifests(c, 1, &arena, &list, &n, &why));
  CHECK_INT(n, 0);
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_documents_come_back_as_they_came);
  RUN(test_every_reason_for_a_bad_signal_is_told);
  RUN(test_numbers_that_no_frame_has_are_told_with_their_place);
  RUN(test_every_reason_for_a_bad_interface_is_told);
  RUN(test_an_active_manifest_is_compiled_for_both_kinds_of_agent);
  RUN(test_sixty_four_bits_with_a_fraction_become_floating_point_for_aws);
  RUN(test_an_active_manifest_stays_as_it_is_while_vehicles_use_it);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
