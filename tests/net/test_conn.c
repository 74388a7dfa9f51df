#include "pair.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <pthread.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

static pki p;
static mc_loop *loop;

/* Monotonic time, moved on by a test. */
static _Atomic int64_t ahead_us;
static int64_t clock_us(clockid_t id)
{
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static int64_t wall(void) { return clock_us(CLOCK_REALTIME); }
static int64_t moved_mono(void) { return clock_us(CLOCK_MONOTONIC) + ahead_us; }

/* The listener's ctx is the server's end; one client at a time unless said. */
typedef struct fixture {
  mc_tls *server_tls, *client_tls;
  mc_listener *listener;
  end server, client;
} fixture;

typedef struct how {
  bool tls, client_cert, tls12, tls13;
  const char *alpn;
  const pki *client_pki;
  const mc_conn_handler *(*choose)(void *, mc_alpn, const mc_conn *);
} how;

static bool fixture_start(fixture *f, how h)
{
  *f = (fixture){0};
  mc_why why = {0};
  if (h.tls) {
    mc_tls_server_config sc = {
        .cert_pem = mc_buf_slice(&p.server_cert), .key_pem = mc_buf_slice(&p.server_key), .client_ca_pem = mc_buf_slice(&p.ca_cert), .tls13_only = h.tls13};
    if (mc_tls_server_create(&sc, &f->server_tls, &why))
      return false;
    const pki *cp = h.client_pki ? h.client_pki : &p;
    mc_tls_client_config cc = {.ca_pem = mc_buf_slice(&p.ca_cert), .alpn = h.alpn};
    if (h.client_cert) {
      cc.cert_pem = mc_buf_slice(&cp->client_cert);
      cc.key_pem = mc_buf_slice(&cp->client_key);
    }
    if (mc_tls_client_create(&cc, &f->client_tls, &why))
      return false;
  }
  mc_listener_config lc = {.host = "127.0.0.1", .tls = f->server_tls, .handler = &end_handler, .choose = h.choose, .ctx = &f->server};
  return mc_listener_create(loop, &lc, &f->listener, &why) == MC_OK;
}

static bool fixture_connect(fixture *f, const char *host)
{
  mc_why why;
  return mc_conn_open(loop, host, mc_listener_port(f->listener), f->client_tls, &end_handler, &f->client, &f->client.conn, &why) == MC_OK;
}

static void fixture_stop(fixture *f)
{
  if (f->client.conn && !f->client.closed)
    mc_conn_close(f->client.conn);
  if (f->server.conn && !f->server.closed)
    mc_conn_close(f->server.conn);
  TURN_WHILE(loop, (f->client.conn && !f->client.closed) || (f->server.conn && !f->server.closed));
  mc_listener_destroy(&f->listener);
  mc_loop_turn(loop, 0);
  mc_tls_destroy(&f->server_tls);
  mc_tls_destroy(&f->client_tls);
  mc_buf_free(&f->server.got);
  mc_buf_free(&f->client.got);
}

static void exchange(fixture *f)
{
  CHECK(fixture_connect(f, "127.0.0.1"));
  TURN_UNTIL(loop, f->client.opened && f->server.opened);
  CHECK_OK(mc_conn_write(f->client.conn, MC_LIT("hello ")));
  CHECK_OK(mc_conn_write(f->client.conn, MC_LIT("world")));
  CHECK_OK(mc_conn_write(f->server.conn, MC_LIT("welcome")));
  TURN_UNTIL(loop, f->server.got.len == 11 && f->client.got.len == 7);
  CHECK_SLICE(mc_buf_slice(&f->server.got), "hello world");
  CHECK_SLICE(mc_buf_slice(&f->client.got), "welcome");
  mc_conn_close(f->client.conn);
  TURN_UNTIL(loop, f->server.closed && f->client.closed);
  CHECK_INT(f->server.err, MC_ERR_END);
}

static void test_plain_exchange(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){0}));
  exchange(&f);
  CHECK(strncmp(f.server.peer.address, "127.0.0.1:", 10) == 0);
  CHECK(!f.server.peer.tls);
  fixture_stop(&f);
}

