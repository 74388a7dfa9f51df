#include "gateway/state.h"

#include <inttypes.h>
#include <stdio.h>

/* The bound of a queue (README, "A queue that holds back the journal"): what a session has not taken keeps the journal from being shortened. With session_hold_mb
 * the oldest messages of a session that holds back more than that are given up: counted, and told loudly. */

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

enum { GIVE_UP_MOST = 1 << 20 /* at one checkpoint: a loop has others to serve */, NOTES_MOST = 1 << 16 /* in one record */ };

/* Retained messages are kept elsewhere, too; of what a client confirmed with PUBREC only the packet identifier is needed. */
static bool holds(uint64_t entry) { return !(entry & (MC_OUT_DONE | MC_OUT_RETAINED | MC_OUT_SHARED)) && (!(entry & MC_OUT_RECEIVED) || (entry & MC_OUT_RECEIVING)); }

static uint64_t first_of(const mc_u64_ring *r)
{
  for (uint32_t i = 0; i < r->len; i++)
    if (holds(*mc_u64_ring_at(r, i)))
      return *mc_u64_ring_at(r, i) & MC_OUT_OFFSET;
  return UINT64_MAX;
}

uint64_t mc_hold_oldest(const mc_session *s)
{
  const mc_outbox *o = s->outbox;
  if (!o)
    return UINT64_MAX;
  uint64_t oldest = least(first_of(&o->inflight), least(first_of(&o->head), first_of(&o->waiting)));
  if (o->page.len)
    oldest = least(oldest, mc_outbox_page_oldest(*mc_u64_ring_at(&o->page, 0)));
  return mc_outbox_scanning(o) ? least(oldest, o->scan_at) : oldest;
}

static void end_connection(mc_session *s, uint64_t held)
{
  mc_link *link = s->link;
  mc_link_end(link, MC_MQTT_QUOTA, "messages sent to this client were not acknowledged while %" PRIu64 " MiB came after them: acknowledge them, or raise session_hold_mb", held >> 20);
  mc_session_detach(s, link, link->end_text ? link->end_text : "");
}

/* Its place in the window ends; a connection that has it on air ends first, for its identifier will be used again. A client that may have taken the PUBLISH of a QoS 2
 * message holds the identifier until PUBREL, and would take the next message under it for a repeat: so PUBREL is what it gets, and the place ends with PUBCOMP. */
static uint64_t give_up_in_flight(mc_session *s, uint64_t bound, uint64_t held)
{
  mc_outbox *o = s->outbox;
  uint64_t given_up = 0;
  for (uint32_t i = 0; i < o->inflight.len; i++) {
    uint64_t entry = *mc_u64_ring_at(&o->inflight, i);
    if (!holds(entry) || (entry & (MC_OUT_UNASSIGNED | MC_OUT_RECEIVING)) || (entry & MC_OUT_OFFSET) >= bound)
      continue;
    if ((entry & MC_OUT_ON_AIR) && s->link) {
      end_connection(s, held);
      i = UINT32_MAX; /* the ring may have moved: from its front again */
      continue;
    }
    given_up++;
    if ((entry & (MC_OUT_QOS2 | MC_OUT_SENT)) == (MC_OUT_QOS2 | MC_OUT_SENT)) {
      mc_qos2_take_as_received(s, mc_outbox_id(o, i));
      continue;
    }
    mc_deliver_finish(s, mc_outbox_id(o, i));
    i = UINT32_MAX;
  }
  return given_up;
}

static uint64_t give_up_waiting(mc_session *s, uint64_t bound)
{
  mc_u64_ring keep = {0};
  uint64_t entry, given_up = 0;
  while (given_up < GIVE_UP_MOST && mc_queue_next(s, &entry)) {
    if (holds(entry) && (entry & MC_OUT_OFFSET) < bound) {
      mc_session_note_acked(s, entry);
      if (++given_up % NOTES_MOST == 0)
        mc_session_flush_own(s);
      continue;
    }
    if ((entry & MC_OUT_OFFSET) >= bound || mc_u64_ring_push(&keep, entry) != MC_OK) {
      mc_queue_put_back(s, entry);
      break;
    }
  }
  while (keep.len) { /* last first: they keep their order at the front */
    mc_queue_put_back(s, *mc_u64_ring_at(&keep, keep.len - 1));
    keep.len--;
  }
  mc_u64_ring_free(&keep);
  mc_queue_count(s);
  return given_up;
}

/* The first time, and whenever the count has doubled: a queue that stays at its bound does not flood log and events. */
static void tell(mc_session *s, uint64_t given_up, uint64_t held)
{
  mc_gateway_loop *l = s->home;
  char text[200];
  uint64_t before = mc_cause_of(s, MC_CAUSE_GIVEN_UP);
  mc_cause_note(l, s, MC_CAUSE_GIVEN_UP, given_up);
  given_up += before;
  snprintf(text, sizeof text, "%" PRIu64 " messages given up: the queue held back %" PRIu64 " MiB of journal (session_hold_mb)", given_up, held >> 20);
  mc_session_set_error(s, text);
  if (before && (before ^ given_up) < (before & given_up)) /* the highest bit is the same */
    return;
  mc_log(MC_LOG_ERROR, "gateway", "messages for a client are given up", MC_KS("client", mc_session_id(s)), MC_KU("messages", given_up), MC_KU("held_bytes", held));
  mc_event_add(l->gateway, s->tenant, mc_session_id(s), s->address, s->connected, MC_MQTT_QUOTA, text);
}

void mc_hold_enforce(mc_gateway_loop *l)
{
  uint64_t most = l->gateway->limit.session_hold_bytes, end = mc_journal_end_offset(l->gateway->journal);
  if (!most || end <= most)
    return;
  for (mc_session *s = l->sessions; s; s = s->next) {
    uint64_t oldest = s->persistent ? mc_hold_oldest(s) : UINT64_MAX;
    if (oldest >= end - most || mc_outbox_scanning(s->outbox)) /* a scan is what is left without memory: it catches up by itself */
      continue;
    uint64_t given_up = give_up_in_flight(s, end - most, end - oldest) + give_up_waiting(s, end - most);
    if (given_up)
      tell(s, given_up, end - oldest);
    mc_session_tidy(s);
  }
}
