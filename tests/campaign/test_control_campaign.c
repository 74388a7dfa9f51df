/* Campaigns by FleetWise's operations: their whole life, every refusal at its member, and the same rows as our own calls write. */
#include "campaign_case.h"

static mc_buf answer;
static mc_control_error fault;
static mc_why why;

static mc_err call(const char *operation, const char *input)
{
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  why = (mc_why){0};
  mc_control_request request = {.tenant = 1, .operation = mc_slice_str(operation), .input = mc_slice_str(input), .region = MC_LIT("eu-central-1"), .account = MC_LIT("123456789012"),
                                .actor = MC_LIT("test")};
  mc_err err = mc_control_call(c, &request, &answer, &fault, &why);
  mc_buf_append_u8(&answer, 0);
  return err;
}

static bool has(const char *part)
{
  const char *text = answer.len ? (const char *)answer.data : "";
  if (!strstr(text, part))
    printf("# %s\n# does not hold %s (%s)\n", text, part, why.text);
  return strstr(text, part) != NULL;
}

/* A refusal at this member, with this text. */
static bool refused(mc_control_fault kind, const char *members, const char *text)
{
  char got[2000] = "";
  mc_slice_to_str(mc_buf_slice(&fault.members), got, sizeof got);
  bool good = fault.fault == kind && strstr(got, members) && strstr(why.text, text);
  if (!good)
    printf("# fault %d: %s: %s\n", (int)fault.fault, got, why.text);
  return good;
}

static bool ready(void)
{
  mc_dbc_import_report report;
  vehicle_clock_ms = 0;
  if (!begin() || import(dbc_text, "", &report, &why) || give_manifest())
    return false;
  return call("CreateSignalCatalog", "{\"name\":\"cat\",\"nodes\":[{\"branch\":{\"fullyQualifiedName\":\"Vehicle\"}}]}") == MC_OK;
}

static void finish(void)
{
  mc_control_error_free(&fault);
  mc_buf_free(&answer);
  end();
}

#define CATALOG "\"signalCatalogArn\":\"arn:aws:iotfleetwise:eu-central-1:123456789012:signal-catalog/cat\","
#define TARGET "\"targetArn\":\"arn:aws:iotfleetwise:eu-central-1:123456789012:vehicle/car-1\","
#define TIMED "\"collectionScheme\":{\"timeBasedCollectionScheme\":{\"periodMs\":10000}}"
#define COLLECT "\"signalsToCollect\":[{\"name\":\"Vehicle.ENGINE.Rpm\"}],"

static void test_a_campaign_lives_its_whole_life(void)
{
  CHECK(ready());
  CHECK_OK(call("CreateCampaign", "{\"name\":\"c1\",\"description\":\"first\"," CATALOG TARGET COLLECT TIMED "}"));
  CHECK(has("{\"name\":\"c1\",\"arn\":\"arn:aws:iotfleetwise:eu-central-1:123456789012:campaign/c1\"}"));
  CHECK_OK(call("GetCampaign", "{\"name\":\"c1\"}"));
  CHECK(has("\"status\":\"WAITING_FOR_APPROVAL\""));
  CHECK(has("\"startTime\":0,\"expiryTime\":253402214400,\"postTriggerCollectionDuration\":0,\"diagnosticsMode\":\"OFF\",\"spoolingMode\":\"OFF\",\"compression\":\"SNAPPY\",\"priority\":0"));
  CHECK(has("\"dataExtraDimensions\":[]"));
  CHECK(has("signal-catalog/cat\""));
  CHECK(has("\"targetArn\":\"arn:aws:iotfleetwise:eu-central-1:123456789012:vehicle/car-1\""));
  CHECK_OK(call("GetVehicleStatus", "{\"vehicleName\":\"car-1\"}"));
  CHECK(has("{\"campaigns\":[{\"campaignName\":\"c1\",\"vehicleName\":\"car-1\",\"status\":\"CREATED\"}]}"));
  CHECK_INT(call("UpdateCampaign", "{\"name\":\"c1\",\"action\":\"SUSPEND\"}"), MC_ERR_CONFLICT);
  CHECK(refused(MC_CONTROL_CONFLICT, "\"resource\":\"c1\"", "SUSPEND needs a campaign that is RUNNING, and c1 is WAITING_FOR_APPROVAL"));
  CHECK_OK(call("UpdateCampaign", "{\"name\":\"c1\",\"action\":\"APPROVE\"}"));
  CHECK(has("\"status\":\"RUNNING\""));
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 2);
  CHECK_OK(call("GetVehicleStatus", "{\"vehicleName\":\"car-1\"}"));
  CHECK(has("\"status\":\"READY_FOR_CHECKIN\""));
  CHECK_OK(call("UpdateCampaign", "{\"name\":\"c1\",\"action\":\"SUSPEND\"}"));
  CHECK_INT(sent_count, 3);
  CHECK_INT(call("UpdateCampaign", "{\"name\":\"c1\",\"action\":\"APPROVE\"}"), MC_ERR_CONFLICT);
  CHECK_OK(call("UpdateCampaign", "{\"name\":\"c1\",\"action\":\"RESUME\"}"));
  CHECK_OK(call("UpdateCampaign", "{\"name\":\"c1\",\"action\":\"UPDATE\",\"description\":\"changed\",\"dataExtraDimensions\":[\"Vehicle.VIN\"]}"));
  CHECK(has("\"status\":\"RUNNING\""));
  CHECK_OK(call("GetCampaign", "{\"name\":\"c1\"}"));
  CHECK(has("\"description\":\"changed\""));
  CHECK(has("\"dataExtraDimensions\":[\"Vehicle.VIN\"]"));
  CHECK_OK(call("DeleteCampaign", "{\"name\":\"c1\"}"));
  CHECK(has("campaign/c1"));
  CHECK_INT(call("DeleteCampaign", "{\"name\":\"c1\"}"), MC_ERR_NOT_FOUND);
  CHECK(refused(MC_CONTROL_NOT_FOUND, "\"resourceId\":\"c1\",\"resourceType\":\"campaign\"", "there is no campaign"));
  finish();
}

