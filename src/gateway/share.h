/* Shared subscriptions (MQTT 5.0, 4.8.2; in 3.1.1 too): each message to one member of a group, chosen over all loops.
 *
 *   a session's loop:  member ──SEAT, DROP, DONE──►  seat in its group, on the group's home loop
 *                      member ◄────── GIVE ──────
 *
 * A group lives on one loop, its home: hash of (tenant, group, filter). Its filter stands in that loop's subscription tree, so it meets every
 * message once and in order. The home chooses a seat and gives the message to the loop of that member; what nobody can take now waits
 * here as journal offsets. A message is the group's until its member acknowledged it: when the member goes, it is given to another.
 * What travels between loops is gathered during a turn and posted once (share_post.c). Private to gateway; one loop at a time. */
#ifndef MC_GATEWAY_SHARE_H
#define MC_GATEWAY_SHARE_H

#include "base/loop.h"
#include "base/map.h"
#include "gateway/gateway.h"
#include "gateway/outbox.h"
#include "gateway/subscription.h"

#define MC_SHARE_PREFIX "$share/"
enum { MC_SHARE_NAME_MAX = 128 }; /* characters of a group's name */

struct mc_session;
struct mc_message;
struct mc_gateway_loop;
struct mc_share_ticket;
typedef struct mc_share_group mc_share_group;

/* A session's place in a group; on the session's loop, moves with it. */
typedef struct mc_share_member {
  struct mc_share_member *next; /* of the session */
  struct mc_session *session;
  uint64_t serial; /* of this process */
  mc_map held;     /* offsets that were given to it and are still the group's, too */
  uint32_t epoch;  /* counts its connections: what was given to an earlier one is not taken */
  uint32_t id;     /* subscription identifier, 0 none */
  size_t home;
  uint8_t options;
  bool connected;
  bool leaving; /* unsubscribed; still has messages to acknowledge */
  uint16_t name_len, filter_len;
  char text[]; /* name, filter */
} mc_share_member;
static inline mc_slice mc_share_name(const mc_share_member *m) { return mc_slice_of(m->text, m->name_len); }
static inline mc_slice mc_share_filter(const mc_share_member *m) { return mc_slice_of(m->text + m->name_len, m->filter_len); }

/* What each loop keeps. */
typedef struct mc_share_loop {
  mc_strmap groups;                                   /* home: key -> mc_share_group */
  mc_map seats;                                       /* home: serial -> mc_share_group */
  mc_map members;                                     /* serial -> mc_share_member of a session here */
  MC_VEC(struct mc_share_post *) out;                 /* by loop: what this turn has for it */
  mc_share_group *pump, *acked;
} mc_share_loop;

/* ---- between loops: share_post.c ---- */
typedef struct mc_share_seat {
  uint64_t serial;
  uint32_t tenant, epoch, load /* what else the member owes its client */;
  uint16_t loop, window /* how much may be given to it unacknowledged */;
  uint8_t qos;
  bool connected, leaving, persistent;
  bool counted; /* mc_gateway.subscriptions was raised for it */
  mc_slice name, filter;
} mc_share_seat;
/* Each applies at once on the own loop and while the gateway starts; otherwise it is gathered. MC_ERR_MEMORY: it was not. */
mc_err mc_share_post_seat(struct mc_gateway_loop *l, size_t home, const mc_share_seat *seat); /* leaves at once: an answer may depend on it */
mc_err mc_share_post_drop(struct mc_gateway_loop *l, size_t home, uint64_t serial);
mc_err mc_share_post_done(struct mc_gateway_loop *l, size_t home, uint64_t serial, uint64_t offset, uint32_t load);
mc_err mc_share_post_keep(struct mc_gateway_loop *l, size_t home, uint64_t serial, uint64_t offset);
mc_err mc_share_post_give(struct mc_gateway_loop *l, size_t to, uint64_t serial, uint32_t epoch, uint8_t qos, struct mc_message *m);
void mc_share_post_flush(struct mc_gateway_loop *l);
void mc_share_loop_free(struct mc_gateway_loop *l);

