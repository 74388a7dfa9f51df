/* FleetWise messages (contract fleetwise, section 5): reading and writing, both directions.
 *
 * Readers take memory from the caller's arena (big repeated fields) and borrow strings from the input;
 * decoders accept any field order and skip unknown tags. Writers emit fields in tag order, which equals
 * the contract's test vectors (15.1). Numbers of enums are the wire's. Tags >= 1000 are motorcade's
 * extensions (skipped by AWS's agent); their table is in this module's README. */
#ifndef MC_FORMAT_FLEETWISE_H
#define MC_FORMAT_FLEETWISE_H

#include "base/arena.h"
#include "base/slice.h"

/* PrimitiveType, numbers of the wire (5.2) */
typedef enum mc_fw_type {
  MC_FW_TYPE_NULL, MC_FW_TYPE_BOOL, MC_FW_TYPE_UINT8, MC_FW_TYPE_UINT16, MC_FW_TYPE_UINT32, MC_FW_TYPE_UINT64, MC_FW_TYPE_INT8, MC_FW_TYPE_INT16,
  MC_FW_TYPE_INT32, MC_FW_TYPE_INT64, MC_FW_TYPE_FLOAT32, MC_FW_TYPE_FLOAT64, MC_FW_TYPE_STRING
} mc_fw_type;
/* A value of its own type: last known state and commands keep what VehicleData makes a double. */
typedef struct mc_fw_value {
  mc_fw_type type; /* NULL: none */
  union {
    uint64_t u; /* UINT*, BOOL (0, 1) */
    int64_t i;  /* INT* */
    float f;
    double d;
    mc_slice text; /* STRING */
  };
} mc_fw_value;
bool mc_fw_value_fits(const mc_fw_value *v); /* a whole number lies within its type */

/* Checkin (up) */
typedef struct mc_fw_checkin {
  const mc_slice *sync_id;
  uint32_t sync_id_count;
  uint64_t time_ms;
  mc_slice agent;        /* ext 1000: "motorcade-edge/<version>"; empty for AWS's agent */
  uint64_t capabilities; /* ext 1001: bit 0 multiplexing, bit 1 id masks */
  const mc_slice *error; /* ext 1002 rep: "<sync id>: text" why a document was refused */
  uint32_t error_count;
} mc_fw_checkin;
enum { MC_FW_CAN_MULTIPLEX = 1, MC_FW_CAN_ID_MASK = 2 };

/* DecoderManifest (down) */
typedef struct mc_fw_mux { /* ext, tag 1001 of CANSignal, repeated: all switches must match */
  uint32_t start_bit, length;
  bool big_endian;
  const uint32_t *range; /* pairs low, high, inclusive */
  uint32_t range_count;  /* pairs */
} mc_fw_mux;
typedef struct mc_fw_can_signal {
  uint32_t signal_id;
  mc_slice interface_id;
  uint32_t message_id; /* bit 31 set for 29-bit ids when written by us; both accepted */
  bool big_endian, is_signed;
  uint32_t start_bit; /* LSB */
  double offset, factor;
  uint32_t length;
  uint32_t type;       /* primitive type */
  uint32_t value_type; /* 0 integer, 1 IEEE 754 */
  uint32_t id_mask;    /* ext 1000: 0 = exact; otherwise frame matches when (id & mask) == (message_id & mask) */
  const mc_fw_mux *mux;
  uint32_t mux_count;
} mc_fw_can_signal;
typedef struct mc_fw_custom_signal { uint32_t signal_id; mc_slice interface_id, decoding_id; uint32_t type; } mc_fw_custom_signal;
typedef struct mc_fw_obd_signal {
  uint32_t signal_id;
  mc_slice interface_id;
  uint32_t response_length, service_mode, pid; /* pid <= 255 */
  double scaling, offset;
  uint32_t start_byte, byte_length, bit_right_shift, bit_mask_length; /* mask 8: none */
  uint32_t type, value_type;
  bool is_signed;
} mc_fw_obd_signal;
/* A type of a structured signal: one of four forms, told by the tag. Types name each other by id, without cycles. */
typedef enum mc_fw_complex_kind { MC_FW_COMPLEX_NONE = 0, MC_FW_COMPLEX_PRIMITIVE = 2, MC_FW_COMPLEX_STRUCT = 3, MC_FW_COMPLEX_ARRAY = 4, MC_FW_COMPLEX_STRING = 5 } mc_fw_complex_kind;
#define MC_FW_TYPE_ID_UTF8 0xF0000001U /* reserved by the agent */
#define MC_FW_TYPE_ID_UTF16 0xF0000002U
typedef struct mc_fw_complex_member {
  uint32_t type_id;
  mc_slice name; /* ext 1000: the field's; our own agent gets it */
} mc_fw_complex_member;
typedef struct mc_fw_complex_type {
  uint32_t type_id;
  uint32_t kind;         /* mc_fw_complex_kind */
  uint32_t type;         /* PRIMITIVE: mc_fw_type */
  double scaling, offset;
  const mc_fw_complex_member *member; /* STRUCT; their order gives the index used in paths */
  uint32_t member_count;
  int64_t size;          /* ARRAY: > 0 fixed, < 0 dynamic of at most -size, 0 dynamic; STRING: code units, 0 dynamic */
  uint32_t element_type; /* ARRAY: type id */
  uint32_t encoding;     /* STRING: 0 UTF-8, 1 UTF-16 */
} mc_fw_complex_type;
typedef struct mc_fw_complex_signal { uint32_t signal_id; mc_slice interface_id, message_id; uint32_t root_type; } mc_fw_complex_signal;
typedef struct mc_fw_manifest {
  mc_slice sync_id;
  const mc_fw_can_signal *can;
  uint32_t can_count;
  const mc_fw_obd_signal *obd;
  uint32_t obd_count;
  const mc_fw_complex_type *complex_type;
  uint32_t complex_type_count;
  const mc_fw_complex_signal *complex;
  uint32_t complex_count;
  const mc_fw_custom_signal *custom;
  uint32_t custom_count;
} mc_fw_manifest;

