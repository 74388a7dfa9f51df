/* The DBC reader's state while a file is read; private to the DBC reader. */
#ifndef MC_FORMAT_DBC_READ_H
#define MC_FORMAT_DBC_READ_H

#include "base/map.h"
#include "base/vec.h"
#include "format/dbc.h"
#include "format/dbc_lex.h"

typedef enum mc_dbc_frame_kind { MC_DBC_FRAME_UNSET, MC_DBC_FRAME_PLAIN, MC_DBC_FRAME_FD, MC_DBC_FRAME_J1939 } mc_dbc_frame_kind;

typedef struct mc_dbc_open_message {
  mc_dbc_message m;
  uint32_t raw_id; /* as written, bit 31 = extended */
  uint32_t first;  /* index of its first signal in reader.signal */
  mc_dbc_frame_kind frame;
} mc_dbc_open_message;

typedef struct mc_dbc_open_signal {
  mc_dbc_signal s;
  uint32_t message;
  uint32_t mux_value; /* of m<number> */
  int64_t switch_at;  /* index in reader.signal, -1 = none known */
  bool left_out;
  bool initial_set;
} mc_dbc_open_signal;

typedef struct mc_dbc_reader {
  mc_dbc_lexer lx;
  mc_arena *arena;
  mc_slice version;
  MC_VEC(mc_dbc_open_message) message;
  MC_VEC(mc_dbc_open_signal) signal;
  MC_VEC(mc_dbc_warning) warning;
  mc_map by_id;        /* raw_id -> message index */
  mc_strmap by_signal; /* raw_id (4 bytes LE) + short name -> signal index */
  mc_strmap table;     /* VAL_TABLE_ name -> index in value_table */
  MC_VEC(mc_dbc_signal) value_table; /* only value and value_count are used */
  MC_VEC(mc_dbc_frame_kind) frame_format; /* VFrameFormat's enum */
  mc_dbc_frame_kind default_frame;
  bool protocol_default_j1939, protocol_set, protocol_j1939;
  uint32_t default_cycle_ms;
  double default_initial;
  bool passing; /* SG_ lines of a pseudo message are read and dropped */
} mc_dbc_reader;

enum { MC_DBC_WARNINGS_MAX = 1000 }; /* then one last warning says so */
mc_err mc_dbc_reader_warn(mc_dbc_reader *r, uint32_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool mc_dbc_reader_signal(const mc_dbc_reader *r, uint32_t raw_id, mc_slice short_name, size_t *at);

/* dbc_message.c */
mc_err mc_dbc_read_message(mc_dbc_reader *r);
mc_err mc_dbc_read_signal(mc_dbc_reader *r);
mc_err mc_dbc_read_transmitters(mc_dbc_reader *r);
mc_err mc_dbc_read_float_type(mc_dbc_reader *r);
mc_err mc_dbc_read_mux_values(mc_dbc_reader *r);
/* dbc_attribute.c */
mc_err mc_dbc_read_comment(mc_dbc_reader *r);
mc_err mc_dbc_read_values(mc_dbc_reader *r);
mc_err mc_dbc_read_value_table(mc_dbc_reader *r);
mc_err mc_dbc_read_attribute_definition(mc_dbc_reader *r);
mc_err mc_dbc_read_attribute_default(mc_dbc_reader *r);
mc_err mc_dbc_read_attribute(mc_dbc_reader *r);

#endif
