/* CSV as spreadsheets write it (RFC 4180): records of fields, one record at a time from any slice.
 *
 *   name,make            fields are parted by commas - or semicolons or tabs, whichever the first line has most of
 *   car-1,"Ac""me, Inc"  quotes hold separators, line ends and, doubled, quotes
 *
 * Lines end with LF, CRLF or CR; empty ones are passed over; a byte order mark (EF BB BF) at the start is skipped. Bytes are not
 * looked at otherwise. Pure; a reader belongs to one thread at a time. */
#ifndef MC_FORMAT_CSV_H
#define MC_FORMAT_CSV_H

#include "base/err.h"
#include "base/slice.h"

typedef struct mc_csv_reader {
  mc_slice in;
  size_t at;
  uint8_t separator;
  uint32_t line, next_line; /* 1-based: where the record last read began; where the next one does */
  mc_buf text;              /* of quoted fields of the present record */
} mc_csv_reader;

mc_csv_reader mc_csv_reader_of(mc_slice text); /* borrows text */
void mc_csv_reader_free(mc_csv_reader *r);
/* The next record: its fields, which borrow until the next call. MC_ERR_END at the end. MC_ERR_TOO_LARGE: more than max fields; MC_ERR_MALFORMED:
 * something behind a closing quote, or a quote that nobody closes. After these two the reader stands behind the record, or at the end. */
mc_err mc_csv_next(mc_csv_reader *r, mc_slice *field, size_t max, size_t *count, mc_why *why);

#endif
