#include "net/conn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/http_conn.h"

/* One request at a time a connection: while one waits for its answer, reading is paused and pipelined bytes stay kept.
 * An answer from another thread is written into the request's own buffer there, and posted to the connection's loop. */

#define LARGE_BYTES ((size_t)1 << 30)
enum { STATIC_CHUNK = 64 * 1024, HEAD_US = 30000000, BODY_GRACE_BYTES_PER_S = 1024 };

struct mc_http_server {
  mc_http_server_config config;
};

static _Atomic uint64_t next_id = 1;
static _Atomic size_t large; /* bytes of bodies beyond max_body, of all servers: connections may outlive theirs */

typedef struct request {
  mc_http_request pub;
  mc_post post;
  http_conn *hc; /* NULL once the connection is gone; its loop's thread only */
  mc_loop *loop;
  pthread_t owner;
  mc_buf head, body, path, reply;
  mc_http_header *header;
  mc_slice static_body;
  bool keep_alive, is_head, is_http10, close_after;
  size_t large_held; /* what its body takes of the budget */
} request;

static request *request_of(mc_http_request *r) { return (request *)r; } /* pub is first */

static void request_free(request *r)
{
  atomic_fetch_sub(&large, r->large_held);
  mc_buf_free(&r->head);
  mc_buf_free(&r->body);
  mc_buf_free(&r->path);
  mc_buf_free(&r->reply);
  free(r->header);
  free(r);
}

mc_err mc_http_server_create(const mc_http_server_config *config, mc_http_server **out)
{
  *out = NULL;
  if (!config->request)
    return MC_ERR_INVALID;
  mc_http_server *s = calloc(1, sizeof *s);
  if (!s)
    return MC_ERR_MEMORY;
  s->config = *config;
  if (!s->config.max_body)
    s->config.max_body = 1 << 20;
  if (!s->config.max_headers)
    s->config.max_headers = 16 << 10;
  if (s->config.max_headers > 1 << 20)
    s->config.max_headers = 1 << 20;
  if (!s->config.large_bytes)
    s->config.large_bytes = LARGE_BYTES;
  if (s->config.idle_ms <= 0)
    s->config.idle_ms = 60000;
  *out = s;
  return MC_OK;
}

void mc_http_server_destroy(mc_http_server **server)
{
  free(*server);
  *server = NULL;
}

