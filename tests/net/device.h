/* A TLS server that comes and goes, and devices that visit it: what the tests of tickets, revocation lists and staples share. */
#ifndef TESTS_NET_DEVICE_H
#define TESTS_NET_DEVICE_H

#include "pair.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/openssl_glue.h"

static pki p;
static mc_loop *loop;

/* Wall time of the tests: the system's, moved. Set before there are threads. */
static _Atomic int64_t wall_ahead_us;
static inline int64_t system_us(clockid_t clock)
{
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static inline int64_t moved_wall(void) { return system_us(CLOCK_REALTIME) + atomic_load(&wall_ahead_us); }
static _Atomic int64_t mono_ahead_us;
static _Atomic int64_t mono_stands_us; /* monotonic time stands there, but for what is passed; 0: it goes on */
static inline int64_t moved_mono(void)
{
  int64_t stands = atomic_load(&mono_stands_us);
  return (stands ? stands : system_us(CLOCK_MONOTONIC)) + atomic_load(&mono_ahead_us);
}
static inline void time_stands(bool still) { atomic_store(&mono_stands_us, still ? system_us(CLOCK_MONOTONIC) : 0); }
static inline void pass(int64_t us) { atomic_fetch_add(&mono_ahead_us, us); } /* monotonic time goes on at once */
static inline void set_wall(int64_t us) { atomic_store(&wall_ahead_us, us - system_us(CLOCK_REALTIME)); }

typedef struct server {
  mc_tls *tls;
  mc_listener *listener;
  end end;
} server;

/* With the server certificate of p, unless the configuration names one. */
static inline bool server_start(server *s, const mc_tls_server_config *config)
{
  mc_why why;
  *s = (server){0};
  mc_tls_server_config tc = *config;
  if (!tc.cert_pem.len) {
    tc.cert_pem = mc_buf_slice(&p.server_cert);
    tc.key_pem = mc_buf_slice(&p.server_key);
  }
  if (mc_tls_server_create(&tc, &s->tls, &why)) {
    printf("# %s\n", why.text);
    return false;
  }
  mc_listener_config lc = {.host = "127.0.0.1", .tls = s->tls, .handler = &end_handler, .ctx = &s->end};
  return mc_listener_create(loop, &lc, &s->listener, &why) == MC_OK;
}

static inline void server_stop(server *s)
{
  if (s->end.conn && !s->end.closed)
    mc_conn_close(s->end.conn);
  TURN_WHILE(loop, s->end.conn && !s->end.closed);
  mc_listener_destroy(&s->listener);
  mc_loop_turn(loop, 0);
  mc_tls_destroy(&s->tls);
  mc_buf_free(&s->end.got);
}

/* A client of OpenSSL's own on the loop's thread, stepped by hand. Its session is offered, and replaced by what it gets. */
typedef struct device {
  SSL_CTX *ctx;
  SSL_SESSION *session;
  int version;
  bool anonymous;
  mc_slice cert, key; /* empty: those of p */
} device;

static inline int keep_session(SSL *ssl, SSL_SESSION *session)
{
  device *d = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  SSL_SESSION_free(d->session);
  d->session = session;
  return 1;
}

static inline void device_make(device *d)
{
  X509 *x;
  EVP_PKEY *key;
  d->ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_app_data(d->ctx, d);
  SSL_CTX_set_min_proto_version(d->ctx, d->version);
  SSL_CTX_set_max_proto_version(d->ctx, d->version);
  SSL_CTX_set_session_cache_mode(d->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(d->ctx, keep_session);
  if (!d->anonymous && mc_pem_read_cert(d->cert.len ? d->cert : mc_buf_slice(&p.client_cert), &x, NULL) == MC_OK &&
      mc_pem_read_key(d->key.len ? d->key : mc_buf_slice(&p.client_key), &key, NULL) == MC_OK) {
    SSL_CTX_use_certificate(d->ctx, x);
    SSL_CTX_use_PrivateKey(d->ctx, key);
    X509_free(x);
    EVP_PKEY_free(key);
  }
}

static inline void device_free(device *d)
{
  SSL_SESSION_free(d->session);
  SSL_CTX_free(d->ctx);
}

static inline int dial(uint16_t port)
{
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
    close(fd);
    return -1;
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

/* Connects, exchanges a byte each way, leaves. True: it went well; s->end.peer says how the server saw it. */
static inline bool visit(device *d, server *s)
{
  mc_buf_free(&s->end.got);
  s->end = (end){0};
  int fd = dial(mc_listener_port(s->listener));
  SSL *ssl = SSL_new(d->ctx);
  SSL_set_fd(ssl, fd);
  if (d->session)
    SSL_set_session(ssl, d->session);
  bool sent = false, got = false;
  time_t until = seconds_now() + PATIENCE_S;
  while (!got && seconds_now() < until) {
    char byte;
    if (SSL_connect(ssl) == 1 && !sent)
      sent = SSL_write(ssl, "?", 1) == 1;
    if (s->end.got.len && s->end.conn) {
      mc_conn_write(s->end.conn, MC_LIT("!"));
      s->end.got.len = 0;
    }
    mc_loop_turn(loop, 2);
    got = sent && SSL_read(ssl, &byte, 1) == 1;
  }
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl);
  close(fd);
  while (got && !s->end.closed && seconds_now() < until)
    mc_loop_turn(loop, 2);
  return got;
}

#endif
