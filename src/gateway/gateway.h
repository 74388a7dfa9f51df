/* gateway: where vehicles come in - MQTT 3.1.1 and 5 admission, sessions, subscriptions, delivery.
 *
 * One mc_loop a core; a client is pinned to the loop that accepted it; each loop has its own subscription tree, session table slice
 * and journal writer. A QoS 1 publish is answered only after its journal group is on disk; delivery to subscribers happens
 * from the committed group, on every loop that has matching subscriptions, without copying the payload. Sessions, subscriptions
 * and retained messages are journaled (MC_STREAM_SESSION, MC_STREAM_MESSAGE with MC_RECORD_RETAIN) and rebuilt from the last checkpoint
 * plus the journal; the queue of an absent session is a list of journal offsets. Design and lock order: README. */
#ifndef MC_GATEWAY_H
#define MC_GATEWAY_H

#include "access/access.h"
#include "base/arena.h"
#include "gateway/profile.h"
#include "journal/journal.h"
#include "net/net.h"
#include "registry/registry.h"

typedef struct mc_gateway mc_gateway;

/* Which member of a shared subscription gets a message: the next in turn, or the one with the least in flight and waiting. */
typedef enum mc_share_choice { MC_SHARE_FAIR, MC_SHARE_LEAST_LOADED } mc_share_choice;

enum { MC_TOPIC_ALIAS_OFF = UINT16_MAX };
typedef struct mc_gateway_limits { /* what is the same for all profiles; 0 takes the default */
  uint32_t max_queued;         /* messages that wait for a session before people are told; 100,000. They wait in the journal */
  uint16_t topic_alias_out_max; /* that we use towards one client, if it takes any; 16, at most 64; MC_TOPIC_ALIAS_OFF: none */
  uint32_t connect_timeout_ms; /* CONNECT must arrive; 10,000 */
  mc_share_choice share_choice; /* fair */
  /* When the oldest record of a loop waits so long for the disk (README, "When the disk is behind"): */
  uint32_t pressure_window_ms;  /* windows shrink; 250 */
  uint32_t pressure_delay_ms;   /* one publish of a client at a time; 1,000 */
  uint32_t pressure_refuse_ms;  /* 0x97; 10,000 */
  uint32_t pressure_close_ms;   /* 3.1.1 clients, which cannot be refused, are closed when they waited so long; 20,000 */
  uint32_t pressure_window_min; /* windows do not shrink below; 16 */
  uint64_t pressure_free_bytes; /* the same steps when the journal has less room than this, half of it, a quarter; 0: whatever is left */
  uint64_t session_hold_bytes;  /* journal that one session may hold back before its oldest messages are given up; 0: any */
  uint32_t tenant_publishes_per_s, tenant_bytes_per_s, tenant_connects_per_s; /* of all clients of a tenant together; 0: no limit */
} mc_gateway_limits;

typedef struct mc_gateway_door { /* as mc_listener_config has them; 0: its defaults */
  int handshake_timeout_ms, max_handshakes, max_waiting;
  mc_gate *gate;
} mc_gateway_door;

typedef struct mc_gateway_config {
  mc_journal *journal;
  mc_registry *registry;
  mc_loop *const *loop; /* running on threads of the caller */
  size_t loop_count;
  const mc_fs *fs;
  const char *dir;      /* checkpoint of sessions and retained messages */
  mc_gateway_limits limits;
  mc_gateway_door door; /* of its listeners */
  const mc_profile *profiles;           /* MC_PROFILES of them; NULL: as the table has them */
  mc_profile_name door_profile[MC_DOORS]; /* where no thing group says otherwise */
} mc_gateway_config;
mc_err mc_gateway_create(const mc_gateway_config *config, mc_gateway **out, mc_why *why); /* rebuilds sessions; before loops run */
/* Listeners: mtls_port (8883, certificate required) and dev_port (plain, loopback only, everything allowed: --insecure-dev). 0 = none.
 * The shared ALPN port belongs to app, which asks mc_gateway_handler for MQTT connections. */
