/* Certificates of another authority: its revocation list at every CONNECT, for those that resume and those that are connected; and what trickles. */
#include "rig.h"

#include <openssl/x509v3.h>

#include <stdatomic.h>

#include "base/clock.h"
#include "db/db.h"

static rig server;
static mc_db *db;
static mc_registry *registry;
static mc_buf ca_cert, ca_key, server_cert, server_key, other_cert, other_key, authorities;
static uint16_t port;
static char list_path[100];

typedef struct identity { mc_buf cert, key; } identity;

static X509 *read_cert(const mc_buf *pem)
{
  BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
  X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
  BIO_free(bio);
  return x;
}

/* The other authority's list, naming these. */
static bool write_list(const identity *const *revoked, size_t count)
{
  BIO *bio = BIO_new_mem_buf(other_key.data, (int)other_key.len);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
  BIO_free(bio);
  X509 *ca = read_cert(&other_cert);
  X509_CRL *crl = X509_CRL_new();
  ASN1_TIME *at = ASN1_TIME_new();
  X509_CRL_set_version(crl, 1);
  X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
  X509_gmtime_adj(at, -60);
  X509_CRL_set1_lastUpdate(crl, at);
  X509_gmtime_adj(at, 86400);
  X509_CRL_set1_nextUpdate(crl, at);
  for (size_t i = 0; i < count; i++) {
    X509 *x = read_cert(&revoked[i]->cert);
    X509_REVOKED *r = X509_REVOKED_new();
    X509_gmtime_adj(at, -30);
    X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(x));
    X509_REVOKED_set_revocationDate(r, at);
    X509_CRL_add0_revoked(crl, r);
    X509_free(x);
  }
  X509_CRL_sort(crl);
  bool ok = X509_CRL_sign(crl, key, EVP_sha256()) > 0;
  BIO *out = BIO_new(BIO_s_mem());
  char *text;
  ok = ok && PEM_write_bio_X509_CRL(out, crl) == 1;
  long len = BIO_get_mem_data(out, &text);
  ok = ok && mc_fs_replace(mc_fs_posix(), list_path, mc_slice_of(text, (size_t)len), 0644, NULL) == MC_OK;
  BIO_free(out);
  ASN1_TIME_free(at);
  X509_CRL_free(crl);
  X509_free(ca);
  EVP_PKEY_free(key);
  return ok;
}

static void recheck(void *ctx)
{
  if (server.g)
    mc_gateway_recheck(server.g);
}

static void open_server(void)
{
  mc_why why = {0};
  snprintf(list_path, sizeof list_path, "/tmp/mc-gateway-list-%d.pem", (int)getpid());
  if (mc_pki_create_ca("test ca", 30, &ca_cert, &ca_key, &why) || mc_pki_create_ca("truck maker", 30, &other_cert, &other_key, &why) ||
      mc_pki_issue_server(mc_buf_slice(&ca_cert), mc_buf_slice(&ca_key), "localhost", "localhost,127.0.0.1", 30, &server_cert, &server_key, &why) ||
      mc_db_open_sqlite(":memory:", &db, &why) || mc_buf_append_slice(&authorities, mc_buf_slice(&ca_cert)) ||
      mc_buf_append_slice(&authorities, mc_buf_slice(&other_cert)) || !write_list(NULL, 0))
    rig_fail("certificates", &why);
  mc_registry_config config = {.db = db, .ca_cert_pem = mc_buf_slice(&ca_cert), .ca_key_pem = mc_buf_slice(&ca_key)};
  if (mc_registry_open(&config, &registry, &why))
    rig_fail("registry", &why);
  mc_tls_server_config tls = {.cert_pem = mc_buf_slice(&server_cert), .key_pem = mc_buf_slice(&server_key), .client_ca_pem = mc_buf_slice(&authorities),
                              .crl_path = list_path, .check_s = 3600, .revoked = recheck};
  server.registry = registry;
  server.limits.connect_timeout_ms = 3000;
  if (mc_tls_server_create(&tls, &server.tls, &why))
    rig_fail("tls", &why);
  mc_tls_quiet(server.tls); /* it is looked at when a test says so */
  rig_start(&server, 2);
  port = mc_gateway_port(server.g, false);
}

static void close_server(void)
{
  rig_stop(&server);
  mc_tls_destroy(&server.tls);
  mc_registry_close(&registry);
  mc_db_close(&db);
  mc_buf *all[] = {&ca_cert, &ca_key, &server_cert, &server_key, &other_cert, &other_key, &authorities};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    mc_buf_free(all[i]);
  unlink(list_path);
  rig_remove(&server);
}

