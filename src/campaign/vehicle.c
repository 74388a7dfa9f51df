/* What vehicles said of themselves: in memory, and as rows of campaign_checkin. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "campaign/association.h"
#include "format/json.h"

enum {
  UNKNOWN_KEPT = 16,   /* ids that we never made, of one vehicle: enough to see what it is */
  IDS_READ = 4096,     /* of one check-in; a vehicle holds some dozens */
  ERRORS_KEPT = 64,    /* as our agent tells at most */
  TEXT_MAX = 500
};

vehicle_state *campaign_vehicle_state(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, bool add)
{
  uint64_t key = (uint64_t)tenant << 32 | vehicle, found;
  if (mc_map_get(&c->vehicle, key, &found))
    return (vehicle_state *)(uintptr_t)found;
  vehicle_state *v = add ? calloc(1, sizeof *v) : NULL;
  if (!v)
    return NULL;
  v->tenant = tenant;
  v->vehicle = vehicle;
  if (mc_map_put(&c->vehicle, key, (uintptr_t)v)) {
    free(v);
    return NULL;
  }
  return v;
}

#define LAST_US 253402300799999999LL /* the last of year 9999 */

static void free_texts(char **at, size_t len)
{
  for (size_t i = 0; i < len; i++)
    free(at[i]);
}

void campaign_vehicle_forget(vehicle_state *v)
{
  free_texts(v->unknown.at, v->unknown.len);
  free_texts(v->error.at, v->error.len);
  mc_vec_clear(&v->unknown);
  mc_vec_clear(&v->error);
  mc_vec_clear(&v->reported);
  v->unknown_count = v->dropped = 0;
}

void campaign_vehicles_free(mc_campaigns *c)
{
  size_t at = 0;
  uint64_t value;
  while (mc_map_next(&c->vehicle, &at, NULL, &value)) {
    vehicle_state *v = (vehicle_state *)(uintptr_t)value;
    campaign_vehicle_forget(v);
    mc_vec_free(&v->reported);
    mc_vec_free(&v->unknown);
    mc_vec_free(&v->error);
    mc_vec_free(&v->use);
    free(v->trouble);
    free(v);
  }
  mc_map_free(&c->vehicle);
  mc_vec_free(&c->unsaved);
}

mc_err campaign_vehicle_dirty(mc_campaigns *c, vehicle_state *v)
{
  if (!v->dirty)
    MC_TRY(mc_vec_push(&c->unsaved, v));
  v->dirty = true;
  return MC_OK;
}

agent_kind campaign_vehicle_agent(const vehicle_state *v)
{
  return v ? (agent_kind){.ours = v->ours, .version = v->ours ? 0 : v->agent_version} : (agent_kind){0};
}

static mc_err read_version(mc_campaigns *c, vehicle_state *v, mc_arena *arena)
{
  mc_attribute *list;
  size_t n;
  v->agent_version = 0;
  mc_err err = mc_registry_vehicle_attributes(c->config.registry, v->tenant, v->vehicle, arena, &list, &n, NULL);
  for (size_t i = 0; !err && i < n; i++)
    if (mc_slice_eq_str(list[i].name, "agentVersion"))
      v->agent_version = agent_version_of(list[i].value);
  return err == MC_ERR_NOT_FOUND ? MC_OK : err; /* the vehicle is gone */
}

mc_err campaign_vehicle_facts(mc_campaigns *c, vehicle_state *v)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  template_association *list;
  size_t n;
  if (v->use_known)
    return MC_OK;
  MC_TRY(association_list(c, v->tenant, v->vehicle, &arena, &list, &n, NULL));
  mc_vec_clear(&v->use);
  for (size_t i = 0; i < n; i++) {
    template_use use = {.period_ms = list[i].period_ms};
    mc_slice_to_str(list[i].template, use.name, sizeof use.name);
    MC_TRY(mc_vec_push(&v->use, use));
  }
  MC_TRY(read_version(c, v, &arena));
  v->use_known = true;
  return MC_OK;
}

/* ---- ids ---- */

static int by_pointer(const void *a, const void *b)
{
  uintptr_t x = (uintptr_t)((const reported_id *)a)->id, y = (uintptr_t)((const reported_id *)b)->id;
  return x < y ? -1 : x > y;
}

