#include "edge/edge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

/* The user-space bus: frames in UDP datagrams, to a multicast group or to one address. Byte table in README.md. */

enum { HEAD = 8, FRAME_HEAD = 16, BATCH = 64, DATAGRAM = 1472, ROUNDS = 16 };
static const uint8_t magic[4] = {'M', 'C', 'B', '1'};
enum { FLAG_EXTENDED = 1, FLAG_FD = 2 };

struct mc_bus {
  mc_loop *loop;
  mc_watch watch;
  void (*frame)(void *ctx, const mc_can_frame *f);
  void *ctx;
  int out_fd;
  struct sockaddr_in to;
  uint32_t sender; /* ours: own frames are not received again */
  uint16_t channel_base;
  bool closed;
};

/* ---- udp://239.255.77.1:5577/?ttl=0&channel=0&interface=127.0.0.1 ---- */
typedef struct bus_url {
  struct in_addr group, interface;
  uint16_t port, channel;
  uint8_t ttl;
} bus_url;

static bool number_option(mc_slice value, uint64_t max, uint64_t *out)
{
  return mc_slice_to_u64(value, out) == MC_OK && *out <= max;
}

static mc_err parse_option(mc_slice option, bus_url *out, mc_why *why)
{
  size_t eq = mc_slice_find(option, '=', 0);
  mc_slice name = mc_slice_sub(option, 0, eq), value = mc_slice_sub(option, eq + 1, option.len);
  uint64_t n = 0;
  char text[64];
  if (mc_slice_eq_str(name, "ttl") && number_option(value, 255, &n)) {
    out->ttl = (uint8_t)n;
    return MC_OK;
  }
  if (mc_slice_eq_str(name, "channel") && number_option(value, 65535, &n)) {
    out->channel = (uint16_t)n;
    return MC_OK;
  }
  if (mc_slice_eq_str(name, "interface") && mc_slice_to_str(value, text, sizeof text) && inet_pton(AF_INET, text, &out->interface) == 1)
    return MC_OK;
  return mc_err_set(why, MC_ERR_INVALID, "bus option \"%.*s\": ttl=0..255, channel=0..65535 or interface=<IPv4 address> are known", MC_FMT(mc_slice_sub(option, 0, 80)));
}

static mc_err parse_url(const char *url, bus_url *out, mc_why *why)
{
  *out = (bus_url){.interface.s_addr = htonl(INADDR_LOOPBACK)};
  mc_slice s = mc_slice_str(url);
  char host[64];
  uint64_t port = 0;
  size_t colon = mc_slice_find(s, ':', 6), slash = mc_slice_find(s, '/', colon < s.len ? colon : 6), mark = mc_slice_find(s, '?', 0);
  size_t end = slash < mark ? slash : mark;
  if (!mc_slice_starts(s, MC_LIT("udp://")) || colon >= s.len || !mc_slice_to_str(mc_slice_sub(s, 6, colon - 6), host, sizeof host) ||
      inet_pton(AF_INET, host, &out->group) != 1 || mc_slice_to_u64(mc_slice_sub(s, colon + 1, end - colon - 1), &port) || !port || port > 65535)
    return mc_err_set(why, MC_ERR_INVALID, "bus \"%.120s\": expected udp://<IPv4 address>:<port>/, e.g. udp://239.255.77.1:5577/?channel=0", url ? url : "");
  out->port = (uint16_t)port;
  for (size_t at = mark + 1; at < s.len;) {
    size_t next = mc_slice_find(s, '&', at);
    MC_TRY(parse_option(mc_slice_sub(s, at, next - at), out, why));
    at = next + 1;
  }
  return MC_OK;
}

/* ---- receiving ---- */
static void take_datagram(mc_bus *b, mc_slice in)
{
  if (in.len < HEAD || memcmp(in.data, magic, 4) != 0 || mc_load_le32(in.data + 4) == b->sender)
    return;
  for (size_t at = HEAD; in.len - at >= FRAME_HEAD && !b->closed;) {
    const uint8_t *p = in.data + at;
    mc_can_frame f = {.time_us = (int64_t)mc_load_le64(p), .id = mc_load_le32(p + 8), .extended = p[14] & FLAG_EXTENDED, .fd = (p[14] & FLAG_FD) != 0, .len = p[15]};
    unsigned channel = b->channel_base + mc_load_le16(p + 12);
    at += FRAME_HEAD;
    if (f.len > 64 || in.len - at < f.len || f.id > (f.extended ? 0x1FFFFFFFu : 0x7FFu) || channel > UINT16_MAX)
      return; /* nothing after a broken frame can be trusted */
    memcpy(f.data, in.data + at, f.len);
    at += f.len;
    f.channel = (uint16_t)channel;
    if (!f.time_us)
      f.time_us = mc_clock_wall_us();
    b->frame(b->ctx, &f);
  }
}

