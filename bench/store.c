/* motorcade bench store: from the journal to closed history segments, beside SQLite with the same rows in the same run. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "bench/bench.h"
#include "bench/drive_samples.h"
#include "bench/sqlite_peer.h"
#include "format/fleetwise.h"
#include "journal/journal.h"
#include "store/store.h"

static const int64_t day_us = 1767225600000000LL; /* 2026-01-01T00:00:00Z */

/* Rows in arrival order: vehicles take turns, each uploading ten seconds of its signals. */
enum { UPLOAD_S = 10, UPLOAD_ROWS = UPLOAD_S * DRIVE_SIGNALS };

typedef struct rows {
  uint32_t vehicles, count;
  uint32_t *vehicle, *signal, *encoding;
  int64_t *time_us;
  uint8_t *kind, *flags;
  mc_sample_value *value;
} rows;

static void rows_free(rows *r)
{
  free(r->vehicle);
  free(r->signal);
  free(r->encoding);
  free(r->time_us);
  free(r->kind);
  free(r->flags);
  free(r->value);
}

/* Vehicles 1..n drive trips of 48 minutes at 6, 12 and 18 o'clock, up to `limit` rows. */
static mc_err rows_make(uint32_t vehicles, uint32_t limit, rows *r, mc_why *why)
{
  size_t most = (size_t)vehicles * DRIVE_TRIP_S * DRIVE_TRIPS_A_DAY * DRIVE_SIGNALS;
  if (limit && most > limit)
    most = limit;
  drive *d = calloc(vehicles, sizeof *d);
  *r = (rows){.vehicles = vehicles,
              .vehicle = malloc(most * 4),
              .signal = malloc(most * 4),
              .encoding = malloc(most * 4),
              .time_us = malloc(most * 8),
              .kind = calloc(most, 1),
              .flags = calloc(most, 1),
              .value = malloc(most * sizeof(mc_sample_value))};
  if (!d || !r->vehicle || !r->signal || !r->encoding || !r->time_us || !r->kind || !r->flags || !r->value) {
    free(d);
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for %zu rows", most);
  }
  for (uint32_t v = 0; v < vehicles; v++)
    drive_begin(&d[v], v + 1);
  for (int second = 0; second < DRIVE_TRIP_S * DRIVE_TRIPS_A_DAY; second += UPLOAD_S)
    for (uint32_t v = 0; v < vehicles && r->count + UPLOAD_ROWS <= most; v++)
      for (int s = second; s < second + UPLOAD_S; s++) {
        int64_t raw[DRIVE_SIGNALS], begin = day_us + (6 + 6 * (s / DRIVE_TRIP_S)) * 3600000000LL;
        drive_second(&d[v], raw);
        for (uint32_t k = 0; k < DRIVE_SIGNALS; k++, r->count++) {
          r->vehicle[r->count] = v + 1;
          r->signal[r->count] = r->encoding[r->count] = k + 1;
          r->time_us[r->count] = begin + (s % DRIVE_TRIP_S) * 1000000LL + drive_jitter_us(&d[v]);
          r->value[r->count].raw = raw[k];
        }
      }
  free(d);
  return MC_OK;
}

static mc_block rows_block(const rows *r, uint32_t from, uint32_t count)
{
  if (count > r->count - from)
    count = r->count - from;
  return (mc_block){.tenant = 1,
                    .count = count,
                    .arrival_us = r->time_us[from],
                    .vehicle = r->vehicle + from,
                    .signal = r->signal + from,
                    .encoding = r->encoding + from,
                    .time_us = r->time_us + from,
                    .kind = r->kind + from,
                    .flags = r->flags + from,
                    .value = r->value + from};
}

/* One core for everything, threads made later included; the old set comes back with unpin. */
static void pin(cpu_set_t *before)
{
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_getaffinity(0, sizeof *before, before);
  sched_setaffinity(0, sizeof one, &one);
}

static mc_err open_store(const char *dir, mc_store **out, mc_why *why)
{
  char path[600];
  snprintf(path, sizeof path, "%s/store", dir);
  mc_store_config config = {.fs = mc_fs_posix(), .dir = path, .encoding_of = drive_encoding_of};
  return mc_store_open(&config, out, why);
}

