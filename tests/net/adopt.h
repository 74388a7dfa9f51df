/* For fuzz targets: one end of a socket pair as a connection that a listener accepted, on a loop that the target turns by hand. */
#ifndef TESTS_NET_ADOPT_H
#define TESTS_NET_ADOPT_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"

/* The other end, which neither blocks nor is inherited. */
static inline int adopt(mc_loop *loop, const mc_conn_handler *handler, void *user)
{
  int fd[2];
  mc_net_loop *net = mc_net_loop_of(loop);
  if (!net || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd))
    abort();
  mc_conn *c = mc_conn_new(net, fd[0], handler, user);
  if (!c || mc_loop_watch(loop, &c->watch, EPOLLIN))
    abort();
  c->server = true;
  c->phase = MC_CONN_HANDSHAKE;
  mc_conn_begin(c, NULL);
  return fd[1];
}

/* Takes what is there; false when the connection has ended. */
static inline bool adopted_read(int fd, mc_buf *got)
{
  uint8_t bytes[65536];
  ssize_t n;
  while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
    if (mc_buf_append(got, bytes, (size_t)n))
      abort();
  return n < 0;
}

/* Gives all bytes, turning the loop while they do not fit; false when the other end closed meanwhile. */
static inline bool adopted_write(mc_loop *loop, int fd, mc_slice bytes, mc_buf *got)
{
  for (int stuck = 0; bytes.len && stuck < 200;) {
    ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    if (n > 0)
      bytes = mc_slice_sub(bytes, (size_t)n, bytes.len);
    else
      stuck++;
    mc_loop_turn(loop, 0);
    if (!adopted_read(fd, got))
      return false;
  }
  return !bytes.len;
}

#endif
