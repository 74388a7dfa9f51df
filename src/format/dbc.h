/* DBC reader (Vector CANdb++ network files).
 *
 * Reads VERSION, BU_, BO_, SG_, CM_, VAL_, VAL_TABLE_, BA_DEF_, BA_DEF_DEF_, BA_, SIG_VALTYPE_,
 * SG_MUL_VAL_ and BO_TX_BU_; other sections are passed over. Text is UTF-8 or, when it is not valid
 * UTF-8, taken as Windows-1252. Long names come from the attributes SystemMessageLongSymbol and
 * SystemSignalLongSymbol. Start bits are kept as DBC writes them (Motorola: the MSB); `lsb` is the
 * converted one (contract fleetwise 15.2). Pure: no I/O; all memory from the caller's arena. */
#ifndef MC_FORMAT_DBC_H
#define MC_FORMAT_DBC_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"

typedef struct mc_dbc_value { int64_t value; mc_slice text; } mc_dbc_value;
typedef struct mc_dbc_range { uint32_t low, high; } mc_dbc_range; /* inclusive */

typedef enum mc_dbc_mux { MC_DBC_PLAIN, MC_DBC_SWITCH, MC_DBC_MUXED, MC_DBC_MUXED_SWITCH } mc_dbc_mux;

typedef struct mc_dbc_signal {
  mc_slice name;      /* long name when there is one */
  mc_slice short_name;
  uint16_t start_bit; /* as written */
  uint16_t lsb;       /* bit n = byte n/8, bit n%8 from the LSB of the byte */
  uint16_t length;    /* 1..64 (IEEE: 32 or 64) */
  bool big_endian, is_signed;
  uint8_t float_bits; /* 0, 32 or 64 (SIG_VALTYPE_) */
  double factor, offset, min, max;
  mc_slice unit, comment;
  mc_dbc_mux mux;
  mc_slice mux_switch;        /* name of the switch it hangs on; empty: none */
  uint32_t mux_range_count;
  mc_dbc_range *mux_range;    /* values of the switch for which it is present */
  uint32_t value_count;
  mc_dbc_value *value;        /* VAL_ */
  double initial;             /* GenSigStartValue, raw; 0 when absent */
  uint32_t line;              /* 1-based, for messages */
} mc_dbc_signal;

typedef struct mc_dbc_message {
  uint32_t id;     /* without the extended flag */
  bool extended;
  bool j1939;      /* VFrameFormat J1939PG (3) or ProtocolType J1939 with an extended id */
  bool fd;         /* VFrameFormat 14 or 15 */
  uint16_t size;   /* bytes */
  mc_slice name, short_name, sender, comment;
  uint32_t cycle_ms; /* GenMsgCycleTime, 0 = unknown */
  uint32_t signal_count;
  mc_dbc_signal *signal;
  uint32_t line;
} mc_dbc_message;

typedef struct mc_dbc_warning { uint32_t line; mc_slice text; } mc_dbc_warning;

typedef struct mc_dbc {
  mc_slice version;
  uint32_t message_count;
  mc_dbc_message *message;
  uint32_t warning_count;     /* what was passed over or repaired */
  mc_dbc_warning *warning;
} mc_dbc;

/* name is used in messages ("truck.dbc:12: signal EngineSpeed: ..."). A broken line inside BO_/SG_ is an
 * error that says line, what came and what was expected; unknown sections and attributes are warnings. */
mc_err mc_dbc_parse(mc_slice text, const char *name, mc_arena *arena, mc_dbc *out, mc_why *why);
const mc_dbc_message *mc_dbc_find(const mc_dbc *dbc, mc_slice message);
const mc_dbc_signal *mc_dbc_message_find(const mc_dbc_message *m, mc_slice signal);

/* J1939: the parameter group number of a 29-bit id (SAE J1939-21: PDU1 has its destination cut off). */
uint32_t mc_j1939_pgn(uint32_t id);

#endif
