/* Writing JSON (RFC 8259) into a buffer, without a tree. Reading is jansson's part (json_loadb with
 * JSON_REJECT_DUPLICATES). Commas are placed automatically; nesting up to 64. Invalid UTF-8 in text is
 * replaced by U+FFFD; NaN and infinities are written as null. Errors stick: check mc_json_end. */
#ifndef MC_FORMAT_JSON_H
#define MC_FORMAT_JSON_H

#include "base/slice.h"

typedef struct mc_json {
  mc_buf *out;
  uint64_t has_item; /* bit per level: a comma is due */
  uint8_t depth;
  bool after_key;
  mc_err err;
} mc_json;

mc_json mc_json_to(mc_buf *out);
void mc_json_object(mc_json *j);
void mc_json_object_end(mc_json *j);
void mc_json_array(mc_json *j);
void mc_json_array_end(mc_json *j);
void mc_json_key(mc_json *j, const char *key);
void mc_json_key_slice(mc_json *j, mc_slice key);
void mc_json_text(mc_json *j, mc_slice text);
void mc_json_str(mc_json *j, const char *text); /* NULL gives null */
void mc_json_int(mc_json *j, int64_t v);
void mc_json_uint(mc_json *j, uint64_t v);
void mc_json_double(mc_json *j, double v); /* shortest text that reads back the same */
void mc_json_bool(mc_json *j, bool v);
void mc_json_null(mc_json *j);
void mc_json_raw(mc_json *j, mc_slice json); /* already valid JSON */
/* MC_OK, or the first failure (memory, unbalanced nesting). */
mc_err mc_json_end(mc_json *j);

/* key + value in one call */
#define MC_JSON_FIELD(name, type)                                             \
  static inline void mc_json_##name##_field(mc_json *j, const char *k, type v) \
  {                                                                           \
    mc_json_key(j, k);                                                        \
    mc_json_##name(j, v);                                                     \
  }
MC_JSON_FIELD(text, mc_slice)
MC_JSON_FIELD(str, const char *)
MC_JSON_FIELD(int, int64_t)
MC_JSON_FIELD(uint, uint64_t)
MC_JSON_FIELD(double, double)
MC_JSON_FIELD(bool, bool)
#undef MC_JSON_FIELD

#endif
