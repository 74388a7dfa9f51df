#include "gateway/topic_tree.h"

#include <stdlib.h>

void mc_topic_path_split(mc_topic_path *path, mc_slice topic)
{
  path->count = 0;
  path->dollar = topic.len && topic.data[0] == '$';
  size_t begin = 0;
  for (;;) {
    size_t end = mc_slice_find(topic, '/', begin);
    mc_slice level = mc_slice_of(topic.data + begin, end - begin);
    path->level[path->count] = level;
    path->hash[path->count] = (uint32_t)mc_slice_hash(level);
    if (++path->count > MC_TOPIC_LEVELS_MAX || end == topic.len)
      return;
    begin = end + 1;
  }
}

static size_t slot_of(const mc_topic_tree *tree, const mc_topic_node *parent, uint32_t hash)
{
  uint64_t h = ((uint64_t)(uintptr_t)parent >> 4) * 0x9E3779B97F4A7C15ULL + hash;
  h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9ULL;
  return (size_t)(h >> 20) & (tree->cap - 1);
}

mc_topic_node *mc_topic_tree_root(const mc_topic_tree *tree, uint32_t tenant)
{
  uint64_t value;
  return mc_map_get(&tree->root, tenant, &value) ? (mc_topic_node *)(uintptr_t)value : NULL;
}

mc_topic_node *mc_topic_tree_child(const mc_topic_tree *tree, const mc_topic_node *parent, mc_slice level, uint32_t hash)
{
  if (!tree->len)
    return NULL;
  for (size_t i = slot_of(tree, parent, hash);; i = (i + 1) & (tree->cap - 1)) {
    mc_topic_node *node = tree->slot[i];
    if (!node)
      return NULL;
    if (node->hash == hash && node->parent == parent && node->len == level.len && memcmp(node->level, level.data, level.len) == 0)
      return node;
  }
}

mc_topic_node *mc_topic_tree_find(const mc_topic_tree *tree, uint32_t tenant, mc_slice topic)
{
  mc_topic_node *node = mc_topic_tree_root(tree, tenant);
  size_t begin = 0;
  while (node) {
    size_t end = mc_slice_find(topic, '/', begin);
    mc_slice level = mc_slice_of(topic.data + begin, end - begin);
    node = mc_topic_tree_child(tree, node, level, (uint32_t)mc_slice_hash(level));
    if (end == topic.len)
      return node;
    begin = end + 1;
  }
  return NULL;
}

static mc_err table_grow(mc_topic_tree *tree)
{
  size_t cap = tree->cap ? tree->cap * 2 : 64;
  mc_topic_node **old = tree->slot;
  size_t old_cap = tree->cap;
  mc_topic_node **slot = calloc(cap, sizeof *slot);
  if (!slot)
    return MC_ERR_MEMORY;
  tree->slot = slot;
  tree->cap = cap;
  for (size_t k = 0; k < old_cap; k++) {
    if (!old[k])
      continue;
    size_t i = slot_of(tree, old[k]->parent, old[k]->hash);
    while (slot[i])
      i = (i + 1) & (cap - 1);
    slot[i] = old[k];
  }
  free(old);
  return MC_OK;
}

static void table_remove(mc_topic_tree *tree, const mc_topic_node *node)
{
  size_t mask = tree->cap - 1, i = slot_of(tree, node->parent, node->hash);
  while (tree->slot[i] != node)
    i = (i + 1) & mask;
  for (size_t k = (i + 1) & mask; tree->slot[k]; k = (k + 1) & mask) { /* backward shift */
    size_t want = slot_of(tree, tree->slot[k]->parent, tree->slot[k]->hash);
    if (((k - want) & mask) >= ((k - i) & mask)) {
      tree->slot[i] = tree->slot[k];
      i = k;
    }
  }
  tree->slot[i] = NULL;
  tree->len--;
}

static bool is_letter(mc_slice level, char c)
{
  return level.len == 1 && level.data[0] == (uint8_t)c;
}

static mc_err child_make(mc_topic_tree *tree, mc_topic_node *parent, mc_slice level, uint32_t hash, mc_topic_node **out)
{
  if ((tree->len + 1) * 4 > tree->cap * 3)
    MC_TRY(table_grow(tree));
  mc_topic_node *node = calloc(1, sizeof *node + level.len);
  if (!node)
    return MC_ERR_MEMORY;
  node->parent = parent;
  node->hash = hash;
  node->len = (uint16_t)level.len;
  if (level.len)
    memcpy(node->level, level.data, level.len);
  node->next = parent->child;
  if (node->next)
    node->next->prev = node;
  parent->child = node;
  if (is_letter(level, '+'))
    parent->plus = node;
  if (is_letter(level, '#'))
    parent->multi = node;
  size_t i = slot_of(tree, parent, hash);
  while (tree->slot[i])
    i = (i + 1) & (tree->cap - 1);
  tree->slot[i] = node;
  tree->len++;
  *out = node;
  return MC_OK;
}

