#include "gateway/state.h"

#include <inttypes.h>
#include <stdio.h>

enum { LOOK_MOST_US = 50000, LOOK_LEAST_US = 2000 };

static const char *const step_text[2][4] = {
    {"the disk keeps up again", "the disk is behind: publishers get smaller windows", "the disk is behind: each publisher waits for each answer",
     "the disk is far behind: publishes get 0x97, 3.1.1 clients wait and are closed"},
    {"the journal has room again", "little room for the journal: publishers get smaller windows", "little room for the journal: each publisher waits for each answer",
     "next to no room for the journal: publishes get 0x97, 3.1.1 clients wait and are closed"}};

static bool by_room(const mc_gateway_loop *l) { return l->pressure.room.step >= l->pressure.age.step; }

static void on_timer(mc_timer *timer)
{
  mc_gateway_loop *l = (mc_gateway_loop *)((char *)timer - offsetof(mc_gateway_loop, pressure.timer));
  l->wall_us = mc_clock_wall_us();
  mc_pressure_look(l);
  if (l->pending.len || l->pressure.step || l->pressure.age.told || l->pressure.room.told)
    mc_pressure_watch(l);
}

static void on_post(mc_post *post)
{
  mc_gateway_loop *l = (mc_gateway_loop *)((char *)post - offsetof(mc_gateway_loop, pressure.post));
  atomic_store(&l->pressure.posted, false);
  if (!l->pressure.timer.armed)
    on_timer(&l->pressure.timer);
}

void mc_pressure_begin(mc_gateway_loop *l)
{
  l->pressure.timer.fire = on_timer;
  l->pressure.post.run = on_post;
  l->pressure.left = MC_PRESSURE_ROOMY;
}

void mc_pressure_watch(mc_gateway_loop *l)
{
  int64_t every = (int64_t)l->gateway->limit.pressure_window_ms * 250;
  every = every > LOOK_MOST_US ? LOOK_MOST_US : every < LOOK_LEAST_US ? LOOK_LEAST_US : every;
  l->pressure.tick = (uint32_t)(mc_loop_now_us(l->loop) >> 10);
  if (!l->pressure.timer.armed)
    mc_loop_timer_set(l->loop, &l->pressure.timer, mc_loop_now_us(l->loop) + every);
}

/* ---- room ----
 * A subscriber that stays behind keeps the journal from being shortened, until the disk is full: this is how publishers come to feel it. A journal that goes round in the
 * same files needs no room, however little there is. */
void mc_pressure_measure(mc_gateway *g)
{
  uint64_t free_bytes, wanted = g->limit.pressure_free_bytes;
  mc_journal_state state;
  uint32_t room = MC_PRESSURE_ROOMY;
  if (!wanted)
    return;
  mc_journal_state_get(g->journal, &state);
  if (!state.recycles && mc_journal_room(g->journal, &free_bytes) == MC_OK && free_bytes < wanted)
    room = (uint32_t)(free_bytes * MC_PRESSURE_ROOMY / wanted);
  atomic_store(&g->room, room);
  for (size_t i = 0; room < MC_PRESSURE_ROOMY && i < g->loop_count; i++)
    if (!atomic_exchange(&g->loop[i].pressure.posted, true))
      mc_loop_post(g->loop[i].loop, &g->loop[i].pressure.post);
}

/* ---- steps ---- */
static mc_pressure_step step_of_age(const mc_gateway_limits *limit, uint32_t age_ms)
{
  return age_ms >= limit->pressure_refuse_ms   ? MC_PRESSURE_REFUSE
         : age_ms >= limit->pressure_delay_ms  ? MC_PRESSURE_DELAY
         : age_ms >= limit->pressure_window_ms ? MC_PRESSURE_WINDOW
                                               : MC_PRESSURE_NONE;
}

