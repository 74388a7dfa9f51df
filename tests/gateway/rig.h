/* A gateway on loops of its own over a journal in a temporary folder, and a raw MQTT client with a blocking socket: every
 * byte is the test's. */
#ifndef TESTS_GATEWAY_RIG_H
#define TESTS_GATEWAY_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "base/metric.h"
#include "gateway/gateway.h"
#include "gateway/state.h"
#include "tap.h"

enum { RIG_LOOPS_MAX = 4 };

/* A row of a profile that is not as the table has it. */
typedef struct rig_row {
  const char *key;
  uint32_t value;
  mc_profile_name profile;
} rig_row;

typedef struct rig {
  char dir[64];
  mc_journal *journal;
  mc_loop *loop[RIG_LOOPS_MAX];
  pthread_t thread[RIG_LOOPS_MAX];
  size_t loops;
  mc_gateway *g;
  mc_registry *registry;
  mc_tls *tls;
  mc_gateway_limits limits;
  rig_row row[4];
  mc_profile_name profile; /* of all doors */
  const mc_fs *fs;
  mc_journal_config journal_config;
} rig;

static inline void rig_fail(const char *what, const mc_why *why)
{
  printf("Bail out! %s: %s\n", what, why->text);
  exit(2);
}

static inline void *rig_run(void *loop)
{
  mc_loop_run(loop);
  return NULL;
}

/* Opens on r->dir (made when empty); nobody turns the loops yet. Limits, registry, tls, fs may be set before. */
static inline void rig_open(rig *r, size_t loops)
{
  mc_why why = {0};
  char path[128];
  if (!r->dir[0]) {
    snprintf(r->dir, sizeof r->dir, "/tmp/mc-gateway-XXXXXX");
    if (!mkdtemp(r->dir))
      rig_fail("mkdtemp", &why);
  }
  r->loops = loops;
  r->fs = r->fs ? r->fs : mc_fs_posix();
  snprintf(path, sizeof path, "%s/journal", r->dir);
  r->journal_config.fs = r->fs;
  r->journal_config.dir = path;
  r->journal_config.segment_bytes = r->journal_config.segment_bytes ? r->journal_config.segment_bytes : 4 << 20;
  if (mc_journal_open(&r->journal_config, &r->journal, &why))
    rig_fail("journal", &why);
  for (size_t i = 0; i < loops; i++)
    if (mc_loop_create(&r->loop[i], &why))
      rig_fail("loop", &why);
  snprintf(path, sizeof path, "%s/gateway", r->dir);
  mc_profile profiles[MC_PROFILES];
  for (int i = 0; i < MC_PROFILES; i++)
    mc_profile_default((mc_profile_name)i, &profiles[i]);
  for (size_t i = 0; i < sizeof r->row / sizeof r->row[0] && r->row[i].key; i++)
    *mc_profile_value(&profiles[r->row[i].profile], mc_profile_row_find(mc_slice_str(r->row[i].key))) = r->row[i].value;
  mc_gateway_config config = {.profiles = profiles, .door_profile = {r->profile, r->profile, r->profile},
                              .journal = r->journal, .registry = r->registry, .loop = r->loop, .loop_count = loops, .fs = r->fs, .dir = path, .limits = r->limits};
  if (mc_gateway_create(&config, &r->g, &why))
    rig_fail("gateway", &why);
  if (mc_gateway_listen_any(r->g, "127.0.0.1", r->tls ? 0 : -1, r->tls, 0, &why))
    rig_fail("listen", &why);
}

/* The same, and each loop runs on a thread. */
static inline void rig_start(rig *r, size_t loops)
{
  rig_open(r, loops);
  for (size_t i = 0; i < loops; i++)
    pthread_create(&r->thread[i], NULL, rig_run, r->loop[i]);
}

static inline void rig_close(rig *r)
{
  mc_gateway_destroy(&r->g);
  mc_journal_close(&r->journal);
  for (size_t i = 0; i < r->loops; i++)
    mc_loop_destroy(&r->loop[i]);
}

