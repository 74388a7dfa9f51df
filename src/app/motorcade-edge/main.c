#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/edge.h"
#include "options.h"

typedef struct program {
  edge_options options;
  mc_loop *loop;
  mc_tls *tls;
  mc_agent *agent;
  mc_replay *replay;
  mc_bus *bus;
  mc_channel_map map;
  mc_watch signals;
  mc_timer flush, report, pressure, begin;
  mc_agent_stats told;
  int64_t last_us;  /* time of the last frame of a replay */
  int64_t begin_by; /* monotonic: a replay starts then at the latest */
  int64_t end_from; /* monotonic: not before this */
  bool ended;
} program;

/* A replay as fast as possible waits for the platform: nothing is dropped because the disk ran full. */
enum { WAITING_MANY = 512, WAITING_FEW = 64, LOOK_AGAIN_US = 20000 };
enum { REPORT_US = 10000000, END_CHECK_US = 200000, BEGIN_WITHIN_US = 10000000 };

static uint64_t waiting(const program *p)
{
  mc_agent_stats s;
  mc_agent_stats_get(p->agent, &s);
  uint64_t settled = s.acked + s.refused + s.dropped;
  return s.events > settled ? s.events - settled : 0;
}

static void mind_pressure(program *p)
{
  if (p->replay && p->options.speed == 0 && waiting(p) > WAITING_MANY) {
    mc_replay_pause(p->replay, true);
    mc_loop_timer_set(p->loop, &p->pressure, mc_loop_now_us(p->loop) + LOOK_AGAIN_US);
  }
}

static void on_frame(void *ctx, const mc_can_frame *frame)
{
  program *p = ctx;
  p->last_us = frame->time_us;
  mc_agent_push_frame(p->agent, frame);
  mind_pressure(p);
}

static void on_message(void *ctx, const mc_structured_message *message)
{
  program *p = ctx;
  p->last_us = message->time_us;
  mc_agent_push_message(p->agent, message);
  mind_pressure(p);
}

static void on_pressure(mc_timer *timer)
{
  program *p = (program *)((char *)timer - offsetof(program, pressure));
  if (p->replay && waiting(p) < WAITING_FEW)
    mc_replay_pause(p->replay, false);
  else if (p->replay)
    mc_loop_timer_set(p->loop, &p->pressure, mc_loop_now_us(p->loop) + LOOK_AGAIN_US);
}

/* A log has a beginning that must not pass before the platform has said what to collect. */
static void on_begin(mc_timer *timer)
{
  program *p = (program *)((char *)timer - offsetof(program, begin));
  const mc_slice *ids;
  int64_t now = mc_loop_now_us(p->loop);
  if (mc_inspector_sync_ids(mc_agent_inspector(p->agent), &ids) >= 2) { /* a manifest and a campaign */
    mc_replay_start(p->replay);
    return;
  }
  if (now >= p->begin_by) {
    mc_log(MC_LOG_WARN, "edge", "the replay begins without documents: nothing is collected until a manifest and a campaign come");
    mc_replay_start(p->replay);
    return;
  }
  mc_loop_timer_set(p->loop, &p->begin, now + LOOK_AGAIN_US);
}

/* A log has an end, too: time goes on for the vehicle, so that periods and delays that began inside it still run out. With recorded times
 * that is told to the inspection; in the present it is waited for. */
static void let_periods_end(program *p)
{
  enum { AFTER_S = 60, WAIT_US = 1500000 };
  int64_t apart = p->last_us - mc_clock_wall_us();
  p->end_from = mc_loop_now_us(p->loop);
  if (apart > -AFTER_S * 2000000LL && apart < AFTER_S * 2000000LL) {
    p->end_from += WAIT_US;
    return;
  }
  for (int s = 1; s <= AFTER_S; s++) {
    mc_can_frame nothing = {.channel = UINT16_MAX, .time_us = p->last_us + s * 1000000LL};
    mc_inspector_frame(mc_agent_inspector(p->agent), &nothing);
  }
}

static void on_ended(void *ctx)
{
  program *p = ctx;
  p->ended = true;
  let_periods_end(p);
  mc_log(MC_LOG_INFO, "edge", "the replay ended; waiting until everything is acknowledged (Ctrl-C ends at once)");
  mc_loop_timer_set(p->loop, &p->report, mc_loop_now_us(p->loop) + END_CHECK_US);
}

static void stop(program *p)
{
  if (p->replay)
    mc_replay_close(&p->replay);
  if (p->bus)
    mc_bus_close(&p->bus);
  mc_agent_stop(p->agent);
  mc_loop_timer_clear(p->loop, &p->report);
  mc_loop_timer_clear(p->loop, &p->pressure);
  mc_loop_timer_clear(p->loop, &p->begin);
  mc_loop_timer_set(p->loop, &p->flush, mc_loop_now_us(p->loop) + 300000); /* time for DISCONNECT */
}

static void on_flush(mc_timer *timer) { mc_loop_stop(((program *)((char *)timer - offsetof(program, flush)))->loop); }

static void on_signal(mc_watch *watch, uint32_t events)
{
  program *p = (program *)((char *)watch - offsetof(program, signals));
  struct signalfd_siginfo info;
  if (read(watch->fd, &info, sizeof info) == sizeof info)
    stop(p);
}

static void on_report(mc_timer *timer)
{
  program *p = (program *)((char *)timer - offsetof(program, report));
  mc_agent_stats s;
  mc_agent_stats_get(p->agent, &s);
  if (s.published != p->told.published || s.events != p->told.events)
    mc_log(MC_LOG_INFO, "edge", "so far", MC_KU("frames", s.frames), MC_KU("signals", s.signals), MC_KU("events", s.events), MC_KU("samples", s.samples),
           MC_KU("published", s.published), MC_KU("acked", s.acked), MC_KU("stored", s.spooled), MC_KU("dropped", s.dropped));
  p->told = s;
  if (p->ended && mc_loop_now_us(p->loop) >= p->end_from && s.connected && s.acked + s.refused + s.dropped >= s.events) {
    stop(p);
    return;
  }
  mc_loop_timer_set(p->loop, &p->report, mc_loop_now_us(p->loop) + (p->ended ? END_CHECK_US : REPORT_US));
}