static void test_mutual_tls_shows_the_client_certificate(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true, .client_cert = true}));
  exchange(&f);
  CHECK(f.server.peer.tls && f.server.peer.has_cert && f.server.peer.cert_verified && !f.server.peer.resumed);
  CHECK_STR(f.server.peer.cert.common_name, "vehicle-1");
  CHECK_STR(f.server.peer.tls_version, "TLSv1.3");
  mc_cert_info want;
  CHECK_OK(mc_cert_read_pem(mc_buf_slice(&p.client_cert), &want, NULL));
  CHECK(memcmp(&want, &f.server.peer.cert, sizeof want) == 0);
  fixture_stop(&f);
}

static void test_client_without_certificate_is_let_in_and_marked(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true}));
  exchange(&f);
  CHECK(!f.server.peer.has_cert && !f.server.peer.cert_verified);
  fixture_stop(&f);
}

static void test_resumed_session_still_has_the_certificate(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true, .client_cert = true, .tls13 = true}));
  exchange(&f);
  CHECK(!f.server.peer.resumed);
  mc_buf_free(&f.server.got);
  mc_buf_free(&f.client.got);
  f.server = f.client = (end){0};
  exchange(&f);
  CHECK(f.server.peer.resumed);
  CHECK(f.server.peer.has_cert && f.server.peer.cert_verified);
  CHECK_STR(f.server.peer.cert.common_name, "vehicle-1");
  /* a third time from the ticket that the resumed session got */
  mc_buf_free(&f.server.got);
  mc_buf_free(&f.client.got);
  f.server = f.client = (end){0};
  exchange(&f);
  CHECK(f.server.peer.resumed && f.server.peer.has_cert);
  CHECK(f.server.peer.cert_verified);
  fixture_stop(&f);
}

static int raw_connect(uint16_t port)
{
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
    close(fd);
    return -1;
  }
  return fd;
}

/* A TLS 1.2 client of OpenSSL's own, blocking on a thread: connects, sends, reads back, twice with the same session. */
typedef struct old_client {
  uint16_t port;
  int max_version;
  int good;
} old_client;

static void *old_client_run(void *arg)
{
  old_client *o = arg;
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(ctx, o->max_version);
  SSL_CTX_set_min_proto_version(ctx, o->max_version);
  SSL_CTX_set_security_level(ctx, 0);
  BIO *b = BIO_new_mem_buf(p.client_cert.data, (int)p.client_cert.len);
  X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
  BIO_free(b);
  b = BIO_new_mem_buf(p.client_key.data, (int)p.client_key.len);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
  BIO_free(b);
  SSL_CTX_use_certificate(ctx, x);
  SSL_CTX_use_PrivateKey(ctx, key);
  SSL_SESSION *session = NULL;
  for (int i = 0; i < 2; i++) {
    int fd = raw_connect(o->port);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if (session)
      SSL_set_session(ssl, session);
    char back[5] = {0};
    if (SSL_connect(ssl) == 1 && SSL_session_reused(ssl) == (i > 0) && SSL_write(ssl, "ping", 4) == 4 && SSL_read(ssl, back, 4) == 4 && !strcmp(back, "ping"))
      o->good++;
    SSL_SESSION_free(session);
    session = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
  }
  SSL_SESSION_free(session);
  X509_free(x);
  EVP_PKEY_free(key);
  SSL_CTX_free(ctx);
  return NULL;
}

static size_t echo_data(mc_conn *c, mc_slice in)
{
  mc_conn_write(c, in);
  return in.len;
}
static mc_peer old_peer[2];
static int old_count, old_gone;
static void old_open(mc_conn *c)
{
  if (old_count < 2)
    mc_conn_peer(c, &old_peer[old_count]);
  old_count++;
}
static void old_closed(mc_conn *c, mc_err err, const char *text) { old_gone++; }
static const mc_conn_handler echo_handler = {old_open, echo_data, NULL, old_closed};

static int run_old_client(fixture *f, int version)
{
  mc_listener_destroy(&f->listener);
  mc_listener_config lc = {.host = "127.0.0.1", .tls = f->server_tls, .handler = &echo_handler};
  if (mc_listener_create(loop, &lc, &f->listener, NULL))
    return -1;
  old_count = old_gone = 0;
  old_client o = {mc_listener_port(f->listener), version, 0};
  pthread_t t;
  pthread_create(&t, NULL, old_client_run, &o);
  int64_t refused_by = mc_clock_mono_us() + 300000;
  TURN_WHILE(loop, (old_count < 2 || old_gone < 2) && !(version < TLS1_2_VERSION && mc_clock_mono_us() > refused_by));
  mc_listener_destroy(&f->listener);
  pthread_join(t, NULL);
  return o.good;
}