static inline void rig_stop(rig *r)
{
  mc_gateway_stop(r->g);
  for (size_t i = 0; i < r->loops; i++)
    mc_loop_stop(r->loop[i]);
  for (size_t i = 0; i < r->loops; i++)
    pthread_join(r->thread[i], NULL);
  for (size_t i = 0; i < r->loops; i++) { /* what a loop that went on for longer had for it, and what it staged last */
    mc_loop_turn(r->loop[i], 0);
    for (int k = 0; k < 3000 && r->g->loop[i].pending.len; k++)
      mc_loop_turn(r->loop[i], 10);
  }
  rig_close(r);
}

static inline void rig_remove(rig *r)
{
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", r->dir);
  if (system(command))
    printf("# cannot remove %s\n", r->dir);
}

/* The same in a child process, to be killed. Returns its port. */
static inline uint16_t rig_fork(rig *r, size_t loops, pid_t *pid)
{
  int pipe_fd[2];
  uint16_t port = 0;
  if (!r->dir[0]) {
    snprintf(r->dir, sizeof r->dir, "/tmp/mc-gateway-XXXXXX");
    if (!mkdtemp(r->dir))
      exit(2);
  }
  fflush(stdout);
  if (pipe(pipe_fd))
    exit(2);
  *pid = fork();
  if (*pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is ended leaves no server behind */
    close(pipe_fd[0]);
    rig_start(r, loops);
    port = mc_gateway_port(r->g, true);
    if (write(pipe_fd[1], &port, sizeof port) != sizeof port)
      _exit(3);
    for (;;)
      pause();
  }
  close(pipe_fd[1]);
  if (read(pipe_fd[0], &port, sizeof port) != sizeof port)
    port = 0;
  close(pipe_fd[0]);
  return port;
}

static inline void rig_kill(pid_t pid)
{
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

static inline int64_t now_ms(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum { PATIENCE_MS = 30000 }; /* for what must come: a machine may be slow, and its disk too */

/* Waits until the condition holds, then goes on; CHECKs it. */
#define CHECK_SOON(condition)                                                 \
  do {                                                                        \
    bool holds_ = (condition);                                                \
    for (int64_t until_ = now_ms() + PATIENCE_MS; !holds_ && now_ms() < until_; holds_ = (condition)) \
      usleep(2000);                                                           \
    if (!holds_)                                                              \
      TAP_FAIL("not within %d ms: %s", PATIENCE_MS, #condition);              \
  } while (0)

typedef struct rig_turn {
  mc_post post;
  _Atomic bool over;
} rig_turn;
static inline void rig_turned(mc_post *post) { ((rig_turn *)post)->over = true; }

/* Each loop has finished a whole turn that began after this call: what lay in its sockets was read, what was due by its clock was done. */
static inline void rig_loops_turn(rig *r)
{
  for (int twice = 0; twice < 2; twice++)
    for (size_t i = 0; i < r->loops; i++) {
      rig_turn turn = {.post.run = rig_turned};
      mc_loop_post(r->loop[i], &turn.post);
      while (!turn.over)
        usleep(100);
    }
}

/* ---- client ---- */
typedef struct client {
  int fd;
  SSL *ssl; /* NULL: plain */
  uint8_t version;
  mc_buf in, out;
  size_t taken; /* bytes of `in` that the last packet used */
  mc_mqtt_packet packet;
} client;

static inline void client_dial(client *c, uint16_t port, uint8_t version)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  *c = (client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .version = version};
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&a, sizeof a)) {
    close(c->fd);
    c->fd = -1;
  }
}

static inline void client_close(client *c)
{
  SSL_free(c->ssl);
  if (c->fd >= 0)
    close(c->fd);
  mc_buf_free(&c->in);
  mc_buf_free(&c->out);
  *c = (client){.fd = -1};
}

static inline void client_send(client *c, mc_slice bytes)
{
  size_t at = 0;
  while (at < bytes.len) {
    ssize_t n = c->ssl ? SSL_write(c->ssl, bytes.data + at, (int)(bytes.len - at)) : send(c->fd, bytes.data + at, bytes.len - at, MSG_NOSIGNAL);
    if (n <= 0)
      return;
    at += (size_t)n;
  }
}

static inline void client_flush(client *c)
{
  client_send(c, mc_buf_slice(&c->out));
  mc_buf_clear(&c->out);
}

