#include "gateway/outbox.h"

#include <stdlib.h>

static mc_err ring_resize(mc_u64_ring *r, uint32_t cap)
{
  uint64_t *at = malloc(cap * sizeof *at);
  if (!at)
    return MC_ERR_MEMORY;
  for (uint32_t i = 0; i < r->len; i++)
    at[i] = *mc_u64_ring_at(r, i);
  free(r->at);
  *r = (mc_u64_ring){at, 0, r->len, cap};
  return MC_OK;
}

mc_err mc_u64_ring_reserve(mc_u64_ring *r, uint32_t more)
{
  uint32_t cap = r->cap ? r->cap : 8;
  if (more <= r->cap - r->len)
    return MC_OK;
  while (cap - r->len < more) {
    if (cap > UINT32_MAX / 16)
      return MC_ERR_MEMORY;
    cap *= 2;
  }
  return ring_resize(r, cap);
}

static mc_err ring_reserve(mc_u64_ring *r) { return r->len < r->cap ? MC_OK : mc_u64_ring_reserve(r, 1); }

void mc_u64_ring_fit(mc_u64_ring *r)
{
  uint32_t cap = 8;
  while (cap < r->len)
    cap *= 2;
  if (!r->len)
    mc_u64_ring_free(r);
  else if (cap < r->cap)
    (void)ring_resize(r, cap); /* without memory it stays large */
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

void mc_outbox_init(mc_outbox *o)
{
  *o = (mc_outbox){.first_id = 1, .resend = UINT32_MAX, .scan_begin = UINT64_MAX, .scan_end = UINT64_MAX};
}

void mc_outbox_clear(mc_outbox *o)
{
  mc_u64_ring_free(&o->inflight);
  mc_u64_ring_free(&o->waiting);
  mc_u64_ring_free(&o->head);
  mc_u64_ring_free(&o->page);
  mc_map_free(&o->skip);
  mc_outbox_init(o);
}

mc_err mc_outbox_create(mc_outbox **out)
{
  *out = malloc(sizeof **out);
  if (!*out)
    return MC_ERR_MEMORY;
  mc_outbox_init(*out);
  return MC_OK;
}

void mc_outbox_destroy(mc_outbox **out)
{
  if (!*out)
    return;
  mc_outbox_clear(*out);
  free(*out);
  *out = NULL;
}

bool mc_outbox_empty(const mc_outbox *o)
{
  return o->inflight.len == 0 && !mc_outbox_waits(o) && !mc_outbox_scanning(o);
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

static void drop_shared_of(mc_u64_ring *r)
{
  for (uint32_t left = r->len; left > 0; left--) { /* once round: each keeps its place but these */
    uint64_t entry = mc_u64_ring_pop(r);
    if (!(entry & MC_OUT_SHARED))
      mc_u64_ring_push(r, entry); /* room is there: it was just popped */
  }
}

void mc_outbox_drop_shared(mc_outbox *o)
{
  drop_in_flight(o);
  leave_front(o);
  drop_shared_of(&o->head);
  drop_shared_of(&o->waiting);
}

static bool forget_in(mc_u64_ring *r, uint64_t entry, uint64_t mask)
{
  for (uint32_t i = 0; i < r->len; i++) {
    if ((*mc_u64_ring_at(r, i) & mask) != (entry & mask))
      continue;
    for (; i > 0; i--) /* near the front as a rule */
      *mc_u64_ring_at(r, i) = *mc_u64_ring_at(r, i - 1);
    mc_u64_ring_pop(r);
    return true;
  }
  return false;
}

bool mc_outbox_forget(mc_outbox *o, uint64_t entry, bool exact)
{
  uint64_t mask = MC_OUT_OFFSET | (exact ? MC_OUT_RETAINED : 0);
  return forget_in(&o->head, entry, mask) || forget_in(&o->waiting, entry, mask);
}

static bool holds_in(const mc_u64_ring *r, uint64_t offset)
{
  for (uint32_t i = 0; i < r->len; i++)
    if ((*mc_u64_ring_at(r, i) & (MC_OUT_OFFSET | MC_OUT_RETAINED | MC_OUT_DONE | MC_OUT_SHARED)) == offset)
      return true;
  return false;
}

bool mc_outbox_holds(const mc_outbox *o, uint64_t offset) { return holds_in(&o->inflight, offset) || holds_in(&o->head, offset) || holds_in(&o->waiting, offset); }

size_t mc_outbox_bytes(const mc_outbox *o)
{
  return sizeof *o + ((size_t)o->inflight.cap + o->waiting.cap + o->head.cap + o->page.cap + 2 * o->skip.cap) * sizeof(uint64_t);
}

/* ---- pages ---- */
uint64_t mc_outbox_page_pack(uint64_t offset, uint64_t oldest)
{
  uint64_t back = oldest < offset ? (offset - oldest + 7) >> 3 : 0;
  unsigned shift = 0;
  while (back > 31) {
    back = (back + 1) >> 1;
    shift++;
  }
  return offset >> 3 << 11 | back << 6 | shift;
}

uint64_t mc_outbox_page_oldest(uint64_t page)
{
  uint64_t offset = mc_outbox_page_offset(page), back = ((page >> 6 & 31) << (page & 63)) << 3;
  return back < offset ? offset - back : 0;
}

mc_err mc_outbox_restore_page(mc_outbox *o, uint64_t offset, uint64_t oldest, uint32_t count)
{
  uint32_t i = o->page.len; /* behind all whose offset is not greater: the last, as a rule */
  while (i > 0 && mc_outbox_page_offset(*mc_u64_ring_at(&o->page, i - 1)) > offset)
    i--;
  if (i > 0 && mc_outbox_page_offset(*mc_u64_ring_at(&o->page, i - 1)) == offset)
    return MC_OK;
  MC_TRY(mc_u64_ring_push(&o->page, 0));
  for (uint32_t k = o->page.len - 1; k > i; k--)
    *mc_u64_ring_at(&o->page, k) = *mc_u64_ring_at(&o->page, k - 1);
  *mc_u64_ring_at(&o->page, i) = mc_outbox_page_pack(offset, oldest);
  o->paged += count;
  return MC_OK;
}

/* The first `count` of waiting are in the page at this offset; they still stand in waiting. */
static mc_err add_page(mc_outbox *o, uint64_t offset, uint32_t count)
{
  uint64_t oldest = offset;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t at = *mc_u64_ring_at(&o->waiting, i) & MC_OUT_OFFSET;
    oldest = at < oldest ? at : oldest;
  }
  return mc_outbox_restore_page(o, offset, oldest, count);
}

void mc_outbox_paged(mc_outbox *o, uint64_t offset)
{
  if (add_page(o, offset, o->paging) != MC_OK) {
    mc_outbox_page_failed(o);
    return;
  }
  for (; o->paging; o->paging--)
    mc_u64_ring_pop(&o->waiting);
  mc_u64_ring_fit(&o->waiting);
  o->page_at = 0;
}

void mc_outbox_page_failed(mc_outbox *o)
{
  o->paging = 0;
  o->page_at = o->waiting.len + MC_PAGE_RETRY;
}

mc_err mc_outbox_skip(mc_outbox *o, uint64_t recorded)
{
  uint64_t times = 0;
  mc_map_get(&o->skip, recorded, &times);
  return mc_map_put(&o->skip, recorded, times + 1);
}

bool mc_outbox_skipped(mc_outbox *o, uint64_t recorded)
{
  uint64_t times;
  if (!mc_map_get(&o->skip, recorded, &times))
    return false;
  if (times > 1)
    mc_map_put(&o->skip, recorded, times - 1);
  else
    mc_map_remove(&o->skip, recorded, NULL);
  return true;
}
