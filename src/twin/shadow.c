/* Device shadows: the one thread that does what the journal says, and the one that saves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/thread.h"
#include "twin/shadow_inside.h"

enum { SAVE_MS = 250, IDLE_MS = 100, OFFSET_S = 5, RATE_BITS = 20, DEFAULT_HISTORY = 100, DEFAULT_CACHED = 20000, DEFAULT_CACHED_BYTES = 64 << 20, MOST_CHANGES = 50000, MOST_BYTES = 64 << 20 };

static mc_shadow_limits limits_of(mc_shadows *s, uint32_t tenant, mc_slice thing)
{
  return s->config.limits_of ? s->config.limits_of(s->config.ctx, tenant, thing) : (mc_shadow_limits){.bytes = 1 << 20, .depth = 16};
}

/* ---- topics ---- */
bool mc_shadow_name_is_good(mc_slice name)
{
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != ':' && c != '_' && c != '-')
      return false;
  }
  return name.len <= SHADOW_NAME;
}

shadow_verb shadow_topic_read(mc_slice topic, mc_slice *thing, mc_slice *name)
{
  mc_slice head = MC_LIT("$aws/things/"), middle = MC_LIT("/shadow/"), named = MC_LIT("name/");
  if (!mc_slice_starts(topic, head))
    return SHADOW_NONE;
  size_t end = mc_slice_find(topic, '/', head.len);
  *thing = mc_slice_sub(topic, head.len, end - head.len);
  mc_slice rest = mc_slice_sub(topic, end, topic.len);
  if (!thing->len || thing->len > 128 || !mc_slice_starts(rest, middle))
    return SHADOW_NONE;
  rest = mc_slice_sub(rest, middle.len, rest.len);
  *name = (mc_slice){0};
  if (mc_slice_starts(rest, named)) {
    rest = mc_slice_sub(rest, named.len, rest.len);
    end = mc_slice_find(rest, '/', 0);
    *name = mc_slice_sub(rest, 0, end);
    rest = mc_slice_sub(rest, end + 1, rest.len);
    if (!name->len || !mc_shadow_name_is_good(*name))
      return SHADOW_NONE;
  }
  return mc_slice_eq_str(rest, "get") ? SHADOW_GET : mc_slice_eq_str(rest, "update") ? SHADOW_UPDATE : mc_slice_eq_str(rest, "delete") ? SHADOW_DELETE : SHADOW_NONE;
}

bool mc_shadow_topic(mc_slice topic)
{
  mc_slice thing, name;
  return shadow_topic_read(topic, &thing, &name) != SHADOW_NONE;
}

/* ---- memory ---- */
static void unlink_entry(shadow_entry *e)
{
  e->newer->older = e->older;
  e->older->newer = e->newer;
}

static void link_newest(mc_shadows *s, shadow_entry *e)
{
  e->newer = &s->newest;
  e->older = s->newest.older;
  e->older->newer = e;
  s->newest.older = e;
}

static mc_err key_of(uint32_t tenant, mc_slice thing, mc_slice name, char out[SHADOW_KEY], mc_slice *key)
{
  int n = snprintf(out, SHADOW_KEY, "%" PRIu32 "/%.*s/%.*s", tenant, MC_FMT(thing), MC_FMT(name));
  *key = mc_slice_of(out, (size_t)n);
  return n > 0 && n < SHADOW_KEY ? MC_OK : MC_ERR_TOO_LARGE;
}

void shadow_entry_drop(mc_shadows *s, shadow_entry *e)
{
  char text[SHADOW_KEY];
  mc_slice key;
  key_of(e->tenant, mc_slice_str(e->thing), mc_slice_str(e->name), text, &key);
  mc_strmap_remove(&s->entries, key, NULL);
  unlink_entry(e);
  s->cached_bytes -= e->bytes;
  shadow_document_clear(&e->document);
  free(e);
}

