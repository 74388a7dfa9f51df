#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "journal/inside.h"

void mc_segment_name(const char *dir, const char *name, char *out, size_t size)
{
  snprintf(out, size, "%s/%s", dir, name);
}

void mc_segment_path(const char *dir, uint64_t first, char *out, size_t size)
{
  snprintf(out, size, "%s/%016llx.mcj", dir, (unsigned long long)first);
}

bool mc_segment_parse_name(const char *name, const char *ending, uint64_t *first)
{
  *first = 0;
  if (strlen(name) != 16 + strlen(ending) || strcmp(name + 16, ending) != 0)
    return false;
  for (int i = 0; i < 16; i++) {
    const char *digit = name[i] ? strchr("0123456789abcdef", name[i]) : NULL;
    if (!digit)
      return false;
    *first = *first << 4 | (uint64_t)(digit - "0123456789abcdef");
  }
  return *first <= MC_OFFSET_MAX;
}

static mc_err visit_name(void *ctx, const char *name)
{
  uint64_t first;
  return mc_segment_parse_name(name, ".mcj", &first) ? mc_vec_push((mc_offsets *)ctx, first) : MC_OK;
}

mc_err mc_segment_list(const mc_fs *fs, const char *dir, mc_offsets *out, mc_why *why)
{
  mc_vec_clear(out); /* names list in byte order, which is the order of offsets */
  return mc_fs_list(fs, dir, visit_name, out, why);
}

mc_err mc_segment_read_header(mc_file *file, const char *path, mc_segment_header *out, mc_why *why)
{
  uint8_t bytes[MC_SEGMENT_HEADER];
  size_t got;
  MC_TRY(mc_file_pread(file, bytes, sizeof bytes, 0, &got, why));
  mc_err err = got < sizeof bytes ? MC_ERR_TRUNCATED : mc_segment_header_get(bytes, out);
  switch (err) {
  case MC_OK:
    return MC_OK;
  case MC_ERR_UNSUPPORTED:
    return mc_err_set(why, err, "%s: written by a later version of motorcade (format %u); use that version", path, bytes[0]);
  case MC_ERR_CHECKSUM:
    return mc_err_set(why, err, "%s: the segment header (bytes 0 to 63) is damaged", path);
  default:
    return mc_err_set(why, err, "%s: does not begin with a segment header", path);
  }
}

mc_err mc_segment_guess_size(mc_file *file, uint64_t *out, mc_why *why)
{
  MC_TRY(mc_file_size(file, out, why));
  *out &= ~(uint64_t)7;
  if (*out < MC_SEGMENT_MIN)
    *out = MC_SEGMENT_MIN;
  if (*out > MC_SEGMENT_MAX)
    *out = MC_SEGMENT_MAX;
  return MC_OK;
}

mc_err mc_journal_hold(const mc_fs *fs, const char *dir, mc_file **out, mc_why *why)
{
  enum { TRIES = 200, PAUSE_US = 10000 }; /* two seconds: retention holds it while it works, which is mostly a moment */
  char path[MC_JOURNAL_PATH];
  mc_segment_name(dir, MC_JOURNAL_HOLD, path, sizeof path);
  MC_TRY(mc_file_open(fs, path, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE, out, why));
  mc_err err = MC_ERR_CONFLICT;
  for (int i = 0; i < TRIES && err == MC_ERR_CONFLICT; i++) {
    if (i)
      usleep(PAUSE_US);
    err = mc_file_lock(*out, why);
  }
  if (err)
    mc_file_close(out);
  return err == MC_ERR_CONFLICT ? mc_err_set(why, err, "journal %s: a backup, a repair or a long compaction is at work; wait until it is done", dir) : err;
}

/* ---- making one ---- */

static mc_err zero_fill(mc_journal *j, mc_file *file, mc_err (*pace)(mc_journal *j, uint64_t done), mc_why *why)
{
  uint64_t size = j->segment_bytes;
  if (!pace)
    return mc_file_preallocate(file, size, why);
  mc_err err = mc_file_reserve(file, size, why);
  if (err == MC_ERR_UNSUPPORTED) /* then the zeros allocate */
    err = MC_OK;
  for (uint64_t at = 0; at < size && !err; at += MC_SEGMENT_PIECE) {
    uint64_t len = size - at < MC_SEGMENT_PIECE ? size - at : MC_SEGMENT_PIECE;
    err = pace(j, at);
    if (!err)
      err = mc_file_zero(file, at, len, why); /* piece by piece: a group's write waits behind no long one */
  }
  return err;
}

