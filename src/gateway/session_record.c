#include "gateway/session_record.h"

enum { FLAG_CLEAN = 1, FLAG_WILL_GONE = 1, WILL_RETAIN = 1, WILL_V5 = 2 };

static const struct {
  const char *name;
  uint8_t since; /* format version */
  bool list;
} kinds[MC_SESSION_KINDS] = {
    [MC_SESSION_OPEN] = {"open", 1, false},        [MC_SESSION_SUBSCRIBE] = {"subscribe", 1, true}, [MC_SESSION_UNSUBSCRIBE] = {"unsubscribe", 1, true},
    [MC_SESSION_ACKED] = {"acked", 1, true},       [MC_SESSION_CLOSED] = {"closed", 1, false},      [MC_SESSION_ENDED] = {"ended", 1, false},
    [MC_SESSION_WILL] = {"will", 2, false},        [MC_SESSION_WILL_SENT] = {"will-sent", 2, false}, [MC_SESSION_RELEASED] = {"released", 2, true},
    [MC_SESSION_ASSIGNED] = {"assigned", 2, true}, [MC_SESSION_RECEIVED] = {"received", 2, true},   [MC_SESSION_COMPLETE] = {"complete", 2, true},
    [MC_SESSION_PAGE] = {"page", 2, true}};

