/* net-internal: the inside of a connection, shared by conn.c, connect.c, listener.c and http_server.c. */
#ifndef MC_NET_CONN_H
#define MC_NET_CONN_H

#include "net/net.h"
#include "net/openssl_glue.h"

enum { MC_CONN_READ_SIZE = 64 * 1024, MC_CONN_SPARES = 256 };

typedef enum mc_conn_phase {
  MC_CONN_RESOLVING,
  MC_CONN_CONNECTING,
  MC_CONN_GREETING, /* accepted; its ClientHello is not there yet */
  MC_CONN_QUEUED,   /* its ClientHello is there; waits for its turn */
  MC_CONN_HANDSHAKE,
  MC_CONN_OPEN,
  MC_CONN_LINGERING
} mc_conn_phase;

/* Connections that are being admitted, oldest first. */
typedef struct mc_setup_link {
  struct mc_setup_link *prev, *next;
  struct mc_setup_list *list; /* NULL: in none */
} mc_setup_link;
typedef struct mc_setup_list {
  mc_setup_link *first, *last;
  size_t len;
} mc_setup_list;

/* admission.c: what a loop is admitting. README, "Admission". */
typedef struct mc_admission {
  mc_setup_list greeting, waiting, active, parked; /* by mc_conn_setup.place */
  mc_setup_list ready;                             /* by mc_conn_setup.turn: bytes of a handshake have come */
  mc_timer tick;
  int64_t shown[3]; /* waiting, active, parked, as last told to the metrics */
  struct mc_metric *state[3], *dropped[3];
} mc_admission;

/* What net keeps a loop: one read buffer, the connections to look at before the loop waits, spare output buffers. */
typedef struct mc_net_loop {
  mc_loop *loop;
  uint8_t *read; /* MC_CONN_READ_SIZE */
  struct mc_conn *work; /* connections with output to flush, input to give again, or a close to do */
  struct mc_conn **work_tail;
  mc_post wake; /* keeps the loop from waiting while work is there */
  bool wake_posted;
  struct mc_conn *dead; /* freed at the end of the turn */
  mc_buf spare[MC_CONN_SPARES]; /* a group of the journal answers many connections before the first is flushed */
  size_t spare_len, spare_bytes;
  size_t conns, conns_peak; /* peak: since memory last went back */
  mc_timer trim;
  int handshakes; /* steps of connections that we open, done in this turn */
  mc_admission admission;
  int64_t bytes, bytes_shown, conns_shown; /* memory of all its connections; as last told to the metrics */
  struct mc_metric *bytes_metric, *conns_metric;
} mc_net_loop;

/* Only while a connection is being made. */
typedef struct mc_conn_setup {
  struct mc_listener *listener; /* accepted by it; NULL for ours */
  struct mc_conn *conn;
  mc_setup_link place, turn; /* admission */
  int64_t since_us;          /* monotonic: accepted; then: its handshake began */
  mc_tls *tls;
  struct mc_resolve *resolve;
  uint16_t port;
  size_t address_at, address_count;
  struct sockaddr_storage *address;
  char last_error[160];
  char host[]; /* ours */
} mc_conn_setup;

struct mc_conn {
  mc_watch watch;
  mc_timer timer; /* handshake, idle or close limit */
  mc_net_loop *net;
  const mc_conn_handler *handler;
  void *user;
  SSL *ssl;
  mc_conn_cert *cert;
  mc_conn_setup *setup;
  struct mc_ws_stream *stream; /* inside WebSocket frames; NULL: plain */
  struct mc_source *source; /* what its address is counted by; NULL: it is not */
  struct mc_conn *next_work;
  mc_buf in;  /* incomplete message, kept */
  mc_buf out; /* not yet taken by the kernel */
  size_t out_at;
  int64_t last_in_us;
  uint32_t idle_ms;
  uint32_t tls_bytes; /* what OpenSSL holds for it */
  uint32_t counted;   /* bytes of it in net->bytes */
  uint8_t phase; /* mc_conn_phase */
  uint8_t alpn;
  bool in_work : 1, paused : 1, blocked : 1, closing : 1, fed : 1, opened : 1, server : 1, again : 1, in_data : 1, tell_empty : 1, want_write : 1,
      dead : 1;
  uint8_t fail_err; /* deferred failure */
};

