/* aws: the AWS-compatible face, under /aws. An SDK or command line of AWS's reaches the same services by an endpoint URL alone.
 *
 * Requests carry Signature Version 4, made with an access key of ours (registry). The service is told by the signature's scope: iotfleetwise
 * (awsJson 1.0; contract fleetwise 9.1) and iotdata (restJson 1; device shadows). Requests arrive on loops; operations run on a small pool of worker threads. */
#ifndef MC_AWS_H
#define MC_AWS_H

#include "access/access.h"
#include "campaign/campaign.h"
#include "net/net.h"
#include "registry/registry.h"
#include "twin/twin.h"

typedef struct mc_aws mc_aws;
typedef struct mc_aws_config {
  mc_registry *registry;
  mc_campaigns *campaigns;
  mc_shadows *shadows;
  mc_desk desk;        /* rates and audit, shared with our API */
  size_t workers;      /* 0: 2 */
  size_t max_body;     /* of requests that name an access key that exists; 0: 300 MiB. Others: 1 MiB */
} mc_aws_config;
mc_err mc_aws_create(const mc_aws_config *config, mc_aws **out, mc_why *why);
/* For a mount of the HTTP server at "/aws"; any loop. */
size_t mc_aws_max_body(mc_aws *aws, mc_slice target, mc_slice authorization);
void mc_aws_request(mc_aws *aws, mc_http_request *r);
void mc_aws_stop(mc_aws *aws); /* answers what is under way */
void mc_aws_destroy(mc_aws **aws);

#endif
