/* motorcade bench fleetwise: what the FleetWise side costs - decoding telemetry and importing a DBC here, a fleet that checks in and a roll-out in fleetwise_fleet.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/fleetwise_peers.h"
#include "campaign/campaign.h"
#include "format/fleetwise.h"

/* ---- catalogs and campaigns in this process ---- */

typedef struct inside {
  mc_db *db;
  mc_registry *registry;
  mc_campaigns *campaigns;
  mc_block_sink sink;
  uint64_t samples, exact; /* that the sink was given; that came as integers of their encoding */
} inside;

static mc_err count_block(void *ctx, const mc_block *b, mc_why *why)
{
  inside *s = ctx;
  s->samples += b->count;
  for (uint32_t i = 0; i < b->count; i++)
    s->exact += b->kind[i] == MC_SAMPLE_RAW;
  return MC_OK;
}

static mc_err inside_open(inside *s, const char *path, mc_why *why)
{
  *s = (inside){.sink = {.ctx = s, .take = count_block}};
  MC_TRY(mc_db_open_sqlite(path, &s->db, why));
  MC_TRY(mc_registry_open(&(mc_registry_config){.db = s->db}, &s->registry, why));
  mc_campaigns_config config = {.db = s->db, .registry = s->registry, .sink = &s->sink, .sink_count = 1};
  return mc_campaigns_open(&config, &s->campaigns, why);
}

static void inside_close(inside *s)
{
  mc_campaigns_close(&s->campaigns);
  mc_registry_close(&s->registry);
  mc_db_close(&s->db);
}

static mc_err make_dbc(mc_buf *out, int messages, int per_message)
{
  mc_err err = mc_buf_append_str(out, "VERSION \"\"\nNS_ :\nBS_:\nBU_: A\n");
  for (int m = 0; m < messages && !err; m++) {
    err = mc_buf_printf(out, "BO_ %d M%d: 8 A\n", 0x100 + m, m);
    for (int s = 0; s < per_message && !err; s++)
      err = mc_buf_printf(out, " SG_ S%d : %d|16@1+ (0.25,0) [0|16000] \"km/h\" A\n", s, 16 * s);
  }
  for (int m = 0; m < messages && !err; m++) {
    err = mc_buf_printf(out, "CM_ SG_ %d S0 \"The first value of message %d, as its control unit measures it.\";\n", 0x100 + m, m);
    if (!err)
      err = mc_buf_printf(out, "VAL_ %d S0 0 \"off\" 1 \"on\" 65535 \"invalid\" ;\n", 0x100 + m);
  }
  return err;
}

static mc_err import_dbc(inside *s, mc_slice text, mc_dbc_import_report *report, mc_why *why)
{
  mc_dbc_import in = {.tenant = MC_TENANT_DEFAULT, .name = MC_LIT("bench"), .dbc_text = text, .dbc_name = "bench.dbc", .interface_id = MC_LIT("can0")};
  return mc_campaign_import_dbc(s->campaigns, &in, report, why);
}

/* ---- import-dbc ---- */

enum { IMPORT_MESSAGES = 1250, IMPORT_PER_MESSAGE = 4, IMPORT_SIGNALS = IMPORT_MESSAGES * IMPORT_PER_MESSAGE };

/* A database of its own each time: the second import of the same file finds everything there. */
static mc_err import_once(const bench_options *o, int round, mc_slice text, double *wall_s, double *cpu_s, mc_why *why)
{
  char path[600];
  inside s;
  mc_dbc_import_report report;
  snprintf(path, sizeof path, "%s/import-%d.db", o->dir, round);
  mc_err err = inside_open(&s, path, why);
  double began = bench_now_s(), cpu = bench_self_cpu_s();
  if (!err)
    err = import_dbc(&s, text, &report, why);
  *wall_s = bench_now_s() - began;
  *cpu_s = bench_self_cpu_s() - cpu;
  if (!err && report.signals != IMPORT_SIGNALS)
    err = mc_err_set(why, MC_ERR_INVALID, "%u signals were imported, not %d", report.signals, IMPORT_SIGNALS);
  inside_close(&s);
  return err;
}

