/* The tables of contract fleetwise 9.4: members, limits and characters of every request. */
#include "campaign/shape.h"

#define REQ true
#define OPT false
#define STRUCT(name, ...) \
  static const shape_member name##_members[] = {__VA_ARGS__, {0}}; \
  static const shape name = {.kind = SHAPE_STRUCT, .member = name##_members}
#define UNION(name, ...) \
  static const shape_member name##_members[] = {__VA_ARGS__, {0}}; \
  static const shape name = {.kind = SHAPE_UNION, .member = name##_members}
#define TEXT(name, ...) static const shape name = {.kind = SHAPE_TEXT, __VA_ARGS__}
#define WORD(name, list) static const shape name = {.kind = SHAPE_WORD, .words = (list)}
#define INT(name, least, most) static const shape name = {.kind = SHAPE_INT, .low = (least), .high = (most)}
#define LIST(name, of, least, limited_by) static const shape name = {.kind = SHAPE_LIST, .item = &(of), .low = (least), .limit = (limited_by)}

/* ---- rules that a set of characters cannot say ---- */

static bool starts_arn(mc_slice text, const char **expected)
{
  *expected = "a name that begins with arn:";
  return mc_slice_starts(text, MC_LIT("arn:"));
}

static bool contains(mc_slice text, const char *part)
{
  return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

static bool role_arn(mc_slice text, const char **expected)
{
  *expected = "the ARN of a role, arn:aws:iam::<account>:role/<name>";
  return starts_arn(text, &(const char *){0}) && contains(text, ":iam::") && contains(text, ":role/");
}

static bool bucket_arn(mc_slice text, const char **expected)
{
  *expected = "the ARN of a bucket, arn:aws:s3:::<bucket>";
  return starts_arn(text, &(const char *){0}) && contains(text, ":s3:::") && text.data[text.len - 1] != ':';
}

static bool table_arn(mc_slice text, const char **expected)
{
  *expected = "the ARN of a table, arn:aws:timestream:<region>:<account>:database/<name>/table/<name>";
  return starts_arn(text, &(const char *){0}) && contains(text, ":timestream:") && contains(text, ":database/") && contains(text, "/table/");
}

static bool no_two_dots(mc_slice text, const char **expected)
{
  *expected = "no two dots in a row";
  return !contains(text, "..");
}

static bool dotted(mc_slice text, const char **expected) /* wildcardSignalName: parts, none of them empty */
{
  *expected = "parts with a dot between them, none of them empty";
  return text.len && text.data[0] != '.' && text.data[text.len - 1] != '.' && !contains(text, "..");
}

static bool reserved_tag(mc_slice text, const char **expected)
{
  *expected = "a key that does not begin with aws: (it is reserved)";
  return !mc_slice_starts(text, MC_LIT("aws:"));
}

/* ---- leaves ---- */

#define RESOURCE_SET "a-zA-Z0-9_:-"
#define NODE_SET "a-zA-Z0-9_."
static const shape boolean = {.kind = SHAPE_BOOL}, number = {.kind = SHAPE_NUMBER}, seconds = {.kind = SHAPE_TIME}, anything = {.kind = SHAPE_ANY};
TEXT(any_text, .low = 0);
TEXT(resource_name, .low = 1, .high = 100, .set = RESOURCE_SET);
TEXT(fqn, .low = 1, .limit = LIMIT_FQN, .set = NODE_SET);
TEXT(description, .low = 1, .limit = LIMIT_DESCRIPTION);
TEXT(arn, .low = 1, .high = 1011, .rule = starts_arn);
TEXT(token, .low = 1, .high = 4096);
TEXT(attribute_name, .low = 1, .high = 150, .set = "a-zA-Z0-9_.-");
TEXT(attribute_value, .low = 0, .high = 4096);
TEXT(interface_id, .low = 1, .high = 50, .set = "a-zA-Z0-9_.-");
TEXT(node_name_100, .low = 1, .high = 100, .set = NODE_SET);
TEXT(node_name_50, .low = 1, .high = 50, .set = NODE_SET);
TEXT(text_50, .low = 1, .high = 50);
TEXT(text_100, .low = 1, .high = 100);
TEXT(text_150, .low = 1, .high = 150);
TEXT(role, .low = 20, .high = 2048, .rule = role_arn);
TEXT(expression, .low = 1, .limit = LIMIT_EXPRESSION);
TEXT(fetch_expression, .low = 1, .limit = LIMIT_FETCH_EXPRESSION);
TEXT(vss_text, .low = 1, .set = "\x01-\xff"); /* JSON has lines */
WORD(scope, "METADATA_ONLY");
WORD(manifest_status, "ACTIVE|DRAFT|INVALID|VALIDATING");
WORD(value_type, "INTEGER|FLOATING_POINT");
WORD(trigger_mode, "ALWAYS|RISING_EDGE");
WORD(data_type, "INT8|UINT8|INT16|UINT16|INT32|UINT32|INT64|UINT64|BOOLEAN|FLOAT|DOUBLE|STRING|UNIX_TIMESTAMP|INT8_ARRAY|UINT8_ARRAY|INT16_ARRAY|UINT16_ARRAY|"
                "INT32_ARRAY|UINT32_ARRAY|INT64_ARRAY|UINT64_ARRAY|BOOLEAN_ARRAY|FLOAT_ARRAY|DOUBLE_ARRAY|STRING_ARRAY|UNIX_TIMESTAMP_ARRAY|UNKNOWN|STRUCT|STRUCT_ARRAY");
INT(natural, 0, INT32_MAX);
INT(positive, 1, INT32_MAX);
INT(positive_long, 1, INT64_MAX);
INT(u32, 0, UINT32_MAX);
INT(one_to_8, 1, 8);
INT(language, 1, 1);
static const shape page_size = {.kind = SHAPE_INT, .low = 1, .high = INT32_MAX}; /* more than a page holds is a page: control_page_of */
LIST(fqns, fqn, 1, LIMIT_NODES);
LIST(some_fqns, fqn, 0, LIMIT_NODES);
LIST(dimensions, fqn, 0, LIMIT_DIMENSIONS);

/* ---- tags ---- */
TEXT(tag_key, .low = 1, .high = 128, .rule = reserved_tag);
TEXT(tag_value, .low = 0, .limit = LIMIT_TAG_VALUE);
STRUCT(tag, {"Key", &tag_key, REQ}, {"Value", &tag_value, REQ});
LIST(tags, tag, 0, LIMIT_TAGS);
LIST(tag_keys, tag_key, 0, LIMIT_TAG_KEYS);

/* ---- catalog ---- */
static const shape value_name = {.kind = SHAPE_LIST, .item = &anything, .low = 2, .high = 2}, value_names = {.kind = SHAPE_LIST, .item = &value_name};
static const shape texts = {.kind = SHAPE_LIST, .item = &any_text};
#define NODE_TEXTS {"description", &description, OPT}, {"deprecationMessage", &description, OPT}, {"comment", &description, OPT}
/* valueNames is ours: [[0, "off"], [1, "on"]] */
#define NODE_VALUES {"dataType", &data_type, REQ}, {"unit", &any_text, OPT}, {"allowedValues", &texts, OPT}, {"min", &number, OPT}, {"max", &number, OPT}, \
                    {"valueNames", &value_names, OPT}
STRUCT(branch, {"fullyQualifiedName", &fqn, REQ}, NODE_TEXTS);
STRUCT(sensor, {"fullyQualifiedName", &fqn, REQ}, NODE_TEXTS, NODE_VALUES, {"structFullyQualifiedName", &fqn, OPT});
STRUCT(actuator, {"fullyQualifiedName", &fqn, REQ}, NODE_TEXTS, NODE_VALUES, {"assignedValue", &any_text, OPT}, {"structFullyQualifiedName", &fqn, OPT});
STRUCT(attribute, {"fullyQualifiedName", &fqn, REQ}, NODE_TEXTS, NODE_VALUES, {"assignedValue", &any_text, OPT}, {"defaultValue", &any_text, OPT});
WORD(data_encoding, "BINARY|TYPED");
STRUCT(property, {"fullyQualifiedName", &fqn, REQ}, NODE_TEXTS, {"dataType", &data_type, REQ}, {"dataEncoding", &data_encoding, OPT},
       {"structFullyQualifiedName", &fqn, OPT});
UNION(node, {"branch", &branch, OPT}, {"sensor", &sensor, OPT}, {"actuator", &actuator, OPT}, {"attribute", &attribute, OPT}, {"struct", &branch, OPT},
      {"property", &property, OPT});
LIST(nodes, node, 0, LIMIT_NODES);
UNION(vss, {"vssJson", &vss_text, OPT});
WORD(node_kind, "SENSOR|ACTUATOR|ATTRIBUTE|BRANCH|CUSTOM_STRUCT|CUSTOM_PROPERTY");

/* ---- decoders; multiplex, idMask, isExtended and primitiveType are ours ---- */
static const shape structured_message;
TEXT(topic, .low = 1, .high = 150, .set = "a-zA-Z0-9_#:./-");
TEXT(custom_id, .low = 1, .high = 150, .set = "a-zA-Z0-9_#:.-", .rule = no_two_dots);
STRUCT(can_signal, {"messageId", &natural, REQ}, {"isBigEndian", &boolean, REQ}, {"isSigned", &boolean, REQ}, {"startBit", &natural, REQ},
       {"offset", &number, REQ}, {"factor", &number, REQ}, {"length", &natural, REQ}, {"name", &node_name_100, OPT}, {"signalValueType", &value_type, OPT},
       {"multiplex", &anything, OPT}, {"idMask", &u32, OPT}, {"isExtended", &boolean, OPT}, {"primitiveType", &data_type, OPT});
STRUCT(obd_signal, {"pidResponseLength", &positive, REQ}, {"serviceMode", &natural, REQ}, {"pid", &natural, REQ}, {"scaling", &number, REQ},
       {"offset", &number, REQ}, {"startByte", &natural, REQ}, {"byteLength", &one_to_8, REQ}, {"bitRightShift", &natural, OPT},
       {"bitMaskLength", &one_to_8, OPT}, {"isSigned", &boolean, OPT}, {"signalValueType", &value_type, OPT});
STRUCT(message_signal, {"topicName", &topic, REQ}, {"structuredMessage", &structured_message, REQ});
STRUCT(custom_signal, {"id", &custom_id, REQ});
WORD(ros2_type, "BOOL|BYTE|CHAR|FLOAT32|FLOAT64|INT8|UINT8|INT16|UINT16|INT32|UINT32|INT64|UINT64|STRING|WSTRING");
INT(upper_bound, 0, 2048);
STRUCT(ros2, {"primitiveType", &ros2_type, REQ}, {"offset", &number, OPT}, {"scaling", &number, OPT}, {"upperBound", &upper_bound, OPT});
UNION(primitive, {"ros2PrimitiveMessageDefinition", &ros2, OPT});
WORD(list_kind, "FIXED_CAPACITY|DYNAMIC_UNBOUNDED_CAPACITY|DYNAMIC_BOUNDED_CAPACITY");
STRUCT(message_list, {"name", &text_150, REQ}, {"memberType", &structured_message, REQ}, {"listType", &list_kind, REQ}, {"capacity", &natural, OPT});
STRUCT(message_field, {"fieldName", &text_150, REQ}, {"dataType", &structured_message, REQ});
LIST(message_fields, message_field, 0, LIMIT_FIELDS); /* none: EMPTY_MESSAGE_SIGNAL */
UNION(structured_message, {"primitiveMessageDefinition", &primitive, OPT}, {"structuredMessageListDefinition", &message_list, OPT},
      {"structuredMessageDefinition", &message_fields, OPT});
WORD(decoder_kind, "CAN_SIGNAL|OBD_SIGNAL|MESSAGE_SIGNAL|CUSTOM_DECODING_SIGNAL");
STRUCT(decoder, {"fullyQualifiedName", &fqn, REQ}, {"type", &decoder_kind, REQ}, {"interfaceId", &interface_id, REQ}, {"canSignal", &can_signal, OPT},
       {"obdSignal", &obd_signal, OPT}, {"messageSignal", &message_signal, OPT}, {"customDecodingSignal", &custom_signal, OPT});
LIST(decoders, decoder, 1, LIMIT_DECODERS);
STRUCT(can_interface, {"name", &node_name_100, REQ}, {"protocolName", &node_name_50, OPT}, {"protocolVersion", &node_name_50, OPT});
STRUCT(obd_interface, {"name", &node_name_100, REQ}, {"requestMessageId", &natural, REQ}, {"obdStandard", &text_50, OPT},
       {"pidRequestIntervalSeconds", &natural, OPT}, {"dtcRequestIntervalSeconds", &natural, OPT}, {"useExtendedIds", &boolean, OPT},
       {"hasTransmissionEcu", &boolean, OPT});
WORD(middleware_protocol, "ROS_2");
STRUCT(middleware, {"name", &text_100, REQ}, {"protocolName", &middleware_protocol, REQ});
STRUCT(custom_interface, {"name", &resource_name, REQ});
WORD(interface_kind, "CAN_INTERFACE|OBD_INTERFACE|VEHICLE_MIDDLEWARE|CUSTOM_DECODING_INTERFACE");
STRUCT(interface, {"interfaceId", &interface_id, REQ}, {"type", &interface_kind, REQ}, {"canInterface", &can_interface, OPT},
       {"obdInterface", &obd_interface, OPT}, {"vehicleMiddleware", &middleware, OPT}, {"customDecodingInterface", &custom_interface, OPT});
LIST(interfaces, interface, 1, LIMIT_INTERFACES);
LIST(interface_ids, interface_id, 1, LIMIT_INTERFACES);
WORD(unmapped, "CUSTOM_DECODING");
static const shape dbc_file = {.kind = SHAPE_BLOB, .limit = LIMIT_FILE_BYTES};
LIST(dbc_files, dbc_file, 1, LIMIT_FILES);
static const shape signals_map = {.kind = SHAPE_MAP, .key = &any_text, .item = &any_text};
STRUCT(can_dbc, {"networkInterface", &interface_id, REQ}, {"canDbcFiles", &dbc_files, REQ}, {"signalsMap", &signals_map, OPT});
UNION(network_file, {"canDbc", &can_dbc, OPT});
LIST(network_files, network_file, 1, LIMIT_INTERFACES);

/* ---- vehicles ---- */
static const shape attributes = {.kind = SHAPE_MAP, .key = &attribute_name, .item = &attribute_value, .limit = LIMIT_ATTRIBUTES};
WORD(association_behavior, "CreateIotThing|ValidateIotThingExists");
WORD(update_mode, "Overwrite|Merge");
WORD(rate_unit, "MILLISECOND|SECOND|MINUTE|HOUR");
STRUCT(rate, {"unit", &rate_unit, REQ}, {"value", &positive, REQ});
STRUCT(periodic, {"stateTemplateUpdateRate", &rate, REQ});
static const shape_member no_members[] = {{0}};
static const shape nothing = {.kind = SHAPE_STRUCT, .member = no_members};
UNION(strategy, {"periodic", &periodic, OPT}, {"onChange", &nothing, OPT});
STRUCT(association, {"identifier", &resource_name, REQ}, {"stateTemplateUpdateStrategy", &strategy, REQ});
LIST(associations, association, 1, LIMIT_ASSOCIATIONS);
LIST(association_ids, resource_name, 1, LIMIT_ASSOCIATIONS);
LIST(attribute_names, attribute_name, 1, LIMIT_FILTERS);
LIST(attribute_values, attribute_value, 1, LIMIT_FILTERS);
STRUCT(create_vehicle, {"vehicleName", &resource_name, REQ}, {"modelManifestArn", &arn, REQ}, {"decoderManifestArn", &arn, REQ},
       {"attributes", &attributes, OPT}, {"associationBehavior", &association_behavior, OPT}, {"tags", &tags, OPT}, {"stateTemplates", &associations, OPT});
STRUCT(update_vehicle, {"vehicleName", &resource_name, REQ}, {"modelManifestArn", &arn, OPT}, {"decoderManifestArn", &arn, OPT},
       {"attributes", &attributes, OPT}, {"attributeUpdateMode", &update_mode, OPT}, {"stateTemplatesToAdd", &associations, OPT},
       {"stateTemplatesToRemove", &association_ids, OPT}, {"stateTemplatesToUpdate", &associations, OPT});
LIST(create_vehicles, create_vehicle, 1, LIMIT_BATCH);
LIST(update_vehicles, update_vehicle, 1, LIMIT_BATCH);
STRUCT(batch_create, {"vehicles", &create_vehicles, REQ});
STRUCT(batch_update, {"vehicles", &update_vehicles, REQ});

/* ---- campaigns ---- */
TEXT(wildcard, .low = 1, .limit = LIMIT_FQN, .set = "a-zA-Z0-9_*|.[]-", .rule = dotted);
TEXT(partition_id, .low = 1, .high = 128, .set = "a-zA-Z0-9");
INT(samples, 1, UINT32_MAX);
STRUCT(collect, {"name", &wildcard, REQ}, {"maxSampleCount", &samples, OPT}, {"minimumSamplingIntervalMs", &u32, OPT}, {"dataPartitionId", &partition_id, OPT});
LIST(collects, collect, 0, LIMIT_COLLECT);
static const shape period = {.kind = SHAPE_INT, .high = 86400000, .limit = LIMIT_PERIOD};
STRUCT(time_based, {"periodMs", &period, REQ});
STRUCT(condition_based, {"expression", &expression, REQ}, {"minimumTriggerIntervalMs", &u32, OPT}, {"triggerMode", &trigger_mode, OPT},
       {"conditionLanguageVersion", &language, OPT});
UNION(scheme, {"timeBasedCollectionScheme", &time_based, OPT}, {"conditionBasedCollectionScheme", &condition_based, OPT});
TEXT(bucket, .low = 16, .high = 100, .rule = bucket_arn);
TEXT(prefix, .low = 1, .high = 512, .set = "a-zA-Z0-9_:./!*'()-");
TEXT(table, .low = 20, .high = 2048, .rule = table_arn);
TEXT(topic_arn, .low = 20, .high = 2048, .rule = starts_arn);
WORD(data_format, "JSON|PARQUET");
WORD(storage_compression, "NONE|GZIP");
STRUCT(s3, {"bucketArn", &bucket, REQ}, {"dataFormat", &data_format, OPT}, {"storageCompressionFormat", &storage_compression, OPT}, {"prefix", &prefix, OPT});
STRUCT(timestream, {"timestreamTableArn", &table, REQ}, {"executionRoleArn", &role, REQ});
STRUCT(mqtt_topic, {"mqttTopicArn", &topic_arn, REQ}, {"executionRoleArn", &role, REQ});
UNION(destination, {"s3Config", &s3, OPT}, {"timestreamConfig", &timestream, OPT}, {"mqttTopicConfig", &mqtt_topic, OPT});
LIST(destinations, destination, 1, LIMIT_DESTINATIONS);
WORD(size_unit, "MB|GB|TB");
WORD(ttl_unit, "HOURS|DAYS|WEEKS");
INT(size_value, 1, 1073741824);
INT(ttl_value, 1, 876600);
TEXT(storage_location, .low = 1, .high = 4096);
STRUCT(maximum_size, {"unit", &size_unit, REQ}, {"value", &size_value, REQ});
STRUCT(minimum_ttl, {"unit", &ttl_unit, REQ}, {"value", &ttl_value, REQ});
STRUCT(storage_options, {"maximumSize", &maximum_size, REQ}, {"storageLocation", &storage_location, REQ}, {"minimumTimeToLive", &minimum_ttl, REQ});
STRUCT(upload_options, {"expression", &expression, REQ}, {"conditionLanguageVersion", &language, OPT});
STRUCT(partition, {"id", &partition_id, REQ}, {"storageOptions", &storage_options, REQ}, {"uploadOptions", &upload_options, OPT});
LIST(partitions, partition, 1, LIMIT_PARTITIONS);
STRUCT(fetch_time, {"executionFrequencyMs", &positive_long, REQ});
STRUCT(fetch_condition, {"conditionExpression", &fetch_expression, REQ}, {"triggerMode", &trigger_mode, REQ});
UNION(fetch_config, {"timeBased", &fetch_time, OPT}, {"conditionBased", &fetch_condition, OPT});
TEXT(action, .low = 1, .high = 100);
LIST(actions, action, 1, LIMIT_ACTIONS);
STRUCT(fetch, {"fullyQualifiedName", &fqn, REQ}, {"signalFetchConfig", &fetch_config, REQ}, {"conditionLanguageVersion", &language, OPT}, {"actions", &actions, REQ});
LIST(fetches, fetch, 1, LIMIT_FETCH);
WORD(diagnostics, "OFF|SEND_ACTIVE_DTCS");
WORD(spooling, "OFF|TO_DISK");
WORD(compression, "OFF|SNAPPY");
TEXT(status_text, .low = 1, .high = 20, .set = "A-Z_");
WORD(campaign_action, "APPROVE|SUSPEND|RESUME|UPDATE");
STRUCT(create_campaign, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"signalCatalogArn", &arn, REQ}, {"targetArn", &arn, REQ},
       {"startTime", &seconds, OPT}, {"expiryTime", &seconds, OPT}, {"postTriggerCollectionDuration", &u32, OPT}, {"diagnosticsMode", &diagnostics, OPT},
       {"spoolingMode", &spooling, OPT}, {"compression", &compression, OPT}, {"priority", &natural, OPT}, {"signalsToCollect", &collects, OPT},
       {"collectionScheme", &scheme, REQ}, {"dataExtraDimensions", &dimensions, OPT}, {"tags", &tags, OPT}, {"dataDestinationConfigs", &destinations, OPT},
       {"dataPartitions", &partitions, OPT}, {"signalsToFetch", &fetches, OPT});
STRUCT(update_campaign, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"dataExtraDimensions", &dimensions, OPT},
       {"action", &campaign_action, REQ});

/* ---- state templates ---- */
LIST(properties, fqn, 1, LIMIT_PROPERTIES);
STRUCT(create_template, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"signalCatalogArn", &arn, REQ},
       {"stateTemplateProperties", &properties, REQ}, {"dataExtraDimensions", &dimensions, OPT}, {"metadataExtraDimensions", &dimensions, OPT},
       {"tags", &tags, OPT});
