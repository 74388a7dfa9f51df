/* Device shadows as the API asks for them: through the journal, and answered to the caller. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "twin/shadow_inside.h"

enum { ANSWER_MS = 5000 };

static void deadline(int ms, struct timespec *out)
{
  clock_gettime(CLOCK_REALTIME, out);
  out->tv_sec += ms / 1000;
  out->tv_nsec += (long)(ms % 1000) * 1000000;
  if (out->tv_nsec >= 1000000000) {
    out->tv_sec++;
    out->tv_nsec -= 1000000000;
  }
}

mc_err mc_shadows_wait(mc_shadows *s, uint64_t offset, int timeout_ms)
{
  struct timespec until;
  int rc = 0;
  deadline(timeout_ms, &until);
  pthread_mutex_lock(&s->lock);
  while (s->offset < offset && rc != ETIMEDOUT && !atomic_load(&s->stopping))
    rc = pthread_cond_timedwait(&s->moved, &s->lock, &until);
  mc_err err = s->offset >= offset ? MC_OK : MC_ERR_TIMEOUT;
  pthread_mutex_unlock(&s->lock);
  return err;
}

static mc_err check_names(mc_slice thing, mc_slice shadow, mc_why *why)
{
  if (!thing.len || thing.len > 128)
    return mc_err_set(why, MC_ERR_INVALID, "a thing's name has 1 to 128 characters");
  return mc_shadow_name_is_good(shadow) ? MC_OK : mc_err_set(why, MC_ERR_INVALID, "a shadow's name has 1 to 64 of the characters A-Z a-z 0-9 : _ -");
}

mc_err mc_shadow_get(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, mc_shadow_answer *out, mc_why *why)
{
  shadow_entry *e;
  shadow_fault fault;
  int64_t now_s = mc_clock_wall_us() / 1000000;
  *out = (mc_shadow_answer){0};
  MC_TRY(check_names(thing, shadow, why));
  if (mc_shadows_wait(s, mc_journal_end_offset(s->config.journal), ANSWER_MS))
    return mc_err_set(why, MC_ERR_TIMEOUT, "shadows are behind the journal by more than %d s; try again", ANSWER_MS / 1000);
  pthread_mutex_lock(&s->lock);
  mc_err err = shadow_entry_get(s, tenant, thing, shadow, &e, why);
  if (!err) {
    bool good = shadow_document_get(&e->document, (mc_slice){0}, now_s, &out->text, &fault);
    out->code = good ? 200 : fault.code;
    if (!good) {
      memcpy(out->message, fault.message, sizeof out->message);
      mc_buf_clear(&out->text);
      err = shadow_fault_write(&fault, (mc_slice){0}, now_s, &out->text);
    }
  }
  pthread_mutex_unlock(&s->lock);
  return err;
}

static void await(mc_shadows *s, shadow_waiter *w)
{
  pthread_mutex_lock(&s->lock);
  w->next = s->waiters;
  s->waiters = w;
  pthread_mutex_unlock(&s->lock);
}

static void await_no_more(mc_shadows *s, const shadow_waiter *w)
{
  pthread_mutex_lock(&s->lock);
  for (shadow_waiter **at = &s->waiters; *at; at = &(*at)->next)
    if (*at == w) {
      *at = w->next;
      break;
    }
  pthread_mutex_unlock(&s->lock);
}

static mc_err answered(mc_shadows *s, shadow_waiter *w, mc_why *why)
{
  struct timespec until;
  int rc = 0;
  deadline(ANSWER_MS, &until);
  pthread_mutex_lock(&s->lock);
  while (!w->done && rc != ETIMEDOUT && !atomic_load(&s->stopping))
    rc = pthread_cond_timedwait(&s->moved, &s->lock, &until);
  bool done = w->done;
  pthread_mutex_unlock(&s->lock);
  if (!done)
    return mc_err_set(why, MC_ERR_TIMEOUT, "the change is on disk and will be made, but was not within %d s; read the shadow before trying again", ANSWER_MS / 1000);
  return w->err ? mc_err_set(why, w->err, "out of memory for the answer; the change was made") : MC_OK;
}

static mc_err ask(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, const char *verb, uint32_t principal, mc_slice payload, mc_shadow_answer *out,
                  mc_why *why)
{
  char topic[320];
  uint8_t props[3 + SHADOW_NONCE] = {0x09, 0, SHADOW_NONCE}; /* correlation data, of 16 bytes */
  shadow_waiter w = {.answer = out};
  uint64_t offset;
  *out = (mc_shadow_answer){0};
  MC_TRY(check_names(thing, shadow, why));
  if (getrandom(w.nonce, sizeof w.nonce, 0) != sizeof w.nonce)
    return mc_err_set(why, MC_ERR_IO, "the system gives no random numbers");
  memcpy(props + 3, w.nonce, sizeof w.nonce);
  int n = snprintf(topic, sizeof topic, "$aws/things/%.*s/shadow/%s%.*s%s%s", MC_FMT(thing), shadow.len ? "name/" : "", MC_FMT(shadow), shadow.len ? "/" : "", verb);
  mc_record r = {.stream = MC_STREAM_SHADOW, .flags = MC_RECORD_QOS1 | MC_RECORD_V5, .partition = mc_journal_partition_of(thing), .tenant = tenant, .principal = principal,
                 .time_us = mc_clock_wall_us(), .topic = mc_slice_of(topic, (size_t)n), .props = mc_slice_of(props, sizeof props), .payload = payload};
  await(s, &w);
  mc_err err = mc_journal_append_sync(s->config.journal, &r, &offset, why);
  if (!err)
    err = answered(s, &w, why);
  await_no_more(s, &w);
  if (err)
    mc_buf_free(&out->text);
  return err;
}

