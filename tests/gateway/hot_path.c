/* The hot path alone, to be counted under callgrind (tools/hot_path.py): a gateway on one loop that this thread turns by hand, one publisher, and one
 * subscriber or none. The same bytes in the same order each time; what is left to chance is how records fall into groups.
 *
 *   gateway_hot_path MESSAGES publish|deliver */
#include <errno.h>

#include "rig.h"

enum { BATCH = 200, PAYLOAD = 200 };
static const char TOPIC[] = "dt/veh/0000/tlm";

static mc_why why;

static void fail(const char *what)
{
  fprintf(stderr, "hot path: %s: %s\n", what, why.text[0] ? why.text : strerror(errno));
  exit(2);
}

typedef struct end {
  int fd;
  mc_buf in;
} end;

static void turn(rig *r) { mc_loop_turn(r->loop[0], 20); }

static void say(rig *r, end *e, mc_buf *out)
{
  for (size_t at = 0; at < out->len;) {
    ssize_t n = send(e->fd, out->data + at, out->len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
      fail("send");
    at += n > 0 ? (size_t)n : 0;
    if (n < 0)
      turn(r);
  }
  mc_buf_clear(out);
}

static void hear(rig *r, end *e, size_t len)
{
  while (e->in.len < len) {
    mc_buf_reserve(&e->in, 1 << 16);
    ssize_t n = recv(e->fd, e->in.data + e->in.len, 1 << 16, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
      fail("the gateway closed the connection");
    e->in.len += n > 0 ? (size_t)n : 0;
    if (n < 0)
      turn(r);
  }
}

static void join(rig *r, end *e, const char *id, const char *filter)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(mc_gateway_port(r->g, true)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  mc_buf out = {0};
  e->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(e->fd, (struct sockaddr *)&a, sizeof a))
    fail("connect");
  setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  mc_mqtt_write_connect(&out, &(mc_mqtt_connect){.version = MC_MQTT_311, .clean = true, .client_id = mc_slice_str(id)});
  say(r, e, &out);
  hear(r, e, 4);
  if (filter) {
    mc_mqtt_write_subscribe(&out, MC_MQTT_311, 1, &(mc_mqtt_filter){.filter = mc_slice_str(filter), .qos = 1}, 1, (mc_slice){0});
    say(r, e, &out);
    hear(r, e, 4 + 5);
  }
  mc_buf_clear(&e->in);
  mc_buf_free(&out);
}

/* Each PUBLISH that came is acknowledged; all have the same length. */
static void acknowledge(rig *r, end *e, size_t packet)
{
  mc_buf out = {0};
  for (size_t at = 0; at < e->in.len; at += packet) {
    const uint8_t *id = e->in.data + at + packet - PAYLOAD - 2;
    uint8_t ack[4] = {MC_MQTT_PUBACK << 4, 2, id[0], id[1]};
    mc_buf_append(&out, ack, 4);
  }
  mc_buf_clear(&e->in);
  say(r, e, &out);
  mc_buf_free(&out);
}

int main(int argc, char **argv)
{
  int messages = argc == 3 ? atoi(argv[1]) : 0;
  bool deliver = argc == 3 && !strcmp(argv[2], "deliver");
  if (messages < BATCH || messages % BATCH) {
    fprintf(stderr, "usage: %s MESSAGES(a multiple of %d) publish|deliver\n", argv[0], BATCH);
    return 2;
  }
  rig r = {0};
  end publisher = {0}, subscriber = {0};
  rig_open(&r, 1);
  join(&r, &publisher, "pub", NULL);
  if (deliver)
    join(&r, &subscriber, "sub", TOPIC);
  static uint8_t payload[PAYLOAD];
  mc_mqtt_publish p = {.qos = 1, .topic = mc_slice_str(TOPIC), .payload = mc_slice_of(payload, PAYLOAD)};
  mc_buf out = {0};
  size_t packet = 0;
  for (int at = 0; at < messages; at += BATCH) {
    for (int i = 0; i < BATCH; i++) {
      p.packet_id = (uint16_t)(i + 1);
      if (mc_mqtt_write_publish(&out, MC_MQTT_311, &p, (mc_slice){0}) != MC_OK)
        fail("write");
    }
    packet = out.len / BATCH;
    say(&r, &publisher, &out);
    hear(&r, &publisher, BATCH * 4);
    mc_buf_clear(&publisher.in);
    if (!deliver)
      continue;
    hear(&r, &subscriber, BATCH * packet);
    acknowledge(&r, &subscriber, packet);
  }
  mc_buf_free(&out);
  mc_buf_free(&publisher.in);
  mc_buf_free(&subscriber.in);
  close(publisher.fd);
  if (deliver)
    close(subscriber.fd);
  for (int i = 0; i < 20; i++)
    mc_loop_turn(r.loop[0], 5);
  rig_close(&r);
  rig_remove(&r);
  return 0;
}
