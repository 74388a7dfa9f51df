#include "format/fleetwise_schema.h"

#include <stddef.h>

#define FIELD(type, tag_, kind_, member) {tag_, MC_FW_##kind_, offsetof(type, member), 0, NULL, #member}
#define REPEATED(type, tag_, kind_, member, count, nested_) \
  {tag_, MC_FW_##kind_, offsetof(type, member), offsetof(type, count), nested_, #member}
#define MESSAGE(name_, type, fields) {name_, sizeof(type), sizeof(fields) / sizeof(fields)[0], fields}

/* 5.1; 1000 and up: README, "FleetWise extensions" */
static const mc_fw_field checkin[] = {
    REPEATED(mc_fw_checkin, 1, TEXTS, sync_id, sync_id_count, NULL),
    FIELD(mc_fw_checkin, 2, U64, time_ms),
    FIELD(mc_fw_checkin, 1000, TEXT, agent),
    FIELD(mc_fw_checkin, 1001, U64, capabilities),
    REPEATED(mc_fw_checkin, 1002, TEXTS, error, error_count, NULL),
};
const mc_fw_message mc_fw_schema_checkin = MESSAGE("Checkin", mc_fw_checkin, checkin);

/* 5.2 */
static const mc_fw_field mux[] = {
    FIELD(mc_fw_mux, 1, U32, start_bit),
    FIELD(mc_fw_mux, 2, U32, length),
    FIELD(mc_fw_mux, 3, BOOL, big_endian),
    REPEATED(mc_fw_mux, 4, PAIRS, range, range_count, NULL),
};
static const mc_fw_message mux_message = MESSAGE("Multiplexor", mc_fw_mux, mux);

static const mc_fw_field can_signal[] = {
    FIELD(mc_fw_can_signal, 1, U32, signal_id),
    FIELD(mc_fw_can_signal, 2, TEXT, interface_id),
    FIELD(mc_fw_can_signal, 3, U32, message_id),
    FIELD(mc_fw_can_signal, 4, BOOL, big_endian),
    FIELD(mc_fw_can_signal, 5, BOOL, is_signed),
    FIELD(mc_fw_can_signal, 6, U32, start_bit),
    FIELD(mc_fw_can_signal, 7, F64, offset),
    FIELD(mc_fw_can_signal, 8, F64, factor),
    FIELD(mc_fw_can_signal, 9, U32, length),
    FIELD(mc_fw_can_signal, 10, U32, type),
    FIELD(mc_fw_can_signal, 11, U32, value_type),
    FIELD(mc_fw_can_signal, 1000, U32, id_mask),
    REPEATED(mc_fw_can_signal, 1001, MESSAGES, mux, mux_count, &mux_message),
};
static const mc_fw_message can_signal_message = MESSAGE("CANSignal", mc_fw_can_signal, can_signal);

static const mc_fw_field custom_signal[] = {
    FIELD(mc_fw_custom_signal, 1, U32, signal_id),
    FIELD(mc_fw_custom_signal, 2, TEXT, interface_id),
    FIELD(mc_fw_custom_signal, 3, TEXT, decoding_id),
    FIELD(mc_fw_custom_signal, 4, U32, type),
};
static const mc_fw_message custom_signal_message = MESSAGE("CustomDecodingSignal", mc_fw_custom_signal, custom_signal);

static const mc_fw_field manifest[] = {
    FIELD(mc_fw_manifest, 1, TEXT, sync_id),
    REPEATED(mc_fw_manifest, 2, MESSAGES, can, can_count, &can_signal_message),
    REPEATED(mc_fw_manifest, 6, MESSAGES, custom, custom_count, &custom_signal_message),
};
const mc_fw_message mc_fw_schema_manifest = MESSAGE("DecoderManifest", mc_fw_manifest, manifest);

/* 5.3 */
static const mc_fw_field time_based[] = {FIELD(mc_fw_scheme, 1, U32, period_ms)};
static const mc_fw_message time_based_message = MESSAGE("TimeBasedCollectionScheme", mc_fw_scheme, time_based);

static const mc_fw_field condition_based[] = {
    FIELD(mc_fw_scheme, 1, U32, minimum_interval_ms),
    FIELD(mc_fw_scheme, 2, U32, language_version),
    FIELD(mc_fw_scheme, 3, NODE, condition),
    FIELD(mc_fw_scheme, 4, U32, trigger_mode),
};
static const mc_fw_message condition_based_message = MESSAGE("ConditionBasedCollectionScheme", mc_fw_scheme, condition_based);

static const mc_fw_field signal_info[] = {
    FIELD(mc_fw_signal_info, 1, U32, signal_id),
    FIELD(mc_fw_signal_info, 2, U32, sample_buffer_size),
    FIELD(mc_fw_signal_info, 3, U32, minimum_sample_period_ms),
    FIELD(mc_fw_signal_info, 4, U32, fixed_window_period_ms),
    FIELD(mc_fw_signal_info, 5, BOOL, condition_only),
    FIELD(mc_fw_signal_info, 7, U32, data_partition_id),
};
static const mc_fw_message signal_info_message = MESSAGE("SignalInformation", mc_fw_signal_info, signal_info);

static const mc_fw_field scheme[] = {
    FIELD(mc_fw_scheme, 1, TEXT, campaign_sync_id),
    FIELD(mc_fw_scheme, 2, TEXT, manifest_sync_id),
    FIELD(mc_fw_scheme, 3, U64, start_ms),
    FIELD(mc_fw_scheme, 4, U64, expiry_ms),
    {5, MC_FW_PART_OFF, 0, offsetof(mc_fw_scheme, condition_based), &time_based_message, "time_based"},
    {6, MC_FW_PART_ON, 0, offsetof(mc_fw_scheme, condition_based), &condition_based_message, "condition_based"},
    FIELD(mc_fw_scheme, 7, U32, after_duration_ms),
    FIELD(mc_fw_scheme, 8, BOOL, include_dtcs),
    REPEATED(mc_fw_scheme, 9, MESSAGES, signal, signal_count, &signal_info_message),
    FIELD(mc_fw_scheme, 11, BOOL, persist),
    FIELD(mc_fw_scheme, 12, BOOL, compress),
    FIELD(mc_fw_scheme, 13, U32, priority),
    FIELD(mc_fw_scheme, 19, TEXT, campaign_arn),
};
static const mc_fw_message scheme_message = MESSAGE("CollectionScheme", mc_fw_scheme, scheme);

static const mc_fw_field schemes[] = {
    REPEATED(mc_fw_schemes, 1, MESSAGES, scheme, scheme_count, &scheme_message),
    FIELD(mc_fw_schemes, 2, U64, time_ms),
};
const mc_fw_message mc_fw_schema_schemes = MESSAGE("CollectionSchemes", mc_fw_schemes, schemes);