mc_err mc_shadow_update(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, uint32_t principal, mc_slice payload, mc_shadow_answer *out, mc_why *why)
{
  return ask(s, tenant, thing, shadow, "update", principal, payload, out, why);
}

mc_err mc_shadow_delete(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, uint32_t principal, mc_shadow_answer *out, mc_why *why)
{
  return ask(s, tenant, thing, shadow, "delete", principal, (mc_slice){0}, out, why);
}

/* ---- lists ---- */
/* What was acknowledged is in the database. */
static mc_err settle(mc_shadows *s, mc_why *why)
{
  if (mc_shadows_wait(s, mc_journal_end_offset(s->config.journal), ANSWER_MS))
    return mc_err_set(why, MC_ERR_TIMEOUT, "shadows are behind the journal by more than %d s; try again", ANSWER_MS / 1000);
  return shadow_save(s, why);
}

static mc_err read_names(mc_stmt *st, size_t limit, mc_arena *arena, mc_shadow_name *list, size_t *count, mc_why *why)
{
  mc_err err = MC_OK;
  while (*count < limit && !(err = mc_stmt_step(st, why))) {
    mc_shadow_name *n = &list[*count];
    *n = (mc_shadow_name){.version = (uint64_t)mc_stmt_int(st, 1), .updated_us = mc_stmt_int(st, 2)};
    if ((err = mc_arena_copy(arena, mc_stmt_text(st, 0), &n->name)))
      break;
    ++*count;
  }
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_shadow_list(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice after, size_t limit, mc_arena *arena, mc_shadow_name **out, size_t *count, mc_why *why)
{
  mc_stmt *st;
  mc_db *db = s->config.db;
  *count = 0;
  if (!(*out = mc_arena_array(arena, limit ? limit : 1, sizeof **out)))
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a list of shadows");
  MC_TRY(settle(s, why));
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db, "SELECT name, version, updated_us FROM shadow WHERE tenant = $1 AND thing = $2 AND present = 1 AND (name > $3 OR $4 = 1) ORDER BY name LIMIT $5",
                             &st, why);
  if (!err) {
    mc_stmt_bind_int(st, 1, tenant);
    mc_stmt_bind_text(st, 2, thing);
    mc_stmt_bind_text(st, 3, after);
    mc_stmt_bind_int(st, 4, after.data == NULL); /* from the beginning: the classic one has no name */
    mc_stmt_bind_int(st, 5, (int64_t)limit);
    err = read_names(st, limit, arena, *out, count, why);
    mc_stmt_release(&st);
  }
  mc_db_end(db, true, NULL);
  return err;
}

