/* What people and programs meet at the API: sign-in, bodies, pages, repeats, limits, files, audit. */
#include <openssl/sha.h>

#include "api_fixture.h"

static world w;
static world_config config = {.rate_per_s = 100};

static answer as_admin(const char *method, const char *target, const char *body)
{
  return ask(&w, w.token[MC_ROLE_ADMIN], method, target, body);
}

#define EXPECT(a, want)                                                                                              \
  do {                                                                                                               \
    if ((a).status != (want))                                                                                        \
      TAP_FAIL("status %d, want %d: %.300s", (a).status, (want), (a).body.data ? (const char *)(a).body.data : ""); \
  } while (0)

/* ---- signing in ---- */

/* "mc_session=..." of a Set-Cookie header, as a Cookie header line. */
static void cookie_line(const answer *a, char out[256])
{
  const char *cookie = header_of(a, "set-cookie");
  snprintf(out, 256, "Cookie: %.*s\r\n", (int)strcspn(cookie, ";"), cookie);
}

static void test_signs_in_by_password_and_guards_changes_with_csrf(void)
{
  char cookie[256], headers[512];
  answer a = ask(&w, NULL, "POST", "/api/v1/session", "{\"name\":\"ada\",\"password\":\"correct horse battery\"}");
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "name"), "ada");
  CHECK_STR(text_of(&a, "tenant"), "default");
  CHECK(json_array_size(json_object_get(a.json, "permissions")) == mc_access_permission_count());
  CHECK(strstr(header_of(&a, "set-cookie"), "HttpOnly") && strstr(header_of(&a, "set-cookie"), "SameSite=Strict"));
  char csrf[80];
  snprintf(csrf, sizeof csrf, "%s", text_of(&a, "csrf"));
  cookie_line(&a, cookie);
  answer_free(&a);
  a = ask_raw(&w, "GET", "/api/v1/me", cookie, (mc_slice){0}, false);
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "csrf"), csrf);
  answer_free(&a);
  snprintf(headers, sizeof headers, "%sContent-Type: application/json\r\n", cookie);
  a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"csrf-1\"}"), true);
  EXPECT(a, 403);
  CHECK(strstr(text_of(&a, "detail"), "X-CSRF-Token"));
  answer_free(&a);
  snprintf(headers, sizeof headers, "%sContent-Type: application/json\r\nX-CSRF-Token: %s\r\n", cookie, csrf);
  a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"csrf-1\"}"), true);
  EXPECT(a, 201);
  answer_free(&a);
  a = ask_raw(&w, "PUT", "/api/v1/me/password", headers, MC_LIT("{\"current\":\"wrong wrong wrong\",\"password\":\"another long password\"}"), true);
  EXPECT(a, 400);
  CHECK_STR(text_of(&a, "field"), "/current");
  answer_free(&a);
  a = ask_raw(&w, "PUT", "/api/v1/me/password", headers, MC_LIT("{\"current\":\"correct horse battery\",\"password\":\"another long password\"}"), true);
  EXPECT(a, 204);
  char fresh[256];
  cookie_line(&a, fresh);
  answer_free(&a);
  a = ask_raw(&w, "GET", "/api/v1/me", cookie, (mc_slice){0}, false);
  EXPECT(a, 401); /* the old session ended with the old password */
  answer_free(&a);
  a = ask_raw(&w, "GET", "/api/v1/me", fresh, (mc_slice){0}, false);
  EXPECT(a, 200);
  snprintf(headers, sizeof headers, "%sX-CSRF-Token: %s\r\n", fresh, text_of(&a, "csrf"));
  answer_free(&a);
  a = ask_raw(&w, "DELETE", "/api/v1/session", headers, (mc_slice){0}, false);
  EXPECT(a, 204);
  CHECK(strstr(header_of(&a, "set-cookie"), "Max-Age=0"));
  answer_free(&a);
  a = ask_raw(&w, "GET", "/api/v1/me", fresh, (mc_slice){0}, false);
  EXPECT(a, 401);
  answer_free(&a);
}

