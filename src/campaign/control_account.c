/* Operations about the account - registration, logging, encryption - and tags of resources of every kind. */
#include "base/clock.h"
#include "campaign/control.h"
#include "campaign/shape.h"

/* ---- documents of the account ---- */

typedef struct account_document {
  json_t *document; /* owned; NULL: never said */
  int64_t created_us, updated_us;
} account_document;

static mc_err document_read(mc_campaigns *c, uint32_t tenant, const char *name, account_document *out, mc_why *why)
{
  mc_stmt *s;
  *out = (account_document){0};
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, "SELECT document, created_us, updated_us FROM control_account WHERE tenant = $1 AND name = $2", &s, why);
  if (!err) {
    mc_stmt_bind_int(s, 1, tenant);
    mc_stmt_bind_text(s, 2, mc_slice_str(name));
    err = mc_stmt_step(s, why);
    if (!err) {
      mc_slice text = mc_stmt_text(s, 0);
      *out = (account_document){json_loadb((const char *)text.data, text.len, 0, NULL), mc_stmt_int(s, 1), mc_stmt_int(s, 2)};
      if (!out->document)
        err = mc_err_set(why, MC_ERR_MALFORMED, "the stored document \"%s\" of tenant %u is no JSON", name, tenant);
    } else if (err == MC_ERR_END)
      err = MC_OK;
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err;
}

/* Keeps the input of the call under a name; out: as it stands then. */
static mc_err document_write(control_call *call, const char *name, account_document *out, mc_why *why)
{
  char *text = json_dumps(call->in, JSON_COMPACT | JSON_SORT_KEYS);
  if (!text)
    return mc_err_set(why, MC_ERR_MEMORY, "out of memory for the document");
  int64_t now = mc_clock_wall_us();
  mc_err err = mc_db_run(call->c->config.db, why,
                         "INSERT INTO control_account(tenant, name, document, created_us, updated_us) VALUES ($1,$2,$3,$4,$4) "
                         "ON CONFLICT(tenant, name) DO UPDATE SET document = excluded.document, updated_us = excluded.updated_us",
                         "itti", (int64_t)call->tenant, mc_slice_str(name), mc_slice_str(text), now);
  free(text);
  return err ? err : document_read(call->c, call->tenant, name, out, why);
}

/* When the tables of this module were made: the account is older than its first document. */
static mc_err platform_made(mc_campaigns *c, int64_t *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_begin(c->config.db, false, why));
  mc_err err = mc_db_prepare(c->config.db, "SELECT MIN(applied_us) FROM schema_migration WHERE module = 'campaign'", &s, why);
  if (!err) {
    err = mc_stmt_step(s, why);
    *out = err ? 0 : mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(c->config.db, true, NULL);
  return err;
}

/* ---- registration: nothing waits for it here, so it succeeds at once ---- */

static mc_slice role_of(control_call *call, const json_t *document)
{
  mc_slice role = control_text(json_object_get(document, "iamResources"), "roleArn");
  if (role.len)
    return role;
  return mc_slice_str(mc_arena_printf(call->arena, "arn:aws:iam::%.*s:role/aws-service-role/iotfleetwise.amazonaws.com/AWSServiceRoleForIoTFleetWise",
                                      MC_FMT(call->request->account.len ? call->request->account : MC_LIT("000000000000"))));
}

static void timestream_members(control_call *call, const json_t *document)
{
  const json_t *t = json_object_get(document, "timestreamResources");
  mc_json_text_field(call->out, "timestreamDatabaseName", control_text(t, "timestreamDatabaseName"));
  mc_json_text_field(call->out, "timestreamTableName", control_text(t, "timestreamTableName"));
}

