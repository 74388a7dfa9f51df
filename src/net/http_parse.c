#include "net/http_parse.h"

#include <stdlib.h>

/* What llhttp does not refuse by itself is refused here: a second Host, Transfer-Encoding other than chunked or in HTTP/1.0,
 * Transfer-Encoding beside Content-Length (RFC 9112, 6.1: "ought to be handled as an error"), CONNECT, too much of anything. */

static mc_http_parser *parser_of(llhttp_t *l) { return l->data; }

static int refuse(mc_http_parser *p, int status, const char *reason)
{
  if (!p->status) {
    p->status = status;
    p->reason = reason;
  }
  return -1;
}

static int add_head(mc_http_parser *p, const char *at, size_t len)
{
  if (p->head.len + len > p->max_head)
    return refuse(p, 431, "the request line and headers are longer than this server takes");
  return mc_buf_append(&p->head, at, len) ? refuse(p, 503, "out of memory") : 0;
}

static int on_begin(llhttp_t *l)
{
  parser_of(l)->begun = true;
  return 0;
}

static int on_url(llhttp_t *l, const char *at, size_t len)
{
  mc_http_parser *p = parser_of(l);
  p->target.len += (uint32_t)len;
  return add_head(p, at, len);
}

static mc_http_span *new_span(mc_http_parser *p)
{
  if (p->header_count == p->header_cap) {
    size_t cap = p->header_cap ? p->header_cap * 2 : 16;
    mc_http_span *grown = realloc(p->header, cap * sizeof *grown);
    if (!grown)
      return NULL;
    p->header = grown;
    p->header_cap = cap;
  }
  mc_http_span *s = &p->header[p->header_count++];
  *s = (mc_http_span){(uint32_t)p->head.len, 0};
  return s;
}

static int on_name(llhttp_t *l, const char *at, size_t len)
{
  mc_http_parser *p = parser_of(l);
  if (p->head_done) /* trailers after a chunked body: read, not kept */
    return 0;
  if (p->header_count % 2 == 0) { /* the first piece of a name */
    if (p->header_count >= 2 * MC_HTTP_MAX_HEADERS)
      return refuse(p, 431, "more than 100 headers");
    if (!new_span(p))
      return refuse(p, 503, "out of memory");
  }
  mc_http_span *s = &p->header[p->header_count - 1];
  int r = add_head(p, at, len);
  if (r)
    return r;
  for (size_t i = 0; i < len; i++) {
    uint8_t *c = &p->head.data[s->at + s->len + i];
    if (*c >= 'A' && *c <= 'Z')
      *c = (uint8_t)(*c + 32);
  }
  s->len += (uint32_t)len;
  return 0;
}

static int on_name_complete(llhttp_t *l)
{
  mc_http_parser *p = parser_of(l);
  if (p->head_done)
    return 0;
  if (p->header_count % 2 == 0) /* an empty name */
    return refuse(p, 400, "a header without a name");
  return new_span(p) ? 0 : refuse(p, 503, "out of memory");
}

static int on_value(llhttp_t *l, const char *at, size_t len)
{
  mc_http_parser *p = parser_of(l);
  if (p->head_done)
    return 0;
  int r = add_head(p, at, len);
  if (r == 0)
    p->header[p->header_count - 1].len += (uint32_t)len;
  return r;
}

static mc_slice span(const mc_http_parser *p, mc_http_span s)
{
  return mc_slice_of(p->head.data + s.at, s.len);
}

static bool equals_nocase(mc_slice a, const char *lower)
{
  size_t i = 0;
  for (; i < a.len && lower[i]; i++) {
    uint8_t c = a.data[i];
    if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != lower[i])
      return false;
  }
  return i == a.len && !lower[i];
}

