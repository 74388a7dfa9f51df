#include "base/ring.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

/* Each cell carries a turn number: equal to the position when free for that push, position + 1 when it
 * holds an item. Producers claim a position by compare-and-swap and publish by bumping the turn. */
struct cell {
  _Atomic size_t turn;
  void *item;
};

struct mc_ring {
  size_t mask;
  struct cell *cell;
  _Alignas(64) _Atomic size_t head; /* next push */
  _Alignas(64) _Atomic size_t tail; /* next pop; written by the consumer only */
};

mc_err mc_ring_create(size_t capacity, mc_ring **out)
{
  *out = NULL;
  size_t size = 2;
  while (size < capacity)
    if (__builtin_mul_overflow(size, 2, &size) || size > SIZE_MAX / sizeof(struct cell))
      return MC_ERR_TOO_LARGE;
  mc_ring *ring = aligned_alloc(64, (sizeof *ring + 63) & ~(size_t)63);
  if (!ring)
    return MC_ERR_MEMORY;
  ring->cell = malloc(size * sizeof *ring->cell);
  if (!ring->cell) {
    free(ring);
    return MC_ERR_MEMORY;
  }
  for (size_t i = 0; i < size; i++) {
    atomic_init(&ring->cell[i].turn, i);
    ring->cell[i].item = NULL;
  }
  ring->mask = size - 1;
  atomic_init(&ring->head, 0);
  atomic_init(&ring->tail, 0);
  *out = ring;
  return MC_OK;
}

void mc_ring_destroy(mc_ring **ring)
{
  if (!*ring)
    return;
  free((*ring)->cell);
  free(*ring);
  *ring = NULL;
}

mc_err mc_ring_push(mc_ring *ring, void *item)
{
  size_t at = atomic_load_explicit(&ring->head, memory_order_relaxed);
  for (;;) {
    struct cell *c = &ring->cell[at & ring->mask];
    size_t turn = atomic_load_explicit(&c->turn, memory_order_acquire);
    if (turn == at) {
      if (atomic_compare_exchange_weak_explicit(&ring->head, &at, at + 1, memory_order_relaxed, memory_order_relaxed)) {
        c->item = item;
        atomic_store_explicit(&c->turn, at + 1, memory_order_release);
        return MC_OK;
      }
    } else if ((intptr_t)(turn - at) < 0) {
      return MC_ERR_FULL;
    } else {
      at = atomic_load_explicit(&ring->head, memory_order_relaxed);
    }
  }
}

void *mc_ring_pop(mc_ring *ring)
{
  size_t at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  struct cell *c = &ring->cell[at & ring->mask];
  if (atomic_load_explicit(&c->turn, memory_order_acquire) != at + 1)
    return NULL;
  void *item = c->item;
  atomic_store_explicit(&c->turn, at + ring->mask + 1, memory_order_release);
  atomic_store_explicit(&ring->tail, at + 1, memory_order_relaxed);
  return item;
}

size_t mc_ring_len(const mc_ring *ring)
{
  size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  size_t len = head - tail;
  return len > ring->mask + 1 ? 0 : len;
}
