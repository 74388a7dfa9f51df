/* Shared subscriptions over the wire: several loops, so that members, publishers and the group's home are apart. */
#include "rig.h"

static rig server;
static uint16_t port;

static size_t subscriptions(void)
{
  mc_gateway_stats stats;
  mc_gateway_stats_get(server.g, &stats);
  return stats.subscriptions;
}

/* As many as must come, however slowly, and everything that comes within the time after them; QoS 1 is acknowledged if asked. Returns how many; marks
 * seen[number of the payload]. */
static int drain(client *c, int want, int ms, bool acknowledge, int *seen)
{
  int n = 0;
  while (client_next_within(c, n < want ? PATIENCE_MS : ms) == MC_MQTT_PUBLISH) {
    char text[32];
    mc_slice_to_str(c->packet.publish.payload, text, sizeof text);
    if (seen)
      seen[atoi(text)]++;
    n++;
    if (acknowledge && c->packet.publish.qos)
      client_ack(c);
  }
  return n;
}

static void publish_numbers(client *c, const char *topic, int from, int to, uint8_t qos)
{
  char text[32];
  for (int i = from; i < to; i++) {
    snprintf(text, sizeof text, "%d", i);
    if (qos) {
      CHECK_INT(client_publish(c, topic, text, false), 0);
    } else {
      client_put_publish(c, topic, text, 0, false, 0);
      client_flush(c);
    }
  }
}

static void each_in_turn(uint8_t version, uint8_t qos)
{
  enum { MEMBERS = 3, N = 30 };
  client m[MEMBERS], pub;
  int seen[N] = {0};
  for (int i = 0; i < MEMBERS; i++) {
    char id[32];
    snprintf(id, sizeof id, "turn-%d", i);
    CHECK(client_connect(&m[i], port, version, id, true, 0));
    CHECK_INT(client_subscribe(&m[i], "$share/turn/t/+", qos), qos);
  }
  CHECK(client_connect(&pub, port, version, "turn-p", true, 0));
  publish_numbers(&pub, "t/1", 0, N, qos);
  for (int i = 0; i < MEMBERS; i++)
    CHECK_INT(drain(&m[i], N / MEMBERS, 100, true, seen), N / MEMBERS);
  for (int i = 0; i < N; i++)
    CHECK_INT(seen[i], 1);
  for (int i = 0; i < MEMBERS; i++)
    client_close(&m[i]);
  client_close(&pub);
  CHECK_SOON(subscriptions() == 0);
}

static void test_each_message_goes_to_one_member_in_turn(void)
{
  for (uint8_t version = 4; version <= 5 && !tap_this_failed; version++)
    for (uint8_t qos = 0; qos <= 1 && !tap_this_failed; qos++)
      each_in_turn(version, qos);
}

/* The SUBACK is a promise, wherever the group lives: a message published after it finds the group. */
static void test_a_message_published_right_after_the_suback_arrives(void)
{
  client m, pub;
  CHECK(client_connect(&pub, port, 5, "right-p", true, 0));
  for (int i = 0; i < 60; i++) {
    char id[32], filter[64], topic[32];
    snprintf(id, sizeof id, "right-%d", i);
    snprintf(topic, sizeof topic, "right/%d", i);
    snprintf(filter, sizeof filter, "$share/g%d/%s", i, topic);
    CHECK(client_connect(&m, port, 5, id, true, 0));
    CHECK_INT(client_subscribe(&m, filter, 1), 1);
    client_put_publish(&pub, topic, "zero", 0, false, 0);
    client_flush(&pub);
    CHECK_RECEIVES(&m, topic, "zero");
    CHECK_INT(client_publish(&pub, topic, "one", false), 0);
    CHECK_RECEIVES(&m, topic, "one");
    client_close(&m);
    if (tap_this_failed)
      break;
  }
  client_close(&pub);
}