static mc_err root_make(mc_topic_tree *tree, uint32_t tenant, mc_topic_node **out)
{
  *out = mc_topic_tree_root(tree, tenant);
  if (*out)
    return MC_OK;
  mc_topic_node *root = calloc(1, sizeof *root);
  if (!root)
    return MC_ERR_MEMORY;
  root->tenant = tenant;
  if (mc_map_put(&tree->root, tenant, (uintptr_t)root) != MC_OK) {
    free(root);
    return MC_ERR_MEMORY;
  }
  *out = root;
  return MC_OK;
}

mc_err mc_topic_tree_make(mc_topic_tree *tree, uint32_t tenant, mc_slice topic, mc_topic_node **out)
{
  if (topic.len == 0)
    return MC_ERR_INVALID;
  if (topic.len > UINT16_MAX)
    return MC_ERR_TOO_LARGE;
  size_t levels = 1;
  for (size_t i = 0; i < topic.len; i++)
    levels += topic.data[i] == '/';
  if (levels > MC_TOPIC_LEVELS_MAX)
    return MC_ERR_TOO_LARGE;
  mc_topic_node *node;
  MC_TRY(root_make(tree, tenant, &node));
  for (size_t begin = 0;;) {
    size_t end = mc_slice_find(topic, '/', begin);
    mc_slice level = mc_slice_of(topic.data + begin, end - begin);
    uint32_t hash = (uint32_t)mc_slice_hash(level);
    mc_topic_node *child = mc_topic_tree_child(tree, node, level, hash);
    if (!child) {
      mc_err err = child_make(tree, node, level, hash, &child);
      if (err != MC_OK) {
        mc_topic_tree_prune(tree, node);
        return err;
      }
    }
    node = child;
    if (end == topic.len)
      break;
    begin = end + 1;
  }
  *out = node;
  return MC_OK;
}

void mc_topic_tree_prune(mc_topic_tree *tree, mc_topic_node *node)
{
  while (node && !node->value && !node->child) {
    mc_topic_node *parent = node->parent;
    if (!parent) {
      mc_map_remove(&tree->root, node->tenant, NULL);
    } else {
      table_remove(tree, node);
      if (node->prev)
        node->prev->next = node->next;
      else
        parent->child = node->next;
      if (node->next)
        node->next->prev = node->prev;
      if (parent->plus == node)
        parent->plus = NULL;
      if (parent->multi == node)
        parent->multi = NULL;
    }
    free(node);
    node = parent;
  }
}

uint32_t mc_topic_node_depth(const mc_topic_node *node)
{
  uint32_t n = 0;
  for (; node->parent; node = node->parent)
    n++;
  return n;
}

mc_err mc_topic_node_text(const mc_topic_node *node, mc_buf *out)
{
  const mc_topic_node *chain[MC_TOPIC_LEVELS_MAX];
  size_t depth = 0;
  for (; node->parent; node = node->parent)
    chain[depth++] = node;
  for (size_t i = depth; i-- > 0;) {
    MC_TRY(mc_buf_append(out, chain[i]->level, chain[i]->len));
    if (i)
      MC_TRY(mc_buf_append_u8(out, '/'));
  }
  return MC_OK;
}

uint32_t mc_topic_node_tenant(const mc_topic_node *node)
{
  while (node->parent)
    node = node->parent;
  return node->tenant;
}

void mc_topic_tree_free(mc_topic_tree *tree, void (*free_value)(void *value))
{
  for (size_t i = 0; i < tree->cap; i++) {
    if (!tree->slot[i])
      continue;
    if (tree->slot[i]->value && free_value)
      free_value(tree->slot[i]->value);
    free(tree->slot[i]);
  }
  free(tree->slot);
  size_t at = 0;
  uint64_t tenant, root;
  while (mc_map_next(&tree->root, &at, &tenant, &root))
    free((mc_topic_node *)(uintptr_t)root);
  mc_map_free(&tree->root);
  *tree = (mc_topic_tree){0};
}