enum { CLIENT_CLOSED = -1, CLIENT_QUIET = -2, CLIENT_BROKEN = -3 };
/* Next packet's type (in c->packet), or one of the above. */
static inline int client_next_within(client *c, int timeout_ms)
{
  mc_buf_consume(&c->in, c->taken);
  c->taken = 0;
  int64_t until = now_ms() + timeout_ms;
  for (;;) {
    size_t size;
    mc_err err = mc_mqtt_peek(mc_buf_slice(&c->in), 64 << 20, &size);
    if (err == MC_OK && c->in.len >= size) {
      uint8_t reason;
      mc_why why;
      if (mc_mqtt_parse(mc_slice_of(c->in.data, size), c->version, &c->packet, &reason, &why)) {
        printf("# client cannot parse: %s\n", why.text);
        return CLIENT_BROKEN;
      }
      c->taken = size;
      return c->packet.type;
    }
    int left = (int)(until - now_ms());
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    if (!(c->ssl && SSL_pending(c->ssl)) && poll(&p, 1, left > 0 ? left : 0) <= 0)
      return CLIENT_QUIET;
    uint8_t bytes[65536];
    ssize_t n = c->ssl ? SSL_read(c->ssl, bytes, sizeof bytes) : recv(c->fd, bytes, sizeof bytes, 0);
    if (n <= 0)
      return CLIENT_CLOSED;
    mc_buf_append(&c->in, bytes, (size_t)n);
  }
}
static inline int client_next(client *c) { return client_next_within(c, PATIENCE_MS); }

