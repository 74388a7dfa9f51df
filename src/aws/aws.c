/* A request from the loop to its answer: signature, rate, operation, permission, the operation itself, audit - in this order, each step able to refuse. */
#include "aws/aws.h"

#include <jansson.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/inside.h"
#include "base/clock.h"
#include "base/log.h"

enum { QUEUE_MAX = 256, SMALL_BODY = 1 << 20, AUDIT_BODY = 4 << 20, AUDIT_FIELDS = 64 };
#define MAX_BODY ((size_t)300 << 20)

/* ---- one call, on a worker ---- */

static bool refuse_rate(aws_call *c)
{
  int wait = c->aws->config.desk.wait_s(c->aws->config.desk.ctx, &c->who, c->address);
  if (!wait)
    return false;
  mc_err_set(&c->why, MC_ERR_FULL, "too many requests: wait %d s", wait);
  aws_fault(c, "ThrottlingException");
  mc_buf_clear(&c->members);
  mc_buf_printf(&c->members, "\"retryAfterSeconds\":%d", wait);
  return true;
}

static bool unknown(aws_call *c, int status, const char *text)
{
  mc_err_set(&c->why, MC_ERR_UNSUPPORTED, "%s", text);
  aws_fault(c, "UnknownOperationException");
  c->status = status;
  return false;
}

/* The protocol of the service: where, how, in what. */
static bool is_json_request(aws_call *c, const aws_service *service)
{
  mc_http_request *r = c->request;
  if (!mc_slice_eq_str(r->path, "/aws") && !mc_slice_eq_str(r->path, "/aws/"))
    return unknown(c, 404, "nothing is at this path: operations are sent to /aws/, named by X-Amz-Target");
  if (!mc_slice_eq_str(r->method, "POST"))
    return unknown(c, 405, "operations are sent by POST");
  mc_slice type = mc_http_request_header(r, "content-type");
  size_t end = mc_slice_find(type, ';', 0);
  if (mc_slice_eq_str(mc_slice_trim(mc_slice_sub(type, 0, end)), service->content_type) && !mc_http_request_header(r, "content-encoding").len)
    return true;
  mc_err_set(&c->why, MC_ERR_INVALID, "send the input as it is, with the header Content-Type: %s", service->content_type);
  aws_fault(c, "SerializationException");
  return false;
}

/* One segment in place of the star. The path is decoded already. */
static bool path_matches(aws_call *c, const char *pattern, mc_slice path)
{
  mc_slice p = mc_slice_str(pattern);
  size_t star = mc_slice_find(p, '*', 0);
  mc_slice tail = mc_slice_sub(p, star + 1, p.len);
  if (!mc_slice_starts(path, mc_slice_sub(p, 0, star)) || path.len <= star + tail.len)
    return false;
  c->param = mc_slice_sub(path, star, path.len - star - tail.len);
  return mc_slice_eq(mc_slice_sub(path, path.len - tail.len, tail.len), tail) && !memchr(c->param.data, '/', c->param.len);
}

static bool find_route(aws_call *c, const aws_service *service, const char **permission, bool *changes)
{
  mc_slice path = mc_slice_sub(c->request->path, sizeof "/aws" - 1, c->request->path.len);
  bool known = false;
  for (size_t i = 0; i < service->routes; i++) {
    const aws_route *r = &service->route[i];
    if (!path_matches(c, r->path, path))
      continue;
    known = true;
    if (!mc_slice_eq_str(c->request->method, r->method))
      continue;
    c->operation = mc_slice_str(r->operation);
    *permission = r->permission;
    *changes = r->changes;
    return true;
  }
  return known ? unknown(c, 405, "nothing is done by this method at this path") : unknown(c, 404, "nothing is at this path");
}

static bool find_operation(aws_call *c, const aws_service *service, const char **permission, bool *changes)
{
  mc_slice target = mc_http_request_header(c->request, "x-amz-target"), prefix = mc_slice_str(service->target);
  if (mc_slice_starts(target, prefix)) {
    c->operation = mc_slice_sub(target, prefix.len, target.len);
    if (service->find(c->operation, permission, changes))
      return true;
  }
  char text[200];
  snprintf(text, sizeof text, "X-Amz-Target: \"%.*s\" is no operation of %s", (int)(target.len < 100 ? target.len : 100), (const char *)target.data, service->name);
  return unknown(c, 400, text);
}

static bool is_allowed(aws_call *c, const aws_service *service, const char *permission)
{
  if (mc_access_role_allows(c->who.role, mc_slice_str(permission)))
    return true;
  mc_err_set(&c->why, MC_ERR_DENIED,
             "User: arn:aws:iam::000000000000:user/%s is not authorized to perform: %s:%.*s because its access key has the role %s, which lacks the permission %s",
             c->who.name, service->name, MC_FMT(c->operation), mc_access_role_name(c->who.role), permission);
  aws_fault(c, "AccessDeniedException");
  return false;
}

/* Names of the input's members, never their values. */
static size_t field_names(json_t *input, mc_slice name[AUDIT_FIELDS])
{
  const char *key;
  json_t *value;
  size_t n = 0;
  if (json_is_object(input) && json_object_size(input) <= AUDIT_FIELDS)
    json_object_foreach (input, key, value)
      name[n++] = mc_slice_str(key);
  return n;
}