/* The bytes that vehicles would have sent for these rows: one VehicleData an upload, joined into one record a group. */
static mc_err payload_of(const mc_block *b, mc_buf *out, mc_why *why)
{
  mc_fw_sample sample[UPLOAD_ROWS];
  for (uint32_t at = 0; at < b->count; at += UPLOAD_ROWS) {
    uint32_t n = b->count - at < UPLOAD_ROWS ? b->count - at : UPLOAD_ROWS;
    for (uint32_t i = 0; i < n; i++) {
      int64_t after = b->time_us[at + i] - b->time_us[at];
      sample[i] = (mc_fw_sample){.relative_ms = after / 1000,
                                 .signal_id = b->signal[at + i],
                                 .number = mc_encoding_physical(&drive_encoding[b->encoding[at + i] - 1], b->value[at + i].raw),
                                 .has_micros = true,
                                 .relative_us = after};
    }
    mc_fw_vehicle_data m = {.campaign_sync_id = MC_LIT("drive-0123456789abcdef"),
                            .manifest_sync_id = MC_LIT("car-0123456789abcdef"),
                            .event_id = at + 1,
                            .event_time_ms = (uint64_t)(b->time_us[at] / 1000),
                            .sample = sample,
                            .sample_count = n};
    if (mc_fw_write_vehicle_data(out, &m))
      return mc_err_set(why, MC_ERR_MEMORY, "no memory for a message");
  }
  return MC_OK;
}

typedef struct ingest_result {
  double per_s, cpu_us, p99_ms, journal_bytes_row;
} ingest_result;

static mc_err ingest_round(const char *dir, const rows *r, uint32_t batch, double seconds, ingest_result *out, mc_why *why)
{
  char path[600];
  mc_journal *journal = NULL;
  mc_store *store = NULL;
  uint32_t batches = (r->count + batch - 1) / batch, done = 0;
  mc_buf *payload = calloc(batches, sizeof *payload);
  double *took = calloc(batches, sizeof *took), bytes = 0;
  mc_err err = payload && took ? MC_OK : MC_ERR_MEMORY;
  for (uint32_t i = 0; i < batches && !err; i++) {
    mc_block b = rows_block(r, i * batch, batch);
    err = payload_of(&b, &payload[i], why);
    bytes += (double)payload[i].len;
  }
  snprintf(path, sizeof path, "%s/journal", dir);
  mc_journal_config config = {.fs = mc_fs_posix(), .dir = path};
  if (!err)
    err = mc_journal_open(&config, &journal, why);
  if (!err)
    err = open_store(dir, &store, why);
  double cpu = bench_self_cpu_s(), began = bench_now_s(), last = began;
  uint32_t rows_done = 0;
  for (; done < batches && !err && last < began + seconds; done++) {
    mc_block b = rows_block(r, done * batch, batch);
    mc_record record = {.stream = MC_STREAM_TELEMETRY,
                        .tenant = 1,
                        .principal = 1,
                        .time_us = b.time_us[0],
                        .topic = MC_LIT("$aws/iotfleetwise/vehicles/bench/signals"),
                        .payload = mc_buf_slice(&payload[done])};
    err = mc_journal_append_sync(journal, &record, &b.journal_offset, why);
    b.next_offset = b.journal_offset + 1;
    if (!err)
      err = mc_store_append(store, &b, why);
    rows_done += b.count;
    double now = bench_now_s();
    took[done] = (now - last) * 1000;
    last = now;
  }
  if (!err)
    err = mc_store_flush(store, why);
  double all = bench_now_s() - began;
  out->per_s = rows_done / all;
  out->cpu_us = (bench_self_cpu_s() - cpu) * 1e6 / rows_done;
  out->journal_bytes_row = bytes / r->count;
  if (!err) {
    bench_median(took, (int)done);
    out->p99_ms = took[done * 99 / 100 < done ? done * 99 / 100 : done - 1];
  }
  mc_store_close(&store);
  mc_journal_close(&journal);
  for (uint32_t i = 0; i < batches && payload; i++)
    mc_buf_free(&payload[i]);
  free(payload);
  free(took);
  return err;
}

static mc_err sqlite_round(const char *dir, const rows *r, uint32_t batch, double seconds, double *per_s, mc_why *why)
{
  sqlite_peer *peer;
  MC_TRY(sqlite_peer_open(dir, &peer, why));
  mc_err err = MC_OK;
  double began = bench_now_s();
  uint32_t done = 0;
  for (uint32_t at = 0; at < r->count && !err && bench_now_s() < began + seconds; at += batch) {
    mc_block b = rows_block(r, at, batch);
    err = sqlite_peer_insert(peer, &b, why);
    done += b.count;
  }
  *per_s = done / (bench_now_s() - began);
  sqlite_peer_close(&peer);
  return err;
}

static mc_err scratch(const bench_options *o, const char *name, char out[500], mc_why *why)
{
  snprintf(out, 500, "%.400s/store-%s", o->dir, name);
  bench_remove_dir(out);
  return mc_fs_mkdirs(mc_fs_posix(), out, why);
}

