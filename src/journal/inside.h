/* The journal's insides, shared by its files. Threads, locks and their order: README. Private to journal. */
#ifndef MC_JOURNAL_INSIDE_H
#define MC_JOURNAL_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/metric.h"
#include "base/vec.h"
#include "journal/format.h"
#include "journal/pace.h"

enum {
  MC_CHUNK_BYTES = 256 << 10, /* staging buffer of a writer */
  MC_CHUNK_COPY = 64 << 10,   /* up to here what is handed over is copied behind what waits, rather than take a buffer of its own */
  MC_GROUP_BYTES = 4 << 20,   /* most that one group gathers */
  MC_GROUP_BYTES_SLOW = 32 << 20, /* the same where a sync is slow */
  MC_TAIL_BYTES = 16 << 20,   /* of the journal's end in memory */
  MC_CHUNKS_KEPT = 32,        /* free staging buffers kept for reuse */
  MC_SEGMENT_PIECE = 256 << 10, /* zero-filling goes by this much */
  MC_READERS_FOLLOWED = 16,
  MC_JOURNAL_PATH = 4096
};
#define MC_JOURNAL_HOLD "hold" /* locked while a tool of another process needs segments to stay */

/* ---- staged and committed pieces ---- */

typedef struct mc_chunk {
  mc_commit commit; /* first: mc_commit_* get here by its address */
  atomic_uint refs;
  mc_post post;
  struct mc_chunk *next; /* in a writer's queue, a group, or the pool */
  mc_journal *journal;
  size_t cap;
  uint32_t summary; /* of its records */
  bool urgent;      /* one of them is of no patient stream; owner's, until it is handed over */
  int64_t since_us; /* its first record was staged; then: its group was synced */
  uint8_t data[];
} mc_chunk;

typedef struct mc_chunk_list {
  mc_chunk *head, *tail;
} mc_chunk_list;

static inline void mc_chunk_list_push(mc_chunk_list *l, mc_chunk *c)
{
  c->next = NULL;
  if (l->tail)
    l->tail->next = c;
  else
    l->head = c;
  l->tail = c;
}

static inline mc_chunk *mc_chunk_list_pop(mc_chunk_list *l)
{
  mc_chunk *c = l->head;
  if (c && !(l->head = c->next))
    l->tail = NULL;
  return c;
}

mc_chunk *mc_chunk_new(mc_journal *j, size_t cap);
void mc_chunk_free(mc_chunk *c);

struct mc_journal_writer {
  mc_journal *journal;
  mc_journal_writer *next; /* under writers_lock */
  mc_loop *loop;           /* NULL: the journal's own, for append_sync */
  void (*on_commit)(void *ctx, const mc_commit *c);
  void *ctx;
  atomic_uint refs;
  atomic_bool destroyed;
  atomic_size_t staged; /* bytes handed over and not yet committed or failed */
  /* owner's thread */
  uint64_t next_ticket;
  mc_buf sealed;        /* the payload that is staged next */
  mc_chunk *open;       /* records that were not handed over yet; NULL: none */
  bool batched;         /* they wait for mc_journal_writer_hand_over */
  pthread_mutex_t lock;
  mc_chunk_list ready; /* under lock: handed over */
};

void mc_writer_unref(mc_journal_writer *w);

/* ---- segments ---- */

typedef struct mc_segment {
  uint64_t first, size;
  uint32_t summary; /* of all its groups; 0: not known (made by an earlier run) */
  int64_t last_us;  /* when its last group was written; 0: not known */
  mc_file *read; /* opened when first needed; for mc_journal_read_at */
} mc_segment;

/* PATIENT: gathers what may wait, until something comes that may not. */
typedef enum mc_committer_state { MC_COMMITTER_BUSY, MC_COMMITTER_SLEEPING, MC_COMMITTER_GATHERING, MC_COMMITTER_PATIENT } mc_committer_state;

/* A thread in mc_journal_append_sync. */
typedef struct mc_sync_wait {
  struct mc_sync_wait *next;
  uint64_t ticket, offset;
  bool done;
  mc_err err;
} mc_sync_wait;

