/* A tree of topic levels, one root a tenant: the shape under subscriptions and retained messages.
 *
 *   root(tenant) --"vehicles"--> node --"v1"--> node --"#"--> node
 *
 * Children are found through one hash table of (parent, level), so that a node with 100,000 children costs no more than one
 * with two; siblings are chained for the walks that must see them all. `+` and `#` children are also linked directly, because a match
 * asks for them at every level. A node lives while it has a value or children. One thread at a time. */
#ifndef MC_GATEWAY_TOPIC_TREE_H
#define MC_GATEWAY_TOPIC_TREE_H

#include "base/map.h"
#include "base/slice.h"

enum { MC_TOPIC_LEVELS_MAX = 128 }; /* deeper filters are refused; deeper topics still match by `#` */

typedef struct mc_topic_node {
  struct mc_topic_node *parent, *child, *next, *prev, *plus, *multi;
  void *value;
  uint32_t hash;
  uint32_t tenant; /* of the root; 0 below */
  uint16_t len;
  uint8_t level[];
} mc_topic_node;

typedef struct mc_topic_tree {
  mc_map root; /* tenant -> node */
  mc_topic_node **slot;
  size_t cap, len;
} mc_topic_tree;

/* A topic cut into levels once for all look-ups. */
typedef struct mc_topic_path {
  uint32_t count; /* levels kept, at most MC_TOPIC_LEVELS_MAX + 1 */
  bool dollar;    /* begins with $: wildcards of the first level do not see it (MQTT 5.0, 4.7.2) */
  uint32_t hash[MC_TOPIC_LEVELS_MAX + 1];
  mc_slice level[MC_TOPIC_LEVELS_MAX + 1];
} mc_topic_path;
void mc_topic_path_split(mc_topic_path *path, mc_slice topic);

mc_topic_node *mc_topic_tree_root(const mc_topic_tree *tree, uint32_t tenant); /* NULL: nothing of this tenant */
mc_topic_node *mc_topic_tree_child(const mc_topic_tree *tree, const mc_topic_node *parent, mc_slice level, uint32_t hash);
mc_topic_node *mc_topic_tree_find(const mc_topic_tree *tree, uint32_t tenant, mc_slice topic);
/* Finds or makes every level. MC_ERR_TOO_LARGE beyond the level limit. The caller sets node->value or prunes. */
mc_err mc_topic_tree_make(mc_topic_tree *tree, uint32_t tenant, mc_slice topic, mc_topic_node **out);
/* Removes the node and its ancestors as far as they carry nothing. */
void mc_topic_tree_prune(mc_topic_tree *tree, mc_topic_node *node);
uint32_t mc_topic_node_depth(const mc_topic_node *node); /* levels from the root, which has none */
mc_err mc_topic_node_text(const mc_topic_node *node, mc_buf *out); /* appends "a/b/c" */
uint32_t mc_topic_node_tenant(const mc_topic_node *node);
/* free_value for each value that is there; the tree is empty afterwards. */
void mc_topic_tree_free(mc_topic_tree *tree, void (*free_value)(void *value));

#endif
