/* net-internal: the HTTP side of a connection, shared by http_server.c and ws.c. */
#ifndef MC_NET_HTTP_CONN_H
#define MC_NET_HTTP_CONN_H

#include "net/http_parse.h"

typedef struct http_conn {
  mc_conn *conn;
  mc_http_server *server;
  mc_http_parser parser;
  mc_http_request *waiting; /* given to the application, not answered yet */
  mc_slice static_left;     /* of the static body being sent */
  bool static_keep_alive, upgraded, ended;
  int64_t began_us; /* first byte of the request under way; 0: none */
} http_conn;

http_conn *http_request_conn(mc_http_request *r); /* NULL: gone */
void http_request_free(mc_http_request *r);       /* without an answer: the connection was taken over */
void http_conn_detach(http_conn *hc);             /* frees the HTTP state */

/* ws.c: checks an upgrade request and answers 101; the connection is then the caller's (RFC 6455, 4.2). Otherwise it answers 400 or 426, or 503 when
 * the caller had no memory. The request is freed in any case. */
mc_err mc_ws_switch(mc_http_request *r, const char *protocol, bool memory, mc_conn **out);

#endif