static void test_tls12_client_with_certificate_and_resumption(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true}));
  CHECK_INT(run_old_client(&f, TLS1_2_VERSION), 2);
  for (int i = 0; i < 2; i++) {
    CHECK_STR(old_peer[i].tls_version, "TLSv1.2");
    CHECK_INT(old_peer[i].resumed, i);
    CHECK(old_peer[i].has_cert && old_peer[i].cert_verified);
    CHECK_STR(old_peer[i].cert.common_name, "vehicle-1");
  }
  CHECK_INT(run_old_client(&f, TLS1_1_VERSION), 0);
  CHECK_INT(old_count, 0);
  fixture_stop(&f);
}

static void test_stranger_certificate_does_not_break_the_handshake(void)
{
  pki other;
  CHECK(pki_make(&other, 30));
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true, .client_cert = true, .client_pki = &other}));
  exchange(&f);
  CHECK(f.server.peer.has_cert && !f.server.peer.cert_verified);
  CHECK(strlen(f.server.peer.verify_error) > 5);
  /* and resumed: the verdict stays */
  mc_buf_free(&f.server.got);
  mc_buf_free(&f.client.got);
  f.server = f.client = (end){0};
  exchange(&f);
  CHECK(f.server.peer.has_cert && !f.server.peer.cert_verified);
  fixture_stop(&f);
  pki_free(&other);
}

static void test_expired_certificate_is_marked(void)
{
  pki old = {0};
  mc_why why;
  CHECK_OK(mc_pki_issue_client(mc_buf_slice(&p.ca_cert), mc_buf_slice(&p.ca_key), "old", -1, &old.client_cert, &old.client_key, &why));
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true, .client_cert = true, .client_pki = &old}));
  exchange(&f);
  CHECK(f.server.peer.has_cert && !f.server.peer.cert_verified);
  CHECK(strstr(f.server.peer.verify_error, "expired"));
  fixture_stop(&f);
  pki_free(&old);
}

static void test_client_refuses_an_unknown_server(void)
{
  pki other;
  CHECK(pki_make(&other, 30));
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true}));
  mc_tls_destroy(&f.client_tls);
  mc_tls_client_config cc = {.ca_pem = mc_buf_slice(&other.ca_cert)};
  mc_why why;
  CHECK_OK(mc_tls_client_create(&cc, &f.client_tls, &why));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.closed);
  CHECK_INT(f.client.err, MC_ERR_TLS);
  CHECK(strstr(f.client.text, "not accepted"));
  CHECK(!f.client.opened && !f.server.opened);
  fixture_stop(&f);
  pki_free(&other);
}

static void test_client_refuses_a_wrong_name(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true}));
  CHECK(fixture_connect(&f, "127.0.0.2")); /* same listener? no: refused; so bind any */
  TURN_UNTIL(loop, f.client.closed);
  CHECK(!f.client.opened);
  fixture_stop(&f);
  /* a listener on all addresses, reached under an address that the certificate does not name */
  CHECK(fixture_start(&f, (how){.tls = true}));
  mc_listener_destroy(&f.listener);
  mc_listener_config lc = {.host = "0.0.0.0", .tls = f.server_tls, .handler = &end_handler, .ctx = &f.server};
  mc_why why;
  CHECK_OK(mc_listener_create(loop, &lc, &f.listener, &why));
  CHECK(fixture_connect(&f, "127.0.0.2"));
  TURN_UNTIL(loop, f.client.closed);
  CHECK_INT(f.client.err, MC_ERR_TLS);
  CHECK(strstr(f.client.text, "IP address mismatch"));
  fixture_stop(&f);
}

static void test_name_is_resolved_and_checked(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true, .client_cert = true}));
  CHECK(fixture_connect(&f, "localhost"));
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  fixture_stop(&f);
  CHECK(fixture_start(&f, (how){0}));
  CHECK(fixture_connect(&f, "no-such-host.invalid"));
  TURN_UNTIL(loop, f.client.closed);
  CHECK_INT(f.client.err, MC_ERR_NOT_FOUND);
  CHECK(strstr(f.client.text, "no-such-host.invalid"));
  fixture_stop(&f);
}

static mc_alpn chosen_alpn;
static const mc_conn_handler *choose(void *ctx, mc_alpn alpn, const mc_conn *conn)
{
  chosen_alpn = alpn;
  return alpn == MC_ALPN_HTTP_CERT ? NULL : &end_handler;
}

