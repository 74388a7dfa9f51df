#include "pair.h"

#include <pthread.h>

static mc_loop *loop;

/* What the application under test does with a request. */
typedef struct app {
  int requests;
  char method[16], path[256], query[128], body[8192], host[64];
  size_t body_len;
  bool keep; /* answer later */
  mc_http_request *kept;
  bool on_thread;
  pthread_t thread;
  mc_slice static_body;
} app;

static void copy(char *to, size_t size, mc_slice s) { mc_slice_to_str(s, to, size); }

static void *answer_on_thread(void *arg)
{
  mc_http_reply reply = {200, "text/plain", MC_LIT("from a thread"), NULL, 0};
  mc_http_answer(arg, &reply);
  return NULL;
}

static void on_request(void *ctx, mc_http_request *r)
{
  app *a = ctx;
  a->requests++;
  copy(a->method, sizeof a->method, r->method);
  copy(a->path, sizeof a->path, r->path);
  copy(a->query, sizeof a->query, r->query);
  copy(a->body, sizeof a->body, r->body);
  a->body_len = r->body.len;
  copy(a->host, sizeof a->host, mc_http_request_header(r, "host"));
  if (a->keep) {
    a->kept = r;
  } else if (a->on_thread) {
    pthread_create(&a->thread, NULL, answer_on_thread, r);
  } else if (a->static_body.len) {
    mc_http_reply reply = {200, "text/plain", a->static_body, NULL, 0};
    mc_http_answer_static(r, &reply);
  } else {
    char text[320];
    snprintf(text, sizeof text, "<%s>", a->path);
    mc_http_header extra[2] = {{MC_LIT("x-extra"), MC_LIT("yes")}, {MC_LIT("x-bad"), a->requests == 1 ? MC_LIT("a\r\nx-injected: 1") : MC_LIT("fine")}};
    mc_http_reply reply = {200, "text/plain", mc_slice_str(text), extra, 2};
    mc_http_answer(r, &reply);
  }
}

typedef struct fixture {
  app app;
  mc_http_server *server;
  mc_listener *listener;
  end client;
} fixture;

static bool fixture_start(fixture *f, int64_t idle_ms)
{
  *f = (fixture){0};
  mc_http_server_config sc = {.max_body = 5000, .max_headers = 2000, .idle_ms = idle_ms, .request = on_request, .ctx = &f->app};
  mc_why why;
  if (mc_http_server_create(&sc, &f->server))
    return false;
  mc_listener_config lc = {.host = "127.0.0.1", .handler = mc_http_server_handler(), .ctx = f->server};
  if (mc_listener_create(loop, &lc, &f->listener, &why) ||
      mc_conn_open(loop, "127.0.0.1", mc_listener_port(f->listener), NULL, &end_handler, &f->client, &f->client.conn, &why))
    return false;
  while (!f->client.opened && !f->client.closed)
    mc_loop_turn(loop, 10);
  return f->client.opened;
}

static void fixture_stop(fixture *f)
{
  if (f->client.conn)
    mc_conn_close(f->client.conn);
  TURN_WHILE(loop, !f->client.closed);
  for (int i = 0; i < 5; i++)
    mc_loop_turn(loop, 1);
  mc_listener_destroy(&f->listener);
  mc_http_server_destroy(&f->server);
  mc_buf_free(&f->client.got);
}

static const char *got(fixture *f)
{
  static char text[65536];
  mc_slice_to_str(mc_buf_slice(&f->client.got), text, sizeof text);
  return text;
}

static void send_text(fixture *f, const char *text)
{
  mc_conn_write(f->client.conn, mc_slice_str(text));
}

/* Sends, waits until `count` answers came or the server closed. */
static int answers(fixture *f)
{
  int n = 0;
  for (const char *p = got(f); (p = strstr(p, "X-Request-Id: ")); p++)
    n++;
  return n;
}

