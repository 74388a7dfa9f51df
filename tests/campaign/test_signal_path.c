/* Conditions that go into a structured signal: from the name to the indices that the wire has, and every wrong step at its byte. */
#include "campaign_case.h"

static mc_buf answer;
static mc_control_error fault;
static mc_why why;
static mc_arena arena;

/* Single quotes stand for double ones. */
static mc_err call(const char *operation, const char *input)
{
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  why = (mc_why){0};
  char *text = strdup(input);
  for (char *p = text; *p; p++)
    if (*p == '\'')
      *p = '"';
  mc_control_request request = {.tenant = 1, .operation = mc_slice_str(operation), .input = mc_slice_str(text)};
  mc_err err = mc_control_call(c, &request, &answer, &fault, &why);
  if (err)
    printf("# %s: %s\n", operation, why.text);
  free(text);
  return err;
}

#define ARN(kind, name) "arn:aws:iotfleetwise:local:000000000000:" kind "/" name
#define PRIMITIVE(t) "{'primitiveMessageDefinition':{'ros2PrimitiveMessageDefinition':{'primitiveType':'" t "'}}}"
#define FIELD(name, type) "{'fieldName':'" name "','dataType':" type "}"
#define BOX "{'structuredMessageDefinition':[" FIELD("Label", PRIMITIVE("STRING")) "," FIELD("Distance", PRIMITIVE("FLOAT64")) "]}"
#define BOXES "{'structuredMessageListDefinition':{'name':'l','memberType':" BOX ",'listType':'DYNAMIC_BOUNDED_CAPACITY','capacity':4}}"

static mc_err ready(void)
{
  if (!begin())
    return MC_ERR_IO;
  MC_TRY(call("CreateSignalCatalog", "{'name':'car','nodes':[{'sensor':{'fullyQualifiedName':'V.Speed','dataType':'FLOAT'}},{'struct':{'fullyQualifiedName':'T.Box'}},"
                                     "{'property':{'fullyQualifiedName':'T.Box.Label','dataType':'STRING'}},{'property':{'fullyQualifiedName':'T.Box.Distance','dataType':'DOUBLE'}},"
                                     "{'sensor':{'fullyQualifiedName':'V.Boxes','dataType':'STRUCT_ARRAY','structFullyQualifiedName':'T.Box'}}]}"));
  MC_TRY(call("CreateModelManifest", "{'name':'m','signalCatalogArn':'" ARN("signal-catalog", "car") "','nodes':['V.Speed','V.Boxes']}"));
  MC_TRY(call("UpdateModelManifest", "{'name':'m','status':'ACTIVE'}"));
  MC_TRY(call("CreateDecoderManifest",
              "{'name':'d','modelManifestArn':'" ARN("model-manifest", "m") "','networkInterfaces':[{'interfaceId':'can0','type':'CAN_INTERFACE','canInterface':{'name':'can0'}},"
              "{'interfaceId':'ros','type':'VEHICLE_MIDDLEWARE','vehicleMiddleware':{'name':'ros','protocolName':'ROS_2'}}],'signalDecoders':["
              "{'fullyQualifiedName':'V.Speed','type':'CAN_SIGNAL','interfaceId':'can0','canSignal':{'messageId':256,'isBigEndian':false,'isSigned':false,'startBit':0,'offset':0,'factor':1,"
              "'length':8}},{'fullyQualifiedName':'V.Boxes','type':'MESSAGE_SIGNAL','interfaceId':'ros','messageSignal':{'topicName':'/cam:x/Boxes','structuredMessage':" BOXES "}}]}"));
  MC_TRY(call("UpdateDecoderManifest", "{'name':'d','status':'ACTIVE'}"));
  snprintf(car.manifest, sizeof car.manifest, "d");
  MC_TRY(mc_registry_vehicle_update(registry, &car, &why));
  mc_campaign_vehicle_changed(c, 1, car.id);
  return MC_OK;
}

