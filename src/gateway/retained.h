/* Retained messages: the last message of each topic that was published with the retain flag. Per tenant, shared by all loops,
 * under one lock that is taken for retained publishes and at SUBSCRIBE only. Durable as journal records with
 * MC_RECORD_RETAIN (QoS 0 ones too), rebuilt from checkpoint + journal. Any thread. */
#ifndef MC_GATEWAY_RETAINED_H
#define MC_GATEWAY_RETAINED_H

#include <pthread.h>

#include "gateway/topic_tree.h"

#define MC_RETAINED_NO_OFFSET UINT64_MAX /* QoS 0, on its way to the disk */
typedef struct mc_retained {
  uint64_t offset; /* journal offset of the message */
  int64_t time_us; /* arrival, in terms of the clock of now (wall.h) */
  uint32_t props_len, payload_len;
  uint64_t publisher; /* mc_session_mark of the client that published it; 0: not known (after a restart), or none */
  uint32_t principal; /* thing that published it; 0: the platform, the development port, or read from a checkpoint */
  uint32_t key_id;    /* under which it is enciphered on disk; 0: the journal's choice */
  uint8_t qos, flags; /* flags: MC_RECORD_V5 */
  uint8_t bytes[];    /* properties, payload */
} mc_retained;

typedef struct mc_retained_store {
  pthread_mutex_t lock;
  mc_topic_tree topics;
  mc_map by_offset; /* offset -> mc_topic_node: for queued copies */
  mc_map usage;     /* tenant << 32 | principal -> count << 40 | bytes: what a thing keeps here */
  size_t count, bytes;
} mc_retained_store;

/* Retained messages live in memory and for ever: one thing may keep so much (topics count as bytes, too), all together so much. */
enum { MC_RETAINED_PER_THING = 1000, MC_RETAINED_BYTES_PER_THING = 8 << 20 };
#define MC_RETAINED_BYTES ((size_t)1 << 30)

mc_err mc_retained_init(mc_retained_store *store);
void mc_retained_free(mc_retained_store *store);
/* An empty payload removes. value->bytes is ignored; props and payload are copied. MC_ERR_TOO_LARGE: too many levels.
 * MC_ERR_FULL: more than the thing, or all of them, may keep; what the topic held before is held still. */
mc_err mc_retained_put(mc_retained_store *store, uint32_t tenant, mc_slice topic, const mc_retained *value, mc_slice props, mc_slice payload);
/* Would a message of so many bytes (properties and payload) be kept? */
bool mc_retained_fits(mc_retained_store *store, uint32_t tenant, uint32_t principal, mc_slice topic, size_t bytes);
/* Calls visit for each match of the filter, under the lock; visit returns an error to stop. */
typedef mc_err (*mc_retained_visit)(void *ctx, uint32_t tenant, mc_slice topic, const mc_retained *value);
mc_err mc_retained_match(mc_retained_store *store, uint32_t tenant, mc_slice filter, mc_retained_visit visit, void *ctx);
mc_err mc_retained_all(mc_retained_store *store, mc_retained_visit visit, void *ctx);
/* One by journal offset; false when it is no longer the retained one. */
bool mc_retained_by_offset(mc_retained_store *store, uint64_t offset, mc_retained_visit visit, void *ctx);
/* Gives each a new arrival. */
void mc_retained_retime(mc_retained_store *store, int64_t (*timed)(void *ctx, uint64_t offset, int64_t time_us), void *ctx);
/* All that is enciphered under a key that was destroyed. */
void mc_retained_forget(mc_retained_store *store, uint32_t tenant, uint32_t key_id);
size_t mc_retained_count(mc_retained_store *store);

#endif
