#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "journal/inside.h"

/* Opening, closing, and what needs no file of its own. */

void mc_cond_init_monotonic(pthread_cond_t *cond)
{
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &attr);
  pthread_condattr_destroy(&attr);
}

bool mc_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t mono_us)
{
  struct timespec until;
  int64_t left_us = mono_us - mc_clock_mono_us();
  clock_gettime(CLOCK_MONOTONIC, &until);
  int64_t ns = until.tv_nsec + (left_us > 0 ? left_us % 1000000 : 0) * 1000;
  until.tv_sec += (left_us > 0 ? left_us / 1000000 : 0) + ns / 1000000000;
  until.tv_nsec = ns % 1000000000;
  return pthread_cond_timedwait(cond, lock, &until) == 0;
}

void mc_journal_ref(mc_journal *j)
{
  atomic_fetch_add_explicit(&j->refs, 1, memory_order_relaxed);
}

void mc_journal_unref(mc_journal *j)
{
  if (atomic_fetch_sub_explicit(&j->refs, 1, memory_order_acq_rel) != 1)
    return;
  while (j->pool) {
    mc_chunk *c = j->pool;
    j->pool = c->next;
    free(c);
  }
  mc_tail_free(j);
  mc_strmap_free(&j->consumers);
  mc_vec_free(&j->table);
  pthread_mutex_destroy(&j->commit_lock);
  pthread_cond_destroy(&j->commit_cond);
  pthread_mutex_destroy(&j->why_lock);
  pthread_mutex_destroy(&j->keeper_lock);
  pthread_cond_destroy(&j->keeper_cond);
  pthread_cond_destroy(&j->next_cond);
  pthread_rwlock_destroy(&j->table_lock);
  pthread_mutex_destroy(&j->writers_lock);
  pthread_mutex_destroy(&j->sync_lock);
  pthread_cond_destroy(&j->sync_cond);
  pthread_mutex_destroy(&j->pool_lock);
  pthread_mutex_destroy(&j->wait_lock);
  pthread_cond_destroy(&j->wait_cond);
  pthread_mutex_destroy(&j->consumer_lock);
  free(j->dir);
  free(j);
}

static void init_locks(mc_journal *j)
{
  pthread_mutex_init(&j->commit_lock, NULL);
  mc_cond_init_monotonic(&j->commit_cond);
  pthread_mutex_init(&j->why_lock, NULL);
  pthread_mutex_init(&j->keeper_lock, NULL);
  mc_cond_init_monotonic(&j->keeper_cond);
  pthread_cond_init(&j->next_cond, NULL);
  pthread_rwlock_init(&j->table_lock, NULL);
  pthread_mutex_init(&j->writers_lock, NULL);
  pthread_mutex_init(&j->sync_lock, NULL);
  pthread_cond_init(&j->sync_cond, NULL);
  pthread_mutex_init(&j->pool_lock, NULL);
  pthread_mutex_init(&j->wait_lock, NULL);
  mc_cond_init_monotonic(&j->wait_cond);
  pthread_mutex_init(&j->consumer_lock, NULL);
}

