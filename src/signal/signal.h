/* signal: the vocabulary of vehicle data - ids, units, encodings, catalog, decode plans, expressions
 * and the block of samples that travels from the decoder to twin, store and stream.
 *
 * Dense ids (vehicle, signal, encoding) are u32, allocated elsewhere, never reused; 0 means none.
 * Physical value = raw * factor + offset. */
#ifndef MC_SIGNAL_H
#define MC_SIGNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"
#include "format/bus.h"
#include "format/dbc.h"

/* ---- types and encodings ---- */
typedef enum mc_type { /* FleetWise PrimitiveType numbers, so that the wire needs no table */
  MC_TYPE_NULL = 0, MC_TYPE_BOOL = 1, MC_TYPE_UINT8 = 2, MC_TYPE_UINT16 = 3, MC_TYPE_UINT32 = 4, MC_TYPE_UINT64 = 5,
  MC_TYPE_INT8 = 6, MC_TYPE_INT16 = 7, MC_TYPE_INT32 = 8, MC_TYPE_INT64 = 9, MC_TYPE_FLOAT32 = 10,
  MC_TYPE_FLOAT64 = 11, MC_TYPE_STRING = 12
} mc_type;
const char *mc_type_name(mc_type type); /* "UINT8", ... */

typedef struct mc_encoding {
  uint32_t id; /* dense */
  mc_type type;
  double factor; /* never 0 */
  double offset;
} mc_encoding;

/* Recovers k with k * factor + offset == value, bit for bit. False: keep the double. */
bool mc_encoding_recover(const mc_encoding *e, double value, int64_t *k);
static inline double mc_encoding_physical(const mc_encoding *e, int64_t k) { return (double)k * e->factor + e->offset; }

/* ---- block of samples ---- */
typedef enum mc_sample_kind { MC_SAMPLE_RAW = 0, MC_SAMPLE_DOUBLE = 1, MC_SAMPLE_STRING = 2 } mc_sample_kind;
enum { MC_SAMPLE_QUARANTINED = 1 }; /* flags: more than 2 minutes ahead of arrival; kept, never "latest" */

typedef union mc_sample_value {
  int64_t raw;  /* MC_SAMPLE_RAW: an integer in `encoding` */
  double dbl;   /* MC_SAMPLE_DOUBLE: the physical value */
  struct {
    uint32_t offset, len; /* MC_SAMPLE_STRING: bytes in block->text */
  } str;
} mc_sample_value;

/* Parallel arrays, `count` long. Borrowed for the duration of the call that takes the block. */
typedef struct mc_block {
  uint32_t tenant;
  uint32_t count;
  uint64_t journal_offset; /* of the record this came from */
  uint64_t next_offset;    /* where a reader that has this block goes on */
  int64_t arrival_us;
  const uint32_t *vehicle;
  const uint32_t *signal;
  const uint32_t *encoding; /* 0: none (doubles without a step, strings) */
  const int64_t *time_us;   /* UTC */
  const uint8_t *kind;      /* mc_sample_kind */
  const uint8_t *flags;
  const mc_sample_value *value;
  mc_slice text; /* backing bytes of strings */
} mc_block;

/* Who takes blocks (twin, store, live view); declared here, wired by app. Called on the decoder's
 * thread, in journal order; an error stops the reader before its offset moves. */
typedef struct mc_block_sink {
  void *ctx;
  mc_err (*take)(void *ctx, const mc_block *block, mc_why *why);
} mc_block_sink;

/* Trouble codes that a vehicle listed beside its samples ("P0143"). Taken as a block is, and before the block of the same record. */
typedef struct mc_trouble_codes {
  uint32_t tenant, vehicle, count;
  uint64_t journal_offset;
  int64_t time_us;
  const mc_slice *code;
} mc_trouble_codes;
typedef struct mc_trouble_sink {
  void *ctx;
  mc_err (*take)(void *ctx, const mc_trouble_codes *codes, mc_why *why);
} mc_trouble_sink;