STRUCT(update_template, {"identifier", &resource_name, REQ}, {"description", &description, OPT}, {"stateTemplatePropertiesToAdd", &properties, OPT},
       {"stateTemplatePropertiesToRemove", &properties, OPT}, {"dataExtraDimensions", &dimensions, OPT}, {"metadataExtraDimensions", &dimensions, OPT});

/* ---- account ---- */
WORD(log_type, "OFF|ERROR");
TEXT(log_group, .low = 1, .high = 512, .set = "a-zA-Z0-9_./#-");
STRUCT(log_delivery, {"logType", &log_type, REQ}, {"logGroupName", &log_group, OPT});
STRUCT(put_logging, {"cloudWatchLogDelivery", &log_delivery, REQ});
WORD(encryption, "KMS_BASED_ENCRYPTION|FLEETWISE_DEFAULT_ENCRYPTION");
TEXT(kms_key, .low = 0, .high = 2048);
STRUCT(put_encryption, {"kmsKeyId", &kms_key, OPT}, {"encryptionType", &encryption, REQ});
TEXT(timestream_name, .low = 3, .high = 255, .set = "a-zA-Z0-9_.-");
STRUCT(timestream_resources, {"timestreamDatabaseName", &timestream_name, REQ}, {"timestreamTableName", &timestream_name, REQ});
STRUCT(iam_resources, {"roleArn", &role, REQ});
STRUCT(register_account, {"timestreamResources", &timestream_resources, OPT}, {"iamResources", &iam_resources, OPT});

