#include "format/websocket.h"

enum { CONTROL_MAX = 125, HEADER_MAX = 14 };

typedef struct frame {
  mc_ws_type type;
  bool fin;
  size_t header; /* bytes before the payload, mask included */
  size_t len;
  const uint8_t *mask; /* or NULL */
} frame;

bool mc_ws_close_code_valid(uint16_t code)
{
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

void mc_ws_reader_free(mc_ws_reader *r)
{
  if (r)
    mc_buf_free(&r->message);
}

static mc_err refuse(mc_ws_message *out, mc_why *why, mc_err err, uint16_t code, const char *rule)
{
  *out = (mc_ws_message){.type = MC_WS_CLOSE, .close_code = code};
  return mc_err_set(why, err, "WebSocket frame: %s; close code %u", rule, code);
}

static mc_err protocol_error(mc_ws_message *out, mc_why *why, const char *rule)
{
  return refuse(out, why, MC_ERR_MALFORMED, MC_WS_PROTOCOL_ERROR, rule);
}

static bool is_control(mc_ws_type type)
{
  return type >= MC_WS_CLOSE;
}

/* First two bytes: everything that can be refused before the rest is there (5.2, 5.4, 5.5). */
static mc_err check_start(const mc_ws_reader *r, const uint8_t *p, frame *f, mc_ws_message *out, mc_why *why)
{
  f->type = (mc_ws_type)(p[0] & 15);
  f->fin = p[0] & 0x80;
  if (p[0] & 0x70)
    return protocol_error(out, why, "reserved bit is set, but no extension was agreed (5.2)");
  if ((p[0] & 7) > 2)
    return protocol_error(out, why, "unknown opcode (5.2)");
  if (((p[1] & 0x80) != 0) != r->from_client)
    return protocol_error(out, why, r->from_client ? "frame from a client is not masked (5.1)" : "frame from a server is masked (5.1)");
  if (is_control(f->type) && (!f->fin || (p[1] & 0x7F) > CONTROL_MAX))
    return protocol_error(out, why, "control frame is a fragment or longer than 125 bytes (5.5)");
  if (f->type == MC_WS_CONTINUATION && r->partial == MC_WS_CONTINUATION)
    return protocol_error(out, why, "continuation without a message that it continues (5.4)");
  if ((f->type == MC_WS_TEXT || f->type == MC_WS_BINARY) && r->partial != MC_WS_CONTINUATION)
    return protocol_error(out, why, "new message before the last fragment of the one before (5.4)");
  return MC_OK;
}

static mc_err read_frame(const mc_ws_reader *r, const uint8_t *p, size_t left, frame *f, mc_ws_message *out, mc_why *why)
{
  if (left < 2)
    return MC_ERR_AGAIN;
  MC_TRY(check_start(r, p, f, out, why));
  uint64_t len = p[1] & 0x7F;
  size_t wide = len == 126 ? 2 : len == 127 ? 8 : 0;
  if (left < 2 + wide)
    return MC_ERR_AGAIN;
  if (wide) {
    len = wide == 2 ? mc_load_be16(p + 2) : mc_load_be64(p + 2);
    if (len < (wide == 2 ? 126u : 65536u) || len > INT64_MAX)
      return protocol_error(out, why, "length is not in its shortest form or has its top bit set (5.2)");
  }
  if (!is_control(f->type) && len > r->max_message - r->message.len)
    return refuse(out, why, MC_ERR_TOO_LARGE, MC_WS_TOO_BIG, "message is larger than the limit; send smaller ones");
  f->header = 2 + wide + (r->from_client ? 4 : 0);
  f->mask = r->from_client ? p + 2 + wide : NULL;
  if (left < f->header || left - f->header < len)
    return MC_ERR_AGAIN;
  f->len = (size_t)len;
  return MC_OK;
}

static void apply_mask(uint8_t *p, size_t len, const uint8_t mask[4])
{
  uint64_t wide = mc_load_le32(mask);
  wide |= wide << 32;
  size_t i = 0;
  for (; i + 8 <= len; i += 8)
    mc_store_le64(p + i, mc_load_le64(p + i) ^ wide);
  for (; i < len; i++)
    p[i] ^= mask[i & 3];
}

static mc_err read_close(mc_ws_reader *r, mc_slice body, mc_ws_message *out, mc_why *why)
{
  r->closed = true;
  out->close_code = MC_WS_NO_CODE;
  if (body.len == 0)
    return MC_OK;
  if (body.len == 1 || !mc_ws_close_code_valid(mc_load_be16(body.data)))
    return protocol_error(out, why, "close code is cut off or not one that may be sent (7.4)");
  out->close_code = mc_load_be16(body.data);
  out->payload = mc_slice_sub(body, 2, body.len);
  if (!mc_slice_is_utf8(out->payload))
    return refuse(out, why, MC_ERR_MALFORMED, MC_WS_BAD_PAYLOAD, "close reason is not UTF-8 (5.5.1)");
  return MC_OK;
}

static mc_err finish_data(mc_ws_message *out, mc_why *why)
{
  if (out->type == MC_WS_TEXT && !mc_slice_is_utf8(out->payload))
    return refuse(out, why, MC_ERR_MALFORMED, MC_WS_BAD_PAYLOAD, "text is not UTF-8 (8.1)");
  return MC_OK;
}

/* One frame's payload. MC_ERR_AGAIN when it was a fragment and the message is not complete yet. */
static mc_err take_payload(mc_ws_reader *r, const frame *f, mc_slice body, mc_ws_message *out, mc_why *why)
{
  *out = (mc_ws_message){.type = f->type, .payload = body};
  if (f->type == MC_WS_CLOSE) {
    out->payload = (mc_slice){0};
    return read_close(r, body, out, why);
  }
  if (is_control(f->type))
    return MC_OK;
  if (f->fin && f->type != MC_WS_CONTINUATION)
    return finish_data(out, why);
  if (f->type != MC_WS_CONTINUATION)
    r->partial = f->type;
  if (mc_buf_append_slice(&r->message, body))
    return refuse(out, why, MC_ERR_MEMORY, MC_WS_INTERNAL_ERROR, "no memory for the message");
  if (!f->fin)
    return MC_ERR_AGAIN;
  out->type = r->partial;
  out->payload = mc_buf_slice(&r->message);
  r->partial = MC_WS_CONTINUATION;
  return finish_data(out, why);
}

mc_err mc_ws_read(mc_ws_reader *r, uint8_t *in, size_t len, size_t *used, mc_ws_message *out, mc_why *why)
{
  *used = 0;
  if (r->closed)
    return refuse(out, why, MC_ERR_CLOSED, MC_WS_PROTOCOL_ERROR, "bytes after the close frame (5.5.1)");
  if (r->partial == MC_WS_CONTINUATION)
    mc_buf_clear(&r->message); /* the last message was handed out from here */
  for (;;) {
    frame f = {0};
    if (*used == len) /* in may be NULL */
      return MC_ERR_AGAIN;
    uint8_t *p = in + *used;
    MC_TRY(read_frame(r, p, len - *used, &f, out, why));
    uint8_t *body = p + f.header;
    if (f.mask)
      apply_mask(body, f.len, f.mask);
    *used += f.header + f.len;
    mc_err err = take_payload(r, &f, mc_slice_of(body, f.len), out, why);
    if (err != MC_ERR_AGAIN)
      return err;
  }
}

mc_err mc_ws_write(mc_buf *out, mc_ws_type type, bool fin, mc_slice payload, const uint8_t mask[4])
{
  size_t need;
  if ((unsigned)type > MC_WS_PONG || ((unsigned)type & 7) > 2)
    return MC_ERR_INVALID;
  if (is_control(type) && (!fin || payload.len > CONTROL_MAX))
    return MC_ERR_INVALID;
  if (mc_add_overflows(payload.len, HEADER_MAX, &need))
    return MC_ERR_TOO_LARGE;
  MC_TRY(mc_buf_reserve(out, need));
  uint8_t *p = out->data + out->len;
  uint8_t masked = mask ? 0x80 : 0;
  *p++ = (uint8_t)((fin ? 0x80 : 0) | (unsigned)type);
  if (payload.len < 126) {
    *p++ = (uint8_t)(masked | payload.len);
  } else if (payload.len <= UINT16_MAX) {
    *p++ = masked | 126;
    mc_store_be16(p, (uint16_t)payload.len);
    p += 2;
  } else {
    *p++ = masked | 127;
    mc_store_be64(p, payload.len);
    p += 8;
  }
  if (mask) {
    memcpy(p, mask, 4);
    p += 4;
  }
  if (payload.len)
    memcpy(p, payload.data, payload.len);
  if (mask)
    apply_mask(p, payload.len, mask);
  out->len = (size_t)(p + payload.len - out->data);
  return MC_OK;
}

mc_err mc_ws_write_close(mc_buf *out, uint16_t code, mc_slice reason, const uint8_t mask[4])
{
  uint8_t body[CONTROL_MAX];
  if (code == 0)
    return mc_ws_write(out, MC_WS_CLOSE, true, (mc_slice){0}, mask);
  if (!mc_ws_close_code_valid(code) || !mc_slice_is_utf8(reason))
    return MC_ERR_INVALID;
  size_t len = reason.len < CONTROL_MAX - 2 ? reason.len : CONTROL_MAX - 2;
  while (len && len < reason.len && (reason.data[len] & 0xC0) == 0x80)
    len--;
  mc_store_be16(body, code);
  if (len)
    memcpy(body + 2, reason.data, len);
  return mc_ws_write(out, MC_WS_CLOSE, true, mc_slice_of(body, 2 + len), mask);
}
