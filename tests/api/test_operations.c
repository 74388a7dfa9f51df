/* Whole errands through the API: a DBC becomes a manifest, a manifest a campaign; users, tokens, vehicles and the map. */
#include "api/inside.h"
#include "api_fixture.h"

static world w;
static api_patterns *patterns;

/* Asks as admin and checks an answer of success against its description. */
static answer errand(const char *operation, const char *method, const char *target, const char *body)
{
  answer a = ask(&w, w.token[MC_ROLE_ADMIN], method, target, body);
  const api_operation *op = api_operation_table;
  while (strcmp(op->id, operation))
    op++;
  char field[160];
  mc_why why = {0};
  if (a.status < 300 && op->reply && (!a.json || schema_check(patterns, op->reply, a.json, field, sizeof field, &why))) {
    printf("# %s: answer breaks its description at %s: %s\n", operation, field, why.text);
    a.status = -1;
  }
  if (a.status >= 300)
    printf("# %s: %d %.200s\n", operation, a.status, text_of(&a, "detail"));
  return a;
}

#define EXPECT(a, want)                                                                  \
  do {                                                                                   \
    if ((a).status != (want))                                                            \
      TAP_FAIL("status %d, want %d", (a).status, (want));                                \
  } while (0)

static const char dbc[] = "VERSION \"\"\n\nBU_: A\n\nBO_ 256 Motion: 8 A\n SG_ Speed : 0|16@1+ (0.01,0) [0|300] \"km/h\" A\n SG_ Gear : 16|4@1+ (1,0) [0|8] \"\" A\n\n"
                          "VAL_ 256 Gear 0 \"neutral\" 1 \"first\" ;\n";

static void import_body(mc_buf *out, const char *name)
{
  mc_json j = mc_json_to(out);
  mc_json_object(&j);
  mc_json_str_field(&j, "name", name);
  mc_json_str_field(&j, "interface", "can0");
  mc_json_str_field(&j, "map", "{\"Vehicle.Speed\":\"Motion.Speed\"}");
  mc_json_str_field(&j, "dbc", dbc);
  mc_json_object_end(&j);
  mc_buf_append_u8(out, 0);
}

/* {targeted, vehicles} and the only part's {reached, missing} of a campaign that is not stored. */
static void reaches(const char *body, int targeted, int vehicles, int missing)
{
  answer a = errand("campaign_reach", "POST", "/api/v1/campaigns/reach", body);
  EXPECT(a, 200);
  json_t *parts = json_object_get(a.json, "parts"), *part = json_array_get(parts, 0);
  CHECK_INT(json_integer_value(json_object_get(a.json, "targeted")), targeted);
  CHECK_INT(json_integer_value(json_object_get(a.json, "vehicles")), vehicles);
  CHECK_INT(json_array_size(parts), targeted ? 1 : 0);
  CHECK_INT(json_is_true(json_object_get(part, "reached")), vehicles > 0);
  CHECK_INT(json_integer_value(json_object_get(part, "missing")), missing);
  CHECK_INT(json_array_size(json_object_get(part, "names")), missing < 5 ? missing : 5);
  answer_free(&a);
}

static void test_tells_whom_a_campaign_would_reach_and_what_the_rest_lacks(void)
{
  reaches("{\"target_kind\":\"all\",\"signals\":[\"Vehicle.Speed\"]}", 1, 1, 0);
  reaches("{\"target_kind\":\"manifest\",\"target\":\"demo\",\"signals\":[\"Vehicle.Speed\",\"No.Such\"]}", 1, 1, 1);
  reaches("{\"target_kind\":\"vehicle\",\"target\":\"truck-7\",\"signals\":[\"No.Such\"]}", 1, 0, 1);
  reaches("{\"target_kind\":\"vehicle\",\"target\":\"nobody\",\"signals\":[\"Vehicle.Speed\"]}", 0, 0, 0);
  reaches("{\"target_kind\":\"all\",\"signals\":[]}", 1, 0, 0);
  reaches("{\"target_kind\":\"all\",\"signals\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]}", 1, 0, 7);
  reaches("{\"target_kind\":\"all\",\"expression\":\"$variable.`Vehicle.Speed` > 1\",\"signals\":[\"Vehicle.Speed\"]}", 1, 1, 0);
  reaches("{\"target_kind\":\"all\",\"expression\":\"$variable.`Vehicle.Speed` >\",\"signals\":[\"Vehicle.Speed\"]}", 1, 1, 0);
  answer a = ask(&w, w.other, "POST", "/api/v1/campaigns/reach", "{\"target_kind\":\"all\",\"signals\":[\"Vehicle.Speed\"]}");
  EXPECT(a, 200);
  CHECK_INT(json_integer_value(json_object_get(a.json, "targeted")), 0); /* another tenant's vehicles */
  answer_free(&a);
}

