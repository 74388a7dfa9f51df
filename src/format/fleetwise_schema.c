#include "format/fleetwise_schema.h"

/* 5.1; 1000 and up: README, "FleetWise extensions" */
static const mc_fw_field checkin[] = {
    MC_FW_REPEATED(mc_fw_checkin, 1, TEXTS, sync_id, sync_id_count, NULL),
    MC_FW_FIELD(mc_fw_checkin, 2, U64, time_ms),
    MC_FW_FIELD(mc_fw_checkin, 1000, TEXT, agent),
    MC_FW_FIELD(mc_fw_checkin, 1001, U64, capabilities),
    MC_FW_REPEATED(mc_fw_checkin, 1002, TEXTS, error, error_count, NULL),
};
const mc_fw_message mc_fw_schema_checkin = MC_FW_MESSAGE("Checkin", mc_fw_checkin, checkin);

/* 5.2 */
static const mc_fw_field mux[] = {
    MC_FW_FIELD(mc_fw_mux, 1, U32, start_bit),
    MC_FW_FIELD(mc_fw_mux, 2, U32, length),
    MC_FW_FIELD(mc_fw_mux, 3, BOOL, big_endian),
    MC_FW_REPEATED(mc_fw_mux, 4, PAIRS, range, range_count, NULL),
};
static const mc_fw_message mux_message = MC_FW_MESSAGE("Multiplexor", mc_fw_mux, mux);

static const mc_fw_field can_signal[] = {
    MC_FW_FIELD(mc_fw_can_signal, 1, U32, signal_id),
    MC_FW_FIELD(mc_fw_can_signal, 2, TEXT, interface_id),
    MC_FW_FIELD(mc_fw_can_signal, 3, U32, message_id),
    MC_FW_FIELD(mc_fw_can_signal, 4, BOOL, big_endian),
    MC_FW_FIELD(mc_fw_can_signal, 5, BOOL, is_signed),
    MC_FW_FIELD(mc_fw_can_signal, 6, U32, start_bit),
    MC_FW_FIELD(mc_fw_can_signal, 7, F64, offset),
    MC_FW_FIELD(mc_fw_can_signal, 8, F64, factor),
    MC_FW_FIELD(mc_fw_can_signal, 9, U32, length),
    MC_FW_FIELD(mc_fw_can_signal, 10, U32, type),
    MC_FW_FIELD(mc_fw_can_signal, 11, U32, value_type),
    MC_FW_FIELD(mc_fw_can_signal, 1000, U32, id_mask),
    MC_FW_REPEATED(mc_fw_can_signal, 1001, MESSAGES, mux, mux_count, &mux_message),
};
static const mc_fw_message can_signal_message = MC_FW_MESSAGE("CANSignal", mc_fw_can_signal, can_signal);

static const mc_fw_field obd_signal[] = {
    MC_FW_FIELD(mc_fw_obd_signal, 1, U32, signal_id),
    MC_FW_FIELD(mc_fw_obd_signal, 2, TEXT, interface_id),
    MC_FW_FIELD(mc_fw_obd_signal, 3, U32, response_length),
    MC_FW_FIELD(mc_fw_obd_signal, 4, U32, service_mode),
    MC_FW_FIELD(mc_fw_obd_signal, 5, U32, pid),
    MC_FW_FIELD(mc_fw_obd_signal, 6, F64, scaling),
    MC_FW_FIELD(mc_fw_obd_signal, 7, F64, offset),
    MC_FW_FIELD(mc_fw_obd_signal, 8, U32, start_byte),
    MC_FW_FIELD(mc_fw_obd_signal, 9, U32, byte_length),
    MC_FW_FIELD(mc_fw_obd_signal, 10, U32, bit_right_shift),
    MC_FW_FIELD(mc_fw_obd_signal, 11, U32, bit_mask_length),
    MC_FW_FIELD(mc_fw_obd_signal, 12, U32, type),
    MC_FW_FIELD(mc_fw_obd_signal, 13, U32, value_type),
    MC_FW_FIELD(mc_fw_obd_signal, 14, BOOL, is_signed),
};
static const mc_fw_message obd_signal_message = MC_FW_MESSAGE("OBDPIDSignal", mc_fw_obd_signal, obd_signal);

