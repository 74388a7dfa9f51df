/* Subscription options, identifiers, retained messages, request and response: MQTT 5.0, 3.3.1.3, 3.3.2.3, 3.8.3.1, 4.10. */
#include "rig.h"

static rig server;
static uint16_t port;

typedef struct wanted {
  const char *filter;
  uint8_t qos;
  bool no_local, as_published;
  uint8_t handling;
  uint32_t id;
} wanted;

static uint8_t subscribe(client *c, wanted w)
{
  mc_buf props = {0};
  if (w.id)
    mc_mqtt_put_number(&props, 0x0B, w.id);
  mc_mqtt_filter f = {.filter = mc_slice_str(w.filter), .qos = w.qos, .no_local = w.no_local, .retain_as_published = w.as_published, .retain_handling = w.handling};
  mc_mqtt_write_subscribe(&c->out, 5, 3, &f, 1, mc_buf_slice(&props));
  client_flush(c);
  mc_buf_free(&props);
  return client_next(c) == MC_MQTT_SUBACK ? c->packet.subscribe.list.data[0] : 255;
}

/* Identifiers of the PUBLISH in c->packet as a set of bits. */
static unsigned ids(const client *c)
{
  unsigned set = 0;
  mc_mqtt_property p;
  for (size_t at = 0; mc_mqtt_property_next(c->packet.publish.props.raw, &at, &p);)
    if (p.id == 0x0B)
      set |= 1u << p.number;
  return set;
}

static void test_overlapping_subscriptions_give_all_identifiers_and_the_highest_qos(void)
{
  client a, b;
  CHECK(client_connect(&a, port, 5, "over-a", true, 0));
  CHECK(client_connect(&b, port, 5, "over-b", true, 0));
  CHECK_INT(subscribe(&b, (wanted){.filter = "over/x", .qos = 0, .id = 1}), 0);
  CHECK_INT(subscribe(&b, (wanted){.filter = "over/+", .qos = 1, .id = 2}), 1);
  CHECK_INT(subscribe(&b, (wanted){.filter = "over/#", .qos = 0}), 0); /* none: adds none */
  CHECK_INT(subscribe(&b, (wanted){.filter = "#", .qos = 0, .id = 3}), 0);
  CHECK_INT(client_publish(&a, "over/x", "m", false), 0);
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  CHECK_INT(b.packet.publish.qos, 1);
  CHECK_INT(ids(&b), 1 << 1 | 1 << 2 | 1 << 3);
  client_ack(&b);
  CHECK_INT(subscribe(&b, (wanted){.filter = "over/+", .qos = 1, .id = 4}), 1); /* 3.8.4-3: replaced */
  CHECK_INT(client_publish(&a, "over/x", "m", false), 0);
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  CHECK_INT(ids(&b), 1 << 1 | 1 << 3 | 1 << 4);
  client_ack(&b);
  CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET);
  client_close(&a);
  client_close(&b);
}

/* 3.8.3-3 names the client, not the subscription: of two filters, one without No Local still delivers. */
static void test_no_local_keeps_back_the_clients_own_messages_only(void)
{
  client a, b;
  CHECK(client_connect(&a, port, 5, "local-a", true, 0));
  CHECK(client_connect(&b, port, 5, "local-b", true, 0));
  CHECK_INT(subscribe(&a, (wanted){.filter = "local/#", .qos = 1, .no_local = true}), 1);
  for (uint8_t qos = 0; qos <= 1; qos++) {
    client_put_publish(&a, "local/x", "own", qos, false, 5);
    client_flush(&a);
    if (qos)
      CHECK_INT(client_next(&a), MC_MQTT_PUBACK);
  }
  CHECK_INT(client_publish(&b, "local/x", "theirs", false), 0);
  CHECK_RECEIVES(&a, "local/x", "theirs");
  CHECK_INT(subscribe(&a, (wanted){.filter = "local/y", .qos = 0}), 0);
  client_put_publish(&a, "local/y", "both", 0, false, 0);
  client_flush(&a);
  CHECK_RECEIVES(&a, "local/y", "both");
  /* what it retained itself is its own as well */
  CHECK_INT(client_publish(&a, "local/kept", "own", true), 0);
  CHECK_INT(client_publish(&b, "local/kept2", "theirs", true), 0);
  CHECK_RECEIVES(&a, "local/kept2", "theirs");
  CHECK_INT(subscribe(&a, (wanted){.filter = "local/+", .qos = 1, .no_local = true}), 1);
  CHECK_RECEIVES(&a, "local/kept2", "theirs");
  CHECK_INT(client_next_within(&a, 50), CLIENT_QUIET);
  CHECK_INT(subscribe(&b, (wanted){.filter = "local/+", .qos = 1}), 1);
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  client_ack(&b);
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  client_ack(&b);
  CHECK_INT(client_publish(&b, "local/kept", "", true), 0);
  client_close(&a);
  client_close(&b);
}

