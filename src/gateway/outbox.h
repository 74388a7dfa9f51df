/* What a session still owes its client: messages sent and not acknowledged, and those that wait, as journal offsets.
 *
 *   in flight: [ entry | entry | entry ]   packet id of the i-th = first id + i (1..65,535, wrapping)
 *   waiting:   [ entry | ... ]             before it, pages in the journal; without memory "read the journal from scan_begin on" (queue.c)
 *
 * An entry is a journal offset (a multiple of 8, < 2^56) and flags. Because ids run on in order, an acknowledgement is found by subtraction; one that
 * comes out of order is marked and leaves when it reaches the front. Made when first needed, freed when empty. */
#ifndef MC_GATEWAY_OUTBOX_H
#define MC_GATEWAY_OUTBOX_H

#include "base/map.h"
#include "gateway/session_record.h"

#define MC_OUT_OFFSET ((UINT64_C(1) << 56) - 8)
#define MC_OUT_RETAINED (UINT64_C(1) << 63) /* delivered because of a new subscription: RETAIN = 1 */
#define MC_OUT_DONE (UINT64_C(1) << 62)     /* acknowledged out of order */
#define MC_OUT_SENT (UINT64_C(1) << 61)     /* was sent at least once: DUP on the next time */
#define MC_OUT_SHARED (UINT64_C(1) << 56)   /* of a shared subscription: the group's until it is acknowledged (share.h) */
#define MC_OUT_QOS2 (UINT64_C(1) << 60)     /* with QoS 2; the following are of such in flight */
#define MC_OUT_UNASSIGNED (UINT64_C(1) << 59) /* its packet id must be on disk before it is sent */
#define MC_OUT_ASSIGNED (UINT64_C(1) << 58)   /* ... and is */
#define MC_OUT_RECEIVED (UINT64_C(1) << 57)   /* PUBREC came: PUBREL is what is sent */
#define MC_OUT_RECEIVING UINT64_C(1)          /* ... but that is not on disk yet */
#define MC_OUT_BY_GROUP UINT64_C(4)           /* it was MC_OUT_SHARED; now it is this session's alone */
#define MC_OUT_ON_AIR UINT64_C(2)             /* its PUBLISH was sent on this connection: counts against the client's Receive Maximum */

/* As records name it: offset + flags (session_record.h). */
static inline uint64_t mc_outbox_record_entry(uint64_t entry)
{
  return (entry & MC_OUT_OFFSET) | (entry & MC_OUT_RETAINED ? MC_ENTRY_RETAINED : 0) | (entry & MC_OUT_QOS2 ? MC_ENTRY_QOS2 : 0) |
         (entry & (MC_OUT_SHARED | MC_OUT_BY_GROUP) ? MC_ENTRY_SHARED : 0);
}
static inline uint64_t mc_outbox_entry_of(uint64_t recorded)
{
  return (recorded & MC_OUT_OFFSET) | (recorded & MC_ENTRY_RETAINED ? MC_OUT_RETAINED : 0) | (recorded & MC_ENTRY_QOS2 ? MC_OUT_QOS2 : 0) |
         (recorded & MC_ENTRY_SHARED ? MC_OUT_SHARED : 0);
}

typedef struct mc_u64_ring {
  uint64_t *at;
  uint32_t head, len, cap; /* cap: power of two or 0 */
} mc_u64_ring;
mc_err mc_u64_ring_push(mc_u64_ring *r, uint64_t value);
mc_err mc_u64_ring_reserve(mc_u64_ring *r, uint32_t more); /* so many pushes will not fail */
void mc_u64_ring_fit(mc_u64_ring *r); /* gives memory back that a burst took */
mc_err mc_u64_ring_push_front(mc_u64_ring *r, uint64_t value);
static inline uint64_t *mc_u64_ring_at(const mc_u64_ring *r, uint32_t i) { return &r->at[(r->head + i) & (r->cap - 1)]; }
uint64_t mc_u64_ring_pop(mc_u64_ring *r); /* len > 0 */
void mc_u64_ring_free(mc_u64_ring *r);

typedef struct mc_outbox {
  mc_u64_ring inflight, waiting;
  mc_u64_ring head, page; /* what waits before `waiting`: queue.c */
  uint64_t paged;         /* entries in pages */
  uint32_t paging;        /* first entries of `waiting` that are on their way into a page */
  uint32_t page_at;       /* not before `waiting` has as many (after a failure) */
  bool told;              /* people know that it is far behind */
  uint32_t resend;   /* inflight[resend..] is to be sent again on this connection; UINT32_MAX none */
  uint16_t first_id; /* packet id of inflight[0] */
  uint16_t assign_id;   /* the first of those that wait for their "assigned" to be staged */
  uint32_t assigning;   /* how many do */
  bool assign_staged;   /* one "assigned" is on its way to the disk */
  uint32_t on_air;      /* entries in flight with MC_OUT_ON_AIR */
  /* Messages with scan_begin <= offset < scan_end are found by reading the journal, not by live delivery. scan_end is UINT64_MAX until the
   * reader has caught up. Both UINT64_MAX: never scanned. */
  uint64_t scan_begin, scan_end;
  uint64_t scan_at; /* where the reader goes on */
  uint64_t scan_known; /* below it the scan meets what is queued already */
  struct mc_journal_reader *reader;
  mc_map skip; /* entries (without QoS) that scan or pages will show and that were acknowledged before a restart -> how often */
} mc_outbox;

