#include "format/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static mc_err append(mc_buf *out, mc_slice in, const char *alphabet, bool pad)
{
  MC_TRY(mc_buf_reserve(out, in.len / 3 * 4 + 4));
  for (size_t i = 0; i < in.len; i += 3) {
    size_t n = in.len - i < 3 ? in.len - i : 3;
    uint32_t v = (uint32_t)in.data[i] << 16 | (uint32_t)(n > 1 ? in.data[i + 1] : 0) << 8 | (n > 2 ? in.data[i + 2] : 0);
    for (size_t k = 0; k < 4; k++)
      if (k <= n)
        out->data[out->len++] = (uint8_t)alphabet[v >> (18 - 6 * k) & 63];
      else if (pad)
        out->data[out->len++] = '=';
  }
  return MC_OK;
}

mc_err mc_base64_append(mc_buf *out, mc_slice bytes) { return append(out, bytes, standard, true); }
mc_err mc_base64url_append(mc_buf *out, mc_slice bytes) { return append(out, bytes, url_safe, false); }

static int value_of(uint8_t c, bool url)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  if (c == (url ? '-' : '+'))
    return 62;
  if (c == (url ? '_' : '/'))
    return 63;
  return -1;
}

/* What stands before the padding; false: the length cannot be. */
static bool unpad(mc_slice *text)
{
  if (text->len % 4)
    return false;
  for (int i = 0; i < 2 && text->len && text->data[text->len - 1] == '='; i++)
    text->len--;
  return true;
}

/* out may be NULL: only looks. Room is there. */
static bool decode(mc_slice text, bool url, uint8_t *out)
{
  uint32_t v = 0;
  size_t at = 0;
  if (text.len % 4 == 1)
    return false;
  for (size_t i = 0; i < text.len; i++) {
    int d = value_of(text.data[i], url);
    if (d < 0)
      return false;
    v = v << 6 | (uint32_t)d;
    if (i % 4 == 3 && out) {
      out[at++] = (uint8_t)(v >> 16);
      out[at++] = (uint8_t)(v >> 8);
      out[at++] = (uint8_t)v;
    }
  }
  if (text.len % 4 == 2) {
    if (v & 15)
      return false;
    if (out)
      out[at] = (uint8_t)(v >> 4);
  } else if (text.len % 4 == 3) {
    if (v & 3)
      return false;
    if (out) {
      out[at++] = (uint8_t)(v >> 10);
      out[at] = (uint8_t)(v >> 2);
    }
  }
  return true;
}

static size_t size_of(mc_slice text) { return text.len / 4 * 3 + (text.len % 4 ? text.len % 4 - 1 : 0); }

bool mc_base64_size(mc_slice text, size_t *out)
{
  if (!unpad(&text) || !decode(text, false, NULL))
    return false;
  *out = size_of(text);
  return true;
}

static mc_err decode_into(mc_slice text, bool url, mc_buf *out)
{
  size_t size = size_of(text);
  MC_TRY(mc_buf_reserve(out, size + 1));
  if (!decode(text, url, out->data + out->len))
    return MC_ERR_MALFORMED;
  out->len += size;
  return MC_OK;
}

mc_err mc_base64_decode(mc_slice text, mc_buf *out) { return unpad(&text) ? decode_into(text, false, out) : MC_ERR_MALFORMED; }
mc_err mc_base64url_decode(mc_slice text, mc_buf *out) { return text.len % 4 == 1 ? MC_ERR_MALFORMED : decode_into(text, true, out); }
