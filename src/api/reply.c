/* Answers: JSON, problem documents, and the headers that every answer carries. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/inside.h"
#include "base/clock.h"

void call_free(api_call *c)
{
  if (c->body)
    json_decref(c->body);
  mc_buf_free(&c->out);
  mc_buf_free(&c->members);
  mc_arena_free(&c->arena);
  free(c);
}

mc_err call_refuse(api_call *c, const char *field, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  char text[MC_WHY_TEXT];
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  snprintf(c->field, sizeof c->field, "%s", field);
  return mc_err_set(&c->why, MC_ERR_INVALID, "%s", text);
}

mc_err call_id(api_call *c, size_t param, const char *what, uint32_t *out)
{
  uint64_t v = 0;
  if (mc_slice_to_u64(c->param[param], &v) || v == 0 || v > UINT32_MAX)
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no %s with this id; ids are numbers as the list gives them", what);
  *out = (uint32_t)v;
  return MC_OK;
}

void reply_header(api_call *c, const char *name, mc_slice value)
{
  mc_slice copy;
  if (c->header_count < API_HEADERS && mc_arena_copy(&c->arena, value, &copy) == MC_OK)
    c->header[c->header_count++] = (mc_http_header){mc_slice_str(name), copy};
}

static const struct title {
  int status;
  const char *type, *title;
} title[] = {
    {400, "invalid", "The request is not valid"},
    {401, "unauthenticated", "Sign in first"},
    {403, "forbidden", "Not allowed"},
    {404, "not-found", "There is no such thing"},
    {405, "method", "This address does not do that"},
    {409, "conflict", "It clashes with what is there"},
    {413, "too-large", "The request is too large"},
    {415, "media-type", "Send JSON"},
    {421, "host", "This is not the server for that name"},
    {422, "impossible", "This cannot be done as asked"},
    {429, "too-many", "Too many requests"},
    {500, "internal", "Something failed inside"},
    {501, "unsupported", "Not supported"},
    {503, "unavailable", "Not now"},
    {504, "timeout", "It took too long"},
    {507, "full", "Out of space"},
};

static const struct title *title_of(int status)
{
  for (size_t i = 0; i < sizeof title / sizeof title[0]; i++)
    if (title[i].status == status)
      return &title[i];
  return title_of(500);
}

int reply_status_of(mc_err err)
{
  switch (err) {
  case MC_OK: return 200;
  case MC_ERR_MALFORMED:
  case MC_ERR_TRUNCATED:
  case MC_ERR_INVALID: return 400;
  case MC_ERR_TOO_LARGE: return 413;
  case MC_ERR_UNSUPPORTED: return 422;
  case MC_ERR_NOT_FOUND: return 404;
  case MC_ERR_EXISTS:
  case MC_ERR_CONFLICT: return 409;
  case MC_ERR_DENIED: return 403;
  case MC_ERR_UNAUTHENTICATED: return 401;
  case MC_ERR_FULL: return 507;
  case MC_ERR_AGAIN:
  case MC_ERR_CLOSED: return 503;
  case MC_ERR_TIMEOUT: return 504;
  default: return 500;
  }
}

/* Sends c->out with what every API answer carries, then frees c. */
static void send(api_call *c, int status, const char *content_type)
{
  mc_http_header header[API_HEADERS + 4] = {
      {MC_LIT("Cache-Control"), MC_LIT("no-store")},
      {MC_LIT("X-Content-Type-Options"), MC_LIT("nosniff")},
      {MC_LIT("Content-Security-Policy"), MC_LIT("default-src 'none'; frame-ancestors 'none'")},
  };
  size_t n = 3;
  for (size_t i = 0; i < c->header_count; i++) {
    if (mc_slice_eq_str(c->header[i].name, "Cache-Control"))
      header[0] = c->header[i];
    else
      header[n++] = c->header[i];
  }
  if (host_wants_tls(c->request))
    header[n++] = (mc_http_header)API_HSTS;
  mc_http_reply reply = {.status = status, .content_type = c->out.len ? content_type : NULL, .body = mc_buf_slice(&c->out), .header = header, .header_count = n};
  mc_http_answer(c->request, &reply);
  call_free(c);
}

void reply_send(api_call *c)
{
  send(c, c->status ? c->status : c->op->status, c->content_type ? c->content_type : "application/json");
}

void reply_problem(api_call *c, int status)
{
  const struct title *t = title_of(status);
  char type[64], id[24];
  snprintf(type, sizeof type, "/problems/%s", t->type);
  snprintf(id, sizeof id, "%016llx", (unsigned long long)c->request->id);
  mc_buf_clear(&c->out);
  mc_json j = mc_json_to(&c->out);
  mc_json_object(&j);
  mc_json_str_field(&j, "type", type);
  mc_json_str_field(&j, "title", t->title);
  mc_json_int_field(&j, "status", status);
  if (c->why.text[0])
    mc_json_str_field(&j, "detail", c->why.text);
  if (c->field[0])
    mc_json_str_field(&j, "field", c->field);
  mc_json_str_field(&j, "request_id", id);
  if (c->members.len && !j.err && (mc_buf_append_u8(&c->out, ',') || mc_buf_append_slice(&c->out, mc_buf_slice(&c->members))))
    j.err = MC_ERR_MEMORY;
  mc_json_object_end(&j);
  if (mc_json_end(&j))
    mc_buf_clear(&c->out); /* no memory: the status line still tells */
  mc_metric_add(c->api->refused, 1);
  send(c, status, "application/problem+json");
}

void json_time(mc_json *j, const char *key, int64_t time_us)
{
  char text[MC_CLOCK_TEXT];
  mc_clock_format_us(time_us, text);
  mc_json_str_field(j, key, text);
}

void json_time_if(mc_json *j, const char *key, int64_t time_us)
{
  if (time_us)
    json_time(j, key, time_us);
}
