/* The gateway's insides, shared by its files. Who owns what, threads and lock order: README. Private to gateway. */
#ifndef MC_GATEWAY_STATE_H
#define MC_GATEWAY_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/keep.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/vec.h"
#include "gateway/gateway.h"
#include "gateway/cause.h"
#include "gateway/outbox.h"
#include "gateway/pace.h"
#include "gateway/packet_ids.h"
#include "gateway/pressure.h"
#include "gateway/retained.h"
#include "gateway/session_record.h"
#include "gateway/share.h"
#include "gateway/subscription.h"
#include "gateway/trace.h"
#include "gateway/wall.h"

enum {
  MC_Q0_BACKLOG = 1 << 20,      /* bytes a socket may owe before QoS 0 copies for it are dropped and counted */
  MC_QOS1_BACKLOG = 256 << 10,  /* ... before QoS 1 waits as journal offsets */
  MC_INPUT_BACKLOG = 512 << 10, /* ... before we stop reading from a client that does not read */
  MC_PUMP_BATCH = 256,          /* queued messages sent to one client before others have their turn */
  MC_EVENTS_KEPT = 4096,
  MC_VERDICTS = 4096, /* cached policy verdicts a loop */
  MC_SEEN_NONE = 0
};

typedef struct mc_link mc_link;
typedef struct mc_session mc_session;
typedef struct mc_gateway_loop mc_gateway_loop;

/* Written by its loop only, read by anybody: relaxed. */
typedef _Atomic uint64_t mc_count;
static inline void mc_count_add(mc_count *c, uint64_t n) { atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed); }
static inline void mc_count_set(mc_count *c, uint64_t n) { atomic_store_explicit(c, n, memory_order_relaxed); }
static inline uint64_t mc_count_get(const mc_count *c) { return atomic_load_explicit((mc_count *)c, memory_order_relaxed); }

/* One client's connection, from accept to close. Belongs to its loop. Lives on while publishes of it await the journal. */
struct mc_link {
  mc_conn *conn;       /* NULL once closed */
  mc_session *session; /* NULL before CONNECT was taken and after it left */
  mc_gateway_loop *home;
  const mc_policy *policy; /* retained */
  const mc_profile *profile;
  mc_pace *pace; /* NULL: no rate is to be kept */
  mc_timer timer;          /* CONNECT must come; then keep-alive */
  mc_link *prev, *next; /* of its loop, while open */
  mc_link *next_blocked;
  struct mc_alias_table *alias; /* topic aliases of the client, made at first use */
  struct mc_alias_out *alias_out; /* ours, likewise */
  struct mc_auth *auth;    /* signed in, or signing in, without a certificate; auth.c */
  struct mc_claim *claim;  /* no CONNACK yet: waits for its session to come from another loop, or for the disk */
  uint32_t key_id;         /* the vehicle's data key; 0: the journal's choice */
  uint64_t verdict_key;    /* salt of this connection's cached policy verdicts */
  uint64_t policy_epoch;   /* of the registry, when policy was looked up; permit.c */
  int64_t last_in_us;      /* monotonic */
  int64_t partial_us;      /* when the packet began that is not whole; 0: there is none */
  uint32_t pending;        /* records in the journal's staging that will be answered here */
  uint32_t unacked;        /* its publishes that count against our Receive Maximum (MQTT 5.0, 4.9) */
  uint32_t denied;         /* publishes that policy refused */
  uint32_t max_packet;     /* the client's; 0 none */
  uint32_t payload_most;   /* of its publishes, by its profile */
  uint32_t behind_tick;    /* since when a publish of it waits for a disk that is behind; 0: none does */
  uint16_t alias_out_max;  /* of ours; 0: none are used */
  uint16_t send_window;    /* the client's Receive Maximum, bounded by its profile */
  uint16_t receive_max;    /* ours, as it was told */
  uint16_t keep_alive_s;
  uint8_t version;         /* 0 before CONNECT */
  uint8_t kind;            /* principal kind */
  uint8_t partition;
  uint8_t door;            /* mc_door */
  bool timed /* policy asks for the time */, judge_receive /* each delivery is a question */;
  bool qos2_told, held /* by its pace */, blocked, deaf /* paused because it does not read */, closing, clean_end, reason_wanted, told /* log and events know why */;
  uint8_t end_code;        /* why we ended it; 0: the peer did */
  char *end_text;
  char address[56];
};

