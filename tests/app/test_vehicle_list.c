/* Lists of vehicles in files: what is read, what is told, and where. */
#include <string.h>

#include "app/motorcade/vehicle_list.h"
#include "tap.h"

static vehicle_list list;
static mc_why why;

static mc_err parse(const char *text)
{
  why = (mc_why){0};
  return vehicle_list_parse(mc_slice_str(text), &list, &why);
}

static const char *text_of(size_t row, const char *name)
{
  const char *t = json_string_value(json_object_get(json_array_get(list.vehicles, row), name));
  return t ? t : "";
}

static void test_a_table_becomes_vehicles(void)
{
  CHECK_OK(parse("VIN,Name,year,manifest\n1HGCM82633A004352, car-1 ,2024,\n,\"car-2\",,truck\n\n,car-3\n"));
  CHECK_INT(list.row.len, 3);
  CHECK(list.lines);
  CHECK_STR(text_of(0, "name"), "car-1");
  CHECK_STR(text_of(0, "vin"), "1HGCM82633A004352");
  CHECK_INT(json_integer_value(json_object_get(json_array_get(list.vehicles, 0), "year")), 2024);
  CHECK(!json_object_get(json_array_get(list.vehicles, 0), "manifest")); /* empty: not said */
  CHECK_STR(text_of(1, "manifest"), "truck");
  CHECK_INT(list.row.at[1].line, 3);
  CHECK_INT(list.row.at[2].line, 5);
  vehicle_list_free(&list);
}

static void test_rows_that_cannot_be_sent_are_kept_with_their_reason(void)
{
  CHECK_OK(parse("name,year\na,soon\nb,2024,x\nc,2024\n"));
  CHECK_INT(list.row.len, 3);
  CHECK(strstr(list.row.at[0].problem, "year: \"soon\" is not a whole number"));
  CHECK(strstr(list.row.at[1].problem, "3 fields, but only 2 columns"));
  CHECK_STR(list.row.at[2].problem, "");
  CHECK(json_is_null(json_array_get(list.vehicles, 0)));
  vehicle_list_free(&list);
  CHECK_OK(parse(" [{\"name\":\"a\",\"year\":2024},{\"name\":\"b\",\"colour\":\"red\"},7,{\"name\":5},{\"year\":\"2024\"},{\"Name\":\"x\"},{}]"));
  static const char *const problem[] = {"", "\"colour\" is not known", "expected an object", "name: expected text", "year: expected a whole number", "\"Name\" is not known", ""};
  CHECK_INT(list.row.len, 7);
  for (size_t i = 0; i < 7; i++)
    CHECK(problem[i][0] ? strstr(list.row.at[i].problem, problem[i]) != NULL : !list.row.at[i].problem[0]);
  CHECK_INT(list.row.at[3].line, 4);
  CHECK(!list.lines);
  vehicle_list_free(&list);
  CHECK_OK(parse("{\"vehicles\":[{\"name\":\"a\"}]}"));
  CHECK_STR(text_of(0, "name"), "a");
  vehicle_list_free(&list);
}

static void test_a_file_that_is_no_list_is_refused_with_its_place(void)
{
  static const struct {
    const char *text, *says;
  } wrong[] = {{"", "it is empty"},
               {"\n\n", "it is empty"},
               {"make,vin\nAcme,\n", "there is no column \"name\""},
               {"name,colour\n", "column 2 is called \"colour\""},
               {"name,NAME\n", "two columns \"name\""},
               {"name\n\"open\n", "line 2: a quote is opened"},
               {"name\n\"a\"b\n", "line 2: expected a separator"},
               {"[{\"name\":\"a\"}", "line 1, column"},
               {"{\"name\":\"a\"}", "expected an array of vehicles"},
               {"{\"vehicles\":{}}", "expected an array of vehicles"}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    CHECK(parse(wrong[i].text) != MC_OK);
    CHECK_WHY(why, wrong[i].says);
    CHECK(!list.vehicles);
  }
  CHECK(vehicle_list_read("/nonexistent/list.csv", &list, &why) != MC_OK);
  CHECK_WHY(why, "/nonexistent/list.csv");
}

int main(void)
{
  RUN(test_a_table_becomes_vehicles);
  RUN(test_rows_that_cannot_be_sent_are_kept_with_their_reason);
  RUN(test_a_file_that_is_no_list_is_refused_with_its_place);
  return tap_done();
}
