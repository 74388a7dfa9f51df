/* Who gets in when many want to: order, places, time limits, limits by address, memory, and that nothing of it makes the loop spin. */
#include "device.h"

#include <errno.h>
#include <pthread.h>

#include "base/log.h"
#include "base/metric.h"

static mc_tls *server_tls;

/* ---- a door whose guests are counted ---- */
static int opened_count, closed_count;
static mc_conn *last_opened;
static void guest_open(mc_conn *c)
{
  opened_count++;
  last_opened = c;
}
static size_t guest_data(mc_conn *c, mc_slice in)
{
  mc_conn_write(c, in);
  return in.len;
}
static void guest_closed(mc_conn *c, mc_err err, const char *text) { closed_count++; }
static const mc_conn_handler guest = {guest_open, guest_data, NULL, guest_closed};

static mc_listener *door(mc_listener_config c)
{
  mc_listener *l = NULL;
  c.host = c.host ? c.host : "127.0.0.1";
  c.handler = &guest;
  opened_count = closed_count = 0;
  mc_listener_create(loop, &c, &l, NULL);
  return l;
}

static void turns(int n)
{
  for (int i = 0; i < n; i++)
    mc_loop_turn(loop, 1);
}

static int64_t gauge(const char *name, const char *labels) { return mc_metric_value(mc_metric_get(MC_METRIC_GAUGE, name, "", labels)); }
static int64_t counter(const char *name, const char *labels) { return mc_metric_value(mc_metric_get(MC_METRIC_COUNTER, name, "", labels)); }