/* Both bounds: a device may have few large documents, or many. */
static void make_room(mc_shadows *s)
{
  shadow_entry *e = s->oldest.newer;
  while ((s->entries.len > s->config.cached || s->cached_bytes > s->config.cached_bytes) && e != &s->newest) {
    shadow_entry *newer = e->newer;
    if (!e->dirty && !e->saving)
      shadow_entry_drop(s, e);
    e = newer;
  }
}

mc_err shadow_entry_get(mc_shadows *s, uint32_t tenant, mc_slice thing, mc_slice name, shadow_entry **out, mc_why *why)
{
  char text[SHADOW_KEY];
  mc_slice key;
  uint64_t found;
  MC_TRY(key_of(tenant, thing, name, text, &key));
  if (mc_strmap_get(&s->entries, key, &found)) {
    *out = (shadow_entry *)(uintptr_t)found;
    unlink_entry(*out);
    link_newest(s, *out);
    return MC_OK;
  }
  make_room(s);
  shadow_entry *e = calloc(1, sizeof *e);
  if (!e)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a shadow");
  e->tenant = tenant;
  mc_slice_to_str(thing, e->thing, sizeof e->thing);
  mc_slice_to_str(name, e->name, sizeof e->name);
  mc_err err = shadow_row_read(s->config.db, tenant, thing, name, &e->document, &e->bytes, &e->updated_us, why);
  if (err == MC_ERR_NOT_FOUND)
    err = MC_OK;
  if (!err)
    err = mc_strmap_put(&s->entries, key, (uintptr_t)e);
  if (err) {
    shadow_document_clear(&e->document);
    free(e);
    return err;
  }
  link_newest(s, e);
  s->cached_bytes += e->bytes;
  *out = e;
  return MC_OK;
}

/* ---- one request ---- */
typedef struct outcome {
  shadow_texts texts;
  mc_buf answer; /* of get and delete, or the refusal */
  int code;
  char message[160];
} outcome;

static bool within_rate(mc_shadows *s, const mc_record *r, mc_slice thing, uint32_t per_second)
{
  char text[SHADOW_KEY];
  mc_slice key;
  uint64_t v = 0;
  int64_t second = r->time_us / 1000000;
  if (!per_second || shadow_rate_key(r->tenant, thing, text, &key))
    return true;
  mc_strmap_get(&s->rate, key, &v);
  uint64_t count = (int64_t)(v >> RATE_BITS) == second ? v & ((1u << RATE_BITS) - 1) : 0;
  if (count >= per_second)
    return false;
  mc_strmap_put(&s->rate, key, (uint64_t)second << RATE_BITS | (count + 1)); /* without memory it is not counted */
  return true;
}

static mc_err owe_row(mc_shadows *s, const shadow_entry *e, const mc_record *r, bool deleted, const json_t *state)
{
  shadow_row row = {.tenant = e->tenant, .principal = r->principal, .version = e->document.version, .time_us = r->time_us, .deleted = deleted};
  memcpy(row.thing, e->thing, sizeof row.thing);
  memcpy(row.name, e->name, sizeof row.name);
  if (state) {
    size_t size = json_dumpb(state, NULL, 0, JSON_COMPACT);
    MC_TRY(mc_buf_reserve(&row.state, size + 1));
    row.state.len = json_dumpb(state, (char *)row.state.data, size, JSON_COMPACT);
  }
  mc_err err = mc_vec_push(&s->change, row);
  if (err)
    mc_buf_free(&row.state);
  else
    s->change_bytes += sizeof row + row.state.len;
  return err;
}

static bool carry_out(mc_shadows *s, shadow_entry *e, shadow_verb verb, const shadow_request *q, const mc_record *r, const mc_shadow_limits *limits, outcome *o,
                      shadow_fault *fault)
{
  int64_t now_s = r->time_us / 1000000;
  const shadow_limits own = {limits->bytes, limits->depth};
  if (verb == SHADOW_GET)
    return shadow_document_get(&e->document, q->token, now_s, &o->answer, fault);
  bool deletes = verb == SHADOW_DELETE;
  if (!(deletes ? shadow_document_delete(&e->document, q, now_s, &o->answer, fault) : shadow_document_update(&e->document, q, &own, now_s, &o->texts, fault)))
    return false;
  e->dirty = true;
  e->updated_us = r->time_us;
  s->cached_bytes += o->texts.documents.len - e->bytes; /* what was before and what is now: about, and at no cost */
  e->bytes = o->texts.documents.len;
  if (owe_row(s, e, r, deletes, deletes ? NULL : json_object_get(q->root, "state")))
    mc_log(MC_LOG_ERROR, "shadow", "out of memory: a change is missing in a shadow's history", MC_KZ("thing", e->thing));
  return true;
}

