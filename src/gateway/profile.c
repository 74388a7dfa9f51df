#include "gateway/profile.h"

#include <stdio.h>

#include "format/mqtt.h"

/* The rows. Facts of aws-compat: the AWS IoT Core quotas and "differences from MQTT specifications" (contract iotcore, both tables). */

enum { MC_MQTT_PACKET_MOST = 268435455 }; /* MQTT 5.0, 1.5.5 */

#define AT(member) offsetof(mc_profile, member)
#define FLAG(member, standard, aws, meaning) {#member, "", MC_PROFILE_FLAG, AT(member), {standard, aws}, 0, 1, meaning}
#define LIMIT(member, unit, standard, aws, min, max, meaning) {#member, unit, MC_PROFILE_LIMIT, AT(member), {standard, aws}, min, max, meaning}
#define FLOOR(member, unit, standard, aws, max, meaning) {#member, unit, MC_PROFILE_FLOOR, AT(member), {standard, aws}, 0, max, meaning}

static const mc_profile_row table[] = {
    FLAG(qos2, 1, 0, "QoS 2; off: a PUBLISH or SUBSCRIBE with it gets no answer in 3.1.1 and DISCONNECT 0x9B in version 5"),
    FLAG(parent_match, 1, 0, "a filter a/# matches the topic a, too"),
    FLAG(wildcard_retained, 1, 0, "retained messages go to new subscriptions with wildcards, too"),
    FLAG(subscription_ids, 1, 0, "subscription identifiers; off: using one is DISCONNECT 0xA1"),
    FLAG(dup, 1, 0, "a PUBLISH that is sent again carries DUP"),
    FLAG(early_packets, 1, 0, "packets that come before CONNACK went are taken; off: the connection is closed"),
    {"refusal_code", "code", MC_PROFILE_CODE, AT(refusal_code), {5, 5}, 1, 255, "return code of a 3.1.1 CONNACK that says not authorized; older AWS text: 7"},
    FLAG(connack_tells_all, 0, 1, "a version 5 CONNACK names what is available also where that is the default"),
    FLAG(reserved_close, 0, 1, "an illegal filter on a reserved topic ends the connection; off: it is refused in SUBACK"),
    FLAG(excess_close, 0, 1, "more filters or subscriptions than allowed end the connection after SUBACK said so"),
    FLAG(excess_discard, 0, 1, "publishes beyond publishes_per_s are discarded, unanswered in 3.1.1, with 0x97 in version 5; off: they wait"),
    FLAG(dollar_client_id, 1, 0, "a client id may begin with $"),
    FLAG(connect_named, 0, 1, "where policy documents decide: a kept session and a will need a statement that names them (iot:ConnectAttributes)"),
    LIMIT(client_id_bytes, "bytes", 65535, 128, 1, 65535, "longest client id"),
    LIMIT(topic_bytes, "bytes", 65535, 256, 1, 65535, "longest topic and filter, behind $share/<group>/ and $aws/rules/<rule>/"),
    LIMIT(topic_slashes, "slashes", 0, 7, 0, 65535, "most slashes of a topic and filter, behind the same; reserved topics ($aws/) have no such limit; 0 = none"),
    LIMIT(payload_bytes, "bytes", 0, 131072, 0, MC_MQTT_PACKET_MOST, "largest payload of a PUBLISH; 0 = as the packet allows"),
    LIMIT(packet_bytes, "bytes", 1 << 20, 149504, 1024, MC_MQTT_PACKET_MOST, "largest packet taken (Maximum Packet Size)"),
    LIMIT(filters_per_subscribe, "filters", 8192, 8, 1, 8192, "most filters of one SUBSCRIBE"),
    LIMIT(subscriptions, "subscriptions", 1000, 50, 1, 1000000, "most subscriptions of one session"),
    LIMIT(publishes_per_s, "messages/s", 0, 100, 0, 1000000, "publishes of one client, with bursts of a second's worth; 0 = no limit"),
    LIMIT(deliveries_per_s, "messages/s", 0, 100, 0, 1000000, "messages to one client: QoS 0 beyond it is dropped and counted, QoS 1 and 2 wait; 0 = no limit"),
    LIMIT(bytes_per_s, "bytes/s", 0, 512 << 10, 0, UINT32_MAX, "bytes taken from one client, with bursts of a second's worth; beyond it is read later; 0 = no limit"),
    LIMIT(connects_per_s, "connects/s", 0, 1, 0, 1000000, "CONNECT of one client id; beyond it 0x97, in 3.1.1 return code 3; 0 = no limit"),
    LIMIT(receive_max, "messages", 1024, 100, 1, 65535, "QoS 1 and 2 publishes of a client that may be unanswered (Receive Maximum)"),
    LIMIT(send_max, "messages", 1024, 100, 1, 65535, "QoS 1 and 2 messages to a client that may be unanswered"),
    LIMIT(topic_aliases, "aliases", 16, 8, 1, 65535, "topic aliases that a client may set"),
    FLOOR(keep_alive_min_s, "s", 0, 30, 65535, "a shorter keep-alive becomes this (Server Keep Alive)"),
    LIMIT(keep_alive_max_s, "s", 0, 1200, 0, 65535, "a longer keep-alive, and none, becomes this; 0 = as asked"),
    LIMIT(session_expiry_s, "s", 30 * 86400, 3600, 1, UINT32_MAX, "longest session expiry, and that of a kept 3.1.1 session"),
    LIMIT(replay_per_s, "messages/s", 0, 10, 0, 1000000, "what waited for a client while it was away goes out so fast, beside what is new; 0 = as fast as it takes it"),
    FLOOR(message_expiry_min_s, "s", 0, 1, 65535, "a shorter message expiry becomes this"),
    LIMIT(message_expiry_max_s, "s", 0, 604800, 0, UINT32_MAX, "a longer message expiry becomes this; 0 = as sent"),
    LIMIT(share_name_chars, "characters", 128, 128, 1, 65535, "longest group name of a shared subscription"),
    LIMIT(shadow_bytes, "bytes", 1 << 20, 8192, 1024, 16 << 20, "largest state of a device shadow; its metadata is not counted"),
    LIMIT(shadow_depth, "levels", 16, 8, 1, 60, "deepest state of a device shadow, below desired and reported"),
    LIMIT(shadow_requests_per_s, "requests/s", 0, 20, 0, 1000000, "requests for the shadows of one thing; beyond it they are rejected with 429; 0 = no limit"),
};
enum { ROWS = sizeof table / sizeof table[0] };
_Static_assert(ROWS * sizeof(uint32_t) == sizeof(mc_profile), "each member of mc_profile has its row");

