#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

/* Accepting. Who speaks TLS goes through admission.c; beyond max_waiting the rest waits in the kernel's backlog, where it costs nothing. */

enum { ACCEPT_BATCH = 64, BACKLOG = 4096, RETRY_US = 100000, SILENT_S = 10 };

struct mc_listener {
  mc_watch watch;
  mc_timer retry;
  mc_net_loop *net;
  mc_listener_config config;
  int admitting; /* connections whose setup names this listener */
  bool watched, destroyed;
};

static void watch_again(mc_listener *l)
{
  if (!l->watched && !l->destroyed && mc_loop_watch(l->net->loop, &l->watch, EPOLLIN) == MC_OK)
    l->watched = true;
}

static void stop_watching(mc_listener *l)
{
  if (l->watched)
    mc_loop_unwatch(l->net->loop, &l->watch);
  l->watched = false;
}

static void listener_free(mc_listener *l)
{
  free(l);
}

void mc_listener_handshake_done(mc_listener *l)
{
  l->admitting--;
  if (!l->destroyed) {
    if (!l->retry.armed)
      watch_again(l);
  } else if (!l->admitting) {
    listener_free(l);
  }
}

int mc_listener_max_handshakes(const mc_listener *l) { return l->config.max_handshakes; }
int64_t mc_listener_timeout_us(const mc_listener *l) { return (int64_t)l->config.handshake_timeout_ms * 1000; }
mc_tls *mc_listener_tls(const mc_listener *l) { return l->destroyed ? NULL : l->config.tls; }

const mc_conn_handler *mc_listener_choose(mc_listener *l, mc_alpn alpn, const mc_conn *c)
{
  if (!l->config.choose)
    return l->config.handler;
  return l->destroyed ? NULL : l->config.choose(l->config.ctx, alpn, c);
}

static void admit(mc_listener *l, int fd, mc_source *source)
{
  mc_conn *c = mc_conn_new(l->net, fd, l->config.tls ? NULL : l->config.handler, l->config.ctx);
  mc_conn_setup *setup = c ? calloc(1, sizeof *setup + 1) : NULL;
  if (!setup) {
    mc_source_finished(&source);
    mc_source_leave(&source);
    if (c)
      mc_conn_fail(c, MC_ERR_MEMORY, "");
    else
      close(fd);
    return;
  }
  c->server = true;
  c->source = source;
  setup->listener = l;
  setup->conn = c;
  l->admitting++;
  c->setup = setup;
  c->phase = l->config.tls ? MC_CONN_GREETING : MC_CONN_HANDSHAKE;
  if (mc_loop_watch(l->net->loop, &c->watch, l->config.tls ? (uint32_t)EPOLLIN | EPOLLRDHUP | EPOLLET : (uint32_t)EPOLLIN)) {
    mc_conn_fail(c, MC_ERR_IO, "the descriptor cannot be watched");
    return;
  }
  if (l->config.tls)
    mc_admission_accepted(c);
  else
    mc_conn_begin(c, NULL);
}

/* Rests for a moment: a level-triggered listener would spin. */
static void rest(mc_listener *l)
{
  stop_watching(l);
  mc_loop_timer_set(l->net->loop, &l->retry, mc_loop_now_us(l->net->loop) + RETRY_US);
}

static bool accept_one(mc_listener *l)
{
  struct sockaddr_storage from = {0};
  socklen_t len = sizeof from;
  mc_source *source;
  int fd = accept4(l->watch.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    if (mc_gate_enter(l->config.gate, &from, &source))
      close(fd);
    else
      admit(l, fd, source);
    return true;
  }
  if (errno == EINTR || errno == ECONNABORTED)
    return true;
  if (errno != EAGAIN && errno != EWOULDBLOCK) { /* out of descriptors or memory */
    mc_log(MC_LOG_WARN, "net", "cannot accept connections for now; raise the limit of open files", MC_KZ("error", strerror(errno)),
           MC_KU("port", mc_listener_port(l)));
    rest(l);
  }
  return false;
}

static void on_ready(mc_watch *watch, uint32_t events)
{
  mc_listener *l = (mc_listener *)((char *)watch - offsetof(mc_listener, watch));
  for (int i = 0; i < ACCEPT_BATCH && !l->destroyed; i++) {
    if (l->config.tls && !mc_admission_room(l->net, l->config.max_waiting)) {
      rest(l);
      return;
    }
    if (!accept_one(l))
      return;
  }
}