static mc_err run_ingest(const bench_options *o, const char *name, uint32_t batch, mc_why *why)
{
  enum { ROUNDS = 3 };
  char dir[500];
  rows r;
  double rate[ROUNDS], cpu[ROUNDS], p99[ROUNDS], peer = 0;
  int rounds = o->quick ? 1 : ROUNDS;
  ingest_result one = {0};
  cpu_set_t before;
  mc_err err = rows_make(500, o->quick ? 1500000 : 5000000, &r, why);
  pin(&before);
  for (int i = 0; i < rounds && !err; i++) {
    err = scratch(o, name, dir, why);
    if (!err)
      err = ingest_round(dir, &r, batch, o->quick ? 6 : 12, &one, why);
    rate[i] = one.per_s;
    cpu[i] = one.cpu_us;
    p99[i] = one.p99_ms;
  }
  if (!err)
    err = scratch(o, name, dir, why);
  if (!err)
    err = sqlite_round(dir, &r, batch, o->quick ? 3 : 10, &peer, why);
  sched_setaffinity(0, sizeof before, &before);
  bench_remove_dir(dir);
  if (!err) {
    bench_line line = {.bench = "store",
                       .name = name,
                       .unit = "rows/s",
                       .ours = bench_median(rate, rounds),
                       .peer = {{"sqlite", peer}},
                       .peers = 1,
                       .cpu_us_per_unit = bench_median(cpu, rounds),
                       .rss_kib = -1};
    snprintf(line.conditions, sizeof line.conditions,
             "one core for all threads; groups of %u rows as FleetWise bytes (%.1f B a row) in the journal, synced, then the block to the "
             "store, closing flush included; no protobuf decoding; 500 vehicles x 6 signals in arrival order; p99 of a group %.1f ms; "
             "fdatasync of 16 KiB %.2f ms; sqlite: WAL, FULL, same batches",
             batch, one.journal_bytes_row, bench_median(p99, rounds), bench_fsync_ms(o->dir));
    bench_print(o, &line);
  }
  rows_free(&r);
  return err;
}

/* A day of some vehicles, flushed: what the two reading cases look at. */
static mc_err fill_day(const bench_options *o, const rows *r, const char *dir, mc_store **store, mc_why *why)
{
  MC_TRY(open_store(dir, store, why));
  mc_err err = MC_OK;
  for (uint32_t at = 0; at < r->count && !err; at += 20000) {
    mc_block b = rows_block(r, at, 20000);
    b.journal_offset = at;
    b.next_offset = at + b.count;
    err = mc_store_append(*store, &b, why);
  }
  return err ? err : mc_store_flush(*store, why);
}

static mc_err fill_peer(const rows *r, const char *dir, uint32_t limit, sqlite_peer **peer, uint32_t *filled, mc_why *why)
{
  MC_TRY(sqlite_peer_open(dir, peer, why));
  mc_err err = MC_OK;
  for (*filled = 0; *filled < r->count && *filled < limit && !err;) {
    mc_block b = rows_block(r, *filled, 20000);
    err = sqlite_peer_insert(*peer, &b, why);
    *filled += b.count;
  }
  return err;
}

static mc_err run_bytes(const bench_options *o, const rows *r, mc_store *store, sqlite_peer *peer, uint32_t filled, mc_why *why)
{
  mc_store_stats stats;
  double peer_bytes;
  mc_store_stats_get(store, &stats);
  MC_TRY(sqlite_peer_bytes(peer, &peer_bytes, why));
  if (stats.rows_segments != r->count)
    return mc_err_set(why, MC_ERR_IO, "%llu of %u rows are in segments", (unsigned long long)stats.rows_segments, r->count);
  bench_line line = {.bench = "store",
                     .name = "bytes-hot",
                     .unit = "B/row",
                     .lower_is_better = true,
                     .ours = (double)stats.segment_bytes / (double)stats.rows_segments,
                     .peer = {{"sqlite", peer_bytes / filled}},
                     .peers = 1,
                     .cpu_us_per_unit = -1,
                     .rss_kib = -1};
  snprintf(line.conditions, sizeof line.conditions,
           "%u rows of %u vehicles in %llu segments after the flush, whole files counted; synthetic: speed 0.01, engine 0.25, position "
           "1e-7 with wandering noise, charge 0.1, temperature 0.5, each at 1 Hz with its own jitter of 0 to 9 ms; sqlite holds %u of them",
           r->count, r->vehicles, (unsigned long long)stats.segments, filled);
  bench_print(o, &line);
  return MC_OK;
}