static void get_metrics(mc_journal *j)
{
  j->m_records = mc_metric_get(MC_METRIC_COUNTER, "motorcade_journal_records_total", "Records made durable.", NULL);
  j->m_bytes = mc_metric_get(MC_METRIC_COUNTER, "motorcade_journal_bytes_total", "Bytes of records made durable.", NULL);
  j->m_groups = mc_metric_get(MC_METRIC_COUNTER, "motorcade_journal_groups_total", "Groups written, one sync each.", NULL);
  j->m_direct = mc_metric_get(MC_METRIC_COUNTER, "motorcade_journal_direct_groups_total", "Groups written past the page cache, where the file system can.", NULL);
  j->m_erased = mc_metric_get(MC_METRIC_COUNTER, "motorcade_journal_erased_total", "Records passed over by readers because their key was destroyed.", NULL);
  j->m_failures = mc_metric_get(MC_METRIC_COUNTER, "motorcade_journal_failures_total", "Groups refused because a write failed.", NULL);
  j->m_retired = mc_metric_get(MC_METRIC_COUNTER, "motorcade_journal_segments_retired_total", "Segments that retention removed.", NULL);
  j->m_held = mc_metric_get(MC_METRIC_GAUGE, "motorcade_journal_held_bytes", "Due to be removed, kept because a consumer has not read it.", NULL);
  j->m_compactions = mc_metric_get(MC_METRIC_COUNTER, "motorcade_journal_compactions_total", "Compacted files made.", NULL);
  j->m_compacted = mc_metric_get(MC_METRIC_GAUGE, "motorcade_journal_compacted_bytes", "Size of the compacted file.", NULL);
  j->m_sync_cost = mc_metric_get(MC_METRIC_GAUGE, "motorcade_journal_sync_cost_us", "Learned: what a group costs on this disk apart from its bytes.", NULL);
  j->m_throughput = mc_metric_get(MC_METRIC_GAUGE, "motorcade_journal_disk_bytes_per_second", "Learned: how fast this disk takes groups.", NULL);
  j->m_wait = mc_metric_get(MC_METRIC_GAUGE, "motorcade_journal_group_wait_us", "How long a group gathers at the present load.", NULL);
  j->m_budget = mc_metric_get(MC_METRIC_GAUGE, "motorcade_journal_group_limit_bytes", "Largest group on this disk at present.", NULL);
  j->m_uring = mc_metric_get(MC_METRIC_GAUGE, "motorcade_journal_uring", "1 while groups are written by io_uring.", NULL);
  j->m_gather = mc_metric_get(MC_METRIC_HISTOGRAM, "motorcade_journal_gather_seconds", "From the first record that a writer staged for a group to the group's beginning.", NULL);
  j->m_switch = mc_metric_get(MC_METRIC_HISTOGRAM, "motorcade_journal_switch_seconds", "Time to seal a segment and enter the next one, waiting for it too.", NULL);
  j->m_sync = mc_metric_get(MC_METRIC_HISTOGRAM, "motorcade_journal_sync_seconds", "Time to write and sync a group.", NULL);
  j->m_tell = mc_metric_get(MC_METRIC_HISTOGRAM, "motorcade_journal_tell_seconds", "From a group's sync until its writer's loop acts on it.", NULL);
}

static mc_err check_config(const mc_journal_config *c, mc_why *why)
{
  if (!c->fs || !c->dir || !*c->dir)
    return mc_err_set(why, MC_ERR_INVALID, "journal: a file system and a folder must be given");
  if (strlen(c->dir) > MC_JOURNAL_PATH - 64)
    return mc_err_set(why, MC_ERR_TOO_LARGE, "journal: the folder's name has %zu bytes, at most %d are taken", strlen(c->dir), MC_JOURNAL_PATH - 64);
  if (c->segment_bytes && (c->segment_bytes < MC_SEGMENT_MIN || c->segment_bytes > MC_SEGMENT_MAX || c->segment_bytes % 8))
    return mc_err_set(why, MC_ERR_INVALID, "journal: segment size %llu must be a multiple of 8 from %d to %llu bytes",
                      (unsigned long long)c->segment_bytes, MC_SEGMENT_MIN, (unsigned long long)MC_SEGMENT_MAX);
  if (c->io > MC_JOURNAL_IO_URING)
    return mc_err_set(why, MC_ERR_INVALID, "journal: there is no way %d to write groups", (int)c->io);
  return MC_OK;
}

static mc_err take_lock(mc_journal *j, mc_why *why)
{
  char path[MC_JOURNAL_PATH];
  MC_TRY(mc_fs_mkdirs(j->fs, j->dir, why));
  mc_segment_name(j->dir, "lock", path, sizeof path);
  MC_TRY(mc_file_open(j->fs, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, &j->lock_file, why));
  return mc_file_lock(j->lock_file, why);
}

