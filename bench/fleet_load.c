#include "bench/fleet_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "format/mqtt.h"

enum { SOURCES = 8 /* 127.0.0.1 to .8: each has about 28,000 ports */, RETRY_S = 1, SPARE_FILES = 100 };

typedef enum state { AWAY, CONNECTING, HANDSHAKE, ASKED, IN } state;

typedef struct client {
  fleet *owner;
  int index, fd;
  state state;
  uint32_t events;
  SSL *ssl;
  SSL_SESSION *session;
  X509 *cert;
  EVP_PKEY *key;
  double again_s; /* AWAY in a wave: not before */
  double wait_s;
  bool got_ticket;
} client;

struct fleet {
  int count, epoll;
  bool tls;
  SSL_CTX *ctx;
  client *client;
  const fleet_wave *wave; /* in progress */
  fleet_result *result;
  double began_s;
  int on_the_way;
};

int fleet_count(const fleet *f) { return f->count; }

/* ---- making them ---- */
static int new_session(SSL *ssl, SSL_SESSION *session)
{
  client *c = SSL_get_app_data(ssl);
  c->got_ticket = true;
  SSL_SESSION_free(c->session);
  c->session = session; /* 1: we keep the reference */
  return 1;
}

static mc_err read_identity(client *c, const char *devices_of, mc_why *why)
{
  char path[700];
  snprintf(path, sizeof path, "%s/devices/%d.crt", devices_of, c->index);
  BIO *bio = BIO_new_file(path, "r");
  c->cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  snprintf(path, sizeof path, "%s/devices/%d.key", devices_of, c->index);
  bio = BIO_new_file(path, "r");
  c->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  return c->cert && c->key ? MC_OK : mc_err_set(why, MC_ERR_IO, "%s: no certificate or key", path);
}

static int raise_file_limit(int count)
{
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files))
    return count;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  return (rlim_t)count + SPARE_FILES > files.rlim_max ? (int)files.rlim_max - SPARE_FILES : count;
}

mc_err fleet_create(const char *devices_of, int count, fleet **out, mc_why *why)
{
  fleet *f = calloc(1, sizeof *f);
  *out = f;
  if (!f)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for clients");
  f->count = raise_file_limit(count);
  f->tls = devices_of;
  f->epoll = epoll_create1(EPOLL_CLOEXEC);
  f->client = calloc((size_t)f->count, sizeof *f->client);
  f->ctx = f->tls ? SSL_CTX_new(TLS_client_method()) : NULL;
  if (!f->client || f->epoll < 0 || (f->tls && !f->ctx))
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for clients");
  if (f->tls) {
    SSL_CTX_set_mode(f->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(f->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(f->ctx, new_session);
  }
  for (int i = 0; i < f->count; i++) {
    f->client[i] = (client){.owner = f, .index = i, .fd = -1};
    if (f->tls)
      MC_TRY(read_identity(&f->client[i], devices_of, why));
  }
  return MC_OK;
}

static void leave(client *c)
{
  if (c->ssl) { /* else a session that was not shut down would not be resumed */
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(c->ssl);
  }
  if (c->fd >= 0)
    close(c->fd);
  c->ssl = NULL;
  c->fd = -1;
  c->state = AWAY;
}

void fleet_drop(fleet *f)
{
  for (int i = 0; i < f->count; i++)
    leave(&f->client[i]);
}

void fleet_destroy(fleet **fleet_)
{
  fleet *f = *fleet_;
  *fleet_ = NULL;
  if (!f)
    return;
  for (int i = 0; f->client && i < f->count; i++) {
    leave(&f->client[i]);
    SSL_SESSION_free(f->client[i].session);
    X509_free(f->client[i].cert);
    EVP_PKEY_free(f->client[i].key);
  }
  if (f->epoll >= 0)
    close(f->epoll);
  SSL_CTX_free(f->ctx);
  free(f->client);
  free(f);
}

/* ---- one of them ---- */
static void watch(client *c, uint32_t events)
{
  struct epoll_event e = {.events = events, .data.ptr = c};
  if (events != c->events)
    epoll_ctl(c->owner->epoll, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e);
  c->events = events;
}

static void broken(client *c)
{
  fleet *f = c->owner;
  leave(c);
  f->on_the_way--;
  f->result->retries++;
  c->again_s = bench_now_s() + RETRY_S;
}

static void admitted(client *c)
{
  fleet *f = c->owner;
  c->state = IN;
  c->wait_s = bench_now_s() - f->began_s;
  f->on_the_way--;
  f->result->admitted++;
  f->result->resumed += c->ssl && SSL_session_reused(c->ssl);
}

static void set_out(client *c)
{
  fleet *f = c->owner;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f->wave->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(c->index % SOURCES))};
  int one = 1;
  f->on_the_way++;
  c->got_ticket = false;
  c->events = 0;
  c->state = CONNECTING;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&from, sizeof from) || (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS))
    broken(c);
  else
    watch(c, EPOLLOUT);
}

