/* The tree that VSS files describe, before it becomes a catalog; private to signal.
 *
 * A node keeps what was said about it and no more: a later file (an overlay) says again only what it changes. All memory
 * is the catalog's arena. */
#ifndef MC_SIGNAL_VSS_TREE_H
#define MC_SIGNAL_VSS_TREE_H

#include "signal/signal.h"

typedef enum mc_vss_kind { MC_VSS_UNSAID, MC_VSS_BRANCH, MC_VSS_SENSOR, MC_VSS_ACTUATOR, MC_VSS_ATTRIBUTE, MC_VSS_STRUCT, MC_VSS_PROPERTY } mc_vss_kind;

typedef struct mc_vss_names { mc_slice *at; uint32_t count; } mc_vss_names;

typedef struct mc_vss_node {
  struct mc_vss_node *first, *last, *next; /* children in the order of the files */
  mc_slice name;
  mc_vss_kind kind;
  mc_slice datatype, unit, description, comment, initial;
  double min, max;
  bool has_min, has_max;
  mc_vss_names allowed;
  int64_t *allowed_value;
  uint32_t level_count;
  mc_vss_names *level; /* instances: one list of names a level */
  bool not_instantiated, deleted;
  mc_slice file; /* where it was said last */
  uint32_t line;
} mc_vss_node;

enum { MC_VSS_NODES_MAX = 1000000, MC_VSS_DEPTH_MAX = 32 };

typedef struct mc_vss_tree {
  mc_arena *arena;
  mc_vss_node root; /* nameless */
  uint32_t nodes;
  mc_why *why;
} mc_vss_tree;

mc_vss_node *mc_vss_child(const mc_vss_node *parent, mc_slice name);
/* NULL: out of memory or too many nodes; why is set. */
mc_vss_node *mc_vss_child_make(mc_vss_tree *t, mc_vss_node *parent, mc_slice name);
/* The node of a dotted path below `from`, made with its branches where missing. */
mc_err mc_vss_path_make(mc_vss_tree *t, mc_vss_node *from, mc_slice path, mc_vss_node **out);
bool mc_vss_kind_of(mc_slice text, mc_vss_kind *out);
/* "Row[1,2]" gives Row1 and Row2, anything else itself. */
mc_err mc_vss_expand_name(mc_vss_tree *t, mc_slice text, mc_vss_names *out);
/* Expands the instances, then writes every branch, sensor, actuator and attribute into the catalog, sorted. */
mc_err mc_vss_tree_finish(mc_vss_tree *t, mc_catalog *out);

#endif
