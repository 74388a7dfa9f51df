/* What the files of device shadows share. */
#ifndef MC_TWIN_SHADOW_INSIDE_H
#define MC_TWIN_SHADOW_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "twin/shadow_document.h"
#include "twin/twin.h"

enum { SHADOW_NAME = 64, SHADOW_NONCE = 16, SHADOW_KEY = 256 };

/* One shadow in memory. Without memory of it the database has it. */
typedef struct shadow_entry {
  struct shadow_entry *newer, *older; /* by use */
  uint32_t tenant;
  char thing[129], name[SHADOW_NAME + 1];
  shadow_document document;
  size_t bytes; /* as mc_shadows_config.cached_bytes counts them, about */
  int64_t updated_us;
  bool dirty, saving; /* neither: it may leave memory */
} shadow_entry;

/* A change that its row is owed. */
typedef struct shadow_row {
  uint32_t tenant, principal;
  char thing[129], name[SHADOW_NAME + 1];
  uint64_t version;
  int64_t time_us;
  bool deleted;
  mc_buf state;
} shadow_row;
typedef MC_VEC(shadow_row) shadow_row_vec;

/* How many requests a thing made in its latest second: counted again after a kill, refusals must come out the same. */
typedef struct shadow_rate { uint32_t tenant; char thing[129]; int64_t second; uint32_t count; } shadow_rate;

/* What one transaction writes. */
typedef struct shadow_saved {
  MC_VEC(shadow_entry *) entry;
  MC_VEC(mc_buf) text; /* one for each entry */
  MC_VEC(uint64_t) version;
  MC_VEC(int64_t) updated_us;
  MC_VEC(bool) exists;
  MC_VEC(shadow_rate) rate;
  shadow_row_vec change;
  uint64_t offset;
  bool full; /* to be written */
} shadow_saved;

/* A caller of the API that waits for its own record, which it knows by a number that nobody can guess. */
typedef struct shadow_waiter {
  struct shadow_waiter *next;
  uint8_t nonce[SHADOW_NONCE];
  mc_shadow_answer *answer;
  mc_err err;
  bool done;
} shadow_waiter;

struct mc_shadows {
  mc_shadows_config config;
  mc_journal_reader *reader; /* the worker's */
  pthread_t worker, saver;
  bool worker_runs, saver_runs;
  atomic_bool stopping;
  pthread_mutex_t saving; /* one save at a time; before lock */
  shadow_saved batch;     /* under saving: kept until it is written */
  uint64_t saved_offset;  /* under saving */
  int64_t save_offset_by_us; /* under saving: an offset that moved without a change waits until then */

  pthread_mutex_t lock; /* what follows */
  pthread_cond_t moved;
  mc_strmap entries; /* "tenant/thing/name" */
  size_t cached_bytes; /* of all entries */
  shadow_entry newest, oldest; /* ends of the list by use */
  shadow_row_vec change;
  size_t change_bytes;
  mc_strmap rate; /* "tenant/thing" -> second << 20 | count */
  shadow_waiter *waiters;
  uint64_t offset; /* everything below is done */
  uint64_t done, accepted, refused;
};

/* shadow_rows.c */
mc_err shadow_migrate(mc_db *db, mc_why *why);
mc_err shadow_offset_read(mc_db *db, uint64_t *offset, mc_why *why);
mc_err shadow_offset_write(mc_db *db, uint64_t offset, mc_why *why);
mc_err shadow_rates_read(mc_shadows *s, mc_why *why);
mc_err shadow_rate_key(uint32_t tenant, mc_slice thing, char out[SHADOW_KEY], mc_slice *key);
/* MC_ERR_NOT_FOUND: there never was one. */
mc_err shadow_row_read(mc_db *db, uint32_t tenant, mc_slice thing, mc_slice name, shadow_document *out, size_t *bytes, int64_t *updated_us, mc_why *why);
mc_err shadow_batch_write(mc_shadows *s, mc_why *why);

/* shadow.c, under lock */
mc_err shadow_entry_get(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice name, shadow_entry **out, mc_why *why);
void shadow_entry_drop(mc_shadows *s, shadow_entry *e);
/* shadow.c, without it: what is owed is in the database afterwards. */
mc_err shadow_save(mc_shadows *s, mc_why *why);
mc_err shadow_save_held(mc_shadows *s, mc_why *why); /* the caller holds saving */

typedef enum shadow_verb { SHADOW_NONE, SHADOW_GET, SHADOW_UPDATE, SHADOW_DELETE } shadow_verb;
shadow_verb shadow_topic_read(mc_slice topic, mc_slice *thing, mc_slice *name);

#endif
