/* Samples instead of frames: what a dry run feeds gives the events that an agent on the bus would have sent, in one jump or in thousands of ticks. */
#include <time.h>

#include "documents.h"

typedef struct event {
  int64_t time_us;
  uint32_t samples;
  size_t bytes;
} event;
enum { MOST = 4096 };
typedef struct log {
  event at[MOST];
  int count;
} log;

static void note(void *ctx, const mc_collected *e)
{
  log *l = ctx;
  if (l->count < MOST)
    l->at[l->count] = (event){e->event_time_us, e->samples, e->payload.len};
  l->count++;
}

static mc_inspector *open_at(const mc_fw_scheme *s, log *l)
{
  mc_inspector *i = NULL;
  mc_inspector_config config = {.channel_of = channel_can0, .collected = note, .ctx = l};
  mc_buf manifest = make_manifest("dm1"), schemes = make_schemes(s, 1);
  *l = (log){0};
  if (mc_inspector_create(&config, &i, NULL) || mc_inspector_set_manifest(i, mc_buf_slice(&manifest), NULL) || mc_inspector_set_schemes(i, mc_buf_slice(&schemes), t0_us, NULL))
    mc_inspector_destroy(&i);
  mc_buf_free(&manifest);
  mc_buf_free(&schemes);
  return i;
}

/* One series of samples: ms since the start, signal, value. Gaps of hours among them. */
typedef struct step {
  int64_t ms;
  uint32_t signal;
  int value;
} step;
static size_t make_series(step *out, size_t most, unsigned seed)
{
  int64_t ms = 50;
  for (size_t n = 0; n < most; n++) {
    seed = seed * 1103515245u + 12345u;
    unsigned r = seed >> 16;
    ms += r % 97 == 0 ? 3600000 + r % 5000 : 7 + r % 400;
    out[n] = (step){ms, 1 + r % 2, (int)(r % 41) - 20};
  }
  return most;
}

static void run_frames(const mc_fw_scheme *s, const step *x, size_t n, int64_t end_ms, log *l)
{
  mc_inspector *i = open_at(s, l);
  int64_t next = t0_us;
  for (size_t k = 0; k < n; k++) {
    int64_t at = t0_us + x[k].ms * 1000;
    while ((next = mc_inspector_tick(i, next)) < at)
      ;
    mc_inspector_tick(i, at);
    mc_can_frame f = make_frame(x[k].signal, x[k].value, at);
    mc_inspector_frame(i, &f);
    next = at;
  }
  while ((next = mc_inspector_tick(i, next)) < t0_us + end_ms * 1000)
    ;
  mc_inspector_tick(i, t0_us + end_ms * 1000);
  mc_inspector_destroy(&i);
}

static void run_values(const mc_fw_scheme *s, const step *x, size_t n, int64_t end_ms, log *l)
{
  mc_inspector *i = open_at(s, l);
  for (size_t k = 0; k < n; k++) {
    mc_inspector_value v = {x[k].signal, x[k].value};
    mc_inspector_advance(i, t0_us + x[k].ms * 1000);
    mc_inspector_values(i, t0_us + x[k].ms * 1000, &v, 1);
  }
  mc_inspector_advance(i, t0_us + end_ms * 1000);
  mc_inspector_destroy(&i);
}

static bool alike(const char *name, const mc_fw_scheme *s)
{
  static step series[400];
  static log frames, values;
  for (unsigned seed = 1; seed <= 5; seed++) {
    size_t n = make_series(series, sizeof series / sizeof series[0], seed);
    int64_t end = series[n - 1].ms + 7200000;
    run_frames(s, series, n, end, &frames);
    run_values(s, series, n, end, &values);
    if (!frames.count || frames.count != values.count) {
      printf("# %s, seed %u: %d events from frames, %d from samples\n", name, seed, frames.count, values.count);
      return false;
    }
    for (int k = 0; k < frames.count && k < MOST; k++)
      if (frames.at[k].time_us != values.at[k].time_us || frames.at[k].samples != values.at[k].samples || frames.at[k].bytes != values.at[k].bytes) {
        printf("# %s, seed %u, event %d: %lld us %u samples from frames, %lld us %u samples from samples\n", name, seed, k, (long long)(frames.at[k].time_us - t0_us),
               frames.at[k].samples, (long long)(values.at[k].time_us - t0_us), values.at[k].samples);
        return false;
      }
  }
  return true;
}

static const mc_fw_signal_info both[] = {{.signal_id = 1, .sample_buffer_size = 20}, {.signal_id = 2, .sample_buffer_size = 20}};