static void test_every_group_and_every_other_subscriber_gets_a_copy(void)
{
  client a, b, c, pub;
  CHECK(client_connect(&a, port, 5, "copy-a", true, 0));
  CHECK(client_connect(&b, port, 5, "copy-b", true, 0));
  CHECK(client_connect(&c, port, 5, "copy-c", true, 0));
  CHECK_INT(client_subscribe(&a, "$share/one/copy/#", 1), 1);
  CHECK_INT(client_subscribe(&b, "$share/two/copy/#", 1), 1);
  CHECK_INT(client_subscribe(&b, "$share/one/copy/+/x", 1), 1); /* the same name, another filter: another group */
  CHECK_INT(client_subscribe(&c, "copy/#", 1), 1);
  CHECK(client_connect(&pub, port, 4, "copy-p", true, 0));
  CHECK_INT(client_publish(&pub, "copy/1/x", "m", false), 0);
  CHECK_RECEIVES(&a, "copy/1/x", "m");
  CHECK_RECEIVES(&b, "copy/1/x", "m");
  CHECK_RECEIVES(&b, "copy/1/x", "m");
  CHECK_RECEIVES(&c, "copy/1/x", "m");
  CHECK_INT(client_next_within(&a, 50), CLIENT_QUIET);
  CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET);
  CHECK_INT(client_next_within(&c, 50), CLIENT_QUIET);
  client_close(&a);
  client_close(&b);
  client_close(&c);
  client_close(&pub);
}

static void test_names_are_judged_and_no_local_ends_the_connection(void)
{
  client a;
  char long_name[300] = "$share/";
  CHECK(client_connect(&a, port, 5, "judged", true, 0));
  CHECK_INT(client_subscribe(&a, "$share/g/$share/h/x", 1), MC_MQTT_BAD_FILTER);
  memset(long_name + 7, 'g', 128);
  memcpy(long_name + 7 + 128, "/x", 3);
  CHECK_INT(client_subscribe(&a, long_name, 1), 1);
  memset(long_name + 7, 'g', 129);
  memcpy(long_name + 7 + 129, "/x", 3);
  CHECK_INT(client_subscribe(&a, long_name, 1), MC_MQTT_BAD_FILTER);
  CHECK(a.packet.subscribe.props.reason.len > 0);
  client_close(&a);
  static const struct { const char *filter; bool no_local; } wrong[] = {{"$share//x", false}, {"$share/g", false}, {"$share/g/", false}, {"$share/g/x", true}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    CHECK(client_connect(&a, port, 5, "judged", true, 0));
    mc_mqtt_filter f = {.filter = mc_slice_str(wrong[i].filter), .qos = 1, .no_local = wrong[i].no_local};
    mc_mqtt_write_subscribe(&a.out, 5, 11, &f, 1, (mc_slice){0});
    client_flush(&a);
    CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
    CHECK_INT(a.packet.disconnect.code, MC_MQTT_PROTOCOL_ERROR);
    CHECK_INT(client_next(&a), CLIENT_CLOSED);
    client_close(&a);
  }
  CHECK(client_connect(&a, port, 4, "judged-3", true, 0));
  CHECK_INT(client_subscribe(&a, "$share/g", 1), 0x80);
  CHECK_INT(client_subscribe(&a, "$share//x", 1), 0x80);
  client_close(&a);
}

static void test_retained_messages_do_not_come_by_it(void)
{
  client a, b;
  CHECK(client_connect(&a, port, 5, "kept-a", true, 0));
  CHECK_INT(client_publish(&a, "kept/x", "old", true), 0);
  CHECK(client_connect(&b, port, 5, "kept-b", true, 0));
  CHECK_INT(client_subscribe(&b, "$share/g/kept/#", 1), 1);
  CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET);
  CHECK_INT(client_publish(&a, "kept/x", "", true), 0);
  CHECK_RECEIVES(&b, "kept/x", "");
  client_close(&a);
  client_close(&b);
}

static void test_identifiers_and_retain_as_published_are_those_of_the_member(void)
{
  client a, b;
  CHECK(client_connect(&a, port, 5, "ids-a", true, 0));
  CHECK(client_connect(&b, port, 5, "ids-b", true, 0));
  mc_buf props = {0};
  mc_mqtt_put_number(&props, 0x0B, 77);
  mc_mqtt_filter f = {.filter = MC_LIT("$share/g/ids"), .qos = 1, .retain_as_published = true};
  mc_mqtt_write_subscribe(&b.out, 5, 11, &f, 1, mc_buf_slice(&props));
  client_flush(&b);
  CHECK_INT(client_next(&b), MC_MQTT_SUBACK);
  CHECK_INT(client_publish(&a, "ids", "x", true), 0);
  CHECK_RECEIVES(&b, "ids", "x");
  CHECK(b.packet.publish.retain);
  CHECK_INT(b.packet.publish.props.sub_id, 77);
  CHECK_INT(client_publish(&a, "ids", "", true), 0);
  mc_buf_free(&props);
  client_close(&a);
  client_close(&b);
}

