/* net: sockets, TLS, certificates, HTTP and WebSocket connections, and the MQTT client.
 *
 * A connection belongs to the loop that accepted or opened it and never moves. All callbacks run on that
 * loop; all functions taking a connection must be called there, unless "any thread" is said. TLS is OpenSSL 3
 * straight on the socket (no memory BIOs), SSL_MODE_RELEASE_BUFFERS, sessions resumed by tickets shared by all
 * loops of the process. Reads go into one 64 KiB buffer a loop; a connection keeps bytes of its own only while a
 * message is incomplete or its output is blocked, so that an idle one is small. */
#ifndef MC_NET_H
#define MC_NET_H

#include "base/err.h"
#include "base/loop.h"
#include "base/slice.h"
#include "format/mqtt.h"

/* ---- certificates ---- */
enum { MC_FINGERPRINT = 32 }; /* SHA-256 of the DER form: the certificate id */
typedef struct mc_cert_info {
  uint8_t fingerprint[MC_FINGERPRINT];
  char common_name[128]; /* UTF-8, terminated */
  char serial[44];       /* hex */
  int64_t not_before_us, not_after_us;
} mc_cert_info;
void mc_fingerprint_hex(const uint8_t fingerprint[MC_FINGERPRINT], char out[2 * MC_FINGERPRINT + 1]);
mc_err mc_cert_read_pem(mc_slice pem, mc_cert_info *out, mc_why *why);
/* Its fields by name ("Subject.CommonName", "Issuer.Country", "Subject.AlternativeName.DNSName", "SerialNumber"), values of one name in the certificate's order; the
 * form that is appended is README's, "Fields of a certificate". Walk with *at 0 until false. */
mc_err mc_cert_fields_read_pem(mc_slice pem, mc_buf *out, mc_why *why);
bool mc_cert_field_next(mc_slice fields, size_t *at, mc_slice *name, mc_slice *value);

/* A P-256 certificate authority and what it issues. PEM texts are appended to the buffers. */
mc_err mc_pki_create_ca(const char *common_name, int days, mc_buf *cert_pem, mc_buf *key_pem, mc_why *why);
/* dns_and_ips: "localhost,127.0.0.1,::1,host.example". */
mc_err mc_pki_issue_server(mc_slice ca_cert_pem, mc_slice ca_key_pem, const char *common_name, const char *dns_and_ips, int days, mc_buf *cert_pem, mc_buf *key_pem, mc_why *why);
mc_err mc_pki_issue_client(mc_slice ca_cert_pem, mc_slice ca_key_pem, const char *common_name, int days, mc_buf *cert_pem, mc_buf *key_pem, mc_why *why);
/* Signs a request; its subject is replaced by common_name. */
mc_err mc_pki_sign_csr(mc_slice ca_cert_pem, mc_slice ca_key_pem, mc_slice csr_pem, const char *common_name, int days, mc_buf *cert_pem, mc_why *why);

/* Signs a text with the CA's key (ECDSA or RSA over SHA-256); the signature is appended in base64. */
mc_err mc_pki_sign(mc_slice ca_key_pem, mc_slice text, mc_buf *signature, mc_why *why);
/* MC_ERR_CHECKSUM: not signed by this CA, or changed since. */
mc_err mc_pki_verify(mc_slice ca_cert_pem, mc_slice text, mc_slice signature, mc_why *why);

/* ---- TLS contexts (shared, immutable after creation, any thread) ---- */
typedef struct mc_tls mc_tls;
typedef enum mc_alpn { MC_ALPN_NONE, MC_ALPN_MQTT_CERT /* x-amzn-mqtt-ca */, MC_ALPN_MQTT /* mqtt */, MC_ALPN_HTTP_CERT /* x-amzn-http-ca */, MC_ALPN_HTTP11, MC_ALPN_OTHER } mc_alpn;
typedef struct mc_tls_server_config {
  mc_slice cert_pem, key_pem; /* server certificate (with chain) and key */
  mc_slice client_ca_pem;     /* whose client certificates are asked for and verified; empty: none asked */
  bool tls13_only;
  /* Files; NULL: none. They are looked at every check_s seconds (0: 5) by a thread of the context. What cannot be used at the start is an error;
   * later the last good state stays, with a warning. */
  const char *ticket_path; /* keys of session tickets, made when missing, mode 0600: tickets live through a restart */
  const char *crl_path;    /* revocation lists of client authorities, PEM or DER */
  bool crl_required;       /* a certificate whose authority has no current list is refused */
  const char *staple_path; /* OCSP answer (DER) about the server's certificate, refreshed by the operator */
  bool staple_fetch;       /* asks the responder that the server's certificate names, over HTTP */
  uint32_t check_s;
  void (*revoked)(void *ctx); /* on that thread: a new list is in use; ask mc_conn_trusted of who is connected */
  void *ctx;
} mc_tls_server_config;
/* A client certificate that does not verify does not break the handshake: mc_conn_peer says so and the protocol above
 * refuses with a reason that the device can read. */
