/* Last known state and commands as tables (contract fleetwise, 5.6 and 5.7). */
#include "format/fleetwise_state.h"

#include "format/fleetwise_schema.h"

/* ---- StateTemplates ---- */
static const mc_fw_field periodic[] = {MC_FW_FIELD(mc_fw_state_template, 1, U64, period_ms)};
static const mc_fw_message periodic_message = MC_FW_MESSAGE("PeriodicStateTemplateUpdateStrategy", mc_fw_state_template, periodic);
static const mc_fw_message on_change_message = {"OnChangeStateTemplateUpdateStrategy", sizeof(mc_fw_state_template), 0, NULL};

static const mc_fw_field state_template[] = {
    MC_FW_FIELD(mc_fw_state_template, 1, TEXT, sync_id),
    {3, MC_FW_PART_OFF, 0, offsetof(mc_fw_state_template, periodic), &on_change_message, "on_change"},
    {4, MC_FW_PART_ON, 0, offsetof(mc_fw_state_template, periodic), &periodic_message, "periodic"},
    MC_FW_REPEATED(mc_fw_state_template, 5, NUMBERS, signal, signal_count, NULL),
};
static const mc_fw_message state_template_message = MC_FW_MESSAGE("StateTemplate", mc_fw_state_template, state_template);

static const mc_fw_field state_templates[] = {
    MC_FW_FIELD(mc_fw_state_templates, 2, TEXT, manifest_sync_id),
    MC_FW_REPEATED(mc_fw_state_templates, 5, MESSAGES, add, add_count, &state_template_message),
    MC_FW_REPEATED(mc_fw_state_templates, 6, TEXTS, remove, remove_count, NULL),
    MC_FW_FIELD(mc_fw_state_templates, 7, U64, version),
};
static const mc_fw_message state_templates_message = MC_FW_MESSAGE("StateTemplates", mc_fw_state_templates, state_templates);

/* ---- LastKnownStateData, LastKnownState: the same oneof of native types ---- */
#define STATE_VALUES(type)                                                                                                              \
  MC_FW_ONE_VALUE(type, 2, MC_FW_TYPE_FLOAT64, value), MC_FW_ONE_VALUE(type, 3, MC_FW_TYPE_BOOL, value),                                \
      MC_FW_ONE_VALUE(type, 4, MC_FW_TYPE_INT8, value), MC_FW_ONE_VALUE(type, 5, MC_FW_TYPE_UINT8, value),                              \
      MC_FW_ONE_VALUE(type, 6, MC_FW_TYPE_INT16, value), MC_FW_ONE_VALUE(type, 7, MC_FW_TYPE_UINT16, value),                            \
      MC_FW_ONE_VALUE(type, 8, MC_FW_TYPE_INT32, value), MC_FW_ONE_VALUE(type, 9, MC_FW_TYPE_UINT32, value),                            \
      MC_FW_ONE_VALUE(type, 10, MC_FW_TYPE_INT64, value), MC_FW_ONE_VALUE(type, 11, MC_FW_TYPE_UINT64, value),                          \
      MC_FW_ONE_VALUE(type, 12, MC_FW_TYPE_FLOAT32, value), MC_FW_ONE_VALUE(type, 13, MC_FW_TYPE_STRING, value)

static const mc_fw_field state_sample[] = {MC_FW_FIELD(mc_fw_state_sample, 1, U32, signal_id), STATE_VALUES(mc_fw_state_sample)};
static const mc_fw_message state_sample_message = MC_FW_MESSAGE("CapturedSignal", mc_fw_state_sample, state_sample);

static const mc_fw_field state_of_template[] = {
    MC_FW_FIELD(mc_fw_state_of_template, 1, TEXT, sync_id),
    MC_FW_REPEATED(mc_fw_state_of_template, 2, MESSAGES, sample, sample_count, &state_sample_message),
};
static const mc_fw_message state_of_template_message = MC_FW_MESSAGE("CapturedStateTemplateSignals", mc_fw_state_of_template, state_of_template);

static const mc_fw_field state_data[] = {
    MC_FW_FIELD(mc_fw_state_data, 2, U64, time_ms),
    MC_FW_REPEATED(mc_fw_state_data, 6, MESSAGES, state, state_count, &state_of_template_message),
};
static const mc_fw_message state_data_message = MC_FW_MESSAGE("LastKnownStateData", mc_fw_state_data, state_data);

static const mc_fw_field named_value[] = {MC_FW_FIELD(mc_fw_named_value, 1, TEXT, name), STATE_VALUES(mc_fw_named_value)};
static const mc_fw_message named_value_message = MC_FW_MESSAGE("Signal", mc_fw_named_value, named_value);

static const mc_fw_field dimension[] = {
    MC_FW_FIELD(mc_fw_dimension, 1, TEXT, name),
    MC_FW_FIELD(mc_fw_dimension, 2, TEXT, value),
};
static const mc_fw_message dimension_message = MC_FW_MESSAGE("ExtraDimension", mc_fw_dimension, dimension);

static const mc_fw_field last_known_state[] = {
    MC_FW_FIELD(mc_fw_last_known_state, 1, U64, time_ms),
    MC_FW_REPEATED(mc_fw_last_known_state, 3, MESSAGES, signal, signal_count, &named_value_message),
    MC_FW_REPEATED(mc_fw_last_known_state, 4, MESSAGES, dimension, dimension_count, &dimension_message),
};
static const mc_fw_message last_known_state_message = MC_FW_MESSAGE("LastKnownState", mc_fw_last_known_state, last_known_state);