static void test_what_a_lost_member_did_not_acknowledge_goes_to_another(void)
{
  client a, b, pub;
  int seen[20] = {0};
  CHECK(client_connect(&a, port, 5, "lost-a", true, 0));
  CHECK_INT(client_subscribe(&a, "$share/lost/l", 1), 1);
  CHECK(client_connect(&pub, port, 5, "lost-p", true, 0));
  publish_numbers(&pub, "l", 0, 20, 1);
  for (int i = 0; i < 20; i++) {
    CHECK_INT(client_next(&a), MC_MQTT_PUBLISH);
    if (i < 5)
      client_ack(&a);
  }
  CHECK(client_connect(&b, port, 5, "lost-b", true, 0));
  CHECK_INT(client_subscribe(&b, "$share/lost/l", 1), 1);
  CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET); /* they are the other's while it lives */
  client_close(&a);
  for (int i = 5; i < 20; i++) {
    char text[32];
    snprintf(text, sizeof text, "%d", i);
    CHECK_RECEIVES(&b, "l", text); /* in their order */
    CHECK(!b.packet.publish.dup);  /* new to this client (3.3.1-2) */
  }
  CHECK_INT(drain(&b, 0, 50, true, seen), 0);
  client_close(&b);
  client_close(&pub);
}

/* 4.8.2-6: refused by one member is not offered to another. */
static void test_a_refused_message_is_not_given_again(void)
{
  client a, b, pub;
  CHECK(client_connect(&a, port, 5, "refused-a", true, 0));
  CHECK_INT(client_subscribe(&a, "$share/r/refused", 1), 1);
  CHECK(client_connect(&pub, port, 5, "refused-p", true, 0));
  CHECK_INT(client_publish(&pub, "refused", "x", false), 0);
  CHECK_INT(client_next(&a), MC_MQTT_PUBLISH);
  mc_mqtt_write_ack(&a.out, MC_MQTT_PUBACK, 5, a.packet.publish.packet_id, 0x83, (mc_slice){0});
  client_flush(&a);
  CHECK(client_connect(&b, port, 5, "refused-b", true, 0));
  CHECK_INT(client_subscribe(&b, "$share/r/refused", 1), 1);
  client_close(&a);
  CHECK_INT(client_next_within(&b, 100), CLIENT_QUIET);
  client_close(&b);
  client_close(&pub);
}

static void test_waits_for_a_kept_session_and_for_room(void)
{
  client a, pub;
  CHECK(client_connect(&a, port, 5, "room-a", true, 3600));
  CHECK_INT(client_subscribe(&a, "$share/room/r/#", 1), 1);
  client_disconnect(&a);
  CHECK_INT(client_next(&a), CLIENT_CLOSED);
  client_close(&a);
  CHECK(client_connect(&pub, port, 5, "room-p", true, 0));
  publish_numbers(&pub, "r/0", 0, 5, 0); /* 4.8.2: nobody is there */
  publish_numbers(&pub, "r/1", 5, 20, 1);
  mc_buf props = {0};
  mc_mqtt_put_number(&props, 0x11, 3600);
  mc_mqtt_put_number(&props, 0x21, 3); /* Receive Maximum */
  mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("room-a"), .keep_alive_s = 60, .props.raw = mc_buf_slice(&props)};
  CHECK_INT(client_connect_with(&a, port, with), MC_MQTT_CONNACK);
  CHECK(a.packet.connack.session_present);
  mc_buf_free(&props);
  for (int i = 5; i < 8; i++) {
    char text[32];
    snprintf(text, sizeof text, "%d", i);
    CHECK_INT(client_next(&a), MC_MQTT_PUBLISH);
    CHECK_SLICE(a.packet.publish.payload, text);
  }
  CHECK_INT(client_next_within(&a, 50), CLIENT_QUIET);
  client_ack(&a); /* the third: out of order */
  CHECK_INT(client_next_within(&a, 50), CLIENT_QUIET); /* ids run on in order: the window is that of the oldest */
  CHECK_PING(&a);
  client_close(&a);
  int seen[20] = {0};
  with.props.raw = (mc_slice){0};
  CHECK_INT(client_connect_with(&a, port, with), MC_MQTT_CONNACK);
  CHECK_INT(drain(&a, 14, 100, true, seen), 14);
  CHECK_INT(seen[7], 0);
  client_disconnect(&a);
  client_close(&a);
  client_close(&pub);
  CHECK_SOON(subscriptions() == 0);
}

