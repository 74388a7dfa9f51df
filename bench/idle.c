#include "bench/idle.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "format/mqtt.h"

enum { PER_SOURCE = 20000 };

/* Sources 127.0.0.2, .3, ...: a source address has about 28,000 ports. */
static int open_socket(uint16_t port, int index)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(index / PER_SOURCE))};
  struct timeval limit = {.tv_sec = 20};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) || connect(fd, (struct sockaddr *)&to, sizeof to)) {
    close(fd);
    return -1;
  }
  return fd;
}

static mc_err connect_packet(int index, mc_buf *out)
{
  char id[32];
  snprintf(id, sizeof id, "bench-%d", index);
  mc_mqtt_connect c = {.version = MC_MQTT_5, .clean = true, .keep_alive_s = 1200, .client_id = mc_slice_str(id)};
  return mc_mqtt_write_connect(out, &c);
}

static bool admitted(const uint8_t *answer, int n)
{
  return n >= 4 && answer[0] == MC_MQTT_CONNACK << 4 && answer[3] == 0;
}

static mc_err open_plain(uint16_t port, int index, int *fd, mc_why *why)
{
  mc_buf out = {0};
  uint8_t answer[512];
  *fd = open_socket(port, index);
  if (*fd < 0)
    return mc_err_errno(why, "connection %d", index);
  mc_err err = connect_packet(index, &out);
  if (!err && (send(*fd, out.data, out.len, MSG_NOSIGNAL) < 0 || !admitted(answer, (int)recv(*fd, answer, sizeof answer, 0))))
    err = mc_err_set(why, MC_ERR_DENIED, "connection %d was not admitted", index);
  mc_buf_free(&out);
  return err;
}

static mc_err open_tls(const bench_server *s, const char *devices_of, int index, SSL **ssl, int *fd, mc_why *why)
{
  char path[700];
  mc_buf out = {0};
  uint8_t answer[512];
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  snprintf(path, sizeof path, "%s/devices/%d.crt", devices_of, index);
  bool ok = ctx && SSL_CTX_use_certificate_chain_file(ctx, path) == 1;
  snprintf(path, sizeof path, "%s/devices/%d.key", devices_of, index);
  ok = ok && SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1;
  *fd = ok ? open_socket(s->tls, index) : -1;
  *ssl = *fd >= 0 ? SSL_new(ctx) : NULL;
  SSL_CTX_free(ctx);
  if (!*ssl)
    return mc_err_set(why, MC_ERR_TLS, "connection %d: no certificate or socket", index);
  SSL_set_mode(*ssl, SSL_MODE_RELEASE_BUFFERS);
  SSL_set_fd(*ssl, *fd);
  ok = SSL_connect(*ssl) == 1 && connect_packet(index, &out) == MC_OK && SSL_write(*ssl, out.data, (int)out.len) > 0 &&
       admitted(answer, SSL_read(*ssl, answer, sizeof answer));
  mc_buf_free(&out);
  return ok ? MC_OK : mc_err_set(why, MC_ERR_TLS, "connection %d was not admitted", index);
}

mc_err idle_run(const bench_server *s, const char *devices_of, int count, bool tls, idle_result *out, mc_why *why)
{
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (count > (int)files.rlim_max - 200)
      count = (int)files.rlim_max - 200;
  }
  int *fd = calloc((size_t)count, sizeof *fd);
  SSL **ssl = calloc((size_t)count, sizeof *ssl);
  mc_err err = fd && ssl ? MC_OK : MC_ERR_MEMORY;
  /* One connection before the first reading, so that what the first one loads is not counted on all. */
  int opened = 0;
  if (!err)
    err = tls ? open_tls(s, devices_of, opened, &ssl[0], &fd[0], why) : open_plain(s->plain, opened, &fd[0], why);
  usleep(200000);
  double before = bench_rss_kib(&s->process), cpu = bench_cpu_s(&s->process), began = bench_now_s();
  for (opened = 1; opened < count && !err; opened++)
    err = tls ? open_tls(s, devices_of, opened, &ssl[opened], &fd[opened], why) : open_plain(s->plain, opened, &fd[opened], why);
  double took = bench_now_s() - began;
  usleep(500000);
  double rss = bench_rss_kib(&s->process);
  *out = (idle_result){opened, (rss - before) / (count - 1), rss, (bench_cpu_s(&s->process) - cpu) * 1e6 / (count - 1), (count - 1) / took};
  for (int i = 0; i < count && fd && ssl; i++) {
    SSL_free(ssl[i]);
    if (fd[i] > 0)
      close(fd[i]);
  }
  free(fd);
  free(ssl);
  return err;
}
