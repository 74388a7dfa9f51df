/* WebSocket frames (RFC 6455): reading whole messages, writing frames, for both sides. No extensions.
 *
 * Pure: no I/O; the opening handshake (and its SHA-1) is net's part. A reader belongs to one connection and one thread. */
#ifndef MC_FORMAT_WEBSOCKET_H
#define MC_FORMAT_WEBSOCKET_H

#include "base/slice.h"

typedef enum mc_ws_type {
  MC_WS_CONTINUATION = 0, MC_WS_TEXT = 1, MC_WS_BINARY = 2, MC_WS_CLOSE = 8, MC_WS_PING = 9, MC_WS_PONG = 10
} mc_ws_type;

/* Close codes (7.4.1) used by name in the house. */
enum {
  MC_WS_NORMAL = 1000, MC_WS_GOING_AWAY = 1001, MC_WS_PROTOCOL_ERROR = 1002, MC_WS_UNSUPPORTED_DATA = 1003,
  MC_WS_NO_CODE = 1005 /* only told, never sent */, MC_WS_BAD_PAYLOAD = 1007, MC_WS_POLICY = 1008, MC_WS_TOO_BIG = 1009,
  MC_WS_INTERNAL_ERROR = 1011, MC_WS_TRY_LATER = 1013
};
/* May stand in a close frame: 1000-1003, 1007-1014, 3000-4999. */
bool mc_ws_close_code_valid(uint16_t code);

typedef struct mc_ws_reader {
  bool from_client;   /* frames must be masked; else they must not be */
  bool closed;        /* a close frame was read: nothing may follow */
  mc_ws_type partial; /* type of a message whose fragments are being collected, or MC_WS_CONTINUATION */
  size_t max_message; /* bytes, over all fragments */
  mc_buf message;
} mc_ws_reader;
static inline mc_ws_reader mc_ws_reader_of(bool from_client, size_t max_message)
{
  return (mc_ws_reader){.from_client = from_client, .max_message = max_message};
}
void mc_ws_reader_free(mc_ws_reader *r);

typedef struct mc_ws_message {
  mc_ws_type type;     /* TEXT, BINARY, CLOSE, PING or PONG */
  mc_slice payload;    /* TEXT is valid UTF-8; CLOSE: the reason text. Borrows from in, or from the reader until the next read */
  uint16_t close_code; /* CLOSE: its code, or MC_WS_NO_CODE. On an error: the code to close with */
} mc_ws_message;

/* Reads up to the end of the next message. The bytes of `in` are unmasked in place and *used of them are done, also when
 * MC_ERR_AGAIN says that more are needed: drop them and come again with the rest.
 * Errors: MC_ERR_MALFORMED (protocol or UTF-8), MC_ERR_TOO_LARGE (told from the frame's header, before its bytes came), MC_ERR_CLOSED
 * (after a close frame), MC_ERR_MEMORY. Then send a close frame with out->close_code and end the connection. */
mc_err mc_ws_read(mc_ws_reader *r, uint8_t *in, size_t len, size_t *used, mc_ws_message *out, mc_why *why);

/* Appends one frame. mask: four unpredictable bytes on the client's side, NULL on the server's. Control frames carry at most 125
 * bytes and are never fragments (MC_ERR_INVALID). UTF-8 of text is the caller's duty. */
mc_err mc_ws_write(mc_buf *out, mc_ws_type type, bool fin, mc_slice payload, const uint8_t mask[4]);
/* code 0: an empty close frame. The reason is cut to 123 bytes at a character. */
mc_err mc_ws_write_close(mc_buf *out, uint16_t code, mc_slice reason, const uint8_t mask[4]);

#endif
