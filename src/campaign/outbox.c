/* Files that wait for their object store. A row comes into the database in the same transaction as the offset that its content reaches to: a file is
 * made again until that has happened, and sent again until the store has taken it. Names are decided before, so nothing is there twice. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaign/delivery.h"

enum { PAUSE_S = 2, PAUSE_MAX_S = 300 };

static const mc_migration migrations[] = {
    {"delivery", 1,
     "CREATE TABLE delivery_state (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);"
     "CREATE TABLE delivery_outbox (id BIGINT NOT NULL PRIMARY KEY, tenant BIGINT NOT NULL, campaign BIGINT NOT NULL, destination BIGINT NOT NULL, bucket TEXT NOT NULL, "
     "key TEXT NOT NULL, file TEXT NOT NULL, sample_rows BIGINT NOT NULL, created_us BIGINT NOT NULL, tries BIGINT NOT NULL, due_us BIGINT NOT NULL, error TEXT NOT NULL);"
     "CREATE INDEX delivery_outbox_due ON delivery_outbox (due_us, id)"},
};

struct delivery_outbox {
  mc_db *db;
  char *dir;
  _Atomic uint64_t bytes;
};

typedef struct named {
  delivery_outbox *o;
  mc_strmap known;
} named;

static void path_in(const delivery_outbox *o, mc_slice file, char out[1024])
{
  snprintf(out, 1024, "%s/%.*s", o->dir, MC_FMT(file));
}

static uint64_t size_of(const delivery_outbox *o, mc_slice file)
{
  char path[1024];
  struct stat st;
  path_in(o, file, path);
  return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

static mc_err note_rows(named *n, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(n->o->db, false, why));
  mc_err err = mc_db_prepare(n->o->db, "SELECT file FROM delivery_outbox", &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why))) {
      atomic_fetch_add(&n->o->bytes, size_of(n->o, mc_stmt_text(s, 0)));
      if ((err = mc_strmap_put(&n->known, mc_stmt_text(s, 0), 1)))
        break;
    }
    mc_stmt_release(&s);
  }
  mc_db_end(n->o->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

/* What a crash left before its row was written is made again from the journal. */
static mc_err drop_unknown(void *ctx, const char *name)
{
  named *n = ctx;
  char path[1024];
  if (mc_strmap_get(&n->known, mc_slice_str(name), NULL))
    return MC_OK;
  path_in(n->o, mc_slice_str(name), path);
  mc_fs_unlink(mc_fs_posix(), path, NULL);
  return MC_OK;
}

mc_err outbox_open(mc_db *db, const char *dir, delivery_outbox **out, mc_why *why)
{
  *out = NULL;
  MC_TRY(mc_db_migrate(db, migrations, sizeof migrations / sizeof migrations[0], why));
  MC_TRY(mc_fs_mkdirs(mc_fs_posix(), dir, why));
  delivery_outbox *o = calloc(1, sizeof *o);
  if (!o || !(o->dir = strdup(dir))) {
    free(o);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the outbox");
  }
  o->db = db;
  named n = {.o = o};
  mc_err err = note_rows(&n, why);
  if (!err)
    err = mc_fs_list(mc_fs_posix(), dir, drop_unknown, &n, why);
  mc_strmap_free(&n.known);
  if (err)
    outbox_close(&o);
  *out = o;
  return err;
}

mc_err mc_delivery_rewind(mc_db *db, uint64_t offset, mc_why *why)
{
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, offset);
  MC_TRY(mc_db_migrate(db, migrations, sizeof migrations / sizeof migrations[0], why));
  MC_TRY(mc_db_run(db, why, "DELETE FROM delivery_state WHERE name = 'instance'", "")); /* what was delivered behind the offset keeps its names */
  return mc_db_run(db, why, "UPDATE delivery_state SET value = $1 WHERE name = 'offset' AND CAST(value AS BIGINT) > $2", "ti", mc_slice_str(text), (int64_t)offset);
}

void outbox_close(delivery_outbox **o)
{
  if (!*o)
    return;
  free((*o)->dir);
  free(*o);
  *o = NULL;
}

