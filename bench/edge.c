/* motorcade bench edge: what one core of a vehicle's computer decodes and inspects. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "bench/bench.h"
#include "edge/edge.h"
#include "format/fleetwise.h"
#include "signal/signal.h"

/* 30 messages, four 16-bit signals each, every message every 10 ms: a busy 500 kbit/s bus. */
enum { MESSAGES = 30, PER_MESSAGE = 4, SIGNALS = MESSAGES * PER_MESSAGE, FRAMES = 1 << 15, PERIOD_US = 10000, FIRST_ID = 0x100 };

static mc_can_frame *make_frames(int64_t from_us)
{
  mc_can_frame *f = calloc(FRAMES, sizeof *f);
  uint64_t x = 88172645463325252ULL;
  for (int i = 0; i < FRAMES && f; i++) {
    f[i] = (mc_can_frame){.id = FIRST_ID + (uint32_t)(i % MESSAGES), .len = 8, .time_us = from_us + (int64_t)i * PERIOD_US / MESSAGES};
    for (int s = 0; s < PER_MESSAGE; s++) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      /* Values wander around the middle; the highest are reached seldom. */
      mc_store_le16(f[i].data + 2 * s, (uint16_t)(32768 + 9000 * sin(i * 0.0007 + s) + (double)(x % 12000)));
    }
  }
  return f;
}

/* ---- decode ---- */

static double decode_round(const mc_decode_plan *plan, const mc_can_frame *frame, double seconds, double *sum)
{
  mc_decoded out[PER_MESSAGE];
  double began = bench_self_cpu_s(), wall = bench_now_s(), now;
  uint64_t signals = 0;
  do {
    for (int i = 0; i < FRAMES; i++) {
      size_t n = mc_decode_plan_run(plan, &frame[i], out, PER_MESSAGE);
      for (size_t k = 0; k < n; k++)
        *sum += out[k].value;
      signals += n;
    }
    now = bench_now_s();
  } while (now - wall < seconds);
  return (double)signals / (bench_self_cpu_s() - began);
}

static mc_err write_text(const char *path, const char *text, mc_why *why)
{
  return mc_fs_replace(mc_fs_posix(), path, mc_slice_str(text), 0600, why);
}

static mc_err write_dbc(const char *path, mc_why *why)
{
  mc_buf b = {0};
  mc_err err = mc_buf_append_str(&b, "VERSION \"\"\nNS_ :\nBS_:\nBU_: A\n");
  for (int m = 0; m < MESSAGES && !err; m++) {
    err = mc_buf_printf(&b, "BO_ %d M%d: 8 A\n", FIRST_ID + m, m);
    for (int s = 0; s < PER_MESSAGE && !err; s++)
      err = mc_buf_printf(&b, " SG_ S%d : %d|16@1+ (0.25,0) [0|0] \"\" A\n", s, 16 * s);
  }
  if (!err)
    err = mc_fs_replace(mc_fs_posix(), path, mc_buf_slice(&b), 0600, why);
  mc_buf_free(&b);
  return err;
}

/* cantools, when a Python here has it: the same messages, its own loop. 0: not here. */
static double cantools_rate(const bench_options *o)
{
  static const char script[] = "import sys, time, cantools\n"
                               "db = cantools.database.load_file(sys.argv[1])\n"
                               "frames = [(0x100 + i % 30, bytes((i * 7 + k * 31) % 256 for k in range(8))) for i in range(3000)]\n"
                               "decode, n, began = db.decode_message, 0, time.process_time()\n"
                               "while time.process_time() - began < 1.5:\n"
                               "    for id, data in frames:\n"
                               "        n += len(decode(id, data))\n"
                               "print(n / (time.process_time() - began))\n";
  char dbc[500], code[500], command[1200];
  snprintf(dbc, sizeof dbc, "%s/bench.dbc", o->dir);
  snprintf(code, sizeof code, "%s/decode.py", o->dir);
  if (write_dbc(dbc, NULL) || write_text(code, script, NULL))
    return 0;
  static const char *const python[] = {"/usr/bin/python3", "python3"};
  double rate = 0;
  for (int i = 0; i < 2 && rate <= 0; i++) {
    snprintf(command, sizeof command, "%s '%s' '%s' 2>/dev/null", python[i], code, dbc);
    FILE *f = popen(command, "r");
    if (f && fscanf(f, "%lf", &rate) != 1)
      rate = 0;
    if (f)
      pclose(f);
  }
  return rate;
}

