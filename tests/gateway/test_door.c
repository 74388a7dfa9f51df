/* The door: who comes in over mutual TLS, as whom, and what refused devices are told. */
#include "rig.h"

#include "db/db.h"

static rig server;
static mc_db *db;
static mc_registry *registry;
static mc_buf ca_cert, ca_key, server_cert, server_key;
static uint16_t port;

typedef struct identity { mc_buf cert, key; uint8_t fingerprint[MC_FINGERPRINT]; uint32_t thing; } identity;

static void open_server(void)
{
  mc_why why = {0};
  if (mc_pki_create_ca("test ca", 30, &ca_cert, &ca_key, &why) ||
      mc_pki_issue_server(mc_buf_slice(&ca_cert), mc_buf_slice(&ca_key), "localhost", "localhost,127.0.0.1", 30, &server_cert, &server_key, &why) ||
      mc_db_open_sqlite(":memory:", &db, &why))
    rig_fail("certificates", &why);
  mc_registry_config config = {.db = db, .ca_cert_pem = mc_buf_slice(&ca_cert), .ca_key_pem = mc_buf_slice(&ca_key)};
  if (mc_registry_open(&config, &registry, &why))
    rig_fail("registry", &why);
  mc_tls_server_config tls = {.cert_pem = mc_buf_slice(&server_cert), .key_pem = mc_buf_slice(&server_key), .client_ca_pem = mc_buf_slice(&ca_cert)};
  if (mc_tls_server_create(&tls, &server.tls, &why))
    rig_fail("tls", &why);
  server.registry = registry;
  rig_start(&server, 2);
  port = mc_gateway_port(server.g, false);
}

static void close_server(void)
{
  rig_stop(&server);
  mc_tls_destroy(&server.tls);
  mc_registry_close(&registry);
  mc_db_close(&db);
  mc_buf_free(&ca_cert);
  mc_buf_free(&ca_key);
  mc_buf_free(&server_cert);
  mc_buf_free(&server_key);
  rig_remove(&server);
}

static bool issue(const char *name, bool make, identity *out)
{
  mc_why why = {0};
  mc_thing thing;
  mc_cert_info info;
  *out = (identity){0};
  mc_vehicle v = {.tenant = 1, .year = 2024};
  snprintf(v.name, sizeof v.name, "%s", name);
  if (make && mc_registry_vehicle_create(registry, &v, &why)) {
    printf("# %s\n", why.text);
    return false;
  }
  if (mc_registry_certificate_issue(registry, 1, mc_slice_str(name), 10, &out->cert, &out->key, &why) ||
      mc_cert_read_pem(mc_buf_slice(&out->cert), &info, &why) || mc_registry_thing_find(registry, 1, mc_slice_str(name), &thing)) {
    printf("# %s\n", why.text);
    return false;
  }
  memcpy(out->fingerprint, info.fingerprint, sizeof out->fingerprint);
  out->thing = thing.id;
  return true;
}

static void forget(identity *i)
{
  mc_buf_free(&i->cert);
  mc_buf_free(&i->key);
}

/* Returns the CONNACK's code, or 255; 254: no TLS. */
static uint8_t enter(client *c, const identity *i, const char *client_id, uint8_t version, const char *alpn)
{
  if (!client_dial_tls(c, port, version, i ? mc_buf_slice(&i->cert) : (mc_slice){0}, i ? mc_buf_slice(&i->key) : (mc_slice){0}, alpn, NULL))
    return 254;
  mc_mqtt_connect with = {.version = version, .client_id = mc_slice_str(client_id), .clean = true, .keep_alive_s = 60};
  return client_connect_with(c, 0, with) == MC_MQTT_CONNACK ? c->packet.connack.code : 255;
}

static bool told(const client *c, const char *part)
{
  mc_slice r = c->packet.connack.props.reason;
  return r.len && memmem(r.data, r.len, part, strlen(part));
}

static bool event_says(const char *part)
{
  static mc_connection_event e[64];
  size_t n = mc_gateway_events(server.g, 1, e, 64);
  for (size_t i = 0; i < n; i++)
    if (strstr(e[i].text, part))
      return true;
  return false;
}