static int check_headers(mc_http_parser *p, llhttp_t *l)
{
  size_t hosts = 0, lengths = 0, encodings = 0;
  for (size_t i = 0; i + 1 < p->header_count; i += 2) {
    mc_slice name = span(p, p->header[i]), value = mc_slice_trim(span(p, p->header[i + 1]));
    if (memchr(value.data ? (const void *)value.data : "", 0, value.len))
      return refuse(p, 400, "a header value holds a NUL byte");
    if (mc_slice_eq_str(name, "host")) {
      hosts++;
    } else if (mc_slice_eq_str(name, "content-length")) {
      lengths++;
    } else if (mc_slice_eq_str(name, "transfer-encoding")) {
      encodings++;
      if (!equals_nocase(value, "chunked"))
        return refuse(p, 501, "only the transfer encoding chunked is understood");
    } else if (mc_slice_eq_str(name, "expect")) {
      if (!equals_nocase(value, "100-continue"))
        return refuse(p, 417, "the only expectation understood is 100-continue");
      p->expect_continue = true;
    }
  }
  if (hosts > 1 || (!hosts && l->http_minor >= 1))
    return refuse(p, 400, "exactly one Host header is needed (RFC 9112, 3.2)");
  if (lengths > 1 || encodings > 1 || (lengths && encodings))
    return refuse(p, 400, "the length of the body is said twice: Content-Length or Transfer-Encoding, once (RFC 9112, 6.1)");
  if (encodings && !(l->flags & F_CHUNKED)) /* read otherwise by llhttp than by us */
    return refuse(p, 400, "Transfer-Encoding is not understood");
  if (encodings && l->http_minor < 1)
    return refuse(p, 400, "Transfer-Encoding in HTTP/1.0");
  return 0;
}

static mc_slice authorization_of(const mc_http_parser *p)
{
  for (size_t i = 0; i + 1 < p->header_count; i += 2)
    if (mc_slice_eq_str(span(p, p->header[i]), "authorization"))
      return span(p, p->header[i + 1]);
  return (mc_slice){0};
}

static int on_headers_complete(llhttp_t *l)
{
  mc_http_parser *p = parser_of(l);
  p->head_done = true;
  if (l->http_major != 1 || l->http_minor > 1)
    return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (l->method == HTTP_CONNECT)
    return refuse(p, 501, "CONNECT is not served");
  int r = check_headers(p, l);
  if (r)
    return r;
  p->limit = p->body_limit ? p->body_limit(p->ctx, mc_slice_of(p->head.data, p->target.len), authorization_of(p), p->max_body) : p->max_body;
  if ((l->flags & F_CONTENT_LENGTH) && l->content_length > p->limit)
    return refuse(p, 413, "the body is larger than this server takes");
  bool has_body = (l->flags & F_CHUNKED) || l->content_length > 0;
  p->expect_continue = p->expect_continue && has_body && l->http_minor >= 1;
  p->keep_alive = llhttp_should_keep_alive(l) == 1;
  if ((l->flags & F_CONTENT_LENGTH) && mc_buf_reserve(&p->body, (size_t)l->content_length < 65536 ? (size_t)l->content_length : 65536))
    return refuse(p, 503, "out of memory");
  return 0;
}

/* Large bodies share one budget: nobody fills the memory by sending many of them at once. */
static bool take_large(mc_http_parser *p, size_t body)
{
  size_t over = body > p->max_body ? body - p->max_body : 0;
  if (!p->large || over <= p->large_held)
    return true;
  size_t more = over - p->large_held;
  if (atomic_fetch_add(p->large, more) + more > p->large_max) {
    atomic_fetch_sub(p->large, more);
    return false;
  }
  p->large_held = over;
  return true;
}

static int on_body(llhttp_t *l, const char *at, size_t len)
{
  mc_http_parser *p = parser_of(l);
  p->expect_continue = false; /* it did not wait */
  if (len > p->limit - p->body.len)
    return refuse(p, 413, "the body is larger than this server takes");
  if (!take_large(p, p->body.len + len))
    return refuse(p, 503, "too many large requests at once; try again when others have ended");
  return mc_buf_append(&p->body, at, len) ? refuse(p, 503, "out of memory") : 0;
}

