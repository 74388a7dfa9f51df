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

bool mc_outbox_has(const mc_outbox *o, uint16_t packet_id)
{
  uint32_t i = (packet_id + 65535u - o->first_id) % 65535u;
  return packet_id != 0 && i < o->inflight.len && !(*mc_u64_ring_at(&o->inflight, i) & MC_OUT_DONE);
}

bool mc_outbox_ack(mc_outbox *o, uint16_t packet_id, uint64_t *entry)
{
  if (!mc_outbox_has(o, packet_id))
    return false;
  uint64_t *at = mc_u64_ring_at(&o->inflight, (packet_id + 65535u - o->first_id) % 65535u);
  *entry = *at;
  *at |= MC_OUT_DONE;
  leave_front(o);
  return true;
}

void mc_outbox_drop_shared(mc_outbox *o)
{
  for (uint32_t i = 0; i < o->inflight.len; i++)
    if (*mc_u64_ring_at(&o->inflight, i) & MC_OUT_SHARED)
      *mc_u64_ring_at(&o->inflight, i) |= MC_OUT_DONE;
  leave_front(o);
  for (uint32_t left = o->waiting.len; left > 0; left--) { /* once round: each keeps its place but these */
    uint64_t entry = mc_u64_ring_pop(&o->waiting);
    if (!(entry & MC_OUT_SHARED))
      mc_u64_ring_push(&o->waiting, entry); /* room is there: it was just popped */
  }
}

bool mc_outbox_forget(mc_outbox *o, uint64_t offset)
{
  for (uint32_t i = 0; i < o->waiting.len; i++) {
    if ((*mc_u64_ring_at(&o->waiting, i) & MC_OUT_OFFSET) != offset)
      continue;
    for (; i > 0; i--) /* near the front as a rule */
      *mc_u64_ring_at(&o->waiting, i) = *mc_u64_ring_at(&o->waiting, i - 1);
    mc_u64_ring_pop(&o->waiting);
    return true;
  }
  return false;
}