static void on_ready(mc_watch *watch, uint32_t events)
{
  mc_bus *b = (mc_bus *)((char *)watch - offsetof(mc_bus, watch));
  static _Thread_local uint8_t bytes[BATCH][DATAGRAM];
  struct mmsghdr m[BATCH];
  struct iovec iov[BATCH];
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < BATCH; i++) {
      iov[i] = (struct iovec){bytes[i], DATAGRAM};
      m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    int n = recvmmsg(b->watch.fd, m, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n && !b->closed; i++)
      take_datagram(b, mc_slice_of(bytes[i], m[i].msg_len));
    if (n < BATCH || b->closed)
      break;
  }
}

/* ---- opening ---- */
static mc_err open_in(mc_bus *b, const bus_url *u, mc_why *why)
{
  int one = 1, size = 4 << 20;
  bool multicast = IN_MULTICAST(ntohl(u->group.s_addr));
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(u->port), .sin_addr = u->group};
  b->watch.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (b->watch.fd < 0)
    return mc_err_errno(why, "bus: no socket");
  setsockopt(b->watch.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(b->watch.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (bind(b->watch.fd, (struct sockaddr *)&at, sizeof at))
    return mc_err_errno(why, "bus: cannot bind to port %u", u->port);
  struct ip_mreq group = {.imr_multiaddr = u->group, .imr_interface = u->interface};
  if (multicast && setsockopt(b->watch.fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group))
    return mc_err_errno(why, "bus: cannot join the multicast group (does the interface exist?)");
  return MC_OK;
}

static mc_err open_out(mc_bus *b, const bus_url *u, mc_why *why)
{
  unsigned char ttl = u->ttl, loop = 1;
  b->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(u->port), .sin_addr = u->group};
  b->out_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (b->out_fd < 0)
    return mc_err_errno(why, "bus: no socket");
  setsockopt(b->out_fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl);
  setsockopt(b->out_fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof loop);
  setsockopt(b->out_fd, IPPROTO_IP, IP_MULTICAST_IF, &u->interface, sizeof u->interface);
  return MC_OK;
}

mc_err mc_bus_open(mc_loop *loop, const char *url, void (*frame)(void *, const mc_can_frame *), void *ctx, mc_bus **out, mc_why *why)
{
  *out = NULL;
  bus_url u;
  MC_TRY(parse_url(url, &u, why));
  mc_bus *b = calloc(1, sizeof *b);
  if (!b)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for a bus");
  b->loop = loop;
  b->watch.fd = b->out_fd = -1;
  b->watch.ready = on_ready;
  b->frame = frame;
  b->ctx = ctx;
  b->channel_base = u.channel;
  b->sender = (uint32_t)((uint64_t)mc_clock_wall_us() * 2654435761u) ^ (uint32_t)getpid() ^ (uint32_t)((uintptr_t)b >> 4);
  mc_err err = open_out(b, &u, why);
  if (err == MC_OK && frame) /* without a receiver it only sends */
    err = open_in(b, &u, why);
  if (err == MC_OK && frame && mc_loop_watch(loop, &b->watch, EPOLLIN))
    err = mc_err_set(why, MC_ERR_IO, "bus: the socket cannot be watched");
  if (err) {
    mc_bus_close(&b);
    return err;
  }
  *out = b;
  return MC_OK;
}

mc_err mc_bus_send(mc_bus *b, const mc_can_frame *f, mc_why *why)
{
  uint8_t bytes[HEAD + FRAME_HEAD + 64];
  if (f->len > 64 || f->id > (f->extended ? 0x1FFFFFFFu : 0x7FFu) || f->channel < b->channel_base)
    return mc_err_set(why, MC_ERR_INVALID, "frame id 0x%X, %u bytes, channel %u does not fit this bus", f->id, f->len, f->channel);
  memcpy(bytes, magic, 4);
  mc_store_le32(bytes + 4, b->sender);
  mc_store_le64(bytes + 8, (uint64_t)f->time_us);
  mc_store_le32(bytes + 16, f->id);
  mc_store_le16(bytes + 20, (uint16_t)(f->channel - b->channel_base));
  bytes[22] = (uint8_t)((f->extended ? FLAG_EXTENDED : 0) | (f->fd ? FLAG_FD : 0));
  bytes[23] = f->len;
  memcpy(bytes + 24, f->data, f->len);
  if (sendto(b->out_fd, bytes, 24u + f->len, 0, (struct sockaddr *)&b->to, sizeof b->to) < 0)
    return errno == EAGAIN || errno == ENOBUFS ? MC_ERR_AGAIN : mc_err_errno(why, "bus: sending failed");
  return MC_OK;
}

void mc_bus_close(mc_bus **bus)
{
  mc_bus *b = *bus;
  *bus = NULL;
  if (!b)
    return;
  b->closed = true;
  if (b->watch.fd >= 0) {
    mc_loop_unwatch(b->loop, &b->watch);
    close(b->watch.fd);
  }
  if (b->out_fd >= 0)
    close(b->out_fd);
  free(b);
}