mc_err mc_gateway_listen(mc_gateway *g, const char *host, uint16_t mtls_port, mc_tls *tls, uint16_t dev_port, mc_why *why);
/* The same with -1 = none and 0 = a port that the system chooses. Both: before the loops run. */
mc_err mc_gateway_listen_any(mc_gateway *g, const char *host, int mtls_port, mc_tls *tls, int dev_port, mc_why *why);
uint16_t mc_gateway_port(const mc_gateway *g, bool dev);
/* For connections that a listener with ALPN accepted on loop i; the listener's ctx must be mc_gateway_loop_ctx(g, i). */
const mc_conn_handler *mc_gateway_handler(void);
void *mc_gateway_loop_ctx(mc_gateway *g, size_t loop_index);
void *mc_gateway_ctx_of_loop(mc_gateway *g, const mc_loop *loop); /* NULL: not one of the gateway's */
uint32_t mc_gateway_max_packet(const mc_gateway *g); /* of the profile that takes the largest */
/* Publishes go on being accepted until this; sends DISCONNECT 0x8B, commits, writes the checkpoint. Loops still run. */
void mc_gateway_stop(mc_gateway *g);
void mc_gateway_destroy(mc_gateway **g);

/* The platform's own messages to vehicles. Any thread; returns when it is queued, in order per topic. Journaled (MC_STREAM_COMMAND) when qos 1 or
 * retained, and delivered like any other once it is on disk; when the disk is behind it waits in memory for its turn. */
mc_err mc_gateway_publish(mc_gateway *g, uint32_t tenant, mc_slice topic, mc_slice payload, uint8_t qos, bool retain, mc_why *why);
/* The same with MQTT 5 properties, ready-made; subscribers of 3.1.1 do not see them. */
mc_err mc_gateway_publish_with(mc_gateway *g, uint32_t tenant, mc_slice topic, mc_slice props, mc_slice payload, uint8_t qos, bool retain, mc_why *why);
/* A device's publish without a session (HTTPS POST /topics/...). On `loop`, one of the gateway's. Who it is comes from the connection's certificate,
 * its policy decides as for MQTT. MC_OK: done is called exactly once on this loop, perhaps before the return; for QoS 1 and retained
 * messages when it is on disk (err, and text for people, else). Otherwise done is not called: MC_ERR_UNAUTHENTICATED, MC_ERR_DENIED,
 * MC_ERR_INVALID, MC_ERR_TOO_LARGE, MC_ERR_AGAIN (faster than it may), MC_ERR_FULL (the disk is behind: come again), MC_ERR_CLOSED. */
typedef struct mc_gateway_message {
  mc_slice topic, props /* MQTT 5 properties to pass on, ready-made */, payload;
  uint8_t qos; /* 0, 1 */
  bool retain;
  uint32_t retry_after_s; /* out, with MC_ERR_AGAIN */
} mc_gateway_message;
mc_err mc_gateway_publish_as(mc_gateway *g, const mc_loop *loop, const mc_peer *peer, mc_gateway_message *m,
                             void (*done)(void *ctx, mc_err err, const char *text), void *ctx, mc_why *why);
/* Ends live sessions of a thing (revoked, renamed, removed). Any thread. */
void mc_gateway_kick(mc_gateway *g, uint32_t tenant, uint32_t thing, uint8_t reason_code, const char *text);
/* Ends live sessions whose certificate is revoked by its authority or has expired: a new revocation list is in use. Any thread. */
void mc_gateway_recheck(mc_gateway *g);

/* The same, and forgets it: its session with all that waits in it, and the retained messages under a data key that was destroyed. Any thread. */
void mc_gateway_forget(mc_gateway *g, uint32_t tenant, uint32_t thing, uint32_t key_id, const char *text);

/* The stream that publishes on a topic are journaled under (TELEMETRY, CHECKIN, else MESSAGE). */
mc_stream mc_gateway_stream_of_topic(mc_slice topic);

