/* Data out: the reader that turns messages into rows, cuts them into files, and publishes; and the sender beside it. */
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "campaign/delivery_inside.h"

enum { EVERY_S = 60, ROWS = 250000, IDLE_MS = 200, TARGETS_S = 5, SAVE_S = 5, GRACE_US = 1000000 };
#define OUTBOX_BYTES (UINT64_C(1) << 30)
#define HOUR_US INT64_C(3600000000)
static const char consumer[] = "delivery";

/* ---- the state in the database ---- */
static mc_err state_get(mc_delivery *d, const char *name, char out[STATE_TEXT], bool *there, mc_why *why)
{
  mc_stmt *s;
  *there = false;
  MC_TRY(mc_db_begin(d->config.campaigns->config.db, false, why));
  mc_err err = mc_db_prepare(d->config.campaigns->config.db, "SELECT value FROM delivery_state WHERE name = $1", &s, why);
  if (!err) {
    mc_stmt_bind_text(s, 1, mc_slice_str(name));
    err = mc_stmt_step(s, why);
    *there = err == MC_OK;
    if (*there)
      mc_slice_to_str(mc_stmt_text(s, 0), out, STATE_TEXT);
    mc_stmt_release(&s);
  }
  mc_db_end(d->config.campaigns->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err state_put(mc_delivery *d, const char *name, const char *value, mc_why *why)
{
  return mc_db_run(d->config.campaigns->config.db, why, "INSERT INTO delivery_state(name, value) VALUES ($1, $2) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
                   "tt", mc_slice_str(name), mc_slice_str(value));
}

static mc_err save_offset(mc_delivery *d, uint64_t offset, mc_why *why)
{
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, offset);
  return state_put(d, "offset", text, why);
}

static void saved(mc_delivery *d, uint64_t offset)
{
  mc_why why;
  d->saved = offset;
  d->saved_mono_us = mc_clock_mono_us();
  if (mc_journal_consumer_commit(d->config.journal, consumer, offset, &why))
    mc_log(MC_LOG_WARN, "delivery", "consumer offset not saved; the journal keeps more than it has to", MC_KZ("reason", why.text));
}

static mc_err load_state(mc_delivery *d, mc_why *why)
{
  char text[STATE_TEXT];
  bool there;
  uint64_t first = mc_journal_first_offset(d->config.journal), end = mc_journal_end_offset(d->config.journal);
  MC_TRY(state_get(d, "instance", d->instance, &there, why));
  if (!there) {
    uint64_t random = 0;
    RAND_bytes((unsigned char *)&random, sizeof random);
    snprintf(d->instance, sizeof d->instance, "%016" PRIx64, random);
    MC_TRY(state_put(d, "instance", d->instance, why));
  }
  MC_TRY(state_get(d, "offset", text, &there, why));
  if (!there || mc_slice_to_u64(mc_slice_str(text), &d->offset) || d->offset > end) { /* the first start, or a journal that was restored */
    d->offset = end;
    MC_TRY(save_offset(d, end, why));
  }
  if (d->offset < first)
    d->offset = first;
  saved(d, d->offset);
  return MC_OK;
}

/* ---- targets ---- */
static void forget_targets(mc_delivery *d)
{
  size_t at = 0, before = d->retired.len;
  uint64_t value;
  while (mc_map_next(&d->target, &at, NULL, &value))
    if (value > 1 && mc_vec_push(&d->retired, (delivery_target *)(uintptr_t)value)) {
      d->retired.len = before; /* no memory: they stay as they are */
      return;
    }
  mc_map_free(&d->target);
  d->targets_mono_us = mc_clock_mono_us();
}

static void free_retired(mc_delivery *d)
{
  for (size_t i = 0; i < d->retired.len; i++)
    delivery_target_free(d->retired.at[i]);
  d->retired.len = 0;
}

/* NULL: the campaign delivers to our own store only, or is gone. */
static const delivery_target *target_of(mc_delivery *d, uint32_t tenant, uint32_t campaign)
{
  uint64_t value;
  delivery_target *t;
  mc_why why;
  if (mc_clock_mono_us() > d->targets_mono_us + TARGETS_S * 1000000)
    forget_targets(d);
  if (mc_map_get(&d->target, campaign, &value))
    return value > 1 ? (delivery_target *)(uintptr_t)value : NULL;
  mc_err err = delivery_target_read(d->config.campaigns, tenant, campaign, &t, &why);
  if (err && err != MC_ERR_NOT_FOUND)
    mc_log(MC_LOG_WARN, "delivery", "a campaign's destinations cannot be read", MC_KZ("reason", why.text));
  bool outside = false;
  for (uint32_t i = 0; !err && i < t->to_count; i++)
    outside |= t->to[i].kind != DESTINATION_STORE;
  if (!err && !outside) {
    delivery_target_free(t);
    t = NULL;
  }
  if (mc_map_put(&d->target, campaign, t ? (uint64_t)(uintptr_t)t : 1)) {
    delivery_target_free(t);
    return NULL;
  }
  return t;
}

/* ---- cutting ---- */
typedef struct made {
  outbox_item item;
  mc_buf key;
  char file[128];
  uint64_t bytes;
} made;
typedef MC_VEC(made) made_vec;

static void free_made(made_vec *v)
{
  for (size_t i = 0; i < v->len; i++)
    mc_buf_free(&v->at[i].key);
  mc_vec_free(v);
}

/* Some tens of MiB: loaded when it is needed. */
static mc_duckdb *duckdb_of(mc_delivery *d)
{
  mc_why why;
  if (d->duckdb_tried || !d->duckdb_library)
    return d->duckdb;
  d->duckdb_tried = true;
  if (mc_duckdb_load(d->duckdb_library, &d->duckdb, &why))
    mc_log(MC_LOG_WARN, "delivery", "DuckDB's library cannot be used: JSON is written instead of Parquet", MC_KZ("reason", why.text));
  else
    mc_log(MC_LOG_INFO, "delivery", "DuckDB writes Parquet files", MC_KZ("version", mc_duckdb_version(d->duckdb)));
  return d->duckdb;
}

static mc_err make_one(mc_delivery *d, const delivery_batch *b, const destination *to, made_vec *out, mc_why *why)
{
  made m = {.item = {b->target->tenant, b->target->campaign, to->index, to->bucket, {0}, {0}, b->row.len}};
  char path[1200];
  bool parquet;
  mc_file *file;
  snprintf(m.file, sizeof m.file, "%016" PRIx64 "-%" PRIx32 "-%" PRIx32, b->first_offset, b->target->campaign, to->index);
  snprintf(path, sizeof path, "%s/%s", d->dir, m.file);
  MC_TRY(delivery_file_write(b, to, to->parquet ? duckdb_of(d) : NULL, path, &parquet, why));
  if (to->parquet && !parquet)
    delivery_note(d, b->target->campaign, to->index, &(tally){.json_instead = true}, delivery_json_instead);
  mc_err err = delivery_key(b, to, parquet, d->instance, &m.key);
  if (!err && !mc_file_open(mc_fs_posix(), path, MC_FILE_READ, &file, why)) {
    mc_file_size(file, &m.bytes, why);
    mc_file_close(&file);
  }
  if (!err)
    err = mc_vec_push(out, m);
  if (err)
    mc_buf_free(&m.key);
  return err;
}

static mc_err make_files(mc_delivery *d, made_vec *out, mc_why *why)
{
  for (size_t i = 0; i < d->batch.len; i++) {
    const delivery_batch *b = d->batch.at[i];
    for (uint32_t k = 0; k < b->target->to_count; k++)
      if (b->target->to[k].kind == DESTINATION_S3 && b->row.len)
        MC_TRY(make_one(d, b, &b->target->to[k], out, why));
  }
  return mc_fs_sync_dir(mc_fs_posix(), d->dir, why);
}

static mc_err put_in_outbox(mc_delivery *d, made_vec *v, uint64_t offset, mc_why *why)
{
  mc_db *db = d->config.campaigns->config.db;
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = save_offset(d, offset, why);
  for (size_t i = 0; i < v->len && !err; i++) {
    made *m = &v->at[i];
    m->item.key = mc_buf_slice(&m->key);
    m->item.file = mc_slice_str(m->file);
    err = outbox_add(d->outbox, &m->item, why);
  }
  mc_err ended = mc_db_end(db, !err, err ? NULL : why);
  if (!err)
    err = ended;
  for (size_t i = 0; i < v->len && !err; i++)
    outbox_added(d->outbox, v->at[i].bytes);
  return err;
}

/* Everything before `offset` goes into files; afterwards it need not be read again. */
static mc_err cut(mc_delivery *d, uint64_t offset, mc_why *why)
{
  made_vec v = {0};
  mc_err err = d->batch.len ? make_files(d, &v, why) : MC_OK;
  if (!err)
    err = put_in_outbox(d, &v, offset, why);
  free_made(&v);
  MC_TRY(err);
  for (size_t i = 0; i < d->batch.len; i++)
    delivery_batch_free(d->batch.at[i]);
  d->batch.len = 0;
  d->rows = 0;
  d->dirty = false;
  d->offset = offset;
  free_retired(d);
  mc_map_free(&d->collect.type); /* the catalog may have changed */
  if (offset >= d->published_end)
    mc_map_free(&d->published);
  saved(d, offset);
  return MC_OK;
}

/* Again until it is done: nothing is read meanwhile, and so nothing is lost. */
static void cut_surely(mc_delivery *d, uint64_t offset)
{
  mc_why why = {0};
  while (cut(d, offset, &why) && !atomic_load(&d->stopping)) {
    mc_log(MC_LOG_ERROR, "delivery", "files cannot be made; waiting to try again", MC_KZ("reason", why.text));
    for (int i = 0; i < 20 && !atomic_load(&d->stopping); i++)
      usleep(100000);
  }
}

/* ---- reading ---- */
static delivery_batch *batch_of(mc_delivery *d, const delivery_target *t)
{
  for (size_t i = 0; i < d->batch.len; i++)
    if (d->batch.at[i]->target->campaign == t->campaign)
      return d->batch.at[i];
  delivery_batch *b = calloc(1, sizeof *b);
  if (b && mc_vec_push(&d->batch, b)) {
    free(b);
    return NULL;
  }
  if (b)
    b->target = t;
  return b;
}

static bool window_is_over(const mc_delivery *d, int64_t now_us)
{
  return d->dirty && (now_us >= d->began_us + (int64_t)d->config.every_s * 1000000 || now_us / HOUR_US != d->began_us / HOUR_US || d->rows >= d->config.rows);
}

/* The rows of this message alone, published. */
static mc_err take_messages(mc_delivery *d, const mc_record *r, const collected *m, const delivery_target *t, mc_why *why)
{
  delivery_batch alone = {.target = t};
  mc_err err = collector_add(&d->collect, &alone, r, m, why);
  if (!err && alone.row.len)
    err = delivery_publish(d, r, &alone, why);
  mc_vec_free(&alone.row);
  mc_vec_free(&alone.vehicle);
  mc_map_free(&alone.vehicle_index);
  mc_arena_free(&alone.arena);
  return err;
}

static mc_err take_for(mc_delivery *d, const mc_record *r, const collected *m, const delivery_target *t, mc_why *why)
{
  if (t->messages)
    MC_TRY(take_messages(d, r, m, t, why));
  if (!t->files)
    return MC_OK;
  delivery_batch *b = batch_of(d, t);
  if (!b)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for rows");
  size_t before = b->row.len;
  mc_err err = collector_add(&d->collect, b, r, m, why);
  if (err)
    b->row.len = before;
  d->rows += b->row.len - before;
  return err;
}

/* Published at once; the window that it opens says from where the journal is looked through after a crash. */
static mc_err take_state(mc_delivery *d, const mc_record *r, uint64_t before, mc_why *why)
{
  if (window_is_over(d, r->time_us))
    MC_TRY(cut(d, before, why));
  if (!d->dirty)
    d->began_us = r->time_us;
  d->dirty = true;
  return delivery_publish_state(d, r, why);
}

/* One record. before: where it begins; the place to cut at when its window is a new one. */
static mc_err take(mc_delivery *d, const mc_record *r, uint64_t before, mc_why *why)
{
  collected m;
  if (delivery_is_state(r->topic))
    return take_state(d, r, before, why);
  if (collector_read(&d->collect, r, &m))
    return MC_OK;
  if (window_is_over(d, r->time_us))
    MC_TRY(cut(d, before, why));
  const delivery_target *t = target_of(d, r->tenant, m.campaign);
  if (!t)
    return MC_OK;
  if (!d->dirty)
    d->began_us = r->time_us;
  d->dirty = true;
  return take_for(d, r, &m, t, why);
}

static void at_the_end(mc_delivery *d, uint64_t at)
{
  mc_why why = {0};
  if (window_is_over(d, mc_clock_wall_us() - GRACE_US)) {
    cut_surely(d, at);
  } else if (!d->dirty) {
    d->offset = at;
    if (at != d->saved && mc_clock_mono_us() > d->saved_mono_us + SAVE_S * 1000000) {
      if (save_offset(d, at, &why))
        mc_log(MC_LOG_WARN, "delivery", "offset not saved; more will be read again after a restart", MC_KZ("reason", why.text));
      else
        saved(d, at);
    }
  }
}

/* Reading stops while the outbox is full: the journal keeps the rest. */
static bool held_back(mc_delivery *d)
{
  return outbox_bytes(d->outbox) >= d->config.outbox_bytes;
}

static void take_surely(mc_delivery *d, const mc_record *r, uint64_t before)
{
  mc_why why = {0};
  while (!atomic_load(&d->stopping) && take(d, r, before, &why)) {
    mc_log(MC_LOG_ERROR, "delivery", "a message cannot be delivered yet; waiting to try again", MC_KU("offset", r->offset), MC_KZ("reason", why.text));
    for (int i = 0; i < 10 && !atomic_load(&d->stopping); i++)
      usleep(100000);
  }
}

static void *read_on(void *arg)
{
  mc_delivery *d = arg;
  mc_why why;
  mc_metric *lag = mc_metric_get(MC_METRIC_GAUGE, "motorcade_delivery_lag_ms", "Age of the journal record that data out is reading", NULL);
  mc_metric *waiting = mc_metric_get(MC_METRIC_GAUGE, "motorcade_delivery_outbox_bytes", "Bytes of files that wait for their object store", NULL);
  while (!atomic_load(&d->stopping)) {
    mc_record r;
    mc_metric_set(waiting, (int64_t)outbox_bytes(d->outbox));
    if (held_back(d)) {
      usleep(IDLE_MS * 1000);
      continue;
    }
    uint64_t before = mc_journal_reader_offset(d->reader);
    mc_err err = mc_journal_reader_next(d->reader, &r, &why);
    if (!err) {
      take_surely(d, &r, before);
      mc_metric_set(lag, (mc_clock_wall_us() - r.time_us) / 1000);
    } else if (err == MC_ERR_END) {
      at_the_end(d, mc_journal_reader_offset(d->reader));
      mc_metric_set(lag, 0);
      mc_journal_wait(d->config.journal, mc_journal_reader_offset(d->reader), IDLE_MS);
    } else {
      mc_log(MC_LOG_ERROR, "delivery", "journal is damaged or was cut; run `motorcade journal verify`", MC_KU("offset", before), MC_KZ("reason", why.text));
      sleep(1);
    }
  }
  return NULL;
}

/* ---- sending ---- */
static void *send_on(void *arg)
{
  mc_delivery *d = arg;
  mc_why why;
  while (!atomic_load(&d->stopping)) {
    mc_err err = outbox_send(d->outbox, d->config.objects, delivery_told, d, &why);
    if (err && err != MC_ERR_END)
      mc_log(MC_LOG_WARN, "delivery", "the outbox cannot be read or written", MC_KZ("reason", why.text));
    if (err)
      usleep(IDLE_MS * 1000);
  }
  return NULL;
}

/* ---- life ---- */
/* Repeats of messages that came shortly before the offset are known, too. */
static mc_err warm_up(mc_delivery *d, uint64_t from, mc_why *why)
{
  mc_journal_reader *reader;
  mc_record r;
  collected m;
  mc_journal_filter filter = {.streams = 1u << MC_STREAM_TELEMETRY};
  MC_TRY(mc_journal_reader_create(d->config.journal, from, filter, &reader, why));
  while (mc_journal_reader_offset(reader) < d->offset) {
    mc_err err = mc_journal_reader_next(reader, &r, why);
    if (err == MC_ERR_CHECKSUM) /* told once; what lies behind is good */
      continue;
    if (err || r.offset >= d->offset)
      break;
    if (delivery_is_state(r.topic))
      delivery_state_note(&d->collect, &r);
    else
      collector_read(&d->collect, &r, &m);
  }
  mc_journal_reader_destroy(&reader);
  return MC_OK;
}

static mc_err open_reader(mc_delivery *d, mc_why *why)
{
  uint64_t start;
  mc_journal_filter filter = {.streams = 1u << MC_STREAM_TELEMETRY};
  if (mc_journal_segment_start(d->config.journal, d->offset, &start, NULL) == MC_OK && start < d->offset)
    MC_TRY(warm_up(d, start, why));
  MC_TRY(mc_journal_reader_create_near(d->config.journal, d->offset, filter, &d->reader, &start, why));
  if (start != d->offset)
    mc_log(MC_LOG_WARN, "delivery", "no record begins where data out should go on; it goes on at the place before", MC_KU("offset", d->offset), MC_KU("read_from", start));
  return MC_OK;
}

mc_err mc_delivery_open(const mc_delivery_config *config, mc_delivery **out, mc_why *why)
{
  *out = NULL;
  mc_delivery *d = calloc(1, sizeof *d);
  if (!d || !(d->dir = strdup(config->dir)) || (config->duckdb && !(d->duckdb_library = strdup(config->duckdb)))) {
    if (d)
      free(d->dir);
    free(d);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for data out");
  }
  d->config = *config;
  d->config.every_s = config->every_s ? config->every_s : EVERY_S;
  d->config.rows = config->rows ? config->rows : ROWS;
  d->config.outbox_bytes = config->outbox_bytes ? config->outbox_bytes : OUTBOX_BYTES;
  pthread_mutex_init(&d->lock, NULL);
  mc_err err = outbox_open(config->campaigns->config.db, config->dir, &d->outbox, why);
  if (!err)
    err = collector_open(&d->collect, config->campaigns);
  if (!err)
    err = load_state(d, why);
  if (!err)
    err = open_reader(d, why);
  if (!err)
    err = delivery_note_published(d, why);
  *out = d;
  if (err)
    mc_delivery_close(out);
  return err;
}

mc_err mc_delivery_start(mc_delivery *d, mc_why *why)
{
  d->reading = pthread_create(&d->reader_thread, NULL, read_on, d) == 0;
  d->sending = d->reading && pthread_create(&d->sender_thread, NULL, send_on, d) == 0;
  return d->sending ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "cannot start the threads of data out");
}

void mc_delivery_stop(mc_delivery *d)
{
  atomic_store(&d->stopping, true);
  if (d->config.objects && d->sending)
    mc_object_stop(d->config.objects);
  if (d->reading)
    pthread_join(d->reader_thread, NULL);
  if (d->sending)
    pthread_join(d->sender_thread, NULL);
  d->reading = d->sending = false;
}

void mc_delivery_close(mc_delivery **delivery)
{
  mc_delivery *d = *delivery;
  if (!d)
    return;
  mc_delivery_stop(d);
  mc_journal_reader_destroy(&d->reader);
  for (size_t i = 0; i < d->batch.len; i++)
    delivery_batch_free(d->batch.at[i]);
  mc_vec_free(&d->batch);
  forget_targets(d);
  free_retired(d);
  mc_vec_free(&d->retired);
  mc_map_free(&d->target);
  mc_map_free(&d->published);
  collector_close(&d->collect);
  mc_buf_free(&d->message);
  outbox_close(&d->outbox);
  mc_duckdb_unload(&d->duckdb);
  free(d->duckdb_library);
  mc_vec_free(&d->tally);
  pthread_mutex_destroy(&d->lock);
  free(d->dir);
  free(d);
  *delivery = NULL;
}
