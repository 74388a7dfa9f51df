#include "journal/inside.h"

/* Where a reader can begin at or below an offset that somebody kept and that may never have been handed out. */

mc_err mc_journal_boundary(mc_journal *j, uint64_t offset, uint64_t *at, mc_why *why)
{
  mc_journal_reader *r;
  mc_record rec;
  uint64_t start, end = atomic_load(&j->end);
  *at = end;
  if (offset >= end)
    return MC_OK;
  MC_TRY(mc_journal_segment_start(j, offset, &start, why));
  MC_TRY(mc_journal_reader_create(j, start, (mc_journal_filter){.streams = 0xFFFE}, &r, why));
  mc_journal_reader_want(r, 0, UINT64_MAX); /* every record, and none is opened */
  *at = start;
  mc_err err = MC_OK;
  while (!err || err == MC_ERR_CHECKSUM) {
    err = mc_journal_reader_next(r, &rec, why);
    uint64_t here = err ? mc_journal_reader_offset(r) : rec.offset; /* behind damage a group begins, or the end is there */
    if (here > offset || (err && err != MC_ERR_CHECKSUM))
      break;
    *at = here;
  }
  mc_journal_reader_destroy(&r);
  return !err || err == MC_ERR_CHECKSUM || err == MC_ERR_END ? MC_OK : err;
}

mc_err mc_journal_reader_create_near(mc_journal *j, uint64_t offset, mc_journal_filter filter, mc_journal_reader **out, uint64_t *at, mc_why *why)
{
  *at = offset;
  mc_err err = mc_journal_reader_create(j, offset, filter, out, why);
  if (err != MC_ERR_INVALID)
    return err;
  MC_TRY(mc_journal_boundary(j, offset, at, why));
  return mc_journal_reader_create(j, *at, filter, out, why);
}
