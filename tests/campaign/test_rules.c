/* Every evaluation rule of contract fleetwise 6.2 (with the corrections of 13), one table for both users of the engine: the cloud (the
 * evaluator; the dry run over stored samples) and the agent, where a condition goes the whole way - text, campaign, document, agent, frames. */
#include <math.h>

#include "campaign_case.h"
#include "edge/edge.h"

/* A, B: INT16; D: 64 bits, 0.5 a step; Z is never sent. */
static const char rules_dbc[] = "BO_ 257 M1: 8 E\n SG_ A : 0|16@1- (1,0) [-32768|32767] \"\" E\n"
                                "BO_ 258 M2: 8 E\n SG_ B : 0|16@1- (1,0) [-32768|32767] \"\" E\n"
                                "BO_ 259 M3: 8 E\n SG_ D : 0|64@1+ (0.5,0) [0|1e19] \"\" E\n"
                                "BO_ 260 M4: 8 E\n SG_ Z : 0|16@1- (1,0) [-32768|32767] \"\" E\n";
#define A "$variable.`Vehicle.M1.A`"
#define B "$variable.`Vehicle.M2.B`"
#define D "$variable.`Vehicle.M3.D`"
#define Z "$variable.`Vehicle.M4.Z`"

typedef struct feed {
  char signal; /* 0: the end */
  int raw, ms; /* since the agent began */
} feed;
typedef struct rule {
  const char *name, *text;
  feed sent[8];
  bool fires;
} rule;

#define A5 {{'A', 5, 1100}}
static const rule rules[] = {
    {"a number compares", A " > 4", A5, true},
    {"and not", A " > 5", A5, false},
    {"16-bit signed signals compare", A " < 0", {{'A', -30000, 1100}}, true},
    {"64 bits with a step of half", D " == 0.5", {{'D', 1, 1100}}, true},
    {"bool and number convert freely", A " + true == 6", A5, true},
    {"a comparison is a number too", "(" A " > 1) + 1 == 2", A5, true},
    {"a number other than 0 is true", A " - 4", A5, true},
    {"0 is false", A " - 5", A5, false},
    {"text is joined and compared", "'a' + 'b' == 'ab' && " A " > 1", A5, true},
    {"text differs", "'a' != 'a' || " A " > 100", A5, false},
    {"a signal never sent is undefined: false", Z " < 32767", A5, false},
    {"and so is its opposite", "!(" Z " < 32767)", A5, false},
    {"undefined spreads through or", A " > 4 || " Z " > 1", A5, false},
    {"undefined spreads through and", A " > 4 && !(" Z " > 1)", A5, false},
    {"both sides of or are looked at", Z " > 1 || true", A5, false},
    {"both sides of and are looked at", "!(false && " Z " > 1)", A5, false},
    {"arithmetic with undefined is undefined", Z " * 0 == 0", A5, false},
    {"0 divided by 0 is undefined", "!((" A " - 5) / (" A " - 5) > 1)", A5, false},
    {"equal within a thousandth", A " == 5.0009", A5, true},
    {"beyond it not", A " == 5.0011", A5, false},
    {"unequal only beyond it", A " != 5.0009", A5, false},
    {"not, and, or in one", "!(" A " < 0) && (" A " == 4 || " A " == 5)", A5, true},
    {"all of arithmetic", "(" A " * 4 - 2) / 3 + 1 == 7", A5, true},
    {"more than ten levels", A " + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 == 17", A5, true},
    {"isNull of what was never sent", "isNull(" Z ") && " A " == 5", A5, true},
    {"isNull of a fresh sample", "isNull(" A ")", {{'A', 1, 1100}}, true}, /* true before it comes, and again once it is consumed */
    {"not isNull of a fresh sample", "!isNull(" A ")", A5, true},
    {"abs", "custom_function('abs', " B ") == 2", {{'A', 5, 1050}, {'B', -2, 1100}}, true},
    {"min and max", "custom_function('min', " A ", 3) + custom_function('max', " A ", 7) == 10", A5, true},
    {"pow, log, ceil, floor", "custom_function('pow', 2, " A ") == 32 && custom_function('log', 2, 8) == 3 && custom_function('ceil', 1.5) + custom_function('floor', -1.5) == 0", A5,
     true},
    {"a logarithm that is none is undefined", "!(custom_function('log', 1, " A ") > 0)", A5, false},
    {"MULTI_RISING_EDGE_TRIGGER is false without an edge", "custom_function('MULTI_RISING_EDGE_TRIGGER', 'a', " A " > 4)", A5, false},
    {"two signals, whichever comes last", A " == 5 && " B " == 7", {{'A', 5, 1100}, {'B', 7, 1200}}, true},
    {"the newest value counts", A " == 1", {{'A', 5, 1100}, {'A', 1, 1200}}, true},
    {"the least of a closed window", "last_window_min(" A ") == 1", {{'A', 3, 1100}, {'A', 1, 1200}, {'A', 8, 1300}, {'A', 50, 2400}}, true},
    {"the greatest, below zero too", "last_window_max(" A ") == -3", {{'A', -5, 1100}, {'A', -3, 1200}, {'A', -50, 2400}}, true},
    {"the mean, not cut to an integer", "last_window_avg(" A ") == 1.5", {{'A', 1, 1100}, {'A', 2, 1200}, {'A', 50, 2400}}, true},
    {"a window that is still open says nothing", "last_window_avg(" A ") == 1.5", {{'A', 1, 1100}, {'A', 2, 1200}}, false},
    {"the window before", "prev_last_window_max(" A ") == 2", {{'A', 2, 1100}, {'A', 9, 2200}, {'A', 50, 3400}}, true},
    {"there was none before", "prev_last_window_max(" A ") == 2", {{'A', 2, 1100}, {'A', 9, 2200}}, false},
};
enum { RULES = sizeof rules / sizeof rules[0], PERIOD_MS = 1000 };

