/* The face on a real HTTP server: many clients at once, a desk that refuses, an audit that fails, an end in the middle. The signer here is this test's own. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/aws.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "tap.h"

enum { CLIENTS = 4, REQUESTS = 40 };

static mc_db *db;
static mc_registry *registry;
static mc_campaigns *campaigns;
static mc_master *master;
static mc_aws *aws;
static mc_http_server *http;
static mc_loop *loop;
static mc_listener *listener;
static pthread_t thread;
static mc_buf ca, ca_key;
static mc_http_mount mount;
static char secret[MC_ACCESS_KEY_SECRET];
static mc_access_key key;
static _Atomic int waits, audits, wait_answer;
static _Atomic bool audit_fails;

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why) { return MC_OK; }

static int wait_s(void *ctx, const mc_principal *who, const char *address)
{
  atomic_fetch_add(&waits, 1);
  return atomic_load(&wait_answer);
}

static mc_err audit(void *ctx, const mc_desk_record *record, mc_why *why)
{
  atomic_fetch_add(&audits, 1);
  return atomic_load(&audit_fails) ? mc_err_set(why, MC_ERR_FULL, "the disk is full") : MC_OK;
}

static size_t max_body(void *ctx, mc_slice target, mc_slice authorization) { return mc_aws_max_body(aws, target, authorization); }
static void give(void *ctx, mc_http_request *r) { mc_aws_request(aws, r); }
static void nothing_else(void *ctx, mc_http_request *r) { mc_http_answer(r, &(mc_http_reply){.status = 404}); }

static void *turn(void *arg)
{
  mc_loop_run(loop);
  return NULL;
}

static bool begin(void)
{
  mc_why why = {0};
  atomic_store(&waits, 0);
  atomic_store(&audits, 0);
  atomic_store(&wait_answer, 0);
  atomic_store(&audit_fails, false);
  setenv("MC_TEST_MASTER", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  mount = (mc_http_mount){"/aws", max_body, give, NULL};
  mc_http_server_config server = {.request = nothing_else, .mount = &mount, .mount_count = 1};
  mc_listener_config listen = {.host = "127.0.0.1", .handler = mc_http_server_handler()};
  if ((!ca.len && mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why)) || mc_master_open("env:MC_TEST_MASTER", &master, &why) || mc_db_open_sqlite(":memory:", &db, &why) ||
      mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key), .secrets = {master, NULL}}, &registry, &why) ||
      mc_campaigns_open(&(mc_campaigns_config){.db = db, .registry = registry, .publish = publish}, &campaigns, &why) ||
      mc_aws_create(&(mc_aws_config){.registry = registry, .campaigns = campaigns, .desk = {NULL, wait_s, audit}}, &aws, &why) ||
      mc_registry_access_key_create(registry, 1, MC_LIT("test"), MC_ROLE_ADMIN, secret, &key, &why) || mc_loop_create(&loop, &why) || mc_http_server_create(&server, &http)) {
    printf("# %s\n", why.text);
    return false;
  }
  listen.ctx = http;
  return mc_listener_create(loop, &listen, &listener, &why) == MC_OK && pthread_create(&thread, NULL, turn, NULL) == 0;
}

static void end(void)
{
  mc_aws_stop(aws);
  mc_loop_stop(loop);
  pthread_join(thread, NULL);
  mc_listener_destroy(&listener);
  mc_aws_destroy(&aws);
  mc_loop_destroy(&loop);
  mc_http_server_destroy(&http);
  mc_campaigns_close(&campaigns);
  mc_registry_close(&registry);
  mc_db_close(&db);
  mc_master_close(&master);
}

/* ---- a client ---- */

static void hmac(const void *k, size_t n, const char *text, uint8_t out[32])
{
  unsigned len = 32;
  HMAC(EVP_sha256(), k, (int)n, (const uint8_t *)text, strlen(text), out, &len);
}

static void hex(const uint8_t in[32], char out[65])
{
  for (int i = 0; i < 32; i++)
    snprintf(out + 2 * i, 3, "%02x", in[i]);
}

