/* How many hours far from the present one vehicle may open. Each hour of history is a file of its own, shared by the fleet; a clock gone mad
 * or a rogue vehicle that spreads its samples over the centuries would fill disk and start-up time with files of one row. A vehicle that was
 * away for weeks brings a few hundred such hours, one after the other: that is what the budget is made for.
 *
 * Time is the journal's, so that reading again decides the same again. Decoder thread only. */
#include <stdlib.h>

#include "campaign/state.h"

enum { BURST = 1024, KNOWN = 64 /* hours paid for lately: parts of one upload come interleaved */ };
#define HOUR INT64_C(3600000000)
#define NEAR_PAST (7 * 24 * HOUR)
#define NEAR_FUTURE (HOUR / 30) /* from here on samples are quarantined */
#define EARN_US (HOUR / 10)

typedef struct account {
  int64_t earned_us; /* what came before it is paid out */
  uint32_t left, next, known_count;
  int64_t known[KNOWN];
} account;

struct hour_budget {
  mc_map account; /* tenant << 32 | vehicle -> account * */
};

hour_budget *hour_budget_create(void)
{
  return calloc(1, sizeof(hour_budget));
}

void hour_budget_destroy(hour_budget *b)
{
  size_t at = 0;
  uint64_t value;
  if (!b)
    return;
  while (mc_map_next(&b->account, &at, NULL, &value))
    free((void *)(uintptr_t)value);
  mc_map_free(&b->account);
  free(b);
}

static account *account_of(hour_budget *b, uint32_t tenant, uint32_t vehicle, int64_t arrival_us)
{
  uint64_t key = (uint64_t)tenant << 32 | vehicle, value;
  if (mc_map_get(&b->account, key, &value))
    return (account *)(uintptr_t)value;
  account *a = calloc(1, sizeof *a);
  if (!a || mc_map_put(&b->account, key, (uint64_t)(uintptr_t)a)) {
    free(a);
    return NULL;
  }
  a->left = BURST;
  a->earned_us = arrival_us;
  return a;
}

static void earn(account *a, int64_t arrival_us)
{
  if (arrival_us < a->earned_us)
    return;
  int64_t n = (arrival_us - a->earned_us) / EARN_US;
  a->earned_us += n * EARN_US;
  a->left = n > BURST - (int64_t)a->left ? BURST : a->left + (uint32_t)n;
}

bool hour_budget_take(hour_budget *b, uint32_t tenant, uint32_t vehicle, int64_t time_us, int64_t arrival_us)
{
  if (time_us > arrival_us - NEAR_PAST && time_us <= arrival_us + NEAR_FUTURE)
    return true; /* hours that the fleet has anyway */
  account *a = account_of(b, tenant, vehicle, arrival_us);
  if (!a)
    return true; /* no memory to count: rather a file too many than a sample lost */
  int64_t hour = time_us / HOUR - (time_us % HOUR < 0);
  for (uint32_t i = 0; i < a->known_count; i++)
    if (a->known[(a->next + KNOWN - 1 - i) % KNOWN] == hour)
      return true;
  earn(a, arrival_us);
  if (!a->left)
    return false;
  a->left--;
  a->known[a->next] = hour;
  a->next = (a->next + 1) % KNOWN;
  a->known_count += a->known_count < KNOWN;
  return true;
}
