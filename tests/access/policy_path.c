/* Policy decisions alone, to be counted under callgrind (tools/hot_path.py).
 *
 *   access_policy_path DECISIONS decide */
#include <stdio.h>
#include <stdlib.h>

#include "bench/policy_load.h"

int main(int argc, char **argv)
{
  int decisions = argc == 3 ? atoi(argv[1]) : 0, allowed = 0;
  policy_load l;
  mc_why why = {0};
  if (decisions < 1 || policy_load_make(&l, &why)) {
    fprintf(stderr, "usage: %s DECISIONS decide\n%s\n", argv[0], why.text);
    return 2;
  }
  for (int i = 0; i < decisions; i++)
    allowed += mc_policy_permits(l.policy, &l.who, &l.question[i % POLICY_LOAD_QUESTIONS]);
  policy_load_free(&l);
  return allowed > 0 ? 0 : 2;
}