/* Under lock. What the database cannot give now is no refusal: the record is tried again. */
static mc_err decide(mc_shadows *s, const mc_record *r, shadow_verb verb, mc_slice thing, mc_slice name, const mc_shadow_limits *limits, outcome *o, mc_why *why)
{
  shadow_entry *e;
  shadow_request q;
  shadow_fault fault = {0};
  const shadow_limits own = {limits->bytes, limits->depth};
  MC_TRY(shadow_entry_get(s, r->tenant, thing, name, &e, why));
  bool good = shadow_request_read(r->payload, verb == SHADOW_UPDATE, &own, &q, &fault);
  if (!within_rate(s, r, thing, limits->per_second)) {
    fault = (shadow_fault){429, "Too many requests for this thing; wait a second"};
    good = false;
  }
  good = good && carry_out(s, e, verb, &q, r, limits, o, &fault);
  o->code = good ? 200 : fault.code;
  memcpy(o->message, fault.message, sizeof o->message);
  mc_err err = good ? MC_OK : shadow_fault_write(&fault, q.token, r->time_us / 1000000, &o->answer);
  shadow_request_free(&q);
  s->accepted += good;
  s->refused += !good;
  return err;
}

static void send(mc_shadows *s, const mc_record *r, const char *tail, const mc_buf *text)
{
  char topic[512];
  mc_why why;
  if (!text->len)
    return;
  int n = snprintf(topic, sizeof topic, "%.*s/%s", MC_FMT(r->topic), tail);
  if (s->config.publish(s->config.ctx, r->tenant, mc_slice_of(topic, (size_t)n), mc_buf_slice(text), &why))
    mc_log(MC_LOG_WARN, "shadow", "an answer cannot be published", MC_KZ("topic", topic), MC_KZ("reason", why.text));
}

/* A caller of ours knows its record by the number in its correlation data (MQTT 5.0, 3.3.2.3.6). */
static void tell_waiter(mc_shadows *s, const mc_record *r, const outcome *o)
{
  const mc_buf *text = o->texts.accepted.len ? &o->texts.accepted : &o->answer;
  if (r->props.len != 3 + SHADOW_NONCE || r->props.data[0] != 0x09)
    return;
  for (shadow_waiter *w = s->waiters; w; w = w->next)
    if (!memcmp(w->nonce, r->props.data + 3, SHADOW_NONCE)) {
      w->answer->code = o->code;
      memcpy(w->answer->message, o->message, sizeof w->answer->message);
      w->err = mc_buf_append_slice(&w->answer->text, mc_buf_slice(text));
      w->done = true;
      pthread_cond_broadcast(&s->moved);
    }
}

/* Document and offset move together: a save in between would have the record done again. */
static void move_on(mc_shadows *s, uint64_t offset)
{
  if (s->offset != offset) {
    s->offset = offset;
    pthread_cond_broadcast(&s->moved);
  }
}

static mc_err take(mc_shadows *s, const mc_record *r, uint64_t next, mc_why *why)
{
  mc_slice thing, name;
  outcome o = {0};
  shadow_verb verb = shadow_topic_read(r->topic, &thing, &name);
  if (verb == SHADOW_NONE)
    return MC_OK;
  mc_shadow_limits limits = limits_of(s, r->tenant, thing);
  pthread_mutex_lock(&s->lock);
  mc_err err = decide(s, r, verb, thing, name, &limits, &o, why);
  if (!err) {
    tell_waiter(s, r, &o);
    move_on(s, next);
    s->done++;
  }
  pthread_mutex_unlock(&s->lock);
  if (!err) {
    bool updated = o.texts.accepted.len;
    send(s, r, o.code == 200 ? "accepted" : "rejected", updated ? &o.texts.accepted : &o.answer);
    send(s, r, "documents", &o.texts.documents);
    send(s, r, "delta", &o.texts.delta);
  }
  shadow_texts_free(&o.texts);
  mc_buf_free(&o.answer);
  return err;
}

