/* The whole platform behind the API, in a folder of its own, with one loop on a thread, and a small blocking HTTP client. */
#ifndef TESTS_API_FIXTURE_H
#define TESTS_API_FIXTURE_H

#include <arpa/inet.h>
#include <jansson.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "api/api.h"
#include "api/operations_gen.h"
#include "base/clock.h"
#include "base/log.h"
#include "tap.h"

typedef struct world {
  char dir[120];
  mc_db *db;
  mc_journal *journal;
  mc_master *master;
  mc_registry *registry;
  mc_twin *twin;
  mc_shadows *shadows;
  mc_store *store;
  mc_campaigns *campaigns;
  mc_gateway *gateway;
  mc_geo_map *map;
  mc_api *api;
  mc_loop *loop;
  mc_listener *listener;
  pthread_t thread;
  bool running;
  uint16_t port;
  mc_buf ca_cert, ca_key;
  char token[4][64]; /* by role; 0 unused */
  char other[64];    /* an admin of another tenant */
  uint32_t other_tenant, vehicle;
  mc_user ada; /* admin, "correct horse battery" */
} world;

typedef struct world_config {
  double rate_per_s;
  const char *portal_dir;
  bool metrics_open, with_map;
  void (*want_map)(void *ctx); /* ctx: the world */
  bool by_hand; /* no thread runs the loop: the caller turns it (fuzz targets) */
} world_config;

static inline mc_role world_role_of(void *ctx, uint32_t tenant, uint32_t signal)
{
  world *w = ctx;
  return mc_role_of_fqn(mc_registry_signal_fqn(w->registry, tenant, signal));
}

static inline bool world_encoding_of(void *ctx, uint32_t encoding, mc_encoding *out)
{
  world *w = ctx;
  int type = 0;
  out->id = encoding;
  bool known = mc_registry_encoding_get(w->registry, encoding, &type, &out->factor, &out->offset) == MC_OK;
  out->type = (mc_type)type;
  return known;
}

static inline mc_err world_publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *why)
{
  world *w = ctx;
  return mc_gateway_publish(w->gateway, tenant, topic, payload, 1, false, why);
}

static inline void *world_run(void *arg)
{
  mc_loop_run(arg);
  return NULL;
}

static inline mc_err world_start(world *w)
{
  w->running = pthread_create(&w->thread, NULL, world_run, w->loop) == 0;
  return w->running ? MC_OK : MC_ERR_MEMORY;
}

static inline const char *world_path(world *w, const char *name)
{
  static _Thread_local char path[4][200];
  static _Thread_local unsigned next;
  char *p = path[next++ & 3];
  snprintf(p, 200, "%s/%s", w->dir, name);
  return p;
}