/* ---- writing answers ---- */
static const struct {
  int status;
  const char *text;
} phrases[] = {{101, "Switching Protocols"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {206, "Partial Content"},
               {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
               {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
               {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"}, {411, "Length Required"}, {412, "Precondition Failed"}, {413, "Content Too Large"},
               {415, "Unsupported Media Type"}, {417, "Expectation Failed"}, {422, "Unprocessable Content"}, {426, "Upgrade Required"},
               {428, "Precondition Required"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"},
               {501, "Not Implemented"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}, {507, "Insufficient Storage"}};

static const char *phrase(int status)
{
  for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
    if (phrases[i].status == status)
      return phrases[i].text;
  return "";
}

static mc_err append_date(mc_buf *out)
{
  static _Thread_local time_t last;
  static _Thread_local char text[40];
  time_t now = (time_t)(mc_clock_wall_us() / 1000000);
  if (now != last) {
    struct tm tm;
    gmtime_r(&now, &tm);
    static const char day[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char month[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", day[tm.tm_wday % 7], tm.tm_mday % 100, month[tm.tm_mon % 12],
             (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
    last = now;
  }
  return mc_buf_printf(out, "Date: %s\r\n", text);
}

/* A header that would break out of its line is left out: it can only come from a mistake of ours with foreign text. */
static bool line_safe(mc_slice s)
{
  for (size_t i = 0; i < s.len; i++)
    if (s.data[i] < 0x20 && s.data[i] != '\t')
      return false;
  return true;
}

static mc_err append_head(mc_buf *out, const mc_http_reply *reply, uint64_t id, bool keep_alive, bool http10)
{
  MC_TRY(mc_buf_printf(out, "HTTP/1.1 %d %s\r\n", reply->status, phrase(reply->status)));
  MC_TRY(append_date(out));
  if (reply->content_type && line_safe(mc_slice_str(reply->content_type)))
    MC_TRY(mc_buf_printf(out, "Content-Type: %s\r\n", reply->content_type));
  if (reply->status >= 200 && reply->status != 204 && reply->status != 304)
    MC_TRY(mc_buf_printf(out, "Content-Length: %zu\r\n", reply->body.len));
  MC_TRY(mc_buf_printf(out, "X-Request-Id: %016llx\r\n", (unsigned long long)id));
  if (!keep_alive && reply->status != 101)
    MC_TRY(mc_buf_append_str(out, "Connection: close\r\n"));
  else if (http10)
    MC_TRY(mc_buf_append_str(out, "Connection: keep-alive\r\n"));
  for (size_t i = 0; i < reply->header_count; i++) {
    const mc_http_header *h = &reply->header[i];
    if (!line_safe(h->name) || !line_safe(h->value)) {
      mc_log(MC_LOG_ERROR, "net", "a reply header with control characters was left out", MC_KU("request", id));
      continue;
    }
    MC_TRY(mc_buf_printf(out, "%.*s: %.*s\r\n", MC_FMT(h->name), MC_FMT(h->value)));
  }
  return mc_buf_append_str(out, "\r\n");
}

/* An answer that no request asked for: broken or refused input. The connection ends. */
static void refuse(http_conn *hc, int status, const char *reason)
{
  hc->ended = true;
  mc_buf *out = mc_conn_out(hc->conn);
  char body[300];
  snprintf(body, sizeof body, "{\"title\":\"%s\",\"status\":%d,\"detail\":\"%.180s\"}\n", phrase(status), status, reason ? reason : "");
  mc_http_reply reply = {.status = status, .content_type = "application/problem+json", .body = mc_slice_str(body)};
  if (append_head(out, &reply, atomic_fetch_add(&next_id, 1), false, false) == MC_OK)
    mc_buf_append_slice(out, reply.body);
  mc_conn_dirty(hc->conn);
  mc_conn_close(hc->conn);
}

/* ---- static bodies: in chunks as the kernel takes them ---- */
static void answered(http_conn *hc, bool keep_alive);

static void push_static(http_conn *hc)
{
  while (hc->static_left.len && mc_conn_backlog(hc->conn) < STATIC_CHUNK) {
    mc_slice part = mc_slice_sub(hc->static_left, 0, STATIC_CHUNK);
    if (mc_conn_write(hc->conn, part))
      return;
    hc->static_left = mc_slice_sub(hc->static_left, part.len, hc->static_left.len);
  }
  if (hc->static_left.len)
    mc_conn_tell_empty(hc->conn);
  else
    answered(hc, hc->static_keep_alive);
}

static void on_drained(mc_conn *conn)
{
  http_conn *hc = mc_conn_user(conn);
  if (hc && hc->static_left.len)
    push_static(hc);
}

/* ---- the life of a request ---- */
static void answered(http_conn *hc, bool keep_alive)
{
  hc->waiting = NULL;
  if (!keep_alive) {
    hc->ended = true;
    mc_conn_close(hc->conn);
    return;
  }
  mc_conn_set_idle_ms(hc->conn, hc->server->config.idle_ms);
  mc_conn_pause(hc->conn, false);
}

/* On the loop: hands the finished reply to the connection. */
static void deliver(request *r)
{
  http_conn *hc = r->hc;
  if (hc) {
    mc_buf *out = mc_conn_out(hc->conn);
    if (out->len == 0) {
      mc_buf spare = *out;
      *out = r->reply;
      r->reply = spare;
    } else {
      mc_buf_append_slice(out, mc_buf_slice(&r->reply));
    }
    mc_conn_dirty(hc->conn);
    hc->waiting = NULL;
    if (r->static_body.len) {
      hc->static_left = r->static_body;
      hc->static_keep_alive = r->keep_alive;
      push_static(hc);
    } else {
      answered(hc, r->keep_alive);
    }
  }
  request_free(r);
}

static void on_post(mc_post *post)
{
  deliver((request *)((char *)post - offsetof(request, post)));
}

static void answer(mc_http_request *pub, const mc_http_reply *reply, bool is_static)
{
  request *r = request_of(pub);
  mc_err err = append_head(&r->reply, reply, r->pub.id, r->keep_alive, r->is_http10);
  bool has_body = !r->is_head && reply->status != 204 && reply->status != 304 && reply->status >= 200;
  if (err == MC_OK && has_body && is_static && reply->body.len > STATIC_CHUNK)
    r->static_body = reply->body;
  else if (err == MC_OK && has_body)
    err = mc_buf_append_slice(&r->reply, reply->body);
  if (err) { /* half an answer must not look like one: the connection ends */
    r->reply.len = 0;
    r->keep_alive = false;
  }
  if (pthread_equal(r->owner, pthread_self())) {
    deliver(r);
  } else {
    r->post.run = on_post;
    mc_loop_post(r->loop, &r->post);
  }
}

void mc_http_answer(mc_http_request *r, const mc_http_reply *reply) { answer(r, reply, false); }
void mc_http_answer_static(mc_http_request *r, const mc_http_reply *reply) { answer(r, reply, true); }

static bool fill_request(http_conn *hc, request *r, const char **reason)
{
  mc_http_parser *p = &hc->parser;
  const char *method = llhttp_method_name(p->llhttp.method);
  *reason = NULL;
  r->head = p->head;
  r->body = p->body;
  p->head = p->body = (mc_buf){0};
  r->large_held = p->large_held;
  p->large_held = 0;
  r->pub.method = mc_slice_str(method);
  r->pub.target = mc_slice_of(r->head.data, p->target.len);
  r->pub.body = mc_buf_slice(&r->body);
  r->pub.header_count = p->header_count / 2;
  r->header = calloc(r->pub.header_count ? r->pub.header_count : 1, sizeof *r->header);
  if (!r->header)
    return false;
  for (size_t i = 0; i < r->pub.header_count; i++) {
    mc_http_span n = p->header[2 * i], v = p->header[2 * i + 1];
    r->header[i] = (mc_http_header){mc_slice_of(r->head.data + n.at, n.len), mc_slice_trim(mc_slice_of(r->head.data + v.at, v.len))};
  }
  r->pub.header = r->header;
  r->is_head = p->llhttp.method == HTTP_HEAD;
  r->is_http10 = p->llhttp.http_minor == 0;
  r->keep_alive = p->keep_alive;
  if (!mc_http_target_split(r->pub.method, r->pub.target, &r->path, &r->pub.query, reason))
    return false;
  r->pub.path = mc_buf_slice(&r->path);
  return true;
}

static bool is_under(mc_slice path, const char *prefix)
{
  size_t n = strlen(prefix);
  return mc_slice_starts(path, mc_slice_of(prefix, n)) && (path.len == n || path.data[n] == '/');
}

static const mc_http_mount *mount_of(const mc_http_server *s, mc_slice path)
{
  for (size_t i = 0; i < s->config.mount_count; i++)
    if (is_under(path, s->config.mount[i].prefix))
      return &s->config.mount[i];
  return NULL;
}

/* A target that only turns into a mount's path when it is decoded gets the server's own limit. */
static size_t body_limit(void *ctx, mc_slice target, mc_slice authorization, size_t max_body)
{
  const mc_http_mount *m = mount_of(ctx, mc_slice_sub(target, 0, mc_slice_find(target, '?', 0)));
  return m ? m->max_body(m->ctx, target, authorization) : max_body;
}

/* A complete request goes to the application; reading rests until it is answered. */
static void dispatch(http_conn *hc)
{
  request *r = calloc(1, sizeof *r);
  const char *reason = NULL;
  if (!r || !fill_request(hc, r, &reason)) {
    if (r)
      request_free(r);
    refuse(hc, reason ? 400 : 503, reason ? reason : "out of memory");
    return;
  }
  mc_http_parser_next(&hc->parser);
  hc->began_us = 0;
  r->hc = hc;
  r->loop = mc_conn_loop(hc->conn);
  r->owner = pthread_self();
  r->pub.conn = hc->conn;
  r->pub.id = atomic_fetch_add(&next_id, 1);
  r->pub.user = hc->server->config.ctx;
  hc->waiting = &r->pub;
  mc_conn_pause(hc->conn, true);
  mc_conn_set_idle_ms(hc->conn, 0);
  const mc_http_mount *m = mount_of(hc->server, r->pub.path);
  if (m)
    m->request(m->ctx, &r->pub);
  else
    hc->server->config.request(hc->server->config.ctx, &r->pub);
}

/* A head may take HEAD_US (or the idle limit), a body longer if it comes with a kilobyte a second. */
static bool too_slow(http_conn *hc)
{
  int64_t now = mc_loop_now_us(mc_conn_loop(hc->conn));
  if (!hc->began_us) {
    hc->began_us = now;
    return false;
  }
  int64_t idle_us = hc->server->config.idle_ms * 1000;
  int64_t limit = idle_us < HEAD_US ? idle_us : HEAD_US;
  limit += (int64_t)(hc->parser.body.len / BODY_GRACE_BYTES_PER_S) * 1000000;
  return now - hc->began_us > limit;
}

static size_t on_data(mc_conn *conn, mc_slice in)
{
  http_conn *hc = mc_conn_user(conn);
  size_t used = 0;
  if (!hc)
    return SIZE_MAX;
  while (used < in.len && !hc->waiting && !hc->static_left.len && !hc->ended) {
    used += mc_http_parser_feed(&hc->parser, mc_slice_sub(in, used, in.len));
    if (hc->parser.status) {
      refuse(hc, hc->parser.status, hc->parser.reason);
      return in.len;
    }
    if (hc->parser.complete) {
      dispatch(hc);
      if (hc->upgraded) { /* the rest belongs to the new handler */
        http_conn_detach(hc);
        return used;
      }
      continue;
    }
    if (!mc_http_parser_idle(&hc->parser) && too_slow(hc)) {
      refuse(hc, 408, "the request came too slowly");
      return in.len;
    }
    if (hc->parser.expect_continue && hc->parser.head_done) {
      hc->parser.expect_continue = false;
      mc_conn_write(conn, MC_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    }
  }
  return used;
}

static void on_open(mc_conn *conn)
{
  mc_http_server *server = mc_conn_user(conn);
  http_conn *hc = calloc(1, sizeof *hc);
  mc_conn_set_user(conn, hc);
  if (!hc) {
    mc_conn_close(conn);
    return;
  }
  hc->conn = conn;
  hc->server = server;
  mc_http_parser_init(&hc->parser, server->config.max_body, server->config.max_headers);
  if (server->config.mount_count) {
    hc->parser.body_limit = body_limit;
    hc->parser.ctx = server;
    hc->parser.large = &large;
    hc->parser.large_max = server->config.large_bytes;
  }
  mc_conn_set_idle_ms(conn, server->config.idle_ms);
}

void http_conn_detach(http_conn *hc)
{
  if (hc->waiting) {
    request_of(hc->waiting)->hc = NULL; /* its answer will find nobody */
    hc->waiting->conn = NULL;
  }
  mc_http_parser_free(&hc->parser);
  free(hc);
}

static void on_closed(mc_conn *conn, mc_err err, const char *text)
{
  http_conn *hc = mc_conn_user(conn);
  if (hc)
    http_conn_detach(hc);
}

static const mc_conn_handler handler = {on_open, on_data, on_drained, on_closed};
const mc_conn_handler *mc_http_server_handler(void) { return &handler; }

http_conn *http_request_conn(mc_http_request *r) { return request_of(r)->hc; }
void http_request_free(mc_http_request *r) { request_free(request_of(r)); }

/* ---- reading requests ---- */
mc_slice mc_http_request_header(const mc_http_request *r, const char *name)
{
  for (size_t i = 0; i < r->header_count; i++)
    if (mc_slice_eq_str(r->header[i].name, name))
      return r->header[i].value.data ? r->header[i].value : MC_LIT("");
  return (mc_slice){NULL, 0};
}

bool mc_http_query(const mc_http_request *r, const char *name, mc_buf *out)
{
  mc_slice q = r->query;
  bool found = false;
  mc_buf key = {0};
  for (size_t at = 0; !found && at < q.len;) {
    size_t end = mc_slice_find(q, '&', at), eq = mc_slice_find(q, '=', at);
    if (eq > end)
      eq = end;
    mc_buf_clear(&key);
    if (mc_http_percent_decode(mc_slice_sub(q, at, eq - at), true, &key) && mc_slice_eq_str(mc_buf_slice(&key), name)) {
      mc_buf_clear(out);
      found = mc_http_percent_decode(eq < end ? mc_slice_sub(q, eq + 1, end - eq - 1) : (mc_slice){0}, true, out);
      if (!found)
        break;
    }
    at = end + 1;
  }
  mc_buf_free(&key);
  return found;
}

bool mc_http_cookie(const mc_http_request *r, const char *name, mc_slice *out)
{
  for (size_t i = 0; i < r->header_count; i++) {
    if (!mc_slice_eq_str(r->header[i].name, "cookie"))
      continue;
    mc_slice v = r->header[i].value;
    for (size_t at = 0; at < v.len;) {
      size_t end = mc_slice_find(v, ';', at);
      mc_slice pair = mc_slice_trim(mc_slice_sub(v, at, end - at));
      size_t eq = mc_slice_find(pair, '=', 0);
      if (eq < pair.len && mc_slice_eq_str(mc_slice_sub(pair, 0, eq), name)) {
        *out = mc_slice_sub(pair, eq + 1, pair.len);
        return true;
      }
      at = end + 1;
    }
  }
  return false;
}