static const mc_fw_field primitive_data[] = {
    MC_FW_FIELD(mc_fw_complex_type, 1, U32, type),
    MC_FW_FIELD(mc_fw_complex_type, 2, F64, scaling),
    MC_FW_FIELD(mc_fw_complex_type, 3, F64, offset),
};
static const mc_fw_message primitive_data_message = MC_FW_MESSAGE("PrimitiveData", mc_fw_complex_type, primitive_data);

static const mc_fw_field complex_member[] = {
    MC_FW_FIELD(mc_fw_complex_member, 1, U32, type_id),
    MC_FW_FIELD(mc_fw_complex_member, 1000, TEXT, name),
};
static const mc_fw_message complex_member_message = MC_FW_MESSAGE("ComplexStructMember", mc_fw_complex_member, complex_member);

static const mc_fw_field complex_struct[] = {
    MC_FW_REPEATED(mc_fw_complex_type, 1, MESSAGES, member, member_count, &complex_member_message)};
static const mc_fw_message complex_struct_message = MC_FW_MESSAGE("ComplexStruct", mc_fw_complex_type, complex_struct);

static const mc_fw_field complex_array[] = {
    MC_FW_FIELD(mc_fw_complex_type, 1, U64, size), /* int64: two's complement in a varint */
    MC_FW_FIELD(mc_fw_complex_type, 2, U32, element_type),
};
static const mc_fw_message complex_array_message = MC_FW_MESSAGE("ComplexArray", mc_fw_complex_type, complex_array);

static const mc_fw_field string_data[] = {
    MC_FW_FIELD(mc_fw_complex_type, 1, U32, encoding),
    MC_FW_FIELD(mc_fw_complex_type, 2, U64, size),
};
static const mc_fw_message string_data_message = MC_FW_MESSAGE("StringData", mc_fw_complex_type, string_data);

static const mc_fw_field complex_type[] = {
    MC_FW_FIELD(mc_fw_complex_type, 1, U32, type_id),
    MC_FW_ONE_OF(mc_fw_complex_type, MC_FW_COMPLEX_PRIMITIVE, kind, &primitive_data_message, "primitive_data"),
    MC_FW_ONE_OF(mc_fw_complex_type, MC_FW_COMPLEX_STRUCT, kind, &complex_struct_message, "struct"),
    MC_FW_ONE_OF(mc_fw_complex_type, MC_FW_COMPLEX_ARRAY, kind, &complex_array_message, "array"),
    MC_FW_ONE_OF(mc_fw_complex_type, MC_FW_COMPLEX_STRING, kind, &string_data_message, "string_data"),
};
static const mc_fw_message complex_type_message = MC_FW_MESSAGE("ComplexType", mc_fw_complex_type, complex_type);

static const mc_fw_field complex_signal[] = {
    MC_FW_FIELD(mc_fw_complex_signal, 1, U32, signal_id),
    MC_FW_FIELD(mc_fw_complex_signal, 2, TEXT, interface_id),
    MC_FW_FIELD(mc_fw_complex_signal, 3, TEXT, message_id),
    MC_FW_FIELD(mc_fw_complex_signal, 4, U32, root_type),
};
static const mc_fw_message complex_signal_message = MC_FW_MESSAGE("ComplexSignal", mc_fw_complex_signal, complex_signal);

static const mc_fw_field custom_signal[] = {
    MC_FW_FIELD(mc_fw_custom_signal, 1, U32, signal_id),
    MC_FW_FIELD(mc_fw_custom_signal, 2, TEXT, interface_id),
    MC_FW_FIELD(mc_fw_custom_signal, 3, TEXT, decoding_id),
    MC_FW_FIELD(mc_fw_custom_signal, 4, U32, type),
};
static const mc_fw_message custom_signal_message = MC_FW_MESSAGE("CustomDecodingSignal", mc_fw_custom_signal, custom_signal);

static const mc_fw_field manifest[] = {
    MC_FW_FIELD(mc_fw_manifest, 1, TEXT, sync_id),
    MC_FW_REPEATED(mc_fw_manifest, 2, MESSAGES, can, can_count, &can_signal_message),
    MC_FW_REPEATED(mc_fw_manifest, 3, MESSAGES, obd, obd_count, &obd_signal_message),
    MC_FW_REPEATED(mc_fw_manifest, 4, MESSAGES, complex_type, complex_type_count, &complex_type_message),
    MC_FW_REPEATED(mc_fw_manifest, 5, MESSAGES, complex, complex_count, &complex_signal_message),
    MC_FW_REPEATED(mc_fw_manifest, 6, MESSAGES, custom, custom_count, &custom_signal_message),
};
const mc_fw_message mc_fw_schema_manifest = MC_FW_MESSAGE("DecoderManifest", mc_fw_manifest, manifest);

