/* Records on MC_STREAM_SESSION and parts of the checkpoint file: byte tables in README.md, "Formats". Pure codec. */
#ifndef MC_GATEWAY_SESSION_RECORD_H
#define MC_GATEWAY_SESSION_RECORD_H

#include "base/slice.h"

enum { MC_SESSION_FORMAT = 2, MC_SESSION_FORMAT_OLDEST = 1 };

typedef enum mc_session_kind {
  MC_SESSION_OPEN = 1, MC_SESSION_SUBSCRIBE, MC_SESSION_UNSUBSCRIBE, MC_SESSION_ACKED, MC_SESSION_CLOSED, MC_SESSION_ENDED,
  MC_SESSION_WILL /* from version 2 on */, MC_SESSION_WILL_SENT, MC_SESSION_RELEASED, MC_SESSION_ASSIGNED, MC_SESSION_RECEIVED, MC_SESSION_COMPLETE,
  MC_SESSION_PAGE, MC_SESSION_KINDS
} mc_session_kind;
/* The record's topic: "open", "subscribe", ... */
mc_slice mc_session_kind_name(mc_session_kind kind);

/* An entry: a message's journal offset (a multiple of 8) and how it is delivered. */
enum { MC_ENTRY_RETAINED = 1, MC_ENTRY_QOS2 = 2, MC_ENTRY_SHARED = 4 };

typedef struct mc_session_will {
  uint8_t qos, partition;
  bool retain, v5;
  uint32_t delay_s, principal;
  mc_slice topic, props, payload;
} mc_session_will;

typedef struct mc_session_record {
  mc_session_kind kind;
  uint8_t version; /* of the format it was read from */
  mc_slice client_id;
  /* open, closed */
  uint32_t expiry_s;
  bool will_gone; /* closed */
  /* open */
  bool clean;
  uint8_t mqtt_version;
  uint32_t thing;
  mc_slice thing_name;
  mc_session_will will;
  /* lists: walk with the functions below */
  uint32_t count;
  mc_slice list;
} mc_session_record;

typedef struct mc_session_filter {
  mc_slice filter;
  uint8_t options; /* mc_sub options; 0 for unsubscribe */
  uint32_t id;
} mc_session_filter;

/* Appends head (and for kinds without a list the whole record). For the lists append items afterwards, then set the count. */
mc_err mc_session_record_begin(mc_buf *out, const mc_session_record *r);
mc_err mc_session_record_add_filter(mc_buf *out, const mc_session_filter *f, bool unsubscribe);
mc_err mc_session_record_add_entry(mc_buf *out, uint64_t entry, uint64_t *previous); /* *previous starts at 0 */
mc_err mc_session_record_add_offsets(mc_buf *out, const uint64_t *offset, size_t count); /* a whole list of entries without flags */
mc_err mc_session_record_add_packet_id(mc_buf *out, uint16_t packet_id); /* assigned: its entry follows */
void mc_session_record_set_count(mc_buf *out, size_t begin /* out->len at begin */, uint32_t count);

mc_err mc_session_record_read(mc_slice bytes, mc_session_record *out, mc_why *why);
/* *at starts at 0; false at the end or at damage (*at then is not list.len). */
bool mc_session_record_next_filter(const mc_session_record *r, size_t *at, mc_session_filter *out);
bool mc_session_record_next_entry(const mc_session_record *r, size_t *at, uint64_t *entry); /* *entry holds the previous one: start with 0 */
bool mc_session_record_next_packet_id(const mc_session_record *r, size_t *at, uint16_t *packet_id); /* assigned: then its entry */

/* A will, as in the record and in the checkpoint. */
mc_err mc_session_will_put(mc_buf *out, const mc_session_will *w);
void mc_session_will_get(mc_cursor *c, mc_session_will *out); /* c->ok tells */

/* Unsigned LEB128, zigzag for differences. */
mc_err mc_varint_put(mc_buf *out, uint64_t v);
uint64_t mc_varint_get(mc_cursor *c);

/* The origin: head of the properties of a QoS 2 message record. */
mc_err mc_origin_put(mc_buf *out, uint16_t packet_id, mc_slice client_id);
/* *props: without the head. False: damaged. */
bool mc_origin_take(mc_slice *props, uint16_t *packet_id, mc_slice *client_id);

#endif