/* A growing block under construction. */
typedef struct mc_block_builder {
  MC_VEC(uint32_t) vehicle, signal, encoding;
  MC_VEC(int64_t) time_us;
  MC_VEC(uint8_t) kind, flags;
  MC_VEC(mc_sample_value) value;
  mc_buf text;
} mc_block_builder;
mc_err mc_block_builder_add(mc_block_builder *b, uint32_t vehicle, uint32_t signal, uint32_t encoding, int64_t time_us,
                            mc_sample_kind kind, uint8_t flags, mc_sample_value value);
mc_err mc_block_builder_add_string(mc_block_builder *b, uint32_t vehicle, uint32_t signal, int64_t time_us, uint8_t flags, mc_slice text);
/* A view that lives until the builder changes; tenant, offsets and arrival are for the caller to fill. */
mc_block mc_block_builder_view(const mc_block_builder *b);
void mc_block_builder_clear(mc_block_builder *b);
void mc_block_builder_free(mc_block_builder *b);

/* ---- units ---- */
typedef struct mc_unit {
  const char *id;      /* "km/h" */
  const char *quantity; /* "speed" */
  const char *text;    /* for people */
  double to_si_factor, to_si_offset; /* SI = value * factor + offset */
} mc_unit;
/* Finds by id or by a spelling met in DBC and VSS files ("degC", "°C", "celsius", "deg C"). NULL: unknown;
 * the file's own text is kept then. */
const mc_unit *mc_unit_find(mc_slice spelling);
size_t mc_unit_count(void);
const mc_unit *mc_unit_at(size_t i); /* NULL behind the last */
size_t mc_unit_spelling_count(void);
const char *mc_unit_spelling_at(size_t i); /* every one is found by mc_unit_find */

/* ---- decode plans: CAN frame -> signal values, compiled once per manifest ---- */
typedef struct mc_can_frame {
  uint32_t id;        /* 11 or 29 bits, no flags */
  uint8_t extended;   /* 1: 29-bit */
  uint8_t fd;
  uint8_t len;        /* bytes, 0..64 */
  uint16_t channel;   /* 0-based index of the interface in the plan */
  int64_t time_us;
  uint8_t data[64];
} mc_can_frame;

typedef enum mc_id_match { MC_ID_EXACT = 0, MC_ID_J1939_PGN = 1 /* priority and source address ignored; PDU1: destination too */ } mc_id_match;

/* One signal of one message, in the manifest's terms. start_bit is always the LSB (contract fleetwise 5.2). */
typedef struct mc_can_signal {
  uint32_t signal_id; /* dense id, nonzero, top bit clear */
  uint32_t encoding_id;
  uint16_t channel;
  uint32_t message_id;
  uint8_t extended;
  mc_id_match match;
  uint8_t big_endian, is_signed, is_float;
  uint16_t start_bit;
  uint16_t length; /* bits 1..64 */
  double factor, offset;
  mc_type type;
  /* multiplexing: a chain of switches that all must match; count 0 = always present */
  uint8_t mux_count; /* 0..4 */
  struct {
    uint16_t start_bit, length;
    uint8_t big_endian;
    uint32_t range_count; /* ranges[] inclusive */
    const struct mc_mux_range { uint32_t low, high; } *ranges;
  } mux[4];
} mc_can_signal;

typedef struct mc_decoded {
  uint32_t signal_id;
  uint32_t encoding_id;
  uint8_t is_raw;  /* 1: raw holds the integer; value is always the physical value. 0: of an unsigned one of 64 bits raw holds the bits, else 0 */
  int64_t raw;
  double value;
} mc_decoded;

typedef struct mc_decode_plan mc_decode_plan;
/* Copies what it needs. Errors name the signal (invalid length, bit outside 64 bytes, factor 0, ...). */
mc_err mc_decode_plan_create(const mc_can_signal *signal, size_t count, mc_decode_plan **out, mc_why *why);
void mc_decode_plan_destroy(mc_decode_plan **plan);
/* Decodes one frame into out[0..cap); returns how many. A signal beyond the frame's length is skipped.
 * J1939 "not available" (all ones) and "error" values of SPNs are skipped for MC_ID_J1939_PGN signals. Allocates nothing; any thread. */
