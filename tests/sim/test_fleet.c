/* Twelve vehicles with certificates of their own against a small broker on the same loop, over mutual TLS. */
#include "base/clock.h"
#include "base/log.h"
#include "format/mqtt.h"
#include "sim/sim.h"
#include "tap.h"

enum { VEHICLES = 12 };

typedef struct broker {
  mc_loop *loop;
  mc_listener *listener;
  mc_tls *tls;
  mc_buf ca_cert, ca_key;
  int connects, wrong_names, checkins, disconnects, open;
  bool checked_in[VEHICLES];
  mc_sim_fleet *fleet;
  int made; /* certificates */
  int fail_at;
} broker;

static broker b;

static void on_open(mc_conn *c)
{
  b.open++;
}

static void on_connect(mc_conn *c, const mc_mqtt_packet *p)
{
  mc_peer peer;
  mc_conn_peer(c, &peer);
  b.connects++;
  b.wrong_names += !peer.has_cert || !peer.cert_verified || !mc_slice_eq_str(p->connect.client_id, peer.cert.common_name);
  mc_mqtt_write_connack(mc_conn_out(c), MC_MQTT_5, false, 0, (mc_slice){0});
}

static void on_publish(mc_conn *c, const mc_mqtt_packet *p)
{
  for (uint32_t i = 0; i < VEHICLES; i++) {
    char topic[160];
    snprintf(topic, sizeof topic, "$aws/iotfleetwise/vehicles/%s/checkins", mc_sim_vehicle(mc_sim_fleet_sim(b.fleet), i)->name);
    if (mc_slice_eq_str(p->publish.topic, topic)) {
      b.checked_in[i] = true;
      b.checkins++;
    }
  }
  mc_mqtt_write_ack(mc_conn_out(c), MC_MQTT_PUBACK, MC_MQTT_5, p->publish.packet_id, 0, (mc_slice){0});
}

static void on_packet(mc_conn *c, const mc_mqtt_packet *p)
{
  uint8_t granted[4] = {1, 1, 1, 1};
  switch (p->type) {
  case MC_MQTT_CONNECT: on_connect(c, p); break;
  case MC_MQTT_SUBSCRIBE: mc_mqtt_write_suback(mc_conn_out(c), MC_MQTT_SUBACK, MC_MQTT_5, p->subscribe.packet_id, granted, p->subscribe.count, (mc_slice){0}); break;
  case MC_MQTT_PUBLISH: on_publish(c, p); break;
  case MC_MQTT_DISCONNECT: b.disconnects++; break;
  default: break;
  }
  mc_conn_dirty(c);
}

static size_t on_data(mc_conn *c, mc_slice in)
{
  size_t used = 0, size;
  while (mc_mqtt_peek(mc_slice_sub(in, used, in.len), 1 << 20, &size) == MC_OK && size <= in.len - used) {
    mc_mqtt_packet p;
    uint8_t reason;
    if (mc_mqtt_parse(mc_slice_sub(in, used, size), MC_MQTT_5, &p, &reason, NULL))
      return SIZE_MAX;
    on_packet(c, &p);
    used += size;
  }
  return used;
}

static void on_closed(mc_conn *c, mc_err err, const char *text)
{
  b.open--;
}

static const mc_conn_handler handler = {on_open, on_data, NULL, on_closed};

static const mc_conn_handler *choose(void *ctx, mc_alpn alpn, const mc_conn *conn)
{
  return alpn == MC_ALPN_MQTT_CERT ? &handler : NULL;
}

static mc_err vehicle_tls(void *ctx, uint32_t vehicle, const char *name, mc_tls **out, mc_why *why)
{
  if (b.fail_at && (int)vehicle == b.fail_at)
    return mc_err_set(why, MC_ERR_NOT_FOUND, "no certificate for %s", name);
  mc_buf cert = {0}, key = {0};
  mc_err err = mc_pki_issue_client(mc_buf_slice(&b.ca_cert), mc_buf_slice(&b.ca_key), name, 2, &cert, &key, why);
  if (!err)
    err = mc_tls_client_create(&(mc_tls_client_config){mc_buf_slice(&b.ca_cert), mc_buf_slice(&cert), mc_buf_slice(&key), "x-amzn-mqtt-ca"}, out, why);
  b.made += !err;
  mc_buf_free(&cert);
  mc_buf_free(&key);
  return err;
}

static mc_err start_broker(mc_why *why)
{
  mc_buf cert = {0}, key = {0};
  MC_TRY(mc_loop_create(&b.loop, why));
  MC_TRY(mc_pki_create_ca("fleet test", 2, &b.ca_cert, &b.ca_key, why));
  MC_TRY(mc_pki_issue_server(mc_buf_slice(&b.ca_cert), mc_buf_slice(&b.ca_key), "gateway", "127.0.0.1,localhost", 2, &cert, &key, why));
  mc_tls_server_config config = {.cert_pem = mc_buf_slice(&cert), .key_pem = mc_buf_slice(&key), .client_ca_pem = mc_buf_slice(&b.ca_cert)};
  mc_err err = mc_tls_server_create(&config, &b.tls, why);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  MC_TRY(err);
  return mc_listener_create(b.loop, &(mc_listener_config){.host = "127.0.0.1", .tls = b.tls, .choose = choose, .ctx = &b}, &b.listener, why);
}