mc_slice mc_session_kind_name(mc_session_kind kind)
{
  return mc_slice_str(kind >= MC_SESSION_OPEN && kind < MC_SESSION_KINDS ? kinds[kind].name : NULL);
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

mc_err mc_session_will_put(mc_buf *out, const mc_session_will *w)
{
  MC_TRY(put_le(out, w->qos, 1));
  MC_TRY(put_le(out, (w->retain ? WILL_RETAIN : 0) | (w->v5 ? WILL_V5 : 0), 1));
  MC_TRY(put_le(out, w->delay_s, 4));
  MC_TRY(put_le(out, w->partition, 1));
  MC_TRY(put_le(out, w->principal, 4));
  MC_TRY(put_text(out, w->topic));
  MC_TRY(put_le(out, w->props.len, 4));
  MC_TRY(put_le(out, w->payload.len, 4));
  MC_TRY(mc_buf_append_slice(out, w->props));
  return mc_buf_append_slice(out, w->payload);
}

mc_err mc_session_record_begin(mc_buf *out, const mc_session_record *r)
{
  MC_TRY(put_le(out, MC_SESSION_FORMAT, 1));
  MC_TRY(put_le(out, r->kind, 1));
  if (kinds[r->kind].list) /* fixed place, so that it can be set later */
    MC_TRY(put_le(out, 0, 4));
  MC_TRY(put_text(out, r->client_id));
  if (r->kind == MC_SESSION_OPEN || r->kind == MC_SESSION_CLOSED)
    MC_TRY(put_le(out, r->expiry_s, 4));
  if (r->kind == MC_SESSION_CLOSED)
    MC_TRY(put_le(out, r->will_gone ? FLAG_WILL_GONE : 0, 1));
  if (r->kind == MC_SESSION_WILL)
    MC_TRY(mc_session_will_put(out, &r->will));
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

mc_err mc_session_record_add_entry(mc_buf *out, uint64_t entry, uint64_t *previous)
{
  int64_t step = (int64_t)(entry - *previous);
  *previous = entry;
  return mc_varint_put(out, ((uint64_t)step << 1) ^ (uint64_t)(step >> 63));
}

mc_err mc_session_record_add_offsets(mc_buf *out, const uint64_t *offset, size_t count)
{
  uint64_t previous = 0;
  for (size_t i = 0; i < count; i++)
    MC_TRY(mc_session_record_add_entry(out, offset[i], &previous));
  return MC_OK;
}

mc_err mc_session_record_add_packet_id(mc_buf *out, uint16_t packet_id) { return put_le(out, packet_id, 2); }

static mc_slice get_text(mc_cursor *c)
{
  return mc_cursor_bytes(c, mc_cursor_le16(c));
}

void mc_session_will_get(mc_cursor *c, mc_session_will *out)
{
  *out = (mc_session_will){.qos = mc_cursor_u8(c)};
  uint8_t flags = mc_cursor_u8(c);
  out->retain = flags & WILL_RETAIN;
  out->v5 = flags & WILL_V5;
  out->delay_s = mc_cursor_le32(c);
  out->partition = mc_cursor_u8(c);
  out->principal = mc_cursor_le32(c);
  out->topic = get_text(c);
  uint32_t props = mc_cursor_le32(c), payload = mc_cursor_le32(c);
  out->props = mc_cursor_bytes(c, props);
  out->payload = mc_cursor_bytes(c, payload);
  if (out->qos > 2 || out->partition > 15 || out->topic.len == 0 || props > UINT16_MAX)
    c->ok = false;
}

static void read_body(mc_cursor *c, uint8_t version, mc_session_record *out)
{
  if (kinds[out->kind].list)
    out->count = mc_cursor_le32(c);
  out->client_id = get_text(c);
  if (out->kind == MC_SESSION_OPEN || out->kind == MC_SESSION_CLOSED)
    out->expiry_s = mc_cursor_le32(c);
  if (out->kind == MC_SESSION_CLOSED)
    out->will_gone = version < 2 || (mc_cursor_u8(c) & FLAG_WILL_GONE);
  if (out->kind == MC_SESSION_WILL)
    mc_session_will_get(c, &out->will);
  if (out->kind == MC_SESSION_OPEN) {
    out->clean = mc_cursor_u8(c) & FLAG_CLEAN;
    out->mqtt_version = mc_cursor_u8(c);
    out->thing = mc_cursor_le32(c);
    out->thing_name = get_text(c);
  }
}

mc_err mc_session_record_read(mc_slice bytes, mc_session_record *out, mc_why *why)
{
  *out = (mc_session_record){0};
  mc_cursor c = mc_cursor_of(bytes);
  uint8_t version = mc_cursor_u8(&c), kind = mc_cursor_u8(&c);
  if (!c.ok)
    return mc_err_set(why, MC_ERR_TRUNCATED, "session record: %zu bytes, expected at least 4", bytes.len);
  if (version < MC_SESSION_FORMAT_OLDEST || version > MC_SESSION_FORMAT)
    return mc_err_set(why, MC_ERR_UNSUPPORTED, "session record: version %u, this build reads %d to %d; use the newer build", version, MC_SESSION_FORMAT_OLDEST,
                      MC_SESSION_FORMAT);
  if (kind < MC_SESSION_OPEN || kind >= MC_SESSION_KINDS || kinds[kind].since > version)
    return mc_err_set(why, MC_ERR_MALFORMED, "session record: kind %u at byte 1 is unknown in version %u", kind, version);
  out->kind = kind;
  out->version = version;
  read_body(&c, version, out);
  if (!c.ok)
    return mc_err_set(why, MC_ERR_TRUNCATED, "session record \"%s\": ends at byte %zu inside a field, or a field is out of its range", kinds[kind].name, bytes.len);
  out->list = mc_slice_sub(bytes, c.at, bytes.len);
  if (!kinds[kind].list && out->list.len)
    return mc_err_set(why, MC_ERR_MALFORMED, "session record \"%s\": %zu bytes follow its end at byte %zu", kinds[kind].name, out->list.len, c.at);
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

bool mc_session_record_next_entry(const mc_session_record *r, size_t *at, uint64_t *entry)
{
  mc_cursor c = {r->list, *at, true};
  if (*at >= r->list.len)
    return false;
  uint64_t z = mc_varint_get(&c);
  if (!c.ok)
    return false;
  *entry += (z >> 1) ^ (0 - (z & 1));
  *at = c.at;
  return true;
}

bool mc_session_record_next_packet_id(const mc_session_record *r, size_t *at, uint16_t *packet_id)
{
  mc_cursor c = {r->list, *at, true};
  if (*at >= r->list.len)
    return false;
  *packet_id = mc_cursor_le16(&c);
  if (!c.ok || !*packet_id)
    return false;
  *at = c.at;
  return true;
}

/* ---- origin ---- */
mc_err mc_origin_put(mc_buf *out, uint16_t packet_id, mc_slice client_id)
{
  MC_TRY(put_le(out, packet_id, 2));
  return put_text(out, client_id);
}

bool mc_origin_take(mc_slice *props, uint16_t *packet_id, mc_slice *client_id)
{
  mc_cursor c = mc_cursor_of(*props);
  *packet_id = mc_cursor_le16(&c);
  *client_id = get_text(&c);
  *props = mc_slice_sub(*props, c.at, props->len);
  return c.ok;
}
