/* The fleet: the simulator's vehicles, each with the real agent library, on one loop. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "sim/sim.h"

#define TICK_US 20000
#define STARTS_PER_TICK 4 /* 200 handshakes a second at most */

typedef struct fleet_vehicle {
  mc_sim_fleet *fleet;
  uint32_t index;
  mc_agent *agent;
  mc_tls *tls;
} fleet_vehicle;

struct mc_sim_fleet {
  mc_sim_fleet_config config;
  mc_sim *sim;
  fleet_vehicle *vehicle;
  uint32_t count, started;
  mc_timer timer;
  bool running, ever_started;
};

static mc_sim_fleet *of_timer(mc_timer *timer)
{
  return (mc_sim_fleet *)((char *)timer - offsetof(mc_sim_fleet, timer));
}

static void on_frame(void *ctx, uint32_t vehicle, const mc_can_frame *frame)
{
  mc_sim_fleet *f = ctx;
  if (vehicle < f->started)
    mc_agent_push_frame(f->vehicle[vehicle].agent, frame);
}

static void on_published(void *ctx, mc_agent *agent, uint32_t event_id, int64_t event_time_us, uint32_t samples, uint64_t token)
{
  fleet_vehicle *v = ctx;
  v->fleet->config.published(v->fleet->config.ctx, v->index, event_id, event_time_us, samples, token);
}

static void on_acked(void *ctx, mc_agent *agent, uint64_t token)
{
  fleet_vehicle *v = ctx;
  v->fleet->config.acked(v->fleet->config.ctx, v->index, token);
}

static void tick(mc_timer *timer)
{
  mc_sim_fleet *f = of_timer(timer);
  if (!f->running)
    return;
  for (int i = 0; i < STARTS_PER_TICK && f->started < f->count; i++)
    mc_agent_start(f->vehicle[f->started++].agent);
  mc_sim_step(f->sim, mc_clock_wall_us());
  mc_loop_timer_set(f->config.loop, &f->timer, mc_loop_now_us(f->config.loop) + TICK_US);
}

static mc_err add_agent(mc_sim_fleet *f, uint32_t index, mc_why *why)
{
  fleet_vehicle *v = &f->vehicle[index];
  const mc_sim_fleet_config *c = &f->config;
  const char *name = c->name ? c->name(c->ctx, index) : mc_sim_vehicle(f->sim, index)->name;
  const char *interface = c->interface_id ? c->interface_id : "can0";
  char folder[512];
  v->fleet = f;
  v->index = index;
  if (!name || !*name)
    return mc_err_set(why, MC_ERR_INVALID, "vehicle %u has no name", index);
  if (c->data_dir && (size_t)snprintf(folder, sizeof folder, "%s/%s", c->data_dir, name) >= sizeof folder)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "the data folder of vehicle %s has a path of more than %zu bytes", name, sizeof folder - 1);
  if (c->tls)
    MC_TRY(c->tls(c->ctx, index, name, &v->tls, why));
  mc_agent_config agent = {.name = name, .host = c->host, .port = c->port, .tls = v->tls, .topic_prefix = c->topic_prefix,
                           .checkin_ms = c->checkin_ms, .data_dir = c->data_dir ? folder : NULL, .interface_id = &interface, .interface_count = 1,
                           .published = c->published ? on_published : NULL, .acked = c->acked ? on_acked : NULL, .ctx = v};
  mc_err err = mc_agent_create(c->loop, &agent, &v->agent, why);
  if (err && why)
    mc_err_prefix(why, "vehicle %s", name);
  return err;
}

