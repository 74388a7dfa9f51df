#include "bench/handshake_server.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct peer {
  int fd;
  bool done;
  SSL *ssl;
} peer;

typedef struct worker {
  SSL_CTX *ctx;
  uint16_t port;
} worker;

static int open_port(uint16_t port)
{
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096))
    _exit(1);
  return fd;
}

static void drop(peer *p)
{
  SSL_set_shutdown(p->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(p->ssl);
  close(p->fd);
  free(p);
}

static void go_on(peer *p)
{
  char rest[512];
  ERR_clear_error();
  int r = p->done ? SSL_read(p->ssl, rest, sizeof rest) : SSL_accept(p->ssl);
  if (!p->done && r == 1) {
    p->done = true;
    return;
  }
  int e = r > 0 ? SSL_ERROR_NONE : SSL_get_error(p->ssl, r);
  if (r <= 0 && e != SSL_ERROR_WANT_READ)
    drop(p);
}

static void *serve(void *arg)
{
  worker *w = arg;
  struct epoll_event event[256], e = {.events = EPOLLIN};
  int listener = open_port(w->port), poll = epoll_create1(EPOLL_CLOEXEC);
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(poll, event, 256, -1);
    for (int i = 0; i < n; i++) {
      if (event[i].data.ptr) {
        go_on(event[i].data.ptr);
        continue;
      }
      for (int fd, k = 0; k < 64 && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; k++) {
        peer *p = calloc(1, sizeof *p);
        p->fd = fd;
        p->ssl = SSL_new(w->ctx);
        SSL_set_fd(p->ssl, fd);
        SSL_set_accept_state(p->ssl);
        e = (struct epoll_event){.events = EPOLLIN, .data.ptr = p};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
      }
    }
  }
  return NULL;
}

static void run(const char *ca_from, uint16_t port)
{
  static const unsigned char scope[] = "bench";
  char path[600];
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  snprintf(path, sizeof path, "%s/server.pem", ca_from);
  bool ok = ctx && SSL_CTX_use_certificate_chain_file(ctx, path) == 1;
  snprintf(path, sizeof path, "%s/server.key", ca_from);
  ok = ok && SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1;
  snprintf(path, sizeof path, "%s/ca.pem", ca_from);
  ok = ok && SSL_CTX_load_verify_locations(ctx, path, NULL) == 1;
  if (!ok)
    _exit(1);
  SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(path));
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(ctx, scope, sizeof scope - 1);
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_timeout(ctx, 24 * 3600);
  worker w = {ctx, port};
  pthread_t thread;
  for (long i = sysconf(_SC_NPROCESSORS_ONLN); i > 1; i--)
    pthread_create(&thread, NULL, serve, &w);
  serve(&w);
}

mc_err handshake_server_start(const char *ca_from, bench_server *out, mc_why *why)
{
  *out = (bench_server){.name = "handshakes-alone", .tls = bench_free_port()};
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0)
    return mc_err_errno(why, "starting the bare OpenSSL server");
  if (pid == 0) {
    run(ca_from, out->tls);
    _exit(1);
  }
  out->process.pid = pid;
  return bench_wait_port(out->tls, 5000, why);
}