/* A page's place: offset / 8 in 53 bits; in the other 11 how far before it the oldest message of it lies, rounded up (5 bits of it, 6 of its magnitude). */
enum { MC_PAGE_ENTRIES = 512, MC_PAGE_MOST = 4096, MC_PAGE_RETRY = 4096 /* more entries before the next try after a failure */ };
uint64_t mc_outbox_page_pack(uint64_t offset, uint64_t oldest);
static inline uint64_t mc_outbox_page_offset(uint64_t page) { return page >> 11 << 3; }
uint64_t mc_outbox_page_oldest(uint64_t page); /* at most the oldest offset that was packed */

mc_err mc_outbox_create(mc_outbox **out);
void mc_outbox_init(mc_outbox *o);  /* one that is part of something else */
void mc_outbox_clear(mc_outbox *o); /* frees what it holds and makes it as new; the caller destroyed the reader */
void mc_outbox_destroy(mc_outbox **out); /* the caller destroyed the reader */
/* Nothing owed, nothing being read. */
bool mc_outbox_empty(const mc_outbox *o);
static inline bool mc_outbox_scanning(const mc_outbox *o) { return o->scan_begin != UINT64_MAX && o->scan_end == UINT64_MAX; }
static inline bool mc_outbox_scanned(const mc_outbox *o, uint64_t offset) { return offset >= o->scan_begin && offset < o->scan_end; }
/* Adds an entry in flight and gives its packet id. */
mc_err mc_outbox_send(mc_outbox *o, uint64_t entry, uint16_t *packet_id);
static inline uint16_t mc_outbox_id(const mc_outbox *o, uint32_t i) { return (uint16_t)((o->first_id - 1u + i) % 65535u + 1u); }
/* The entry under this id; NULL: none is in flight (any more). */
uint64_t *mc_outbox_at(const mc_outbox *o, uint16_t packet_id);
static inline bool mc_outbox_has(const mc_outbox *o, uint16_t packet_id) { return mc_outbox_at(o, packet_id) != NULL; }
/* Place of an id, which is in flight, in the ring. */
static inline uint32_t mc_outbox_index(const mc_outbox *o, uint16_t packet_id) { return (packet_id + 65535u - o->first_id) % 65535u; }
void mc_outbox_off_air(mc_outbox *o); /* a new connection: nothing was sent on it */
/* After a restart: the entry was in flight under this id. Gaps are ids that are done. MC_ERR_FULL: too far from the others. */
mc_err mc_outbox_restore(mc_outbox *o, uint16_t packet_id, uint64_t entry);
/* The client has it. *entry: what it was. False: no such packet id is in flight (or it was acknowledged before). */
bool mc_outbox_ack(mc_outbox *o, uint16_t packet_id, uint64_t *entry);
/* An "assigned" with it is on its way to the disk: the session keeps it, whatever happens to the connection. */
bool mc_outbox_is_staged(const mc_outbox *o, uint32_t i);
/* Removes what belongs to groups (MC_OUT_SHARED) and is not staged: the connection has gone, others get it. */
void mc_outbox_drop_shared(mc_outbox *o);
/* Nothing can be sent before it has had its turn. */
static inline bool mc_outbox_waits(const mc_outbox *o) { return (o->waiting.len | o->head.len | o->page.len) != 0; }
static inline uint64_t mc_outbox_queued(const mc_outbox *o) { return (uint64_t)o->head.len + o->paged + o->waiting.len; }
size_t mc_outbox_bytes(const mc_outbox *o); /* memory that it holds */
/* The first of waiting that were on their way into a page (paging) are in the one at this offset: they leave memory. Without memory to remember the page they
 * stay, and go on from here; a restart finds them in the page. */
void mc_outbox_paged(mc_outbox *o, uint64_t offset);
void mc_outbox_page_failed(mc_outbox *o); /* the next is made when more wait */
/* A page with what is known of it; in its place by offset, and once. */
mc_err mc_outbox_restore_page(mc_outbox *o, uint64_t offset, uint64_t oldest, uint32_t count);
mc_err mc_outbox_skip(mc_outbox *o, uint64_t recorded);    /* one that scan or a page will show is not owed */
bool mc_outbox_skipped(mc_outbox *o, uint64_t recorded);   /* takes one such */
bool mc_outbox_holds(const mc_outbox *o, uint64_t offset); /* in flight or in memory's part of the queue */
/* Removes one that waits, wherever it is; for replay. exact: it was retained or not as the entry says. */
bool mc_outbox_forget(mc_outbox *o, uint64_t entry, bool exact);

#endif