static void test_get_is_answered_and_kept_alive(void)
{
  fixture f;
  CHECK(fixture_start(&f, 0));
  send_text(&f, "GET /things/a%20b%2Fc?x=1&name=k%C3%A4se+brot HTTP/1.1\r\nHost: example\r\n\r\n");
  TURN_UNTIL(loop, strstr(got(&f), "</things/a b/c>"));
  CHECK_STR(f.app.method, "GET");
  CHECK_STR(f.app.query, "x=1&name=k%C3%A4se+brot");
  CHECK_STR(f.app.host, "example");
  CHECK(strstr(got(&f), "HTTP/1.1 200 OK\r\n") == got(&f));
  CHECK(strstr(got(&f), "Content-Length: 15\r\n"));
  CHECK(strstr(got(&f), "X-Request-Id: "));
  CHECK(strstr(got(&f), "x-extra: yes\r\n"));
  CHECK(!strstr(got(&f), "injected"));
  f.client.got.len = 0;
  send_text(&f, "GET /again HTTP/1.1\r\nHost: example\r\n\r\n");
  TURN_UNTIL(loop, strstr(got(&f), "</again>"));
  CHECK(!f.client.closed);
  fixture_stop(&f);
}

static void test_every_split_of_a_request_parses_the_same(void)
{
  const char *text = "POST /p?q=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-Long: abc def\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
  fixture f;
  CHECK(fixture_start(&f, 0));
  for (size_t cut = 1; cut < strlen(text); cut++) {
    f.client.got.len = 0;
    int before = f.app.requests;
    mc_conn_write(f.client.conn, mc_slice_of(text, cut));
    mc_loop_turn(loop, 1);
    mc_loop_turn(loop, 0);
    mc_conn_write(f.client.conn, mc_slice_str(text + cut));
    TURN_UNTIL(loop, strstr(got(&f), "</p>"));
    CHECK_INT(f.app.requests, before + 1);
    CHECK_STR(f.app.body, "hello world");
  }
  fixture_stop(&f);
}