static mc_err register_account(control_call *call, mc_why *why)
{
  account_document d;
  MC_TRY(document_write(call, "registration", &d, why));
  mc_json *j = call->out;
  mc_json_str_field(j, "registerAccountStatus", "REGISTRATION_SUCCESS");
  if (json_object_get(d.document, "timestreamResources")) {
    mc_json_key(j, "timestreamResources");
    mc_json_object(j);
    timestream_members(call, d.document);
    mc_json_object_end(j);
  }
  mc_json_key(j, "iamResources");
  mc_json_object(j);
  mc_json_text_field(j, "roleArn", role_of(call, d.document));
  mc_json_object_end(j);
  control_time(j, "creationTime", d.created_us);
  control_time(j, "lastModificationTime", d.updated_us);
  json_decref(d.document);
  return MC_OK;
}

static mc_err get_register_account_status(control_call *call, mc_why *why)
{
  account_document d;
  MC_TRY(document_read(call->c, call->tenant, "registration", &d, why));
  mc_err err = d.document ? MC_OK : platform_made(call->c, &d.created_us, why);
  mc_json *j = call->out;
  mc_json_text_field(j, "customerAccountId", call->request->account.len ? call->request->account : MC_LIT("000000000000"));
  mc_json_str_field(j, "accountStatus", "REGISTRATION_SUCCESS");
  if (json_object_get(d.document, "timestreamResources")) {
    mc_json_key(j, "timestreamRegistrationResponse");
    mc_json_object(j);
    timestream_members(call, d.document);
    mc_json_str_field(j, "registrationStatus", "REGISTRATION_SUCCESS");
    mc_json_object_end(j);
  }
  mc_json_key(j, "iamRegistrationResponse");
  mc_json_object(j);
  mc_json_text_field(j, "roleArn", role_of(call, d.document));
  mc_json_str_field(j, "registrationStatus", "REGISTRATION_SUCCESS");
  mc_json_object_end(j);
  control_time(j, "creationTime", d.created_us);
  control_time(j, "lastModificationTime", d.updated_us ? d.updated_us : d.created_us);
  json_decref(d.document);
  return err;
}

/* ---- logging: ERROR has every refused operation in the server's log, under the group's name ---- */

static mc_err put_logging_options(control_call *call, mc_why *why)
{
  account_document d;
  const json_t *delivery = json_object_get(call->in, "cloudWatchLogDelivery");
  if (mc_slice_eq_str(control_text(delivery, "logType"), "ERROR") && !control_text(delivery, "logGroupName").len)
    return control_invalid(call, "cloudWatchLogDelivery.logGroupName", why, "is required with logType ERROR: the name that log lines carry");
  MC_TRY(document_write(call, "logging", &d, why));
  json_decref(d.document);
  return MC_OK;
}

static mc_err get_logging_options(control_call *call, mc_why *why)
{
  account_document d;
  MC_TRY(document_read(call->c, call->tenant, "logging", &d, why));
  const json_t *delivery = json_object_get(d.document, "cloudWatchLogDelivery");
  mc_slice type = control_text(delivery, "logType"), group = control_text(delivery, "logGroupName");
  mc_json_key(call->out, "cloudWatchLogDelivery");
  mc_json_object(call->out);
  mc_json_text_field(call->out, "logType", type.len ? type : MC_LIT("OFF"));
  if (group.len)
    mc_json_text_field(call->out, "logGroupName", group);
  mc_json_object_end(call->out);
  json_decref(d.document);
  return MC_OK;
}

bool control_logs_errors(mc_campaigns *c, uint32_t tenant, char *group)
{
  account_document d;
  if (document_read(c, tenant, "logging", &d, NULL))
    return false;
  const json_t *delivery = json_object_get(d.document, "cloudWatchLogDelivery");
  bool on = mc_slice_eq_str(control_text(delivery, "logType"), "ERROR");
  mc_slice_to_str(control_text(delivery, "logGroupName"), group, 513);
  json_decref(d.document);
  return on;
}

/* ---- encryption: the server's master key, never a key of somebody's KMS ---- */