/* ---- the rest of the inputs ---- */
#define PAGED {"nextToken", &token, OPT}, {"maxResults", &page_size, OPT}
STRUCT(by_name, {"name", &resource_name, REQ});
STRUCT(by_fleet, {"fleetId", &resource_name, REQ});
STRUCT(by_vehicle, {"vehicleName", &resource_name, REQ});
STRUCT(by_identifier, {"identifier", &resource_name, REQ});
STRUCT(vehicle_fleet, {"vehicleName", &resource_name, REQ}, {"fleetId", &resource_name, REQ});
STRUCT(paged, PAGED);
STRUCT(paged_scope, PAGED, {"listResponseScope", &scope, OPT});
STRUCT(paged_name, {"name", &resource_name, REQ}, PAGED);
STRUCT(paged_fleet, {"fleetId", &resource_name, REQ}, PAGED);
STRUCT(paged_vehicle, {"vehicleName", &resource_name, REQ}, PAGED);
STRUCT(paged_nodes, {"name", &resource_name, REQ}, PAGED, {"signalNodeType", &node_kind, OPT});
STRUCT(list_campaigns, PAGED, {"status", &status_text, OPT}, {"listResponseScope", &scope, OPT});
STRUCT(list_decoders, {"modelManifestArn", &arn, OPT}, PAGED, {"listResponseScope", &scope, OPT});
STRUCT(list_models, {"signalCatalogArn", &arn, OPT}, PAGED, {"listResponseScope", &scope, OPT});
STRUCT(list_vehicles, {"modelManifestArn", &arn, OPT}, {"attributeNames", &attribute_names, OPT}, {"attributeValues", &attribute_values, OPT}, PAGED,
       {"listResponseScope", &scope, OPT});
