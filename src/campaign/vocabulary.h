/* Catalogs, models and decoder manifests as people keep them: heads, nodes, decoders. Private to this module.
 *
 * `vocabulary` (state.h) is held over every change of these, from the first look to the last write: it comes before all other locks of the module. What
 * is looked up in between therefore still holds when it is written. */
#ifndef MC_CAMPAIGN_VOCABULARY_H
#define MC_CAMPAIGN_VOCABULARY_H

#include "campaign/control.h"

/* ---- heads (vocabulary.c): one row each of catalogs, models and decoder manifests ---- */
typedef enum resource_kind { RESOURCE_CATALOG = 1, RESOURCE_MODEL = 2, RESOURCE_DECODER = 3 } resource_kind;
typedef enum resource_status { RESOURCE_DRAFT = 0, RESOURCE_ACTIVE = 1, RESOURCE_INVALID = 2 } resource_status;
extern const char *const resource_status_name[];
typedef struct resource_head {
  mc_slice name, description;
  mc_slice parent; /* of a model its catalog, of a decoder manifest its model */
  mc_slice message; /* why it is INVALID */
  int status;
  bool unmapped; /* decoder manifest: what no decoder names gets a custom one */
  int64_t created_us, updated_us;
} resource_head;
#define CATALOG_DEFAULT "default" /* where imports without a catalog's name put their nodes */

const char *resource_arn_kind(resource_kind kind); /* "signal-catalog" */
/* Strings live in the arena. MC_ERR_NOT_FOUND says nothing: the caller knows what it is to people. */
mc_err resource_get(mc_campaigns *c, uint32_t tenant, resource_kind kind, mc_slice name, mc_arena *arena, resource_head *out, mc_why *why);
/* The same for a handler: absent is ResourceNotFoundException. */
mc_err resource_need(control_call *call, resource_kind kind, mc_slice name, resource_head *out, mc_why *why);
/* By the ARN that a member of the input holds. */
mc_err resource_need_arn(control_call *call, const char *field, resource_kind kind, resource_head *out, mc_why *why);
/* Inside a transaction. */
mc_err resource_put(mc_campaigns *c, uint32_t tenant, resource_kind kind, const resource_head *head, mc_why *why); /* adds or replaces; keeps the time of creation */
mc_err resource_delete(mc_campaigns *c, uint32_t tenant, resource_kind kind, mc_slice name, mc_why *why);
/* Name of one of this kind whose parent it is; empty: none. */
mc_err resource_child(mc_campaigns *c, uint32_t tenant, resource_kind kind, mc_slice parent, mc_arena *arena, mc_slice *name, mc_why *why);
/* The List operation of a kind; field: the member with the parent's ARN, NULL when the kind has none. */
mc_err resource_list(control_call *call, resource_kind kind, const char *field, mc_why *why);
void resource_answer(control_call *call, resource_kind kind, mc_slice name); /* name, arn */
void resource_times(control_call *call, const resource_head *head);
/* With `vocabulary` held: refuses a name that is taken, else fills the head of a new one from name and description. */
mc_err resource_fresh(control_call *call, resource_kind kind, resource_head *out, mc_why *why);
/* Room for one more of this kind (with this parent, when one is given): LimitExceededException when as many are there as may be. limit: a shape_limit. */
mc_err resource_room(control_call *call, resource_kind kind, int limit, mc_slice parent, mc_slice name, mc_why *why);
/* A whole handler with `vocabulary` held. */
mc_err vocabulary_locked(control_call *call, control_handler *fn, mc_why *why);

/* One page of rows with a text in column 0 that orders them; each is written by `row`. */
typedef struct vocabulary_query {
  const char *sql; /* $1 tenant, $2 owner, $3 after, $4 limit, $5 filter */
  mc_slice owner;
  int64_t filter;
  void (*row)(mc_json *out, mc_stmt *s);
} vocabulary_query;
/* Column 0 of all rows; $1 tenant, $2 a, $3 b. In the arena. */
mc_err vocabulary_texts(control_call *call, const char *sql, mc_slice a, mc_slice b, mc_slice **out, size_t *count, mc_why *why);
mc_err vocabulary_page(control_call *call, const vocabulary_query *q, const char *list, mc_why *why);

