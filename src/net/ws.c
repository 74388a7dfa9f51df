#include <stdlib.h>

#include <openssl/evp.h>

#include "format/websocket.h"
#include "net/conn.h"
#include "net/http_conn.h"

/* WebSocket on a connection that an HTTP request opened (RFC 6455). The server pings quiet peers, so that a browser that
 * vanished is noticed. */

enum { PING_US = 30000000, IDLE_MS = 90000, MAX_BACKLOG = 16 << 20, PONG_BACKLOG = 64 << 10 };

struct mc_ws {
  mc_conn *conn;
  const mc_ws_handler *handler;
  void *user;
  mc_ws_reader reader;
  mc_timer ping;
  bool closing;
};

static size_t end_with(mc_ws *ws, uint16_t code, const char *reason)
{
  mc_ws_close(ws, code, reason);
  return SIZE_MAX; /* what was written still goes out */
}

static size_t on_data(mc_conn *conn, mc_slice in)
{
  mc_ws *ws = mc_conn_user(conn);
  size_t at = 0;
  while (at < in.len && !ws->closing) {
    mc_ws_message m;
    mc_why why = {0};
    size_t used = 0;
    /* Unmasking in place: the bytes are net's own buffer and are not looked at again. */
    mc_err err = mc_ws_read(&ws->reader, (uint8_t *)(uintptr_t)(in.data + at), in.len - at, &used, &m, &why);
    at += used;
    if (err == MC_ERR_AGAIN)
      return at;
    if (err)
      return end_with(ws, m.close_code, why.text);
    switch (m.type) {
    case MC_WS_TEXT:
    case MC_WS_BINARY:
      ws->handler->message(ws, m.type == MC_WS_BINARY, m.payload);
      break;
    case MC_WS_PING:
      if (mc_conn_backlog(conn) < PONG_BACKLOG) { /* who pings and does not read gets no heap of answers (RFC 6455, 5.5.3 asks for the last one only) */
        mc_ws_write(mc_conn_out(conn), MC_WS_PONG, true, m.payload, NULL);
        mc_conn_dirty(conn);
      }
      break;
    case MC_WS_CLOSE:
      return end_with(ws, m.close_code == MC_WS_NO_CODE ? 0 : m.close_code, "");
    default:
      break;
    }
  }
  return ws->closing ? in.len : at;
}

static void on_closed(mc_conn *conn, mc_err err, const char *text)
{
  mc_ws *ws = mc_conn_user(conn);
  mc_loop_timer_clear(mc_conn_loop(conn), &ws->ping);
  ws->closing = true;
  if (ws->handler->closed)
    ws->handler->closed(ws);
  mc_ws_reader_free(&ws->reader);
  free(ws);
}

static void on_open(mc_conn *conn) {}

static const mc_conn_handler handler = {on_open, on_data, NULL, on_closed};

static void on_ping(mc_timer *timer)
{
  mc_ws *ws = (mc_ws *)((char *)timer - offsetof(mc_ws, ping));
  mc_loop *loop = mc_conn_loop(ws->conn);
  if (mc_loop_now_us(loop) - ws->conn->last_in_us >= PING_US && !ws->closing) {
    mc_ws_write(mc_conn_out(ws->conn), MC_WS_PING, true, (mc_slice){0}, NULL);
    mc_conn_dirty(ws->conn);
  }
  mc_loop_timer_set(loop, &ws->ping, mc_loop_now_us(loop) + PING_US);
}

/* Is `word` one of the comma-separated tokens (case-insensitive)? */
static bool has_token(mc_slice list, const char *word)
{
  size_t len = strlen(word);
  for (size_t at = 0; at < list.len;) {
    size_t end = mc_slice_find(list, ',', at);
    mc_slice t = mc_slice_trim(mc_slice_sub(list, at, end - at));
    bool same = t.len == len;
    for (size_t i = 0; same && i < len; i++)
      same = (t.data[i] >= 'A' && t.data[i] <= 'Z' ? t.data[i] + 32 : t.data[i]) == word[i];
    if (same)
      return true;
    at = end + 1;
  }
  return false;
}

static mc_err refuse(mc_http_request *r, int status, const char *text)
{
  mc_http_header version = {MC_LIT("Sec-WebSocket-Version"), MC_LIT("13")};
  mc_http_reply reply = {status, "text/plain; charset=utf-8", mc_slice_str(text), &version, status == 426 ? 1 : 0};
  mc_http_answer(r, &reply);
  return status == 426 ? MC_ERR_UNSUPPORTED : MC_ERR_MALFORMED;
}

