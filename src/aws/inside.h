/* inside: what the files of aws share. Private to the module. */
#ifndef MC_AWS_INSIDE_H
#define MC_AWS_INSIDE_H

#include "aws/aws.h"
#include "aws/sigv4.h"
#include "base/metric.h"
#include "base/pool.h"

/* One request on its way; answered exactly once. */
typedef struct aws_call {
  mc_job job; /* first */
  mc_aws *aws;
  mc_http_request *request;
  char address[56], region[65], id[40]; /* id: x-amzn-RequestId */
  mc_principal who;
  mc_slice operation;
  mc_slice param; /* what stands at the star of the operation's path */
  /* the answer */
  mc_buf out;
  const char *fault; /* name of the exception; NULL: none */
  int status;        /* 0: 200, or 400 with a fault */
  mc_buf members;    /* of the exception beside its message: members of a JSON object, without braces */
  mc_why why;        /* its message */
} aws_call;

/* An operation of a service whose operations are paths (restJson 1). */
typedef struct aws_route {
  const char *method, *path; /* behind /aws; one star is one segment */
  const char *operation, *permission;
  bool changes;
} aws_route;

/* A service that a scope names. Operations are asked by name, or by path. */
typedef struct aws_service {
  const char *name;         /* in the scope, in the names of actions, in audit records */
  const char *target;       /* what X-Amz-Target begins with */
  const char *content_type; /* of requests and answers */
  const char *types;        /* what __type begins with */
  /* False: there is no such operation. */
  const aws_route *route; /* NULL: by name */
  size_t routes;
  bool (*find)(mc_slice operation, const char **permission, bool *changes);
  mc_err (*run)(aws_call *c);
} aws_service;
const aws_service *aws_service_find(mc_slice name); /* NULL: none */
extern const aws_service aws_fleetwise, aws_iot_data;

struct mc_aws {
  mc_aws_config config;
  mc_pool *pool;
  mc_metric *answered, *refused, *unauthenticated, *duration;
};

/* reply.c: what the call holds, as JSON; frees it. service may be NULL: the request did not say for whom it is. */
void aws_answer(aws_call *c, const aws_service *service);
/* Sets the exception; its message is in why. */
void aws_fault(aws_call *c, const char *name);
void aws_call_free(aws_call *c);

/* authenticate.c: who asks and for which service; false: the fault is set. */
bool aws_authenticate(aws_call *c, const aws_service **service);

#endif
