/* store: what was true - history of every signal in hour segments.
 *
 * The journal is the only write-ahead log: the store keeps new samples in memory (memtable per vehicle and signal), writes them as
 * immutable segment files of one UTC hour each, and names in its manifest (atomic replace) the files and the journal offset
 * they reflect. After a crash the reader starts again at that offset: nothing is lost and nothing is counted twice. Rows are keyed by
 * (tenant, vehicle, signal, time); the last write wins. Samples are readable as soon as they are appended. Late samples go to
 * small segments of their own hour; merging happens in the background. Segment format: README, byte tables.
 * Threads: one appender; any number of readers. */
#ifndef MC_STORE_H
#define MC_STORE_H

#include "base/arena.h"
#include "base/file.h"
#include "signal/signal.h"

typedef struct mc_store mc_store;
typedef struct mc_store_config {
  const mc_fs *fs;
  const char *dir;
  size_t memory_bytes;     /* memtables; 0: 64 MiB. Beyond it segments are written */
  int64_t flush_after_us;  /* oldest unflushed sample; 0: 5 minutes */
  int64_t retain_us;       /* segments older than this go; 0: keep */
  bool (*encoding_of)(void *ctx, uint32_t encoding, mc_encoding *out); /* physical values for reads */
  void *ctx;
} mc_store_config;
mc_err mc_store_open(const mc_store_config *config, mc_store **out, mc_why *why);
void mc_store_close(mc_store **store); /* flushes */
uint64_t mc_store_offset(const mc_store *s); /* journal offset to read from after open */

/* A block whose next_offset is not beyond what the store holds is passed over: readers may start earlier. */
mc_err mc_store_append(mc_store *s, const mc_block *block, mc_why *why);
mc_block_sink mc_store_sink(mc_store *s);
void mc_store_set_offset(mc_store *s, uint64_t next_offset); /* reader passed records without samples */
mc_err mc_store_flush(mc_store *s, mc_why *why); /* all memtables to segments, manifest with the offset */

/* Range read [from, to) in time order, parallel arrays; a page at a time. visit returns false to stop. */
typedef struct mc_samples {
  uint32_t count;
  const int64_t *time_us;
  const uint8_t *kind;
  const uint32_t *encoding;
  const mc_sample_value *value;
  const double *physical; /* NaN for strings */
  mc_slice text;
} mc_samples;
mc_err mc_store_scan(mc_store *s, uint32_t tenant, uint32_t vehicle, uint32_t signal, int64_t from_us, int64_t to_us,
                     bool (*visit)(void *ctx, const mc_samples *page), void *ctx, mc_why *why);
/* Down-sampling: buckets of bucket_us aligned to UTC; only those with samples. */
typedef struct mc_bucket { int64_t start_us; uint64_t count; double min, max, sum, first, last; } mc_bucket;
mc_err mc_store_buckets(mc_store *s, uint32_t tenant, uint32_t vehicle, uint32_t signal, int64_t from_us, int64_t to_us, int64_t bucket_us,
                        mc_arena *arena, mc_bucket **out, size_t *count, mc_why *why);
/* Signals that a vehicle has any history of in [from, to). */
mc_err mc_store_signals(mc_store *s, uint32_t tenant, uint32_t vehicle, int64_t from_us, int64_t to_us, mc_arena *arena, uint32_t **out, size_t *count, mc_why *why);

typedef struct mc_store_stats { uint64_t rows_memory, rows_segments, segments, segment_bytes, memory_bytes, appended, duplicates, late, quarantined; } mc_store_stats;
void mc_store_stats_get(mc_store *s, mc_store_stats *out);
/* Offline check of every segment: checksums, order, manifest. */
mc_err mc_store_verify(const mc_fs *fs, const char *dir, mc_store_stats *out, mc_why *why);

/* ---- Parquet files, by DuckDB's library, loaded at run time; everything else here works without it ----
 * Threads: any; one file is written at a time. Values are copied. */
typedef struct mc_duckdb mc_duckdb;
mc_err mc_duckdb_load(const char *library, mc_duckdb **out, mc_why *why); /* MC_ERR_NOT_FOUND: no such library; MC_ERR_UNSUPPORTED: not one we can use */
void mc_duckdb_unload(mc_duckdb **duckdb); /* NULL content is fine */
const char *mc_duckdb_version(const mc_duckdb *d);
typedef enum mc_parquet_type { MC_PARQUET_BOOLEAN, MC_PARQUET_BIGINT, MC_PARQUET_DOUBLE, MC_PARQUET_TEXT /* UTF-8 */, MC_PARQUET_TIME /* us UTC */ } mc_parquet_type;
enum { MC_PARQUET_COLUMNS = 256 };
typedef struct mc_parquet_column {
  const char *name;
  mc_parquet_type type;
  const uint8_t *present; /* one a row, 0: null; NULL: all are there */
  union { /* one a row */
    const uint8_t *boolean;
    const int64_t *number; /* BIGINT, TIME */
    const double *real;
    const mc_slice *text;
  };
} mc_parquet_column;
/* Writes the whole file; one that is there is replaced. gzip: pages are compressed, else not. Not synced. */
mc_err mc_parquet_write(mc_duckdb *d, const char *path, const mc_parquet_column *column, size_t columns, size_t rows, bool gzip, mc_why *why);

#endif