/* ---- nodes (signal_catalog.c) ---- */
typedef enum node_kind { NODE_BRANCH, NODE_SENSOR, NODE_ACTUATOR, NODE_ATTRIBUTE, NODE_STRUCT, NODE_PROPERTY, NODE_KINDS, NODE_NONE = -1 } node_kind;
extern const char *const node_member[NODE_KINDS]; /* "branch": the union's member */
static inline bool node_is_signal(node_kind k) { return k == NODE_SENSOR || k == NODE_ACTUATOR || k == NODE_ATTRIBUTE; }
typedef struct data_type { const char *name; mc_type type; bool array, is_struct; } data_type;
const data_type *data_type_find(mc_slice name); /* NULL: none of the contract's */
const char *data_type_of(mc_type type);        /* "FLOAT" of FLOAT32 */
typedef struct catalog_node {
  node_kind kind;
  mc_slice fqn, data_type, structure; /* structure: FQN of its struct; empty: none */
  mc_slice document;                  /* the union's member as JSON */
  mc_slice unit, description, value_names;
  bool has_min, has_max;
  double min, max;
  uint32_t signal; /* dense id of sensors, actuators, attributes */
} catalog_node;
typedef MC_VEC(catalog_node) catalog_node_vec;
const json_t *catalog_node_body(const json_t *node); /* the union's member; NULL: none */
mc_slice catalog_node_name(const json_t *node);
/* Writes document from what the node says itself, and from what only a document holds (more, may be NULL). */
typedef struct catalog_node_more {
  mc_slice comment, initial;
  const mc_slice *allowed;
  uint32_t allowed_count;
} catalog_node_more;
mc_err catalog_node_document(catalog_node *n, const catalog_node_more *more, mc_arena *arena);
/* From a member of the union Node; strings borrow from `node`, the document lives in the arena. */
mc_err catalog_node_read(const json_t *node, mc_arena *arena, catalog_node *out);
/* The node of this name; kind NODE_NONE: there is none. Strings in the arena; with arena NULL only the kind. */
mc_err catalog_node_get(mc_campaigns *c, uint32_t tenant, mc_slice catalog, mc_slice fqn, mc_arena *arena, catalog_node *out, mc_why *why);
/* Dense ids for the signals among them. Not inside a transaction. */
mc_err catalog_nodes_number(mc_campaigns *c, uint32_t tenant, catalog_node_vec *nodes, mc_why *why);
/* Inside a transaction: rows of the catalog, and of the vocabulary that samples are shown with. */
mc_err catalog_nodes_write(mc_campaigns *c, uint32_t tenant, mc_slice catalog, const catalog_node_vec *nodes, mc_why *why);
mc_err catalog_node_delete(mc_campaigns *c, uint32_t tenant, mc_slice catalog, mc_slice fqn, mc_why *why);
/* Branches above a node that are neither there nor in `made` (names -> 1). Outside a transaction. */
mc_err catalog_branches_above(mc_campaigns *c, uint32_t tenant, mc_slice catalog, mc_slice fqn, mc_strmap *made, mc_arena *arena, catalog_node_vec *out, mc_why *why);
/* The catalog is there afterwards. Inside a transaction. */
mc_err catalog_ensure(mc_campaigns *c, uint32_t tenant, mc_slice name, mc_why *why);
/* vss_nodes.c: a tree of VSS as a list of Nodes (new reference). The error names the place in the tree. */
mc_err vss_nodes(mc_slice json, json_t **out, mc_why *why);

/* ---- models (control_model.c) ---- */
/* Inside a transaction: the model has what a manifest's decoders give, with the branches above. A model of the manifest's own name has exactly that. */
mc_err model_of_decoders(mc_campaigns *c, uint32_t tenant, const resource_head *model, mc_slice manifest, mc_why *why);
/* The node as the model has it; NODE_NONE: the model does not. in_catalog: whether the catalog has it. */
mc_err model_node_get(mc_campaigns *c, uint32_t tenant, mc_slice model, mc_slice fqn, mc_arena *arena, catalog_node *out, bool *in_catalog, mc_why *why);

/* vocabulary_upgrade.c: rows that older versions wrote become catalogs, models and manifests. At open. */
mc_err vocabulary_upgrade(mc_campaigns *c, mc_why *why);

#endif