struct mc_journal {
  const mc_fs *fs;
  char *dir;
  uint64_t segment_bytes;
  mc_journal_retention keep;
  uint32_t group_bytes, patient_streams, patient_wait_us;
  atomic_bool urgent; /* something may have been handed over since the last group was gathered that cannot wait; never false when it was */
  _Atomic size_t staged_limit; /* of a writer; follows the disk */
  uint8_t id[MC_JOURNAL_ID];
  mc_journal_cipher cipher; /* seal NULL: none */
  atomic_uint refs;
  atomic_bool closed;
  mc_file *lock_file;
  _Atomic uint64_t first, end;

  /* committer's own */
  pthread_t committer;
  bool committer_runs, failing;
  mc_file *file; /* of the active segment */
  mc_file_ring *ring; /* NULL: plain calls */
  atomic_bool uring;  /* there is one */
  uint64_t seg_first, seg_size, at;
  uint64_t tail_at;         /* up to here the bytes in `tail` are those of the file; UINT64_MAX: they are not known */
  bool tail_behind;         /* a live reader is far behind: groups go through the page cache, where it will find them */
  uint32_t seg_summary;     /* 0 when the segment was begun by an earlier run */
  int64_t seg_last_us;
  int64_t last_group_us;
  mc_pace pace;
  pthread_mutex_t commit_lock;
  pthread_cond_t commit_cond;
  _Atomic int state;
  bool stopping; /* under commit_lock */
  pthread_mutex_t why_lock;
  mc_why last_why;
  mc_why ring_why; /* err: why a ring that was asked for is not used */

  /* keeper: next segment */
  pthread_t keeper;
  bool keeper_runs;
  pthread_mutex_t keeper_lock;
  pthread_cond_t keeper_cond, next_cond;
  bool keeper_stop, next_wanted;
  mc_file *next_file;  /* prepared; begins at active_end */
  uint64_t active_end; /* of the active segment */
  uint64_t used;       /* bytes used of the active segment: paces preparation */
  int64_t next_failed_us;
  mc_why next_why; /* err 0: the last attempt worked */
  uint64_t next_tries;
  uint64_t used_told;          /* committer's own: what `used` was set to */
  bool has_spare, flush_failing; /* keeper's own, and the next five */
  bool retaining;           /* in retention: what it calls meanwhile must not begin it again */
  bool retain_failing;
  int64_t retain_retry_us;
  int64_t wall_at_open_us, mono_at_open_us; /* ages run by the monotonic clock: a jump of the wall clock removes nothing */
  uint64_t compacted_bytes; /* size of the compacted file; 0: none */
  _Atomic uint64_t compacted_records, compacted_size, held_bytes;
  atomic_bool recycles; /* the last segment that was prepared, or the next one, is a spare */
  char held_by[80]; /* under consumer_lock; empty: nobody holds retention back */

  uint8_t *tail; /* tail.c: the last bytes, each at its offset modulo MC_TAIL_BYTES; NULL: groups go through the page cache */
  pthread_rwlock_t tail_lock;
  uint64_t tail_low, tail_high; /* committer writes, under tail_lock: what may be read in `tail`, below `end`. High UINT64_MAX: it grows with the journal */

  _Atomic uint64_t reader_at[MC_READERS_FOLLOWED]; /* where live readers read last; UINT64_MAX: nobody's. cache.c */
  struct mc_file *cache_file; /* keeper's own, and the next two: the segment whose pages are given back */
  uint64_t cache_first, cache_low;

  pthread_rwlock_t table_lock;
  MC_VEC(mc_segment) table; /* kept segments, oldest first */

  pthread_mutex_t writers_lock;
  mc_journal_writer *writers;
  mc_journal_writer *sync_writer;
  pthread_mutex_t sync_lock;
  pthread_cond_t sync_cond;
  mc_sync_wait *sync_waits;

  pthread_mutex_t pool_lock;
  mc_chunk *pool;
  size_t pool_len;

  pthread_mutex_t wait_lock;
  pthread_cond_t wait_cond;
  atomic_int waiters;

  pthread_mutex_t consumer_lock;
  mc_strmap consumers;   /* latest offsets */
  uint64_t durable_low;  /* lowest durable offset of all consumers; UINT64_MAX without any */
  bool consumers_dirty;

  mc_metric *m_erased, *m_records, *m_bytes, *m_groups, *m_direct, *m_failures, *m_gather, *m_switch, *m_sync, *m_tell;
  mc_metric *m_retired, *m_held, *m_compactions, *m_compacted;
  mc_metric *m_sync_cost, *m_throughput, *m_wait, *m_budget, *m_uring;
};

