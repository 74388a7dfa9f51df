/* AWS policy documents: whatever parses is compiled, bound to odd values and asked; the trie's verdict and the explanation's are the same. */
#include <stdlib.h>

#include "access/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void resolve(void *ctx, const mc_policy_variable *v, mc_policy_values *out)
{
  const mc_slice *in = ctx;
  if (v->kind == MC_VARIABLE_DOMAIN_NAME)
    return;
  out->at[out->count++] = v->kind == MC_VARIABLE_THING_ATTACHED ? MC_LIT("true") : mc_slice_sub(*in, in->len / 2, 12);
  if (v->kind == MC_VARIABLE_CERTIFICATE)
    out->at[out->count++] = MC_LIT("second");
}

static void ask(const mc_policy *p, mc_action action, mc_slice resource)
{
  mc_principal who = {.kind = MC_PRINCIPAL_THING, .name = "veh"};
  mc_policy_question q = {action, resource, MC_ASKED_PERSISTENT, false};
  mc_arena arena = MC_ARENA(0);
  mc_policy_explanation e;
  bool permits = mc_policy_permits(p, &who, &q);
  if (mc_policy_explain(p, &q, &arena, &e, NULL) == MC_OK && resource.len && !mc_policy_is_timed(p) && e.allowed != permits)
    abort();
  mc_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_policy_document *d = NULL;
  mc_policy_set *set = NULL;
  mc_policy *p = NULL;
  mc_why why;
  mc_slice in = mc_slice_of(data, size);
  if (size > 16384 || mc_policy_document_parse(in, &d, &why) != MC_OK) /* longer ones only cost time */
    return 0;
  mc_policy_part part[2] = {{d, MC_LIT("a"), 1}, {d, MC_LIT("b"), 2}};
  if (mc_policy_set_compile(part, 2, &set, &why) == MC_OK && mc_policy_bind(set, resolve, &in, &p) == MC_OK)
    for (int action = 0; action < MC_ACTIONS; action++) {
      ask(p, (mc_action)action, MC_LIT("a/b"));
      ask(p, (mc_action)action, mc_slice_sub(in, size / 3, 300));
    }
  mc_policy_release(p);
  mc_policy_set_release(set);
  mc_policy_document_release(d);
  return 0;
}