static mc_err put_encryption_configuration(control_call *call, mc_why *why)
{
  account_document d;
  if (!mc_slice_eq_str(control_text(call->in, "encryptionType"), "FLEETWISE_DEFAULT_ENCRYPTION"))
    return control_invalid(call, "encryptionType", why,
                           "there is no KMS here: data is enciphered under the server's master key (setting master_key); say FLEETWISE_DEFAULT_ENCRYPTION");
  if (control_text(call->in, "kmsKeyId").len)
    return control_invalid(call, "kmsKeyId", why, "goes with KMS_BASED_ENCRYPTION only, and there is no KMS here: leave it out");
  MC_TRY(document_write(call, "encryption", &d, why));
  json_decref(d.document);
  mc_json_str_field(call->out, "encryptionStatus", "SUCCESS");
  mc_json_str_field(call->out, "encryptionType", "FLEETWISE_DEFAULT_ENCRYPTION");
  return MC_OK;
}

static mc_err get_encryption_configuration(control_call *call, mc_why *why)
{
  account_document d;
  MC_TRY(document_read(call->c, call->tenant, "encryption", &d, why));
  mc_json_str_field(call->out, "encryptionStatus", "SUCCESS");
  mc_json_str_field(call->out, "encryptionType", "FLEETWISE_DEFAULT_ENCRYPTION");
  control_time(call->out, "creationTime", d.created_us);
  control_time(call->out, "lastModificationTime", d.updated_us);
  json_decref(d.document);
  return MC_OK;
}

/* ---- tags ---- */

static const char *const kinds[] = {"signal-catalog", "model-manifest", "decoder-manifest", "vehicle", "fleet", "campaign", "state-template"};

mc_err campaign_tags_forget(mc_campaigns *c, uint32_t tenant, const char *kind, mc_slice name, mc_why *why)
{
  return mc_db_run(c->config.db, why, "DELETE FROM control_tag WHERE tenant = $1 AND kind = $2 AND name = $3", "itt", (int64_t)tenant, mc_slice_str(kind),
                   name);
}

static mc_err tag_count(control_call *call, const char *kind, mc_slice name, int64_t *out, mc_why *why)
{
  mc_stmt *s;
  MC_TRY(mc_db_prepare(call->c->config.db, "SELECT COUNT(*) FROM control_tag WHERE tenant = $1 AND kind = $2 AND name = $3", &s, why));
  mc_stmt_bind_int(s, 1, call->tenant);
  mc_stmt_bind_text(s, 2, mc_slice_str(kind));
  mc_stmt_bind_text(s, 3, name);
  mc_err err = mc_stmt_step(s, why);
  *out = err ? 0 : mc_stmt_int(s, 0);
  mc_stmt_release(&s);
  return err;
}

static mc_err tags_add(control_call *call, const char *kind, mc_slice name, const json_t *tags, mc_why *why)
{
  json_t *tag;
  size_t i;
  int64_t count;
  json_array_foreach (tags, i, tag)
    MC_TRY(mc_db_run(call->c->config.db, why,
                     "INSERT INTO control_tag(tenant, kind, name, key, value) VALUES ($1,$2,$3,$4,$5) ON CONFLICT(tenant, kind, name, key) DO UPDATE SET "
                     "value = excluded.value",
                     "itttt", (int64_t)call->tenant, mc_slice_str(kind), name, control_text(tag, "Key"), control_text(tag, "Value")));
  MC_TRY(tag_count(call, kind, name, &count, why));
  uint64_t most = call->c->limit[LIMIT_TAGS];
  if ((uint64_t)count > most)
    return control_invalid(call, "Tags", why, "%s \"%.*s\" would have %lld tags; at most %llu (setting fleetwise_tags)", kind, MC_FMT(name),
                           (long long)count, (unsigned long long)most);
  return MC_OK;
}

mc_err control_tags_set(control_call *call, const char *kind, mc_slice name, const json_t *tags, mc_why *why)
{
  MC_TRY(campaign_tags_forget(call->c, call->tenant, kind, name, why));
  return json_array_size(tags) ? tags_add(call, kind, name, tags, why) : MC_OK;
}