mc_err mc_tls_server_create(const mc_tls_server_config *config, mc_tls **out, mc_why *why);
/* Looks at the files now. Any thread. */
mc_err mc_tls_refresh(mc_tls *tls, mc_why *why);
/* Ends its thread: revoked() is not called again, files are not looked at any more. NULL is fine. */
void mc_tls_quiet(mc_tls *tls);
typedef struct mc_tls_client_config {
  mc_slice ca_pem;            /* empty: the system store */
  mc_slice cert_pem, key_pem; /* may be empty */
  const char *alpn;           /* "x-amzn-mqtt-ca", "mqtt", "http/1.1" or NULL */
} mc_tls_client_config;
mc_err mc_tls_client_create(const mc_tls_client_config *config, mc_tls **out, mc_why *why);
void mc_tls_destroy(mc_tls **tls);

/* ---- stream connections ---- */
typedef struct mc_conn mc_conn;

typedef struct mc_peer {
  char address[56];      /* "192.0.2.1:5123", "[2001:db8::1]:5123" */
  bool tls, has_cert, cert_verified, resumed, websocket;
  bool cert_revoked;     /* by its authority's list: whatever else is known about it */
  char verify_error[96]; /* why the chain did not verify */
  mc_cert_info cert;
  mc_alpn alpn;
  char tls_version[12];
  char server_name[256]; /* what the client asked for (SNI), empty: nothing, or resumed in TLS 1.2 */
} mc_peer;

/* What the protocol above provides. Owned by it, shared by its connections. */
typedef struct mc_conn_handler {
  /* Handshake done (or plain accept). Set the user pointer here. */
  void (*open)(mc_conn *conn);
  /* Bytes arrived: all that are there, kept ones first. Return how many were consumed; the rest is kept and given again
   * with more. Return SIZE_MAX to close. Called at most once per readiness with up to 64 KiB. */
  size_t (*data)(mc_conn *conn, mc_slice in);
  /* Output that had been blocked was written out (back-pressure ends). May be NULL. */
  void (*drained)(mc_conn *conn);
  /* Gone: last callback; err says why (MC_ERR_END = peer closed cleanly). The handle dies after it returns. */
  void (*closed)(mc_conn *conn, mc_err err, const char *text);
} mc_conn_handler;

void mc_conn_set_user(mc_conn *conn, void *user);
void *mc_conn_user(const mc_conn *conn);
mc_loop *mc_conn_loop(const mc_conn *conn);
/* Peer facts; certificate details are read from the TLS session when asked. */
void mc_conn_peer(const mc_conn *conn, mc_peer *out);
/* Is the certificate that it came with still not revoked by its authority and not expired? True without one. Cheap. */
bool mc_conn_trusted(const mc_conn *conn, char *text, size_t size);
void mc_conn_set_handler(mc_conn *conn, const mc_conn_handler *handler); /* upgrade (ALPN, WebSocket) */
/* Queues bytes (copied) and flushes them once at the end of the loop's turn: many small packets, one write. */
mc_err mc_conn_write(mc_conn *conn, mc_slice bytes);
/* The connection's output buffer, to encode straight into; call mc_conn_dirty after appending. */
mc_buf *mc_conn_out(mc_conn *conn);
void mc_conn_dirty(mc_conn *conn);
size_t mc_conn_backlog(const mc_conn *conn); /* bytes not yet taken by the kernel */
/* Stops/starts reading: the way to push back on a publisher. */
void mc_conn_pause(mc_conn *conn, bool paused);
/* Idle limit: closed with MC_ERR_TIMEOUT when no byte arrives for this long (0: never). */
void mc_conn_set_idle_ms(mc_conn *conn, int64_t idle_ms);
/* Flushes what is queued (for at most 2 s), then closes; closed() follows. */
void mc_conn_close(mc_conn *conn);

/* Bytes of memory that a connection holds in this process: its own, its buffers, its certificate, and what OpenSSL allocated for it.
 * Not what the protocol above keeps, nor the kernel's socket. The sum of all is the metric motorcade_net_connection_bytes. */
size_t mc_conn_memory(const mc_conn *conn);