static void test_unsubscribing_completes_what_was_sent_and_stops_the_rest(void)
{
  client a, b, pub;
  CHECK(client_connect(&a, port, 5, "unsub-a", true, 0));
  CHECK(client_connect(&b, port, 5, "unsub-b", true, 0));
  CHECK_INT(client_subscribe(&a, "$share/u/unsub", 1), 1);
  CHECK(client_connect(&pub, port, 5, "unsub-p", true, 0));
  CHECK_INT(client_publish(&pub, "unsub", "first", false), 0);
  CHECK_INT(client_next(&a), MC_MQTT_PUBLISH);
  uint16_t id = a.packet.publish.packet_id;
  CHECK_INT(client_subscribe(&b, "$share/u/unsub", 1), 1);
  mc_slice filter = MC_LIT("$share/u/unsub");
  mc_mqtt_write_unsubscribe(&a.out, 5, 12, &filter, 1, (mc_slice){0});
  mc_mqtt_write_unsubscribe(&a.out, 5, 13, &filter, 1, (mc_slice){0});
  client_flush(&a);
  CHECK_INT(client_next(&a), MC_MQTT_UNSUBACK);
  CHECK_INT(a.packet.subscribe.list.data[0], 0);
  CHECK_INT(client_next(&a), MC_MQTT_UNSUBACK);
  CHECK_INT(a.packet.subscribe.list.data[0], MC_MQTT_NO_SUBSCRIPTION);
  for (int i = 0; i < 4; i++) {
    CHECK_INT(client_publish(&pub, "unsub", "later", false), 0);
    CHECK_RECEIVES(&b, "unsub", "later");
  }
  mc_mqtt_write_ack(&a.out, MC_MQTT_PUBACK, 5, id, 0, (mc_slice){0});
  client_flush(&a);
  CHECK_PING(&a);
  client_close(&a);
  CHECK_INT(client_next_within(&b, 100), CLIENT_QUIET);
  client_close(&b);
  client_close(&pub);
  CHECK_SOON(subscriptions() == 0);
}

/* Its connections come to any loop; the place in the group moves along, and nothing is missed or doubled. */
static void test_a_member_that_moves_between_loops_keeps_its_place(void)
{
  client a, pub;
  CHECK(client_connect(&pub, port, 5, "moves-p", true, 0));
  CHECK(client_connect(&a, port, 5, "moves-a", true, 3600));
  CHECK_INT(client_subscribe(&a, "$share/m/moves", 1), 1);
  for (int i = 0; i < 24 && !tap_this_failed; i++) {
    char text[32];
    snprintf(text, sizeof text, "%d", i);
    if (i % 3 == 0)
      client_close(&a);
    CHECK_INT(client_publish(&pub, "moves", text, false), 0);
    if (i % 3 == 0)
      CHECK(client_connect(&a, port, 5, "moves-a", false, 3600));
    CHECK_RECEIVES(&a, "moves", text);
    CHECK_INT(client_next_within(&a, 20), CLIENT_QUIET);
  }
  mc_slice filter = MC_LIT("$share/m/moves");
  mc_mqtt_write_unsubscribe(&a.out, 5, 12, &filter, 1, (mc_slice){0});
  client_flush(&a);
  CHECK_INT(client_next(&a), MC_MQTT_UNSUBACK);
  client_close(&a);
  client_close(&pub);
  CHECK_SOON(subscriptions() == 0);
}

