/* One delivery's state, shared by its files. Private. */
#ifndef MC_CAMPAIGN_DELIVERY_INSIDE_H
#define MC_CAMPAIGN_DELIVERY_INSIDE_H

#include "campaign/delivery.h"

enum { STATE_TEXT = 64 };

/* What happened at one destination since the start. */
typedef struct tally {
  uint32_t campaign, index;
  uint64_t rows, objects, messages;
  int64_t last_us;
  bool json_instead; /* of Parquet: said whenever nothing worse is */
  char error[256];
} tally;

struct mc_delivery {
  mc_delivery_config config;
  char *dir, *duckdb_library;
  delivery_outbox *outbox;
  char instance[STATE_TEXT]; /* of this database: object names of two platforms never meet */
  pthread_t reader_thread, sender_thread;
  bool reading, sending;
  _Atomic bool stopping;
  pthread_mutex_t lock; /* of the tallies; held for moments */
  MC_VEC(tally) tally;
  /* reader thread only */
  mc_journal_reader *reader;
  collector collect;
  uint64_t offset;       /* everything before is delivered or in the outbox */
  uint64_t saved;        /* the same, as the database has it */
  int64_t saved_mono_us;
  bool dirty;            /* something behind offset was taken */
  int64_t began_us;      /* arrival of the first message since offset */
  size_t rows;
  MC_VEC(delivery_batch *) batch;
  mc_map target; /* campaign -> delivery_target *, or 1: no destination */
  int64_t targets_mono_us;
  MC_VEC(delivery_target *) retired; /* batches may still name them */
  mc_map published; /* hashes of message ids that the journal holds already */
  mc_duckdb *duckdb;
  bool duckdb_tried;
  uint64_t published_end;
  uint32_t published_ahead;
  mc_buf message;
};

extern const char delivery_json_instead[]; /* for people */
/* delivery_status.c: adds to a destination's tally. error: NULL leaves what is said, "" says that all is well. */
void delivery_note(mc_delivery *d, uint32_t campaign, uint32_t index, const tally *more, const char *error);
/* The same for what the outbox tells (outbox_told). */
void delivery_told(void *ctx, const outbox_item *item, mc_err err, const char *text);

/* delivery_publish.c, reader thread: the messages of a record's rows; what was published before a stop. */
mc_err delivery_publish(mc_delivery *d, const mc_record *record, const delivery_batch *b, mc_why *why);
mc_err delivery_publish_state(mc_delivery *d, const mc_record *record, mc_why *why);
mc_err delivery_note_published(mc_delivery *d, mc_why *why); /* reads the journal from the offset on */

#endif