static void test_everything_of_a_campaign_comes_back_as_it_was_given(void)
{
  CHECK(ready());
  CHECK_OK(call("CreateCampaign",
                "{\"name\":\"all\"," CATALOG TARGET
                "\"startTime\":1700000000.5,\"expiryTime\":4000000000,\"postTriggerCollectionDuration\":500,\"diagnosticsMode\":\"SEND_ACTIVE_DTCS\",\"spoolingMode\":\"TO_DISK\","
                "\"compression\":\"OFF\",\"priority\":3,\"signalsToCollect\":[{\"name\":\"Vehicle.ENGINE.Rpm\",\"maxSampleCount\":5,\"minimumSamplingIntervalMs\":100,\"dataPartitionId\":\"p1\"},"
                "{\"name\":\"Vehicle.ENGINE.Temp\"}],"
                "\"collectionScheme\":{\"conditionBasedCollectionScheme\":{\"expression\":\"$variable.`Vehicle.ENGINE.Rpm` > 3000\",\"minimumTriggerIntervalMs\":1000,\"triggerMode\":\"RISING_EDGE\","
                "\"conditionLanguageVersion\":1}},"
                "\"dataExtraDimensions\":[\"Vehicle.A\"],\"tags\":[{\"Key\":\"k\",\"Value\":\"v\"}],"
                "\"dataDestinationConfigs\":[{\"s3Config\":{\"bucketArn\":\"arn:aws:s3:::bucket\",\"dataFormat\":\"JSON\",\"prefix\":\"x\"}}],"
                "\"dataPartitions\":[{\"id\":\"p1\",\"storageOptions\":{\"maximumSize\":{\"unit\":\"TB\",\"value\":5},\"storageLocation\":\"disk/one\","
                    "\"minimumTimeToLive\":{\"unit\":\"WEEKS\",\"value\":52}},"
                "\"uploadOptions\":{\"expression\":\"$variable.`Vehicle.ENGINE.Rpm` == 0\",\"conditionLanguageVersion\":1}}],"
                "\"signalsToFetch\":[{\"fullyQualifiedName\":\"Vehicle.ENGINE.Trim\",\"signalFetchConfig\":{\"conditionBased\":{\"conditionExpression\":\"$variable.`Vehicle.ENGINE.Temp` "
                    "> 90\",\"triggerMode\":\"ALWAYS\"}},"
                "\"conditionLanguageVersion\":1,\"actions\":[\"custom_function('DTC_QUERY', -1, 2, -1)\"]}]}"));
  CHECK_OK(call("GetCampaign", "{\"name\":\"all\"}"));
  CHECK(has("\"startTime\":1700000000.5,\"expiryTime\":4000000000,\"postTriggerCollectionDuration\":500,\"diagnosticsMode\":\"SEND_ACTIVE_DTCS\","
      "\"spoolingMode\":\"TO_DISK\",\"compression\":\"OFF\",\"priority\":3"));
  CHECK(has("{\"name\":\"Vehicle.ENGINE.Rpm\",\"maxSampleCount\":5,\"minimumSamplingIntervalMs\":100,\"dataPartitionId\":\"p1\"}"));
  CHECK(has("\"triggerMode\":\"RISING_EDGE\""));
  CHECK(has("\"bucketArn\":\"arn:aws:s3:::bucket\""));
  CHECK(has("\"storageLocation\":\"disk/one\""));
  CHECK(has("DTC_QUERY"));
  CHECK_OK(call("ListTagsForResource", "{\"ResourceARN\":\"arn:aws:iotfleetwise:eu-central-1:123456789012:campaign/all\"}"));
  CHECK(has("\"Key\":\"k\""));
  CHECK_OK(call("UpdateCampaign", "{\"name\":\"all\",\"action\":\"APPROVE\"}"));
  CHECK_OK(checkin(NULL, 0, false));
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_schemes s;
  CHECK_INT(sent_count, 2);
  CHECK_OK(mc_fw_read_schemes(mc_buf_slice(&outbox[1].payload), &arena, &s, &why));
  CHECK_INT(s.scheme_count, 1);
  const mc_fw_scheme *x = &s.scheme[0];
  CHECK(x->include_dtcs && x->persist && !x->compress);
  CHECK_INT(x->start_ms, 1700000000500);
  CHECK_INT(x->expiry_ms, 4000000000000);
  CHECK_INT(x->after_duration_ms, 500);
  CHECK_INT(x->priority, 3);
  CHECK_INT(x->trigger_mode, 1);
  CHECK_INT(x->partition_count, 1);
  CHECK_INT(x->partition[0].maximum_bytes, 0xFFFFFFFF); /* AWS's agent counts in 32 bits */
  CHECK_INT(x->partition[0].minimum_ttl_s, 49 * 86400);
  CHECK_SLICE(x->partition[0].location, "disk/one");
  CHECK_INT(x->partition[0].upload->op, MC_OP_EQ);
  CHECK_SLICE(x->campaign_arn, "arn:aws:iotfleetwise:local:000000000000:campaign/all");
  CHECK_INT(x->fetch_count, 1);
  CHECK(x->fetch[0].condition_based);
  CHECK_INT(x->fetch[0].condition->op, MC_OP_GT);
  CHECK_INT(x->fetch[0].action_count, 1);
  CHECK_SLICE(x->fetch[0].action[0]->text, "DTC_QUERY");
  CHECK_DOUBLE(x->fetch[0].action[0]->param[0]->number, -1, 0);
  CHECK_INT(x->signal_count, 3); /* what is fetched stands there too */
  finish();
}