static int dial_from(uint32_t source, uint16_t port)
{
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(fd, (struct sockaddr *)&from, sizeof from) || connect(fd, (struct sockaddr *)&to, sizeof to)) {
    close(fd);
    return -1;
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

static bool gone(int fd)
{
  char rest[4096];
  ssize_t n;
  while ((n = recv(fd, rest, sizeof rest, 0)) > 0)
    ;
  return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static bool answered(int fd)
{
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK) == 1;
}

/* ---- a client whose bytes are ours to send ---- */
typedef struct talker {
  int fd;
  SSL_CTX *ctx;
  SSL *ssl;
  BIO *in, *out; /* of the client's OpenSSL */
} talker;

static void talker_make(talker *t, uint16_t port)
{
  device d = {.version = TLS1_3_VERSION};
  device_make(&d);
  t->ctx = d.ctx;
  SSL_CTX_set_app_data(t->ctx, NULL);
  SSL_CTX_sess_set_new_cb(t->ctx, NULL);
  t->ssl = SSL_new(t->ctx);
  t->in = BIO_new(BIO_s_mem());
  t->out = BIO_new(BIO_s_mem());
  SSL_set_bio(t->ssl, t->in, t->out);
  t->fd = dial(port);
}

/* What the client wants to say next. */
static size_t flight(talker *t, uint8_t *out, size_t size)
{
  uint8_t heard[16384];
  ssize_t n = recv(t->fd, heard, sizeof heard, 0);
  if (n > 0)
    BIO_write(t->in, heard, (int)n);
  SSL_connect(t->ssl);
  int len = BIO_read(t->out, out, (int)size);
  return len > 0 ? (size_t)len : 0;
}

static void talker_free(talker *t)
{
  SSL_free(t->ssl);
  SSL_CTX_free(t->ctx);
  close(t->fd);
}

static void say(talker *t)
{
  uint8_t bytes[8192];
  size_t len = flight(t, bytes, sizeof bytes);
  if (len && send(t->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
    printf("# not sent\n");
}

/* ---- places ---- */
static void test_strangers_with_one_byte_hold_no_place(void)
{
  enum { STRANGERS = 200 };
  int stranger[STRANGERS];
  mc_listener *l = door((mc_listener_config){.tls = server_tls, .max_handshakes = 1});
  CHECK(l);
  for (int i = 0; i < STRANGERS; i++) {
    CHECK((stranger[i] = dial(mc_listener_port(l))) >= 0);
    CHECK(send(stranger[i], "\x16", 1, 0) == 1);
  }
  turns(10);
  CHECK_INT(gauge("motorcade_tls_admission", "state=\"waiting\""), STRANGERS);
  CHECK_INT(gauge("motorcade_tls_admission", "state=\"handshake\""), 0);
  talker t;
  talker_make(&t, mc_listener_port(l));
  say(&t);
  TURN_UNTIL(loop, answered(t.fd));
  say(&t);
  TURN_UNTIL(loop, opened_count == 1);
  talker_free(&t);
  for (int i = 0; i < STRANGERS; i++)
    close(stranger[i]);
  TURN_UNTIL(loop, gauge("motorcade_tls_admission", "state=\"waiting\"") == 0 && closed_count == 1);
  mc_listener_destroy(&l);
}

static void test_handshakes_begin_in_the_order_of_greetings_and_the_slow_do_not_block(void)
{
  enum { N = 5 /* four times its places may be slow */ };
  talker t[N];
  mc_listener *l = door((mc_listener_config){.tls = server_tls, .max_handshakes = 1, .handshake_timeout_ms = 60000});
  CHECK(l);
  time_stands(true);
  for (int i = 0; i < N; i++) { /* the connections come in one order, the greetings in the other */
    talker_make(&t[i], mc_listener_port(l));
    CHECK(send(t[i].fd, "\x16", 1, 0) == 1);
    turns(3);
  }
  for (int i = N - 1; i >= 0; i--) {
    uint8_t bytes[8192];
    size_t len = flight(&t[i], bytes, sizeof bytes);
    CHECK(send(t[i].fd, bytes + 1, len - 1, 0) == (ssize_t)len - 1);
    turns(5);
  }
  TURN_UNTIL(loop, answered(t[N - 1].fd));
  for (int k = N - 1; k >= 0; k--) { /* each stands still in its turn: after a second the next one begins */
    TURN_UNTIL(loop, answered(t[k].fd));
    turns(5);
    for (int i = 0; i < k; i++)
      CHECK(!answered(t[i].fd));
    pass(1000000);
  }
  time_stands(false);
  CHECK_INT(gauge("motorcade_tls_admission", "state=\"slow\""), N - 1);
  for (int i = 0; i < N; i++) /* and those that were slow still get in */
    say(&t[i]);
  TURN_UNTIL(loop, opened_count == N);
  for (int i = 0; i < N; i++)
    talker_free(&t[i]);
  TURN_UNTIL(loop, closed_count == N);
  CHECK_INT(gauge("motorcade_tls_admission", "state=\"slow\""), 0);
  mc_listener_destroy(&l);
}

static void test_those_who_stand_still_are_bounded_too(void)
{
  enum { N = 12 };
  talker t[N];
  mc_listener *l = door((mc_listener_config){.tls = server_tls, .max_handshakes = 1, .handshake_timeout_ms = 60000});
  CHECK(l);
  int64_t displaced = counter("motorcade_tls_dropped_total", "cause=\"displaced\"");
  time_stands(true);
  for (int i = 0; i < N; i++) {
    talker_make(&t[i], mc_listener_port(l));
    say(&t[i]);
    TURN_UNTIL(loop, answered(t[i].fd));
    if (i + 1 < N) {
      turns(2);
      pass(1100000);
    }
  }
  CHECK(gauge("motorcade_tls_admission", "state=\"slow\"") <= 4); /* four times its places */
  CHECK(counter("motorcade_tls_dropped_total", "cause=\"displaced\"") >= displaced + N - 1 - 5);
  CHECK(gone(t[0].fd) && !gone(t[N - 2].fd)); /* the oldest made room */
  time_stands(false);
  for (int i = 0; i < N; i++)
    talker_free(&t[i]);
  TURN_UNTIL(loop, gauge("motorcade_tls_admission", "state=\"slow\"") == 0 && gauge("motorcade_tls_admission", "state=\"handshake\"") == 0);
  mc_listener_destroy(&l);
}

static void test_the_silent_make_room_when_too_many_wait(void)
{
  enum { STRANGERS = 20, WAITING = 8 };
  int stranger[STRANGERS];
  mc_listener *l = door((mc_listener_config){.tls = server_tls, .max_waiting = WAITING, .handshake_timeout_ms = 60000});
  CHECK(l);
  time_stands(true);
  for (int i = 0; i < STRANGERS; i++) {
    CHECK((stranger[i] = dial(mc_listener_port(l))) >= 0);
    CHECK(send(stranger[i], "\x16", 1, 0) == 1);
    turns(1);
  }
  talker t;
  talker_make(&t, mc_listener_port(l)); /* behind all of them, in the kernel */
  say(&t);
  turns(20);
  CHECK(gauge("motorcade_tls_admission", "state=\"waiting\"") <= WAITING);
  CHECK(!answered(t.fd));
  for (int i = 0; i < 10 && !answered(t.fd); i++) {
    pass(1100000);
    turns(10);
    usleep(5000);
  }
  TURN_UNTIL(loop, answered(t.fd));
  time_stands(false);
  CHECK(gone(stranger[0]));
  talker_free(&t);
  for (int i = 0; i < STRANGERS; i++)
    close(stranger[i]);
  TURN_UNTIL(loop, gauge("motorcade_tls_admission", "state=\"waiting\"") == 0);
  mc_listener_destroy(&l);
  turns(5);
}

/* ---- time ---- */
static void trickle(size_t hold_back)
{
  /* hold_back 0: the greeting trickles; 1: the second flight does */
  mc_listener *l = door((mc_listener_config){.tls = server_tls});
  CHECK(l);
  talker t;
  uint8_t bytes[8192];
  talker_make(&t, mc_listener_port(l));
  if (hold_back) {
    say(&t);
    TURN_UNTIL(loop, answered(t.fd));
  }
  size_t len = flight(&t, bytes, sizeof bytes);
  CHECK(len > 100);
  time_stands(true);
  size_t sent = 0;
  int64_t passed = 0;
  while (sent < len - 1 && !gone(t.fd)) { /* a byte every 200 ms of the server's time */
    if (send(t.fd, bytes + sent, 1, MSG_NOSIGNAL) != 1)
      break;
    sent++;
    turns(2);
    pass(200000);
    passed += 200000;
  }
  turns(5);
  time_stands(false);
  CHECK(gone(t.fd));
  CHECK(passed >= 9500000 && passed < 12500000); /* 10 s from the beginning, whatever came */
  CHECK_INT(opened_count, 0);
  talker_free(&t);
  mc_listener_destroy(&l);
  turns(5);
}
static void test_a_trickling_greeting_ends_after_its_time(void) { trickle(0); }
static void test_a_trickling_handshake_ends_after_its_time(void) { trickle(1); }

static void test_time_in_the_queue_is_not_the_clients_fault(void)
{
  talker first, second;
  mc_listener *l = door((mc_listener_config){.tls = server_tls, .max_handshakes = 1, .handshake_timeout_ms = 900});
  CHECK(l);
  time_stands(true);
  talker_make(&first, mc_listener_port(l));
  say(&first);
  TURN_UNTIL(loop, answered(first.fd));
  talker_make(&second, mc_listener_port(l));
  say(&second);
  turns(5);
  pass(500000);
  turns(3);
  CHECK(!answered(second.fd));
  pass(410000); /* the first one's time is over: the second begins, with all of its own */
  TURN_UNTIL(loop, answered(second.fd));
  CHECK(gone(first.fd));
  pass(500000);
  turns(3);
  say(&second);
  TURN_UNTIL(loop, opened_count == 1);
  time_stands(false);
  talker_free(&first);
  talker_free(&second);
  TURN_UNTIL(loop, closed_count == 1);
  mc_listener_destroy(&l);
}

/* ---- records ---- */
static void test_a_greeting_in_records_of_one_byte_is_understood(void)
{
  mc_listener *l = door((mc_listener_config){.tls = server_tls});
  CHECK(l);
  talker t;
  uint8_t hello[8192], cut[40000];
  talker_make(&t, mc_listener_port(l));
  size_t len = flight(&t, hello, sizeof hello), n = 0;
  for (size_t i = 5; i < len; i++) {
    memcpy(cut + n, hello, 3);
    mc_store_be16(cut + n + 3, 1);
    cut[n + 5] = hello[i];
    n += 6;
  }
  for (size_t at = 0; at < n; at += 7) { /* and the records in pieces of seven bytes */
    size_t part = n - at < 7 ? n - at : 7;
    CHECK(send(t.fd, cut + at, part, MSG_NOSIGNAL) == (ssize_t)part);
    if (at % 70 == 0)
      turns(1);
  }
  TURN_UNTIL(loop, answered(t.fd));
  say(&t);
  TURN_UNTIL(loop, opened_count == 1);
  talker_free(&t);
  TURN_UNTIL(loop, closed_count == 1);
  mc_listener_destroy(&l);
}

static void test_another_protocol_is_told_and_closed_at_once(void)
{
  mc_listener *l = door((mc_listener_config){.tls = server_tls});
  CHECK(l);
  int64_t before = counter("motorcade_tls_dropped_total", "cause=\"not-tls\"");
  int fd = dial(mc_listener_port(l));
  CHECK(send(fd, "GET / HTTP/1.1\r\n", 16, 0) == 16);
  TURN_UNTIL(loop, counter("motorcade_tls_dropped_total", "cause=\"not-tls\"") == before + 1);
  CHECK(gone(fd));
  close(fd);
  mc_listener_destroy(&l);
}

/* ---- limits by source address ---- */
static void test_open_connections_of_an_address_are_limited(void)
{
  mc_gate *gate;
  mc_why why;
  int fd[5];
  CHECK_OK(mc_gate_create(&(mc_gate_config){.source_connections = 3}, &gate, &why));
  mc_listener *l = door((mc_listener_config){.gate = gate});
  CHECK(l);
  int64_t refused = counter("motorcade_net_refused_total", "cause=\"connections\"");
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  for (int i = 0; i < 5; i++) {
    CHECK((fd[i] = dial_from(INADDR_LOOPBACK + 7, mc_listener_port(l))) >= 0);
    turns(3);
  }
  CHECK_INT(opened_count, 3);
  CHECK(!gone(fd[2]) && gone(fd[3]) && gone(fd[4]));
  CHECK_INT(counter("motorcade_net_refused_total", "cause=\"connections\""), refused + 2);
  int other = dial_from(INADDR_LOOPBACK + 8, mc_listener_port(l)); /* another address has its own count */
  TURN_UNTIL(loop, opened_count == 4);
  close(fd[0]);
  TURN_UNTIL(loop, closed_count == 1);
  int again = dial_from(INADDR_LOOPBACK + 7, mc_listener_port(l));
  TURN_UNTIL(loop, opened_count == 5);
  int rest[] = {fd[1], fd[2], fd[3], fd[4], other, again};
  for (size_t i = 0; i < 6; i++)
    close(rest[i]);
  TURN_UNTIL(loop, closed_count == 5);
  mc_log_configure(MC_LOG_INFO, MC_LOG_TEXT, 2);
  mc_listener_destroy(&l);
  mc_gate_destroy(&gate);
}

static void test_unfinished_handshakes_of_an_address_are_limited(void)
{
  mc_gate *gate;
  mc_why why;
  talker t[3];
  CHECK_OK(mc_gate_create(&(mc_gate_config){.source_unfinished = 2}, &gate, &why));
  mc_listener *l = door((mc_listener_config){.gate = gate, .tls = server_tls});
  CHECK(l);
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  for (int i = 0; i < 3; i++) {
    talker_make(&t[i], mc_listener_port(l));
    say(&t[i]);
    turns(5);
  }
  TURN_UNTIL(loop, answered(t[0].fd) && answered(t[1].fd));
  CHECK(gone(t[2].fd));
  say(&t[0]); /* one is through: it is not counted any more */
  TURN_UNTIL(loop, opened_count == 1);
  talker_free(&t[2]);
  talker_make(&t[2], mc_listener_port(l));
  say(&t[2]);
  TURN_UNTIL(loop, answered(t[2].fd));
  for (int i = 0; i < 3; i++)
    talker_free(&t[i]);
  TURN_UNTIL(loop, closed_count == 1 && gauge("motorcade_tls_admission", "state=\"handshake\"") == 0);
  mc_log_configure(MC_LOG_INFO, MC_LOG_TEXT, 2);
  mc_listener_destroy(&l);
  mc_gate_destroy(&gate);
}

static void test_new_connections_of_an_address_have_a_rate(void)
{
  mc_gate *gate;
  mc_why why;
  int fd[30], n = 0;
  CHECK_OK(mc_gate_create(&(mc_gate_config){.source_per_s = 4}, &gate, &why));
  mc_listener *l = door((mc_listener_config){.gate = gate});
  CHECK(l);
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 10; i++)
      CHECK((fd[n++] = dial(mc_listener_port(l))) >= 0);
    turns(10);
    static const int want[] = {8, 12, 20}; /* a burst of twice the rate; what a second gives; full again after a minute */
    CHECK_INT(opened_count, want[round]);
    pass(round == 0 ? 1000000 : 60000000);
  }
  for (int i = 0; i < n; i++)
    close(fd[i]);
  TURN_UNTIL(loop, closed_count == 20);
  mc_log_configure(MC_LOG_INFO, MC_LOG_TEXT, 2);
  mc_listener_destroy(&l);
  mc_gate_destroy(&gate);
}

/* ---- memory ---- */
static void test_memory_is_counted_while_it_is_held(void)
{
  enum { N = 20 };
  talker t[N];
  mc_conn *conn[N];
  int64_t bytes = gauge("motorcade_net_connection_bytes", NULL), conns = gauge("motorcade_net_connections", NULL);
  mc_listener *l = door((mc_listener_config){.tls = server_tls});
  CHECK(l);
  for (int i = 0; i < N; i++) {
    talker_make(&t[i], mc_listener_port(l));
    say(&t[i]);
    TURN_UNTIL(loop, answered(t[i].fd));
    say(&t[i]);
    TURN_UNTIL(loop, opened_count == i + 1);
    conn[i] = last_opened;
  }
  turns(3);
  size_t sum = 0;
  for (int i = 0; i < N; i++) {
    CHECK(mc_conn_memory(conn[i]) > 6000 && mc_conn_memory(conn[i]) < 20000);
    sum += mc_conn_memory(conn[i]);
  }
  CHECK_INT(gauge("motorcade_net_connection_bytes", NULL) - bytes, sum);
  CHECK_INT(gauge("motorcade_net_connections", NULL) - conns, N);
  size_t idle = mc_conn_memory(conn[0]);
  mc_buf big = {0};
  CHECK_OK(mc_buf_reserve(&big, 24 << 20));
  memset(big.data, 'x', big.len = 24 << 20);
  CHECK_OK(mc_conn_write(conn[0], mc_buf_slice(&big))); /* its peer does not read */
  turns(10);
  CHECK(mc_conn_memory(conn[0]) > idle + (1 << 20));
  CHECK(gauge("motorcade_net_connection_bytes", NULL) - bytes > (int64_t)sum + (1 << 20));
  mc_buf_free(&big);
  for (int i = 0; i < N; i++)
    talker_free(&t[i]);
  TURN_UNTIL(loop, closed_count == N);
  turns(3);
  CHECK_INT(gauge("motorcade_net_connection_bytes", NULL), bytes);
  CHECK_INT(gauge("motorcade_net_connections", NULL), conns);
  mc_listener_destroy(&l);
}

/* ---- nothing spins ---- */
static _Atomic int turned;
static void count_turn(void *ctx) { atomic_fetch_add(&turned, 1); }
static void *run(void *arg)
{
  mc_loop_run(arg);
  return NULL;
}

/* Turns of the loop on its own thread within 400 ms in which nothing happens outside. A loop that spins does 100,000. */
static int idle_turns(void)
{
  pthread_t thread;
  mc_loop_on_turn_end(loop, count_turn, NULL);
  pthread_create(&thread, NULL, run, loop);
  usleep(100000);
  atomic_store(&turned, 0);
  usleep(400000);
  int n = atomic_load(&turned);
  mc_loop_stop(loop);
  pthread_join(thread, NULL);
  mc_loop_off_turn_end(loop, count_turn, NULL);
  return n;
}

static void test_what_waits_does_not_spin(void)
{
  talker t[4];
  int partial, plain, paused_peer;
  mc_listener *l = door((mc_listener_config){.tls = server_tls, .max_handshakes = 2, .handshake_timeout_ms = 60000}), *open_door;
  CHECK(l);
  mc_listener_config pc = {.host = "127.0.0.1", .handler = &guest};
  CHECK_OK(mc_listener_create(loop, &pc, &open_door, NULL));
  CHECK((partial = dial(mc_listener_port(l))) >= 0); /* half a greeting stays unread in the kernel */
  CHECK(send(partial, "\x16\x03\x01\x02\x00\x01", 6, 0) == 6);
  for (int i = 0; i < 4; i++) { /* two stand still in their handshake; two whole greetings wait behind them, unread */
    talker_make(&t[i], mc_listener_port(l));
    say(&t[i]);
    turns(3);
  }
  CHECK((plain = dial(mc_listener_port(open_door))) >= 0); /* a peer that stopped sending in the middle of its stream */
  TURN_UNTIL(loop, opened_count == 1);
  shutdown(plain, SHUT_WR);
  CHECK((paused_peer = dial(mc_listener_port(open_door))) >= 0);
  TURN_UNTIL(loop, opened_count == 2);
  mc_conn *paused = last_opened;
  mc_conn_pause(paused, true); /* bytes that are there and not wanted */
  CHECK(send(paused_peer, "hello", 5, 0) == 5);
  turns(5);
  int n = idle_turns();
  printf("# %d turns\n", n);
  CHECK(n < 100);
  mc_conn_pause(paused, false);
  close(partial);
  close(plain);
  close(paused_peer);
  for (int i = 0; i < 4; i++)
    talker_free(&t[i]);
  TURN_UNTIL(loop, closed_count == 2 && gauge("motorcade_tls_admission", "state=\"waiting\"") == 0);
  mc_listener_destroy(&l);
  mc_listener_destroy(&open_door);
}

static void test_a_flood_of_connects_and_disconnects_leaves_nothing_behind(void)
{
  enum { WAVES = 40, EACH = 50 };
  struct linger reset = {1, 0};
  mc_listener *l = door((mc_listener_config){.tls = server_tls, .max_handshakes = 16});
  CHECK(l);
  int64_t bytes = gauge("motorcade_net_connection_bytes", NULL), conns = gauge("motorcade_net_connections", NULL);
  talker sample;
  uint8_t hello[8192];
  talker_make(&sample, mc_listener_port(l));
  size_t len = flight(&sample, hello, sizeof hello);
  for (int w = 0; w < WAVES; w++) {
    int fd[EACH];
    for (int i = 0; i < EACH; i++) {
      CHECK((fd[i] = dial(mc_listener_port(l))) >= 0);
      size_t part = w % 4 == 0 ? 0 : w % 4 == 1 ? 1 : w % 4 == 2 ? len / 2 : len; /* nothing, a byte, half, a whole greeting */
      if (part)
        CHECK(send(fd[i], hello, part, MSG_NOSIGNAL) == (ssize_t)part);
    }
    turns(w % 3);
    for (int i = 0; i < EACH; i++) {
      if (i % 2)
        setsockopt(fd[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      close(fd[i]);
    }
    turns(2);
  }
  talker_free(&sample);
  TURN_UNTIL(loop, gauge("motorcade_net_connections", NULL) == conns);
  CHECK_INT(gauge("motorcade_net_connection_bytes", NULL), bytes);
  CHECK_INT(gauge("motorcade_tls_admission", "state=\"waiting\"") + gauge("motorcade_tls_admission", "state=\"handshake\"") + gauge("motorcade_tls_admission", "state=\"slow\""), 0);
  int n = idle_turns();
  printf("# %d turns\n", n);
  CHECK(n < 100);
  talker t;
  talker_make(&t, mc_listener_port(l)); /* and the door still opens */
  say(&t);
  TURN_UNTIL(loop, answered(t.fd));
  say(&t);
  TURN_UNTIL(loop, opened_count == 1);
  talker_free(&t);
  TURN_UNTIL(loop, closed_count == 1);
  mc_listener_destroy(&l);
}

int main(void)
{
  mc_why why;
  mc_clock_set_source(moved_wall, moved_mono);
  if (!pki_make(&p, 30) || mc_loop_create(&loop, &why)) {
    printf("not ok 1 - set-up\n1..1\n");
    return 1;
  }
  mc_tls_server_config tc = {.cert_pem = mc_buf_slice(&p.server_cert), .key_pem = mc_buf_slice(&p.server_key), .client_ca_pem = mc_buf_slice(&p.ca_cert)};
  if (mc_tls_server_create(&tc, &server_tls, &why)) {
    printf("not ok 1 - set-up: %s\n1..1\n", why.text);
    return 1;
  }
  RUN(test_strangers_with_one_byte_hold_no_place);
  RUN(test_handshakes_begin_in_the_order_of_greetings_and_the_slow_do_not_block);
  RUN(test_those_who_stand_still_are_bounded_too);
  RUN(test_the_silent_make_room_when_too_many_wait);
  RUN(test_a_trickling_greeting_ends_after_its_time);
  RUN(test_a_trickling_handshake_ends_after_its_time);
  RUN(test_time_in_the_queue_is_not_the_clients_fault);
  RUN(test_a_greeting_in_records_of_one_byte_is_understood);
  RUN(test_another_protocol_is_told_and_closed_at_once);
  RUN(test_open_connections_of_an_address_are_limited);
  RUN(test_unfinished_handshakes_of_an_address_are_limited);
  RUN(test_new_connections_of_an_address_have_a_rate);
  RUN(test_memory_is_counted_while_it_is_held);
  RUN(test_what_waits_does_not_spin);
  RUN(test_a_flood_of_connects_and_disconnects_leaves_nothing_behind);
  mc_loop_destroy(&loop);
  mc_tls_destroy(&server_tls);
  pki_free(&p);
  return tap_done();
}
