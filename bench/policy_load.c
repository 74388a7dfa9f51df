#include "bench/policy_load.h"

#include <stdio.h>

/* Five kinds of statements, as fleets write them: own topics, a depot's topics by wildcard, shadows' topics, a denial, one with conditions. */
static mc_err put_statement(mc_buf *out, int policy, int n)
{
  switch (n % 5) {
  case 0:
    return mc_buf_printf(out,
                         "{\"Effect\":\"Allow\",\"Action\":[\"iot:Publish\",\"iot:Receive\"],"
                         "\"Resource\":[\"arn:aws:iot:eu-central-1:123456789012:topic/fleet%d/${iot:ClientId}/app%d/*\"]}",
                         policy, n);
  case 1:
    return mc_buf_printf(out, "{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"arn:aws:iot:eu-central-1:123456789012:topic/depot%d/*/unit%d/state\"}", policy, n);
  case 2:
    return mc_buf_printf(out,
                         "{\"Effect\":\"Allow\",\"Action\":[\"iot:Publish\",\"iot:Receive\"],\"Resource\":[\"arn:aws:iot:eu-central-1:123456789012:topic/"
                         "$aws/things/${iot:Connection.Thing.ThingName}/shadow/name/s%d-%d/*\","
                         "\"arn:aws:iot:eu-central-1:123456789012:topic/$aws/things/${iot:Connection.Thing.ThingName}/jobs/j%d-%d/*\"]}",
                         policy, n, policy, n);
  case 3:
    return mc_buf_printf(out, "{\"Effect\":\"Deny\",\"Action\":\"iot:Publish\",\"Resource\":\"arn:aws:iot:eu-central-1:123456789012:topic/fleet%d/*/app%d/secret\"}", policy, n - 3);
  default:
    return mc_buf_printf(out,
                         "{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"arn:aws:iot:eu-central-1:123456789012:topic/plant%d/line%d/${iot:ClientId}\","
                         "\"Condition\":{\"Bool\":{\"iot:Connection.Thing.IsAttached\":\"true\"},\"IpAddress\":{\"aws:SourceIp\":\"198.51.100.0/24\"}}}",
                         policy, n);
  }
}

static mc_err put_document(mc_buf *out, int policy)
{
  mc_buf_clear(out);
  MC_TRY(mc_buf_append_str(out, "{\"Version\":\"2012-10-17\",\"Statement\":["));
  for (int n = 0; n < POLICY_LOAD_STATEMENTS; n++) {
    MC_TRY(mc_buf_append_str(out, n ? "," : ""));
    MC_TRY(put_statement(out, policy, n));
  }
  return mc_buf_append_str(out, "]}");
}

static int put_question(char out[96], int i)
{
  int policy = i % POLICY_LOAD_POLICIES, n = i * 35 % POLICY_LOAD_STATEMENTS;
  switch (i % 7) {
  case 0:
    return snprintf(out, 96, "fleet%d/veh-0001/app%d/speed", policy, n);
  case 1:
    return snprintf(out, 96, "depot%d/hall/7/unit%d/state", policy, n + 1);
  case 2:
    return snprintf(out, 96, "$aws/things/veh-0001/shadow/name/s%d-%d/update", policy, n + 2);
  case 3:
    return snprintf(out, 96, "fleet%d/veh-0001/app%d/secret", policy, n);
  case 4:
    return snprintf(out, 96, "plant%d/line%d/veh-0001", policy, n + 4);
  case 5:
    return snprintf(out, 96, "fleet%d/veh-0002/app%d/speed", policy, n);
  default:
    return snprintf(out, 96, "nobody%d/asked%d/for/this", policy, n);
  }
}

static void resolve(void *ctx, const mc_policy_variable *v, mc_policy_values *out)
{
  out->count = 1;
  out->at[0] = v->kind == MC_VARIABLE_SOURCE_IP ? MC_LIT("198.51.100.20") : v->kind == MC_VARIABLE_THING_ATTACHED ? MC_LIT("true") : MC_LIT("veh-0001");
}

mc_err policy_load_bind(const policy_load *l, mc_policy **out)
{
  return mc_policy_bind(l->set, resolve, NULL, out);
}

mc_err policy_load_make(policy_load *l, mc_why *why)
{
  mc_policy_part part[POLICY_LOAD_POLICIES] = {{0}};
  mc_policy_document *document[POLICY_LOAD_POLICIES] = {0};
  mc_buf text = {0};
  mc_err err = MC_OK;
  *l = (policy_load){.who = {.tenant = 1, .kind = MC_PRINCIPAL_THING, .id = 1, .name = "veh-0001"}};
  for (int i = 0; i < POLICY_LOAD_POLICIES && !err; i++) {
    err = put_document(&text, i) ? mc_err_set(why, MC_ERR_MEMORY, "no memory") : mc_policy_document_parse(mc_buf_slice(&text), &document[i], why);
    part[i] = (mc_policy_part){document[i], MC_LIT("load"), (uint32_t)i};
  }
  if (!err)
    err = mc_policy_set_compile(part, POLICY_LOAD_POLICIES, &l->set, why);
  if (!err && policy_load_bind(l, &l->policy))
    err = mc_err_set(why, MC_ERR_MEMORY, "no memory");
  for (int i = 0; i < POLICY_LOAD_POLICIES; i++)
    mc_policy_document_release(document[i]);
  mc_buf_free(&text);
  for (int i = 0; i < POLICY_LOAD_QUESTIONS; i++) {
    put_question(l->text[i], i);
    l->question[i] = (mc_policy_question){MC_ACTION_PUBLISH, mc_slice_str(l->text[i]), 0, false};
  }
  return err;
}

void policy_load_free(policy_load *l)
{
  mc_policy_release(l->policy);
  mc_policy_set_release(l->set);
}