typedef struct mc_will {
  mc_session_will is; /* its slices point into bytes */
  uint8_t bytes[];
} mc_will;

/* Flags in mc_session.came: identifiers of QoS 2 messages that came and were not released (MQTT 5.0, 4.3.3). */
enum {
  MC_CAME_STORING = 1,  /* not on disk yet */
  MC_CAME_COUNTED = 2,  /* in mc_link.unacked */
  MC_CAME_RELEASING = 4 /* "released" is on its way to the disk */
};

/* What outlives a connection. Belongs to the loop that it is on; moves to another loop only when its client does. */
struct mc_session {
  mc_sub_owner subs; /* first: a match hands it back */
  mc_gateway_loop *home;
  mc_link *link; /* NULL: absent */
  mc_outbox *outbox;
  mc_share_member *shares; /* its shared subscriptions */
  mc_will *will;
  mc_packet_ids came;
  MC_VEC(uint64_t) acked; /* entries not yet journaled as acknowledged */
  mc_timer timer;         /* while absent: will delay, expiry */
  mc_session *prev, *next; /* of its loop */
  mc_session *next_pump, *next_acked;
  int64_t will_due_us, expires_us; /* monotonic; INT64_MAX never */
  uint64_t since; /* journal end when it last subscribed: nothing older is for it */
  uint64_t *carried; /* by source loop: what it has had of each when it came to this loop; NULL: it never moved */
  uint32_t tenant, thing;
  uint32_t expiry_s; /* 0: ends with its connection; UINT32_MAX never */
  uint32_t staged;   /* records of it on their way to the disk: it stays in memory, and on this loop, until none is left */
  int64_t hold_until_us; /* a CONNECT waits for staged to be 0: nothing is staged that can wait */
  bool persistent; /* outlives its connection */
  bool recorded;   /* its life is journaled: it is persistent, or has a will */
  uint32_t stored; /* at the front of its queue: came while it was away, and its profile lets these out slowly */
  bool in_pump, in_acked, ended /* while moving: nothing of it is kept */, flushed /* the pump let a flush happen */;
  uint8_t partition;
  mc_count received, delivered, refused, queued, queue_bytes, inflight, subscriptions, last_packet_us;
  /* the card that people read: under mc_gateway.lock */
  uint8_t profile; /* mc_profile_name */
  _Atomic(mc_causes *) causes; /* made at the first one */
  bool connected, clean;
  uint8_t version;
  uint16_t keep_alive_s;
  int64_t connected_us, disconnected_us;
  char *last_error, *address, *thing_name; /* thing_name NULL: the client id */
  /* directory, under mc_gateway.lock */
  mc_gateway_loop *owner;
  bool moving, dying /* gone but for what is staged */;
  uint16_t id_len;
  char id[];
};
static inline mc_slice mc_session_id(const mc_session *s) { return mc_slice_of(s->id, s->id_len); }
/* Tells clients apart where their session is not at hand; never 0. s NULL: 0. */
static inline uint64_t mc_session_mark(const mc_session *s) { return s ? (mc_slice_hash(mc_session_id(s)) + s->tenant) | 1 : 0; }

