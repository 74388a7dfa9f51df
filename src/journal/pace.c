#include "journal/pace.h"

#include <stdbool.h>

/* Learns by a straight line through (bytes, time) of the last groups, older ones fading: where it meets 0 bytes is the cost of a
 * sync, its slope the cost of a byte. The arrival rate fades in the same way. */

#define KEEP 0.9375       /* of each group's weight, when the next one comes: about the last sixteen count */
#define FAST_BYTES 1000.0 /* bytes a µs taken for granted until groups of different sizes were seen */

#define SPREAD_BYTES 16384.0 /* groups nearly alike in size say nothing about the cost of a byte */

enum { ODD_TIMES = 8, ODD_US = 1000, ODD_GROUPS = 3 };

static double within(double v, double low, double high)
{
  return v < low ? low : v > high ? high : v;
}

void mc_pace_init(mc_pace *p, const mc_pace_bounds *bounds)
{
  *p = (mc_pace){.bounds = *bounds, .bytes_per_us = FAST_BYTES};
}

static void fit(mc_pace *p)
{
  double spread = p->w * p->bb - p->b * p->b, per_byte = 1 / p->bytes_per_us;
  if (spread > SPREAD_BYTES * SPREAD_BYTES * p->w * p->w)
    per_byte = within((p->w * p->bt - p->b * p->t) / spread, 1e-5, 1);
  double mean_us = p->t / p->w, mean_bytes = p->b / p->w;
  if (per_byte * mean_bytes > mean_us) /* no sync costs less than nothing */
    per_byte = within(mean_us / (mean_bytes + 1), 1e-5, 1);
  p->bytes_per_us = 1 / per_byte;
  p->sync_us = within(mean_us - per_byte * mean_bytes, 0, 1e9);
}

/* One hiccup of the disk does not set the pace; three groups in a row say that the disk is another one now. */
static bool odd(mc_pace *p, double b, double t)
{
  double expected = p->sync_us + b / p->bytes_per_us;
  if (p->w == 0 || (t <= ODD_TIMES * expected + ODD_US && ODD_TIMES * t + ODD_US >= expected)) {
    p->odd = 0;
    return false;
  }
  if (++p->odd < ODD_GROUPS)
    return true;
  p->odd = 0;
  p->w = p->b = p->t = p->bb = p->bt = 0;
  p->bytes_per_us = FAST_BYTES;
  return false;
}

void mc_pace_group(mc_pace *p, size_t bytes, int64_t took_us)
{
  double b = (double)bytes, t = took_us > 0 ? (double)took_us : 0;
  if (odd(p, b, t))
    return;
  p->w = p->w * KEEP + 1;
  p->b = p->b * KEEP + b;
  p->t = p->t * KEEP + t;
  p->bb = p->bb * KEEP + b * b;
  p->bt = p->bt * KEEP + b * t;
  fit(p);
}

void mc_pace_arrived(mc_pace *p, size_t bytes, int64_t within_us)
{
  double rate = (double)bytes / (within_us > 1 ? (double)within_us : 1);
  p->arrival += (rate - p->arrival) / 8;
}

uint32_t mc_pace_wait_us(const mc_pace *p)
{
  double full = p->arrival * p->bounds.wait_us / (double)p->bounds.group_bytes;
  return (uint32_t)(p->bounds.wait_us * within(full, 0, 1));
}

size_t mc_pace_budget(const mc_pace *p)
{
  double worth = 2 * p->sync_us * p->bytes_per_us; /* a third of such a group's time is the sync */
  return (size_t)within(worth, (double)p->bounds.budget_min, (double)p->bounds.budget_max);
}

size_t mc_pace_staged_limit(const mc_pace *p)
{
  size_t budget = mc_pace_budget(p), two = 2 * budget; /* one group on its way to the disk, one gathering */
  return budget == p->bounds.budget_min ? p->bounds.staged_min : two < p->bounds.staged_min ? p->bounds.staged_min : two > p->bounds.staged_max ? p->bounds.staged_max : two;
}