static mc_err put_header(mc_journal *j, mc_file *file, uint64_t first, mc_why *why)
{
  /* A recycled file may hold anything: the place of the first group is cleared with the header. */
  uint8_t bytes[MC_SEGMENT_HEADER + MC_GROUP_HEADER] = {0};
  mc_segment_header h = {.first = first, .size = j->segment_bytes, .created_us = mc_clock_wall_us()};
  memcpy(h.id, j->id, sizeof h.id);
  mc_segment_header_put(bytes, &h);
  MC_TRY(mc_file_pwrite(file, bytes, sizeof bytes, 0, why));
  return mc_file_sync(file, why);
}

static mc_err check_space(mc_journal *j, mc_why *why)
{
  uint64_t free_bytes;
  MC_TRY(mc_fs_free_bytes(j->fs, j->dir, &free_bytes, why));
  if (free_bytes >= j->segment_bytes + j->segment_bytes / 4)
    return MC_OK;
  return mc_err_set(why, MC_ERR_FULL, "journal %s: the disk has %llu KiB free and the next segment needs %llu KiB; free space, or let the journal keep less",
                    j->dir, (unsigned long long)(free_bytes >> 10), (unsigned long long)((j->segment_bytes + j->segment_bytes / 4) >> 10));
}

static mc_err fill_tmp(mc_journal *j, const char *tmp, mc_err (*pace)(mc_journal *j, uint64_t done), mc_file **file, mc_why *why)
{
  MC_TRY(check_space(j, why));
  MC_TRY(mc_file_open(j->fs, tmp, MC_FILE_READ | MC_FILE_WRITE | MC_FILE_CREATE | MC_FILE_TRUNCATE, file, why));
  return zero_fill(j, *file, pace, why);
}

mc_err mc_segment_create(mc_journal *j, uint64_t first, mc_err (*pace)(mc_journal *j, uint64_t done), mc_file **out, mc_why *why)
{
  char tmp[MC_JOURNAL_PATH], path[MC_JOURNAL_PATH];
  mc_file *file = NULL;
  mc_err err;
  *out = NULL;
  mc_segment_path(j->dir, first, path, sizeof path);
  mc_segment_name(j->dir, j->has_spare ? "spare.tmp" : "next.tmp", tmp, sizeof tmp);
  if (j->has_spare)
    err = mc_file_open(j->fs, tmp, MC_FILE_READ | MC_FILE_WRITE, &file, why);
  else
    err = fill_tmp(j, tmp, pace, &file, why);
  atomic_store(&j->recycles, j->has_spare);
  j->has_spare = false;
  if (!err)
    err = put_header(j, file, first, why);
  if (!err)
    err = mc_fs_rename(j->fs, tmp, path, why);
  if (!err)
    err = mc_fs_sync_dir(j->fs, j->dir, why);
  if (!err) {
    *out = file;
    return MC_OK;
  }
  mc_file_close(&file);
  mc_fs_unlink(j->fs, tmp, NULL); /* the space is worth more to others until it is tried again */
  return err;
}

/* ---- those kept ---- */

mc_err mc_segment_table_add(mc_journal *j, uint64_t first, uint64_t size)
{
  pthread_rwlock_wrlock(&j->table_lock);
  mc_err err = mc_vec_push(&j->table, ((mc_segment){.first = first, .size = size}));
  pthread_rwlock_unlock(&j->table_lock);
  return err;
}

mc_err mc_segment_gone(const mc_journal *j, uint64_t offset, mc_why *why)
{
  return mc_err_set(why, MC_ERR_NOT_FOUND, "journal %s: offset %llu is no longer kept; the oldest offset kept is %llu", j->dir,
                    (unsigned long long)offset, (unsigned long long)atomic_load(&j->first));
}

mc_err mc_journal_segment_start(mc_journal *j, uint64_t offset, uint64_t *start, mc_why *why)
{
  uint64_t size;
  return mc_segment_find(j, offset, start, &size, why);
}

mc_err mc_segment_find(mc_journal *j, uint64_t offset, uint64_t *first, uint64_t *size, mc_why *why)
{
  mc_err err = MC_ERR_NOT_FOUND;
  pthread_rwlock_rdlock(&j->table_lock);
  size_t low = 0, high = j->table.len;
  while (low < high) { /* the last segment that begins at or before offset */
    size_t middle = (low + high) / 2;
    if (j->table.at[middle].first <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  if (low && offset - j->table.at[low - 1].first < j->table.at[low - 1].size) {
    *first = j->table.at[low - 1].first;
    *size = j->table.at[low - 1].size;
    err = MC_OK;
  }
  pthread_rwlock_unlock(&j->table_lock);
  return err ? mc_segment_gone(j, offset, why) : MC_OK;
}