static mc_err connect_packet(int index, uint32_t session_s, mc_buf *out)
{
  char id[32];
  mc_buf props = {0};
  snprintf(id, sizeof id, "bench-%d", index);
  mc_err err = mc_mqtt_put_number(&props, 0x11, session_s);
  mc_mqtt_connect c = {.version = MC_MQTT_5, .clean = session_s == 0, .keep_alive_s = 1200, .client_id = mc_slice_str(id), .props = {.raw = mc_buf_slice(&props)}};
  if (!err)
    err = mc_mqtt_write_connect(out, &c);
  mc_buf_free(&props);
  return err;
}

static void ask(client *c)
{
  mc_buf out = {0};
  c->state = ASKED;
  bool sent = c->owner->wave->handshake_only;
  if (!sent && connect_packet(c->index, c->owner->wave->session_s, &out) == MC_OK)
    sent = c->ssl ? SSL_write(c->ssl, out.data, (int)out.len) == (int)out.len : send(c->fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
  mc_buf_free(&out);
  if (sent)
    watch(c, EPOLLIN);
  else
    broken(c);
}

static void listen_to(client *c)
{
  uint8_t answer[512];
  ERR_clear_error();
  int n = c->ssl ? SSL_read(c->ssl, answer, sizeof answer) : (int)recv(c->fd, answer, sizeof answer, 0);
  bool later = n <= 0 && (c->ssl ? SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ : n < 0 && errno == EAGAIN);
  if (c->owner->wave->handshake_only ? c->got_ticket && (later || n > 0) : n >= 4 && answer[0] == MC_MQTT_CONNACK << 4 && answer[3] == 0)
    admitted(c);
  else if (!later)
    broken(c);
}

static void shake_hands(client *c)
{
  ERR_clear_error();
  int r = SSL_do_handshake(c->ssl);
  int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, r);
  if (r == 1)
    ask(c);
  else if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
    watch(c, e == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
  else
    broken(c);
}

static void connected(client *c)
{
  fleet *f = c->owner;
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
    broken(c);
    return;
  }
  if (!f->tls) {
    ask(c);
    return;
  }
  c->ssl = SSL_new(f->ctx);
  c->state = HANDSHAKE;
  if (!c->ssl || SSL_use_certificate(c->ssl, c->cert) != 1 || SSL_use_PrivateKey(c->ssl, c->key) != 1 || SSL_set_fd(c->ssl, c->fd) != 1) {
    broken(c);
    return;
  }
  SSL_set_app_data(c->ssl, c);
  SSL_set_connect_state(c->ssl);
  if (f->wave->tickets && c->session)
    SSL_set_session(c->ssl, c->session);
  shake_hands(c);
}

static void on_event(client *c)
{
  if (c->state == CONNECTING)
    connected(c);
  else if (c->state == HANDSHAKE)
    shake_hands(c);
  else if (c->state == ASKED)
    listen_to(c);
  else if (c->state == IN) { /* a ticket, or nothing that matters here */
    uint8_t rest[512];
    if (c->ssl ? SSL_read(c->ssl, rest, sizeof rest) <= 0 : recv(c->fd, rest, sizeof rest, 0) <= 0)
      watch(c, EPOLLRDHUP | EPOLLET);
  }
}

/* ---- a wave ---- */
static void send_out_more(fleet *f, double now)
{
  for (int i = f->wave->from; i < f->wave->to && f->on_the_way < f->wave->at_once; i++)
    if (f->client[i].state == AWAY && f->client[i].again_s <= now)
      set_out(&f->client[i]);
}

static int by_value(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b; }

static void sum_up(fleet *f)
{
  int n = 0, all = f->wave->to - f->wave->from;
  double *wait = calloc((size_t)all, sizeof *wait);
  for (int i = f->wave->from; wait && i < f->wave->to; i++)
    if (f->client[i].state == IN)
      wait[n++] = f->client[i].wait_s;
  if (n) {
    qsort(wait, (size_t)n, sizeof *wait, by_value);
    f->result->p50_wait_s = wait[n / 2];
    f->result->p99_wait_s = wait[(int)(n * 0.99)];
    f->result->max_wait_s = wait[n - 1];
  }
  free(wait);
}

mc_err fleet_connect(fleet *f, const fleet_wave *wave, fleet_result *out, mc_why *why)
{
  struct epoll_event event[256];
  *out = (fleet_result){0};
  f->wave = wave;
  f->result = out;
  f->began_s = bench_now_s();
  int all = wave->to - wave->from;
  double now = f->began_s, looked = 0;
  for (int i = wave->from; i < wave->to; i++)
    f->client[i].again_s = 0;
  while (out->admitted < all && now - f->began_s < wave->limit_s) {
    if (f->on_the_way < wave->at_once && (wave->at_once < all || now - looked > 0.05)) {
      send_out_more(f, now);
      looked = now;
    }
    int n = epoll_wait(f->epoll, event, 256, 20);
    for (int i = 0; i < n; i++)
      on_event(event[i].data.ptr);
    now = bench_now_s();
  }
  out->wall_s = now - f->began_s;
  sum_up(f);
  if (out->admitted == all)
    return MC_OK;
  return mc_err_set(why, MC_ERR_TIMEOUT, "%d of %d clients were admitted within %.0f s", out->admitted, all, wave->limit_s);
}