static void test_signs_in_by_link_once(void)
{
  char code[64], body[128];
  CHECK_OK(mc_registry_link_create(w.registry, MC_TENANT_DEFAULT, w.ada.id, code, NULL));
  snprintf(body, sizeof body, "{\"code\":\"%s\"}", code);
  answer a = ask(&w, NULL, "POST", "/api/v1/session/link", body);
  EXPECT(a, 200);
  answer_free(&a);
  a = ask(&w, NULL, "POST", "/api/v1/session/link", body);
  EXPECT(a, 401);
  CHECK(strstr(text_of(&a, "detail"), "ask for a new one"));
  answer_free(&a);
}

static void test_guessing_passwords_is_slowed_down(void)
{
  int status = 0;
  for (int i = 0; i < 60 && status != 429; i++) {
    answer a = ask(&w, NULL, "POST", "/api/v1/session", "{\"name\":\"mallory\",\"password\":\"guess\"}");
    status = a.status;
    if (status == 429)
      CHECK(atoi(header_of(&a, "retry-after")) >= 1);
    else
      EXPECT(a, 401);
    answer_free(&a);
  }
  CHECK_INT(status, 429);
}

/* ---- bodies ---- */

static void test_hostile_bodies_are_refused_with_the_field(void)
{
  static const struct {
    const char *target, *body, *field, *part;
  } bad[] = {
      {"/api/v1/vehicles", "", "", "JSON"},
      {"/api/v1/vehicles", "{", "", "line 1"},
      {"/api/v1/vehicles", "[]", "", "an object"},
      {"/api/v1/vehicles", "null", "", "an object"},
      {"/api/v1/vehicles", "{}", "/name", "missing"},
      {"/api/v1/vehicles", "{\"name\":7}", "/name", "expected text"},
      {"/api/v1/vehicles", "{\"name\":\"a/#\"}", "/name", "form"},
      {"/api/v1/vehicles", "{\"name\":\"a\\u0000b\"}", "", "JSON"},
      {"/api/v1/vehicles", "{\"name\":\"a\",\"name\":\"b\"}", "", "duplicate"},
      {"/api/v1/vehicles", "{\"name\":\"a\",\"vim\":\"x\"}", "/vim", "spelling"},
      {"/api/v1/vehicles", "{\"name\":\"a\",\"vin\":\"IOQ\"}", "/vin", "form"},
      {"/api/v1/vehicles", "{\"name\":\"a\",\"year\":1e99}", "/year", "whole number"},
      {"/api/v1/vehicles", "{\"name\":\"a\",\"year\":1200}", "/year", "at least 1900"},
      {"/api/v1/vehicles", "{\"name\":\"a\",\"manifest\":\"none-such\"}", "/manifest", "no decoder manifest"},
      {"/api/v1/campaigns", "{\"name\":\"c\",\"target_kind\":\"all\",\"kind\":\"time\",\"signals\":[]}", "/signals", "at least 1"},
      {"/api/v1/campaigns", "{\"name\":\"c\",\"target_kind\":\"all\",\"kind\":\"time\",\"signals\":[{\"fqn\":\"a\"},{\"fqn\":3}]}", "/signals/1/fqn", "expected text"},
      {"/api/v1/campaigns", "{\"name\":\"c\",\"target_kind\":\"some\",\"kind\":\"time\",\"signals\":[{\"fqn\":\"a\"}]}", "/target_kind", "all, fleet, manifest, vehicle"},
      {"/api/v1/campaigns", "{\"name\":\"c\",\"target_kind\":\"all\",\"kind\":\"condition\",\"signals\":[{\"fqn\":\"a\"}]}", "/expression", "needs its expression"},
      {"/api/v1/tokens", "{\"name\":\"t\",\"role\":\"viewer\",\"expires\":\"tomorrow\"}", "/expires", "RFC 3339"},
      {"/api/v1/users", "{\"name\":\"u\",\"role\":\"viewer\",\"password\":\"short\"}", "/password", "at least 10"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    answer a = as_admin("POST", bad[i].target, bad[i].body);
    if (a.status != 400 || strcmp(text_of(&a, "field"), bad[i].field) || !strstr(text_of(&a, "detail"), bad[i].part))
      TAP_FAIL("%s: %d, field \"%s\", detail \"%s\"", bad[i].body, a.status, text_of(&a, "field"), text_of(&a, "detail"));
    answer_free(&a);
  }
  mc_buf deep = {0};
  for (int i = 0; i < 100000; i++)
    mc_buf_append_str(&deep, "[");
  mc_buf_append_u8(&deep, 0);
  answer a = as_admin("POST", "/api/v1/vehicles", (const char *)deep.data);
  EXPECT(a, 400);
  answer_free(&a);
  mc_buf_free(&deep);
  char token[128];
  snprintf(token, sizeof token, "Authorization: Bearer %s\r\nContent-Type: text/plain\r\n", w.token[MC_ROLE_ADMIN]);
  a = ask_raw(&w, "POST", "/api/v1/vehicles", token, MC_LIT("{\"name\":\"form\"}"), true);
  EXPECT(a, 415);
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_ADMIN], "GET", "/api/v1/vehicles?limit=0", NULL);
  EXPECT(a, 400);
  CHECK_STR(text_of(&a, "field"), "limit");
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_ADMIN], "GET", "/api/v1/vehicles/1/history?from=a&to=b&signals=1", NULL);
  EXPECT(a, 400);
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_ADMIN], "GET", "/api/v1/vehicles/99999999999999999999", NULL);
  EXPECT(a, 404);
  answer_free(&a);
}