size_t mc_decode_plan_run(const mc_decode_plan *plan, const mc_can_frame *frame, mc_decoded *out, size_t cap);
size_t mc_decode_plan_max_per_frame(const mc_decode_plan *plan);
/* The inverse for simulators and tests: sets one signal's bits in data from a physical value (rounded, clamped to the field). */
void mc_can_signal_encode(const mc_can_signal *s, double physical, uint8_t data[64]);

/* From a parsed DBC. resolve gives the dense signal and encoding id of "<message>.<signal>" or returns false to leave it out. */
typedef struct mc_dbc_resolver {
  void *ctx;
  bool (*resolve)(void *ctx, const mc_dbc_message *m, const mc_dbc_signal *s, uint32_t *signal_id, uint32_t *encoding_id);
} mc_dbc_resolver;
typedef MC_VEC(mc_can_signal) mc_can_signal_vec; /* mux ranges live in the arena */
mc_err mc_signals_from_dbc(const mc_dbc *dbc, uint16_t channel, mc_dbc_resolver resolver, mc_arena *arena, mc_can_signal_vec *out, mc_why *why);
/* The primitive type that holds this DBC signal's physical values: integers when factor and offset are whole numbers
 * (INT16 becomes INT32 for foreign agents only, elsewhere), FLOAT64 otherwise. */
mc_type mc_signal_type_of_dbc(const mc_dbc_signal *s);

/* ---- channel map: which bus channel of a log or socket is which interface, and which DBC describes it ----
 * Text: entries separated by commas, spaces or line ends, each
 *   <channel>=<interface>[:<dbc file>[(+|-)<id offset>]]
 * <channel> is the logger's channel number, an interface name as candump writes it, or * for any other.
 * The offset is added to an id from the bus to get the DBC's id: "9=can9:canmod_gps.dbc-100" reads bus id 101 as 1.
 * Offsets are decimal or 0x hexadecimal and stand at the end; the first entry that matches a frame wins. */
typedef struct mc_channel {
  mc_slice bus_name;     /* as written before '='; "*": any */
  uint16_t bus_number;   /* when bus_name is a number, else UINT16_MAX */
  mc_slice interface_id; /* the manifest's interface */
  mc_slice dbc;          /* file name as written; empty: none */
  int32_t id_offset;     /* id in the DBC = id on the bus + id_offset */
} mc_channel;
typedef struct mc_channel_map {
  uint32_t count;
  mc_channel *at; /* index = mc_can_frame.channel = mc_can_signal.channel */
} mc_channel_map;
mc_err mc_channel_map_parse(mc_slice text, mc_arena *arena, mc_channel_map *out, mc_why *why);
/* Index of the entry for a frame, or -1. */
int mc_channel_map_find(const mc_channel_map *map, const mc_bus_frame *frame);
/* Fills out with the frame as the DBC numbers it. False: no entry, a remote frame, or an id that leaves the range. */
bool mc_can_frame_from_bus(const mc_bus_frame *frame, const mc_channel_map *map, mc_can_frame *out);

/* ---- catalog: the tree of fully qualified names ---- */
typedef enum mc_node_kind { MC_NODE_BRANCH, MC_NODE_SENSOR, MC_NODE_ACTUATOR, MC_NODE_ATTRIBUTE } mc_node_kind;
typedef struct mc_catalog_node {
  mc_slice fqn; /* "Vehicle.Speed", 1..150 of [A-Za-z0-9_.] */
  mc_node_kind kind;
  mc_type type;
  mc_slice unit, description, comment;
  double min, max;
  bool has_min, has_max;
  mc_slice *allowed; /* value names */
  int64_t *allowed_value; /* the number each name stands for, or NULL */
  uint32_t allowed_count;
  mc_slice initial; /* the file's default value as text; empty: none */
} mc_catalog_node;
typedef struct mc_catalog {
  MC_VEC(mc_catalog_node) node; /* sorted by fqn */
  mc_arena arena;
} mc_catalog;
/* VSS: a vspec file (YAML, with #include and instances expanded, overlays laid on), or a VSS JSON export. An overlay is a
 * file name, or "file Prefix" as in an #include line. Arrays and structs get the type STRING (their JSON text). The two
 * read functions do I/O on the named files only; the catalog is freed by the caller after MC_OK. */
