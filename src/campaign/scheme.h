/* A campaign being compiled against one manifest: between scheme.c and scheme_parts.c. Private to them. */
#ifndef MC_CAMPAIGN_SCHEME_H
#define MC_CAMPAIGN_SCHEME_H

#include "campaign/state.h"

typedef struct compile_run {
  mc_campaigns *c;
  const mc_campaign *campaign;
  const manifest_version *m;
  agent_kind agent;
  mc_arena arena;
  MC_VEC(mc_fw_signal_info) info;
  mc_map info_index; /* signal id -> index, of those without a path */
  mc_map ieee;       /* ids of IEEE 754 signals, when the agent reads them wrongly */
  mc_slice first_missing; /* of what it collects */
  compiled_scheme *out;
} compile_run;

/* It is not sent to such a vehicle: says why, and that is no error. */
mc_err scheme_leave_out(compile_run *r, const char *reason, const char *text);
mc_fw_signal_info *scheme_info_of(compile_run *r, uint32_t signal);
mc_err scheme_info_add(compile_run *r, mc_fw_signal_info info);
/* One condition of it: parsed, its signals listed, fitted to the agent. *complete false: it is left out. where: before what is told ("expression"). */
mc_err scheme_condition(compile_run *r, const char *where, mc_slice text, mc_fw_node **out, bool *complete);

/* scheme_parts.c: store and forward, and fetching */
mc_err scheme_partitions(compile_run *r, mc_fw_scheme *scheme, bool *complete);
mc_err scheme_fetches(compile_run *r, mc_fw_scheme *scheme, bool *complete);
/* Index of a partition by id; of the default one when it is empty. 0 when there is none. */
uint32_t scheme_partition_index(const mc_campaign *g, mc_slice id);

#endif