/* One message on its way to subscribers; borrows everything. */
#define MC_NO_OFFSET UINT64_MAX
typedef struct mc_message {
  uint32_t tenant;
  uint8_t qos;
  bool retain, v5;
  uint64_t offset; /* in the journal, MC_NO_OFFSET for a QoS 0 one that is not there */
  uint8_t source;  /* loop that committed it, from 1; 0 unknown */
  int64_t time_us; /* arrival */
  mc_slice topic, props, payload;
  const mc_session *publisher; /* on this loop; NULL unknown */
  bool timed; /* time_us is in terms of the clock of now (wall.h) */
  /* found out when first needed */
  bool examined, expires;
  uint32_t expiry_s;
  size_t expiry_at; /* of the property in props */
} mc_message;

/* What happens when a staged record is on disk. In ticket order, beside the journal's queue. */
typedef enum mc_pending_kind {
  MC_PENDING_NONE,
  MC_PENDING_PUBACK,
  MC_PENDING_REPLY,
  MC_PENDING_CALL,
  MC_PENDING_WILL,
  MC_PENDING_SHARE,      /* `ticket` is set: a group's record */
  MC_PENDING_OF_SESSION, /* from here on: `session` is set */
  MC_PENDING_PUBREC = MC_PENDING_OF_SESSION,
  MC_PENDING_PUBCOMP,
  MC_PENDING_PUBREL,
  MC_PENDING_ASSIGNED, /* packet_id: the last of them */
  MC_PENDING_PAGE,
  MC_PENDING_CONNACK,      /* `link` is told that it is connected */
  MC_PENDING_CONNACK_MORE, /* ... when the next one is on disk, too */
  MC_PENDING_RECORD    /* nothing follows */
} mc_pending_kind;
typedef struct mc_pending {
  mc_link *link;
  union {
    struct mc_reply *reply; /* bytes to send then: SUBACK, UNSUBACK */
    struct mc_call *call;   /* who published without a session; link is NULL */
    mc_session *session;
    struct mc_share_ticket *ticket;
  };
  uint32_t staged_at; /* mc_pressure.tick */
  uint16_t packet_id;
  uint8_t kind;
  bool retain;
} mc_pending;
typedef struct mc_call {
  void (*done)(void *ctx, mc_err err, const char *text);
  void *ctx;
  mc_principal who; /* that published */
} mc_call;
typedef struct mc_reply {
  size_t len, retained_len;
  uint8_t bytes[]; /* the packet; then the new subscriptions whose retained messages follow it (subscribe.c) */
} mc_reply;

typedef struct mc_pending_ring {
  mc_pending *at;
  uint32_t head, len, cap;
} mc_pending_ring;

/* The platform's messages, wills and session records that the journal had no room for. */
typedef struct mc_deferred {
  struct mc_deferred *next;
  mc_pending pending;
  mc_record record;
  uint8_t bytes[];
} mc_deferred;

/* QoS 0 messages for other loops, gathered during a turn. Entries as README, "Between loops". */
typedef struct mc_batch {
  atomic_uint refs;
  size_t len, cap;
  uint8_t bytes[];
} mc_batch;

typedef struct mc_verdict {
  uint64_t key;
  uint8_t refusal; /* reason code; 0: it is allowed */
  uint8_t stream;
} mc_verdict;

struct mc_gateway_loop {
  mc_gateway *gateway;
  mc_loop *loop;
  size_t index;
  mc_journal_writer *writer;
  mc_sub_tree subs;
  mc_share_loop share;
  mc_session *sessions;
  mc_link *links;
  mc_link *blocked; /* paused until the journal has room or the disk has caught up (pressure.c) */
  mc_pending_ring pending;
  mc_pressure pressure;
  mc_deferred *deferred, **deferred_tail;
  mc_batch *batch;
  mc_session *pump, *acked;
  mc_timer ack_timer, retry_timer;
  mc_post wake;
  bool wake_posted;
  uint32_t pages_staged; /* pages of queues, and tickets of groups, on their way to the disk: their offsets matter */
  uint64_t low;       /* no staged record of ours will get an offset below this */
  uint64_t *seen;     /* by loop: last offset that was fanned out to here */
  int64_t wall_us;    /* at the start of the current callback */
  uint64_t link_serial;
  mc_verdict *verdict;
  mc_buf scratch, props, bounded /* a publish's properties, changed */, read, record, wanted, opened;
  mc_listener *listener[2]; /* mtls, dev */
  /* checkpoint */
  size_t tokens; /* of loops that have nothing older on its way to here */
  bool token_sent;
  /* stopping */
  bool stopping, stopped;
  int64_t stop_by_us;
  mc_post stop_post;
  mc_timer stop_timer;
  struct { mc_count connections, sessions, received, delivered, acknowledged, refused, bytes_in, bytes_out, dropped_q0, spilled, lost, share_waiting, share_bytes; } count;
  mc_count cause[MC_CAUSES];
};