mc_err mc_catalog_read_vspec(const char *path, const char *const *overlay, size_t overlay_count, mc_catalog *out, mc_why *why);
mc_err mc_catalog_read_vss_json(mc_slice json, mc_catalog *out, mc_why *why);
const mc_catalog_node *mc_catalog_find(const mc_catalog *c, mc_slice fqn);
void mc_catalog_free(mc_catalog *c);

/* ---- expressions (contract fleetwise 6): text -> tree; the tree is what goes on the wire ---- */
typedef enum mc_expr_op { /* FleetWise operator numbers */
  MC_OP_LT = 0, MC_OP_GT = 1, MC_OP_LE = 2, MC_OP_GE = 3, MC_OP_EQ = 4, MC_OP_NE = 5, MC_OP_AND = 6, MC_OP_OR = 7,
  MC_OP_NOT = 8, MC_OP_ADD = 9, MC_OP_SUB = 10, MC_OP_MUL = 11, MC_OP_DIV = 12
} mc_expr_op;
typedef enum mc_window { MC_LAST_MIN = 0, MC_LAST_MAX = 1, MC_LAST_AVG = 2, MC_PREV_LAST_MIN = 3, MC_PREV_LAST_MAX = 4, MC_PREV_LAST_AVG = 5 } mc_window;
typedef enum mc_expr_kind { MC_EXPR_OP, MC_EXPR_WINDOW, MC_EXPR_CUSTOM, MC_EXPR_IS_NULL, MC_EXPR_NUMBER, MC_EXPR_SIGNAL, MC_EXPR_BOOL, MC_EXPR_STRING } mc_expr_kind;
typedef struct mc_expr {
  mc_expr_kind kind;
  mc_expr_op op;
  struct mc_expr *left, *right; /* IS_NULL uses left */
  uint32_t signal_id;           /* SIGNAL, WINDOW */
  mc_window window;
  double number;
  bool boolean;
  mc_slice text;                /* STRING, CUSTOM name; SIGNAL and WINDOW with a path: the name as it was written */
  const uint32_t *path;         /* SIGNAL, WINDOW: a primitive inside a complex signal; member and array indices from its root type */
  uint32_t path_count;          /* 0: the signal itself */
  mc_type type;                 /* SIGNAL, WINDOW read with mc_expr_parse_names; MC_TYPE_NULL: not known */
  struct mc_expr **param;       /* CUSTOM */
  uint32_t param_count;
  uint32_t memory;              /* CUSTOM that remembers: its first byte in mc_expr_env.memory */
  uint32_t at;                  /* byte in the source text, for errors */
} mc_expr;
/* Grammar: $variable.`FQN`, numbers, 'str' or "str", true, false, ( ), ! && || < <= > >= == != + - * /, isNull(x),
 * custom_function('name', ...), last_window_min|max|avg(x), prev_last_window_min|max|avg(x). At most 8192 characters.
 * lookup gives the dense id of an FQN (0: unknown -> error that names it and the byte). Errors say byte, what was
 * found and what was expected. depth over 10 is refused when for_foreign_agent. */
mc_err mc_expr_parse(mc_slice text, uint32_t (*lookup)(void *ctx, mc_slice fqn), void *ctx, bool for_foreign_agent, mc_arena *arena, mc_expr **out, mc_why *why);
/* The same with types and with paths into complex signals ($variable.`Vehicle.Camera.objects[3].distance`): what can never be true - text compared with
 * a number, a sum of a text and a number, a condition that is a text - is refused at its byte. */
