/* From a request to its operation: deny by default.
 *
 * On the loop: files of the portal, the live stream, and what is not described at all. On a worker: identity, rate limit, permission,
 * CSRF, body, idempotency, handler, audit - in this order, each step able to refuse. */
#include <stdio.h>
#include <stdlib.h>

#include "api/inside.h"
#include "base/clock.h"
#include "base/log.h"

enum { AUDIT_FIELDS = 64 };
#define CALL_MEMORY ((size_t)64 << 20)

/* One segment from *at on; moves behind its slash. */
static mc_slice segment(mc_slice path, size_t *at)
{
  size_t end = mc_slice_find(path, '/', *at);
  mc_slice s = mc_slice_sub(path, *at, end - *at);
  *at = end + 1;
  return s;
}

static bool path_matches(const char *pattern, mc_slice path, mc_slice param[API_PARAMS])
{
  mc_slice want = mc_slice_str(pattern);
  size_t p = 0, w = 0, n = 0;
  while (w <= want.len && p <= path.len) {
    mc_slice a = segment(want, &w), b = segment(path, &p);
    if (a.len > 2 && a.data[0] == '{') {
      if (!b.len || n == API_PARAMS)
        return false;
      param[n++] = b;
    } else if (!mc_slice_eq(a, b)) {
      return false;
    }
  }
  return w > want.len && p > path.len;
}

const api_operation *router_match(mc_slice method, mc_slice path, mc_slice param[API_PARAMS], bool *known_path)
{
  if (mc_slice_eq_str(method, "HEAD"))
    method = MC_LIT("GET");
  *known_path = false;
  const api_operation *best = NULL;
  for (size_t i = 0; i < api_operation_count; i++) {
    mc_slice found[API_PARAMS] = {{0}};
    const api_operation *op = &api_operation_table[i];
    if (!path_matches(op->path, path, found))
      continue;
    *known_path = true;
    /* "/clients/events" before "/clients/{id}": fewer braces win */
    if (mc_slice_eq_str(method, op->method) && (!best || (strchr(best->path, '{') && !strchr(op->path, '{')))) {
      best = op;
      memcpy(param, found, sizeof found);
    }
  }
  return best;
}

/* ---- on a worker ---- */

static bool allowed(const api_call *c)
{
  mc_slice permission = mc_slice_str(c->op->permission);
  if (mc_slice_eq_str(permission, "public"))
    return true;
  if (c->who.kind != MC_PRINCIPAL_NONE)
    return mc_access_role_allows(c->who.role, permission);
  return c->api->config.metrics_open && c->loopback && !strcmp(c->op->id, "metrics");
}

int router_wait_s(mc_api *api, const mc_principal *who, const char *address)
{
  char key[80];
  bool known = who->kind != MC_PRINCIPAL_NONE;
  if (known)
    snprintf(key, sizeof key, "%d/%u/%u", (int)who->kind, who->tenant, who->id);
  else
    snprintf(key, sizeof key, "@%s", address);
  double per_s = api->config.rate_per_s ? api->config.rate_per_s : 100;
  return limiter_take(api->limiter, key, known ? per_s : per_s / 5, known ? 4 * per_s : 2 * per_s);
}

/* Checks who asks and whether they may. 0, or the status to refuse with. */
static int admit(api_call *c)
{
  mc_err identity = identity_read(c);
  bool is_public = !strcmp(c->op->permission, "public");
  if (identity && is_public) { /* an old cookie must not keep anybody from signing in */
    identity = MC_OK;
    c->why = (mc_why){0};
  }
  int wait = router_wait_s(c->api, &c->who, c->address);
  if (wait) {
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", wait);
    reply_header(c, "Retry-After", mc_slice_str(seconds));
    mc_err_set(&c->why, MC_ERR_FULL, "too many requests: wait %d s", wait);
    return 429;
  }
  if (identity)
    return 401;
  if (!allowed(c)) {
    if (c->who.kind == MC_PRINCIPAL_NONE) {
      mc_err_set(&c->why, MC_ERR_UNAUTHENTICATED, "this needs the permission %s: sign in, or send an API token as \"Authorization: Bearer mct_...\"", c->op->permission);
      return 401;
    }
    mc_err_set(&c->why, MC_ERR_DENIED, "this needs the permission %s, which the role %s does not have; ask an admin", c->op->permission, mc_access_role_name(c->who.role));
    return 403;
  }
  bool safe = !strcmp(c->op->method, "GET");
  if (!safe && !is_public && !identity_csrf_ok(c)) {
    mc_err_set(&c->why, MC_ERR_DENIED, "the header X-CSRF-Token is missing or wrong; load the page again (its value comes with GET /api/v1/me)");
    return 403;
  }
  return 0;
}

