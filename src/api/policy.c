/* Policies of devices: AWS IoT policy documents, what they are attached to, and why something is allowed or not. */
#include "api/inside.h"

static mc_registry *registry_of(const api_call *c) { return c->api->config.registry; }

static void write_policy(mc_json *j, const mc_device_policy *p)
{
  mc_json_object(j);
  mc_json_str_field(j, "name", p->name);
  mc_json_uint_field(j, "version", p->version);
  mc_json_uint_field(j, "versions", p->versions);
  mc_json_uint_field(j, "attachments", p->attachments);
  json_time(j, "created", p->created_us);
  json_time(j, "updated", p->updated_us);
  mc_json_object_end(j);
}

static void write_target(mc_json *j, const mc_policy_target *t)
{
  char hex[2 * MC_FINGERPRINT + 1];
  mc_fingerprint_hex(t->fingerprint, hex);
  mc_json_object(j);
  if (t->group)
    mc_json_uint_field(j, "group", t->group);
  else
    mc_json_str_field(j, "certificate", hex);
  mc_json_str_field(j, "name", t->name);
  mc_json_object_end(j);
}

static mc_err write_detail(api_call *c, mc_slice name)
{
  mc_device_policy p;
  mc_policy_version *version;
  mc_policy_target *target;
  size_t versions, targets;
  mc_json *j = &c->json;
  MC_TRY(mc_registry_policy_get(registry_of(c), c->who.tenant, name, &p, &c->why));
  MC_TRY(mc_registry_policy_versions(registry_of(c), c->who.tenant, name, &c->arena, &version, &versions, &c->why));
  MC_TRY(mc_registry_policy_targets(registry_of(c), c->who.tenant, name, &c->arena, &target, &targets, &c->why));
  mc_json_object(j);
  mc_json_key(j, "policy");
  write_policy(j, &p);
  mc_json_key(j, "documents");
  mc_json_array(j);
  for (size_t i = 0; i < versions; i++) {
    mc_json_object(j);
    mc_json_uint_field(j, "version", version[i].version);
    mc_json_bool_field(j, "default", version[i].is_default);
    json_time(j, "created", version[i].created_us);
    mc_json_text_field(j, "document", version[i].document);
    mc_json_object_end(j);
  }
  mc_json_array_end(j);
  mc_json_key(j, "targets");
  mc_json_array(j);
  for (size_t i = 0; i < targets; i++)
    write_target(j, &target[i]);
  mc_json_array_end(j);
  mc_json_object_end(j);
  return MC_OK;
}

mc_err api_op_policy_list(api_call *c)
{
  mc_device_policy *list;
  size_t n;
  MC_TRY(mc_registry_policy_list(registry_of(c), c->who.tenant, &c->arena, &list, &n, &c->why));
  mc_json_object(&c->json);
  mc_json_key(&c->json, "items");
  mc_json_array(&c->json);
  for (size_t i = 0; i < n; i++)
    write_policy(&c->json, &list[i]);
  mc_json_array_end(&c->json);
  mc_json_object_end(&c->json);
  return MC_OK;
}

mc_err api_op_policy_get(api_call *c) { return write_detail(c, c->param[0]); }

/* A refusal of the document names its field. */
static mc_err about_document(api_call *c, mc_err err)
{
  return err == MC_ERR_MALFORMED || err == MC_ERR_INVALID ? call_refuse(c, "/document", "%s", c->why.text) : err;
}

mc_err api_op_policy_create(api_call *c)
{
  mc_device_policy p;
  if (body_has(c, "document") == body_has(c, "template"))
    return call_refuse(c, "/document", "give a document or a template, one of them");
  mc_slice document = body_has(c, "template") ? mc_policy_document_vehicle() : body_text(c, "document");
  MC_TRY(about_document(c, mc_registry_policy_create(registry_of(c), c->who.tenant, body_text(c, "name"), document, &p, &c->why)));
  return write_detail(c, body_text(c, "name"));
}

mc_err api_op_policy_delete(api_call *c) { return mc_registry_policy_delete(registry_of(c), c->who.tenant, c->param[0], &c->why); }

