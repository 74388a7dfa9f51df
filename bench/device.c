/* What the device cloud costs: `motorcade bench device`. No peer on this machine offers shadows; the floor is the disk's own fdatasync, which is printed beside. */
#include <arpa/inet.h>
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

enum { THINGS = 500, RING = 1024, READ_SIZE = 1 << 16 };

/* A thing that asks for a change of its own shadow and hears the delta: both ends of the way are one clock. */
typedef struct thing {
  int fd;
  uint32_t index;
  uint16_t next_id;
  uint64_t sent, heard;
  double due, when[RING]; /* of the change with this number */
  mc_buf in, out;
} thing;

typedef struct shadow_load {
  thing *thing;
  int count, epoll;
  double rate, measure_from;
  double *latency;
  size_t latencies, room;
  uint64_t accepted_late; /* changes that were due and could not be sent: 64 of a thing are outstanding */
} shadow_load;

static bool flush(thing *t)
{
  ssize_t n = t->out.len ? send(t->fd, t->out.data, t->out.len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
  if (n > 0) {
    memmove(t->out.data, t->out.data + n, t->out.len - (size_t)n);
    t->out.len -= (size_t)n;
  }
  return true;
}

static mc_err open_thing(shadow_load *l, thing *t, uint16_t port, mc_why *why)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  char id[32], filter[80];
  uint8_t answer[5];
  t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (t->fd < 0 || connect(t->fd, (struct sockaddr *)&to, sizeof to))
    return mc_err_errno(why, "connect to 127.0.0.1:%u", port);
  setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  snprintf(id, sizeof id, "thing-%u", t->index);
  snprintf(filter, sizeof filter, "$aws/things/thing-%u/shadow/update/delta", t->index);
  mc_mqtt_connect c = {.version = MC_MQTT_311, .clean = true, .keep_alive_s = 60, .client_id = mc_slice_str(id)};
  mc_mqtt_filter f = {.filter = mc_slice_str(filter), .qos = 1};
  MC_TRY(mc_mqtt_write_connect(&t->out, &c));
  flush(t);
  if (recv(t->fd, answer, 4, MSG_WAITALL) != 4 || answer[3])
    return mc_err_set(why, MC_ERR_DENIED, "%s was not admitted", id);
  MC_TRY(mc_mqtt_write_subscribe(&t->out, MC_MQTT_311, 1, &f, 1, (mc_slice){0}));
  flush(t);
  if (recv(t->fd, answer, 5, MSG_WAITALL) != 5 || answer[4] != 1)
    return mc_err_set(why, MC_ERR_DENIED, "%s may not subscribe to its shadow", id);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = t};
  return epoll_ctl(l->epoll, EPOLL_CTL_ADD, t->fd, &e) ? mc_err_errno(why, "epoll") : MC_OK;
}

static mc_err ask(thing *t, double due)
{
  char topic[80], payload[80];
  snprintf(topic, sizeof topic, "$aws/things/thing-%u/shadow/update", t->index);
  snprintf(payload, sizeof payload, "{\"state\":{\"desired\":{\"n\":%llu}}}", (unsigned long long)++t->sent);
  t->when[t->sent % RING] = due;
  t->next_id = (uint16_t)(t->next_id == 65535 ? 1 : t->next_id + 1);
  mc_mqtt_publish p = {.qos = 1, .packet_id = t->next_id, .topic = mc_slice_str(topic), .payload = mc_slice_str(payload)};
  return mc_mqtt_write_publish(&t->out, MC_MQTT_311, &p, (mc_slice){0});
}

/* A delta names the change that it is of. */
static mc_err take(shadow_load *l, thing *t, const mc_mqtt_publish *p, double now)
{
  static const char key[] = "\"n\":";
  const char *at = memmem(p->payload.data, p->payload.len, key, sizeof key - 1);
  uint64_t n = at ? strtoull(at + sizeof key - 1, NULL, 10) : 0;
  if (!n || n > t->sent || t->sent - n >= RING)
    return MC_ERR_MALFORMED;
  t->heard = n > t->heard ? n : t->heard;
  double due = t->when[n % RING];
  if (due >= l->measure_from && l->latencies < l->room)
    l->latency[l->latencies++] = now - due;
  return p->qos ? mc_mqtt_write_ack(&t->out, MC_MQTT_PUBACK, MC_MQTT_311, p->packet_id, 0, (mc_slice){0}) : MC_OK;
}

