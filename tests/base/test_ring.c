#include <pthread.h>
#include <sched.h>

#include "base/ring.h"
#include "tap.h"

static void test_gives_items_back_in_order_and_says_when_full(void)
{
  mc_ring *ring;
  int item[8];
  CHECK_OK(mc_ring_create(5, &ring)); /* rounded up to 8 */
  CHECK(mc_ring_pop(ring) == NULL);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 8; i++)
      CHECK_OK(mc_ring_push(ring, &item[i]));
    CHECK_INT(mc_ring_push(ring, &item[0]), MC_ERR_FULL);
    CHECK_INT(mc_ring_len(ring), 8);
    for (int i = 0; i < 8; i++)
      CHECK(mc_ring_pop(ring) == &item[i]);
    CHECK(mc_ring_pop(ring) == NULL);
    CHECK_INT(mc_ring_len(ring), 0);
  }
  mc_ring_destroy(&ring);
  CHECK(ring == NULL);
  mc_ring_destroy(&ring);
}

static void test_refuses_an_impossible_capacity(void)
{
  mc_ring *ring;
  CHECK_INT(mc_ring_create(SIZE_MAX, &ring), MC_ERR_TOO_LARGE);
  CHECK(ring == NULL);
}

enum { PRODUCERS = 3, EACH = 20000 };
static mc_ring *shared;
static uintptr_t items[PRODUCERS][EACH];

static void *produce(void *arg)
{
  uintptr_t id = *(uintptr_t *)arg;
  for (uintptr_t i = 0; i < EACH; i++) {
    items[id][i] = id << 32 | i;
    while (mc_ring_push(shared, &items[id][i]) == MC_ERR_FULL)
      sched_yield();
  }
  return NULL;
}

static void test_keeps_the_order_of_each_producer(void)
{
  pthread_t thread[PRODUCERS];
  uintptr_t id[PRODUCERS], next[PRODUCERS] = {0};
  CHECK_OK(mc_ring_create(64, &shared));
  for (uintptr_t p = 0; p < PRODUCERS; p++) {
    id[p] = p;
    pthread_create(&thread[p], NULL, produce, &id[p]);
  }
  bool right = true;
  for (int got = 0; got < PRODUCERS * EACH;) {
    uintptr_t *item = mc_ring_pop(shared);
    if (!item) {
      sched_yield();
      continue;
    }
    right &= next[*item >> 32]++ == (*item & 0xFFFFFFFF);
    got++;
  }
  for (int p = 0; p < PRODUCERS; p++)
    pthread_join(thread[p], NULL);
  mc_ring_destroy(&shared);
  CHECK(right);
}

int main(void)
{
  RUN(test_gives_items_back_in_order_and_says_when_full);
  RUN(test_refuses_an_impossible_capacity);
  RUN(test_keeps_the_order_of_each_producer);
  return tap_done();
}