mc_err api_op_policy_version_create(api_call *c)
{
  uint32_t version;
  MC_TRY(about_document(
      c, mc_registry_policy_version_create(registry_of(c), c->who.tenant, c->param[0], body_text(c, "document"), body_bool(c, "default", false), &version, &c->why)));
  return write_detail(c, c->param[0]);
}

mc_err api_op_policy_version_delete(api_call *c)
{
  uint32_t version;
  MC_TRY(call_id(c, 1, "version", &version));
  return mc_registry_policy_version_delete(registry_of(c), c->who.tenant, c->param[0], version, &c->why);
}

mc_err api_op_policy_default(api_call *c)
{
  MC_TRY(mc_registry_policy_version_default(registry_of(c), c->who.tenant, c->param[0], (uint32_t)body_int(c, "version", 0), &c->why));
  return write_detail(c, c->param[0]);
}

static bool read_hex(mc_slice text, uint8_t out[MC_FINGERPRINT])
{
  if (text.len != 2 * MC_FINGERPRINT)
    return false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t d = text.data[i];
    int v = d >= '0' && d <= '9' ? d - '0' : d >= 'a' && d <= 'f' ? d - 'a' + 10 : -1;
    if (v < 0)
      return false;
    out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
  }
  return true;
}

mc_err api_op_policy_attach(api_call *c)
{
  mc_policy_target t = {.group = (uint32_t)body_int(c, "group", 0)};
  if (body_has(c, "group") == body_has(c, "certificate"))
    return call_refuse(c, "/certificate", "give a certificate or a group, one of them");
  if (body_has(c, "certificate") && !read_hex(body_text(c, "certificate"), t.fingerprint))
    return call_refuse(c, "/certificate", "a fingerprint is 64 digits 0-9, a-f");
  MC_TRY(mc_registry_policy_attach(registry_of(c), c->who.tenant, c->param[0], &t, &c->why));
  return write_detail(c, c->param[0]);
}

mc_err api_op_policy_detach(api_call *c)
{
  mc_policy_target t = {.group = 0};
  if (!read_hex(c->param[1], t.fingerprint))
    MC_TRY(call_id(c, 1, "group", &t.group));
  return mc_registry_policy_detach(registry_of(c), c->who.tenant, c->param[0], &t, &c->why);
}

/* ---- explaining ---- */

/* Whom it is about: a certificate, or a device by its newest active one. */
static mc_err find_subject(api_call *c, mc_principal *who, mc_certificate *certificate, bool *has_certificate)
{
  mc_thing t;
  mc_slice name = body_text(c, "thing");
  uint8_t fingerprint[MC_FINGERPRINT];
  *has_certificate = body_has(c, "certificate");
  if (*has_certificate == body_has(c, "thing"))
    return call_refuse(c, "/thing", "give a thing or a certificate, one of them");
  if (*has_certificate) {
    if (!read_hex(body_text(c, "certificate"), fingerprint) || mc_registry_certificate_find(registry_of(c), c->who.tenant, fingerprint, certificate))
      return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no such certificate here");
    name = mc_slice_str(certificate->thing_name);
  }
  if (mc_registry_thing_find(registry_of(c), c->who.tenant, name, &t))
    return mc_err_set(&c->why, MC_ERR_NOT_FOUND, "there is no device or service \"%.*s\"", MC_FMT(mc_slice_sub(name, 0, 128)));
  *who = (mc_principal){.tenant = t.tenant, .kind = t.is_service ? MC_PRINCIPAL_SERVICE : MC_PRINCIPAL_THING, .id = t.id};
  memcpy(who->name, t.name, sizeof who->name);
  mc_certificate *list;
  size_t n = 0;
  if (!*has_certificate)
    MC_TRY(mc_registry_certificate_list(registry_of(c), c->who.tenant, name, &c->arena, &list, &n, &c->why));
  for (size_t i = 0; i < n && !*has_certificate; i++)
    if (list[i].state == MC_CERT_ACTIVE) {
      *certificate = list[i];
      *has_certificate = true;
    }
  return MC_OK;
}