static void turn_until(const int *what, int least, int seconds)
{
  int64_t end = mc_clock_mono_us() + seconds * 1000000LL;
  while (*what < least && mc_clock_mono_us() < end)
    mc_loop_turn(b.loop, 10);
}

static mc_sim_fleet_config fleet_config(const mc_geo_graph *g)
{
  return (mc_sim_fleet_config){.sim = {.graph = g, .vehicles = VEHICLES, .seed = 1}, .loop = b.loop, .host = "127.0.0.1",
                               .port = mc_listener_port(b.listener), .tls = vehicle_tls};
}

static mc_geo_graph *town;

static void test_every_vehicle_connects_under_its_own_certificate(void)
{
  mc_why why = {0};
  mc_sim_fleet_config c = fleet_config(town);
  if (mc_sim_fleet_create(&c, &b.fleet, &why))
    TAP_FAIL("%s", why.text);
  CHECK_INT(b.made, VEHICLES);
  mc_sim_fleet_start(b.fleet);
  turn_until(&b.checkins, VEHICLES, 20);
  CHECK_INT(b.connects, VEHICLES);
  CHECK_INT(b.wrong_names, 0);
  for (int i = 0; i < VEHICLES; i++)
    CHECK(b.checked_in[i]);
  int64_t end = mc_clock_mono_us() + 1000000;
  while (mc_clock_mono_us() < end)
    mc_loop_turn(b.loop, 10);
  mc_sim_fleet_stats s;
  mc_sim_fleet_stats_get(b.fleet, &s);
  CHECK_INT(s.vehicles, VEHICLES);
  CHECK_INT(s.connected, VEHICLES);
  CHECK(s.agents.connected);
  CHECK(s.driving >= VEHICLES / 2);
  CHECK(s.agents.frames > 200); /* sixty a second from each that drives */
  CHECK(s.agents.frames <= s.frames);
  CHECK(mc_sim_fleet_agent(b.fleet, 3) != NULL);
  mc_sim_fleet_stop(b.fleet);
  turn_until(&b.disconnects, VEHICLES, 5);
  CHECK_INT(b.disconnects, VEHICLES);
  uint64_t frames = mc_sim_frames(mc_sim_fleet_sim(b.fleet));
  for (int i = 0; i < 10; i++)
    mc_loop_turn(b.loop, 10);
  CHECK_INT(mc_sim_frames(mc_sim_fleet_sim(b.fleet)), frames);
  mc_sim_fleet_destroy(&b.fleet);
  CHECK(b.fleet == NULL);
}

static void test_a_missing_certificate_says_whose(void)
{
  mc_why why = {0};
  mc_sim_fleet *fleet;
  mc_sim_fleet_config c = fleet_config(town);
  b.fail_at = 4;
  CHECK_INT(mc_sim_fleet_create(&c, &fleet, &why), MC_ERR_NOT_FOUND);
  b.fail_at = 0;
  CHECK(fleet == NULL);
  CHECK_WHY(why, "no certificate for");
}

static void test_destroying_a_running_fleet_is_clean(void)
{
  mc_why why = {0};
  mc_sim_fleet_config c = fleet_config(town);
  CHECK_OK(mc_sim_fleet_create(&c, &b.fleet, &why));
  b.connects = 0;
  mc_sim_fleet_start(b.fleet);
  turn_until(&b.connects, 3, 10);
  mc_sim_fleet_destroy(&b.fleet);
  int64_t end = mc_clock_mono_us() + 3000000;
  while (b.open > 0 && mc_clock_mono_us() < end)
    mc_loop_turn(b.loop, 10);
  CHECK_INT(b.open, 0);
}

int main(void)
{
  mc_why why = {0};
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  if (mc_geo_make_town(1, NULL, &town, &why) || start_broker(&why)) {
    printf("not ok 1 - setting up: %s\n1..1\n", why.text);
    return 1;
  }
  RUN(test_every_vehicle_connects_under_its_own_certificate);
  RUN(test_a_missing_certificate_says_whose);
  RUN(test_destroying_a_running_fleet_is_clean);
  mc_listener_destroy(&b.listener);
  for (int i = 0; i < 5; i++)
    mc_loop_turn(b.loop, 1);
  mc_tls_destroy(&b.tls);
  mc_loop_destroy(&b.loop);
  mc_buf_free(&b.ca_cert);
  mc_buf_free(&b.ca_key);
  mc_geo_graph_destroy(&town);
  return tap_done();
}
