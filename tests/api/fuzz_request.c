/* Any bytes on an HTTP connection to the whole platform: every request gets one answer of a known status whose JSON is JSON, and never a 500.
 * Input: a mode byte, then the bytes. Mode bits 0 and 1: behind every request line an admin's token or a browser session is put in;
 * bit 2: the bytes come in two pieces. What hashes passwords (50 ms each) or waits for offsets is answered without being run. */
#include "api_fixture.h"
#include "api/inside.h"
#include "net/adopt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RENEW = 3000 };

static world w;
static mc_geo_map *map;
static mc_http_server *http;
static char cookie[64], csrf[64];

static bool is_slow(const api_call *c)
{
  static const char *const slow[] = {"sign_in", "user_create", "user_update", "password_change"};
  for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++)
    if (!strcmp(c->op->id, slow[i]))
      return true;
  mc_slice q = c->request->query;
  return !strcmp(c->op->id, "vehicle_latest") && q.len && memmem(q.data, q.len, "offset", 6);
}

static void on_request(void *ctx, mc_http_request *r)
{
  api_call *c = router_begin(ctx, r);
  if (!c)
    return;
  if (is_slow(c))
    reply_problem(c, 503);
  else
    router_run(c);
}

/* Requests sign out and revoke tokens. */
static void sign_in(void)
{
  mc_why why = {0};
  mc_principal who;
  mc_token token;
  char same[64];
  if (mc_registry_token_check(w.registry, mc_slice_str(w.token[MC_ROLE_ADMIN]), &who) &&
      mc_registry_token_create(w.registry, MC_TENANT_DEFAULT, MC_LIT("again"), MC_ROLE_ADMIN, 0, w.token[MC_ROLE_ADMIN], &token, &why))
    abort();
  if (cookie[0] && !mc_registry_session_check(w.registry, mc_slice_str(cookie), &who, same))
    return;
  who = (mc_principal){.tenant = MC_TENANT_DEFAULT, .kind = MC_PRINCIPAL_USER, .id = w.ada.id, .role = MC_ROLE_ADMIN};
  snprintf(who.name, sizeof who.name, "ada");
  if (mc_registry_session_create(w.registry, &who, cookie, csrf, &why))
    abort();
}

/* What operations look for: a manifest, a campaign, a certificate, some history of vehicle 1. */
static void furnish(void)
{
  static const char dbc[] = "BO_ 256 ENGINE: 8 X\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] \"rpm\" X\n SG_ Lat : 16|16@1+ (0.01,0) [0|90] \"degree\" X\n"
                            " SG_ Lon : 32|16@1+ (0.01,0) [0|180] \"degree\" X\n";
  mc_why why = {0};
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_dbc_import_report report;
  mc_dbc_import in = {.tenant = MC_TENANT_DEFAULT, .name = MC_LIT("model-a"), .interface_id = MC_LIT("can0"), .dbc_name = "a.dbc", .dbc_text = mc_slice_str(dbc),
                      .map_json = MC_LIT("{\"Vehicle.Speed\":\"ENGINE.Rpm\",\"Vehicle.CurrentLocation.Latitude\":\"ENGINE.Lat\","
                                         "\"Vehicle.CurrentLocation.Longitude\":\"ENGINE.Lon\"}")};
  mc_campaign_collect collect = {.fqn = MC_LIT("Vehicle.Speed")};
  mc_campaign campaign = {.tenant = MC_TENANT_DEFAULT, .name = MC_LIT("c"), .target_kind = MC_LIT("all"), .period_ms = 1000, .signal = &collect, .signal_count = 1};
  mc_buf cert = {0}, key = {0};
  mc_block_builder b = {0};
  int64_t time_us;
  if (mc_campaign_import_dbc(w.campaigns, &in, &report, &why) || mc_campaign_create(w.campaigns, &campaign, true, &arena, &why) ||
      mc_registry_certificate_issue(w.registry, MC_TENANT_DEFAULT, MC_LIT("truck-7"), 10, &cert, &key, &why) ||
      mc_clock_parse_us(MC_LIT("2026-11-22T10:41:36Z"), &time_us))
    abort();
  for (int i = 0; i < 30; i++)
    for (uint32_t signal = 1; signal <= 3; signal++)
      mc_block_builder_add(&b, w.vehicle, signal, 0, time_us + i * 1000000, MC_SAMPLE_DOUBLE, 0, (mc_sample_value){.dbl = i});
  mc_block block = mc_block_builder_view(&b);
  block.tenant = MC_TENANT_DEFAULT;
  block.next_offset = 1;
  if (mc_twin_apply(w.twin, &block, &why) || mc_store_append(w.store, &block, &why))
    abort();
  mc_block_builder_free(&b);
  mc_buf_free(&cert);
  mc_buf_free(&key);
}

