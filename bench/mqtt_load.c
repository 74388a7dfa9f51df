/* A loader that can saturate a broker: raw sockets, large reads, one write a turn and connection, no parsing beyond what is counted. Closed loop: what is
 * neither acknowledged nor delivered holds its publisher back, so that no queue of a broker overflows (contract iotcore, T21, T22), and what is missing
 * at the end was lost. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "format/mqtt.h"

enum { READ_SIZE = 1 << 16, SAMPLES = 1 << 16, WINDOW_MAX = 8192, OUT_MAX = 1 << 18, STAMP = 16 /* payload: when (double), number (u64) */ };
static const double STALL_S = 1.0;

typedef struct client {
  int fd, index;
  bool publisher, asks_out /* EPOLLOUT is on */;
  uint16_t next_id;
  mc_buf in, out;
  uint8_t *packet; /* one ready PUBLISH; id, time and number are patched */
  size_t packet_len, id_at, stamp_at;
  uint64_t sent, acked, delivered; /* of a publisher */
  uint64_t expected;               /* number of its next message at the subscriber */
  double began;                    /* with a rate: its first moment */
  double when[WINDOW_MAX];         /* by packet id */
} client;

typedef struct loader {
  const mqtt_load *load;
  client *c;
  int count, epoll;
  bool measuring, draining;
  uint64_t counted, progress, lost, repeated, turns;
  double *latency, *late;
  size_t latencies, lates;
} loader;

static uint64_t outstanding(const loader *l, const client *c)
{
  uint64_t done = l->load->qos == 0 ? c->delivered : c->acked;
  if (l->load->subscribers && c->delivered < done)
    done = c->delivered;
  return c->sent - done;
}

/* ---- opening ---- */
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
  c->stamp_at = b.len - (size_t)load->payload;
  c->id_at = load->qos ? c->stamp_at - 2 : 0;
  return err;
}

/* Sends what is in c->out and takes an answer of `size` bytes. */
static bool ask(client *c, uint8_t *answer, size_t size)
{
  bool ok = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL) == (ssize_t)c->out.len && recv(c->fd, answer, size, MSG_WAITALL) == (ssize_t)size;
  mc_buf_clear(&c->out);
  return ok;
}

static mc_err open_client(loader *l, client *c, mc_why *why)
{
  uint16_t port = l->load->server->plain;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to))
    return mc_err_errno(why, "connect to 127.0.0.1:%u", port);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char id[32], filter[32] = "dt/veh/#";
  snprintf(id, sizeof id, "%s-%d", c->publisher ? "pub" : "sub", c->index);
  mc_mqtt_connect connect_packet = {.version = MC_MQTT_311, .clean = true, .keep_alive_s = 60, .client_id = mc_slice_str(id)};
  MC_TRY(mc_mqtt_write_connect(&c->out, &connect_packet));
  uint8_t answer[5];
  if (!ask(c, answer, 4) || answer[3])
    return mc_err_set(why, MC_ERR_DENIED, "client %s was not admitted", id);
  if (!c->publisher) {
    if (l->load->subscribers > 1)
      snprintf(filter, sizeof filter, "dt/veh/%04d/tlm", c->index);
    mc_mqtt_filter f = {.filter = mc_slice_str(filter), .qos = (uint8_t)l->load->qos};
    MC_TRY(mc_mqtt_write_subscribe(&c->out, MC_MQTT_311, 1, &f, 1, (mc_slice){0}));
    if (!ask(c, answer, 5) || answer[4] != l->load->qos)
      return mc_err_set(why, MC_ERR_DENIED, "client %s: subscription to %s was not granted with QoS %d", id, filter, l->load->qos);
  }
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  return epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) ? mc_err_errno(why, "epoll") : MC_OK;
}

