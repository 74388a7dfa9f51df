/* The history of trouble codes. The decoder notes reports in memory; another thread writes them, in one transaction with the offset up to which reports
 * are counted, so that a report that is read again counts once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/vec.h"
#include "fleet/fleet.h"

static const mc_migration migrations[] = {
    {"fleet", 1,
     "CREATE TABLE trouble_code (id BIGINT NOT NULL PRIMARY KEY, tenant BIGINT NOT NULL, vehicle BIGINT NOT NULL, ecu TEXT NOT NULL, code TEXT NOT NULL, first_us BIGINT NOT "
     "NULL, last_us BIGINT NOT NULL, cleared_us BIGINT NOT NULL, reports BIGINT NOT NULL, episodes BIGINT NOT NULL, snapshot TEXT NOT NULL, extended TEXT NOT NULL);"
     "CREATE UNIQUE INDEX trouble_code_key ON trouble_code (tenant, vehicle, ecu, code);"
     "CREATE INDEX trouble_code_last ON trouble_code (tenant, last_us, id);"
     "CREATE TABLE trouble_report (tenant BIGINT NOT NULL, vehicle BIGINT NOT NULL, ecu TEXT NOT NULL, time_us BIGINT NOT NULL, PRIMARY KEY (tenant, vehicle, ecu));"
     "CREATE TABLE fleet_state (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)"},
};

/* One ECU's list at one time. */
typedef struct report {
  uint32_t tenant, vehicle;
  uint64_t offset;
  int64_t time_us;
  char ecu[20];
  mc_uds_code *code; /* one allocation with its texts */
  size_t count;
} report;
typedef MC_VEC(report) report_vec;

struct mc_fleet {
  mc_db *db;
  pthread_mutex_t write; /* first: one writer at a time */
  pthread_mutex_t lock;  /* of noted; held for moments */
  report_vec noted;
  report_vec writing; /* with write held: what the last time could not be written */
  uint64_t counted;   /* reports of records before this offset were written when it was opened */
  _Atomic uint64_t offset; /* a reader begins here */
  uint64_t noted_end; /* behind the record of the last report noted */
  report_vec pending; /* decoder thread: of the record that it is taking; all of a record are noted at once, or none */
  _Atomic uint64_t reports, codes, unreadable;
  mc_arena arena; /* decoder thread */
};

/* ---- noting ---- */
static void free_reports(report_vec *v)
{
  for (size_t i = 0; i < v->len; i++)
    free(v->at[i].code);
  mc_vec_free(v);
}

/* Codes and their texts in one piece of memory. */
static mc_uds_code *copy_codes(const mc_uds_code *from, size_t count)
{
  size_t size = count * sizeof *from;
  for (size_t i = 0; i < count; i++)
    size += from[i].snapshot.len + from[i].extended.len;
  mc_uds_code *to = malloc(size ? size : 1);
  if (!to)
    return NULL;
  uint8_t *text = (uint8_t *)(to + count);
  for (size_t i = 0; i < count; i++) {
    to[i] = from[i];
    mc_slice *part[] = {&to[i].snapshot, &to[i].extended};
    for (int k = 0; k < 2; k++) {
      if (part[k]->len)
        memcpy(text, part[k]->data, part[k]->len);
      part[k]->data = text;
      text += part[k]->len;
    }
  }
  return to;
}

static mc_err hold(mc_fleet *f, uint32_t tenant, uint32_t vehicle, uint64_t offset, int64_t time_us, mc_slice ecu, const mc_uds_code *code, size_t count)
{
  report r = {.tenant = tenant, .vehicle = vehicle, .offset = offset, .time_us = time_us, .code = copy_codes(code, count), .count = count};
  if (!r.code)
    return MC_ERR_MEMORY;
  mc_slice_to_str(ecu, r.ecu, sizeof r.ecu);
  mc_err err = mc_vec_push(&f->pending, r);
  if (err)
    free(r.code);
  atomic_fetch_add(&f->reports, 1);
  atomic_fetch_add(&f->codes, count);
  return err;
}

