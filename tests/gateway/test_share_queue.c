/* What waits for a group: pages in the journal, bounded memory, stops and kills with other numbers of loops (so other homes), and that a QoS 2 message which was
 * begun with one member is nobody else's (MQTT 5.0, 4.8.2-4, 4.8.2-5). */
#include <stdatomic.h>

#include "rig.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { MANY = 60000 };
#else
enum { MANY = 1000000 };
#endif

static uint64_t waiting(rig *r, uint64_t *bytes)
{
  mc_gateway_stats stats;
  mc_gateway_stats_get(r->g, &stats);
  *bytes = stats.shared_bytes;
  return stats.shared_waiting;
}

/* receive_max 0: as the server has it. */
static bool join(client *c, uint16_t port, const char *id, uint32_t expiry_s, uint16_t receive_max)
{
  mc_buf props = {0};
  if (expiry_s)
    mc_mqtt_put_number(&props, 0x11, expiry_s);
  if (receive_max)
    mc_mqtt_put_number(&props, 0x21, receive_max);
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .keep_alive_s = 60, .props.raw = mc_buf_slice(&props)};
  bool ok = client_connect_with(c, port, with) == MC_MQTT_CONNACK && c->packet.connack.code == 0;
  mc_buf_free(&props);
  return ok;
}

static void leave(client *c)
{
  int type;
  client_disconnect(c);
  while ((type = client_next(c)) >= 0) /* what was on its way */
    ;
  client_close(c);
  CHECK_INT(type, CLIENT_CLOSED);
}

