/* The actions that policy documents name, and what their resources are (contract iotcore, "Policies"). */
#include "access/statement.h"

static const struct action_row {
  const char *name, *prefix;
} action_row[MC_ACTIONS] = {
    [MC_ACTION_CONNECT] = {"iot:Connect", "client/"},
    [MC_ACTION_PUBLISH] = {"iot:Publish", "topic/"},
    [MC_ACTION_SUBSCRIBE] = {"iot:Subscribe", "topicfilter/"},
    [MC_ACTION_RECEIVE] = {"iot:Receive", "topic/"},
    [MC_ACTION_RETAIN_PUBLISH] = {"iot:RetainPublish", "topic/"},
    [MC_ACTION_GET_SHADOW] = {"iot:GetThingShadow", "thing/"},
    [MC_ACTION_UPDATE_SHADOW] = {"iot:UpdateThingShadow", "thing/"},
    [MC_ACTION_DELETE_SHADOW] = {"iot:DeleteThingShadow", "thing/"},
    [MC_ACTION_LIST_SHADOWS] = {"iot:ListNamedShadowsForThing", "thing/"},
    [MC_ACTION_DESCRIBE_JOB] = {"iot:DescribeJobExecution", "thing/"},
    [MC_ACTION_GET_JOBS] = {"iot:GetPendingJobExecutions", "thing/"},
    [MC_ACTION_START_JOB] = {"iot:StartNextPendingJobExecution", "thing/"},
    [MC_ACTION_UPDATE_JOB] = {"iot:UpdateJobExecution", "thing/"},
    [MC_ACTION_GET_RETAINED] = {"iot:GetRetainedMessage", "topic/"},
    [MC_ACTION_LIST_RETAINED] = {"iot:ListRetainedMessages", ""},
    [MC_ACTION_ASSUME_ROLE] = {"iot:AssumeRoleWithCertificate", "rolealias/"},
    [MC_ACTION_DELETE_CONNECTION] = {"iot:DeleteConnection", "client/"},
    [MC_ACTION_GREENGRASS_DISCOVER] = {"greengrass:Discover", "thing/"},
    [MC_ACTION_GREENGRASS_RESOLVE] = {"greengrass:ResolveComponentCandidates", "components:"},
    [MC_ACTION_GREENGRASS_ARTIFACT] = {"greengrass:GetComponentVersionArtifact", "components:"},
    [MC_ACTION_GREENGRASS_DEPLOYMENT] = {"greengrass:GetDeploymentConfiguration", "coreDevices:"},
    [MC_ACTION_GREENGRASS_GROUPS] = {"greengrass:ListThingGroupsForCoreDevice", "coreDevices:"},
    [MC_ACTION_GREENGRASS_VERIFY] = {"greengrass:VerifyClientDeviceIdentity", "coreDevices:"},
    [MC_ACTION_GREENGRASS_VERIFY_CERTIFICATE] = {"greengrass:VerifyClientDeviceIoTCertificateAssociation", "coreDevices:"},
    [MC_ACTION_GREENGRASS_AUTHORITIES] = {"greengrass:PutCertificateAuthorities", "coreDevices:"},
    [MC_ACTION_GREENGRASS_CONNECTIVITY] = {"greengrass:GetConnectivityInfo", "thing/"},
    [MC_ACTION_GREENGRASS_UPDATE_CONNECTIVITY] = {"greengrass:UpdateConnectivityInfo", "thing/"},
};
_Static_assert(MC_ACTIONS <= 64, "a statement keeps them as bits");

const char *mc_action_name(mc_action action)
{
  return action < MC_ACTIONS ? action_row[action].name : "none";
}

mc_slice action_prefix(mc_action action)
{
  return mc_slice_str(action_row[action].prefix);
}

mc_err mc_action_parse(mc_slice text, mc_action *out, mc_why *why)
{
  for (int a = 0; a < MC_ACTIONS; a++)
    if (mc_slice_eq_str(text, action_row[a].name)) {
      *out = (mc_action)a;
      return MC_OK;
    }
  int shown = (int)(text.len > 60 ? 60 : text.len);
  return mc_err_set(why, MC_ERR_INVALID,
                    "\"%.*s\" is no action of a device: iot:Connect, Publish, Subscribe, Receive, RetainPublish, GetThingShadow, UpdateThingShadow, DeleteThingShadow, "
                    "ListNamedShadowsForThing, DescribeJobExecution, GetPendingJobExecutions, StartNextPendingJobExecution, UpdateJobExecution, GetRetainedMessage, "
                    "ListRetainedMessages, AssumeRoleWithCertificate, DeleteConnection",
                    shown, (const char *)text.data);
}

/* Of names of actions: * and ? only, no variables. */
static bool name_matches(mc_slice p, const char *name)
{
  mc_slice n = mc_slice_str(name);
  size_t i = 0, j = 0, star = SIZE_MAX, from = 0;
  while (j < n.len) {
    if (i < p.len && p.data[i] == '*') {
      star = i++;
      from = j;
    } else if (i < p.len && (p.data[i] == '?' || p.data[i] == n.data[j])) {
      i++;
      j++;
    } else if (star != SIZE_MAX) {
      i = star + 1;
      j = ++from;
    } else {
      return false;
    }
  }
  while (i < p.len && p.data[i] == '*')
    i++;
  return i == p.len;
}

uint64_t action_bits(mc_slice text)
{
  uint64_t bits = 0;
  for (int a = 0; a < MC_ACTIONS; a++)
    if (name_matches(text, action_row[a].name))
      bits |= 1ULL << a;
  return bits;
}

mc_err mc_action_resource(mc_action action, mc_slice text, mc_slice *out, mc_why *why)
{
  mc_slice prefix = action_prefix(action), tail = text;
  if (mc_slice_starts(text, MC_LIT("arn:"))) {
    size_t at = 0;
    for (int colon = 0; colon < 5; colon++) {
      at = mc_slice_find(text, ':', at) + 1;
      if (at > text.len)
        return mc_err_set(why, MC_ERR_INVALID, "an ARN has six parts: arn:aws:iot:<region>:<account>:%s<name>", action_row[action].prefix);
    }
    tail = mc_slice_sub(text, at, text.len);
  }
  if (!prefix.len) {
    *out = (mc_slice){0};
    return text.len == 0 || mc_slice_eq_str(tail, "*") ? MC_OK : mc_err_set(why, MC_ERR_INVALID, "%s has no resource: say \"*\"", action_row[action].name);
  }
  if (!mc_slice_starts(tail, prefix) || tail.len == prefix.len)
    return mc_err_set(why, MC_ERR_INVALID, "the resource of %s is \"%s<name>\", with or without \"arn:aws:iot:<region>:<account>:\" in front", action_row[action].name,
                      action_row[action].prefix);
  *out = mc_slice_sub(tail, prefix.len, tail.len);
  return MC_OK;
}
