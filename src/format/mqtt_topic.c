/* Topic names and filters (MQTT 5.0, 4.7 and 4.8.2) and the characters of UTF-8 strings (1.5.4). */
#include "format/mqtt_wire.h"

/* Sixteen bytes at once; the compiler makes of it what the machine has. */
typedef int8_t lanes __attribute__((vector_size(16)));

/* Lanes that are not printable ASCII without + and #: as signed bytes, 0x80 and up are below the space. */
static inline lanes suspects(lanes b)
{
  return (b < 0x20) | (b == 0x7F) | (b == '+') | (b == '#');
}

static inline lanes lanes_at(const uint8_t *p)
{
  lanes b;
  memcpy(&b, p, sizeof b);
  return b;
}

static inline lanes lanes_of(uint64_t low, uint64_t high)
{
  uint64_t both[2] = {low, high};
  lanes b;
  memcpy(&b, both, sizeof b);
  return b;
}

static inline bool none(lanes found)
{
  uint64_t both[2];
  memcpy(both, &found, sizeof both);
  return (both[0] | both[1]) == 0;
}

/* Below 16 bytes: loads that overlap, so that every byte is seen and none beyond. */
static inline lanes short_lanes(const uint8_t *p, size_t len)
{
  if (len >= 8)
    return lanes_of(mc_load_le64(p), mc_load_le64(p + len - 8));
  if (len >= 4) {
    uint64_t both = (uint64_t)mc_load_le32(p) << 32 | mc_load_le32(p + len - 4);
    return lanes_of(both, both);
  }
  uint64_t few = 0x6161616161000000ULL | (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1];
  return lanes_of(few, few);
}

/* Nothing but printable ASCII without + and #: nearly every topic of a fleet. */
static inline bool is_plain(mc_slice name)
{
  const uint8_t *p = name.data;
  if (name.len < 16)
    return name.len == 0 || none(suspects(short_lanes(p, name.len)));
  lanes found = suspects(lanes_at(p + name.len - 16));
  for (size_t i = 0; i + 16 < name.len; i += 16)
    found |= suspects(lanes_at(p + i));
  return none(found);
}

/* U+0000 to U+001F, U+007F to U+009F, U+FDD0 to U+FDEF and the last two of every plane; p is valid UTF-8. */
static bool is_control_or_nonchar(const uint8_t *p, size_t left)
{
  uint8_t c = p[0];
  if (c < 0x20 || c == 0x7F)
    return true;
  if (c == 0xC2)
    return p[1] < 0xA0;
  if (c == 0xEF && left >= 3)
    return (p[1] == 0xB7 && p[2] >= 0x90 && p[2] <= 0xAF) || (p[1] == 0xBF && p[2] >= 0xBE);
  if (c >= 0xF0 && left >= 4)
    return (p[1] & 0x0F) == 0x0F && p[2] == 0xBF && p[3] >= 0xBE;
  return false;
}

static mc_mqtt_name_fault name_check_slow(mc_slice name)
{
  if (!mc_slice_is_utf8(name))
    return MC_MQTT_NAME_UTF8;
  bool wildcard = false;
  for (size_t i = 0; i < name.len; i++) {
    if (is_control_or_nonchar(name.data + i, name.len - i))
      return MC_MQTT_NAME_CONTROL;
    wildcard |= name.data[i] == '+' || name.data[i] == '#';
  }
  return wildcard ? MC_MQTT_NAME_WILDCARD : MC_MQTT_NAME_OK;
}

mc_mqtt_name_fault mc_mqtt_name_check(mc_slice name)
{
  return is_plain(name) ? MC_MQTT_NAME_OK : name_check_slow(name);
}

bool mc_mqtt_text_valid(mc_slice text)
{
  return is_plain(text) || (mc_slice_is_utf8(text) && mc_slice_find(text, 0, 0) == text.len);
}

bool mc_mqtt_topic_valid(mc_slice topic)
{
  return topic.len > 0 && topic.len <= UINT16_MAX && mc_mqtt_name_check(topic) == MC_MQTT_NAME_OK;
}

bool mc_mqtt_filter_levels_valid(mc_slice filter)
{
  for (size_t i = 0; i < filter.len; i++) {
    uint8_t c = filter.data[i];
    if (c != '+' && c != '#')
      continue;
    bool first = i == 0 || filter.data[i - 1] == '/';
    bool last = i + 1 == filter.len || (c == '+' && filter.data[i + 1] == '/');
    if (!first || !last)
      return false;
  }
  return filter.len > 0;
}

bool mc_mqtt_filter_valid(mc_slice filter)
{
  if (filter.len == 0 || filter.len > UINT16_MAX)
    return false;
  mc_mqtt_name_fault fault = mc_mqtt_name_check(filter);
  if (fault == MC_MQTT_NAME_OK)
    return true;
  return fault == MC_MQTT_NAME_WILDCARD && mc_mqtt_filter_levels_valid(filter);
}

bool mc_mqtt_shared_split(mc_slice filter, mc_slice *group, mc_slice *rest)
{
  const mc_slice prefix = MC_LIT("$share/");
  if (!mc_slice_starts(filter, prefix))
    return false;
  size_t slash = mc_slice_find(filter, '/', prefix.len);
  if (slash == prefix.len || slash + 1 >= filter.len)
    return false; /* no group, or nothing after it */
  mc_slice name = mc_slice_sub(filter, prefix.len, slash - prefix.len);
  mc_slice inner = mc_slice_sub(filter, slash + 1, filter.len);
  if (mc_slice_find(name, '+', 0) < name.len || mc_slice_find(name, '#', 0) < name.len || !mc_mqtt_filter_valid(inner))
    return false;
  *group = name;
  *rest = inner;
  return true;
}

bool mc_mqtt_topic_matches(mc_slice filter, mc_slice topic)
{
  if (filter.len == 0 || topic.len == 0)
    return false;
  /* 4.7.2: a leading wildcard does not reach topics that begin with $. */
  if (topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#'))
    return false;
  size_t f = 0;
  size_t t = 0;
  for (;;) {
    if (f < filter.len && filter.data[f] == '#')
      return f + 1 == filter.len;
    if (f < filter.len && filter.data[f] == '+') {
      f++;
      t = mc_slice_find(topic, '/', t);
    } else {
      while (f < filter.len && filter.data[f] != '/' && t < topic.len && topic.data[t] == filter.data[f]) {
        f++;
        t++;
      }
    }
    bool filter_level_ends = f == filter.len || filter.data[f] == '/';
    bool topic_level_ends = t == topic.len || topic.data[t] == '/';
    if (!filter_level_ends || !topic_level_ends)
      return false;
    if (t == topic.len) /* `a/#` matches `a` too */
      return f == filter.len || (f + 2 == filter.len && filter.data[f + 1] == '#');
    if (f == filter.len)
      return false;
    f++;
    t++;
  }
}
