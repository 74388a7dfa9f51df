/* edge-internal: an agent's state, shared by agent.c (life, documents, time), agent_send.c (what goes up) and agent_state.c (state templates, commands). */
#ifndef MC_EDGE_AGENT_INSIDE_H
#define MC_EDGE_AGENT_INSIDE_H

#include "base/map.h"
#include "edge/document_store.h"
#include "edge/inspect.h"

enum {
  MC_EDGE_SOON_US = 1000, /* events of one moment share a sync */
  MC_EDGE_MAX_DIRECT = 64 /* kept in memory until acknowledged */
};
#define MC_EDGE_TOKEN_CHECKIN (1ULL << 63)
#define MC_EDGE_TOKEN_DIRECT (1ULL << 62)

/* A message on its way up. */
typedef struct message {
  mc_slice topic, payload; /* a topic of the agent's own when persist is false */
  bool persist;            /* on disk before it is published */
  uint32_t priority, event_id, samples;
  int64_t event_time_us;
} message;

/* A publish under way: what the callbacks tell, and, for those that are not in the spool, the message itself. */
typedef struct flying {
  message m;      /* without its payload, and, when it is in the spool, without its topic */
  mc_buf payload;
} flying;

struct mc_agent {
  mc_loop *loop;
  mc_agent_config config;
  char *text; /* owner of all strings below */
  const char *name, *host;
  mc_slice topic_checkins, topic_manifests, topic_schemes, topic_signals, topic_templates, topic_states;
  mc_slice topic_requests; /* the filter */
  mc_slice executions;     /* what stands before a command's id */
  mc_slice *interface_id;
  size_t interface_count;
  mc_document_store store;
  mc_inspector *inspector;
  mc_spool *spool;
  mc_mqtt_client *client;
  mc_map flying; /* token -> flying */
  uint64_t next_direct;
  size_t direct;
  mc_timer tick, checkin, soon;
  int64_t tick_due_us; /* inspection time the tick timer waits for */
  mc_buf topic, payload;
  int64_t hold_until_us; /* the server asked for patience */
  int64_t refused_us;    /* when a refused document was last told at once */
  uint64_t told_offline; /* hash of the reason last told */
  bool running, subscribed, sync_wanted, told_full, told_unsaved;
  mc_agent_stats stats;
};

/* agent_send.c */
void mc_edge_agent_send(mc_agent *a, const message *m);
void mc_edge_agent_pump(mc_agent *a); /* from the spool, while the window is open */
void mc_edge_agent_soon(mc_agent *a, int64_t delay_us);
bool mc_edge_agent_online(const mc_agent *a);
void mc_edge_agent_acked(void *ctx, uint64_t token, mc_err err, uint8_t code);
void mc_edge_agent_collected(void *ctx, const mc_collected *e);
void mc_edge_agent_flying_free(mc_agent *a);

/* agent_state.c */
void mc_edge_agent_told(void *ctx, mc_slice payload, uint32_t samples, int64_t time_us);
/* True: it was a command. */
bool mc_edge_agent_command(mc_agent *a, const mc_mqtt_publish *m);
/* Keeps on disk what changed; called behind whatever may have changed it. */
void mc_edge_agent_save(mc_agent *a);

#endif