/* ---- saving ---- */
static void batch_clear(shadow_saved *b)
{
  for (size_t i = 0; i < b->text.len; i++)
    mc_buf_free(&b->text.at[i]);
  for (size_t i = 0; i < b->change.len; i++)
    mc_buf_free(&b->change.at[i].state);
  b->entry.len = b->text.len = b->version.len = b->updated_us.len = b->exists.len = b->rate.len = b->change.len = 0;
  b->full = false;
}

static void batch_free(shadow_saved *b)
{
  batch_clear(b);
  mc_vec_free(&b->entry);
  mc_vec_free(&b->text);
  mc_vec_free(&b->version);
  mc_vec_free(&b->updated_us);
  mc_vec_free(&b->exists);
  mc_vec_free(&b->rate);
  mc_vec_free(&b->change);
}

static mc_err batch_add(shadow_saved *b, shadow_entry *e)
{
  mc_buf text = {0};
  mc_err err = shadow_document_write(&e->document, &text);
  if (err || mc_vec_push(&b->text, text)) {
    mc_buf_free(&text);
    return MC_ERR_MEMORY;
  }
  return mc_vec_push(&b->version, e->document.version) || mc_vec_push(&b->updated_us, e->updated_us) || mc_vec_push(&b->exists, e->document.exists) ||
                 mc_vec_push(&b->entry, e)
             ? MC_ERR_MEMORY
             : MC_OK;
}

static mc_err batch_rates(mc_shadows *s)
{
  size_t at = 0;
  mc_slice key;
  uint64_t v, latest = 0;
  while (mc_strmap_next(&s->rate, &at, &key, &v))
    latest = v >> RATE_BITS > latest ? v >> RATE_BITS : latest;
  MC_VEC(mc_slice) old = {0};
  mc_err err = MC_OK;
  for (at = 0; !err && mc_strmap_next(&s->rate, &at, &key, &v);) {
    shadow_rate rate = {.second = (int64_t)(v >> RATE_BITS), .count = (uint32_t)(v & ((1u << RATE_BITS) - 1))};
    size_t slash = mc_slice_find(key, '/', 0);
    uint64_t tenant;
    if (v >> RATE_BITS < latest) {
      err = mc_vec_push(&old, key);
    } else if (!(err = mc_slice_to_u64(mc_slice_sub(key, 0, slash), &tenant))) {
      rate.tenant = (uint32_t)tenant;
      mc_slice_to_str(mc_slice_sub(key, slash + 1, key.len), rate.thing, sizeof rate.thing);
      err = mc_vec_push(&s->batch.rate, rate);
    }
  }
  for (size_t i = 0; i < old.len; i++)
    mc_strmap_remove(&s->rate, old.at[i], NULL);
  mc_vec_free(&old);
  return err;
}

/* Under both locks: what changed since the last batch becomes one. Without memory for it nothing is lost, it is tried again. */
static mc_err batch_fill(mc_shadows *s, mc_why *why)
{
  shadow_saved *b = &s->batch;
  mc_err err = MC_OK;
  for (shadow_entry *e = s->oldest.newer; e != &s->newest && !err; e = e->newer)
    if (e->dirty)
      err = batch_add(b, e);
  if (!err)
    err = batch_rates(s);
  if (err) {
    batch_clear(b);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory to save shadows");
  }
  for (size_t i = 0; i < b->entry.len; i++) {
    b->entry.at[i]->dirty = false;
    b->entry.at[i]->saving = true;
  }
  shadow_row_vec empty = b->change;
  b->change = s->change;
  s->change = empty;
  s->change_bytes = 0;
  b->offset = s->offset;
  b->full = b->entry.len || b->change.len || mc_clock_mono_us() > s->save_offset_by_us; /* an offset alone is not worth a sync each time */
  if (!b->full)
    batch_clear(b);
  return b->full ? MC_OK : MC_ERR_END;
}

