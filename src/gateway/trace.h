/* A live look at messages: who publishes what, who gets it, what is refused and why. A trace costs nothing while there is none, and little while there
 * is: a message that no trace wants is compared with its filter, one that is wanted is copied up to 1 KiB into a bounded ring. Any thread. */
#ifndef MC_GATEWAY_TRACE_H
#define MC_GATEWAY_TRACE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/gateway.h"

enum { MC_TRACES_MAX = 8, MC_TRACE_KEPT = 1024 };

typedef struct mc_trace {
  uint32_t id, tenant, sample;
  int64_t ends_us, asked_us; /* wall; asked: when it was last read */
  uint64_t seen, sequence;   /* messages that matched; entries written so far */
  char *filter, *client;     /* empty: all */
  mc_trace_entry *entry;     /* MC_TRACE_KEPT, by sequence */
} mc_trace;

typedef struct mc_trace_set {
  pthread_mutex_t lock; /* a leaf */
  atomic_uint running;
  uint32_t next_id;
  mc_trace trace[MC_TRACES_MAX]; /* id 0: free */
} mc_trace_set;

void mc_trace_init(mc_trace_set *set);
void mc_trace_free(mc_trace_set *set);
static inline bool mc_trace_runs(mc_trace_set *set) { return atomic_load_explicit(&set->running, memory_order_relaxed) != 0; }
/* Only when mc_trace_runs. note: why it was refused, or "". */
void mc_trace_message(mc_trace_set *set, uint32_t tenant, mc_trace_kind kind, mc_slice client_id, mc_slice topic, mc_slice payload, uint8_t qos, bool retain,
                      const char *note);

#endif
