/* policy_load: what policy decisions are measured on, by `motorcade bench device` and by tests/access/policy_path.c: 10 policies of 100 statements on one
 * vehicle, and questions of which some are allowed, some explicitly denied, some named by nothing. */
#ifndef BENCH_POLICY_LOAD_H
#define BENCH_POLICY_LOAD_H

#include "access/access.h"

enum { POLICY_LOAD_POLICIES = 10, POLICY_LOAD_STATEMENTS = 100, POLICY_LOAD_QUESTIONS = 64 };
typedef struct policy_load {
  mc_policy *policy;
  mc_policy_set *set;
  mc_principal who;
  mc_policy_question question[POLICY_LOAD_QUESTIONS];
  char text[POLICY_LOAD_QUESTIONS][96];
} policy_load;
mc_err policy_load_make(policy_load *out, mc_why *why);
mc_err policy_load_bind(const policy_load *l, mc_policy **out); /* for one vehicle more */
void policy_load_free(policy_load *l);

#endif
