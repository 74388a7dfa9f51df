/* The FleetWise messages as tables (contract fleetwise, section 5): one table serves reader and writer.
 * Private to src/format. Fields stand in tag order, which is the order of writing. */
#ifndef MC_FORMAT_FLEETWISE_SCHEMA_H
#define MC_FORMAT_FLEETWISE_SCHEMA_H

#include "format/fleetwise.h"
#include "format/proto.h"

enum { MC_FW_DEPTH_MAX = 64 };

typedef enum mc_fw_kind {
  MC_FW_U32, /* uint32_t; varint */
  MC_FW_U64,
  MC_FW_BOOL,
  MC_FW_F64,
  MC_FW_TEXT,     /* mc_slice; UTF-8 */
  MC_FW_TEXTS,    /* const mc_slice *, count at `aside` */
  MC_FW_MESSAGES, /* array of `nested`, count at `aside` */
  MC_FW_PAIRS,    /* const uint32_t *, count of pairs at `aside`; packed or not */
  MC_FW_NODE,     /* mc_fw_node * */
  MC_FW_PART_OFF, /* message whose fields lie in the same struct; a oneof: the bool at `aside` is false */
  MC_FW_PART_ON   /* the same, true */
} mc_fw_kind;

typedef struct mc_fw_field {
  uint16_t tag;
  uint16_t kind;
  uint16_t offset, aside;
  const struct mc_fw_message *nested;
  const char *name;
} mc_fw_field;

typedef struct mc_fw_message {
  const char *name;
  uint16_t size;
  uint16_t field_count;
  const mc_fw_field *field;
} mc_fw_message;

extern const mc_fw_message mc_fw_schema_checkin, mc_fw_schema_manifest, mc_fw_schema_schemes;

static inline bool mc_fw_is_repeated(const mc_fw_field *f)
{
  return f->kind == MC_FW_TEXTS || f->kind == MC_FW_MESSAGES || f->kind == MC_FW_PAIRS;
}

#endif