/* Limits by source address (IPv6: by /64), shared by the listeners that name it. What is over a limit is closed when accepted, counted, and logged now and then. */
typedef struct mc_gate mc_gate;
typedef struct mc_gate_config { /* 0: no limit */
  uint32_t source_connections; /* open at once */
  uint32_t source_unfinished;  /* of these, not yet through their TLS handshake */
  uint32_t source_per_s;       /* new ones a second; bursts of twice that */
} mc_gate_config;
mc_err mc_gate_create(const mc_gate_config *config, mc_gate **out, mc_why *why);
void mc_gate_destroy(mc_gate **gate); /* after the loops of its listeners */

typedef struct mc_listener mc_listener;
typedef struct mc_listener_config {
  const char *host; /* "127.0.0.1", "::", NULL = any */
  uint16_t port;    /* 0: chosen by the system */
  bool reuse_port;  /* one listener a loop on the same port */
  mc_tls *tls;      /* NULL: plain */
  int handshake_timeout_ms; /* from accept to ClientHello, and from there to its end; no byte lengthens it; 0: 10,000 */
  int max_handshakes;       /* in progress on this loop; more wait in the order they came; 0: 256 */
  int max_waiting;          /* accepted and waiting on this loop; more wait in the kernel's backlog; 0: 16,384 */
  mc_gate *gate;            /* NULL: no limits by source address */
  const mc_conn_handler *handler;              /* for plain, or when choose is NULL */
  /* TLS: picks the protocol by ALPN before the first byte; NULL result closes. */
  const mc_conn_handler *(*choose)(void *ctx, mc_alpn alpn, const mc_conn *conn);
  void *ctx; /* initial user pointer of each connection */
} mc_listener_config;
mc_err mc_listener_create(mc_loop *loop, const mc_listener_config *config, mc_listener **out, mc_why *why);
uint16_t mc_listener_port(const mc_listener *l);
void mc_listener_destroy(mc_listener **l); /* stops accepting; connections live on */

/* Opens a connection (name resolution on a thread of its own); handler->open on success, handler->closed on failure. */
mc_err mc_conn_open(mc_loop *loop, const char *host, uint16_t port, mc_tls *tls, const mc_conn_handler *handler, void *user, mc_conn **out, mc_why *why);

/* ---- HTTP/1.1 server side (RFC 9112; parsed by llhttp) ---- */
typedef struct mc_http_header { mc_slice name /* lower case */, value; } mc_http_header;
typedef struct mc_http_request {
  mc_slice method, target, path /* percent-decoded, dot segments refused */, query /* raw */;
  const mc_http_header *header;
  size_t header_count;
  mc_slice body;
  mc_conn *conn;
  uint64_t id; /* unique in the process; also sent as X-Request-Id */
  void *user;  /* server's */
} mc_http_request;
/* Value of a header (name in lower case), or an empty slice with data NULL. */
mc_slice mc_http_request_header(const mc_http_request *r, const char *name);
/* One query parameter, decoded into the buffer; false when absent. */
bool mc_http_query(const mc_http_request *r, const char *name, mc_buf *out);
bool mc_http_cookie(const mc_http_request *r, const char *name, mc_slice *out);

/* A part of the address space that is answered elsewhere: the path that is its prefix, and all behind it and a slash. */
typedef struct mc_http_mount {
  const char *prefix; /* "/aws" */
  /* Bytes of body that a request may bring; asked on its loop when the head is there and the body is not. target: as sent; authorization: the header's value,
   * or empty. */
  size_t (*max_body)(void *ctx, mc_slice target, mc_slice authorization);
  void (*request)(void *ctx, mc_http_request *r); /* as the server's own */
  void *ctx;
} mc_http_mount;

typedef struct mc_http_server mc_http_server;
typedef struct mc_http_server_config {
  size_t max_body;    /* bytes; 0: 1 MiB. Larger: 413 */
  size_t max_headers; /* bytes; 0: 16 KiB. Larger: 431 */
  int64_t idle_ms;    /* keep-alive and slow-request limit; 0: 60,000 */
  /* A complete request. It lives until answered: answer now, or keep the pointer and answer later from any thread. Exactly one
   * answer for each. Pipelined requests wait their turn. The connection may go away meanwhile; answering is still required and harmless. */
  void (*request)(void *ctx, mc_http_request *r);
  void *ctx;
  const mc_http_mount *mount; /* outlives the server */
  size_t mount_count;
  size_t large_bytes; /* what mounts allow beyond max_body: bytes of all such bodies that are in memory at once; 0: 1 GiB. Beyond: 503 */
} mc_http_server_config;
mc_err mc_http_server_create(const mc_http_server_config *config, mc_http_server **out);
void mc_http_server_destroy(mc_http_server **server);
/* The handler to give to a listener; the listener's ctx must be the server. */
const mc_conn_handler *mc_http_server_handler(void);