/* ConditionNode: a tree; kinds by field tag */
typedef enum mc_fw_node_kind {
  MC_FW_NODE_NONE = 0, MC_FW_NODE_OPERATOR = 1, MC_FW_NODE_FUNCTION = 2, MC_FW_NODE_DOUBLE = 3, MC_FW_NODE_SIGNAL = 4,
  MC_FW_NODE_BOOL = 5, MC_FW_NODE_PATH = 6, MC_FW_NODE_STRING = 7
} mc_fw_node_kind;
typedef enum mc_fw_function { MC_FW_FN_WINDOW = 1, MC_FW_FN_CUSTOM = 3, MC_FW_FN_IS_NULL = 4 } mc_fw_function;
typedef struct mc_fw_node {
  mc_fw_node_kind kind;
  uint32_t op;
  struct mc_fw_node *left, *right; /* IS_NULL uses left */
  mc_fw_function function;
  uint32_t window;
  uint32_t signal_id;
  double number;
  bool boolean;
  mc_slice text; /* string value or custom function name; PATH, and WINDOW over a path: the path message as it came */
  struct mc_fw_node **param;
  uint32_t param_count;
} mc_fw_node;

/* CollectionSchemes (down) */
typedef struct mc_fw_signal_info {
  uint32_t signal_id, sample_buffer_size, minimum_sample_period_ms, fixed_window_period_ms;
  bool condition_only;
  const uint32_t *path; /* member and array indices from the root type; empty: the whole signal */
  uint32_t path_count;
  uint32_t data_partition_id; /* index into partition */
} mc_fw_signal_info;
typedef struct mc_fw_fetch {
  uint32_t signal_id;
  bool condition_based;
  uint64_t max_execution_count, frequency_ms, reset_interval_ms; /* time based; AWS's agent looks at the frequency only */
  mc_fw_node *condition;
  uint32_t trigger_mode;
  uint32_t language_version;
  mc_fw_node **action; /* each a custom function with literal arguments */
  uint32_t action_count;
} mc_fw_fetch;
typedef struct mc_fw_partition { /* of store and forward */
  uint64_t maximum_bytes;
  mc_slice location; /* last path component counts; empty, "." and ".." reject the campaign */
  uint32_t minimum_ttl_s;
  mc_fw_node *upload; /* condition to forward */
} mc_fw_partition;
typedef struct mc_fw_scheme {
  mc_slice campaign_sync_id, manifest_sync_id;
  uint64_t start_ms, expiry_ms;
  bool condition_based;
  uint32_t period_ms;           /* time based */
  uint32_t minimum_interval_ms; /* condition based */
  uint32_t language_version;
  mc_fw_node *condition;
  uint32_t trigger_mode; /* 0 always, 1 rising edge */
  uint32_t after_duration_ms;
  bool include_dtcs, persist, compress;
  uint32_t priority;
  const mc_fw_signal_info *signal;
  uint32_t signal_count;
  mc_slice bucket, bucket_prefix, bucket_region, bucket_owner; /* upload of vision builds; all empty: none */
  const mc_fw_partition *partition;
  uint32_t partition_count;
  const mc_fw_fetch *fetch;
  uint32_t fetch_count;
  mc_slice campaign_arn;
} mc_fw_scheme;
typedef struct mc_fw_schemes { const mc_fw_scheme *scheme; uint32_t scheme_count; uint64_t time_ms; } mc_fw_schemes;