STRUCT(by_arn, {"ResourceARN", &arn, REQ});
STRUCT(tag_resource, {"ResourceARN", &arn, REQ}, {"Tags", &tags, REQ});
STRUCT(untag_resource, {"ResourceARN", &arn, REQ}, {"TagKeys", &tag_keys, REQ});
STRUCT(create_catalog, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"nodes", &nodes, OPT}, {"tags", &tags, OPT});
STRUCT(update_catalog, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"nodesToAdd", &nodes, OPT}, {"nodesToUpdate", &nodes, OPT},
       {"nodesToRemove", &fqns, OPT});
STRUCT(import_catalog, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"vss", &vss, OPT}, {"tags", &tags, OPT});
STRUCT(create_model, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"nodes", &some_fqns, REQ}, {"signalCatalogArn", &arn, REQ},
       {"tags", &tags, OPT});
STRUCT(update_model, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"nodesToAdd", &fqns, OPT}, {"nodesToRemove", &fqns, OPT},
       {"status", &manifest_status, OPT});
STRUCT(create_manifest, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"modelManifestArn", &arn, REQ}, {"signalDecoders", &decoders, OPT},
       {"networkInterfaces", &interfaces, OPT}, {"defaultForUnmappedSignals", &unmapped, OPT}, {"tags", &tags, OPT});