static void test_what_is_wrong_is_told_at_its_member(void)
{
  static const struct { const char *input, *member, *text; } cases[] = {
      {"\"signalsToCollect\":[{\"name\":\"Vehicle.ENGINE.Rpm\"},{\"name\":\"Vehicle.ENGINE.Tmp\"}]," TIMED, "\"name\":\"signalsToCollect[1].name\"", "did you mean \"Vehicle.ENGINE.Temp\""},
      {COLLECT "\"collectionScheme\":{\"conditionBasedCollectionScheme\":{\"expression\":\"$variable.`Vehicle.ENGINE.Rpm` > \"}}", "collectionScheme.conditionBasedCollectionScheme.expression",
       "byte 33: expected a value"},
      {COLLECT "\"expiryTime\":5,\"startTime\":10," TIMED, "\"name\":\"expiryTime\"", "after start"},
      {TIMED, "\"name\":\"signalsToCollect\"", "expected 1 to"},
      {"\"signalsToCollect\":[{\"name\":\"Vehicle.ENGINE.Rpm\",\"maxSampleCount\":4294967295}]," TIMED, "\"name\":\"signalsToCollect\"", "lower max_samples"},
      {"\"signalsToCollect\":[{\"name\":\"Vehicle.ENGINE.Rpm\",\"dataPartitionId\":\"p\"}]," TIMED, "signalsToCollect[0]", "no data partition"},
      {COLLECT "\"dataPartitions\":[{\"id\":\"p\",\"storageOptions\":{\"maximumSize\":{\"unit\":\"MB\",\"value\":5},\"storageLocation\":\"a/..\","
          "\"minimumTimeToLive\":{\"unit\":\"DAYS\",\"value\":1}}}]," TIMED,
       "dataPartitions[0].storageOptions.storageLocation", "names the folder"},
      {COLLECT "\"dataPartitions\":[{\"id\":\"p\",\"storageOptions\":{\"maximumSize\":{\"unit\":\"MB\",\"value\":5},\"storageLocation\":\"a\",\"minimumTimeToLive\":{\"unit\":\"DAYS\",\"value\":1}},"
               "\"uploadOptions\":{\"expression\":\"$variable.`Vehicle.ENGINE.Temp` > 1\"}}]," TIMED,
       "dataPartitions[0].uploadOptions.expression", "not among the signals to collect"},
      {COLLECT "\"signalsToFetch\":[{\"fullyQualifiedName\":\"Vehicle.ENGINE.Rpm\",\"signalFetchConfig\":{\"timeBased\":{\"executionFrequencyMs\":10}},"
          "\"actions\":[\"1 + 1\"]}]," TIMED, "signalsToFetch[0].actions[0]",
       "expected one function"},
      {COLLECT "\"signalsToFetch\":[{\"fullyQualifiedName\":\"Vehicle.Nope\",\"signalFetchConfig\":{\"timeBased\":{\"executionFrequencyMs\":10}},\"actions\":[\"custom_function('x')\"]}]," TIMED,
       "signalsToFetch[0].fullyQualifiedName", "there is no signal"},
  };
  char input[4000];
  CHECK(ready());
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    snprintf(input, sizeof input, "{\"name\":\"x\"," CATALOG TARGET "%s}", cases[i].input);
    CHECK(call("CreateCampaign", input) != MC_OK);
    CHECK(refused(MC_CONTROL_VALIDATION, cases[i].member, cases[i].text));
  }
  CHECK(call("CreateCampaign", "{\"name\":\"x\"," CATALOG "\"targetArn\":\"arn:aws:iotfleetwise:eu-central-1:123456789012:vehicle/none\"," COLLECT TIMED "}") != MC_OK);
  CHECK(refused(MC_CONTROL_NOT_FOUND, "\"resourceType\":\"vehicle\"", "there is no vehicle"));
  CHECK(call("CreateCampaign", "{\"name\":\"x\"," CATALOG "\"targetArn\":\"arn:aws:iotfleetwise:eu-central-1:123456789012:campaign/none\"," COLLECT TIMED "}") != MC_OK);
  CHECK(refused(MC_CONTROL_VALIDATION, "\"name\":\"targetArn\"", "vehicle or a fleet"));
  CHECK_OK(call("CreateCampaign", "{\"name\":\"x\"," CATALOG TARGET COLLECT TIMED "}"));
  CHECK_INT(call("CreateCampaign", "{\"name\":\"x\"," CATALOG TARGET COLLECT TIMED "}"), MC_ERR_CONFLICT);
  CHECK(refused(MC_CONTROL_CONFLICT, "\"resourceType\":\"campaign\"", "already"));
  CHECK_INT(call("GetVehicleStatus", "{\"vehicleName\":\"none\"}"), MC_ERR_NOT_FOUND);
  CHECK_INT(call("UpdateCampaign", "{\"name\":\"none\",\"action\":\"APPROVE\"}"), MC_ERR_NOT_FOUND);
  finish();
}

