#include "base/clock.h"
#include "base/log.h"
#include "journal/inside.h"

/* Which segments go, and when. Runs on the keeper's thread. What outlives its segment is compacted first (compact.c). */

enum { RETRY_US = 5000000 /* after a compaction that failed */, COMPACTED_SHARE = 4 /* see worth_it */ };

typedef struct due {
  size_t count;     /* oldest segments that may go now */
  uint64_t to;      /* the oldest offset kept then */
  uint64_t bytes;   /* of them */
  uint32_t summary; /* what they hold; 0: one of them does not say */
  uint64_t held;    /* bytes that bounds would remove and a consumer needs */
} due;

static int64_t now_us(const mc_journal *j)
{
  return j->wall_at_open_us + (mc_clock_mono_us() - j->mono_at_open_us);
}

static bool bounded(const mc_journal *j)
{
  return j->keep.bytes || j->keep.age_us;
}

/* ---- ages ---- */

static bool ageless(mc_journal *j, size_t i, uint64_t *first)
{
  pthread_rwlock_rdlock(&j->table_lock);
  bool yes = i + 1 < j->table.len && !j->table.at[i].last_us;
  *first = yes ? j->table.at[i + 1].first : 0;
  pthread_rwlock_unlock(&j->table_lock);
  return yes;
}

/* A segment of an earlier run: its last group is no younger than the first one behind it. */
static void find_age(mc_journal *j, size_t i)
{
  uint64_t next;
  if (!j->keep.age_us || !ageless(j, i, &next))
    return;
  char path[MC_JOURNAL_PATH];
  mc_group_header h = {.time_us = 0};
  mc_window w = {.first = next};
  mc_found found = MC_FOUND_NOTHING;
  mc_segment_path(j->dir, next, path, sizeof path);
  if (!mc_file_open(j->fs, path, MC_FILE_READ, &w.file, NULL))
    mc_scan_at(&w, next + MC_SEGMENT_HEADER, UINT64_MAX, j->id, false, &found, &h, NULL);
  mc_window_free(&w);
  int64_t last_us = found == MC_FOUND_GROUP && h.time_us > 0 ? h.time_us : j->wall_at_open_us; /* it does not say: its age begins now */
  pthread_rwlock_wrlock(&j->table_lock);
  j->table.at[i].last_us = last_us; /* only this thread takes segments off the table */
  pthread_rwlock_unlock(&j->table_lock);
}

/* ---- what is due ---- */

static bool over(const mc_journal *j, const mc_segment *s, uint64_t next, uint64_t end)
{
  if (end < next)
    return false;
  return (j->keep.bytes && end - next >= j->keep.bytes) || (j->keep.age_us && s->last_us && now_us(j) - s->last_us >= j->keep.age_us);
}

static uint64_t durable_low(mc_journal *j)
{
  pthread_mutex_lock(&j->consumer_lock);
  uint64_t low = j->durable_low;
  pthread_mutex_unlock(&j->consumer_lock);
  return low;
}

static due find_due(mc_journal *j)
{
  due d = {.summary = MC_SUMMARY_TOLD};
  uint64_t low = durable_low(j), end = atomic_load(&j->end);
  for (size_t i = 0;; i++) {
    find_age(j, i);
    pthread_rwlock_rdlock(&j->table_lock);
    bool more = i + 1 < j->table.len;
    mc_segment s = more ? j->table.at[i] : (mc_segment){0};
    uint64_t next = more ? j->table.at[i + 1].first : 0;
    pthread_rwlock_unlock(&j->table_lock);
    if (!more || !over(j, &s, next, end))
      return d;
    if (next > low) {
      d.held += s.size;
      continue;
    }
    d.count++;
    d.to = next;
    d.bytes += s.size;
    d.summary = s.summary && d.summary ? d.summary | s.summary : 0;
  }
}

/* The consumer that holds the oldest segments, for people. */
static void name_holder(mc_journal *j, uint64_t held, const char *other)
{
  atomic_store(&j->held_bytes, held);
  mc_metric_set(j->m_held, (int64_t)held);
  pthread_mutex_lock(&j->consumer_lock);
  uint64_t low = UINT64_MAX, offset;
  mc_slice name, lowest = {0};
  for (size_t at = 0; held && !other && mc_strmap_next(&j->consumers, &at, &name, &offset);)
    if (offset < low) {
      low = offset;
      lowest = name;
    }
  if (!other)
    other = "";
  if (!lowest.len || !mc_slice_to_str(lowest, j->held_by, sizeof j->held_by))
    mc_slice_to_str(mc_slice_str(other), j->held_by, sizeof j->held_by);
  pthread_mutex_unlock(&j->consumer_lock);
}