STRUCT(update_manifest, {"name", &resource_name, REQ}, {"description", &description, OPT}, {"signalDecodersToAdd", &decoders, OPT},
       {"signalDecodersToUpdate", &decoders, OPT}, {"signalDecodersToRemove", &fqns, OPT}, {"networkInterfacesToAdd", &interfaces, OPT},
       {"networkInterfacesToUpdate", &interfaces, OPT}, {"networkInterfacesToRemove", &interface_ids, OPT}, {"status", &manifest_status, OPT},
       {"defaultForUnmappedSignals", &unmapped, OPT});
STRUCT(import_manifest, {"name", &resource_name, REQ}, {"networkFileDefinitions", &network_files, REQ});
STRUCT(create_fleet, {"fleetId", &resource_name, REQ}, {"description", &description, OPT}, {"signalCatalogArn", &arn, REQ}, {"tags", &tags, OPT});
STRUCT(update_fleet, {"fleetId", &resource_name, REQ}, {"description", &description, OPT});

static const struct {
  const char *operation;
  const shape *input;
} inputs[] = {
    {"AssociateVehicleFleet", &vehicle_fleet},
    {"BatchCreateVehicle", &batch_create},
    {"BatchUpdateVehicle", &batch_update},
    {"CreateCampaign", &create_campaign},
    {"CreateDecoderManifest", &create_manifest},
    {"CreateFleet", &create_fleet},
    {"CreateModelManifest", &create_model},
    {"CreateSignalCatalog", &create_catalog},
    {"CreateStateTemplate", &create_template},
    {"CreateVehicle", &create_vehicle},
    {"DeleteCampaign", &by_name},
    {"DeleteDecoderManifest", &by_name},
    {"DeleteFleet", &by_fleet},
    {"DeleteModelManifest", &by_name},
    {"DeleteSignalCatalog", &by_name},
    {"DeleteStateTemplate", &by_identifier},
    {"DeleteVehicle", &by_vehicle},
    {"DisassociateVehicleFleet", &vehicle_fleet},
    {"GetCampaign", &by_name},
    {"GetDecoderManifest", &by_name},
    {"GetEncryptionConfiguration", &nothing},
    {"GetFleet", &by_fleet},
    {"GetLoggingOptions", &nothing},
    {"GetModelManifest", &by_name},
    {"GetRegisterAccountStatus", &nothing},
    {"GetSignalCatalog", &by_name},
    {"GetStateTemplate", &by_identifier},
    {"GetVehicle", &by_vehicle},
    {"GetVehicleStatus", &paged_vehicle},
    {"ImportDecoderManifest", &import_manifest},
    {"ImportSignalCatalog", &import_catalog},
    {"ListCampaigns", &list_campaigns},
    {"ListDecoderManifestNetworkInterfaces", &paged_name},
    {"ListDecoderManifestSignals", &paged_name},
    {"ListDecoderManifests", &list_decoders},
    {"ListFleets", &paged_scope},
    {"ListFleetsForVehicle", &paged_vehicle},
    {"ListModelManifestNodes", &paged_name},
    {"ListModelManifests", &list_models},
    {"ListSignalCatalogNodes", &paged_nodes},
    {"ListSignalCatalogs", &paged},
    {"ListStateTemplates", &paged_scope},
    {"ListTagsForResource", &by_arn},
    {"ListVehicles", &list_vehicles},
    {"ListVehiclesInFleet", &paged_fleet},
    {"PutEncryptionConfiguration", &put_encryption},
    {"PutLoggingOptions", &put_logging},
    {"RegisterAccount", &register_account},
    {"TagResource", &tag_resource},
    {"UntagResource", &untag_resource},
    {"UpdateCampaign", &update_campaign},
    {"UpdateDecoderManifest", &update_manifest},
    {"UpdateFleet", &update_fleet},
    {"UpdateModelManifest", &update_model},
    {"UpdateSignalCatalog", &update_catalog},
    {"UpdateStateTemplate", &update_template},
    {"UpdateVehicle", &update_vehicle},
};

const shape *shape_of_input(mc_slice operation)
{
  for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
    if (mc_slice_eq_str(operation, inputs[i].operation))
      return inputs[i].input;
  return NULL;
}