static mc_err run_decode(const bench_options *o, mc_why *why)
{
  enum { ROUNDS = 5 };
  mc_can_signal signal[SIGNALS];
  mc_decode_plan *plan;
  double rate[ROUNDS], sum = 0;
  for (uint32_t i = 0; i < SIGNALS; i++)
    signal[i] = (mc_can_signal){.signal_id = i + 1,
                                .encoding_id = i + 1,
                                .message_id = FIRST_ID + i / PER_MESSAGE,
                                .start_bit = (uint16_t)(16 * (i % PER_MESSAGE)),
                                .length = 16,
                                .factor = 0.25,
                                .type = MC_TYPE_FLOAT64};
  MC_TRY(mc_decode_plan_create(signal, SIGNALS, &plan, why));
  mc_can_frame *frame = make_frames(0);
  if (!frame) {
    mc_decode_plan_destroy(&plan);
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for frames");
  }
  for (int i = 0; i < ROUNDS; i++)
    rate[i] = decode_round(plan, frame, o->quick ? 1 : 3, &sum);
  free(frame);
  mc_decode_plan_destroy(&plan);
  double peer = cantools_rate(o);
  bench_line line = {.bench = "edge",
                     .name = "decode",
                     .unit = "signals/s",
                     .ours = bench_median(rate, ROUNDS),
                     .peer = {{"cantools", peer}},
                     .peers = peer > 0,
                     .rss_kib = -1};
  line.cpu_us_per_unit = 1e6 / line.ours;
  snprintf(line.conditions, sizeof line.conditions,
           "signals per second of one core's time; %d messages of %d 16-bit signals with factor 0.25, %d frames in turn, raw and physical "
           "value of each; checksum %.6g%s",
           MESSAGES, PER_MESSAGE, FRAMES, sum,
           peer > 0 ? "; cantools decodes the same messages in Python" : "; cantools is not installed here");
  bench_print(o, &line);
  return MC_OK;
}

/* ---- inspect ---- */

typedef struct caught {
  uint64_t events, samples, bytes;
} caught;

static void on_event(void *ctx, const mc_collected *e)
{
  caught *c = ctx;
  c->events++;
  c->samples += e->samples;
  c->bytes += e->payload.len;
}

static int channel_of(void *ctx, mc_slice interface_id)
{
  return mc_slice_eq_str(interface_id, "can0") ? 0 : -1;
}

static mc_err set_manifest(mc_inspector *i, mc_why *why)
{
  mc_fw_can_signal s[SIGNALS];
  for (uint32_t k = 0; k < SIGNALS; k++)
    s[k] = (mc_fw_can_signal){.signal_id = k + 1,
                              .interface_id = MC_LIT("can0"),
                              .message_id = FIRST_ID + k / PER_MESSAGE,
                              .start_bit = 16 * (k % PER_MESSAGE),
                              .length = 16,
                              .factor = 0.25,
                              .type = MC_TYPE_FLOAT64};
  mc_fw_manifest m = {.sync_id = MC_LIT("bench-manifest"), .can = s, .can_count = SIGNALS};
  mc_buf bytes = {0};
  mc_err err = mc_fw_write_manifest(&bytes, &m);
  if (!err)
    err = mc_inspector_set_manifest(i, mc_buf_slice(&bytes), why);
  mc_buf_free(&bytes);
  return err;
}

enum { CONDITIONS = 50 };

/* Two kinds in turn: `a > high`, and `a > high && b < low`; both come true now and then. */
typedef struct condition {
  mc_fw_node root, left, right, node[4];
} condition;

static mc_fw_node *make_condition(condition *c, uint32_t k)
{
  uint32_t a = k * 2 % SIGNALS + 1, b = (k * 2 + 61) % SIGNALS + 1;
  c->node[0] = (mc_fw_node){.kind = MC_FW_NODE_SIGNAL, .signal_id = a};
  c->node[1] = (mc_fw_node){.kind = MC_FW_NODE_DOUBLE, .number = 13420};
  c->left = (mc_fw_node){.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_GT, .left = &c->node[0], .right = &c->node[1]};
  if (k % 2 == 0)
    return &c->left;
  c->node[2] = (mc_fw_node){.kind = MC_FW_NODE_SIGNAL, .signal_id = b};
  c->node[3] = (mc_fw_node){.kind = MC_FW_NODE_DOUBLE, .number = 8000};
  c->right = (mc_fw_node){.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_LT, .left = &c->node[2], .right = &c->node[3]};
  c->root = (mc_fw_node){.kind = MC_FW_NODE_OPERATOR, .op = MC_OP_AND, .left = &c->left, .right = &c->right};
  return &c->root;
}