static inline uint8_t mc_loop_source(const mc_gateway_loop *l) { return l->index < UINT8_MAX ? (uint8_t)(l->index + 1) : 0; }

struct mc_gateway {
  uint8_t auth_secret[32]; /* of this process: salts of names that nobody has */
  mc_journal *journal;
  mc_registry *registry;
  const _Atomic uint64_t *policy_epoch; /* the registry's; NULL without one */
  const mc_fs *fs;
  char *dir;
  mc_gateway_limits limit;
  mc_gateway_door door;
  mc_profile profile[MC_PROFILES];
  mc_profile_name door_profile[MC_DOORS];
  mc_map tenant_rates; /* tenant -> mc_tenant_rate; under lock, as the two below */
  struct slot *connect_rates, *call_rates;
  mc_gateway_loop *loop;
  size_t loop_count;
  _Atomic uint32_t room; /* what is left for the journal, of pressure_free_bytes; MC_PRESSURE_ROOMY: enough */
  atomic_size_t subscriptions; /* of all loops, with those of sessions on the move */
  mc_retained_store retained;
  mc_trace_set traces;
  mc_wall wall;
  atomic_uint_fast64_t share_serial;
  bool recovering, destroying; /* one thread, the loops do not run */
  atomic_bool stopping;
  atomic_uint heard_stop;
  atomic_uint kicks; /* a CONNECT that was on its way meanwhile asks the registry again */

  pthread_mutex_t lock; /* directory, cards, events. A leaf: nothing but base/keep's is taken under it */
  mc_strmap directory;  /* tenant (4 bytes) + client id -> mc_session */
  uint8_t key[4 + UINT16_MAX]; /* of the directory, being looked up */
  mc_strmap past_causes[2]; /* by the same keys: mc_causes of clients without a session, younger and older ones */
  mc_map by_thing;      /* tenant << 32 | thing -> mc_session, the one that connected last */
  struct mc_connection_event *event;
  size_t event_at, event_len;

  struct mc_checkpointer *checkpointer;
  pthread_mutex_t stop_lock;
  pthread_cond_t stop_cond;
  size_t stopped;
  uint16_t port[2];
  bool tls_needed;
};

typedef enum mc_taken { MC_TAKEN, MC_TAKE_LATER, MC_TAKE_CLOSED } mc_taken;

/* ---- link.c: bytes in, packets out ---- */
extern const mc_conn_handler mc_link_handler, mc_link_cert_handler, mc_link_dev_handler;
/* Ends a connection from our side: v5 DISCONNECT with code and text, then close. Code 0: close without a word. The text also goes to log and events. */
void mc_link_end(mc_link *link, uint8_t code, const char *format, ...) __attribute__((format(printf, 3, 4)));
void mc_link_release(mc_link *link); /* one pending less; frees a closed one */
void mc_link_unblock(mc_gateway_loop *l);
void mc_link_set_keep_alive(mc_link *link);
void mc_link_block(mc_link *link); /* not read until the journal has room */
static inline bool mc_link_open(const mc_link *link) { return link->conn && !link->closing; }
/* PUBACK, PUBREC, PUBREL or PUBCOMP, with the text where the client wants and takes it (MQTT 5.0, 3.1.2.11.7, 3.4.2.2.2). */
void mc_link_put_ack(mc_link *link, mc_mqtt_type type, uint16_t packet_id, uint8_t code, const char *text);
/* The reason string as properties of a packet of `rest` bytes without it; empty where the client does not want or take it. In l->props. */
mc_slice mc_link_reason(mc_link *link, const char *text, size_t rest);