static void test_a_dbc_becomes_a_manifest_and_a_campaign_runs_on_it(void)
{
  mc_buf body = {0};
  char target[128];
  import_body(&body, "demo");
  answer a = errand("manifest_import", "POST", "/api/v1/manifests", (const char *)body.data);
  mc_buf_free(&body);
  EXPECT(a, 201);
  CHECK_INT(json_integer_value(json_object_get(a.json, "signals")), 2);
  answer_free(&a);
  a = errand("manifest_list", "GET", "/api/v1/manifests", NULL);
  EXPECT(a, 200);
  CHECK_INT(json_array_size(json_object_get(a.json, "items")), 1);
  answer_free(&a);
  a = errand("manifest_signals", "GET", "/api/v1/manifests/demo/signals", NULL);
  EXPECT(a, 200);
  CHECK_INT(json_array_size(json_object_get(a.json, "items")), 2);
  answer_free(&a);
  a = errand("signal_list", "GET", "/api/v1/signals?filter=Speed", NULL);
  EXPECT(a, 200);
  json_t *speed = json_array_get(json_object_get(a.json, "items"), 0);
  CHECK_STR(json_string_value(json_object_get(speed, "fqn")), "Vehicle.Speed");
  CHECK_STR(json_string_value(json_object_get(speed, "unit")), "km/h");
  snprintf(target, sizeof target, "/api/v1/signals/%d", (int)json_integer_value(json_object_get(speed, "id")));
  answer_free(&a);
  a = errand("signal_get", "GET", target, NULL);
  EXPECT(a, 200);
  answer_free(&a);

  snprintf(target, sizeof target, "/api/v1/vehicles/%u", w.vehicle);
  a = errand("vehicle_update", "PATCH", target, "{\"manifest\":\"demo\",\"make\":\"Acme\",\"year\":2024}");
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "manifest"), "demo");
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/vehicles/%u/signals", w.vehicle);
  a = errand("vehicle_signals", "GET", target, NULL);
  EXPECT(a, 200);
  CHECK_INT(json_array_size(json_object_get(a.json, "items")), 2);
  answer_free(&a);

  a = ask(&w, w.token[MC_ROLE_OPERATOR], "POST", "/api/v1/campaigns",
          "{\"name\":\"typo\",\"target_kind\":\"all\",\"kind\":\"time\",\"period_ms\":1000,\"signals\":[{\"fqn\":\"Vehicle.Sped\"}]}");
  EXPECT(a, 400);
  CHECK_STR(text_of(&a, "field"), "/signals/0/fqn");
  CHECK(strstr(text_of(&a, "detail"), "did you mean \"Vehicle.Speed\""));
  answer_free(&a);
  a = errand("campaign_create", "POST", "/api/v1/campaigns",
             "{\"name\":\"fast\",\"target_kind\":\"manifest\",\"target\":\"demo\","
             "\"kind\":\"condition\",\"expression\":\"$variable.`Vehicle.Speed` > 100\",\"signals\":[{\"fqn\":\"Vehicle.Speed\"}]}");
  EXPECT(a, 201);
  CHECK_STR(text_of(&a, "status"), "draft");
  CHECK_INT(json_integer_value(json_object_get(a.json, "vehicles")), 1); /* that it would run on */
  int id = (int)json_integer_value(json_object_get(a.json, "id"));
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/campaigns/%d/status", id);
  a = errand("campaign_status", "POST", target, "{\"status\":\"running\"}");
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "status"), "running");
  CHECK_INT(json_integer_value(json_object_get(a.json, "vehicles")), 1);
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/campaigns/%d/vehicles", id);
  a = errand("campaign_vehicles", "GET", target, NULL);
  EXPECT(a, 200);
  json_t *listed = json_array_get(json_object_get(a.json, "items"), 0);
  CHECK_STR(json_string_value(json_object_get(listed, "name")), "truck-7");
  CHECK_STR(json_string_value(json_object_get(listed, "state")), "pending");
  CHECK(!json_object_get(listed, "changed")); /* never checked in: no time is made up */
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/campaigns/%d", id);
  a = errand("campaign_update", "PUT", target, "{\"target_kind\":\"all\",\"kind\":\"time\",\"period_ms\":5000,\"signals\":[{\"fqn\":\"Vehicle.Speed\",\"max_samples\":10}]}");
  EXPECT(a, 200);
  CHECK_INT(json_integer_value(json_object_get(a.json, "period_ms")), 5000);
  answer_free(&a);
  a = errand("campaign_list", "GET", "/api/v1/campaigns", NULL);
  EXPECT(a, 200);
  answer_free(&a);
  a = errand("overview", "GET", "/api/v1/overview", NULL);
  EXPECT(a, 200);
  CHECK_INT(json_integer_value(json_object_get(a.json, "campaigns_running")), 1);
  CHECK_INT(json_integer_value(json_object_get(json_object_get(a.json, "counts"), "vehicles")), 1);
  answer_free(&a);
  a = ask(&w, w.other, "GET", target, NULL);
  EXPECT(a, 404);
  answer_free(&a);
  a = ask(&w, w.other, "DELETE", target, NULL);
  EXPECT(a, 404);
  answer_free(&a);
  a = errand("campaign_delete", "DELETE", target, NULL);
  EXPECT(a, 204);
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_ADMIN], "GET", target, NULL);
  EXPECT(a, 404);
  answer_free(&a);
}

