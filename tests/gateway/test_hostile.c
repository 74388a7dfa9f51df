/* Clients and disks that do their worst: take-over storms, subscriptions by the thousand, floods of retained messages, a disk that is full while queues are
 * written to it. What was acknowledged arrives; everybody else goes on. */
#include <stdatomic.h>

#include "rig.h"

static int number_of(const client *c)
{
  char text[16];
  mc_slice_to_str(c->packet.publish.payload, text, sizeof text);
  return atoi(text);
}

/* ---- take-over ---- */
enum { STORMERS = 6, STORM_MS = 2500, STORM_MAX = 60000 };
typedef struct storm {
  uint16_t port;
  bool kept;
  atomic_bool stop;
  atomic_int connects, refused, got[STORM_MAX];
} storm;

/* Comes again and again under the one name, takes what comes, and is thrown out by the others. */
static void *stormer(void *arg)
{
  storm *st = arg;
  client c;
  while (!atomic_load(&st->stop)) {
    if (!client_connect(&c, st->port, 5, "one", !st->kept, st->kept ? 3600 : 0)) {
      atomic_fetch_add(&st->refused, 1);
      client_close(&c);
      continue;
    }
    atomic_fetch_add(&st->connects, 1);
    for (int type; (type = client_next_within(&c, 20)) >= 0;)
      if (type == MC_MQTT_PUBLISH) {
        atomic_fetch_add(&st->got[number_of(&c)], 1);
        client_ack(&c);
      }
    client_close(&c);
  }
  return NULL;
}

static void take_over(bool kept)
{
  static storm st;
  rig r = {0};
  client pub, last;
  pthread_t thread[STORMERS];
  char text[16];
  int published = 0, lost = 0;
  memset(&st, 0, sizeof st);
  rig_start(&r, 3);
  st.port = mc_gateway_port(r.g, true);
  st.kept = kept;
  CHECK(client_connect(&last, st.port, 5, "one", false, 3600));
  CHECK_INT(client_subscribe(&last, "storm", 1), 1);
  CHECK_INT(client_subscribe(&last, "$share/g/stormy", 1), 1);
  CHECK(client_connect(&pub, st.port, 5, "pub", true, 0));
  for (int i = 0; i < STORMERS; i++)
    pthread_create(&thread[i], NULL, stormer, &st);
  for (int64_t until = now_ms() + STORM_MS, at_most = until + PATIENCE_MS; (now_ms() < until || (atomic_load(&st.connects) <= 50 && now_ms() < at_most)) && published < STORM_MAX; published++) {
    snprintf(text, sizeof text, "%d", published);
    CHECK_INT(client_publish(&pub, published % 2 ? "storm" : "stormy", text, false), 0);
  }
  atomic_store(&st.stop, true);
  for (int i = 0; i < STORMERS; i++)
    pthread_join(thread[i], NULL);
  client_close(&last);
  CHECK(client_connect(&last, st.port, 5, "one", false, 3600));
  CHECK_INT(last.packet.connack.session_present, kept);
  for (int i = 0; i < published; i++)
    lost += atomic_load(&st.got[i]) == 0;
  for (int type; (type = client_next_within(&last, kept && lost ? PATIENCE_MS : 300)) >= 0;)
    if (type == MC_MQTT_PUBLISH) {
      lost -= atomic_fetch_add(&st.got[number_of(&last)], 1) == 0;
      client_ack(&last);
    }
  printf("# %d connects, %d refused, %d messages, %d lost\n", atomic_load(&st.connects), atomic_load(&st.refused), published, lost);
  CHECK(atomic_load(&st.connects) > 50);
  if (kept)
    CHECK_INT(lost, 0);
  mc_gateway_stats stats;
  CHECK_SOON((mc_gateway_stats_get(r.g, &stats), stats.sessions == 2));
  client_close(&last);
  client_close(&pub);
  CHECK_SOON((mc_gateway_stats_get(r.g, &stats), stats.sessions == 1 && stats.connections == 0)); /* "one" is kept */
  rig_stop(&r);
  rig_remove(&r);
}

static void test_a_storm_of_take_overs_loses_nothing_of_a_kept_session(void) { take_over(true); }
static void test_a_storm_of_take_overs_of_a_passing_session_leaves_nothing_behind(void) { take_over(false); }

/* ---- subscriptions ---- */
enum { FILTERS = 1000, LEVELS = 9 };

/* One for each choice of levels that are a wildcard: they all match the one topic, and in the tree they fork at each level. */
static void filter_text(int i, char *out, size_t size)
{
  size_t at = 0;
  for (int level = 0; level < LEVELS; level++)
    at += (size_t)snprintf(out + at, size - at, "%s%s", level ? "/" : "", i >> level & 1 ? "+" : "a");
  if (i >> LEVELS & 1)
    snprintf(out + at, size - at, "/#");
}

