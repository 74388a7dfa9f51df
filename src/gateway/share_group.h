/* A group's insides, for share_group.c (seats, choice), share_queue.c (what waits) and share_record.c (what survives). */
#ifndef MC_GATEWAY_SHARE_GROUP_H
#define MC_GATEWAY_SHARE_GROUP_H

#include "gateway/share.h"
#include "gateway/state.h"

typedef struct mc_share_place {
  uint64_t serial;
  uint32_t epoch, load, outstanding /* given and not acknowledged */;
  uint16_t loop, window;
  uint8_t qos;
  bool connected, leaving, persistent;
} mc_share_place;

/* The member's "assigned" is on its way to the disk (QoS 2): others do not get it when the connection goes. */
#define MC_SHARE_KEPT (UINT64_C(1) << 63)
/* QoS 2 to a session that ends with its connection, in a group whose queue outlives the process: first the group's "done" is on its way to the disk, then it is
 * there and the message is given. A server that dies later must not offer it to another member (MQTT 5.0, 4.8.2-5). */
#define MC_SHARE_BEGINNING (UINT64_C(1) << 62)
#define MC_SHARE_BEGUN (UINT64_C(1) << 61) /* with MC_SHARE_KEPT: it was sent, and is nobody else's */
#define MC_SHARE_SERIAL (~(MC_SHARE_KEPT | MC_SHARE_BEGINNING | MC_SHARE_BEGUN))

/* A record of a group on its way to the disk, and what it is about. Keeps the group in memory. */
typedef struct mc_share_ticket {
  mc_share_group *group;
  bool page;               /* else: of a message about to be given */
  uint64_t offset, serial; /* else: which message, to which seat */
} mc_share_ticket;

/* A message is in exactly one of: the line, held, "read the journal from scan_at on"; or it is done. */
struct mc_share_group {
  mc_sub_owner subs; /* first: a match hands it back */
  mc_gateway_loop *home;
  MC_VEC(mc_share_place) seats;
  uint32_t turn;       /* seat that is asked first */
  bool persistent;     /* some member's session outlives its connection: the queue does, too */
  bool in_pump, in_acked;
  mc_share_group *next_pump, *next_acked;
  bool dying; /* gone but for what is staged */
  uint64_t since; /* nothing older than this offset is for it; UINT64_MAX: not yet known (recovery) */
  mc_map held;    /* offset -> serial of the seat that has it, and MC_SHARE_KEPT, _BEGINNING or _BEGUN */
  mc_outbox line; /* what waits: offsets in its head, pages and waiting. Nothing is in flight in it */
  mc_share_ticket *paging; /* the page that is on its way to the disk */
  uint32_t staged;         /* tickets that are not back */
  int64_t begin_at_us;     /* nothing is begun before: the disk failed */
  uint64_t shown_waiting, shown_bytes; /* its part of the loop's counts */
  MC_VEC(uint64_t) acked;
  uint32_t tenant;
  uint16_t name_len, filter_len;
  char text[]; /* name, filter */
};
static inline mc_slice mc_share_group_name(const mc_share_group *g) { return mc_slice_of(g->text, g->name_len); }
static inline mc_slice mc_share_group_filter(const mc_share_group *g) { return mc_slice_of(g->text + g->name_len, g->filter_len); }

/* ---- share_group.c ---- */
/* tenant, name and filter as one key; into l->scratch. */
mc_slice mc_share_key(mc_gateway_loop *l, uint32_t tenant, mc_slice name, mc_slice filter);
mc_share_group *mc_share_group_find(mc_gateway_loop *l, uint32_t tenant, mc_slice name, mc_slice filter);
/* Gives one message to a seat. False: no memory, nothing happened. */
mc_share_place *mc_share_choose(mc_share_group *g, uint8_t qos);
bool mc_share_has_room(const mc_share_group *g); /* some seat can take what waits */
bool mc_share_give(mc_share_group *g, mc_share_place *seat, struct mc_message *m);
mc_share_place *mc_share_place_of(mc_share_group *g, uint64_t serial);
void mc_share_want_pump(mc_share_group *g);
void mc_share_unpin(mc_share_group *g); /* one staged less; frees a dying one */

/* ---- share_queue.c ---- */
void mc_share_wait(mc_share_group *g, uint64_t offset);
void mc_share_done(mc_share_group *g, uint64_t offset); /* nobody needs it any more */
void mc_share_take_back(mc_share_group *g, mc_share_place *seat, bool kept_too); /* what it held waits again */
void mc_share_queue_clear(mc_share_group *g);
/* Gives what waits, as far as seats have room. True: call again. */
bool mc_share_queue_step(mc_share_group *g);
void mc_share_count_queue(mc_share_group *g); /* for people; tells them when it is far behind */
bool mc_share_forget(mc_share_group *g, uint64_t offset); /* for replay: it is in memory, and is no longer */
bool mc_share_skip(mc_share_group *g, uint64_t offset);   /* the same for one that pages or the journal will show; false: they will not */

/* ---- share_page.c ---- */
void mc_share_page_out(mc_share_group *g); /* when there is enough for a page */
bool mc_share_page_in(mc_share_group *g);  /* the first page; false: not now */
/* The group's "done" goes to the disk first, then the message to the seat. False: no memory, nothing happened. */
bool mc_share_begin(mc_share_group *g, mc_share_place *seat, uint64_t offset);

/* ---- share_record.c ---- */
enum { MC_SHARE_RECORD = 2, MC_SHARE_RECORD_OLDEST = 1 };
typedef enum mc_share_kind { MC_SHARE_ACKED = 1, MC_SHARE_PAGE /* from version 2 on */, MC_SHARE_AGAIN, MC_SHARE_KINDS } mc_share_kind;
/* Into out; entries follow by mc_session_record_add_entry. */
mc_err mc_share_record_begin(mc_buf *out, const mc_share_group *g, mc_share_kind kind, uint32_t count);
/* list is to be walked by mc_session_record_next_entry. */
mc_err mc_share_record_read(mc_slice payload, mc_share_kind *kind, mc_slice *name, mc_slice *filter, mc_session_record *list, mc_why *why);
/* l->record as a record of the group. ticket NULL: nothing follows. Otherwise it is owned by what is pending, and comes back by mc_share_staged. */
void mc_share_stage(mc_share_group *g, mc_share_ticket *ticket);
void mc_share_put_again(mc_share_group *g, const uint64_t *offset, size_t count); /* begun and given back: they wait again */

#endif