static void write_finding(mc_json *j, const mc_policy_finding *f)
{
  static const char *const reason[] = {[MC_REASON_MATCHES] = "matches", [MC_REASON_CONDITION] = "condition", [MC_REASON_ATTRIBUTES] = "attributes"};
  mc_json_object(j);
  mc_json_text_field(j, "policy", f->policy);
  mc_json_uint_field(j, "version", f->version);
  mc_json_uint_field(j, "statement", f->statement);
  if (f->sid.len)
    mc_json_text_field(j, "sid", f->sid);
  mc_json_str_field(j, "effect", f->deny ? "Deny" : "Allow");
  mc_json_text_field(j, "resource", f->resource);
  mc_json_str_field(j, "reason", reason[f->reason]);
  if (f->condition.len)
    mc_json_text_field(j, "condition", f->condition);
  mc_json_object_end(j);
}

static void write_decision(api_call *c, const mc_principal *who, const mc_certificate *certificate, const char *by, bool allowed, const mc_policy_explanation *e)
{
  mc_json *j = &c->json;
  char hex[2 * MC_FINGERPRINT + 1];
  mc_json_object(j);
  mc_json_str_field(j, "decision", allowed ? "allowed" : e->denied ? "denied" : "not-named");
  mc_json_str_field(j, "by", by);
  mc_json_str_field(j, "thing", who->name);
  if (certificate) {
    mc_fingerprint_hex(certificate->fingerprint, hex);
    mc_json_str_field(j, "certificate", hex);
  }
  if (e->decided) {
    mc_json_key(j, "decided");
    write_finding(j, e->decided);
  }
  mc_json_key(j, "findings");
  mc_json_array(j);
  for (size_t i = 0; i < e->count; i++)
    write_finding(j, &e->finding[i]);
  mc_json_array_end(j);
  mc_json_key(j, "withoutValue");
  mc_json_array(j);
  for (size_t i = 0; i < e->without_count; i++)
    mc_json_text(j, e->without_value[i]);
  mc_json_array_end(j);
  mc_json_object_end(j);
}

mc_err api_op_policy_explain(api_call *c)
{
  mc_principal who = {0};
  mc_certificate certificate = {.thing = 0};
  bool has_certificate = false;
  const mc_policy *policy;
  mc_policy_question q = {.connect = (uint8_t)((body_bool(c, "persistent", false) ? MC_ASKED_PERSISTENT : 0) | (body_bool(c, "will", false) ? MC_ASKED_WILL : 0))};
  mc_policy_explanation e = {0};
  char profile[32] = "", common_name[65];
  if (mc_action_parse(body_text(c, "action"), &q.action, &c->why))
    return call_refuse(c, "/action", "%s", c->why.text);
  if (mc_action_resource(q.action, body_text(c, "resource"), &q.resource, &c->why))
    return call_refuse(c, "/resource", "%s", c->why.text);
  MC_TRY(find_subject(c, &who, &certificate, &has_certificate));
  mc_registry_thing_profile(registry_of(c), who.tenant, who.id, profile);
  q.connect_named = !strcmp(profile, "aws-compat");
  mc_slice_to_str(mc_slice_str(who.name), common_name, sizeof common_name); /* of what we issued: X.520 allows 64 characters */
  mc_slice client_id = q.action == MC_ACTION_CONNECT ? q.resource : mc_slice_str(who.name); /* who connects has the client id that it asks for */
  mc_policy_connection connection = {.fingerprint = has_certificate ? certificate.fingerprint : NULL, .client_id = body_has(c, "clientId") ? body_text(c, "clientId") : client_id,
                                     .address = body_text(c, "sourceIp"), .server_name = body_text(c, "domainName"), .common_name = mc_slice_str(common_name)};
  MC_TRY(mc_registry_policy_for(registry_of(c), &who, &connection, &policy, &c->why));
  bool allowed = mc_policy_permits(policy, &who, &q), bound = mc_policy_is_bound(policy);
  mc_err err = bound ? mc_policy_explain(policy, &q, &c->arena, &e, &c->why) : MC_OK;
  if (!err)
    write_decision(c, &who, has_certificate ? &certificate : NULL, bound ? "documents" : who.kind == MC_PRINCIPAL_SERVICE ? "service" : "built-in", allowed, &e);
  mc_policy_release(policy); /* what the explanation tells is borrowed of it */
  return err == MC_ERR_INVALID ? call_refuse(c, "/resource", "%s", c->why.text) : err;
}
