/* How large groups are and how long they gather, learned from the disk (README, Pace). Pure; the committer's thread. Private to journal. */
#ifndef MC_JOURNAL_PACE_H
#define MC_JOURNAL_PACE_H

#include <stddef.h>
#include <stdint.h>

typedef struct mc_pace_bounds {
  uint32_t wait_us;              /* longest that a group gathers */
  size_t group_bytes;            /* gathered early */
  size_t budget_min, budget_max; /* largest group on a fast, on a slow disk */
  size_t staged_min, staged_max; /* what a writer may stage on a fast, on a slow disk */
} mc_pace_bounds;

typedef struct mc_pace {
  mc_pace_bounds bounds;
  double w, b, t, bb, bt; /* fading sums: weight, bytes, µs, bytes², bytes × µs */
  double sync_us;         /* learned: what a group costs apart from its bytes */
  double bytes_per_us;    /* learned: the disk's throughput */
  unsigned odd;           /* groups in a row that took another time than they should */
  double arrival;         /* bytes a µs that writers stage */
} mc_pace;

void mc_pace_init(mc_pace *p, const mc_pace_bounds *bounds);
/* A group of so many bytes was written and synced in took_us. */
void mc_pace_group(mc_pace *p, size_t bytes, int64_t took_us);
/* So many bytes were staged in the time since the group before began. */
void mc_pace_arrived(mc_pace *p, size_t bytes, int64_t within_us);
/* How long after the last group's beginning the next one may still gather. */
uint32_t mc_pace_wait_us(const mc_pace *p);
size_t mc_pace_budget(const mc_pace *p);
size_t mc_pace_staged_limit(const mc_pace *p);

#endif