static mc_err note_pending(mc_fleet *f, uint64_t offset)
{
  mc_err err = MC_OK;
  if (!f->pending.len)
    return MC_OK;
  pthread_mutex_lock(&f->lock);
  size_t before = f->noted.len;
  for (size_t i = 0; i < f->pending.len && !err; i++)
    err = mc_vec_push(&f->noted, f->pending.at[i]);
  if (err)
    f->noted.len = before;
  else
    f->noted_end = offset + 1;
  pthread_mutex_unlock(&f->lock);
  if (err)
    return err;
  f->pending.len = 0;
  return MC_OK;
}

/* Comes before the block of the same record. */
static mc_err take_codes(void *ctx, const mc_trouble_codes *c, mc_why *why)
{
  mc_fleet *f = ctx;
  if (c->journal_offset < f->counted)
    return MC_OK;
  mc_arena_reset(&f->arena);
  mc_uds_code *code = mc_arena_array(&f->arena, c->count ? c->count : 1, sizeof *code);
  size_t n = 0;
  if (!code)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %u trouble codes", c->count);
  for (uint32_t i = 0; i < c->count; i++)
    if (mc_dtc_normal(c->code[i], code[n].code) == MC_OK)
      n++;
    else
      atomic_fetch_add(&f->unreadable, 1);
  mc_err err = n || !c->count ? hold(f, c->tenant, c->vehicle, c->journal_offset, c->time_us, (mc_slice){0}, code, n) : MC_OK;
  return err ? mc_err_set(why, err, "trouble codes: %s", mc_err_text(err)) : MC_OK;
}

static mc_err take_report(mc_fleet *f, const mc_block *b, uint32_t i, mc_slice text, mc_why *why)
{
  mc_uds_ecu *ecu;
  size_t count;
  uint32_t bad;
  mc_why reason;
  mc_arena_reset(&f->arena);
  if (mc_uds_read(text, &f->arena, &ecu, &count, &bad, &reason)) {
    atomic_fetch_add(&f->unreadable, 1);
    mc_log(MC_LOG_WARN, "fleet", "a report of trouble codes cannot be read; it stays in the history of its signal", MC_KU("vehicle", b->vehicle[i]), MC_KZ("reason", reason.text));
    return MC_OK;
  }
  atomic_fetch_add(&f->unreadable, bad);
  for (size_t k = 0; k < count; k++) {
    mc_err err = hold(f, b->tenant, b->vehicle[i], b->journal_offset, b->time_us[i], ecu[k].ecu, ecu[k].code, ecu[k].count);
    if (err)
      return mc_err_set(why, err, "trouble codes: %s", mc_err_text(err));
  }
  return MC_OK;
}

static mc_err take_block(void *ctx, const mc_block *b, mc_why *why)
{
  mc_fleet *f = ctx;
  if (b->journal_offset < f->counted)
    return MC_OK;
  for (uint32_t i = 0; i < b->count; i++) {
    if (b->kind[i] != MC_SAMPLE_STRING || (b->flags[i] & MC_SAMPLE_QUARANTINED))
      continue;
    mc_slice text = mc_slice_sub(b->text, b->value[i].str.offset, b->value[i].str.len);
    if (mc_uds_is_report(text))
      MC_TRY(take_report(f, b, i, text, why));
  }
  mc_err err = note_pending(f, b->journal_offset);
  return err ? mc_err_set(why, err, "trouble codes: %s", mc_err_text(err)) : MC_OK;
}

