#include "journal/format.h"

#include "base/crc32c.h"

enum { VERSION = 1 };

static void put_magic(uint8_t *out, const char *magic)
{
  out[0] = VERSION;
  for (int i = 0; i < 3; i++)
    out[1 + i] = (uint8_t)magic[i];
}

void mc_segment_header_put(uint8_t out[MC_SEGMENT_HEADER], const mc_segment_header *h)
{
  memset(out, 0, MC_SEGMENT_HEADER);
  put_magic(out, "SEG");
  mc_store_le32(out + 4, MC_SEGMENT_HEADER);
  mc_store_le64(out + 8, h->first);
  memcpy(out + 16, h->id, MC_JOURNAL_ID);
  mc_store_le64(out + 32, h->size);
  mc_store_le64(out + 40, (uint64_t)h->created_us);
  mc_store_le32(out + 60, mc_crc32c(0, out, 60));
}

mc_err mc_segment_header_get(const uint8_t in[MC_SEGMENT_HEADER], mc_segment_header *h)
{
  if (memcmp(in + 1, "SEG", 3) != 0)
    return MC_ERR_MALFORMED;
  if (mc_crc32c(0, in, 60) != mc_load_le32(in + 60))
    return MC_ERR_CHECKSUM;
  if (in[0] != VERSION)
    return MC_ERR_UNSUPPORTED;
  h->first = mc_load_le64(in + 8);
  memcpy(h->id, in + 16, MC_JOURNAL_ID);
  h->size = mc_load_le64(in + 32);
  h->created_us = (int64_t)mc_load_le64(in + 40);
  return h->size >= MC_SEGMENT_MIN && h->size <= MC_SEGMENT_MAX && h->size % 8 == 0 && h->first <= MC_OFFSET_MAX ? MC_OK : MC_ERR_MALFORMED;
}

void mc_group_header_put(uint8_t out[MC_GROUP_HEADER], const mc_group_header *h)
{
  memset(out, 0, MC_GROUP_HEADER);
  put_magic(out, h->seal ? "END" : "GRP");
  mc_store_le32(out + 4, h->count);
  mc_store_le64(out + 8, h->offset);
  memcpy(out + 16, h->id, MC_JOURNAL_ID);
  mc_store_le64(out + 32, (uint64_t)h->time_us);
  mc_store_le32(out + 40, h->length);
  mc_store_le32(out + 44, h->payload_crc);
  mc_store_le32(out + 48, h->summary);
  mc_store_le32(out + 52, mc_crc32c(0, out, 52));
}

mc_err mc_group_header_get(const uint8_t in[MC_GROUP_HEADER], mc_group_header *h)
{
  bool seal = !memcmp(in + 1, "END", 3);
  if (!seal && memcmp(in + 1, "GRP", 3) != 0)
    return MC_ERR_MALFORMED;
  if (mc_crc32c(0, in, 52) != mc_load_le32(in + 52))
    return MC_ERR_CHECKSUM;
  if (in[0] != VERSION)
    return MC_ERR_UNSUPPORTED;
  h->seal = seal;
  h->count = mc_load_le32(in + 4);
  h->offset = mc_load_le64(in + 8);
  memcpy(h->id, in + 16, MC_JOURNAL_ID);
  h->time_us = (int64_t)mc_load_le64(in + 32);
  h->length = mc_load_le32(in + 40);
  h->payload_crc = mc_load_le32(in + 44);
  h->summary = mc_load_le32(in + 48);
  return seal ? (h->count || h->length ? MC_ERR_MALFORMED : MC_OK)
              : (!h->count || h->length % 8 || h->length / MC_RECORD_HEADER < h->count ? MC_ERR_MALFORMED : MC_OK);
}

static uint64_t padded(uint64_t size)
{
  return (size + 7) & ~(uint64_t)7;
}