mc_err outbox_add(delivery_outbox *o, const outbox_item *item, mc_why *why)
{
  uint32_t id;
  MC_TRY(mc_db_next_id(o->db, "delivery", &id, why));
  return mc_db_run(o->db, why,
                   "INSERT INTO delivery_outbox(id, tenant, campaign, destination, bucket, key, file, sample_rows, created_us, tries, due_us, error) VALUES "
                   "($1,$2,$3,$4,$5,$6,$7,$8,$9,0,0,'')",
                   "iiiitttii", (int64_t)id, (int64_t)item->tenant, (int64_t)item->campaign, (int64_t)item->destination, item->bucket, item->key, item->file,
                   (int64_t)item->rows, mc_clock_wall_us());
}

void outbox_added(delivery_outbox *o, uint64_t bytes)
{
  atomic_fetch_add(&o->bytes, bytes);
}

uint64_t outbox_bytes(const delivery_outbox *o)
{
  return atomic_load(&o->bytes);
}

typedef struct due {
  int64_t id, tries;
  outbox_item item;
} due;

static mc_err read_due(delivery_outbox *o, mc_arena *arena, due *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(o->db, false, why));
  mc_err err = mc_db_prepare(o->db,
                             "SELECT id, tenant, campaign, destination, bucket, key, file, sample_rows, tries FROM delivery_outbox WHERE due_us <= $1 ORDER BY due_us, id LIMIT 1",
                             &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, mc_clock_wall_us());
    err = mc_stmt_step(s, why);
    if (!err) {
      *out = (due){.id = mc_stmt_int(s, 0), .tries = mc_stmt_int(s, 8),
                   .item = {.tenant = (uint32_t)mc_stmt_int(s, 1), .campaign = (uint32_t)mc_stmt_int(s, 2), .destination = (uint32_t)mc_stmt_int(s, 3), .rows = (uint64_t)mc_stmt_int(s, 7)}};
      err = mc_arena_copy(arena, mc_stmt_text(s, 4), &out->item.bucket);
      if (!err)
        err = mc_arena_copy(arena, mc_stmt_text(s, 5), &out->item.key);
      if (!err)
        err = mc_arena_copy(arena, mc_stmt_text(s, 6), &out->item.file);
    }
    mc_stmt_release(&s);
  }
  mc_db_end(o->db, true, NULL);
  return err;
}

static mc_err done(delivery_outbox *o, const due *d, const char *path, mc_why *why)
{
  uint64_t bytes = size_of(o, d->item.file);
  MC_TRY(mc_db_run(o->db, why, "DELETE FROM delivery_outbox WHERE id = $1", "i", d->id));
  atomic_fetch_sub(&o->bytes, bytes);
  mc_fs_unlink(mc_fs_posix(), path, NULL);
  return MC_OK;
}

static mc_err postpone(delivery_outbox *o, const due *d, const char *text, mc_why *why)
{
  int64_t pause_s = PAUSE_S << (d->tries < 8 ? d->tries : 8);
  if (pause_s > PAUSE_MAX_S)
    pause_s = PAUSE_MAX_S;
  int64_t due_us = mc_clock_wall_us() + pause_s * 1000000;
  MC_TRY(mc_db_run(o->db, why, "UPDATE delivery_outbox SET tries = tries + 1, error = $1 WHERE id = $2", "ti", mc_slice_str(text), d->id));
  return mc_db_run(o->db, why, "UPDATE delivery_outbox SET due_us = $1 WHERE bucket = $2 AND due_us < $1", "it", due_us, d->item.bucket);
}

mc_err outbox_send(delivery_outbox *o, mc_object_store *objects, outbox_told told, void *ctx, mc_why *why)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(1 << 20);
  due d;
  char path[1024];
  mc_why reason = {0};
  MC_TRY(read_due(o, &arena, &d, why));
  path_in(o, d.item.file, path);
  mc_err err = objects ? mc_object_put_file(objects, d.item.bucket, d.item.key, path, "application/octet-stream", &reason)
                       : mc_err_set(&reason, MC_ERR_UNSUPPORTED, "no object store is configured");
  struct stat st;
  if (err == MC_ERR_CLOSED) /* shutting down: as if it had not been tried */
    return MC_ERR_END;
  if (err == MC_ERR_NOT_FOUND && stat(path, &st)) {
    mc_log(MC_LOG_ERROR, "delivery",
           "a file that waited for its object store is gone: it was sent while the backup was made that this is restored from, or somebody took it",
           MC_KS("bucket", d.item.bucket), MC_KS("key", d.item.key));
    told(ctx, &d.item, err, "the file is gone");
    return done(o, &d, path, why);
  }
  told(ctx, &d.item, err, reason.text);
  return err ? postpone(o, &d, reason.text, why) : done(o, &d, path, why);
}
