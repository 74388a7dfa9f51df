/* Snappy raw blocks through libsnappy's C face. */
#include <snappy-c.h>

#include "format/fleetwise.h"

/* The densest element copies 64 bytes and takes 3: a block cannot grow more than 64/3 times. */
enum { EXPANSION_MAX = 22 };

mc_err mc_snappy_compress(mc_slice in, mc_buf *out)
{
  if (in.len > UINT32_MAX) /* the length before the block is a 32-bit varint */
    return MC_ERR_TOO_LARGE;
  size_t room = snappy_max_compressed_length(in.len);
  MC_TRY(mc_buf_reserve(out, room));
  if (snappy_compress(in.len ? (const char *)in.data : "", in.len, (char *)out->data + out->len, &room) != SNAPPY_OK)
    return MC_ERR_INVALID;
  out->len += room;
  return MC_OK;
}

mc_err mc_snappy_expand(mc_slice in, size_t limit, mc_buf *out)
{
  size_t stated;
  if (in.len == 0)
    return MC_ERR_TRUNCATED;
  if (snappy_uncompressed_length((const char *)in.data, in.len, &stated) != SNAPPY_OK)
    return MC_ERR_MALFORMED;
  if (stated > limit)
    return MC_ERR_TOO_LARGE;
  if (stated / EXPANSION_MAX > in.len)
    return MC_ERR_MALFORMED; /* so few bytes cannot hold it: no memory for a lie */
  MC_TRY(mc_buf_reserve(out, stated ? stated : 1));
  if (snappy_uncompress((const char *)in.data, in.len, (char *)out->data + out->len, &stated) != SNAPPY_OK)
    return MC_ERR_MALFORMED;
  out->len += stated;
  return MC_OK;
}