/* ---- pages, repeats ---- */

static void test_lists_come_in_pages_without_gaps_or_repeats(void)
{
  char body[64], target[256] = "/api/v1/vehicles?limit=7&filter=page-";
  for (int i = 0; i < 20; i++) {
    snprintf(body, sizeof body, "{\"name\":\"page-%02d\"}", i);
    answer a = as_admin("POST", "/api/v1/vehicles", body);
    EXPECT(a, 201);
    answer_free(&a);
  }
  int seen = 0, pages = 0;
  for (; pages < 10; pages++) {
    answer a = as_admin("GET", target, NULL);
    EXPECT(a, 200);
    json_t *items = json_object_get(a.json, "items"), *item;
    size_t i;
    json_array_foreach (items, i, item) {
      char want[16];
      snprintf(want, sizeof want, "page-%02d", seen++);
      CHECK_STR(json_string_value(json_object_get(item, "name")), want);
      CHECK_STR(json_string_value(json_object_get(item, "motion")), "unknown");
    }
    char next[128];
    snprintf(next, sizeof next, "%s", text_of(&a, "next"));
    answer_free(&a);
    if (!next[0])
      break;
    snprintf(target, sizeof target, "/api/v1/vehicles?limit=7&filter=page-&after=%s", next);
  }
  CHECK_INT(seen, 20);
  CHECK_INT(pages, 2);
}

