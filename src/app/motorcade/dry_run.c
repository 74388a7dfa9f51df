#include "app/motorcade/dry_run.h"

#include <stdlib.h>

#include "edge/edge.h"

enum { AT_ONCE = 64 };

typedef struct agent_run {
  mc_inspector *inspector;
  void (*sent)(void *to, const mc_dry_run_event *event);
  void *to;
} agent_run;

static int no_channel(void *ctx, mc_slice interface_id) { return -1; } /* it is given samples, never frames */

static void collected(void *ctx, const mc_collected *e)
{
  agent_run *r = ctx;
  r->sent(r->to, &(mc_dry_run_event){.time_us = e->event_time_us, .event_id = e->event_id, .samples = e->samples, .bytes = e->payload.len});
}

static void close_run(void *run)
{
  agent_run *r = run;
  mc_inspector_destroy(&r->inspector);
  free(r);
}

static mc_err set_documents(agent_run *r, mc_slice manifest, mc_slice schemes, int64_t from_us, mc_why *why)
{
  const mc_slice *text;
  MC_TRY(mc_inspector_set_manifest(r->inspector, manifest, why));
  MC_TRY(mc_inspector_set_schemes(r->inspector, schemes, from_us, why));
  if (mc_inspector_errors(r->inspector, &text)) /* a refused scheme is an error of that scheme alone, and there is but one */
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "%.*s", MC_FMT(mc_slice_sub(text[0], 0, MC_WHY_TEXT - 1)));
  return MC_OK;
}

static mc_err open_run(void *ctx, mc_slice manifest, mc_slice schemes, int64_t from_us, void (*sent)(void *to, const mc_dry_run_event *event), void *to, void **run, mc_why *why)
{
  agent_run *r = calloc(1, sizeof *r);
  *run = NULL;
  if (!r)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for an inspector");
  r->sent = sent;
  r->to = to;
  mc_inspector_config config = {.channel_of = no_channel, .collected = collected, .ctx = r};
  mc_err err = mc_inspector_create(&config, &r->inspector, why);
  if (!err)
    err = set_documents(r, manifest, schemes, from_us, why);
  if (err) {
    close_run(r);
    return err;
  }
  *run = r;
  return MC_OK;
}

static void take_values(void *run, int64_t time_us, const mc_dry_run_value *value, size_t count)
{
  mc_inspector_value own[AT_ONCE];
  for (size_t at = 0; at < count;) {
    size_t n = 0;
    for (; n < AT_ONCE && at < count; at++)
      own[n++] = (mc_inspector_value){value[at].signal, value[at].value};
    mc_inspector_values(((agent_run *)run)->inspector, time_us, own, n);
  }
}

static void advance(void *run, int64_t until_us) { mc_inspector_advance(((agent_run *)run)->inspector, until_us); }

const mc_dry_run_engine dry_run_by_agent = {NULL, open_run, take_values, advance, close_run};
