/* The control plane by name: what is found, how inputs are refused, and the operations about the account. */
#include <jansson.h>
#include <stdio.h>

#include "base/log.h"
#include "campaign/campaign.h"
#include "campaign/shape.h"
#include "tap.h"

static mc_db *db;
static mc_registry *registry;
static mc_campaigns *c;
static mc_buf ca, ca_key, answer;
static mc_control_error fault;
static mc_why why;

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *w) { return MC_OK; }

static bool begin(void)
{
  if (!ca.len && mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why))
    return false;
  mc_campaigns_config config = {.publish = publish};
  if (mc_db_open_sqlite(":memory:", &db, &why) ||
      mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why))
    return false;
  config.db = db;
  config.registry = registry;
  return mc_campaigns_open(&config, &c, &why) == MC_OK;
}

static void end(void)
{
  mc_control_error_free(&fault);
  mc_buf_free(&answer);
  mc_campaigns_close(&c);
  mc_registry_close(&registry);
  mc_db_close(&db);
}

static mc_err call_as(uint32_t tenant, const char *operation, const char *input)
{
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  mc_control_request request = {.tenant = tenant, .operation = mc_slice_str(operation), .input = mc_slice_str(input), .region = MC_LIT("eu-central-1"), .actor = MC_LIT("test")};
  return mc_control_call(c, &request, &answer, &fault, &why);
}

static mc_err call(const char *operation, const char *input) { return call_as(1, operation, input); }

static bool says(const mc_buf *b, const char *part) { return b->len && memmem(b->data, b->len, part, strlen(part)); }

static void test_lists_its_operations_in_order(void)
{
  CHECK(mc_control_count() > 0);
  for (size_t i = 0; i < mc_control_count(); i++) {
    mc_control_info info = mc_control_at(i);
    CHECK(shape_of_input(mc_slice_str(info.operation)));
    CHECK(mc_control_find(mc_slice_str(info.operation)));
    CHECK(strcmp(mc_control_find(mc_slice_str(info.operation))->operation, info.operation) == 0);
    CHECK(mc_access_role_allows(MC_ROLE_ADMIN, mc_slice_str(info.permission)));
    CHECK(info.changes == (strstr(info.permission, ":write") != NULL));
    if (i)
      CHECK(strcmp(mc_control_at(i - 1).operation, info.operation) < 0);
  }
  CHECK(!mc_control_find(MC_LIT("")));
  CHECK(!mc_control_find(MC_LIT("getLoggingOptions")));
}

static void test_tells_an_unknown_operation(void)
{
  CHECK(begin());
  CHECK_INT(call("ListEverything", "{}"), MC_ERR_UNSUPPORTED);
  CHECK_INT(fault.fault, MC_CONTROL_VALIDATION);
  CHECK(says(&fault.members, "\"reason\":\"unknownOperation\""));
  CHECK(strstr(why.text, "ListEverything"));
  end();
}

static void test_tells_where_the_input_is_no_json(void)
{
  static const char *const bad[] = {"{", "[]", "7", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "\xff", "{} x"};
  CHECK(begin());
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CHECK_INT(call("PutLoggingOptions", bad[i]), MC_ERR_INVALID);
    CHECK_INT(fault.fault, MC_CONTROL_VALIDATION);
    CHECK(says(&fault.members, "\"reason\":\"cannotParse\""));
    CHECK_INT(answer.len, 0);
  }
  end();
}

/* ---- shapes ---- */

static uint64_t limits[SHAPE_LIMITS];