static void test_alpn_decides_the_protocol(void)
{
  static const struct {
    const char *name;
    mc_alpn want;
  } cases[] = {{"x-amzn-mqtt-ca", MC_ALPN_MQTT_CERT}, {"mqtt", MC_ALPN_MQTT}, {"http/1.1", MC_ALPN_HTTP11}, {NULL, MC_ALPN_NONE}};
  for (size_t i = 0; i < 4; i++) {
    fixture f;
    CHECK(fixture_start(&f, (how){.tls = true, .alpn = cases[i].name, .choose = choose}));
    exchange(&f);
    CHECK_INT(chosen_alpn, cases[i].want);
    CHECK_INT(f.server.peer.alpn, cases[i].want);
    fixture_stop(&f);
  }
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true, .alpn = "x-amzn-http-ca", .choose = choose}));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.closed);
  CHECK(!f.server.opened);
  fixture_stop(&f);
  CHECK(fixture_start(&f, (how){.tls = true, .alpn = "spdy/1", .choose = choose}));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.closed);
  CHECK(!f.server.opened && !f.client.opened);
  fixture_stop(&f);
}

/* Every split of a stream of frames arrives whole and in order (T26). */
static void fragments(bool tls)
{
  enum { FRAME = 37, FRAMES = 5, ALL = FRAME * FRAMES };
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = tls}));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  f.server.frame = FRAME;
  uint8_t bytes[ALL];
  for (size_t i = 0; i < ALL; i++)
    bytes[i] = (uint8_t)(i * 7 + i / 256);
  for (size_t cut = 1; cut < ALL; cut++) {
    f.server.got.len = 0;
    CHECK_OK(mc_conn_write(f.client.conn, mc_slice_of(bytes, cut)));
    TURN_UNTIL(loop, f.server.got.len == cut / FRAME * FRAME && mc_conn_backlog(f.client.conn) == 0);
    mc_loop_turn(loop, 0);
    CHECK_OK(mc_conn_write(f.client.conn, mc_slice_of(bytes + cut, ALL - cut)));
    TURN_UNTIL(loop, f.server.got.len == ALL);
    CHECK(memcmp(f.server.got.data, bytes, ALL) == 0);
  }
  f.server.got.len = 0;
  for (size_t i = 0; i < ALL; i++) { /* one byte a record */
    CHECK_OK(mc_conn_write(f.client.conn, mc_slice_of(bytes + i, 1)));
    mc_loop_turn(loop, 0);
  }
  TURN_UNTIL(loop, f.server.got.len == ALL);
  CHECK(memcmp(f.server.got.data, bytes, ALL) == 0);
  fixture_stop(&f);
}
static void test_plain_frames_survive_every_split(void) { fragments(false); }
static void test_tls_frames_survive_every_split(void) { fragments(true); }

/* One message of 1 MiB and more, taken only when whole. */
static void long_message(bool tls)
{
  enum { SIZE = 1300000 };
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = tls}));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  f.server.frame = SIZE;
  uint8_t *bytes = malloc(2 * SIZE);
  for (size_t i = 0; i < 2 * SIZE; i++)
    bytes[i] = (uint8_t)(i * 31 + (i >> 9));
  CHECK_OK(mc_conn_write(f.client.conn, mc_slice_of(bytes, 2 * SIZE)));
  TURN_UNTIL(loop, f.server.got.len == 2 * SIZE);
  CHECK(memcmp(f.server.got.data, bytes, 2 * SIZE) == 0);
  free(bytes);
  fixture_stop(&f);
}
static void test_long_message_plain(void) { long_message(false); }
static void test_long_message_tls(void) { long_message(true); }

static void pushes_back(bool tls)
{
  enum { SIZE = 8 << 20 };
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = tls}));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  mc_conn_pause(f.server.conn, true);
  mc_loop_turn(loop, 0);
  uint8_t *bytes = malloc(SIZE);
  for (size_t i = 0; i < SIZE; i++)
    bytes[i] = (uint8_t)(i ^ i >> 11);
  CHECK_OK(mc_conn_write(f.client.conn, mc_slice_of(bytes, SIZE)));
  for (int i = 0; i < 20; i++)
    mc_loop_turn(loop, 5);
  CHECK_INT(f.server.got.len, 0);
  CHECK(mc_conn_backlog(f.client.conn) > 0);
  CHECK_INT(f.client.drains, 0);
  mc_conn_pause(f.server.conn, false);
  TURN_UNTIL(loop, f.server.got.len == SIZE && f.client.drains == 1);
  CHECK(memcmp(f.server.got.data, bytes, SIZE) == 0);
  CHECK_INT(mc_conn_backlog(f.client.conn), 0);
  free(bytes);
  fixture_stop(&f);
}
static void test_pause_pushes_back_plain(void) { pushes_back(false); }
static void test_pause_pushes_back_tls(void) { pushes_back(true); }

