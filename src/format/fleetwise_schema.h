/* The FleetWise messages as tables (contract fleetwise, section 5): one table serves reader and writer.
 * Private to src/format. Fields stand in tag order, which is the order of writing. */
#ifndef MC_FORMAT_FLEETWISE_SCHEMA_H
#define MC_FORMAT_FLEETWISE_SCHEMA_H

#include <stddef.h>

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
  MC_FW_NUMBERS,  /* const uint32_t *, count at `aside`; packed or not */
  MC_FW_NODE,     /* mc_fw_node * */
  MC_FW_NODES,    /* mc_fw_node **, count at `aside` */
  MC_FW_VALUE,    /* mc_fw_value of the type `aside`: one member of a oneof, whose members share the place */
  MC_FW_WITHIN,   /* message whose fields lie in the same struct; written when it has something to say */
  MC_FW_PART_OFF, /* message whose fields lie in the same struct; a oneof: the bool at `aside` is false */
  MC_FW_PART_ON,  /* the same, true */
  MC_FW_CHOICE    /* the same, of several: the uint32_t at `aside` is the tag of the member chosen, 0 none */
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

extern const mc_fw_message mc_fw_schema_checkin, mc_fw_schema_manifest, mc_fw_schema_schemes, mc_fw_schema_path;

/* Rows of the tables. */
#define MC_FW_FIELD(type, tag_, kind_, member) {tag_, MC_FW_##kind_, offsetof(type, member), 0, NULL, #member}
#define MC_FW_REPEATED(type, tag_, kind_, member, count, nested_) {tag_, MC_FW_##kind_, offsetof(type, member), offsetof(type, count), nested_, #member}
#define MC_FW_INSIDE(tag_, nested_, name_) {tag_, MC_FW_WITHIN, 0, 0, nested_, name_}
#define MC_FW_ONE_OF(type, tag_, member, nested_, name_) {tag_, MC_FW_CHOICE, 0, offsetof(type, member), nested_, name_}
#define MC_FW_ONE_VALUE(type, tag_, value_type, member) {tag_, MC_FW_VALUE, offsetof(type, member), value_type, NULL, #member}
#define MC_FW_MESSAGE(name_, type, fields) {name_, sizeof(type), sizeof(fields) / sizeof(fields)[0], fields}

/* A whole message by its table. */
mc_err mc_fw_read_root(const mc_fw_message *m, mc_slice in, mc_arena *arena, void *out, mc_why *why);
mc_err mc_fw_write_root(mc_buf *out, const mc_fw_message *m, const void *object);

static inline bool mc_fw_is_repeated(const mc_fw_field *f)
{
  return f->kind == MC_FW_TEXTS || f->kind == MC_FW_MESSAGES || f->kind == MC_FW_PAIRS || f->kind == MC_FW_NUMBERS || f->kind == MC_FW_NODES;
}

#endif
