/* Queues that live in the journal: what they cost in memory, and that a restart finds every message, in order, once. */
#include "rig.h"

static void quiet(void) { mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2); }

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { MANY = 100000 };
#else
enum { MANY = 1000000 };
#endif

static void leave(uint16_t port, const char *id, uint8_t qos)
{
  client s;
  CHECK(client_connect(&s, port, 5, id, true, 3600));
  CHECK_INT(client_subscribe(&s, "queue/#", qos), qos);
  client_disconnect(&s);
  CHECK_INT(client_next(&s), CLIENT_CLOSED);
  client_close(&s);
}

/* Publishes the numbers from..to-1, 500 in flight. */
static void publish(uint16_t port, int from, int to, uint8_t qos)
{
  client a;
  char text[16];
  CHECK(client_connect(&a, port, 5, "publisher", true, 0));
  for (int i = from; i < to;) {
    int first = i;
    for (; i < to && i - first < 500; i++) {
      snprintf(text, sizeof text, "%d", i);
      client_put_publish(&a, "queue/x", text, qos, false, (uint16_t)(i - first + 1));
    }
    client_flush(&a);
    for (int k = first; k < i; k++)
      CHECK_INT(client_next(&a), qos == 2 ? MC_MQTT_PUBREC : MC_MQTT_PUBACK);
    for (int k = first; qos == 2 && k < i; k++)
      mc_mqtt_write_ack(&a.out, MC_MQTT_PUBREL, 5, (uint16_t)(k - first + 1), 0, (mc_slice){0});
    client_flush(&a);
    for (int k = first; qos == 2 && k < i; k++)
      CHECK_INT(client_next(&a), MC_MQTT_PUBCOMP);
  }
  client_close(&a);
}

/* The number in the PUBLISH that is next, -1 for anything else. It is answered; answers are sent now and then. */
static int take(client *s, int i)
{
  char text[16];
  int n;
  if (client_next(s) != MC_MQTT_PUBLISH)
    return -1;
  mc_slice_to_str(s->packet.publish.payload, text, sizeof text);
  n = atoi(text);
  mc_mqtt_write_ack(&s->out, MC_MQTT_PUBACK, 5, s->packet.publish.packet_id, 0, (mc_slice){0});
  if (i % 64 == 63)
    client_flush(s);
  return n;
}

static bool info_of(rig *r, const char *id, mc_client_info *out)
{
  mc_arena arena = MC_ARENA(0);
  mc_client_info *list;
  size_t count;
  bool found = false;
  mc_gateway_clients(r->g, 1, MC_LIT(""), 100, &arena, &list, &count, NULL);
  for (size_t i = 0; i < count; i++)
    if (!strcmp(list[i].client_id, id)) {
      *out = list[i];
      found = true;
    }
  mc_arena_free(&arena);
  return found;
}

static void test_many_waiting_messages_cost_little_memory_and_come_in_order(void)
{
  rig r = {.journal_config = {.segment_bytes = 64 << 20}};
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  client s;
  mc_client_info info;
  leave(port, "absent", 1);
  publish(port, 0, MANY, 1);
  CHECK_SOON(info_of(&r, "absent", &info) && info.queued == MANY);
  CHECK_SOON(info_of(&r, "absent", &info) && info.queue_bytes <= 20 << 10);
  printf("# %u messages wait, %u bytes of memory for them\n", info.queued, info.queue_bytes);
  CHECK(strstr(info.last_error, "far behind"));
  CHECK(client_connect(&s, port, 5, "absent", false, 3600));
  for (int i = 0; i < MANY; i++) {
    int n = take(&s, i);
    if (n != i)
      TAP_FAIL("message %d: got %d", i, n);
  }
  client_flush(&s);
  CHECK_INT(client_next_within(&s, 100), CLIENT_QUIET);
  CHECK_SOON(info_of(&r, "absent", &info) && info.queued == 0 && info.inflight == 0);
  client_close(&s);
  rig_stop(&r);
  rig_remove(&r);
}