static mc_err read_changes(mc_stmt *st, size_t limit, mc_arena *arena, mc_shadow_change *list, size_t *count, mc_why *why)
{
  mc_err err = MC_OK;
  while (*count < limit && !(err = mc_stmt_step(st, why))) {
    mc_shadow_change *c = &list[*count];
    *c = (mc_shadow_change){.version = (uint64_t)mc_stmt_int(st, 0), .deleted = mc_stmt_int(st, 1), .time_us = mc_stmt_int(st, 2), .principal = (uint32_t)mc_stmt_int(st, 3)};
    if ((err = mc_arena_copy(arena, mc_stmt_text(st, 4), &c->state)))
      break;
    ++*count;
  }
  return err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_shadow_history(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice shadow, uint64_t before, size_t limit, mc_arena *arena, mc_shadow_change **out, size_t *count,
                         mc_why *why)
{
  mc_stmt *st;
  mc_db *db = s->config.db;
  *count = 0;
  MC_TRY(check_names(thing, shadow, why));
  if (!(*out = mc_arena_array(arena, limit ? limit : 1, sizeof **out)))
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a shadow's history");
  MC_TRY(settle(s, why));
  MC_TRY(mc_db_begin(db, false, why));
  mc_err err = mc_db_prepare(db,
                             "SELECT version, deleted, time_us, principal, state FROM shadow_change WHERE tenant = $1 AND thing = $2 AND name = $3 AND version < $4"
                             " ORDER BY version DESC, deleted DESC LIMIT $5",
                             &st, why);
  if (!err) {
    mc_stmt_bind_int(st, 1, tenant);
    mc_stmt_bind_text(st, 2, thing);
    mc_stmt_bind_text(st, 3, shadow);
    mc_stmt_bind_int(st, 4, before && before < INT64_MAX ? (int64_t)before : INT64_MAX);
    mc_stmt_bind_int(st, 5, (int64_t)limit);
    err = read_changes(st, limit, arena, *out, count, why);
    mc_stmt_release(&st);
  }
  mc_db_end(db, true, NULL);
  return err;
}

/* ---- forgetting ---- */
static mc_err forget_rows(mc_db *db, uint32_t tenant, mc_slice thing, mc_why *why)
{
  static const char *const sql[] = {"DELETE FROM shadow WHERE tenant = $1 AND thing = $2", "DELETE FROM shadow_change WHERE tenant = $1 AND thing = $2",
                                    "DELETE FROM shadow_rate WHERE tenant = $1 AND thing = $2"};
  MC_TRY(mc_db_begin(db, true, why));
  mc_err err = MC_OK;
  for (size_t i = 0; i < sizeof sql / sizeof sql[0] && !err; i++)
    err = mc_db_run(db, why, sql[i], "it", (int64_t)tenant, thing);
  mc_err end = mc_db_end(db, !err, err ? NULL : why);
  return err ? err : end;
}

/* The offset that is saved with it lies behind all that is forgotten: a kill brings nothing back. */
mc_err mc_shadow_forget(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_why *why)
{
  if (mc_shadows_wait(s, mc_journal_end_offset(s->config.journal), ANSWER_MS))
    return mc_err_set(why, MC_ERR_TIMEOUT, "shadows are behind the journal by more than %d s; try again", ANSWER_MS / 1000);
  pthread_mutex_lock(&s->saving);
  mc_err err = MC_OK;
  for (int i = 0; i < 2 && !err; i++) { /* one that failed before, and what came since */
    s->save_offset_by_us = 0;
    err = shadow_save_held(s, why);
  }
  if (!err)
    err = forget_rows(s->config.db, tenant, thing, why);
  if (!err) {
    pthread_mutex_lock(&s->lock);
    for (shadow_entry *e = s->oldest.newer, *newer; e != &s->newest; e = newer) {
      newer = e->newer;
      if (e->tenant == tenant && mc_slice_eq_str(thing, e->thing))
        shadow_entry_drop(s, e);
    }
    pthread_mutex_unlock(&s->lock);
  }
  pthread_mutex_unlock(&s->saving);
  return err;
}

void mc_shadows_stats_get(mc_shadows *s, mc_shadows_stats *out)
{
  pthread_mutex_lock(&s->lock);
  *out = (mc_shadows_stats){.done = s->done, .accepted = s->accepted, .refused = s->refused, .cached = s->entries.len, .offset = s->offset};
  pthread_mutex_unlock(&s->lock);
}
