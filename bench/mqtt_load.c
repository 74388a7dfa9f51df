/* A loader that can saturate a broker: raw sockets, large reads, one write a turn and connection, no parsing beyond fixed headers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "format/mqtt.h"

enum { READ_SIZE = 1 << 16, SAMPLES = 1 << 16 };

typedef struct client {
  int fd;
  int index;
  bool publisher;
  int inflight;
  uint16_t next_id;
  mc_buf in, out;
  uint8_t *packet; /* one ready PUBLISH; id and time are patched */
  size_t packet_len, id_at, time_at;
  uint64_t sent, received;
  int peer;         /* of a subscriber: the publisher it hears, or -1 for all */
  double when[256]; /* by the low byte of the packet id: when it was sent, for latency of acknowledgements */
} client;

typedef struct loader {
  const mqtt_load *load;
  client *c;
  int count, epoll;
  bool measuring;
  uint64_t counted;
  double *latency;
  size_t latencies;
  uint64_t tick;
} loader;

static mc_err make_publish(client *c, const mqtt_load *load)
{
  char topic[32];
  snprintf(topic, sizeof topic, "dt/veh/%04d/tlm", c->index);
  uint8_t *payload = calloc(1, (size_t)load->payload);
  mc_buf b = {0};
  mc_mqtt_publish p = {
      .qos = (uint8_t)load->qos, .packet_id = 1, .topic = mc_slice_str(topic), .payload = mc_slice_of(payload, (size_t)load->payload)};
  mc_err err = payload ? mc_mqtt_write_publish(&b, MC_MQTT_311, &p, (mc_slice){0}) : MC_ERR_MEMORY;
  free(payload);
  c->packet = b.data;
  c->packet_len = b.len;
  c->time_at = b.len - (size_t)load->payload;
  c->id_at = load->qos ? c->time_at - 2 : 0;
  return err;
}

static mc_err open_client(loader *l, client *c, mc_why *why)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(l->load->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to))
    return mc_err_errno(why, "connect to 127.0.0.1:%u", l->load->port);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char id[32], filter[32];
  snprintf(id, sizeof id, "%s-%d", c->publisher ? "pub" : "sub", c->index);
  mc_mqtt_connect connect_packet = {.version = MC_MQTT_311, .clean = true, .keep_alive_s = 60, .client_id = mc_slice_str(id)};
  MC_TRY(mc_mqtt_write_connect(&c->out, &connect_packet));
  uint8_t answer[64];
  if (send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL) < 0 || recv(c->fd, answer, 4, MSG_WAITALL) != 4 || answer[3])
    return mc_err_set(why, MC_ERR_DENIED, "client %s was not admitted", id);
  mc_buf_clear(&c->out);
  if (!c->publisher) {
    c->peer < 0 ? snprintf(filter, sizeof filter, "dt/veh/#") : snprintf(filter, sizeof filter, "dt/veh/%04d/tlm", c->peer);
    mc_mqtt_filter f = {.filter = mc_slice_str(filter), .qos = (uint8_t)l->load->qos};
    MC_TRY(mc_mqtt_write_subscribe(&c->out, MC_MQTT_311, 1, &f, 1, (mc_slice){0}));
    if (send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL) < 0 || recv(c->fd, answer, 5, MSG_WAITALL) != 5 || answer[4] > 2)
      return mc_err_set(why, MC_ERR_DENIED, "client %s: subscription to %s was not granted", id, filter);
    mc_buf_clear(&c->out);
  }
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  return epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) ? mc_err_errno(why, "epoll") : MC_OK;
}