/* 3.3.1-12, 3.3.1-13: the flag of a live message is 0 unless Retain As Published was asked for; 3.3.1-8: of a stored one always 1. */
static void test_the_retain_flag_tells_stored_from_live(void)
{
  client a, plain, as_published;
  CHECK(client_connect(&a, port, 5, "flag-a", true, 0));
  CHECK(client_connect(&plain, port, 5, "flag-b", true, 0));
  CHECK(client_connect(&as_published, port, 5, "flag-c", true, 0));
  CHECK_INT(subscribe(&plain, (wanted){.filter = "flag/+", .qos = 1}), 1);
  CHECK_INT(subscribe(&as_published, (wanted){.filter = "flag/+", .qos = 1, .as_published = true}), 1);
  CHECK_INT(client_publish(&a, "flag/x", "kept", true), 0);
  CHECK_RECEIVES(&plain, "flag/x", "kept");
  CHECK(!plain.packet.publish.retain);
  CHECK_RECEIVES(&as_published, "flag/x", "kept");
  CHECK(as_published.packet.publish.retain);
  CHECK_INT(client_publish(&a, "flag/x", "once", false), 0);
  CHECK_RECEIVES(&as_published, "flag/x", "once");
  CHECK(!as_published.packet.publish.retain);
  CHECK_RECEIVES(&plain, "flag/x", "once");
  CHECK_INT(subscribe(&plain, (wanted){.filter = "flag/x", .qos = 1}), 1);
  CHECK_RECEIVES(&plain, "flag/x", "kept"); /* a message without the flag did not replace it (3.3.1-7 of 3.1.1, 3.3.1.3) */
  CHECK(plain.packet.publish.retain);
  /* an empty one takes it away, and is delivered as any other (3.3.1-6, 3.3.1-11) */
  CHECK_INT(client_publish(&a, "flag/x", "", true), 0);
  CHECK_RECEIVES(&plain, "flag/x", "");
  CHECK(!plain.packet.publish.retain);
  CHECK_RECEIVES(&as_published, "flag/x", "");
  CHECK_INT(subscribe(&plain, (wanted){.filter = "flag/#", .qos = 1}), 1);
  CHECK_INT(client_next_within(&plain, 50), CLIENT_QUIET);
  client_close(&a);
  client_close(&plain);
  client_close(&as_published);
}

/* 3.3.1-9 to 3.3.1-11: 0 always, 1 when the subscription is new, 2 never; for exact filters and wildcards, QoS 0 and 1. */
static void retain_handling(const char *filter, uint8_t qos)
{
  client b;
  CHECK(client_connect(&b, port, 5, "handling-b", true, 0));
  CHECK_INT(subscribe(&b, (wanted){.filter = filter, .qos = qos, .handling = 2, .id = 9}), qos);
  CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET);
  CHECK_INT(subscribe(&b, (wanted){.filter = filter, .qos = qos, .handling = 1, .id = 9}), qos); /* it exists: nothing */
  CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(subscribe(&b, (wanted){.filter = filter, .qos = qos, .handling = 0, .id = 9}), qos);
    CHECK_RECEIVES(&b, "handling/x", "kept");
    CHECK(b.packet.publish.retain);
    CHECK_INT(b.packet.publish.qos, qos);
    CHECK_INT(ids(&b), 1 << 9);
  }
  mc_slice text = mc_slice_str(filter);
  mc_mqtt_write_unsubscribe(&b.out, 5, 4, &text, 1, (mc_slice){0});
  client_flush(&b);
  CHECK_INT(client_next(&b), MC_MQTT_UNSUBACK);
  CHECK_INT(subscribe(&b, (wanted){.filter = filter, .qos = qos, .handling = 1}), qos); /* new again */
  CHECK_RECEIVES(&b, "handling/x", "kept");
  CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET);
  client_close(&b);
}

