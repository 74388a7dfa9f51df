/* Encoding of records, groups and segment headers (README, byte tables). Pure; any thread. Private to journal. */
#ifndef MC_JOURNAL_FORMAT_H
#define MC_JOURNAL_FORMAT_H

#include "journal/journal.h"

enum {
  MC_SEGMENT_HEADER = 64,
  MC_GROUP_HEADER = 56,
  MC_RECORD_HEADER = 40,
  MC_JOURNAL_ID = 16,
  MC_RECORD_MAX = 16 << 20, /* header and padding included */
  MC_SEGMENT_MIN = 16384
};
#define MC_SEGMENT_MAX ((uint64_t)1 << 40)
#define MC_OFFSET_MAX ((uint64_t)1 << 62)

typedef struct mc_segment_header {
  uint64_t first;
  uint8_t id[MC_JOURNAL_ID];
  uint64_t size;
  int64_t created_us;
} mc_segment_header;

typedef struct mc_group_header {
  bool seal;
  uint32_t count;
  uint64_t offset;
  uint8_t id[MC_JOURNAL_ID];
  int64_t time_us;
  uint32_t length;
  uint32_t payload_crc;
  uint32_t summary; /* MC_SUMMARY_*, or 0: written before groups told what they hold */
} mc_group_header;

/* What a group holds: bit 1 to 15 per stream, and these. */
#define MC_SUMMARY_RETAINED ((uint32_t)1 << 16) /* a record has MC_RECORD_RETAIN */
#define MC_SUMMARY_TOLD ((uint32_t)1 << 31)

static inline uint32_t mc_record_summary(const mc_record *r)
{
  return (uint32_t)1 << r->stream | (uint32_t)(r->flags & MC_RECORD_RETAIN) << 16;
}

/* May a group with that summary hold something of what is wanted (bits as above; 0: everything)? */
static inline bool mc_summary_may_hold(uint32_t summary, uint32_t wanted)
{
  return !wanted || !(summary & MC_SUMMARY_TOLD) || summary & wanted;
}

void mc_segment_header_put(uint8_t out[MC_SEGMENT_HEADER], const mc_segment_header *h);
/* MC_ERR_MALFORMED: no segment header; MC_ERR_UNSUPPORTED: a later version; MC_ERR_CHECKSUM: damaged. */
mc_err mc_segment_header_get(const uint8_t in[MC_SEGMENT_HEADER], mc_segment_header *h);

void mc_group_header_put(uint8_t out[MC_GROUP_HEADER], const mc_group_header *h);
/* As above; says nothing about offset and id, which only the reader can judge. */
mc_err mc_group_header_get(const uint8_t in[MC_GROUP_HEADER], mc_group_header *h);

/* Bytes of the encoded record. MC_ERR_TOO_LARGE, MC_ERR_INVALID (stream or partition). */
mc_err mc_record_size(const mc_record *r, uint32_t *out);
/* Writes exactly mc_record_size bytes. */
void mc_record_put(uint8_t *out, uint32_t size, const mc_record *r);
/* Total size out of a header; MC_ERR_MALFORMED when it is none, MC_ERR_TRUNCATED with fewer than 40 bytes. */
mc_err mc_record_peek(mc_slice in, uint32_t *size);
/* Decodes without looking at the checksum: for bytes that never left memory. */
mc_err mc_record_view(mc_slice in, mc_record *r, uint32_t *size);
/* Decodes and checks the record at the start of `in`; it borrows from `in`. Leaves offset alone. */
mc_err mc_record_get(mc_slice in, mc_record *r, uint32_t *size);

#endif