/* ---- the evaluator, over what was sent ---- */

typedef struct cloud {
  const rule *r;
  bool consumed; /* the samples were looked at once */
} cloud;

static uint32_t lookup(void *ctx, mc_slice fqn) { return fqn.len ? fqn.data[fqn.len - 1] : 0; }

static double physical(const feed *f) { return f->signal == 'D' ? f->raw * 0.5 : f->raw; }

static const feed *newest(const rule *r, uint32_t signal)
{
  const feed *found = NULL;
  for (int i = 0; r->sent[i].signal; i++)
    if ((uint32_t)r->sent[i].signal == signal)
      found = &r->sent[i];
  return found;
}

static mc_value value_of(void *ctx, uint32_t signal)
{
  const cloud *c_ = ctx;
  const feed *f = newest(c_->r, signal);
  return f ? (mc_value){.kind = MC_VALUE_NUMBER, .number = physical(f)} : (mc_value){0};
}

static bool is_new(void *ctx, uint32_t signal)
{
  const cloud *c_ = ctx;
  return !c_->consumed && newest(c_->r, signal);
}

/* Tumbling windows from the first sample on, the last closed one and the one before, as of the last sample. */
static mc_value window_of(void *ctx, uint32_t signal, mc_window which)
{
  const cloud *c_ = ctx;
  int first = 0, last = 0;
  for (int i = c_->r->sent[0].signal ? 0 : 7; c_->r->sent[i].signal; i++)
    if ((uint32_t)c_->r->sent[i].signal == signal) {
      first = first ? first : c_->r->sent[i].ms;
      last = c_->r->sent[i].ms;
    }
  int open = (last - first) / PERIOD_MS, wanted = open - (which >= MC_PREV_LAST_MIN ? 2 : 1), count = 0;
  double least = INFINITY, most = -INFINITY, sum = 0;
  for (int i = 0; c_->r->sent[i].signal; i++) {
    if ((uint32_t)c_->r->sent[i].signal != signal || (c_->r->sent[i].ms - first) / PERIOD_MS != wanted)
      continue;
    least = fmin(least, physical(&c_->r->sent[i]));
    most = fmax(most, physical(&c_->r->sent[i]));
    sum += physical(&c_->r->sent[i]);
    count++;
  }
  if (wanted < 0 || !count)
    return (mc_value){0};
  int kind = which % 3;
  return (mc_value){.kind = MC_VALUE_NUMBER, .number = kind == 0 ? least : kind == 1 ? most : sum / count};
}