static bool subscribe_all(client *c, int id)
{
  static mc_mqtt_filter f[FILTERS];
  static char text[FILTERS][40];
  mc_buf props = {0};
  for (int i = 0; i < FILTERS; i++) {
    filter_text(i, text[i], sizeof text[i]);
    f[i] = (mc_mqtt_filter){.filter = mc_slice_str(text[i]), .qos = 1};
  }
  mc_mqtt_put_number(&props, 0x0B, (uint32_t)id);
  mc_mqtt_write_subscribe(&c->out, 5, 10, f, FILTERS, mc_buf_slice(&props));
  client_flush(c);
  mc_buf_free(&props);
  return client_next(c) == MC_MQTT_SUBACK && c->packet.subscribe.count == FILTERS;
}

static void test_a_thousand_forking_filters_get_a_message_once_and_in_time(void)
{
  enum { SESSIONS = 10, N = 300 };
  rig r = {0};
  client s[SESSIONS], pub;
  char id[24];
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  int64_t began = now_ms();
  for (int i = 0; i < SESSIONS; i++) {
    snprintf(id, sizeof id, "many-%d", i);
    CHECK(client_connect(&s[i], port, 5, id, true, 0));
    CHECK(subscribe_all(&s[i], i + 1));
    CHECK_INT(client_subscribe(&s[i], "one/too/many", 1), MC_MQTT_QUOTA);
  }
  int64_t subscribed = now_ms();
  CHECK(client_connect(&pub, port, 5, "pub", true, 0));
  for (int n = 0; n < N; n++)
    client_put_publish(&pub, "a/a/a/a/a/a/a/a/a", "x", 1, false, (uint16_t)(n + 1));
  client_flush(&pub);
  for (int n = 0; n < N; n++)
    CHECK_ANSWER(&pub, MC_MQTT_PUBACK, n + 1, 0);
  for (int i = 0; i < SESSIONS; i++) {
    for (int n = 0; n < N; n++) {
      CHECK_INT(client_next(&s[i]), MC_MQTT_PUBLISH);
      client_ack(&s[i]);
    }
    CHECK_INT(client_next_within(&s[i], 10), CLIENT_QUIET);
  }
  int64_t done = now_ms();
  printf("# %d filters after %lld ms, %d messages each to %d sessions by all of them after %lld ms\n", SESSIONS * FILTERS, (long long)(subscribed - began), N, SESSIONS,
         (long long)(done - subscribed));
  CHECK(done - began < 60000); /* nothing grows with the power of the levels */
  for (int i = 0; i < SESSIONS; i++)
    client_close(&s[i]);
  client_close(&pub);
  mc_gateway_stats stats;
  CHECK_SOON((mc_gateway_stats_get(r.g, &stats), stats.subscriptions == 0));
  rig_stop(&r);
  rig_remove(&r);
}