static void test_an_idempotency_key_creates_once(void)
{
  char headers[256];
  snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: k-1\r\n", w.token[MC_ROLE_ADMIN]);
  answer a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"once\"}"), true);
  EXPECT(a, 201);
  json_int_t id = json_integer_value(json_object_get(a.json, "id"));
  answer_free(&a);
  a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"once\"}"), true);
  EXPECT(a, 201);
  CHECK_INT(json_integer_value(json_object_get(a.json, "id")), id);
  CHECK_STR(header_of(&a, "idempotency-replayed"), "true");
  answer_free(&a);
  a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"twice\"}"), true);
  EXPECT(a, 422);
  answer_free(&a);
  snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: k-1\r\n", w.other);
  a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"once\"}"), true);
  EXPECT(a, 201); /* keys are the principal's own */
  CHECK(json_integer_value(json_object_get(a.json, "id")) != id);
  answer_free(&a);
  snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: k-2\r\n", w.token[MC_ROLE_ADMIN]);
  a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"once\"}"), true);
  EXPECT(a, 409); /* a failure does not use up the key */
  answer_free(&a);
  a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"once-2\"}"), true);
  EXPECT(a, 201);
  answer_free(&a);
  snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: secret\r\n", w.token[MC_ROLE_ADMIN]);
  a = ask_raw(&w, "POST", "/api/v1/tokens", headers, MC_LIT("{\"name\":\"t\",\"role\":\"viewer\"}"), true);
  EXPECT(a, 201);
  CHECK(!strncmp(text_of(&a, "secret"), "mct_", 4));
  answer_free(&a);
  a = ask_raw(&w, "POST", "/api/v1/tokens", headers, MC_LIT("{\"name\":\"t\",\"role\":\"viewer\"}"), true);
  EXPECT(a, 409); /* secrets are not kept for a second look */
  CHECK(strstr(text_of(&a, "detail"), "shown once"));
  answer_free(&a);
}

/* ---- certificates ---- */

static void test_a_certificate_is_issued_listed_and_revoked(void)
{
  char target[256];
  snprintf(target, sizeof target, "/api/v1/vehicles/%u/certificates", w.vehicle);
  answer a = as_admin("POST", target, "{\"days\":30}");
  EXPECT(a, 201);
  CHECK(strstr(text_of(&a, "private_key_pem"), "PRIVATE KEY"));
  char id[80];
  snprintf(id, sizeof id, "%s", json_string_value(json_object_get(json_object_get(a.json, "certificate"), "id")));
  CHECK_INT(strlen(id), 64);
  answer_free(&a);
  a = as_admin("GET", target, NULL);
  EXPECT(a, 200);
  CHECK_INT(json_array_size(json_object_get(a.json, "items")), 1);
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/certificates/%s", id);
  a = as_admin("PATCH", target, "{\"state\":\"revoked\"}");
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "state"), "revoked");
  answer_free(&a);
  a = as_admin("PATCH", target, "{\"state\":\"active\"}");
  EXPECT(a, 409);
  CHECK(strstr(text_of(&a, "detail"), "stays so"));
  answer_free(&a);
}

/* ---- audit ---- */

typedef struct chain {
  size_t records, broken, leaked, refused, created, repeated;
} chain;

/* Walks the AUDIT stream as a verifier would: seq and prev fit, a record may repeat the one before byte for byte. */
static chain read_chain(void)
{
  chain c = {0};
  mc_journal_reader *reader;
  mc_journal_filter filter = {.streams = 1u << MC_STREAM_AUDIT};
  if (mc_journal_reader_create(w.journal, 0, filter, &reader, NULL))
    return c;
  mc_record record;
  uint8_t head[32];
  char want[65] = "";
  mc_buf last = {0};
  while (mc_journal_reader_next(reader, &record, NULL) == MC_OK) {
    if (last.len && mc_slice_eq(mc_buf_slice(&last), record.payload)) {
      c.repeated++;
      continue;
    }
    json_t *p = json_loadb((const char *)record.payload.data, record.payload.len, 0, NULL);
    const char *prev = json_string_value(json_object_get(p, "prev")), *operation = json_string_value(json_object_get(p, "operation"));
    json_int_t status = json_integer_value(json_object_get(p, "status"));
    c.broken += json_integer_value(json_object_get(p, "seq")) != (json_int_t)c.records + 1 || (c.records && (!prev || strcmp(prev, want)));
    c.leaked += memmem(record.payload.data, record.payload.len, "secret password", 15) != NULL;
    c.refused += operation && !strcmp(operation, "vehicle_create") && status == 403;
    c.created += operation && !strcmp(operation, "user_create") && status == 201;
    json_decref(p);
    SHA256(record.payload.data, record.payload.len, head);
    for (int i = 0; i < 32; i++)
      snprintf(want + 2 * i, 3, "%02x", head[i]);
    mc_buf_clear(&last);
    mc_buf_append_slice(&last, record.payload);
    c.records++;
  }
  mc_buf_free(&last);
  mc_journal_reader_destroy(&reader);
  return c;
}