/* True when it holds for what was sent, the samples being new or, for conditions with isNull, having been looked at. */
static int evaluates(const rule *r)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_expr *e;
  mc_why why;
  cloud ctx = {.r = r};
  uint8_t memory[16] = {0};
  mc_expr_env env = {&ctx, value_of, is_new, window_of, NULL, memory};
  if (mc_expr_parse(mc_slice_str(r->text), lookup, NULL, false, &arena, &e, &why)) {
    printf("# %s\n", why.text);
    return -1;
  }
  if (mc_expr_memory(e) > sizeof memory)
    return -1;
  bool once = mc_value_is_true(mc_expr_eval(e, &env));
  ctx.consumed = true;
  return once || (strstr(r->text, "isNull") && mc_value_is_true(mc_expr_eval(e, &env)));
}

/* ---- the whole way to an agent ---- */

static int events;

static int channel(void *ctx, mc_slice id) { return mc_slice_eq_str(id, "can0") ? 0 : -1; }
static void collected(void *ctx, const mc_collected *e) { events++; }

static mc_inspector *agent_with_documents(int64_t now_us, void (*sent_by_agent)(void *ctx, const mc_collected *e))
{
  mc_inspector *i = NULL;
  mc_inspector_config config = {.channel_of = channel, .collected = sent_by_agent};
  mc_why why;
  if (mc_inspector_create(&config, &i, &why))
    return NULL;
  mc_inspector_tick(i, now_us);
  for (int k = 0; k < sent_count; k++) {
    mc_slice bytes = mc_buf_slice(&outbox[k].payload);
    if (strstr(outbox[k].topic, "decoder_manifests") ? mc_inspector_set_manifest(i, bytes, &why) : mc_inspector_set_schemes(i, bytes, now_us, &why))
      printf("# %s\n", why.text);
  }
  const mc_slice *errors;
  if (mc_inspector_errors(i, &errors))
    printf("# %.*s\n", MC_FMT(errors[0]));
  return i;
}

static void send_frame(mc_inspector *i, const feed *f, int64_t began_us)
{
  mc_can_frame frame = {.id = 257u + (f->signal == 'A' ? 0 : f->signal == 'B' ? 1 : 2), .len = 8, .time_us = began_us + f->ms * 1000LL};
  if (f->signal == 'D')
    mc_store_le64(frame.data, (uint64_t)f->raw);
  else
    mc_store_le16(frame.data, (uint16_t)f->raw);
  mc_inspector_frame(i, &frame);
}

/* -1: it never came so far. */
static int fires(const rule *r)
{
  mc_dbc_import_report report;
  mc_why why = {0};
  mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.M1.A")}, with[2] = {{.fqn = MC_LIT("Vehicle.M1.A")}, {.fqn = MC_LIT("Vehicle.M3.D")}};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign g = {.tenant = 1, .name = MC_LIT("c"), .target_kind = MC_LIT("all"), .condition_based = true, .expression = mc_slice_str(r->text), .min_interval_ms = PERIOD_MS,
                   .signal = newest(r, 'D') ? with : &collect, .signal_count = newest(r, 'D') ? 2 : 1};
  int result = -1;
  events = 0;
  if (begin() && import(rules_dbc, "", &report, &why) == MC_OK && give_manifest() == MC_OK && mc_campaign_create(c, &g, true, &arena, &why) == MC_OK &&
      checkin(NULL, 0, true) == MC_OK && sent_count == 2) {
    int64_t began = mc_clock_wall_us();
    mc_inspector *i = agent_with_documents(began, collected);
    for (int k = 0; i && r->sent[k].signal; k++)
      send_frame(i, &r->sent[k], began);
    if (i)
      mc_inspector_tick(i, began + (r->sent[0].ms + 20) * 1000LL);
    if (i && strstr(r->text, "isNull")) /* looked at again and again, and fires once an interval has passed */
      mc_inspector_tick(i, began + (r->sent[0].ms + 2 * PERIOD_MS) * 1000LL);
    result = i ? events > 0 : -1;
    mc_inspector_destroy(&i);
  } else {
    printf("# %s\n", why.text);
  }
  end();
  return result;
}

static void test_cloud_and_edge_agree_on_every_rule(void)
{
  int differ = 0;
  for (int i = 0; i < RULES; i++) {
    int cloud_says = evaluates(&rules[i]), edge_says = fires(&rules[i]);
    if (cloud_says != rules[i].fires || edge_says != rules[i].fires) {
      printf("# %s: %s: cloud %d, edge %d, want %d\n", rules[i].name, rules[i].text, cloud_says, edge_says, rules[i].fires);
      differ++;
    }
  }
  CHECK_INT(differ, 0);
}

