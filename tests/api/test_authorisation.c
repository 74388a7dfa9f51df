/* Every operation of the description, asked by everybody. */
#include "api/inside.h"
#include "api_fixture.h"

static world w;
static char fingerprint[2 * MC_FINGERPRINT + 1]; /* of a certificate of truck-7 */

/* The path with {id} and friends filled in: of things that exist in the default tenant, or of none. */
static void fill_path(const api_operation *op, bool existing, char out[256])
{
  size_t n = 0;
  for (const char *p = op->path; *p && n < 200;) {
    if (*p != '{') {
      out[n++] = *p++;
      continue;
    }
    const char *end = strchr(p, '}');
    if (!strncmp(p, "{fingerprint}", 13))
      n += (size_t)snprintf(out + n, 256 - n, "%s", existing ? fingerprint : "0000000000000000000000000000000000000000000000000000000000000000");
    else if (!strncmp(p, "{z}", 3) || !strncmp(p, "{x}", 3) || !strncmp(p, "{y}", 3))
      n += (size_t)snprintf(out + n, 256 - n, "10");
    else
      n += (size_t)snprintf(out + n, 256 - n, "%u", existing ? 1 : 999999);
    p = end + 1;
  }
  out[n] = 0;
  if (!strcmp(op->id, "vehicle_history") || !strcmp(op->id, "vehicle_track"))
    snprintf(out + n, 256 - n, "?from=2024-01-01T00:00:00Z&to=2024-01-02T00:00:00Z&signals=1");
  if (!strcmp(op->id, "decoder_compare") || !strcmp(op->id, "model_compare"))
    snprintf(out + n, 256 - n, "?with=1");
}

/* A body that no operation takes: asks the way in, changes nothing. */
static const char *body_for(const api_operation *op)
{
  return op->body ? "{\"no such member\":1}" : NULL;
}

/* A body that would change the object if the door were open. */
static const char *working_body(const api_operation *op)
{
  static const char *const bodies[][2] = {
      {"user_update", "{\"disabled\":true}"},           {"vehicle_update", "{\"make\":\"Stolen\"}"}, {"certificate_issue", "{\"days\":1}"},
      {"service_update", "{\"disabled\":true}"},
      {"vehicle_erase", "{\"reason\":\"theft\"}"},
      {"group_add", "{\"thing\":\"truck-7\"}"},
      {"policy_version_create", "{\"document\":\"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"*\\\",\\\"Resource\\\":\\\"*\\\"}}\"}"},
      {"policy_default", "{\"version\":1}"},
      {"policy_attach", "{\"group\":1}"},
      {"vehicle_template_give", "{\"template\":\"t\"}"},
      {"vehicle_template_command", "{\"action\":\"activate\"}"},
      {"catalog_update", "{\"description\":\"theirs\"}"},
      {"model_update", "{\"description\":\"theirs\"}"},
      {"decoder_update", "{\"description\":\"theirs\"}"},
      {"decoder_import", "{\"networkFileDefinitions\":[{\"canDbc\":{\"networkInterface\":\"can0\",\"canDbcFiles\":[\"QQ==\"]}}]}"},
      {"certificate_update", "{\"state\":\"revoked\"}"}, {"campaign_status", "{\"status\":\"running\"}"},
      {"campaign_rollout_set", "{\"phase\":\"rest\"}"}, {"campaign_caps_set", "{\"vehicle\":{\"bytes\":1000000}}"},
      {"campaign_dry_run", "{\"from\":\"2024-01-01T00:00:00Z\",\"to\":\"2024-01-02T00:00:00Z\"}"},
      {"campaign_update", "{\"target_kind\":\"all\",\"kind\":\"time\",\"period_ms\":1000,\"signals\":[{\"fqn\":\"Vehicle.Speed\"}]}"},
  };
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
    if (!strcmp(bodies[i][0], op->id))
      return bodies[i][1];
  return body_for(op);
}

static int status_for(const api_operation *op, const char *token, bool existing)
{
  char path[256];
  fill_path(op, existing, path);
  answer a = ask(&w, token, op->method, path, body_for(op));
  int status = a.status;
  answer_free(&a);
  return status;
}

static int status_for_token(const char *token)
{
  answer a = ask(&w, token, "GET", "/api/v1/me", NULL);
  int status = a.status;
  answer_free(&a);
  return status;
}

static bool is_public(const api_operation *op)
{
  return !strcmp(op->permission, "public");
}