static mc_err start(mc_journal *j, mc_why *why)
{
  MC_TRY(mc_journal_writer_create(j, NULL, NULL, NULL, &j->sync_writer)
             ? mc_err_set(why, MC_ERR_MEMORY, "journal %s: out of memory", j->dir)
             : MC_OK);
  j->committer_runs = pthread_create(&j->committer, NULL, mc_committer_run, j) == 0;
  j->keeper_runs = j->committer_runs && pthread_create(&j->keeper, NULL, mc_keeper_run, j) == 0;
  return j->keeper_runs ? MC_OK : mc_err_set(why, MC_ERR_MEMORY, "journal %s: cannot start its threads", j->dir);
}

static void set_pace(mc_journal *j, const mc_journal_config *config)
{
  uint64_t room = mc_segment_room(j->segment_bytes);
  size_t staged = config->max_staged_bytes ? config->max_staged_bytes : 16 << 20;
  size_t fast = room < MC_GROUP_BYTES ? (size_t)room : MC_GROUP_BYTES;
  size_t slow = room / 2 < MC_GROUP_BYTES_SLOW ? (size_t)room / 2 : MC_GROUP_BYTES_SLOW;
  mc_pace_init(&j->pace, &(mc_pace_bounds){.wait_us = config->group_wait_us ? config->group_wait_us : 1000,
                                           .group_bytes = j->group_bytes,
                                           .budget_min = fast,
                                           .budget_max = slow > fast ? slow : fast,
                                           .staged_min = staged,
                                           .staged_max = 2 * staged});
  atomic_init(&j->staged_limit, staged);
}

mc_err mc_journal_open(const mc_journal_config *config, mc_journal **out, mc_why *why)
{
  *out = NULL;
  MC_TRY(check_config(config, why));
  mc_journal *j = calloc(1, sizeof *j);
  char *dir = strdup(config->dir);
  if (!j || !dir) {
    free(j);
    free(dir);
    return mc_err_set(why, MC_ERR_MEMORY, "journal %s: out of memory", config->dir);
  }
  j->fs = config->fs;
  j->dir = dir;
  j->segment_bytes = config->segment_bytes ? config->segment_bytes : 64 << 20;
  j->keep = config->keep;
  j->wall_at_open_us = mc_clock_wall_us();
  j->mono_at_open_us = mc_clock_mono_us();
  j->group_bytes = config->group_bytes ? config->group_bytes : 256 << 10;
  j->patient_wait_us = config->patient_wait_us;
  j->patient_streams = config->patient_wait_us ? config->patient_streams : 0;
  if (config->cipher)
    j->cipher = *config->cipher;
  set_pace(j, config);
  j->durable_low = UINT64_MAX;
  atomic_init(&j->refs, 1);
  atomic_init(&j->state, MC_COMMITTER_BUSY);
  atomic_init(&j->urgent, false);
  init_locks(j);
  mc_journal_cache_init(j);
  mc_tail_init(j);
  get_metrics(j);
  mc_err err = take_lock(j, why);
  if (!err)
    err = mc_journal_recover(j, config->journal_id, why);
  if (!err)
    err = mc_journal_compacted_recover(j, why);
  if (!err)
    err = mc_consumers_load(j, why);
  if (!err)
    mc_journal_ring_open(j, config->io);
  if (!err)
    err = start(j, why);
  if (err)
    mc_journal_close(&j);
  *out = j;
  return err;
}

static void stop_threads(mc_journal *j)
{
  pthread_mutex_lock(&j->commit_lock);
  j->stopping = true;
  pthread_cond_signal(&j->commit_cond);
  pthread_mutex_unlock(&j->commit_lock);
  if (j->committer_runs)
    pthread_join(j->committer, NULL);
  pthread_mutex_lock(&j->keeper_lock);
  j->keeper_stop = true;
  pthread_cond_signal(&j->keeper_cond);
  pthread_mutex_unlock(&j->keeper_lock);
  if (j->keeper_runs)
    pthread_join(j->keeper, NULL);
}