static mc_err set_schemes(mc_inspector *i, int64_t now_us, mc_why *why)
{
  static condition conditions[CONDITIONS];
  static char id[CONDITIONS + 1][24];
  static mc_fw_signal_info collect[CONDITIONS + 1][20];
  mc_fw_scheme scheme[CONDITIONS + 1];
  for (uint32_t k = 0; k <= CONDITIONS; k++) {
    bool timed = k == CONDITIONS;
    uint32_t count = timed ? 20 : 5;
    snprintf(id[k], sizeof id[k], "bench-campaign-%u", k);
    for (uint32_t s = 0; s < count; s++)
      collect[k][s] = (mc_fw_signal_info){.signal_id = (k * 2 + s * 7) % SIGNALS + 1, .sample_buffer_size = 100};
    if (!timed)
      collect[k][0].signal_id = k * 2 % SIGNALS + 1;
    scheme[k] = (mc_fw_scheme){.campaign_sync_id = mc_slice_str(id[k]),
                               .manifest_sync_id = MC_LIT("bench-manifest"),
                               .start_ms = 1,
                               .expiry_ms = (uint64_t)now_us / 1000 + 86400000ULL * 3650,
                               .condition_based = !timed,
                               .period_ms = 1000,
                               .minimum_interval_ms = 1000,
                               .trigger_mode = 1,
                               .condition = timed ? NULL : make_condition(&conditions[k], k),
                               .compress = true,
                               .signal = collect[k],
                               .signal_count = count};
  }
  mc_fw_schemes list = {scheme, CONDITIONS + 1, (uint64_t)now_us / 1000};
  mc_buf bytes = {0};
  mc_err err = mc_fw_write_schemes(&bytes, &list);
  if (!err)
    err = mc_inspector_set_schemes(i, mc_buf_slice(&bytes), now_us, why);
  const mc_slice *text;
  if (!err && mc_inspector_errors(i, &text))
    err = mc_err_set(why, MC_ERR_INVALID, "a campaign of the bench was refused: %.*s", MC_FMT(text[0]));
  mc_buf_free(&bytes);
  return err;
}

/* Frames come one after the other at their own pace in vehicle time; a tick each 10 ms of it, as the agent's timer gives. */
static double inspect_round(mc_inspector *i, mc_can_frame *frame, double seconds, int64_t *shift_us, uint64_t *frames)
{
  double began = bench_self_cpu_s(), wall = bench_now_s();
  uint64_t signals = 0;
  do {
    for (int k = 0; k < FRAMES; k++) {
      signals += mc_inspector_frame(i, &frame[k]);
      if (k % MESSAGES == MESSAGES - 1)
        mc_inspector_tick(i, frame[k].time_us);
      frame[k].time_us += *shift_us;
    }
    *frames += FRAMES;
  } while (bench_now_s() - wall < seconds);
  return (double)signals / (bench_self_cpu_s() - began);
}

static mc_err run_inspect(const bench_options *o, mc_why *why)
{
  enum { ROUNDS = 5 };
  caught c = {0};
  double rate[ROUNDS];
  uint64_t frames = 0;
  int64_t now_us = mc_clock_wall_us(), shift_us = (int64_t)FRAMES * PERIOD_US / MESSAGES;
  mc_inspector *i;
  mc_inspector_config config = {.channel_of = channel_of, .collected = on_event, .ctx = &c};
  MC_TRY(mc_inspector_create(&config, &i, why));
  mc_inspector_tick(i, now_us);
  mc_can_frame *frame = make_frames(now_us);
  mc_err err = frame ? set_manifest(i, why) : MC_ERR_MEMORY;
  if (!err)
    err = set_schemes(i, now_us, why);
  for (int k = 0; k < ROUNDS && !err; k++)
    rate[k] = inspect_round(i, frame, o->quick ? 1 : 3, &shift_us, &frames);
  double vehicle_s = (double)frames * PERIOD_US / MESSAGES / 1e6;
  free(frame);
  mc_inspector_destroy(&i);
  if (!err && (!c.events || !c.samples))
    err = mc_err_set(why, MC_ERR_INVALID, "no campaign collected anything");
  if (err)
    return err;
  bench_line line = {.bench = "edge", .name = "inspect-50", .unit = "signals/s", .ours = bench_median(rate, ROUNDS), .rss_kib = -1};
  line.cpu_us_per_unit = 1e6 / line.ours;
  snprintf(
      line.conditions, sizeof line.conditions,
      "signals per second of one core's time, decoding included; %d messages of %d signals each 10 ms, %d condition campaigns on rising "
      "edges (half with two comparisons) and one each second; %.0f s of driving gave %llu events, %llu samples, %.1f MB compressed",
      MESSAGES, PER_MESSAGE, CONDITIONS, vehicle_s, (unsigned long long)c.events, (unsigned long long)c.samples, (double)c.bytes / 1e6);
  bench_print(o, &line);
  return MC_OK;
}

int bench_edge(const bench_options *o)
{
  int failed = 0;
  mc_why why = {0};
  if (bench_wanted(o, "decode") && run_decode(o, &why)) {
    fprintf(stderr, "bench edge decode: %s\n", why.text);
    failed++;
  }
  if (bench_wanted(o, "inspect-50") && run_inspect(o, &why)) {
    fprintf(stderr, "bench edge inspect-50: %s\n", why.text);
    failed++;
  }
  return failed ? 1 : 0;
}
