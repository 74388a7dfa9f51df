#include "tap.h"

#include "gateway/packet_ids.h"

static void test_keeps_every_identifier_with_its_flags(void)
{
  mc_packet_ids set = {0};
  uint16_t flags = 9;
  CHECK(!mc_packet_ids_get(&set, 1, &flags));
  CHECK_INT(flags, 0);
  CHECK(!mc_packet_ids_remove(&set, 1));
  for (uint32_t id = 1; id <= 65535; id++)
    CHECK_OK(mc_packet_ids_put(&set, (uint16_t)id, (uint16_t)(id * 7)));
  CHECK_INT(set.len, 65535);
  for (uint32_t id = 1; id <= 65535; id++) {
    CHECK(mc_packet_ids_get(&set, (uint16_t)id, &flags));
    CHECK_INT(flags, (uint16_t)(id * 7));
  }
  CHECK_OK(mc_packet_ids_put(&set, 5, 1)); /* again: replaced */
  CHECK_INT(set.len, 65535);
  for (uint32_t id = 1; id <= 65535; id += 2)
    CHECK(mc_packet_ids_remove(&set, (uint16_t)id));
  for (uint32_t id = 1; id <= 65535; id++)
    CHECK_INT(mc_packet_ids_get(&set, (uint16_t)id, NULL), id % 2 == 0);
  mc_packet_ids_free(&set);
}

/* Against a plain table, with numbers that collide. */
static void test_agrees_with_a_table_under_random_use(void)
{
  static uint32_t want[65536]; /* flags + 1 */
  mc_packet_ids set = {0};
  uint32_t seed = 7, in_use = 0;
  for (int i = 0; i < 400000; i++) {
    seed = seed * 1664525u + 1013904223u;
    uint16_t id = (uint16_t)((seed >> 10) % 300 * 211 + 1), flags;
    if (seed >> 31) {
      in_use += !want[id];
      want[id] = (seed >> 20 & 7) + 1;
      CHECK_OK(mc_packet_ids_put(&set, id, (uint16_t)(want[id] - 1)));
    } else {
      CHECK_INT(mc_packet_ids_remove(&set, id), want[id] != 0);
      in_use -= want[id] != 0;
      want[id] = 0;
    }
    CHECK_INT(set.len, in_use);
    uint16_t other = (uint16_t)((seed >> 5) % 300 * 211 + 1);
    CHECK_INT(mc_packet_ids_get(&set, other, &flags), want[other] != 0);
    if (want[other])
      CHECK_INT(flags, want[other] - 1);
  }
  uint32_t at = 0, seen = 0;
  uint16_t id, flags;
  while (mc_packet_ids_next(&set, &at, &id, &flags)) {
    CHECK_INT(flags, want[id] - 1);
    seen++;
  }
  CHECK_INT(seen, in_use);
  mc_packet_ids_free(&set);
}

static void test_costs_nothing_when_empty(void)
{
  mc_packet_ids set = {0};
  CHECK_OK(mc_packet_ids_put(&set, 65535, 3));
  CHECK_INT(set.cap, 8);
  CHECK(mc_packet_ids_remove(&set, 65535));
  CHECK(!set.slot);
  CHECK_INT(set.cap, 0);
}

int main(void)
{
  RUN(test_keeps_every_identifier_with_its_flags);
  RUN(test_agrees_with_a_table_under_random_use);
  RUN(test_costs_nothing_when_empty);
  return tap_done();
}
