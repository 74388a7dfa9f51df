#include "gateway/state.h"

#include <stdlib.h>

/* Topic aliases, both ways (MQTT 5.0, 3.3.2.3.4). They are of one connection only. */

/* ---- what the client sends ---- */
struct mc_alias_table {
  uint32_t count;
  char *topic[]; /* by alias - 1; malloc'd with length in front */
};

void mc_alias_table_free(struct mc_alias_table *t)
{
  for (uint32_t i = 0; t && i < t->count; i++)
    free(t->topic[i]);
  free(t);
}

static mc_err alias_set(mc_link *link, uint16_t alias, mc_slice topic)
{
  uint32_t count = link->profile->topic_aliases;
  if (!link->alias) {
    link->alias = calloc(1, sizeof *link->alias + count * sizeof(char *));
    if (!link->alias)
      return MC_ERR_MEMORY;
    link->alias->count = count;
  }
  char *copy = malloc(2 + topic.len);
  if (!copy)
    return MC_ERR_MEMORY;
  mc_store_le16(copy, (uint16_t)topic.len);
  memcpy(copy + 2, topic.data, topic.len);
  free(link->alias->topic[alias - 1]);
  link->alias->topic[alias - 1] = copy;
  return MC_OK;
}

bool mc_alias_resolve(mc_link *link, const mc_mqtt_publish *p, mc_slice *topic)
{
  uint16_t alias = p->props.alias;
  if (alias == 0 || alias > link->profile->topic_aliases) {
    mc_link_end(link, MC_MQTT_BAD_ALIAS, "topic alias %u: this server takes 1 to %u (CONNACK, Topic Alias Maximum)", alias,
                link->profile->topic_aliases);
    return false;
  }
  if (p->topic.len) {
    if (alias_set(link, alias, p->topic) == MC_OK)
      return true;
    mc_link_end(link, MC_MQTT_BUSY, "the server is out of memory for this now; connect again later");
    return false;
  }
  const char *known = link->alias ? link->alias->topic[alias - 1] : NULL;
  if (!known) {
    mc_link_end(link, MC_MQTT_PROTOCOL_ERROR, "topic alias %u was not set on this connection: send the topic with it once", alias);
    return false;
  }
  *topic = mc_slice_of(known + 2, mc_load_le16(known));
  return true;
}

/* ---- what the client gets ----
 * A topic that comes a second time is sent with a new alias, later ones as the alias alone. Which topic has a place: the clock; a place that was
 * used since the hand passed is spared once. */
enum { ALIAS_MOST = 64 /* places are looked through one by one */, TOPIC_LEAST = 5 /* below, the property is as long */, TOPIC_MOST = 512, PROP_ALIAS = 0x23 };

typedef struct alias_place {
  uint64_t hash;
  char *topic; /* NULL: free */
  uint16_t len;
  bool announced, used;
} alias_place;

struct mc_alias_out {
  uint16_t count, hand;
  mc_buf props;
  alias_place place[];
};

void mc_alias_out_free(struct mc_alias_out *t)
{
  for (uint16_t i = 0; t && i < t->count; i++)
    free(t->place[i].topic);
  if (t)
    mc_buf_free(&t->props);
  free(t);
}

static struct mc_alias_out *table_of(mc_link *link)
{
  uint16_t count = link->alias_out_max < ALIAS_MOST ? link->alias_out_max : ALIAS_MOST;
  if (!link->alias_out && (link->alias_out = calloc(1, sizeof *link->alias_out + count * sizeof(alias_place))))
    link->alias_out->count = count;
  return link->alias_out;
}

static alias_place *find(struct mc_alias_out *t, uint64_t hash, mc_slice topic)
{
  for (uint16_t i = 0; i < t->count; i++) {
    alias_place *p = &t->place[i];
    if (p->topic && p->hash == hash && mc_slice_eq(mc_slice_of(p->topic, p->len), topic))
      return p;
  }
  return NULL;
}

/* A topic seen for the first time, if a place is free for it. */
static void settle(struct mc_alias_out *t, uint64_t hash, mc_slice topic)
{
  alias_place *p = &t->place[t->hand];
  t->hand = (uint16_t)((t->hand + 1) % t->count);
  if (p->used) {
    p->used = false;
    return;
  }
  char *copy = malloc(topic.len);
  if (!copy)
    return;
  memcpy(copy, topic.data, topic.len);
  free(p->topic);
  *p = (alias_place){.hash = hash, .topic = copy, .len = (uint16_t)topic.len};
}

uint16_t mc_alias_choose(mc_link *link, mc_mqtt_publish *publish, mc_slice *props)
{
  mc_slice topic = publish->topic;
  struct mc_alias_out *t = topic.len >= TOPIC_LEAST && topic.len <= TOPIC_MOST ? table_of(link) : NULL;
  if (!t)
    return 0;
  uint64_t hash = mc_slice_hash(topic);
  alias_place *p = find(t, hash, topic);
  if (!p) {
    settle(t, hash, topic);
    return 0;
  }
  p->used = true;
  uint16_t alias = (uint16_t)(p - t->place + 1);
  mc_buf_clear(&t->props);
  if (mc_buf_append_slice(&t->props, *props) != MC_OK || mc_mqtt_put_number(&t->props, PROP_ALIAS, alias) != MC_OK)
    return 0;
  mc_slice with = mc_buf_slice(&t->props);
  if (!p->announced && link->max_packet && mc_mqtt_publish_size(MC_MQTT_5, publish, with) > link->max_packet)
    return 0;
  if (p->announced)
    publish->topic = (mc_slice){0};
  *props = with;
  return alias;
}

void mc_alias_announced(mc_link *link, uint16_t alias) { link->alias_out->place[alias - 1].announced = true; }
