/* Slow readers, a full disk, a slow disk: nothing that was acknowledged is dropped, and others do not notice. */
#include "rig.h"

static char filler[4001];

/* A reader that stops, comes back and still gets all, in order; with so many that its queue becomes a place in the journal. */
static void test_a_reader_that_stops_misses_nothing_and_delays_nobody(void)
{
  rig r = {.limits = {.max_queued = 500}};
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  client slow, quick, pub;
  enum { N = 20000 };
  char text[4001];
  CHECK(client_connect(&slow, port, 4, "slow", true, 0));
  CHECK_INT(client_subscribe(&slow, "flood", 1), 1);
  CHECK(client_connect(&quick, port, 5, "quick", true, 0));
  CHECK_INT(client_subscribe(&quick, "beside", 1), 1);
  CHECK(client_connect(&pub, port, 4, "pub", true, 0));
  memcpy(text, filler, sizeof text);
  int64_t worst = 0;
  for (int i = 0; i < N; i++) {
    snprintf(text, 16, "%08d", i);
    text[8] = ' ';
    client_put_publish(&pub, "flood", text, 1, false, (uint16_t)(i % 500 + 1));
    if (i % 500 != 499)
      continue;
    client_flush(&pub);
    for (int k = 0; k < 500; k++)
      CHECK_INT(client_next(&pub), MC_MQTT_PUBACK);
    int64_t began = now_ms();
    CHECK_INT(client_publish(&pub, "beside", "x", false), 0);
    CHECK_RECEIVES(&quick, "beside", "x");
    worst = now_ms() - began > worst ? now_ms() - began : worst;
  }
  printf("# worst round trip beside the flood: %lld ms\n", (long long)worst);
  mc_arena arena = MC_ARENA(0);
  mc_client_info *list;
  size_t count;
  CHECK_OK(mc_gateway_clients(r.g, 1, MC_LIT("slov"), 1, &arena, &list, &count, NULL));
  CHECK_STR(list[0].client_id, "slow");
  CHECK(list[0].queued > N / 2);
  CHECK(list[0].queue_bytes < 64 << 10); /* the rest is in the journal only */
  CHECK(strstr(list[0].last_error, "far behind"));
  mc_arena_free(&arena);
  for (int i = 0; i < N; i++) {
    CHECK_INT(client_next(&slow), MC_MQTT_PUBLISH);
    snprintf(text, 16, "%08d", i);
    if (memcmp(slow.packet.publish.payload.data, text, 8))
      TAP_FAIL("message %d: got %.8s", i, (const char *)slow.packet.publish.payload.data);
    client_ack(&slow);
  }
  CHECK_INT(client_publish(&pub, "flood", "live again", false), 0);
  CHECK_RECEIVES(&slow, "flood", "live again");
  CHECK_INT(client_next_within(&slow, 100), CLIENT_QUIET);
  client_close(&slow);
  client_close(&quick);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_qos_0_for_a_blocked_reader_is_dropped_and_counted(void)
{
  rig r = {0};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  client slow, pub;
  CHECK(client_connect(&slow, port, 5, "slow0", true, 0));
  CHECK_INT(client_subscribe(&slow, "flood", 0), 0);
  CHECK(client_connect(&pub, port, 5, "pub0", true, 0));
  for (int i = 0; i < 5000; i++) {
    client_put_publish(&pub, "flood", filler, 0, false, 0);
    client_flush(&pub);
  }
  CHECK_INT(client_publish(&pub, "other", "x", false), 0);
  mc_gateway_stats stats;
  mc_gateway_stats_get(r.g, &stats);
  CHECK(stats.delivered < 5000);
  CHECK_SOON((mc_metric_value(mc_metric_get(MC_METRIC_COUNTER, "motorcade_mqtt_qos0_dropped_total", "", NULL)) > 0));
  client_close(&slow);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

/* A client that sends pings and never reads is not allowed to grow our memory. */
static void test_a_client_that_never_reads_is_not_read_either(void)
{
  rig r = {0};
  rig_start(&r, 1);
  client mute;
  CHECK(client_connect(&mute, mc_gateway_port(r.g, true), 5, "mute", true, 0));
  static uint8_t pings[64 << 10];
  for (size_t i = 0; i < sizeof pings; i += 2)
    memcpy(pings + i, "\xC0\x00", 2);
  size_t sent = 0;
  for (int64_t until = now_ms() + 1500; now_ms() < until;) {
    ssize_t n = send(mute.fd, pings, sizeof pings, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
      sent += (size_t)n & ~(size_t)1;
    else
      usleep(1000);
    if (n > 0 && n % 2 && send(mute.fd, "\x00", 1, MSG_NOSIGNAL) < 0)
      break;
  }
  printf("# it could send %zu KiB of pings\n", sent >> 10);
  CHECK(sent < 64 << 20);
  client other;
  CHECK(client_connect(&other, mc_gateway_port(r.g, true), 5, "other", true, 0));
  CHECK_INT(client_publish(&other, "x", "y", false), 0);
  client_close(&other);
  client_close(&mute);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_a_full_disk_is_told_and_ends(void)
{
  mc_fs *fault;
  mc_why why;
  CHECK_OK(mc_fs_fault_open(&fault, &why));
  rig r = {.fs = fault};
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  client five, four;
  CHECK(client_connect(&five, port, 5, "five", true, 0));
  CHECK(client_connect(&four, port, 4, "four", true, 0));
  CHECK_INT(client_publish(&five, "x", "y", false), 0);
  int refused = 0;
  for (int i = 0; i < 3; i++) {
    mc_fs_fault_arm(fault, 1, MC_FAULT_ENOSPC);
    uint8_t code = client_publish(&five, "x", "y", false);
    if (code == 0)
      continue; /* something else's call suffered it */
    refused++;
    CHECK_INT(code, MC_MQTT_QUOTA);
    CHECK(five.packet.ack.props.reason.len && memmem(five.packet.ack.props.reason.data, five.packet.ack.props.reason.len, "disk is full", 12));
  }
  CHECK(refused > 0);
  CHECK_INT(client_publish(&five, "x", "y", false), 0); /* there is room again */
  bool closed = false;
  for (int i = 0; i < 3 && !closed; i++) {
    mc_fs_fault_arm(fault, 1, MC_FAULT_EIO);
    client_put_publish(&four, "x", "y", 1, false, 9);
    client_flush(&four);
    closed = client_next(&four) == CLIENT_CLOSED; /* 3.1.1: no lie, so no PUBACK */
  }
  CHECK(closed);
  client_close(&four);
  CHECK(client_connect(&four, port, 4, "four", true, 0));
  CHECK_INT(client_publish(&four, "x", "y", false), 0);
  client_close(&five);
  client_close(&four);
  rig_stop(&r);
  mc_fs_fault_close(&fault);
  rig_remove(&r);
}

/* When the staging memory is full the publisher is simply not read: all comes, nothing is refused. */
static void test_a_disk_that_is_behind_slows_publishers_and_loses_nothing(void)
{
  rig r = {.journal_config = {.max_staged_bytes = 64 << 10, .group_wait_us = 20000}};
  rig_start(&r, 1);
  uint16_t port = mc_gateway_port(r.g, true);
  client pub, sub;
  enum { N = 500 };
  CHECK(client_connect(&sub, port, 5, "sub", true, 0));
  CHECK_INT(client_subscribe(&sub, "big", 1), 1);
  CHECK(client_connect(&pub, port, 4, "pub", true, 0));
  pid_t writer = fork(); /* a writer of its own, for nobody reads while it writes */
  if (writer == 0) {
    for (int i = 0; i < N; i++)
      client_put_publish(&pub, "big", filler, 1, false, (uint16_t)(i + 1));
    client_flush(&pub);
    _exit(0);
  }
  for (int i = 0; i < N; i++) {
    CHECK_INT(client_next(&pub), MC_MQTT_PUBACK);
    CHECK_INT(pub.packet.ack.packet_id, i + 1);
  }
  for (int i = 0; i < N; i++) {
    CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
    client_ack(&sub);
  }
  waitpid(writer, NULL, 0);
  client_close(&pub);
  client_close(&sub);
  rig_stop(&r);
  rig_remove(&r);
}

static void test_more_unacknowledged_publishes_than_receive_maximum_end_a_version_5_client(void)
{
  rig r = {.row = {{"receive_max", 10}}, .journal_config = {.group_wait_us = 50000}};
  rig_start(&r, 1);
  client pub;
  CHECK(client_connect(&pub, mc_gateway_port(r.g, true), 5, "pub", true, 0));
  CHECK_INT(pub.packet.connack.props.receive_max, 10);
  CHECK_INT(client_publish(&pub, "x", "warm", false), 0);
  for (int i = 0; i < 40; i++)
    client_put_publish(&pub, "x", "y", 1, false, (uint16_t)(i + 1));
  client_flush(&pub);
  int type;
  while ((type = client_next(&pub)) == MC_MQTT_PUBACK)
    ;
  CHECK_INT(type, MC_MQTT_DISCONNECT);
  CHECK_INT(pub.packet.disconnect.code, MC_MQTT_RECEIVE_MAX_EXCEEDED);
  client_close(&pub);
  CHECK(client_connect(&pub, mc_gateway_port(r.g, true), 4, "pub4", true, 0)); /* 3.1.1 knows no window: it waits */
  for (int i = 0; i < 40; i++)
    client_put_publish(&pub, "x", "y", 1, false, (uint16_t)(i + 1));
  client_flush(&pub);
  for (int i = 0; i < 40; i++)
    CHECK_INT(client_next(&pub), MC_MQTT_PUBACK);
  client_close(&pub);
  rig_stop(&r);
  rig_remove(&r);
}

int main(void)
{
  memset(filler, 'f', sizeof filler - 1);
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_a_reader_that_stops_misses_nothing_and_delays_nobody);
  RUN(test_qos_0_for_a_blocked_reader_is_dropped_and_counted);
  RUN(test_a_client_that_never_reads_is_not_read_either);
  RUN(test_a_full_disk_is_told_and_ends);
  RUN(test_a_disk_that_is_behind_slows_publishers_and_loses_nothing);
  RUN(test_more_unacknowledged_publishes_than_receive_maximum_end_a_version_5_client);
  return tap_done();
}