/* ---- admission.c: CONNECT ---- */
void mc_admission_connect(mc_link *link, const mc_mqtt_connect *c, mc_slice bytes /* the packet */);
/* The same behind an authentication exchange. */
void mc_admission_enter(mc_link *link, const mc_mqtt_connect *c);
/* CONNACK with the code (version 0: unreadable, nothing is sent), text to log and events, close. */
void mc_admission_refuse(mc_link *link, uint8_t version, uint8_t code, const char *text);
void mc_admission_abandon(mc_link *link); /* it closed while its session was on the way */
void mc_admission_stored(const mc_pending *p, mc_err err); /* what CONNACK waits for is on disk, or is not */


/* ---- permit.c: what a client's policies let it do ---- */
/* For this client id: link->policy is what is attached, or what the link had. */
mc_err mc_permit_begin(mc_link *link, const mc_principal *who, mc_slice client_id, mc_why *why);
void mc_permit_principal(const mc_link *link, mc_principal *who);
/* When documents decide; false: text says what they do not allow. */
bool mc_permit_connect(const mc_link *link, const mc_mqtt_connect *c, const mc_principal *who, char text[800]);
void mc_permit_stale(mc_link *link); /* link->policy was replaced: the next question looks it up */
void mc_permit_refresh(mc_link *link);
/* Before each question to link->policy. */
static inline void mc_permit_current(mc_link *link)
{
  const _Atomic uint64_t *epoch = link->home->gateway->policy_epoch;
  if (epoch && link->policy_epoch != atomic_load_explicit(epoch, memory_order_acquire) + 1)
    mc_permit_refresh(link);
}
uint64_t mc_permit_second(void); /* for a policy that asks for the time: a verdict is good for the second of now */
/* Of a cached verdict. The hash is seeded per process and the salt is per connection: a client cannot aim at another's entry. */
static inline uint64_t mc_permit_key(const mc_link *link, mc_slice topic, mc_action action)
{
  uint64_t key = mc_slice_hash(topic) ^ link->verdict_key ^ (uint64_t)action * 0xC2B2AE3D27D4EB4FULL;
  return (link->timed ? key ^ mc_permit_second() : key) * 0x9E3779B97F4A7C15ULL | 1;
}
bool mc_permit_judge_receive(mc_link *link, mc_slice topic);
static inline bool mc_permit_receive(mc_link *link, mc_slice topic)
{
  mc_permit_current(link);
  return !link->judge_receive || mc_permit_judge_receive(link, topic);
}
bool mc_permit_will(mc_link *link, const mc_session_will *w);

/* ---- conduct.c: what a client's profile makes of its packets ---- */
/* Its group's profile, else that of the door. */
const mc_profile *mc_conduct_of(mc_gateway *g, mc_door door, const mc_principal *who);
mc_taken mc_conduct_no_qos2(mc_link *link, const char *packet);
/* PUBREC, PUBREL, PUBCOMP. True: part of an exchange that was begun before, or the profile has QoS 2. */
bool mc_conduct_qos2_step(mc_link *link, mc_mqtt_type type, uint16_t packet_id);
/* Which kept subscriptions a/# match a: as its profile of now has it. */
void mc_conduct_resume(mc_session *s);

/* ---- hold.c ---- */
uint64_t mc_hold_oldest(const mc_session *s); /* offset of the oldest message that it needs the journal for; UINT64_MAX: none */
void mc_hold_enforce(mc_gateway_loop *l);