static void test_every_change_is_in_a_hash_chain_without_secrets(void)
{
  answer a = as_admin("POST", "/api/v1/users", "{\"name\":\"eve\",\"role\":\"viewer\",\"password\":\"my very secret password\"}");
  EXPECT(a, 201);
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_VIEWER], "POST", "/api/v1/vehicles", "{\"name\":\"not-allowed\"}");
  EXPECT(a, 403);
  answer_free(&a);
  chain c = read_chain();
  CHECK(c.records > 20);
  CHECK_INT(c.broken, 0);
  CHECK_INT(c.leaked, 0);
  CHECK(c.refused >= 1);
  CHECK_INT(c.created, 1);
}

static void test_a_restart_goes_on_with_chain_keys_and_tokens(void)
{
  mc_why why = {0};
  size_t before = read_chain().records;
  CHECK(before > 0);
  world_stop_modules(&w);
  CHECK_OK(world_modules(&w, &config, &why));
  char headers[256];
  snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: k-1\r\n", w.token[MC_ROLE_ADMIN]);
  answer a = ask_raw(&w, "POST", "/api/v1/vehicles", headers, MC_LIT("{\"name\":\"once\"}"), true);
  EXPECT(a, 201);
  CHECK_STR(header_of(&a, "idempotency-replayed"), "true");
  answer_free(&a);
  a = as_admin("POST", "/api/v1/vehicles", "{\"name\":\"after-restart\"}");
  EXPECT(a, 201);
  answer_free(&a);
  /* A crash between db and journal: the newest record is written again, byte for byte. */
  world_stop_modules(&w);
  mc_db *db;
  CHECK_OK(mc_db_open_sqlite(world_path(&w, "motorcade.db"), &db, &why));
  CHECK_OK(mc_db_run(db, &why, "UPDATE api_audit_head SET saved = 0", ""));
  mc_db_close(&db);
  CHECK_OK(world_modules(&w, &config, &why));
  a = as_admin("POST", "/api/v1/vehicles", "{\"name\":\"after-crash\"}");
  EXPECT(a, 201);
  answer_free(&a);
  chain c = read_chain();
  CHECK_INT(c.broken, 0);
  CHECK_INT(c.repeated, 1);
  CHECK_INT(c.records, before + 2);
}

/* ---- health, metrics, description ---- */

static void test_health_and_description_are_public_and_metrics_are_not(void)
{
  answer a = ask(&w, NULL, "GET", "/api/v1/health", NULL);
  EXPECT(a, 200);
  CHECK(json_is_true(json_object_get(a.json, "ok")));
  CHECK_STR(text_of(&a, "version"), "test");
  CHECK_STR(header_of(&a, "x-content-type-options"), "nosniff");
  CHECK_STR(header_of(&a, "cache-control"), "no-store");
  answer_free(&a);
  a = ask(&w, NULL, "GET", "/api/v1/openapi.json", NULL);
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "openapi"), "3.1.0");
  json_t *paths = json_object_get(a.json, "paths");
  for (size_t i = 0; i < api_operation_count; i++)
    if (!json_object_get(paths, api_operation_table[i].path))
      TAP_FAIL("%s is not in the description", api_operation_table[i].path);
  answer_free(&a);
  a = ask(&w, NULL, "GET", "/metrics", NULL);
  EXPECT(a, 401);
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_OPERATOR], "GET", "/metrics", NULL);
  EXPECT(a, 200);
  CHECK(strstr((const char *)a.body.data, "motorcade_http_requests_total{operation=\"health\"}"));
  CHECK(strstr((const char *)a.body.data, "motorcade_connections "));
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_VIEWER], "HEAD", "/api/v1/me", NULL);
  EXPECT(a, 200);
  CHECK_INT(a.body.len, 0);
  answer_free(&a);
}