/* ---- retained messages ---- */
static void test_a_flood_of_retained_messages_reaches_a_subscriber_whole(void)
{
  enum { TOPICS = 6000 };
  static uint8_t seen[3][TOPICS];
  rig r = {.row = {{"receive_max", 1024}}};
  client pub, sub, idle[4];
  char topic[40], payload[1200];
  memset(seen, 0, sizeof seen);
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  CHECK(client_connect(&pub, port, 5, "pub", true, 0));
  for (int i = 0; i < TOPICS;) {
    int first = i;
    for (; i < TOPICS && i - first < 500; i++) {
      snprintf(topic, sizeof topic, "flood/%d/%d", i % 50, i);
      snprintf(payload, sizeof payload, "%-1100d", i);
      client_put_publish(&pub, topic, payload, 1, true, (uint16_t)(i - first + 1));
    }
    client_flush(&pub);
    for (int k = first; k < i; k++)
      CHECK_INT(client_next(&pub), MC_MQTT_PUBACK);
  }
  for (int i = 0; i < 4; i++) { /* want it all, and never read */
    char id[24];
    snprintf(id, sizeof id, "idle-%d", i);
    CHECK(client_connect(&idle[i], port, 5, id, true, 0));
    mc_mqtt_filter f = {.filter = MC_LIT("#"), .qos = (uint8_t)(i % 2)};
    mc_mqtt_write_subscribe(&idle[i].out, 5, 10, &f, 1, (mc_slice){0});
    client_flush(&idle[i]);
  }
  for (uint8_t qos = 0; qos < 3; qos++) {
    int n = 0;
    CHECK(client_connect(&sub, port, 5, "sub", true, 0));
    CHECK_INT(client_subscribe(&sub, "flood/#", qos), qos);
    while (client_next_within(&sub, n < TOPICS ? PATIENCE_MS : 200) == MC_MQTT_PUBLISH) {
      CHECK(sub.packet.publish.retain);
      seen[qos][number_of(&sub)]++;
      n++;
      if (sub.packet.publish.qos == 1)
        client_ack(&sub);
    }
    printf("# %d of %d retained messages came by a subscription with QoS %u\n", n, TOPICS, qos);
    for (int i = 0; i < TOPICS; i++)
      CHECK_INT(seen[qos][i], 1);
    client_close(&sub);
  }
  /* What waits for the socket at QoS 0 does not come behind what took its place meanwhile. */
  static int last[TOPICS];
  mc_mqtt_filter all = {.filter = MC_LIT("flood/#")};
  memset(last, 0, sizeof last);
  CHECK(client_connect(&sub, port, 5, "sub", true, 0));
  mc_mqtt_write_subscribe(&sub.out, 5, 10, &all, 1, (mc_slice){0});
  client_flush(&sub);
  CHECK_INT(client_next(&sub), MC_MQTT_SUBACK);
  for (int i = 0; i < TOPICS; i += 30) {
    snprintf(topic, sizeof topic, "flood/%d/%d", i % 50, i);
    snprintf(payload, sizeof payload, "%d", i + TOPICS);
    CHECK_INT(client_publish(&pub, topic, payload, true), 0);
  }
  for (int missing = TOPICS; client_next_within(&sub, missing ? PATIENCE_MS : 200) == MC_MQTT_PUBLISH;) {
    int number = number_of(&sub), i = number % TOPICS;
    missing -= last[i] != number + 1 && number == (i % 30 ? i : i + TOPICS);
    last[i] = number + 1;
  }
  for (int i = 0; i < TOPICS; i++)
    CHECK_INT(last[i], i % 30 ? i + 1 : i + TOPICS + 1);
  client_close(&sub);
  CHECK_INT(client_publish(&pub, "flood/0/0", "", true), 0); /* everybody is served still */
  for (int i = 0; i < 4; i++)
    client_close(&idle[i]);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

/* ---- the disk ---- */
static bool come_back(client *c, uint16_t port, const char *id, int *reconnects)
{
  for (; *reconnects < 500; usleep(20000)) { /* refused while the disk is full: it tries again, as a client does */
    ++*reconnects;
    if (client_connect(c, port, 5, id, false, 3600))
      return c->packet.connack.session_present;
    client_close(c);
  }
  return false;
}

/* Takes all that is owed to it, as MQTT 5.0, 4.3 asks of a receiver. The disk is full for moments; where an answer cannot be stored the server ends the connection
 * (README, "What is refused, and how"), and it comes back. */
static bool take_on_a_bad_disk(uint16_t port, const char *id, mc_fs *fault, const bool *owed, int count, int *got)
{
  static bool holds[65536];
  client c;
  int reconnects = 0, missing = 0;
  memset(holds, 0, sizeof holds);
  for (int i = 0; i < count; i++)
    missing += owed[i];
  if (!come_back(&c, port, id, &reconnects))
    return false;
  bool full = false;
  for (int type, n = 0; (type = client_next_within(&c, missing && !full ? PATIENCE_MS : 1000)) != CLIENT_QUIET || full; n++) {
    uint16_t packet_id = type == MC_MQTT_PUBLISH ? c.packet.publish.packet_id : c.packet.ack.packet_id;
    if (n % 500 == 250) {
      mc_fs_fault_hold(fault, MC_FAULT_ENOSPC);
      full = true;
    }
    if (full && (n % 500 == 260 || type == CLIENT_QUIET)) { /* what is next may itself wait for the disk */
      usleep(20000);
      mc_fs_fault_hold(fault, MC_FAULT_NONE);
      full = false;
    }
    if (type == MC_MQTT_PUBLISH) {
      uint8_t qos = c.packet.publish.qos;
      int number = number_of(&c);
      missing -= owed[number] && !got[number];
      got[number] += qos < 2 || !holds[packet_id];
      holds[packet_id] |= qos == 2;
      client_answer(&c, qos == 2 ? MC_MQTT_PUBREC : MC_MQTT_PUBACK, packet_id, 0);
    } else if (type == MC_MQTT_PUBREL) {
      holds[packet_id] = false;
      client_answer(&c, MC_MQTT_PUBCOMP, packet_id, 0);
    } else if (type == MC_MQTT_DISCONNECT || type == CLIENT_CLOSED) {
      mc_fs_fault_hold(fault, MC_FAULT_NONE);
      full = false;
      usleep(20000);
      client_close(&c);
      if (!come_back(&c, port, id, &reconnects))
        return false;
    }
  }
  mc_fs_fault_hold(fault, MC_FAULT_NONE);
  printf("# %s came back %d times\n", id, reconnects);
  client_close(&c);
  return true;
}

/* Full for moments, again and again, while an absent session's and an absent group's queues are written as pages, and QoS 2 waits for its records. What was
 * acknowledged arrives: at a session with QoS 1, at one with QoS 2 once, at the group. */
static void test_queues_on_a_disk_that_is_full_now_and_then_lose_nothing(void)
{
  enum { TOTAL = 6000, WINDOW = 50 };
  static bool acked[TOTAL];
  static int once[TOTAL], least[TOTAL], shared[TOTAL];
  static const struct { const char *id, *filter; uint8_t qos; int *got; } who[] = {{"least", "full/#", 1, least}, {"once", "full/#", 2, once}, {"member", "$share/g/full/#", 2, shared}};
  mc_fs *fault;
  mc_why why;
  client c, pub;
  char text[16];
  int refused = 0, taken = 0;
  memset(acked, 0, sizeof acked);
  memset(once, 0, sizeof once);
  memset(least, 0, sizeof least);
  memset(shared, 0, sizeof shared);
  CHECK_OK(mc_fs_fault_open(&fault, &why));
  rig r = {.fs = fault};
  rig_start(&r, 3);
  uint16_t port = mc_gateway_port(r.g, true);
  for (int i = 0; i < 3; i++) {
    CHECK(client_connect(&c, port, 5, who[i].id, true, 3600));
    CHECK_INT(client_subscribe(&c, who[i].filter, who[i].qos), who[i].qos);
    client_disconnect(&c);
    CHECK_INT(client_next(&c), CLIENT_CLOSED);
    client_close(&c);
  }
  CHECK(client_connect(&pub, port, 5, "pub", true, 0));
  for (int i = 0; i < TOTAL; i += WINDOW) {
    bool full = i / WINDOW % 4 == 3;
    for (int k = i; k < i + WINDOW; k++) {
      snprintf(text, sizeof text, "%d", k);
      client_put_publish(&pub, "full/x", text, (uint8_t)(1 + i / WINDOW % 2), false, (uint16_t)(k - i + 1));
    }
    if (full)
      mc_fs_fault_hold(fault, MC_FAULT_ENOSPC);
    client_flush(&pub);
    for (int k = 0; k < WINDOW; k++) {
      CHECK_INT(client_next(&pub), i / WINDOW % 2 ? MC_MQTT_PUBREC : MC_MQTT_PUBACK);
      bool ok = pub.packet.ack.code == 0;
      acked[i + pub.packet.ack.packet_id - 1] = ok;
      taken += ok;
      refused += !ok;
    }
    mc_fs_fault_hold(fault, MC_FAULT_NONE);
    for (int k = 0; k < WINDOW && i / WINDOW % 2; k++)
      if (acked[i + k])
        mc_mqtt_write_ack(&pub.out, MC_MQTT_PUBREL, 5, (uint16_t)(k + 1), 0, (mc_slice){0});
    client_flush(&pub);
    for (int k = 0; k < WINDOW && i / WINDOW % 2; k++)
      if (acked[i + k])
        CHECK_INT(client_next(&pub), MC_MQTT_PUBCOMP);
  }
  printf("# %d acknowledged, %d refused\n", taken, refused);
  CHECK(taken > TOTAL / 2 && refused > 0);
  rig_stop(&r);
  rig_start(&r, 2);
  port = mc_gateway_port(r.g, true);
  for (int i = 0; i < 3; i++)
    CHECK(take_on_a_bad_disk(port, who[i].id, fault, acked, TOTAL, who[i].got));
  int lost = 0, twice = 0;
  for (int i = 0; i < TOTAL; i++) {
    lost += acked[i] && (!least[i] || !once[i] || !shared[i]);
    twice += i / WINDOW % 2 && (once[i] > 1 || shared[i] > 1); /* QoS 2 all the way */
  }
  printf("# %d did not reach all three, %d came twice\n", lost, twice);
  CHECK_INT(lost, 0);
  CHECK_INT(twice, 0);
  client_close(&pub);
  rig_stop(&r);
  mc_fs_fault_close(&fault);
  rig_remove(&r);
}

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  signal(SIGPIPE, SIG_IGN);
  RUN(test_queues_on_a_disk_that_is_full_now_and_then_lose_nothing);
  RUN(test_a_storm_of_take_overs_loses_nothing_of_a_kept_session);
  RUN(test_a_storm_of_take_overs_of_a_passing_session_leaves_nothing_behind);
  RUN(test_a_thousand_forking_filters_get_a_message_once_and_in_time);
  RUN(test_a_flood_of_retained_messages_reaches_a_subscriber_whole);
  return tap_done();
}
