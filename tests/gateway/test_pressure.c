/* Slow readers, a full disk, a slow disk: nothing that was acknowledged is dropped, and others do not notice. */
#include <stdatomic.h>

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
  mc_client_info *list, info;
  size_t count;
  CHECK_SOON(mc_gateway_client(r.g, 1, MC_LIT("slow"), &info) && info.queued > N / 2 && info.queue_bytes < 64 << 10); /* the rest is in the journal only */
  CHECK_OK(mc_gateway_clients(r.g, 1, MC_LIT("slov"), 1, &arena, &list, &count, NULL));
  CHECK_STR(list[0].client_id, "slow");
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
    size_t begin = sent % 2; /* half a ping went last: its other half is next */
    ssize_t n = send(mute.fd, pings + begin, sizeof pings - begin, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
      sent += (size_t)n;
    else
      usleep(1000);
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
  for (int i = 0; i < 3 || (!refused && i < 100); i++) {
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
  for (int i = 0; i < 100 && !closed; i++) {
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

/* For a while every write is refused: so is every publish that needs the disk, with its code or by the end of a 3.1.1 connection; QoS 0 and pings go on. When the
 * disk is writable again so are the same connections, and what comes over a restart is what was acknowledged. */
static void test_a_read_only_disk_refuses_publishers_and_ends(void)
{
  mc_fs *fault;
  mc_why why;
  CHECK_OK(mc_fs_fault_open(&fault, &why));
  rig r = {.fs = fault};
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  client sub, kept, five, four;
  CHECK(client_connect(&kept, port, 5, "kept", true, 3600));
  CHECK_INT(client_subscribe(&kept, "ro", 1), 1);
  client_close(&kept);
  CHECK(client_connect(&sub, port, 5, "sub", true, 0));
  CHECK_INT(client_subscribe(&sub, "live", 0), 0);
  CHECK(client_connect(&five, port, 5, "five", true, 0));
  CHECK(client_connect(&four, port, 4, "four", true, 0));
  mc_client_info info;
  CHECK_SOON(mc_gateway_client(r.g, 1, MC_LIT("kept"), &info) && !info.connected);
  CHECK_INT(client_publish(&five, "ro", "before", false), 0); /* nothing of the set-up is on its way to the disk then */
  mc_fs_fault_hold(fault, MC_FAULT_EROFS);
  for (int i = 0; i < 20; i++) {
    CHECK_INT(client_publish(&five, "ro", "refused", false), MC_MQTT_UNSPECIFIED);
    CHECK(five.packet.ack.props.reason.len > 0);
  }
  client_put_publish(&five, "ro", "refused", 2, false, 9);
  client_flush(&five);
  CHECK_ANSWER(&five, MC_MQTT_PUBREC, 9, MC_MQTT_UNSPECIFIED);
  client_put_publish(&four, "ro", "refused", 1, false, 9);
  client_flush(&four);
  CHECK_INT(client_next(&four), CLIENT_CLOSED);
  client_put_publish(&five, "live", "now", 0, false, 0);
  client_flush(&five);
  CHECK_RECEIVES(&sub, "live", "now");
  mc_mqtt_write_ping(&five.out, MC_MQTT_PINGREQ);
  client_flush(&five);
  CHECK_INT(client_next(&five), MC_MQTT_PINGRESP);
  mc_fs_fault_hold(fault, MC_FAULT_NONE);
  CHECK_INT(client_publish(&five, "ro", "after", false), 0);
  client_put_publish(&five, "ro", "after, twice", 2, false, 9); /* a refused identifier is free again */
  client_flush(&five);
  CHECK_ANSWER(&five, MC_MQTT_PUBREC, 9, 0);
  client_close(&four);
  CHECK(client_connect(&four, port, 4, "four", true, 0));
  CHECK_INT(client_publish(&four, "ro", "after", false), 0);
  client_close(&sub);
  client_close(&five);
  client_close(&four);
  rig_stop(&r);
  rig_start(&r, 1);
  CHECK(client_connect(&kept, mc_gateway_port(r.g, true), 5, "kept", false, 3600));
  CHECK_RECEIVES(&kept, "ro", "before");
  CHECK_RECEIVES(&kept, "ro", "after");
  CHECK_RECEIVES(&kept, "ro", "after, twice");
  CHECK_RECEIVES(&kept, "ro", "after");
  CHECK_INT(client_next_within(&kept, 200), CLIENT_QUIET);
  client_close(&kept);
  rig_stop(&r);
  mc_fs_fault_close(&fault);
  rig_remove(&r);
}

static atomic_int syncs;
static atomic_bool sync_held;

static void sync_slowly(void *ctx)
{
  (void)ctx;
  atomic_fetch_add(&syncs, 1);
  usleep(100000);
  while (atomic_load(&sync_held))
    usleep(1000);
}

/* 20 publishers with 20 messages each wait for the same syncs, not one behind the other; who needs no disk does not wait at all. */
static void test_a_disk_whose_sync_takes_100_ms_is_shared(void)
{
  enum { PUBLISHERS = 20, WINDOW = 20, ROUNDS = 8 };
  mc_fs *fault;
  mc_why why;
  CHECK_OK(mc_fs_fault_open(&fault, &why));
  rig r = {.fs = fault};
  rig_start(&r, 2);
  uint16_t port = mc_gateway_port(r.g, true);
  client pub[PUBLISHERS], sub, quick;
  char text[32];
  int next[PUBLISHERS] = {0};
  int64_t worst = 0;
  int most_syncs = 0;
  CHECK(client_connect(&sub, port, 5, "sub", true, 0));
  CHECK_INT(client_subscribe(&sub, "slow", 1), 1);
  CHECK(client_connect(&quick, port, 5, "quick", true, 0));
  CHECK_INT(client_subscribe(&quick, "quick", 0), 0);
  for (int i = 0; i < PUBLISHERS; i++) {
    snprintf(text, sizeof text, "pub-%d", i);
    CHECK(client_connect(&pub[i], port, i % 2 ? 4 : 5, text, true, 0));
  }
  mc_fs_fault_on_sync(fault, sync_slowly, NULL);
  for (int round = 0; round < ROUNDS && !tap_this_failed; round++) {
    int64_t began = now_ms();
    int syncs_before = atomic_load(&syncs);
    atomic_store(&sync_held, true);
    for (int i = 0; i < PUBLISHERS; i++) {
      for (int k = 0; k < WINDOW; k++) {
        snprintf(text, sizeof text, "%d %d", i, round * WINDOW + k);
        client_put_publish(&pub[i], "slow", text, 1, false, (uint16_t)(k + 1));
      }
      client_flush(&pub[i]);
    }
    client_put_publish(&quick, "quick", "x", 0, false, 0);
    mc_mqtt_write_ping(&quick.out, MC_MQTT_PINGREQ);
    client_flush(&quick);
    for (int i = 0; i < 2; i++) {
      int type = client_next(&quick);
      CHECK(type == MC_MQTT_PUBLISH || type == MC_MQTT_PINGRESP);
    }
    atomic_store(&sync_held, false); /* those came while no sync ended */
    for (int i = 0; i < PUBLISHERS; i++)
      for (int k = 0; k < WINDOW; k++)
        CHECK_ANSWER(&pub[i], MC_MQTT_PUBACK, k + 1, 0);
    worst = now_ms() - began > worst ? now_ms() - began : worst;
    most_syncs = atomic_load(&syncs) - syncs_before > most_syncs ? atomic_load(&syncs) - syncs_before : most_syncs;
  }
  printf("# worst round: %lld ms, %d syncs\n", (long long)worst, most_syncs);
  CHECK(most_syncs < 10); /* not 400 */
  for (int n = 0; n < PUBLISHERS * WINDOW * ROUNDS && !tap_this_failed; n++) {
    int i, number;
    CHECK_INT(client_next(&sub), MC_MQTT_PUBLISH);
    mc_slice_to_str(sub.packet.publish.payload, text, sizeof text);
    CHECK_INT(sscanf(text, "%d %d", &i, &number), 2);
    CHECK_INT(number, next[i]++);
    client_ack(&sub);
  }
  mc_fs_fault_on_sync(fault, NULL, NULL);
  for (int i = 0; i < PUBLISHERS; i++)
    client_close(&pub[i]);
  client_close(&sub);
  client_close(&quick);
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
  RUN(test_a_read_only_disk_refuses_publishers_and_ends);
  RUN(test_a_disk_whose_sync_takes_100_ms_is_shared);
  RUN(test_a_disk_that_is_behind_slows_publishers_and_loses_nothing);
  RUN(test_more_unacknowledged_publishes_than_receive_maximum_end_a_version_5_client);
  return tap_done();
}