/* RFC 6455, 4.2.2: base64(SHA-1(key + GUID)). */
static bool accept_key(mc_slice key, char out[32])
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  mc_buf text = {0};
  bool ok = mc_buf_append_slice(&text, key) == MC_OK && mc_buf_append_str(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11") == MC_OK &&
            EVP_Digest(text.data, text.len, digest, &len, EVP_sha1(), NULL) == 1;
  mc_buf_free(&text);
  return ok && EVP_EncodeBlock((unsigned char *)out, digest, (int)len) == 28;
}

static bool key_valid(mc_slice key) /* base64 of 16 bytes */
{
  uint8_t bytes[32];
  return key.len == 24 && key.data[23] == '=' && key.data[22] == '=' && EVP_DecodeBlock(bytes, key.data, 24) == 18;
}

mc_err mc_ws_switch(mc_http_request *r, const char *protocol, bool memory, mc_conn **out)
{
  http_conn *hc = http_request_conn(r);
  if (!mc_slice_eq_str(r->method, "GET") || !has_token(mc_http_request_header(r, "upgrade"), "websocket") ||
      !has_token(mc_http_request_header(r, "connection"), "upgrade"))
    return refuse(r, 426, "this address speaks WebSocket: connect with a WebSocket client\n");
  if (!mc_slice_eq_str(mc_http_request_header(r, "sec-websocket-version"), "13"))
    return refuse(r, 426, "only WebSocket version 13 is spoken (RFC 6455)\n");
  mc_slice key = mc_http_request_header(r, "sec-websocket-key");
  char accept[32];
  if (!key_valid(key) || r->body.len)
    return refuse(r, 400, "Sec-WebSocket-Key must be 16 bytes in base64\n");
  if (!hc || !memory || !accept_key(key, accept)) {
    refuse(r, 503, "out of memory\n");
    return MC_ERR_MEMORY;
  }
  mc_conn *conn = hc->conn;
  mc_buf *b = mc_conn_out(conn);
  mc_buf_printf(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n", accept);
  if (protocol)
    mc_buf_printf(b, "Sec-WebSocket-Protocol: %s\r\n", protocol);
  mc_buf_append_str(b, "\r\n");
  mc_conn_dirty(conn);
  hc->upgraded = true; /* the HTTP state is freed by its own code on the way out */
  hc->waiting = NULL;
  http_request_free(r);
  *out = conn;
  return MC_OK;
}

mc_err mc_ws_accept(mc_http_request *r, const char *protocol, const mc_ws_handler *ws_handler, void *user, size_t max_message, mc_ws **out)
{
  *out = NULL;
  mc_ws *ws = calloc(1, sizeof *ws);
  mc_conn *conn;
  mc_err err = mc_ws_switch(r, protocol, ws != NULL, &conn);
  if (err || !ws) {
    free(ws);
    return err ? err : MC_ERR_MEMORY;
  }
  *ws = (mc_ws){.conn = conn, .handler = ws_handler, .user = user, .ping.fire = on_ping};
  ws->reader = mc_ws_reader_of(true, max_message ? max_message : 1 << 20);
  mc_conn_set_user(conn, ws);
  mc_conn_set_handler(conn, &handler);
  mc_conn_set_idle_ms(conn, IDLE_MS);
  mc_conn_pause(conn, false);
  mc_loop *loop = mc_conn_loop(conn);
  mc_loop_timer_set(loop, &ws->ping, mc_loop_now_us(loop) + PING_US);
  *out = ws;
  return MC_OK;
}

bool mc_ws_offers(const mc_http_request *r, const char *protocol)
{
  return has_token(mc_http_request_header(r, "sec-websocket-protocol"), protocol);
}

void *mc_ws_user(const mc_ws *ws) { return ws->user; }
mc_conn *mc_ws_conn(const mc_ws *ws) { return ws->conn; }

mc_err mc_ws_send(mc_ws *ws, bool binary, mc_slice payload)
{
  if (ws->closing)
    return MC_ERR_CLOSED;
  if (mc_conn_backlog(ws->conn) > MAX_BACKLOG)
    return MC_ERR_FULL;
  mc_err err = mc_ws_write(mc_conn_out(ws->conn), binary ? MC_WS_BINARY : MC_WS_TEXT, true, payload, NULL);
  mc_conn_dirty(ws->conn);
  return err;
}

void mc_ws_close(mc_ws *ws, uint16_t code, const char *reason)
{
  if (ws->closing)
    return;
  ws->closing = true;
  mc_ws_write_close(mc_conn_out(ws->conn), code, mc_slice_str(reason), NULL);
  mc_conn_close(ws->conn);
}