static mc_pressure_step step_of_room(uint32_t room)
{
  return room >= MC_PRESSURE_ROOMY ? MC_PRESSURE_NONE : room >= MC_PRESSURE_ROOMY / 2 ? MC_PRESSURE_WINDOW : room >= MC_PRESSURE_ROOMY / 4 ? MC_PRESSURE_DELAY : MC_PRESSURE_REFUSE;
}

/* Who keeps most of the journal, on this loop. */
static void name_holder(const mc_gateway_loop *l, char *text, size_t size)
{
  const mc_session *worst = NULL;
  uint64_t least = UINT64_MAX, end = mc_journal_end_offset(l->gateway->journal);
  for (const mc_session *s = l->sessions; s; s = s->next) {
    uint64_t oldest = s->persistent ? mc_hold_oldest(s) : UINT64_MAX;
    worst = oldest < least ? s : worst;
    least = oldest < least ? oldest : least;
  }
  text[0] = 0;
  if (worst && least < end)
    snprintf(text, size, "; client \"%.*s\" has not taken %" PRIu64 " MiB of it", (int)(worst->id_len > 40 ? 40 : worst->id_len), worst->id, (end - least) >> 20);
}

/* A disk that hovers about a bound is one episode: each step upwards is told once, its end when it has kept up for a while. */
static void tell(mc_gateway_loop *l, struct mc_pressure_cause *c)
{
  mc_pressure *p = &l->pressure;
  bool room = c == &p->room, over = c->told && !c->step && p->tick - c->calm_tick >= l->gateway->limit.pressure_refuse_ms;
  char text[220], more[100] = "";
  if (c->step <= c->told && !over)
    return;
  c->told = c->step;
  if (c->step && room)
    name_holder(l, more, sizeof more);
  else if (c->step)
    snprintf(more, sizeof more, " (%u ms)", p->age_ms);
  snprintf(text, sizeof text, "%s%s", step_text[room][c->step], more);
  mc_log(over ? MC_LOG_INFO : MC_LOG_WARN, "gateway", text, MC_KU("loop", l->index), MC_KU("records", l->pending.len));
  mc_event_add(l->gateway, 0, mc_slice_str(""), "", false, c->step == MC_PRESSURE_REFUSE ? MC_MQTT_QUOTA : 0, text);
}

static void set(mc_gateway_loop *l, struct mc_pressure_cause *c, mc_pressure_step step)
{
  if (c->step && !step)
    c->calm_tick = l->pressure.tick;
  c->step = step;
  if (step || c->told)
    tell(l, c);
}

/* Those that can be told are read again, to be told. */
static void read_version_5(mc_gateway_loop *l)
{
  mc_link **at = &l->blocked;
  while (*at) {
    mc_link *link = *at;
    if (link->version != MC_MQTT_5) {
      at = &link->next_blocked;
      continue;
    }
    *at = link->next_blocked;
    link->blocked = false;
    if (link->conn && !link->deaf && !link->held)
      mc_conn_pause(link->conn, false);
  }
}

static uint32_t waited(const mc_gateway_loop *l, const mc_link *link)
{
  const mc_pressure *p = &l->pressure;
  int32_t here = (int32_t)(p->tick - link->behind_tick), refusing = (int32_t)(p->tick - p->refuse_tick);
  int32_t least = here < refusing ? here : refusing;
  return link->behind_tick && least > 0 ? (uint32_t)least : 0;
}

static void close_waiting(mc_gateway_loop *l)
{
  mc_link *link = l->blocked, *keep = NULL;
  l->blocked = NULL;
  while (link) { /* each leaves the list by itself: once through it, whoever stays */
    mc_link *next = link->next_blocked;
    if (link->version == MC_MQTT_311 && mc_link_open(link) && waited(l, link) >= l->gateway->limit.pressure_close_ms) {
      link->blocked = false;
      mc_conn_pause(link->conn, false);
      mc_session *s = link->session;
      mc_cause_note(l, s, MC_CAUSE_BEHIND_CLOSED, 1);
      mc_link_end(link, MC_MQTT_QUOTA, "the server takes no publishes (%s), and MQTT 3.1.1 cannot say so: closed after %u s; what was not acknowledged is to be sent again later",
                  by_room(l) ? "its disk is nearly full" : "its disk is far behind", waited(l, link) / 1000);
      mc_session_detach(s, link, link->end_text ? link->end_text : "");
    } else {
      link->next_blocked = keep;
      keep = link;
    }
    link = next;
  }
  l->blocked = keep;
}

