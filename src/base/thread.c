#include "base/thread.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TURN_NS = 100000 };

/* sched_setattr(2); the C library has no wrapper before 2.41. */
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

void mc_thread_name(const char *name)
{
  char cut[16];
  snprintf(cut, sizeof cut, "%s", name);
  pthread_setname_np(pthread_self(), cut);
}

void mc_thread_prompt(void)
{
  struct attributes a = {.size = sizeof a};
  if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) || a.policy != 0 /* SCHED_OTHER: another was chosen for us */)
    return;
  a.runtime = TURN_NS;
  syscall(SYS_sched_setattr, 0, &a, 0);
}