static void begin(void)
{
  mc_why why = {0};
  mc_buf cert = w.ca_cert, key = w.ca_key;
  w = (world){.ca_cert = cert, .ca_key = key}; /* made once: the slowest part */
  if (!world_open(&w, &(world_config){.rate_per_s = 1e9, .metrics_open = true, .by_hand = true}))
    abort();
  if (!map && mc_geo_make_town(7, &map, NULL, &why))
    abort();
  mc_api_set_map(w.api, map, NULL);
  furnish();
  mc_http_server_config config = {.max_body = 1 << 20, .request = on_request, .ctx = w.api};
  if (mc_http_server_create(&config, &http))
    abort();
  cookie[0] = 0;
}

static void end(void)
{
  mc_buf cert = w.ca_cert, key = w.ca_key;
  w.ca_cert = w.ca_key = (mc_buf){0};
  world_close(&w);
  mc_http_server_destroy(&http);
  w.ca_cert = cert;
  w.ca_key = key;
}

static void end_all(void)
{
  end();
  mc_geo_map_destroy(&map);
  mc_buf_free(&w.ca_cert);
  mc_buf_free(&w.ca_key);
}

/* The bytes, with who asks behind every request line. */
static void put_credentials(mc_slice in, uint8_t mode, mc_buf *out)
{
  static const char version[] = " HTTP/1.1\r\n";
  for (size_t at = 0; at < in.len;) {
    const uint8_t *line = mode & 3 ? memmem(in.data + at, in.len - at, version, sizeof version - 1) : NULL;
    size_t n = line ? (size_t)(line - in.data) + sizeof version - 1 - at : in.len - at;
    mc_buf_append(out, in.data + at, n);
    if (line && (mode & 1))
      mc_buf_printf(out, "Authorization: Bearer %s\r\n", w.token[MC_ROLE_ADMIN]);
    if (line && (mode & 2))
      mc_buf_printf(out, "Cookie: mc_session=%s\r\nX-CSRF-Token: %s\r\n", cookie, csrf);
    at += n;
  }
}

/* One answer off the front; its length, 0: none is whole. */
static size_t check_answer(mc_slice in)
{
  const uint8_t *end_of_head = in.len ? memmem(in.data, in.len, "\r\n\r\n", 4) : NULL;
  if (!end_of_head)
    return 0;
  char head[8192];
  size_t n = (size_t)(end_of_head - in.data) + 4;
  if (n >= sizeof head || !mc_slice_to_str(mc_slice_of(in.data, n), head, sizeof head))
    abort();
  int status = strncmp(head, "HTTP/1.1 ", 9) ? 0 : atoi(head + 9);
  if (status < 100 || status > 599 || status == 500)
    abort();
  if (status == 101) /* frames follow: another target's matter */
    return in.len;
  const char *length = strstr(head, "\r\nContent-Length: ");
  size_t body = length ? strtoul(length + 18, NULL, 10) : 0;
  bool json = strstr(head, "\r\nContent-Type: application/json") || strstr(head, "\r\nContent-Type: application/problem+json");
  if (body > in.len - n) /* cut off by the end, or the answer to a HEAD */
    return 0;
  if (json && body) {
    json_t *root = json_loadb((const char *)in.data + n, body, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (!root)
      abort();
    json_decref(root);
  }
  return n + body;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static int runs;
  static bool stays;
  if (size < 1)
    return 0;
  if (!stays)
    stays = !atexit(end_all);
  if (runs++ % RENEW == 0) {
    if (runs > 1)
      end();
    begin();
  }
  sign_in();
  mc_buf in = {0}, got = {0};
  put_credentials(mc_slice_of(data + 1, size - 1), data[0], &in);
  int fd = adopt(w.loop, mc_http_server_handler(), http);
  size_t cut = data[0] & 4 ? in.len / 2 : in.len;
  bool open = adopted_write(w.loop, fd, mc_slice_sub(mc_buf_slice(&in), 0, cut), &got) &&
              adopted_write(w.loop, fd, mc_slice_sub(mc_buf_slice(&in), cut, in.len), &got);
  shutdown(fd, SHUT_WR);
  for (int i = 0; open && i < 200; i++) {
    mc_loop_turn(w.loop, 0);
    open = adopted_read(fd, &got);
  }
  bool head = in.len && memmem(in.data, in.len, "HEAD ", 5);
  for (mc_slice rest = mc_buf_slice(&got); rest.len && !head;) {
    size_t n = check_answer(rest);
    if (!n)
      break;
    rest = mc_slice_sub(rest, n, rest.len);
  }
  close(fd);
  for (int i = 0; i < 3; i++)
    mc_loop_turn(w.loop, 0);
  mc_buf_free(&in);
  mc_buf_free(&got);
  return 0;
}