static bool refused(const char *operation, const char *input, const char *path, const char *text)
{
  mc_buf faults = {0};
  json_t *in = json_loads(input, 0, NULL);
  for (size_t i = 1; i < SHAPE_LIMITS; i++)
    limits[i] = shape_limits[i].aws;
  bool ok = in && shape_check(shape_of_input(mc_slice_str(operation)), in, limits, &faults, &why) == MC_ERR_INVALID;
  char name[300];
  snprintf(name, sizeof name, "{\"name\":\"%s\",\"message\":", path);
  ok = ok && says(&faults, name) && says(&faults, text);
  if (!ok)
    printf("# %s %s: %.*s\n", operation, input, MC_FMT(mc_buf_slice(&faults)));
  json_decref(in);
  mc_buf_free(&faults);
  return ok;
}

static void test_names_each_wrong_field_by_its_path(void)
{
  static const struct {
    const char *operation, *input, *path, *text;
  } bad[] = {
      {"GetCampaign", "{}", "name", "required"},
      {"GetCampaign", "{\"name\":null}", "name", "required"},
      {"GetCampaign", "{\"name\":7}", "name", "expected text, found a whole number"},
      {"GetCampaign", "{\"name\":\"\"}", "name", "1 to 100 characters, found 0"},
      {"GetCampaign", "{\"name\":\"a b\"}", "name", "at character 2"},
      {"GetCampaign", "{\"name\":\"a\",\"nmae\":1}", "nmae", "no such member"},
      {"ListCampaigns", "{\"maxResults\":0}", "maxResults", "expected 1 to"},
      {"ListCampaigns", "{\"maxResults\":1.5}", "maxResults", "a whole number"},
      {"ListCampaigns", "{\"listResponseScope\":\"ALL\"}", "listResponseScope", "one of METADATA_ONLY"},
      {"CreateSignalCatalog", "{\"name\":\"c\",\"nodes\":[{\"branch\":{\"fullyQualifiedName\":\"A\"}},{\"sensor\":{\"fullyQualifiedName\":\"A.B\",\"dataType\":\"INT7\"}}]}",
       "nodes[1].sensor.dataType", "INT8|UINT8"},
      {"CreateSignalCatalog", "{\"name\":\"c\",\"nodes\":[{}]}", "nodes[0]", "exactly one member, found 0"},
      {"CreateSignalCatalog", "{\"name\":\"c\",\"nodes\":[{\"branch\":{\"fullyQualifiedName\":\"A\"},\"struct\":{\"fullyQualifiedName\":\"A\"}}]}", "nodes[0]",
       "exactly one member, found 2"},
      {"CreateSignalCatalog", "{\"name\":\"c\",\"description\":\"a\\nb\"}", "description", "control characters"},
      {"CreateVehicle", "{\"vehicleName\":\"v\",\"modelManifestArn\":\"x\",\"decoderManifestArn\":\"arn:a\"}", "modelManifestArn", "arn:"},
      {"CreateVehicle", "{\"vehicleName\":\"v\",\"modelManifestArn\":\"arn:\",\"decoderManifestArn\":\"arn:a\",\"attributes\":{\"a b\":\"1\"}}", "attributes.a b", "character 2"},
      {"CreateVehicle", "{\"vehicleName\":\"v\",\"modelManifestArn\":\"arn:\",\"decoderManifestArn\":\"arn:a\",\"attributes\":{\"a\":1}}", "attributes.a", "expected text"},
      {"CreateVehicle", "{\"vehicleName\":\"v\",\"modelManifestArn\":\"arn:\",\"decoderManifestArn\":\"arn:a\",\"tags\":[{\"Key\":\"aws:x\",\"Value\":\"\"}]}", "tags[0].Key",
       "reserved"},
      {"CreateCampaign", "{\"name\":\"c\",\"signalCatalogArn\":\"arn:\",\"targetArn\":\"arn:\",\"collectionScheme\":{\"timeBasedCollectionScheme\":{\"periodMs\":9999}}}",
       "collectionScheme.timeBasedCollectionScheme.periodMs", "expected 10000 to 86400000, found 9999 (setting fleetwise_period_ms)"},
      {"CreateCampaign", "{\"name\":\"c\",\"signalCatalogArn\":\"arn:\",\"targetArn\":\"arn:\",\"collectionScheme\":{},\"startTime\":-1}", "startTime", "seconds since 1970"},
      {"CreateCampaign", "{\"name\":\"c\",\"signalCatalogArn\":\"arn:\",\"targetArn\":\"arn:\",\"collectionScheme\":{},\"signalsToCollect\":[{\"name\":\"A..B\"}]}",
       "signalsToCollect[0].name", "parts with a dot"},
      {"CreateCampaign",
       "{\"name\":\"c\",\"signalCatalogArn\":\"arn:\",\"targetArn\":\"arn:\",\"collectionScheme\":{},\"dataDestinationConfigs\":[{\"s3Config\":{\"bucketArn\":\"arn:aws:sqs:::buck\"}}]}",
       "dataDestinationConfigs[0].s3Config.bucketArn", "ARN of a bucket"},
      {"ImportDecoderManifest", "{\"name\":\"m\",\"networkFileDefinitions\":[{\"canDbc\":{\"networkInterface\":\"1\",\"canDbcFiles\":[\"%%%\"]}}]}",
       "networkFileDefinitions[0].canDbc.canDbcFiles[0]", "base64"},
      {"UntagResource", "{\"ResourceARN\":\"arn:x\",\"TagKeys\":\"a\"}", "TagKeys", "expected a list, found text"},
      {"ListVehicles", "{\"attributeNames\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]}", "attributeNames", "1 to 5 items, found 6 (setting fleetwise_filters)"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK(refused(bad[i].operation, bad[i].input, bad[i].path, bad[i].text));
}

static void test_takes_what_is_right_and_drops_null(void)
{
  static const char *const good[][2] = {
      {"CreateCampaign",
       "{\"name\":\"c:1-_\",\"signalCatalogArn\":\"arn:x\",\"targetArn\":\"arn:x\",\"startTime\":0.5,\"expiryTime\":253402214400,\"description\":\"\xc3\xa9t\xc3\xa9\","
       "\"collectionScheme\":{\"conditionBasedCollectionScheme\":{\"expression\":\"$variable.`A` > 1\",\"triggerMode\":\"ALWAYS\",\"conditionLanguageVersion\":1}},"
       "\"signalsToCollect\":[{\"name\":\"A.*.B|C\",\"maxSampleCount\":4294967295}],\"tags\":[],\"dataDestinationConfigs\":[{\"s3Config\":{\"bucketArn\":\"arn:aws:s3:::bucket\"}},"
       "{\"mqttTopicConfig\":{\"mqttTopicArn\":\"arn:aws:iot:eu-central-1:000000000000:topic/a\",\"executionRoleArn\":\"arn:aws:iam::000000000000:role/r\"}}]}"},
      {"CreateDecoderManifest",
       "{\"name\":\"m\",\"modelManifestArn\":\"arn:x\",\"signalDecoders\":[{\"fullyQualifiedName\":\"A.B\",\"type\":\"MESSAGE_SIGNAL\",\"interfaceId\":\"1\",\"messageSignal\":{"
       "\"topicName\":\"t\",\"structuredMessage\":{\"structuredMessageDefinition\":[{\"fieldName\":\"f\",\"dataType\":{\"structuredMessageListDefinition\":{\"name\":\"l\","
       "\"listType\":\"FIXED_CAPACITY\",\"capacity\":2,\"memberType\":{\"primitiveMessageDefinition\":{\"ros2PrimitiveMessageDefinition\":{\"primitiveType\":\"INT8\"}}}}}}]}}}]}"},
      {"ImportSignalCatalog", "{\"name\":\"c\",\"vss\":{\"vssJson\":\"{\\n}\"}}"},
      {"ListCampaigns", "{\"status\":null,\"maxResults\":100,\"nextToken\":null}"},
  };
  for (size_t i = 1; i < SHAPE_LIMITS; i++)
    limits[i] = shape_limits[i].aws;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    mc_buf faults = {0};
    json_t *in = json_loads(good[i][1], 0, NULL);
    CHECK(in);
    mc_err err = shape_check(shape_of_input(mc_slice_str(good[i][0])), in, limits, &faults, &why);
    if (err)
      printf("# %s\n", why.text);
    CHECK_INT(err, MC_OK);
    CHECK(!json_object_get(in, "status") && !json_object_get(in, "nextToken"));
    json_decref(in);
    mc_buf_free(&faults);
  }
}

static void test_a_message_nested_too_deep_is_refused(void)
{
  mc_buf text = {0}, faults = {0};
  mc_buf_append_str(&text, "{\"name\":\"m\",\"modelManifestArn\":\"arn:x\",\"signalDecoders\":[{\"fullyQualifiedName\":\"A\",\"type\":\"MESSAGE_SIGNAL\",\"interfaceId\":\"1\","
                           "\"messageSignal\":{\"topicName\":\"t\",\"structuredMessage\":");
  for (int i = 0; i < 200; i++)
    mc_buf_append_str(&text, "{\"structuredMessageDefinition\":[{\"fieldName\":\"f\",\"dataType\":");
  mc_buf_append_str(&text, "{}");
  for (int i = 0; i < 200; i++)
    mc_buf_append_str(&text, "}]}");
  mc_buf_append_str(&text, "}}]}");
  json_t *in = json_loadb((const char *)text.data, text.len, 0, NULL);
  CHECK(in);
  CHECK_INT(shape_check(shape_of_input(MC_LIT("CreateDecoderManifest")), in, limits, &faults, &why), MC_ERR_INVALID);
  CHECK(strstr(why.text, "nested deeper"));
  json_decref(in);
  mc_buf_free(&text);
  mc_buf_free(&faults);
}

static void test_tells_at_most_twenty_faults(void)
{
  mc_buf text = {0}, faults = {0};
  mc_buf_append_str(&text, "{\"name\":\"c\",\"nodes\":[");
  for (int i = 0; i < 400; i++)
    mc_buf_append_str(&text, i ? ",7" : "7");
  mc_buf_append_str(&text, "]}");
  json_t *in = json_loadb((const char *)text.data, text.len, 0, NULL);
  CHECK_INT(shape_check(shape_of_input(MC_LIT("CreateSignalCatalog")), in, limits, &faults, &why), MC_ERR_INVALID);
  size_t count = 0;
  for (size_t at = 0; (at = mc_slice_find(mc_buf_slice(&faults), '{', at)) < faults.len; at++)
    count++;
  CHECK_INT(count, 20);
  json_decref(in);
  mc_buf_free(&text);
  mc_buf_free(&faults);
}

/* ---- the account ---- */

static void test_keeps_what_the_account_says(void)
{
  CHECK(begin());
  CHECK_INT(call("GetLoggingOptions", ""), MC_OK);
  CHECK(says(&answer, "{\"cloudWatchLogDelivery\":{\"logType\":\"OFF\"}}"));
  CHECK_INT(call("PutLoggingOptions", "{\"cloudWatchLogDelivery\":{\"logType\":\"ERROR\"}}"), MC_ERR_INVALID);
  CHECK(says(&fault.members, "cloudWatchLogDelivery.logGroupName"));
  CHECK_INT(call("PutLoggingOptions", "{\"cloudWatchLogDelivery\":{\"logType\":\"ERROR\",\"logGroupName\":\"fw/errors\"}}"), MC_OK);
  CHECK(says(&answer, "{}"));
  CHECK_INT(call("GetLoggingOptions", "{}"), MC_OK);
  CHECK(says(&answer, "{\"logType\":\"ERROR\",\"logGroupName\":\"fw/errors\"}"));
  CHECK_INT(call_as(2, "GetLoggingOptions", "{}"), MC_OK);
  CHECK(says(&answer, "\"OFF\""));
  end();
}

static void test_registers_at_once(void)
{
  CHECK(begin());
  CHECK_INT(call("GetRegisterAccountStatus", "{}"), MC_OK);
  CHECK(says(&answer, "\"customerAccountId\":\"000000000000\",\"accountStatus\":\"REGISTRATION_SUCCESS\""));
  CHECK(says(&answer, "\"creationTime\":"));
  CHECK_INT(call("RegisterAccount", "{\"iamResources\":{\"roleArn\":\"arn:aws:iam::000000000000:role/fleet\"},\"timestreamResources\":{\"timestreamDatabaseName\":\"dba\","
                                    "\"timestreamTableName\":\"tab\"}}"),
            MC_OK);
  CHECK_INT(call("GetRegisterAccountStatus", "{}"), MC_OK);
  CHECK(says(&answer, "\"roleArn\":\"arn:aws:iam::000000000000:role/fleet\""));
  CHECK(says(&answer, "\"timestreamTableName\":\"tab\",\"registrationStatus\":\"REGISTRATION_SUCCESS\""));
  end();
}

static void test_refuses_a_key_of_somebody_elses_kms(void)
{
  CHECK(begin());
  CHECK_INT(call("PutEncryptionConfiguration", "{\"encryptionType\":\"KMS_BASED_ENCRYPTION\",\"kmsKeyId\":\"k\"}"), MC_ERR_INVALID);
  CHECK(strstr(why.text, "master_key"));
  CHECK_INT(call("PutEncryptionConfiguration", "{\"encryptionType\":\"FLEETWISE_DEFAULT_ENCRYPTION\"}"), MC_OK);
  CHECK_INT(call("GetEncryptionConfiguration", "{}"), MC_OK);
  CHECK(says(&answer, "\"encryptionStatus\":\"SUCCESS\",\"encryptionType\":\"FLEETWISE_DEFAULT_ENCRYPTION\",\"creationTime\":"));
  end();
}

static void test_tags_only_what_exists(void)
{
  static const char *const arns[] = {"arn:aws:iotfleetwise:eu-central-1:000000000000:campaign/none", "arn:aws:iotfleetwise:eu-central-1:000000000000:vehicle/none",
                                     "arn:aws:iotfleetwise:eu-central-1:000000000000:fleet/a b"};
  CHECK(begin());
  for (size_t i = 0; i < 3; i++) {
    char input[300];
    snprintf(input, sizeof input, "{\"ResourceARN\":\"%s\",\"Tags\":[{\"Key\":\"a\",\"Value\":\"b\"}]}", arns[i]);
    CHECK_INT(call("TagResource", input), MC_ERR_NOT_FOUND);
    CHECK_INT(fault.fault, MC_CONTROL_NOT_FOUND);
    CHECK(says(&fault.members, "\"resourceType\":"));
  }
  CHECK_INT(call("ListTagsForResource", "{\"ResourceARN\":\"arn:aws:iotfleetwise:x:0:planet/earth\"}"), MC_ERR_INVALID);
  CHECK_INT(call("ListTagsForResource", "{\"ResourceARN\":\"arn:aws:s3:x:0:campaign/earth\"}"), MC_ERR_INVALID);
  CHECK_INT(fault.fault, MC_CONTROL_VALIDATION);
  end();
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_lists_its_operations_in_order);
  RUN(test_tells_an_unknown_operation);
  RUN(test_tells_where_the_input_is_no_json);
  RUN(test_names_each_wrong_field_by_its_path);
  RUN(test_takes_what_is_right_and_drops_null);
  RUN(test_a_message_nested_too_deep_is_refused);
  RUN(test_tells_at_most_twenty_faults);
  RUN(test_keeps_what_the_account_says);
  RUN(test_registers_at_once);
  RUN(test_refuses_a_key_of_somebody_elses_kms);
  RUN(test_tags_only_what_exists);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