static void test_a_device_enters_under_its_own_name(void)
{
  identity me;
  CHECK(issue("truck-1", true, &me));
  static const char *const alpn[] = {NULL, "x-amzn-mqtt-ca", "mqtt"};
  for (size_t k = 0; k < 3; k++)
    for (uint8_t version = 4; version <= 5; version++) {
      client c;
      CHECK_INT(enter(&c, &me, "truck-1", version, alpn[k]), 0);
      CHECK_INT(client_subscribe(&c, "cms/fleetwise/vehicles/truck-1/#", 1), 1);
      CHECK_INT(client_publish(&c, "cms/fleetwise/vehicles/truck-1/checkins", "x", false), 0);
      client_close(&c);
    }
  client c;
  CHECK_INT(enter(&c, &me, "", 5, NULL), 0); /* an empty id gets the device's name */
  CHECK_SLICE(c.packet.connack.props.assigned_id, "truck-1");
  mc_client_info info;
  CHECK(mc_gateway_client_of_thing(server.g, 1, me.thing, &info));
  CHECK_STR(info.client_id, "truck-1");
  CHECK(info.connected);
  client_close(&c);
  CHECK(enter(&c, &me, "truck-1", 5, "http/1.1") >= 254); /* not a protocol of this port */
  client_close(&c);
  forget(&me);
}

/* The development port takes a device's session over: from then on it is nobody's, and gone when that connection ends. */
static void test_a_session_that_changed_hands_is_not_found_by_its_former_thing(void)
{
  identity me;
  client c, d;
  mc_client_info info;
  CHECK(issue("truck-9", true, &me));
  CHECK_INT(enter(&c, &me, "truck-9", 5, NULL), 0);
  CHECK(mc_gateway_client_of_thing(server.g, 1, me.thing, &info));
  CHECK(client_connect(&d, mc_gateway_port(server.g, true), 5, "truck-9", true, 0));
  CHECK(!mc_gateway_client_of_thing(server.g, 1, me.thing, &info));
  client_close(&d);
  client_close(&c);
  mc_gateway_stats stats;
  CHECK_SOON((mc_gateway_stats_get(server.g, &stats), stats.sessions == 0));
  CHECK(!mc_gateway_client_of_thing(server.g, 1, me.thing, &info));
  forget(&me);
}

static void test_another_client_id_is_refused_with_what_to_do(void)
{
  identity me;
  client c;
  CHECK(issue("truck-2", true, &me));
  CHECK_INT(enter(&c, &me, "truck-1", 5, NULL), MC_MQTT_BAD_CLIENT_ID);
  CHECK(told(&c, "set the client id to \"truck-2\""));
  CHECK_INT(client_next(&c), CLIENT_CLOSED);
  client_close(&c);
  CHECK_INT(enter(&c, &me, "truck-1", 4, NULL), MC_MQTT_BAD_CLIENT_ID); /* return code 2 */
  client_close(&c);
  CHECK_INT(enter(&c, &me, "#", 5, NULL), MC_MQTT_BAD_CLIENT_ID);
  client_close(&c);
  CHECK(event_says("truck-2"));
  forget(&me);
}

static void test_a_stranger_is_refused_with_what_to_do(void)
{
  client c;
  CHECK_INT(enter(&c, NULL, "truck-1", 5, NULL), MC_MQTT_NOT_AUTHORIZED);
  CHECK(told(&c, "no client certificate"));
  client_close(&c);
  CHECK_INT(enter(&c, NULL, "truck-1", 4, NULL), MC_MQTT_NOT_AUTHORIZED); /* return code 5 */
  client_close(&c);
  mc_buf cert = {0}, key = {0};
  identity other = {0};
  mc_why why;
  CHECK_OK(mc_pki_create_ca("somebody else", 30, &cert, &key, &why));
  CHECK_OK(mc_pki_issue_client(mc_buf_slice(&cert), mc_buf_slice(&key), "truck-1", 10, &other.cert, &other.key, &why));
  CHECK_INT(enter(&c, &other, "truck-1", 5, NULL), MC_MQTT_NOT_AUTHORIZED);
  CHECK(c.packet.connack.props.reason.len > 0);
  client_close(&c);
  forget(&other); /* our own authority, but unknown to the registry */
  other = (identity){0};
  CHECK_OK(mc_pki_issue_client(mc_buf_slice(&ca_cert), mc_buf_slice(&ca_key), "truck-1", 10, &other.cert, &other.key, &why));
  CHECK_INT(enter(&c, &other, "truck-1", 5, NULL), MC_MQTT_NOT_AUTHORIZED);
  client_close(&c);
  forget(&other);
  mc_buf_free(&cert);
  mc_buf_free(&key);
}