typedef struct mc_http_reply {
  int status;
  const char *content_type; /* NULL: none */
  mc_slice body;
  const mc_http_header *header; /* extra ones */
  size_t header_count;
} mc_http_reply;
/* Any thread. Copies what it needs, frees the request. HEAD gets headers only. */
void mc_http_answer(mc_http_request *r, const mc_http_reply *reply);
/* Sends a file-like body that outlives the process (static assets): not copied. */
void mc_http_answer_static(mc_http_request *r, const mc_http_reply *reply);

/* ---- WebSocket server side (RFC 6455) ---- */
typedef struct mc_ws mc_ws;
typedef struct mc_ws_handler {
  void (*message)(mc_ws *ws, bool binary, mc_slice payload); /* whole messages, at most max_message */
  void (*closed)(mc_ws *ws);
} mc_ws_handler;
/* On the connection's loop, in request(): answers 101 and takes the connection over; protocol (may be NULL) is the chosen subprotocol. Frees the request.
 * On a request that is not a valid upgrade it answers 400/426 and returns an error. */
mc_err mc_ws_accept(mc_http_request *r, const char *protocol, const mc_ws_handler *handler, void *user, size_t max_message, mc_ws **out);
/* The same, but the frames carry a byte stream (MQTT over WebSocket; MQTT 5.0, 6): from here on the connection behaves for `inner` and `user` as an
 * accepted one, open() is called at once. Text frames end it with 1003. max_message: bytes of one WebSocket message. */
mc_err mc_ws_accept_stream(mc_http_request *r, const char *protocol, const mc_conn_handler *inner, void *user, size_t max_message);
/* Is `protocol` among the subprotocols that the request offers? */
bool mc_ws_offers(const mc_http_request *r, const char *protocol);
void *mc_ws_user(const mc_ws *ws);
mc_conn *mc_ws_conn(const mc_ws *ws);
mc_err mc_ws_send(mc_ws *ws, bool binary, mc_slice payload); /* its loop */
void mc_ws_close(mc_ws *ws, uint16_t code, const char *reason);

/* ---- MQTT client (edge agent, simulator, bench, bridges) ---- */
typedef struct mc_mqtt_client mc_mqtt_client;
typedef struct mc_mqtt_client_config {
  const char *host;
  uint16_t port;
  mc_tls *tls; /* NULL: plain */
  uint8_t version; /* MC_MQTT_5 (default when 0) or MC_MQTT_311 */
  mc_slice client_id, username, password;
  uint16_t keep_alive_s; /* 0: 60 */
  bool clean;
  uint32_t session_expiry_s;
  uint32_t backoff_min_ms, backoff_max_ms; /* 0: 500 and 60,000; doubled, with jitter */
  uint16_t max_inflight; /* 0: 64; the server's Receive Maximum also bounds it */
  mc_slice will_topic, will_payload;
  uint8_t will_qos;
  bool will_retain;
  void *ctx;
  void (*connected)(void *ctx, bool session_present);
  /* text: reason for people, e.g. "not authorized: certificate 1a2b... is revoked". The client reconnects by itself until stopped. */
  void (*disconnected)(void *ctx, mc_err err, uint8_t reason_code, const char *text);
  void (*message)(void *ctx, const mc_mqtt_publish *m); /* QoS 1 is acknowledged after this returns */
  /* A QoS 1 publish of ours was acknowledged (code < 0x80) or refused; token as given. On loss of the connection: unanswered ones are kept
   * and sent again with DUP when resume is possible, else reported with err MC_ERR_CLOSED. */
  void (*acked)(void *ctx, uint64_t token, mc_err err, uint8_t reason_code);
  void (*subscribed)(void *ctx, uint16_t packet_id, const uint8_t *code, size_t count);
} mc_mqtt_client_config;
mc_err mc_mqtt_client_create(mc_loop *loop, const mc_mqtt_client_config *config, mc_mqtt_client **out, mc_why *why); /* strings copied */
void mc_mqtt_client_start(mc_mqtt_client *c);
/* DISCONNECT, then closed; no reconnect. */
void mc_mqtt_client_stop(mc_mqtt_client *c);
void mc_mqtt_client_destroy(mc_mqtt_client **c);
bool mc_mqtt_client_is_connected(const mc_mqtt_client *c);
/* MC_ERR_AGAIN: not connected or the window is full; nothing was taken. */
mc_err mc_mqtt_client_publish(mc_mqtt_client *c, mc_slice topic, mc_slice payload, uint8_t qos, bool retain, uint64_t token);
mc_err mc_mqtt_client_subscribe(mc_mqtt_client *c, const mc_mqtt_filter *filter, size_t count, uint16_t *packet_id);
size_t mc_mqtt_client_inflight(const mc_mqtt_client *c);

#endif