static void test_retain_handling(void)
{
  client a;
  static const char *const filter[] = {"handling/x", "handling/+", "handling/#", "+/x"};
  CHECK(client_connect(&a, port, 5, "handling-a", true, 0));
  CHECK_INT(client_publish(&a, "handling/x", "kept", true), 0);
  for (size_t i = 0; i < sizeof filter / sizeof filter[0] && !tap_this_failed; i++)
    for (uint8_t qos = 0; qos <= 1 && !tap_this_failed; qos++)
      retain_handling(filter[i], qos);
  CHECK_INT(client_publish(&a, "handling/x", "", true), 0);
  client_close(&a);
}

/* 3.3.2-5: a copy whose delivery has not begun goes with its time, with QoS 2 to a kept session, too. */
static void test_a_message_with_qos_2_that_grew_old_is_not_begun(void)
{
  client a, b;
  static const struct { const char *payload; uint32_t expiry_s; } sent[] = {{"short", 1}, {"long", 100}};
  CHECK(client_connect(&b, port, 5, "old-b", true, 3600));
  CHECK_INT(client_subscribe(&b, "old", 2), 2);
  client_close(&b);
  int64_t began = now_ms();
  CHECK(client_connect(&a, port, 5, "old-a", true, 0));
  for (uint16_t i = 0; i < 2; i++) {
    mc_buf props = {0};
    mc_mqtt_put_number(&props, 0x02, sent[i].expiry_s);
    mc_mqtt_publish p = {.topic = MC_LIT("old"), .payload = mc_slice_str(sent[i].payload), .qos = 2, .packet_id = (uint16_t)(i + 1)};
    mc_mqtt_write_publish(&a.out, 5, &p, mc_buf_slice(&props));
    mc_buf_free(&props);
    client_flush(&a);
    CHECK_ANSWER(&a, MC_MQTT_PUBREC, i + 1, 0);
  }
  usleep(2100000);
  CHECK(client_connect(&b, port, 5, "old-b", false, 0));
  CHECK_INT(client_next(&b), MC_MQTT_PUBLISH);
  CHECK_SLICE(b.packet.publish.payload, "long");
  CHECK(b.packet.publish.props.expiry_s + (now_ms() - began) / 1000 >= 98 && b.packet.publish.props.expiry_s <= 98);
  client_answer(&b, MC_MQTT_PUBREC, b.packet.publish.packet_id, 0);
  CHECK_INT(client_next(&b), MC_MQTT_PUBREL);
  client_answer(&b, MC_MQTT_PUBCOMP, b.packet.ack.packet_id, 0);
  CHECK_INT(client_next_within(&b, 50), CLIENT_QUIET);
  client_close(&a);
  client_close(&b);
}

static bool connect_asking(client *c, const char *id, int request)
{
  mc_buf props = {0};
  if (request >= 0)
    mc_mqtt_put_number(&props, 0x19, (uint32_t)request);
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .clean = true, .keep_alive_s = 60, .props.raw = mc_buf_slice(&props)};
  bool ok = client_connect_with(c, port, with) == MC_MQTT_CONNACK && c->packet.connack.code == 0;
  mc_buf_free(&props);
  return ok;
}

