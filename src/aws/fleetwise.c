/* iotfleetwise: every operation is campaign's control plane by name. */
#include <stdio.h>

#include "aws/inside.h"

static const char *const exception[] = {[MC_CONTROL_VALIDATION] = "ValidationException",
                                        [MC_CONTROL_NOT_FOUND] = "ResourceNotFoundException",
                                        [MC_CONTROL_CONFLICT] = "ConflictException",
                                        [MC_CONTROL_LIMIT] = "LimitExceededException",
                                        [MC_CONTROL_INVALID_NODE] = "InvalidNodeException",
                                        [MC_CONTROL_INVALID_SIGNALS] = "InvalidSignalsException",
                                        [MC_CONTROL_DECODER_MANIFEST] = "DecoderManifestValidationException",
                                        [MC_CONTROL_ACCESS] = "AccessDeniedException",
                                        [MC_CONTROL_THROTTLED] = "ThrottlingException",
                                        [MC_CONTROL_INTERNAL] = "InternalServerException"};

static bool find(mc_slice operation, const char **permission, bool *changes)
{
  const mc_control_info *info = mc_control_find(operation);
  if (!info)
    return false;
  *permission = info->permission;
  *changes = info->changes;
  return true;
}

static mc_err run(aws_call *c)
{
  char actor[160];
  snprintf(actor, sizeof actor, "access key %s", c->who.name);
  mc_control_request request = {.tenant = c->who.tenant,
                                .operation = c->operation,
                                .input = c->request->body,
                                .region = mc_slice_str(c->region),
                                .actor = mc_slice_str(actor)};
  mc_control_error error = {0};
  mc_err err = mc_control_call(c->aws->config.campaigns, &request, &c->out, &error, &c->why);
  if (err) {
    aws_fault(c, exception[error.fault ? error.fault : MC_CONTROL_INTERNAL]);
    c->status = error.fault == MC_CONTROL_INTERNAL || !error.fault ? 500 : 400;
    c->members = error.members;
    error.members = (mc_buf){0};
  }
  mc_control_error_free(&error);
  return err;
}

const aws_service aws_fleetwise = {.name = "iotfleetwise",
                                   .target = "IoTAutobahnControlPlane.",
                                   .content_type = "application/x-amz-json-1.0",
                                   .types = "com.amazonaws.iotautobahncontrolplane#",
                                   .find = find,
                                   .run = run};