/* ---- commands ---- */
#define ACTUATOR_VALUE(tag, type) MC_FW_ONE_VALUE(mc_fw_command_request, tag, type, value)
static const mc_fw_field actuator[] = {
    MC_FW_FIELD(mc_fw_command_request, 1, U32, signal_id),
    MC_FW_FIELD(mc_fw_command_request, 2, TEXT, manifest_sync_id),
    ACTUATOR_VALUE(3, MC_FW_TYPE_FLOAT64),
    ACTUATOR_VALUE(4, MC_FW_TYPE_BOOL),
    ACTUATOR_VALUE(5, MC_FW_TYPE_INT8),
    ACTUATOR_VALUE(6, MC_FW_TYPE_UINT8),
    ACTUATOR_VALUE(7, MC_FW_TYPE_INT16),
    ACTUATOR_VALUE(8, MC_FW_TYPE_UINT16),
    ACTUATOR_VALUE(9, MC_FW_TYPE_INT32),
    ACTUATOR_VALUE(10, MC_FW_TYPE_UINT32),
    ACTUATOR_VALUE(11, MC_FW_TYPE_INT64),
    ACTUATOR_VALUE(12, MC_FW_TYPE_UINT64),
    ACTUATOR_VALUE(13, MC_FW_TYPE_FLOAT32),
    ACTUATOR_VALUE(14, MC_FW_TYPE_STRING),
};
static const mc_fw_message actuator_message = MC_FW_MESSAGE("ActuatorCommand", mc_fw_command_request, actuator);

static const mc_fw_field activate[] = {MC_FW_FIELD(mc_fw_state_order, 1, U32, deactivate_after_seconds)};
static const mc_fw_message activate_message = MC_FW_MESSAGE("ActivateStateTemplateOperation", mc_fw_state_order, activate);
static const mc_fw_message plain_order_message = {"StateTemplateOperation", sizeof(mc_fw_state_order), 0, NULL};

static const mc_fw_field state_order[] = {
    MC_FW_FIELD(mc_fw_state_order, 1, TEXT, sync_id),
    MC_FW_ONE_OF(mc_fw_state_order, MC_FW_STATE_ACTIVATE, action, &activate_message, "activate_operation"),
    MC_FW_ONE_OF(mc_fw_state_order, MC_FW_STATE_DEACTIVATE, action, &plain_order_message, "deactivate_operation"),
    MC_FW_ONE_OF(mc_fw_state_order, MC_FW_STATE_FETCH, action, &plain_order_message, "fetch_snapshot_operation"),
};
static const mc_fw_message state_order_message = MC_FW_MESSAGE("StateTemplateInformation", mc_fw_state_order, state_order);

static const mc_fw_field state_command[] = {
    MC_FW_REPEATED(mc_fw_command_request, 1, MESSAGES, order, order_count, &state_order_message),
};
static const mc_fw_message state_command_message = MC_FW_MESSAGE("LastKnownStateCommand", mc_fw_command_request, state_command);

static const mc_fw_field command_request[] = {
    MC_FW_FIELD(mc_fw_command_request, 16, TEXT, command_id),
    MC_FW_FIELD(mc_fw_command_request, 17, U64, timeout_ms),
    MC_FW_ONE_OF(mc_fw_command_request, MC_FW_COMMAND_ACTUATOR, kind, &actuator_message, "actuator_command"),
    MC_FW_ONE_OF(mc_fw_command_request, MC_FW_COMMAND_STATE, kind, &state_command_message, "last_known_state_command"),
    MC_FW_FIELD(mc_fw_command_request, 20, U64, issued_ms),
};
static const mc_fw_message command_request_message = MC_FW_MESSAGE("CommandRequest", mc_fw_command_request, command_request);

static const mc_fw_field command_response[] = {
    MC_FW_FIELD(mc_fw_command_response, 1, U32, status),
    MC_FW_FIELD(mc_fw_command_response, 2, TEXT, command_id),
    MC_FW_FIELD(mc_fw_command_response, 3, U32, reason),
    MC_FW_FIELD(mc_fw_command_response, 4, TEXT, text),
};
static const mc_fw_message command_response_message = MC_FW_MESSAGE("CommandResponse", mc_fw_command_response, command_response);

const char *mc_fw_reason_text(uint32_t reason)
{
  static const char *const texts[] = {"no reason given",
                                      "a precondition does not hold",
                                      "the vehicle has another decoder manifest",
                                      "the manifest has no decoding rule for the signal",
                                      "the request could not be read",
                                      "no dispatcher for the signal's interface",
                                      "the vehicle does not have the state template",
                                      "the argument has the wrong type",
                                      "not supported",
                                      "busy",
                                      "rejected",
                                      "access denied",
                                      "the argument is out of range",
                                      "internal error of the vehicle",
                                      "unavailable",
                                      "writing failed",
                                      "the state template is active already",
                                      "the state template is inactive already",
                                      "timed out before it was dispatched",
                                      "no response"};
  return reason < sizeof texts / sizeof texts[0] ? texts[reason] : NULL;
}

#define READ_AND_WRITE(name, type)                                                          \
  mc_err mc_fw_read_##name(mc_slice in, mc_arena *arena, type *out, mc_why *why)            \
  {                                                                                         \
    return mc_fw_read_root(&name##_message, in, arena, out, why);                           \
  }                                                                                         \
  mc_err mc_fw_write_##name(mc_buf *out, const type *m)                                     \
  {                                                                                         \
    return mc_fw_write_root(out, &name##_message, m);                                       \
  }
READ_AND_WRITE(state_templates, mc_fw_state_templates)
READ_AND_WRITE(state_data, mc_fw_state_data)
READ_AND_WRITE(last_known_state, mc_fw_last_known_state)
READ_AND_WRITE(command_request, mc_fw_command_request)
READ_AND_WRITE(command_response, mc_fw_command_response)
