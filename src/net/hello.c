#include "net/hello.h"

enum { RECORD_HEAD = 5, HANDSHAKE_HEAD = 4, HANDSHAKE = 22, CLIENT_HELLO = 1, RECORD_MAX = 16384 };

mc_err mc_hello_check(mc_slice bytes)
{
  uint8_t head[HANDSHAKE_HEAD];
  size_t have = 0, need = HANDSHAKE_HEAD; /* bytes of the handshake message */
  size_t at = 0;
  while (have < need) {
    const uint8_t *record = bytes.data + at;
    size_t left = bytes.len - at;
    if ((left > 0 && record[0] != HANDSHAKE) || (left > 1 && record[1] != 3)) /* version 3.x in every TLS */
      return MC_ERR_MALFORMED;
    if (left < RECORD_HEAD)
      break;
    size_t len = mc_load_be16(record + 3);
    if (!len || len > RECORD_MAX) /* RFC 8446, 5.1: handshake fragments have at least a byte */
      return MC_ERR_MALFORMED;
    size_t there = left - RECORD_HEAD < len ? left - RECORD_HEAD : len;
    for (size_t i = 0; i < there && have + i < HANDSHAKE_HEAD; i++)
      head[have + i] = record[RECORD_HEAD + i];
    have += there;
    if (have >= 1 && head[0] != CLIENT_HELLO)
      return MC_ERR_MALFORMED;
    if (have >= HANDSHAKE_HEAD)
      need = HANDSHAKE_HEAD + ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]);
    if (there < len)
      break;
    at += RECORD_HEAD + len;
  }
  if (have >= need)
    return MC_OK;
  return bytes.len >= MC_HELLO_MAX || need > MC_HELLO_MAX ? MC_ERR_TOO_LARGE : MC_ERR_AGAIN;
}
