/* Session records, and those of groups, come from the journal; damage there must never reach further than an error. */
#include <stdlib.h>

#include "gateway/share_group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as_group(mc_slice bytes)
{
  mc_share_kind kind;
  mc_slice name, filter;
  mc_session_record list;
  mc_why why;
  uint64_t entry = 0;
  size_t at = 0;
  if (mc_share_record_read(bytes, &kind, &name, &filter, &list, &why) != MC_OK)
    return;
  if (kind < MC_SHARE_ACKED || kind >= MC_SHARE_KINDS || filter.data + filter.len > bytes.data + bytes.len)
    abort();
  while (mc_session_record_next_entry(&list, &at, &entry))
    if (at > list.list.len)
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  read_as_group(mc_slice_of(data, size));
  mc_session_record r;
  mc_why why;
  if (mc_session_record_read(mc_slice_of(data, size), &r, &why) != MC_OK)
    return 0;
  mc_session_filter f;
  uint64_t entry = 0;
  uint16_t id;
  size_t at = 0;
  if (r.kind == MC_SESSION_SUBSCRIBE || r.kind == MC_SESSION_UNSUBSCRIBE)
    while (mc_session_record_next_filter(&r, &at, &f))
      if (f.filter.len && f.filter.data + f.filter.len > data + size)
        abort();
  at = 0;
  if (r.kind == MC_SESSION_ACKED || r.kind == MC_SESSION_PAGE)
    while (mc_session_record_next_entry(&r, &at, &entry))
      if (at > r.list.len)
        abort();
  if (r.kind >= MC_SESSION_RELEASED && r.kind <= MC_SESSION_COMPLETE)
    while (mc_session_record_next_packet_id(&r, &at, &id) && (r.kind != MC_SESSION_ASSIGNED || mc_session_record_next_entry(&r, &at, &entry)))
      if (at > r.list.len)
        abort();
  return 0;
}
