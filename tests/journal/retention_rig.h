/* What the tests of retention and compaction share: clocks that can be turned, a small journal, and a keeper that does not let them wait. */
#ifndef TESTS_JOURNAL_RETENTION_RIG_H
#define TESTS_JOURNAL_RETENTION_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "journal/compacted.h"
#include "journal_rig.h"

static _Atomic int64_t wall_ahead_us, mono_ahead_us;

static inline int64_t since(clockid_t id)
{
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline int64_t turned_wall(void) { return since(CLOCK_REALTIME) + atomic_load(&wall_ahead_us); }
static inline int64_t turned_mono(void) { return since(CLOCK_MONOTONIC) + atomic_load(&mono_ahead_us); }

static mc_why why;

static inline mc_journal_config small(const mc_fs *fs, const char *dir)
{
  mc_journal_config c = rig_config(fs, dir);
  c.segment_bytes = 16384;
  c.group_wait_us = 1;
  return c;
}

static inline mc_err put(mc_journal *j, const char *topic, const char *text, int flags, mc_stream stream, uint64_t *offset)
{
  mc_record r = {.stream = stream, .flags = (uint8_t)flags, .tenant = 1, .time_us = mc_clock_wall_us(), .topic = mc_slice_str(topic), .payload = mc_slice_str(text)};
  return mc_journal_append_sync(j, &r, offset, &why);
}

/* The keeper looks around five times a second. Here it does so now. */
static inline void hurry(mc_journal *j)
{
  pthread_mutex_lock(&j->keeper_lock);
  pthread_cond_signal(&j->keeper_cond);
  pthread_mutex_unlock(&j->keeper_lock);
}

/* Real time: tests turn the other clocks. */
static inline bool within(int64_t us, bool (*holds)(mc_journal *j, uint64_t arg), mc_journal *j, uint64_t arg)
{
  int64_t give_up = since(CLOCK_MONOTONIC) + us;
  while (!holds(j, arg) && since(CLOCK_MONOTONIC) < give_up) {
    hurry(j);
    usleep(500);
  }
  return holds(j, arg);
}

static inline bool until(bool (*holds)(mc_journal *j, uint64_t arg), mc_journal *j, uint64_t arg)
{
  return within(60000000, holds, j, arg);
}

#endif