static void test_lists_have_pages_and_show_what_other_faces_made(void)
{
  char input[1000];
  CHECK(ready());
  CHECK_OK(create("ours", "Vehicle.ENGINE.Temp", NULL, &why));
  for (int i = 0; i < 4; i++) {
    snprintf(input, sizeof input, "{\"name\":\"c%d\"," CATALOG TARGET COLLECT TIMED "}", i);
    CHECK_OK(call("CreateCampaign", input));
  }
  CHECK_OK(call("ListCampaigns", "{\"maxResults\":2}"));
  CHECK(has("\"name\":\"c0\""));
  CHECK(has("\"name\":\"c1\""));
  const char *token = strstr((const char *)answer.data, "\"nextToken\":\"");
  CHECK(token != NULL);
  snprintf(input, sizeof input, "{\"maxResults\":2,\"nextToken\":\"%.*s\"}", (int)strcspn(token + 13, "\""), token + 13);
  CHECK_OK(call("ListCampaigns", input));
  CHECK(has("\"name\":\"c2\""));
  CHECK(has("\"name\":\"c3\""));
  CHECK_OK(call("ListCampaigns", "{\"status\":\"RUNNING\"}"));
  CHECK(has("\"name\":\"ours\""));
  CHECK(has("\"targetArn\":\"arn:aws:iotfleetwise:eu-central-1:123456789012:fleet/*\""));
  CHECK(!strstr((const char *)answer.data, "nextToken"));
  CHECK_OK(call("GetVehicleStatus", "{\"vehicleName\":\"car-1\",\"maxResults\":4}"));
  token = strstr((const char *)answer.data, "\"nextToken\":\"");
  CHECK(token != NULL);
  snprintf(input, sizeof input, "{\"vehicleName\":\"car-1\",\"nextToken\":\"%.*s\"}", (int)strcspn(token + 13, "\""), token + 13);
  CHECK_OK(call("GetVehicleStatus", input));
  CHECK(has("{\"campaigns\":[{\"campaignName\":\"ours\",\"vehicleName\":\"car-1\",\"status\":\"READY\"}]}"));
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign *list;
  size_t n;
  CHECK_OK(mc_campaign_list(c, 1, &arena, &list, &n, &why));
  CHECK_INT(n, 5); /* one list, whichever face made them */
  finish();
}