/* ---- writing ---- */
static mc_err newest_report(mc_fleet *f, const report *r, int64_t *time_us, mc_why *why)
{
  mc_stmt *s;
  *time_us = INT64_MIN;
  MC_TRY(mc_db_prepare(f->db, "SELECT time_us FROM trouble_report WHERE tenant = $1 AND vehicle = $2 AND ecu = $3", &s, why));
  mc_stmt_bind_int(s, 1, r->tenant);
  mc_stmt_bind_int(s, 2, r->vehicle);
  mc_stmt_bind_text(s, 3, mc_slice_str(r->ecu));
  mc_err err = mc_stmt_step(s, why);
  if (!err)
    *time_us = mc_stmt_int(s, 0);
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

/* A late report widens the span and counts; only the newest one says what is so now. */
static mc_err write_code(mc_fleet *f, const report *r, const mc_uds_code *code, bool newest, mc_why *why)
{
  uint32_t id;
  static const char update_newest[] = "UPDATE trouble_code SET first_us = MIN(first_us, $1), last_us = MAX(last_us, $1), reports = reports + 1, episodes = episodes + CASE WHEN "
                                      "cleared_us <> 0 THEN 1 ELSE 0 END, cleared_us = 0, snapshot = $2, extended = $3 WHERE tenant = $4 AND vehicle = $5 AND ecu = $6 AND code = $7";
  static const char update_late[] = "UPDATE trouble_code SET first_us = MIN(first_us, $1), last_us = MAX(last_us, $1), reports = reports + 1, snapshot = CASE WHEN snapshot = '' THEN $2 "
                                    "ELSE snapshot END, extended = CASE WHEN extended = '' THEN $3 ELSE extended END WHERE tenant = $4 AND vehicle = $5 AND ecu = $6 AND code = $7";
  mc_slice ecu = mc_slice_str(r->ecu), text = mc_slice_str(code->code);
  MC_TRY(mc_db_run(f->db, why, newest ? update_newest : update_late, "ittiitt", r->time_us, code->snapshot, code->extended, (int64_t)r->tenant, (int64_t)r->vehicle, ecu, text));
  if (mc_db_changes(f->db))
    return MC_OK;
  MC_TRY(mc_db_next_id(f->db, "trouble_code", &id, why));
  return mc_db_run(f->db, why,
                   "INSERT INTO trouble_code(id, tenant, vehicle, ecu, code, first_us, last_us, cleared_us, reports, episodes, snapshot, extended) VALUES ($1,$2,$3,$4,$5,$6,$6,$7,1,1,$8,$9)",
                   "iiittiitt", (int64_t)id, (int64_t)r->tenant, (int64_t)r->vehicle, ecu, text, r->time_us, newest ? (int64_t)0 : r->time_us, code->snapshot, code->extended);
}

static mc_err write_report(mc_fleet *f, const report *r, mc_why *why)
{
  int64_t before;
  MC_TRY(newest_report(f, r, &before, why));
  bool newest = r->time_us >= before;
  for (size_t i = 0; i < r->count; i++)
    MC_TRY(write_code(f, r, &r->code[i], newest, why));
  if (!newest)
    return MC_OK;
  /* Listed ones were seen at this very time; the others are gone. */
  MC_TRY(mc_db_run(f->db, why, "UPDATE trouble_code SET cleared_us = $1 WHERE tenant = $2 AND vehicle = $3 AND ecu = $4 AND cleared_us = 0 AND last_us < $1", "iiit", r->time_us,
                   (int64_t)r->tenant, (int64_t)r->vehicle, mc_slice_str(r->ecu)));
  return mc_db_run(f->db, why,
                   "INSERT INTO trouble_report(tenant, vehicle, ecu, time_us) VALUES ($1,$2,$3,$4) ON CONFLICT(tenant, vehicle, ecu) DO UPDATE SET time_us = excluded.time_us", "iiti",
                   (int64_t)r->tenant, (int64_t)r->vehicle, mc_slice_str(r->ecu), r->time_us);
}

static mc_err put_state(mc_fleet *f, const char *name, uint64_t value, mc_why *why)
{
  return mc_db_run(f->db, why, "INSERT INTO fleet_state(name, value) VALUES ($1, $2) ON CONFLICT(name) DO UPDATE SET value = excluded.value", "ti", mc_slice_str(name), (int64_t)value);
}

static mc_err write_all(mc_fleet *f, uint64_t counted, bool checkpoint, uint64_t offset, mc_why *why)
{
  MC_TRY(mc_db_begin(f->db, true, why));
  mc_err err = MC_OK;
  for (size_t i = 0; i < f->writing.len && !err; i++)
    err = write_report(f, &f->writing.at[i], why);
  if (!err && f->writing.len)
    err = put_state(f, "counted", counted, why);
  if (!err && checkpoint)
    err = put_state(f, "offset", offset, why);
  mc_err ended = mc_db_end(f->db, !err, err ? NULL : why);
  return err ? err : ended;
}

/* Moves what was noted behind what could not be written before; tells up to where that is everything. */
static mc_err take_noted(mc_fleet *f, uint64_t *end)
{
  mc_err err = MC_OK;
  pthread_mutex_lock(&f->lock);
  size_t before = f->writing.len;
  for (size_t i = 0; i < f->noted.len && !err; i++)
    err = mc_vec_push(&f->writing, f->noted.at[i]);
  if (err)
    f->writing.len = before;
  else
    f->noted.len = 0;
  *end = f->noted_end;
  pthread_mutex_unlock(&f->lock);
  return err;
}

mc_err mc_fleet_save(mc_fleet *f, bool checkpoint, uint64_t offset, mc_why *why)
{
  uint64_t counted;
  pthread_mutex_lock(&f->write);
  mc_err err = take_noted(f, &counted);
  if (err)
    mc_err_set(why, err, "out of memory for trouble codes");
  else if (f->writing.len || (checkpoint && offset != atomic_load(&f->offset)))
    err = write_all(f, counted, checkpoint, offset, why);
  if (!err) {
    free_reports(&f->writing);
    if (checkpoint)
      atomic_store(&f->offset, offset);
  }
  pthread_mutex_unlock(&f->write);
  return err;
}

/* ---- life ---- */
static mc_err get_state(mc_fleet *f, const char *name, uint64_t absent, uint64_t *out, mc_why *why)
{
  mc_stmt *s;
  *out = absent;
  MC_TRY(mc_db_begin(f->db, false, why));
  mc_err err = mc_db_prepare(f->db, "SELECT value FROM fleet_state WHERE name = $1", &s, why);
  if (!err) {
    mc_stmt_bind_text(s, 1, mc_slice_str(name));
    err = mc_stmt_step(s, why);
    if (!err)
      *out = (uint64_t)mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(f->db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_fleet_open(mc_db *db, mc_fleet **out, mc_why *why)
{
  uint64_t offset;
  *out = NULL;
  MC_TRY(mc_db_migrate(db, migrations, sizeof migrations / sizeof migrations[0], why));
  mc_fleet *f = calloc(1, sizeof *f);
  if (!f)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the fleet's history");
  f->db = db;
  f->arena = MC_ARENA(16 << 20);
  pthread_mutex_init(&f->write, NULL);
  pthread_mutex_init(&f->lock, NULL);
  mc_err err = get_state(f, "counted", 0, &f->counted, why);
  if (!err)
    err = get_state(f, "offset", UINT64_MAX, &offset, why);
  f->noted_end = f->counted;
  atomic_store(&f->offset, err ? UINT64_MAX : offset);
  *out = f;
  if (err)
    mc_fleet_close(out);
  return err;
}

void mc_fleet_close(mc_fleet **fleet)
{
  mc_fleet *f = *fleet;
  if (!f)
    return;
  free_reports(&f->noted);
  free_reports(&f->writing);
  free_reports(&f->pending);
  mc_arena_free(&f->arena);
  pthread_mutex_destroy(&f->write);
  pthread_mutex_destroy(&f->lock);
  free(f);
  *fleet = NULL;
}

mc_block_sink mc_fleet_block_sink(mc_fleet *f)
{
  return (mc_block_sink){f, take_block};
}

mc_trouble_sink mc_fleet_trouble_sink(mc_fleet *f)
{
  return (mc_trouble_sink){f, take_codes};
}

uint64_t mc_fleet_offset(const mc_fleet *f)
{
  return atomic_load(&f->offset);
}

/* A journal that ends earlier hands out the same offsets again: what was counted behind its end is counted anew. */
mc_err mc_fleet_rewind(mc_db *db, uint64_t offset, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = mc_db_prepare(db, "SELECT COUNT(*) FROM schema_migration WHERE module = 'fleet'", &s, why);
  bool made = false;
  if (!err) {
    err = mc_stmt_step(s, why);
    made = !err && mc_stmt_int(s, 0) > 0;
    mc_stmt_release(&s);
  }
  if (!err && made)
    err = mc_db_run(db, why, "UPDATE fleet_state SET value = $1 WHERE value > $1", "i", (int64_t)offset);
  mc_err ended = mc_db_end(db, !err, err ? NULL : why);
  return err ? err : ended;
}

void mc_fleet_stats_get(mc_fleet *f, mc_fleet_stats *out)
{
  *out = (mc_fleet_stats){atomic_load(&f->reports), atomic_load(&f->codes), atomic_load(&f->unreadable)};
}

/* ---- reading ---- */
static mc_err read_row(mc_stmt *s, mc_arena *arena, mc_trouble_code *out, int64_t *id)
{
  char code[MC_DTC_TEXT];
  mc_buf text = {0};
  *id = mc_stmt_int(s, 0);
  *out = (mc_trouble_code){.vehicle = (uint32_t)mc_stmt_int(s, 1), .first_us = mc_stmt_int(s, 4), .last_us = mc_stmt_int(s, 5), .cleared_us = mc_stmt_int(s, 6),
                           .reports = (uint64_t)mc_stmt_int(s, 7), .episodes = (uint64_t)mc_stmt_int(s, 8)};
  out->active = out->cleared_us == 0;
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 2), &out->ecu));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 3), &out->code));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 9), &out->snapshot));
  MC_TRY(mc_arena_copy(arena, mc_stmt_text(s, 10), &out->extended));
  mc_slice_to_str(out->code, code, sizeof code);
  out->system = mc_slice_str(mc_dtc_system(code));
  out->generic = mc_dtc_generic(code);
  mc_err err = mc_dtc_describe(code, &text);
  if (!err)
    err = mc_arena_copy(arena, mc_buf_slice(&text), &out->text);
  mc_buf_free(&text);
  return err;
}

