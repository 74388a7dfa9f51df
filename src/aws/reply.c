/* Answers of awsJson 1.0: the output, or an exception with __type, message and its members. */
#include <stdio.h>
#include <stdlib.h>

#include "aws/inside.h"
#include "format/json.h"

void aws_fault(aws_call *c, const char *name)
{
  c->fault = name;
  mc_buf_clear(&c->out);
}

void aws_call_free(aws_call *c)
{
  mc_buf_free(&c->out);
  mc_buf_free(&c->members);
  free(c);
}

static mc_err write_fault(aws_call *c, const aws_service *service)
{
  char type[128];
  snprintf(type, sizeof type, "%s%s", service ? service->types : "", c->fault);
  mc_json j = mc_json_to(&c->out);
  mc_json_object(&j);
  mc_json_str_field(&j, "__type", type);
  mc_json_str_field(&j, "message", c->why.text);
  mc_json_object_end(&j);
  MC_TRY(mc_json_end(&j));
  if (!c->members.len)
    return MC_OK;
  c->out.len--; /* the brace */
  MC_TRY(mc_buf_append_u8(&c->out, ','));
  MC_TRY(mc_buf_append_slice(&c->out, mc_buf_slice(&c->members)));
  return mc_buf_append_u8(&c->out, '}');
}

void aws_answer(aws_call *c, const aws_service *service)
{
  mc_http_header header[4] = {{MC_LIT("x-amzn-RequestId"), mc_slice_str(c->id)}, {MC_LIT("Cache-Control"), MC_LIT("no-store")}};
  mc_http_reply reply = {.status = c->status ? c->status : c->fault ? 400 : 200,
                         .content_type = service ? service->content_type : aws_fleetwise.content_type,
                         .header = header,
                         .header_count = 2};
  if (c->fault) {
    header[reply.header_count++] = (mc_http_header){MC_LIT("x-amzn-ErrorType"), mc_slice_str(c->fault)};
    if (write_fault(c, service)) {
      mc_buf_clear(&c->out);
      reply.status = 503;
    }
  }
  reply.body = mc_buf_slice(&c->out);
  mc_metric_add(c->fault ? c->aws->refused : c->aws->answered, 1);
  mc_http_answer(c->request, &reply);
  aws_call_free(c);
}