static void let_go(mc_gateway_loop *l)
{
  for (mc_link *link = l->blocked; link; link = link->next_blocked)
    link->behind_tick = 0;
  mc_link_unblock(l);
}

void mc_pressure_look(mc_gateway_loop *l)
{
  mc_pressure *p = &l->pressure;
  uint32_t now = p->tick = (uint32_t)(mc_loop_now_us(l->loop) >> 10), then = l->pending.len ? l->pending.at[l->pending.head].staged_at : now;
  p->age_ms = (uint32_t)(((uint64_t)(now - then) << 10) / 1000);
  p->left = atomic_load_explicit(&l->gateway->room, memory_order_relaxed);
  set(l, &p->age, step_of_age(&l->gateway->limit, p->age_ms));
  set(l, &p->room, step_of_room(p->left));
  mc_pressure_step before = p->step;
  p->step = p->room.step > p->age.step ? p->room.step : p->age.step;
  if (before < MC_PRESSURE_REFUSE && p->step == MC_PRESSURE_REFUSE)
    p->refuse_tick = now;
  if (p->step < before)
    let_go(l);
  if (p->step == MC_PRESSURE_REFUSE) {
    read_version_5(l);
    close_waiting(l);
  }
}

uint16_t mc_pressure_window(const mc_gateway_loop *l, uint16_t most)
{
  const mc_gateway_limits *limit = &l->gateway->limit;
  const mc_pressure *p = &l->pressure;
  uint16_t least = limit->pressure_window_min < most ? (uint16_t)limit->pressure_window_min : most, window = most;
  if (p->step == MC_PRESSURE_NONE)
    return most;
  if (p->step >= MC_PRESSURE_DELAY)
    return least;
  for (uint32_t age = p->age_ms; age >= limit->pressure_window_ms && window > least; age /= 2)
    window /= 2;
  if (p->room.step) { /* all of it at the bound, the least at half of that */
    uint32_t by_room = (uint32_t)most * (p->left - MC_PRESSURE_ROOMY / 2) / (MC_PRESSURE_ROOMY / 2);
    window = by_room < window ? (uint16_t)by_room : window;
  }
  return window < least ? least : window;
}

/* What waits for the disk counts, not what waits for the client's PUBREL: that lies behind the PUBLISH which is not read. */
mc_pressure_verdict mc_pressure_publish(mc_link *link)
{
  mc_gateway_loop *l = link->home;
  mc_pressure *p = &l->pressure;
  bool wait = p->step == MC_PRESSURE_REFUSE || link->pending >= (p->step == MC_PRESSURE_DELAY ? 1 : mc_pressure_window(l, link->receive_max));
  if (p->step == MC_PRESSURE_REFUSE && link->version == MC_MQTT_5)
    return MC_PRESSURE_NO;
  if (!wait) {
    link->behind_tick = 0;
    return MC_PRESSURE_GO;
  }
  if (!link->behind_tick)
    link->behind_tick = p->tick | 1;
  mc_cause_note(l, link->session, MC_CAUSE_BEHIND_WAIT, 1);
  mc_link_block(link);
  return MC_PRESSURE_WAIT;
}

bool mc_pressure_takes_calls(const mc_gateway_loop *l) { return l->pressure.age.step < MC_PRESSURE_DELAY && l->pressure.step < MC_PRESSURE_REFUSE; }

const char *mc_pressure_text(const mc_gateway_loop *l)
{
  return by_room(l) ? "the server's disk is nearly full, and nothing was stored: send it again later; its operator sees who holds back the journal"
                    : "the server's disk is far behind, and nothing was stored: send it again in a minute; its operator sees how far";
}