static inline mc_err world_modules(world *w, const world_config *config, mc_why *why)
{
  mc_journal_config journal = {.fs = mc_fs_posix(), .dir = world_path(w, "journal"), .segment_bytes = 4 << 20};
  MC_TRY(mc_journal_open(&journal, &w->journal, why));
  MC_TRY(mc_db_open_sqlite(world_path(w, "motorcade.db"), &w->db, why));
  if (!w->ca_cert.len)
    MC_TRY(mc_pki_create_ca("test ca", 365, &w->ca_cert, &w->ca_key, why));
  setenv("MC_TEST_MASTER", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  MC_TRY(mc_master_open("env:MC_TEST_MASTER", &w->master, why)); /* for access keys */
  mc_registry_config registry = {.db = w->db, .journal = w->journal, .ca_cert_pem = mc_buf_slice(&w->ca_cert), .ca_key_pem = mc_buf_slice(&w->ca_key), .secrets = {w->master, NULL}};
  MC_TRY(mc_registry_open(&registry, &w->registry, why));
  mc_twin_config twin = {.fs = mc_fs_posix(), .dir = world_path(w, "twin"), .role_of = world_role_of, .encoding_of = world_encoding_of, .ctx = w};
  MC_TRY(mc_twin_open(&twin, &w->twin, why));
  mc_store_config store = {.fs = mc_fs_posix(), .dir = world_path(w, "store"), .encoding_of = world_encoding_of, .ctx = w};
  MC_TRY(mc_store_open(&store, &w->store, why));
  mc_campaigns_config campaigns = {.db = w->db, .registry = w->registry, .publish = world_publish, .publish_ctx = w};
  MC_TRY(mc_campaigns_open(&campaigns, &w->campaigns, why));
  MC_TRY(mc_loop_create(&w->loop, why));
  mc_gateway_config gateway = {.journal = w->journal, .registry = w->registry, .loop = &w->loop, .loop_count = 1, .fs = mc_fs_posix(), .dir = world_path(w, "gateway")};
  MC_TRY(mc_gateway_create(&gateway, &w->gateway, why));
  mc_shadows_config shadows = {.db = w->db, .journal = w->journal, .publish = world_publish, .ctx = w};
  MC_TRY(mc_shadows_open(&shadows, &w->shadows, why));
  MC_TRY(mc_shadows_start(w->shadows, why));
  if (config->with_map)
    MC_TRY(mc_geo_make_town(7, &w->map, NULL, why));
  mc_api_config api = {.registry = w->registry, .twin = w->twin, .shadows = w->shadows, .store = w->store, .campaigns = w->campaigns, .gateway = w->gateway, .journal = w->journal,
                       .db = w->db, .map = w->map, .portal_dir = config->portal_dir, .version = "test", .workers = 2, .rate_per_s = config->rate_per_s,
                       .hosts = "localhost, fleet.example.org,192.0.2.7,2001:db8::7", .metrics_open = config->metrics_open, .want_map = config->want_map, .ctx = w};
  MC_TRY(mc_api_create(&api, &w->api, why));
  MC_TRY(mc_api_start_live(w->api, w->loop, why));
  mc_listener_config listen = {.host = "127.0.0.1", .handler = mc_http_server_handler(), .ctx = mc_api_http(w->api)};
  MC_TRY(mc_listener_create(w->loop, &listen, &w->listener, why));
  w->port = mc_listener_port(w->listener);
  return config->by_hand ? MC_OK : world_start(w);
}

static inline mc_err world_people(world *w, mc_why *why)
{
  mc_token token;
  MC_TRY(mc_registry_user_create(w->registry, MC_TENANT_DEFAULT, MC_LIT("ada"), MC_LIT("correct horse battery"), MC_ROLE_ADMIN, &w->ada, why));
  for (int role = MC_ROLE_VIEWER; role <= MC_ROLE_ADMIN; role++)
    MC_TRY(mc_registry_token_create(w->registry, MC_TENANT_DEFAULT, mc_slice_str(mc_access_role_name((mc_access_role)role)), (mc_access_role)role, 0, w->token[role], &token, why));
  MC_TRY(mc_registry_tenant_create(w->registry, MC_LIT("other"), &w->other_tenant, why));
  MC_TRY(mc_registry_token_create(w->registry, w->other_tenant, MC_LIT("stranger"), MC_ROLE_ADMIN, 0, w->other, &token, why));
  mc_vehicle v = {.tenant = MC_TENANT_DEFAULT, .name = "truck-7", .kind = "truck"};
  MC_TRY(mc_registry_vehicle_create(w->registry, &v, why));
  w->vehicle = v.id;
  return MC_OK;
}

static inline bool world_open(world *w, const world_config *config)
{
  mc_why why = {0};
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  const char *base = getenv("TMPDIR");
  snprintf(w->dir, sizeof w->dir, "%s/mc-api-XXXXXX", base && *base ? base : "/tmp");
  if (!mkdtemp(w->dir))
    return false;
  mc_err err = world_modules(w, config, &why);
  if (!err)
    err = world_people(w, &why);
  if (err)
    printf("# the world did not open: %s (%s)\n", why.text, mc_err_text(err));
  return err == MC_OK;
}

static inline void world_stop_modules(world *w)
{
  if (!w->running) /* the ends below ask the loop */
    world_start(w);
  mc_api_stop(w->api);
  mc_shadows_stop(w->shadows);
  if (w->gateway)
    mc_gateway_stop(w->gateway);
  mc_loop_stop(w->loop);
  pthread_join(w->thread, NULL);
  w->running = false;
  mc_listener_destroy(&w->listener);
  for (int i = 0; i < 20; i++) /* connections that were told to close finish here */
    mc_loop_turn(w->loop, 5);
  mc_gateway_destroy(&w->gateway);
  mc_api_destroy(&w->api);
  mc_campaigns_close(&w->campaigns);
  mc_store_close(&w->store);
  mc_shadows_close(&w->shadows);
  mc_twin_close(&w->twin);
  mc_geo_map_destroy(&w->map);
  mc_registry_close(&w->registry);
  mc_master_close(&w->master);
  mc_db_close(&w->db);
  mc_loop_destroy(&w->loop);
  mc_journal_close(&w->journal);
}

static inline void world_close(world *w)
{
  char rm[160];
  world_stop_modules(w);
  mc_buf_free(&w->ca_cert);
  mc_buf_free(&w->ca_key);
  snprintf(rm, sizeof rm, "rm -rf %s", w->dir);
  if (system(rm))
    printf("# %s stays\n", w->dir);
}

/* ---- HTTP client ---- */

typedef struct answer {
  int status;
  mc_buf head, body; /* both terminated */
  json_t *json;      /* of the body; NULL when it is none */
} answer;

static inline void answer_free(answer *a)
{
  mc_buf_free(&a->head);
  mc_buf_free(&a->body);
  json_decref(a->json);
  *a = (answer){0};
}

static inline int world_connect(const world *w)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval limit = {.tv_sec = 60};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
}

