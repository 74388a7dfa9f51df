/* Records on MC_STREAM_SESSION and the checkpoint file: byte tables in README.md, "Formats". Pure codec. */
#ifndef MC_GATEWAY_SESSION_RECORD_H
#define MC_GATEWAY_SESSION_RECORD_H

#include "base/slice.h"

enum { MC_SESSION_FORMAT = 1 };

typedef enum mc_session_kind {
  MC_SESSION_OPEN = 1, MC_SESSION_SUBSCRIBE, MC_SESSION_UNSUBSCRIBE, MC_SESSION_ACKED, MC_SESSION_CLOSED, MC_SESSION_ENDED
} mc_session_kind;
/* The record's topic: "open", "subscribe", ... */
mc_slice mc_session_kind_name(mc_session_kind kind);

typedef struct mc_session_record {
  mc_session_kind kind;
  mc_slice client_id;
  /* open, closed */
  uint32_t expiry_s;
  /* open */
  bool clean;
  uint8_t mqtt_version;
  uint32_t thing;
  mc_slice thing_name;
  /* subscribe, unsubscribe, acked: walk with the functions below */
  uint32_t count;
  mc_slice list;
} mc_session_record;

typedef struct mc_session_filter {
  mc_slice filter;
  uint8_t options; /* mc_sub options; 0 for unsubscribe */
  uint32_t id;
} mc_session_filter;

/* Appends head (and for open, closed, ended the whole record). For the lists append items afterwards, then set the count. */
mc_err mc_session_record_begin(mc_buf *out, const mc_session_record *r);
mc_err mc_session_record_add_filter(mc_buf *out, const mc_session_filter *f, bool unsubscribe);
mc_err mc_session_record_add_offsets(mc_buf *out, const uint64_t *offset, size_t count);
void mc_session_record_set_count(mc_buf *out, size_t begin /* out->len at begin */, uint32_t count);

mc_err mc_session_record_read(mc_slice bytes, mc_session_record *out, mc_why *why);
/* *at starts at 0; false at the end or at damage (*at then is not list.len). */
bool mc_session_record_next_filter(const mc_session_record *r, size_t *at, mc_session_filter *out);
bool mc_session_record_next_offset(const mc_session_record *r, size_t *at, uint64_t *offset); /* *offset holds the previous one: start with 0 */

/* Unsigned LEB128, zigzag for differences. */
mc_err mc_varint_put(mc_buf *out, uint64_t v);
uint64_t mc_varint_get(mc_cursor *c);

#endif