/* The resource of a tag operation, which exists. */
static mc_err tagged(control_call *call, const char **kind, mc_slice *name, mc_why *why)
{
  mc_slice arn = control_text(call->in, "ResourceARN");
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (control_arn_name(call, "ResourceARN", arn, kinds[i], name, NULL) == MC_OK) {
      *kind = kinds[i];
      return control_exists(call, *kind, *name, why);
    }
  return control_invalid(call, "ResourceARN", why,
                         "expected arn:aws:iotfleetwise:<region>:<account>:<kind>/<name>, the kind one of signal-catalog, model-manifest, decoder-manifest, "
                         "vehicle, fleet, campaign, state-template; found \"%.*s\"",
                         MC_FMT(mc_slice_sub(arn, 0, 100)));
}

static mc_err tag_resource(control_call *call, mc_why *why)
{
  const char *kind;
  mc_slice name;
  MC_TRY(tagged(call, &kind, &name, why));
  MC_TRY(mc_db_begin(call->c->config.db, true, why));
  mc_err err = tags_add(call, kind, name, json_object_get(call->in, "Tags"), why);
  mc_err end = mc_db_end(call->c->config.db, !err, err ? NULL : why);
  return err ? err : end;
}

static mc_err untag_resource(control_call *call, mc_why *why)
{
  const char *kind;
  mc_slice name;
  json_t *key;
  size_t i;
  MC_TRY(tagged(call, &kind, &name, why));
  MC_TRY(mc_db_begin(call->c->config.db, true, why));
  mc_err err = MC_OK;
  json_array_foreach (json_object_get(call->in, "TagKeys"), i, key) {
    if (err)
      break;
    err = mc_db_run(call->c->config.db, why, "DELETE FROM control_tag WHERE tenant = $1 AND kind = $2 AND name = $3 AND key = $4", "ittt",
                    (int64_t)call->tenant, mc_slice_str(kind), name, mc_slice_of(json_string_value(key), json_string_length(key)));
  }
  mc_err end = mc_db_end(call->c->config.db, !err, err ? NULL : why);
  return err ? err : end;
}

static mc_err list_tags(control_call *call, mc_why *why)
{
  const char *kind;
  mc_slice name;
  mc_stmt *s;
  MC_TRY(tagged(call, &kind, &name, why));
  MC_TRY(mc_db_begin(call->c->config.db, false, why));
  mc_err err = mc_db_prepare(call->c->config.db, "SELECT key, value FROM control_tag WHERE tenant = $1 AND kind = $2 AND name = $3 ORDER BY key", &s, why);
  mc_json_key(call->out, "Tags");
  mc_json_array(call->out);
  if (!err) {
    mc_stmt_bind_int(s, 1, call->tenant);
    mc_stmt_bind_text(s, 2, mc_slice_str(kind));
    mc_stmt_bind_text(s, 3, name);
    while (!(err = mc_stmt_step(s, why))) {
      mc_json_object(call->out);
      mc_json_text_field(call->out, "Key", mc_stmt_text(s, 0));
      mc_json_text_field(call->out, "Value", mc_stmt_text(s, 1));
      mc_json_object_end(call->out);
    }
    mc_stmt_release(&s);
  }
  mc_json_array_end(call->out);
  mc_db_end(call->c->config.db, true, NULL);
  return err == MC_ERR_END ? MC_OK : err;
}

const control_operation control_account[] = {
    {{"GetEncryptionConfiguration", "account:read", false}, get_encryption_configuration},
    {{"GetLoggingOptions", "account:read", false}, get_logging_options},
    {{"GetRegisterAccountStatus", "account:read", false}, get_register_account_status},
    {{"ListTagsForResource", "tag:read", false}, list_tags},
    {{"PutEncryptionConfiguration", "account:write", true}, put_encryption_configuration},
    {{"PutLoggingOptions", "account:write", true}, put_logging_options},
    {{"RegisterAccount", "account:write", true}, register_account},
    {{"TagResource", "tag:write", true}, tag_resource},
    {{"UntagResource", "tag:write", true}, untag_resource},
};
const size_t control_account_count = sizeof control_account / sizeof control_account[0];