static mc_fw_node of_signal = {.kind = MC_FW_NODE_SIGNAL, .signal_id = 1}, zero = {.kind = MC_FW_NODE_DOUBLE};
static mc_fw_node above = {.kind = MC_FW_NODE_OPERATOR, .op = 1, .left = &of_signal, .right = &zero};
static mc_fw_node window_max = {.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_WINDOW, .window = 1, .signal_id = 1};
static mc_fw_node five = {.kind = MC_FW_NODE_DOUBLE, .number = 5};
static mc_fw_node window_above = {.kind = MC_FW_NODE_OPERATOR, .op = 1, .left = &window_max, .right = &five};
static mc_fw_node is_null = {.kind = MC_FW_NODE_FUNCTION, .function = MC_FW_FN_IS_NULL, .left = &of_signal};

static mc_fw_scheme conditional(mc_fw_node *condition, uint32_t interval_ms)
{
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.condition_based = true;
  s.condition = condition;
  s.minimum_interval_ms = interval_ms;
  s.signal = both;
  s.signal_count = 2;
  return s;
}

static void test_periods_give_the_same_events(void)
{
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 1700;
  s.signal = both;
  s.signal_count = 2;
  CHECK(alike("period", &s));
  s.after_duration_ms = 400;
  CHECK(alike("period, and after it", &s));
}

static void test_conditions_give_the_same_events(void)
{
  mc_fw_scheme s = conditional(&above, 0);
  CHECK(alike("condition", &s));
  s.minimum_interval_ms = 1300;
  CHECK(alike("condition with an interval", &s));
  s.trigger_mode = 1;
  CHECK(alike("rising edge", &s));
  s.after_duration_ms = 2500;
  CHECK(alike("rising edge, and after it", &s));
}

static void test_windows_give_the_same_events(void)
{
  mc_fw_signal_info info[] = {{.signal_id = 1, .sample_buffer_size = 20, .fixed_window_period_ms = 2000}, {.signal_id = 2, .sample_buffer_size = 20}};
  mc_fw_scheme s = conditional(&window_above, 1000);
  s.signal = info;
  CHECK(alike("window", &s));
}

static void test_polled_conditions_give_the_same_events(void)
{
  mc_fw_scheme s = conditional(&is_null, 1000);
  CHECK(alike("isNull", &s));
}

static int64_t thread_us(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void test_a_year_without_samples_costs_nothing(void)
{
  static log l;
  mc_fw_scheme s = make_scheme("c1", "dm1");
  s.period_ms = 10;
  s.signal = both;
  s.signal_count = 2;
  mc_inspector *i = open_at(&s, &l);
  mc_inspector_value v = {1, 3};
  mc_inspector_values(i, t0_us, &v, 1);
  int64_t begin = thread_us();
  mc_inspector_advance(i, t0_us + 365 * 86400000000LL);
  CHECK(thread_us() - begin < 1000000); /* 3 thousand million periods */
  CHECK_INT(l.count, 1);
  CHECK_INT(l.at[0].time_us, t0_us + 10000);
  mc_inspector_values(i, t0_us + 365 * 86400000000LL, &v, 1);
  mc_inspector_advance(i, t0_us + 365 * 86400000000LL + 20000);
  CHECK_INT(l.count, 2);
  mc_inspector_destroy(&i);
}

static void test_samples_of_one_moment_are_judged_together(void)
{
  static log l;
  mc_fw_node two = {.kind = MC_FW_NODE_SIGNAL, .signal_id = 2};
  mc_fw_node differ = {.kind = MC_FW_NODE_OPERATOR, .op = 1, .left = &of_signal, .right = &two};
  mc_fw_scheme s = conditional(&differ, 0);
  mc_inspector *i = open_at(&s, &l);
  mc_inspector_value low[] = {{1, 1}, {2, 5}}, high[] = {{1, 7}, {2, 9}}, other = {77, 1};
  CHECK_INT(mc_inspector_values(i, t0_us + 1000, low, 2), 2);
  CHECK_INT(mc_inspector_values(i, t0_us + 2000, high, 2), 2); /* one after the other, 7 > 5 would have held for a moment */
  CHECK_INT(l.count, 0);
  CHECK_INT(mc_inspector_values(i, t0_us + 3000, &other, 1), 0);
  mc_inspector_destroy(&i);
}

int main(int argc, char **argv)
{
  RUN(test_periods_give_the_same_events);
  RUN(test_conditions_give_the_same_events);
  RUN(test_windows_give_the_same_events);
  RUN(test_polled_conditions_give_the_same_events);
  RUN(test_a_year_without_samples_costs_nothing);
  RUN(test_samples_of_one_moment_are_judged_together);
  return tap_done();
}