/* VehicleData (up) */
typedef struct mc_fw_sample {
  int64_t relative_ms;
  uint32_t signal_id;
  uint32_t path;      /* a part of a complex signal: index + 1 into mc_fw_vehicle_data.path; 0: the signal itself */
  bool is_string;
  bool has_micros;    /* ext 1000 s64: microseconds relative to the event time, exact; our agent sends it */
  double number;
  mc_slice text;
  int64_t relative_us;
} mc_fw_sample;
typedef struct mc_fw_path { uint32_t signal_id; const uint32_t *index; uint32_t count; } mc_fw_path;
typedef struct mc_fw_s3_object { mc_slice key; uint32_t data_format; /* 0 unknown, 1 CDR */ } mc_fw_s3_object;
typedef struct mc_fw_vehicle_data {
  mc_slice campaign_sync_id, manifest_sync_id;
  uint32_t event_id;
  uint64_t event_time_ms;
  const mc_fw_sample *sample;
  uint32_t sample_count;
  const mc_slice *dtc;
  uint32_t dtc_count;
  int64_t dtc_relative_ms;
  const mc_fw_path *path; /* of the samples that are parts of complex signals */
  uint32_t path_count;
  const mc_fw_s3_object *object;
  uint32_t object_count;
} mc_fw_vehicle_data;

/* Readers. Errors say message, field and byte: MC_ERR_TRUNCATED, MC_ERR_MALFORMED (wrong wire type, number beyond 32 bits, text that
 * is not UTF-8, odd number of range ends), MC_ERR_TOO_LARGE (nesting beyond 64, input beyond 4 GiB), MC_ERR_MEMORY (also the arena's
 * limit: one byte of input may take up to 110 of arena). *out borrows from in and arena; it is zeroed first.
 * Writers refuse text that is not UTF-8 (MC_ERR_INVALID) and trees deeper than 64 (MC_ERR_TOO_LARGE). */
mc_err mc_fw_read_checkin(mc_slice in, mc_arena *arena, mc_fw_checkin *out, mc_why *why);
mc_err mc_fw_read_manifest(mc_slice in, mc_arena *arena, mc_fw_manifest *out, mc_why *why);
mc_err mc_fw_read_schemes(mc_slice in, mc_arena *arena, mc_fw_schemes *out, mc_why *why);
/* Counts first, then fills one array: linear, two passes, no reallocation. */
mc_err mc_fw_read_vehicle_data(mc_slice in, mc_arena *arena, mc_fw_vehicle_data *out, mc_why *why);

/* PrimitiveTypeInComplexSignal: what a node of kind PATH, and a window over a path, hold in text. */
mc_err mc_fw_read_path(mc_slice in, mc_arena *arena, mc_fw_path *out, mc_why *why);
mc_err mc_fw_write_path(mc_buf *out, const mc_fw_path *m);

mc_err mc_fw_write_checkin(mc_buf *out, const mc_fw_checkin *m);
mc_err mc_fw_write_manifest(mc_buf *out, const mc_fw_manifest *m);
mc_err mc_fw_write_schemes(mc_buf *out, const mc_fw_schemes *m);
mc_err mc_fw_write_vehicle_data(mc_buf *out, const mc_fw_vehicle_data *m);

/* Snappy raw block (not framed). Both append to out. */
mc_err mc_snappy_compress(mc_slice in, mc_buf *out);
/* Refuses a stated length beyond limit (MC_ERR_TOO_LARGE), or beyond what so many bytes can hold (MC_ERR_MALFORMED), before it allocates. */
mc_err mc_snappy_expand(mc_slice in, size_t limit, mc_buf *out);

#endif