/* A change without its record is told, not hidden. */
static void audit(aws_call *c, const aws_service *service)
{
  mc_slice name[AUDIT_FIELDS], body = c->request->body;
  char operation[160];
  mc_why why = {0};
  json_t *input = body.len && body.len <= AUDIT_BODY ? json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
  snprintf(operation, sizeof operation, "%s:%.*s", service->name, (int)(c->operation.len < 100 ? c->operation.len : 100), (const char *)c->operation.data);
  mc_desk_record record = {.who = &c->who,
                           .address = c->address,
                           .operation = operation,
                           .path = c->request->path,
                           .status = c->status ? c->status : c->fault ? 400 : 200,
                           .request_id = c->request->id,
                           .field = name,
                           .field_count = field_names(input, name)};
  mc_err err = c->aws->config.desk.audit(c->aws->config.desk.ctx, &record, &why);
  json_decref(input);
  if (!err)
    return;
  mc_log(MC_LOG_ERROR, "aws", "audit record not saved", MC_KZ("operation", operation), MC_KZ("reason", why.text));
  if (!c->fault) {
    mc_err_set(&c->why, MC_ERR_IO, "the change was made, but its audit record could not be saved: %s", why.text);
    aws_fault(c, "InternalServerException");
    c->status = 500;
  }
}

static void run(mc_job *job)
{
  aws_call *c = (aws_call *)job;
  int64_t began = mc_clock_mono_us();
  const aws_service *service = NULL;
  const char *permission = NULL;
  bool changes = false, known = aws_authenticate(c, &service);
  if (!known)
    mc_metric_add(c->aws->unauthenticated, 1);
  if (!refuse_rate(c) && known &&
      (service->route ? find_route(c, service, &permission, &changes) : is_json_request(c, service) && find_operation(c, service, &permission, &changes))) {
    if (is_allowed(c, service, permission))
      service->run(c);
    if (changes)
      audit(c, service);
  }
  mc_metric_observe_us(c->aws->duration, mc_clock_mono_us() - began);
  aws_answer(c, service);
}

/* ---- on the loop ---- */

/* Random, with the request's own number at its end: the same that X-Request-Id and the audit record say. */
static void make_id(aws_call *c)
{
  uint8_t b[10] = {0};
  RAND_bytes(b, sizeof b);
  snprintf(c->id, sizeof c->id, "%02x%02x%02x%02x-%02x%02x-4%x%02x-8%x%02x-%012llx", b[0], b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], b[8] & 15, b[9],
           (unsigned long long)(c->request->id & 0xFFFFFFFFFFFF));
}

void mc_aws_request(mc_aws *aws, mc_http_request *r)
{
  aws_call *c = calloc(1, sizeof *c);
  if (!c) {
    mc_http_answer(r, &(mc_http_reply){.status = 503});
    return;
  }
  mc_peer peer;
  mc_conn_peer(r->conn, &peer);
  c->aws = aws;
  c->request = r;
  snprintf(c->address, sizeof c->address, "%s", peer.address);
  char *colon = strrchr(c->address, ':');
  if (colon)
    *colon = 0;
  make_id(c);
  if (mc_pool_give(aws->pool, &c->job))
    return;
  mc_err_set(&c->why, MC_ERR_AGAIN, "the server is busy or stopping; try again in a second");
  aws_fault(c, "ServiceUnavailableException");
  c->status = 503;
  aws_answer(c, NULL);
}

/* Whoever names a key that exists may send much; the signature is checked when all is there. */
size_t mc_aws_max_body(mc_aws *aws, mc_slice target, mc_slice authorization)
{
  static const char word[] = "Credential=";
  const uint8_t *at = authorization.len ? memmem(authorization.data, authorization.len, word, sizeof word - 1) : NULL;
  if (!at)
    return SMALL_BODY;
  mc_slice rest = mc_slice_sub(authorization, (size_t)(at - authorization.data) + sizeof word - 1, authorization.len);
  mc_slice id = mc_slice_sub(rest, 0, mc_slice_find(rest, '/', 0));
  return mc_registry_access_key_known(aws->config.registry, id) ? aws->config.max_body : SMALL_BODY;
}

/* ---- life ---- */

mc_err mc_aws_create(const mc_aws_config *config, mc_aws **out, mc_why *why)
{
  mc_aws *aws = calloc(1, sizeof *aws);
  *out = aws;
  if (!aws)
    return mc_err_set(why, MC_ERR_MEMORY, "no memory for the AWS face");
  aws->config = *config;
  if (!aws->config.max_body)
    aws->config.max_body = MAX_BODY;
  aws->answered = mc_metric_get(MC_METRIC_COUNTER, "motorcade_aws_requests_total", "Requests to the AWS face, by result.", "result=\"answered\"");
  aws->refused = mc_metric_get(MC_METRIC_COUNTER, "motorcade_aws_requests_total", "Requests to the AWS face, by result.", "result=\"refused\"");
  aws->unauthenticated = mc_metric_get(MC_METRIC_COUNTER, "motorcade_aws_signatures_refused_total", "Requests whose signature was not accepted.", NULL);
  aws->duration = mc_metric_get(MC_METRIC_HISTOGRAM, "motorcade_aws_duration_seconds", "Time from a worker's start to the answer.", NULL);
  mc_err err = mc_pool_create(config->workers ? config->workers : 2, QUEUE_MAX, run, &aws->pool);
  if (err)
    mc_aws_destroy(out);
  return err ? mc_err_set(why, err, "the AWS face could not start: %s", mc_err_text(err)) : MC_OK;
}

void mc_aws_stop(mc_aws *aws)
{
  if (aws)
    mc_pool_stop(aws->pool);
}

void mc_aws_destroy(mc_aws **out)
{
  mc_aws *aws = *out;
  if (!aws)
    return;
  mc_pool_destroy(&aws->pool);
  free(aws);
  *out = NULL;
}