static void test_pipelined_requests_are_answered_in_order(void)
{
  fixture f;
  CHECK(fixture_start(&f, 0));
  f.app.keep = true;
  send_text(&f, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
  const char *want[] = {"/1", "/2", "/3"};
  for (int i = 0; i < 3; i++) {
    TURN_UNTIL(loop, f.app.kept);
    CHECK_INT(f.app.requests, i + 1); /* the next waits */
    CHECK_STR(f.app.path, want[i]);
    mc_http_request *r = f.app.kept;
    f.app.kept = NULL;
    mc_http_reply reply = {200, NULL, r->path, NULL, 0};
    mc_http_answer(r, &reply);
  }
  TURN_UNTIL(loop, answers(&f) == 3);
  fixture_stop(&f);
}

static void test_head_has_headers_only(void)
{
  fixture f;
  CHECK(fixture_start(&f, 0));
  send_text(&f, "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n");
  TURN_UNTIL(loop, strstr(got(&f), "\r\n\r\n"));
  CHECK(strstr(got(&f), "Content-Length: 4\r\n"));
  CHECK(!strstr(got(&f), "</h>"));
  fixture_stop(&f);
}

static void test_expect_continue_is_answered_before_the_body(void)
{
  fixture f;
  CHECK(fixture_start(&f, 0));
  send_text(&f, "PUT /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  TURN_UNTIL(loop, strstr(got(&f), "100 Continue\r\n\r\n"));
  CHECK_INT(f.app.requests, 0);
  send_text(&f, "ok");
  TURN_UNTIL(loop, strstr(got(&f), "</e>"));
  CHECK_STR(f.app.body, "ok");
  fixture_stop(&f);
}

static void test_http10_closes_unless_asked(void)
{
  fixture f;
  CHECK(fixture_start(&f, 0));
  send_text(&f, "GET /old HTTP/1.0\r\n\r\n");
  TURN_UNTIL(loop, f.client.closed);
  CHECK(strstr(got(&f), "Connection: close"));
  fixture_stop(&f);
  CHECK(fixture_start(&f, 0));
  send_text(&f, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  TURN_UNTIL(loop, strstr(got(&f), "</old>"));
  CHECK(strstr(got(&f), "Connection: keep-alive"));
  send_text(&f, "GET /bye HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n");
  TURN_UNTIL(loop, f.client.closed);
  CHECK(strstr(got(&f), "</bye>"));
  CHECK(!strstr(got(&f), "</never>"));
  CHECK_INT(f.app.requests, 2);
  fixture_stop(&f);
}

static void test_hostile_requests_are_refused(void)
{
  static const struct {
    const char *status, *text;
  } cases[] = {
      {"400", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"400", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"},
      {"400", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"},
      {"400", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\nabcd"},
      {"400", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\nabcd"},
      {"4", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"},
      {"501", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {"4", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
      {"400", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"400", "GET / HTTP/1.1\r\n\r\n"},
      {"400", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
      {"400", "GET /../etc HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"400", "GET /a/%2e%2e/b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"400", "GET /a/%2e%2e%2fb HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"400", "GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"400", "GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"400", "GET /a%ff HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"400", "GET /a%5cb HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"400", "GET nothing HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"501", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"400", "GET / HTTP/1.1\nHost: h\n\n"},
      {"400", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
      {"400", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"505", "GET / HTTP/2.0\r\nHost: h\r\n\r\n"},
      {"413", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5001\r\n\r\n"},
      {"413", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n"},
      {"417", "POST / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    CHECK(fixture_start(&f, 300));
    send_text(&f, cases[i].text);
    if (strstr(cases[i].text, "ffffff")) {
      uint8_t *big = calloc(1, 6000);
      mc_conn_write(f.client.conn, mc_slice_of(big, 6000));
      free(big);
    }
    TURN_UNTIL(loop, f.client.closed);
    char want[32];
    snprintf(want, sizeof want, "HTTP/1.1 %s", cases[i].status);
    if (strncmp(got(&f), want, strlen(want)) || f.app.requests || answers(&f) != 1)
      TAP_FAIL("case %zu: want %s, got \"%.60s\", %d requests", i, cases[i].status, got(&f), f.app.requests);
    fixture_stop(&f);
  }
}

static void test_too_large_heads_are_refused(void)
{
  fixture f;
  CHECK(fixture_start(&f, 0));
  char text[4000];
  memset(text, 'a', sizeof text);
  memcpy(text, "GET /", 5);
  text[sizeof text - 1] = 0;
  send_text(&f, text);
  TURN_UNTIL(loop, f.client.closed);
  CHECK(strstr(got(&f), "HTTP/1.1 431"));
  fixture_stop(&f);
  CHECK(fixture_start(&f, 0));
  send_text(&f, "GET / HTTP/1.1\r\nHost: h\r\n");
  for (int i = 0; i < 101; i++)
    send_text(&f, "a: b\r\n");
  TURN_UNTIL(loop, f.client.closed);
  CHECK(strstr(got(&f), "HTTP/1.1 431"));
  fixture_stop(&f);
}

static void test_slow_request_is_ended(void)
{
  fixture f;
  CHECK(fixture_start(&f, 1000));
  const char *text = "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  int64_t start = mc_clock_mono_us();
  for (const char *p = text; *p && !f.client.closed; p++) { /* each byte would reset a plain idle limit */
    mc_conn_write(f.client.conn, mc_slice_of(p, 1));
    for (int64_t until = mc_clock_mono_us() + 30000; mc_clock_mono_us() < until;)
      mc_loop_turn(loop, 2);
  }
  CHECK(f.client.closed);
  CHECK(mc_clock_mono_us() - start < 10000000);
  CHECK(strstr(got(&f), "408"));
  fixture_stop(&f);
  CHECK(fixture_start(&f, 100)); /* silent ones too */
  TURN_UNTIL(loop, f.client.closed);
  fixture_stop(&f);
}

static void test_answer_from_another_thread(void)
{
  fixture f;
  CHECK(fixture_start(&f, 0));
  f.app.on_thread = true;
  for (int i = 0; i < 20; i++) {
    f.client.got.len = 0;
    send_text(&f, "GET /t HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(loop, strstr(got(&f), "from a thread"));
    pthread_join(f.app.thread, NULL);
  }
  fixture_stop(&f);
}

static void test_answer_after_the_client_left_is_harmless(void)
{
  fixture f;
  CHECK(fixture_start(&f, 0));
  f.app.keep = true;
  send_text(&f, "GET /gone HTTP/1.1\r\nHost: h\r\n\r\n");
  TURN_UNTIL(loop, f.app.kept);
  mc_conn_close(f.client.conn);
  TURN_UNTIL(loop, f.client.closed);
  for (int i = 0; i < 5; i++)
    mc_loop_turn(loop, 5);
  mc_http_reply reply = {200, NULL, MC_LIT("late"), NULL, 0};
  mc_http_answer(f.app.kept, &reply);
  f.app.kept = NULL;
  fixture_stop(&f);
}

static void test_large_static_body_arrives_whole(void)
{
  enum { SIZE = 3000001 };
  fixture f;
  CHECK(fixture_start(&f, 0));
  uint8_t *bytes = malloc(SIZE);
  for (size_t i = 0; i < SIZE; i++)
    bytes[i] = (uint8_t)(i * 13 + (i >> 12));
  f.app.static_body = mc_slice_of(bytes, SIZE);
  send_text(&f, "GET /big HTTP/1.1\r\nHost: h\r\n\r\nGET /big2 HTTP/1.1\r\nHost: h\r\n\r\n");
  TURN_UNTIL(loop, f.app.requests == 2 && f.client.got.len > 2 * SIZE);
  mc_slice all = mc_buf_slice(&f.client.got);
  const uint8_t *body = (const uint8_t *)strstr((const char *)all.data, "\r\n\r\n") + 4;
  CHECK(memcmp(body, bytes, SIZE) == 0);
  CHECK(memcmp(body + SIZE, "HTTP/1.1 200", 12) == 0);
  free(bytes);
  fixture_stop(&f);
}

static void test_query_and_cookie_are_found(void)
{
  mc_http_header h[] = {{MC_LIT("cookie"), MC_LIT("a=1; session=abc; b=2")}};
  mc_http_request r = {.query = MC_LIT("x=1&na%6de=a%26b+c&empty=&flag&bad=%4"), .header = h, .header_count = 1};
  mc_buf out = {0};
  CHECK(mc_http_query(&r, "name", &out));
  CHECK_SLICE(mc_buf_slice(&out), "a&b c");
  CHECK(mc_http_query(&r, "empty", &out) && out.len == 0);
  CHECK(mc_http_query(&r, "flag", &out) && out.len == 0);
  CHECK(!mc_http_query(&r, "bad", &out));
  CHECK(!mc_http_query(&r, "none", &out));
  mc_slice v;
  CHECK(mc_http_cookie(&r, "session", &v));
  CHECK_SLICE(v, "abc");
  CHECK(!mc_http_cookie(&r, "sess", &v));
  mc_buf_free(&out);
}

/* ---- mounts: /m answers for itself and takes more from whoever says "known" ---- */

static size_t mount_body(void *ctx, mc_slice target, mc_slice authorization)
{
  return mc_slice_eq_str(authorization, "known") ? 20000 : 100;
}

static const mc_http_mount mount = {"/m", mount_body, on_request, NULL};

static bool mounted_start(fixture *f, app *other)
{
  static mc_http_mount own;
  own = mount;
  own.ctx = other;
  *f = (fixture){0};
  *other = (app){0};
  mc_http_server_config sc = {.max_body = 5000, .max_headers = 2000, .idle_ms = 2000, .request = on_request, .ctx = &f->app, .mount = &own, .mount_count = 1, .large_bytes = 16000};
  mc_why why;
  if (mc_http_server_create(&sc, &f->server))
    return false;
  mc_listener_config lc = {.host = "127.0.0.1", .handler = mc_http_server_handler(), .ctx = f->server};
  return mc_listener_create(loop, &lc, &f->listener, &why) == MC_OK;
}

static bool dial(fixture *f, end *client)
{
  mc_why why;
  *client = (end){0};
  if (mc_conn_open(loop, "127.0.0.1", mc_listener_port(f->listener), NULL, &end_handler, client, &client->conn, &why))
    return false;
  while (!client->opened && !client->closed)
    mc_loop_turn(loop, 10);
  return client->opened;
}

static void hang_up(end *client)
{
  if (client->conn && !client->closed)
    mc_conn_close(client->conn);
  TURN_WHILE(loop, !client->closed);
  mc_buf_free(&client->got);
}

/* Sends a POST with a body of so many bytes, of which the last `kept` are not sent; the status of what comes, 0: nothing in time. */
static int post_within(int seconds, end *client, const char *target, const char *authorization, size_t bytes, size_t kept)
{
  static char body[32000];
  char head[200];
  memset(body, 'x', sizeof body);
  snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nContent-Length: %zu\r\n\r\n", target, authorization, bytes);
  mc_buf_clear(&client->got);
  mc_conn_write(client->conn, mc_slice_str(head));
  mc_conn_write(client->conn, mc_slice_of(body, bytes - kept));
  time_t until = seconds_now() + seconds;
  while (client->got.len < 12 && !client->closed && seconds_now() < until)
    mc_loop_turn(loop, 10);
  return client->got.len < 12 ? 0 : atoi((const char *)client->got.data + 9);
}

static int post(end *client, const char *target, const char *authorization, size_t bytes, size_t kept)
{
  return post_within(PATIENCE_S, client, target, authorization, bytes, kept);
}

static void test_a_mount_answers_its_part_and_says_how_much_it_takes(void)
{
  static const struct {
    const char *target, *authorization;
    size_t bytes;
    int status;
    bool own;
  } c[] = {{"/m", "x", 100, 200, true},         {"/m/a?b=1", "x", 100, 200, true},   {"/m/", "x", 101, 413, false},      {"/m/", "known", 20000, 200, true},
           {"/m?x", "known", 20000, 200, true}, {"/m", "known", 20001, 413, false},  {"/mm", "known", 5000, 200, false}, {"/mm", "known", 5001, 413, false},
           {"/%6d/", "known", 5000, 200, true}, {"/%6d/", "known", 5001, 413, false}, {"/", "known", 100, 200, false}};
  fixture f;
  app other;
  CHECK(mounted_start(&f, &other));
  for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
    end client;
    other.requests = f.app.requests = 0;
    CHECK(dial(&f, &client));
    CHECK_INT(post(&client, c[i].target, c[i].authorization, c[i].bytes, 0), c[i].status);
    CHECK_INT(other.requests, c[i].own);
    CHECK_INT(f.app.requests, c[i].status == 200 && !c[i].own);
    hang_up(&client);
  }
  fixture_stop(&(fixture){.server = f.server, .listener = f.listener, .client = {.closed = true}});
}

static void test_large_bodies_share_one_budget(void)
{
  fixture f;
  app other;
  end a, b, c;
  CHECK(mounted_start(&f, &other));
  CHECK(dial(&f, &a) && dial(&f, &b));
  CHECK_INT(post_within(1, &a, "/m", "known", 15000, 1), 0); /* 10,000 over the server's own 5,000, and one byte is not there yet */
  CHECK_INT(post(&b, "/m", "known", 15000, 0), 503); /* another 10,000 are too much */
  hang_up(&b);
  CHECK(dial(&f, &b));
  CHECK_INT(post(&b, "/m", "known", 5000, 0), 200); /* what is not large goes on */
  hang_up(&a);                                      /* gone in the middle: its part is free again */
  for (int i = 0; i < 3; i++)                       /* as it is after an answer, on one connection and on another */
    CHECK_INT(post(&b, "/m", "known", 15000, 0), 200);
  other.keep = true;
  CHECK_INT(post_within(1, &b, "/m", "known", 15000, 0), 0); /* held as long as nobody answers */
  CHECK(dial(&f, &c));
  CHECK_INT(post(&c, "/m", "known", 15000, 0), 503);
  hang_up(&c);
  mc_http_answer(other.kept, &(mc_http_reply){.status = 204});
  other.keep = false;
  CHECK(dial(&f, &c));
  CHECK_INT(post(&c, "/m", "known", 15000, 0), 200);
  hang_up(&b);
  hang_up(&c);
  fixture_stop(&(fixture){.server = f.server, .listener = f.listener, .client = {.closed = true}});
}

int main(void)
{
  mc_why why;
  if (mc_loop_create(&loop, &why))
    return 1;
  RUN(test_get_is_answered_and_kept_alive);
  RUN(test_every_split_of_a_request_parses_the_same);
  RUN(test_pipelined_requests_are_answered_in_order);
  RUN(test_head_has_headers_only);
  RUN(test_expect_continue_is_answered_before_the_body);
  RUN(test_http10_closes_unless_asked);
  RUN(test_hostile_requests_are_refused);
  RUN(test_too_large_heads_are_refused);
  RUN(test_slow_request_is_ended);
  RUN(test_answer_from_another_thread);
  RUN(test_answer_after_the_client_left_is_harmless);
  RUN(test_large_static_body_arrives_whole);
  RUN(test_query_and_cookie_are_found);
  RUN(test_a_mount_answers_its_part_and_says_how_much_it_takes);
  RUN(test_large_bodies_share_one_budget);
  mc_loop_destroy(&loop);
  return tap_done();
}