mc_err shadow_save_held(mc_shadows *s, mc_why *why)
{
  mc_err err = MC_OK;
  if (!s->batch.full) {
    pthread_mutex_lock(&s->lock);
    err = s->offset == s->saved_offset ? MC_ERR_END : batch_fill(s, why);
    pthread_mutex_unlock(&s->lock);
  }
  if (err)
    return err == MC_ERR_END ? MC_OK : err;
  MC_TRY(shadow_batch_write(s, why));
  s->saved_offset = s->batch.offset;
  s->save_offset_by_us = mc_clock_mono_us() + OFFSET_S * 1000000LL;
  pthread_mutex_lock(&s->lock);
  for (size_t i = 0; i < s->batch.entry.len; i++)
    s->batch.entry.at[i]->saving = false;
  make_room(s); /* those that grew make no room by themselves */
  pthread_cond_broadcast(&s->moved);
  pthread_mutex_unlock(&s->lock);
  batch_clear(&s->batch);
  return mc_journal_consumer_commit(s->config.journal, "shadows", s->saved_offset, why);
}

mc_err shadow_save(mc_shadows *s, mc_why *why)
{
  pthread_mutex_lock(&s->saving);
  bool again = s->batch.full; /* one that failed: what came since is the next */
  mc_err err = shadow_save_held(s, why);
  if (!err && again)
    err = shadow_save_held(s, why);
  pthread_mutex_unlock(&s->saving);
  return err;
}

static void *save_on(void *arg)
{
  mc_shadows *s = arg;
  mc_thread_name("shadow-save");
  int64_t next_warning = 0;
  while (!atomic_load(&s->stopping)) {
    mc_why why = {0};
    usleep(SAVE_MS * 1000);
    if (shadow_save(s, &why) && mc_clock_mono_us() > next_warning) {
      mc_log(MC_LOG_WARN, "shadow", "shadows cannot be saved; they are tried again, and the journal keeps their changes", MC_KZ("reason", why.text));
      next_warning = mc_clock_mono_us() + 15000000;
    }
  }
  return NULL;
}

/* ---- the worker ---- */
/* While the database takes nothing, the journal keeps the rest. */
static void wait_for_room(mc_shadows *s)
{
  pthread_mutex_lock(&s->lock);
  while (!atomic_load(&s->stopping) && (s->change.len >= MOST_CHANGES || s->change_bytes >= MOST_BYTES)) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    pthread_cond_timedwait(&s->moved, &s->lock, &until);
  }
  pthread_mutex_unlock(&s->lock);
}

static void take_surely(mc_shadows *s, const mc_record *r)
{
  mc_why why = {0};
  while (take(s, r, mc_journal_reader_offset(s->reader), &why)) {
    mc_log(MC_LOG_ERROR, "shadow", "a request cannot be done yet; waiting to try again", MC_KU("offset", r->offset), MC_KZ("reason", why.text));
    for (int i = 0; i < 10; i++) {
      if (atomic_load(&s->stopping))
        return;
      usleep(100000);
    }
  }
}

static void *work(void *arg)
{
  mc_shadows *s = arg;
  mc_thread_name("shadow");
  mc_thread_prompt();
  while (!atomic_load(&s->stopping)) {
    mc_record r;
    mc_why why = {0};
    wait_for_room(s);
    mc_err err = mc_journal_reader_next(s->reader, &r, &why);
    if (!err) {
      take_surely(s, &r);
    } else if (err == MC_ERR_END) {
      uint64_t at = mc_journal_reader_offset(s->reader);
      pthread_mutex_lock(&s->lock);
      move_on(s, at);
      pthread_mutex_unlock(&s->lock);
      mc_journal_wait(s->config.journal, at, IDLE_MS);
    } else if (err != MC_ERR_CHECKSUM) { /* damage is told once; what lies behind is good */
      mc_log(MC_LOG_ERROR, "shadow", "the journal cannot be read; run `motorcade journal verify`", MC_KZ("reason", why.text));
      for (int i = 0; i < 10 && !atomic_load(&s->stopping); i++)
        usleep(100000);
    }
  }
  return NULL;
}

