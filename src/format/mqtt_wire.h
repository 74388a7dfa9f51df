/* What the MQTT reader, writer, property table and topic rules share. Private to src/format. */
#ifndef MC_FORMAT_MQTT_WIRE_H
#define MC_FORMAT_MQTT_WIRE_H

#include "format/mqtt.h"

enum { MC_MQTT_VARINT_MAX = 268435455 }; /* MQTT 5.0, 1.5.5: four bytes of seven bits */

/* A place in one packet that is being read. Every failure goes through mc_mqtt_refuse, so that it carries
 * reason code, byte and rule. */
typedef struct mc_mqtt_reader {
  const uint8_t *data;
  size_t at, end;
  uint8_t type;    /* mc_mqtt_type */
  uint8_t version; /* MC_MQTT_311 or MC_MQTT_5 */
  uint8_t *reason;
  mc_why *why;
} mc_mqtt_reader;

mc_err mc_mqtt_refuse(mc_mqtt_reader *r, uint8_t reason, const char *rule);
const char *mc_mqtt_type_name(unsigned type);

static inline size_t mc_mqtt_left(const mc_mqtt_reader *r) { return r->end - r->at; }

/* Variable byte integer at p (MQTT 5.0, 1.5.5). Bytes used; 0 when more are needed; -1 when there are more than
 * four. *minimal is false for an encoding longer than it has to be. */
static inline int mc_mqtt_read_varint(const uint8_t *p, size_t left, uint32_t *value, bool *minimal)
{
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    if ((size_t)i >= left)
      return 0;
    v |= (uint32_t)(p[i] & 0x7F) << (7 * i);
    if (p[i] < 0x80) {
      *value = v;
      *minimal = i == 0 || p[i] != 0;
      return i + 1;
    }
  }
  return -1;
}
static inline size_t mc_mqtt_varint_size(uint32_t v)
{
  return v < 0x80 ? 1 : v < 0x4000 ? 2 : v < 0x200000 ? 3 : 4;
}
static inline uint8_t *mc_mqtt_store_varint(uint8_t *p, uint32_t v)
{
  while (v >= 0x80) {
    *p++ = (uint8_t)(v | 0x80);
    v >>= 7;
  }
  *p++ = (uint8_t)v;
  return p;
}

/* Two-byte length and bytes. */
mc_err mc_mqtt_read_binary(mc_mqtt_reader *r, const char *rule, mc_slice *out);

/* Names are topics, filters, client ids and user names: UTF-8 without control characters and noncharacters
 * (1.5.4 lets a receiver refuse those). Texts are everything else: UTF-8 without NUL. */
typedef enum mc_mqtt_name_fault {
  MC_MQTT_NAME_OK = 0,
  MC_MQTT_NAME_UTF8,
  MC_MQTT_NAME_CONTROL,
  MC_MQTT_NAME_WILDCARD /* has + or #; only told when nothing else is wrong */
} mc_mqtt_name_fault;
mc_mqtt_name_fault mc_mqtt_name_check(mc_slice name);
bool mc_mqtt_text_valid(mc_slice text);
/* Levels and wildcards of a filter whose characters were checked. */
bool mc_mqtt_filter_levels_valid(mc_slice filter);

/* Where a property may stand: bit 1 << packet type, or the will of a CONNECT. */
enum { MC_MQTT_IN_WILL = 1 << 0 };
/* Reads length and properties. place: 1 << type, or MC_MQTT_IN_WILL. Broken encodings win over rules. */
mc_err mc_mqtt_read_props(mc_mqtt_reader *r, uint32_t place, mc_mqtt_props *out);

#endif