static mc_err run_vehicle_day(const bench_options *o, const rows *r, mc_store *store, sqlite_peer *peer, uint32_t peer_vehicles,
                              mc_why *why)
{
  enum { TIMES = 50 };
  double ours[TIMES], theirs[TIMES];
  size_t minutes = 0, peer_minutes = 0;
  for (uint32_t i = 0; i < TIMES; i++) {
    mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
    mc_bucket *bucket;
    double began = bench_now_s();
    MC_TRY(mc_store_buckets(store, 1, i % r->vehicles + 1, i % DRIVE_SIGNALS + 1, day_us, day_us + 86400000000LL, 60000000, &arena, &bucket,
                            &minutes, why));
    ours[i] = (bench_now_s() - began) * 1000;
    uint64_t samples = 0;
    for (size_t k = 0; k < minutes; k++)
      samples += bucket[k].count;
    if (samples != DRIVE_TRIP_S * DRIVE_TRIPS_A_DAY)
      return mc_err_set(why, MC_ERR_IO, "vehicle %u: %llu samples in the day's buckets, %d were written", i % r->vehicles + 1,
                        (unsigned long long)samples, DRIVE_TRIP_S * DRIVE_TRIPS_A_DAY);
  }
  for (uint32_t i = 0; i < TIMES; i++) {
    double began = bench_now_s();
    MC_TRY(sqlite_peer_minutes(peer, i % peer_vehicles + 1, i % DRIVE_SIGNALS + 1, day_us, day_us + 86400000000LL, &peer_minutes, why));
    theirs[i] = (bench_now_s() - began) * 1000;
  }
  bench_line line = {.bench = "store",
                     .name = "vehicle-day-hot",
                     .unit = "ms",
                     .lower_is_better = true,
                     .ours = bench_median(ours, TIMES),
                     .peer = {{"sqlite", bench_median(theirs, TIMES)}},
                     .peers = 1,
                     .cpu_us_per_unit = -1,
                     .rss_kib = -1};
  snprintf(line.conditions, sizeof line.conditions,
           "count, min, max, mean, first and last of %zu minutes from %d samples of one signal, files in the page cache, median of %d "
           "vehicles and signals, slowest %.2f ms; %u vehicles in the store, %u in sqlite",
           minutes, DRIVE_TRIP_S * DRIVE_TRIPS_A_DAY, TIMES, ours[TIMES - 1], r->vehicles, peer_vehicles);
  bench_print(o, &line);
  return MC_OK;
}

static mc_err run_day(const bench_options *o, bool bytes, bool vehicle_day, mc_why *why)
{
  char dir[500];
  rows r, some = {0};
  mc_store *store = NULL;
  sqlite_peer *peer = NULL;
  uint32_t filled = 0;
  /* SQLite needs whole vehicle-days too, and gets fewer of them: it is slow to fill. */
  mc_err err = rows_make(o->quick ? 20 : 100, 0, &r, why);
  if (!err)
    err = rows_make(o->quick ? 10 : 40, 0, &some, why);
  if (!err)
    err = scratch(o, "day", dir, why);
  if (!err)
    err = fill_day(o, &r, dir, &store, why);
  if (!err)
    err = fill_peer(&some, dir, UINT32_MAX, &peer, &filled, why);
  if (!err && bytes)
    err = run_bytes(o, &r, store, peer, filled, why);
  if (!err && vehicle_day)
    err = run_vehicle_day(o, &r, store, peer, some.vehicles, why);
  mc_store_close(&store);
  sqlite_peer_close(&peer);
  bench_remove_dir(dir);
  rows_free(&r);
  rows_free(&some);
  return err;
}

int bench_store(const bench_options *o)
{
  int failed = 0;
  static const struct {
    const char *name;
    uint32_t batch;
  } ingest[] = {{"ingest-2k", 2000}, {"ingest-20k", 20000}};
  for (int i = 0; i < 2; i++) {
    mc_why why = {0};
    if (bench_wanted(o, ingest[i].name) && run_ingest(o, ingest[i].name, ingest[i].batch, &why)) {
      fprintf(stderr, "bench store %s: %s\n", ingest[i].name, why.text);
      failed++;
    }
  }
  bool bytes = bench_wanted(o, "bytes-hot"), day = bench_wanted(o, "vehicle-day-hot");
  mc_why why = {0};
  if ((bytes || day) && run_day(o, bytes, day, &why)) {
    fprintf(stderr, "bench store day: %s\n", why.text);
    failed++;
  }
  return failed ? 1 : 0;
}
