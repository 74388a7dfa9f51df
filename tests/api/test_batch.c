/* Many vehicles in one request: what each row is told. */
#include "api/inside.h"
#include "api_fixture.h"

static world w;

static answer batch(const char *body)
{
  return ask(&w, w.token[MC_ROLE_OPERATOR], "POST", "/api/v1/vehicles/batch", body);
}

static int number(const answer *a, const char *name)
{
  return (int)json_integer_value(json_object_get(a->json, name));
}

static const char *of_row(const answer *a, size_t index, const char *name)
{
  const char *t = json_string_value(json_object_get(json_array_get(json_object_get(a->json, "items"), index), name));
  return t ? t : "";
}

/* The answer keeps to its description. */
static bool described(const answer *a)
{
  api_patterns *patterns;
  char field[160];
  mc_why why = {0};
  if (patterns_create(&patterns))
    return false;
  bool ok = a->json && schema_check(patterns, api_operation_table[API_OP_VEHICLE_CREATE_MANY].reply, a->json, field, sizeof field, &why) == MC_OK;
  if (!ok)
    printf("# %s: %s\n", field, why.text);
  patterns_destroy(&patterns);
  return ok;
}

static void test_each_row_is_told_its_own_outcome(void)
{
  answer a = batch("{\"vehicles\":[{\"name\":\"a\",\"vin\":\"1HGCM82633A004352\",\"make\":\"Acme\",\"year\":2024},"
                  "{\"name\":\"no/slash\"},{\"name\":\"b\",\"vin\":\"SHORT\"},{\"name\":\"c\",\"manifest\":\"nowhere\"},{\"make\":\"Acme\"},"
                  "{\"name\":\"d\",\"year\":17},{\"name\":\"e\",\"vin\":\"1HGCM82633A004352\"},{\"name\":\"truck-7\"},"
                  "{\"name\":\"f\",\"kind\":\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\"},{\"name\":\"g\"}]}");
  static const struct {
    const char *state, *field, *text;
  } expected[] = {{"created", "", ""},
                  {"refused", "/name", "does not fit the form"},
                  {"refused", "/vin", "does not fit the form"},
                  {"refused", "/manifest", "GET /api/v1/manifests"},
                  {"refused", "/name", "name is missing"},
                  {"refused", "/year", "at least 1900"},
                  {"refused", "/vin", "\"a\" of the same list has VIN"},
                  {"refused", "/name", "with other facts"},
                  {"refused", "/kind", "23 bytes"},
                  {"created", "", ""}};
  size_t rows = sizeof expected / sizeof expected[0];
  CHECK_INT(a.status, 200);
  CHECK(described(&a));
  CHECK_INT(number(&a, "created"), 2);
  CHECK_INT(number(&a, "refused"), (int)rows - 2);
  CHECK_INT(json_array_size(json_object_get(a.json, "items")), rows);
  for (size_t i = 0; i < rows; i++) {
    CHECK_STR(of_row(&a, i, "state"), expected[i].state);
    CHECK_STR(of_row(&a, i, "field"), expected[i].field);
    if (!strstr(of_row(&a, i, "text"), expected[i].text))
      TAP_FAIL("row %zu: \"%s\" does not say \"%s\"", i + 1, of_row(&a, i, "text"), expected[i].text);
  }
  answer_free(&a);
  mc_vehicle v;
  CHECK_OK(mc_registry_vehicle_find(w.registry, MC_TENANT_DEFAULT, MC_LIT("a"), &v));
  CHECK_STR(v.make, "Acme");
  CHECK_INT(v.year, 2024);
  CHECK_INT(mc_registry_vehicle_find(w.registry, MC_TENANT_DEFAULT, MC_LIT("f"), &v), MC_ERR_NOT_FOUND);
}

static void test_the_same_list_may_be_sent_again(void)
{
  static const char list[] = "{\"vehicles\":[{\"name\":\"again-1\",\"make\":\"Acme\"},{\"name\":\"again-2\"}]}";
  answer first = batch(list), second = batch(list);
  CHECK_INT(number(&first, "created"), 2);
  CHECK_INT(number(&second, "created"), 0);
  CHECK_INT(number(&second, "unchanged"), 2);
  json_t *a = json_array_get(json_object_get(first.json, "items"), 1), *b = json_array_get(json_object_get(second.json, "items"), 1);
  CHECK(json_integer_value(json_object_get(a, "id")) > 0);
  CHECK_INT(json_integer_value(json_object_get(a, "id")), json_integer_value(json_object_get(b, "id")));
  answer_free(&first);
  answer_free(&second);
}

static void test_a_request_of_another_shape_is_refused_as_a_whole(void)
{
  static const struct {
    const char *body, *field;
  } wrong[] = {{"{\"vehicles\":[{\"name\":\"x\",\"vni\":\"\"}]}", "/vehicles/0/vni"},
               {"{\"vehicles\":[{\"name\":\"x\"},{\"name\":7}]}", "/vehicles/1/name"},
               {"{\"vehicles\":[{\"name\":\"x\",\"year\":\"2024\"}]}", "/vehicles/0/year"},
               {"{\"vehicles\":[]}", "/vehicles"},
               {"{}", "/vehicles"},
               {"{\"vehicles\":{\"name\":\"x\"}}", "/vehicles"}};
  mc_vehicle v;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    answer a = batch(wrong[i].body);
    CHECK_INT(a.status, 400);
    CHECK_STR(text_of(&a, "field"), wrong[i].field);
    answer_free(&a);
  }
  CHECK_INT(mc_registry_vehicle_find(w.registry, MC_TENANT_DEFAULT, MC_LIT("x"), &v), MC_ERR_NOT_FOUND);
}

static void test_a_thousand_fit_and_one_more_does_not(void)
{
  mc_buf body = {0};
  for (int count = 1001; count >= 1000; count--) {
    mc_buf_clear(&body);
    mc_buf_append_str(&body, "{\"vehicles\":[");
    for (int i = 0; i < count; i++)
      mc_buf_printf(&body, "%s{\"name\":\"many-%d\"}", i ? "," : "", i);
    mc_buf_append_str(&body, "]}");
    mc_buf_append_u8(&body, 0);
    answer a = batch((const char *)body.data);
    CHECK_INT(a.status, count > 1000 ? 400 : 200);
    CHECK_INT(number(&a, "created"), count > 1000 ? 0 : 1000);
    answer_free(&a);
  }
  mc_buf_free(&body);
}

static void test_another_tenant_has_names_of_its_own(void)
{
  mc_vehicle v;
  answer a = ask(&w, w.other, "POST", "/api/v1/vehicles/batch", "{\"vehicles\":[{\"name\":\"truck-7\"}]}");
  CHECK_INT(number(&a, "created"), 1);
  answer_free(&a);
  CHECK_OK(mc_registry_vehicle_find(w.registry, w.other_tenant, MC_LIT("truck-7"), &v));
  CHECK(v.id != w.vehicle);
}

int main(void)
{
  if (!world_open(&w, &(world_config){.rate_per_s = 100000}))
    return 1;
  RUN(test_each_row_is_told_its_own_outcome);
  RUN(test_the_same_list_may_be_sent_again);
  RUN(test_a_request_of_another_shape_is_refused_as_a_whole);
  RUN(test_a_thousand_fit_and_one_more_does_not);
  RUN(test_another_tenant_has_names_of_its_own);
  world_close(&w);
  return tap_done();
}