static mc_err read_pem(const char *path, mc_slice inline_pem, mc_buf *out, mc_why *why)
{
  if (inline_pem.len)
    return mc_buf_append_slice(out, inline_pem);
  return path ? mc_fs_read(mc_fs_posix(), path, 1 << 20, out, why) : MC_OK;
}

static mc_err make_tls(program *p, mc_why *why)
{
  const edge_options *o = &p->options;
  mc_buf cert = {0}, key = {0}, ca = {0};
  mc_err err = read_pem(o->cert, o->cert_pem, &cert, why);
  if (err == MC_OK)
    err = read_pem(o->key, o->key_pem, &key, why);
  if (err == MC_OK)
    err = read_pem(o->ca, o->ca_pem, &ca, why);
  if (err == MC_OK) {
    mc_tls_client_config c = {mc_buf_slice(&ca), mc_buf_slice(&cert), mc_buf_slice(&key), o->alpn};
    err = mc_tls_client_create(&c, &p->tls, why);
  }
  mc_buf_free(&cert);
  if (key.data)
    explicit_bzero(key.data, key.cap);
  mc_buf_free(&key);
  mc_buf_free(&ca);
  return err;
}

static mc_err make_agent(program *p, mc_why *why)
{
  edge_options *o = &p->options;
  MC_TRY(mc_channel_map_parse(mc_slice_str(o->channel_map), &o->arena, &p->map, why));
  const char **ids = mc_arena_array(&o->arena, p->map.count + 1, sizeof *ids);
  for (uint32_t k = 0; ids && k < p->map.count; k++)
    ids[k] = mc_arena_str(&o->arena, p->map.at[k].interface_id);
  if (!ids)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory");
  mc_agent_config c = {.name = o->name,
                       .host = o->host,
                       .port = o->port,
                       .tls = p->tls,
                       .topic_prefix = o->topic_prefix,
                       .commands_prefix = o->commands_prefix,
                       .checkin_ms = o->checkin_s ? o->checkin_s * 1000 : o->checkin_ms,
                       .keep_alive_s = (uint16_t)o->keep_alive_s,
                       .data_dir = o->data_dir,
                       .spool_bytes = o->spool_mib << 20,
                       .interface_id = ids,
                       .interface_count = p->map.count};
  return mc_agent_create(p->loop, &c, &p->agent, why);
}

static mc_err make_source(program *p, mc_why *why)
{
  const edge_options *o = &p->options;
  if (o->replay) {
    mc_replay_config c = {.path = o->replay, .channel_map = o->channel_map, .speed = o->speed, .loop = o->loop, .shift_to_now = !o->keep_times,
                          .frame = on_frame, .message = on_message, .ended = on_ended, .ctx = p};
    MC_TRY(mc_replay_open(p->loop, &c, &p->replay, why));
    p->begin_by = mc_loop_now_us(p->loop) + BEGIN_WITHIN_US;
    mc_loop_timer_set(p->loop, &p->begin, mc_loop_now_us(p->loop));
  }
  return o->bus ? mc_bus_open(p->loop, o->bus, on_frame, p, &p->bus, why) : MC_OK;
}

static mc_err watch_signals(program *p, mc_why *why)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  p->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  p->signals.ready = on_signal;
  if (p->signals.fd < 0 || mc_loop_watch(p->loop, &p->signals, EPOLLIN))
    return mc_err_set(why, MC_ERR_IO, "signals cannot be watched");
  return MC_OK;
}

static mc_err run(program *p, mc_why *why)
{
  p->report.fire = on_report;
  p->pressure.fire = on_pressure;
  p->begin.fire = on_begin;
  MC_TRY(mc_loop_create(&p->loop, why));
  MC_TRY(watch_signals(p, why));
  if (!p->options.plain)
    MC_TRY(make_tls(p, why));
  MC_TRY(make_agent(p, why));
  MC_TRY(make_source(p, why));
  p->flush.fire = on_flush;
  mc_agent_start(p->agent);
  mc_loop_timer_set(p->loop, &p->report, mc_loop_now_us(p->loop) + 1000000);
  mc_loop_run(p->loop);
  return MC_OK;
}

int main(int argc, char **argv)
{
  program p = {.signals.fd = -1};
  mc_why why = {0};
  mc_err err = edge_options_read(argc, argv, &p.options, &why);
  if (err == MC_OK && p.options.help) {
    edge_options_help();
  } else if (err == MC_OK && p.options.version) {
    printf("motorcade-edge %s\n", MC_VERSION);
  } else if (err == MC_OK) {
    mc_log_configure(p.options.log_level, p.options.log_format, STDERR_FILENO);
    err = run(&p, &why);
  }
  if (p.replay)
    mc_replay_close(&p.replay);
  if (p.bus)
    mc_bus_close(&p.bus);
  mc_agent_destroy(&p.agent);
  if (p.loop) {
    mc_loop_turn(p.loop, 0);
    if (p.signals.fd >= 0)
      close(p.signals.fd);
    mc_loop_destroy(&p.loop);
  }
  mc_tls_destroy(&p.tls);
  mc_arena_free(&p.options.arena);
  if (err)
    fprintf(stderr, "motorcade-edge: %s\n", why.text[0] ? why.text : mc_err_text(err));
  return err ? 1 : 0;
}