/* The loop's net state, made on first use. NULL when memory is out. */
mc_net_loop *mc_net_loop_of(mc_loop *loop);
mc_conn *mc_conn_new(mc_net_loop *net, int fd, const mc_conn_handler *handler, void *user);
/* Starts TLS or opens; used by listener and connect. */
void mc_conn_begin(mc_conn *c, mc_tls *tls);
/* Ends it now: closed() is called when open() was (or when it is ours), then everything is freed. */
void mc_conn_fail(mc_conn *c, mc_err err, const char *text);
/* Looks at the connection before the loop waits. */
void mc_conn_schedule(mc_conn *c);
/* drained() will also be called when output that never blocked has gone out. */
void mc_conn_tell_empty(mc_conn *c);
/* Frees the setup and tells the listener that the handshake is over. */
void mc_conn_setup_done(mc_conn *c);
/* One step of its TLS handshake; it may open or fail. */
void mc_conn_handshake_step(mc_conn *c);
/* The sum of the loop follows what the connection holds now. */
void mc_conn_count(mc_conn *c);
/* It keeps what OpenSSL took since mc_tls_memory() said `before`. */
void mc_conn_count_tls(mc_conn *c, int64_t before);

/* admission.c */
void mc_admission_init(mc_net_loop *net);
void mc_admission_accepted(mc_conn *c);  /* TLS: reads its greeting, then it waits for its turn */
void mc_admission_event(mc_conn *c, uint32_t events); /* of a connection that is being admitted */
void mc_admission_leave(mc_conn_setup *s);
void mc_admission_turn(mc_net_loop *net); /* at the end of a turn: some handshakes go on, some begin */
bool mc_admission_busy(const mc_net_loop *net); /* there is more to do without waiting */
/* May one more be accepted? Those who say nothing make room. */
bool mc_admission_room(mc_net_loop *net, int max_waiting);

/* gate.c: counting by source address */
typedef struct mc_source mc_source;
struct sockaddr_storage;
/* MC_ERR_FULL: its address has too many. *source (may become NULL) is given back with mc_source_leave. */
mc_err mc_gate_enter(mc_gate *gate, const struct sockaddr_storage *from, mc_source **source);
void mc_source_finished(mc_source **source); /* its handshake is over; forgotten when open connections are not counted */
void mc_source_leave(mc_source **source);

/* conn_io.c */
void mc_conn_read_ready(mc_conn *c);
void mc_conn_read_again(mc_conn *c); /* bytes that are there although the socket is quiet */
mc_err mc_conn_flush(mc_conn *c);    /* MC_OK: all out; MC_ERR_AGAIN: blocked */
/* Keeps an emptied output buffer for the next one who needs one, or frees it. */
void mc_conn_give_back(mc_net_loop *net, mc_buf *out);

/* tls_memory.c: bytes that OpenSSL has allocated less those freed, on this thread. */
int64_t mc_tls_memory(void);

/* connect.c */
void mc_conn_connect_ready(mc_conn *c); /* EPOLLOUT in MC_CONN_CONNECTING */
void mc_conn_connect_next(mc_conn *c);

/* listener.c */
void mc_listener_handshake_done(struct mc_listener *l);
int mc_listener_max_handshakes(const struct mc_listener *l);
int64_t mc_listener_timeout_us(const struct mc_listener *l);
mc_tls *mc_listener_tls(const struct mc_listener *l); /* NULL: it was destroyed */
const mc_conn_handler *mc_listener_choose(struct mc_listener *l, mc_alpn alpn, const mc_conn *c);

/* resolve.c: looks a name up on a thread of its own; done runs on the loop, never before this returns. */
typedef struct mc_resolve mc_resolve;
struct sockaddr_storage;
mc_err mc_resolve_start(mc_loop *loop, const char *host, uint16_t port, void (*done)(void *ctx, struct sockaddr_storage *address, size_t count, const char *error),
                        void *ctx, mc_resolve **out);
void mc_resolve_cancel(mc_resolve *r); /* done will not be called */

#endif