/* Written, partly read and acknowledged, stopped and killed in between. */
static void test_a_queue_goes_on_after_stops_and_kills(void)
{
  rig r = {0};
  pid_t pid;
  client s;
  enum { TOTAL = 9000, STEP = 700 };
  static int got[TOTAL];
  memset(got, 0, sizeof got);
  uint16_t port = rig_fork(&r, 2, &pid);
  leave(port, "keeper", 1);
  int next = 0, published = 0, repeats = 0;
  for (int round = 0; round < 12 && next < TOTAL; round++) {
    int more = published + 2300 < TOTAL ? published + 2300 : TOTAL;
    publish(port, published, more, 1);
    published = more;
    if (round % 2) {
      rig_kill(pid);
      port = rig_fork(&r, 2, &pid);
    }
    CHECK(client_connect(&s, port, 5, "keeper", false, 3600));
    CHECK(s.packet.connack.session_present);
    for (int i = 0; i < STEP && next < published;) {
      int n = take(&s, 63);
      if (n < 0 || n > next || n + STEP < next) /* what is older was acknowledged a round before */
        TAP_FAIL("round %d: got %d where %d was to come", round, n, next);
      repeats += n < next; /* an acknowledgement that a kill took */
      got[n]++;
      if (n == next) {
        next++;
        i++;
      }
    }
    client_flush(&s);
    if (round % 2)
      CHECK(client_settle(&s) >= 0);
    else
      usleep(60000); /* acknowledgements are journaled within 20 ms; on a busy machine some of this round come again */
    rig_kill(pid);
    client_close(&s);
    port = rig_fork(&r, 2, &pid);
  }
  printf("# %d of %d read in rounds, %d repeats\n", next, published, repeats);
  CHECK(client_connect(&s, port, 5, "keeper", false, 3600));
  while (next < published) {
    int n = take(&s, 63);
    if (n < 0 || n > next)
      TAP_FAIL("at the end: got %d where %d was to come", n, next);
    got[n]++;
    next += n == next;
  }
  for (int i = 0; i < TOTAL; i++)
    CHECK(got[i] >= 1);
  client_close(&s);
  rig_kill(pid);
  rig_remove(&r);
}

/* QoS 2 through pages: each once. */
static void test_qos_2_passes_pages_once(void)
{
  rig r = {0};
  pid_t pid;
  client s;
  enum { TOTAL = 3000 };
  static int got[TOTAL];
  static bool holds[65536];
  memset(got, 0, sizeof got);
  memset(holds, 0, sizeof holds);
  uint16_t port = rig_fork(&r, 2, &pid);
  leave(port, "twice", 2);
  publish(port, 0, TOTAL, 2);
  int sum = 0;
  for (int round = 0; round < 20 && sum < TOTAL; round++) {
    rig_kill(pid);
    port = rig_fork(&r, 2, &pid);
    CHECK(client_connect(&s, port, 5, "twice", false, 3600));
    CHECK(s.packet.connack.session_present);
    for (int i = 0, target = sum + 250; sum < TOTAL && (sum < target || round == 19); i++) {
      int type = client_next(&s);
      uint16_t id = s.packet.publish.packet_id;
      if (type == MC_MQTT_PUBLISH && !holds[id]) {
        char text[16];
        mc_slice_to_str(s.packet.publish.payload, text, sizeof text);
        got[atoi(text)]++;
        sum++;
        holds[id] = true;
      }
      CHECK(type == MC_MQTT_PUBLISH || type == MC_MQTT_PUBREL);
      if (type == MC_MQTT_PUBREL) {
        id = s.packet.ack.packet_id;
        holds[id] = false;
      }
      client_answer(&s, type == MC_MQTT_PUBLISH ? MC_MQTT_PUBREC : MC_MQTT_PUBCOMP, id, 0);
    }
    client_close(&s);
  }
  CHECK_INT(sum, TOTAL);
  for (int i = 0; i < TOTAL; i++)
    CHECK_INT(got[i], 1);
  rig_kill(pid);
  rig_remove(&r);
}

int main(void)
{
  quiet();
  RUN(test_a_queue_goes_on_after_stops_and_kills); /* before this process has threads */
  RUN(test_qos_2_passes_pages_once);
  RUN(test_many_waiting_messages_cost_little_memory_and_come_in_order);
  return tap_done();
}