/* ---- the member's side: share_member.c ---- */
mc_err mc_share_subscribe(struct mc_session *s, mc_slice name, mc_slice filter, uint8_t options, uint32_t id, bool *existed);
bool mc_share_unsubscribe(struct mc_session *s, mc_slice name, mc_slice filter);
void mc_share_connected(struct mc_session *s);    /* after CONNACK */
void mc_share_disconnected(struct mc_session *s); /* its connection has gone, the session stays */
void mc_share_leave(struct mc_session *s);        /* the session ends */
void mc_share_move(struct mc_session *s, struct mc_gateway_loop *from, struct mc_gateway_loop *to); /* one of them NULL: on its way */
uint32_t mc_share_count(const struct mc_session *s); /* shared subscriptions that it holds */
/* Walks them: m NULL first; NULL at the end. Appends "$share/name/filter". */
const mc_share_member *mc_share_next(const struct mc_session *s, const mc_share_member *m);
mc_err mc_share_text(const mc_share_member *m, mc_buf *out);
/* The subscription that a queued shared message came by; false: none, nothing is owed any more. */
bool mc_share_match(struct mc_session *s, uint64_t offset, mc_sub_match *out);
/* The same for one that is the session's alone (MC_OUT_BY_GROUP). */
bool mc_share_match_topic(struct mc_session *s, mc_slice topic, mc_sub_match *out);
void mc_share_acked(struct mc_session *s, uint64_t offset);
/* The entry stays with this session from now on (MQTT 5.0, 4.8.2-4): its "assigned" is on disk. */
void mc_share_own(struct mc_session *s, uint64_t *entry);
/* The same for a session that ends with its connection: it was sent. It counts against the member's window until it is complete. */
void mc_share_sent(struct mc_session *s, uint64_t offset);
void mc_share_arrive(struct mc_gateway_loop *l, uint64_t serial, uint32_t epoch, uint8_t qos, struct mc_message *m);

/* ---- the home's side: share_group.c ---- */
void mc_share_take(mc_sub_owner *group, struct mc_message *m); /* a message that matched */
void mc_share_seat_set(struct mc_gateway_loop *l, const mc_share_seat *seat);
void mc_share_seat_drop(struct mc_gateway_loop *l, uint64_t serial);
void mc_share_seat_done(struct mc_gateway_loop *l, uint64_t serial, uint64_t offset, uint32_t load);
/* Not given to others while this seat exists; by a session that ends with its connection: never (MQTT 5.0, 4.8.2-5). */
void mc_share_seat_keep(struct mc_gateway_loop *l, uint64_t serial, uint64_t offset);
void mc_share_pump(struct mc_gateway_loop *l);
/* A ticket's record is on disk at this offset, or is not. Frees the ticket. */
void mc_share_staged(struct mc_share_ticket *ticket, uint64_t offset, mc_err err);
void mc_share_ticket_free(struct mc_share_ticket *ticket);
void mc_share_retry(struct mc_gateway_loop *l); /* groups whose records could not be written */
void mc_share_groups_free(struct mc_gateway_loop *l);

/* ---- what survives: share_record.c ---- formats in README */
#define MC_SHARE_TOPIC "shared" /* of its records on MC_STREAM_SESSION */
void mc_share_flush_acked(struct mc_gateway_loop *l);
void mc_share_recover_message(mc_sub_owner *group, uint64_t offset);
void mc_share_recover_record(mc_gateway *g, const mc_record *record);
/* "assigned" says that a message of one of its groups is this session's alone. */
void mc_share_recover_taken(struct mc_session *s, uint64_t offset);
/* A subscribe record at this offset carries the filter: a group that it made has nothing from before. */
void mc_share_recover_subscribed(mc_gateway *g, uint32_t tenant, mc_slice filter, uint64_t offset);
void mc_share_recovered(mc_gateway *g); /* after the last record */
/* The groups of a loop for the checkpoint's section, which begins with a version byte; lowers *pin to the lowest offset that they need. */
enum { MC_SHARE_SECTION = 2, MC_SHARE_SECTION_OLDEST = 1 };
mc_err mc_share_checkpoint_put(struct mc_gateway_loop *l, uint64_t floor, uint64_t *pin, mc_buf *out);
mc_err mc_share_checkpoint_load(mc_gateway *g, mc_slice section, mc_why *why);

#endif