static int on_complete(llhttp_t *l)
{
  parser_of(l)->complete = true;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_field_complete = on_name_complete,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void mc_http_parser_init(mc_http_parser *p, size_t max_body, size_t max_head)
{
  *p = (mc_http_parser){.max_body = max_body, .max_head = max_head, .limit = max_body};
  llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
  p->llhttp.data = p;
}

void mc_http_parser_free(mc_http_parser *p)
{
  mc_buf_free(&p->head);
  mc_buf_free(&p->body);
  free(p->header);
  p->header = NULL;
  if (p->large)
    atomic_fetch_sub(p->large, p->large_held);
  p->large_held = 0;
}

void mc_http_parser_next(mc_http_parser *p)
{
  mc_http_parser before = *p;
  mc_http_parser_free(p);
  mc_http_parser_init(p, before.max_body, before.max_head);
  p->body_limit = before.body_limit;
  p->ctx = before.ctx;
  p->large = before.large;
  p->large_max = before.large_max;
}

bool mc_http_parser_idle(const mc_http_parser *p)
{
  return !p->begun;
}

size_t mc_http_parser_feed(mc_http_parser *p, mc_slice in)
{
  if (p->complete || p->status || !in.len)
    return 0;
  llhttp_errno_t e = llhttp_execute(&p->llhttp, (const char *)in.data, in.len);
  size_t used = in.len;
  if (e != HPE_OK) {
    const char *pos = llhttp_get_error_pos(&p->llhttp);
    used = pos && pos >= (const char *)in.data ? (size_t)(pos - (const char *)in.data) : in.len;
    if (used > in.len)
      used = in.len;
  }
  if (e == HPE_OK || e == HPE_PAUSED || (e == HPE_PAUSED_UPGRADE && p->complete))
    return used;
  refuse(p, 400, llhttp_get_error_reason(&p->llhttp));
  p->complete = false;
  return used;
}

/* ---- targets ---- */
static int hex_digit(uint8_t c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool mc_http_percent_decode(mc_slice in, bool plus, mc_buf *out)
{
  for (size_t i = 0; i < in.len; i++) {
    uint8_t c = in.data[i];
    if (c == '%') {
      if (in.len - i < 3 || hex_digit(in.data[i + 1]) < 0 || hex_digit(in.data[i + 2]) < 0)
        return false;
      c = (uint8_t)(hex_digit(in.data[i + 1]) << 4 | hex_digit(in.data[i + 2]));
      i += 2;
    } else if (plus && c == '+') {
      c = ' ';
    }
    if (mc_buf_append_u8(out, c))
      return false;
  }
  return true;
}

/* No segment of the decoded path may be "." or "..": nothing here walks upwards. */
static bool has_dot_segment(mc_slice path)
{
  for (size_t at = 0; at <= path.len;) {
    size_t end = mc_slice_find(path, '/', at);
    mc_slice s = mc_slice_sub(path, at, end - at);
    if (mc_slice_eq_str(s, ".") || mc_slice_eq_str(s, ".."))
      return true;
    at = end + 1;
  }
  return false;
}

bool mc_http_target_split(mc_slice method, mc_slice target, mc_buf *path, mc_slice *query, const char **reason)
{
  *query = (mc_slice){0};
  *reason = "the request target is not a path";
  if (mc_slice_eq_str(target, "*") && mc_slice_eq_str(method, "OPTIONS"))
    return mc_buf_append_slice(path, target) == MC_OK;
  if (mc_slice_starts(target, MC_LIT("http://")) || mc_slice_starts(target, MC_LIT("https://"))) { /* absolute form: RFC 9112, 3.2.2 */
    size_t slash = mc_slice_find(target, '/', mc_slice_find(target, ':', 0) + 3);
    target = slash < target.len ? mc_slice_sub(target, slash, target.len) : MC_LIT("/");
  }
  if (!target.len || target.data[0] != '/')
    return false;
  size_t fragment = mc_slice_find(target, '#', 0);
  if (fragment < target.len)
    return false;
  size_t mark = mc_slice_find(target, '?', 0);
  if (mark < target.len)
    *query = mc_slice_sub(target, mark + 1, target.len);
  *reason = "the path has a broken percent escape";
  if (!mc_http_percent_decode(mc_slice_sub(target, 0, mark), false, path))
    return false;
  mc_slice p = mc_buf_slice(path);
  *reason = "the path is not UTF-8, or holds control characters or backslashes";
  if (!mc_slice_is_utf8(p))
    return false;
  for (size_t i = 0; i < p.len; i++)
    if (p.data[i] < 0x20 || p.data[i] == 0x7F || p.data[i] == '\\')
      return false;
  *reason = "the path has a . or .. segment";
  return !has_dot_segment(p);
}