static void test_a_broken_dbc_is_refused_with_its_line(void)
{
  answer a = ask(&w, w.token[MC_ROLE_ADMIN], "POST", "/api/v1/manifests", "{\"name\":\"broken\",\"interface\":\"can0\",\"dbc\":\"BO_ 256 Motion: 8 A\\n SG_ Speed : 0|16@@ (0.01,0) [0|300] A\\n\"}");
  CHECK(a.status == 400);
  CHECK(strstr(text_of(&a, "detail"), "2"));
  answer_free(&a);
}

static void test_expressions_are_checked_while_one_types(void)
{
  answer a = errand("expression_check", "POST", "/api/v1/expressions/check", "{\"expression\":\"$variable.`Vehicle.Speed` > 100\"}");
  EXPECT(a, 200);
  CHECK(json_is_true(json_object_get(a.json, "valid")));
  answer_free(&a);
  a = errand("expression_check", "POST", "/api/v1/expressions/check", "{\"expression\":\"$variable.`Vehicle.Speed` >\"}");
  EXPECT(a, 200);
  CHECK(json_is_false(json_object_get(a.json, "valid")));
  CHECK(text_of(&a, "error")[0]);
  answer_free(&a);
}

static void test_users_and_tokens_live_and_end(void)
{
  char target[128], secret[80];
  answer a = errand("user_create", "POST", "/api/v1/users", "{\"name\":\"bob\",\"role\":\"viewer\",\"password\":\"a long enough password\"}");
  EXPECT(a, 201);
  snprintf(target, sizeof target, "/api/v1/users/%d", (int)json_integer_value(json_object_get(a.json, "id")));
  answer_free(&a);
  a = errand("user_update", "PATCH", target, "{\"disabled\":true,\"role\":\"operator\"}");
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "role"), "operator");
  answer_free(&a);
  snprintf(target, sizeof target, "/api/v1/users/%u", w.ada.id);
  a = ask(&w, w.token[MC_ROLE_ADMIN], "PATCH", target, "{\"disabled\":true}");
  EXPECT(a, 409);
  CHECK(strstr(text_of(&a, "detail"), "last admin"));
  answer_free(&a);
  a = errand("token_create", "POST", "/api/v1/tokens", "{\"name\":\"grafana\",\"role\":\"viewer\",\"expires\":\"2099-01-01T00:00:00Z\"}");
  EXPECT(a, 201);
  snprintf(secret, sizeof secret, "%s", text_of(&a, "secret"));
  snprintf(target, sizeof target, "/api/v1/tokens/%d", (int)json_integer_value(json_object_get(json_object_get(a.json, "token"), "id")));
  answer_free(&a);
  a = ask(&w, secret, "GET", "/api/v1/me", NULL);
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "kind"), "token");
  answer_free(&a);
  a = errand("token_list", "GET", "/api/v1/tokens", NULL);
  EXPECT(a, 200);
  CHECK(!strstr((const char *)a.body.data, secret));
  answer_free(&a);
  a = errand("token_revoke", "DELETE", target, NULL);
  EXPECT(a, 204);
  answer_free(&a);
  a = ask(&w, secret, "GET", "/api/v1/me", NULL);
  EXPECT(a, 401);
  answer_free(&a);
}