/* ---- when: what is sent, and the moments, with every kind of trigger ---- */

typedef struct timing {
  const char *name, *text; /* NULL: time based */
  int interval_ms;         /* or the period */
  bool rising;
  int after_ms, most, least_ms; /* most: maxSampleCount, 0: 100; least_ms: minimumSamplingIntervalMs */
  feed sent[12];
  const char *wanted; /* "<ms of the event>:<values of A, newest first>;" */
} timing;

static const timing timings[] = {
    {"a period", NULL, 1000, .sent = {{'A', 1, 300}, {'A', 2, 600}, {'A', 3, 1500}}, .wanted = "1000:2,1;2000:3;"},
    {"a period without samples sends nothing", NULL, 1000, .sent = {{'A', 1, 300}, {'A', 2, 2500}}, .wanted = "1000:1;3000:2;"},
    {"ALWAYS: nothing before one interval has passed", A " > 4", 1000, .sent = {{'A', 5, 100}}, .wanted = "1000:5;"},
    {"ALWAYS: again each interval while it holds", A " > 4", 1000, .sent = {{'A', 5, 500}, {'A', 5, 1500}, {'A', 5, 2500}}, .wanted = "1000:5;2000:5;3000:5;"},
    {"ALWAYS: no sooner than the interval after the last", A " > 4", 1000, .sent = {{'A', 5, 1200}, {'A', 6, 1500}, {'A', 1, 2000}, {'A', 7, 2300}}, .wanted = "1200:5;2300:7,1,6;"},
    {"ALWAYS without an interval: each sample", A " > 4", 0, .sent = {{'A', 5, 100}, {'A', 6, 200}, {'A', 6, 300}}, .wanted = "100:5;200:6;300:6;"},
    {"ALWAYS without an interval: the same value again within 50 ms waits for its turn", A " > 4", 0, .sent = {{'A', 5, 100}, {'A', 5, 110}, {'A', 5, 120}}, .wanted = "100:5;150:5,5;"},
    {"ALWAYS without an interval: false ends it", A " > 4", 0, .sent = {{'A', 5, 100}, {'A', 1, 200}, {'A', 2, 300}, {'A', 6, 400}}, .wanted = "100:5;400:6,2,1;"},
    {"RISING_EDGE: true from the beginning is no edge", A " > 4", 0, true, .sent = {{'A', 5, 100}, {'A', 6, 200}}, .wanted = ""},
    {"RISING_EDGE: once an edge", A " > 4", 0, true, .sent = {{'A', 1, 100}, {'A', 5, 200}, {'A', 6, 300}, {'A', 1, 400}, {'A', 7, 500}}, .wanted = "200:5,1;500:7,1,6;"},
    {"RISING_EDGE: undefined is no false", A " > 4 && " B " > 0", 0, true, .sent = {{'A', 1, 100}, {'A', 5, 200}, {'B', 1, 300}, {'B', 0, 400}, {'B', 1, 500}}, .wanted = "500:5,1;"},
    {"RISING_EDGE: an edge within the interval is told at its end, while it holds", A " > 4", 1000, true, .sent = {{'A', 1, 100}, {'A', 5, 200}}, .wanted = "1000:5,1;"},
    {"RISING_EDGE: and not when it fell before", A " > 4", 1000, true, .sent = {{'A', 1, 100}, {'A', 5, 200}, {'A', 1, 300}, {'A', 5, 1500}}, .wanted = "1500:5,1,5,1;"},
    {"after-duration: what comes behind the trigger is in the event", A " > 4", 0, .after_ms = 500,
     .sent = {{'A', 1, 100}, {'A', 5, 200}, {'A', 2, 400}, {'A', 3, 900}}, .wanted = "200:2,5,1;"},
    {"after-duration: a trigger while it runs makes no other event", A " > 4", 0, .after_ms = 500,
     .sent = {{'A', 5, 200}, {'A', 6, 400}, {'A', 1, 600}, {'A', 7, 900}}, .wanted = "200:1,6,5;900:7;"},
    {"the newest so many, from before the trigger", A " > 8", 0, .most = 3, .sent = {{'A', 1, 100}, {'A', 2, 200}, {'A', 3, 300}, {'A', 4, 400}, {'A', 9, 1100}}, .wanted = "1100:9,4,3;"},
    {"no two samples nearer than the sampling interval", NULL, 1000, .least_ms = 200,
     .sent = {{'A', 1, 100}, {'A', 2, 200}, {'A', 3, 300}, {'A', 4, 400}, {'A', 5, 550}}, .wanted = "1000:5,3,1;"},
    {"but all of them are looked at", A " == 2", 0, .least_ms = 500, .sent = {{'A', 1, 100}, {'A', 2, 200}}, .wanted = "200:1;"},
    {"a window that closes is looked at, without a sample", "last_window_avg(" A ") == 1.5", 1000, .sent = {{'A', 1, 1100}, {'A', 2, 1200}}, .wanted = "2100:2,1;"},
    {"a window that was empty is undefined", "!(last_window_avg(" A ") > 100)", 1000, .sent = {{'A', 1, 1100}, {'A', 2, 4250}}, .wanted = "2100:1;5100:2;"},
    {"not isNull: each new sample, once", "!isNull(" A ")", 0, .sent = {{'A', 5, 1000}, {'A', 5, 2000}}, .wanted = "1000:5;2000:5;"},
    {"a function: looked at with each sample, changed or not", "custom_function('abs', " A ") > 4", 0, .sent = {{'A', -5, 1000}, {'A', -5, 1500}}, .wanted = "1000:-5;1500:-5;"},
    {"MULTI_RISING_EDGE_TRIGGER: the moment of any edge", "custom_function('MULTI_RISING_EDGE_TRIGGER', 'a', " A " > 4, 'b', " B " > 4)", 0,
     .sent = {{'A', 5, 1000}, {'A', 1, 1100}, {'A', 6, 1200}, {'B', 1, 1300}, {'A', 7, 1350}, {'B', 9, 1400}, {'A', 8, 1700}}, .wanted = "1200:6,1,5;1400:7;"},
    {"MULTI_RISING_EDGE_TRIGGER: an edge within the interval is gone", "custom_function('MULTI_RISING_EDGE_TRIGGER', 'a', " A " > 4)", 1000,
     .sent = {{'A', 1, 1100}, {'A', 5, 1200}, {'A', 1, 1300}, {'A', 5, 1400}, {'A', 1, 2300}, {'A', 5, 2400}}, .wanted = "1200:5,1;2400:5,1,5,1;"},
};
enum { TIMINGS = sizeof timings / sizeof timings[0], TIMING_END_MS = 6000 };