mc_err mc_sim_fleet_create(const mc_sim_fleet_config *config, mc_sim_fleet **out, mc_why *why)
{
  *out = NULL;
  if (!config->loop || !config->host || !*config->host || !config->port)
    return mc_err_set(why, MC_ERR_INVALID, "a fleet needs an event loop and the host and port of the gateway");
  mc_sim_fleet *f = calloc(1, sizeof *f);
  if (!f)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the fleet");
  f->config = *config;
  f->timer.fire = tick;
  mc_sim_config sim = config->sim;
  sim.on_frame = on_frame;
  sim.ctx = f;
  mc_err err = mc_sim_create(&sim, &f->sim, why);
  if (!err) {
    f->vehicle = calloc(sim.vehicles, sizeof *f->vehicle);
    if (!f->vehicle)
      err = mc_err_set(why, MC_ERR_MEMORY, "no memory for %u agents", sim.vehicles);
  }
  for (uint32_t i = 0; f->vehicle && i < sim.vehicles && !err; i++) {
    f->count = i + 1;
    err = add_agent(f, i, why);
  }
  if (err)
    mc_sim_fleet_destroy(&f);
  *out = f;
  return err;
}

void mc_sim_fleet_start(mc_sim_fleet *f)
{
  if (f->running)
    return;
  f->running = f->ever_started = true;
  f->started = 0;
  mc_loop_timer_set(f->config.loop, &f->timer, mc_clock_mono_us());
}

void mc_sim_fleet_stop(mc_sim_fleet *f)
{
  if (!f->running)
    return;
  f->running = false;
  mc_loop_timer_clear(f->config.loop, &f->timer);
  for (uint32_t i = 0; i < f->started; i++)
    mc_agent_stop(f->vehicle[i].agent);
  f->started = 0;
}

/* A connection outlives its agent until the end of the turn in which it closes, and uses its TLS context until then. */
static void let_connections_go(mc_sim_fleet *f)
{
  for (int i = 0; i < 10; i++)
    mc_loop_turn(f->config.loop, i < 5 ? 0 : 2);
}

void mc_sim_fleet_destroy(mc_sim_fleet **handle)
{
  mc_sim_fleet *f = *handle;
  *handle = NULL;
  if (!f)
    return;
  mc_sim_fleet_stop(f);
  for (uint32_t i = 0; f->vehicle && i < f->count; i++) {
    if (f->vehicle[i].agent)
      mc_agent_destroy(&f->vehicle[i].agent);
  }
  if (f->ever_started)
    let_connections_go(f);
  for (uint32_t i = 0; f->vehicle && i < f->count; i++)
    if (f->vehicle[i].tls)
      mc_tls_destroy(&f->vehicle[i].tls);
  free(f->vehicle);
  mc_sim_destroy(&f->sim);
  free(f);
}

void mc_sim_fleet_stats_get(const mc_sim_fleet *f, mc_sim_fleet_stats *out)
{
  *out = (mc_sim_fleet_stats){.vehicles = f->count, .frames = mc_sim_frames(f->sim)};
  for (uint32_t i = 0; i < f->count; i++) {
    mc_agent_stats a = {0};
    mc_sim_state s;
    mc_agent_stats_get(f->vehicle[i].agent, &a);
    mc_sim_state_get(f->sim, i, &s);
    out->connected += a.connected;
    out->driving += s.activity == MC_SIM_DRIVING || s.activity == MC_SIM_WAITING;
    uint64_t *const sum[] = {&out->agents.frames, &out->agents.signals, &out->agents.events, &out->agents.samples, &out->agents.published,
                             &out->agents.acked, &out->agents.refused, &out->agents.spooled, &out->agents.dropped, &out->agents.checkins,
                             &out->agents.documents, &out->agents.reconnects};
    const uint64_t one[] = {a.frames, a.signals, a.events, a.samples, a.published, a.acked, a.refused, a.spooled, a.dropped, a.checkins,
                            a.documents, a.reconnects};
    for (size_t k = 0; k < sizeof one / sizeof one[0]; k++)
      *sum[k] += one[k];
  }
  out->agents.connected = out->connected == out->vehicles;
}

mc_sim *mc_sim_fleet_sim(mc_sim_fleet *f) { return f->sim; }
mc_agent *mc_sim_fleet_agent(mc_sim_fleet *f, uint32_t vehicle) { return f->vehicle[vehicle].agent; }
