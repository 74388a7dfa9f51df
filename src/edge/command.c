/* Commands to the vehicle: read, judged, always answered (contract fleetwise 5.7; section 13, "commands"). */
#include "edge/decoder.h"

static void answer(state_answer *give, void *ctx, mc_slice id, state_verdict v)
{
  const char *text = v.reason ? mc_fw_reason_text(v.reason) : NULL;
  mc_fw_command_response r = {.status = v.status, .command_id = id, .reason = v.reason, .text = mc_slice_str(text ? text : "")};
  give(ctx, &r);
}

/* issued + timeout lies behind the vehicle's clock: nobody waits for it any more. */
static bool is_late(const mc_fw_command_request *r, int64_t wall_us)
{
  uint64_t end, now = wall_us > 0 ? (uint64_t)wall_us / 1000 : 0;
  return r->timeout_ms && r->issued_ms && !__builtin_add_overflow(r->issued_ms, r->timeout_ms, &end) && end <= now;
}

/* This agent moves nothing: says which of the reasons it is. */
static uint32_t actuator_reason(const mc_inspector *i, const mc_fw_command_request *r)
{
  const decoder *d = NULL;
  for (size_t k = 0; k < i->decoder.len && !d; k++)
    if (mc_slice_eq(i->decoder.at[k]->sync_id, r->manifest_sync_id))
      d = i->decoder.at[k];
  if (!d)
    return MC_FW_REASON_MANIFEST_OUT_OF_SYNC;
  for (size_t k = 0; k < d->custom_count; k++)
    if (d->custom[k] == r->signal_id)
      return MC_FW_REASON_NO_DISPATCHER;
  return MC_FW_REASON_NO_RULE;
}

void mc_edge_command(mc_inspector *i, mc_slice request, mc_slice execution, int64_t wall_us, state_answer *give, void *ctx)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA((size_t)16 << 20);
  mc_fw_command_request r;
  mc_why why;
  if (mc_fw_read_command_request(request, &arena, &r, &why)) {
    mc_fw_command_response bad = {.status = MC_FW_COMMAND_FAILED, .command_id = execution, .reason = MC_FW_REASON_NOT_PARSED, .text = mc_slice_str(why.text)};
    give(ctx, &bad);
    return;
  }
  mc_slice id = r.command_id.len ? r.command_id : execution;
  if (is_late(&r, wall_us)) {
    answer(give, ctx, id, (state_verdict){MC_FW_COMMAND_TIMED_OUT, MC_FW_REASON_TIMED_OUT});
  } else if (r.kind == MC_FW_COMMAND_STATE && r.order_count) {
    for (uint32_t k = 0; k < r.order_count; k++)
      answer(give, ctx, id, mc_edge_inspector_order(i, &r.order[k], wall_us));
  } else {
    uint32_t reason = r.kind == MC_FW_COMMAND_ACTUATOR ? actuator_reason(i, &r) : MC_FW_REASON_NOT_PARSED;
    answer(give, ctx, id, (state_verdict){MC_FW_COMMAND_FAILED, reason});
  }
}