static const char *const name_text[MC_PROFILES] = {"standard", "aws-compat"};

size_t mc_profile_rows(void) { return ROWS; }
const mc_profile_row *mc_profile_row_at(size_t i) { return i < ROWS ? &table[i] : NULL; }
const char *mc_profile_text(mc_profile_name name) { return name_text[name]; }

const mc_profile_row *mc_profile_row_find(mc_slice key)
{
  for (size_t i = 0; i < ROWS; i++)
    if (mc_slice_eq_str(key, table[i].key))
      return &table[i];
  return NULL;
}

bool mc_profile_parse(mc_slice text, mc_profile_name *out)
{
  for (int i = 0; i < MC_PROFILES; i++)
    if (mc_slice_eq_str(text, name_text[i])) {
      *out = (mc_profile_name)i;
      return true;
    }
  return false;
}

void mc_profile_default(mc_profile_name name, mc_profile *out)
{
  for (size_t i = 0; i < ROWS; i++)
    *mc_profile_value(out, &table[i]) = table[i].value[name];
}

/* ---- topics ---- */
/* What stands behind the first `levels` levels; all of it when there are fewer. */
static mc_slice behind(mc_slice topic, size_t levels)
{
  size_t at = 0;
  for (; levels; levels--) {
    size_t slash = mc_slice_find(topic, '/', at);
    if (slash == topic.len)
      return topic;
    at = slash + 1;
  }
  return mc_slice_sub(topic, at, topic.len);
}