static mc_err run_import(const bench_options *o, mc_why *why)
{
  enum { ROUNDS = 5 };
  int rounds = o->quick ? 3 : ROUNDS;
  double wall[ROUNDS], cpu[ROUNDS];
  mc_buf text = {0};
  mc_err err = make_dbc(&text, IMPORT_MESSAGES, IMPORT_PER_MESSAGE);
  for (int i = 0; i < rounds && !err; i++)
    err = import_once(o, i, mc_buf_slice(&text), &wall[i], &cpu[i], why);
  if (!err) {
    bench_line line = {.bench = "fleetwise", .name = "import-dbc", .unit = "s", .lower_is_better = true, .ours = bench_median(wall, rounds), .rss_kib = -1};
    line.cpu_us_per_unit = bench_median(cpu, rounds) * 1e6;
    line.peer[0] = (bench_peer){"cantools", bench_cantools_seconds(o, mc_buf_slice(&text))};
    line.peers = line.peer[0].value > 0;
    snprintf(line.conditions, sizeof line.conditions,
             "from the text of a DBC (%zu KiB, %d messages, %d signals, comments and value tables) to catalog, model and compiled decoder manifest, committed to a fresh "
             "database on the measured disk; in process, without HTTP; cpu is of one import; fdatasync of 16 KiB %.2f ms; %s",
             text.len >> 10, IMPORT_MESSAGES, IMPORT_SIGNALS, bench_fsync_ms(o->dir),
             line.peers ? "cantools reads the same text into memory, and writes nothing" : "SKIPPED: cantools is in no Python here");
    bench_print(o, &line);
  }
  mc_buf_free(&text);
  return err;
}

/* ---- decode ---- */

/* A message: ten samples of each of ten signals, 100 ms apart, the newest first, as AWS's agent writes them. Each is made once and read once by every pass; a
 * pass is another vehicle, so that none is a repeat. */
enum { SIGNALS = 10, TIMES = 10, SAMPLES = SIGNALS * TIMES, PASSES_MAX = 7 };

typedef struct message {
  size_t at, len;
} message;
typedef struct messages {
  mc_buf bytes;
  message *one;
  int count;
} messages;

typedef struct names {
  char campaign[160], manifest[160];
  uint32_t signal[SIGNALS];
} names;