void mc_journal_ref(mc_journal *j);
void mc_journal_unref(mc_journal *j);
void mc_cond_init_monotonic(pthread_cond_t *cond);
/* Waits on cond until mono_us of mc_clock_mono_us (which tests may turn); false on timeout. */
bool mc_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t mono_us);
/* The largest group payload that fits into a fresh segment beside headers and seal. */
static inline uint64_t mc_segment_room(uint64_t segment_bytes)
{
  return segment_bytes - MC_SEGMENT_HEADER - 2 * MC_GROUP_HEADER;
}

/* committer.c */
void *mc_committer_run(void *journal);
void mc_committer_wake(mc_journal *j);
/* ring.c: before the threads run, and the committer's thread. */
void mc_journal_ring_open(mc_journal *j, mc_journal_io io);
/* Writes at j->at and syncs: past the page cache where that can be, by the ring when that was asked for. iov has room for one piece more. */
mc_err mc_journal_put(mc_journal *j, mc_iov *iov, size_t count, mc_why *why);

/* tail.c */
void mc_tail_init(mc_journal *j);
void mc_tail_free(mc_journal *j);
/* Committer's thread, mc_journal_put with the last bytes in memory. False: it cannot be done so, and nothing was. */
bool mc_tail_put(mc_journal *j, const mc_iov *iov, size_t count, mc_err *err, mc_why *why);
/* mc_file_pread of a segment that begins at `first`, from memory what is there. offset lies below j->end. */
mc_err mc_tail_pread(mc_journal *j, mc_file *file, uint64_t first, void *out, size_t len, uint64_t offset, size_t *got, mc_why *why);

/* segment.c */
typedef MC_VEC(uint64_t) mc_offsets;
void mc_segment_path(const char *dir, uint64_t first, char *out, size_t size);
void mc_segment_name(const char *dir, const char *name, char *out, size_t size);
/* "<16 hex digits><ending>" */
bool mc_segment_parse_name(const char *name, const char *ending, uint64_t *first);
/* First offsets of the segments in a folder, ascending. */
mc_err mc_segment_list(const mc_fs *fs, const char *dir, mc_offsets *out, mc_why *why);
mc_err mc_segment_read_header(mc_file *file, const char *path, mc_segment_header *out, mc_why *why);
/* The size of a segment whose header is damaged: the file's, made possible. */
mc_err mc_segment_guess_size(mc_file *file, uint64_t *out, mc_why *why);
/* Backup and repair: segments and the compacted file stay while *out is open. Waits a little. MC_ERR_CONFLICT: another one is at work. */
mc_err mc_journal_hold(const mc_fs *fs, const char *dir, mc_file **out, mc_why *why);
/* Makes a zero-filled, synced segment and gives it its name. pace (may be NULL) is asked before each piece and may
 * block, or stop it with an error. Takes the spare when there is one. Keeper, or before the threads run. */
mc_err mc_segment_create(mc_journal *j, uint64_t first, mc_err (*pace)(mc_journal *j, uint64_t done), mc_file **out, mc_why *why);
mc_err mc_segment_table_add(mc_journal *j, uint64_t first, uint64_t size);
/* MC_ERR_NOT_FOUND, naming the oldest offset kept. */
mc_err mc_segment_gone(const mc_journal *j, uint64_t offset, mc_why *why);
/* The kept segment that holds offset, or mc_segment_gone. */
mc_err mc_segment_find(mc_journal *j, uint64_t offset, uint64_t *first, uint64_t *size, mc_why *why);

/* keeper.c */
void *mc_keeper_run(void *journal);
/* Committer: returns MC_OK when the next segment stands ready, waiting for it when it must. */
mc_err mc_keeper_wait_next(mc_journal *j, mc_why *why);
mc_file *mc_keeper_take_next(mc_journal *j);
void mc_keeper_note_used(mc_journal *j, uint64_t used);
/* Keeper: what cannot wait while it does something long. MC_ERR_CLOSED: stop that. */
mc_err mc_keeper_breathe(mc_journal *j);