typedef struct mc_expr_name { uint32_t signal_id; mc_type type; const uint32_t *path; uint32_t path_count; } mc_expr_name; /* path: in the caller's arena */
typedef struct mc_expr_names {
  void *ctx;
  /* An error ends the parsing; what it says in why (never NULL) is told behind the byte, nothing said: "there is no signal ...". */
  mc_err (*find)(void *ctx, mc_slice name, mc_expr_name *out, mc_why *why);
} mc_expr_names;
mc_err mc_expr_parse_names(mc_slice text, const mc_expr_names *names, mc_arena *arena, mc_expr **out, mc_why *why);
uint32_t mc_expr_depth(const mc_expr *e);
enum { MC_EXPR_FOREIGN_DEPTH = 10 }; /* what lies deeper is dropped by AWS's agent (contract fleetwise 6.2) */
/* MC_ERR_UNSUPPORTED, naming the first byte that lies too deep, when a tree has more levels than AWS's agent reads. */
mc_err mc_expr_fits_foreign(const mc_expr *e, mc_why *why);
/* Chains of && and || as shallow as they can be, which means the same: both sides are always evaluated, and one undefined operand makes the chain
 * undefined in any order. What is not changed is shared with e. */
mc_err mc_expr_balance(mc_expr *e, mc_arena *arena, mc_expr **out);
/* Back to text (canonical spelling); name gives the FQN of an id. */
mc_err mc_expr_print(const mc_expr *e, mc_slice (*name)(void *ctx, uint32_t signal_id), void *ctx, mc_buf *out);

typedef enum mc_value_kind { MC_VALUE_UNDEFINED, MC_VALUE_BOOL, MC_VALUE_NUMBER, MC_VALUE_STRING } mc_value_kind;
typedef struct mc_value {
  mc_value_kind kind;
  bool boolean;
  double number;
  mc_slice text;
} mc_value;
typedef struct mc_expr_env {
  void *ctx;
  mc_value (*signal)(void *ctx, uint32_t signal_id);                 /* newest sample */
  bool (*is_new)(void *ctx, uint32_t signal_id);                     /* for isNull: a sample not yet consumed */
  mc_value (*window)(void *ctx, uint32_t signal_id, mc_window which); /* closed windows */
  mc_value (*custom)(void *ctx, const mc_expr *call, const mc_value *argument, uint32_t count); /* NULL: the built-in ones */
  uint8_t *memory; /* of functions that remember, mc_expr_memory bytes, all 0 at first; NULL: those are undefined */
} mc_expr_env;
/* Rules of contract fleetwise 6.2 with motorcade's corrections: undefined operands give undefined (= false at the top),
 * == and != on numbers within 0.001, strings only with ==, != and +. Allocates nothing except string concatenation. */
mc_value mc_expr_eval(const mc_expr *e, const mc_expr_env *env);
/* Joined strings share 8 KiB a thread and live until that thread's next outermost mc_expr_eval; beyond it the result is
 * undefined, as are type mismatches and 0/0. Without env->custom the built-ins below are known. */
bool mc_value_is_true(mc_value v); /* a condition holds: true, or a number other than 0 */
/* Built in: abs, ceil, floor (1 argument), pow(x, y), log(base, x), min and max (1 and more); undefined for anything but numbers. MULTI_RISING_EDGE_TRIGGER(name,
 * condition, ...) is true when one of its conditions, seen to be false before, has become true since the evaluation before. */
bool mc_expr_builtin_known(mc_slice name);
extern const char mc_expr_builtin_list[]; /* for people */
uint32_t mc_expr_memory(mc_expr *e); /* gives each function that remembers its place; returns the bytes that they need together */

/* Well-known meanings by VSS name, so that map, twin and trips find them. */
typedef enum mc_role {
  MC_ROLE_NONE, MC_ROLE_LATITUDE, MC_ROLE_LONGITUDE, MC_ROLE_HEADING, MC_ROLE_ALTITUDE, MC_ROLE_SPEED, MC_ROLE_ODOMETER,
  MC_ROLE_IGNITION, MC_ROLE_FUEL_LEVEL, MC_ROLE_STATE_OF_CHARGE, MC_ROLE_ENGINE_SPEED
} mc_role;
mc_role mc_role_of_fqn(mc_slice fqn); /* Vehicle.CurrentLocation.Latitude, Vehicle.Speed, ... */

#endif