/* A device whose certificate the other authority made and the registry knows. */
static bool bring(const char *name, identity *out)
{
  mc_why why = {0};
  mc_vehicle v = {.tenant = 1, .year = 2024};
  snprintf(v.name, sizeof v.name, "%s", name);
  *out = (identity){0};
  if (mc_registry_vehicle_create(registry, &v, &why) || mc_pki_issue_client(mc_buf_slice(&other_cert), mc_buf_slice(&other_key), name, 10, &out->cert, &out->key, &why) ||
      mc_registry_certificate_register(registry, 1, mc_slice_str(name), mc_buf_slice(&out->cert), &why)) {
    printf("# %s\n", why.text);
    return false;
  }
  return true;
}

static void forget(identity *i)
{
  mc_buf_free(&i->cert);
  mc_buf_free(&i->key);
}

static uint8_t enter(client *c, const identity *i, const char *id, SSL_SESSION *ticket)
{
  if (!client_dial_tls(c, port, 5, mc_buf_slice(&i->cert), mc_buf_slice(&i->key), NULL, ticket))
    return 254;
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(id), .clean = true, .keep_alive_s = 60};
  return client_connect_with(c, 0, with) == MC_MQTT_CONNACK ? c->packet.connack.code : 255;
}

static void test_the_list_of_another_authority_ends_sessions_and_refuses_connects(void)
{
  identity bad, good;
  client a, b;
  mc_why why;
  CHECK(bring("tractor-1", &bad));
  CHECK(bring("tractor-2", &good));
  CHECK_INT(enter(&a, &bad, "tractor-1", NULL), 0);
  CHECK_INT(client_publish(&a, "cms/fleetwise/vehicles/tractor-1/signals", "x", false), 0); /* its ticket has come by now */
  CHECK_INT(enter(&b, &good, "tractor-2", NULL), 0);
  SSL_SESSION *ticket = SSL_get1_session(a.ssl);
  const identity *revoked[] = {&bad};
  CHECK(write_list(revoked, 1));
  CHECK_OK(mc_tls_refresh(server.tls, &why));
  CHECK_INT(client_next(&a), MC_MQTT_DISCONNECT);
  CHECK_INT(a.packet.disconnect.code, MC_MQTT_NOT_AUTHORIZED);
  CHECK(memmem(a.packet.disconnect.props.reason.data, a.packet.disconnect.props.reason.len, "revoked by its authority", 24));
  CHECK_INT(client_next(&a), CLIENT_CLOSED);
  client_close(&a);
  CHECK_INT(client_publish(&b, "cms/fleetwise/vehicles/tractor-2/signals", "x", false), 0); /* the other one never noticed */
  for (int resumed = 0; resumed < 2; resumed++) {
    CHECK_INT(enter(&a, &bad, "tractor-1", resumed ? ticket : NULL), MC_MQTT_NOT_AUTHORIZED);
    CHECK(memmem(a.packet.connack.props.reason.data, a.packet.connack.props.reason.len, "revoked by its authority", 24));
    client_close(&a);
  }
  CHECK(write_list(NULL, 0)); /* a hold that is lifted */
  CHECK_OK(mc_tls_refresh(server.tls, &why));
  CHECK_INT(enter(&a, &bad, "tractor-1", ticket), 0);
  client_close(&a);
  client_close(&b);
  SSL_SESSION_free(ticket);
  forget(&bad);
  forget(&good);
}

/* A total limit: a CONNECT that comes byte by byte is not waited for longer than one that does not come. */
static void trickle(bool tls)
{
  identity me;
  client c;
  char name[32];
  snprintf(name, sizeof name, "trickler-%d", tls);
  CHECK(bring(name, &me));
  int64_t began = now_ms();
  if (tls)
    CHECK(client_dial_tls(&c, port, 5, mc_buf_slice(&me.cert), mc_buf_slice(&me.key), NULL, NULL));
  else
    client_dial(&c, mc_gateway_port(server.g, true), 5);
  mc_mqtt_connect with = {.version = 5, .client_id = mc_slice_str(name), .clean = true, .keep_alive_s = 60};
  CHECK_OK(mc_mqtt_write_connect(&c.out, &with));
  bool ended = false;
  for (size_t i = 0; i + 1 < c.out.len && !ended; i++) { /* all but the last byte, at least 9 s long */
    if (tls ? SSL_write(c.ssl, c.out.data + i, 1) <= 0 : send(c.fd, c.out.data + i, 1, MSG_NOSIGNAL) != 1)
      ended = true;
    struct pollfd p = {.fd = c.fd, .events = POLLRDHUP};
    ended = ended || (poll(&p, 1, 9000 / (int)c.out.len + 1) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR));
  }
  CHECK(ended);
  CHECK(now_ms() - began >= 2900); /* and not before its time */
  client_close(&c);
  forget(&me);
}
static void test_a_connect_that_trickles_ends_after_its_time_plain(void) { trickle(false); }
static void test_a_connect_that_trickles_ends_after_its_time_tls(void) { trickle(true); }

