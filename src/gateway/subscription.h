/* Who wants which topic: one loop's subscriptions, per tenant.
 *
 * A subscriber embeds mc_sub_owner; a filter's node keeps an array of (owner, options, subscription identifier) and the owner an array of
 * (node, place in that array), so that leaving costs the subscriber's own number of subscriptions, however many share a filter.
 * A topic is given to an owner once, however many of its filters match: at the highest QoS, with all identifiers
 * (MQTT 5.0, 3.3.4: either is allowed). Which filters match a topic is remembered until a filter comes or goes: vehicles send on the same few
 * topics for hours. One thread at a time. */
#ifndef MC_GATEWAY_SUBSCRIPTION_H
#define MC_GATEWAY_SUBSCRIPTION_H

#include "base/vec.h"
#include "gateway/topic_tree.h"

/* Options as on the wire (MQTT 5.0, 3.8.3.1). */
enum { MC_SUB_QOS = 0x03, MC_SUB_NO_LOCAL = 0x04, MC_SUB_RETAIN_AS_PUBLISHED = 0x08, MC_SUB_RETAIN_HANDLING = 0x30, MC_SUB_NOT_PARENT = 0x40 /* ours: a/# does not match a */ };

typedef struct mc_sub_item {
  mc_topic_node *node;
  uint32_t at; /* in the node's array */
} mc_sub_item;

typedef struct mc_sub_owner {
  mc_sub_item *item;
  uint32_t count, cap;
  uint32_t match_at; /* place in the running match; valid only if that place names this owner */
  bool group;        /* mc_share_group, not mc_session */
} mc_sub_owner;

typedef struct mc_sub {
  mc_sub_owner *owner;
  uint32_t id; /* subscription identifier, 0 none */
  uint8_t options;
} mc_sub;

typedef struct mc_sub_match {
  mc_sub_owner *owner;
  uint8_t qos;
  bool retain_as_published;
  uint32_t ids; /* index of the first identifier in mc_sub_tree.id, UINT32_MAX none */
} mc_sub_match;

/* Which filters a topic matched; two cache lines. Longer topics and those that match more filters are matched each time. */
enum { MC_SUB_KNOWN = 4096, MC_SUB_KNOWN_NODES = 4, MC_SUB_KNOWN_TOPIC = 72 };
typedef struct mc_sub_known {
  uint64_t hash, version;
  uint32_t tenant;
  uint16_t len;
  uint8_t nodes, levels;
  uint8_t topic[MC_SUB_KNOWN_TOPIC];
  const mc_topic_node *node[MC_SUB_KNOWN_NODES];
} mc_sub_known;

typedef struct mc_sub_tree {
  mc_topic_tree topics;
  size_t count; /* subscriptions */
  uint64_t version; /* of the set of filters; what is known of an older one does not count */
  mc_sub_known *known; /* MC_SUB_KNOWN, by hash; made at the first match, NULL when there was no memory */
  mc_topic_path path;
  MC_VEC(mc_sub_match) match; /* of the last mc_sub_tree_match */
  MC_VEC(struct mc_sub_id { uint32_t id; uint32_t next; }) id;
} mc_sub_tree;

/* The filter is valid (mc_mqtt_filter_valid). *existed: options and identifier were replaced. MC_ERR_TOO_LARGE: too many levels. */
mc_err mc_sub_tree_add(mc_sub_tree *tree, uint32_t tenant, mc_slice filter, mc_sub_owner *owner, uint8_t options, uint32_t id, bool *existed);
bool mc_sub_tree_remove(mc_sub_tree *tree, uint32_t tenant, mc_slice filter, mc_sub_owner *owner);
void mc_sub_tree_remove_all(mc_sub_tree *tree, mc_sub_owner *owner);
/* Fills tree->match; returns how many. publisher (may be NULL) is skipped where it asked for no local. MC_ERR_MEMORY only.*/
mc_err mc_sub_tree_match(mc_sub_tree *tree, uint32_t tenant, mc_slice topic, const mc_sub_owner *publisher);
/* The same for one owner: false when none of its filters match. */
bool mc_sub_tree_match_one(mc_sub_tree *tree, uint32_t tenant, mc_slice topic, const mc_sub_owner *owner, mc_sub_match *out);
const mc_sub *mc_sub_of_item(const mc_sub_item *item);
void mc_sub_tree_free(mc_sub_tree *tree); /* owners must have left */

#endif
