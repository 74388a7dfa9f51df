#include "gateway/retained.h"

#include <stdlib.h>

#include "base/log.h"

mc_err mc_retained_init(mc_retained_store *store)
{
  *store = (mc_retained_store){0};
  return pthread_mutex_init(&store->lock, NULL) ? MC_ERR_MEMORY : MC_OK;
}

void mc_retained_free(mc_retained_store *store)
{
  mc_topic_tree_free(&store->topics, free);
  mc_map_free(&store->by_offset);
  mc_map_free(&store->usage);
  pthread_mutex_destroy(&store->lock);
}

/* ---- what each thing keeps ---- */
#define USAGE_BYTES ((UINT64_C(1) << 40) - 1)

static size_t cost_of(const mc_retained *m, size_t topic_len)
{
  return topic_len + m->props_len + m->payload_len;
}

/* Counts and bytes of one thing change together. False: no memory to count. */
static bool charge(mc_retained_store *store, uint32_t tenant, uint32_t principal, int count, size_t bytes)
{
  uint64_t key = (uint64_t)tenant << 32 | principal, usage = 0, change = (UINT64_C(1) << 40) + bytes;
  if (!principal)
    return true;
  mc_map_get(&store->usage, key, &usage);
  usage = count > 0 ? usage + change : usage - change;
  if (usage)
    return mc_map_put(&store->usage, key, usage) == MC_OK;
  mc_map_remove(&store->usage, key, NULL);
  return true;
}

/* With the lock held. old: what the topic holds now, which would go. */
static bool fits(mc_retained_store *store, uint32_t tenant, uint32_t principal, size_t topic_len, size_t bytes, const mc_retained *old)
{
  uint64_t usage = 0;
  size_t freed = old ? cost_of(old, topic_len) : 0;
  if (store->bytes - (freed < store->bytes ? freed : store->bytes) + topic_len + bytes > MC_RETAINED_BYTES)
    return false;
  if (!principal)
    return true;
  mc_map_get(&store->usage, (uint64_t)tenant << 32 | principal, &usage);
  bool own = old && old->principal == principal;
  return (usage >> 40) - own < MC_RETAINED_PER_THING && (usage & USAGE_BYTES) - (own ? freed : 0) + topic_len + bytes <= MC_RETAINED_BYTES_PER_THING;
}

bool mc_retained_fits(mc_retained_store *store, uint32_t tenant, uint32_t principal, mc_slice topic, size_t bytes)
{
  pthread_mutex_lock(&store->lock);
  const mc_topic_node *node = mc_topic_tree_find(&store->topics, tenant, topic);
  bool ok = fits(store, tenant, principal, topic.len, bytes, node ? node->value : NULL);
  pthread_mutex_unlock(&store->lock);
  return ok;
}

static void drop(mc_retained_store *store, uint32_t tenant, size_t topic_len, mc_topic_node *node)
{
  mc_retained *old = node->value;
  if (!old)
    return;
  if (old->offset != MC_RETAINED_NO_OFFSET)
    mc_map_remove(&store->by_offset, old->offset, NULL);
  store->bytes -= cost_of(old, topic_len);
  store->count--;
  charge(store, tenant, old->principal, -1, cost_of(old, topic_len));
  free(old);
  node->value = NULL;
}

