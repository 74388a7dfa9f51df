/* edge: the vehicle agent - selects, stores and forwards signals as FleetWise campaigns ask.
 *
 * An agent has no thread of its own: it lives on one mc_loop, hundreds may share it (the simulator does so).
 * Frames come from a source (log replay, user-space bus) or are pushed in. Everything below is called on the
 * agent's loop. Semantics: contract fleetwise 6, with section 13's corrections. The agent links base, format, signal
 * and net only. */
#ifndef MC_EDGE_H
#define MC_EDGE_H

#include "base/file.h"
#include "base/loop.h"
#include "net/net.h"
#include "signal/signal.h"

/* ---- inspection engine: documents + frames in, collected events out; no network, no files ---- */
typedef struct mc_inspector mc_inspector;
typedef struct mc_collected { /* one event, ready to send; borrowed for the call */
  mc_slice campaign_sync_id, manifest_sync_id;
  mc_slice payload;  /* serialised VehicleData, compressed when the scheme says so */
  bool compressed, persist;
  uint32_t priority, samples, event_id;
  int64_t event_time_us;
} mc_collected;
typedef struct mc_inspector_config {
  /* interface_id -> channel index of frames; -1: not ours */
  int (*channel_of)(void *ctx, mc_slice interface_id);
  void (*collected)(void *ctx, const mc_collected *event);
  /* Last known state: a LastKnownStateData, compressed as it always is. NULL: state templates are not taken. */
  void (*state)(void *ctx, mc_slice payload, uint32_t samples, int64_t time_us);
  void *ctx;
  size_t sample_memory; /* bytes for all sample buffers; 0: 20 MiB */
  size_t max_payload;   /* split target; 0: 117,965 (90 % of 128 KiB) */
} mc_inspector_config;
mc_err mc_inspector_create(const mc_inspector_config *config, mc_inspector **out, mc_why *why);
void mc_inspector_destroy(mc_inspector **inspector);
/* Documents as received. One bad scheme is refused alone: its text is kept for the check-in. Campaigns that did not change keep
 * their buffers, windows and edges. */
mc_err mc_inspector_set_manifest(mc_inspector *i, mc_slice protobuf, mc_why *why);
mc_err mc_inspector_set_schemes(mc_inspector *i, mc_slice protobuf, int64_t wall_us, mc_why *why);
/* A delta of state templates. One with a version lower than the last is ignored (MC_ERR_CONFLICT). */
mc_err mc_inspector_set_states(mc_inspector *i, mc_slice protobuf, int64_t wall_us, mc_why *why);
/* Ids of all documents held now (manifests, campaigns, idle ones too, and state templates), for the check-in. Borrowed until the next set. */
size_t mc_inspector_sync_ids(const mc_inspector *i, const mc_slice **ids);
size_t mc_inspector_errors(const mc_inspector *i, const mc_slice **texts); /* "<sync id>: why refused" */
/* frame->time_us is vehicle wall time. Returns signals decoded. */
size_t mc_inspector_frame(mc_inspector *i, const mc_can_frame *frame);
/* A message of the vehicle's middleware (ROS 2), as CDR: for the structured signals that the manifests read from it. Returns how many values came out. One
 * that is damaged, or of another type than its manifest says, gives MC_ERR_MALFORMED, ..., with a text; what it gave before stays. MC_ERR_NOT_FOUND: nobody
 * asks for it. */
typedef struct mc_structured_message {
  mc_slice interface_id, message_id, cdr;
  int64_t time_us;
} mc_structured_message;
mc_err mc_inspector_message(mc_inspector *i, const mc_structured_message *m, size_t *values, mc_why *why);
/* Decoded values that one moment brought, for those who have samples and no frames (the dry run of a campaign). Each goes to the campaigns that ask for the
 * signal, whether the manifest decodes it from frames or not; conditions are looked at once, behind all of them, as behind a frame. Returns those asked for. */
typedef struct mc_inspector_value { uint32_t signal_id; double value; } mc_inspector_value;
size_t mc_inspector_values(mc_inspector *i, int64_t time_us, const mc_inspector_value *value, size_t count);
/* Ticks through everything that falls due until then, and to it: what hundreds of calls of mc_inspector_tick would do. A stretch in which nothing can happen
 * costs nothing, however long it is. For inspectors whose wall clock is the samples' own time. */
void mc_inspector_advance(mc_inspector *i, int64_t until_us);
/* Time passes: fires periods, windows, after-durations, starts and expiries. Returns when it next wants to be called (wall us). */
int64_t mc_inspector_tick(mc_inspector *i, int64_t wall_us);

