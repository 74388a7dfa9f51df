#include "gateway/subscription.h"

typedef struct sub_list {
  uint32_t count, cap;
  mc_sub at[];
} sub_list;

static mc_sub_item *item_of_node(const mc_sub_owner *owner, const mc_topic_node *node)
{
  for (uint32_t i = 0; i < owner->count; i++)
    if (owner->item[i].node == node)
      return &owner->item[i];
  return NULL;
}

const mc_sub *mc_sub_of_item(const mc_sub_item *item)
{
  return &((const sub_list *)item->node->value)->at[item->at];
}

static mc_err owner_reserve(mc_sub_owner *owner)
{
  if (owner->count < owner->cap)
    return MC_OK;
  uint32_t cap = owner->cap ? owner->cap * 2 : 2;
  mc_sub_item *item = realloc(owner->item, cap * sizeof *item);
  if (!item)
    return MC_ERR_MEMORY;
  owner->item = item;
  owner->cap = cap;
  return MC_OK;
}

static mc_err list_reserve(mc_sub_tree *tree, mc_topic_node *node)
{
  sub_list *list = node->value;
  if (list && list->count < list->cap)
    return MC_OK;
  uint32_t cap = list ? list->cap * 2 : 1;
  sub_list *grown = realloc(list, sizeof *list + cap * sizeof list->at[0]);
  if (!grown)
    return MC_ERR_MEMORY;
  if (!list) {
    grown->count = 0;
    tree->version++;
  }
  grown->cap = cap;
  node->value = grown;
  return MC_OK;
}

mc_err mc_sub_tree_add(mc_sub_tree *tree, uint32_t tenant, mc_slice filter, mc_sub_owner *owner, uint8_t options, uint32_t id, bool *existed)
{
  mc_topic_node *node;
  MC_TRY(mc_topic_tree_make(&tree->topics, tenant, filter, &node));
  mc_sub_item *old = node->value ? item_of_node(owner, node) : NULL;
  *existed = old != NULL;
  if (old) {
    mc_sub *sub = &((sub_list *)node->value)->at[old->at];
    sub->options = options;
    sub->id = id;
    return MC_OK;
  }
  if (owner_reserve(owner) != MC_OK || list_reserve(tree, node) != MC_OK) {
    mc_topic_tree_prune(&tree->topics, node);
    return MC_ERR_MEMORY;
  }
  sub_list *list = node->value;
  owner->item[owner->count++] = (mc_sub_item){node, list->count};
  list->at[list->count++] = (mc_sub){owner, id, options};
  tree->count++;
  return MC_OK;
}

static void remove_item(mc_sub_tree *tree, mc_sub_owner *owner, mc_sub_item *item)
{
  mc_topic_node *node = item->node;
  sub_list *list = node->value;
  uint32_t at = item->at, last = --list->count;
  if (at != last) {
    list->at[at] = list->at[last];
    item_of_node(list->at[at].owner, node)->at = at;
  }
  *item = owner->item[--owner->count];
  tree->count--;
  if (last == 0) {
    free(list);
    node->value = NULL;
    tree->version++;
    mc_topic_tree_prune(&tree->topics, node);
  }
}

bool mc_sub_tree_remove(mc_sub_tree *tree, uint32_t tenant, mc_slice filter, mc_sub_owner *owner)
{
  mc_topic_node *node = mc_topic_tree_find(&tree->topics, tenant, filter);
  mc_sub_item *item = node && node->value ? item_of_node(owner, node) : NULL;
  if (!item)
    return false;
  remove_item(tree, owner, item);
  return true;
}

void mc_sub_tree_remove_all(mc_sub_tree *tree, mc_sub_owner *owner)
{
  while (owner->count)
    remove_item(tree, owner, &owner->item[owner->count - 1]);
  free(owner->item);
  owner->item = NULL;
  owner->cap = 0;
}

/* ---- matching ---- */

typedef struct matcher {
  mc_sub_tree *tree;
  const mc_sub_owner *publisher; /* skipped where it asked for no local */
  const mc_sub_owner *only;      /* NULL: all */
  mc_sub_known *learn;           /* NULL: nothing is to be remembered */
  uint32_t levels;               /* of the topic */
  mc_err err;
} matcher;

static void take(matcher *m, const mc_topic_node *node, const mc_sub *sub)
{
  mc_sub_tree *tree = m->tree;
  mc_sub_owner *owner = sub->owner;
  if ((sub->options & MC_SUB_NOT_PARENT) && mc_topic_node_depth(node) > m->levels)
    return;
  if ((m->only && owner != m->only) || (m->publisher && owner == m->publisher && (sub->options & MC_SUB_NO_LOCAL)))
    return;
  if (owner->match_at >= tree->match.len || tree->match.at[owner->match_at].owner != owner) {
    owner->match_at = (uint32_t)tree->match.len;
    mc_sub_match fresh = {owner, 0, false, UINT32_MAX};
    if (mc_vec_push(&tree->match, fresh) != MC_OK) {
      m->err = MC_ERR_MEMORY;
      return;
    }
  }
  mc_sub_match *match = &tree->match.at[owner->match_at];
  uint8_t qos = sub->options & MC_SUB_QOS;
  if (qos > match->qos)
    match->qos = qos;
  match->retain_as_published |= (sub->options & MC_SUB_RETAIN_AS_PUBLISHED) != 0;
  if (sub->id) {
    struct mc_sub_id link = {sub->id, match->ids};
    if (mc_vec_push(&tree->id, link) != MC_OK)
      m->err = MC_ERR_MEMORY;
    else
      match->ids = (uint32_t)tree->id.len - 1;
  }
}