/* Contract 12.2: AWS's agent fails to build a manifest without signals, and everything in this one is multiplexed. */
static void test_a_manifest_of_nothing_is_not_sent(void)
{
#define OF(kind, name) "\"arn:aws:iotfleetwise:eu-central-1:123456789012:" kind "/" name "\""
  CHECK(ready());
  CHECK_OK(call("CreateSignalCatalog", "{\"name\":\"muxed\",\"nodes\":[{\"sensor\":{\"fullyQualifiedName\":\"M.S\",\"dataType\":\"UINT8\"}}]}"));
  CHECK_OK(call("CreateModelManifest", "{\"name\":\"muxed\",\"nodes\":[\"M.S\"],\"signalCatalogArn\":" OF("signal-catalog", "muxed") "}"));
  CHECK_OK(call("UpdateModelManifest", "{\"name\":\"muxed\",\"status\":\"ACTIVE\"}"));
  CHECK_OK(call("CreateDecoderManifest", "{\"name\":\"muxed\",\"modelManifestArn\":" OF("model-manifest", "muxed")
                                         ",\"networkInterfaces\":[{\"interfaceId\":\"can0\",\"type\":\"CAN_INTERFACE\",\"canInterface\":{\"name\":\"can0\"}}],\"signalDecoders\":"
                                         "[{\"fullyQualifiedName\":\"M.S\",\"type\":\"CAN_SIGNAL\",\"interfaceId\":\"can0\",\"canSignal\":{\"messageId\":1,\"isBigEndian\":false,"
                                         "\"isSigned\":false,\"startBit\":8,\"offset\":0,\"factor\":1,\"length\":8,\"multiplex\":[{\"startBit\":0,\"length\":8,\"isBigEndian\":false,"
                                         "\"ranges\":[[1,1]]}]}}]}"));
  CHECK_OK(call("UpdateDecoderManifest", "{\"name\":\"muxed\",\"status\":\"ACTIVE\"}"));
  CHECK_OK(call("UpdateVehicle", "{\"vehicleName\":\"car-1\",\"modelManifestArn\":" OF("model-manifest", "muxed") ",\"decoderManifestArn\":" OF("decoder-manifest", "muxed") "}"));
  sent_count = 0;
  CHECK_OK(checkin(NULL, 0, false));
  CHECK_INT(sent_count, 0);
  CHECK_OK(checkin(NULL, 0, true)); /* ours decodes it */
  CHECK_INT(sent_count, 1);
  CHECK(strstr(outbox[0].topic, "decoder_manifests") != NULL);
  finish();
#undef OF
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_campaign_lives_its_whole_life);
  RUN(test_everything_of_a_campaign_comes_back_as_it_was_given);
  RUN(test_what_is_wrong_is_told_at_its_member);
  RUN(test_lists_have_pages_and_show_what_other_faces_made);
  RUN(test_a_manifest_of_nothing_is_not_sent);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