static void test_tenants_are_the_first_ones_matter(void)
{
  answer a = errand("tenant_create", "POST", "/api/v1/tenants", "{\"name\":\"rental\",\"admin\":\"ann\",\"password\":\"a long enough password\"}");
  EXPECT(a, 201);
  CHECK_STR(text_of(&a, "name"), "rental");
  answer_free(&a);
  a = errand("tenant_create", "POST", "/api/v1/tenants", "{\"name\":\"rental\",\"admin\":\"eve\",\"password\":\"a long enough password\"}");
  EXPECT(a, 409); /* it has its admin */
  answer_free(&a);
  uint32_t bare; /* as a crash between the two steps leaves it */
  CHECK_OK(mc_registry_tenant_create(w.registry, MC_LIT("bare"), &bare, NULL));
  a = errand("tenant_create", "POST", "/api/v1/tenants", "{\"name\":\"bare\",\"admin\":\"bea\",\"password\":\"a long enough password\"}");
  EXPECT(a, 201);
  CHECK_INT(json_integer_value(json_object_get(a.json, "id")), bare);
  answer_free(&a);
  a = errand("tenant_list", "GET", "/api/v1/tenants", NULL);
  EXPECT(a, 200);
  CHECK_INT(json_array_size(json_object_get(a.json, "items")), 4);
  answer_free(&a);
  a = ask(&w, w.other, "GET", "/api/v1/tenants", NULL);
  EXPECT(a, 403);
  answer_free(&a);
  a = ask(&w, w.other, "POST", "/api/v1/tenants", "{\"name\":\"mine\",\"admin\":\"ann\",\"password\":\"a long enough password\"}");
  EXPECT(a, 403);
  answer_free(&a);
  a = ask(&w, NULL, "POST", "/api/v1/session", "{\"name\":\"rental/ann\",\"password\":\"a long enough password\"}");
  EXPECT(a, 200);
  CHECK_STR(text_of(&a, "tenant"), "rental");
  answer_free(&a);
  a = ask(&w, NULL, "POST", "/api/v1/session", "{\"name\":\"ann\",\"password\":\"a long enough password\"}");
  EXPECT(a, 401);
  answer_free(&a);
  a = ask(&w, NULL, "POST", "/api/v1/session", "{\"name\":\"none/ann\",\"password\":\"a long enough password\"}");
  EXPECT(a, 401);
  answer_free(&a);
}