bool campaign_vehicle_reports(const vehicle_state *v, const char *sync_id)
{
  size_t lo = 0, hi = v->reported.len;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if ((uintptr_t)v->reported.at[mid].id < (uintptr_t)sync_id)
      lo = mid + 1;
    else
      hi = mid;
  }
  if (lo < v->reported.len && v->reported.at[lo].id == sync_id)
    return true;
  for (size_t i = 0; i < v->unknown.len; i++) /* made only after it was reported */
    if (strcmp(v->unknown.at[i], sync_id) == 0)
      return true;
  return false;
}

static char *copy_text(mc_slice text)
{
  size_t n = text.len < TEXT_MAX ? text.len : TEXT_MAX;
  while (n && n < text.len && (text.data[n] & 0xC0) == 0x80)
    n--; /* not in the middle of a character */
  return strndup((const char *)text.data, n);
}

static mc_err keep_text(mc_slice text, char ***at, size_t *len, size_t *cap)
{
  MC_TRY(mc_vec_grow_((void **)at, cap, *len, 1, sizeof **at));
  char *copy = copy_text(text);
  if (!copy)
    return MC_ERR_MEMORY;
  (*at)[(*len)++] = copy;
  return MC_OK;
}

static bool is_kept(const vehicle_state *v, mc_slice id)
{
  for (size_t i = 0; i < v->unknown.len; i++)
    if (mc_slice_eq_str(id, v->unknown.at[i]))
      return true;
  return false;
}

mc_err campaign_vehicle_reported(mc_campaigns *c, vehicle_state *v, const mc_slice *id, uint32_t count)
{
  uint32_t read = count < IDS_READ ? count : IDS_READ;
  for (uint32_t i = 0; i < read; i++) {
    reported_id found = campaign_id_find(c, v->tenant, id[i]);
    if (found.id) {
      MC_TRY(mc_vec_push(&v->reported, found));
    } else {
      v->unknown_count++;
      if (v->unknown.len < UNKNOWN_KEPT && !is_kept(v, id[i]))
        MC_TRY(keep_text(id[i], &v->unknown.at, &v->unknown.len, &v->unknown.cap));
    }
  }
  v->dropped = count - read;
  if (v->reported.len > 1)
    qsort(v->reported.at, v->reported.len, sizeof *v->reported.at, by_pointer);
  size_t kept = 0;
  for (size_t i = 0; i < v->reported.len; i++)
    if (i == 0 || v->reported.at[i].id != v->reported.at[i - 1].id)
      v->reported.at[kept++] = v->reported.at[i];
  v->reported.len = kept;
  return MC_OK;
}

mc_err campaign_vehicle_errors(vehicle_state *v, const mc_slice *text, uint32_t count)
{
  for (uint32_t i = 0; i < count && i < ERRORS_KEPT; i++)
    MC_TRY(keep_text(text[i], &v->error.at, &v->error.len, &v->error.cap));
  return MC_OK;
}

void campaign_trouble(mc_campaigns *c, uint32_t tenant, uint32_t vehicle, vehicle_trouble what, uint64_t count)
{
  if (!count)
    return;
  pthread_mutex_lock(&c->lock);
  vehicle_state *v = campaign_vehicle_state(c, tenant, vehicle, true);
  if (v && !v->trouble)
    v->trouble = calloc(TROUBLE_COUNT, sizeof *v->trouble);
  if (v && v->trouble) {
    v->trouble[what].count += count;
    v->trouble[what].last_us = mc_clock_wall_us();
  }
  pthread_mutex_unlock(&c->lock);
}

/* ---- rows ---- */

/* What a row of campaign_checkin says. */
typedef struct checkin_row {
  vehicle_state *state;
  char name[129], prefix[64], progress[300];
  bool ours;
  int64_t checkin_us;
  mc_buf ids, errors;
} checkin_row;

static mc_err ids_json(const vehicle_state *v, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_array(&j);
  for (size_t i = 0; i < v->reported.len; i++)
    mc_json_str(&j, v->reported.at[i].id);
  for (size_t i = 0; i < v->unknown.len; i++)
    mc_json_str(&j, v->unknown.at[i]);
  mc_json_array_end(&j);
  return mc_json_end(&j);
}