static void test_close_flushes_first(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true}));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  uint8_t *bytes = calloc(1, 4 << 20);
  CHECK_OK(mc_conn_write(f.server.conn, mc_slice_of(bytes, 4 << 20)));
  mc_conn_close(f.server.conn);
  CHECK_INT(mc_conn_write(f.server.conn, MC_LIT("late")), MC_ERR_CLOSED);
  TURN_UNTIL(loop, f.client.closed && f.server.closed);
  CHECK_INT(f.client.got.len, 4 << 20);
  CHECK_INT(f.client.err, MC_ERR_END);
  free(bytes);
  fixture_stop(&f);
}

static void test_idle_connection_is_closed(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){0}));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  mc_conn_set_idle_ms(f.server.conn, 600000);
  for (size_t i = 0; i < 10; i++) { /* bytes keep it open */
    CHECK_OK(mc_conn_write(f.client.conn, MC_LIT(".")));
    TURN_UNTIL(loop, f.server.got.len == i + 1);
    ahead_us += INT64_C(200000000);
    mc_loop_turn(loop, 10);
  }
  CHECK(!f.server.closed);
  ahead_us += INT64_C(420000000);
  TURN_UNTIL(loop, f.server.closed);
  CHECK_INT(f.server.err, MC_ERR_TIMEOUT);
  fixture_stop(&f);
}

static bool closed_by_server(int fd)
{
  char byte;
  return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_stalled_greeting_is_ended(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true}));
  mc_listener_destroy(&f.listener);
  mc_listener_config lc = {.host = "127.0.0.1", .tls = f.server_tls, .handler = &end_handler, .ctx = &f.server, .handshake_timeout_ms = 60000, .max_handshakes = 1};
  mc_why why;
  CHECK_OK(mc_listener_create(loop, &lc, &f.listener, &why));
  int silent = raw_connect(mc_listener_port(f.listener));
  CHECK(silent >= 0);
  CHECK(write(silent, "\x16", 1) == 1); /* the beginning of a ClientHello, and no more */
  mc_loop_turn(loop, 20);
  CHECK(fixture_connect(&f, "127.0.0.1")); /* does not wait for it */
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  CHECK(!closed_by_server(silent));
  ahead_us += INT64_C(61000000);
  TURN_UNTIL(loop, closed_by_server(silent));
  close(silent);
  fixture_stop(&f);
}

static void test_silent_clients_take_no_handshake_from_others(void)
{
  enum { SILENT = 20 };
  int silent[SILENT];
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true}));
  mc_listener_destroy(&f.listener);
  mc_listener_config lc = {.host = "127.0.0.1", .tls = f.server_tls, .handler = &end_handler, .ctx = &f.server, .handshake_timeout_ms = 60000, .max_handshakes = 1};
  mc_why why;
  CHECK_OK(mc_listener_create(loop, &lc, &f.listener, &why));
  for (int i = 0; i < SILENT; i++)
    CHECK((silent[i] = raw_connect(mc_listener_port(f.listener))) >= 0);
  mc_loop_turn(loop, 20);
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  for (int i = 0; i < SILENT; i++)
    close(silent[i]);
  fixture_stop(&f);
}

static void test_garbage_handshake_disturbs_nobody(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){.tls = true}));
  int fd = raw_connect(mc_listener_port(f.listener));
  CHECK(write(fd, "GET / HTTP/1.0\r\n\r\n", 18) == 18);
  for (int i = 0; i < 5; i++)
    mc_loop_turn(loop, 5);
  CHECK(!f.server.opened);
  exchange(&f);
  close(fd);
  fixture_stop(&f);
}

static size_t upgraded_bytes;
static size_t second_data(mc_conn *c, mc_slice in)
{
  upgraded_bytes += in.len;
  return in.len;
}
static const mc_conn_handler second_handler = {end_open, second_data, NULL, end_closed};
static size_t first_data(mc_conn *c, mc_slice in)
{
  mc_conn_set_handler(c, &second_handler);
  return 4;
}
static const mc_conn_handler first_handler = {end_open, first_data, NULL, end_closed};

