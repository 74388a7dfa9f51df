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

/* A message is in exactly one of: waiting, held, "read the journal from scan_at on"; or it is done. */
struct mc_share_group {
  mc_sub_owner subs; /* first: a match hands it back */
  mc_gateway_loop *home;
  MC_VEC(mc_share_place) seats;
  uint32_t turn;       /* seat that is asked first */
  bool persistent;     /* some member's session outlives its connection: the queue does, too */
  bool in_pump, in_acked;
  mc_share_group *next_pump, *next_acked;
  uint64_t since; /* nothing older than this offset is for it; UINT64_MAX: not yet known (recovery) */
  mc_map held;    /* offset -> serial of the seat that has it, and MC_SHARE_KEPT */
  mc_u64_ring waiting;
  uint64_t scan_begin, scan_end, scan_at; /* as in mc_outbox */
  mc_journal_reader *reader;
  mc_map skip; /* offsets that the scan will meet and that were acknowledged before a restart */
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
bool mc_share_give(mc_share_group *g, mc_share_place *seat, struct mc_message *m);
void mc_share_want_pump(mc_share_group *g);

/* ---- share_queue.c ---- */
void mc_share_wait(mc_share_group *g, uint64_t offset);
void mc_share_done(mc_share_group *g, uint64_t offset); /* nobody needs it any more */
void mc_share_take_back(mc_share_group *g, mc_share_place *seat, bool kept_too); /* what it held waits again */
void mc_share_queue_clear(mc_share_group *g);
/* Gives what waits, as far as seats have room. True: call again. */
bool mc_share_queue_step(mc_share_group *g);
static inline bool mc_share_scanning(const mc_share_group *g) { return g->scan_begin != UINT64_MAX && g->scan_end == UINT64_MAX; }
static inline bool mc_share_scanned(const mc_share_group *g, uint64_t offset) { return offset >= g->scan_begin && offset < g->scan_end; }
bool mc_share_forget(mc_share_group *g, uint64_t offset); /* for replay */

#endif