/* ---- what people see ---- any thread */
/* Why something was refused, dropped or made to wait: label `cause` of motorcade_mqtt_limited_total, and counted for each client. */
typedef enum mc_cause {
  MC_CAUSE_IDENTITY, MC_CAUSE_POLICY, MC_CAUSE_WILL, MC_CAUSE_TOPIC, MC_CAUSE_SIZE, MC_CAUSE_QOS, MC_CAUSE_QUOTA, MC_CAUSE_MEMORY,
  MC_CAUSE_CONNECT_RATE, MC_CAUSE_PUBLISH_RATE, MC_CAUSE_BYTE_RATE, MC_CAUSE_DELIVERY_RATE,
  MC_CAUSE_DISK_FULL, MC_CAUSE_DISK_ERROR, MC_CAUSE_BEHIND_WAIT, MC_CAUSE_BEHIND_REFUSED, MC_CAUSE_BEHIND_CLOSED, MC_CAUSE_GIVEN_UP
} mc_cause;
enum { MC_CAUSES = MC_CAUSE_GIVEN_UP + 1 };
const char *mc_cause_name(mc_cause cause);    /* "publish_rate" */
const char *mc_cause_meaning(mc_cause cause);
typedef struct mc_client_info {
  char client_id[129], thing[129], address[56];
  uint32_t tenant, thing_id;
  bool connected, clean;
  uint8_t version;
  uint16_t keep_alive_s;
  uint32_t subscriptions, queued, inflight;
  uint32_t queue_bytes; /* of memory that what is queued and in flight takes */
  uint64_t received, delivered, refused;
  uint64_t limited[MC_CAUSES]; /* by mc_cause, since the server started */
  uint8_t profile;             /* mc_profile_name, of its last connection */
  int64_t connected_us, disconnected_us, last_packet_us;
  char last_error[160]; /* in words, e.g. "refused: certificate 4f2a… is revoked; issue a new one" */
} mc_client_info;
mc_err mc_gateway_clients(mc_gateway *g, uint32_t tenant, mc_slice after_client_id, size_t limit, mc_arena *arena, mc_client_info **out, size_t *count, mc_why *why);
bool mc_gateway_client_of_thing(mc_gateway *g, uint32_t tenant, uint32_t thing, mc_client_info *out);
typedef struct mc_gateway_stats {
  uint64_t connections, sessions, subscriptions, retained, received, delivered, acknowledged, refused, bytes_in, bytes_out;
  uint64_t shared_waiting, shared_bytes; /* messages that wait for groups, and memory that their queues take */
} mc_gateway_stats;
void mc_gateway_stats_get(mc_gateway *g, mc_gateway_stats *out);
/* The last N connects, disconnects and refusals of all clients, newest first. */
typedef struct mc_connection_event { int64_t time_us; uint32_t tenant; char client_id[129], address[56]; bool connected; uint8_t code; char text[160]; } mc_connection_event;
size_t mc_gateway_events(mc_gateway *g, uint32_t tenant, mc_connection_event *out, size_t cap);

/* ---- live traces: what passes on topics ---- any thread
 * At most eight at a time. One ends after its seconds, or when nobody has read it for 30 s. */
typedef enum mc_trace_kind { MC_TRACE_IN = 1, MC_TRACE_OUT = 2, MC_TRACE_REFUSED = 3 } mc_trace_kind;
typedef struct mc_trace_entry {
  uint64_t sequence; /* from 1, without gaps */
  int64_t time_us;
  mc_trace_kind kind;
  uint8_t qos;
  bool retain;
  size_t size, payload_len; /* of the payload; of what is kept of it */
  char client_id[129], topic[257], note[160] /* why it was refused */;
  uint8_t payload[512];
} mc_trace_entry;
/* client_id empty: all clients. sample: one of so many messages is shown; what is refused is always shown. */
mc_err mc_gateway_trace_start(mc_gateway *g, uint32_t tenant, mc_slice filter, mc_slice client_id, uint32_t sample, uint32_t seconds, uint32_t *id, mc_why *why);
/* Entries behind `after`, oldest first; missed: how many had to make room before they were read. */
mc_err mc_gateway_trace_read(mc_gateway *g, uint32_t tenant, uint32_t id, uint64_t after, mc_trace_entry *out, size_t cap, size_t *count, uint64_t *missed, mc_why *why);
mc_err mc_gateway_trace_end(mc_gateway *g, uint32_t tenant, uint32_t id, mc_why *why);

/* Events of one client only, newest first. */
size_t mc_gateway_client_events(mc_gateway *g, uint32_t tenant, mc_slice client_id, mc_connection_event *out, size_t cap);
/* One client by its id; also one without a session that something was refused or delayed. */
bool mc_gateway_client(mc_gateway *g, uint32_t tenant, mc_slice client_id, mc_client_info *out);

#endif
