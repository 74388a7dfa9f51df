/* FleetWise's last known state and commands (contract fleetwise, 5.6 and 5.7): reading and writing, both directions.
 *
 * As in format/fleetwise.h: readers take memory from the caller's arena and borrow strings from the input, any field order, unknown tags are
 * skipped, errors name message, field and byte; writers emit in tag order, refuse text that is not UTF-8 and numbers beyond their type
 * (MC_ERR_INVALID). On the wire LastKnownStateData is always a raw snappy block, the others are plain. */
#ifndef MC_FORMAT_FLEETWISE_STATE_H
#define MC_FORMAT_FLEETWISE_STATE_H

#include "format/fleetwise.h"

/* StateTemplates (down): a delta */
typedef struct mc_fw_state_template {
  mc_slice sync_id;
  bool periodic; /* false: on change */
  uint64_t period_ms;
  const uint32_t *signal;
  uint32_t signal_count;
} mc_fw_state_template;
typedef struct mc_fw_state_templates {
  mc_slice manifest_sync_id;
  const mc_fw_state_template *add;
  uint32_t add_count;
  const mc_slice *remove; /* sync ids */
  uint32_t remove_count;
  uint64_t version;
} mc_fw_state_templates;
mc_err mc_fw_read_state_templates(mc_slice in, mc_arena *arena, mc_fw_state_templates *out, mc_why *why);
mc_err mc_fw_write_state_templates(mc_buf *out, const mc_fw_state_templates *m);

/* LastKnownStateData (up), native types */
typedef struct mc_fw_state_sample {
  uint32_t signal_id;
  mc_fw_value value;
} mc_fw_state_sample;
typedef struct mc_fw_state_of_template {
  mc_slice sync_id;
  const mc_fw_state_sample *sample;
  uint32_t sample_count;
} mc_fw_state_of_template;
typedef struct mc_fw_state_data {
  uint64_t time_ms;
  const mc_fw_state_of_template *state;
  uint32_t state_count;
} mc_fw_state_data;
mc_err mc_fw_read_state_data(mc_slice in, mc_arena *arena, mc_fw_state_data *out, mc_why *why);
mc_err mc_fw_write_state_data(mc_buf *out, const mc_fw_state_data *m);

/* LastKnownState (cloud to customer): by name */
typedef struct mc_fw_named_value { mc_slice name; mc_fw_value value; } mc_fw_named_value;
typedef struct mc_fw_dimension { mc_slice name, value; } mc_fw_dimension;
typedef struct mc_fw_last_known_state {
  uint64_t time_ms;
  const mc_fw_named_value *signal;
  uint32_t signal_count;
  const mc_fw_dimension *dimension;
  uint32_t dimension_count;
} mc_fw_last_known_state;
mc_err mc_fw_read_last_known_state(mc_slice in, mc_arena *arena, mc_fw_last_known_state *out, mc_why *why);
mc_err mc_fw_write_last_known_state(mc_buf *out, const mc_fw_last_known_state *m);

/* CommandRequest (down) */
typedef enum mc_fw_command_kind { MC_FW_COMMAND_NONE = 0, MC_FW_COMMAND_ACTUATOR = 18, MC_FW_COMMAND_STATE = 19 } mc_fw_command_kind;
typedef enum mc_fw_state_action { MC_FW_STATE_NONE = 0, MC_FW_STATE_ACTIVATE = 2, MC_FW_STATE_DEACTIVATE = 3, MC_FW_STATE_FETCH = 4 } mc_fw_state_action;
typedef struct mc_fw_state_order {
  mc_slice sync_id;
  uint32_t action;                   /* mc_fw_state_action */
  uint32_t deactivate_after_seconds; /* of ACTIVATE; 0: never */
} mc_fw_state_order;
typedef struct mc_fw_command_request {
  mc_slice command_id; /* equal to the execution id in the topic */
  uint64_t timeout_ms; /* 0: none */
  uint32_t kind;       /* mc_fw_command_kind: which of the two groups counts */
  uint32_t signal_id;  /* ACTUATOR */
  mc_slice manifest_sync_id;
  mc_fw_value value;
  const mc_fw_state_order *order; /* STATE */
  uint32_t order_count;
  uint64_t issued_ms; /* 0: when it is received */
} mc_fw_command_request;
mc_err mc_fw_read_command_request(mc_slice in, mc_arena *arena, mc_fw_command_request *out, mc_why *why);
mc_err mc_fw_write_command_request(mc_buf *out, const mc_fw_command_request *m);

/* CommandResponse (up) */
typedef enum mc_fw_command_status {
  MC_FW_COMMAND_UNSPECIFIED = 0, MC_FW_COMMAND_SUCCEEDED = 1, MC_FW_COMMAND_TIMED_OUT = 2, MC_FW_COMMAND_FAILED = 4, MC_FW_COMMAND_IN_PROGRESS = 10
} mc_fw_command_status;
typedef struct mc_fw_command_response {
  uint32_t status; /* mc_fw_command_status, or what a newer agent says */
  mc_slice command_id; /* empty: the agent could not read the request */
  uint32_t reason;
  mc_slice text;
} mc_fw_command_response;
mc_err mc_fw_read_command_response(mc_slice in, mc_arena *arena, mc_fw_command_response *out, mc_why *why);
mc_err mc_fw_write_command_response(mc_buf *out, const mc_fw_command_response *m);
enum { /* reason codes that our agent gives; the rest of them stands in the texts below */
  MC_FW_REASON_MANIFEST_OUT_OF_SYNC = 2, MC_FW_REASON_NO_RULE = 3, MC_FW_REASON_NOT_PARSED = 4, MC_FW_REASON_NO_DISPATCHER = 5, MC_FW_REASON_TEMPLATE_OUT_OF_SYNC = 6,
  MC_FW_REASON_ALREADY_ACTIVE = 16, MC_FW_REASON_ALREADY_INACTIVE = 17, MC_FW_REASON_TIMED_OUT = 18
};
/* What a reason code means, for people; NULL: not one of the contract's (0x10000 to 0x1FFFF are the manufacturer's). */
const char *mc_fw_reason_text(uint32_t reason);

#endif