static void test_access_keys_live_and_end(void)
{
  char target[128], secret[80];
  answer a = errand("access_key_create", "POST", "/api/v1/access-keys", "{\"name\":\"ci\",\"role\":\"operator\"}");
  EXPECT(a, 201);
  snprintf(secret, sizeof secret, "%s", text_of(&a, "secret"));
  CHECK_INT(strlen(secret), 43);
  snprintf(target, sizeof target, "/api/v1/access-keys/%d", (int)json_integer_value(json_object_get(json_object_get(a.json, "access_key"), "id")));
  answer_free(&a);
  a = errand("access_key_list", "GET", "/api/v1/access-keys", NULL);
  EXPECT(a, 200);
  CHECK(!strstr((const char *)a.body.data, secret));
  CHECK(strstr((const char *)a.body.data, "\"usable\":true"));
  answer_free(&a);
  a = ask(&w, secret, "GET", "/api/v1/me", NULL); /* it signs, it is no token */
  EXPECT(a, 401);
  answer_free(&a);
  a = ask(&w, w.other, "GET", "/api/v1/access-keys", NULL);
  EXPECT(a, 200);
  CHECK(!strstr((const char *)a.body.data, "AKMC"));
  answer_free(&a);
  a = ask(&w, w.other, "DELETE", target, NULL);
  EXPECT(a, 404);
  answer_free(&a);
  a = errand("access_key_revoke", "DELETE", target, NULL);
  EXPECT(a, 204);
  answer_free(&a);
  a = ask(&w, w.token[MC_ROLE_ADMIN], "DELETE", target, NULL);
  EXPECT(a, 404);
  answer_free(&a);
}

static void test_the_map_has_tiles(void)
{
  char target[96];
  answer a = errand("map_info", "GET", "/api/v1/map", NULL);
  EXPECT(a, 200);
  CHECK(text_of(&a, "attribution")[0]);
  json_t *center = json_object_get(a.json, "center");
  double lon = json_number_value(json_array_get(center, 0)), lat = json_number_value(json_array_get(center, 1));
  answer_free(&a);
  const double pi = 3.14159265358979323846;
  int n = 1 << 12, x = (int)((lon + 180) / 360 * n), y = (int)((1 - __builtin_asinh(__builtin_tan(lat * pi / 180)) / pi) / 2 * n);
  char headers[160];
  snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nAccept-Encoding: gzip\r\n", w.token[MC_ROLE_VIEWER]);
  snprintf(target, sizeof target, "/api/v1/map/tiles/12/%d/%d", x, y);
  a = ask_raw(&w, "GET", target, headers, (mc_slice){0}, false);
  EXPECT(a, 200);
  CHECK_STR(header_of(&a, "content-encoding"), "gzip");
  CHECK(a.body.len > 100 && a.body.data[0] == 0x1f && a.body.data[1] == 0x8b);
  answer_free(&a);
  a = ask_raw(&w, "GET", "/api/v1/map/tiles/12/0/0", headers, (mc_slice){0}, false);
  EXPECT(a, 204);
  answer_free(&a);
  a = ask_raw(&w, "GET", "/api/v1/map/tiles/3/0/0", headers, (mc_slice){0}, false);
  EXPECT(a, 404);
  answer_free(&a);
}

static void test_loopback_may_scrape_metrics_when_configured(void)
{
  answer a = ask(&w, NULL, "GET", "/metrics", NULL);
  EXPECT(a, 200);
  answer_free(&a);
}

int main(void)
{
  if (patterns_create(&patterns) || !world_open(&w, &(world_config){.rate_per_s = 100000, .with_map = true, .metrics_open = true}))
    return 1;
  RUN(test_a_dbc_becomes_a_manifest_and_a_campaign_runs_on_it);
  RUN(test_tells_whom_a_campaign_would_reach_and_what_the_rest_lacks);
  RUN(test_a_broken_dbc_is_refused_with_its_line);
  RUN(test_expressions_are_checked_while_one_types);
  RUN(test_users_and_tokens_live_and_end);
  RUN(test_tenants_are_the_first_ones_matter);
  RUN(test_access_keys_live_and_end);
  RUN(test_the_map_has_tiles);
  RUN(test_loopback_may_scrape_metrics_when_configured);
  world_close(&w);
  patterns_destroy(&patterns);
  return tap_done();
}