static mc_err hear(shadow_load *l, thing *t)
{
  MC_TRY(mc_buf_reserve(&t->in, READ_SIZE));
  ssize_t n = recv(t->fd, t->in.data + t->in.len, READ_SIZE, MSG_DONTWAIT);
  if (n <= 0)
    return n == 0 ? MC_ERR_CLOSED : MC_OK;
  t->in.len += (size_t)n;
  double now = bench_now_s();
  size_t at = 0, size;
  mc_slice rest;
  while (rest = mc_slice_of(t->in.data + at, t->in.len - at), mc_mqtt_peek(rest, 1 << 20, &size) == MC_OK && size <= rest.len) {
    mc_mqtt_packet packet;
    uint8_t reason;
    MC_TRY(mc_mqtt_parse(mc_slice_sub(rest, 0, size), MC_MQTT_311, &packet, &reason, NULL));
    if (packet.type == MC_MQTT_PUBLISH)
      MC_TRY(take(l, t, &packet.publish, now));
    at += size;
  }
  memmove(t->in.data, t->in.data + at, t->in.len - at);
  t->in.len -= at;
  return MC_OK;
}

static mc_err turn(shadow_load *l, double now, bool sending)
{
  struct epoll_event e[64];
  for (int i = 0; i < l->count; i++) {
    thing *t = &l->thing[i];
    while (sending && t->due <= now) {
      if (t->sent - t->heard < 64)
        MC_TRY(ask(t, t->due));
      else
        l->accepted_late++;
      t->due += l->count / l->rate;
    }
    flush(t);
  }
  int n = epoll_wait(l->epoll, e, 64, 1);
  for (int i = 0; i < n; i++)
    MC_TRY(hear(l, e[i].data.ptr));
  return MC_OK;
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static mc_err drive(shadow_load *l, const bench_server *s, double seconds, double *cpu_us, mc_why *why)
{
  for (int i = 0; i < l->count; i++) {
    l->thing[i].index = (uint32_t)i;
    MC_TRY(open_thing(l, &l->thing[i], s->plain, why));
  }
  double begin = bench_now_s();
  l->measure_from = begin + 1;
  for (int i = 0; i < l->count; i++)
    l->thing[i].due = begin + i / l->rate;
  double cpu = 0;
  mc_err err = MC_OK;
  for (double now = begin; now < begin + 1 + seconds && !err; now = bench_now_s()) {
    if (!cpu && now >= l->measure_from)
      cpu = bench_cpu_s(&s->process);
    err = turn(l, now, true);
  }
  *cpu_us = (bench_cpu_s(&s->process) - cpu) * 1e6 / (l->rate * seconds);
  for (double until = bench_now_s() + 2; bench_now_s() < until && !err;) /* what is under way */
    err = turn(l, 0, false);
  return err ? mc_err_set(why, err, "the load broke off: %s", mc_err_text(err)) : MC_OK;
}

static void end(shadow_load *l)
{
  for (int i = 0; i < l->count && l->thing; i++) {
    if (l->thing[i].fd > 0)
      close(l->thing[i].fd);
    mc_buf_free(&l->thing[i].in);
    mc_buf_free(&l->thing[i].out);
  }
  free(l->thing);
  free(l->latency);
  close(l->epoll);
}

static int shadow_delta(const bench_options *o)
{
  static const char name[] = "shadow-delta-p99";
  if (!bench_wanted(o, name))
    return 0;
  double seconds = o->quick ? 5 : 20, cpu_us = 0, fsync_ms = bench_fsync_ms(o->dir);
  shadow_load l = {.count = THINGS, .rate = 5000, .epoll = epoll_create1(EPOLL_CLOEXEC), .thing = calloc(THINGS, sizeof *l.thing)};
  l.room = (size_t)(l.rate * (seconds + 2));
  l.latency = calloc(l.room, sizeof *l.latency);
  bench_server s;
  mc_why why = {0};
  mc_err err = l.thing && l.latency ? bench_start_motorcade(o, 0, &s, &why) : MC_ERR_MEMORY;
  if (!err) {
    err = drive(&l, &s, seconds, &cpu_us, &why);
    bench_line line = {.bench = "device", .name = name, .unit = "ms", .lower_is_better = true, .cpu_us_per_unit = cpu_us, .rss_kib = bench_rss_kib(&s.process)};
    bench_stop(&s);
    qsort(l.latency, l.latencies, sizeof *l.latency, by_size);
    uint64_t sent = 0;
    for (int i = 0; i < l.count; i++)
      sent += l.thing[i].sent;
    line.ours = l.latencies ? l.latency[(size_t)(0.99 * (double)(l.latencies - 1))] * 1000 : NAN;
    snprintf(line.conditions, sizeof line.conditions,
             "%d things, each asks for a change of its own shadow at QoS 1 and hears the delta at QoS 1, %g changes/s of all, from when a change was due; "
             "p50 %.2f ms; %zu deltas of %llu changes, %llu due changes not sent; fdatasync %.2f ms",
             l.count, l.rate, l.latencies ? l.latency[l.latencies / 2] * 1000 : NAN, l.latencies, (unsigned long long)sent, (unsigned long long)l.accepted_late, fsync_ms);
    if (!err)
      bench_print(o, &line);
  }
  end(&l);
  if (err)
    fprintf(stderr, "bench device: %s\n", why.text);
  return err ? 1 : 0;
}

int bench_device(const bench_options *o)
{
  return bench_device_policy(o) | shadow_delta(o);
}
