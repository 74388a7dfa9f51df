/* iotdata: device shadows (AWS IoT data plane, restJson 1). */
#include <jansson.h>
#include <stdio.h>

#include "aws/inside.h"
#include "base/clock.h"
#include "format/json.h"

static const aws_route routes[] = {
    {"GET", "/things/*/shadow", "GetThingShadow", "shadow:read", false},
    {"POST", "/things/*/shadow", "UpdateThingShadow", "shadow:write", true},
    {"DELETE", "/things/*/shadow", "DeleteThingShadow", "shadow:write", true},
    {"GET", "/api/things/shadow/ListNamedShadowsForThing/*", "ListNamedShadowsForThing", "shadow:read", false},
};

static const struct { int code; const char *name; } faults[] = {{400, "InvalidRequestException"},
                                                                 {404, "ResourceNotFoundException"},
                                                                 {409, "ConflictException"},
                                                                 {413, "RequestEntityTooLargeException"},
                                                                 {415, "UnsupportedDocumentEncodingException"},
                                                                 {429, "ThrottlingException"},
                                                                 {503, "ServiceUnavailableException"},
                                                                 {500, "InternalFailureException"}};

static mc_err fail(aws_call *c, int code, mc_err err)
{
  size_t i = 0;
  while (faults[i].code != code && faults[i].code != 500)
    i++;
  aws_fault(c, faults[i].name);
  c->status = faults[i].code;
  return err;
}

static mc_err answer(aws_call *c, mc_err err, mc_shadow_answer *a)
{
  if (err)
    err = fail(c, err == MC_ERR_INVALID ? 400 : err == MC_ERR_TIMEOUT || err == MC_ERR_FULL ? 503 : 500, err);
  else if (a->code != 200)
    err = fail(c, a->code, mc_err_set(&c->why, MC_ERR_INVALID, "%s", a->message));
  else
    err = mc_buf_append_slice(&c->out, mc_buf_slice(&a->text));
  mc_buf_free(&a->text);
  return err;
}

/* {"results":[...],"nextToken":,"timestamp":}; only named ones. The token is the last name. */
static mc_err list(aws_call *c)
{
  mc_arena arena MC_ARENA_AUTO = MC_ARENA(0);
  mc_shadow_name *names;
  size_t n;
  int64_t limit = 25; /* AWS's own default */
  mc_buf token = {0}, size = {0};
  mc_http_query(c->request, "nextToken", &token);
  bool good = !mc_http_query(c->request, "pageSize", &size) || (!mc_slice_to_i64(mc_buf_slice(&size), &limit) && limit >= 1 && limit <= 100);
  mc_buf_free(&size);
  if (!good || (token.len && !mc_shadow_name_is_good(mc_buf_slice(&token)))) {
    mc_buf_free(&token);
    return fail(c, 400, mc_err_set(&c->why, MC_ERR_INVALID, good ? "nextToken is none of this list" : "pageSize must be 1 to 100"));
  }
  mc_err err = mc_shadow_list(c->aws->config.shadows, c->who.tenant, c->param, token.len ? mc_buf_slice(&token) : MC_LIT(""), (size_t)limit + 1, &arena, &names, &n, &c->why);
  mc_buf_free(&token);
  if (err)
    return fail(c, err == MC_ERR_TIMEOUT ? 503 : 500, err);
  mc_json j = mc_json_to(&c->out);
  mc_json_object(&j);
  mc_json_key(&j, "results");
  mc_json_array(&j);
  for (size_t i = 0; i < n && i < (size_t)limit; i++)
    mc_json_text(&j, names[i].name);
  mc_json_array_end(&j);
  if (n > (size_t)limit)
    mc_json_text_field(&j, "nextToken", names[limit - 1].name);
  mc_json_int_field(&j, "timestamp", mc_clock_wall_us() / 1000000);
  mc_json_object_end(&j);
  return mc_json_end(&j);
}

static mc_err run(aws_call *c)
{
  mc_shadow_answer a = {0};
  mc_shadows *s = c->aws->config.shadows;
  mc_buf name = {0};
  mc_err err;
  mc_http_query(c->request, "name", &name);
  if (mc_slice_eq_str(c->operation, "ListNamedShadowsForThing"))
    err = list(c);
  else if (mc_slice_eq_str(c->operation, "GetThingShadow"))
    err = answer(c, mc_shadow_get(s, c->who.tenant, c->param, mc_buf_slice(&name), &a, &c->why), &a);
  else if (mc_slice_eq_str(c->operation, "UpdateThingShadow"))
    err = answer(c, mc_shadow_update(s, c->who.tenant, c->param, mc_buf_slice(&name), 0, c->request->body, &a, &c->why), &a);
  else
    err = answer(c, mc_shadow_delete(s, c->who.tenant, c->param, mc_buf_slice(&name), 0, &a, &c->why), &a);
  mc_buf_free(&name);
  return err;
}

const aws_service aws_iot_data = {.name = "iotdata", .content_type = "application/json", .types = "", .route = routes, .routes = sizeof routes / sizeof routes[0], .run = run};
