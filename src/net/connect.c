#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Opening a connection: look the name up, try each address in turn, then TLS. Failures are told through
 * handler->closed, always from the loop and never before mc_conn_open has returned. */

enum { RESOLVE_US = 20000000, CONNECT_US = 10000000, HANDSHAKE_US = 10000000 };

static void arm(mc_conn *c, int64_t us)
{
  mc_loop_timer_set(c->net->loop, &c->timer, mc_loop_now_us(c->net->loop) + us);
}

static void resolved(void *ctx, struct sockaddr_storage *address, size_t count, const char *error)
{
  mc_conn *c = ctx;
  c->setup->resolve = NULL;
  if (error) {
    char text[300];
    snprintf(text, sizeof text, "\"%s\" cannot be resolved: %s; check the name and the network", c->setup->host, error);
    free(address);
    mc_conn_fail(c, MC_ERR_NOT_FOUND, text);
    return;
  }
  c->setup->address = address;
  c->setup->address_count = count;
  c->phase = MC_CONN_CONNECTING;
  mc_conn_connect_next(c);
}

static socklen_t length_of(const struct sockaddr_storage *a)
{
  return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void note_error(mc_conn *c, int error)
{
  snprintf(c->setup->last_error, sizeof c->setup->last_error, "cannot connect to %.80s port %u: %s", c->setup->host, c->setup->port, strerror(error));
}

static void drop_socket(mc_conn *c)
{
  if (c->watch.fd >= 0) {
    mc_loop_unwatch(c->net->loop, &c->watch);
    close(c->watch.fd);
    c->watch.fd = -1;
  }
}

void mc_conn_connect_next(mc_conn *c)
{
  mc_conn_setup *s = c->setup;
  while (s->address_at < s->address_count) {
    const struct sockaddr_storage *a = &s->address[s->address_at++];
    c->watch.fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->watch.fd < 0) {
      note_error(c, errno);
      continue;
    }
    if ((connect(c->watch.fd, (const struct sockaddr *)a, length_of(a)) == 0 || errno == EINPROGRESS) &&
        mc_loop_watch(c->net->loop, &c->watch, EPOLLOUT) == MC_OK) {
      arm(c, CONNECT_US);
      return;
    }
    note_error(c, errno);
    drop_socket(c);
  }
  char text[sizeof s->last_error];
  memcpy(text, s->last_error, sizeof text);
  mc_conn_fail(c, MC_ERR_CLOSED, text[0] ? text : "no address to connect to");
}

void mc_conn_connect_ready(mc_conn *c)
{
  int error = 0;
  socklen_t len = sizeof error;
  getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len);
  if (error) {
    note_error(c, error);
    drop_socket(c);
    mc_conn_connect_next(c);
    return;
  }
  arm(c, HANDSHAKE_US);
  mc_conn_begin(c, c->setup->tls);
}

static bool numeric(const char *host, uint16_t port, struct sockaddr_storage *out)
{
  struct sockaddr_in *in = (struct sockaddr_in *)out;
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    return true;
  }
  if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    return true;
  }
  return false;
}

mc_err mc_conn_open(mc_loop *loop, const char *host, uint16_t port, mc_tls *tls, const mc_conn_handler *handler, void *user, mc_conn **out, mc_why *why)
{
  *out = NULL;
  size_t host_len = host ? strlen(host) : 0;
  if (!host_len || host_len > 253 || !port)
    return mc_err_set(why, MC_ERR_INVALID, "address \"%.80s\" port %u: a host name of 1 to 253 bytes and a port from 1 to 65535 are needed",
                      host ? host : "", port);
  if (tls && tls->server)
    return mc_err_set(why, MC_ERR_INVALID, "a server's TLS context cannot open connections: make one with mc_tls_client_create");
  mc_net_loop *net = mc_net_loop_of(loop);
  mc_conn_setup *setup = net ? calloc(1, sizeof *setup + host_len + 1) : NULL;
  mc_conn *c = setup ? mc_conn_new(net, -1, handler, user) : NULL;
  if (!c) {
    free(setup);
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a connection");
  }
  memcpy(setup->host, host, host_len + 1);
  setup->port = port;
  setup->tls = tls;
  setup->conn = c;
  c->setup = setup;
  struct sockaddr_storage address;
  mc_err err = MC_OK;
  if (numeric(host, port, &address)) {
    setup->address = malloc(sizeof address);
    if (setup->address) {
      *setup->address = address;
      setup->address_count = 1;
    } else {
      err = MC_ERR_MEMORY;
    }
    c->phase = MC_CONN_CONNECTING;
    mc_conn_schedule(c); /* connects at the end of the turn */
  } else {
    c->phase = MC_CONN_RESOLVING;
    arm(c, RESOLVE_US);
    err = mc_resolve_start(loop, host, port, resolved, c, &setup->resolve);
  }
  if (err) {
    c->handler = NULL; /* told by the return value, not by closed() */
    mc_conn_fail(c, err, "");
    return mc_err_set(why, err, "cannot start connecting to %.80s: %s", host, mc_err_text(err));
  }
  *out = c;
  return MC_OK;
}