/* ---- the portal's files ---- */

static void test_serves_the_portal_with_strict_headers(void)
{
  answer a = ask_raw(&w, "GET", "/", "Accept-Encoding: gzip, br\r\n", (mc_slice){0}, false);
  EXPECT(a, 200);
  CHECK_STR((const char *)a.body.data, "compressed page");
  CHECK_STR(header_of(&a, "content-encoding"), "br");
  CHECK_STR(header_of(&a, "content-type"), "text/html; charset=utf-8");
  CHECK_STR(header_of(&a, "cache-control"), "no-cache");
  CHECK(strstr(header_of(&a, "content-security-policy"), "script-src 'self'") && !strstr(header_of(&a, "content-security-policy"), "script-src 'self' 'unsafe"));
  char etag[64], line[96];
  snprintf(etag, sizeof etag, "%s", header_of(&a, "etag"));
  answer_free(&a);
  snprintf(line, sizeof line, "If-None-Match: %s\r\n", etag);
  a = ask_raw(&w, "GET", "/", line, (mc_slice){0}, false);
  EXPECT(a, 304);
  answer_free(&a);
  a = ask_raw(&w, "GET", "/vehicles/7", "Accept: text/html\r\nAccept-Encoding: br;q=0\r\n", (mc_slice){0}, false);
  EXPECT(a, 200); /* a page of the portal */
  CHECK_STR((const char *)a.body.data, "<!doctype html>page");
  answer_free(&a);
  a = ask_raw(&w, "GET", "/assets/app-0a1b2c3d.js", "", (mc_slice){0}, false);
  EXPECT(a, 200);
  CHECK(strstr(header_of(&a, "cache-control"), "immutable"));
  answer_free(&a);
  static const char *const absent[] = {"/assets/none.js", "/index.html.br", "/../motorcade.db", "/%2e%2e/motorcade.db", "/.hidden", "/link.txt"};
  for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
    a = ask_raw(&w, "GET", absent[i], "Accept: text/html\r\n", (mc_slice){0}, false);
    if (a.status == 200)
      TAP_FAIL("%s was served: %.100s", absent[i], (const char *)a.body.data);
    answer_free(&a);
  }
}

/* ---- Host ---- */

static answer ask_host(const char *target, const char *host)
{
  answer a = {0};
  mc_buf out = {0};
  mc_buf_printf(&out, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, host);
  int fd = world_connect(&w);
  if (fd >= 0 && send_all(fd, mc_buf_slice(&out)))
    read_answer(fd, &a, false);
  if (fd >= 0)
    close(fd);
  mc_buf_free(&out);
  return a;
}

static void test_without_tls_only_our_own_names_are_answered(void)
{
  static const char *const ours[] = {"localhost", "localhost:8080", "LocalHost", "localhost.", "127.0.0.1", "127.8.9.1:1", "[::1]", "[::1]:8080", "portal.localhost:1",
                                     "fleet.example.org", "FLEET.example.org:8080", "192.0.2.7", "[2001:db8::7]:8080"};
  static const char *const foreign[] = {"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "192.0.2.8", "[2001:db8::8]",
                                        "fleet.example.org.evil.example", "xfleet.example.org", "example.org", "[::1", "[::1]x", "127.1", "127.0.0.1:80:80", ".localhost", ":8080", ","};
  static const char *const target[] = {"/", "/api/v1/health", "/api/v1/live", "/none.txt"};
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
    answer a = ask_host("/api/v1/health", ours[i]);
    if (a.status != 200)
      TAP_FAIL("Host %s: status %d", ours[i], a.status);
    CHECK_STR(header_of(&a, "strict-transport-security"), ""); /* there is no TLS to insist on */
    answer_free(&a);
  }
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
    for (size_t t = 0; t < sizeof target / sizeof target[0]; t++) {
      answer a = ask_host(target[t], foreign[i]);
      if (a.status != 421)
        TAP_FAIL("Host %s, %s: status %d", foreign[i], target[t], a.status);
      CHECK(strstr(text_of(&a, "detail"), foreign[i]) && strstr(text_of(&a, "detail"), "--names"));
      answer_free(&a);
    }
  answer a = ask_host("/api/v1/health", "");
  EXPECT(a, 421);
  answer_free(&a);
}