static mc_err errors_json(const vehicle_state *v, mc_buf *out)
{
  mc_json j = mc_json_to(out);
  mc_json_array(&j);
  for (size_t i = 0; i < v->error.len; i++)
    mc_json_str(&j, v->error.at[i]);
  mc_json_array_end(&j);
  return mc_json_end(&j);
}

/* "1", the clock's skew, ids dropped, then hash, check-ins, tries, time and failure of manifest, schemes and templates: README. */
static void progress_text(const vehicle_state *v, char *out, size_t size)
{
  const shipment *m = &v->manifest, *s = &v->schemes;
  const shipment *t = &v->templates;
  snprintf(out, size, "1 %lld %u %016llx %u %u %lld %d %016llx %u %u %lld %d %016llx %u %u %lld %d", (long long)v->skew_ms, v->dropped, (unsigned long long)m->hash, m->checkins,
           m->tries, (long long)m->sent_us, m->failed, (unsigned long long)s->hash, s->checkins, s->tries, (long long)s->sent_us, s->failed, (unsigned long long)t->hash,
           t->checkins, t->tries, (long long)t->sent_us, t->failed);
}

static int64_t next_number(char **at, int base)
{
  char *end;
  unsigned long long v = base == 16 ? strtoull(*at, &end, 16) : (unsigned long long)strtoll(*at, &end, 10);
  *at = end;
  return (int64_t)v;
}

/* A time that no clock shows counts as none: rows are not believed. */
static int64_t sane(int64_t us) { return us < 0 || us > LAST_US ? 0 : us; }

static uint32_t next_count(char **at)
{
  int64_t v = next_number(at, 10);
  return v < 0 || v > UINT32_MAX ? 0 : (uint32_t)v;
}

static void read_delivery(char **at, shipment *d)
{
  d->hash = (uint64_t)next_number(at, 16);
  d->checkins = next_count(at);
  d->tries = next_count(at);
  d->sent_us = sane(next_number(at, 10));
  d->failed = next_number(at, 10) != 0;
}

/* One that cannot be read counts as nothing sent. */
static void read_progress(vehicle_state *v, mc_slice text)
{
  char line[300], *at = line;
  mc_slice_to_str(text, line, sizeof line);
  if (next_number(&at, 10) != 1)
    return;
  v->skew_ms = next_number(&at, 10);
  if (v->skew_ms > LAST_US / 1000 || v->skew_ms < -LAST_US / 1000)
    v->skew_ms = 0;
  v->dropped = next_count(&at);
  read_delivery(&at, &v->manifest);
  read_delivery(&at, &v->schemes);
  read_delivery(&at, &v->templates); /* absent in rows of earlier versions: nothing sent */
}

static mc_err copy_row(vehicle_state *v, checkin_row *out)
{
  *out = (checkin_row){.state = v, .ours = v->ours, .checkin_us = v->checkin_us};
  memcpy(out->name, v->name, sizeof out->name);
  memcpy(out->prefix, v->prefix, sizeof out->prefix);
  progress_text(v, out->progress, sizeof out->progress);
  MC_TRY(ids_json(v, &out->ids));
  return errors_json(v, &out->errors);
}

static mc_err write_row(mc_campaigns *c, const checkin_row *r, mc_why *why)
{
  return mc_db_run(c->config.db, why,
                   "INSERT INTO campaign_checkin(tenant, vehicle, name, prefix, ours, time_us, sync_ids, errors, progress) VALUES "
                   "($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT(tenant, vehicle) DO UPDATE SET name = excluded.name, "
                   "prefix = excluded.prefix, ours = excluded.ours, time_us = excluded.time_us, sync_ids = excluded.sync_ids, errors = "
                   "excluded.errors, progress = excluded.progress",
                   "iittiittt", (int64_t)r->state->tenant, (int64_t)r->state->vehicle, mc_slice_str(r->name), mc_slice_str(r->prefix),
                   (int64_t)r->ours, r->checkin_us, mc_buf_slice(&r->ids), mc_buf_slice(&r->errors), mc_slice_str(r->progress));
}

static mc_err write_rows(mc_campaigns *c, const checkin_row *row, size_t count, mc_why *why)
{
  MC_TRY(mc_db_begin(c->config.db, true, why));
  mc_err err = MC_OK;
  for (size_t i = 0; i < count && !err; i++)
    err = write_row(c, &row[i], why);
  mc_err end = mc_db_end(c->config.db, err == MC_OK, err ? NULL : why);
  return err ? err : end;
}

