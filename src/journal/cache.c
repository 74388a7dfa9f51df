#include "journal/inside.h"

/* What of the journal stays in the page cache (README, "Page cache"). Keeper's thread, but for the readers' places. */

enum { STEP = 4 << 20 };
static const uint64_t KEPT = 32 << 20, FOLLOWED = 1 << 30;

void mc_journal_cache_init(mc_journal *j)
{
  for (int i = 0; i < MC_READERS_FOLLOWED; i++)
    atomic_init(&j->reader_at[i], UINT64_MAX);
}

int mc_journal_follow(mc_journal *j, uint64_t at)
{
  for (int i = 0; i < MC_READERS_FOLLOWED; i++) {
    uint64_t nobody = UINT64_MAX;
    if (atomic_compare_exchange_strong(&j->reader_at[i], &nobody, at))
      return i;
  }
  return -1;
}

uint64_t mc_journal_followed(mc_journal *j, uint64_t end)
{
  uint64_t most = 0;
  for (int i = 0; i < MC_READERS_FOLLOWED; i++) {
    uint64_t at = atomic_load_explicit(&j->reader_at[i], memory_order_relaxed);
    if (at < end && end - at <= FOLLOWED && end - at > most)
      most = end - at;
  }
  return most;
}

/* Below this nothing is likely to be read again. */
static uint64_t boundary(mc_journal *j)
{
  uint64_t end = atomic_load(&j->end), kept = mc_journal_followed(j, end);
  if (kept < KEPT)
    kept = KEPT;
  return (end > kept ? end - kept : 0) & ~(uint64_t)(STEP - 1);
}

/* The segment that holds j->cache_low; false: there is none, or it cannot be opened. */
static bool enter(mc_journal *j, uint64_t *size)
{
  uint64_t first;
  if (mc_segment_find(j, j->cache_low, &first, size, NULL))
    return false;
  if (j->cache_file && j->cache_first == first)
    return true;
  char path[MC_JOURNAL_PATH];
  mc_file_close(&j->cache_file);
  mc_segment_path(j->dir, first, path, sizeof path);
  j->cache_first = first;
  return mc_file_open(j->fs, path, MC_FILE_READ, &j->cache_file, NULL) == MC_OK;
}

void mc_journal_cache_trim(mc_journal *j)
{
  uint64_t to = boundary(j), first = atomic_load(&j->first), size;
  if (j->cache_low < first)
    j->cache_low = first;
  while (j->cache_low < to) {
    if (!enter(j, &size)) {
      j->cache_low = to;
      break;
    }
    uint64_t seg_end = j->cache_first + size, upto = to < seg_end ? to : seg_end;
    mc_file_forget(j->cache_file, j->cache_low - j->cache_first, upto - j->cache_low);
    j->cache_low = upto;
  }
}