/* Tops the publisher's window up, in one write. QoS 0 counts a message as outstanding until a subscriber has it. */
static void publish_more(loader *l, client *c)
{
  double now = bench_now_s();
  while (c->inflight < l->load->window && c->out.len < (1 << 18)) {
    if (++c->next_id == 0)
      c->next_id = 1;
    if (l->load->qos)
      mc_store_be16(c->packet + c->id_at, c->next_id);
    memcpy(c->packet + c->time_at, &now, sizeof now);
    c->when[c->next_id & 255] = now;
    if (mc_buf_append(&c->out, c->packet, c->packet_len))
      return;
    c->inflight++;
    c->sent++;
  }
  if (!c->out.len)
    return;
  ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0)
    mc_buf_consume(&c->out, (size_t)n);
  struct epoll_event e = {.events = EPOLLIN | (c->out.len ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void note(loader *l, double sent_at, double now)
{
  l->counted++;
  if ((l->counted & 63) == 0 && l->latencies < SAMPLES)
    l->latency[l->latencies++] = (now - sent_at) * 1000;
}

static void on_packet(loader *l, client *c, const uint8_t *p, size_t len, double now)
{
  uint8_t type = p[0] >> 4;
  if (type == MC_MQTT_PUBACK && c->publisher) {
    uint16_t id = mc_load_be16(p + 2);
    if (!l->load->subscribers && l->measuring)
      note(l, c->when[id & 255], now);
    if (!(l->load->subscribers && l->load->qos == 0))
      c->inflight--;
    return;
  }
  if (type != MC_MQTT_PUBLISH || c->publisher)
    return;
  c->received++;
  int qos = p[0] >> 1 & 3;
  size_t at = 1;
  while (p[at++] & 0x80)
    ;
  size_t topic_len = mc_load_be16(p + at);
  int publisher = atoi((const char *)p + at + 2 + 7); /* dt/veh/NNNN/... */
  at += 2 + topic_len;
  if (qos) {
    uint8_t ack[4] = {MC_MQTT_PUBACK << 4, 2, p[at], p[at + 1]};
    mc_buf_append(&c->out, ack, 4);
    at += 2;
  }
  double sent_at;
  memcpy(&sent_at, p + at, sizeof sent_at);
  if (l->measuring)
    note(l, sent_at, now);
  if (l->load->qos == 0 && publisher < l->load->publishers)
    l->c[publisher].inflight--;
}

static mc_err read_client(loader *l, client *c, mc_why *why)
{
  if (mc_buf_reserve(&c->in, READ_SIZE))
    return MC_ERR_MEMORY;
  ssize_t n = recv(c->fd, c->in.data + c->in.len, READ_SIZE, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN)
    return MC_OK;
  if (n <= 0)
    return mc_err_set(why, MC_ERR_CLOSED, "the broker closed client %d", c->index);
  c->in.len += (size_t)n;
  double now = bench_now_s();
  size_t at = 0, size;
  while (mc_mqtt_peek(mc_slice_sub(mc_buf_slice(&c->in), at, SIZE_MAX), 1 << 24, &size) == MC_OK && size <= c->in.len - at) {
    on_packet(l, c, c->in.data + at, size, now);
    at += size;
  }
  mc_buf_consume(&c->in, at);
  if (!c->publisher && c->out.len) {
    ssize_t sent = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
      mc_buf_consume(&c->out, (size_t)sent);
  }
  return MC_OK;
}

static mc_err turn(loader *l, mc_why *why)
{
  struct epoll_event events[128];
  int n = epoll_wait(l->epoll, events, 128, 5);
  for (int i = 0; i < n; i++) {
    client *c = events[i].data.ptr;
    if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
      MC_TRY(read_client(l, c, why));
    if (c->publisher && l->load->subscribers == 0)
      publish_more(l, c);
  }
  /* With subscribers the windows open when the other side has it, so all publishers are looked at. */
  if (l->load->subscribers || n == 0 || l->tick++ % 64 == 0)
    for (int i = 0; i < l->load->publishers; i++)
      if (l->c[i].inflight < l->load->window || l->c[i].out.len)
        publish_more(l, &l->c[i]);
  return MC_OK;
}

static mc_err run_for(loader *l, double seconds, mc_why *why)
{
  double until = bench_now_s() + seconds;
  while (bench_now_s() < until)
    MC_TRY(turn(l, why));
  return MC_OK;
}

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

mc_err mqtt_load_run(const mqtt_load *load, mqtt_load_result *out, mc_why *why)
{
  loader l = {.load = load, .count = load->publishers + load->subscribers, .epoll = epoll_create1(EPOLL_CLOEXEC)};
  l.c = calloc((size_t)l.count, sizeof *l.c);
  l.latency = malloc(SAMPLES * sizeof *l.latency);
  mc_err err = l.c && l.latency ? MC_OK : MC_ERR_MEMORY;
  *out = (mqtt_load_result){0};
  for (int i = 0; i < l.count && !err; i++) {
    client *c = &l.c[i];
    c->publisher = i < load->publishers;
    c->index = c->publisher ? i : i - load->publishers;
    c->peer = load->subscribers == 1 ? -1 : c->index;
    if (c->publisher)
      err = make_publish(c, load);
  }
  for (int i = l.count - 1; i >= 0 && !err; i--) /* subscribers first */
    err = open_client(&l, &l.c[i], why);
  if (!err)
    err = run_for(&l, load->warm_up, why);
  l.measuring = true;
  double began = bench_now_s();
  if (!err)
    err = run_for(&l, load->seconds, why);
  out->elapsed = bench_now_s() - began;
  out->messages = l.counted;
  out->per_s = (double)l.counted / out->elapsed;
  if (l.latencies) {
    qsort(l.latency, l.latencies, sizeof *l.latency, by_value);
    out->p50_ms = l.latency[l.latencies / 2];
    out->p99_ms = l.latency[l.latencies * 99 / 100];
  }
  for (int i = 0; i < l.count && l.c; i++) {
    if (l.c[i].fd > 0)
      close(l.c[i].fd);
    mc_buf_free(&l.c[i].in);
    mc_buf_free(&l.c[i].out);
    free(l.c[i].packet);
  }
  free(l.c);
  free(l.latency);
  close(l.epoll);
  return err;
}
