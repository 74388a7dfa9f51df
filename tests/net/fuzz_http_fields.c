/* Any header lines and any query string: cookies and parameters are found as a plain reading of the rules finds them, inside what came.
 * Input: a name, a newline, a Cookie header, a newline, a query string. */
#include <stdlib.h>

#include "net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int hex(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/* application/x-www-form-urlencoded, by the book; -1: a broken escape. */
static long decode(mc_slice in, uint8_t *out)
{
  long n = 0;
  for (size_t i = 0; i < in.len; i++, n++) {
    out[n] = in.data[i] == '+' ? ' ' : in.data[i];
    if (in.data[i] != '%')
      continue;
    if (i + 2 >= in.len || hex(in.data[i + 1]) < 0 || hex(in.data[i + 2]) < 0)
      return -1;
    out[n] = (uint8_t)(hex(in.data[i + 1]) * 16 + hex(in.data[i + 2]));
    i += 2;
  }
  return n;
}

/* The first pair of this name decides; -1: none, or its value is broken. */
static long reference_query(mc_slice query, mc_slice name, uint8_t *out)
{
  for (size_t at = 0; at < query.len;) {
    size_t end = at, eq;
    while (end < query.len && query.data[end] != '&')
      end++;
    for (eq = at; eq < end && query.data[eq] != '=';)
      eq++;
    long n = decode(mc_slice_of(query.data + at, eq - at), out);
    if (n >= 0 && mc_slice_eq(mc_slice_of(out, (size_t)n), name))
      return eq < end ? decode(mc_slice_of(query.data + eq + 1, end - eq - 1), out) : 0;
    at = end + 1;
  }
  return -1;
}

static mc_slice line(mc_slice *rest)
{
  size_t end = mc_slice_find(*rest, '\n', 0);
  mc_slice l = mc_slice_sub(*rest, 0, end);
  *rest = mc_slice_sub(*rest, end + 1, rest->len);
  return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_slice rest = mc_slice_of(data, size), name = line(&rest), cookie = line(&rest), found = {0};
  char text[64];
  if (name.len >= sizeof text || (name.len && memchr(name.data, 0, name.len)) || !mc_slice_to_str(name, text, sizeof text))
    return 0;
  mc_http_header header[] = {{MC_LIT("host"), MC_LIT("h")}, {MC_LIT("cookie"), cookie}, {MC_LIT("cookie"), MC_LIT("last=1; mc_session=abc")}};
  mc_http_request r = {.header = header, .header_count = 3, .query = rest};
  if (mc_http_cookie(&r, text, &found) && found.len) {
    const uint8_t *in = found.data, *last = header[2].value.data;
    bool first = in >= cookie.data && in + found.len <= cookie.data + cookie.len, second = in >= last && in + found.len <= last + header[2].value.len;
    if (!first && !second)
      abort();
  }
  if (!mc_http_cookie(&r, "mc_session", &found))
    abort(); /* whatever stands before it */
  mc_buf value = {0};
  uint8_t *want = malloc(rest.len + 1);
  if (!want)
    return 0;
  long n = reference_query(rest, name, want);
  bool there = mc_http_query(&r, text, &value);
  if (there != (n >= 0) || (there && !mc_slice_eq(mc_buf_slice(&value), mc_slice_of(want, (size_t)n))))
    abort();
  free(want);
  mc_buf_free(&value);
  return 0;
}