mc_err mc_record_size(const mc_record *r, uint32_t *out)
{
  if (r->topic.len > 65535 || r->props.len > 65535 || r->payload.len > MC_RECORD_MAX)
    return MC_ERR_TOO_LARGE;
  uint64_t size = padded((uint64_t)MC_RECORD_HEADER + r->topic.len + r->props.len + r->payload.len);
  if (size > MC_RECORD_MAX)
    return MC_ERR_TOO_LARGE;
  if ((unsigned)r->stream < 1 || (unsigned)r->stream > 15 || r->partition >= MC_JOURNAL_PARTITIONS)
    return MC_ERR_INVALID;
  *out = (uint32_t)size;
  return MC_OK;
}

static uint8_t *put_slice(uint8_t *at, mc_slice s)
{
  if (s.len)
    memcpy(at, s.data, s.len);
  return at + s.len;
}

void mc_record_put(uint8_t *out, uint32_t size, const mc_record *r)
{
  mc_store_le64(out + size - 8, 0); /* the padding; what belongs there is written over it */
  out[0] = VERSION;
  out[1] = 'r';
  out[2] = (uint8_t)r->stream;
  out[3] = r->partition;
  out[4] = r->flags;
  out[5] = r->source;
  mc_store_le16(out + 6, (uint16_t)r->topic.len);
  mc_store_le32(out + 8, 0);
  mc_store_le32(out + 12, (uint32_t)r->payload.len);
  mc_store_le32(out + 16, r->tenant);
  mc_store_le32(out + 20, r->key_id);
  mc_store_le32(out + 24, r->principal);
  mc_store_le16(out + 28, (uint16_t)r->props.len);
  mc_store_le16(out + 30, 0);
  mc_store_le64(out + 32, (uint64_t)r->time_us);
  put_slice(put_slice(put_slice(out + MC_RECORD_HEADER, r->topic), r->props), r->payload);
  mc_store_le32(out + 8, mc_crc32c(0, out, size));
}

mc_err mc_record_peek(mc_slice in, uint32_t *size)
{
  if (in.len < MC_RECORD_HEADER)
    return MC_ERR_TRUNCATED;
  if (in.data[1] != 'r')
    return MC_ERR_MALFORMED;
  uint64_t total = padded((uint64_t)MC_RECORD_HEADER + mc_load_le16(in.data + 6) + mc_load_le16(in.data + 28) +
                          mc_load_le32(in.data + 12));
  if (total > MC_RECORD_MAX)
    return MC_ERR_MALFORMED;
  *size = (uint32_t)total;
  return MC_OK;
}

mc_err mc_record_view(mc_slice in, mc_record *r, uint32_t *size)
{
  MC_TRY(mc_record_peek(in, size));
  if (in.len < *size)
    return MC_ERR_TRUNCATED;
  const uint8_t *p = in.data;
  if (p[0] != VERSION)
    return MC_ERR_UNSUPPORTED;
  if (p[2] < 1 || p[2] > 15 || p[3] >= MC_JOURNAL_PARTITIONS)
    return MC_ERR_MALFORMED;
  r->version = p[0];
  r->stream = (mc_stream)p[2];
  r->partition = p[3];
  r->flags = p[4];
  r->source = p[5];
  r->tenant = mc_load_le32(p + 16);
  r->key_id = mc_load_le32(p + 20);
  r->principal = mc_load_le32(p + 24);
  r->time_us = (int64_t)mc_load_le64(p + 32);
  const uint8_t *at = p + MC_RECORD_HEADER;
  r->topic = mc_slice_of(at, mc_load_le16(p + 6));
  r->props = mc_slice_of(at + r->topic.len, mc_load_le16(p + 28));
  r->payload = mc_slice_of(at + r->topic.len + r->props.len, mc_load_le32(p + 12));
  return MC_OK;
}

mc_err mc_record_get(mc_slice in, mc_record *r, uint32_t *size)
{
  MC_TRY(mc_record_peek(in, size));
  if (in.len < *size)
    return MC_ERR_TRUNCATED;
  static const uint8_t zero[4];
  uint32_t crc = mc_crc32c(mc_crc32c(mc_crc32c(0, in.data, 8), zero, 4), in.data + 12, *size - 12);
  if (crc != mc_load_le32(in.data + 8))
    return MC_ERR_CHECKSUM;
  return mc_record_view(in, r, size);
}
