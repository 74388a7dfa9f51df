#include "gateway/state.h"

/* A jump is noticed within half a second, by looking at both clocks. Until then a message counts as old as the clock that is kinder to it says. */

enum { CLOSE_US = 60 * 1000000, JUST_NOW_US = 5 * 1000000, JUMP_BYTES = 32 };

void mc_wall_init(mc_wall *w)
{
  *w = (mc_wall){0};
  pthread_mutex_init(&w->lock, NULL);
}

void mc_wall_free(mc_wall *w) { pthread_mutex_destroy(&w->lock); }

static uint64_t distance(int64_t a, int64_t b) { return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a; }

/* ---- what a jump does to a time ---- */
static bool came_before(const mc_jump *j, uint64_t offset, int64_t time_us)
{
  int64_t middle = j->before / 2 + j->after / 2;
  return offset < j->from || (offset < j->to && (j->after > j->before ? time_us < middle : time_us > middle));
}

/* A file that lies may hold any time: it wraps. */
static int64_t moved(const mc_jump *j, int64_t time_us) { return (int64_t)((uint64_t)time_us + (uint64_t)j->after - (uint64_t)j->before); }

int64_t mc_wall_corrected(mc_wall *w, uint64_t offset, int64_t time_us)
{
  if (offset >= atomic_load_explicit(&w->top, memory_order_acquire))
    return time_us;
  pthread_mutex_lock(&w->lock);
  for (uint32_t i = 0; i < w->len; i++)
    if (came_before(&w->jump[i], offset, time_us))
      time_us = moved(&w->jump[i], time_us);
  pthread_mutex_unlock(&w->lock);
  return time_us;
}

