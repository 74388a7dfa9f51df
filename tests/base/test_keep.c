#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/keep.h"
#include "tap.h"

enum { MANY = 20000 };
static uint8_t *thing[MANY];

static size_t size_of(size_t i) { return 1 + i * 7 % 2100; } /* the largest are malloc's */

/* Each thing is filled with its own byte; a neighbour that reaches into it shows. */
static bool whole(size_t i)
{
  for (size_t k = 0; k < size_of(i); k++)
    if (thing[i][k] != (uint8_t)i)
      return false;
  return true;
}

static void make(size_t i)
{
  thing[i] = mc_keep_alloc(size_of(i));
  for (size_t k = 0; k < size_of(i); k++)
    CHECK_INT(thing[i][k], 0);
  memset(thing[i], (uint8_t)i, size_of(i));
}

static void test_things_do_not_overlap_and_come_zeroed(void)
{
  for (size_t i = 0; i < MANY; i++)
    make(i);
  for (size_t i = 0; i < MANY; i += 2) {
    CHECK(whole(i));
    mc_keep_free(thing[i], size_of(i));
  }
  for (size_t i = 0; i < MANY; i += 2)
    make(i);
  for (size_t i = 0; i < MANY; i++) {
    CHECK((uintptr_t)thing[i] % 16 == 0);
    CHECK(whole(i));
    mc_keep_free(thing[i], size_of(i));
  }
}

static void test_blocks_go_back_when_they_are_empty(void)
{
  size_t before = mc_keep_held();
  for (size_t i = 0; i < MANY; i++)
    thing[i] = mc_keep_alloc(500);
  size_t full = mc_keep_held();
  CHECK(full - before >= (size_t)MANY * 500 && full - before < (size_t)MANY * 540);
  for (size_t i = 0; i < MANY; i++)
    mc_keep_free(thing[i], 500);
  CHECK(mc_keep_held() <= before + (64 << 10)); /* one stays for the next */
}

static void test_strings(void)
{
  char *copy = mc_keep_str("127.0.0.1:1883");
  CHECK(copy && !strcmp(copy, "127.0.0.1:1883"));
  mc_keep_str_free(copy);
  mc_keep_str_free(NULL);
  mc_keep_free(NULL, 10);
}

static void *work(void *arg)
{
  uint8_t *own[64] = {0};
  unsigned seed = (unsigned)(uintptr_t)arg, at;
  bool ok = true;
  for (int i = 0; i < 50000; i++) {
    at = (seed = seed * 1103515245 + 12345) >> 16 & 63;
    if (own[at])
      ok = ok && own[at][0] == (uint8_t)at && own[at][at * 20] == (uint8_t)at;
    mc_keep_free(own[at], at * 20 + 1);
    own[at] = mc_keep_alloc(at * 20 + 1);
    own[at][0] = own[at][at * 20] = (uint8_t)at;
  }
  for (at = 0; at < 64; at++)
    mc_keep_free(own[at], at * 20 + 1);
  return ok ? arg : NULL;
}

static void test_threads_do_not_get_the_same(void)
{
  pthread_t t[4];
  for (uintptr_t i = 0; i < 4; i++)
    CHECK_INT(pthread_create(&t[i], NULL, work, (void *)(i + 1)), 0);
  for (uintptr_t i = 0; i < 4; i++) {
    void *ok;
    pthread_join(t[i], &ok);
    CHECK(ok != NULL);
  }
}

int main(void)
{
  mc_keep_use_blocks(true);
  RUN(test_things_do_not_overlap_and_come_zeroed);
  RUN(test_blocks_go_back_when_they_are_empty);
  RUN(test_strings);
  RUN(test_threads_do_not_get_the_same);
  return tap_done();
}