static void test_the_least_loaded_member_is_chosen(void)
{
  rig r = {.limits.share_choice = MC_SHARE_LEAST_LOADED};
  client slow, quick, pub;
  rig_start(&r, 2);
  uint16_t p = mc_gateway_port(r.g, true);
  CHECK(client_connect(&slow, p, 5, "slow", true, 0));
  CHECK(client_connect(&quick, p, 5, "quick", true, 0));
  CHECK_INT(client_subscribe(&slow, "$share/g/load", 1), 1);
  CHECK_INT(client_subscribe(&quick, "$share/g/load", 1), 1);
  CHECK(client_connect(&pub, p, 5, "p", true, 0));
  int at_slow = 0;
  for (int i = 0; i < 20; i++) {
    CHECK_INT(client_publish(&pub, "load", "x", false), 0);
    int at_quick = CLIENT_QUIET, other = CLIENT_QUIET;
    for (int64_t until = now_ms() + PATIENCE_MS; at_quick == CLIENT_QUIET && other == CLIENT_QUIET && now_ms() < until;) {
      at_quick = client_next_within(&quick, 5);
      other = client_next_within(&slow, 0);
    }
    CHECK(at_quick == MC_MQTT_PUBLISH || other == MC_MQTT_PUBLISH);
    at_slow += other == MC_MQTT_PUBLISH;
    if (at_quick != MC_MQTT_PUBLISH)
      continue;
    client_ack(&quick); /* the other one never does */
    CHECK_PING(&quick);
    rig_loops_turn(&r);
  }
  CHECK(at_slow >= 1 && at_slow <= 4); /* in turn it would be 10 */
  CHECK_INT(drain(&slow, 0, 50, false, NULL), 0);
  client_close(&slow);
  client_close(&quick);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

/* More than the queue holds in memory: the rest is read from the journal, each message once. */
static void test_a_group_that_is_far_behind_reads_the_journal(void)
{
  enum { N = 400 };
  rig r = {.limits = {.max_queued = 50}, .row = {{"send_max", 10}, {"receive_max", 10}}};
  client a, pub;
  static int seen[N];
  memset(seen, 0, sizeof seen);
  rig_start(&r, 2);
  uint16_t p = mc_gateway_port(r.g, true);
  CHECK(client_connect(&a, p, 5, "far", true, 3600));
  CHECK_INT(client_subscribe(&a, "$share/far/f", 1), 1);
  client_close(&a);
  CHECK(client_connect(&pub, p, 5, "p", true, 0));
  publish_numbers(&pub, "f", 0, N / 2, 1);
  publish_numbers(&pub, "else", 0, 20, 1);
  rig_stop(&r);
  client_close(&pub);
  rig_start(&r, 2);
  p = mc_gateway_port(r.g, true);
  CHECK(client_connect(&pub, p, 5, "p", true, 0));
  publish_numbers(&pub, "f", N / 2, N, 1);
  CHECK(client_connect(&a, p, 5, "far", false, 3600));
  CHECK_INT(drain(&a, N, 100, true, seen), N);
  for (int i = 0; i < N; i++)
    CHECK_INT(seen[i], 1);
  client_close(&a);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_a_group_survives_a_stop(void)
{
  rig r = {0};
  client a, b, pub;
  int seen[30] = {0};
  rig_start(&r, 3);
  uint16_t p = mc_gateway_port(r.g, true);
  CHECK(client_connect(&a, p, 5, "stop-a", true, 3600));
  CHECK(client_connect(&b, p, 4, "stop-b", false, 0));
  CHECK_INT(client_subscribe(&a, "$share/stop/s", 1), 1);
  CHECK_INT(client_subscribe(&b, "$share/stop/s", 1), 1);
  CHECK(client_connect(&pub, p, 5, "p", true, 0));
  publish_numbers(&pub, "s", 0, 10, 1);
  CHECK_INT(drain(&a, 5, 50, true, seen), 5);
  CHECK_INT(drain(&b, 5, 50, false, NULL), 5); /* not acknowledged: owed */
  CHECK_PING(&a);
  client_close(&b);
  client_close(&a);
  publish_numbers(&pub, "s", 10, 30, 1);
  rig_stop(&r);
  client_close(&pub);
  rig_start(&r, 2);
  p = mc_gateway_port(r.g, true);
  CHECK(client_connect(&b, p, 4, "stop-b", false, 0));
  CHECK(b.packet.connack.session_present);
  CHECK_INT(drain(&b, 25, 200, true, seen), 25);
  for (int i = 0; i < 30; i++)
    CHECK_INT(seen[i], 1);
  client_close(&b);
  rig_stop(&r);
  rig_remove(&r);
}

/* Two members with kept sessions and a publisher that counts what is acknowledged to it. Each round one member is cut off in the middle and
 * comes back; then the server is killed. In the end every acknowledged message has reached some member. */
static void test_no_acknowledged_message_is_lost_when_members_and_the_server_are_killed(void)
{
  enum { ROUNDS = 5, PER_ROUND = 400, N = ROUNDS * PER_ROUND };
  rig r = {.row = {{"send_max", 50}, {"receive_max", 50}}};
  static int seen[N];
  static bool acked[N];
  memset(seen, 0, sizeof seen);
  memset(acked, 0, sizeof acked);
  for (int round = 0; round < ROUNDS && !tap_this_failed; round++) {
    pid_t pid;
    client m[2], pub;
    char text[32];
    uint16_t p = rig_fork(&r, 3, &pid);
    for (int i = 0; i < 2; i++) {
      snprintf(text, sizeof text, "kill-%d", i);
      CHECK(client_connect(&m[i], p, 5, text, false, 3600));
      CHECK_INT(m[i].packet.connack.session_present, round > 0);
    }
    for (int i = 0; i < 2 && round == 0; i++)
      CHECK_INT(client_subscribe(&m[i], "$share/kill/k", 1), 1);
    CHECK(client_connect(&pub, p, 5, "kill-p", true, 0));
    for (int i = 0; i < PER_ROUND && !tap_this_failed; i += 20) {
      for (int k = i; k < i + 20; k++) {
        snprintf(text, sizeof text, "%d", round * PER_ROUND + k);
        client_put_publish(&pub, "k", text, 1, false, (uint16_t)(k + 1));
      }
      client_flush(&pub);
      for (int k = 0; i < PER_ROUND / 2 && k < 20; k++) { /* the second half is under way when the server dies */
        CHECK_INT(client_next(&pub), MC_MQTT_PUBACK);
        acked[round * PER_ROUND + pub.packet.ack.packet_id - 1] = true;
      }
      drain(&m[i / 20 % 2], 0, 1, i % 60 != 0, seen);
      if (i == 200) { /* no goodbye */
        client_close(&m[1]);
        CHECK(client_connect(&m[1], p, 5, "kill-1", false, 3600));
      }
    }
    while (client_next_within(&pub, 20) == MC_MQTT_PUBACK)
      acked[round * PER_ROUND + pub.packet.ack.packet_id - 1] = true;
    rig_kill(pid);
    client_close(&pub);
    client_close(&m[0]);
    client_close(&m[1]);
  }
  pid_t pid;
  client m;
  uint16_t p = rig_fork(&r, 2, &pid);
  CHECK(client_connect(&m, p, 5, "kill-1", false, 3600));
  int count = 0, lost = 0;
  for (int i = 0; i < N; i++) {
    count += acked[i];
    lost += acked[i] && !seen[i];
  }
  while (lost && client_next(&m) == MC_MQTT_PUBLISH) {
    char text[32];
    mc_slice_to_str(m.packet.publish.payload, text, sizeof text);
    lost -= acked[atoi(text)] && !seen[atoi(text)]++;
    client_ack(&m);
  }
  client_close(&m);
  rig_kill(pid);
  printf("# %d acknowledged, %d of them reached nobody\n", count, lost);
  CHECK(count >= N / 2);
  CHECK_INT(lost, 0);
  rig_remove(&r);
}

static void test_what_was_acknowledged_does_not_come_again_after_a_kill(void)
{
  rig r = {0};
  client a, pub;
  int seen[30] = {0};
  pid_t pid;
  uint16_t p = rig_fork(&r, 3, &pid);
  CHECK(client_connect(&a, p, 5, "done-a", false, 3600));
  CHECK_INT(client_subscribe(&a, "$share/done/d", 1), 1);
  CHECK(client_connect(&pub, p, 5, "p", true, 0));
  publish_numbers(&pub, "d", 0, 20, 1);
  CHECK_INT(drain(&a, 20, 100, true, seen), 20);
  publish_numbers(&pub, "d", 20, 30, 1);
  CHECK_INT(drain(&a, 10, 200, false, NULL), 10); /* these are owed */
  CHECK_INT(client_settle(&a), 0);
  rig_kill(pid);
  client_close(&a);
  client_close(&pub);
  p = rig_fork(&r, 2, &pid);
  CHECK(client_connect(&a, p, 5, "done-a", false, 3600));
  CHECK_INT(drain(&a, 10, 200, true, seen), 10);
  for (int i = 0; i < 30; i++)
    CHECK_INT(seen[i], 1);
  client_close(&a);
  rig_kill(pid);
  rig_remove(&r);
}

/* ---- QoS 2 ---- */
/* A member that keeps what MQTT 5.0, 4.3.3 asks of a receiver, through all its connections. */
typedef struct receiver {
  client c;
  bool came[65536];
} receiver;

/* Receive Maximum 40: most of what comes waits with the group. */
static bool connect_receiver(receiver *r, uint16_t p, const char *id)
{
  mc_buf props = {0};
  mc_mqtt_put_number(&props, 0x11, 3600);
  mc_mqtt_put_number(&props, 0x21, 40);
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .keep_alive_s = 60, .props.raw = mc_buf_slice(&props)};
  bool ok = client_connect_with(&r->c, p, with) == MC_MQTT_CONNACK && r->c.packet.connack.code == 0;
  mc_buf_free(&props);
  return ok;
}

/* Handles what is there; a new message counts in seen[]. False: the connection has gone. */
static bool receive(receiver *r, int ms, int *seen)
{
  for (;;) {
    int type = client_next_within(&r->c, ms);
    if (type == MC_MQTT_PUBLISH) {
      uint16_t id = r->c.packet.publish.packet_id;
      char text[32];
      mc_slice_to_str(r->c.packet.publish.payload, text, sizeof text);
      if (!r->came[id])
        seen[atoi(text)]++;
      r->came[id] = true;
      client_answer(&r->c, MC_MQTT_PUBREC, id, 0);
    } else if (type == MC_MQTT_PUBREL) {
      r->came[r->c.packet.ack.packet_id] = false;
      client_answer(&r->c, MC_MQTT_PUBCOMP, r->c.packet.ack.packet_id, 0);
    } else {
      return type == CLIENT_QUIET;
    }
  }
}

static void put2(client *c, int number, uint16_t id, bool dup)
{
  char text[32];
  snprintf(text, sizeof text, "%d", number);
  mc_mqtt_publish p = {.topic = MC_LIT("twice"), .payload = mc_slice_str(text), .qos = 2, .dup = dup, .packet_id = id};
  mc_mqtt_write_publish(&c->out, 5, &p, (mc_slice){0});
  client_flush(c);
}

/* The sender's side: what has no PUBREC is sent again, what has no PUBCOMP is released again. */
enum { UNSENT, SENT, RELEASED, COMPLETE };
static bool send_on(client *c, int ms, uint8_t *state)
{
  for (;;) {
    int type = client_next_within(c, ms);
    uint16_t id = type == MC_MQTT_PUBREC || type == MC_MQTT_PUBCOMP ? c->packet.ack.packet_id : 0;
    if (type == MC_MQTT_PUBREC) {
      state[id - 1] = RELEASED;
      client_answer(c, MC_MQTT_PUBREL, id, 0);
    } else if (type == MC_MQTT_PUBCOMP) {
      state[id - 1] = COMPLETE;
    } else {
      return type == CLIENT_QUIET;
    }
  }
}

static void take_up(client *c, uint16_t p, uint8_t *state, int n)
{
  CHECK(client_connect(c, p, 5, "twice-p", false, 3600));
  for (int i = 0; i < n; i++) {
    if (state[i] == SENT)
      put2(c, i, (uint16_t)(i + 1), true);
    if (state[i] == RELEASED)
      client_answer(c, MC_MQTT_PUBREL, (uint16_t)(i + 1), 0);
  }
}

static bool all_said(const uint8_t *state, const int *seen, int n)
{
  for (int i = 0; i < n; i++)
    if (state[i] != COMPLETE || !seen[i])
      return false;
  return true;
}

/* As above with QoS 2 all the way: each message reaches exactly one member, once. */
static void test_qos_2_is_exactly_once_when_members_and_the_server_are_killed(void)
{
  enum { ROUNDS = 8, PER_ROUND = 120, N = ROUNDS * PER_ROUND };
  rig r = {0};
  static receiver m[2];
  static int seen[N];
  static uint8_t state[N];
  client pub = {.fd = -1};
  memset(m, 0, sizeof m);
  memset(seen, 0, sizeof seen);
  memset(state, 0, sizeof state);
  for (int round = 0; round <= ROUNDS && !tap_this_failed; round++) {
    pid_t pid;
    uint16_t p = rig_fork(&r, 3, &pid);
    static const char *const id[] = {"twice-0", "twice-1"};
    for (int i = 0; i < 2; i++) {
      CHECK(connect_receiver(&m[i], p, id[i]));
      if (round == 0)
        CHECK_INT(client_subscribe(&m[i].c, "$share/twice/twice", 2), 2);
    }
    take_up(&pub, p, state, N);
    for (int k = 0; k < PER_ROUND && round < ROUNDS; k++) {
      int number = round * PER_ROUND + k;
      state[number] = SENT;
      put2(&pub, number, (uint16_t)(number + 1), false);
      if (k % 20 != 19)
        continue;
      send_on(&pub, 2, state);
      if (!receive(&m[k / 20 % 2], 2, seen))
        break;
      if (k / 20 == round % 6) { /* no goodbye */
        client_close(&m[round % 2].c);
        CHECK(connect_receiver(&m[round % 2], p, id[round % 2]));
      }
    }
    int64_t until = now_ms() + 2 * PATIENCE_MS;
    for (int quiet = 0; round == ROUNDS && quiet < 5 && now_ms() < until; quiet += all_said(state, seen, N)) /* the last one lives until all is said */
      if (!send_on(&pub, 20, state) || !receive(&m[0], 20, seen) || !receive(&m[1], 20, seen))
        break;
    usleep((useconds_t)(round * 3000));
    rig_kill(pid);
    client_close(&pub);
    client_close(&m[0].c);
    client_close(&m[1].c);
  }
  int complete = 0, once = 0, lost = 0, twice = 0;
  for (int i = 0; i < N; i++) {
    complete += state[i] == COMPLETE;
    once += seen[i] == 1;
    lost += seen[i] == 0;
    twice += seen[i] > 1;
  }
  printf("# %d sent, %d complete; %d reached one member once, %d nobody, %d came twice\n", N, complete, once, lost, twice);
  CHECK_INT(complete, N);
  CHECK_INT(once, N);
  rig_remove(&r);
}

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  signal(SIGPIPE, SIG_IGN);
  RUN(test_what_was_acknowledged_does_not_come_again_after_a_kill);
  RUN(test_no_acknowledged_message_is_lost_when_members_and_the_server_are_killed);
  RUN(test_qos_2_is_exactly_once_when_members_and_the_server_are_killed);
  RUN(test_a_group_survives_a_stop);
  RUN(test_a_group_that_is_far_behind_reads_the_journal);
  RUN(test_the_least_loaded_member_is_chosen);
  rig_start(&server, 3);
  port = mc_gateway_port(server.g, true);
  RUN(test_each_message_goes_to_one_member_in_turn);
  RUN(test_a_message_published_right_after_the_suback_arrives);
  RUN(test_every_group_and_every_other_subscriber_gets_a_copy);
  RUN(test_names_are_judged_and_no_local_ends_the_connection);
  RUN(test_retained_messages_do_not_come_by_it);
  RUN(test_identifiers_and_retain_as_published_are_those_of_the_member);
  RUN(test_what_a_lost_member_did_not_acknowledge_goes_to_another);
  RUN(test_a_refused_message_is_not_given_again);
  RUN(test_waits_for_a_kept_session_and_for_room);
  RUN(test_unsubscribing_completes_what_was_sent_and_stops_the_rest);
  RUN(test_a_member_that_moves_between_loops_keeps_its_place);
  rig_stop(&server);
  rig_remove(&server);
  return tap_done();
}