/* ---- life ---- */
static mc_err begin_reading(mc_shadows *s, mc_why *why)
{
  uint64_t from, at, first = mc_journal_first_offset(s->config.journal);
  MC_TRY(shadow_offset_read(s->config.db, &from, why));
  MC_TRY(shadow_rates_read(s, why));
  from = from < first ? first : from;
  MC_TRY(mc_journal_reader_create_near(s->config.journal, from, (mc_journal_filter){.streams = 1u << MC_STREAM_SHADOW}, &s->reader, &at, why));
  if (at != from)
    mc_log(MC_LOG_WARN, "shadow", "no record begins where shadows should go on; they go on at the place before", MC_KU("offset", from), MC_KU("read_from", at));
  if (at < from) /* as behind a restore, whose journal ends before its database: the next start must not take what comes now for done */
    MC_TRY(shadow_offset_write(s->config.db, at, why));
  s->offset = s->saved_offset = at;
  return mc_journal_consumer_commit(s->config.journal, "shadows", at, why);
}

mc_err mc_shadows_open(const mc_shadows_config *config, mc_shadows **out, mc_why *why)
{
  *out = NULL;
  mc_shadows *s = calloc(1, sizeof *s);
  if (!s)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for shadows");
  s->config = *config;
  s->config.history = config->history ? config->history : DEFAULT_HISTORY;
  s->config.cached = config->cached ? config->cached : DEFAULT_CACHED;
  s->config.cached_bytes = config->cached_bytes ? config->cached_bytes : DEFAULT_CACHED_BYTES;
  s->newest.older = &s->oldest;
  s->oldest.newer = &s->newest;
  pthread_mutex_init(&s->lock, NULL);
  pthread_mutex_init(&s->saving, NULL);
  pthread_cond_init(&s->moved, NULL);
  mc_err err = shadow_migrate(config->db, why);
  if (!err)
    err = begin_reading(s, why);
  if (err)
    mc_shadows_close(&s);
  *out = s;
  return err;
}

mc_err mc_shadows_start(mc_shadows *s, mc_why *why)
{
  s->worker_runs = !pthread_create(&s->worker, NULL, work, s);
  s->saver_runs = s->worker_runs && !pthread_create(&s->saver, NULL, save_on, s);
  return s->saver_runs ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "no thread for shadows");
}

void mc_shadows_stop(mc_shadows *s)
{
  atomic_store(&s->stopping, true);
  pthread_mutex_lock(&s->lock);
  pthread_cond_broadcast(&s->moved);
  pthread_mutex_unlock(&s->lock);
  if (s->worker_runs)
    pthread_join(s->worker, NULL);
  if (s->saver_runs)
    pthread_join(s->saver, NULL);
  s->worker_runs = s->saver_runs = false;
}

void mc_shadows_close(mc_shadows **shadows)
{
  mc_shadows *s = *shadows;
  mc_why why = {0};
  if (!s)
    return;
  mc_shadows_stop(s);
  if (s->reader && shadow_save(s, &why))
    mc_log(MC_LOG_WARN, "shadow", "shadows could not be saved at the end; the journal keeps their changes", MC_KZ("reason", why.text));
  while (s->oldest.newer != &s->newest)
    shadow_entry_drop(s, s->oldest.newer);
  for (size_t i = 0; i < s->change.len; i++)
    mc_buf_free(&s->change.at[i].state);
  mc_vec_free(&s->change);
  batch_free(&s->batch);
  mc_strmap_free(&s->entries);
  mc_strmap_free(&s->rate);
  if (s->reader)
    mc_journal_reader_destroy(&s->reader);
  pthread_cond_destroy(&s->moved);
  pthread_mutex_destroy(&s->saving);
  pthread_mutex_destroy(&s->lock);
  free(s);
  *shadows = NULL;
}
