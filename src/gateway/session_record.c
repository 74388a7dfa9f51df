#include "gateway/session_record.h"

enum { FLAG_CLEAN = 1 };

static const char *const names[] = {[MC_SESSION_OPEN] = "open", [MC_SESSION_SUBSCRIBE] = "subscribe", [MC_SESSION_UNSUBSCRIBE] = "unsubscribe",
                                    [MC_SESSION_ACKED] = "acked", [MC_SESSION_CLOSED] = "closed", [MC_SESSION_ENDED] = "ended"};

mc_slice mc_session_kind_name(mc_session_kind kind)
{
  return mc_slice_str(kind >= MC_SESSION_OPEN && kind <= MC_SESSION_ENDED ? names[kind] : NULL);
}

mc_err mc_varint_put(mc_buf *out, uint64_t v)
{
  uint8_t bytes[10];
  size_t n = 0;
  for (; v >= 0x80; v >>= 7)
    bytes[n++] = (uint8_t)(v | 0x80);
  bytes[n++] = (uint8_t)v;
  return mc_buf_append(out, bytes, n);
}

uint64_t mc_varint_get(mc_cursor *c)
{
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t b = mc_cursor_u8(c);
    v |= (uint64_t)(b & 0x7F) << shift;
    if (!(b & 0x80))
      return v;
  }
  c->ok = false;
  return 0;
}

static mc_err put_le(mc_buf *out, uint64_t v, size_t width)
{
  uint8_t bytes[8];
  mc_store_le64(bytes, v);
  return mc_buf_append(out, bytes, width);
}

static mc_err put_text(mc_buf *out, mc_slice text)
{
  if (text.len > UINT16_MAX)
    return MC_ERR_TOO_LARGE;
  MC_TRY(put_le(out, text.len, 2));
  return mc_buf_append_slice(out, text);
}

static bool has_list(mc_session_kind kind)
{
  return kind == MC_SESSION_SUBSCRIBE || kind == MC_SESSION_UNSUBSCRIBE || kind == MC_SESSION_ACKED;
}

mc_err mc_session_record_begin(mc_buf *out, const mc_session_record *r)
{
  MC_TRY(put_le(out, MC_SESSION_FORMAT, 1));
  MC_TRY(put_le(out, r->kind, 1));
  if (has_list(r->kind)) /* fixed place, so that it can be set later */
    MC_TRY(put_le(out, 0, 4));
  MC_TRY(put_text(out, r->client_id));
  if (r->kind == MC_SESSION_OPEN || r->kind == MC_SESSION_CLOSED)
    MC_TRY(put_le(out, r->expiry_s, 4));
  if (r->kind == MC_SESSION_OPEN) {
    MC_TRY(put_le(out, r->clean ? FLAG_CLEAN : 0, 1));
    MC_TRY(put_le(out, r->mqtt_version, 1));
    MC_TRY(put_le(out, r->thing, 4));
    MC_TRY(put_text(out, r->thing_name));
  }
  return MC_OK;
}

void mc_session_record_set_count(mc_buf *out, size_t begin, uint32_t count)
{
  mc_store_le32(out->data + begin + 2, count);
}

mc_err mc_session_record_add_filter(mc_buf *out, const mc_session_filter *f, bool unsubscribe)
{
  MC_TRY(put_text(out, f->filter));
  if (unsubscribe)
    return MC_OK;
  MC_TRY(put_le(out, f->options, 1));
  return put_le(out, f->id, 4);
}

mc_err mc_session_record_add_offsets(mc_buf *out, const uint64_t *offset, size_t count)
{
  uint64_t previous = 0;
  for (size_t i = 0; i < count; i++) {
    int64_t step = (int64_t)(offset[i] - previous);
    MC_TRY(mc_varint_put(out, ((uint64_t)step << 1) ^ (uint64_t)(step >> 63)));
    previous = offset[i];
  }
  return MC_OK;
}

static mc_slice get_text(mc_cursor *c)
{
  return mc_cursor_bytes(c, mc_cursor_le16(c));
}

mc_err mc_session_record_read(mc_slice bytes, mc_session_record *out, mc_why *why)
{
  *out = (mc_session_record){0};
  mc_cursor c = mc_cursor_of(bytes);
  uint8_t version = mc_cursor_u8(&c), kind = mc_cursor_u8(&c);
  if (!c.ok)
    return mc_err_set(why, MC_ERR_TRUNCATED, "session record: %zu bytes, expected at least 4", bytes.len);
  if (version != MC_SESSION_FORMAT)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "session record: version %u, this build reads %d; use the newer build", version, MC_SESSION_FORMAT);
  if (kind < MC_SESSION_OPEN || kind > MC_SESSION_ENDED)
    return mc_err_set(why, MC_ERR_MALFORMED, "session record: kind %u at byte 1 is unknown", kind);
  out->kind = kind;
  if (has_list(kind))
    out->count = mc_cursor_le32(&c);
  out->client_id = get_text(&c);
  if (kind == MC_SESSION_OPEN || kind == MC_SESSION_CLOSED)
    out->expiry_s = mc_cursor_le32(&c);
  if (kind == MC_SESSION_OPEN) {
    out->clean = mc_cursor_u8(&c) & FLAG_CLEAN;
    out->mqtt_version = mc_cursor_u8(&c);
    out->thing = mc_cursor_le32(&c);
    out->thing_name = get_text(&c);
  }
  if (!c.ok)
    return mc_err_set(why, MC_ERR_TRUNCATED, "session record \"%s\": ends at byte %zu inside a field", names[kind], bytes.len);
  out->list = mc_slice_sub(bytes, c.at, bytes.len);
  if (!has_list(kind) && out->list.len)
    return mc_err_set(why, MC_ERR_MALFORMED, "session record \"%s\": %zu bytes follow its end at byte %zu", names[kind], out->list.len, c.at);
  return MC_OK;
}

bool mc_session_record_next_filter(const mc_session_record *r, size_t *at, mc_session_filter *out)
{
  mc_cursor c = {r->list, *at, true};
  if (*at >= r->list.len)
    return false;
  *out = (mc_session_filter){.filter = get_text(&c)};
  if (r->kind == MC_SESSION_SUBSCRIBE) {
    out->options = mc_cursor_u8(&c);
    out->id = mc_cursor_le32(&c);
  }
  if (!c.ok)
    return false;
  *at = c.at;
  return true;
}

bool mc_session_record_next_offset(const mc_session_record *r, size_t *at, uint64_t *offset)
{
  mc_cursor c = {r->list, *at, true};
  if (*at >= r->list.len)
    return false;
  uint64_t z = mc_varint_get(&c);
  if (!c.ok)
    return false;
  *offset += (z >> 1) ^ (0 - (z & 1));
  *at = c.at;
  return true;
}
