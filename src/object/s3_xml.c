/* The little XML that S3 speaks: flat elements without attributes that matter. */
#include <stdio.h>

#include "base/clock.h"
#include "object/s3.h"

static bool tag_at(mc_slice xml, size_t at, const char *name, bool closing, size_t *end)
{
  size_t n = strlen(name), from = at + 1 + closing;
  if (!mc_slice_eq(mc_slice_sub(xml, from, n), mc_slice_of(name, n)) || (closing && xml.data[at + 1] != '/'))
    return false;
  size_t close = mc_slice_find(xml, '>', from);
  if (close >= xml.len || (close > from + n && xml.data[from + n] != ' ' && xml.data[from + n] != '/'))
    return false;
  *end = close + 1;
  return true;
}

mc_err s3_xml_next(mc_slice xml, size_t *at, const char *name, mc_slice *text)
{
  size_t end;
  for (size_t i = mc_slice_find(xml, '<', *at); i + 1 < xml.len; i = mc_slice_find(xml, '<', i + 1)) {
    if (!tag_at(xml, i, name, false, &end))
      continue;
    if (xml.data[end - 2] == '/') { /* <Name/> */
      *text = (mc_slice){0};
      *at = end;
      return MC_OK;
    }
    for (size_t k = mc_slice_find(xml, '<', end); k + 1 < xml.len; k = mc_slice_find(xml, '<', k + 1)) {
      size_t behind;
      if (!tag_at(xml, k, name, true, &behind))
        continue;
      *text = mc_slice_sub(xml, end, k - end);
      *at = behind;
      return MC_OK;
    }
    return MC_ERR_TRUNCATED;
  }
  return MC_ERR_END;
}

static mc_err put_character(uint32_t c, mc_buf *out)
{
  if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
    return MC_ERR_MALFORMED;
  uint8_t b[4];
  size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const uint8_t first[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = n; i-- > 1; c >>= 6)
    b[i] = (uint8_t)(0x80 | (c & 0x3F));
  b[0] = (uint8_t)(first[n] | c);
  return mc_buf_append(out, b, n);
}

static mc_err put_entity(mc_slice name, mc_buf *out)
{
  static const struct {
    const char *name;
    char c;
  } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (mc_slice_eq_str(name, known[i].name))
      return mc_buf_append_u8(out, (uint8_t)known[i].c);
  if (name.len < 2 || name.len > 8 || name.data[0] != '#')
    return MC_ERR_MALFORMED;
  uint32_t value = 0;
  bool hex = name.data[1] == 'x';
  for (size_t i = 1 + hex; i < name.len; i++) {
    uint8_t c = name.data[i], low = c | 0x20;
    uint32_t digit = c >= '0' && c <= '9' ? c - 48U : hex && low >= 'a' && low <= 'f' ? low - 87U : 99U;
    if (digit == 99)
      return MC_ERR_MALFORMED;
    value = value * (hex ? 16 : 10) + digit;
  }
  return put_character(value, out);
}

mc_err s3_xml_text(mc_slice text, mc_buf *out)
{
  for (size_t at = 0; at < text.len;) {
    size_t amp = mc_slice_find(text, '&', at);
    MC_TRY(mc_buf_append_slice(out, mc_slice_sub(text, at, amp - at)));
    if (amp >= text.len)
      break;
    size_t end = mc_slice_find(text, ';', amp);
    if (end >= text.len)
      return MC_ERR_MALFORMED;
    MC_TRY(put_entity(mc_slice_sub(text, amp + 1, end - amp - 1), out));
    at = end + 1;
  }
  return MC_OK;
}

static int hex_digit(uint8_t c)
{
  uint8_t low = c | 0x20;
  return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* encoding-type=url: percent-encoding, in place. */
static mc_err unescape(mc_buf *b)
{
  size_t n = 0;
  for (size_t i = 0; i < b->len; i++) {
    uint8_t c = b->data[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%') {
      int high = i + 2 < b->len ? hex_digit(b->data[i + 1]) : -1, low = high >= 0 ? hex_digit(b->data[i + 2]) : -1;
      if (low < 0)
        return MC_ERR_MALFORMED;
      c = (uint8_t)(high << 4 | low);
      i += 2;
    }
    b->data[n++] = c;
  }
  b->len = n;
  return MC_OK;
}

static mc_err element(mc_slice xml, const char *name, mc_slice *text)
{
  size_t at = 0;
  mc_err err = s3_xml_next(xml, &at, name, text);
  if (err == MC_ERR_END)
    *text = (mc_slice){0};
  return err == MC_ERR_END ? MC_OK : err;
}

static mc_err visit_one(mc_slice contents, bool encoded, mc_object_visit visit, void *ctx)
{
  mc_slice key, size, changed;
  mc_object_info info = {0};
  mc_buf plain = {0};
  MC_TRY(element(contents, "Key", &key));
  MC_TRY(element(contents, "Size", &size));
  MC_TRY(element(contents, "LastModified", &changed));
  if (size.len && mc_slice_to_u64(size, &info.size))
    return MC_ERR_MALFORMED;
  if (mc_clock_parse_us(changed, &info.changed_us))
    info.changed_us = 0;
  mc_err err = s3_xml_text(key, &plain);
  if (!err && encoded)
    err = unescape(&plain);
  info.key = mc_buf_slice(&plain);
  if (!err)
    err = visit(ctx, &info);
  mc_buf_free(&plain);
  return err;
}

mc_err s3_list_page(mc_slice xml, mc_object_visit visit, void *ctx, size_t *left, bool *more, mc_buf *token, mc_why *why)
{
  mc_slice text;
  size_t at = 0;
  mc_err err = element(xml, "EncodingType", &text);
  bool encoded = !err && mc_slice_eq_str(text, "url");
  *more = false;
  mc_buf_clear(token);
  while (!err && *left && !(err = s3_xml_next(xml, &at, "Contents", &text))) {
    err = visit_one(text, encoded, visit, ctx);
    if (err && err != MC_ERR_MALFORMED && err != MC_ERR_TRUNCATED)
      return err; /* the visitor's */
    --*left;
  }
  if (err == MC_ERR_END)
    err = MC_OK;
  if (!err)
    err = element(xml, "IsTruncated", &text);
  *more = !err && mc_slice_eq_str(text, "true");
  if (!err && *more)
    err = element(xml, "NextContinuationToken", &text);
  if (!err && *more)
    err = s3_xml_text(text, token);
  if (!err && *more && !token->len)
    err = MC_ERR_MALFORMED;
  return err ? mc_err_set(why, err, "the object store's listing cannot be read: %s", mc_err_text(err)) : MC_OK;
}