static void finish(void)
{
  mc_control_error_free(&fault);
  mc_buf_free(&answer);
  end();
}

static mc_err check(const char *text)
{
  uint32_t depth;
  mc_slice *fqn;
  size_t n;
  return mc_campaign_check_expression(c, 1, mc_slice_str(text), &depth, &arena, &fqn, &n, &why);
}

static void test_a_path_becomes_the_indices_of_its_manifest(void)
{
  mc_fw_schemes s;
  mc_fw_path path;
  uint32_t boxes;
  arena = MC_ARENA(0);
  CHECK_OK(ready());
  CHECK_OK(mc_registry_signal_lookup(registry, 1, MC_LIT("V.Boxes"), &boxes));
  CHECK_OK(create("near", "V.Speed", "$variable.`V.Boxes[2].Distance` < 5 && $variable.`V.Boxes[0].Label` == 'child' && $variable.`V.Boxes[2].Distance` > 0", &why));
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 2);
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&outbox[1].payload), &arena, &s, &why));
  CHECK_INT(s.scheme_count, 1);
  CHECK_INT(s.scheme[0].signal_count, 3); /* Speed, and each part once */
  int parts = 0;
  for (uint32_t i = 0; i < 3; i++) {
    const mc_fw_signal_info *info = &s.scheme[0].signal[i];
    if (!info->path_count)
      continue;
    parts++;
    CHECK_INT(info->signal_id, boxes);
    CHECK_INT(info->path_count, 2);
    CHECK(info->condition_only);
    CHECK_INT(info->path[1], info->path[0] == 2 ? 1 : 0); /* Distance stands second, Label first */
  }
  CHECK_INT(parts, 2);
  const mc_fw_node *less = s.scheme[0].condition->left->left;
  CHECK_INT(less->op, MC_OP_LT);
  CHECK_INT(less->left->kind, MC_FW_NODE_PATH);
  CHECK_OK(mc_fw_read_path(less->left->text, &arena, &path, &why));
  CHECK_INT(path.signal_id, boxes);
  CHECK_INT(path.count, 2);
  CHECK_INT(path.index[0], 2);
  CHECK_INT(path.index[1], 1);
  finish();
  mc_arena_free(&arena);
}

static void test_wrong_steps_are_told_at_their_byte(void)
{
  static const struct { const char *text, *part; } cases[] = {
      {"$variable.`V.Boxes[2].Width` < 5", "byte 11: V.Boxes has no field \"Width\" there"},
      {"$variable.`V.Boxes[4].Distance` < 5", "element 4 of a list in V.Boxes: it holds at most 4, counted from 0"},
      {"$variable.`V.Boxes[2]` < 5", "ends at a struct or a list"},
      {"$variable.`V.Boxes.Distance` < 5", "V.Boxes has no field \"Distance\" there"},
      {"$variable.`V.Boxes[x].Distance` < 5", "expected .field or [index]"},
      {"$variable.`V.Boxes[2` < 5", "expected .field or [index]"},
      {"$variable.`V.Boxes[2].Distance.x` < 5", "has no field \"x\" there"},
      {"$variable.`V.Boxes[2].Distance[0]` < 5", "has no list there"},
      {"$variable.`V.Boxes[0].Label` < 5", "byte 0: < takes numbers, and this is text"},
      {"$variable.`V.Speed.x` < 5", "there is no signal \"V.Speed.x\""},
      {"$variable.`V.Boxes[99999999999].Distance` < 5", "expected .field or [index]"},
  };
  arena = MC_ARENA(0);
  CHECK_OK(ready());
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK(check(cases[i].text) != MC_OK);
    CHECK_WHY(why, cases[i].part);
  }
  CHECK_OK(check("$variable.`V.Boxes[3].Distance` < 5"));
  finish();
  mc_arena_free(&arena);
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_path_becomes_the_indices_of_its_manifest);
  RUN(test_wrong_steps_are_told_at_their_byte);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