static void test_upgrade_gets_the_rest_of_the_bytes(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){0}));
  CHECK(fixture_connect(&f, "127.0.0.1"));
  TURN_UNTIL(loop, f.client.opened && f.server.opened);
  mc_conn_set_handler(f.server.conn, &first_handler);
  upgraded_bytes = 0;
  CHECK_OK(mc_conn_write(f.client.conn, MC_LIT("headrest of it")));
  TURN_UNTIL(loop, upgraded_bytes == 10);
  fixture_stop(&f);
}

static void test_refused_connection_says_so(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){0}));
  uint16_t port = mc_listener_port(f.listener);
  mc_listener_destroy(&f.listener);
  mc_why why;
  CHECK_OK(mc_conn_open(loop, "127.0.0.1", port, NULL, &end_handler, &f.client, &f.client.conn, &why));
  CHECK(!f.client.closed);
  TURN_UNTIL(loop, f.client.closed);
  CHECK(strstr(f.client.text, "refused"));
  CHECK_INT(mc_conn_open(loop, "", port, NULL, &end_handler, &f.client, &f.client.conn, &why), MC_ERR_INVALID);
  CHECK_INT(mc_conn_open(loop, "x", 0, NULL, &end_handler, &f.client, &f.client.conn, &why), MC_ERR_INVALID);
  f.client.conn = NULL;
  fixture_stop(&f);
}

static void test_listening_twice_on_a_port_fails_with_words(void)
{
  fixture f;
  CHECK(fixture_start(&f, (how){0}));
  mc_listener_config lc = {.host = "127.0.0.1", .port = mc_listener_port(f.listener), .handler = &end_handler};
  mc_listener *second;
  mc_why why;
  CHECK_INT(mc_listener_create(loop, &lc, &second, &why), MC_ERR_IO);
  CHECK_WHY(why, "another program");
  lc.handler = NULL;
  CHECK_INT(mc_listener_create(loop, &lc, &second, &why), MC_ERR_INVALID);
  fixture_stop(&f);
}

static void test_wrong_key_makes_no_context(void)
{
  mc_tls *tls;
  mc_why why;
  mc_tls_server_config sc = {.cert_pem = mc_buf_slice(&p.server_cert), .key_pem = mc_buf_slice(&p.client_key)};
  CHECK_INT(mc_tls_server_create(&sc, &tls, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "does not belong");
  CHECK(!tls);
  sc.key_pem = mc_buf_slice(&p.server_key);
  sc.client_ca_pem = MC_LIT("not PEM");
  CHECK_INT(mc_tls_server_create(&sc, &tls, &why), MC_ERR_MALFORMED);
}

int main(void)
{
  mc_why why;
  mc_clock_set_source(wall, moved_mono);
  if (!pki_make(&p, 30) || mc_loop_create(&loop, &why)) {
    printf("not ok 1 - set-up\n1..1\n");
    return 1;
  }
  RUN(test_plain_exchange);
  RUN(test_mutual_tls_shows_the_client_certificate);
  RUN(test_client_without_certificate_is_let_in_and_marked);
  RUN(test_resumed_session_still_has_the_certificate);
  RUN(test_tls12_client_with_certificate_and_resumption);
  RUN(test_stranger_certificate_does_not_break_the_handshake);
  RUN(test_expired_certificate_is_marked);
  RUN(test_client_refuses_an_unknown_server);
  RUN(test_client_refuses_a_wrong_name);
  RUN(test_name_is_resolved_and_checked);
  RUN(test_alpn_decides_the_protocol);
  RUN(test_plain_frames_survive_every_split);
  RUN(test_tls_frames_survive_every_split);
  RUN(test_long_message_plain);
  RUN(test_long_message_tls);
  RUN(test_pause_pushes_back_plain);
  RUN(test_pause_pushes_back_tls);
  RUN(test_close_flushes_first);
  RUN(test_idle_connection_is_closed);
  RUN(test_stalled_greeting_is_ended);
  RUN(test_silent_clients_take_no_handshake_from_others);
  RUN(test_garbage_handshake_disturbs_nobody);
  RUN(test_upgrade_gets_the_rest_of_the_bytes);
  RUN(test_refused_connection_says_so);
  RUN(test_listening_twice_on_a_port_fails_with_words);
  RUN(test_wrong_key_makes_no_context);
  mc_loop_destroy(&loop);
  pki_free(&p);
  return tap_done();
}