const char *mc_profile_topic_fault(const mc_profile *p, mc_slice topic)
{
  bool reserved = mc_slice_starts(topic, MC_LIT("$aws/"));
  if (mc_slice_starts(topic, MC_LIT("$aws/rules/"))) {
    topic = behind(topic, 3);
    reserved = false;
  }
  if (topic.len > p->topic_bytes)
    return "it is longer than this client's profile allows (topic_bytes)";
  if (!p->topic_slashes || reserved)
    return NULL;
  size_t slashes = 0;
  for (size_t i = 0; i < topic.len; i++)
    slashes += topic.data[i] == '/';
  return slashes > p->topic_slashes ? "it has more slashes than this client's profile allows (topic_slashes)" : NULL;
}

/* Patterns, level by level: `?` any one level, `!` a level that must be spelled out. A filter of this form with a wildcard there can match nothing that
 * is ever sent, so asking for it is a mistake that is told. */
static const struct {
  const char *pattern, *rule;
} reserved_fault[] = {
    {"$aws/commands/?/?/executions/?/request/!", "the payload format of a command topic is spelled out: json, cbor or protobuf; leave it away for other content types"},
    {"$aws/commands/?/?/executions/?/response/!/?", "a command's response is accepted or rejected: spell it out"},
    {"$aws/commands/?/?/executions/?/response/?/!", "the payload format of a command topic is spelled out: json or cbor"},
};

static bool breaks(mc_slice pattern, mc_slice filter)
{
  bool broken = false;
  for (;;) {
    size_t p = mc_slice_find(pattern, '/', 0), f = mc_slice_find(filter, '/', 0);
    mc_slice want = mc_slice_sub(pattern, 0, p), is = mc_slice_sub(filter, 0, f);
    if (mc_slice_eq_str(want, "!"))
      broken |= mc_slice_eq_str(is, "+");
    else if (!mc_slice_eq_str(want, "?") && !mc_slice_eq(want, is))
      return false;
    if (p == pattern.len || f == filter.len)
      return broken && p == pattern.len && f == filter.len;
    pattern = mc_slice_sub(pattern, p + 1, pattern.len);
    filter = mc_slice_sub(filter, f + 1, filter.len);
  }
}

const char *mc_profile_reserved_fault(mc_slice filter)
{
  for (size_t i = 0; mc_slice_starts(filter, MC_LIT("$aws/")) && i < sizeof reserved_fault / sizeof reserved_fault[0]; i++)
    if (breaks(mc_slice_str(reserved_fault[i].pattern), filter))
      return reserved_fault[i].rule;
  return NULL;
}

/* ---- times ---- */
uint16_t mc_profile_keep_alive(const mc_profile *p, uint16_t asked)
{
  if (p->keep_alive_max_s && (asked == 0 || asked > p->keep_alive_max_s))
    return (uint16_t)p->keep_alive_max_s;
  return asked && asked < p->keep_alive_min_s ? (uint16_t)p->keep_alive_min_s : asked;
}

enum { PROP_EXPIRY = 0x02 };

mc_slice mc_profile_expiry(const mc_profile *p, mc_slice props, mc_buf *out)
{
  mc_mqtt_property property;
  if (!p->message_expiry_min_s && !p->message_expiry_max_s)
    return props;
  for (size_t at = 0, begin = 0; mc_mqtt_property_next(props, &at, &property); begin = at) {
    if (property.id != PROP_EXPIRY)
      continue;
    uint32_t is = property.number, most = p->message_expiry_max_s ? p->message_expiry_max_s : UINT32_MAX;
    uint32_t becomes = is < p->message_expiry_min_s ? p->message_expiry_min_s : is > most ? most : is;
    if (becomes == is)
      return props;
    mc_buf_clear(out);
    if (mc_buf_append_slice(out, props) != MC_OK)
      return props;
    mc_store_be32(out->data + begin + 1, becomes);
    return mc_buf_slice(out);
  }
  return props;
}