/* Monotonic time of the server, moved. */
static _Atomic int64_t ahead_us;
static int64_t system_us(clockid_t clock)
{
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static int64_t wall(void) { return system_us(CLOCK_REALTIME); }
static int64_t mono(void) { return system_us(CLOCK_MONOTONIC) + atomic_load(&ahead_us); }

static void test_a_packet_that_trickles_ends_its_connection_and_a_long_one_does_not(void)
{
  client c;
  client_dial(&c, mc_gateway_port(server.g, true), 5);
  mc_mqtt_connect with = {.version = 5, .client_id = MC_LIT("slow"), .clean = true, .keep_alive_s = 600};
  CHECK_INT(client_connect_with(&c, 0, with), MC_MQTT_CONNACK);
  char big[60000];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  mc_buf_clear(&c.out);
  client_put_publish(&c, "slow/topic", big, 1, false, 5);
  mc_buf packet = {0};
  CHECK_OK(mc_buf_append_slice(&packet, mc_buf_slice(&c.out)));
  mc_buf_clear(&c.out);
  for (size_t i = 0; i < packet.len; i += 8192) { /* 5 s for each 8 KiB: 40 s, and welcome */
    size_t part = packet.len - i < 8192 ? packet.len - i : 8192;
    client_send(&c, mc_slice_of(packet.data + i, part));
    rig_loops_turn(&server);
    atomic_fetch_add(&ahead_us, 5000000);
  }
  CHECK_INT(client_next(&c), MC_MQTT_PUBACK);
  int ended = 0;
  for (int i = 0; i < 40 && !ended; i++) { /* a byte each second */
    client_send(&c, mc_slice_of(packet.data + i, 1));
    rig_loops_turn(&server);
    atomic_fetch_add(&ahead_us, 1000000);
    rig_loops_turn(&server);
    struct pollfd p = {.fd = c.fd, .events = POLLIN};
    if (poll(&p, 1, 0) > 0)
      ended = i;
  }
  CHECK(ended >= 29 && ended <= 33);
  CHECK_INT(client_next(&c), MC_MQTT_DISCONNECT);
  CHECK_INT(c.packet.disconnect.code, MC_MQTT_KEEP_ALIVE_TIMEOUT);
  CHECK(memmem(c.packet.disconnect.props.reason.data, c.packet.disconnect.props.reason.len, "trickles", 8));
  mc_buf_free(&packet);
  client_close(&c);
}

/* T26: wherever a record ends, the packet around it is one packet. */
static void test_every_split_of_a_packet_into_two_records_is_one_packet(void)
{
  identity me;
  client c;
  CHECK(bring("splitter", &me));
  CHECK_INT(enter(&c, &me, "splitter", NULL), 0);
  mc_buf_clear(&c.out);
  client_put_publish(&c, "cms/fleetwise/vehicles/splitter/signals", "a payload that is not long", 1, false, 9);
  mc_buf packet = {0};
  CHECK_OK(mc_buf_append_slice(&packet, mc_buf_slice(&c.out)));
  mc_buf_clear(&c.out);
  for (size_t cut = 1; cut < packet.len; cut++) {
    CHECK(SSL_write(c.ssl, packet.data, (int)cut) == (int)cut);
    CHECK(SSL_write(c.ssl, packet.data + cut, (int)(packet.len - cut)) == (int)(packet.len - cut));
    CHECK_INT(client_next(&c), MC_MQTT_PUBACK);
    CHECK_INT(c.packet.ack.packet_id, 9);
    CHECK_INT(c.packet.ack.code, 0);
  }
  for (size_t i = 0; i < packet.len; i++) /* a record for each byte, then three packets that share records at odd places */
    CHECK(SSL_write(c.ssl, packet.data + i, 1) == 1);
  CHECK_INT(client_next(&c), MC_MQTT_PUBACK);
  mc_buf three = {0};
  for (int i = 0; i < 3; i++)
    CHECK_OK(mc_buf_append_slice(&three, mc_buf_slice(&packet)));
  for (size_t i = 0; i < three.len; i += 41) {
    int part = (int)(three.len - i < 41 ? three.len - i : 41);
    CHECK(SSL_write(c.ssl, three.data + i, part) == part);
  }
  for (int i = 0; i < 3; i++)
    CHECK_INT(client_next(&c), MC_MQTT_PUBACK);
  mc_buf_free(&three);
  mc_buf_free(&packet);
  client_close(&c);
  forget(&me);
}

/* An operator erased the vehicle's messages: its credentials are good, and it may come back at once (0x98). A certificate that was taken from it is another matter (0x87). */
static void test_what_an_operator_did_is_told_apart_from_credentials_that_are_no_longer_good(void)
{
  identity me;
  client c;
  mc_thing thing;
  CHECK(bring("erased", &me));
  CHECK_OK(mc_registry_thing_find(registry, 1, MC_LIT("erased"), &thing));
  CHECK_INT(enter(&c, &me, "erased", NULL), 0);
  mc_gateway_forget(server.g, 1, thing.id, 0, "the vehicle's messages were erased; connect again");
  CHECK_INT(client_next(&c), MC_MQTT_DISCONNECT);
  CHECK_INT(c.packet.disconnect.code, MC_MQTT_ADMIN_ACTION);
  CHECK(memmem(c.packet.disconnect.props.reason.data, c.packet.disconnect.props.reason.len, "erased", 6));
  client_close(&c);
  CHECK_INT(enter(&c, &me, "erased", NULL), 0);
  mc_gateway_kick(server.g, 1, thing.id, MC_MQTT_NOT_AUTHORIZED, "the certificate was revoked or switched off; issue a new one");
  CHECK_INT(client_next(&c), MC_MQTT_DISCONNECT);
  CHECK_INT(c.packet.disconnect.code, MC_MQTT_NOT_AUTHORIZED);
  client_close(&c);
  forget(&me);
}

/* What is refused a client without a session is counted for it, too; not for any id that a device makes up. */
static void test_refusals_of_clients_without_a_session_are_counted_and_bounded(void)
{
  identity me;
  client c;
  mc_client_info info;
  static char longest[60001];
  memset(longest, 'x', sizeof longest - 1);
  CHECK(bring("counted", &me));
  for (int i = 0; i < 3; i++) {
    CHECK_INT(enter(&c, &me, "another", NULL), MC_MQTT_BAD_CLIENT_ID);
    client_close(&c);
  }
  CHECK_INT(enter(&c, &me, longest, NULL), MC_MQTT_BAD_CLIENT_ID);
  client_close(&c);
  CHECK(mc_gateway_client(server.g, 1, MC_LIT("another"), &info));
  CHECK_INT(info.limited[MC_CAUSE_IDENTITY], 3);
  CHECK(!info.connected);
  CHECK(!mc_gateway_client(server.g, 1, mc_slice_str(longest), &info));
  CHECK(!mc_gateway_client(server.g, 1, MC_LIT("counted"), &info));
  CHECK_INT(enter(&c, &me, "counted", NULL), 0);
  CHECK(mc_gateway_client(server.g, 1, MC_LIT("counted"), &info));
  CHECK_INT(info.limited[MC_CAUSE_IDENTITY], 0);
  client_close(&c);
  forget(&me);
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN);
  mc_log_configure(getenv("VERBOSE") ? MC_LOG_DEBUG : MC_LOG_OFF, MC_LOG_TEXT, 2);
  mc_clock_set_source(wall, mono);
  open_server();
  RUN(test_the_list_of_another_authority_ends_sessions_and_refuses_connects);
  RUN(test_a_connect_that_trickles_ends_after_its_time_plain);
  RUN(test_a_connect_that_trickles_ends_after_its_time_tls);
  RUN(test_a_packet_that_trickles_ends_its_connection_and_a_long_one_does_not);
  RUN(test_every_split_of_a_packet_into_two_records_is_one_packet);
  RUN(test_refusals_of_clients_without_a_session_are_counted_and_bounded);
  RUN(test_what_an_operator_did_is_told_apart_from_credentials_that_are_no_longer_good);
  close_server();
  return tap_done();
}
