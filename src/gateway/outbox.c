#include "gateway/outbox.h"

#include <stdlib.h>

static mc_err ring_reserve(mc_u64_ring *r)
{
  if (r->len < r->cap)
    return MC_OK;
  uint32_t cap = r->cap ? r->cap * 2 : 8;
  uint64_t *at = malloc(cap * sizeof *at);
  if (!at)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < r->len; i++)
    at[i] = *mc_u64_ring_at(r, i);
  free(r->at);
  *r = (mc_u64_ring){at, 0, r->len, cap};
  return MC_OK;
}

mc_err mc_u64_ring_push(mc_u64_ring *r, uint64_t value)
{
  MC_TRY(ring_reserve(r));
  r->len++;
  *mc_u64_ring_at(r, r->len - 1) = value;
  return MC_OK;
}

mc_err mc_u64_ring_push_front(mc_u64_ring *r, uint64_t value)
{
  MC_TRY(ring_reserve(r));
  r->head = (r->head - 1) & (r->cap - 1);
  r->len++;
  *mc_u64_ring_at(r, 0) = value;
  return MC_OK;
}

uint64_t mc_u64_ring_pop(mc_u64_ring *r)
{
  uint64_t value = *mc_u64_ring_at(r, 0);
  r->head = (r->head + 1) & (r->cap - 1);
  r->len--;
  return value;
}

void mc_u64_ring_free(mc_u64_ring *r)
{
  free(r->at);
  *r = (mc_u64_ring){0};
}

mc_err mc_outbox_create(mc_outbox **out)
{
  mc_outbox *o = calloc(1, sizeof *o);
  *out = o;
  if (!o)
    return MC_ERR_MEMORY;
  o->first_id = 1;
  o->resend = UINT32_MAX;
  o->scan_begin = o->scan_end = UINT64_MAX;
  return MC_OK;
}

void mc_outbox_destroy(mc_outbox **out)
{
  if (!*out)
    return;
  mc_u64_ring_free(&(*out)->inflight);
  mc_u64_ring_free(&(*out)->waiting);
  mc_map_free(&(*out)->skip);
  free(*out);
  *out = NULL;
}

bool mc_outbox_empty(const mc_outbox *o)
{
  return o->inflight.len == 0 && o->waiting.len == 0 && !mc_outbox_scanning(o);
}

mc_err mc_outbox_send(mc_outbox *o, uint64_t entry, uint16_t *packet_id)
{
  if (o->inflight.len >= 65535)
    return MC_ERR_FULL;
  MC_TRY(mc_u64_ring_push(&o->inflight, entry));
  *packet_id = mc_outbox_id(o, o->inflight.len - 1);
  return MC_OK;
}

static void leave_front(mc_outbox *o)
{
  while (o->inflight.len && (*mc_u64_ring_at(&o->inflight, 0) & MC_OUT_DONE)) {
    mc_u64_ring_pop(&o->inflight);
    o->first_id = (uint16_t)(o->first_id % 65535u + 1u);
    if (o->resend != UINT32_MAX && o->resend > 0)
      o->resend--;
  }
}

uint64_t *mc_outbox_at(const mc_outbox *o, uint16_t packet_id)
{
  uint32_t i = mc_outbox_index(o, packet_id);
  uint64_t *at = packet_id != 0 && i < o->inflight.len ? mc_u64_ring_at(&o->inflight, i) : NULL;
  return at && !(*at & MC_OUT_DONE) ? at : NULL;
}

bool mc_outbox_ack(mc_outbox *o, uint16_t packet_id, uint64_t *entry)
{
  uint64_t *at = mc_outbox_at(o, packet_id);
  if (!at)
    return false;
  *entry = *at;
  o->on_air -= (*at & MC_OUT_ON_AIR) != 0;
  *at |= MC_OUT_DONE;
  leave_front(o);
  return true;
}

void mc_outbox_off_air(mc_outbox *o)
{
  for (uint32_t i = 0; i < o->inflight.len; i++)
    *mc_u64_ring_at(&o->inflight, i) &= ~MC_OUT_ON_AIR;
  o->on_air = 0;
}

mc_err mc_outbox_restore(mc_outbox *o, uint16_t packet_id, uint64_t entry)
{
  if (!o->inflight.len)
    o->first_id = packet_id;
  uint32_t behind = mc_outbox_index(o, packet_id), ahead = 65535u - behind;
  if (behind < o->inflight.len) {
    *mc_u64_ring_at(&o->inflight, behind) = entry;
    return MC_OK;
  }
  bool back = behind - o->inflight.len < ahead; /* the shorter way */
  uint32_t gap = back ? behind - o->inflight.len : ahead - 1;
  if (o->inflight.len + gap + 1 > 65535)
    return MC_ERR_FULL;
  for (; gap > 0; gap--) {
    MC_TRY(back ? mc_u64_ring_push(&o->inflight, MC_OUT_DONE) : mc_u64_ring_push_front(&o->inflight, MC_OUT_DONE));
    if (!back)
      o->first_id = (uint16_t)((o->first_id + 65533u) % 65535u + 1u);
  }
  MC_TRY(back ? mc_u64_ring_push(&o->inflight, entry) : mc_u64_ring_push_front(&o->inflight, entry));
  if (!back)
    o->first_id = packet_id;
  return MC_OK;
}

bool mc_outbox_is_staged(const mc_outbox *o, uint32_t i)
{
  return (*mc_u64_ring_at(&o->inflight, i) & MC_OUT_UNASSIGNED) && !(o->assigning && i >= mc_outbox_index(o, o->assign_id));
}

static void drop_in_flight(mc_outbox *o)
{
  uint32_t first = UINT32_MAX; /* of those that go on waiting to be staged */
  for (uint32_t i = o->inflight.len; i-- > 0;) {
    uint64_t *at = mc_u64_ring_at(&o->inflight, i);
    bool staged = mc_outbox_is_staged(o, i);
    if ((*at & MC_OUT_SHARED) && !staged) { /* nothing is on air any more: it goes with the connection */
      o->assigning -= (*at & MC_OUT_UNASSIGNED) != 0;
      *at = (*at & ~MC_OUT_UNASSIGNED) | MC_OUT_DONE;
    } else if ((*at & MC_OUT_UNASSIGNED) && !staged) {
      first = i;
    }
  }
  if (first != UINT32_MAX)
    o->assign_id = mc_outbox_id(o, first);
}

void mc_outbox_drop_shared(mc_outbox *o)
{
  drop_in_flight(o);
  leave_front(o);
  for (uint32_t left = o->waiting.len; left > 0; left--) { /* once round: each keeps its place but these */
    uint64_t entry = mc_u64_ring_pop(&o->waiting);
    if (!(entry & MC_OUT_SHARED))
      mc_u64_ring_push(&o->waiting, entry); /* room is there: it was just popped */
  }
}

bool mc_outbox_forget(mc_outbox *o, uint64_t entry, bool exact)
{
  uint64_t mask = MC_OUT_OFFSET | (exact ? MC_OUT_RETAINED : 0);
  for (uint32_t i = 0; i < o->waiting.len; i++) {
    if ((*mc_u64_ring_at(&o->waiting, i) & mask) != (entry & mask))
      continue;
    for (; i > 0; i--) /* near the front as a rule */
      *mc_u64_ring_at(&o->waiting, i) = *mc_u64_ring_at(&o->waiting, i - 1);
    mc_u64_ring_pop(&o->waiting);
    return true;
  }
  return false;
}
