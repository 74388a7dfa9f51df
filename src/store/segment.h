/* Segment files: building, opening, reading blocks. Layout: README. Private to the module.
 * A builder belongs to one thread; an open segment is immutable and reference-counted. */
#ifndef MC_STORE_SEGMENT_H
#define MC_STORE_SEGMENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/vec.h"
#include "store/block_codec.h"

enum { SEGMENT_ENTRY = 56, SEGMENT_HEADER = 24, SEGMENT_FOOTER = 32, SEGMENT_NAME = 48 };
#define HOUR_US 3600000000LL

typedef struct segment_entry {
  uint32_t tenant, vehicle, signal, rows;
  int64_t first_us, last_us;
  uint64_t offset;
  uint32_t bytes, encoding;
  uint8_t kind, flags;
  uint32_t crc;
} segment_entry;

typedef struct store_segment {
  _Atomic uint32_t refs;
  char name[SEGMENT_NAME];
  int64_t hour;
  uint64_t sequence, rows, bytes;
  pthread_mutex_t file_lock; /* file and users; nothing else is taken while it is held */
  mc_file *file;             /* open while somebody uses it: a history of years has more hours than a process may have files */
  uint32_t users;
  bool listed; /* background thread: in the list that replaces this one */
  segment_entry *entry; /* owned, ordered */
  size_t entries;
  const mc_fs *fs;
  char *dir;
  _Atomic bool doomed; /* delete the file with the last reference */
} store_segment;

typedef struct segment_builder {
  int64_t hour;
  mc_buf bytes; /* header and blocks */
  MC_VEC(segment_entry) entry;
  uint64_t rows;
} segment_builder;

static inline int64_t store_hour_of(int64_t time_us) { return time_us / HOUR_US - (time_us % HOUR_US < 0); }

mc_err segment_builder_begin(segment_builder *b, int64_t hour);
/* Settled rows of one series, all in the builder's hour. Series must come in order. */
mc_err segment_builder_add(segment_builder *b, uint32_t tenant, uint32_t vehicle, uint32_t signal, const store_row *rows, size_t count, mc_slice text);
/* Writes and syncs the file, reads its index. The caller syncs the folder before a manifest names the file. */
mc_err segment_builder_finish(segment_builder *b, const mc_fs *fs, const char *dir, uint64_t sequence, store_segment **out, mc_why *why);
void segment_builder_free(segment_builder *b);

mc_err segment_open(const mc_fs *fs, const char *dir, const char *name, store_segment **out, mc_why *why);
void segment_retain(store_segment *s);
void segment_release(store_segment *s);
/* Index of the first entry not before (tenant, vehicle, signal). */
size_t segment_seek(const store_segment *s, uint32_t tenant, uint32_t vehicle, uint32_t signal);
/* Keeps the file open until segment_rest: for who reads many blocks. Any thread. */
mc_err segment_use(store_segment *s, mc_why *why);
void segment_rest(store_segment *s);
/* Reads and checks one block; rows holds BLOCK_ROWS. Opens the file when nobody uses it. */
mc_err segment_read(store_segment *s, const segment_entry *e, store_row *rows, mc_buf *text, mc_buf *scratch, mc_why *why);

#endif