/* ---- durable store-and-forward: a bounded ring on disk ---- */
typedef struct mc_spool mc_spool;
mc_err mc_spool_open(const mc_fs *fs, const char *dir, uint64_t max_bytes, mc_spool **out, mc_why *why);
void mc_spool_close(mc_spool **spool);
mc_err mc_spool_push(mc_spool *s, uint32_t priority, mc_slice topic, mc_slice payload, uint64_t *id, mc_why *why); /* on disk after mc_spool_sync */
mc_err mc_spool_sync(mc_spool *s, mc_why *why);
/* Oldest of the most urgent first, not yet handed out since open/rewind. MC_ERR_END when none. */
mc_err mc_spool_peek(mc_spool *s, uint64_t *id, mc_buf *topic, mc_buf *payload, mc_why *why);
void mc_spool_done(mc_spool *s, uint64_t id);   /* acknowledged by the cloud: gone */
void mc_spool_putback(mc_spool *s, uint64_t id); /* was peeked but could not be sent: hand it out again */
void mc_spool_rewind(mc_spool *s);              /* connection lost: hand out unacknowledged ones again */
uint64_t mc_spool_count(const mc_spool *s);
uint64_t mc_spool_dropped(const mc_spool *s);   /* overwritten because the ring was full */

/* ---- the agent ---- */
typedef struct mc_agent mc_agent;
typedef struct mc_agent_stats {
  uint64_t frames, signals, events, samples, published, acked, refused, spooled, dropped, checkins, documents, reconnects;
  uint64_t messages, damaged; /* structured; those that could not be read */
  uint64_t states, commands; /* messages of last known state (events count them, and answers to commands, too); commands answered */
  bool connected;
} mc_agent_stats;
typedef struct mc_agent_config {
  const char *name; /* thing = client id = vehicle name */
  const char *host;
  uint16_t port;
  mc_tls *tls; /* client context with certificate; NULL plain */
  const char *topic_prefix;    /* NULL: "$aws/iotfleetwise/" */
  const char *commands_prefix; /* NULL: "cms/commands/" beside a prefix that begins with "cms/", else "$aws/commands/" */
  uint32_t checkin_ms;         /* 0: 120,000 */
  uint16_t keep_alive_s;       /* 0: 60 */
  const char *data_dir;        /* documents and spool; NULL: memory only, nothing survives */
  uint64_t spool_bytes;        /* 0: 64 MiB */
  const char *const *interface_id; /* by channel index */
  size_t interface_count;
  /* Tells of each publish of telemetry as it leaves and as it is acknowledged (demo and bench measure with it); may be NULL. */
  void (*published)(void *ctx, mc_agent *agent, uint32_t event_id, int64_t event_time_us, uint32_t samples, uint64_t token);
  void (*acked)(void *ctx, mc_agent *agent, uint64_t token);
  void *ctx;
} mc_agent_config;
mc_err mc_agent_create(mc_loop *loop, const mc_agent_config *config, mc_agent **out, mc_why *why); /* strings copied */
void mc_agent_start(mc_agent *agent);
void mc_agent_stop(mc_agent *agent);    /* DISCONNECT; spool stays */
void mc_agent_destroy(mc_agent **agent);
void mc_agent_push_frame(mc_agent *agent, const mc_can_frame *frame);
void mc_agent_push_message(mc_agent *agent, const mc_structured_message *message);
void mc_agent_stats_get(const mc_agent *agent, mc_agent_stats *out);
mc_inspector *mc_agent_inspector(mc_agent *agent);

/* ---- sources ---- */
typedef struct mc_replay mc_replay;
typedef struct mc_replay_config {
  const char *path;       /* .log (candump), .mf4 */
  const char *channel_map; /* see signal.h mc_channel_map; NULL: channels as they come */
  double speed;           /* 1 = as recorded, 0 = as fast as possible */
  bool loop;
  bool shift_to_now;      /* first frame gets the present time; else recorded times are kept */
  void (*frame)(void *ctx, const mc_can_frame *frame);
  void (*message)(void *ctx, const mc_structured_message *message); /* lines of messages in a candump log (README); NULL: they are left out */
  void (*ended)(void *ctx);
  void *ctx;
} mc_replay_config;
mc_err mc_replay_open(mc_loop *loop, const mc_replay_config *config, mc_replay **out, mc_why *why);
void mc_replay_start(mc_replay *r);
void mc_replay_pause(mc_replay *r, bool paused); /* a replay as fast as possible waits for who takes its frames */
void mc_replay_close(mc_replay **r);

typedef struct mc_bus mc_bus; /* user-space CAN bus over UDP multicast; frame format in README */
mc_err mc_bus_open(mc_loop *loop, const char *url /* udp://239.255.77.1:5577/?ttl=0&channel=0 */, void (*frame)(void *ctx, const mc_can_frame *f), void *ctx, mc_bus **out, mc_why *why);
mc_err mc_bus_send(mc_bus *bus, const mc_can_frame *frame, mc_why *why);
void mc_bus_close(mc_bus **bus);

#endif
