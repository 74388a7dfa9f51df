/* The policy-decision case of bench device: what the device cloud decides, in this process. */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/policy_load.h"

/* One policy decision without the gateway's cache of verdicts: each question walks the trie. */
static mc_err run_decision(const bench_options *o, mc_why *why)
{
  enum { ROUNDS = 9, BINDS = 1000 };
  policy_load l;
  double round[ROUNDS];
  int repeat = o->quick ? 2000 : 10000, allowed = 0;
  double begin = bench_now_s();
  mc_err err = policy_load_make(&l, why);
  double made = bench_now_s() - begin;
  for (int i = 0; !err && i < POLICY_LOAD_QUESTIONS; i++)
    allowed += mc_policy_permits(l.policy, &l.who, &l.question[i]);
  if (!err && (allowed < POLICY_LOAD_QUESTIONS / 4 || allowed > POLICY_LOAD_QUESTIONS * 3 / 4))
    err = mc_err_set(why, MC_ERR_INVALID, "%d of %d questions were allowed: the load does not ask what it should", allowed, POLICY_LOAD_QUESTIONS);
  int yes = 0;
  for (int r = 0; !err && r < ROUNDS; r++) {
    begin = bench_now_s();
    for (int k = 0; k < repeat; k++)
      for (int i = 0; i < POLICY_LOAD_QUESTIONS; i++)
        yes += mc_policy_permits(l.policy, &l.who, &l.question[i]);
    round[r] = (bench_now_s() - begin) * 1e6 / repeat / POLICY_LOAD_QUESTIONS;
  }
  if (!err && yes != allowed * repeat * ROUNDS)
    err = mc_err_set(why, MC_ERR_INVALID, "the same question was answered in two ways");
  begin = bench_now_s();
  for (int i = 0; !err && i < BINDS; i++) {
    mc_policy *p;
    err = policy_load_bind(&l, &p);
    mc_policy_release(err ? NULL : p);
  }
  double bind_us = (bench_now_s() - begin) * 1e6 / BINDS;
  if (!err) {
    bench_line line = {.bench = "device", .name = "policy-decision", .unit = "us/decision", .lower_is_better = true, .ours = bench_median(round, ROUNDS), .cpu_us_per_unit = -1, .rss_kib = -1};
    snprintf(line.conditions, sizeof line.conditions,
             "%d policies of %d statements on one vehicle, %d questions about publishing of which %d are allowed, one thread, no cache of verdicts, median of %d rounds of %d; "
             "reading and compiling all of them took %.1f ms, putting in the values of one connection %.2f us",
             POLICY_LOAD_POLICIES, POLICY_LOAD_STATEMENTS, POLICY_LOAD_QUESTIONS, allowed, ROUNDS, repeat * POLICY_LOAD_QUESTIONS, made * 1e3, bind_us);
    bench_print(o, &line);
  }
  policy_load_free(&l);
  return err;
}

int bench_device_policy(const bench_options *o)
{
  mc_why why = {0};
  if (!bench_wanted(o, "policy-decision") || !run_decision(o, &why))
    return 0;
  fprintf(stderr, "bench device policy-decision: %s\n", why.text);
  return 1;
}