/* Publishes the numbers from..to-1, 500 in flight. */
static void publish(uint16_t port, const char *topic, int from, int to, uint8_t qos)
{
  client a;
  char text[16];
  CHECK(client_connect(&a, port, 5, "publisher", true, 0));
  for (int i = from; i < to;) {
    int first = i;
    for (; i < to && i - first < 500; i++) {
      snprintf(text, sizeof text, "%d", i);
      client_put_publish(&a, topic, text, qos, false, (uint16_t)(i - first + 1));
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

static int number_of(const client *c)
{
  char text[16];
  mc_slice_to_str(c->packet.publish.payload, text, sizeof text);
  return atoi(text);
}

/* The number in the PUBLISH that is next, -1 for anything else. It is answered; answers are sent every `each`. */
static int take(client *c, int i, int each)
{
  if (client_next(c) != MC_MQTT_PUBLISH)
    return -1;
  int n = number_of(c);
  mc_mqtt_write_ack(&c->out, MC_MQTT_PUBACK, 5, c->packet.publish.packet_id, 0, (mc_slice){0});
  if (i % each == each - 1)
    client_flush(c);
  return n;
}

static void test_many_wait_for_a_group_in_little_memory_and_come_in_order(void)
{
  rig r = {.journal_config = {.segment_bytes = 64 << 20}};
  client m;
  uint64_t bytes = 0;
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  CHECK(join(&m, port, "absent", 3600, 0));
  CHECK_INT(client_subscribe(&m, "$share/g/queue/#", 1), 1);
  leave(&m);
  publish(port, "queue/x", 0, MANY, 1);
  CHECK_SOON(waiting(&r, &bytes) == MANY);
  CHECK_SOON(waiting(&r, &bytes) == MANY && bytes <= 24 << 10);
  printf("# %d messages wait, %llu bytes of memory for them\n", MANY, (unsigned long long)bytes);
  CHECK(join(&m, port, "absent", 3600, 0));
  for (int i = 0; i < MANY; i++) {
    int n = take(&m, i, 64);
    if (n != i)
      TAP_FAIL("message %d: got %d", i, n);
  }
  client_flush(&m);
  CHECK_INT(client_next_within(&m, 100), CLIENT_QUIET);
  CHECK_SOON(waiting(&r, &bytes) == 0);
  client_close(&m);
  rig_stop(&r);
  rig_remove(&r);
}

typedef struct hold_up {
  mc_post post;
  atomic_bool *over;
} hold_up;

static void sleep_here(mc_post *post)
{
  hold_up *h = (hold_up *)post;
  usleep(50000);
  atomic_store(h->over, true);
  free(h);
}

/* What is published after the SUBACK is the group's, also when the group's loop hears of the subscription after it is in the journal. */
static void test_what_comes_before_its_loop_hears_of_a_group_is_not_lost(void)
{
  enum { ROUNDS = 24, TOTAL = 600 /* more than a page */ };
  rig r = {0};
  client m;
  char id[24], filter[48];
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  for (int round = 0; round < ROUNDS; round++) {
    atomic_bool over = false;
    hold_up *h = calloc(1, sizeof *h);
    *h = (hold_up){{.run = sleep_here}, &over};
    snprintf(id, sizeof id, "late-%d", round);
    snprintf(filter, sizeof filter, "$share/g/late/%d", round);
    CHECK(join(&m, port, id, 3600, 0));
    mc_loop_post(r.loop[round % 2], &h->post); /* in one round of eight it is the group's loop, and nobody else's */
    CHECK_INT(client_subscribe(&m, filter, 1), 1);
    leave(&m);
    publish(port, filter + strlen("$share/g/"), 0, TOTAL, 1);
    CHECK(join(&m, port, id, 3600, 0));
    for (int i = 0; i < TOTAL; i++) {
      int n = take(&m, i, 64);
      if (n != i)
        TAP_FAIL("round %d, message %d: got %d", round, i, n);
    }
    client_flush(&m);
    leave(&m);
    CHECK_SOON(atomic_load(&over));
  }
  rig_stop(&r);
  rig_remove(&r);
}

/* Some are read and acknowledged, the server stops and comes back with another number of loops. */
static void test_a_groups_pages_go_on_after_stops_on_any_number_of_loops(void)
{
  enum { TOTAL = 9000, STEP = 700 };
  static int got[TOTAL];
  rig r = {0};
  client m;
  int next = 0, published = 0;
  memset(got, 0, sizeof got);
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  CHECK(join(&m, port, "keeper", 3600, 100));
  CHECK_INT(client_subscribe(&m, "$share/g/stop/#", 1), 1);
  leave(&m);
  for (int round = 0; next < TOTAL; round++) {
    int more = published + 2300 < TOTAL ? published + 2300 : TOTAL;
    publish(port, "stop/x", published, more, 1);
    published = more;
    CHECK(join(&m, port, "keeper", 3600, 100));
    CHECK(m.packet.connack.session_present);
    for (int i = 0; i < STEP && next < published; i++, next++) {
      int n = take(&m, i, 50);
      if (n != next)
        TAP_FAIL("round %d: got %d where %d was to come", round, n, next);
      got[n]++;
    }
    client_flush(&m);
    uint64_t bytes;
    CHECK_SOON(waiting(&r, &bytes) + 100 >= (uint64_t)(published - next) && waiting(&r, &bytes) <= (uint64_t)(published - next));
    leave(&m);
    char checkpoint[128];
    snprintf(checkpoint, sizeof checkpoint, "%s/gateway/sessions.checkpoint", r.dir);
    unlink(checkpoint);
    rig_stop(&r);
    CHECK_INT(access(checkpoint, F_OK), 0); /* also with pages near the journal's beginning */
    rig_start(&r, (size_t)(1 + round % 4));
    port = mc_gateway_port(r.g, true);
  }
  CHECK(join(&m, port, "keeper", 3600, 100));
  CHECK_INT(client_next_within(&m, 200), CLIENT_QUIET);
  for (int i = 0; i < TOTAL; i++)
    CHECK_INT(got[i], 1);
  client_close(&m);
  rig_stop(&r);
  rig_remove(&r);
}

/* The same with kills: what was acknowledged within the last moments may come again, nothing is missing. */
static void test_a_groups_pages_go_on_after_kills(void)
{
  enum { TOTAL = 8000, STEP = 900 };
  static int got[TOTAL];
  rig r = {0};
  client m;
  pid_t pid;
  int sum = 0, published = 0, repeats = 0, rounds = 0;
  memset(got, 0, sizeof got);
  uint16_t port = rig_fork(&r, 2, &pid);
  CHECK(join(&m, port, "keeper", 3600, 100));
  CHECK_INT(client_subscribe(&m, "$share/g/kill/#", 1), 1);
  leave(&m);
  for (; sum < TOTAL && rounds < 40; rounds++) {
    int more = published + 1700 < TOTAL ? published + 1700 : TOTAL;
    publish(port, "kill/x", published, more, 1);
    published = more;
    if (rounds % 3 == 1) { /* in the middle of writing pages */
      rig_kill(pid);
      port = rig_fork(&r, (size_t)(1 + rounds % 4), &pid);
    }
    CHECK(join(&m, port, "keeper", 3600, 100));
    CHECK(m.packet.connack.session_present);
    for (int i = 0; i < STEP && sum < published; i++) {
      int n = take(&m, i, 50);
      CHECK(n >= 0);
      sum += got[n] == 0;
      repeats += got[n]++ > 0;
    }
    client_flush(&m);
    if (rounds % 3)
      CHECK(client_settle(&m) >= 0);
    else
      usleep(1000); /* acknowledgements are journaled within 20 ms */
    rig_kill(pid);
    client_close(&m);
    port = rig_fork(&r, (size_t)(1 + (rounds + 1) % 4), &pid);
  }
  printf("# %d messages in %d rounds, %d repeats\n", sum, rounds, repeats);
  CHECK_INT(sum, TOTAL);
  CHECK(repeats <= (rounds / 3 + 1) * STEP + rounds * 200); /* where it was killed at once, what was read within 20 ms; else a window and some */
  rig_kill(pid);
  rig_remove(&r);
}

/* QoS 2 through a group's pages: each once, whichever of two kept members has it. */
static void test_qos_2_passes_a_groups_pages_once(void)
{
  enum { TOTAL = 3000 };
  static int got[TOTAL];
  static bool holds[2][65536];
  static const char *const id[] = {"left", "right"};
  rig r = {0};
  client m[2];
  pid_t pid;
  int sum = 0;
  memset(got, 0, sizeof got);
  memset(holds, 0, sizeof holds);
  uint16_t port = rig_fork(&r, 2, &pid);
  for (int k = 0; k < 2; k++) {
    CHECK(join(&m[k], port, id[k], 3600, 50));
    CHECK_INT(client_subscribe(&m[k], "$share/g/twice", 2), 2);
    leave(&m[k]);
  }
  publish(port, "twice", 0, TOTAL, 2);
  for (int round = 0; round < 20 && sum < TOTAL; round++) {
    rig_kill(pid);
    port = rig_fork(&r, (size_t)(1 + round % 3), &pid);
    for (int k = 0; k < 2; k++) {
      CHECK(join(&m[k], port, id[k], 3600, 50));
      CHECK(m[k].packet.connack.session_present);
    }
    int quiet = 0;
    for (int target = sum + 300; sum < TOTAL && (sum < target || round == 19) && quiet < 100 * PATIENCE_MS / 1000;) {
      for (int k = 0; k < 2; k++) {
        int type = client_next_within(&m[k], 10);
        uint16_t p = m[k].packet.publish.packet_id;
        quiet = type == CLIENT_QUIET ? quiet + 1 : 0;
        if (type == MC_MQTT_PUBLISH && !holds[k][p]) {
          got[number_of(&m[k])]++;
          sum++;
          holds[k][p] = true;
        }
        if (type == MC_MQTT_PUBREL) {
          p = m[k].packet.ack.packet_id;
          holds[k][p] = false;
        }
        if (type >= 0)
          client_answer(&m[k], type == MC_MQTT_PUBLISH ? MC_MQTT_PUBREC : MC_MQTT_PUBCOMP, p, 0);
      }
    }
    client_close(&m[0]);
    client_close(&m[1]);
  }
  int once = 0;
  for (int i = 0; i < TOTAL; i++)
    once += got[i] == 1;
  CHECK_INT(once, TOTAL);
  rig_kill(pid);
  rig_remove(&r);
}

/* 4.8.2-5: the session of `passing` ends with its connection, and so with the server. What was begun with it goes to nobody else, however soon the server dies. */
static void test_what_was_begun_with_a_passing_session_reaches_no_other_member_after_a_kill(void)
{
  enum { ROUNDS = 12, EACH = 6 };
  static int kept[ROUNDS * EACH], passed[ROUNDS * EACH];
  rig r = {0};
  client keeper, passing;
  pid_t pid;
  memset(kept, 0, sizeof kept);
  memset(passed, 0, sizeof passed);
  uint16_t port = rig_fork(&r, 3, &pid);
  CHECK(join(&keeper, port, "keeper", 3600, 0));
  CHECK_INT(client_subscribe(&keeper, "$share/g/begun", 2), 2);
  leave(&keeper);
  for (int round = 0; round < ROUNDS; round++) {
    CHECK(join(&passing, port, "passing", 0, 3));
    CHECK_INT(client_subscribe(&passing, "$share/g/begun", 2), 2);
    publish(port, "begun", round * EACH, (round + 1) * EACH, 2);
    for (int i = 0; i < 3; i++) { /* its Receive Maximum: the others wait with the group */
      CHECK_INT(client_next(&passing), MC_MQTT_PUBLISH);
      CHECK_INT(passing.packet.publish.qos, 2);
      passed[number_of(&passing)]++;
    }
    rig_kill(pid); /* at once */
    client_close(&passing);
    port = rig_fork(&r, (size_t)(1 + round % 3), &pid);
    CHECK(join(&keeper, port, "keeper", 3600, 0));
    int owed = 0;
    for (int i = 0; i < (round + 1) * EACH; i++)
      owed += kept[i] + passed[i] == 0;
    while (client_next_within(&keeper, owed ? PATIENCE_MS : 100) >= 0) {
      bool publish_came = keeper.packet.type == MC_MQTT_PUBLISH;
      owed -= publish_came && kept[number_of(&keeper)] + passed[number_of(&keeper)] == 0;
      kept[publish_came ? number_of(&keeper) : 0] += publish_came;
      client_answer(&keeper, publish_came ? MC_MQTT_PUBREC : MC_MQTT_PUBCOMP, publish_came ? keeper.packet.publish.packet_id : keeper.packet.ack.packet_id, 0);
    }
    leave(&keeper);
  }
  int both = 0, none = 0;
  for (int i = 0; i < ROUNDS * EACH; i++) {
    both += kept[i] + passed[i] > 1;
    none += kept[i] + passed[i] == 0;
  }
  printf("# %d messages: %d went to two members, %d to none\n", ROUNDS * EACH, both, none);
  CHECK_INT(both, 0);
  CHECK_INT(none, 0);
  rig_kill(pid);
  rig_remove(&r);
}

/* A passing member that goes before it got what was about to be given: the process lives, so the message goes to another, also when the server dies later. */
static void test_what_a_passing_member_did_not_get_goes_to_another(void)
{
  enum { TOTAL = 400 };
  static int kept[TOTAL], passed[TOTAL];
  rig r = {0};
  client keeper, passing;
  pid_t pid;
  memset(kept, 0, sizeof kept);
  memset(passed, 0, sizeof passed);
  uint16_t port = rig_fork(&r, 3, &pid);
  CHECK(join(&keeper, port, "keeper", 3600, 0));
  CHECK_INT(client_subscribe(&keeper, "$share/g/given", 2), 2);
  leave(&keeper);
  publish(port, "given", 0, TOTAL, 2);
  int there = 0;
  for (int i = 0; i < 20 || (!there && i < 400); i++) { /* joins, sees some or none, goes without a word */
    CHECK(join(&passing, port, "passing", 0, 5));
    mc_mqtt_filter f = {.filter = MC_LIT("$share/g/given"), .qos = 2};
    mc_mqtt_write_subscribe(&passing.out, 5, 10, &f, 1, (mc_slice){0});
    client_flush(&passing);
    for (int type; (type = client_next_within(&passing, i % 4 + i / 20 * 10)) >= 0;)
      if (type == MC_MQTT_PUBLISH)
        there++, passed[number_of(&passing)]++;
    shutdown(passing.fd, SHUT_WR); /* what was sent on this connection is known: it is read to its end */
    for (int type; (type = client_next(&passing)) >= 0;)
      if (type == MC_MQTT_PUBLISH)
        there++, passed[number_of(&passing)]++;
    client_close(&passing);
  }
  client other;
  CHECK(join(&other, port, "other", 0, 0));
  CHECK_INT(client_settle(&other), 0); /* that it went is in the journal, too */
  client_close(&other);
  rig_kill(pid);
  port = rig_fork(&r, 2, &pid);
  CHECK(join(&keeper, port, "keeper", 3600, 0));
  int owed = 0;
  for (int i = 0; i < TOTAL; i++)
    owed += passed[i] == 0;
  while (client_next_within(&keeper, owed ? PATIENCE_MS : 300) >= 0) {
    bool publish_came = keeper.packet.type == MC_MQTT_PUBLISH;
    owed -= publish_came && kept[number_of(&keeper)] + passed[number_of(&keeper)] == 0;
    kept[publish_came ? number_of(&keeper) : 0] += publish_came;
    client_answer(&keeper, publish_came ? MC_MQTT_PUBREC : MC_MQTT_PUBCOMP, publish_came ? keeper.packet.publish.packet_id : keeper.packet.ack.packet_id, 0);
  }
  int both = 0, none = 0;
  for (int i = 0; i < TOTAL; i++) {
    both += kept[i] + passed[i] > 1;
    none += kept[i] + passed[i] == 0;
  }
  printf("# %d messages: %d were begun with passing members, %d went to two, %d to none\n", TOTAL, there, both, none);
  CHECK(there > 0);
  CHECK_INT(both, 0);
  CHECK_INT(none, 0);
  client_close(&keeper);
  rig_kill(pid);
  rig_remove(&r);
}

/* Version 1 knew no pages; what version 2 left has one. Killed: what the journal's records say; stopped: what the checkpoint says. */
static void test_reads_what_earlier_versions_left_behind(void)
{
  static const struct { const char *name; int count; } left[] = {{"shared-v1-stopped", 40}, {"shared-v1-killed", 40}, {"shared-v2-stopped", 600}, {"shared-v2-killed", 600}};
  for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
    rig r = {.journal_config = {.segment_bytes = 64 << 10}};
    char command[800];
    client m;
    snprintf(r.dir, sizeof r.dir, "/tmp/mc-gateway-XXXXXX");
    CHECK(mkdtemp(r.dir));
    snprintf(command, sizeof command, "cd %s && mkdir journal gateway && cp %s/%s/* journal && (mv journal/*.checkpoint gateway 2>/dev/null; true)", r.dir,
             MC_SOURCE_DIR "/tests/gateway/golden", left[i].name);
    CHECK_INT(system(command), 0);
    rig_start(&r, 3);
    CHECK(join(&m, mc_gateway_port(r.g, true), "keeper", UINT32_MAX, 0));
    CHECK(m.packet.connack.session_present);
    for (int n = 2; n < left[i].count; n++) {
      int got = take(&m, n, 50);
      if (got != n)
        TAP_FAIL("%s: got %d where %d was to come", left[i].name, got, n);
    }
    client_flush(&m);
    CHECK_INT(client_next_within(&m, 200), CLIENT_QUIET);
    client_close(&m);
    rig_stop(&r);
    rig_remove(&r);
  }
}

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  signal(SIGPIPE, SIG_IGN);
  RUN(test_a_groups_pages_go_on_after_kills); /* before this process has threads */
  RUN(test_qos_2_passes_a_groups_pages_once);
  RUN(test_what_was_begun_with_a_passing_session_reaches_no_other_member_after_a_kill);
  RUN(test_what_a_passing_member_did_not_get_goes_to_another);
  RUN(test_a_groups_pages_go_on_after_stops_on_any_number_of_loops);
  RUN(test_reads_what_earlier_versions_left_behind);
  RUN(test_many_wait_for_a_group_in_little_memory_and_come_in_order);
  RUN(test_what_comes_before_its_loop_hears_of_a_group_is_not_lost);
  return tap_done();
}