/* ---- sending ---- */
static void flush(loader *l, client *c)
{
  if (c->out.len) {
    ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
      mc_buf_consume(&c->out, (size_t)n);
  }
  if (c->asks_out == (c->out.len > 0))
    return;
  c->asks_out = c->out.len > 0;
  struct epoll_event e = {.events = EPOLLIN | (c->asks_out ? (uint32_t)EPOLLOUT : 0u), .data.ptr = c};
  epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static bool put_publish(loader *l, client *c, double when)
{
  if (++c->next_id == 0)
    c->next_id = 1;
  if (l->load->qos)
    mc_store_be16(c->packet + c->id_at, c->next_id);
  memcpy(c->packet + c->stamp_at, &when, sizeof when);
  mc_store_le64(c->packet + c->stamp_at + 8, c->sent);
  c->when[c->next_id % WINDOW_MAX] = when;
  if (mc_buf_append(&c->out, c->packet, c->packet_len))
    return false;
  c->sent++;
  return true;
}

/* With a rate every publisher sends its share once a millisecond, each at its own moment of it. Gives when message number `sent` is due. */
static double due_of(const loader *l, const client *c)
{
  double each_ms = l->load->rate / l->load->publishers / 1000;
  return c->began + ceil((double)(c->sent + 1) / each_ms) / 1000;
}

static void publish_more(loader *l, client *c, double now)
{
  uint64_t open = outstanding(l, c), window = (uint64_t)l->load->window;
  for (; open < window && c->out.len < OUT_MAX && !l->draining; open++) {
    double due = l->load->rate > 0 ? due_of(l, c) : now;
    if (due > now || !put_publish(l, c, due))
      break;
    if (l->load->rate > 0 && l->measuring && (c->sent & 63) == 0 && l->lates < SAMPLES)
      l->late[l->lates++] = (now - due) * 1000;
  }
  flush(l, c);
}

/* ---- receiving ---- */
static void note(loader *l, double sent_at, double now)
{
  l->progress++;
  if (!l->measuring)
    return;
  l->counted++;
  if ((l->counted & 63) == 0 && l->latencies < SAMPLES)
    l->latency[l->latencies++] = (now - sent_at) * 1000;
}

static void on_acked(loader *l, client *c, uint16_t id, double now)
{
  c->acked++;
  if (!l->load->subscribers)
    note(l, c->when[id % WINDOW_MAX], now);
}

static void on_publish(loader *l, client *c, const uint8_t *p, size_t len, double now)
{
  size_t at = 1;
  while (p[at++] & 0x80)
    ;
  size_t topic_len = mc_load_be16(p + at);
  const char *topic = (const char *)p + at + 2; /* dt/veh/NNNN/tlm */
  at += 2 + topic_len;
  int publisher = topic_len == 15 ? (topic[7] - '0') * 1000 + (topic[8] - '0') * 100 + (topic[9] - '0') * 10 + (topic[10] - '0') : -1;
  if (p[0] & 6) {
    uint8_t ack[4] = {MC_MQTT_PUBACK << 4, 2, p[at], p[at + 1]};
    mc_buf_append(&c->out, ack, 4);
    at += 2;
  }
  if (publisher < 0 || publisher >= l->load->publishers || at + STAMP > len)
    return;
  client *from = &l->c[publisher];
  uint64_t number = mc_load_le64(p + at + 8);
  if (number < from->expected) {
    l->repeated++;
    return;
  }
  from->expected = number + 1;
  from->delivered++;
  double sent_at;
  memcpy(&sent_at, p + at, sizeof sent_at);
  note(l, sent_at, now);
}

static void on_packet(loader *l, client *c, const uint8_t *p, size_t len, double now)
{
  switch (p[0] >> 4) {
  case MC_MQTT_PUBACK:
  case MC_MQTT_PUBCOMP:
    on_acked(l, c, mc_load_be16(p + 2), now);
    break;
  case MC_MQTT_PUBREC: {
    uint8_t release[4] = {MC_MQTT_PUBREL << 4 | 2, 2, p[2], p[3]};
    mc_buf_append(&c->out, release, 4);
    break;
  }
  case MC_MQTT_PUBLISH:
    on_publish(l, c, p, len, now);
    break;
  default:
    break;
  }
}

static mc_err read_client(loader *l, client *c, mc_why *why)
{
  if (mc_buf_reserve(&c->in, READ_SIZE))
    return MC_ERR_MEMORY;
  ssize_t n = recv(c->fd, c->in.data + c->in.len, READ_SIZE, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN)
    return MC_OK;
  if (n <= 0)
    return mc_err_set(why, MC_ERR_CLOSED, "the broker closed %s %d", c->publisher ? "publisher" : "subscriber", c->index);
  c->in.len += (size_t)n;
  double now = bench_now_s();
  size_t at = 0, size;
  while (mc_mqtt_peek(mc_slice_of(c->in.data + at, c->in.len - at), 1 << 24, &size) == MC_OK && size <= c->in.len - at) {
    on_packet(l, c, c->in.data + at, size, now);
    at += size;
  }
  mc_buf_consume(&c->in, at);
  if (!c->publisher)
    flush(l, c);
  return MC_OK;
}

/* ---- turns ---- */
static int wait_events(loader *l, struct epoll_event *events, int cap)
{
  struct timespec fine = {.tv_nsec = 200000};
  return l->load->rate > 0 ? epoll_pwait2(l->epoll, events, cap, &fine, NULL) : epoll_wait(l->epoll, events, cap, 5);
}

static mc_err turn(loader *l, mc_why *why)
{
  struct epoll_event events[128];
  int n = wait_events(l, events, 128);
  double now = bench_now_s();
  bool all = l->load->subscribers || l->load->rate > 0 || n <= 0 || l->turns++ % 64 == 0; /* windows also open elsewhere than at their own socket */
  for (int i = 0; i < n; i++) {
    client *c = events[i].data.ptr;
    if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
      MC_TRY(read_client(l, c, why));
    if (!c->publisher && (events[i].events & EPOLLOUT))
      flush(l, c);
    if (c->publisher && !all)
      publish_more(l, c, now);
  }
  for (int i = 0; all && i < l->load->publishers; i++)
    publish_more(l, &l->c[i], now);
  return MC_OK;
}

/* Nothing came for a while: what is outstanding will not come, and must not hold the rest of the run back. */
static void give_up_outstanding(loader *l)
{
  for (int i = 0; i < l->load->publishers; i++) {
    client *c = &l->c[i];
    l->lost += outstanding(l, c);
    c->acked = c->delivered = c->sent;
  }
}

static bool anything_outstanding(const loader *l)
{
  for (int i = 0; i < l->load->publishers; i++)
    if (outstanding(l, &l->c[i]))
      return true;
  return false;
}

static mc_err run_for(loader *l, double seconds, mc_why *why)
{
  double until = bench_now_s() + seconds, last = bench_now_s();
  uint64_t seen = l->progress;
  for (double now = last; now < until && !(l->draining && !anything_outstanding(l)); now = bench_now_s()) {
    MC_TRY(turn(l, why));
    if (l->progress != seen) {
      seen = l->progress;
      last = now;
    } else if (now - last > STALL_S) {
      give_up_outstanding(l);
      last = now;
    }
  }
  return MC_OK;
}

static mc_err open_all(loader *l, mc_why *why)
{
  const mqtt_load *load = l->load;
  for (int i = l->count - 1; i >= 0; i--) { /* subscribers first */
    client *c = &l->c[i];
    c->fd = -1;
    c->publisher = i < load->publishers;
    c->index = c->publisher ? i : i - load->publishers;
    if (c->publisher)
      MC_TRY(make_publish(c, load));
    MC_TRY(open_client(l, c, why));
  }
  double now = bench_now_s();
  for (int i = 0; i < load->publishers; i++)
    l->c[i].began = now + (double)i / load->publishers / 1000;
  return MC_OK;
}

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void quantiles(double *v, size_t n, double *p50, double *p99)
{
  if (!n)
    return;
  qsort(v, n, sizeof *v, by_value);
  *p50 = v[n / 2];
  *p99 = v[n * 99 / 100];
}

static mc_err run(loader *l, mqtt_load_result *out, mc_why *why)
{
  const mqtt_load *load = l->load;
  MC_TRY(open_all(l, why));
  MC_TRY(run_for(l, load->warm_up, why));
  double idle[2], steal[2];
  bench_processors(&idle[0], &steal[0]);
  double self_wait = bench_run_delay_s(getpid()), server_wait = bench_run_delay_s(load->server->process.pid);
  double began = bench_now_s(), server = bench_cpu_s(&load->server->process), self = bench_self_cpu_s();
  l->measuring = true;
  MC_TRY(run_for(l, load->seconds, why));
  l->measuring = false;
  double took = bench_now_s() - began;
  out->messages = l->counted;
  out->per_s = (double)l->counted / took;
  out->cpu_us = l->counted ? (bench_cpu_s(&load->server->process) - server) * 1e6 / (double)l->counted : 0;
  out->loader_share = (bench_self_cpu_s() - self) / took;
  bench_processors(&idle[1], &steal[1]);
  out->idle = (idle[1] - idle[0]) / took;
  out->steal = (steal[1] - steal[0]) / took;
  out->loader_wait = (bench_run_delay_s(getpid()) - self_wait) / took;
  out->server_wait = (bench_run_delay_s(load->server->process.pid) - server_wait) / took;
  l->draining = true;
  MC_TRY(run_for(l, 10, why));
  give_up_outstanding(l);
  out->lost = l->lost;
  out->repeated = l->repeated;
  quantiles(l->latency, l->latencies, &out->p50_ms, &out->p99_ms);
  quantiles(l->late, l->lates, &out->late_p50_ms, &out->late_p99_ms);
  return MC_OK;
}

mc_err mqtt_load_run(const mqtt_load *load, mqtt_load_result *out, mc_why *why)
{
  *out = (mqtt_load_result){0};
  if (load->window >= WINDOW_MAX || load->payload < STAMP || (load->qos == 2 && load->subscribers))
    return mc_err_set(why, MC_ERR_INVALID, "load: window %d of at most %d, payload %d of at least %d, QoS 2 without subscribers", load->window, WINDOW_MAX - 1,
                      load->payload, STAMP);
  loader l = {.load = load, .count = load->publishers + load->subscribers, .epoll = epoll_create1(EPOLL_CLOEXEC)};
  l.c = calloc((size_t)l.count, sizeof *l.c);
  l.latency = malloc(SAMPLES * sizeof *l.latency);
  l.late = malloc(SAMPLES * sizeof *l.late);
  mc_err err = l.c && l.latency && l.late ? run(&l, out, why) : MC_ERR_MEMORY;
  for (int i = 0; i < l.count && l.c; i++) {
    if (l.c[i].fd > 0)
      close(l.c[i].fd);
    mc_buf_free(&l.c[i].in);
    mc_buf_free(&l.c[i].out);
    free(l.c[i].packet);
  }
  free(l.c);
  free(l.latency);
  free(l.late);
  close(l.epoll);
  return err;
}
