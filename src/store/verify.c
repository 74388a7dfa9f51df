/* Offline check: every block of every segment that the manifest names. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/state.h"

static mc_err check_segment(store_segment *s, mc_why *why)
{
  static _Thread_local store_row rows[BLOCK_ROWS];
  mc_buf text = {0}, scratch = {0};
  mc_err err = MC_OK;
  uint64_t total = 0;
  for (size_t i = 0; i < s->entries && !err; i++) {
    const segment_entry *e = &s->entry[i];
    mc_buf_clear(&text);
    err = segment_read(s, e, rows, &text, &scratch, why);
    if (!err && (rows[e->rows - 1].time_us != e->last_us || store_hour_of(e->first_us) != s->hour || store_hour_of(e->last_us) != s->hour))
      err = mc_err_set(why, MC_ERR_MALFORMED, "segment %s: block at byte %" PRIu64 ": times differ from its index", s->name, e->offset);
    total += e->rows;
  }
  if (!err && total != s->rows)
    err = mc_err_set(why, MC_ERR_MALFORMED, "segment %s: index counts %" PRIu64 " rows, footer %" PRIu64, s->name, total, s->rows);
  mc_buf_free(&text);
  mc_buf_free(&scratch);
  return err;
}

mc_err mc_store_verify(const mc_fs *fs, const char *dir, mc_store_stats *out, mc_why *why)
{
  mc_store s = {.config = {.fs = fs}, .dir = strdup(dir)};
  *out = (mc_store_stats){0};
  mc_err err = s.dir ? store_manifest_read(&s, why) : MC_ERR_MEMORY;
  for (size_t i = 0; i < s.segment.len && !err; i++) {
    err = check_segment(s.segment.at[i], why);
    out->segments++;
    out->rows_segments += s.segment.at[i]->rows;
    out->segment_bytes += s.segment.at[i]->bytes;
  }
  store_segments_free(&s.segment);
  free(s.dir);
  return err;
}