/* ---- response.c ---- nothing is put where the policy names nothing that fits */
mc_err mc_response_info_put(mc_link *link, mc_buf *props);

/* ---- auth.c: passwords, SCRAM ---- */
void mc_auth_free(struct mc_auth *a);
/* CONNECT with an authentication method: refused, or an exchange begins. */
void mc_auth_connect(mc_link *link, const mc_mqtt_connect *c, mc_slice bytes);
bool mc_auth_waits(const mc_link *link); /* an exchange is under way and there is no CONNACK yet */
/* AUTH; and whatever comes while mc_auth_waits. */
mc_taken mc_auth_take(mc_link *link, const mc_mqtt_packet *p);
/* CONNECT with user name and password. link->policy is then retained. */
mc_err mc_auth_password(mc_link *link, const mc_peer *peer, const mc_mqtt_connect *c, mc_principal *who, mc_why *why);
mc_err mc_auth_again(mc_link *link, mc_principal *who, mc_why *why);
void mc_auth_put_connack(const mc_link *link, mc_buf *props);

/* ---- session.c ---- */
mc_err mc_session_create(mc_gateway_loop *l, uint32_t tenant, mc_slice client_id, mc_session **out);
/* Leaves its loop and the directory, and is freed. Journals the end. */
void mc_session_destroy(mc_session *s, bool journal_it);
/* Its key in the directory. Under lock; valid until the next call. Allocates nothing: a session that could not be found, or not be taken out, for want of
 * memory would be worse than none. */
mc_slice mc_session_key(mc_gateway *g, uint32_t tenant, mc_slice client_id);
mc_session *mc_session_find(mc_gateway *g, uint32_t tenant, mc_slice client_id); /* under lock */
mc_err mc_session_set_thing(mc_session *s, uint32_t thing); /* under lock, or before the loops run; it is found by this thing and no other */
/* The connection has gone: will, expiry, events. */
void mc_session_detach(mc_session *s, mc_link *link, const char *text);
void mc_session_arm(mc_session *s); /* sets the timer of an absent one */
mc_err mc_session_subscribe(mc_session *s, mc_slice filter, uint8_t options, uint32_t id, bool *existed);
bool mc_session_unsubscribe(mc_session *s, mc_slice filter);
void mc_session_leave_tree(mc_session *s);
mc_outbox *mc_session_outbox(mc_session *s); /* made if needed; NULL: no memory */
void mc_session_tidy(mc_session *s);         /* frees an empty outbox, sets the counts */
void mc_session_link_list(mc_gateway_loop *l, mc_session *s);
void mc_session_unlink_list(mc_session *s);
void mc_session_clear(mc_session *s); /* subscriptions, outbox, acks */
void mc_session_journal(mc_session *s, mc_session_kind kind, bool clean);
/* The same, and somebody waits for it: `then` follows, also when it cannot even be staged. */
void mc_session_journal_for(mc_session *s, mc_session_kind kind, bool clean, mc_pending_kind then, mc_link *link);
/* l->record was begun with this result. link NULL: nobody waits. */
void mc_session_stage_begun(mc_session *s, mc_session_kind kind, mc_pending_kind then, mc_link *link, mc_err begun);
/* A record of this session with l->record as its payload, behind all that it staged before. */
void mc_session_stage(mc_session *s, mc_session_kind kind, mc_pending_kind then, uint16_t packet_id);
/* The same for an answer to this client. MC_TAKE_LATER: no room, the client is not read until there is. */
mc_taken mc_session_stage_answer(mc_link *link, mc_session_kind kind, mc_pending_kind then, uint16_t packet_id);
void mc_session_unpin(mc_session *s); /* one staged less; frees a dying one */
void mc_session_note_acked(mc_session *s, uint64_t entry); /* a value of the outbox */
void mc_session_note_complete(mc_session *s, uint16_t packet_id);
void mc_session_flush_own(mc_session *s); /* its notes only */
void mc_session_flush_acked(mc_gateway_loop *l);
void mc_session_set_error(mc_session *s, const char *text);