static void test_a_device_stays_in_its_own_topics(void)
{
  identity me, victim;
  client c;
  CHECK(issue("truck-3", true, &me));
  CHECK(issue("truck-4", true, &victim));
  CHECK_INT(enter(&c, &me, "truck-3", 5, NULL), 0);
  CHECK_INT(client_publish(&c, "cms/fleetwise/vehicles/truck-4/signals", "x", false), MC_MQTT_NOT_AUTHORIZED);
  CHECK(c.packet.ack.props.reason.len > 0);
  /* Its own, but meant for it to receive: neither sent nor retained. */
  CHECK_INT(client_publish(&c, "cms/fleetwise/vehicles/truck-3/collection_schemes", "x", true), MC_MQTT_NOT_AUTHORIZED);
  CHECK_INT(client_publish(&c, "$aws/things/truck-3/shadow/update/delta", "x", true), MC_MQTT_NOT_AUTHORIZED);
  CHECK_INT(client_subscribe(&c, "cms/fleetwise/vehicles/truck-3/collection_schemes", 1), 1);
  CHECK_INT(client_subscribe(&c, "$aws/things/truck-3/shadow/#", 1), 1);
  CHECK_INT(client_next_within(&c, 100), CLIENT_QUIET); /* nothing retained */
  CHECK_INT(client_subscribe(&c, "cms/fleetwise/vehicles/truck-4/#", 1), MC_MQTT_NOT_AUTHORIZED);
  CHECK_INT(client_subscribe(&c, "cms/fleetwise/vehicles/+/signals", 1), MC_MQTT_NOT_AUTHORIZED);
  CHECK_INT(client_subscribe(&c, "#", 1), MC_MQTT_NOT_AUTHORIZED);
  CHECK_INT(client_publish(&c, "cms/fleetwise/vehicles/truck-3/signals", "x", false), 0);
  client_put_publish(&c, "cms/fleetwise/vehicles/truck-4/signals", "x", 0, false, 0); /* QoS 0: dropped, said in the events */
  client_flush(&c);
  CHECK_INT(client_publish(&c, "cms/fleetwise/vehicles/truck-3/signals", "x", false), 0);
  client_close(&c);
  /* A session that stays, so that its card does when the connection goes. */
  mc_mqtt_connect kept = {.version = 4, .client_id = MC_LIT("truck-3"), .keep_alive_s = 60};
  CHECK(client_dial_tls(&c, port, 4, mc_buf_slice(&me.cert), mc_buf_slice(&me.key), NULL, NULL));
  CHECK_INT(client_connect_with(&c, 0, kept), MC_MQTT_CONNACK);
  CHECK_INT(c.packet.connack.code, 0);
  client_put_publish(&c, "cms/fleetwise/vehicles/truck-4/signals", "x", 1, false, 1);
  client_flush(&c);
  CHECK_INT(client_next(&c), CLIENT_CLOSED); /* 3.1.1 has no way to say no */
  client_close(&c);
  mc_client_info info;
  CHECK_SOON(mc_gateway_client_of_thing(server.g, 1, me.thing, &info) && strstr(info.last_error, "truck-4"));
  CHECK(event_says("MQTT 3.1.1 cannot say so") || event_says("refused"));
  mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("truck-3"), .clean = true, .has_will = true, .will_topic = MC_LIT("cms/fleetwise/vehicles/truck-4/signals"),
                          .will_payload = MC_LIT("x")};
  CHECK(client_dial_tls(&c, port, 5, mc_buf_slice(&me.cert), mc_buf_slice(&me.key), NULL, NULL));
  CHECK_INT(client_connect_with(&c, 0, with), MC_MQTT_CONNACK);
  CHECK_INT(c.packet.connack.code, MC_MQTT_NOT_AUTHORIZED);
  client_close(&c);
  forget(&me);
  forget(&victim);
}

