/* Messages of a vehicle's middleware (ROS 2) in CDR, read by the complex types of a decoder manifest (contract fleetwise 5.2).
 *
 * CDR as ROS 2 writes it (OMG DDS-RTPS 10.2; XCDR1 plain): a head of 4 bytes - 00 00 big, 00 01 little endian - then members one after the other, each number
 * aligned to its size counted from behind the head; dynamic lists and texts begin with a count of 32 bits; a UTF-8 text counts and ends with a NUL, a wide one
 * has 32 bits a UTF-16 unit (Fast CDR 1). Pure; any thread; everything is bounded by the message's bytes. */
#ifndef MC_FORMAT_CDR_H
#define MC_FORMAT_CDR_H

#include "format/fleetwise.h"

typedef struct mc_cdr_types {
  const mc_fw_complex_type *type; /* ascending by id */
  uint32_t count;
} mc_cdr_types;
/* Copies into the arena. MC_ERR_INVALID: an id twice. */
mc_err mc_cdr_types_of(const mc_fw_complex_type *type, uint32_t count, mc_arena *arena, mc_cdr_types *out, mc_why *why);
/* Can a message be read by this root? Names what is missing, empty, a cycle, or deeper than 32. */
mc_err mc_cdr_check(const mc_cdr_types *t, uint32_t root, mc_why *why);

/* The part of a message at a path of member and list indices. A text borrows from cdr, or from text when it was converted. MC_ERR_NOT_FOUND: the list of this message is
 * shorter; MC_ERR_INVALID: the path does not lead to a number or a text; MC_ERR_TRUNCATED, MC_ERR_MALFORMED: the message is damaged. */
mc_err mc_cdr_find(const mc_cdr_types *t, uint32_t root, mc_slice cdr, const uint32_t *path, uint32_t steps, mc_fw_value *out, mc_buf *text, mc_why *why);
/* The whole message as JSON: structs are objects by their members' names (by index where a manifest has none), lists arrays. All of the message must be read, but for
 * 3 bytes of padding. MC_ERR_TOO_LARGE: longer than limit. */
mc_err mc_cdr_json(const mc_cdr_types *t, uint32_t root, mc_slice cdr, size_t limit, mc_buf *out, mc_why *why);

#endif