/* ---- will.c ---- */
mc_will *mc_will_copy(const mc_session_will *w); /* NULL: no memory */
mc_will *mc_will_of_connect(const mc_mqtt_connect *c, uint32_t principal, uint8_t partition);
void mc_will_fire(mc_session *s);    /* publishes it; nothing without one */
void mc_will_journal(mc_session *s, mc_pending_kind then, mc_link *link); /* after the session's "open" */

/* ---- publish.c: what comes in ---- */
mc_taken mc_publish_take(mc_link *link, const mc_mqtt_publish *p);
/* The stream of a topic by the gateway's own table. */
mc_stream mc_publish_stream_of(mc_slice topic);
size_t mc_topic_levels(mc_slice topic);
/* A message of our own (will, platform): journaled or routed now. Copies if it has to wait. */
mc_err mc_publish_own(mc_gateway_loop *l, const mc_record *record, uint8_t qos);
mc_err mc_pending_push(mc_gateway_loop *l, const mc_record *record, const mc_pending *p);
/* The same, but waits its turn in memory when the disk is behind. What cannot even wait is answered as not stored. */
mc_err mc_pending_stage(mc_gateway_loop *l, const mc_record *record, const mc_pending *p);
void mc_publish_retry_deferred(mc_gateway_loop *l);

/* ---- topic_alias.c ---- */
void mc_alias_table_free(struct mc_alias_table *t);
void mc_alias_out_free(struct mc_alias_out *t);
bool mc_alias_resolve(mc_link *link, const mc_mqtt_publish *p, mc_slice *topic); /* false: the connection was ended */
/* Puts an alias into a PUBLISH that goes out, where that pays: 0 if not. Once it is written, mc_alias_announced. */
uint16_t mc_alias_choose(mc_link *link, mc_mqtt_publish *publish, mc_slice *props);
void mc_alias_announced(mc_link *link, uint16_t alias);

/* ---- qos2.c: exactly once ---- */
/* A PUBLISH whose identifier came before and was not released: counted and answered, or about to be (MQTT 5.0, 4.3.3-10). */
bool mc_qos2_came_before(mc_link *link, uint16_t packet_id);
/* The message goes to the journal with "received" in it. */
mc_err mc_qos2_store(mc_link *link, const mc_mqtt_publish *p, mc_record *record);
mc_taken mc_qos2_release(mc_link *link, const mc_mqtt_ack *p); /* PUBREL */
void mc_qos2_resume(mc_session *s); /* a new connection: nothing counts against its window yet */
mc_taken mc_qos2_received(mc_link *link, const mc_mqtt_ack *p);  /* PUBREC */
mc_taken mc_qos2_completed(mc_link *link, const mc_mqtt_ack *p); /* PUBCOMP */
/* Makes the packet ids durable under which messages will go out; they are sent then. */
void mc_qos2_assign(mc_session *s);
void mc_qos2_retry(mc_gateway_loop *l); /* those for which that failed */
void mc_qos2_take_as_received(mc_session *s, uint16_t packet_id); /* in flight, sent, on no connection now */
/* What was staged for a session is on disk, or is not. */
void mc_session_answer(mc_gateway_loop *l, const mc_pending *p, mc_err err);

/* ---- subscribe.c ---- */
mc_taken mc_subscribe_take(mc_link *link, const mc_mqtt_subscribe *p);
void mc_subscribe_retained(mc_session *s, mc_slice wanted);
mc_taken mc_unsubscribe_take(mc_link *link, const mc_mqtt_subscribe *p);

