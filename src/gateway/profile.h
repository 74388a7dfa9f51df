/* Profiles: how the gateway behaves towards a client, and what it allows, as one table of rows (DESIGN 8, contract "Profiles and limits").
 *
 * `standard` is MQTT to the letter with loose limits; `aws-compat` is what firmware written for AWS IoT Core expects. A client has the profile of the
 * listener that it came through, unless a thing group of its device names another. Each row is a setting of each profile: <profile>_<key>.
 * Immutable once the gateway runs. */
#ifndef MC_GATEWAY_PROFILE_H
#define MC_GATEWAY_PROFILE_H

#include "base/slice.h"

typedef enum mc_profile_name { MC_PROFILE_STANDARD, MC_PROFILE_AWS_COMPAT } mc_profile_name;
enum { MC_PROFILES = 2 };
typedef enum mc_door { MC_DOOR_MQTT /* 8883 */, MC_DOOR_DEV, MC_DOOR_SHARED /* ALPN, WebSocket, POST /topics */ } mc_door;
enum { MC_DOORS = 3 };

/* One member a row; flags are 0 or 1. Meanings: the table. */
typedef struct mc_profile {
  uint32_t qos2, parent_match, wildcard_retained, subscription_ids, dup, early_packets, refusal_code, connack_tells_all, reserved_close, excess_close,
      excess_discard, dollar_client_id, connect_named;
  uint32_t client_id_bytes, topic_bytes, topic_slashes, payload_bytes, packet_bytes, filters_per_subscribe, subscriptions, publishes_per_s, deliveries_per_s,
      bytes_per_s, connects_per_s, receive_max, send_max, topic_aliases, keep_alive_min_s, keep_alive_max_s, session_expiry_s, replay_per_s,
      message_expiry_min_s, message_expiry_max_s, share_name_chars, shadow_bytes, shadow_depth, shadow_requests_per_s;
} mc_profile;

typedef enum mc_profile_kind {
  MC_PROFILE_FLAG,  /* a behaviour, on or off */
  MC_PROFILE_CODE,  /* a behaviour that is a number */
  MC_PROFILE_LIMIT, /* more is looser; 0 is no limit where `none` says so */
  MC_PROFILE_FLOOR  /* less is looser */
} mc_profile_kind;

typedef struct mc_profile_row {
  const char *key, *unit;
  mc_profile_kind kind;
  size_t at; /* in mc_profile */
  uint32_t value[MC_PROFILES], min, max;
  const char *meaning;
} mc_profile_row;

size_t mc_profile_rows(void);
const mc_profile_row *mc_profile_row_at(size_t i);
const mc_profile_row *mc_profile_row_find(mc_slice key);
static inline uint32_t *mc_profile_value(mc_profile *p, const mc_profile_row *row) { return (uint32_t *)((char *)p + row->at); }
void mc_profile_default(mc_profile_name name, mc_profile *out);
const char *mc_profile_text(mc_profile_name name); /* "standard", "aws-compat" */
bool mc_profile_parse(mc_slice text, mc_profile_name *out);

/* ---- what the rows mean for one packet ---- pure */
/* NULL: the topic (or filter, behind $share/<group>/) has the form that the profile allows. Else the rule that it breaks. */
const char *mc_profile_topic_fault(const mc_profile *p, mc_slice topic);
/* Filters on reserved topics that can never match, by the form of the topics (contract, trap T8). NULL: none of them. */
const char *mc_profile_reserved_fault(mc_slice filter);
uint16_t mc_profile_keep_alive(const mc_profile *p, uint16_t asked);
/* The properties of a PUBLISH or will with the message expiry in the profile's bounds; *out is used when they change. */
mc_slice mc_profile_expiry(const mc_profile *p, mc_slice props, mc_buf *out);

#endif
