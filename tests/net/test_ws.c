#include "pair.h"

#include "format/websocket.h"

static mc_loop *loop;
static mc_ws *ws_live;
static mc_err accept_err;
static int closed_count;
static mc_buf last;
static bool last_binary;

static void on_message(mc_ws *ws, bool binary, mc_slice payload)
{
  mc_buf_clear(&last);
  mc_buf_append_slice(&last, payload);
  last_binary = binary;
  mc_ws_send(ws, binary, payload);
}
static void on_closed(mc_ws *ws)
{
  closed_count++;
  ws_live = NULL;
}
static const mc_ws_handler ws_handler = {on_message, on_closed};

static void on_request(void *ctx, mc_http_request *r) { accept_err = mc_ws_accept(r, "motorcade", &ws_handler, &loop, 1000, &ws_live); }

typedef struct fixture {
  mc_http_server *server;
  mc_listener *listener;
  end client;
} fixture;

#define UPGRADE                                                                                                        \
  "GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static bool fixture_start(fixture *f, mc_slice first)
{
  *f = (fixture){0};
  mc_http_server_config sc = {.request = on_request};
  mc_why why;
  closed_count = 0;
  accept_err = MC_OK;
  ws_live = NULL;
  if (mc_http_server_create(&sc, &f->server))
    return false;
  mc_listener_config lc = {.host = "127.0.0.1", .handler = mc_http_server_handler(), .ctx = f->server};
  if (mc_listener_create(loop, &lc, &f->listener, &why) ||
      mc_conn_open(loop, "127.0.0.1", mc_listener_port(f->listener), NULL, &end_handler, &f->client, &f->client.conn, &why))
    return false;
  while (!f->client.opened && !f->client.closed)
    mc_loop_turn(loop, 10);
  return f->client.opened && mc_conn_write(f->client.conn, first) == MC_OK;
}

static void fixture_stop(fixture *f)
{
  if (f->client.conn)
    mc_conn_close(f->client.conn);
  TURN_WHILE(loop, !f->client.closed || ws_live);
  mc_loop_turn(loop, 1);
  mc_listener_destroy(&f->listener);
  mc_http_server_destroy(&f->server);
  mc_buf_free(&f->client.got);
}

static bool got(fixture *f, const char *part)
{
  return f->client.got.len && memmem(f->client.got.data, f->client.got.len, part, strlen(part));
}

static void send_frame(fixture *f, mc_ws_type type, bool fin, mc_slice payload)
{
  static const uint8_t mask[4] = {1, 2, 3, 4};
  mc_buf b = {0};
  mc_ws_write(&b, type, fin, payload, mask);
  mc_conn_write(f->client.conn, mc_buf_slice(&b));
  mc_buf_free(&b);
}