static void test_revoking_ends_the_live_session_and_resumed_tls_does_not_help(void)
{
  identity me;
  client c;
  mc_why why;
  CHECK(issue("truck-5", true, &me));
  CHECK_INT(enter(&c, &me, "truck-5", 5, NULL), 0);
  CHECK_INT(client_publish(&c, "cms/fleetwise/vehicles/truck-5/signals", "x", false), 0); /* its ticket has come by now */
  SSL_SESSION *ticket = SSL_get1_session(c.ssl);
  CHECK_OK(mc_registry_certificate_set_state(registry, 1, me.fingerprint, MC_CERT_REVOKED, &why));
  CHECK_INT(client_next(&c), MC_MQTT_DISCONNECT);
  CHECK_INT(c.packet.disconnect.code, MC_MQTT_NOT_AUTHORIZED);
  CHECK(c.packet.disconnect.props.reason.len > 0);
  CHECK_INT(client_next(&c), CLIENT_CLOSED);
  client_close(&c);
  CHECK_INT(enter(&c, &me, "truck-5", 5, NULL), MC_MQTT_NOT_AUTHORIZED);
  CHECK(told(&c, "revoked"));
  client_close(&c);
  if (client_dial_tls(&c, port, 5, mc_buf_slice(&me.cert), mc_buf_slice(&me.key), NULL, ticket)) {
    mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("truck-5"), .clean = true};
    CHECK_INT(client_connect_with(&c, 0, with), MC_MQTT_CONNACK);
    CHECK_INT(c.packet.connack.code, MC_MQTT_NOT_AUTHORIZED);
  }
  client_close(&c);
  SSL_SESSION_free(ticket);
  forget(&me);
  CHECK(issue("truck-5", false, &me)); /* a new certificate, the same device */
  CHECK_INT(enter(&c, &me, "truck-5", 5, NULL), 0);
  client_close(&c);
  forget(&me);
}

static void test_packets_may_lie_across_tls_records(void)
{
  identity me;
  client c;
  CHECK(issue("truck-6", true, &me));
  CHECK(client_dial_tls(&c, port, 5, mc_buf_slice(&me.cert), mc_buf_slice(&me.key), NULL, NULL));
  mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("truck-6"), .clean = true};
  mc_mqtt_write_connect(&c.out, &with);
  char big[3000];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  client_put_publish(&c, "cms/fleetwise/vehicles/truck-6/signals", big, 1, false, 3);
  for (size_t i = 0; i < c.out.len; i += i < 80 ? 1 : 97) /* one record a piece */
    client_send(&c, mc_slice_sub(mc_buf_slice(&c.out), i, i < 80 ? 1 : 97));
  mc_buf_clear(&c.out);
  CHECK_INT(client_next(&c), MC_MQTT_CONNACK);
  CHECK_INT(client_next(&c), MC_MQTT_PUBACK);
  client_close(&c);
  forget(&me);
}

static void test_a_service_follows_its_policy(void)
{
  mc_why why = {0};
  uint32_t thing;
  identity me = {0};
  client c;
  CHECK_OK(mc_registry_service_create(registry, 1, MC_LIT("backend"), MC_LIT("{\"publish\":[\"orders/#\"],\"subscribe\":[\"cms/fleetwise/vehicles/+/signals\"]}"), &thing, &why));
  CHECK_OK(mc_registry_certificate_issue(registry, 1, MC_LIT("backend"), 10, &me.cert, &me.key, &why));
  CHECK_INT(enter(&c, &me, "backend/7", 5, NULL), 0);
  CHECK_INT(client_subscribe(&c, "cms/fleetwise/vehicles/+/signals", 1), 1);
  CHECK_INT(client_subscribe(&c, "cms/fleetwise/vehicles/+/checkins", 1), MC_MQTT_NOT_AUTHORIZED);
  CHECK_INT(client_publish(&c, "orders/1", "x", false), 0);
  CHECK_INT(client_publish(&c, "cms/fleetwise/vehicles/v/signals", "x", false), MC_MQTT_NOT_AUTHORIZED);
  mc_client_info info;
  CHECK(mc_gateway_client_of_thing(server.g, 1, thing, &info));
  CHECK_STR(info.client_id, "backend/7");
  CHECK_STR(info.thing, "backend");
  client_close(&c);
  CHECK_INT(enter(&c, &me, "somebody", 5, NULL), MC_MQTT_BAD_CLIENT_ID);
  client_close(&c);
  forget(&me);
}