uint32_t mc_wall_waited_s(const mc_gateway_loop *l, const mc_message *m)
{
  mc_wall *w = &l->gateway->wall;
  int64_t steady = mc_loop_now_us(l->loop) + atomic_load_explicit(&w->skew, memory_order_relaxed), now = l->wall_us;
  if (now - steady >= MC_JUMP_LEAST_US) /* it jumped, and nobody has noticed yet */
    now = steady;
  int64_t came = m->timed ? m->time_us : mc_wall_corrected(w, m->offset, m->time_us);
  uint64_t s = now > came ? distance(now, came) / 1000000 : 0;
  return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

/* ---- noticing ---- */
static int64_t retimed(void *ctx, uint64_t offset, int64_t time_us)
{
  const mc_jump *j = ctx;
  bool before = offset == MC_NO_OFFSET ? distance(time_us, j->after) > JUST_NOW_US : came_before(j, offset, time_us);
  return before ? moved(j, time_us) : time_us;
}

static void add(mc_gateway *g, mc_jump j)
{
  mc_wall *w = &g->wall;
  pthread_mutex_lock(&w->lock);
  if (w->len == MC_JUMPS) { /* what came between these two is off by the older one */
    w->jump[1].before -= w->jump[0].after - w->jump[0].before;
    memmove(&w->jump[0], &w->jump[1], (--w->len) * sizeof j);
  }
  w->jump[w->len++] = j;
  atomic_store_explicit(&w->top, j.to, memory_order_release);
  pthread_mutex_unlock(&w->lock);
  mc_retained_retime(&g->retained, retimed, &j);
}

static void close_last(mc_wall *w, uint64_t end)
{
  pthread_mutex_lock(&w->lock);
  if (w->len && w->jump[w->len - 1].to > end)
    w->jump[w->len - 1].to = end;
  atomic_store_explicit(&w->top, end, memory_order_release);
  pthread_mutex_unlock(&w->lock);
  w->close_us = INT64_MAX;
}

/* Those before everything that the journal keeps are forgotten: nobody will ask. */
static void prune(mc_wall *w, uint64_t first)
{
  uint32_t gone = 0;
  pthread_mutex_lock(&w->lock);
  while (gone < w->len && w->jump[gone].to <= first)
    gone++;
  memmove(w->jump, w->jump + gone, (w->len - gone) * sizeof w->jump[0]);
  w->len -= gone;
  pthread_mutex_unlock(&w->lock);
}

/* Times of any sense: sums of them do not overflow. */
static bool sane(int64_t us) { return us > -(INT64_C(1) << 55) && us < INT64_C(1) << 55; }

void mc_wall_begin(mc_gateway *g, int64_t last_us, uint64_t last_offset)
{
  mc_wall *w = &g->wall;
  int64_t wall = mc_clock_wall_us();
  uint64_t end = mc_journal_end_offset(g->journal);
  if (w->len)
    close_last(w, end);
  atomic_store(&w->skew, wall - mc_clock_mono_us());
  w->seen_end = end;
  w->close_us = INT64_MAX;
  if (!sane(last_us) || last_us - wall < MC_JUMP_LEAST_US)
    return;
  add(g, (mc_jump){.from = last_offset < end ? last_offset : end, .to = end, .before = last_us, .after = wall});
  mc_log(MC_LOG_WARN, "gateway", "the clock is behind the time at which the server ran last: how long it was down does not count for messages that expire",
         MC_KI("behind_s", (last_us - wall) / 1000000));
}

bool mc_wall_look(mc_gateway *g)
{
  mc_wall *w = &g->wall;
  int64_t mono = mc_clock_mono_us(), wall = mc_clock_wall_us(), expected = mono + atomic_load(&w->skew);
  uint64_t end = mc_journal_end_offset(g->journal);
  bool jumped = distance(wall, expected) >= MC_JUMP_LEAST_US;
  if (!jumped && mono >= w->close_us)
    close_last(w, end);
  if (jumped) {
    if (w->close_us != INT64_MAX)
      close_last(w, w->seen_end);
    int64_t apart = (int64_t)(distance(wall, expected) / 2); /* a jump back: who comes so much later cannot be told by its time from who came before */
    add(g, (mc_jump){.from = w->seen_end, .to = UINT64_MAX, .before = expected, .after = wall});
    w->close_us = mono + (apart < CLOSE_US ? apart : CLOSE_US);
    atomic_store(&w->skew, wall - mono);
    mc_log(MC_LOG_WARN, "gateway", "the clock jumped; messages that expire do not notice", MC_KI("by_s", (wall - expected) / 1000000));
  }
  w->seen_end = end;
  if (w->len)
    prune(w, mc_journal_first_offset(g->journal));
  return jumped;
}

/* ---- in the checkpoint ---- */
static mc_err put_le64(mc_buf *out, uint64_t v)
{
  uint8_t bytes[8];
  mc_store_le64(bytes, v);
  return mc_buf_append(out, bytes, sizeof bytes);
}

mc_err mc_wall_put(mc_wall *w, uint64_t needed, mc_buf *out)
{
  size_t begin = out->len;
  mc_err err = mc_buf_append(out, (const uint8_t[5]){0, 0, 0, 0, MC_WALL_SECTION}, 5);
  pthread_mutex_lock(&w->lock);
  for (uint32_t i = 0; i < w->len && err == MC_OK; i++) {
    const mc_jump *j = &w->jump[i];
    if (j->to <= needed)
      continue;
    err = put_le64(out, j->from);
    err = err ? err : put_le64(out, j->to);
    err = err ? err : put_le64(out, (uint64_t)j->before);
    err = err ? err : put_le64(out, (uint64_t)j->after);
  }
  pthread_mutex_unlock(&w->lock);
  if (err == MC_OK)
    mc_store_le32(out->data + begin, (uint32_t)(out->len - begin - 4));
  return err;
}

mc_err mc_wall_load(mc_wall *w, mc_slice section, mc_why *why)
{
  mc_cursor c = mc_cursor_of(section);
  if (mc_cursor_u8(&c) != MC_WALL_SECTION || mc_cursor_left(&c) % JUMP_BYTES || mc_cursor_left(&c) > MC_JUMPS * JUMP_BYTES)
    return mc_err_set(why, MC_ERR_MALFORMED, "jumps of the clock: %zu bytes that are no list of them", section.len);
  for (w->len = 0; mc_cursor_left(&c); w->len++) {
    mc_jump *j = &w->jump[w->len];
    j->from = mc_cursor_le64(&c);
    j->to = mc_cursor_le64(&c);
    j->before = (int64_t)mc_cursor_le64(&c);
    j->after = (int64_t)mc_cursor_le64(&c);
    if (j->from > j->to || !sane(j->before) || !sane(j->after)) {
      w->len = 0;
      return mc_err_set(why, MC_ERR_MALFORMED, "jumps of the clock: one that cannot be");
    }
    atomic_store(&w->top, j->to);
  }
  return MC_OK;
}
