/* WebSocket: byte 0 chooses the side and the size of the pieces. Read in pieces or at once, the outcome is the same. */
#include <stdlib.h>

#include "format/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX = 5000 };

typedef struct outcome {
  uint64_t hash;
  size_t messages;
  uint16_t code;
  mc_err err;
} outcome;

static outcome play(const uint8_t *data, size_t size, bool client, size_t piece)
{
  mc_ws_reader r = mc_ws_reader_of(client, MESSAGE_MAX);
  outcome o = {0};
  mc_buf pending = {0};
  for (size_t at = 0; !o.err;) {
    mc_ws_message m = {0};
    size_t used;
    mc_err err = mc_ws_read(&r, pending.data, pending.len, &used, &m, NULL);
    if (used > pending.len || (!err && m.payload.len > MESSAGE_MAX))
      abort();
    if (!err) {
      if (m.type == MC_WS_TEXT && !mc_slice_is_utf8(m.payload))
        abort();
      o.messages++;
      o.hash = o.hash * 31 + mc_slice_fnv1a(m.payload) + m.type + m.close_code;
    } else if (err != MC_ERR_AGAIN) {
      o.err = err;
      o.code = m.close_code;
    }
    mc_buf_consume(&pending, used);
    if (err == MC_ERR_AGAIN) {
      size_t n = size - at < piece ? size - at : piece;
      if (n == 0 || mc_buf_append(&pending, data + at, n))
        break;
      at += n;
    }
  }
  mc_buf_free(&pending);
  mc_ws_reader_free(&r);
  return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 20000)
    return 0;
  bool client = data[0] & 1;
  outcome whole = play(data + 1, size - 1, client, size);
  outcome pieces = play(data + 1, size - 1, client, 1 + (data[0] >> 1));
  if (whole.hash != pieces.hash || whole.messages != pieces.messages || whole.err != pieces.err || whole.code != pieces.code)
    abort();
  return 0;
}