static void sign(const char *target, const char *body, char *out, size_t size)
{
  char iso[MC_CLOCK_TEXT], date[32], hash[65], canonical[900], text[400], first[100], signature[65];
  uint8_t k[32];
  mc_clock_format_us(mc_clock_wall_us(), iso);
  snprintf(date, sizeof date, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", iso, iso + 5, iso + 8, iso + 11, iso + 14, iso + 17);
  SHA256((const uint8_t *)body, strlen(body), k);
  hex(k, hash);
  snprintf(canonical, sizeof canonical, "POST\n/aws/\n\nhost:h\nx-amz-date:%s\nx-amz-target:%s\n\nhost;x-amz-date;x-amz-target\n%s", date, target, hash);
  SHA256((const uint8_t *)canonical, strlen(canonical), k);
  hex(k, hash);
  snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%.8s/r/iotfleetwise/aws4_request\n%s", date, date, hash);
  snprintf(first, sizeof first, "AWS4%s", secret);
  date[8] = 0;
  hmac(first, strlen(first), date, k);
  hmac(k, 32, "r", k);
  hmac(k, 32, "iotfleetwise", k);
  hmac(k, 32, "aws4_request", k);
  hmac(k, 32, text, k);
  hex(k, signature);
  date[8] = 'T';
  snprintf(out, size,
           "POST /aws/ HTTP/1.1\r\nHost: h\r\nX-Amz-Date: %s\r\nX-Amz-Target: %s\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %zu\r\n"
           "Authorization: AWS4-HMAC-SHA256 Credential=%s/%.8s/r/iotfleetwise/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=%s\r\n\r\n%s",
           date, target, strlen(body), key.key_id, date, signature, body);
}

static int dial(void)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(mc_listener_port(listener)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct timeval patience = {60, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return connect(fd, (struct sockaddr *)&to, sizeof to) ? -1 : fd;
}

/* One answer: its status; the text in out. 0: none. */
static int answer(int fd, char *out, size_t size)
{
  size_t n = 0, want = size - 1;
  while (n < want) {
    ssize_t got = recv(fd, out + n, want - n, 0);
    if (got <= 0)
      break;
    n += (size_t)got;
    out[n] = 0;
    const char *body = strstr(out, "\r\n\r\n"), *length = strstr(out, "Content-Length: ");
    if (body && length)
      want = (size_t)(body + 4 - out) + strtoul(length + 16, NULL, 10);
  }
  out[n] = 0;
  return n > 12 ? atoi(out + 9) : 0;
}

static int ask(const char *target, const char *body, char *out, size_t size)
{
  char request[2000];
  sign(target, body, request, sizeof request);
  int fd = dial();
  if (fd < 0 || send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
    return -1;
  int status = answer(fd, out, size);
  close(fd);
  return status;
}

#define T "IoTAutobahnControlPlane."

static void *client(void *arg)
{
  _Atomic int *good = arg;
  char request[2000], out[4000];
  int fd = dial();
  for (int i = 0; i < REQUESTS && fd >= 0; i++) { /* one connection: reads and changes in turn */
    if (i % 4)
      sign(T "GetLoggingOptions", "{}", request, sizeof request);
    else
      sign(T "PutLoggingOptions", "{\"cloudWatchLogDelivery\":{\"logType\":\"ERROR\",\"logGroupName\":\"g\"}}", request, sizeof request);
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
      break;
    if (answer(fd, out, sizeof out) == 200)
      atomic_fetch_add(good, 1);
  }
  close(fd);
  return NULL;
}

static void test_many_clients_at_once(void)
{
  pthread_t t[CLIENTS];
  _Atomic int good = 0;
  CHECK(begin());
  for (int i = 0; i < CLIENTS; i++)
    CHECK(pthread_create(&t[i], NULL, client, &good) == 0);
  for (int i = 0; i < CLIENTS; i++)
    pthread_join(t[i], NULL);
  CHECK_INT(atomic_load(&good), CLIENTS * REQUESTS);
  CHECK_INT(atomic_load(&waits), CLIENTS * REQUESTS);
  CHECK_INT(atomic_load(&audits), CLIENTS * REQUESTS / 4);
  end();
}

static void test_a_desk_that_says_wait_is_obeyed(void)
{
  char out[4000];
  CHECK(begin());
  atomic_store(&wait_answer, 7);
  CHECK_INT(ask(T "PutLoggingOptions", "{\"cloudWatchLogDelivery\":{\"logType\":\"OFF\"}}", out, sizeof out), 400);
  CHECK(strstr(out, "ThrottlingException") && strstr(out, "\"retryAfterSeconds\":7"));
  CHECK_INT(atomic_load(&audits), 0);
  end();
}

static void test_a_change_without_its_record_is_told(void)
{
  char out[4000];
  CHECK(begin());
  atomic_store(&audit_fails, true);
  CHECK_INT(ask(T "PutLoggingOptions", "{\"cloudWatchLogDelivery\":{\"logType\":\"ERROR\",\"logGroupName\":\"kept\"}}", out, sizeof out), 500);
  CHECK(strstr(out, "InternalServerException") && strstr(out, "the change was made"));
  CHECK_INT(ask(T "PutLoggingOptions", "{}", out, sizeof out), 400); /* a refusal stays what it was */
  CHECK(strstr(out, "ValidationException"));
  CHECK_INT(ask(T "GetLoggingOptions", "{}", out, sizeof out), 200);
  CHECK(strstr(out, "kept"));
  CHECK_INT(atomic_load(&audits), 2);
  end();
}

static void test_ends_with_requests_under_way(void)
{
  enum { OPEN = 24 };
  char request[2000];
  int fd[OPEN];
  CHECK(begin());
  sign(T "GetLoggingOptions", "{}", request, sizeof request);
  for (int i = 0; i < OPEN; i++) {
    fd[i] = dial();
    CHECK(fd[i] >= 0);
    CHECK(send(fd[i], request, strlen(request) - (i % 3 == 0), MSG_NOSIGNAL) > 0); /* some never come to their end */
  }
  mc_aws_stop(aws); /* nothing hangs, nothing is used after it went: the sanitizers look. What comes later is told to try again */
  char out[4000];
  CHECK_INT(ask(T "GetLoggingOptions", "{}", out, sizeof out), 503);
  for (int i = 0; i < OPEN; i++)
    close(fd[i]);
  for (int i = 0; i < 3000 && mc_metric_value(mc_metric_get(MC_METRIC_GAUGE, "motorcade_net_connections", "", NULL)) > 0; i++)
    usleep(10000); /* the loop sees them go */
  end();
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_many_clients_at_once);
  RUN(test_a_desk_that_says_wait_is_obeyed);
  RUN(test_a_change_without_its_record_is_told);
  RUN(test_ends_with_requests_under_way);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  return tap_done();
}