static void drop_writers(mc_journal *j)
{
  mc_journal_writer_destroy(&j->sync_writer);
  pthread_mutex_lock(&j->writers_lock);
  mc_journal_writer *w = j->writers;
  j->writers = NULL;
  pthread_mutex_unlock(&j->writers_lock);
  while (w) {
    mc_journal_writer *next = w->next;
    mc_writer_unref(w);
    w = next;
  }
}

void mc_journal_close(mc_journal **journal)
{
  mc_journal *j = *journal;
  if (!j)
    return;
  *journal = NULL;
  atomic_store(&j->closed, true);
  stop_threads(j);
  pthread_mutex_lock(&j->wait_lock);
  pthread_cond_broadcast(&j->wait_cond);
  pthread_mutex_unlock(&j->wait_lock);
  mc_why why;
  if (j->keeper_runs && mc_consumers_flush(j, &why))
    mc_log(MC_LOG_WARN, "journal", "consumers' offsets could not be written; some records will be read again", MC_KZ("error", why.text));
  drop_writers(j);
  mc_file_ring_destroy(&j->ring);
  mc_file_close(&j->file);
  mc_file_close(&j->next_file);
  mc_file_close(&j->cache_file);
  pthread_rwlock_wrlock(&j->table_lock);
  for (size_t i = 0; i < j->table.len; i++)
    mc_file_close(&j->table.at[i].read);
  j->table.len = 0;
  pthread_rwlock_unlock(&j->table_lock);
  mc_file_close(&j->lock_file);
  mc_journal_unref(j);
}

uint64_t mc_journal_first_offset(const mc_journal *j)
{
  return atomic_load(&j->first);
}

uint64_t mc_journal_end_offset(const mc_journal *j)
{
  return atomic_load(&j->end);
}

void mc_journal_state_get(mc_journal *j, mc_journal_state *out)
{
  *out = (mc_journal_state){.first_offset = atomic_load(&j->first),
                            .end_offset = atomic_load(&j->end),
                            .compacted_records = atomic_load(&j->compacted_records),
                            .compacted_bytes = atomic_load(&j->compacted_size),
                            .held_bytes = atomic_load(&j->held_bytes),
                            .recycles = atomic_load(&j->recycles)};
  pthread_mutex_lock(&j->consumer_lock);
  memcpy(out->held_by, j->held_by, sizeof out->held_by);
  pthread_mutex_unlock(&j->consumer_lock);
  out->uring = atomic_load(&j->uring);
  pthread_mutex_lock(&j->why_lock);
  if (j->ring_why.err)
    memcpy(out->uring_refused, j->ring_why.text, sizeof out->uring_refused);
  pthread_mutex_unlock(&j->why_lock);
}

mc_err mc_journal_room(const mc_journal *j, uint64_t *free_bytes) { return mc_fs_free_bytes(j->fs, j->dir, free_bytes, NULL); }

mc_err mc_journal_wait(mc_journal *j, uint64_t offset, int timeout_ms)
{
  int64_t until_us = timeout_ms < 0 ? INT64_MAX : mc_clock_mono_us() + (int64_t)timeout_ms * 1000;
  mc_err err = MC_OK;
  if (atomic_load(&j->end) > offset)
    return MC_OK;
  atomic_fetch_add(&j->waiters, 1); /* before the look below: the committer moves end, then looks for waiters */
  pthread_mutex_lock(&j->wait_lock);
  while (!err && atomic_load(&j->end) <= offset) {
    if (atomic_load(&j->closed))
      err = MC_ERR_CLOSED;
    else if (timeout_ms < 0)
      pthread_cond_wait(&j->wait_cond, &j->wait_lock);
    else if (!mc_cond_wait_until(&j->wait_cond, &j->wait_lock, until_us) && atomic_load(&j->end) <= offset)
      err = MC_ERR_TIMEOUT;
  }
  pthread_mutex_unlock(&j->wait_lock);
  atomic_fetch_sub(&j->waiters, 1);
  return err;
}

uint8_t mc_journal_partition_of(mc_slice thing_or_client)
{
  return (uint8_t)(mc_slice_fnv1a(thing_or_client) % MC_JOURNAL_PARTITIONS);
}