static char told[500];
static int64_t told_from_us;

static void tell(void *ctx, const mc_collected *e)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_fw_vehicle_data d;
  size_t n = strlen(told);
  if (mc_fw_read_vehicle_data(e->payload, &arena, &d, NULL))
    return;
  n += (size_t)snprintf(told + n, sizeof told - n, "%lld:", (long long)((e->event_time_us - told_from_us) / 1000));
  for (uint32_t i = 0; i < d.sample_count && n < sizeof told; i++)
    n += (size_t)snprintf(told + n, sizeof told - n, "%s%g", i ? "," : "", d.sample[i].number);
  if (n < sizeof told)
    snprintf(told + n, sizeof told - n, ";");
}

/* As the platform's dry run does it: stored samples in place of frames, and from one moment to the next in one step. */
static void run_stored(const timing *t, mc_inspector *i)
{
  uint32_t id[2];
  if (mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.M1.A"), &id[0]) || mc_registry_signal_lookup(registry, 1, MC_LIT("Vehicle.M2.B"), &id[1]))
    return;
  for (const feed *f = t->sent; f->signal; f++) {
    int64_t at_us = told_from_us + f->ms * 1000LL;
    mc_inspector_advance(i, at_us);
    mc_inspector_values(i, at_us, &(mc_inspector_value){id[f->signal == 'B'], f->raw}, 1);
  }
  mc_inspector_advance(i, told_from_us + TIMING_END_MS * 1000LL);
}

/* Frames as they come. every_ms: the clock moves on so often; 0: whenever the agent wants to be called, as its loop does it. */
static void run_timing(const timing *t, mc_inspector *i, int every_ms)
{
  int64_t end_us = told_from_us + TIMING_END_MS * 1000LL, next_us = told_from_us;
  for (const feed *f = t->sent;; f++) {
    int64_t until_us = f->signal ? told_from_us + f->ms * 1000LL : end_us;
    while (next_us < until_us) {
      int64_t wanted_us = mc_inspector_tick(i, next_us);
      next_us = every_ms ? next_us + every_ms * 1000LL : wanted_us;
    }
    if (!f->signal)
      break;
    mc_inspector_tick(i, until_us);
    send_frame(i, f, told_from_us);
    int64_t wanted_us = mc_inspector_tick(i, until_us);
    next_us = every_ms ? next_us : wanted_us;
  }
}

typedef enum way { BY_THE_CLOCK, WHEN_IT_ASKS, FROM_STORE, WAYS } way;

static bool time_right(const timing *t, way how)
{
  static const char *const name[] = {"by the clock", "when it asks", "from the store"};
  mc_dbc_import_report report;
  mc_why why = {0};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.M1.A"), .max_samples = t->most ? (uint32_t)t->most : 100, .min_period_ms = (uint32_t)t->least_ms};
  mc_campaign g = {.tenant = 1, .name = MC_LIT("c"), .target_kind = MC_LIT("all"), .condition_based = t->text != NULL, .expression = mc_slice_str(t->text),
                   .period_ms = (uint32_t)t->interval_ms, .min_interval_ms = t->text ? (uint32_t)t->interval_ms : 0, .rising_edge = t->rising, .after_ms = (uint32_t)t->after_ms,
                   .signal = &collect, .signal_count = 1};
  bool right = false;
  told[0] = 0;
  if (begin() && import(rules_dbc, "", &report, &why) == MC_OK && give_manifest() == MC_OK && mc_campaign_create(c, &g, true, &arena, &why) == MC_OK &&
      checkin(NULL, 0, true) == MC_OK && sent_count == 2) {
    told_from_us = mc_clock_wall_us() / 1000 * 1000;
    mc_inspector *i = agent_with_documents(told_from_us, tell);
    if (i && how == FROM_STORE)
      run_stored(t, i);
    else if (i)
      run_timing(t, i, how == BY_THE_CLOCK ? 10 : 0);
    mc_inspector_destroy(&i);
    right = i == NULL && strcmp(told, t->wanted) == 0;
  } else {
    printf("# %s\n", why.text);
  }
  end();
  if (!right)
    printf("# %s (%s): sent %s, want %s\n", t->name, name[how], told, t->wanted);
  return right;
}

static void test_what_is_sent_and_when(void)
{
  int wrong = 0;
  for (int i = 0; i < TIMINGS; i++)
    for (way how = BY_THE_CLOCK; how < WAYS; how++)
      wrong += !time_right(&timings[i], how);
  CHECK_INT(wrong, 0);
}

/* What the agent cannot compute it refuses, and the platform shows it. */
static void test_an_unknown_function_is_refused_by_the_agent_with_its_name(void)
{
  static const rule own = {"", "custom_function('their_own', " A ") > 1", A5, false};
  mc_dbc_import_report report;
  mc_why why;
  CHECK_INT(evaluates(&own), 0);
  CHECK(begin());
  CHECK_OK(import(rules_dbc, "", &report, &why));
  CHECK_OK(give_manifest());
  CHECK_OK(create("own", "Vehicle.M1.A", own.text, &why));
  CHECK_OK(checkin(NULL, 0, true));
  mc_inspector *i = agent_with_documents(mc_clock_wall_us(), collected);
  CHECK(i != NULL);
  const mc_slice *texts, *ids;
  size_t n = mc_inspector_errors(i, &texts), held = mc_inspector_sync_ids(i, &ids);
  CHECK_INT(n, 1);
  CHECK_INT(held, 1); /* the manifest */
  checkin_error = texts;
  checkin_error_count = 1;
  CHECK_OK(checkin(ids, 1, true));
  checkin_error_count = 0;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_campaign_vehicle *v;
  size_t count;
  CHECK_OK(mc_campaign_vehicles(c, 1, 1, 10, &arena, &v, &count, &why));
  CHECK_INT(count, 1);
  CHECK_SLICE(v[0].reason, "refused");
  char text[800];
  mc_slice_to_str(v[0].text, text, sizeof text);
  CHECK(strstr(text, "their_own") != NULL);
  mc_inspector_destroy(&i);
  end();
}

int main(void)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_cloud_and_edge_agree_on_every_rule);
  RUN(test_what_is_sent_and_when);
  RUN(test_an_unknown_function_is_refused_by_the_agent_with_its_name);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