/* The code that says "not authorized" in 3.1.1, by a will outside the client's topics. */
static uint8_t enter_with_a_foreign_will(const identity *i, const char *name)
{
  client c;
  if (!client_dial_tls(&c, port, 4, mc_buf_slice(&i->cert), mc_buf_slice(&i->key), NULL, NULL))
    return 254;
  mc_mqtt_connect with = {.version = 4, .client_id = mc_slice_str(name), .clean = true, .keep_alive_s = 60, .has_will = true, .will_topic = MC_LIT("others/x")};
  client_connect_with(&c, 0, with);
  uint8_t code = c.in.len >= 4 && c.in.data[0] == MC_MQTT_CONNACK << 4 ? c.in.data[3] : 255; /* as it came */
  client_close(&c);
  return code;
}

static void test_a_thing_group_goes_before_the_listener(void)
{
  identity in, out;
  mc_why why;
  mc_thing_group group;
  client c;
  CHECK(issue("grouped", true, &in));
  CHECK(issue("alone", true, &out));
  CHECK_OK(mc_registry_group_create(registry, 1, MC_LIT("aws-fleet"), MC_LIT("aws-compat"), &group, &why));
  CHECK_OK(mc_registry_group_add(registry, 1, group.id, MC_LIT("grouped"), &why));
  CHECK_INT(enter(&c, &in, "grouped", 5, NULL), 0);
  CHECK_INT(c.packet.connack.props.max_qos, 1);
  CHECK_INT(c.packet.connack.props.receive_max, 100);
  mc_client_info info;
  CHECK(mc_gateway_client_of_thing(server.g, 1, in.thing, &info));
  CHECK_INT(info.profile, MC_PROFILE_AWS_COMPAT);
  client_close(&c);
  CHECK_INT(enter(&c, &out, "alone", 5, NULL), 0);
  CHECK(!(c.packet.connack.props.present & MC_MQTT_P_MAX_QOS));
  client_close(&c);
  usleep(1100 * 1000); /* connects_per_s */
  CHECK_INT(enter_with_a_foreign_will(&in, "grouped"), 7); /* as this server's aws-compat is set; trap T16 */
  CHECK_INT(enter_with_a_foreign_will(&out, "alone"), 5);
  CHECK_OK(mc_registry_group_remove(registry, 1, group.id, MC_LIT("grouped"), &why));
  usleep(1100 * 1000);
  CHECK_INT(enter(&c, &in, "grouped", 5, NULL), 0);
  CHECK(!(c.packet.connack.props.present & MC_MQTT_P_MAX_QOS));
  client_close(&c);
  forget(&in);
  forget(&out);
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN);
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  server.row[0] = (rig_row){"refusal_code", 7, MC_PROFILE_AWS_COMPAT};
  open_server();
  RUN(test_a_device_enters_under_its_own_name);
  RUN(test_a_session_that_changed_hands_is_not_found_by_its_former_thing);
  RUN(test_another_client_id_is_refused_with_what_to_do);
  RUN(test_a_stranger_is_refused_with_what_to_do);
  RUN(test_a_device_stays_in_its_own_topics);
  RUN(test_revoking_ends_the_live_session_and_resumed_tls_does_not_help);
  RUN(test_packets_may_lie_across_tls_records);
  RUN(test_a_service_follows_its_policy);
  RUN(test_a_thing_group_goes_before_the_listener);
  close_server();
  return tap_done();
}