static void test_upgrade_echoes_messages(void)
{
  fixture f;
  mc_buf first = {0};
  static const uint8_t mask[4] = {9, 8, 7, 6};
  mc_buf_append_str(&first, UPGRADE);
  mc_ws_write(&first, MC_WS_TEXT, true, MC_LIT("early"), mask); /* in the same segment as the request */
  CHECK(fixture_start(&f, mc_buf_slice(&first)));
  mc_buf_free(&first);
  TURN_UNTIL(loop, got(&f, "early"));
  CHECK(got(&f, "HTTP/1.1 101"));
  CHECK(got(&f, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")); /* RFC 6455, 1.3 */
  CHECK(got(&f, "Sec-WebSocket-Protocol: motorcade\r\n"));
  CHECK(mc_ws_user(ws_live) == &loop && mc_ws_conn(ws_live));
  send_frame(&f, MC_WS_BINARY, false, MC_LIT("ab"));
  send_frame(&f, MC_WS_PING, true, MC_LIT("p1"));
  send_frame(&f, MC_WS_CONTINUATION, true, MC_LIT("cd"));
  TURN_UNTIL(loop, got(&f, "abcd") && got(&f, "\x8a\x02p1"));
  CHECK(last_binary);
  send_frame(&f, MC_WS_CLOSE, true, MC_LIT("\x03\xe8"));
  TURN_UNTIL(loop, f.client.closed && closed_count == 1);
  CHECK(got(&f, "\x88\x02\x03\xe8"));
  fixture_stop(&f);
}

static void test_every_split_of_a_frame(void)
{
  fixture f;
  CHECK(fixture_start(&f, MC_LIT(UPGRADE)));
  TURN_UNTIL(loop, ws_live);
  static const uint8_t mask[4] = {0xA5, 2, 3, 0xFF};
  char text[301];
  memset(text, 'x', 300);
  text[300] = 0;
  mc_buf b = {0};
  mc_ws_write(&b, MC_WS_TEXT, true, mc_slice_str(text), mask);
  for (size_t cut = 1; cut < b.len; cut += cut < 12 ? 1 : 37) {
    mc_buf_clear(&last);
    mc_conn_write(f.client.conn, mc_slice_of(b.data, cut));
    mc_loop_turn(loop, 1);
    mc_loop_turn(loop, 0);
    mc_conn_write(f.client.conn, mc_slice_of(b.data + cut, b.len - cut));
    TURN_UNTIL(loop, last.len == 300);
    CHECK_SLICE(mc_buf_slice(&last), text);
  }
  mc_buf_free(&b);
  fixture_stop(&f);
}

static void test_broken_frames_end_the_connection(void)
{
  static const struct {
    mc_slice bytes;
    const char *close;
  } cases[] = {{{(const uint8_t *)"\x81\x02hi", 4}, "\x03\xea"},                         /* not masked: 1002 */
               {{(const uint8_t *)"\xf1\x80\x01\x02\x03\x04", 6}, "\x03\xea"},           /* reserved bits */
               {{(const uint8_t *)"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10}, "\x03\xf1"}, /* too big: 1009 */
               {{(const uint8_t *)"\x81\x82\x00\x00\x00\x00\xff\xff", 8}, "\x03\xef"}};  /* not UTF-8: 1007 */
  for (size_t i = 0; i < 4; i++) {
    fixture f;
    CHECK(fixture_start(&f, MC_LIT(UPGRADE)));
    TURN_UNTIL(loop, ws_live);
    mc_conn_write(f.client.conn, cases[i].bytes);
    TURN_UNTIL(loop, f.client.closed && closed_count == 1);
    if (!got(&f, cases[i].close))
      TAP_FAIL("case %zu: no close code", i);
    fixture_stop(&f);
  }
}

static void test_requests_that_are_no_upgrade_are_refused(void)
{
  static const struct {
    const char *request, *status;
  } cases[] = {
      {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "426"},
      {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "426"},
      {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n", "426"},
  };
  for (size_t i = 0; i < 4; i++) {
    fixture f;
    CHECK(fixture_start(&f, mc_slice_str(cases[i].request)));
    TURN_UNTIL(loop, got(&f, cases[i].status));
    CHECK(accept_err != MC_OK && !ws_live);
    fixture_stop(&f);
  }
}

static void test_pings_of_a_client_that_does_not_read_fill_no_memory(void)
{
  static uint8_t text[125];
  static const uint8_t mask[4] = {1, 2, 3, 4};
  fixture f;
  mc_buf many = {0};
  size_t most = 0;
  CHECK(fixture_start(&f, MC_LIT(UPGRADE)));
  TURN_UNTIL(loop, ws_live);
  mc_conn_pause(f.client.conn, true);
  for (int i = 0; i < 1000; i++)
    CHECK_OK(mc_ws_write(&many, MC_WS_PING, true, mc_slice_of(text, sizeof text), mask));
  for (int i = 0; i < 250; i++) { /* 32 MB: more than the kernel keeps */
    CHECK_OK(mc_conn_write(f.client.conn, mc_buf_slice(&many)));
    for (int k = 0; k < 100 && mc_conn_backlog(f.client.conn); k++)
      mc_loop_turn(loop, 1);
    CHECK(ws_live != NULL);
    size_t held = mc_conn_backlog(mc_ws_conn(ws_live));
    most = held > most ? held : most;
  }
  CHECK(most > 0); /* the case is reached: the kernel took no more */
  CHECK(most < 256 << 10);
  mc_conn_pause(f.client.conn, false);
  mc_buf_free(&many);
  fixture_stop(&f);
}

int main(void)
{
  if (mc_loop_create(&loop, NULL))
    return 1;
  RUN(test_upgrade_echoes_messages);
  RUN(test_every_split_of_a_frame);
  RUN(test_broken_frames_end_the_connection);
  RUN(test_requests_that_are_no_upgrade_are_refused);
  RUN(test_pings_of_a_client_that_does_not_read_fill_no_memory);
  mc_buf_free(&last);
  mc_loop_destroy(&loop);
  return tap_done();
}