/* retention.c: keeper's thread */
void mc_journal_retain(mc_journal *j);
/* reader.c: skips groups whose summary holds nothing of these bits, ends at `until`, and leaves enciphered records closed. Before the first read of a live reader. */
void mc_journal_reader_want(mc_journal_reader *r, uint32_t summary, uint64_t until);
/* compact.c: makes the compacted file that holds what is to be kept of everything below `to`. */
mc_err mc_journal_compact(mc_journal *j, uint64_t to, mc_why *why);
/* Before the threads run: removes compacted files that a newer one replaces, and looks at the newest. */
mc_err mc_journal_compacted_recover(mc_journal *j, mc_why *why);
/* Summary bits of records that outlive their segment; 0: none. */
uint32_t mc_journal_kept_summary(const mc_journal *j);
typedef struct mc_compacted mc_compacted; /* compacted.h */

/* cache.c */
void mc_journal_cache_init(mc_journal *j);
void mc_journal_cache_trim(mc_journal *j); /* keeper's thread */
int mc_journal_follow(mc_journal *j, uint64_t at); /* a place in reader_at; -1: none is free */
/* How far the live reader is behind that is the farthest behind of those whose pages are kept. */
uint64_t mc_journal_followed(mc_journal *j, uint64_t end);
static inline void mc_journal_follow_on(mc_journal *j, int slot, uint64_t at)
{
  if (slot >= 0)
    atomic_store_explicit(&j->reader_at[slot], at, memory_order_relaxed);
}

/* consumer.c */
mc_err mc_consumers_load(mc_journal *j, mc_why *why);
mc_err mc_consumers_flush(mc_journal *j, mc_why *why);

/* scan.c: reading a segment file through a window */
typedef struct mc_window {
  mc_file *file;
  mc_journal *live; /* whose segment it is, when only what lies below its end is read; NULL: a file, whoever writes it */
  uint64_t first;   /* offset of the file's first byte */
  mc_buf buf;
  uint64_t at;    /* offset of buf's first byte */
  uint64_t reads; /* counts reads, so that a reader knows when bytes are new */
} mc_window;

/* Bytes of the segment from offset on, at least `need` of them unless file or limit end before. Never beyond limit. */
mc_err mc_window_need(mc_window *w, uint64_t offset, size_t need, uint64_t limit, mc_slice *out, mc_why *why);
void mc_window_free(mc_window *w);

typedef enum mc_found {
  MC_FOUND_GROUP,
  MC_FOUND_SEAL,
  MC_FOUND_NOTHING, /* zeros or stale bytes: nothing was ever begun here */
  MC_FOUND_BROKEN   /* a group was begun here, and is not whole */
} mc_found;
/* What stands at offset. With payload: checks the group's payload as well. */
mc_err mc_scan_at(mc_window *w, uint64_t offset, uint64_t limit, const uint8_t id[MC_JOURNAL_ID], bool payload, mc_found *found,
                  mc_group_header *h, mc_why *why);
/* The records of a whole group: *bad is where one is none, the group's own offset when it holds another number than it says, else UINT64_MAX. by_stream is added to. */
mc_err mc_scan_records(mc_window *w, uint64_t group, const mc_group_header *h, uint64_t by_stream[16], uint64_t *bad, mc_why *why);
/* The next whole group or seal at or behind offset; UINT64_MAX when there is none before limit. */
mc_err mc_scan_ahead(mc_window *w, uint64_t offset, uint64_t limit, const uint8_t id[MC_JOURNAL_ID], uint64_t *out, mc_why *why);
/* As mc_scan_ahead behind `offset`, where nothing whole was found, beside a process that writes: when something follows, what stands at
 * offset may have been written since it was read, and is looked at again. *out is offset then. */
mc_err mc_scan_behind(mc_window *w, uint64_t offset, uint64_t limit, const uint8_t id[MC_JOURNAL_ID], uint64_t *out, mc_why *why);

/* verify.c: the id that stands in a folder's segments, and where the oldest and newest segment begin. */
mc_err mc_journal_identify(const mc_fs *fs, const char *dir, uint8_t id[MC_JOURNAL_ID], uint64_t *oldest, uint64_t *newest, mc_why *why);

/* recovery.c */
/* Fills id, file, seg_*, at, table, next_file, first, end. fixed_id: for a new journal; zeros draw one. */
mc_err mc_journal_recover(mc_journal *j, const uint64_t fixed_id[2], mc_why *why);

#endif
