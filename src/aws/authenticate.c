/* Who signed a request, and for which service. */
#include <openssl/crypto.h>

#include "aws/inside.h"
#include "base/clock.h"

static const aws_service *const services[] = {&aws_fleetwise, &aws_iot_data};

const aws_service *aws_service_find(mc_slice name)
{
  for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
    if (mc_slice_eq_str(name, services[i]->name))
      return services[i];
  return NULL;
}

static const char *const fault_name[] = {[SIGV4_MISSING] = "MissingAuthenticationTokenException",
                                         [SIGV4_INCOMPLETE] = "IncompleteSignatureException",
                                         [SIGV4_UNKNOWN] = "UnrecognizedClientException",
                                         [SIGV4_INVALID] = "InvalidSignatureException",
                                         [SIGV4_MEMORY] = "InternalServerException"};

static sigv4_fault verify(aws_call *c, const sigv4_request *r, const sigv4 *s, const aws_service **service)
{
  char secret[MC_ACCESS_KEY_SECRET];
  mc_principal who;
  *service = aws_service_find(s->service);
  if (!*service) {
    mc_err_set(&c->why, MC_ERR_UNAUTHENTICATED, "Credential should be scoped to a service that is here, like 'iotfleetwise', not to '%.*s'", MC_FMT(s->service));
    return SIGV4_INVALID;
  }
  if (mc_registry_access_key_find(c->aws->config.registry, s->key_id, &who, secret, &c->why))
    return SIGV4_UNKNOWN;
  sigv4_fault fault = sigv4_verify(r, s, mc_slice_str(secret), mc_clock_wall_us(), &c->why);
  OPENSSL_cleanse(secret, sizeof secret);
  if (!fault) {
    c->who = who;
    mc_slice_to_str(s->region, c->region, sizeof c->region);
    mc_registry_access_key_used(c->aws->config.registry, s->key_id);
  }
  return fault;
}

bool aws_authenticate(aws_call *c, const aws_service **service)
{
  sigv4 s;
  sigv4_request r = {c->request->method, c->request->target, c->request->header, c->request->header_count, c->request->body};
  sigv4_fault fault = sigv4_read(&r, &s, &c->why);
  *service = NULL;
  if (!fault) {
    fault = verify(c, &r, &s, service);
    sigv4_free(&s);
  }
  if (!fault)
    return true;
  aws_fault(c, fault_name[fault]);
  c->status = fault == SIGV4_MEMORY ? 500 : 400;
  return false;
}