static inline bool send_all(int fd, mc_slice bytes)
{
  while (bytes.len) {
    ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    bytes = mc_slice_sub(bytes, (size_t)n, SIZE_MAX);
  }
  return true;
}

/* Value of a header of the answer; empty when absent. Static storage. */
static inline const char *header_of(const answer *a, const char *name)
{
  static char value[1024];
  size_t n = strlen(name);
  value[0] = 0;
  for (const char *line = strstr((const char *)a->head.data, "\r\n"); line; line = strstr(line + 2, "\r\n"))
    if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':') {
      const char *from = line + 3 + n + strspn(line + 3 + n, " ");
      snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r"), from);
      break;
    }
  return value;
}

static inline void read_answer(int fd, answer *a, bool is_head)
{
  char bytes[16384];
  mc_buf all = {0};
  ssize_t n;
  while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
    mc_buf_append(&all, bytes, (size_t)n);
  char *end = all.len ? memmem(all.data, all.len, "\r\n\r\n", 4) : NULL;
  size_t head = end ? (size_t)(end - (char *)all.data) + 4 : all.len;
  mc_buf_append(&a->head, all.data, head);
  mc_buf_append_u8(&a->head, 0);
  mc_buf_append(&a->body, all.data + head, all.len - head);
  mc_buf_append_u8(&a->body, 0);
  a->body.len--;
  if (a->head.len > 12)
    a->status = atoi((const char *)a->head.data + 9);
  a->json = json_loadb((const char *)a->body.data, a->body.len, JSON_DECODE_ANY, NULL);
  mc_buf_free(&all);
}

/* headers: lines ended by \r\n, or "". body NULL: none. */
static inline answer ask_raw(const world *w, const char *method, const char *target, const char *headers, mc_slice body, bool has_body)
{
  answer a = {0};
  mc_buf out = {0};
  mc_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n%s", method, target, w->port, headers);
  if (has_body)
    mc_buf_printf(&out, "Content-Length: %zu\r\n", body.len);
  mc_buf_append_str(&out, "\r\n");
  mc_buf_append_slice(&out, body);
  int fd = world_connect(w);
  if (fd >= 0 && send_all(fd, mc_buf_slice(&out)))
    read_answer(fd, &a, !strcmp(method, "HEAD"));
  if (fd >= 0)
    close(fd);
  mc_buf_free(&out);
  return a;
}

/* With a token (NULL: none) and a JSON body (NULL: none). */
static inline answer ask(const world *w, const char *token, const char *method, const char *target, const char *body)
{
  char headers[256] = "";
  snprintf(headers, sizeof headers, "%s%s%s%s", token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "", body ? "Content-Type: application/json\r\n" : "");
  return ask_raw(w, method, target, headers, mc_slice_str(body), body != NULL);
}

static inline const char *text_of(const answer *a, const char *name)
{
  const char *t = json_string_value(json_object_get(a->json, name));
  return t ? t : "";
}

#endif