/* With the lock held: what of the unsaved fits. They count as saved from here on, so that a check-in meanwhile is noticed. */
static mc_err take_rows(mc_campaigns *c, checkin_row *row, size_t most, size_t *count)
{
  mc_err err = MC_OK;
  for (*count = 0; *count < most && c->unsaved.len && !err; (*count)++) {
    vehicle_state *v = c->unsaved.at[--c->unsaved.len];
    v->dirty = false;
    err = copy_row(v, &row[*count]);
  }
  return err;
}

static void give_back(mc_campaigns *c, const checkin_row *row, size_t count)
{
  pthread_mutex_lock(&c->lock);
  for (size_t i = 0; i < count; i++)
    if (!row[i].state->dirty)
      row[i].state->dirty = mc_vec_push(&c->unsaved, row[i].state) == MC_OK;
  pthread_mutex_unlock(&c->lock);
}

/* The decoder waits for the lock, so it is held only while a few are copied, and never while the database writes. */
mc_err campaign_checkins_save(mc_campaigns *c, mc_why *why)
{
  enum { PIECE = 64 };
  mc_err err = MC_OK;
  checkin_row *row = calloc(PIECE, sizeof *row);
  if (!row)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory to save check-ins");
  for (size_t count = PIECE; count && !err;) {
    pthread_mutex_lock(&c->lock);
    err = take_rows(c, row, PIECE, &count);
    pthread_mutex_unlock(&c->lock);
    if (err)
      mc_err_set(why, err, "no memory to save check-ins");
    if (!err && count)
      err = write_rows(c, row, count, why);
    if (err)
      give_back(c, row, count);
    for (size_t i = 0; i < count; i++) {
      mc_buf_free(&row[i].ids);
      mc_buf_free(&row[i].errors);
    }
  }
  free(row);
  return err;
}

static mc_err load_texts(mc_slice json, mc_arena *arena, mc_slice **out, uint32_t *count)
{
  json_t *root = json_loadb((const char *)json.data, json.len, 0, NULL), *item;
  size_t i, n = json_array_size(root);
  mc_err err = MC_OK;
  *count = 0;
  *out = mc_arena_array(arena, n, sizeof **out);
  if (!*out)
    err = MC_ERR_MEMORY;
  json_array_foreach (root, i, item) {
    if (!err && json_is_string(item))
      err = mc_arena_copy(arena, mc_slice_str(json_string_value(item)), &(*out)[(*count)++]);
  }
  json_decref(root);
  return err;
}

static mc_err load_row(mc_campaigns *c, mc_stmt *s, mc_arena *arena)
{
  vehicle_state *v = campaign_vehicle_state(c, (uint32_t)mc_stmt_int(s, 0), (uint32_t)mc_stmt_int(s, 1), true);
  mc_slice *text;
  uint32_t count;
  if (!v)
    return MC_ERR_MEMORY;
  mc_slice_to_str(mc_stmt_text(s, 2), v->name, sizeof v->name);
  mc_slice_to_str(mc_stmt_text(s, 3), v->prefix, sizeof v->prefix);
  v->ours = mc_stmt_int(s, 4) != 0;
  v->checkin_us = sane(mc_stmt_int(s, 5));
  MC_TRY(load_texts(mc_stmt_text(s, 6), arena, &text, &count));
  MC_TRY(campaign_vehicle_reported(c, v, text, count));
  MC_TRY(load_texts(mc_stmt_text(s, 7), arena, &text, &count));
  MC_TRY(campaign_vehicle_errors(v, text, count));
  read_progress(v, mc_stmt_text(s, 8));
  return MC_OK;
}

mc_err campaign_checkins_load(mc_campaigns *c, mc_why *why)
{
  mc_stmt *s;
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db,
                             "SELECT tenant, vehicle, name, prefix, ours, time_us, sync_ids, errors, progress FROM campaign_checkin", &s, why);
  if (!err) {
    while (!(err = mc_stmt_step(s, why))) {
      mc_arena_reset(&arena);
      if ((err = load_row(c, s, &arena))) {
        mc_err_set(why, err, "check-ins: %s", mc_err_text(err));
        break;
      }
    }
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}