static mc_err select_rows(mc_fleet *f, const mc_trouble_query *q, mc_arena *arena, mc_trouble_code *out, size_t *count, int64_t *last_id, mc_why *why)
{
  mc_stmt *s;
  int64_t before_us = q->before_us ? q->before_us : INT64_MAX, before_id = q->before_us ? q->before_id : INT64_MAX;
  MC_TRY(mc_db_prepare(f->db,
                       "SELECT id, vehicle, ecu, code, first_us, last_us, cleared_us, reports, episodes, snapshot, extended FROM trouble_code WHERE tenant = $1 AND ($2 = 0 OR vehicle = $2) "
                       "AND ($3 = '' OR code = $3 OR substr(code, 1, 5) = $3) AND ($4 = 0 OR cleared_us = 0) AND (last_us < $5 OR (last_us = $5 AND id < $6)) ORDER BY last_us DESC, id DESC LIMIT $7",
                       &s, why));
  mc_stmt_bind_int(s, 1, q->tenant);
  mc_stmt_bind_int(s, 2, q->vehicle);
  mc_stmt_bind_text(s, 3, q->code);
  mc_stmt_bind_int(s, 4, q->active_only);
  mc_stmt_bind_int(s, 5, before_us);
  mc_stmt_bind_int(s, 6, before_id);
  mc_stmt_bind_int(s, 7, (int64_t)q->limit);
  mc_err err = MC_OK;
  while (*count < q->limit && !(err = mc_stmt_step(s, why)))
    if ((err = read_row(s, arena, &out[(*count)++], last_id)))
      break;
  mc_stmt_release(&s);
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_fleet_trouble_codes(mc_fleet *f, const mc_trouble_query *q, mc_arena *arena, mc_trouble_code **out, size_t *count, int64_t *last_id, mc_why *why)
{
  *count = 0;
  *last_id = 0;
  *out = mc_arena_array(arena, q->limit ? q->limit : 1, sizeof **out);
  if (!*out)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for %zu trouble codes", q->limit);
  MC_TRY(mc_fleet_save(f, false, 0, why));
  MC_TRY(mc_db_begin(f->db, false, why));
  mc_err err = select_rows(f, q, arena, *out, count, last_id, why);
  mc_db_end(f->db, true, NULL);
  return err;
}