/* 5.3 */
static const mc_fw_field time_based[] = {MC_FW_FIELD(mc_fw_scheme, 1, U32, period_ms)};
static const mc_fw_message time_based_message = MC_FW_MESSAGE("TimeBasedCollectionScheme", mc_fw_scheme, time_based);

static const mc_fw_field condition_based[] = {
    MC_FW_FIELD(mc_fw_scheme, 1, U32, minimum_interval_ms),
    MC_FW_FIELD(mc_fw_scheme, 2, U32, language_version),
    MC_FW_FIELD(mc_fw_scheme, 3, NODE, condition),
    MC_FW_FIELD(mc_fw_scheme, 4, U32, trigger_mode),
};
static const mc_fw_message condition_based_message = MC_FW_MESSAGE("ConditionBasedCollectionScheme", mc_fw_scheme, condition_based);

static const mc_fw_field signal_path[] = {MC_FW_REPEATED(mc_fw_signal_info, 1, NUMBERS, path, path_count, NULL)};
static const mc_fw_message signal_path_message = MC_FW_MESSAGE("SignalPath", mc_fw_signal_info, signal_path);

static const mc_fw_field signal_info[] = {
    MC_FW_FIELD(mc_fw_signal_info, 1, U32, signal_id),
    MC_FW_FIELD(mc_fw_signal_info, 2, U32, sample_buffer_size),
    MC_FW_FIELD(mc_fw_signal_info, 3, U32, minimum_sample_period_ms),
    MC_FW_FIELD(mc_fw_signal_info, 4, U32, fixed_window_period_ms),
    MC_FW_FIELD(mc_fw_signal_info, 5, BOOL, condition_only),
    MC_FW_INSIDE(6, &signal_path_message, "signal_path"),
    MC_FW_FIELD(mc_fw_signal_info, 7, U32, data_partition_id),
};
static const mc_fw_message signal_info_message = MC_FW_MESSAGE("SignalInformation", mc_fw_signal_info, signal_info);

static const mc_fw_field upload[] = {
    MC_FW_FIELD(mc_fw_scheme, 1, TEXT, bucket),
    MC_FW_FIELD(mc_fw_scheme, 2, TEXT, bucket_prefix),
    MC_FW_FIELD(mc_fw_scheme, 3, TEXT, bucket_region),
    MC_FW_FIELD(mc_fw_scheme, 4, TEXT, bucket_owner),
};
static const mc_fw_message upload_message = MC_FW_MESSAGE("S3UploadMetadata", mc_fw_scheme, upload);

static const mc_fw_field storage_options[] = {
    MC_FW_FIELD(mc_fw_partition, 1, U64, maximum_bytes),
    MC_FW_FIELD(mc_fw_partition, 2, TEXT, location),
    MC_FW_FIELD(mc_fw_partition, 3, U32, minimum_ttl_s),
};
static const mc_fw_message storage_options_message = MC_FW_MESSAGE("StorageOptions", mc_fw_partition, storage_options);

static const mc_fw_field upload_options[] = {MC_FW_FIELD(mc_fw_partition, 1, NODE, upload)};
static const mc_fw_message upload_options_message = MC_FW_MESSAGE("UploadOptions", mc_fw_partition, upload_options);

static const mc_fw_field partition[] = {
    MC_FW_INSIDE(1, &storage_options_message, "storage_options"),
    MC_FW_INSIDE(2, &upload_options_message, "upload_options"),
};
static const mc_fw_message partition_message = MC_FW_MESSAGE("PartitionConfiguration", mc_fw_partition, partition);

static const mc_fw_field store_and_forward[] = {
    MC_FW_REPEATED(mc_fw_scheme, 1, MESSAGES, partition, partition_count, &partition_message)};
static const mc_fw_message store_and_forward_message = MC_FW_MESSAGE("StoreAndForwardConfiguration", mc_fw_scheme, store_and_forward);