/* ---- commit.c: from the journal back ---- */
void mc_commit_arrived(void *loop, const mc_commit *c);
void mc_fan_out_batch(mc_gateway_loop *l);
bool mc_message_of_record(const mc_record *r, mc_message *out); /* false: not a message */
/* Whose QoS 2 message it is: README, "Origin". False: not one, or nobody's. */
bool mc_origin_of_record(const mc_record *r, uint16_t *packet_id, mc_slice *client_id);
void mc_batch_add(mc_gateway_loop *l, const mc_message *m);
bool mc_fan_out_wanted(const mc_gateway_loop *l); /* other loops have subscriptions */
void mc_loop_wake(mc_gateway_loop *l); /* the end-of-turn work must run */

/* ---- delivery.c: to subscribers ---- */
void mc_deliver(mc_gateway_loop *l, mc_message *m);
/* One message to one session, as matched. */
void mc_deliver_to(mc_session *s, mc_message *m, const mc_sub_match *match);
/* The same for a message that a group gave to it: match->qos is what it is sent with. */
void mc_deliver_shared(mc_session *s, mc_message *m, const mc_sub_match *match);
bool mc_message_expired(const mc_gateway_loop *l, mc_message *m);
extern const mc_journal_filter mc_message_streams;
void mc_deliver_retained(mc_session *s, mc_slice filter, uint8_t options, uint32_t id);
mc_taken mc_deliver_acked(mc_link *link, const mc_mqtt_ack *p); /* PUBACK */
/* What is in flight under this id is finished: answered, refused, or never to be sent. */
void mc_deliver_finish(mc_session *s, uint16_t packet_id);
void mc_deliver_resume(mc_session *s); /* after CONNACK: what is owed */
void mc_deliver_pump(mc_session *s);
void mc_deliver_want_pump(mc_session *s);
/* Queues what matches of what this loop has seen and the session has not had (s->carried), source loop by source loop. */
void mc_deliver_gap(mc_session *s);

/* ---- http_publish.c: publishes without a session ---- */
void mc_call_finish(mc_call *call, mc_err err, const char *text); /* frees it */

/* ---- queue.c: what waits for a client ---- */
void mc_queue_wait(mc_session *s, uint64_t entry); /* at the end of the line; its outbox is there */
bool mc_queue_next(mc_session *s, uint64_t *entry); /* takes the first; false: none, or not now */
void mc_queue_put_back(mc_session *s, uint64_t entry);
void mc_queue_count(mc_session *s); /* for people; tells them when it is far behind */
void mc_queue_page_out(mc_session *s); /* when there is enough for a page */
void mc_queue_paged(mc_session *s, uint64_t offset); /* the page's record is on disk */
void mc_queue_page_failed(mc_session *s);
bool mc_queue_scan(mc_session *s); /* reads on in the journal; true: call again, there may be more */

/* ---- event.c ---- */
void mc_event_add(mc_gateway *g, uint32_t tenant, mc_slice client_id, const char *address, bool connected, uint8_t code, const char *text);

/* ---- checkpoint.c, checkpoint_load.c, recovery.c ---- formats in README */
enum { MC_CHECKPOINT_OLDEST = 1, MC_CHECKPOINT_VERSION = 3 };
#define MC_CHECKPOINT_MAGIC "MCGW"
mc_err mc_recover(mc_gateway *g, mc_why *why);
mc_err mc_checkpointer_start(mc_gateway *g, mc_why *why);
void mc_checkpointer_stop(mc_gateway *g, bool write_last);
bool mc_checkpoint_holds_moves(const mc_gateway_loop *l);
/* Takes sessions and retained messages in. MC_ERR_NOT_FOUND: there is none, or it was damaged and is set aside; nothing was taken in then. *time_us: when it was written. */
mc_err mc_checkpoint_load(mc_gateway *g, uint64_t *floor, int64_t *time_us, mc_why *why);
mc_session *mc_recover_session(mc_gateway *g, uint32_t tenant, mc_slice client_id); /* found or made; NULL: no memory */
mc_err mc_recover_thing(mc_session *s, uint32_t thing, mc_slice name);
mc_err mc_recover_will(mc_session *s, const mc_session_will *w); /* NULL: it has none */

#endif