static void on_retry(mc_timer *timer)
{
  watch_again((mc_listener *)((char *)timer - offsetof(mc_listener, retry)));
}

static mc_err open_socket(const mc_listener_config *config, int *out, mc_why *why)
{
  char port[8];
  snprintf(port, sizeof port, "%u", config->port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
  const char *host = config->host && *config->host ? config->host : "::";
  int e = getaddrinfo(host, port, &hints, &list);
  if (e)
    return mc_err_set(why, MC_ERR_INVALID, "cannot listen on \"%s\" port %u: %s", host, config->port, gai_strerror(e));
  mc_err err = MC_ERR_IO;
  for (struct addrinfo *a = list; a; a = a->ai_next) {
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    int one = 1, zero = 0;
    if (fd < 0) {
      err = mc_err_errno(why, "cannot listen on %s port %u", host, config->port);
      if (!config->host && a->ai_family == AF_INET6) { /* a machine without IPv6: any IPv4 address */
        mc_listener_config v4 = *config;
        v4.host = "0.0.0.0";
        err = open_socket(&v4, out, why);
        break;
      }
      continue;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (config->reuse_port)
      setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (config->tls) { /* a client speaks first: who connects and says nothing must not take a handshake's place from who does */
      int silent_s = SILENT_S;
      setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &silent_s, sizeof silent_s);
    }
    if (a->ai_family == AF_INET6)
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
      *out = fd;
      err = MC_OK;
      break;
    }
    err = mc_err_errno(why, "cannot listen on %s port %u (is another program using it?)", host, config->port);
    close(fd);
  }
  freeaddrinfo(list);
  return err;
}

mc_err mc_listener_create(mc_loop *loop, const mc_listener_config *config, mc_listener **out, mc_why *why)
{
  *out = NULL;
  if (!config->handler && !config->choose)
    return mc_err_set(why, MC_ERR_INVALID, "listener without a handler");
  if (!config->handler && !config->tls)
    return mc_err_set(why, MC_ERR_INVALID, "a plain listener needs a handler: choosing by ALPN needs TLS");
  if (config->tls && !config->tls->server)
    return mc_err_set(why, MC_ERR_INVALID, "a listener needs a server's TLS context: make one with mc_tls_server_create");
  mc_net_loop *net = mc_net_loop_of(loop);
  mc_listener *l = net ? calloc(1, sizeof *l) : NULL;
  if (!l)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a listener");
  l->net = net;
  l->config = *config;
  l->config.host = NULL; /* borrowed for this call only */
  if (l->config.handshake_timeout_ms <= 0)
    l->config.handshake_timeout_ms = 10000;
  if (l->config.max_handshakes <= 0)
    l->config.max_handshakes = 256;
  if (l->config.max_waiting <= 0)
    l->config.max_waiting = 16384;
  l->watch.fd = -1;
  l->watch.ready = on_ready;
  l->retry.fire = on_retry;
  mc_err err = open_socket(config, &l->watch.fd, why);
  if (err == MC_OK) {
    watch_again(l);
    if (!l->watched)
      err = mc_err_set(why, MC_ERR_IO, "the listening descriptor cannot be watched");
  }
  if (err) {
    if (l->watch.fd >= 0)
      close(l->watch.fd);
    listener_free(l);
    return err;
  }
  *out = l;
  return MC_OK;
}

uint16_t mc_listener_port(const mc_listener *l)
{
  struct sockaddr_storage any = {0};
  struct sockaddr_in6 a;
  socklen_t len = sizeof any;
  if (l->watch.fd < 0 || getsockname(l->watch.fd, (struct sockaddr *)&any, &len))
    return 0;
  memcpy(&a, &any, sizeof a);
  return ntohs(a.sin6_port); /* sin_port lies at the same place */
}

void mc_listener_destroy(mc_listener **listener)
{
  mc_listener *l = *listener;
  *listener = NULL;
  if (!l)
    return;
  stop_watching(l);
  mc_loop_timer_clear(l->net->loop, &l->retry);
  close(l->watch.fd);
  l->watch.fd = -1;
  l->destroyed = true; /* handshakes in progress end first */
  if (!l->admitting)
    listener_free(l);
}