/* TLS with a client certificate (empty: none); the server's is not looked at. resume and *session may be NULL. */
static inline bool client_dial_tls(client *c, uint16_t port, uint8_t version, mc_slice cert_pem, mc_slice key_pem, const char *alpn, SSL_SESSION *resume)
{
  client_dial(c, port, version);
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  if (cert_pem.len) {
    BIO *bio = BIO_new_mem_buf(cert_pem.data, (int)cert_pem.len);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(key_pem.data, (int)key_pem.len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    SSL_CTX_use_certificate(ctx, cert);
    SSL_CTX_use_PrivateKey(ctx, key);
    X509_free(cert);
    EVP_PKEY_free(key);
  }
  c->ssl = SSL_new(ctx);
  SSL_CTX_free(ctx);
  SSL_set_fd(c->ssl, c->fd);
  if (alpn) {
    uint8_t wire[64] = {(uint8_t)strlen(alpn)};
    memcpy(wire + 1, alpn, strlen(alpn));
    SSL_set_alpn_protos(c->ssl, wire, (unsigned)strlen(alpn) + 1);
  }
  if (resume)
    SSL_set_session(c->ssl, resume);
  return SSL_connect(c->ssl) == 1;
}

/* CONNECT with what is set in `with`; returns the next packet's type. Dials plainly unless it is connected already. */
static inline int client_connect_with(client *c, uint16_t port, mc_mqtt_connect with)
{
  if (port)
    client_dial(c, port, with.version);
  mc_mqtt_write_connect(&c->out, &with);
  client_flush(c);
  return client_next(c);
}

/* True when admitted. expiry_s > 0 (or a 3.1.1 connect with clean = false) keeps the session. */
static inline bool client_connect(client *c, uint16_t port, uint8_t version, const char *id, bool clean, uint32_t expiry_s)
{
  mc_buf props = {0};
  if (version == MC_MQTT_5 && expiry_s)
    mc_mqtt_put_number(&props, 0x11, expiry_s);
  mc_mqtt_connect with = {.version = version, .client_id = mc_slice_str(id), .clean = clean, .keep_alive_s = 60, .props.raw = mc_buf_slice(&props)};
  bool ok = client_connect_with(c, port, with) == MC_MQTT_CONNACK && c->packet.connack.code == 0;
  mc_buf_free(&props);
  return ok;
}

/* Returns the granted code, or 255. */
static inline uint8_t client_subscribe(client *c, const char *filter, uint8_t qos)
{
  mc_mqtt_filter f = {.filter = mc_slice_str(filter), .qos = qos};
  mc_mqtt_write_subscribe(&c->out, c->version, 10, &f, 1, (mc_slice){0});
  client_flush(c);
  return client_next(c) == MC_MQTT_SUBACK && c->packet.subscribe.count == 1 ? c->packet.subscribe.list.data[0] : 255;
}

static inline void client_put_publish(client *c, const char *topic, const char *payload, uint8_t qos, bool retain, uint16_t id)
{
  mc_mqtt_publish p = {.topic = mc_slice_str(topic), .payload = mc_slice_str(payload), .qos = qos, .retain = retain, .packet_id = id};
  mc_mqtt_write_publish(&c->out, c->version, &p, (mc_slice){0});
}

/* QoS 1 with its PUBACK; returns the code, or 255. */
static inline uint8_t client_publish(client *c, const char *topic, const char *payload, bool retain)
{
  client_put_publish(c, topic, payload, 1, retain, 77);
  client_flush(c);
  return client_next(c) == MC_MQTT_PUBACK && c->packet.ack.packet_id == 77 ? c->packet.ack.code : 255;
}

static inline void client_answer(client *c, mc_mqtt_type type, uint16_t id, uint8_t code)
{
  mc_mqtt_write_ack(&c->out, type, c->version, id, code, (mc_slice){0});
  client_flush(c);
}

/* What was sent before has been handled by the loop that this client is at. */
#define CHECK_PING(c)                                  \
  do {                                                 \
    mc_mqtt_write_ping(&(c)->out, MC_MQTT_PINGREQ);    \
    client_flush(c);                                   \
    CHECK_INT(client_next(c), MC_MQTT_PINGRESP);       \
  } while (0)

/* The next packet answers `id` with this type and code. */
#define CHECK_ANSWER(c, want_type, want_id, want_code)      \
  do {                                                      \
    CHECK_INT(client_next(c), (want_type));                 \
    CHECK_INT((c)->packet.ack.packet_id, (want_id));        \
    CHECK_INT((c)->packet.ack.code, (want_code));           \
  } while (0)

static inline void client_ack(client *c)
{
  mc_mqtt_write_ack(&c->out, MC_MQTT_PUBACK, c->version, c->packet.publish.packet_id, 0, (mc_slice){0});
  client_flush(c);
}

/* The next packet that is no PUBLISH has this type; counts those. */
static inline bool client_passes_over(client *c, int type, int *published)
{
  int got;
  for (; (got = client_next(c)) == MC_MQTT_PUBLISH; ++*published)
    ;
  return got == type;
}

/* What it acknowledged is in the journal then: acknowledgements go there 20 ms after they came, those of a shared subscription by way of the group's loop, and
 * a PUBACK tells that what went there before is on disk. Nobody may be subscribed to "settled". Returns how many messages came meanwhile, -1 when something else did. */
static inline int client_settle(client *c)
{
  int published = 0;
  for (int hop = 0; hop < 4; hop++) {
    mc_mqtt_write_ping(&c->out, MC_MQTT_PINGREQ);
    client_flush(c);
    if (!client_passes_over(c, MC_MQTT_PINGRESP, &published))
      return -1;
    if (hop < 3)
      usleep(50000);
  }
  client_put_publish(c, "settled", "", 1, false, 78);
  client_flush(c);
  return client_passes_over(c, MC_MQTT_PUBACK, &published) && c->packet.ack.packet_id == 78 && c->packet.ack.code == 0 ? published : -1;
}

static inline void client_disconnect(client *c)
{
  mc_mqtt_write_disconnect(&c->out, c->version, 0, (mc_slice){0});
  client_flush(c);
}

/* The next packet is a PUBLISH with this topic and payload; QoS 1 is acknowledged. */
#define CHECK_RECEIVES(c, topic_text, payload_text)                   \
  do {                                                                \
    CHECK_INT(client_next(c), MC_MQTT_PUBLISH);                       \
    CHECK_SLICE((c)->packet.publish.topic, (topic_text));             \
    CHECK_SLICE((c)->packet.publish.payload, (payload_text));         \
    if ((c)->packet.publish.qos)                                      \
      client_ack(c);                                                  \
  } while (0)

#endif