static void take_node(matcher *m, const mc_topic_node *node)
{
  const sub_list *list = node->value;
  if (list && m->learn) {
    if (m->learn->nodes == MC_SUB_KNOWN_NODES)
      m->learn = NULL;
    else
      m->learn->node[m->learn->nodes++] = node;
  }
  for (uint32_t i = 0; list && i < list->count && m->err == MC_OK; i++)
    take(m, node, &list->at[i]);
}

/* Depth is bounded by MC_TOPIC_LEVELS_MAX, the work by the nodes that there are. */
static void descend(matcher *m, const mc_topic_node *node, uint32_t level)
{
  const mc_topic_path *path = &m->tree->path;
  bool wildcards = level > 0 || !path->dollar;
  if (node->multi && wildcards)
    take_node(m, node->multi); /* also at the end: a/# matches a */
  if (level == path->count) {
    take_node(m, node);
    return;
  }
  const mc_topic_node *exact = mc_topic_tree_child(&m->tree->topics, node, path->level[level], path->hash[level]);
  if (exact)
    descend(m, exact, level + 1);
  if (node->plus && wildcards)
    descend(m, node->plus, level + 1);
}

static void begin(mc_sub_tree *tree)
{
  mc_vec_clear(&tree->match);
  mc_vec_clear(&tree->id);
}

static mc_err run(matcher *m, uint32_t tenant, mc_slice topic)
{
  begin(m->tree);
  const mc_topic_node *root = m->tree->count ? mc_topic_tree_root(&m->tree->topics, tenant) : NULL;
  if (!root)
    return MC_OK;
  mc_topic_path_split(&m->tree->path, topic);
  m->levels = m->tree->path.count;
  descend(m, root, 0);
  return m->err;
}

static bool is_known(const mc_sub_tree *tree, const mc_sub_known *k, uint64_t hash, uint32_t tenant, mc_slice topic)
{
  return k->hash == hash && k->version == tree->version && k->tenant == tenant && k->len == topic.len && !memcmp(k->topic, topic.data, topic.len);
}

/* Owners, options and identifiers are read anew: only which filters match is remembered. */
static mc_err match_known(matcher *m, const mc_sub_known *k)
{
  begin(m->tree);
  m->levels = k->levels;
  for (uint8_t i = 0; i < k->nodes; i++)
    take_node(m, k->node[i]);
  return m->err;
}

static mc_err match_and_learn(matcher *m, mc_sub_known *k, uint64_t hash, uint32_t tenant, mc_slice topic)
{
  k->version = UINT64_MAX; /* not to be believed until it is whole */
  k->nodes = 0;
  m->learn = k;
  MC_TRY(run(m, tenant, topic));
  if (!m->learn)
    return MC_OK;
  k->hash = hash;
  k->tenant = tenant;
  k->levels = (uint8_t)m->levels;
  k->len = (uint16_t)topic.len;
  memcpy(k->topic, topic.data, topic.len);
  k->version = m->tree->version;
  return MC_OK;
}

mc_err mc_sub_tree_match(mc_sub_tree *tree, uint32_t tenant, mc_slice topic, const mc_sub_owner *publisher)
{
  matcher m = {.tree = tree, .publisher = publisher};
  if (!tree->count || !topic.len || topic.len > MC_SUB_KNOWN_TOPIC)
    return run(&m, tenant, topic);
  if (!tree->known && !(tree->known = calloc(MC_SUB_KNOWN, sizeof *tree->known)))
    return run(&m, tenant, topic);
  uint64_t hash = mc_slice_hash(topic);
  mc_sub_known *k = &tree->known[(hash ^ tenant) % MC_SUB_KNOWN];
  return is_known(tree, k, hash, tenant, topic) ? match_known(&m, k) : match_and_learn(&m, k, hash, tenant, topic);
}

bool mc_sub_tree_match_one(mc_sub_tree *tree, uint32_t tenant, mc_slice topic, const mc_sub_owner *owner, mc_sub_match *out)
{
  matcher m = {.tree = tree, .only = owner};
  if (run(&m, tenant, topic) != MC_OK || tree->match.len == 0)
    return false;
  *out = tree->match.at[0];
  return true;
}

void mc_sub_tree_free(mc_sub_tree *tree)
{
  mc_topic_tree_free(&tree->topics, free);
  mc_vec_free(&tree->match);
  mc_vec_free(&tree->id);
  free(tree->known);
  *tree = (mc_sub_tree){0};
}