/* ---- giving up ---- */

static bool give_up_oldest(mc_journal *j, uint64_t to, uint64_t *first, uint64_t *size)
{
  mc_file *read = NULL;
  bool found = false;
  pthread_rwlock_wrlock(&j->table_lock);
  if (j->table.len > 1 && j->table.at[1].first <= to) {
    mc_segment *oldest = &j->table.at[0];
    found = true;
    *first = oldest->first;
    *size = oldest->size;
    read = oldest->read;
    atomic_store(&j->first, j->table.at[1].first); /* before the file is touched: readers look after they read */
    memmove(oldest, oldest + 1, (--j->table.len) * sizeof *oldest);
  }
  pthread_rwlock_unlock(&j->table_lock);
  mc_file_close(&read);
  return found;
}

static void remove_below(mc_journal *j, uint64_t to)
{
  uint64_t first, size;
  char path[MC_JOURNAL_PATH], spare[MC_JOURNAL_PATH];
  while (give_up_oldest(j, to, &first, &size)) {
    mc_segment_path(j->dir, first, path, sizeof path);
    mc_segment_name(j->dir, "spare.tmp", spare, sizeof spare);
    bool keep = !j->has_spare && size == j->segment_bytes;
    mc_why why;
    mc_err err = keep ? mc_fs_rename(j->fs, path, spare, &why) : mc_fs_unlink(j->fs, path, &why);
    if (!err)
      err = mc_fs_sync_dir(j->fs, j->dir, &why);
    if (err)
      mc_log(MC_LOG_WARN, "journal", "an old segment could not be removed; it is tried again at the next start", MC_KZ("error", why.text));
    else
      mc_log(MC_LOG_DEBUG, "journal", "segment retired", MC_KU("first", first));
    j->has_spare |= keep && !err;
    if (j->has_spare)
      atomic_store(&j->recycles, true);
    mc_metric_add(j->m_retired, 1);
  }
}

/* Each compaction writes the whole compacted file anew: it waits until what goes is worth a share of that. */
static bool worth_it(mc_journal *j, const due *d)
{
  return d->bytes >= j->compacted_bytes / COMPACTED_SHARE;
}

static mc_err compact_first(mc_journal *j, const due *d, mc_why *why)
{
  mc_err err = mc_journal_compact(j, d->to, why);
  if (err == MC_ERR_FULL && j->has_spare) { /* room is what retention is there to make */
    char spare[MC_JOURNAL_PATH];
    mc_segment_name(j->dir, "spare.tmp", spare, sizeof spare);
    j->has_spare = false;
    mc_fs_unlink(j->fs, spare, NULL);
    err = mc_journal_compact(j, d->to, why);
  }
  return err;
}

static mc_err retire(mc_journal *j, const due *d, mc_why *why)
{
  uint32_t kept = mc_journal_kept_summary(j);
  if (kept && mc_summary_may_hold(d->summary, kept)) {
    if (!worth_it(j, d))
      return MC_OK;
    MC_TRY(compact_first(j, d, why));
  }
  remove_below(j, d->to);
  return MC_OK;
}

/* A backup or repair of another process holds this lock, and segments stay where they are. */
static bool take_hold(mc_journal *j, mc_file **hold)
{
  char path[MC_JOURNAL_PATH];
  mc_segment_name(j->dir, MC_JOURNAL_HOLD, path, sizeof path);
  if (mc_file_open(j->fs, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, hold, NULL))
    return false;
  return mc_file_lock(*hold, NULL) == MC_OK;
}

void mc_journal_retain(mc_journal *j)
{
  if (!bounded(j) || j->retaining || mc_clock_mono_us() < j->retain_retry_us)
    return;
  due d = find_due(j);
  name_holder(j, d.held, NULL);
  if (!d.count)
    return;
  mc_file *hold = NULL;
  mc_why why = {0};
  if (!take_hold(j, &hold)) {
    name_holder(j, d.held + d.bytes, "a backup or repair");
    mc_file_close(&hold);
    return;
  }
  j->retaining = true;
  mc_err err = retire(j, &d, &why);
  j->retaining = false;
  mc_file_close(&hold);
  if (err && err != MC_ERR_CLOSED) {
    j->retain_retry_us = mc_clock_mono_us() + RETRY_US;
    name_holder(j, d.held + d.bytes, "a compaction that failed");
    if (!j->retain_failing)
      mc_log(MC_LOG_WARN, "journal", "old segments stay: what outlives them could not be compacted; it is tried again", MC_KZ("error", why.text));
  }
  j->retain_failing = err && err != MC_ERR_CLOSED;
}