static mc_err put(mc_retained_store *store, uint32_t tenant, mc_slice topic, const mc_retained *value, mc_slice props, mc_slice payload)
{
  mc_retained *fresh = malloc(sizeof *fresh + props.len + payload.len);
  if (!fresh)
    return MC_ERR_MEMORY;
  *fresh = *value;
  fresh->props_len = (uint32_t)props.len;
  fresh->payload_len = (uint32_t)payload.len;
  if (props.len)
    memcpy(fresh->bytes, props.data, props.len);
  memcpy(fresh->bytes + props.len, payload.data, payload.len);
  mc_topic_node *node;
  mc_err err = mc_topic_tree_make(&store->topics, tenant, topic, &node);
  if (err != MC_OK) {
    free(fresh);
    return err;
  }
  if (!fits(store, tenant, value->principal, topic.len, props.len + payload.len, node->value) ||
      !charge(store, tenant, value->principal, 1, topic.len + props.len + payload.len)) {
    free(fresh);
    mc_topic_tree_prune(&store->topics, node);
    return MC_ERR_FULL;
  }
  drop(store, tenant, topic.len, node);
  err = value->offset != MC_RETAINED_NO_OFFSET ? mc_map_put(&store->by_offset, value->offset, (uintptr_t)node) : MC_OK;
  if (err != MC_OK) {
    charge(store, tenant, value->principal, -1, topic.len + props.len + payload.len);
    free(fresh);
    mc_topic_tree_prune(&store->topics, node);
    return err;
  }
  node->value = fresh;
  store->count++;
  store->bytes += topic.len + props.len + payload.len;
  return MC_OK;
}

mc_err mc_retained_put(mc_retained_store *store, uint32_t tenant, mc_slice topic, const mc_retained *value, mc_slice props, mc_slice payload)
{
  if (topic.len == 0 || props.len > UINT32_MAX || payload.len > UINT32_MAX)
    return MC_ERR_INVALID;
  mc_err err = MC_OK;
  pthread_mutex_lock(&store->lock);
  if (payload.len) {
    err = put(store, tenant, topic, value, props, payload);
  } else {
    mc_topic_node *node = mc_topic_tree_find(&store->topics, tenant, topic);
    if (node) {
      drop(store, tenant, topic.len, node);
      mc_topic_tree_prune(&store->topics, node);
    }
  }
  pthread_mutex_unlock(&store->lock);
  return err;
}

/* ---- walking ---- */

typedef struct walk {
  mc_retained_store *store;
  uint32_t tenant;
  mc_retained_visit visit;
  void *ctx;
  mc_buf topic;
  mc_topic_path path;
} walk;

static mc_err visit_node(walk *w, const mc_topic_node *node)
{
  if (!node->value)
    return MC_OK;
  mc_buf_clear(&w->topic);
  MC_TRY(mc_topic_node_text(node, &w->topic));
  return w->visit(w->ctx, w->tenant, mc_buf_slice(&w->topic), node->value);
}

static mc_err visit_below(walk *w, const mc_topic_node *node, bool hide_dollar)
{
  for (const mc_topic_node *child = node->child; child; child = child->next) {
    if (hide_dollar && child->len && child->level[0] == '$')
      continue;
    MC_TRY(visit_node(w, child));
    MC_TRY(visit_below(w, child, false));
  }
  return MC_OK;
}

static mc_err descend(walk *w, const mc_topic_node *node, uint32_t level)
{
  if (level == w->path.count)
    return visit_node(w, node);
  mc_slice part = w->path.level[level];
  if (part.len == 1 && part.data[0] == '#') {
    if (level > 0) /* a/# matches a */
      MC_TRY(visit_node(w, node));
    return visit_below(w, node, level == 0);
  }
  if (part.len == 1 && part.data[0] == '+') {
    for (const mc_topic_node *child = node->child; child; child = child->next)
      if (level > 0 || !(child->len && child->level[0] == '$'))
        MC_TRY(descend(w, child, level + 1));
    return MC_OK;
  }
  const mc_topic_node *exact = mc_topic_tree_child(&w->store->topics, node, part, w->path.hash[level]);
  return exact ? descend(w, exact, level + 1) : MC_OK;
}

mc_err mc_retained_match(mc_retained_store *store, uint32_t tenant, mc_slice filter, mc_retained_visit visit, void *ctx)
{
  walk w = {.store = store, .tenant = tenant, .visit = visit, .ctx = ctx};
  mc_topic_path_split(&w.path, filter);
  pthread_mutex_lock(&store->lock);
  const mc_topic_node *root = mc_topic_tree_root(&store->topics, tenant);
  mc_err err = root ? descend(&w, root, 0) : MC_OK;
  pthread_mutex_unlock(&store->lock);
  mc_buf_free(&w.topic);
  return err;
}