/* 4.10: the requester asks where answers may go, subscribes there, names it in its request; the responder answers with the correlation data. */
static void test_a_request_finds_its_answer(void)
{
  client requester, responder;
  CHECK(connect_asking(&requester, "asks-not", -1));
  CHECK(!(requester.packet.connack.props.present & MC_MQTT_P_RESPONSE_INFO));
  client_close(&requester);
  CHECK(connect_asking(&requester, "asks-0", 0)); /* 3.1.2-28 */
  CHECK(!(requester.packet.connack.props.present & MC_MQTT_P_RESPONSE_INFO));
  client_close(&requester);
  CHECK(connect_asking(&requester, "has+wildcard", 1)); /* nothing can be named after it */
  CHECK(!(requester.packet.connack.props.present & MC_MQTT_P_RESPONSE_INFO));
  client_close(&requester);
  CHECK(connect_asking(&requester, "asks", 1));
  CHECK(requester.packet.connack.props.present & MC_MQTT_P_RESPONSE_INFO);
  char topic[200], filter[220];
  mc_slice_to_str(requester.packet.connack.props.response_info, topic, sizeof topic);
  CHECK_STR(topic, "cmd/asks/response");
  snprintf(filter, sizeof filter, "%s/#", topic);
  CHECK_INT(client_subscribe(&requester, filter, 1), 1);
  strcat(topic, "/7");
  CHECK(client_connect(&responder, port, 5, "answers", true, 0));
  CHECK_INT(client_subscribe(&responder, "requests", 1), 1);
  mc_buf props = {0};
  mc_mqtt_put_text(&props, 0x08, mc_slice_str(topic));
  mc_mqtt_put_text(&props, 0x09, MC_LIT("\x00\x01which"));
  mc_mqtt_publish p = {.topic = MC_LIT("requests"), .payload = MC_LIT("?"), .qos = 1, .packet_id = 1};
  mc_mqtt_write_publish(&requester.out, 5, &p, mc_buf_slice(&props));
  client_flush(&requester);
  CHECK_INT(client_next(&requester), MC_MQTT_PUBACK);
  CHECK_RECEIVES(&responder, "requests", "?");
  CHECK(mc_slice_eq_str(responder.packet.publish.props.response_topic, topic));
  mc_buf answer = {0};
  mc_mqtt_put_text(&answer, 0x09, responder.packet.publish.props.correlation);
  p = (mc_mqtt_publish){.topic = responder.packet.publish.props.response_topic, .payload = MC_LIT("!"), .qos = 1, .packet_id = 2};
  mc_mqtt_write_publish(&responder.out, 5, &p, mc_buf_slice(&answer));
  client_flush(&responder);
  CHECK_INT(client_next(&responder), MC_MQTT_PUBACK);
  CHECK_RECEIVES(&requester, topic, "!");
  CHECK(mc_slice_eq(requester.packet.publish.props.correlation, MC_LIT("\x00\x01which")));
  mc_buf_free(&props);
  mc_buf_free(&answer);
  client_close(&requester);
  client_close(&responder);
}

static void nap(void *ctx) { usleep(30000); }

/* While the journal is behind, SUBSCRIBE waits and is taken again: the subscription is still new then, so retain handling 1 delivers. */
static void test_a_subscribe_that_waits_for_the_disk_is_still_new(void)
{
  client a, b;
  mc_fs *slow;
  mc_why why;
  CHECK_OK(mc_fs_fault_open(&slow, &why));
  mc_fs_fault_on_sync(slow, nap, NULL);
  rig r = {.fs = slow, .journal_config.max_staged_bytes = 64 << 10};
  rig_start(&r, 1);
  uint16_t p = mc_gateway_port(r.g, true);
  static char big[60 << 10], topic[8 << 10]; /* long enough that its record does not fit beside a big one */
  memset(big, 'x', sizeof big - 1);
  memset(topic, 't', sizeof topic - 1);
  CHECK(client_connect(&a, p, 5, "fills", true, 0));
  CHECK_INT(client_publish(&a, topic, "kept", true), 0);
  CHECK(client_connect(&b, p, 5, "waits", true, 3600));
  for (int round = 0; round < 5 && !tap_this_failed; round++) {
    for (int i = 0; i < 3; i++)
      client_put_publish(&a, "bulk", big, 1, false, (uint16_t)(i + 1));
    client_flush(&a);
    usleep(5000); /* one is being written, one fills what may wait, one is not read */
    CHECK_INT(subscribe(&b, (wanted){.filter = topic, .qos = 1, .handling = 1}), 1);
    CHECK_RECEIVES(&b, topic, "kept");
    mc_slice text = mc_slice_str(topic);
    mc_mqtt_write_unsubscribe(&b.out, 5, 4, &text, 1, (mc_slice){0});
    client_flush(&b);
    CHECK_INT(client_next(&b), MC_MQTT_UNSUBACK);
    for (int i = 0; i < 3; i++)
      CHECK_INT(client_next(&a), MC_MQTT_PUBACK);
  }
  client_close(&a);
  client_close(&b);
  rig_stop(&r);
  mc_fs_fault_close(&slow);
  rig_remove(&r);
}

int main(void)
{
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  signal(SIGPIPE, SIG_IGN);
  rig_start(&server, 2);
  port = mc_gateway_port(server.g, true);
  RUN(test_overlapping_subscriptions_give_all_identifiers_and_the_highest_qos);
  RUN(test_no_local_keeps_back_the_clients_own_messages_only);
  RUN(test_the_retain_flag_tells_stored_from_live);
  RUN(test_retain_handling);
  RUN(test_a_message_with_qos_2_that_grew_old_is_not_begun);
  RUN(test_a_request_finds_its_answer);
  RUN(test_a_subscribe_that_waits_for_the_disk_is_still_new);
  rig_stop(&server);
  rig_remove(&server);
  return tap_done();
}
