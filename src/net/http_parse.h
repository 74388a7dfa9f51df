/* net-internal: HTTP/1.1 requests from bytes (RFC 9112), over llhttp in strict mode. No I/O; the fuzz target drives it too. */
#ifndef MC_NET_HTTP_PARSE_H
#define MC_NET_HTTP_PARSE_H

#include <llhttp.h>
#include <stdatomic.h>

#include "net/net.h"

typedef struct mc_http_span { uint32_t at, len; } mc_http_span;
enum { MC_HTTP_MAX_HEADERS = 100 };

typedef struct mc_http_parser {
  llhttp_t llhttp;
  size_t max_body, max_head;
  /* Asked when the head is there: bytes of body that this request may bring. NULL: max_body for all. Set once, after init. */
  size_t (*body_limit)(void *ctx, mc_slice target, mc_slice authorization, size_t max_body);
  void *ctx;
  size_t limit; /* of the request under construction */
  /* Bytes beyond max_body, of all requests that share the counter; NULL: not counted. What a request holds of them is given back by whoever frees its body. */
  _Atomic size_t *large;
  size_t large_max, large_held;
  /* the request under construction */
  mc_buf head; /* target, then names and values one after the other */
  mc_buf body;
  mc_http_span target;
  mc_http_span *header; /* name, value, name, value, ... */
  size_t header_count, header_cap;
  bool begun, expect_continue, keep_alive, complete, head_done;
  int status;         /* != 0: refuse with it and close */
  const char *reason; /* why, for the answer's body */
} mc_http_parser;

void mc_http_parser_init(mc_http_parser *p, size_t max_body, size_t max_head);
void mc_http_parser_free(mc_http_parser *p);
/* Takes bytes until one request is complete, or all are used. Returns how many were used; look at complete and status. */
size_t mc_http_parser_feed(mc_http_parser *p, mc_slice in);
/* Between requests: true when no byte of a next one has come. */
bool mc_http_parser_idle(const mc_http_parser *p);
/* Ready for the next request. */
void mc_http_parser_next(mc_http_parser *p);

/* Splits and decodes a target; false: refuse with 400, *reason says why. path gets the decoded path. */
bool mc_http_target_split(mc_slice method, mc_slice target, mc_buf *path, mc_slice *query, const char **reason);
/* %XX to bytes, '+' to space when plus; false on a broken escape. */
bool mc_http_percent_decode(mc_slice in, bool plus, mc_buf *out);

#endif