static bool has_required(const api_schema *s)
{
  for (size_t i = 0; i < s->field_count; i++)
    if (s->field[i].required)
      return true;
  return false;
}

/* 0, or the status to refuse with. */
static int read_body(api_call *c)
{
  if (!c->op->body)
    return 0;
  if (!c->request->body.len && !has_required(c->op->body)) { /* everything is optional: nothing said is said enough */
    c->body = json_object();
    return c->body ? 0 : 503;
  }
  mc_slice type = mc_http_request_header(c->request, "content-type");
  mc_slice json = MC_LIT("application/json");
  if (!mc_slice_starts(type, json) || (type.len > json.len && type.data[json.len] != ';' && type.data[json.len] != ' ')) {
    mc_err_set(&c->why, MC_ERR_INVALID, "send the body as JSON with the header \"Content-Type: application/json\"");
    return 415;
  }
  json_error_t problem;
  mc_slice body = c->request->body;
  c->body = json_loadb(body.len ? (const char *)body.data : "", body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
  if (!c->body) {
    mc_err_set(&c->why, MC_ERR_MALFORMED, "the body is not valid JSON: line %d, column %d: %s", problem.line, problem.column, problem.text);
    return 400;
  }
  return schema_check(c->api->patterns, c->op->body, c->body, c->field, sizeof c->field, &c->why) ? 400 : 0;
}

static mc_err run_handler(api_call *c)
{
  c->json = mc_json_to(&c->out);
  mc_err err = c->op->run(c);
  if (!err && c->out.len && !c->content_type && mc_json_end(&c->json))
    err = mc_err_set(&c->why, MC_ERR_MEMORY, "the answer could not be written: out of memory");
  return err;
}

/* Writes the audit record; a change without one is reported, not hidden. */
static bool audit(api_call *c, int status)
{
  bool somebody = c->who.kind != MC_PRINCIPAL_NONE || !strcmp(c->op->permission, "public");
  if (!c->op->mutates || !somebody)
    return true;
  mc_why why = {0};
  mc_slice field[AUDIT_FIELDS];
  mc_desk_record record = {.who = &c->who, .address = c->address, .operation = c->op->id, .path = c->request->path, .status = status, .request_id = c->request->id, .field = field};
  const char *name;
  json_t *member;
  if (json_is_object(c->body) && json_object_size(c->body) <= AUDIT_FIELDS)
    json_object_foreach (c->body, name, member)
      field[record.field_count++] = mc_slice_str(name);
  if (audit_record(c->api->audit, &record, &why) == MC_OK)
    return true;
  mc_log(MC_LOG_ERROR, "api", "audit record not saved", MC_KZ("operation", c->op->id), MC_KZ("reason", why.text));
  if (status < 300)
    mc_err_set(&c->why, MC_ERR_IO, "the change was made, but its audit record could not be saved: %s", why.text);
  return status >= 300;
}

/* Runs the handler, at most once for an idempotency key. 0, or the status of the problem. */
static int perform(api_call *c)
{
  mc_slice key = mc_http_request_header(c->request, "idempotency-key");
  bool once = key.len && c->op->status == 201;
  if (once) {
    idem_verdict v = idem_begin(c, key);
    if (v != IDEM_RUN)
      return v == IDEM_REPLAYED ? 0 : c->status;
  }
  mc_err err = run_handler(c);
  int status = err ? (c->status >= 400 ? c->status : reply_status_of(err)) : (c->status ? c->status : c->op->status);
  if (once)
    idem_finish(c, key, !err);
  if (!audit(c, status))
    return 500;
  if (status >= 500)
    mc_log(MC_LOG_WARN, "api", "operation failed", MC_KZ("operation", c->op->id), MC_KZ("reason", c->why.text));
  return err ? status : 0;
}

void router_run(api_call *c)
{
  int64_t began = mc_clock_mono_us();
  mc_api *api = c->api;
  mc_metric_add(api->requests[c->op - api_operation_table], 1);
  int refused = admit(c);
  if (!refused && schema_check_query(c))
    refused = 400;
  if (!refused)
    refused = read_body(c);
  if (refused)
    audit(c, refused);
  else
    refused = perform(c);
  mc_metric_observe_us(api->duration, mc_clock_mono_us() - began);
  if (refused == 401)
    reply_header(c, "WWW-Authenticate", MC_LIT("Bearer realm=\"motorcade\""));
  if (refused)
    reply_problem(c, refused);
  else
    reply_send(c);
}

/* ---- on the loop ---- */

/* "192.0.2.1:5123" or "[2001:db8::1]:5123" without the port. */
static void read_peer(api_call *c)
{
  mc_peer peer;
  mc_conn_peer(c->request->conn, &peer);
  c->tls = peer.tls;
  snprintf(c->address, sizeof c->address, "%s", peer.address);
  char *colon = strrchr(c->address, ':');
  if (colon)
    *colon = 0;
  c->loopback = !strncmp(c->address, "127.", 4) || !strcmp(c->address, "[::1]") || !strcmp(c->address, "::1");
}

static api_call *call_create(mc_api *api, mc_http_request *r)
{
  api_call *c = calloc(1, sizeof *c);
  if (!c) {
    mc_http_reply reply = {.status = 503};
    mc_http_answer(r, &reply);
    return NULL;
  }
  c->api = api;
  c->request = r;
  c->arena = MC_ARENA(CALL_MEMORY);
  return c;
}

static void refuse_unknown(api_call *c, bool known_path)
{
  if (!known_path) {
    mc_err_set(&c->why, MC_ERR_NOT_FOUND, "nothing is at this address; /api/v1/openapi.json lists what there is");
    reply_problem(c, 404);
    return;
  }
  mc_buf methods = {0};
  for (size_t i = 0; i < api_operation_count; i++) {
    mc_slice param[API_PARAMS];
    if (path_matches(api_operation_table[i].path, c->request->path, param))
      mc_buf_printf(&methods, "%s%s", methods.len ? ", " : "", api_operation_table[i].method);
  }
  reply_header(c, "Allow", mc_buf_slice(&methods));
  mc_err_set(&c->why, MC_ERR_NOT_FOUND, "this address takes %.*s", MC_FMT(mc_buf_slice(&methods)));
  mc_buf_free(&methods);
  reply_problem(c, 405);
}

/* What names a host that is not ours: see host.c. */
static bool refuse_host(mc_api *api, mc_http_request *r)
{
  mc_slice host = mc_http_request_header(r, "host");
  mc_peer peer;
  mc_conn_peer(r->conn, &peer);
  if (peer.tls || host_allowed(api->config.hosts, host))
    return false;
  api_call *c = call_create(api, r);
  if (!c)
    return true;
  mc_err_set(&c->why, MC_ERR_DENIED,
             "this port answers to localhost, 127.0.0.1, ::1 and the names in the setting names, not to \"%.*s\"; use one of them, or add it: "
             "names = localhost,127.0.0.1,::1,HOST in motorcade.conf, or --names",
             (int)(host.len < 100 ? host.len : 100), (const char *)host.data);
  reply_problem(c, 421);
  return true;
}

api_call *router_begin(mc_api *api, mc_http_request *r)
{
  if (refuse_host(api, r))
    return NULL;
  mc_slice param[API_PARAMS] = {{0}};
  bool known_path = false;
  const api_operation *op = router_match(r->method, r->path, param, &known_path);
  bool page = false;
  if (!op && !known_path && (device_answer(api, r) || assets_answer(api->assets, r, &page))) {
    if (page) /* its first view is the map: by the time somebody signed in it is there */
      map_wanted(api);
    return NULL;
  }
  api_call *c = call_create(api, r);
  if (!c)
    return NULL;
  read_peer(c);
  if (!op) {
    refuse_unknown(c, known_path);
    return NULL;
  }
  c->op = op;
  memcpy(c->param, param, sizeof param);
  if (op->kind != API_WEBSOCKET)
    return c;
  int refused = admit(c); /* memory only, but for one write a minute; the stream must be accepted on its loop */
  if (refused)
    reply_problem(c, refused);
  else
    live_accept(api->live, c);
  return NULL;
}

void router_request(void *ctx, mc_http_request *r)
{
  mc_api *api = ctx;
  api_call *c = router_begin(api, r);
  if (!c || mc_pool_give(api->pool, &c->job))
    return;
  reply_header(c, "Retry-After", MC_LIT("1"));
  mc_err_set(&c->why, MC_ERR_AGAIN, "the server is busy or stopping; try again in a second");
  reply_problem(c, 503);
}