static const mc_fw_field time_based_fetch[] = {
    MC_FW_FIELD(mc_fw_fetch, 1, U64, max_execution_count),
    MC_FW_FIELD(mc_fw_fetch, 2, U64, frequency_ms),
    MC_FW_FIELD(mc_fw_fetch, 3, U64, reset_interval_ms),
};
static const mc_fw_message time_based_fetch_message = MC_FW_MESSAGE("TimeBasedFetchConfig", mc_fw_fetch, time_based_fetch);

static const mc_fw_field condition_based_fetch[] = {
    MC_FW_FIELD(mc_fw_fetch, 1, NODE, condition),
    MC_FW_FIELD(mc_fw_fetch, 2, U32, trigger_mode),
};
static const mc_fw_message condition_based_fetch_message = MC_FW_MESSAGE("ConditionBasedFetchConfig", mc_fw_fetch, condition_based_fetch);

static const mc_fw_field fetch[] = {
    MC_FW_FIELD(mc_fw_fetch, 1, U32, signal_id),
    {2, MC_FW_PART_OFF, 0, offsetof(mc_fw_fetch, condition_based), &time_based_fetch_message, "time_based"},
    {3, MC_FW_PART_ON, 0, offsetof(mc_fw_fetch, condition_based), &condition_based_fetch_message, "condition_based"},
    MC_FW_FIELD(mc_fw_fetch, 4, U32, language_version),
    MC_FW_REPEATED(mc_fw_fetch, 5, NODES, action, action_count, NULL),
};
static const mc_fw_message fetch_message = MC_FW_MESSAGE("FetchInformation", mc_fw_fetch, fetch);

static const mc_fw_field scheme[] = {
    MC_FW_FIELD(mc_fw_scheme, 1, TEXT, campaign_sync_id),
    MC_FW_FIELD(mc_fw_scheme, 2, TEXT, manifest_sync_id),
    MC_FW_FIELD(mc_fw_scheme, 3, U64, start_ms),
    MC_FW_FIELD(mc_fw_scheme, 4, U64, expiry_ms),
    {5, MC_FW_PART_OFF, 0, offsetof(mc_fw_scheme, condition_based), &time_based_message, "time_based"},
    {6, MC_FW_PART_ON, 0, offsetof(mc_fw_scheme, condition_based), &condition_based_message, "condition_based"},
    MC_FW_FIELD(mc_fw_scheme, 7, U32, after_duration_ms),
    MC_FW_FIELD(mc_fw_scheme, 8, BOOL, include_dtcs),
    MC_FW_REPEATED(mc_fw_scheme, 9, MESSAGES, signal, signal_count, &signal_info_message),
    MC_FW_FIELD(mc_fw_scheme, 11, BOOL, persist),
    MC_FW_FIELD(mc_fw_scheme, 12, BOOL, compress),
    MC_FW_FIELD(mc_fw_scheme, 13, U32, priority),
    MC_FW_INSIDE(16, &upload_message, "s3_upload_metadata"),
    MC_FW_INSIDE(17, &store_and_forward_message, "store_and_forward_configuration"),
    MC_FW_REPEATED(mc_fw_scheme, 18, MESSAGES, fetch, fetch_count, &fetch_message),
    MC_FW_FIELD(mc_fw_scheme, 19, TEXT, campaign_arn),
};
static const mc_fw_message scheme_message = MC_FW_MESSAGE("CollectionScheme", mc_fw_scheme, scheme);

static const mc_fw_field schemes[] = {
    MC_FW_REPEATED(mc_fw_schemes, 1, MESSAGES, scheme, scheme_count, &scheme_message),
    MC_FW_FIELD(mc_fw_schemes, 2, U64, time_ms),
};
const mc_fw_message mc_fw_schema_schemes = MC_FW_MESSAGE("CollectionSchemes", mc_fw_schemes, schemes);

/* 5.3, at its end */
static const mc_fw_field path_index[] = {MC_FW_REPEATED(mc_fw_path, 1, NUMBERS, index, count, NULL)};
static const mc_fw_message path_index_message = MC_FW_MESSAGE("SignalPath", mc_fw_path, path_index);
static const mc_fw_field path[] = {
    MC_FW_FIELD(mc_fw_path, 1, U32, signal_id),
    MC_FW_INSIDE(2, &path_index_message, "signal_path"),
};
const mc_fw_message mc_fw_schema_path = MC_FW_MESSAGE("PrimitiveTypeInComplexSignal", mc_fw_path, path);