mc_err mc_retained_all(mc_retained_store *store, mc_retained_visit visit, void *ctx)
{
  walk w = {.store = store, .visit = visit, .ctx = ctx};
  mc_err err = MC_OK;
  pthread_mutex_lock(&store->lock);
  size_t at = 0;
  uint64_t tenant, root;
  while (err == MC_OK && mc_map_next(&store->topics.root, &at, &tenant, &root)) {
    w.tenant = (uint32_t)tenant;
    err = visit_below(&w, (const mc_topic_node *)(uintptr_t)root, false);
  }
  pthread_mutex_unlock(&store->lock);
  mc_buf_free(&w.topic);
  return err;
}

typedef struct retime {
  int64_t (*timed)(void *ctx, uint64_t offset, int64_t time_us);
  void *ctx;
} retime;

static mc_err retime_one(void *ctx, uint32_t tenant, mc_slice topic, const mc_retained *value)
{
  const retime *r = ctx;
  ((mc_retained *)(uintptr_t)value)->time_us = r->timed(r->ctx, value->offset, value->time_us); /* under the lock, and made by put */
  return MC_OK;
}

void mc_retained_retime(mc_retained_store *store, int64_t (*timed)(void *ctx, uint64_t offset, int64_t time_us), void *ctx)
{
  retime r = {timed, ctx};
  if (mc_retained_all(store, retime_one, &r))
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: some retained messages that expire notice that the clock jumped");
}

typedef struct forget {
  uint32_t tenant, key_id;
  mc_buf topics; /* length 2, text */
} forget;

static mc_err note_topic(void *ctx, uint32_t tenant, mc_slice topic, const mc_retained *value)
{
  forget *f = ctx;
  uint8_t len[2];
  if (tenant != f->tenant || value->key_id != f->key_id)
    return MC_OK;
  mc_store_le16(len, (uint16_t)topic.len);
  MC_TRY(mc_buf_append(&f->topics, len, sizeof len));
  return mc_buf_append_slice(&f->topics, topic);
}

void mc_retained_forget(mc_retained_store *store, uint32_t tenant, uint32_t key_id)
{
  forget f = {.tenant = tenant, .key_id = key_id};
  mc_retained none = {0};
  if (!key_id)
    return;
  mc_err err = mc_retained_all(store, note_topic, &f);
  mc_cursor c = mc_cursor_of(mc_buf_slice(&f.topics));
  while (mc_cursor_left(&c)) {
    uint16_t len = mc_cursor_le16(&c);
    mc_retained_put(store, tenant, mc_cursor_bytes(&c, len), &none, (mc_slice){0}, (mc_slice){0});
  }
  mc_buf_free(&f.topics);
  if (err)
    mc_log(MC_LOG_ERROR, "gateway", "out of memory: some retained messages of an erased vehicle stay in memory until the next start", MC_KU("key", key_id));
}

bool mc_retained_by_offset(mc_retained_store *store, uint64_t offset, mc_retained_visit visit, void *ctx)
{
  walk w = {.store = store, .visit = visit, .ctx = ctx};
  uint64_t value;
  pthread_mutex_lock(&store->lock);
  bool found = mc_map_get(&store->by_offset, offset, &value);
  if (found) {
    const mc_topic_node *node = (const mc_topic_node *)(uintptr_t)value;
    w.tenant = mc_topic_node_tenant(node);
    visit_node(&w, node);
  }
  pthread_mutex_unlock(&store->lock);
  mc_buf_free(&w.topic);
  return found;
}

size_t mc_retained_count(mc_retained_store *store)
{
  pthread_mutex_lock(&store->lock);
  size_t count = store->count;
  pthread_mutex_unlock(&store->lock);
  return count;
}