/* ---- map ---- */

static void test_map_tiles_need_a_map(void)
{
  answer a = as_admin("GET", "/api/v1/map", NULL);
  EXPECT(a, 404);
  CHECK(strstr(text_of(&a, "detail"), "OSM"));
  answer_free(&a);
  a = as_admin("GET", "/api/v1/map/tiles/10/1/1", NULL);
  EXPECT(a, 404);
  answer_free(&a);
}

/* ---- limits ---- */

static void test_too_many_requests_are_told_to_wait(void)
{
  static world strict;
  CHECK(world_open(&strict, &(world_config){.rate_per_s = 2})); /* so few that any machine asks for more */
  answer a = {0};
  for (int i = 0; i < 200 && a.status != 429; i++) {
    answer_free(&a);
    a = ask(&strict, strict.token[MC_ROLE_VIEWER], "GET", "/api/v1/me", NULL);
    CHECK(i > 7 || a.status == 200); /* bursts of four seconds' worth */
  }
  EXPECT(a, 429);
  CHECK(atoi(header_of(&a, "retry-after")) >= 1);
  answer_free(&a);
  a = ask(&strict, strict.token[MC_ROLE_ADMIN], "GET", "/api/v1/me", NULL); /* others go on */
  EXPECT(a, 200);
  answer_free(&a);
  world_close(&strict);
}

static void write_file(const char *dir, const char *name, const char *text)
{
  char path[256];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "w");
  if (f) {
    fputs(text, f);
    fclose(f);
  }
}

int main(void)
{
  char portal[64] = "/tmp/mc-portal-XXXXXX", command[200];
  if (!mkdtemp(portal))
    return 1;
  snprintf(command, sizeof command, "mkdir %s/assets && ln -s /etc/hostname %s/link.txt", portal, portal);
  if (system(command))
    return 1;
  write_file(portal, "index.html", "<!doctype html>page");
  write_file(portal, "index.html.br", "compressed page");
  write_file(portal, ".hidden", "hidden");
  write_file(portal, "assets/app-0a1b2c3d.js", "let x = 1");
  config.portal_dir = portal;
  if (!world_open(&w, &config))
    return 1;
  RUN(test_signs_in_by_password_and_guards_changes_with_csrf);
  RUN(test_signs_in_by_link_once);
  RUN(test_hostile_bodies_are_refused_with_the_field);
  RUN(test_lists_come_in_pages_without_gaps_or_repeats);
  RUN(test_an_idempotency_key_creates_once);
  RUN(test_a_certificate_is_issued_listed_and_revoked);
  RUN(test_every_change_is_in_a_hash_chain_without_secrets);
  RUN(test_health_and_description_are_public_and_metrics_are_not);
  RUN(test_serves_the_portal_with_strict_headers);
  RUN(test_without_tls_only_our_own_names_are_answered);
  RUN(test_map_tiles_need_a_map);
  RUN(test_guessing_passwords_is_slowed_down);
  RUN(test_too_many_requests_are_told_to_wait);
  RUN(test_a_restart_goes_on_with_chain_keys_and_tokens);
  world_close(&w);
  snprintf(command, sizeof command, "rm -rf %s", portal);
  if (system(command))
    return 1;
  return tap_done();
}