static void test_every_operation_refuses_strangers_unless_public(void)
{
  for (size_t i = 0; i < api_operation_count; i++) {
    const api_operation *op = &api_operation_table[i];
    int status = status_for(op, NULL, true);
    if (is_public(op) ? status == 401 || status == 403 || status == 0 : status != 401)
      TAP_FAIL("%s without credentials: %d", op->id, status);
    status = status_for(op, "mct_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true);
    if (is_public(op) ? status == 401 : status != 401)
      TAP_FAIL("%s with an unknown token: %d", op->id, status);
  }
}

static void test_every_operation_asks_for_its_permission(void)
{
  for (size_t i = 0; i < api_operation_count; i++) {
    const api_operation *op = &api_operation_table[i];
    for (int role = MC_ROLE_VIEWER; role <= MC_ROLE_ADMIN; role++) {
      bool may = is_public(op) || mc_access_role_allows((mc_access_role)role, mc_slice_str(op->permission));
      int status = status_for(op, w.token[role], false);
      if (!status || status == 401 || (may ? status == 403 : status != 403))
        TAP_FAIL("%s as %s: %d", op->id, mc_access_role_name((mc_access_role)role), status);
      if (may && op->body && status != 400 && status != 404)
        TAP_FAIL("%s as %s with a wrong body: %d", op->id, mc_access_role_name((mc_access_role)role), status);
    }
  }
}

static void test_another_tenant_sees_nothing_of_ours(void)
{
  for (size_t i = 0; i < api_operation_count; i++) {
    const api_operation *op = &api_operation_table[i];
    char path[256];
    if (is_public(op) || op->kind == API_WEBSOCKET)
      continue;
    fill_path(op, true, path);
    answer a = ask(&w, w.other, op->method, path, working_body(op));
    bool named = strstr(op->path, "{id}") || strstr(op->path, "{fingerprint}") || strstr(op->path, "{name}");
    bool leaked = a.body.data && (strstr((const char *)a.body.data, "truck-7") || strstr((const char *)a.body.data, "\"ada\"") || strstr((const char *)a.body.data, "\"viewer\",\"role\""));
    int status = a.status;
    answer_free(&a);
    if (leaked)
      TAP_FAIL("%s showed another tenant's data", op->id);
    if (named && status != 404)
      TAP_FAIL("%s reached another tenant's object: %d", op->id, status);
  }
  mc_vehicle v;
  mc_user u;
  CHECK_OK(mc_registry_vehicle_get(w.registry, MC_TENANT_DEFAULT, w.vehicle, &v));
  CHECK_STR(v.make, "");
  CHECK_OK(mc_registry_user_get(w.registry, MC_TENANT_DEFAULT, w.ada.id, &u));
  CHECK(!u.disabled);
  CHECK_INT(status_for_token(w.token[MC_ROLE_VIEWER]), 200); /* DELETE /tokens/1 did not get through */
}

static void test_every_answer_that_succeeds_keeps_to_its_description(void)
{
  size_t checked = 0;
  api_patterns *patterns;
  CHECK_OK(patterns_create(&patterns));
  for (size_t i = 0; i < api_operation_count; i++) {
    const api_operation *op = &api_operation_table[i];
    char path[256];
    if (strcmp(op->method, "GET") || op->kind != API_JSON || !op->reply)
      continue;
    fill_path(op, true, path);
    answer a = ask(&w, w.token[MC_ROLE_ADMIN], "GET", path, NULL);
    if (a.status == 200) {
      char field[160];
      mc_why why = {0};
      if (!a.json || schema_check(patterns, op->reply, a.json, field, sizeof field, &why))
        TAP_FAIL("%s: %s: %s", op->id, a.json ? field : "no JSON", why.text);
      checked++;
    }
    answer_free(&a);
  }
  patterns_destroy(&patterns);
  CHECK(checked >= 15);
}

static void test_what_is_not_described_does_not_exist(void)
{
  static const char *const paths[] = {"/api/v1/nothing", "/api/v1/", "/api", "/api/v2/vehicles", "/api/v1/vehicles/1/secrets", "/api/v1/vehicles//latest", "/api/v1/../../etc/passwd", "/metrics/x"};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    answer a = ask_raw(&w, "POST", paths[i], "", (mc_slice){0}, true);
    if (a.status != 404 && a.status != 400)
      TAP_FAIL("POST %s: %d", paths[i], a.status);
    answer_free(&a);
  }
  answer a = ask(&w, w.token[MC_ROLE_ADMIN], "GET", "/api/v1/nothing", NULL);
  CHECK_INT(a.status, 404);
  CHECK_STR(header_of(&a, "content-type"), "application/problem+json");
  CHECK(strstr(text_of(&a, "detail"), "openapi.json"));
  CHECK_STR(text_of(&a, "request_id"), header_of(&a, "x-request-id"));
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_ADMIN], "DELETE", "/api/v1/vehicles", NULL);
  CHECK_INT(a.status, 405);
  CHECK_STR(header_of(&a, "allow"), "GET, POST");
  answer_free(&a);
}

int main(void)
{
  if (!world_open(&w, &(world_config){.rate_per_s = 100000}))
    return 1;
  mc_buf cert = {0}, key = {0};
  mc_cert_info info;
  if (mc_registry_certificate_issue(w.registry, MC_TENANT_DEFAULT, MC_LIT("truck-7"), 30, &cert, &key, NULL) || mc_cert_read_pem(mc_buf_slice(&cert), &info, NULL))
    return 1;
  mc_thing_group group;
  if (mc_registry_group_create(w.registry, MC_TENANT_DEFAULT, MC_LIT("fleet"), MC_LIT("aws-compat"), &group, NULL) ||
      mc_registry_group_add(w.registry, MC_TENANT_DEFAULT, group.id, MC_LIT("truck-7"), NULL))
    return 1;
  mc_device_policy policy; /* named as fill_path() asks for what exists */
  if (mc_registry_policy_create(w.registry, MC_TENANT_DEFAULT, MC_LIT("1"), mc_policy_document_vehicle(), &policy, NULL))
    return 1;
  mc_fingerprint_hex(info.fingerprint, fingerprint);
  mc_buf_free(&cert);
  mc_buf_free(&key);
  RUN(test_every_operation_refuses_strangers_unless_public);
  RUN(test_every_operation_asks_for_its_permission);
  RUN(test_another_tenant_sees_nothing_of_ours);
  RUN(test_every_answer_that_succeeds_keeps_to_its_description);
  RUN(test_what_is_not_described_does_not_exist);
  world_close(&w);
  return tap_done();
}
