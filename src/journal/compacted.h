/* The compacted file: what retention keeps of segments it removed (README, `*.mck`). Private to journal. */
#ifndef MC_JOURNAL_COMPACTED_H
#define MC_JOURNAL_COMPACTED_H

#include "journal/inside.h"

enum { MC_COMPACTED_HEADER = 64, MC_ENTRY_HEAD = 16 };

typedef struct mc_compacted_header {
  uint64_t cover; /* no record at or behind it is in the file */
  uint8_t id[MC_JOURNAL_ID];
  uint64_t bytes, records; /* of the body */
  int64_t made_us;
} mc_compacted_header;

void mc_compacted_header_put(uint8_t out[MC_COMPACTED_HEADER], const mc_compacted_header *h);
/* MC_ERR_MALFORMED, MC_ERR_CHECKSUM, MC_ERR_UNSUPPORTED as mc_segment_header_get. */
mc_err mc_compacted_header_get(const uint8_t in[MC_COMPACTED_HEADER], mc_compacted_header *h);
void mc_entry_head_put(uint8_t out[MC_ENTRY_HEAD], uint64_t offset);
/* The entry at the start of `in`: head and record, checked; the record borrows. MC_ERR_TRUNCATED with *size: so many bytes are needed. */
mc_err mc_entry_get(mc_slice in, mc_record *r, uint32_t *size);

/* An open compacted file. */
struct mc_compacted {
  mc_compacted_header h;
  mc_window window; /* positions in the file, not offsets */
  uint64_t at;      /* position of the next entry */
  uint64_t last;    /* offset of the entry before */
  bool header_damaged;
  char path[MC_JOURNAL_PATH];
};

void mc_compacted_path(const char *dir, uint64_t cover, char *out, size_t size);
/* The newest of a folder; *out stays NULL when there is none. */
mc_err mc_compacted_open(const mc_fs *fs, const char *dir, mc_compacted **out, mc_why *why);
/* As above, with a damaged header made up from the file's name and size. */
mc_err mc_compacted_open_damaged(const mc_fs *fs, const char *dir, const uint8_t id[MC_JOURNAL_ID], mc_compacted **out, mc_why *why);
void mc_compacted_close(mc_compacted **c);
/* MC_ERR_END behind the last; MC_ERR_CHECKSUM: damaged, the next call goes on behind it. */
mc_err mc_compacted_next(mc_compacted *c, mc_record *out, mc_why *why);
/* The record that came last, of so many bytes, comes again. */
void mc_compacted_again(mc_compacted *c, const mc_record *last, uint32_t size);

#endif
