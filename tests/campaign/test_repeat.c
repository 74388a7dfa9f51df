/* The table of repeats: what it knows, what it forgets, and from where the journal has to be read to fill it again. */
#include "campaign/state.h"
#include "tap.h"

enum { GENERATION = 1 << 16, GENERATIONS = 8 };

static bool seen(repeat_table *t, uint64_t n, uint64_t offset)
{
  return repeat_table_seen(t, 1, 7, MC_LIT("campaign-1"), n, (uint32_t)n, MC_LIT("payload"), offset);
}

static void test_the_same_message_elsewhere_in_the_journal_is_a_repeat(void)
{
  repeat_table *t = repeat_table_create();
  CHECK(t);
  CHECK(!seen(t, 1, 100));
  CHECK(!seen(t, 1, 100)); /* read again after a restart */
  CHECK(seen(t, 1, 200));
  CHECK(!seen(t, 2, 300));
  CHECK(!repeat_table_seen(t, 1, 8, MC_LIT("campaign-1"), 1, 1, MC_LIT("payload"), 400));
  CHECK(!repeat_table_seen(t, 2, 7, MC_LIT("campaign-1"), 1, 1, MC_LIT("payload"), 500));
  CHECK(!repeat_table_seen(t, 1, 7, MC_LIT("campaign-1"), 1, 1, MC_LIT("other"), 600));
  repeat_table_destroy(t);
}

static void test_seven_generations_are_known_and_the_oldest_is_forgotten(void)
{
  repeat_table *t = repeat_table_create();
  CHECK(t);
  CHECK_INT(repeat_table_oldest(t, 0), UINT64_MAX);
  uint64_t n = 0;
  for (; n < (uint64_t)GENERATION * GENERATIONS; n++)
    if (seen(t, n, 1000 + n))
      break;
  CHECK_INT(n, (uint64_t)GENERATION * GENERATIONS);
  CHECK_INT(repeat_table_oldest(t, 0), 1000);
  CHECK(seen(t, 0, 5));
  CHECK(!seen(t, n, 1000 + n)); /* no room: the first generation goes */
  CHECK_INT(repeat_table_oldest(t, 0), 1000 + GENERATION);
  CHECK(seen(t, GENERATION, 5));
  CHECK(seen(t, n, 5));
  CHECK(!seen(t, 0, 2000 + n));
  repeat_table_destroy(t);
}

int main(void)
{
  RUN(test_the_same_message_elsewhere_in_the_journal_is_a_repeat);
  RUN(test_seven_generations_are_known_and_the_oldest_is_forgotten);
  return tap_done();
}