static mc_err start_campaign(inside *s, names *n, mc_why *why)
{
  mc_campaign_collect collect[SIGNALS];
  char fqn[SIGNALS][64];
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  for (int i = 0; i < SIGNALS; i++) {
    snprintf(fqn[i], sizeof fqn[i], "Vehicle.M%d.S%d", i / 4, i % 4);
    collect[i] = (mc_campaign_collect){.fqn = mc_slice_str(fqn[i])};
    MC_TRY(mc_registry_signal_lookup(s->registry, MC_TENANT_DEFAULT, collect[i].fqn, &n->signal[i]));
  }
  mc_campaign g = {.tenant = MC_TENANT_DEFAULT, .name = MC_LIT("bench"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = collect, .signal_count = SIGNALS}, made;
  MC_TRY(mc_campaign_create(s->campaigns, &g, true, &arena, why));
  MC_TRY(mc_campaign_get(s->campaigns, MC_TENANT_DEFAULT, g.id, &arena, &made));
  mc_slice_to_str(made.sync_id, n->campaign, sizeof n->campaign);
  return n->campaign[0] ? MC_OK : mc_err_set(why, MC_ERR_INVALID, "the campaign has no sync id");
}

static mc_err prepare(inside *s, names *n, mc_why *why)
{
  mc_buf text = {0};
  mc_dbc_import_report report;
  mc_err err = make_dbc(&text, 3, 4);
  if (!err)
    err = import_dbc(s, mc_buf_slice(&text), &report, why);
  mc_buf_free(&text);
  if (err)
    return err;
  snprintf(n->manifest, sizeof n->manifest, "%s", report.manifest_sync_id);
  return start_campaign(s, n, why);
}

/* Values as a car's, each an integer of the step that the manifest names. */
static mc_err write_message(mc_buf *out, const names *n, int index, uint64_t event_ms)
{
  mc_fw_sample sample[SAMPLES];
  for (int s = 0; s < SIGNALS; s++)
    for (int t = 0; t < TIMES; t++) {
      double k = floor(12000 + 3000 * sin(index * 0.01 + s - t * 0.05) + (double)((index + t * 7 + s * 13) % 11));
      sample[s * TIMES + t] = (mc_fw_sample){.relative_ms = -100 * t - s, .signal_id = n->signal[s], .number = k * 0.25};
    }
  mc_fw_vehicle_data m = {.campaign_sync_id = mc_slice_str(n->campaign), .manifest_sync_id = mc_slice_str(n->manifest), .event_id = (uint32_t)(event_ms << 8 | 1) & INT32_MAX,
                          .event_time_ms = event_ms, .sample = sample, .sample_count = SAMPLES};
  return mc_fw_write_vehicle_data(out, &m);
}

static mc_err make_messages(messages *m, const names *n, int count, bool snappy, mc_why *why)
{
  uint64_t from_ms = (uint64_t)mc_clock_wall_us() / 1000 - (uint64_t)count * 1000;
  mc_buf plain = {0};
  mc_err err = (m->one = calloc((size_t)count, sizeof *m->one)) ? MC_OK : MC_ERR_MEMORY;
  for (m->count = 0; m->count < count && !err; m->count++) {
    m->one[m->count].at = m->bytes.len;
    mc_buf_clear(&plain);
    err = write_message(snappy ? &plain : &m->bytes, n, m->count, from_ms + (uint64_t)m->count * 1000);
    if (!err && snappy)
      err = mc_snappy_compress(mc_buf_slice(&plain), &m->bytes);
    m->one[m->count].len = m->bytes.len - m->one[m->count].at;
  }
  mc_buf_free(&plain);
  return err ? mc_err_set(why, err, "no memory for %d messages", count) : MC_OK;
}

static void free_messages(messages *m)
{
  mc_buf_free(&m->bytes);
  free(m->one);
}

static mc_err add_vehicle(inside *s, const char *name, uint32_t *thing, mc_why *why)
{
  mc_vehicle v = {.tenant = MC_TENANT_DEFAULT};
  mc_thing t;
  snprintf(v.name, sizeof v.name, "%s", name);
  MC_TRY(mc_registry_vehicle_create(s->registry, &v, why));
  MC_TRY(mc_registry_thing_find(s->registry, MC_TENANT_DEFAULT, mc_slice_str(name), &t));
  *thing = t.id;
  return MC_OK;
}

/* Samples a second of this thread's time. The events that decoding notes are written between the passes, as another thread of the server does. */
static mc_err decode_pass(inside *s, const messages *m, const char *vehicle, double *rate, mc_why *why)
{
  char topic[120];
  uint32_t thing;
  MC_TRY(add_vehicle(s, vehicle, &thing, why));
  snprintf(topic, sizeof topic, "$aws/iotfleetwise/vehicles/%s/signals", vehicle);
  mc_record r = {.stream = MC_STREAM_TELEMETRY, .tenant = MC_TENANT_DEFAULT, .principal = thing, .time_us = mc_clock_wall_us(), .topic = mc_slice_str(topic)};
  static uint64_t offset = 1;
  uint64_t before = s->samples;
  double began = bench_self_cpu_s();
  for (int i = 0; i < m->count; i++) {
    r.offset = offset;
    r.payload = mc_slice_of(m->bytes.data + m->one[i].at, m->one[i].len);
    offset += r.payload.len + 64;
    MC_TRY(mc_campaign_record(s->campaigns, &r, offset, why));
  }
  *rate = (double)(s->samples - before) / (bench_self_cpu_s() - began);
  if (s->samples - before != (uint64_t)m->count * SAMPLES)
    return mc_err_set(why, MC_ERR_INVALID, "%llu samples came out of %d messages of %d", (unsigned long long)(s->samples - before), m->count, SAMPLES);
  return mc_campaign_events_save(s->campaigns, 1, why);
}

static double upb_rate(const bench_options *o, const messages *m)
{
  mc_buf framed = {0};
  mc_err err = MC_OK;
  for (int i = 0; i < m->count && !err; i++) {
    uint8_t head[4];
    mc_store_le32(head, (uint32_t)m->one[i].len);
    err = mc_buf_append(&framed, head, sizeof head);
    if (!err)
      err = mc_buf_append(&framed, m->bytes.data + m->one[i].at, m->one[i].len);
  }
  double rate = err ? 0 : bench_upb_samples_per_s(o, &framed);
  mc_buf_free(&framed);
  return rate;
}

/* *peer: upb's rate with the same messages, or NULL: not asked. */
static mc_err decode_rounds(const bench_options *o, inside *s, const names *n, bool snappy, double *rate, double *bytes, double *peer, mc_why *why)
{
  messages m = {0};
  double pass[PASSES_MAX], warm;
  int passes = o->quick ? 3 : PASSES_MAX;
  mc_err err = make_messages(&m, n, o->quick ? 5000 : 20000, snappy, why);
  for (int i = -1; i < passes && !err; i++) { /* the first one warms up */
    char vehicle[40];
    snprintf(vehicle, sizeof vehicle, "%s-%d", snappy ? "snappy" : "plain", i + 1);
    err = decode_pass(s, &m, vehicle, i < 0 ? &warm : &pass[i], why);
  }
  if (!err) {
    *rate = bench_median(pass, passes);
    *bytes = (double)m.bytes.len / m.count / SAMPLES;
    if (peer)
      *peer = upb_rate(o, &m);
  }
  free_messages(&m);
  return err;
}

static mc_err measure_decode(const bench_options *o, inside *s, mc_why *why)
{
  names n;
  double plain, plain_bytes, snappy, snappy_bytes, upb = 0;
  mc_campaign_stats stats;
  MC_TRY(prepare(s, &n, why));
  MC_TRY(decode_rounds(o, s, &n, false, &plain, &plain_bytes, &upb, why));
  MC_TRY(decode_rounds(o, s, &n, true, &snappy, &snappy_bytes, NULL, why));
  mc_campaign_stats_get(s->campaigns, &stats);
  if (s->exact != s->samples || stats.undecodable || stats.repeats || stats.unknown_campaigns || stats.unknown_manifests)
    return mc_err_set(why, MC_ERR_INVALID, "of %llu samples %llu came as integers of their encoding; %llu messages undecodable, %llu repeats", (unsigned long long)s->samples,
                      (unsigned long long)s->exact, (unsigned long long)stats.undecodable, (unsigned long long)stats.repeats);
  bench_line line = {.bench = "fleetwise", .name = "decode", .unit = "samples/s", .ours = plain, .cpu_us_per_unit = 1e6 / plain, .rss_kib = -1, .peer = {{"upb, parsing only", upb}}, .peers = upb > 0};
  snprintf(line.conditions, sizeof line.conditions,
           "samples a second of one core's time, from a journal record with plain protobuf to a block of samples given to a sink that counts: campaign and manifest looked up, repeats "
           "and clocks checked, integers recovered bit for bit, events noted (written between the rounds, elsewhere in the server); %d samples of %d signals a message, %.1f B a sample; "
           "with snappy %.6g samples/s, %.1f B a sample; %s",
           SAMPLES, SIGNALS, plain_bytes, snappy, snappy_bytes,
           upb > 0 ? "upb parses the same messages into objects, called from Python once a message, and does nothing with them" : "SKIPPED: no Python here has protobuf with upb");
  bench_print(o, &line);
  return MC_OK;
}

static mc_err run_decode(const bench_options *o, mc_why *why)
{
  inside s;
  mc_err err = inside_open(&s, ":memory:", why);
  if (!err)
    err = measure_decode(o, &s, why);
  inside_close(&s);
  return err;
}

int bench_fleetwise(const bench_options *o)
{
  static const struct {
    const char *name;
    mc_err (*run)(const bench_options *o, mc_why *why);
  } cases[] = {{"decode", run_decode}, {"import-dbc", run_import}};
  int failed = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    mc_why why = {0};
    if (!bench_wanted(o, cases[i].name) || cases[i].run(o, &why) == MC_OK)
      continue;
    fprintf(stderr, "bench fleetwise %s: %s\n", cases[i].name, why.text);
    failed = 1;
  }
  return bench_fleetwise_fleet(o) || failed;
}
