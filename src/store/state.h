/* The store's state and the seams between its files. Private to the module. */
#ifndef MC_STORE_STATE_H
#define MC_STORE_STATE_H

#include <pthread.h>

#include "store/memtable.h"
#include "store/segment.h"
#include "store/store.h"

typedef MC_VEC(store_segment *) store_segment_vec;

struct mc_store {
  mc_store_config config;
  char *dir;
  pthread_mutex_t lock; /* everything below; never held during file I/O */
  pthread_cond_t wake;  /* the background thread has work, or a flush ended */
  pthread_t thread;
  bool running, stopping, flush_asked;
  uint64_t flush_done; /* counts finished flushes */
  mc_err flush_err;
  char flush_text[MC_WHY_TEXT];
  store_memtable *open;   /* appended to */
  store_memtable *frozen; /* being written; NULL most of the time */
  store_segment_vec segment; /* ordered by sequence; one reference each */
  uint64_t offset;        /* journal offset behind the last block appended */
  uint64_t saved_offset;  /* the one in the manifest */
  uint64_t sequence;      /* next */
  mc_store_stats stats;
};

/* Manifest (README). load opens the segments it names and deletes leftovers. */
mc_err store_manifest_load(mc_store *s, mc_why *why);
mc_err store_manifest_read(mc_store *s, mc_why *why); /* the same, deleting nothing */
mc_err store_manifest_save(mc_store *s, const store_segment_vec *segments, uint64_t offset, uint64_t sequence, mc_why *why);

/* Writes a memtable as segments, appended to out (one reference each). Background thread. */
mc_err store_memtable_write(mc_store *s, store_memtable *m, store_segment_vec *out, uint64_t *sequence, mc_why *why);
/* Merges the segments of one hour that has too many, when it is over. *merged false: nothing to do. Background thread. */
mc_err store_merge_one(mc_store *s, bool *merged, mc_why *why);
void store_segments_free(store_segment_vec *v);

#endif
